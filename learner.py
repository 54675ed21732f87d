"""One fold: the task's constants, scaler and model, training, evaluation and files."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

import checkpoint
import ranks
import restore
import tasks
from backbones import ForecastSpec, TargetSpec, backbone_class
from backbones.fitting import thin
from backbones.model import Forecaster, Model, build_model, check_head
from backbones.standing import Standing
from checkpoint import Checkpoint
from dataset import DeviceData, RunData
from errors import UsageError
from evaler import LEARNED, SELECTION, Case, Evaluator, Judge, Known, References, calibrated, chosen
from explaining.importance import explain
from finetune import choose_parameters, modules_of, trains_in_epochs
from hardware import Precision, peak_memory
from ranks.alone import Alone
from rundir import Listener, tensorboard_writer
from scaler import Scaler
from solving.closed import ClosedForm, solved
from sources import beginnings, levels, things
from splits import NAMES, Split
from tasks.base import Task
from tasks.predictions import Predictions, Tried
from telling.sizes import describe_split, label_means, sizes_of
from trainer import Trainer
from training import asking, resuming
from training.progress import OfTask, Progress
from training.scaling import scalers
from training.states import alike, clone_state
from training.stopwatch import words
from training.validating import InBlocks
from windows import Index

log = logging.getLogger("tsrun")
Weights = Mapping[str, torch.Tensor]


class Learner:
    """Builds, trains and evaluates the model of one fold.

    Parameters
    ----------
    run_data : the run's data.
    task : what is learned; the fold fits a copy of it, so that the constants of other folds do not change.
    split : training, validation and test windows of the fold.
    device : where the model is trained.
    start : the checkpoint that finetuning starts from, None for a new model.
    listener : gets every epoch's line of the history, and what training chose.
    alone : False for a model that is trained together with others, whose data have the classes that these data may
        lack: the splits are not checked then.

    Raises
    ------
    UsageError, DataError, CheckpointError : flags, data or a checkpoint that do not fit each other.
    """

    part: str | None = None  # the part of the backbone that is trained by itself
    frozen: tuple[str, ...] = ()  # patterns of parameters to freeze, in addition to --freeze
    compares = True  # whether reference predictors are scored too
    fitted_again = False  # the closed form under the net has been fitted to validation too
    final = False  # trained once more on everything: nothing is chosen any more, and nothing written

    def __init__(
        self,
        run_data: RunData,
        task: Task,
        split: Split,
        device: torch.device,
        start: Checkpoint | None,
        listener: Listener | None = None,
        *,
        alone: bool = True,
    ) -> None:
        self.run_data = levels.coded(run_data, task, split.train)
        self.split, self.device, self.start, self.listener = split, device, start, listener or Listener()
        self.warnings: list[str] = []
        self.config, self.together, self.task = run_data.config, ranks.here(), copy.copy(task)
        self._fit_task(alone)
        for wanted in filter(None, (self.config.eval_split, self.config.plot_split)):
            self.index_of(wanted)  # a split that does not exist is an error before training
        self.scaler, self.known_scaler = self._scalers()
        self.forecast = self._forecast_spec()
        self.precision = Precision.choose(self.config.amp, device)
        self.warnings += self.precision.warnings()
        torch.manual_seed(self.config.seed)
        self.model = self.new_model() if start is None else restore.model_of(start)
        self.parameters = choose_parameters(self.model, self.config, start, self.frozen)
        self.in_epochs = trains_in_epochs(self.model, self.config)
        self.calibration: dict[str, Any] = {}
        self.references: dict[str, Any] = {}  # what the training-free references chose on validation
        self.solution: dict[str, Any] = {}  # what a closed form chose
        self.standing: Standing | None = None  # a net on its closed form
        self.tried: Tried | None = None  # backtests of a forecaster
        self.thin: dict[str, Any] = {}  # how thin validation is
        self.said: dict[str, Known] = {}  # {kind of weights: outputs}, of a net on its closed form
        self.held_out: torch.Tensor | None = None  # outputs for validation, of a model that has learned from it since

    # --- before training ---------------------------------------------------------------------------------------------

    def _fit_task(self, alone: bool) -> None:
        run_data, task, split = self.run_data, self.task, self.split
        assert run_data.targets is not None
        self.names = run_data.targets.names
        fresh = self.start is None or (task.autoregressive and self.config.refit_scaler)
        kept = None if self.start is None or fresh else self.start.fitted
        task.fit(run_data.sample(task, split.train), self.names, kept)
        samples = {name: task.truth(run_data.sample(task, split[name])) for name in NAMES}
        if alone:
            task.check(samples, self.names)
        self.label_means = {name: label_means(sample) for name, sample in samples.items()}

    def _scalers(self) -> tuple[Scaler, Scaler | None]:
        """The scalers of the model's input and of the channels known ahead."""
        found = scalers(self.run_data, self.run_data.seen(self.task, self.split.train), self.start)
        self.warnings += [found.warning] * bool(found.warning)
        return found.seen, found.known

    def _forecast_spec(self) -> ForecastSpec | None:
        """What a forecasting head is asked for; time features only for a backbone that reads them."""
        if self.start is not None:
            return self.start.model.forecast
        run_data, clock = self.run_data, self.run_data.series.clock
        marks = len(clock.marks) if clock and backbone_class(self.config.backbone).reads_marks else 0
        asked = self.task.forecast_spec(run_data.target_channels, marks, len(run_data.covariates))
        return asked if asked is None or clock is None else replace(asked, periods=clock.periods)

    def new_model(self) -> Model | Forecaster:
        """The model with fresh weights."""
        asked = self._asked()
        target = asked if backbone_class(self.config.backbone).answers else None
        check_head(self.config.backbone, self.task.head, "" if target is None else target.kind)
        runs = backbone_class(self.config.backbone).runs_in(self.config.model_args, self.task.head)
        members = restore.members_of(runs, self.run_data, self.split, self.scaler)
        parts = asked, self.forecast, self.part, members.specs
        spec = asking.model_of(self.task, self.names, self.run_data, *parts)
        model = build_model(spec, self.config.pretrained_dir or None)
        members.load_into(model.backbone)
        return model

    def _asked(self) -> TargetSpec | None:
        return asking.target_of(self.task, self.names, self.run_data, self.scaler)

    def sizes(self) -> dict[str, Any]:
        """What `--dry-run` prints: windows, parameters, and the bytes that training needs."""
        return sizes_of(self.split, self.run_data, self.label_means, sum(p.numel() for p in self.model.parameters()))

    # --- training ----------------------------------------------------------------------------------------------------

    def run(self, folder: Path, run: str, argv: Sequence[str]) -> dict[str, Any]:
        """Train, evaluate and write everything into a directory; raises what `Trainer.run` does.

        Returns the content of the summary file; {} but for the first of several processes, which writes it.

        Parameters
        ----------
        folder : the directory, which exists.
        run, argv : the name of the run and the command line, for the manifest.
        """
        self.open(folder)
        self.progress = self.train() if self.in_epochs else self._solve()
        tested = self.scored_split() == "test"
        if tested:
            self._fit_again()
        with self.run_data.timed("evaluate"):
            evaluator = self._scored()
            if not self.together.first:
                return {}
            judge, content = self._judge(run, evaluator)
        if not tested:  # what is learned from validation is not judged on it
            self._fit_again()
        self._describe(judge, argv)
        return content

    def open(self, folder: Path) -> None:
        """Put the scaled data and the model on the device; files will be written into `folder`."""
        self.folder = folder
        self.device_data = DeviceData(
            self.run_data, self.task, self.scaler, self.device, self.forecast, self.known_scaler, self.split.train
        )
        self.model.to(self.device)

    def _solve(self) -> Progress:
        """Fit a closed form, or to windows, instead of training epochs; with none the weights stay as they are."""
        started = time.perf_counter()
        with self.run_data.timed("train"):
            self.solution = self._fit() if self.model.backbone.closed_form else {}
        progress = Progress(seconds=time.perf_counter() - started)
        with self.run_data.timed("evaluate"):
            scored = self.evaluator(self.together).score(self.split.val)
            if self.together.first:
                progress.best = self.task.val_metrics_of(scored)[self.task.monitor]
            self.calibrate({"last": clone_state(self.model), "best": clone_state(self.model)}, None)
        return progress

    def closed(self) -> ClosedForm:
        """What fits closed forms to this fold's windows."""
        return ClosedForm(self.run_data, self.device_data, self.split, self.folder)

    def _fit(self) -> dict[str, Any]:
        """Fit the backbone to windows, to histories or to stretches, as it wants them. Returns what it chose."""
        goes_on = self.start is not None and not self.config.reinit
        fit = partial(self.closed().fit, self.model, self._keep, goes_on=goes_on)
        told, self.model = solved(self.model, fit, lambda: self.snapshot(clone_state(self.model)))
        if isinstance(self.model, Forecaster) and not self.model.backbone.reads_history:
            self.forecast = self.device_data.keep_known(self.model.forecast)
        self.tried, self.held_out = told.pop("tried", None), told.pop("held_out", None)
        self.thin = told.pop("thin", {})
        return told

    def _keep(self, members: Weights) -> None:
        self._save("last", self.model.state_dict(), {"members": dict(members)})

    def train(self) -> Progress:
        """Train epochs; the weights that are kept have their checkpoints then."""
        split, config = self.split, self.config
        board = tensorboard_writer(self.folder) if config.tensorboard and self.together.first else None
        last = Checkpoint.left(self.folder / checkpoint.LAST) if config.resume else None
        train, val = self.stand(one_head=last is not None and "weights" not in (last.training or {}))
        asked = self._asked() if config.patience == tasks.usual(config.task)["patience"] else None
        if asked is not None:
            self.thin = thin(self.closed().windows().val, asked.kind, self.label_means["train"])
        elif config.patience == tasks.usual(config.task)["patience"]:
            self.thin = self.task.thin(self.run_data.sample(self.task, split.val), self.names)
        of_task = OfTask.of_windows(self.run_data, self.task, split.val, self.device)
        trainer = Trainer(
            self.model,
            self.task.for_training(self.device_data.windows(split.train, train)),
            self.device_data.windows(split.val, val),
            self.standing.judging(of_task) if self.standing else of_task,
            config,
            self.precision,
            save=self._save,
            listeners=[listener for listener in (board, self.listener.epoch) if listener],
            train_metrics=self.task.train_metrics(self.device),
            judges_start=self.start is not None or bool(self.standing and not self.standing.aside),
            averages=bool(self.thin),
            in_blocks=InBlocks.of_windows(self.run_data, self.task, split.val, of_task.loss),
            on_choice=None if self.part or self.frozen or self.final else self._trains_with,  # parts go the same way
        )
        if last is not None:
            self._resume(trainer, last)
        with self.run_data.timed("train"):
            progress = trainer.run()
        if self.final:
            self.joined({"best": trainer.mean_state if progress.averaged else trainer.last_state}, progress)
            return progress
        state, kept = trainer.state(), self.joined({"last": trainer.last_state, "best": trainer.best_state}, progress)
        if self.listener.trained:
            self.listener.trained(progress.best, progress.best_epoch, sum(p.numel() for p in self.model.parameters()))
        self.warnings += trainer.warnings
        with self.run_data.timed("evaluate"):
            self.calibrate(kept, state)
        return progress

    def _trains_with(self, measured: Mapping[str, Any]) -> None:
        self.config = self.run_data.config = self.config.as_measured(measured)
        self.precision = Precision.choose(self.config.amp, self.device)

    def stand(self, *, one_head: bool = False) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """What the closed form under the net says of training and validation, [n, K, 1] each; None without one."""
        if not isinstance(self.model, Model) or self.model.wide is None:
            return None, None
        fixed = self.standing.told if self.final and self.standing else None
        self.standing = Standing(self.model, self.closed().windows(), self.task.lean(self.names), fixed)
        asked = self._asked() if self.start is None or self.config.refit_scaler else None
        with self.run_data.timed("closed form"), ranks.in_step():
            return self.standing.under(asked, fresh=self.start is None, one_head=one_head)

    def joined(self, learned: dict[str, Weights], progress: Progress) -> Mapping[str, Weights]:
        """What a model has learned as the weights that are kept, of which it takes the best; see Standing.joined."""
        if self.standing is None:
            self.model.load_state_dict(learned["best"])
            return learned
        val, score = self.split.val, partial(self.evaluator, self.together)
        kept = self.standing.joined(learned, lambda: score().outputs(val)[:, :, 0].cpu())
        if self.standing.changed and not self.final:
            progress.best = self.task.val_metrics_of(score("best").score(val))[self.task.monitor]
        return kept

    def _resume(self, trainer: Trainer, last: Checkpoint) -> None:
        """Continue the run of this name, of which settings and data are the same, but for more epochs."""
        resuming.check_resumed(last, self.run_data, finished=False, spec=self.model.spec)
        trainer.restore(last.state, last.training or {})  # there is one, in the last checkpoint of an interrupted run
        log.info("resuming in epoch %d, step %d", trainer.progress.epoch + 1, trainer.progress.step + 1)
        trainer.progress.lengthened += [n for n in (last.config["epochs"],) if n < self.config.epochs]

    def calibrate(self, states: Mapping[str, Weights], training: Mapping[str, Any] | None) -> None:
        """Choose thresholds on validation, for each of the weights in `states`, and write the checkpoints with them."""
        same = self.together.agreed(alike(states.values()))  # the last epoch was the best
        for kind, weights in list(states.items())[-1 if same else 0 :]:
            self.model.load_state_dict(weights)
            lean = None if self.model.backbone.closed_form else self.task.lean(self.names)
            scored, found = calibrated(self.evaluator(self.together, kind), self.split.val, lean, tell=kind == "best")
            if not self.together.first:
                continue
            # For weights that were fitted on validation too, nothing is left to choose on.
            val = None if self.solution.get("refit") or self.thin.get("default_threshold") else scored
            self.calibration = chosen(self.evaluator(), self.names, val, self.tried) | found
            trivial, quick = References(self.device_data, self.names, train=None), self.config.reference == "off"
            self.references = trivial.choose_thresholds(scored, self.references, quick=quick, thin=self.thin)
            for each in states if same else (kind,):
                self._save(each, weights, training if each == "last" else None)

    def _fit_again(self) -> None:
        """Fit the closed form under a net to validation too, where that suits, and keep it with the best weights."""
        if self.standing is None or not self.standing.fits_again or self.config.refit:
            return
        with self.run_data.timed("closed form"):
            self.standing.fit_again()
        self.fitted_again = True
        log.info("the closed form under the net was fitted again, to training and validation")
        self._save("best", clone_state(self.model), None)

    def evaluator(self, together: Alone | None = None, kind: str = "") -> Evaluator:
        """Scores windows with the present weights, in float32 as on any machine; `kind`: what they say is kept."""
        self.model.eval()
        size = min(self.config.batch_size, max(len(self.split.train), 1))
        made = Evaluator(self.device_data, self.model, Precision(self.device), size, self.model.by_history, together)
        if self.held_out is not None:
            made.give(self.split.val, self.held_out)
        made.known = self.said.setdefault(kind, {}) if kind and self.standing else None
        return made

    def _save(self, kind: str, weights: Weights, training: Mapping[str, Any] | None) -> None:
        if self.final or not self.together.first:
            return
        if self.standing is not None:
            weights, training = self.standing.saved(weights, training)
        self.snapshot(weights, training).save(self.folder / (checkpoint.BEST if kind == "best" else checkpoint.LAST))

    def snapshot(self, weights: Weights, training: Mapping[str, Any] | None = None) -> Checkpoint:
        """The checkpoint of the model with these weights; `training` is the `Trainer.state` to resume from, if any."""
        series = self.run_data.series
        begins = beginnings.kept(series, self.run_data.keep.tolist())
        return Checkpoint(
            config=self.config.flat(),
            model=self.model.spec,
            state=dict(weights),
            scaler=self.scaler,
            known_scaler=self.known_scaler,
            clock=None if series.clock is None else series.clock.plain(),
            input_channels=list(series.columns),
            outputs=list(self.names),
            per_row=self.run_data.per_row,
            fitted=self.task.fitted,
            calibration=self.calibration,
            references=self.references,
            split=dict(self.split.how) | ({"begins": begins} if begins else {}),
            sources=series.hashes,
            beside=resuming.checksums(self.run_data.beside),
            coding=things.kept(series),
            learned=["train", "val"] if self.held_out is not None or self.fitted_again else None,
            training=None if training is None else dict(training),
        )

    # --- evaluation --------------------------------------------------------------------------------------------------

    def index_of(self, split: str) -> Index:
        """The windows of `--eval-split` or `--plot-split`. UsageError where the split is empty."""
        if split == "all":
            return self.run_data.judged
        if not len(self.split[split]):
            raise UsageError("there is no test split", where=f"--eval-split {split}", hint="--test-ratio 0.2 makes one")
        return self.split[split]

    def scored_split(self) -> str:
        """The split that the summary is about."""
        return self.config.eval_split or ("test" if len(self.split.test) else "val")

    def _scored(self) -> Evaluator:
        """All windows that the run shows are scored, by all processes."""
        made = self.evaluator(self.together, "best")
        for name in filter(None, ("val", self.scored_split(), self.config.plot_split)):
            made.score(self.index_of(name))
        self._ahead(made)
        made.together = None
        return made

    def _judge(self, run: str, evaluator: Evaluator) -> tuple[Judge, dict[str, Any]]:
        """Compare, write, draw. Returns the judge and the content of the summary."""
        name, progress = self.scored_split(), self.progress
        selection = LEARNED if self.solution.get("refit") else SELECTION[name]
        case = Case(run, name, selection, sum(p.numel() for p in self.model.parameters()), progress.seconds)
        judge = Judge(evaluator, self.names, self.calibration, self.folder, case)
        val, scored = (judge.evaluator.score(index) for index in (self.split.val, self.index_of(name)))
        references = self._compare(val, scored, (progress.epoch, case.parameters))
        more: dict[str, Any] = {"best_epoch": progress.best_epoch, "epochs": progress.epoch, "best_val": progress.best}
        wide = self.standing.told if self.standing else {}
        told = {"fit": self.solution, "wide": wide, "start": progress.start, "lengthened": progress.lengthened}
        more |= {key: what for key, what in told.items() if what}
        more |= {"thin": self.thin | {"averaged": progress.averaged}} if self.thin else {}
        more |= {"validation": judge.evaluate(val)} if name != "val" else {}
        if self.config.explain:
            more |= explain(judge.evaluator, scored.index, self.folder, f"{run} ({name})")
        content = judge.summary(scored, references, **more)
        with self.run_data.timed("artifacts"):
            judge.write([scored], self._ahead(judge.evaluator))
            judge.write_history(progress.history)
            judge.draw(scored, None, references, self.index_of)
            if self.config.plots:
                judge.draw_members(self.solution)
        return judge, content

    def _ahead(self, evaluator: Evaluator) -> Predictions | None:
        """How the rows of a task that continues them go on after their end; None for other tasks."""
        ahead = self.run_data.ahead
        return evaluator.score(ahead, label_known=False) if self.task.autoregressive and len(ahead) else None

    def _compare(self, val: Predictions, scored: Predictions, trained: tuple[int, int]) -> dict[str, Any]:
        """The reference predictors' metrics on the scored windows."""
        if self.config.reference != "auto" or not self.compares:
            return {}
        with self.run_data.timed("references"):
            trivial = References(self.device_data, self.names, self.split.train, self.split.val, trained)
            return trivial.judge(scored, trivial.choose_thresholds(val, self.references, thin=self.thin))

    def _describe(self, judge: Judge, argv: Sequence[str]) -> None:
        model = {
            "parameters": judge.case.parameters,
            "peak_memory_bytes": peak_memory(self.device),
            **self.parameters,
            "modules": modules_of(self.model),
            "best_epoch": self.progress.best_epoch,
        }
        if self.start is not None and self.start.adapted is not None:
            model["adapted"] = self.start.adapted
        split = describe_split(self.split, self.run_data, self.label_means)
        judge.describe([*argv, *words(self.config.measured)], self.precision, self.warnings, model, split)
