"""A training step of our Informer against the published one: `python benchmarks/informer_step.py --peer DIR`.

DIR is a checkout of the authors' repository, https://github.com/zhouhaoyi/Informer2020; its model is imported from
there. Both have the published sizes of ETTh1 (7 channels, 96 steps of context, 48 of label, 24 of horizon, 4 time
features, 32 windows at a time) and alternate step by step, so a noisy machine affects both; the ratio is the median
over the steps. A step is forward, mean squared error, backward and Adam, on one thread. With --amp ours multiplies in
bfloat16, as a training of more than a minute does by itself on a CPU that has it.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import nn
from torch.nn import functional as F

from backbones import ForecastSpec, ModelSpec
from backbones.model import build_model

LIMIT = 1.2
BATCH, CHANNELS, MARKS = 32, 7, 4
CONTEXT, LABEL, HORIZON = 96, 48, 24
WARM_UP = 2
LEAST_TURNS = 10


def our_model(d_model: int) -> nn.Module:
    spec = ModelSpec(
        backbone="informer",
        channels=CHANNELS,
        length=CONTEXT,
        outputs=CHANNELS,
        horizon=HORIZON,
        head="forecast",
        args={"d_model": d_model, "d_ff": 4 * d_model, "label_len": LABEL},
        forecast=ForecastSpec(HORIZON, tuple(range(CHANNELS)), marks=MARKS),
    )
    return build_model(spec)


def published_model(peer: Path, d_model: int) -> nn.Module:
    """The authors' model, with the defaults of their command line."""
    sys.path.insert(0, str(peer))
    published = importlib.import_module("models.model").Informer
    sys.path.remove(str(peer))
    model: nn.Module = published(
        CHANNELS, CHANNELS, CHANNELS, CONTEXT, LABEL, HORIZON, factor=5, d_model=d_model, n_heads=8, e_layers=2,
        d_layers=1, d_ff=4 * d_model, dropout=0.05, embed="timeF", freq="h", device=torch.device("cpu"),
    )  # fmt: skip
    return model


def stepper(
    model: nn.Module, inputs: tuple[torch.Tensor, ...], target: torch.Tensor, *, amp: bool = False
) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            outputs = model(*inputs)
        F.mse_loss(outputs.float(), target).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def steps(peer: Path, d_model: int, amp: bool) -> tuple[Callable[[], None], Callable[[], None]]:
    """(ours, published) on the same windows, each laid out as its model takes them."""
    torch.manual_seed(0)
    x = torch.randn(BATCH, CHANNELS, CONTEXT)
    known = torch.randn(BATCH, MARKS, CONTEXT + HORIZON)
    y = torch.randn(BATCH, CHANNELS, HORIZON)
    ours = stepper(our_model(d_model), (x, known), y, amp=amp)
    start = F.pad(x[..., -LABEL:], (0, HORIZON))
    theirs = (x, known[..., :CONTEXT], start, known[..., CONTEXT - LABEL :])
    laid_out = tuple(part.transpose(1, 2).contiguous() for part in theirs)
    return ours, stepper(published_model(peer, d_model), laid_out, y.transpose(1, 2).contiguous())


def compare(peer: Path, d_model: int, budget: float, amp: bool) -> tuple[float, float, float]:
    """(our ms per step, published ms per step, median ratio of published to ours)."""
    pair = dict(zip(("ours", "published"), steps(peer, d_model, amp), strict=True))
    taken: dict[str, list[float]] = {"ours": [], "published": []}
    end, turn = time.perf_counter() + budget, 0
    while turn < WARM_UP + LEAST_TURNS or time.perf_counter() < end:
        for key in sorted(pair, reverse=bool(turn % 2)):
            started = time.perf_counter()
            pair[key]()
            taken[key].append(1e3 * (time.perf_counter() - started))
        turn += 1
    ours, published = taken["ours"][WARM_UP:], taken["published"][WARM_UP:]
    ratio = statistics.median(b / a for a, b in zip(ours, published, strict=True))
    return statistics.median(ours), statistics.median(published), ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="checkout of https://github.com/zhouhaoyi/Informer2020")
    parser.add_argument("--d-model", type=int, nargs="+", default=[512, 64])
    parser.add_argument("--seconds", type=float, default=40, help="time for each width")
    parser.add_argument("--amp", action="store_true", help="bfloat16 for ours")
    given = parser.parse_args()
    if given.peer is None:
        parser.error("--peer DIR: git clone https://github.com/zhouhaoyi/Informer2020 DIR")
    if not (given.peer / "models" / "model.py").is_file():
        parser.error(f"--peer {given.peer}: no checkout of the authors' repository, it has no models/model.py")
    torch.set_num_threads(1)
    print(f"{'d_model':<10}{'ours ms':>12}{'published ms':>14}{'ratio':>8}   limit {LIMIT}")
    worst = float("inf")
    for d_model in given.d_model:
        ours, published, ratio = compare(given.peer, d_model, given.seconds, given.amp)
        worst = min(worst, ratio)
        print(f"{d_model:<10}{ours:>12.1f}{published:>14.1f}{ratio:>8.2f}   {'ok' if ratio >= LIMIT else 'UNDER'}")
    return int(worst < LIMIT)


if __name__ == "__main__":
    sys.exit(main())
