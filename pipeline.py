"""The one path: load -> window -> split -> model -> train | evaluate -> artifacts."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import checkpoint
import dataset
import finetune
import optim
import results
import tasks
from config import RunConfig
from dataset import RunData
from errors import DivergedError
from experiments.results import Files
from fusion import adapt, stages
from hardware import pick_device
from learner import Learner
from metrics import clean_json
from predictor import infer
from rundir import RunDir, run_name, write_json
from tasks.base import Task

log = logging.getLogger("tsrun")


def run(config: RunConfig, argv: Sequence[str]) -> None:
    """Do what the configuration says; the result goes to stdout, everything else to stderr."""
    log.handlers = [logging.StreamHandler(sys.stderr)]
    log.setLevel(logging.WARNING if config.quiet else logging.INFO)
    log.propagate = False
    device = pick_device(config.device, config.threads)
    if config.mode == "infer":
        content, directory = infer(config, argv, device)
    else:
        content, directory = learn(config, argv, device)
    if config.json:
        results.emit(json.dumps(clean_json({**content, "directory": str(directory)}), allow_nan=False))
    elif "headline" in content:
        results.emit(results.table(content, directory))
    else:
        results.emit(results.outline(content))


def learn(
    config: RunConfig,
    argv: Sequence[str],
    device: torch.device,
    on_epoch: Callable[[Mapping[str, Any]], None] | None = None,
) -> tuple[dict[str, Any], Path]:
    """Train or finetune; (the summary's content, the run's directory).

    `on_epoch` gets every epoch's line of the history; what it raises leaves training through the usual cleanup.
    """
    optim.check(config, device)
    stored = None
    if config.mode == "finetune":
        stored = checkpoint.load(checkpoint.find(config.ckpt))
        config = finetune.adopt_checkpoint(config, stored)
        adapt.check(config, stored)
    task = tasks.build(config.task, config.options)
    run_data = _open(stages.settle(config, task, argv), task, stored)
    config, folds = run_data.config, dataset.make_splits(run_data)
    name = run_name(config, channels=run_data.series.n_channels, task_part=task.name_part())
    final = Path(config.out) / name
    if config.dry_run:
        return {"dry_run": name} | stages.whole(run_data, task, folds[-1], device, stored).sizes(), final
    written = Files(config.experiment) if config.experiment else None
    with RunDir(config.out, name, overwrite=config.overwrite, resume=config.resume, free=bool(config.tag)) as place:
        if place.complete():
            log.warning("this run is complete, there is nothing to resume")
            summary = task.summary if written is None else written.summary
            return json.loads((final / summary).read_text(encoding="utf-8")), final
        contents = []
        for k, split in enumerate(folds):
            folder = place.path / f"fold_{k}" if len(folds) > 1 else place.path
            done = (folder / "manifest.json").is_file()  # written last: an interrupted run had finished this fold
            if done and written is None:
                contents.append(json.loads((folder / task.summary).read_text(encoding="utf-8")))
            else:
                job = partial(stages.run, run_data, task, split, device, stored, on_epoch)
                content, learner = _learn_fold(job, folder, place, argv)
                contents.append(content)
        content = contents[-1] if len(folds) == 1 else _join(contents, task, place.path)
        if written is not None:
            content["metrics"] = written.write(learner, place.path, content)
        place.commit()
    return content, final


def _open(config: RunConfig, task: Task, stored: Mapping[str, Any] | None) -> RunData:
    """The data of a run, and the configuration with what they say; `stored` is what finetuning starts from."""
    series, timings = dataset.load(config, task, None if stored is None else stored["input_channels"])
    if stored is not None and not config.adapt_modality:
        finetune.check_files(stored, config, series, task.derived)
    run_data = dataset.to_train_on(config, task, series, timings)
    if stored is not None:
        finetune.check_checkpoint(stored, run_data)
    return run_data


def _learn_fold(
    job: Callable[..., tuple[dict[str, Any], Learner]], folder: Path, place: RunDir, argv: Sequence[str]
) -> tuple[dict[str, Any], Learner]:
    """One fold into its folder; a run that diverges is set aside for its owner to look at."""
    folder.mkdir(exist_ok=True)
    try:
        return job(folder, place.name, argv)
    except DivergedError as error:
        kept = place.set_aside("diverged")
        error.hint += f"; the best checkpoint before it is in {kept}"
        raise


def _join(contents: Sequence[Mapping[str, Any]], task: Task, folder: Path) -> dict[str, Any]:
    """The last fold's files stand for the run; its summary gets the mean and spread over the folds."""
    shutil.copytree(folder / f"fold_{len(contents) - 1}", folder, dirs_exist_ok=True)
    spread = {}
    for name in task.headline:
        values = [content["headline"][name] for content in contents]
        known = [value for value in values if value is not None]
        mean, std = (float(np.mean(known)), float(np.std(known))) if known else (None, None)
        spread[name] = {"mean": mean, "std": std, "values": values}
    watched = [content["best_val"] for content in contents]
    best_val = None if None in watched else float(np.mean(watched))
    joined = {**contents[-1], "folds": spread, "best_val": best_val}
    write_json(folder / task.summary, joined)
    return joined
