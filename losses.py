"""What training minimises: BCE blended with soft F1 for states, cross-entropy for classes, and regression losses.

Nothing here reads a tensor's value from Python (no `.item()`, no branch on data), so a step that ends in one of
these losses compiles to one graph and can be captured as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Added to numerator and denominator of soft F1: a label without positives and predicted mass scores 1, not 0/0.
# Small beside the mass of one window, so that it hardly counts; the gradient of a logit stays below 1/4 even there.
EPS = 1e-6

_REGRESSION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "huber": F.huber_loss,  # delta 1: quadratic within one unit of the (scaled) target, linear outside
    "l1": F.l1_loss,
    "mse": F.mse_loss,
}


def _full(tensor: Tensor) -> Tensor:
    """At least float32: under autocast a half-precision sum over the batch loses the rare class."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def bce_soft_f1(logits: Tensor, y: Tensor, alpha: float, pos_weight: Tensor | None = None) -> Tensor:
    """alpha * BCE(logits, y) + (1 - alpha) * (1 - soft F1), a scalar in float32 (float64 if the logits are).

    Soft F1 replaces the counts in F1 = 2 TP / (2 TP + FP + FN) by sums of probabilities p = sigmoid(logits) over the
    batch and the steps: TP = sum p y, FP = sum p (1 - y), FN = sum (1 - p) y, hence 2 TP + FP + FN = sum p + sum y.
    It is taken per label, then averaged, so that a rare label counts as much as a common one.

    Parameters
    ----------
    logits : `[B, K, H]`, any float type.
    y : `[B, K, H]` in {0, 1}, any type.
    alpha : share of the BCE, in [0, 1].
    pos_weight : `[K]`, factor on the positive term of each label's BCE; soft F1 does not use it.

    Raises
    ------
    ValueError : the shapes of `logits` and `y` differ.
    """
    logits = _full(logits)
    y = y.to(logits.dtype)
    weight = None if pos_weight is None else pos_weight.to(logits.dtype)[:, None]
    bce = F.binary_cross_entropy_with_logits(logits, y, pos_weight=weight)
    p = torch.sigmoid(logits)
    hit = (p * y).sum(dim=(0, 2))
    mass = p.sum(dim=(0, 2)) + y.sum(dim=(0, 2))
    soft_f1 = (2 * hit + EPS) / (mass + EPS)
    return alpha * bce + (1 - alpha) * (1 - soft_f1.mean())


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """-sum over K of y log softmax(logits), the mean over windows and steps, a scalar in float32.

    `logits` and `y` are `[B, K, H]`; y is one-hot over K. Raises ValueError where the shapes differ.
    """
    if logits.shape != y.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and y {tuple(y.shape)} differ in shape")
    logits = _full(logits)
    return -(y.to(logits.dtype) * logits.log_softmax(dim=1)).sum(dim=1).mean()


def pinball(outputs: Tensor, y: Tensor, levels: Tensor) -> Tensor:
    """The mean pinball loss of quantile forecasts (Koenker and Bassett 1978), a scalar in float32.

    Parameters
    ----------
    outputs : `[B, K * Q, H]`, the Q levels of the first of K targets, then those of the next.
    y : `[B, K, H]`.
    levels : `[Q]` in (0, 1).
    """
    error = y.unsqueeze(2) - _full(outputs).unflatten(1, (y.shape[1], len(levels)))  # [B, K, Q, H]
    tau = levels[:, None]
    return torch.maximum(tau * error, (tau - 1) * error).mean()


def regression_loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss called `name` as `(pred, y) -> scalar`: "huber" (delta 1), "l1", "mse", or a class of torch.nn.

    `pred` and `y` have one shape; the result is float32 whatever autocast made of `pred`. A class is made with torch's
    defaults; for a few numbers around zero it has to give one finite number with a gradient.

    Raises
    ------
    ValueError : an unknown name, or a class that does not; or, when called, shapes that differ (torch would broadcast
        `[B, 1, 1]` against `[B]` into B x B errors with no more than a warning).
    """
    measure = _REGRESSION[name] if name in _REGRESSION else _of_torch(name)

    def loss(pred: Tensor, y: Tensor) -> Tensor:
        if pred.shape != y.shape:
            raise ValueError(f"pred {tuple(pred.shape)} and y {tuple(y.shape)} differ in shape")
        pred = _full(pred)
        return measure(pred, y.to(pred.dtype))

    return loss


def regression_names() -> list[str]:
    """Every name that `regression_loss` may be given: those it knows, and the losses of torch.nn."""
    return [*_REGRESSION, *classes()]


def classes() -> dict[str, type[nn.Module]]:
    """The losses of torch.nn, by name."""
    return {name: kind for name, kind in vars(nn).items() if name.endswith("Loss") and isinstance(kind, type)}


def _of_torch(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    if name not in classes():
        raise ValueError(f"unknown regression loss {name!r}: one of {', '.join(regression_names())}")
    y = torch.linspace(-1.3, 1.1, 24).reshape(2, 3, 4)
    pred = y.flip(2).requires_grad_()
    try:
        measure = classes()[name]()
        found = measure(pred, y)
        found.backward()
    except Exception as error:
        raise ValueError(f"{name} does not compare numbers with numbers: {str(error).splitlines()[0]}") from None
    if not found.isfinite() or pred.grad is None or not pred.grad.isfinite().all() or not pred.grad.any():
        raise ValueError(f"{name} does not suit standardised values: it is {found.item():g} for them")
    return measure
