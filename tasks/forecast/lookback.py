"""The look-back and the horizon of a forecast where they are not given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import windows
from backbones import ForecastSpec, Hyper, InputSpec, backbone_class
from backbones.period import period_of_pieces
from backbones.seasonality import some
from config import RunConfig
from data import Series
from errors import DataError
from splits import FEW_WINDOWS, NAMES
from tasks import planned
from tasks.targets import Targets

log = logging.getLogger("tsrun")
PERIODS = (3, 2, 1)  # of the season, that a look-back has
LONG = 20  # times as long as a longer season of the calendar: that one is looked back on too
MOST = 720  # steps
LEAST = 8  # horizons in a series, with fewer of which one that was not given is shortened: one test window is chance
SHARE, PART = 2, 6  # of the horizon, and of the series, that it then is: the shorter one
FEW_ROWS = 0.05  # may be too short for a window
FACTORS = (1, 2, 4, 8)  # horizons, look-backs to try where there is no season
ASKED = 64  # series, and channels of them, that such are tried on, spread evenly over all


def settings(targets: Targets, series: Series, config: RunConfig, horizon: int) -> dict[str, Any]:
    """{"horizon", "context_len"}, as far as they are not given; told."""
    found: dict[str, Any] = {}
    if "horizon" not in config.given and LEAST * horizon > int(series.lengths.max()):
        found["horizon"] = max(min(int(np.median(series.lengths)) // PART, horizon // SHARE), 1)
        log.warning(
            "warning: the series are short for a horizon of %d steps: %d are forecast; --horizon sets another",
            *(horizon, found["horizon"]),
        )
        horizon = found["horizon"]
    if config.context_len is None:
        length = _of_training(series.lengths, config, horizon)
        spans = zip(series.offsets.tolist(), length.tolist(), strict=False)
        pieces = [targets.values[:, begin : begin + n] for begin, n in spans]
        calendar = () if series.clock is None else series.clock.periods
        short = int(np.quantile(series.lengths, FEW_ROWS))
        choose = partial(look_back, pieces, int(np.median(length)), horizon, calendar, short)
        smallest = partial(_smallest_part, targets, series, config, horizon)
        found["context_len"], why = _with_windows(choose, smallest)
        log.info("look-back: %d steps, %s; --context-len sets another", found["context_len"], why)
    return found


def _of_training(lengths: np.ndarray, config: RunConfig, horizon: int) -> np.ndarray:
    """About how many steps of each row are training's, int64 [N]: parts in time have at least a horizon."""
    if config.split_mode == "group":
        return lengths
    ratios = [ratio for ratio in (config.val_ratio, config.test_ratio) if ratio]
    left = lengths - sum(np.maximum(ratio * lengths, horizon) for ratio in ratios)
    steps: np.ndarray = np.maximum(left, 1).astype(np.int64)
    return steps


def _smallest_part(targets: Targets, series: Series, config: RunConfig, horizon: int, length: int) -> int:
    """How many windows of a look-back of `length` the smallest part of the split has."""
    seen = targets.usable() & series.usable(series.channels.index(name) for name in series.known)
    span: dict[str, Any] = {"length": length, "offset": 1, "horizon": horizon, "stride": max(config.stride, 1)}
    index = windows.plan(series.offsets, seen, seen, **span)
    try:
        folds = planned.splits_of(config, series, index, None)
    except DataError:
        return 0
    return min(len(fold[name]) for fold in folds for name in NAMES if name != "test" or len(fold.test))


def _with_windows(choose: Callable[[int], tuple[int, str]], smallest: Callable[[int], int]) -> tuple[int, str]:
    """The look-back of choice, and why: a shorter one where missing values leave it no window in some part, if there is
    one with enough in each.

    Parameters
    ----------
    choose : the look-back of at most so many steps, and why.
    smallest : the windows of the smallest part, with a look-back of so many steps.
    """
    first = chosen = choose(MOST)
    left = smallest(first[0])
    if left:
        return first
    while left < FEW_WINDOWS and chosen[0] > 1:
        chosen = choose(max(chosen[0] * 3 // 4, 1))
        left = smallest(chosen[0])
    why = f"{chosen[1]}: between missing values a longer one leaves a part no window"
    return (chosen[0], why) if left >= FEW_WINDOWS else first


def look_back(
    pieces: Sequence[np.ndarray], room: int, horizon: int, calendar: Sequence[int], short: int, longest: int = MOST
) -> tuple[int, str]:
    """The steps to look back, and why.

    Parameters
    ----------
    pieces : the targets of training, each [K, n].
    room : steps of training in the usual row.
    horizon : H.
    calendar : its cycles in steps, the shortest first.
    short : steps of a short row. Fewer periods are looked back on where it has a window with these alone.
    longest : steps, at most.
    """
    most = max(min(room - horizon - min(horizon, FEW_WINDOWS) + 1, longest), 1)
    period = period_of_pieces(pieces, None, calendar)
    longer = [cycle for cycle in calendar if cycle > period and LONG * cycle <= room]
    for season in reversed([period, *longer] if period > 1 else []):
        fit = [count for count in PERIODS if horizon <= count * season <= most]
        if fit:
            count = next((count for count in fit if count * season + horizon <= short), fit[0])
            many = f"{count} periods" if count > 1 else "a period"
            return count * season, f"{many} of {season} steps"
    if short >= 2 * horizon:
        most = min(most, short - horizon)
    return _preferred(pieces, most, horizon, room, [PERIODS[0] * cycle for cycle in (period, *longer) if cycle > 1])


def _preferred(
    pieces: Sequence[np.ndarray], most: int, horizon: int, room: int, others: Sequence[int]
) -> tuple[int, str]:
    """The look-back up to `most`, and a third of the `room`, with which a ridge regression errs least on the last fifth
    of training: of some horizons, `others`, and the longest.
    """
    most = max(min(most, room // 3), 1)
    sizes = sorted({min(size, most) for size in (*(factor * horizon for factor in FACTORS), *others, most)})
    kept, longest, found = _standardised(pieces), sizes[-1], sizes[0]
    targets = tuple(range(len(kept[0]))) if kept else ()
    spec = InputSpec(channels=len(targets), length=longest, forecast=ForecastSpec(horizon, targets))
    parts = [(piece, piece.shape[1] * 4 // 5) for piece in kept]
    fit = [piece[:, :cut] for piece, cut in parts]
    judge = [piece[:, max(cut - longest, 0) :] for piece, cut in parts]
    best = None
    for size in sizes:
        model = backbone_class("ridge").build(spec, Hyper("ridge", {"lookback": size, "norm": "last"}))
        try:
            error = model.fit(fit, judge, [])["val_mse"]
        except DataError:
            continue
        if best is None or error < best:
            best, found = error, size
    return found, "the look-back that backtests in training prefer"


def _standardised(pieces: Sequence[np.ndarray]) -> list[np.ndarray]:
    """About ASKED channels of pieces [K, n] in their own units, with their mean where nothing is known."""
    asked = some(pieces, ASKED)
    count = max(ASKED // max(len(asked), 1), 1)
    few = [np.stack(some(list(piece), count)) for piece in asked if len(piece)]
    known = [piece for piece in few if not np.isnan(piece).all()]
    return [np.nan_to_num((piece - np.nanmean(piece)) / (np.nanstd(piece) or 1)) for piece in known]
