"""Ridge regression whose leave-one-out predictions make probabilities, in closed form (PreVal, arXiv 2401.15610).

With X standardised, `X'X = V diag(e) V'` and R = X V, a ridge of strength s predicts `R diag(1 / (e + s)) R'Y` of
centred Y. The prediction of a window by the fit without it, offset included, is `Y - (Y - Yhat) / (1 - h)` with
`h = 1 / n + sum R^2 / (e + s)`; without the share of the offset a fit of more features than windows would look perfect.
Of targets -1 and 1 such predictions, times one scale, plus the prior, are logits; scale and strength are those of
least log-loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from backbones.fitting import BLOCK

STRENGTHS = tuple(float(s) for s in 10.0 ** np.arange(-4, 3.1, 0.5))  # times the mean eigenvalue
FLOOR = 1e-9  # under 1 - h: with p far above n a larger one hides that the fit is perfect
SCALES = torch.logspace(-2, 2, 81, dtype=torch.float64)  # tried before the best is refined
HELD = 1 << 23  # numbers that are held of windows left out, for several strengths at once: 32 MB
TWO_NUMBERS = 200  # windows from which a label's logit gets an offset as well as a scale


@dataclass(frozen=True)
class Spectrum:
    """X'X of standardised X [n, p], and R in blocks: neither X nor R need be held.

    Parameters
    ----------
    values : e [m], m the smaller of n and p.
    count : the number of windows that X'X knows, n or more.
    vectors : V [p, m], float64; with `x`, those [n, m] of which V is X' times them.
    scores : gives R [n, m], some windows after the others, float32.
    x : X where it has fewer windows than features.
    """

    values: torch.Tensor
    count: float
    vectors: torch.Tensor
    scores: Callable[[], Iterable[torch.Tensor]]
    x: torch.Tensor | None = None

    @classmethod
    def of(cls, x: torch.Tensor) -> Spectrum:
        """By the smaller of X'X and XX'; x float32, which is held."""
        n, p = x.shape
        if n >= p:
            return cls.of_gram((x.T @ x).double(), n, lambda: x.split(max(BLOCK // p, 1)))
        values, left = torch.linalg.eigh((x @ x.T).double())
        values = values.clamp_min(0)
        length = values.sqrt()
        scores = (left * length).float()
        left.div_(length.clamp_min(1e-9 * length.max().clamp_min(1e-12)))
        return cls(values, n, left, lambda: scores.split(max(BLOCK // n, 1)), x)

    @classmethod
    def of_gram(cls, gram: torch.Tensor, count: float, blocks: Callable[[], Iterable[torch.Tensor]]) -> Spectrum:
        """By X'X float64 [p, p] of `count` windows; `blocks` gives X of some of them, float32."""
        values, vectors = torch.linalg.eigh(gram)
        turn = vectors.float()
        return cls(values.clamp_min(0), count, vectors, lambda: (x @ turn for x in blocks()))

    @property
    def strengths(self) -> list[float]:
        """Those that are tried."""
        mean = max(float(self.values.mean()), 1e-12)
        return [s * mean for s in STRENGTHS]

    def lift(self, along: torch.Tensor) -> torch.Tensor:
        """V times [m, K], float64 [p, K]."""
        mixed = self.vectors @ along
        if self.x is None:
            return mixed
        return torch.cat([part.T.double() @ mixed for part in self.x.split(max(BLOCK // len(self.x), 1), dim=1)])

    def along(self, y: torch.Tensor) -> torch.Tensor:
        """R'Y [m, K] of y float64 [n, K]."""
        total, begin = torch.zeros(len(self.values), y.shape[1], dtype=torch.float64), 0
        for scores in self.scores():
            total.addmm_(scores.T.double(), y[begin : begin + len(scores)])
            begin += len(scores)
        return total


@dataclass(frozen=True)
class Ridge:
    """Ridge regressions of each strength, of y [n, K] less their `mean` [K]; `right` [m, K] is R'y. All are float64."""

    spectrum: Spectrum
    y: torch.Tensor
    mean: torch.Tensor
    right: torch.Tensor

    @classmethod
    def of(cls, spectrum: Spectrum, y: torch.Tensor, kind: str, xy: torch.Tensor | None = None) -> Ridge:
        """Of values y [n, K], or of -1 and 1 for labels and classes y of 0 and 1. `xy` [p, K] is X'Y, of y less their
        mean, over all windows that the spectrum knows, where these are not those of y."""
        signed, times = (y.double(), 1) if kind == "value" else (2 * y.double() - 1, 2)
        mean = signed.mean(0)
        signed -= mean
        return cls(spectrum, signed, mean, spectrum.along(signed) if xy is None else times * (spectrum.vectors.T @ xy))

    def one(self, k: int) -> Ridge:
        """That of one of the outputs."""
        return Ridge(self.spectrum, self.y[:, k : k + 1], self.mean[k : k + 1], self.right[:, k : k + 1])

    def weight(self, strength: float) -> torch.Tensor:
        """The map of standardised features [p, K]."""
        return self.spectrum.lift(self.right / (self.spectrum.values + strength)[:, None])

    def leave_one_out(self, strengths: Sequence[float]) -> Iterator[torch.Tensor]:
        """For each strength the predictions [n, K] of y less their mean, each by the fit without that window."""
        at_once = max(HELD // (self.y.numel() + len(self.y)), 1)
        for begin in range(0, len(strengths), at_once):
            yield from self._left_out(torch.tensor(strengths[begin : begin + at_once], dtype=torch.float64))

    def _left_out(self, strengths: torch.Tensor) -> Iterator[torch.Tensor]:
        (n, outputs), begin = self.y.shape, 0
        shrunk = 1 / (self.spectrum.values[:, None] + strengths)
        maps = (self.right[:, None] * shrunk[:, :, None]).flatten(1).float()
        predicted, leverage = torch.empty(n, len(strengths), outputs), torch.empty(n, len(strengths))
        for scores in self.spectrum.scores():
            part = slice(begin, begin + len(scores))
            predicted[part] = (scores @ maps).unflatten(1, (-1, outputs))
            leverage[part] = scores.square() @ shrunk.float()
            begin = part.stop
        for k in range(len(strengths)):
            rest = (1 - 1 / self.spectrum.count - leverage[:, k : k + 1].double()).clamp_min(FLOOR)
            yield self.y - (self.y - predicted[:, k].double()) / rest


@dataclass(frozen=True)
class Chosen:
    """One of the maps of a ridge, to K logits or values, and the loss of what it says of windows not seen.

    The map of standardised features is `scale` times that of the ridge, and `offset` [K] is added.
    """

    ridge: Ridge
    strength: float
    scale: float
    offset: torch.Tensor
    loss: float = np.inf

    @property
    def weight(self) -> torch.Tensor:
        """[p, K]."""
        return self.scale * self.ridge.weight(self.strength)

    @property
    def left_out(self) -> torch.Tensor:
        """What is said of each window by the fit without it, [n, K]."""
        (found,) = self.ridge.leave_one_out([self.strength])
        return self.scale * found + self.offset


@dataclass(frozen=True)
class Solved:
    """Maps beside each other, each chosen by itself, as one to K logits or values."""

    parts: Sequence[Chosen]

    @property
    def weight(self) -> torch.Tensor:
        """[p, K], of standardised features."""
        return torch.cat([part.weight for part in self.parts], dim=1)

    @property
    def offset(self) -> torch.Tensor:
        """[K]."""
        return torch.cat([part.offset for part in self.parts])

    @property
    def strength(self) -> float:
        """Of the first of them."""
        return self.parts[0].strength

    @property
    def loss(self) -> float:
        """The mean of theirs."""
        return float(np.mean([part.loss for part in self.parts]))

    @property
    def left_out(self) -> torch.Tensor:
        """What is said of each window by the fit without it, [n, K]."""
        return torch.cat([part.left_out for part in self.parts], dim=1)


def solve(spectrum: Spectrum, y: torch.Tensor, kind: str, xy: torch.Tensor | None = None) -> Solved:
    """The map to values y [n, K], or to logits for y of 0 and 1: of classes together, of labels each by itself.

    Its strength errs least where each window is left out; `xy` is that of `Ridge.of`.
    """
    return least(candidates(Ridge.of(spectrum, y, kind, xy), y, kind, spectrum.strengths))


def candidates(ridge: Ridge, y: torch.Tensor, kind: str, strengths: Sequence[float]) -> Iterator[Sequence[Chosen]]:
    """For every strength the map to y [n, K], of labels one for each."""
    judged = {"value": _values, "class": _classes, "label": _labels}[kind]
    for strength, predicted in zip(strengths, ridge.leave_one_out(strengths), strict=True):
        yield judged(ridge, y, strength, predicted)


def least(found: Iterable[Sequence[Chosen]]) -> Solved:
    """Of each of the maps beside each other the first of those of least loss."""
    best: Sequence[Chosen] = ()
    for one in found:
        best = [min(pair, key=lambda each: each.loss) for pair in zip(best or one, one, strict=True)]
    return Solved(best)


def _values(ridge: Ridge, y: torch.Tensor, strength: float, predicted: torch.Tensor) -> Sequence[Chosen]:  # noqa: ARG001
    return [Chosen(ridge, strength, 1.0, ridge.mean, float((ridge.y - predicted).abs().mean()))]


def _classes(ridge: Ridge, y: torch.Tensor, strength: float, predicted: torch.Tensor) -> Sequence[Chosen]:
    truth = _doubted(y.double(), y.shape[1])

    def loss(scale: float) -> float:
        return float(nn.functional.cross_entropy(scale * predicted + ridge.mean, truth))

    scale, found = _least(loss)
    return [Chosen(ridge, strength, scale, ridge.mean, found)]


def _labels(ridge: Ridge, y: torch.Tensor, strength: float, predicted: torch.Tensor) -> Sequence[Chosen]:
    return [_label(ridge.one(k), y[:, k : k + 1], strength, predicted[:, k : k + 1]) for k in range(y.shape[1])]


def _label(ridge: Ridge, y: torch.Tensor, strength: float, predicted: torch.Tensor) -> Chosen:
    """One label y [n, 1]: two classes, whose logits differ by twice the prediction, and the log-odds of the label."""
    prior = ((y.double().sum(0) + 0.5) / (len(y) + 1)).logit()
    truth = _doubted(y.double(), 2)
    predicted = 2 * predicted

    def loss(scale: float) -> float:
        return float(nn.functional.binary_cross_entropy_with_logits(scale * predicted + prior, truth))

    scale, found = _least(loss)
    offset = float(prior)
    refined = platt(predicted[:, 0], truth[:, 0], scale, offset)
    # The mean without a window leans away from its target: on a fit of nothing else a negative scale looks perfect.
    if len(y) >= TWO_NUMBERS and refined[0] > 0:
        scale, offset, found = refined
    return Chosen(ridge, strength, 2 * scale, torch.tensor([offset]).double(), found)


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
    """The scale a of logits [n, K] at which the summed log-loss of one-hot y [n, K], plus (log a)^2, is least."""
    n = len(y)
    return _least(lambda a: n * float(nn.functional.cross_entropy(a * logits, y)) + math.log(a) ** 2)[0]


def near_one(logit: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """The scale a > 0 and offset of logits [n] that make the summed log-loss of y [n] plus (log a)^2 least.

    By Newton's method in log a and the offset: where all are right a plain fit makes them sure without end.
    """
    logit, y = logit.double(), y.double()
    at = torch.zeros(2, dtype=torch.float64)

    def said(at: torch.Tensor) -> torch.Tensor:
        return at[0].exp() * logit + at[1]

    def loss(at: torch.Tensor) -> float:
        whole = nn.functional.binary_cross_entropy_with_logits(said(at), y, reduction="sum")
        return float(whole + at[0] ** 2)

    now = loss(at)
    for _ in range(50):
        p = said(at).sigmoid()
        slopes = torch.stack([at[0].exp() * logit, torch.ones_like(logit)], dim=1)
        bent = slopes.T @ (slopes * (p * (1 - p))[:, None]) + torch.diag(torch.tensor([2.0, 1e-9]).double())
        step = torch.linalg.solve(bent, slopes.T @ (p - y) + torch.stack([2 * at[0], torch.zeros_like(at[0])]))
        size = 1.0
        while size > 1e-6 and not loss(at - size * step) < now:
            size /= 2
        if size <= 1e-6:
            break
        at, before = at - size * step, now
        now = loss(at)
        if before - now < 1e-9 * (1 + before):
            break
    return float(at[0].exp()), float(at[1])


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
    """Deviations [p], infinite where rounding alone makes them differ from 0: inputs are about 1, and where series were
    standardised one by one the mean of each is 0 but for that."""
    return torch.where(scale > 1e-6 * mean.abs().clamp_min(1), scale, torch.inf)
