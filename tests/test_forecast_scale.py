"""tasks/forecast/scale.py, and what is fitted to a course: several series, gaps and made-up values."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import windows
from data import Series
from tasks.forecast.scale import OnScale, calm, described, followed, naive_errors, powers, sizes_at, standardised
from tasks.targets import Course, Targets

OFFSETS = np.array([0, 40, 55, 57, 100])


def loop(values, known, lag):
    """Every pair of steps that are a lag apart in one row."""
    found = np.full((4, len(values)), np.nan)
    for k in range(len(values)):
        for row in range(4):
            steps = range(OFFSETS[row] + lag, OFFSETS[row + 1])
            pairs = [(t, t - lag) for t in steps if known[k, t] and known[k, t - lag]]
            if pairs:
                found[row, k] = np.mean([abs(values[k, a] - values[k, b]) for a, b in pairs])
    return found


@pytest.mark.parametrize("lag", [1, 7, 16, 60])
def test_differences_stay_within_a_series_and_across_no_missing_step(lag):
    rng = np.random.default_rng(lag)
    values, known = rng.normal(size=(2, 100)).astype(np.float32) * 50, rng.random((2, 100)) < 0.8
    found = naive_errors(np.where(known, values, np.nan), known, OFFSETS, lag)
    np.testing.assert_allclose(found, loop(values, known, lag), rtol=1e-6)
    assert np.isnan(found[2]).all() or lag == 1


def test_the_pieces_of_a_course_are_its_rows_with_their_gaps():
    values = np.arange(200.0).reshape(2, 100)
    seen = np.zeros(100, bool)
    seen[3:20] = seen[25:30] = seen[60:80] = True
    filled = np.zeros((2, 100), bool)
    filled[1, 4:6] = True
    first, second = Course(values, seen, OFFSETS, filled).pieces()
    assert first.shape == (2, 27) and second.shape == (2, 20)
    assert np.isnan(first[:, 17:22]).all() and np.isnan(first[1, 1:3]).all() and np.isfinite(first[0, :17]).all()
    assert second.tolist() == values[:, 60:80].tolist()
    assert [len(each) for each in Course(values, seen, OFFSETS).each()] == [42, 42]


class OfOneFile:
    """What margins are made from: values [K, total] in rows, all of them training's."""

    train = None

    def __init__(self, values, offsets):
        self.targets = Targets(values, tuple("yz"[: len(values)]), per_row=False)
        self.series = type("Rows", (), {"offsets": offsets})


def test_margins_follow_the_level_of_a_series_as_its_changes_do():
    """Windows of a series in twenty steps at 1 and twenty at 4: by hand, the level before each over the mean level."""
    values, offsets = np.repeat([1.0, 4.0, 1.0], [20, 20, 5])[None], np.array([0, 40, 45])
    usable = np.ones(45, bool)
    index = windows.plan(offsets, usable, usable, length=10, offset=1, horizon=2)
    found = sizes_at(OfOneFile(values, offsets), np.array([[1.5], [9.0]]), index, 1, {"power": [0.5]})
    last = index.starts() + 10
    assert found[last == 15].item() == pytest.approx(1.5 * (1 / 2.5) ** 0.5)
    assert found[last == 35].item() == pytest.approx(1.5 * (4 / 2.5) ** 0.5)
    assert found[last == 24].item() == pytest.approx(1.5 * 1.0)  # the last eight steps are half of each
    assert (sizes_at(OfOneFile(values, offsets), np.array([[1.5], [9.0]]), index, 1, {"power": [0.0]}) == 1.5).all()


def test_margins_of_many_series_follow_their_latest_changes_too():
    """A series that moves by 1, then by 3: by hand, the mean change of the last eight steps over that of all."""
    moves = np.repeat([1.0, 3.0], [20, 20]) * np.where(np.arange(40) % 2, 1, -1)
    values, offsets = np.concatenate([[0.0], np.cumsum(moves), [7.0, 7.0, 7.0]])[None], np.array([0, 41, 44])
    usable = np.ones(44, bool)
    index = windows.plan(offsets, usable, usable, length=10, offset=1, horizon=2)
    found = sizes_at(OfOneFile(values, offsets), np.array([[2.0], [9.0]]), index, 1, {"latest": 0.5})
    last = index.starts() + 10
    assert found[last == 15].item() == pytest.approx(2 * np.sqrt(0.5 + 0.5 * (1 / 2) ** 2))
    assert found[last == 35].item() == pytest.approx(2 * np.sqrt(0.5 + 0.5 * (3 / 2) ** 2))
    assert followed(OfOneFile(values, offsets), 1)["latest"] == 0
    assert followed(OfOneFile(np.abs(values), np.arange(0, 45, 2)[:23]), 1)["latest"] == 0.5


def test_a_wilder_time_than_most_so_far_has_wider_margins(monkeypatch):
    """A series that moves by 1, then by 3, with margins of the first half: by hand, as many times as large as the
    changes of the last eight steps are beside those of the windows that margins come from."""
    moves = np.repeat([1.0, 3.0], [40, 20]) * np.where(np.arange(60) % 2, 1, -1)
    values, offsets = np.concatenate([[0.0], np.cumsum(moves)])[None] - 5, np.array([0, 61])
    usable = np.ones(61, bool)
    index = windows.plan(offsets, usable, usable, length=10, offset=1, horizon=2)
    context, scale = OfOneFile(values, offsets), np.array([[2.0]])
    early, how = index.between(0, 20), {"power": [0.0], "latest": 0.0}
    found = calm(context, scale, early, 1, how)
    assert found == {"calm": [pytest.approx(1 / (100 / 60))]}  # to the mean change of all
    last = index.starts() + 10
    size = sizes_at(context, scale, index, 1, how | found)
    assert (size[last <= 41] == 2).all() and size[last == 59].item() == pytest.approx(2 * 3)
    assert size[last == 45].item() == pytest.approx(2 * (4 * 3 + 4) / 8)
    assert (sizes_at(context, scale, index, 1, how | {"calm": [0.0]}) == 2).all()  # nothing changed there
    assert (sizes_at(context, scale, index, 1, how | {"calm": [0.001]}) <= 2 * 10).all()
    assert calm(context, scale, early, 1, how | {"latest": 0.5}) == {}
    context.train = (
        index  # of all windows so far, 50 of them; the mean change before each, over that of what they cover
    )
    changes = np.convolve(np.abs(np.diff(values[0])), np.ones(8) / 8, "valid")[last - 1 - 8]
    expected = np.quantile([*changes[: len(early)], *changes], 0.9) / np.abs(np.diff(values[0])).mean()
    assert calm(context, scale, early, 1, how) == {"calm": [pytest.approx(expected)]}
    monkeypatch.setattr("tasks.forecast.scale.SOME", 35)  # of 70: every second one
    expected = np.quantile([*changes[: len(early) : 2], *changes[::2]], 0.9) / np.abs(np.diff(values[0])).mean()
    assert calm(context, scale, early, 1, how) == {"calm": [pytest.approx(expected)]}
    context.train = None
    values[:] = 1.0
    assert calm(context, 0 * scale, early, 1, how) == {"calm": [0.0]}


@pytest.mark.parametrize("wanted", [0.0, 0.5, 1.0])
def test_the_power_of_the_level_is_found_within_series(wanted):
    rng = np.random.default_rng(3)
    level = np.tile(np.linspace(200, 1000, 2000), 3) * np.repeat([1, 7, 0.5], 2000)  # three series
    values = level + rng.normal(size=6000) * level**wanted * {0.0: 10, 0.5: 1, 1.0: 0.04}[wanted]
    offsets = np.array([0, 2000, 4000, 6000])
    both = OfOneFile(np.stack([values, values - values.min() - 1]), offsets)
    found = powers(both, lag=7)
    assert found[0] == pytest.approx(wanted, abs=0.1) and found[1] == 0  # that channel is below 0 somewhere
    few = powers(OfOneFile(values[None, :10], np.array([0, 10])), lag=7)
    assert few == [0.5]  # one block says nothing


def test_a_series_that_never_changes_is_told_where_errors_are_scaled():
    series = Series(np.ones((1, 8), np.float32), np.array([0, 4, 8]), ("sales",), ("a", "b"))
    context = SimpleNamespace(series=series)
    found = described(context, np.array([[0.0], [2.0]]), np.array([0, 1, 1]), 1)
    assert found["in_words"].startswith("mase and crps are those of other series than a, where no two measured values")
    assert described(context, np.array([[0.0], [2.0]]), np.array([0]), 1)["in_words"].startswith("mase and crps are un")
    assert "in_words" not in described(context, np.array([[1.0], [2.0]]), np.array([0, 1]), 1)


def test_a_course_on_the_scale_of_training_has_the_means_of_its_values():
    values = np.random.default_rng(1).normal(50, 9, (3, 60)).astype(np.float32)
    seen, mean, std = np.arange(60) % 4 > 0, [48.0, 51.0, 2.0], [9.0, 8.0, 0.5]
    course = Course(values, seen, np.array([0, 20, 60]))
    expected = standardised(values[None][:, :, seen], mean, std).mean(axis=(0, 2), dtype=np.float64)
    assert OnScale(course, mean, std).means() == pytest.approx(expected, rel=1e-6)
    assert not OnScale(course, mean, std).constant()
    flat = np.array([[5, 5, np.nan, 5], [1, 1, 1, 9]])
    rows = np.array([0, 4])
    assert OnScale(Course(flat, np.array([1, 1, 1, 0], bool), rows), mean[:2], std[:2]).constant()
    assert not OnScale(Course(flat, np.array([1, 1, 1, 1], bool), rows), mean[:2], std[:2]).constant()
    assert OnScale(Course(flat, np.zeros(4, bool), rows), mean[:2], std[:2]).means() == []
