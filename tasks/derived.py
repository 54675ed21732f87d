"""What a task that computes its model's inputs from a series must offer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch

from scaler import Scaler
from windows import Readable


class DerivedFeatures(Protocol):
    """Inputs computed from a series as windows are read, since all of them at once would be a multiple of it."""

    channels: tuple[str, ...]

    def columns(self) -> Iterable[np.ndarray]:
        """Each input unscaled, [total], one after the other."""
        ...

    def read(self, scaler: Scaler, device: torch.device) -> Readable:
        """The inputs [C, total], scaled, as windows read them on a device."""
        ...
