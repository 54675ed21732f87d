"""Arrays of one .npz that are parts of the same data by their names: X_train and y_train beside X_test and y_test."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from readers.paths import abridge

TRAIN, VAL, TEST = "train", "val", "test"
_PARTS = {"train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "dev": VAL, "test": TEST}
_WORDS = "|".join(sorted(_PARTS, key=len, reverse=True))
_NAME = re.compile(rf"(?:(?P<head>\w+)_|(?P<letter>[xy]))?(?P<part>{_WORDS})(?:_(?P<tail>\w+)|(?P<last>[xy]))?", re.I)
UNNAMED = "X"  # what `train` and `test` are parts of


@dataclass(frozen=True)
class Divided:
    """The arrays as a reader takes them.

    entries : {what an array is called: the arrays of the file that are it, one after the other}. notes : on that.
    """

    entries: dict[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()


def divided(names: Sequence[str], *, infer: bool) -> Divided:
    """The arrays of a file, of those in parts the ones to learn from: train and val; or to predict: test.

    Parameters
    ----------
    names : of all arrays.
    infer : whether they are to be predicted.

    Returns
    -------
    Every array under its own name where none is a part of training, or a name would be there twice.
    """
    found = {name: _part(name) for name in names}
    parts = {part for _, part in filter(None, found.values())}
    own = {base for base, _ in filter(None, found.values())} & {name for name, part in found.items() if part is None}
    if TRAIN not in parts or own or len({*filter(None, found.values())}) < sum(map(bool, found.values())):
        return Divided({name: (name,) for name in names})
    wanted = (TEST,) if infer and TEST in parts else (TRAIN, VAL)
    entries: dict[str, tuple[str, ...]] = {}
    for part in ("", *wanted):  # of what is in parts, training first
        for name, (base, of) in ((name, pair or (name, "")) for name, pair in found.items()):
            if of == part:
                entries[base] = (*entries.get(base, ()), name)
    return Divided(entries, tuple(_told(entries, found, infer)))


def _part(name: str) -> tuple[str, str] | None:
    """What an array is a part of, and which; None for an array that is no part."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    base = "_".join(filter(None, (match["head"] or match["letter"], match["tail"] or match["last"])))
    return base or UNNAMED, _PARTS[match["part"].lower()]


def _told(entries: Mapping[str, Sequence[str]], found: Mapping[str, tuple[str, str] | None], infer: bool) -> list[str]:
    notes = [f"{' and '.join(several)} are read as one, {name}" for name, several in entries.items() if several[1:]]
    read = {name for several in entries.values() for name in several}
    out = [name for name in found if name not in read]
    later = "" if infer else "; --mode infer --ckpt RUN with this file predicts them"
    return [*notes, *([f"{abridge(out)} left out{later if any(map(_is_test, out)) else ''}"] if out else [])]


def _is_test(name: str) -> bool:
    part = _part(name)
    return part is not None and part[1] == TEST
