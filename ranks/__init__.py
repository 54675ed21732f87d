"""A run of several processes, as `torchrun` starts them: which of them this is, and what they do together.

The number of a process is its rank. All of them read the same data and train the same weights, each on its share of
every batch; rank 0 alone says, writes and draws. Without torchrun's variables there is one process, and nothing of
`torch.distributed` is imported.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from errors import Interrupted, TsrunError, UsageError
from ranks.alone import Alone

if TYPE_CHECKING:
    import torch

MODES = ("train", "finetune")  # that share their work
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PATIENCE = 5.0  # seconds that an error of another rank waits: where rank 0 has the same, it alone tells it

_here = Alone()
_in_step = False


@dataclass(frozen=True)
class Place:
    """What torchrun's variables say: the rank of this process, of how many, and the same within its machine."""

    rank: int
    world: int
    local: int
    local_world: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Place | None:
        """The place of this process; None where it is alone. UsageError where a variable is missing or no number."""
        world = environment.get("WORLD_SIZE", "")
        if world in ("", "1") and "TORCHELASTIC_RUN_ID" not in environment:
            return None
        lacking = [name for name in VARIABLES if not environment.get(name)]
        if lacking:
            hint = "torchrun --standalone --nproc-per-node 2 run.py ... sets them; unset WORLD_SIZE for one process"
            raise UsageError(f"{' and '.join(lacking)} not set, WORLD_SIZE is", where="the environment", hint=hint)
        rank = environment["RANK"]
        words = [rank, world, environment.get("LOCAL_RANK", rank), environment.get("LOCAL_WORLD_SIZE", world)]
        if not all(word.isdecimal() for word in words) or int(rank) >= int(world):
            raise UsageError(f"RANK={rank} of WORLD_SIZE={world} is no place", where="the environment")
        return cls(*map(int, words))


def here() -> Alone:
    """This process among those of its run: `Alone`, or the `Group` that it has joined."""
    return _here


@contextlib.contextmanager
def joined(mode: str, device: torch.device, argv: Sequence[str]) -> Iterator[Alone]:
    """This process is what torchrun's variables say for the block, and `here()` gives it.

    Parameters
    ----------
    mode : --mode.
    device : what `--device` means.
    argv : the command line. Processes of another do not meet these, whatever address and port they share.

    Raises
    ------
    UsageError : variables, a mode or a device that do not go with several processes.
    ResourceError : the others cannot be reached, or one of them has ended.
    """
    global _here
    place = Place.of(os.environ)
    if place is None:
        yield _here
        return
    if mode not in MODES:
        hint = "without torchrun, --shard 1/2 and --shard 2/2 each take half of the series"
        raise UsageError("is not shared out among processes", where=f"--mode {mode}", hint=hint)
    from ranks.group import Group  # imports torch.distributed

    before = _here
    group = Group.join(place, device, argv)
    try:
        _here = group
        with group.heard():
            yield group
        group.leave()  # not after an error: the others may be gone
    except Exception as error:
        if not isinstance(error, TsrunError):  # a bug, which is raised: nobody else keeps it
            _keep(error)
        raise
    finally:
        _here = before


@contextlib.contextmanager
def in_step() -> Iterator[None]:
    """All processes go through the block with the same data: what they sum over windows there they share out."""
    global _in_step
    before, _in_step = _in_step, True
    try:
        yield
    finally:
        _in_step = before


def sharing() -> Alone:
    """The processes that go through this code together: those of the run within `in_step`, else this one alone."""
    return _here if _in_step else Alone()


def end(code: int) -> NoReturn:
    """End the interpreter with an exit code.

    One of several processes leaves without C++'s destructors: a thread of gloo that still runs would abort it, now and
    then, after all is done.
    """
    if os.environ.get("WORLD_SIZE", "1") not in ("", "1"):
        atexit._run_exitfuncs()  # the interpreter's own step before it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def tells(error: TsrunError) -> bool:
    """Whether this process prints its error. It ends here, with the error's code, where another has told it.

    Rank 0 tells its own at once. The others wait: the same error ends rank 0, and the launcher then ends them.
    """
    try:
        place = Place.of(os.environ)
    except UsageError:
        return os.environ.get("RANK", "0") == "0"
    if place is None:
        return True
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT} if place.rank else {signal.SIGINT, signal.SIGTERM})
    _keep(error)
    if place.rank and not isinstance(error, Interrupted):
        signal.signal(signal.SIGTERM, lambda *_: os._exit(error.exit_code))
        time.sleep(PATIENCE)
        print(f"rank {place.rank} of {place.world}:", end=" ", file=sys.stderr)
    return place.rank == 0 or not isinstance(error, Interrupted)


def _keep(error: Exception) -> None:
    """Where torchrun reads the last words of a process that it reports as failed."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file:
        told = str(error) or type(error).__name__
        extra = {"py_callstack": told, "timestamp": str(int(time.time()))}
        with contextlib.suppress(OSError):
            Path(file).write_text(json.dumps({"message": {"message": told, "extraInfo": extra}}), "utf-8")
