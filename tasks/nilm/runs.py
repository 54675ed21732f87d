"""The likeliest runs and breaks of a device, given a probability for every step and what it is used to (habits.py).

A hidden semi-Markov model (Yu 2010, Artificial Intelligence 174, 215): every run and every break has a length, whose
probability is learned, and between two of them the meter jumps. Its Viterbi path is found among switches at marks: the
steps where the probability crosses one of CROSSED, or where the meter jumps as it does when the device switches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.nilm.doubts import Usual
from tasks.nilm.habits import Habit

LEAST_STEPS = 24  # of a usual run: shorter ones are decided step by step
SPREAD = 3.0  # times as long as the shorter quarter of runs is the longer one at most; else they have no usual length
INDEPENDENT = 2.0  # steps that know nothing of each other: what all probabilities of a usual run count as
PRIOR_RUNS = 10.0  # of any length
WIDTH = 0.15  # of a length, relative: two that differ by less are alike
MOST_STEPS = 5000  # of a run or break whose length has a probability of its own; beyond, it decays
CROSSED = (0.1, 0.3, 0.5, 0.7, 0.9)
JUMPED = 1.0  # evidence of a jump from which on it is a mark
SUREST = 1e-4  # no probability counts as surer


@dataclass(frozen=True)
class Lengths:
    """How likely a run, or a break, of each length is.

    log : of 1 .. D steps, [D].
    cut : of lasting so long at least, for what an end of the data cuts, [D].
    decay : of the log for each step beyond D.
    """

    log: np.ndarray
    cut: np.ndarray
    decay: float

    @classmethod
    def of(cls, seconds: Sequence[float], runs: float, step: float) -> Lengths:
        """From quantiles of lengths in seconds, all 0 where none is known, learned from so many runs.

        With few runs, lengths of any size count as well, and frequency as such for nothing: how rare a device is, the
        net has learned already. The same holds for the share of them that is longer than MOST_STEPS.
        """
        steps = np.maximum(np.asarray(seconds) / step, 1)
        most = int(min(max(2 * steps.max(), 2 * LEAST_STEPS), MOST_STEPS))
        length = np.arange(1, most + 1)
        size = np.log(length)
        within = steps[steps <= most]
        known = runs / (runs + PRIOR_RUNS) * len(within) / len(steps) if np.any(seconds) else 0.0
        apart = (size[:, None] - np.log(within)) / WIDTH
        alike, any_size = np.exp(-0.5 * apart**2).sum(axis=1) / length + np.finfo(np.float64).tiny, 1 / length
        chance = known * alike / alike.sum() + (1 - known) * any_size / any_size.sum()
        log = np.log(chance) + (1 - known / 2) * size
        return cls(log, np.logaddexp.accumulate(log[::-1])[::-1], known / most)

    def chance(self, steps: np.ndarray) -> np.ndarray:
        """The log of how likely lengths of so many steps are, [n]."""
        beyond = np.maximum(steps - len(self.log), 0)
        found: np.ndarray = self.log[steps - beyond - 1] - self.decay * beyond
        return found


class _Segments:
    """The best segments of one state that end at each mark, for T thresholds at once."""

    def __init__(self, lengths: Lengths, marks: np.ndarray, gain: np.ndarray) -> None:
        self.lengths, self.marks, self.gain = lengths, marks, gain
        self.entered = np.full(gain.shape, -np.inf)  # [T, m], the best score of what comes before, less the gain so far
        self.entered[:, 0] = 0
        self.since = np.zeros(gain.shape, np.int64)
        self.near = 0  # the first mark whose length to the present one is in the table
        self.far, self.far_from = np.full(len(gain), -np.inf), np.zeros(len(gain), np.int64)  # the best of those before

    def begin(self, j: int, score: np.ndarray) -> None:
        """A segment may begin at mark j, after what scores [T]."""
        self.entered[:, j] = score - self.gain[:, j]

    def end(self, j: int) -> np.ndarray:
        """The best score [T] of a segment that ends at mark j; where it begins is kept in `since`."""
        marks, lengths = self.marks, self.lengths
        while marks[j] - marks[self.near] > len(lengths.log):
            self._leave(self.near)
            self.near += 1
        best, since = self.far - lengths.decay * marks[j], self.far_from
        if self.near < j:
            length = marks[j] - marks[self.near : j] - 1
            log = (lengths.cut if j == len(marks) - 1 else lengths.log)[length]
            if self.near == 0:
                log[0] = lengths.cut[length[0]]
            score = self.entered[:, self.near : j] + log
            first = score.argmax(axis=1)
            highest = score[np.arange(len(score)), first]
            since = np.where(highest > best, first + self.near, since)
            best = np.maximum(best, highest)
        self.since[:, j] = since
        found: np.ndarray = best + self.gain[:, j]
        return found

    def _leave(self, i: int) -> None:
        """Keep mark i as a beginning from which lengths decay, if it is better than the one before."""
        score = self.entered[:, i] + self.lengths.log[-1] + self.lengths.decay * (self.marks[i] + len(self.lengths.log))
        better = score > self.far
        self.far, self.far_from = np.where(better, score, self.far), np.where(better, i, self.far_from)


@dataclass(frozen=True)
class Whole:
    """Runs of a device that are decided as a whole.

    habit : of the device.
    step : seconds of a step.
    steps : of a usual run.
    rest, run : how long its breaks and runs are.
    trust : what a net's probabilities count, 1 in the houses of training.
    own : whether all this is a house's own, learned from its meter (cycles.py), and not training's.
    """

    habit: Habit
    step: float
    steps: float
    rest: Lengths
    run: Lengths
    trust: float = 1.0
    own: bool = False

    @classmethod
    def of(cls, habit: Habit, step: float, window: int) -> Whole | None:
        """None for a device whose runs are too short, longer than the `window` of a net, in steps, or of any length."""
        if not step or not habit.runs:
            return None
        short, usual, long = np.quantile(habit.run_seconds, (0.25, 0.5, 0.75)).tolist()
        steps = usual / step
        if not LEAST_STEPS <= steps <= window or long > SPREAD * short:
            return None
        return cls.made(habit, step)

    @classmethod
    def made(cls, habit: Habit, step: float) -> Whole:
        """Of any device."""
        rest, run = (Lengths.of(each, habit.runs, step) for each in (habit.break_seconds, habit.run_seconds))
        return cls(habit, step, float(np.median(habit.run_seconds)) / step, rest, run)

    @property
    def usual(self) -> Usual:
        """What its runs are held against (doubts.py)."""
        return Usual(self.habit.mean, max(self.habit.run_seconds) / self.step, self.habit.runs)

    def told(self) -> str:
        """How its states are decided, in words."""
        minutes = float(np.median(self.habit.run_seconds)) / 60
        if self.own:
            return f"whole runs of this house's own cycle, {self.habit.mean:.0f} W for {minutes:.3g} min"
        return f"whole runs, as in training ({self.habit.runs:.0f}, usually of {minutes:.3g} min)"

    def states(self, score: np.ndarray, taus: Sequence[float] | np.ndarray, jumps: np.ndarray) -> np.ndarray:
        """The likeliest states, bool [T, n], of an unbroken stretch, for each of T thresholds.

        Parameters
        ----------
        score : probabilities [n].
        taus : the probability at which a step speaks neither for a run nor against it, [T].
        jumps : of the meter, W [n], see `habits.meter_jumps`.
        """
        weight = self.trust * min(1.0, INDEPENDENT / self.steps)
        chance, tau = (np.clip(np.asarray(each, np.float64), SUREST, 1 - SUREST) for each in (score, taus))
        rise, fall = self.habit.evidence(jumps)
        marks = _marks(chance, rise, fall)
        said = np.append(0, np.cumsum(weight * np.log(chance / (1 - chance))))[marks]
        gain = said - weight * np.log(tau / (1 - tau))[:, None] * marks
        off, on = _Segments(self.rest, marks, np.zeros_like(gain)), _Segments(self.run, marks, gain)
        last = len(marks) - 1
        for j in range(1, last):
            rested, ran = off.end(j), on.end(j)
            on.begin(j, rested + rise[marks[j]])
            off.begin(j, ran + fall[marks[j]])
        ends_on = on.end(last) > off.end(last)
        found = np.zeros((len(tau), len(score)), bool)
        for t, state in enumerate(ends_on.tolist()):
            j = last
            while j > 0:
                i = int((on if state else off).since[t, j])
                found[t, marks[i] : marks[j]] = state
                j, state = i, not state
        return found

    def support(self, on: np.ndarray, score: np.ndarray, tau: float, jumps: np.ndarray) -> tuple[float, float]:
        """What speaks for states bool [n] of an unbroken stretch, as logs: jumps and lengths, and probabilities [n].

        A run that an end of the data cuts counts with the end that was seen.
        """
        rise, fall = self.habit.evidence(jumps)
        switch = np.flatnonzero(on[1:] != on[:-1]) + 1
        up, length = on[switch], np.diff(switch)
        meter = rise[switch[up]].sum() + fall[switch[~up]].sum()
        meter += self.run.chance(length[up[:-1]]).sum() + self.rest.chance(length[~up[:-1]]).sum()
        chance, cut = (np.clip(np.asarray(each, np.float64), SUREST, 1 - SUREST) for each in (score, tau))
        odds = np.log(chance / (1 - chance)) - np.log(cut / (1 - cut))
        return float(meter), float(min(1.0, INDEPENDENT / self.steps) * odds[on].sum())


def _marks(chance: np.ndarray, rise: np.ndarray, fall: np.ndarray) -> np.ndarray:
    """Where a device may switch, [m], from 0 to n."""
    may = np.zeros(len(chance), bool)
    for level in CROSSED:
        may[1:] |= (chance[1:] >= level) != (chance[:-1] >= level)
    for jump in (rise, fall):
        beside = np.concatenate([[-np.inf], jump, [-np.inf]])
        may |= (jump > JUMPED) & (jump >= beside[:-2]) & (jump >= beside[2:])
    may[0] = False
    return np.concatenate([[0], np.flatnonzero(may), [len(chance)]])
