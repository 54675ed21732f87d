"""A net and the closed form that it stands on: what the net learns from, and how the two are joined.

With windows enough the net learns what the map leaves, and the whole beside it where validation can choose between them
(alone.py). Of labels and classes with fewer windows than features the net learns alone: mending each guess that the
map makes without a window would mend what the map gets right elsewhere. The two are then weighed on validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from backbones import recalled
from backbones.alone import LINEAR, OfBoth, Validation, folded
from backbones.fitted import loss_of
from backbones.fitting import Fitting, joined
from backbones.grown import calibrated
from backbones.model import Model
from backbones.specs import TargetSpec
from backbones.weighing import BLOCKS, ROWS, by_loss, sure
from backbones.wide import Wide

# How much of the closed form and of the net: either alone, or both, of which too much is too sure.
PRIOR = (0.85, 0.15)  # before anything is seen of validation
SHARES = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.5), (0.5, 1.0), (0.5, 0.5), (0.0, 0.5), (0.5, 0.25), (1.0, 0.25))
SAME = 1e-3  # standard deviations that a net adds, below which it adds nothing
SURE = 2.0  # standard errors that a gain on validation is not worth by itself


def shares_of(
    closed: torch.Tensor, net: torch.Tensor, y: torch.Tensor, kind: str, *, plenty: bool
) -> tuple[float, float]:
    """How much to take of a closed form and of a net that has learned alone.

    A net of few windows is far too sure, and a few windows that it gets right do not show it. So it is brought to the
    scale of the closed form, whose probabilities are those of windows left out, and the two are pooled by loss and
    prior. Where validation has windows enough, what is best on them counts too, the more, the more there are.

    Parameters
    ----------
    closed, net : what they say of validation [n, K].
    y : its targets.
    kind : of the target, "label" or "class".
    plenty : whether validation has windows enough to choose by.
    """
    scale = min(_size(closed, kind) / max(_size(net, kind), 1e-9), 1.0)

    def loss(of_map: float, of_net: float) -> float:
        return loss_of(of_map * closed + of_net * net, y, kind, "")

    usual = by_loss([loss(1, 0), loss(0, scale)], torch.tensor(PRIOR), len(y)) * torch.tensor([1.0, scale])
    trust = len(y) / (len(y) + ROWS) if plenty else 0.0
    best = torch.tensor(min(SHARES, key=lambda shares: loss(*shares)))
    of_map, of_net = (trust * best + (1 - trust) * usual).tolist()
    return of_map, of_net


def _size(logits: torch.Tensor, kind: str) -> float:
    """The root of the mean square of logits [n, K]; of classes only their differences count."""
    centred = logits - logits.mean(1, keepdim=True) if kind == "class" else logits
    return float(centred.square().mean().sqrt())


def share_of_net(
    closed: torch.Tensor, net: torch.Tensor, y: torch.Tensor, loss: Callable[[torch.Tensor, torch.Tensor], float]
) -> float:
    """How much to take of what a net adds to its closed form, by how sure it is that this helps: from 0 to 1.

    The best of many epochs looks better on few windows of validation than it is. What it gains there, over blocks of
    neighbours, is shrunk by SURE of its standard errors (weighing.sure), and of few windows by their number. What adds
    next to nothing is taken whole.

    Parameters
    ----------
    closed, net : what the closed form says of validation, and what the net on it does [n, K].
    y : its targets.
    loss : (what is said of some of it, their targets) -> the mean loss.
    """
    trust = len(y) / (len(y) + ROWS)
    if (net - closed).abs().mean() < SAME:
        return 1.0
    if len(y) < BLOCKS:
        return trust
    return trust * sure(closed, net, y, loss, SURE)


class Standing:
    """One net on its closed form.

    Parameters
    ----------
    model : it has `wide`.
    data : windows of training and validation.
    lean : what the loss adds to each of the K outputs of a calibrated model.
    fixed : what has been chosen before, as `told`; None: it is to be chosen.
    """

    def __init__(
        self, model: Model, data: Fitting, lean: Sequence[float], fixed: Mapping[str, Any] | None = None
    ) -> None:
        assert model.wide is not None
        self.model, self.wide, self.data, self.lean, self.fixed = model, model.wide, data, lean, fixed
        self.told: dict[str, Any] = {}  # what was chosen, for the summary
        self.solved: dict[str, torch.Tensor] = {}  # the closed form, as solved
        self.aside: dict[str, torch.Tensor] = {}  # the map, while the net learns alone
        self.joins = False  # whether what learns is another model than what is kept
        self.learned: Mapping[str, torch.Tensor] = {}  # the last weights of what learned

    def under(
        self, target: TargetSpec | None, *, fresh: bool, one_head: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What is added to the net's outputs while it learns, of training and of validation, [n, K, 1] each.

        The map is solved for `target`, unless that is None; `fresh`: the head has learned nothing yet; `one_head`:
        training goes on from where it had no second one.
        """
        data, wide, device = self.data, self.wide, self.data.train.device
        if target is None:
            return wide.says_of(data.train).to(device), wide.says_of(data.val).to(device)
        wide.settled = None if self.fixed is None else self.fixed.get("of")
        train, self.told = recalled.here.fit(wide, data, target, self.lean)
        if fresh and target.kind != "value" and wide.by_heart(len(data.train)):
            self.aside, self.joins = {name: value.clone() for name, value in wide.state_dict().items()}, True
            wide.take(0.0, [0.0] * len(self.lean))
            return torch.zeros_like(train, device=device), torch.zeros(*data.val.y.shape, 1, device=device)
        if fresh:
            self.model.take_of_head(0.0)
            self.solved, self.joins = {name: value.clone() for name, value in wide.state_dict().items()}, True
            chosen = "on_closed_form" in self.fixed if self.fixed is not None else data.val.plenty(target.kind)
            if chosen and not one_head:
                self.joins = True
                alone = self.model.learn_alone_too(self.told["says"])
                if self.fixed is not None:
                    alone.share.fill_(self.fixed["on_closed_form"])
        return train.to(device), wide.says_of(data.val).to(device)

    @property
    def changed(self) -> bool:
        """Whether the best weights, once joined, say something else than what training has judged."""
        return bool(self.aside) or self.told.get("net", 1.0) < 1

    def judging(self, validation: Validation) -> Validation:
        """The validation of a task, of what the model says while it learns."""
        alone = self.model.alone
        return validation if alone is None else OfBoth(validation, alone, chooses=self.fixed is None)

    def saved(
        self, weights: Mapping[str, torch.Tensor], training: Mapping[str, Any] | None
    ) -> tuple[Mapping[str, torch.Tensor], Mapping[str, Any] | None]:
        """What a checkpoint holds: the weights as those that are kept; with the state of training those that learn."""
        if training is not None and self.joins:
            training = {"weights": self.learned or weights, **training}
        return self._folded(weights), training

    def _folded(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        alone, wide = self.model.alone, self.wide
        return dict(state) if alone is None or not isinstance(wide, Wide) else folded(state, alone, wide)

    def joined(
        self, learned: Mapping[str, Mapping[str, torch.Tensor]], outputs: Callable[[], torch.Tensor]
    ) -> dict[str, dict[str, torch.Tensor]]:
        """Make one model of a net that has learned and its closed form; it has one head from now on.

        Parameters
        ----------
        learned : all weights that are to be kept, "best" among them.
        outputs : gives what the model says of validation with its present weights, [n, K] on the host.

        Returns
        -------
        The same weights as those of the one model, of which it has the best.
        """
        self.learned = learned.get("last", {})
        if self.fits_again:
            self.told["fitted_to"] = "training and validation"  # in the end
        if self.model.alone is not None:
            self.told["on_closed_form"] = float(learned["best"]["alone.share"])
        kept = {kind: self._folded(state) for kind, state in learned.items()}
        self.model.alone = None
        if self.solved:
            self._trust(kept["best"], outputs)
            kept = {kind: self._shrunk(state) for kind, state in kept.items()}
        if self.aside:
            self._join(kept["best"], outputs)
            kept = {kind: self._beside(state) for kind, state in kept.items()}
        self.model.load_state_dict(kept["best"])
        return kept

    @property
    def fits_again(self) -> bool:
        """Whether the closed form is fitted again to validation too, once all is chosen: to things, any of which might
        have been one of training."""
        return self.wide.target.things and self.fixed is None and bool(self.solved or self.aside)

    def fit_again(self) -> None:
        """Fit it so; the net that is joined with it, and how much each part counts, stay."""
        assert isinstance(self.wide, Wide)
        self.wide.load_state_dict(self.solved or self.aside)
        data = self.data
        self.wide.again(joined(data.train, data.val), data, self.lean, self.told.get("of", {}).get("map", 1.0))
        if self.aside:
            self._take_beside()
        else:
            net, on_closed_form = self.told.get("net", 1.0), self.told.get("on_closed_form", 1.0)
            self.wide.take(1 - net + net * on_closed_form, [0.0] * len(self.lean))

    def _trust(self, state: Mapping[str, torch.Tensor], outputs: Callable[[], torch.Tensor]) -> None:
        """Choose how much to take of what the net adds to the closed form, as far as validation shows that it helps."""
        if self.fixed is not None:
            self.told["net"] = self.fixed.get("net", 1.0)
            return
        self.model.load_state_dict(state)
        net, val, kind = outputs(), self.data.val, self.wide.target.kind
        self.wide.load_state_dict(self.solved)
        by, closed = torch.tensor(self.lean), self.wide.says_of(val)[:, :, 0]
        # A loss that leans to what is rare makes a net too sure; probabilities are calibrated in the end.
        closed, net = (calibrated(said - by, val, kind)[0] for said in (closed, net))
        self.told["net"] = share_of_net(closed, net, val.y, partial(loss_of, kind=kind, loss=self.data.loss))

    def _shrunk(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights of a model that says the net's share, and for the rest what the closed form does."""
        share, kept = self.told["net"], dict(state)
        for name in ("head.weight", "head.bias"):
            kept[name] = share * state[name]
        for name, solved in self.solved.items():
            if name in LINEAR:
                kept[f"wide.{name}"] = share * state[f"wide.{name}"] + (1 - share) * solved
        return kept

    def _join(self, state: Mapping[str, torch.Tensor], outputs: Callable[[], torch.Tensor]) -> None:
        """Choose how much of the map to put beside a net that has learned alone, as validation wants."""
        if self.fixed is not None:
            self.told["shares"] = self.fixed["shares"]
            return
        self.model.load_state_dict(state)
        self.model.wide = None  # which says nothing while the net learns alone, and takes as long as it
        net = outputs()
        self.model.wide = self.wide
        self.wide.load_state_dict(self.aside)
        by, val = torch.tensor(self.lean), self.data.val
        closed = self.wide.says_of(val)[:, :, 0]
        of_map, of_net = shares_of(
            closed - by, net - by, val.y, self.wide.target.kind, plenty=val.plenty(self.wide.target.kind)
        )
        self.told["shares"] = {"closed_form": of_map, "net": of_net}

    def _beside(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights of the net with its share of the map, which is loaded as it was solved."""
        self.model.load_state_dict(state)
        self.wide.load_state_dict(self.aside)
        self._take_beside()
        self.model.take_of_head(self.told["shares"]["net"])
        return {name: value.clone() for name, value in self.model.state_dict().items()}

    def _take_beside(self) -> None:
        """Take the map's share beside a net that has learned alone."""
        of_map, of_net = self.told["shares"]["closed_form"], self.told["shares"]["net"]
        self.wide.take(of_map, [(1 - of_map - of_net) * part for part in self.lean])
