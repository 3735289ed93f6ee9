"""What the page Train makes of a table before it trains: defaults, names, and what would fail."""

import shlex

import numpy as np
import pandas as pd
import pytest
from pages import errors, open_page
from stanhop_app.cli.group import run as stanhop
from stanhop_app.ui.labels import in_words
from stanhop_app.ui.understood import Brought, columns_of
from streamlit.elements.lib import policies

from stanhop_app import STanHopForecaster
from stanhop_app.data.series import read_any
from stanhop_app.forecasting.suited import suited_to, usual_horizon


def train_page():
    from stanhop_app.ui import train

    train.show()


def table(rows, frequency, columns=("sales", "visits")):
    """Rows with a week in them."""
    index = pd.date_range("2015-01-04", periods=rows, freq=frequency, name="date")
    values = np.sin(np.arange(rows) * 2 * np.pi / 7)[:, None] + np.arange(1, len(columns) + 1)
    return pd.DataFrame(values, index=index, columns=list(columns))


@pytest.fixture
def bring(monkeypatch, tmp_path):
    """The page, with a file."""
    monkeypatch.setenv("STANHOP_RUNS", str(tmp_path / "runs"))

    def opened(content, name="my table.csv"):
        app = open_page(train_page)
        app.get("file_uploader")[0].set_value((name, content.encode(), "text/csv"))
        return app.run()

    return opened


@pytest.mark.parametrize(
    ("frequency", "rows", "horizon", "lookback"),
    [
        ("D", 900, 14, 510),
        ("D", 120, 14, 28),
        ("W-SUN", 200, 13, 52),
        ("MS", 120, 18, 26),
        ("h", 900, 24, 512),
    ],
)
def test_defaults_follow_the_table(bring, frequency, rows, horizon, lookback):
    app = bring(table(rows, frequency).to_csv())
    assert errors(app) == []
    assert app.number_input(key="option-horizon").value == horizon
    assert app.number_input(key="option-lookback").value == min(
        lookback, suited_to(table(rows, frequency), horizon).get("lookback", 512)
    )
    assert not app.button(key="train").disabled
    assert f"my-table-h{horizon}" in app.code[0].value
    assert app.code[0].value.startswith("stanhop train 'my table.csv' --output")
    # What the command line would choose by itself is told, so that both train the same.
    lookback = app.number_input(key="option-lookback").value
    assert f"--lookback {lookback}" in app.code[0].value or rows == 900


def test_widgets_that_follow_another_table_are_told_their_value_once(bring, monkeypatch, caplog):
    # Streamlit warns once a process of a widget with a value of the session and a default of its own.
    monkeypatch.setattr(policies, "_shown_default_value_warning", False)
    app = bring(table(300, "D").to_csv())
    app.get("file_uploader")[0].set_value(
        ("b.csv", table(200, "W-SUN").to_csv().encode(), "text/csv")
    )
    app.run()
    assert app.number_input(key="option-horizon").value == 13
    assert not [record for record in caplog.records if "default value" in record.getMessage()]


def test_a_horizon_that_somebody_chose_stays_with_another_table(bring):
    app = bring(table(300, "D").to_csv())
    app.number_input(key="option-horizon").set_value(5).run()
    app.get("file_uploader")[0].set_value(
        ("b.csv", table(200, "W-SUN").to_csv().encode(), "text/csv")
    )
    app.run()
    assert app.number_input(key="option-horizon").value == 5


@pytest.mark.parametrize("rows", [2, 3])
def test_too_few_rows_are_told_before_the_button(bring, rows):
    app = bring(table(rows, "D").to_csv())
    (said,) = errors(app)
    assert "too few rows" in said or "time stamps are too few" in said
    assert "--" not in said
    assert app.button(key="train").disabled


def test_five_rows_can_be_trained_on():
    assert suited_to(table(5, "D"), 1) == {"split": "4/1/0", "lookback": 3, "patch_length": 1}


def test_usual_horizons_are_those_of_the_m4_competition():
    named = {
        "YS-JAN": 6,
        "YE-DEC": 6,
        "QS-OCT": 8,
        "MS": 18,
        "ME": 18,
        "W-SUN": 13,
        "D": 14,
        "B": 14,
    }
    named |= {"h": 24, "15min": 24, "min": 24, "s": 24}
    assert {name: usual_horizon(name) for name in named} == named


def test_published_horizons_are_told_where_another_is_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("STANHOP_RUNS", str(tmp_path / "runs"))
    app = open_page(train_page)
    app.selectbox(key="data").set_value("m4-hourly").run()
    assert app.number_input(key="option-horizon").value == 48
    app.number_input(key="option-horizon").set_value(24).run()
    assert "--horizon 24" in app.code[0].value
    assert "m4-hourly-h24" in app.code[0].value


@pytest.mark.parametrize(
    ("file", "stem"),
    [
        ("Umsätze 2023.csv", "Umsatze-2023"),
        ("конец.csv", "table"),
        (".csv", "csv"),
        ("a'b\"c$(x).xlsx", "a-b-c-x"),
        ("--x.csv", "x"),
    ],
)
def test_every_file_gives_a_name_that_can_be(file, stem):
    assert Brought(name=file, content=b"", table=table(9, "D"), options={}).stem == stem


def test_every_column_is_shown_with_its_range_and_its_course():
    frame = table(240, "D")
    frame.iloc[:12, 0] = np.nan
    made = columns_of(frame).set_index("column")
    assert list(made.index) == ["sales", "visits"]
    assert made.loc["sales", "missing"] == 12
    assert made.loc["visits", "lowest"] == pytest.approx(frame["visits"].min())
    assert made.loc["visits", "last"] == pytest.approx(frame["visits"].iloc[-1])
    assert len(made.loc["sales", "course"]) == 120
    assert made.loc["sales", "course"][:6] == [None] * 6
    np.testing.assert_allclose(
        made.loc["visits", "course"], frame["visits"].to_numpy().reshape(120, 2).mean(1)
    )


def test_covariates_are_shown_as_what_they_are(tmp_path):
    frame = table(60, "D")
    frame.to_csv(tmp_path / "t.csv")
    made = columns_of(read_any(tmp_path / "t.csv", future_covariates=["visits"]))
    assert dict(zip(made["column"], made["taken for"], strict=True)) == {
        "sales": "forecast",
        "visits": "known ahead",
    }


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "sales--final.csv: column 'a--columns' is new",
            "sales--final.csv: column 'a--columns' is new",
        ),
        ("give it by --missing mask.", "give it by “Missing values and time stamps” mask."),
        ("or --no-memory", "or --no-memory of the command line"),
        (
            "choose another --output, or --force.",
            "choose another “Name of the run”, or --force of the command line.",
        ),
        ("raise it (--max-megabytes).", "raise it."),
    ],
)
def test_messages_are_in_the_words_of_the_pages(message, words):
    assert in_words(message) == words


def test_many_series_are_trained_alike_by_command_and_by_python(bring, monkeypatch, tmp_path):
    long = pd.concat([table(60, "D").assign(shop=shop) for shop in ("a", "b", "c")])
    app = bring(long.to_csv(), name="shops.csv")
    app.text_input(key="option-id_column").set_value("shop").run()
    assert errors(app) == []
    app.number_input(key="option-max_steps").set_value(2)
    app.number_input(key="option-dim").set_value(8)
    app.number_input(key="option-num_heads").set_value(2).run()
    command, python = (block.value for block in app.code)
    monkeypatch.chdir(tmp_path)
    long.to_csv("shops.csv")
    assert stanhop([*shlex.split(command)[1:], "--quiet", "--output", "runs/one"]) == 0
    exec(compile(python.replace("runs/shops-h12", "runs/two"), "shown", "exec"), {})
    one, two = (STanHopForecaster.load(tmp_path / "runs" / name) for name in ("one", "two"))
    told = (one.get_params(), two.get_params())
    for name in ("horizon", "lookback", "split", "loss", "batch_size"):
        assert told[0][name] == told[1][name], name
    pd.testing.assert_frame_equal(one.predict(), two.predict())


def test_a_name_that_is_taken_is_not_offered(bring, tmp_path):
    (tmp_path / "runs" / "my-table-h14").mkdir(parents=True)
    assert "runs/my-table-h14-2" in bring(table(300, "D").to_csv()).code[0].value


def test_a_folder_that_cannot_be_written_is_one_line(monkeypatch):
    monkeypatch.setenv("STANHOP_RUNS", "/proc/nothing/runs")
    app = open_page(train_page)
    app.selectbox(key="data").set_value("sample").run()
    app.button(key="train").click().run()
    (said,) = errors(app)
    assert "cannot be" in said
