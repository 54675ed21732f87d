"""A small network that was trained on thousands of other public series: what a series like this one usually does next.

One short series says little about whether its trend goes on, how much of its last change is noise, and how far it
returns to its mean; other series say more (Montero-Manso and Hyndman 2021). The season is taken out first where a test
finds one (season.py); the rest counts from its last value in multiples of its mean change, so that level and unit say
nothing. What is seen of it: the last LAGS steps, means and slopes of longer stretches, and a few numbers on what kind
of series it is (`features`). Then, with x the first of these and c all of them, squashed, averaged over a few networks:

    y[1..STEPS] = A x + C relu(B relu(D c))

Steps after those go on with the damped slope of the last ones. Nothing is fitted to the table at hand but its season.
The weights are in `pretrained_mlp.npz`, made by `tools/pretrain.py`, which tells of what; a checkpoint holds its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from backbones import Hyper, InputSpec, register
from backbones.adjustment import adjustment
from backbones.histories import Stack
from backbones.local_forecaster import LocalForecaster

HYPER = {
    "period": {"default": 0, "min": 0, "max": 100000, "help": "steps of the season; 0: the calendar's, or found"},
}

WEIGHTS = Path(__file__).with_suffix(".npz")
LAGS, STEPS = 12, 24  # seen one by one; forecast
MEANS, SLOPES = (24, 60), (24, 8)  # last steps, whose mean and whose slope are seen beside those of all
PERIODS = (1, 4, 12)  # of the season, that are told apart
CYCLES, LONGEST, MOST = 20, 240, 4000  # cycles before an origin that are looked at; steps at least, and at most
RECENT, LEAST = 48, 4  # changes, whose mean size is the unit; steps, with fewer of which the last value is repeated
SEEN = LAGS + len(MEANS) + len(SLOPES) + 3  # features that forecasts are also linear in
DAMPED, SLOPE = 0.9, 12  # each step after STEPS goes on by so much of the one before; steps that the slope is taken of
CELLS = 1 << 21
TINY = 1e-12


@register
class PretrainedMLP(LocalForecaster):
    """Each origin by itself. Buffers, of n networks of d features and h units:

    `line [n, SEEN, STEPS]`, `into [n, d, h]`, `within [n, h, h]`, `out [n, h, STEPS]`, and `shift`, `into_shift`,
    `within_shift` of them.
    """

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        for name, values in _kept().items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)))

    def local(self, stack: Stack) -> np.ndarray:
        horizon, season = self.forecast.horizon, self.season
        weights = {name: self.get_buffer(name).cpu().numpy() for name in _kept()}
        longest = min(max(CYCLES * season, LONGEST), MOST, stack.y.shape[1])
        made = np.empty((len(stack), horizon))
        for part, some in stack.blocks(longest, CELLS):
            taken_out = adjustment(some, season)
            seen = features(taken_out.without(some.last(longest)), season, taken_out.ratio)
            ahead = further(steps(seen.x, weights), horizon) * (some.end >= LEAST)[:, None]
            made[part] = taken_out.put_back(seen.last[:, None] + seen.unit[:, None] * ahead)
        return made


@cache
def _kept() -> dict[str, np.ndarray]:
    """The weights of the networks, by name."""
    with np.load(WEIGHTS) as file:
        return {name: file[name] for name in file.files}


class Seen(NamedTuple):
    """Features x [n, d] of series, their last value [n], and their unit [n]: the mean size of their recent changes."""

    x: np.ndarray
    last: np.ndarray
    unit: np.ndarray


def features(z: np.ndarray, period: int, ratio: np.ndarray) -> Seen:
    """What the networks see of series without a season z [n, T], NaN before the first step of each.

    Parameters
    ----------
    period : of the season that was taken out.
    ratio : mask [n], whether a season would multiply: nothing is below 0.
    """
    known = np.isfinite(z)
    count, last = known.sum(1), z[:, -1]
    first = z[np.arange(len(z)), z.shape[1] - count]
    change = np.diff(z, axis=1)
    unit = np.maximum(_mean(np.abs(change[:, -RECENT:])), 0.1 * _mean(np.abs(change)))
    unit = unit + 1e-9 * np.abs(last) + 1e-300

    lags = np.repeat(first[:, None], LAGS, axis=1)
    seen = min(LAGS, z.shape[1] - 1)
    past = z[:, ::-1][:, 1 : seen + 1]
    lags[:, :seen] = np.where(np.isfinite(past), past, lags[:, :seen])
    means = [_mean(z[:, -k:]) - last for k in (*MEANS, z.shape[1])]
    slopes = [_slope(z), *(_slope(z[:, -k:]) for k in SLOPES), _mean(change)]
    line = np.stack([*means, *(10 * slope for slope in slopes)], axis=1) / unit[:, None]
    around = np.clip((lags - last[:, None]) / unit[:, None], -30, 30)
    kind = _kind(z, change / unit[:, None], unit)
    about = [*kind, *(np.full(len(z), float(period == one)) for one in PERIODS), ratio.astype(float)]
    about.append(np.clip(np.log((np.abs(last) + 1e-300) / unit), -5, 8) / 3)
    return Seen(np.concatenate([around, np.clip(line, -60, 60), np.stack(about, axis=1)], axis=1), last, unit)


def _kind(z: np.ndarray, change: np.ndarray, unit: np.ndarray) -> list[np.ndarray]:
    """Correlations of changes with the one and the two before, their roughness, length, and deviation, [n] each."""
    off = np.where(np.isfinite(change), change - _mean(change)[:, None], 0.0)
    square = (off**2).sum(1) + 1e-300
    correlation = [(off[:, k:] * off[:, :-k]).sum(1) / square for k in (1, 2)]
    deviation = np.sqrt(_mean((z - _mean(z)[:, None]) ** 2)) / unit
    count = np.log(np.isfinite(z).sum(1))
    return [*correlation, np.sqrt(_mean(change**2)) - 1.3, count - 4, np.log(deviation + 1e-3)]


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean [n] of what is known in each line [n, k]; 0 where nothing is."""
    known = np.isfinite(values)
    found: np.ndarray = np.where(known, values, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    return found


def _slope(z: np.ndarray) -> np.ndarray:
    """The least-squares slope [n] of what is known in each line [n, k]."""
    known = np.isfinite(z)
    steps = np.where(known, np.arange(z.shape[1]), np.nan)
    off = np.where(known, steps - _mean(steps)[:, None], 0.0)
    found: np.ndarray = (off * np.where(known, z, 0.0)).sum(1) / np.maximum((off**2).sum(1), TINY)
    return found


def steps(x: np.ndarray, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """The next STEPS of series with features x [n, d], from the last value, in units: the mean of the networks."""
    squashed = np.concatenate([np.arcsinh(x[:, :SEEN] / 2), x[:, SEEN:]], axis=1)
    made = np.zeros((len(x), STEPS))
    for i in range(len(weights["line"])):
        hidden = np.maximum(squashed @ weights["into"][i] + weights["into_shift"][i], 0)
        hidden = np.maximum(hidden @ weights["within"][i] + weights["within_shift"][i], 0)
        made += x[:, :SEEN] @ weights["line"][i] + hidden @ weights["out"][i] + weights["shift"][i]
    return made / len(weights["line"])


def further(made: np.ndarray, horizon: int) -> np.ndarray:
    """Forecasts [n, STEPS] as [n, H]: cut, or gone on with by the slope of the last ones, which fades."""
    beyond = horizon - STEPS
    if beyond <= 0:
        return made[:, :horizon]
    slope = (made[:, -1] - made[:, -1 - SLOPE]) / SLOPE
    faded = np.cumsum(DAMPED ** np.arange(1, beyond + 1))
    return np.concatenate([made, made[:, -1:] + slope[:, None] * faded], axis=1)
