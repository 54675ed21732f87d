"""An experiment: one training run of a forecaster, described by a file that a person or an agent writes.

    import torch.optim as optim
    import torch.nn as nn

    seed = 42
    data = {"csv": "ETTh1.csv", "target": "OT", "features": "S", "seq_len": 96, "label_len": 48, "pred_len": 24}
    model = {"d_model": 256, "n_heads": 4, "e_layers": 3, "dropout": 0.1}
    training = {"optimizer_class": optim.Adam, "optimizer_params": {"lr": 1e-4}, "criterion_class": nn.MSELoss,
                "max_epochs": 20, "patience": 5}

`parse` reads such a file, or a YAML file of the same keys, without executing it, and reports every mistake with its
line. `to_text` writes such a file; experiments/as_run.py turns one into flags. Torch is only imported to check what the
names of an optimizer, a loss and a scheduler stand for.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import backbones
from config import Flag, RunConfig, convert, core_flags, refuse, table_flags
from errors import UsageError, nearest
from experiments import flag_files
from experiments.literals import Broken, Dotted, Node, NotYaml, from_python, from_yaml, text_of, words_of

SECTIONS = ("seed", "data", "model", "training")
DATA: dict[str, dict[str, Any]] = {
    "csv": {"default": "", "help": "table with one row per step and one column per channel"},
    "time_col": {"default": "", "help": "time column of the table; found where it is not said"},
    "target": {"default": ("OT",), "type": "str", "many": "+", "help": "column to forecast, or several"},
    "features": {
        "default": "S",
        "choices": ("S", "M", "MS"),
        "help": "S: targets alone, M: all columns, MS: all columns forecast the targets",
    },
    "seq_len": {"default": 96, "within": "[1,)", "help": "steps the model sees"},
    "label_len": {"default": 48, "within": "[1,)", "help": "steps of those that a decoder reads"},
    "pred_len": {"default": 24, "within": "[1,)", "help": "steps to forecast"},
    "batch_size": {"default": 32, "within": "[1,)", "help": "windows per step"},
    "split": {
        "default": (),
        "type": "float",
        "many": 3,
        "within": "(0,)",
        "help": "train, val, test: steps, or shares",
    },
}
TRAINING: dict[str, dict[str, Any]] = {
    "max_epochs": {"default": 1, "within": "[1,)", "help": "passes over the training windows"},
    "patience": {"default": 0, "within": "[0,)", "help": "epochs without a better val_mse before stopping (0: never)"},
}
CLASSES = {"optimizer_class": "optim", "criterion_class": "nn", "scheduler_class": "optim.lr_scheduler"}
PARAMS = ("optimizer_params", "scheduler_params")
OWN = {*CLASSES, *PARAMS, "max_epochs", "seq_len", "label_len", "pred_len"}  # keys that no other file has
NEEDED = {"training": ("optimizer_class", "criterion_class", *TRAINING)}
USUAL = {"seed": 42, "data": {}}  # of a file that has only `model` and `training`
PUBLISHED = "etth1"  # the table of a file that names none
EXAMPLES = {"optim": "optim.Adam", "nn": "nn.MSELoss", "optim.lr_scheduler": "optim.lr_scheduler.StepLR"}
KINDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


@dataclass(frozen=True)
class Experiment:
    """The content of a file. The sections are as written, with the names of classes as text: "optim.Adam"."""

    file: str
    text: str  # the same as a config.py
    tree: Node

    def plain(self) -> dict[str, Any]:
        """The sections in plain values, from which `to_text` makes the same file."""
        made: dict[str, Any] = self.tree.plain()
        return made

    def whole(self) -> dict[str, Any]:
        """{seed, data, model, training} in plain values, with the usual ones of those that are left out."""
        return {**USUAL, **self.plain()}

    def at(self, *path: str) -> str:
        """FILE:LINE of a key, or of the innermost part of its path that is in the file."""
        node = self.tree
        for key in path:
            node = node.value.get(key, node) if isinstance(node.value, dict) else node
        return f"{self.file}:{node.line}"


def is_one(path: str, given: Iterable[str] = ()) -> bool:
    """Whether a config file is an experiment: Python, or YAML with an experiment's sections and no flags of a run.

    Parameters
    ----------
    path : the file.
    given : flags of the command line; with --task or --mode a file in sections holds flags, unless it has a key of
        experiments alone.
    """
    if path.endswith(".py"):
        return True
    try:
        content = words_of(text_of(path, where=path))
    except (UsageError, NotYaml):  # told by whoever reads it
        return False
    keys = content.keys() if isinstance(content, dict) else set()
    if not keys & {"data", "training"} or keys & {"task", "mode"}:
        return False
    inner = flag_files.keys_in(content)
    flags = {"task", "mode"} & set(given) or inner & set(flag_files.OF_A_RUN)
    return not flags or bool(inner & OWN)


def parse(path: str | Path) -> Experiment:
    """The experiment in a file; UsageError with FILE:LINE for every mistake in it."""
    return _checked(*read(path))


def parse_text(text: str, file: str = "config.py") -> Experiment:
    """`parse` for the text of a file; `file` is the name in messages, and its ending tells Python from YAML."""
    return _checked(*read_text(text, file))


def _checked(experiment: Experiment, problems: list[str]) -> Experiment:
    refuse(problems)
    return experiment


def read(path: str | Path) -> tuple[Experiment, list[str]]:
    """The experiment in a file, and its mistakes, FILE:LINE: TEXT. UsageError for a file that cannot be read at all."""
    return read_text(text_of(path, where=str(path)), str(path))


def read_text(text: str, file: str) -> tuple[Experiment, list[str]]:
    """`read` for the text of a file."""
    is_yaml, refused = file.endswith((".yaml", ".yml")), list[UsageError]()
    tree = from_yaml(text, file) if is_yaml else from_python(text, file, refused)
    check = _Check(file, tree)
    check.everything()
    whole = to_text(tree.plain()) if is_yaml and not check.problems else text
    return Experiment(file, whole, tree), [*map(_in_one_line, refused), *check.problems]


def _in_one_line(error: UsageError) -> str:
    return f"{error.where}: {error.what}" + (f" ({error.hint})" if error.hint else "")


class _Check:
    """Collects the problems of a tree, each as FILE:LINE: TEXT."""

    def __init__(self, file: str, tree: Node) -> None:
        self.file, self.tree = file, tree
        self.problems: list[str] = []

    def say(self, line: int, text: str, hint: str = "") -> None:
        self.problems.append(f"{self.file}:{line}: {text}" + (f" ({hint})" if hint else ""))

    def everything(self) -> None:
        self.known(self.tree, SECTIONS, "")
        for name in SECTIONS:
            if name not in self.tree.value and name not in USUAL:
                self.say(self.tree.line, f"{name} is missing", "the sections are " + ", ".join(SECTIONS))
        self.value(self.tree, "seed", _core("seed"), "seed")
        for name, check in {"data": self.data, "model": self.model, "training": self.training}.items():
            section = self.tree.value.get(name, Node({}, 1))
            if isinstance(section.value, dict):
                check(section)
            elif not isinstance(section.value, Broken):
                self.say(section.line, f"{name} takes a dict, got {_shown(section)}")

    def known(self, section: Node, names: tuple[str, ...], title: str) -> None:
        """Check that every key is one of `names`, and that no required one is missing."""
        for key, node in section.value.items():
            if key not in names:
                what = f"{title} has no key {key!r}" if title else f"there is no setting {key!r}"
                self.say(node.line, what, _suggestion(key, names))
        for key in NEEDED.get(title, ()):
            if title in self.tree.value and key not in section.value:
                self.say(section.line, f"{title}[{key!r}] is missing")

    def value(self, section: Node, key: str, flag: Flag, title: str) -> Any:
        """The value of a key; the default if it is not given, or is wrong, which is reported."""
        if key not in section.value or section.value[key].broken:
            return flag.default
        node = section.value[key]
        if flag.kind is str:
            node = section.value[key] = node.text()
        try:
            return _strict(flag, node)
        except ValueError as error:
            self.say(node.line, f"{title} {error}")
            return flag.default

    def data(self, section: Node) -> None:
        flags = {flag.name: flag for flag in table_flags(DATA, "data")}
        self.known(section, tuple(flags), "data")
        found = {key: self.value(section, key, flag, f"data[{key!r}]") for key, flag in flags.items()}
        if "label_len" in section.value and found["label_len"] > found["seq_len"]:
            text = f"data['label_len'] {found['label_len']} is more than the {found['seq_len']} steps of seq_len"
            self.say(section.value["label_len"].line, text)
        parts = found["split"]
        if parts and abs(sum(parts) - 1) > 1e-6 and any(part != int(part) for part in parts):
            text = f"data['split'] takes three numbers of steps, or three shares that sum to 1, got {list(parts)}"
            self.say(section.value["split"].line, text)

    def model(self, section: Node) -> None:
        own = {key: node for key, node in section.value.items() if key != "backbone"}
        backbone = backbone_of(self.tree.plain())
        if backbone not in backbones.names():
            names = backbones.names()
            hint = _suggestion(str(backbone), names)
            self.say(section.value["backbone"].line, f"there is no backbone {backbone!r}", hint)
            return
        flags = {flag.name: flag for flag in table_flags(backbones.hyper(backbone), backbone)}
        flags |= {other: flags[key] for other, key in backbones.other_names(backbone).items()}
        taken = tuple(name for name in flags if name not in DATA)
        self.known(Node(own, section.line), (*taken, "backbone"), "model")
        before = len(self.problems)
        given = {key: self.value(section, key, flags[key], f"model[{key!r}]") for key in own if key in taken}
        if len(self.problems) == before and given.keys() == own.keys():
            self.sizes(section, backbone, given)

    def sizes(self, section: Node, backbone: str, given: Mapping[str, Any]) -> None:
        """Check that the sizes of the model fit each other, by building it without memory, for one channel."""
        import torch

        from backbones.model import build_model

        if backbones.backbone_class(backbone).blends_runs:
            return  # its members are trained runs
        data = self.tree.value.get("data", Node({}, 1))
        data = data if isinstance(data.value, dict) else Node({}, 1)
        flags = {flag.name: flag for flag in table_flags(DATA, "data")}
        length, horizon = (_or_default(flags[key], data.value.get(key)) for key in ("seq_len", "pred_len"))
        shape = {"channels": 1, "length": length, "outputs": 1, "horizon": horizon, "head": "forecast"}
        ahead = backbones.ForecastSpec(horizon, (0,))
        try:
            with torch.device("meta"):
                build_model(backbones.ModelSpec(backbone=backbone, args=given, forecast=ahead, **shape))
        except UsageError as error:
            self.say(section.line, f"model: {error.what}", error.hint)

    def training(self, section: Node) -> None:
        self.known(section, (*CLASSES, *PARAMS, *TRAINING), "training")
        for flag in table_flags(TRAINING, "training"):
            self.value(section, flag.name, flag, f"training[{flag.name!r}]")
        before = len(self.problems)
        for key in PARAMS:
            self.params(section, key)
        fit = len(self.problems) == before and not any(
            section.value[key].unsound for key in PARAMS if key in section.value
        )
        named = {key: self.class_name(section, key) for key in CLASSES if key in section.value}
        scheduler = section.value.get("scheduler_class", Node(None, 1))
        if "scheduler_params" in section.value and scheduler.value is None:
            self.say(section.value["scheduler_params"].line, "training['scheduler_params'] needs a scheduler_class")
        self.classes(section, {key: name for key, name in named.items() if name}, fit)

    def params(self, section: Node, key: str) -> None:
        node = section.value.get(key, Node({}, 1))
        title = f"training[{key!r}]"
        if node.broken:
            return
        if not isinstance(node.value, dict):
            self.say(node.line, f"{title} takes a dict, got {_shown(node)}")
            return
        for name, item in node.value.items():
            plain = item.value if isinstance(item.value, (list, tuple)) else [item]
            if any(isinstance(part.value, (Dotted, dict, list, tuple)) for part in plain):
                self.say(item.line, f"{title}[{name!r}] takes plain values, got {_shown(item)}")
        if key == "optimizer_params":
            for name in ("lr", "weight_decay"):
                self.value(node, name, _core(name), f"{title}[{name!r}]")

    def class_name(self, section: Node, key: str) -> str:
        """The bare name of the class; empty without one, or if the value is no class of the right module."""
        node, module = section.value[key], CLASSES[key]
        if node.broken:
            return ""
        if node.value is None and key == "scheduler_class":
            return ""
        match = re.fullmatch(rf"(?:torch\.)?{re.escape(module)}\.(\w+)", str(node.value))
        if match is None:
            hint = f"such as {EXAMPLES[module]}"
            self.say(node.line, f"training[{key!r}] takes a class of torch.{module}, got {_shown(node)}", hint)
            return ""
        return match[1]

    def classes(self, section: Node, named: Mapping[str, str], fit: bool) -> None:
        """Check that the classes exist and, if their arguments are plain values (`fit`), can train with them."""
        import losses
        import optim

        known = {"optimizer_class": optim.classes("optimizer"), "scheduler_class": optim.classes("scheduler")}
        known["criterion_class"] = losses.classes()
        there = {key: name for key, name in named.items() if name in known[key]}
        for key in named.keys() - there.keys():
            hint = _suggestion(named[key], sorted(known[key]))
            text = f"torch.{CLASSES[key]} has no {key.removesuffix('_class')} {named[key]!r}"
            self.say(section.value[key].line, text, hint)
        if "criterion_class" in there:
            try:
                losses.regression_loss(there["criterion_class"])
            except ValueError as error:
                self.say(section.value["criterion_class"].line, str(error))
        if fit and "optimizer_class" in there and not (named.keys() - there.keys() - {"criterion_class"}):
            self.steps(section, there)

    def steps(self, section: Node, named: Mapping[str, str]) -> None:
        """Check that the optimizer and the scheduler can make a step with their arguments."""
        try:
            _dry_run(named, section.plain())
        except UsageError as error:
            kind = "scheduler" if error.where.startswith("--scheduler") else "optimizer"
            params = f"{kind}_params" if error.where.endswith("-args") else ""
            line = section.value[params if params in section.value else f"{kind}_class"].line
            self.say(line, error.what, "" if "--" in error.hint else error.hint)


def _dry_run(named: Mapping[str, str], training: Mapping[str, Any]) -> None:
    """UsageError unless the optimizer and the scheduler can make a step."""
    import torch

    import optim

    name, params = named["optimizer_class"], training.get("optimizer_params", {})
    config = RunConfig(optimizer=name, **optimizer_flags(name, params))
    optim.check(config, torch.device("cpu"))
    if "weight_decay" in params and "weight_decay" not in inspect.signature(optim.optimizer_class(name)).parameters:
        raise UsageError(f"{name} has no argument 'weight_decay'", where="--optimizer-args")
    if "scheduler_class" in named:
        args = training.get("scheduler_params", {})
        optim.check(replace(config, scheduler=named["scheduler_class"], scheduler_args=args), torch.device("cpu"))


def optimizer_flags(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an optimizer as flags; by default those of the class."""
    import optim

    known = inspect.signature(optim.optimizer_class(name)).parameters
    rest = {key: value for key, value in params.items() if key not in ("lr", "weight_decay")}
    both = {key: params.get(key, known[key].default if key in known else 0.0) for key in ("lr", "weight_decay")}
    return {"optimizer_args": rest, **{key: float(value) for key, value in both.items()}}


def _strict(flag: Flag, node: Node) -> Any:
    """A value of the flag's type; ValueError for any other, even if it could be converted."""
    listed = isinstance(node.value, (list, tuple)) and flag.many is not None
    if node.broken or (listed and any(item.broken for item in node.value)):
        return flag.default  # that has been reported
    for item in node.value if listed else [node]:
        right = (int, float) if flag.kind is float else (flag.kind,)
        if type(item.value) not in right:
            raise ValueError(f"takes {KINDS[flag.kind]}, got {_shown(item)}")
    return convert(flag, list(node.plain()) if listed else node.plain())


def _or_default(flag: Flag, node: Node | None) -> Any:
    try:
        return flag.default if node is None else _strict(flag, node)
    except ValueError:
        return flag.default


def _shown(node: Node) -> str:
    return f"the name {node.value}" if isinstance(node.value, Dotted) else repr(node.plain())


def _suggestion(word: str, known: Sequence[str]) -> str:
    return nearest(word, known) or f"one of {', '.join(known) or 'none'}"


def _core(name: str) -> Flag:
    return next(flag for flag in core_flags() if flag.name == name)


def backbone_of(plain: Mapping[str, Any]) -> Any:
    """The backbone that a model section names."""
    return plain["model"].get("backbone", "informer") if isinstance(plain.get("model"), dict) else "informer"


# --- written ---------------------------------------------------------------------------------------------------------


def to_text(config: Mapping[str, Any]) -> str:
    """A config.py with the content of `config`: plain values and names of classes as text, as from `plain()`.

    Nothing is checked: `parse` reports what is wrong with the text.
    """
    lines = ["import torch.nn as nn", "import torch.optim as optim", ""]
    for name, value in config.items():
        if isinstance(value, dict) and value:
            inside = [f"    {key!r}: {_written(key, item)}," for key, item in value.items()]
            lines += [f"{name} = {{", *inside, "}"]
        else:
            lines.append(f"{name} = {value!r}")
    return "\n".join(lines) + "\n"


def _written(key: str, value: Any) -> str:
    named = key in CLASSES and isinstance(value, str) and re.fullmatch(r"(torch\.)?(optim|nn)(\.\w+)+", value)
    return value.removeprefix("torch.") if named else repr(value)
