"""A house's meters, each with readings at its own times, on one regular grid: the Series that NILM learns from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data import Series, Source
from errors import DataError, UsageError
from times.clock import Clock
from times.frequencies import fixed_freq
from times.stamps import check_zone

SECOND = 10**9  # ns
MAINS = "mains"  # the first channel
BLOCK = 1 << 20  # steps, or seconds that held readings are spread over, at once
MAX_FILL = 60.0  # seconds without a sample that are filled
SLACK = 0.1  # of the time from reading to reading: so much later the first may come in a step that is whole
ABOVE = (1.05, 10.0)  # devices are more than mains by this factor and so many W, beyond the meters' own errors


@dataclass(frozen=True, eq=False)
class Readings:
    """A meter's readings: times int64 ns [m], in order, and finite watts float32 [m].

    `held`: the meter reports when its value changes, times are whole seconds, each another one, and a value holds until
    the next. `counts`: a register; `watts` are the watt hours that it shows, float64, each at another time.
    Otherwise readings are samples, of which several may have one time.
    """

    times: np.ndarray
    watts: np.ndarray
    held: bool = False
    counts: bool = False

    @property
    def twice(self) -> int:
        """How many readings have the time of the one before."""
        return int((self.times[1:] == self.times[:-1]).sum())

    @property
    def spacing(self) -> float:
        """The usual time from one reading to the next, ns: the median; 0 where each holds until the next."""
        steps = np.diff(self.times)
        return 0.0 if self.held or not steps.any() else float(np.median(steps[steps > 0]))


@dataclass(frozen=True, eq=False)
class House:
    """A house's meters, whose columns are read when they are needed.

    `mains` are columns that are summed, `devices` the names of each column. `load` reads columns.
    """

    name: str
    where: str
    mains: tuple[str, ...]
    devices: Mapping[str, tuple[str, ...]]
    load: Callable[[Sequence[str]], tuple[dict[str, Readings], list[Source]]]


@dataclass(frozen=True)
class Grid:
    """Steps of `step` ns from `first` on, which is a multiple of it."""

    first: int
    step: int
    steps: int

    @property
    def times(self) -> np.ndarray:
        return self.first + np.arange(self.steps, dtype=np.int64) * self.step

    @property
    def end(self) -> int:
        return self.first + self.steps * self.step


@dataclass(frozen=True)
class Plan:
    """The grid that the flags ask for: `step` ns, cuts in ns (None: none), the longest gap in ns that is filled."""

    step: int
    start: int | None
    end: int | None
    longest: int
    tz: str

    def show(self, time: int) -> str:
        return Clock("s", self.tz).show(np.array([time]) // SECOND * SECOND)[0]


def plan(sample: float, start: str, end: str, longest: float, tz: str) -> Plan:
    """A plan of seconds and texts. `start` and `end` without an offset are times in `tz`, "" for none.

    UsageError for a step that is not whole seconds, and for text that is not a time or not a zone.
    """
    if sample < 1 or sample != int(sample):
        raise UsageError(f"a step of {sample:g} s is not a whole number of seconds", where="--resample")
    check_zone(tz)
    cuts = [moment(text, tz, flag) if text else None for text, flag in ((start, "--start"), (end, "--end"))]
    if cuts[0] is not None and cuts[1] is not None and cuts[0] >= cuts[1]:
        raise UsageError(f"{end} is not after --start {start}", where="--end")
    return Plan(int(sample) * SECOND, cuts[0], cuts[1], round(longest * SECOND), tz)


def moment(text: str, tz: str, flag: str) -> int:
    """A time as ns since 1970; in `tz`, where it has no offset. UsageError for any other text."""
    import pandas

    try:
        stamp = pandas.Timestamp(text)
        if stamp.tzinfo is None and tz:
            stamp = stamp.tz_localize(tz, ambiguous=True, nonexistent="shift_forward")
        if stamp is not pandas.NaT:
            return int(stamp.as_unit("ns").value)
    except ValueError:
        pass
    hint = "such as 2015-01-04, 2015-01-04 12:00:00 or, with an offset, 2015-01-04 12:00:00+01:00"
    raise UsageError(f"{text!r} is not a date and time", where=flag, hint=hint)


UNITS = {"W": (1.0, False), "kW": (1000.0, False), "Wh": (1.0, True), "kWh": (1000.0, True)}  # factor, a register


def readings(times: np.ndarray, watts: np.ndarray, held: bool = False, unit: str | float = "W") -> Readings:
    """Readings in order of time, without missing and infinite ones. `unit` is one of UNITS, or so many W.

    Held ones count from the second that they round to, a half to the even one; of several in one second, or of a
    register at one time, the last.
    """
    factor, counts = UNITS[unit] if isinstance(unit, str) else (unit, False)
    known = np.isfinite(watts)
    if not known.all():
        times, watts = times[known], watts[known]
    if (np.diff(times) < 0).any():
        order = np.argsort(times, kind="stable")
        times, watts = times[order], watts[order]
    if held:
        times = np.rint(times / SECOND).astype(np.int64) * SECOND
    if held or counts:
        last = np.append(times[1:] != times[:-1], True)[: len(times)]
        times, watts = times[last], watts[last]
    if counts:
        return Readings(times, watts * factor, counts=True)
    scaled = watts if factor == 1 else watts * factor
    return Readings(times, scaled.astype(np.float32, copy=False), held)


# ---- one meter


def on_grid(meter: Readings, grid: Grid, longest: int) -> np.ndarray:
    """A meter's power, float32 [steps], NaN where it is unknown.

    Samples: the mean of those within a step; a step without any has the reading before (of several at one time the
    mean), unless the next one, or the end of the grid, is more than `longest` ns after that. Held values: the mean over
    the seconds of a step that have one; a value holds until the next, and for `longest` ns at most. Registers: what
    they rose by within a step, of which all must lie between readings at most `longest` ns apart that do not fall.
    """
    if meter.counts:
        return _counted(meter, grid, longest)
    return _held(meter, grid, longest) if meter.held else _sampled(meter, grid, longest)


def _sampled(meter: Readings, grid: Grid, longest: int) -> np.ndarray:
    power = np.empty(grid.steps, np.float32)
    for start in range(0, grid.steps, BLOCK):
        steps = min(BLOCK, grid.steps - start)
        power[start : start + steps] = _means(meter, Grid(grid.first + start * grid.step, grid.step, steps))
    empty = np.flatnonzero(np.isnan(power))
    last = np.searchsorted(meter.times, grid.first + empty * grid.step, "right") - 1
    empty, last = empty[last >= 0], last[last >= 0]
    until = np.append(meter.times, max(grid.end, int(meter.times[-1])) if len(meter.times) else 0)[last + 1]
    short = until - meter.times[last] <= longest
    last = last[short]
    before = meter.watts[last].astype(np.float64)
    first = np.searchsorted(meter.times, meter.times[last], "left")
    for several in np.flatnonzero(first < last):
        before[several] = meter.watts[first[several] : last[several] + 1].mean(dtype=np.float64)
    power[empty[short]] = before
    return power


def _means(meter: Readings, grid: Grid) -> np.ndarray:
    """Of the samples within each step, float64 [steps]; NaN without any."""
    begin, end = np.searchsorted(meter.times, [grid.first, grid.end])
    at = (meter.times[begin:end] - grid.first) // grid.step
    counts = np.bincount(at, minlength=grid.steps)
    sums = np.bincount(at, meter.watts[begin:end], minlength=grid.steps)
    means: np.ndarray = np.divide(sums, counts, out=np.full(grid.steps, np.nan), where=counts > 0)
    return means


def _counted(meter: Readings, grid: Grid, longest: int) -> np.ndarray:
    power = np.full(grid.steps, np.nan, np.float32)
    if len(meter.times) < 2:
        return power
    rise = np.diff(meter.watts)
    unknown = np.append((rise < 0) | (np.diff(meter.times) > longest), True)  # from a reading on, until the next
    used = np.concatenate([[0.0], np.cumsum(np.maximum(rise, 0))])
    edges = grid.first + np.arange(grid.steps + 1, dtype=np.int64) * grid.step
    shown = np.interp(edges - meter.times[0], meter.times - meter.times[0], used)
    first = np.searchsorted(meter.times, edges[:-1], "right") - 1  # the reading before the step, the one before its end
    last = np.searchsorted(meter.times, edges[1:], "left") - 1
    before = np.concatenate([[0], np.cumsum(unknown)])
    known = (first >= 0) & (before[last + 1] == before[np.maximum(first, 0)])
    power[known] = np.diff(shown)[known] * (3600 * SECOND / grid.step)
    return power


def _held(meter: Readings, grid: Grid, longest: int) -> np.ndarray:
    each = grid.step // SECOND
    power = np.full(grid.steps, np.nan, np.float32)
    block = max(1, BLOCK // each)
    for start in range(0, grid.steps if len(meter.times) else 0, block):
        steps = min(block, grid.steps - start)
        at = grid.first + start * grid.step + np.arange(steps * each, dtype=np.int64) * SECOND
        last = np.searchsorted(meter.times, at, "right") - 1
        known = ((last >= 0) & (at - meter.times[last] <= longest)).reshape(steps, each)
        sums = meter.watts[last].reshape(steps, each).sum(axis=1, dtype=np.float64, where=known)
        counts = known.sum(axis=1)
        power[start : start + steps] = np.divide(sums, counts, out=np.full(steps, np.nan), where=counts > 0)
    return power


# ---- all houses


def gather(
    houses: Sequence[House],
    columns: Mapping[str, Sequence[str | None]],
    wanted: Plan,
    notes: Sequence[str],
    optional: bool = False,
) -> Series:
    """All houses, each with its meters, as rows of one Series in W.

    Parameters
    ----------
    columns : the column of each device in each house, [name][house]; None where a house lacks the device, whose values
        are then missing. Channel 0 is "mains", then these.
    wanted : step, range and filling.
    notes : what is already known, for the Series.
    optional : whether all houses may lack readings of a device.

    Raises
    ------
    UsageError : a device named mains.
    DataError : no house has data in the range, or a device has no reading in it.
    """
    if MAINS in columns:
        raise UsageError(f"a device cannot be named {MAINS}", where="--device-cols")
    parts, times, names, sources, empty, all_notes = [], [], [], [], [], list(notes)
    for number, house in enumerate(houses):
        devices = [of[number] for of in columns.values()]
        needed = dict.fromkeys([*house.mains, *(column for column in devices if column is not None)])
        meters, files = house.load(list(needed))
        sources += files
        mains = [meters[column] for column in house.mains]
        grid, span, cut = _extent(mains, wanted)
        if grid is None:
            empty.append(f"{house.name} has {span}")
            continue
        power = np.empty((1 + len(columns), grid.steps), np.float32)
        power[0] = sum(on_grid(meter, grid, wanted.longest) for meter in mains)
        for channel, column in enumerate(devices, start=1):
            power[channel] = np.nan if column is None else on_grid(meters[column], grid, wanted.longest)
        all_notes += [f"{house.name}: {text}" for text in (cut, _twice(mains[0])) if text]
        all_notes += _notes(house.name, power, [MAINS, *columns], grid, wanted)
        parts.append(power)
        times.append(grid.times)
        names.append(house.name)
    if not parts:
        raise DataError(f"no data in the range: {'; '.join(empty)}", where=_flags(wanted) or houses[0].where)
    all_notes += [f"warning: left out, with no data in the range: {'; '.join(empty)}"] if empty else []
    values = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    _check_readings(values, [] if optional else list(columns), houses, wanted)
    return Series(
        values=values,
        offsets=np.cumsum([0, *map(len, times)], dtype=np.int64),
        channels=(MAINS, *columns),
        rows=tuple(names),
        sources=tuple(dict.fromkeys(sources)),
        notes=tuple(all_notes),
        time=np.concatenate(times),
        clock=Clock(fixed_freq(wanted.step), wanted.tz),
    )


def _flags(wanted: Plan) -> str:
    cuts = (("--start", wanted.start), ("--end", wanted.end))
    return " ".join(f"{flag} {wanted.show(cut)}" for flag, cut in cuts if cut is not None)


def _twice(meter: Readings) -> str:
    return f"{meter.twice:,} lines of the same time as the line before averaged with it" if meter.twice else ""


def _extent(mains: Sequence[Readings], wanted: Plan) -> tuple[Grid | None, str, str]:
    """The whole steps of the range in which all mains have readings, None where there is none; their span as text.

    And what is left out of it: a first step that they begin within, a last one that they end within.
    """
    if not all(len(meter.times) for meter in mains):
        return None, "no reading of the mains", ""
    first = max(int(meter.times[0]) for meter in mains)
    last = min(int(meter.times[-1]) for meter in mains)
    span = f"mains from {wanted.show(first)} to {wanted.show(last)}"
    step = wanted.step
    begin, end = first // step * step, last // step * step + step
    late = any(meter.times[0] - begin > (1 - SLACK) * meter.spacing for meter in mains if meter.spacing < step)
    reaches = [(meter, wanted.longest if meter.held else meter.spacing) for meter in mains]
    early = any(end - meter.times[-1] > (1 + SLACK) * reach for meter, reach in reaches if reach < step)
    if any(meter.counts for meter in mains):  # what they rose by is known between readings alone
        late, early = begin < first, end > last
    cut = " and ".join(["begin within the first step"] * late + ["end within the last one"] * early)
    begin, end = begin + late * step, end - early * step
    if wanted.start is not None:
        begin = max(begin, -(-wanted.start // step) * step)
    if wanted.end is not None:
        end = min(end, wanted.end // step * step)
    told = f"the mains {cut}, left out" if cut else ""
    return (Grid(begin, step, (end - begin) // step) if begin < end else None), span, told


def _check_readings(values: np.ndarray, names: Sequence[str], houses: Sequence[House], wanted: Plan) -> None:
    """DataError where one of these devices, or the mains, have no reading at all."""
    for name, power in zip(names, values[1:], strict=False):
        if np.isnan(power).all():
            what = f"device {name!r} has no reading while the mains have"
            hint = "leave it out, or choose another range" if _flags(wanted) else "leave it out"
            raise DataError(what, where=houses[0].where if len(houses) == 1 else "", hint=hint)
    if np.isnan(values[0]).all():
        raise DataError("the mains have no value in the range", where=_flags(wanted) or houses[0].where)


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def _notes(house: str, power: np.ndarray, names: Sequence[str], grid: Grid, wanted: Plan) -> list[str]:
    """Notes on a house's power [C, steps]: gaps, silent devices, negative values, devices above the mains."""
    notes = []
    missing = np.isnan(power)
    for name, gone, watts in zip(names, missing, power, strict=True):
        if gone.all():
            notes.append(f"warning: {house}: {name} has no reading in the range")
        elif gone.any():
            edges = np.flatnonzero(np.diff(np.concatenate([[0], gone.view(np.int8), [0]])))
            at = int(np.argmax(edges[1::2] - edges[::2]))
            length = _span(int(edges[2 * at + 1] - edges[2 * at]) * grid.step // SECOND)
            begin = wanted.show(grid.first + int(edges[2 * at]) * grid.step)
            what = f"{house}: {name} has gaps in {gone.sum():,} of {grid.steps:,} steps"
            notes.append(f"{what}; the longest, {length}, begins {begin}")
        if (watts < 0).any():
            counts = f"{int((watts < 0).sum()):,} steps, down to {np.nanmin(watts):.6g} W"
            notes.append(f"warning: {house}: {name} is negative in {counts}")
    known = ~missing.any(axis=0)
    above = power[1:, known].sum(axis=0) > ABOVE[0] * power[0, known] + ABOVE[1]
    if above.any():
        share = above.mean()
        notes.append(f"warning: {house}: the devices sum to more than the mains in {share:.2%} of the steps")
    return notes
