"""Backbones that forecast each series from its own history, by a rule that is estimated anew at every origin.

Nothing is learned from one series for another but the period: `fit_histories` takes the calendar's, or finds it in
training (backbones/season.py). Each of K targets in each row is a series by itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from backbones import ForecastSpec, Hyper, InputSpec
from backbones.base import Backbone
from backbones.histories import CELLS, Histories, HistoryFitting, Stack
from backbones.season import periods_of
from errors import UsageError

MOST = 3.0  # times the greatest value so far, for forecasts from logarithms


class LocalForecaster(Backbone):
    """A subclass has a `local`, and in HYPER the `period` where it has a season: 0 for the calendar's, or what training
    shows.

    `_cycles` says how many cycles of its season a history has to have for it to be seen; 0 for a rule without one.
    In the state: `period [2]`, the season's steps and those of a second, longer season, 1 for none; `level [K]`, where
    the data's zero is.
    """

    forecasts = True
    reads_history = True
    reads_known = True
    closed_form = True
    separate = True
    heads = ("forecast",)
    forecast: ForecastSpec
    _cycles: int = 0
    _has_quantiles: bool = False  # `local` gives as many levels as are asked for
    period: torch.Tensor
    level: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        spec, name = self.forecast, type(self).__module__.rpartition(".")[2]
        if not self._has_quantiles:
            spec.refuse_quantiles(name, "forecasts one value a step")
        if spec.covariates:
            raise UsageError(
                f"{name} sees the past of the targets alone",
                where="--known-future",
                hint="leave the flag out, or take another backbone",
            )
        self.given = period = int(vars(hyper).get("period", 0))
        self.register_buffer("period", torch.tensor([max(period, 1), 1]))
        self.register_buffer("level", torch.zeros(len(spec.targets), dtype=torch.float64))

    @abstractmethod
    def local(self, stack: Stack) -> np.ndarray:
        """The forecasts [n, H] at the n origins of a stack, each from its own history, in the stack's units; of a rule
        that has quantiles [n, levels, H]."""

    @property
    def season(self) -> int:
        """Steps of the season; 1 for none."""
        return int(self.period[0])

    @property
    def second(self) -> int:
        """Steps of a second, longer season; 1 for none."""
        return int(self.period[1])

    @property
    def needs(self) -> int:
        """Steps of a history, with fewer of which it forecasts without the season."""
        return self._cycles * self.season if self.season > 1 else 0

    @property
    def repeats_one(self) -> bool:
        """Whether one cycle is all that it needs of a season, so that it cannot say whether there is one."""
        return self._cycles == 1

    def periods(self, train: Histories) -> tuple[int, int]:
        """The period of a season and that of a second, longer one, where none was given."""
        return periods_of(train)

    def fit_histories(self, data: HistoryFitting) -> dict[str, Any]:
        """Take the periods, and where the data's zero is. Returns the periods."""
        found = (self.given, 1) if self.given else self.periods(data.train)
        self.period.copy_(torch.tensor(found))
        self.level.copy_(torch.from_numpy(data.train.level))
        return {"period": found[0]} | ({"second_period": found[1]} if found[1] > 1 else {})

    @torch.no_grad()
    def from_histories(self, histories: Histories) -> torch.Tensor:
        """All origins of all series, in stacks."""
        targets, n = histories.begin.shape
        made = np.empty((targets * n, self.forecast.levels, histories.horizon))
        for which, stack in self.stacks(histories):
            made[which] = self.local(stack).reshape(len(which), *made.shape[1:])
        made = made.reshape(targets, n, *made.shape[1:]) - histories.level[:, None, None, None]
        return torch.from_numpy(made.swapaxes(0, 1).reshape(n, -1, histories.horizon).astype(np.float32))

    def stacks(self, histories: Histories) -> Iterator[tuple[np.ndarray, Stack]]:
        """The histories in stacks that are as large as `local` can take."""
        return histories.stacks(CELLS)

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        past = x[:, list(self.forecast.targets)]
        batch, targets, length = past.shape
        values = past.double().cpu().numpy() + self.level.cpu().numpy()[:, None]
        histories = Histories(
            values.transpose(1, 0, 2).reshape(targets, -1),
            self.level.cpu().numpy(),
            np.tile(np.arange(batch) * length, (targets, 1)),
            np.arange(1, batch + 1) * length,
            self.forecast.horizon,
            (),
            seen=lambda numbers: (x[numbers],),
            labels=lambda numbers: x[numbers, :, :0],
        )
        return self.from_histories(histories).to(x.device)
