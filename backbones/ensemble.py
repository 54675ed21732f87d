"""A blend of forecasters that were trained apart: `y = sum_i w_i y_i`, w >= 0 and summing to one.

The weights minimise the squared error on validation plus a pull towards equal weights, `|E w|^2 / n + s |w - 1/m|^2`
with s in units of the members' mean squared error (stacking, Wolpert 1992, with the constraint of Breiman 1996, and
the shrinkage that forecast combination needs: Stock and Watson 2004, section 4). The pull is chosen by leaving out one
of four blocks of validation at a time. The members' weights are part of this model's state: a checkpoint needs none of
their directories afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from backbones import ForecastSpec, register
from errors import UsageError

HYPER = {
    "members": {"default": "", "help": "directories of trained runs, separated by commas"},
    "shrink": {"default": -1.0, "min": -1.0, "help": "pull towards equal weights; -1: chosen on validation"},
}

PULLS = (0.0, 0.01, 0.1, 1.0, 10.0)  # of the members' mean squared error
BLOCKS = 4
BATCH = 256  # windows that the members forecast at once
ROUNDS = 2000  # of projected gradient, far more than a handful of weights needs


@register
class Ensemble(nn.Module):
    """`pretrained` describes the members: {"members": [their specifications], "scales": [...], "shifts": [...]}.

    Member i sees `x * scale_i + shift_i` (`[C]` each), the same values under its own scaler.
    """

    forecasts = True
    reads_known = True
    of_runs = True  # its members are checkpoints, which the learner loads
    heads = ("forecast",)

    def __init__(
        self,
        channels: int,
        length: int,
        *,
        members: str,  # noqa: ARG002 - the learner has read them into `pretrained`
        shrink: float,
        ahead: ForecastSpec | None,
        pretrained: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if pretrained is None:
            raise UsageError(
                "takes trained runs to blend",
                where="--backbone ensemble",
                hint="--model-args members=artifacts/RUN,artifacts/OTHER",
            )
        from backbones.model import build_model  # which builds us, too

        assert ahead is not None
        self.pretrained, self.ahead, self.shrink, self.length = pretrained, ahead, shrink, length
        specs = [dict(spec) for spec in pretrained["members"]]
        self.lengths = [spec["length"] for spec in specs]
        self.marked = [bool(spec["ahead"]["marks"] + spec["ahead"]["covariates"]) for spec in specs]
        built = [build_model(spec.pop("backbone"), spec.pop("channels"), spec.pop("length"), **spec) for spec in specs]
        self.members = nn.ModuleList(built)
        self.weight = nn.Parameter(torch.full((len(built),), 1 / len(built)))
        self.register_buffer("scale", torch.tensor(pretrained["scales"]).view(len(built), 1, channels, 1))
        self.register_buffer("shift", torch.tensor(pretrained["shifts"]).view(len(built), 1, channels, 1))
        owner = torch.tensor(ahead.targets).repeat_interleave(ahead.levels)
        self.register_buffer("owner", owner, persistent=False)

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        return torch.einsum("i,ibkh->bkh", self.weight, self.apart(x, known))

    def apart(self, x: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
        """Each member's forecast, in the units of x: `[members, B, outputs, H]`."""
        forecasts = []
        for i, member in enumerate(self.members):
            length = self.lengths[i]
            seen = x[:, :, -length:] * self.scale[i] + self.shift[i]
            marks = known[:, :, -(length + self.ahead.horizon) :] if known is not None and self.marked[i] else None
            scale, shift = (part[i].index_select(1, self.owner) for part in (self.scale, self.shift))
            forecasts.append((member(seen, marks) - shift) / scale)
        return torch.stack(forecasts)

    @torch.no_grad()
    def fit(
        self,
        train: Sequence[torch.Tensor],  # noqa: ARG002 - the members know it already
        val: Sequence[torch.Tensor],
        both: Sequence[torch.Tensor],  # noqa: ARG002
        known: Sequence[torch.Tensor] | None = None,
    ) -> dict[str, Any]:
        """Choose the weights on validation; `known` are the pieces of what is known beforehand."""
        was_training = self.training
        self.eval()
        grams = self._error_grams(val, known)
        self.train(was_training)
        pull = self.shrink if self.shrink >= 0 else choose_pull(grams)
        self.weight.copy_(blend(grams.sum(0), pull).float())
        return {"weights": self.weight.tolist(), "pull": pull, "val_mse_of_members": _mse(grams).tolist()}

    def _error_grams(self, val: Sequence[torch.Tensor], known: Sequence[torch.Tensor] | None) -> torch.Tensor:
        """Mean products of the members' errors in each of BLOCKS blocks of validation, float64 [BLOCKS, m, m]."""
        width, middle = self.length + self.ahead.horizon, self.ahead.levels // 2
        counts = [max(piece.shape[1] - width + 1, 0) for piece in val]
        total, done = sum(counts), 0
        grams = torch.zeros(BLOCKS, len(self.members), len(self.members), dtype=torch.float64)
        for p, piece in enumerate(val):
            windows = piece.unfold(1, width, 1).transpose(0, 1)
            marks = None if known is None else known[p].unfold(1, width, 1).transpose(0, 1)
            for begin in range(0, counts[p], BATCH):
                batch = windows[begin : begin + BATCH]
                seen = None if marks is None else marks[begin : begin + BATCH]
                truth = batch[:, list(self.ahead.targets), self.length :]
                forecast = self.apart(batch[:, :, : self.length], seen)[:, :, middle :: self.ahead.levels]
                error = (forecast - truth).double()
                block = torch.arange(done, done + len(batch)) * BLOCKS // total
                products = torch.einsum("ibkh,jbkh->bij", error, error) / (total * truth[0].numel())
                grams.index_add_(0, block, products)
                done += len(batch)
        return grams


def _mse(grams: torch.Tensor) -> torch.Tensor:
    return grams.sum(0).diagonal()


def blend(gram: torch.Tensor, pull: float) -> torch.Tensor:
    """The w >= 0 with sum 1 that minimises `w' G w + s |w - 1/m|^2`, s = pull times the members' mean squared error."""
    members = len(gram)
    equal = torch.full((members,), 1 / members, dtype=gram.dtype)
    strength = pull * gram.diagonal().mean()
    rate = 0.5 / (torch.linalg.matrix_norm(gram, 2) + strength).clamp_min(1e-300)
    weight = equal
    for _ in range(ROUNDS):
        step = 2 * (gram @ weight + strength * (weight - equal))
        weight = to_simplex(weight - rate * step)
    return weight


def to_simplex(point: torch.Tensor) -> torch.Tensor:
    """The nearest point whose coordinates are not negative and sum to one (Duchi et al. 2008, figure 1)."""
    ordered = point.sort(descending=True).values
    excess = (ordered.cumsum(0) - 1) / torch.arange(1, len(point) + 1, dtype=point.dtype)
    last = int((ordered > excess).nonzero().max())
    return (point - excess[last]).clamp_min(0)


def choose_pull(grams: torch.Tensor) -> float:
    """The pull whose weights, chosen without a block of validation, err least on that block; [BLOCKS, m, m]."""
    whole = grams.sum(0)

    def left_out(pull: float) -> float:
        weights = [blend(whole - block, pull) for block in grams]
        return sum(float(w @ block @ w) for w, block in zip(weights, grams, strict=True))

    return min(PULLS, key=left_out)
