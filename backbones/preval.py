"""Ridge regression whose leave-one-out predictions make probabilities, in closed form (PreVal, arXiv 2401.15610).

With X standardised, `X'X = V diag(e) V'` and R = X V, a ridge of strength s predicts `R diag(1 / (e + s)) R'Y` of
centred Y. The prediction of a window by the fit without it, offset included, is `Y - (Y - Yhat) / (1 - h)` with
`h = 1 / n + sum R^2 / (e + s)`; without the share of the offset a fit of more features than windows would look perfect.
Of targets -1 and 1 such predictions, times one scale, plus the prior, are logits; scale and strength are those of
least log-loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

STRENGTHS = tuple(float(s) for s in 10.0 ** np.arange(-4, 3.1, 0.5))  # times the mean eigenvalue
FLOOR = 1e-9  # under 1 - h: with p far above n a larger one hides that the fit is perfect
SCALES = torch.logspace(-2, 2, 81, dtype=torch.float64)  # tried before the best is refined
TWO_NUMBERS = 200  # windows from which a label's logit gets an offset as well as a scale


@dataclass(frozen=True)
class Spectrum:
    """`scores` R [n, m], `vectors` V [p, m], `values` e [m], of standardised X [n, p]; m is the smaller of n and p.

    `count` is the number of windows that X'X knows, n or more.
    """

    scores: torch.Tensor
    vectors: torch.Tensor
    values: torch.Tensor
    count: float

    @classmethod
    def of(cls, x: torch.Tensor) -> Spectrum:
        """By the smaller of X'X and XX'; x float32."""
        n, p = x.shape
        if n >= p:
            return cls.of_gram((x.T @ x).double(), x, n)
        values, left = torch.linalg.eigh((x @ x.T).double())
        values = values.clamp_min(0)
        length = values.sqrt()
        vectors = x.T.double() @ (left / length.clamp_min(1e-9 * length.max().clamp_min(1e-12)))
        return cls((left * length).float(), vectors.float(), values, n)

    @classmethod
    def of_gram(cls, gram: torch.Tensor, x: torch.Tensor, count: float) -> Spectrum:
        """By X'X float64 [p, p] of `count` windows, x [n, p] among them."""
        values, vectors = torch.linalg.eigh(gram)
        return cls(x @ vectors.float(), vectors.float(), values.clamp_min(0), count)

    @property
    def strengths(self) -> list[float]:
        """Those that are tried."""
        mean = max(float(self.values.mean()), 1e-12)
        return [s * mean for s in STRENGTHS]

    def leave_one_out(self, y: torch.Tensor, right: torch.Tensor, strength: float) -> torch.Tensor:
        """Predictions [n, K] of centred y [n, K], each by the fit without that window; `right` is R'Y [m, K]."""
        shrunk = 1 / (self.values + strength)
        predicted = self.scores @ (right * shrunk[:, None]).float()
        leverage = (self.scores.square() @ shrunk.float())[:, None].double()
        rest = (1 - 1 / self.count - leverage).clamp_min(FLOOR)
        return y - (y - predicted.double()) / rest

    def weight(self, right: torch.Tensor, strength: float) -> torch.Tensor:
        """The map of standardised features [p, K]."""
        return self.vectors.double() @ (right / (self.values + strength)[:, None])


@dataclass(frozen=True)
class Solved:
    """A linear map [p, K] and offset [K] of standardised features to logits or values, and what was chosen.

    `left_out` [n, K] is what is said of each window by the fit without it; `loss` is the loss of that.
    """

    weight: torch.Tensor
    offset: torch.Tensor
    strength: float
    loss: float
    left_out: torch.Tensor


def solve(spectrum: Spectrum, y: torch.Tensor, kind: str, right: torch.Tensor | None = None) -> Solved:
    """The map to logits for y [n, K] of 0 and 1: of classes together, of labels each by itself.

    `right` [m, K] is V'X'Y of targets -1 and 1 where the spectrum knows more windows than y has.
    """
    if kind == "class":
        return least(_classes(spectrum, y, right))
    columns = range(y.shape[1])
    parts = [None if right is None else right[:, k : k + 1] for k in columns]
    return beside([least(_label(spectrum, y[:, k : k + 1], parts[k])) for k in columns])


def values(spectrum: Spectrum, y: torch.Tensor) -> Solved:
    """The ridge regression of values y [n, K], of the strength that errs least where each window is left out."""
    return least(_values(spectrum, y, spectrum.strengths))


def candidates(spectrum: Spectrum, y: torch.Tensor, kind: str, strengths: Sequence[float] = ()) -> Iterator[Solved]:
    """The maps of every strength: to values or classes y [n, K], or to one label [n, 1]."""
    if kind == "value":
        return _values(spectrum, y, strengths or spectrum.strengths)
    return (_classes if kind == "class" else _label)(spectrum, y, None)


def least(found: Iterable[Solved]) -> Solved:
    """The first of those of least loss."""
    return min(found, key=lambda one: one.loss)


def beside(parts: Sequence[Solved]) -> Solved:
    """Maps of one output each as one map."""
    return Solved(
        torch.cat([part.weight for part in parts], dim=1),
        torch.cat([part.offset for part in parts]),
        parts[0].strength,
        float(np.mean([part.loss for part in parts])),
        torch.cat([part.left_out for part in parts], dim=1),
    )


def _values(spectrum: Spectrum, y: torch.Tensor, strengths: Sequence[float]) -> Iterator[Solved]:
    mean = y.double().mean(0)
    centred = y.double() - mean
    right = spectrum.scores.T.double() @ centred
    for strength in strengths:
        predicted = spectrum.leave_one_out(centred, right, strength)
        loss = float((centred - predicted).abs().mean())
        yield Solved(spectrum.weight(right, strength), mean, strength, loss, predicted + mean)


def _classes(spectrum: Spectrum, y: torch.Tensor, right: torch.Tensor | None) -> Iterator[Solved]:
    signed = 2 * y.double() - 1
    prior = signed.mean(0)
    centred = signed - prior
    right = spectrum.scores.T.double() @ centred if right is None else right
    truth = _doubted(y.double(), y.shape[1])
    for strength in spectrum.strengths:
        predicted = spectrum.leave_one_out(centred, right, strength)

        def loss(scale: float, predicted: torch.Tensor = predicted) -> float:
            return float(nn.functional.cross_entropy(scale * predicted + prior, truth))

        scale, found = _least(loss)
        weight = scale * spectrum.weight(right, strength)
        yield Solved(weight, prior, strength, found, scale * predicted + prior)


def _label(spectrum: Spectrum, y: torch.Tensor, right: torch.Tensor | None) -> Iterator[Solved]:
    """One label y [n, 1]: two classes, whose logits differ by twice the prediction, and the log-odds of the label."""
    signed = 2 * y.double() - 1
    centred = signed - signed.mean(0)
    prior = ((y.double().sum(0) + 0.5) / (len(y) + 1)).logit()
    truth = _doubted(y.double(), 2)
    right = spectrum.scores.T.double() @ centred if right is None else right
    for strength in spectrum.strengths:
        predicted = 2 * spectrum.leave_one_out(centred, right, strength)

        def loss(scale: float, predicted: torch.Tensor = predicted) -> float:
            return float(nn.functional.binary_cross_entropy_with_logits(scale * predicted + prior, truth))

        scale, found = _least(loss)
        offset = float(prior)
        refined = platt(predicted[:, 0], truth[:, 0], scale, offset)
        # The mean without a window leans away from its target: on a fit of nothing else a negative scale looks perfect.
        if len(y) >= TWO_NUMBERS and refined[0] > 0:
            scale, offset, found = refined
        weight = 2 * scale * spectrum.weight(right, strength)
        yield Solved(weight, torch.tensor([offset]).double(), strength, found, scale * predicted + offset)


def _doubted(y: torch.Tensor, classes: int) -> torch.Tensor:
    """Targets of 0 and 1 less sure by one row in n + 2: a few rows that are all right do not make certain."""
    doubt = 1 / (len(y) + 2)
    return (1 - doubt) * y + doubt / classes


def _least(loss: Callable[[float], float]) -> tuple[float, float]:
    """The scale of least loss, which is convex in it: a grid, then its neighbourhood; and the loss."""
    losses = [loss(float(scale)) for scale in SCALES[::8]]
    at = int(np.argmin(losses)) * 8
    low, high = float(SCALES[max(at - 8, 0)]), float(SCALES[min(at + 8, len(SCALES) - 1)])
    for _ in range(12):
        one, two = low + (high - low) * 0.382, low + (high - low) * 0.618
        low, high = (low, two) if loss(one) < loss(two) else (one, high)
    scale = (low + high) / 2
    return scale, float(loss(scale))


def scale_of(logits: torch.Tensor, y: torch.Tensor) -> float:
    """The scale of logits [n, K] that makes the log-loss of classes, one-hot y [n, K], least."""
    return _least(lambda scale: float(nn.functional.cross_entropy(scale * logits, y)))[0]


def platt(logit: torch.Tensor, y: torch.Tensor, scale: float = 1.0, offset: float = 0.0) -> tuple[float, float, float]:
    """The scale and offset of logits [n] that make log-loss of y [n] least, by Newton's method; and that loss."""
    logit, y = logit.double(), y.double()
    design = torch.stack([logit, torch.ones_like(logit)], dim=1)
    found = torch.tensor([scale, offset], dtype=torch.float64)

    def loss(at: torch.Tensor) -> float:
        return float(nn.functional.binary_cross_entropy_with_logits(design @ at, y))

    now = loss(found)
    for _ in range(20):
        p = (design @ found).sigmoid()
        weight = (p * (1 - p)).clamp_min(1e-12)
        hessian = design.T @ (design * weight[:, None]) + 1e-9 * len(y) * torch.eye(2, dtype=torch.float64)
        step = torch.linalg.solve(hessian, design.T @ (y - p))
        size = 1.0
        while size > 1e-3 and loss(found + size * step) > now:
            size /= 2
        if size <= 1e-3:
            break
        found = found + size * step
        before, now = now, loss(found)
        if before - now < 1e-10:
            break
    return float(found[0]), float(found[1]), now


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation [p] of x [n, p]; infinite where nothing varies, so that such a column counts 0."""
    mean, scale = x.double().mean(0), x.double().std(0, correction=0)
    return mean.float(), usable(scale, mean).float()


def usable(scale: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Deviations [p], infinite where rounding alone makes them differ from 0."""
    return torch.where(scale > 1e-6 * mean.abs().clamp_min(1e-6), scale, torch.inf)
