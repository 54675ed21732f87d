"""Least squares of targets on their own past and on the past of other channels, from sums over sliding windows.

What gram.py does for windows of one channel: the products of two channels' windows obey the same equation along their
diagonals, `P[i+1, j+1] = P[i, j] - a[i] b[j] + a[m+i] b[m+j]` for m windows, so that the first row and the first column
give all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import ranks
from backbones.gram import Pieces, Squares, count, gram, squares


def products(a: Pieces, b: Pieces, width_a: int, width_b: int, windows: Sequence[int]) -> np.ndarray:
    """Sums of products of two sequences' windows, float64 `[width_a, A, width_b, B]`.

    Parameters
    ----------
    a, b : pieces `[A, n]` and `[B, n]`; window s of a piece begins at step s of both.
    width_a, width_b : steps of their windows.
    windows : m of each piece, which has at least m + width - 1 steps.
    """
    together, before = ranks.sharing(), 0
    begin, end = together.part(sum(windows))
    own = []
    for one, other, m in zip(a, b, windows, strict=True):
        first, after = max(begin - before, 0), min(end - before, m)
        own += [(one[:, first:], other[:, first:], after - first)] if first < after else []
        before += m
    return together.summed(_products(own, (width_a, len(a[0]), width_b, len(b[0]))))


def _products(used: Sequence[tuple[np.ndarray, np.ndarray, int]], shape: tuple[int, int, int, int]) -> np.ndarray:
    """The same of this process alone: (a, b, m) of each piece."""
    width_a, rows, width_b, columns = shape
    found = np.zeros(shape)
    if not used:
        return found
    head_a, tail_a = _edges([(one, m) for one, _, m in used], width_a - 1)
    head_b, tail_b = _edges([(other, m) for _, other, m in used], width_b - 1)
    found[1:, :, 1:] = (tail_a.T @ tail_b - head_a.T @ head_b).reshape(width_a - 1, rows, width_b - 1, columns)
    for one, other, m in used:
        for j in range(width_b):
            found[0, :, j] += one[:, :m] @ other[:, j : j + m].T
        for i in range(1, width_a):
            found[i, :, 0] += one[:, i : i + m] @ other[:, :m].T
    for i in range(1, width_a):
        found[i, :, 1:] += found[i - 1, :, :-1]
    return found


def _edges(pieces: Sequence[tuple[np.ndarray, int]], steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `steps` steps of pieces `[C, n]`, and those from step m on: `[pieces, steps * C]` each."""
    head = np.stack([piece[:, :steps].T.ravel() for piece, _ in pieces])
    return head, np.stack([piece[:, m : m + steps].T.ravel() for piece, m in pieces])


@dataclass(frozen=True)
class Joint:
    """The sums that determine maps of the own past and of that of other channels.

    Parameters
    ----------
    n : windows, of all targets that share a map.
    horizon : H.
    own : `[L + H, L + H]`, of the targets' windows.
    cross : `[L + H, lags, C]`, of the targets' windows with the others' last steps before the target.
    others : `[lags, C, lags, C]`.
    """

    n: int
    horizon: int
    own: np.ndarray
    cross: np.ndarray
    others: np.ndarray

    def squares(self, lookback: int, centre: int, change: bool) -> Squares:
        """Of the last `lookback` own inputs, less the mean of the last `centre`, then the others' inputs by lag and
        channel: as they are, or their `change` to the last step.
        """
        own = squares(self.own[-lookback - self.horizon :, -lookback - self.horizon :], self.n, self.horizon, centre)
        cross, others = self.cross[-lookback - self.horizon :], self.others
        if centre:
            cross = cross - cross[lookback - centre : lookback].mean(axis=0)
        if change:
            cross, others = cross - cross[:, -1:], others - others[-1:]
            others = others - others[:, :, -1:]
        size = cross.shape[1] * cross.shape[2]
        cross = cross.reshape(len(cross), size)
        xx = np.block([[own.xx, cross[:lookback]], [cross[:lookback].T, others.reshape(size, size)]])
        return Squares(self.n, xx, np.concatenate([own.xy, cross[lookback:].T]), own.yy)


def joint(own: Pieces, others: Pieces, lookback: int, lags: int, horizon: int) -> list[Joint]:
    """The sums of each target alone.

    Parameters
    ----------
    own : the targets, `[K, n]` each.
    others : `[C, n]` each, of the same steps.
    lookback, lags : own inputs, and the others' last ones, lags <= lookback.
    """
    width = lookback + horizon
    windows = [count([piece[:1]], width) for piece in own]
    late = [piece[:, lookback - lags :] for piece in others]
    cross = products(own, late, width, lags, windows)
    inner = products(late, late, lags, lags, windows)
    return [
        Joint(sum(windows), horizon, gram([piece[k : k + 1] for piece in own], width), cross[:, k], inner)
        for k in range(len(own[0]))
    ]


def together(parts: Sequence[Joint]) -> Joint:
    """The sums of targets that share a map."""
    return Joint(
        sum(part.n for part in parts),
        parts[0].horizon,
        np.sum([part.own for part in parts], axis=0),
        np.sum([part.cross for part in parts], axis=0),
        len(parts) * parts[0].others,
    )


def unchanged(weight: np.ndarray, lags: int) -> np.ndarray:
    """The map `[lags, C, H]` of the others as they are that equals `weight [lags * C, H]` of their changes."""
    whole = weight.reshape(lags, -1, weight.shape[1]).copy()
    whole[-1] -= whole.sum(axis=0)
    return whole
