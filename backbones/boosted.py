"""Gradient boosting of a table by scikit-learn, as trees for each output and the loss after each iteration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from backbones.fitted import classes_of, loss_of
from backbones.scikit import limited, log_loss_from
from backbones.trees import NOTHING, Tree, of_boosting

ABSENT = -12.0  # logit of a class or a truth that training never shows


@dataclass(frozen=True)
class Table:
    """Features [n, F], targets [n, K], and outputs [n, K] that the trees come on top of."""

    x: np.ndarray
    y: torch.Tensor
    start: np.ndarray

    def part(self, rows: np.ndarray | slice) -> Table:
        """Some of the rows."""
        return Table(self.x[rows], self.y[rows], self.start[rows])


@dataclass(frozen=True)
class Grown:
    """Trees for each of the K outputs, one an iteration; where they start [K]; the loss on validation [iterations]."""

    trees: list[list[Tree]]
    base: np.ndarray
    losses: np.ndarray

    @property
    def best(self) -> int:
        """The number of iterations that validation prefers."""
        return int(self.losses.argmin()) + 1

    def planted(self, iterations: int) -> list[Tree]:
        """The trees of the first iterations, one output after the other in each."""
        return [one[i] for i in range(iterations) for one in self.trees]


@dataclass(frozen=True)
class Booster:
    """How to grow: the kind of target, the loss of values, scikit-learn's settings, whether `start` is all there is."""

    kind: str
    loss: str
    settings: Mapping[str, Any]
    goes_on: bool

    def grow(self, train: Table, val: Table) -> Grown:
        """Fit one model for all classes, or one for each output."""
        with limited():
            if self.kind == "class":
                return self._classes(train, val)
            return _joined([self._output(k, train, val) for k in range(train.y.shape[1])])

    def _output(self, k: int, train: Table, val: Table) -> Grown:
        """One value or label."""
        y, start, above = train.y.numpy()[:, k], train.start[:, k], val.start[:, k]
        if self.kind == "value":
            name = "squared_error" if self.loss == "mse" else "absolute_error"
            model = HistGradientBoostingRegressor(loss=name, **self.settings).fit(train.x, y - start)
            stages = model.staged_predict(val.x)
        elif len(np.unique(y)) < 2:
            return self._constant(y[0], above, val.y[:, k])
        else:
            more = {"loss": log_loss_from(start)} if self.goes_on else {}
            model = HistGradientBoostingClassifier(**self.settings, **more).fit(train.x, y)
            stages = model.staged_decision_function(val.x)
        losses = [self._loss((said + above)[:, None], val.y[:, k : k + 1]) for said in stages]
        return Grown([of_boosting(model)], np.ravel(model._baseline_prediction), np.array(losses))

    def _constant(self, y: float, above: np.ndarray, val_y: torch.Tensor) -> Grown:
        """A label that training shows on one side alone."""
        said = 0.0 if self.goes_on else ABSENT * (1 - 2 * y)
        loss = self._loss((said + above)[:, None], val_y[:, None])
        count = self.settings["max_iter"]
        return Grown([[NOTHING] * count], np.array([said]), np.full(count, loss))

    def _classes(self, train: Table, val: Table) -> Grown:
        """All classes in one; those that training does not have stay where they are, or far below the others."""
        outputs = train.y.shape[1]
        shown = np.flatnonzero(train.y.any(0).numpy())
        more = {"loss": log_loss_from(_margins(train.start[:, shown]))} if self.goes_on else {}
        model = HistGradientBoostingClassifier(**self.settings, **more).fit(train.x, classes_of(train.y))
        grown, first = of_boosting(model), np.ravel(model._baseline_prediction)
        served = shown[-len(first) :]  # of two classes, the second alone has trees
        base = np.full(outputs, 0.0 if self.goes_on else ABSENT)
        base[shown] = 0.0
        base[served] = first
        trees = [[NOTHING] * (len(grown) // len(first)) for _ in range(outputs)]
        for place, k in enumerate(served):
            trees[k] = grown[place :: len(first)]
        losses = []
        for said in model.staged_decision_function(val.x):
            whole = val.start + np.where(np.isin(np.arange(outputs), served), 0.0, base)
            whole[:, served] += said.reshape(len(said), -1)
            losses.append(self._loss(whole, val.y))
        return Grown(trees, base, np.array(losses))

    def _loss(self, outputs: np.ndarray, y: torch.Tensor) -> float:
        return loss_of(torch.from_numpy(outputs), y, self.kind, self.loss)


def _margins(start: np.ndarray) -> np.ndarray:
    """What boosting starts from: of two classes the second's lead, [n]; else all of them, [n, K]."""
    return start[:, 1] - start[:, 0] if start.shape[1] == 2 else start


def _joined(parts: list[Grown]) -> Grown:
    """Outputs that were fitted one by one, judged by their mean loss."""
    return Grown(
        [one.trees[0] for one in parts],
        np.concatenate([one.base for one in parts]),
        np.mean([one.losses for one in parts], axis=0),
    )
