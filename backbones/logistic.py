"""Logistic regression on the window, with or without its summaries: the members of blends that never go far wrong.

Weights are shrunk by `1 / (2 c) |W - W0|^2`, beside the summed log-loss, W0 being 0, or when finetuning what was known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from backbones import Hyper, InputSpec, register
from backbones.features import WindowFeatures
from backbones.fitted import Fitted, loss_of, outputs_on
from backbones.fitting import Fitting
from backbones.preval import moments

HYPER = {
    "summaries": {"default": True, "help": "see the summaries of the window beside its steps"},
    "c": {"default": 0.0, "min": 0.0, "max": 1e6, "help": "how far weights may go; 0: 0.01 with summaries, else 1"},
}
SPACE = {"model_args.c": {"low": 0.001, "high": 10.0, "log": True}, "model_args.summaries": [False, True]}

ROUNDS = 200


@register
class Logistic(Fitted):
    """`logits = W f(x) + b`, of classes together, of labels each by itself."""

    kinds = ("label", "class")
    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.features = WindowFeatures(inputs.channels, inputs.length, summaries=hyper.summaries)
        self.map = nn.Linear(self.features.size, self.outputs)
        nn.init.zeros_(self.map.weight)
        nn.init.zeros_(self.map.bias)
        self.register_buffer("mean", torch.zeros(self.features.size))
        self.register_buffer("scale", torch.ones(self.features.size))

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        return self.map((self.features(x) - self.mean) / self.scale)

    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Minimise the shrunk log-loss."""
        train = self.sampled(data.train, self.features.size, data.seed)
        if not data.goes_on:
            self.features.fit(train)
        x = torch.from_numpy(train.table(self.features))
        if not data.goes_on:
            mean, scale = moments(x)
            self.mean.copy_(mean)
            self.scale.copy_(scale)
        x = (x - self.mean.cpu()) / self.scale.cpu()
        c = self.hyper.c or (0.01 if self.hyper.summaries else 1.0)
        if not data.goes_on:
            self.map.weight.data.zero_()
        weight, bias = self._solve(x, train.y, c)
        self.map.weight.data.copy_(weight)
        self.map.bias.data.copy_(bias)
        loss = loss_of(outputs_on(data.val, self.answer), data.val.y, self.target.kind, "")
        return {"windows": len(train), "of": len(data.train), "c": c, "val_loss": loss}

    def _solve(self, x: torch.Tensor, y: torch.Tensor, c: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight [K, F] and bias [K] of least loss, by L-BFGS in float64 over float32 products."""
        from scipy.optimize import minimize

        base = self.map.weight.detach().cpu().double().numpy()
        bias = self.map.bias.detach().cpu().double().numpy()
        if not base.any():
            rate = ((y.double().sum(0) + 0.5) / (len(y) + 1)).clamp(1e-6, 1 - 1e-6)
            bias = (rate.log() if self.target.kind == "class" else rate.logit()).numpy()
        softmax = self.target.kind == "class"

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weight, offset = flat[: base.size].reshape(base.shape), flat[base.size :]
            logits = (x @ torch.from_numpy(weight).float().T).double() + torch.from_numpy(offset)
            each = nn.functional.cross_entropy if softmax else nn.functional.binary_cross_entropy_with_logits
            found = each(logits, y.double(), reduction="sum")
            rest = ((logits.softmax(1) if softmax else logits.sigmoid()) - y).float()
            slope = (rest.T @ x).double().numpy() + (weight - base) / c
            total = float(found) + float(((weight - base) ** 2).sum()) / (2 * c)
            return total / len(y), np.concatenate([slope.ravel(), rest.double().sum(0).numpy()]) / len(y)

        start = np.concatenate([base.ravel(), bias])
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS}).x
        return torch.from_numpy(found[: base.size].reshape(base.shape)), torch.from_numpy(found[base.size :])
