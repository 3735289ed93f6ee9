"""The command line: what a person types, reads and pipes."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pandas as pd
import pytest
from stanhop_app.cli import interrupts
from stanhop_app.cli.group import COMMANDS, run
from stanhop_app.cli.train import NETWORK, TRAINING, command

from stanhop_app import STanHopForecaster
from stanhop_app.data.reading import reading_of
from stanhop_app.models.stanhop import STanHopConfig
from stanhop_app.training.config import TrainingConfig

SMALL = "--horizon 12 --lookback 48 --patch-length 12 --dim 16 --num-heads 2 --hidden-dim 16 "
SMALL = (SMALL + "--num-prototypes 2 --max-steps 3").split()


def test_training_ends_with_a_table_and_the_next_command(stanhop, csv, tmp_path):
    code, out, err = stanhop("train", csv, *SMALL, "-o", tmp_path / "run")
    assert code == 0
    for name in (
        "STanHop-Net",
        "deep part",
        "linear part",
        "last value",
        "seasonal naive",
        "ridge",
    ):
        assert name in out
    assert "Split 14/5/5 (525/187/188 rows)" in out
    assert "test MSE" in out
    assert f"Next: stanhop forecast {tmp_path / 'run'}" in err
    assert "900 rows x 3 variates" in err
    assert "step/s" not in err  # no bar where there is no terminal


def test_training_with_json_prints_one_object(stanhop, csv, tmp_path):
    code, out, _ = stanhop("train", csv, *SMALL, "-o", tmp_path / "run", "--json")
    assert code == 0
    content = json.loads(out)
    assert content["run"] == str(tmp_path / "run")
    assert content["split"] == "14/5/5"
    assert content["scores"]["DLinear"].keys() >= {"validation_mse", "test_mae"}


def test_the_forecast_is_the_same_in_csv_json_parquet_and_python(stanhop, trained, tmp_path):
    wanted = STanHopForecaster.load(trained).predict()
    code, out, err = stanhop("forecast", trained)
    assert code == 0
    kept, model = err.splitlines()
    assert kept == "from the rows that the run keeps, which end at 2013-04-11 18:00:00"
    assert model.startswith(
        "by a model whose linear part was fitted on all 900 rows, until 2013-04"
    )
    read = pd.read_csv(io.StringIO(out), index_col="time", parse_dates=True)
    pd.testing.assert_frame_equal(
        read, wanted, check_freq=False, check_index_type=False, rtol=1e-12
    )
    for ending in ("csv", "json", "parquet"):
        assert stanhop("forecast", trained, "-o", tmp_path / f"f.{ending}")[0] == 0
    parquet = pd.read_parquet(tmp_path / "f.parquet")
    pd.testing.assert_frame_equal(parquet, wanted, check_freq=False)
    rows = json.loads((tmp_path / "f.json").read_text())
    assert rows[0]["time"] == wanted.index[0].isoformat()
    assert rows[0]["dew_point_f"] == pytest.approx(wanted["dew_point_f"].iloc[0], rel=1e-12)


@pytest.mark.slow
def test_a_table_on_standard_input_becomes_parquet_on_standard_output(trained, csv, weather):
    done = subprocess.run(
        [sys.executable, "-m", "stanhop_app.cli", "forecast", trained, "-", "--format", "parquet"],
        input=csv.read_bytes(),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    read = pd.read_parquet(io.BytesIO(done.stdout))
    wanted = STanHopForecaster.load(trained).predict(weather)
    pd.testing.assert_frame_equal(read, wanted, check_freq=False)


def test_a_longer_horizon_rolls_on(stanhop, trained):
    code, out, _ = stanhop("forecast", trained, "--horizon", 30)
    assert code == 0
    assert len(out.splitlines()) == 31


def test_evaluating_again_gives_the_scores_of_training(stanhop, trained, csv):
    code, out, _ = stanhop("evaluate", trained, csv, "--json")
    assert code == 0
    saved = json.loads((trained / "config.json").read_text())["metrics"]
    assert json.loads(out) == saved
    code, out, _ = stanhop("evaluate", trained, csv)
    assert code == 0
    assert "per variate, original units, test" in out
    assert "humidity_pct" in out


def test_flags_go_before_the_environment_before_the_file(stanhop, csv, tmp_path, monkeypatch):
    (tmp_path / "c.toml").write_text(
        'horizon = 6\nsplit = "3/1/1"\nseed = 1\ncolumns = ["dew_point_f"]\n'
    )
    monkeypatch.setenv("STANHOP_TRAIN_SEED", "2")
    arguments = [
        *SMALL[2:],
        "--config",
        tmp_path / "c.toml",
        "-o",
        tmp_path / "run",
        "--split",
        "2/1/1",
    ]
    assert stanhop("train", csv, *arguments)[0] == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["network"]["horizon"] == 6
    assert config["seed"] == 2
    assert config["split"] == "2/1/1"
    assert config["columns"] == ["dew_point_f"]


def test_every_option_of_the_configs_is_a_flag_with_the_same_default():
    flags = {p.name: p.default for p in command.params}
    for config, further in ((STanHopConfig, NETWORK), (TrainingConfig, TRAINING)):
        for name in config.__dataclass_fields__:
            if name in ("num_variates", "holes") or name.endswith(
                "_features"
            ):  # the table says them
                continue
            assert name in flags, name
            wanted = config.__dataclass_fields__[name].default
            if wanted is None:
                assert not isinstance(flags[name], int | float | str), name
            else:
                assert flags[name] == wanted, name
        assert set(further) <= set(config.__dataclass_fields__)
    for name, value in STanHopForecaster().get_params().items():
        if name in flags and value is not None:
            assert flags[name] == value, name


def test_filled_values_are_told(stanhop, weather, tmp_path):
    weather.drop(weather.index[5:7]).to_csv(tmp_path / "holes.csv")
    arguments = ["train", tmp_path / "holes.csv", *SMALL, "-o", tmp_path / "run"]
    assert stanhop(*arguments)[0] == 3
    code, _, err = stanhop(*arguments, "--missing", "interpolate")
    assert code == 0
    assert "6 values in 3 of 3 columns were filled by interpolate" in err
    assert "scores include what was filled" in err


def test_a_run_reads_tables_as_its_own_was_read(stanhop, weather, tmp_path):
    holed = weather.drop(weather.index[5:7])
    holed.to_csv(tmp_path / "holes.csv")
    options = ["--missing", "ffill", "--columns", "dew_point_f"]
    run_folder = tmp_path / "run"
    assert stanhop("train", tmp_path / "holes.csv", *SMALL, *options, "-o", run_folder)[0] == 0
    code, out, err = stanhop("forecast", run_folder, tmp_path / "holes.csv")
    filled = f"{tmp_path / 'holes.csv'}: 2 values in 1 of 1 columns were filled by ffill\n"
    model = "by a model whose linear part was fitted on all 900 rows, until 2013-04-11 18:00:00\n"
    assert (code, err) == (0, filled + model)
    assert out.startswith("time,dew_point_f\n")
    code, _, err = stanhop("evaluate", run_folder, tmp_path / "holes.csv")
    assert (code, err) == (0, filled)
    for name in ("forecast", "evaluate"):  # what is said goes before what the run was told
        code, _, err = stanhop(name, run_folder, tmp_path / "holes.csv", "--missing", "error")
        assert code == 3
        assert "2 time stamps are missing" in err


def test_a_config_file_names_options_as_flags_do(stanhop, trained, tmp_path):
    (tmp_path / "c.toml").write_text('format = "json"\nhorizon = 2')
    code, out, _ = stanhop("forecast", trained, "--config", tmp_path / "c.toml")
    assert code == 0
    assert len(json.loads(out)) == 2


def test_a_table_is_described_with_all_that_stands_out(stanhop, tmp_path):
    rows = [f"2024-01-{1 + i:02},{i},{-9999 if i == 4 else i % 5}" for i in range(30) if i != 9]
    (tmp_path / "shop.csv").write_text("\n".join(["date,a,b", *rows, rows[0]]) + "\n")
    code, out, err = stanhop(
        "data", "describe", tmp_path / "shop.csv", "--plot", tmp_path / "p.html"
    )
    assert code == 0
    assert "all columns, 2024-01-10 00:00:00: missing: 1 row, 1 in the longest gap" in out
    assert "1 row with the stamp of another" in out
    assert "say --na=-9999" in out
    assert "Next:" not in err
    assert (tmp_path / "p.html").stat().st_size > 10_000
    code, _, err = stanhop("data", "describe", tmp_path / "shop.csv", "--plot", tmp_path / "p.html")
    assert code == 2
    assert "--force" in err
    facts = json.loads(stanhop("data", "describe", tmp_path / "shop.csv", "--json")[1])
    assert [f["kind"] for f in facts["findings"]] == ["duplicates", "gaps", "code"]


def test_a_table_is_written_as_it_was_understood(stanhop, tmp_path):
    rows = [f"{1 + i:02}.01.2024;{i},5;{'?' if i == 4 else f'{i} kg'}" for i in range(9)]
    source, clean = tmp_path / "shop.csv", tmp_path / "clean.csv"
    source.write_text("\n".join(["Datum;a;b", *rows]) + "\n")
    code, _, err = stanhop("data", "clean", source, "-o", clean, "--missing", "b=ffill")
    assert code == 0, err
    lines = clean.read_text().splitlines()
    assert lines[0] == "Datum,a,b"
    assert lines[5] == "2024-01-05,4.5,3.0"
    assert stanhop("data", "clean", source, "-o", clean, "--missing", "b=ffill")[0] == 2
    assert stanhop("data", "clean", source, "-o", tmp_path / "clean.txt")[0] == 2
    code, _, err = stanhop("data", "clean", source, "-o", tmp_path / "c.parquet")
    assert code == 3
    assert "column 'b' has 1 missing values" in err
    assert not (tmp_path / "c.parquet").exists()


def test_a_forecast_of_local_days_is_read_back_over_a_clock_change(stanhop, tmp_path):
    days = pd.date_range("2023-12-01", "2024-03-28", tz="Europe/Vienna", name="day")
    rows = pd.DataFrame({"a": np.arange(len(days)) % 7 + 0.5}, index=days)
    rows.to_parquet(tmp_path / "days.parquet")
    words = ("--horizon", 6, "--lookback", 21, "--patch-length", 7, "--max-steps", 2, "--quiet")
    run, forecast = tmp_path / "run", tmp_path / "next.csv"
    code, _, err = stanhop("train", tmp_path / "days.parquet", *words, "-o", run)
    assert code == 0, err
    assert stanhop("forecast", run, "-o", forecast)[0] == 0
    offsets = {line.split(",")[0][-6:] for line in forecast.read_text().splitlines()[1:]}
    assert offsets == {"+01:00", "+02:00"}
    known = rows.set_axis(rows.index.map(str), axis=0).rename_axis("day").to_csv()
    (tmp_path / "all.csv").write_text(known + "\n".join(forecast.read_text().splitlines()[1:]))
    code, out, err = stanhop("forecast", run, tmp_path / "all.csv")
    assert code == 0, err
    assert out.splitlines()[1].startswith("2024-04-04 00:00:00+02:00")


def test_three_years_of_months_are_trained_without_a_flag(stanhop, tmp_path):
    months = pd.date_range("2021-01-01", periods=36, freq="MS", name="month")
    pd.DataFrame({"a": np.arange(36) % 12}, index=months).to_csv(tmp_path / "m.csv")
    words = ("train", tmp_path / "m.csv", "--horizon", 12, "-o", tmp_path / "run", "--quiet")
    code, out, err = stanhop(*words)
    assert code == 0, err
    assert "36 rows are too few to keep 12 of them for a test" in err
    assert "validation MSE" in out
    assert "test MSE" not in out
    code, _, err = stanhop(*words, "--resume")
    assert code == 0, err
    assert "finished already" in err
    code, out, _ = stanhop("forecast", tmp_path / "run")
    assert len(out.splitlines()) == 13


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    """A long table of shops that opened at different times, and a run on it."""
    folder = tmp_path_factory.mktemp("shops")
    rows = ["shop,day,sold"]
    for number in range(5):
        days = pd.date_range("2024-01-01", periods=70 + 20 * number)
        sold = (number + 1) * (2 + np.sin(np.arange(len(days)) * 2 * np.pi / 7))
        pairs = zip(days.strftime("%Y-%m-%d"), sold, strict=True)
        rows += [f"0{number},{day},{value:.3f}" for day, value in pairs]
    (folder / "shops.csv").write_text("\n".join(rows) + "\n")
    words = ["--horizon", "7", "--id-column", "shop", "--max-steps", "3", "--dim", "16", "--quiet"]
    assert run(["train", str(folder / "shops.csv"), *words, "-o", str(folder / "run")]) == 0
    return folder


def test_many_series_are_trained_with_what_suits_them(stanhop, shops, tmp_path):
    words = ("--horizon", 7, "--id-column", "shop", "--max-steps", 2, "--dim", 16, "--quiet")
    code, out, err = stanhop("train", shops / "shops.csv", *words, "-o", tmp_path / "run")
    assert code == 0, err
    assert "many series: --split */14/7, --lookback 41, --patch-length 7, --loss mae" in err
    assert "5 series of 70 to 150 rows x 1 columns" in err
    assert "test mase" in out
    assert stanhop("train", shops / "shops.csv", *words, "-o", tmp_path / "run")[0] == 2
    code, _, err = stanhop("train", shops / "shops.csv", *words, "-o", tmp_path / "run", "--resume")
    assert code == 0, err
    assert "finished already" in err


def test_many_series_are_forecast_long(stanhop, shops, tmp_path):
    code, out, err = stanhop("forecast", shops / "run")
    assert code == 0, err
    assert out.splitlines()[0] == "shop,day,sold"
    assert out.splitlines()[1].startswith("00,2024-03-11,")
    assert len(out.splitlines()) == 1 + 5 * 7
    code, some, _ = stanhop("forecast", shops / "run", "--ids", "03,01", "--horizon", 2)
    assert [line.split(",")[0] for line in some.splitlines()[1:]] == ["03", "03", "01", "01"]
    code, again, err = stanhop("forecast", shops / "run", shops / "shops.csv")
    assert code == 0, err
    pd.testing.assert_frame_equal(*(pd.read_csv(io.StringIO(t)) for t in (out, again)), rtol=1e-5)
    (tmp_path / "one.csv").write_text("shop,day,sold\nnew,2024-05-01,3\n")
    code, out, err = stanhop("forecast", shops / "run", tmp_path / "one.csv", "--format", "json")
    assert code == 0, err
    assert [row["shop"] for row in json.loads(out)] == ["new"] * 7


def test_many_series_are_written_long(stanhop, shops, tmp_path):
    words = ("data", "clean", shops / "shops.csv", "--id-column", "shop", "-o", tmp_path / "c.csv")
    code, _, err = stanhop(*words)
    assert code == 0, err
    one, two = (
        pd.read_csv(p, dtype={"shop": str}) for p in (shops / "shops.csv", tmp_path / "c.csv")
    )
    pd.testing.assert_frame_equal(one, two)


def test_many_series_are_evaluated_each(stanhop, shops):
    code, out, err = stanhop("evaluate", shops / "run", shops / "shops.csv")
    assert code == 0, err
    assert "STanHop-Net per series, original units, test" in out
    facts = json.loads(stanhop("evaluate", shops / "run", shops / "shops.csv", "--json")[1])
    assert sorted(facts["variates"]) == ["00", "01", "02", "03", "04"]
    assert facts["model"] == "split"


def test_many_series_are_looked_into(stanhop, shops, tmp_path):
    """One is drawn; outliers, bits, memorisation and energies are those of the windows of all."""
    for words in (
        ("forecast", shops / "run", "--ids", "03", "--levels", "80", "--plot", tmp_path / "p.html"),
        ("outliers", shops / "run", shops / "shops.csv", "--modules", "layer-outputs"),
        ("quantize", shops / "run", shops / "shops.csv", "--bits", "W8A8"),
        ("theory", "trace", shops / "run", "--most", "40"),
        ("theory", "memorization", shops / "run", "--most", "40"),
    ):
        code, out, err = stanhop(*words)
        assert code == 0, err
        assert out
    assert "shops.csv, 03: 7 steps" in (tmp_path / "p.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("forecast", "RUN", "--plot", "p.html"), "name one with --ids for --plot"),
        (("forecast", "RUN", "--explain"), "of many series; leave --explain out"),
        (("forecast", "RUN", "--ids", "99"), "no series '99'; there are 5, such as 00, 01"),
        (("forecast", "RUN", "WIDE"), "no column names the series"),
    ],
)
def test_what_many_series_cannot_do_is_one_line(stanhop, shops, csv, words, message):
    named = {"RUN": shops / "run", "DATA": shops / "shops.csv", "WIDE": csv}
    code, _, err = stanhop(*(named.get(word, word) for word in words))
    assert code in (2, 3)
    assert message in err
    assert "Traceback" not in err


def test_ids_of_a_run_of_one_table_are_refused(stanhop, trained):
    code, _, err = stanhop("forecast", trained, "--ids", "a")
    assert code == 2
    assert "is a run of one table; leave --ids out" in err


def test_data_are_listed_described_and_fetched(stanhop, csv):
    code, out, _ = stanhop("data", "list")
    assert code == 0
    assert "etth1" in out
    assert "CC BY-ND 4.0" in out
    assert json.loads(stanhop("data", "list", "--json")[1])["sample"]["rows"] == 3551
    code, out, _ = stanhop("data", "describe", csv)
    assert code == 0
    assert "frequency  h" in out
    assert "dew_point_f" in out
    facts = json.loads(stanhop("data", "describe", "sample", "--json")[1])
    assert facts["rows"] == 3551
    assert facts["columns"]["wind_mph"]["min"] >= 0
    assert stanhop("data", "fetch", "sample")[1].strip().endswith("sample.csv.gz")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(stanhop, shell):
    code, out, _ = stanhop("completion", shell)
    assert code == 0
    assert "_STANHOP_COMPLETE" in out


def test_a_benchmark_is_written_and_printed(stanhop, csv, tmp_path):
    arguments = ["--horizons", "4,6", "--splits", "3/1/1", "--lookback", 48, "--max-epochs", 1]
    code, out, err = stanhop("benchmark", csv, *arguments, "-o", tmp_path / "b.json")
    assert code == 0
    assert "test mse" in out
    assert err.split() == ["3/1/1", "4", "3/1/1", "6"]
    assert stanhop("benchmark", csv, *arguments, "-o", tmp_path / "b.json")[2] == ""


def test_help_lists_every_command_and_imports_none(stanhop):
    code, out, _ = stanhop("--help")
    assert code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in out
    script = (
        "import sys, stanhop_app.cli.group as c; c.run(['--help']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(stanhop, name):
    code, out, _ = stanhop(name, "--help")
    assert code == 0
    assert "Usage: stanhop" in out


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_error(trained):
    script = f"{sys.executable} -m stanhop_app.cli forecast {trained} --horizon 3000 | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("time,")
    assert len(done.stderr.splitlines()) == 2  # from which rows, by which model, and no complaint


def test_a_newer_table_is_read_as_that_of_the_training_was_found_to_be(stanhop, tmp_path, weather):
    """Of 1.100 and 02/03/2014 alone nobody could say what they mean; the longer table told."""
    hours = weather.index.strftime("%d/%m/%Y %H:%M")
    rows = [
        f"{hour};{1000 + i % 24:,}".replace(",", ".") + f";{i % 7},5"
        for i, hour in enumerate(hours)
    ]
    (tmp_path / "old.csv").write_text("time;load;wind\n" + "\n".join(rows) + "\n")
    newer = [row.rsplit(";", 1)[0] + ";1.100" for row in rows[:60]]
    (tmp_path / "new.csv").write_text("time;load;wind\n" + "\n".join(newer) + "\n")
    assert stanhop("train", tmp_path / "old.csv", *SMALL, "-o", tmp_path / "run")[0] == 0
    source = json.loads((tmp_path / "run" / "config.json").read_text())["source"]
    assert source["proved"] == {"decimal": ",", "day_first": True}
    assert source["options"]["decimal"] is None
    assert stanhop("data", "describe", tmp_path / "new.csv")[0] == 3
    code, out, _ = stanhop("forecast", tmp_path / "run", tmp_path / "new.csv")
    assert code == 0
    load = pd.read_csv(io.StringIO(out))["load"]
    assert load.between(500, 1500).all()

    # A table that proves something else is read as it proves: points between commas, dates by year.
    stamps = weather.index[:60].strftime("%Y-%m-%d %H:%M")
    other = [f"{stamp},{1000 + i % 24}.001,{i % 7}.5" for i, stamp in enumerate(stamps)]
    (tmp_path / "other.csv").write_text("time,load,wind\n" + "\n".join(other) + "\n")
    code, out, _ = stanhop("forecast", tmp_path / "run", tmp_path / "other.csv")
    assert code == 0
    assert pd.read_csv(io.StringIO(out))["load"].between(500, 1500).all()


def test_what_an_older_version_kept_of_reading_decides_doubts_only():
    """It wrote a point for a table of whole numbers, as if they had proved one."""
    source = {"data": "x.csv", "options": {"decimal": ".", "day_first": None, "missing": "ffill"}}
    assert reading_of(source) == ({"missing": "ffill"}, {"decimal": "."})
    assert reading_of({}) == ({}, {})


def training(csv, folder):
    return ["train", str(csv), *SMALL[:-2], "--max-epochs", "4", "--output", str(folder)]


def train_in_the_background(csv, folder, *more):
    command = [sys.executable, "-m", "stanhop_app.cli", *training(csv, folder), *more]
    return command, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


def wait_for(path, process, seconds=60):
    for _ in range(seconds * 50):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError(f"{path} never came")


@pytest.fixture(scope="module")
def whole(csv, tmp_path_factory):
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("undisturbed") / "whole"
    assert run(training(csv, folder)) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    stanhop, csv, tmp_path, whole, how, stored
):
    cut = tmp_path / "cut"
    command, process = train_in_the_background(csv, cut)
    wait_for(cut / "checkpoint.safetensors", process)
    process.send_signal(how)
    _, err = process.communicate()
    if how != signal.SIGKILL:
        assert process.returncode == 130
        assert "--resume" in err
        assert "Traceback" not in err
    assert not (cut / "config.json").exists()
    words = command[3:]  # without python -m stanhop_app.cli
    code, _, err = stanhop(*words)
    assert code == 2
    assert "holds an unfinished run; go on with --resume, or --force" in err
    code, _, err = stanhop(*words, "--resume")
    assert code == 0, err
    weights = [stored(folder, "model.safetensors").read_bytes() for folder in (whole, cut)]
    assert weights[0] == weights[1]
    code, _, err = stanhop(*words, "--resume")
    assert code == 0
    assert "finished already" in err


BAD_TABLES = {
    "empty": ("", "the file is empty"),
    "no time": ("a,b\n1,2\n3,4\n5,6\n", "no time column found"),
    "text": (
        "time,a\n2024-01-01,1\n2024-01-02,x\n2024-01-03,3\n",
        "'a' has 1 values .* row 2: 'x'",
    ),
    "nan": ("time,a\n2024-01-01,1\n2024-01-02,\n2024-01-03,3\n", "'a' has 1 missing .*interpolate"),
    "gap": (
        "time,a\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n2024-01-05,3\n",
        "1 time stamps are missing .* first 2024-01-04",
    ),
    "twice": ("time,a\n2024-01-01,1\n2024-01-01,2\n2024-01-03,3\n", "appear more than once"),
    "few": (
        "time,a\n" + "".join(f"2024-01-0{d},{d}\n" for d in range(1, 10)),
        "training part has 5, but lookback 48 and horizon 12 need at least 60",
    ),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_one_line_and_exit_code_3(stanhop, tmp_path, name):
    text, message = BAD_TABLES[name]
    (tmp_path / "my.csv").write_text(text)
    code, out, err = stanhop("train", tmp_path / "my.csv", *SMALL, "-o", tmp_path / "run")
    assert code == 3
    assert out == ""
    assert_one_line(err, message)
    assert not (tmp_path / "run").exists()


def assert_one_line(err, message):
    import re

    lines = [line for line in err.splitlines() if line.startswith("stanhop: ")]
    assert len(lines) == 1, err
    assert re.search(message, lines[0]), lines[0]
    assert "Traceback" not in err


USAGE = {
    "missing file": (["train", "nowhere.csv"], 3, "nowhere.csv: no such file"),
    "unknown column": (
        ["train", "CSV", "--columns", "dew,x"],
        3,
        "unknown column 'dew'; the columns",
    ),
    "association": (
        ["train", "CSV", "--association", "relu"],
        2,
        "'relu' is not one of 'softmax', 'softmax1', 'sparsemax', 'entmax15', 'entmax'",
    ),
    "gate": (["train", "CSV", "--gate", "big"], 2, "'big' is not one of 'linear', 'mlp', 'all_"),
    "heads": (["train", "CSV", "--num-heads", "3"], 2, "num_heads must divide dim, got dim=16"),
    "split": (["train", "CSV", "--split", "7"], 2, "split must be a ratio A/B/C"),
    "loss": (["train", "CSV", "--loss", "rmse"], 2, "'rmse' is not one of 'mse', 'mae', 'huber'"),
    "option": (["train", "CSV", "--horizn", "3"], 2, "No such option '?--horizn"),
    "number": (["train", "CSV", "--horizon", "many"], 2, "'many' is not a valid integer"),
    "command": (["trian"], 2, "No such command 'trian'"),
    "no run": (["forecast", "nowhere"], 4, "nowhere: not a run .no such folder.; make one with"),
    "other columns": (["forecast", "RUN", "sample"], 3, "unexpected: wind_mph"),
    "a dataset name": (
        ["data", "fetch", "etth9"],
        2,
        "unknown data set 'etth9'; choose one of: etth1",
    ),
    "horizons": (
        ["benchmark", "CSV", "--horizons", "a", "-o", "x"],
        2,
        "'a' is not a list of numbers",
    ),
    "stdin on two": (["train", "-", "--devices", "2"], 2, "several processes cannot read standard"),
    "device": (
        ["train", "CSV", "--device", "tpu"],
        2,
        "'tpu' is not one of 'auto', 'cpu', 'cuda', 'mps'",
    ),
    "precision": (
        ["train", "CSV", "--precision", "8"],
        2,
        "'8' is not one of '32-true', 'bf16-mixed'",
    ),
    "season": (["train", "CSV", "--season", "0"], 2, "season must be at least 1"),
    "unknown ending": (
        ["forecast", "RUN", "-o", "a.xlsx"],
        2,
        "ends in none of csv, parquet, json",
    ),
    "no folder": (["forecast", "RUN", "-o", "no/a.csv"], 2, "the folder no does not exist"),
    "finished otherwise": (
        ["train", "CSV", "-o", "RUN", "--resume", "--seed", "9"],
        2,
        "finished run of other options .seed was 0, is 9",
    ),
    "existing run": (["train", "CSV", "-o", "RUN"], 2, "holds a finished run"),
}


@pytest.mark.parametrize("name", USAGE)
def test_bad_input_is_one_line_with_its_exit_code(
    stanhop, csv, trained, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    before = {p: p.read_bytes() for p in trained.iterdir()}
    arguments, wanted, message = USAGE[name]
    arguments = [{"CSV": csv, "RUN": trained}.get(a, a) for a in arguments]
    if arguments[0] == "train":
        arguments[2:2] = SMALL
    code, out, err = stanhop(*arguments)
    assert code == wanted, err
    assert out == ""
    assert_one_line(err, message)
    assert "Usage:" not in err
    assert {p: p.read_bytes() for p in trained.iterdir()} == before
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_damaged_artefact_is_exit_code_4(stanhop, trained, tmp_path, stored):
    import shutil

    shutil.copytree(trained, tmp_path / "run")
    path = stored(tmp_path / "run", "model.safetensors")
    path.write_bytes(path.read_bytes()[:-7])
    code, _, err = stanhop("forecast", tmp_path / "run")
    assert code == 4
    assert_one_line(err, "checksum does not match config.json; it is damaged")


def test_an_output_that_exists_is_kept(stanhop, trained, tmp_path):
    (tmp_path / "f.csv").write_text("precious")
    code, _, err = stanhop("forecast", trained, "-o", tmp_path / "f.csv")
    assert code == 2
    assert_one_line(err, "exists; choose another name, or --force")
    assert (tmp_path / "f.csv").read_text() == "precious"
    assert stanhop("forecast", trained, "-o", tmp_path / "f.csv", "--force")[0] == 0
    assert (tmp_path / "f.csv").read_text().startswith("time,")


def test_a_plot_is_one_file_that_needs_no_network(stanhop, trained, tmp_path):
    code, out, err = stanhop("forecast", trained, "--plot", tmp_path / "f.html")
    assert code == 0
    assert out.startswith("time,")
    assert "drawn in" in err
    html = (tmp_path / "f.html").read_text()
    assert "dew_point_f" in html
    assert "<script src=" not in html
    assert "12 steps by STanHop-Net (softmax1, split " in html
    assert stanhop("forecast", trained, "--plot", tmp_path / "f.html")[0] == 2


def test_a_bad_config_file_is_a_usage_error(stanhop, csv, tmp_path):
    (tmp_path / "c.toml").write_text("horizon = ")
    code, _, err = stanhop("train", csv, "--config", tmp_path / "c.toml")
    assert code == 2
    assert_one_line(err, "c.toml: not TOML")
    (tmp_path / "c.toml").write_text("horizon = 4.9")
    code, _, err = stanhop("train", csv, "--config", tmp_path / "c.toml")
    assert code == 2
    assert_one_line(err, "horizon must be a whole number, got 4.9")
    (tmp_path / "c.toml").write_text("horizn = 3")
    code, _, err = stanhop("train", csv, "--config", tmp_path / "c.toml")
    assert code == 2
    assert_one_line(err, "unknown option 'horizn'; choose from: .*horizon")


def test_the_version_is_the_packages(stanhop, project):
    from stanhop_app import __version__

    assert __version__ in stanhop("--version")[1]
    assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["dynamic"] == [
        "version"
    ]


def test_only_errors_of_ours_are_the_users_mistake(stanhop, monkeypatch, csv, tmp_path):
    """A ValueError of torch's or numpy's is a defect of stanhop, whatever it says."""
    from stanhop_app.forecasting.forecaster import STanHopForecaster

    def broken(*given, **options):
        raise ValueError("shapes (3,) and\n(4,) not aligned")

    monkeypatch.setattr(STanHopForecaster, "prepare", broken)
    command = ["train", csv, *SMALL, "-o", tmp_path / "run"]
    code, out, err = stanhop(*command)
    assert (code, out) == (1, "")
    (line,) = [line for line in err.splitlines() if line.startswith("stanhop: ")]
    assert "this is a defect of stanhop" in line
    assert "ValueError: shapes (3,) and (4,) not aligned" in line
    assert "Traceback" not in err
    code, _, err = stanhop("--debug", *command)
    assert code == 1
    assert "Traceback" in err
    assert "in broken" in err


def test_every_error_of_ours_has_one_base():
    import inspect

    from stanhop_app import errors

    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass)]
    own = [c for c in classes if c.__module__ == errors.__name__]
    found = [c for c in own if not issubclass(c, Warning)]
    assert len(found) == 10
    assert all(issubclass(c, errors.StanhopError) for c in found)


def test_no_bare_value_error_is_raised(project):
    """What the package refuses it refuses with an error of its own."""
    for top in ("stanhop_app", "cli", "ui", "datasets"):
        for path in (project / top).rglob("*.py"):
            assert "raise ValueError" not in path.read_text(), path


INTERRUPTING = """
import os, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), int(sys.argv[2]))
sys.meta_path.insert(0, Finder())
from stanhop_app.cli import main
main(["train", "sample", "-o", sys.argv[3]])
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["click", "pandas", "torch._C", "torch.nn", "lightning_fabric"])
def test_a_signal_while_libraries_are_imported_leaves_one_line(tmp_path, module):
    """Imports take long, and what is raised in one comes out in many forms."""
    number = signal.SIGTERM if module == "torch.nn" else signal.SIGINT
    words = [sys.executable, "-c", INTERRUPTING, module, str(int(number)), str(tmp_path / "x")]
    ended = subprocess.run(words, capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (130, b"")
    assert ended.stderr.decode().splitlines()[-1] == "stanhop: interrupted."
    assert b"Traceback" not in ended.stderr


SWALLOWING = """
import os, signal, time
from stanhop_app.cli import interrupts
interrupts.GRACE = 0.2
interrupts.raise_first()
try:
    os.kill(os.getpid(), signal.SIGTERM)
except KeyboardInterrupt:
    time.sleep(60)
"""


def test_a_library_that_goes_on_after_an_interrupt_is_ended():
    words = [sys.executable, "-c", SWALLOWING]
    ended = subprocess.run(words, capture_output=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"stanhop: interrupted.\n")


def test_an_error_that_a_library_makes_of_an_interrupt_is_none_of_ours(monkeypatch, capsys):
    monkeypatch.setattr(interrupts, "_came", True)
    monkeypatch.setattr("stanhop_app.cli.group.group.main", lambda *a, **k: 1 / 0)
    assert run(["data", "list"]) == 130
    assert capsys.readouterr().err == "stanhop: interrupted.\n"


@pytest.mark.slow
def test_a_forecast_with_intervals_quantiles_and_paths(stanhop, trained, tmp_path):
    forecaster = STanHopForecaster.load(trained)
    page = tmp_path / "bands.html"
    code, out, err = stanhop("forecast", trained, "--levels", "95,80", "--plot", page)
    assert code == 0, err
    assert "intervals by residuals of " in err
    read = pd.read_csv(io.StringIO(out), index_col="time", parse_dates=True)
    wanted = forecaster.predict_interval(levels=(80, 95))
    pd.testing.assert_frame_equal(read, wanted, check_freq=False, check_index_type=False, rtol=1e-9)
    assert list(wanted.columns[:5]) == [
        f"temperature_f{end}" for end in ("", "-lo-95", "-lo-80", "-hi-80", "-hi-95")
    ]
    for name in ("80%", "95%"):
        assert name in page.read_text()
    code, out, _ = stanhop("forecast", trained, "--quantiles", "0.1,0.9", "--lower", "40")
    read = pd.read_csv(io.StringIO(out), index_col="time")
    assert list(read.columns[:2]) == ["temperature_f-ql0.1", "temperature_f-ql0.9"]
    assert read.min(axis=None) >= 40
    code, out, _ = stanhop("forecast", trained, "--samples", "3", "--seed", "5", "--format", "json")
    rows = json.loads(out)
    assert len(rows) == 3 * forecaster.horizon
    code, out, err = stanhop("forecast", trained, "--aggregate", "steps,variates")
    total = pd.read_csv(io.StringIO(out))
    ends = [f"total-{end}" for end in ("lo-95", "lo-80", "hi-80", "hi-95")]
    assert list(total) == ["steps", "total", *ends]
    assert total["steps"].item() == forecaster.horizon
    code, out, err = stanhop("forecast", trained, "--aggregate", "D", "--format", "json")
    assert json.loads(out)[0]["time"] == "2013-04-11T00:00:00", err
    paths = forecaster.sample(count=3, seed=5)
    assert rows[-1]["path"] == 2
    assert rows[-1]["dew_point_f"] == pytest.approx(paths["dew_point_f"].iloc[-1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--levels", "80", "--samples", "3"], "one of levels, quantiles and samples"),
        (["--levels", "101"], "levels are above 0 and below 100 percent, got 101"),
        (["--levels", "high"], "'high' is not a list of numbers such as 80,95"),
        (["--quantiles", "5"], "quantiles are above 0 and below 1, got 5"),
        (["--aggregate", "colour"], "no span of time to sum over"),
        (["--aggregate", "D", "--samples", "5"], "goes with levels; leave"),
        (["--samples", "0"], "samples must be at least 1 and at most 1,000,000, got 0"),
        (["--samples", "99999999999"], "at most 1,000,000, got 99,999,999,999"),
        (["--levels", "80", "--lower", "nan"], "lower must be a number, such as 0; got nan"),
        (["--levels", "80", "--upper", "inf"], "upper must be a number, such as 0; got inf"),
        (["--levels", "80", "--lower", "3", "--upper", "2"], "lower is 3, above upper, 2"),
        (["--aggregate", "-1D"], "it must go forward"),
        (["--aggregate", "0D"], "'0D' is no span of time to sum over"),
        (["--cutoff", "02/03/2024 00:00"], "is no time stamp with the year first"),
        (["--cutoff", "12:00"], "is no time stamp with the year first"),
        (["--lower", "0"], "bound intervals; give levels"),
        (
            ["--levels", "80", "--horizon", "30"],
            "the trained horizon, 12 steps; leave --horizon out",
        ),
    ],
)
def test_intervals_that_cannot_be_are_one_line(stanhop, trained, words, message):
    code, out, err = stanhop("forecast", trained, *words)
    assert code == 2
    assert out == ""
    assert_one_line(err, message)


def test_nothing_is_written_twice_or_over_a_run(stanhop, trained, tmp_path):
    page = tmp_path / "x.html"
    code, out, err = stanhop("forecast", trained, "-o", page, "--plot", page, "--format", "csv")
    assert (code, out, page.exists()) == (2, "", False)
    assert_one_line(err, "is named for two outputs; choose another name")
    for name in ("config.json", next(trained.glob("model*.safetensors")).name):
        before = (trained / name).read_bytes()
        words = ["-o", trained / name, "--force", "--format", "csv"]
        code, _, err = stanhop("forecast", trained, *words)
        assert (code, (trained / name).read_bytes()) == (2, before)
        assert_one_line(err, "is part of a run; choose another name")
