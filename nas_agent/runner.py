"""One experiment as a process of its own: `run.py --config FILE --tag TAG`, in a budget of time, with signs of life."""

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
# Where there is prctl, the child is killed when its parent is (1 is PR_SET_PDEATHSIG); elsewhere it would go on.
TIED = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@dataclass(frozen=True)
class Outcome:
    """How a process ended: `reason` is empty where it went well."""

    code: int | None  # None: it was stopped, its time was over
    reason: str


def execute(config: Path, tag: str, out: Path, *, timeout: float | None, alive: Callable[[], None]) -> Outcome:
    """Run one experiment; its files appear in `out`/`tag`. `alive` is called every few seconds while it runs.

    After `timeout` seconds it is stopped, with all that it has started; so it is when anything is raised here.
    """
    code, told = _finish([*_words(config, tag, out), "--overwrite"], timeout, alive)
    if code is None:
        reason = f"stopped after {timeout:g} s, its budget"
    else:
        reason = "" if code == 0 else _reason(code, told)
    return Outcome(code, reason)


def rehearse(text: str) -> str:
    """What run.py has against the configuration `text`, in its own words; empty where it would train.

    The table is read and the model is built, nothing is trained.
    """
    with tempfile.TemporaryDirectory(prefix="tsrun-proposal-") as folder:
        config = Path(folder) / "proposal.py"
        with writing(config):
            config.write_text(text, encoding="utf-8")
        code, told = _finish([*_words(config, "proposal", Path(folder)), "--dry-run"], None, lambda: None)
        # Lines of a file that the agent did not write would say nothing to it.
        said = re.sub(rf"{re.escape(str(config))}(:\d+)?: ", "", told.strip())
    return "" if code == 0 else said.removeprefix("error: ") or f"exit code {code}"


def _words(config: Path, tag: str, out: Path) -> list[str]:
    return [str(RUN_PY), "--config", str(config), "--tag", tag, "--out", str(out), "--json", "--quiet"]


def _finish(words: list[str], timeout: float | None, alive: Callable[[], None]) -> tuple[int | None, str]:
    """(the exit code, stderr) of a process; (None, "") of one whose time was over."""
    end = None if timeout is None else time.monotonic() + timeout
    with _process([sys.executable, *(["-I", "-c", TIED] if sys.platform == "linux" else []), *words]) as process:
        while True:
            left = BEAT if end is None else max(0.0, end - time.monotonic())
            try:
                told = process.communicate(timeout=min(BEAT, left))[1]
                return process.returncode, told
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


def _reason(code: int, told: str) -> str:
    """What run.py said of its error, on one line; else its last line."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    first = next((place for place, line in enumerate(lines) if line.startswith("error: ")), None)
    said = lines[-1:] if first is None else [lines[first].removeprefix("error: "), *lines[first + 1 : first + 3]]
    ending = f"signal {-code}" if code < 0 else f"exit code {code}"
    return without_password(f"{'; '.join(said)[:500]} ({ending})" if said else ending)
