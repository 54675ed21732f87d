"""Inference: a checkpoint and new files give predictions, and metrics where the label is known. Nothing is fitted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import checkpoint
import data
import dataset
import restore
import splits
from checkpoint import Checkpoint
from dataset import DeviceData, RunData
from errors import CheckpointError, DataError, UsageError
from evaler import LEARNED, SELECTION, Case, Evaluator, Judge, References
from explaining.importance import explain
from hardware import Precision, Runner, compile_model
from scaler import Scaler, far_warning
from sources import beginnings, things
from splits import Split
from tasks.base import Task
from tasks.predictions import Predictions
from windows import Index

log = logging.getLogger("tsrun")
OTHER = "files that were no part of training"


class Inference:
    """One checkpoint on one run's data.

    Parameters
    ----------
    run_data : the data, with windows that suit the checkpoint (see `pipeline.open_data`).
    task : built from the checkpoint's options.
    start : the checkpoint.
    device : where the model runs.

    Raises
    ------
    UsageError : a split that does not exist.
    DataError : there is no window.
    """

    def __init__(self, run_data: RunData, task: Task, start: Checkpoint, device: torch.device) -> None:
        self.run_data, self.task, self.start, self.device = run_data, task, start, device
        self.config = run_data.config
        self.names = start.outputs
        task.load_fitted(start.fitted)
        self.calibration = restore.calibration_of(start, task)
        task.use(self.calibration)
        if len(run_data.channels) != len(start.scaler.channels):
            raise CheckpointError("the file is damaged: its settings give other channels", where=self.config.ckpt)
        hashes = run_data.series.hashes
        demo = self.config.demo and start.config["demo"] and self.config.seed == start.config["seed"]
        self.known_files = demo or (bool(hashes) and hashes == start.sources)
        self.some_known = self.known_files or not set(hashes).isdisjoint(start.sources)
        begins = start.split.get("begins", ())
        self.grown = not self.known_files and beginnings.go_on(run_data.series, run_data.keep.tolist(), begins)
        self.made = self._make_split()
        self.split = self.config.eval_split or "all"
        self.index = self.index_of(self.split)
        if not len(self.index) and not len(run_data.ahead):
            continued = run_data.target_channels and not run_data.series.known  # the end of a context is enough
            if continued or (run_data.targets is None and not run_data.per_row and not task.target_in_context):
                what = f"no row ends with a whole context: {self.config.context_len} steps without a missing value"
                longest = int(run_data.series.lengths.max(initial=0))
                short = f"; the longest has {longest}" * (longest < (self.config.context_len or 0))
                raise DataError(what + short, where="--csv")
            dataset.check_windows(run_data, task)

    def _make_split(self) -> Split | None:
        """The split of training, if these are the files of training."""
        if not self.known_files or self.run_data.targets is None:
            return None
        if "rows" in self.start.split:
            return splits.of_rows(self.run_data.judged, self.start.split, self.run_data.series.numbers)
        if "cuts" in self.start.split:
            series = self.run_data.series
            return splits.of_cuts(self.run_data.judged, series.offsets, self.start.split, series.numbers)
        self._check_whole()
        return dataset.make_splits(self.run_data)[-1]

    def index_of(self, split: str) -> Index:
        """The windows with a known label in a split, which is made as in training; all of them for `split` "all".

        UsageError where the split has no window.
        """
        if split == "all" or self.run_data.targets is None:
            return self.run_data.judged
        if not self.known_files:
            self._check_whole()
            log.warning("warning: these are not the files of training; --eval-split all scores all their rows")
        index = (self.made or dataset.make_splits(self.run_data)[-1])[split]
        if not len(index):
            raise UsageError("the checkpoint's run had no test split", where=f"--eval-split {split}")
        return index

    def _check_whole(self) -> None:
        """UsageError where a split would be made of a shard, of whose series it would be another one."""
        if self.run_data.series.part is not None:
            what = "the split of a shard would not be that of all series"
            raise UsageError(what, where=f"--shard {self.config.shard}", hint="--eval-split all")

    def _selection(self) -> str:
        if self.start.refit is not None and self.some_known:
            return "trained on all of these windows: no score"
        if not self.known_files:
            what = "files that go on from training's: includes training windows" if self.grown else OTHER
            return "includes files of training" if self.some_known else what
        return LEARNED if self.split in (self.start.learned or ()) else SELECTION[self.split]

    def _far(self) -> list[str]:
        """A warning where the inputs are far from those of training; all of them, scored or not.

        Not of rows that go on from some of many: one of these may well have a hundredth of the spread of all.
        """
        run_data, scaler = self.run_data, self.start.scaler
        if self.grown and len(self.start.split.get("begins", ())) > 1:
            return []
        if run_data.series.things is not None:
            far = things.far(run_data.series)
            return [far_warning(far)] if far else []
        total = int(run_data.series.offsets[-1])
        seen = self.index.covered(total) | run_data.ahead.covered(total)
        far = scaler.far(Scaler.fit(run_data.columns(), seen, scaler.channels), run_data.series.ones)
        return [far_warning(far)] if far else []

    def sizes(self) -> dict[str, Any]:
        """What `--dry-run` prints: windows, model and bytes of data."""
        spec = self.start.model
        return {
            "windows": {self.split: len(self.index), "next step": len(self.run_data.ahead)},
            "model": {"backbone": spec.backbone, "channels": spec.channels, "length": spec.length},
            "memory": {"data_bytes": 2 * self.run_data.series.values.nbytes},
        }

    def run(self, folder: Path, run: str, argv: Sequence[str]) -> dict[str, Any]:
        """Predict, score where the label is known, write all files into `folder`; returns the summary's content."""
        far = self._far()
        for told in far:
            log.warning("warning: %s", told)
        evaluator, count, warnings = self._evaluator()
        device_data, precision = evaluator.device_data, evaluator.precision
        labelled, timed = self.run_data.targets is not None, self.run_data.timed
        with timed("predict"):
            past = self._score(evaluator, self.index, labelled) if len(self.index) else None
            ahead = self._ahead(evaluator)
        case = Case(run, self.split, self._selection(), count, self.run_data.timings["predict"])
        judge = Judge(evaluator, self.names, self.calibration, folder, case)
        scored = past if labelled else None
        with timed("evaluate"):
            references = {} if scored is None else self._compare(device_data, scored)
            more = self._explained(evaluator, scored, folder, run)
            content = judge.summary(scored, references, **more)
        with timed("artifacts"):
            judge.write([] if past is None else [past], ahead)
            judge.draw(past, ahead, references, self.index_of)
            content["first"] = judge.first_values(past, ahead)
        self._describe(judge, argv, precision, precision.warnings() + warnings + far)
        return content

    def predict(self, folder: Path) -> None:
        """Write the predictions alone into `folder`; of a task that continues its rows, only what comes after them."""
        evaluator, count, _ = self._evaluator()
        past, labelled = self.index, self.run_data.targets is not None
        asked = len(past) and not (self.task.autoregressive and len(self.run_data.ahead))
        scored = [self._score(evaluator, past, labelled)] if asked else []
        ahead = self._ahead(evaluator)
        case = Case(folder.name, self.split, self._selection(), count, 0.0)
        Judge(evaluator, self.names, self.calibration, folder, case).write(scored, ahead)

    def _score(self, evaluator: Evaluator, index: Index, label_known: bool = False) -> Predictions:
        """The predictions of an index. DataError where one is no number: the data overflow in the model."""
        made = evaluator.score(index, label_known=label_known)
        lost = 0
        for _, part in made.blocks():
            given = np.isfinite(np.asarray(part.pred)).all(axis=(1, 2))
            if part.truth is not None:
                given &= ~np.isinf(np.asarray(part.truth)).any(axis=(1, 2))
            lost += len(given) - int(given.sum())
        if lost:
            what = f"the model gives no number for {lost:,} of {len(made.pred):,} windows: their values are too large"
            raise DataError(what, where="--csv", hint="are the units those of training?")
        return made

    def _ahead(self, evaluator: Evaluator) -> Predictions | None:
        """What comes after the end of each row, by going on from the model's own forecasts where that is asked for."""
        task, run_data, outputs = self.task, self.run_data, len(self.names)
        if not len(run_data.ahead):
            return None
        parts = [self._score(evaluator, run_data.ahead)]
        if not task.autoregressive or task.steps_ahead <= task.horizon:
            return parts[0]
        self._check_further()
        log.info("%d steps are forecast at once: the others go on from these forecasts", task.horizon)
        while len(parts) * task.horizon < task.steps_ahead:
            series, rows = run_data.series, parts[0].index.rows()
            values = np.full((series.n_rows, outputs, task.horizon), np.nan)
            values[rows] = task.continued(np.asarray(parts[-1].pred), outputs)
            wanted = task.steps_ahead - len(parts) * task.horizon
            series = data.extended(series, self.names, values, wanted)
            run_data = dataset.open_run_data(self.config, task, series, {}, label_known=run_data.targets is not None)
            if not np.array_equal(run_data.ahead.rows(), rows):
                given = f"{', '.join(series.known)} must be given for all the {task.steps_ahead} steps after the last"
                raise DataError(given, where=f"--horizon {task.steps_ahead}")
            made = DeviceData(
                run_data, task, self.start.scaler, self.device, self.start.model.forecast, self.start.known_scaler
            )
            going_on = Evaluator(
                made, evaluator.runner, evaluator.precision, evaluator.batch_size, evaluator.by_history
            )
            parts.append(self._score(going_on, run_data.ahead))
        return task.further(parts, outputs)

    def _check_further(self) -> None:
        """UsageError where the model sees channels that it does not forecast."""
        series = self.run_data.series
        others = [series.channels[c] for c in self.run_data.keep if series.channels[c] not in self.names]
        if others:
            raise UsageError(
                f"the model sees {', '.join(others[:4])}, which it does not forecast: it cannot go on by itself",
                where=f"--horizon {self.task.steps_ahead}",
                hint=f"--horizon {self.task.horizon}, or a model of --features M or S without categories",
            )

    def _evaluator(self) -> tuple[Evaluator, int, list[str]]:
        """What scores windows with the checkpoint's weights, how many there are, and a warning of the compiler's."""
        precision = Precision.choose(self.config.amp, self.device)
        model = restore.model_of(self.start).to(self.device).eval()
        device_data = self.device_data()
        mode = "off" if model.by_history is not None else self.config.compile  # nothing of such a model is compiled
        runner, warning = compile_model(model, mode, partial(self._try_out, device_data, precision))
        made = Evaluator(device_data, runner, precision, self.config.batch_size, model.by_history)
        return made, sum(p.numel() for p in model.parameters()), [warning] * bool(warning)

    def _explained(self, evaluator: Evaluator, scored: Predictions | None, folder: Path, run: str) -> dict[str, Any]:
        if not self.config.explain:
            return {}
        return explain(evaluator, None if scored is None else scored.index, folder, f"{run} ({self.split})")

    def device_data(self) -> DeviceData:
        """The data as the model of the checkpoint sees them: scaled, on the device."""
        start = self.start
        train = None if self.made is None else self.made.train
        return DeviceData(
            self.run_data, self.task, start.scaler, self.device, start.model.forecast, start.known_scaler, train
        )

    def _try_out(self, device_data: DeviceData, precision: Precision, runner: Runner) -> None:
        windows = device_data.windows(self.index if len(self.index) else self.run_data.ahead)
        with torch.no_grad(), precision.autocast():
            positions, _ = next(windows.in_order(self.config.batch_size))
            runner(*(part.to(self.device) for part in windows.seen(positions)))

    def _compare(self, device_data: DeviceData, scored: Predictions) -> dict[str, Any]:
        """The reference predictors' metrics; those that are fitted are left out."""
        if self.config.reference != "auto":
            return {}
        trivial = References(device_data, self.names, train=None)
        default = self.task.choose_thresholds(None, self.names)  # for a run that was stopped before it chose
        return trivial.judge(scored, dict.fromkeys(trivial.predictors, default) | self.start.references)

    def _describe(self, judge: Judge, argv: Sequence[str], precision: Precision, warnings: list[str]) -> None:
        known = np.zeros(0, np.int64) if self.made is None else self.made.train.targets()
        seen = int(np.isin(self.index.targets(), known).sum())
        split = {
            "scored": self.split,
            "windows": len(self.index),
            "files_of_training": self.known_files,
            "overlap": None if self.grown else seen,  # scored targets that training saw
        }
        path = str(checkpoint.find(self.config.ckpt))
        model = {"checkpoint": path, "schema": self.start.schema, "parameters": judge.case.parameters}
        judge.describe(argv, precision, warnings, model, split)
