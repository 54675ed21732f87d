"""What targets are made from, and where they are in a series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from config import RunConfig
from data import Series
from errors import UsageError, listed
from readers.mapped import is_mapped
from windows import Index, Readable

if TYPE_CHECKING:
    from tasks.base import Task

MOST_STEPS = 1 << 23  # values of a row that are looked at, where data are larger than memory


class Sample(Protocol):
    """Targets that a task fits its constants to, where one array of them would be a copy of the data."""

    def means(self) -> list[float]:
        """The mean of each of the K outputs."""
        ...


@dataclass(frozen=True)
class Course:
    """How K targets went while training saw them: not one array of steps, since what lies side by side in one may be
    two series, or days apart.

    values : [K, total], NaN where unknown.
    seen : mask [total] of the steps that training sees.
    offsets : int64 [N + 1], where each row begins and ends.
    filled : mask [K, total] of the values that are made up; None: no such.
    calendar : the calendar's cycles in steps, as `Clock.periods`.
    """

    values: np.ndarray
    seen: np.ndarray
    offsets: np.ndarray
    filled: np.ndarray | None = None
    calendar: tuple[int, ...] = ()

    def each(self) -> Iterator[np.ndarray]:
        """Every step that is seen, of each of the K targets: [steps]."""
        return (channel[self.seen] for channel in self.values)

    def means(self) -> list[float]:
        """The mean of each of the K targets; [] where nothing is seen."""
        return [float(v.mean(dtype=np.float64)) for v in self.each()] if self.seen.any() else []

    def pieces(self) -> Iterator[np.ndarray]:
        """What was measured and seen of each row, [K, n] from the first such step to the last; NaN at all others."""
        for begin, end in pairwise(self.offsets.tolist()):
            at = np.flatnonzero(self.seen[begin:end])
            if len(at):
                part = slice(begin + int(at[0]), begin + int(at[-1]) + 1)
                if is_mapped(self.values):  # the last steps stand for all
                    part = slice(max(part.start, part.stop - MOST_STEPS // len(self.values)), part.stop)
                unseen, filled = ~self.seen[part], None if self.filled is None else self.filled[:, part]
                if filled is None and not unseen.any():
                    yield self.values[:, part]
                else:
                    yield np.where(unseen if filled is None else filled | unseen, np.nan, self.values[:, part])


@dataclass(frozen=True)
class Targets:
    """What targets are made from: values [K, total] along time, or [K, N] one a row; NaN where unknown.

    `filled` is a mask of the same shape of the values that are made up (None: no such), which are not scored.
    """

    values: np.ndarray
    names: tuple[str, ...]
    per_row: bool
    filled: np.ndarray | None = field(default=None, kw_only=True)

    @property
    def kinds(self) -> np.ndarray | None:
        """The class of each row, int [N], where targets are classes or one label of whole rows; None elsewhere."""
        if not self.per_row or not np.isin(self.values, (0, 1)).all():
            return None
        if len(self.values) > 1 and (self.values.sum(0) != 1).any():
            return None
        kinds: np.ndarray = self.values.argmax(0) if len(self.values) > 1 else self.values[0].astype(np.int64)
        return kinds

    def usable(self) -> np.ndarray:
        """Mask [total] (or [N]) of where all outputs are known."""
        known: np.ndarray = ~np.isnan(self.values).any(axis=0)
        return known

    def measured(self) -> np.ndarray:
        """Mask [total] (or [N]) of where no output is made up."""
        if self.filled is None:
            return np.ones(self.values.shape[1], bool)
        return np.logical_not(self.filled.any(axis=0))

    def at(self, index: Index) -> np.ndarray:
        """The labels in the data's units, at the targets of an index of n windows: [n, K, H]."""
        return spans(self.values, index)

    def scored_at(self, index: Index) -> np.ndarray:
        """The same with NaN where a label is made up: what predictions are scored against."""
        labels = self.at(index)
        return labels if self.filled is None else np.where(spans(self.filled, index), np.nan, labels)

    def during(self, steps: np.ndarray) -> Any:
        """The labels at the steps of a mask, each once: [1, K, steps], or a Sample."""
        return self.values[:, steps][None]

    def read(self, task: Task, device: torch.device) -> torch.Tensor | Readable:
        """The targets as the loss gets them, [K, total], on a device, or what reads them there."""
        targets = task.encode(task.truth(self.values))
        return torch.from_numpy(np.ascontiguousarray(targets, np.float32)).to(device)


def spans(values: np.ndarray, index: Index) -> np.ndarray:
    """Values [K, total] (or [K, N]) at the targets of an index: [n, K, H]."""
    if index.horizon == 1:
        labels: np.ndarray = values[:, index.targets()].T[:, :, None]
        return labels
    view = np.lib.stride_tricks.sliding_window_view(values, index.horizon, axis=1)
    return np.ascontiguousarray(view[:, index.targets()].transpose(1, 0, 2))


def rescaled(value: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Standardised rows [n, K, H] in the units of `mean` and `std` [K]."""
    shift, scale = (torch.tensor(part, dtype=value.dtype, device=value.device)[:, None] for part in (mean, std))
    return value * scale + shift


def channel_target(series: Series, config: RunConfig) -> Targets:
    """The label of a window as a channel's value along time, values [1, total].

    Raises
    ------
    UsageError : there is no such channel.
    """
    assert isinstance(config.label_src_ch, int), "a name is a number once the data are read"
    if config.label_src_ch >= series.numeric:
        what = f"there is no channel {config.label_src_ch}: {series.numeric} given, counted from 0"
        text = series.columns[series.numeric :]
        beside = f", beside the categories {', '.join(text[:8])}, which are inputs alone" if text else ""
        raise UsageError(what + beside, where="--label-src-ch", hint=listed(series.channels[: series.numeric]))
    one = slice(config.label_src_ch, config.label_src_ch + 1)
    filled = None if series.filled is None else series.filled[one]
    return Targets(series.values[one], series.channels[one], per_row=False, filled=filled)
