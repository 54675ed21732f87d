"""Stretches of a series without a gap, as a closed form that forecasts is fitted to them (`Backbone.fit`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

import windows
from backbones.base import KnownAhead, Stretches
from readers.scaled import Scaled

Pieces = Sequence[tuple[int, int]]  # [begin, end) on the flat axis, each within one row


def stretches(
    inputs: torch.Tensor | windows.Readable,
    known: torch.Tensor | None,
    train: Pieces,
    val: Pieces,
    offsets: np.ndarray,
    horizon: int,
) -> tuple[Stretches, Stretches, Stretches, KnownAhead | None]:
    """The arguments of `Backbone.fit`: training, validation, both, and what is known ahead in each.

    Parameters
    ----------
    inputs : [C, total], what a model sees.
    known : [M, total + N * H], what is known ahead, H steps more after each row; None: nothing.
    train, val : what the windows of both parts cover.
    offsets : int64 [N + 1], where each row begins and ends.
    horizon : H.
    """
    assert isinstance(inputs, torch.Tensor | Scaled), "a closed form needs its inputs as they are"
    parts = train, val, windows.merged([*train, *val], offsets)
    flat = inputs.cpu().numpy() if isinstance(inputs, torch.Tensor) else inputs  # whose parts take less time to take
    one, two, three = ([flat[:, begin:end] for begin, end in part] for part in parts)
    if known is None:
        return one, two, three, None
    ahead = known.cpu().numpy()
    return one, two, three, KnownAhead(*(_ahead(ahead, part, offsets, horizon) for part in parts))


def _ahead(known: np.ndarray, pieces: Pieces, offsets: np.ndarray, horizon: int) -> list[np.ndarray]:
    begin, end = np.array(pieces, np.int64).reshape(-1, 2).T
    more = horizon * (np.searchsorted(offsets, begin, side="right") - 1)
    return [known[:, first:last] for first, last in zip((begin + more).tolist(), (end + more).tolist(), strict=True)]
