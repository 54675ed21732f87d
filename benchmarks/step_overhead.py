"""The trainer's epoch against a bare hand-written loop over the same windows: `python benchmarks/step_overhead.py`.

The bare loop has its windows copied out beforehand and does nothing but index, forward, loss, backward, clip and
step. Both take turns, epoch by epoch, so that a noisy machine troubles both; the ratio is the median over the turns.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

import losses
import windows
from backbones import _model
from config import RunConfig
from hardware import Precision
from sources.synthetic import demand
from trainer import Trainer, make_optimizer
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


class Task:
    """The loss of classify, without the rest of the task."""

    monitor, direction = "pr_auc", "max"
    weight = torch.ones(1)

    def loss(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return losses.bce_soft_f1(outputs, y, 0.5, self.weight)

    def watch(self, outputs: torch.Tensor) -> dict[str, float | None]:  # noqa: ARG002
        return {"pr_auc": None}


def model(name: str) -> nn.Module:
    torch.manual_seed(0)
    return _model.build(name, 4, CONTEXT, outputs=1, horizon=1, head="pool", args=BACKBONES[name])


def bare_epoch(name: str, over: Windows, config: RunConfig, batch: int) -> Callable[[], None]:
    """An epoch as a person would write it, on windows copied out beforehand."""
    x, y = over.gather(over.locate(torch.arange(len(over))))
    net, task = model(name), Task()
    optimizer = make_optimizer(net, config)
    step = 0

    def epoch() -> None:
        nonlocal step
        order = torch.randperm(len(x))
        for part in order[: len(x) // batch * batch].split(batch):
            for group in optimizer.param_groups:
                group["lr"] = config.lr * 0.5 * (1 + math.cos(math.pi * step / 1e6))
            loss = task.loss(net(x[part]), y[part])
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), config.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1

    return epoch


def trainer_epoch(name: str, over: Windows, config: RunConfig) -> tuple[Callable[[], None], int]:
    trainer = Trainer(model(name), over, over, Task(), config, Precision(torch.device("cpu")), save=lambda *_: None)
    bar = tqdm(disable=True)

    def epoch() -> None:
        trainer._epoch(bar)
        trainer.progress.step = 0

    return epoch, trainer.batch_size


def compare(name: str, rows: int, budget: float, batch: int) -> tuple[float, float, float]:
    """(ms a step in the trainer, ms a step in the bare loop, median ratio)."""
    values, targets, index = data(rows)
    over = Windows(values, targets, index)
    config = RunConfig(epochs=1000, batch_size=batch, quiet=True)
    ours, size = trainer_epoch(name, over, config)
    bare = bare_epoch(name, over, config, size)
    taken: dict[str, list[float]] = {"ours": [], "bare": []}
    end, turn = time.perf_counter() + budget, 0
    while turn < LEAST_TURNS or time.perf_counter() < end:
        pair = [("ours", ours), ("bare", bare)]
        for key, epoch in pair if turn % 2 else reversed(pair):
            started = time.perf_counter()
            epoch()
            taken[key].append(time.perf_counter() - started)
        turn += 1
    steps = {"ours": -(-len(over) // size), "bare": len(over) // size}
    each = {key: [1e3 * t / steps[key] for t in times[1:]] for key, times in taken.items()}
    ratio = statistics.median(a / b for a, b in zip(each["ours"], each["bare"], strict=True))
    return statistics.median(each["ours"]), statistics.median(each["bare"]), ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15, help="time for each backbone")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{'backbone':<10}{'trainer ms':>12}{'bare ms':>10}{'ratio':>8}   limit {LIMIT}")
    worst = 0.0
    for name in BACKBONES:
        ours, bare, ratio = compare(name, given.rows, given.seconds, given.batch_size)
        worst = max(worst, ratio)
        print(f"{name:<10}{ours:>12.3f}{bare:>10.3f}{ratio:>8.3f}   {'ok' if ratio <= LIMIT else 'OVER'}")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
