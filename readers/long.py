"""Long tables: a line is a step of time, a column a channel, and a file, or an id in a column, a row of the series."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data import Series, Source, no_series
from errors import DataError, UsageError, nearest
from readers import categories
from readers.along import of_steps
from readers.blank_ends import without_blank_ends
from readers.calendar_lines import one_a_step
from readers.categories import NOTHING, Asked, per_row
from readers.columns import LongFile, Wanted, read_names, read_own
from readers.counts import steps_counted
from readers.dialect import Dialect
from readers.files import checksum_of
from readers.kept import read_kept
from readers.mapped import is_mapped, too_large
from readers.mending import mended, on_changed_clocks
from readers.midnights import next_day
from readers.missing import check_policy, count_gaps, counted, fill, gap_error, is_allowed, is_known, refuses
from readers.paths import abridge, merge_notes
from readers.precision import narrowed
from readers.regular import common_clock
from readers.resample import average
from readers.rounded import near_even_steps, on_even_steps, usual_clock
from readers.rows import (
    Rows,
    Unordered,
    check_order,
    file_names,
    in_order,
    join,
    line_steps,
    oldest_first,
    span,
)
from readers.short import check_lengths, without_short
from readers.side_by_side import check_turned
from readers.sidecars import attach
from readers.sieve import Sieve
from readers.stray import without_closed, without_stray
from readers.twins import second_owner
from readers.typical import as_one_year
from readers.zoned import set_zone
from settings.shards import Part, Shard
from times.clock import Clock
from times.stamps import check_zone


def read_long(
    paths: Sequence[Path | str],
    *,
    time_col: str,
    id_col: str = "",
    columns: Sequence[str] | None = None,
    known: Sequence[str] = (),
    resample: str = "",
    tz: str = "",
    sep: str = ",",
    decimal: str = ".",
    na: Sequence[str] = (),
    thousands: str = "",
    date_order: str = "",
    strict: bool = False,
    nan: str = "error",
    labels: Path | str = "",
    groups: Path | str = "",
    shard: Shard | None = None,
    asked: Asked = NOTHING,
    memory: str = "",
) -> Series:
    """One Series of long files on a regular clock: each file is a row, or each text in `id_col`.

    Parameters
    ----------
    paths : the files, whose columns are matched by name.
    time_col : the column of the times.
    id_col : the column that says which row a line belongs to, in any interleaving; "" where each file is a row.
    columns : the channels, in order; None for all columns of the first file but time and id.
    known : channels whose future is known: lines at the end of a row without a value of another become `after`.
    resample : a step such as 1h; values are averaged over it. "" leaves the lines as they are.
    tz : the zone of times without an offset, in which all are shown. "" where that is unknown.
    sep, decimal, na, thousands, date_order, strict : how a CSV is written, see `Dialect`.
    nan : what a missing or infinite value is: error, drop (stays NaN), ffill (the value before in its row), zero.
    labels, groups : files with a line per row; "" for none.
    shard : whose rows alone are read; None for all.
    asked : which columns hold no numbers, but categories.
    memory : --memory; larger data stay in a file. "" for what is free.

    Raises
    ------
    UsageError : an option that does not exist, or options that contradict each other.
    DataError : a file, line, cell, time or step that is not in order, and a missing value under `nan` error.
    """
    dialect = Dialect(sep, decimal, "yes", "no", tuple(na), thousands, date_order, strict=strict)
    if not paths:
        raise UsageError("no file given", where="--csv")
    check_options((time_col, id_col), columns, resample, tz, nan)
    named = None if columns is None else tuple(columns)
    wanted = Wanted(time_col, id_col, named, exact=bool(resample), categories=asked)
    how: dict[str, Any] = {"known": known, "resample": resample, "tz": tz, "nan": nan, "strict": strict}
    # `whole` is what has a line for each row, or is read in parts, each of which alone may say another zone.
    how |= {"whole": bool(strict or labels or groups or shard), "zoned": not (strict or shard)}
    series, every = _rows_exact(paths, wanted, dialect, shard, how, memory)
    by_name, plain = bool(id_col) or series.several, replace(dialect, header="auto", index="auto")
    series, labels = of_steps(series, labels, plain)
    check_turned(series, labels, paths, time_col, plain)
    return attach(series, labels, groups, named=by_name, dialect=plain, every=every)


class _Rounded(Exception):
    """Lines of which the mean is taken are float32 already."""


def _rows_exact(
    paths: Sequence[Path | str], wanted: Wanted, dialect: Dialect, *how: Any
) -> tuple[Series, Callable[[], Sequence[str]] | None]:
    """As `_rows`, read once more in full precision where the mean of lines is taken."""
    try:
        return _rows(paths, wanted, dialect, *how)
    except _Rounded:
        return _rows(paths, replace(wanted, exact=True), dialect, *how)
    except DataError as error:
        line, hint = "--time-col line", error.hint
        if wanted.id and isinstance(error, Unordered) and (both := second_owner(error.path, wanted, dialect)):
            hint = f"--id-col {shlex.quote(both)} tells the lines of one time apart"
        if not wanted.id or (line not in hint and hint == error.hint):
            raise
        hint = hint.replace(line, f"{line} --id-col {shlex.quote(wanted.id)}")  # whose a line is remains
        raise DataError(error.what, where=error.where, hint=hint) from None


def _rows(
    paths: Sequence[Path | str],
    wanted: Wanted,
    dialect: Dialect,
    shard: Shard | None,
    how: Mapping[str, Any],
    memory: str,
) -> tuple[Series, Callable[[], Sequence[str]] | None]:
    """The rows of the files, or those of a shard; and what gives the names of all, where these are not all."""
    if shard is None:
        return join_files(_read_all(paths, wanted, dialect, memory), file_names(paths), **how), None
    if wanted.id:
        return _own_lines(paths, wanted, dialect, shard, how)
    return _own_files(paths, wanted, dialect, shard, how, memory)


def _own_lines(
    paths: Sequence[Path | str], wanted: Wanted, dialect: Dialect, shard: Shard, how: Mapping[str, Any]
) -> tuple[Series, Callable[[], Sequence[str]]]:
    """The lines of a shard's ids, as a series; and what gives all ids. They are held, whatever --memory says."""
    sieve = Sieve(shard)
    found = [read_own(Path(path), wanted, dialect, sieve) for path in paths]
    if not sieve.part.numbers:
        raise no_series(sieve.part)
    files = [file for file, _ in found if file is not None]
    series = join_files(files, [""] * len(files), **how)
    return replace(series, part=sieve.part, sources=tuple(source for _, source in found)), sieve.names


def _own_files(
    paths: Sequence[Path | str], wanted: Wanted, dialect: Dialect, shard: Shard, how: Mapping[str, Any], memory: str
) -> tuple[Series, Callable[[], Sequence[str]]]:
    """The files that are a shard's rows, as a series; and what gives the names of all.

    Of the other files the bytes alone are looked at: all shards know the same data.
    """
    part, names = Part(shard, len(paths)), file_names(paths)
    if not part.numbers:
        raise no_series(part)
    files = _read_all([paths[at] for at in part.numbers], wanted, dialect, memory)
    series = join_files(files, [names[at] for at in part.numbers], **how)
    read = dict(zip(part.numbers, series.sources, strict=True))
    others = (at for at in range(len(paths)) if at not in read)
    read |= {at: Source(str(paths[at]), *checksum_of(Path(paths[at])), (0, 0)) for at in others}
    return replace(series, sources=tuple(read[at] for at in range(len(paths))), part=part), lambda: names


def join_files(
    files: Sequence[LongFile],
    names: Sequence[str],
    *,
    known: Sequence[str],
    resample: str,
    tz: str,
    nan: str,
    strict: bool = False,
    whole: bool = True,
    zoned: bool = False,
) -> Series:
    """Files, or the answer to a query, as one Series.

    Parameters
    ----------
    files : what was read, all with the same channels.
    names : of the row that each file is, where it has no ids.
    known, resample, tz, nan, strict : as in `read_long`, already checked by `check_options`.
    whole : rows too short to be read are refused, not left out.
    zoned : a zone that is unknown is looked for, see `set_zone`.

    Raises
    ------
    UsageError : a channel known ahead that is not there, or nothing left to forecast.
    DataError : times or steps that are not in order, and a missing value under `nan` error.
    """
    target = _target(resample) if resample else None
    channels = files[0].columns
    ahead = _known(known, channels)
    rows, turned = _in_time(join(files, names), strict)
    rows, blank = (rows, []) if ahead else without_blank_ends(rows, nan)
    rows, notes = (rows, []) if whole else without_short(rows)
    notes, clock = blank + notes, None
    if steps_counted(rows, resample=resample, tz=tz):
        check_lengths(rows)
    else:
        rows, clock, more = _on_clock(*set_zone(rows, tz, found=zoned), target, nan, strict, whole)
        notes = notes + more
    static = np.flatnonzero(per_row(rows.values, rows.offsets)).tolist()
    rows, after = _cut_future(rows, ahead, static) if ahead else (rows, None)
    gaps, filled = _fill(rows, channels, nan, static)
    values = narrowed(rows.values, rows.offsets)
    return Series(
        values=values,
        offsets=rows.offsets,
        channels=channels,
        rows=rows.names,
        sources=tuple(file.source for file in files),
        notes=(*merge_notes((file.path, file.notes) for file in files), *turned, *notes, *gaps),
        time=None if clock is None else rows.times,
        clock=clock,
        known=tuple(known),
        after=None if after is None else after.astype(values.dtype),
        filled=filled,
        words=rows.words,
        text=tuple(dict.fromkeys(name for file in files for name in file.text)),
        static=tuple(channels[c] for c in static),
    )


def _in_time(rows: Rows, strict: bool) -> tuple[Rows, list[str]]:
    """Rows with the oldest line first, those of a typical year in one year; and notes."""
    one, told = (rows, []) if strict else as_one_year(rows)
    rows, turned = oldest_first(one)
    rows, later = (rows, []) if strict else next_day(rows)
    return rows, [*told, *turned, *later]


def _on_clock(
    rows: Rows, notes: list[str], target: Clock | None, nan: str, strict: bool, whole: bool
) -> tuple[Rows, Clock, list[str]]:
    """Rows in their zone in order and on a clock, that of --resample or else their own; and all notes so far."""
    if not strict:
        rows, stray = without_stray(rows)
        rows, moved = in_order(rows, averaged=target is not None)
        notes = notes + stray + moved
    if target:
        check_order(rows, averaged=True)
        target = replace(target, tz=rows.tz)
        rows, means = average(rows, target)
        rows, short = (rows, []) if whole else without_short(rows)
        check_lengths(rows)
        return rows, target, notes + means + short
    try:
        check_order(rows, averaged=False)
        check_lengths(rows)
        return rows, common_clock(rows), notes
    except DataError:
        exact = rows.values.dtype != np.float32 or is_mapped(rows.values)
        if not exact and (line_steps(rows) == 0).any():
            raise _Rounded from None
        made = _made_regular(rows, nan, strict)
        clock = usual_clock(rows) if made is None and not strict else None
        if clock is not None and not exact:
            raise _Rounded from None
        if clock is not None:
            told = f"lines come in uneven steps, and the mean of each {span(clock)} is taken; --time-col line takes all"
            return _on_clock(rows, [*notes, told], clock, nan, strict, whole)
        if made is None:
            raise
    check_lengths(made[0])
    return made[0], made[1], notes + made[2]


def _made_regular(rows: Rows, nan: str, strict: bool) -> tuple[Rows, Clock, list[str]] | None:
    """Rows that are regular but for a few lines, or times that are nearly so, on their clock; None for others."""
    if not strict and (placed := on_even_steps(rows)):
        return placed[0], common_clock(placed[0]), [placed[1]]
    notes: list[str] = []
    made = mended(rows, nan)
    if made is None and (even := one_a_step(rows, days=not strict)):
        made, notes = mended(even[0], nan), [even[1]]
    if made is None and not strict and (near := near_even_steps(rows)):
        made, notes = mended(near[0], nan), [*notes, near[1]]
    if made is None and not strict and (closed := without_closed(rows)):
        made, notes = mended(closed[0], nan), [*notes, closed[1]]
    if made is None and nan != "error" and not strict and (zoned := on_changed_clocks(rows, nan)):
        return zoned
    return made and (made[0], common_clock(made[0]), [*notes, *made[1]])


def _read_all(paths: Sequence[Path | str], wanted: Wanted, dialect: Dialect, memory: str) -> list[LongFile]:
    """The files; where no columns are asked for, those of the first file are read from the others too."""
    read = partial(read_kept, large=too_large(paths, memory))
    first = read(Path(paths[0]), wanted, dialect)
    named = first.columns[len(first.columns) - len(first.words) :]
    there = read_names(Path(paths[0]), dialect, wanted.keys) if wanted.columns is None and len(paths) > 1 else ()
    wanted = replace(wanted, columns=first.columns, categories=Asked(named), first=tuple(there))
    return [first, *(read(Path(path), wanted, dialect) for path in paths[1:])]


def check_options(keys: Sequence[str], columns: Sequence[str] | None, resample: str, tz: str, nan: str) -> None:
    """Refuse options that contradict each other, before anything is read.

    Parameters
    ----------
    keys : the columns of the times and the ids.
    columns, resample, tz, nan : as in `read_long`.

    Raises
    ------
    UsageError : with the flag that is wrong.
    """
    check_policy(nan)
    if len({*keys}) < len(keys):
        raise UsageError("the same as --time-col", where="--id-col")
    for name in columns or ():
        if name in keys:
            raise UsageError(f"{name!r} is the column of the times or the ids", where="--columns")
        if list(columns or ()).count(name) > 1:
            raise UsageError(f"{name!r} is given twice", where="--columns")
    if resample:
        _target(resample)
    check_zone(tz)


def _target(resample: str) -> Clock:
    """The clock that --resample asks for. UsageError for what is not a step, or is named by its end."""
    hint = "such as 15min, 1h, D, W (from Monday), W-SUN, MS (months), QS, YS"
    try:
        clock = Clock(resample)
        clock.beginning(0)
    except ValueError:
        raise UsageError(f"{resample!r} is not a step of time", where="--resample", hint=hint) from None
    if clock.freq.partition("-")[0].endswith(("E", "WOM")):
        better = f"--resample {span(clock.by_beginning)}"
        raise UsageError(f"{resample!r} names a step by its end, not its beginning", where="--resample", hint=better)
    return clock


def _known(known: Sequence[str], channels: Sequence[str]) -> list[int]:
    """The numbers of the channels that are known ahead. UsageError for one that does not exist, and where all are."""
    for name in known:
        if name not in channels:
            what = f"{name!r} is not among the columns that are read"
            raise UsageError(what, where="--known-future", hint=nearest(name, channels) or ", ".join(channels[:30]))
    if known and set(known) == set(channels):
        raise UsageError("every column is known ahead, and nothing is left to forecast", where="--known-future")
    return [channels.index(name) for name in known]


def _cut_future(rows: Rows, ahead: Sequence[int], static: Sequence[int]) -> tuple[Rows, np.ndarray]:
    """The rows without their future lines, and what those hold of the channels `ahead`: float [F, N, A].

    They begin, after a row's last line with a value of another channel, at the first with one of these; `static` ones
    have the same value in all lines, and say nothing.
    """
    given = ~np.isnan(rows.values)
    known = given[list(ahead)].any(axis=0)
    others = np.delete(given, [*ahead, *static], axis=0).any(axis=0)
    keep = np.ones(len(rows.times), bool)
    tails: list[np.ndarray] = []
    for row, (start, end) in enumerate(rows.spans()):
        if not others[start:end].any():
            what = f"row {rows.names[row]!r} has no line before the future ones"
            raise DataError(what, where=str(rows.of[row].path), hint="--known-future names only what is known ahead")
        last = end - 1 - int(np.argmax(others[start:end][::-1]))
        future = known[last + 1 : end]
        begin = last + 1 + int(np.argmax(future)) if future.any() else end
        keep[begin:end] = False
        tails.append(rows.values[list(ahead), begin:end])
        words = [k for k, channel in enumerate(ahead) if channel >= rows.numeric]
        tails[-1][words] = np.where(np.isnan(tails[-1][words]), categories.MISSING, tails[-1][words])
    after = np.full((len(ahead), len(tails), max(tail.shape[1] for tail in tails)), np.nan)
    for row, tail in enumerate(tails):
        after[:, row, : tail.shape[1]] = np.where(is_known(tail), tail, np.nan)
    counts = np.add.reduceat(keep, rows.offsets[:-1], dtype=np.int64)
    cut = replace(
        rows,
        values=np.ascontiguousarray(rows.values[:, keep]),
        times=rows.times[keep],
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        records=None if rows.records is None else rows.records[keep],
        made=None if rows.made is None else rows.made[keep],
    )
    return cut, after


def _fill(
    rows: Rows, channels: Sequence[str], policy: str, static: Sequence[int]
) -> tuple[list[str], np.ndarray | None]:
    """Treat missing and infinite values in place; returns the notes, and which values are made up [C, total].

    A category of one value a row has it everywhere; a step without a word of another has none, unless `ffill` repeats
    the one before. DataError under `error`.
    """
    first = rows.numeric
    in_rows = [c - first for c in static if c >= first]
    lost = np.isnan(rows.values[first:])
    told = categories.fill(rows.values[first:], channels[first:], rows.offsets, policy, in_rows)
    made = lost & (rows.values[first:] != categories.MISSING)
    numbers = replace(rows, values=rows.values[: rows.numeric], words=())
    gaps, filled = _fill_numbers(numbers, channels, policy)
    if rows.words and (filled is not None or made.any()):
        filled = np.zeros((first, made.shape[1]), bool) if filled is None else filled
        filled = np.concatenate([filled, made])
    return gaps + told, filled


def _fill_numbers(rows: Rows, channels: Sequence[str], policy: str) -> tuple[list[str], np.ndarray | None]:
    counts = count_gaps(rows.values)
    if not any(counts):
        return [], None if rows.made is None else np.repeat(rows.made[None], len(rows.values), axis=0)
    known = np.asarray(is_known(rows.values).all(axis=0))
    if refuses(policy, counts[1]):
        at = int(np.argmin(is_allowed(rows.values, policy).all(axis=0)))
        channel = int(np.argmin(is_allowed(rows.values[:, at], policy)))
        column = "" if rows.records is None else f":{rows.of[rows.row(at)].at[channel] + 1}"
        what = f"{counted(*counts)}, in column {channels[channel]!r}"
        raise gap_error(rows.values[channel, at], what, f"{rows.locate(at)}{column}")
    gappy = [file.path for file, (start, end) in zip(rows.of, rows.spans(), strict=True) if not known[start:end].all()]
    done, filled = fill(rows.values, rows.offsets, policy)
    if rows.made is not None and filled is not None:
        filled |= rows.made & ~np.isnan(rows.values)
    return [f"{counted(*counts)} in {abridge(list(dict.fromkeys(gappy)))}: {done}"], filled
