"""One fold: its constants, scaler and model, its training, its judgement, its files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import checkpoint
import finetune
import results
import windows
from backbones import ForecastSpec, MemberSpec, ModelSpec, backbone_class
from backbones.model import Forecaster, Model, build_model, check_head
from config import RunConfig
from dataset import DeviceData, RunData
from errors import CheckpointError, UsageError
from evaler import Evaluator, References
from hardware import Precision, peak_memory
from rundir import write_csv, write_json
from scaler import Scaler
from splits import NAMES, Split
from tasks.base import PlotInputs, Predictions, Task
from trainer import Progress, Trainer, clone_state
from windows import Index

log = logging.getLogger("tsrun")
OnEpoch = Callable[[Mapping[str, Any]], None]
NOT_RESUMED = {"resume", "overwrite", "json", "quiet", "tensorboard", "dry_run", "out", "threads"}
NOT_RESUMED |= {"eval_split", "plot_split", "reference", "plots"}  # of the judgement, which follows training


class _Judge:
    """What the trainer asks of the task, on this fold's data."""

    def __init__(
        self, task: Task, fitted: Mapping[str, Any], truth: Callable[[], np.ndarray], device: torch.device
    ) -> None:
        self.monitor, self.direction = task.monitor, task.direction
        self.loss = task.loss(fitted, device)
        self._task, self._fitted, self._truth = task, fitted, truth

    def val_metrics(self, outputs: torch.Tensor) -> dict[str, float | None]:
        return self._task.val_metrics(self._truth(), self._task.decode(outputs, self._fitted))


class Learner:
    """Makes and judges the model of one fold; `stored` is the checkpoint that finetuning starts from.

    `alone` is False for a model that learns with others: they know the classes that these data may lack.
    """

    part: str | None = None  # of the backbone, where it is trained apart from the rest

    def __init__(
        self,
        run_data: RunData,
        task: Task,
        split: Split,
        device: torch.device,
        stored: Mapping[str, Any] | None,
        on_epoch: OnEpoch | None = None,
        *,
        alone: bool = True,
    ) -> None:
        self.run_data, self.task, self.split, self.device, self.stored = run_data, task, split, device, stored
        self.on_epoch = on_epoch
        self.config: RunConfig = run_data.config
        assert run_data.targets is not None
        self.names = run_data.targets.names
        anew = stored is None or (task.autoregressive and self.config.refit_scaler)
        kept = None if stored is None or anew else stored["fitted"]
        self.fitted = task.fit(run_data.sample(task, split.train), self.names, kept)
        task.on_fitted(self.fitted)
        samples = {name: task.truth(run_data.sample(task, split[name]), self.fitted) for name in NAMES}
        if alone:
            task.check(samples, self.names)
        self.label_means = {name: results.means(sample) for name, sample in samples.items()}
        for wanted in filter(None, (self.config.eval_split, self.config.plot_split)):
            self.index_of(wanted)  # a split that is not there is told before training
        self.scaler, self.known_scaler = self._scalers()
        self.ahead = self._ahead()
        self.precision = Precision.choose(self.config.amp, device)
        self.warnings = self.precision.warnings()
        torch.manual_seed(self.config.seed)
        self.model = self._fresh_model() if stored is None else finetune.model_from(stored)
        self.parameters = finetune.choose_parameters(self.model, self.config, stored)
        self.calibration: dict[str, Any] = {}
        self.references: dict[str, Any] = {}  # what the training-free references chose on validation
        self.solution: dict[str, Any] = {}  # what a closed form chose

    # --- made before training --------------------------------------------------------------------------------------

    def _scalers(self) -> tuple[Scaler, Scaler | None]:
        """Those of the model's input and of the channels that are known beforehand."""
        run_data = self.run_data
        seen = run_data.seen(self.task, self.split.train)
        own = Scaler.fit(run_data.columns(), seen, run_data.channels)
        if own.constant:
            log.warning("warning: constant in training, so without information: %s", ", ".join(own.constant))
        if self.stored is not None and not self.config.refit_scaler:
            known = self.stored.get("known_scaler")
            return Scaler.of(self.stored["scaler"]), None if known is None else Scaler.of(known)
        names = run_data.series.known
        known = Scaler.fit(run_data.series.values[run_data.covariates], seen, names) if names else None
        return own, known

    def _ahead(self) -> ForecastSpec | None:
        """What a forecasting head is asked for; time features only for a backbone that looks at them."""
        if self.stored is not None:
            kept = self.stored["model"].get("ahead")
            return None if kept is None else ForecastSpec.of(kept)
        run_data = self.run_data
        reads = backbone_class(self.config.backbone).reads_known
        marks = len(run_data.series.clock.marks) if reads and run_data.series.clock is not None else 0
        return self.task.ahead(run_data.target_channels, marks, len(run_data.covariates))

    def _fresh_model(self) -> Model | Forecaster:
        assert self.config.context_len is not None
        check_head(self.config.backbone, self.task.head)
        members = None
        if backbone_class(self.config.backbone).blends_runs:
            members = finetune.members_of(self.config, self.run_data, self.split, self.scaler)
        spec = self._spec(() if members is None else members.specs)
        model = build_model(spec, self.config.pretrained_dir or None)
        if members is not None:
            members.load_into(model.backbone)
        return model

    def _spec(self, members: tuple[MemberSpec, ...]) -> ModelSpec:
        """What builds the model, of these members where it blends some."""
        assert self.config.context_len is not None
        reads = backbone_class(self.config.backbone).reads_modalities
        return ModelSpec(
            backbone=self.config.backbone,
            channels=len(self.run_data.channels),
            length=self.config.context_len,
            outputs=self.task.outputs(self.names),
            horizon=self.task.horizon,
            head=self.task.head,
            args=dict(self.config.model_args),
            forecast=self.ahead,
            modalities=self.run_data.modalities if reads else None,
            part=self.part,
            members=members,
        )

    def sizes(self) -> dict[str, Any]:
        """What `--dry-run` prints: windows, parameters, and the bytes that training will hold."""
        count = sum(p.numel() for p in self.model.parameters())
        batch = min(self.config.batch_size, len(self.split.train))
        channels, length = len(self.run_data.channels), self.config.context_len or 0
        return {
            "windows": {name: len(self.split[name]) for name in NAMES},
            "label_mean": self.label_means,
            "overlap": results.describe_split(self.split, self.run_data, self.label_means)["overlap"],
            "parameters": count,
            "memory": {
                "data_bytes": 2 * self.run_data.series.values.nbytes,
                "model_and_optimizer_bytes": 4 * 4 * count,
                "batch_bytes": 4 * batch * channels * length,
            },
        }

    # --- training --------------------------------------------------------------------------------------------------

    def run(self, folder: Path, run: str, argv: Sequence[str]) -> dict[str, Any]:
        """Train, judge and write everything into `folder`; the content of the summary file."""
        self.open(folder)
        if self.model.backbone.stages:
            sizes = finetune.modules_of(self.model).items()
            told = (f"{name} {row['parameters']:,} ({row['bytes'] / 1024:,.1f} KiB)" for name, row in sizes)
            log.info("parameters: %s", ", ".join(told))
        self.progress = progress = self._solve() if self.model.backbone.closed_form else self._train()
        with self.run_data.timed("evaluate"):
            content = self._judge(progress, run)
        self._describe(argv, progress, content)
        return content

    def open(self, folder: Path) -> None:
        """Put the data, scaled, and the model on the device; files will go into `folder`."""
        self.folder = folder
        self.device_data = DeviceData(
            self.run_data, self.task, self.fitted, self.scaler, self.device, self.ahead, self.known_scaler
        )
        self.model.to(self.device)

    def _solve(self) -> Progress:
        """A closed form in place of epochs."""
        train, val = self.split.train.pieces(), self.split.val.pieces()
        both = windows.merged(train + val, self.run_data.series.offsets)
        started = time.perf_counter()
        with self.run_data.timed("train"):
            assert isinstance(self.device_data.inputs, torch.Tensor), "a closed form of inputs made as windows are read"
            inputs = self.device_data.inputs.cpu()
            fit_on, chosen_on, all_of_them = (
                [inputs[:, begin:end] for begin, end in pieces] for pieces in (train, val, both)
            )
            known = self._known_of_val() if self.model.backbone.reads_known else None
            self.solution = self.model.backbone.fit(fit_on, chosen_on, all_of_them, known)
        progress = Progress(seconds=time.perf_counter() - started)
        with self.run_data.timed("evaluate"):
            scored = self.evaluator().score(self.split.val)
            progress.best = self.task.val_metrics(*scored.judged())[self.task.monitor]
            self.choose_thresholds({"last": clone_state(self.model), "best": clone_state(self.model)}, None)
        return progress

    def _known_of_val(self) -> list[torch.Tensor] | None:
        if self.device_data.known is None:
            return None
        val = self.split.val
        shifted = ((row * val.horizon, piece) for row, piece in zip(val.row.tolist(), val.pieces(), strict=True))
        return [self.device_data.known[:, begin + by : end + by].cpu() for by, (begin, end) in shifted]

    def _train(self) -> Progress:
        split, config = self.split, self.config
        judge = _Judge(self.task, self.fitted, self._truth_of_val(), self.device)
        board = tensorboard_writer(self.folder) if config.tensorboard else None
        listeners = [listener for listener in (board, self.on_epoch) if listener is not None]

        def on_epoch(line: Mapping[str, Any]) -> None:
            for listener in listeners:
                listener(line)

        trainer = Trainer(
            self.model,
            self.task.for_training(self.device_data.windows(split.train)),
            self.device_data.windows(split.val),
            judge,
            config,
            self.precision,
            save=self._save,
            on_epoch=on_epoch,
            train_metrics=self.task.train_metrics(self.fitted, self.device),
        )
        if config.resume and (self.folder / checkpoint.LAST).is_file():
            self._restore(trainer)
        with self.run_data.timed("train"):
            progress = trainer.run()
        self.warnings += trainer.warnings
        with self.run_data.timed("evaluate"):
            self.choose_thresholds({"last": trainer.last_state, "best": trainer.best_state}, trainer.state())
        return progress

    def _truth_of_val(self) -> Callable[[], np.ndarray]:
        """Kept over the epochs, but not where it would hold the data once for each window over a step."""
        make = partial(self.run_data.truth, self.task, self.split.val, self.fitted)
        return make if self.run_data.views is not None else cache(make)

    def _restore(self, trainer: Trainer) -> None:
        """Go on where the interrupted run of this name stopped; its settings and data must be the same."""
        path = self.folder / checkpoint.LAST
        state = checkpoint.load(path)
        mine, theirs = _comparable(self.config.flat()), _comparable(state["config"])
        changed = sorted(key for key in mine | theirs if mine.get(key) != theirs.get(key))
        if changed:
            told = ", ".join(f"--{key.replace('_', '-')} {theirs.get(key)} (now {mine.get(key)})" for key in changed)
            raise CheckpointError(f"the interrupted run had {told}", where="--resume", hint="--overwrite starts anew")
        if state["sources"] != [source.sha256 for source in self.run_data.series.sources]:
            raise CheckpointError("the files have changed since the run was interrupted", where="--resume")
        trainer.restore(state["state"], state["training"])
        log.info("resuming in epoch %d, step %d", trainer.progress.epoch + 1, trainer.progress.step + 1)

    def choose_thresholds(
        self, states: Mapping[str, Mapping[str, torch.Tensor]], training: Mapping[str, Any] | None
    ) -> None:
        """Choose on validation for the last weights and for the best; both checkpoints get their own choice."""
        for kind, weights in states.items():
            self.model.load_state_dict(weights)
            scored = self.evaluator().score(self.split.val)
            # Weights that were fitted on validation, too, have nothing left to choose on.
            self.calibration = self.task.choose_thresholds(None if self.solution.get("refit") else scored, self.names)
            self.references = References(self.device_data, self.names, train=None).choose_thresholds(
                scored, self.references
            )
            self._save(kind, weights, training if kind == "last" else None)

    def evaluator(self) -> Evaluator:
        """Scores windows with the model's present weights, in float32 as inference does on any machine."""
        self.model.eval()
        size = min(self.config.batch_size, max(len(self.split.train), 1))
        return Evaluator(self.device_data, self.model, Precision(self.device), size)

    def _save(self, kind: str, weights: Mapping[str, torch.Tensor], training: Mapping[str, Any] | None) -> None:
        series = self.run_data.series
        content = {
            "config": self.config.flat(),
            "model": self.model.spec.plain(),
            "state": dict(weights),
            "scaler": self.scaler.plain(),
            "known_scaler": None if self.known_scaler is None else self.known_scaler.plain(),
            "clock": None if series.clock is None else series.clock.plain(),
            "input_channels": list(series.channels),
            "outputs": list(self.names),
            "per_row": self.run_data.per_row,
            "fitted": self.fitted,
            "calibration": self.calibration,
            "references": self.references,
            "split": self.split.how,
            "sources": [source.sha256 for source in series.sources],
            "training": None if training is None else dict(training),
        }
        checkpoint.save(self.folder / (checkpoint.BEST if kind == "best" else checkpoint.LAST), content)

    # --- judgement -------------------------------------------------------------------------------------------------

    def index_of(self, split: str) -> Index:
        """The windows of `--eval-split` or `--plot-split`."""
        if split == "all":
            return self.run_data.judged or self.run_data.index
        if not len(self.split[split]):
            raise UsageError("there is no test split", where=f"--eval-split {split}", hint="--test-ratio 0.2 makes one")
        return self.split[split]

    def scored_split(self) -> str:
        """The split that the summary speaks of."""
        return self.config.eval_split or ("test" if len(self.split.test) else "val")

    def _judge(self, progress: Progress, run: str) -> dict[str, Any]:
        evaluator, name = self.evaluator(), self.scored_split()
        val, scored = evaluator.score(self.split.val), evaluator.score(self.index_of(name))
        eval_context = self.device_data.eval_context(self.names)
        scores = self.task.evaluate(scored, self.calibration, eval_context)
        beside = {}
        if self.config.reference == "auto":
            with self.run_data.timed("references"):
                trivial = References(self.device_data, self.names, self.split.train, self.split.val)
                beside = trivial.judge(scored, trivial.choose_thresholds(val, self.references))
        content = results.summary(
            self.task,
            self.config,
            run=run,
            split=name,
            selection="fitted on train and val" if self.solution.get("refit") else results.SELECTION[name],
            scores=scores,
            references=beside,
            calibration=self.calibration,
            channels=self.run_data.series.n_channels,
            parameters=sum(p.numel() for p in self.model.parameters()),
            seconds=progress.seconds,
        )
        content |= {"best_epoch": progress.best_epoch, "epochs": progress.epoch, "best_val": progress.best}
        content |= {"fit": self.solution} if self.solution else {}
        if name != "val":
            content["validation"] = self.task.evaluate(val, self.calibration, eval_context)
        write_json(self.folder / self.task.summary, content)
        with self.run_data.timed("artifacts"):
            self.task.write(self.folder, eval_context, self.calibration, [scored], None)
            self._write_history(progress)
            if self.config.plots:
                self._draw(evaluator, scored, progress, run, beside)
        return content

    def _draw(
        self, evaluator: Evaluator, scored: Predictions, progress: Progress, run: str, beside: Mapping[str, Any]
    ) -> None:
        import viz  # matplotlib, which a run without pictures does without

        split = self.config.plot_split or self.scored_split()
        same = split == self.scored_split()
        drawn = scored if same else evaluator.score(self.index_of(split))
        shown = PlotInputs(self.config.backbone, f"{run} ({split})", drawn, None, beside if same else {})
        self.task.plots(self.folder, self.device_data.eval_context(self.names), self.calibration, shown)
        if progress.history:
            viz.learning_curve(
                progress.history, self.folder / "learning_curve.png", f"val_{self.task.monitor}", self.task.direction
            )

    def _write_history(self, progress: Progress) -> None:
        if progress.history:  # a closed form has none
            columns = list(progress.history[0])
            write_csv(self.folder / "history.csv", columns, ([line[c] for c in columns] for line in progress.history))

    def _describe(self, argv: Sequence[str], progress: Progress, content: Mapping[str, Any]) -> None:
        results.write_config(self.folder / "config.yaml", self.config)
        model = {"parameters": content["parameters"], "peak_memory_bytes": peak_memory(self.device), **self.parameters}
        model |= {"modules": finetune.modules_of(self.model)}
        model |= {"adapted": self.stored["adapted"]} if self.stored is not None and "adapted" in self.stored else {}
        split = results.describe_split(self.split, self.run_data, self.label_means)
        write_json(
            self.folder / "manifest.json",
            results.manifest(
                self.run_data, argv, device=self.device, precision=self.precision.name, warnings=self.warnings,
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
