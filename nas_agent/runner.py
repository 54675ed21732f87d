"""One experiment as its own process: `run.py --config FILE --tag TAG`, with a time budget and signs of life."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from errors import without_password
from nas_agent.files import writing

RUN_PY = Path(__file__).resolve().parent.parent / "run.py"
BEAT = 15.0  # seconds between signs of life
LEASE = 8 * BEAT  # seconds of silence after which a run counts as lost
GRACE = 10.0  # seconds between asking a process to stop and killing it
# With prctl (Linux) the child is killed when its parent is (1 is PR_SET_PDEATHSIG); elsewhere it would keep running.
TIED = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@dataclass(frozen=True)
class Outcome:
    """How a process ended: `reason` is empty if it succeeded."""

    code: int | None  # None: it was stopped after its time budget
    reason: str


def execute(config: Path, tag: str, out: Path, *, timeout: float | None, alive: Callable[[], None]) -> Outcome:
    """Run one experiment; its files appear in `out`/`tag`. `alive` is called every few seconds while it runs.

    After `timeout` seconds, or if anything is raised here, it is stopped with all processes that it started.
    """
    code, stderr = _finish([*_words(config, tag, out), "--overwrite"], timeout, alive)
    if code is None:
        reason = f"stopped after its budget of {timeout:g} s"
    else:
        reason = "" if code == 0 else _reason(code, stderr)
    return Outcome(code, reason)


def dry_run(text: str) -> str:
    """The error of run.py for the configuration `text`; empty if it would train.

    The table is read and the model is built; nothing is trained.
    """
    with tempfile.TemporaryDirectory(prefix="tsrun-proposal-") as folder:
        config = Path(folder) / "proposal.py"
        with writing(config):
            config.write_text(text, encoding="utf-8")
        code, stderr = _finish([*_words(config, "proposal", Path(folder)), "--dry-run"], None, lambda: None)
        # The agent did not write this file, so its lines mean nothing to it.
        message = re.sub(rf"{re.escape(str(config))}(:\d+)?: ", "", stderr.strip())
    return "" if code == 0 else message.removeprefix("error: ") or f"exit code {code}"


def _words(config: Path, tag: str, out: Path) -> list[str]:
    return [str(RUN_PY), "--config", str(config), "--tag", tag, "--out", str(out), "--json", "--quiet"]


def _finish(words: list[str], timeout: float | None, alive: Callable[[], None]) -> tuple[int | None, str]:
    """(exit code, stderr) of a process; (None, "") of one that exceeded its time."""
    end = None if timeout is None else time.monotonic() + timeout
    with _process([sys.executable, *(["-I", "-c", TIED] if sys.platform == "linux" else []), *words]) as process:
        while True:
            left = BEAT if end is None else max(0.0, end - time.monotonic())
            try:
                stderr = process.communicate(timeout=min(BEAT, left))[1]
                return process.returncode, stderr
            except subprocess.TimeoutExpired:
                if left < BEAT:
                    return None, ""
            alive()


@contextlib.contextmanager
def _process(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=GRACE)


def _reason(code: int, stderr: str) -> str:
    """The error message of run.py on one line, else its last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    first = next((place for place, line in enumerate(lines) if line.startswith("error: ")), None)
    message = lines[-1:] if first is None else [lines[first].removeprefix("error: "), *lines[first + 1 : first + 3]]
    ending = f"signal {-code}" if code < 0 else f"exit code {code}"
    return without_password(f"{'; '.join(message)[:500]} ({ending})" if message else ending)
