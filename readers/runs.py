"""Labels that come in runs: their rows follow one another in time, and a neighbour tells a row's label."""

from __future__ import annotations

import numpy as np

MOST_CODES = 20  # different numbers of a column that may be codes of classes
LEAST_ROWS = 50
LEAST_CHANGES = 20  # expected of rows in no order, by fewer of which nothing is seen
FEWER = 0.5  # of the changes expected: labels come in runs
ALIKE = 0.5  # rank correlation of numbers with those a row before, from which on they go on from row to row
BLOCKS = 40
MOST_CHANNELS = 8  # of which rows are summed up


def changes(values: np.ndarray) -> tuple[int, float]:
    """How often a label changes from a row to the next, and how often it would with the rows in no order.

    Of n rows in random order two neighbours differ with probability 1 - sum(n_k (n_k - 1)) / (n (n - 1)), for the n_k
    rows of each value.

    Parameters
    ----------
    values : [n], none missing, n at least 2.
    """
    count, (_, each) = len(values), np.unique(values, return_counts=True)
    same = float((each * (each - 1.0)).sum() / (count * (count - 1.0)))
    return int((values[1:] != values[:-1]).sum()), (count - 1) * (1 - same)


def in_runs(values: np.ndarray) -> bool:
    """Whether neighbouring rows mostly have the same label, or numbers that go on, and rows are not sorted by it.

    Parameters
    ----------
    values : float [n], NaN where missing.
    """
    known = values[~np.isnan(values)]
    kinds = len(np.unique(known))
    if len(known) < LEAST_ROWS or kinds < 2:
        return False
    found, expected = changes(known)
    if kinds <= MOST_CODES:
        return expected >= LEAST_CHANGES and kinds <= found < FEWER * expected  # sorted, they change kinds - 1 times
    steps = np.diff(known)
    if steps.min() >= 0 or steps.max() <= 0 or (found == kinds - 1 and 2 * kinds <= len(known)):  # one run of each
        return False
    ranks = _ranks(known)
    return bool(np.corrcoef(ranks[1:], ranks[:-1])[0, 1] >= ALIKE)


def _ranks(values: np.ndarray) -> np.ndarray:
    """The ranks [n] of values [n] from 0 to 1, those that are alike on one."""
    ranks: np.ndarray = np.unique(values, return_inverse=True)[1] / max(len(values) - 1, 1)
    return ranks


def sorted_alike(values: np.ndarray, sums: np.ndarray) -> bool:
    """Whether rows are sorted by a label of classes, and those of one class go on from row to row in what sums them up.

    Windows of one recording after another, put in the order of their classes, are so: a neighbour still tells a row's.

    Parameters
    ----------
    values : float [n], the label, NaN where missing.
    sums : float [n, F], numbers that say what is in a row (`summed_up`).
    """
    known = ~np.isnan(values)
    label, rows = values[known], sums[known]
    kinds = len(np.unique(label)) if len(label) >= LEAST_ROWS else 0
    if not 2 <= kinds <= MOST_CODES or int((label[1:] != label[:-1]).sum()) != kinds - 1:
        return False
    within = label[1:] == label[:-1]
    for kind in np.unique(label):  # by ranks within a class, whose level is the label's
        of = label == kind
        rows[of] = np.stack([_ranks(column) for column in rows[of].T], axis=1)
    spread = np.ptp(rows, axis=0) > 0
    pairs = (np.corrcoef(column[1:][within], column[:-1][within])[0, 1] for column in rows[:, spread].T)
    return max(pairs, default=0.0) >= ALIKE


def summed_up(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mean, spread and range of the rows of each channel, float64 [N, F], of the first channels where there are many.

    Parameters
    ----------
    values : [C, total]. offsets : int64 [N + 1], where each row begins and ends; none is empty.
    """
    found = []
    for channel in values[:MOST_CHANNELS]:
        known = np.isfinite(channel)
        count = np.maximum(np.add.reduceat(known, offsets[:-1], dtype=np.int64), 1)
        plain = np.where(known, channel, 0).astype(np.float64)
        mean = np.add.reduceat(plain, offsets[:-1]) / count
        around = np.where(known, plain - np.repeat(mean, np.diff(offsets)), 0)
        low, high = (end.reduceat(around, offsets[:-1]) for end in (np.minimum, np.maximum))
        found += [mean, np.sqrt(np.add.reduceat(around * around, offsets[:-1]) / count), high - low]
    return np.stack(found, axis=1)


def blocks(values: np.ndarray, count: int = BLOCKS) -> np.ndarray:
    """The block of each row, int64 [n]: neighbours, about as many in each, cut where the label changes if it does soon.

    Parameters
    ----------
    values : [n], the label.
    count : of blocks, about.
    """
    size, begin, at = max(len(values) // count, 1), [0], 0
    change = np.flatnonzero(values[1:] != values[:-1]) + 1
    while (at := at + size) < len(values):
        following = change[np.searchsorted(change, at) :][:1]
        at = int(following[0]) if len(following) and following[0] < at + size else at
        if at + size // 2 < len(values):
            begin.append(at)
    return np.repeat(np.arange(len(begin)), np.diff([*begin, len(values)]))
