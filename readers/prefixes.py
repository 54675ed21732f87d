"""Numbers of one quantity in several units: 1.2K beside 3.4M, 950 B/s beside 2.1 kB/s, 40 ms beside 1.3 s."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from readers.dialect import Dialect
from readers.missing import is_mark
from readers.units import odd_told, split_mark

_WRITTEN = re.compile(r"(?P<number>[+-]?[.,]?\d[\d.,]*)\s?(?P<unit>[^\d\s.,+-][^\d\s]*)")
_MULTIPLES = {
    name: 10.0**power
    for power, names in ((3, "K k Tsd Tsd."), (6, "M Mil Mio Mio. mn"), (9, "B Bil Mrd Mrd. bn"), (12, "T Tri"))
    for name in names.split()
}
_PREFIXES = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_PREFIXES |= {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_BASES = "B/s b/s bit/s bps Bps B W Wh VA VAh V A Hz J Pa l L g m"
_UNITS = {prefix + base: (factor, base) for base in _BASES.split() for prefix, factor in _PREFIXES.items()}
_UNITS |= {"cm": (0.01, "m"), "hPa": (100.0, "Pa")}
_UNITS |= {name: (factor, "s") for name, factor in (("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0))}
_UNITS |= {"min": (60.0, "s"), "mins": (60.0, "s"), "h": (3600.0, "s"), "hour": (3600.0, "s"), "hours": (3600.0, "s")}
ONES = 1000  # which a number without a multiple is below, where others have one


def is_in_units(cell: str) -> bool:
    """Whether a cell is a number in a known unit, or in a multiple of one.

    Parameters
    ----------
    cell : its text.
    """
    found = _WRITTEN.fullmatch(cell.strip())
    known = found is not None and (found["unit"] in _UNITS or found["unit"] in _MULTIPLES)
    return known or split_mark(cell) is not None


def in_one_unit(kinds: Sequence[str], codes: np.ndarray, dialect: Dialect) -> tuple[list[float], str]:
    """The numbers of a column in one unit, and how they are taken; ([], "") where its cells are no such numbers.

    Parameters
    ----------
    kinds : the texts of its cells, each once.
    codes : the kind of each of its lines, int [n].
    dialect : what a number is.
    """
    read = [None if dialect.number(kind) is not None else _WRITTEN.fullmatch(kind.strip()) for kind in kinds]
    units = {found["unit"] for found in read if found}
    plain = [value for kind in kinds if (value := dialect.number(kind)) is not None and value == value]
    factors, way = _factors(units, plain, any("." in found["number"] for found in read if found))
    values, taken, counts = [], Counter[tuple[str, str]](), np.bincount(codes, minlength=len(kinds))
    for kind, found, count in zip(kinds, read, counts.tolist(), strict=True):
        value = dialect.number(found["number"] if found else kind)
        mark = not found and value is None and is_mark(kind)
        if not factors or (value is None and not mark):
            return [], ""
        values.append(np.nan if value is None else value * (factors[found["unit"]] if found else 1.0))
        if found or mark:
            taken[kind.strip(), "taken as missing" if mark else way] += count
    return values, " and ".join(odd_told(taken, "line"))


def _factors(units: set[str], plain: Sequence[float], broken: bool) -> tuple[Mapping[str, float], str]:
    """What each unit is worth, and how to tell it; ({}, "") for units that are not of one quantity.

    plain : the numbers without a unit. broken : whether some number with one is no whole number, as no code is.
    """
    if units <= {*_MULTIPLES} and broken and len(units) + bool(plain) > 1 and max(map(abs, plain), default=0) < ONES:
        listed = ", ".join(f"{unit} as {_MULTIPLES[unit]:,.0f}" for unit in sorted(units, key=lambda u: _MULTIPLES[u]))
        return _MULTIPLES, f"taken with {listed}"
    bases = {_UNITS[unit][1] for unit in units if unit in _UNITS}
    if len(bases) != 1 or not units <= {*_UNITS} or any(plain) or len(units) < 2:  # 0 is 0 in each
        return {}, ""
    return {unit: _UNITS[unit][0] for unit in units}, f"taken in {bases.pop()}"
