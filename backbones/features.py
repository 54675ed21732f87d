"""A window as one row of features: every step of every channel, and summaries of each channel.

`x [B, C, T] -> [B, F]`. Per channel the summaries are the last value; over the last w steps, w in 3, 6, 12, 24 and T:
mean, standard deviation, minimum, maximum, least-squares slope, and the last value less the mean; weighted means whose
weights decay by 1 - alpha a step, alpha in .1, .3 and .6; the share of steps above the channel's minimum in training,
and the steps since the last step above it (T if there is none). The cost is linear in T.

Sums and comparisons alone, no matrix product: autocast leaves them in float32, so that a threshold means the same in
training, in use and in an exported graph.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import torch
from torch import nn

from backbones.fitting import BLOCK, Labelled

SPANS = (3, 6, 12, 24)
DECAYS = (0.1, 0.3, 0.6)
RECENT, AGEING = 13, 1.5  # steps kept as they are where older ones are averaged, and how their widths grow
ABOVE = 1e-4  # standard deviations above the minimum that count as above it: rounding must not decide


class WindowFeatures(nn.Module):
    """The features of windows of one size; `fit` learns the channels' minima, and nothing else is learned.

    Parameters
    ----------
    channels, length : C and T.
    flat, summaries : which parts to give; at least one.
    aged : of the steps, older ones as means over ever more of them.
    """

    minimum: torch.Tensor
    decay: torch.Tensor

    def __init__(
        self, channels: int, length: int, *, flat: bool = True, summaries: bool = True, aged: bool = False
    ) -> None:
        super().__init__()
        assert flat or summaries
        self.length, self.flat, self.summaries = length, flat, summaries
        self.ages = list(pairwise(accumulate(ageing(length), initial=0))) if aged else []
        self.spans = sorted({min(span, length) for span in SPANS} | {length})
        each = 3 + 6 * len(self.spans) + len(DECAYS)
        self.size = channels * ((len(self.ages) or length) * flat + each * summaries)
        self.register_buffer("minimum", torch.zeros(channels))
        ages = torch.arange(length - 1, -1, -1, dtype=torch.float64)
        weights = torch.stack([(1 - alpha) ** ages for alpha in DECAYS])
        self.register_buffer("decay", (weights / weights.sum(1, keepdim=True)).float(), persistent=False)

    @torch.no_grad()
    def fit(self, train: Labelled) -> None:
        """Learn the channels' minima over the windows of training."""
        self.minimum.fill_(torch.inf)
        for part in torch.arange(len(train)).split(max(BLOCK // (len(self.minimum) * self.length), 1)):
            torch.minimum(self.minimum, train.read(part).amin(dim=(0, 2)), out=self.minimum)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = torch.stack([x[:, :, begin:end].mean(2) for begin, end in self.ages], 2) if self.ages else x
        parts = [steps.flatten(1)] if self.flat else []
        if self.summaries:
            last = x[:, :, -1]
            parts.append(last)
            for span in self.spans:
                parts += self._over(x[:, :, -span:], last)
            parts += [(x * weights).sum(2) for weights in self.decay]
            above = x > (self.minimum + ABOVE)[:, None]
            place = torch.arange(1, self.length + 1, device=x.device, dtype=x.dtype)
            newest = torch.where(above, place, torch.zeros_like(place)).amax(2)
            parts += [above.to(x.dtype).mean(2), self.length - newest]
        return torch.cat(parts, dim=1)

    @staticmethod
    def _over(x: torch.Tensor, last: torch.Tensor) -> list[torch.Tensor]:
        """The six summaries of `x [B, C, w]`, each [B, C]."""
        mean = x.mean(2)
        centred = x - mean[:, :, None]
        place = torch.arange(x.shape[2], device=x.device, dtype=x.dtype)
        place = place - (x.shape[2] - 1) / 2
        slope = (centred * place).sum(2) / place.square().sum().clamp_min(0.5)
        return [mean, centred.square().mean(2).sqrt(), x.amin(2), x.amax(2), slope, last - mean]


def ageing(length: int) -> list[int]:
    """Of how many steps of a window each number is the mean, oldest first: the last `RECENT` steps by themselves,
    before them means of ever more."""
    widths = [1] * min(RECENT, length)
    while (left := length - sum(widths)) > 0:
        widths.append(min(max(int(widths[-1] * AGEING), widths[-1] + 1), left))
    return widths[::-1]
