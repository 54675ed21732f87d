"""What a backbone that is fitted to windows gets: windows that it reads in batches, and their targets."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import ranks

log = logging.getLogger("tsrun")
CELLS = 1 << 23  # numbers of a table that are made at once, before they go to the host
BLOCK = 1 << 19  # numbers of features that are made where they are looked at and not kept
RARE = 0.1  # share of a label
SURE, SURE_OF_EACH = 50, 10  # windows, and of each class, from which on a choice is made on validation


@dataclass(frozen=True)
class Labelled:
    """n windows and their targets.

    Parameters
    ----------
    read : numbers int64 [B], from 0 to n - 1 -> the windows x [B, C, T], on the device of the data.
    y : what the loss gets, float32 [n, K] on the host: standardised values, or 0 and 1.
    groups : int64 [n]; windows of one group (a row, or a group of rows) are no independent witnesses.
    """

    read: Callable[[torch.Tensor], torch.Tensor]
    y: torch.Tensor
    groups: np.ndarray

    def __len__(self) -> int:
        """n."""
        return len(self.y)

    @property
    def device(self) -> torch.device:
        """Where the windows are read to."""
        return self.read(torch.arange(1)).device

    @property
    def witnesses(self) -> int:
        """How many groups there are."""
        return len(np.unique(self.groups))

    def plenty(self, kind: str) -> bool:
        """Whether there are enough to choose by: windows, and of each class (of a label, on either side)."""
        if kind == "value":
            return len(self) >= SURE
        true = self.y.sum(0)
        fewest = true if kind == "class" else torch.minimum(true, len(self) - true)
        return len(self) >= SURE and int(fewest.min()) >= SURE_OF_EACH

    def telling(self, kind: str) -> bool:
        """Whether there are enough to weigh members by: windows, and of two classes (of a label, on either side)."""
        if kind != "class":
            return self.plenty(kind)
        return len(self) >= SURE and int(self.y.sum(0).sort().values[-2]) >= SURE_OF_EACH

    @torch.no_grad()
    def table(self, features: Callable[[torch.Tensor], torch.Tensor], numbers: np.ndarray | None = None) -> np.ndarray:
        """`features` of the windows (or of those with these `numbers`), made in batches: float32 [n, F]."""
        chosen = torch.arange(len(self)) if numbers is None else torch.from_numpy(numbers)
        together = ranks.sharing()
        begin, end = together.slice(len(chosen))
        return together.joined(torch.from_numpy(self.made(features, chosen[begin:end])), len(chosen)).numpy()

    @torch.no_grad()
    def made(self, features: Callable[[torch.Tensor], torch.Tensor], chosen: torch.Tensor) -> np.ndarray:
        """The same of the windows with these numbers, by this process alone."""
        first = features(self.read(chosen[:1]))
        table = np.empty((len(chosen), first.shape[1]), np.float32)
        step = max(CELLS // max(first.shape[1], 1), 1)
        for begin in range(0, len(chosen), step):
            table[begin : begin + step] = features(self.read(chosen[begin : begin + step])).float().cpu().numpy()
        return table

    def width(self, features: Callable[[torch.Tensor], torch.Tensor]) -> int:
        """F, how many `features` a window has."""
        return int(features(self.read(torch.arange(1))).shape[1])

    def blocks(self, features: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[torch.Tensor]:
        """`features` of all windows, some windows after the others: float32 [b, F], on the host."""
        together = ranks.sharing()
        for part in torch.arange(len(self)).split(max(BLOCK // self.width(features), 1)):
            own = part[slice(*together.slice(len(part)))]
            yield together.joined(features(self.read(own)).float().cpu(), len(part))

    def part(self, numbers: np.ndarray) -> Labelled:
        """The windows with these numbers."""
        where = torch.from_numpy(numbers)
        return Labelled(lambda n: self.read(where[n]), self.y[where], self.groups[numbers])

    def sample(self, most: int, seed: int, who: str) -> Labelled:
        """These windows, or a random sample of `most`, in order, where there are more, which is said in one line."""
        if len(self) <= most:
            return self
        log.info("%s: fitted to a random sample of %s of %s windows", who, f"{most:,}", f"{len(self):,}")
        return self.part(np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False)))


@dataclass(frozen=True)
class Fitting:
    """What `Backbone.fit_windows` gets.

    Parameters
    ----------
    train, val : windows and targets of both parts.
    seed : fixes everything that is random.
    loss : of values, "l1", "mse" or "huber"; empty for other kinds.
    goes_on : the backbone knows something already (finetuning), and is to learn these windows too.
    refit : validation may be learned from in the end: there is a test part to judge on. A backbone that does so returns
        as "held_out" what it says of validation's windows where it had not seen them, [n, K].
    settled : the backbone has been fitted before, and what validation chose then holds: it is part of training now.
    seconds : how long fitting may take.
    done : what an interrupted run had kept last: what each member said of windows that it had not seen, [n, K] by name;
        the weights of these members are there already.
    keep : called after each member with the same of all that are finished; it saves them with the weights.
    """

    train: Labelled
    val: Labelled
    seed: int
    loss: str = ""
    goes_on: bool = False
    refit: bool = False
    settled: bool = False
    seconds: float = math.inf
    done: Mapping[str, torch.Tensor] = field(default_factory=dict)
    keep: Callable[[Mapping[str, torch.Tensor]], None] | None = None


def thin(val: Labelled, kind: str, rates: Sequence[float], *, epochs: bool = True) -> dict[str, Any]:
    """How thin validation is, where an epoch or a threshold that is chosen on it would be noise; {} where it is not.

    Parameters
    ----------
    val : its windows.
    kind : of their targets, as in TargetSpec.
    rates : of labels and classes, the share in training that is true. The best threshold of a rare one is far from .5,
        and a few cases on validation tell more than that.
    epochs : there are epochs to choose from.

    Returns
    -------
    {"windows", "default_threshold": whether tau is better not chosen}, which is said in one line if anything follows
    from it; without epochs {} where only they would be better not chosen.
    """
    if val.plenty(kind):
        return {}
    rare = kind == "label" and len(val) >= SURE and any(min(rate, 1 - rate) < RARE for rate in rates)
    default = kind != "value" and not rare
    few = f"{len(val)} windows" + ("" if len(val) < SURE else f", fewer than {SURE_OF_EACH} of a class")
    if not (epochs or default):
        return {}
    told = ["the weights of the last third of the epochs are averaged"] * epochs
    told += ["tau is not chosen on them"] * (default and kind == "label")  # of classes the likeliest counts
    if told:
        log.info("validation has %s: %s", few, ", and ".join(told))
    return {"windows": len(val), "default_threshold": default}


def joined(one: Labelled, other: Labelled) -> Labelled:
    """The windows of both, those of `one` first."""
    n = len(one)

    def read(numbers: torch.Tensor) -> torch.Tensor:
        first, second = numbers < n, numbers >= n
        parts = [
            part.read(chosen) for part, chosen in ((one, numbers[first]), (other, numbers[second] - n)) if len(chosen)
        ]
        order = torch.cat([first.nonzero().view(-1), second.nonzero().view(-1)])
        whole = torch.cat(parts)
        return whole[order.argsort().to(whole.device)]

    return Labelled(read, torch.cat([one.y, other.y]), np.concatenate([one.groups, other.groups]))
