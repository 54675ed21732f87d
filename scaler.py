"""The input scaler: a mean and a standard deviation for each channel, from the steps that training sees."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

MOST_SHIFT, MOST_SPREAD = 4.0, 30.0  # deviations, and a factor on them, from which on new data are far from training
MOST_TOLD = 3
PART = 1 << 20  # steps of a long channel read at once
AT_ONCE = 1 << 17  # values of short ones


@dataclass(frozen=True)
class Scaler:
    """z = (x - mean) / std by channel; a channel that is constant in training is only centred.

    mean, std : float64 [C], in the data's units; std is never 0.
    channels : C names.
    constant : names of the channels that are constant in training.
    """

    mean: np.ndarray
    std: np.ndarray
    channels: tuple[str, ...]
    constant: tuple[str, ...] = ()

    @classmethod
    def fit(cls, values: Iterable[np.ndarray], seen: np.ndarray, channels: Sequence[str]) -> Scaler:
        """The scaler of what training sees, each step counted once, NaN left out.

        Parameters
        ----------
        values : C arrays [total], read one after the other.
        seen : mask [total] of the steps that training sees.
        channels : C names.
        """
        mean, std, constant = moments(values, seen).T
        constant_names = tuple(name for name, same in zip(channels, constant, strict=True) if same)
        return cls(mean, np.where(constant, 1.0, usable(mean, std)), tuple(channels), constant_names)

    def apply(
        self, values: np.ndarray, out: np.ndarray | None = None, which: Iterable[int] | None = None
    ) -> np.ndarray:
        """Values [C, ...] in the data's units -> scaled, float32 [C, ...].

        Parameters
        ----------
        out : where they are put; may be `values`.
        which : the numbers of the channels that `values` has; None: it has all.
        """
        scaled = np.empty(values.shape, np.float32) if out is None else out
        for at, c in enumerate(range(len(self.mean)) if which is None else which):
            mean, std = self.mean[c : c + 1], self.std[c : c + 1]  # arrays: of a number, older numpy takes float32
            np.subtract(values[at], mean, out=scaled[at], casting="unsafe")
            with np.errstate(over="ignore"):  # what is infinite then has no prediction, and that is told
                scaled[at] /= std
        return scaled

    def of_channels(self, which: Sequence[int]) -> Scaler:
        """That of some channels, in this order."""
        names = tuple(self.channels[c] for c in which)
        constant = tuple(name for name in self.constant if name in names)
        return Scaler(self.mean[list(which)], self.std[list(which)], names, constant)

    def far(self, found: Scaler, but: Container[str] = ()) -> str:
        """Which channels of new data are far from those that this scaler was fitted on; "" for none.

        Parameters
        ----------
        found : the scaler of the new data; of other channels nothing is said.
        but : channels that are not looked at, such as the zeros and ones of categories.

        Returns
        -------
        At most three channels, the farthest first: by how many deviations their mean is off, or their spread.
        """
        if found.channels != self.channels:
            return ""
        shift = (found.mean - self.mean) / self.std
        alike = np.isin(self.channels, found.constant) | (found.std == 0)
        spread = np.where(alike, 1.0, found.std / self.std)
        looked = np.array([name not in but for name in self.channels])
        off = looked * np.maximum(np.abs(shift) / MOST_SHIFT, np.abs(np.log(spread)) / np.log(MOST_SPREAD))
        told = []
        for c in np.argsort(-off)[:MOST_TOLD]:
            if off[c] >= 1:
                how = f"is {abs(shift[c]):.3g} deviations {'above' if shift[c] > 0 else 'below'} the mean of training"
                if abs(shift[c]) < MOST_SHIFT:
                    how = f"has {spread[c]:.2g} times the deviation of training"
                told.append(f"{self.channels[c]} {how}")
        return "; ".join(told)

    def plain(self) -> dict[str, Any]:
        """The fields [C] as lists, for a checkpoint: {"mean", "std", "channels"}."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist(), "channels": list(self.channels)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Scaler:
        """The inverse of `plain`, from a checkpoint: lists [C] as arrays float64 [C]. ValueError for what is none."""
        mean, std = (np.asarray(plain[name], np.float64) for name in ("mean", "std"))
        channels = tuple(plain["channels"])
        right = mean.shape == std.shape == (len(channels),) and all(isinstance(name, str) for name in channels)
        if not right or not (np.isfinite(mean) & np.isfinite(std) & (std > 0)).all():
            raise ValueError("a scaler has a mean and a deviation above 0 for each channel")
        return cls(mean, std, channels)


def far_warning(far: str, cure: str = "") -> str:
    """What to tell of inputs that are `far`, see `Scaler.far`."""
    return f"the inputs are far from those that the checkpoint was trained on: {far}; are the units the same?{cure}"


def usable(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Deviations [C] to divide by: `std`, but 1 where a channel is constant up to rounding."""
    return np.where(std > 1e-15 * np.abs(mean), std, 1.0)


def moments(values: Iterable[np.ndarray], seen: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and whether all values are equal (1, else 0) of each channel, float64 [C, 3].

    NaN is left out. The mean comes first: sums of squares alone would cancel. Short channels are taken many at a time,
    of long ones a part at a time, since indexing with a mask copies.

    Parameters
    ----------
    values : C arrays [total], read one after the other.
    seen : mask [total] of the steps that count.
    """
    at = np.flatnonzero(seen)
    run = slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0)
    steps = run if run.stop - run.start == len(at) else seen
    many, each = max(AT_ONCE // max(len(at), 1), 1), iter(values)
    found = list[np.ndarray]()
    while block := list(islice(each, many)):
        found.append(_of_block(block, steps) if many > 1 else np.array([_of_channel(block.pop(), seen)]))
    return np.concatenate(found) if found else np.empty((0, 3))


def _of_block(channels: Sequence[np.ndarray], steps: slice | np.ndarray) -> np.ndarray:
    """`moments` of channels that are short, [c, 3]."""
    part = np.array([channel[steps] for channel in channels], np.float64)
    if not part.size or np.isnan(np.add.reduce(part, axis=None)):  # infinities too
        return np.array([_of_channel(channel, np.ones(len(channel), bool)) for channel in part])
    mean = part.mean(axis=1)
    low, high = part.min(axis=1), part.max(axis=1)
    part -= mean[:, None]
    return np.stack([mean, np.sqrt(np.square(part, out=part).mean(axis=1)), low == high], axis=1)


def _of_channel(channel: np.ndarray, seen: np.ndarray) -> tuple[float, float, bool]:
    """`moments` of one channel, part by part."""
    count, total, low, high = 0, 0.0, np.inf, -np.inf
    for part in _parts(channel, seen):
        count, total = count + len(part), total + float(part.sum())
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    mean = total / count if count else np.nan
    squares = sum(float(np.square(part - mean).sum()) for part in _parts(channel, seen))
    return mean, float(np.sqrt(squares / count)) if count else np.nan, low == high


def _parts(channel: np.ndarray, seen: np.ndarray) -> Iterator[np.ndarray]:
    """The values at the steps of the mask that are not NaN, float64, in non-empty parts."""
    for begin in range(0, len(channel), PART):
        part = channel[begin : begin + PART][seen[begin : begin + PART]].astype(np.float64)
        missing = np.isnan(part)
        part = part[~missing] if missing.any() else part
        if len(part):
            yield part
