"""tasks/forecast/scale.py, and what is fitted to a course: several series, gaps and made-up values."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.forecast.scale import naive_errors
from tasks.targets import Course

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
    assert Course(values, seen, OFFSETS).flat().shape == (1, 2, 42)
