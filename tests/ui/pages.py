"""What tests of the dashboard share: opening a page, and reading what it shows."""

import json

from streamlit.testing.v1 import AppTest


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
