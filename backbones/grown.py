"""Trees beside the map under a net: what is no sum of parts, a map cannot say.

Of whole series a forest on the quantiles of intervals (quant.py), of rows of a few numbers one on these, else one on
the window and its summaries (extra_trees.py), in the units of the model's outputs. What it says of windows that it has
seen tells nothing, so trees are grown on folds: whole series are weighed, and a net learns what is left, by what these
say of the others. Of windows the trees of all folds are the forest; whole series and rows, of which there are fewer,
have another one grown on all. Of very many windows a sample is grown on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from backbones import Hyper, InputSpec, backbone_class
from backbones.extra_trees import usual_leaf
from backbones.fitted import classes_of, loss_of, outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.forests import ForestBackbone, seconds_of
from backbones.specs import TargetSpec
from backbones.trees import Forest
from backbones.weighing import by_loss, comparable, folds, greedy, learnable, power, raised, trusted

# Of whole series, of windows, and of rows of a few numbers, each of which may be another quantity: the backbone, how
# many trees, and what is not its default.
# The second of things, which are trees on draws of them: another kind errs elsewhere.
KINDS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "series": ("quant", 200, {}),
    "windows": ("extra_trees", 100, {}),
    "rows": ("extra_trees", 100, {"summaries": False, "share": 1.0}),
    "bagged": ("extra_trees", 100, {"summaries": False, "share": 0.4, "bagged": True}),
}
SHARES = (0.3, 0.1)  # of the features tried at each node of windows: the smaller before windows are left out
FOLDS = 5
FEWEST, MOST = 10, 5000  # whole series that have trees; and windows, of which a sample is taken where they are many
SAMPLES = range(1000, 20_001, 1000)  # how many windows it may hold
KEPT = 4  # of the sample, one in so many is for its classes alike
MOST_CELLS = {True: 50_000_000, False: 16_000_000}  # numbers of the table of features, of whole series and of windows
MOST_NUMBERS = {True: 4_000_000, False: 2_000_000}  # in the leaves of whole series, about; in the nodes of windows
OF_NODE = 4  # numbers, beside its values
SECONDS = {True: 40.0, False: 15.0}  # CPU-seconds of all trees, about
BAGGED_LEAF = 3  # things in a leaf of labels, at least, of trees on draws
FEW = 50  # trees that are grown where they take longer


class Planted(Forest):
    """A forest that no optimizer moves, and whose numbers may be averaged over epochs."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        value = self.value.detach()
        del self.value
        self.register_buffer("value", value)
        self.finite()

    def finite(self) -> None:
        """The threshold of a leaf, over which nothing is, as a number: weights are averaged, and checked for such."""
        self.threshold.clamp_(max=torch.finfo(torch.float32).max)


class Grown(nn.Module):
    """`x [B, C, L] -> [B, K]`: `weight` times what the trees say; nothing before they are grown."""

    weight: torch.Tensor

    def __init__(
        self, target: TargetSpec, channels: int, length: int, *, rows: bool = False, bagged: bool = False
    ) -> None:
        super().__init__()
        self.kind = "bagged" if bagged else "rows" if rows else "series" if target.whole else "windows"
        self.target, self.sizes = target, InputSpec(channels=channels, length=length, target=target)
        self.forest = self._blank(self._trees, 1)
        self.forest.forest = Planted(target.outputs)
        self.register_buffer("weight", torch.zeros(()))

    @property
    def _trees(self) -> int:
        return KINDS[self.kind][1]

    def _blank(self, trees: int, leaf: int, share: float = 0.0) -> ForestBackbone:
        name, _, args = KINDS[self.kind]
        tried = {"share": share} if share else {}
        made = backbone_class(name)(self.sizes, Hyper(name, {**args, **tried, "trees": trees, "leaf": leaf}))
        assert isinstance(made, ForestBackbone)
        return made.to(self.weight.device) if "weight" in self._buffers else made

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(self.forest.forest.root) == 1:  # none are grown
            return x.new_zeros(x.shape[0], self.target.outputs)
        return self.weight * self.answer(x)

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        """What the trees say of windows [B, C, L], in the units of the outputs [B, K]."""
        return self.forest.answer(x)

    def suits(self, windows: int) -> bool:
        """Whether so many windows are enough for trees, and so many whole series not too many."""
        few = windows <= MOST and windows * self.forest.width <= MOST_CELLS[True]
        return windows >= FEWEST and (few or self.kind != "series")

    @torch.no_grad()
    def grow(self, train: Labelled, data: Fitting) -> tuple[torch.Tensor, float]:
        """Grow the trees on windows; returns what trees say of each that have not seen its fold [n, K], raised to the
        power under which that errs least, and this power."""
        seen, weight = sampled(train, self.target.kind, data.seed, self._most(len(train)))
        trees, share, folded = self._affordable(len(seen)), self._share(len(seen)), self.kind == "windows"
        leaf = self._leaf(len(seen), trees)
        some, whole = (self._blank(count, leaf, share) for count in (trees // (FOLDS if folded else 2), trees))
        table = whole.prepare(train.part(seen), data.seed)
        some.features.load_state_dict(whole.features.state_dict())
        fold = apart(train, self.target.kind, data.seed)
        ones = np.unique(fold)
        said = torch.empty(train.y.shape)
        for one in ones:
            inside, outside = np.flatnonzero(fold[seen] != one), np.flatnonzero(fold == one)
            some.solve(table[inside], train.part(seen[inside]), data, weight[inside])
            if len(seen) < len(train):
                found = outputs_on(train.part(outside), lambda x: some.say(some.describe(x)))
            else:
                found = some.say(torch.from_numpy(table[outside]).to(self.weight.device)).cpu()
            said[torch.from_numpy(outside)] = found
            if folded:
                some.forest.value.data.div_(len(ones))
                whole.forest.take_in(some.forest)
        if not folded:
            whole.solve(table, train.part(seen), data, weight)
        self._plant(whole)
        said = said if self.target.channel is None else said + outputs_on(train, whole.last)
        return calibrated(said, train, self.target.kind)

    @torch.no_grad()
    def again(self, train: Labelled, data: Fitting) -> None:
        """Grow as many trees once more, on all of these series or rows; what they count for stays."""
        seen, weight = sampled(train, self.target.kind, data.seed, self._most(len(train)))
        trees = len(self.forest.forest.root)
        whole = self._blank(trees, self._leaf(len(seen), trees), self._share(len(seen)))
        some = train.part(seen)
        whole.solve(whole.prepare(some, data.seed), some, data, weight)
        self._plant(whole)

    def _most(self, windows: int) -> int:
        """How many windows trees are grown on: of whole series all, else as many as FEW trees take in time."""
        if self.kind == "series":
            return windows
        small = (n for n in SAMPLES if n * self.forest.width <= MOST_CELLS[False])
        return max((n for n in small if self._takes(n) * FEW <= SECONDS[False]), default=SAMPLES[0])

    def _share(self, windows: int) -> float:
        """Of the features, what is tried at each node: of windows so many that FEW trees are grown in time."""
        if self.kind != "windows":
            return self.forest.hyper.share
        fits = (share for share in SHARES if self._takes(windows, share) * FEW <= SECONDS[False])
        return next(fits, SHARES[-1])

    def _leaf(self, windows: int, trees: int) -> int:
        """The least windows of a leaf, so that the leaves are not too many; 0: what is usual."""
        if self.target.whole:
            least = BAGGED_LEAF if self.kind == "bagged" and self.target.kind != "value" else 1
            return max(least, 1 + 2 * windows * trees * self.target.outputs // MOST_NUMBERS[True])
        leaf = math.ceil(2 * windows * trees * (OF_NODE + self.target.outputs) / MOST_NUMBERS[False])
        return leaf if leaf > usual_leaf(self.target.kind, windows) else 0

    def _takes(self, windows: int, share: float = SHARES[-1]) -> float:
        """CPU-seconds for each tree: of windows on the others of its fold, else with those of the folds, which are half
        as many on each. `share` of the features is tried, of windows."""
        if self.kind == "windows":
            return seconds_of(windows * (FOLDS - 1) // FOLDS, share * self.forest.width)
        return seconds_of(windows, self.forest.hyper.share * self.forest.width) * (1 + (FOLDS - 1) / 2)

    def _affordable(self, windows: int) -> int:
        """How many trees are grown on so many windows; half as many on each fold, or of windows a fifth."""
        takes = self._takes(windows, self._share(windows))
        return min(max(int(SECONDS[self.target.whole] / takes), FEW), self._trees)

    def _plant(self, grown: ForestBackbone) -> None:
        planted = self.forest.forest
        assert isinstance(planted, Planted)
        for name, value in grown.forest.tensors().items():
            assert value is not None
            planted.resize(name, value)
        planted.finite()
        self.forest.features.load_state_dict(grown.features.state_dict())


def sampled(train: Labelled, kind: str, seed: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of at most so many windows, in order, and what each counts for: among a sample a label or a class
    that is rare keeps some, that count for less."""
    if len(train) <= most:
        return np.arange(len(train)), np.ones(len(train))
    kinds = _kinds(train.y, kind)
    count = np.bincount(kinds)
    least = np.minimum(count, most // (KEPT * len(count)))
    taken = least + (count - least) * (most - least.sum()) // (len(train) - least.sum())
    draw = np.random.default_rng(seed)
    parts = [draw.choice(np.flatnonzero(kinds == k), n, replace=False) for k, n in enumerate(taken)]
    numbers = np.sort(np.concatenate(parts))
    each = count / np.maximum(taken, 1)
    return numbers, each[kinds[numbers]] / each[kinds[numbers]].mean()


def calibrated(said: torch.Tensor, train: Labelled, kind: str) -> tuple[torch.Tensor, float]:
    """What is said of windows that were not seen [n, K], raised to the power under which it errs least; and this power.
    Values stay."""
    if kind == "value":
        return said, 1.0
    known = learnable(train.y, kind, train.groups)
    best = power(said[known], train.y[known], kind)
    return raised(said, best, kind), best


def _kinds(y: torch.Tensor, kind: str) -> np.ndarray:
    """What each window shows [n]: its class, or side of the only label; all the same of values and several labels."""
    if kind == "class":
        return classes_of(y)
    return y[:, 0].long().numpy() if kind == "label" and y.shape[1] == 1 else np.zeros(len(y), np.int64)


def apart(train: Labelled, kind: str, seed: int) -> np.ndarray:
    """The fold of each window [n]: groups stay together; of fewer than the folds, stretches of neighbours do."""
    few = train.witnesses < FOLDS
    groups = np.arange(len(train)) * FOLDS // len(train) if few else train.groups
    return folds(train.y, groups, kind, FOLDS, seed)


def out_of_fold(
    train: Labelled, kind: str, seed: int, say: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """What is said of each window, float64 [n, K], by what is fitted to the other folds.

    Parameters
    ----------
    say : (mask [n] of the windows to fit to, mask of those to say something of [m]) -> [m, K].
    """
    fold, said = torch.from_numpy(apart(train, kind, seed)), torch.empty(train.y.shape, dtype=torch.float64)
    for one in fold.unique():
        said[fold == one] = say(fold != one, fold == one)
    return said


def weighed(said: torch.Tensor, train: Labelled, kind: str, loss: str, prior: Sequence[float]) -> torch.Tensor:
    """The weights [m] of members, from what they say [m, n, K] of windows that they have not seen.

    Of labels half greedy, half by loss and prior, as the members of `auto` are; of values greedy. Of few values, and of
    few groups of series, less so: the fewer there are, the more loss and prior say.
    """
    known = learnable(train.y, kind, train.groups)
    losses = [loss_of(one, train.y[known], kind, loss) for one in said[:, known]]
    usual = torch.tensor(prior, dtype=torch.float64)
    found = by_loss(comparable(losses) if kind == "value" else losses, usual / usual.sum(), train.witnesses)
    trust = trusted(train.witnesses) if kind == "value" or train.witnesses < len(train) else 1.0
    share = trust if kind == "value" else trust / 2
    return share * greedy(said[:, known], train.y[known], kind, loss) + (1 - share) * found
