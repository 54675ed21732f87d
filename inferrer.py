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
import finetune
import results
import scene as scenes
import splits
import tasks
from config import RunConfig
from data import Series
from errors import CheckpointError, DataError, UsageError
from evaler import Evaluator, References, Scored
from hardware import Precision, Runner, compile_model
from rundir import RunDir, run_name, write_json
from scaling import Scaler
from scene import Scene, Stage
from splits import Split
from tasks._task import Task
from windows import Index

log = logging.getLogger("tsrun")


def infer(config: RunConfig, argv: Sequence[str], device: torch.device) -> tuple[dict[str, Any], Path]:
    """Predict with a checkpoint; (the summary's content, the run's directory)."""
    stored = checkpoint.load(checkpoint.find(config.ckpt))
    config = finetune.adopt_checkpoint(config, stored)
    task = tasks.build(config.task, config.options)
    series, timings = scenes.load(config, task)
    finetune.check_files(stored, config, series.n_channels)
    scene = scenes.open_scene(
        config, series, timings, label_known=_label_known(config, stored, series), per_row=stored["per_row"]
    )
    finetune.check_checkpoint(stored, scene)
    job = _Inference(scene, task, stored, device)
    name = run_name(config, channels=series.n_channels, task_part=task.name_part())
    if config.dry_run:
        return {"dry_run": name} | job.sizes(), Path(config.out) / name
    with RunDir(config.out, name, overwrite=config.overwrite) as place:
        content = job.run(place.path, name, argv)
        place.commit()
    return content, place.final


def _label_known(config: RunConfig, stored: Mapping[str, Any], series: Series) -> bool:
    """Whether these files hold the label: one given per row, or the channel that the model was trained to predict."""
    if stored["per_row"]:
        return series.labels is not None
    if series.labels is not None:
        raise CheckpointError("predicts a channel's next value, not one label a row", where="--labels")
    return not (config.drop_label_from_x and series.n_channels == len(stored["input_channels"]) - 1)


class _Inference:
    """One checkpoint over one scene."""

    def __init__(self, scene: Scene, task: Task, stored: Mapping[str, Any], device: torch.device) -> None:
        self.scene, self.task, self.stored, self.device = scene, task, stored, device
        self.config = scene.config
        self.names: list[str] = stored["outputs"]
        self.calibration: dict[str, Any] = stored["calibration"] or task.calibrate(None, None, self.names)
        sources = [source.sha256 for source in scene.series.sources]
        demo = self.config.demo and stored["config"]["demo"] and self.config.seed == stored["config"]["seed"]
        self.known_files = demo or (bool(sources) and sources == stored["sources"])
        self.some_known = self.known_files or not set(sources).isdisjoint(stored["sources"])
        self.made = self._make_split()
        self.split = self.config.eval_split or "all"
        self.index = self._index(self.split)
        if not len(self.index) and not len(scene.ahead):
            scenes.check_windows(scene)
            raise DataError("no row ends with a whole context", where="--csv")

    def _make_split(self) -> Split | None:
        """The split of training, when these are its files."""
        if not self.known_files or self.scene.plane is None:
            return None
        if "rows" in self.stored["split"]:
            return splits.of_rows(self.scene.index, self.stored["split"], self.scene.series.n_rows)
        return scenes.make_splits(self.scene)[-1]

    def _index(self, split: str) -> Index:
        """Windows with a known label in a split that is made as it was in training; `all` of them."""
        if split == "all" or self.scene.plane is None:
            return self.scene.index
        if not self.known_files:
            log.warning("warning: these are not the files of training; --eval-split all scores every row of them")
        index = (self.made or scenes.make_splits(self.scene)[-1])[split]
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
            "windows": {self.split: len(self.index), "next step": len(self.scene.ahead)},
            "model": {key: spec[key] for key in ("backbone", "channels", "length")},
            "memory": {"data_bytes": 2 * self.scene.series.values.nbytes},
        }

    def run(self, folder: Path, run: str, argv: Sequence[str]) -> dict[str, Any]:
        """Predict, score where the label is known, write; the content of the summary."""
        precision = Precision.choose(self.config.amp, self.device)
        model = finetune.model_from(self.stored).to(self.device).eval()
        stage = Stage(self.scene, self.task, self.stored["fitted"], Scaler.of(self.stored["scaler"]), self.device)
        runner, warning = compile_model(model, self.config.compile, partial(self._try_out, stage, precision))
        evaluator = Evaluator(stage, runner, precision, self.config.batch_size)
        labelled = self.scene.plane is not None
        self.parameters = sum(p.numel() for p in model.parameters())
        with self.scene.timed("predict"):
            parts = [evaluator.score(self.index, label_known=labelled)] if len(self.index) else []
            parts += [evaluator.score(self.scene.ahead, label_known=False)] if len(self.scene.ahead) else []
        scored = parts[0] if labelled and len(self.index) else None
        with self.scene.timed("evaluate"):
            content = self._summary(stage, scored, run)
        write_json(folder / self.task.summary, content)
        with self.scene.timed("artifacts"):
            results.write_predictions(folder / "preds.csv", self.task, self.scene, self.names, self.calibration, parts)
            if scored is not None:
                self._draw(evaluator, scored, folder, run)
        self._describe(folder, argv, precision, precision.warnings() + [warning] * bool(warning))
        return content

    def _try_out(self, stage: Stage, precision: Precision, runner: Runner) -> None:
        over = stage.windows(self.index if len(self.index) else self.scene.ahead)
        with torch.no_grad(), precision.autocast():
            positions, _ = next(over.in_order(self.config.batch_size))
            runner(over.contexts(positions).to(self.device))

    def _summary(self, stage: Stage, scored: Scored | None, run: str) -> dict[str, Any]:
        scores, beside = None, {}
        if scored is not None:
            assert scored.truth is not None
            scores = self.task.evaluate(scored.truth, scored.pred, self.calibration, self.names)
            if self.config.reference == "auto":
                trivial = References(stage, self.names, train=None)
                default = self.task.calibrate(None, None, self.names)  # of a run stopped before it had chosen
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
            channels=self.scene.series.n_channels,
            parameters=self.parameters,
            seconds=self.scene.timings["predict"],
        )

    def _draw(self, evaluator: Evaluator, scored: Scored, folder: Path, run: str) -> None:
        split = self.config.plot_split or self.split
        drawn = scored if split == self.split else evaluator.score(self._index(split))
        assert drawn.truth is not None
        self.task.plots(folder, drawn.truth, drawn.pred, self.calibration, f"{run} ({split})")

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
                self.scene, argv, device=self.device, precision=precision.name, warnings=warnings,
                model=model, split=split,
            ),
        )  # fmt: skip
