"""The errors a user can meet. Each says what is wrong, where, and what to do about it.

`run.py` turns one into a message and its exit code; anything else that escapes is a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TsrunError(Exception):
    """A user's mistake or the world's: `what` happened, `where` (flag, file:row:column, shape), a `hint`."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.hint = what, where, hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class UsageError(TsrunError):
    """Flags, config files, a device that is not there, a run name in use."""

    exit_code = 2


class DataError(TsrunError):
    """Files, databases, splits."""

    exit_code = 3


class CheckpointError(TsrunError):
    """A checkpoint that is missing, damaged, or of another model than the one asked for."""

    exit_code = 4


class DivergedError(TsrunError):
    """Training met a NaN or an infinite loss."""

    exit_code = 5


class ResourceError(TsrunError):
    """Memory or disk ran out."""

    exit_code = 6


class Interrupted(TsrunError):
    """A signal asked the run to stop; the exit code is the shell's 128 + signal number."""

    def __init__(self, signum: int, what: str, *, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.exit_code = 128 + signum


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the known word closest to `word`, or an empty string when none is close."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {match[0]}?" if match else ""
