"""One table of numbers as CSV text, rows = series and columns = time, parsed into one array.

The text is read in blocks of whole lines. A block goes to pandas' C parser as one long column, which avoids its cost
per column; two threads do this, since the parser releases the GIL. What that parser does not accept (quotes, odd
spellings, short rows, text) goes to a careful one, which either understands it or says where the trouble is.
"""

from __future__ import annotations

import csv
import functools
import io
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from errors import DataError
from readers.apart import FIRST, LAST, split_off
from readers.asides import MOST_ABOVE, Asides
from readers.bundles import Bundle, bundled
from readers.cut_off import whole
from readers.dialect import SNIFF_ROWS, Dialect, Layout, width_error
from readers.ends import check_ends
from readers.files import OpenTable, decode, dialect_of, first_lines, line_blocks, open_table, read_cells
from readers.gathered import Rows
from readers.guess import sniff, steps_named
from readers.heads import plain_dates
from readers.marks import check_thousands, may_hide_thousands, text_error
from readers.missing import count_gaps, suspect
from readers.odd import OddCells, Taken
from readers.paths import abridge
from readers.pieces import BLOCK
from readers.precision import judged
from readers.things import Columns, label_hint
from readers.threads import check_room, result_of
from readers.units import odd_number, odd_told
from settings.marks import MISSING
from times.growing import stamps_of

SMALL = 1 << 18  # a block below this is read without pandas, whose import costs more than the block does
ENDS_EARLY = "a row that ends early has all its separators (1,2,,,): empty cells after its last value are no steps"
WORKERS, THREADS = 2, "parse"

Parsed = tuple[np.ndarray, list[str]]  # values [n, T] and row ids, none or n
Judged = tuple[np.ndarray, list[str], tuple[bool, float], Counter[tuple[str, str]]]  # `judged`, how odd cells are taken


@dataclass(frozen=True)
class Facts:
    """What is known of one wide file beside its values; the cache keeps it with them.

    shape : (N, T). ids : one per row, or none. missing, infinite : counts of values.
    sha256, bytes : of the file on disk. labels : the cells of the column that `Dialect.apart` names.
    turned : whether its columns come newest first, and the values are in the order of time.
    dates : of the columns, or of each quantity's, in the order of time, where their names are dates; else ().
    bundle : the quantities that the columns are, and the columns of each; () where they are steps of one.
    columns : the file's columns of the steps, -1 for none, of one of these quantities; () where they are all columns.
    people : the cells of the column of words, left out, that says of whom each row is, its name first; () for none.
    names : of the columns of numbers, in a table of things; () of other tables.
    words : of its columns of words, the last ones, the name and the words that their values 0, 1, ... stand for.
    """

    shape: tuple[int, int]
    layout: Layout
    ids: tuple[str, ...]
    missing: int
    infinite: int
    sha256: str
    bytes: int
    notes: tuple[str, ...]
    labels: tuple[str, ...] = ()
    turned: bool = False
    dates: tuple[str, ...] = ()
    bundle: Bundle = ()
    columns: tuple[int, ...] = ()
    people: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def location(self, row: int, column: int) -> str:
        """`line:column` in the file, counted from 1, of the value at [row, column]."""
        column = self.columns[column] if self.columns else self.shape[1] - 1 - column if self.turned else column
        return f"{row + 1 + self.layout.header}:{column + 1 + self.layout.index}"

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Facts:
        """The inverse of `dataclasses.asdict` followed by JSON."""
        plain: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in kept.items()}
        words = tuple((name, tuple(each)) for name, each in kept["words"])
        return cls(**plain | {"layout": Layout(**kept["layout"]), "words": words})


def read_table(path: Path, dialect: Dialect, *, large: bool = False) -> tuple[np.ndarray, Facts]:
    """Read one wide file.

    Parameters
    ----------
    path : the file.
    dialect : how the flags say that CSVs are written.
    large : whether the values are written to a file as they are parsed, see `readers.mapped`.

    Returns
    -------
    values [N, T], NaN where missing, float32 or where that would hide how they differ float64; and the facts.

    Raises
    ------
    DataError : the file cannot be opened or has no data, a row has another length, a cell holds text.
    """
    dialect = dialect_of(path, dialect)
    for number in (np.float32, np.float64):
        asides = Asides(dialect, path, things=dialect.labelled)
        try:
            found = _read_as(number, asides, large)
        except DataError as error:
            raise asides.moved(error) from None
        if found is not None:
            return found
    raise AssertionError("float64 holds all numbers")


def _read_as(number: type[np.floating], asides: Asides, large: bool) -> tuple[np.ndarray, Facts] | None:
    """What `read_table` gives, with values of one type; None where float32 would hide how they differ."""
    path, dialect = asides.path, asides.dialect
    with open_table(path) as table:
        blocks, labels, beside, ended = _blocks(table, asides)
        start = list(itertools.islice(blocks, 2)) or [b""]  # the second, since a line may be as long as a block
        first_lines = decode(b"\n".join(start)).split("\n", SNIFF_ROWS)[:SNIFF_ROWS]
        # No column at an end of a table of things need be the labels.
        taken = replace(dialect, apart=LAST, index=beside.index) if beside.of_things else dialect
        layout, notes = _sniffed(first_lines, replace(taken, header="yes") if beside.lettered else taken, path)
        # A guess at N, generous since memory that is never written costs nothing; a packed file has more, and grows.
        expected = 1 + path.stat().st_size * (2 + start[0].count(b"\n")) // (1 + len(start[0]))
        rows = Rows(number, layout.columns, expected, large=large)
        unnamed, names = True, list[str]()
        if layout.header:
            line, more, rest = start[0].partition(b"\n")
            start[:1] = [rest] if more else []
            names = dialect.split([decode(line)], path)[0]
            unnamed = len(names) < layout.width or not names[-1].strip()
        if beside.lettered:
            layout = replace(layout, header=False)
        odd_cells: Counter[tuple[str, str]] = Counter()
        ids = _parse(itertools.chain(start, blocks), rows, layout, dialect, path, odd_cells, names)
    if ids is None:
        return None
    values = rows.values
    if unnamed and layout.columns > 1 and np.isnan(values[:, -1]).all():
        values = _without_last(values)  # each line ends in a separator
        layout = replace(layout, columns=layout.columns - 1)
    if taken.index == "auto" and not taken.apart and not (layout.header and steps_named(names[1:], dialect)):
        check_ends(values, path)
    dates, turned = _in_time(values, names[layout.index : layout.width], notes)
    bundle, shared = ((), ()) if dates else bundled(names[layout.index : layout.width])
    if bundle:
        shown = abridge([word for word, _ in bundle])
        notes.append(f"columns are {len(bundle)} quantities at {len(shared)} dates, a channel each: {shown}")
    elif dialect.index == "auto" and not layout.index and not turned and _looks_like_ids(values):
        notes.append("warning: first column counts the rows and is read as data; --index yes if it holds row ids")
    missing, infinite = count_gaps(values)
    if not dialect.thousands and may_hide_thousands(values):
        cells, _ = read_cells(path, dialect)
        check_thousands([cell for line in cells[layout.header :] for cell in line[layout.index :]], dialect, str(path))
    odd = suspect(values, "the table", "cells")
    told = [f"{phrase}; --strict refuses that" for phrase in odd_told(odd_cells, "cell")]
    all_notes = (*table.notes, *filter(None, (dialect.taken, *asides.told, *beside.told, *ended, *notes, odd, *told)))
    return values, Facts(
        (len(values), layout.columns), layout, tuple(ids), missing, infinite, table.sha256, table.bytes, all_notes,
        tuple(labels[layout.header :]), turned, dates or shared, bundle,
        tuple(at - layout.index for at in beside.places[layout.index :]), tuple(beside.people),
        tuple(map(str.strip, names[layout.index : layout.width - len(beside.words)])) if beside.of_things else (),
        tuple((name, tuple(known)) for name, known in beside.words.items()),
    )  # fmt: skip


def _sniffed(lines: list[str], dialect: Dialect, path: Path) -> tuple[Layout, list[str]]:
    """As `sniff`; its error for a first column of times names the way for a table of things as well, beside words."""
    try:
        return sniff(lines, dialect, path)
    except DataError as error:
        example = label_hint(path, dialect).partition(";")[0] if error.hint.startswith("--time-col") else ""
        if example:
            error.hint = f"{example}, {error.hint}"
        raise


def _blocks(table: OpenTable, asides: Asides) -> tuple[Iterator[bytes], list[str], Columns, list[str]]:
    """Blocks of a table's lines without what is none of its numbers; the labels and the other columns that are kept
    apart, and notes on the last line: these three are whole once the blocks are read."""
    path, dialect = asides.path, asides.dialect
    labels, beside, ended = _labels_beside(table, dialect.apart), Columns(), list[str]()
    blocks = line_blocks(table.text, path)
    if not dialect.strict:
        blocks = whole(asides.without(blocks), dialect, path, ended)
    if dialect.apart and not labels:
        blocks = split_off(blocks, dialect, path, labels)
    if dialect.labelled and not dialect.strict:
        blocks = beside.coded(blocks, dialect, path)
    return blocks, labels, beside, ended


def _in_time(values: np.ndarray, names: Sequence[str], notes: list[str]) -> tuple[tuple[str, ...], bool]:
    """The dates that the columns of values [N, T] are, in the order of time, and whether they came newest first: the
    values are then turned round in place, noted."""
    dates = plain_dates(names)
    turned = _newest_first(dates)
    if turned:
        dates = dates[::-1]
        for row in values:
            row[:] = row[::-1].copy()
        notes.append(f"columns are newest first ({', '.join(names[:2])}, ...), and were turned round")
    return dates, turned


def _labels_beside(table: OpenTable, name: str) -> list[str]:
    """The column of labels, its name first, where it is none of the table's; [] where it is."""
    found = next(iter(table.beside), "") if name == FIRST else name
    return [found, *table.beside[found]] if found in table.beside else []


def _newest_first(dates: Sequence[str]) -> bool:
    """Whether each of the columns' dates is before the one to its left."""
    stamps = stamps_of(dates) if dates else []
    return bool(stamps) and all(after < before for before, after in itertools.pairwise(stamps))


def _without_last(values: np.ndarray) -> np.ndarray:
    """Values [N, T] without their last column, moved together in place: a copy would hold a large table twice."""
    n, columns = values.shape
    flat = values.reshape(-1)
    for row in range(1, n):
        flat[row * (columns - 1) : (row + 1) * (columns - 1)] = flat[row * columns : (row + 1) * columns - 1]
    return flat[: n * (columns - 1)].reshape(n, columns - 1)


# ---- numbers


def _parse(
    blocks: Iterable[bytes],
    rows: Rows,
    layout: Layout,
    dialect: Dialect,
    path: Path,
    odd: Counter[tuple[str, str]],
    columns: Sequence[str],
) -> list[str] | None:
    """Add the values of all blocks to `rows`; returns the row ids, or None where they need a wider type.

    In `odd` cells are counted that are no plain numbers, with how they were taken. `columns` are the names, if any.
    """
    ids: list[str] = []
    line = 1 + layout.header
    fast = functools.partial(_parse_column, layout=layout, dialect=dialect)
    for block, parsed in _in_threads(fast, blocks):
        values, names, verdict, taken = parsed or (
            *_parse_cells(block, line, layout, dialect, path, odd, columns),
            None,
            {},
        )
        odd.update(taken)
        hidden, lost = judged(values) if verdict is None else verdict
        if hidden and rows.number == np.float32:
            return None
        rows.add(values, lost)
        ids += names
        line += len(values)
    return ids if rows.holds() else None


def _in_threads(
    work: Callable[[bytes], Judged | None], blocks: Iterable[bytes]
) -> Iterator[tuple[bytes, Judged | None]]:
    """Each block and what `work` makes of it, in order. Only a few wait at a time, so that memory stays small.

    A small block takes no thread: where memory is short, one that cannot begin would be waited for without end.
    """
    waiting: deque[tuple[bytes, Future[Judged | None] | None]] = deque()
    checked = False
    with ThreadPoolExecutor(WORKERS, THREADS) as pool:
        for block in blocks:
            if len(block) >= SMALL and not checked:
                check_room(WORKERS, 4 * BLOCK)
                checked = True
            waiting.append((block, None if len(block) < SMALL else pool.submit(work, block)))
            if len(waiting) > WORKERS:
                ready, future = waiting.popleft()
                yield ready, None if future is None else result_of(future, THREADS)
        for ready, future in waiting:
            yield ready, None if future is None else result_of(future, THREADS)


def _parse_column(block: bytes, layout: Layout, dialect: Dialect) -> Judged | None:
    """A block of whole lines by the fast parser, judged; None where that parser may be wrong about it."""
    if len(block) < SMALL or dialect.grouped or b"\r" in block:
        return None
    sep = dialect.sep.encode()
    plain = unquoted(block, sep)
    if plain is None:
        return None
    n_rows = even_rows(plain, sep, layout.width)
    if not n_rows:
        return None
    found, taken = _as_column(plain, n_rows, layout, dialect), Taken(dialect, alike=True)
    if found is None:
        odd = OddCells.of(plain, dialect, layout.width, range(layout.index, layout.width))
        found = _as_column(odd.rest, n_rows, layout, dialect) if odd else None
        numbers = taken.values(odd) if odd and found else None
        if odd is None or found is None or numbers is None:
            return None
        found[0][odd.lines, odd.columns - layout.index] = numbers
    return *found, judged(found[0]), taken.found.get(0, Counter())


def _as_column(text: bytes, n_rows: int, layout: Layout, dialect: Dialect) -> Parsed | None:
    """So many lines of plain numbers, which may begin with an id."""
    sep, ids = dialect.sep.encode(), list[str]()
    text += b"\n"
    if layout.index:
        lines = [line.partition(sep) for line in text[:-1].split(b"\n")]
        ids = [decode(line[0]).strip() for line in lines]
        text = b"\n".join([line[2] for line in lines] + [b""])
    values = long_column(text.replace(b"\n", sep), dialect)
    if values is None or values.size != n_rows * layout.columns:
        return None
    return np.require(values.reshape(n_rows, layout.columns), requirements="W"), ids


def long_column(text: bytes, dialect: Dialect) -> np.ndarray | None:
    """Numbers [n], each of which a separator ends, float64; None where pandas takes one for something else."""
    import pandas  # a fifth of a second, which small files should not cost

    try:
        column = pandas.read_csv(
            io.BytesIO(text),
            header=None,
            sep="\x1f",  # a control character that no file holds: every cell is a line of one column
            lineterminator=dialect.sep,
            skip_blank_lines=False,
            dtype=np.float64,
            decimal=dialect.decimal,
            na_values=[*MISSING, " ", *dialect.na],
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
            engine="c",
            low_memory=True,
        )
    except ValueError:
        return None
    values: np.ndarray = column.to_numpy().reshape(-1)
    return values


def unquoted(text: bytes, sep: bytes) -> bytes | None:
    """A text without its quotes where each stands around a whole cell that needs none; None where some do not."""
    if b'"' not in text:
        return text
    codes = np.frombuffer(text, np.uint8)
    quotes = codes == ord('"')
    borders = (codes == ord(sep)) | (codes == ord(b"\n"))
    at = np.flatnonzero(quotes)
    opening, closing = at[::2], at[1::2]
    before, after = opening[opening > 0] - 1, closing[closing < len(codes) - 1] + 1
    if len(at) % 2 or not borders[before].all() or not borders[after].all():
        return None
    if (borders & np.logical_xor.accumulate(quotes)).any() or sep + b" " in text:
        return None
    return text.replace(b'"', b"")


def even_rows(text: bytes, sep: bytes, width: int) -> int:
    """How many lines the text has, with \\n between them, if each holds `width` cells; else 0."""
    codes = np.frombuffer(text, np.uint8)
    starts = np.append(0, np.flatnonzero(codes == ord(b"\n")) + 1)
    if starts[-1] == len(text):
        return 0
    seps = np.add.reduceat(codes == ord(sep), starts, dtype=np.int32)
    return len(starts) if (seps == width - 1).all() else 0


def _parse_cells(
    block: bytes,
    first_line: int,
    layout: Layout,
    dialect: Dialect,
    path: Path,
    odd: Counter[tuple[str, str]],
    columns: Sequence[str],
) -> Parsed:
    """As `_parse_column`, cell by cell. Raises DataError with `file:line:column` for a cell that is not a number."""
    rows = dialect.split(decode(block).split("\n"), path, first_line)
    values = np.empty((len(rows), layout.columns))
    for number, cells in enumerate(rows):
        if len(cells) != layout.width:
            raise width_error(path, first_line + number, found=len(cells), expected=layout.width, short=ENDS_EARLY)
        try:
            values[number] = _plain_numbers(cells[layout.index :], dialect)
        except ValueError:
            for column, cell in enumerate(cells[layout.index :]):
                value = dialect.number(cell)
                if value is None and not dialect.strict and (taken := odd_number(cell, dialect)):
                    value = taken[0]
                    odd[cell.strip(), taken[1]] += 1
                if value is None:
                    location = first_line + number, _place(path, dialect, columns, column + layout.index)
                    name = columns[column + layout.index].strip() if dialect.labelled and columns else ""
                    raise text_error(path, *location, cell, layout, dialect, name) from None
                values[number, column] = value
    return values, [cells[0].strip() for cells in rows] if layout.index else []


def _place(path: Path, dialect: Dialect, columns: Sequence[str], at: int) -> int:
    """The number from 1 of a column in its file, of which labels and words are read apart: by its name."""
    if dialect.labelled and at < len(columns) and columns[at].strip():
        for line in first_lines(path)[0][: 1 + MOST_ABOVE]:
            names = [cell.strip() for cell in line.split(dialect.sep)]
            if names.count(columns[at].strip()) == 1:
                return 1 + names.index(columns[at].strip())
    return 1 + at


def _plain_numbers(cells: list[str], dialect: Dialect) -> np.ndarray:
    """The cells [T] where all are plain numbers, else ValueError. Python would read `1_0` as 10."""
    if dialect.decimal != "." or dialect.na or dialect.grouped or any("_" in cell for cell in cells):
        raise ValueError
    return np.array(cells, np.float64)


def _looks_like_ids(values: np.ndarray) -> bool:
    """Whether the first column of values [N, T] counts the rows from 0 or from 1."""
    column = values[:, 0]
    counts = np.arange(len(column), dtype=np.float32) + (column[0] == 1)
    return len(column) >= 3 and values.shape[1] > 1 and np.array_equal(column, counts)
