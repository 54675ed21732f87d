"""The machine's side of a run: the device, the precision, the compiled model, and where the data fit."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from backbones.base import Backbone
from errors import ResourceError, UsageError, is_out_of_memory

log = logging.getLogger("tsrun")
Runner = Callable[..., torch.Tensor]  # what the model sees -> outputs [B, K, H]
SPARE = 0.5  # share of the free device memory that the data may take; the rest is for the model's work


def pick_device(name: str, threads: int = 0) -> torch.device:
    """The device that `--device` names. UsageError when it is not there."""
    if threads:
        torch.set_num_threads(threads)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"{name!r} is not a device", where="--device", hint="auto, cpu, cuda, cuda:1, mps") from None
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    found = counts.get(device.type, 0)
    if (device.index or 0) >= found:
        what = f"this machine has {found or 'no'} {device.type} device" + ("s" if found > 1 else "")
        raise UsageError(what, where=f"--device {name}", hint="--device auto picks an available one")
    return device


def device_name(device: torch.device) -> str:
    """The device's name as people know it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        with contextlib.suppress(OSError):
            for line in Path("/proc/cpuinfo").read_text().splitlines():
                if line.startswith("model name"):
                    return f"{line.partition(':')[2].strip()}, {torch.get_num_threads()} threads"
    return str(device)


def platform_name() -> str:
    """`platform.platform()`; on Linux that starts a process to ask for the processor, which it then leaves out."""
    if sys.platform != "linux":
        return platform.platform()
    here = os.uname()
    return "-".join((here.sysname, here.release, here.machine, "with", "".join(platform.libc_ver())))


@dataclass(frozen=True)
class Precision:
    """What `--amp` becomes: bfloat16 or float16 autocast (float16 with a gradient scaler), or plain float32."""

    device: torch.device
    dtype: torch.dtype | None = None
    warning: str = ""

    @classmethod
    def choose(cls, amp: bool, device: torch.device) -> Precision:
        """The precision for `--amp` or `--no-amp` on this device; float32 with a warning where amp would be slower."""
        if not amp:
            return cls(device)
        if device.type == "cuda":
            native = torch.cuda.get_device_capability(device) >= (8, 0)  # older ones emulate bfloat16
            return cls(device, torch.bfloat16 if native else torch.float16)
        if device.type == "cpu" and _cpu_has_bf16():
            return cls(device, torch.bfloat16)
        return cls(device, None, f"--amp: this {device.type} is slower in bfloat16; training in float32")

    def warnings(self) -> list[str]:
        """Warnings about the choice, for the manifest; they go to the log too."""
        if self.warning:
            log.warning("warning: %s", self.warning)
        return [self.warning] if self.warning else []

    @property
    def name(self) -> str:
        """The dtype of the forward pass: float32, bfloat16 or float16."""
        return "float32" if self.dtype is None else str(self.dtype).removeprefix("torch.")

    def autocast(self) -> Any:
        """The context for a forward pass."""
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def scaler(self) -> torch.amp.GradScaler | None:
        """float16 needs its gradients scaled; bfloat16 has float32's range."""
        return torch.amp.GradScaler(self.device.type) if self.dtype is torch.float16 else None


def _cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; without, autocast is two to three times slower."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def device_for(size: int, device: torch.device) -> torch.device:
    """The device for data of `size` bytes: `device` when they fit, else the host's memory."""
    if device.type != "cuda":
        return device
    free, _ = torch.cuda.mem_get_info(device)
    return device if size <= SPARE * free else torch.device("cpu")


def compile_model(model: nn.Module, mode: str, try_out: Callable[[Runner], None]) -> tuple[Runner, str]:
    """(`model` compiled, ""), or (`model`, the reason why not); the reason goes to the log too.

    `try_out` runs the training step once on the compiled model: a compiler fails at its first call. Random state and
    buffers (BatchNorm's running means) are restored afterwards. The parameters stay those of `model`, so that the
    keys of the state dict do not change.
    """
    if mode == "off":
        return model, ""
    leave_alone(model)
    counters = torch._dynamo.utils.counters
    torch._dynamo.reset()
    counters.clear()
    runner = torch.compile(model, mode=None if mode == "default" else mode, dynamic=False)
    warning = ""
    try:
        with untouched(model):
            try_out(runner)
    except (ResourceError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a compiler stack can raise: eager gives the same numbers
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        warning = f"--compile {mode} failed and training goes on eagerly: {reason[:200]}"
    else:
        if not counters["stats"]["unique_graphs"]:
            warning = f"--compile {mode} found nothing in this backbone to compile; training goes on eagerly"
    if warning:
        log.warning("warning: %s", warning)
    return (model if warning else runner), warning


def leave_alone(model: nn.Module) -> None:
    """Keep what a backbone calls `not_compiled` out of compiled graphs; a blend holds several backbones."""
    for module in model.modules():
        if isinstance(module, Backbone):
            for name in module.not_compiled:
                setattr(module, name, torch.compiler.disable(getattr(module, name)))


def begin_step() -> None:
    """Mark a new step for CUDA graphs, if a model is compiled: the outputs of the last step are no longer needed."""
    if "torch._inductor.cudagraph_trees" in sys.modules:  # importing it takes a second that an eager run can save
        torch.compiler.cudagraph_mark_step_begin()


@contextlib.contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Leave the model's buffers, its gradients and the random state as they were before the block."""
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        with torch.no_grad():
            for name, value in model.named_buffers():
                value.copy_(buffers[name])
        model.zero_grad(set_to_none=True)


def largest_batch(batch_size: int, try_out: Callable[[int], None]) -> int:
    """The largest of batch_size / 2, / 4, ... that `try_out` gets through; 0 when not even 1 does."""
    size = batch_size // 2
    while size:
        try:
            try_out(size)
            return size
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        size //= 2
    return 0


def peak_memory(device: torch.device) -> int:
    """Bytes at the peak so far: the device's allocator on CUDA, the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
