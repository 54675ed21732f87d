"""Closed forms, and what a model is compared with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.growing import row

if TYPE_CHECKING:
    from backbones.fitting import Labelled
    from windows import Index

HOURS, CHANNELS = 14_400, 7  # as ETTh1 has them
FIT, CHOOSE = 0.6, 0.2  # of the hours, as there


def hourly(steps: int, channels: int) -> np.ndarray:
    """Daily and weekly cycles, a slow level and noise, about standardised: float32 `[channels, steps]`."""
    random, hour = np.random.default_rng(0), np.arange(steps)
    level = random.normal(0, 0.03, (channels, steps)).cumsum(axis=1)
    day, week = (random.uniform(0.3, 1, (channels, 1)) * np.sin(2 * np.pi * hour / period) for period in (24, 168))
    return (level + day + week + random.normal(0, 0.3, (channels, steps))).astype(np.float32)


@row("ridge_ensemble", "steps of context and horizon", sizes=(96, 336), large=(720,), least=24, at_720=15.0)
def ensemble(folder: Path, size: int) -> Callable[[], object]:  # noqa: ARG001
    """The default forecaster, from as many steps to as many."""
    import torch

    from backbones import ForecastSpec, ModelSpec
    from backbones.model import build_model

    spec = ForecastSpec(size, tuple(range(CHANNELS)))
    model = build_model(
        ModelSpec(
            backbone="ridge_ensemble",
            channels=CHANNELS,
            length=size,
            outputs=CHANNELS,
            horizon=size,
            head="forecast",
            forecast=spec,
        )
    )
    steps = HOURS if size > 48 else 40 * size
    values = torch.from_numpy(hourly(steps, CHANNELS))
    fit, end = int(FIT * steps), int((FIT + CHOOSE) * steps)
    return lambda: model.backbone.fit([values[:, :fit]], [values[:, fit - size : end]], [values[:, :end]])


@row("ridge", "steps of context", sizes=(96, 720), large=(2880,), least=24, at_96=1.0, at_720=1.0, at_2880=1.0)
def reference_ridge(folder: Path, size: int) -> Callable[[], object]:  # noqa: ARG001
    """The reference of forecasts, fitted, and asked for every window that is scored; a horizon of 96."""
    import windows
    from data import Series
    from tasks.forecast import references
    from tasks.predictions import EvalContext

    horizon, steps = min(size, 96), HOURS if size > 48 else 40 * size
    values, offsets, usable = hourly(steps, CHANNELS), np.array([0, steps]), np.ones(steps, bool)
    names = tuple(f"x{number}" for number in range(CHANNELS))
    series = Series(values=values, offsets=offsets, channels=names, rows=("a",))
    context = EvalContext(series, None, values, tuple(range(CHANNELS)), names, False, 0, labelled=no_labels, scaler={})
    plan = windows.plan(offsets, usable, usable, length=size, horizon=horizon, offset=1)
    borders = pairwise((0, int(FIT * steps), int((FIT + CHOOSE) * steps), steps))
    train, val, test = (plan.with_target_in(np.array([low]), np.array([high])) for low, high in borders)
    return lambda: references.ridge(context, train, val, horizon)(test)


def no_labels(index: Index) -> Labelled:
    """The windows of a context are never asked for here."""
    raise AssertionError(index)
