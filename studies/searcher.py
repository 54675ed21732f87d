"""The loop of a search: trials are taken, run by workers, watched, stopped and recorded."""

from __future__ import annotations

import logging
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
from studies.trials import Failure, Worker, Workers, train

if TYPE_CHECKING:
    import optuna

log = logging.getLogger("tsrun.search")
TICK = 0.5  # seconds until a signal, or a heartbeat that is due, is seen to


class Stop:
    """Ctrl-C and SIGTERM as a number to look at; asked twice, it leaves at once."""

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
    """A trial at work."""

    trial: optuna.Trial
    worker: Worker
    folder: Path
    started: float = field(default_factory=time.monotonic)
    epochs: int = 0  # of all folds
    fold: int = 0
    latest: int = 0  # number of the latest epoch; it begins anew with each fold

    def facts(self) -> dict[str, Any]:
        """What is noted of every trial, however it ends."""
        return {"seconds": round(time.monotonic() - self.started, 3), "trained_epochs": self.epochs}


class Searcher:
    """Runs the trials of a queue, `jobs` at a time, each in a folder of its own below `folder`."""

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

    def run(self, jobs: int, deadline: float, every: int) -> int:
        """Until all trials are settled, the deadline (of time.monotonic) or a signal; the signal's number, or 0.

        `every` seconds signs of life are given and lost trials looked for. Trials that are running at the end go back
        to the study.
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
            finally:
                self._give_back()
        return self.stop.signum

    def _look(self, jobs: int) -> bool:
        """Show that the trials live, and take others; whether there is anything left to do or to wait for."""
        for job in self.jobs:
            self.queue.beat(job.trial)
        self._fill(jobs)
        if not self.jobs and not self.waiting and not self.queue.settled():
            log.info("waiting for the trials of other processes")
            self.waiting = True
        return bool(self.jobs) or not self.queue.settled()

    def _fill(self, jobs: int) -> None:
        while len(self.jobs) < jobs and not self.stop.signum:
            trial = self.queue.take()
            if trial is None:
                return
            chosen = self.queue.suggest(trial, self.space)
            folder = place_of(self.folder, trial.number)
            shutil.rmtree(folder, ignore_errors=True)
            argv = [*trial_words(self.argv, chosen, self.config), "--out", str(folder), *self._cheaply(jobs)]
            self.jobs.append(Job(trial, self.workers.start(train, argv), folder))

    def _cheaply(self, jobs: int) -> list[str]:
        """A trial is judged on validation alone; the first also says what the references read there."""
        wanted = self.config.reference == "auto" and not self.queue.references()
        cheap = ["--eval-split", "val", "--no-plots", "--quiet", "--reference", "auto" if wanted else "off"]
        return cheap if self.config.threads else [*cheap, "--threads", str(threads_each(jobs))]

    def _listen(self, timeout: float) -> bool:
        """Hear every worker that has something to say; whether one of them is finished."""
        if not self.jobs:
            time.sleep(timeout)
            return False
        ready = set(wait([job.worker.connection for job in self.jobs], timeout))
        running = len(self.jobs)
        for job in [job for job in self.jobs if job.worker.connection in ready]:
            self._hear(job)
        return len(self.jobs) < running

    def _hear(self, job: Job) -> None:
        import optuna

        message = job.worker.hear(0)
        if message is None:
            return
        kind, content = message
        try:
            ended = self._epoch(job, content) if kind == "epoch" else self._ended(job, content)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.warning("trial %d had been silent for too long and was given to another process", job.trial.number)
            ended = True
        if ended:
            self._drop(job)
            self._progress()

    def _epoch(self, job: Job, line: Mapping[str, Any]) -> bool:
        """Whether the trial is pruned. Folds begin anew; trials are compared in the first."""
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
        elif content["value"] is None:
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

    def _drop(self, job: Job) -> None:
        """Forget a trial that has ended; of the folders only that of the best so far stays."""
        self.jobs.remove(job)
        job.worker.end()
        for number in self.queue.leftover():
            shutil.rmtree(place_of(self.folder, number), ignore_errors=True)

    def _give_back(self) -> None:
        import optuna

        for job in self.jobs:
            job.worker.end()
        for job in self.jobs:
            with suppress(optuna.exceptions.UpdateFinishedTrialError):
                self.queue.failed(job.trial, again=True, interrupted=True, error="interrupted", **job.facts())
            shutil.rmtree(job.folder, ignore_errors=True)
        self.jobs = []

    def _progress(self) -> None:
        log.info("%s", progress(self.queue, self.monitor))


def place_of(folder: Path, number: int) -> Path:
    """Where the run of a trial is kept."""
    return folder / f"{number:06d}"


def trial_words(argv: Sequence[str], chosen: Mapping[str, Any], config: RunConfig) -> list[str]:
    """The command line of a trial: that of the search, and its values over it."""
    return [*argv, *words(chosen, config)]


def threads_each(jobs: int) -> int:
    """The share of a job in the cores that this process may use; OMP_NUM_THREADS bounds it, as it does torch's."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(min(cores // jobs, int(asked) if asked.isdigit() else cores), 1)


def progress(queue: Queue, monitor: str) -> str:
    """How the study stands, in one line."""
    counts = Counter(line["state"] for line in queue.table())
    shown = [f"{counts[state]} {state}" for state in ("pruned", "failed", "invalid") if counts[state]]
    text = ", ".join([f"{counts['done']} of {queue.trials} done", *shown])
    best = queue.best()
    if best is not None:
        text += f"; best {monitor} {best.value:.4g} (trial {best.number})"
    beside = ", ".join(f"{name} {value:.4g}" for name, value in queue.references().items())
    return text + (f", on the same windows {beside}" if beside else "")
