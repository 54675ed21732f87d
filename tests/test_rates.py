"""Lines of many a second at uneven times: the step that a message proposes keeps their rate."""

from __future__ import annotations

import re

import numpy as np
import pytest

from .runs import go


def log(folder, rate: float, *, jitter: float, count: int = 600) -> None:
    """Lines so many a second, late by up to a share of a step, in whole ms, with a sine of a third of that rate."""
    at = (np.arange(count) + np.random.default_rng(0).uniform(0, jitter, count)) / rate
    ms = np.round(at * 1000).astype(int)
    times = [f"2024-03-05 10:{t // 60000:02d}:{t / 1000 % 60:06.3f}" for t in ms]
    lines = [f"{time},{np.sin(2 * np.pi * k / 3):.4f}" for k, time in enumerate(times)]
    (folder / "a.csv").write_text("\n".join(["time,x", *lines]) + "\n")


@pytest.mark.parametrize(
    ("rate", "step"), [(21, "47619us"), (50, "20ms"), (100, "10ms"), (12.5, "80ms"), (2, "500ms"), (7.3, "136986us")]
)
def test_the_hint_keeps_the_rate_and_what_is_in_the_signal(tmp_path, rate, step):
    log(tmp_path, rate, jitter=0.8)
    line = "--task forecast --csv a.csv --backbone ridge --dry-run"
    done = go(tmp_path, line)
    found = re.search(r"--resample (\d+)(us|ms) makes the steps regular", done.err)
    assert done.code == 3 and found, done.err
    length = int(found[1]) * {"us": 1e-6, "ms": 1e-3}[found[2]]
    assert length == pytest.approx(1 / rate, rel=0.01) and (rate == 7.3 or found[1] + found[2] == step)
    again = go(tmp_path, f"{line} --resample {found[1]}{found[2]}")
    assert again.code == 0 and re.search(r"of (59\d|60\d) steps", again.err), again.err
