"""stanhop quantize RUN [DATA]."""

import json
from pathlib import Path
from typing import Any

import click
from stanhop_app.cli.flags import flags, names
from stanhop_app.cli.options import (
    config_option,
    data_options,
    echo,
    json_option,
    listed,
    open_run,
)

from stanhop_app.models.config import QuantizationConfig


@click.command("quantize")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@config_option
@listed(
    "bits", "Bits of weights and activations, comma separated.", "W8A8,W6A6,W4A8,W4A4", kind=names
)
@flags(QuantizationConfig, only=("weight_range", "percentile"))
@data_options
@json_option
def command(
    run: Path,
    data: str | None,
    bits: list[str],
    weight_range: str,
    percentile: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Score RUN in simulated low-bit arithmetic, calibrated on training windows.

    The protocol is that of the papers: weights symmetric, activations asymmetric with static ranges; heads,
    gates and the linear part stay in float. It says what fewer bits cost; for an int8 model to use,
    see stanhop export. DATA is the table of the training, as for stanhop outliers.

    \b
    stanhop quantize runs/etth1-h24 --bits W8A8,W4A4
    """
    from stanhop_app.quantization import parse_bits
    from stanhop_app.runs.measures import quantized_errors

    configs = [
        QuantizationConfig(
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            weight_range=weight_range,
            percentile=percentile,
        )
        for weight_bits, activation_bits in map(parse_bits, bits)
    ]
    opened = open_run(run, data, options, "quantize")
    parts, fitted = opened.parts, opened.fitted
    echo(f"calibrated on training windows, scored on {len(parts['test']):,} test windows")
    scaler = opened.table.outer_scaler
    table = quantized_errors(fitted.network, parts["train"], parts["test"], scaler, configs)
    if as_json:
        click.echo(json.dumps(table.reset_index().to_dict("records"), indent=2))
        return
    click.echo(f"Split {fitted.split}, horizon {fitted.horizon}, test, scaled units")
    shown = table.rename(columns={"mse": "MSE", "mae": "MAE", "change": "MSE against float"})
    formats = {"MSE against float": "{:+.2%}".format}
    click.echo(shown.to_string(float_format="%.4f", formatters=formats))
