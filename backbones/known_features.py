"""What trees see of a window and a step ahead of it, where something is known beside the past of the targets.

All in tensors whose places are kept, not counted out, so that a model of them goes into a graph.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from backbones import ForecastSpec
from backbones.boosted_lags import LAGS
from backbones.covariates import numbers_of
from backbones.histories import STILL

OTHERS = 24  # channels whose last steps are seen, at most
ROUND = 8  # covariates, up to which the step before and the step after are seen too
NO_SEASON = 3  # steps whose mean is seen where there is no season, and twice as many


class KnownFeatures(nn.Module):
    """Windows [n, C, T], what is known [n, M + F, T + H] and k steps of each, int64 [n, k], counted from 0 ->

    features [K * n * k, width], target by target, the step last; where each forecast starts [K, n, k]; and the
    deviation of each window's changes [K, n], 0 where nothing changes.

    In the state: places in the window by step, `same [H]` of the last season, `near [4, H]` beside it, `start [H]`
    where forecasts start; `before [1]`, a season before the last step; `means [2, T]` over one season and two;
    `chosen`, the other channels that are seen.
    """

    same: torch.Tensor
    near: torch.Tensor
    start: torch.Tensor
    before: torch.Tensor
    means: torch.Tensor
    chosen: torch.Tensor

    def __init__(self, spec: ForecastSpec, channels: int, length: int) -> None:
        super().__init__()
        self.spec, self.length = spec, length
        self.others = numbers_of(spec.targets, channels)
        for name in ("same", "near", "start", "before", "means"):
            self.register_buffer(name, torch.zeros(0))
        self.register_buffer("chosen", torch.tensor(self.others[:OTHERS], dtype=torch.long))
        self.see_season(1, seasonal=False)

    def see_season(self, period: int, *, seasonal: bool) -> None:
        """See a season of so many steps, 1 for none; forecasts start from the last one's step, or the last step."""
        last = self.length - 1
        same = self.length - period + torch.arange(self.spec.horizon) % period
        self.same, self.start = same, same if seasonal else torch.full_like(same, last)
        near = torch.stack([same - 1, same + 1, same - period, same - 2 * period])
        self.near, self.before = near.clamp(0, last), torch.tensor([max(last - period, 0)])
        span = period if period > 1 else NO_SEASON
        self.means = torch.zeros(2, self.length)
        for i, steps in enumerate((span, 2 * span)):
            self.means[i, -steps:] = 1 / min(steps, self.length)

    def forward(
        self, x: torch.Tensor, known: torch.Tensor | None, steps: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        beside = self._beside(x, known, steps)
        poison = 0 * x.sum(dim=(1, 2)) + (0 if known is None else 0 * known.sum(dim=(1, 2)))
        tables, starts, units = [], [], []
        for target in self.spec.targets:
            table, start, unit = self._of_target(x[:, target], steps)
            tables.append(torch.cat([*beside, *table, steps[..., None].to(x.dtype)], dim=2).flatten(0, 1))
            starts.append(start)
            units.append(unit + poison)  # a missing value anywhere in a window leaves no answer
        return torch.cat(tables), torch.stack(starts), torch.stack(units)

    def _of_target(self, y: torch.Tensor, steps: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Of the window of a target [n, T]: columns [n, k, *], start [n, k], unit [n]."""
        n, k = steps.shape
        unit = ((y[:, 1:] - y[:, :-1]) ** 2).mean(dim=1).sqrt()
        unit = torch.where((y - y.mean(dim=1, keepdim=True)).abs().amax(dim=1) <= STILL, 0.0, unit)
        per = torch.where(unit == 0, 1.0, unit)[:, None]
        last, same = y[:, -1:], y.gather(1, self.same[steps])
        fixed = [y[:, -1 - LAGS : -1] - last, y @ self.means.T - last, last - y.index_select(1, self.before)]
        moving = [same - last, *(y.gather(1, places[steps]) - same for places in self.near)]
        columns = [(part / per)[:, None].expand(n, k, part.shape[1]) for part in fixed]
        columns += [(part / per)[..., None] for part in moving]
        return columns, y.gather(1, self.start[steps]), unit

    def _beside(self, x: torch.Tensor, known: torch.Tensor | None, steps: torch.Tensor) -> list[torch.Tensor]:
        """What all targets see, [n, k, *] each."""
        found: list[torch.Tensor] = []
        if known is not None:
            marks = self.spec.marks
            last = self.length + self.spec.horizon - 1
            found.append(_at(known, self.length + steps))
            found.append(found[0][..., marks:] - _at(known[:, marks:], self.start[steps]))
            if 0 < self.spec.covariates <= ROUND:
                for shift in (-1, 1):
                    found.append(_at(known[:, marks:], (self.length + steps + shift).clamp(max=last)))
        if len(self.chosen):
            others = x.index_select(1, self.chosen)
            for part in (others[..., -1], others[..., -1] - others @ self.means[0]):
                found.append(part[:, None].expand(*steps.shape, part.shape[1]))
        return found


def _at(rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Rows [n, F, m] at places [n, k] of each window, [n, k, F]."""
    return rows.gather(2, places[:, None].expand(-1, rows.shape[1], -1)).transpose(1, 2)


def shown(stretch: torch.Tensor | np.ndarray, begin: np.ndarray, steps: int) -> torch.Tensor:
    """Windows of so many steps of a stretch [C, n] that begin at the given ones, float32 [windows, C, steps]."""
    at = torch.from_numpy(begin[:, None] + np.arange(steps))
    return torch.as_tensor(stretch).float().cpu()[:, at].transpose(0, 1)
