"""JSON tables: a list of records, records one a line, or a list for each column; also within other facts, once or for
each of several series.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from errors import DataError
from readers import register
from readers.base import Reader, TableText, csv_text
from readers.guess import UNIX
from times.words import is_time

READS = {"endings": [".json", ".jsonl", ".ndjson"]}
LEAST = 3  # lines that show times
DEEPEST = 8  # lists and objects in one another, in which a table is looked for
SERIES = "series"  # the column that says of which object in a list a line is
Table = tuple[list[str], list[list[Any]]]  # names, [] for none; rows


@register
class JsonReader(Reader):
    """The largest table in a JSON text, as CSV; values within a record's object have names such as `main.temp`."""

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """See `Reader.text`. DataError for what is no JSON, or holds no table."""
        whole = file.read()
        try:
            held = _parsed(whole)
        except ValueError as error:
            raise DataError(f"cannot be read as JSON: {error}", where=str(path)) from None
        names, rows = max(_tables(held, DEEPEST), key=_size, default=([], []))
        if not rows:
            hint = "a table is a list of records, one record a line, or an object with a list for each column"
            raise DataError("holds no table", where=str(path), hint=hint)
        return TableText(csv_text([*([names] if names else []), *map(_cell, rows)]))


def _parsed(text: bytes) -> Any:
    """What a text holds: one value, or a list of one a line. ValueError where it is neither."""
    try:
        return json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not lines[0].lstrip().startswith((b"{", b"[")):
            raise
        return [json.loads(line) for line in lines]


def _tables(held: Any, depth: int) -> Iterator[Table]:
    """The tables in a value: it itself, or those within it."""
    if not isinstance(held, (list, dict)) or not held or not depth:
        return
    if isinstance(held, list):
        if all(isinstance(each, dict) for each in held):
            yield _of_records([_flat(each) for each in held])
        elif all(isinstance(each, list) for each in held) and len({len(each) for each in held}) == 1:
            yield [], held
        yield from _tables(held[0], depth - 1) if len(held) == 1 else _joined(held, depth - 1)
        return
    columns = {name: values for name, values in held.items() if _is_column(values)}
    if isinstance(held.get("columns"), list) and isinstance(held.get("data"), list):  # pandas, orient="split"
        index = held.get("index", [])
        named = len(index) == len(held["data"])
        rows = [[label, *row] for label, row in zip(index, held["data"], strict=True)] if named else held["data"]
        yield ["index"] * named + [str(name) for name in held["columns"]], rows
    elif len(held) > 1 and all(isinstance(each, dict) for each in held.values()) and _alike(held.values()):
        labels = list(next(iter(held.values())))
        if not any(_is_column(values.get(label)) for values in held.values() for label in labels[:1]):  # of pandas
            yield ["index", *held], [[label, *(values.get(label) for values in held.values())] for label in labels]
    elif len({len(values) for values in columns.values()}) == 1:
        yield list(columns), [list(row) for row in zip(*columns.values(), strict=True)]
    for each in held.values():
        yield from _tables(each, depth - 1)


def _joined(held: Sequence[Any], depth: int) -> Iterator[Table]:
    """The tables within the objects of a list, one below the other, where each holds one with the same names."""
    tables = [max(_tables(each, depth), key=_size, default=([], [])) for each in held if isinstance(each, dict)]
    there = [names for names, rows in tables if rows]
    if len(tables) < len(held) or not there or any(names != there[0] for names in there) or len(there) * 2 < len(held):
        return
    facts = [{name: value for name, value in each.items() if isinstance(value, str)} for each in map(_flat, held)]
    named = next((n for n in facts[0] if len({each.get(n) for each in facts}) == len(held)), "")
    titles = [each[named] if named else number for number, each in enumerate(facts, 1)]
    rows = [[title, *row] for title, (_, rows) in zip(titles, tables, strict=True) for row in rows]
    yield [SERIES, *(there[0] or _names_of(rows[0][1:]))], rows


def _names_of(row: Sequence[Any]) -> list[str]:
    """Names for columns without any: of a time and a value, as Prometheus answers, these; else their numbers."""
    first = row[0]
    seconds = isinstance(first, (int, float)) and first >= UNIX
    if len(row) == 2 and (seconds or (isinstance(first, str) and is_time(first))):
        return ["time", "value"]
    return [str(number) for number in range(1, len(row) + 1)]


def _size(table: Table) -> tuple[bool, int]:
    """Whether a table of some lines has a column of times, and how many cells it has."""
    rows = table[1]
    dated = len(rows) >= LEAST and any(isinstance(cell, str) and is_time(cell) for cell in rows[0])
    return dated, sum(map(len, rows))


def _alike(objects: Iterable[Mapping[str, Any]]) -> bool:
    """Whether objects have the same names."""
    return len({*map(tuple, objects)}) == 1


def _is_column(values: Any) -> bool:
    return isinstance(values, list) and not any(isinstance(each, (list, dict)) for each in values[:3])


def _of_records(records: Sequence[Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for record in records for name in record))
    return names, [[record.get(name) for name in names] for record in records]


def _flat(record: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A record with the values of objects within it beside the others; lists are left out."""
    made: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            made |= _flat(value, f"{before}{name}.")
        elif not isinstance(value, list):
            made[f"{before}{name}"] = value
    return made


def _cell(row: Sequence[Any]) -> list[Any]:
    return [int(value) if isinstance(value, bool) else value for value in row]
