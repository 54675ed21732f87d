"""The rows of benchmarks/growth.py. A file a subject; each row is a function under `@row`.

The function gets a folder and a size, makes data of that size, and returns the work that is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Make = Callable[[Path, int], Callable[[], object]]
ROWS: dict[str, Row] = {}


@dataclass(frozen=True)
class Row:
    """What is measured.

    Attributes
    ----------
    make : (folder, size) -> the work, on data of that size.
    unit : what a size counts.
    sizes, large : by default, and those that take minutes or gigabytes.
    least : a size that takes next to nothing.
    limits : {size: CPU seconds}.
    """

    make: Make
    unit: str
    sizes: tuple[int, ...]
    large: tuple[int, ...]
    least: int
    limits: Mapping[int, float] = field(default_factory=dict)


def row(
    name: str, unit: str, *, sizes: tuple[int, ...], large: tuple[int, ...], least: int, **limits: float
) -> Callable[[Make], Make]:
    """Register a row; a limit is given as `at_720=15.0`."""

    def add(make: Make) -> Make:
        most = {int(key.removeprefix("at_")): value for key, value in limits.items()}
        ROWS[name] = Row(make, unit, sizes, large, least, most)
        return make

    return add


from benchmarks.growing import commands, models, reading, runs  # noqa: E402, F401  (each registers its rows)
