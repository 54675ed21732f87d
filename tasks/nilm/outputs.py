"""What a model's outputs mean: probabilities and watts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from tasks.nilm.levels import as_tensor, median_power, split_outputs


def decoded(target: str, outputs: torch.Tensor, constants: Mapping[str, Any]) -> torch.Tensor:
    """Outputs [n, R, H] as K probabilities, then K watts before the gate: [n, 2K, H].

    Parameters
    ----------
    target : what was learned: state, power or both.
    outputs : as `loss_of` takes them.
    constants : the task's constants.
    """
    mean = torch.tensor(constants["on_mean"], dtype=outputs.dtype, device=outputs.device)[:, None]
    if target == "state":
        found = [torch.sigmoid(outputs), mean.expand_as(outputs)]
    elif target == "power":
        watts = torch.relu(outputs) * mean
        on_w = torch.tensor(constants["on_w"], dtype=outputs.dtype, device=outputs.device)[:, None]
        found = [watts / (watts + on_w), watts]  # a half at the threshold
    elif constants.get("levels") is None:
        logits, power = outputs.chunk(2, dim=1)
        found = [torch.sigmoid(logits), torch.relu(power) * mean]
    else:
        logits, choice = split_outputs(outputs, len(mean))
        found = [torch.sigmoid(logits), median_power(choice, as_tensor(constants["levels"], mean)) * mean]
    if any(never_on := constants.get("never_on", ())):  # nothing was learned of such a device
        taught = 1 - torch.tensor(never_on, dtype=outputs.dtype, device=outputs.device)[:, None]
        found = [part * taught for part in found]
    return torch.cat(found, dim=1)
