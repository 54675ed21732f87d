"""What `--nan` makes of values that are missing or infinite, and how it is told."""

from __future__ import annotations

from errors import UsageError

POLICIES = ("error", "drop", "ffill", "zero")
HINT = "--nan drop leaves out the windows that hold one, --nan ffill repeats the value before, --nan zero sets 0"
_DONE = {"drop": "left as gaps", "zero": "set to 0", "ffill": "filled with the value before in the row"}


def check_policy(policy: str) -> None:
    """UsageError for what is no policy."""
    if policy not in POLICIES:
        raise UsageError(f"{policy!r} is none of {', '.join(POLICIES)}", where="--nan")


def counted(missing: int, infinite: int) -> str:
    """How many there are."""
    return f"{missing:,} missing and {infinite:,} infinite values"


def done(policy: str, leading: int) -> str:
    """What became of them; `leading` had no value before them in their row."""
    return _DONE[policy] + (f"; {leading:,} at the start of a row left as gaps" if policy == "ffill" else "")
