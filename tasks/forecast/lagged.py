"""Sums of products of values so many steps apart, of all lags at once."""

from __future__ import annotations

import numpy as np

CELLS = 1 << 21  # of what is transformed at a time


def products(values: np.ndarray) -> np.ndarray:
    """The sums, over all lines and places t, of `values[t] * values[t + lag]`: float64 [n] for lags 0 to n - 1.

    By the spectrum of the lines (Wiener 1930, Generalized harmonic analysis), with so many zeros after them that no end
    meets a beginning: n log n products a line in place of n**2. `values` [..., n] are finite.
    """
    steps = values.shape[-1]
    lines, length = values.reshape(-1, steps), 1 << (2 * steps - 1).bit_length()
    power = np.zeros(length // 2 + 1)
    block = max(CELLS // length, 1)
    for begin in range(0, len(lines), block):
        spectrum = np.fft.rfft(lines[begin : begin + block], length)
        power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
    found: np.ndarray = np.fft.irfft(power, length)[:steps]
    return found


def pairs(known: np.ndarray) -> np.ndarray:
    """How many pairs of known places are so far apart, of bool `known` [..., n]: whole numbers, float64 [n]."""
    if known.all():
        return known[..., 0].size * np.arange(known.shape[-1], 0.0, -1)
    count: np.ndarray = np.rint(products(known.astype(np.float64)))
    return count
