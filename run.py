"""tsrun: `python run.py --mode train|finetune|infer --task TASK ...`; see README.md.

Parses, runs the pipeline, and turns an error into one message and an exit code. Every other command does the last part
with `guarded`, too.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest is imported: there is nothing to clean up yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import atexit
import contextlib
import gc
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, TextIO

import ranks
from errors import (
    Interrupted,
    ResourceError,
    TsrunError,
    as_typed,
    is_disk_full,
    is_out_of_memory,
    report,
    report_json,
    trouble,
)

if TYPE_CHECKING:
    from cli import NoTask

# New objects after which Python looks for cycles among them, and how often among older ones. Importing makes a million
# objects that live to the end: with Python's own 700, half the time of a short run goes into looking through them.
COLLECT = (100_000, 50, 100)
SMALLER = "fewer channels or rows, a larger --stride, a smaller --batch-size"


def main(argv: Sequence[str]) -> int:
    """Run one command line; the exit code (0 done, 2 usage, 3 data, 4 checkpoint, 5 diverged, 6 resource, 130/143)."""

    as_json = [word for word in argv if word in ("--json", "--no-json")][-1:] == ["--json"]

    def body() -> int | None:
        nonlocal as_json
        import cli
        from commandline.asked import answered

        if (text := answered(argv)) is not None:
            print(as_typed(text))
            return 0

        try:
            config = cli.parse(argv)
        except cli.NoTask as error:
            if as_json:
                raise
            return _first_look(error)
        as_json = config.json
        import tasks
        from sources.early import look

        look(config, tasks.every_flag(config.task))
        import pipeline  # imports torch, so only once arguments and files are known to be good

        try:
            pipeline.run(config, argv)
        except OSError as error:
            if error.filename is None and is_disk_full(error):
                error.filename = f"--out {config.out}"
            raise
        return None

    def show(error: TsrunError) -> int:
        if not ranks.tells(error):
            return error.exit_code
        return report_json(error) if as_json else report(error)

    return guarded(body, show=show, out_of_memory=SMALLER)


def _first_look(incomplete: NoTask) -> int:
    """Print what the files of an incomplete command are, and commands that suit them; its exit code."""
    from commandline.firstlook import answer

    print(as_typed(answer(incomplete.given)))
    return incomplete.exit_code


def guarded(
    body: Callable[[], int | None],
    *,
    show: Callable[[TsrunError], int] = report,
    interrupted: str = "",
    out_of_memory: str = "",
) -> int:
    """Run a command; what ends it becomes one message on stderr and an exit code.

    A user's error, a signal, and memory or a disk that ran out become messages. Anything else is a bug of ours and is
    raised. While `body` runs, SIGTERM and Ctrl-C leave it through every cleanup, also in a job in the background, which
    starts with Ctrl-C ignored.

    Parameters
    ----------
    body : the command; returns its exit code, None for 0.
    show : prints an error and returns its exit code.
    interrupted : hint of the message after a signal.
    out_of_memory : hint of the message where memory ran out.
    """
    handlers = {signal.SIGTERM: _terminate, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    gc.set_threshold(*COLLECT)
    atexit.unregister(gc.freeze)  # once, however many commands a process runs
    atexit.register(gc.freeze)  # what is left at the end goes with the process, unsearched
    try:
        with _streams():
            return _ended(body, show, interrupted, out_of_memory)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(
    body: Callable[[], int | None], show: Callable[[TsrunError], int], interrupted: str, out_of_memory: str
) -> int:
    """Run `body`; what ends it becomes a message and an exit code."""
    try:
        return body() or 0
    except TsrunError as error:
        if isinstance(error, Interrupted):
            error.hint = error.hint or interrupted
        return show(error)
    except KeyboardInterrupt:
        return show(Interrupted(signal.SIGINT, "stopped by Ctrl-C", hint=interrupted))
    except OSError as error:
        known = trouble(error)
        if known is None:
            raise
        return show(known)
    except (MemoryError, RuntimeError) as error:
        if "can't start new thread" in str(error):
            hint = "OMP_NUM_THREADS=1 and --threads 1 take few; ulimit -u and -v show the limits"
            return show(ResourceError("no further thread can be started", hint=hint))
        if not is_out_of_memory(error):
            raise
        return show(ResourceError("out of memory", hint=out_of_memory))


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Standard output and error that never end a command: closed, of another encoding, or read by nobody.

    What a run has done is not undone because its result cannot be printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes this number, which a file of ours would get
    before = sys.stdout, sys.stderr
    if before[0] is sys.__stdout__:
        sys.stdout = _Printer.on(1, before[0])
    if before[1] is sys.__stderr__:
        sys.stderr = _Printer.on(2, before[1])
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


class _Printer(io.TextIOWrapper):
    """Text to a file descriptor, as long as it takes any."""

    @classmethod
    def on(cls, number: int, stream: TextIO | None) -> TextIO:
        """A stream in place of Python's own, which is None where it was closed."""
        if stream is not None:
            stream.flush()
        encoding = (stream and stream.encoding) or "utf-8"
        file = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        return cls(file, encoding, errors="backslashreplace", line_buffering=True)

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        """From now on what is printed goes nowhere, also what still waits in the buffer."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
        if self.fileno() == 1 and not isinstance(error, BrokenPipeError):
            print(f"warning: the result could not be printed: {error.strerror}", file=sys.stderr)


def _terminate(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise Interrupted(signum, "stopped by SIGTERM")


if __name__ == "__main__":
    ranks.end(main(sys.argv[1:]))
