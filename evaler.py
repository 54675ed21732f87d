"""Evaluation, after training and in inference: predictions, metrics, references, pictures, summary, manifest.

No window is dropped from any evaluation, and nothing is averaged over batches.
"""

from __future__ import annotations

import logging
import math
import platform
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from backbones.model import ByHistory
from config import VERSION
from dataset import DeviceData
from errors import as_typed, without_password
from hardware import Precision, Runner, begin_step, device_name, platform_name
from pages.frames import Frame
from pages.run_page import write_run
from ranks.alone import Alone
from rundir import write_config, write_csv, write_json
from settings.shards import in_runs
from tasks.blocks import MOST, Kept, Made, collected
from tasks.predictions import Numbers, PlotInputs, Predictions, Tried
from tasks.references import Reference, seconds_beside
from windows import Index, Windows

log = logging.getLogger("tsrun")
Known = dict[int, tuple[Index, torch.Tensor]]  # outputs by an index' id, which holds while the index is kept
SELECTION = {  # what the figures of a part are worth
    "train": "training windows",
    "val": "val-selected",
    "test": "chosen on val, test scored once",
    "all": "includes training windows",
}
LEARNED = "fitted on train and val"  # those of validation, where a model has learned from it too


# --- predictions -----------------------------------------------------------------------------------------------------


def predict(
    runner: Runner, windows: Windows, precision: Precision, batch_size: int, together: Alone | None = None
) -> torch.Tensor:
    """The model's outputs for every window, in order: [n, K, H] float32 on the model's device.

    `together` are the processes that share the windows out and call this at the same time; None for this one alone.
    """
    together = together or Alone()
    whole: torch.Tensor | None = None
    done = 0
    first, end = together.slice(len(windows))
    for out in batches(runner, windows, precision, together.size(batch_size), first, end):
        if whole is None:
            whole = torch.empty((end - first, *out.shape[1:]), device=out.device)
        whole[done : done + len(out)] = out
        done += len(out)
    assert whole is not None and done == end - first, "there are no windows to evaluate"
    return together.joined(whole, len(windows))


def batches(
    runner: Runner, windows: Windows, precision: Precision, batch_size: int, first: int = 0, end: int | None = None
) -> Iterator[torch.Tensor]:
    """The model's outputs for the windows in order, from `first` to before `end`, some at a time: [m, K, H]."""
    with torch.no_grad():
        for positions, count in windows.in_order(batch_size, first, end):
            seen = [part.to(precision.device, non_blocking=True) for part in windows.seen(positions)]
            begin_step()
            with precision.autocast():
                out = runner(*seen)
            yield out[:count]


class Evaluator:
    """Scores one model on windows of its data; the predictions of an index are made once.

    Parameters
    ----------
    device_data : the data as the model sees them.
    runner : the model, or what it was compiled to.
    precision : of the forward pass.
    batch_size : windows predicted at a time.
    by_history : forecasts from all that comes before the windows, in place of `runner`; see Forecaster.
    together : the processes that share the windows out and ask for the same; None for this one alone.
    """

    def __init__(
        self,
        device_data: DeviceData,
        runner: Runner,
        precision: Precision,
        batch_size: int,
        by_history: ByHistory | None = None,
        together: Alone | None = None,
    ) -> None:
        self.by_history, self.together = by_history, together
        self.device_data, self.runner, self.precision, self.batch_size = device_data, runner, precision, batch_size
        self.known: Known | None = None  # outputs that evaluators of the same weights share
        self._made: dict[int, Predictions] = {}

    def score(self, index: Index, *, label_known: bool = True) -> Predictions:
        """Predictions [n, K, H] for all n windows of `index`, with the truth unless `label_known` is False."""
        if id(index) not in self._made:
            if self.by_history is None and self.device_data.task.in_blocks:
                self._made[id(index)] = Predictions(index, self._kept(index), self._truth(index, label_known))
            else:
                self.give(index, self.outputs(index), label_known=label_known)
        return self._made[id(index)]

    def _kept(self, index: Index) -> Kept:
        """What is predicted for the windows of `index`, never all of it in memory if it is large.

        Of several processes the first has that of all, each other one its own share.
        """
        data, kept, together = self.device_data, None, self.together or Alone()
        out = Path(data.run_data.config.out)  # the system's own folder for such files may be memory
        folder, size = out if out.is_dir() else None, together.size(self.batch_size)
        first, end = together.slice(len(index))
        for outputs in batches(self.runner, data.windows(index), self.precision, size, first, end):
            pred = data.task.decode(outputs)
            kept = kept or Kept((end - first, *pred.shape[1:]), folder)
            kept.add(pred)
        assert kept is not None, "there are no windows to evaluate"
        return collected(kept, len(index), together, folder)

    def _truth(self, index: Index, label_known: bool) -> Numbers | None:
        """What is true at the windows of `index`; where it is large it is made when it is read."""
        run_data, task = self.device_data.run_data, self.device_data.task
        if not label_known or run_data.targets is None:
            return None
        shape = len(index), *run_data.truth(task, index.between(0, 1)).shape[1:]
        if not task.in_blocks or 4 * math.prod(shape) <= MOST:
            return run_data.truth(task, index)
        return Made(shape, lambda begin, end: run_data.truth(task, index.between(begin, end)))

    def outputs(self, index: Index) -> torch.Tensor:
        """The model's outputs [n, K, H] for all n windows of `index`."""
        if self.by_history is not None:
            together = self.together or Alone()
            part = index.between(*together.slice(len(index)))
            return together.joined(self.by_history(self.device_data.histories(part)), len(index))
        windows, known = self.device_data.windows(index), {} if self.known is None else self.known
        if id(index) not in known:
            known[id(index)] = index, predict(self.runner, windows, self.precision, self.batch_size, self.together)
        return known[id(index)][1]

    def give(self, index: Index, outputs: torch.Tensor, *, label_known: bool = True) -> Predictions:
        """Take outputs [n, K, H] for the n windows of `index` that were made elsewhere; returns them as predictions."""
        truth = self._truth(index, label_known)
        made = self._made[id(index)] = Predictions(index, self.device_data.task.decode(outputs), truth)
        return made


def chosen(evaluator: Evaluator, names: Sequence[str], val: Predictions | None, tried: Tried | None) -> dict[str, Any]:
    """What the task chooses for its outputs `names` on validation, or on backtests: of both what is wider.

    A validation of a season, or of an easy time, says too little of another; None for the task's defaults.
    """
    task, context = evaluator.device_data.task, evaluator.device_data.eval_context(names)
    choose = partial(task.choose_thresholds, names=names, eval_context=context)
    if val is None or tried is None:
        return choose(val)
    by_tests = choose(evaluator.give(tried.windows, tried.outputs)) | {"chosen_on": "backtests"}
    if tried.alone:
        return by_tests
    return max(choose(val), by_tests, key=lambda each: task.width(each, context, val.index))


def calibrated(
    evaluator: Evaluator, val: Index, lean: Sequence[float] | None, *, tell: bool
) -> tuple[Predictions, dict[str, Any]]:
    """Predictions for validation, and what the task then does to outputs so that probabilities are calibrated.

    `lean` is what the loss added to each of the K outputs; None for a model that was not trained by such a loss, whose
    probabilities are what it says.
    """
    data = evaluator.device_data
    data.task.use({})
    if lean is None or data.task.in_blocks:  # which calibrates nothing
        return evaluator.score(val), {}
    outputs = evaluator.outputs(val)
    evaluator.give(val, outputs)
    rows = val.witnesses(data.run_data.series.groups)
    found = data.task.calibrated(outputs, evaluator.score(val), lean, rows)
    data.task.use(found)
    if tell and found.get("probabilities"):
        log.info("probabilities: %s", found["probabilities"])
    evaluator.give(val, outputs)
    return evaluator.score(val), found


# --- references ------------------------------------------------------------------------------------------------------


class References:
    """The trivial predictors that a model is compared with, on the same windows.

    Parameters
    ----------
    device_data : the data as the model sees them.
    names : of the K outputs.
    train, val : windows for the predictors that are fitted; None in inference, where `judge` reports them as skipped.
    trained : epochs and parameters of the model, for the time that those predictors may take.
    """

    def __init__(
        self,
        device_data: DeviceData,
        names: Sequence[str],
        train: Index | None,
        val: Index | None = None,
        trained: tuple[int, int] = (0, 0),
    ) -> None:
        self.task = device_data.task
        context = device_data.eval_context(names)
        self.eval_context = replace(context, seconds=seconds_beside(train, *trained, context.shaped))
        self.predictors = self.task.references(self.eval_context, train, val)

    def choose_thresholds(
        self,
        val: Predictions,
        known: Mapping[str, Any],
        *,
        quick: bool = False,
        thin: Mapping[str, Any] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """The thresholds or margins that each predictor chooses on validation, as the model does.

        Parameters
        ----------
        val : the model's predictions on validation, for their windows and truth.
        known : {name: calibration} of predictors that have chosen; they are kept.
        quick : without those that take long. thin : of validation; with "default_threshold" they get the defaults.

        Returns
        -------
        {name: calibration} of all predictors.
        """
        left_out = {*known, *(self.task.slow_references if quick else ())}
        fresh = {name: make for name, make in self.predictors.items() if name not in left_out}
        names, choose, none = self.eval_context.names, self.task.choose_thresholds, thin.get("default_threshold")
        return {**known} | {
            n: choose(None if none else val.by(make), names, self.eval_context) for n, make in fresh.items()
        }

    def judge(self, scored: Predictions, calibrations: Mapping[str, Any]) -> dict[str, Any]:
        """{name: metrics} of each predictor on the windows that the model is scored on."""
        found: dict[str, Any] = {
            name: self.task.evaluate(scored.by(make), calibrations[name], self.eval_context)
            | (make.told if isinstance(make, Reference) else {})
            for name, make in self.predictors.items()
        }
        skipped = {"skipped": "needs the training windows, which inference does not have"}
        return found | {name: skipped for name in self.task.fitted_references if name not in found}


# --- judgement -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What is evaluated: the windows of a split, how they were chosen, and what the model cost."""

    run: str  # name of the run
    split: str
    selection: str
    parameters: int
    seconds: float


class Judge:
    """Evaluates one model and writes the files of a run: summary, predictions, pictures, config.yaml, manifest.

    Parameters
    ----------
    evaluator : scores windows with the model's weights.
    names : of the K outputs.
    calibration : thresholds or margins, chosen on validation.
    folder : where the files go.
    case : what is evaluated.
    """

    def __init__(
        self, evaluator: Evaluator, names: Sequence[str], calibration: Mapping[str, Any], folder: Path, case: Case
    ) -> None:
        self.evaluator, self.calibration, self.folder, self.case = evaluator, calibration, folder, case
        self.task, self.run_data = evaluator.device_data.task, evaluator.device_data.run_data
        self.eval_context = evaluator.device_data.eval_context(names)
        self.frames: list[Frame] = []  # what the page shows over time
        self.written: dict[str, list[np.ndarray]] = {}  # what `Task.write` said of its files

    def evaluate(self, scored: Predictions) -> dict[str, Any]:
        """The task's metrics of predictions [n, K, H] whose truth is known."""
        return self.task.evaluate(scored, self.calibration, self.eval_context)

    def summary(self, scored: Predictions | None, references: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Write the summary, metrics.json or summary.json; returns its content.

        Parameters
        ----------
        scored : predictions [n, K, H] with their truth; None where no label is known.
        references : {name: metrics} of the reference predictors.
        more : further entries.
        """
        task, config, case = self.task, self.run_data.config, self.case
        scores = {} if scored is None else self.evaluate(scored)
        lacking = set(task.headline) - scores.keys() if scored is not None else set()
        assert not lacking, f"{type(task).__name__}.evaluate gives no {', '.join(sorted(lacking))}, and headline has it"
        content = {
            "run": case.run,
            "task": config.task,
            "mode": config.mode,
            "split": case.split,
            "selection": case.selection,
            "monitor": {"name": task.monitor, "direction": task.direction},
            "headline": {name: None if scored is None else scores[name] for name in task.headline},
            "shown": task.shown(self.eval_context.names, self.calibration.get("coverage")),
            **(scores if scored is not None else {"unscored": "no label is known for these windows"}),
            "calibration": {key: v for key, v in self.calibration.items() if not isinstance(v, torch.Tensor)},
            "references": dict(references),
            "context": config.context_len,
            **task.setting(config),
            "channels": self.run_data.series.n_channels,
            "backbone": config.backbone,
            "seed": config.seed,
            "seconds": round(case.seconds, 3),
            "parameters": case.parameters,
            **({"left_out": self.run_data.left_out} if self.run_data.left_out else {}),
            **task.better(scores, references, blind=self.run_data.config.drop_label_from_x),
            **more,
        }
        write_json(self.folder / task.summary, content)
        return content

    def write(self, scored: Sequence[Predictions], ahead: Predictions | None) -> None:
        """Write the predictions [n, K, H] as the task's files; `ahead` are those past the end of every row, or None."""
        self.written = self.task.write(self.folder, self.eval_context, self.calibration, scored, ahead)

    def first_values(self, scored: Predictions | None, ahead: Predictions | None) -> list[str]:
        """The first predictions [n, K, H] as lines of text; the parameters are as in `draw`."""
        part = ahead or scored
        if part is None:
            return []
        return self.task.first_values(self.eval_context, self.calibration, part, ahead=part is ahead)

    def draw_members(self, solution: Mapping[str, Any]) -> None:
        """Draw the weights of a blend, of which `solution` has members and errors, or losses."""
        if isinstance(solution.get("members"), Mapping):  # ridge_ensemble has a number there
            from tasks.members import members  # imports matplotlib, which a run without pictures does not need

            file = "blend.png" if "loss" in solution else "members.png"
            members(solution["members"], self.folder / file, self.case.run)

    def write_history(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write the epochs' lines as history.csv, and draw them; a closed form has none."""
        if not history:
            return
        columns = list(history[0])
        write_csv(self.folder / "history.csv", columns, ([line[c] for c in columns] for line in history))
        if self.run_data.config.plots:
            import viz  # imports matplotlib, which a run without pictures does not need

            file = self.folder / "learning_curve.png"
            monitor, title = f"val_{self.task.monitor}", self.case.run
            viz.save(viz.learning_figure(history, monitor, self.task.direction, title=title), file)

    def draw(
        self,
        scored: Predictions | None,
        ahead: Predictions | None,
        references: Mapping[str, Any],
        index_of: Callable[[str], Index],
    ) -> None:
        """Write the task's pictures of --plot-split, or of the split that was scored; keep what the page shows of it.

        Parameters
        ----------
        scored : predictions [n, K, H] of the scored split; None where there are none, and none are made.
        ahead : those past the end of every row, or None.
        references : {name: metrics} on the windows of `scored`; no picture of another split shows them.
        index_of : the windows of a split.
        """
        split = self.run_data.config.plot_split or self.case.split
        same = scored is None or split == self.case.split
        drawn = scored if same else self.evaluator.score(index_of(split))
        name, title, past = self.run_data.config.backbone, f"{self.case.run} ({split})", "after the last row"
        beside = references if same else {}
        shown = PlotInputs(name, title, f"{self.case.run} ({past})", drawn, ahead, beside)
        self.frames = self.task.course(self.eval_context, self.calibration, shown)
        if self.run_data.config.plots:
            self.task.plots(self.folder, self.eval_context, self.calibration, shown)

    def describe(
        self,
        argv: Sequence[str],
        precision: Precision,
        warnings: Sequence[str],
        model: Mapping[str, Any],
        split: Mapping[str, Any],
    ) -> None:
        """Write config.yaml and manifest.json, what it takes to repeat the run and to check it; last, the page."""
        write_config(self.folder / "config.yaml", self.run_data.config)
        series = self.run_data.series
        content = {
            "command": as_typed("python run.py " + shlex.join(map(without_password, argv))),
            "versions": {
                "tsrun": VERSION,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
                "platform": platform_name(),
            },
            "device": device_name(precision.device),
            "precision": precision.name,
            "compile": self.run_data.config.compile,
            "data": {
                "rows": series.n_rows,
                "channels": list(series.channels),
                "steps": int(series.offsets[-1]),
                "files": [*(source.plain() for source in series.sources), *self.run_data.beside],
                "notes": [*self.run_data.config.notes, *series.notes],
                "left_out": self.run_data.left_out,
            },
            **self._shard(),
            "split": dict(split),
            "model": dict(model),
            "timings": {name: round(seconds, 3) for name, seconds in self.run_data.timings.items()},
            "warnings": list(warnings),
        }
        write_json(self.folder / "manifest.json", content)
        write_run(self.folder, self.frames)

    def _shard(self) -> dict[str, Any]:
        """What `tools/report.py --join` needs to know of a shard's files; {} where these are all series."""
        part = self.run_data.series.part
        if part is None:
            return {}
        lines = {file: [in_runs(each.tolist()) for each in parts] for file, parts in self.written.items()}
        told = {"number": part.shard.number, "of": part.shard.of, "series": part.total, "lines": lines}
        return {"shard": told | {"values": str(self.run_data.series.values.dtype)}}
