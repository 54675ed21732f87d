"""tasks/nilm/targets.py: the constants of devices, and those that are never on, by plain means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.nilm.levels import learned_levels
from tasks.nilm.outputs import decoded
from tasks.nilm.targets import DeviceSample, DeviceTargetReader, DeviceTargets, constants_of

WATTS = np.array([[0, 60, 80, 0, 0, 100, 0, 0], [5, 5, 5, 5, 5, 5, 5, 5]], np.float32)  # a kettle, a sauna on standby


def sample(watts: np.ndarray = WATTS, lacking: bool = False) -> DeviceSample:
    states = (watts >= 50).astype(np.int8)
    if lacking:
        states[1] = 2
    absent = np.array([[False], [lacking]])
    names, offsets = ("kettle", "sauna"), np.array([0, 8])
    given = {"states": states, "offsets": offsets, "absent": absent, "mains": watts.sum(axis=0)}
    targets = DeviceTargets(watts, names, per_row=False, **given)
    return DeviceSample(targets, np.ones(8, bool))


def test_a_device_that_is_never_on_has_nothing_to_learn_and_is_off():
    found = constants_of(sample(), None, {}, levels=True)
    assert found["never_on"] == [0, 1] and found["base_rate"] == [3 / 8, 0] and found["on_mean"] == [80, 1]
    peak, mean, states = torch.tensor([[100.0], [1.0]]), torch.tensor([[80.0], [1.0]]), torch.ones(2, 8)
    untaught = torch.tensor(found["never_on"])[:, None] == 1
    reader = DeviceTargetReader(states.to(torch.int8), torch.from_numpy(WATTS), peak, mean, untaught, torch.zeros(2, 1))
    y = reader.read(torch.tensor([0]), 8)
    assert y[0, 1].isnan().all() and not y[0, 0].isnan().any()
    said = decoded("both", torch.full((1, 2 + 24, 4), 3.0), found)
    assert (said[0, 0] > 0.9).all() and (said[0, 2] > 0).all() and not said[0, [1, 3]].any()


def test_finetuning_teaches_what_training_never_saw_and_keeps_the_units_of_the_rest():
    first = constants_of(sample(), None, {}, levels=True)
    other = np.array([[0, 30, 30, 0, 0, 70, 0, 0], [0, 0, 900, 1100, 0, 0, 0, 0]], np.float32)
    found = constants_of(sample(other), first, {}, levels=False)
    assert found["never_on"] == [0, 0] and found["base_rate"] == [1 / 8, 2 / 8] and found["on_mean"] == [80, 1000]
    assert found["levels"][0] == first["levels"][0]
    peak = found["peak"][1]
    assert found["levels"][1] == pytest.approx(learned_levels(np.minimum([900, 1100], peak) / 1000))
    lacks = constants_of(sample(WATTS, lacking=True), first, {}, levels=False)
    assert lacks["never_on"] == [0, 1] and lacks["base_rate"] == [3 / 8, 0]
    once_taught = constants_of(sample(), found, {}, levels=False)
    assert once_taught["never_on"] == [0, 0] and once_taught["on_mean"] == [80, 1000]  # it is off in these days
    old = {name: first[name] for name in ("base_rate", "pos_weight", "on_mean", "peak")}
    assert constants_of(sample(), old, {}, levels=False)["never_on"] == [0, 0]


def test_what_a_device_draws_at_rest_is_the_median_of_its_off_steps():
    watts = np.array([[2, 60, 80, 3, 2, 100, 9, -1], [12, 12, 80, 90, 13, 12, 12, 13]], np.float32)
    first = constants_of(sample(watts), None, {}, levels=False)
    assert first["off_w"] == [2, 12]  # of -1, 2, 2, 3, 9, and of 12, 12, 12, 12, 13, 13
    elsewhere = np.array([[4, 60, 80, 4, 4, 100, 4, 4], [0, 0, 80, 90, 0, 0, 0, 0]], np.float32)
    assert constants_of(sample(elsewhere), first, {}, levels=False)["off_w"] == [4, 0]  # of the house at hand
    lacking = constants_of(sample(elsewhere, lacking=True), first, {}, levels=False)
    assert lacking["off_w"] == [4, 12]  # as it was, where the house has no such device


def test_traces_of_other_houses_teach_what_this_one_never_runs():
    traces = {0: (0.1, np.full(5, 40.0, np.float32)), 1: (0.05, np.array([400, 600], np.float32))}
    found = constants_of(sample(), None, traces, levels=False)
    assert found["never_on"] == [0, 0] and found["base_rate"] == [3 / 8, 0.05] and found["on_mean"] == [80, 500]
    assert found["pos_weight"] == pytest.approx([5 / 3, 19])
