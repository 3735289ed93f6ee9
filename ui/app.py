"""Entry of the dashboard: ``stanhop dashboard`` runs this file with Streamlit."""

import warnings

import streamlit as st
from stanhop_app.ui import selection
from stanhop_app.ui.icon import icon
from stanhop_app.ui.pages import PAGES

from stanhop_app.errors import TableWarning

warnings.simplefilter("ignore", TableWarning)  # pages say it themselves, by the name of the file

pages = {
    page.path: st.Page(page.show, title=page.title, url_path=page.path, default=number == 0)
    for number, page in enumerate(PAGES)
}
navigation = st.navigation(list(pages.values()), position="hidden")
# Pages have no icons of their own: a named one would be fetched from a public host for the browser's tab.
st.set_page_config(page_title=f"{navigation.title} · stanhop", page_icon=icon(), layout="wide")
for page in PAGES:
    st.sidebar.page_link(pages[page.path], icon=page.icon)
st.sidebar.caption("STanHop-Net on outlier-efficient Hopfield layers")
selection.begin(pages)
try:
    navigation.run()
finally:
    selection.end()
if (run := selection.kept("run")) is not None:
    st.set_page_config(page_title=f"{run} · {navigation.title} · stanhop")
