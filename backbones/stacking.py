"""The weights of a blend from its members' errors: stacking (Wolpert 1992) with weights >= 0 that sum to one.

They minimise the squared error and a pull towards equal weights, `w' G w + s |w - 1/m|^2`. `G [m, m]` holds the mean
products of the members' errors and s is `pull` times the members' mean squared error: the constraint of Breiman 1996,
and the shrinkage that forecast combination needs (Stock and Watson 2004, section 4).
"""

from __future__ import annotations

import torch

PULLS = (0.0, 0.01, 0.1, 1.0, 10.0)  # of the members' mean squared error
ROUNDS = 2000  # of projected gradient, far more than a handful of weights needs


def stacked_weights(gram: torch.Tensor, pull: float) -> torch.Tensor:
    """The weights `[m]` for mean products of errors `gram [m, m]`, both float64."""
    members = len(gram)
    equal = torch.full((members,), 1 / members, dtype=gram.dtype)
    strength = pull * gram.diagonal().mean()
    rate = 0.5 / (torch.linalg.matrix_norm(gram, 2) + strength).clamp_min(1e-300)
    weight = equal
    for _ in range(ROUNDS):
        step = 2 * (gram @ weight + strength * (weight - equal))
        last, weight = weight, to_simplex(weight - rate * step)
        if torch.equal(weight, last):  # and so would all others be
            break
    return weight


def choose_pull(grams: torch.Tensor) -> float:
    """The pull whose weights, chosen without a block of validation, err least on that block; `grams [blocks, m, m]`."""
    whole = grams.sum(0)

    def left_out(pull: float) -> float:
        weights = [stacked_weights(whole - block, pull) for block in grams]
        return sum(float(w @ block @ w) for w, block in zip(weights, grams, strict=True))

    return min(PULLS, key=left_out)


def to_simplex(point: torch.Tensor) -> torch.Tensor:
    """The nearest point whose coordinates are not negative and sum to one (Duchi et al. 2008, figure 1)."""
    ordered = point.sort(descending=True).values
    excess = (ordered.cumsum(0) - 1) / torch.arange(1, len(point) + 1, dtype=point.dtype)
    last = int((ordered > excess).nonzero().max())
    return (point - excess[last]).clamp_min(0)
