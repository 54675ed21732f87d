"""Backbones that are fitted to windows in place of training epochs: what they share.

`x [B, C, T] -> y [B, K, 1]` in the units of `TargetSpec`: a standardised value, a logit, or log-probabilities.
"""

from __future__ import annotations

import copy
import math
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

import ranks
from backbones import Hyper, InputSpec, TargetSpec
from backbones.base import Backbone
from backbones.fitting import Fitting, Labelled

LEAST = 1e-6  # a probability that is never gone below
CELLS = 100_000_000  # numbers of a table of features: 400 MB
TRIED = (500, 2000)  # windows on which it is tried how long a fit takes
SLOWER = 1.2  # a fit to many windows takes more for each of them


class Fitted(Backbone):
    """A subclass has `fit_windows`, and an `answer` that makes outputs [B, K] of windows."""

    heads: tuple[str, ...] = ("pool",)
    pool = "last"
    causal = True
    answers = True
    closed_form = True
    target: TargetSpec

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        assert inputs.target is not None, "nothing is asked for"
        self.target = inputs.target
        self.channels, self.length, self.outputs = inputs.channels, inputs.length, inputs.target.outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.answer(x)[:, :, None]

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs [B, K] of windows x [B, C, T]."""
        raise AssertionError(f"{type(self).__name__} has no answer")

    @property
    def who(self) -> str:
        """The backbone's registered name, for messages."""
        return type(self).__module__.rpartition(".")[2]

    def as_outputs(self, share: torch.Tensor) -> torch.Tensor:
        """Probabilities [B, K] (or values, which stay) in the units of the outputs."""
        return as_outputs(share, self.target.kind)

    def fit_in_time(self, data: Fitting) -> dict[str, Any]:
        """`fit_windows`, on as many windows of training as `data.seconds` allow, which is said."""
        if data.seconds == math.inf:
            return self.fit_windows(data)
        begun = now()
        most = affordable(data, lambda part: copy.deepcopy(self).fit_windows(part))
        train = data.train.sample(most, data.seed, f"{self.who}, for --budget")
        left = data.seconds - (now() - begun)
        told = self.fit_windows(replace(data, train=train, seconds=left))
        return told if len(train) == len(data.train) else {**told, "of": len(data.train)}

    def last(self, x: torch.Tensor) -> torch.Tensor:
        """The target's last value in windows [B, C, T], in the target's units [B, 1]; it must be an input."""
        return last_of(self.target, x)

    def sampled(self, train: Labelled, width: int, seed: int) -> Labelled:
        """Training windows as far as a table of `width` columns fits into memory: all, or a sample, which is said."""
        return train.sample(max(CELLS // width, 1), seed, self.who)


class Described(Fitted):
    """A learner on features that know nothing of the targets: made once, they serve many fits (out of fold).

    A subclass makes the features (`prepare`, `describe`), fits to them (`solve`) and answers by them (`say`).
    """

    @property
    @abstractmethod
    def width(self) -> int:
        """F, the number of features, or about it where `prepare` decides."""

    @abstractmethod
    def describe(self, x: torch.Tensor) -> torch.Tensor:
        """The features [B, F] of windows [B, C, T]."""

    @abstractmethod
    def say(self, features: torch.Tensor) -> torch.Tensor:
        """The outputs [B, K] for features [B, F]; of a value whose last is seen, its change from that."""

    @abstractmethod
    def prepare(self, windows: Labelled, seed: int) -> np.ndarray:
        """Learn what the features need from windows, and return those of all n of them: float32 [n, F], on the host."""

    @abstractmethod
    def solve(self, table: np.ndarray, train: Labelled, data: Fitting) -> dict[str, Any]:
        """Fit to the features [n, F] of `train`, which `prepare` gave; `data` has the seed, the loss and `goes_on`."""

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        said = self.say(self.describe(x))
        return said if self.target.channel is None else said + self.last(x)

    def rest(self, train: Labelled) -> torch.Tensor:
        """What is to be said of windows [n, K]: their targets, or what these are more than the last value."""
        return train.y if self.target.channel is None else train.y - outputs_on(train, self.last)


def as_outputs(share: torch.Tensor, kind: str) -> torch.Tensor:
    """Probabilities [B, K] as outputs of a kind: log-probabilities of classes, logits of labels; values stay."""
    if kind == "value":
        return share
    return share.clamp_min(LEAST).log() if kind == "class" else share.clamp(LEAST, 1 - LEAST).logit()


def last_of(target: TargetSpec, x: torch.Tensor) -> torch.Tensor:
    """The target's last value in windows x [B, C, T], in the target's units [B, 1]; it must be an input."""
    assert target.channel is not None
    return x[:, target.channel, -1:] * target.scale + target.shift


def now() -> float:
    """Seconds on a clock that all processes which fit together read alike."""
    return ranks.sharing().agreed(time.perf_counter())


def affordable(data: Fitting, fit: Callable[[Fitting], Any]) -> int:
    """How many windows of training `fit` takes in `data.seconds`: some of it whatever the windows, the rest with them,
    as two trials on few windows show."""
    n, begun = len(data.train), now()
    took: list[float] = []
    for tried in TRIED:
        left = data.seconds - (now() - begun)
        if tried >= n or (took and took[0] * tried / TRIED[0] > left):
            break
        before = now()
        fit(replace(data, train=data.train.part(_spread(n, tried)), keep=None))
        took.append(now() - before)
    if not took:
        return n
    each = max((took[-1] - took[0]) / (TRIED[1] - TRIED[0]) if len(took) > 1 else took[0] / TRIED[0], 1e-9)
    always = took[-1] - each * TRIED[len(took) - 1]
    left = data.seconds - (now() - begun)
    return min(n, max(TRIED[0], int((left - always) / (each * SLOWER))))


def _spread(n: int, count: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, count).astype(np.int64))


def classes_of(y: torch.Tensor) -> np.ndarray:
    """The class of each window [n], from one-hot y [n, K]."""
    found: np.ndarray = y.argmax(1).numpy()
    return found


def loss_of(outputs: torch.Tensor, y: torch.Tensor, kind: str, loss: str) -> float:
    """The mean loss of outputs [n, K]: log-loss of labels and classes; of values |error|, or its square for "mse"."""
    if kind == "class":
        return float(torch.nn.functional.cross_entropy(outputs.double(), y.double()))
    if kind == "label":
        return float(torch.nn.functional.binary_cross_entropy_with_logits(outputs.double(), y.double()))
    error = (outputs - y).double()
    return float(error.square().mean() if loss == "mse" else error.abs().mean())


@torch.no_grad()
def outputs_on(windows: Labelled, answer: Callable[[torch.Tensor], torch.Tensor], batch: int = 4096) -> torch.Tensor:
    """What `answer` gives for all windows, in batches: [n, K] on the host."""
    together = ranks.sharing()
    begin, end = together.slice(len(windows))
    found: torch.Tensor | None = None
    for part in torch.arange(begin, end).split(batch):
        said = answer(windows.read(part)).float().cpu()
        # In place: small results that are kept among large ones that go keep the heap from being used again.
        found = torch.empty(end - begin, *said.shape[1:]) if found is None else found
        found[part[0] - begin : part[0] - begin + len(part)] = said
    assert found is not None, "there are no windows"
    return together.joined(found, len(windows))
