"""The flags in a YAML file: by their names, or in the sections `data`, `model` and `training` of an older system.

data: {csv: house.csv, time_col: time, mains: total, devices: [fridge, kettle], window: 600, stride: 60}
model: {hidden: 64}
training: {batch_size: 16, lr: 0.002, epochs: 18, patience: 5, on_w: {fridge: 40}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import backbones
import tasks
from errors import UsageError, nearest
from experiments.literals import Node, from_yaml
from settings.flags import Flag, convert

SECTIONS = ("data", "model", "training")
OF_A_RUN = ("window", "stride", "lr", "epochs", "hidden", "on_w", "mains", "devices")  # no experiment has these
LIKELY = ("gru", "multiscale")  # of a file that names no backbone: those whose hyperparameters the older systems had
COLUMNS = {"mains": "mains_col", "devices": "device_cols"}  # what a file calls an item of a database, or a column
NEEDED = ("mode", "task", "backbone", "stage")  # what other checks depend on
MOST_NEAREST = 30  # unknown keys for which the nearest is looked up

Table = Mapping[str, Mapping[str, Flag]]  # {name: {task: flag}}, "" for every task


def in_sections(content: Mapping[str, Any]) -> bool:
    """Whether a file has sections; a section is a mapping."""
    return any(isinstance(content.get(name), Mapping) for name in SECTIONS)


def keys_in(content: Mapping[str, Any]) -> set[str]:
    """The keys within the sections of a file."""
    return {str(key) for name in SECTIONS if isinstance(part := content.get(name), Mapping) for key in part}


@dataclass
class FlagFile:
    """The flags of one file.

    Parameters
    ----------
    path : the file, for messages.
    text : its content, for the lines of its keys.
    table : every flag.
    given : the flags of the command line, which come before those of the file.
    """

    path: str
    text: str
    table: Table
    given: Mapping[str, Any]
    flags: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        flags = [flag for owners in self.table.values() for flag in owners.values()]
        self.aliases = {flag.alias.strip("-").replace("-", "_"): flag.name for flag in flags if flag.alias}
        try:
            self.lines = _lines(from_yaml(self.text, self.path))
        except UsageError:  # an alias or a tag, which flags may have
            self.lines = {}

    def read(self, content: Mapping[str, Any]) -> None:
        """Take the keys of a file, of which `content` is the mapping."""
        if not in_sections(content):
            for key, value in content.items():
                self.put("", key, value)
            return
        for name, part in content.items():
            if name not in SECTIONS or not isinstance(part, Mapping):
                self.put("", name, part)
            elif name != "model":
                for key, value in part.items():
                    self.put(name, str(key).replace("-", "_"), value)
        self.complete()
        self.model({str(key).replace("-", "_"): value for key, value in (content.get("model") or {}).items()})

    def put(self, section: str, key: str, value: Any) -> None:
        """Take one key as a flag."""
        name = self.aliases.get(key, key)
        if name in COLUMNS and section and not (self.flags.get("db") or self.given.get("db")):
            name = COLUMNS[name]
        if name not in self.table:
            self.unknown(section, key, [*self.table, *self.aliases])
        elif name in self.flags:
            self.problems.append(f"{self.where(section, key)}: the setting {name!r} is there twice")
        else:
            pairs = isinstance(value, Mapping) and next(iter(self.table[name].values())).kind is not dict
            self.flags[name] = [f"{one}={other}" for one, other in value.items()] if pairs else value
            self.check(section, key, name)

    def check(self, section: str, key: str, name: str) -> None:
        """Take a wrong value out again, with a problem that names its line."""
        if name in NEEDED:  # without these, others would be reported, too
            return
        wrong = []
        for flag in self.table[name].values():  # tasks may share a name
            try:
                convert(flag, self.flags[name])
            except ValueError as error:
                wrong.append(f"{self.where(section, key)}: {flag.option} {error}")
        if len(wrong) == len(self.table[name]):
            del self.flags[name]
            self.problems.append(wrong[0])

    def unknown(self, section: str, key: str, known: Sequence[str]) -> None:
        close = nearest(key, known) if len(self.problems) < MOST_NEAREST else ""
        what = f"{self.where(section, key)}: unknown key {key[:80]!r}" + (f" in {section}" if section else "")
        self.problems.append("; ".join(filter(None, [what, close])))

    def where(self, section: str, key: str) -> str:
        """FILE:LINE of a key, or the file alone where that is not known."""
        line = self.lines.get((section, key))
        return self.path if line is None else f"{self.path}:{line}"

    def complete(self) -> None:
        """The mode and the task of a file in sections, which has neither: that of its flags, and training."""
        known = {**self.flags, **self.given}
        owners = [set(self.table[name]) for name in self.flags if "" not in self.table[name]]
        fit = set.intersection(*owners) if owners else set()
        usual = {"mode": "train"} | ({"task": fit.pop()} if len(fit) == 1 else {})
        filled = {name: word for name, word in usual.items() if not known.get(name)}
        self.flags |= filled
        if filled:
            self.notes.append(f"{self.path}: " + " ".join(f"--{name} {word}" for name, word in filled.items()))

    def model(self, section: Mapping[str, Any]) -> None:
        """The section `model`: flags such as backbone, and hyperparameters of the backbone."""
        own = {key: value for key, value in section.items() if key not in ("backbone", "model_args")}
        for key in sorted(section.keys() - own.keys()):
            self.put("model", key, section[key])
        backbone, tables = self.backbone(own)
        args: dict[str, Any] = {}
        other = backbones.other_names(backbone)
        for key, value in own.items():
            if other.get(key, key) in backbones.hyper(backbone):
                args[key] = value
            elif self.aliases.get(key, key) in self.table:
                self.put("model", key, value)
            else:
                self.unknown("model", key, [*tables, "backbone"])
        if args:
            before = self.flags.get("model_args", {})
            self.flags["model_args"] = {**before, **args} if isinstance(before, Mapping) else args

    def backbone(self, args: Mapping[str, Any]) -> tuple[str, set[str]]:
        """(the backbone of these hyperparameters, the names of those that a file may have meant)."""
        named = self.given.get("backbone") or self.flags.get("backbone")
        if named in backbones.names():
            return named, set(backbones.hyper(named))
        task = self.given.get("task") or self.flags.get("task")
        usual = tasks.table(task, "DEFAULTS").get("backbone") if task in tasks.names() else None
        usual = usual or next(iter(self.table["backbone"].values())).default
        known = {name: {*backbones.hyper(name), *backbones.other_names(name)} for name in (usual, *LIKELY)}
        best = max(known, key=lambda name: len(known[name] & args.keys()))
        if best != usual and best != self.flags.get("backbone"):
            self.flags["backbone"] = best
            fit = ", ".join(key for key in args if key in known[best])
            self.notes.append(f"{self.path}: --backbone {best}, which has {fit}")
        return best, set.union(*known.values())


def _lines(tree: Node) -> dict[tuple[str, str], int]:
    """{(section or "", key): line} of a file."""
    found = {("", key.replace("-", "_")): node.line for key, node in tree.value.items()}
    for name in SECTIONS:
        part = tree.value.get(name)
        if part is not None and isinstance(part.value, dict):
            found |= {(name, key.replace("-", "_")): node.line for key, node in part.value.items()}
    return found
