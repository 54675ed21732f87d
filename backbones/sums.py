"""Sums over windows that determine a linear map of their features, added up in blocks: no table is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

import ranks
from backbones.fitted import outputs_on
from backbones.fitting import BLOCK, Labelled
from backbones.preval import HELD, usable

FARTHEST = torch.finfo(torch.float32).max
Features = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Standard:
    """Sums of standardised features: their products `xx` [F, F], and `xy` [F, K] with targets less their `offset` [K].

    `mean` and `scale` [F] standardise; `scale` is infinite where nothing varies. All are float64, over `count` windows.
    """

    count: float
    mean: torch.Tensor
    scale: torch.Tensor
    xx: torch.Tensor
    xy: torch.Tensor
    offset: torch.Tensor

    def of(self, features: torch.Tensor) -> torch.Tensor:
        """Features [b, F], standardised."""
        mean, scale = (each.float().to(features.device) for each in (self.mean, self.scale))
        return (features - mean) / scale

    def said(
        self, windows: Labelled, features: Features, maps: Sequence[tuple[torch.Tensor, torch.Tensor]]
    ) -> Iterator[torch.Tensor]:
        """What each of the maps, weights [F, K] of standardised features and offsets [K], says of windows: [n, K]."""
        outputs = len(maps[0][1])
        at_once = max(HELD // (len(windows) * outputs), 1)
        for begin in range(0, len(maps), at_once):
            some = maps[begin : begin + at_once]
            weight, offset = torch.cat([w for w, _ in some], dim=1).float(), torch.cat([b for _, b in some]).float()

            def answer(x: torch.Tensor, weight: torch.Tensor = weight, offset: torch.Tensor = offset) -> torch.Tensor:
                return self.of(features(x)) @ weight.to(x.device) + offset.to(x.device)

            yield from outputs_on(windows, answer, max(BLOCK // len(self.mean), 1)).split(outputs, dim=1)


@dataclass(frozen=True)
class Sums:
    """Over `count` windows: of z, the F features of a window and its K targets, and of z z'.

    `sums` [F + K] and `gram` [F + K, F + K] are float64; `low` and `high` [F] are the ends of the features' ranges.
    """

    count: float
    sums: torch.Tensor
    gram: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    @classmethod
    def over(cls, windows: Labelled, y: torch.Tensor, features: Features) -> Sums:
        """Over all windows and their targets y [n, K]; each of several processes adds up a share of them."""
        together, width = ranks.sharing(), windows.width(features)
        size = width + y.shape[1]
        total = torch.zeros(1 + size, size, dtype=torch.float64)
        low, high = torch.full((width,), FARTHEST), torch.full((width,), -FARTHEST)
        for part in torch.arange(*together.part(len(windows))).split(max(BLOCK // size, 1)):
            z = features(windows.read(part)).float().cpu()
            low, high = torch.minimum(low, z.amin(0)), torch.maximum(high, z.amax(0))
            z = torch.cat([z.double(), y[part].double()], dim=1)
            total[0] += z.sum(0)
            total[1:] += z.T @ z
        ends = torch.zeros(together.world, 2, width, dtype=torch.float64)
        ends[together.rank] = torch.stack([low, high])
        whole = torch.from_numpy(together.summed(torch.cat([total.flatten(), ends.flatten()]).numpy()))
        total, ends = whole[: total.numel()].view_as(total), whole[total.numel() :].view_as(ends)
        return cls(float(len(windows)), total[0], total[1:], ends[:, 0].amin(0).float(), ends[:, 1].amax(0).float())

    def beside(self, count: float, sums: torch.Tensor, gram: torch.Tensor) -> Sums:
        """These, and those of other windows."""
        return replace(self, count=self.count + count, sums=self.sums + sums, gram=self.gram + gram)

    def standard(self) -> Standard:
        """The same of standardised features."""
        cut, mean = len(self.low), self.sums / self.count
        centred = self.gram / self.count - torch.outer(mean, mean)
        scale = usable(centred.diagonal()[:cut].clamp_min(0).sqrt(), mean[:cut])
        xx = self.count * centred[:cut, :cut] / torch.outer(scale, scale)
        xy = self.count * centred[:cut, cut:] / scale[:, None]
        return Standard(self.count, mean[:cut], scale, xx, xy, mean[cut:])
