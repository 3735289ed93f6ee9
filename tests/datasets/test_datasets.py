"""Data sets: found, fetched, verified, never modified."""

import gzip
import hashlib
import io
import os
import urllib.error

import numpy as np
import pytest
from stanhop_app.datasets import DATASETS, etth1

from stanhop_app import datasets
from stanhop_app.data.series import to_series
from stanhop_app.errors import DataError
from stanhop_app.studies.competition import held_out, judged, seasonal_naive

CONTENT = b"date,OT\n2016-07-01 00:00:00,1.0\n"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("STANHOP_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(etth1, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return tmp_path / "stanhop" / "ETTh1.csv"


def serve(monkeypatch, home, archive):
    monkeypatch.setattr(etth1, "_from_home", home)
    monkeypatch.setattr(etth1, "_from_archive", archive)


def fail(text):
    def source():
        """A source."""
        raise OSError(text)

    return source


@pytest.fixture
def shared(project, monkeypatch, tmp_path):
    """Files of data sets that are handed out beside the project, where they are."""
    folder = project.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the files of this data set are not here")
    monkeypatch.setenv("STANHOP_DATA_DIR", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("name", ["etth1", "sample"])
def test_every_data_set_is_what_its_entry_says(name):
    frame = datasets.load(name)
    assert frame.shape == (DATASETS[name].rows, DATASETS[name].variates)
    assert frame.notna().all(axis=None)
    assert frame.index.freqstr == "h"


def test_exchange_rates_are_on_business_days(shared):
    frame = datasets.load("exchange-rate")
    assert frame.shape == (DATASETS["exchange-rate"].rows, DATASETS["exchange-rate"].variates)
    assert frame.index.freqstr == "B"
    assert frame["Australia"].iloc[0] == 0.7855


@pytest.mark.parametrize(("name", "last"), [("m4-hourly", 48), ("m4-weekly", 13)])
def test_m4_is_the_competition(shared, name, last):
    """Seasonal naive scores what the competition published of it: 13.912 and 1.193; 9.161 and 2.777."""
    frame, entry = datasets.load(name), DATASETS[name]
    assert len(frame) == entry.rows
    assert frame["unique_id"].nunique() == entry.series
    assert entry.split.endswith(f"/{last}")
    season, smape, mase = {48: (24, 13.912, 1.193), 13: (1, 9.161, 2.777)}[last]
    errors = []
    for _, rows in frame.groupby("unique_id"):
        y = rows["y"].to_numpy()
        known, truth = y[:-last], y[-last:]
        error = np.abs(truth - np.resize(known[-season:], last))
        scale = np.abs(known[season:] - known[:-season]).mean()
        guess = np.resize(known[-season:], last)
        errors.append(
            [(200 * error / (np.abs(truth) + np.abs(guess))).mean(), error.mean() / scale]
        )
    assert np.mean(errors, axis=0) == pytest.approx([smape, mase], abs=5e-4)
    table, held = held_out(to_series(frame, id_column="unique_id"), last)
    naive = seasonal_naive(table, entry.season, last)
    made = judged(table, held, naive, entry.season, entry.naive2)
    assert (made["smape"], made["mase"]) == pytest.approx((smape, mase), abs=5e-4)
    assert made["owa"] == pytest.approx({48: 0.628, 13: 1.0}[last], abs=1e-3)


def test_another_file_by_the_name_of_m4_is_refused(project, tmp_path, monkeypatch):
    (tmp_path / "Hourly-train.csv").write_text("V1,V2\nH1,3\n")
    monkeypatch.setenv("STANHOP_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(
        DataError, match=r"Hourly-train.csv: checksum does not match.*STANHOP_DATA_DIR"
    ):
        datasets.load("m4-hourly")


def test_etth1_is_the_known_table(etth1):
    assert list(etth1.columns) == ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
    assert str(etth1.index[0]) == "2016-07-01 00:00:00"
    assert str(etth1.index[-1]) == "2018-06-26 19:00:00"
    assert etth1["OT"].iloc[0] == pytest.approx(30.531, abs=1e-3)


def test_an_unknown_name_is_answered_with_the_list():
    with pytest.raises(
        ValueError, match="unknown data set 'etth9'; choose one of: etth1, exchange-rate"
    ):
        datasets.load("etth9")


def test_the_file_is_fetched_once_and_kept_unmodified(cache, monkeypatch):
    serve(monkeypatch, lambda: CONTENT, fail("not asked"))
    assert etth1.locate() == cache
    assert cache.read_bytes() == CONTENT
    serve(monkeypatch, fail("again"), fail("again"))
    assert etth1.locate() == cache
    assert [p.name for p in cache.parent.iterdir()] == ["ETTh1.csv"]


def test_the_second_source_is_asked_where_the_first_fails(cache, monkeypatch):
    serve(monkeypatch, fail("no network"), lambda: CONTENT)
    assert etth1.locate().read_bytes() == CONTENT


def test_a_wrong_checksum_from_the_network_is_never_kept(cache, monkeypatch):
    serve(monkeypatch, lambda: CONTENT + b"x", fail("gone"))
    with pytest.raises(DataError, match=r"checksum does not match; .*gone\); put the file into"):
        etth1.locate()
    assert not cache.exists()


def test_a_changed_file_in_the_cache_is_refused_by_name(cache):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(CONTENT + b"x")
    with pytest.raises(DataError, match=r"ETTh1.csv: checksum does not match .*delete the file"):
        etth1.locate()


def test_a_home_out_of_reach_is_a_failure_that_is_told(cache, monkeypatch):
    def refuse(*args, **options):
        assert options["timeout"] <= 10
        raise urllib.error.URLError("unreachable")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr(etth1, "_from_archive", fail("no pip"))
    with pytest.raises(DataError, match=r"ETDataset: unreachable; A source: no pip"):
        etth1.locate()


def test_the_home_is_read_whole(cache, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **o: io.BytesIO(CONTENT))
    assert etth1.locate().read_bytes() == CONTENT


def test_the_sample_is_a_fact_not_a_draw():
    from stanhop_app.datasets import sample

    text = gzip.decompress(sample.locate().read_bytes()).decode()
    assert text.startswith(
        "time,temperature_f,dew_point_f,humidity_pct,wind_mph\n2013-03-05 07:00:00,"
    )


def test_a_file_in_the_data_folder_goes_before_the_cache_and_nothing_is_written_there(
    cache, monkeypatch, tmp_path
):
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("STANHOP_DATA_DIR", str(own))
    serve(monkeypatch, lambda: CONTENT, fail("not asked"))
    assert etth1.locate() == cache
    assert list(own.iterdir()) == []
    (own / "ETTh1.csv").write_bytes(CONTENT)
    assert etth1.locate() == own / "ETTh1.csv"


def test_what_a_killed_fetch_left_is_removed_by_the_next(cache, monkeypatch):
    cache.parent.mkdir(parents=True)
    left, busy = (cache.parent / f".ETTh1.csv.{pid}.part" for pid in (2**22 + 7, os.getppid()))
    left.write_bytes(b"half")
    busy.write_bytes(b"another process is at it")
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **o: io.BytesIO(CONTENT))
    etth1.locate()
    assert sorted(cache.parent.iterdir()) == sorted([busy, cache])
