"""How far forecasts reach: fewer steps than the model was trained for, more, and not below a floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from tasks.blocks import Made, Sliced
from tasks.forecast.growth import USUAL_GROWTH
from tasks.forecast.levels import Levels
from tasks.predictions import Numbers, Predictions


def cut(part: Predictions, steps: int) -> Predictions:
    """The first `steps` of predictions [n, K, H]; all of them where there are no more."""
    if steps >= part.index.horizon:
        return part
    truth = None if part.truth is None else _shorter(part.truth, steps)
    return Predictions(replace(part.index, horizon=steps), _shorter(part.pred, steps), truth)


def _shorter(values: Numbers, steps: int) -> Numbers:
    if isinstance(values, Sliced):
        return Made((*values.shape[:2], steps), lambda begin, end: values[begin:end][:, :, :steps])
    return values[:, :, :steps]


def joined(parts: Sequence[Predictions], levels: Levels, outputs: int, steps: int) -> Predictions:
    """Forecasts [n, K * Q, H] of which each was made from those before, as one of `steps`.

    Quantiles spread around the point forecast as they would so far ahead.
    """
    horizon, pred = parts[0].index.horizon, np.concatenate([part.pred for part in parts], axis=2)[:, :, :steps]
    if pred.shape[1] > outputs:
        step = np.arange(steps)
        factor = ((step + 1) / (step % horizon + 1)) ** USUAL_GROWTH
        centre = np.repeat(levels.point(pred, outputs), pred.shape[1] // outputs, axis=1)
        pred = centre + (pred - centre) * factor.astype(pred.dtype)
        if levels.least:
            pred = np.maximum(pred, np.repeat(np.asarray(levels.least, pred.dtype), len(levels.values))[:, None])
    return Predictions(replace(parts[0].index, horizon=steps), pred, None)


def lowest(floors: Sequence[float], mean: Sequence[float], std: Sequence[float]) -> tuple[float, ...]:
    """The floor of each of K channels, standardised, as `bounds.floors` gives them; () for none."""
    return tuple((floor - m) / s for floor, m, s in zip(floors, mean, std, strict=True)) if floors else ()


def raised(outputs: torch.Tensor, least: Sequence[float], each: int) -> torch.Tensor:
    """Outputs [n, K * each, H] that are not below `least` [K]."""
    if not least:
        return outputs
    floor = torch.tensor([value for value in least for _ in range(each)], dtype=outputs.dtype, device=outputs.device)
    return torch.maximum(outputs, floor[:, None])


def in_units(value: np.ndarray, mean: np.ndarray, std: np.ndarray, floors: np.ndarray) -> np.ndarray:
    """Standardised forecasts in the units of their channels, float64: what is held at a floor is the floor itself.

    Parameters
    ----------
    value : what float32 can tell apart, standardised.
    mean, std, floors : of its channels, of a shape that broadcasts; floors are -inf for none.
    """
    raw = value.astype(np.float64) * std + mean
    held = np.nextafter(((floors - mean) / std).astype(np.float32), np.float32(np.inf))
    found: np.ndarray = np.where(value.astype(np.float32) <= held, floors, np.maximum(raw, floors))
    return found
