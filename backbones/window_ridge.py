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

import ranks
from backbones import Hyper, InputSpec
from backbones.features import WindowFeatures
from backbones.fitted import Fitted, loss_of
from backbones.fitting import Fitting, Labelled
from backbones.preval import Spectrum, solve, usable
from errors import UsageError

log = logging.getLogger("tsrun")
MOST_KEPT = 1024  # features up to which the sums are kept: 8 MB
MOST = 4096  # features up to which a map is solved for
BATCH = 8192  # windows whose features are held at once
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
        count, sums, gram = self._sums(data.train)
        if data.goes_on and len(self.gram):
            count, sums, gram = count + float(self.count), sums + self.sums.cpu(), gram + self.gram.cpu()
        if len(self.gram):
            self.count.fill_(count)
            self.sums.copy_(sums)
            self.gram.copy_(gram)
        cut = self.features.size
        mean = sums / count
        centred = gram / count - torch.outer(mean, mean)
        scale = usable(centred.diagonal()[:cut].clamp_min(0).sqrt(), mean[:cut])
        xx = count * centred[:cut, :cut] / torch.outer(scale, scale)
        xy = count * centred[:cut, cut:] / scale[:, None]
        found = self._value if self.target.kind == "value" else self._probability
        weight, offset, told = found(data, xx, xy, mean, scale)
        raw = weight / scale[:, None]
        self.map.weight.data.copy_(raw.T)
        self.map.bias.data.copy_(offset - mean[:cut] @ raw)
        return {"windows": len(data.train), "of": len(data.train), **told}

    def _sums(self, train: Labelled) -> tuple[float, torch.Tensor, torch.Tensor]:
        """The number of windows, and over them the sums of z and of z z', z being features and target."""
        size = self.features.size + self.outputs
        sums, gram = torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64)
        together = ranks.sharing()
        for part in torch.arange(*together.part(len(train))).split(BATCH):
            z = torch.from_numpy(train.made(self.features, part)).double()
            z = torch.cat([z, train.y[part].double()], dim=1)
            sums += z.sum(0)
            gram += z.T @ z
        found = torch.from_numpy(together.summed(torch.cat([sums[None], gram]).numpy()))
        return float(len(train)), found[0], found[1:]

    def _value(
        self, data: Fitting, xx: torch.Tensor, xy: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """The map of standardised features that has the least loss on validation, its offset, and what was chosen."""
        cut = self.features.size
        values, vectors = torch.linalg.eigh(xx)
        values = values.clamp_min(0)
        x = torch.from_numpy(data.val.table(self.features))
        x = ((x - mean[:cut].float()) / scale.float()) @ vectors.float()
        given = float(self.chosen[0]) if data.settled else self.hyper.strength
        strengths = [given] if given else (FINER * values.mean().clamp_min(1e-12)).tolist()
        bases = self._bases(scale)
        if data.settled:
            name = [*bases][int(self.chosen[1])]
            bases = {name: bases[name]}
        best: tuple[float, torch.Tensor, dict[str, Any]] | None = None
        for name, base in bases.items():
            right = vectors.T @ (xy - xx @ base)
            for strength in strengths:
                turned = right / (values + strength)[:, None] + vectors.T @ base
                loss = loss_of(x @ turned.float() + mean[cut:].float(), data.val.y, "value", data.loss)
                if best is None or loss < best[0]:
                    best = loss, vectors @ turned, {"strength": strength, "says": name, "val_loss": loss}
        assert best is not None
        self.chosen.copy_(torch.tensor([best[2]["strength"], best[2]["says"] == "change"]))
        return best[1], mean[cut:], best[2]

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

    def _probability(
        self, data: Fitting, xx: torch.Tensor, xy: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """The map to logits, by leaving out each of the windows, or of a sample of them."""
        cut = self.features.size
        part = data.train.sample(max(SCORED // cut, 1), data.seed, self.who)
        x = torch.from_numpy(part.table(self.features))
        spectrum = Spectrum.of_gram(xx, (x - mean[:cut].float()) / scale.float(), float(self.count))
        right = 2 * spectrum.vectors.double().T @ xy  # of targets -1 and 1
        found = solve(spectrum, part.y, self.target.kind, right)
        return found.weight, found.offset, {"strength": found.strength, "loo_loss": found.loss}
