"""A net and the closed form that it stands on: what the net learns from, and how the two are joined.

With windows enough the net learns what the map leaves. Of labels and classes with fewer windows than features the
net learns alone: mending each guess that the map makes without a window would mend what the map gets right elsewhere.
The two are then weighed by log-loss on validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

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
    """

    def __init__(self, model: Model, data: Fitting, lean: Sequence[float]) -> None:
        assert model.wide is not None
        self.model, self.wide, self.data, self.lean = model, model.wide, data, lean
        self.told: dict[str, Any] = {}  # what was chosen, for the summary
        self.aside: dict[str, torch.Tensor] = {}  # the map, while the net learns alone

    def under(self, target: TargetSpec | None, *, fresh: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """What is added to the net's outputs while it learns, of training and of validation, [n, K, 1] each.

        The map is solved for `target`, unless that is None; `fresh`: the head has learned nothing yet.
        """
        data, wide = self.data, self.wide
        if target is None:
            return wide.says_of(data.train), wide.says_of(data.val)
        train, self.told = wide.fit(data, target, self.lean)
        val = wide.says_of(data.val)
        if fresh and target.kind != "value" and len(data.train) < wide.features.size:
            self.aside = {name: value.clone() for name, value in wide.state_dict().items()}
            wide.take(0.0, [0.0] * len(self.lean))
            return torch.zeros_like(train), torch.zeros_like(val)
        if fresh:
            self.model.take_of_head(0.0)
        return train, val

    def join(self, state: Mapping[str, torch.Tensor], outputs: Callable[[], torch.Tensor]) -> bool:
        """Put the map beside a net that has learned alone, as much of each as validation wants.

        Parameters
        ----------
        state : the net's weights.
        outputs : gives what the model says of validation with its present weights, [n, K] on the host.

        Returns
        -------
        Whether anything of the net is left.
        """
        self.model.load_state_dict(state)
        net = outputs()
        self.wide.load_state_dict(self.aside)
        closed, y = self.wide.says_of(self.data.val)[:, :, 0], self.data.val.y
        by, kind = torch.tensor(self.lean), self.wide.target.kind
        losses = [loss_of(a * (closed - by) + b * (net - by), y, kind, "") for a, b in SHARES]
        of_map, of_net = SHARES[losses.index(min(losses))]
        self.share(of_map, of_net)
        return of_net > 0

    def share(self, of_map: float, of_net: float) -> None:
        """Put so much of the map beside so much of the net; the map is loaded as it was solved."""
        self.wide.load_state_dict(self.aside)
        self.wide.take(of_map, [(1 - of_map - of_net) * part for part in self.lean])
        self.model.take_of_head(of_net)
        self.told["shares"] = {"closed_form": of_map, "net": of_net}
