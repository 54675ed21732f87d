"""What scikit-learn's estimators need around them: the threads of the run, and boosting that starts from something.

Imported where something is fitted: a checkpoint in use needs no scikit-learn.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from sklearn._loss import HalfBinomialLoss, HalfMultinomialLoss
from threadpoolctl import threadpool_limits


def limited() -> AbstractContextManager[Any]:
    """In its block, OpenMP and BLAS take as many threads as torch (`--threads`)."""
    limits: AbstractContextManager[Any] = threadpool_limits(torch.get_num_threads())
    return limits


class _FromBinomial(HalfBinomialLoss):  # type: ignore[misc]
    """Log-loss of raw predictions that come on top of `start [n]`."""

    def __init__(self, start: np.ndarray) -> None:
        super().__init__()
        self.start = start

    def fit_intercept_only(self, y_true: np.ndarray, sample_weight: np.ndarray | None = None) -> np.ndarray:
        return np.zeros(())

    def gradient_hessian(self, y_true: np.ndarray, raw_prediction: np.ndarray, **rest: Any) -> Any:
        return super().gradient_hessian(y_true, raw_prediction + self.start.reshape(raw_prediction.shape), **rest)


class _FromMultinomial(HalfMultinomialLoss):  # type: ignore[misc]
    """The same for classes, `start [n, K]`."""

    def __init__(self, start: np.ndarray) -> None:
        super().__init__(n_classes=start.shape[1])
        self.start = start

    def fit_intercept_only(self, y_true: np.ndarray, sample_weight: np.ndarray | None = None) -> np.ndarray:
        return np.zeros(self.n_classes)

    def gradient_hessian(self, y_true: np.ndarray, raw_prediction: np.ndarray, **rest: Any) -> Any:
        return super().gradient_hessian(y_true, np.ascontiguousarray(raw_prediction + self.start), **rest)


def log_loss_from(start: np.ndarray) -> Any:
    """The log-loss for a HistGradientBoostingClassifier that goes on from raw predictions [n] or [n, K]."""
    start = np.ascontiguousarray(start, np.float64)
    return _FromBinomial(start) if start.ndim == 1 else _FromMultinomial(start)
