"""What a search over options is: what is fitted with which options, on what, and what a trial is worth.

The value of a trial is the error on the validation rows of the whole forecaster, fitted on the training rows;
no test row is read.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from stanhop_app.errors import OptionError
from stanhop_app.files import to_json
from stanhop_app.options import check, option
from stanhop_app.studies.space import DEFAULT_SPACE, Dimension, space

if TYPE_CHECKING:
    from stanhop_app.data.panel import Panel
    from stanhop_app.forecasting.forecaster import STanHopForecaster

Objective = Literal["mse", "mae"]


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """What a search does."""

    trials: int = option(20, "Trainings with other options, those of before included.", least=1)
    objective: Objective | None = option(
        None,
        "Error on validation that is made small, in scaled units. Default: the training's, mse or mae.",
        choices=get_args(Objective),
    )
    tuning_seed: int = option(0, "Seed of the search; every trial trains by --seed.", least=0)
    parallel: int = option(1, "Trials at once, a process each.", least=1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search: what is fitted, on what, and where it looks."""

    forecaster: "STanHopForecaster"
    """The options that no trial changes, not fitted."""
    panel: "Panel"
    dimensions: Sequence[Dimension]
    base: Mapping[str, Any]
    """All options as they are without a search."""
    config: TuneConfig

    @classmethod
    def of(
        cls,
        forecaster: "STanHopForecaster",
        panel: "Panel",
        config: TuneConfig,
        asked: Sequence[str] | None = None,
    ) -> "Search":
        """A search over some options (`stanhop_app.studies.space.space`); None: those of `DEFAULT_SPACE`.

        Raises:
            OptionError: for options that cannot be searched, or do not go with the table.
            DataError: for a table that cannot be trained on.
        """
        prepared = forecaster.prepare(panel)
        network = prepared.network.config
        base = {**vars(network), **vars(prepared.training), "deep_lookback": network.deep_steps}
        dimensions = space(DEFAULT_SPACE if asked is None else asked, base)
        if len(prepared.windows["validation"]) == 0:
            raise OptionError("a search needs validation rows; choose another --split.")
        return cls(
            forecaster=forecaster, panel=panel, dimensions=dimensions, base=base, config=config
        )

    @property
    def objective(self) -> str:
        """The error that is made small."""
        squared = self.forecaster.training_config().loss == "mse"
        return self.config.objective or ("mse" if squared else "mae")

    @property
    def identity(self) -> dict[str, Any]:
        """What trials of one search have in common; JSON values."""
        parts = (self.forecaster.kept_params(), [d.as_json() for d in self.dimensions])
        told = {"options": parts[0], "space": parts[1], "objective": self.objective}
        told |= {"split": self.panel.split, "data_sha256": self.panel.fingerprint}
        same: dict[str, Any] = json.loads(to_json(told))
        return same

    def changed(self, values: Mapping[str, Any]) -> "STanHopForecaster":
        """The forecaster with the values of a trial."""
        from sklearn.base import clone

        forecaster: STanHopForecaster = clone(self.forecaster)
        own = forecaster.get_params(deep=False)
        network = set(vars(self.forecaster.network_config(1)))
        for name, value in values.items():
            group = "" if name in own else "network__" if name in network else "training__"
            forecaster.set_params(**{f"{group}{name}": value})
        return forecaster

    def value(self, values: Mapping[str, Any], tell: Callable[[int, float], None]) -> float:
        """Error on validation with some options.

        Args:
            values: of the options that are searched.
            tell: told of every epoch: its number and validation loss; what it raises ends the training.
        """
        from stanhop_app.forecasting.evaluation import score
        from stanhop_app.forecasting.fit import fit
        from stanhop_app.forecasting.fitted import WHOLE

        def told(row: Mapping[str, float]) -> None:
            if "validation_loss" in row:
                tell(int(row["epoch"]), row["validation_loss"])

        prepared = self.changed(values).prepare(self.panel)
        fitted = fit(prepared, progress=False, tell=told)
        windows = self.panel.windows(fitted.lookback, fitted.horizon)["validation"]
        scores = score(fitted.predictors()[WHOLE], windows, fitted.scaler)
        return float(getattr(scores, self.objective))
