"""The pages of the dashboard; one line each. A new page is a file and a line here."""

from collections.abc import Callable
from dataclasses import dataclass

from stanhop_app.ui import (
    backtest,
    forecast,
    home,
    intervals,
    memory,
    outliers,
    suite,
    theory,
    train,
    variants,
)


@dataclass(frozen=True, kw_only=True)
class Page:
    """One entry of the navigation."""

    title: str
    path: str
    """Last part of the URL; of the first page none, which Streamlit serves at the root only."""
    icon: str
    show: Callable[[], None]


PAGES = (
    Page(title="Forecast", path="", icon=":material/show_chart:", show=forecast.show),
    Page(title="Runs", path="runs", icon=":material/list:", show=home.show),
    Page(
        title="Intervals",
        path="intervals",
        icon=":material/stacked_line_chart:",
        show=intervals.show,
    ),
    Page(title="Backtest", path="backtest", icon=":material/history:", show=backtest.show),
    Page(title="Train", path="train", icon=":material/model_training:", show=train.show),
    Page(
        title="Attention variants", path="variants", icon=":material/compare:", show=variants.show
    ),
    Page(title="Outliers", path="outliers", icon=":material/crisis_alert:", show=outliers.show),
    Page(title="Memory", path="memory", icon=":material/grid_view:", show=memory.show),
    Page(title="Suite", path="suite", icon=":material/view_module:", show=suite.show),
    Page(title="Theory", path="theory", icon=":material/landscape:", show=theory.show),
)
