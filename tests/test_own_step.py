"""sources/own_step.py and tasks/nilm/suited.py: the step of a meter's lines, and what suits it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from sources.own_step import held, own_step, shown
from tasks.nilm.suited import suited
from times.clock import Clock
from times.frequencies import fixed_freq

SECOND = 10**9


def lines(apart: float, count: int = 500, jitter: float = 0.0) -> np.ndarray:
    """Times of lines so many seconds apart, each by up to `jitter` of that early or late."""
    off = np.random.default_rng(1).uniform(-jitter, jitter, count) * apart
    return np.round((np.arange(count) * apart + off) * SECOND).astype(np.int64)


@pytest.mark.parametrize(
    ("apart", "jitter", "step"),
    [(60, 0, 60), (900, 0.03, 900), (3600, 0, 3600), (6, 0, 6), (1, 0, 8), (3, 0, 9), (7, 0.3, 8), (45, 0.4, 60)],
)
def test_the_step_is_the_lines_own_or_a_little_coarser(apart, jitter, step):
    assert own_step(lines(apart, 12_000, jitter), [0, 12_000])[0] == step


@pytest.mark.parametrize(("count", "step"), [(621, 1), (7999, 1), (8001, 8)])
def test_few_lines_a_second_apart_keep_their_step(count, step):
    """Ten minutes at one a second are 77 steps of eight, of which validation has eleven."""
    assert own_step(lines(1, count), [0, count])[0] == step


def test_of_several_houses_the_coarsest_counts_and_gaps_do_not():
    fine, coarse = lines(60), lines(900)
    coarse[250:] += 86_400 * SECOND
    found = own_step(np.concatenate([fine, coarse]), [0, 500, 1000])
    assert found[0] == 900 and "--resample" in found[2]


def test_a_missing_line_is_filled_where_steps_are_as_long_as_lines_are_apart():
    assert held(900, 900, 60) == (2250, "") and held(8, 8, 60) == (60, "")
    longest, told = held(8, 900, 60)
    assert longest == 60 and "15min apart, and steps of 8s are finer" in told
    assert [shown(seconds) for seconds in (8, 60, 90, 900, 3600)] == ["8s", "1min", "90s", "15min", "1h"]


def house(step: int, count: int) -> SimpleNamespace:
    return SimpleNamespace(clock=Clock(fixed_freq(step * SECOND)), lengths=np.array([count]))


def settings(**more) -> SimpleNamespace:
    usual = {"given": frozenset(), "npz": "", "demo": False, "val_ratio": 0.15, "test_ratio": 0.15, "split_sizes": ()}
    return SimpleNamespace(**usual | {"split_mode": "holdout", "options": {"nilm_features": ("above", "log")}} | more)


@pytest.mark.parametrize(
    ("step", "count", "window"),
    [
        (60, 40_000, 600),
        (900, 6000, 96),
        (3600, 9000, 48),
        (60, 4000, 300),
        (900, 200, 24),
        (8, 2838, 212),
        (1, 621, 46),
    ],
)
def test_a_window_is_a_day_within_limits_and_fits_into_validation(step, count, window):
    assert suited(house(step, count), settings())[0]["context_len"] == window


def test_what_is_given_stays_and_eight_seconds_are_as_they_were():
    found = suited(house(900, 6000), settings(given={"context_len", "resample", "nilm_features"}))
    assert found == ({}, []) and suited(house(8, 90_000), settings())[0] == {"resample": "8s"}
    assert suited(house(900, 6000), settings())[0]["options"]["nilm_features"] == ("log", "hour")
