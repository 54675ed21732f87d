"""The forecasts that a model is compared with."""

from __future__ import annotations

import numpy as np
import torch

from backbones import ForecastSpec, Hyper, InputSpec, backbone_class
from tasks.predictions import EvalContext, Predictor
from tasks.stretches import stretches
from windows import Index, Windows

BATCH = 256  # windows predicted at once
LONGEST = 720  # steps that the reference ridge looks back: its cost grows with their third power


def seasonal(seen: np.ndarray, index: Index, period: int) -> np.ndarray:
    """The last `period` steps of each context, repeated: [n, K, H]. Period 1 repeats the last value."""
    ends = index.starts() + index.length
    step = np.arange(index.horizon) % period - period
    values: np.ndarray = seen[:, ends[:, None] + step].transpose(1, 0, 2)
    return values


def ridge(context: EvalContext, train: Index, val: Index, horizon: int) -> Predictor:
    """The backbone `ridge`, which sees what a model may see, but looks back at most `LONGEST` steps.

    Parameters
    ----------
    context : the data.
    train, val : the windows that it is fitted to, and chosen on.
    horizon : H.
    """
    series, inputs, length = context.series, torch.from_numpy(context.scaled), min(train.length, LONGEST)
    known = None if context.known is None or not series.known else context.known[-len(series.known) :].cpu()
    forecast = ForecastSpec(
        horizon,
        context.target_channels,
        covariates=len(series.known),
        periods=() if series.clock is None else series.clock.periods,
    )
    model = backbone_class("ridge")(InputSpec(channels=len(inputs), length=length, forecast=forecast), Hyper("ridge"))
    # Where the first context of a stretch begins for this model: the targets are the same.
    later = [(begin + train.length - length, end) for begin, end in val.pieces()]
    model.fit(*stretches(inputs, known, train.pieces(), later, series.offsets, horizon))

    def predict(index: Index) -> np.ndarray:
        over = Windows(inputs, inputs, index, known)
        parts = []
        with torch.no_grad():
            for at, count in over.in_order(BATCH):
                x, *more = over.seen(at)
                y = model(x[..., -length:], *(one[..., -length - horizon :] for one in more))
                parts.append(y[:count].numpy())
        return np.concatenate(parts)

    return predict
