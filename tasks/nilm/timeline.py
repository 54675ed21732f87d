"""The windows of a disaggregation on one timeline: every step once, overlapping windows averaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rundir import shortest, write_csv, write_json
from tasks.lines import aligned
from tasks.nilm.features import DAY, MAINS, seconds_of
from tasks.nilm.metrics import JOULES, TOLERANCE, energy_by_day, f1_curve, nilm_kpis
from tasks.nilm.states import filter_runs, stitch
from tasks.nilm.targets import DeviceTargets
from tasks.predictions import EvalContext, Predictions, Predictor
from windows import Index

MOST_OVERLAP = 10  # windows over a step that are averaged
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
        starts = scored.index.starts()
        first, total = int(starts.min()), int(starts.max() - starts.min()) + scored.index.length
        predicted = stitch(scored.pred, starts - first, total)
        covered = np.flatnonzero(~np.isnan(predicted[0]))
        score, watts = np.split(predicted[:, covered], 2)
        on = true = None
        if scored.truth is not None:
            on, true = np.split(stitch(scored.truth, starts - first, total)[:, covered], 2)
        at = covered + first
        return cls(at, _rows_of(at, scored.index), score, np.maximum(watts, 0), on, true)

    @property
    def when(self) -> np.ndarray:
        """Where each step is in time, int64 [n]: neighbours differ by 1, and houses are out of each other's reach."""
        when: np.ndarray = self.at + self.rows * APART
        return when

    def states(
        self, tau: Sequence[float], least: Sequence[tuple[int, int]], least_w: Sequence[float] | float = 0.0
    ) -> np.ndarray:
        """On [K, n] where the score reaches tau [K]; in unbroken stretches short breaks filled, short runs dropped.

        `least` are the fewest steps of a run and of a break [K], `least_w` watts [K] that a step needs as well.
        """
        count = len(self.score)
        on = self.score >= np.asarray(tau)[:, None]
        on &= self.watts >= np.broadcast_to(np.asarray(least_w, np.float32), count)[:, None]
        parts = np.split(np.arange(len(self.at)), np.flatnonzero(np.diff(self.when) != 1) + 1)
        for k, (least_on, least_off) in enumerate(least):
            for part in parts:
                on[k, part] = filter_runs(on[k, part].astype(np.int8), least_on, least_off) == 1
        return on


def _rows_of(at: np.ndarray, index: Index) -> np.ndarray:
    """The rows of steps `at` [n] that windows cover, sorted: those of the last run that begins at or before each."""
    order = np.argsort(index.first, kind="stable")
    return index.row[order][np.searchsorted(index.first[order], at, side="right") - 1]


def kpis(line: Timeline, on: np.ndarray, tau: Sequence[float], eval_context: EvalContext) -> dict[str, Any]:
    """All metrics of a timeline whose truth is known; watts count where the state `on` [K, n] is true."""
    return nilm_kpis(
        eval_context.names,
        seconds_of(eval_context.series),
        on=line.on,
        score=line.score,
        tau=tau,
        predicted=on,
        watts=line.true_watts,
        estimate=line.watts * on,
        tolerance=max(TOLERANCE, seconds_of(eval_context.series)),
        when=line.when,
    )


def used(line: Timeline, on: np.ndarray, eval_context: EvalContext) -> list[str]:
    """Lines with the kWh and minutes that each device is said to have used, where `on` [K, n] is true."""
    series, seconds = eval_context.series, seconds_of(eval_context.series)
    assert series.clock is not None and series.time is not None
    first, last = series.clock.show(series.time[line.at[[0, -1]]])
    kwh = (line.watts * on).sum(axis=1, dtype=np.float64) * seconds / JOULES
    minutes = on.sum(axis=1) * seconds / 60
    hours = len(line.at) * seconds / 3600
    found = zip(eval_context.names, kwh, minutes, strict=True)
    lines = [(name, f"{k:.3f}", f"{m:.1f}", f"{k * 24 / hours:.3f}") for name, k, m in found]
    return aligned([("device", "kWh", "minutes on", "kWh a day"), *lines], f"{first} to {last}, {hours:.1f} h:")


def write_timeline(path: Path, eval_context: EvalContext, line: Timeline, on: np.ndarray) -> None:
    """timeline.csv: time, mains, per device probability, state and watts (and truth where it is known).

    `over` is 1 where the devices together are more than the mains.
    """
    series, clock, time_axis = eval_context.series, eval_context.series.clock, eval_context.series.time
    assert clock is not None and time_axis is not None
    mains = series.values[0, line.at]
    watts = line.watts * on
    row = ["row"] if series.n_rows > 1 else []
    truth = None if line.on is None or line.true_watts is None else (line.on, line.true_watts)
    known = [] if truth is None else ["on", "watts"]
    header = [*row, "time", MAINS, "over"]
    header += [
        f"{name} {what}" for name in eval_context.names for what in ("p", "state", "W", *(f"true {t}" for t in known))
    ]

    def lines() -> Iterator[Sequence[Any]]:
        block = 1 << 16
        for begin in range(0, len(line.at), block):
            part = slice(begin, begin + block)
            times = clock.show(time_axis[line.at[part]])
            over = (watts[:, part].sum(axis=0) > mains[part]).astype(int)
            for i, time in enumerate(times, start=begin):
                row_id = [series.rows[line.rows[i]]] if row else []
                cells = [*row_id, time, shortest(mains[i]), over[i - begin]]
                for k in range(len(eval_context.names)):
                    cells += [shortest(line.score[k, i]), int(on[k, i]), shortest(watts[k, i])]
                    true = () if truth is None else (part[k, i] for part in truth)
                    cells += ["" if np.isnan(value) else shortest(value) for value in true]  # a device it lacks
                yield cells

    write_csv(path, header, lines())


def write_energy(path: Path, eval_context: EvalContext, line: Timeline, on: np.ndarray) -> None:
    """energy.csv: a line a day with the kWh of the mains and of each device, of the hours that windows cover."""
    series, seconds = eval_context.series, seconds_of(eval_context.series)
    assert series.clock is not None and series.time is not None
    days = series.clock.wall(series.time[line.at]) // DAY
    power = np.concatenate([series.values[:1, line.at], line.watts * on])
    found, kwh = energy_by_day(power, days, seconds)
    hours = np.bincount(np.searchsorted(found, days), minlength=len(found)) * seconds / 3600
    shown = np.datetime_as_string(found.astype("datetime64[D]"))
    header = ["day", "hours", MAINS, *eval_context.names]
    lines = ([d, f"{h:.4g}", *(f"{k:.4f}" for k in row)] for d, h, row in zip(shown, hours, kwh.T, strict=True))
    write_csv(path, header, lines)


def write_scales(folder: Path, eval_context: EvalContext, factor: Sequence[float]) -> None:
    """Write normalizer.json: mean and deviation of each input, and by how many watts an output of 1 stands for [K]."""
    outputs = {"outputs": list(eval_context.names), "output_factor": list(factor), "output_unit": "W"}
    write_json(folder / "normalizer.json", {**eval_context.scaler, **outputs})


def write_devices(folder: Path, found: Mapping[str, Any]) -> None:
    """Write kpis.json, and per_device_metrics.csv with a line for each device."""
    write_json(folder / "kpis.json", found)
    devices = found["devices"]
    keys = [key for key, value in next(iter(devices.values())).items() if not isinstance(value, dict)]
    lines = ([name, *("" if row[key] is None else row[key] for key in keys)] for name, row in devices.items())
    write_csv(folder / "per_device_metrics.csv", ["device", *keys], lines)


def always(on: float, mean: np.ndarray) -> Predictor:
    """The same for every step: states of `on`, and so much of the mean [K] watts."""
    row = np.concatenate([np.full(len(mean), on, np.float32), on * mean])
    return lambda index: np.tile(row[None, :, None], (len(index), 1, index.length))


def by_mains(eval_context: EvalContext, train: Index, mean: np.ndarray) -> Predictor:
    """On where the mains reach the level with the best F1 of a device in training; then `mean` [K] watts."""
    mains = eval_context.series.values[0]
    seen = train.targeted(len(mains))
    assert isinstance(eval_context.targets, DeviceTargets)
    cuts = np.unique(np.quantile(mains[seen], np.linspace(0, 1, 200)))
    cut = []
    for states in eval_context.targets.states:
        curve = f1_curve(states[seen], mains[seen], cuts)
        cut.append(cuts[np.nanargmax(curve)] if np.isfinite(curve).any() else np.inf)
    level = np.asarray(cut, np.float32)[None, :, None]

    def predict(index: Index) -> np.ndarray:
        view = np.lib.stride_tricks.sliding_window_view(mains, index.length)[index.starts()]
        on = (view[:, None] >= level).astype(np.float32)
        return np.concatenate([on, on * mean[None, :, None]], axis=1)

    return predict


def judged_stride(stride: int, context_len: int) -> int:
    """At most ten windows over a step are averaged, however small the stride of training is."""
    return max(stride, context_len // MOST_OVERLAP)
