"""What a search over options came to: its trials, what mattered, and the options to train with."""

from collections.abc import Mapping
from dataclasses import MISSING
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from stanhop_app.errors import warnings_as
from stanhop_app.figures.page import FORECAST, HISTORY
from stanhop_app.models.config import STanHopConfig
from stanhop_app.options import join_names, options_of
from stanhop_app.studies.tuning import CUT
from stanhop_app.training.config import TrainingConfig

if TYPE_CHECKING:
    import optuna

    from stanhop_app.studies.search import Search

LEAST = 5
"""Whole trials below which nothing is said about what mattered."""


def trials_table(study: "optuna.Study", objective: str) -> pd.DataFrame:
    """All trials, the best first: value, state, seconds and options."""
    cut = study.user_attrs.get(CUT, [])
    rows = [
        {
            "trial": trial.number,
            objective: np.nan if trial.value is None else trial.value,
            "state": "cut" if trial.number in cut else trial.state.name.lower(),
            "seconds": trial.user_attrs.get("seconds", np.nan),
            **trial.params,
        }
        for trial in study.trials
        if trial.state.is_finished()
    ]
    table = pd.DataFrame(rows).set_index("trial")
    return table.sort_values(objective, kind="stable")


def importance_table(study: "optuna.Study") -> pd.DataFrame:
    """How much of the differences between trials each option explains (fANOVA).

    Empty where there are too few trials, or all came to the same.
    """
    import optuna

    whole = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if len(whole) < LEAST:
        return pd.DataFrame({"importance": []})
    try:
        with warnings_as("ignore"):  # some of its ways are called experimental
            told = optuna.importance.get_param_importances(
                study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
            )
    except (RuntimeError, ValueError):  # all trials came to the same: nothing mattered
        return pd.DataFrame({"importance": []})
    return pd.DataFrame({"importance": told}).rename_axis("option")


def history_figure(table: pd.DataFrame, objective: str) -> go.Figure:
    """Every trial's error in their order, and the best so far; the first one has the options of no search."""
    whole = table[table["state"] == "complete"].sort_index()
    best = whole[objective].cummin()
    figure = go.Figure(
        [
            go.Scatter(
                x=whole.index,
                y=whole[objective],
                mode="markers",
                name="a trial",
                marker={"color": HISTORY, "size": 9},
            ),
            go.Scatter(
                x=best.index,
                y=best,
                mode="lines",
                name="the best so far",
                line={"color": FORECAST, "shape": "hv"},
            ),
        ]
    )
    figure.update_layout(
        title="Error on validation, trial by trial",
        xaxis_title="trial",
        yaxis_title=f"{objective} on validation, scaled units",
        template="plotly_white",
        height=420,
    )
    return figure


def best_options(search: "Search", values: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name that `stanhop train --config` makes the best trial's network with.

    Those that are as they are by default are left out.
    """
    forecaster = search.changed(values)
    network, training = forecaster.network_config(1), forecaster.training_config()
    options: dict[str, Any] = {"split": search.panel.split}
    for config, kind in ((network, STanHopConfig), (training, TrainingConfig)):
        for name, known in options_of(kind).items():
            value = getattr(config, name)
            if name == "num_variates" or value is None or known.default is MISSING:
                continue
            if value != known.default or name in values or name == "horizon":
                options[name] = value
    return options


def as_toml(options: Mapping[str, Any], comment: str) -> str:
    """Options as a TOML file."""
    lines = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*lines, *(f"{n} = {_toml(v)}" for n, v in options.items())]) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        if value and all(isinstance(each, int | float) for each in value):
            return f"[{', '.join(repr(each) for each in value)}]"
        value = join_names(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
