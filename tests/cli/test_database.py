"""Databases as source and sink: as from a file, nothing doubled, nothing half written, no secret kept."""

import gc
import getpass
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sql

from stanhop_app.data.addresses import check_address, is_database
from stanhop_app.data.database import connected, plain, query_table
from stanhop_app.errors import DataError, OptionError, StorageError
from stanhop_app.runs.forecast_rows import forecast_rows, write_rows

SECRET = "s3cr3t-of-nobody"
WORDS = ["--lookback", "48", "--patch-length", "12", "--horizon", "12", "--dim", "16"]
WORDS += ["--num-heads", "2", "--max-steps", "4", "-q"]
QUERY = 'SELECT "date" AS "time", temperature_f, dew_point_f FROM weather ORDER BY 1'


@pytest.fixture(scope="session")
def rows(weather):
    """What the databases hold: a decimal, a date and time, a number."""
    return (
        weather.iloc[:, :2].reset_index().set_axis(["date", "temperature_f", "dew_point_f"], axis=1)
    )


@pytest.fixture(scope="session")
def server():
    """Address of a PostgreSQL of its own, whose password is in PGPASSWORD; skipped where there is none."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    which = shutil.which("initdb")
    if not programs and which is None:
        pytest.skip("PostgreSQL is not installed")
    folder = programs[-1] if programs else Path(which).parent
    home, user = (
        Path(tempfile.mkdtemp()),
        getpass.getuser(),
    )  # pytest's folders are closed to others
    if user == "root":  # which PostgreSQL refuses to be run by
        user = "postgres"
        home.chmod(0o755)
        shutil.chown(home, user)

    def run(*words):
        before = ["runuser", "-u", user, "--"] if user != getpass.getuser() else []
        command = [*before, *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=60)

    word = home / "word"
    word.write_text(SECRET)
    word.chmod(0o644)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, log = home / "data", home / "log"
    run(folder / "initdb", "-D", data, "-A", "scram-sha-256", "--pwfile", word, "-U", "writer")
    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
    run(folder / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")
    os.environ["PGPASSWORD"] = SECRET
    yield f"postgresql://writer@127.0.0.1:{port}/postgres"
    del os.environ["PGPASSWORD"]
    run(folder / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(home)


def engine_of(address):
    return sql.create_engine(address.replace("postgresql:", "postgresql+psycopg:"))


@pytest.fixture(scope="session")
def warehouse(server, rows):
    """The address, with a table of weather in it: numeric, timestamp, double precision."""
    engine = engine_of(server)
    kinds = {"temperature_f": sql.types.Numeric(12, 6), "date": sql.types.DateTime()}
    rows.to_sql("weather", engine, index=False, dtype=kinds)
    yield server
    engine.dispose()


@pytest.fixture(scope="session")
def file(tmp_path_factory, rows):
    """The same in DuckDB."""
    path = tmp_path_factory.mktemp("duck") / "weather.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register("given", rows)
        connection.execute("CREATE TABLE weather AS SELECT * FROM given")
    return f"duckdb:///{path}"


@pytest.fixture
def query(tmp_path):
    path = tmp_path / "weather.sql"
    path.write_text(QUERY)
    return path


def trained_on(stanhop, tmp_path, address, query):
    run = tmp_path / "run"
    code, _, err = stanhop("train", address, "--query", query, *WORDS, "-o", run)
    assert code == 0, err
    return run


def same_as_of_a_file(stanhop, tmp_path, rows, run):
    csv = tmp_path / "weather.csv"
    rows.to_csv(csv, index=False)
    code, _, err = stanhop("train", csv, *WORDS, "-o", tmp_path / "of-file")
    assert code == 0, err
    one, other = (stanhop("forecast", folder)[1] for folder in (run, tmp_path / "of-file"))
    time, *values = one.splitlines()[0].split(",")
    made, wanted = (pd.read_csv(pd.io.common.StringIO(text)) for text in (one, other))
    np.testing.assert_allclose(made[values], wanted[values], rtol=1e-6)
    assert list(made[time]) == list(wanted.iloc[:, 0])


@pytest.mark.slow
def test_a_file_of_duckdb_is_read_and_written_twice_without_doubling(
    stanhop, tmp_path, rows, file, query
):
    run = trained_on(stanhop, tmp_path, file, query)
    same_as_of_a_file(stanhop, tmp_path, rows, run)
    sink = f"duckdb:///{tmp_path / 'made.duckdb'}#forecasts"
    words = ["forecast", run, file, "--query", query, "--levels", "80", "-o", sink]
    _, out, err = stanhop(*words)
    assert out == ""
    assert "72 rows written" in err
    assert "72 rows written" in stanhop(*words)[2]
    assert "72 replaced" in stanhop(*words)[2]
    with duckdb.connect(str(tmp_path / "made.duckdb")) as connection:
        made = connection.sql("SELECT * FROM forecasts").df()
    assert len(made) == 2 * 12 * 3
    assert set(made["kind"]) == {"point", "lo-80", "hi-80"}
    assert (made["time"] - made["cutoff"] == pd.to_timedelta(made["step"], unit="h")).all()
    wanted = pd.read_csv(pd.io.common.StringIO(stanhop("forecast", run)[1]))
    points = made.query("kind == 'point' and variate == 'dew_point_f'").sort_values("step")
    np.testing.assert_allclose(points["value"], wanted["dew_point_f"], rtol=1e-9)


@pytest.mark.slow
def test_postgresql_is_read_and_written_twice_without_doubling(
    stanhop, tmp_path, rows, warehouse, query
):
    run = trained_on(stanhop, tmp_path, warehouse, query)
    same_as_of_a_file(stanhop, tmp_path, rows, run)
    sink = f"{warehouse}#forecasts"
    for told in ("24 rows written", "24 replaced"):
        code, _, err = stanhop("forecast", run, f"{warehouse}#weather", "-o", sink)
        assert code == 0, err
        assert told in err
    engine = engine_of(warehouse)
    made = pd.read_sql("SELECT * FROM forecasts", engine)
    assert len(made) == 24
    # What a constraint refuses leaves what was there.
    with engine.begin() as connection:
        connection.execute(sql.text("UPDATE forecasts SET value = 1"))
        connection.execute(sql.text("ALTER TABLE forecasts ADD CHECK (value = 1)"))
    code, out, err = stanhop("forecast", run, "-o", sink)
    assert (code, out) == (1, "")
    assert "nothing was written" in err
    assert "Traceback" not in err
    kept = pd.read_sql("SELECT * FROM forecasts", engine)
    assert (kept["value"] == 1).all()
    assert len(kept) == 24
    engine.dispose()
    held = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert held
    assert not [path for path in held if SECRET.encode() in path.read_bytes()]


@pytest.mark.slow
def test_sqlite_is_read_and_written_twice_without_doubling(stanhop, tmp_path, rows, query):
    address = f"sqlite:///{tmp_path / 'shop.db'}"
    code, _, err = stanhop("train", f"{address}#weather", *WORDS, "-o", tmp_path / "none")
    assert (code, "shop.db: no such file" in err) == (3, True)
    assert not (tmp_path / "shop.db").exists()  # to look is not to make
    engine = sql.create_engine(address)
    rows.to_sql("weather", engine, index=False)
    run = trained_on(stanhop, tmp_path, address, query)
    same_as_of_a_file(stanhop, tmp_path, rows, run)
    for told in ("72 rows written", "72 replaced"):
        code, _, err = stanhop("forecast", run, "--levels", "80", "-o", f"{address}#forecasts")
        assert code == 0, err
        assert told in err
    made = pd.read_sql("SELECT * FROM forecasts", engine, parse_dates=["time", "cutoff"])
    engine.dispose()
    assert len(made) == 72
    assert (made["time"] - made["cutoff"] == pd.to_timedelta(made["step"], unit="h")).all()


def test_a_variate_that_is_called_as_a_bound_is_none():
    times = pd.date_range("2024-01-01", periods=2, name="time")
    names = ["A", "A-lo-5", "A-lo-x", "A-lo-80", "A-lo-5-lo-80", "A-lo-x-hi-97.5"]
    made = pd.DataFrame(np.arange(12.0).reshape(2, 6), times, names)
    told = forecast_rows(made, ["A", "A-lo-5", "A-lo-x"], {"": times[0]}, "run")
    kinds = told.groupby("variate")["kind"].unique().map(list).to_dict()
    assert kinds == {
        "A": ["point", "lo-80"],
        "A-lo-5": ["point", "lo-80"],
        "A-lo-x": ["point", "hi-97.5"],
    }
    with pytest.raises(StorageError, match="run 'rrrr.*has 300 letters, 200 fit"):
        write_rows(forecast_rows(made, ["A"], {"": times[0]}, "r" * 300), "sqlite://#forecasts")


@pytest.mark.parametrize("scheme", ["sqlite", "duckdb"])
def test_a_forecast_is_replaced_whole(tmp_path, scheme):
    """Of fewer steps, or without bounds: nothing is left of the one before, and nothing of others goes."""
    times = pd.date_range("2024-01-01", periods=3, name="time")
    long = pd.DataFrame({"A": 1.0, "A-lo-80": 0.0, "A-hi-80": 2.0}, times)
    address = f"{scheme}:///{tmp_path / 'f.db'}#forecasts"
    for run in ("one", "two"):
        assert write_rows(forecast_rows(long, ["A"], {"": times[0]}, run), address) == 0
    short = 5 * long.iloc[:2, :1]
    assert write_rows(forecast_rows(short, ["A"], {"": times[0]}, "one"), address) == 9
    with connected(address.partition("#")[0], reading=True) as database:
        made = pd.concat(database.rows("SELECT run, kind, step, value FROM forecasts"))
    assert made["run"].value_counts().to_dict() == {"two": 9, "one": 2}
    assert made.loc[made["run"] == "one", "value"].tolist() == [5.0, 5.0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_connection_that_is_cut_is_one_line(stanhop, tmp_path, warehouse):
    query, engine, cuts = tmp_path / "slow.sql", engine_of(warehouse), []
    query.write_text("SELECT date, temperature_f, pg_sleep(0.05)::text AS s FROM weather")

    def cut():
        kill = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE state = 'active' AND query LIKE 'FETCH%'"
        )
        for _ in range(100):
            time.sleep(0.05)
            with engine.connect() as connection:
                if connection.execute(sql.text(kill)).fetchall():
                    cuts.append(True)
                    return

    killer = threading.Thread(target=cut)
    killer.start()
    code, out, err = stanhop("train", warehouse, "--query", query, *WORDS, "-o", tmp_path / "run")
    killer.join()
    engine.dispose()
    assert (code, out) == (3, "")
    assert re.search("terminating connection|server closed|connection", err)
    assert len(err.strip().splitlines()) == 1
    assert cuts
    gc.collect()  # the driver warns of a cursor that it could no longer close
    assert not (tmp_path / "run").exists()
    assert SECRET not in err


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT 1 AS a, 2 AS a", "two columns 'a'"),
        ("SELECT * FROM weather WHERE 1 = 0", "returns no rows"),
        ("DROP TABLE weather", "must be a SELECT|syntax error|read-only"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "warehouse"])
def test_queries_that_cannot_be_are_one_line(request, kind, query, message):
    address = request.getfixturevalue(kind)
    with pytest.raises(DataError, match=message) as caught:
        query_table(address, query, megabytes=100)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_table_that_is_too_large_is_not_read(file):
    with pytest.raises(DataError, match="more than 0 MB"):
        query_table(file, QUERY, megabytes=0)
    with pytest.raises(OptionError, match="give a query"):
        query_table(file, None, megabytes=1)
    with pytest.raises(OptionError, match="the table after # is of letters"):
        query_table(f"{file}#weather; DROP TABLE weather", None, megabytes=1)
    with pytest.raises(DataError, match="no such file"):
        query_table("duckdb:///nowhere.duckdb", "SELECT 1", megabytes=1)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:word@host/db",
        "postgresql://host/db?password=word",
        "mysql://a:word@h/d",
        "postgresql://me:wo/rd@host/db",
        "trino://u@h/c?access_token=word",
        "mssql://h?odbc_connect=DRIVER%3Dx%3BPWD%3Dword",
    ],
)
def test_passwords_in_addresses_are_refused_and_not_repeated(stanhop, address, tmp_path):
    with pytest.raises(OptionError, match="an address holds no password") as caught:
        check_address(address)
    assert "word@" not in str(caught.value)
    assert "=word" not in str(caught.value)
    code, _, err = stanhop("train", address, "-o", tmp_path / "run")
    assert code == 2
    assert "=word" not in err


def test_what_answers_nobody_is_one_line(stanhop, trained, tmp_path):
    address = "postgresql://nobody@127.0.0.1:1/none"
    code, _, err = stanhop("train", f"{address}#t", "-o", tmp_path / "run")
    assert code == 3
    assert "cannot be reached" in err
    assert len(err.strip().splitlines()) == 1
    code, _, err = stanhop("forecast", trained, "-o", f"{address}#t")
    assert code == 1
    assert "cannot be reached" in err
    code, _, err = stanhop("forecast", trained, "-o", address)
    assert code == 2
    assert "say the table after #" in err


def test_an_address_of_no_database_is_not_repeated(stanhop, trained, tmp_path):
    address = f"postgres://me:{SECRET}@host/shop#sales"
    for words in (("train", address, "-o", tmp_path / "run"), ("forecast", trained, "-o", address)):
        code, _, err = stanhop(*words)
        assert code == 2
        assert SECRET not in err
        assert "postgres://...: is the address of no database; write postgresql://" in err


def test_a_kind_that_tables_have_not_is_told_by_its_name():
    with pytest.raises(DataError, match="duration|interval|month") as caught:
        query_table("duckdb://", "SELECT INTERVAL 1 DAY AS c, INTERVAL 1 MONTH AS d", megabytes=10)
    assert "different kinds" not in str(caught.value)


def test_a_file_of_sqlite_by_uri_is_read(tmp_path):
    path = tmp_path / "x.db"
    engine = sql.create_engine(f"sqlite:///{path}")
    pd.DataFrame({"a": [1, 2]}).to_sql("t", engine, index=False)
    engine.dispose()
    address = f"sqlite:///file:{path}?mode=ro&uri=true#t"
    assert len(pd.read_parquet(query_table(address, None, megabytes=10))) == 2
    with pytest.raises(OptionError, match="names no file"):
        query_table("sqlite://#t", None, megabytes=10)


def test_a_column_of_several_kinds_is_named(tmp_path):
    address = f"sqlite:///{tmp_path / 'shop.db'}"
    engine = sql.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sql.text("CREATE TABLE t (a, b)"))
        connection.execute(sql.text("INSERT INTO t VALUES (1, 2), (2, 'x'), (3, 1.5)"))
    engine.dispose()
    with pytest.raises(DataError, match="column 'b' of the query has values of different kinds"):
        query_table(f"{address}#t", None, megabytes=100)


def test_tables_may_be_called_as_secrets_are():
    address = "postgresql://host/passwords#password_resets"
    assert check_address(address) == address


@pytest.mark.parametrize("kind", ["file", "warehouse"])
def test_colons_and_percents_of_a_query_are_its_own(request, kind):
    query = "SELECT '12:30' AS a, ' :b' AS b, CAST(1 AS INT)::text AS c FROM weather WHERE 'x' LIKE '%x%'"
    read = pd.read_parquet(query_table(request.getfixturevalue(kind), query, megabytes=100))
    assert read.iloc[0].tolist() == ["12:30", " :b", "1"]


def test_a_query_is_asked_of_a_database_only(stanhop, csv, query):
    code, _, err = stanhop("train", csv, "--query", query)
    assert code == 2
    assert "--query is asked of a database" in err


def test_values_of_databases_become_numbers_and_time_stamps():
    import datetime as dt
    import decimal

    zone = dt.timezone(dt.timedelta(hours=2))
    frame = plain(
        pd.DataFrame(
            {
                "n": [decimal.Decimal("1.5"), None],
                "d": [dt.date(2024, 1, 1), None],
                "t": np.array([dt.datetime(2024, 1, 1, tzinfo=zone), None], dtype=object),
                "x": [None, None],
                "w": ["a", None],
            }
        )
    )
    assert frame.dtypes["n"] == frame.dtypes["x"] == np.float64
    assert frame["d"][0] == pd.Timestamp("2024-01-01")
    assert frame["t"][0] == pd.Timestamp("2023-12-31 22:00", tz="UTC")
    assert frame["w"][0] == "a"
    assert is_database("postgresql+psycopg://x/y")
    assert not is_database("s3://bucket")
    assert not is_database("table.csv")
