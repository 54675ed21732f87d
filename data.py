"""Series: what all data become, whatever file or database they come from."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

import readers
from config import RunConfig
from errors import DataError
from scaler import Scaler
from settings.shards import Part, Shard

if TYPE_CHECKING:
    from times.clock import Clock

log = logging.getLogger("tsrun")
MOST_TIMES = 100  # of which calendar features are kept for other rows


@dataclass(frozen=True)
class Source:
    """Where data came from, for the manifest.

    path : the file, or what was read of a database.
    sha256, bytes : of the file on disk, or of what the database sent.
    shape : (N, T) of a wide file or an .npz, (lines, columns) of a long one.
    """

    path: str
    sha256: str
    bytes: int
    shape: tuple[int, int]

    def plain(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return vars(self) | {"shape": list(self.shape)}


@dataclass(frozen=True)
class Category:
    """A column of words, each of them a channel that is 1 where the column holds it, else 0.

    levels : the words of training that have channels of their own.
    rare : those that share one more channel, `other`, with all that training does not have; () for no such channel.
    plain : those of training without a channel, where all channels are zero.
    """

    name: str
    levels: tuple[str, ...]
    rare: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in order."""
        return tuple(f"{self.name}={level}" for level in (*self.levels, *["other"] * bool(self.rare)))


@dataclass(frozen=True)
class Learned:
    """What training says of the columns of a table of things.

    usual, mean, scale : of its T columns of numbers, the median, and how they are brought to one scale.
    categories : of its columns of words, with the words of training.
    """

    usual: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    categories: tuple[Category, ...]


@dataclass(frozen=True, eq=False)
class Things:
    """What the steps of rows are where each row is a thing (a patient, a machine) and each step a column of a table.

    numbers : the names of T columns of numbers, the first steps.
    words : of the columns of words, the last steps, by name: the words that their values 0, 1, ... stand for, -1 for
        none. {} once they are zeros and ones, a step for each word of `learned`.
    lacking : mask [N, T] of the cells without a number, which hold what is usual in their columns.
    learned : what training says of the columns; None before it is known.
    """

    numbers: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]
    lacking: np.ndarray
    learned: Learned | None = None

    @property
    def categories(self) -> tuple[Category, ...]:
        """The columns of words, once training has said which there are."""
        return () if self.learned is None else self.learned.categories

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the table's columns that are inputs."""
        return (*self.numbers, *self.words, *(each.name for each in self.categories))

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the steps of a row."""
        return (*self.numbers, *self.words, *(channel for each in self.categories for channel in each.channels))


@dataclass(frozen=True, eq=False)
class Series:
    """N rows (series, engines, houses) of any length over C channels, one row after the other: `total` steps in all.

    values : float32 [C, total], NaN where missing, in the units of the source; float64 where rounding would hide how
        they differ, see readers/precision.py.
    offsets : int64 [N + 1]; row r is `values[:, offsets[r] : offsets[r + 1]]`.
    channels : C names. rows : N names.
    labels : float [N, K], given labels of whole rows, or None. label_names : their K names.
    label_words : K tuples, () for a column of numbers: the words, sorted, that its values 0, 1, ... stand for.
    groups : str [N], or None; rows of one group stay in one split.
    sources : the files read.
    notes : what the reader noticed, one line each; a likely mistake starts with `warning:`.
    time : int64 [total], the steps' times in ns since 1970, or None; see times/clock.py.
    clock : step and zone of `time`; None where `time` is.
    known : names of F channels whose future values are known.
    after : float [F, N, A], their values in the A steps after each row, NaN where not given; or None.
    modalities : (name, number of channels) of each group of adjacent channels, in order; () where all are one group.
    filled : mask [C, total] of the values that `--nan` made up, which may be input and are never scored; or None.
    things : what the steps are where each row is a thing; None where steps are those of time.
    part : which rows of the data these are; None for all.
    words : of the last channels, where these are categories: the sorted words that their values 0, 1, ... stand for, -1
        for none. () where there are none, and once they are channels of zeros and ones.
    text : names of the columns of words that were left out, and may be categories.
    static : names of the channels that have one value in each row, and not the same in all.
    categories : those whose channels of zeros and ones, one a level, are the last; see sources/levels.py.

    Arrays that do not fit each other are a programming error: AssertionError.
    """

    values: np.ndarray
    offsets: np.ndarray
    channels: tuple[str, ...]
    rows: tuple[str, ...]
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    label_words: tuple[tuple[str, ...], ...] = ()
    groups: np.ndarray | None = None
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    time: np.ndarray | None = None
    clock: Clock | None = None
    known: tuple[str, ...] = ()
    after: np.ndarray | None = None
    modalities: tuple[tuple[str, int], ...] = ()
    filled: np.ndarray | None = None
    things: Things | None = None
    part: Part | None = None
    words: tuple[tuple[str, ...], ...] = ()
    text: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()

    def __post_init__(self) -> None:
        assert self.values.dtype in (np.float32, np.float64)
        assert self.values.shape == (len(self.channels), self.offsets[-1])
        assert self.offsets.dtype == np.int64 and self.offsets.shape == (len(self.rows) + 1,)
        assert self.labels is None or self.labels.shape == (len(self.rows), len(self.label_names))
        assert not self.label_words or len(self.label_words) == len(self.label_names)
        assert self.groups is None or self.groups.shape == (len(self.rows),)
        assert not self.modalities or sum(count for _, count in self.modalities) == len(self.channels)
        assert not (self.words and self.categories) and self.numeric >= 0
        assert self.filled is None or self.filled.shape == self.values.shape
        assert self.things is None or (self.lengths == len(self.things.steps)).all()
        assert (self.time is None) == (self.clock is None)
        assert self.after is None or self.after.shape[:2] == (len(self.known), len(self.rows))
        assert self.part is None or len(self.part.numbers) == len(self.rows)
        assert self.time is None or (self.time.dtype == np.int64 and self.time.shape == (self.offsets[-1],))

    @property
    def n_rows(self) -> int:
        """N, the number of rows."""
        return len(self.rows)

    @property
    def several(self) -> bool:
        """Whether the data have more than one row, of which these may be one."""
        return (self.n_rows if self.part is None else self.part.total) > 1

    @property
    def numbers(self) -> np.ndarray:
        """The rows' numbers in the data, int64 [N]."""
        return np.array(range(self.n_rows) if self.part is None else self.part.numbers, np.int64)

    @property
    def n_channels(self) -> int:
        """C, the number of channels."""
        return len(self.channels)

    @property
    def numeric(self) -> int:
        """How many channels hold numbers; what comes of categories follows them."""
        return self.n_channels - len(self.words) - sum(len(each.channels) for each in self.categories)

    @property
    def columns(self) -> tuple[str, ...]:
        """The channels as the files give them: a category is one."""
        if not self.categories:
            return self.channels
        return (*self.channels[: self.numeric], *(each.name for each in self.categories))

    @property
    def ones(self) -> frozenset[str]:
        """Names of the channels of zeros and ones that are levels of categories."""
        return frozenset(channel for each in self.categories for channel in each.channels)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each row, int64 [N]."""
        return np.diff(self.offsets)

    @property
    def hashes(self) -> tuple[str, ...]:
        """The sha256 of each source: the same for the same files."""
        return tuple(source.sha256 for source in self.sources)

    def arranged(self, names: Sequence[str]) -> Series:
        """The series with its channels in the order of `names`, categories last, and its sources where each has one."""
        order = [self.channels.index(name) for name in names]
        each = len(self.sources) == self.n_channels
        return replace(
            self,
            values=self.values[order],
            channels=tuple(names),
            sources=tuple(self.sources[c] for c in order) if each else self.sources,
            filled=None if self.filled is None else self.filled[order],
            words=tuple(self.words[c - self.numeric] for c in order if c >= self.numeric),
        )

    def without(self, names: Container[str], note: str) -> Series:
        """The series without some of its channels of numbers, which a note says."""
        keep = [c for c, name in enumerate(self.channels) if name not in names]
        return replace(
            self,
            values=self.values[keep],
            channels=tuple(self.channels[c] for c in keep),
            filled=None if self.filled is None else self.filled[keep],
            static=tuple(name for name in self.static if name not in names),
            notes=(*self.notes, note),
        )

    def view(self) -> np.ndarray:
        """The values as [N, C, T], without a copy. All rows must have T steps."""
        lengths = self.lengths
        assert (lengths == lengths[0]).all(), "rows of different length have no [N, C, T] view"
        view: np.ndarray = self.values.reshape(self.n_channels, self.n_rows, lengths[0]).transpose(1, 0, 2)
        return view

    def usable(self, channels: Iterable[int]) -> np.ndarray:
        """Mask [total] of the steps at which none of the channels with these numbers is missing."""
        usable = np.ones(int(self.offsets[-1]), bool)
        for channel in channels:  # one at a time: indexing with several would copy the data
            usable &= ~np.isnan(self.values[channel])
        return usable

    def given_ahead(self, horizon: int) -> np.ndarray:
        """Mask [N] of the rows whose known-future channels are given for the `horizon` steps after their end."""
        if self.after is None or self.after.shape[2] < horizon:
            return np.zeros(self.n_rows, bool)
        given: np.ndarray = np.isfinite(self.after[:, :, :horizon]).all(axis=(0, 2))
        return given

    def times(self, row: int, more: int = 0) -> np.ndarray | None:
        """The times of a row, and of steps after it.

        Parameters
        ----------
        row : its number, from 0.
        more : H steps after its end, on the same clock.

        Returns
        -------
        int64 ns [T + H] for a row of T steps; None where the series has no times.
        """
        if self.time is None or self.clock is None:
            return None
        times = self.time[self.offsets[row] : self.offsets[row + 1]]
        return np.concatenate([times, _times_after(self.clock, int(times[-1]), more)]) if more else times


@lru_cache(maxsize=MOST_TIMES)  # many rows often end at a few times
def _times_after(clock: Clock, last: int, steps: int) -> np.ndarray:
    return clock.extend(last, steps)


def on_clock(series: Series, clock: Clock | None) -> Series:
    """The series on a clock of training, where all its times are on that too, as five business days are on one of days.

    Parameters
    ----------
    clock : of training; None for data without times.
    """
    if clock is None or series.clock is None or series.time is None or series.clock.freq == clock.freq:
        return series
    clock = replace(clock, tz=series.clock.tz)
    for begin, end in itertools.pairwise(series.offsets.tolist()):
        times = series.time[begin:end]
        if not np.array_equal(clock.reach(int(times[0]), end - begin - 1), times[1:]):
            return series
    return replace(series, clock=clock)


def own(series: Series, shard: Shard | None) -> Series:
    """The rows of a series that are a shard's own; all of them without a shard, or where it was read as its part.

    DataError where it has none.
    """
    if shard is None or series.part is not None:
        return series
    part = Part(shard, series.n_rows)
    rows = np.array(part.numbers, np.int64)
    if not len(rows):
        raise no_series(part)
    return replace(of_rows(series, rows), part=part)


def of_rows(series: Series, rows: np.ndarray) -> Series:
    """Some rows of a series that is read whole.

    Parameters
    ----------
    rows : their numbers, int64 [n].
    """
    lengths = series.lengths[rows]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    at = np.repeat(series.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return replace(
        series,
        values=np.take(series.values, at, axis=1),
        offsets=offsets,
        rows=tuple(series.rows[row] for row in rows.tolist()),
        labels=None if series.labels is None else series.labels[rows],
        groups=None if series.groups is None else series.groups[rows],
        time=None if series.time is None else series.time[at],
        after=None if series.after is None else series.after[:, rows],
        filled=None if series.filled is None else series.filled[:, at],
        things=None if series.things is None else replace(series.things, lacking=series.things.lacking[rows]),
    )


def no_series(part: Part) -> DataError:
    """For a shard without a series of its own."""
    shard, total = part.shard, part.total
    what = f"the data have {total} series, too few for {shard.of} shards"
    return DataError(what, where=f"--shard {shard}", hint=f"--shard {min(shard.number, total)}/{total}")


def extended(series: Series, names: Sequence[str], values: np.ndarray, wanted: int = 0) -> Series:
    """A series of which each row goes on for S steps.

    Parameters
    ----------
    names : K channels; the others are those known ahead.
    values : [N, K, S], how they go on, NaN where they do not.
    wanted : of so many further steps a forecast is asked for. Where what is known ahead reaches as far and ends within
        S steps, its last values stand for what follows.
    """
    steps, wide = values.shape[2], series.values
    more = np.full((series.n_channels, series.n_rows, steps), np.nan)
    more[[series.channels.index(name) for name in names]] = values.transpose(1, 0, 2)
    after = series.after
    if after is not None:
        given = after[:, :, :steps]
        more[[series.channels.index(name) for name in series.known], :, : given.shape[2]] = given.transpose(0, 1, 2)
        after = after[:, :, steps:]
        if 0 < wanted <= after.shape[2] < steps:
            after = np.pad(after[:, :, :wanted], ((0, 0), (0, 0), (0, steps - wanted)), mode="edge")
    ends = series.offsets[1:]
    where = np.repeat(ends, steps)
    made = np.insert(wide, where, more.reshape(series.n_channels, -1).astype(wide.dtype), axis=1)
    times = None
    if series.time is not None and series.clock is not None:
        last = series.time[ends - 1]
        times = np.insert(series.time, where, np.concatenate([series.clock.extend(int(t), steps) for t in last]))
    filled = None if series.filled is None else np.insert(series.filled, where, False, axis=1)
    offsets = series.offsets + steps * np.arange(series.n_rows + 1)
    return replace(series, values=made, offsets=offsets, time=times, after=after, filled=filled)


def known_ahead(series: Series, marks: int, horizon: int, scaler: Scaler | None) -> np.ndarray:
    """What is known ahead, float32 [M, total + N * H]: time features, then covariates; each row has H steps more.

    Parameters
    ----------
    marks : how many time features, 0 or those of the clock.
    horizon : H.
    scaler : of the F channels of `series.known`; None for none of them.
    """
    which = [] if scaler is None else [series.channels.index(name) for name in series.known]
    known = np.full((marks + len(which), int(series.offsets[-1]) + series.n_rows * horizon), np.nan, np.float32)
    past = None if scaler is None else scaler.apply(series.values[which])
    future = None if scaler is None or series.after is None else series.after[:, :, :horizon]
    same: dict[bytes, np.ndarray] = {}  # many rows often have a few times
    for row in range(series.n_rows):
        begin, end = series.offsets[row], series.offsets[row + 1]
        part = known[:, begin + row * horizon : end + (row + 1) * horizon]
        if marks:
            times = series.times(row, horizon)
            assert times is not None and series.clock is not None
            if (at := times.tobytes()) not in same:
                same = {at: series.clock.features(times)} | (same if len(same) < MOST_TIMES else {})
            part[:marks] = same[at]
        if past is not None:
            part[marks:, : end - begin] = past[:, begin:end]
        if scaler is not None and future is not None:
            part[marks:, end - begin :][:, : future.shape[2]] = scaler.apply(future[:, row])
    return known


def read(config: RunConfig, columns: Sequence[str] | None = None, known: Sequence[str] = ()) -> Series:
    """The files that a configuration names, as one Series, by the reader of their format.

    Parameters
    ----------
    config : the run's settings, of which those of the group Data say what to read, and how.
    columns : names of the channels wanted of long files or of an .npz, in order; None for all.
    known : names of the channels whose future values are known.

    Raises
    ------
    UsageError : flags that contradict each other, or a package that a format needs and that is not installed.
    DataError : a file that is missing, damaged or not in order.
    """
    reader = readers.load("npz") if config.npz else readers.reader_of(config.csv)
    return reader.series(config, columns, known)


def tell(notes: Iterable[str]) -> None:
    """Log notes; those that begin with `warning` are told under --quiet, too."""
    for note in notes:
        log.log(logging.WARNING if note.startswith("warning") else logging.INFO, note)
