"""The files that a flag names, with braces and globs as a shell reads them; and how messages list files."""

from __future__ import annotations

import glob
import itertools
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errors import DataError, UsageError, nearest

LONGEST = 4096  # characters of a path, in most systems
MOST_SHOWN = 10**100
MOST_NESTED = 50  # braces in braces
MOST_HINTS = 20  # missing files for which the nearest name is looked up, which takes a moment in a large folder


def expand_paths(patterns: Sequence[str], *, flag: str = "--csv", cap: int = 10_000) -> list[Path]:
    """The files that `patterns` name, in order: braces and globs as a shell reads them, globs in natural order.

    Parameters
    ----------
    patterns : names of files, which may hold wildcards and braces; a file of exactly that name goes first.
    flag : where the patterns come from, for messages.
    cap : the most files allowed.

    Raises
    ------
    UsageError : more than `cap` files.
    DataError : files that are missing, all of them listed.
    """
    found: list[Path] = []
    missing: list[str] = []
    for pattern in patterns:
        tree: list[Part] = [pattern] if _exists(Path(pattern)) else _brace_tree(pattern, flag)
        if _brace_count(tree) > cap:
            raise _too_many(pattern, _brace_count(tree), flag, cap)
        for name in _brace_words(tree):
            path = at_home(name)
            matches = [path] if _exists(path) else _glob(str(path))
            found += matches
            missing += [] if matches else [name]
        if len(found) > cap:
            raise _too_many(pattern, len(found), flag, cap)
    if missing:
        hints = [_neighbour(at_home(name)) for name in missing[:MOST_HINTS]]
        lines = "".join(f"\n  {name}{hint}" for name, hint in itertools.zip_longest(missing, hints, fillvalue=""))
        raise DataError(f"{len(missing)} of {len(missing) + len(found)} files not found:{lines}", where=flag)
    return found


def abridge(names: Sequence[object]) -> str:
    """Names for a message: all of three or fewer, else the first three and how many more there are.

    Parameters
    ----------
    names : anything that str() shows.
    """
    return ", ".join(map(str, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def merge_notes(found: Iterable[tuple[Path, Sequence[str]]]) -> list[str]:
    """The notes of several files, one line for those of the same text; `warning:` stays in front.

    Parameters
    ----------
    found : (file, the notes on it).
    """
    by_note: dict[str, list[Path]] = {}
    for path, notes in found:
        for note in notes:
            by_note.setdefault(note, []).append(path)
    lines = []
    for note, paths in by_note.items():
        text = note.removeprefix("warning: ")
        lines.append(f"{'warning: ' if text != note else ''}{abridge(paths)}: {text}")
    return lines


def at_home(name: str) -> Path:
    """The path of a name in which `~` or `~user` at the beginning is a home, where there is such a user.

    Parameters
    ----------
    name : as it is typed.
    """
    try:
        return Path(name).expanduser()
    except (RuntimeError, ValueError):  # no such user, or no home
        return Path(name)


def is_file(name: str) -> bool:
    """Whether a name, with `~` for a home, is that of a file; False, too, for a name that no file can have.

    Parameters
    ----------
    name : as it is typed.
    """
    try:
        return at_home(name).is_file()
    except (OSError, ValueError):
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # such as a name that is too long, or with a zero byte
        return False


def _too_many(pattern: str, count: int, flag: str, cap: int) -> UsageError:
    shown = f"{count:,}" if count < MOST_SHOWN else "far too many"
    return UsageError(f"{pattern[:LONGEST]!r} gives {shown} files; the limit is {cap:,}", where=flag)


def _neighbour(path: Path) -> str:
    """A hint beside a missing file: the nearest name in its folder."""
    if len(str(path)) > LONGEST or "\0" in str(path):
        return " (no path is so long)" if len(str(path)) > LONGEST else ""
    if not os.path.isdir(path.parent):  # noqa: PTH112 (Path.is_dir raises where a folder may not be read)
        return f" (no folder {path.parent})"
    listed = path.parent.iterdir() if os.access(path.parent, os.R_OK | os.X_OK) else ()
    hint = nearest(path.name, (entry.name for entry in listed))
    return f" ({hint})" if hint else ""


def _glob(pattern: str) -> list[Path]:
    """Files that match, `LP2` before `LP10`; none where the pattern has no wildcard."""
    if not glob.has_magic(pattern) or "\0" in pattern or len(pattern) > LONGEST:
        return []
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    names = [name for name in matches if Path(name).is_file()]
    parts = {name: [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)] for name in names}
    return [Path(name) for name in sorted(names, key=lambda name: (parts[name], name))]


# A pattern is a list of parts, one after the other: literal text, a range, or a list of alternatives (patterns again).
Part = str | tuple[Any, ...] | list[Any]
_NUMBER = r"([+-]?\d{1,1000})"  # more digits are text: Python refuses to count so far
_STEP = rf"(?:\.\.{_NUMBER})?"
_RANGE = re.compile(rf"{_NUMBER}\.\.{_NUMBER}{_STEP}|([A-Za-z])\.\.([A-Za-z]){_STEP}")


@dataclass
class _Pair:
    """An opening brace: where its partner is, the commas between the two, and how deep pairs lie in it."""

    closing: int = -1
    commas: list[int] = field(default_factory=list)
    depth: int = 1


def _brace_tree(text: str, flag: str) -> list[Part]:
    """Parse braces; one without a partner, or a pair without comma or range, is literal text."""
    pairs = _pairs(text)
    if any(pair.depth > MOST_NESTED for pair in pairs.values()):
        raise UsageError(f"{text[:40]!r}... has more than {MOST_NESTED} braces in braces", where=flag)
    return _parts(text, 0, len(text), pairs)


def _parts(text: str, begin: int, end: int, pairs: Mapping[int, _Pair]) -> list[Part]:
    """The parts of `text[begin:end]`."""
    parts: list[Part] = []
    at = begin
    while (opening := text.find("{", at, end)) >= 0:
        pair = pairs[opening]
        inner = text[opening + 1 : pair.closing]
        if pair.closing < 0:
            parts.append(text[at : opening + 1])
            at = opening + 1
            continue
        parts.append(text[at:opening])
        at = pair.closing + 1
        if pair.commas:
            cuts = itertools.pairwise([opening, *pair.commas, pair.closing])
            parts.append([_parts(text, a + 1, b, pairs) for a, b in cuts])
        elif match := _RANGE.fullmatch(inner):
            parts.append(match.groups())
        else:
            parts += ["{", *_parts(text, opening + 1, pair.closing, pairs), "}"]
    return [*parts, text[at:end]]


def _pairs(text: str) -> dict[int, _Pair]:
    """Each opening brace by its place. One pass, however many have no partner."""
    found: dict[int, _Pair] = {}
    opened: list[int] = []
    for match in re.finditer(r"[{},]", text):
        at = match.start()
        if match[0] == "{":
            found[at] = _Pair()
            opened.append(at)
        elif opened and match[0] == ",":
            found[opened[-1]].commas.append(at)
        elif opened:
            inner = found[opened.pop()]
            inner.closing = at
            if opened:
                found[opened[-1]].depth = max(found[opened[-1]].depth, inner.depth + 1)
    return found


def _brace_range(groups: tuple[Any, ...]) -> tuple[range, Callable[[int], str]]:
    """The numbers of `{low..high..step}` and how one is written: letters, or digits with the zero padding given."""
    low, high, step = groups[:3] if groups[0] else groups[3:]
    first, last = (int(low), int(high)) if groups[0] else (ord(low), ord(high))
    stride = abs(int(step or 1)) or 1
    numbers = range(first, last + 1, stride) if first <= last else range(first, last - 1, -stride)
    padded = groups[0] and any(re.match(r"[+-]?0\d", end) for end in (low, high))
    width = max(len(low), len(high)) if padded else 0
    return numbers, (lambda number: f"{number:0{width}d}") if groups[0] else chr


def _brace_count(tree: list[Part]) -> int:
    """How many words the tree stands for, without making them."""

    def count(part: Part) -> int:
        if isinstance(part, tuple):
            numbers = _brace_range(part)[0]
            return -(-abs(numbers.stop - numbers.start) // abs(numbers.step))  # len() stops at 2**63
        return 1 if isinstance(part, str) else sum(map(_brace_count, part))

    return math.prod(map(count, tree))


def _brace_words(tree: list[Part]) -> Iterator[str]:
    choices: list[list[str]] = []
    for part in tree:
        if isinstance(part, tuple):
            numbers, write = _brace_range(part)
            choices.append([write(number) for number in numbers])
        elif isinstance(part, str):
            choices.append([part])
        else:
            choices.append([word for option in part for word in _brace_words(option)])
    return map("".join, itertools.product(*choices))
