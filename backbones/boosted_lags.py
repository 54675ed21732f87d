"""Boosted trees on lags, one model for all series and all steps ahead.

Features of an origin and a step h: the last changes of level, the season that the step repeats with its neighbours, the
one before, means of the last season and the last two, how far the season has changed, and h itself; all less the last
value (or the last season), over the deviation of the series' own changes. The target is the step less what repeating
the last value, or the last season, says: validation chooses. Direct, by absolute error, at most 25,000 rows.

The trees are plain tensors (trees.py): a checkpoint in use needs no scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from backbones import Hyper, InputSpec, register
from backbones.histories import Histories, HistoryFitting, Stack
from backbones.local_forecaster import LocalForecaster
from backbones.trees import MARGIN, Forest

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
    "trees": {"default": 120, "min": 1, "max": 100000, "help": "iterations, at most; validation chooses how many"},
    "rate": {"default": 0.08, "min": 0.001, "max": 1.0, "help": "learning rate"},
    "leaves": {"default": 15, "min": 2, "max": 1024, "help": "leaves of a tree, at most"},
}

ROWS = 25_000  # pairs of origin and step that are learned from; a fifth as many judge
STEPS = 8  # of each origin, where there are too many pairs
LAGS = 7
CELLS = 1 << 20
LEAST, PARTS = 20, 200  # rows in a leaf: n / PARTS, at least LEAST


def settings(trees: int, rate: float, leaves: int, rows: int, seed: int) -> dict[str, Any]:
    """Those of scikit-learn, for at most so many trees on so many pairs of origin and step."""
    return {
        "max_iter": trees,
        "learning_rate": rate,
        "max_leaf_nodes": leaves,
        "min_samples_leaf": max(LEAST, rows // PARTS),
        "early_stopping": False,
        "random_state": seed,
    }


@register
class BoostedLags(LocalForecaster):
    """`y = start of the step + deviation * (base + the sum of the trees' leaves)`."""

    base: torch.Tensor
    seasonal: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.forest = Forest(1)
        self.register_buffer("base", torch.zeros(1))
        self.register_buffer("seasonal", torch.zeros(1))  # 1: the trees add to the last season, not to the last value

    def fit_histories(self, data: HistoryFitting) -> dict[str, Any]:
        """Grow trees on every origin of training, or a sample, for both ways; keep what validation prefers."""
        from backbones.boosted import Booster, Table

        told = super().fit_histories(data)
        draw = np.random.default_rng(data.seed)
        every = data.train.everywhere(max(self.season, 2) + 1)
        if not len(every):
            return told | {"rows": 0}
        train, val = _sample(every, ROWS, draw), _sample(data.val.flat() if len(data.val) else every, ROWS // 5, draw)
        found = {}
        for seasonal in (False, True) if self.season > 1 else (False,):
            tables = []
            for part in (train, val):
                x, y = self._rows(part, seasonal)
                tables.append(Table(x, torch.from_numpy(y)[:, None], np.zeros((len(y), 1), np.float32)))
            grown = Booster("value", "l1", self._settings(len(tables[0].x), data.seed), False).grow(*tables)
            found[seasonal] = grown, float(grown.losses[grown.best - 1])
        way = min(found, key=lambda one: found[one][1])
        grown, loss = found[way]
        self.forest.plant(grown.planted(grown.best), margin=MARGIN)
        self.base.copy_(torch.from_numpy(grown.base))
        self.seasonal.fill_(float(way))
        return told | {"rows": train.steps.size, "iterations": grown.best, "val_loss": loss}

    def keep_chosen(self, told: Mapping[str, Any]) -> None:
        self.hyper = Hyper("boosted_lags", vars(self.hyper) | {"trees": told.get("iterations", self.hyper.trees)})

    def _settings(self, rows: int, seed: int) -> dict[str, Any]:
        return settings(self.hyper.trees, self.hyper.rate, self.hyper.leaves, rows, seed)

    def _rows(self, part: _Pairs, seasonal: bool) -> tuple[np.ndarray, np.ndarray]:
        """Features [n * k, F] and targets [n * k] of pairs of origin and step."""
        features, targets = [], []
        values = part.histories.values[0]
        for which, stack in part.histories.stacks():
            steps = part.steps[which]
            x, start, unit = lag_features(stack, steps, self.season, seasonal)
            truth = values[part.histories.origin[which][:, None] + steps]
            features.append(x)
            targets.append(((truth - start) / unit[:, None]).ravel())
        return np.concatenate(features), np.concatenate(targets).astype(np.float32)

    def local(self, stack: Stack) -> np.ndarray:
        made = np.empty((len(stack), self.forecast.horizon))
        steps = np.arange(self.forecast.horizon)
        for part, some in stack.blocks(self.forecast.horizon * 24, CELLS):
            each = np.broadcast_to(steps, (len(some), len(steps)))
            x, start, unit = lag_features(some, each, self.season, bool(self.seasonal))
            said = self.base + self.forest(torch.from_numpy(x).to(self.base.device))
            made[part] = start + unit[:, None] * said.double().cpu().numpy().reshape(start.shape)
        return made


@dataclass(frozen=True)
class _Pairs:
    """n origins of one target, and k steps of each, int64 [n, k]."""

    histories: Histories
    steps: np.ndarray


def _sample(every: Histories, most: int, draw: np.random.Generator) -> _Pairs:
    """All origins and steps, or at most `most` pairs, a few steps of each origin."""
    each = min(every.horizon, STEPS)
    if len(every) * each > most:
        every = every.part(np.sort(draw.choice(len(every), max(most // each, 1), replace=False)))
    steps = np.tile(np.arange(every.horizon), (len(every), 1))
    return _Pairs(every, np.sort(draw.permuted(steps, axis=1)[:, :each], axis=1) if each < every.horizon else steps)


def lag_features(
    stack: Stack, steps: np.ndarray, period: int, seasonal: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What trees see of n origins and k steps of each, counted from 0.

    Returns
    -------
    (features float32 [n * k, F]; where each forecast starts [n, k]: the last season's step where `seasonal`, else the
    last value; the unit of both at each origin [n]: the deviation of the changes so far).
    """
    n, k = steps.shape
    end, first = stack.end[:, None], np.zeros((n, 1), np.int64)

    def at(step: np.ndarray) -> np.ndarray:
        """Values at steps of the series; the first value before it, the last known one after it."""
        found: np.ndarray = stack.y[stack.series[:, None], np.clip(step, first, end - 1)]
        return found

    squares = np.cumsum(np.diff(stack.y, axis=1, prepend=stack.y[:, :1]) ** 2, axis=1)[stack.series, stack.end - 1]
    unit = np.sqrt(squares / np.maximum(stack.end - 1, 1))
    unit = np.where(unit > 0, unit, 1.0)
    last = at(end - 1)
    same = end - period + steps % period
    start = at(same) if seasonal and period > 1 else np.broadcast_to(last, (n, k))
    recent = at(end - 1 - np.arange(1, LAGS))
    columns = [recent[:, i : i + 1] - last for i in range(LAGS - 1)]
    for span in sorted({period if period > 1 else 3, 2 * period if period > 1 else 6}):
        columns.append(at(end - 1 - np.arange(span)).mean(1, keepdims=True) - last)
    if period > 1:
        columns += [at(same) - last, at(same - 1) - at(same), at(same + 1) - at(same), at(same - period) - at(same)]
        columns += [at(same - 2 * period) - at(same), last - at(end - 1 - period)]
    scaled = [np.broadcast_to(column, (n, k)) / unit[:, None] for column in columns]
    table = np.stack([*scaled, steps.astype(np.float64)], axis=2)
    return table.reshape(n * k, -1).astype(np.float32), start, unit
