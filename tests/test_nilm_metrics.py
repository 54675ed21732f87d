"""metrics_nilm.py against scikit-learn, plain loops and figures worked out by hand."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import sklearn.metrics as skm

from tasks.nilm import metrics as nilm

NAMES = ["fridge", "kettle", "washer"]


def timeline(seed: int, n: int = 3000):
    """States with gaps in blocks, probabilities and watts of three devices, the last of which is never on."""
    random = np.random.default_rng(seed)
    on = np.repeat(random.random((3, n // 10)) < [[0.4], [0.1], [0]], 10, axis=1).astype(np.float32)
    score = np.clip(random.normal(0.3 + 0.35 * on, 0.2), 0, 1).astype(np.float32)
    watts = (on * [[90], [2000], [400]] * random.uniform(0.9, 1.1, (3, n))).astype(np.float32)
    estimate = np.maximum(watts * 0.8 + random.normal(0, 10, (3, n)), 0).astype(np.float32)
    on[:, 700:760] = np.nan
    watts[:, 700:760] = np.nan
    return on, score, watts, estimate


@pytest.mark.parametrize("seed", range(3))
def test_states_and_power_are_scikit_learns_over_the_known_steps(seed):
    on, score, watts, estimate = timeline(seed)
    tau = [0.5, 0.41, 0.9]
    found = nilm.nilm_kpis(NAMES, 8, on=on, score=score, tau=tau, watts=watts, estimate=estimate)
    known = ~np.isnan(on[0])
    scores = []
    for k, name in enumerate(NAMES):
        device, y, said = found["devices"][name], on[k, known], score[k, known] >= tau[k]
        counts = skm.confusion_matrix(y, said, labels=[0, 1]).ravel().tolist()
        assert [device[key] for key in ("tn", "fp", "fn", "tp")] == counts
        assert device["tau"] == tau[k] and device["steps"] == known.sum() == 2940
        p, q = watts[k, known].astype(float), estimate[k, known].astype(float)
        assert device["mae"] == pytest.approx(skm.mean_absolute_error(p, q))
        assert device["rmse"] == pytest.approx(math.sqrt(skm.mean_squared_error(p, q)))
        assert device["estimated_kwh"] == pytest.approx(q.sum() * 8 / 3600 / 1000)
        if name == "washer":
            continue
        expected = [fn(y, said) for fn in (skm.precision_score, skm.recall_score, skm.f1_score)]
        assert [device[key] for key in ("precision", "recall", "f1")] == pytest.approx(expected)
        scores.append(expected[2])
        assert device["sae"] == pytest.approx(abs(q.sum() - p.sum()) / p.sum())
        assert device["nde"] == pytest.approx(((p - q) ** 2).sum() / (p**2).sum())
        assert device["energy_error_share"] == pytest.approx(q.sum() / p.sum() - 1)
    assert found["macro_f1"] == pytest.approx(np.mean(scores)) and found["macro_f1_devices"] == ["fridge", "kettle"]
    assert found["mae"] == pytest.approx(np.mean([found["devices"][name]["mae"] for name in NAMES]))
    json.dumps(found, allow_nan=False)


def test_a_device_that_is_never_on_has_no_recall_and_no_f1_but_its_alarms_are_counted():
    on, score, watts, estimate = timeline(0)
    found = nilm.nilm_kpis(NAMES, 8, on=on, score=score, tau=[0.5, 0.5, 0.3], watts=watts, estimate=estimate)
    washer = found["devices"]["washer"]
    assert washer["tp"] == washer["fn"] == 0 and washer["fp"] > 1000 and washer["precision"] == 0
    assert all(washer[key] is None for key in ("recall", "f1", "sae", "nde", "energy_error_share"))
    assert set(washer["undefined"]) == {"recall", "f1", "sae", "nde", "energy_error_share"}
    assert washer["undefined"]["f1"] == "the device is never on"
    assert washer["events"]["f1"] is None and washer["energy_error_kwh"] > 0


def test_states_or_watts_alone_and_a_truth_that_is_never_known():
    on, score, watts, estimate = timeline(1)
    found = nilm.nilm_kpis(NAMES, 8, on=on, score=score, tau=[0.5] * 3)
    assert "mae" not in found and "mae" not in found["devices"]["fridge"] and found["macro_f1"] > 0.5
    found = nilm.nilm_kpis(NAMES, 8, watts=watts, estimate=estimate)
    assert "macro_f1" not in found and "f1" not in found["devices"]["fridge"] and found["nde"] is not None
    nothing = np.full_like(on, np.nan)
    found = nilm.nilm_kpis(NAMES, 8, on=nothing, score=score, tau=[0.5] * 3, watts=nothing, estimate=estimate)
    assert found["macro_f1"] is None and found["mae"] is None and found["devices"]["kettle"]["steps"] == 0
    json.dumps(found, allow_nan=False)


def test_filtered_states_stand_in_for_the_threshold():
    on, score, _, _ = timeline(2)
    found = nilm.nilm_kpis(NAMES, 8, on=on, score=score, tau=[0.5] * 3, predicted=np.nan_to_num(on))
    assert found["macro_f1"] == 1 and found["devices"]["fridge"]["events"]["f1"] == 1


def test_steps_without_a_prediction_are_not_judged():
    on, score, watts, estimate = timeline(4)
    score[:, 100:900] = estimate[:, 100:900] = np.nan
    tau = [0.5, 0.4, 0.9]
    found = nilm.nilm_kpis(NAMES, 8, on=on, score=score, tau=tau, watts=watts, estimate=estimate)
    keep = np.r_[0:100, 900:3000]
    for k, name in enumerate(NAMES):
        device, y = found["devices"][name], on[k, keep]
        counts = skm.confusion_matrix(y, score[k, keep] >= tau[k], labels=[0, 1]).ravel().tolist()
        assert [device[key] for key in ("tn", "fp", "fn", "tp")] == counts and device["steps"] == 2200
        assert device["mae"] == pytest.approx(np.abs(watts[k, keep] - estimate[k, keep]).mean(dtype=float), rel=1e-5)
    assert nilm.best_tau(on[0], score[0]) == nilm.best_tau(on[0, keep], score[0, keep])
    np.testing.assert_array_equal(
        nilm.f1_curve(on[0], score[0], [0.2, 0.5]), nilm.f1_curve(on[0, keep], score[0, keep], [0.2, 0.5])
    )
    json.dumps(found, allow_nan=False)


def test_figures_worked_out_by_hand():
    watts, estimate = np.array([0, 100, 200, np.nan]), np.array([10, 100, 170, 5000])
    found = nilm.power_metrics(watts, estimate, 3600)
    assert found["mae"] == pytest.approx(40 / 3) and found["rmse"] == pytest.approx(math.sqrt(1000 / 3))
    assert found["sae"] == pytest.approx(20 / 300) and found["nde"] == pytest.approx(1000 / 50_000)
    assert found["energy_kwh"] == pytest.approx(0.3) and found["energy_error_kwh"] == pytest.approx(-0.02)
    assert found["energy_error_share"] == pytest.approx(-20 / 300)
    assert all(word in nilm.FORMULAS for word in ("sae", "nde", "f1", "macro_f1", "events", "energy_error_kwh"))
    assert "without a square root" in nilm.FORMULAS["nde"]


# ---- events


def most_pairs(true, said, most):
    """The largest number of pairs within reach, by trying all."""
    if not true or not said:
        return 0
    rest = most_pairs(true[1:], said, most)
    for k, at in enumerate(said):
        if abs(at - true[0]) <= most:
            rest = max(rest, 1 + most_pairs(true[1:], said[:k] + said[k + 1 :], most))
    return rest


@pytest.mark.parametrize("seed", range(20))
def test_events_are_matched_as_often_as_can_be(seed):
    random = np.random.default_rng(seed)
    on, said = ((random.random(60) < 0.5).astype(float) for _ in range(2))
    on[random.random(60) < 0.1] = np.nan
    known = ~np.isnan(on)
    both = [at for at in range(1, 60) if known[at] and known[at - 1]]
    true = [at for at in both if on[at] == 1 and on[at - 1] == 0]
    alarms = [at for at in both if said[at] == 1 and said[at - 1] == 0]
    found = nilm.event_metrics(on, said, 8, 16)
    assert (found["true"], found["predicted"]) == (len(true), len(alarms))
    assert found["matched"] == most_pairs(true, alarms, 2)
    assert found["recall"] == pytest.approx(found["matched"] / len(true))
    assert found["f1"] == pytest.approx(2 * found["matched"] / (len(true) + len(alarms)))


def test_the_tolerance_is_in_seconds_and_holds_to_the_last():
    on, said = np.zeros(50), np.zeros(50)
    on[10:20] = said[14:20] = 1
    assert nilm.event_metrics(on, said, 15, 60)["matched"] == 1
    assert nilm.event_metrics(on, said, 15, 59)["matched"] == 0
    assert nilm.event_metrics(on, said, 15, 59)["precision"] == 0
    always = nilm.event_metrics(np.ones(50), said, 15, 60)  # on from before the first step: no switch-on is seen
    assert always["true"] == 0 and always["recall"] is None and "never switches on" in always["undefined"]["recall"]


# ---- thresholds


def test_best_tau_is_the_best_of_all_cuts_and_a_gap_is_no_activation():
    random = np.random.default_rng(0)
    y = np.repeat(random.random(80) < 0.3, 5).astype(float)
    score = np.clip(random.normal(0.3 + 0.3 * y, 0.2), 0, 1)
    y[33:37] = np.nan
    known = ~np.isnan(y)
    tau, f1, why = nilm.best_tau(y, score)
    tried = [skm.f1_score(y[known], score[known] >= cut) for cut in np.unique(score[known])]
    assert why == "" and f1 == pytest.approx(max(tried))
    assert skm.f1_score(y[known], score[known] >= tau) == pytest.approx(f1)


def test_a_validation_with_few_activations_supports_no_choice():
    y = np.concatenate([np.tile([0, 0, 1, 1], 11), [0, 0]]).astype(float)
    score = np.full(len(y), 0.2)
    assert nilm.best_tau(y, score) == (0.5, None, "validation holds 11 activations, fewer than 12")
    tau, f1, why = nilm.best_tau(y, score, least=11)
    assert tau == pytest.approx(0.1) and f1 == pytest.approx(2 * 22 / (22 + len(y))) and why == ""
    assert nilm.best_tau(np.r_[1, 1, 0], [0.5] * 3)[2] == "validation holds 1 activation, fewer than 12"
    assert nilm.best_tau(np.zeros(9), [0.5] * 9)[0] == 0.5
    assert nilm.best_tau(np.ones(9), [0.5] * 9, least=1)[2] == "the device is always on in validation"


def test_f1_against_the_threshold_is_scikit_learns():
    on, score, _, _ = timeline(3)
    taus = np.concatenate([np.linspace(0, 1, 21), score[0, :3]])
    known = ~np.isnan(on[0])
    wanted = [skm.f1_score(on[0, known], score[0, known] >= tau, zero_division=0) for tau in taus]
    np.testing.assert_allclose(nilm.f1_curve(on[0], score[0], taus), wanted)
    assert np.isnan(nilm.f1_curve(on[2], score[2], taus)).all()


def test_energy_by_day_sums_what_a_loop_sums():
    random = np.random.default_rng(0)
    days = np.sort(random.integers(19_000, 19_004, 500))
    power = random.uniform(0, 3000, (2, 500))
    power[0, 7] = np.nan
    found, kwh = nilm.energy_by_day(power, days, 8)
    assert found.tolist() == [19_000, 19_001, 19_002, 19_003]
    for (d, day), k in itertools.product(enumerate(found), range(2)):
        joules = sum(float(p) * 8 for p, of in zip(power[k], days, strict=True) if of == day and not math.isnan(p))
        assert kwh[k, d] == pytest.approx(joules / 3.6e6)


# ---- gaps and houses


def events_in_a_loop(on, said, when):
    """(true, predicted) switch-ons as places in time, by looking each step's neighbour in time up."""
    place = {int(at): i for i, at in enumerate(when)}
    found = []
    for states in (on, said):
        before = [(at, place[at - 1], i) for at, i in place.items() if at - 1 in place]
        both = [(at, j, i) for at, j, i in before if not np.isnan([on[i], on[j], said[i], said[j]]).any()]
        found.append([at for at, j, i in both if states[j] == 0 and states[i] == 1])
    return found


@pytest.mark.parametrize("seed", range(5))
def test_no_switch_on_is_seen_across_a_gap_and_distances_are_counted_in_time(seed):
    random = np.random.default_rng(seed)
    on, said = ((random.random(80) < 0.5).astype(float) for _ in range(2))
    on[random.random(80) < 0.05] = np.nan
    when = np.cumsum(np.where(random.random(80) < 0.2, random.integers(2, 9, 80), 1))
    true, alarms = events_in_a_loop(on, said, when)
    found = nilm.event_metrics(on, said, 60, 120, when)
    assert (found["true"], found["predicted"]) == (len(true), len(alarms))
    assert found["matched"] == most_pairs(true, alarms, 2)


def test_a_switch_on_before_a_gap_does_not_match_one_hours_after_it():
    on, said = np.r_[np.zeros(9), np.ones(6)], np.r_[np.zeros(11), np.ones(4)]
    when = np.r_[np.arange(10), 190 + np.arange(5)]  # 01:59, then 05:00
    assert nilm.event_metrics(on, said, 60, 180)["matched"] == 1
    found = nilm.event_metrics(on, said, 60, 180, when)
    assert (found["true"], found["predicted"], found["matched"]) == (1, 1, 0)


def test_an_activation_at_the_end_of_a_house_is_not_continued_in_the_next():
    y, rows = np.tile([0, 1, 1, 1, 0, 0, 1, 1], 2).astype(float), np.repeat([0, 1], 8)
    y[8] = 1
    assert "holds 4 activations" in nilm.best_tau(y, np.full(16, 0.5), least=9, rows=rows)[2]
    assert "holds 3 activations" in nilm.best_tau(y, np.full(16, 0.5), least=9)[2]


def test_a_device_that_is_never_on_has_no_error_relative_to_its_energy():
    """A standby of 3e-5 kWh is no measure: SAE and NDE are null where F1 is, and stay out of the means."""
    steps = 100
    on = np.zeros((2, steps))
    on[1, 10:20] = 1
    watts = np.stack([np.full(steps, 1e-3), on[1] * 100])
    found = nilm.nilm_kpis(
        ["idle", "lamp"], 8, on=on, score=on * 0.9, tau=[0.5, 0.5], watts=watts, estimate=np.stack([on[1], watts[1]])
    )
    idle = found["devices"]["idle"]
    assert [idle[key] for key in ("f1", "sae", "nde", "energy_error_share")] == [None] * 4
    assert idle["undefined"]["sae"] == "the device is never on" and idle["mae"] == pytest.approx(0.1008)
    assert found["sae"] == found["nde"] == 0
