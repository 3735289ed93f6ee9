"""Make a run: train, score beside the baselines, and keep everything in one folder."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from stanhop_app.data.panel import Panel
from stanhop_app.errors import OptionError
from stanhop_app.files import write_hashed
from stanhop_app.forecasting.artefact import write
from stanhop_app.forecasting.baselines import save_baselines
from stanhop_app.forecasting.final import final_folder
from stanhop_app.forecasting.fit import Prepared
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.runs.config import RunConfig
from stanhop_app.runs.memorization import memorization_warning
from stanhop_app.runs.novelty import NOVELTY, remember, save_store
from stanhop_app.runs.run import Run
from stanhop_app.runs.scoring import BASELINES, Report, choose_season, fit_and_score
from stanhop_app.training.folder import (
    CHECKPOINT,
    OUTLIERS,
    check_folder,
    is_main_process,
    read_config,
    writing,
)


def make_run(
    forecaster: STanHopForecaster,
    panel: Panel,
    folder: Path,
    *,
    source: Mapping[str, Any] | None = None,
    season: int | None = None,
    outlier_steps: int | None = None,
    novelty: bool = False,
    resume: bool = False,
    force: bool = False,
) -> Report:
    """Fit a forecaster and the baselines, score them, and write the run folder.

    Args:
        forecaster: not yet fitted; it is fitted in place.
        panel: the table, split as the forecaster says (`Panel.of`).
        folder: the run folder, made if need be.
        source: what the table was read from and how, kept in the artefact.
        season: of seasonal naive and MASE; default from the frequency.
        outlier_steps: of `STanHopForecaster.fit`; writes ``outliers.csv``.
        novelty: whether to keep what explains forecasts (`stanhop_app.runs.novelty`).
        resume: go on from the folder's checkpoint.
        force: overwrite what the folder holds.

    Raises:
        OptionError: if the folder holds a run and may not be overwritten, or for an option that cannot be.
    """
    RunConfig(split=panel.split, season=season, outlier_steps=outlier_steps, novelty=novelty)
    check_folder(folder, read_config, resume=resume, force=force)
    prepared = forecaster.prepare(panel)
    season = choose_season(panel, season)
    if novelty:
        _check_novelty(prepared)
    with writing(folder) if is_main_process() else nullcontext():
        # Again, now that no other process can change it.
        check_folder(folder, read_config, resume=resume, force=force)
        if is_main_process() and not resume:
            (folder / CHECKPOINT).unlink(missing_ok=True)  # of a training that was not finished
        final_folder(folder, resume=resume)
        forecaster.fit_prepared(
            prepared, run_folder=folder, resume=resume, outlier_steps=outlier_steps
        )
        run = Run(forecaster=forecaster, folder=folder, panel=forecaster.fitted_.beside(panel))
        report, baselines = fit_and_score(run, season)
        if is_main_process():
            report = replace(report, warning=memorization_warning(run))
            beside = {BASELINES: save_baselines(baselines, folder / BASELINES)}
            if novelty:
                beside[NOVELTY] = save_store(remember(run), folder / NOVELTY)
            if outlier_steps is not None:
                log = (folder / OUTLIERS).read_bytes()
                beside[OUTLIERS] = write_hashed(folder / OUTLIERS, lambda f: f.write_bytes(log))
            kept = {
                **(source or {}),
                "sha256": panel.fingerprint,
                "season": season,
                "train_end": panel.train_end,
                **{f"{Path(name).stem}_sha256": digest for name, digest in beside.items()},
            }
            forecaster.fitted_ = replace(run.fitted, source=kept, metrics=report.as_json())
            write(run.fitted, forecaster.kept_params(), folder, beside=beside)
            for name in (CHECKPOINT, OUTLIERS):
                (folder / name).unlink(missing_ok=True)
            final_folder(folder, resume=False)
    return report


def _check_novelty(prepared: Prepared) -> None:
    network = prepared.network.config
    if prepared.panel.is_many or network.holes or network.reads_covariates:
        raise OptionError(
            "novelty (--novelty) is told for one table without holes or covariates, not for many series."
        )
