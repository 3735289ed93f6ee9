"""What an export needs of intervals: the same quantiles, in numpy. Nothing here needs torch.

See `stanhop_app.forecasting.intervals.pool` for what is computed. Residuals are kept as they are read, over
the spread of their windows; keys of windows are cut from the rows again.

Shape letters: V stored residuals, N rows, T lookback, S steps of a key, L horizon, C variates, Q levels,
B windows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from stanhop_app.errors import ArtefactError, DataError
from stanhop_app.files import read_plain

LONGEST = 10**6
"""Steps and neighbours at most."""
SMALLEST = 1e-6
"""Squared distance, in typical ones, below which two windows are the same (`retrieval.NEAREST`)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Carried:
    """Residuals with the way they are read."""

    about: Mapping[str, Any]
    """"way" in words; "steps" whose spread scales, or None, and its "lag"; of windows alike: "key",
    "calendar", "spread", "typical", "neighbours", "sharpness"; else "key" is None."""
    arrays: Mapping[str, np.ndarray]
    """residuals (V, L, C), places (P,), ends (V,), floor and largest (C,), the latter not in exports of older
    versions; of windows alike also rows (N, C), origins (V,), begins (V,), circles (V, 2)."""

    @classmethod
    def read(cls, path: Path, horizon: int, variates: int) -> Self:
        """What lies in a file.

        Raises:
            ArtefactError: if it is damaged, or of another model.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            content = read_plain(path)
            size = int.from_bytes(content[:8], "little")
            about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["about"])
            made = cls(about=about, arrays=load(content))
            made._check(horizon, variates)
        except (
            OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError, RecursionError,
        ) as error:  # fmt: skip
            raise ArtefactError(f"{path}: damaged ({error!r}).") from None
        return made

    def _check(self, horizon: int, variates: int) -> None:
        """Raise a DataError for arrays that do not fit each other, or the model."""
        arrays, about = self.arrays, self.about
        _check_about(about)
        count = len(arrays["residuals"])
        shapes = {"residuals": (count, horizon, variates), "ends": (count,), "floor": (variates,)}
        names = ["residuals", "ends", "floor", "places"]
        if "largest" in arrays:
            names, shapes["largest"] = [*names, "largest"], (variates,)
        if about["key"] is not None:
            names += ["rows", "circles"]
            shapes |= {"origins": (count,), "begins": (count,), "circles": (count, 2)}
            origins, begins = arrays["origins"], arrays["begins"]
            inside = (begins >= 0).all() and (begins < origins).all()
            if not (inside and (origins <= len(arrays["rows"])).all()):
                raise DataError("its windows lie outside of its rows")
            if arrays["rows"].shape[1:] != (variates,):
                raise DataError("its rows are of another size")
        wrong = [name for name, shape in shapes.items() if arrays[name].shape != shape]
        if wrong or count < 1 or arrays["places"].ndim != 1 or len(arrays["places"]) < 2:
            raise DataError(f"{(wrong or ['places'])[0]} is of another size")
        numbers = {
            **arrays,
            "residuals": np.nan_to_num(arrays["residuals"], posinf=np.inf, neginf=-np.inf),
        }
        if not all(np.isfinite(numbers[name]).all() for name in names):
            raise DataError("some of its numbers are none")

    def tells(self, when: np.ndarray) -> np.ndarray:
        """Whether some stored window had ended before the first targets ``when`` (B, 2), of each (B,)."""
        told: np.ndarray = when[:, 0] > self.arrays["ends"].min()
        return told

    def quantiles(
        self, windows: np.ndarray, when: np.ndarray, levels: Sequence[float]
    ) -> np.ndarray:
        """Quantiles of what will be missed after windows, (B, Q, L, C), rising; scaled units.

        Args:
            windows: (B, T, C), scaled.
            when: (B, 2) of the first targets (`stanhop_app.data.calendar.clock`).
            levels: above 0 and below 1, rising.

        Raises:
            DataError: if no stored window had ended before one of them.
        """
        if not self.tells(when).all():
            raise DataError(
                "no window that is known had ended before this one; intervals need some that had."
            )
        windows = np.stack([_between(window) for window in windows])
        made: list[np.ndarray] = []
        last = np.zeros(0)
        for window, moment in zip(windows, when, strict=True):
            share = self._shares(window, moment)
            same = bool(made) and np.array_equal(share, last)
            made.append(made[-1] if same else self._read(share, levels))
            last = share
        scales = np.stack([self._scale(window) for window in windows])
        scaled: np.ndarray = np.stack(made) * scales[:, None, None]
        return scaled

    def _read(self, share: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Quantiles of the residuals by their weights (V,), (Q, L, C)."""
        kept = share > 0
        residuals, weights = self.arrays["residuals"][kept], share[kept]
        flat = residuals.reshape(len(residuals), -1)
        order = flat.argsort(axis=0, kind="stable")
        values, w = np.take_along_axis(flat, order, axis=0), weights[order]
        known = (~np.isnan(values)).sum(axis=0)  # what nobody knows is sorted behind the others
        w = np.where(np.isnan(values), 0.0, w)
        w = w / np.maximum(w.sum(axis=0), np.finfo(float).tiny)
        middles = w.cumsum(axis=0) - w / 2
        grid = np.linspace(0, 1, len(self.arrays["places"]))
        at = np.interp(levels, grid, self.arrays["places"])
        columns = [
            np.interp(at, middles[:count, n], values[:count, n])
            if count
            else np.full(len(at), np.nan)
            for n, count in enumerate(known)
        ]
        return np.stack(columns, axis=1).reshape(len(at), *residuals.shape[1:])

    def _scale(self, window: np.ndarray) -> np.ndarray:
        steps = self.about["steps"]
        if steps is None:
            return np.ones(window.shape[1])
        last, lag = window[-steps:], self.about.get("lag", 1)
        moved = np.sqrt(np.square(last[lag:] - last[:-lag]).mean(axis=0))
        moved = np.maximum(moved, self.arrays["floor"])
        return np.minimum(moved, self.arrays["largest"]) if "largest" in self.arrays else moved

    def _shares(self, window: np.ndarray, when: np.ndarray) -> np.ndarray:
        """Weights of all residuals (V,), which sum to 1, or to 0 where none may be read."""
        allowed = self.arrays["ends"] < when[0]
        if not allowed.any():
            return np.zeros(len(allowed))
        about = self.about
        if about["key"] is None:
            return allowed / allowed.sum()
        key = window[-about["key"] :] - window[-1:]
        distances = np.square(self._keys - key).sum(axis=(1, 2)) / about["spread"] ** 2
        if about["calendar"]:
            angle = 2 * np.pi * when[1]
            circle = np.array([np.sin(angle), np.cos(angle)])
            distances = distances + np.square(self.arrays["circles"] - circle).sum(axis=1)
        distances = np.where(allowed, distances, np.inf)
        nearest = np.argsort(distances, kind="stable")[: about["neighbours"]]
        nearest = nearest[np.isfinite(distances[nearest])]
        least = max(distances[nearest[0]], SMALLEST * about["typical"])
        scores = -about["sharpness"] * distances[nearest] / least
        weights = np.exp(scores - scores.max())
        shares = np.zeros(len(distances))
        shares[nearest] = weights / weights.sum()
        return shares

    @cached_property
    def _keys(self) -> np.ndarray:
        """(V, S, C) last steps of the stored windows less their last value."""
        steps = np.arange(-self.about["key"], 0)
        origins, begins = self.arrays["origins"], self.arrays["begins"]
        places = np.maximum(origins[:, None] + steps, begins[:, None])
        windows: np.ndarray = self.arrays["rows"][places]
        return windows - windows[:, -1:]


def _between(window: np.ndarray) -> np.ndarray:
    """As `stanhop_app.models.holes.between`, of one window (T, C)."""
    if not np.isnan(window).any():
        return window
    steps, filled = np.arange(len(window)), np.zeros_like(window)
    for column in range(window.shape[1]):
        known = ~np.isnan(window[:, column])
        if known.any():
            filled[:, column] = np.interp(steps, steps[known], window[known, column])
    return filled


def _check_about(about: Mapping[str, Any]) -> None:
    """Raise a DataError for a way of reading that cannot be."""
    counts = [about["steps"], about["key"], about.get("lag", 1)]
    numbers = []
    if about["key"] is not None:
        counts += [about["neighbours"]]
        numbers = [about[name] for name in ("spread", "typical", "sharpness")]
    if about["steps"] is not None and not counts[2] < about["steps"]:
        raise DataError("it has no steps a lag apart")
    whole = all(n is None or (type(n) is int and 1 <= n <= LONGEST) for n in counts)
    above = all(type(n) is float and 0 < n < np.inf for n in numbers)
    if not (whole and above and isinstance(about["way"], str)):
        raise DataError("it is read in a way that cannot be")
