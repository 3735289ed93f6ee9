"""Write every measured table from its file of results.

    python tests/benchmarks/tables.py [--check]

A table stands in a Markdown file between ``<!-- table NAME -->`` and ``<!-- end -->``; it is written from the
JSON beside it, with command, commit and machine; the prose around it is written by hand. ``--check`` writes
nothing and fails where a table is not what its file says.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import standings

from stanhop_app.forecasting.fitted import DEEP, LINEAR, WHOLE
from stanhop_app.studies.benchmark import benchmark_table
from stanhop_app.studies.cells import read_results
from stanhop_app.studies.memory_report import ablation_table, comparison_table
from stanhop_app.studies.storage import storage_claim, storage_table
from stanhop_app.studies.suite_report import CONTEXT, pair_table, suite_table
from stanhop_app.studies.variants_report import comparison_table as variants_table

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
TITLES = {
    "softmax": "vanilla",
    "softmax1": "OutEffHop",
    "softmax+clip": "clipped",
    "softmax1+clip": "clipped OutEffHop",
    "softmax+gate": "gated",
    "softmax1+gate": "gated OutEffHop",
    "sparsemax": "SparseHopfield",
    "entmax": "STanHop (alpha learned)",
    "entmax15": "1.5-entmax",
    "softmax1+memory": "OutEffHop, memory FFN",
}
PAPER = {
    "softmax": "2.954 / 5.048 / .360 / .362",
    "softmax1": "2.897 / 4.565 / .360 / .355",
    "softmax+clip": "2.995 / 4.890 / .553 / .591",
    "softmax1+clip": "2.864 / 4.145 / .506 / .517",
    "softmax+gate": "2.487 / 4.277 / .380 / .375",
    "softmax1+gate": "2.459 / 4.240 / .376 / .367",
}
"""Kurtosis, max norm, MSE and W8A8 of STanHop-Net: arXiv 2404.03828, table 1."""
SUITE_MODULES = {"bert": "ffn+its-norm", "opt": "layer-outputs", "vit": "all"}
"""The paper's set of modules of each model."""
BITS = ("W8A8", "W6A6", "W4A8", "W4A4")
PAPERS = ("the paper's kurtosis", "the paper's max_inf_norm")
"""Columns of `pair_table`."""


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def made(content: Mapping[str, Any]) -> str:
    """What made a file of results: command, commits, machine."""
    how = content["made"]
    commands = "; ".join(f"`{command}`" for command in how["commands"])
    return f"Made by {commands} at {how['commits']}, on {how['machine']}; {content['file']}."


def both(mean: float, deviation: float, digits: int) -> str:
    """Mean and deviation; the mean alone where there is one seed, nothing where there is no number."""
    if np.isnan(mean):
        return ""
    said = f"{mean:,.{digits}f}"
    return said if np.isnan(deviation) else f"{said} ± {deviation:.{digits}f}"


def variant(name: str) -> str:
    """A variant by its title and name."""
    return f"{TITLES[name]} (`{name}`)"


def etth1(content: Mapping[str, Any], models: Sequence[str] | None = None) -> str:
    """Errors of every split and horizon; the least of each row, the network's parts aside, in bold."""
    mse, mae = benchmark_table(content, "test_mse"), benchmark_table(content, "test_mae")
    shown = list(mse.columns) if models is None else list(models)
    parts = (DEEP, LINEAR)
    rows = []
    for split, horizon in mse.index:
        row = mse.loc[(split, horizon)]
        least = row[[name for name in mse.columns if name not in parts]].min()
        cells = [
            f"**{row[name]:.4f}**"
            if row[name] == least and name not in parts
            else f"{row[name]:.4f}"
            for name in shown
        ]
        rows.append([split, str(horizon), *cells, f"{mae.loc[(split, horizon), WHOLE]:.4f}"])
    return markdown(["split", "horizon", *shown, f"MAE of {WHOLE}"], rows)


def results(content: Mapping[str, Any]) -> str:
    """The one table of README: without the network's parts."""
    shown = [name for name in benchmark_table(content).columns if name not in (DEEP, LINEAR)]
    return etth1(content, shown)


def variants(content: Mapping[str, Any]) -> str:
    """All variants at 24 hours; bits as change of the error."""
    table = variants_table(content).loc[24]
    order = [name for name in TITLES if name in table.index]
    rows = []
    for name in order:
        row = table.loc[name]
        changes = [f"{row[bits] / row['test_mse'] - 1:+.2%}" for bits in BITS]
        rows.append(
            [
                variant(name),
                f"{row['seeds']:.0f}",
                both(row["kurtosis"], row["kurtosis_sd"], 2),
                both(row["max_inf_norm"], row["max_inf_norm_sd"], 2),
                both(row["test_mse"], row["test_mse_sd"], 4),
                *changes,
                f"{max(row['no_op'], 0):.0%}",
                PAPER.get(name, ""),
            ]
        )
    header = ["variant", "seeds", "kurtosis", "max norm", "MSE", *BITS, "left to the no-op"]
    return markdown([*header, "the paper: kurtosis / max norm / MSE / W8A8"], rows)


def horizons(content: Mapping[str, Any]) -> str:
    """The horizons of the paper's table 2, of seed 0."""
    wanted = ("softmax", "sparsemax", "entmax", "softmax1")
    first = {key: c for key, c in content["cells"].items() if c["seed"] == 0}
    table = variants_table({**content, "cells": first, "shared_by": list(wanted)})
    rows = []
    for horizon in dict.fromkeys(table.index.get_level_values("horizon")):
        cells = (table.loc[(horizon, name)] for name in wanted)
        rows.append(
            [
                str(horizon),
                *(
                    f"{c['kurtosis']:.2f} / {c['max_inf_norm']:.1f} / {c['test_mse']:.4f} / "
                    f"{c['test_mae']:.4f}"
                    for c in cells
                ),
            ]
        )
    return markdown(["horizon", *(TITLES[name] for name in wanted)], rows)


def of_model(content: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Results of one model: sets of modules were not the same in all comparisons."""
    cells = {k: c for k, c in content["cells"].items() if c.get("model") == model}
    return {**content, "cells": cells}


def sharp(content: Mapping[str, Any]) -> str:
    """OPT with LLaMA's blocks where outliers grow: norms, kurtosis and bits, by no-op classes."""
    table = suite_table(content, "layer-outputs").loc["opt"]
    names = {
        "softmax": "vanilla",
        "softmax1": "OutEffHop",
        "softmax1+n16": "OutEffHop, n = 16",
        "softmax+clip": "clipped softmax",
        "softmax+gate": "gated attention",
        "softmax1+gate": "OutEffHop, gated",
    }
    plain = table.loc["softmax"]
    rows = [
        [
            f"{names[str(name)]} (`{name}`)",
            f"{row['seeds']:.0f}",
            both(row["max_inf_norm"], row["max_inf_norm_sd"], 1),
            *(f"{row[n] / plain[n] - 1:+.0%}" for n in ("max_inf_norm", "kurtosis")),
            both(row["kurtosis"], row["kurtosis_sd"], 1),
            both(row["score"], row["score_sd"], 3),
            f"{row['context_free']:.1f} / {row['bigram']:.2f}",
            *(f"{row[bits]:.2f}" for bits in ("W8A8", "W6A6", "W4A4")),
            f"{max(row['no_op'], 0):.0%}",
        ]
        for name, row in table.iterrows()
    ]
    header = ["variant", "seeds", "max norm", "norm against vanilla", "kurtosis against vanilla"]
    header += ["kurtosis", "perplexity", "without context / bigram", "W8A8", "W6A6", "W4A4"]
    return markdown([*header, "left to the no-op"], rows)


def suite(content: Mapping[str, Any]) -> str:
    """Every model and variant, over the paper's set of modules of the model."""
    from stanhop_app.studies.suite_report import PAPER as TABLE_1

    rows = []
    for model, modules in SUITE_MODULES.items():
        table = suite_table(of_model(content, model), modules).loc[model]
        for name in (name for name in TITLES if name in table.index):
            row = table.loc[name]
            paper = " / ".join(f"{value:,.2f}" for value in TABLE_1.get((model, name), ()))
            rows.append(
                [
                    model,
                    variant(name),
                    f"{row['seeds']:.0f}",
                    both(row["kurtosis"], row["kurtosis_sd"], 2),
                    both(row["max_inf_norm"], row["max_inf_norm_sd"], 2),
                    both(row["score"], row["score_sd"], 2),
                    " / ".join(f"{row[n]:.1f}" for n in CONTEXT if not np.isnan(row[n])),
                    *(f"{row[bits]:.2f}" for bits in ("W8A8", "W6A6", "W4A4")),
                    f"{max(row['no_op'], 0):.0%}",
                    paper,
                ]
            )
    header = ["model", "variant", "seeds", "kurtosis", "max norm", "perplexity or accuracy"]
    header += [
        "without context / bigram",
        "W8A8",
        "W6A6",
        "W4A4",
        "left to the no-op",
        "the paper: kurtosis / max norm / float / W8A8",
    ]
    return markdown(header, rows)


def pairs(content: Mapping[str, Any]) -> str:
    """What softmax1 changes, pair by pair, and the mean."""
    found = [
        pair_table(of_model(content, model), modules).loc[[model]]
        for model, modules in SUITE_MODULES.items()
    ]
    table = pd.concat(found)
    rows = [
        [
            model,
            TITLES[name],
            *(f"{row[n]:+.1%}" for n in ("kurtosis", "max_inf_norm")),
            f"{row['score']:+.2%}",
            " / ".join(f"{row[n]:+.0%}" for n in PAPERS),
        ]
        for (model, name), row in table.iterrows()
    ]
    mean = table.mean()
    ours = [f"**{mean[n]:+.1%}**" for n in ("kurtosis", "max_inf_norm")]
    rows.append(["mean", "", *ours, "", " / ".join(f"{mean[n]:+.0%}" for n in PAPERS)])
    header = ["model", "pair", "kurtosis", "max norm", "float score"]
    return markdown([*header, "the paper: kurtosis / max norm"], rows)


def memory(content: Mapping[str, Any]) -> str:
    """Dense and memory layers, by horizon; times are those of the first horizon."""
    frame = pd.DataFrame([c for c in content["cells"].values() if "failed" not in c])
    table, rows = comparison_table(content), []
    for horizon, name in table.index:
        if name not in content["speed"]:
            continue
        cells = frame[(frame["horizon"] == horizon) & (frame["variant"] == name)]["errors"]
        whole = np.array([errors[f"{WHOLE} test"]["mse"] for errors in cells])
        row, speed = table.loc[(horizon, name)], content["speed"][name]
        deviation = whole.std(ddof=1) if len(whole) > 1 else np.nan
        rows.append(
            [
                str(horizon),
                name,
                both(whole.mean(), deviation, 4),
                both(row["deep_test_mse"], row["deep_deviation"], 4),
                f"{row['feed_forward_multiply_adds']:,.0f}",
                f"{row['million_multiply_adds']:.1f} M",
                f"{row['parameters']:,.0f}",
                f"{row['megabytes']:.2f}",
                f"{speed['one_window_ms']:.1f}",
                f"{speed['windows_per_second']:.0f}",
                f"{speed['training_step_ms']:.0f}",
            ]
        )
    header = ["horizon", "what is of memory layers", WHOLE, "its deep part"]
    header += ["multiply-adds of a feed-forward network", "of the deep part", "parameters", "MB"]
    return markdown([*header, "ms, one window", "windows a second", "ms, training step"], rows)


def ablations(content: Mapping[str, Any]) -> str:
    """One option of memory feed-forward networks changed at a time."""
    rows = [
        [
            option,
            value,
            f"{row['deep_validation_mse']:.4f}",
            f"{row['deep_test_mse']:.4f}",
            f"{row['test_mse']:.4f}",
            f"{row['megabytes']:.1f}",
            f"{row['feed_forward_multiply_adds']:,.0f}",
            "" if np.isnan(row["dead_buckets"]) else f"{row['dead_buckets']:.0%}",
            "" if np.isnan(row["entropy"]) else f"{row['entropy']:.3f}",
        ]
        for (option, value), row in ablation_table(content).iterrows()
    ]
    header = ["option", "value", "validation, deep part", "test, deep part", "test, whole", "MB"]
    return markdown([*header, "multiply-adds", "dead buckets", "entropy"], rows)


def timing(name: str) -> Callable[[Mapping[str, Any]], str]:
    """A table of `timings.json`: kept as it was printed."""
    return lambda content: markdown(content[name]["header"], content[name]["rows"])


def attacks(content: Mapping[str, Any]) -> str:
    """What every attack counted."""
    rows = [
        [
            str(cell["attack"]),
            f"{cell['rounds']:,}",
            str(cell["seed"]),
            ", ".join(f"{name}: {count:,}" for name, count in cell["counts"].items()),
        ]
        for cell in content["cells"].values()
    ]
    return markdown(["attack", "rounds", "seed", "counts"], rows)


def kinds(content: Mapping[str, Any]) -> str:
    """Every table as people have them: what was said, and what came out of both ways to read it."""
    rows = [
        [
            row["kind"],
            f"`{row['options']}`" if row["options"] else "",
            row["python"]
            if row["python"] == row["command"]
            else f"{row['python']}, {row['command']}",
            row["came out"].replace("|", "\\|"),
        ]
        for row in content["cells"]["kinds"]["rows"]
    ]
    return markdown(["table", "flags", "read", "what came out"], rows)


def mixes(content: Mapping[str, Any]) -> str:
    """How mixes were read, and what a million rows took."""
    mixed, fast = content["cells"]["mixes"], content["cells"]["speed"]
    counts = ", ".join(f"{name}: {count:,}" for name, count in mixed["counts"].items())
    ours, told = fast["read_frame"], fast["pandas"]
    rows = [
        [f"{mixed['cases']:,} mixes", counts],
        [
            f"{fast['rows']:,} rows x {fast['columns']}, seconds by `pandas.read_csv` told everything",
            f"{ours['seconds'] / told['seconds']:.2f} times",
        ],
        ["the same, memory", f"{ours['times its bytes']:.1f} times the bytes of the file"],
    ]
    return markdown(["what", "found"], rows)


M4 = {
    "m4-hourly": {
        "naive2": (18.383, 2.395),
        "published": {"best of the competition": (9.328, 0.893)},
    },
    "m4-weekly": {"naive2": (9.161, 2.777), "published": {"theta": (9.06, 2.581)}},
}
"""sMAPE and MASE of the competition's reference, and of others as published."""


WITH = {
    "without": "nothing",
    "known": "covariates",
    "calendar": "cycles",
    "both": "covariates, cycles",
}


def covariates(content: Mapping[str, Any]) -> str:
    """Errors with and without covariates, beside the noise floor or LightGBM."""
    cells: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for cell in content["cells"].values():
        cells.setdefault((cell["table"], cell["covariates"]), []).append(cell)
    rows = []
    for (name, kind), made_ in cells.items():
        mse, mae = (np.array([cell[m] for cell in made_]) for m in ("mse", "mae"))
        one = len(made_) == 1
        floor, peer = made_[0]["floor"], content["peers"].get(f"{name}, {kind}")
        beside = "" if floor is None else f"noise {floor:.4f}"
        beside = f"LightGBM {peer['mse']:.4f}" if peer else beside
        gain = np.mean([cell["gain"] or 0.0 for cell in made_])
        rows.append(
            [
                name,
                WITH[kind],
                both(mse.mean(), np.nan if one else mse.std(ddof=1), 4),
                both(mae.mean(), np.nan if one else mae.std(ddof=1), 4),
                beside,
                f"{gain:.1%}" if gain else "",
                str(len(made_)),
            ]
        )
    head = ["table", "with", "MSE", "MAE", "beside (MSE)", "effects take away", "seeds"]
    return markdown(head, rows)


def external(content: Mapping[str, Any]) -> str:
    """Errors without and with a memory that is filled to three dates."""
    rows = []
    for cell in content["cells"].values():
        mse, memory = cell["mse"], cell["memory"]
        alone, best = mse["alone"], mse["validation"]
        told = [
            f"{mse[n]:.4f} ({mse[n] / alone - 1:+.1%})"
            for n in ("training", "validation", "current")
        ]
        how = "" if memory is None else f"{memory['steps']} steps, {memory['association']}"
        rows.append(
            [
                f"{cell['table']} {cell['split']}",
                str(cell["horizon"]),
                f"{mse['ridge']:.4f}",
                f"{alone:.4f}",
                *(["none"] * 3 if memory is None else told),
                f"{best / mse['ridge'] - 1:+.1%}",
                f"{cell['mae']['validation'] / cell['mae']['alone'] - 1:+.1%}",
                how,
            ]
        )
    head = [
        "table",
        "horizon",
        "ridge",
        "STanHop-Net",
        "+ training windows",
        "+ validation windows",
    ]
    head += ["kept current", "beside ridge", "MAE", "read by"]
    return markdown(head, rows)


def intervals(content: Mapping[str, Any]) -> str:
    """Every way of reading residuals, the best on validation first."""
    rows = []
    for cell in content["cells"].values():
        names = [f"{cell['table']} {cell['split']}", str(cell["horizon"])]
        plain = cell["ways"]["residuals of all windows"]["static"]["wql"]
        for number, (way, told) in enumerate(cell["ways"].items()):
            static, current = told["static"], told["current"]
            covered = [
                " / ".join(f"{100 * kind['coverage'][c]:.1f}" for c in ("80", "95"))
                for kind in (static, current)
            ]
            each = [100 * share for share in static["variates"]["80"]]
            shown = f"{static['wql']:.4f} ({static['wql'] / plain - 1:+.1%})"
            rows.append(
                [
                    *names,
                    way if number else f"**{way}**",
                    f"{told['validation']:.4f}",
                    shown,
                    covered[0],
                    f"{min(each):.0f} to {max(each):.0f}",
                    f"{static['width']['80']:.3f}",
                    f"{current['wql']:.4f}",
                    covered[1],
                ]
            )
    head = ["table", "horizon", "read", "validation", "static (beside all windows)", "80 / 95"]
    head += ["variates, 80", "width, 80", "current", "80 / 95"]
    return markdown(head, rows)


def adaptive(content: Mapping[str, Any]) -> str:
    """Rates at which levels follow the coverage, on validation and on test windows."""
    rows = []
    for cell in content["cells"].values():
        for rate in cell["test"]:
            shown = []
            for part in ("validation", "test"):
                told = cell[part][rate]
                each = [100 * share for share in told["variates_80"]]
                covered = " / ".join(f"{100 * told[f'coverage_{c}']:.1f}" for c in (80, 95))
                shown += [f"{told['wql']:.4f}", covered, f"{min(each):.0f} to {max(each):.0f}"]
            name = f"{cell['table']} {cell['split']}"
            rows.append([name, str(cell["horizon"]), rate, *shown])
    head = ["table", "horizon", "rate"]
    for part in ("validation", "test"):
        head += [f"{part}: loss", "80 / 95", "variates, 80"]
    return markdown(head, rows)


def league(measure: str) -> Callable[[Mapping[str, Any]], str]:
    """Errors of all models of the league as shares of seasonal naive's, ties with the lowest in bold."""

    def draw(content: Mapping[str, Any]) -> str:
        table = standings.errors(content["cells"].values(), measure)
        shares = table.div(table[standings.NAIVE], axis=0)
        rows = []
        for entry, row in shares.iterrows():
            least = row.min() * (1 + standings.TIED)
            said = [
                ""
                if np.isnan(v)
                else "failed"
                if np.isinf(v)
                else f"{v:.3f}"
                if v > least
                else f"**{v:.3f}**"
                for v in row
            ]
            rows.append([str(entry), *said])
        return markdown(["table, horizon", *map(str, shares.columns)], rows)

    return draw


def standing(content: Mapping[str, Any]) -> str:
    """Mean ranks over the tables that all models have, tables where one is first, seconds and memory."""
    cells = pd.DataFrame(content["cells"].values())
    cells["entry"] = cells["table"] + " " + cells["horizon"].astype(str)
    point, wql = (standings.errors(content["cells"].values(), m) for m in ("point", "wql"))
    ranks = {name: standings.ranks(table) for name, table in (("point", point), ("wql", wql))}
    if not len(ranks["point"]):
        return "No table has been run with all models yet."
    shared = cells[cells["entry"].isin(ranks["point"].index)]
    usage = shared.groupby("model")[["cpu_seconds", "peak_megabytes"]]
    seeds = shared.groupby("model")["seed"].nunique()
    total, peak = usage.sum()["cpu_seconds"] / seeds, usage.max()["peak_megabytes"]
    rows = []
    for name in ranks["point"].mean().sort_values().index:
        row = [str(name)]
        for measure, table in (("point", point), ("wql", wql)):
            shares = (table[name] / table[standings.NAIVE]).loc[ranks[measure].index]
            least = table.loc[ranks[measure].index].min(axis=1) * (1 + standings.TIED)
            first = (table.loc[ranks[measure].index, name] <= least).sum()
            failed = int(np.isinf(shares).sum())
            share = f"{np.exp(np.log(shares).mean()):.3f}"
            share = f"failed on {failed}" if failed else share
            row += [f"{ranks[measure][name].mean():.2f}", share, str(first)]
        rows.append([*row, f"{total[name]:,.0f}", f"{peak[name]:,.0f}"])
    count = len(ranks["point"])
    apart = standings.critical_difference(len(rows), count)
    head = ["model", "rank", "share of naive's", "first"]
    text = markdown([*head, *(f"{h}, intervals" for h in head[1:]), "CPU s", "peak MB"], rows)
    return (
        f"{text}\n\nPairs of table and horizon that all {len(rows)} models have: {count}; mean ranks that "
        f"lie less than {apart:.2f} apart are not told apart (Nemenyi, 5%)."
    )


def backtests(content: Mapping[str, Any]) -> str:
    """Losses and coverage of all models of every backtest, and of peers, the lowest loss in bold."""
    rows = []
    for cell in content["cells"].values():
        name = " ".join([cell["table"], *([] if cell["split"] == "last" else [cell["split"]])])
        told = {model: row for model, row in cell["models"].items() if model != "last value"}
        begin = f"{name} {cell['horizon']} "
        for key, row in content.get("peers", {}).items():
            if key.startswith(begin):
                told[key.removeprefix(begin)] = row
        least = min(row["wql"] for row in told.values())
        for model, row in told.items():
            loss = f"{row['wql']:.4f}"
            each = cell.get("variates_80", {}).get(model) or [
                f(row["variates_80"].values()) for f in (min, max) if "variates_80" in row
            ]
            rows.append(
                [
                    name,
                    str(cell["horizon"]),
                    model,
                    f"**{loss}**" if row["wql"] == least else loss,
                    " / ".join(f"{100 * row[f'coverage_{c}']:.1f}" for c in (80, 95)),
                    " to ".join(f"{100 * share:.0f}" for share in each),
                    f"{row['width_80']:.3f}",
                    f"{row['winkler_80']:.3f}",
                ]
            )
    head = ["table", "horizon", "model", "loss", "80 / 95", "variates, 80", "width, 80"]
    return markdown([*head, "Winkler, 80"], rows)


def checks(content: Mapping[str, Any]) -> str:
    """Sums, exchangeable windows and times of every backtest of one table."""
    rows = []
    for cell in content["cells"].values():
        if "totals" not in cell:
            continue
        totals, times = cell["totals"], cell["times"]
        pairs = [
            " / ".join(f"{100 * totals[f'{kind} {c}']:.1f}" for c in (80, 95))
            for kind in ("paths", "steps apart")
        ]
        rows.append(
            [
                f"{cell['table']} {cell['split']}",
                str(cell["horizon"]),
                *pairs,
                " / ".join(f"{100 * cell['exchangeable'][c]:.1f}" for c in ("80", "95")),
                f"{times['cut-offs']:.0f}",
                f"{times['backtest'] / times['forecasts alone']:.2f}",
                f"{times['backtest, updated']:.0f} s",
                f"{1000 * times['100 paths']:.0f} ms",
            ]
        )
    head = ["table", "horizon", "sums, paths", "sums, steps apart", "by lot", "cut-offs"]
    return markdown([*head, "time over forecasts alone", "updated, in all", "100 paths"], rows)


def associations(content: Mapping[str, Any]) -> str:
    """Associations as retrieval rules."""
    rows = []
    for cell in content["cells"].values():
        head = [cell["association"], str(cell["horizon"]), f"{cell['alone']:.4f}"]
        if cell["mse"] is None:
            rows.append([*head, "none", "", "", ""])
            continue
        change = cell["mse"] / cell["alone"] - 1
        rows.append(
            [
                *head,
                f"{cell['mse']:.4f} ({change:+.1%})",
                f"{cell['gain']:.1%}",
                f"{cell['no_op']:.0%}",
                f"{cell['used']:.0f}",
            ]
        )
    head = [
        "association",
        "horizon",
        "without",
        "with",
        "gain out of fold",
        "no-op",
        "windows used",
    ]
    return markdown(head, rows)


def m4(content: Mapping[str, Any]) -> str:
    """Ours by what was fitted again on all rows, peers that were run, and what was published."""
    rows = []
    for data, known in M4.items():
        cells = [cell for cell in content["cells"].values() if cell["data"] == data]
        ours = {
            f"STanHop-Net, {label}, {len(cells)} seed{'s' * (len(cells) > 1)}": [
                (cell["models"][label]["smape"], cell["models"][label]["mase"]) for cell in cells
            ]
            for label in ("final linear", "final all", "final none")
        }
        peers = {
            key.split(" ", 1)[1] + ", run here": [(row["smape"], row["mase"])]
            for key, row in content["peers"].items()
            if key.startswith(data)
        }
        naive = {
            "seasonal naive": [
                tuple(cells[0]["models"]["seasonal naive"][m] for m in ("smape", "mase"))
            ]
        }
        published = {f"{name}, published": [pair] for name, pair in known["published"].items()}
        for name, pairs in {**ours, **peers, **naive, **published}.items():
            both = np.array(pairs, dtype=np.float64)
            owa = (both / known["naive2"]).mean(1)
            numbers = [f"{v.mean():.3f}" for v in (both[:, 0], both[:, 1], owa)]
            rows.append([data, name, *numbers])
    return markdown(["data", "model", "sMAPE", "MASE", "OWA"], rows)


def engines(content: Mapping[str, Any]) -> str:
    """Time and memory of jobs, by engine and by the number of series."""
    rows = []
    for name, cell in content["cells"].items():
        if cell["part"] == "kills":
            continue
        what = name if cell["part"] == "engines" else f"local, {cell['workers']} worker"
        what += "s" if cell.get("workers", 1) > 1 else ""
        series = f"{cell['series']:,}" if cell["part"] == "growth" else "10,000"
        equal = {True: "yes", False: "NO"}.get(cell.get("equal"), "")
        memory = f"{cell['worker_mb']:.0f} / {cell['workers_mb']:.0f}"
        rows.append([what, series, f"{cell['seconds']:.1f}", memory, equal])
    head = ["engine", "series of 500 rows", "seconds", "MB, a worker / all", "the same bits"]
    return markdown(head, rows)


def engine_kills(content: Mapping[str, Any]) -> str:
    """Jobs whose workers were killed."""
    rows = []
    for engine in ("local", "ray"):
        cells = [c for c in content["cells"].values() if c.get("engine") == engine]
        counts = [sum(c[name] for c in cells) for name in ("killed", "equal", "twice")]
        rows.append([engine, str(len(cells)), *map(str, counts)])
    return markdown(["engine", "jobs", "workers killed", "equal to the bit", "rows twice"], rows)


def tune(content: Mapping[str, Any]) -> str:
    """Errors with and without the options of a search, the mean over seeds."""
    cells, rows = content["cells"].values(), []
    for table in dict.fromkeys(cell["table"] for cell in cells):
        for kind in ("defaults", "tuned"):
            own = [c for c in cells if c["table"] == table and c.get("kind") == kind]
            scores = [c["metrics"]["scores"][WHOLE] for c in own]
            told = [
                both(float(np.mean(values)), float(np.std(values, ddof=1)), 5)
                for values in (
                    [s[name] for s in scores]
                    for name in ("validation_mse", "validation_mae", "test_mse", "test_mae")
                )
            ]
            rows.append([table.replace(":", ", "), kind, str(len(own)), *told])
    head = ["table", "options", "seeds", "validation MSE", "MAE", "test MSE", "MAE"]
    return markdown(head, rows)


def storage(content: Mapping[str, Any]) -> str:
    """Random patterns that are stored by dimension, beside what is sure and what is published."""
    table = storage_table(content)
    rows = [
        [
            str(dim),
            *(f"{table.loc[(dim, n), 'measured']:,}" for n in (0, 1, 16)),
            *(f"{table.loc[(dim, n), 'sure']:.2f}" for n in (0, 1, 16)),
            f"{table.loc[(dim, 0), 'published']:.2f}",
        ]
        for dim in table.index.get_level_values("dim").unique()
    ]
    kinds = ("dense", "OutEffHop", "n = 16")
    head = ["d", *(f"measured, {k}" for k in kinds), *(f"sure, {k}" for k in kinds), "published"]
    return f"{markdown(head, rows)}\n\n{storage_claim(content)}"


def hugging_face(content: Mapping[str, Any]) -> str:
    """Kinds of models of transformers by what came of them."""
    told = {
        "equal": "softmax1 of its own, to 1e-5",
        "differs": "**not softmax1, and not refused**",
        "refused": "refused, in one line",
        "no attention": "nothing to replace, nothing changed",
        "several models": "not compared: put together of several configs",
        "not built": "not compared: these sizes do not suit it",
        "other input": "not compared: reads neither tokens nor pictures",
        "large": "not compared: not small at any of these sizes",
    }
    rows = []
    for outcome, what in told.items():
        names = [row["name"] for row in content["cells"].values() if row["outcome"] == outcome]
        rows.append([what, str(len(names)), ", ".join(names)])
    table = markdown(["what", "kinds", "names"], rows)
    return f"{table}\n\ntransformers {content['transformers']}. {made(content)}"


def dashboard(content: Mapping[str, Any]) -> str:
    """What the dashboard takes and holds, beside what was asked."""
    rows = []
    for name, cell in content["cells"].items():
        seconds, part = cell.get("seconds", 0.0), cell["part"]
        if part == "first":
            told = ("5 s, 3 s CPU", f"{seconds:.1f} s, {cell['cpu_seconds']:.1f} s CPU")
            rows.append([f"from the command to the first chart: {name}", *told])
        elif name == "other hosts":
            rows.append(["requests to other hosts", "none", str(cell["count"])])
        elif part == "clicks":
            sign = f" (progress shown after {cell['sign']:.1f} s)" if "sign" in cell else ""
            rows.append([f"click to settled, first time: {name}", "1 s", f"{seconds:.1f} s{sign}"])
        elif part == "large":
            back = cell["after"] - cell["before"]
            held = f"{cell['held']:.0f} MB after all, {back:+.0f} MB at the end"
            got = f"{seconds:.1f} s ({cell['page']}), {held}"
            asked = "every page 3 s, server 1,024 MB, back to within 100 MB"
            rows.append([f"{LARGE_TABLES[name]}", asked, got])
        elif part == "load":
            wait = f", longest wait {seconds:.1f} s" if "seconds" in cell else ""
            rows.append([name, "50 MB, 1.5 s", f"{cell['added']:+.0f} MB{wait}"])
    pages = [cell for cell in content["cells"].values() if cell["part"] == "accessible"]
    findings = sum(sum(cell["findings"].values()) for cell in pages)
    what = f"serious findings of axe, {len(pages) // 2} pages, light and dark, all parts opened"
    return markdown(["what", "asked", "got"], [*rows, [what, "none", str(findings)]])


LARGE_TABLES = {"wide": "200 columns", "long": "300,000 rows", "many": "5,000 series"}


TABLES: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "results": ("etth1.json", results),
    "etth1": ("etth1.json", etth1),
    "variants": ("variants.json", variants),
    "horizons": ("variants.json", horizons),
    "suite": ("suite.json", suite),
    "pairs": ("suite.json", pairs),
    "sharp": ("sharp.json", sharp),
    "finetuned": ("finetuned.json", sharp),
    "memory": ("memory.json", memory),
    "ablations": ("memory.json", ablations),
    "attacks": ("attack/attack.json", attacks),
    "kinds": ("reading/tables.json", kinds),
    "mixes": ("reading/tables.json", mixes),
    "m4": ("m4/m4.json", m4),
    "covariates": ("covariates/covariates.json", covariates),
    "external": ("external/external.json", external),
    "intervals": ("intervals.json", intervals),
    "adaptive": ("adaptive.json", adaptive),
    "backtests": ("backtests.json", backtests),
    "checks": ("backtests.json", checks),
    "engines": ("engines.json", engines),
    "engine-kills": ("engines.json", engine_kills),
    "tune": ("tune.json", tune),
    "league": ("league.json", standing),
    "league-point": ("league.json", league("point")),
    "league-wql": ("league.json", league("wql")),
    "storage": ("storage.json", storage),
    "dashboard": ("dashboard/dashboard.json", dashboard),
    "hugging-face": ("hugging_face/hugging_face.json", hugging_face),
    "external-associations": ("external/associations.json", associations),
    **{
        name: ("timings.json", timing(name)) for name in ("export", "associate", "latency", "speed")
    },
}
"""Every table by name: the file that it is written from, and how."""
FILES = (
    "README.md",
    *(
        f"tests/benchmarks/{n}.md"
        for n in (
            "etth1",
            "variants",
            "suite",
            "memory",
            "speed",
            "attack",
            "tables",
            "m4",
            "covariates",
            "external",
            "intervals",
            "engines",
            "dashboard",
            "tune",
            "league",
            "hugging_face",
            "theory",
        )
    ),
)
BLOCK = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def load(name: str) -> dict[str, Any]:
    """A file of results, with a link to it."""
    path = HERE / name
    content = json.loads(path.read_text()) if name == "timings.json" else read_results(path)
    return {**content, "file": f"the file is [{name}](/tests/benchmarks/{name})"}


def write(text: str, names: list[str] | None = None) -> str:
    """A text with its tables as their files say; ``names`` gathers those that it has."""

    def table(match: re.Match[str]) -> str:
        name = match[2]
        if names is not None:
            names.append(name)
        file, draw = TABLES[name]
        content = load(file)
        how = {**content, **content.get(name, {})}
        return f"{match[1]}{draw(content)}\n\n{made(how)}\n{match[3]}"

    return BLOCK.sub(table, text)


def main(check: bool) -> int:
    """Write or check all."""
    wrong = 0
    for name in FILES:
        path = PROJECT / name
        text = path.read_text(encoding="utf-8")
        written = write(text)
        if written != text and check:
            print(
                f"{name}: a table is not what its file says; run python tests/benchmarks/tables.py"
            )
            wrong = 1
        elif written != text:
            path.write_text(written, encoding="utf-8")
            print(f"{name}: written")
    return wrong


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
