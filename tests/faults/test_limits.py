"""Disks, memory, threads and descriptors that run out: every command says so in one message, and its exit code is 6."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .. import forkserver
from ..conftest import ROOT
from ..runs import go, good
from .rubbish import EXPERIMENT_YAML
from .test_processes import RUN, box  # noqa: F401  box is a fixture

HERE = ROOT / "tests" / "faults"
EARLY = {  # commands that find out before they work
    "tools.export": "--ckpt run --format torch --out disk/m.pt2",
    "search": f"--trials 1 --out disk/s -- {RUN}",
    "nas_agent.__main__": "init --study disk/s --config experiment.yaml",
}
COMMANDS = {
    "run": f"{RUN} --out disk/o",
    "tools.report": "run --out disk/r",
    "tools.synth": "appliances --samples 2 --out disk/s.npz",
    "sources.synthetic": "--out disk/d --files 1 --rows 2 --columns 3",
}


@pytest.mark.skipif(sys.platform != "linux", reason="disks of a process's own are Linux's")
@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        pytest.param("full", 6, "the disk is full", marks=pytest.mark.fault("a full disk")),
        pytest.param("no name", 6, "the disk is full", marks=pytest.mark.fault("a full disk")),
        pytest.param(
            "read-only",
            2,
            "cannot be written: Read-only file system",
            marks=pytest.mark.fault("an output that is read-only", "exit 2 before training, in every command"),
        ),
    ],
)
def test_every_command_on_a_disk_that_takes_nothing(box, kind, code, text):  # noqa: F811
    good(box, RUN, "--tag run").rename(box / "run")
    (box / "experiment.yaml").write_text(EXPERIMENT_YAML.replace("t.csv", "a.csv"))
    (box / "disk").mkdir()
    commands = COMMANDS | {"run ": "--mode infer --task classify --csv a.csv --ckpt run --out disk/o"} | EARLY
    given = json.dumps([[module.strip(), shlex.split(words)] for module, words in commands.items()])
    settings = os.environ | {"PYTHONPATH": str(ROOT)}
    done = forkserver.run(HERE / "narrow.py", box / "disk", kind, input=given, cwd=box, env=settings)
    if done.returncode == 99:
        pytest.skip("this machine does not let a user mount a disk")
    assert done.returncode == 0, done.stderr
    for module, (found, told) in zip(commands, json.loads(done.stdout), strict=True):
        assert (found, told.count("error: ")) == (code, 1) and text in told and "disk" in told, (module, found, told)


def limited(box: Path, limit: str, *words: str) -> tuple[int, str]:  # noqa: F811
    """(exit code, standard error) of the run in a process of its own, where `limit` holds: lines of Python."""
    script = f"import os, resource, sys, run\n{limit}\nsys.exit(run.main(sys.argv[1:]))"
    settings = os.environ | {"PYTHONPATH": str(ROOT), "TSRUN_CACHE": "off"}
    done = forkserver.run("-c", script, *RUN.split(), *words, cwd=box, env=settings)
    return done.returncode, done.stderr


@pytest.mark.fault("no further thread")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads are no processes")
def test_no_further_thread(box):  # noqa: F811
    """For real; the limit does not count for root, who becomes nobody."""
    box.chmod(0o777)
    limit = "os.getuid() or os.setuid(65534)\nresource.setrlimit(resource.RLIMIT_NPROC, (1, 1))"
    assert limited(box, limit, "--backbone", "gru", "--wide")[0] == 0  # a small table is read without any
    large = np.random.default_rng(0).poisson(1.0, (400, 400))
    (box / "a.csv").write_text("\n".join(",".join(map(str, row)) for row in large))
    code, told = limited(box, limit, "--tag", "large")
    assert code == 6 and told.endswith("--threads 1 take few; ulimit -u and -v show the limits\n"), told


@pytest.mark.fault(
    "a quota", "exit 6, and which disk (the system's answer is simulated: a real quota takes an administrator)"
)
def test_a_quota(box):  # noqa: F811
    code, told = limited(box, "def full(_): raise OSError(122, 'Disk quota exceeded')\nos.fsync = full")
    assert code == 6 and "--out artifacts: the disk is full: your quota is used up\n  hint: quota -s" in told, told
    assert list((box / "artifacts").iterdir()) == []


@pytest.mark.fault("a limit of memory")
def test_a_limit_of_memory_while_files_are_read(box):  # noqa: F811
    """10 MB more than the process has: the table does not fit, or the thread that would read it."""
    (box / "a.csv").write_text("\n".join(",".join("0123456789"[k % 10] for k in range(9000)) for _ in range(400)))
    limit = "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize() + (10 << 20)\n"
    code, told = limited(box, limit + "resource.setrlimit(resource.RLIMIT_AS, (size, size))")
    assert code == 6 and re.search(r"error: (a\.csv: )?(out of memory|no further thread)", told), told
    assert not list(box.glob("artifacts/*"))


@pytest.mark.fault("a limit of memory")
def test_no_memory_for_anything_is_no_hang(box):  # noqa: F811
    """Threads that could not begin were waited for without end."""
    limit = "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize() + (1 << 20)\n"
    code, told = limited(box, limit + "resource.setrlimit(resource.RLIMIT_AS, (size, size))")
    assert code in (0, 6) and "Traceback" not in told, told


class SmallDevice(TorchDispatchMode):
    """An accelerator's allocator: no tensor of more than `most` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = call(*args, **kwargs or {})
        for part in made if isinstance(made, tuple | list) else [made]:
            if isinstance(part, torch.Tensor) and part.nbytes > self.most:
                size = part.nbytes / 2**20
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size:.2f} MiB. GPU 0 has ...")
        return made


@pytest.mark.fault("CUDA out of memory")
def test_cuda_out_of_memory(box):  # noqa: F811
    """Simulated at the allocator. In training the batch size that is proposed fits."""
    words = f"{RUN} --backbone gru --model-args hidden=32 --no-wide --batch-size 500"
    with SmallDevice(100_000):
        done = go(box, words)
        assert done.code == 6 and list((box / "artifacts").iterdir()) == []
        told = re.search(r"error: --batch-size \d+: out of memory.*\n  hint: --batch-size (\d+) fits", done.err)
        assert told, done.err
        run = good(box, words, "--batch-size", told[1], "--tag small")
    for mode in ("infer", "finetune --epochs 1"):
        with SmallDevice(1_000):
            done = go(box, f"--mode {mode} --task classify --csv a.csv --ckpt {run} --no-plots")
        assert done.code == 6 and "out of memory" in done.err and "hint: " in done.err, done.err
