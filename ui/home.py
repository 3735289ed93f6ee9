"""Runs: all of them in one table, to be sorted, searched, compared, noted, renamed and discarded."""

import time
from typing import Any

import pandas as pd
import streamlit as st
from stanhop_app.ui import jobs, parts, runs, selection, shelf, watch

from stanhop_app.errors import ArtefactError, shown
from stanhop_app.figures.curves import curves_figure

MOST_COMPARED, LONGEST_NOTE = 5, 10_000
COLUMNS = {
    "gain": st.column_config.NumberColumn(
        "gain on it", format="percent", help="Share of the best baseline's squared error."
    ),
    "MSE": st.column_config.NumberColumn(format="%.4f"),
    "baseline MSE": st.column_config.NumberColumn(format="%.4f"),
    "MB": st.column_config.NumberColumn(format="%.1f"),
}


def show() -> None:
    """The page."""
    st.title("Runs")
    _training()
    names = [*runs.run_names(), *runs.export_names()]
    if not names:
        st.info(f"No runs in {runs.root()} yet.")
        if st.button("Train one", type="primary", key="to-train"):
            selection.go("train")
        parts.reproduce("stanhop train sample --output runs/sample", "# see the page Train")
        return
    table = listed(names)
    sought = st.text_input("Search", key="search", placeholder="name, data or note").strip().lower()
    if sought:
        rows = table[["run", "data", "note"]].to_numpy()
        table = table[[sought in " ".join(map(str, row)).lower() for row in rows]]
    chosen = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        # Marks are numbers of rows: where the rows change, nothing is marked.
        key=f"runs-table-{hash(tuple(table['run']))}",
        column_config=COLUMNS,
        alt="All runs with their scores",
    )
    marked = [str(table["run"].iloc[row]) for row in chosen.selection.rows if row < len(table)]
    if not marked:
        st.caption("Mark one run to open, note, rename or discard it, two to five to compare them.")
    elif len(marked) == 1:
        _one(marked[0])
    else:
        _compare(marked[:MOST_COMPARED])
        if len(marked) > MOST_COMPARED:
            st.caption(f"The first {MOST_COMPARED} of {len(marked)} marked runs.")


def listed(names: list[str]) -> pd.DataFrame:
    """One row a run, the latest first."""
    started = {job.name for job in jobs.jobs() if job.command[0] == "train"}
    exported = set(runs.export_names())
    return pd.DataFrame([_row(name, name in exported, name in started) for name in names])


def _row(name: str, exported: bool, here: bool) -> dict[str, Any]:
    known = shelf.facts(name)
    damaged = isinstance(known, ArtefactError)
    told = shelf.UNKNOWN if isinstance(known, ArtefactError) else known
    return {
        "run": name,
        "data": told.data,
        "until": told.until,
        "horizon": told.horizon,
        "MSE": told.mse,
        "best baseline": told.baseline,
        "baseline MSE": told.baseline_mse,
        "gain": told.gain,
        "part": told.part,
        "kind": "damaged" if damaged else "export" if exported else "run",
        "finished": pd.Timestamp(runs.modified(name), unit="s").floor("s"),
        "by": "dashboard" if here else "command line",
        "MB": shelf.megabytes(name),
        "note": shelf.note(name),
        "warning": shown(str(known)) if damaged else told.warning,
    }


def _one(name: str) -> None:
    """What can be done with one run."""
    st.subheader(parts.plain(name))
    left, middle, right = st.columns(3)
    if left.button("Open its forecast", type="primary", key=f"open-{name}"):
        selection.choose("run", name)
        selection.go("")
    with middle.popover("Rename"):
        new = st.text_input("New name", name, key=f"new-{name}").strip()
        if st.button("Rename it", key=f"rename-{name}", disabled=new == name) and _done(
            lambda: shelf.rename(name, new)
        ):
            selection.choose("run", new)
            st.rerun()
    with right.popover("Discard"):
        st.write(
            f"{parts.plain(name)} is moved to {runs.root().name}/{shelf.TRASH}, and can be taken back there."
        )
        if st.button("Discard it", key=f"discard-{name}") and _done(lambda: shelf.discard(name)):
            st.rerun()
    # What another visitor has written meanwhile is shown, and only what is typed here is kept.
    key = f"note-{name}"
    st.session_state[key] = shelf.note(name)
    st.text_area(
        "Note",
        key=key,
        max_chars=LONGEST_NOTE,
        on_change=lambda: shelf.set_note(name, st.session_state[key]),
    )


def _done(act: Any) -> bool:
    """Whether it could be done; else why not is shown."""
    try:
        act()
    except (*parts.ERRORS, OSError) as error:
        parts.fail(error)
        return False
    return True


def _compare(names: list[str]) -> None:
    """Scores of several runs, side by side; a warning where they are not of one table and horizon."""
    st.subheader("Compared")
    known = {name: shelf.facts(name) for name in names}
    good = {name: f for name, f in known.items() if isinstance(f, shelf.Facts)}
    for name in set(names) - set(good):
        st.error(f"{name}: damaged.")
    alike = {(f.data, f.until, f.horizon, f.part) for f in good.values()}
    if len(alike) > 1:
        st.warning(
            "They differ in table, last row, horizon or part: their errors cannot be compared."
        )
    st.dataframe(
        pd.DataFrame(
            {
                name: {
                    "data": f.data,
                    "until": f.until,
                    "horizon": str(f.horizon),
                    f"{f.part} MSE": f"{f.mse:.4f}" if f.mse is not None else "",
                    "best baseline": f"{f.baseline} {f.baseline_mse:.4f}" if f.baseline_mse else "",
                    "gain": f"{f.gain:.1%}" if f.gain is not None else "",
                }
                for name, f in good.items()
            }
        )
    )


def _training() -> None:
    """Trainings that run now, by themselves anew."""
    running = [job for job in jobs.jobs() if job.running and job.command[0] == "train"]
    for job in running:
        st.fragment(_progress, run_every=watch.SECONDS)(job.name)


def _progress(name: str) -> None:
    job = jobs.find(name)
    if job is None or not job.running:
        st.rerun()
    assert job is not None
    steps = watch.steps(name)
    if steps.empty:
        st.progress(0.0, f"{name}: reading the data")
        return
    last = steps.iloc[-1]
    share = min(max(last["step"] / last["total_steps"], 0.0), 1.0)
    spent = time.time() - job.started
    left = f", at most {spent * (1 - share) / share:,.0f} s left" if share > 0 else ""
    st.progress(share, f"{name}: step {last['step']:.0f}, loss {last['train_loss']:.4f}{left}")
    curve = {"training": (list(steps["step"]), list(steps["train_loss"]))}
    with st.expander("Losses"):
        title = f"{name}: loss, mean of 20 steps"
        parts.show(curves_figure(curve, x="optimiser step", y="loss", title=title), f"loss-{name}")
