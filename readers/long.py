"""Long CSVs: a line a step of time, a column a channel, and a file, or an id in a column, a row of the series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from errors import DataError, UsageError, nearest
from readers.clock import Clock
from readers.columns import LongFile, Wanted, read_file
from readers.dialect import Dialect
from readers.missing import HINT, check_policy, counted, done
from readers.paths import abridge
from readers.rows import Rows, average, check_lengths, check_order, common_clock, join, set_zone
from readers.stamps import check_zone


@dataclass(frozen=True, eq=False)
class Long:
    """N rows of one regular clock over C channels; they may differ in length and in when they begin.

    `values` float32 [C, total], NaN where missing, and `time` int64 [total] (see readers/clock.py): row r is
    `offsets[r]` to `offsets[r+1]`, int64 [N+1]. `after` float32 [F, N, A], None where no column is known ahead, holds
    the F columns known ahead in the A >= 0 steps after each row, NaN where not given. `sources` have (path, sha256,
    bytes, (lines, columns)) of each file. `notes` are what the reader noticed; what may be a mistake starts with
    `warning:`.
    """

    values: np.ndarray
    offsets: np.ndarray
    channels: tuple[str, ...]
    rows: tuple[str, ...]
    time: np.ndarray
    clock: Clock
    after: np.ndarray | None
    sources: tuple[tuple[str, str, int, tuple[int, int]], ...]
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        assert self.values.dtype == np.float32 and self.values.shape == (len(self.channels), self.offsets[-1])
        assert self.offsets.dtype == np.int64 and self.offsets.shape == (len(self.rows) + 1,)
        assert self.time.dtype == np.int64 and self.time.shape == (self.offsets[-1],)
        assert self.after is None or self.after.shape[1] == len(self.rows)


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
    nan: str = "error",
) -> Long:
    """Rows of long CSVs, plain or gzip: of each file one, or of each text in `id_col`, whose lines may be interleaved.

    `columns` are the channels in order (None: all but time and id, as in the first file). Of those the `known` ones
    have values ahead: lines at the end of a row without any other value become `after`. `tz` is the zone of times that
    have no offset, and in which all are shown. `resample` takes the means of the values within each such step. `nan`
    is what to do with a missing or infinite value, as in `data.read_wide`. Raises UsageError and DataError.
    """
    dialect = Dialect(sep, decimal, "yes", "no")
    if not paths:
        raise UsageError("no file is named", where="--csv")
    if time_col == id_col:
        raise UsageError("the same as --time-col", where="--id-col")
    check_options((time_col, id_col), columns, resample, tz, nan)
    files = _read_all(paths, Wanted(time_col, id_col, None if columns is None else tuple(columns)), dialect)
    return join_files(files, known=known, resample=resample, tz=tz, nan=nan)


def join_files(files: Sequence[LongFile], *, known: Sequence[str], resample: str, tz: str, nan: str) -> Long:
    """What was read of files (or of a query) on one clock; the options are those of `read_long`, and checked."""
    target = _target(resample) if resample else None
    channels = files[0].columns
    ahead = _known(known, channels)
    rows, notes = set_zone(join(files), tz)
    check_order(rows, averaged=target is not None)
    if target:
        target = replace(target, tz=rows.tz)
        rows, note = average(rows, target)
        notes.append(note)
    check_lengths(rows)
    clock = target or common_clock(rows)
    rows, after = _cut_future(rows, ahead) if ahead else (rows, None)
    gaps = _fill(rows, channels, nan)
    return Long(
        values=rows.values,
        offsets=rows.offsets,
        channels=channels,
        rows=rows.names,
        time=rows.times,
        clock=clock,
        after=after,
        sources=tuple((str(f.path), f.sha256, f.bytes, (f.lines, f.width)) for f in files),
        notes=(*_merge_notes(files), *notes, *gaps),
    )


def _read_all(paths: Sequence[Path | str], wanted: Wanted, dialect: Dialect) -> list[LongFile]:
    """The files; what the first has for columns, where none are named, is wanted of the others."""
    first = read_file(Path(paths[0]), wanted, dialect)
    wanted = replace(wanted, columns=first.columns)
    return [first, *(read_file(Path(path), wanted, dialect) for path in paths[1:])]


def _merge_notes(files: Sequence[LongFile]) -> list[str]:
    """One line for what was noticed in several files; `warning:` stays in front."""
    by_note: dict[str, list[Path]] = {}
    for file in files:
        for note in file.notes:
            by_note.setdefault(note, []).append(file.path)
    lines = []
    for note, paths in by_note.items():
        text = note.removeprefix("warning: ")
        lines.append(f"{'warning: ' if text != note else ''}{abridge(paths)}: {text}")
    return lines


def check_options(keys: Sequence[str], columns: Sequence[str] | None, resample: str, tz: str, nan: str) -> None:
    """Raises UsageError for options that go against each other; `keys` are the columns of the times and the ids."""
    check_policy(nan)
    for name in columns or ():
        if name in keys:
            raise UsageError(f"{name!r} is the column of the times or the ids", where="--columns")
        if list(columns or ()).count(name) > 1:
            raise UsageError(f"{name!r} is named twice", where="--columns")
    if resample:
        _target(resample)
    check_zone(tz)


def _target(resample: str) -> Clock:
    """The clock that --resample asks for. UsageError where it is none, or one whose steps are known by their end."""
    hint = "such as 15min, 1h, D, W-MON, MS (months), QS, YS"
    try:
        clock = Clock(resample)
        clock.offset()
    except ValueError:
        raise UsageError(f"{resample!r} is no step of time", where="--resample", hint=hint) from None
    if clock.calendar and clock.freq.partition("-")[0].endswith(("E", "WOM")):
        raise UsageError(f"{resample!r} names a step by its end, not its beginning", where="--resample", hint=hint)
    return clock


def _known(known: Sequence[str], channels: Sequence[str]) -> list[int]:
    """Which channels are known ahead. UsageError for one that is no channel, and where all are."""
    for name in known:
        if name not in channels:
            what = f"{name!r} is not among the columns that are read"
            raise UsageError(what, where="--known-future", hint=nearest(name, channels) or ", ".join(channels[:30]))
    if known and set(known) == set(channels):
        raise UsageError("every column is known ahead, and nothing is left to forecast", where="--known-future")
    return [channels.index(name) for name in known]


def _cut_future(rows: Rows, ahead: Sequence[int]) -> tuple[Rows, np.ndarray]:
    """The rows without their future lines, and what those hold of the channels `ahead`: float32 [F, N, A].

    They begin, after a row's last line with a value of another channel, at the first with one of these.
    """
    given = ~np.isnan(rows.values)
    known = given[list(ahead)].any(axis=0)
    others = np.delete(given, list(ahead), axis=0).any(axis=0)
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
    after = np.full((len(ahead), len(tails), max(tail.shape[1] for tail in tails)), np.nan, np.float32)
    for row, tail in enumerate(tails):
        after[:, row, : tail.shape[1]] = np.where(np.isinf(tail), np.nan, tail)
    counts = np.add.reduceat(keep, rows.offsets[:-1], dtype=np.int64)
    cut = replace(
        rows,
        values=np.ascontiguousarray(rows.values[:, keep]),
        times=rows.times[keep],
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        records=None if rows.records is None else rows.records[keep],
    )
    return cut, after


def _fill(rows: Rows, channels: Sequence[str], policy: str) -> list[str]:
    """Treat what is missing or infinite in the values, in place; returns the note. DataError under `error`."""
    values = rows.values
    finite = np.isfinite(values)
    if finite.all():
        return []
    missing = int(np.isnan(values).sum())
    infinite = finite.size - int(finite.sum()) - missing
    at = int(np.argmin(finite.all(axis=0)))
    channel = int(np.argmin(finite[:, at]))
    if policy == "error":
        kind = "missing" if np.isnan(values[channel, at]) else "infinite"
        column = "" if rows.records is None else f":{rows.of[rows.row(at)].at[channel] + 1}"
        raise DataError(
            f"{kind} value, the first of {counted(missing, infinite)}, in column {channels[channel]!r}",
            where=f"{rows.place(at)}{column}",
            hint=HINT,
        )
    values[np.isinf(values)] = np.nan
    leading = 0
    if policy == "zero":
        values[np.isnan(values)] = 0
    elif policy == "ffill":
        starts = np.repeat(rows.offsets[:-1], np.diff(rows.offsets))
        for series in values:
            last = np.where(np.isnan(series), starts, np.arange(len(series)))
            series[:] = series[np.maximum.accumulate(last)]
        leading = int(np.isnan(values).sum())
    gappy = dict.fromkeys(
        file.path for file, (a, b) in zip(rows.of, rows.spans(), strict=True) if not finite[:, a:b].all()
    )
    return [f"{counted(missing, infinite)} in {abridge(list(gappy))}: {done(policy, leading)}"]
