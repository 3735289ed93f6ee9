"""Covariates on the command line: train, evaluate, forecast and what if."""

import io

import numpy as np
import pandas as pd
import pytest

from stanhop_app import STanHopForecaster

WORDS = ["--horizon", "7", "--max-steps", "2", "--dim", "16", "--quiet"]
WIDE = ["--lookback", "28", "--patch-length", "7", "--past-covariates", "rain"]
KNOWN = ["--future-covariates", "price,promo"]


def shop(number, rows=300, ahead=7):
    draws = np.random.default_rng(number)
    count = rows + ahead
    price = 10 + 2 * np.sin(0.1 * draws.normal(size=count).cumsum())
    promo = (draws.random(count) < 0.2).astype(int)
    sold = 50 - 3 * price + 10 * promo + draws.normal(size=count)
    past = np.arange(count) < rows
    return pd.DataFrame(
        {
            "shop": f"0{number}",
            "day": pd.date_range("2024-01-01", periods=count),
            "sold": np.where(past, sold, np.nan),
            "price": price.round(2),
            "promo": promo,
            "rain": np.where(past, draws.random(count), np.nan),
            "kind": "kiosk" if number else "market",
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from stanhop_app.cli.group import run

    folder = tmp_path_factory.mktemp("covariates")
    shop(0).drop(columns=["shop", "kind"]).to_csv(folder / "one.csv", index=False)
    table = pd.concat([shop(n, 300 - 40 * n) for n in range(3)])
    table.drop(columns="rain").to_csv(folder / "shops.csv", index=False)
    long = ["--id-column", "shop", "--static-covariates", "kind"]
    for name, words in (("one", WIDE), ("shops", long)):
        command = ["train", str(folder / f"{name}.csv"), *WORDS, *KNOWN, *words]
        assert run([*command, "-o", str(folder / f"run-{name}")]) == 0
    ahead = table[table["sold"].isna()].drop(columns=["sold", "rain", "kind"])
    first = ahead[ahead["shop"] == "00"]
    beside = table.drop(columns="rain")
    for name, rows in (
        ("strange", ahead.replace({"shop": {"01": "77"}})),
        ("twice", pd.concat([ahead, first[:1]])),
        ("short", beside.assign(shop=beside["shop"].astype(int))),
        ("moved", beside.replace({"kind": {"market": "kiosk"}})),
    ):
        rows.to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_training_says_what_is_known_and_what_it_is_worth(stanhop, folder, tmp_path):
    command = ["train", folder / "one.csv", *WORDS, *KNOWN, *WIDE, "-o", tmp_path / "run"]
    code, out, err = stanhop(*command)
    assert code == 0, err
    assert "covariates, known ahead: price, promo; past: rain; known for 7 steps after" in err
    assert "covariates take away of a linear forecast's squared error on validation: sold" in err
    assert "STanHop-Net" in out


@pytest.mark.parametrize("name", ["one", "shops"])
def test_a_run_is_evaluated_and_forecasts_as_python_does(stanhop, folder, name):
    from stanhop_app import STanHopForecaster

    code, out, err = stanhop("evaluate", folder / f"run-{name}", folder / f"{name}.csv")
    assert code == 0, err
    assert "seasonal naive" in out
    code, kept, err = stanhop("forecast", folder / f"run-{name}")
    assert code == 0, err
    code, again, err = stanhop("forecast", folder / f"run-{name}", folder / f"{name}.csv")
    assert code == 0, err
    made = STanHopForecaster.load(folder / f"run-{name}").predict()
    for text in (kept, again):
        np.testing.assert_allclose(pd.read_csv(io.StringIO(text))["sold"], made["sold"], rtol=1e-5)


def test_two_futures_are_two_forecasts(stanhop, folder, tmp_path):
    table = pd.read_csv(folder / "shops.csv", dtype={"shop": str})
    ahead = table[table["sold"].isna()][["shop", "day", "price", "promo"]]
    made = {}
    for promo in (0, 1):
        file = tmp_path / f"promo-{promo}.csv"
        ahead.assign(promo=promo).to_csv(file, index=False)
        code, out, err = stanhop("forecast", folder / "run-shops", "--future", file)
        assert code == 0, err
        made[promo] = pd.read_csv(io.StringIO(out))["sold"]
    assert (made[1] - made[0]).to_numpy() == pytest.approx(10, abs=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "{one}", "--future-covariates", "cost"], "one.csv: unknown covariate 'cost'"),
        (
            ["train", "{shops}", *KNOWN, "--joint", "--id-column", "shop"],
            "covariates are of each series",
        ),
        (["forecast", "{run-one}", "--horizon", "8"], "'price' is known for 7 of 8 steps"),
        (["forecast", "{run-one}", "--explain"], "is a run with covariates; leave --explain out"),
        (
            ["forecast", "{run-shops}", "--horizon", "9"],
            "series '00': covariate 'price' is known for 7",
        ),
        (["forecast", "{run-one}", "--future", "{one}", "--ids", "a"], "is a run of one table"),
        (["forecast", "{run-shops}", "--horizon", "9"], "or leave the series out (ids, --ids)"),
        (
            ["forecast", "{run-shops}", "--future", "{strange}"],
            "there is no series '77' to forecast",
        ),
        (
            ["forecast", "{run-shops}", "--future", "{twice}"],
            "series '00' has two rows of 2024-10-27",
        ),
        (["forecast", "{run-shops}", "{short}"], "there is no series '0', but there is '00'"),
        (["update", "{run-shops}", "{short}"], "there is no series '0', but there is '00'"),
        (
            ["update", "{run-shops}", "{moved}"],
            "static covariate 'kind' of series '00' is not what",
        ),
        (
            ["benchmark", "{one}", *KNOWN, "--output", "{tmp}/b.json"],
            "a benchmark is of a wide table without covariates",
        ),
        (["train", "{one}", "--future-covariates", '"price'], "is not a list of names such as a,b"),
        (
            ["train", "{one}", *KNOWN, "--novelty", *WIDE, "--horizon", "7"],
            "novelty (--novelty) is told",
        ),
    ],
)
def test_what_cannot_be_is_one_line(stanhop, folder, tmp_path, arguments, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {name: folder / name for name in ("run-one", "run-shops")}
    places |= {file.stem: file for file in folder.glob("*.csv")}
    places["tmp"] = tmp_path / "made"
    words = [str(word).format(**places) if "{" in str(word) else word for word in arguments]
    code, out, err = stanhop(*words)
    assert code in (2, 3), err
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_calendar_features_are_asked_for(stanhop, folder, tmp_path):
    one = pd.read_csv(folder / "one.csv").dropna(subset="sold")[["day", "sold"]]
    one.to_csv(tmp_path / "one.csv", index=False)
    words = ["--lookback", "28", "--patch-length", "7", "--calendar-features"]
    code, _, err = stanhop("train", tmp_path / "one.csv", *WORDS, *words, "-o", tmp_path / "run")
    assert code == 0, err
    assert "covariates" in err
    code, out, err = stanhop("forecast", tmp_path / "run", "--horizon", "30")
    assert code == 0, err
    assert len(out.splitlines()) == 31


def test_intervals_paths_and_sums_of_many_series(stanhop, folder):
    """Every shop has its own, in the ids that it was read by; a what-if has them too."""
    code, out, err = stanhop("forecast", folder / "run-shops", "--levels", "80")
    assert code == 0, err
    made = pd.read_csv(io.StringIO(out), dtype={"shop": str})
    assert list(made) == ["shop", "day", "sold", "sold-lo-80", "sold-hi-80"]
    assert (made["sold-lo-80"] < made["sold-hi-80"]).all()
    _, out, _ = stanhop("forecast", folder / "run-shops", "--quantiles", "0.1,0.9", "--ids", "01")
    one = pd.read_csv(io.StringIO(out), dtype={"shop": str})
    assert set(one["shop"]) == {"01"}
    wanted = made.loc[made["shop"] == "01", "sold-lo-80"].to_numpy()
    assert np.allclose(one["sold-ql0.1"], wanted, rtol=1e-5)
    _, out, _ = stanhop("forecast", folder / "run-shops", "--samples", "2", "--format", "json")
    assert "2024-" in out
    _, out, _ = stanhop("forecast", folder / "run-shops", "--aggregate", "steps", "--lower", "0")
    sums = pd.read_csv(io.StringIO(out), dtype={"shop": str})
    assert sums["shop"].tolist() == ["00", "01", "02"]
    page = folder / "bands.html"
    code, out, err = stanhop("forecast", folder / "run-one", "--levels", "80,95", "--plot", page)
    assert code == 0, err
    assert "95%" in page.read_text()


def test_a_run_made_in_python_reads_files_as_it_was_told(stanhop, folder, tmp_path):
    """It keeps no options of a command; those of the estimator count."""
    table = pd.read_csv(folder / "shops.csv", dtype={"shop": str})
    told = {"future_covariates": ["price", "promo"], "static_covariates": ["kind"]}
    told["reading"] = {"id_column": "shop"}
    network = {"patch_length": 7, "dim": 8, "num_heads": 2, "num_layers": 1}
    options = {"horizon": 7, "lookback": 28, "network": network, "training": {"max_steps": 2}}
    made = STanHopForecaster(**options, **told, split="*/14/7", progress=False).fit(table)
    made.save(tmp_path / "run")
    code, out, err = stanhop("forecast", tmp_path / "run", folder / "shops.csv")
    assert code == 0, err
    assert len(out.splitlines()) == 1 + len(made.predict())
