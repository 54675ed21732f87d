"""The errors a user can meet. Each says what is wrong, where, and what to do about it.

`run.py` turns one into a message and its exit code; anything else that escapes is a bug of ours.
"""

from __future__ import annotations

import difflib
import errno
import json
import logging
import re
import sys
from collections.abc import Iterable, Sequence

# A database address. It does not match where it is unclear which part is the password.
_HOST = r"(?:\[[^\]\s@]*\]|[^\s:@/?,\[]*)(?::\d*)?"
_ADDRESS = re.compile(
    r"(?P<scheme>postgres(?:ql)?://)(?:(?P<user>[^\s:@/?]*)(?::[^\s@/?]*)?@)?"
    rf"(?P<host>{_HOST}(?:,{_HOST})*)(?P<path>(?:/[^\s@?]*)?)(?P<args>(?:\?\w+=[^\s@&]*(?:&\w+=[^\s@&]*)*)?)"
)
# Any other address, also as a path spells it (s3:/): the part before @ ends at the last one; secrets in its arguments.
_USER = r"(?P<user>[^\s:@/?#'\"]*)"
_OTHER = re.compile(rf"(?P<scheme>(?!postgres(?:ql)?:)\b[A-Za-z][\w+.-]*:/+){_USER}:(?!\d*(?:[/?#]|$))[^\s'\"]*@")
_SECRET = r"password|passwd|pwd|secret|token|signature|credential|key|sig"
_TOKENS = re.compile(rf"(?P<name>[?&][\w.-]*(?:{_SECRET})[\w.-]*=)[^&\s'\"#]+", re.IGNORECASE)
_ADDRESSES = re.compile(r"postgres(?:ql)?:/+[^\s'\"]*")
_REST = re.compile(r"[^@\n]*@[^\s'\"]*")  # of an address whose password holds a space or a quote
_SECRETS = re.compile(r"(?<=[?&])\w*(?:password|secret)\w*=[^&]*&?", re.IGNORECASE)
# The other form that libpq reads: host=db dbname=power. Only a password and options may hold another "=".
_QUOTED = r"'(?:[^'\\]|\\.)*'"
_PAIR = rf"(?:(?:(?:ssl)?password|options)=(?:{_QUOTED}|[^\s']\S*)|\w+=(?:{_QUOTED}|[^\s'=]+))"
_PAIRS = re.compile(rf"\s*{_PAIR}(?:\s+{_PAIR})*\s*")
_PLACES = re.compile(r"(?<!\S)(?:host|hostaddr|dbname|service|user)=")
_PASSWORDS = re.compile(rf"\s*(?<![\w?&])(?:ssl)?password=(?:{_QUOTED}|\S+)")
_VERBS = {"are": "is", "were": "was", "have": "has", "hold": "holds", "do": "does", "take": "takes", "end": "ends"}
_THINGS = "row step window epoch channel label line value sample message home trial file column run part shard network"
_ONE = re.compile(rf"(?<![\d.,:/-])1 ({_THINGS.replace(' ', '|')})s\b(?: ({'|'.join(_VERBS)})\b)?")
ADDRESS_FORMS = (
    "postgresql://USER@HOST/NAME, 'host=HOST dbname=NAME user=USER' or embedded:DIR; in a user or password "
    "of the first, @ : / ? % are written %40 %3A %2F %3F %25"
)

COMMANDS = {  # `tsrun WORD`, and the script of a checkout that it is
    "search": "search.py",
    "report": "tools/report.py",
    "export": "tools/export.py",
    "stream": "tools/stream.py",
    "federate": "tools/federate.py",
    "synth": "tools/synth.py",
    "deddiag": "tools/deddiag_db.py",
    "agent": "-m nas_agent",
    "demo-data": "-m sources.synthetic",
}


class TsrunError(Exception):
    """An error with a message: `what` happened, `where` (flag, file:row:column, shape), a `hint`."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.hint = one_of(what), where, one_of(hint)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return without_password(f"{text}\n  hint: {self.hint}" if self.hint else text)


def report(error: TsrunError) -> int:
    """Print an error on stderr, as every command does, and return its exit code."""
    print(f"error: {as_typed(str(error))}", file=sys.stderr)
    return error.exit_code


def as_typed(text: str) -> str:
    """`text` with its commands as they are typed here: `tsrun ...` in place of `python run.py ...` where that is how
    this process was started."""
    started = sys.argv[0].replace("\\", "/").removesuffix(".exe")
    if not f"/{started}".endswith(("/tsrun", "/tsrun/__main__.py")):
        return text
    words = {script: f"tsrun {word}" for word, script in COMMANDS.items()} | {"run.py": "tsrun"}
    text = re.sub(r"-r requirements-(\w+)\.txt", r"'tsrun[\1]'", text)
    return re.sub(rf"\bpython ({'|'.join(map(re.escape, words))})(?![\w.])", lambda found: words[found[1]], text)


def report_json(error: TsrunError) -> int:
    """The same, and on stdout one JSON object with the parts of the message: what a program that asked for JSON reads.

    Parameters
    ----------
    error : its message goes to stderr all the same.
    """
    parts = {"what": error.what, "where": error.where, "hint": error.hint, "message": str(error)}
    parts = {name: as_typed(text) for name, text in parts.items()}
    plain: dict[str, object] = {"kind": type(error).__name__, "exit_code": error.exit_code}
    print(json.dumps({"error": plain | {name: without_password(text) for name, text in parts.items()}}), flush=True)
    return report(error)


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


def is_disk_full(error: OSError) -> bool:
    """Whether there is no block left, no quota, or no room for a larger file."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


LIMITS = {  # what the system has no more of: the message, and where to look
    errno.ENOSPC: ("the disk is full", ""),
    errno.EDQUOT: ("the disk is full: your quota is used up", "quota -s shows it"),
    errno.EFBIG: (
        "the disk is full: a file would pass the largest size",
        "ulimit -f shows the limit",
    ),
    errno.EMFILE: ("too many files are open", "ulimit -n shows the limit; a run needs about 20"),
    errno.ENFILE: ("too many files are open on this machine", ""),
    errno.ENOMEM: ("out of memory", ""),
    errno.EAGAIN: ("no further process can be started", "ulimit -u shows the limit"),
}


def trouble(error: OSError) -> TsrunError | None:
    """What the system refused, as a message: a limit, or a file; None for anything else, which is a bug of ours.

    Parameters
    ----------
    error : as the system gave it.
    """
    where = "" if error.filename is None else str(error.filename)
    if error.errno in LIMITS:
        what, hint = LIMITS[error.errno]
        return ResourceError(what, where=where, hint=hint)
    if where:
        return DataError(f"cannot be used: {error.strerror or error}", where=where)
    if error.errno == errno.ENOENT:  # of a file that nobody named
        return DataError("the working folder is gone", hint="cd into one that is there")
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python ran out of memory, on whichever device."""
    told = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in told)
    )


def refused(error: OSError, kind: type[TsrunError], what: str, where: str) -> TsrunError:
    """A place that a user named and the system refuses: exit 6 at a limit, such as a full disk, else another error.

    Parameters
    ----------
    error : as the system gave it.
    kind : of the other error.
    what : cannot be done, such as "cannot be written".
    where : the place.
    """
    if error.errno in LIMITS:
        text, hint = LIMITS[error.errno]
        return ResourceError(text, where=where, hint=hint)
    return kind(f"{what}: {error.strerror or error}", where=where)


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the known word closest to `word`, or an empty string when none is close."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {match[0]}?" if match else ""


def many(count: int, what: str) -> str:
    """A count of things in words: `1 step`, `2,000 steps`, `3 series`.

    Parameters
    ----------
    count : how many.
    what : one of them.
    """
    return f"{count:,} {what}{'s' * (count != 1 and not what.endswith('s'))}"


def one_of(text: str) -> str:
    """Text in which what there is one of is not called many: `1 rows have` becomes `1 row has`.

    Parameters
    ----------
    text : a message.
    """
    return _ONE.sub(lambda found: f"1 {found[1]}{f' {_VERBS[found[2]]}' if found[2] else ''}", text)


class OneLine(logging.Formatter):
    """The message of a record, as `one_of` has it."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        return one_of(super().format(record))


def log_handler() -> logging.Handler:
    """A handler that writes messages to stderr as people read them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    return handler


def no_channel(name: str, channels: Sequence[str], option: str) -> DataError:
    """The error for a channel that is not there.

    Parameters
    ----------
    name : what was asked for.
    channels : what there is.
    option : the flag that asks for it.
    """
    hint = "; ".join(filter(None, [nearest(name, channels), listed(channels)]))
    return DataError(f"there is no channel {name!r}", where=option, hint=hint)


def printable(text: str) -> str:
    """Text for a terminal or a font: a mark that neither can show, such as the beginning of a colour, becomes `?`."""
    return text if text.isprintable() else "".join(mark if mark.isprintable() else "?" for mark in text)


def listed(channels: Sequence[str]) -> str:
    """Channels for a hint: the first of them.

    Parameters
    ----------
    channels : their names.
    """
    return f"the channels are {', '.join(channels[:8])}{', ...' if len(channels) > 8 else ''}"


def is_address(text: str) -> bool:
    """Whether `text` is a database address: `postgresql://...`, with special characters percent-encoded, or the pairs
    `host=... dbname=...`."""
    if _ADDRESS.fullmatch(text):
        return not re.search(r"%(?:00|(?![0-9A-Fa-f]{2}))", text)
    return bool(_PAIRS.fullmatch(text) and _PLACES.search(text))


def without_password(text: str) -> str:
    """`text` without the passwords of the addresses in it; a malformed one of a database is hidden altogether."""
    shown, at = [], 0
    if ":/" in text:  # of any other kind
        text = _TOKENS.sub(r"\g<name>...", _OTHER.sub(r"\g<scheme>\g<user>@", text))
    while found := _ADDRESSES.search(text, at):
        end = found.end()
        unclear = _ADDRESS.fullmatch(found[0]) is None and "@" not in found[0]
        if unclear and (rest := _REST.match(text, end)):
            end = rest.end()
        shown += [text[at : found.start()], _shown(text[found.start() : end])]
        at = end
    return _PASSWORDS.sub("", "".join([*shown, text[at:]])).lstrip(" ")


def _shown(address: str) -> str:
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return "postgresql://..."
    user = "" if match["user"] is None else match["user"] + "@"
    args = _SECRETS.sub("", match["args"]).rstrip("?&")
    return f"{match['scheme']}{user}{match['host']}{match['path']}{args}"
