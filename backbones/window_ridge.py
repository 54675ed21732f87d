"""Ridge regression of a window's target on the window and its summaries, in closed form.

Values are predicted as they are, or as the change from the target's last value where the window shows it; which, and
how strongly the map is shrunk, validation says. Labels and classes get probabilities from leave-one-out predictions
(preval.py). The sums over windows that determine the map are kept, so that finetuning adds new windows to the old.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from backbones import Hyper, InputSpec
from backbones.features import WindowFeatures
from backbones.fitted import Fitted, loss_of
from backbones.fitting import Fitting
from backbones.preval import Spectrum, solve
from backbones.sums import Standard, Sums
from errors import UsageError

log = logging.getLogger("tsrun")
MOST_KEPT = 1024  # features up to which the sums are kept: 8 MB
MOST = 4096  # features up to which a map is solved for
SCORED = 100_000_000  # numbers of the scores of windows, for leaving one out
FINER = 10.0 ** torch.arange(-7, 2.1, 0.5, dtype=torch.float64)  # strengths for values, times the mean eigenvalue


class WindowRidge(Fitted):
    """`y = weight f(x) + bias` with f the features of windows."""

    in_step = True

    count: torch.Tensor
    sums: torch.Tensor
    gram: torch.Tensor
    chosen: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        if hyper.lookback:
            raise UsageError("lookback is for forecasts", where="--model-args lookback", hint="a shorter --context-len")
        if hyper.norm != "auto":
            log.info("ridge: norm is for forecasts, and changes nothing here")
        whole = inputs.channels * inputs.length <= MOST // 2
        self.features = WindowFeatures(inputs.channels, inputs.length, flat=whole)
        self.map = nn.Linear(self.features.size, self.outputs)
        nn.init.zeros_(self.map.weight)
        nn.init.zeros_(self.map.bias)
        kept = self.features.size + self.outputs if self.features.size <= MOST_KEPT else 0
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("sums", torch.zeros(kept, dtype=torch.float64))
        self.register_buffer("gram", torch.zeros(kept, kept, dtype=torch.float64))
        self.register_buffer("chosen", torch.zeros(2, dtype=torch.float64))  # of values: strength, whether the change

    @property
    def who(self) -> str:
        return "ridge"

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        return self.map(self.features(x))

    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Sum over the windows, solve, choose."""
        if data.goes_on and not len(self.gram):
            log.info("ridge: too many features to keep their sums, so it is fitted to the new windows alone")
        if not (data.goes_on and len(self.gram)):
            self.features.fit(data.train)
        sums = Sums.over(data.train, data.train.y, self.features)
        if data.goes_on and len(self.gram):
            sums = sums.beside(float(self.count), self.sums.cpu(), self.gram.cpu())
        if len(self.gram):
            self.count.fill_(sums.count)
            self.sums.copy_(sums.sums)
            self.gram.copy_(sums.gram)
        standard = sums.standard()
        found = self._value if self.target.kind == "value" else self._probability
        weight, offset, told = found(data, standard)
        raw = weight / standard.scale[:, None]
        self.map.weight.data.copy_(raw.T)
        self.map.bias.data.copy_(offset - standard.mean @ raw)
        return {"windows": len(data.train), "of": len(data.train), **told}

    def _value(self, data: Fitting, standard: Standard) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """The map of standardised features that has the least loss on validation, its offset, and what was chosen."""
        values, vectors = torch.linalg.eigh(standard.xx)
        values = values.clamp_min(0)
        given = float(self.chosen[0]) if data.settled else self.hyper.strength
        strengths = [given] if given else (FINER * values.mean().clamp_min(1e-12)).tolist()
        bases = self._bases(standard.scale)
        if data.settled:
            name = [*bases][int(self.chosen[1])]
            bases = {name: bases[name]}
        tried = [(name, strength) for name in bases for strength in strengths]
        maps = []
        for base in bases.values():
            right = vectors.T @ (standard.xy - standard.xx @ base)
            maps += [vectors @ (right / (values + strength)[:, None]) + base for strength in strengths]
        said = standard.said(data.val, self.features, [(weight, standard.offset) for weight in maps])
        losses = [loss_of(one, data.val.y, "value", data.loss) for one in said]
        best = losses.index(min(losses))
        name, strength = tried[best]
        self.chosen.copy_(torch.tensor([strength, name == "change"]))
        return maps[best], standard.offset, {"strength": strength, "says": name, "val_loss": losses[best]}

    def _bases(self, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the map is shrunk towards: nothing, or the last value of the target; [F, K], standardised features."""
        nothing = torch.zeros(self.features.size, self.outputs, dtype=torch.float64)
        found = {"level": nothing}
        if self.target.channel is not None and self.features.flat:
            place = self.target.channel * self.length + self.length - 1
            last = nothing.clone()
            if torch.isfinite(scale[place]):
                last[place] = self.target.scale * scale[place]
            found["change"] = last
        return found

    def _probability(self, data: Fitting, standard: Standard) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """The map to logits, by leaving out each of the windows, or of a sample of them."""
        part = data.train.sample(max(SCORED // self.features.size, 1), data.seed, self.who)
        spectrum = Spectrum.of_gram(standard.xx, standard.count, lambda: map(standard.of, part.blocks(self.features)))
        found = solve(spectrum, part.y, self.target.kind, standard.xy)
        return found.weight, found.offset, {"strength": found.strength, "loo_loss": found.loss}
