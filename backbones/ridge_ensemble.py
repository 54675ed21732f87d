"""A weighted mean of ridge regressions, folded into one matrix per channel; the default forecaster.

`x [B, C, T] -> [B, K, H]`. The members differ in look-back, in centring (the last value, or the mean of the last
cycle) and in what a weight is pulled towards and how strongly:

- "aged": to 0, inputs that are `age` steps old by `(1 + age / 7 cycles)^2` times as much as the last;
- "plain": to 0, all inputs alike;
- "folded": to a map between cycles that all phases share (as in SparseTSF, Lin et al. 2024, arXiv 2405.00946,
  section 3), itself a ridge regression of sums of blocks of the same Gram matrix;
- by channel: to what some of these members found for all channels.

The weights come from folds: members are fitted on the first half, on three quarters and on all of training, and scored
on the quarter that follows, and on validation. In each channel the weight of a member is exp(-(s - min s) / T),
where s is the mean of its log MSE over the folds: a fold that is hard for all members does not decide alone. One whose
MSE on validation is above twice the least there has no say.

A penalty counts per window. It mainly guards against new windows that differ from those of training, and that
difference does not shrink as training grows. Where windows are few, their errors tell members apart less well: T rises
from 0.03 to 0.2, weaker penalties are tried too, and half of training is too little to be a fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from backbones import Hyper, InputSpec, register
from backbones.blend import describe
from backbones.covariates import Own
from backbones.gram import Pieces, Squares, count, errors, gram, squares, uncentred
from backbones.linear_forecaster import MOST_MATRICES, LinearForecaster
from backbones.period import period_of_pieces
from errors import DataError

HYPER = {
    "refit": {"default": False, "help": "after weighing, fit the members on training and validation together"},
}
SPACE = {"only": True}  # nothing to search: with `refit`, validation would score what was fitted on it

LOOKBACKS = (168, 336, 512, 720)
CYCLE = 24  # steps, where the data have no period
AGING = 7  # cycles
# Strengths of penalties for standardised data, per window: 1e3, 1e4 and 1e5 were found on 60,000.
AGED = tuple(s / 6e4 for s in (1e3, 1e4, 1e5))
PLAIN = tuple(s / 6e4 for s in (1e4, 1e5))
FOLDED = tuple(s / 6e4 for s in (1e4, 1e5))
WEAK = tuple(s / 6e4 for s in (30, 180))  # tried beside them where training has fewer than MANY windows
MANY = 10_000
FOLD = 10 / 6e4  # of the map between cycles
BY_CHANNEL = tuple(s / 6e4 for s in (7e4, 7e5))
BY_CHANNEL_OF = (("aged", AGED[1]), ("folded", FOLDED[1]))  # the members that channels correct
SHARES = (1 / 2, 3 / 4)  # of training, that the folds before validation are fitted on
LEAST_HALF = 300  # windows in the first half of training, below which it is no fold
TEMPERATURE = 0.03  # in log MSE, where windows are many
HIGHEST_TEMPERATURE, FEW = 0.2, 300  # windows up to which it is that high; it falls with the root of their number
WORST = float(np.log(2))  # log MSE on validation above the least there, from which a member has no say
EXACT = 1e-9  # of the worst member's MSE: no error at all
LEAST_WEIGHT = 0.01  # of the heaviest member's; lighter ones are dropped


@dataclass(frozen=True)
class Member:
    """One ridge regression: inputs, inputs averaged for the level, what it is pulled to, penalty per window."""

    lookback: int
    centre: int
    kind: str
    strength: float
    channel_penalty: float = 0.0  # on the correction of one channel; 0: no correction

    def __str__(self) -> str:
        channel = f", by channel {self.channel_penalty:.3g}" if self.channel_penalty else ""
        return f"{self.lookback} inputs less the last {self.centre}, {self.kind} {self.strength:.3g}{channel}"


@dataclass(frozen=True)
class Fold:
    """Where members are fitted and where scored: pieces that start `context` steps before their first target."""

    fit: Pieces
    score: Pieces
    context: int


@register
class RidgeEnsemble(LinearForecaster):
    """One matrix for each channel, or one for all if there are more than 32."""

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        assert inputs.forecast is not None
        wanted = len(inputs.forecast.targets)
        super().__init__(inputs, hyper, matrices=wanted if wanted <= MOST_MATRICES else 1)
        self.refits = hyper.refit

    def solve(self, train: Pieces, val: Pieces, both: Pieces) -> tuple[dict[str, Any], Own]:
        """Score, weigh and add up the members; tells their number, the period, and the MSE of the heaviest one."""
        horizon = self.forecast.horizon
        lookbacks = _lookbacks(train, self.length, horizon)
        context = lookbacks[-1]
        folds = _folds(train, [piece[:, self.length - context :] for piece in val], context, horizon)
        period = period_of_pieces(train, max(self.length // 2, 1), self.forecast.periods)
        groups = len(self.weight)
        windows = count(train, context + horizon)
        members = _members(lookbacks, period, by_channel=groups > 1, weak=WEAK if windows < MANY else ())
        temperature = _temperature(windows)
        scores = [_score(fold, members, horizon, period, groups) for fold in folds[:-1]]
        last, whole = _score_and_sum(folds[-1], members, scores, temperature, horizon, period, groups)
        scores.append(last)
        weights = _weigh({one: [score[one] for score in scores] for one in members}, temperature)
        if self.refits or folds[-1].fit is not train:
            whole = _sum(both if self.refits else train, weights, horizon, period)
        self.set_weight(whole)
        heaviest = max(weights, key=lambda one: weights[one].mean())
        found = {
            "candidates": len(members),
            "period": period,
            "lookbacks": lookbacks,
            "fold_mse": [float(score[heaviest].mean()) for score in scores],
            "refit": self.refits,
        }
        aged = Member(heaviest.lookback, heaviest.centre, "aged", AGED[1])
        return describe(weights) | found, Own(aged.lookback, aged.centre, aged.strength * _ages(aged, period))


def _lookbacks(train: Pieces, length: int, horizon: int) -> list[int]:
    """The look-backs whose windows fit into the first half of training, so that there are folds, or else into it."""
    fitting = [n for n in LOOKBACKS if n <= length]
    if len(fitting) < 2:
        fitting = sorted({max(length * quarter // 4, 1) for quarter in (1, 2, 3, 4)})
    for part in (_first(train, SHARES[0]), train):
        found = [n for n in fitting if count(part, n + horizon)]
        if found:
            return found
    raise DataError(
        f"no window of {fitting[0]} + {horizon} steps fits into a stretch of the training part",
        where="ridge_ensemble",
        hint="shorten --horizon or --context-len, or give longer series",
    )


def _folds(train: Pieces, val: Pieces, context: int, horizon: int) -> list[Fold]:
    """The folds inside training that have windows, and validation. A piece of `val` starts `context` steps early."""
    width = context + horizon
    shares = SHARES if count(_first(train, SHARES[0]), width) >= LEAST_HALF else SHARES[1:]
    folds = [Fold(_first(train, share), _after(train, share, context), context) for share in shares]
    folds.append(Fold(train, val, context))
    folds = [fold for fold in folds if count(fold.fit, width) and count(fold.score, width)]
    if not folds:
        raise DataError(
            f"no window of {context} + {horizon} steps is left to score the members on",
            where="ridge_ensemble",
            hint="enlarge validation, or shorten --horizon",
        )
    return folds


def _first(pieces: Pieces, share: float) -> Pieces:
    """The beginnings of all pieces."""
    return [piece[:, : int(share * piece.shape[1])] for piece in pieces]


def _after(pieces: Pieces, share: float, context: int) -> Pieces:
    """The quarters of all pieces that follow their beginnings, with the context of the first target."""
    ends = [(int(share * piece.shape[1]), int((share + 1 / 4) * piece.shape[1])) for piece in pieces]
    return [piece[:, max(start - context, 0) : end] for piece, (start, end) in zip(pieces, ends, strict=True)]


def _members(lookbacks: Sequence[int], period: int, by_channel: bool, weak: tuple[float, ...] = ()) -> list[Member]:
    """Every member that the look-backs allow, `weak` strengths too; folded ones need two cycles of a period."""
    members = []
    for lookback in lookbacks:
        kinds = [("aged", s) for s in weak + AGED] + [("plain", s) for s in weak + PLAIN]
        if period > 1 and lookback >= 2 * period:
            kinds += [("folded", s) for s in weak + FOLDED]
        for centre in sorted({1, min(_cycle(period), lookback)}):
            members += [Member(lookback, centre, *kind) for kind in kinds]
            members += [
                Member(lookback, centre, *kind, s)
                for kind in kinds
                for s in BY_CHANNEL
                if by_channel and kind in BY_CHANNEL_OF
            ]
    return members


def _cycle(period: int) -> int:
    return period if period > 1 else CYCLE


def _sums_of(pieces: Pieces, horizon: int) -> Callable[[int | None, int, int], Squares]:
    """A function of channel (None: all), look-back and centring: the sums over the windows of `pieces`.

    The latest Gram matrix and sums are kept, so that asking in order builds each once.
    """

    @lru_cache(maxsize=1)
    def whole(channel: int | None, width: int) -> tuple[np.ndarray, int]:
        rows = pieces if channel is None else [piece[channel : channel + 1] for piece in pieces]
        return gram(rows, width), count(rows, width)

    @lru_cache(maxsize=1)
    def sums(channel: int | None, lookback: int, centre: int) -> Squares:
        return squares(*whole(channel, lookback + horizon), horizon, centre)

    return sums


def _solve(
    pieces: Pieces, members: Iterable[Member], horizon: int, period: int
) -> Iterator[tuple[Member, int | None, np.ndarray]]:
    """Fit `members`; yields each with the channel it serves (None: all) and its weight `[L, H]` for centred windows.

    The members that corrections by channel start from are fitted too, and yielded if they are among `members`.
    """
    wanted = list(members)
    by_channel = [one for one in wanted if one.channel_penalty]
    corrected = {replace(one, channel_penalty=0.0) for one in by_channel}
    bases: dict[Member, np.ndarray] = {}
    sums_of = _sums_of(pieces, horizon)
    for alike in _by_penalty(replace(one, channel_penalty=0.0) for one in wanted):
        sums = sums_of(None, alike[0].lookback, alike[0].centre)
        for one, weight in zip(alike, _fit(alike, sums, period), strict=True):
            if one in corrected:
                bases[one] = weight
            if one in wanted:
                yield one, None, weight
    for channel in range(len(pieces[0]) if by_channel else 0):
        for one in by_channel:
            sums = sums_of(channel, one.lookback, one.centre)
            penalty = one.channel_penalty * sums.n * _ages(one, period)
            yield one, channel, sums.fit(penalty, bases[replace(one, channel_penalty=0.0)])


def _by_penalty(members: Iterable[Member]) -> Iterable[list[Member]]:
    """The members, each once, those together that one factor serves: of the same inputs under the same penalty."""
    found: dict[tuple[int, int, bool, float], list[Member]] = {}
    for one in dict.fromkeys(members):
        found.setdefault((one.lookback, one.centre, one.kind == "aged", one.strength), []).append(one)
    return found.values()


def _fit(alike: Sequence[Member], sums: Squares, period: int) -> list[np.ndarray]:
    """The weights `[L, H]` of shared members that have one penalty."""
    bases = [_between_cycles(sums, period) if one.kind == "folded" else None for one in alike]
    return sums.fits(alike[0].strength * sums.n * _ages(alike[0], period), bases)


def _ages(one: Member, period: int) -> np.ndarray:
    """The penalty of each input relative to the last one `[L]`."""
    if one.kind != "aged":
        return np.ones(one.lookback)
    return (1 + np.arange(one.lookback)[::-1] / (AGING * _cycle(period))) ** 2


def _between_cycles(sums: Squares, period: int) -> np.ndarray:
    """The ridge regression `[L, H]` in which a target sees the inputs of its own phase, by weights all phases share.

    The oldest L mod p inputs get none. A horizon that ends within a cycle has its last block fitted on the phases that
    it has.
    """
    lookback, horizon = sums.xy.shape
    cycles, whole = lookback // period, horizon - horizon % period
    start = lookback - cycles * period
    xx = sums.xx[start:, start:].reshape(cycles, period, cycles, period)
    weight = np.zeros((lookback, horizon))
    for first, last in ((0, whole), (whole, horizon)):
        if first == last:
            continue
        phases = np.arange(min(period, last - first))
        xy = sums.xy[start:, first:last].reshape(cycles, period, -1, len(phases))
        n = sums.n * len(phases)
        folded = Squares(n, xx[:, phases, :, phases].sum(axis=0), xy[:, phases, :, phases].sum(axis=0), yy=0.0)
        spread = np.zeros_like(xy)
        spread[:, phases, :, phases] = folded.fit(np.full(cycles, FOLD * n))
        weight[start:, first:last] = spread.reshape(cycles * period, -1)
    return weight


def _score(fold: Fold, members: Sequence[Member], horizon: int, period: int, groups: int) -> dict[Member, np.ndarray]:
    """The MSE `[groups]` of each member over the windows and steps that the fold scores, by channel or of all."""
    mse = {one: np.zeros(groups) for one in members}
    for one, serving, _, found in _scored(fold, members, horizon, period, groups):
        mse[one][serving] = found
    return mse


def _score_and_sum(
    fold: Fold,
    members: Sequence[Member],
    before: Sequence[Mapping[Member, np.ndarray]],
    temperature: float,
    horizon: int,
    period: int,
    groups: int,
) -> tuple[dict[Member, np.ndarray], np.ndarray]:
    """`_score` of the last fold, and the weighted sum `[groups, L, H]` of what was fitted for it.

    Nothing is fitted twice: the members of one channel are held until all of them are scored, the shared ones to the
    end. `before` are the scores of the other folds.
    """
    mse = {one: np.zeros(groups) for one in members}
    total = np.zeros((groups, max(one.lookback for one in members), horizon))
    shared: dict[Member, np.ndarray] = {}
    for serving, alike in groupby(_scored(fold, members, horizon, period, groups), key=itemgetter(1)):
        maps = dict(shared)
        for one, _, raw, found in alike:
            maps[one], mse[one][serving] = raw, found
        if len(serving) > 1:
            shared = maps  # the channels' own follow
            continue
        scores = {one: [score[one][serving] for score in (*before, mse)] for one in maps}
        for one, weight in _weigh(scores, temperature).items():
            total[serving, -one.lookback :] += weight * maps[one]
    return mse, total


def _scored(
    fold: Fold, members: Sequence[Member], horizon: int, period: int, groups: int
) -> Iterator[tuple[Member, range, np.ndarray, np.ndarray]]:
    """Each member as `_solve` has it: with the groups that it serves, its map of raw windows, and its MSE in them."""
    by_group = [fold.score] if groups == 1 else [[piece[k : k + 1] for piece in fold.score] for k in range(groups)]
    width = fold.context + horizon
    grams = [gram(rows, width) for rows in by_group]
    n = count(by_group[0], width)

    @lru_cache(maxsize=groups)
    def judge(group: int, lookback: int) -> Squares:
        """Part of the sums of the widest windows: members of every look-back are scored on the same targets."""
        newest = slice(-lookback - horizon, None)
        return squares(grams[group][newest, newest], n, horizon, centre=0)

    for one, channel, weight in _solve(fold.fit, members, horizon, period):
        serving = range(groups) if channel is None else range(channel, channel + 1)
        raw, judges = uncentred(weight, one.centre), [judge(group, one.lookback) for group in serving]
        yield one, serving, raw, np.array(errors(raw, judges)) / (n * horizon)


def _temperature(windows: int) -> float:
    """The T of the weights, from the number of training windows."""
    return float(np.clip(HIGHEST_TEMPERATURE * np.sqrt(FEW / max(windows, 1)), TEMPERATURE, HIGHEST_TEMPERATURE))


def _weigh(mse: Mapping[Member, Sequence[np.ndarray]], temperature: float = TEMPERATURE) -> dict[Member, np.ndarray]:
    """Weights `[groups]` that sum to 1 over the members, from the MSE in each fold; without those that have none.

    The last fold is validation.
    """
    found = np.array(list(mse.values()))  # [members, folds, groups]
    # Rounding must not decide where many members forecast without error, such as a constant channel.
    least = np.maximum(EXACT * found.max(axis=0), np.finfo(np.float64).tiny)
    logs = np.log(np.maximum(found, least))
    heard = logs[:, -1] <= logs[:, -1].min(axis=0) + WORST
    score = np.where(heard, logs.mean(axis=1), np.inf)
    heavy = np.exp((score.min(axis=0) - score) / temperature)
    heavy[heavy < LEAST_WEIGHT] = 0
    heavy /= heavy.sum(axis=0)
    return {one: weight for one, weight in zip(mse, heavy, strict=True) if weight.any()}


def _sum(pieces: Pieces, weights: Mapping[Member, np.ndarray], horizon: int, period: int) -> np.ndarray:
    """The weighted sum of members fitted on `pieces`, as maps `[groups, L, H]` of windows as they are."""
    groups = len(next(iter(weights.values())))
    total = np.zeros((groups, max(one.lookback for one in weights), horizon))
    for one, channel, weight in _solve(pieces, weights, horizon, period):
        served = slice(None) if channel is None else channel
        total[served, -one.lookback :] += weights[one][served, None, None] * uncentred(weight, one.centre)
    return total
