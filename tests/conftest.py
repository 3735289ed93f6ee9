"""Fixtures that many tests share: small, real, seeded."""

import gc
import hashlib
import json
import os
import signal

# One thread a process, here and in what tests start: the suite runs in as many processes as there are
# cores, and threads that wait for each other would cost more than they give. Before torch is imported.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable
from pathlib import Path

import jaxtyping
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings

settings.register_profile("suite", deadline=None, max_examples=25, derandomize=True, database=None)
settings.load_profile("suite")

# Exporters and pages make millions of objects that live long; to look through all of them every 700 new
# ones took a tenth of the suite's time.
gc.set_threshold(50_000, 20, 20)

SMALL = {"patch_length": 12, "dim": 16, "num_heads": 2, "hidden_dim": 16, "num_prototypes": 2}
"""A network that trains in a second."""


LONGEST = (
    "ui/test_browser",
    "ui/test_pages",
    "runs/test_exporting",
    "cli/test_commands",
    "studies/test_variants",
    "studies/test_cells",
    "suite/test_run",
    "studies/test_memory",
    "ui/test_theory",
    "runs/test_memorization",
    "studies/test_convergence",
    "studies/test_bound",
    "studies/test_scaling",
    "training/test_loop",
)
"""Files that take long, the longest first: begun last, one of them would keep one worker busy alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the files that take long before all others."""

    def rank(item: pytest.Item) -> int:
        name = "/".join(item.path.with_suffix("").parts[-2:])
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=rank)


# A shell that starts the suite in the background has SIGINT ignored, which all that tests start inherits.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHAPES_UNCHECKED = {"forecasting", "studies", "suite", "runs", "ui", "cli"}
"""Folders whose tests call layers that the tests of lower floors call with every shape checked: to check
them again took a fifth of their time (and an exporter's sizes are symbols, which a check would fix)."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check shapes at run time where layers, models and what trains them are tested."""
    jaxtyping.config.update("jaxtyping_disable", item.path.parent.name in SHAPES_UNCHECKED)


@pytest.fixture(autouse=True)
def _seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts from the same random state and from no setting of the user's."""
    torch.manual_seed(0)
    np.random.seed(0)
    for name in list(os.environ):
        if name.startswith("STANHOP_") and name != "STANHOP_DATA_DIR":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def weather() -> pd.DataFrame:
    """The first 900 hours of the embedded sample, three variates."""
    from stanhop_app import datasets

    return datasets.load("sample").iloc[:900, :3]


@pytest.fixture(scope="session")
def echoes() -> pd.DataFrame:
    """Pulses of either sign, each followed by a bump that is always up: no linear map tells it."""
    draws = np.random.default_rng(0)
    rows = 2400
    values = 0.1 * draws.normal(size=(rows, 2))
    for start in np.sort(draws.choice(np.arange(20, rows - 40), 300, replace=False)):
        for column, size in ((0, 3.0), (1, 2.0)):
            values[start, column] += draws.choice([-size, size])
            values[start + 2 : start + 6, column] += size
    index = pd.date_range("2024-01-01", periods=rows, freq="h", name="hour")
    return pd.DataFrame(values, columns=["a", "b"], index=index)


@pytest.fixture(scope="session")
def small() -> dict[str, object]:
    """Options of a forecaster that fits in a second."""
    return {
        "horizon": 12,
        "lookback": 48,
        "max_epochs": 1,
        "network": SMALL,
        "progress": False,
        "final": "none",
    }


@pytest.fixture(scope="session")
def fitted(weather: pd.DataFrame, small: dict[str, object]):
    """A forecaster fitted on the sample; not to be changed."""
    from stanhop_app import STanHopForecaster

    return STanHopForecaster(**small).fit(weather)


@pytest.fixture
def etth1() -> pd.DataFrame:
    """ETTh1, fetched once into the user's cache; where no source answers the test fails aloud."""
    from stanhop_app import datasets

    return datasets.load("etth1")


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout."""
    return Path(__file__).parent.parent


@pytest.fixture(scope="session")
def stored() -> Callable[[Path, str], Path]:
    """The file of a folder that has this name and a part of its checksum in it."""

    def find(folder: Path, name: str) -> Path:
        (path,) = Path(folder).glob("-????????????.".join(name.rsplit(".", 1)))
        return path

    return find


@pytest.fixture(scope="session")
def forge() -> Callable[..., None]:
    """Change a config.json as somebody would who knows its checksums: all of them are right."""
    from stanhop_app.files import hashed_name
    from stanhop_app.training.folder import write_config

    def write(folder: Path, **changes: object) -> None:
        write_config(folder, {**json.loads((folder / "config.json").read_text()), **changes})

    def put(folder: Path, name: str, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        (folder / hashed_name(name, digest)).write_bytes(content)
        return digest

    write.put = put  # type: ignore[attr-defined]
    return write


@pytest.fixture
def stanhop(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line; returns exit code, standard output, standard error."""
    from stanhop_app.cli.group import run

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(a) for a in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def csv(weather: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weather as a file."""
    path = tmp_path_factory.mktemp("data") / "weather.csv"
    weather.to_csv(path)
    return path


@pytest.fixture(scope="session")
def trained(csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the command line on it."""
    from stanhop_app.cli.group import run

    folder = tmp_path_factory.mktemp("runs") / "weather"
    small = [w for name, v in SMALL.items() for w in (f"--{name.replace('_', '-')}", str(v))]
    more = ["--horizon", "12", "--lookback", "48", "--max-steps", "3", "--outlier-steps", "2"]
    assert run(["train", str(csv), *small, *more, "--output", str(folder)]) == 0
    return folder
