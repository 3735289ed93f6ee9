"""Suite: BERT, OPT and ViT, trained and compared; results of ``stanhop suite compare``."""

import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from stanhop_app.datasets.images import SOURCES
from stanhop_app.ui import jobs, opening, parts, runs, selection, watch
from stanhop_app.ui.fields import widget

from stanhop_app.layers.names import association_names
from stanhop_app.models.variants import VARIANTS
from stanhop_app.studies.suite import command_lines
from stanhop_app.studies.suite_report import suite_figures, suite_tables
from stanhop_app.suite.config import MODELS, SuiteConfig, default_data
from stanhop_app.suite.corpus import NAMES
from stanhop_app.suite.folder import read_config
from stanhop_app.training.folder import check_folder

COMMAND = "stanhop suite compare opt --data backcopy --output runs/suite.json --report suite.html"


def show() -> None:
    """The page."""
    st.title("Suite")
    st.write(
        "BERT, OPT and ViT on the same layers: activation outliers are larger here than in forecasting."
    )
    names = runs.result_names("suite")
    if names:
        _results(selection.one("Results", names, "suite"))
    else:
        st.info(f"No results in {runs.root()} yet. Make some below, or with the command.")
        parts.reproduce(COMMAND, "# see stanhop_app.studies.suite.compare_suite")
    st.header("Train and compare")
    _start()


def _results(name: str) -> None:
    content = parts.comparison(name, suite_tables, suite_figures)
    if content is None:
        return
    parts.reproduce(
        "\n".join(command_lines(content, f"{runs.root().name}/{name}")),
        "from pathlib import Path\n\nfrom stanhop_app.studies.cells import read_results\n"
        "from stanhop_app.studies.suite_report import pair_table\n\n"
        f"print(pair_table(read_results(Path({opening.literal(name)}))))",
    )


def _start() -> None:
    """Train one model or compare its variants, in a process of its own."""
    left, middle, right = st.columns(3)
    model = left.selectbox("Model", list(MODELS), key="model")
    wanted = default_data(model)
    fitting = [name for name in NAMES if (name in SOURCES) == (model == "vit")]
    data = left.selectbox("Data", fitting, index=fitting.index(wanted), key="data")
    association = widget(MODELS[model], "association", "Association (of a training)", left)
    network = MODELS[model]
    numbers = {
        "dim": widget(network, "dim", "Width", middle),
        "num_layers": widget(network, "num_layers", "Blocks", middle),
        "num_heads": widget(network, "num_heads", "Heads", middle),
        "length": widget(SuiteConfig, "length", "Tokens in a block", right),
        "max_steps": widget(SuiteConfig, "max_steps", "Steps", right),
    }
    seeds = right.text_input("Seeds (of a comparison)", "0,1", key="seeds")
    chosen = st.multiselect(
        "Variants (of a comparison)",
        [a + extra for extra in ("", "+clip", "+gate", "+memory") for a in association_names()],
        default=list(VARIANTS),
        key="variants",
    )
    name = parts.name_field("Name", f"{model}-{data}")
    sizes = [w for k, v in numbers.items() for w in (f"--{k.replace('_', '-')}", str(v))]
    folder = runs.root().name
    train = ["suite", "train", model, "--data", data, *sizes, "--association", association]
    train += ["--output", f"{folder}/{name}"]
    compare = ["suite", "compare", model, "--data", data, *sizes, "--seeds", seeds, "--quiet"]
    compare += ["--variants", ",".join(chosen), "--output", f"{folder}/{name}.json"]
    first, second = st.columns(2)
    if first.button("Train", type="primary", key="train"):
        _run(name, name, train, (name,))
    if second.button("Compare, or go on", key="compare", disabled=not chosen):
        _run(name, f"{name}.compare", compare, (f"{name}.json", f"{name}.json.cells"))
    watch.comparisons("suite", "compare")
    trained = [job.name for job in jobs.jobs() if job.command[:2] == ("suite", "train")]
    if trained:
        shown = selection.one("Training shown", trained, "training-of-suite")
        watch.training(shown, unit="nats", finished=_scores)
    parts.reproduce(
        f"{shlex.join(['stanhop', *train])}\n{shlex.join(['stanhop', *compare])}",
        _python(model, data, association, numbers),
    )


def _run(name: str, job: str, command: list[str], writes: tuple[str, ...]) -> None:
    try:
        jobs.check_name(name)
        if command[1] == "train":
            folder = runs.inside(name)
            check_folder(folder, read_config, resume=False, force=False)
        jobs.start(job, command, writes=writes)
    except parts.ERRORS as error:
        parts.fail(error)


def _scores(folder: Path) -> None:
    """Scores of a finished run."""
    try:
        st.dataframe(pd.DataFrame({"test": read_config(folder)["metrics"]}).round(4))
    except (*parts.ERRORS, KeyError, TypeError, ValueError) as error:
        st.error(f"{folder}: damaged ({error}).")
        return
    st.code(
        f"stanhop suite evaluate {opening.folder(folder.name)}", language="bash", wrap_lines=True
    )


def _python(model: str, data: str, association: str, numbers: dict[str, Any]) -> str:
    network = {k: v for k, v in numbers.items() if k in ("dim", "num_layers", "num_heads")}
    config = SuiteConfig(
        model=model,
        data=data,
        length=numbers["length"],
        max_steps=numbers["max_steps"],
        network={**network, "association": association},
    )
    return (
        "from stanhop_app.suite.config import SuiteConfig\n"
        "from stanhop_app.suite.run import load_data, train_run\n\n"
        f"config = SuiteConfig(\n    model={config.model!r}, data={config.data!r}, length={config.length}, "
        f"max_steps={config.max_steps},\n    network={dict(config.network)!r},\n)\n"
        "print(train_run(config, load_data(config)).metrics)"
    )
