"""A net and the closed form that it stands on: what the net learns from, and how the two are joined.

With windows enough the net learns what the map leaves, and the whole beside it where validation can choose between them
(alone.py). Of labels and classes with fewer windows than features the net learns alone: mending each guess that the
map makes without a window would mend what the map gets right elsewhere. The two are then weighed by log-loss on
validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from backbones.alone import OfBoth, Validation, folded
from backbones.fitted import loss_of
from backbones.fitting import Fitting
from backbones.model import Model
from backbones.specs import TargetSpec

# How much of the closed form and of the net: either alone, or both, of which too much is too sure.
SHARES = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.5), (0.5, 1.0), (0.5, 0.5), (0.0, 0.5), (0.5, 0.25), (1.0, 0.25))


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
        data, wide = self.data, self.wide
        if target is None:
            return wide.says_of(data.train), wide.says_of(data.val)
        train, self.told = wide.fit(data, target, self.lean)
        val = wide.says_of(data.val)
        if fresh and target.kind != "value" and len(data.train) < wide.features.size:
            self.aside, self.joins = {name: value.clone() for name, value in wide.state_dict().items()}, True
            wide.take(0.0, [0.0] * len(self.lean))
            return torch.zeros_like(train), torch.zeros_like(val)
        if fresh:
            self.model.take_of_head(0.0)
            chosen = "on_closed_form" in self.fixed if self.fixed is not None else data.val.plenty(target.kind)
            if chosen and not one_head:
                self.joins = True
                alone = self.model.learn_alone_too(self.told["says"])
                if self.fixed is not None:
                    alone.share.fill_(self.fixed["on_closed_form"])
        return train, val

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
        return dict(state) if self.model.alone is None else folded(state, self.model.alone, self.wide)

    def settled(
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
        if self.model.alone is not None:
            self.told["on_closed_form"] = float(learned["best"]["alone.share"])
        kept = {kind: self._folded(state) for kind, state in learned.items()}
        self.model.alone = None
        if self.aside:
            self._join(kept["best"], outputs)
            kept = {kind: self._beside(state) for kind, state in kept.items()}
        self.model.load_state_dict(kept["best"])
        return kept

    def _join(self, state: Mapping[str, torch.Tensor], outputs: Callable[[], torch.Tensor]) -> None:
        """Choose how much of the map to put beside a net that has learned alone, as validation wants."""
        if self.fixed is not None:
            self.told["shares"] = self.fixed["shares"]
            return
        self.model.load_state_dict(state)
        net = outputs()
        self.wide.load_state_dict(self.aside)
        closed, y = self.wide.says_of(self.data.val)[:, :, 0], self.data.val.y
        by, kind = torch.tensor(self.lean), self.wide.target.kind
        losses = [loss_of(a * (closed - by) + b * (net - by), y, kind, "") for a, b in SHARES]
        of_map, of_net = SHARES[losses.index(min(losses))]
        self.told["shares"] = {"closed_form": of_map, "net": of_net}

    def _beside(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights of the net with its share of the map, which is loaded as it was solved."""
        of_map, of_net = self.told["shares"]["closed_form"], self.told["shares"]["net"]
        self.model.load_state_dict(state)
        self.wide.load_state_dict(self.aside)
        self.wide.take(of_map, [(1 - of_map - of_net) * part for part in self.lean])
        self.model.take_of_head(of_net)
        return {name: value.clone() for name, value in self.model.state_dict().items()}
