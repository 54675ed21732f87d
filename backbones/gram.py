"""Linear maps of a window, by least squares over all sliding windows of sequences, without making the windows.

A window of width w = L + H holds L inputs and the H targets that follow. With the windows of a sequence z as rows of
a matrix Z, the Gram matrix G = Z'Z determines the best map W [L, H]: X'X, X'Y and Y'Y are its blocks. A step
down a diagonal of G loses one product and gains another, `G[i+1, j+1] = G[i, j] - z[i] z[j] + z[m+i] z[m+j]` for m
windows, so the first row gives all of G in w^2 steps instead of m w^2. Sums over sequences obey the same equation, so
any number of them costs one walk down the diagonals.

Centring (subtracting the mean of the last k inputs from a whole window) is linear, z' = A z, so G' = A G A'.
All of it is float64; weights are [L, H] with the oldest input first, until they become a module's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from backbones import ForecastSpec, Hyper, InputSpec
from backbones.base import Backbone, Stretches
from errors import UsageError

Pieces = Sequence[np.ndarray]  # contiguous sequences, each [C, n]

# The least penalty, as a share of the mean diagonal of X'X: keeps a Cholesky factor within reach of float64 where
# inputs are constant or repeat each other.
LEAST_PENALTY = 1e-10


def count(pieces: Pieces, width: int) -> int:
    """Windows of `width` steps in all pieces and channels."""
    return sum(len(piece) * max(piece.shape[1] - width + 1, 0) for piece in pieces)


def gram(pieces: Pieces, width: int) -> np.ndarray:
    """Z'Z `[width, width]` over every window of `width` steps in every channel of every piece."""
    long = [piece for piece in pieces if piece.shape[1] >= width and len(piece)]
    g = np.zeros((width, width))
    if not long:
        return g
    head = np.concatenate([piece[:, : width - 1] for piece in long])
    tail = np.concatenate([piece[:, piece.shape[1] - width + 1 :] for piece in long])
    g[0] = sum(np.correlate(z, z[: len(z) - width + 1]) for piece in long for z in piece)
    g[1:, 1:] = tail.T @ tail - head.T @ head
    for i in range(1, width):
        g[i, i:] += g[i - 1, i - 1 : -1]
    upper = np.triu(g)
    return upper + np.triu(upper, 1).T


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
        least = LEAST_PENALTY * self.xx.trace() / len(self.xx)
        penalties = np.maximum(penalty, least or 1.0)  # without any variance every penalty gives the base
        right = self.xy if base is None else self.xy + penalties[:, None] * base
        factor = torch.linalg.cholesky(torch.from_numpy(self.xx + np.diag(penalties)))
        return torch.cholesky_solve(torch.from_numpy(np.ascontiguousarray(right)), factor).numpy()

    def error(self, weight: np.ndarray) -> float:
        """`|Y - X W|^2`, the sum over windows and targets, computed as a trace."""
        total = self.yy - 2 * np.vdot(weight, self.xy) + np.vdot(weight, self.xx @ weight)
        return max(float(total), 0.0)  # rounding may leave a perfect fit below zero


def squares(g: np.ndarray, n: int, horizon: int, centre: int) -> Squares:
    """The blocks of the Gram matrix of n windows, each less the mean of its last `centre` inputs (0: as it is)."""
    lookback = len(g) - horizon
    if centre:
        recent = slice(lookback - centre, lookback)
        across = g[:, recent].mean(axis=1)
        g = g - across - across[:, None] + across[recent].mean()
    return Squares(n, g[:lookback, :lookback], g[:lookback, lookback:], float(g[lookback:, lookback:].trace()))


def uncentred(weight: np.ndarray, centre: int) -> np.ndarray:
    """The map of raw windows that equals `weight` on centred ones with the mean added back to the forecast."""
    if not centre:
        return weight
    whole = weight.copy()
    whole[-centre:] += (1 - weight.sum(axis=0)) / centre
    return whole


class LinearForecaster(Backbone):
    """`x [B, C, T] -> [B, K, H]`, one multiplication of each target's window by `weight [1 or K, H, T]`.

    One matrix for all targets or one each. Until it is fitted it repeats the last value.
    """

    forecasts = True
    heads: tuple[str, ...] = ("forecast",)
    closed_form = True
    forecast: ForecastSpec
    targets: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper, matrices: int) -> None:
        super().__init__(inputs, hyper)
        spec = self.forecast
        if spec.levels != 1:
            raise UsageError(
                "a closed form minimises squared errors and has no quantiles",
                where="--quantiles with --backbone ridge or ridge_ensemble",
                hint="leave the flag out: conformal intervals come with every forecast",
            )
        if spec.covariates:
            raise UsageError(
                "ridge and ridge_ensemble see the past of the targets alone",
                where="--known-future",
                hint="leave the flag out, or take another backbone",
            )
        self.length = inputs.length
        self.everything = spec.targets == tuple(range(inputs.channels))
        self.register_buffer("targets", torch.tensor(spec.targets), persistent=False)
        self.weight = nn.Parameter(torch.zeros(matrices, spec.horizon, inputs.length))
        with torch.no_grad():
            self.weight[..., -1] = 1.0

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        past = x if self.everything else x.index_select(1, self.targets)
        if len(self.weight) == 1:
            return past @ self.weight[0].T
        return torch.einsum("bkt,kht->bkh", past, self.weight)

    def pieces(self, stretches: Stretches) -> list[np.ndarray]:
        """The targets' channels of each stretch, in float64."""
        rows = list(self.forecast.targets)
        return [torch.as_tensor(one).cpu().double().numpy()[rows] for one in stretches]

    def set_weight(self, weight: np.ndarray) -> None:
        """Set a fitted `weight [1 or K, L, H]`, L <= T; inputs before its look-back get the weight 0."""
        with torch.no_grad():
            self.weight.zero_()
            self.weight[..., self.length - weight.shape[1] :] = torch.from_numpy(weight).transpose(1, 2)
