"""What tests give to worker processes, which import nothing more for it."""

from __future__ import annotations

import os
import signal
import time

import numpy as np


def named(size, on_epoch):
    """The process, once it has held `size` bytes."""
    content = {"pid": os.getpid(), "sum": int(np.ones(size, np.uint8).sum())}
    on_epoch(content)
    return content


def greedy(on_epoch):
    import torch

    torch.empty(1 << 55)


def killed(on_epoch):
    os.kill(os.getpid(), signal.SIGKILL)


def broken(on_epoch):
    on_epoch({"epoch": 1})
    raise KeyError("a bug")


def gone(on_epoch):
    on_epoch({"pid": os.getpid()})
    time.sleep(600)
