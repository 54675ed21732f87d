"""How much say each member of a blend of forecasts has, from what it forecast at backtests.

w ~ exp(-z / T),   z of many series: a quarter the channel's own log error, three quarters that of all channels;
                   of few: the log error as far as there are backtests, the rest what is usual for the member;
                   T what dates leave in doubt, where that is more than usual: the odds that the best one is not;
                   less than usual where many series plainly gain by it at dates that have no say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

MANY_SERIES = 15  # from which on series say enough about each other
OWN = 0.25  # the say of a channel beside all
FEW_APART, TRUST = 4, 1.0  # backtests without overlap; with so many the prior has TRUST times their say
TEMPERATURE, OF_FEW, COLDEST = 0.2, 0.15, 0.05  # of many series, and of few at most and at least
COLDER = (COLDEST, 0.1)  # than TEMPERATURE, of many series
LEAST_DATES, CLEAR = 3, 2.0  # left out one by one; standard errors by which a colder one must gain there
ODDS = 0.7  # of a standard error: the scale of the logistic law that is about as wide as that normal one
HOTTEST = 1.0  # however dates contradict each other, none with 20 times the best one's squared error has a say
TINY, TINY_SINGLE = 1e-300, 1e-30  # the latter in float32
NEGLIGIBLE = 0.001  # of the mean error, in an error at one backtest
HARDLY = 0.02  # of the error of repeating the last value, that a blend of many series must gain at least
LEAST = 0.05  # of the heaviest weight; members below it have no say


def errors(found: torch.Tensor, truth: torch.Tensor, rows: np.ndarray, series: int) -> np.ndarray:
    """The squared error [M, K] of each member, of each series in proportion to that of all members, mean over series.

    Of few series it is a geometric mean of that and, the more the fewer backtests there are, of mean absolute errors,
    squared, each in proportion to those of all members: else one wild stretch decides for all of them. Where a member
    could not be fitted, it counts as halfway (in logs) between itself elsewhere and the mean of all; infinite where it
    never could.

    Parameters
    ----------
    found : [M, b, K, H], what M members forecast at b backtests, NaN where they could not; truth : [b, K, H].
    rows : int64 [b], of each backtest. series : how many there are.
    """
    off = (found - truth).double().numpy()
    share = _shares((off**2).mean(axis=3), rows)
    if series >= MANY_SERIES:
        return share
    alike = 1 / (1 + _apart(len(rows) / len(np.unique(rows))))
    both: np.ndarray = share ** (1 - alike) * _each(np.abs(off).mean(axis=3) ** 2) ** alike
    return both


def _apart(tests: float) -> float:
    """How often FEW_APART backtests without a common step go into those of a series: neighbours share half of them."""
    return tests / 2 / FEW_APART


def _each(square: np.ndarray) -> np.ndarray:
    """Errors [M, b, K] over the geometric mean of the members at each backtest: the mean [M, K].

    NEGLIGIBLE of the mean error is added: of a stretch in which nothing changes, one member says nothing wrong.
    """
    made = np.isfinite(square)
    typical = np.where(made, square, 0).sum(axis=(0, 1)) / np.maximum(made.sum(axis=(0, 1)), 1)
    square = square + NEGLIGIBLE * typical + TINY
    usual = np.where(made, np.log(np.where(made, square, 1)), 0).sum(axis=0) / np.maximum(made.sum(axis=0), 1)
    ratio = np.where(made, square, 0) / np.exp(usual)
    count = made.sum(axis=1)
    elsewhere = ratio.sum(axis=1) / np.maximum(count, 1)
    found: np.ndarray = (ratio + ~made * np.sqrt(elsewhere)[:, None]).mean(axis=1)
    return np.where(count > 0, found, np.inf)


def _shares(square: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Errors [M, b, K] summed for each series, over the mean of the members there: the mean over series [M, K]."""
    found: np.ndarray = _relative(square, rows).sum(axis=1) / len(np.unique(rows))
    return found


def _relative(square: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Errors [M, b, K] over the mean of the members' sums in their series; infinite of members without any.

    Where a member has none, it counts as halfway (in logs) between itself elsewhere and the mean of all.
    """
    made = np.isfinite(square)
    usual = np.where(made, square, 0).sum(axis=0) / np.maximum(made.sum(axis=0), 1)
    elsewhere = np.where(made, square, 0).sum(axis=(1, 2)) / np.maximum(np.where(made, usual, 0).sum(axis=(1, 2)), TINY)
    square = np.where(made, square, usual * np.sqrt(elsewhere)[:, None, None])
    _, series = np.unique(rows, return_inverse=True)
    able, count = made.any(axis=(1, 2)), np.bincount(series)
    mean = square[able].mean(axis=0)
    total = np.stack([np.bincount(series, of) for of in mean.T], axis=1)  # [rows, K]
    share: np.ndarray = (square + TINY / count[series][:, None]) / (total + TINY)[series]
    share[~able] = np.inf
    return share


def doubt(found: torch.Tensor, truth: torch.Tensor, rows: np.ndarray, back: np.ndarray) -> np.ndarray:
    """The standard error [M] of each member's log error beside the best one's, from how it differs between dates.

    Series share what happens at a date, a holiday say: of backtests at four dates they tell what four tell, however
    many there are. Where dates agree, as they do of series that have nothing in common, it is near 0.

    Parameters
    ----------
    found, truth, rows : as for `errors`. back : int64 [b], which backtest of its series each is, the latest 0.
    """
    share = _relative(((found - truth).double().numpy() ** 2).mean(axis=3), rows).sum(axis=2)  # [M, b]
    able = np.isfinite(share).all(axis=1)
    dates, at, count = np.unique(back, return_inverse=True, return_counts=True)
    none = np.zeros(len(share))
    if len(dates) < 2 or not able.any():
        return none
    of = np.stack([np.bincount(at, one) for one in np.where(able[:, None], share, 1)])  # [M, dates]
    best = int(np.argmin(np.where(able, of.sum(axis=1), np.inf)))
    logs = np.log(of + NEGLIGIBLE * of[best].mean() + TINY)
    say = count / count.sum()
    beside = logs - logs[best]
    off = beside - (say * beside).sum(axis=1, keepdims=True)
    of_one = 1 / (1 - (say**2).sum())  # the variance of a date, without bias
    apart = (1 + 1 / (say**2).sum()) / 2  # neighbours share half of their steps
    error = np.sqrt((say * off**2).sum(axis=1) * of_one / apart)
    return np.where(able, error, none)


def temperature(found: torch.Tensor, truth: torch.Tensor, rows: np.ndarray, back: np.ndarray, series: int) -> float:
    """The least T of many series: one of COLDER where its blends are better at dates that had no say in their weights.

    One member may be better at all dates and nothing be gained by averages: the usual T then gives too much to others.

    Parameters
    ----------
    found, truth, rows, series : as for `errors`. back : as for `doubt`.
    """
    if series < MANY_SERIES:
        return TEMPERATURE
    there = torch.isfinite(found).all(dim=(2, 3)).any(dim=0).numpy()
    found, truth, rows, back = found[:, there], truth[there], rows[there], back[there]
    dates, tried = np.unique(back), (*COLDER, TEMPERATURE)
    if len(dates) < LEAST_DATES:
        return TEMPERATURE
    logs = np.array([_left_out(found, truth, rows, back, series, date, tried) for date in dates])
    beside = logs[:, :-1] - logs[:, -1:]
    gain = beside.mean(axis=0)
    clear = gain + CLEAR * beside.std(axis=0, ddof=1) / np.sqrt(len(dates)) < 0
    return tried[int(np.argmin(np.where(clear, gain, np.inf)))] if clear.any() else TEMPERATURE


def _left_out(
    found: torch.Tensor,
    truth: torch.Tensor,
    rows: np.ndarray,
    back: np.ndarray,
    series: int,
    date: int,
    tried: Sequence[float],
) -> list[float]:
    """The log error at a date of the blend by each T, with weights from all others: that of each series there, in
    proportion to that of all members."""
    kept, rest = back != date, back == date
    past = found[:, kept], truth[kept], rows[kept]
    error, doubted = errors(*past, series), doubt(*past, back[kept])
    said, came = found[:, rest], truth[rest]
    square = ((said - came) ** 2).mean(dim=3)  # [M, b, K]
    usual = square[torch.isfinite(square).all(dim=(1, 2))].mean(dim=0)
    logs = []
    for least in tried:
        weight = weights(error, (), 0, series, doubted, least)
        blend, _ = blended(said, torch.from_numpy(weight).float())
        own = ((blend - came) ** 2).mean(dim=2)
        logs.append(float(torch.log(((own + TINY_SINGLE) / (usual + TINY_SINGLE)).mean())))
    return logs


def weights(
    error: np.ndarray,
    usual: Sequence[float],
    tests: float,
    series: int,
    doubted: np.ndarray | None = None,
    least: float = TEMPERATURE,
    untested: Sequence[bool] = (),
) -> np.ndarray:
    """Weights [M, K] that sum to 1 over the members.

    Of those that no backtest shows, the errors are taken to be to the others' as they usually are.

    Parameters
    ----------
    error : [M, K]. usual : of each member, its log error as it usually compares.
    tests : backtests of a series. series : their number. doubted : of each member, its `doubt`; by default 0.
    least : T of many series at least, see `temperature`. untested : whether each is such a one; by default none is.
    """
    if any(untested):
        error = _as_usual(error, np.asarray(usual)[:, None], np.asarray(untested)[:, None])
    own = np.log(error)
    shared = np.log(error.mean(axis=1, keepdims=True))
    unsure = np.zeros(len(own)) if doubted is None else ODDS * doubted
    if series >= MANY_SERIES:
        z, warm = OWN * own + (1 - OWN) * shared, np.clip(unsure, least, HOTTEST)
    else:
        apart = _apart(tests)
        trust = apart**2 / (apart**2 + TRUST)
        z = trust * (own + shared) / 2 + (1 - trust) * np.asarray(usual)[:, None]
        warm = np.clip(np.maximum(TEMPERATURE / apart, unsure), COLDEST, OF_FEW)
    heavy = np.exp((z.min(axis=0) - z) / warm[:, None])
    heavy[heavy < LEAST] = 0
    found: np.ndarray = heavy / heavy.sum(axis=0)
    return found


def _as_usual(error: np.ndarray, usual: np.ndarray, untested: np.ndarray) -> np.ndarray:
    """Errors [M, K] with those of members that are `untested` [M, 1] where they usually are, by logs [M, 1]."""
    tested = np.isfinite(error).all(axis=1)
    level = (np.log(error) - usual)[tested].mean(axis=0) if tested.any() else 0.0
    return np.where(untested, np.exp(usual + level), error)


def simplest(weight: np.ndarray, found: torch.Tensor, truth: torch.Tensor, rows: np.ndarray, plain: int) -> np.ndarray:
    """The weights [M, K] of many series, or those of the member `plain` alone, where the blend is hardly better.

    Of a walk nothing is known but its last value, and an average of estimates is worse: less than HARDLY, within two
    standard errors over series, is not enough to prefer it.
    """
    blend, made = blended(found, torch.from_numpy(weight).float())
    made &= torch.isfinite(found[plain]).all(dim=(1, 2)).numpy()
    if not made.any():
        return weight
    _, series = np.unique(rows[made], return_inverse=True)
    squares = [((one - truth)[made] ** 2).double().numpy().mean(axis=2) for one in (blend, found[plain])]  # [b, K]
    own, other = (np.stack([np.bincount(series, of) for of in one.T]) + TINY for one in squares)
    gain = np.log(other / own).ravel()
    clear = min(HARDLY, 2 * gain.std() / np.sqrt(len(gain)))
    if gain.mean() > clear or np.log(other.sum() / own.sum()) > HARDLY:  # of counts, many are the last one: 0
        return weight
    alone = np.zeros_like(weight)
    alone[plain] = 1
    return alone


def blended(found: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
    """The blend [b, K, H] of what members forecast [M, b, K, H] by weights [M, K], each backtest by those that could be
    fitted there; and the mask [b] of where any could."""
    share = weight[:, None] * torch.isfinite(found).all(dim=3)
    total = share.sum(dim=0)
    blend = torch.einsum("mbk,mbkh->bkh", share / total, torch.nan_to_num(found))
    return blend, (total > 0).all(dim=1).numpy()
