"""How CSV text is written: separator and decimal mark, whether it has a header and row ids, what a number is."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from config import RunConfig
from errors import DataError, UsageError
from settings.marks import MISSING

SNIFF_ROWS = SNIFF_CELLS = 100  # how much of the first lines is looked at to find header, ids and separator
_MISSING_FOLDED = frozenset(word.casefold() for word in MISSING)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE | re.ASCII)
_WHOLE = re.compile(r"([+-]?\d+)\.00?")  # with a point whatever the decimal mark is: no group of thousands is so short
SEPARATORS = (",", ";", "\t", "|")  # that a file may show, beside spaces
AUTO = "auto"  # a separator or a decimal mark that the file's lines must show
THOUSANDS = {",": ",", ".": ".", "'": "'", "space": " "}  # what may separate thousands, by name


@lru_cache
def _groups(mark: str) -> re.Pattern[str]:
    return re.compile(rf"[+-]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+")


@dataclass(frozen=True)
class Dialect:
    """What the flags say about a file. UsageError for what cannot be.

    sep, decimal : what separates cells, and whole numbers from fractions.
    header, index : whether there is a header, and whether there are row ids: auto, yes or no.
    na : marks of missing values beside MISSING, text or numbers.
    thousands : what separates groups of three digits: one of THOUSANDS or its name; none for certainly nothing.
    dates : the order of day, month and year, such as dmy; "" where the cells must show it.
    taken : what was taken for AUTO, for a note; "" for nothing but the usual.
    strict : whether only what is certain may be taken for data or left out.
    apart : the column of a wide table that holds labels, see readers/apart.py; "" for none.
    labelled : whether the table is one of labels, whose lines may be things, though this file may lack them.
    categories : columns of such a table that are categories, whatever they hold.
    """

    sep: str = ","
    decimal: str = "."
    header: str = "auto"
    index: str = "auto"
    na: tuple[str, ...] = ()
    thousands: str = ""
    dates: str = ""
    taken: str = ""
    strict: bool = False
    apart: str = ""
    labelled: bool = False
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sep", {"\\t": "\t", "tab": "\t"}.get(self.sep, self.sep))
        if self.sep != AUTO and not _separates(self.sep):
            raise UsageError(f"{self.sep!r} cannot separate cells", where="--sep", hint="one of ',' ';' '|' '\\t' ' '")
        if self.decimal not in (".", ",", AUTO):
            raise UsageError(f"{self.decimal!r} cannot be the decimal mark", where="--decimal", hint="'.' or ','")
        object.__setattr__(self, "na", tuple(mark.strip() for mark in self.na))
        object.__setattr__(self, "thousands", THOUSANDS.get(self.thousands, self.thousands))
        if self.thousands == self.decimal or (self.decimal == AUTO and self.thousands in (".", ",")):
            object.__setattr__(self, "decimal", "," if self.thousands == "." else ".")
        elif self.decimal == self.sep != AUTO and not self.taken:
            raise UsageError("the same as --sep", where="--decimal", hint="--sep ';' --decimal ','")
        for flag, value in (("header", self.header), ("index", self.index)):
            if value not in ("auto", "yes", "no"):
                raise UsageError(f"{value!r} is not one of auto, yes, no", where=f"--{flag}")

    @classmethod
    def of_long(cls, config: RunConfig) -> Dialect:
        """How the flags say that long files are written: with names of columns, and without row ids."""
        return cls(
            config.sep, config.decimal, "yes", "no", config.na, config.thousands, config.date_order, "", config.strict
        )

    def number(self, cell: str) -> float | None:
        """The cell's value: NaN where it is missing, None where it is text."""
        if self._plain and _NUMBER.fullmatch(cell):  # nearly every cell of most files
            return float(cell)
        text = cell.strip().replace("\N{MINUS SIGN}", "-")
        if self.thousands == " ":
            text = text.replace("\u202f", " ").replace("\xa0", " ")
        if text.casefold() in _MISSING_FOLDED or text in self.na:
            return float("nan")
        if self.grouped:
            whole, mark, rest = text.partition(self.decimal)
            if self.thousands in whole and not _groups(self.thousands).fullmatch(whole):
                return None
            text = whole.replace(self.thousands, "") + mark + rest
        if self.decimal == ",":
            text = found[1] if (found := _WHOLE.fullmatch(text)) else text
            text = text.replace(".", "?").replace(",", ".")
        value = float(text) if _NUMBER.fullmatch(text) else None
        return float("nan") if value in self.na_numbers else value

    @cached_property
    def _plain(self) -> bool:
        """Whether what Python takes for a number is one, whatever it is."""
        return self.decimal == "." and not self.na and not self.grouped

    @property
    def grouped(self) -> bool:
        """Whether numbers may have marks between groups of three digits."""
        return self.thousands not in ("", "none")

    @cached_property
    def na_numbers(self) -> frozenset[float | None]:
        """The marks of missing values that are numbers."""
        plain = replace(self, na=())
        return frozenset(plain.number(mark) for mark in self.na) - {None}

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

    @cached_property
    def swapped(self) -> Dialect:
        """A dialect with the other decimal mark."""
        return Dialect(";", "," if self.decimal == "." else ".", na=self.na)

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


def line_of(cells: Sequence[str], sep: str) -> str:
    """Cells as a line of CSV text, without its end; those that need quotes have them.

    Parameters
    ----------
    cells : text. sep : what separates them.
    """
    text = io.StringIO()
    csv.writer(text, delimiter=sep, lineterminator="").writerow(cells)
    return text.getvalue()


def _separates(mark: str) -> bool:
    """Whether a mark may stand between cells."""
    return len(mark) == 1 and mark.isascii() and not mark.isalnum() and mark not in '"\r\n.+-\x1f'


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


def width_error(path: Path, line: int, *, found: int, expected: int, short: str = "") -> DataError:
    """The error for a line that is too short or too long.

    Parameters
    ----------
    path : the file.
    line : the line's number in it, from 1.
    found, expected : numbers of cells.
    short : the hint for a line of some cells, but too few.
    """
    what = f"row has {found} field{'s' * (found != 1)}, expected {expected} as in the first row"
    notes = "a table holds its lines alone: delete blank lines, titles above its names and notes below them"
    return DataError(
        what, where=f"{path}:{line}", hint=notes if 1 in (found, expected) else short if found < expected else ""
    )


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
        try:
            tail = other.split([line], path)[0][1:SNIFF_CELLS]
        except DataError:  # its quotes close nowhere
            continue
        apart = sep == " " and not all(tail)  # runs of spaces, which a flag reads as cells without a value
        if any(map(other.is_number, tail)) and not any(map(other.is_text, tail)) and not apart:
            flags = [f"--sep {sep!r}"] * (sep != dialect.sep) + [f"--decimal '{decimal}'"] * (
                decimal != dialect.decimal
            )
            what = f"read with --sep {dialect.sep!r} --decimal '{dialect.decimal}' the cells are text, not numbers"
            raise DataError(what, where=str(path), hint=" ".join(flags))
