"""Questions that a command line may ask in place of a run: --list, --doctor, the help of one task, --completion."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import tasks
from errors import UsageError

HELP = ("-h", "--help")


def answered(argv: Sequence[str]) -> str | None:
    """The answer to a question, None where a command line asks none.

    Parameters
    ----------
    argv : its words.

    Raises
    ------
    UsageError : a question about what there is not.
    """
    words = list(argv)
    if "--list" in words:
        from commandline.lists import listing

        after = words[words.index("--list") + 1 :]
        return listing([word for word in after if not word.startswith("-")] or [""])
    if "--doctor" in words:
        from commandline.doctor import report

        return report()
    if set(HELP) & set(words) and (task := _task(words)):
        from commandline.flags import make_parser

        return make_parser(task).format_help().rstrip()
    if "--completion" in words:
        return _completion(words[words.index("--completion") + 1 :])
    return None


def _task(words: Sequence[str]) -> str:
    """The task that a command line names, "" for none that there is."""
    after = [word for before, word in itertools.pairwise(words) if before == "--task"]
    joined = [word.partition("=")[2] for word in words if word.startswith("--task=")]
    return next((word for word in [*after, *joined] if word in tasks.names()), "")


def _completion(words: Sequence[str]) -> str:
    """The script with which a shell completes flags and their choices."""
    try:
        import shtab
    except ImportError:
        hint = "pip install -r requirements-complete.txt"
        raise UsageError("needs shtab", where="--completion", hint=hint) from None
    from commandline.flags import make_parser

    shell = words[0] if words else "bash"
    if shell not in shtab.SUPPORTED_SHELLS:
        raise UsageError(f"{shell!r} is no shell that it knows", where="--completion", hint="bash, zsh or tcsh")
    parser = make_parser()
    parser.prog = "tsrun"
    text: str = shtab.complete(parser, shell=shell)
    return text
