"""What is estimated once and kept for whoever asks next."""

from __future__ import annotations

import numpy as np

from backbones import adjustment, carried
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


def test_the_phases_of_a_short_season_are_estimated_once_for_the_forecasters_of_the_same_origins(monkeypatch):
    monkeypatch.setattr(carried, "_together", {})
    t = np.arange(900)
    y = 5 + np.stack([np.sin(t / 12 * 2 * np.pi), np.cos(t / 12 * 2 * np.pi)]) + 0.1 * stack([1, 1]).y
    some, done, estimate = Stack(y, np.array([0, 1, 1]), np.array([600, 700, 800])), [], adjustment._phases

    def counted(*given):
        done.append(given)
        return estimate(*given)

    monkeypatch.setattr(adjustment, "_phases", counted)
    first, again = (adjustment.adjustment(some, 12) for _ in range(2))
    assert len(done) == 1 and again.phases is first.phases
    np.testing.assert_array_equal(first.phases, estimate(some, 12, np.ones(3, bool)))
    adjustment.adjustment(some, 12, factors=False)  # it adds
    adjustment.adjustment(some, 6)
    adjustment.adjustment(some.some(np.array([0, 1])), 12)
    adjustment.adjustment(Stack(y + 1e-9, some.series, some.end), 12)
    assert len(done) == 5
    monkeypatch.setattr(carried, "KEPT_TOGETHER", 40)  # numbers: one of 36 at a time
    for period, new in ((12, 1), (12, 1), (6, 2), (12, 3)):
        adjustment.adjustment(Stack(y - 1, some.series, some.end), period)
        assert len(done) == 5 + new


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
