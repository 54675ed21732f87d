"""Trials as separate processes: what ends one (memory, a crash, a signal) does not end the search.

A worker is forked from a server that has imported torch and done nothing else. It gets its work through a pipe and
sends ("epoch", line) after each epoch, then once ("done", content) or ("error", Failure). A worker that ends without
either was killed. One that is done takes the next work while that is safe and worth it, since the first call of a
process is slow. A worker ends when its search does. Torch is only imported in workers.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errors import ResourceError, TsrunError, UsageError, is_out_of_memory

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from rundir import OnTrained

log = logging.getLogger("tsrun.search")
TICK = 0.5  # seconds
# Seconds from a worker's first work on in which it takes more, unless it has solved what later trials need too: beside
# longer trials a fork is nothing.
SHARED = 10.0
GROWTH = 256 << 20  # bytes above its start that a worker may once have held and still take more
FIRST_TO_DIE = "500"  # of 1000: out of memory, the kernel kills a trial before the search
# What every trial imports; the pipeline imports some of it late.
PRELOADED = (
    "pipeline",
    "cli",
    "commandline.together",
    "experiments.as_run",
    "losses",
    "numpy.fft",
    "numpy.ma",
    "numpy.random",
    "torch.utils.serialization",
    "yaml",
)
OnEpoch = Callable[[Mapping[str, Any]], None]
Work = Callable[..., dict[str, Any]]  # its last argument is an OnEpoch


@dataclass(frozen=True)
class Failure:
    """Why a worker failed: the message, the exit code of such a run, the traceback of a bug."""

    text: str
    code: int
    trace: str = ""

    @property
    def invalid(self) -> bool:
        """Whether the command line itself was refused: an impossible combination of values."""
        return self.code == UsageError.exit_code

    def raised(self, before: str = "") -> TsrunError:
        """The failure as an error of this process."""
        error = TsrunError(f"{before}{self.text}")
        error.exit_code = self.code
        return error

    @property
    def crashed(self) -> bool:
        """Whether something other than the configuration may be the reason."""
        return self.code == TsrunError.exit_code


@dataclass(frozen=True)
class Bar:
    """The best value of a study so far. Only the best trial is kept, so a worse one ends with its training."""

    value: float
    direction: str

    def missed(self, value: float | None) -> bool:
        """Whether a trial of this value is worse; of an undefined one it is not said."""
        if value is None or math.isnan(value):
            return False
        return value > self.value if self.direction == "min" else value < self.value


class Missed(Exception):
    """Training ended below the bar: there is nothing to judge or to write."""


@dataclass
class Worker:
    """A running process, and our end of its pipe."""

    process: BaseProcess
    connection: Connection
    free: bool = False  # whether it is done and takes more work

    def receive(self, timeout: float) -> tuple[str, Any] | None:
        """The next message, or None if none comes in time; ("error", Failure) for a worker that died."""
        if not wait([self.connection], timeout):
            return None
        try:
            kind, content, self.free = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode or 0
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            hint = "; signal 9 often means that the machine ran out of memory" if code == -9 else ""
            return "error", Failure(f"the process of the trial ended by {how}{hint}", TsrunError.exit_code)
        return kind, content

    def give(self, work: Work, args: Sequence[Any]) -> None:
        """Have it do `work(*args, on_epoch)`. OSError if it has ended."""
        self.free = False
        self.connection.send((work, args))

    def end(self) -> None:
        """Stop it now, if it still runs."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class Workers:
    """Starts workers, from a server that has imported the pipeline and `modules`, so that a trial need not.

    With `alone`, no worker does more than one work: what the compiler keeps, a process must not gather of many trials.
    """

    def __init__(self, modules: Sequence[str], alone: bool = False) -> None:
        self.alone, self.free = alone, list[Worker]()
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([*PRELOADED, *modules])
        with _importable(Path(__file__).parent.parent):
            forkserver.ensure_running()

    def start(self, work: Work, *args: Any) -> Worker:
        """Start `work(*args, on_epoch)` in a process that no other work runs in."""
        while self.free:
            worker = self.free.pop()
            try:
                worker.give(work, args)
            except OSError:  # killed while it had nothing to do
                worker.end()
            else:
                return worker
        mine, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        worker = Worker(process, mine)
        with contextlib.suppress(OSError):  # killed at its start: receiving tells
            worker.give(work, args)
        return worker

    def release(self, worker: Worker) -> None:
        """Keep a worker for more work if it takes more; end it otherwise."""
        if worker.free and not self.alone:
            self.free.append(worker)
        else:
            worker.end()

    def close(self) -> None:
        """End the workers that have nothing to do, and with them the memory that they hold."""
        while self.free:
            self.free.pop().end()

    def call(self, work: Work, *args: Any) -> dict[str, Any]:
        """The result of `work(*args, on_epoch)` in its own process; raises its failure."""
        worker = self.start(work, *args)
        try:
            while (message := worker.receive(TICK)) is None or message[0] == "epoch":
                continue
        finally:
            self.release(worker)
        kind, content = message
        if kind == "error":
            if content.trace:
                log.warning("%s", content.trace.rstrip())
            raise content.raised()
        result: dict[str, Any] = content
        return result


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Interpreters that start within find the modules of `folder`, and none of the working directory.

    The server looks for what it is to import before it is told the path of its parent, and leaves out in silence what
    it does not find.
    """
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "PYTHONSAFEPATH")}
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), before["PYTHONPATH"]]))
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# --- in the worker ---------------------------------------------------------------------------------------------------


def _serve(pipe: Connection) -> None:
    """Do work after work, until one fails, `_spent` or the end of the pipe."""
    from tqdm import tqdm

    os.setpgrp()  # Ctrl-C reaches the search alone
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    with contextlib.suppress(OSError):  # not every system has it
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_DIE)
    logging.getLogger("tsrun").addHandler(logging.NullHandler())
    logging.getLogger("tsrun").propagate = False
    # tqdm's default lock is a semaphore that would remain after a kill.
    tqdm.set_lock(threading.RLock())
    begun, held, goes_on = time.monotonic(), _held(), True
    while goes_on:
        try:
            work, args = pipe.recv()
        except EOFError:
            break
        try:
            content = work(*args, lambda line: pipe.send(("epoch", dict(line), False)))
            goes_on = not _spent(begun, held)
            pipe.send(("done", content, goes_on))
        except BaseException as error:
            goes_on = False
            pipe.send(("error", _failure(error), False))
    pipe.close()


def _spent(begun: float, held: int) -> bool:
    """Whether a worker ends after its work: it is old, has held much, or keeps memory of an accelerator."""
    import torch

    from backbones import recalled

    old = time.monotonic() - begun > SHARED and not recalled.here.kept
    return old or _held() - held > GROWTH or torch.cuda.is_initialized()


def _held() -> int:
    """Bytes that this process has held at its peak."""
    import torch

    from hardware import peak_memory

    return peak_memory(torch.device("cpu"))


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _failure(error: BaseException) -> Failure:
    if is_out_of_memory(error):
        return Failure("out of memory", ResourceError.exit_code)
    if isinstance(error, TsrunError):
        return Failure(" ".join(str(error).split("\n  hint: ")[0].split()), error.exit_code)
    return Failure(f"{type(error).__name__}: {error}", TsrunError.exit_code, traceback.format_exc())


def dry_run(argv: Sequence[str], on_epoch: OnEpoch) -> dict[str, Any]:
    """Everything but training: what a study must know at the start, or the error that every trial would have."""
    import cli
    import tasks
    from backbones import backbone_class

    config = cli.parse(argv)
    task = tasks.build(config.task, config.options)
    sizes, _ = _learn([*argv, "--dry-run"], argv, on_epoch)
    means = {name: [float(f"{mean:.5g}") for mean in values] for name, values in sizes["label_mean"].items()}
    return {
        "monitor": task.monitor,
        "direction": task.direction,
        "closed_form": backbone_class(config.backbone).closed_form,
        "data": {"windows": sizes["windows"], "label_mean": means},
    }


def train(argv: Sequence[str], bar: Bar | None, on_epoch: OnEpoch) -> dict[str, Any]:
    """One trial: {value (of the monitor on validation), best_epoch, parameters, references}."""
    ended: dict[str, Any] = {"references": {}}

    def trained(best: float | None, epoch: int, parameters: int) -> None:
        if bar is not None and bar.missed(best):
            ended.update(value=best, best_epoch=epoch, parameters=parameters)
            raise Missed

    try:
        content, _ = _learn(argv, argv, on_epoch, on_trained=trained)
    except Missed:
        return ended
    if content.get("fit", {}).get("refit"):
        raise UsageError("was fitted on validation, which cannot judge it any more", where="--model-args refit")
    found = {"value": content["best_val"], "references": _watched(content)}
    return found | {name: content[name] for name in ("best_epoch", "parameters")}


def judge(argv: Sequence[str], shown: Sequence[str], place: str, on_epoch: OnEpoch) -> dict[str, Any]:
    """A whole run in the folder `place`: {score (of the monitor), split, ...}. Its manifest has the command `shown`."""
    content, directory = _learn(argv, shown, on_epoch, place)
    found = {name: content[name] for name in ("split", "n", "best_val", "parameters", "epochs")}
    score = content[content["monitor"]["name"]]
    return found | {"score": score, "references": _watched(content), "directory": str(directory)}


def _learn(
    argv: Sequence[str],
    shown: Sequence[str],
    on_epoch: OnEpoch,
    place: str = "",
    on_trained: OnTrained | None = None,
) -> tuple[dict[str, Any], Path]:
    import cli
    import pipeline
    from backbones import recalled
    from hardware import pick_device

    recalled.here.start()
    config = cli.parse(argv)
    device = pick_device(config.device, config.threads)
    return pipeline.learn(config, shown, device, on_epoch, place, on_trained)


def _watched(content: Mapping[str, Any]) -> dict[str, float]:
    """The monitor of each reference that has one."""
    name = content["monitor"]["name"]
    return {key: scores[name] for key, scores in content["references"].items() if scores.get(name) is not None}
