"""Inference: a checkpoint and new files give predictions, and metrics where the label is known. Nothing is refitted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import checkpoint
import dataset
import finetune
import results
import splits
import tasks
from backbones import ForecastSpec
from config import RunConfig
from data import Series
from dataset import DeviceData, RunData
from errors import CheckpointError, DataError, UsageError
from evaler import Evaluator, References
from hardware import Precision, Runner, compile_model
from rundir import RunDir, run_name, write_json
from scaler import Scaler
from splits import Split
from tasks.base import PlotInputs, Predictions, Task
from windows import Index

log = logging.getLogger("tsrun")


def infer(config: RunConfig, argv: Sequence[str], device: torch.device) -> tuple[dict[str, Any], Path]:
    """Predict with a checkpoint; (the summary's content, the run's directory)."""
    job = prepare(config, device)
    config = job.config
    name = run_name(config, channels=job.run_data.series.n_channels, task_part=job.task.name_part())
    if config.dry_run:
        return {"dry_run": name} | job.sizes(), Path(config.out) / name
    with RunDir(config.out, name, overwrite=config.overwrite) as place:
        content = job.run(place.path, name, argv)
        place.commit()
    return content, place.final


def prepare(config: RunConfig, device: torch.device) -> Inference:
    """The checkpoint and the data that a configuration names, laid over each other; nothing is predicted yet."""
    stored = checkpoint.load(checkpoint.find(config.ckpt))
    config = finetune.adopt_checkpoint(config, stored)
    task = tasks.build(config.task, config.options)
    config = task.finalize_config(config)
    series, timings = dataset.load(config, task, stored["input_channels"])
    lacking = 0 if stored["per_row"] else task.absent(stored["input_channels"], stored["outputs"], config, series)
    finetune.check_files(stored, config, series, task.derived, lacking)
    known = _label_known(stored, series, lacking)
    run_data = dataset.open_run_data(config, task, series, timings, label_known=known, per_row=stored["per_row"])
    finetune.check_checkpoint(stored, run_data)
    return Inference(run_data, task, stored, device)


def _label_known(stored: Mapping[str, Any], series: Series, lacking: int) -> bool:
    """Whether these files hold the label: one given per row, or the channel that the model was trained to predict."""
    if stored["per_row"]:
        return series.labels is not None
    if series.labels is not None:
        raise CheckpointError("predicts a channel's next value, not one label a row", where="--labels")
    return not lacking


class Inference:
    """One checkpoint over one run_data."""

    def __init__(self, run_data: RunData, task: Task, stored: Mapping[str, Any], device: torch.device) -> None:
        self.run_data, self.task, self.stored, self.device = run_data, task, stored, device
        self.config = run_data.config
        self.names: list[str] = stored["outputs"]
        task.on_fitted(stored["fitted"])
        self.calibration: dict[str, Any] = stored["calibration"] or task.choose_thresholds(None, self.names)
        sources = [source.sha256 for source in run_data.series.sources]
        demo = self.config.demo and stored["config"]["demo"] and self.config.seed == stored["config"]["seed"]
        self.known_files = demo or (bool(sources) and sources == stored["sources"])
        self.some_known = self.known_files or not set(sources).isdisjoint(stored["sources"])
        self.made = self._make_split()
        self.split = self.config.eval_split or "all"
        self.index = self.index_of(self.split)
        if not len(self.index) and not len(run_data.ahead):
            dataset.check_windows(run_data)
            raise DataError("no row ends with a whole context", where="--csv")
        if run_data.series.known and not len(run_data.ahead):
            log.warning(
                "warning: nothing is forecast past the end: %s must be given for the %d steps after it, in lines that "
                "leave the other columns empty",
                ", ".join(run_data.series.known),
                task.horizon,
            )

    def _make_split(self) -> Split | None:
        """The split of training, when these are its files."""
        if not self.known_files or self.run_data.targets is None:
            return None
        if "rows" in self.stored["split"]:
            return splits.of_rows(self.run_data.index, self.stored["split"], self.run_data.series.n_rows)
        return dataset.make_splits(self.run_data)[-1]

    def index_of(self, split: str) -> Index:
        """Windows with a known label in a split that is made as it was in training; `all` of them."""
        if split == "all" or self.run_data.targets is None:
            return self.run_data.index
        if not self.known_files:
            log.warning("warning: these are not the files of training; --eval-split all scores every row of them")
        index = (self.made or dataset.make_splits(self.run_data)[-1])[split]
        if not len(index):
            raise UsageError("the checkpoint's run had no test split", where=f"--eval-split {split}")
        return index

    def _selection(self, split: str) -> str:
        if not self.known_files:
            return "includes files of training" if self.some_known else "files that were no part of training"
        return results.SELECTION[split]

    def sizes(self) -> dict[str, Any]:
        """What `--dry-run` prints."""
        spec = self.stored["model"]
        return {
            "windows": {self.split: len(self.index), "next step": len(self.run_data.ahead)},
            "model": {key: spec[key] for key in ("backbone", "channels", "length")},
            "memory": {"data_bytes": 2 * self.run_data.series.values.nbytes},
        }

    def run(self, folder: Path, run: str, argv: Sequence[str]) -> dict[str, Any]:
        """Predict, score where the label is known, write; the content of the summary."""
        precision = Precision.choose(self.config.amp, self.device)
        model = finetune.model_from(self.stored).to(self.device).eval()
        device_data = self.device_data()
        runner, warning = compile_model(model, self.config.compile, partial(self._try_out, device_data, precision))
        evaluator = Evaluator(device_data, runner, precision, self.config.batch_size)
        labelled = self.run_data.targets is not None
        self.parameters = sum(p.numel() for p in model.parameters())
        with self.run_data.timed("predict"):
            past = evaluator.score(self.index, label_known=labelled) if len(self.index) else None
            ahead = evaluator.score(self.run_data.ahead, label_known=False) if len(self.run_data.ahead) else None
        scored = past if labelled else None
        with self.run_data.timed("evaluate"):
            content = self._summary(device_data, scored, run)
        write_json(folder / self.task.summary, content)
        with self.run_data.timed("artifacts"):
            parts = [] if past is None else [past]
            self.task.write(folder, device_data.eval_context(self.names), self.calibration, parts, ahead)
            if self.config.plots:
                self._draw(evaluator, past, ahead, folder, run, content["references"])
        self._describe(folder, argv, precision, precision.warnings() + [warning] * bool(warning))
        return content

    def device_data(self) -> DeviceData:
        ahead, known = self.stored["model"].get("ahead"), self.stored.get("known_scaler")
        return DeviceData(
            self.run_data,
            self.task,
            self.stored["fitted"],
            Scaler.of(self.stored["scaler"]),
            self.device,
            None if ahead is None else ForecastSpec.of(ahead),
            None if known is None else Scaler.of(known),
        )

    def _try_out(self, device_data: DeviceData, precision: Precision, runner: Runner) -> None:
        over = device_data.windows(self.index if len(self.index) else self.run_data.ahead)
        with torch.no_grad(), precision.autocast():
            positions, _ = next(over.in_order(self.config.batch_size))
            runner(*(part.to(self.device) for part in over.seen(positions)))

    def _summary(self, device_data: DeviceData, scored: Predictions | None, run: str) -> dict[str, Any]:
        scores, beside = None, {}
        if scored is not None:
            scores = self.task.evaluate(scored, self.calibration, device_data.eval_context(self.names))
            if self.config.reference == "auto":
                trivial = References(device_data, self.names, train=None)
                default = self.task.choose_thresholds(None, self.names)  # of a run stopped before it had chosen
                beside = trivial.judge(scored, dict.fromkeys(trivial.makers, default) | self.stored["references"])
        return results.summary(
            self.task,
            self.config,
            run=run,
            split=self.split,
            selection=self._selection(self.split),
            scores=scores,
            references=beside,
            calibration=self.calibration,
            channels=self.run_data.series.n_channels,
            parameters=self.parameters,
            seconds=self.run_data.timings["predict"],
        )

    def _draw(
        self,
        evaluator: Evaluator,
        past: Predictions | None,
        ahead: Predictions | None,
        folder: Path,
        run: str,
        beside: Mapping[str, Any],
    ) -> None:
        split = self.config.plot_split or self.split
        same = split == self.split or past is None
        drawn = past if same else evaluator.score(self.index_of(split))
        shown = PlotInputs(self.config.backbone, f"{run} ({split})", drawn, ahead, beside if same else {})
        self.task.plots(folder, evaluator.device_data.eval_context(self.names), self.calibration, shown)

    def _describe(self, folder: Path, argv: Sequence[str], precision: Precision, warnings: list[str]) -> None:
        results.write_config(folder / "config.yaml", self.config)
        seen = 0 if self.made is None else len(np.intersect1d(self.index.targets(), self.made.train.targets()))
        split = {
            "scored": self.split,
            "windows": len(self.index),
            "files_of_training": self.known_files,
            "overlap": seen,  # scored targets that training saw
        }
        model = {
            "checkpoint": str(checkpoint.find(self.config.ckpt)),
            "schema": self.stored["schema"],
            "parameters": self.parameters,
        }
        write_json(
            folder / "manifest.json",
            results.manifest(
                self.run_data, argv, device=self.device, precision=precision.name, warnings=warnings,
                model=model, split=split,
            ),
        )  # fmt: skip
