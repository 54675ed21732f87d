"""What nilm learns by: states, watts, or both, of the devices that a house has."""

from __future__ import annotations

import torch

import losses
from tasks.base import Loss
from tasks.nilm.levels import CHOICE, level_loss, mean_power, split_outputs

OFF = -30.0  # the logit of a state that is off beyond doubt
WHILE_ON = 0.1  # weight of the error while a device is on, beside the gated error at all steps
absolute = losses.regression_loss("l1")


def weight_of(ratio: torch.Tensor, asked: str | float) -> torch.Tensor:
    """The weights [K] of the on state by `--pos-weight`, from the ratios [K] of off to on in training."""
    if isinstance(asked, float):
        return torch.full_like(ratio, asked)
    return {"sqrt": ratio.sqrt(), "global": ratio, "none": torch.ones_like(ratio)}[asked]


def loss_of(target: str, weight: torch.Tensor, levels: torch.Tensor | None = None) -> Loss:
    """A function of outputs and truth [B, 2K, L], which is states, then watts.

    States: BCE, the positive term times `weight`. Watts: L1 in units of the mean power when on. For both, the gated
    watts, which show the gate what a mistake costs, and with a small weight the watts alone while a device is on: the
    many more off steps would teach the model to predict nothing. With levels, the watts are their mean, and while a
    device is on the level of the truth is to have the greatest share. Where the truth is NaN, which it is for a device
    that a house does not have, nothing is learned.

    Parameters
    ----------
    target : state, power or both.
    weight : [K].
    levels : [K, M] for both: outputs are [B, K + K M, L] then (levels.py). None: [B, K, L], or [B, 2K, L] for both.
    """

    def of_states(logits: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        return losses.bce_soft_f1(logits, states, 1.0, weight)

    def of_both(outputs: torch.Tensor, states: torch.Tensor, watts: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        logits, power = outputs.chunk(2, dim=1)
        logits, power = torch.where(known, logits, OFF), torch.where(known, power, 0.0)
        return of_states(logits, states) + _of_watts(logits, torch.relu(power), power, watts, states)

    def of_levels(
        outputs: torch.Tensor, states: torch.Tensor, watts: torch.Tensor, known: torch.Tensor
    ) -> torch.Tensor:
        assert levels is not None
        logits, choice = split_outputs(outputs, len(weight))
        logits, choice = torch.where(known, logits, OFF), torch.where(known[:, :, None], choice, 0.0)
        power = mean_power(choice, levels)
        chosen = CHOICE * level_loss(choice, levels, watts, states)
        return of_states(logits, states) + _of_watts(logits, power, power, watts, states) + chosen

    def of_known(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        states, watts = y.chunk(2, dim=1)
        known = ~states.isnan()
        states, watts = torch.nan_to_num(states), torch.nan_to_num(watts)
        if target == "state":
            return of_states(torch.where(known, outputs, OFF), states)
        if target == "power":
            return absolute(torch.where(known, outputs, 0.0), watts)
        return (of_both if levels is None else of_levels)(outputs, states, watts, known)

    return of_known


def _of_watts(
    logits: torch.Tensor, gated: torch.Tensor, power: torch.Tensor, watts: torch.Tensor, states: torch.Tensor
) -> torch.Tensor:
    """The error of the gated watts at all steps, and that of the watts alone while a device is on; all [B, K, L]."""
    return absolute(torch.sigmoid(logits) * gated, watts) + WHILE_ON * _while_on(power, watts, states)


def _while_on(power: torch.Tensor, watts: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """The mean over the devices of each one's error at the steps at which it is on."""
    error = ((power - watts).abs() * states).sum(dim=(0, 2))
    return (error / states.sum(dim=(0, 2)).clamp(min=1)).mean()
