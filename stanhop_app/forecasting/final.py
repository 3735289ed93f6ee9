"""The final model: what forecasts the real future is fitted on all rows, after they have been scored.

A score needs rows that nothing was fitted on; a forecast of the real future does not. So validation
chooses (penalties, lookbacks, shares, steps, weights between the parts) on the rows that are split, and what
it chose is fitted again on every row. The final model itself has no score: that of the split stands for it.
"""

import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stanhop_app.data.encoder import Encoder
from stanhop_app.data.outlying import without_outlying
from stanhop_app.data.panel import Panel
from stanhop_app.data.windows import Windows
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.effects.regression import Effects, refit_effects
from stanhop_app.forecasting.linear.anchor import fit_anchor
from stanhop_app.forecasting.linear.fit import SUMMED, LinearFit, refit_linear
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.models.config import STanHopConfig
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.training.config import FinalKind, TrainingConfig
from stanhop_app.training.draws import drawing
from stanhop_app.training.folder import FINAL, is_main_process, is_of_a_run
from stanhop_app.training.loop import train


@dataclass(frozen=True, kw_only=True, eq=False)
class Final:
    """A network that was fitted on all rows, with the choices that validation made on some."""

    network: STanHopNet
    """In evaluation mode and on the CPU, as the scored one."""
    kind: FinalKind
    """"all": both parts; "linear": the linear part, beside the scored deep one."""
    rows: int
    """Rows that it was fitted on."""
    steps: int
    """Optimiser steps of its deep part; 0 where that is the scored one."""
    effects: Effects | None = None
    """What covariates add, fitted on all rows; None: nothing."""
    left_out: str = ""
    """Which values it was not fitted on (`stanhop_app.data.outlying`); it is said once and not kept."""


def fit_final(
    scored: STanHopNet,
    panel: Panel,
    linear: LinearFit | None,
    training: TrainingConfig,
    history: list[dict[str, float]],
    kind: FinalKind,
    *,
    folder: Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
    effects: Effects | None = None,
    encoder: Encoder | None = None,
) -> Final | None:
    """Fit again on all rows of a panel what was fitted on its training rows.

    The deep part starts from the initial weights of the seed and takes as many steps as the scored one had
    taken when it was best on validation, over a learning-rate cycle of that length: about the cost of the
    training. The weights between the parts stay as they are.

    Args:
        scored: the network that was scored.
        panel: its scalers stay those of the training rows.
        linear: the scored linear part, with what validation chose; None: there is none.
        training: how the scored deep part was trained.
        history: of that training, a row an epoch.
        kind: what is fitted again.
        folder: where checkpoints of the deep part are kept meanwhile; None writes nothing.
        resume: go on from the checkpoint in ``folder``.
        progress: whether to draw a bar; None: on a terminal.
        effects: what covariates add by the scored fit; None: nothing.
        encoder: of the covariates.

    Returns:
        None where nothing is to be fitted again.
    """
    if kind == "none" or (kind == "linear" and linear is None):
        return None
    config = scored.config
    panel, left_out = without_outlying(panel, config.horizon)
    panel, again = less_effects(panel, config, effects, encoder)
    windows = panel.whole(config.lookback, config.horizon)
    with drawing(training.seed):
        network = STanHopNet(config)
    if kind == "linear":
        network.deep.load_state_dict(scored.deep.state_dict())
    steps = 0
    if kind == "all":
        best = min(history, key=lambda row: row["validation_loss"])
        steps = int(best["step"])
        validation = panel.windows(config.lookback, config.horizon)["validation"]
        fit_anchor(network, windows)
        train(
            network.deep,
            ForecastTask(windows, validation.thinned(training.batch_size), training.loss),
            replace(training, max_steps=steps, keep="last", patience=training.max_epochs + 1),
            folder=folder,
            resume=resume,
            identity={
                **asdict(config),
                "final": panel.fingerprint,
                **({} if encoder is None else {"encoder": encoder.as_json()}),
            },
            progress=progress,
        )
    if linear is not None:
        put_linear(network, linear, windows, scored)
    return Final(
        network=network.eval(),
        kind=kind,
        rows=len(panel),
        steps=steps,
        effects=again,
        left_out=left_out,
    )


def put_linear(
    network: STanHopNet, linear: LinearFit, windows: Windows, scored: STanHopNet
) -> None:
    """Put the linear part beside a deep one, in place: the scored one, fitted again on these windows."""
    refitted = refit_linear(linear, windows.thinned(SUMMED))
    network.linear = refitted.module(network.config.holes)
    network.mixture = scored.mixture.clone()


def less_effects(
    panel: Panel, config: STanHopConfig, effects: Effects | None, encoder: Encoder | None
) -> tuple[Panel, Effects | None]:
    """A panel less the effects of covariates, and those, fitted on all of its rows."""
    if effects is None or encoder is None:
        return panel, None
    raw = panel.whole(config.lookback, config.horizon).raw()
    again = refit_effects(effects, panel, encoder, raw)
    return panel.less(again.of(encoder, panel)), again


def final_folder(folder: Path, *, resume: bool) -> Path:
    """Where the final model's checkpoint is kept; an earlier one is removed, unless it is gone on with.

    Raises:
        OptionError: if something else is there.
    """
    path = folder / FINAL
    if os.path.lexists(path) and not is_of_a_run(path):
        raise OptionError(f"{path}: is no folder of a run; remove it, or choose another --output.")
    if not resume and is_main_process():
        shutil.rmtree(path, ignore_errors=True)
    return path
