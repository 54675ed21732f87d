"""The loop of a search: trials are taken, run by workers, watched, stopped and recorded."""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from config import RunConfig
from studies.queue import Queue
from studies.spaces import Space, words
from studies.trials import Bar, Failure, Worker, Workers, train

if TYPE_CHECKING:
    import optuna

log = logging.getLogger("tsrun.search")
TICK = 0.5  # seconds between looks at signals and heartbeats


class Stop:
    """Ctrl-C and SIGTERM as a number to look at; the second one stops at once."""

    signum = 0

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.signum:
            raise KeyboardInterrupt
        self.signum = number

    @contextmanager
    def listening(self) -> Iterator[None]:
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


@dataclass
class Job:
    """A running trial."""

    trial: optuna.Trial
    worker: Worker
    folder: Path
    started: float = field(default_factory=time.monotonic)
    epochs: int = 0  # of all folds
    fold: int = 0
    latest: int = 0  # number of the latest epoch; restarts with each fold

    def facts(self) -> dict[str, Any]:
        """What is noted about every trial, however it ends."""
        return {"seconds": round(time.monotonic() - self.started, 3), "trained_epochs": self.epochs}


class Searcher:
    """Runs the trials of a queue, `jobs` at a time, each in its own folder below `folder`."""

    def __init__(
        self,
        queue: Queue,
        workers: Workers,
        space: Space,
        config: RunConfig,
        argv: Sequence[str],
        folder: Path,
        monitor: str,
    ) -> None:
        self.queue, self.workers, self.space, self.config = queue, workers, space, config
        self.argv, self.folder, self.monitor = list(argv), folder, monitor
        self.jobs: list[Job] = []
        self.stop = Stop()
        self.waiting = False
        self.ended = False  # whether trials have since their folders were looked at

    def run(self, jobs: int, deadline: float, every: int) -> int:
        """Run until all trials are done, the deadline (of time.monotonic) or a signal; returns its number, or 0.

        Every `every` seconds it sends signs of life and looks for lost trials. Trials that are running at the end go
        back to the study.
        """
        due, going = 0.0, True
        with self.stop.listening():
            try:
                while going and not self.stop.signum and time.monotonic() < deadline:
                    if time.monotonic() >= due:
                        going = self._look(jobs)
                        due = time.monotonic() + every
                    if self._listen(min(TICK, max(deadline - time.monotonic(), 0.0))):
                        due = 0.0  # a place is free
                self._tidy()
            finally:
                self._give_back()
        return self.stop.signum

    def _look(self, jobs: int) -> bool:
        """Send signs of life and take more trials; returns whether there is anything left to do or to wait for."""
        for job in self.jobs:
            self.queue.beat(job.trial)
        self._fill(jobs)
        if not self.jobs and not self.waiting and not self.queue.finished():
            log.info("waiting for the trials of other processes")
            self.waiting = True
        return bool(self.jobs) or not self.queue.finished()

    def _fill(self, jobs: int) -> None:
        while len(self.jobs) < jobs and not self.stop.signum:
            trial = self.queue.take()
            self._tidy()
            if trial is None:
                return
            bar = self._bar()
            chosen = self.queue.suggest(trial, self.space)
            folder = place_of(self.folder, trial.number)
            shutil.rmtree(folder, ignore_errors=True)
            wanted = self.config.reference == "auto" and not self.queue.references()
            argv = [*trial_words(self.argv, chosen, self.config), "--out", str(folder), *self._cheaply(jobs, wanted)]
            worker = self.workers.start(train, argv, None if wanted else bar)
            self.jobs.append(Job(trial, worker, folder))

    def _cheaply(self, jobs: int, wanted: bool) -> list[str]:
        """Flags that evaluate a trial on validation only; the first trial also evaluates the references (`wanted`)."""
        cheap = ["--eval-split", "val", "--no-plots", "--quiet", "--reference", "auto" if wanted else "off"]
        return cheap if self.config.threads else [*cheap, "--threads", str(threads_each(jobs))]

    def _bar(self) -> Bar | None:
        """What a trial must reach to be judged and kept."""
        best = self.queue.best()
        return None if best is None or best.value is None else Bar(best.value, self.queue.direction)

    def _listen(self, timeout: float) -> bool:
        """Receive from every worker that has sent something; returns whether one of them has finished."""
        if not self.jobs:
            time.sleep(timeout)
            return False
        ready = set(wait([job.worker.connection for job in self.jobs], timeout))
        running = len(self.jobs)
        for job in [job for job in self.jobs if job.worker.connection in ready]:
            self._receive(job)
        return len(self.jobs) < running

    def _receive(self, job: Job) -> None:
        import optuna

        message = job.worker.receive(0)
        if message is None:
            return
        kind, content = message
        try:
            ended = self._epoch(job, content) if kind == "epoch" else self._ended(job, content)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.warning("trial %d gave no sign of life for too long and went to another process", job.trial.number)
            ended = True
        if ended:
            self.jobs.remove(job)
            self.workers.release(job.worker)
            self.ended = True

    def _epoch(self, job: Job, line: Mapping[str, Any]) -> bool:
        """Whether the trial is pruned. Epochs restart with each fold; trials are compared in the first."""
        job.epochs += 1
        job.fold += line["epoch"] <= job.latest
        job.latest = line["epoch"]
        value = line[f"val_{self.monitor}"]
        if job.fold or value is None or not self.queue.report(job.trial, job.latest, value):
            return False
        self.queue.pruned(job.trial, **job.facts())
        return True

    def _ended(self, job: Job, content: dict[str, Any] | Failure) -> bool:
        if isinstance(content, Failure):
            self._failed(job, content)
        elif content["value"] is None or math.isnan(content["value"]):
            self.queue.failed(job.trial, again=False, error=f"{self.monitor} is undefined on validation", **job.facts())
        else:
            self.queue.keep_references(content.pop("references"))
            self.queue.done(job.trial, **content | job.facts())
        return True

    def _failed(self, job: Job, failure: Failure) -> None:
        if failure.trace:
            log.warning("%s", failure.trace.rstrip())
        facts = job.facts() | {"error": failure.text, "code": failure.code}
        if failure.invalid:
            self.queue.pruned(job.trial, invalid=True, **facts)
        else:
            self.queue.failed(job.trial, again=failure.crashed, **facts)

    def _tidy(self) -> None:
        """Say how far the study is, and keep only the folder of the best, once trials have ended.

        After the next one was taken, whose taking reads the study anyway.
        """
        if not self.ended:
            return
        self.ended = False
        for number in self.queue.leftover():
            shutil.rmtree(place_of(self.folder, number), ignore_errors=True)
        log.info("%s", progress(self.queue, self.monitor))

    def _give_back(self) -> None:
        import optuna

        for job in self.jobs:
            job.worker.end()
        for job in self.jobs:
            with suppress(optuna.exceptions.UpdateFinishedTrialError):
                self.queue.failed(job.trial, again=True, interrupted=True, error="interrupted", **job.facts())
            shutil.rmtree(job.folder, ignore_errors=True)
        self.jobs = []
        self.workers.close()


def place_of(folder: Path, number: int) -> Path:
    """Where the run of a trial is kept."""
    return folder / f"{number:06d}"


def trial_words(argv: Sequence[str], chosen: Mapping[str, Any], config: RunConfig) -> list[str]:
    """The command line of a trial: that of the search with the values of the trial."""
    return [*argv, *words(chosen, config)]


def threads_each(jobs: int) -> int:
    """Cores for each job, of those that this process may use; at most OMP_NUM_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(min(cores // jobs, int(asked) if asked.isdigit() else cores), 1)


def progress(queue: Queue, monitor: str) -> str:
    """The progress of the study, in one line."""
    counts = Counter(line["state"] for line in queue.table())
    shown = [f"{counts[state]} {state}" for state in ("pruned", "failed", "invalid") if counts[state]]
    text = ", ".join([f"{counts['done']} of {queue.trials} done", *shown])
    best = queue.best()
    if best is not None:
        text += f"; best {monitor} {best.value:.4g} (trial {best.number})"
    beside = ", ".join(f"{name} {value:.4g}" for name, value in queue.references().items())
    return text + (f", on the same windows {beside}" if beside else "")
