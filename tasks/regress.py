"""regress: the label's value K steps after the context, or a number for the whole row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import losses
import metrics
from backbones import TargetSpec
from data import Series
from errors import UsageError
from pages.frames import Frame
from registry import Namespace
from rundir import digits, shortest
from scaler import Scaler
from sources.synthetic import room_series
from tasks import courses, register
from tasks.base import Loss
from tasks.label_task import LabelTask, per_output
from tasks.predictions import EvalContext, PlotInputs, Predictions
from tasks.targets import rescaled
from tasks.units_of_names import unit_of_all

FITTED = {"mean": "K", "std": "K", "median": "K"}
FLAGS = {
    "target_clip": {
        "default": None,
        "type": "float",
        "many": 2,
        "group": "Labels",
        "binds": True,
        "help": "clip labels and predictions to LO HI",
    },
    "loss": {
        "default": "huber",
        "choices": ("huber", "l1", "mse"),
        "group": "Training",
        "help": "loss on the standardised label",
    },
}
CHOSEN = {"context_len": "up to 96"}


@register
class Regress(LabelTask):
    """The outputs are the label standardised on training; predictions are in the unit of the label."""

    head = "pool"
    monitor, direction = "mae", "min"
    summary = "summary.json"
    columns = ("y_true", "y_pred")
    headline = ("mae", "rmse", "r2")

    def __init__(self, options: Namespace) -> None:
        super().__init__(options)
        clip = options.target_clip
        if clip is not None and clip[0] >= clip[1]:
            raise UsageError(f"takes LO HI with LO below HI, got {clip[0]} {clip[1]}", where="--target-clip")

    def name_part(self) -> list[str]:
        return []

    def shown(self, names: Sequence[str], coverage: float | None = None) -> dict[str, str]:
        unit = unit_of_all(names)
        return {f"{name} [{unit}]" if unit and name != "r2" else name: name for name in self.headline}

    def demo(self, seed: int) -> Series:
        return room_series(rows=120, columns=240, seed=seed)

    def learn_constants(
        self, truth: np.ndarray, names: Sequence[str], kept: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        value = self.truth(truth).astype(np.float64)
        mean, median = value.mean(axis=(0, 2)), np.median(value, axis=(0, 2))
        spread = value.std(axis=(0, 2))
        fresh = {"mean": mean.tolist(), "std": np.where(spread > 0, spread, 1).tolist(), "median": median.tolist()}
        return fresh | ({} if kept is None else {key: kept[key] for key in ("mean", "std")})

    def target_spec(self, names: Sequence[str], channel: int | None, scaler: Scaler) -> TargetSpec:
        if channel is None:
            return TargetSpec("value", len(names))
        mean, std = self.fitted["mean"][0], self.fitted["std"][0]
        scale, shift = float(scaler.std[channel] / std), float((scaler.mean[channel] - mean) / std)
        return TargetSpec("value", len(names), channel, scale, shift)

    def truth(self, raw: np.ndarray) -> np.ndarray:
        return raw if self.options.target_clip is None else np.clip(raw, *self.options.target_clip)

    def encode(self, truth: np.ndarray) -> np.ndarray:
        mean, std = (np.asarray(self.fitted[key])[:, None] for key in ("mean", "std"))
        with np.errstate(over="ignore"):
            scaled: np.ndarray = ((truth - mean) / std).astype(np.float32)
        return scaled

    def loss(self, device: torch.device) -> Loss:
        return losses.regression_loss(self.options.loss)

    def units(self, outputs: torch.Tensor) -> torch.Tensor:
        value = rescaled(outputs, self.fitted["mean"], self.fitted["std"])
        return value if self.options.target_clip is None else value.clamp(*self.options.target_clip)

    def decode(self, outputs: torch.Tensor) -> np.ndarray:
        """In float64: a label may be large beside its deviation."""
        return self.units(outputs.cpu().double()).numpy()

    def val_metrics(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
        return {"mae": float(np.abs(pred - truth).mean())}

    def choose_thresholds(
        self, val: Predictions | None, names: Sequence[str], eval_context: EvalContext | None = None
    ) -> dict[str, Any]:
        return {}

    def evaluate(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> dict[str, Any]:
        truth, pred = scored.judged()
        reports = [metrics.regression_metrics(truth[:, k].ravel(), pred[:, k].ravel()) for k in range(truth.shape[1])]
        return per_output(eval_context.names, reports, ("mae", "mse", "rmse", "r2"))

    def constant_predictions(self) -> dict[str, np.ndarray]:
        return {"mean": np.asarray(self.fitted["mean"]), "median": np.asarray(self.fitted["median"])}

    def estimator(self, seed: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        loss = "absolute_error" if self.options.loss == "l1" else "squared_error"
        return HistGradientBoostingRegressor(loss=loss, random_state=seed, early_stopping=False)

    def predict_with(self, estimator: Any, x: np.ndarray) -> np.ndarray:
        value: np.ndarray = estimator.predict(x)
        return self.truth(value)

    def table(
        self,
        truth: np.ndarray,
        pred: np.ndarray,
        calibration: Mapping[str, Any],
    ) -> Iterable[Sequence[Any]]:
        n = digits(pred, min(self.fitted["std"]))
        return (("" if not np.isfinite(t) else shortest(t), f"{p:.{n}g}") for t, p in zip(truth, pred, strict=True))

    def plots(self, folder: Path, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> None:
        from tasks import over_time, regress_viz

        if shown.scored is None or shown.scored.truth is None:
            return
        truth, pred = shown.scored.truth[:, :, 0], shown.scored.pred[:, :, 0]
        regress_viz.by_label(folder, truth, pred, eval_context.names, shown.title)
        over_time.over_time(self.course(eval_context, calibration, shown), folder / "over_time.png", shown.title)

    def course(self, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> list[Frame]:
        return courses.of_labels(eval_context, shown)
