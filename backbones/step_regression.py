"""A ridge regression of what comes at a step, whose weights change with the step.

    y = sum_j (a[j] + b[j] s + c[j] s^2) z[j],   s = (step + 1) / H

of features z in units of their own deviation, at most FAR of it. What the last value says fades with the step, what is
known ahead of the step does not, and neither does so by jumps.
"""

from __future__ import annotations

import numpy as np
import torch

from backbones.histories import STILL
from backbones.trees import Resized

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the penalty, per row
FAR = 6.0  # deviations
BESIDE = 1e-9  # of the penalty on what all rows have in common


class StepRegression(Resized):
    """Features [n, F], the last of which is the step, counted from 0 -> [n].

    In the state: `centre` and `spread` [F], and `weight [3 (F + 1)]`; one number before it is fitted, and it says 0.
    """

    centre: torch.Tensor
    spread: torch.Tensor
    weight: torch.Tensor

    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.horizon = horizon
        for name in ("centre", "spread", "weight"):
            self.register_buffer(name, torch.zeros(1))

    def choose(self, x: np.ndarray, y: np.ndarray, val_x: np.ndarray, val_y: np.ndarray) -> float:
        """Fit to features [n, F] and targets [n] with the strength that errs least on others; return it."""
        errors, later = {}, torch.from_numpy(val_x)
        for strength in STRENGTHS:
            self.fit(x, y, strength)
            errors[strength] = float(np.square(self(later).numpy() - val_y).mean())
        best = min(errors, key=lambda one: errors[one])
        self.fit(x, y, best)
        return best

    def fit(self, x: np.ndarray, y: np.ndarray, strength: float | None) -> None:
        """Fit to features [n, F] and targets [n]; None: forget all."""
        if strength is None:
            for name in self.tensors():
                self.resize(name, torch.zeros(1))
            return
        spread = x.std(axis=0, dtype=np.float64)
        self.resize("centre", torch.from_numpy(x.mean(axis=0, dtype=np.float64)))
        self.resize("spread", torch.from_numpy(np.where(spread > STILL, spread, 1.0)))
        wide = self._wide(torch.from_numpy(x)).double().numpy()
        penalty = np.full(wide.shape[1], strength)
        penalty[0] = BESIDE
        found = np.linalg.solve(wide.T @ wide + len(x) * np.diag(penalty), wide.T @ y)
        self.resize("weight", torch.from_numpy(found))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What comes, [n]."""
        if len(self.weight) == 1:
            return 0 * x[:, 0]
        return self._wide(x) @ self.weight

    def _wide(self, x: torch.Tensor) -> torch.Tensor:
        """Features [n, F], and 1, as they are and times two powers of the step."""
        z = ((x - self.centre) / self.spread).clamp(-FAR, FAR)
        z = torch.cat([torch.ones_like(z[:, :1]), z], dim=1)
        share = (x[:, -1:] + 1) / self.horizon
        return torch.cat([z, z * share, z * share**2], dim=1)
