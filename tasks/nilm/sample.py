"""A small data set of a disaggregation, for the tests over the registry of tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_sample(folder: Path) -> list[str]:
    """Write a meter that reads 20 W and a television that is on half of the time, 200 steps of 8 s; its flags."""
    power = np.round(50 * (np.random.default_rng(5).random(200) < 0.5), 1)
    times = np.datetime64("2024-01-01") + 8 * np.arange(200).astype("timedelta64[s]")
    lines = [f"{str(t).replace('T', ' ')},{20 + w},{w}" for t, w in zip(times, power, strict=True)]
    (folder / "meter.csv").write_text("time,mains,tv\n" + "\n".join(lines) + "\n", encoding="utf-8")
    flags = "--csv meter.csv --time-col time --device-cols tv --window 9 --stride 3 --val-ratio .3 --test-ratio 0"
    return [*flags.split(), "--seeds", "1"]
