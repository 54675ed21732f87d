"""Training speed of four backbones in three ways, on the device of this machine: `python benchmarks/gpu.py`.

Windows per second through the trainer's own epoch: eager float32, with --amp, with --amp --compile reduce-overhead.
On CUDA the last column is the share of an epoch in which no kernel ran: the work around the model. Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from tqdm import tqdm

import windows
from backbones import ModelSpec
from backbones.model import build_model
from benchmarks.step_overhead import CONTEXT, Classify, data
from config import RunConfig
from hardware import Precision, device_name, pick_device
from trainer import Trainer
from windows import Windows

BACKBONES = ("llm_ts", "gru", "ttm", "linear")
WAYS: dict[str, dict[str, Any]] = {
    "float32": {},
    "+ amp": {"amp": True},
    "+ compile": {"amp": True, "compile": "reduce-overhead"},
}


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def trainer_of(name: str, over: Windows, config: RunConfig, device: torch.device) -> Trainer:
    torch.manual_seed(0)
    spec = ModelSpec(backbone=name, channels=over.shape[0], length=CONTEXT, outputs=1, horizon=1, head="pool")
    model = build_model(spec).to(device)
    task = Classify()
    task.weight = torch.ones(1, device=device)
    precision = Precision.choose(config.amp, device)
    trainer = Trainer(model, over, over, task, config, precision, save=lambda *_: None)
    trainer._warm_up()
    return trainer


def seconds_of(trainer: Trainer, device: torch.device, repeats: int) -> float:
    """The fastest of `repeats` epochs after one that is not counted."""
    bar, best = tqdm(disable=True), float("inf")
    for turn in range(repeats + 1):
        wait(device)
        started = time.perf_counter()
        trainer._epoch(bar)
        wait(device)
        trainer.progress.step = 0
        best = min(best, time.perf_counter() - started) if turn else best
    return best


def idle_share(trainer: Trainer, device: torch.device, seconds: float) -> str:
    """1 - (seconds of kernels in an epoch) / (seconds of an epoch); on CUDA only."""
    if device.type != "cuda":
        return "-"
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        trainer._epoch(tqdm(disable=True))
        wait(device)
    trainer.progress.step = 0
    kernels = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6
    return f"{max(1 - kernels / seconds, 0):.0%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    device = pick_device(given.device, given.threads)
    values, targets, index = data(given.rows)
    over = Windows(values.to(device), targets.to(device), index)
    _, size = windows.steps(len(over), given.batch_size)
    print(
        f"{device_name(device)}, torch {torch.__version__}; {len(over):,} windows [4, {CONTEXT}], batches of {size}\n"
    )
    print("| backbone | way | precision | windows/s | around the kernels |\n|---|---|---|---|---|")
    for name in BACKBONES:
        for way, settings in WAYS.items():
            config = RunConfig(epochs=100, batch_size=given.batch_size, quiet=True, **settings)
            trainer = trainer_of(name, over, config, device)
            seconds = seconds_of(trainer, device, given.repeats)
            share = idle_share(trainer, device, seconds)
            fell_back = " (eager: nothing compiled)" if trainer.warnings else ""
            speed = len(over) / seconds
            print(f"| {name} | {way}{fell_back} | {trainer.precision.name} | {speed:,.0f} | {share} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
