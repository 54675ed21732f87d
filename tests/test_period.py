"""The period finder, on cycles made up with a known period, on what has none, and on real data."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from backbones.period import find_period, period_of_pieces


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def cycle(n: int, period: int, seed: int) -> np.ndarray:
    """A peaked cycle on a drifting level, with noise."""
    draw, t = rng(seed), np.arange(n)
    return np.exp(2 * np.sin(2 * np.pi * t / period)) + 0.5 * draw.normal(size=n) + 0.05 * draw.normal(size=n).cumsum()


@pytest.mark.parametrize("period", [3, 4, 7, 12, 24, 48, 52, 96, 144])
def test_a_cycle_on_a_drifting_level(period):
    assert find_period(np.stack([cycle(40 * period, period, seed) for seed in range(3)])) == period


@pytest.mark.parametrize("n", [60, 120, 240])
def test_twelve_on_monthly_data_with_a_year_and_a_trend(n):
    t, draw = np.arange(n), rng(1)
    year = np.array([0, -1, 0, 1, 1, 2, 4, 4, 1, 0, -1, 2.0])
    z = np.exp(5 + 0.01 * t + 0.1 * year[t % 12] + 0.01 * draw.normal(size=n))[None]
    assert find_period(z) == 12


def hourly(weeks: int, weekend: float) -> np.ndarray:
    t, draw = np.arange(168 * weeks), rng(2)
    day = np.sin(2 * np.pi * t / 24) + 0.6 * np.sin(4 * np.pi * t / 24)
    works = (t // 24) % 7 < 5
    return (np.where(works, 1.0, weekend) * day + 0.8 * works + 0.2 * draw.normal(size=len(t)))[None]


@pytest.mark.parametrize("weekend", [1.0, 0.5, 0.0])
def test_a_week_of_days_is_a_day(weekend):
    assert find_period(hourly(20, weekend)) == 24


def test_a_day_with_two_peaks_is_not_half_a_day():
    t = np.arange(2000)
    z = np.sin(2 * np.pi * t / 24) + 2 * np.sin(4 * np.pi * t / 24) + rng(3).normal(size=2000)
    assert find_period(z[None]) == 24


@pytest.mark.parametrize("n", [100, 1000, 10000])
def test_noise_and_random_walks_have_none(n):
    """By chance one channel in a hundred shows a line; seven have to agree."""
    for seed in range(20):
        noise = rng(seed).normal(size=(7, n))
        smooth = np.apply_along_axis(np.convolve, 1, noise, 0.9 ** np.arange(50), mode="same")
        assert [find_period(noise), find_period(noise.cumsum(axis=1)), find_period(smooth)] == [1, 1, 1]


def test_what_is_too_short_or_constant_has_none():
    assert find_period(np.zeros((3, 500))) == 1
    assert find_period(np.arange(500.0)[None]) == 1
    assert find_period(np.zeros((1, 0))) == 1
    assert find_period(np.sin(np.arange(20.0))[None]) == 1
    assert find_period(np.vstack([np.zeros(480), cycle(480, 12, 0)])) == 12  # the constant channel has no say


def test_a_cycle_longer_than_asked_for_does_not_count():
    t = np.arange(8760 * 5)
    z = (10 * np.sin(2 * np.pi * t / 8760) + np.sin(2 * np.pi * t / 24) + 0.1 * rng(4).normal(size=len(t)))[None]
    assert abs(find_period(z) - 8760) < 50  # five cycles tell it to half a per cent
    assert find_period(z, longest=360) == 24
    assert find_period(z, longest=12) == 1


def test_of_pieces_the_longest_are_looked_at():
    long, short = cycle(600, 12, 0)[None], cycle(80, 7, 1)[None]
    assert period_of_pieces([short, long, short], longest=100) == 12
    months = [cycle(60, 12, seed)[None] for seed in range(30)]
    assert period_of_pieces(months, longest=30) == 12


def test_a_hundred_thousand_steps_take_a_moment():
    z = np.stack([cycle(100_000, 96, seed) for seed in range(8)])
    start = time.perf_counter()
    assert find_period(z) == 96
    assert time.perf_counter() - start < 2


def test_etth1_has_days(shared):
    table = pd.read_csv(shared / "ett" / "ETTh1.csv").iloc[:, 1:].to_numpy().T
    assert find_period(table[:, :8640]) == 24
    assert find_period(table[6:, :8640]) == 24
    assert find_period(table[:, :2000]) == 24
    quarters = np.arange(0, 8640, 0.25)
    assert find_period(np.stack([np.interp(quarters, np.arange(8640), row[:8640]) for row in table])) == 96


def test_beijing_has_days_and_not_years(shared):
    table = pd.read_csv(shared / "beijing_pm25" / "pollution.csv.gz")[["DEWP", "TEMP", "PRES"]].to_numpy().T
    assert find_period(table, longest=360) == 24


@pytest.mark.parametrize(("period", "n"), [(12, 100), (12, 83), (52, 280), (7, 120)])
def test_a_period_of_exactly_half_the_look_back_counts(period, n):
    """`longest` steps are allowed, also where the line lies between two bins of the spectrum."""
    z = 3 * np.sin(2 * np.pi * np.arange(n) / period) + 0.1 * rng().normal(size=n)
    assert find_period(z[None], longest=period) == period
    assert find_period(z[None], longest=period - 2) == 1
    year = 20 * np.sin(2 * np.pi * np.arange(2000) / 365)  # a stronger one that is too long does not hide it
    week = year + np.sin(2 * np.pi * np.arange(2000) / 7) + 0.1 * rng().normal(size=2000)
    assert find_period(week[None], longest=7) == 7


def monthly(n: int, size: float, seed: int = 0) -> np.ndarray:
    """A trend, a walk and a year's season of some `size`, `[1, n]`."""
    draw = rng(seed)
    season = size * draw.normal(size=12)[np.arange(n) % 12]
    return (0.3 * np.arange(n) + 0.5 * draw.normal(size=n).cumsum() + season + draw.normal(size=n))[None]


def test_the_calendar_tells_what_a_spectrum_cannot():
    for seed in range(5):
        z = monthly(82, 2.5, seed)
        assert period_of_pieces([z], 12, calendar=(12,)) == 12
        assert period_of_pieces([z], 11, calendar=(12,)) in (1, 2, 3, 4, 6)  # too long for the look-back
        assert period_of_pieces([monthly(82, 0, seed)], 12, calendar=(12,)) == 1
    assert 12 not in [period_of_pieces([monthly(82, 2.5, seed)], 12) for seed in (3,)]
    week = rng().normal(size=(1, 60)) + 2 * rng(1).normal(size=7)[np.arange(60) % 7]
    assert period_of_pieces([week], 28, calendar=(7, 365)) == 7


def test_the_calendar_hides_nothing_that_the_data_show():
    tide = np.sin(2 * np.pi * np.arange(4000) / 24.84)
    lunar = np.stack([tide + 0.1 * rng(s).normal(size=4000) for s in range(3)])
    assert period_of_pieces([lunar], 96, calendar=(24, 168)) == 25
    eleven = cycle(40 * 11, 11, 0)
    assert period_of_pieces([eleven[None]], 24, calendar=(12,)) == 11


def holes(z: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Holes of 5 to 19 steps in z [n] until a share is gone."""
    draw, gappy = rng(seed), z.copy()
    while np.isnan(gappy).mean() < share:
        begin = draw.integers(len(z))
        gappy[begin : begin + draw.integers(5, 20)] = np.nan
    return gappy


@pytest.mark.parametrize("share", [0.13, 0.3])
def test_a_cycle_is_found_across_gaps(share):
    day = 5 * np.sin(2 * np.pi * np.arange(2000) / 24)
    z = np.stack([holes(day + rng(s).normal(0, 0.3, 2000), share, s) for s in (0, 1)])
    assert find_period(z) == 24
    assert find_period(np.stack([holes(rng(s).normal(size=2000), share, s) for s in range(7)])) == 1


def months(series: int, n: int) -> list[np.ndarray]:
    """Series of one year's cycle at levels of their own, none a whole number of years long."""
    found = []
    for s in range(1, series + 1):
        t = np.arange(n + s % 3)
        found.append((10.0**s + s * np.sin(2 * np.pi * (t + 5 * s) / 12) + 0.3 * rng(s).normal(size=len(t)))[None])
    return found


@pytest.mark.parametrize("n", [30, 40, 66])
def test_short_series_are_never_laid_end_to_end(n):
    pieces = months(9, n)
    assert period_of_pieces(pieces, 36) == period_of_pieces(pieces[::-1], 36) == 12
    assert period_of_pieces([rng(s).normal(size=(1, n)) for s in range(9)], 36) == 1
    assert period_of_pieces([rng(s).normal(size=(1, n)).cumsum(axis=1) for s in range(9)], 36) == 1


def test_the_order_of_very_many_channels_does_not_matter():
    z = np.stack([cycle(300, 12 if s % 3 else 7, s) for s in range(40)])
    assert find_period(z) == find_period(z[rng().permutation(40)])
