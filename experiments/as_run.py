"""An experiment as a run: its file turned into flags of `--mode train --task forecast`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import backbones
from config import Flag, convert, table_flags
from errors import DataError, UsageError, nearest
from experiments.config_file import DATA, PUBLISHED, USUAL, Experiment, backbone_of, optimizer_flags
from experiments.literals import Node
from readers.paths import at_home, is_file

ETT = b"date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"
USUAL_TIME = "date"
PRESETS = {17420: "etth", 69680: "ettm"}  # rows of the published sets: those of hours, those of quarters
MISSING = f"--dataset {PUBLISHED} takes the published ETTh1 in its place, and downloads it"


def dataset_of(experiment: Experiment, given: str) -> str:
    """The published set that an experiment is about: the one of `--dataset`, or ETTh1 where its file names no table."""
    return given or ("" if _data_of(experiment)["csv"] else PUBLISHED)


def told(experiment: Experiment, dataset: str) -> list[str]:
    """What is said of an experiment that leaves out the seed, the table or the batch size, or whose table is not read.

    Parameters
    ----------
    experiment : its file.
    dataset : of `--dataset`; empty if that was not given.
    """
    data = experiment.tree.value.get("data", Node({}, 1)).value
    usual = {"seed": f"seed {USUAL['seed']}"} if "seed" not in experiment.tree.value else {}
    if "csv" not in data and not dataset:
        usual["data['csv']"] = f"the published ETTh1 (--dataset {PUBLISHED})"
    if "batch_size" not in data:
        usual["data['batch_size']"] = f"batches of {DATA['batch_size']['default']}"
    notes = [f"{experiment.file} has no {', '.join(usual)}: {', '.join(usual.values())}"] if usual else []
    if dataset and "csv" in data:
        notes.append(f"{data['csv'].plain()} is not read: --dataset {dataset} is")
    return notes


def data_problems(experiment: Experiment, dataset: str) -> list[str]:
    """A table that is missing, or that lacks a column, FILE:LINE: TEXT; [] where a published set is read."""
    data = _data_of(experiment)
    if dataset:
        return []
    if not is_file(data["csv"]):
        return [f"{experiment.at('data', 'csv')}: {_no_file(data['csv'])} ({MISSING})"]
    named = {
        "time_col": data["time_col"].split("+") if data["time_col"] else [],
        "target": [] if data["features"] == "M" else data["target"],
    }
    columns = _columns(data["csv"], [*named["time_col"], *named["target"]])
    problems = []
    for key, names in named.items():
        for name in names:
            if columns and name not in columns:
                hint = nearest(name, columns) or f"its columns are {', '.join(columns[:12])}"
                where = experiment.at("data", key)
                problems.append(f"{where}: {data['csv']} has no column {name!r} (data[{key!r}]) ({hint})")
    return problems


def _columns(path: str, asked: Sequence[str]) -> list[str]:
    """The names of a table's columns, as the run will read them; [] where it has none or cannot be read.

    Parameters
    ----------
    path : the table.
    asked : columns that it should have, by which the line of the names is found.
    """
    from readers.columns import read_names  # numpy: the help does without
    from readers.dialect import AUTO, Dialect

    try:
        return read_names(at_home(path), Dialect(sep=AUTO, decimal=AUTO), asked)
    except (DataError, UsageError, OSError):
        return []  # the run says what is wrong


def check_table(experiment: Experiment, dataset: str) -> None:
    """DataError where the table of an experiment is missing, which is no mistake of its file."""
    csv = _data_of(experiment)["csv"]
    if not dataset and not is_file(csv):
        raise DataError(_no_file(csv), where=experiment.at("data", "csv"), hint=MISSING)


def _no_file(csv: str) -> str:
    return f"files not found: {csv!r}"


def _data_of(experiment: Experiment) -> dict[str, Any]:
    """The data section with its defaults; the default, too, in the place of a value that is a mistake."""
    section = experiment.tree.value.get("data", Node({}, 1))
    given = section.value if isinstance(section.value, dict) else {}
    return {flag.name: _taken(flag, given.get(flag.name)) for flag in table_flags(DATA, "data")}


def _taken(flag: Flag, node: Node | None) -> Any:
    try:
        return flag.default if node is None or node.broken else convert(flag, node.plain())
    except ValueError:
        return flag.default


def settings(experiment: Experiment, dataset: str = "") -> dict[str, Any]:
    """The experiment as flags of `--mode train --task forecast`; its table is `dataset` where that is given."""
    plain, dataset = experiment.whole(), dataset_of(experiment, dataset)
    data, training, backbone = _data_of(experiment), plain["training"], backbone_of(plain)
    args = {key: value for key, value in plain["model"].items() if key != "backbone"}
    if "label_len" in backbones.hyper(backbone):
        args["label_len"] = min(data["label_len"], data["seq_len"])
    scheduler = (training.get("scheduler_class") or "none").rpartition(".")[2]
    optimizer = training["optimizer_class"].rpartition(".")[2]
    return {
        "mode": "train",
        "task": "forecast",
        **({"dataset": dataset} if dataset else {"csv": [data["csv"]]}),
        "time_col": _time_col(data, dataset),
        "features": data["features"],
        "context_len": data["seq_len"],
        "horizon": data["pred_len"],
        "batch_size": data["batch_size"],
        **({} if data["features"] == "M" else {"target": data["target"]}),
        **_split(data, dataset),
        "seed": plain["seed"],
        "backbone": backbone,
        "model_args": args,
        "optimizer": optimizer,
        **optimizer_flags(optimizer, training.get("optimizer_params", {})),
        "scheduler": scheduler,
        "scheduler_args": training.get("scheduler_params", {}),
        "loss": training["criterion_class"].rpartition(".")[2],
        "epochs": training["max_epochs"],
        "patience": training["patience"],
        "clip": 0.0,  # a loop in plain torch has none, and the file has no key for it
        "plots": False,
        "out": "runs",
    }


def _time_col(data: Mapping[str, Any], dataset: str) -> str:
    """The column of time: the given one, else the usual one where the table has it, else "": the reader finds it."""
    usual = dataset or not is_file(data["csv"]) or USUAL_TIME in _columns(data["csv"], [USUAL_TIME])
    return str(data["time_col"] or (USUAL_TIME if usual else ""))


def _split(data: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """The split as flags: the given one, the published one for the ETT files, else 0.7, 0.1 and 0.2 in time."""
    parts = data["split"]
    if parts and abs(sum(parts) - 1) <= 1e-6:
        shares = {"val_ratio": parts[1], "test_ratio": parts[2]}
        return shares | ({"split_sizes": []} if dataset else {})  # in place of the published sizes
    if parts:
        return {"split_sizes": [int(part) for part in parts]}
    if dataset:
        return {}
    header, rows = _table(data["csv"])
    known = header.strip() == ETT and rows in PRESETS
    return {"preset": PRESETS[rows]} if known else {"val_ratio": 0.1, "test_ratio": 0.2}


def _table(path: str) -> tuple[bytes, int]:
    """(first line of a file, number of non-empty lines after it); (b"", 0) if it cannot be read."""
    try:
        with at_home(path).open("rb") as file:
            return file.readline(), sum(1 for line in file if line.strip())
    except (OSError, ValueError):
        return b"", 0
