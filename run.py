"""tsrun: `python run.py --mode train|finetune|infer --task TASK ...`; see README.md.

Parses, runs the pipeline, and turns an error into one message and an exit code. Every other command does the last part
with `guarded`, too.
"""

from __future__ import annotations

import atexit
import gc
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from errors import Interrupted, ResourceError, TsrunError, is_disk_full, report

# New objects after which Python looks for cycles among them, and how often among older ones. Importing makes a million
# objects that live to the end: with Python's own 700, half the time of a short run goes into looking through them.
COLLECT = (100_000, 50, 100)
SMALLER = "fewer channels or rows, a larger --stride, a smaller --batch-size"


def main(argv: Sequence[str]) -> int:
    """Run one command line; the exit code (0 done, 2 usage, 3 data, 4 checkpoint, 5 diverged, 6 resource, 130/143)."""

    def body() -> None:
        import cli

        config = cli.parse(argv)
        import tasks
        from sources.early import look

        look(config, tasks.every_flag(config.task))
        import pipeline  # imports torch, so only once arguments and files are known to be good

        try:
            pipeline.run(config, argv)
        except OSError as error:
            if not is_disk_full(error):
                raise
            raise _full(error, f"--out {config.out}") from None

    return guarded(body, out_of_memory=SMALLER)


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
        return body() or 0
    except TsrunError as error:
        if isinstance(error, Interrupted):
            error.hint = error.hint or interrupted
        return show(error)
    except KeyboardInterrupt:
        return show(Interrupted(signal.SIGINT, "stopped by Ctrl-C", hint=interrupted))
    except OSError as error:
        if not is_disk_full(error):
            raise
        return show(_full(error))
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        return show(ResourceError("out of memory", hint=out_of_memory))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise Interrupted(signum, "stopped by SIGTERM")


def _full(error: OSError, place: str = "") -> ResourceError:
    return ResourceError("the disk is full", where=str(error.filename or place))


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    if "torch" not in sys.modules:  # then it was not torch that ran out
        return False
    from hardware import is_out_of_memory

    return is_out_of_memory(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
