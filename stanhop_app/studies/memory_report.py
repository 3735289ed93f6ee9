"""Tables and figures of the comparison of dense and memory layers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from stanhop_app.figures.curves import error_figure
from stanhop_app.figures.memory import bucket_figure
from stanhop_app.forecasting.fitted import DEEP, WHOLE
from stanhop_app.studies import memory
from stanhop_app.studies.cells import trained_cells


def comparison_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """One row a variant and horizon: test errors over seeds, and costs."""
    rows = []
    frame = pd.DataFrame(trained_cells(content))
    for (horizon, name), group in frame.groupby(["horizon", "variant"], sort=False):
        errors = {
            label: np.array([cell[f"{label} test"]["mse"] for cell in group["errors"]])
            for label in (WHOLE, DEEP)
        }
        tables = [o for cell in group["occupancy"] for o in cell]
        rows.append(
            {
                "variant": name,
                "horizon": horizon,
                "seeds": len(group),
                "test_mse": errors[WHOLE].mean(),
                "deep_test_mse": errors[DEEP].mean(),
                "deep_deviation": errors[DEEP].std(ddof=1) if len(group) > 1 else np.nan,
                "parameters": group["parameters"].iloc[0],
                "megabytes": group["bytes"].iloc[0] / 1e6,
                "million_multiply_adds": group["multiply_adds"].iloc[0] / 1e6,
                "feed_forward_multiply_adds": group["feed_forward_multiply_adds"].iloc[0],
                **_means(tables),
            }
        )
    table = pd.DataFrame(rows).set_index(["horizon", "variant"])
    return table.sort_index(level="horizon", sort_remaining=False, kind="stable")


def ablation_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """One row an option and value, that of the main comparison among them, of one horizon and seed."""
    cells = {(c["variant"], c["horizon"], c["seed"]): c for c in trained_cells(content)}
    rate = f"{content['options']['learning_rate']:g}"
    defaults = {**memory.DEFAULTS, "learning rate": rate, "learning rate, dense": rate}
    rows = []
    for option, variants in memory.ABLATIONS.items():
        names = {f"{option}: {value}": value for value in variants}
        trials = {key: cell for key, cell in cells.items() if key[0] in names}
        for horizon, seed in sorted({key[1:] for key in trials}):
            main = memory.DENSE if option.endswith("dense") else memory.MEMORY
            beside = {names[key[0]]: c for key, c in trials.items() if key[1:] == (horizon, seed)}
            if (main, horizon, seed) in cells:
                beside[defaults[option]] = cells[main, horizon, seed]
            for value, cell in sorted(beside.items()):
                rows.append({"option": option, "value": value, **_ablation_row(cell)})
    return pd.DataFrame(rows).set_index(["option", "value"]) if rows else pd.DataFrame()


def _ablation_row(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "horizon": cell["horizon"],
        "test_mse": cell["errors"][f"{WHOLE} test"]["mse"],
        "deep_test_mse": cell["errors"][f"{DEEP} test"]["mse"],
        "deep_validation_mse": cell["errors"][f"{DEEP} validation"]["mse"],
        "megabytes": cell["bytes"] / 1e6,
        "feed_forward_multiply_adds": cell["feed_forward_multiply_adds"],
        **_means(cell["occupancy"]),
    }


def _means(tables: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Share of dead buckets and entropy over tables; nan where there are none."""
    return {
        "dead_buckets": float(np.mean([o["dead"] for o in tables])) if tables else np.nan,
        "entropy": float(np.mean([o["entropy"] for o in tables])) if tables else np.nan,
    }


def speed_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """One row a variant of the main comparison."""
    return pd.DataFrame.from_dict(content["speed"], orient="index")


def memory_figures(content: Mapping[str, Any]) -> list[go.Figure]:
    """Errors of the comparison and of the ablations, and buckets with the norm and without."""
    label = "test MSE of the deep part, scaled units"
    comparison, ablations = comparison_table(content), ablation_table(content)
    comparison = comparison[comparison.index.get_level_values("variant").isin(list(memory.KINDS))]
    comparison = comparison.rename(index=lambda h: f"horizon {h}", level="horizon")
    drawn = [
        error_figure(
            comparison, value="deep_test_mse", label=label, title="Dense and memory layers"
        )
    ]
    if len(ablations):
        title = "Memory feed-forward networks, one option changed at a time"
        drawn.append(error_figure(ablations, value="deep_test_mse", label=label, title=title))
    for name in (memory.MEMORY, "norm before the hash: no"):
        of_name = (cell["occupancy"] for cell in trained_cells(content) if cell["variant"] == name)
        first = ([o for o in all_ if o["layer"].startswith("blocks.0.")] for all_ in of_name)
        counted = ([o for o in some if o["hits"] is not None] for some in first)
        # Of the first cell that holds them: files are smaller without.
        tables = next((tables for tables in counted if tables), None)
        if tables is not None:
            title = f"Hits of every bucket in the first block, test windows: {name}"
            drawn.append(bucket_figure(tables, title=title))
    return drawn
