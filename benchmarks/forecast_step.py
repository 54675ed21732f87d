"""The trainer's step against a bare loop, for every forecaster that trains: `python benchmarks/forecast_step.py`.

96 hours to 96 over the seven channels of ETTh1 (or of a CSV of the same layout). The loops are those of
step_overhead.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch import nn

import losses
import windows
from backbones import ForecastSpec, ModelSpec, backbone_class
from backbones.model import build_model
from benchmarks.step_overhead import Case, report
from readers.long import read_long
from windows import Windows

LENGTH = HORIZON = 96
BATCH = 32
BACKBONES: dict[str, dict[str, Any]] = {
    "dlinear": {},
    "sparsetsf": {},
    "patchtst": {},
    "itransformer": {},
    "informer": {"d_model": 64, "d_ff": 256},
    "gru": {},
    "linear": {},
    "llm_ts": {"size": "tiny"},
    "ttm": {},
}


class Forecast:
    """The loss of forecast, without the rest of the task."""

    monitor, direction = "mse", "min"
    loss = staticmethod(losses.regression_loss("mse"))

    def val_metrics(self, outputs: torch.Tensor) -> dict[str, float | None]:  # noqa: ARG002
        return {"mse": None}


def case(name: str, path: Path, count: int) -> Case:
    """A backbone on the first `count` windows of a file."""
    table = read_long([path], time_col="date")
    steps = LENGTH + HORIZON + count - 1
    values = table.values[:, :steps]
    series = torch.from_numpy((values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True))
    usable = np.ones(steps, bool)
    index = windows.plan(np.array([0, steps]), usable, usable, length=LENGTH, offset=1, horizon=HORIZON)
    known = None
    if backbone_class(name).reads_known:
        assert table.time is not None and table.clock is not None
        times = np.concatenate([table.time[:steps], table.clock.extend(int(table.time[steps - 1]), HORIZON)])
        known = torch.from_numpy(table.clock.features(times))
    channels = len(series)
    spec = ModelSpec(
        backbone=name,
        channels=channels,
        length=LENGTH,
        outputs=channels,
        horizon=HORIZON,
        head="forecast",
        args=BACKBONES[name],
        forecast=ForecastSpec(HORIZON, tuple(range(channels)), marks=0 if known is None else len(known)),
    )

    def make() -> nn.Module:
        torch.manual_seed(0)
        return build_model(spec)

    return Case(make, Forecast(), Windows(series, series, index, known))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "ett" / "ETTh1.csv"
    parser.add_argument("--csv", type=Path, default=default)
    parser.add_argument("--windows", type=int, default=640)
    parser.add_argument("--seconds", type=float, default=12, help="time for each backbone")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    return report({name: case(name, given.csv, given.windows) for name in BACKBONES}, given.seconds, BATCH)


if __name__ == "__main__":
    sys.exit(main())
