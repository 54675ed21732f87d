"""The unit of a house's readings where neither flags nor names say it: UCI's household, and houses in kilowatts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from config import RunConfig
from errors import DataError
from readers.dialect import Dialect
from readers.files import dialect_of, first_lines
from readers.fitting import rows_of
from readers.paths import expand_paths
from readers.refused import python
from sources.appliances import spelled
from tasks.nilm.units import SMALL
from times.growing import stamps_of

LINES, MINUTE = 12, 60  # lines that show how far they are apart; seconds
LEAST, DEVICE = 20, 10.0  # readings; W, below which no device with a usual threshold is on
SUMS = 100.0  # kW: what UCI's house reaches only where minutes were added up
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?")


def by_readings(
    mains: Sequence[str], devices: Sequence[str], cells: Mapping[str, Sequence[str]], config: RunConfig
) -> tuple[dict[str, str], list[str]]:
    """The units of the mains and the devices that readings show, as settings, and a note; ({}, []) where they do not.

    Parameters
    ----------
    mains, devices : columns of a table. cells : some of their cells. config : the settings.

    Raises
    ------
    DataError : UCI's household in other steps than its minutes, whose devices are in no unit.
    """
    path = expand_paths(config.csv)[0]
    if _named_as_uci([*mains, *devices]):
        if not _of_minutes(path, config):
            raise _other_steps(path, mains[0], devices, cells, config)
        told = "units as UCI's household has them: kW, and Wh of each minute; --mains-unit and --device-unit say others"
        return {"mains_unit": "kW", "device_unit": "Wh"}, [told]
    if _in_kilowatts(mains, devices, cells):
        return {"mains_unit": "kW"}, ["read as kW, since no house draws so few watts; --mains-unit W says otherwise"]
    return {}, []


def mean(cells: Sequence[str]) -> float:
    """The mean of the numbers among cells, with a point or a comma; 0 without any."""
    numbers = _numbers(cells)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _numbers(cells: Sequence[str]) -> list[float]:
    return [float(cell.replace(",", ".")) for cell in cells if _NUMBER.fullmatch(cell)]


def _in_kilowatts(mains: Sequence[str], devices: Sequence[str], cells: Mapping[str, Sequence[str]]) -> bool:
    """Whether a house reaches fewer than SMALL, in decimals, and no device what any is on from, though one runs."""
    house = [_numbers(cells.get(name, ())) for name in mains]
    drawn = [_numbers(cells.get(name, ())) for name in devices]
    if not house or min(map(len, house)) < LEAST or not any(map(any, drawn)):
        return False
    decimals = any(number % 1 for numbers in house for number in numbers)
    small = 0 < sum(map(max, house)) < SMALL and all(max(numbers, default=0) < DEVICE for numbers in drawn)
    return decimals and small


def _named_as_uci(names: Sequence[str]) -> bool:
    """Whether columns are those of the UCI archive's house, whose names say no units."""
    plain = [spelled(name) for name in names]
    return plain[:1] == ["globalactivepower"] and any(re.fullmatch(r"submetering[123]", name) for name in plain[1:])


def _of_minutes(path: Path, config: RunConfig) -> bool:
    """Whether a table has a line each minute."""
    rows = rows_of(first_lines(path)[0][:LINES], dialect_of(path, Dialect.of_long(config)))
    at = [rows[0].index(name) for name in config.time_col.split("+") if name in rows[0]]
    stamps = stamps_of([" ".join(row[k] for k in at) for row in rows[1:]]) if at else []
    return bool(stamps) and all(b - a == MINUTE for a, b in itertools.pairwise(stamps))


def _other_steps(
    path: Path, mains: str, devices: Sequence[str], cells: Mapping[str, Sequence[str]], config: RunConfig
) -> DataError:
    """The error for that house averaged or added up over other steps, with a command that brings it to one unit."""
    sums = mean(cells.get(mains, ())) > SUMS
    own, other, unit = (f"d[{mains!r}] /= 60; ", "/= 1000", "kWh") if sums else ("", "*= 0.06", "kW")
    taken = dialect_of(path, Dialect.of_long(config))
    more = f", sep={taken.sep!r}" * (taken.sep != ",") + f", decimal={taken.decimal!r}" * (taken.decimal != ".")
    code = f"import pandas; d = pandas.read_csv({str(path)!r}{more}); {own}d[{list(devices)!r}] {other}"
    command = python(f"{code}; d.to_csv('same_unit.csv', index=False)")
    what = "UCI's household in other steps than minutes: its devices are in Wh of a minute, the house in kW"
    hint = f"{command} brings both to {unit}: --csv same_unit.csv --mains-unit {unit}"
    return DataError(what, where=str(path), hint=hint)
