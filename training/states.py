"""Weights and random states as they are kept, and what a model is set to before it trains."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn


def train_mode(model: nn.Module) -> None:
    """`model.train()`, but a frozen module with running statistics (BatchNorm) keeps them."""
    model.train()
    for module in model.modules():
        parameters = list(module.parameters(recurse=False))
        running = any(True for _ in module.buffers(recurse=False))
        if parameters and running and not any(p.requires_grad for p in parameters):
            module.eval()


def clone_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the weights, which the next step does not change."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def alike(states: Iterable[Mapping[str, torch.Tensor]]) -> bool:
    """Whether all weights are the same to the last bit; a NaN is like no other."""
    first, *others = states
    return all(torch.equal(value, other[name]) for other in others for name, value in first.items())


def random_states() -> dict[str, Any]:
    """Every generator that training could draw from, as plain values and tensors."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [kind, torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, cached],
        "python": [version, torch.tensor(words), gauss],
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    """Set every generator to what `random_states` returned."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), position, has_gauss, cached))  # older ones are lists
    version, words, gauss = states["python"]
    random.setstate((version, tuple(torch.as_tensor(words).tolist()), gauss))
