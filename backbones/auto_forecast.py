"""A blend of forecasters for any kind of table: the default of forecasts.

Members that see the whole history of a series (classical rules, and regressions on windows of all series together) and
two that see the look-back. Each is tried at origins inside what comes before the scored part (backtests.py); of its
errors there, in proportion to those of all members, comes its weight (shares.py). Then all are fitted again to
everything before the scored part.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from backbones import ForecastSpec, Hyper, InputSpec, backbone_class, chronos2, names, pretrained_files, shares
from backbones.backtests import Backtests, Before, planned
from backbones.base import Backbone
from backbones.blend import RunBlend
from backbones.boosted_known import BoostedKnown
from backbones.chronos2 import ZeroShot
from backbones.counts import COST, share_left
from backbones.ensemble import Ensemble
from backbones.histories import Histories, HistoryFitting
from backbones.last_cycle import cycles_agree
from backbones.linear_forecaster import LinearForecaster
from backbones.season import seen_once, shows_season
from backbones.trials import Trials, by_itself, cycle_of, forecast
from errors import DataError, UsageError, nearest

log = logging.getLogger("tsrun")

# Members: (backbone, its arguments, how its log error usually compares, where a season shows).
Pool = tuple[tuple[str, dict[str, Any], float], ...]
POOL: Pool = (
    ("seasonal_naive", {"period": 1}, 0.35),
    ("seasonal_naive", {}, 0.25),
    ("seasonal_naive", {"second": True}, -0.11),
    ("theta", {}, 0.05),
    ("ets", {}, 0.0),
    ("ets", {"season": "multiplicative"}, 0.0),
    ("ets", {"log": True}, -0.03),
    ("ets", {"second": True}, -0.11),
    ("local", {}, -0.03),
    ("harmonic", {}, 0.03),
    ("harmonic", {"log": True}, 0.0),
    ("global_ridge", {}, -0.03),
    ("global_ridge", {"adjusted": True}, 0.0),
    ("boosted_lags", {}, 0.03),
    ("ridge", {}, 0.10),
    ("ridge_ensemble", {"refit": True}, 0.0),
    ("arima", {}, -0.10),
    ("mapa", {}, -0.05),
    ("pretrained_mlp", {}, -0.40),
    ("boosted_known", {}, 0.0),
    ("ridge", {"units": "data"}, 0.10),
    ("last_cycle", {}, -0.10),
    ("last_cycle", {"second": True}, 0.0),
)
# The same where none shows, in the order of the pool.
PRIORS = (
    *(0.30, 0.30, -0.11, 0.08, -0.25, -0.05, -0.02, -0.11, -0.05),
    *(0.02, 0.12, 0.12, 0.05, 0.03, 0.15, 0.12, -0.10, -0.05, -0.40, 0.05, 0.15, -0.10, 0.0),
)
WITHOUT_SEASON = {str(entry[:2]): prior for entry, prior in zip(POOL, PRIORS, strict=True)}
LAST = POOL[0][:2]  # the last value, repeated
# The prior of a member where a cycle has been seen once, and what is known of the next is like it as far as the second
# of these says; up to the first it has that of series without a season.
ONE_CYCLE, AGREE = (str(("last_cycle", {})), -0.80), (0.2, 0.6)
UNITS = "units"  # an argument that the pool alone knows: "data" for a fit in which the largest of many series decide
RUN = 0.0  # the usual log error of a run, of which nothing is known
FROM_DIRECTORY: Pool = (("chronos2", {}, 0.0),)  # with --pretrained-dir, beside those of the pool or named


class AutoForecast(Backbone):
    """Members in `members`; `weight` [m, K] says how much of each goes into the forecast of each target, `left` [K]
    which share of that, counted from the data's zero, which is at `-level` [K]. `own_units` [m] notes which of them
    forecast in units of a history's deviation."""

    forecasts = True
    reads_history = True
    reads_known = True
    reads_marks = True
    closed_form = True
    heads = ("forecast",)
    forecast: ForecastSpec
    left: torch.Tensor
    level: torch.Tensor
    own_units: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.forecast.refuse_quantiles("auto", "forecasts one value a step")
        self.inputs = inputs
        runs: Pool = tuple(("ensemble", {"run": i}, RUN) for i in range(len(inputs.members)))
        self.entries = _pool(hyper.members, len(runs)) + runs + FROM_DIRECTORY * (inputs.pretrained is not None)
        self.members = nn.ModuleList(self._blank(i) for i in range(len(self.entries)))
        count, targets = len(self.entries), len(self.forecast.targets)
        self.weight = nn.Parameter(torch.full((count, targets), 1 / count))
        self.register_buffer("left", torch.ones(targets))
        self.register_buffer("level", torch.zeros(targets))
        self.register_buffer("own_units", torch.zeros(count))

    def _blank(self, i: int) -> Backbone:
        """A member that knows nothing yet."""
        name, args, _ = self.entries[i]
        if "run" in args:  # a run in an ensemble of its own: on its own scale and look-back
            return Ensemble(replace(self.inputs, members=(self.inputs.members[args["run"]],)), Hyper(name))
        args = {key: value for key, value in args.items() if key != UNITS}
        kind = ZeroShot if self.entries[i] in FROM_DIRECTORY else backbone_class(name)
        inputs = replace(self.inputs, members=())
        if kind.reads_history:  # it sees the past of the targets alone
            inputs = replace(inputs, forecast=replace(self.forecast, marks=0, covariates=0))
        return kind.build(inputs, Hyper(name, args))

    @property
    def runs(self) -> Sequence[nn.Module]:
        return [run for member in self.members if isinstance(member, RunBlend) for run in member.runs]

    @classmethod
    def load_pretrained(cls, inputs: InputSpec, hyper: Hyper, directory: str) -> AutoForecast:
        """A blend with a member whose weights are those of a directory."""
        described, weights = chronos2.describe(directory), pretrained_files.read_weights(directory)
        model = pretrained_files.construct(lambda: cls(replace(inputs, pretrained=described), hyper))
        for member in model.members:
            if isinstance(member, ZeroShot):
                pretrained_files.load_strict(member.core, weights, directory)
        return model

    # --- forecasts ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def from_histories(self, histories: Histories) -> torch.Tensor:
        """The weighted mean of the members' forecasts [n, K, H]."""
        made = torch.zeros(len(histories), len(self.forecast.targets), self.forecast.horizon)
        for member, say in zip(self.members, self._says(histories), strict=True):
            if say.any():
                made += say[:, :, None] * forecast(member, histories)
        return self._drawn(made)

    def _says(self, histories: Histories) -> torch.Tensor:
        """How much of each member goes into each forecast [m, n, K]: its weight.

        Of a history without the one cycle that a member repeats, the others have its say too: they know more than the
        last value, which is all that it has then.
        """
        weight = self.weight.detach().cpu()[:, None]
        known = torch.from_numpy(histories.lengths.T)
        able = torch.stack([known >= cycle_of(member) for member in self.members])
        left = weight * able
        total = left.sum(dim=0)
        whole = (able | (weight == 0)).all(dim=0)
        return torch.where(whole | (total == 0), weight, left / total)

    def _drawn(self, made: torch.Tensor) -> torch.Tensor:
        """Blends [n, K, H] of counts that are mostly zero, drawn towards it; others as they are."""
        left, level = self.left.to(made.device), self.level.to(made.device)
        return made * left[:, None] + ((left - 1) * level)[:, None]

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        """The same of windows, with the look-back for the history."""
        parts = [
            weight[None, :, None] * member(x, known)
            for member, weight in zip(self.members, self.weight, strict=True)
            if weight.any()
        ]
        return self._drawn(torch.stack(parts).sum(dim=0))

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        """Tell members whether they forecast in a history's own units; those of before there was such a note do not."""
        own = state.setdefault(f"{prefix}own_units", torch.zeros_like(self.own_units))
        for member, units in zip(self.members, own.tolist(), strict=False):  # other sizes are refused below
            if isinstance(member, LinearForecaster):
                member.own_units = bool(units)
        super()._load_from_state_dict(state, prefix, *args)

    # --- what is learned ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def fit_histories(self, data: HistoryFitting) -> dict[str, Any]:
        """Try the members, weigh them, fit them again. Returns members, weights and errors."""
        with _one_thread():
            return self._fit_histories(data)

    def _fit_histories(self, data: HistoryFitting) -> dict[str, Any]:
        before = data.before
        assert before is not None
        if data.settled:  # with the weights that they have
            self._fit(before, before.end, data.seed)
            return {"fitted_to": "everything"}
        series = len(np.unique(before.rows)) * len(self.forecast.targets)
        many = series >= shares.MANY_SERIES
        tests = planned(before, many, late=bool(self.inputs.members))
        asked, rows = before.histories.part(tests.numbers), before.rows[tests.numbers]
        trials = Trials(
            [name for name, *_ in self.entries],
            [self._label(i) for i in range(len(self.entries))],
            self.members,
            lambda i, cut: self._fitted(i, before, cut, data.seed),
            shown=(shown := shows_season(data.train)),
        )
        found = trials.run(data, before, tests, asked)
        truth = asked.labels(torch.arange(len(asked))).cpu()
        error = shares.errors(found, truth, rows, series)
        usual = self._usual(before, shown)
        weight = self._weighed(error, found, truth, rows, tests, usual, trials.untested, series)
        self.weight.data.copy_(torch.from_numpy(weight))
        blend, made = shares.blended(found, torch.from_numpy(weight).float())
        if many:
            self._draw(blend[made], truth[made], asked.level)
        told: dict[str, Any] = {
            "series": series,
            "backtests": len(tests.numbers),
            "fitted_to": "all that comes before the scored part",
        }
        if (tests.short or not many) and made.any():
            told["tried"] = (tests.numbers[made], self._drawn(blend[made]), tests.short)
        if data.refit:  # by members that have not seen validation
            self._fit(before, before.val_from, data.seed)
            told["held_out"] = self.from_histories(data.val)
            self.weight.data.copy_(torch.from_numpy(weight))
        self._fit(before, before.end, data.seed)
        return {"members": self._told(weight, error, trials.seconds)} | told | self._left(trials)

    def _weighed(
        self,
        error: np.ndarray,
        found: torch.Tensor,
        truth: torch.Tensor,
        rows: np.ndarray,
        tests: Backtests,
        usual: Sequence[float],
        untested: Sequence[bool],
        series: int,
    ) -> np.ndarray:
        """The weights of the members, [M, K], by their forecasts of backtests.

        Parameters
        ----------
        error, found, truth, rows : as in shares.py.
        tests : the backtests.
        usual, untested : of each member, its usual log error, and whether no backtest shows what it will do.
        series : how many there are.
        """
        doubted = shares.doubt(found, truth, rows, tests.back)
        least = shares.temperature(found, truth, rows, tests.back, series)
        each = len(tests.numbers) * len(self.forecast.targets) / series
        weight = shares.weights(error, usual, each, series, doubted, least, untested)
        plain = [i for i, (name, args, _) in enumerate(self.entries) if (name, args) == LAST]
        if series >= shares.MANY_SERIES and plain:
            weight = shares.simplest(weight, found, truth, rows, plain[0])
        if assumed := [self._label(i) for i, one in enumerate(untested) if one and weight[i].any()]:
            log.info(
                "auto: no backtest has as much before it as %s asks for, whose weight is the usual one",
                " or ".join(assumed),
            )
        return weight

    def _usual(self, before: Before, shown: bool) -> list[float]:
        """Of each member its log error as it usually compares: that hangs on whether training shows a season, or has
        not seen enough to."""
        others = {} if shown else WITHOUT_SEASON
        if not shown and seen_once(before.histories, before.end[before.rows]):
            name, prior = ONE_CYCLE
            agrees = np.clip((cycles_agree(before.histories) - AGREE[0]) / (AGREE[1] - AGREE[0]), 0, 1)
            others = others | {name: agrees * prior + (1 - agrees) * others[name]}
        return [others.get(str(entry[:2]), entry[2]) for entry in self.entries]

    def _told(self, weight: np.ndarray, error: np.ndarray, seconds: Sequence[float]) -> dict[str, Any]:
        """Weight, error and time of each member, for the summary."""
        return {
            self._label(i): {
                "weight": float(weight[i].mean()),
                "error": float(error[i].mean()) if np.isfinite(error[i]).all() else None,
                "seconds": round(seconds[i], 2),
            }
            for i in range(len(self.entries))
        }

    def _left(self, trials: Trials) -> dict[str, Any]:
        """Who was left out, and how much of forecasts is left of what is often 0."""
        found = {"left_out": trials.left_out} if trials.left_out else {}
        return found | ({"left_of_counts": self.left.tolist()} if (self.left < 1).any() else {})

    def _draw(self, blend: torch.Tensor, truth: torch.Tensor, level: np.ndarray) -> None:
        """Choose by backtests [b, K, H] how much is left of forecasts of what is often 0; told once."""
        self.level.copy_(torch.from_numpy(level))
        for k, zero in enumerate(level.tolist()):
            pred, came = (part[:, k].double().numpy() + zero for part in (blend, truth))
            self.left[k] = share_left(pred, came)
        if drawn := sorted(left for left in self.left.tolist() if left < 1):
            many = f"{len(drawn)} of {len(level)} channels are" if len(level) > 1 else "values are"
            shares = " to ".join(f"{left:.2f}" for left in dict.fromkeys((drawn[0], drawn[-1])))
            log.info(
                "%s often 0: these forecasts are multiplied by %s, which in backtests is nearer to what comes most "
                "often, at no more than %.0f %% of squared error",
                *(many, shares, 100 * (COST - 1)),
            )

    def _fit(self, before: Before, cut: np.ndarray, seed: int) -> None:
        """Fit all members that have a weight to what ends at `cut` [N]; those with too little to fit on lose it."""
        for i in range(len(self.entries)):
            if self.weight[i].any() and not self._fitted(i, before, cut, seed):
                self.weight.data[i] = 0
        self.weight.data /= self.weight.data.sum(dim=0)

    def _fitted(self, i: int, before: Before, cut: np.ndarray, seed: int) -> bool:
        """Fit a member; False where there is too little. What a ridge regression chose on, it is fitted to as well.

        Rules that each series estimates for itself at every origin learn nothing but periods, from all that is there.
        """
        there = self.members[i]
        if isinstance(there, RunBlend):  # as it is
            return True
        member = there if isinstance(there, ZeroShot) else self._blank(i)
        if member.reads_history:
            alone = by_itself(member)
            data = before.fitting(before.end if alone else cut, seed, choose=not alone)
            if not len(data.train):
                return False
            member.fit_histories(data)
        else:
            try:
                member = self._of_windows(i, before, cut, seed)
            except DataError:
                return False
        self.members[i] = member.to(self.weight.device)
        return True

    def _of_windows(self, i: int, before: Before, cut: np.ndarray, seed: int) -> Backbone:
        """A member that sees the look-back, fitted to rows whose targets are each in units of their own deviation.

        What a day of the calendar, a price or another channel adds is found in these units, and so forecast: it is a
        share of what is usual in a row, rather than as much in small rows as in large ones. One member of many series
        is fitted in the units of the data: it errs least where squared errors of all rows together are large.
        """
        member, rows = self._blank(i), len(np.unique(before.rows))
        of_data = UNITS in self.entries[i][1]
        if of_data and (rows == 1 or rows * len(self.forecast.targets) < shares.MANY_SERIES):
            raise DataError("there are not many series of different size", where="ridge units=data")
        if isinstance(member, BoostedKnown) and self._alone:
            raise DataError("nothing is known beside the targets", where="boosted_known")
        if not isinstance(member, LinearForecaster):
            member.fit(*before.fitting(cut, seed, scaled=self._alone).stretches())
            return member
        member.refits = True
        member.fit(*before.fitting(cut, seed, scaled=not of_data, others=member.others).stretches())
        beside = any(part is not None for part in (member.calendar, member.impulse, member.past))
        member.own_units = beside and rows > 1 and not of_data
        self.own_units[i] = member.own_units
        return member

    @property
    def _alone(self) -> bool:
        """Whether nothing but the targets is seen."""
        return self.forecast.covariates == 0 and len(self.forecast.targets) == self.inputs.channels

    def _label(self, i: int) -> str:
        """The name of a member, with the arguments that set it apart."""
        name, args, _ = self.entries[i]
        if "run" in args:
            return f"{args['run'] + 1}: {self.inputs.members[args['run']]}"
        return _label(name, args)


def runs_in(given: str) -> list[str]:
    """Of the members that are named, the directories."""
    return [name for name, _ in _named(given) if name.split()[0] not in names() and Path(name).is_dir()]


def spelled(given: str) -> str:
    """The members that are named, or meant, with their arguments: what a checkpoint keeps, so that pools may change."""
    runs = runs_in(given)
    return ",".join([*(_label(name, args) for name, args, _ in _pool(given, len(runs))), *runs])


def _label(name: str, args: dict[str, Any]) -> str:
    """The name of a member, with the arguments that set it apart."""
    return " ".join([name, *(f"{key}={value}" for key, value in args.items())])


def _named(given: str) -> list[tuple[str, bool]]:
    """The members that are named, and whether there is a `+` before each."""
    parts = [name.strip() for name in given.split(",") if name.strip()]
    return [(name.removeprefix("+"), name.startswith("+")) for name in parts]


def _pool(given: str, runs: int) -> Pool:
    """The members but for `runs` directories: those that were named, or all, also where each has a `+` before it.

    A backbone's name alone is that with the fewest arguments; `ets log=True` names one of several.
    """
    usual = {name: (name, args, prior) for name, args, prior in sorted(POOL, key=lambda entry: -len(entry[1]))}
    usual |= {_label(name, args).casefold(): (name, args, prior) for name, args, prior in POOL}
    asked = _named(given)
    others = [name for name, _ in asked if name.casefold() not in usual]
    if len(others) > runs:
        able = list(dict.fromkeys(name for name, _, _ in POOL))
        wrong = next((name for name in others if not Path(name).is_dir()), others[0])
        hint = nearest(wrong, able) or f"for forecasts take {', '.join(able)}, or directories of finished runs"
        raise UsageError(f"{wrong!r} cannot be blended here", where="--model-args members", hint=hint)
    if all(beside for _, beside in asked):
        return POOL
    return tuple(usual[name.casefold()] for name, _ in asked if name.casefold() in usual)


@contextmanager
def _one_thread() -> Iterator[None]:
    """In its block everything takes one thread: many small systems are solved, and threads that meet after each of them
    wait for each other, a hundred times as long as they work where other programs run beside them.
    """
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
