"""The way of every run: load -> window -> split -> model -> train | evaluate -> artifacts."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import data
import dataset
import optim
import ranks
import restore
import splits
import tasks
from backbones import backbone_class
from checkpoint import Checkpoint
from commandline.taken import retimed
from config import RunConfig, refuse
from data import Series
from dataset import RunData
from errors import CheckpointError, DivergedError, log_handler
from experiments.results import Files
from fusion import adapt, stages
from hardware import pick_device
from learner import Learner
from metrics import clean_json
from pages.run_page import complete, write_run
from predictor import Inference
from readers import cache
from refitting import again
from rundir import Listener, OnEpoch, OnTrained, RunDir, run_name, write_json
from sources import levels, stretching, things
from sources.kinds import BY_STEPS, idle, idle_training
from splits import Split
from tasks import shorter
from tasks.base import Task
from telling import read, repeats
from telling.left_out import tell_left_out
from telling.result import outline, table
from telling.tracking import Mlflow, tracked
from training import resuming
from windows import steps

log = logging.getLogger("tsrun")
Job = Callable[[Path, str, Sequence[str]], tuple[dict[str, Any], Learner]]  # trains a fold into a folder


def run(config: RunConfig, argv: Sequence[str]) -> None:
    """Train, finetune or infer as the configuration says. The result goes to stdout, everything else to stderr.

    Parameters
    ----------
    config : the settings of the command line.
    argv : the command line, for the manifest.

    Raises
    ------
    TsrunError : whatever stops the run, see errors.py.
    """
    log.handlers = [log_handler()]
    log.setLevel(logging.WARNING if config.quiet else logging.INFO)
    log.propagate = False
    device = pick_device(config.device, config.threads)
    with ranks.joined(config.mode, device, argv) as together:
        if not together.first:
            log.setLevel(logging.CRITICAL)
        data.tell(config.notes)
        content, directory = (infer if config.mode == "infer" else learn)(config, argv, together.device(device))
    if together.first:
        _print(config, content, directory)


def _print(config: RunConfig, content: Mapping[str, Any], directory: Path) -> None:
    """The result on stdout."""
    if config.json:
        text = json.dumps(clean_json({**content, "directory": str(directory)}), allow_nan=False)
    elif "headline" in content:
        task = tasks.class_of(config.task)
        opens = ("index.html", task.summary, *task.opens)
        text = table(content, directory, opens)
    else:
        text = outline(content)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# --- the data and the final configuration ----------------------------------------------------------------------------


def open_data(config: RunConfig, argv: Sequence[str]) -> tuple[RunData, Task, Checkpoint | None]:
    """The first step of every run: the checkpoint that it starts from, the data, the windows, the task.

    Parameters
    ----------
    config : the settings of the command line.
    argv : the command line, which a hint may repeat.

    Returns
    -------
    (run_data, task, checkpoint or None for a new model). `run_data.config` is final: it includes what the checkpoint
    fixes and what follows from the data.

    Raises
    ------
    UsageError, DataError, CheckpointError : flags, data or a checkpoint that do not fit each other.
    """
    start = None if config.mode == "train" else restore.open_checkpoint(config.ckpt)
    fixed = {} if start is None else restore.settings_of(start, config)
    task = tasks.build(config.task, fixed.get("options", config.options))
    task.start = start
    if start is None:
        fixed["stage"] = stages.stage_of(config, task, argv)
    else:
        adapt.check(config, start)
        fixed |= retimed(config, fixed, bool(start.setting("csv", ())) and not start.setting("time_col", ""))
    series, timings, config = _read(config, fixed, task, start)
    if start is None:
        return _to_train_on(config, task, series, timings), task, None
    series = restore.timed(start, config, restore.in_order(start, config, series))
    if config.mode == "infer":
        return _to_predict(config, task, series, timings, start), task, start
    if not config.adapt_modality:
        restore.check_series(start, config, series, task.derived)
    series = _coded(series, start, config)
    run_data = _to_train_on(config, task, series, timings)
    restore.check_run_data(start, run_data)
    return run_data, task, start


def _read(
    config: RunConfig, fixed: Mapping[str, Any], task: Task, start: Checkpoint | None
) -> tuple[Series, dict[str, float], RunConfig]:
    """The series, the seconds that reading took, and the configuration, which nothing changes after this."""
    config = replace(config, **fixed)
    config = config if start is None else replace(config, index=things.index_of(config, start.coding))
    refuse(idle(tasks.every_flag(config.task), vars(config) | config.options, tasks.usual(config.task), config.given))
    with ranks.here().by_turns(cache.folder() is not None and bool(config.csv)):
        series, timings = dataset.load(config, task, None if start is None else start.input_channels)
    if start is not None:
        read = len(series.notes)
        series = task.match(series, config, restore.same_place(start, config, series))
        data.tell(series.notes[read:])
    if start is None:
        series = things.as_asked(series, config)
        named = (*series.columns[series.numeric :], *(series.things.words if series.things else ()))
        config = replace(config, **({"categorical": named} if named else {}) | task.chosen(series, config))
    elif config.mode == "finetune":
        config = replace(config, **task.split_of(series, config))
    config = replace(config, **dataset.window_of(config, series))
    assert config.context_len is not None
    if not config.stride:
        series = stretching.stretched(series, config.context_len)
    return series, timings, replace(config, **task.finalize_config(config, config.context_len))


def _to_train_on(config: RunConfig, task: Task, series: Series, timings: dict[str, float]) -> RunData:
    run_data = dataset.open_run_data(config, task, series, timings)
    dataset.check_windows(run_data, task)
    works = partial(dataset.has_windows, run_data)
    if shorter.untested(config, series, run_data.index, works):
        run_data.config = config = replace(config, **shorter.without_test(dataset.proposed(run_data)[0]))
    if series.things is not None and series.things.learned is None:
        rows = dataset.make_splits(run_data)[-1].train.rows()  # what columns are is learned of these
        series = things.coded(series, config, rows)
        config = replace(config, context_len=things.length_of(series))
        run_data = dataset.open_run_data(config, task, series, timings, targets=run_data.targets)
    run_data.beside = resuming.files_beside(config)
    return run_data


def _to_predict(config: RunConfig, task: Task, series: Series, timings: dict[str, float], start: Checkpoint) -> RunData:
    """The data for inference, which may lack the label."""
    lacking = 0 if start.per_row else task.absent(start.input_channels, start.outputs, config, series)
    restore.check_series(start, config, series, task.derived, lacking)
    known = restore.label_known(start, series, lacking)
    series = _coded(series, start, config)
    run_data = dataset.open_run_data(config, task, series, timings, label_known=known, per_row=start.per_row)
    run_data.beside = resuming.files_beside(config)
    restore.check_run_data(start, run_data)
    return run_data


def _coded(series: Series, start: Checkpoint, config: RunConfig) -> Series:
    """The series with the categories of a checkpoint as it codes them, and of things the columns of training."""
    series = things.as_kept(series, start.coding, config.ckpt)
    return levels.spread(series, levels.of(start.coding), levels.static(start.coding))


# --- inference -------------------------------------------------------------------------------------------------------


def open_inference(config: RunConfig, argv: Sequence[str], device: torch.device) -> Inference:
    """A checkpoint on the data that a configuration names; nothing is predicted yet."""
    run_data, task, start = open_data(config, argv)
    assert start is not None, "inference starts from a checkpoint"
    return Inference(run_data, task, start, device)


def infer(config: RunConfig, argv: Sequence[str], device: torch.device) -> tuple[dict[str, Any], Path]:
    """Predict with a checkpoint. Returns the content of the summary and the directory of the run."""
    _tell_idle(config)
    inference = open_inference(config, argv, device)
    data.tell([read.to_predict(inference.run_data, inference.split, len(inference.index))])
    tell_left_out(inference.run_data)
    name = _name(inference.run_data, inference.task)
    if config.dry_run:
        return {"dry_run": name} | inference.sizes(), Path(config.out) / name
    with RunDir(config.out, name, overwrite=config.overwrite) as directory:
        content = inference.run(directory.path, name, argv)
        directory.commit()
    return content, directory.final


# --- training --------------------------------------------------------------------------------------------------------


def learn(
    config: RunConfig,
    argv: Sequence[str],
    device: torch.device,
    on_epoch: OnEpoch | None = None,
    place: str = "",
    on_trained: OnTrained | None = None,
) -> tuple[dict[str, Any], Path]:
    """Train or finetune.

    Parameters
    ----------
    config, argv : as in `run`.
    device : where the model is trained.
    on_epoch : gets every epoch's line of the history. What it raises ends training with the usual cleanup.
    place : folder of the run where that is not `--out`, which its config.yaml still names.
    on_trained : gets what the only training chose, before it is judged; nothing where there are folds or a tracker,
        which are about more than that.

    Returns
    -------
    (the content of the summary, the directory of the run).
    """
    optim.check(config, device)
    if config.refit:
        again.check(config.backbone)
    run_data, task, start = open_data(config, argv)
    _tell_idle(run_data.config)
    folds = dataset.make_splits(run_data)
    _tell_split(run_data, folds)
    _fit_size(run_data, task, len(folds[-1].train))
    tell_left_out(run_data, folds[-1])
    together = ranks.here()
    name = together.agreed(_name(run_data, task))
    out = place or config.out
    final = Path(out) / name
    if config.dry_run:
        return {"dry_run": name} | stages.whole(run_data, task, folds[-1], device, start).sizes(), final
    if not together.first:
        _assist([partial(stages.run, run_data, task, split, device, start, None) for split in folds], config, out, name)
        return {}, final
    written = Files(config.experiment) if config.experiment else None
    with RunDir(out, name, overwrite=config.overwrite, resume=config.resume, free=bool(config.tag)) as directory:
        if config.resume and together.agreed(_finished(directory, run_data)):
            summary = task.summary if written is None else written.summary
            return json.loads((final / summary).read_text(encoding="utf-8")), final
        with tracked(config, name, str(final)) as tracker:
            heard = _heard(on_epoch, on_trained, tracker, single=len(folds) == 1)
            jobs = [partial(stages.run, run_data, task, split, device, start, heard) for split in folds]
            contents, learner = _learn_folds(jobs, run_data, task, directory, argv, finished=written is None)
            content = contents[-1] if len(folds) == 1 else _join(contents, task, directory.path)
            if written is not None:
                assert learner is not None, "an experiment trains every fold"
                content["metrics"] = written.write(learner, directory.path, content)
            if tracker is not None:
                tracker.result(content)
            directory.commit()
    return content, final


def _tell_split(run_data: RunData, folds: Sequence[Split]) -> None:
    if run_data.config.split_mode == "rolling" and len(folds) == 1:
        log.info("rolling with one fold is the split of --split-mode holdout; --folds 3 walks forward three times")
    said = splits.told(folds[-1], run_data.series.n_rows)
    data.tell([read.of_split(run_data, folds[-1]), *said, *repeats.told(run_data, folds[-1])])


def _assist(jobs: Sequence[Job], config: RunConfig, out: str, name: str) -> None:
    """What other processes than the first do in training: their shares of every fold. They write nothing."""
    together, folder = ranks.here(), RunDir(out, name).path
    if config.resume and together.agreed(True):
        return
    for k, job in enumerate(jobs):
        if not together.agreed(True):  # else this fold was finished
            _, learner = job(folder / f"fold_{k}" if len(jobs) > 1 else folder, name, ())
            if config.refit and k == len(jobs) - 1 and learner.in_epochs:
                again.trained(learner)


def _heard(on_epoch: OnEpoch | None, on_trained: OnTrained | None, tracker: Mlflow | None, *, single: bool) -> Listener:
    """Who follows each training: the callers, of whom `on_trained` is for a single one alone, and its tracker."""
    if tracker is None or not single:
        return Listener(on_epoch, on_trained if single else None)

    def both(line: Mapping[str, Any]) -> None:
        tracker.epoch(line)
        if on_epoch is not None:
            on_epoch(line)

    return Listener(both)


def _fit_size(run_data: RunData, task: Task, windows: int) -> None:
    """Let batch size and epochs suit the number of training windows, where they are not given; say so."""
    config = run_data.config
    if not task.fits_size or backbone_class(config.backbone).closed_form:
        return
    found = optim.fitting(config, windows)
    if found == {name: vars(config)[name] for name in found}:
        return
    run_data.config = replace(config, **found)
    count, size = steps(windows, found["batch_size"])
    data.tell(
        [
            f"{windows:,} training windows: {found['epochs']} epochs of {count} steps, with {size} windows a step "
            "(--batch-size and --epochs set them)"
        ]
    )


def _finished(directory: RunDir, run_data: RunData) -> bool:
    """Whether the run that is resumed is finished, and stays so; with a larger --epochs it goes on.

    CheckpointError where the run of that name, or a part of it, had other settings or files.
    """
    finished = directory.complete()
    states = [Checkpoint.load(path) for path in directory.states(finished)]
    for last in states[:1]:
        run_data.config = run_data.config.as_measured((last.training or {}).get("measured"))
    if finished and not states:
        hint = "--overwrite trains it again"
        what = "has no checkpoint left to compare this command with"
        raise CheckpointError(what, where=str(directory.final), hint=hint)
    longer = [resuming.check_resumed(last, run_data, finished) for last in states]
    if any(longer):
        directory.reopen(finished)
    done = finished and not any(longer)
    if done:
        log.warning("this run is complete, there is nothing to resume")
    return done


def _tell_idle(config: RunConfig) -> None:
    """Tell which given flags inference or a closed form has no use for; a blend may hold members that are trained."""
    usual, why, names = tasks.usual(config.task), "", BY_STEPS
    if config.mode == "infer":
        why = "inference trains nothing"
        names = tuple(name for name in BY_STEPS if name != "batch_size")  # it predicts in batches, too
    elif backbone_class(config.backbone).closed_form and not backbone_class(config.backbone).blends_runs:
        why = f"{config.backbone} is solved at once; --backbone gru is trained"
    told = idle_training(why, vars(config), usual, config.given, names) if why else ""
    data.tell([told] if told else [])


def _name(run_data: RunData, task: Task) -> str:
    config, found = run_data.config, run_data.series.things
    config = config if found is None else replace(config, context_len=len(found.columns))
    return run_name(config, channels=len(run_data.series.columns), task_part=task.name_part())


def _learn_folds(
    jobs: Sequence[Job], run_data: RunData, task: Task, directory: RunDir, argv: Sequence[str], *, finished: bool
) -> tuple[list[dict[str, Any]], Learner | None]:
    """Train every fold that an interrupted run has not finished; the last one once more on all data, if asked for.

    Parameters
    ----------
    jobs : one for each fold.
    finished : whether a fold that is finished is taken as it stands.

    Returns
    -------
    (the content of each fold's summary, the learner of the last fold that was trained here).
    """
    together, contents, learner = ranks.here(), [], None
    for k, job in enumerate(jobs):
        folder = directory.path / f"fold_{k}" if len(jobs) > 1 else directory.path
        refits = run_data.config.refit and k == len(jobs) - 1
        done = (folder / again.SCORED).is_file() if refits else complete(folder)
        if together.agreed(done and finished):
            contents.append(json.loads((folder / task.summary).read_text(encoding="utf-8")))
        else:
            content, learner = _learn_fold(job, folder, directory, argv)
            run_data.config = run_data.config.as_measured(learner.config.measured)
            contents.append(content | again.refit(learner, folder) if refits else content)
    return contents, learner


def _learn_fold(job: Job, folder: Path, directory: RunDir, argv: Sequence[str]) -> tuple[dict[str, Any], Learner]:
    """Train one fold into its folder. The directory of a run that diverges is kept under another name."""
    folder.mkdir(exist_ok=True)
    try:
        return job(folder, directory.name, argv)
    except DivergedError as error:
        kept = directory.set_aside("diverged")
        error.hint += f"; the best checkpoint before it is in {kept}"
        raise


def _join(contents: Sequence[Mapping[str, Any]], task: Task, folder: Path) -> dict[str, Any]:
    """The last fold's files are the run's; its summary gets the mean and spread over the folds."""
    shutil.copytree(folder / f"fold_{len(contents) - 1}", folder, dirs_exist_ok=True)
    spread = {}
    for name in contents[-1]["headline"]:
        values = [content["headline"][name] for content in contents]
        known = [value for value in values if value is not None]
        mean, std = (float(np.mean(known)), float(np.std(known))) if known else (None, None)
        spread[name] = {"mean": mean, "std": std, "values": values}
    best = [content["best_val"] for content in contents]
    joined = {**contents[-1], "folds": spread, "best_val": None if None in best else float(np.mean(best))}
    write_json(folder / task.summary, joined)
    write_run(folder)
    return joined
