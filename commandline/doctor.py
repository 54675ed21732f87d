"""What this machine has: versions, devices, precision, threads, extras, the cache, and the time of a training step."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

from config import VERSION

if TYPE_CHECKING:
    import torch

NEEDED = ("torch", "numpy", "pandas", "scikit-learn", "matplotlib", "tqdm", "PyYAML")
EXTRAS = {  # extra: the module that it is for
    "agent": "mcp", "chronos": "chronos", "complete": "shtab", "export": "onnxruntime", "federate": "flwr",
    "mlflow": "mlflow", "parquet": "pyarrow", "postgres": "psycopg", "pretrained": "transformers", "search": "optuna",
    "stream": "zmq", "tensorboard": "tensorboard", "xlsx": "openpyxl",
}  # fmt: skip
BATCH, CHANNELS, STEPS, HIDDEN = 256, 4, 96, 64  # of the training step that is timed
SECONDS = 1.0


def report() -> str:
    """Lines of `name  what`, for a person or for a report of a bug."""
    import torch

    from hardware import Precision, pick_device
    from readers import cache

    device = pick_device("auto")
    counts = [f"cuda:{at} ({torch.cuda.get_device_name(at)})" for at in range(torch.cuda.device_count())]
    devices = [*counts, *["mps"] * torch.backends.mps.is_available(), f"cpu ({platform.machine()})"]
    amp = Precision.choose(True, device)
    there = [name for name, module in EXTRAS.items() if importlib.util.find_spec(module) is not None]
    missing = [name for name in EXTRAS if name not in there]
    place = cache.folder()
    lines = {
        "tsrun": f"{VERSION}, Python {platform.python_version()}, {platform.platform()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in NEEDED),
        "devices": ", ".join(devices),
        "--device auto": str(device),
        "--amp": amp.name if amp.dtype is not None else "float32: this device is slower in bfloat16",
        "threads": f"{torch.get_num_threads()} (--threads sets another number)",
        "extras": f"{', '.join(there) or 'none'}; not installed: {', '.join(missing) or 'none'}",
        "cache": "off" if place is None else f"{place}, {_megabytes(place):.0f} MB",
        "speed": f"{_step_time(device):.3g} s a training step: a GRU of {HIDDEN}, {BATCH} windows of {STEPS} steps",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name.ljust(width)}  {text}" for name, text in lines.items())


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "is not installed"


def _megabytes(place: Path) -> float:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / 1e6 if place.is_dir() else 0.0


def _step_time(device: torch.device) -> float:
    """The seconds in which a small GRU goes forward and back."""
    import torch

    model = torch.nn.GRU(CHANNELS, HIDDEN, batch_first=True).to(device)
    x = torch.randn(BATCH, STEPS, CHANNELS, device=device)
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        out, _ = model(x)
        loss = out[:, -1].square().mean()
        loss.backward()
        float(loss.detach())  # waits for a GPU
        model.zero_grad()
        count += 1
    return (time.perf_counter() - begin) / count
