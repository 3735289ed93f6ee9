"""The pages of the dashboard; one line each. A new page is a file and a line here."""

from collections.abc import Callable
from dataclasses import dataclass

from stanhop_app.ui import forecast, outliers, variants


@dataclass(frozen=True, kw_only=True)
class Page:
    """One entry of the navigation."""

    title: str
    path: str
    """Last part of the URL."""
    icon: str
    show: Callable[[], None]


PAGES = (
    Page(title="Forecast", path="forecast", icon=":material/show_chart:", show=forecast.show),
    Page(
        title="Attention variants", path="variants", icon=":material/compare:", show=variants.show
    ),
    Page(title="Outliers", path="outliers", icon=":material/crisis_alert:", show=outliers.show),
)
