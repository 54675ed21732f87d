"""tsrun: `python run.py --mode train|finetune|infer --task TASK ...`; see README.md.

Parses, runs the pipeline, and turns an error into one message and an exit code.
"""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from errors import Interrupted, ResourceError, TsrunError, report


def main(argv: Sequence[str]) -> int:
    """Run one command line; the exit code (0 done, 2 usage, 3 data, 4 checkpoint, 5 diverged, 6 resource, 130/143)."""
    import cli

    signal.signal(signal.SIGTERM, _terminate)
    out = ""
    try:
        config = cli.parse(argv)
        out = f"--out {config.out}"
        import pipeline  # brings torch: only once the arguments are known to be good

        pipeline.run(config, argv)
    except TsrunError as error:
        return report(error)
    except KeyboardInterrupt:
        return report(Interrupted(signal.SIGINT, "stopped by Ctrl-C"))
    except (MemoryError, OSError, RuntimeError) as error:
        shortage = _shortage(error, out)
        if shortage is None:
            raise
        return report(shortage)
    return 0


def _terminate(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """SIGTERM outside of training, which handles it itself: leave through every cleanup."""
    raise Interrupted(signum, "stopped by SIGTERM")


def _shortage(error: Exception, out: str) -> ResourceError | None:
    """The machine ran out of something: what a person can do about it; None for anything else, which is our bug."""
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return ResourceError("the disk is full", where=str(error.filename or out)) if full else None
    from hardware import is_out_of_memory  # torch is there by now: it is what ran out

    if is_out_of_memory(error):
        hint = "fewer channels or rows, a larger --stride, a smaller --batch-size"
        return ResourceError("out of memory", hint=hint)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
