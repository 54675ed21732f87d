"""What nilm learns of the devices: their states and watts, held once and encoded as windows are read."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from tasks.base import Task
from tasks.nilm.features import MeterInputs
from tasks.nilm.states import UNKNOWN
from tasks.targets import Targets, spans
from windows import Index, Windows, read


@dataclass(frozen=True)
class DeviceTargets(Targets):
    """`values` float32 [K, total] are the watts as they were read, `states` int8 [K, total] what the rules say of them.

    A label is K states, then K watts; a negative reading is 0.
    """

    states: np.ndarray

    def usable(self) -> np.ndarray:
        """Steps bool [total] at which all is known; one device at a time, since a mask of all is large as well."""
        usable = np.ones(self.values.shape[1], bool)
        for watts, states in zip(self.values, self.states, strict=True):
            usable &= ~np.isnan(watts)
            usable &= states != UNKNOWN
        return usable

    def at(self, index: Index) -> np.ndarray:
        states, watts = spans(self.states, index), np.maximum(spans(self.values, index), 0)
        return np.concatenate(
            [np.where(states == UNKNOWN, np.float32(np.nan), states), watts], axis=1, dtype=np.float32
        )

    def during(self, steps: np.ndarray) -> DeviceSample:
        return DeviceSample(self, steps)

    def read(self, task: Task, home: torch.device) -> DeviceTargetReader:
        return DeviceTargetReader(
            torch.from_numpy(self.states).to(home),
            torch.from_numpy(self.values).to(home),
            *(torch.tensor(task.fitted[key], dtype=torch.float32, device=home)[:, None] for key in ("peak", "on_mean")),
        )


@dataclass(frozen=True)
class DeviceSample:
    """The labels at the steps of a mask, one device at a time."""

    targets: DeviceTargets
    steps: np.ndarray

    def on_rates(self) -> list[float]:
        """The share of the known time that each device is on; NaN where none is known."""
        states = self.targets.states
        return [_mean(states[k], self.steps & (states[k] != UNKNOWN)) for k in range(len(states))]

    def drawn(self, k: int) -> np.ndarray:
        """Watts float32 of device k at the steps at which it is on."""
        watts: np.ndarray = np.maximum(self.targets.values[k, self.steps & (self.targets.states[k] == 1)], 0)
        return watts

    def means(self) -> list[float]:
        """Shares of time on, then mean watts."""
        if not self.steps.any():
            return []
        return self.on_rates() + [_mean(watts, self.steps & ~np.isnan(watts)) for watts in self.targets.values]


def _mean(values: np.ndarray, known: np.ndarray) -> float:
    """The mean of what is known, a negative value taken as 0, without a copy; NaN of nothing."""
    total = np.sum(values, where=known & (values > 0), dtype=np.float64)
    return float(total / known.sum()) if known.any() else math.nan


class DeviceTargetReader:
    """Windows [B, 2K, L] of targets: states, then watts up to the device's peak in units of its mean when on."""

    def __init__(self, states: torch.Tensor, watts: torch.Tensor, peak: torch.Tensor, mean: torch.Tensor) -> None:
        self._states, self._watts, self._peak, self._mean = states, watts, peak, mean
        self.device, self.shape = states.device, (2 * len(states), states.shape[1])

    def read(self, starts: torch.Tensor, length: int) -> torch.Tensor:
        """Starts [B] -> float32 [B, 2K, L]."""
        return self.encoded(*self.drawn(starts, length))

    def drawn(self, starts: torch.Tensor, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Starts [B] -> states and watts, float32 [B, K, L]."""
        return read(self._states, starts, length).to(torch.float32), read(self._watts, starts, length).clamp(min=0)

    def encoded(self, states: torch.Tensor, watts: torch.Tensor) -> torch.Tensor:
        """States and watts [B, K, L] as the loss sees them: [B, 2K, L]."""
        return torch.cat([states, torch.minimum(watts, self._peak) / self._mean], dim=1)


class Overlaid(Windows):
    """Training windows over which traces of their devices from other training windows are laid, at random.

    A house's days are few, its devices' runs fewer: a run in another hour, over another load, is one more to learn from
    (as Kelly and Knottenbelt 2015, section 4, make their synthetic aggregates). Its watts are added to the meter and to
    the device; a device that is on in both windows is left as it is. Drawn from torch's generator on the CPU, whose
    state a checkpoint keeps.
    """

    def __init__(self, inputs: MeterInputs, targets: DeviceTargetReader, index: Index, chance: float) -> None:
        super().__init__(inputs, targets, index)
        self.meter, self.devices, self.chance = inputs, targets, chance

    def gather(self, positions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        starts, length = positions[0], self.index.length
        states, watts = self.devices.drawn(starts, length)
        others = self.locate(torch.randint(len(self), (len(starts),)).to(self.device))[0]
        more_states, more_watts = self.devices.drawn(others, length)
        chosen = torch.rand(watts.shape[:2]).to(self.device) < self.chance
        chosen &= ~(states.any(dim=2) & more_states.any(dim=2))
        more_watts = more_watts * chosen[:, :, None]
        x = self.meter.read(starts, length, more_watts.sum(dim=1))
        return x, self.devices.encoded(torch.maximum(states, more_states * chosen[:, :, None]), watts + more_watts)
