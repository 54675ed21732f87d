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
import restore
import splits
import tasks
from backbones import backbone_class
from checkpoint import Checkpoint
from config import RunConfig, refuse
from data import Series
from dataset import RunData
from errors import CheckpointError, DivergedError
from experiments.results import Files
from fusion import adapt, stages
from hardware import pick_device
from learner import Learner
from metrics import clean_json
from predictor import Inference
from rundir import OnEpoch, RunDir, run_name, write_json
from sources.kinds import BY_STEPS, idle, idle_training
from splits import Split
from tasks.base import Task
from windows import steps

log = logging.getLogger("tsrun")
MOST_LISTED = 8  # numbers of a list that a dry run shows


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
    log.handlers = [logging.StreamHandler(sys.stderr)]
    log.setLevel(logging.WARNING if config.quiet else logging.INFO)
    log.propagate = False
    data.tell(config.notes)
    device = pick_device(config.device, config.threads)
    content, directory = (infer if config.mode == "infer" else learn)(config, argv, device)
    if config.json:
        text = json.dumps(clean_json({**content, "directory": str(directory)}), allow_nan=False)
    elif "headline" in content:
        text = _table(content, directory)
    else:
        text = _outline(content)
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
    series, timings, config = _read(config, fixed, task, start)
    if start is None:
        return _to_train_on(config, task, series, timings), task, None
    series = restore.in_order(start, config, series)
    if config.mode == "infer":
        return _to_predict(config, task, series, timings, start), task, start
    if not config.adapt_modality:
        restore.check_series(start, config, series, task.derived)
    run_data = _to_train_on(config, task, series, timings)
    restore.check_run_data(start, run_data)
    return run_data, task, start


def _read(
    config: RunConfig, fixed: Mapping[str, Any], task: Task, start: Checkpoint | None
) -> tuple[Series, dict[str, float], RunConfig]:
    """The series, the seconds that reading took, and the configuration, which nothing changes after this."""
    config = replace(config, **fixed)
    refuse(idle(tasks.every_flag(config.task), vars(config) | config.options, tasks.usual(config.task), config.given))
    series, timings = dataset.load(config, task, None if start is None else start.input_channels)
    if start is not None:
        read = len(series.notes)
        series = task.match(series, config, restore.same_place(start, config, series))
        data.tell(series.notes[read:])
    config = replace(config, **(task.chosen(series, config) if start is None else {}))
    config = replace(config, **dataset.window_of(config, series))
    assert config.context_len is not None
    return series, timings, replace(config, **task.finalize_config(config, config.context_len))


def _to_train_on(config: RunConfig, task: Task, series: Series, timings: dict[str, float]) -> RunData:
    run_data = dataset.open_run_data(config, task, series, timings)
    run_data.beside = restore.files_beside(config)
    dataset.check_windows(run_data, task)
    return run_data


def _to_predict(config: RunConfig, task: Task, series: Series, timings: dict[str, float], start: Checkpoint) -> RunData:
    """The data for inference, which may lack the label."""
    lacking = 0 if start.per_row else task.absent(start.input_channels, start.outputs, config, series)
    restore.check_series(start, config, series, task.derived, lacking)
    known = restore.label_known(start, series, lacking)
    run_data = dataset.open_run_data(config, task, series, timings, label_known=known, per_row=start.per_row)
    run_data.beside = restore.files_beside(config)
    restore.check_run_data(start, run_data)
    return run_data


# --- what is left out -------------------------------------------------------------------------------------------------


def _tell_left_out(run_data: RunData, split: Split | None = None) -> None:
    """Warn of rows that are not used at all, not learned from, not scored or not predicted; `left_out` keeps it.

    Rows of another part of a split by rows are not left out. In inference, without `split`, what comes after each row
    is predicted too.
    """
    series, index = run_data.series, run_data.index if split is not None else run_data.judged
    rows = partial(splits.left_out, names=series.rows, lengths=series.lengths)
    every = np.ones(series.n_rows, bool)
    found: dict[str, dict[str, Any]] = {}
    if run_data.targets is not None:
        gap = _says("each of their windows holds a missing value")
        found["used" if split is not None else "scored"] = rows(index, every, need=index.span, gap=gap)
    if split is not None and split.how["mode"] != "group":
        used, last = np.isin(np.arange(series.n_rows), index.row), split.test if len(split.test) else split.val
        gap = _says("none of their windows has its target in that part of the row")
        found["learned from"] = rows(split.train, used, need=0, gap=gap)
        found["scored"] = rows(last, used, need=0, gap=gap)
    before = index.shift is not None and index.shift >= index.length  # else the target is in the window, or the row's
    if split is None and before and (len(run_data.ahead) or not series.known):
        found["predicted past their end"] = rows(
            run_data.ahead, every, need=index.length, gap=partial(_last_gap, run_data)
        )
    found["scored in full"] = _made_up(run_data)
    run_data.left_out.update({f"not {what}": left for what, left in found.items() if left})
    for what, left in run_data.left_out.items():
        more = left["rows"] - len(left["names"])
        listed = ", ".join(left["names"]) + (f" and {more:,} more" if more else "")
        log.warning(
            "warning: %d of %d rows %s: %s; %s", left["rows"], series.n_rows, f"are {what}", listed, left["why"]
        )


def _made_up(run_data: RunData) -> dict[str, Any]:
    """The rows in which `--nan` made up values of the target; {} where it made up none."""
    targets, series = run_data.targets, run_data.series
    if targets is None or targets.filled is None or not targets.filled.any():
        return {}
    row = np.repeat(np.arange(series.n_rows), series.lengths)
    counts = np.bincount(row, targets.filled.sum(axis=0), minlength=series.n_rows).astype(int)
    of, rows = len(targets.names) * series.lengths, np.flatnonzero(counts)
    few = [f"{series.rows[r]} ({counts[r]:,} of {of[r]:,} values)" for r in rows[: splits.FEW]]
    policy = run_data.config.nan
    made = "what stands for missing lines" if policy == "error" else f"what --nan {policy} made up"
    why = f"{made} may be input and is never scored"
    return {"rows": len(rows), "names": few, "why": why}


def _says(why: str) -> Callable[[int], str]:
    return lambda _: why


def _last_gap(run_data: RunData, row: int) -> str:
    """Why the end of a row is no context: where its last missing value is."""
    series, (begin, end) = run_data.series, run_data.series.offsets[row : row + 2]
    channels = [*run_data.keep, *run_data.covariates]
    gaps = [np.flatnonzero(np.isnan(series.values[c, begin:end])) for c in channels]
    last = [int(gap[-1]) if len(gap) else -1 for gap in gaps]
    if max(last) < 0:
        return f"{', '.join(series.known)} must be given after their end"
    at, channel = max(last), series.channels[channels[last.index(max(last))]]
    when = f"step {at}"
    if series.time is not None and series.clock is not None:
        when = series.clock.show(series.time[begin + at : begin + at + 1])[0]
    return f"of the last {run_data.index.length:,} steps of {series.rows[row]}, {channel} is missing at {when}"


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
    _tell_left_out(inference.run_data)
    name = _name(inference.run_data, inference.task)
    if config.dry_run:
        return {"dry_run": name} | inference.sizes(), Path(config.out) / name
    with RunDir(config.out, name, overwrite=config.overwrite) as directory:
        content = inference.run(directory.path, name, argv)
        directory.commit()
    return content, directory.final


# --- training --------------------------------------------------------------------------------------------------------


def learn(
    config: RunConfig, argv: Sequence[str], device: torch.device, on_epoch: OnEpoch | None = None, place: str = ""
) -> tuple[dict[str, Any], Path]:
    """Train or finetune.

    Parameters
    ----------
    config, argv : as in `run`.
    device : where the model is trained.
    on_epoch : gets every epoch's line of the history. What it raises ends training with the usual cleanup.
    place : folder of the run where that is not `--out`, which its config.yaml still names.

    Returns
    -------
    (the content of the summary, the directory of the run).
    """
    optim.check(config, device)
    run_data, task, start = open_data(config, argv)
    _tell_idle(run_data.config)
    folds = dataset.make_splits(run_data)
    if config.split_mode == "rolling" and len(folds) == 1:
        log.info("rolling with one fold is the split of --split-mode holdout; --folds 3 walks forward three times")
    data.tell(splits.told(folds[-1], run_data.series.n_rows))
    _fit_size(run_data, task, len(folds[-1].train))
    _tell_left_out(run_data, folds[-1])
    name = _name(run_data, task)
    out = place or config.out
    final = Path(out) / name
    if config.dry_run:
        return {"dry_run": name} | stages.whole(run_data, task, folds[-1], device, start).sizes(), final
    written = Files(config.experiment) if config.experiment else None
    with RunDir(out, name, overwrite=config.overwrite, resume=config.resume, free=bool(config.tag)) as directory:
        if config.resume and _finished(directory, run_data):
            log.warning("this run is complete, there is nothing to resume")
            summary = task.summary if written is None else written.summary
            return json.loads((final / summary).read_text(encoding="utf-8")), final
        contents = []
        for k, split in enumerate(folds):
            folder = directory.path / f"fold_{k}" if len(folds) > 1 else directory.path
            done = (folder / "manifest.json").is_file()  # written last: the interrupted run had finished this fold
            if done and written is None:
                contents.append(json.loads((folder / task.summary).read_text(encoding="utf-8")))
            else:
                job = partial(stages.run, run_data, task, split, device, start, on_epoch)
                content, learner = _learn_fold(job, folder, directory, argv)
                contents.append(content)
        content = contents[-1] if len(folds) == 1 else _join(contents, task, directory.path)
        if written is not None:
            content["metrics"] = written.write(learner, directory.path, content)
        directory.commit()
    return content, final


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
    if finished and not states:
        hint = "--overwrite trains it again"
        what = "has no checkpoint left to compare this command with"
        raise CheckpointError(what, where=str(directory.final), hint=hint)
    longer = [restore.check_resumed(last, run_data, finished) for last in states]
    if any(longer):
        directory.reopen(finished)
    return finished and not any(longer)


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
    return run_name(run_data.config, channels=run_data.series.n_channels, task_part=task.name_part())


def _learn_fold(
    job: Callable[..., tuple[dict[str, Any], Learner]], folder: Path, directory: RunDir, argv: Sequence[str]
) -> tuple[dict[str, Any], Learner]:
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
    return joined


# --- what is printed -------------------------------------------------------------------------------------------------


def _table(content: Mapping[str, Any], directory: Path) -> str:
    """The result as a small table: the model first, then its references, best first."""
    monitor, names = content["monitor"]["name"], list(content["headline"])
    rows = [(content["backbone"], content["headline"])]
    scored = [(name, r) for name, r in content["references"].items() if r.get(monitor) is not None]
    rows += sorted(scored, key=lambda row: row[1][monitor], reverse=content["monitor"]["direction"] == "max")
    lines = [_caption(content)]
    if "unscored" not in content:
        wide = {name: max(12, len(name) + 2) for name in names}
        lines.append(" " * 20 + "".join(f"{name:>{width}}" for name, width in wide.items()))
        lines += [
            f"{label:<20}" + "".join(f"{_number(row.get(name)):>{width}}" for name, width in wide.items())
            for label, row in rows
        ]
    parts = (part for part in content.values() if isinstance(part, dict))
    lines += [part["in_words"] for part in parts if part.get("in_words")]
    for name, fold in content.get("folds", {}).items():
        lines.append(f"{name} over {len(fold['values'])} folds: {_number(fold['mean'])} ± {_number(fold['std'])}")
    lines += _verdict(content)
    return "\n".join([*lines, str(directory)])


def _verdict(content: Mapping[str, Any]) -> list[str]:
    """A line that says so where a reference beats the model, and what to take."""
    if "better" not in content:
        return []
    reference, take = content["better"]["reference"], content["better"]["take"]
    name, monitor = content["backbone"], content["monitor"]["name"]
    mine, best = (_number(value) for value in (content[monitor], content["references"][reference][monitor]))
    advice = f": --backbone {take}" if take != name else ""
    advice = advice if take else ": it sees the label, which the model does not"
    return [f"{reference} is better than {name} here ({monitor} {best} against {mine}){advice}"]


def _caption(content: Mapping[str, Any]) -> str:
    if "unscored" in content:
        return f"predicted, not scored: {content['unscored']}"
    positive = content.get("prevalence")
    rate = f", {100 * positive:.1f} % positive" if positive is not None else ""
    took = f"{content['parameters']:,} parameters, {content['seconds']:.1f} s"
    return f"{content['split']}: {content['n']:,} windows{rate} ({content['selection']}; {took})"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _outline(content: Mapping[str, Any], indent: str = "") -> str:
    """Nested numbers as indented lines: what `--dry-run` prints."""
    lines = []
    for key, value in content.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}", _outline(value, indent + "  ")]
        else:
            readable = f"{value / 2**20:,.1f} MiB" if key.endswith("_bytes") else _readable(value)
            lines.append(f"{indent}{key.removesuffix('_bytes').replace('_', ' '):<22}{readable}")
    return "\n".join(lines)


def _readable(value: Any) -> str:
    """A number or text as it is; of many numbers their count and range."""
    if not isinstance(value, list) or len(value) <= MOST_LISTED:
        return str(value)
    return f"{len(value):,} of {min(value):.4g} to {max(value):.4g}"
