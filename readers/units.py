"""Units beside numbers: in the cells of a column (12.5 %, $3, 4 kWh), and in a line of their own below the names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from errors import many
from readers.dialect import Dialect
from readers.missing import is_mark, is_sign

_MONEY = "$ € £ ¥ us$ usd eur gbp chf"
_MEASURES = """
    celsius fahrenheit kelvin degc degf deg degrees percent meters metres m/sec mm/day mm/h
    % ‰ ° °c °f ℃ ℉
    k °k c f w kw mw gw wh kwh mwh gwh var kvar va kva v kv mv a ma hz khz mhz ohm ω j kj mj gj pa hpa kpa
    mbar bar psi m mm cm km in ft m/s km/h mph kn m² m2 m³ m3 nm³ l ml l/s l/h l/min m3/h m³/h m3/s m³/s g kg t mg µg
    g/m³ g/m3 µg/m³ µg/m3 mg/l ppm ppb db s sec ms min h hr hrs d day days rpm 1/min u/min kg/h eur/mwh €/mwh ct/kwh
    kib mib gib tib kb mb gb tb kb/s mb/s gb/s mib/s kbit/s mbit/s gbit/s mbps gbps €/kwh usd/mwh $/mwh w/m² w/m2 lx
    lux nm n stk stück pcs tsd. mil mio mio. b bn bil mrd mrd.
"""
CURRENCIES = frozenset(_MONEY.split())
IN_FRONT = CURRENCIES | {"%"}  # the last in Turkish
UNITS = CURRENCIES | frozenset(map(str.casefold, _MEASURES.split()))
_NUMBER = r"[.,]?\d(?:[\d.,'\s\u202f\xa0]*[\d.,])?(?:[eE][+-]?\d+)?"
_MARKED = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<front>[^\d\s.,+()-]*)\s*(?P<inner>[+-]?)(?P<number>{_NUMBER})\s*(?P<back>\D*)"
)
_CURRENCY = r"(?:us\$|usd|eur|gbp|chf|[$€£¥])"
_ACCOUNT = re.compile(
    rf"(?P<unit>{_CURRENCY}?)\s*\(\s*(?P<bracketed>{_CURRENCY}?\s*{_NUMBER})\s*\)"
    rf"|(?P<before>{_NUMBER})\s?[-\N{{MINUS SIGN}}]",
    re.IGNORECASE,
)
_NOTHING = re.compile(rf"(?P<unit>{_CURRENCY})\s*-+", re.IGNORECASE)  # as a spreadsheet shows 0 in its accounts
_FORMAT = re.compile(r"(?=.*[YyDdHh])[YyMmDdHhSsTZ:/\-. ]{4,}")  # of a date, such as YYYY-MM-DD hh:mm
_LIMIT = re.compile(
    rf"(?:[<>\N{{LESS-THAN OR EQUAL TO}}\N{{GREATER-THAN OR EQUAL TO}}]=?)\s*(?P<number>[+-]?{_NUMBER})"
)
_STARS = "[*#\N{DAGGER}\N{DOUBLE DAGGER}\N{SECTION SIGN}]+"
_NOTED = re.compile(rf"(?P<number>[+-]?{_NUMBER})\s*(?:{_STARS}|\(\w\)|\[\w\]| [bepruz]{{1,2}})")
_STARRED = re.compile(rf"[+-]?{_NUMBER}\s*(?:{_STARS})")
_RDB = re.compile(r"\d{1,3}[sdnSDN]")  # the width and kind of a column, as in tables of the USGS
LONGEST = 24  # characters of a product of units
_PRODUCT = re.compile(  # umolm-2s-1
    r"(?:[umkhMGdcn\u00b5]?(?:mol|deg[CFK]?|Pa|g|m|s|W|J|K|V|A|N|L)(?:\^?-?[1-4])?[ .*/]?){2,}"
)
_BRACKETS = re.compile(r"\[.*\]|\(.*\)")


def split_mark(cell: str) -> tuple[str, str] | None:
    """The number in a cell and the unit before or behind it; None where it has no unit that is known.

    Parameters
    ----------
    cell : its text.
    """
    found = _MARKED.fullmatch(cell.strip())
    if not found or bool(found["front"]) == bool(found["back"].strip()):
        return None
    mark = found["front"] or found["back"].strip()
    known = IN_FRONT if found["front"] else UNITS
    if mark.casefold() not in known or (found["sign"] and found["inner"]):
        return None
    return f"{found['sign']}{found['inner']}{found['number']}", mark


def accounted(cell: str) -> str:
    """A number in brackets or before its minus, as accountants write one below zero, with its sign first, and $0 for
    $-; other text as it is.

    Parameters
    ----------
    cell : the text.
    """
    text = cell.strip()
    if nothing := _NOTHING.fullmatch(text):
        return f"{nothing['unit']}0"
    found = _ACCOUNT.fullmatch(text)
    return f"-{found['unit'] or ''}{found['bracketed'] or found['before']}" if found else cell


def odd_number(cell: str, dialect: Dialect) -> tuple[float, str] | None:
    """What stands for a number among numbers, and how it is taken: a mark of a missing value (-, n.a.), a limit of
    measurement (<40), a number with a note (12.3*, 12.3 (p)); None for other text.

    Parameters
    ----------
    cell : its text.
    dialect : what a number is.
    """
    if is_mark(cell):
        return math.nan, "taken as missing"
    for pattern, way in ((_LIMIT, "taken as the limit itself"), (_NOTED, "taken without the note")):
        found = pattern.fullmatch(cell.strip())
        value = dialect.number(found["number"]) if found else None
        if value is not None and value == value:
            return value, way
    return None


def is_starred(cell: str) -> bool:
    """Whether a cell is a number with stars or the like behind it: 12.3*, 147.2#.

    Parameters
    ----------
    cell : its text.
    """
    return bool(_STARRED.fullmatch(cell.strip()))


def odd_told(found: Mapping[tuple[str, str], int], what: str) -> list[str]:
    """What was done to cells that `odd_number` takes, a phrase for each way.

    Parameters
    ----------
    found : how many cells there are of each text and way.
    what : what they are counted in, such as line.
    """
    phrases = []
    for way in dict.fromkeys(way for _, way in found):
        kinds = {cell: count for (cell, other), count in found.items() if other == way}
        shown = ", ".join(map(repr, list(kinds)[:2])) + ", ..." * (len(kinds) > 2)
        phrases.append(f"{shown} in {many(sum(kinds.values()), what)} {way}")
    return phrases


def same_mark(cells: Sequence[str], dialect: Dialect) -> tuple[list[str], str]:
    """The numbers in cells that all have the same unit, missing ones and their marks as they are, and that unit, with
    how accountants' are taken; ([], "") where one has none.

    Parameters
    ----------
    cells : text [n], each kind once or more.
    dialect : what is missing.
    """
    plain: list[str] = []
    marks, odd = set[str](), set[str]()
    for cell in cells:
        if not dialect.is_text(cell) and not dialect.is_number(cell):
            plain.append(cell)
            continue
        found = split_mark(text := accounted(cell))
        if found is None and not is_mark(cell):
            return [], ""
        plain.append(found[0] if found else cell)
        marks |= {found[1]} if found else set()
        odd |= {f"{cell.strip()!r} as {text}"} if found and text != cell else set()
        if len(marks) > 1:
            return [], ""
    told = f" ({min(odd)}{', ...' * (len(odd) > 1)})" if odd else ""
    return (plain, marks.pop() + told) if marks else ([], "")


def is_unit(cell: str) -> bool:
    """Whether a cell says in what a column is measured, or nothing: kW, [m/s], YYYY-MM-DD, -.

    Parameters
    ----------
    cell : its text.
    """
    text = cell.strip()
    known = text.casefold() in UNITS or text in ("", "-", "[-]", "TS", "RN")  # the last two of Campbell's loggers
    return known or bool(
        _BRACKETS.fullmatch(text) or _FORMAT.fullmatch(text) or (len(text) <= LONGEST and _PRODUCT.fullmatch(text))
    )


def units_below(rows: Sequence[Sequence[str]], dialect: Dialect) -> bool:
    """Whether the second of some lines of a table holds the units, or the widths, of the columns that the first names.

    Parameters
    ----------
    rows : the cells of the line of names and of at least two lines below it, all of one width.
    dialect : what a number is.
    """
    if len(rows) < 3 or not any(rows[1]) or any(map(dialect.is_number, rows[1])):
        return False
    if all(map(is_unit, rows[1])) or (all(map(_RDB.fullmatch, rows[1])) and not all(map(_RDB.fullmatch, rows[2]))):
        return True
    if not rows[2][0] and len(rows) > 3:  # how the values were taken: Smp, Avg
        rows = [*rows[:2], *rows[3:]]
    over = [k for k, cell in enumerate(rows[1]) if cell and k]
    said = [cell for cell in rows[1] if cell.strip()]  # else a line of a time and no values would be one of units
    named = sum(map(is_unit, said)) * 2 > len(said)  # a unit or two that are not known
    return (named or not rows[1][0]) and bool(rows[2][0]) and all(_has_numbers(rows, k, dialect) for k in over)


def _has_numbers(rows: Sequence[Sequence[str]], at: int, dialect: Dialect) -> bool:
    cells = [row[at] for row in rows[2:] if not is_sign(row[at])]
    return any(dialect.is_like_number(cell) for cell in cells) and not any(
        dialect.is_text(cell) and not dialect.is_like_number(cell) for cell in cells
    )
