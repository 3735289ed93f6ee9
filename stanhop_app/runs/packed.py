"""All that a deep part reads of a window as one row of numbers, for what compares inputs by distance.

Shape letters: B batch, T lookback, C variates, L horizon, K covariates, k of a series.
"""

import torch
from torch import Tensor, nn

from stanhop_app.data.windows import SeriesWindows, Windows
from stanhop_app.models.holes import between
from stanhop_app.models.stanhop import DeepPart


class Packed(nn.Module):
    """A deep part that is called with `packed` windows; its modules have the names that they had.

    A value that is not known is the line between its neighbours in a packed window, with a 1 in a second
    copy of the window, so that no number is NaN.
    """

    def __init__(self, deep: DeepPart):
        super().__init__()
        self.config, self.forward_deep = deep.config, deep.forward
        for name, module in deep.named_children():
            self.add_module(name, module)
        self.train(deep.training)

    def forward(self, rows: Tensor) -> Tensor:
        """(B, N) -> (B, L, C)."""
        config = self.config
        steps, count = config.lookback, config.num_variates
        sizes: dict[str, tuple[int, ...]] = {"x": (steps, count)}
        if config.holes:
            sizes["lost"] = (steps, count)
        moving = config.future_features + config.past_features
        if config.reads_covariates:
            sizes["covariates"] = (steps + config.horizon, moving)
            sizes["static"] = (config.static_features,)
        lengths = [torch.Size(size).numel() for size in sizes.values()]
        parts = rows.split(lengths, dim=1)
        read = {
            name: part.reshape(len(rows), *size)
            for (name, size), part in zip(sizes.items(), parts, strict=True)
        }
        lost = read.pop("lost", None)
        if lost is not None:
            read["x"] = read["x"].masked_fill(lost > 0.5, torch.nan)
        out: Tensor = self.forward_deep(**read)
        return out


def packed(deep: DeepPart, windows: Windows, batch: Tensor) -> Tensor:
    """Windows by number as `Packed` reads them, (B, N); a plain window is its values, step by step."""
    read = windows.inputs(batch)
    x = read["x"]
    parts = [between(x) if deep.config.holes else x]
    if deep.config.holes:
        parts.append(x.isnan().to(x.dtype))
    if deep.config.reads_covariates:
        parts += [read["covariates"], read["static"]]
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def places(windows: Windows, batch: Tensor, zone: int) -> Tensor:
    """Where windows lie, so that those closer than a zone share a row: of two series none does."""
    rows = windows.rows(batch)[:, windows.lookback]
    if not isinstance(windows, SeriesWindows):
        return rows
    begins = windows.begins.unique()
    number = torch.searchsorted(begins, windows.begins[batch])
    return rows + 2 * zone * number
