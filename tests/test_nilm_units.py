"""tasks/nilm/units.py, and registers in sources/grids.py: what is told of units, and what is made of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from data import Series
from sources.grids import SECOND, Grid, on_grid, readings
from sources.meter_tables import read_meter
from tasks.nilm.units import doubts, gap_hint
from times.clock import Clock

RULES = {"kettle": 2000.0, "lamp": 10.0}


def series(mains, kettle, lamp, rows=1) -> Series:
    values = np.array([mains, kettle, lamp], np.float32)
    offsets = np.linspace(0, values.shape[1], rows + 1).astype(np.int64)
    return Series(values, offsets, ("mains", "kettle", "lamp"), tuple(map(str, range(rows))))


def house(kettle=2200.0, lamp=60.0, base=90.0):
    on = np.arange(400) % 50 < 10
    glows = np.arange(400) % 90 < 40
    return base + kettle * on + lamp * glows, kettle * on, lamp * glows


@pytest.mark.parametrize(
    ("scale", "parts"),
    [
        ((1, 1, 1), []),
        (
            (1, 0.001, 1),
            ["kettle never reaches its threshold of 2000 W: 2.2 W at most: is it in kilowatts? --device"],
        ),
        ((0.001, 0.001, 0.001), ["kettle never reaches", "lamp never reaches", "--mains-unit kW"]),
        ((1, 0.1, 1), ["kettle never reaches its threshold of 2000 W: 220 W at most"]),
        ((1, 4.3, 1), ["kettle reaches 9,460 W, more than such an appliance draws", "mA or VA"]),
        ((0.001, 1, 1), ["mains reaches 2.35 W at most: is it in kilowatts? --mains-unit kW"]),
    ],
)
def test_what_is_hardly_in_watts_is_told(scale, parts):
    told = doubts(series(*(np.array(part) * by for part, by in zip(house(), scale, strict=True))), RULES)
    assert all(any(part in note for note in told) for part in parts)
    assert bool(told) == bool(parts) and all(note.startswith("warning: ") for note in told)


def test_what_only_rises_is_asked_about_once():
    mains, kettle, lamp = (np.cumsum(part) for part in house())
    (told,) = doubts(series(mains, kettle, lamp), RULES)
    assert "mains only rises" in told and "so does kettle, lamp" in told and "--mains-unit kWh" in told
    (told,) = doubts(series(house()[0], kettle, house()[2]), RULES)
    assert "kettle only rises" in told and "--device-unit kWh" in told
    again = np.concatenate([mains[:200], mains[:200]])  # another house begins lower
    assert "mains only rises" in doubts(series(again, *house()[1:], rows=2), RULES)[0]
    assert doubts(series(np.sort(house()[0]) * 0 + 300, *house()[1:]), RULES) == []


def loop(times, hours, grid: Grid, longest: int) -> list[float]:
    """Watts of a register by a loop over the steps: exact sums of what lies within, from reading to reading."""
    found = []
    for step in range(grid.steps):
        a, b = grid.first + step * grid.step, grid.first + (step + 1) * grid.step
        total, covered = 0.0, 0
        for (t, u), (x, y) in zip(itertools.pairwise(times), itertools.pairwise(hours), strict=True):
            part = min(b, u) - max(a, t)
            if part > 0 and y >= x and u - t <= longest:
                total, covered = total + (y - x) * part / (u - t), covered + part
        found.append(total * 3600 * SECOND / grid.step if covered == grid.step else np.nan)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_registers_power_is_what_it_rose_by(seed):
    random = np.random.default_rng(seed)
    times = np.cumsum(random.integers(3, 14, 60)) * SECOND
    times[30:] += 120 * SECOND  # a gap
    hours = 12345.678 * 1000 + np.cumsum(random.integers(0, 9, 60)).astype(np.float64)
    hours[45:] -= 12345000  # it starts again
    grid, longest = Grid(0, 10 * SECOND, 60), 60 * SECOND
    power = on_grid(readings(times, hours / 1000, unit="kWh"), grid, longest)
    assert np.isnan(power).any() and (~np.isnan(power)).sum() > 20
    np.testing.assert_allclose(power, loop(times.tolist(), hours.tolist(), grid, longest), rtol=1e-4, atol=0.05)


def test_each_column_has_its_unit_and_energy_is_kept(tmp_path):
    seconds = np.arange(0, 3600, 10)
    watts, lamp = 500 + 100 * (seconds % 600 < 300), 60.0 * (seconds % 400 < 200)
    energy = 98_765.432 + np.concatenate([[0], np.cumsum(watts)[:-1]]) * 10 / 3.6e6
    lines = [f"{1_700_000_000 + s},{e:.6f},{w}" for s, e, w in zip(seconds, energy, lamp, strict=True)]
    (tmp_path / "m.csv").write_text("time,total,lamp\n" + "\n".join(lines) + "\n")
    columns = {"time_col": "time", "mains_col": "total", "device_cols": {"lamp": "lamp"}}
    found = read_meter([tmp_path / "m.csv"], sample=10, unit="kWh", device_unit="W", **columns)
    np.testing.assert_allclose(found.values[0], watts[:-1], atol=1)
    np.testing.assert_array_equal(found.values[1], lamp[:-1])
    assert read_meter([tmp_path / "m.csv"], sample=10, unit="kW", **columns).values[1].max() == 60_000


@pytest.mark.parametrize(("span", "seconds"), [(5, 30), (10, 30), (11, 40), (15, 40), (16, 60), (24, 60), (25, None)])
def test_the_hint_for_gaps_names_the_shortest_limit_that_leaves_a_window(span, seconds):
    """Ten seconds a step; gaps of 2, 3 and 5 steps part stretches of 4, 4, 2 and 4, after one of 3 at the beginning."""
    mains = np.ones(27, np.float32)
    for gap in (slice(0, 3), slice(7, 9), slice(13, 16), slice(18, 23)):
        mains[gap] = np.nan
    time = np.arange(27) * 10 * SECOND
    house = Series(mains[None], np.array([0, 27]), ("mains",), ("h",), time=time, clock=Clock("10s", ""))
    want = "a smaller --window"
    if seconds is not None:
        want = f"--max-ffill {seconds} fills gaps of up to {seconds} s, or {want}"
    assert gap_hint(house, span) == want
