"""Figures, checked by their traces."""

import numpy as np
import pandas as pd

from stanhop_app.figures.forecast import forecast_figure


def test_the_forecast_figure_draws_every_variate_before_and_after_the_cut(fitted, weather):
    prediction = fitted.predict()
    history = weather.iloc[-48:]
    actual = prediction + 1
    figure = forecast_figure(history, prediction, actual=actual, title="run")
    names = [trace.name for trace in figure.data]
    assert names == ["history", "forecast", "actual"] * 3
    for row, column in enumerate(prediction.columns):
        for trace, frame in zip(
            figure.data[3 * row :], (history, prediction, actual), strict=False
        ):
            np.testing.assert_array_equal(trace.y, frame[column])
            assert list(pd.DatetimeIndex(trace.x)) == list(frame.index)
        assert figure.layout[f"yaxis{row + 1 if row else ''}"].title.text == column
    assert [shape.x0 for shape in figure.layout.shapes] == [history.index[-1]] * 3
    assert figure.layout.title.text == "run"
    assert sum(trace.showlegend for trace in figure.data) == 3


def test_a_band_has_no_markers(fitted):
    """Plotly marks every point of a line of fewer than 20."""
    made = fitted.predict().iloc[:7]
    figure = forecast_figure(fitted.context_, made, bands={"80%": (made - 1, made + 1)})
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert bands
    assert {trace.mode for trace in bands} == {"lines"}
