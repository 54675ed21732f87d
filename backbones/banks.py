"""A ridge on features that were not learned for it, whose leave-one-out predictions make probabilities (preval.py)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from backbones import Hyper, InputSpec
from backbones.fitted import CELLS, Described, loss_of, outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.kernels import NONE, Kernels, MiniRocket
from backbones.preval import Spectrum, moments, solve
from backbones.trees import Resized

FEW, MANY = 1000, 10_000  # features of MiniRocket where there are many windows, and where there are few
LARGE = 2500  # windows from which there are many
FAR = 10.0  # deviations: what hardly varied in training may be anywhere later, and must not decide alone
MOST = 4096  # of windows or of features: a map is solved for in the smaller number of them

log = logging.getLogger("tsrun")


class Banks(Resized):
    """The features of several banks beside each other, standardised; where zeros say nothing, zeros stay."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, banks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.banks = nn.ModuleList(banks)
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("scale", torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.standardised([bank(x) for bank in self.banks])

    def standardised(self, found: Sequence[torch.Tensor]) -> torch.Tensor:
        """What the banks gave, each [B, F], standardised beside each other."""
        parts, begin = [], 0
        for bank, z in zip(self.banks, found, strict=True):
            whole = self.mean.to(z.device), self.scale.to(z.device)
            mean, scale = (part if len(part) == 1 else part[begin : begin + z.shape[1]] for part in whole)
            begin += z.shape[1]
            standard = ((z - mean) / scale).clamp(-FAR, FAR)
            parts.append(standard * (z.square() / NONE).clamp(0, 1) if _sparse(bank) else standard)
        return torch.cat(parts, dim=1)

    def fit(self, train: Labelled, seed: int, features: int) -> torch.Tensor:
        """Draw kernels, and learn how to standardise; returns the features of these windows, on the host."""
        generator = np.random.default_rng(seed)
        tables, means, scales = [], [], []
        for bank in self.banks:
            if isinstance(bank, Kernels):
                bank.fit(train, generator, features)
            z = torch.from_numpy(train.table(bank))
            mean, scale = moments(z)
            if _sparse(bank):
                scale = z.std(0, correction=0) + (z == 0).float().mean(0) ** 4 + 1e-8
            tables.append(z)
            means.append(mean)
            scales.append(scale)
        self.resize("mean", torch.cat(means))
        self.resize("scale", torch.cat(scales))
        return self.standardised(tables)


def _sparse(bank: nn.Module) -> bool:
    return isinstance(bank, Kernels) and bank.sparse


class OnBanks(Described):
    """`y = W z(x) + b` with z the standardised features of banks.

    Parameters
    ----------
    inputs, hyper : as of every backbone.
    banks : what makes the features [B, F] of windows.
    most : how many features MiniRocket makes, 0 as the windows want; of others it changes nothing.
    """

    def __init__(self, inputs: InputSpec, hyper: Hyper, banks: Sequence[Any], most: int = 0) -> None:
        super().__init__(inputs, hyper)
        self.most = most
        self.wide = sum((most or MANY) if isinstance(bank, MiniRocket) else int(bank.size) for bank in banks)
        self.banks = Banks(banks)
        self.map = _Map(self.outputs)

    @property
    def width(self) -> int:
        """F; MiniRocket has what it is asked for, about."""
        return self.wide

    def describe(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.banks(x)
        return found

    def say(self, features: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.map(features)
        return found

    def prepare(self, windows: Labelled, seed: int) -> np.ndarray:
        """Draw kernels, and learn how to standardise."""
        features = self.most or (FEW if len(windows) >= LARGE else MANY)
        return self.banks.fit(windows, seed, features).numpy()

    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Draw, solve, choose the strength by leaving one out."""
        table = None
        if data.goes_on:
            log.info("%s: fitted to the new windows alone, under the features that it has", self.who)
        else:
            table = self.prepare(data.train.sample(MOST, data.seed, f"{self.who}'s features"), data.seed)
        width = len(self.banks.mean)
        train = data.train.sample(MOST if width > MOST else max(CELLS // width, 1), data.seed, self.who)
        if table is None or len(table) < len(train):
            table = train.table(self.banks)
        told = self.solve(table, train, data)
        loss = loss_of(outputs_on(data.val, self.answer), data.val.y, self.target.kind, data.loss)
        return told | {"of": len(data.train), "val_loss": loss}

    def solve(self, table: np.ndarray, train: Labelled, data: Fitting) -> dict[str, Any]:
        """Solve for the map, its strength chosen by leaving one out."""
        found = solve(Spectrum.of(torch.from_numpy(table)), self.rest(train), self.target.kind)
        self.map.resize("weight", found.weight.T)
        self.map.resize("bias", found.offset)
        told = {"windows": len(train), "features": table.shape[1], "strength": found.strength}
        return told | {"loo_loss": found.loss}


class _Map(Resized):
    """A linear map of as many features as were fitted."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        weight = self.weight if self.weight.shape[1] == z.shape[1] else self.weight.expand(-1, z.shape[1])
        return nn.functional.linear(z, weight, self.bias)
