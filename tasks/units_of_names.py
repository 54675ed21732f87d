"""The unit that a channel's name ends with: `load [MW]`, `load (MW)`, `load_mw`."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BRACKETS = re.compile(r".*\S\s*(?:\[([^\[\]]{1,12})\]|\(([^()]{1,12})\))\s*")
_LAST = re.compile(r".+[_ .]([A-Za-z%°]+)")
_KNOWN = (
    "W", "kW", "MW", "GW", "Wh", "kWh", "MWh", "GWh", "V", "A", "Hz", "degC", "C", "K", "F", "mm", "cm", "m", "km",
    "m3", "l", "kg", "g", "t", "Pa", "hPa", "bar", "ppm", "EUR", "USD", "pct", "s", "ms", "min", "h",
)  # fmt: skip
_SPELLED = {
    "w": "W", "watt": "W", "watts": "W", "kw": "kW", "kws": "kW", "kilowatt": "kW", "kilowatts": "kW", "kwatt": "kW",
    "kwatts": "kW", "wh": "Wh", "whs": "Wh", "watthours": "Wh", "kwh": "kWh", "kwhs": "kWh", "kilowatthours": "kWh",
    "m³": "m3",
}  # fmt: skip
_FROM_TWO = {name.lower(): name for name in _KNOWN if len(name) > 1} | {
    spelling: name for spelling, name in _SPELLED.items() if len(spelling) > 1
}  # a single letter may be anything


def unit_of(name: str) -> str:
    """The unit in a channel's name; "" where it has none.

    Parameters
    ----------
    name : of the channel, as the file has it.
    """
    if found := _BRACKETS.fullmatch(name):
        unit = (found[1] or found[2]).strip()
        return _SPELLED.get(unit.lower().replace(" ", "").replace("-", ""), unit)
    found = _LAST.fullmatch(name)
    return _FROM_TWO.get(found[1].lower(), "") if found else ""


def without_unit(name: str) -> str:
    """A channel's name without the unit that it ends with, where something is left of it.

    Parameters
    ----------
    name : of the channel, as the file has it.
    """
    if not unit_of(name):
        return name
    found = _BRACKETS.fullmatch(name) or _LAST.fullmatch(name)
    assert found
    at = found.start(found.lastindex or 0)
    return name[:at].rstrip("[( _.") or name


def unit_of_all(names: Sequence[str]) -> str:
    """The unit that all of the channels have; "" where each has its own, or the names do not say one.

    Parameters
    ----------
    names : of the channels.
    """
    units = {unit_of(name) for name in names}
    return units.pop() if len(units) == 1 else ""
