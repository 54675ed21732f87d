"""One fold: its constants, scaler and model, its training, its judgement, its files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import checkpoint
import finetune
import results
import viz
from backbones import _model
from config import RunConfig
from errors import CheckpointError, UsageError
from evaler import Evaluator, References, Scored
from hardware import Precision, peak_memory
from rundir import write_csv, write_json
from scaling import Scaler, constant_channels
from scene import Scene, Stage
from splits import NAMES, Split
from tasks._task import Task
from trainer import Progress, Trainer
from windows import Index

log = logging.getLogger("tsrun")
NOT_RESUMED = {"resume", "overwrite", "json", "quiet", "tensorboard", "dry_run", "out", "threads"}


class _Judge:
    """What the trainer asks of the task, on this fold's data."""

    def __init__(self, task: Task, fitted: Mapping[str, Any], truth: np.ndarray, device: torch.device) -> None:
        self.monitor, self.direction = task.monitor, task.direction
        self.loss = task.loss(fitted, device)
        self._task, self._fitted, self._truth = task, fitted, truth

    def watch(self, outputs: torch.Tensor) -> dict[str, float | None]:
        return self._task.watch(self._truth, self._task.decode(outputs, self._fitted))


class Learner:
    """Makes and judges the model of one fold; `stored` is the checkpoint that finetuning starts from."""

    def __init__(
        self, scene: Scene, task: Task, split: Split, device: torch.device, stored: Mapping[str, Any] | None
    ) -> None:
        self.scene, self.task, self.split, self.device, self.stored = scene, task, split, device, stored
        self.config: RunConfig = scene.config
        assert scene.plane is not None
        self.names = scene.plane.names
        raw = scene.truth_raw(split.train)
        self.fitted = task.fit(raw, self.names, None if stored is None else stored["fitted"])
        self.truth = {name: scene.truth(task, split[name], self.fitted) for name in NAMES}
        task.check(self.truth, self.names)
        for wanted in filter(None, (self.config.eval_split, self.config.plot_split)):
            self.index_of(wanted)  # a split that is not there is told before training
        self.scaler = self._scaler()
        self.precision = Precision.choose(self.config.amp, device)
        self.warnings = self.precision.warnings()
        torch.manual_seed(self.config.seed)
        self.model = self._fresh_model() if stored is None else finetune.model_from(stored)
        self.parameters = finetune.choose_parameters(self.model, self.config, stored)
        self.calibration: dict[str, Any] = {}
        self.references: dict[str, Any] = {}  # what the training-free references chose on validation

    # --- made before training --------------------------------------------------------------------------------------

    def _scaler(self) -> Scaler:
        values, train, channels = self.scene.values(), self.split.train, self.scene.channels
        constant = constant_channels(values, train, channels)
        if constant:
            log.warning("warning: constant in training, so without information: %s", ", ".join(constant))
        if self.stored is not None and not self.config.refit_scaler:
            return Scaler.of(self.stored["scaler"])
        return Scaler.fit(values, train, channels)

    def _fresh_model(self) -> _model.Model:
        assert self.config.context_len is not None
        return _model.build(
            self.config.backbone,
            len(self.scene.keep),
            self.config.context_len,
            outputs=len(self.names),
            horizon=self.task.horizon,
            head=self.task.head,
            args=self.config.model_args,
            pretrained_dir=self.config.pretrained_dir or None,
        )

    def sizes(self) -> dict[str, Any]:
        """What `--dry-run` prints: windows, parameters, and the bytes that training will hold."""
        count = sum(p.numel() for p in self.model.parameters())
        batch = min(self.config.batch_size, len(self.split.train))
        channels, length = len(self.scene.keep), self.config.context_len or 0
        return {
            "windows": {name: len(self.split[name]) for name in NAMES},
            "label_mean": {name: results.means(self.truth[name]) for name in NAMES},
            "overlap": results.describe_split(self.split, self.scene, self.truth)["overlap"],
            "parameters": count,
            "memory": {
                "data_bytes": 2 * self.scene.series.values.nbytes,
                "model_and_optimizer_bytes": 4 * 4 * count,
                "batch_bytes": 4 * batch * channels * length,
            },
        }

    # --- training --------------------------------------------------------------------------------------------------

    def run(self, folder: Path, run: str, argv: Sequence[str]) -> dict[str, Any]:
        """Train, judge and write everything into `folder`; the content of the summary file."""
        self.folder = folder
        self.stage = Stage(self.scene, self.task, self.fitted, self.scaler, self.device)
        self.model.to(self.device)
        progress = self._train()
        with self.scene.timed("evaluate"):
            content = self._judge(progress, run)
        self._describe(argv, progress, content)
        return content

    def _train(self) -> Progress:
        split, config = self.split, self.config
        judge = _Judge(self.task, self.fitted, self.truth["val"], self.device)
        board = tensorboard_writer(self.folder) if config.tensorboard else None
        trainer = Trainer(
            self.model,
            self.stage.windows(split.train),
            self.stage.windows(split.val),
            judge,
            config,
            self.precision,
            save=self._save,
            on_epoch=board,
        )
        if config.resume and (self.folder / checkpoint.LAST).is_file():
            self._restore(trainer)
        with self.scene.timed("train"):
            progress = trainer.run()
        self.warnings += trainer.warnings
        with self.scene.timed("evaluate"):
            self._calibrate(trainer)
        return progress

    def _restore(self, trainer: Trainer) -> None:
        """Go on where the interrupted run of this name stopped; its settings and data must be the same."""
        path = self.folder / checkpoint.LAST
        state = checkpoint.load(path)
        mine, theirs = _comparable(self.config.flat()), _comparable(state["config"])
        changed = sorted(key for key in mine | theirs if mine.get(key) != theirs.get(key))
        if changed:
            told = ", ".join(f"--{key.replace('_', '-')} {theirs.get(key)} (now {mine.get(key)})" for key in changed)
            raise CheckpointError(f"the interrupted run had {told}", where="--resume", hint="--overwrite starts anew")
        if state["sources"] != [source.sha256 for source in self.scene.series.sources]:
            raise CheckpointError("the files have changed since the run was interrupted", where="--resume")
        trainer.restore(state["state"], state["training"])
        log.info("resuming in epoch %d, step %d", trainer.progress.epoch + 1, trainer.progress.step + 1)

    def _calibrate(self, trainer: Trainer) -> None:
        """Choose on validation for the best weights and for the last; both checkpoints get their own choice."""
        best, last = trainer.best_state, trainer.last_state
        for kind, weights in (("last", last), ("best", best)):
            self.model.load_state_dict(weights)
            scored = self.evaluator().score(self.split.val)
            self.calibration = self.task.calibrate(scored.truth, scored.pred, self.names)
            self.references = References(self.stage, self.names, train=None).calibrate(scored, self.references)
            self._save(kind, weights, trainer.state() if kind == "last" else None)

    def evaluator(self) -> Evaluator:
        """Scores windows with the model's present weights, in float32 as inference does on any machine."""
        self.model.eval()
        size = min(self.config.batch_size, max(len(self.split.train), 1))
        return Evaluator(self.stage, self.model, Precision(self.device), size)

    def _save(self, kind: str, weights: Mapping[str, torch.Tensor], training: Mapping[str, Any] | None) -> None:
        spec = {
            "backbone": self.config.backbone,
            "channels": len(self.scene.keep),
            "length": self.config.context_len,
            "outputs": len(self.names),
            "horizon": self.task.horizon,
            "head": self.task.head,
            "args": dict(self.config.model_args),
            "pretrained": getattr(self.model.backbone, "pretrained", None),
        }
        content = {
            "config": self.config.flat(),
            "model": spec,
            "state": dict(weights),
            "scaler": self.scaler.plain(),
            "input_channels": list(self.scene.series.channels),
            "outputs": list(self.names),
            "per_row": self.scene.per_row,
            "fitted": self.fitted,
            "calibration": self.calibration,
            "references": self.references,
            "split": self.split.how,
            "sources": [source.sha256 for source in self.scene.series.sources],
            "training": None if training is None else dict(training),
        }
        checkpoint.save(self.folder / (checkpoint.BEST if kind == "best" else checkpoint.LAST), content)

    # --- judgement -------------------------------------------------------------------------------------------------

    def index_of(self, split: str) -> Index:
        """The windows of `--eval-split` or `--plot-split`."""
        if split == "all":
            return self.scene.index
        if not len(self.split[split]):
            raise UsageError("there is no test split", where=f"--eval-split {split}", hint="--test-ratio 0.2 makes one")
        return self.split[split]

    def scored_split(self) -> str:
        """The split that the summary speaks of."""
        return self.config.eval_split or ("test" if len(self.split.test) else "val")

    def _judge(self, progress: Progress, run: str) -> dict[str, Any]:
        evaluator, name = self.evaluator(), self.scored_split()
        val, scored = evaluator.score(self.split.val), evaluator.score(self.index_of(name))
        assert scored.truth is not None
        scores = self.task.evaluate(scored.truth, scored.pred, self.calibration, self.names)
        beside = {}
        if self.config.reference == "auto":
            with self.scene.timed("references"):
                trivial = References(self.stage, self.names, self.split.train)
                beside = trivial.judge(scored, trivial.calibrate(val, self.references))
        content = results.summary(
            self.task,
            self.config,
            run=run,
            split=name,
            selection=results.SELECTION[name],
            scores=scores,
            references=beside,
            calibration=self.calibration,
            channels=self.scene.series.n_channels,
            parameters=sum(p.numel() for p in self.model.parameters()),
            seconds=progress.seconds,
        )
        content |= {"best_epoch": progress.best_epoch, "epochs": progress.epoch, "best_val": progress.best}
        write_json(self.folder / self.task.summary, content)
        with self.scene.timed("artifacts"):
            self._draw(evaluator, scored, progress, run)
        return content

    def _draw(self, evaluator: Evaluator, scored: Scored, progress: Progress, run: str) -> None:
        results.write_predictions(
            self.folder / "preds.csv", self.task, self.scene, self.names, self.calibration, [scored]
        )
        drawn = evaluator.score(self.index_of(self.config.plot_split)) if self.config.plot_split else scored
        assert drawn.truth is not None
        title = f"{run} ({self.config.plot_split or self.scored_split()})"
        self.task.plots(self.folder, drawn.truth, drawn.pred, self.calibration, title)
        viz.learning_curve(
            progress.history, self.folder / "learning_curve.png", f"val_{self.task.monitor}", self.task.direction
        )
        columns = list(progress.history[0])
        write_csv(self.folder / "history.csv", columns, ([line[c] for c in columns] for line in progress.history))

    def _describe(self, argv: Sequence[str], progress: Progress, content: Mapping[str, Any]) -> None:
        results.write_config(self.folder / "config.yaml", self.config)
        model = {"parameters": content["parameters"], "peak_memory_bytes": peak_memory(self.device), **self.parameters}
        split = results.describe_split(self.split, self.scene, self.truth)
        write_json(
            self.folder / "manifest.json",
            results.manifest(
                self.scene, argv, device=self.device, precision=self.precision.name, warnings=self.warnings,
                model=model | {"best_epoch": progress.best_epoch}, split=split,
            ),
        )  # fmt: skip


def _comparable(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that an interrupted run and its continuation must share."""
    return {key: value for key, value in flat.items() if key not in NOT_RESUMED}


def tensorboard_writer(folder: Path) -> Callable[[Mapping[str, Any]], None]:
    """A function that writes an epoch's numbers as TensorBoard scalars; UsageError when the extra is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "TensorBoard is not installed", where="--tensorboard", hint="pip install -r requirements-tensorboard.txt"
        ) from None
    writer = SummaryWriter(str(folder / "tensorboard"))

    def write(line: Mapping[str, Any]) -> None:
        for name, value in line.items():
            if name != "epoch" and value is not None:
                writer.add_scalar(name, value, line["epoch"])
        writer.flush()

    return write
