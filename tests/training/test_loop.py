"""The training loop: exact, resumable, interruptible, the same on several processes."""

import csv
import itertools
import json
import math
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from stanhop_app.errors import ArtefactError, TrainingError
from stanhop_app.training.checkpoint import load_tensors
from stanhop_app.training.config import TrainingConfig, one_cycle, rate_factor
from stanhop_app.training.folder import CHECKPOINT, HISTORY, STEPS, is_main_process
from stanhop_app.training.loop import train
from stanhop_app.training.same import difference


class Regression:
    """Noisy linear targets; dropout in the model makes order and random state matter."""

    train_size, validation_size = 70, 30

    def __init__(self, fail_at=None, interrupt_at=None, poison=False, number=signal.SIGINT):
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(100, 4, generator=generator)
        noise = 0.1 * torch.randn(100, 1, generator=generator)
        self.y = self.x @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]]) + noise
        self.fail_at, self.interrupt_at, self.poison = fail_at, interrupt_at, poison
        self.calls, self.number = itertools.count(), number

    def to(self, device):
        self.x, self.y = self.x.to(device), self.y.to(device)

    def loss(self, model, indices, *, validation):
        if not validation:
            call = next(self.calls)
            if call == self.fail_at:
                raise RuntimeError("killed")
            if call == self.interrupt_at:
                os.kill(os.getpid(), self.number)
        rows = indices + 70 if validation else indices
        factor = math.nan if self.poison else 1.0
        return factor * nn.functional.mse_loss(model(self.x[rows]), self.y[rows])


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 1))


def config(**options):
    return TrainingConfig(
        **{"max_epochs": 6, "batch_size": 16, "learning_rate": 0.02, "device": "cpu", **options}
    )


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_training_lowers_the_loss_and_reports_every_epoch():
    model = network()
    history = train(model, Regression(), config(max_epochs=20, patience=20), progress=False)
    assert [row["epoch"] for row in history] == list(range(1, 21))
    assert history[-1]["validation_loss"] < 0.1 * history[0]["validation_loss"]
    assert history[-1]["step"] == 20 * 5
    assert all(row["samples_per_second"] > 0 for row in history)
    assert not model.training


def test_one_seed_gives_the_same_bits_and_another_does_not():
    models = [network() for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        torch.rand(3)  # the state outside does not matter
        train(model, Regression(), config(seed=seed), progress=False)
    assert torch.equal(weights(models[0]), weights(models[1]))
    assert not torch.equal(weights(models[0]), weights(models[2]))


def test_training_leaves_the_random_state_of_the_caller_alone():
    torch.manual_seed(9)
    wanted = torch.rand(3)
    torch.manual_seed(9)
    model = nn.Linear(4, 1)
    torch.manual_seed(9)
    train(model, Regression(), config(), progress=False)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("fail_at", [1, 5, 7, 12, 29])
def test_a_run_that_was_killed_ends_with_the_same_bits(tmp_path, fail_at):
    undisturbed = network()
    wanted = train(undisturbed, Regression(), config(), progress=False)
    options = {"folder": tmp_path, "checkpoint_steps": 3, "progress": False}
    with pytest.raises(RuntimeError, match="killed"):
        train(network(), Regression(fail_at=fail_at), config(), **options)
    resumed = network()
    history = train(resumed, Regression(), config(), resume=True, **options)
    assert torch.equal(weights(resumed), weights(undisturbed))
    for name in ("train_loss", "validation_loss", "step"):
        assert [row[name] for row in history] == [row[name] for row in wanted]


@pytest.mark.parametrize("fail_at", [7, 12, 29])
def test_losses_by_step_are_those_of_an_undisturbed_run(tmp_path, monkeypatch, fail_at):
    monkeypatch.setattr("stanhop_app.training.loop.STEPS_PER_ROW", 2)
    options = {"checkpoint_steps": 3, "progress": False}
    history = train(network(), Regression(), config(), folder=tmp_path / "whole", **options)
    with pytest.raises(RuntimeError, match="killed"):
        train(
            network(), Regression(fail_at=fail_at), config(), folder=tmp_path / "killed", **options
        )
    train(network(), Regression(), config(), folder=tmp_path / "killed", resume=True, **options)
    wanted = (tmp_path / "whole" / STEPS).read_text()
    assert (tmp_path / "killed" / STEPS).read_text() == wanted
    rows = list(csv.DictReader(wanted.splitlines()))
    assert [int(row["step"]) for row in rows[:4]] == [2, 4, 5, 6]  # an epoch has five steps
    assert {int(row["total_steps"]) for row in rows} == {history[-1]["step"]}
    # Batches of 16, 16, 16, 16 and 6 samples: the rows of an epoch average to its training loss.
    mean = sum(n * float(row["train_loss"]) for n, row in zip((32, 32, 6), rows[:3], strict=True))
    assert mean / 70 == pytest.approx(history[0]["train_loss"], rel=1e-12)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_writes_a_checkpoint_from_which_the_run_goes_on(tmp_path, number):
    undisturbed = network()
    train(undisturbed, Regression(), config(), progress=False)
    task = Regression(interrupt_at=8, number=number)
    with pytest.raises(KeyboardInterrupt):
        train(network(), task, config(), folder=tmp_path, progress=False)
    _, header = load_tensors(tmp_path / CHECKPOINT)
    assert header["position"]["step"] == 9
    resumed = network()
    train(resumed, Regression(), config(), folder=tmp_path, resume=True, progress=False)
    assert torch.equal(weights(resumed), weights(undisturbed))


def test_an_interrupt_while_validating_is_not_lost(tmp_path):
    class Interrupted(Regression):
        def loss(self, model, indices, *, validation):
            if validation:
                os.kill(os.getpid(), self.number)
            return super().loss(model, indices, validation=validation)

    options = {"folder": tmp_path, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        train(network(), Interrupted(), config(max_epochs=1), **options)
    resumed, undisturbed = network(), network()
    train(resumed, Regression(fail_at=0), config(max_epochs=1), resume=True, **options)
    train(undisturbed, Regression(), config(max_epochs=1), progress=False)
    assert torch.equal(weights(resumed), weights(undisturbed))


def test_statistics_of_normalisations_are_kept():
    torch.manual_seed(1)
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))
    task = Regression()
    task.x += 3
    train(model, task, config(), progress=False)
    assert (model[0].running_mean > 1).all()


def test_mixed_precision_trains_and_resumes(tmp_path):
    options = {"folder": tmp_path, "checkpoint_steps": 3, "progress": False}
    with pytest.raises(RuntimeError, match="killed"):
        train(network(), Regression(fail_at=12), config(precision="bf16-mixed"), **options)
    one, two = network(), network()
    train(one, Regression(), config(precision="bf16-mixed"), resume=True, **options)
    train(two, Regression(), config(precision="bf16-mixed"), progress=False)
    assert torch.equal(weights(one), weights(two))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one here")
def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="device 'cuda' cannot be used here"):
        train(network(), Regression(), config(device="cuda"), progress=False)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, second = network(), network()
    train(first, Regression(), config(), folder=tmp_path, progress=False)
    options = {"folder": tmp_path, "resume": True, "progress": False}
    train(second, Regression(fail_at=0), config(), **options)
    assert torch.equal(weights(first), weights(second))


def test_the_folder_holds_a_checkpoint_and_the_history_and_no_pickle(tmp_path):
    history = train(network(), Regression(), config(), folder=tmp_path, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == [CHECKPOINT, HISTORY, STEPS]
    lines = (tmp_path / HISTORY).read_text().splitlines()
    assert lines[0].startswith("epoch,step,train_loss,validation_loss,learning_rate")
    assert len(lines) == 1 + len(history)


def test_nothing_is_written_where_nobody_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(network(), Regression(), config(), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_other_options_cannot_be_resumed(tmp_path):
    train(network(), Regression(), config(max_epochs=1), folder=tmp_path, progress=False)
    options = {"folder": tmp_path, "resume": True, "progress": False}
    with pytest.raises(ArtefactError, match=r"max_epochs was 1, is 2.*--force"):
        train(network(), Regression(), config(max_epochs=2), **options)
    with pytest.raises(ArtefactError, match="dim was None, is 3"):
        train(network(), Regression(), config(max_epochs=1), identity={"dim": 3}, **options)


def test_early_stopping_restores_the_best_weights():
    class Worsening(Regression):
        """Validation is best after the second epoch."""

        def loss(self, model, indices, *, validation):
            value = super().loss(model, indices, validation=validation)
            if not validation:
                return value
            self.seen.append(weights(model).clone())
            return torch.tensor(abs(len(self.seen) - 2.0))

    task, model = Worsening(), network()
    task.seen = []
    history = train(model, task, config(max_epochs=50, patience=3), progress=False)
    assert len(history) == 2 + 3
    assert torch.equal(weights(model), task.seen[1])


def test_max_steps_ends_training_and_shortens_the_cycle():
    history = train(network(), Regression(), config(max_steps=7), progress=False)
    assert history[-1]["step"] == 7
    assert history[-1]["learning_rate"] < 1e-6


def test_a_loss_that_is_not_finite_stops_at_once():
    with pytest.raises(
        TrainingError, match="not finite at epoch 1, step 1; lower the learning rate"
    ):
        train(network(), Regression(poison=True), config(), progress=False)


def test_averaged_weights_are_off_with_decay_zero():
    """Without averaging the validated weights are the last ones."""
    seen = []

    class Watched(Regression):
        def loss(self, model, indices, *, validation):
            if validation:
                seen.append(weights(model).clone())
            return super().loss(model, indices, validation=validation)

    model = network()
    train(model, Watched(), config(average_decay=0.0, max_epochs=1), progress=False)
    assert torch.equal(seen[-1], weights(model))


def test_a_constant_rate_rises_and_stays():
    config = TrainingConfig(schedule="constant", warmup=0.1)
    factors = [rate_factor(step, 50, config) for step in range(50)]
    assert factors[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert set(factors[4:]) == {1.0}
    at_once = TrainingConfig(schedule="constant", warmup=0.0)
    assert rate_factor(0, 50, at_once) == 1.0
    assert rate_factor(7, 50, TrainingConfig()) == one_cycle(7, 50, 0.3)


def test_the_schedule_is_one_cycle():
    reference_model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(reference_model.parameters(), 1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=50, cycle_momentum=False
    )
    for step in range(50):
        assert one_cycle(step, 50, 0.3) == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        if step < 49:
            reference.step()
    assert one_cycle(0, 1, 0.0) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "rmse"}, "loss must be one of mse, mae, huber, got 'rmse'"),
        ({"max_epochs": 0}, "max_epochs must be at least 1, got 0"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": math.nan}, "learning_rate must be above 0"),
        ({"precision": "64-true"}, "precision must be one of 32-true, bf16-mixed, got '64-true'"),
        ({"seed": -1}, r"seed must be in \[0, 2\*\*32\), got -1"),
        ({"average_decay": 1.0}, r"average_decay must be in \[0, 1\)"),
    ],
)
def test_bad_options_say_what_was_required(options, message):
    with pytest.raises(ValueError, match=message):
        config(**options)


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    """Data-parallel over gloo: the same batches, the same losses, the same weights."""
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import json, sys, torch
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from test_loop import Regression, config, weights
            from stanhop_app.training.loop import train, is_main_process
            torch.set_num_threads(1)
            torch.manual_seed(1)
            model = torch.nn.Linear(4, 1)
            options = config(devices=int(sys.argv[1]), max_epochs=2, batch_size=23)
            history = train(model, Regression(), options, progress=False)
            if is_main_process():
                losses = [[row["train_loss"], row["validation_loss"]] for row in history]
                print("RESULT", json.dumps([losses, weights(model).tolist()]))
            """
        )
    )
    results = []
    for devices in ("1", "2"):
        done = subprocess.run(
            [sys.executable, str(script), devices], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        (line,) = [x for x in done.stdout.splitlines() if x.startswith("RESULT")]
        results.append(json.loads(line.removeprefix("RESULT ")))
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(torch.tensor(one), torch.tensor(two), rtol=1e-5, atol=1e-6)


PROCESS = """
import json, os, signal, sys, torch
sys.path.insert(0, {folder!r})
from pathlib import Path
from test_loop import Regression, config, weights
from stanhop_app.errors import TrainingError
from stanhop_app.training.folder import is_main_process
from stanhop_app.training.loop import train
devices, nodes, folder, resume, dies = sys.argv[1:6]
torch.set_num_threads(1)
torch.manual_seed(1)

class Dying(Regression):
    steps = 0
    def loss(self, model, indices, *, validation):
        self.steps += not validation
        if 0 < self.steps == int(dies) and not is_main_process():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(model, indices, validation=validation)

model = torch.nn.Linear(4, 1)
options = config(devices=int(devices), num_nodes=int(nodes), max_epochs=2, batch_size=23)
where = None if folder == "-" else Path(folder)
try:
    train(model, Dying(), options, progress=False, folder=where, resume=resume == "1",
          checkpoint_steps=2)
except TrainingError as error:
    print("REFUSED", error)
    os._exit(7)
if is_main_process():
    print("RESULT", json.dumps(weights(model).tolist()))
"""


def launched(tmp_path, devices, nodes=1, folder="-", resume="0", dies="0", **more):
    """A process of a training, which starts those of its other devices itself."""
    script = tmp_path / "process.py"
    script.write_text(PROCESS.format(folder=str(Path(__file__).parent)))
    words = [sys.executable, script, devices, nodes, folder, resume, dies]
    return subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **more},
    )


def result(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    (line,) = [x for x in out.splitlines() if x.startswith("RESULT")]
    return torch.tensor(json.loads(line.removeprefix("RESULT ")))


@pytest.fixture(scope="module")
def alone():
    """Weights of one process."""
    torch.manual_seed(1)
    model = nn.Linear(4, 1)
    train(model, Regression(), config(max_epochs=2, batch_size=23), progress=False)
    return weights(model)


@pytest.mark.slow
def test_a_training_whose_process_was_killed_goes_on_with_one(tmp_path, alone):
    folder = tmp_path / "run"
    process = launched(tmp_path, 2, folder=folder, dies="4")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 7, err
    assert "another process of this training died or cannot be reached" in out
    torch.manual_seed(1)
    model = nn.Linear(4, 1)
    options = config(max_epochs=2, batch_size=23)
    history = train(model, Regression(), options, folder=folder, resume=True, progress=False)
    assert history[0]["epoch"] == 1
    torch.testing.assert_close(weights(model), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_training_of_one_process_goes_on_with_two_machines(tmp_path, alone):
    """Two machines are two processes here, each given the same command and its number."""
    folder = tmp_path / "run"
    torch.manual_seed(1)
    model = nn.Linear(4, 1)

    def stop(row):
        if row["step"] >= 3:
            raise KeyboardInterrupt

    options = config(max_epochs=2, batch_size=23)
    with pytest.raises(KeyboardInterrupt):
        train(
            model, Regression(), options, folder=folder, progress=False, tell=stop,
            checkpoint_steps=2,
        )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    machines = [
        launched(
            tmp_path, 1, 2, folder, "1", MASTER_ADDR="127.0.0.1", MASTER_PORT=port,
            NODE_RANK=str(number),
        )
        for number in range(2)
    ]  # fmt: skip
    made = result(machines[0])
    machines[1].communicate(timeout=60)
    assert machines[1].returncode == 0
    torch.testing.assert_close(made, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("known", "main"),
    [
        ({}, True),
        ({"RANK": "3", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, False),
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "1"}, False),
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, True),
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, True),
    ],
)
def test_one_process_speaks_and_writes(monkeypatch, known, main):
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_NTASKS", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    assert is_main_process() == main


def test_the_last_weights_are_kept_where_that_is_asked_for():
    """The rate rises over all epochs, to where it spoils what was learned: the best is not the last."""
    found = {}
    for keep in ("best", "last"):
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        options = {"warmup": 0.999, "learning_rate": 30.0, "average_decay": 0, "patience": 6}
        history = train(model, Regression(), config(keep=keep, **options))
        losses = [row["validation_loss"] for row in history]
        with torch.no_grad():
            found[keep] = Regression().loss(model, torch.arange(30), validation=True).item()
        assert found[keep] == pytest.approx({"best": min(losses), "last": losses[-1]}[keep])
    assert found["best"] < found["last"]


def test_gains_of_norms_are_decayed_or_not():
    """With a loss that has no gradient, weight decay is all that moves a parameter."""

    class Flat:
        train_size = validation_size = 4

        def to(self, device):
            pass

        def loss(self, model, indices, *, validation):
            return 0 * sum(p.sum() for p in model.parameters())

    for decayed in (True, False):
        model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
        nn.init.ones_(model[0].weight)
        config = TrainingConfig(
            max_epochs=1, weight_decay=0.5, learning_rate=0.1, decay_gains=decayed, average_decay=0
        )
        train(model, Flat(), config)
        assert (model[0].weight < 1).all()
        assert bool((model[1].weight < 1).all()) == decayed


def test_options_that_there_were_not_are_their_defaults():
    now = {"learning_rate": 1e-3, "schedule": "one-cycle", "network": {"dim": 8, "n": 1.0}}
    then = {"learning_rate": 1e-3, "network": {"dim": 8}}
    assert difference(then, now) is None
    assert difference(then, {**now, "schedule": "constant"}) == ("schedule", None, "constant")
    other = {**now, "network": {"dim": 8, "n": 4.0}}
    assert difference(then, other) == ("n", None, 4.0)
    assert difference(now, other) == ("n", 1.0, 4.0)
    assert difference(now, {**now, "network": {"dim": 16, "n": 1.0}}) == ("dim", 8, 16)
    assert difference({**then, "network": {"dim": 8, "gone": 1}}, now)[0] == "network"
    assert difference(then, {**now, "place": 1}) == ("place", None, 1)
    assert difference(then, {**now, "place": 1}, leave_out={"place"}) is None
