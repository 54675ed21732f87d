"""The input scaler: a mean and a standard deviation a channel, from what training sees alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

PART = 1 << 20  # steps that are looked at together


@dataclass(frozen=True)
class Scaler:
    """z = (x - mean) / std by channel; a channel that is constant in training is only centred."""

    mean: np.ndarray  # float64 [C]
    std: np.ndarray  # float64 [C]
    channels: tuple[str, ...]
    constant: tuple[str, ...] = ()  # channels without information in training

    @classmethod
    def fit(cls, values: Iterable[np.ndarray], seen: np.ndarray, channels: Sequence[str]) -> Scaler:
        """From C channels [total] at the steps that training sees (a mask), each step once.

        A channel that is constant there is told in `constant`.
        """
        moments = np.array(list(map(partial(_moments, seen), values)))  # which lets go of each before it takes the next
        mean, std, constant = moments.T
        still = tuple(name for name, same in zip(channels, constant, strict=True) if same)
        return cls(mean, usable(mean, std), tuple(channels), still)

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


def usable(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Deviations [C] to divide by: 1 where a channel is constant but for rounding."""
    return np.where(std > 1e-12 * np.abs(mean), std, 1.0)


def _moments(seen: np.ndarray, channel: np.ndarray) -> tuple[float, float, bool]:
    """Mean, standard deviation and whether all is one value, of what is not NaN at the steps of a mask.

    A part at a time, since a choice of steps is a copy; the mean first, as sums of squares alone would cancel.
    """
    count, total, low, high = 0, 0.0, np.inf, -np.inf
    for part in _parts(channel, seen):
        count, total = count + len(part), total + float(part.sum())
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    mean = total / count if count else np.nan
    squares = sum(float(np.square(part - mean).sum()) for part in _parts(channel, seen))
    return mean, float(np.sqrt(squares / count)) if count else np.nan, low == high


def _parts(channel: np.ndarray, seen: np.ndarray) -> Iterator[np.ndarray]:
    """The chosen values that are not NaN, float64, in parts that are not empty."""
    for begin in range(0, len(channel), PART):
        part = channel[begin : begin + PART][seen[begin : begin + PART]].astype(np.float64)
        part = part[~np.isnan(part)]
        if len(part):
            yield part
