"""When a device counts as on: a threshold in watts, and the shortest run and break, by device or for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from errors import UsageError, nearest
from sources.appliances import rule
from tasks.nilm.states import steps_of

ALL = ""  # the device of a value that is given without one


class Rules:
    """The rules that flags give, over the usual ones for appliances of these names.

    Parameters
    ----------
    given : {"on_w", "min_on", "min_off": {device: number, or text that spells one}}; the device ALL stands for all.

    Raises
    ------
    UsageError : what is not a number of 0 or more.
    """

    def __init__(self, given: Mapping[str, Mapping[str, Any]]) -> None:
        self.given = {flag: _numbers(flag, pairs) for flag, pairs in given.items()}

    def of(self, name: str, names: Sequence[str]) -> tuple[float, float, float]:
        """(on_w in watts, min_on, min_off in seconds) of a device; UsageError for given ones not in `names`."""
        for flag, pairs in self.given.items():
            refuse_strays(pairs, names, f"--{flag.replace('_', '-')}")
        usual = rule(name)
        chosen = {"on_w": usual.on_w, "min_on": usual.min_on, "min_off": usual.min_off}
        on_w, min_on, min_off = (own.get(name, own.get(ALL, chosen[flag])) for flag, own in self.given.items())
        return on_w, min_on, min_off

    def steps(self, names: Sequence[str], seconds: float) -> list[tuple[int, int]]:
        """The shortest run and break of each device, in steps of so many seconds."""
        rules = [self.of(name, names)[1:] for name in names]
        return [(steps_of(on, seconds), steps_of(off, seconds)) for on, off in rules]

    def plain(self, name: str, names: Sequence[str]) -> dict[str, float]:
        """The same, by the names of the flags."""
        return dict(zip(self.given, self.of(name, names), strict=True))


def refuse_strays(pairs: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    """UsageError for a device among `pairs` that is not in `names`."""
    for stray in set(pairs) - {*names, ALL}:
        hint = " ".join(filter(None, [nearest(stray, names), f"the devices are {', '.join(names)}"]))
        raise UsageError(f"there is no device {stray!r}", where=where, hint=hint)


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
