"""regress: the label's value K steps after the context, or a number for the whole row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import losses
import metrics
from data import Series
from errors import UsageError
from sources.synthetic import room_series
from tasks import register
from tasks.base import EvalContext, Loss, PlotInputs, Predictions, rescaled
from tasks.label_task import LabelTask, per_output

FLAGS = {
    "target_clip": {
        "default": None,
        "type": "float",
        "many": 2,
        "group": "Labels",
        "binds": True,
        "help": "the label is clipped to LO HI, and so are predictions",
    },
    "loss": {
        "default": "huber",
        "choices": ("huber", "l1", "mse"),
        "group": "Training",
        "help": "loss on the standardised label",
    },
}


@register
class Regress(LabelTask):
    """Outputs are the label standardised on training; predictions are in the label's unit."""

    head = "pool"
    monitor, direction = "mae", "min"
    summary = "summary.json"
    columns = ("y_true", "y_pred")
    headline = ("mae", "rmse", "r2")

    def __init__(self, target_clip: Sequence[float] | None, loss: str) -> None:
        self.clip, self.loss_name = target_clip, loss
        if target_clip is not None and target_clip[0] >= target_clip[1]:
            raise UsageError(
                f"takes LO HI with LO below HI, got {target_clip[0]} {target_clip[1]}", where="--target-clip"
            )

    def name_part(self) -> list[str]:
        return []

    def demo(self, seed: int) -> Series:
        return room_series(rows=120, columns=240, seed=seed)

    def fit(self, truth: np.ndarray, names: Sequence[str], stored: Mapping[str, Any] | None) -> dict[str, Any]:
        value = self.truth(truth, {}).astype(np.float64)
        mean, median = value.mean(axis=(0, 2)), np.median(value, axis=(0, 2))
        spread = value.std(axis=(0, 2))
        fresh = {"mean": mean.tolist(), "std": np.where(spread > 0, spread, 1).tolist(), "median": median.tolist()}
        kept = {key: stored[key] for key in ("mean", "std")} if stored is not None else {}
        return fresh | kept

    def truth(self, raw: np.ndarray, fitted: Mapping[str, Any]) -> np.ndarray:
        return raw if self.clip is None else np.clip(raw, *self.clip)

    def encode(self, truth: np.ndarray, fitted: Mapping[str, Any]) -> np.ndarray:
        mean, std = (np.asarray(fitted[key])[:, None] for key in ("mean", "std"))
        return ((truth - mean) / std).astype(np.float32)

    def loss(self, fitted: Mapping[str, Any], device: torch.device) -> Loss:
        return losses.regression_loss(self.loss_name)

    def units(self, outputs: torch.Tensor, fitted: Mapping[str, Any]) -> torch.Tensor:
        value = rescaled(outputs, fitted["mean"], fitted["std"])
        return value if self.clip is None else value.clamp(*self.clip)

    def decode(self, outputs: torch.Tensor, fitted: Mapping[str, Any]) -> np.ndarray:
        """In float64: a label may be large beside its deviation."""
        return self.units(outputs.cpu().double(), fitted).numpy()

    def val_metrics(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
        return {"mae": float(np.abs(pred - truth).mean())}

    def choose_thresholds(self, val: Predictions | None, names: Sequence[str]) -> dict[str, Any]:
        return {}

    def evaluate(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> dict[str, Any]:
        truth, pred = scored.judged()
        reports = [metrics.regression_metrics(truth[:, k].ravel(), pred[:, k].ravel()) for k in range(truth.shape[1])]
        return per_output(eval_context.names, reports, ("mae", "mse", "rmse", "r2"))

    def constants(self, fitted: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {"mean": np.asarray(fitted["mean"]), "median": np.asarray(fitted["median"])}

    def estimator(self, seed: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        loss = "absolute_error" if self.loss_name == "l1" else "squared_error"
        return HistGradientBoostingRegressor(loss=loss, random_state=seed, early_stopping=False)

    def consult(self, estimator: Any, x: np.ndarray) -> np.ndarray:
        value: np.ndarray = estimator.predict(x)
        return self.truth(value, {})

    def table(
        self,
        truth: np.ndarray,
        pred: np.ndarray,
        calibration: Mapping[str, Any],
    ) -> Iterable[Sequence[Any]]:
        return (("" if not np.isfinite(t) else f"{t:.7g}", f"{p:.7g}") for t, p in zip(truth, pred, strict=True))

    def plots(self, folder: Path, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> None:
        import viz

        if shown.scored is None or shown.scored.truth is None:
            return
        truth, pred = shown.scored.truth.ravel(), shown.scored.pred.ravel()
        viz.residuals(truth, pred, folder / "residuals.png")
        viz.scatter(truth, pred, folder / "scatter.png")
