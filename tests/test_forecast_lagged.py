"""tasks/forecast/lagged.py: sums at all lags, against a loop over pairs; and what intervals make of them."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.forecast import conformal, intervals, lagged


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (3, 16), (5, 2, 33)])
def test_products_and_pairs_are_those_of_a_loop(shape, monkeypatch):
    monkeypatch.setattr(lagged, "CELLS", 128)  # some lines at a time
    rng = np.random.default_rng(len(shape))
    values, n = rng.normal(size=shape), shape[-1]
    sums = [(values[..., lag:] * values[..., : n - lag]).sum() for lag in range(n)]
    assert lagged.products(values) == pytest.approx(np.array(sums), abs=1e-12 * n * values.size)
    for known in (rng.random(shape) < 0.6, np.ones(shape, bool), np.zeros(shape, bool)):
        count = [(known[..., lag:] & known[..., : n - lag]).sum() for lag in range(n)]
        assert lagged.pairs(known).tolist() == count


def worth(error, apart):
    """As `intervals.worth`, lag by lag."""
    known, steps = np.isfinite(error), error.shape[2]
    z = np.where(known, error, 0.0)
    square, pairs = (z**2).sum() / known.sum(), float(steps)
    for lag in range(1, steps):
        count = (known[:, :, lag:] & known[:, :, :-lag]).sum()
        alike = (z[:, :, lag:] * z[:, :, :-lag]).sum() / max(count, 1) / square
        pairs += 2 * (steps - lag) * max(alike**2 - 1 / (apart * (steps - lag)), 0.0)
    return max(steps**2 / pairs, 1.0)


@pytest.mark.parametrize(("n", "steps", "holes"), [(1, 1, 0), (2, 24, 0), (60, 48, 0.3), (40, 7, 0.9)])
def test_steps_are_worth_what_a_loop_over_lags_says(n, steps, holes):
    rng = np.random.default_rng(n)
    for error in (rng.normal(size=(n, 2, steps)), rng.normal(size=(n, 2, steps)).cumsum(2)):
        error[rng.random(error.shape) < holes] = np.nan
        assert intervals.worth(error, 5.0) == pytest.approx(worth(error, 5.0), rel=1e-12)
    assert intervals.worth(np.zeros((3, 1, 4)), 2.0) == 1
    assert intervals.worth(np.full((3, 1, 4), np.nan), 2.0) == 1


def alike(score, when):
    """As `conformal.alike`, pair by pair: of scores [n] whose mean over windows is taken off."""
    known = ~np.isnan(score)
    mean = score[known].mean()
    at = {place: value - mean for place, value, there in zip(when, score, known, strict=True) if there}
    power, total = np.mean([value**2 for value in at.values()]), 1.0
    for lag in range(1, len(when) // 2):
        found = [value * at[place + lag] for place, value in at.items() if place + lag in at]
        if not found or np.mean(found) <= 0:
            break
        total += 2 * np.mean(found) / power
    return total


PLACES = {
    "in a row": np.arange(300),
    "of three series": np.arange(300) + 10**12 * (np.arange(300) // 100),
    "of many short series": np.arange(300) + 10**12 * (np.arange(300) // 3),
    "of one long and many short": np.r_[np.arange(200), 10**12 * np.arange(1, 101)],
    "with gaps": np.flatnonzero(np.random.default_rng(0).random(600) < 0.5)[:250],
    "none beside another": 7 * np.arange(300),
    "of one window": np.arange(1),
}


@pytest.mark.parametrize("when", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("slow", [False, True])
def test_windows_tell_as_much_as_a_loop_over_pairs_says(when, slow, monkeypatch):
    """`slow`: lag by lag, as where most places are empty."""
    if slow:
        monkeypatch.setattr(conformal, "SPARSE", 0)
    rng = np.random.default_rng(1)
    score = np.convolve(rng.normal(size=len(when) + 9), np.ones(10), "valid") + 2
    assert conformal.alike(score[:, None, None], when) == pytest.approx(alike(score, when) if len(when) > 1 else 1)
    score[rng.random(len(when)) < 0.2 * (len(when) > 1)] = np.nan
    assert conformal.alike(score[:, None, None], when) == pytest.approx(alike(score, when) if len(when) > 1 else 1)
