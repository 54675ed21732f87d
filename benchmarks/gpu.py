"""Training speed of five backbones in three ways, on the device of this machine: `python benchmarks/gpu.py`.

Windows per second through the trainer's own epoch: eager float32, with --amp, with --amp --compile reduce-overhead.
On CUDA the last column is the share of an epoch in which no kernel ran: the work around the model. Informer forecasts
24 steps of 7 channels from 96 with 4 time features, the others classify. Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from tqdm import tqdm

import windows
from backbones import ForecastSpec, ModelSpec
from backbones.model import build_model
from benchmarks.forecast_step import Forecast
from benchmarks.step_overhead import CONTEXT, Case, Classify, data
from config import RunConfig
from hardware import Precision, device_name, pick_device
from trainer import Trainer
from training.warming import warm_up
from windows import Windows

CHANNELS, MARKS, SEEN, AHEAD = 7, 4, 96, 24  # of Informer's forecasts
TIMES, IDLE = 8, 0.05  # of Informer's eager float32, the fastest way; of an epoch, the share without a kernel
WAYS: dict[str, dict[str, Any]] = {
    "float32": {},
    "+ amp": {"amp": True},
    "+ compile": {"amp": True, "compile": "reduce-overhead"},
}


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def labelled(name: str, rows: int, device: torch.device) -> Case:
    """Classify on synthetic demand."""
    values, targets, index = data(rows)
    spec = ModelSpec(backbone=name, channels=len(values), length=CONTEXT, outputs=1, horizon=1, head="pool")
    task = Classify()
    task.weight = torch.ones(1, device=device)
    over = Windows(values.to(device), targets.to(device), index)
    return Case(lambda: build_model(spec).to(device), task, over)


def forecast(name: str, rows: int, device: torch.device) -> Case:
    """Forecasts of noise, as many windows of it as of the others' demand."""
    usable = np.ones(len(data(rows)[2]) + SEEN + AHEAD - 1, bool)
    index = windows.plan(np.array([0, len(usable)]), usable, usable, length=SEEN, offset=1, horizon=AHEAD)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(CHANNELS, len(usable), generator=generator).to(device)
    known = torch.rand(MARKS, len(usable) + AHEAD, generator=generator).to(device)
    targets = tuple(range(CHANNELS))
    spec = ModelSpec(
        backbone=name,
        channels=CHANNELS,
        length=SEEN,
        outputs=CHANNELS,
        horizon=AHEAD,
        head="forecast",
        forecast=ForecastSpec(AHEAD, targets, marks=MARKS),
    )
    return Case(lambda: build_model(spec).to(device), Forecast(), Windows(values, values, index, known))


def trainer_of(of: Case, config: RunConfig, device: torch.device) -> Trainer:
    torch.manual_seed(0)
    precision = Precision.choose(config.amp, device)
    trainer = Trainer(of.make(), of.over, of.over, of.validation, config, precision, save=lambda *_: None)
    warm_up(trainer)
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


def idle_share(trainer: Trainer, device: torch.device, seconds: float) -> float | None:
    """1 - (seconds of kernels in an epoch) / (seconds of an epoch); on CUDA only."""
    if device.type != "cuda":
        return None
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        trainer._epoch(tqdm(disable=True))
        wait(device)
    trainer.progress.step = 0
    kernels: float = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6
    return max(1 - kernels / seconds, 0.0)


def missed(found: dict[tuple[str, str], tuple[float, float | None]]) -> list[str]:
    """What is below the limits, of {(backbone, way): (windows a second, share around the kernels)} on CUDA."""
    ways = list(WAYS)
    times = found["informer", ways[-1]][0] / found["informer", ways[0]][0]
    idle = {f"{name} {way}": share for (name, way), (_, share) in found.items() if share is not None}
    told = [
        f"{name}: {share:.0%} around the kernels (at most {IDLE:.0%})" for name, share in idle.items() if share > IDLE
    ]
    return told + [f"informer: {times:.1f} times eager float32 (at least {TIMES})"] * (times < TIMES)


CASES = {"llm_ts": labelled, "gru": labelled, "ttm": labelled, "linear": labelled, "informer": forecast}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    device = pick_device(given.device, given.threads)
    count = len(data(given.rows)[2])
    _, size = windows.steps(count, given.batch_size)
    print(f"{device_name(device)}, torch {torch.__version__}; {count:,} windows, batches of {size}\n")
    print("| backbone | way | precision | windows/s | around the kernels |\n|---|---|---|---|---|")
    found = {}
    for name, make in CASES.items():
        of = make(name, given.rows, device)
        for way, settings in WAYS.items():
            config = RunConfig(epochs=100, batch_size=given.batch_size, quiet=True, **settings)
            trainer = trainer_of(of, config, device)
            seconds = seconds_of(trainer, device, given.repeats)
            share = idle_share(trainer, device, seconds)
            fell_back = " (eager: nothing compiled)" if trainer.warnings else ""
            speed = count / seconds
            found[name, way] = speed, share
            told = "-" if share is None else f"{share:.0%}"
            print(f"| {name} | {way}{fell_back} | {trainer.precision.name} | {speed:,.0f} | {told} |", flush=True)
    below = missed(found) if device.type == "cuda" else []
    print("".join(f"\nmissed: {line}" for line in below), end="")
    return int(bool(below))


if __name__ == "__main__":
    sys.exit(main())
