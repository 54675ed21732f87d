"""Sets of kinds that no rule here was chosen on: drifting sensors, rare events, heavy tails, sites, grades, tables.

`write(folder, name, seed)` makes the files of a set: channels `NAME_SEED_N.csv` (for labels of the next steps the label
first), or `NAME_SEED_0.csv` with `..._labels.csv`; and `..._groups.csv`, in which `test` names the rows to judge on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Made = tuple[list[np.ndarray], "np.ndarray | None", "np.ndarray | None"]  # channels, labels, groups


@dataclass(frozen=True)
class Stranger:
    """One set: `make(draw)` gives channels [C][N, T], labels of rows (or None) and groups of rows (or None)."""

    words: str
    metric: str
    tested: float  # of the rows
    make: Callable[[np.random.Generator], Made]


def walks(draw: np.random.Generator, rows: int, steps: int, memory: float) -> np.ndarray:
    """Noise that goes back to its mean, [rows, steps]."""
    found = draw.normal(size=(rows, steps))
    for step in range(1, steps):
        found[:, step] = memory * found[:, step - 1] + np.sqrt(1 - memory**2) * found[:, step]
    return found


def faults(draw: np.random.Generator) -> Made:
    """Two sensors of one thing, of which one drifts and now and then gets noisy or sticks; is it faulty in 5 steps?"""
    rows, steps = 80, 150
    truth = walks(draw, rows, steps, 0.95)
    drift = np.linspace(0, 1, steps) * draw.normal(size=(rows, 1)) * 2
    one = truth + 0.2 * draw.normal(size=truth.shape) + drift
    other = 0.8 * truth + 0.3 * draw.normal(size=truth.shape)
    fault = np.zeros((rows, steps))
    for row in range(rows):
        for begin in draw.integers(0, steps, draw.integers(0, 4)):
            end = min(begin + draw.integers(10, 40), steps)
            fault[row, begin:end] = 1
            if draw.random() < 0.5:
                one[row, begin:end] += draw.normal(size=end - begin) * np.linspace(0.3, 1.2, end - begin)
            else:
                one[row, begin:end] = one[row, begin] + 0.02 * draw.normal(size=end - begin)
    return [fault, one, other], None, None


def rare(draw: np.random.Generator) -> Made:
    """A pressure that bursts: seldom, and mostly after a rise that two sensors show and a third does not."""
    rows, steps = 150, 200
    load, hum = walks(draw, rows, steps, 0.9), walks(draw, rows, steps, 0.5)
    burst = np.zeros((rows, steps))
    for row in range(rows):
        for at in draw.integers(15, steps, draw.poisson(1.2)):
            burst[row, at] = 1
            if draw.random() < 0.8:
                load[row, at - 12 : at] += np.linspace(0, 2.5, 12)
                hum[row, at - 8 : at] *= 2
    return [burst, load, hum, walks(draw, rows, steps, 0.8)], None, None


def heavy(draw: np.random.Generator) -> Made:
    """A flow with outliers (t of 2 degrees) and a size of its own in each row, driven by rain of two steps before."""
    rows, steps = 60, 120
    rain = np.exp(1.2 * walks(draw, rows, steps, 0.7))
    size = np.exp(0.8 * draw.normal(size=(rows, 1)))
    flow = np.zeros((rows, steps))
    for step in range(2, steps):
        flow[:, step] = 0.7 * flow[:, step - 1] + 0.5 * size[:, 0] * np.maximum(rain[:, step - 2] - 1, 0)
    return [flow + 0.2 * size * draw.standard_t(2, size=flow.shape), rain], None, None


def sites(draw: np.random.Generator) -> Made:
    """Twenty sites with levels and gains of their own; is a unit above the site's usual range in three steps?"""
    each, steps, places = 6, 100, 20
    groups = np.repeat(np.arange(places), each)
    heat = walks(draw, places * each, steps, 0.9)
    level, gain = draw.normal(size=places)[groups, None] * 3, np.exp(0.5 * draw.normal(size=places))[groups, None]
    shown = level + gain * (heat + 0.3 * draw.normal(size=heat.shape))
    other = level * draw.normal() + walks(draw, places * each, steps, 0.6) + 0.4 * np.roll(heat, 2, axis=1)
    return [(heat > 0.8).astype(float), shown, other], None, groups


def grades(draw: np.random.Generator) -> Made:
    """Wear in five ordered grades: how often and how hard a bearing knocks."""
    rows, steps = 450, 100
    grade = np.arange(rows) % 5
    found = walks(draw, rows, steps, 0.3)
    for row in range(rows):
        wear = grade[row] + 0.35 * draw.normal()
        at = draw.random(steps) < 0.02 + 0.02 * max(wear, 0)
        found[row, at] += (1 + 0.5 * wear) * draw.choice([-1, 1], at.sum())
    return [found], np.array([f"grade{g}" for g in grade]), None


def pairs(draw: np.random.Generator) -> Made:
    """Fifteen gestures, of each of which two were recorded; two hundred and forty to know."""
    kinds, steps = 15, 60
    sort = np.concatenate([np.repeat(np.arange(kinds), 2), np.repeat(np.arange(kinds), 16)])
    place = np.linspace(0, 1, steps)
    form = np.cumsum(np.cumsum(draw.normal(size=(kinds, 2, 8)), axis=2), axis=2)
    channels = [np.empty((len(sort), steps)) for _ in range(2)]
    for row, kind in enumerate(sort):
        bent = place ** np.exp(0.15 * draw.normal()) * 7
        for channel, found in enumerate(channels):
            shape = np.interp(bent, np.arange(8), form[kind, channel])
            found[row] = np.exp(0.15 * draw.normal()) * shape + 0.8 * draw.normal() + 0.3 * draw.normal(size=steps)
    return channels, np.array([f"gesture{k}" for k in sort]), None


def table(name: str, most: int) -> Callable[[np.random.Generator], Made]:
    """One of scikit-learn's bundled tables, its columns as steps, of which the order says little."""

    def make(draw: np.random.Generator) -> Made:
        import sklearn.datasets

        loaded = getattr(sklearn.datasets, f"load_{name}")()
        order = draw.permutation(len(loaded.data))[:most]
        y = loaded.target[order]
        return [loaded.data[order]], y if name == "diabetes" else np.array([f"kind{k}" for k in y]), None

    return make


NEXT = "--task classify --drop-label-from-x --context-len 31"
STRANGERS: Mapping[str, Stranger] = {
    "faults": Stranger(f"{NEXT} --label-offset 5", "pr_auc", 0.3, faults),
    "rare": Stranger(NEXT, "pr_auc", 0.3, rare),
    "heavy": Stranger("--task regress --loss l1 --context-len 31", "mae", 0.3, heavy),
    "sites": Stranger(f"{NEXT} --label-offset 3", "pr_auc", 0.3, sites),
    "grades": Stranger("--task classify", "accuracy", 2 / 3, grades),
    "pairs": Stranger("--task classify", "accuracy", 8 / 9, pairs),
    "digits": Stranger("--task classify", "accuracy", 0.6, table("digits", 500)),
    "tumours": Stranger("--task classify", "accuracy", 0.8, table("breast_cancer", 569)),
    "wines": Stranger("--task classify", "accuracy", 0.7, table("wine", 178)),
    "sugar": Stranger("--task regress --loss l1", "mae", 0.4, table("diabetes", 442)),
}


def write(folder: Path, name: str, seed: int) -> str:
    """Make the files; the flags that name them."""
    one, draw = STRANGERS[name], np.random.default_rng([seed, *map(ord, name)])
    channels, labels, groups = one.make(draw)
    rows = len(channels[0])
    if groups is None:
        known = np.arange(rows) < round(rows * (1 - one.tested))
        groups = np.where(known, [f"row{row}" for row in range(rows)], "test")
    else:
        last = int(groups.max() * (1 - one.tested))
        groups = np.where(groups <= last, [f"site{group}" for group in groups], "test")
    stem = f"{folder}/{name}_{seed}"
    for number, channel in enumerate(channels):
        np.savetxt(f"{stem}_{number}.csv", channel, delimiter=",", fmt="%.6g")
    Path(f"{stem}_groups.csv").write_text("".join(f"{group}\n" for group in groups))
    files = " ".join(f"{stem}_{number}.csv" for number in range(len(channels)))
    words = f"{one.words} --header no --index no --csv {files} --groups {stem}_groups.csv --test-groups test"
    if labels is None:
        return words
    Path(f"{stem}_labels.csv").write_text("".join(f"{label}\n" for label in labels))
    return f"{words} --labels {stem}_labels.csv"
