"""Synthetic windows of a meter and one appliance in it: rectangular pulses under a trend, other loads and noise.

`python tools/synth.py appliances` writes them as an .npz, which `--task nilm --npz` reads, and as a CSV.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

PULSE, OTHER = (500.0, 1500.0), (50.0, 400.0)  # W
NOISE = 50.0  # W, the deviation
BASE, TREND = (80.0, 200.0), 100.0  # W: what is always on, and by how much it rises or falls over a window at most
STEP, BREAK = 8, 3600  # seconds of a step in the CSV, and between two windows, which so do not touch
BEGIN = np.datetime64("2024-01-01T00:00:00", "s")


def windows(samples: int, steps: int, seed: int) -> dict[str, np.ndarray]:
    """The arrays of an .npz, float32 [samples, steps, 1]: `mains` and `appliance`, in watts.

    A window has one to three pulses of the appliance, up to four runs of other loads, a base load with a linear trend,
    and noise of 50 W on the meter. The same seed gives the same numbers.
    """
    random = np.random.default_rng(seed)
    appliance, other = np.zeros((samples, steps)), np.zeros((samples, steps))
    for n in range(samples):
        for table, range_, most in ((appliance, PULSE, 3), (other, OTHER, 4)):
            for _ in range(random.integers(1, most + 1)):
                length = int(random.integers(max(steps // 20, 1), max(steps // 4, 2)))
                begin = int(random.integers(0, max(steps - length, 1)))
                run = table[n, begin : begin + length]
                np.maximum(run, random.uniform(*range_), out=run)
    slope = random.uniform(-TREND, TREND, (samples, 1)) * np.linspace(0, 1, steps)
    mains = appliance + other + random.uniform(*BASE, (samples, 1)) + slope
    mains = np.maximum(mains + random.normal(0, NOISE, mains.shape), 0)
    return {"mains": mains[:, :, None].astype(np.float32), "appliance": appliance[:, :, None].astype(np.float32)}


def write_csv(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """The windows one after the other, a line a step of eight seconds, with an hour between two of them."""
    samples, steps, _ = arrays["mains"].shape

    def lines() -> Iterator[str]:
        yield "time,sample,mains,appliance\n"
        for n in range(samples):
            begin = BEGIN + n * (steps * STEP + BREAK)
            times = np.datetime_as_string(begin + STEP * np.arange(steps))
            for time, mains, watts in zip(times, arrays["mains"][n, :, 0], arrays["appliance"][n, :, 0], strict=True):
                yield f"{time.replace('T', ' ')},{n},{mains:.1f},{watts:.1f}\n"

    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.writelines(lines())
    part.replace(path)
