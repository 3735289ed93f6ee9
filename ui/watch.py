"""Commands that the dashboard started, as pages show them: losses of a training, words of a comparison."""

import csv
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st
from stanhop_app.ui import jobs, parts, runs, selection
from stanhop_app.ui.labels import in_words

from stanhop_app.figures.curves import curves_figure
from stanhop_app.files import read_plain
from stanhop_app.training.folder import CHECKPOINT, CONFIG, HISTORY, STEPS

SECONDS = 1.0
"""Seconds between two looks at a running command."""


def training(
    name: str,
    *,
    unit: str,
    finished: Callable[[Path], None],
    table: bytes | None = None,
) -> None:
    """Losses of one training, by themselves anew while it runs; where it was stopped, a button to go on.

    Args:
        name: of the job and the run.
        unit: of the losses.
        finished: shows what a finished run holds.
        table: what the page was brought; a training of such a table needs it again to go on.
    """
    job = jobs.find(name)
    every = SECONDS if job is not None and job.running else None
    st.fragment(_losses, run_every=every)(name, every is not None, unit, finished, table)


def steps(name: str) -> pd.DataFrame:
    """What a training wrote of its steps; empty while there is nothing."""
    return _rows(runs.inside(name) / STEPS)


def link_to_forecast(name: str) -> None:
    """A button to the forecast of a run, in this tab."""
    if st.button("Forecast with it", key=f"forecast-{name}"):
        selection.choose("run", name)
        selection.go("")


def comparisons(*command: str) -> None:
    """What comparisons that were started with these words said last."""
    for job in jobs.jobs():
        if job.command[: len(command)] == command:
            every = 2 * SECONDS if job.running else None
            st.fragment(_words, run_every=every)(job.name, job.running)


def _losses(
    name: str,
    was_running: bool,
    unit: str,
    finished: Callable[[Path], None],
    table: bytes | None,
) -> None:
    job = jobs.find(name)
    if job is None:
        st.error(f"{name}: its record is gone.")
        return
    folder = runs.inside(name)
    running = job.running
    if was_running and not running:
        st.rerun()
    config = folder / CONFIG
    done = config.exists() and config.stat().st_mtime >= job.started
    steps, epochs = _rows(folder / STEPS), _rows(folder / HISTORY)
    if running:
        share = steps["step"].iloc[-1] / steps["total_steps"].iloc[-1] if len(steps) else 0.0
        where = f"step {steps['step'].iloc[-1]:.0f}" if len(steps) else "reading the data"
        st.progress(share, f"{name} is training: {where}")
        if st.button("Stop it", key="stop"):
            job.stop()
    elif done:
        st.success(f"{name} is trained.")
    elif (folder / CHECKPOINT).exists():
        _stopped(job, table)
    elif not folder.exists() and _last(job).startswith("Next: "):
        st.info(f"{name} was trained, and its folder is gone.")
    else:
        st.error(f"{name} failed: {_last(job)}")
    if len(steps) and (running or _written(folder / STEPS) >= job.started):
        curves = {"training": (list(steps["step"]), list(steps["train_loss"]))}
        if len(epochs):
            curves["validation"] = (list(epochs["step"]), list(epochs["validation_loss"]))
        title = f"{name}: loss in {unit}, mean of 20 steps; validation by epoch"
        parts.show(curves_figure(curves, x="optimiser step", y="loss", title=title), "losses")
        st.download_button(
            "Download the losses (CSV)", steps.to_csv(index=False), f"{name}-steps.csv", "text/csv"
        )
    if not running and done:
        finished(folder)


def _stopped(job: jobs.Job, table: bytes | None) -> None:
    """What a stopped training said last, and a button that goes on by the command that started it."""
    st.warning(f"{job.name} was stopped. It said last: {_last(job)}")
    command = [*(word for word in job.command if word != "--resume"), "--resume"]
    if command[1] == "-" and table is None:
        st.caption("To go on, bring its table again above.")
        return
    if st.button("Go on with it", key="resume"):
        try:
            jobs.start(job.name, command, table if command[1] == "-" else None, writes=(job.name,))
        except parts.ERRORS as error:
            parts.fail(error)
            return
        st.rerun()
    st.code(shlex.join(["stanhop", *command]), language="bash", wrap_lines=True)


def _last(job: jobs.Job) -> str:
    """What a command said last, in the words of the pages."""
    messages = job.messages()
    return in_words(messages[-1].removeprefix("Error: ")) if messages else "nothing"


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _words(name: str, was_running: bool) -> None:
    """What a comparison said last; when it ends, the page is drawn anew with its results."""
    job = jobs.find(name)
    if job is None:
        return
    last = _last(job) if job.messages() else "reading the data"
    if not job.running:
        if was_running:
            st.rerun()
        st.caption(f"{name} ended: {last}")
        return
    st.write(f"{name}: {last}")
    if st.button("Stop it", key=f"stop-{name}"):
        job.stop()


def _rows(file: Path) -> pd.DataFrame:
    """A CSV that the training writes; empty while there is none."""
    try:
        lines = read_plain(file).decode().splitlines()
        return pd.DataFrame([{k: float(v) for k, v in r.items()} for r in csv.DictReader(lines)])
    except (OSError, ValueError, TypeError, AttributeError):  # not there yet, or not ours
        return pd.DataFrame()
