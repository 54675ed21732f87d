"""When a device counts as on: a threshold in watts, and the shortest run and break, by device or for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checkpoint import Checkpoint
from errors import UsageError, nearest
from sources.appliances import appliance, rule, spelled
from tasks.nilm.standby import Standby
from tasks.nilm.states import steps_of

ALL = ""  # the device of a value that is given without one
FLAGS = ("on_w", "min_on", "min_off")


@dataclass(frozen=True)
class DeviceRule:
    """On at `on_w` watts; runs shorter than `min_on` and breaks shorter than `min_off` seconds do not count.

    `rule_from` says where these come from; `least_w` are watts that a predicted run needs beside its probability: those
    of `on_w` where it was raised after training.
    """

    on_w: float
    min_on: float
    min_off: float
    rule_from: str
    least_w: float = 0.0

    @property
    def values(self) -> tuple[float, float, float]:
        return self.on_w, self.min_on, self.min_off


class Rules:
    """The rules that flags give, over those of a checkpoint, over the usual ones for appliances of these names.

    Parameters
    ----------
    given : {"on_w", "min_on", "min_off": {device: number, or text that spells one}}; the device ALL stands for all.
    columns : {device: its column}, by which it may be called too.

    Raises
    ------
    UsageError : what is not a number of 0 or more.
    """

    def __init__(self, given: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str] | None = None) -> None:
        self.given = {flag: _numbers(flag, pairs) for flag, pairs in given.items()}
        self.columns, self.step, self.start = dict(columns or {}), 0.0, None
        self.standbys: Mapping[str, Standby] = {}  # of devices that reach the usual threshold at rest

    step: float  # seconds; 0: shorter than any run
    start: Checkpoint | None

    def begin(self, step: float, start: Checkpoint | None) -> None:
        """Take the seconds of a step, and the checkpoint that a run starts from, whose rules it keeps."""
        self.step, self.start = step, start

    def of(self, name: str, names: Sequence[str]) -> DeviceRule:
        """The rule of a device; UsageError for given ones not in `names`."""
        known, origin = self._usual(name)
        given = {
            flag: by_device(pairs, names, f"--{flag.replace('_', '-')}", self.columns)
            for flag, pairs in self.given.items()
        }
        asked = {flag: pairs.get(name, pairs.get(ALL)) for flag, pairs in given.items()}
        words = [f"--{flag.replace('_', '-')}" for flag, value in asked.items() if value is not None]
        found = {flag: known[flag] if (value := asked.get(flag)) is None else value for flag in FLAGS}
        raised = self.start is not None and found["on_w"] > known["on_w"]
        source = "given" if len(words) == len(FLAGS) else ", ".join([origin, *words])
        return DeviceRule(**found, rule_from=source, least_w=found["on_w"] if raised else 0.0)

    def usual(self, names: Sequence[str]) -> dict[str, float]:
        """{device: W from which on it is on} of those for which --on-w says nothing."""
        given = by_device(self.given["on_w"], names, "--on-w", self.columns)
        return {name: self.of(name, names).on_w for name in names if not {name, ALL} & {*given}}

    def steps(self, names: Sequence[str], seconds: float) -> list[tuple[int, int]]:
        """The shortest run and break of each device, in steps of so many seconds."""
        rules = [self.of(name, names) for name in names]
        return [(steps_of(rule.min_on, seconds), steps_of(rule.min_off, seconds)) for rule in rules]

    def _usual(self, name: str) -> tuple[dict[str, float], str]:
        """What is not given: the checkpoint's, else that of an appliance of the name; and where it comes from."""
        usual, kind = rule(name), appliance(name)
        found = {
            "on_w": usual.watts_at(self.step) if self.step else usual.on_w,
            "min_on": usual.min_on,
            "min_off": usual.min_off,
        }
        start = self.start
        if start is None or name not in start.outputs:
            if (standby := self.standbys.get(name)) is not None:
                return found | {"on_w": standby.on_w}, f"above its standby of {standby.rest:.3g} W"
            return found, f"usual for a {kind}" if kind else "no rule for this name"
        k = list(start.outputs).index(name)
        for flag in FLAGS:
            own = start.setting(flag, {}) or {}
            if flag in start.fitted:
                found[flag] = float(start.fitted[flag][k])
            elif name in own or ALL in own:  # older than this record
                found[flag] = float(own[name if name in own else ALL])
        return found, "the checkpoint"


def by_device(
    pairs: Mapping[str, Any], names: Sequence[str], where: str, columns: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Pairs by the devices' own names: each is given by its name, its column, or another spelling of either.

    Parameters
    ----------
    pairs : {name as typed, or ALL: value}.
    names : the devices.
    where : the flag, for messages.
    columns : {device: its column in the files}.

    Raises
    ------
    UsageError : a name that is no device's, or two that are one's.
    """
    found: dict[str, Any] = {}
    items = dict(columns or {})
    for typed, value in pairs.items():
        exact = [name for name in names if typed in (name, items.get(name))] or [typed] * (typed == ALL)
        alike = [name for name in names if spelled(typed) in (spelled(name), spelled(items.get(name, name)))]
        meant = exact or alike
        if len(meant) != 1:
            hint = " ".join(filter(None, [nearest(typed, names), f"the devices are {', '.join(names)}"]))
            raise UsageError(f"there is no device {typed!r}", where=where, hint=hint)
        if meant[0] in found:
            raise UsageError(f"{meant[0]} is given twice", where=where)
        found[meant[0]] = value
    return found


def _numbers(flag: str, pairs: Mapping[str, Any]) -> dict[str, float]:
    """The values of pairs such as `fridge=50` as numbers. UsageError for what is not a number of 0 or more."""
    found = {}
    for name, text in pairs.items():
        try:
            found[name] = float(text)
        except (TypeError, ValueError):
            found[name] = -1.0
        if not 0 <= found[name] < float("inf"):
            shown = f"{name}={text}" if name else str(text)
            raise UsageError(f"{shown}: takes a number of 0 or more", where=f"--{flag.replace('_', '-')}")
    return found
