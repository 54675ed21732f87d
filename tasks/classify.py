"""classify: is the label true K steps after the context, or of the whole row; a probability for each label.

The loss is alpha * BCE + (1 - alpha) * (1 - soft F1). The threshold tau is the one that maximises F1 on validation.
Labels given per row of which exactly one is true are classes: softmax, cross-entropy, and the likeliest one counts.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

import losses
import metrics
from backbones import TargetSpec
from config import RunConfig, exact, inside
from data import Series
from errors import DataError, UsageError
from pages.frames import Frame
from registry import Namespace
from rundir import shortest
from scaler import Scaler
from sources.synthetic import demand_series
from tasks import calibrated, changes, courses, given_labels, multiclass, register
from tasks.base import Loss
from tasks.given_labels import TwoValued
from tasks.label_choice import larger_val, smaller_val
from tasks.label_task import LabelTask, per_output
from tasks.lines import MOST_SHOWN, printed
from tasks.predictions import EvalContext, PlotInputs, Predictions
from tasks.references import Reference, logistic
from tasks.targets import Targets
from windows import Index

log = logging.getLogger("tsrun")

FITTED = {"threshold": "K", "base_rate": "K", "pos_weight": "K", "exclusive": "flag?"}
FLAGS = {
    "bin_rule": {
        "default": "auto",
        "choices": ("auto", "nonzero", "gt", "lt", "quantile", "classes"),
        "group": "Labels",
        "binds": True,
        "help": "when the label is true: not 0, above or below --bin-thr, or above that quantile of training; classes: "
        "each number or word is a class (auto: by what the label holds)",
    },
    "bin_thr": {"default": 0.0, "group": "Labels", "binds": True, "help": "threshold of --bin-rule"},
    "thresh_default": {
        "default": 0.5,
        "within": "(0,1)",
        "group": "Labels",
        "help": "probability threshold to score beside the one chosen on validation",
    },
    "alpha": {
        "default": 0.5,
        "within": "[0,1]",
        "group": "Training",
        "help": "share of BCE in the loss, the rest is soft F1",
    },
    "pos_weight": {
        "default": "global",
        "choices": ("global", "none"),
        "number_too": "(0,)",
        "group": "Training",
        "help": "weight of the true class in BCE (global: false / true in training)",
    },
    "calibration": {
        "default": "auto",
        "choices": ("auto", "off"),
        "group": "Labels",
        "binds": True,
        "help": "calibrate probabilities: undo the weight of the loss, and scale and shift by validation",
    },
}

FRAMES = {"logistic_last": 1, "logistic_window": 0}  # logistic regressions, and how many steps they see; 0: all
AVERAGED = (
    "pr_auc",
    "roc_auc",
    "f1_at_tau",
    "f1_at_default",
    "precision",
    "recall",
    "f1",
    "brier",
    "ece",
)  # over labels
SIDE = 1e-5  # standard deviations beside a threshold, so that rounding does not decide on which side it is
MOST_POS_WEIGHT = 100.0  # a handful of positives must not outweigh everything else


CHOSEN = {"context_len": "up to 96"}


@register
class Classify(LabelTask):
    """The outputs are logits, the predictions probabilities."""

    head = "pool"
    of_classes = True
    ages = True
    monitor, direction = "pr_auc", "max"
    summary = "metrics.json"
    columns = ("y_true", "y_score", "y_pred@tau")
    headline: tuple[str, ...] = (
        "pr_auc",
        "f1_at_tau",
        "roc_auc",
        "brier",
        "ece",
        "accuracy",
        "balanced_accuracy",
    )
    row_kind = "probability"
    exclusive = False  # the labels are classes

    def __init__(self, options: Namespace) -> None:
        super().__init__(options)
        self.two_values: list[TwoValued | None] = []  # of each label, where it has two
        self.words: tuple[str, ...] = ()  # that the values of a label's column stand for
        self.calibration: Mapping[str, Any] = {}  # what `units` follows
        if options.bin_rule == "quantile" and not inside(options.bin_thr, "(0,1)"):
            raise UsageError(f"a quantile is in (0, 1), got {options.bin_thr}", where="--bin-thr")

    def name_part(self) -> list[str]:
        weight = self.options.pos_weight
        shown = weight if isinstance(weight, str) else exact(weight)
        return [f"alpha{exact(self.options.alpha)}", f"pw{shown}"]

    @property
    def rule(self) -> str:
        """How a number is made true or false."""
        return "nonzero" if self.options.bin_rule in ("auto", "classes") else str(self.options.bin_rule)

    def targets(self, series: Series, config: RunConfig) -> Targets | None:
        """Given labels as 0 and 1, one of them a class; with a rule that was chosen, and along time, numbers."""
        rule = self.options.bin_rule
        if rule not in ("auto", "classes"):
            return super().targets(series, config)
        if series.labels is None:
            self.words = series.label_words[0] if series.label_words else ()
            found, self.two_values = given_labels.along_time(series, self.start, config, classes=rule == "classes")
        else:
            self.words = series.label_words[0] if isinstance(config.label_src_ch, str) and series.label_words else ()
            found, self.two_values = given_labels.truths(series, self.start, config.labels)
        return found

    def demo(self, seed: int) -> Series:
        return demand_series(rows=400, columns=120, channels=4, seed=seed)

    def learn_constants(
        self, truth: np.ndarray, names: Sequence[str], kept: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        options = self.options
        if self.rule != "quantile":
            cut = [options.bin_thr] * len(names)
        elif kept is not None:
            cut = list(kept["threshold"])
        else:
            cut = np.quantile(truth, options.bin_thr, axis=(0, 2)).tolist()
        labels = self._binarise(truth, cut)
        rate = labels.mean(axis=(0, 2), dtype=np.float64)
        exclusive = multiclass.one_of_many(labels) if kept is None else kept.get("exclusive", False)
        two = [None if found is None else [found.false, found.true] for found in self.two_values]
        return {
            "threshold": [float(c) for c in cut],
            "base_rate": rate.tolist(),
            "pos_weight": self._pos_weight(rate),
            "exclusive": exclusive,
            **({"two_values": two} if any(two) else {}),
            **({"label_words": list(self.words)} if self.words else {}),
        }

    def _pos_weight(self, rate: np.ndarray) -> list[float]:
        """The weight of the true class of each label, whose shares in training are `rate` [K]."""
        weight = self.options.pos_weight
        if weight == "global":
            ratio: np.ndarray = (1 - rate) / np.maximum(rate, 1 / MOST_POS_WEIGHT)
            return [float(value) for value in ratio.clip(max=MOST_POS_WEIGHT)]
        return [1.0 if weight == "none" else float(weight)] * len(rate)

    def on_fitted(self) -> None:
        self.exclusive = self.fitted.get("exclusive", False)
        if self.exclusive:
            log.info("one label of each row is true: classes under softmax, without --alpha and --pos-weight")
            self.headline, self.monitor = multiclass.HEADLINE, "macro_f1"

    def target_spec(self, names: Sequence[str], channel: int | None, scaler: Scaler) -> TargetSpec:
        asked = TargetSpec("class" if self.exclusive else "label", len(names))
        if channel is None:
            return asked
        center, scale = float(scaler.mean[channel]), float(scaler.std[channel])
        found = changes.of_label(self.fitted, names, self.rule, exclusive=self.exclusive)
        return replace(asked, seen=channel, cuts=tuple((at - center) / scale + side * SIDE for at, side in found))

    def check(self, truth: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
        """Training needs both classes of every label, of several classes two; validation those of one at least, so that
        tau can be chosen."""
        one_class = {
            split: [name for k, name in enumerate(names) if len(np.unique(part[:, k])) < 2]
            for split, part in truth.items()
        }
        if self.exclusive:
            multiclass.check_one({split: part for split, part in truth.items() if len(part)})
            if len(one_class["train"]) < len(names):
                multiclass.tell_missing(one_class["train"])
                one_class["train"] = []
        if not one_class["train"] and len(one_class["val"]) < len(names):
            return
        split = "train" if one_class["train"] else "val"
        rates = {where: part.mean(axis=(0, 2), dtype=np.float64) for where, part in truth.items() if len(part)}
        lines = [
            f"{where}: {len(truth[where])} windows, prevalence {', '.join(f'{r:.4g}' for r in rate)}"
            for where, rate in rates.items()
        ]
        raise DataError(
            f"the {split} split has one class only of {', '.join(one_class[split])}\n  " + "\n  ".join(lines),
            where="labels" if self.exclusive else f"--bin-rule {self.rule} --bin-thr {self.options.bin_thr:g}",
            hint=self._other_label(split, truth),
        )

    def _other_label(self, split: str, truth: Mapping[str, np.ndarray]) -> str:
        """What to do where a split has one class only."""
        share = None if not self.in_time else larger_val(truth) if split == "val" else smaller_val(truth)
        if share is not None:
            told = "reaches back to the other class" if split == "val" else "leaves training some of the other class"
            return f"--val-ratio {share:.3g} {told}; or another threshold"
        if self.in_time and self.exclusive:  # as of meat that spoils once, where no cut leaves each part two classes
            return "--header yes takes each line of a CSV as an example of its own, not as a step of time"
        if self.in_time and any(len(np.unique(part)) > 1 for part in truth.values()):
            return "another threshold or label; a class that never occurs in training cannot be learned"
        if any(len(np.unique(part)) > 1 for part in truth.values()) or self.options.bin_rule == "quantile":
            other = "another threshold, " * (not self.exclusive)
            return f"{other}another --seed, or a larger --val-ratio; a class that never occurs cannot be learned"
        other = "--label-src-ch last (or first, or a name) takes that column for the label"
        return f"{other}; --bin-rule quantile --bin-thr 0.8 learns the highest fifth"

    def truth(self, raw: np.ndarray) -> np.ndarray:
        return self._binarise(raw, self.fitted["threshold"])

    def _binarise(self, raw: np.ndarray, threshold: Sequence[float]) -> np.ndarray:
        """1 where the rule holds, 0 where not, NaN where the label is unknown; float32."""
        cut = np.asarray(threshold, raw.dtype)[:, None]
        known = np.isfinite(raw)
        value = np.where(known, raw, 0)
        if self.rule == "nonzero":
            true = value != 0
        else:
            true = value < cut if self.rule == "lt" else value > cut
        return np.where(known, true, np.nan).astype(np.float32)

    def loss(self, device: torch.device) -> Loss:
        if self.exclusive:
            return losses.cross_entropy
        weight = torch.tensor(self.fitted["pos_weight"], device=device)
        return lambda logits, y: losses.bce_soft_f1(logits, y, self.options.alpha, weight)

    def lean(self, names: Sequence[str]) -> list[float]:
        """The weight w of the true class turns a probability p into w p / (w p + 1 - p): log w more as a logit."""
        plain = self.exclusive or not self.options.alpha
        return [0.0 if plain else math.log(weight) for weight in self.fitted["pos_weight"]]

    def calibrated(self, outputs: torch.Tensor, val: Predictions, lean: Sequence[float], rows: int) -> dict[str, Any]:
        if self.options.calibration == "off" or val.truth is None:
            return {}
        return calibrated.fitted(outputs[:, :, 0], val.truth[:, :, 0], rows, lean, exclusive=self.exclusive)

    def use(self, calibration: Mapping[str, Any]) -> None:
        self.calibration = calibration

    def units(self, outputs: torch.Tensor) -> torch.Tensor:
        outputs = calibrated.applied(outputs, self.calibration)
        return outputs.softmax(dim=1) if self.exclusive else outputs.sigmoid()

    def output_schema(self, names: Sequence[str], calibration: Mapping[str, Any]) -> dict[str, Any]:
        """`exclusive`: the rows are classes, of which the likeliest counts; else each counts from its tau on."""
        return {**super().output_schema(names, calibration), "exclusive": self.exclusive}

    def val_metrics(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
        values = [
            metrics.ranking_metrics(truth[:, k].ravel(), pred[:, k].ravel())["pr_auc"] for k in range(truth.shape[1])
        ]
        known = [value for value in values if value is not None]
        found = {"pr_auc": float(np.mean(known)) if known else None}
        if self.exclusive:
            chosen = multiclass.report(truth, pred, [str(k) for k in range(truth.shape[1])])
            found |= {name: chosen[name] for name in ("accuracy", "macro_f1")}
        return found

    def choose_thresholds(
        self, val: Predictions | None, names: Sequence[str], eval_context: EvalContext | None = None
    ) -> dict[str, Any]:
        if val is None or not len(val.pred):
            return {"tau": [self.options.thresh_default] * len(names), "chosen_on": "default"}
        truth, pred = val.judged()
        best = [metrics.best_threshold(truth[:, k].ravel(), pred[:, k].ravel()) for k in range(len(names))]
        tau = [self.options.thresh_default if f1 is None else threshold for threshold, f1 in best]
        return {"tau": tau, "chosen_on": "val", "f1_on_val": [f1 for _, f1 in best]}

    def evaluate(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> dict[str, Any]:
        truth, pred = scored.judged()
        reports = []
        for k in range(len(eval_context.names)):
            y, score, tau = truth[:, k].ravel(), pred[:, k].ravel(), calibration["tau"][k]
            report = metrics.classification_report(y, score, self.options.thresh_default, tau)
            report |= {"f1_at_tau": report["f1"], "f1_at_default": report["default"]["f1"]}
            reports.append(report | {"log_loss": metrics.log_loss(y, score)})
        averaged = [*AVERAGED, *(() if self.exclusive else ("prevalence", "balanced_accuracy", "log_loss"))]
        found = per_output(eval_context.names, reports, averaged)
        if self.exclusive:
            loss = metrics.log_loss(truth[:, :, 0], pred[:, :, 0])
            return found | multiclass.report(truth, pred, eval_context.names) | {"log_loss": loss}
        if len(reports) > 1:
            accuracy = multiclass.accuracy(truth, pred, calibration["tau"], exclusive=False) if len(truth) else None
            found["accuracy"] = accuracy
        return found

    def constant_predictions(self) -> dict[str, np.ndarray]:
        rate = np.asarray(self.fitted["base_rate"], np.float32)
        likely = np.arange(len(rate)) == rate.argmax() if self.exclusive else rate > 0.5
        return {"base_rate": rate, "majority": likely.astype(np.float32)}

    def to_fit(self, eval_context: EvalContext) -> dict[str, Callable[[Index], Reference]]:
        """Logistic regressions too, for whole series and for several labels."""

        def of(name: str, frames: int) -> Callable[[Index], Reference]:
            def fit(train: Index) -> Reference:
                truth = self.truth(eval_context.raw(train))
                steps = frames or train.length
                return logistic(eval_context, train, truth, name, steps, exclusive=self.exclusive)

            return fit

        several, found = len(eval_context.names) > 1, super().to_fit(eval_context)
        frames = {name: steps for name, steps in FRAMES.items() if several or (eval_context.per_row and not steps)}
        return found | {name: of(name, steps) for name, steps in frames.items()}

    def estimator(self, seed: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            learning_rate=0.2,
            max_iter=80,
            max_leaf_nodes=8,
            max_bins=63,
            l2_regularization=5.0,
            random_state=seed,
            early_stopping=False,
        )

    def predict_with(self, estimator: Any, x: np.ndarray) -> np.ndarray:
        probability: np.ndarray = estimator.predict_proba(x)[:, -1]
        return probability

    def table(self, truth: np.ndarray, pred: np.ndarray, calibration: Mapping[str, Any]) -> Iterable[Sequence[Any]]:
        known = np.isfinite(truth)
        shown = np.where(known, truth, 0).astype(int)
        return (
            ("" if not k else t, shortest(p), int(p >= calibration["tau"]))
            for k, t, p in zip(known, shown, pred, strict=True)
        )

    def write(
        self,
        folder: Path,
        eval_context: EvalContext,
        calibration: Mapping[str, Any],
        scored: Sequence[Predictions],
        ahead: Predictions | None,
    ) -> dict[str, list[np.ndarray]]:
        if not self.exclusive:
            return super().write(folder, eval_context, calibration, scored, ahead)
        parts = [*scored, *([] if ahead is None else [ahead])]
        return multiclass.write_classes(folder / "preds.csv", eval_context, parts)

    def first_values(
        self, eval_context: EvalContext, calibration: Mapping[str, Any], part: Predictions, *, ahead: bool
    ) -> list[str]:
        if not self.exclusive:
            return super().first_values(eval_context, calibration, part, ahead=ahead)
        header, first = multiclass.shown(eval_context, islice(multiclass.lines(eval_context, part), MOST_SHOWN))
        title = "after the last step:" if ahead and not eval_context.per_row else "the first of preds.csv:"
        return printed(eval_context, [header, *first], title)

    def plots(self, folder: Path, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> None:
        if shown.scored is None or shown.scored.truth is None:
            return
        from tasks import label_viz, over_time

        (truth, pred), names = shown.scored.judged(), eval_context.names
        over_time.over_time(self.course(eval_context, calibration, shown), folder / "over_time.png", shown.title)
        if len(names) == 1:
            self._draw_one(folder, truth.ravel(), pred.ravel(), calibration["tau"][0], f"{shown.title}, {names[0]}")
            return

        marks: list[dict[str, float]] = [{} for _ in names]
        if not self.exclusive:
            marks = [{"default": self.options.thresh_default, "tau": tau} for tau in calibration["tau"]]
        label_viz.curves(folder, truth[:, :, 0], pred[:, :, 0], names, marks, shown.title)
        label_viz.reliability(folder, truth[:, :, 0], pred[:, :, 0], names, shown.title)
        if self.exclusive:
            import viz

            found = multiclass.report(truth, pred, names)
            viz.save(viz.confusion_classes_figure(found["confusion"], names, shown.title), folder / "confusion.png")
            return
        counts = [
            metrics.binary_metrics(truth[:, k, 0], pred[:, k, 0], tau) for k, tau in enumerate(calibration["tau"])
        ]
        label_viz.matrices(folder, counts, names, shown.title)

    def course(self, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> list[Frame]:
        levels = () if self.exclusive else tuple(calibration.get("tau", ()))
        return courses.of_labels(eval_context, shown, "probability", levels, "threshold τ")

    def _draw_one(self, folder: Path, y: np.ndarray, score: np.ndarray, tau: float, title: str) -> None:
        """The pictures of one label: y and score are [n]."""
        import viz
        from tasks import label_viz

        default = self.options.thresh_default
        viz.save(viz.roc_figure(y, score, title), folder / "roc_curve.png")
        viz.save(viz.pr_figure(y, score, title, tau=tau), folder / "pr_curve.png")
        viz.save(viz.hist_figure(y, score, {"default": default, "tau": tau}, title), folder / "hist_score.png")
        label_viz.reliability(folder, y[:, None], score[:, None], [""], title)
        counts = [metrics.binary_metrics(y, score, cut) for cut in (default, tau)]
        viz.save(viz.confusion_figure(counts[0], counts[1], title), folder / "confusion.png")
