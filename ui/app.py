"""Entry of the dashboard: ``stanhop dashboard`` runs this file with Streamlit."""

import warnings
from typing import Any

import streamlit as st
from stanhop_app.ui import contrast, selection
from stanhop_app.ui.icon import icon
from stanhop_app.ui.pages import PAGES

from stanhop_app.errors import TableWarning

warnings.simplefilter("ignore", TableWarning)  # pages say it themselves, by the name of the file


def links(place: Any) -> None:
    """Links to all pages, each with what is looked at: one step of the browser's history a page."""
    with place.container():
        for entry in PAGES:
            query = selection.address(elsewhere=True)
            st.page_link(pages[entry.path], icon=entry.icon, query_params=query)


# Pages have no icons of their own: a named one would be fetched from a public host for the browser's tab.
pages = {
    page.path: st.Page(page.show, title=page.title, url_path=page.path, default=number == 0)
    for number, page in enumerate(PAGES)
}
navigation = st.navigation(list(pages.values()), position="hidden")
st.set_page_config(page_title=f"{navigation.title} · stanhop", page_icon=icon(), layout="wide")
st.html(contrast.STYLE)
selection.begin(pages, navigation.url_path)
sidebar = st.sidebar.empty()
links(sidebar)
st.sidebar.caption("STanHop-Net on outlier-efficient Hopfield layers")
try:
    navigation.run()
finally:
    links(sidebar)  # first: whoever sees the new address finds links that say the same
    selection.end()
if (run := selection.kept("run")) is not None:
    st.set_page_config(page_title=f"{run} · {navigation.title} · stanhop")
