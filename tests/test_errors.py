"""Messages that hold names of somebody else's: on a terminal they move nothing and hide nothing."""

import threading
import time
import unicodedata
import warnings

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanhop_app.errors import LONGEST, DataError, OptionError, concerning, shown, warnings_as


@given(st.text())
def test_what_is_shown_can_be_printed(text):
    clean = shown(text, longest=None)
    kinds = {unicodedata.category(c) for c in clean if c not in "\n\t\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    clean.encode("utf-8")
    assert shown(clean, longest=None) == clean


@pytest.mark.parametrize("text", ["Größe", "气温, °C", "a\tb\nc", "नम\u200dस्ते", ""])
def test_names_of_any_language_stay_as_they_are(text):
    assert shown(text) == text


def test_long_messages_are_cut_in_the_middle():
    message = str(DataError("first" + "x" * 10 * LONGEST + "last"))
    assert len(message) < 1.1 * LONGEST
    assert (message[:5], message[-4:]) == ("first", "last")


def test_a_column_cannot_clear_the_terminal(stanhop, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("time,\x1b[2Jevil\n2024-01-01,1\n2024-01-02,x\n")
    code, _, err = stanhop("train", file, "--output", tmp_path / "run")
    assert code == 3
    assert "\x1b" not in err
    assert "evil" in err


def test_threads_do_not_leave_each_others_filters_of_warnings():
    """Each thread's own is in force inside its block, and what stood before stands after all of them."""
    before = list(warnings.filters)
    wrong = []

    def work(action):
        for _ in range(300):
            with warnings_as(action, DeprecationWarning):
                time.sleep(0)  # another thread's turn
                try:
                    warnings.warn("of a test", DeprecationWarning, stacklevel=1)
                    raised = False
                except DeprecationWarning:
                    raised = True
            wrong.extend([action] * (raised != (action == "error")))

    threads = [threading.Thread(target=work, args=(action,)) for action in ("ignore", "error") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert warnings.filters == before


def test_what_is_said_of_a_table_names_its_file(stanhop, trained, csv, tmp_path):
    """A frame has no name; what was read from a file has one."""
    other = pd.read_csv(csv, index_col=0)
    other.columns = ["x", *other.columns[1:]]
    other.to_csv(tmp_path / "other.csv")
    for words in (["update"], ["forecast"], ["monitor"]):
        code, _, err = stanhop(*words, trained, tmp_path / "other.csv")
        assert code == 3
        assert f"stanhop: {tmp_path / 'other.csv'}: the columns differ" in err.splitlines()[-1]
    with (
        pytest.raises(DataError, match=r"^a.csv: a.csv is empty\.$|^a.csv is empty"),
        concerning("a.csv"),
    ):
        raise DataError("a.csv is empty.")
    with pytest.raises(OptionError, match="^lookback"), concerning("a.csv"):
        raise OptionError("lookback must be at least 1.")
