"""Series, and the readers that make one from the user's files."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from config import RunConfig
from errors import DataError, UsageError
from readers import cache
from readers.clock import Clock
from readers.dialect import Dialect
from readers.long import Long, read_long
from readers.missing import HINT, check_policy, counted, done, fill_forward
from readers.npz import has_array, read_npz
from readers.paths import abridge, expand_paths
from readers.sidecars import read_groups, read_labels
from readers.tables import Facts, read_table

__all__ = ["Series", "Source", "expand_paths", "read", "read_wide"]


@dataclass(frozen=True)
class Source:
    """One file that was read, as it lies on disk, or another source's content; `shape` is [N, T]."""

    path: str
    sha256: str
    bytes: int
    shape: tuple[int, int]

    def plain(self) -> dict[str, Any]:
        """For the manifest."""
        return vars(self) | {"shape": list(self.shape)}


@dataclass(frozen=True, eq=False)
class Series:
    """N rows (series, engines, houses) of any length over C channels.

    `values` float32 [C, total], NaN where missing; row r is `values[:, offsets[r] : offsets[r+1]]`, offsets int64
    [N+1]. `labels` float32 [N, K] are given labels per row; `groups` [N] of str: rows of one group stay in one split.
    `time` int64 [total] are the steps' times in ns, and `clock` says how they go on. `known` names channels that are
    known ahead, and `after` float32 [F, N, A] their values in the A steps after each row. `modalities` are named groups
    of channels beside each other, (name, channels), in order; where there are none, all channels are one group. `notes`
    are what the reader noticed, one line each; what may be a mistake starts with `warning:`.
    """

    values: np.ndarray
    offsets: np.ndarray
    channels: tuple[str, ...]
    rows: tuple[str, ...]
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    time: np.ndarray | None = None
    clock: Clock | None = None
    known: tuple[str, ...] = ()
    after: np.ndarray | None = None
    modalities: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        assert self.values.dtype == np.float32 and self.values.shape == (len(self.channels), self.offsets[-1])
        assert self.offsets.dtype == np.int64 and self.offsets.shape == (len(self.rows) + 1,)
        assert self.labels is None or self.labels.shape == (len(self.rows), len(self.label_names))
        assert self.groups is None or self.groups.shape == (len(self.rows),)
        assert not self.modalities or sum(count for _, count in self.modalities) == len(self.channels)
        assert (self.time is None) == (self.clock is None)
        assert self.time is None or (self.time.dtype == np.int64 and self.time.shape == (self.offsets[-1],))

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    @property
    def n_channels(self) -> int:
        return len(self.channels)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each row, int64 [N]."""
        return np.diff(self.offsets)

    @property
    def hashes(self) -> tuple[str, ...]:
        """The sha256 of each source: the same for the same files."""
        return tuple(source.sha256 for source in self.sources)

    def view(self) -> np.ndarray:
        """The values as [N, C, T], without a copy. All rows must be of one length."""
        lengths = self.lengths
        assert (lengths == lengths[0]).all(), "rows of different length have no [N, C, T] view"
        return self.values.reshape(self.n_channels, self.n_rows, lengths[0]).transpose(1, 0, 2)

    def times(self, row: int, more: int = 0) -> np.ndarray | None:
        """The times int64 [steps + more] of a row and of the `more` steps after it; None without a time axis."""
        if self.time is None or self.clock is None:
            return None
        own = self.time[self.offsets[row] : self.offsets[row + 1]]
        return np.concatenate([own, self.clock.extend(int(own[-1]), more)]) if more else own


def read(config: RunConfig, columns: Sequence[str] | None = None, known: Sequence[str] = ()) -> Series:
    """The files that a configuration names, as one Series: long ones where it has a time column, else wide ones.

    `columns` are the channels wanted of long files or of an .npz, in order (None: all); `known` those among them known
    ahead.
    """
    if config.npz:
        return _read_modalities(config, columns)
    paths = expand_paths(config.csv)
    if not config.time_col:
        return read_wide(
            paths,
            header=config.header,
            index=config.index,
            sep=config.sep,
            decimal=config.decimal,
            nan=config.nan,
            labels=config.labels or None,
            groups=config.groups or None,
        )
    found = read_long(
        paths,
        time_col=config.time_col,
        id_col=config.id_col,
        columns=columns,
        known=known,
        resample=config.resample,
        tz=config.tz,
        sep=config.sep,
        decimal=config.decimal,
        nan=config.nan,
    )
    return of_long(config, found, tuple(Source(*source) for source in found.sources), known)


def _read_modalities(config: RunConfig, columns: Sequence[str] | None) -> Series:
    """The recordings of an .npz; `--groups` is one of its arrays, or else a file."""
    own = bool(config.groups) and (has_array(config.npz, config.groups) or not Path(config.groups).is_file())
    found = read_npz(
        config.npz,
        columns=columns,
        free=config.adapt_modality,
        groups=config.groups if own else "",
        nan=config.nan,
    )
    n, steps = found.shape
    rows = tuple(map(str, range(n)))
    groups, notes = found.groups, list(found.notes)
    if config.groups and not own:
        groups, more = read_groups(Path(config.groups), rows, False, Dialect(config.sep, config.decimal))
        notes += more
    return Series(
        values=found.values,
        offsets=np.arange(n + 1, dtype=np.int64) * steps,
        channels=found.channels,
        rows=rows,
        labels=found.labels,
        label_names=found.label_names,
        groups=groups,
        sources=(Source(*found.source),),
        notes=tuple(notes),
        modalities=found.modalities,
    )


def of_long(config: RunConfig, found: Long, sources: tuple[Source, ...], known: Sequence[str] = ()) -> Series:
    """Rows of one clock as a Series, with the labels and groups that a configuration names for them."""
    dialect = Dialect(config.sep, config.decimal)
    named = bool(config.id_col) or len(found.rows) > 1
    beside = found.rows, named, dialect
    given, names, notes = read_labels(Path(config.labels), *beside) if config.labels else (None, (), [])
    groups, more = read_groups(Path(config.groups), *beside) if config.groups else (None, [])
    return Series(
        values=found.values,
        offsets=found.offsets,
        channels=found.channels,
        rows=found.rows,
        labels=given,
        label_names=names,
        groups=groups,
        sources=sources,
        notes=(*found.notes, *notes, *more),
        time=found.time,
        clock=found.clock,
        known=tuple(known),
        after=found.after,
    )


def read_wide(
    paths: Sequence[Path],
    *,
    header: str = "auto",
    index: str = "auto",
    sep: str = ",",
    decimal: str = ".",
    nan: str = "error",
    labels: Path | str | None = None,
    groups: Path | str | None = None,
) -> Series:
    """One Series of wide CSVs: a file is a channel, a line a row [T] of numbers; all files are of one shape [N, T].

    `header` and `index` say whether a file has a first line of names and a first column of row ids: auto, yes, no.
    `nan` says what a missing or infinite value is: an error, or drop (stays NaN), ffill (the value before it in its
    row), zero. `labels` and `groups` are CSVs with a line per row. Raises UsageError and DataError.
    """
    dialect = Dialect(sep, decimal, header, index)
    check_policy(nan)
    paths = [Path(path) for path in paths]
    values, facts = _read_all(paths, dialect)
    n_rows, length = facts[0].shape
    ids = _common_ids(paths, facts)
    rows = ids or tuple(map(str, range(n_rows)))
    notes = _note_repeats(paths, ids) + _merge_notes(paths, facts) + _fill(values, paths, facts, nan)
    given, names, label_notes = read_labels(Path(labels), rows, bool(ids), dialect) if labels else (None, (), [])
    grouped, group_notes = read_groups(Path(groups), rows, bool(ids), dialect) if groups else (None, [])
    return Series(
        values=values,
        offsets=np.arange(n_rows + 1, dtype=np.int64) * length,
        channels=_channel_names(paths),
        rows=rows,
        labels=given,
        label_names=names,
        groups=grouped,
        sources=tuple(Source(str(path), f.sha256, f.bytes, f.shape) for path, f in zip(paths, facts, strict=True)),
        notes=(*notes, *label_notes, *group_notes),
    )


def _read_all(paths: Sequence[Path], dialect: Dialect) -> tuple[np.ndarray, list[Facts]]:
    """Values [C, N * T] and the facts of each file. DataError where the files differ in shape."""
    if not paths:
        raise UsageError("no file is named", where="--csv")
    table, first = _read(paths[0], dialect)
    facts = [first]
    values = table.reshape(1, -1)
    if len(paths) > 1:
        values = np.empty((len(paths), table.size), np.float32)
        values[0] = table.reshape(-1)
    for channel, path in enumerate(paths[1:], start=1):
        table, found = _read(path, dialect)
        facts.append(found)
        if found.shape == first.shape:
            values[channel] = table.reshape(-1)
    if len({found.shape for found in facts}) > 1:
        raise _shape_error(paths, facts)
    return values, facts


def _read(path: Path, dialect: Dialect) -> tuple[np.ndarray, Facts]:
    """One file from the cache, or else parsed and put there."""
    key = cache.key(path, asdict(dialect))
    if key and (kept := cache.load(key)):
        return kept[1], Facts.from_json(kept[0])
    table, facts = read_table(path, dialect)
    if key:
        after = cache.key(path, asdict(dialect))
        changed = after is None or after.state != key.state
        note = "warning: the file changed while it was read" if changed else cache.store(key, asdict(facts), table)
        facts = replace(facts, notes=(*facts.notes, note)) if note else facts
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
    return DataError(what, where="--csv", hint="--header and --index decide whether the first line and column count")


def _common_ids(paths: Sequence[Path], facts: Sequence[Facts]) -> tuple[str, ...]:
    """The row ids that all files which have ids agree on; none where no file has. DataError where they disagree."""
    with_ids = [(path, found) for path, found in zip(paths, facts, strict=True) if found.ids]
    if not with_ids:
        return ()
    first_path, first = with_ids[0]
    for path, found in with_ids[1:]:
        for row, (here, there) in enumerate(zip(found.ids, first.ids, strict=True)):
            if here != there:
                place = f"{path}:{row + 1 + found.layout.header}"
                what = f"row id {here!r}, where {first_path} has {there!r}"
                raise DataError(what, where=place, hint="the files must hold the same rows in the same order")
    return first.ids


def _channel_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """File names without endings; one that was there before gets the first free number."""
    names: list[str] = []
    for path in paths:
        stem = path.name.removesuffix(".gz").removesuffix(".csv") or path.name
        numbered = (f"{stem}_{number}" for number in itertools.count(2))
        names.append(stem if stem not in names else next(name for name in numbered if name not in names))
    return tuple(names)


def _note_repeats(paths: Sequence[Path], ids: Sequence[str]) -> list[str]:
    files = [str(path) for path, count in Counter(path.absolute() for path in paths).items() if count > 1]
    rows = [name for name, count in Counter(ids).items() if count > 1]
    notes = [f"warning: given more than once, each time as a channel of its own: {abridge(files)}"] if files else []
    return notes + ([f"warning: row ids that occur more than once: {abridge(rows)}"] if rows else [])


def _merge_notes(paths: Sequence[Path], facts: Sequence[Facts]) -> list[str]:
    """One line for what was noticed in several files; `warning:` stays in front."""
    by_note: dict[str, list[Path]] = {}
    for path, found in zip(paths, facts, strict=True):
        for note in found.notes:
            by_note.setdefault(note, []).append(path)
    lines = []
    for note, files in by_note.items():
        text = note.removeprefix("warning: ")
        lines.append(f"{'warning: ' if text != note else ''}{abridge(files)}: {text}")
    return lines


# ---- missing values


def _fill(values: np.ndarray, paths: Sequence[Path], facts: Sequence[Facts], policy: str) -> list[str]:
    """Treat what is missing or infinite in values [C, N * T], in place; returns the note. DataError under `error`."""
    missing, infinite = sum(f.missing for f in facts), sum(f.infinite for f in facts)
    if not missing and not infinite:
        return []
    gappy = [channel for channel, found in enumerate(facts) if found.missing or found.infinite]
    count = f"{counted(missing, infinite)} in {abridge([paths[c] for c in gappy])}"
    if policy == "error":
        raise _gap_error(count, values, paths, facts, gappy[0])
    leading = 0
    for channel in gappy:
        table = values[channel].reshape(facts[channel].shape)
        table[np.isinf(table)] = np.nan
        if policy == "zero":
            table[np.isnan(table)] = 0
        elif policy == "ffill":
            leading += fill_forward(table)
    return [f"{count}: {done(policy, leading)}"]


def _gap_error(
    count: str, values: np.ndarray, paths: Sequence[Path], facts: Sequence[Facts], channel: int
) -> DataError:
    at = int(np.argmin(np.isfinite(values[channel])))
    row, column = divmod(at, facts[channel].shape[1])
    kind = "missing" if np.isnan(values[channel, at]) else "infinite"
    return DataError(
        f"{kind} value, the first of {count}",
        where=f"{paths[channel]}:{facts[channel].place(row, column)}",
        hint=HINT,
    )
