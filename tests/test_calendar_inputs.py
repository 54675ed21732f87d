"""backbones/calendar_inputs.py against pandas' calendar."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from backbones import calendar_inputs
from times.clock import Clock


def made(freq: str, steps: int) -> tuple[pd.DatetimeIndex, np.ndarray]:
    times = pd.date_range("2023-01-01", periods=steps, freq=freq)
    marks = torch.from_numpy(Clock(freq).features(times.as_unit("ns").asi8))
    found = calendar_inputs.inputs(marks[None])
    assert found.shape == (1, calendar_inputs.width(len(marks)), steps)
    return times, found[0].numpy()


@pytest.mark.parametrize("freq", ["h", "30min", "10s"])
def test_hours_weekdays_and_the_hours_of_weekends(freq):
    times, found = made(freq, 24 * 9)
    weekend = times.day_of_week.to_numpy() >= 5
    for hour in range(24):
        np.testing.assert_array_equal(found[hour], times.hour == hour)
        np.testing.assert_array_equal(found[24 + 7 + hour], (times.hour == hour) & weekend)
    for day in range(7):
        np.testing.assert_array_equal(found[24 + day], times.day_of_week == day)


@pytest.mark.parametrize(("freq", "days"), [("D", 7), ("W-MON", 0), ("MS", 0)])
def test_days_have_weekdays_and_months_and_longer_steps_have_months(freq, days):
    times, found = made(freq, 400)
    for day in range(days):
        np.testing.assert_array_equal(found[day], times.day_of_week == day)
    for month in range(12):
        np.testing.assert_array_equal(found[days + month], times.month == month + 1)
