"""Calendar features as inputs of a linear map: 0 or 1 for each hour, weekday, hour of a weekend, month.

A mark is a number that rises over its cycle (`Clock.features`), on which hardly anything depends in a straight line.
"""

from __future__ import annotations

import numpy as np
import torch

HOURS, WEEKDAYS, MONTHS = 24, 7, 12
SATURDAY = 5
LEAST_OF_DAY = 4  # marks, from which the last four are hour, weekday, day and month; three: without the hour


def width(marks: int) -> int:
    """The inputs that a model of so many marks has."""
    if marks >= LEAST_OF_DAY:
        return 2 * HOURS + WEEKDAYS
    return WEEKDAYS + MONTHS if marks == LEAST_OF_DAY - 1 else MONTHS * bool(marks)


def inputs(marks: torch.Tensor) -> torch.Tensor:
    """Marks `[B, M, n]` as inputs `[B, width(M), n]`."""
    count = marks.shape[1]
    if count >= LEAST_OF_DAY:
        hour, weekday = _each(marks[:, -4], HOURS), _each(marks[:, -3], WEEKDAYS)
        return torch.cat([hour, weekday, hour * weekday[:, SATURDAY:].sum(dim=1, keepdim=True)], dim=1)
    month = _each(marks[:, -1], MONTHS)
    return torch.cat([_each(marks[:, -3], WEEKDAYS), month], dim=1) if count == LEAST_OF_DAY - 1 else month


class Days:
    """The inputs `[width(M), n]` of marks `[M, n]`, made as they are read: they are many times the data."""

    def __init__(self, marks: torch.Tensor) -> None:
        self.marks, self.shape = marks, (width(len(marks)), marks.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: tuple[slice, slice]) -> np.ndarray:
        found: np.ndarray = inputs(self.marks[None, :, at[1]])[0].double().numpy()
        return found[at[0]]


def _each(mark: torch.Tensor, values: int) -> torch.Tensor:
    """A mark `[B, n]` from -0.5 to 0.5 as 0 or 1 for each of its values `[B, values, n]`."""
    grid = torch.arange(values, dtype=mark.dtype, device=mark.device) / (values - 1) - 0.5
    near: torch.Tensor = (mark[:, None] - grid[:, None]).abs() < 0.5 / (values - 1)
    return near.to(mark.dtype)
