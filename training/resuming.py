"""A run that goes on, or is found finished: it had the same settings and files, or is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import checkpoint
import tasks
from backbones import ModelSpec, backbone_class
from backbones.model import Forecaster, Model
from backbones.pretrained_files import WEIGHT_FILES
from checkpoint import Checkpoint
from config import RunConfig, core_flags
from dataset import RunData
from errors import CheckpointError
from readers.files import sha256_of
from readers.sidecars import of_file

SCORED = ("eval_split", "reference")  # what the figures of a finished run depend on, beside its training


def files_beside(config: RunConfig) -> tuple[dict[str, Any], ...]:
    """The files of a run that are not its series, {flag, path, sha256, bytes} of each."""
    members = str(config.model_args.get("members", ""))
    named = {
        "--config": [config.config_file],
        "--labels": [str(of_file(config.labels)[0])],
        "--groups": [str(of_file(config.groups)[0])],
        "--db-query": [config.db_query],
        "--ckpt": _within(config.ckpt, (checkpoint.BEST, checkpoint.LAST, checkpoint.EXPERIMENT))[:1],
        "--encoder": _within(config.encoder, (checkpoint.ENCODER, f"encoder/{checkpoint.ENCODER}"))[:1],
        "--overlay-from": list(config.options.get("overlay_from", ())),
        "--pretrained-dir": _within(config.pretrained_dir, ("config.json", *WEIGHT_FILES)),
        "--model-args": [path for run in members.split(",") for path in _within(run.lstrip("+"), (checkpoint.BEST,))],
    }
    return tuple(
        {"flag": flag, "path": path, "sha256": sha256_of(Path(path)), "bytes": Path(path).stat().st_size}
        for flag, paths in named.items()
        for path in paths
        if path and Path(path).is_file()
    )


def _within(place: str, names: Sequence[str]) -> list[str]:
    """The file at a place, or those of `names` in the directory there."""
    if not place or not Path(place).is_dir():
        return [place]
    return [str(path) for name in names if (path := Path(place) / name).is_file()]


def checksums(beside: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """{flag: sha256 of each file}, as a checkpoint keeps it; a config file's settings are kept as such."""
    found: dict[str, list[str]] = {}
    for file in beside:
        if file["flag"] != "--config":
            found.setdefault(file["flag"], []).append(file["sha256"])
    return found


def check_resumed(last: Checkpoint, run_data: RunData, finished: bool, spec: ModelSpec | None = None) -> bool:
    """Refuse to resume a run with other settings or files than it had; --epochs alone may grow.

    Parameters
    ----------
    last : a checkpoint of the run.
    run_data : what the command asks for now.
    finished : whether the run is finished. What it was scored with must be the same then, too.
    spec : of the model that is trained; None where that is not known yet.

    Returns
    -------
    Whether the run is to be trained for more epochs than it was begun with.

    Raises
    ------
    CheckpointError : with all that differs; or more epochs cannot go on from where the run ended.
    """
    stages = backbone_class(last.model.backbone).stages
    config = run_data.config.for_part(last.model.part or stages[-1]) if stages else run_data.config
    flags = [*core_flags(), *tasks.flags(config.task)]
    before = _plain({flag.name: flag.default for flag in flags} | tasks.table(config.task, "DEFAULTS") | last.config)
    now = _plain(config.flat())
    if "wide" not in last.config and last.model.head == "pool" and last.model.target is None:
        before["wide"] = False  # begun before there was such a thing
    if spec is not None and last.model.wide and _under(last.model) != _under(spec):
        what = "the run was begun by a version whose nets stand on something else"
        raise CheckpointError(what, where="--resume", hint="--overwrite starts again")
    checked = [flag.name for flag in flags if flag.trains or (finished and flag.name in SCORED)]
    changed = [name for name in checked if before[name] != now[name]]
    other = _other_files(last, run_data)
    if changed == ["epochs"] and not other and now["epochs"] > before["epochs"]:
        _check_longer(last, config)
        return True
    ended = "finished" if finished else "interrupted"
    parts = [f"--{name.replace('_', '-')} {_shown(before[name])} (now {_shown(now[name])})" for name in changed]
    told = [f"the {ended} run had {', '.join(parts)}"] * bool(parts)
    told += [f"the files have changed since the run was {ended}: {', '.join(other)}"] * bool(other)
    if told:
        raise CheckpointError("; ".join(told), where="--resume", hint="--overwrite starts again")
    return False


def _under(spec: ModelSpec) -> tuple[bool, bool]:
    """What has changed under nets since some version: whether boosted trees see means, and a label's last state."""
    return spec.aged, spec.wide is not None and len(spec.wide.cuts) > 0


def finished_members(folder: Path, run_data: RunData, model: Model | Forecaster) -> dict[str, torch.Tensor]:
    """What the members of a blend said that an interrupted run had finished; their weights are loaded into the model.

    Parameters
    ----------
    folder : of the run that is resumed; there is nothing to load where it is not.
    run_data, model : what the command asks for now.

    Returns
    -------
    {member: what it said of windows that it had not seen [n, K]}.

    Raises
    ------
    CheckpointError : the interrupted run had other settings or files.
    """
    if not run_data.config.resume or not (folder / checkpoint.LAST).is_file():
        return {}
    last = Checkpoint.load(folder / checkpoint.LAST)
    check_resumed(last, run_data, finished=False)
    members = (last.training or {}).get("members", {})
    if members:
        model.load_state_dict(last.state)
    return dict(members)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value) or "''"


def _other_files(last: Checkpoint, run_data: RunData) -> list[str]:
    """The files whose content is not what it was in training; where their number differs, all of them."""
    sources = run_data.series.sources
    then = last.sources if len(last.sources) == len(sources) else [""] * len(sources)
    other = [source.path for source, sha256 in zip(sources, then, strict=True) if source.sha256 != sha256]
    if last.beside is None:  # older than this record
        return other
    now = checksums(run_data.beside)
    differing = {flag for flag in now | last.beside if now.get(flag) != last.beside.get(flag)}
    return other + [file["path"] for file in run_data.beside if file["flag"] in differing]


def _check_longer(last: Checkpoint, config: RunConfig) -> None:
    """CheckpointError where a run cannot be trained for more epochs from where it ended."""
    begun = last.config["epochs"]
    reason = ""
    if last.training is None:
        reason = "left no state of training to go on from"
    elif (
        config.patience
        and last.training["progress"]["stale"] >= config.patience
        and not last.training["progress"].get("averaged")
    ):
        ended = last.training["progress"]["epoch"]
        reason = f"ended in epoch {ended} by --patience {config.patience}: more epochs change nothing"
    elif "total_steps" in (last.training["schedule"]["scheduler"] or {}):
        reason = f"had a schedule of {begun} epochs ({config.scheduler})"
    elif ended := last.training["progress"].get("limit"):
        reason = f"ended after {ended} epochs by --budget"
    elif config.stage == "all":
        reason = f"trained two stages, each for {begun} epochs"
    if reason:
        hint = "--overwrite starts again"
        raise CheckpointError(f"the run {reason}", where=f"--resume --epochs {config.epochs}", hint=hint)
