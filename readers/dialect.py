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

    def is_like_number(self, cell: str) -> bool:
        """Whether the cell holds a number that is not missing, with either decimal mark."""
        return self.is_number(cell) or self.swapped.is_number(cell)

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


def check_dialect(line: str, dialect: Dialect, path: Path) -> None:
    """Refuse a line whose cells are text with this dialect and would be numbers with another.

    Parameters
    ----------
    line : a line of data, or the only one.
    dialect : how the flags say that the file is written.
    path : the file, for the error.

    Raises
    ------
    DataError : with the flags of the other dialect.
    """
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
