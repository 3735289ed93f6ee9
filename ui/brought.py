"""A table that a user brings is read as that of the training was, here and in the Python that is shown."""

from typing import Any

from stanhop_app.ui.parts import brought

from stanhop_app.data.reading import ReadingConfig
from stanhop_app.forecasting.forecaster import STanHopForecaster
from stanhop_app.options import defaults_of
from stanhop_app.runs.exported import ExportedForecaster

READ = defaults_of(ReadingConfig)


def read_options(
    forecaster: STanHopForecaster | ExportedForecaster,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """How a table that is brought is read for a run or an export; and what that of its training proved."""
    options, hints = forecaster.read_as()
    told = {key: value for key, value in options.items() if value is not None}
    outlook = forecaster.outlook_
    if outlook.series is None:
        return told, hints
    known = {"id_column": outlook.series.id_name, "frequency": outlook.frequency}
    # Covariates are told of many series alone.
    return {**known, **({} if outlook.beside else {"joint": False}), **told}, hints


def read_file(forecaster: STanHopForecaster | ExportedForecaster) -> str:
    """The Python lines that read the table that was brought as that of the training was, as ``frame``."""
    name = brought()
    if name is None:
        return ""
    options, _ = read_options(forecaster)
    told = {k: v for k, v in options.items() if v != READ[k]}
    listed = "".join(f", {key}={value!r}" for key, value in told.items())
    return f"from stanhop_app.data.series import read_any\n\nframe = read_any({name!r}{listed})\n"
