"""What is looked at: one selection for all pages, kept in the address, so that a link shows it again.

A widget of here is kept under its key: on another page a widget of the same key shows the same, and the
address has what is not the default, so that reloading, back and forward, and a link that is sent show it
again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from stanhop_app.errors import shown

KEPT = "selection"
"""Where the session keeps it: texts by key, of all pages; none where it is the default."""
PAGES = "selection-pages"
"""Where the session keeps the pages that `go` opens."""
USED = "selection-used"
"""Keys of the page that is drawn."""
EVERYWHERE = ("run", "series", "variates", "horizon", "back")
"""Keys that the address has on every page; others only where their widgets are."""
ALWAYS = ("run", "backtest", "comparison", "suite", "theory", "training", "training-of-suite")
"""Keys whose default changes with what lies in the run folder: the address names them always."""
MOST = 200
"""Texts of one key that the address holds at most; a longer selection is of this session alone."""


def begin(pages: Mapping[str, Any]) -> None:
    """Before a page is drawn.

    Args:
        pages: Streamlit's, by the last part of their addresses.
    """
    st.session_state[USED], st.session_state[PAGES] = [], dict(pages)


def end() -> None:
    """After a page was drawn: the address says what it shows, in one step of the browser's history."""
    kept: dict[str, list[str]] = st.session_state.get(KEPT, {})
    keys = [key for key in kept if key in EVERYWHERE or key in st.session_state.get(USED, [])]
    wanted = {key: kept[key] for key in keys if 0 < len(kept[key]) <= MOST}
    if {key: st.query_params.get_all(key) for key in st.query_params} != wanted:
        st.query_params.from_dict(wanted)


def one(
    label: str,
    options: Sequence[Any],
    key: str,
    *,
    default: Any = None,
    place: Any = None,
    widget: str = "selectbox",
    **given: Any,
) -> Any:
    """A choice of one of these; of several that were chosen elsewhere the first, and they are kept.

    Args:
        label: above the widget.
        options: what there is; at least one.
        key: under which it is kept.
        default: one of the options; None: the first.
        place: where the widget is; None: where the page is.
        widget: "selectbox", "radio" or "segmented_control".
        given: other arguments of the widget.
    """
    known = {str(option): option for option in options}
    first = next(iter(known)) if default is None else str(default)
    asked = _asked(key, [first])
    gone = [text for text in asked if text not in known]
    if asked:
        _tell(key, label, gone)
        held = next((text for text in asked if text in known), first)
        st.session_state[key] = known[held]
    elif str(st.session_state[key]) not in known:
        st.session_state[key] = known[first]
    chosen = getattr(place or st, widget)(label, list(options), key=key, **given)
    _keep(key, [str(chosen)], [first], several=True)
    return chosen


def several(
    label: str,
    options: Sequence[str],
    key: str,
    *,
    default: Sequence[str],
    place: Any = None,
    **given: Any,
) -> list[str]:
    """A choice of any number of these."""
    asked = _asked(key, list(default), several=True)
    if asked:
        _tell(key, label, [text for text in asked if text not in options])
        st.session_state[key] = [text for text in asked if text in options] or list(default)
    else:
        st.session_state[key] = [text for text in st.session_state[key] if text in options]
    chosen: list[str] = (place or st).multiselect(label, options, key=key, **given)
    _keep(key, chosen, list(default))
    return chosen


def number(
    label: str,
    least: int,
    most: int,
    key: str,
    *,
    default: int,
    place: Any = None,
    **given: Any,
) -> int:
    """A whole number between these."""
    asked = _asked(key, [str(default)])
    if asked:
        try:
            wanted = int(asked[0])
        except ValueError:
            _tell(key, label, asked)
            wanted = default
        st.session_state[key] = min(max(wanted, least), most)
    elif key not in st.session_state:
        st.session_state[key] = default
    else:
        st.session_state[key] = min(max(int(st.session_state[key]), least), most)
    chosen = int((place or st).number_input(label, least, most, key=key, **given))
    _keep(key, [str(chosen)], [str(default)])
    return chosen


def switch(label: str, key: str, *, default: bool = False, place: Any = None, **given: Any) -> bool:
    """Whether something is shown."""
    words: dict[str, bool] = {"yes": True, "no": False}
    usual = "yes" if default else "no"
    asked = _asked(key, [usual])
    if asked:
        st.session_state[key] = words.get(asked[0], default)
    elif key not in st.session_state:
        st.session_state[key] = default
    chosen = bool((place or st).toggle(label, key=key, **given))
    _keep(key, ["yes" if chosen else "no"], [usual])
    return chosen


def kept(key: str) -> str | None:
    """What is chosen under this key, as text; None: the default, or the address was not read yet."""
    texts = _kept().get(key) or st.query_params.get_all(key)
    return texts[0] if texts else None


def choose(key: str, *texts: str) -> None:
    """Choose by program, before the widget of that key is drawn."""
    _kept()[key] = list(texts)
    st.session_state.pop(key, None)


def go(path: str) -> None:
    """Open another page, by the last part of its address."""
    st.switch_page(st.session_state[PAGES][path])


def _kept() -> dict[str, list[str]]:
    kept: dict[str, list[str]] = st.session_state.setdefault(KEPT, {})
    return kept


def _asked(key: str, default: list[str], *, several: bool = False) -> list[str]:
    """What the widget must show, as texts, by the address or another page; empty: what it shows already.

    The address is read where the session has not seen the key, and where the browser went back or forward;
    else it only repeats what the widgets say, and may be late.
    """
    kept, context = _kept(), get_script_run_ctx()
    went = context is not None and context.is_history_navigation
    changed = st.session_state.get(f"{key}-default") != default
    st.session_state[f"{key}-default"] = default
    if went or key not in kept:
        asked: list[str] = st.query_params.get_all(key)
        kept[key] = asked or kept.get(key, []) if not went else asked
        return asked or default
    shown = st.session_state.get(key)
    if shown is None or isinstance(shown, list) != several or (changed and not kept[key]):
        return kept[key] or default
    return []


def _keep(key: str, texts: list[str], default: list[str], *, several: bool = False) -> None:
    """Remember what is shown."""
    kept = _kept()
    st.session_state.setdefault(USED, []).append(key)
    if several and kept.get(key, [])[:1] == texts:
        return
    kept[key] = texts if texts != default or key in ALWAYS else []


def _tell(key: str, label: str, gone: list[str]) -> None:
    """Say what a link names that is not there."""
    if gone and st.query_params.get_all(key):
        listed = ", ".join(map(shown, gone))
        st.warning(f"{label}: {listed} is not there (any more); shown is what there is.")
