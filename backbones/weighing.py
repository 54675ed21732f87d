"""The weights of members that were fitted to windows, from what they say of windows that they did not see.

Scores are what `Fitted.answer` gives, [n, K]: values, logits of labels, log-probabilities of classes. Probabilities are
pooled in log-odds: the weighted mean of scores, brought back to probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from backbones.fitted import LEAST, loss_of
from backbones.fitting import Labelled

FARTHEST = float(np.log((1 - LEAST) / LEAST))  # log-odds that are never gone beyond
STEPS = 25  # of greedy selection
POWERS = np.exp(np.linspace(np.log(0.25), np.log(4.0), 33))
TEMPERATURE, ROWS = 0.1, 50  # of the softmax of losses; rows at which losses count half
BLOCKS = 10  # of neighbouring windows, between which gains differ by chance
RATIO = 2.5  # the power of how many times the least loss each has, by which its weight is less
WITNESSES = 20  # groups at which what was chosen on them counts as much as the prior


def pooled(scores: torch.Tensor, weight: torch.Tensor, kind: str) -> torch.Tensor:
    """Scores [m, n, K] of members under weights [m]: one score [n, K]."""
    mean = torch.einsum("i,ink->nk", weight, scores)
    return mean.log_softmax(1) if kind == "class" else mean


def greedy(scores: torch.Tensor, y: torch.Tensor, kind: str, loss: str) -> torch.Tensor:
    """The weights [m] by greedy selection with replacement (Caruana et al. 2004): each step adds what helps most."""
    counts = torch.zeros(len(scores), dtype=scores.dtype)
    total = torch.zeros_like(scores[0])
    for step in range(1, STEPS + 1):
        one = torch.ones(1, dtype=scores.dtype)
        losses = [loss_of(pooled(((total + each) / step)[None], one, kind), y, kind, loss) for each in scores]
        best = int(np.argmin(losses))
        counts[best] += 1
        total = total + scores[best]
    return counts / STEPS


def on_validation(scores: torch.Tensor, val: Labelled, kind: str, loss: str, prior: torch.Tensor) -> torch.Tensor:
    """The weights [m] of members by their scores on validation: of values greedy, of labels half so (more, where many
    groups tell), and for the rest by losses and prior, which say more of few windows."""
    chosen, n = greedy(scores, val.y, kind, loss), len(val)
    if kind == "value":
        return chosen
    share = max(n / (n + ROWS) / 2, trusted(val.witnesses))
    return share * chosen + (1 - share) * by_ratio([loss_of(one, val.y, kind, loss) for one in scores], prior, n)


def sure(
    plain: torch.Tensor,
    better: torch.Tensor,
    y: torch.Tensor,
    loss: Callable[[torch.Tensor, torch.Tensor], float],
    errors: float,
) -> float:
    """How much to take of what seems better than something plainer, as far as its gain is not chance: from 0 to 1.

    1 - (errors times the standard error of the gain over blocks of neighbours / its mean)^2, as James and Stein's
    estimator (1961, its positive part) shrinks a mean.

    Parameters
    ----------
    plain, better : what either says of windows [n, K], of at least BLOCKS.
    y : their targets.
    loss : (what is said of some of them, their targets) -> the mean loss.
    errors : standard errors that a gain is not worth by itself.
    """
    parts = torch.arange(len(y)).tensor_split(BLOCKS)
    gains = torch.tensor([loss(plain[i], y[i]) - loss(better[i], y[i]) for i in parts])
    if gains.mean() <= 0:
        return 0.0
    error = gains.std() / BLOCKS**0.5
    return float((1 - (errors * error / gains.mean()).square()).clamp_min(0))


def trusted(witnesses: int) -> float:
    """The share of the weights that a choice may have, by the groups that it was made on."""
    return witnesses / (witnesses + WITNESSES)


def learnable(y: torch.Tensor, kind: str, groups: np.ndarray) -> torch.Tensor:
    """Mask [n] of what can be right where its group was not seen: of a class, with y [n, K] one-hot, there is another.

    Where no class has two, all of them.
    """
    if kind != "class":
        return torch.ones(len(y), dtype=torch.bool)
    of = y.argmax(1).numpy()
    owners = np.bincount(np.unique(np.stack([of, groups]), axis=1)[0], minlength=y.shape[1])
    several = torch.from_numpy(owners[of] > 1)
    return several if several.any() else ~several


def by_loss(losses: Sequence[float], prior: torch.Tensor, n: int) -> torch.Tensor:
    """Prior weights [m] times exp(-(loss - least) / .1), the losses counting the more, the more rows n there are."""
    gap = torch.tensor(losses, dtype=prior.dtype)
    heavy = prior * torch.exp(-(gap - gap.min()) / TEMPERATURE * n / (n + ROWS))
    return heavy / heavy.sum()


def by_ratio(losses: Sequence[float], prior: torch.Tensor, n: int) -> torch.Tensor:
    """Prior weights [m] times (least / loss)^2.5, the less of a power, the fewer rows n there are.

    Where a label hardly ever changes all losses are small, and a member that errs three times as much as another is
    wrong about most of what happens: differences do not tell that.
    """
    shares = torch.tensor([max(loss, LEAST) for loss in losses], dtype=prior.dtype)
    heavy = prior * (shares.min() / shares) ** (RATIO * n / (n + ROWS))
    return heavy / heavy.sum()


def comparable(errors: Sequence[float]) -> list[float]:
    """Mean errors as losses of which differences count: of an error it is the ratio that does.

    Where errors are about half a standard deviation, so that most is known, a difference is as large as before.
    """
    return [math.log(max(error, LEAST)) / 2 for error in errors]


def power(scores: torch.Tensor, y: torch.Tensor, kind: str) -> float:
    """The a under which p^a, brought back to probabilities, has the least summed log-loss plus (log a)^2."""
    losses = [len(y) * loss_of(raised(scores, float(a), kind), y, kind, "") + np.log(a) ** 2 for a in POWERS]
    return float(POWERS[int(np.argmin(losses))])


def raised(scores: torch.Tensor, a: torch.Tensor | float, kind: str) -> torch.Tensor:
    """Scores of probabilities raised to a power; values stay."""
    if kind == "value":
        return scores
    return (scores * a).log_softmax(-1) if kind == "class" else scores * a


def mixed(scores: torch.Tensor, share: torch.Tensor | float, rate: torch.Tensor, kind: str) -> torch.Tensor:
    """Scores of probabilities mixed with the base rate [K]: a `share` of it; values stay.

    The odds of a label are never taken from its probability: a runtime's sigmoid may be off by 1e-7, a thousandth of a
    rare event's.
    """
    if kind == "value":
        return scores
    if kind == "class":
        return ((1 - share) * scores.softmax(-1) + share * rate).clamp_min(LEAST).log()
    odds = scores.clamp(-FARTHEST, FARTHEST).exp()
    true = (1 - share) * odds + share * rate * (1 + odds)
    return true.log() - ((1 - share) + share * (1 - rate) * (1 + odds)).log()


def folds(y: torch.Tensor, groups: np.ndarray, kind: str, count: int, seed: int) -> np.ndarray:
    """The fold of each window [n]: each has its share of every class or quantile; groups stay together, if there are
    enough for the folds."""
    draw = np.random.default_rng(seed)
    groups = groups if len(np.unique(groups)) >= count else np.arange(len(groups))
    units, first, member = np.unique(groups, return_index=True, return_inverse=True)
    sort = y.numpy()[first]
    rank = np.lexsort((draw.permutation(len(units)), *(sort.T[::-1])))
    if kind == "value":  # neighbours in the order of the target, shuffled among themselves
        blocks = [draw.permutation(rank[at : at + count]) for at in range(0, len(rank), count)]
        rank = np.concatenate(blocks)
    fold = np.empty(len(units), np.int64)
    fold[rank] = np.arange(len(units)) % min(count, len(units))
    found: np.ndarray = fold[member]
    return found
