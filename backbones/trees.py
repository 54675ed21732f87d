"""Decision trees as plain tensors, evaluated by gathers; equal to scikit-learn's.

The nodes of all trees stand in one list, level by level, the two children of a node side by side. A window goes to the
first child where `x[feature] <= threshold`, else to the second; at a leaf it stays. scikit-learn compares float32
features with float64 thresholds: `x <= t` holds exactly where x is at most the largest float32 that is not above t, and
that is what is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from backbones import ruled_out

AT_ONCE = 1 << 18  # pairs of window and tree that are walked at once
LEVELS = 6  # walked before those that have arrived at a leaf are set aside
# Added to thresholds that may be values of training (boosting, random forests), of max(|threshold|, 1): rounding
# elsewhere (another machine, an exported graph) must not move a window to the other child.
MARGIN = 1e-6


@dataclass(frozen=True)
class Tree:
    """One tree: first child of a node (-1 at a leaf), second child, feature, threshold; values [nodes, V]."""

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray


_LEAF = np.full(1, -1)
NOTHING = Tree(_LEAF, _LEAF, np.zeros(1, np.int64), np.zeros(1), np.zeros((1, 1)))  # a leaf that says 0


class Resized(nn.Module):
    """A module whose tensors are as large as what was fitted: they take their sizes from a loaded state."""

    def tensors(self) -> dict[str, torch.Tensor | None]:
        """The parameters and buffers of this module alone, by name."""
        return {**self._parameters, **self._buffers}

    def resize(self, name: str, value: torch.Tensor) -> None:
        """Replace the parameter or buffer `name`, on the device where it was."""
        old = self.tensors()[name]
        assert old is not None, name
        fresh = value.detach().to(old.device, old.dtype, copy=True)
        setattr(self, name, nn.Parameter(fresh, old.requires_grad) if isinstance(old, nn.Parameter) else fresh)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name, old in self.tensors().items():
            kept = state.get(prefix + name)
            if kept is not None and old is not None:
                self.resize(name, kept)
        super()._load_from_state_dict(state, prefix, *rest)


class Forest(Resized):
    """`features [B, F] -> [B, outputs]`, the sum over the trees.

    In the state: `feature`, `threshold`, `child` (of the first child; a leaf has itself) int32 or float32 [nodes],
    `value` [nodes, V], `root` [trees], and `width` [D], the nodes of each level. V is the outputs, or 1 where the trees
    belong to one output after the other.
    """

    feature: torch.Tensor
    threshold: torch.Tensor
    child: torch.Tensor
    root: torch.Tensor
    width: torch.Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.register_buffer("feature", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("threshold", torch.full((1,), torch.inf))
        self.register_buffer("child", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("root", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("width", torch.ones(1, dtype=torch.int32))
        self.value = nn.Parameter(torch.zeros(1, outputs))  # one tree, a leaf that says nothing

    def plant(self, trees: Sequence[Tree], *, margin: float = 0.0, keep: bool = False) -> None:
        """Become these trees; `keep` them that stand already (then V must be the same), and add these."""
        grown, widths = zip(*(_levels(tree) for tree in trees), strict=True)
        sizes = [len(one.left) for one in grown]
        starts = np.cumsum([0, *sizes[:-1]])
        leaf = [one.left < 0 for one in grown]
        own = np.concatenate([np.arange(size) for size in sizes])
        first = np.where(np.concatenate(leaf), own, np.concatenate([one.left for one in grown]))
        child = first + np.repeat(starts, sizes)
        threshold = np.concatenate([one.threshold for one in grown])
        threshold = _floor32(threshold + margin * np.maximum(np.abs(threshold), 1))
        threshold = np.where(np.concatenate(leaf), np.float32(np.inf), threshold)
        feature = np.where(np.concatenate(leaf), 0, np.concatenate([one.feature for one in grown]))
        value = np.concatenate([one.value for one in grown])
        width = np.zeros(max(map(len, widths)), np.int64)
        for one in widths:
            width[: len(one)] += one
        made = {"feature": feature, "threshold": threshold, "child": child, "value": value, "root": starts}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(part)) for name, part in made.items()}
        self._become(tensors | {"width": torch.from_numpy(width)}, keep=keep)

    def take_in(self, other: Forest) -> None:
        """Take in the trees of another forest, beside its own if there are some."""
        self._become({name: part for name, part in other.tensors().items() if part is not None}, len(self.root) > 1)

    def _become(self, tensors: Mapping[str, torch.Tensor], keep: bool) -> None:
        """Have these tensors, beside those that are there already if these are kept."""
        made = {name: part.detach().cpu() for name, part in tensors.items()}
        if keep:
            before = {name: part.detach().cpu() for name, part in self.tensors().items() if part is not None}
            made |= {name: made[name] + len(before["child"]) for name in ("child", "root")}
            width = nn.utils.rnn.pad_sequence([before["width"], made["width"]]).sum(1)
            made = {name: torch.cat([before[name], part]) for name, part in made.items()} | {"width": width}
        for name, part in made.items():
            self.resize(name, part)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state, prefix, *rest)
        nodes, where = len(self.value), (self.child, self.root)
        of_nodes = all(part.shape == (nodes,) for part in (self.feature, self.threshold, self.child))
        if not of_nodes or any(len(part) and not 0 <= int(part.min()) <= int(part.max()) < nodes for part in where):
            raise RuntimeError(f"{prefix}: nodes that are none")

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_compiling():  # a graph has no data-dependent sizes
            return self._sum(self._walk_all(features), features.shape[0])
        trees = self._rulings(features)
        step = max(AT_ONCE // (len(self.root) * max(self.value.shape[1] // 8, 1)), 1)
        parts = features.split(ruled_out.AT_ONCE if trees else step)
        sums = [self._sum(self._ruled(part, trees) if trees else self._walk(part), len(part)) for part in parts]
        return sums[0] if len(sums) == 1 else torch.cat(sums)

    def _rulings(self, features: torch.Tensor) -> list[ruled_out.Ruling]:
        """The trees, where that saves time: they are small, and the windows many; else []."""
        plain = features.device.type == "cpu" and features.dtype == torch.float32
        if not plain or len(features) < ruled_out.LEAST:
            return []
        root, child, feature, threshold = (
            part.numpy() for part in (self.root, self.child, self.feature, self.threshold)
        )
        return ruled_out.rulings(root, child, feature, threshold, len(self.width) - 1)

    @staticmethod
    def _ruled(features: torch.Tensor, trees: list[ruled_out.Ruling]) -> torch.Tensor:
        """As `_walk`."""
        return torch.from_numpy(ruled_out.reached(trees, features.detach().numpy())).view(-1)

    def _sum(self, leaf: torch.Tensor, count: int) -> torch.Tensor:
        """Leaves of trees x windows as one row a window, [B, outputs]."""
        if self.value.shape[1] == self.outputs:
            return self.value.index_select(0, leaf).view(len(self.root), count, self.outputs).sum(0)
        value = self.value.index_select(0, leaf).view(-1, self.outputs, count)
        return value.sum(0).t()

    def _walk_all(self, features: torch.Tensor) -> torch.Tensor:
        """The leaf that each window reaches in each tree, [trees * B], every window walking every level."""
        trees, windows = len(self.root), features.shape[0]
        node = self.root.long()[:, None].expand(-1, windows).reshape(-1)
        columns, child, feature = features.t(), self.child.long(), self.feature.long()
        for _ in range(len(self.width) - 1):
            value = columns.gather(0, feature.index_select(0, node).view(trees, windows)).reshape(-1)
            node = child.index_select(0, node) + (value > self.threshold.index_select(0, node)).long()
        return node

    def _walk(self, features: torch.Tensor) -> torch.Tensor:
        """The same, windows that have arrived being set aside: most paths are far shorter than the longest."""
        count, depth = len(features), len(self.width) - 1
        columns = features.t().reshape(-1)
        window = torch.arange(count, dtype=torch.int32, device=features.device).repeat(len(self.root))
        node = self.root.repeat_interleave(count)
        out, where, done = node, None, 0
        while done < depth:
            for _ in range(min(LEVELS, depth - done)):
                value = columns.index_select(0, self.feature.index_select(0, node) * count + window)
                node = self.child.index_select(0, node) + (value > self.threshold.index_select(0, node)).int()
            done += LEVELS
            out = node if where is None else out.index_copy(0, where, node)
            going = (self.child.index_select(0, node) != node).nonzero().view(-1)
            if not len(going):
                break
            where = going if where is None else where.index_select(0, going)
            node, window = node.index_select(0, going), window.index_select(0, going)
        return out


def _floor32(values: np.ndarray) -> np.ndarray:
    """The largest float32 that is not above each value."""
    near = values.astype(np.float32)
    floor: np.ndarray = np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
    return floor


def _below(tree: Tree, level: np.ndarray) -> np.ndarray:
    """The children of the nodes of a level, those of one node side by side."""
    inner = level[tree.left[level] >= 0]
    return np.stack([tree.left[inner], tree.right[inner]], axis=1).ravel()


def _levels(tree: Tree) -> tuple[Tree, list[int]]:
    """The same tree, its nodes in order of their level, and how many each level has."""
    levels = [np.zeros(1, np.int64)]
    while len(following := _below(tree, levels[-1])):
        levels.append(following)
    order = np.concatenate(levels)
    place = np.empty(len(tree.left), np.int64)
    place[order] = np.arange(len(order))
    leaf = tree.left[order] < 0
    left, right = (np.where(leaf, -1, place[side[order]]) for side in (tree.left, tree.right))
    ordered = Tree(left, right, tree.feature[order], tree.threshold[order], tree.value[order])
    return ordered, [len(level) for level in levels]


# --- from scikit-learn -----------------------------------------------------------------------------------------------


def of_boosting(model: Any, iterations: int | None = None) -> list[Tree]:
    """The trees of a fitted HistGradientBoosting model (its first `iterations`), one a class and iteration, V = 1."""
    grown = [tree.nodes for one in model._predictors[:iterations] for tree in one]
    return [
        Tree(
            np.where(nodes["is_leaf"] > 0, -1, nodes["left"].astype(np.int64)),
            nodes["right"].astype(np.int64),
            nodes["feature_idx"].astype(np.int64),
            nodes["num_threshold"],
            nodes["value"][:, None],
        )
        for nodes in grown
    ]


def of_forest(model: Any, values: Any = None) -> list[Tree]:
    """The trees of a fitted forest, whose sum is its mean; `values(tree.value) -> [nodes, V]` picks what leaves say."""
    count = len(model.estimators_)
    found = []
    for one in model.estimators_:
        tree = one.tree_
        said = np.float32((tree.value[:, :, 0] if values is None else values(tree.value)) / count)
        left, right = np.asarray(tree.children_left, np.int64), np.asarray(tree.children_right, np.int64)
        found.append(Tree(left, right, tree.feature, tree.threshold, said))
    return found
