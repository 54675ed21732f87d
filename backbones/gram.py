"""Linear maps of a window, by least squares over all sliding windows of sequences, without making the windows.

A window of width w = L + H holds L inputs and the H targets that follow. With the windows of a sequence z as rows of
a matrix Z, the Gram matrix G = Z'Z determines the best map W [L, H]: X'X, X'Y and Y'Y are its blocks. A step
down a diagonal of G loses one product and gains another, `G[i+1, j+1] = G[i, j] - z[i] z[j] + z[m+i] z[m+j]` for m
windows, so the first row gives all of G in w^2 steps instead of m w^2. Sums over sequences obey the same equation, so
any number of them costs one walk down the diagonals.

Several processes each walk over a share of the windows; one sum over all of them makes their Gram matrix.

Centring (subtracting the mean of the last k inputs from a whole window) is linear, z' = A z, so G' = A G A'.
All of it is float64; weights are [L, H] with the oldest input first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

import ranks

Pieces = Sequence[np.ndarray]  # contiguous sequences, each [C, n]

# The least penalty, as a share of the mean diagonal of X'X: keeps a Cholesky factor within reach of float64 where
# inputs are constant or repeat each other.
LEAST_PENALTY = 1e-10
BLOCK = 64  # rows that are mirrored at once
LARGE = 1 << 16  # numbers of X'Y from which scipy solves: it takes three quarters of torch's time on AMD's processors


def count(pieces: Pieces, width: int) -> int:
    """Windows of `width` steps in all pieces and channels."""
    return sum(len(piece) * windows for piece, windows in zip(pieces, starts(pieces, width), strict=True))


def gram(pieces: Pieces, width: int) -> np.ndarray:
    """Z'Z `[width, width]` over every window of `width` steps in every channel of every piece."""
    together = ranks.sharing()
    windows = sum(starts(pieces, width))
    begin, end = together.part(windows)
    return together.summed(_gram(pieces if end - begin == windows else between(pieces, width, begin, end), width))


def starts(pieces: Pieces, width: int) -> list[int]:
    """How many windows of `width` steps begin in each piece."""
    return [max(piece.shape[1] - width + 1, 0) for piece in pieces]


def between(pieces: Pieces, width: int, begin: int, end: int) -> list[np.ndarray]:
    """The parts of pieces whose windows are those from number `begin` up to `end`."""
    found, before = [], 0
    for piece, windows in zip(pieces, starts(pieces, width), strict=True):
        first, after = max(begin - before, 0), min(end - before, windows)
        if first < after:
            found.append(piece[:, first : after + width - 1])
        before += windows
    return found


def _gram(pieces: Pieces, width: int) -> np.ndarray:
    """The same of this process alone."""
    long = [piece for piece in pieces if piece.shape[1] >= width and len(piece)]
    if not long:
        return np.zeros((width, width))
    g = np.empty((width, width))
    head = np.concatenate([piece[:, : width - 1] for piece in long])
    tail = np.concatenate([piece[:, piece.shape[1] - width + 1 :] for piece in long])
    g[0] = sum(np.correlate(z, z[: len(z) - width + 1]) for piece in long for z in piece)
    np.subtract(tail.T @ tail, head.T @ head, out=g[1:, 1:])
    for i in range(1, width):
        g[i, i:] += g[i - 1, i - 1 : -1]
    for first in range(0, width, BLOCK):  # a row at a time would write each value into a cache line of its own
        block, below = slice(first, first + BLOCK), slice(first + BLOCK, None)
        g[below, block] = g[block, below].T
        upper = np.triu(g[block, block])
        g[block, block] = upper + np.triu(upper, 1).T
    return g


@dataclass(frozen=True)
class Squares:
    """The sums that determine a linear map of n windows: X'X `[L, L]`, X'Y `[L, H]` and the trace of Y'Y."""

    n: int
    xx: np.ndarray
    xy: np.ndarray
    yy: float

    def fit(self, penalty: np.ndarray, base: np.ndarray | None = None) -> np.ndarray:
        """The W that minimises `|Y - X W|^2 + sum_j penalty[j] |W[j] - base[j]|^2`, all targets in one solve.

        `penalty [L]`; base and W `[L, H]`, base 0 where it is None.
        """
        return self.fits(penalty, [base])[0]

    def fits(self, penalty: np.ndarray, bases: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """`fit` for each of the bases, from one factor."""
        least = LEAST_PENALTY * self.xx.trace() / len(self.xx)
        penalties = np.maximum(penalty, least or 1.0)  # without any variance every penalty gives the base
        held = self.xx.copy()
        held.flat[:: len(held) + 1] += penalties
        return _solved(held, [self.xy if base is None else self.xy + penalties[:, None] * base for base in bases])

    def error(self, weight: np.ndarray) -> float:
        """`|Y - X W|^2`, the sum over windows and targets."""
        return errors(weight, [self])[0]


def _solved(held: np.ndarray, rights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The W of `held W = right` for each right side `[L, H]`; `held [L, L]` is positive definite."""
    if rights[0].size >= LARGE:
        from scipy.linalg import lapack  # an eighth of a second, which only large maps should cost

        factor, failed = lapack.dpotrf(held.T, lower=True, clean=False)
        if not failed:
            return [lapack.dpotrs(factor, right, lower=True)[0] for right in rights]
    factor = torch.linalg.cholesky(torch.from_numpy(held))
    return [torch.cholesky_solve(torch.from_numpy(right), factor).numpy() for right in rights]


def errors(weight: np.ndarray, judges: Sequence[Squares]) -> list[float]:
    """`|Y - X W|^2` of one map `[L, H]` in several sums, each as a trace: all of them share the product W W'."""
    outer = weight @ weight.T
    found = (one.yy - 2 * np.vdot(weight.T, one.xy.T) + np.vdot(outer, one.xx) for one in judges)
    return [max(float(total), 0.0) for total in found]  # rounding may leave a perfect fit below zero


def squares(g: np.ndarray, n: int, horizon: int, centre: int) -> Squares:
    """The blocks of the Gram matrix of n windows, each less the mean of its last `centre` inputs (0: as it is).

    X'Y is laid out by columns, as a solver wants it.
    """
    lookback = len(g) - horizon
    xx, xy, yy = g[:lookback, :lookback].copy(), g[:lookback, lookback:].copy(order="F"), g.diagonal()[lookback:]
    if centre:
        recent = slice(lookback - centre, lookback)
        across = g[:, recent].mean(axis=1)
        inputs, targets, middle = across[:lookback], across[lookback:], across[recent].mean()
        for block, columns in ((xx, inputs), (xy, targets)):
            block -= columns
            block -= inputs[:, None]
            block += middle
        yy = yy - targets - targets + middle
    return Squares(n, xx, xy, float(yy.sum()))


def uncentred(weight: np.ndarray, centre: int) -> np.ndarray:
    """The map of raw windows that equals `weight` on centred ones with the mean added back to the forecast."""
    if not centre:
        return weight
    whole = weight.copy(order="K")
    whole[-centre:] += (1 - weight.sum(axis=0)) / centre
    return whole
