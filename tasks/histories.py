"""The whole past of the targets of a run, and the histories of its windows (backbones/histories.py)."""

from __future__ import annotations

import numpy as np
import torch

from backbones.backtests import Before, Laid
from backbones.histories import Histories, begins, closed
from data import Series
from windows import Index, Windows


class Past:
    """The targets of a run in units of the model's scale, without gaps; made once, for any number of origins.

    Parameters
    ----------
    series : gives rows and clock.
    raw : [K, total], the targets in the data's units.
    mean, std : [K], of the model's scale.
    """

    def __init__(self, series: Series, raw: np.ndarray, mean: np.ndarray, std: np.ndarray) -> None:
        self.values, self._gaps, self._first = closed(raw / std[:, None], series.offsets)
        self.level: np.ndarray = mean / std
        self.periods = () if series.clock is None else series.clock.periods

    def of(self, index: Index, windows: Windows | None = None) -> Histories:
        """The histories of the n windows of `index`; with `windows` over them, what the model sees there too."""
        assert index.shift == index.length, "the target begins where the history ends"
        row, origin = index.rows(), index.starts() + index.length

        def over(numbers: torch.Tensor) -> tuple[Windows, torch.Tensor]:
            assert windows is not None, "histories without windows"
            return windows, windows.locate(numbers.to(windows.device))

        def seen(numbers: torch.Tensor) -> tuple[torch.Tensor, ...]:
            there, positions = over(numbers)
            return there.seen(positions)

        def labels(numbers: torch.Tensor) -> torch.Tensor:
            there, positions = over(numbers)
            return there.labels(positions)

        begin = begins(self._gaps, self._first, row, origin, index.length)
        return Histories(self.values, self.level, begin, origin, index.horizon, self.periods, seen, labels)


def before(index: Index, val_from: np.ndarray, histories: Histories, laid: Laid) -> Before:
    """What comes before the scored part, for a backbone that tries others there.

    Parameters
    ----------
    index, val_from : as `Split.before` returns them.
    histories : of the windows of `index`.
    laid : as in `Before`.
    """

    def within(low: np.ndarray, high: np.ndarray) -> tuple[list[tuple[int, int]], list[int]]:
        chosen = index.with_target_in(low, high)
        rows = chosen.rows() if chosen.stride > chosen.span else chosen.row
        return chosen.pieces(), rows.tolist()

    return Before(histories, index.rows(), val_from, within, laid)
