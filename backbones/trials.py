"""The members of a blend of forecasters, tried one after the other at backtests, the cheapest first.

What a member forecast there is kept with the run, so that one that is interrupted goes on after its finished members.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from backbones.backtests import Backtests, Before
from backbones.base import Backbone
from backbones.blend import RunBlend
from backbones.histories import Histories, HistoryFitting
from backbones.linear_forecaster import LinearForecaster
from backbones.local_forecaster import LocalForecaster

log = logging.getLogger("tsrun")
BATCH = 1024  # windows at once
SLOW = 1.0  # seconds of a member, from which on it is told without --budget too, and what came before it is kept
# Members that cost the most, in order; and those that so much less to learn from than at the latest backtests spoils.
COSTLY = ("ridge", "ridge_ensemble", "ensemble", "boosted_lags", "boosted_known", "chronos2")
FLEXIBLE, ENOUGH = ("boosted_lags", "boosted_known"), 0.5


@dataclass
class Trials:
    """The M members of a blend at b backtests.

    Parameters
    ----------
    names, labels : of each member, its backbone, and the name that sets it apart.
    members : as they are; `fit` may put others in their places.
    fit : (number of a member, where what it is fitted to ends in each row [N]) -> whether there was enough for that.
    shown : whether training shows a season.
    seconds, left_out : after `run`, what each took, and the labels of those for which there was no time.
    untested : after `run`, of each whether no backtest shows what it will do, where it will have seen more (`_seen`).
    """

    names: Sequence[str]
    labels: Sequence[str]
    members: nn.ModuleList
    fit: Callable[[int, np.ndarray], bool]
    shown: bool = False
    seconds: list[float] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    untested: list[bool] = field(default_factory=list)

    def run(self, data: HistoryFitting, before: Before, tests: Backtests, asked: Histories) -> torch.Tensor:
        """What each member forecast at each backtest, [M, b, K, H]; NaN where it could not, or had no time to.

        A member that has begun is finished, the first in any case; what it took is put aside, since it is fitted again.
        """
        shape = (len(asked), asked.values.shape[0], asked.horizon)
        nothing = torch.full(shape, torch.nan)
        done = {name: said for name, said in data.done.items() if said.shape == shape}
        truth, self.seconds = asked.labels(torch.arange(len(asked))).cpu(), [0.0] * len(self.labels)
        begun = kept = time.perf_counter()
        for place, i in enumerate(_cheapest_first(self.names)):
            name, started = self.labels[i], time.perf_counter()
            told = f"auto: {place + 1} of {len(self.labels)}, {name}"
            if name not in done and place and 2 * (started - begun) > data.seconds:
                self.left_out.append(name)
                log.info("%s: left out, --budget is spent", told)
                continue
            fresh = name not in done
            if fresh:
                done[name] = self._tried(i, before, tests, asked)
            elif by_itself(self.members[i]):
                self.fit(i, before.end)  # which season it has
            self.seconds[i] = time.perf_counter() - started
            if np.isfinite(data.seconds) or self.seconds[i] > SLOW or not fresh:
                error = (done[name] - truth).square().nanmean()
                what = f"mse {error:.4f}" if error.isfinite() else "there is no backtest for it"
                log.info("%s: %s, %s", told, what, f"{self.seconds[i]:.1f} s" if fresh else "as it was")
            if data.keep is not None and time.perf_counter() - kept > SLOW:
                data.keep(done)
                kept = time.perf_counter()
        found = self._apart(torch.stack([done.get(name, nothing) for name in self.labels]))
        return self._seen(found, asked, before.end[before.rows[tests.numbers]])

    def _tried(self, i: int, before: Before, tests: Backtests, asked: Histories) -> torch.Tensor:
        found = torch.full((len(asked), asked.values.shape[0], asked.horizon), torch.nan)
        folds: Iterator[tuple[np.ndarray, np.ndarray]] = tests.folds()
        if by_itself(self.members[i]):
            folds = iter([(np.arange(len(asked)), before.end)])
        elif isinstance(self.members[i], RunBlend):  # it has learned from what comes before validation
            unseen = asked.origin >= before.val_from[before.rows[tests.numbers]]
            folds = iter([(np.flatnonzero(unseen), before.end)] * bool(unseen.any()))
        elif self.names[i] in FLEXIBLE:
            folds = with_enough(before, tests)
        for which, cut in folds:
            if self.fit(i, cut):
                found[torch.from_numpy(which)] = forecast(self.members[i], asked.part(which))
        return found

    def _seen(self, found: torch.Tensor, asked: Histories, end: np.ndarray) -> torch.Tensor:
        """The same [M, b, K, H] without backtests at which a member has not the cycles that its season asks for, but
        will have them at the `end` [b] of its row: there it forecasts by another rule. Of more than one cycle only
        where training shows a season; where it shows none, members may well be right without.
        """
        known = torch.from_numpy(asked.lengths.T)  # [b, K]
        at_end = torch.from_numpy((end - asked.begin).T)
        self.untested = [False] * len(found)
        for i, member in enumerate(self.members):
            if not isinstance(member, LocalForecaster) or not (self.shown or member.repeats_one):
                continue
            there = found[i].isfinite().any()
            found[i][(known < member.needs) & (member.needs <= at_end)] = torch.nan
            self.untested[i] = bool(there & ~found[i].isfinite().any())
        return found

    def _apart(self, found: torch.Tensor) -> torch.Tensor:
        """The same without members that forecast as one before them does: there is no second season, say. Equal
        backtests say nothing yet of a member that asks for more cycles than the other."""
        needs = [member.needs if isinstance(member, LocalForecaster) else 0 for member in self.members]
        for i in range(len(found)):
            if any(needs[i] == needs[j] and torch.equal(found[i], found[j]) for j in range(i)):
                found[i] = torch.nan
        return found


def with_enough(before: Before, tests: Backtests) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The folds of `tests` that have at least ENOUGH of the latest one's windows to learn from.

    In others trees of a short panel see a month or two of each series, and what they forecast says nothing about trees
    that see all of it.
    """
    least = 0.0
    for which, cut in tests.folds():
        windows = len(before.fitting(cut, seed=0).train)
        least = least or ENOUGH * windows
        if windows >= least:
            yield which, cut


def _cheapest_first(names: Sequence[str]) -> list[int]:
    """The numbers of members, in the order in which they are tried."""
    return sorted(range(len(names)), key=lambda i: COSTLY.index(names[i]) if names[i] in COSTLY else -1)


def by_itself(member: nn.Module) -> bool:
    """Whether a member is a rule that each series estimates for itself."""
    return isinstance(member, LocalForecaster) and type(member).fit_histories is LocalForecaster.fit_histories


def cycle_of(member: nn.Module) -> int:
    """Steps of a history, with fewer of which a member that repeats one cycle has only the last value; else 0."""
    return member.needs if isinstance(member, LocalForecaster) and member.repeats_one else 0


def forecast(member: nn.Module, histories: Histories) -> torch.Tensor:
    """A member's forecasts [n, K, H] on the host, from histories or from the windows that end with them."""
    assert isinstance(member, Backbone)
    if member.reads_history:
        return member.from_histories(histories).cpu()
    numbers = torch.arange(len(histories)).split(BATCH)
    if not (isinstance(member, LinearForecaster) and member.own_units):
        return torch.cat([member(*histories.seen(some)).cpu() for some in numbers])
    spread = torch.from_numpy(histories.deviation().T[:, :, None]).float()
    parts = ((spread[some], *histories.seen(some)) for some in numbers)
    return torch.cat([member(*seen, spread=one.to(seen[0].device)).cpu() for one, *seen in parts])
