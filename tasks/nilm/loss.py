"""What nilm learns by: states, watts, or both, of the devices that a house has."""

from __future__ import annotations

import torch

import losses
from tasks.base import Loss

OFF = -30.0  # the logit of a state that is off beyond doubt
WHILE_ON = 0.1  # weight of the error while a device is on, beside the gated error at all steps


def weight_of(ratio: torch.Tensor, asked: str | float) -> torch.Tensor:
    """The weights [K] of the on state by `--pos-weight`, from the ratios [K] of off to on in training."""
    if isinstance(asked, float):
        return torch.full_like(ratio, asked)
    return {"sqrt": ratio.sqrt(), "global": ratio, "none": torch.ones_like(ratio)}[asked]


def loss_of(target: str, weight: torch.Tensor) -> Loss:
    """A function of outputs and truth, both [B, K, L] or, for both, [B, 2K, L]: states, then watts.

    States: BCE, the positive term times `weight`. Watts: L1 in units of the mean power when on. For both, the gated
    watts, which show the gate what a mistake costs, and with a small weight the watts alone while a device is on: the
    many more off steps would teach the model to predict nothing. The truth is always states, then watts; where it is
    NaN, which it is for a device that a house does not have, nothing is learned.

    Parameters
    ----------
    target : state, power or both.
    weight : [K].
    """
    absolute = losses.regression_loss("l1")

    def of_states(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return losses.bce_soft_f1(logits, y, 1.0, weight)

    def of_both(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        (logits, power), (states, watts) = outputs.chunk(2, dim=1), y.chunk(2, dim=1)
        gated = absolute(torch.sigmoid(logits) * torch.relu(power), watts)
        return of_states(logits, states) + gated + WHILE_ON * _while_on(power, watts, states)

    learned: Loss = {
        "state": lambda outputs, y: of_states(outputs, y.chunk(2, dim=1)[0]),
        "power": lambda outputs, y: absolute(outputs, y.chunk(2, dim=1)[1]),
        "both": of_both,
    }[target]
    nothing = {"state": [OFF], "power": [0.0], "both": [OFF, 0.0]}[target]  # outputs without an error or a gradient

    def of_known(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        parts = zip(outputs.chunk(len(nothing), dim=1), nothing, strict=True)
        known = ~y.chunk(2, dim=1)[0].isnan()
        seen = torch.cat([torch.where(known, part, value) for part, value in parts], dim=1)
        return learned(seen, torch.nan_to_num(y))

    return of_known


def _while_on(power: torch.Tensor, watts: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """The mean over the devices of each one's error at the steps at which it is on."""
    error = ((power - watts).abs() * states).sum(dim=(0, 2))
    return (error / states.sum(dim=(0, 2)).clamp(min=1)).mean()
