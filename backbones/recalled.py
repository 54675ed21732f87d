"""Closed forms under nets that this process has solved before: the trials of a search differ in the net alone.

They depend on windows, targets, seed and loss, and are known again by a digest of these. Trees take most of the time.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import torch

from backbones.fitting import Fitting
from backbones.specs import TargetSpec
from backbones.under import Under

MOST = 4  # that are kept, of those used last: a search may vary what windows are
READ = 1 << 24  # numbers of windows that are read at once


class _Solved(NamedTuple):
    weights: dict[str, torch.Tensor]
    stood: torch.Tensor
    told: dict[str, Any]


class Recalled:
    """What was solved, by digest; a process that keeps nothing solves anew."""

    def __init__(self) -> None:
        self.kept: OrderedDict[bytes, _Solved] | None = None

    def start(self) -> None:
        """Keep from now on what is solved."""
        self.kept = OrderedDict() if self.kept is None else self.kept

    def fit(
        self, under: Under, data: Fitting, target: TargetSpec, lean: Sequence[float]
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """What `Under.fit` returns and leaves, solved at most once."""
        if self.kept is None:
            return under.fit(data, target, lean)
        key = _digest(under, data, target, lean)
        if key not in self.kept:
            stood, told = under.fit(data, target, lean)
            weights = {name: value.detach().clone() for name, value in under.state_dict().items()}
            self.kept[key] = _Solved(weights, stood, told)
        self.kept.move_to_end(key)
        while len(self.kept) > MOST:
            self.kept.popitem(last=False)
        solved = self.kept[key]
        under.target = target
        under.load_state_dict(solved.weights)
        return solved.stood.clone(), copy.deepcopy(solved.told)


here = Recalled()  # of this process


def _digest(under: Under, data: Fitting, target: TargetSpec, lean: Sequence[float]) -> bytes:
    grown = [*under.beside, under.trees and under.trees.kind]
    settings = (type(under).__name__, grown, target, tuple(lean), under.settled, data.seed, data.loss)
    found = blake2b(repr(settings).encode())
    for windows in (data.train, data.val):
        found.update(windows.groups.tobytes())
        found.update(windows.y.numpy().tobytes())
        each = max(READ // max(under.channels * under.length, 1), 1)
        for part in torch.arange(len(windows)).split(each):
            found.update(windows.read(part).cpu().contiguous().numpy().tobytes())
    return found.digest()
