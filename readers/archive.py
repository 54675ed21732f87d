"""Labelled series as the UCR and UEA archives give them: `.ts` of sktime and aeon, and `.arff` of Weka.

A `.ts` has lines `@key value`, then `@data` and a case a line: dimensions between colons, values between commas, the
label last. Of an `.arff` with series of one dimension a line holds the values and the label; several dimensions are
lines in quotes, with `\\n` between them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from config import RunConfig
from data import Series, Source
from errors import DataError
from readers import register, stem
from readers.base import Reader, TableText, csv_text
from readers.dialect import Dialect, Layout
from readers.files import checksum_of, decode
from readers.missing import check_policy, count_gaps, counted, fill, gap_error, is_allowed, refuses
from readers.paths import expand_paths
from readers.precision import narrowed
from readers.refused import no_data
from readers.sidecars import with_labels

READS = {"endings": [".ts", ".arff"]}
_ATTRIBUTE = re.compile(r"@attribute\s+(?:'([^']*)'|\"?([^\s\"{]+)\"?)[\s{]", re.IGNORECASE)
_MISSING = ("?", "NaN", "nan", "")


@dataclass(frozen=True)
class _Case:
    """A line of the file: its dimensions, lists of cells, and its label, "" for none."""

    line: int
    dimensions: list[list[str]]
    label: str


@register
class ArchiveReader(Reader):
    """A file of cases, each with as many dimensions, and a label each where the file says that it has labels."""

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """The first dimension as a table: a case a line, its label at the end."""
        text = decode(file.read())
        cases = _cases(text, path)
        length = max(len(case.dimensions[0]) for case in cases)
        rows = [[*case.dimensions[0], *[""] * (length - len(case.dimensions[0])), case.label] for case in cases]
        names = [found[1] or found[2] for found in map(_ATTRIBUTE.match, text.split("\n")) if found]
        if not path.name.casefold().endswith(".arff") or len(names) != length + 1:
            names = [*(f"t{step}" for step in range(length)), "label"]
        return TableText(csv_text([names, *rows]))

    def series(self, config: RunConfig, columns: Sequence[str] | None, known: Sequence[str]) -> Series:
        """One file as a Series: a case a row, a dimension a channel; a table with --time-col. See `Reader.series`."""
        if config.time_col:
            return super().series(config, columns, known)
        paths = expand_paths(config.csv)
        if len(paths) > 1:
            hint = f"--csv {paths[0]} alone; --mode infer --csv {paths[1]} scores a model on the other"
            raise DataError("each file holds series of its own", where=str(paths[1]), hint=hint)
        path = paths[0]
        return _series(path, _cases(decode(path.read_bytes()), path), config.nan)


def _series(path: Path, cases: Sequence[_Case], policy: str) -> Series:
    check_policy(policy)
    first = len(cases[0].dimensions)
    for case in cases:
        if len(case.dimensions) != first:
            what = f"{len(case.dimensions)} dimensions, where the first case has {first}"
            raise DataError(what, where=f"{path}:{case.line}")
    lengths = [max(map(len, case.dimensions)) for case in cases]
    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    values = np.full((first, int(offsets[-1])), np.nan)
    for case, begin in zip(cases, offsets.tolist(), strict=False):
        for channel, cells in enumerate(case.dimensions):
            values[channel, begin : begin + len(cells)] = [_number(cell, path, case.line) for cell in cells]
    counts = count_gaps(values)
    notes = []
    filled = None
    if any(counts):
        told = f"{counted(*counts)} in {path}"
        if refuses(policy, counts[1]):
            channel, at = np.argwhere(~is_allowed(values, policy))[0]
            row = int(np.searchsorted(offsets, at, "right")) - 1
            raise gap_error(values[channel, at], told, f"{path}:{cases[row].line}")
        done, filled = fill(values, offsets, policy)
        notes = [f"{told}: {done}"]
    name = stem(path)
    series = Series(
        values=narrowed(values, offsets),
        offsets=offsets,
        channels=(name,) if first == 1 else tuple(f"{name}.{channel}" for channel in range(first)),
        rows=tuple(map(str, range(len(cases)))),
        sources=(Source(str(path), *checksum_of(path), (len(cases), max(lengths))),),
        notes=tuple(notes),
        filled=filled,
    )
    labels = [case.label for case in cases]
    if not any(labels):
        return series
    return with_labels(series, path, labels, "last", Layout(False, False, 1), Dialect())


def _number(cell: str, path: Path, line: int) -> float:
    text = cell.strip()
    if text in _MISSING:
        return np.nan
    try:
        return float(text)
    except ValueError:
        hint = "series with time stamps are not read: one value a step, between commas" if "(" in text else ""
        raise DataError(f"{text[:40]!r} is not a number", where=f"{path}:{line}", hint=hint) from None


def _cases(text: str, path: Path) -> list[_Case]:
    """The cases of a file. DataError where it has none."""
    lines = list(enumerate(text.replace("\r\n", "\n").split("\n"), 1))
    at = next((k for k, (_, line) in enumerate(lines) if line.strip().casefold() == "@data"), None)
    if at is None:
        raise no_data([line for _, line in lines], path)
    head = [line.strip() for _, line in lines[:at]]
    body = [(number, line.strip()) for number, line in lines[at + 1 :] if line.strip() and line.strip()[0] not in "#%"]
    if not body:
        raise DataError("there is no case below @data", where=str(path))
    if path.name.casefold().endswith(".arff"):
        return [_arff(number, line) for number, line in body]
    said = [line.split() for line in head if re.match(r"@(class|target)label\b", line, re.IGNORECASE)]
    labelled = not said or any(words[1:2] != ["false"] for words in said)  # classes, or a target that is measured
    return [_ts(number, line, labelled) for number, line in body]


def _ts(number: int, line: str, labelled: bool) -> _Case:
    parts = line.split(":")
    label = parts.pop().strip() if labelled and len(parts) > 1 else ""
    return _Case(number, [part.split(",") for part in parts], label)


def _arff(number: int, line: str) -> _Case:
    quoted = re.fullmatch(r"(['\"])(.*)\1\s*,\s*(.*)", line)
    if quoted:
        return _Case(number, [part.split(",") for part in quoted[2].split("\\n")], quoted[3].strip(" '\""))
    cells = line.split(",")
    return _Case(number, [cells[:-1]], cells[-1].strip(" '\""))
