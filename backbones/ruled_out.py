"""Which leaf each window reaches in small trees, by the leaves that every comparison rules out instead of by walking.

Where a comparison sends a window to the second child, no leaf below the first one is reached. Of the leaves that no
comparison of a tree rules out, the window reaches the leftmost (Lucchese et al., QuickScorer, SIGIR 2015). So all
comparisons are made, each for many windows at once, and the leaves of a tree are bits of a number of 16: a fifth of the
time that walking from node to node takes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAVES = 16  # of a tree, at most
LEAST = 4096  # windows from which on it takes less time than walking
AT_ONCE = 1 << 14  # windows for which a comparison is made


@dataclass(frozen=True)
class Ruling:
    """A tree. nodes : (feature, threshold, bits of the leaves below its first child) of each node that compares.
    leaves : the numbers of the leaves from left to right, int32 [at most LEAVES].
    """

    nodes: list[tuple[int, np.float32, np.uint16]]
    leaves: np.ndarray


def rulings(
    root: np.ndarray, child: np.ndarray, feature: np.ndarray, threshold: np.ndarray, depth: int
) -> list[Ruling]:
    """The trees of a `trees.Forest`; [] where one has more than LEAVES leaves.

    Parameters
    ----------
    root : int [trees]. child, feature, threshold : [nodes], as there. depth : comparisons to the deepest leaf.
    """
    if depth >= LEAVES or len(child) > (2 * LEAVES - 1) * len(root):
        return []
    first, made = child.tolist(), []
    for top in root.tolist():
        leaves, ruled = list[int](), dict[int, int]()
        _below(top, first, leaves, ruled)
        if len(leaves) > LEAVES:
            return []
        nodes = [(int(feature[node]), threshold[node], np.uint16(bits)) for node, bits in ruled.items()]
        made.append(Ruling(nodes, np.array(leaves, np.int32)))
    return made


def _below(node: int, first: Sequence[int], leaves: list[int], ruled: dict[int, int]) -> int:
    """The bits of the leaves below a node. Adds these to `leaves`, and to `ruled` what each node may rule out."""
    if first[node] == node:
        leaves.append(node)
        return 1 << (len(leaves) - 1)
    ruled[node] = _below(first[node], first, leaves, ruled)
    return ruled[node] | _below(first[node] + 1, first, leaves, ruled)


def reached(trees: Sequence[Ruling], features: np.ndarray) -> np.ndarray:
    """The number of the leaf that each window reaches in each tree, int32 [trees, B].

    Parameters
    ----------
    trees : from `rulings`. features : float32 [B, F].
    """
    used = sorted({feature for tree in trees for feature, *_ in tree.nodes})
    columns = dict(zip(used, np.ascontiguousarray(features[:, used].T), strict=True))
    found = np.empty((len(trees), len(features)), np.int32)
    beyond, bits, out = (np.empty(len(features), kind) for kind in (bool, np.uint16, np.uint16))
    for number, tree in enumerate(trees):
        out.fill(0)
        for feature, threshold, ruled in tree.nodes:
            np.greater(columns[feature], threshold, out=beyond)
            np.copyto(bits, beyond)
            np.multiply(bits, ruled, out=bits)
            np.bitwise_or(out, bits, out=out)
        found[number] = tree.leaves[_leftmost()[out]]
    return found


@functools.cache
def _leftmost() -> np.ndarray:
    """For each number of 16 bits, which of its bits is the lowest that is 0, counted from 0; 0 where all are 1."""
    free = ~np.arange(1 << LEAVES) & ((1 << LEAVES) - 1)
    return np.log2(np.maximum(free & -free, 1)).astype(np.uint8)
