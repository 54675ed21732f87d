"""Train the networks of `--backbone pretrained_mlp` on other series, and write their weights.

    python tools/pretrain.py SERIES.csv [--out FILE] [--networks 3] [--seed 0]

SERIES.csv has a line for each step, in order of time: `series` (its name), `period` (steps of its season, 1 for none)
and `value`. The weights that come with the project are of 5,984 series: of the competitions M3, M1, tourism, M4 (hours
and weeks) and NN5, and of the Time Series Data Library; benchmarks/RESULTS.md says which were left out to judge on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/pretrain.py` runs

from backbones.adjustment import adjustment
from backbones.histories import Stack
from backbones.pretrained_mlp import CYCLES, LONGEST, SEEN, STEPS, WEIGHTS, features

ORIGINS = {1: 9, 4: 12, 12: 16}  # of a series, drawn
OTHERS, CYCLES_BEFORE, FEWEST, AHEAD = 9, 2, 12, 4  # origins of other periods; known at each origin, and after it
UNITS, DROPPED, EPOCHS, BATCH, FASTEST = 64, 0.1, 16, 512, 4e-3

Rows = tuple[np.ndarray, np.ndarray]  # features [n, d], and what came [n, STEPS], NaN after a series' end


def rows(y: np.ndarray, period: int, draw: np.random.Generator) -> Rows:
    """What a series y [T] teaches."""
    first = max(FEWEST, CYCLES_BEFORE * period + (AHEAD if period <= FEWEST else 0))
    last = len(y) - AHEAD
    if last < first:
        return np.zeros((0, 0)), np.zeros((0, STEPS))
    end = np.unique(draw.integers(first, last + 1, ORIGINS.get(period, OTHERS)))
    stack = Stack(y[None], np.zeros(len(end), np.int64), end)
    taken_out = adjustment(stack, period)
    seen = features(taken_out.without(stack.last(min(max(CYCLES * period, LONGEST), len(y)))), period, taken_out.ratio)
    nothing = taken_out.put_back(np.zeros((len(end), STEPS)))
    size = taken_out.put_back(np.ones((len(end), STEPS))) - nothing
    came = np.append(y, np.full(STEPS, np.nan))[end[:, None] + np.arange(STEPS)]
    return seen.x, ((came - nothing) / size - seen.last[:, None]) / seen.unit[:, None]


class Network(nn.Module):
    """One network, on features [n, d]."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.line = nn.Linear(SEEN, STEPS)
        self.into, self.within, self.out = nn.Linear(d, UNITS), nn.Linear(UNITS, UNITS), nn.Linear(UNITS, STEPS)
        for start in (self.line.weight, self.line.bias, self.out.weight):
            nn.init.zeros_(start)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.into(torch.cat([torch.asinh(x[:, :SEEN] / 2), x[:, SEEN:]], dim=1)).relu()
        hidden = nn.functional.dropout(hidden, DROPPED, self.training)
        made: torch.Tensor = self.line(x[:, :SEEN] / 4) + 4 * self.out(self.within(hidden).relu())
        return made

    def weights(self) -> dict[str, np.ndarray]:
        """As `pretrained_mlp.steps` takes them."""
        part = {name: value.detach().numpy().T for name, value in self.named_parameters()}
        return {
            "line": part["line.weight"] / 4,
            "shift": part["line.bias"] + 4 * part["out.bias"],
            "into": part["into.weight"],
            "into_shift": part["into.bias"],
            "within": part["within.weight"],
            "within_shift": part["within.bias"],
            "out": 4 * part["out.weight"],
        }


def trained(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, seed: int) -> Network:
    """A network that errs little in absolute terms, each step ahead in multiples of its usual size.

    x [n, d], y [n, STEPS], weight [n] of the rows.
    """
    torch.manual_seed(seed)
    network = Network(x.shape[1])
    there, y = torch.isfinite(y).float(), torch.nan_to_num(y)
    usual = (y.abs() * there).sum(dim=0) / there.sum(dim=0)
    batches = len(x) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-3)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, FASTEST, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        for some in torch.randperm(len(x))[: batches * BATCH].split(BATCH):
            off = (network(x[some]) - y[some]).abs() / usual * there[some]
            loss = (off.sum(dim=1) / there[some].sum(dim=1) * weight[some]).sum() / weight[some].sum()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            rates.step()
    return network.eval()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    draw, parts = np.random.default_rng(args.seed), []
    for (_, period), part in pd.read_csv(args.csv).groupby(["series", "period"], sort=False):
        found = rows(part["value"].to_numpy(float), int(period), draw)
        if len(found[0]):
            parts.append(found)
    x, y = (torch.from_numpy(np.concatenate(of)).float() for of in zip(*parts, strict=True))
    weight = torch.cat([torch.full((len(of),), len(of) ** -0.5) for of, _ in parts])
    kept = [trained(x, y, weight, args.seed + i).weights() for i in range(args.networks)]
    together: dict[str, Any] = {name: np.stack([of[name] for of in kept]).astype(np.float16) for name in kept[0]}
    np.savez_compressed(args.out, **together)
    print(f"{args.networks} networks of {len(x):,} rows, of {len(parts):,} series: {args.out}")


if __name__ == "__main__":
    main()
