"""Widgets of options, from the dataclass fields that declare them (`stanhop_app.options`)."""

from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from stanhop_app.options import Option, options_of

UNSET = object()


def widget(
    config: type,
    name: str,
    label: str,
    where: DeltaGenerator | None = None,
    *,
    default: Any = UNSET,
) -> Any:
    """A widget for one option of a dataclass; its bounds, choices, default and help are the field's.

    Args:
        config: the dataclass.
        name: of the option. The widget's key is another, `key_of`: what is looked at, such as a horizon,
            is not what an option says.
        label: above the widget.
        where: a column or the like; None: where the page is.
        default: another default than the field's, such as one that suits a table. Where it changes, the
            widget follows, unless somebody chose a value. Of options that are whole numbers or texts.
    """
    known, key = options_of(config)[name], key_of(name)
    follows = False
    if default is not UNSET:
        known = replace(known, default=default)
        before = st.session_state.get(f"{key}-suits", UNSET)
        follows = before not in (UNSET, default) and st.session_state.get(key) == before
        if follows:
            st.session_state[key] = default
        st.session_state[f"{key}-suits"] = default
    place: Any = st if where is None else where
    if known.kind is bool:
        return place.toggle(label, known.default, key=key, help=known.sentence)
    if known.names is not None:
        names: list[str | None] = [None] if known.optional else []
        names += known.names
        return place.selectbox(
            label, names, names.index(known.default), key=key, help=known.sentence
        )
    if known.suggested is not None:
        return place.selectbox(
            label,
            known.suggested,
            known.suggested.index(known.default),
            key=key,
            help=known.sentence,
            accept_new_options=True,
        )
    if known.kind is int:
        low, high = _whole(known)
        # A value of the session beside one of the widget's own would be two.
        value = "min" if follows else known.default
        return place.number_input(label, low, high, value, key=key, help=known.sentence)
    if known.kind is float:
        return place.number_input(
            label,
            known.bounds.least,
            known.bounds.most,
            known.default,
            key=key,
            help=known.sentence,
        )
    own = "" if follows else known.default or ""
    text = place.text_input(label, own, key=key, help=known.sentence)
    return text.strip() or known.default


def key_of(name: str) -> str:
    """Key of an option's widget."""
    return f"option-{name}"


def _whole(known: Option) -> tuple[int | None, int | None]:
    """The least and the largest whole number that an option may be; None: no bound."""
    bounds = known.bounds
    low = bounds.least if bounds.above is None else bounds.above + 1
    high = bounds.most if bounds.below is None else bounds.below - 1
    return None if low is None else int(low), None if high is None else int(high)
