"""Peak memory when training on every window of a long recording starts, against the size of the recording.

    python -m benchmarks.nilm_memory --samples 10000000

Windows of 599 steps, stride 1: peers that copy each window need 67 to 90 GiB for ten million samples. Raw data are
the time (8 bytes), the mains and every device (4 bytes each) of each sample. Two processes take the same path, from a
series in memory to the first steps of an epoch; the one with hardly any samples measures the interpreter with all its
modules, a model and a batch.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

import cli
import dataset
import tasks
from data import Series
from errors import Interrupted
from learner import Learner
from times.clock import Clock
from times.frequencies import fixed_freq

FEW = 40_000
SECOND = 10**9  # ns
LIMIT = 1.5
TRAINING_SECONDS = 5  # before the run is asked to stop


def recording(samples: int, devices: int, seed: int = 0) -> Series:
    """Devices that go on and off by the second, and the meter over them, made in place."""
    random = np.random.default_rng(seed)
    values = np.zeros((1 + devices, samples), np.float32)
    for power in values[1:]:
        for begin in range(0, samples, 7200):
            power[begin + random.integers(0, 3600) :][: random.integers(600, 3600)] = random.uniform(100, 2000)
        values[0] += power
    values[0] += 60
    offsets = np.array([0, samples], np.int64)
    time = np.arange(0, samples * SECOND, SECOND, dtype=np.int64)
    names = ("mains", *(f"device{k}" for k in range(devices)))
    return Series(values, offsets, names, ("house",), time=time, clock=Clock(fixed_freq(SECOND)))


def train(samples: int, devices: int, features: Sequence[str]) -> None:
    """Start training, and stop it by a signal: prints the steps that were done and the peak in bytes."""
    words = "--mode train --task nilm --demo --window 599 --stride 1 --split-mode holdout --backbone gru --quiet"
    config = cli.parse([*words.split(), "--model-args", "hidden=8", "--nilm-features", *features])
    torch.set_num_threads(1)
    task = tasks.build(config.task, config.options)
    assert config.context_len is not None
    config = replace(config, **task.finalize_config(config, config.context_len))
    run_data = dataset.open_run_data(config, task, recording(samples, devices), {})
    (split,) = dataset.make_splits(run_data)
    learner = Learner(run_data, task, split, torch.device("cpu"), None)
    print(f"{len(split.train)} training windows")
    signal.signal(signal.SIGALRM, _stop)
    with tempfile.TemporaryDirectory() as folder:
        signal.alarm(TRAINING_SECONDS)
        try:
            learner.run(Path(folder), "memory", [])
        except Interrupted as stopped:
            print(stopped)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    os.kill(os.getpid(), signal.SIGTERM)


def measured(samples: int, devices: int, features: Sequence[str]) -> tuple[list[str], int]:
    """What a separate process prints, and its peak."""
    words = ["--one", "--samples", str(samples), "--devices", str(devices), "--features", *features]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
    *said, peak = done.stdout.strip().splitlines()
    return said, int(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--devices", type=int, default=3)
    parser.add_argument("--features", nargs="+", default=["above", "log"])
    parser.add_argument("--one", action="store_true", help="run as the process that is measured")
    args = parser.parse_args()
    if args.one:
        train(args.samples, args.devices, args.features)
        return
    raw = args.samples * (8 + 4 * (1 + args.devices))
    _, least = measured(FEW, args.devices, args.features)
    said, peak = measured(args.samples, args.devices, args.features)
    print("\n".join(said))
    print(f"raw data {raw / 2**20:.0f} MiB, interpreter {least / 2**20:.0f} MiB, peak {peak / 2**20:.0f} MiB")
    ratio = (peak - least) / raw
    print(f"beyond the interpreter {ratio:.2f} times the raw data (limit {LIMIT})")
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main()
