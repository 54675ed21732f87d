"""The look-back and the horizon that are chosen where they are not given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backbones.period import period_of_pieces
from tasks.forecast.lookback import look_back

from .runs import go, good, strict


def wave(n: int, period: int, seed: int = 0) -> np.ndarray:
    t = np.arange(n)
    return np.sin(2 * np.pi * t / period) + 0.1 * np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize(
    ("n", "period", "horizon", "expected"),
    [(400, 12, 12, 36), (300, 24, 24, 72), (90, 24, 24, 48), (66, 24, 24, 24)],
)
def test_as_many_periods_as_leave_windows_to_learn_from(n, period, horizon, expected):
    length, why = look_back([wave(n, period)[None]], n, horizon, (period,), n)
    assert length == expected and f"{period} steps" in why


def test_a_longer_cycle_of_the_calendar_counts_in_a_long_series():
    hours = wave(4000, 24) + 0.5 * wave(4000, 168, 1)
    assert look_back([hours[None]], 4000, 24, (24, 168), 4000)[0] == 3 * 168
    assert look_back([hours[None, :2000]], 2000, 24, (24, 168), 2000)[0] == 3 * 24


@pytest.mark.parametrize(("short", "expected"), [(400, 36), (48, 36), (47, 24), (30, 12), (20, 36)])
def test_fewer_periods_are_looked_back_on_where_short_rows_then_have_a_window(short, expected):
    """With one period of 12 a window takes 24 steps: for rows of 20 nothing is gained, nor given up."""
    assert look_back([wave(400, 12)[None]], 400, 12, (12,), short)[0] == expected
    walk = np.cumsum(np.random.default_rng(1).normal(size=500))
    assert look_back([walk[None]], 500, 10, (), 35)[0] <= 25


def test_short_series_of_a_panel_are_forecast_too(tmp_path):
    """Ten of fifty series of weeks have a year and a half, which three years of look-back left out altogether."""
    draw = np.random.default_rng(0)
    lines = ["id,date,y"]
    for number in range(50):
        n = 80 if number < 10 else 300
        week = np.datetime64("2024-01-01") - 7 * np.arange(n)[::-1]
        y = np.sin(2 * np.pi * np.arange(n) / 52) + 0.1 * draw.normal(size=n)
        lines += [f"s{number},{day},{value:.3f}" for day, value in zip(week, y, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    done = go(tmp_path, "--task forecast --csv a.csv --horizon 6 --dry-run")
    assert done.code == 0 and "look-back: 52 steps, a period of 52 steps" in done.err and "not used" not in done.err


def test_without_a_period_backtests_choose():
    walk = np.cumsum(np.random.default_rng(1).normal(size=500))
    length, why = look_back([walk[None]], 500, 10, (), 500)
    assert length in (10, 20, 40, 80) and "backtests" in why


def wandering(n: int, period: float, seed: int) -> np.ndarray:
    """A cycle whose pace and height wander, as those of sunspots do, in noise: no line in a spectrum."""
    memory, (draw, noise) = 0.985, np.random.default_rng(seed).normal(size=(2, n))
    y = np.zeros(n)
    for step in range(2, n):
        y[step] = 2 * memory * np.cos(2 * np.pi / period) * y[step - 1] - memory**2 * y[step - 2] + draw[step]
    return y + 5 * noise


@pytest.mark.parametrize("seed", [0, 2])
def test_a_year_that_does_not_show_is_tried_beside_longer_and_shorter_look_backs(seed):
    """Months with a cycle of about eleven years: three calendar years see a third of it."""
    cycle = wandering(2000, 132, seed)
    assert period_of_pieces([cycle[None]], None, (12,)) == 1
    length, why = look_back([cycle[None]], 2000, 36, (12,), 2000)
    assert length > 36 and "backtests" in why
    walk = np.cumsum(np.random.default_rng(3).normal(size=2000))
    assert look_back([walk[None]], 2000, 36, (12,), 2000)[0] in (36, 72, 144, 288, 666)


def test_a_short_cycle_is_no_look_back_for_a_long_horizon():
    """What alternates from step to step says little of the next 48 where it also goes back to its mean in a hundred."""
    draw = np.random.default_rng(5).normal(size=3000)
    slow = np.zeros(3000)
    for step in range(1, 3000):
        slow[step] = 0.97 * slow[step - 1] + draw[step]
    y = slow + 4.0 * (np.arange(3000) % 2)
    assert period_of_pieces([y[None]]) == 2
    length, why = look_back([y[None]], 3000, 48, (), 3000)
    assert length >= 48 and "backtests" in why
    assert look_back([y[None]], 3000, 6, (), 3000)[0] == 6


def test_of_many_series_some_are_asked_and_those_without_a_value_are_none(recwarn):
    rows = [np.cumsum(np.random.default_rng(seed).normal(size=200))[None] for seed in range(200)]
    rows[0], rows[-1] = np.full((1, 200), np.nan), np.full((1, 200), np.nan)
    length, why = look_back(rows, 200, 5, (), 200)
    assert 5 <= length <= 66 and "backtests" in why and not recwarn.list


def test_the_choice_is_told_and_kept_by_the_checkpoint(tmp_path):
    dates = pd.date_range("2020-01-01", periods=200, freq="D").strftime("%Y-%m-%d")
    pd.DataFrame({"date": dates, "y": 50 + 10 * wave(200, 7)}).to_csv(tmp_path / "t.csv", index=False)
    words = "--mode train --task forecast --csv t.csv --time-col date --horizon 7 --backbone ridge --no-plots"
    done = go(tmp_path, words)
    assert done.code == 0 and "look-back: 21 steps, 3 periods of 7 steps; --context-len sets another" in done.err
    assert strict(done.directory / "summary.json")["context"] == 21 and "_ctx21_" in done.directory.name
    again = good(tmp_path, f"--mode infer --csv t.csv --ckpt {done.directory} --no-plots --quiet")
    assert strict(again / "summary.json")["context"] == 21


def test_a_horizon_that_is_given_is_never_shortened(tmp_path):
    dates = pd.date_range("2020-01-01", periods=40, freq="D").strftime("%Y-%m-%d")
    pd.DataFrame({"date": dates, "y": wave(40, 7)}).to_csv(tmp_path / "t.csv", index=False)
    words = "--mode train --task forecast --csv t.csv --time-col date --backbone ridge --no-plots --dry-run"
    told = go(tmp_path, words)
    assert told.code == 0 and "short for a horizon of 24 steps: 6 are forecast" in told.err and "_h6_" in told.out
    assert "_h12_" in go(tmp_path, words, "--horizon 12 --context-len 2").out


def test_a_series_without_a_value_in_training_costs_no_choice_and_no_warning(recwarn):
    walk = np.cumsum(np.random.default_rng(1).normal(size=500))[None]
    none = np.full((1, 40), np.nan)
    assert look_back([none, walk], 500, 10, (), 500) == look_back([walk], 500, 10, (), 500)
    assert not [each for each in recwarn if "empty slice" in str(each.message)]


def test_between_gaps_the_look_back_is_one_that_leaves_windows_in_every_part(tmp_path):
    """Of 600 days with weeks, 4 days of each 24 lack in the last half: 3 weeks and a step do not fit between, 2 do."""
    days = pd.date_range("2020-01-01", periods=600, freq="D").strftime("%Y-%m-%d")
    table = pd.DataFrame({"date": days, "y": 50 + 10 * wave(600, 7)})
    table.loc[(table.index % 24 < 4) & (table.index >= 300), "y"] = np.nan
    table.to_csv(tmp_path / "t.csv", index=False)
    words = "--task forecast --csv t.csv --time-col date --horizon 2 --nan drop --backbone ridge --no-plots --dry-run"
    told = go(tmp_path, words)
    assert told.code == 0 and "_ctx14_" in told.out, told.err
    assert "look-back: 14 steps, 2 periods of 7 steps: between missing values a longer one leaves a part" in told.err
