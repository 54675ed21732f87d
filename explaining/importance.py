"""Permutation importance (Breiman 2001) of a model's input, by channel and by block of lags.

A part of every window is replaced by the same part of another window; what then becomes worse was in use. Channels that
say the same share their importance: shuffling one of them leaves the other.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data import Category
from dataset import DeviceData
from evaler import Evaluator
from hardware import begin_step
from rundir import write_csv
from tasks.predictions import Predictions
from windows import Index

log = logging.getLogger("tsrun")

WINDOWS = 2000  # that are shuffled, at most, evenly spread over the split
NUMBERS = 2 * 10**7  # of their input, which is held in memory
BLOCKS = 8  # of lags
REPEATS = 3  # other orders, of which the mean counts
FILE, PICTURE = "explain.csv", "explain.png"

Inputs = tuple[torch.Tensor, ...]  # x [n, C, L], and known [n, M, L + H] where anything is known ahead
Part = tuple[int, slice, slice]  # which of the inputs, its channels, its steps


@dataclass(frozen=True)
class Importance:
    """How much worse the metric is without one part of the input.

    Parameters
    ----------
    kind : "channel" or "lags".
    name : the channel, or the steps of the window, counted from its end, as "1-12".
    worse : the metric's mean change over the orders, positive where shuffling makes it worse.
    spread : the standard deviation over the orders.
    """

    kind: str
    name: str
    worse: float
    spread: float


def explain(evaluator: Evaluator, index: Index | None, folder: Path, title: str) -> dict[str, Any]:
    """Write explain.csv and explain.png for the windows of a split, and tell the first channels.

    Parameters
    ----------
    evaluator : the model and its data.
    index : the windows, whose labels are known; None where none are.
    folder : where the files go.
    title : of the picture: run and split.

    Returns
    -------
    {"explain": metric, its value on these windows, how many, and {channel: importance}}; {} where it cannot be done,
    which is told.
    """
    data, task = evaluator.device_data, evaluator.device_data.task
    if index is None or len(index) < 2:
        log.warning("warning: --explain shuffles windows whose label is known, and there are none")
        return {}
    if evaluator.by_history is not None:
        backbone = data.run_data.config.backbone
        told = "warning: nothing is explained: %s reads the whole past, not windows; --backbone ridge_ensemble does"
        log.warning(told, backbone)
        return {}
    chosen = _some(index, data)
    base, found = importances(evaluator, chosen)
    if math.isnan(base):
        log.warning("warning: nothing is explained: %s cannot be computed on these windows", task.monitor)
        return {}
    rows = ([one.kind, one.name, one.worse, one.spread] for one in found)
    write_csv(folder / FILE, ["kind", "part", f"{task.monitor}_worse_by", "spread"], rows)
    if data.run_data.config.plots:
        from explaining.picture import bars  # imports matplotlib, which a run without pictures does not need

        bars(found, folder / PICTURE, task.monitor, base, title)
    channels = {one.name: one.worse for one in found if one.kind == "channel"}
    _tell(channels, task.monitor, base, len(chosen))
    return {"explain": {"metric": task.monitor, "value": base, "windows": len(chosen), "channels": channels}}


def _some(index: Index, data: DeviceData) -> Index:
    """At most WINDOWS of the windows, evenly spread, and as many as NUMBERS allow."""
    n = min(len(index), WINDOWS, max(NUMBERS // (len(data.run_data.channels) * index.length), 2))
    return index.part(np.linspace(0, len(index) - 1, n).round().astype(np.int64))


def _tell(channels: Mapping[str, float], metric: str, base: float, n: int) -> None:
    first = sorted(channels, key=lambda name: -channels[name])[:4]
    shown = ", ".join(f"{name} {channels[name]:.3g}" for name in first)
    log.info("explain: %s is %.4g; shuffled among %d windows, it is worse by: %s (%s)", metric, base, n, shown, FILE)


def importances(evaluator: Evaluator, index: Index) -> tuple[float, list[Importance]]:
    """The metric on the windows of `index`, and what each channel and each block of lags is worth in it."""
    data = evaluator.device_data
    over = data.windows(index)
    inputs = over.seen(over.locate(torch.arange(len(index), device=over.device)))
    truth = data.run_data.truth(data.task, index)
    sign = 1 if data.task.direction == "min" else -1

    def metric(given: Inputs) -> float:
        made = Predictions(index, data.task.decode(_outputs(evaluator, given)), truth)
        value = data.task.val_metrics(*made.judged())[data.task.monitor]
        return math.nan if value is None else value

    base = metric(inputs)
    return base, [
        _importance(kind, name, [sign * (value - base) for value in _without(part, inputs, metric)])
        for kind, name, part in _parts(data, index, inputs)
    ]


def _importance(kind: str, name: str, changes: list[float]) -> Importance:
    return Importance(kind, name, float(np.mean(changes)), float(np.std(changes)))


def _without(part: Part, inputs: Inputs, metric: Callable[[Inputs], float]) -> Iterator[float]:
    """The metric with one part of the input shuffled among the windows, once an order; the input is as before after."""
    which, channels, steps = part
    place = inputs[which][:, channels, steps]
    kept = place.clone()
    for seed in range(REPEATS):
        place.copy_(kept[torch.from_numpy(_order(len(kept), seed)).to(kept.device)])
        yield metric(inputs)
    place.copy_(kept)


def _order(n: int, seed: int) -> np.ndarray:
    """An order in which no window keeps its place: a shuffled ring, each takes from the next."""
    ring = np.random.default_rng(seed).permutation(n)
    order = np.empty(n, np.int64)
    order[ring] = np.roll(ring, 1)
    return order


def _parts(data: DeviceData, index: Index, inputs: Inputs) -> Iterator[tuple[str, str, Part]]:
    """(kind, name, part) of each channel of the input, of what is known ahead, and of each block of lags; of things of
    each column of their table."""
    everything = slice(None)
    series = data.run_data.series
    if series.things is not None:
        found = _columns(series.things.categories, series.things.steps)
        yield from (("channel", name, (0, everything, at)) for name, at in found)
        return
    for name, place in _columns(series.categories, data.run_data.channels):
        yield "channel", name, (0, place, everything)
    if len(inputs) > 1:
        known = series.known
        marks = inputs[1].shape[1] - len(known)
        if marks > 0:
            yield "channel", "calendar", (1, slice(marks), everything)
        for name, place in _columns(series.categories, known, max(marks, 0)):
            yield "channel", f"{name} (known ahead)", (1, place, everything)
    edges = np.linspace(0, index.length, min(BLOCKS, index.length) + 1).round().astype(int)
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        newest, oldest = index.length - end + 1, index.length - begin
        yield "lags", f"{newest}-{oldest}" if newest < oldest else f"{newest}", (0, everything, slice(begin, end))


def _columns(categories: Sequence[Category], channels: Sequence[str], start: int = 0) -> Iterator[tuple[str, slice]]:
    """Each channel and its place, of which the first is at `start`; those of one category are shuffled together."""
    owner = {channel: each.name for each in categories for channel in each.channels}
    for name, group in groupby(channels, lambda channel: owner.get(channel, channel)):
        end = start + len(list(group))
        yield name, slice(start, end)
        start = end


def _outputs(evaluator: Evaluator, inputs: Inputs) -> torch.Tensor:
    """The model's outputs [n, K, H] for inputs in memory."""
    precision, made = evaluator.precision, []
    with torch.no_grad(), precision.autocast():
        for batch in zip(*(part.split(evaluator.batch_size) for part in inputs), strict=True):
            begin_step()
            made.append(evaluator.runner(*(part.to(precision.device) for part in batch)).float().clone())
    return torch.cat(made)
