"""State of a training: step, validate, save and load."""

import copy
import json
import math
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stanhop_app.errors import CheckpointError, OptionError, TrainingError
from stanhop_app.files import to_json, write_csv
from stanhop_app.training.checkpoint import (
    load_optimizer,
    load_tensors,
    load_weights,
    optimizer_tensors,
    save_tensors,
    with_prefix,
    without_prefix,
)
from stanhop_app.training.config import TrainingConfig, rate_factor
from stanhop_app.training.folder import CHECKPOINT, HISTORY, STEPS, drop_logs
from stanhop_app.training.parameters import parameter_groups
from stanhop_app.training.processes import part_at_exit
from stanhop_app.training.same import difference, told
from stanhop_app.training.task import Task, Tell, Watch


@dataclass
class Position:
    """Where training stands; everything here is in the checkpoint's header."""

    epoch: int = 0
    step: int = 0
    """Optimiser steps done, over all epochs."""
    batch: int = 0
    """Batches of the current epoch done."""
    loss_sum: float = 0.0
    """Sum of the losses of the current epoch, weighted by samples."""
    logged_sum: float = 0.0
    """``loss_sum`` at the last row of ``steps``, or at the start of the epoch."""
    logged_batch: int = 0
    """``batch`` at the same time."""
    best: float = math.inf
    best_epoch: int = -1
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    steps: list[dict[str, float]] = field(default_factory=list)


PLACES = ("device", "devices", "num_nodes")
"""Options that say where a training runs, which may change when it goes on."""


class State:
    """State of a training run, and the four things done with it: step, validate, save, load."""

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        config: TrainingConfig,
        folder: Path | None,
        identity: dict[str, Any],
    ):
        # A third of the time that it takes to import everything; forecasting does without.
        from lightning_fabric import Fabric

        self.config, self.task, self.folder, self.model = config, task, folder, model
        # As JSON gives it back, so that tuples compare equal to lists.
        self.identity = json.loads(to_json({**identity, **asdict(config)}))
        try:
            self.fabric = Fabric(
                accelerator=config.device,
                devices=config.devices,
                num_nodes=config.num_nodes,
                precision=config.precision,
                strategy="ddp" if config.devices * config.num_nodes > 1 else "auto",
            )
        except (RuntimeError, ValueError, ImportError) as error:
            reason = " ".join(str(error).split())
            raise OptionError(f"device {config.device!r} cannot be used here ({reason}).") from None
        self.fabric.launch()
        part_at_exit()
        # One initial state everywhere, one stream of dropout masks per process.
        torch.manual_seed(config.seed + self.fabric.global_rank)
        optimizer = torch.optim.AdamW(
            parameter_groups(model, config),
            lr=config.learning_rate,
            betas=(0.9, config.beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.runner, self.optimizer = self.fabric.setup(model, optimizer)
        task.to(self.fabric.device)
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.position = Position()
        self.watch: Watch | None = None
        self.tell: Tell | None = None
        self.best: dict[str, Tensor] = {}
        size = min(task.train_size, config.epoch_windows or task.train_size)
        epoch_steps = math.ceil(size / config.batch_size)
        self.total_steps = min(config.max_epochs * epoch_steps, config.max_steps or sys.maxsize)
        self.check_every = 1 if self.fabric.device.type == "cpu" else 20
        # Sums over many batches; Apple's devices have no float64.
        self.wide = torch.float32 if self.fabric.device.type == "mps" else torch.float64
        self.loss_sum = torch.zeros((), device=self.fabric.device, dtype=self.wide)

    def batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Sample numbers of every batch of an epoch; the same on every process."""
        generator = torch.Generator().manual_seed(1_000_003 * self.config.seed + epoch)
        order = torch.randperm(self.task.train_size, generator=generator)
        return order[: self.config.epoch_windows].split(self.config.batch_size)

    def learning_rate(self) -> float:
        """Learning rate of the current step."""
        factor = rate_factor(self.position.step, self.total_steps, self.config)
        return self.config.learning_rate * factor

    def step(self, batch: Tensor) -> None:
        """One optimiser step on this process's share of a batch."""
        rank, world = self.fabric.global_rank, self.fabric.world_size
        share = batch[rank::world]
        weight = len(share) * world / len(batch)
        if len(share) == 0:  # this process only lends its gradient of zero
            share, weight = batch[:1], 0.0
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.runner.train()
        self.optimizer.zero_grad()
        loss = self.task.loss(self.runner, share, validation=False) * weight
        self.fabric.backward(loss)
        self.fabric.clip_gradients(
            self.runner,
            self.optimizer,
            max_norm=self.config.gradient_clip,
            error_if_nonfinite=False,  # told below, with the step and what to do
        )
        self.optimizer.step()
        self._update_average()
        position = self.position
        self.loss_sum += self._reduce(loss.detach(), "mean") * len(batch)
        position.step += 1
        position.batch += 1
        if position.step % self.check_every == 0 and not math.isfinite(self.loss_sum.item()):
            raise TrainingError(
                f"the training loss is not finite at epoch {position.epoch + 1}, step "
                f"{position.step}; lower the learning rate (now {self.config.learning_rate:g}) or "
                "look for extreme values in the data."
            )
        position.loss_sum = self.loss_sum.item() if self.check_every == 1 else position.loss_sum
        if self.watch is not None and position.step % self.watch.every == 0:
            self.watch(self.model, position.step)

    def log(self, batches: tuple[Tensor, ...]) -> None:
        """Add a row to ``steps``, unless no step was done since the last one."""
        position = self.position
        done = batches[position.logged_batch : position.batch]
        if not done:
            return
        total = self.loss_sum.item()
        mean = (total - position.logged_sum) / sum(len(batch) for batch in done)
        position.logged_sum, position.logged_batch = total, position.batch
        position.steps.append(
            {
                "step": position.step,
                "total_steps": self.total_steps,
                "train_loss": mean,
                "learning_rate": self.learning_rate(),
            }
        )
        if self.tell is not None:
            self.tell(position.steps[-1])
        if self.folder is not None and self.fabric.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_csv(self.folder / STEPS, position.steps)

    def _update_average(self) -> None:
        # The average of the first steps is that of a shorter memory, or it would hold the start.
        done = self.position.step + 1
        decay = min(self.config.average_decay, (1 + done) / (10 + done))
        if self.config.average_decay == 0:
            decay = 0.0
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.model.parameters()), 1 - decay
            )

    @torch.no_grad()
    def validate(self) -> float:
        """Mean validation loss of the averaged weights, over all processes."""
        self.position.loss_sum = self.loss_sum.item()
        self.loss_sum.zero_()
        rank, world = self.fabric.global_rank, self.fabric.world_size
        self.average.eval()
        for kept, current in zip(self.average.buffers(), self.model.buffers(), strict=True):
            kept.copy_(current)  # statistics of normalisations are no weights to be averaged
        total = torch.zeros((), dtype=self.wide, device=self.fabric.device)
        for batch in torch.arange(self.task.validation_size)[rank::world].split(
            4 * self.config.batch_size
        ):
            total += self.task.loss(self.average, batch, validation=True) * len(batch)
        mean = self._reduce(total, "sum").item() / self.task.validation_size
        if not math.isfinite(mean):
            raise TrainingError(
                f"the validation loss is not finite after epoch {self.position.epoch + 1}; lower the "
                "learning rate or look for extreme values in the data."
            )
        return mean

    def _reduce(self, value: Tensor, how: str) -> Tensor:
        """Sum or mean of a value over all processes."""
        reduced = self.fabric.all_reduce(value, reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced

    def _gather(self, state: Tensor) -> Tensor:
        """Random states of all processes, (W, N)."""
        gathered = self.fabric.all_gather(state.to(self.fabric.device))
        assert isinstance(gathered, Tensor)
        return gathered.reshape(self.fabric.world_size, -1)

    def anywhere(self, flag: bool) -> bool:
        """Whether a flag is set in any process, so that all of them do the same next."""
        if self.fabric.world_size == 1:
            return flag
        return self._reduce(torch.tensor(float(flag), device=self.fabric.device), "sum").item() > 0

    def averaged_weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.average.state_dict().items()}

    def save(self) -> None:
        """Write checkpoint and history, if there is a folder; called by every process."""
        if self.folder is None:
            return
        self.position.loss_sum = self.loss_sum.item()
        random = {"random": self._gather(torch.get_rng_state())}
        if self.fabric.device.type == "cuda":
            random["random_cuda"] = self._gather(torch.cuda.get_rng_state(self.fabric.device))
        if not self.fabric.is_global_zero:
            return
        tensors = {
            **with_prefix("model", self.model.state_dict()),
            **with_prefix("average", self.average.state_dict()),
            **with_prefix("best", self.best),
            **with_prefix("optimizer", optimizer_tensors(self.optimizer)),
            **random,
        }
        position = asdict(self.position)
        position["best"] = None if math.isinf(position["best"]) else position["best"]
        header = {"position": position, "identity": self.identity}
        self.folder.mkdir(parents=True, exist_ok=True)
        save_tensors(self.folder / CHECKPOINT, tensors, header)
        if self.position.step == 0:
            drop_logs(self.folder)
        elif self.position.history:
            write_csv(self.folder / HISTORY, self.position.history)

    def load(self) -> None:
        """Take up the checkpoint in the folder, if there is one."""
        if self.folder is None or not (self.folder / CHECKPOINT).exists():
            return
        path = self.folder / CHECKPOINT
        tensors, header = load_tensors(path)
        other = difference(header.get("identity", {}), self.identity, leave_out=PLACES)
        if other is not None:
            raise CheckpointError(
                f"{path}: made with other options ({told(other)}); resume with "
                "the same, or start anew with --force."
            )
        load_weights(self.model, without_prefix("model", tensors), str(path))
        load_weights(self.average, without_prefix("average", tensors), str(path))
        load_optimizer(self.optimizer, without_prefix("optimizer", tensors))
        self.best = without_prefix("best", tensors)
        position = header["position"]
        if position["best"] is None:
            position["best"] = math.inf
        self.position = Position(**position)
        self.loss_sum.fill_(self.position.loss_sum)
        self._load_random(tensors)

    def _load_random(self, tensors: dict[str, Tensor]) -> None:
        """Take up the random states; of another number of processes, draw from seed, process and step."""
        rank, states = self.fabric.global_rank, tensors["random"]
        if len(states) != self.fabric.world_size:
            torch.manual_seed(self.config.seed + rank + 1_000_003 * self.position.step)
            return
        torch.set_rng_state(states[rank])
        if "random_cuda" in tensors and self.fabric.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random_cuda"][rank], self.fabric.device)

    def finish(self) -> None:
        """Leave the model with its best weights, on the CPU."""
        self.model.load_state_dict(self.best)
        self.model.to("cpu").eval()
        self.task.to(torch.device("cpu"))
