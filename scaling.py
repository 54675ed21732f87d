"""The input scaler: a mean and a standard deviation a channel, from what training sees alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scaler:
    """z = (x - mean) / std by channel; a channel that is constant in training is only centred."""

    mean: np.ndarray  # float64 [C]
    std: np.ndarray  # float64 [C]
    channels: tuple[str, ...]

    @classmethod
    def fit(cls, values: np.ndarray, seen: np.ndarray, channels: Sequence[str]) -> Scaler:
        """From values [C, total] at the steps that training sees (a mask), each step once."""
        mean = np.empty(len(values))
        std = np.empty(len(values))
        for c, channel in enumerate(values):  # one channel at a time: a mask makes a copy
            steps = channel[seen].astype(np.float64)
            mean[c], std[c] = np.nanmean(steps), np.nanstd(steps)
        return cls(mean, np.where(std > 1e-12 * np.abs(mean), std, 1.0), tuple(channels))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """[C, total] -> the same, scaled, float32: the one copy that a run makes of its data."""
        scaled = np.empty(values.shape, np.float32)
        for c, channel in enumerate(values):
            np.subtract(channel, self.mean[c], out=scaled[c], casting="unsafe")
            scaled[c] /= self.std[c]
        return scaled

    def plain(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist(), "channels": list(self.channels)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Scaler:
        """From a checkpoint."""
        return cls(np.asarray(plain["mean"]), np.asarray(plain["std"]), tuple(plain["channels"]))


def constant_channels(values: np.ndarray, seen: np.ndarray, channels: Sequence[str]) -> list[str]:
    """The channels of [C, total] that never change at the steps that training sees."""
    return [n for n, row in zip(channels, values, strict=True) if np.nanmin(row[seen]) == np.nanmax(row[seen])]
