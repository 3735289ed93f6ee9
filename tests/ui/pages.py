"""What tests of the dashboard share: opening a page, and reading what it shows."""

import json

from streamlit.testing.v1 import AppTest

OPTIONS = {
    "horizon": 12,
    "lookback": 48,
    "network": {"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16},
    "training": {"max_steps": 3},
    "progress": False,
}
"""Options of a small forecaster that trains in a second."""


def open_page(function, **query):
    """Run a page, with these parameters in its URL."""
    app = AppTest.from_function(function, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def figures(app):
    """Title, which is also what a screen reader says, and traces of every chart."""
    charts = [(chart.proto.alt, json.loads(chart.proto.spec)) for chart in app.get("plotly_chart")]
    return [(title, spec["data"]) for title, spec in charts]


def errors(app):
    assert not app.exception, app.exception
    return [error.value for error in app.error]
