"""The inputs of a model from a meter's series: power, the change of power, and further features."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from data import Series
from errors import UsageError
from scaler import Scaler
from tasks.nilm.states import rolling_minimum, runs
from times.frequencies import fixed_freq
from windows import Readable, read, stretches

MAINS = "mains"
CHANGE, ABOVE, HOUR = "mains change", "mains above minimum", ("hour sine", "hour cosine")
LOG = "log "
ALONE = "power"
FEATURES = (MAINS, CHANGE, ABOVE, *HOUR, *(LOG + name for name in (MAINS, CHANGE, ABOVE)))
BASE_SECONDS = 1800  # the least power over them counts as the load that always runs
LEAST = "minimum"  # of mains over BASE_SECONDS
RUN_BYTES = 12  # of a run of equal values: where it begins, and the value
KNEE = 20.0  # W
DAY = 24 * 3600 * 10**9  # ns
SECONDS = {"s": 1, "sec": 1, "min": 60, "h": 3600}


def step_seconds(text: str) -> int:
    """Seconds of a step that `--resample` names: 8s, 1min. UsageError for anything else."""
    found = re.fullmatch(r"(\d*)\s*(s|sec|min|h)", text.strip())
    if not found or found[1] == "0":
        raise UsageError(f"{text!r} is not a step of whole seconds", where="--resample", hint="1s, 6s, 8s, 1min")
    return int(found[1] or 1) * SECONDS[found[2]]


def seconds_of(series: Series) -> float:
    """Seconds of a step of a series with a clock."""
    assert series.clock is not None
    return series.clock.step / 1e9


def coarser(series: Series, seconds: int) -> Series:
    """One row of one-second steps as means over `seconds`, from multiples of it on; NaN where a second is missing."""
    assert series.n_rows == 1 and series.time is not None and series.clock is not None
    if seconds == 1:
        return series
    step = seconds * 10**9
    skip = int(-series.time[0] % step) // 10**9
    steps = (len(series.time) - skip) // seconds
    kept = slice(skip, skip + steps * seconds)
    values = series.values[:, kept].reshape(series.n_channels, steps, seconds).mean(axis=2)
    clock = replace(series.clock, freq=fixed_freq(step))
    offsets = np.array([0, steps], np.int64)
    return replace(series, values=values, offsets=offsets, time=series.time[kept][::seconds], clock=clock)


def devices_of(channels: Sequence[str]) -> list[str]:
    """The channels that are devices: those that are not features."""
    return [name for name in channels if name not in FEATURES]


def features(extra: Sequence[str]) -> tuple[str, ...]:
    """The names of a model's inputs.

    The change of power is in watts per step, 0 after a gap; it is scaled like every input, since raw watts ruin a
    recurrent model. `above`: power above the minimum over half an hour, as far as no gap or end interrupts it, which
    separates a fridge from the base load; it looks ahead. `log`: the same on a scale that is linear below 20 W and
    logarithmic above, so that a lamp is visible beside a kettle. `power`: without the change.
    """
    change = () if ALONE in extra else (CHANGE,)
    plain = (MAINS, *change, *((ABOVE,) if "above" in extra else ()))
    logs = tuple(LOG + name for name in plain) if "log" in extra else ()
    return (*plain, *logs, *(HOUR if "hour" in extra else ()))


class MeterFeatures:
    """The inputs of a model, computed from the power alone as windows are read; the series has mains, then devices."""

    def __init__(self, series: Series, extra: Sequence[str]) -> None:
        self.series, self.channels = series, features(extra)

    def columns(self) -> Iterator[np.ndarray]:
        """Each input unscaled, float32 [total]."""
        for name in self.channels:
            values = self._column(name.removeprefix(LOG))
            if name.startswith(LOG):
                values = np.divide(
                    values, KNEE, out=None if np.may_share_memory(values, self.series.values) else values
                )
                np.arcsinh(values, out=values)
            yield values
            del values  # before the next one is computed

    def _column(self, name: str) -> np.ndarray:
        series = self.series
        mains: np.ndarray = series.values[0]
        if name == CHANGE:
            change = np.empty_like(mains)
            np.subtract(mains[1:], mains[:-1], out=change[1:])
            change[series.offsets[:-1]] = 0
            change[np.isnan(change) & ~np.isnan(mains)] = 0
            return change
        if name == ABOVE:
            least = self._column(LEAST)
            above: np.ndarray = np.subtract(mains, least, out=least)
            return above
        if name == LEAST:  # 0 where there is no reading
            width = max(round(BASE_SECONDS / seconds_of(series)), 1)
            least = np.zeros_like(mains)
            for begin, end in stretches(~np.isnan(mains), series.offsets):
                least[begin:end] = rolling_minimum(mains[begin:end], width, centred=True)
            return least
        if name in HOUR:
            assert series.clock is not None and series.time is not None
            angle = 2 * np.pi * (series.clock.wall(series.time) % DAY) / DAY
            wave: np.ndarray = np.sin(angle) if name == HOUR[0] else np.cos(angle)
            return wave.astype(np.float32)
        return mains

    def read(self, scaler: Scaler, device: torch.device) -> MeterInputs:
        """The inputs on a device. Stored are the power, and the inputs that need more of it than a window."""
        stored = [name for name in (MAINS, *HOUR) if name in self.channels]
        columns: dict[str, torch.Tensor | Readable] = {
            name: torch.from_numpy(self._column(name))[None].to(device) for name in stored
        }
        if ABOVE in self.channels:
            columns[LEAST] = held(self._column(LEAST), device)
        firsts = torch.from_numpy(self.series.offsets[:-1]).to(device)
        return MeterInputs(columns, self.channels, scaler, firsts, seconds_of(self.series))


def held(values: np.ndarray, device: torch.device) -> torch.Tensor | Readable:
    """A column [total] as windows read it: as its runs of equal values where these take less, without NaN."""
    starts, _ = runs(values)
    if len(starts) * RUN_BYTES >= values.nbytes:
        return torch.from_numpy(values)[None].to(device)
    return Held(torch.from_numpy(starts).to(device), torch.from_numpy(values[starts]).to(device), len(values))


class Held:
    """A column whose values [R] hold from each of the `starts` [R] to the next: a minimum over half an hour does so."""

    def __init__(self, starts: torch.Tensor, values: torch.Tensor, total: int) -> None:
        self._starts, self._values = starts, values
        self.device, self.shape = values.device, (1, total)

    def read(self, starts: torch.Tensor, length: int) -> torch.Tensor:
        """Starts [B] -> [B, 1, L]."""
        at = starts[:, None] + torch.arange(length, device=self.device)
        return self._values[torch.searchsorted(self._starts, at, right=True) - 1][:, None]


class MeterInputs:
    """The model's inputs [C, total], computed as windows [B, C, L] are read."""

    def __init__(
        self,
        columns: Mapping[str, torch.Tensor | Readable],
        channels: Sequence[str],
        scaler: Scaler,
        firsts: torch.Tensor,
        step_seconds: float,
    ) -> None:
        self._columns, self._channels, self._firsts, self.step_seconds = columns, channels, firsts, step_seconds
        mains = columns[MAINS]
        assert isinstance(mains, torch.Tensor)
        self._mains, self.device, self.shape = mains, firsts.device, (len(channels), mains.shape[1])
        moments = (torch.tensor(v, dtype=torch.float32, device=firsts.device) for v in (scaler.mean, scaler.std))
        self._mean, self._std = (moment[:, None] for moment in moments)

    def least(self, starts: torch.Tensor, length: int) -> torch.Tensor:
        """The least power of windows that start there, W [B]."""
        return read(self._mains, starts, length)[:, 0].amin(dim=1)

    def read(
        self, starts: torch.Tensor, length: int, more: torch.Tensor | None = None, base: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Starts [B] -> float32 [B, C, L]; `more` watts [B, L] are added to the meter, the first also before it.

        The minimum over half an hour is assumed not to change. `base` watts [B] are added to the meter and to that
        minimum: nothing else changes.
        """
        seen = {name: read(values, starts, length)[:, 0] for name, values in self._columns.items()}
        if LEAST in seen:
            seen[ABOVE] = seen[MAINS] - seen[LEAST]
        before = self._mains[0, (starts - 1).clamp(min=0)][:, None]
        if more is not None:
            seen |= {name: seen[name] + more for name in (MAINS, ABOVE) if name in seen}
            before = before + more[:, :1]
        change = torch.diff(seen[MAINS], dim=1, prepend=before)
        if base is not None:
            seen[MAINS] = seen[MAINS] + base[:, None]
        new = torch.isin(starts, self._firsts) | change[:, 0].isnan()  # a row or stretch begins
        change[:, 0] = torch.where(new, 0, change[:, 0])
        seen[CHANGE] = change
        shown = [
            torch.asinh(seen[name.removeprefix(LOG)] / KNEE) if name.startswith(LOG) else seen[name]
            for name in self._channels
        ]
        scaled: torch.Tensor = (torch.stack(shown, dim=1) - self._mean) / self._std
        return scaled


def header(path: Path, sep: str) -> set[str]:
    """The column names of a long CSV."""
    from readers.files import read_header

    return set(read_header(path, sep))
