"""Outliers: what every module of a run puts out, which window caused it, and what bits cost."""

import copy

import pandas as pd
import streamlit as st
from stanhop_app.ui import parts, runs

from stanhop_app.errors import DataError
from stanhop_app.figures.forecast import forecast_figure
from stanhop_app.figures.outliers import (
    component_figure,
    histogram_figure,
    norm_figure,
    outlier_figures,
)
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.outliers import PRESETS, ModuleOutliers, OutlierReport
from stanhop_app.quantization import QuantizationConfig, parse_bits, quantize
from stanhop_app.runs.measures import (
    BITS,
    calibration_batches,
    quantized_errors,
    run_parts,
    window_outliers,
)
from stanhop_app.training.outlier_log import OUTLIERS, read_outliers

METRICS = {"max_inf_norm": "maximum infinity norm", "kurtosis": "kurtosis (3: Gaussian)"}
MOST = 512
"""Windows measured, evenly spaced."""


def show() -> None:
    """The page."""
    st.title("Outliers")
    name, forecaster = parts.choose_run()
    frame = parts.run_frame(forecaster)
    if frame is None:
        return
    modules = st.radio("Modules", list(PRESETS), horizontal=True, key="modules")
    try:
        report = _report(parts.version(name, frame), forecaster, frame, modules)
    except parts.ERRORS as error:
        st.error(str(error))
        return
    left, right, third = st.columns(3)
    left.metric("Average kurtosis (3: Gaussian)", f"{report.average_kurtosis:.2f}")
    right.metric("Maximum infinity norm", f"{report.max_inf_norm:.2f}")
    third.metric("Test windows", f"{report.samples:,}")
    title = f"{name}, {forecaster.association}, test windows, split {forecaster.split}"
    for number, figure in enumerate(outlier_figures(report.table(), report.rows, title=title)):
        parts.show(figure, f"outliers-{number}")
    st.download_button(
        "Download the table (CSV)",
        report.table().to_csv(),
        file_name="outliers.csv",
        mime="text/csv",
        key="download",
    )
    _cause(forecaster, frame, report)
    if name != parts.SAMPLE and (runs.inside(name) / OUTLIERS).exists():
        log = read_outliers(runs.inside(name) / OUTLIERS)
        parts.show(norm_figure(log, title=f"{name}: norms during training"), "training")
    _bits(name, forecaster, frame, modules)
    parts.reproduce(
        f"stanhop outliers runs/{name} --modules {modules} --plot outliers.html",
        "from stanhop_app.runs.measures import run_parts, window_outliers\n\n"
        "windows = run_parts(forecaster, frame)['test']\n"
        f"print(window_outliers(forecaster.network_.deep, windows, {modules!r}).table())",
    )


def _cause(forecaster: STanHopForecaster, frame: pd.DataFrame, report: OutlierReport) -> None:
    """The window that caused the largest activation of a module."""
    st.subheader("Which window caused it")
    ranked = sorted(report.rows, key=lambda row: row.largest, reverse=True)
    by_name: dict[str, ModuleOutliers] = {row.module: row for row in ranked}
    row = by_name[st.selectbox("Module", list(by_name), key="module")]
    channels = ", ".join(f"{channel} ({value:.2f})" for channel, value in row.top_channels)
    steps = ", ".join(f"{step} ({value:.2f})" for step, value in row.top_steps)
    st.write(
        f"Largest activation {row.largest:.2f}. Top channels: {channels}."
        + (f" Top positions: {steps}." if steps else "")
    )
    if row.sample is None:
        st.write("Its leading dimension is none of windows.")
        return
    test = run_parts(forecaster, frame)["test"]
    origin = max(test.first, test.lookback) + row.sample * len(test) // min(MOST, len(test))
    window = frame.iloc[origin - forecaster.lookback : origin]
    target = frame.iloc[origin : origin + forecaster.horizon]
    variates = forecaster.columns_[:3]
    prediction = forecaster.predict(window)
    assert isinstance(prediction, pd.DataFrame)
    figure = forecast_figure(
        window[variates],
        prediction[variates],
        actual=target[variates],
        title=f"The window up to {window.index[-1]}, its forecast and what came",
    )
    parts.show(figure, "cause")


def _bits(name: str, forecaster: STanHopForecaster, frame: pd.DataFrame, modules: str) -> None:
    """Before and after quantisation, on request: it takes a while."""
    if not st.toggle("Errors at fewer bits (simulated)", key="bits"):
        return
    try:
        table = _quantized(parts.version(name, frame), forecaster, frame)
    except DataError as error:
        st.error(str(error))
        return
    st.dataframe(table.rename(columns={"change": "MSE against float"}))
    bits = st.radio("Activations before and after", BITS, horizontal=True, key="before-after")
    found = _before_after(parts.version(name, frame), forecaster, frame, bits, modules)
    where = f"float and {bits}, {MOST} test windows at most, split {forecaster.split}"
    for number, (metric, label) in enumerate(METRICS.items()):
        table = pd.DataFrame({k: report.table()[metric] for k, report in found.items()})
        title = f"{name}: {label} by module ({modules}), {where}"
        parts.show(component_figure(table, title=title, label=label), f"low-bit-{number}")
    (largest, *_) = sorted(found["float"].rows, key=lambda row: row.max_inf_norm, reverse=True)
    same = [(k, row) for k, r in found.items() for row in r.rows if row.module == largest.module]
    figure = histogram_figure(dict(same), f"{name}: {largest.module}, {where}")
    parts.show(figure, "low-bit-histogram")


@st.cache_data(show_spinner="Running the test windows…", max_entries=8)
def _report(
    version: str, _forecaster: STanHopForecaster, _frame: pd.DataFrame, modules: str
) -> OutlierReport:
    test = run_parts(_forecaster, _frame)["test"]
    deep = copy.deepcopy(
        _forecaster.network_.deep
    )  # hooks of another visitor's must not count here
    return window_outliers(deep, test, modules, most=MOST)


@st.cache_data(show_spinner="Quantising…", max_entries=8)
def _before_after(
    version: str, _forecaster: STanHopForecaster, _frame: pd.DataFrame, bits: str, modules: str
) -> dict[str, OutlierReport]:
    """Outliers of the deep part, in float and at these bits."""
    found = run_parts(_forecaster, _frame)
    weights, activations = parse_bits(bits)
    config = QuantizationConfig(weight_bits=weights, activation_bits=activations)
    deep = copy.deepcopy(
        _forecaster.network_.deep
    )  # hooks of another visitor's must not count here
    low = quantize(deep, calibration_batches(found["train"]), config)
    return {
        label: window_outliers(network, found["test"], modules, most=MOST)
        for label, network in (("float", deep), (bits, low))
    }


@st.cache_data(show_spinner="Quantising…", max_entries=8)
def _quantized(version: str, _forecaster: STanHopForecaster, _frame: pd.DataFrame) -> pd.DataFrame:
    found = run_parts(_forecaster, _frame)
    configs = [
        QuantizationConfig(weight_bits=w, activation_bits=a) for w, a in map(parse_bits, BITS)
    ]
    return quantized_errors(
        _forecaster.network_, found["train"], found["test"], _forecaster.scaler_, configs
    )
