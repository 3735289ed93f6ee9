"""Outliers: what every module of a run puts out, which window caused it, and what bits cost."""

import copy

import pandas as pd
import streamlit as st
from stanhop_app.ui import opening, parts, runs, selection

from stanhop_app.errors import DataError
from stanhop_app.figures.forecast import forecast_figure
from stanhop_app.figures.outliers import (
    component_figure,
    histogram_figure,
    norm_figure,
    outlier_figures,
)
from stanhop_app.outliers import PRESETS, ModuleOutliers, OutlierReport
from stanhop_app.quantization import QuantizationConfig, parse_bits, quantize
from stanhop_app.runs.measures import (
    BITS,
    calibration_batches,
    quantized_errors,
    spread,
    window_outliers,
)
from stanhop_app.runs.run import Run
from stanhop_app.runs.shown import shown
from stanhop_app.training.outlier_log import find_outliers, read_outliers

METRICS = {"max_inf_norm": "maximum infinity norm", "kurtosis": "kurtosis (3: Gaussian)"}
MOST, MOST_COLUMNS = 512, 8192
"""Windows measured, evenly spaced, and columns of all of them together: of wide tables fewer windows."""


def show() -> None:
    """The page."""
    st.title("Outliers")
    name, chosen = opening.choose_run()
    run = opening.with_table(chosen)
    if run is None:
        return
    modules = selection.one("Modules", list(PRESETS), "modules", widget="radio", horizontal=True)
    try:
        report = _report(opening.version(name, run), run, modules)
    except parts.ERRORS as error:
        parts.fail(error)
        return
    left, right, third = st.columns(3)
    left.metric("Average kurtosis (3: Gaussian)", f"{report.average_kurtosis:.2f}")
    right.metric("Maximum infinity norm", f"{report.max_inf_norm:.2f}")
    third.metric(
        "Test windows",
        f"{report.samples:,}",
        help=f"Evenly spaced over {len(run.parts['test']):,}: at most {MOST}, of all together at most "
        f"{MOST_COLUMNS:,} columns. The command below measures all.",
    )
    _cause(run, report)
    st.subheader("All modules")
    title = f"{name}, {run.forecaster.association}, test windows, split {run.fitted.split}"
    for number, figure in enumerate(outlier_figures(report.table(), report.rows, title=title)):
        parts.show(figure, f"outliers-{number}")
    st.download_button(
        "Download the table (CSV)",
        report.table().to_csv(),
        file_name="outliers.csv",
        mime="text/csv",
        key="download",
    )
    try:
        log = None if name == opening.SAMPLE else find_outliers(runs.inside(name), run.source)
        if log is not None:
            figure = norm_figure(read_outliers(log), title=f"{name}: norms during training")
            parts.show(figure, "training")
    except parts.ERRORS as error:
        parts.fail(error)
    _bits(name, run, modules)
    parts.reproduce(
        f"{opening.made(name)}stanhop outliers {opening.folder(name)} --modules {modules} "
        "--plot outliers.html",
        f"{opening.lines(name, run)}"
        "from stanhop_app.runs.measures import window_outliers\n\n"
        f"print(window_outliers(run.fitted.network.deep, run.parts['test'], {modules!r}).table())",
    )


def _cause(run: Run, report: OutlierReport) -> None:
    """The window that caused the largest activation of a module."""
    st.subheader("Which window caused it")
    ranked = sorted(report.rows, key=lambda row: row.largest, reverse=True)
    by_name: dict[str, ModuleOutliers] = {row.module: row for row in ranked}
    row = by_name[selection.one("Module", list(by_name), "module")]
    channels = ", ".join(f"{channel} ({value:.2f})" for channel, value in row.top_channels)
    steps = ", ".join(f"{step} ({value:.2f})" for step, value in row.top_steps)
    st.write(
        f"Largest activation {row.largest:.2f}. Top channels: {channels}."
        + (f" Top positions: {steps}." if steps else "")
    )
    if row.sample is None:
        st.write("Its leading dimension is none of windows.")
        return
    test = run.parts["test"]
    window = shown(run, test, int(spread(test, _most(run))[row.sample]))
    variates = list(run.fitted.columns[:3])
    which = f" of {window.series}" if window.series else ""
    figure = forecast_figure(
        window.history[variates],
        window.forecast[variates],
        actual=window.actual[variates],
        title=f"The window up to {window.history.index[-1]}{which}, its forecast and what came",
    )
    parts.show(figure, "cause")


def _bits(name: str, run: Run, modules: str) -> None:
    """Before and after quantisation, on request: it takes a while."""
    if not selection.switch("Errors at fewer bits (simulated)", "bits"):
        return
    try:
        table = _quantized(opening.version(name, run), run)
    except DataError as error:
        parts.fail(error)
        return
    st.dataframe(table.rename(columns={"change": "MSE against float"}))
    bits = selection.one(
        "Activations before and after", BITS, "before-after", widget="radio", horizontal=True
    )
    reports = _before_after(opening.version(name, run), run, bits, modules)
    where = f"float and {bits}, {_most(run)} test windows at most, split {run.fitted.split}"
    for number, (metric, label) in enumerate(METRICS.items()):
        table = pd.DataFrame({k: report.table()[metric] for k, report in reports.items()})
        title = f"{name}: {label} by module ({modules}), {where}"
        parts.show(component_figure(table, title=title, label=label), f"low-bit-{number}")
    (largest, *_) = sorted(reports["float"].rows, key=lambda row: row.max_inf_norm, reverse=True)
    same = [(k, row) for k, r in reports.items() for row in r.rows if row.module == largest.module]
    figure = histogram_figure(dict(same), f"{name}: {largest.module}, {where}")
    parts.show(figure, "low-bit-histogram")


@st.cache_data(show_spinner="Running the test windows…", max_entries=8)
def _report(version: str, _run: Run, modules: str) -> OutlierReport:
    # Hooks of another visitor's must not count here.
    deep = copy.deepcopy(_run.fitted.network.deep)
    return window_outliers(deep, _run.parts["test"], modules, most=_most(_run))


def _most(run: Run) -> int:
    """How many windows are measured."""
    return max(min(MOST, MOST_COLUMNS // len(run.fitted.columns)), 1)


@st.cache_data(show_spinner="Quantising…", max_entries=8)
def _before_after(version: str, _run: Run, bits: str, modules: str) -> dict[str, OutlierReport]:
    """Outliers of the deep part, in float and at these bits."""
    windows = _run.parts
    weights, activations = parse_bits(bits)
    config = QuantizationConfig(weight_bits=weights, activation_bits=activations)
    # Hooks of another visitor's must not count here.
    deep = copy.deepcopy(_run.fitted.network.deep)
    low = quantize(deep, calibration_batches(windows["train"]), config)
    return {
        label: window_outliers(network, windows["test"], modules, most=_most(_run))
        for label, network in (("float", deep), (bits, low))
    }


@st.cache_data(show_spinner="Quantising…", max_entries=8)
def _quantized(version: str, _run: Run) -> pd.DataFrame:
    windows = _run.parts
    configs = [
        QuantizationConfig(weight_bits=w, activation_bits=a) for w, a in map(parse_bits, BITS)
    ]
    return quantized_errors(
        _run.fitted.network, windows["train"], windows["test"], _run.table.outer_scaler, configs
    )
