"""What a server says of itself: its first page, and the schema of a request."""

import html
from typing import Any

TYPES = {
    "application/json": "json",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
}
"""Kinds of content that are read and written, by their media type."""


def schema() -> dict[str, Any]:
    """What a request may be, as OpenAPI writes it."""
    rows = {"type": "array", "items": {"type": "object"}}
    numbers = {"type": "array", "items": {"type": "number"}}
    known = {
        "table": {
            **rows,
            "description": "Rows by name: time stamp and all columns. Without: the rows that the run keeps.",
        },
        "window": {
            "type": "array",
            "items": numbers,
            "description": "The last rows of all columns, as many as lookback, instead of a table.",
        },
        "horizon": {"type": "integer", "description": "Steps; by default the trained horizon."},
        "levels": {**numbers, "description": "Coverages of intervals, in percent."},
        "quantiles": {**numbers, "description": "Quantiles instead of points."},
        "ids": {"type": "array", "items": {}, "description": "Which of many series."},
        "future": {**rows, "description": "Covariates that are known of the steps to come."},
    }
    text = {"schema": {"type": "string", "format": "binary"}}
    json_ = {"schema": {"type": "object", "properties": known, "additionalProperties": False}}
    return {"application/json": json_} | dict.fromkeys(list(TYPES)[1:], text)


def about_page(about: dict[str, Any]) -> str:
    """The first page: what can be asked, without a word from another host."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in about.items()
    )
    keys = "".join(
        f"<tr><th>{name}</th><td>{html.escape(known['description'])}</td></tr>"
        for name, known in schema()["application/json"]["schema"]["properties"].items()
    )
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>stanhop</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }}
th {{ text-align: left; padding-right: 1em; vertical-align: top }} pre {{ overflow: auto }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #eee }} a {{ color: #8bf }} }}
</style><h1>Forecasts of {html.escape(str(about["run"]))}</h1><table>{rows}</table>
<h2>Ask</h2><pre>curl --data-binary @table.csv -H 'Content-Type: text/csv' \\
    'http://HOST:PORT/forecast?levels=80,95'</pre>
<p>POST /forecast takes CSV, Parquet or JSON ({", ".join(TYPES)}) and answers in the kind that Accept
names. Keys of JSON:</p><table>{keys}</table>
<p><a href="/openapi.json">openapi.json</a>, <a href="/model">model</a></p></html>"""
