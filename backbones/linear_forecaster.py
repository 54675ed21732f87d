"""Forecasters that are linear maps of the window: own past, other channels' past, what is known ahead."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from backbones import ForecastSpec, Hyper, InputSpec, calendar_inputs, covariates, impulse
from backbones.base import Backbone, KnownAhead, Stretches
from backbones.covariates import Own
from backbones.gram import Pieces
from backbones.histories import STILL
from backbones.impulse import Known
from backbones.period import period_of_pieces

MOST_MATRICES = 32  # targets, beyond which one map of the own and of the other channels' past serves all


class LinearForecaster(Backbone):
    """`x [B, C, T], known [B, marks + F, T + H] -> [B, K, H]`: `own past x weight + others' past x past + effects`.

    `weight [1 or K, H, T]` is multiplied with the past of each target, less the effects of what is known ahead there.
    `past [1 or K, H, others + F, lags]` is there where the model has other channels than its targets, or some known
    ahead, `impulse [K, F, lags]` (impulse.py) where it has the latter, and `calendar [K, inputs]` where steps have
    dates. Until it is fitted it repeats the last value. Where the calendar does not help, a fitted model goes on
    without it (`forecast.marks` is 0 then). Checkpoints from before there were covariates have the `weight` alone.
    """

    forecasts = True
    heads: tuple[str, ...] = ("forecast",)
    closed_form = True
    in_step = True
    reads_known = True
    reads_marks = True
    forecast: ForecastSpec
    targets: torch.Tensor
    past: nn.Parameter | None
    impulse: nn.Parameter | None
    calendar: nn.Parameter | None

    def __init__(self, inputs: InputSpec, hyper: Hyper, matrices: int) -> None:
        super().__init__(inputs, hyper)
        spec = self.forecast
        spec.refuse_quantiles("ridge or ridge_ensemble", "a closed form minimises squared errors")
        self.length = inputs.length
        self.own_units = False  # whether effects and other channels act in units of the deviation of a target's history
        self.refits = False  # whether what is chosen on validation is fitted on it too, in the end
        self.others = covariates.numbers_of(spec.targets, inputs.channels)
        self.everything = spec.targets == tuple(range(inputs.channels))
        self.register_buffer("targets", torch.tensor(spec.targets), persistent=False)
        beside, wanted = len(self.others) + spec.covariates, len(spec.targets)
        if beside:
            matrices = wanted if wanted <= MOST_MATRICES else 1
        self.weight = nn.Parameter(torch.zeros(matrices, spec.horizon, inputs.length))
        with torch.no_grad():
            self.weight[..., -1] = 1.0
        self.past = self.impulse = self.calendar = None
        if spec.marks:
            self.calendar = nn.Parameter(torch.zeros(wanted, calendar_inputs.width(spec.marks)))
        if beside:
            self.lags = covariates.lags_of(beside, matrices, inputs.length)
            self.past = nn.Parameter(torch.zeros(matrices, spec.horizon, beside, self.lags))
        if spec.covariates:
            lags = impulse.lags_of(spec.covariates, inputs.length)
            self.impulse = nn.Parameter(torch.zeros(wanted, spec.covariates, lags))

    def forward(
        self, x: torch.Tensor, known: torch.Tensor | None = None, spread: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The forecasts [B, K, H]; `spread` [B, K, 1] is the deviation of each history, if not that of the window."""
        if self.own_units:
            return self._in_own_units(x, known, spread)
        own = x if self.everything else x.index_select(1, self.targets)
        return self._of_targets(own, x, known)

    def _in_own_units(self, x: torch.Tensor, known: torch.Tensor | None, spread: torch.Tensor | None) -> torch.Tensor:
        own = x.index_select(1, self.targets)
        if spread is None:
            spread = own.std(dim=2, correction=0, keepdim=True)
            spread = torch.where(spread > STILL, spread, 1.0)
        return self._of_targets(own / spread, x, known) * spread

    def _of_targets(self, own: torch.Tensor, x: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
        effects = None if known is None else self._effects(known)
        if effects is not None:
            own = own - effects[..., : self.length]
        y = own @ self.weight[0].T if len(self.weight) == 1 else torch.einsum("bkt,kht->bkh", own, self.weight)
        if self.past is not None:
            y = y + torch.einsum("bct,khct->bkh", self._beside(x, known)[..., -self.lags :], self.past)
        return y if effects is None else y + effects[..., self.length :]

    def _effects(self, known: torch.Tensor) -> torch.Tensor | None:
        """The effects of calendar and covariates, `[B, marks + F, T + H] -> [B, K, T + H]`; None: nothing has any."""
        found = None
        if self.calendar is not None:
            inputs = calendar_inputs.inputs(known[:, : self.forecast.marks])
            found = torch.einsum("kd,bdt->bkt", self.calendar, inputs)
        if self.impulse is not None:
            ahead = F.pad(known[:, -self.forecast.covariates :], (self.impulse.shape[2] - 1, 0), mode="replicate")
            responses = F.conv1d(ahead, self.impulse.flip(2))
            found = responses if found is None else found + responses
        return found

    def _beside(self, x: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
        """What is seen beside the targets, [B, others + F, T]."""
        parts = [x[:, list(self.others)]] if self.others else []
        if self.forecast.covariates:
            assert known is not None
            parts.append(known[:, -self.forecast.covariates :, : self.length])
        return torch.cat(parts, dim=1)

    def fit(self, train: Stretches, val: Stretches, both: Stretches, known: KnownAhead | None = None) -> dict[str, Any]:
        """Take off the effects of what is known ahead, `solve` for the targets' own past, add the others' past.

        With `refits`, all of it is chosen on validation, and then fitted on `both`; the share of the others' past, of
        which the fit to validation is a part, on the last quarter of that.
        """
        own = [self.pieces(part) for part in (train, val, both)]
        parts = known or ((), (), ())
        days, ahead = [self._days(part) for part in parts], [self._known(part) for part in parts]
        told: dict[str, Any] = {}
        if self.calendar is not None:
            if known is not None and own[0]:
                own, told["calendar"] = self._less_effects(own, days, self.calendar[..., None])
            if not self.calendar.any():
                self.calendar, self.forecast = None, replace(self.forecast, marks=0)
        if self.impulse is not None and own[0]:
            own, told["known_ahead"] = self._less_effects(own, ahead, self.impulse)
        found, reading = self.solve(*own)
        if self.past is not None:
            beside = [self._stacked(part, u) for part, u in zip((train, val, both), ahead, strict=True)]
            # What is fitted to validation too cannot be judged there: the last quarter of all says how much.
            late, judged = (2, ([], [])) if self.refits else (0, (own[1], beside[1]))
            told |= {"others": self._add_past((own[late], beside[late]), judged, reading)}
        return found | told

    def keep_chosen(self, told: Mapping[str, Any]) -> None:
        self.refits = True  # the next fit chooses the same from the same parts

    @abstractmethod
    def solve(self, train: Pieces, val: Pieces, both: Pieces) -> tuple[dict[str, Any], Own]:
        """Set the `weight` from the targets alone, the parameters as in `fit`.

        Returns
        -------
        (what was chosen, how a regression that sees other channels too should read the own past).
        """

    def _less_effects(
        self, own: list[list[np.ndarray]], ahead: Sequence[Known], responses: torch.Tensor
    ) -> tuple[list[list[np.ndarray]], dict[str, Any]]:
        """Set `responses [K, F, lags]` to what is known ahead. Returns the targets without their effects, and facts."""
        period = period_of_pieces(own[0], max(self.length // 2, 1), self.forecast.periods)
        lags = responses.shape[2]
        train, val, both = zip(own, ahead, strict=True)
        chosen = impulse.chosen_impulse(
            train, val, lags, self.length, self.forecast.horizon, period, both if self.refits else None
        )
        with torch.no_grad():
            responses.copy_(torch.from_numpy(chosen))
        used = int((chosen != 0).any(axis=(1, 2)).sum())
        less = [impulse.without(part, u, chosen) for part, u in zip(own, ahead, strict=True)]
        return less, {"targets_that_respond": used, "lags": lags}

    def _add_past(self, train: tuple[Pieces, Pieces], val: tuple[Pieces, Pieces], reading: Own) -> list[dict[str, Any]]:
        """Mix in the joint regression on the others' past. Returns how much of it each map has."""
        assert self.past is not None
        weight = self.weight.detach().double().numpy().transpose(0, 2, 1)
        used = max(int(weight.any(axis=(0, 2)).nonzero()[0].size), reading.lookback)
        lags = min(self.lags, reading.lookback)
        chosen = covariates.strongest(*train, self.forecast.horizon, covariates.INPUTS)
        if lags < self.length:
            covariates.tell_cut(len(train[1][0]), len(chosen), self.length)
        train, val = ((own, [piece[chosen] for piece in beside]) for own, beside in (train, val))
        late = tuple([piece[:, self.length - used :] for piece in part] for part in val)
        made, past, told = covariates.with_others(
            weight[:, -used:], reading, train, (late[0], late[1]), lags, self.forecast.horizon
        )
        self.set_weight(made)
        with torch.no_grad():
            self.past.zero_()
            self.past[:, :, torch.from_numpy(chosen), self.lags - lags :] = (
                torch.from_numpy(past).permute(0, 3, 2, 1).to(self.past.dtype)
            )
        return told

    def pieces(self, stretches: Stretches) -> list[np.ndarray]:
        """The targets' channels of each stretch, in float64."""
        return self._rows(stretches, self.forecast.targets)

    def _known(self, stretches: Stretches) -> list[np.ndarray]:
        """The covariates in each stretch, of which what is known ahead has the last rows."""
        return [np.asarray(one)[self.forecast.marks :].astype(np.float64) for one in stretches]

    def _days(self, stretches: Stretches) -> list[calendar_inputs.Days]:
        """The inputs of the calendar in each stretch."""
        count = self.forecast.marks
        same: dict[bytes, calendar_inputs.Days] = {}  # many series often have a few times

        def of(marks: np.ndarray) -> calendar_inputs.Days:
            at = hashlib.sha256(marks.tobytes()).digest()
            return same.setdefault(at, calendar_inputs.Days(torch.from_numpy(marks)))

        return [of(np.asarray(one)[:count]) for one in stretches] if count else []

    def _stacked(self, stretches: Stretches, ahead: list[np.ndarray]) -> list[np.ndarray]:
        """What is seen beside the targets in each stretch, [others + F, n]."""
        others = self._rows(stretches, self.others)
        return [np.concatenate(parts) for parts in zip(others, ahead, strict=True)] if ahead else others

    def _rows(self, stretches: Stretches, rows: Sequence[int]) -> list[np.ndarray]:
        which = list(rows)
        return [np.asarray(one)[which].astype(np.float64) for one in stretches]

    def set_weight(self, weight: np.ndarray) -> None:
        """Set a fitted `weight [1 or K, L, H]`, L <= T; inputs before its look-back get the weight 0."""
        with torch.no_grad():
            self.weight.zero_()
            self.weight[..., self.length - weight.shape[1] :] = torch.from_numpy(weight).transpose(1, 2)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Give a state from before there were covariates maps of them that are 0."""
        weight = state_dict.get(f"{prefix}weight")
        if weight is not None and len(weight) == 1 < len(self.weight):
            state_dict[f"{prefix}weight"] = weight.expand(len(self.weight), -1, -1)
        for name, value in (("past", self.past), ("impulse", self.impulse), ("calendar", self.calendar)):
            if value is not None:
                state_dict.setdefault(f"{prefix}{name}", torch.zeros_like(value))
        super()._load_from_state_dict(state_dict, prefix, *args)
