"""tasks/nilm/standby.py: devices that reach their threshold at rest, against plain loops and values made by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

import run
from tasks.nilm.standby import _otsu, standby


def mixed(*parts: tuple[float, float, int], seed: int = 0) -> np.ndarray:
    """Readings of so many steps from one power to another, evenly spread and shuffled."""
    values = np.concatenate([np.linspace(low, high, count) for low, high, count in parts])
    return np.random.default_rng(seed).permutation(values).astype(np.float32)


def test_a_cut_parts_two_kinds_as_every_other_cut_would_less():
    values = np.log(mixed((10, 14, 700), (40, 120, 300)).astype(np.float64))

    def between(cut: float) -> float:
        low, high = values[values < cut], values[values >= cut]
        if not len(low) or not len(high):
            return 0.0
        return len(low) * len(high) / len(values) ** 2 * (low.mean() - high.mean()) ** 2 / values.var()

    cut, share = _otsu(values)
    assert math.log(14) < cut < math.log(40)
    assert share == pytest.approx(max(between(c) for c in np.linspace(values.min(), values.max(), 500)), abs=0.01)


def test_a_pump_is_on_from_between_its_standby_and_what_it_draws():
    found = standby(mixed((12, 13, 800), (45, 117, 200)), 10.0)
    assert found is not None
    # Of what rests the 99th percentile is 12.99, of what runs the 5th 48.6: their geometric mean is 25.1.
    assert found.rest == pytest.approx(12.5, abs=0.05) and found.on_w == 25


@pytest.mark.parametrize(
    ("watts", "on_w"),
    [
        (mixed((0, 2, 800), (45, 117, 200)), 10.0),  # it rests below its threshold
        (mixed((8, 30, 1000)), 10.0),  # one kind, as a router
        (mixed((50, 60, 1000)), 10.0),
        (mixed((12, 13, 300), (45, 117, 700)), 10.0),  # it runs more often than it rests
        (mixed((12, 13, 800), (17, 19, 200)), 10.0),  # not twice as much
        (mixed((12, 13, 9999), (90, 90, 1)), 10.0),  # hardly ever
        (mixed((0, 4, 900), (100, 2000, 100)), 20.0),  # a washing machine
        (np.full(100, np.nan, np.float32), 10.0),
        (np.full(100, 12.0, np.float32), 10.0),
    ],
)
def test_others_keep_their_threshold(watts, on_w):
    assert standby(watts, on_w) is None


def test_a_noisy_standby_about_the_threshold_counts_as_rest():
    found = standby(mixed((6, 12, 900), (80, 100, 100)), 10.0)
    assert found is not None and 12 < found.on_w < 80


def house(tmp_path, name: str, seed: int) -> str:
    draw = np.random.default_rng(seed)
    runs = np.repeat(draw.random(300) < 0.2, 10)
    pump, lamp = np.where(runs, 60.0, 13.0), np.where(np.roll(runs, 35), 40.0, 0.0)
    times = pd.date_range("2024-01-01", periods=3000, freq="30s")
    mains = 100 + pump + lamp + draw.normal(0, 1, 3000)
    path = tmp_path / name
    pd.DataFrame({"time": times, "mains": mains.round(1), "pump": pump, "lamp": lamp}).to_csv(path, index=False)
    return str(path)


def states(tmp_path, capfd, *flags: str) -> str:
    """What a dry run says."""
    assert run.main(["--task", "nilm", "--out", str(tmp_path / "out"), "--dry-run", *flags]) == 0
    return "".join(capfd.readouterr())


def test_the_threshold_is_told_and_taken_from_training(tmp_path, capfd):
    one = house(tmp_path, "one.csv", 1)
    said = states(tmp_path, capfd, "--csv", one)
    assert "pump draws 13 W at rest, so it is on from 28 W (--on-w pump=10 for the usual 10 W)" in said  # sqrt(13 * 60)
    assert "lamp draws" not in said
    given = states(tmp_path, capfd, "--csv", one, "--on-w", "pump=10")
    assert "at rest" not in given
    table = pd.read_csv(one)
    table.loc[2100:, "pump"] = 13.0  # validation and test have no say
    table.to_csv(one, index=False)
    assert "on from 28 W" in states(tmp_path, capfd, "--csv", one)
    table.loc[:2099, "pump"] = 13.0
    table.loc[2100:, "pump"] = np.where(np.arange(900) % 50 < 10, 60.0, 13.0)
    table.to_csv(one, index=False)
    assert "at rest" not in states(tmp_path, capfd, "--csv", one)


def test_a_device_that_is_off_draws_its_standby(tmp_path):
    one, quick = house(tmp_path, "one.csv", 1), "--backbone gru --seeds 1 --epochs 1 --window 60 --tag one"
    assert run.main(["--task", "nilm", "--csv", one, "--out", str(tmp_path), *quick.split()]) == 0
    line = pd.read_csv(tmp_path / "one" / "timeline.csv")
    off = line[(line["pump state"] == 0) & (line["over"] == 0)]
    assert len(off) and (off["pump W"] == 13).all()
    kpis = json.loads((tmp_path / "one" / "kpis.json").read_text())["devices"]["pump"]
    assert kpis["mae"] == pytest.approx((line["pump W"] - line["pump true watts"]).abs().mean(), abs=1e-3)
    assert kpis["on_w"] == 28 and kpis["rule_from"] == "above its standby of 13 W"


def test_where_houses_are_held_out_it_is_only_told(tmp_path, capfd):
    houses = [house(tmp_path, f"{name}.csv", seed) for seed, name in enumerate(("a", "b", "c", "d", "e", "f"))]
    said = states(tmp_path, capfd, "--csv", *houses, "--split-mode", "group")
    assert "pump draws 13 W at rest, so from 10 W it is nearly always on; --on-w pump=28 counts more" in said
    assert "at rest" not in states(tmp_path, capfd, "--csv", *houses, "--split-mode", "group", "--on-w", "pump=28")
