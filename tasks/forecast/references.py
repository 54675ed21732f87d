"""The forecasts that a model is compared with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import torch

from backbones import ForecastSpec, Hyper, InputSpec, backbone_class
from data import known_ahead
from readers import mapped
from readers.scaled import Scaled
from tasks.histories import Past
from tasks.predictions import EvalContext, Predictor
from tasks.stretches import stretches
from windows import Index, Windows

log = logging.getLogger("tsrun")
BATCH = 256  # windows predicted at once
CLASSICAL = {"theta": 400_000, "ets": 60_000}  # steps of all series and targets, up to which they take seconds
LEAST_CYCLES = 2  # of the calendar, in half of the series
LONGEST = 720  # steps that the reference ridge looks back: its cost grows with their third power


def predictors(
    eval_context: EvalContext,
    train: Index | None,
    val: Index | None,
    period: int,
    look_back: int,
    horizon: int,
    units: tuple[Sequence[float], Sequence[float]],
) -> dict[str, Predictor]:
    """Every forecast that a model of this `look_back` and `horizon` is compared with, by name.

    Parameters
    ----------
    eval_context : the data.
    train, val : the windows to fit to; None in inference.
    period : found in training.
    units : mean and deviation [K] of the forecasts' units.
    """
    seen, which = eval_context.scaled, eval_context.target_channels
    seen = seen.channels(which) if isinstance(seen, Scaled) else mapped.rows(seen, which)
    found: dict[str, Predictor] = {"repeat_last": partial(repeat_last, seen)}
    told = train is not None or eval_context.train is None  # else these choose margins, and are told when they compare
    if mapped.is_mapped(seen):
        if told:
            log.info("references: repeat_last alone, since the others hold all of the data")
        return found
    found |= classical(eval_context, season_of(eval_context, period, look_back), horizon, *units, told=told)
    if train is not None and val is not None:
        found["ridge"] = ridge(eval_context, train, val, horizon)
    return found


def repeat_last(seen: np.ndarray | Scaled, index: Index) -> np.ndarray:
    """The last value of each context, repeated: [n, K, H]."""
    last = seen[:, index.starts() + index.length - 1].T
    return np.repeat(last[:, :, None], index.horizon, axis=2)


def ridge(context: EvalContext, train: Index, val: Index, horizon: int) -> Predictor:
    """The backbone `ridge`, which sees what a model may see, but looks back at most `LONGEST` steps.

    Parameters
    ----------
    context : the data.
    train, val : the windows that it is fitted to, and chosen on.
    horizon : H.
    """
    series, inputs, length = context.series, torch.from_numpy(np.asarray(context.scaled)), min(train.length, LONGEST)
    clock = series.clock
    marks, periods = (0, ()) if clock is None else (len(clock.marks), clock.periods)
    parts = [torch.from_numpy(known_ahead(series, marks, horizon, None))] if marks else []
    parts += [] if context.known is None or not series.known else [context.known[-len(series.known) :].cpu()]
    known = torch.cat(parts) if parts else None
    forecast = ForecastSpec(horizon, context.target_channels, 1, marks, len(series.known), periods=periods)
    model = backbone_class("ridge")(InputSpec(channels=len(inputs), length=length, forecast=forecast), Hyper("ridge"))
    # Where the first context of a stretch begins for this model: the targets are the same.
    later = [(begin + train.length - length, end) for begin, end in val.pieces()]
    model.fit(*stretches(inputs, known, train.pieces(), later, series.offsets, horizon))
    assert model.forecast is not None
    rows = model.forecast.marks + model.forecast.covariates
    kept = None if known is None or not rows else known[-rows:]  # it may do without the calendar

    def predict(index: Index) -> np.ndarray:
        over = Windows(inputs, inputs, index, kept)
        parts = []
        with torch.no_grad():
            for at, count in over.in_order(BATCH):
                x, *more = over.seen(at)
                y = model(x[..., -length:], *(one[..., -length - horizon :] for one in more))
                parts.append(y[:count].numpy())
        return np.concatenate(parts)

    return predict


def season_of(eval_context: EvalContext, found: int, length: int) -> int:
    """The period of the references: the one `found` in training, unless the calendar's shortest is longer than the
    context of `length` steps and so could not be found, or none shows.
    """
    series = eval_context.series
    shortest = min(series.clock.periods, default=1) if series.clock is not None else 1
    fits = LEAST_CYCLES * shortest <= float(np.median(series.lengths))
    return shortest if fits and (found == 1 or shortest > length) else found


def classical(
    eval_context: EvalContext, season: int, horizon: int, mean: Sequence[float], std: Sequence[float], *, told: bool
) -> dict[str, Predictor]:
    """Seasonal naive, theta and exponential smoothing, from the whole history of each series before a window.

    Parameters
    ----------
    season : steps of the season; 1 for none, and no seasonal naive.
    horizon : H.
    mean, std : [K], of the forecasts' units.
    told : whether it is told which are too slow.
    """
    targets = eval_context.targets
    assert targets is not None
    outputs, steps = len(targets.values), targets.values.size
    past = cache(lambda: Past(eval_context.series, targets.values, np.asarray(mean), np.asarray(std)))
    names = [*(["seasonal_naive"] if season > 1 else []), *(name for name, most in CLASSICAL.items() if steps <= most)]
    left_out = [name for name, most in CLASSICAL.items() if steps > most]
    if left_out and told:
        log.info("references: without %s, too slow for %s steps", " and ".join(left_out), f"{steps:,}")
    forecast = ForecastSpec(horizon, tuple(range(outputs)))
    inputs = InputSpec(channels=outputs, length=1, forecast=forecast)

    def predictor(name: str) -> Predictor:
        hyper = Hyper(name, {"period": season if season > 1 else 0})
        model = cache(lambda: backbone_class(name)(inputs, hyper))  # and its file, which --reference off has no use for
        return lambda index: model().from_histories(past().of(index)).numpy()

    return {name: predictor(name) for name in names}
