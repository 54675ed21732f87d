"""Small sets of whole series, made up: what distinguishes the classes is of another kind in each.

`write(folder, name, seed)` writes one as a wide CSV with labels, and groups that keep the test series apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Maker = Callable[[np.random.Generator, int], np.ndarray]  # a series of a class
TESTED = 300  # series to score on


@dataclass(frozen=True)
class Shapes:
    """A set: its classes, series to learn from, and what makes a series [T] of a class."""

    classes: int
    series: int
    make: Maker


def waves(draw: np.random.Generator, sort: int) -> np.ndarray:
    """Sines of three frequencies at any phase, half buried in noise."""
    time = np.arange(80)
    wave = np.sin(2 * np.pi * (time * (0.05, 0.065, 0.08)[sort] + draw.random()))
    found: np.ndarray = wave + 0.7 * draw.normal(size=80)
    return found


def bumps(draw: np.random.Generator, sort: int) -> np.ndarray:
    """A bump about one of four places on a slow walk."""
    at = 15 + 17 * sort + draw.normal(0, 3)
    bump = np.exp(-0.5 * ((np.arange(80) - at) / draw.uniform(2, 5)) ** 2)
    found: np.ndarray = draw.uniform(1.5, 3) * bump + 0.15 * draw.normal(size=80).cumsum() + 0.3 * draw.normal(size=80)
    return found


def chirps(draw: np.random.Generator, sort: int) -> np.ndarray:
    """Frequencies that rise, or fall, over a stretch anywhere."""
    begin, length = draw.integers(0, 70), 80
    place = np.arange(length) / length
    rate = 0.03 + 0.12 * (place if sort else 1 - place)
    found = 0.3 * draw.normal(size=150)
    found[begin : begin + length] += np.sin(2 * np.pi * (rate.cumsum() + draw.random()))
    return found


def charts(draw: np.random.Generator, sort: int) -> np.ndarray:
    """Control charts (Alcock and Manolopoulos 1999): level, cycle, rise, fall, step up, step down."""
    time = np.arange(60)
    noise = 30 + 2 * draw.uniform(-3, 3, 60)
    cycle = draw.uniform(10, 15) * np.sin(2 * np.pi * time / draw.uniform(10, 15))
    trend, step = draw.uniform(0.2, 0.5) * time, draw.uniform(7.5, 20) * (time >= draw.uniform(20, 40))
    return noise + (0 * time, cycle, trend, -trend, step, -step)[sort]


def cylinders(draw: np.random.Generator, sort: int) -> np.ndarray:
    """Cylinder, bell, funnel (Saito 1994)."""
    begin, length = draw.integers(16, 33), draw.integers(32, 97)
    time = np.arange(128)
    inside = (time >= begin) & (time <= begin + length)
    shape = (np.ones(128), (time - begin) / length, (begin + length - time) / length)[sort]
    found: np.ndarray = (6 + draw.normal()) * inside * shape + draw.normal(size=128)
    return found


def traces(draw: np.random.Generator, sort: int) -> np.ndarray:
    """One of ten short shapes anywhere in a walk that goes back to its mean."""
    shape = np.random.default_rng(100 + sort).normal(size=8).repeat(3)
    shape = np.convolve(shape - shape.mean(), np.ones(3) / 3, "same")
    found, at = np.zeros(120), draw.integers(0, 96)
    for step, shock in enumerate(draw.normal(size=120)):
        found[step] = 0.8 * found[step - 1] * (step > 0) + 0.4 * shock
    found[at : at + 24] += draw.uniform(1.5, 2.5) * shape
    return found


SHAPES: Mapping[str, Shapes] = {
    "waves": Shapes(3, 45, waves),
    "bumps": Shapes(4, 20, bumps),
    "chirps": Shapes(2, 40, chirps),
    "charts": Shapes(6, 60, charts),
    "cylinders": Shapes(3, 30, cylinders),
    "traces": Shapes(10, 180, traces),
}


def write(folder: Path, name: str, seed: int) -> None:
    """`NAME_SEED.csv`, `..._labels.csv` (words, so that they are classes) and `..._groups.csv`."""
    one, draw = SHAPES[name], np.random.default_rng([seed, *map(ord, name)])
    count = one.series + TESTED
    sort = np.concatenate([np.arange(one.series), np.arange(TESTED)]) % one.classes
    series = [one.make(draw, int(each)) for each in sort]
    stem = f"{folder}/{name}_{seed}"
    np.savetxt(f"{stem}.csv", np.array(series), delimiter=",", fmt="%.5g")
    Path(f"{stem}_labels.csv").write_text("".join(f"kind{each}\n" for each in sort))
    groups = [f"series{row}" if row < one.series else "test" for row in range(count)]
    Path(f"{stem}_groups.csv").write_text("".join(f"{group}\n" for group in groups))
