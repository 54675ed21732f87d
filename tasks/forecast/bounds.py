"""Which channels cannot be below 0, such as counts, sales, watts and rain: what is forecast of them is not, either.

Never having been below 0 is not enough: a level far from it has merely not come there yet. One of three more is asked
for, and all stay when values are multiplied by the same:

- many values are 0 itself;
- values often came much nearer to 0 than they usually change, and never crossed it;
- changes are in proportion to the level: as those of logarithms they are far likelier (both normal, of each series its
  own variance).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from readers.mapped import is_mapped
from readers.paths import abridge
from tasks.targets import Course

log = logging.getLogger("tsrun")

NEAR, CLOSE = 8, 0.5  # times that values came so much of a usual change near to 0, of which a third would cross it
ZEROS = 0.05  # of the values, which a measure that goes on below 0 would hardly meet so often
LIKELIER = 5.0  # in natural logarithms


def bounded(course: Course, lag: int) -> list[float]:
    """Of each of K channels, 1 where 0 is the lowest value that there can be, else 0. `lag` is the steps of a season.

    Nothing is found where values are mapped, of which no copy fits in memory.
    """
    if is_mapped(course.values):
        return [0.0] * len(course.values)
    row = np.repeat(np.arange(len(course.offsets) - 1), np.diff(course.offsets))
    found = []
    for k, channel in enumerate(course.values):
        known = course.seen & np.isfinite(channel)
        known = known if course.filled is None else known & ~course.filled[k]
        never_below = bool(known.any()) and channel[known].min() >= 0
        found.append(float(never_below and _shows(channel, known, row, lag)))
    return found


def _shows(y: np.ndarray, known: np.ndarray, row: np.ndarray, lag: int) -> bool:
    """Whether values [total], of which none that is known is below 0, show that none can be."""
    changes = {step: _Changes(y, known, row, step) for step in {1, max(lag, 1)}}
    usual = np.minimum.reduce([one.usual for one in changes.values()])
    near = known & (np.where(known, y, np.inf) < CLOSE * usual[row])
    times = int((near[1:] & known[:-1] & ~near[:-1] & (row[1:] == row[:-1])).sum())
    zeros = int((y[known] == 0).sum())
    if times >= NEAR or zeros >= max(NEAR, ZEROS * known.sum()):
        return True
    return changes[max(lag, 1)].likelier_as_logs() > LIKELIER


def below(values: Iterable[np.ndarray], names: Sequence[str]) -> dict[str, bool]:
    """Of each channel by name, whether a value [K][n] is below 0; False of all where values are mapped."""
    return {
        name: not is_mapped(channel) and bool((channel < 0).any()) for name, channel in zip(names, values, strict=True)
    }


def still(found: Sequence[float], below_0: Mapping[str, bool]) -> list[float]:
    """`bounded` of K channels, but for those of other data that are `below` 0 all the same, which is told."""
    lifted = [name for name, one in zip(below_0, found, strict=True) if one and below_0[name]]
    if lifted:
        log.info("%s: below 0 here, as nothing was in training, so forecasts are not held at 0", abridge(lifted))
    return [0.0 if under else one for under, one in zip(below_0.values(), found, strict=True)] if lifted else [*found]


class _Changes:
    """Changes of values a lag apart within rows, and how far each of N rows usually changes: `usual` [N]."""

    def __init__(self, y: np.ndarray, known: np.ndarray, row: np.ndarray, lag: int) -> None:
        pair = known[lag:] & known[:-lag] & (row[lag:] == row[:-lag])
        self._row, self._rows = row[lag:][pair], int(row[-1]) + 1
        self._late, self._early = (part[pair].astype(np.float64) for part in (y[lag:], y[:-lag]))
        self._count = np.bincount(self._row, minlength=self._rows)
        self._square = self._sum((self._late - self._early) ** 2)
        self.usual = np.sqrt(self._square / np.maximum(self._count, 1))

    def _sum(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._row, values, minlength=self._rows)

    def likelier_as_logs(self) -> float:
        """By how much likelier (in logarithms) they are with normal changes of logarithms; -inf where there is a 0."""
        if not len(self._late) or min(self._late.min(), self._early.min()) <= 0:
            return -np.inf
        late, early = np.log(self._late), np.log(self._early)
        square, level = self._sum((late - early) ** 2), self._sum(late)
        able = (square > 0) & (self._square > 0)
        gain = self._count[able] / 2 * np.log(self._square[able] / square[able]) - level[able]
        return float(gain.sum())


def floors(asked: float | None, found: Sequence[float]) -> tuple[float, ...]:
    """The lowest value of each of K channels, -inf for none: what is `asked` for, or 0 where it is `bounded`; () where
    there is none at all."""
    least = tuple((0.0 if one else -np.inf) if asked is None else asked for one in found)
    return least if any(np.isfinite(least)) else ()
