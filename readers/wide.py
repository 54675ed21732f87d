"""Wide tables: a file is a channel, a line is a row of the series, a column is a step of time."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np

from data import Series, Source, Things
from errors import DataError, UsageError, many, nearest
from readers import cache, mapped, stem
from readers.bundles import unbundled
from readers.categories import Coded, with_categories
from readers.columns import NoColumn
from readers.dialect import Dialect
from readers.files import checksum_of, dialect_of, first_cells, read_cells
from readers.guess import LINE
from readers.heads import calendar
from readers.missing import check_policy, count_gaps, counted, fill, gap_error, is_allowed, refuses
from readers.paths import abridge, merge_notes
from readers.persons import by_name, by_person
from readers.pool import in_order
from readers.sidecars import attach, with_labels
from readers.tables import Facts, read_table

TOTALS = ("total", "totals", "grand total", "sum", "summe", "gesamt", "gesamtsumme", "all", "average", "mean")


def read_wide(
    paths: Sequence[Path | str],
    *,
    header: str = "auto",
    index: str = "auto",
    sep: str = ",",
    decimal: str = ".",
    na: Sequence[str] = (),
    thousands: str = "",
    strict: bool = False,
    nan: str = "error",
    labels: Path | str = "",
    groups: Path | str = "",
    categorical: Sequence[str] = (),
    memory: str = "",
    label: str = "",
    labelled: bool = False,
) -> Series:
    """One Series of wide files, all of one shape [N, T]: C files are C channels of N rows.

    A row ends where its values end: empty cells after the last value of all its channels are no steps. Under `nan` zero
    they are, since there an empty cell says 0.

    Parameters
    ----------
    paths : the files, in the order of the channels.
    header, index : whether a CSV has a first line of names and a first column of row ids: auto, yes or no.
    sep, decimal, na, thousands, strict : how a CSV is written, see `Dialect`.
    nan : what a missing or infinite value is: error, drop (stays NaN), ffill (the value before in its row), zero.
    labels, groups : files with a line per row; "" for none.
    categorical : channels whose files hold words, or codes, one for each step or one column with one for each row.
    memory : --memory; larger data stay in a file. "" for what is free.
    label : the column that holds a label for each row, first, last or a name of the header; "" for none.
    labelled : whether a model of labels reads the files, which may lack these.

    Raises
    ------
    UsageError : an option that does not exist.
    DataError : a file that is damaged, a cell that is no number, files that do not fit, a missing value under `error`.
    """
    dialect = Dialect(sep, decimal, header, index, tuple(na), thousands, strict=strict, apart=label)
    has_labels = labelled or bool(label) or (bool(labels) and len(paths) == 1)  # several are channels, no things
    dialect = replace(dialect, labelled=has_labels, categories=tuple(categorical))
    check_policy(nan)
    files, named = _named(list(map(Path, paths)), categorical, dialect, known=labelled)
    values, facts = _read_all(files, dialect, mapped.too_large(files, memory))
    notes, ids = _same_order(values, files, facts), _common_ids(files, facts)
    notes += _note_repeats(files, ids) + merge_notes((path, f.notes) for path, f in zip(files, facts, strict=True))
    sources = tuple(map(_source, files, facts))
    values, files, facts, channels = _quantities(values, files, facts)
    things, told = _things(values, files, facts, nan)
    values, ends, more = _to_ends(values, facts, nan)
    offsets = np.concatenate([[0], np.cumsum(ends, dtype=np.int64)])
    gaps, filled = _fill(values, offsets, files, facts, nan)
    rows, said = ids or tuple(map(str, range(len(ends)))), (*notes, *told, *more, *gaps)
    series = Series(values, offsets, channels, rows, sources=sources, notes=said, filled=filled, things=things)
    series = _with_words(_with_times(series, files, facts), named, dialect, facts[0], ends, nan)
    if label:
        series, labels = _labelled(series, files[0], facts[0], dialect, grouped=bool(groups)), ""
    return attach(series, labels, groups, named=bool(ids), dialect=dialect)


def _labelled(series: Series, path: Path, facts: Facts, dialect: Dialect, *, grouped: bool) -> Series:
    """The series with the labels of the column that is kept apart, and without one that says of whom a line is."""
    series = by_person(series, path, facts.layout, dialect, grouped=grouped)
    series = series if grouped else by_name(series, facts.people)
    return with_labels(series, path, facts.labels, dialect.apart, facts.layout, dialect)


def _source(path: Path, facts: Facts) -> Source:
    return Source(str(path), facts.sha256, facts.bytes, facts.shape)


def _to_ends(values: np.ndarray, facts: Sequence[Facts], nan: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Values [C, N * T] without the empty cells at the ends of rows, where each of the N ends, and notes."""
    n_rows, length = facts[0].shape
    some_end = nan != "zero" and any(found.missing for found in facts)
    ends = _row_ends(values.reshape(-1, n_rows, length)) if some_end else np.full(n_rows, length)
    if not (ends < length).any():
        return values, ends, []
    return _cut_rows(values, ends, length), ends, [_note_ends(ends, length)]


# ---- columns that are dates


def _quantities(
    values: np.ndarray, paths: list[Path], facts: list[Facts]
) -> tuple[np.ndarray, list[Path], list[Facts], tuple[str, ...]]:
    """The values [C, N * T] and the names of the channels, and of each its file and facts: a file is one channel, or
    has one for each of its quantities."""
    if not all(found.bundle for found in facts):
        return values, paths, facts, _channel_names(paths)
    parts, names, each = [], list[str](), []
    for path, found, table in zip(paths, facts, values, strict=True):
        part = unbundled(table.reshape(found.shape), found.bundle)
        for (word, columns), quantity in zip(found.bundle, part, strict=True):
            shape, missing = (found.shape[0], len(columns)), int(np.isnan(quantity).sum())
            each.append((path, replace(found, shape=shape, missing=missing, columns=tuple(columns))))
            names.append(word if len(paths) == 1 else f"{stem(path)}_{word}")
        parts.append(part)
    files, made = [path for path, _ in each], [found for _, found in each]
    if len({found.shape for found in made}) > 1:
        raise _shape_error(files, made)
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), files, made, tuple(names)


def _with_times(series: Series, paths: Sequence[Path], facts: Sequence[Facts]) -> Series:
    """The series with the times that the names of the columns are; a note where dates name them in vain."""
    dated = [(path, found.dates) for path, found in zip(paths, facts, strict=True) if found.dates]
    if not dated:
        return series
    path, dates = dated[0]
    if odd := [other for other, others in dated[1:] if others != dates]:
        what = f"warning: the columns of {abridge(odd)} have other dates than those of {path}: steps are counted"
        return replace(series, notes=(*series.notes, what))
    if (found := calendar(dates)) is None:
        what = f"the dates of the columns ({', '.join(dates[:3])}, ...) have no even steps that are certain: these are "
        return replace(series, notes=(*series.notes, what + "counted"))
    times = mapped.like(series.values, (int(series.offsets[-1]),), np.int64)
    for begin, end in itertools.pairwise(series.offsets.tolist()):  # each row has those of its first steps
        times[begin:end] = found[0][: end - begin]
    return replace(series, time=times, clock=found[1])


# ---- words


def _named(
    paths: Sequence[Path], categorical: Sequence[str], dialect: Dialect, *, known: bool
) -> tuple[list[Path], list[Path]]:
    """The files of numbers, and those of words; the latter may be columns of the only file, where that has labels.
    UsageError for a name that no file or column has, unless a checkpoint has `known` it, and where none has numbers."""
    stems = [stem(path) for path in paths]
    if len(paths) == 1 and dialect.labelled and not {*categorical} & {*stems}:
        stems = first_cells(paths[0], dialect)
        if known or {*categorical} <= {*stems}:
            return list(paths), []
    for name in categorical:
        if name not in stems:
            what = "no file or column of this name"
            raise UsageError(what, where=f"--categorical {name}", hint=nearest(name, stems) or ", ".join(stems[:8]))
    numbers = [path for path, name in zip(paths, stems, strict=True) if name not in categorical]
    if paths and not numbers:
        raise UsageError("no file of numbers is left", where="--categorical")
    return numbers, [path for path in paths if path not in numbers]


def _with_words(
    series: Series, paths: Sequence[Path], dialect: Dialect, first: Facts, ends: np.ndarray, policy: str
) -> Series:
    """The series with the files of words as categories.

    Parameters
    ----------
    series : of the files of numbers. first : the facts of the first of them, which has the layout of all.
    paths : of the files of words.
    ends : [N], where each row ends.
    policy : of missing values, `--nan`.
    """
    columns: dict[str, Coded] = {}
    sources: list[Source] = []
    for path in paths:
        column, ids = _words(path, dialect, first)
        if ids:
            _check_ids(path, ids, series, first)
        codes = column.codes
        if len(codes) > series.n_rows:
            codes = _cut_rows(codes[None], ends, first.shape[1])[0]
        columns[stem(path)] = replace(column, codes=codes)
        sources.append(Source(str(path), *checksum_of(path), first.shape))
    return with_categories(replace(series, sources=(*series.sources, *sources)), columns, policy)


def _words(path: Path, dialect: Dialect, first: Facts) -> tuple[Coded, list[str]]:
    """The words of a file, a code for each step [N * T] or for each row [N]; and its row ids, if it has some."""
    dialect = dialect_of(path, dialect)
    cells = read_cells(path, dialect)[0][first.layout.header :]
    start, (n_rows, length) = int(first.layout.index), first.shape
    widths = {len(line) - start for line in cells}
    if len(cells) != n_rows or widths not in ({1}, {length}):
        what = f"holds {len(cells)} rows of {max(widths, default=0)} words, where the numbers have {n_rows} x {length}"
        raise DataError(what, where=str(path), hint="a word for each step, or one column with a word for each row")
    order = -1 if first.turned and widths == {length} else 1
    kinds, lines = np.unique([cell.strip() for line in cells for cell in line[start:][::order]], return_inverse=True)
    words = list(map(str, kinds.tolist()))
    return Coded.of(words, [dialect.number(word) for word in words], lines), [line[0].strip() for line in cells] * start


def _check_ids(path: Path, ids: Sequence[str], series: Series, first: Facts) -> None:
    """DataError where a file of words has other row ids than the numbers."""
    for row, (here, there) in enumerate(zip(ids, series.rows, strict=True)):
        if here != there:
            where = f"{path}:{row + 1 + first.layout.header}"
            raise DataError(f"row id {here!r}, where the numbers have {there!r}", where=where)


# ---- files of numbers


def _read_all(paths: Sequence[Path], dialect: Dialect, large: bool) -> tuple[np.ndarray, list[Facts]]:
    """Values [C, N * T], in a file where they are large, and the facts of each file. DataError where shapes differ."""
    if not paths:
        raise UsageError("no file given", where="--csv")
    reads = partial(_read_some, dialect=dialect, large=large)
    tables = map(reads, paths) if large else in_order(reads, paths)
    table, first = next(tables)
    facts = [first]
    values = table.reshape(1, -1)
    if len(paths) > 1:
        shape = (len(paths), table.size)
        values = mapped.array(shape, table.dtype) if large else np.zeros(shape, table.dtype)
        values[0] = table.reshape(-1)
    if dialect.apart and not first.labels:
        _read(paths[0], dialect)  # which says that there is no such column
    for channel, (table, found) in enumerate(tables, start=1):
        if found.labels and sorted(found.labels) != sorted(first.labels):
            raise DataError("other labels than in the first file", where=str(paths[channel]))
        facts.append(found)
        if found.shape == first.shape:
            if (wider := np.promote_types(values.dtype, table.dtype)) != values.dtype:
                values, narrow = mapped.like(values, values.shape, wider), values
                values[:channel] = narrow[:channel]
            values[channel] = table.reshape(-1)
    if len({found.shape for found in facts}) > 1:
        raise _shape_error(paths, facts)
    return values, facts


def _read_some(path: Path, dialect: Dialect, *, large: bool) -> tuple[np.ndarray, Facts]:
    """One file; a column of labels need not be in all of them."""
    try:
        return _read(path, dialect, large=large)
    except NoColumn:
        return _read(path, replace(dialect, apart=""), large=large)


def _same_order(values: np.ndarray, paths: Sequence[Path], facts: list[Facts]) -> list[str]:
    """Bring the rows of each channel [C, N * T] into the order of the first file with ids, in place; a note on it."""
    wanted = next((found.ids for found in facts if found.ids), ())
    moved = []
    for channel, found in enumerate(facts):
        if found.ids and found.ids != wanted and len(set(wanted)) == len(wanted) and set(found.ids) == set(wanted):
            at = {name: row for row, name in enumerate(found.ids)}
            order = [at[name] for name in wanted]
            values[channel] = values[channel].reshape(found.shape)[order].reshape(-1)
            facts[channel] = replace(
                found, ids=wanted, labels=tuple(found.labels[row] for row in order if found.labels)
            )
            moved.append(paths[channel])
    return [f"rows are matched to those of the first file by their ids: {abridge(moved)}"] if moved else []


def _read(path: Path, dialect: Dialect, *, large: bool = False) -> tuple[np.ndarray, Facts]:
    """One file from the cache, or else parsed and added to it.

    Large values are mapped from their entry, unless some of them are missing: these are going to be filled.
    """
    dialect = dialect_of(path, dialect)
    key = cache.key(path, asdict(dialect))
    if key and large:
        key = replace(key, entry=key.entry.with_suffix(cache.MAPPED))
    if key and (kept := cache.mapped(key) if large else cache.load(key)):
        return kept[1][0], Facts.from_json(kept[0])
    table, facts = read_table(path, dialect, large=large)
    if large and (facts.missing or facts.infinite):
        return table, facts
    if key and (note := cache.keep(path, asdict(dialect), key, asdict(facts), [table])):
        facts = replace(facts, notes=(*facts.notes, note))
    return table, facts


def _shape_error(paths: Sequence[Path], facts: Sequence[Facts]) -> DataError:
    by_shape: dict[tuple[int, int], list[Path]] = {}
    for path, found in zip(paths, facts, strict=True):
        by_shape.setdefault(found.shape, []).append(path)
    lines = [
        f"\n  {shape[0]:>8} x {shape[1]:<8} {abridge(files)}"
        for shape, files in sorted(by_shape.items(), key=lambda item: -len(item[1]))
    ]
    what = f"the files differ in shape, and each should hold the same rows x columns:{''.join(lines)}"
    hint = "--header and --index decide whether the first line and column count"
    if len({columns for _, columns in by_shape}) == 1 and len(by_shape) > 1:  # recordings, which end when they end
        hint = f"--time-col {LINE} if each file is a series, whose lines are steps; else {hint}"
    return DataError(what, where="--csv", hint=hint)


def _common_ids(paths: Sequence[Path], facts: Sequence[Facts]) -> tuple[str, ...]:
    """The row ids of the files that have some; () where none has. DataError where the files disagree."""
    with_ids = [(path, found) for path, found in zip(paths, facts, strict=True) if found.ids]
    if not with_ids:
        return ()
    first_path, first = with_ids[0]
    for path, found in with_ids[1:]:
        for row, (here, there) in enumerate(zip(found.ids, first.ids, strict=True)):
            if here != there:
                location = f"{path}:{row + 1 + found.layout.header}"
                what = f"row id {here!r}, where {first_path} has {there!r}"
                raise DataError(what, where=location, hint="the files must hold the same rows in the same order")
    return first.ids


def _channel_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """File names without endings; a name that is taken gets the first free number."""
    names: list[str] = []
    for path in paths:
        name = stem(path)
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        names.append(name if name not in names else next(free for free in numbered if free not in names))
    return tuple(names)


def _things(values: np.ndarray, paths: Sequence[Path], facts: list[Facts], nan: str) -> tuple[Things | None, list[str]]:
    """What the columns of a table of things are, and a note on what is missing; None of other tables.

    Under the policy auto, what is missing in values [1, N * T] becomes the median of its column, in place: a neighbour
    is another thing. What is learned from is filled anew, by lines of training alone (sources/things.py).
    """
    found = facts[0]
    uneven = bool(found.missing) and nan != "auto" and not found.words  # rows end where their values do
    if len(paths) != 1 or len(values) != 1 or uneven or not (found.names or found.words):
        return None, []
    table = values.reshape(found.shape)[:, : len(found.names)]
    lacking: np.ndarray = np.isnan(table)
    things = Things(found.names, dict(found.words), lacking if nan == "auto" else np.zeros_like(lacking))
    if nan != "auto" or not found.missing:
        return things, []
    for at in np.flatnonzero(lacking.any(axis=0)):
        table[lacking[:, at], at] = 0.0 if lacking[:, at].all() else np.nanmedian(table[:, at])
    facts[0] = replace(found, missing=0)
    what = f"{many(int(lacking.sum()), 'missing value')} filled with the median of the column in training"
    return things, [f"{paths[0]}: {what}, since it is no step"]


def _note_repeats(paths: Sequence[Path], ids: Sequence[str]) -> list[str]:
    files = [str(path) for path, count in Counter(path.absolute() for path in paths).items() if count > 1]
    rows = [name for name, count in Counter(ids).items() if count > 1]
    notes = [f"warning: given more than once, each time as another channel: {abridge(files)}"] if files else []
    sums = [name for name in [*ids[:1], *ids[-1:]] if name.strip().casefold().rstrip(":") in TOTALS]
    notes += [f"warning: row {name!r} may be a sum of the others; it is a series here like them" for name in sums]
    return notes + ([f"warning: row ids that occur more than once: {abridge(rows)}"] if rows else [])


# ---- rows that end before the last column


def _row_ends(tables: np.ndarray) -> np.ndarray:
    """Where the values of each row end, int64 [N], in tables [C, N, T]: after the last one that any channel has.

    A row without a value keeps all its steps, as missing values.
    """
    _, n_rows, length = tables.shape
    ends = np.zeros(n_rows, np.int64)
    for table in tables:
        open_rows = np.flatnonzero(ends < length)
        full = ~np.isnan(table[open_rows, -1])
        ends[open_rows[full]] = length
        for row in open_rows[~full]:
            known = np.flatnonzero(~np.isnan(table[row]))
            ends[row] = max(ends[row], known[-1] + 1 if len(known) else 0)
    return np.where(ends > 0, ends, length)


def _cut_rows(values: np.ndarray, ends: np.ndarray, length: int) -> np.ndarray:
    """Values [C, N * T] without what follows each row's end: [C, total]."""
    cut = mapped.like(values, (len(values), int(ends.sum())), values.dtype)
    begin = 0
    for row, end in enumerate(ends.tolist()):
        cut[:, begin : begin + end] = values[:, row * length : row * length + end]
        begin += end
    return cut


def _note_ends(ends: np.ndarray, length: int) -> str:
    early = ends[ends < length]
    if (ends == ends[0]).all():
        return f"no row has a value after step {ends[0]}: {length - ends[0]} empty columns at the end are left out"
    counts = " to ".join(f"{count:,}" for count in dict.fromkeys((early.min(), early.max())))
    return (
        f"{len(early):,} of {len(ends):,} rows end where their values end, after {counts} of {length:,} steps "
        "(--nan zero takes empty cells at the end as zeros)"
    )


# ---- missing values


def _fill(
    values: np.ndarray, offsets: np.ndarray, paths: Sequence[Path], facts: Sequence[Facts], policy: str
) -> tuple[list[str], np.ndarray | None]:
    """Treat missing and infinite values [C, total] in place; returns the note, and which values are made up [C, total].

    DataError under `error`.
    """
    counts = {
        channel: count_gaps(values[channel]) for channel, found in enumerate(facts) if found.missing or found.infinite
    }
    counts = {channel: gaps for channel, gaps in counts.items() if any(gaps)}
    if not counts:
        return [], None
    missing, infinite = (sum(gaps) for gaps in zip(*counts.values(), strict=True))
    count = f"{counted(missing, infinite)} in {abridge([paths[channel] for channel in counts])}"
    if refuses(policy, infinite):
        channel = next(channel for channel, gaps in counts.items() if refuses(policy, gaps[1]))
        at = int(np.argmin(is_allowed(values[channel], policy)))
        row = int(np.searchsorted(offsets, at, "right")) - 1
        location = facts[channel].location(row, at - int(offsets[row]))
        raise gap_error(values[channel, at], count, f"{paths[channel]}:{location}")
    done, filled = fill(values, offsets, policy)
    return [f"{count}: {done}"], filled
