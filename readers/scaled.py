"""Values in a file as a model sees them: scaled when they are read, so that no scaled copy is made of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scaler import Scaler

if TYPE_CHECKING:
    import torch

warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # an entry of the cache is not
AT_ONCE = 1 << 22  # values that are copied to a device at once


class Scaled:
    """Takes the role of an array float32 [C, total], of which slices are read, and of a tensor (`windows.Readable`).

    Parameters
    ----------
    values : float [all channels, total], in the data's units.
    scaler : of C channels.
    which : int64 [C], these channels among those of `values`.
    """

    def __init__(self, values: np.ndarray, scaler: Scaler, which: Sequence[int] | np.ndarray) -> None:
        import torch

        which = np.asarray(which)
        self._run = len(which) > 0 and bool((np.diff(which) == 1).all())  # then a view has them
        self.base = values[which[0] : which[-1] + 1] if self._run else values
        self._which = np.arange(len(which)) if self._run else which
        self.shape: tuple[int, int] = (len(which), values.shape[1])
        self.scaler, self.device = scaler, torch.device("cpu")

    def __len__(self) -> int:
        """C."""
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Of all values, were they held."""
        return 4 * self.shape[0] * self.shape[1]

    def __getitem__(self, at: Any) -> np.ndarray:
        """Of one channel, or of all (`:`), the steps of a slice or with these numbers: float32."""
        channels, steps = at
        which = range(len(self))[channels] if isinstance(channels, slice) else [int(channels)]
        found = self.base[channels, steps] if self._run else np.stack([self.base[self._which[c], steps] for c in which])
        scaled = self.scaler.apply(found if found.ndim > 1 else found[None], which=which)
        return scaled if isinstance(channels, slice) else np.asarray(scaled[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:, :].astype(dtype or np.float32, copy=bool(copy))

    def channels(self, which: Sequence[int]) -> Scaled:
        """Some channels, in this order."""
        return Scaled(self.base, self.scaler.of_channels(which), self._which[list(which)])

    def read(self, starts: torch.Tensor, length: int) -> torch.Tensor:
        """The `length` steps from each of the `starts` [B] on: [B, C, length]."""
        import torch

        values = torch.from_numpy(self.base)
        size, steps = (self.shape[1] - length + 1, len(values), length), (1, values.stride(0), 1)
        found = values.as_strided(size, steps).index_select(0, starts)
        found = found if self._run else found[:, self._which]
        # As `Scaler.apply` does it, in a few calls: they go beside the training step, which a loop would hold up.
        mean, std = (torch.from_numpy(moment)[:, None] for moment in (self.scaler.mean, self.scaler.std))
        centred = found.double().sub_(mean).float()
        return centred.double().div_(std).float()

    def on(self, device: torch.device) -> torch.Tensor | Scaled:
        """Where windows are read on a device: itself on the CPU, else a tensor that holds them there."""
        import torch

        if device.type == "cpu":
            return self
        made = torch.empty(self.shape, device=device)
        step = max(AT_ONCE // max(len(self), 1), 1)
        for begin in range(0, self.shape[1], step):
            made[:, begin : begin + step] = torch.from_numpy(self[:, begin : begin + step]).to(device)
        return made
