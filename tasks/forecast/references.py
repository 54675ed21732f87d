"""The forecasts that a model is compared with. `seen` is float32 [K, total], the standardised targets."""

from __future__ import annotations

import numpy as np
import torch

from backbones import ForecastSpec, Hyper, InputSpec, backbone_class
from tasks.predictions import Predictor
from windows import Index, Windows

BATCH = 256  # windows predicted at once
LONGEST = 720  # steps that the reference ridge looks back: its cost grows with their third power


def seasonal(seen: np.ndarray, index: Index, period: int) -> np.ndarray:
    """The last `period` steps of each context, repeated: [n, K, H]. Period 1 repeats the last value."""
    ends = index.starts() + index.length
    step = np.arange(index.horizon) % period - period
    values: np.ndarray = seen[:, ends[:, None] + step].transpose(1, 0, 2)
    return values


def ridge(seen: np.ndarray, train: Index, val: Index, horizon: int, periods: tuple[int, ...] = ()) -> Predictor:
    """A ridge regression on the past of the targets, as long as the model's context, but at most `LONGEST` steps.

    `periods` are the calendar's cycles.
    """
    inputs, length = torch.from_numpy(seen), min(train.length, LONGEST)
    forecast = ForecastSpec(horizon, tuple(range(len(seen))), periods=periods)
    model = backbone_class("ridge")(InputSpec(channels=len(seen), length=length, forecast=forecast), Hyper("ridge"))
    later = (
        train.length - length
    )  # where the first context of a stretch begins for this model: the targets are the same
    train_x = [inputs[:, begin:end] for begin, end in train.pieces()]
    model.fit(train_x, [inputs[:, begin + later : end] for begin, end in val.pieces()], both=[])

    def predict(index: Index) -> np.ndarray:
        windows = Windows(inputs, inputs, index)
        with torch.no_grad():
            found = ((windows.contexts(at)[..., -length:], count) for at, count in windows.in_order(BATCH))
            parts = [model(x)[:count].numpy() for x, count in found]
        return np.concatenate(parts)

    return predict
