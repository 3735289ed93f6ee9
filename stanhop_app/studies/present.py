"""What the commands and the dashboard show of the results of an experiment of `stanhop_app.theory`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from shlex import quote
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from stanhop_app.errors import ArtefactError, OptionError, StanhopError
from stanhop_app.figures.curves import curves_figure
from stanhop_app.figures.theory import convergence_figures, memory_curves, scaling_figure
from stanhop_app.studies import bound, capacity, convergence, scaling, storage
from stanhop_app.studies.cells import DAMAGED
from stanhop_app.studies.sizes import DIMS, REPEATS, TEXT, WIDTHS


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One page."""

    title: str
    verdict: str
    """The finding, in a sentence."""
    command: str
    """The command that makes these results, but for ``--output`` and ``--report``."""
    table: pd.DataFrame
    figures: list[go.Figure]


def present(content: Mapping[str, Any]) -> Shown:
    """Title, finding, table and figures of a results file.

    Raises:
        OptionError: if it is of no experiment that is known.
        ArtefactError: if it is damaged.
    """
    kind = content.get("kind")
    if kind not in PRESENTERS:
        raise OptionError(f"results of an unknown experiment ({kind!r}).")
    try:
        return PRESENTERS[kind](content)
    except DAMAGED as error:
        if isinstance(error, StanhopError):
            raise
        raise ArtefactError(f"results of {kind} are damaged ({error!r}).") from error


def _memories(content: Mapping[str, Any]) -> Shown:
    options, kind = content["options"], content["kind"]
    warmth = "" if kind == "temperature" else f"beta {options['beta']:g}, "
    where = f"{options['data']}, {warmth}{options['steps']} steps, {options['repeats']} repeats"
    x = {
        "capacity": "stored patterns",
        "noise": "norm of the noise / norm of a pattern",
        "temperature": "beta (patterns have norm 1)",
    }[kind]
    table = capacity.memory_table(content)
    return Shown(
        title=f"{kind.title()}: {where}",
        verdict=capacity.claim(content),
        command=(
            f"stanhop theory {kind} --data {quote(str(options['data']))}"
            + ("" if kind == "temperature" else f" --beta {options['beta']:g}")
            + f" --steps {options['steps']}"
            + ("" if kind == "capacity" else f" --stored {options['stored']}")
            + (" --full" if options["repeats"] == REPEATS["full"] else "")
        ),
        table=table[
            ["retrieved", "nearest", "error", "error_sd", "median_distance", "median_bound"]
        ],
        figures=memory_curves(table, x=x, title=where, log=kind == "temperature"),
    )


def _convergence(content: Mapping[str, Any]) -> Shown:
    options, table = content["options"], convergence.convergence_table(content)
    largest = int(table.index.get_level_values("samples").max())
    where = f"ViT of width {options['dim']}, {options['data']}, {table['seeds'].min()} seeds"
    return Shown(
        title=f"Convergence: {where}",
        verdict=convergence.convergence_claim(content),
        command=(
            f"stanhop theory convergence --data {quote(str(options['data']))} --dim {options['dim']} "
            f"--max-steps {options['max_steps']} --associations {_listed(content, 'association')} "
            f"--sizes {_listed(content, 'samples')} --seeds {_listed(content, 'seed')}"
        ),
        table=table,
        figures=convergence_figures(
            convergence.curve_table(content, largest), table, samples=largest, title=where
        ),
    )


def _scaling(content: Mapping[str, Any]) -> Shown:
    steps = content["options"]["max_steps"]
    table, fit = scaling.scaling_table(content), scaling.fit_exponent(content)
    return Shown(
        title="N against D: random labels learned by heart",
        verdict=fit.verdict,
        command="stanhop theory scaling" + (" --full" if steps == WIDTHS["full"][2] else ""),
        table=table.set_index(["dim", "seed"]),
        figures=[scaling_figure(table, fit)],
    )


def _storage(content: Mapping[str, Any]) -> Shown:
    options, table = content["options"], storage.storage_table(content)
    where = f"norm {options['scale']:g} sqrt(d - 1), beta {options['beta']:g}"
    curves = {}
    for n, name in ((0, "dense"), (1, "OutEffHop"), (16, "OutEffHop, n = 16")):
        rows = table.xs(n, level="n")
        curves[name] = (rows.index.tolist(), rows["measured"].tolist())
    sure = table.xs(1, level="n")
    curves["sure of OutEffHop"] = (sure.index.tolist(), sure["sure"].tolist())
    curves["published of dense"] = (sure.index.tolist(), sure["published"].tolist())
    figure = curves_figure(
        curves, x="dimension d", y="random patterns stored", title=f"Storage: {where}"
    )
    figure.update_yaxes(type="log")
    dims = tuple(sure.index)
    return Shown(
        title=f"Storage: {where}",
        verdict=storage.storage_claim(content),
        command=(
            f"stanhop theory storage --scale {options['scale']:g} --beta {options['beta']:g} "
            f"--share {options['share']:g}" + (" --full" if dims == DIMS["full"] else "")
        ),
        table=table,
        figures=[figure],
    )


def _bound(content: Mapping[str, Any]) -> Shown:
    (cell,) = content["cells"].values()
    result = bound.Bound(**{field.name: cell[field.name] for field in fields(bound.Bound)})
    ends = [result.steps[0], result.steps[-1]]
    curves = {
        "training": (result.steps, result.train),
        "validation": (result.steps, result.validation),
        "claim: at least 1": (ends, [bound.CLAIM] * 2),
        "entropy of tokens": (ends, [result.unigram] * 2),
        "entropy of pairs": (ends, [result.bigram] * 2),
    }
    values = [2 ** (i / 4) for i in range(-8, 14)]
    table = pd.DataFrame(
        {
            "tokens": result.tokens,
            "steps": result.steps[-1],
            "training": result.final,
            "validation": result.validation[-1],
            "entropy of tokens": result.unigram,
            "entropy of pairs": result.bigram,
        },
        index=pd.Index([result.data], name="nats a token"),
    )
    title = f"OPT overfitted on {result.tokens:,} tokens of {result.data}"
    return Shown(
        title=title,
        verdict=result.verdict,
        command=f"stanhop theory bound --data {quote(result.data)}"
        + (" --full" if content["options"]["characters"] == TEXT["full"][0] else ""),
        table=table,
        figures=[
            curves_figure(curves, x="optimiser step", y="nats a token", title=title),
            curves_figure(
                {"log Z + 1/Z": (values, bound.partition_curve(values))},
                x="Z",
                y="nats",
                title="The paper's bound: least, 1, at Z = 1",
            ),
        ],
    )


def _listed(content: Mapping[str, Any], name: str) -> str:
    """Values of the cells, once each, as an option takes them."""
    values = dict.fromkeys(cell[name] for cell in content["cells"].values())
    return quote(",".join(map(str, values)))


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A subcommand of ``stanhop theory`` that needs no run."""

    sentence: str
    """What it measures."""
    data: tuple[str, ...] = ()
    """What it can be made on."""


IMAGES = ("digits", "mnist-5k", "fashion-mnist")
EXPERIMENTS = {
    "capacity": Experiment(
        sentence="Share of half-masked patterns retrieved against the number stored.",
        data=(*IMAGES, "photo-patches"),
    ),
    "noise": Experiment(
        sentence="Share of noisy patterns retrieved against the norm of the noise.",
        data=(*IMAGES, "photo-patches"),
    ),
    "temperature": Experiment(
        sentence="Share of half-masked patterns retrieved against beta.",
        data=(*IMAGES, "photo-patches"),
    ),
    "convergence": Experiment(
        sentence="How fast a small ViT learns under each association, and its error by images.",
        data=IMAGES,
    ),
    "storage": Experiment(
        sentence="How many random patterns are stored against their dimension (theorem 3.3)."
    ),
    "scaling": Experiment(
        sentence="How many random labels networks of several widths learn by heart."
    ),
    "bound": Experiment(
        sentence='An overfitted OPT beside "the cross-entropy is at least 1".',
        data=("python-docs", "shakespeare"),
    ),
}
"""Experiments by name of the subcommand."""
PRESENTERS: dict[str, Callable[[Mapping[str, Any]], Shown]] = {
    "capacity": _memories,
    "noise": _memories,
    "temperature": _memories,
    convergence.KIND: _convergence,
    storage.KIND: _storage,
    scaling.KIND: _scaling,
    bound.KIND: _bound,
}
"""What shows results, by their kind."""
