"""Outliers while a model trains: the same training, the same file after a kill."""

import pandas as pd
import pytest
import torch
from torch import nn

from stanhop_app.errors import ArtefactError
from stanhop_app.training.config import TrainingConfig
from stanhop_app.training.folder import OUTLIERS
from stanhop_app.training.loop import train
from stanhop_app.training.outlier_log import OutlierLog


class Copy:
    """Learn to put out the input."""

    train_size, validation_size = 64, 16

    def __init__(self, fail_at=None):
        self.x = torch.randn(80, 3, 4, generator=torch.Generator().manual_seed(0))
        self.fail_at, self.calls = fail_at, 0

    def to(self, device):
        self.x = self.x.to(device)

    def loss(self, model, indices, *, validation):
        self.calls += not validation
        if self.calls == self.fail_at:
            raise RuntimeError("killed")
        x = self.x[indices + 64 if validation else indices]
        return nn.functional.mse_loss(model(x), x)


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.LayerNorm(8), nn.Linear(8, 4))


def config():
    return TrainingConfig(max_epochs=3, batch_size=8, learning_rate=0.02, device="cpu")


def run(folder, fail_at=None, resume=False, watched=True):
    model, task = network(), Copy(fail_at)
    log = OutlierLog(task.x[:8], 5, file=folder / OUTLIERS) if watched else None
    options = {"folder": folder, "resume": resume, "checkpoint_steps": 4, "watch": log}
    train(model, task, config(), progress=False, **options)
    return model, log


def test_watching_does_not_change_the_training(tmp_path):
    seen, _ = run(tmp_path / "a")
    alone, _ = run(tmp_path / "b", watched=False)
    assert all(
        torch.equal(p, q) for p, q in zip(seen.parameters(), alone.parameters(), strict=True)
    )


def test_every_module_is_measured_at_regular_steps(tmp_path):
    _, log = run(tmp_path)
    table = log.table()
    assert sorted(set(table["step"])) == [0, 5, 10, 15, 20]
    assert list(table.columns) == ["step", "module", "kurtosis", "max_inf_norm"]
    assert set(table["module"]) == {"(model)", "0", "1", "2", "3"}
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / OUTLIERS), table)
    first = table[(table["step"] == 0) & (table["module"] == "0")]
    with torch.no_grad():
        wanted = network()[0](Copy().x[:8]).abs().flatten(1).amax(1).mean().item()
    assert first["max_inf_norm"].item() == pytest.approx(wanted)


@pytest.mark.parametrize("fail_at", [1, 7, 12, 22])
def test_a_killed_training_ends_with_the_same_file(tmp_path, fail_at):
    run(tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "killed", fail_at=fail_at)
    run(tmp_path / "killed", resume=True)
    wanted, found = ((tmp_path / name / OUTLIERS).read_text() for name in ("whole", "killed"))
    assert found == wanted


def test_a_file_of_an_earlier_training_is_not_taken_up(tmp_path):
    (tmp_path / OUTLIERS).write_text("step,module,kurtosis,max_inf_norm\n0,old,1.0,1.0\n")
    _, log = run(tmp_path)
    assert "old" not in set(log.table()["module"])


def test_a_resumed_training_must_be_measured_as_before(tmp_path):
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path, fail_at=12)
    model, task = network(), Copy()
    log = OutlierLog(task.x[:8], 3, file=tmp_path / OUTLIERS)
    with pytest.raises(ArtefactError, match="other steps than every 3"):
        train(model, task, config(), folder=tmp_path, resume=True, progress=False, watch=log)
    (tmp_path / OUTLIERS).write_text("step,module\n0,a\n")
    with pytest.raises(ArtefactError, match="damaged"):
        OutlierLog(task.x[:8], 5, file=tmp_path / OUTLIERS).load()


def test_steps_must_be_at_least_one():
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        OutlierLog(torch.zeros(2, 3, 4), 0)
