"""Ridge regressions of small designs side by side, mixed over penalties by their leave-one-out errors."""

from __future__ import annotations

from functools import cached_property

import numpy as np

PENALTIES = np.logspace(-4, 4, 25)


class MixedRidges:
    """Regressions of y [n, r] on x [n, r, q] without an intercept, the better the penalty the more of it.

    Parameters
    ----------
    x, y : rows that are not there are 0.
    count : how many there are, [n].
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, count: np.ndarray) -> None:
        self.y = y
        self.u, self.s, self.vt = np.linalg.svd(x, full_matrices=False)
        self.uy = np.einsum("nrq,nr->nq", self.u, y)
        loss = np.array([(self._left(penalty) ** 2).sum(1) / np.maximum(count, 1) for penalty in PENALTIES])
        least = loss.min(0)
        share = np.exp(-(loss - least) / np.where(least > 0, least, 1.0))
        self.share = share / share.sum(0)

    def _left(self, penalty: float) -> np.ndarray:
        """How far each row is off, [n, r], by the regression without it."""
        kept = self.s**2 / (self.s**2 + penalty)
        leverage = np.einsum("nrq,nq->nr", self.u**2, kept)
        off: np.ndarray = self.y - np.einsum("nrq,nq->nr", self.u, kept * self.uy)
        return off / np.maximum(1 - leverage, 1e-6)

    @cached_property
    def weight(self) -> np.ndarray:
        """[n, q]."""
        each = [np.einsum("nq,nqk->nk", self.s / (self.s**2 + p) * self.uy, self.vt) for p in PENALTIES]
        mean: np.ndarray = np.einsum("pn,pnk->nk", self.share, np.array(each))
        return mean

    @cached_property
    def left(self) -> np.ndarray:
        """How far each row is off, [n, r], by regressions without it."""
        found: np.ndarray = sum(share[:, None] * self._left(p) for share, p in zip(self.share, PENALTIES, strict=True))
        return found

    @cached_property
    def _doubt(self) -> np.ndarray:
        """The inverse of x'x plus the penalty, [n, q, q]."""
        inner = sum(share[:, None] / (self.s**2 + p) for share, p in zip(self.share, PENALTIES, strict=True))
        found: np.ndarray = np.einsum("nqk,nq,nqj->nkj", self.vt, inner, self.vt)
        return found

    def leverage(self, x: np.ndarray) -> np.ndarray:
        """How little is known of the mean at x [n, m, q]: its variance over that of a row, [n, m]."""
        found: np.ndarray = np.einsum("nmq,nqk,nmk->nm", x, self._doubt, x)
        return found
