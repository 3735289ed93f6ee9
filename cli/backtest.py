"""stanhop backtest RUN [DATA]."""

from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.flags import flag_names, flags, names
from stanhop_app.cli.options import (
    config_option,
    data_options,
    echo,
    force_option,
    json_option,
    listed,
    open_run,
    output_option,
    page_option,
    quiet_option,
)
from stanhop_app.cli.outputs import check_outputs
from stanhop_app.cli.tables import print_results, write_page

from stanhop_app.runs.backtest.config import BacktestConfig


@click.command("backtest")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@config_option
@flags(BacktestConfig)
@listed(
    "by", "Also scores by step, variate, series, hour, weekday or cutoff: step,hour.", kind=names
)
@data_options
@output_option("Parquet file of every forecast with its dates; what was stopped goes on there.")
@page_option()
@force_option
@quiet_option
@json_option
def command(
    run: Path,
    data: str | None,
    by: list[str] | None,
    output: Path | None,
    report: Path | None,
    force: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Forecast at many past cut-offs of DATA, each by what was known then, beside what came.

    Without DATA: of the rows that RUN keeps.

    Shown are RUN as it was fitted; RUN with what came since (its linear part, memory and intervals follow,
    the deep part stays); with --refit also trained anew; and the baselines. "Better by 2% [1, 3]" tells the
    95% interval of a bootstrap over blocks of time, too.

    \b
    stanhop backtest runs/etth1-h24
    stanhop backtest runs/sales sales.csv --origins 52 --refit 13 -o sales.parquet --report sales.html
    """
    from stanhop_app.files import to_json
    from stanhop_app.runs.backtest.backtest import backtest
    from stanhop_app.runs.backtest.report import figures, gains, leader, tables
    from stanhop_app.runs.backtest.scores import check_groups, scores

    config = BacktestConfig(**{name: options.pop(name) for name in flag_names(BacktestConfig)})
    check_outputs(output, report, force=force)
    opened = open_run(run, data, options, "backtest", needed=False)
    opened = opened.on_kept() if opened.panel is None else opened
    check_groups(by or (), many=opened.table.is_many)
    made = backtest(opened, config, output=output, say=echo, progress=False if quiet else None)
    if output is not None:
        echo(f"forecasts in {output}")
    told = tables(made)
    further = {f"Scores by {name}": scores(made, [name]) for name in by or ()}
    write_page(report, lambda: figures(made), {**told, **further}, f"Backtest of {run.name}")
    first, beside = leader(made), gains(made)
    content: dict[str, Any] = {"run": str(run), **made.about, "scores": _plain(scores(made))}
    if as_json:
        content["gains"] = {
            name: {"gain": gain.gain, "low": gain.low, "high": gain.high, "p": gain.p}
            for name, gain in beside.items()
        }
        content |= {f"by_{name}": _plain(scores(made, [name])) for name in by or ()}
        click.echo(to_json(content, indent=2))
        return
    shown = {"": scores(made).rename_axis(None), **further}
    sentences = [f"{first} against {name}: {gain}" for name, gain in beside.items()]
    if not beside:
        sentences = ["too few cut-offs to tell luck from gain"]
    print_results(content, shown, as_json=False, after="\n".join(sentences))


def _plain(table: Any) -> list[dict[str, Any]]:
    """Rows as JSON has them: what is not a number is None."""
    rows = table.reset_index().astype(object)
    for name in rows.columns:
        if name == "cutoff":
            rows[name] = [stamp.isoformat() for stamp in rows[name]]
    plain: list[dict[str, Any]] = rows.where(rows.notna(), None).to_dict(orient="records")
    return plain
