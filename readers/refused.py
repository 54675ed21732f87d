"""Texts that are no table, known by their first lines: why they are not read, and what helps."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from errors import DataError
from readers.base import NUMBER
from readers.files import decode
from times.words import is_time_word

MOST, LEAST = 40, 6  # first lines that are looked at
_SPARSE = re.compile(rf"{NUMBER}(?:,{NUMBER})*(?: +\d+:{NUMBER})+\s*(?:#.*)?")
_NUMBERS = re.compile(rf"\s*{NUMBER}(?:\s+{NUMBER})+\s*")
_IOSTAT = re.compile(r"avg-cpu:\s+%user|Device:?\s+tps\b|Device:?\s+(?:rrqm/s|r/s)\b")


def python(code: str) -> str:
    """A command that runs some code, as one types it in a shell."""
    return f'python -c "{code}"' if not {*'"$`\\!'} & {*code} else f"python -c {shlex.quote(code)}"


def _are_names(cells: Sequence[str]) -> bool:
    """Whether cells of a first line name columns and are no title: the first is a time, or all have units."""
    return len(cells) > 1 and (is_time_word(re.sub(r"\(.*\)", "", cells[0]).strip()) or all("(" in c for c in cells))


def check_table(head: bytes, path: Path) -> None:
    """Refuse a text that is no table.

    Parameters
    ----------
    head : its first bytes. path : the file, for the error.

    Raises
    ------
    DataError : sparse rows of index:value, reports of iostat, names of other columns than there are, and two tables
        whose lines take turns.
    """
    lines = [line for line in decode(head).split("\n")[:-1][:MOST] if line.strip()]
    name, where = shlex.quote(str(path)), str(path)
    if len(lines) >= LEAST and all(map(_SPARSE.fullmatch, lines)):
        code = f"import numpy, sklearn.datasets as d; x, y = d.load_svmlight_file({str(path)!r})"
        code += "; numpy.savetxt('dense.csv', numpy.c_[x.toarray(), y], '%g', ',')"
        hint = f"{python(code)} writes it as a table: --csv dense.csv --label-src-ch last"
        raise DataError("holds sparse rows of index:value (libsvm), which are not read", where=where, hint=hint)
    if any(map(_IOSTAT.match, lines)):
        device_line = next((after for line, after in pairwise(lines) if line.startswith("Device")), "sda")
        device = device_line.split()[0]
        awk = f"""awk '$1 == "{device}" || (/^Device/ && !n++) {{$1 = $1; print}}' OFS=, {name} > device.csv"""
        hint = f"{awk} writes the lines of {device} to a table: --csv device.csv --time-col line"
        raise DataError("is a report of iostat, several tables in turn, and not read", where=where, hint=hint)
    first, below = lines[:1], lines[1:]
    if len(below) >= LEAST and all(map(_NUMBERS.fullmatch, below)) and _are_names(first[0].split(",")):
        held, named = {len(line.split()) for line in below}, first[0].count(",") + 1
        if len(held) == 1 and not {named, len(first[0].split())} & held:
            what = f"the first line names {named} columns between commas, and those below it hold {held.pop()} numbers"
            hint = f"sed 1d {name} > values.txt writes the lines below it to a file"
            raise DataError(f"{what} between spaces", where=where, hint=hint)
    if len(lines) >= LEAST and all(map(_NUMBERS.fullmatch, lines)):
        widths = [len(line.split()) for line in lines]
        if widths[0] != widths[1] and widths == (widths[:2] * MOST)[: len(widths)]:
            what = f"lines of {widths[0]} and of {widths[1]} numbers take turns: two tables in one"
            hint = f"awk 'NR % 2 == 1' {name} > first.txt writes the first of them to a file"
            raise DataError(what, where=where, hint=hint)


def no_data(lines: Sequence[str], path: Path) -> DataError:
    """The error for a file of Weka's or of the archives' formats without its line @data, with what puts one in.

    Parameters
    ----------
    lines : all of the file. path : the file.
    """
    above = enumerate(lines, 1)
    first = next((number for number, line in above if line.strip() and line.strip()[0] not in "@%#"), 0)
    hint = "the file ends above its cases, as a download that was cut off: fetch it again"
    if first and not any(line.lstrip().startswith("@") for line in lines[:first]):
        hint = (
            f"it has no head: cp {shlex.quote(str(path))} {shlex.quote(path.stem)}.csv makes it a table of values alone"
        )
    elif first:
        command = f"""awk 'NR=={first}{{print "@data"}} 1' {shlex.quote(str(path))} > whole{path.suffix}"""
        hint = f"{command} writes a file with one, if line {first} is the first of its cases"
    return DataError("there is no line @data", where=str(path), hint=hint)
