"""What if: the covariates of the steps to come, to be changed before they are forecast."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from stanhop_app.data.frequency import future_index
from stanhop_app.data.series import SeriesTable
from stanhop_app.runs.run import Run


def future(run: Run, table: Any, horizon: int, series: str = "") -> pd.DataFrame | None:
    """A table of what is known ahead, as the user changes it; None where nothing is, or nobody does.

    Args:
        run: with covariates, or without.
        table: another history than the run's own; None: that one.
        horizon: steps to forecast.
        series: name of the one that is forecast, of many.
    """
    known = run.fitted.known
    if known is None or not known.encoder.roles.future:
        return None
    history = run.fitted.outlook.kept() if table is None else run.forecaster.matched(table)
    history = history.chosen([series]) if series else history
    rows = ahead(history, run, horizon)
    with st.expander("What if: covariates of the steps to come"):
        st.caption("Change a value, and the forecast follows.")
        time = str(rows.index.name or "time")
        edited = st.data_editor(
            rows.rename_axis(time).reset_index(),
            disabled=[time],
            hide_index=True,
            key=f"future-{series}-{horizon}",
            column_config={
                column: st.column_config.SelectboxColumn(options=list(words))
                for column, words in known.encoder.roles.categories.items()
                if column in rows
            },
        )
    made = edited.set_index(time)
    for column, words in known.encoder.roles.categories.items():
        if column in made and "" in words:  # an empty cell, which the widget calls None
            made[column] = made[column].fillna("")
    if made.isna().any(axis=None) or made.equals(rows):
        return None  # nothing is changed, or the forecast says what is missing
    if series:
        made = made.assign(**{history.id_name: series})
    return made.rename_axis(time).reset_index()


def ahead(history: SeriesTable, run: Run, horizon: int) -> pd.DataFrame:
    """Covariates known ahead of the steps after one series, words as words; empty where they are not told."""
    known, covariates = run.fitted.known, history.covariates
    assert known is not None
    assert covariates is not None
    covariates = known.encoder.matched(covariates)
    roles, rows = covariates.roles, len(history.frame)
    end = pd.DatetimeIndex([history.frame.index[-1]], freq=history.frequency)
    stamps = future_index(end, horizon, history.frequency).rename(history.frame.index.name)
    told = covariates.frame[list(roles.future)].iloc[rows : rows + horizon]
    values = np.full((horizon, len(roles.future)), np.nan)
    values[: len(told)] = told.to_numpy(dtype=np.float64)
    frame = pd.DataFrame(values, columns=list(roles.future), index=stamps)
    for column, words in roles.categories.items():
        if column in frame:
            frame[column] = [None if np.isnan(code) else words[int(code)] for code in frame[column]]
    return frame
