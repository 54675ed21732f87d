"""What a search may vary: dimensions, by default from the tables that backbones and tasks have, or from a YAML file.

A dimension is named by its flag (`lr`, `batch_size`, a task's `loss`) or, within a flag of k=v pairs, by flag and key
(`model_args.d_model`). Only flags of training and the arguments of model, optimizer and scheduler can vary: with
other data, windows or judgement two trials could not be compared, and a luckier seed is no better configuration.

Nothing here imports torch or Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import backbones
import tasks
from cli import read_yaml
from config import Flag, RunConfig, convert, core_flags, refuse, table_flags, typed
from errors import UsageError, nearest

TUNED = ("lr", "weight_decay", "batch_size")  # flags that are searched by default, beside those of the task
TRAINING = "Training"  # the group of flags that may vary
ONLY, WHEN = (
    "only",
    "when",
)  # keys of a space file: search nothing else; search a dimension only with these values of others
KEYS = ("choices", "low", "high", "log", WHEN)


@dataclass(frozen=True)
class Dimension:
    """One thing to choose: one of `choices`, or a number from `low` to `high`, both included.

    `when` names other dimensions and the values of them with which this one is asked for at all.
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the numbers of the range are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def asked(self, chosen: Mapping[str, Any]) -> bool:
        """Whether the values chosen so far call for this dimension."""
        return all(chosen.get(name) in values for name, values in self.when.items())

    def plain(self) -> dict[str, Any]:
        """As a space file has it."""
        body: dict[str, Any] = {"choices": list(self.choices)}
        if not self.choices:
            body = {"low": self.low, "high": self.high} | ({"log": True} if self.log else {})
        return body | ({WHEN: {name: list(values) for name, values in self.when.items()}} if self.when else {})


Space = dict[str, Dimension]


def space_of(config: RunConfig, closed_form: bool, path: str = "") -> Space:
    """What a search over `config` varies, conditional dimensions last.

    The default space without what the command line sets, then changed by the file at `path`. A closed form takes no
    steps, so by default nothing of training is searched for it. Raises UsageError for the mistakes in a file, all at
    once, and if nothing is left to search.
    """
    own = backbones.space(config.backbone)
    served = _known(config).keys() | {ONLY}  # a backbone may speak of a flag that not every task has
    own = {name: body for name, body in own.items() if name in served or name.partition(".")[0] in served}
    space = _changed(_by_rule(config, closed_form), own, config, f"backbones/{config.backbone}.py")
    space = {name: dimension for name, dimension in space.items() if not _given(name, config)}
    if path:
        space = _changed(space, read_yaml(path, "--space", "the space"), config, f"--space {path}")
    if not space:
        hint = "--space FILE names what to vary; a closed form chooses on validation by itself"
        raise UsageError(f"there is nothing to search for {config.backbone}", where="--space", hint=hint)
    return dict(sorted(space.items(), key=lambda item: bool(item[1].when)))


# --- by rule ---------------------------------------------------------------------------------------------------------


def _by_rule(config: RunConfig, closed_form: bool) -> Space:
    """Ranges around the defaults of the backbone's arguments and around the run's own flags of training."""
    hyper = table_flags(backbones.hyper(config.backbone), group=config.backbone)
    found = [_around(f"model_args.{flag.name}", flag, flag.default) for flag in hyper if flag.searched]
    if not closed_form:
        found += [_around(flag.name, flag, vars(config)[flag.name]) for flag in core_flags() if flag.name in TUNED]
        own = [flag for flag in tasks.flags(config.task) if flag.group == TRAINING and flag.searched]
        found += [_around(flag.name, flag, config.options[flag.name]) for flag in own]
    return {dimension.name: dimension for dimension in found if dimension is not None}


def _around(name: str, flag: Flag, value: Any) -> Dimension | None:
    """A range around a default, within what the flag takes; None if there is none.

    Whole numbers go by halves and doubles, so that widths stay multiples of heads, and up to 3 one by one. Rates
    (0 to 1) go up to a half, or twice the default; other numbers from a tenth to ten times. In the tables, a default
    of 0 or less that is not a rate means "automatic".
    """
    if flag.kind is bool or flag.choices:
        return Dimension(name, flag.choices or (False, True))
    if flag.kind not in (int, float) or value is None:
        return None
    low, high = (float(end) if end else None for end in (flag.within or "[,)")[1:-1].split(","))
    if flag.kind is float and low == 0 and high is not None and high <= 1:
        return Dimension(name, (), 0.0, min(high, max(0.5, 2 * value)))
    if value <= 0:
        return None
    if flag.kind is float:
        return Dimension(name, (), max(value / 10, low or 0.0), min(value * 10, high or value * 10), log=True)
    steps = range(value - 1, value + 3) if value <= 3 else (value // 2, value, value * 2)
    kept = tuple(step for step in steps if max(low or 1, 1) <= step <= (high or step))
    return Dimension(name, kept) if len(kept) > 1 else None


# --- from a file -----------------------------------------------------------------------------------------------------


def _changed(space: Space, content: Mapping[str, Any], config: RunConfig, where: str) -> Space:
    """`space` changed by a file: a list or a range replaces a dimension, a single value fixes it."""
    changed = {} if content.get(ONLY) else dict(space)
    known, problems = _known(config), []
    for name, body in ((_named(key, config), value) for key, value in content.items()):
        try:
            if name == ONLY:
                convert(Flag(ONLY, bool, False, "", ""), body)
            else:
                changed[name] = _dimension(name, body, _flag_of(name, known), known)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    for name, dimension in changed.items():
        problems += [f"{name}: {WHEN}: {other} is not searched" for other in dimension.when.keys() - changed.keys()]
    refuse([f"{where}: {problem}" for problem in problems])
    return changed


def _known(config: RunConfig) -> dict[str, Flag]:
    """Every flag of this task, and the arguments of this backbone by their dotted names."""
    arguments = table_flags(backbones.hyper(config.backbone), group=TRAINING)
    known = {flag.name: flag for flag in (*core_flags(), *tasks.flags(config.task))}
    return known | {f"model_args.{flag.name}": flag for flag in arguments}


def _named(name: str, config: RunConfig) -> str:
    """The name of a dimension, where it may be given by the other name of a hyperparameter."""
    head, dot, key = name.partition(".")
    return f"{head}{dot}{backbones.other_names(config.backbone).get(key, key)}" if head == "model_args" else name


def _flag_of(name: str, known: Mapping[str, Flag]) -> Flag | None:
    """The flag of this name; None if torch decides what is valid (arguments of an optimizer).

    ValueError with the reason if a search may not vary it.
    """
    head, dot, _ = name.partition(".")
    flag = known.get(name)
    if flag is None and dot and head in known and known[head].group == TRAINING and known[head].kind is dict:
        return None
    if flag is None:
        searched = [word for word, row in known.items() if row.group == TRAINING]
        raise ValueError("; ".join(filter(None, ["there is no such flag or argument", nearest(name, searched)])))
    if flag.kind is dict:
        raise ValueError(f"is searched argument by argument: {name}.NAME")
    if name == "seed":
        raise ValueError("a luckier seed is no better configuration, so it is not searched")
    if flag.group != TRAINING:
        raise ValueError("trials may only differ in training, so that they can be compared")
    return flag


def _dimension(name: str, body: Any, flag: Flag | None, known: Mapping[str, Flag]) -> Dimension:
    """The dimension that a file gives for a name; ValueError for what the flag, or one in `when`, does not take."""
    if not isinstance(body, Mapping):
        return Dimension(name, _choices(body if isinstance(body, list) else [body], flag))
    unknown = [str(key) for key in body if key not in KEYS]
    if unknown:
        raise ValueError(f"takes {', '.join(KEYS)}; got {', '.join(unknown)}")
    if not isinstance(body.get(WHEN, {}), Mapping):
        raise ValueError(f"{WHEN} takes {{NAME: VALUES}}")
    listed = {str(other): v if isinstance(v, (list, tuple)) else [v] for other, v in body.get(WHEN, {}).items()}
    when = {other: tuple(_value(value, known.get(other)) for value in values) for other, values in listed.items()}
    ranged = [key for key in ("low", "high", "log") if key in body]
    if bool(ranged) == ("choices" in body):
        raise ValueError("takes choices, or low and high")
    if ranged:
        return Dimension(name, (), *_range(body, flag), when)
    return Dimension(name, _choices(body["choices"], flag), when=when)


def _value(raw: Any, flag: Flag | None) -> Any:
    """A value as the flag takes it; without a flag, as it is spelled."""
    return typed(raw) if flag is None else convert(flag, raw)


def _choices(values: Any, flag: Flag | None) -> tuple[Any, ...]:
    if not isinstance(values, list) or not values or any(isinstance(value, (list, dict)) for value in values):
        raise ValueError(f"choices are a list of single values, got {values!r}")
    return tuple(dict.fromkeys(_value(value, flag) for value in values))


def _range(body: Mapping[str, Any], flag: Flag | None) -> tuple[float, float, bool]:
    """(low, high, log) of a range."""
    if flag is not None and flag.kind not in (int, float):
        raise ValueError("is no number: it takes choices")
    if not {"low", "high"} <= body.keys():
        raise ValueError("takes low and high, both")
    ends: list[Any] = [_value(body[end], flag) for end in ("low", "high")]
    low, high = ends
    if any(isinstance(end, bool) or not isinstance(end, (int, float)) for end in ends):
        raise ValueError(f"low and high are numbers, got {low!r} and {high!r}")
    log = convert(Flag("log", bool, False, "", ""), body.get("log", False))
    if not low < high or (log and low <= 0):
        raise ValueError(f"low must be below high{', and above 0 with log' * log}: {low}, {high}")
    return low, high, log


def _given(name: str, config: RunConfig) -> bool:
    """Whether the command line sets a name."""
    head, dot, key = name.partition(".")
    return key in vars(config)[head] if dot else name in config.given


# --- back to a command line ------------------------------------------------------------------------------------------


def words(chosen: Mapping[str, Any], config: RunConfig) -> list[str]:
    """The arguments that turn the command line of `config` into that of a trial with these values."""
    flags: list[str] = []
    pairs: dict[str, dict[str, Any]] = {}
    for name, value in chosen.items():
        head, dot, key = name.partition(".")
        option = "--" + head.replace("_", "-")
        if dot:
            pairs.setdefault(option, dict(vars(config)[head]))[key] = value
        elif isinstance(value, bool):
            flags.append(option if value else "--no-" + option[2:])
        else:
            flags += [option, str(value)]
    for option, values in pairs.items():
        flags += [option, *(f"{key}={value}" for key, value in values.items())]
    return flags
