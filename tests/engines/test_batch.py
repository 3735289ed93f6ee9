"""Tables of any size, block by block: the same bits, whatever makes them and whatever dies."""

import os
import signal
import threading
from dataclasses import replace

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stanhop_app import STanHopForecaster
from stanhop_app.data.long import names
from stanhop_app.engines import batch
from stanhop_app.engines.config import EngineConfig
from stanhop_app.engines.results import Results, part_name
from stanhop_app.engines.source import ParquetSource, text_of
from stanhop_app.engines.work import Made, Task, Worker
from stanhop_app.errors import ArtefactError, DataError, OptionError, StanhopError
from stanhop_app.forecasting.intervals.spread import Spread

OPTIONS = {
    "horizon": 7,
    "lookback": 14,
    "split": "*/16/7",
    "max_epochs": 1,
    "progress": False,
    "final": "none",
    "reading": {"id_column": "shop", "joint": False},
    "network": {"dim": 8, "patch_length": 7, "num_heads": 2},
}


def shops(count=600, rows=45):
    """Weekly waves, the rows of a shop together."""
    days, draws = np.arange(rows), np.random.default_rng(0)
    waves = (10 + np.arange(count)[:, None] % 9) * (2 + np.sin(2 * np.pi * days / 7))
    names = np.array([f"{number:04d}" for number in range(count)])
    sold = waves + draws.normal(size=(count, rows))
    times = np.tile(pd.date_range("2024-01-01", periods=rows), count)
    return pd.DataFrame({"shop": np.repeat(names, rows), "day": times, "sold": sold.ravel()})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many") / "run"
    STanHopForecaster(**OPTIONS).fit(shops(40)).save(folder)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "shops.parquet"
    shops().to_parquet(path, row_group_size=1000)
    return path


@pytest.fixture(scope="module")
def wanted(run):
    return STanHopForecaster.load(run).predict(shops())


def here(task, blocks, workers):
    """An engine without processes."""
    worker = Worker(task)
    for number, block in blocks:
        yield worker(number, block)


@pytest.fixture
def job(run, table, tmp_path, monkeypatch):
    monkeypatch.setitem(batch.ENGINES, "local", here)

    def forecast(source=table, output=tmp_path / "out", *, force=False, config=None, **more):
        said = []
        task = Task(
            run=str(run),
            source=str(source),
            output=str(output),
            id_column="shop",
            reading={"id_column": "shop", "frequency": "D"},
            hints={},
        )
        config = EngineConfig(engine="local", block_series=1) if config is None else config
        asked = {"spread": vars(more.get("spread", Spread()))}
        batch.forecast_blocks(replace(task, **more), config, asked, say=said.append, force=force)
        return pd.concat(Results(str(output)).frames(), ignore_index=True), said

    return forecast


@pytest.mark.parametrize("block_series", [1, 300, 10_000])
def test_blocks_of_any_size_make_the_bits_of_one_forecast(job, wanted, block_series):
    config = EngineConfig(engine="local", block_series=block_series)
    made, said = job(config=config)
    pd.testing.assert_frame_equal(made, wanted, check_exact=True)
    assert said[0].startswith(
        f"600 series in {[3, 2, 1][[1, 300, 10_000].index(block_series)]} blocks"
    )


def test_the_order_of_rows_within_a_table_does_not_matter(job, wanted, tmp_path):
    by_day = shops().sort_values(["day", "shop"])
    by_day.to_parquet(tmp_path / "by-day.parquet", row_group_size=5000)
    made, _ = job(tmp_path / "by-day.parquet")
    pd.testing.assert_frame_equal(made, wanted, check_exact=True)


def test_intervals_go_along(job, run):
    spread = Spread(levels=[80.0])
    made, _ = job(spread=spread)
    pd.testing.assert_frame_equal(
        made, STanHopForecaster.load(run).predict_interval(shops(), [80.0]), check_exact=True
    )


def test_folders_by_series_are_read_with_their_names(job, wanted, tmp_path):
    few = shops().query("shop < '0020'")
    few.to_parquet(tmp_path / "parts", partition_cols=["shop"])
    (tmp_path / "parts" / "_SUCCESS").touch()
    (tmp_path / "parts" / ".hidden.parquet").write_text("no table")
    made, _ = job(tmp_path / "parts")
    assert list(dict.fromkeys(made["shop"])) == [f"{number:04d}" for number in range(20)]
    np.testing.assert_allclose(made["sold"], wanted["sold"][: 20 * 7], rtol=1e-5)


@pytest.mark.parametrize("kind", ["int64", "float64", "float32", "category"])
def test_names_of_every_kind_are_those_of_the_library(job, run, tmp_path, kind):
    few = shops(20).assign(shop=lambda rows: rows["shop"].astype(int) + 7000)
    few = few.astype({"shop": kind if kind != "category" else "str"}).astype({"shop": kind})
    few.to_parquet(tmp_path / "few.parquet")
    made, _ = job(tmp_path / "few.parquet")
    whole = STanHopForecaster.load(run).predict(few)
    pd.testing.assert_frame_equal(made, whole, check_exact=True)


def test_names_that_are_fractions_are_the_same_in_every_piece(job, run, tmp_path):
    few = shops(20).assign(shop=lambda rows: rows["shop"].astype(int) + 7000.0)
    few.loc[few["shop"] == 7019.0, "shop"] = 7000.5  # in the last row group alone
    few.to_parquet(tmp_path / "few.parquet", row_group_size=100)
    made, _ = job(tmp_path / "few.parquet")
    whole = STanHopForecaster.load(run).predict(few)
    assert set(made["shop"].astype(str)) == set(whole["shop"].astype(str))
    np.testing.assert_array_equal(made["sold"], whole["sold"])


def test_files_whose_columns_differ_are_read_as_one_table(job, run, tmp_path):
    """Whole numbers in the first, fractions in others: none is cut."""
    table, folder = shops(30), tmp_path / "parts"
    folder.mkdir()
    numbers = table["shop"].astype(int)
    first = table[numbers < 10].astype({"sold": "int64"})
    second, third = table[(numbers >= 10) & (numbers < 20)], table[numbers >= 20]
    for name, part in (("a", first), ("b", second), ("c", third)):
        part.to_parquet(folder / f"{name}.parquet")
    made, _ = job(folder)
    whole = pd.concat([first.astype({"sold": "float64"}), second, third])
    wanted = STanHopForecaster.load(run).predict(whole)
    pd.testing.assert_frame_equal(made, wanted, check_exact=True)


def test_urls_are_read_and_written(job, wanted):
    memory = fsspec.filesystem("memory")
    for unfinished in ("_temporary/0/part.parquet", ".half.parquet"):
        memory.pipe_file(f"/sales/{unfinished}", b"no table")
    with memory.open("/sales/shops.parquet", "wb") as file:
        shops().to_parquet(file, row_group_size=10_000)
    made, _ = job("memory://sales", "memory://forecasts")
    pd.testing.assert_frame_equal(made, wanted, check_exact=True)
    memory.rm("/forecasts/" + part_name(1))
    again, said = job("memory://sales", "memory://forecasts")
    pd.testing.assert_frame_equal(again, wanted, check_exact=True)
    assert said == ["2 of 3 blocks are there, 1 are left"]
    with pytest.raises(DataError, match="nowhere://sales: cannot be opened"):
        job("nowhere://sales")


def test_only_what_is_missing_or_damaged_is_made_again(job, wanted, tmp_path):
    job()
    out = tmp_path / "out"
    kept = (out / part_name(0)).stat().st_mtime_ns
    (out / part_name(1)).write_bytes((out / part_name(1)).read_bytes()[:-100])
    pq.write_table(pa.table({"shop": ["0512"]}), out / part_name(2))  # of something else
    made, said = job()
    pd.testing.assert_frame_equal(made, wanted, check_exact=True)
    assert said == ["1 of 3 blocks are there, 2 are left"]
    assert (out / part_name(0)).stat().st_mtime_ns == kept
    assert job()[1] == ["3 of 3 blocks are there, 0 are left"]
    assert len(pd.read_parquet(out)) == len(wanted)  # the plan is in nobody's way


def test_a_table_is_never_taken_for_results(job, tmp_path):
    """Also where its files are called as those of a job are, and whatever is forced."""
    sales = tmp_path / "sales"
    sales.mkdir()
    shops(3).to_parquet(sales / part_name(0))
    for output in (sales, tmp_path, sales / "made"):
        with pytest.raises(OptionError, match="must lie apart"):
            job(sales, output, force=True)
    other = tmp_path / "other"
    other.mkdir()
    shops(3).to_parquet(other / part_name(7))
    job(sales, other, force=True)
    assert (other / part_name(7)).exists()
    assert (sales / part_name(0)).exists()


def test_results_of_another_job_stay_unless_forced(job, tmp_path):
    job()
    for change in ({"spread": Spread(levels=[80.0])}, {"config": EngineConfig(engine="local")}):
        with pytest.raises(ArtefactError, match="of another run, table or options"):
            job(**change)
    made, _ = job(spread=Spread(levels=[80.0]), force=True)
    assert "sold-lo-80" in made
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(ArtefactError, match=r"is not empty \(cat.jpg\)"):
        job(output=tmp_path / "photos")
    job(output=tmp_path / "photos", force=True)
    assert (tmp_path / "photos" / "cat.jpg").exists()


@pytest.mark.parametrize(
    "forge",
    [
        lambda text: text[:50],
        lambda text: "[]",
        lambda text: text.replace('"0001"', '"0002"'),
        lambda text: text.replace('"version": 1', '"version": 9'),
    ],
)
def test_an_altered_plan_is_damaged(job, tmp_path, forge):
    job()
    plan = tmp_path / "out" / "_plan.json"
    plan.write_text(forge(plan.read_text()))
    with pytest.raises(ArtefactError, match=r"_plan.json: damaged") as caught:
        job()
    assert "\n" not in str(caught.value)


def test_what_is_no_table_is_one_line(job, tmp_path):
    def refused(source, message):
        with pytest.raises(DataError, match=message) as caught:
            job(source)
        assert "\n" not in str(caught.value)

    refused(tmp_path / "nowhere", "cannot be read")
    (tmp_path / "text.parquet").write_text("a,b\n1,2\n")
    refused(tmp_path / "text.parquet", "cannot be read as Parquet")
    folder = tmp_path / "folder"
    folder.mkdir()
    refused(folder, "no Parquet file there")
    os.mkfifo(folder / "pipe.parquet")
    refused(folder, "is no plain file")
    (folder / "pipe.parquet").unlink()
    (folder / "link.parquet").symlink_to("/etc/passwd")
    refused(folder, "is a link")
    few = shops(3)
    few.rename(columns={"shop": "store"}).to_parquet(tmp_path / "other.parquet")
    refused(tmp_path / "other.parquet", "no column 'shop', which named the series")
    few.loc[50, "shop"] = " "
    few.to_parquet(tmp_path / "empty.parquet", row_group_size=40)
    refused(tmp_path / "empty.parquet", "id column 'shop' is empty, first in row 11 of row group 1")
    few.iloc[:0].to_parquet(tmp_path / "none.parquet")
    refused(tmp_path / "none.parquet", "has no rows")


def test_a_series_that_cannot_be_forecast_is_named_and_all_others_are_there(job, tmp_path):
    some = shops().drop(index=[300 * 45 + 3])
    some.to_parquet(tmp_path / "gap.parquet")
    with pytest.raises(DataError, match=r"(?s)1 of 3 blocks.*block 1 .*series '0300'"):
        job(tmp_path / "gap.parquet")
    done = [Results(str(tmp_path / "out")).is_done(n, mark_of(tmp_path)) for n in range(3)]
    assert done == [True, False, True]


def test_a_file_that_comes_in_the_middle_is_not_taken_in(job, tmp_path, monkeypatch):
    sales = tmp_path / "sales"
    sales.mkdir()
    shops().to_parquet(sales / "b.parquet", row_group_size=1000)

    def meanwhile(task, blocks, workers):
        shops(3).to_parquet(sales / "a.parquet")
        yield from here(task, blocks, workers)

    monkeypatch.setitem(batch.ENGINES, "local", meanwhile)
    with pytest.raises(DataError, match="its files changed; begin anew"):
        job(sales)


def mark_of(folder):
    return Results(str(folder / "out")).plan().sha256


def test_what_fails_by_chance_is_tried_again_and_what_fails_always_is_told(job, monkeypatch):
    tries = []

    def shaky(task, blocks, workers):
        for made in here(task, blocks, workers):
            tries.append(made.number)
            bad = made.number == 1 and tries.count(1) < 2
            yield Made(number=1, error="OSError: disk", cause="chance") if bad else made

    monkeypatch.setitem(batch.ENGINES, "local", shaky)
    job()
    assert tries == [0, 1, 2, 1]

    def broken(task, blocks, workers):
        for number, _ in blocks:
            yield Made(number=number, error="MemoryError: too much", cause="chance")

    monkeypatch.setitem(batch.ENGINES, "local", broken)
    with pytest.raises(StanhopError, match="(?s)3 of 3 blocks.*MemoryError") as caught:
        job(force=True, spread=Spread(levels=[80.0]))
    assert not isinstance(caught.value, DataError)


@pytest.mark.slow
def test_workers_that_are_killed_change_nothing(run, table, tmp_path, job, wanted, monkeypatch):
    """Two processes; one is killed in the middle of its work, twice."""
    from stanhop_app.engines import local

    monkeypatch.setitem(batch.ENGINES, "local", local.run_local)
    given, killed = local._Hand.give, []

    def give(hand, block):
        given(hand, block)
        if block[0] == 1 and len(killed) < 2:
            killed.append(hand.process.pid)
            wait = 0.0 if len(killed) == 1 else 0.05
            threading.Timer(wait, os.kill, (hand.process.pid, signal.SIGKILL)).start()

    monkeypatch.setattr(local._Hand, "give", give)
    config = EngineConfig(engine="local", workers=2, block_series=1)
    made, _ = job(config=config)
    pd.testing.assert_frame_equal(made, wanted, check_exact=True)
    assert len(killed) == 2


@pytest.mark.slow
def test_a_block_that_kills_every_process_is_given_up(run, table, tmp_path, job, monkeypatch):
    from stanhop_app.engines import local

    monkeypatch.setitem(batch.ENGINES, "local", local.run_local)
    monkeypatch.setattr(local, "DEATHS", 2)
    monkeypatch.setattr(
        local._Hand,
        "give",
        lambda hand, block: (setattr(hand, "block", block), hand.process.kill()),
    )
    with pytest.raises(StanhopError, match="its process was killed 2 times") as caught:
        job(config=EngineConfig(engine="local", block_series=10_000))
    assert not isinstance(caught.value, DataError)  # the table may be right
    monkeypatch.setattr(
        local._Hand,
        "give",
        lambda hand, block: (setattr(hand, "block", block), hand.pipe.send(0)),  # no block
    )
    with pytest.raises(StanhopError, match=r"its process ended by itself \(code 1\) 2 times"):
        job(config=EngineConfig(engine="local", block_series=10_000))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own
def test_ray_makes_the_same_bits(job, wanted, monkeypatch):
    pytest.importorskip("ray")
    config = EngineConfig(engine="ray", workers=2, block_series=1)
    made, _ = job(config=config)
    pd.testing.assert_frame_equal(made, wanted, check_exact=True)


def test_row_groups_are_read_in_pieces(table):
    source = ParquetSource(str(table))
    assert len(source.groups) == 27
    places = dict.fromkeys(n for n, names in source.ids("shop") if "0100" in names)
    rows = source.rows("shop", ["0100"], list(places))
    pd.testing.assert_frame_equal(
        rows.reset_index(drop=True), shops().query("shop == '0100'").reset_index(drop=True)
    )
    assert len(places) <= 2


def test_columns_that_nobody_asks_for_may_be_of_any_kind(tmp_path):
    folder, rows = tmp_path / "parts", shops(20)
    folder.mkdir()
    rows[:450].assign(note=1).to_parquet(folder / "a.parquet")
    rows[450:].assign(note="x").to_parquet(folder / "b.parquet")
    source = ParquetSource(str(folder))
    assert sum(len(ids) for _, ids in source.ids("shop")) == 20


def test_names_that_are_fractions_are_written_as_everywhere_else():
    values = [1e-5, 2.0, 1.5]
    assert text_of(pa.array(values)).to_pylist() == names(pd.Series(values), "t").tolist()


def test_series_that_two_columns_name_are_to_be_written_as_one(tmp_path):
    """Blocks of Parquet are found by one column; what is to be done is said."""
    table = pd.DataFrame({"store": [1, 1], "item": ["a", "b"], "time": [0, 0], "value": [1.0, 2.0]})
    table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(
        DataError, match="Write them as one, such as a/b, into a column 'store,item'"
    ):
        list(ParquetSource(str(tmp_path / "t.parquet")).ids("store,item"))
    joined = table.assign(**{"store,item": ["1/a", "1/b"]})
    joined.to_parquet(tmp_path / "t.parquet")
    (_, ids), *_ = ParquetSource(str(tmp_path / "t.parquet")).ids("store,item")
    assert ids == ["1/a", "1/b"]
