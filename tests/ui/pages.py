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
    """Title and traces of every chart."""
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    return [(spec["layout"]["title"]["text"].replace("<br>", " "), spec["data"]) for spec in specs]


def errors(app):
    assert not app.exception, app.exception
    return [error.value for error in app.error]
