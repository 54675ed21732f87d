"""backbones/backtests.py: which origins are tried, and what is fitted before them, by the definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import windows
from backbones.backtests import CHEAP, FEWER, FITS, MOST, OF_FEW, OF_MANY, Before, planned
from backbones.trials import with_enough
from tasks.histories import Past, before
from tasks.stretches import stretches


def before_of(lengths, val, context=6, horizon=4) -> Before:
    """Rows of rising numbers, of which the last `val` steps before the scored part are validation's."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    usable = np.ones(offsets[-1], bool)
    index = windows.plan(offsets, usable, usable, length=context, offset=1, horizon=horizon)
    values = np.arange(offsets[-1], dtype=float)[None]

    class Rows:
        clock = None

    Rows.offsets = offsets
    inputs = torch.from_numpy(values).float()
    histories = Past(Rows(), values, np.zeros(1), np.ones(1)).of(index, windows.Windows(inputs, inputs, index))

    def laid(train, held):
        return stretches(inputs, None, train, held, offsets, horizon)

    return before(index, offsets[1:] - val, histories, laid)


def test_backtests_of_a_short_series_go_back_by_half_a_horizon():
    tests = planned(before_of([40], val=4), many=False)
    assert tests.short and len(tests.numbers) == OF_FEW
    origins = sorted(6 + tests.numbers)  # the first window's target begins at 6
    assert origins == [36 - 2 * back for back in range(OF_FEW)][::-1]
    for which, cut in tests.folds():
        assert len(which) == 2 and cut.tolist() == [min(6 + tests.numbers[which])]


def test_a_fold_without_a_window_is_passed_over():
    """As where windows are further apart than folds are long: there is nothing to forecast in it."""
    tests = planned(before_of([76], val=4), many=False)
    fewer = replace(tests, fold=np.where(tests.fold == 1, 0, tests.fold))
    assert [sorted(set(fewer.fold[which])) for which, _ in fewer.folds()] == [[0], [2], [3]]
    assert [cut.tolist() for _, cut in fewer.folds()] == [tests.cuts[number].tolist() for number in (0, 2, 3)]


def test_a_long_history_with_a_short_validation_is_tried_in_its_later_half():
    tests = planned(before_of([76], val=4), many=False)
    assert tests.short and sorted(6 + tests.numbers) == [72 - 2 * back for back in range(17)][::-1]  # of 34 there are
    assert len(tests.cuts) == 4 and max(np.bincount(tests.fold)) == 5
    assert tests.cuts[:, 0].tolist() == [6 + tests.numbers[tests.fold == fold].min() for fold in range(4)]


@pytest.mark.parametrize(("steps", "val", "short"), [(900, 18, True), (900, 20, False), (900, 300, False)])
def test_backtests_of_a_long_series_lie_all_over_its_later_half(steps, val, short):
    """Whatever validation holds: it may be one season of several."""
    tests = planned(before_of([steps], val=val), many=False)
    reach = (steps - 6 - 4) // 2 + 1  # strides of half a horizon between the first window's origin and the last's
    apart = 2 * (reach // 2 // MOST)
    origins = sorted(6 + tests.numbers)
    assert origins == [steps - 4 - apart * back for back in range(MOST)][::-1]
    assert origins[0] < 6 + steps * 0.6 and tests.short is short and len(tests.cuts) == FITS
    for which, cut in tests.folds():
        assert len(which) == MOST / FITS and cut.tolist() == [min(6 + tests.numbers[which])]


def test_backtests_stay_in_validation_where_members_have_seen_what_comes_before_it():
    long, short = (planned(before_of([900], val=val), many=False, late=True) for val in (300, 18))
    apart = 2 * (((300 - 4) // 2 + 1) // MOST)
    assert sorted(6 + long.numbers) == [896 - apart * back for back in range(MOST)][::-1]
    assert min(6 + long.numbers) >= 900 - 300 and len(long.cuts) == 1 and not long.short
    assert len(short.cuts) == FITS and min(6 + short.numbers) < 600


def test_members_are_fitted_less_often_where_that_takes_long():
    assert len(planned(before_of([CHEAP + 10], val=400), many=False).cuts) == FEWER


def test_many_series_are_tried_four_times_each_and_a_long_validation_all_over():
    many = before_of([60, 40, 9], val=4)
    tests = planned(many, many=True)
    assert np.bincount(many.rows[tests.numbers], minlength=3).tolist() == [
        OF_MANY,
        OF_MANY,
        0,
    ]  # nine steps hold no window
    for row, end in enumerate([60, 100]):
        own = many.rows[tests.numbers] == row
        origins = many.histories.origin[tests.numbers[own]]
        assert (tests.back[own] == (end - 4 - origins) // 2).all()  # half a horizon apart
    long = planned(before_of([2000] * 2, val=300), many=True)
    assert not long.short and np.bincount(long.back).tolist() == [2] * MOST and len(long.cuts) == 1


@pytest.mark.parametrize("cut", [30, 47])
def test_nothing_from_the_cut_on_is_fitted_to(cut):
    held = before_of([60], val=10)
    data = held.fitting(np.array([cut]), seed=0)
    assert (data.train.origin + 4 <= cut).all() and (data.val.origin + 4 <= cut).all()
    assert data.train.origin.max() + 4 <= data.val.origin.min()
    train, val, both, known = data.stretches()
    assert known is None and max(float(piece.max()) for piece in (*train, *val, *both)) == cut - 1
    assert [float(piece.max()) for piece in both] == [cut - 1]


def test_rows_count_by_their_own_deviation():
    held = before_of([60, 60], val=10)
    whole = held.fitting(held.end, seed=0).stretches()[2]
    assert [float(piece.std(correction=0)) for piece in whole] == pytest.approx([1, 1], rel=1e-5)
    plain = held.fitting(held.end, seed=0, scaled=False).stretches()[2]
    assert float(plain[1].max()) == 119


def test_trees_are_tried_where_half_of_the_latest_windows_are_there_to_learn_from():
    short = before_of([60] * 20, val=8, context=20)
    tests = planned(short, many=True)
    windows = [len(short.fitting(cut, 0).train) for cut in tests.cuts]
    kept = [cut.tolist() for _, cut in with_enough(short, tests)]
    assert kept == [cut.tolist() for cut, n in zip(tests.cuts, windows, strict=True) if 2 * n >= windows[0]]
    least = before_of([38] * 20, val=8, context=20)
    tests = planned(least, many=True)
    assert len(tests.cuts) == 2 and len(list(with_enough(least, tests))) == 1  # 5 windows a row, and 1
