"""The own cycle of a house's fridge: its watts, and how long it runs and rests, found in the meter without labels.

A net, and what training shows of whole runs, know one fridge; that of another house draws other watts for other times.
But it shows itself: day and night the meter rises and next falls by the same watts, again and again. Training's habits,
made wide, say where to look, and the house's own runs replace them (a prior model tuned to a house, as in Parson et al.
2012, AAAI 26, 356), by a few rounds of the likeliest runs and what they have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from tasks.nilm.habits import JUMPS, NAMES, QUANTILES, Habit, bins, learned
from tasks.nilm.runs import SPREAD, Whole
from tasks.nilm.states import agreement, runs

OFTEN_W = 400.0  # W that a device which runs day and night draws at most
LONGEST_REST = 3 * 3600.0  # seconds, of nine in ten of its breaks
LEAST_RUNS = 12  # of training, and of a house, to speak of a cycle
WATTS, LENGTHS = 2.5, 5.0  # times training's, or as small a part of them, another house's may be
LEAST_W = 25.0  # W of a cycle that a meter shows
SHORTEST = 5  # steps of a run that a meter shows
RISES, FALLS = (0.75, 1.6), (0.7, 1.35)  # of a cycle's watts: motors start with more than they run with
ALIKE = 1.6  # times as long as the shortest of them is the longest of lengths that are one cycle's
GRID, MOST = 20, 4  # powers that are looked for, and cycles that are tried
ROUNDS = 3
TRUST = 0.25  # of what a net's probabilities count in its own house
BELIEVED = 0.5  # of the net's evidence against a cycle, what the meter has to make up for
NEAR = (0.7, 0.9)  # logs by which watts and runs of two houses' devices differ
STEADY, PAUSE, COVERED = 2.0, 2.5, 0.6  # of runs, the longer quarter to the shorter; of breaks, to the median; of time
SAME = 0.5  # F1 of two devices' states, above which both are one cycle
MOST_STEPS = 60_000  # of a house that its cycle is learned from


def cyclic(habit: Habit, step: float) -> Whole | None:
    """The runs of a device that comes and goes day and night, whatever the hour; None for any other."""
    if not step or habit.runs < LEAST_RUNS or not LEAST_W <= habit.mean <= OFTEN_W:
        return None
    short, long = np.quantile(habit.run_seconds, (0.25, 0.75))
    if long > SPREAD * short or np.quantile(habit.break_seconds, 0.9) > LONGEST_REST:
        return None
    return Whole.made(habit, step)


@dataclass(frozen=True)
class Seen:
    """What is seen of a house: its meter and the jumps of it, W [n], a device's probabilities [n], and its stretches.

    `ends` [S + 1] are where unbroken stretches begin and end.
    """

    mains: np.ndarray
    jumps: np.ndarray
    score: np.ndarray
    ends: np.ndarray
    tau: float

    def first(self, steps: int) -> Seen:
        """Of so many steps at most."""
        steps = min(steps, len(self.mains))
        ends = np.append(self.ends[self.ends < steps], steps)
        return Seen(self.mains[:steps], self.jumps[:steps], self.score[:steps], ends, self.tau)

    def parts(self) -> Iterator[slice]:
        return (slice(begin, end) for begin, end in pairwise(self.ends.tolist()))

    def states(self, whole: Whole, score: np.ndarray | None = None) -> np.ndarray:
        """The likeliest states, bool [n]."""
        chance = self.score if score is None else score
        return np.concatenate([whole.states(chance[part], [self.tau], self.jumps[part])[0] for part in self.parts()])

    def support(self, whole: Whole, on: np.ndarray) -> tuple[float, float]:
        """What the meter says for states [n], and what the net does."""
        each = [whole.support(on[part], self.score[part], self.tau, self.jumps[part]) for part in self.parts()]
        meter, net = np.sum(each, axis=0).tolist()
        return meter, net


def own_cycle(training: Whole, seen: Seen, taken: Sequence[np.ndarray], least: float = -np.inf) -> Whole | None:
    """The cycle of a house that the meter, the net and training speak for most; None where there is none.

    Parameters
    ----------
    training : how a device's runs are in the houses of training.
    seen : what is seen of this house.
    taken : states of other devices in this house, whose cycles are not this one's, bool [n] each.
    least : what has to speak for it, as logs.
    """
    part = seen.first(MOST_STEPS)
    found, most = None, least * len(part.mains) / len(seen.mains)
    for watts, run, rest in _candidates(part, training):
        own = _fitted(part, watts, run, rest, training.step)
        if own is None:
            continue
        on = part.states(own)
        meter, net = part.support(own, on)
        likely = (meter + net) * _nearness(own.habit, training.habit)
        believed = meter + BELIEVED * net > 0 and _steady(own, on)
        if believed and likely > most and not any(agreement(on, other[: len(on)]) > SAME for other in taken):
            found, most = own, likely
    return found


def _steady(own: Whole, on: np.ndarray) -> bool:
    """Whether runs are alike, and come most of the time of states bool [n]: those of a washing machine do not."""
    short, long = np.quantile(own.habit.run_seconds, (0.25, 0.75))
    starts, lengths = runs(on)
    ran = on[starts]
    rests = lengths[~ran]
    pauses = rests[rests > PAUSE * np.median(rests)] if len(rests) else rests
    return bool(long <= STEADY * short and len(on) - pauses.sum() >= COVERED * len(on))


def _nearness(own: Habit, training: Habit) -> float:
    """How near the watts and runs of a cycle are to training's, 1 for the same."""
    apart = np.log([own.mean / training.mean, np.median(own.run_seconds) / np.median(training.run_seconds)])
    return float(np.exp(-0.5 * np.sum((apart / NEAR) ** 2)))


def _candidates(seen: Seen, training: Whole) -> list[tuple[float, float, float]]:
    """Cycles that the meter may show: (W, steps of a run, steps of a break), those that explain most time first."""
    habit = training.habit
    at, size = _events(seen)
    shortest, longest = _wide(habit.run_seconds, training.step, SHORTEST)
    least_rest, longest_rest = _wide(habit.break_seconds, training.step, 3)
    found = []
    for watts in np.geomspace(max(habit.mean / WATTS, LEAST_W), habit.mean * WATTS, GRID):
        rise = (size >= RISES[0] * watts) & (size <= RISES[1] * watts)
        its = rise | ((-size >= FALLS[0] * watts) & (-size <= FALLS[1] * watts))
        time, up = at[its], rise[its]
        pair = np.flatnonzero(up[:-1] & ~up[1:])
        begin, length = time[pair], time[pair + 1] - time[pair]
        alike = _alike(length, shortest, longest)
        begin, length = begin[alike], length[alike]
        rest = np.diff(begin) - length[:-1]
        regular = _alike(rest, least_rest, longest_rest)
        if regular.sum() >= LEAST_RUNS // 2:
            explained = float((rest + length[:-1])[regular].sum())
            found.append((explained, float(watts), float(np.median(length)), float(np.median(rest[regular]))))
    apart: list[tuple[float, float, float]] = []
    for _, *cycle in sorted(found, reverse=True):
        near = [np.abs(np.log(np.divide(cycle[:2], other[:2]))) < (0.25, 0.4) for other in apart]
        if not any(both.all() for both in near) and len(apart) < MOST:
            apart.append((cycle[0], cycle[1], cycle[2]))
    return apart


def _wide(seconds: Sequence[float], step: float, least: float) -> tuple[float, float]:
    """The fewest and most steps of lengths that another house may have, given training's in seconds."""
    usual = float(np.median(seconds)) / step
    return max(usual / LENGTHS, least), usual * LENGTHS


def _alike(lengths: np.ndarray, least: float, most: float) -> np.ndarray:
    """Mask [n] of the lengths within limits that are alike: as many as there are within a factor of ALIKE."""
    within = np.sort(lengths[(lengths >= least) & (lengths <= most)])
    if not len(within):
        return np.zeros(len(lengths), bool)
    many = np.searchsorted(within, within * ALIKE, side="right") - np.arange(len(within))
    first = within[many.argmax()]
    found: np.ndarray = (lengths >= first) & (lengths <= first * ALIKE)
    return found


def _events(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Steps at which the meter changes for longer than a moment, and by how many W."""
    change = _changes(seen)
    beside = np.pad(np.abs(change), 2)
    highest = np.max([beside[shift : shift + len(change)] for shift in range(5)], axis=0)
    at = np.flatnonzero((np.abs(change) >= highest) & (np.abs(change) >= FALLS[0] * LEAST_W))
    at = at[np.diff(at, prepend=-2) > 1]  # of equal ones the first
    return at, change[at]


def _changes(seen: Seen) -> np.ndarray:
    """By how many W the median of three steps after each one is above that of three before it, [n]."""
    found = []
    for part in seen.parts():
        padded = np.pad(seen.mains[part].astype(np.float64), 3, mode="edge")
        level = np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0)
        found.append(level[4:] - level[:-4])
    return np.concatenate(found)


def _fitted(seen: Seen, watts: float, run: float, rest: float, step: float) -> Whole | None:
    """What a cycle's runs have in common, learned from the likeliest ones; None where there are too few."""
    changes, unknown = _changes(seen), np.full(len(seen.mains), seen.tau)
    habit = _supposed(seen.jumps, watts, run * step, rest * step)
    for _ in range(ROUNDS):
        on = seen.states(Whole.made(habit, step), unknown)
        edge = np.diff(on.astype(np.int8), prepend=on[:1])
        edge[seen.ends[:-1]] = 0
        if (edge > 0).sum() < LEAST_RUNS:
            return None
        watts = float(np.median((changes * edge)[edge != 0]))
        if watts < LEAST_W:
            return None
        known = np.ones(len(on), bool)
        shown = learned(on.astype(np.int8)[None], known, seen.mains, seen.ends, [watts], step)
        habit = Habit(**{name: shown[name][0] for name in NAMES}, mean=watts)
        if habit.runs < LEAST_RUNS:
            return None
    return replace(Whole.made(habit, step), trust=TRUST, own=True)


def _supposed(jumps: np.ndarray, watts: float, run: float, rest: float) -> Habit:
    """Habits of a cycle of which only the watts and the usual run and break, s, are known."""
    spread = np.array([NormalDist().inv_cdf((i + 0.5) / QUANTILES) for i in range(QUANTILES)])
    often = np.bincount(bins(np.nan_to_num(jumps / watts)), minlength=len(JUMPS) + 1) + 0.5
    middles = np.concatenate([JUMPS[:1], (JUMPS[1:] + JUMPS[:-1]) / 2, JUMPS[-1:]])
    sides: list[list[float]] = []
    for size in (1.1, -1.0):
        chance = np.exp(-0.5 * ((middles - size) / 0.3) ** 2) + 1e-3
        sides.append(np.log(np.maximum(0.2 + 0.8 * chance / chance.sum() * often.sum() / often, 1e-3)).tolist())
    on, off = ((middle * np.exp(width * spread)).tolist() for middle, width in ((run, 0.3), (rest, 0.4)))
    rises, falls = sides
    return Habit(100.0, on, off, rises, falls, watts)
