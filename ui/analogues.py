"""Why: the past windows that the external memory of a run moved a forecast by, each to be switched off."""

import math
from typing import Any

import pandas as pd
import streamlit as st
from stanhop_app.ui import brought, opening, parts, selection

from stanhop_app.figures.analogues import analogues_figure
from stanhop_app.forecasting.external.analogues import Analogues, analogues
from stanhop_app.runs.run import Run


def show(
    name: str,
    run: Run,
    table: Any,
    variates: list[str],
    *,
    cutoff: str | None = None,
    actual: pd.DataFrame | None = None,
) -> None:
    """A toggle, and below it the figure, the windows, and a choice of those that are not read.

    Args:
        name: of the run.
        run: of one table without covariates, with an external memory.
        table: another history than the run's own; None: that one.
        variates: that are drawn.
        cutoff: where the rows end, if some were taken away.
        actual: what came behind it.
    """
    if not selection.switch("Why: the past windows behind it", "why"):
        return
    try:
        frame = None if table is None else run.on(table).table.frame
        told = analogues(run.fitted, frame)
        labels = _labels(told)
        off = st.multiselect(
            "Switch windows off",
            list(labels),
            format_func=lambda number: labels[number],
            key="without",
            help="The forecast of the trained horizon is made again as if these were not stored.",
        )
        if off:
            told = analogues(run.fitted, frame, without=off)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    columns = st.columns(3)
    columns[0].metric(
        f"Newer than, of {told.among} windows",
        "unknown" if math.isnan(told.novelty) else f"{told.novelty:.0f}%",
    )
    columns[1].metric("Weights that found nothing alike", f"{told.no_op:.0%}")
    moved = told.moved[variates].abs().mean().mean()
    columns[2].metric("Forecast moved by, on average", f"{moved:.3g}")
    title = f"The past windows that the forecast rests on: {name}, by {_rule(run)}"
    parts.show(analogues_figure(**told.lines(variates), actual=actual, title=title), "analogues")
    with st.expander("Stored windows"):
        st.dataframe(told.windows)
    st.download_button(
        "Download the stored windows (CSV)",
        told.windows.to_csv(lineterminator="\n"),
        file_name="analogues.csv",
        mime="text/csv",
        key="download-analogues",
    )
    _reproduce(name, run, cutoff, off)


def _reproduce(name: str, run: Run, cutoff: str | None, off: list[int]) -> None:
    """The lines that tell the same of the run's own rows."""
    command = f"{opening.made(name)}stanhop forecast {opening.folder(name)}{opening.file()}"
    command += " --explain --plot analogues.html"
    python = f"{opening.bare(name)}{brought.read_file(run.forecaster)}"
    python += "from stanhop_app.forecasting.external.analogues import analogues\n"
    arguments = "run.fitted, frame" if parts.brought() else "run.fitted"
    if cutoff is not None:
        command += f' --cutoff "{cutoff}"'
        python += "from stanhop_app.runs.cutoff import cut\n"
        table = ", frame" if parts.brought() else ""
        python += f'made = cut(run.forecaster, "{cutoff}"{table})\n'
        arguments = "made.forecaster.fitted_, made.history"
    without = f", without={off}" if off else ""
    parts.reproduce(command, f"{python}print(analogues({arguments}{without}))")


def _labels(told: Analogues) -> dict[int, str]:
    """What the windows that are drawn are called."""
    rows: pd.DataFrame = told.windows.loc[list(told.drawn)]
    return {
        int(number): f"before {first} ({weight:.1%})"
        for number, first, weight in zip(rows.index, rows["first"], rows["weight"], strict=True)
    }


def _rule(run: Run) -> str:
    memory = run.fitted.memory
    assert memory is not None
    return (
        f"{memory.rule.association} over {memory.rule.neighbours} of {len(memory.store):,} windows"
    )
