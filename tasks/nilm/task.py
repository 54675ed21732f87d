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
from errors import UsageError
from pages.frames import Frame
from registry import Namespace
from sources.synthetic import appliance_series
from tasks import register
from tasks.base import Loss, Task
from tasks.nilm import course
from tasks.nilm.cycles import cyclic
from tasks.nilm.decisions import decisions, told
from tasks.nilm.doubts import most_often
from tasks.nilm.features import FEATURES, MeterFeatures, MeterInputs, seconds_of
from tasks.nilm.files import write_devices, write_energy, write_scales, write_timeline
from tasks.nilm.habits import habits_of, kept_or_new, meter_jumps
from tasks.nilm.levels import LEVELS, as_tensor
from tasks.nilm.loss import loss_of, weight_of
from tasks.nilm.meters import Meters, meters_of
from tasks.nilm.metrics import of_sums, sums_of_windows
from tasks.nilm.outputs import decoded
from tasks.nilm.overlay import Pasted, Traces, read_traces
from tasks.nilm.reading import read_houses, without
from tasks.nilm.references import references_of
from tasks.nilm.rules import FLAGS as RULE_FLAGS
from tasks.nilm.rules import Rules
from tasks.nilm.runs import Whole
from tasks.nilm.sample import write_sample
from tasks.nilm.suited import suited
from tasks.nilm.targets import DeviceSample, DeviceTargetReader, DeviceTargets, Overlaid, constants_of
from tasks.nilm.taus import Taus, few_runs, tell_few
from tasks.nilm.timeline import MOST_OVERLAP, Decided, Timeline, judged_stride, kpis, used
from tasks.nilm.truth import believable, standbys, targets_of
from tasks.nilm.units import doubts, gap_hint
from tasks.nilm.watts import at_rest, certain, described
from tasks.nilm.wholes import WholeRuns
from tasks.predictions import EvalContext, PlotInputs, Predictions, Predictor
from tasks.targets import Targets
from windows import Index, Windows

log = logging.getLogger("tsrun")
USUAL_WINDOW = 600
SEEDS = 3  # the default of --seeds


@register
class Nilm(Task):
    """`truth` is [n, 2K, H]: K states, then K watts; `pred` alike: K probabilities, then K watts before the gate."""

    head = "step"
    target_in_context = in_blocks = True
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
        self.copies = options.seeds
        if self.target == "power" and options.pos_weight != "sqrt":
            raise UsageError("weighs states, and --nilm-target power learns watts alone", where="--pos-weight")
        if options.overlay_from and not options.overlay:
            raise UsageError("does nothing with --overlay 0", where="--overlay-from")
        self.traces: Traces | None = None  # of other houses, to paste into training windows
        self._last: tuple[Predictions, Timeline] | None = None  # several ask for the timeline of the same predictions
        self.taken = Meters()  # what the table's columns say where no flag does
        self._last_decided: Decided | None = None  # of the last timeline
        self._habits: tuple[float, tuple[dict[int, Whole], dict[int, Whole]]] | None = None
        self.borrowed: tuple[str, ...] = ()  # devices read from the columns of the checkpoint's own files
        self.monitor, self.direction = ("mae", "min") if self.target == "power" else ("macro_f1", "max")

    def name_part(self) -> list[str]:
        weight = given if isinstance(given := self.options.pos_weight, str) else exact(given)
        parts = {f"pw{weight}": weight != "sqrt", "direct": self.options.nilm_power == "direct"}
        parts[f"seeds{self.copies}"] = self.copies != SEEDS
        return [self.target, *(part for part, shown in parts.items() if shown)]

    def chosen(self, series: Series, config: RunConfig) -> dict[str, Any]:
        """The step as it was read, and windows and inputs that suit it."""
        found, notes = suited(series, config)
        if self.taken.settings:
            found["options"] = {**found.get("options", config.options), **self.taken.settings}
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
        """A state, watts, or both for each of K devices; with levels K states, then the levels of each device."""
        more = {"levels": LEVELS, "direct": 1}[self.options.nilm_power] if self.target == "both" else 0
        return len(names) * (1 + more)

    def setting(self, config: RunConfig) -> dict[str, Any]:
        return {"target": self.target, "resample": config.resample, "stride": config.stride}

    # --- data --------------------------------------------------------------------------------------------------------

    def demo(self, seed: int) -> Series:
        return appliance_series(days=10, seed=seed, step_seconds=30)

    def sample(self, folder: Path) -> list[str]:
        return write_sample(folder)

    def read(self, config: RunConfig, columns: Sequence[str] | None) -> Series:
        self.taken = meters_of(self.options, config, columns)
        self.options = Namespace({**vars(self.options), **self.taken.settings, **self.taken.units})
        tell_notes(self.taken.notes)
        series, self.borrowed = read_houses(self.options, config, columns, self.taken.houses)
        self.rules.begin(seconds_of(series), self.start)
        series = believable(series)
        if config.mode == "train":
            series = self._above_standby(series, config)
        on_w = {name: self.rules.of(name, series.channels[1:]).on_w for name in series.channels[1:]}
        if self.options.overlay_from and config.mode != "infer":
            self.traces = read_traces(self.options, config, series, self.rules)
            series = replace(series, notes=(*series.notes, self.traces.note))
        return replace(series, notes=(*series.notes, *doubts(series, on_w)))

    def _above_standby(self, series: Series, config: RunConfig) -> Series:
        """Take thresholds above what devices draw at rest; where whole houses are held out, tell of them."""
        usual = self.rules.usual(series.channels[1:])
        found, notes = standbys(series, config, usual), []
        for name, (rest, on_w) in found.items():
            least, told = usual[name], f"{name} draws {rest:.3g} W at rest"
            if config.split_mode == "group":
                flag = f"--on-w {shlex.quote(f'{name}={on_w:g}')}"
                notes.append(f"warning: {told}, so from {least:g} W it is nearly always on; {flag} counts more")
            else:
                flag = f"--on-w {shlex.quote(f'{name}={least:g}')}"
                notes.append(f"{told}, so it is on from {on_w:g} W ({flag} for the usual {least:g} W)")
        self.rules.standbys = {} if config.split_mode == "group" else found
        return replace(series, notes=(*series.notes, *notes))

    def match(self, series: Series, config: RunConfig, same_place: bool) -> Series:
        return series if same_place or not self.borrowed else without(series, self.borrowed, self.options, config)

    def absent(self, wanted: Sequence[str], outputs: Sequence[str], config: RunConfig, series: Series) -> int:
        return 0 if set(outputs) & set(series.channels) else len(outputs)

    def targets(self, series: Series, config: RunConfig) -> DeviceTargets:
        """States and watts of every device. DataError where training has no reading of one, or any run none of all."""
        return targets_of(series, config, self.rules, self.options.drop_flatlines)

    def inputs(self, series: Series, config: RunConfig, targets: Targets | None) -> list[int]:
        return [0]

    def gap_hint(self, series: Series, config: RunConfig, span: int) -> tuple[str, str]:
        return f"--max-ffill {self.options.max_ffill:g}", gap_hint(series, span)

    def derived_features(self, series: Series) -> MeterFeatures:
        return MeterFeatures(series, self.features)

    def for_training(self, windows: Windows) -> Windows:
        inputs, targets = windows.inputs, windows.targets
        chances = (self.options.overlay, self.options.other_base, self.options.other_loads)
        if not any(chances) or not isinstance(inputs, MeterInputs):  # contexts of a frozen encoder stay
            return windows
        assert isinstance(targets, DeviceTargetReader)
        how = (inputs, targets, windows.index, *chances)
        if self.traces is None:
            return Overlaid(*how)
        pasted = Pasted(*how)
        pasted.traces = self.traces
        return pasted

    def judged_stride(self, config: RunConfig) -> int:
        assert config.context_len is not None
        return judged_stride(config.stride, config.context_len)

    # --- what is learned ---------------------------------------------------------------------------------------------

    def learn_constants(
        self, truth: DeviceSample, names: Sequence[str], kept: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Shares of time on, the power when off, and when on: its mean, a peak to clip at, and levels."""
        rules = zip(*(self.rules.of(name, names).values for name in names), strict=True)
        levels = self.target == "both" and self.options.nilm_power == "levels"
        elsewhere = {} if self.traces is None else self.traces.elsewhere(self.options.overlay, self.horizon)
        found = constants_of(truth, kept, elsewhere, levels=levels)
        found |= kept_or_new(kept or {}, truth.habits(found["on_mean"], self.rules.step))
        return found | dict(zip(RULE_FLAGS, map(list, rules), strict=True))

    def check(self, truth: Mapping[str, Any], names: Sequence[str]) -> None:
        """Tell of devices that are never on in training, by name: nothing is learned of them, they are said to be off.

        A device that a house does not have, and one whose runs come from other houses, is not meant.
        """
        never = [name for name, none in zip(names, self.fitted["never_on"], strict=True) if none == 1]
        if never:
            words = self.options.device_cols or self.options.devices or names
            words = words if len(words) == len(names) else names
            left = [shlex.quote(word) for word, name in zip(words, names, strict=True) if name not in never]
            flag = "--devices" if self.options.devices else "--device-cols"
            lower = f"--on-w {shlex.quote(f'{never[0]}=5')} has it on from 5 W"
            hint = f"{flag} {' '.join(left)} leaves it out" if left else lower
            log.warning("warning: never on in training, so left out and said to be off: %s; %s", ", ".join(never), hint)
        tell_few(dict(zip(names, truth["train"].activations(), strict=True)) if self.traces is None else {})

    def on_fitted(self) -> None:
        """Take thresholds that were changed after training: the probabilities of watts alone are made from them."""
        self._habits = self._last_decided = None
        if (start := self.rules.start) is not None:
            self.fitted["on_w"] = [self.rules.of(name, start.outputs).on_w for name in start.outputs]

    def thin(self, truth: DeviceSample, names: Sequence[str]) -> dict[str, Any]:
        """Thin where a device that is on in training has few runs in validation."""
        rates = self.fitted["base_rate"]
        runs = {name: runs for name, runs, rate in zip(names, truth.activations(), rates, strict=True) if rate > 0}
        return few_runs(runs)

    def truth(self, raw: Any) -> Any:
        return raw

    def loss(self, device: torch.device) -> Loss:
        ratio = torch.tensor(self.fitted["pos_weight"], device=device)
        levels = self.fitted.get("levels")  # a checkpoint stays what it is
        given = None if levels is None else as_tensor(levels, ratio)
        return loss_of(self.target, weight_of(ratio, self.options.pos_weight), given)

    def units(self, outputs: torch.Tensor) -> torch.Tensor:
        return decoded(self.target, outputs, self.fitted)

    def output_schema(self, names: Sequence[str], calibration: Mapping[str, Any]) -> dict[str, Any]:
        """A device's watts count where its probability reaches its tau."""
        rows = [{"name": name, "what": what} for what in ("probability", "watts") for name in names]
        return {"rows": rows, "calibration": dict(calibration)}

    # --- evaluation --------------------------------------------------------------------------------------------------

    def val_metrics(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
        """Over windows, at 0.5: fast enough for every epoch; the summary uses the timeline."""
        return of_sums(sums_of_windows(truth, pred))

    def val_sums(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, np.ndarray]:
        return sums_of_windows(truth, pred)

    def of_sums(self, sums: Mapping[str, np.ndarray]) -> dict[str, float | None]:
        return of_sums(sums)

    def choose_thresholds(
        self, val: Predictions | None, names: Sequence[str], eval_context: EvalContext | None = None
    ) -> dict[str, Any]:
        """tau by F1 on the timeline of validation; 0.5 where it has too few runs to choose on, or for watts alone."""
        usual = "half of the way to --on-w" if self.target == "power" else ""
        return self.taus.choose(None if val is None else Timeline.of(val), names, usual, self._whole()[0])

    def recalibrated(self, calibration: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        return self.taus.again(calibration, names)

    def _decided(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> tuple[Decided, dict[str, Any]]:
        """States and watts, and all metrics where the truth is known, with the thresholds and rules that applied."""
        line, names, tau = self._line(scored), eval_context.names, list(calibration["tau"])
        whole = self._whole_runs(line, eval_context)
        if self._last_decided is None or self._last_decided.line is not line or self._last_decided.tau != tau:
            how = (line, tau, self.rules, self._least_w(names), at_rest(self.fitted, len(names)), eval_context, whole)
            self._last_decided = Decided.of(*how, strict=self.target != "power")
        decided = self._last_decided
        if line.on is None:
            return decided, {}
        found = kpis(decided, eval_context) | {"rules": described(decided.limits, names)}
        for name, decision in decisions(self.rules, calibration, names, decided.whole.told()).items():
            found["devices"][name] |= decision.plain()
        return decided, found

    def _whole(self) -> tuple[dict[int, Whole], dict[int, Whole]]:
        """The devices whose runs are decided as a whole, and those that come and go day and night, as in training."""
        if self._habits is None or self._habits[0] != self.rules.step:
            habits = habits_of(self.fitted) if self.target != "power" else []
            each = [Whole.of(habit, self.rules.step, self.horizon) for habit in habits]
            cycles = [cyclic(habit, self.rules.step) for habit in habits]
            known = [{k: one for k, one in enumerate(found) if one is not None} for found in (each, cycles)]
            self._habits = self.rules.step, (known[0], known[1])
        return self._habits[1]

    def _whole_runs(self, line: Timeline, eval_context: EvalContext) -> WholeRuns:
        """Those of them that a timeline has probabilities of, with the jumps of its meter."""
        series = eval_context.series
        devices, cycles = (
            {k: one for k, one in known.items() if not certain(line.score[k])} for known in self._whole()
        )
        jumps = meter_jumps(series.values[0], line.at, line.rows, series.offsets)
        whole = WholeRuns.everywhere(devices, cycles, series.values[0, line.at], jumps, line.rows)
        shares = zip(self.fitted["base_rate"], self.fitted.get("runs") or [], strict=False)
        often = {k: most_often(share, runs) for k, (share, runs) in enumerate(shares) if not certain(line.score[k])}
        return replace(whole, most={k: most for k, most in often.items() if most < 1})

    def _least_w(self, names: Sequence[str]) -> list[float]:
        """Watts [K] that a step needs, besides its probability, to be on."""
        return [self.rules.of(name, names).least_w if self.target == "both" else 0.0 for name in names]

    def _line(self, scored: Predictions) -> Timeline:
        if self._last is None or self._last[0] is not scored:
            self._last = scored, Timeline.of(scored)
        return self._last[1]

    def evaluate(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> dict[str, Any]:
        decided, found = self._decided(scored, calibration, eval_context)
        return {"n": len(scored.pred), "steps": len(decided.line.at)} | found

    def references(self, eval_context: EvalContext, train: Index | None, val: Index | None) -> dict[str, Predictor]:
        return references_of(eval_context, train, self.fitted["on_mean"])

    # --- files -------------------------------------------------------------------------------------------------------

    def write(
        self,
        folder: Path,
        eval_context: EvalContext,
        calibration: Mapping[str, Any],
        scored: Sequence[Predictions],
        ahead: Predictions | None,
    ) -> dict[str, list[np.ndarray]]:
        written: dict[str, list[np.ndarray]] = {}
        write_scales(folder, eval_context, self.fitted["on_mean"])
        for part in scored:
            decided, found = self._decided(part, calibration, eval_context)
            how = decisions(self.rules, calibration, eval_context.names, decided.whole.told())
            log.info("%s", told(how, calibration))
            write_timeline(folder / "timeline.csv", eval_context, decided)
            written["timeline.csv"] = [np.bincount(decided.line.rows, minlength=eval_context.series.n_rows)]
            write_energy(folder / "energy.csv", eval_context, decided)
            if found:
                write_devices(folder, found)
        return written

    def shown(self, names: Sequence[str], coverage: float | None = None) -> dict[str, str]:
        return {"macro_f1": "macro_f1", "mae [W]": "mae"}

    def first_values(
        self, eval_context: EvalContext, calibration: Mapping[str, Any], part: Predictions, *, ahead: bool
    ) -> list[str]:
        """kWh and minutes of every device, over all that was covered."""
        return used(self._decided(part, calibration, eval_context)[0], eval_context)

    def plots(self, folder: Path, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> None:
        if shown.scored is not None:
            from tasks.nilm import plots

            decided, _ = self._decided(shown.scored, calibration, eval_context)
            rules = self.rules.steps(eval_context.names, seconds_of(eval_context.series))

            def states_at(cuts: Sequence[float]) -> np.ndarray:
                taus, least_w = [[cut] * len(rules) for cut in cuts], self._least_w(eval_context.names)
                on = decided.line.states(taus, rules, least_w, decided.whole)
                return np.stack([decided.line.believed(one, decided.whole) for one in on])

            plots.draw(folder, eval_context, decided, states_at, shown.scored.index.length, shown.title)

    def course(self, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> list[Frame]:
        if shown.scored is None:
            return []
        return course.frames(eval_context, self._decided(shown.scored, calibration, eval_context)[0])
