"""tasks/nilm/watts.py: which watts count, and what they are capped at, by plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.nilm.metrics import power_metrics
from tasks.nilm.watts import Limits, capped, certain, counted, sure


def test_the_limits_are_seven_eight_and_six_tenths_of_a_half_and_move_with_tau():
    assert sure(0.5, strict=True) == pytest.approx((0.7, 0.8, 0.6))
    assert sure(0.3, strict=True) == pytest.approx((0.58, 0.72, 0.44)) and sure(1.0, strict=True) == (1.0, 1.0, 1.0)
    assert sure(0.3, strict=False) == (0, 0.3, 0.3)


def test_watts_count_in_sure_runs_at_likely_steps():
    random = np.random.default_rng(0)
    score = random.random((2, 500)).astype(np.float32) ** 0.5
    on = score >= 0.5
    when = np.cumsum(1 + 5 * (random.random(500) < 0.02))
    limits = [Limits(0.7, 0.8, 0.6), Limits(0.75, 0.97, 0.7)]
    found, likely = counted(on, score, when, limits)
    for k, (mean, greatest, each) in enumerate(limits):
        run: list[int] = []
        for i in range(501):
            if i < 500 and on[k, i] and (not run or when[i] == when[i - 1] + 1):
                run.append(i)
                continue
            whole = bool(run) and sum(map(float, score[k, run])) / len(run) >= mean
            kept = whole and max(score[k, j] for j in run) >= np.float32(greatest)
            assert [bool(likely[k, j]) for j in run] == [whole for _ in run]
            assert [bool(found[k, j]) for j in run] == [kept and score[k, j] >= np.float32(each) for j in run]
            run = [i] if i < 500 and on[k, i] else []
    assert not (found & ~likely).any() and not (likely & ~on).any()
    assert found.any() and (likely & ~found).any() and (on & ~likely).any()


def test_what_a_rule_without_probabilities_says_is_sure_with_the_breaks_that_are_filled():
    score = np.array([[1, 0, 0, 0, 1, 0.0]], np.float32)
    on = np.array([[True, True, True, True, True, False]])
    assert certain(score[0]) and not certain(np.array([0, 0.5, 1]))
    kept, likely = counted(on, score, np.arange(6), [sure(0.5, strict=False)])
    assert kept[0].tolist() == (score[0] == 1).tolist() and likely.tolist() == on.tolist()


def test_no_device_and_not_their_sum_is_above_the_meter():
    random = np.random.default_rng(1)
    watts, mains = random.uniform(0, 100, (3, 200)).astype(np.float32), random.uniform(-20, 200, 200)
    mains[7] = np.nan
    found = capped(watts, mains)
    for i in range(200):
        if np.isnan(mains[i]):
            assert found[:, i].tolist() == watts[:, i].tolist()
            continue
        each = np.minimum(watts[:, i], max(mains[i], 0))
        most = min(max(mains[i], 0), each.sum())
        np.testing.assert_allclose(found[:, i], each * most / each.sum() if each.any() else each, rtol=1e-5)


def test_energy_is_the_sum_of_its_own_estimate():
    truth, estimate, energy = np.array([10.0, 0, 30]), np.array([0.0, 0, 30]), np.array([12.0, 4, 30])
    found = power_metrics(truth, estimate, 3600, energy)
    assert found["mae"] == pytest.approx(10 / 3) and found["rmse"] == pytest.approx((100 / 3) ** 0.5)
    assert found["estimated_kwh"] == pytest.approx(0.046) and found["sae"] == pytest.approx(6 / 40)
    assert power_metrics(truth, estimate, 3600)["sae"] == pytest.approx(10 / 40)
