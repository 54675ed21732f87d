"""PC-Axis (.px), as statistics offices write tables: keywords, then the values of all combinations of their variables.

Statistics Sweden, PX-file format specification (2013): KEYWORD[language]("variable")="text","text"; and the last
variable of HEADING changes fastest.
"""

from __future__ import annotations

import io
import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path

from errors import DataError, many
from readers import register
from readers.base import Reader, TableText, csv_text
from readers.paths import abridge
from times.words import is_time
from times.years import are_years

READS = {"endings": [".px"]}
START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:CHARSET|AXIS-VERSION|CODEPAGE|LANGUAGE|CREATION-DATE)\s*=\s*\"")
VALUE = "value"
_KEY = re.compile(r'\s*([A-Z-]+)(?:\[[^\]]*\])?(?:\(([^)]*?"[^"]*"[^)]*|[^)"]*)\))?\s*=')
_TEXT = re.compile(r'"([^"]*)"')
_PLAIN = re.compile(r'[^";]*(?:"[^"]*"[^";]*)*;')
_SCALE = re.compile(r"TLIST\(\s*([AHQMW])")
_MISSING = re.compile(r"-|\.+|:")
_SHORT = {"H": ("{}-H{}", 4), "Q": ("{}-Q{}", 4), "M": ("{}-{:0>2}", 4), "W": ("{}-W{:0>2}", 4)}
_CODEPAGE = re.compile(rb'CODEPAGE="([\w-]+)"')


@register
class PxReader(Reader):
    """A table of PC-Axis as a long table: the time, its other variables that vary, joined, and the value."""

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """See `Reader.text`. DataError for a file that is not of the format, or has no variable of times."""
        head, mark, tail = _decoded(file.read()).partition("DATA=")
        known = _keywords(head)
        variables = [name.strip() for key in ("STUB", "HEADING") for name in known.get((key, ""), [])]
        if not mark or not variables or any(key == "KEYS" for key, _ in known):
            hint = "save it as CSV with the office's own page"
            raise DataError("is no PC-Axis table with all its values", where=str(path), hint=hint)
        levels = [known.get(("VALUES", name)) or known.get(("CODES", name), []) for name in variables]
        values = ["" if _MISSING.fullmatch(cell) else cell for cell in tail.replace('"', " ").replace(";", " ").split()]
        expected = math.prod(map(len, levels))
        if len(values) != expected:
            what = f"holds {many(len(values), 'value')} where its variables make {expected:,}"
            raise DataError(what, where=f"{path}: DATA")
        at, times = _times(known, variables, levels, path)
        others = [k for k in range(len(variables)) if k != at]
        vary = [k for k in others if len(levels[k]) > 1]
        rows = [
            [times[place[at]], *(["/".join(levels[k][place[k]] for k in vary)] if vary else []), value]
            for place, value in zip(itertools.product(*(range(len(each)) for each in levels)), values, strict=True)
        ]
        rows.sort(key=lambda row: row[1:-1])  # stable: the times of a series stay in order
        what = known.get(("CONTENTS", ""), [""])[0] or VALUE
        notes = [f"PC-Axis: {many(len(values), 'value')} of {abridge([f'{name!r}' for name in variables])}"]
        return TableText(csv_text([[variables[at], *["series"] * bool(vary), what], *rows]), tuple(notes))


def _decoded(text: bytes) -> str:
    """A file's text, which is UTF-8 where it may be, else in the code page that it names, or Latin-1."""
    named = _CODEPAGE.search(text[:2000])
    for encoding in ["utf-8-sig", *([named[1].decode()] if named else []), "latin-1"]:
        try:
            return text.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    raise AssertionError("Latin-1 decodes all")


def _keywords(head: str) -> dict[tuple[str, str], list[str]]:
    """{(keyword, variable or ""): its texts}, those of the first language; "TLIST(Q" first where a scale is given."""
    known: dict[tuple[str, str], list[str]] = {}
    at = 0
    while found := _KEY.match(head, at):
        end = _PLAIN.match(head, found.end())
        if end is None:
            break
        words = _TEXT.findall(end[0])
        scale = _SCALE.search(end[0])
        known.setdefault((found[1], (found[2] or "").strip('" ')), [scale[0], *words] if scale else words)
        at = end.end()
    return known


def _times(
    known: dict[tuple[str, str], list[str]], variables: Sequence[str], levels: Sequence[list[str]], path: Path
) -> tuple[int, list[str]]:
    """The number of the variable of the times, and these as text."""
    for at, name in enumerate(variables):
        scale, *codes = known.get(("TIMEVAL", name), [""])
        form, split = _SHORT.get(scale[-1:], ("", 0))
        codes = codes or known.get(("CODES", name), []) if scale else []
        if form and len(codes) == len(levels[at]) and all(code.isdecimal() for code in codes):
            return at, [form.format(code[:split], code[split:].lstrip("0") or "0") for code in codes]
    for at, name in enumerate(variables):
        for cells in (levels[at], known.get(("CODES", name), [])):
            if len(cells) == len(levels[at]) > 1 and (all(map(is_time, cells)) or are_years("year", cells)):
                return at, list(cells)
    hint = "its values are of one time; take a table in which a variable holds years, quarters or months"
    raise DataError(f"no variable of {abridge(list(variables))} holds times", where=str(path), hint=hint)
