"""The description of a setting, a `Flag`, and how what was typed, or stands in a file, becomes its value."""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from errors import nearest

MOST_WHOLE = 10**15  # steps, windows, sizes: sums and products with the data's own stay within 64 bits
UNITS = {"": 1, "s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}  # of time, in seconds
SPELLED = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "none": None, "null": None}


@dataclass(frozen=True)
class Flag:
    """One setting. `many`: None for a single value, "+" for one or more, or an exact count."""

    name: str
    kind: type
    default: Any
    help: str
    group: str
    many: str | int | None = None
    choices: tuple[str, ...] = ()
    within: str = ""  # an interval such as "(0,1)" or "[1,)"
    number_too: str = ""  # with choices: a number in this interval is taken as well
    name_too: bool = False  # of a number: the name of what it counts is taken as well
    binds: bool = False  # part of what a checkpoint means: a flag that contradicts it is an error
    reaches: bool = False  # binds in training; inference may ask for another value
    by_name: bool = False  # pairs by names of the data, such as devices; a value without a name is for all of them
    names: bool = False  # of name=item pairs: the names bind, the items are those of some files
    reads: tuple[str, ...] = ()  # the kinds of data it does something for, see sources/kinds.py; () for all
    channels: bool = False  # its words are names of channels
    makes: str = ""  # with a value, data are of this kind
    instead: str = ""  # what does the same for other kinds
    local: bool = False  # a place on this machine: it may differ between machines that share a search
    trains: bool = True  # False: the weights that training ends with do not depend on it
    searched: bool = True  # False: a search leaves it at its default, unless it is told to vary it
    alias: str = ""  # another name on the command line
    then: str = ""  # another flag, whose key=value pairs may follow the value
    duration: bool = False  # of seconds, or 5min, 2h
    metavar: str = ""  # placeholder of the value in the help, where the type is too vague

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def names_columns(self) -> bool:
        """Whether its words are names of columns, which are read without spaces around them, as in files."""
        return self.channels or self.name_too or self.metavar in ("COL", "NAME")

    def free_in(self, mode: str) -> bool:
        """Whether a value beside that of a checkpoint is no contradiction, although the flag `binds`."""
        return self.names or (self.reaches and mode == "infer")


def table_flags(table: Mapping[str, Mapping[str, Any]], group: str) -> tuple[Flag, ...]:
    """Flags from a literal table (a task's FLAGS, a backbone's HYPER); the type is that of the default, or `type`."""
    kinds = {"float": float, "int": int, "str": str}
    made = []
    for name, row in table.items():
        spec = dict(row)
        low, high = spec.pop("min", None), spec.pop("max", None)
        if low is not None or high is not None:
            below, above = ("" if end is None else end for end in (low, high))
            spec["within"] = f"[{below},{above}]"
        kind = kinds[spec.pop("type")] if "type" in spec else type(spec["default"])
        choices = tuple(spec.pop("choices", ()))
        made.append(Flag(name=name, kind=kind, choices=choices, **({"group": group} | spec)))
    return tuple(made)


def convert(flag: Flag, raw: Any) -> Any:
    """`raw` (text from a shell, or a value from YAML) as the flag's type; ValueError with what the flag takes."""
    if raw is None:  # null in YAML
        if flag.default in (None, "", (), {}):
            return flag.default
        raise ValueError("takes a value, got null: leave the key out for the default")
    if flag.kind is dict:
        return _by_name(raw) if flag.by_name else _pairs(raw)
    if flag.many is None:
        return _scalar(flag, raw[0] if isinstance(raw, list) and len(raw) == 1 else raw)
    items = raw if isinstance(raw, (list, tuple)) else [raw]
    if flag.kind is not str:  # 8640,2880,2880 is three numbers too
        items = [part for item in items for part in (item.split(",") if isinstance(item, str) else [item])]
    values = tuple(_scalar(flag, item) for item in items)
    if isinstance(flag.many, int) and len(values) != flag.many:
        raise ValueError(f"takes {flag.many} values, got {len(values)}")
    return values


def _pairs(raw: Any) -> dict[str, Any]:
    if isinstance(raw, Mapping):
        return {str(key).replace("-", "_"): value for key, value in raw.items()}
    items = raw if isinstance(raw, (list, tuple)) else [raw]
    for item in items:
        if not re.match(r"[A-Za-z_][\w.-]*=", str(item)):
            raise ValueError(f"takes key=value pairs, got {item!r}")
    return {key.replace("-", "_"): value for key, _, value in (str(item).partition("=") for item in items)}


def _by_name(raw: Any) -> dict[str, Any]:
    """{name: value} of pairs whose names are taken as they are; "" is the name of a value for all."""
    if isinstance(raw, Mapping):
        return {str(key): value for key, value in raw.items()}
    items = raw if isinstance(raw, (list, tuple)) else [raw]
    return {name: value for name, _, value in (str(item).rpartition("=") for item in items)}


def typed(raw: Any) -> Any:
    """A value of `k=v` without a declared type: text becomes the number, list, yes, no or none that it spells."""
    if isinstance(raw, (list, tuple)):
        return [typed(item) for item in raw]
    word = str(raw).strip()
    if not isinstance(raw, str) or word.lower() in SPELLED:
        return SPELLED.get(word.lower(), raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(word)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # whatever text leads a parser to
        return raw
    if isinstance(value, (list, tuple)):
        return [typed(item) for item in value]
    return value if isinstance(value, (int, float, str)) else raw


def _scalar(flag: Flag, raw: Any) -> Any:
    if raw is None or isinstance(raw, (list, tuple, dict)):
        raise ValueError(f"takes one value, got {'null' if raw is None else raw!r}")
    if "\0" in str(raw):
        raise ValueError("holds a zero byte, which no text and no name has")
    if flag.choices and not flag.number_too:
        text = _chosen(str(raw), flag.choices)
        if text not in flag.choices and not (text == "" and flag.default == ""):
            raise ValueError(_not_in_choices(text, flag.choices))
        return text
    if flag.choices and str(raw) in flag.choices:
        return str(raw)
    if flag.kind is bool:
        return _boolean(raw)
    if flag.duration:
        return seconds(str(raw))
    if (flag.kind is str and not flag.number_too) or (flag.name_too and _is_name(raw)):
        return str(raw).strip() if flag.names_columns else str(raw)
    try:
        return _number(float if flag.number_too else flag.kind, raw, flag.number_too or flag.within)
    except ValueError as error:
        if flag.number_too:
            raise ValueError(f"{_not_in_choices(str(raw), flag.choices)}, or a number ({error})") from None
        raise


def _is_name(raw: Any) -> bool:
    """Whether a value is text that spells no number."""
    try:
        float(raw)
    except ValueError:
        return bool(str(raw).strip())
    return False


def seconds(text: str) -> float:
    """The seconds that 90, 90s, 20min, 2h or 1d means; ValueError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|m|h|d)?", text)
    if match is None:
        raise ValueError(f"takes a duration such as 90s, 20min, 2h or 1d, got {text!r}")
    return float(match[1]) * UNITS[match[2] or ""]


def _chosen(text: str, choices: Iterable[str]) -> str:
    """The choice that a yes or no means: `no` and `false` are `off` where that is what can be chosen."""
    means = SPELLED.get(text.lower())
    same = [choice for choice in choices if means is not None and SPELLED.get(choice) is means]
    return same[0] if text not in choices and len(same) == 1 else text


def _not_in_choices(text: str, choices: Iterable[str]) -> str:
    listed = ", ".join(choices)
    close = nearest(text, choices)
    return f"{text!r} is not one of {listed}" + (f" ({close})" if close else "")


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    means = {**SPELLED, "1": True, "0": False}.get(str(raw).lower())
    if means is None:
        raise ValueError(f"takes true or false, got {raw!r}")
    return means


def _number(kind: type, raw: Any, within: str) -> Any:
    word = "a whole number" if kind is int else "a number"
    if isinstance(raw, bool):
        raise ValueError(f"takes {word}, got {raw!r}")
    try:
        value = float(raw)  # text too: YAML reads 1e-4 as a string
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"takes {word}, got {raw!r}") from None
    if not math.isfinite(value):
        raise ValueError(f"takes a finite number, got {raw!r}")
    if kind is int:
        if value != int(value):
            raise ValueError(f"takes a whole number, got {raw!r}")
        value = int(raw) if isinstance(raw, (int, str)) and str(raw).lstrip("+-").isdigit() else int(value)
        if abs(value) > MOST_WHOLE:
            raise ValueError(f"takes a whole number of at most {MOST_WHOLE:,}, got {str(raw)[:40]!r}")
    if within and not inside(value, within):
        raise ValueError(f"must be {_bounds(within)}, got {raw}")
    return value


def _bounds(interval: str) -> str:
    low, high = interval[1:-1].split(",")
    if high:
        return f"in {interval[0]}{low}, {high}{interval[-1]}"
    return f"{low} or more" if interval[0] == "[" else f"above {low}"


def inside(value: float, interval: str) -> bool:
    """Whether a number lies in an interval in mathematical notation: "(0,1)", "[1,)"."""
    low, high = interval[1:-1].split(",")
    above = not low or (value >= float(low) if interval[0] == "[" else value > float(low))
    below = not high or (value <= float(high) if interval[-1] == "]" else value < float(high))
    return above and below


def check_all(flags: Iterable[Flag], raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Convert every given value: ({name: value} with defaults for the rest, [problems])."""
    values, problems = {}, []
    for flag in flags:
        if flag.name not in raw:
            values[flag.name] = flag.default
            continue
        try:
            values[flag.name] = convert(flag, raw[flag.name])
        except ValueError as error:
            values[flag.name] = flag.default
            problems.append(f"{flag.option} {error}")
    return values, problems
