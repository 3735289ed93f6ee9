"""stanhop tune DATA."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stanhop_app.cli.flags import Grouped, flag_names, flags, names
from stanhop_app.cli.options import (
    READING,
    config_option,
    data_options,
    echo,
    force_option,
    is_default,
    json_option,
    listed,
    output_option,
    page_option,
)
from stanhop_app.cli.tables import print_results, write_page
from stanhop_app.cli.train import READ, by_protocol, make_forecaster, make_panel

from stanhop_app.models.config import STanHopConfig
from stanhop_app.options import join_names
from stanhop_app.runs.config import RunConfig
from stanhop_app.studies.search import TuneConfig
from stanhop_app.training.config import TrainingConfig

if TYPE_CHECKING:
    import optuna

BEST = "best.toml"
"""Name of the file of the best options."""
FORECAST = ("split", "calendar_features", "holidays")
FIRST = ("trials", "search", "horizon", "split", "output", "report", "parallel")


@click.command("tune", cls=Grouped, first=FIRST)
@click.argument("data")
@flags(TuneConfig, group="Search")
@listed(
    "search",
    "Options that are searched, alone or with where: dim,dropout=0..0.3,patch_length=12|24. Default: ten.",
    kind=names,
)
@data_options
@flags(RunConfig, only=FORECAST, group="Forecast")
@flags(STanHopConfig, but=("num_variates",), group="Network")
@flags(TrainingConfig, group="Training")
@output_option("Folder of the trials; a search goes on there. Default: tuned/DATA-hHORIZON.")
@page_option()
@config_option
@force_option
@json_option
def command(
    data: str,
    search: list[str] | None,
    output: Path | None,
    report: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Search options of `stanhop train` for DATA, by errors on its validation rows alone.

    Options that are said are kept, all others of the search are tried by Optuna (stanhop-app[tune]). The
    first trial has those of no search; what is worse than most after an epoch is ended there. The best are
    written to best.toml in the folder.

    \b
    stanhop tune sales.csv --horizon 28 --trials 30
    stanhop train sales.csv --config tuned/sales-h28/best.toml
    """
    from stanhop_app.files import to_json, write_text
    from stanhop_app.studies.search import Search
    from stanhop_app.studies.space import DEFAULT_SPACE
    from stanhop_app.studies.tuning import tune
    from stanhop_app.studies.tuning_report import (
        as_toml,
        best_options,
        history_figure,
        importance_table,
        trials_table,
    )

    config = TuneConfig(**{name: options.pop(name) for name in flag_names(TuneConfig)})
    by_protocol(data, options)
    stem = "stdin" if data == "-" else Path(data).name.split(".")[0]
    output = output or Path("tuned") / f"{stem}-h{options['horizon']}"
    read = {name: options.pop(name) for name in READING}
    if search is None:
        search = [name for name in DEFAULT_SPACE if is_default(name)]
    forecaster = make_forecaster(options, {name: read[name] for name in READ}, quiet=True)
    forecaster.set_params(final="none")
    panel, _ = make_panel(data, read, forecaster)
    sought = Search.of(forecaster, panel, config, search)
    echo(f"searched: {', '.join(dimension.name for dimension in sought.dimensions)}")
    study = tune(sought, output, say=echo, force=force)
    table, matters = trials_table(study, sought.objective), importance_table(study)
    best = best_options(sought, study.best_params)
    best |= _said(read)
    sentence, gain = _sentence(study, sought.objective, len(table))
    write_text(output / BEST, as_toml(best, f"stanhop tune {data}: {sentence}"))
    shown = {"Trials, the best first": table} | (
        {} if matters.empty else {"What mattered": matters}
    )
    write_page(report, lambda: [history_figure(table, sought.objective)], shown, sentence)
    content = {"best": best, "value": study.best_value, "gain": gain, "trials": len(table)}
    if as_json:
        click.echo(to_json(content, indent=2))
        return
    tables = {name: each.head(10).round(5) for name, each in shown.items()}
    print_results(content, tables, as_json=False, after=sentence)
    echo(f"\nNext: stanhop train {data} --config {output / BEST}")


def _said(read: dict[str, Any]) -> dict[str, Any]:
    """How the table is read, where that was said."""
    given = {name: value for name, value in read.items() if not is_default(name)}
    lists = {n: join_names(v) for n, v in given.items() if isinstance(v, list | tuple)}
    return {name: value for name, value in {**given, **lists}.items() if value is not None}


def _sentence(study: "optuna.Study", objective: str, trials: int) -> tuple[str, float | None]:
    """What the search came to, and by which share it is below the options of no search."""
    from stanhop_app.studies.tuning import without_search

    base = without_search(study)
    gain = 1 - study.best_value / base if base else None
    told = "nothing is known of the options of no search"
    if gain is not None:
        told = f"{gain:.1%} below the options of no search"
    best = f"trial {study.best_trial.number} of {trials}: {objective} {study.best_value:.5f}"
    return f"{best} on validation, {told}", gain
