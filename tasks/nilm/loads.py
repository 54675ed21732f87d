"""Loads that are no device of ours, drawn at random for training windows (augmentation).

A house has appliances without a meter of their own, and tomorrow has some that training never saw: a heater, a dryer.
A net that has only ever seen its own devices takes any load of two kilowatts for one of them. These loads are added to
the meter and to no device, so that power alone is no reason to call a device on.
"""

from __future__ import annotations

import math

import torch

LEAST_W, MOST_W = 50.0, 3000.0
LEAST_S, MOST_S = 16.0, 9600.0  # seconds on, and off between two times
MOST_TIMES = 12
NOISE = 0.01  # of a load's power, from step to step


def other_loads(count: int, length: int, step_seconds: float, chance: float) -> torch.Tensor:
    """Watts float32 [count, length] of one load a window that goes on and off, 0 where there is none.

    Its power, how long it is on and off, and how often it is on are drawn evenly on a logarithmic scale; it begins
    anywhere from so long before the window that it just ends in it. What is on for less than a step counts with its
    mean. Random numbers come from torch's generator on the CPU.

    Parameters
    ----------
    count, length : windows, and steps of each.
    step_seconds : length of a step.
    chance : probability of a load in a window.
    """
    if not chance:
        return torch.zeros(count, length)
    dice, power, on, off, times, begin = torch.rand(6, count, 1)
    on, off = (LEAST_S * torch.exp(part * math.log(MOST_S / LEAST_S)) / step_seconds for part in (on, off))
    watts = LEAST_W * torch.exp(power * math.log(MOST_W / LEAST_W)) * on.clamp(max=1)
    on, off = on.clamp(min=1), off.clamp(min=1)
    lasts = torch.exp(times * math.log(MOST_TIMES)).floor() * (on + off)
    since = torch.arange(length) - (begin * (length + lasts) - lasts).floor()
    runs = (since >= 0) & (since < lasts) & (since % (on + off) < on) & (dice < chance)
    return torch.where(runs, watts * (1 + NOISE * torch.randn(count, length)), 0.0)
