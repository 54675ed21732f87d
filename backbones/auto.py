"""A blend of learners that are fitted in seconds: the obvious choice, at least as good as the best of them.

Which members, and how they are weighed, depends on the target alone, and was measured on data kept apart:

- a label of the next steps: two logistic regressions, boosting and extremely randomised trees. Their weights are those
  that greedy selection finds on validation and those of a prior, the more of the former the more rows or groups
  validation has;
- a value of the next steps: ridge, boosting and trees, greedy selection alone;
- labels or values of whole series: members for shapes. One cut of a small set says nothing about them, so each is
  fitted five times and says what it thinks of the fifth that it did not see; on all of these out-of-fold predictions
  the probabilities of each are sharpened or softened, and weighed: half greedy, half by loss and prior. Then each is
  fitted again to everything: to validation too, where there is a test part to judge on;
- the next steps of series: auto_forecast.py.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from backbones import Hyper, InputSpec, backbone_class, register
from backbones.auto_forecast import AutoForecast
from backbones.base import Backbone
from backbones.fitted import Fitted, loss_of, outputs_on
from backbones.fitting import Fitting, Labelled, joined
from backbones.weighing import WITNESSES, by_loss, folds, greedy, mixed, pooled, power, raised
from errors import UsageError, nearest

HYPER = {"members": {"default": "", "help": "the backbones to blend, separated by commas; empty: by the target"}}
SPACE = {"only": True}

# Members: (backbone, its arguments, weight before anything was seen).
Pool = tuple[tuple[str, dict[str, Any], float], ...]
LABELS: Pool = (
    ("logistic", {"summaries": False}, 0.13),
    ("logistic", {}, 0.27),
    ("boosting", {}, 0.27),
    ("extra_trees", {}, 0.33),
)
VALUES: Pool = (("ridge", {}, 1.0), ("boosting", {}, 1.0), ("extra_trees", {}, 1.0))
SHAPES: Pool = (
    ("quant", {}, 0.30),
    ("rocket", {}, 0.25),
    ("rocket", {"features": "intervals"}, 0.12),
    ("extra_trees", {"summaries": False, "leaf": 1, "share": 0.1}, 0.10),
    ("rocket", {"features": "hydra"}, 0.08),
    ("nearest", {}, 0.05),
    ("rocket", {"features": "steps"}, 0.04),
)
SHAPE_VALUES: Pool = (("quant", {}, 0.4), ("extra_trees", {}, 0.2), ("ridge", {}, 0.2), ("boosting", {}, 0.2))

FOLDS = 5
SURE = 50  # windows of validation below which a threshold is not chosen on it

log = logging.getLogger("tsrun")


@register
class Auto(Fitted):
    """Members in `members`; `weight`, `power` [m] and the `share` of the base `rate` [K] say how they are pooled."""

    heads: tuple[str, ...] = ("pool", "forecast")
    variants = (AutoForecast,)
    reads_history = True
    reads_known = True

    @classmethod
    def build(cls, inputs: InputSpec, hyper: Hyper) -> Backbone:
        return cls(inputs, hyper) if inputs.forecast is None else AutoForecast(inputs, hyper)

    power: torch.Tensor
    share: torch.Tensor
    rate: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.entries = self._pool(hyper.members)
        self.members = nn.ModuleList(self._blank(name, args) for name, args, _ in self.entries)
        prior = torch.tensor([share for _, _, share in self.entries])
        self.weight = nn.Parameter(prior / prior.sum())
        self.register_buffer("power", torch.ones(len(self.entries)))
        self.register_buffer("share", torch.zeros(()))
        self.register_buffer("rate", torch.full((self.outputs,), 0.5))

    def _pool(self, given: str) -> Pool:
        """The members: those that were given, or those that suit the target."""
        value = self.target.kind == "value"
        if not given:
            pools = {False: (LABELS, VALUES), True: (SHAPES, SHAPE_VALUES)}
            return pools[self.target.whole][value]
        named = [name.strip() for name in given.split(",") if name.strip()]
        able = ["boosting", "extra_trees", "logistic", "nearest", "quant", "ridge", "rocket"]
        for name in named:
            if name not in able or self.target.kind not in backbone_class(name).kinds:
                hint = nearest(name, able) or f"for this target take {', '.join(able)}"
                raise UsageError(f"{name!r} cannot be blended here", where="--model-args members", hint=hint)
        return tuple((name, {}, 1.0) for name in named)

    def _blank(self, name: str, args: dict[str, Any]) -> Fitted:
        """A member that knows nothing yet."""
        inputs = InputSpec(channels=self.channels, length=self.length, target=self.target)
        made = backbone_class(name).build(inputs, Hyper(name, args))
        assert isinstance(made, Fitted)
        return made

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.stack([member(x)[:, :, 0] for member in self.members])
        return pooled(self._prepared(scores), self.weight, self.target.kind)

    def _prepared(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores [m, B, K] as they are pooled."""
        sharp = raised(scores, self.power[:, None, None], self.target.kind)
        return mixed(sharp, self.share, self.rate, self.target.kind)

    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Fit the members, weigh them; what they say of windows that they did not see is returned as "held_out"."""
        by_folds = self.target.whole and not data.goes_on
        return self._by_folds(data) if by_folds else self._on_validation(data)

    def _on_validation(self, data: Fitting) -> dict[str, Any]:
        """Members fitted to training, weights chosen on validation."""
        found = []
        for i, member in enumerate(self.members):
            begun = time.perf_counter()
            assert isinstance(member, Fitted)
            if any(part.requires_grad for part in member.parameters()):  # else it was frozen, and stays
                member.fit_windows(data)
            found.append(outputs_on(data.val, member.answer))
            self._tell(i, found[-1], data.val.y, data.loss, begun)
        self.rate.copy_(data.train.y.mean(0))
        scores = self._prepared(torch.stack(found).to(self.rate.device)).cpu()
        chosen = greedy(scores, data.val.y, self.target.kind, data.loss)
        trust = 1.0 if self.target.kind == "value" else data.val.witnesses / (data.val.witnesses + WITNESSES)
        self.weight.data.copy_(trust * chosen + (1 - trust) * self.weight.detach().cpu())
        return self._told(scores, data.val.y, data, len(data.train))

    def _by_folds(self, data: Fitting) -> dict[str, Any]:
        """Members weighed by out-of-fold predictions, then fitted to everything."""
        whole = joined(data.train, data.val) if data.refit else data.train
        kind, n = self.target.kind, len(whole)
        fold = folds(whole.y, whole.groups, kind, FOLDS, data.seed)
        scores = torch.stack([self._out_of_fold(i, whole, fold, data) for i in range(len(self.entries))])
        everything = Fitting(whole, data.val, data.seed, data.loss)
        for member in self.members:
            assert isinstance(member, Fitted)
            member.fit_windows(everything)
        self.rate.copy_(whole.y.mean(0))
        if kind != "value":
            self.share.fill_(1 / (n + 2))
            self.power.copy_(torch.tensor([power(one, whole.y, kind) for one in scores]))
        scores = self._prepared(scores.to(self.rate.device)).cpu()
        losses = [loss_of(one, whole.y, kind, data.loss) for one in scores]
        chosen = greedy(scores, whole.y, kind, data.loss)
        self.weight.data.copy_((chosen + by_loss(losses, self.weight.detach().cpu(), n)) / 2)
        told = self._told(scores, whole.y, data, n)
        if not data.refit:
            return told
        blended = pooled(scores, self.weight.detach().cpu(), kind)
        return told | {"held_out": blended[-len(data.val) :], "fitted_to": "training and validation"}

    def _out_of_fold(self, i: int, whole: Labelled, fold: np.ndarray, data: Fitting) -> torch.Tensor:
        """What a member says of each window when it has not seen its fold: [n, K]."""
        begun = time.perf_counter()
        name, args, _ = self.entries[i]
        scores = torch.empty(whole.y.shape)
        for one in np.unique(fold):
            inside, outside = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
            member = self._blank(name, args).to(self.rate.device).eval()
            rest = whole.part(outside)
            member.fit_windows(Fitting(whole.part(inside), rest, data.seed, data.loss))
            scores[torch.from_numpy(outside)] = outputs_on(rest, member.answer)
        self._tell(i, scores, whole.y, data.loss, begun)
        return scores

    def _tell(self, i: int, scores: torch.Tensor, y: torch.Tensor, loss: str, begun: float) -> None:
        found = loss_of(scores, y, self.target.kind, loss)
        spent = time.perf_counter() - begun
        log.info("auto: %d of %d, %s: loss %.4f, %.1f s", i + 1, len(self.entries), self._label(i), found, spent)

    def _label(self, i: int) -> str:
        """The name of a member, with the arguments that set it apart."""
        name, args, _ = self.entries[i]
        return " ".join([name, *(f"{key}={value}" for key, value in args.items())])

    def _told(self, scores: torch.Tensor, y: torch.Tensor, data: Fitting, n: int) -> dict[str, Any]:
        """Members, weights and losses for the summary."""
        kind = self.target.kind
        members = {
            self._label(i): {"weight": float(weight), "loss": loss_of(scores[i], y, kind, data.loss)}
            for i, weight in enumerate(self.weight.detach().cpu())
        }
        blend = loss_of(pooled(scores, self.weight.detach().cpu(), kind), y, kind, data.loss)
        thin = kind != "value" and (len(data.val) < SURE or self._rare(data.val.y) < 10)
        return {
            "windows": n,
            "of": len(data.train),
            "members": members,
            "loss": blend,
            "thin": self.target.whole and thin,
        }

    @staticmethod
    def _rare(y: torch.Tensor) -> int:
        """The fewest windows that a label has on either side."""
        true = y.sum(0)
        return int(torch.minimum(true, len(y) - true).min())
