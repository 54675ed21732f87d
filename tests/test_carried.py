"""What is estimated once and kept for whoever asks next."""

from __future__ import annotations

import numpy as np

from backbones import carried
from backbones.carried import asked, every, kept
from backbones.histories import Stack
from backbones.season import seasonal


def stack(ends: list[int], seed: int = 0) -> Stack:
    return Stack(np.random.default_rng(seed).normal(size=(2, 900)), np.array([0, 1] * (len(ends) // 2)), np.array(ends))


def test_short_seasons_are_asked_for_at_every_origin_and_long_ones_a_hundred_times_a_cycle():
    some = stack([899, 899, 898, 2, 1, 895])
    grid, which, late = asked(some, 199)
    assert grid is some and which.tolist() == [0, 1, 2, 3, 4, 5] and not late.any()
    grid, which, late = asked(some, 450)  # every 4 steps
    assert every(450) == 4 and every(199) == 1
    assert (grid.end[which] + late).tolist() == some.end.tolist() and (grid.series[which] == some.series).all()
    assert sorted(zip(grid.series.tolist(), grid.end.tolist(), strict=True)) == [
        (0, 1),
        (0, 896),
        (1, 1),
        (1, 892),
        (1, 896),
    ]
    assert len(asked(some, 450, np.array([True] + [False] * 5))[0]) == 6


def test_what_was_estimated_is_not_estimated_again_until_it_makes_room(monkeypatch):
    monkeypatch.setattr(carried, "_found", {})
    monkeypatch.setattr(carried, "KEPT", 8)
    done: list[tuple[int, int]] = []

    def ask(some: Stack) -> np.ndarray:
        def estimate(numbers: np.ndarray) -> np.ndarray:
            done.extend(zip(some.series[numbers].tolist(), some.end[numbers].tolist(), strict=True))
            return np.stack([some.y[some.series[i], : some.end[i]][-2:] for i in numbers])

        return kept(some, ("last two",), estimate)

    for some, new in ((stack([5, 6]), 2), (stack([5, 6, 7, 6]), 1), (stack([5, 6], seed=1), 2), (stack([5, 6]), 1)):
        done.clear()
        expected = [some.y[s, e - 2 : e] for s, e in zip(some.series, some.end, strict=True)]
        np.testing.assert_array_equal(ask(some), expected)
        assert len(done) == new, done


def test_no_origins_have_no_season():
    none = np.zeros(0, int)
    assert seasonal(Stack(np.ones((1, 900)), none, none), 300).shape == (0,)


def test_what_comes_from_many_steps_holds_for_a_small_part_of_them():
    """Of a history of 400 steps and more, for the largest power of two in a 32nd of the steps."""
    ends = np.arange(1, 3000)
    some = Stack(np.zeros((1, 3000)), np.zeros(len(ends), np.int64), ends)
    for steps in (300, 1000):
        grid, which, late = asked(some, 7, steps=steps)
        for end, at, after in zip(ends.tolist(), grid.end[which].tolist(), late.tolist(), strict=True):
            hold = 1
            while end >= 400 and 2 * hold <= min(end, steps) / 32:
                hold *= 2
            assert at == end - end % hold and after == end % hold
    assert asked(some, 450, steps=300)[0].end.tolist() == asked(some, 450)[0].end.tolist()  # the season decides
