"""Lines of facts, a name and a value each, above lines of a time and values that no line names; and steps of several
lengths below one another, of which years and quarters say again what the months do. Offices of statistics and registers
of rivers write both.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence

from readers.base import NUMBER, TableText
from readers.files import decode
from readers.pieces import Pieces, looked_through
from times.words import is_time, is_time_word

MOST_ABOVE, LEAST_ABOVE, LEAST = 40, 6, 6  # lines of facts; lines below them that are looked at
MOST = 1 << 22  # bytes: so many months are thousands of years
FEW = 3  # steps of a length, with fewer of which it is no block
_VALUE = re.compile(rf"{NUMBER}|")
_NAMES = ("years", "quarters", "months")  # from the longest
_FORMS = [
    re.compile(rf"(?:1[789]|20)\d\d{rest}", re.IGNORECASE)
    for rest in ("", r"[ -]?Q[1-4]", r" (?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)")
]


def factual(text: io.BufferedReader, head: int) -> tuple[TableText | None, io.BufferedReader]:
    """Such a table; or None, and the text at its start.

    Parameters
    ----------
    text : at its start. head : how many bytes are looked at first.
    """
    rows = _rows(decode(text.peek(head)[:head].removeprefix(b"\xef\xbb\xbf")).split("\n")[:-1])
    above, forms = _facts_above(rows), {_form(row[0]) for row in rows if row} - {-1}
    if not above and len(forms) < 2:
        return None, text
    whole, text = looked_through(text, MOST)
    lines = whole.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    coarse = _coarse([_form(row[0]) if row else -1 for row in _rows(decode(whole).removeprefix("\ufeff").split("\n"))])
    if not above and not coarse:
        return None, text
    names = _names(rows[above]) if above else []
    notes = [f"no line names the columns below the facts: they are called {', '.join(names)}"] * bool(above)
    if coarse:
        counts = Counter(_NAMES[form] for form in coarse.values())
        listed = " and ".join(f"{count} of {name}" for name, count in counts.items())
        notes.append(f"lines of longer steps beside the {_NAMES[max(coarse.values()) + 1]} left out: {listed}")
    begin = [b""] * (above - 1) + [",".join(names).encode()] * bool(above)  # so that lines keep their numbers
    if whole:
        kept = [line for k, line in enumerate(lines) if k >= above and k not in coarse]
        return TableText(io.BytesIO(b"\n".join([*begin, *kept])), tuple(notes)), text
    for _ in range(above):
        text.readline()
    parts = itertools.chain([b"\n".join([*begin, b""])], iter(lambda: text.read(head), b""))
    return TableText(io.BufferedReader(Pieces(parts), head), tuple(notes)), text


def _names(row: Sequence[str]) -> list[str]:
    """Names for a time and values that have none."""
    return ["time", "value", *(f"column {k}" for k in range(3, len(row) + 1))]


def _rows(lines: Sequence[str]) -> list[list[str]]:
    """The cells of lines between commas, each line by itself; [] of a blank one."""
    try:
        return [[cell.strip() for cell in next(csv.reader([line]), [])] for line in lines]
    except csv.Error:
        return []


def _form(cell: str) -> int:
    """The length of a step as a place in _NAMES; -1 for other text."""
    return next((form for form, pattern in enumerate(_FORMS) if pattern.fullmatch(cell)), -1)


def _is_time(cell: str) -> bool:
    return is_time(cell) or _form(cell) >= 0


def _facts_above(rows: Sequence[Sequence[str]]) -> int:
    """How many lines of facts stand above the first lines of a time and a value that no line names; 0 for none."""
    at = next((k for k, row in enumerate(rows[: MOST_ABOVE + 1]) if row and _is_time(row[0])), 0)
    below, above, width = rows[at : at + LEAST], rows[:at], len(rows[at]) if at else 0
    if at < LEAST_ABOVE or len(below) < LEAST:
        return 0
    table = width > 1 and all(
        len(row) == width and _is_time(row[0]) and _VALUE.fullmatch(row[1]) for row in below if row
    )
    facts = all(len(row) > 1 and not (is_time_word(row[0]) and _are_words(row[1:])) for row in above)
    named = bool(above) and len(above[-1]) == width and _are_words(above[-1])
    return at if table and facts and not named else 0


def _are_words(cells: Sequence[str]) -> bool:
    """Whether cells may name columns: each has text, which is no number and no time."""
    return all(cells) and not any(_VALUE.fullmatch(cell) or _is_time(cell) for cell in cells)


def _coarse(forms: Sequence[int]) -> dict[int, int]:
    """The lines of longer steps, each with its form, of a text in which blocks of steps of a length follow one another;
    {} for another text. `forms` are those of its lines."""
    blocks = [(form, len(list(group))) for form, group in itertools.groupby(form for form in forms if form >= 0)]
    lengths = [form for form, _ in blocks]
    if len(blocks) < 2 or lengths != sorted({*lengths}) or min(count for _, count in blocks) < FEW:
        return {}
    return {k: form for k, form in enumerate(forms) if 0 <= form < lengths[-1]}
