"""What figures share: their colours, and the HTML page of a report."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

HISTORY, FORECAST, ACTUAL = "#0072B2", "#D55E00", "#009E73"
"""Colours that colour-blind readers tell apart, on light and on dark ground (Okabe and Ito)."""
COLOURS = (HISTORY, FORECAST, ACTUAL, "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C", "#B8A900")
"""The same, for many lines."""


STYLE = """
body { font-family: sans-serif; margin: 2em auto; max-width: 1100px; color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1em 0 2em; font-size: 14px; }
th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid #ddd; }
th { background: #f4f4f4; }
.wide { overflow-x: auto; }
"""


def line_style(number: int) -> dict[str, Any]:
    """Colour of a line, dashed where colours begin anew."""
    dash = ("solid", "dash", "dot")[number // len(COLOURS) % 3]
    return {"color": COLOURS[number % len(COLOURS)], "dash": dash, "width": 1.8}


def model_styles(names: Sequence[str], chosen: str) -> dict[str, dict[str, Any]]:
    """Lines of models by name: the one that is looked at is drawn as forecasts are, each other one alike.

    Colours of history and of what came are left to them; lines that cover each other differ in dashes.
    """
    dashes, others = ("dash", "dot", "dashdot", "solid"), COLOURS[3:]
    styles = {
        name: {
            "color": others[number % len(others)],
            "dash": dashes[number % len(dashes)],
            "width": 1.2,
        }
        for number, name in enumerate(names)
    }
    return {**styles, chosen: {"color": FORECAST, "dash": "solid", "width": 1.8}}


def html_page(
    figures: Sequence[go.Figure],
    tables: Mapping[str, pd.DataFrame] | None = None,
    title: str = "",
) -> str:
    """Tables and figures one below the other, as one page that needs no network.

    Args:
        figures: drawn in this order, below the tables.
        tables: by heading.
        title: of the page.
    """
    parts = [f"<!doctype html>\n<meta charset='utf-8'>\n<title>{escape(title)}</title>"]
    parts.append(f"<style>{STYLE}</style>")
    if title:
        parts.append(f"<h1>{escape(title)}</h1>")
    for heading, table in (tables or {}).items():
        parts.append(f"<h2>{escape(heading)}</h2>")
        html = table.to_html(float_format=lambda v: f"{v:.4f}", na_rep="", border=0)
        parts.append(f"<div class='wide'>{html}</div>")
    parts += [
        figure.to_html(full_html=False, include_plotlyjs=number == 0)
        for number, figure in enumerate(figures)
    ]
    return "\n".join(parts) + "\n"
