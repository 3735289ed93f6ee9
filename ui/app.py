"""Entry of the dashboard: ``stanhop dashboard`` runs this file with Streamlit."""

import warnings

import streamlit as st
from stanhop_app.ui.pages import PAGES

from stanhop_app.errors import TableWarning

warnings.simplefilter("ignore", TableWarning)  # pages say it themselves, by the name of the file

st.set_page_config(page_title="stanhop", page_icon=":material/show_chart:", layout="wide")
navigation = st.navigation(
    [
        st.Page(
            page.show, title=page.title, icon=page.icon, url_path=page.path, default=number == 0
        )
        for number, page in enumerate(PAGES)
    ]
)
st.sidebar.caption("STanHop-Net on outlier-efficient Hopfield layers")
navigation.run()
