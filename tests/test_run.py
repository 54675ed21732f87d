"""run.py: what ends a command becomes one message and its exit code; a real process where signals are sent."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest
import torch

import errors
import run
from errors import Interrupted, ResourceError, TsrunError

from .conftest import ROOT

KINDS = {
    errors.UsageError: 2,
    errors.DataError: 3,
    errors.CheckpointError: 4,
    errors.DivergedError: 5,
    errors.ResourceError: 6,
}


def ended_by(error, capsys, **hints):
    """(exit code, stderr) of a command whose body raises `error`."""

    def body():
        raise error

    return run.guarded(body, **hints), capsys.readouterr().err


def test_the_code_of_the_body_is_that_of_the_command():
    assert run.guarded(lambda: None) == 0
    assert run.guarded(lambda: 7) == 7


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_error_has_its_code(kind, capsys):
    code, err = ended_by(kind("went wrong", where="--csv a.csv", hint="another file"), capsys)
    assert (code, err) == (KINDS[kind], "error: --csv a.csv: went wrong\n  hint: another file\n")


def test_every_error_is_in_the_list_above():
    made = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TsrunError)}
    assert made == {TsrunError, Interrupted, *KINDS}


def test_interrupts_hint_at_what_goes_on(capsys):
    hint = {"interrupted": "the same command continues"}
    assert ended_by(KeyboardInterrupt(), capsys, **hint) == (
        130,
        "error: stopped by Ctrl-C\n  hint: the same command continues\n",
    )
    code, err = ended_by(Interrupted(signal.SIGTERM, "stopped: 3 of 9 done", hint="a hint of its own"), capsys, **hint)
    assert code == 143 and "a hint of its own" in err and "the same command" not in err


@pytest.mark.parametrize("number", errors.LIMITS)
def test_a_limit_of_the_system_is_exit_6(number, capsys):
    code, err = ended_by(OSError(number, os.strerror(number), "cache/x.npy"), capsys)
    assert code == 6 and err.startswith(f"error: cache/x.npy: {errors.LIMITS[number][0]}\n")


@pytest.mark.fault("no further thread", "exit 6 with the setting that needs fewer")
def test_no_further_thread_is_exit_6(capsys):
    code, err = ended_by(RuntimeError("can't start new thread"), capsys)
    assert code == 6 and "OMP_NUM_THREADS=1" in err


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.ENAMETOOLONG, errno.EROFS, errno.ENOENT, errno.ELOOP, errno.EIO]
)
def test_a_file_that_the_system_refuses_is_a_message(number, capsys):
    code, err = ended_by(OSError(number, os.strerror(number), "out/x"), capsys)
    assert code == 3 and err == f"error: out/x: cannot be used: {os.strerror(number)}\n"


@pytest.mark.fault("CUDA out of memory", "exit 6 with what to lower")
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
    ids=["python", "cuda", "torch on a cpu"],
)
def test_memory_that_runs_out(error, capsys):
    code, err = ended_by(error, capsys, out_of_memory="fewer rows")
    assert (code, err) == (6, "error: out of memory\n  hint: fewer rows\n")


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "broken"), RuntimeError("a shape"), ValueError("no"), KeyError(1)]
)
def test_a_bug_of_ours_is_no_message(error, capsys):
    with pytest.raises(type(error)):
        ended_by(error, capsys)
    assert capsys.readouterr().err == ""


def test_a_command_may_print_errors_in_its_own_way():
    heard = []

    def body():
        raise ResourceError("too much")

    assert run.guarded(body, show=lambda error: heard.append(str(error)) or 9) == 9
    assert heard == ["too much"]


def test_signal_handlers_are_as_before_afterwards():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    run.guarded(lambda: None)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_through_every_cleanup(number, code):
    """Also where the process began with Ctrl-C ignored, as a job in the background does."""
    program = (
        "import sys, time, run\n"
        "def body():\n"
        "    try:\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
        "sys.exit(run.guarded(body))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code and out == "cleaned up\n"
    assert err.startswith("error: stopped by ") and "Traceback" not in err
