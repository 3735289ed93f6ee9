"""Train: choices in, ``stanhop train`` in a process of its own, its losses out while it runs."""

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from stanhop_app.datasets import DATASETS
from stanhop_app.ui import jobs, labels, opening, parts, runs, selection, watch
from stanhop_app.ui.fields import UNSET, key_of, widget
from stanhop_app.ui.understood import LISTS, Brought, bring

from stanhop_app.command_line import flags
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import StanhopError
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.forecasting.suited import grouped, suited_to, suited_to_series, usual_horizon
from stanhop_app.models.config import STanHopConfig, default_clip
from stanhop_app.options import defaults_of, split_names
from stanhop_app.runs.config import RunConfig
from stanhop_app.training.config import TrainingConfig
from stanhop_app.training.folder import check_folder, read_config

UPLOAD = "an upload"
FOLLOWS = ("horizon", "lookback", "split", "patch_length")
"""Options whose defaults follow the table."""
DEFAULT_OPTIONS = defaults_of(STanHopConfig, TrainingConfig, RunConfig)


def show() -> None:
    """The page."""
    st.title("Train")
    source = st.selectbox("Data", [UPLOAD, *DATASETS], key="data")
    brought = bring() if source == UPLOAD else None
    chosen, follows = _choices(source, brought)
    stem = Path(source).stem if source != UPLOAD else brought.stem if brought else "table"
    name = parts.name_field("Name of the run", _free(f"{stem}-h{chosen['horizon']}"))
    command = ["train", source if source != UPLOAD else "-"]
    told = {k: v for k, v in chosen.items() if k in follows} | changed(chosen)
    command += ["--output", f"{runs.root().name}/{name}", *flags(told)]
    if brought is not None:
        command += [*flags(brought.options), "--name", brought.name]
    problem = _problem(source, brought, chosen, name)
    if problem is not None:
        parts.fail(problem)
    waits = problem is not None or (source == UPLOAD and brought is None)
    if st.button("Train", type="primary", key="train", disabled=waits):
        _start(name, command, None if brought is None else brought.content)
    known = [job.name for job in jobs.jobs() if job.command[0] == "train"]
    if known:
        shown = selection.one("Training shown", known, "training")
        table = None if brought is None else brought.content
        watch.training(shown, unit="scaled units", finished=_scores, table=table)
    parts.reproduce(_line(command, brought), _python(name, source, brought, chosen))


def changed(chosen: dict[str, Any]) -> dict[str, Any]:
    """What differs from the defaults of forecaster, network and training."""
    return {name: value for name, value in chosen.items() if value != DEFAULT_OPTIONS[name]}


def _choices(source: str, brought: Brought | None) -> tuple[dict[str, Any], set[str]]:
    """Widgets of the options; their values by the names of the library, and those that the data decides.

    The command line would decide these by itself where nobody tells them: they are told.
    """
    first = _horizon(source, brought)
    key = key_of("horizon")
    horizon = int(st.session_state.get(key) or first)
    if st.session_state.get(f"{key}-suits") not in (None, first):
        horizon = first if horizon == st.session_state[f"{key}-suits"] else horizon
    suits: dict[str, Any] = {"horizon": first}
    if brought is not None:
        suits |= _suited(brought, horizon)
    elif source in DATASETS and DATASETS[source].split is not None:
        suits["split"] = DATASETS[source].split
    chosen: dict[str, Any] = {}
    for column, wanted in zip(st.columns(3), labels.TRAINING, strict=True):
        for config, name, label in wanted:
            default = suits.get(name, DEFAULT_OPTIONS[name]) if name in FOLLOWS else UNSET
            chosen[name] = widget(config, name, label, column, default=default)
    steps = min(chosen["lookback"], STanHopConfig.deep_lookback)
    gamma, zeta = default_clip(-(-steps // chosen["patch_length"]))
    clipped = st.toggle(f"Clipped retrieval, gamma {gamma:.3f}, zeta {zeta:g}", key="clip")
    chosen["clip"] = (gamma, zeta) if clipped else None
    usual = {name for name, value in suits.items() if value == DEFAULT_OPTIONS[name]}
    return chosen, set(suits) - usual


def _horizon(source: str, brought: Brought | None) -> int:
    """Steps that are forecast by default: as published, or as is usual at the table's frequency."""
    if brought is not None:
        return max(1, min(usual_horizon(brought.frequency), brought.rows // 5))
    published = DATASETS[source].horizon if source in DATASETS else None
    return int(published or STanHopConfig.horizon)


def _suited(brought: Brought, horizon: int) -> dict[str, Any]:
    """What the table's rows need; nothing where they are too few, which `_problem` tells."""
    try:
        suits = suited_to(brought.table, horizon)
    except StanhopError:
        return {}
    return {name: value for name, value in suits.items() if name in FOLLOWS}


def _problem(
    source: str, brought: Brought | None, chosen: dict[str, Any], name: str
) -> StanhopError | None:
    """What would fail after the button was pressed."""
    try:
        jobs.check_name(name)
        if source == UPLOAD and brought is not None:
            suited_to(brought.table, chosen["horizon"])
            parts.check_rows(brought.table, chosen)
    except StanhopError as error:
        return error
    return None


def _free(name: str) -> str:
    """The name, or with a number behind it where there is a folder or a job of that name."""
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return next(n for n in names if not (runs.root() / n).exists() and jobs.find(n) is None)


def _start(name: str, command: list[str], table: bytes | None) -> None:
    try:
        jobs.check_name(name)
        check_folder(runs.inside(name), read_config, resume=False, force=False)
        jobs.start(name, command, table)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    selection.choose("training", name)


def _scores(folder: Path) -> None:
    """Scores of a finished run, and the way to its forecast."""
    watch.link_to_forecast(folder.name)
    try:
        metrics = read_config(folder)["metrics"]
        if metrics["warning"]:
            st.warning(metrics["warning"])
        st.write(f"Scaled units, split {metrics['split']}")
        st.dataframe(pd.DataFrame(metrics["scores"]).T.round(4))
    except (*parts.ERRORS, KeyError, TypeError, ValueError) as error:
        st.error(f"{folder}: damaged ({error}).")


def _line(command: list[str], brought: Brought | None) -> str:
    """The command with the file's name, which the dashboard was sent without its folder."""
    if command[1] != "-":
        return shlex.join(["stanhop", *command])
    if brought is None:
        return shlex.join(["stanhop", *command]).replace("train -", "train FILE", 1)
    words = [*command[: command.index("--name")], *command[command.index("--name") + 2 :]]
    file = f"./{brought.name}" if brought.name.startswith("-") else brought.name
    return shlex.join(["stanhop", "train", file, *words[2:]])


def _python(name: str, source: str, brought: Brought | None, chosen: dict[str, Any]) -> str:
    own = set(STanHopForecaster().get_params())
    of_network = {field.name for field in fields(STanHopConfig)} - own
    options = changed(chosen)
    arguments = {k: v for k, v in options.items() if k in own}
    for group, names in (("network", of_network), ("training", {"max_steps"})):
        if inside := {k: v for k, v in options.items() if k in names}:
            arguments[group] = inside
    if brought is not None and isinstance(brought.table, SeriesTable) and brought.table.id_name:
        # What the command line chooses of many series where nobody does.
        suits = grouped(suited_to_series(brought.table, chosen["horizon"]))
        suits |= {key: chosen[key] for key in ("lookback", "split")}
        suits["network"] = {"patch_length": chosen["patch_length"]}
        for key, value in suits.items():
            nested = isinstance(value, dict)
            arguments[key] = {**value, **arguments.get(key, {})} if nested else value
    arguments.setdefault("horizon", chosen["horizon"])
    listed = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    save = f"forecaster.save({opening.literal(name)})"
    if source in DATASETS:
        return (
            "from stanhop_app import STanHopForecaster, datasets\n\n"
            f"forecaster = STanHopForecaster({listed})\n"
            f"forecaster.fit(datasets.load({source!r}))\n{save}"
        )
    file = "FILE" if brought is None else brought.name
    options = {} if brought is None else brought.options
    read = {k: split_names(v) if k in LISTS else v for k, v in options.items()}
    given = "".join(f", {key}={value!r}" for key, value in read.items())
    return (
        "from stanhop_app import STanHopForecaster\n"
        "from stanhop_app.data.series import read_any\n\n"
        f"forecaster = STanHopForecaster({listed})\n"
        f"forecaster.fit(read_any({file!r}{given}))\n{save}"
    )
