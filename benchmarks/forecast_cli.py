"""The whole command against a bare script that does the same: `python benchmarks/forecast_cli.py --csv ETTh1.csv`.

DLinear, 96 hours to 96, three epochs over the seven channels of ETTh1, scored on the whole test part: once as
`run.py` (pictures and references off), once as the shortest honest script with pandas and torch, each in a separate
process, from imports to figures. They alternate; the ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1.25
LENGTH = HORIZON = 96
BORDERS = (8640, 2880, 2880)
EPOCHS, BATCH, RATE = 3, 128, 1e-3


def bare(path: str) -> None:
    """Read, scale, train, score; no options, no files."""
    import pandas as pd
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(777)
    table = torch.from_numpy(pd.read_csv(path).iloc[:, 1:].to_numpy("float32"))
    train_end, val_end, test_end = (sum(BORDERS[: k + 1]) for k in range(3))
    std, mean = torch.std_mean(table[:train_end], dim=0, correction=0)
    series = ((table - mean) / std).T.contiguous()
    view = series.unfold(1, LENGTH + HORIZON, 1).transpose(0, 1)  # [windows, C, L + H], no copy

    class DLinear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trend, self.rest = nn.Linear(LENGTH, HORIZON), nn.Linear(LENGTH, HORIZON)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            trend = F.avg_pool1d(F.pad(x, (12, 12), mode="replicate"), 25, 1)
            y: torch.Tensor = self.trend(trend) + self.rest(x - trend)
            return y

    model = DLinear()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    count = train_end - LENGTH - HORIZON + 1
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * -(-count // BATCH))

    def score(begin: int, end: int) -> float:
        starts = torch.arange(begin - LENGTH, end - LENGTH - HORIZON + 1)
        total = 0.0
        with torch.no_grad():
            for part in starts.split(BATCH):
                batch = view[part]
                total += float(((model(batch[..., :LENGTH]) - batch[..., LENGTH:]) ** 2).sum())
        return total / (len(starts) * len(series) * HORIZON)

    best, kept = float("inf"), model.state_dict()
    for _ in range(EPOCHS):
        for part in torch.randperm(count).split(BATCH):
            batch = view[part]
            loss = F.mse_loss(model(batch[..., :LENGTH]), batch[..., LENGTH:])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
        val = score(train_end, val_end)
        if val < best:
            best, kept = val, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    print(json.dumps({"mse": score(val_end, test_end), "val": best}))


def command(path: str, out: str) -> list[str]:
    """The same as a command line."""
    words = "--mode train --task forecast --time-col date --backbone dlinear"
    words += f" --context-len {LENGTH} --horizon {HORIZON}"
    words += f" --epochs {EPOCHS} --batch-size {BATCH} --lr {RATE} --split-sizes {','.join(map(str, BORDERS))}"
    words += " --reference off --no-plots --json --quiet --overwrite"
    return [sys.executable, str(ROOT / "run.py"), *words.split(), "--csv", path, "--out", out]


def timed(words: list[str], environment: dict[str, str]) -> tuple[float, dict[str, float]]:
    started = time.perf_counter()
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, json.loads(done.stdout.strip().splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csv", default=str(ROOT.parent / "shared" / "data" / "ett" / "ETTh1.csv"))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        bare(given.csv)
        return 0
    environment = os.environ | {"OMP_NUM_THREADS": str(given.threads)}
    script = [sys.executable, __file__, "--bare", "--csv", given.csv]
    taken: dict[str, list[float]] = {"tsrun": [], "bare": []}
    found = {}
    with tempfile.TemporaryDirectory() as out:
        pair = {"tsrun": command(given.csv, out), "bare": script}
        for turn in range(given.turns + 1):
            for name in pair if turn % 2 else reversed(pair):
                seconds, found[name] = timed(pair[name], environment)
                if turn:  # the first round warms the disk cache
                    taken[name].append(seconds)
    ratio = statistics.median(a / b for a, b in zip(taken["tsrun"], taken["bare"], strict=True))
    print(f"{'':<8}{'seconds':>10}{'test MSE':>10}")
    for name, times in taken.items():
        print(f"{name:<8}{statistics.median(times):>10.2f}{found[name]['mse']:>10.4f}")
    print(f"ratio {ratio:.3f}, limit {LIMIT}: {'ok' if ratio <= LIMIT else 'OVER'}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
