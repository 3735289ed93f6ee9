"""Runs of the suite: trained, kept in a folder, opened again, scored.

A folder holds ``config.json``, the weights and, of texts, the tokenizer, which are named after their content;
nothing is pickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from stanhop_app.errors import ArtefactError, DataError, OptionError
from stanhop_app.files import hashed_name, to_json, write_hashed
from stanhop_app.outliers import find_modules
from stanhop_app.suite.config import MODELS, OF_DATA, SuiteConfig, make_network
from stanhop_app.suite.context import context_scores
from stanhop_app.suite.corpus import NAMES, Corpus, is_backcopy, load_corpus
from stanhop_app.suite.folder import FORMAT, FORMAT_VERSION, read_config
from stanhop_app.suite.scores import score_model
from stanhop_app.suite.start import carry_over
from stanhop_app.suite.tasks import SuiteTask, make_task
from stanhop_app.training.checkpoint import load_tensors, load_weights, save_hashed, without_weights
from stanhop_app.training.draws import drawing
from stanhop_app.training.folder import (
    CHECKPOINT,
    CONFIG,
    OUTLIERS,
    belonging,
    keep_only,
    write_config,
    writing,
)
from stanhop_app.training.loop import train
from stanhop_app.training.outlier_log import OutlierLog
from stanhop_app.version import __version__

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
LOOKS = 25
"""Measurements of outliers during a training."""


@dataclass(frozen=True, kw_only=True)
class SuiteRun:
    """A trained model with what it needs to be used."""

    config: SuiteConfig
    network: nn.Module
    tokenizer: str | None
    data_sha256: str
    metrics: Mapping[str, float]
    """Scores on the test part: loss in nats, accuracy, and perplexity of texts, beside those of
    `stanhop_app.suite.context`."""
    history: list[dict[str, float]]
    steps: Mapping[str, list[float]]
    """Norms and kurtosis of whole blocks during the training (`OutlierLog.norms`)."""


def load_data(config: SuiteConfig, tokenizer: str | None = None) -> Corpus:
    """The corpus of a configuration."""
    return load_corpus(
        config.model,
        config.data,
        length=config.length,
        vocab_size=config.vocab_size,
        tokenizer=tokenizer,
    )


def train_run(
    config: SuiteConfig,
    corpus: Corpus,
    *,
    start: SuiteRun | None = None,
    folder: Path | None = None,
    resume: bool = False,
    progress: bool | None = False,
) -> SuiteRun:
    """Train one model; a training that was killed goes on to the same weights.

    Args:
        config: what is trained.
        corpus: on what (`load_data`).
        start: a run whose weights the training starts from, with ``config`` of `continued`.
        folder: of the checkpoint and the losses; None: nothing is written.
        resume: go on from the checkpoint in ``folder`` if there is one.
        progress: whether to draw a bar; None: on a terminal.
    """
    task = make_task(config.model, corpus)
    training = config.make_training(task.train_size)
    with drawing(config.seed):
        network = config.make_network(corpus)
        if start is not None:
            carry_over(start.network.state_dict(), network)
    with drawing(0):  # what is hidden of the tokens that are looked at is no part of the run
        (looked_at, *_) = task.batches("validation", config.batch_size)
    log = OutlierLog(
        looked_at,
        max(config.max_steps // LOOKS, 1),
        modules=list(find_modules(network, "layer-outputs")),
        file=None if folder is None else folder / OUTLIERS,
    )
    history = train(
        network,
        task,
        training,
        folder=folder,
        resume=resume,
        identity={**config.as_json(), "data_sha256": corpus.sha256},
        progress=progress,
        watch=log,
    )
    return SuiteRun(
        config=config,
        network=network,
        tokenizer=corpus.tokenizer,
        data_sha256=corpus.sha256,
        metrics={**score_model(network, task), **context_scores(corpus, task)},
        history=history,
        steps=log.norms(),
    )


def save_run(run: SuiteRun, folder: Path) -> None:
    """Write a run into a folder of its own.

    Raises:
        BusyError: if another process writes into the folder.
    """
    with writing(folder):
        write_run(run, folder)


def write_run(run: SuiteRun, folder: Path) -> None:
    """Write a run; the caller is the only one who writes there (`writing`).

    ``config.json``, which names the other files, is replaced last and in one step.
    """
    weights = save_hashed(folder / WEIGHTS, run.network.state_dict(), {"format": FORMAT})
    files = {WEIGHTS: weights}
    if run.tokenizer is not None:
        text = run.tokenizer
        files[TOKENIZER] = write_hashed(
            folder / TOKENIZER, lambda file: file.write_text(text, encoding="utf-8")
        )
    write_config(
        folder,
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "package_version": __version__,
            "suite": run.config.as_json(),
            "data_sha256": run.data_sha256,
            "sizes": {name: getattr(run.network.config, name, None) for name in OF_DATA},
            "metrics": dict(run.metrics),
            "history": run.history,
            "steps": dict(run.steps),
            "weights_sha256": weights,
            "tokenizer_sha256": files.get(TOKENIZER),
        },
    )
    keep_only(folder, [hashed_name(name, digest) for name, digest in files.items()])
    (folder / CHECKPOINT).unlink(missing_ok=True)


def load_run(folder: Path) -> SuiteRun:
    """Read a run.

    Raises:
        ArtefactError: saying what is wrong with the folder.
    """
    content = read_config(folder)
    path = belonging(folder, WEIGHTS, content.get("weights_sha256"))
    tensors, _ = load_tensors(path)
    tokenizer = _read_tokenizer(folder, content.get("tokenizer_sha256"))
    try:
        config = read_suite_config(content["suite"])
        network = _empty_network(config, content["sizes"])
        load_weights(network, tensors, str(path), assign=True)
        return SuiteRun(
            config=config,
            network=network.eval(),
            tokenizer=tokenizer,
            data_sha256=content["data_sha256"],
            metrics=content["metrics"],
            history=content["history"],
            steps=content["steps"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ArtefactError):
            raise
        raise ArtefactError(f"{folder / CONFIG}: damaged ({error!r}).") from error


def _read_tokenizer(folder: Path, wanted: str | None) -> str | None:
    return (
        None if wanted is None else belonging(folder, TOKENIZER, wanted).read_text(encoding="utf-8")
    )


def read_suite_config(content: Mapping[str, Any]) -> SuiteConfig:
    """A configuration from its JSON values, which know lists only."""
    network = dict(content["network"])
    if network.get("clip") is not None:
        network["clip"] = tuple(network["clip"])
    return SuiteConfig(**{**content, "network": network})


def check_named(data: str) -> None:
    """Refuse to look for data where somebody's file says that they lie.

    Raises:
        OptionError: for a path.
    """
    if data not in NAMES and not is_backcopy(data):
        raise OptionError(f"say where the data of the run lie: it was trained on {data}.")


def run_corpus(run: SuiteRun, data: str | None = None) -> Corpus:
    """The corpus of a run.

    Args:
        run: of the suite.
        data: where it lies, if it has no name: a path in a file of somebody's is not followed.

    Raises:
        OptionError: if it has no name and no path is given.
        DataError: if it is not that of the training, whose parts are unknown then.
    """
    config = run.config
    if data is None:
        check_named(config.data)
    given = SuiteConfig(**{**config.as_json(), "data": data or config.data})
    corpus = load_data(given, run.tokenizer)
    if corpus.sha256 != run.data_sha256:
        raise DataError(
            f"{given.data}: is not what the run was trained on, so that its test part cannot be told."
        )
    return corpus


def run_task(run: SuiteRun, data: str | None = None) -> SuiteTask:
    """The task of a run, on its own data (`run_corpus`)."""
    return make_task(run.config.model, run_corpus(run, data))


def _empty_network(config: SuiteConfig, sizes: Mapping[str, Any]) -> nn.Module:
    """A network without memory for its weights."""
    of_data = {name: value for name, value in sizes.items() if value is not None}
    with without_weights():
        kind = MODELS[config.model]
        return make_network(config.model, kind(**{**config.network, **of_data}))


def as_identity(config: SuiteConfig) -> dict[str, Any]:
    """A configuration as JSON gives it back, for comparisons with one that was read."""
    read: dict[str, Any] = json.loads(to_json(config.as_json()))
    return read
