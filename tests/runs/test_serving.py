"""Forecasts over HTTP are those of the library, and what cannot be is one line."""

import asyncio
import io
import json
import socket

import httpx
import numpy as np
import pandas as pd
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.runs.serving.config import ServeConfig
from stanhop_app.runs.serving.server import application
from stanhop_app.runs.serving.service import Service


@pytest.fixture(scope="module")
def run(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "run"
    fitted.save(folder)
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    days, folder = np.arange(60), tmp_path_factory.mktemp("served") / "many"
    times = pd.date_range("2024-01-01", periods=60)
    parts = [
        pd.DataFrame({"shop": shop, "day": times, "sold": shop + np.sin(days)}) for shop in (1, 2)
    ]
    STanHopForecaster(
        horizon=7,
        lookback=14,
        split="*/21/7",
        max_epochs=1,
        progress=False,
        reading={"id_column": "shop", "joint": False},
        network={"dim": 8, "patch_length": 7, "num_heads": 2},
    ).fit(pd.concat(parts)).save(folder)
    return folder, pd.concat(parts)


def ask(run, requests, config=None):
    """The answers of a server to requests that come at once."""
    app = application(Service(run), config or ServeConfig())

    async def all_():
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            return await asyncio.gather(*(client.request(*r[:2], **r[2]) for r in requests))

    return asyncio.run(all_())


def post(**options):
    return ("POST", "/forecast", options)


def rows_of(frame):
    table = frame.reset_index().rename(columns={frame.index.name or "index": "time"})
    return json.loads(table.to_json(orient="records", date_format="iso"))


def test_a_table_of_any_kind_is_forecast_as_the_library_does(run, fitted, weather):
    table = weather.iloc[-200:]
    wanted, bands = fitted.predict(table), fitted.predict_interval(table, [80])
    parquet = io.BytesIO()
    table.to_parquet(parquet)
    parquet_type = "application/vnd.apache.parquet"
    csv = table.to_csv().encode()
    answers = ask(
        run,
        [
            post(json={"table": rows_of(table)}),
            post(content=csv, headers={"Content-Type": "text/csv", "Accept": "text/csv"}),
            post(
                content=parquet.getvalue(),
                headers={"Content-Type": parquet_type, "Accept": parquet_type},
            ),
            post(
                content=csv,
                headers={"Content-Type": "text/csv"},
                params={"levels": "80"},
            ),
            post(json={"table": rows_of(table), "horizon": 20}),
        ],
    )
    assert [answer.status_code for answer in answers] == [200] * 5
    time = wanted.index.name or "time"
    made = pd.DataFrame(answers[0].json()["forecast"])
    assert list(pd.to_datetime(made[time])) == list(wanted.index)
    np.testing.assert_array_equal(made[list(wanted)], wanted)  # all digits are in the answer
    read = pd.read_csv(io.BytesIO(answers[1].content), index_col=0, parse_dates=True)
    np.testing.assert_allclose(read, wanted, rtol=1e-9)
    whole = pd.read_parquet(io.BytesIO(answers[2].content))
    np.testing.assert_array_equal(whole, wanted)
    assert list(pd.DataFrame(answers[3].json()["forecast"]))[1:] == list(bands)
    assert len(answers[4].json()["forecast"]) == 20


def test_a_table_is_read_as_that_of_the_training_was(stanhop, weather, tmp_path):
    """Its word for a missing value is not taken for a number."""
    table = weather.iloc[:300].copy()
    table.iloc[-5:-2, 0] = -999
    table.to_csv(tmp_path / "holes.csv")
    words = ["--na=-999", "--missing", "interpolate", "--lookback", "48", "--patch-length", "12"]
    words += ["--horizon", "12", "--dim", "16", "--num-heads", "2", "--max-steps", "3", "-q"]
    run = tmp_path / "run"
    code, _, err = stanhop("train", tmp_path / "holes.csv", *words, "-o", run)
    assert code == 0, err
    wanted = stanhop("forecast", run, tmp_path / "holes.csv")[1]
    content = (tmp_path / "holes.csv").read_bytes()
    (answer,) = ask(run, [post(content=content, headers={"Content-Type": "text/csv"})])
    made = pd.DataFrame(answer.json()["forecast"])
    told = pd.read_csv(io.StringIO(wanted))
    np.testing.assert_allclose(made[list(weather)], told[list(weather)], rtol=1e-9)
    assert any("3 values" in note for note in answer.json()["notes"])  # what was filled is told
    csv = {"Content-Type": "text/csv", "Accept": "text/csv"}
    (answer,) = ask(run, [post(content=content, headers=csv)])
    assert "3 values" in json.loads(answer.headers["stanhop-notes"])[0]


def test_windows_that_come_at_once_are_forecast_together(run, fitted, weather, monkeypatch):
    passes = []
    made = Service._pass
    monkeypatch.setattr(
        Service, "_pass", lambda self, windows: passes.append(len(windows)) or made(self, windows)
    )
    starts = range(200)
    windows = [weather.iloc[first : first + 48] for first in starts]
    answers = ask(run, [post(json={"window": w.to_numpy().tolist()}) for w in windows])
    assert sum(passes) == 200
    assert len(passes) < 50
    for window, answer in zip(windows[::20], answers[::20], strict=True):
        wanted = fitted.predict(window).to_numpy()
        np.testing.assert_allclose(answer.json()["forecast"], wanted, rtol=1e-4, atol=1e-4)


def test_some_of_many_series_are_forecast(many):
    folder, table = many
    rows = json.loads(table.to_json(orient="records", date_format="iso"))
    whole, some, wrong = ask(
        folder,
        [
            post(json={"table": rows}),
            post(json={"table": rows, "ids": [2], "levels": [80]}),
            post(json={"window": [[1.0]] * 14}),
        ],
    )
    forecaster = STanHopForecaster.load(folder)
    frame = pd.DataFrame(whole.json()["forecast"])
    np.testing.assert_allclose(frame["sold"], forecaster.predict(table)["sold"], rtol=1e-9)
    assert list(frame["shop"].unique()) == [1, 2]
    assert {row["shop"] for row in some.json()["forecast"]} == {2}
    assert "sold-hi-80" in some.json()["forecast"][0]
    assert (wrong.status_code, "one table without covariates" in wrong.text) == (422, True)


def test_what_the_server_says_of_itself_needs_no_other_host(run):
    page, model, schema, nowhere = ask(
        run, [("GET", path, {}) for path in ("/", "/model", "/openapi.json", "/docs")]
    )
    assert "http" not in page.text.replace("http://HOST:PORT", "")
    assert model.json()["columns"]
    assert model.json()["lookback"] == 48
    body = schema.json()["paths"]["/forecast"]["post"]["requestBody"]["content"]
    assert "horizon" in body["application/json"]["schema"]["properties"]
    assert nowhere.status_code == 404


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"content": b"{"}, 422, "the request is no JSON"),
        ({"content": b"[" * 100_000}, 422, "the request is no JSON"),
        ({"content": b"[1]"}, 422, "a request is a JSON object of table, window"),
        ({"json": {"rows": []}}, 422, "a request is a JSON object"),
        ({"json": {"table": [{"a": 1}], "window": [[1.0]]}}, 422, "a table or a window"),
        ({"json": {"table": 5}}, 422, "table: must be a list of rows"),
        ({"json": {"table": [[1, 2]]}}, 422, "columns? "),
        ({"json": {"table": [{"time": "2024-01-01", "x": 1}]}}, 422, "^table: .*too few to infer"),
        ({"json": {"window": [[1, 2], [3]]}}, 422, "rows of numbers"),
        ({"json": {"window": [[1, 2, 3]]}}, 422, "must be 48 rows of 3 numbers"),
        ({"json": {"window": [[None, 2, 3]] * 48}}, 422, "missing or not finite"),
        ({"json": {"window": [[1, 2, 3]] * 48, "horizon": 9}}, 422, "send a table for more"),
        ({"json": {"table": [], "horizon": True}}, 422, "table: must be"),
        ({"json": {"table": [{"a": 1}], "horizon": True}}, 422, "horizon cannot be 'True'"),
        ({"json": {"table": [{"a": 1}], "levels": "80"}}, 422, "levels cannot be '80'"),
        ({"json": {"table": [{"a": [1]}]}}, 422, "column 'a' has a list or an object in row 1"),
        ({"json": {"window": [[1e300, 2, 3]] * 48}}, 422, "not finite"),
        ({"json": {"window": [["1", 2, 3]] * 48}}, 422, "rows of numbers"),
        ({"json": {"window": [[True, 2, 3]] * 48}}, 422, "rows of numbers"),
        ({"json": {"window": [[10**400, 2, 3]] * 48}}, 422, "rows of numbers"),
        ({"json": {"window": 5}}, 422, "rows of numbers"),
        ({"json": {"table": [{"a": 1}], "levels": [10**400]}}, 422, "levels cannot be"),
        ({"json": {"table": [{"a": 1}]}, "params": {"horizon": "3"}}, 422, "part of the object"),
        ({"content": b'{"horizon": 3, "horizon": 5}'}, 422, "'horizon' is said twice"),
        (
            {
                "content": b"a",
                "headers": {"Content-Type": "text/csv"},
                "params": [("horizon", "3"), ("horizon", "4")],
            },
            422,
            "'horizon' is said twice",
        ),
        *(
            (
                {
                    "content": b"a",
                    "headers": {"Content-Type": "text/csv"},
                    "params": {"horizon": text},
                },
                422,
                f"horizon: '{text}' is not a whole number",
            )
            for text in ("inf", "4.9")
        ),
        ({"content": b"a", "headers": {"Content-Type": "text/html"}}, 415, "'text/html' is not"),
        (
            {"content": b"", "headers": {"Content-Type": "text/csv"}},
            422,
            "^table: the file is empty",
        ),
        (
            {"content": b"a", "headers": {"Content-Type": "text/csv"}, "params": {"x": "1"}},
            422,
            "'x' is nothing that can be asked for",
        ),
        (
            {"content": b"1," * 2**20, "headers": {"Content-Type": "text/csv"}},
            413,
            "more than 1 MB",
        ),
    ],
)
def test_what_cannot_be_is_one_line(run, options, status, message):
    import re

    (answer,) = ask(run, [post(**options)], ServeConfig(max_request=1))
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert re.search(message, error), error
    assert "\n" not in error
    assert "defect" not in error


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8808", "127.0.0.1.evil.example"])
def test_a_name_that_leads_here_is_not_answered(run, host):
    """A page of another site could have its name lead to this machine (DNS rebinding)."""
    (answer,) = ask(run, [("GET", "/model", {"headers": {"Host": host}})])
    assert (answer.status_code, "is not this machine" in answer.json()["error"]) == (403, True)
    for own in ("localhost:1", "127.0.0.1:8808", "[::1]:8808"):
        (answer,) = ask(run, [("GET", "/model", {"headers": {"Host": own}})])
        assert answer.status_code == 200
    open_to_all = ServeConfig(host="0.0.0.0")
    (answer,) = ask(run, [("GET", "/model", {"headers": {"Host": host}})], open_to_all)
    assert answer.status_code == 200


def test_an_address_that_is_none_is_one_line(run):
    answers = ask(run, [("GET", "/none", {}), ("GET", "/forecast", {})])
    assert [answer.status_code for answer in answers] == [404, 405]
    assert [set(answer.json()) for answer in answers] == [{"error"}] * 2


def test_a_port_that_is_taken_is_one_line(stanhop, run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, err = stanhop("serve", run, "--port", taken.getsockname()[1])
    assert code == 2
    assert "cannot be opened (Address already in use); choose another --port" in err
    assert "serving" not in err


def test_a_defect_is_told_without_what_it_saw(run, monkeypatch):
    def broken(self, asked):
        raise RuntimeError("secret")

    monkeypatch.setattr(Service, "_of_table", broken)
    (answer,) = ask(run, [post(json={"table": [{"a": 1}]})])
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_more_than_may_wait_are_told_to_come_again(run, weather):
    window = weather.iloc[:48].to_numpy().tolist()
    answers = ask(run, [post(json={"window": window})] * 20, ServeConfig(waiting=5))
    codes = [answer.status_code for answer in answers]
    assert codes.count(200) == 5
    assert codes.count(503) == 15
