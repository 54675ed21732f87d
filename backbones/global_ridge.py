"""One ridge regression for all series: the next H steps on the last ones, pooled over windows of every series.

Each series counts in multiples of its own deviation, so that none outweighs the others; the map is linear and of
centred windows, so a forecast needs neither. Candidates differ in look-back (a season and a step, or two seasons), in
centring (the last value, or the mean of the last season) and in penalty; their maps are added up with weights of
`error^-5` on validation. `adjusted=true` takes each series' season out first (season.py) and puts it back.

Whatever the windows of the run are, a look-back is a few steps longer than the season. Where a history is shorter, its
first value stands for what came before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from backbones import Hyper, InputSpec, register
from backbones.adjustment import Adjustment, adjustment
from backbones.gram import count, gram, squares, uncentred
from backbones.histories import HistoryFitting, Stack
from backbones.local_forecaster import LocalForecaster
from backbones.trees import Resized

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
    "adjusted": {"default": False, "help": "take the season out of each series, and put it back"},
}

PENALTIES = (0.003, 0.03, 0.3, 3.0)  # a window
TEMPERATURE = 0.2  # of the weights, in log error
WITHOUT_SEASON = (2, 6)  # look-backs
LONGEST = 1500  # look-back: solving for a map takes as long as its third power
EXACT = 1e-3  # of the largest error: no error at all
JUDGED = 4096  # origins of validation that candidates are judged on
SEEN = 1 << 23  # numbers of them, of all targets
CELLS = 1 << 21


@register
class GlobalRidge(LocalForecaster, Resized):
    """`weight [L, H]`, of the last L steps, the oldest first. Until it is fitted it repeats the last value."""

    in_step = True

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.weight = nn.Parameter(torch.ones(1, self.forecast.horizon))

    def fit_histories(self, data: HistoryFitting) -> dict[str, Any]:
        """Fit all candidates to every window of training, and mix them."""
        told = super().fit_histories(data)
        horizon = self.forecast.horizon
        pieces = list(self._scaled(data))
        maps = list(self._candidates(pieces))
        if maps:
            longest = max(len(one) for one in maps)
            every = np.stack([np.pad(one, ((longest - len(one), 0), (0, 0))) for one in maps])
            error = self._errors(data, every)
            share = np.maximum(error / error.max(), EXACT) ** (-1 / TEMPERATURE)
            self.resize("weight", torch.from_numpy(np.tensordot(share / share.sum(), every, 1)))
        windows = count(pieces, len(self.weight) + horizon)
        return told | {"candidates": len(maps), "lookback": len(self.weight), "windows": windows}

    def _scaled(self, data: HistoryFitting) -> Iterator[np.ndarray]:
        """Each series of training over its own deviation, without its season where that is asked for: [1, n]."""
        for _, stack in data.train.ends(data.train.horizon).stacks(CELLS):
            past = stack.last(stack.y.shape[1])
            if self.hyper.adjusted:
                past = adjustment(stack, self.season).without(past)
            for line, end in zip(past, stack.end, strict=True):
                piece = line[len(line) - end :]
                spread = float(np.sqrt(np.mean(np.diff(piece) ** 2))) if end > 1 else 0.0
                if spread > 0:
                    yield (piece - piece.mean())[None] / spread

    def _candidates(self, pieces: list[np.ndarray]) -> Iterator[np.ndarray]:
        """The maps [L, H] of raw windows."""
        horizon, m = self.forecast.horizon, self.season
        lengths = {m + 1, 2 * m} if m > 2 else set(WITHOUT_SEASON)
        lengths = {length for length in lengths if length <= LONGEST} or {LONGEST}
        for length in sorted(lengths):
            n = count(pieces, length + horizon)
            if not n:
                continue
            products = gram(pieces, length + horizon)
            for centre in sorted({1, m} if 2 < m <= length else {1}):
                fitted = squares(products, n, horizon, centre)
                for penalty in PENALTIES:
                    yield uncentred(fitted.fit(np.full(length, penalty * n)), centre)

    def _errors(self, data: HistoryFitting, maps: np.ndarray) -> np.ndarray:
        """The mean squared error of maps [c, L, H] on validation, each origin over the square of its own changes: [c].

        All 1 where validation has no origin.
        """
        most = min(JUDGED, max(SEEN // (maps.shape[1] * len(data.val.begin)), 1), len(data.val))
        chosen = np.linspace(0, len(data.val) - 1, most).round().astype(int)
        some = data.val.part(np.unique(chosen))
        total, number = np.zeros(len(maps)), 0
        truth = np.zeros((0, self.forecast.horizon))
        if len(some):
            there = some.labels(torch.arange(len(some))).double().cpu().numpy() + some.level[:, None]
            truth = there.transpose(1, 0, 2).reshape(-1, some.horizon)
        for which, stack in some.stacks(CELLS) if len(some) else ():
            change = np.diff(stack.last(maps.shape[1] + 2), axis=1)
            size = np.nansum(change**2, axis=1) / np.maximum(np.isfinite(change).sum(1), 1)
            good = size > 0
            past, season = self._past(stack, maps.shape[1])
            for c, one in enumerate(maps):
                said = past @ one if season is None else season.put_back(past @ one)
                total[c] += (np.square(said - truth[which]).mean(1)[good] / size[good]).sum()
            number += int(good.sum())
        errors: np.ndarray = total / number if number and total.max() > 0 else np.ones(len(maps))
        return errors

    def local(self, stack: Stack) -> np.ndarray:
        weight = self.weight.detach().cpu().numpy().astype(np.float64)
        made = np.empty((len(stack), self.forecast.horizon))
        for part, some in stack.blocks(len(weight), CELLS):
            past, season = self._past(some, len(weight))
            made[part] = past @ weight if season is None else season.put_back(past @ weight)
        return made

    def _past(self, stack: Stack, length: int) -> tuple[np.ndarray, Adjustment | None]:
        """The last steps [n, L] at the origins, without their season where that is asked for, and the season."""
        past = stack.last(length)
        past = np.where(np.isfinite(past), past, stack.y[stack.series, 0][:, None])
        if not self.hyper.adjusted:
            return past, None
        season = adjustment(stack, self.season)
        return season.without(past), season
