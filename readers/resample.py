"""The lines of long tables averaged over the steps of a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from errors import DataError
from readers.coarser import proposed
from readers.missing import count_gaps, is_known
from readers.paths import abridge
from readers.rows import Rows, line_steps, span
from times.clock import DAY, Clock

MOST_EMPTY = 100  # steps per line; more of them means that --resample is a mistake
JITTER = 0.1  # of a step: so much too early, or late, a line still belongs to it
SETTLED = 0.99  # of the lines lie so close to the beginnings of steps where that is their jitter
LATE = 0.9  # of the other steps begin, or end, no later than a whole one may
SLACK = 0.1  # of the usual time from line to line
ENOUGH = 3  # whole steps that show when steps begin and end


def average(rows: Rows, clock: Clock) -> tuple[Rows, list[str]]:
    """The mean of the values within each step, NaN where there are none; a step's time is its beginning.
    Of categories it is the commonest.

    The first and the last step of a row are left out where the lines cover a part of them: where they begin later, or
    end earlier, than those of other steps.

    Parameters
    ----------
    rows : values [C, total]; infinite ones count as missing.
    clock : the step and the zone.

    Returns
    -------
    The rows with values [C, total'] on the regular axis, and notes.

    Raises
    ------
    DataError : there would be far more steps than lines.
    """
    early = _jitter(rows, clock)
    edges, step_of = _grid(rows.times + early, clock)
    first, last = step_of[rows.offsets[:-1]], step_of[rows.offsets[1:] - 1]
    lengths = last - first + 1
    if (lengths > MOST_EMPTY * rows.lengths).any():
        row = int(np.argmax(lengths > MOST_EMPTY * rows.lengths))
        what = f"{lengths[row]:,} steps of {span(clock)} for {rows.lengths[row]:,} lines of row {rows.names[row]!r}"
        times = rows.times[slice(*rows.spans()[row])]
        raise DataError(what, where="--resample", hint=f"a longer step: --resample {proposed(times)}")
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    at = step_of + np.repeat(offsets[:-1] - first, rows.lengths)
    times = edges(np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], lengths))
    values = np.empty((len(rows.values), offsets[-1]), rows.values.dtype)
    for channel, given in enumerate(rows.values):
        over = means_at if channel < rows.numeric else usual_at
        values[channel] = over(at, given, int(offsets[-1]))
    made = replace(rows, values=values, times=times, offsets=offsets, records=None)
    partial = _partial(rows, _Steps(step_of, edges))
    return _without(made, partial), [_note(rows, made, clock), *_told(made, partial, early)]


def means_at(at: np.ndarray, values: np.ndarray, steps: int) -> np.ndarray:
    """The mean of the known ones of `values` [n] with the same number in `at` [n]: float64 [steps], NaN where none."""
    known = is_known(values)
    if not known.all():
        at, values = at[known], values[known]
    counts = np.bincount(at, minlength=steps)
    sums = np.bincount(at, values, minlength=steps)
    means: np.ndarray = np.divide(sums, counts, out=np.full(steps, np.nan), where=counts > 0)
    return means


def usual_at(at: np.ndarray, codes: np.ndarray, steps: int) -> np.ndarray:
    """Of the codes [n] with the same number in `at` [n] the commonest, the smallest of equals: float64 [steps]."""
    known = ~np.isnan(codes)
    usual = np.full(steps, np.nan)
    if not known.any():
        return usual
    kinds = int(codes[known].max()) + 1
    pairs, counts = np.unique(at[known].astype(np.int64) * kinds + codes[known].astype(np.int64), return_counts=True)
    order = np.lexsort((-pairs, counts))  # the last to be written wins
    usual[pairs[order] // kinds] = pairs[order] % kinds
    return usual


@dataclass(frozen=True, eq=False)
class _Steps:
    """The number of each line's step [total], and a function from numbers to the beginnings of steps."""

    of: np.ndarray
    edges: Callable[[np.ndarray], np.ndarray]


def _grid(times: np.ndarray, clock: Clock) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """The steps of a clock that stamps [n] fall in: a function from a step's number to its beginning, and the numbers.

    They are counted from the midnight before the first stamp, or from the beginning of its month, week or so.
    """
    start = int(clock.wall(times.min(keepdims=True))[0]) // DAY * DAY
    if not clock.calendar:
        origin = int(clock.of_wall(np.array([start]))[0])
        return lambda number: origin + number * clock.step, (times - origin) // clock.step
    first = clock.of_wall(np.array([clock.beginning(start)]))
    edges = np.append(first, clock.extend(int(first[0]), int(times.max() - first[0]) // clock.step + 2))
    return lambda number: edges[number], np.searchsorted(edges, times, "right") - 1


def _jitter(rows: Rows, clock: Clock) -> int:
    """ns by which lines are later than they say where they stand around the beginnings of steps: else 0."""
    steps = line_steps(rows)
    steps = steps[steps > 0]
    if clock.named or not len(steps) or abs(np.median(steps) / clock.step - 1) > JITTER:
        return 0
    edges, step_of = _grid(rows.times, clock)
    after = (rows.times - edges(step_of)) / clock.step
    early, late = after > 1 - JITTER, after < JITTER
    return int(clock.step * JITTER) if early.any() and (early | late).mean() >= SETTLED else 0


# ---- steps that are not whole


def _partial(rows: Rows, steps: _Steps) -> tuple[np.ndarray, np.ndarray]:
    """Masks [N] of the rows whose first step begins late, and of those whose last step ends early."""
    none = np.zeros(len(rows.names), bool)
    spacing = line_steps(rows)
    spacing = spacing[spacing > 0]
    begins = np.diff(steps.of, prepend=-1) != 0
    begins[rows.offsets[:-1]] = True
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(rows.times)) - 1
    if not len(spacing) or len(starts) == len(rows.times):
        return none, none  # a line a step: nothing shows how much of it a line stands for
    number = steps.of[starts]
    waits = rows.times[starts] - steps.edges(number)  # from the step's beginning to its first line
    rests = steps.edges(number + 1) - rows.times[ends]  # from its last line to its end
    firsts = np.searchsorted(starts, rows.offsets[:-1])
    lasts = np.searchsorted(starts, rows.offsets[1:], "left") - 1
    inner = np.ones(len(starts), bool)
    inner[firsts] = inner[lasts] = False
    usual = float(np.median(spacing))
    longest = float(np.quantile(spacing, 0.95))  # such as that over a weekend
    wait, rest = longest - SLACK * usual, longest + SLACK * usual
    if inner.sum() >= ENOUGH:
        late, early = (float(np.quantile(each[inner], LATE, method="higher")) for each in (waits, rests))
        wait, rest = max(wait, late + SLACK * usual), max(rest, early + SLACK * usual)
    return waits[firsts] > wait, rests[lasts] > rest


def _without(rows: Rows, partial: tuple[np.ndarray, np.ndarray]) -> Rows:
    """The rows without their first and last steps where the masks [N] say so."""
    starts, ends = rows.offsets[:-1] + partial[0], rows.offsets[1:] - partial[1]
    if not (partial[0] | partial[1]).any():
        return rows
    keep = np.zeros(len(rows.times) + 1, np.int64)
    ends = np.maximum(starts, ends)
    np.add.at(keep, starts, 1)
    np.add.at(keep, ends, -1)
    kept = np.cumsum(keep[:-1]) > 0
    offsets = np.concatenate([[0], np.cumsum(ends - starts, dtype=np.int64)])
    return replace(rows, values=np.ascontiguousarray(rows.values[:, kept]), times=rows.times[kept], offsets=offsets)


# ---- notes


def _note(rows: Rows, made: Rows, clock: Clock) -> str:
    note = f"{len(rows.times):,} lines resampled to {len(made.times):,} steps of {span(clock)}"
    twice = int((line_steps(rows) == 0).sum())
    note += "; of categories the commonest in a step" if rows.words else ""
    infinite = count_gaps(rows.values)[1]
    note += f"; {twice:,} lines of the same time as the line before averaged with it" if twice else ""
    return note + (f"; {infinite:,} infinite values left out" if infinite else "")


def _told(made: Rows, partial: tuple[np.ndarray, np.ndarray], early: int) -> list[str]:
    """The notes on jitter, and on steps that are left out."""
    notes = [f"lines up to {early / 1e9:g} s early count to the step that begins then"] if early else []
    ends = [
        f"{made.names[row]} {made.show(int(made.offsets[row + last]) - last)}"
        for last in (0, 1)
        for row in np.flatnonzero(partial[last])
    ]
    if ends:
        what = f"{len(ends):,} first or last step{'s' * (len(ends) > 1)} left out, of which the lines cover a part"
        notes.append(f"{what}: {abridge(ends)}")
    return notes
