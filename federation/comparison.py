"""The results of a federation: three ways of learning side by side, home by home."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import checkpoint
import restore
import viz
from backbones.model import build_model
from checkpoint import Checkpoint
from config import RunConfig
from errors import ResourceError
from federation.home_model import BASE, SHOWN, SharedBase
from rundir import write_config, write_csv, write_json

MAJORITY = "majority"  # the most frequent class in a home's training windows, which a model has to beat
LOOK = {
    MAJORITY: ("|", viz.GREY, ":", "most frequent answer"),
    "local": ("s", viz.BLACK, "-", SHOWN["local"]),
    "shared": ("^", viz.ORANGE, "--", SHOWN["shared"]),
    "fedper": ("o", viz.BLUE, "-.", SHOWN["fedper"]),
}
STYLE: dict[str, dict[str, Any]] = {
    "|": {"markersize": 9, "markeredgewidth": 2},
    "s": {"markersize": 5, "fillstyle": "none"},
    "^": {"markersize": 5.5},
    "o": {"markersize": 5},
}
MOST_HOMES = 60  # rows that a picture has room for


def name_of(config: RunConfig, *, homes: int, rounds: int, epochs: int) -> str:
    """The directory's name, known before the run."""
    name = f"federate_{config.task}_homes{homes}_rounds{rounds}x{epochs}_{config.backbone}_seed{config.seed}"
    return f"{name}_{config.desc}" if config.desc else name


def gather(directory: Path, homes: Sequence[str], modes: Sequence[str], ends: Mapping[str, int]) -> dict[str, Any]:
    """The results that server and homes wrote into `directory`, as the content of metrics.json.

    Parameters
    ----------
    directory : of the federation.
    homes, modes : names of the homes and the ways of learning.
    ends : {home: exit code of its process}.

    Means are over the homes that have a model for every way of learning.

    Raises
    ------
    ResourceError : there is no such home.
    """
    found: dict[str, dict[str, Any]] = {home: {} for home in homes}
    for home in homes:
        for mode in modes:
            file = directory / mode / home / "metrics.json"
            if file.is_file():
                found[home][mode] = json.loads(file.read_text(encoding="utf-8"))
    whole = [home for home in homes if len(found[home]) == len(modes) and not ends[home]]
    if not whole:
        raise ResourceError("no home has finished every way of learning", where="--clients")
    server = directory / "server.json"
    reported = json.loads(server.read_text(encoding="utf-8")) if server.is_file() else {}
    server.unlink(missing_ok=True)
    return {
        "modes": list(modes),
        "homes_compared": whole,
        "mean_accuracy": {
            way: float(np.mean([_accuracy(found[home], way) for home in whole])) for way in (*modes, MAJORITY)
        },
        "homes": {home: {**found[home], "end": _end(ends[home])} for home in homes},
        "refused": reported.get("refused", {}),
        "lost": reported.get("lost", {}),
        "left_out": reported.get("left_out", []),
        "history": reported.get("history", []),
    }


def _accuracy(reports: Mapping[str, Any], way: str) -> float:
    report = next(iter(reports.values())) if way == MAJORITY else reports[way]
    return float(report["majority_accuracy" if way == MAJORITY else "accuracy"])


def _end(code: int) -> str:
    if code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}" if code else "done"


def write(directory: Path, content: Mapping[str, Any], config: RunConfig) -> None:
    """Write metrics.json, per_home.csv, config.yaml, the picture, and the base as a checkpoint directory.

    `config` holds the settings that the homes had.
    """
    write_json(directory / "metrics.json", content)
    write_config(directory / "config.yaml", config)
    modes = content["modes"]
    rows = []
    for home, result in content["homes"].items():
        reports = {mode: result[mode] for mode in modes if mode in result}
        windows = next(iter(reports.values()))["windows"] if reports else {"train": "", "val": "", "test": ""}
        shares = [_accuracy(reports, way) if way in reports else "" for way in modes]
        rows.append([home, *windows.values(), *shares, _accuracy(reports, MAJORITY) if reports else "", result["end"]])
    write_csv(directory / "per_home.csv", ["home", "train", "val", "test", *modes, MAJORITY, "end"], rows)
    picture(content, directory / "per_home.png")
    for mode in modes:
        averaged = directory / f"{mode}.shared.pt"
        if averaged.is_file() and mode == "fedper":
            write_base(directory / "base", directory / mode / content["homes_compared"][0], averaged)
        averaged.unlink(missing_ok=True)


def write_base(folder: Path, home: Path, averaged: Path) -> None:
    """Write the averaged base under an untrained head, for `--mode finetune` in a new home.

    The checkpoint has the architecture of one home's model. Of the data it has only what is common to all homes: the
    averaged weights, the scaler, the names of channels and labels.

    Parameters
    ----------
    folder : the new checkpoint directory.
    home : the checkpoint directory of any home.
    averaged : the file that the server wrote.
    """
    start, shared = Checkpoint.load(checkpoint.find(str(home))), SharedBase.load(averaged)
    torch.manual_seed(start.config["seed"])
    state = build_model(start.model).state_dict()
    task = restore.task_of(start)
    neutral = np.repeat(np.array([0, 1], np.float32), len(start.outputs)).reshape(2, -1, 1)
    task.fit(neutral, start.outputs, start.fitted)
    base = replace(
        start,
        config=start.config | {"csv": [], "npz": "", "labels": "", "groups": ""},
        state=state | {name: value for name, value in shared.state.items() if name.startswith(BASE)},
        scaler=shared.scaler,
        fitted=task.fitted,
        calibration={},
        references={},
        split={},
        sources=(),
        training=None,
    )
    folder.mkdir()
    base.save(folder / checkpoint.BEST)


def table(content: Mapping[str, Any]) -> str:
    """The accuracy on the test windows of each home, and the means, as text."""
    modes = [*content["modes"], MAJORITY]
    width = max(20, *(len(home) + 2 for home in content["homes"]))
    lines = [" " * width + "".join(f"{mode:>12}" for mode in modes)]
    for home, result in content["homes"].items():
        reports = {mode: result[mode] for mode in content["modes"] if mode in result}
        values = [_accuracy(reports, way) if way in reports or (reports and way == MAJORITY) else None for way in modes]
        shown = "".join(f"{'-' if value is None else format(value, '.4f'):>12}" for value in values)
        lines.append(f"{home:<{width}}{shown}" + ("" if result["end"] == "done" else f"  {result['end']}"))
    means = "".join(f"{content['mean_accuracy'][way]:>12.4f}" for way in modes)
    compared = len(content["homes_compared"])
    lines.append(f"{f'mean of {compared} homes':<{width}}{means}")
    return "\n".join(["accuracy on each home's own test windows", *lines])


def picture(content: Mapping[str, Any], path: Path) -> None:
    """Draw a row for each home and a mark for each way of learning; vertical lines are the means."""
    homes = content["homes_compared"][:MOST_HOMES]
    figure = viz.new_figure(7.0, 1.6 + 0.4 * len(homes))
    ax = figure.subplots()
    viz.dress(ax, "accuracy on the home's own test windows", "home")
    ways = (MAJORITY, *content["modes"])
    for number, way in enumerate(ways):
        marker, colour, dash, label = LOOK[way]
        reports = [{mode: content["homes"][home][mode] for mode in content["modes"]} for home in homes]
        values = [_accuracy(report, way) for report in reports]
        mean = content["mean_accuracy"][way]
        rows = np.arange(len(homes)) + 0.18 * (number - (len(ways) - 1) / 2)  # side by side where they agree
        ax.plot(values, rows, marker, label=f"{label} {mean:.3f}", **STYLE[marker], color=colour)
        ax.axvline(mean, color=colour, linewidth=1, linestyle=dash, zorder=0.5)
    ax.set_yticks(range(len(homes)), homes)
    ax.set_ylim(len(homes) - 0.5, -0.5)
    ax.set_xlim(right=1.015)
    ax.grid(visible=False, axis="y")
    for border in range(1, len(homes)):
        ax.axhline(border - 0.5, color="#E4E4E4", linewidth=0.7, zorder=0.4)
    viz.legend(ax, ncols=2, title="mean accuracy")
    viz.save(figure, path)
