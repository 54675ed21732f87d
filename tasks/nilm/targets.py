"""The targets of nilm: states and watts of the devices, stored once and encoded as windows are read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tasks.base import Task
from tasks.nilm.features import MeterInputs
from tasks.nilm.habits import learned
from tasks.nilm.levels import learned_levels
from tasks.nilm.loads import other_loads
from tasks.nilm.states import UNKNOWN
from tasks.nilm.watts import at_rest
from tasks.targets import Targets, spans
from windows import Index, Windows, read

MOST_WEIGHT = 1e4  # of the rare class, before the root: a device that is never on must not outweigh the others
MOST_BASE = 500.0  # W
PEAK = 0.999  # quantile of a device's power when on, above which watts are clipped in targets


@dataclass(frozen=True)
class DeviceTargets(Targets):
    """Watts and states of K devices; a label is K states, then K watts. A negative reading counts as 0.

    values : float32 [K, total], the watts as they were read.
    states : int8 [K, total], from the rules of `on_states`.
    offsets : int64 [N + 1], where each house begins and ends.
    absent : bool [K, N], the devices that a house does not have: they are unknown there, and no window is left out.
    mains : W, [total], what the house draws.
    """

    states: np.ndarray
    offsets: np.ndarray
    absent: np.ndarray
    mains: np.ndarray

    def usable(self) -> np.ndarray:
        """Mask [total] of the steps at which all devices of the house are known; one device at a time, to save memory.

        In a house without any device no step is.
        """
        usable = np.ones(self.values.shape[1], bool)
        for watts, states, absent in zip(self.values, self.states, self.absent, strict=True):
            known = ~np.isnan(watts)
            known &= states != UNKNOWN
            for row in np.flatnonzero(absent):
                known[self.offsets[row] : self.offsets[row + 1]] = True
            usable &= known
        for row in np.flatnonzero(self.absent.all(axis=0)):
            usable[self.offsets[row] : self.offsets[row + 1]] = False
        return usable

    def at(self, index: Index) -> np.ndarray:
        """States, then watts, at the targets of an index of n windows: float32 [n, 2K, H]; NaN where unknown."""
        states, watts = spans(self.states, index), np.maximum(spans(self.values, index), 0)
        return np.concatenate(
            [np.where(states == UNKNOWN, np.float32(np.nan), states), watts], axis=1, dtype=np.float32
        )

    def during(self, steps: np.ndarray) -> DeviceSample:
        """The labels at the steps of a mask [total]."""
        return DeviceSample(self, steps)

    def read(self, task: Task, device: torch.device) -> DeviceTargetReader:
        """The targets [2K, total] on a device, encoded as windows are read."""
        devices = len(self.states)
        known = {"never_on": [0.0] * devices, **task.fitted, "off_w": at_rest(task.fitted, devices)}
        peak, mean, never_on, off = (
            torch.tensor(known[key], dtype=torch.float32, device=device)[:, None]
            for key in ("peak", "on_mean", "never_on", "off_w")
        )
        states, watts = (torch.from_numpy(values).to(device) for values in (self.states, self.values))
        return DeviceTargetReader(states, watts, peak, mean, never_on == 1, off)


@dataclass(frozen=True)
class DeviceSample:
    """The labels at the steps of a mask, one device at a time."""

    targets: DeviceTargets
    steps: np.ndarray

    def on_rates(self) -> list[float]:
        """The share of the known time that each device is on; NaN where it is never known."""
        states = self.targets.states
        return [_mean(states[k], self.steps & (states[k] != UNKNOWN)) for k in range(len(states))]

    def drawn(self, k: int) -> np.ndarray:
        """Watts float32 of device k at the steps at which it is on."""
        watts: np.ndarray = np.maximum(self.targets.values[k, self.steps & (self.targets.states[k] == 1)], 0)
        return watts

    def rests(self) -> list[float]:
        """The median W of each device while it is off; NaN where it never is."""
        found = []
        for states, watts in zip(self.targets.states, self.targets.values, strict=True):
            off = watts[self.steps & (states == 0) & ~np.isnan(watts)]
            found.append(max(float(np.median(off)), 0.0) if len(off) else math.nan)
        return found

    def activations(self) -> list[int]:
        """How often each device switches on, or is on when the sample or a stretch of it begins."""
        begins = np.diff(self.steps, prepend=False) & self.steps
        begins[self.targets.offsets[:-1]] |= self.steps[self.targets.offsets[:-1]]
        found = []
        for states in self.targets.states:
            on = (states == 1) & self.steps
            before = np.append(False, on[:-1]) & ~begins
            found.append(int((on & ~before).sum()))
        return found

    def habits(self, means: Sequence[float], step: float) -> dict[str, Any]:
        """How long runs last and how the meter jumps with them, see `habits.learned`; `means` W when on, [K]."""
        targets = self.targets
        return learned(targets.states, self.steps, targets.mains, targets.offsets, means, step)

    def means(self) -> list[float]:
        """Shares of time on [K], then mean watts [K]; [] without a step."""
        if not self.steps.any():
            return []
        return self.on_rates() + [_mean(watts, self.steps & ~np.isnan(watts)) for watts in self.targets.values]


def constants_of(
    sample: DeviceSample,
    kept: Mapping[str, Any] | None,
    elsewhere: Mapping[int, tuple[float, np.ndarray]],
    *,
    levels: bool,
) -> dict[str, Any]:
    """Of each device the share of time on and the weight of it, the power when off, and when on: its mean, a peak to
    clip at, and levels of it in units of the mean.

    Parameters
    ----------
    sample : the labels of training, of K devices.
    kept : constants of a checkpoint, whose units of power stay, as does what is known of devices that the data lack.
        Those of a device that it was not taught are learned anew.
    elsewhere : {device: (share of time on, watts while on)} of traces from other houses; of a device that is never on
        in `sample`, they are all that is learned from.
    levels : whether levels are learned too.

    Returns
    -------
    {name: [K]}; "levels" [K, M], if they are there; "never_on" is 1 for a device that nothing is learned of.
    """
    rate = np.array(sample.on_rates())
    others = {k: found for k, found in elsewhere.items() if rate[k] == 0}
    for k, (share, _) in others.items():
        rate[k] = share

    def powers(k: int, levels: bool) -> dict[str, Any]:
        return _powers(others[k][1] if k in others else sample.drawn(k), levels=levels)

    never = (rate == 0).astype(np.float64)
    weight = np.minimum((1 - rate) / np.maximum(rate, 1 / MOST_WEIGHT), MOST_WEIGHT)
    rests = np.where(never == 1, 0.0, sample.rests())
    if kept is None:
        each = [powers(k, levels) for k in range(len(rate))]
        found = {"base_rate": rate.tolist(), "pos_weight": weight.tolist(), "never_on": never.tolist()}
        found["off_w"] = np.nan_to_num(rests).tolist()
        return found | {name: [of_device[name] for of_device in each] for name in each[0]}
    taught = {name: list(kept[name]) for name in ("on_mean", "peak", "levels") if name in kept}
    untaught = np.array(kept.get("never_on", np.zeros(len(rate))))
    for k in np.flatnonzero((untaught == 1) & (rate > 0)).tolist():
        for name, value in powers(k, "levels" in kept).items():
            taught[name][k] = value
    lacking = np.isnan(rate)
    found = {"base_rate": rate, "pos_weight": weight, "never_on": never * untaught}
    old = {"never_on": untaught, **kept}
    rests = np.where(np.isnan(rests), at_rest(kept, len(rate)), rests)
    again = {name: np.where(lacking, old[name], fresh).tolist() for name, fresh in found.items()}
    return again | {"off_w": rests.tolist()} | taught


def _powers(drawn: np.ndarray, *, levels: bool) -> dict[str, Any]:
    """The mean of what a device draws while it is on, W; a peak to clip at; levels in units of the mean, if asked."""
    mean = float(drawn.mean(dtype=np.float64)) if len(drawn) else 0.0
    mean = mean if mean > 0 else 1.0
    peak = float(np.quantile(drawn, PEAK)) if len(drawn) else 1.0
    found: dict[str, Any] = {"on_mean": mean, "peak": peak}
    return found | ({"levels": learned_levels(np.minimum(drawn, peak) / mean)} if levels else {})


def _mean(values: np.ndarray, known: np.ndarray) -> float:
    """The mean of the known values, negative ones counted as 0, without a copy; NaN if there are none."""
    total = np.sum(values, where=known & (values > 0), dtype=np.float64)
    return float(total / known.sum()) if known.any() else math.nan


class DeviceTargetReader:
    """Windows [B, 2K, L] of targets: states, then watts up to the device's peak in units of its mean when on.

    `untaught` bool [K, 1] are devices of which nothing is learned, `off` [K, 1] the W of each while it is off.
    """

    def __init__(
        self,
        states: torch.Tensor,
        watts: torch.Tensor,
        peak: torch.Tensor,
        mean: torch.Tensor,
        untaught: torch.Tensor,
        off: torch.Tensor,
    ) -> None:
        self.off = off
        self._states, self._watts, self._peak, self._mean, self._untaught = states, watts, peak, mean, untaught
        self.device, self.shape = states.device, (2 * len(states), states.shape[1])

    def read(self, starts: torch.Tensor, length: int) -> torch.Tensor:
        """Starts [B] -> float32 [B, 2K, L]."""
        return self.encoded(*self.drawn(starts, length))

    def drawn(self, starts: torch.Tensor, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Starts [B] -> states and watts, float32 [B, K, L]."""
        return read(self._states, starts, length).to(torch.float32), read(self._watts, starts, length).clamp(min=0)

    def encoded(self, states: torch.Tensor, watts: torch.Tensor) -> torch.Tensor:
        """States and watts [B, K, L] as the loss sees them: [B, 2K, L], NaN where nothing is learned of the device."""
        states = torch.where((states == UNKNOWN) | self._untaught, torch.nan, states)
        return torch.cat([states, torch.minimum(watts, self._peak) / self._mean], dim=1)


class Overlaid(Windows):
    """Training windows with traces of devices from other training windows added at random (augmentation).

    A house has few days and fewer runs of a device. A run at another hour, over another load, is one more to learn from
    (as in the synthetic aggregates of Kelly and Knottenbelt 2015, section 4). The watts are added to the meter and to
    the device; a device that is on in both windows is not changed. Random numbers come from torch's generator on the
    CPU, whose state a checkpoint keeps.

    Parameters
    ----------
    inputs, targets, index : as for `Windows`.
    chance : probability of an added trace, for each device of a window.
    base : probability of another base load: the least power of a window becomes any from 0 to MOST_BASE. The level of
        one house says nothing of another one's.
    loads : probability of a load that is none of the devices (loads.py).
    """

    def __init__(
        self,
        inputs: MeterInputs,
        targets: DeviceTargetReader,
        index: Index,
        chance: float,
        base: float = 0.0,
        loads: float = 0.0,
    ) -> None:
        super().__init__(inputs, targets, index)
        self.meter, self.devices = inputs, targets
        self.chance, self.base, self.loads = chance, base, loads

    def gather(self, positions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        starts, length = positions[0], self.index.length
        states, watts = self.devices.drawn(starts, length)
        more_states, more_watts = self.more(len(starts), length)
        chosen = torch.rand(watts.shape[:2]).to(self.device) < self.chance
        chosen &= ~(states.any(dim=2) & more_states.any(dim=2))
        chosen &= ~(watts + more_watts).isnan().any(dim=2)  # a house that does not have the device
        more_watts = torch.where(chosen[:, :, None], more_watts, 0)
        more = more_watts.sum(dim=1) + self._other_loads(len(starts), length)
        x = self.meter.read(starts, length, more, self._other_base(starts, length))
        return x, self.devices.encoded(
            torch.maximum(states, torch.where(chosen[:, :, None], more_states, 0)), watts + more_watts
        )

    def more(self, count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """States and watts [count, K, length] that may be added: other windows, less what is drawn at rest."""
        others = self.locate(torch.randint(len(self), (count,)).to(self.device))[0]
        states, watts = self.devices.drawn(others, length)
        return states, (watts - self.devices.off).clamp(min=0)

    def _other_loads(self, count: int, length: int) -> torch.Tensor:
        """Watts [count, length] of loads that are none of the devices."""
        return other_loads(count, length, self.meter.step_seconds, self.loads).to(self.device)

    def _other_base(self, starts: torch.Tensor, length: int) -> torch.Tensor | None:
        """Watts [B] to add to the meter of each window; None where no base load ever changes."""
        if not self.base:
            return None
        level, dice = torch.rand(2, len(starts)).to(self.device)
        return torch.where(dice < self.base, MOST_BASE * level - self.meter.least(starts, length), 0)
