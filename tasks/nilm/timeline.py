"""The windows of a disaggregation on one timeline: every step once, overlapping windows averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from tasks.lines import aligned
from tasks.nilm.doubts import DAYS, doubted
from tasks.nilm.features import seconds_of
from tasks.nilm.metrics import JOULES, TOLERANCE, nilm_kpis
from tasks.nilm.rules import Rules
from tasks.nilm.states import Stitcher, filter_runs
from tasks.nilm.watts import OFTEN, Limits, capped, certain, counted, sure
from tasks.nilm.wholes import NO_WHOLE_RUNS, WholeRuns
from tasks.predictions import EvalContext, Predictions
from windows import Index

MOST_OVERLAP = 10  # windows over a step that are averaged
MOSTLY_A_DAY = 18  # hours, from which on kWh are told by the day
APART = 1 << 40  # steps between the times of two houses


@dataclass(frozen=True)
class Timeline:
    """The n steps that windows cover, in order.

    at : int64 [n], their positions on the flat time axis.
    rows : int64 [n], the house of each.
    score, watts : predicted probabilities and watts, [K, n].
    on, true_watts : the truth, [K, n], or None.
    """

    at: np.ndarray
    rows: np.ndarray
    score: np.ndarray
    watts: np.ndarray
    on: np.ndarray | None
    true_watts: np.ndarray | None

    @classmethod
    def of(cls, scored: Predictions) -> Timeline:
        """The timeline of windows [n, 2K, L]; the predicted watts are not gated by the states yet."""
        index, known = scored.index, scored.truth is not None
        first = int(index.first.min())
        total = int((index.first + (index.count - 1) * index.stride).max()) + index.length - first
        stitcher = Stitcher(scored.pred.shape[1] * (1 + known), total)
        for _, block in scored.blocks():
            parts = [np.asarray(part) for part in (block.pred, block.truth) if part is not None]
            stitcher.add(np.concatenate(parts, axis=1), block.index.starts() - first)
        covered, means = stitcher.means()
        score, watts, *true = np.split(means, 4 if known else 2)
        at = covered + first
        return cls(at, _rows_of(at, index), score, np.maximum(watts, 0, out=watts), *(true or (None, None)))

    @property
    def when(self) -> np.ndarray:
        """Where each step is in time, int64 [n]: neighbours differ by 1, and houses are out of each other's reach."""
        when: np.ndarray = self.at + self.rows * APART
        return when

    def states(
        self,
        taus: Sequence[Sequence[float]],
        least: Sequence[tuple[int, int]],
        least_w: Sequence[float] | float = 0.0,
        whole: WholeRuns = NO_WHOLE_RUNS,
    ) -> np.ndarray:
        """On, bool [T, K, n], for each of T thresholds tau [K] of the devices.

        A device is on where its score reaches tau, or in its likeliest runs; then short breaks are filled and short
        runs dropped, in unbroken stretches.

        Parameters
        ----------
        taus : [T, K].
        least : the fewest steps of a run and of a break, [K].
        least_w : watts that a step needs as well, [K].
        whole : the devices whose runs are decided as a whole.
        """
        cuts = np.asarray(taus)
        on = self.score >= cuts[:, :, None]
        parts = np.split(np.arange(len(self.at)), np.flatnonzero(np.diff(self.when) != 1) + 1)
        for k, houses in whole.devices.items():
            for part in parts:
                if (how := houses.get(int(self.rows[part[0]]))) is not None:
                    on[:, k, part] = how.states(self.score[k, part], cuts[:, k], whole.jumps[part])
        on &= self.watts >= np.broadcast_to(np.asarray(least_w, np.float32), len(self.score))[:, None]
        for t, (k, (least_on, least_off)) in product(range(len(on)), enumerate(least)):
            for part in parts:
                on[t, k, part] = filter_runs(on[t, k, part].astype(np.int8), least_on, least_off) == 1
        return on

    def believed(self, on: np.ndarray, whole: WholeRuns) -> np.ndarray:
        """States bool [K, n] without the whole runs that are not believed (doubts.py)."""
        left = whole.mains - (whole.drawn(self.watts) * on).sum(axis=0) if whole.rare else np.zeros(0)
        doubt = doubted(on, left, self.when, self.rows, whole.rare)
        for k in whole.rare:
            doubt[k] &= whole.mask(k)
        for k, houses in whole.silent.items():
            doubt[k] |= np.isin(self.rows, list(houses))
        found: np.ndarray = on & ~doubt
        return found


def _rows_of(at: np.ndarray, index: Index) -> np.ndarray:
    """The rows of steps `at` [n] that windows cover, sorted: those of the last run that begins at or before each."""
    order = np.argsort(index.first, kind="stable")
    return index.row[order][np.searchsorted(index.first[order], at, side="right") - 1]


@dataclass(frozen=True)
class Decided:
    """What is decided for a timeline of n steps: states, and the watts that count.

    line : what was predicted.
    tau : threshold of each device [K].
    on : states, bool [K, n].
    watts : W, [K, n], as they are compared step by step.
    energy : W, [K, n], whose sums are the energy: those of all steps of likely runs.
    limits : what the watts of each device must reach to count, [K].
    over : bool [n], whether the devices that are on were together more than the mains, before that was their cap.
    whole : the devices whose runs were decided as a whole.
    """

    line: Timeline
    tau: Sequence[float]
    on: np.ndarray
    watts: np.ndarray
    energy: np.ndarray
    limits: Sequence[Limits]
    over: np.ndarray
    whole: WholeRuns = NO_WHOLE_RUNS

    @classmethod
    def of(
        cls,
        line: Timeline,
        tau: Sequence[float],
        rules: Rules,
        least_w: Sequence[float],
        off_w: Sequence[float],
        eval_context: EvalContext,
        whole: WholeRuns,
        *,
        strict: bool,
    ) -> Decided:
        """By thresholds, the duration rules that the truth follows, and the watts [K] that a step needs to be on.

        `off_w` are those of each device where none of its own count; `strict` as in `watts.sure`; `whole` are the
        devices whose runs may be decided as a whole.
        """
        steps = rules.steps(eval_context.names, seconds_of(eval_context.series))
        mains = eval_context.series.values[0, line.at]
        on = line.states([tau], steps, least_w)[0]
        if whole.devices or whole.cyclic:
            likeliest = line.states([tau], steps, least_w, whole)[0]
            whole = whole.fitted(line.score, tau, line.when, on, likeliest)
            on = line.states([tau], steps, least_w, whole)[0]
        whole = whole.silenced(on, round(DAYS * 86_400 / seconds_of(eval_context.series)))
        on = line.believed(on, whole)
        often = np.stack([whole.mask(k, often=True) for k in range(len(on))])
        limits = [
            OFTEN if always.all() else sure(one, strict=strict and not certain(score))
            for one, score, always in zip(tau, line.score, often, strict=True)
        ]
        kept, likely = (np.where(often, on, each) for each in counted(on, line.score, line.when, limits))
        watts, rest = whole.drawn(line.watts), np.asarray(off_w, np.float32)[:, None]
        over = (watts * on).sum(axis=0) > mains
        step, energy = (capped(np.where(part, watts, rest), mains) for part in (kept, likely))
        return cls(line, tau, on, step, energy, limits, over, whole)


def kpis(decided: Decided, eval_context: EvalContext) -> dict[str, Any]:
    """All metrics of a timeline whose truth is known."""
    line = decided.line
    return nilm_kpis(
        eval_context.names,
        seconds_of(eval_context.series),
        on=line.on,
        score=line.score,
        tau=decided.tau,
        predicted=decided.on,
        watts=line.true_watts,
        estimate=decided.watts,
        energy=decided.energy,
        tolerance=max(TOLERANCE, seconds_of(eval_context.series)),
        when=line.when,
    )


def used(decided: Decided, eval_context: EvalContext) -> list[str]:
    """Lines with the kWh and minutes that each device is said to have used."""
    line = decided.line
    series, seconds = eval_context.series, seconds_of(eval_context.series)
    assert series.clock is not None and series.time is not None
    first, last = series.clock.show(series.time[line.at[[0, -1]]])
    kwh = decided.energy.sum(axis=1, dtype=np.float64) * seconds / JOULES
    minutes = decided.on.sum(axis=1) * seconds / 60
    hours = len(line.at) * seconds / 3600
    found = zip(eval_context.names, kwh, minutes, strict=True)
    lines = [("device", "kWh", "minutes on", "kWh a day")]
    lines += [(name, f"{k:.3f}", f"{m:.1f}", f"{k * 24 / hours:.3f}") for name, k, m in found]
    shown = 4 if hours >= MOSTLY_A_DAY else 3  # of a part of a day nothing follows for a day
    return aligned([line[:shown] for line in lines], f"{first} to {last}, {hours:.1f} h:")


def judged_stride(stride: int, context_len: int) -> int:
    """At most ten windows over a step are averaged, however small the stride of training is."""
    return max(stride, context_len // MOST_OVERLAP)
