"""nilm: from one meter, which appliance is on at every step, and how many watts it draws.

Outputs are K logits, K powers in units of each device's mean power when on, or both. Predictions are probabilities and
watts of every window; everything is evaluated and written on one timeline, overlapping windows averaged. The watts of a
device count where its state is on: this gate halves the error of watts alone.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from config import RunConfig, exact
from data import Series
from data import tell as tell_notes
from errors import DataError, UsageError
from pages.frames import Frame
from registry import Namespace
from sources.synthetic import appliance_series
from tasks import register
from tasks.base import Loss, Task
from tasks.nilm import course, timeline
from tasks.nilm.decisions import decisions, told
from tasks.nilm.features import FEATURES, MeterFeatures, MeterInputs, frozen_steps, seconds_of
from tasks.nilm.loss import loss_of, weight_of
from tasks.nilm.overlay import Pasted, Traces, read_traces
from tasks.nilm.reading import read_houses, without
from tasks.nilm.rules import FLAGS as RULE_FLAGS
from tasks.nilm.rules import Rules
from tasks.nilm.sample import write_sample
from tasks.nilm.states import UNKNOWN, on_states
from tasks.nilm.suited import suited
from tasks.nilm.targets import DeviceSample, DeviceTargetReader, DeviceTargets, Overlaid, constants_of
from tasks.nilm.taus import Taus
from tasks.nilm.timeline import (
    MOST_OVERLAP,
    Timeline,
    always,
    by_mains,
    judged_stride,
    kpis,
    write_devices,
    write_scales,
    write_timeline,
)
from tasks.nilm.units import doubts, gap_hint
from tasks.predictions import EvalContext, PlotInputs, Predictions, Predictor
from tasks.targets import Targets
from windows import Index, Windows

log = logging.getLogger("tsrun")
USUAL_WINDOW = 600


@register
class Nilm(Task):
    """`truth` is [n, 2K, H]: K states, then K watts; `pred` alike: K probabilities, then K watts before the gate."""

    head = "step"
    target_in_context = True
    derived = FEATURES[1:]
    summary = "summary.json"
    headline = ("macro_f1", "mae")
    opens = ("timeline.csv", "per_device_metrics.csv", "timelines.png", "energy.png")
    fitted_references = ("mains_threshold",)

    def __init__(self, options: Namespace) -> None:
        super().__init__(options)
        self.target: str = options.nilm_target
        self.features = () if "none" in options.nilm_features else tuple(options.nilm_features)
        items = (text.rpartition("=") for text in (*options.device_cols, *options.devices))
        columns = {name: item for name, _, item in items if name}
        self.rules = Rules({flag: vars(options)[flag] for flag in RULE_FLAGS}, columns)
        self.taus = Taus(options.tau, columns)
        if self.target == "power" and options.pos_weight != "sqrt":
            raise UsageError("weighs states, and --nilm-target power learns watts alone", where="--pos-weight")
        if options.overlay_from and not options.overlay:
            raise UsageError("does nothing with --overlay 0", where="--overlay-from")
        self.traces: Traces | None = None  # of other houses, to paste into training windows
        self._last: tuple[Predictions, Timeline] | None = None  # several ask for the timeline of the same predictions
        self.borrowed: tuple[str, ...] = ()  # devices read from the columns of the checkpoint's own files
        self.monitor, self.direction = ("mae", "min") if self.target == "power" else ("macro_f1", "max")

    def name_part(self) -> list[str]:
        weight = given if isinstance(given := self.options.pos_weight, str) else exact(given)
        return [self.target] if weight == "sqrt" else [self.target, f"pw{weight}"]

    def chosen(self, series: Series, config: RunConfig) -> dict[str, Any]:
        """The step as it was read, and windows and inputs that suit it."""
        found, notes = suited(series, config)
        tell_notes(notes)
        self.features = tuple(found.get("options", config.options)["nilm_features"])
        self.features = () if "none" in self.features else self.features
        return found

    def finalize_config(self, config: RunConfig, context_len: int) -> dict[str, Any]:
        """H is the window. A stride that is not given is a tenth of a usual window, else half of it."""
        self.horizon = context_len
        whole = {"split_mode": "group"} if config.npz and "split_mode" not in config.given else {}  # a row is a window
        if config.mode == "infer":  # every window is evaluated, at the stride that training evaluated at
            return {"stride": judged_stride(config.stride, context_len)}
        if "stride" in config.given:
            return whole
        usual = context_len == USUAL_WINDOW or (config.mode == "train" and not {"context_len", "npz"} & config.given)
        return whole | {"stride": max(context_len // (MOST_OVERLAP if usual else 2), 1)}

    def outputs(self, names: Sequence[str]) -> int:
        return len(names) * (2 if self.target == "both" else 1)

    def setting(self, config: RunConfig) -> dict[str, Any]:
        return {"target": self.target, "resample": config.resample, "stride": config.stride}

    # --- data --------------------------------------------------------------------------------------------------------

    def demo(self, seed: int) -> Series:
        return appliance_series(days=10, seed=seed, step_seconds=30)

    def sample(self, folder: Path) -> list[str]:
        return write_sample(folder)

    def read(self, config: RunConfig, columns: Sequence[str] | None) -> Series:
        series, self.borrowed = read_houses(self.options, config, columns)
        self.rules.settle(seconds_of(series), self.start)
        on_w = {name: self.rules.of(name, series.channels[1:]).on_w for name in series.channels[1:]}
        if self.options.overlay_from and config.mode != "infer":
            self.traces = read_traces(self.options, config, series, self.rules)
            series = replace(series, notes=(*series.notes, self.traces.note))
        return replace(series, notes=(*series.notes, *doubts(series, on_w)))

    def match(self, series: Series, config: RunConfig, same_place: bool) -> Series:
        return series if same_place or not self.borrowed else without(series, self.borrowed, self.options, config)

    def absent(self, wanted: Sequence[str], outputs: Sequence[str], config: RunConfig, series: Series) -> int:
        return 0 if set(outputs) & set(series.channels) else len(outputs)

    def targets(self, series: Series, config: RunConfig) -> DeviceTargets:
        """States and watts of every device. DataError where training has no reading of one, or any run none of all."""
        names, watts = series.channels[1:], series.values[1:]
        unknown = [name for name, power in zip(names, watts, strict=True) if np.isnan(power).all()]
        if unknown and (config.mode == "train" or len(unknown) == len(names)):
            raise DataError(f"no readings of {', '.join(unknown)}", where="--device-cols")
        rules = [self.rules.of(name, names).values for name in names]
        on_w, least_on, least_off = np.array(rules).T
        states = np.empty(watts.shape, np.int8)
        for row in range(series.n_rows):
            part = slice(series.offsets[row], series.offsets[row + 1])
            seconds = seconds_of(series)
            states[:, part] = on_states(watts[:, part], on_w, least_on, least_off, seconds)
            if self.options.drop_flatlines:
                states[:, part][:, frozen_steps(series, row, config)] = UNKNOWN
        absent = np.stack([np.logical_and.reduceat(np.isnan(power), series.offsets[:-1]) for power in watts])
        return DeviceTargets(watts, tuple(names), per_row=False, states=states, offsets=series.offsets, absent=absent)

    def inputs(self, series: Series, config: RunConfig, targets: Targets | None) -> list[int]:
        return [0]

    def gap_hint(self, series: Series, config: RunConfig, span: int) -> tuple[str, str]:
        return f"--max-ffill {self.options.max_ffill:g}", gap_hint(series, span)

    def derived_features(self, series: Series) -> MeterFeatures:
        return MeterFeatures(series, self.features)

    def for_training(self, windows: Windows) -> Windows:
        inputs, targets = windows.inputs, windows.targets
        if not self.options.overlay or not isinstance(inputs, MeterInputs):  # contexts of a frozen encoder stay
            return windows
        assert isinstance(targets, DeviceTargetReader)
        if self.traces is None:
            return Overlaid(inputs, targets, windows.index, self.options.overlay)
        pasted = Pasted(inputs, targets, windows.index, self.options.overlay)
        pasted.traces = self.traces
        return pasted

    def judged_stride(self, config: RunConfig) -> int:
        assert config.context_len is not None
        return judged_stride(config.stride, config.context_len)

    # --- what is learned ---------------------------------------------------------------------------------------------

    def learn_constants(
        self, truth: DeviceSample, names: Sequence[str], kept: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Shares of time on, and the power when on: its mean, and a peak to clip at."""
        rules = zip(*(self.rules.of(name, names).values for name in names), strict=True)
        return constants_of(truth, kept) | dict(zip(RULE_FLAGS, map(list, rules), strict=True))

    def check(self, truth: Mapping[str, Any], names: Sequence[str]) -> None:
        """Refuse devices that are never on in training, by name: there is nothing to learn of them but to say nothing.

        A device that a house does not have, and one whose runs come from other houses, is not meant.
        """
        rates = zip(names, truth["train"].on_rates(), strict=True)
        elsewhere = [] if self.traces is None else [n for n, runs in zip(names, self.traces.runs, strict=True) if runs]
        never = [name for name, rate in rates if rate == 0 and name not in elsewhere]
        if never:
            words = self.options.device_cols or self.options.devices or names
            left = [shlex.quote(word) for word in words if word.partition("=")[0] not in never and word not in never]
            flag = "--devices" if self.options.devices else "--device-cols"
            lower = f"--on-w {shlex.quote(f'{never[0]}=5')} has it on from 5 W"
            hint = f"{flag} {' '.join(left)} leaves it out" if left else lower
            raise DataError(f"never on in training, so nothing to learn: {', '.join(never)}", where=flag, hint=hint)

    def on_fitted(self) -> None:
        """Take thresholds that were changed after training: the probabilities of watts alone are made from them."""
        if (start := self.rules.start) is not None:
            self.fitted["on_w"] = [self.rules.of(name, start.outputs).on_w for name in start.outputs]

    def truth(self, raw: Any) -> Any:
        return raw

    def loss(self, device: torch.device) -> Loss:
        ratio = torch.tensor(self.fitted["pos_weight"], device=device)
        return loss_of(self.target, weight_of(ratio, self.options.pos_weight))

    def units(self, outputs: torch.Tensor) -> torch.Tensor:
        mean = torch.tensor(self.fitted["on_mean"], dtype=outputs.dtype, device=outputs.device)[:, None]
        if self.target == "both":
            logits, power = outputs.chunk(2, dim=1)
            found = [torch.sigmoid(logits), torch.relu(power) * mean]
        elif self.target == "state":
            found = [torch.sigmoid(outputs), mean.expand_as(outputs)]
        else:
            watts = torch.relu(outputs) * mean
            on_w = torch.tensor(self.fitted["on_w"], dtype=outputs.dtype, device=outputs.device)[:, None]
            found = [watts / (watts + on_w), watts]  # a half at the threshold
        return torch.cat(found, dim=1)

    def output_schema(self, names: Sequence[str], calibration: Mapping[str, Any]) -> dict[str, Any]:
        """A device's watts count where its probability reaches its tau."""
        rows = [{"name": name, "what": what} for what in ("probability", "watts") for name in names]
        return {"rows": rows, "calibration": dict(calibration)}

    # --- evaluation --------------------------------------------------------------------------------------------------

    def val_metrics(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
        """Over windows, at 0.5: fast enough for every epoch; the summary uses the timeline."""
        (states, watts), (score, estimate) = np.split(truth, 2, axis=1), np.split(pred, 2, axis=1)
        true, on = states == 1, (score >= 0.5) & ~np.isnan(states)
        hits, mass = (part.sum(axis=(0, 2)) for part in (true & on, true.astype(np.int32) + on))
        f1 = [2 * h / m for h, m, any_on in zip(hits, mass, true.any(axis=(0, 2)), strict=True) if any_on]
        mae = float(np.nanmean(np.abs(estimate * on - watts), dtype=np.float64))
        return {"macro_f1": float(np.mean(f1)) if f1 else None, "mae": mae}

    def choose_thresholds(
        self, val: Predictions | None, names: Sequence[str], eval_context: EvalContext | None = None
    ) -> dict[str, Any]:
        """tau by F1 on the timeline of validation; 0.5 where it has too few runs to choose on, or for watts alone."""
        usual = "half of the way to --on-w" if self.target == "power" else ""
        return self.taus.choose(None if val is None else Timeline.of(val), names, usual)

    def recalibrated(self, calibration: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        return self.taus.again(calibration, names)

    def _kpis(
        self, line: Timeline, on: np.ndarray, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> dict[str, Any]:
        """All metrics, and with each device's the thresholds and rules that were applied."""
        found, names = kpis(line, on, calibration["tau"], eval_context), eval_context.names
        for name, decision in decisions(self.rules, calibration, names).items():
            found["devices"][name] |= decision.plain()
        return found

    def _states(self, line: Timeline, tau: Sequence[float], eval_context: EvalContext) -> np.ndarray:
        """The predicted states [K, n] with thresholds [K], after the duration rules that the truth follows."""
        names = eval_context.names
        least_w = [self.rules.of(name, names).least_w if self.target == "both" else 0.0 for name in names]
        return line.states(tau, self.rules.steps(names, seconds_of(eval_context.series)), least_w)

    def _line(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> tuple[Timeline, np.ndarray]:
        """The timeline of predictions, and the states that they say."""
        if self._last is None or self._last[0] is not scored:
            self._last = scored, Timeline.of(scored)
        return self._last[1], self._states(self._last[1], calibration["tau"], eval_context)

    def evaluate(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> dict[str, Any]:
        line, on = self._line(scored, calibration, eval_context)
        found = self._kpis(line, on, calibration, eval_context)
        return {"n": len(scored.pred), "steps": len(line.at)} | found

    def references(self, eval_context: EvalContext, train: Index | None, val: Index | None) -> dict[str, Predictor]:
        """Nothing on, everything on, and the mains at the threshold with the best F1 of a device in training."""
        mean = np.asarray(self.fitted["on_mean"], np.float32)
        predictors = {"all_zero": always(0.0, mean), "all_on": always(1.0, mean)}
        if train is not None and eval_context.targets is not None:
            predictors["mains_threshold"] = by_mains(eval_context, train, mean)
        return predictors

    # --- files -------------------------------------------------------------------------------------------------------

    def write(
        self,
        folder: Path,
        eval_context: EvalContext,
        calibration: Mapping[str, Any],
        scored: Sequence[Predictions],
        ahead: Predictions | None,
    ) -> None:
        log.info("%s", told(decisions(self.rules, calibration, eval_context.names), calibration))
        write_scales(folder, eval_context, self.fitted["on_mean"])
        for part in scored:
            line, on = self._line(part, calibration, eval_context)
            write_timeline(folder / "timeline.csv", eval_context, line, on)
            timeline.write_energy(folder / "energy.csv", eval_context, line, on)
            if line.on is not None:
                write_devices(folder, self._kpis(line, on, calibration, eval_context))

    def shown(self, names: Sequence[str], coverage: float | None = None) -> dict[str, str]:
        return {"macro_f1": "macro_f1", "mae [W]": "mae"}

    def first_values(
        self, eval_context: EvalContext, calibration: Mapping[str, Any], part: Predictions, *, ahead: bool
    ) -> list[str]:
        """kWh and minutes of every device, over all that was covered."""
        return timeline.used(*self._line(part, calibration, eval_context), eval_context)

    def plots(self, folder: Path, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> None:
        if shown.scored is not None:
            from tasks.nilm import plots

            line, on = self._line(shown.scored, calibration, eval_context)
            tau, length = calibration["tau"], shown.scored.index.length

            def states_at(cut: float) -> np.ndarray:
                return self._states(line, [cut] * len(tau), eval_context)

            plots.draw(folder, eval_context, line, on, tau, states_at, length, shown.title)

    def course(self, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> list[Frame]:
        made = None if shown.scored is None else self._line(shown.scored, calibration, eval_context)
        return [] if made is None else course.frames(eval_context, *made, calibration["tau"])
