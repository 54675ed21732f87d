"""tasks/forecast/scale.py, and what is fitted to a course: several series, gaps and made-up values."""

from __future__ import annotations

import numpy as np
import pytest

import windows
from tasks.forecast.scale import naive_errors, sizes_at
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


def test_margins_follow_what_the_latest_steps_are_like():
    """A series whose changes are twice as large in its later half: by hand, the mean of both at each window."""
    changes = np.concatenate([np.tile([1.0, -1.0], 30), np.tile([2.0, -2.0], 30)])
    values = np.cumsum(changes)[None]
    offsets = np.array([0, 120])
    usable = np.ones(120, bool)
    index = windows.plan(offsets, usable, usable, length=10, offset=1, horizon=2)

    class Context:
        targets = Targets(values, ("y",), per_row=False)

        class series:
            pass

    Context.series.offsets = offsets
    found = sizes_at(Context, np.array([[1.5]]), index, lag=1, std=[1.0])
    last = index.starts() + 10
    assert found[last == 40].item() == (1.5 + 1.0) / 2 and found[last == 110].item() == (1.5 + 2.0) / 2
    assert found[last == 64].item() == (1.5 + 1.5) / 2  # of the last eight changes half are large
