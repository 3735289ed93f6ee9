"""What is looked at: one selection for all pages, kept in the address, so that a link shows it again.

A widget of here is kept under its key: on another page a widget of the same key shows the same, and the
address has what is not the default, so that reloading, back and forward, and a link that is sent show it
again. Where a page cannot show what is kept, such as a variate of another run, it shows its default, and what
is kept stays kept until somebody chooses.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from stanhop_app.errors import shown

STATE = "selection"
"""Where the session keeps `State`."""
EVERYWHERE = ("run", "series", "variates", "horizon", "back")
"""Keys that the address has on every page; others only where their widgets are."""
ALWAYS = (
    *("run", "run-0", "run-1", "backtest", "comparison", "suite", "theory"),
    *("training", "training-of-suite"),
)
"""Keys whose default changes with what lies in the run folder: the address names them always."""
MOST = 200
"""Texts of one key that the address holds at most; a longer selection is of this session alone."""
Texts = list[str]


@dataclass
class State:
    """The selection of one session, as texts by key."""

    kept: dict[str, Texts] = field(default_factory=dict)
    """What is chosen; nothing where it is the default."""
    instead: dict[str, Texts] = field(default_factory=dict)
    """What is shown where a page cannot show what is kept."""
    shown: dict[str, Texts] = field(default_factory=dict)
    """What the address says of the keys of the page that is drawn."""
    defaults: dict[str, Texts] = field(default_factory=dict)
    settled: dict[str, Texts] = field(default_factory=dict)
    """What the widgets showed when they were drawn last."""
    drawn: dict[str, str] = field(default_factory=dict)
    """The page on which a widget was drawn last: a widget of another page starts anew."""
    linked: set[str] = field(default_factory=set)
    """Keys that were read from the address in this run: what is gone of them is told."""
    page: str = ""
    pages: dict[str, Any] = field(default_factory=dict)
    """Streamlit's pages by the last part of their addresses."""


def begin(pages: Mapping[str, Any], page: str) -> None:
    """Before a page is drawn: what all pages share is read from the address, if it is new.

    It is new in a session's first run, and where the browser went back or forward. Otherwise what was
    chosen since is kept at once, so that links have it before the page is drawn: one that is followed
    meanwhile would bring back what was looked at before.

    Args:
        pages: Streamlit's, by the last part of their addresses.
        page: the one that is drawn.
    """
    first = STATE not in st.session_state
    state = _state()
    state.pages, state.page, state.shown, state.linked = dict(pages), page, {}, set()
    if not (first or (_went() and len(st.query_params))):
        _keep_chosen(state)
        return
    for key in EVERYWHERE:
        state.kept[key] = st.query_params.get_all(key)
        state.linked.add(key)


def end() -> None:
    """After a page was drawn: the address says what it shows, in one step of the browser's history."""
    wanted = {key: texts for key, texts in address().items() if 0 < len(texts) <= MOST}
    if {key: st.query_params.get_all(key) for key in st.query_params} != wanted:
        st.query_params.from_dict(wanted)


def address(*, elsewhere: bool = False) -> dict[str, Texts]:
    """What the address of this page says, or of another one, by key."""
    state = _state()
    kept = {key: state.kept.get(key, []) for key in EVERYWHERE}
    return {k: v for k, v in (kept if elsewhere else kept | state.shown).items() if v}


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
    wanted = _wanted(key, [first], known.__contains__, [str(st.session_state.get(key))])
    if wanted is not None:
        st.session_state[key] = known[_fitting(key, wanted, [first], known.__contains__, label)[0]]
    chosen = getattr(place or st, widget)(label, list(options), key=key, **given)
    _settle(key, [str(chosen)], [first], one=True)
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
    usual, known = list(default), set(options)
    now = st.session_state.get(key)
    current = now if isinstance(now, list) else [str(now)]
    wanted = _wanted(key, usual, known.__contains__, current)
    if wanted is not None:
        st.session_state[key] = _fitting(key, wanted, usual, known.__contains__, label)
    else:
        st.session_state[key] = [text for text in current if text in known]
    chosen: list[str] = (place or st).multiselect(label, options, key=key, **given)
    _settle(key, chosen, usual)
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

    def fits(text: str) -> bool:
        return text.removeprefix("-").isdecimal() and least <= int(text) <= most

    usual = [str(min(max(default, least), most))]
    wanted = _wanted(key, usual, fits, [str(st.session_state.get(key))])
    if wanted is not None:
        what = f"no whole number from {least:,} to {most:,}"
        st.session_state[key] = int(_fitting(key, wanted, usual, fits, label, what)[0])
    chosen = int((place or st).number_input(label, least, most, key=key, **given))
    _settle(key, [str(chosen)], usual)
    return chosen


def switch(label: str, key: str, *, default: bool = False, place: Any = None, **given: Any) -> bool:
    """Whether something is shown."""
    words = {"yes": True, "no": False}
    usual = ["yes" if default else "no"]
    now = "yes" if st.session_state.get(key) else "no"
    wanted = _wanted(key, usual, words.__contains__, [now])
    if wanted is not None:
        st.session_state[key] = words[_fitting(key, wanted, usual, words.__contains__, label)[0]]
    chosen = bool((place or st).toggle(label, key=key, **given))
    _settle(key, ["yes" if chosen else "no"], usual)
    return chosen


def kept(key: str) -> str | None:
    """What is chosen under this key, as text; None: the default."""
    texts = _read(key)
    return texts[0] if texts else None


def choose(key: str, *texts: str) -> None:
    """Choose by program, before the widget of that key is drawn."""
    state = _state()
    state.kept[key] = list(texts)
    state.drawn.pop(key, None)


def go(path: str) -> None:
    """Open another page, by the last part of its address."""
    st.switch_page(_state().pages[path], query_params=address(elsewhere=True))


def _state() -> State:
    state: State = st.session_state.setdefault(STATE, State())
    return state


def _keep_chosen(state: State) -> None:
    """Keep what widgets of this page were given since they were drawn."""
    for key in EVERYWHERE:
        if state.drawn.get(key) == state.page and key in st.session_state:
            now = st.session_state[key]
            texts = [str(one) for one in now] if isinstance(now, list) else [str(now)]
            if texts != state.settled.get(key):
                usual = texts == state.defaults.get(key) and key not in ALWAYS
                state.kept[key] = [] if usual else texts


def _went() -> bool:
    """Whether the browser went back or forward, so that the address says what is to be shown."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def _read(key: str) -> Texts:
    """What is kept under a key, read from the address where the session has not seen it."""
    state = _state()
    if key not in state.kept:
        state.kept[key] = st.query_params.get_all(key)
        state.linked.add(key)
    return state.kept[key]


def _wanted(key: str, default: Texts, fits: Callable[[str], bool], current: Texts) -> Texts | None:
    """What the widget must be made to show; None: what it shows by itself.

    That is where it is new on the page, the address changed, its default did while nothing else is kept, it
    shows what there is no more, or shows something in place of what is there again.
    """
    state = _state()
    if _went() and key not in EVERYWHERE:
        state.kept.pop(key, None)
    texts = _read(key)
    changed = state.defaults.get(key) != default
    state.defaults[key] = default
    fresh = state.drawn.get(key) != state.page or key not in st.session_state
    state.drawn[key] = state.page
    gone = bool(current) and not any(map(fits, current))
    again = state.instead.get(key) == current and any(map(fits, texts))
    if _went() or fresh or gone or again or (changed and not texts):
        return texts or default
    return None


def _fitting(
    key: str,
    wanted: Texts,
    default: Texts,
    fits: Callable[[str], bool],
    label: str,
    what: str = "not there (any more)",
) -> Texts:
    """What is wanted as far as it can be shown, or the default; what a link names in vain is told."""
    state = _state()
    fitting, gone = [t for t in wanted if fits(t)], [t for t in wanted if not fits(t)]
    if gone and key in state.linked:
        listed = ", ".join(map(shown, gone))
        st.warning(f"{label}: {listed} is {what}; shown is {', '.join(fitting or default)}.")
    if fitting:
        state.instead.pop(key, None)
        return fitting
    if key in ALWAYS:
        state.kept[key] = default
    else:
        state.instead[key] = default
    return default


def _settle(key: str, texts: Texts, default: Texts, *, one: bool = False) -> None:
    """Remember what the widget shows, unless it stands for what cannot be shown here."""
    state = _state()
    before = state.kept.get(key, [])
    state.settled[key] = texts
    same = one and before[:1] == texts
    if state.instead.get(key) != texts:
        state.instead.pop(key, None)
        if not same:
            state.kept[key] = texts if texts != default or key in ALWAYS else []
    plain = texts == default and key not in ALWAYS
    state.shown[key] = before if same else [] if plain else texts
