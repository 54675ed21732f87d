"""windows.py against plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import windows
from errors import DataError
from windows import Windows


def naive(offsets, usable_x, usable_y, length, offset, stride, horizon=1):
    """(row, start, target) of every window, by the definition."""
    found = []
    for row, (begin, end) in enumerate(itertools.pairwise(offsets)):
        span = length if offset is None else length - 1 + offset + horizon
        for start in range(begin, end - span + 1, stride):
            target = row if offset is None else start + length - 1 + offset
            known = usable_y[target] if offset is None else usable_y[target : target + horizon].all()
            if usable_x[start : start + length].all() and known:
                found.append((row, start, target))
    return found


def random_case(rng):
    lengths = rng.integers(0, 25, size=rng.integers(1, 7))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    share = rng.choice([0.0, 0.1, 0.4])
    offset = rng.choice([None, 1, 3])
    usable_x = rng.random(offsets[-1]) >= share
    usable_y = rng.random(len(lengths) if offset is None else offsets[-1]) >= share
    return offsets, usable_x, usable_y, int(rng.integers(1, 7)), offset, int(rng.integers(1, 5))


@pytest.mark.parametrize("seed", range(60))
def test_plan_finds_the_windows_of_the_definition(seed):
    offsets, usable_x, usable_y, length, offset, stride = random_case(np.random.default_rng(seed))
    index = windows.plan(offsets, usable_x, usable_y, length=length, offset=offset, stride=stride)
    found = list(zip(index.rows(), index.starts(), index.targets(), strict=True))
    assert found == naive(offsets, usable_x, usable_y, length, offset, stride)
    assert len(index) == len(found)


@pytest.mark.parametrize("seed", range(30))
def test_plan_finds_the_windows_whose_whole_span_is_known(seed):
    rng = np.random.default_rng(seed)
    offsets, usable_x, _, length, _, stride = random_case(rng)
    usable_y, horizon = rng.random(offsets[-1]) >= 0.1, int(rng.integers(1, 6))
    how = {"length": length, "offset": 2, "stride": stride, "horizon": horizon}
    index = windows.plan(offsets, usable_x, usable_y, **how)
    found = list(zip(index.rows(), index.starts(), index.targets(), strict=True))
    assert found == naive(offsets, usable_x, usable_y, length, 2, stride, horizon)
    expected = np.zeros(offsets[-1], bool)
    for _, _, target in found:
        expected[target : target + horizon] = True
    assert (index.targeted(int(offsets[-1])) == expected).all()
    starts = {s for _, s, _ in found}
    covered = set()
    for (begin, end), row in zip(index.pieces(), index.row, strict=True):
        assert offsets[row] <= begin and end <= offsets[row + 1]
        covered |= set(range(begin, end - (length + 1 + horizon) + 1, stride))
    assert covered == starts


def test_pieces_that_touch_in_a_row_are_joined():
    offsets = np.array([0, 100, 160])
    assert windows.merged([(70, 100), (0, 80), (100, 130), (125, 160)], offsets) == [(0, 100), (100, 160)]
    assert windows.merged([(0, 20), (30, 40)], offsets) == [(0, 20), (30, 40)]


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("horizon", [1, 4])
def test_choosing_targets_in_time_keeps_exactly_those(seed, horizon):
    rng = np.random.default_rng(seed)
    offsets, usable_x, usable_y, length, _, stride = random_case(rng)
    usable_y = np.ones(offsets[-1], bool)
    how = {"length": length, "offset": 2, "stride": stride, "horizon": horizon}
    index = windows.plan(offsets, usable_x, usable_y, **how)
    low = offsets[:-1] + rng.integers(-3, 15, len(offsets) - 1)
    high = low + rng.integers(0, 12, len(offsets) - 1)
    chosen = index.with_target_in(low, high)
    rows, targets = index.rows(), index.targets()
    inside = (targets >= low[rows]) & (targets + horizon <= high[rows])
    assert chosen.starts().tolist() == index.starts()[inside].tolist()
    assert (chosen.count > 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_covered_is_the_union_of_the_contexts(seed):
    offsets, usable_x, usable_y, length, _, _ = random_case(np.random.default_rng(seed))
    index = windows.plan(offsets, usable_x, np.ones(offsets[-1], bool), length=length, offset=1)
    expected = np.zeros(offsets[-1], bool)
    for start in index.starts():
        expected[start : start + length] = True
    assert (index.covered(int(offsets[-1])) == expected).all()


@pytest.mark.parametrize("offset", [1, 3])
@pytest.mark.parametrize("horizon", [1, 4])
def test_gather_reads_what_slicing_reads(horizon, offset):
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(size=(3, 60)).astype(np.float32))
    targets = torch.from_numpy(rng.normal(size=(2, 60)).astype(np.float32))
    usable = np.ones(60, bool)
    usable[[13, 40]] = False
    index = windows.plan(
        np.array([0, 25, 60]), usable, np.ones(60, bool), length=5, offset=offset, stride=2, horizon=horizon
    )
    over = Windows(values, targets, index)
    numbers = torch.from_numpy(rng.permutation(len(index)))
    x, y = over.gather(over.locate(numbers))
    for b, number in enumerate(numbers):
        start = index.starts()[number]
        assert torch.equal(x[b], values[:, start : start + 5])
        assert torch.equal(y[b], targets[:, start + 4 + offset : start + 4 + offset + horizon])


@pytest.mark.parametrize("taken", [lambda x: x[:, np.arange(30)], lambda x: x[:, ::2], lambda x: x[1:, 3:]])
def test_windows_are_read_wherever_the_values_lie(taken):
    """Columns that numpy takes out of an array keep another order in memory than the one they show."""
    values = taken(np.random.default_rng(3).normal(size=(3, 40)).astype(np.float32))
    starts = np.array([4, 0, 11])
    expected = np.stack([values[:, start : start + 5] for start in starts])
    np.testing.assert_array_equal(windows.read(torch.from_numpy(values), torch.from_numpy(starts), 5), expected)


def test_what_is_known_beforehand_covers_context_and_horizon():
    """Each row is followed by the H steps after it, so that the last context has its future too."""
    offsets, horizon = np.array([0, 9, 16]), 3
    known = torch.arange(16.0 + 2 * horizon)[None]
    values = torch.zeros(1, 16)
    usable = np.ones(16, bool)
    plan = {"length": 4, "offset": 1, "horizon": horizon}
    index = windows.plan(offsets, usable, usable, **plan)
    for over in (
        Windows(values, values, index, known),
        Windows(values, values, windows.last_contexts(offsets, usable, **plan), known),
    ):
        x, seen = over.seen(over.locate(torch.arange(len(over))))
        assert x.shape == (len(over), 1, 4) and seen.shape == (len(over), 1, 4 + horizon)
        for b, (start, row) in enumerate(zip(over.index.starts(), over.index.rows(), strict=True)):
            first = start + row * horizon
            assert seen[b, 0].tolist() == list(range(first, first + 4 + horizon))


def test_whole_row_targets_are_the_rows_own():
    values = torch.arange(12.0)[None]
    labels = torch.tensor([[10.0, 20.0, 30.0]])
    index = windows.plan(np.array([0, 4, 8, 12]), np.ones(12, bool), np.ones(3, bool), length=3, offset=None)
    over = Windows(values, labels, index)
    x, y = over.gather(over.locate(torch.arange(len(index))))
    assert y.flatten().tolist() == [10, 10, 20, 20, 30, 30]
    assert x[:, 0].tolist()[:2] == [[0, 1, 2], [1, 2, 3]]


def test_last_contexts_end_with_their_rows_and_skip_gaps():
    usable = np.ones(14, bool)
    usable[12] = False
    index = windows.last_contexts(np.array([0, 6, 8, 14]), usable, length=3, offset=2)
    assert index.starts().tolist() == [3]  # the second row is too short, the third ends in a gap
    assert index.targets().tolist() == [7]  # two steps after the first row's last


@pytest.mark.parametrize(("n", "batch"), [(1, 4), (4, 4), (5, 4), (4097, 4096), (1000, 64), (17, 100)])
def test_batches_have_one_size_and_every_window_comes(n, batch):
    index = windows.plan(np.array([0, n + 3]), np.ones(n + 3, bool), np.ones(n + 3, bool), length=3, offset=1)
    over = Windows(torch.zeros(1, n + 3), torch.zeros(1, n + 3), index)
    count, size = windows.steps(n, batch)
    assert size <= batch and count == -(-n // batch) and count * size - n < count
    parts = list(over.shuffled(size, seed=5))
    assert [part.shape for part in parts] == [(2, size)] * count
    assert set(torch.cat(parts, 1)[0].tolist()) == set(range(n))
    again = torch.cat(list(over.shuffled(size, seed=5)), 1)
    assert torch.equal(torch.cat(parts, 1), again)
    assert n < 5 or not torch.equal(again, torch.cat(list(over.shuffled(size, seed=6)), 1))


def test_an_interrupted_epoch_goes_on_with_the_batches_that_were_left():
    index = windows.plan(np.array([0, 50]), np.ones(50, bool), np.ones(50, bool), length=3, offset=1)
    over = Windows(torch.zeros(1, 50), torch.zeros(1, 50), index)
    whole = list(over.shuffled(5, seed=1))
    rest = list(over.shuffled(5, seed=1, skip=4))
    assert len(rest) == len(whole) - 4
    assert all(torch.equal(a, b) for a, b in zip(rest, whole[4:], strict=True))
    assert list(over.shuffled(5, seed=1, skip=len(whole))) == []  # stopped after the epoch's last step


def test_in_order_covers_every_window_once_in_batches_of_one_shape():
    index = windows.plan(np.array([0, 13]), np.ones(13, bool), np.ones(13, bool), length=3, offset=1)
    over = Windows(torch.zeros(1, 13), torch.zeros(1, 13), index)
    starts = []
    for positions, count in over.in_order(4):
        assert positions.shape == (2, 4)
        starts += positions[0, :count].tolist()
    assert starts == list(range(10))


def test_the_index_of_ten_million_windows_is_small():
    n = 10_000_000
    usable = np.ones(n, bool)
    index = windows.plan(np.array([0, n]), usable, usable, length=599, offset=1)
    assert len(index) == n - 599
    assert sum(part.nbytes for part in (index.first, index.count, index.row)) < 100


def test_rows_shorter_than_a_window_are_an_error_with_the_reason():
    with pytest.raises(DataError, match=r"rows have 20 steps, a window needs 31 \+ 1 = 32") as caught:
        windows.check_length(np.array([20, 20]), 31, 1, n_rows=2)
    assert "transposed" not in caught.value.hint
    with pytest.raises(DataError) as caught:
        windows.check_length(np.array([20] * 500), 31, 1, n_rows=500)
    assert "is it transposed?" in caught.value.hint
    with pytest.raises(DataError) as caught:
        windows.check_length(np.array([10]), 1, 12, n_rows=1)
    assert (caught.value.where, caught.value.hint) == ("--horizon", "--horizon 3")
