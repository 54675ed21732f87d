"""What is taken for flags that were not given, where the files leave no other reading; --strict refuses it."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import backbones
from config import RunConfig
from errors import DataError, TsrunError
from readers.dialect import AUTO
from readers.paths import abridge, expand_paths

OTHERS = ("demo", "npz", "db", "dataset", "header", "index", "ckpt")  # with which no table is looked at
PLAIN = {"sep": ",", "decimal": "."}  # what --strict reads without their flags

log = logging.getLogger("tsrun")


def taken(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The settings that follow from those given, and notes on them.

    Parameters
    ----------
    raw : what was given, by the flags' names, as text.

    Raises
    ------
    DataError : the lines of a dated table belong to several series, and a flag must say which.
    """
    found, told = _of_directory(raw)
    if not raw.get("mode") and not raw.get("ckpt"):
        found["mode"] = "train"
    if str(raw.get("strict", False)).lower() in ("true", "yes", "on", "1"):  # of a config file it is text
        return found | {name: value for name, value in PLAIN.items() if raw.get(name, AUTO) == AUTO}, told
    if not raw.get("csv") or any(raw.get(name) not in (None, "", False, AUTO) for name in OTHERS):
        return found, told
    more, notes = ({}, []) if raw.get("time_col") else _time_column(raw)
    if raw.get("time_col") == "line" and not raw.get("id_col"):
        more, notes = _owner(raw)
    return found | more, told + notes


def _of_directory(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Inference with a directory in place of a checkpoint: its model as it is, which is training for no epochs."""
    name = raw.get("backbone")
    if raw.get("mode") != "infer" or raw.get("ckpt") or not raw.get("pretrained_dir") or name not in backbones.names():
        return {}, []
    chosen = backbones.backbone_class(str(name))
    if not chosen.needs_pretrained_dir or chosen.closed_form:
        return {}, []
    told = "no --ckpt: the model of --pretrained-dir forecasts as it is, as with --mode train --epochs 0"
    return {"mode": "train", "epochs": "0"}, [told]


def retimed(config: RunConfig, kept: Mapping[str, Any], trained_wide: bool) -> dict[str, Any]:
    """The time column of new files for a checkpoint, where they have none of the name that it keeps.

    Parameters
    ----------
    config : the settings of the command line.
    kept : those that the checkpoint fixes, `time_col` among them unless that was given.
    trained_wide : whether the checkpoint was trained on wide tables, which have no column of times.

    Returns
    -------
    {"time_col": the column}, which is told; {} where nothing is to be taken.
    """
    from readers.guess import LINE  # numpy: the help does without

    if config.strict or trained_wide or not config.csv or "time_col" not in kept or {"header", "index"} & config.given:
        return {}
    if kept["time_col"] == LINE:  # of which every table has some
        return {}
    raw = {name: vars(config)[name] for name in ("csv", "sep", "decimal", "thousands")}
    found, notes = _time_column(raw | {"id_col": config.id_col or kept.get("id_col", "")}, str(kept["time_col"]))
    for note in notes:
        log.info(note)
    return found


def _time_column(raw: Mapping[str, Any], usual: str = "") -> tuple[dict[str, Any], list[str]]:
    """The columns of the times, and of the ids, in the first file, and notes; none where there are none, where they are
    not certain, and where the columns `usual` are there."""
    from readers.dated import dated  # numpy: the help does without
    from readers.guess import LINE

    try:
        path, *others = _files(raw)
        found = dated(path, _dialect(raw), str(raw.get("id_col", "")))
    except (TsrunError, ValueError):  # told where it is read
        return {}, []
    if found is None or found.steps or (usual and {*usual.split("+")} <= {*found.names}):
        return {}, []
    labelled = raw.get("label_src_ch") or found.worded or raw.get("labels") or found.label
    if found.time == LINE and labelled and not (found.follow or others):
        other = "--time-col line if each is a step of time"
        return {}, [f"{path}: each line is an example of its own, with {abridge(found.names)}; {other}"]
    if len(found.ids) > 1 and not raw.get("id_col"):
        what = f"the times of {found.time!r} come again and again: each line belongs to one of several series"
        hints = [f"--time-col {shlex.quote(found.time)} --id-col {shlex.quote(name)}" for name in found.ids[:2]]
        one = f"; --time-col {LINE} takes each line as a step of one series, whatever its time"
        raise DataError(what, where=str(path), hint=" or ".join(hints) + one)
    taken = {"time_col": found.time}
    notes = [f"{path}: {found.time!r} taken as the time column, since its times grow; --time-col names another"]
    if found.time == LINE:
        notes = [f"{path}: {_line_note(found.names)}"]
    if found.ids and not raw.get("id_col"):
        taken["id_col"] = found.ids[0]
        notes.append(_id_note(path, found.ids[0]))
    return taken, notes


def _owner(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The column that says whose a line is in the first of files whose lines are steps, told; none where none does."""
    from readers.owned import owner_in

    try:
        path = _files(raw)[0]
        owner = owner_in(path, _dialect(raw))
    except (TsrunError, ValueError):  # told where it is read
        return {}, []
    return ({"id_col": owner}, [_id_note(path, owner)]) if owner else ({}, [])


def _files(raw: Mapping[str, Any]) -> list[Path]:
    """The files of --csv. DataError or UsageError where they are not there, or too many."""
    csv = raw["csv"]
    return expand_paths([csv] if isinstance(csv, str) else [str(word) for word in csv])


def _dialect(raw: Mapping[str, Any]) -> Any:
    """How the flags say that CSVs are written."""
    from readers.dialect import Dialect

    given = {name: raw[name] for name in ("sep", "decimal", "thousands") if isinstance(raw.get(name), str)}
    return Dialect(**{"sep": AUTO, "decimal": AUTO} | given)


def _id_note(path: Path, name: str) -> str:
    return f"{path}: {name!r} taken as the column that names the series; --id-col names another"


def _line_note(names: Sequence[str]) -> str:
    if len(names) == 1:
        return "each line holds one number and is a step of one series; --index no: a series of one step"
    channels = f"each line is a step, and the columns ({abridge(names)}) are channels"
    header = "no" if all(map(str.isdecimal, names)) else "yes"
    return f"no column holds times: {channels}; --header {header} if each is a series"
