"""What a model of nilm is compared with: nothing on, everything on, and what the level of the meter says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.nilm.metrics import f1_curve
from tasks.nilm.targets import DeviceTargets
from tasks.predictions import EvalContext, Predictor
from windows import Index


def references_of(eval_context: EvalContext, train: Index | None, on_mean: Sequence[float]) -> dict[str, Predictor]:
    """Nothing on, everything on, and the mains at the threshold with the best F1 of a device in training.

    `on_mean` [K]: the watts of a device that is on.
    """
    count, mean = len(eval_context.names), np.asarray(on_mean, np.float32)

    def always(on: float) -> Predictor:
        row = np.concatenate([np.full(count, on, np.float32), on * mean])
        return lambda index: np.tile(row[None, :, None], (len(index), 1, index.length))

    predictors = {"all_zero": always(0.0), "all_on": always(1.0)}
    if train is not None and eval_context.targets is not None:
        predictors["mains_threshold"] = by_mains(eval_context, train, mean)
    return predictors


def by_mains(eval_context: EvalContext, train: Index, mean: np.ndarray) -> Predictor:
    """On where the mains reach the level with the best F1 of a device in training; then `mean` [K] watts."""
    mains = eval_context.series.values[0]
    seen = train.targeted(len(mains))
    assert isinstance(eval_context.targets, DeviceTargets)
    cuts = np.unique(np.quantile(mains[seen], np.linspace(0, 1, 200)))
    cut = []
    for states in eval_context.targets.states:
        curve = f1_curve(states[seen], mains[seen], cuts)
        cut.append(cuts[np.nanargmax(curve)] if np.isfinite(curve).any() else np.inf)
    level = np.asarray(cut, np.float32)[None, :, None]

    def predict(index: Index) -> np.ndarray:
        view = np.lib.stride_tricks.sliding_window_view(mains, index.length)[index.starts()]
        on = (view[:, None] >= level).astype(np.float32)
        return np.concatenate([on, on * mean[None, :, None]], axis=1)

    return predict
