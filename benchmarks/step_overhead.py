"""The trainer's epoch against a bare hand-written loop over the same windows: `python benchmarks/step_overhead.py`.

The bare loop works on windows that were copied out before, and only does index, forward, loss, backward, clip and
step. Both alternate epoch by epoch, so a noisy machine affects both; the ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

import losses
import windows
from backbones import ModelSpec
from backbones.alone import Validation
from backbones.model import build_model
from config import RunConfig
from hardware import Precision
from optim import make_optimizer
from sources.synthetic import demand
from trainer import Trainer
from windows import Windows

LIMIT = 1.05
CONTEXT = 31
LEAST_TURNS = 8
BACKBONES = {"linear": {}, "gru": {}, "llm_ts": {"size": "tiny"}}


def data(rows: int) -> tuple[torch.Tensor, torch.Tensor, windows.Index]:
    """Four channels of synthetic demand, its nonzero label, and every window of it."""
    values = demand(rows, 120, 4, seed=7).astype(np.float32).reshape(4, -1)
    usable = np.ones(values.shape[1], bool)
    offsets = np.arange(rows + 1, dtype=np.int64) * 120
    index = windows.plan(offsets, usable, usable, length=CONTEXT, offset=1)
    return torch.from_numpy(values), torch.from_numpy((values[:1] > 0).astype(np.float32)), index


class Classify:
    """The loss of classify, without the rest of the task."""

    monitor, direction = "pr_auc", "max"
    weight = torch.ones(1)

    def loss(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return losses.bce_soft_f1(outputs, y, 0.5, self.weight)

    def val_metrics(self, outputs: torch.Tensor) -> dict[str, float | None]:  # noqa: ARG002
        return {"pr_auc": None}


@dataclass(frozen=True)
class Case:
    """A model, what it is trained for, and on which windows."""

    make: Callable[[], nn.Module]
    validation: Validation
    over: Windows


def case(name: str, rows: int) -> Case:
    """Classify on synthetic demand."""
    values, targets, index = data(rows)

    spec = ModelSpec(backbone=name, channels=4, length=CONTEXT, outputs=1, horizon=1, head="pool", args=BACKBONES[name])

    def make() -> nn.Module:
        torch.manual_seed(0)
        return build_model(spec)

    return Case(make, Classify(), Windows(values, targets, index))


def bare_epoch(of: Case, config: RunConfig, batch: int) -> Callable[[], None]:
    """An epoch as a person would write it, on windows that were copied out before."""
    *seen, y = of.over.gather(of.over.locate(torch.arange(len(of.over))))
    net = of.make()
    optimizer = make_optimizer(net, config)
    step = 0

    def epoch() -> None:
        nonlocal step
        order = torch.randperm(len(y))
        for part in order[: len(y) // batch * batch].split(batch):
            for group in optimizer.param_groups:
                group["lr"] = config.lr * 0.5 * (1 + math.cos(math.pi * step / 1e6))
            loss = of.validation.loss(net(*(each[part] for each in seen)), y[part])
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), config.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1

    return epoch


def trainer_epoch(of: Case, config: RunConfig) -> tuple[Callable[[], None], int]:
    precision = Precision(torch.device("cpu"))
    trainer = Trainer(of.make(), of.over, of.over, of.validation, config, precision, save=lambda *_: None)
    bar = tqdm(disable=True)

    def epoch() -> None:
        trainer._epoch(bar)
        trainer.progress.step = 0

    return epoch, trainer.batch_size


def compare(of: Case, budget: float, batch: int) -> tuple[float, float, float]:
    """(ms per step in the trainer, ms per step in the bare loop, median ratio)."""
    config = RunConfig(epochs=1000, batch_size=batch, quiet=True)
    ours, size = trainer_epoch(of, config)
    bare = bare_epoch(of, config, size)
    taken: dict[str, list[float]] = {"ours": [], "bare": []}
    end, turn = time.perf_counter() + budget, 0
    while turn < LEAST_TURNS or time.perf_counter() < end:
        pair = [("ours", ours), ("bare", bare)]
        for key, epoch in pair if turn % 2 else reversed(pair):
            started = time.perf_counter()
            epoch()
            taken[key].append(time.perf_counter() - started)
        turn += 1
    steps = {"ours": -(-len(of.over) // size), "bare": len(of.over) // size}
    each = {key: [1e3 * t / steps[key] for t in times[1:]] for key, times in taken.items()}
    ratio = statistics.median(a / b for a, b in zip(each["ours"], each["bare"], strict=True))
    return statistics.median(each["ours"]), statistics.median(each["bare"]), ratio


def report(cases: Mapping[str, Case], seconds: float, batch: int) -> int:
    """Print one line per backbone; 1 if one is over the limit."""
    print(f"{'backbone':<14}{'trainer ms':>12}{'bare ms':>10}{'ratio':>8}   limit {LIMIT}", flush=True)
    worst = 0.0
    for name, of in cases.items():
        ours, bare, ratio = compare(of, seconds, batch)
        worst = max(worst, ratio)
        print(f"{name:<14}{ours:>12.3f}{bare:>10.3f}{ratio:>8.3f}   {'ok' if ratio <= LIMIT else 'OVER'}", flush=True)
    return int(worst > LIMIT)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15, help="time for each backbone")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    return report({name: case(name, given.rows) for name in BACKBONES}, given.seconds, given.batch_size)


if __name__ == "__main__":
    sys.exit(main())
