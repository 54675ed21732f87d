"""federation/updates.py by other means: norms, bounds and sums that are worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from federation import homes, updates
from settings.addresses import host_and_port, is_loopback


@pytest.mark.parametrize(
    ("norms", "scale", "out"),
    [
        ([1.0, 1.2, 30.0], 5.0, [False, False, False]),  # the median of 1, 1.2, 5, 30 is 3.1: ten of it are 31
        ([1.0, 1.2, 32.0], 5.0, [False, False, True]),
        ([1.0, 1e12], 5.0, [False, True]),  # of two homes the norm of the average tells which
        ([0.0, 1.0], 5.0, [False, False]),  # and one that sends back what it got leaves nobody out
        ([2.0], 0.0, [False]),
    ],
)
def test_a_change_is_at_most_ten_medians_long(norms, scale, out):
    assert updates.too_long(norms, scale, 10.0) == out


def test_a_norm_is_of_weights_and_not_of_counters():
    before = {"w": np.array([1.0, 2.0], np.float32), "seen": np.array(7)}
    after = {"w": np.array([4.0, 6.0], np.float32), "seen": np.array(900)}
    assert updates.norm(after, before) == 5.0 and updates.norm(before) == pytest.approx(5**0.5)


@pytest.mark.parametrize("count", [0, 15, -10, 10**12, 3.0, True, None, "3"])
def test_windows_are_at_most_those_said_at_joining(count):
    assert updates.examples_of(14, 14) == 14
    with pytest.raises(ValueError, match="windows; it had 14"):
        updates.examples_of(count, 14)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -1.0, 1e30, None, True, "1"])
def test_a_loss_is_a_number_that_a_loss_can_be(loss):
    assert updates.loss_of(0.0) == 0.0
    with pytest.raises(ValueError, match="validation loss"):
        updates.loss_of(loss)


def test_a_home_that_says_too_many_windows_is_not_believed():
    assert updates.too_many(50_000, [100, 200, 50_000]) == ""
    assert "it says that it has 1,000,000 windows" in updates.too_many(10**6, [100, 200, 10**6])


def sums(steps: np.ndarray, middle: np.ndarray) -> tuple[list[float], list[float], list[float]]:
    """Count, sum and squares about the middle of steps [n, C]."""
    squares = ((steps - middle) ** 2).sum(axis=0)
    return [float(len(steps))] * steps.shape[1], steps.sum(axis=0).tolist(), squares.tolist()


def test_homes_whose_sums_cannot_be_right_are_found_and_the_rest_make_the_scaler_of_all_steps():
    rng = np.random.default_rng(0)
    steps = [rng.normal([5 * k, 100], [1, 10], (40 + k, 2)) for k in range(3)]
    firsts = [sums(part, np.zeros(2))[:2] for part in steps] + [([40.0, 40.0], [4e31, 4000.0])]
    count, total = (np.array([first[k] for first in firsts]) for k in (0, 1))
    middle = updates.centre(count, total)
    assert middle[1] == np.median(total[:, 1] / count[:, 1])
    honest = [sums(part, middle)[2] for part in steps]
    for lie in (
        [400.0, 400.0],
        [40 * 1e60, 400.0],
        [1e-9, 400.0],
    ):  # no mean without its squares, nor beyond the others
        found = updates.strangers(count, total, np.array([*honest, lie]), middle)
        assert found.tolist() == [False, False, False, True]

    crowd = count.copy()
    crowd[3] = 1e7
    squares = np.array([*honest, [1e7, 1e7]])
    assert updates.strangers(crowd, middle * crowd, squares, middle).tolist() == [False, False, False, True]

    told = [{"count": first[0], "sum": first[1]} for first in firsts[:3]]
    mean = homes.common_mean(told)
    seconds = [
        homes.recentred(first, {"square": square}, middle, mean) for first, square in zip(told, honest, strict=True)
    ]
    scaler = homes.common_scaler(mean, told, seconds, ["a", "b"])
    every = np.concatenate(steps)
    np.testing.assert_allclose(scaler.mean, every.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaler.std, every.std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("text", ["", "[", "NaN", "[]", '"x"', '{"a": Infinity}', "[" * 10**5, "9" * 5000, None, 3])
def test_an_answer_is_a_json_object(text):
    assert updates.answer_of({"answer": json.dumps({"a": 1})}) == {"a": 1}
    with pytest.raises(ValueError, match="its answer is"):
        updates.answer_of({"answer": text})


@pytest.mark.parametrize(
    ("text", "place", "here"),
    [
        ("9092", ("127.0.0.1", 9092), True),
        (":9092", ("127.0.0.1", 9092), True),
        ("localhost:1", ("localhost", 1), True),
        ("127.0.0.2:1", ("127.0.0.2", 1), True),
        ("[::1]:80", ("::1", 80), True),
        ("0.0.0.0:80", ("0.0.0.0", 80), False),
        ("[::]:80", ("::", 80), False),
        ("gateway:80", ("gateway", 80), False),
    ],
)
def test_an_address_is_of_this_machine_or_not(text, place, here):
    assert host_and_port(text, "--serve") == place and is_loopback(place[0]) is here
