"""What reports of studies have in common: the modules that are compared, means with deviations, failures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stanhop_app.errors import ArtefactError
from stanhop_app.studies.cells import Cell


def failed_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Cells that could not be trained, with the reason; they are in no mean."""
    rows = {key: cell["failed"] for key, cell in content["cells"].items() if "failed" in cell}
    return pd.DataFrame({"reason": rows})


def shared_modules(cells: Sequence[Cell], variants: Sequence[str] | None) -> list[str]:
    """The modules over which "all" is measured: those that the variants of the first comparison all have.

    Gates and tables of some would move an unweighted mean; and a variant that is added later must not change
    the figures of those that were there, so that its name does not count.

    Args:
        cells: trained.
        variants: those of the first comparison, which the results file keeps; None: all (older files).
    """
    counted = [
        set(cell["modules"]) for cell in cells if variants is None or cell["variant"] in variants
    ]
    return sorted(set.intersection(*counted)) if counted else []


def module_outliers(cell: Cell, modules: str, shared: Sequence[str]) -> dict[str, float]:
    """Kurtosis (mean) and maximum infinity norm of a cell over a set of modules.

    Args:
        cell: trained.
        modules: a preset, or "all" for the shared ones; not a number for a cell that lacks one of them.
        shared: `shared_modules`.

    Raises:
        ArtefactError: for a preset that there was not when the cell was made.
    """
    if modules != "all" and modules not in cell["outliers"]:
        raise ArtefactError(
            f"its cells were measured before the set {modules} was known; choose other --modules, or compare "
            "anew into another file."
        )
    if modules != "all":
        return dict(cell["outliers"][modules])
    if not shared or any(name not in cell["modules"] for name in shared):
        return {"kurtosis": np.nan, "max_inf_norm": np.nan}
    values = np.array([cell["modules"][name] for name in shared])
    return {"kurtosis": float(values[:, 0].mean()), "max_inf_norm": float(values[:, 1].max())}


def norms_table(cells: Sequence[Cell], names: Sequence[str]) -> pd.DataFrame:
    """Maximum infinity norm: one row a module, one column a variant."""
    data = {
        cell["variant"]: [cell["modules"].get(name, [np.nan, np.nan])[1] for name in names]
        for cell in cells
    }
    return pd.DataFrame(data, index=pd.Index(names, name="module"))


def with_deviations(table: pd.DataFrame, digits: Mapping[str, int]) -> pd.DataFrame:
    """Means as text, with the deviation over seeds (column ``NAME_sd``) where there is one.

    Args:
        table: means and deviations.
        digits: columns that are shown, with their digits after the point.
    """
    shown = {}
    for name, places in digits.items():
        deviations = table.get(f"{name}_sd", pd.Series(np.nan, table.index))
        shown[name] = pd.Series(
            [
                ("" if np.isnan(mean) else f"{mean:,.{places}f}")
                + ("" if np.isnan(sd) else f" ± {sd:.{places}f}")
                for mean, sd in zip(table[name], deviations, strict=True)
            ],
            index=table.index,
        )
    return pd.DataFrame(shown)
