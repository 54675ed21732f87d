"""tasks/forecast/references.py: what a forecast is compared with."""

from __future__ import annotations

import numpy as np
import pytest

import windows
from tasks.forecast import references


def index_of(total: int, length: int, horizon: int, part: slice) -> windows.Index:
    usable = np.ones(total, bool)
    whole = windows.plan(np.array([0, total]), usable, usable, length=length, horizon=horizon, offset=1)
    low, high = (np.array([at]) for at in (part.start, part.stop))
    return whole.with_target_in(low, high)


@pytest.mark.parametrize("length", [24, references.LONGEST + 80])
def test_the_reference_ridge_looks_back_as_far_as_the_model_and_no_further_than_its_limit(length):
    total, horizon = 2400, 3
    walk = np.random.default_rng(0).normal(size=total).cumsum()
    seen = ((walk - walk.mean()) / walk.std()).astype(np.float32)[None]
    train, val, test = (
        index_of(total, length, horizon, part) for part in (slice(0, 1800), slice(1800, 2100), slice(2100, 2400))
    )
    predict = references.ridge(seen, train, val, horizon)
    found = predict(test)
    assert found.shape == (len(test), 1, horizon) and len(test) == 2400 - 2100 - horizon + 1
    repeated = seen[0, 2100 - 1 : 2400 - horizon]
    truth = np.lib.stride_tricks.sliding_window_view(seen[0, 2100:], horizon)
    assert np.mean((found[:, 0] - truth) ** 2) < 1.05 * np.mean((repeated[:, None] - truth) ** 2)

    used = min(length, references.LONGEST)
    first = 2100 - used  # of the steps that the first window of test may use
    seen[0, 2100 - length : first] += 5  # the map is fitted: only what it reads can change a forecast
    assert np.array_equal(predict(test)[0], found[0])
