"""forecast: the next H steps of the channels themselves.

Models see and predict standardised channels (mean and deviation of training); metrics are given on that scale, as the
field publishes them, and in the units of the data. Every forecast is compared with repeat-last, seasonal-naive and a
closed-form ridge. Intervals are split-conformal, from validation.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

import losses
from backbones import ForecastSpec
from backbones.period import period_of_pieces
from config import RunConfig, exact
from data import Series
from errors import DataError, UsageError, listed, no_channel
from pages.frames import Frame
from registry import Namespace
from scaler import moments
from sources import datasets, levels, reading
from sources.synthetic import load_series
from tasks import register
from tasks.base import Loss, Task
from tasks.forecast import bounds, course, intervals, lookback, reach
from tasks.forecast.features import check_options, seen, tell_target, with_static
from tasks.forecast.features import free as can_be_forecast
from tasks.forecast.levels import Levels, in_units, legend, sizes, with_median
from tasks.forecast.outputs import ForecastOutputs
from tasks.forecast.references import predictors
from tasks.forecast.scale import OnScale, calm, followed, pieces_standardised, scales, sizes_at, standardised
from tasks.forecast.scores import Scored, pinball
from tasks.forecast.sums import known_mean
from tasks.predictions import EvalContext, PlotInputs, Predictions, Predictor
from tasks.targets import Course, Targets, rescaled
from tasks.units_of_names import unit_of_all
from windows import Index

FITTED = {"mean": "K", "std": "K", "period": "size", "levels": "numbers?", "bounded": "K?"}
FLAGS = {
    "horizon": {
        "default": 24,
        "within": "[1,)",
        "group": "Windows",
        "binds": True,
        "reaches": True,
        "help": "steps to forecast (H); in inference fewer than trained, or more",
    },
    "features": {
        "default": "M",
        "choices": ("M", "S", "MS"),
        "group": "Data",
        "binds": True,
        "help": "M: all channels forecast all; S: the targets forecast themselves; MS: all forecast the targets",
    },
    "target": {
        "default": (),
        "type": "str",
        "many": "+",
        "group": "Data",
        "binds": True,
        "channels": True,
        "help": "channels to forecast, from all (--features MS, without it) or from themselves (--features S)",
        "metavar": "COL",
    },
    "known_future": {
        "reads": ("long", "query"),
        "default": (),
        "type": "str",
        "many": "+",
        "group": "Data",
        "binds": True,
        "channels": True,
        "help": "columns known ahead of time: also inputs over the horizon, never forecast",
        "metavar": "COL",
    },
    "dataset": {
        "default": "",
        "choices": ("etth1", "etth2", "ettm1", "ettm2"),
        "group": "Data",
        "help": "published data set in data/ett (downloaded if missing), with its split and target",
    },
    "preset": {
        "default": "",
        "choices": ("etth", "ettm"),
        "group": "Split",
        "help": "published split of the ETT sets: 12, 4 and 4 months of hours (etth) or quarter hours (ettm)",
    },
    "loss": {
        "default": "mse",
        "group": "Training",
        "help": "mse, l1, huber, or a class of torch.nn, on standardised channels (with --quantiles: pinball)",
    },
    "quantiles": {
        "default": (),
        "type": "float",
        "many": "+",
        "within": "(0,1)",
        "group": "Labels",
        "binds": True,
        "help": "levels to forecast, rising, such as 0.1 0.9; the point forecast is the median, given or not",
    },
    "interval": {
        "default": 0.9,
        "within": "(0,1)",
        "group": "Labels",
        "help": "coverage of the intervals, calibrated on validation (with --quantiles: first to last level)",
    },
    "floor": {
        "default": None,
        "type": "float",
        "group": "Labels",
        "help": "lowest value of forecasts, quantiles and intervals; default: 0 for what training shows is never below",
    },
    "save_preds": {
        "default": False,
        "group": "Reporting",
        "help": "write preds.npz with the forecast of every scored window",
    },
}
DEFAULTS = {
    "split_mode": "holdout",
    "val_ratio": 0.1,
    "test_ratio": 0.2,
    "backbone": "auto",
    "epochs": 10,
    "patience": 3,
    "batch_size": 128,
}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "dataset": {
        "etth1": {"csv": ("data/ett/ETTh1.csv",), "time_col": "date", "target": ("OT",), "preset": "etth"},
        "etth2": {"csv": ("data/ett/ETTh2.csv",), "time_col": "date", "target": ("OT",), "preset": "etth"},
        "ettm1": {"csv": ("data/ett/ETTm1.csv",), "time_col": "date", "target": ("OT",), "preset": "ettm"},
        "ettm2": {"csv": ("data/ett/ETTm2.csv",), "time_col": "date", "target": ("OT",), "preset": "ettm"},
    },
    "preset": {
        "etth": {"split_sizes": (8640, 2880, 2880)},
        "ettm": {"split_sizes": (34560, 11520, 11520)},
    },
    "target": {"*": {"features": "MS"}},
}
CHOSEN = {"context_len": "periods of training"}
UNUSED = {  # flag: what does the same here
    "label_src_ch": "--features S or MS with --target names what is forecast",
    "drop_label_from_x": "--features S leaves the other channels out",
    "label_offset": "--horizon says how far",
    "labels": "", "wide": "",
}  # fmt: skip

LONGEST_NAME = 40  # of targets, within a run's name


@register
class Forecast(Task):
    """Truth and predictions are standardised; `pred` is [n, K * Q, H] for Q quantile levels of each of K targets."""

    head = "forecast"
    autoregressive = in_blocks = True
    direction = "min"
    summary = "summary.json"
    headline = ("mse", "mae", "mase", "crps")
    opens = ("forecast.csv", "preds.npz", "forecast.png", "error_by_step.png")
    fitted_references = ("ridge",)
    slow_references = ("theta", "ets")
    learners = MappingProxyType({"repeat_last": "seasonal_naive --model-args period=1"})

    def __init__(self, options: Namespace) -> None:
        super().__init__(options)
        self.horizon = options.horizon
        self.longest_period: int | None = None  # the length of the context, see finalize_config
        self.dry = False  # of a dry run, which prints no score, nobody reads the period
        self.levels = Levels(tuple(options.quantiles), tuple(options.quantiles))
        self.below: dict[str, bool] = {}  # of data that the model was not trained on first
        self.monitor = "pinball" if options.quantiles else "mse"
        check_options(options)

    @property
    def steps_ahead(self) -> int:
        """The horizon that was asked for; `horizon` is that of the model."""
        return int(self.options.horizon)

    @property
    def coverage(self) -> float:
        """The share of truths that an interval should contain."""
        levels: Sequence[float] = self.options.quantiles
        return levels[-1] - levels[0] if len(levels) > 1 else float(self.options.interval)

    def name_part(self) -> list[str]:
        features, targets, levels = self.options.features, self.options.target, self.levels.asked
        parts = [f"h{self.steps_ahead}", features]
        if features != "M" and targets:
            name = "+".join(targets)
            plain = re.fullmatch(r"[\w+=,-][\w.+=,-]*", name) and len(name.encode()) <= LONGEST_NAME
            parts.append(name if plain else f"{len(targets)}targets-{zlib.crc32(name.encode()):08x}")
        return parts + (["q" + "-".join(map(exact, levels))] if levels else [])

    def chosen(self, series: Series, config: RunConfig) -> dict[str, Any]:
        """A horizon that fits into short series, and the look-back."""
        found = lookback.settings(self.targets(series, config), series, config, self.horizon)
        self.horizon = found.pop("horizon", self.horizon)
        self.options = Namespace({**vars(self.options), "horizon": self.horizon})
        return found | {"options": {**config.options, "horizon": self.horizon}}

    def finalize_config(self, config: RunConfig, context_len: int) -> dict[str, Any]:
        """Note the context's length: a longer period is of no use to a forecast from the context."""
        self.longest_period, self.dry = context_len, config.dry_run
        if self.start is not None:
            self.horizon = self.start.model.horizon
        preset = PRESETS["dataset"].get(self.options.dataset, {})
        if config.mode == "train" and self.options.target != preset.get("target"):
            tell_target(self.options.features, self.options.target, asked="features" in config.given)
        return {}

    def setting(self, config: RunConfig) -> dict[str, Any]:
        how: dict[str, Any] = {"split_sizes": list(config.split_sizes)} if config.split_sizes else {}
        how = how or {"val_ratio": config.val_ratio, "test_ratio": config.test_ratio}
        return {"horizon": self.steps_ahead, "features": self.options.features, "split_mode": config.split_mode, **how}

    # --- data --------------------------------------------------------------------------------------------------------

    def demo(self, seed: int) -> Series:
        return load_series(hours=4000, seed=seed)

    def sample(self, folder: Path) -> list[str]:
        return [*super().sample(folder), "--horizon", "2", "--val-ratio", "0.3", "--test-ratio", "0"]

    def read(self, config: RunConfig, columns: Sequence[str] | None) -> Series:
        options = self.options
        if options.dataset and config.csv == PRESETS["dataset"][options.dataset]["csv"]:
            datasets.fetch(options.dataset)
        if options.known_future and not config.time_col and not config.db:
            raise UsageError("needs a long CSV (--time-col) or --db", where="--known-future")
        if columns is None and options.features == "S" and options.target:
            for name in options.target if config.columns else ():
                if name not in config.column_of:
                    raise UsageError(f"{name!r} is not among --columns", where="--target", hint=listed(config.columns))
            columns = [*options.target, *options.known_future]
        static = () if self.start is None else levels.static(self.start.coding)
        series = reading.read(config, columns, (*options.known_future, *static), partial=False)
        return with_static(series, options.target, config, self.steps_ahead, self.start)

    def targets(self, series: Series, config: RunConfig) -> Targets:
        features, wanted = self.options.features, self.options.target
        free = can_be_forecast(series)
        names = free if features == "M" else list(wanted) or free
        if features != "M" and not wanted and len(free) > 1:
            raise UsageError(f"--features {features} needs a target", where="--target", hint=listed(free))
        if strays := {*names} - {*free}:
            raise no_channel(next(name for name in names if name in strays), free, "--target")
        number = {name: c for c, name in enumerate(series.channels)}
        numbers = [number[name] for name in names]
        whole = slice(None) if numbers == list(range(series.n_channels)) else numbers  # a view where that is possible
        filled = None if series.filled is None else series.filled[whole]
        if config.mode == "infer":
            self.below = bounds.below(series.values[whole], names)
        return Targets(series.values[whole], tuple(names), per_row=False, filled=filled)

    def inputs(self, series: Series, config: RunConfig, targets: Targets | None) -> list[int]:
        assert targets is not None
        number = {name: c for c, name in enumerate(series.channels)}
        names = seen(series, targets.names, self.options.features, config.backbone, tells=config.mode != "infer")
        return [number[name] for name in names]

    def forecast_spec(self, target_channels: Sequence[int], marks: int, covariates: int) -> ForecastSpec:
        levels, central = tuple(self.levels.values), self.levels.middle if self.levels.values else -1
        each = max(len(levels), 1)
        return ForecastSpec(self.horizon, tuple(target_channels), each, marks, covariates, central, (), levels)

    # --- what is learned from training -------------------------------------------------------------------------------

    def learn_constants(self, truth: Course, names: Sequence[str], kept: Mapping[str, Any] | None) -> dict[str, Any]:
        """Mean, deviation and period of the targets in training, and the quantile levels to learn."""
        if kept is not None:
            self.below = bounds.below(truth.each(), names)
            return {"levels": list(self.levels.asked)} | {key: kept[key] for key in FITTED if key in kept}
        mean, spread, _ = moments(truth.values, truth.seen).T
        mean, std = mean.tolist(), np.where(spread > 1e-15 * np.abs(mean), spread, 1).tolist()
        scaled = pieces_standardised(truth, mean, std)
        period = 1 if self.dry else period_of_pieces(scaled, self.longest_period, truth.calendar)
        levels, bounded = list(with_median(self.levels.asked)), bounds.bounded(truth, period)
        return {"mean": mean, "std": std, "period": int(period), "levels": levels, "bounded": bounded}

    def on_fitted(self) -> None:
        """Take the levels of the model: one that was trained before the median was learned too has those asked for."""
        asked, mean, std = self.options.floor, self.fitted["mean"], self.fitted["std"]
        found = self.fitted.get("bounded") or [0.0] * len(mean)
        self.floors = bounds.floors(asked, bounds.still(found, self.below) if self.below else found)
        learned, least = tuple(self.fitted.get("levels") or self.levels.asked), reach.lowest(self.floors, mean, std)
        self.levels = Levels(learned, self.levels.asked, least, asked is not None)

    def check(self, truth: Mapping[str, OnScale], names: Sequence[str]) -> None:
        if truth["train"].constant():
            raise DataError(f"constant in training, so there is nothing to learn: {', '.join(names)}", where="--csv")

    def truth(self, raw: Any) -> Any:
        scale = self.fitted["mean"], self.fitted["std"]
        return OnScale(raw, *scale) if isinstance(raw, Course) else standardised(raw, *scale)

    def loss(self, device: torch.device) -> Loss:
        if self.levels.values:
            levels = torch.tensor(self.levels.values, device=device)
            return lambda outputs, y: losses.pinball(outputs, y, levels)
        return losses.regression_loss(self.options.loss)

    def train_metrics(self, device: torch.device) -> dict[str, Loss]:
        """The monitor over training too, unless it is the loss itself."""
        same = self.levels.values or self.options.loss in ("mse", "MSELoss")
        return {} if same else {"mse": losses.regression_loss("mse")}

    def units(self, outputs: torch.Tensor) -> torch.Tensor:
        """Quantiles in order: sorting never raises the pinball loss (Chernozhukov, Fernandez-Val and Galichon 2010)."""
        q = len(self.levels.values)
        outputs = outputs if q < 2 else outputs.unflatten(1, (-1, q)).sort(dim=2).values.flatten(1, 2)
        return reach.raised(outputs, self.levels.least, max(q, 1))

    def continued(self, pred: np.ndarray, outputs: int) -> np.ndarray:
        std, mean = (np.asarray(self.fitted[key])[:, None] for key in ("std", "mean"))
        point = self.levels.point(pred, outputs)
        return reach.in_units(point, mean, std, np.array(self.floors)[:, None]) if self.floors else point * std + mean

    def further(self, parts: Sequence[Predictions], outputs: int) -> Predictions:
        return reach.joined(parts, self.levels, outputs, self.steps_ahead)

    def inverse_transform(self, pred: torch.Tensor) -> torch.Tensor:
        each, units = max(len(self.levels.values), 1), (self.fitted["mean"], self.fitted["std"])
        mean, std = ([value for value in part for _ in range(each)] for part in units)
        return rescaled(pred, mean, std)

    def output_schema(self, names: Sequence[str], calibration: Mapping[str, Any]) -> dict[str, Any]:
        """`margin` [K, H], in the units of the channels, widens the forecast (or the outer levels) to the interval."""
        levels = [{"what": "quantile", "level": level} for level in self.levels.values] or [{"what": "forecast"}]
        described = in_units(calibration, self.fitted["std"])
        return {"rows": [{"name": name, **level} for name in names for level in levels], "calibration": described}

    # --- evaluation --------------------------------------------------------------------------------------------------

    def val_metrics(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
        point = self.levels.point(pred, truth.shape[1])
        error = point - truth
        found: dict[str, float | None] = {"mse": known_mean(error**2), "mae": known_mean(abs(error))}
        return found | ({"pinball": pinball(truth, pred, self.levels)} if self.levels.asked else {})

    def choose_thresholds(
        self, val: Predictions | None, names: Sequence[str], eval_context: EvalContext | None = None
    ) -> dict[str, Any]:
        """Split-conformal margins [K, H] (Vovk et al. 2005; with quantile levels: Romano et al. 2019, equation 8), of
        several series in proportion to the scale of each. Neighbours count for less. See intervals.py and scale.py.
        """
        if val is None:
            return {}
        assert eval_context is not None
        how = followed(eval_context, self.fitted["period"])
        at = self._sizes_at(eval_context, val.index, how)
        alike = not any(how["power"]) and eval_context.series.n_rows == 1
        found = intervals.chosen(val, self.levels, self.coverage, names, at, alike) | how
        wild = partial(calm, eval_context, self._scales(eval_context), val.index, self.fitted["period"], how)
        return found | (wild() if "scale" in found else {})

    def width(self, calibration: Mapping[str, Any], eval_context: EvalContext, index: Index) -> float:
        """The mean margin at windows: a part that gives narrower ones was an easier time."""
        return intervals.width(calibration, self._sizes(eval_context, calibration, index))

    def _scales(self, eval_context: EvalContext) -> np.ndarray:
        """The scale of each series and channel, [N, K]."""
        return scales(eval_context, self.fitted["period"], self.fitted["std"])

    def _sizes(self, eval_context: EvalContext, calibration: Mapping[str, Any], index: Index) -> np.ndarray | None:
        """How large the margins of each window's series are [n, K]; None where all are alike."""
        if "scale" not in calibration:
            return None
        return sizes(self._sizes_at(eval_context, index, calibration), calibration["scale"])

    def _sizes_at(self, eval_context: EvalContext, index: Index, how: Mapping[str, Any]) -> np.ndarray:
        return sizes_at(eval_context, self._scales(eval_context), index, self.fitted["period"], how)

    def evaluate(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> dict[str, Any]:
        scored = reach.cut(scored, self.steps_ahead)
        size = self._sizes(eval_context, calibration, scored.index)
        judged = Scored(scored, self.levels, calibration, eval_context, self._scales(eval_context), size)
        return judged.report(self.fitted["mean"], self.fitted["std"], self.fitted["period"])

    def references(self, eval_context: EvalContext, train: Index | None, val: Index | None) -> dict[str, Predictor]:
        period, look_back = self.fitted["period"], self.longest_period or 1
        units = self.fitted["mean"], self.fitted["std"]
        return predictors(eval_context, train, val, period, look_back, self.horizon, units)

    def shown(self, names: Sequence[str], coverage: float | None = None) -> dict[str, str]:
        unit = unit_of_all(names)
        units = {"mse": "mse [std²]", "mae": "mae [std]"}
        own = {f"mae [{unit or 'as read'}]": "original.mae"}
        covered = {} if coverage is None else {f"in {100 * coverage:.3g} %": "interval.coverage"}
        return {units.get(name, name): name for name in self.headline} | own | covered

    def first_values(
        self, eval_context: EvalContext, calibration: Mapping[str, Any], part: Predictions, *, ahead: bool
    ) -> list[str]:
        """The next steps."""
        outputs = self._outputs(eval_context, calibration)
        return outputs.first_lines(calibration, reach.cut(part, self.steps_ahead)) if ahead else []

    # --- files -------------------------------------------------------------------------------------------------------

    def write(
        self,
        folder: Path,
        eval_context: EvalContext,
        calibration: Mapping[str, Any],
        scored: Sequence[Predictions],
        ahead: Predictions | None,
    ) -> dict[str, list[np.ndarray]]:
        outputs = self._outputs(eval_context, calibration)
        past = scored[0] if self.options.save_preds and scored else None
        past, ahead = (None if part is None else reach.cut(part, self.steps_ahead) for part in (past, ahead))
        return outputs.write(folder, calibration, past, ahead)

    def _outputs(self, eval_context: EvalContext, calibration: Mapping[str, Any]) -> ForecastOutputs:
        size = partial(self._sizes, eval_context, calibration)
        return ForecastOutputs(eval_context, self.levels, self.fitted, self.floors, size)

    def course(self, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> list[Frame]:
        return course.frames(self._outputs(eval_context, calibration), calibration, shown, self.steps_ahead)

    def plots(self, folder: Path, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> None:
        from tasks.forecast import viz
        from viz import save

        scored, drawn = shown.scored, shown.ahead or shown.scored
        assert drawn is not None
        report = self.evaluate(scored, calibration, eval_context) if scored and scored.truth is not None else {}
        outputs = self._outputs(eval_context, calibration)
        panels = outputs.panels(calibration, reach.cut(drawn, self.steps_ahead))
        title = shown.title if shown.ahead is None else shown.title_ahead
        figure = viz.forecast_figure(panels, legend(calibration, report.get("interval", {})), title)
        save(figure, folder / "forecast.png")
        if report:  # a reference may have the model's name
            beside = {name: row for name, row in shown.beside.items() if name != shown.name}
            outputs.draw_errors(folder / "error_by_step.png", {shown.name: report} | beside, shown.title)
