"""Train: choices in, ``stanhop train`` in a process of its own, its losses out while it runs."""

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import streamlit as st
from stanhop_app.datasets import DATASETS
from stanhop_app.ui import jobs, parts, runs, watch
from stanhop_app.ui.fields import widget

from stanhop_app.command_line import flags
from stanhop_app.data.reading import ReadingConfig
from stanhop_app.data.series import SeriesTable
from stanhop_app.errors import OptionError
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.models.config import STanHopConfig, default_clip
from stanhop_app.options import defaults_of, split_names
from stanhop_app.runs.config import RunConfig
from stanhop_app.training.config import TrainingConfig
from stanhop_app.training.folder import check_folder, read_config

UPLOAD = "an upload"
WIDGETS = (
    (
        (STanHopConfig, "horizon", "Horizon (steps)"),
        (STanHopConfig, "lookback", "Lookback (steps)"),
        (RunConfig, "split", "Split: A/B/C, or etth"),
        (RunConfig, "calendar_features", "Cycles of day, week and year"),
        (RunConfig, "holidays", "Public holidays of, such as AT"),
        (RunConfig, "memory", "External memory"),
        (TrainingConfig, "seed", "Seed"),
    ),
    (
        (STanHopConfig, "association", "Association"),
        (STanHopConfig, "gate", "Gate"),
        (STanHopConfig, "feed_forward", "Feed-forward"),
        (STanHopConfig, "projection", "Projections"),
        (STanHopConfig, "linear_skip", "Linear part"),
    ),
    (
        (STanHopConfig, "patch_length", "Patch length (steps)"),
        (STanHopConfig, "dim", "Width"),
        (STanHopConfig, "num_heads", "Heads"),
        (STanHopConfig, "num_layers", "Blocks in the encoder"),
        (TrainingConfig, "max_epochs", "Epochs"),
        (TrainingConfig, "max_steps", "Steps at most"),
    ),
)
"""Options that can be chosen, by column; one more is one line."""


COVARIATES = ("future_covariates", "past_covariates", "static_covariates")


def show() -> None:
    """The page."""
    st.title("Train")
    source = st.selectbox("Data", [*DATASETS, UPLOAD], key="data")
    table, reading = (None, {}) if source != UPLOAD else _upload()
    chosen = _choices()
    horizon = chosen["horizon"]
    if (
        source in DATASETS and horizon == STanHopConfig.horizon
    ):  # that of its protocol is taken then
        horizon = DATASETS[source].horizon or horizon
    name = parts.name_field("Name of the run", f"{Path(source).stem}-h{horizon}")
    data = "-" if source == UPLOAD else source
    command = ["train", data, "--output", f"{runs.root().name}/{name}"]
    command += flags({**changed(chosen), **reading})
    left, right = st.columns(2)
    if left.button("Train", type="primary", key="train", disabled=data == "-" and table is None):
        _start(name, command, table)
    if right.button("Go on with a run that was stopped", key="resume"):
        _start(name, [*command, "--resume"], table)
    watched = st.query_params.get("training")
    known = [job.name for job in jobs.jobs() if job.command[0] == "train"]
    if known:
        index = known.index(watched) if watched in known else 0
        shown = st.selectbox("Training shown", known, index=index)
        watch.training(shown, unit="scaled units", finished=_scores)
    line = shlex.join(["stanhop", *command]).replace("train -", "train FILE", 1)
    parts.reproduce(line, _python(name, data, chosen))


def changed(chosen: dict[str, Any]) -> dict[str, Any]:
    """What differs from the defaults of forecaster, network and training."""
    defaults = defaults_of(STanHopConfig, TrainingConfig, RunConfig)
    return {name: value for name, value in chosen.items() if value != defaults[name]}


def _upload() -> tuple[bytes | None, dict[str, Any]]:
    """A table and how it is to be read; the table is None while there is none that can be."""
    reading = {"missing": widget(ReadingConfig, "missing", "Missing values and time stamps")}
    with st.expander("How it is read"):
        for name, label in (
            ("time_column", "Column of time stamps"),
            ("time_format", "How stamps are written, such as %d.%m.%y %H:%M"),
            ("time_zone", "Time zone, such as Europe/Vienna"),
            ("id_column", "Column that names series"),
            ("value_column", "Column of values, where one names series"),
            ("columns", "Columns to use, by name: OT,HUFL"),
            ("future_covariates", "Columns known ahead: price,promo"),
            ("past_covariates", "Columns known up to now: weather"),
            ("static_covariates", "Columns of a series: its kind"),
            ("frequency", "Frequency, such as h, 15min, D"),
            ("encoding", "Encoding, such as cp1252"),
            ("skip_rows", "Lines before the names"),
            ("header_rows", "Rows of names"),
            ("decimal", "Decimal mark"),
            ("thousands", "Mark that groups digits"),
        ):
            reading[name] = widget(ReadingConfig, name, label)
    defaults = defaults_of(ReadingConfig)
    reading = {name: value for name, value in reading.items() if value != defaults[name]}
    given = dict(reading)
    try:
        listed = {n: split_names(given[n]) for n in set(given) & {"columns", *COVARIATES}}
    except OptionError as error:
        st.error(str(error))
        return None, reading
    given |= listed
    content = parts.upload_content("A table (CSV, Parquet or Excel)")
    if content is None:
        return None, reading
    frame = parts.parse(content, given)
    if frame is None:
        return None, reading
    if isinstance(frame, SeriesTable):
        many = f"{len(frame):,} series, " if frame.id_name else ""
        known = frame.covariates
        beside = f", covariates {', '.join(known.roles.names)}" if known is not None else ""
        st.caption(f"{many}{len(frame.frame):,} rows x {len(frame.frame.columns)} columns{beside}")
    else:
        st.caption(f"{len(frame):,} rows x {len(frame.columns)} variates, {frame.index[0]} on")
    return content.getvalue(), reading


def _choices() -> dict[str, Any]:
    """Widgets of the options; their values by the names of the library."""
    chosen: dict[str, Any] = {}
    for column, wanted in zip(st.columns(3), WIDGETS, strict=True):
        for config, name, label in wanted:
            chosen[name] = widget(config, name, label, column)
    steps = min(chosen["lookback"], STanHopConfig.deep_lookback)
    gamma, zeta = default_clip(-(-steps // chosen["patch_length"]))
    clipped = st.toggle(f"Clipped retrieval, gamma {gamma:.3f}, zeta {zeta:g}", key="clip")
    chosen["clip"] = (gamma, zeta) if clipped else None
    return chosen


def _start(name: str, command: list[str], table: bytes | None) -> None:
    try:
        jobs.check_name(name)
        check_folder(runs.inside(name), read_config, resume="--resume" in command, force=False)
        jobs.start(name, command, table)
    except parts.ERRORS as error:
        st.error(str(error))
        return
    st.query_params["training"] = name


def _scores(folder: Path) -> None:
    """Scores of a finished run, and the way to its forecast."""
    st.markdown(f"[Forecast with it](./?run={quote(folder.name)})")
    try:
        metrics = read_config(folder)["metrics"]
        if metrics["warning"]:
            st.warning(metrics["warning"])
        st.write(f"Scaled units, split {metrics['split']}")
        st.dataframe(pd.DataFrame(metrics["scores"]).T.round(4))
    except (*parts.ERRORS, KeyError, TypeError, ValueError) as error:
        st.error(f"{folder}: damaged ({error}).")


def _python(name: str, data: str, chosen: dict[str, Any]) -> str:
    own = set(STanHopForecaster().get_params())
    of_network = {field.name for field in fields(STanHopConfig)} - own
    options = changed(chosen)
    arguments = {k: v for k, v in options.items() if k in own}
    for group, names in (("network", of_network), ("training", {"max_steps"})):
        if inside := {k: v for k, v in options.items() if k in names}:
            arguments[group] = inside
    arguments.setdefault("horizon", chosen["horizon"])
    listed = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    load = "datasets.load" if data in DATASETS else "pandas.read_csv"
    source = data if data in DATASETS else "FILE.csv"
    head = "import pandas\n" if data not in DATASETS else ""
    imports = "STanHopForecaster, datasets" if data in DATASETS else "STanHopForecaster"
    return (
        f"{head}from stanhop_app import {imports}\n\n"
        f"forecaster = STanHopForecaster({listed})\n"
        f"forecaster.fit({load}({source!r}))\nforecaster.save({parts.literal(name)})"
    )
