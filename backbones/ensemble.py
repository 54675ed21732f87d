"""A blend of forecasters that were trained separately, weighted by their errors on validation (`stacking.py`).

The pull towards equal weights is chosen by leaving out one of four blocks of validation at a time. The members' weights
are part of this model's state: a checkpoint needs none of their directories afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from backbones import ForecastSpec, Hyper, InputSpec, register
from backbones.base import KnownAhead, Stretches
from backbones.blend import RunBlend, Weights
from backbones.stacking import choose_pull, stacked_weights

HYPER = {
    "members": {"default": "", "local": True, "help": "directories of trained runs, separated by commas"},
    "shrink": {"default": -1.0, "min": -1.0, "help": "pull towards equal weights; -1: chosen on validation"},
}

BLOCKS = 4
BATCH = 256  # windows that the members forecast at once


@register
class Ensemble(RunBlend):
    """`y = sum_i w_i y_i`, one weight for each member, whose forecast is brought back from the member's scale."""

    forecasts = True
    reads_known = True
    reads_marks = True
    heads = ("forecast",)
    forecast: ForecastSpec
    owner: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.length = inputs.length
        forecasts = [spec.forecast for spec in self.specs]
        self.marked = [one is not None and one.marks + one.covariates > 0 for one in forecasts]
        # A member that learned without the calendar sees what is known ahead from the covariates on.
        self.begins = [0 if one is not None and one.marks else self.forecast.marks for one in forecasts]
        owner = torch.tensor(self.forecast.targets).repeat_interleave(self.forecast.levels)
        self.register_buffer("owner", owner, persistent=False)  # the channel that each output continues

    def member_output(self, i: int, x: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
        newest = self.lengths[i] + self.forecast.horizon
        marks = known[:, self.begins[i] :, -newest:] if known is not None and self.marked[i] else None
        scale, shift = (part[i].index_select(1, self.owner) for part in (self.scale, self.shift))
        return (self.members[i](self.seen(i, x), marks) - shift) / scale

    def weigh(
        self,
        train: Stretches,
        val: Stretches,
        both: Stretches,
        known: KnownAhead | None,
    ) -> tuple[Weights, dict[str, Any]]:
        """Stack the members on every window of validation; reports the weights, the pull and each member's MSE."""
        grams = self._error_grams(val, known)
        shrink: float = self.hyper.shrink
        pull = shrink if shrink >= 0 else choose_pull(grams)
        self.weight.copy_(stacked_weights(grams.sum(0), pull).float())
        chosen: list[float] = self.weight.tolist()
        errors = grams.sum(0).diagonal().tolist()
        weights = {name: np.array([weight]) for name, weight in zip(self.names, chosen, strict=True) if weight}
        return weights, {"weights": chosen, "pull": pull, "val_mse_of_members": errors}

    def _error_grams(self, val: Stretches, known: KnownAhead | None) -> torch.Tensor:
        """Mean products of the members' errors in each of BLOCKS blocks of validation, float64 `[BLOCKS, m, m]`."""
        width, middle = self.length + self.forecast.horizon, self.forecast.point
        counts = [max(piece.shape[1] - width + 1, 0) for piece in val]
        total, done = sum(counts), 0
        grams = torch.zeros(BLOCKS, len(self.members), len(self.members), dtype=torch.float64)
        for p, piece in enumerate(val):
            windows = _windows(piece, width)
            marks = None if known is None else _windows(known.val[p], width)
            for begin in range(0, counts[p], BATCH):
                batch = windows[begin : begin + BATCH]
                seen = None if marks is None else marks[begin : begin + BATCH]
                truth = batch[:, list(self.forecast.targets), self.length :]
                forecast = self.member_outputs(batch[:, :, : self.length], seen)[:, :, middle :: self.forecast.levels]
                error = (forecast - truth).double()
                block = torch.arange(done, done + len(batch)) * BLOCKS // total
                products = torch.einsum("ibkh,jbkh->bij", error, error) / (total * truth[0].numel())
                grams.index_add_(0, block, products)
                done += len(batch)
        return grams


def _windows(stretch: torch.Tensor | np.ndarray, width: int) -> torch.Tensor:
    """`[C, n]` -> every window `[n - width + 1, C, width]`."""
    return torch.as_tensor(stretch).unfold(1, width, 1).transpose(0, 1)
