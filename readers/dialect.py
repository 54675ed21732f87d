"""How CSV text is written: separator and decimal mark, whether it has a header and row ids, what a number is."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from errors import DataError, UsageError

SNIFF_ROWS = SNIFF_CELLS = 100  # how much of the first lines is looked at to find header, ids and separator
MISSING = ("", "NA", "N/A", "#N/A", "<NA>", "nan", "NaN", "NAN", "-nan", "null", "NULL", "None")
_MISSING_FOLDED = frozenset(word.casefold() for word in MISSING)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE | re.ASCII)
_ID_WORDS = frozenset(("id", "idx", "index", "key", "row", "row_id", "series", "series_id", "name", "item", "item_id"))
_ID_WORDS |= {"unit", "unit_id", "part", "part_id", "sku", "unnamed: 0"}


@dataclass(frozen=True)
class Dialect:
    """What the flags say about a file: `header` and `index` are auto, yes or no. UsageError for what cannot be."""

    sep: str = ","
    decimal: str = "."
    header: str = "auto"
    index: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sep", {"\\t": "\t", "tab": "\t"}.get(self.sep, self.sep))
        if len(self.sep) != 1 or not self.sep.isascii() or self.sep.isalnum() or self.sep in '"\r\n.+-\x1f':
            raise UsageError(f"{self.sep!r} cannot separate cells", where="--sep", hint="one of ',' ';' '|' '\\t' ' '")
        if self.decimal not in (".", ","):
            raise UsageError(f"{self.decimal!r} cannot be the decimal mark", where="--decimal", hint="'.' or ','")
        if self.decimal == self.sep:
            raise UsageError("the same as --sep", where="--decimal", hint="--sep ';' --decimal ','")
        for flag, value in (("header", self.header), ("index", self.index)):
            if value not in ("auto", "yes", "no"):
                raise UsageError(f"{value!r} is not one of auto, yes, no", where=f"--{flag}")

    def number(self, cell: str) -> float | None:
        """The cell's value: NaN where it is missing, None where it is text."""
        text = cell.strip()
        if text.casefold() in _MISSING_FOLDED:
            return float("nan")
        if self.decimal == ",":
            text = text.replace(".", "?").replace(",", ".")
        return float(text) if _NUMBER.fullmatch(text) else None

    def is_text(self, cell: str) -> bool:
        """Whether the cell holds text: neither a number nor a missing value."""
        return self.number(cell) is None

    def is_number(self, cell: str) -> bool:
        """Whether the cell holds a number that is not missing."""
        value = self.number(cell)
        return value is not None and value == value

    @property
    def swapped(self) -> Dialect:
        """A dialect with the other decimal mark."""
        return Dialect(";", "," if self.decimal == "." else ".")

    def split(self, lines: Sequence[str], path: Path, first_line: int = 1) -> list[list[str]]:
        """The cells of each line, without quotes.

        Parameters
        ----------
        lines : n lines without their ends.
        path : the file, for the error.
        first_line : the number of lines[0] in the file, for the error.

        Returns
        -------
        n lists of cells; an empty line has one empty cell.

        Raises
        ------
        DataError : a quote that is not closed in its line, or a stray carriage return.
        """
        reader = csv.reader(lines, delimiter=self.sep, skipinitialspace=self.sep != " ", strict=True)
        rows: list[list[str]] = []
        try:
            for cells in reader:
                if reader.line_num != len(rows) + 1:
                    raise csv.Error("a quote is open at the end of the line")
                rows.append(cells or [""])
        except csv.Error as error:
            stray = "new-line character" in str(error)
            what = "a carriage return within the line; lines end in \\n or \\r\\n" if stray else str(error)
            raise DataError(what, where=f"{path}:{first_line + len(rows)}") from None
        return rows


@dataclass(frozen=True)
class Layout:
    """Where the numbers of a table are: below a header line or not, right of an id column or not, `columns` of them."""

    header: bool
    index: bool
    columns: int

    @property
    def width(self) -> int:
        """Fields of a line."""
        return self.columns + self.index

    @property
    def skipped(self) -> str:
        """What an error adds, so that nobody counts rows or columns from the wrong one."""
        taken = ["row 1 was taken as the header"] * self.header + ["column 1 as row ids"] * self.index
        return f"; {' and '.join(taken)}, both counted here" if len(taken) == 2 else "".join(f"; {t}" for t in taken)


def sniff(lines: list[str], dialect: Dialect, path: Path) -> tuple[Layout, list[str]]:
    """The layout of a table by its first lines, and notes on it.

    Parameters
    ----------
    lines : the first lines of the file; [""] where it is empty.
    dialect : how the file is written, and what the flags say of its header and row ids.
    path : the file, for the error.

    Raises
    ------
    DataError : an empty file, a header without rows, or cells that another --sep or --decimal would explain.
    """
    if lines == [""]:
        raise DataError("the file is empty", where=str(path))
    head = dialect.split(lines[:2], path)
    _check_dialect(lines[:2][-1], dialect, path)
    header, notes = _find_header(head, dialect)
    if len(lines) == header:
        raise DataError("has a header and no rows", where=str(path), hint="--header no if row 1 holds data")
    width = len(head[header])
    if len(head[0]) != width:
        raise width_error(path, 2, found=width, expected=len(head[0]))
    index = dialect.index == "yes"
    if dialect.index == "auto" and width > 1:
        firsts = [line.partition(dialect.sep)[0].strip('" ') for line in lines[header:]]
        index = (header and is_id_word(head[0][0])) or all(dialect.is_text(cell) for cell in firsts)
        notes += ["first column taken as row ids"] * index
    if width == index:
        raise DataError("has row ids and no values", where=str(path), hint="--index no if column 1 holds data")
    return Layout(header, index, width - index), notes


def has_names(cells: Sequence[str], dialect: Dialect) -> bool:
    """Whether a line names columns: it has no number, and text outside the first cell, which may be over row ids.

    Parameters
    ----------
    cells : the line's cells.
    dialect : what a number is.
    """
    return not any(map(dialect.is_number, cells)) and any(map(dialect.is_text, cells[1:] or cells))


def is_id_word(cell: str) -> bool:
    """Whether a header's first cell says that its column holds row ids.

    Parameters
    ----------
    cell : that cell, as text.
    """
    return cell.strip().casefold() in _ID_WORDS or not cell.strip()


def width_error(path: Path, line: int, *, found: int, expected: int) -> DataError:
    """The error for a line that is too short or too long.

    Parameters
    ----------
    path : the file.
    line : the line's number in it, from 1.
    found, expected : numbers of cells.
    """
    what = f"row has {found} field{'s' * (found != 1)}, expected {expected} as in the first row"
    return DataError(what, where=f"{path}:{line}")


def text_error(path: Path, line: int, column: int, cell: str, layout: Layout, dialect: Dialect) -> DataError:
    """The error for a cell that should be a number, with the flag that may help.

    Parameters
    ----------
    path : the file.
    line, column : the cell's location in it, both from 1.
    cell : its text.
    layout, dialect : how the table was understood.
    """
    if line == 1:
        hint = "--header yes if row 1 holds column names"
    elif column == 1:
        hint = "--index yes if column 1 holds row ids"
    elif dialect.swapped.is_number(cell):
        hint = f"--decimal '{dialect.swapped.decimal}'"
    else:
        hint = "a missing value is an empty cell, NA, nan or null"
    what = f"text {cell[:40]!r} where a number is expected{layout.skipped}"
    return DataError(what, where=f"{path}:{line}:{column}", hint=hint)


def _find_header(head: Sequence[Sequence[str]], dialect: Dialect) -> tuple[bool, list[str]]:
    """Whether the first of a table's first two lines is a header, and the note on that."""
    if dialect.header != "auto":
        return dialect.header == "yes", []
    cells = head[0]
    shown = ", ".join(cells[:3]) + (", ..." if len(cells) > 3 else "")
    named = has_names(cells, dialect) or cells[0].strip().casefold() in _ID_WORDS
    if named or (not cells[0].strip() and _counts(cells[1:])):
        return True, [f"first line taken as a header ({shown})"]
    # Two numbers that count, and lines that continue each other's count, are likely to be data.
    if len(cells) >= 3 and _counts(cells) and head[1:] and head[1][0].strip() != str(int(cells[-1]) + 1):
        return True, [f"warning: first line counts ({shown}) and was taken as a header; --header no if it is data"]
    return False, []


def _counts(cells: Sequence[str]) -> bool:
    """Whether the cells read 0, 1, 2, ... or 1, 2, 3, ..., as pandas names columns."""
    start = 1 if cells and cells[0].strip() == "1" else 0
    return bool(cells) and all(cell.strip() == str(number) for number, cell in enumerate(cells, start))


def _check_dialect(line: str, dialect: Dialect, path: Path) -> None:
    """DataError where the cells of the line are text with this dialect and would be numbers with another."""
    cells = dialect.split([line], path)[0][:SNIFF_CELLS]
    may_be_id = dialect.index == "yes" or (dialect.index == "auto" and not dialect.swapped.is_number(cells[0]))
    if not any(map(dialect.is_text, cells[1:] if may_be_id and len(cells) > 1 else cells)):
        return
    for sep, decimal in itertools.product((dialect.sep, *";\t|, "), ".,"):
        if sep == decimal or (sep, decimal) == (dialect.sep, dialect.decimal):
            continue
        other = Dialect(sep, decimal)
        tail = other.split([line], path)[0][1:SNIFF_CELLS]
        if any(map(other.is_number, tail)) and not any(map(other.is_text, tail)):
            flags = [f"--sep {sep!r}"] * (sep != dialect.sep) + [f"--decimal '{decimal}'"] * (
                decimal != dialect.decimal
            )
            what = f"read with --sep {dialect.sep!r} --decimal '{dialect.decimal}' the cells are text, not numbers"
            raise DataError(what, where=str(path), hint=" ".join(flags))
