"""A fit goes on with rows that came since: what forecasts the real future is fitted again, in seconds."""

from dataclasses import replace

import torch

from stanhop_app.data.book import Book
from stanhop_app.data.cutting import behind, spans_of
from stanhop_app.data.joined import Joined, joined
from stanhop_app.data.outlying import without_outlying
from stanhop_app.data.panel import Panel
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import DataError
from stanhop_app.forecasting.effects.known import kept_of
from stanhop_app.forecasting.external.correction import Memory
from stanhop_app.forecasting.external.reference import missed_by
from stanhop_app.forecasting.external.store import Store
from stanhop_app.forecasting.final import Final, less_effects, put_linear
from stanhop_app.forecasting.fitted import Fitted
from stanhop_app.forecasting.linear.fit import LinearFit
from stanhop_app.forecasting.task import ForecastTask
from stanhop_app.models.stanhop import STanHopNet
from stanhop_app.training.config import FinalKind, TrainingConfig
from stanhop_app.training.draws import drawing
from stanhop_app.training.loop import train

SLOWER = 10.0
"""How many times lower the learning rate of an update is than that of the training."""


def updated(
    fitted: Fitted,
    new: SeriesTable,
    training: TrainingConfig,
    *,
    steps: int,
    missing: str = "error",
    progress: bool | None = None,
) -> tuple[Fitted, Joined]:
    """The record of a table that went on, and what is new in it.

    Scores, borders and the scored model stay what they were.

    Args:
        fitted: before.
        new: rows that came since, or all of them; columns in order.
        training: how the deep part was trained.
        steps: optimiser steps that it goes on.
        missing: what is done about rows that are missing before the new ones, and about their holes.
        progress: whether to draw a bar; None: on a terminal.

    Raises:
        DataError: if rows are missing that no rule fills, or nothing is new.
    """
    complete = len(fitted.rows) == fitted.num_rows
    came = joined(fitted.outlook.kept(), fitted.outlook.coded(new), missing, complete=complete)
    if len(came.table.frame) < fitted.num_rows + came.rows:
        raise DataError(
            f"only the last {len(fitted.rows):,} of {fitted.num_rows:,} rows are kept; update with the whole "
            "table."
        )
    if fitted.memory is not None and not complete:
        raise DataError(
            "the run keeps only its last rows, and its external memory is of all of them; train again."
        )
    panel = fitted.panel(came.table)
    tame, left_out = without_outlying(panel, fitted.horizon)
    final = _final(fitted, tame, training, steps=steps, progress=progress)
    book = None if fitted.series is None else Book.of(panel, len(panel))
    known = fitted.known
    if known is not None:
        effects = None if known.effects is None else known.effects.with_new(len(came.series))
        known = replace(known, kept=kept_of(panel, len(panel)), effects=effects)
    after = replace(
        fitted,
        rows=came.table.frame,
        series=book,
        known=known,
        final=replace(final, left_out=left_out),
        memory=grown(fitted, tame),
        num_rows=len(panel),
    )
    return after, came


def grown(fitted: Fitted, panel: Panel) -> Memory | None:
    """The memory with the windows that new rows make whole, of a panel without outlying values."""
    memory, config = fitted.memory, fitted.network.config
    if memory is None:
        return None
    starts = (0,) if fitted.series is None else fitted.series.starts
    lengths = [b - a for a, b in spans_of(starts, fitted.num_rows)]
    # Nobody has looked at windows whose targets went beyond the rows that there were.
    seen = [max(rows - config.horizon + 1, 0) for rows in lengths]
    seen += [0] * (len(panel.ids) - len(seen))
    windows = behind(panel.whole(config.lookback, config.horizon), seen, panel.starts)
    numbers = torch.arange(len(windows))
    missed = missed_by(fitted.network.linear, windows, numbers)
    moved = memory.store.moved(starts, panel.starts)
    return replace(memory, store=moved).with_windows(Store.of(windows, numbers, missed, part=2))


def _final(
    fitted: Fitted, panel: Panel, training: TrainingConfig, *, steps: int, progress: bool | None
) -> Final:
    """Fit again, on a table that went on, what forecasts the real future.

    The linear part and the effects of covariates are fitted on all rows with the choices that validation made
    before; the deep part stays, or goes on from its weights for some steps at a tenth of its learning rate.

    Args:
        fitted: before.
        panel: all rows, scaled as before, without outlying values.
        training: how the scored deep part was trained.
        steps: optimiser steps of the deep part.
        progress: whether to draw a bar; None: on a terminal.
    """
    before, config = fitted.forecasting, fitted.network.config
    effects = None if fitted.known is None else fitted.known.effects
    encoder = None if fitted.known is None else fitted.known.encoder
    panel, again = less_effects(panel, config, effects, encoder)
    windows = panel.whole(config.lookback, config.horizon)
    with drawing(training.seed):
        network = STanHopNet(config)
    network.deep.load_state_dict(before.deep.state_dict())
    if steps:
        rate = training.learning_rate / SLOWER
        train(
            network.deep,
            ForecastTask(windows, windows.head(training.batch_size), training.loss),
            replace(
                training,
                max_steps=steps,
                keep="last",
                learning_rate=rate,
                patience=training.max_epochs + 1,
            ),
            progress=progress,
        )
    linear = fitted.linear
    if linear is not None:
        put_linear(network, LinearFit.of_summary(linear), windows, fitted.network)
    done = steps + (0 if fitted.final is None else fitted.final.steps)
    kind: FinalKind = "all" if done else "linear"
    return Final(
        network=network.eval(),
        kind=kind,
        rows=len(panel),
        steps=done,
        effects=again,
    )
