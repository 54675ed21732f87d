"""A blend of learners that are fitted in seconds: the obvious choice, at least as good as the best of them.

Which members (pools.py), and how they are weighed, depends on the target alone, and was measured on data kept apart:

- a label of the next steps: two logistic regressions, boosting and, where rows are many, extremely randomised trees.
  Their weights are those that greedy selection finds on validation and those of a prior, the more of the former the
  more rows or groups validation has;
- a value of the next steps: ridge, boosting and trees, and the last value where the window shows it, greedy selection
  alone, unless that gains less than 1 % on the last value; where there is a test part to judge on, all are then fitted
  again to training and validation;
- labels or values of whole series: members for shapes. One cut of a small set says nothing about them, so each is
  fitted five times and says what it thinks of the fifth that it did not see; on all of these out-of-fold predictions
  the probabilities of each are sharpened or softened, and weighed: half greedy, half by loss and prior; the fewer
  groups the rows come from, the more by a prior that favours small views. Then each is fitted to everything: to
  validation too, where there is a test part. With `--pretrained-dir` Mantis is one of them;
- the next steps of series: auto_forecast.py.

With `--budget` nets join where the time allows, and get the weight that they earn.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from backbones import Hyper, InputSpec, mantis, pretrained_files, register
from backbones.auto_forecast import AutoForecast, runs_in, spelled
from backbones.base import Backbone
from backbones.by_steps import Net, TooShort
from backbones.fitted import CELLS, Described, Fitted, loss_of, outputs_on
from backbones.fitting import Fitting, joined
from backbones.mantis import Mantis
from backbones.pools import FROM_DIRECTORY, MANY, NETS, OF_MANY, STAYS, blank, favoured, label, pool_of
from backbones.weighing import (
    by_loss,
    comparable,
    folds,
    greedy,
    learnable,
    mixed,
    on_validation,
    pooled,
    power,
    raised,
    trusted,
)
from errors import UsageError

HYPER = {
    "members": {
        "default": "",
        "help": "backbones to blend, by commas (forecasts: runs too); with a + before each: beside the rest",
    }
}
SPACE = {"only": True}
FOLDS = 5
LEAST_GAIN = 0.01  # of the error of the last value, below which what members add is chance

log = logging.getLogger("tsrun")


class Weights(nn.Module):
    """`weight` [m] of the members: the head of a blend."""

    def __init__(self, prior: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(prior / prior.sum())


@register
class Auto(Fitted):
    """Members in `members`; the weights, `power` [m] and the `share` of the base `rate` [K] say how they are pooled."""

    heads: tuple[str, ...] = ("pool", "forecast")
    variants = (AutoForecast,)
    reads_history = True
    reads_known = True
    reads_marks = True
    takes_pretrained_dir = True

    @classmethod
    def build(cls, inputs: InputSpec, hyper: Hyper) -> Backbone:
        return cls(inputs, hyper) if inputs.forecast is None else AutoForecast(inputs, hyper)

    @classmethod
    def load_pretrained(cls, inputs: InputSpec, hyper: Hyper, directory: str) -> Backbone:
        if inputs.forecast is not None:
            return AutoForecast.load_pretrained(inputs, hyper, directory)
        if inputs.target is None or not inputs.target.whole or inputs.target.things:
            what = "no member of auto for the next steps of windows comes from a directory, nor for things"
            raise UsageError(what, where="--pretrained-dir", hint="--backbone mantis, llm_ts or ttm")
        described = mantis.describe(directory)
        model = pretrained_files.construct(lambda: cls(replace(inputs, pretrained=described), hyper))
        for member in model.members:
            if isinstance(member, Mantis):
                member.load(directory)
        return model

    power: torch.Tensor
    share: torch.Tensor
    rate: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.inputs = InputSpec(
            channels=self.channels, length=self.length, target=self.target, pretrained=inputs.pretrained
        )
        self.entries = pool_of(hyper.members, self.target, self.channels, self.length)
        if inputs.pretrained is not None and FROM_DIRECTORY[0] not in self.entries:
            self.entries = (*self.entries, *FROM_DIRECTORY)
        self.labels = [label(entry) for entry in self.entries]
        self.members = nn.ModuleList(blank(entry, self.inputs) for entry in self.entries)
        self.head = Weights(torch.tensor([share for _, _, share in self.entries]))
        self.register_buffer("power", torch.ones(len(self.entries)))
        self.register_buffer("share", torch.zeros(()))
        self.register_buffer("rate", torch.full((self.outputs,), 0.5))

    @classmethod
    def in_time(cls, args: Mapping[str, Any], seconds: float, head: str) -> dict[str, Any]:
        if head == "forecast":
            return {**args, "members": spelled(str(args.get("members", "")))}
        return {"members": NETS, **args} if seconds else dict(args)

    @classmethod
    def runs_in(cls, args: Mapping[str, Any], head: str) -> list[str]:
        return runs_in(str(args.get("members", ""))) if head == "forecast" else []

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take the members that a checkpoint has: an older one may lack the last of them."""
        kept = state.get(f"{prefix}power")
        if kept is not None and len(kept) < len(self.entries):
            self.entries, self.labels = self.entries[: len(kept)], self.labels[: len(kept)]
            self.members, self.power = self.members[: len(kept)], self.power[: len(kept)].clone()
            self.head.weight = nn.Parameter(self.head.weight.detach()[: len(kept)].clone())
        super()._load_from_state_dict(state, prefix, *args)

    @property
    def weight(self) -> torch.Tensor:
        """Of the members [m], on the host."""
        return self.head.weight.detach().cpu()

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        members, power = list(self.members), self.power
        weight: torch.Tensor = self.head.weight
        if not torch.compiler.is_compiling():  # who has no weight need not be asked
            heavy = self.weight > 0
            members = [member for member, asked in zip(members, heavy.tolist(), strict=True) if asked]
            power, weight = power[heavy.to(x.device)], weight[heavy.to(x.device)]
        scores = torch.stack([member(x)[:, :, 0] for member in members])
        return pooled(self._prepared(scores, power), weight, self.target.kind)

    def _prepared(self, scores: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
        """Scores [m, B, K] of members as they are pooled, by their powers [m]."""
        return mixed(raised(scores, power[:, None, None], self.target.kind), self.share, self.rate, self.target.kind)

    def fit_in_time(self, data: Fitting) -> dict[str, Any]:
        """With fewer members, each in what time is left."""
        return self.fit_windows(data)

    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Fit the members, weigh them; what they say of windows that they did not see is returned as "held_out"."""
        if data.settled:
            return self._again(data)
        by_folds = self.target.whole and not data.goes_on
        return self._by_folds(data) if by_folds else self._on_validation(data)

    def _again(self, data: Fitting) -> dict[str, Any]:
        """The members that have a weight, fitted once more; how they are pooled stays."""
        for i, weight in enumerate(self.weight.tolist()):
            if weight > 0:
                known = self.members[i]
                if isinstance(known, Net):  # a net would go on from what it knows
                    fresh = Net(self.inputs, known.name, known.args).to(self.rate.device)
                    fresh.share, self.members[i] = known.share, fresh
                self._member(i).fit_windows(data)
        return {"fitted_to": "everything"}

    def _on_validation(self, data: Fitting) -> dict[str, Any]:
        """Members fitted to training, weights chosen on validation."""
        begun = time.perf_counter()

        def fit(i: int, seconds: float) -> torch.Tensor:
            member = self._member(i)
            learns = [part.requires_grad for part in member.parameters()]
            if any(learns) or not learns:  # else it was frozen, and stays
                member.fit_in_time(replace(data, seconds=seconds))
            return outputs_on(data.val, member.answer)

        scores, heavy = self._each(fit, data, data.val.y)
        self.rate.copy_(data.train.y.mean(0))
        ready = self._ready(scores, heavy)
        weight = on_validation(ready, data.val, self.target.kind, data.loss, self._prior(heavy))
        self._weigh(heavy, self._staying(weight, ready, heavy, data))
        told = self._told(ready, heavy, data.val.y, data, len(data.train))
        if not self._refitted(data):
            return told
        held_out = pooled(ready, self.weight[heavy], self.target.kind)
        whole = joined(data.train, data.val)
        for member, weight in zip(self.members, self.weight.tolist(), strict=True):
            if weight > 0 and isinstance(member, Fitted) and not isinstance(member, Net):
                left = max(data.seconds - (time.perf_counter() - begun), 0.0)
                member.fit_in_time(replace(data, train=whole, settled=True, seconds=left))
        return told | {"held_out": held_out, "fitted_to": "training and validation"}

    def _staying(self, weight: torch.Tensor, ready: torch.Tensor, heavy: torch.Tensor, data: Fitting) -> torch.Tensor:
        """The weights [m'], or all weight on the last value where the blend is hardly better: so it is of a walk."""
        if self.entries[-1] not in STAYS or not heavy[-1]:
            return weight
        alone = torch.zeros_like(weight)
        alone[-1] = 1
        y, kind = data.val.y, self.target.kind
        blend, stays = (loss_of(pooled(ready, one, kind), y, kind, data.loss) for one in (weight, alone))
        if blend < (1 - LEAST_GAIN) * stays:
            return weight
        log.info("auto: the members are not %g %% better than the last value, which it says", 100 * LEAST_GAIN)
        return alone

    def _by_folds(self, data: Fitting) -> dict[str, Any]:
        """Members weighed by out-of-fold predictions, and fitted to everything."""
        whole = joined(data.train, data.val) if data.refit else data.train
        kind, n = self.target.kind, len(whole)
        fold = folds(whole.y, whole.groups, kind, FOLDS, data.seed)
        everything = replace(data, train=whole)
        scores, heavy = self._each(
            lambda i, seconds: self._out_of_fold(i, fold, replace(everything, seconds=seconds)), data, whole.y
        )
        self.rate.copy_(whole.y.mean(0))
        known = learnable(whole.y, kind, whole.groups)
        y = whole.y[known]
        if kind != "value":
            self.share.fill_(1 / (n + 2))
            self.power[heavy.to(self.power.device)] = torch.tensor(
                [power(one, y, kind) for one in scores[:, known]], device=self.power.device
            )
        ready = self._ready(scores, heavy)
        losses = [loss_of(one, y, kind, data.loss) for one in ready[:, known]]
        losses = comparable(losses) if kind == "value" else losses
        chosen = greedy(ready[:, known], y, kind, data.loss)
        prior = self._prior(heavy)
        weight = (chosen + by_loss(losses, prior, n)) / 2
        if whole.witnesses < n:
            trust, small = trusted(whole.witnesses), prior * torch.tensor(favoured(self.entries))[heavy]
            weight = trust * weight + (1 - trust) * by_loss(losses, small, n)
        self._weigh(heavy, weight)
        told = self._told(ready, heavy, whole.y, data, n)
        if not data.refit:
            return told
        blended = pooled(ready, self.weight[heavy], kind)
        return told | {"held_out": blended[-len(data.val) :], "fitted_to": "training and validation"}

    def _each(self, fit: Any, data: Fitting, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What each member says [m', n, K] of windows that it has not seen, and a mask [m] of those that did.

        `fit(i, seconds)` fits member i; those that an interrupted run had finished are not fitted again.
        """
        begun, again, done = time.perf_counter(), 0.0, dict(data.done)
        heavy = torch.zeros(len(self.entries), dtype=torch.bool)
        for i, name in enumerate(self.labels):
            started = time.perf_counter()
            left = data.seconds - (started - begun) - again
            why = self._left_out(i, data, left, len(done))
            try:
                if not why and name not in done:
                    done[name] = fit(i, left)
            except TooShort as short:
                why = f"{short}, and {max(left, 0):.0f} s of --budget are left"
            if why:
                log.info("auto: %d of %d, %s: left out, %s", i + 1, len(self.entries), name, why)
                continue
            heavy[i] = True
            loss = loss_of(done[name], y, self.target.kind, data.loss)
            spent = "as it was" if name in data.done else f"{time.perf_counter() - started:.1f} s"
            log.info("auto: %d of %d, %s: loss %.4f, %s", i + 1, len(self.entries), name, loss, spent)
            if self._refitted(data) and not isinstance(self.members[i], Net):
                again += time.perf_counter() - started  # what fitting it to everything will take
            if data.keep is not None and name not in data.done:
                data.keep(done)
        return torch.stack([done[name] for name, there in zip(self.labels, heavy, strict=True) if there]), heavy

    def _refitted(self, data: Fitting) -> bool:
        """Whether members that validation has weighed are fitted again to training and validation: for values."""
        return data.refit and self.target.kind == "value" and not self.target.whole and not data.goes_on

    def _left_out(self, i: int, data: Fitting, left: float, before: int) -> str:
        """Why a member is left out, or nothing; one of them is always there."""
        if not before or self.labels[i] in data.done:
            return ""
        if left <= 0:
            return "--budget is spent"
        rows = data.train.witnesses
        if self.labels[i] == OF_MANY and self.target.kind == "label" and not self.hyper.members and rows < MANY:
            return f"it is for {MANY} rows or groups of training, and there are {rows}"
        return ""

    def _prior(self, heavy: torch.Tensor) -> torch.Tensor:
        """The weights before the choice, among the members that the mask says."""
        prior = self.weight[heavy]
        return prior / prior.sum() if prior.sum() > 0 else torch.full_like(prior, 1 / len(prior))

    def _ready(self, scores: torch.Tensor, heavy: torch.Tensor) -> torch.Tensor:
        """Scores [m', n, K] of the members that the mask says as they are pooled, on the host."""
        return self._prepared(scores.to(self.rate.device), self.power[heavy.to(self.power.device)]).cpu()

    def _weigh(self, heavy: torch.Tensor, weight: torch.Tensor) -> None:
        whole = torch.zeros(len(self.entries))
        whole[heavy] = weight.float()
        self.head.weight.data.copy_(whole)

    def _member(self, i: int) -> Fitted:
        member = self.members[i]
        assert isinstance(member, Fitted)
        return member

    def _out_of_fold(self, i: int, fold: np.ndarray, data: Fitting) -> torch.Tensor:
        """What a member says of each window when it has not seen its fold: [n, K]; then it is fitted to all of them."""
        whole, member = data.train, self._member(i)
        # No fold may choose on what it is judged by: a net would look there for its best moment.
        alone = replace(data, seconds=data.seconds / (FOLDS + 1), settled=isinstance(member, Net))
        scores = torch.empty(whole.y.shape)
        described = isinstance(member, Described) and len(whole) * member.width <= CELLS
        table = member.prepare(whole, data.seed) if described and isinstance(member, Described) else None
        for one in np.unique(fold):
            inside, outside = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
            part = replace(alone, train=whole.part(inside), val=whole.part(outside))
            if isinstance(member, Described) and table is not None:
                member.solve(table[inside], part.train, part)
                said = member.say(torch.from_numpy(table[outside]).to(self.rate.device)).detach().cpu()
            else:
                # What describes by weights of a directory keeps them; what it knows of targets it forgets in a fit.
                kept = copy.deepcopy(member) if isinstance(member, Described) else blank(self.entries[i], self.inputs)
                fresh = kept.to(self.rate.device).eval()
                fresh.fit_windows(part)
                said = outputs_on(part.val, fresh.answer)
            scores[torch.from_numpy(outside)] = said
        if isinstance(member, Described) and table is not None:
            member.solve(table, whole, data)
        else:
            member.fit_windows(alone)
        return scores

    def _told(
        self, scores: torch.Tensor, heavy: torch.Tensor, y: torch.Tensor, data: Fitting, n: int
    ) -> dict[str, Any]:
        """Members, weights and losses for the summary; scores [m', n, K] are those of the members in the mask [m]."""
        kind, names = self.target.kind, [name for name, there in zip(self.labels, heavy, strict=True) if there]
        members = {
            name: {"weight": float(weight), "loss": loss_of(one, y, kind, data.loss)}
            for name, weight, one in zip(names, self.weight[heavy], scores, strict=True)
        }
        blend = loss_of(pooled(scores, self.weight[heavy], kind), y, kind, data.loss)
        found = {"windows": n, "of": len(data.train), "members": members, "loss": blend}
        left_out = [name for name in self.labels if name not in names]
        return found | ({"left_out": left_out} if left_out else {})
