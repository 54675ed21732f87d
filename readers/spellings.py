"""Words of labels in one spelling: `Yes`, `yes ` and `YES` are one word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST_SHOWN = 3  # words that a note lists
AS_COMMON = 1 / 3  # of the rows of a word: those of another, from which on capitals within it make it another


def one_spelling(
    words: Sequence[str], codes: np.ndarray, name: str, known: Sequence[str] = ()
) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """Words that differ in case and spaces alone as one, in the spelling that is commonest.

    Capitals within a word (`hId` beside `hid`, as sounds are written) are no other spelling where both are common.

    Parameters
    ----------
    words : K words.
    codes : [n] their numbers, NaN for none.
    name : of the label, for the note.
    known : words that are never one.

    Returns
    -------
    (the words that are left, sorted; the codes under these, of the same type; a note where some were one).
    """
    there = ~np.isnan(codes)
    counts = np.bincount(codes[there].astype(int), minlength=len(words))
    by_plain: dict[str, list[int]] = {}
    for code, word in enumerate(words):
        by_plain.setdefault(plainly(word), []).append(code)
    for plain, group in list(by_plain.items()):
        spelled = [words[code] for code in group]
        if {*spelled} <= {*known} or _apart(spelled, [int(counts[code]) for code in group]):
            del by_plain[plain]
            by_plain |= {words[code]: [code] for code in group}
    chosen = {plain: max(group, key=lambda code: int(counts[code])) for plain, group in by_plain.items()}
    kept = tuple(sorted(words[code] for code in chosen.values()))
    if len(kept) == len(words):
        return tuple(words), codes, []
    table = np.full(len(words) + 1, np.nan, codes.dtype)
    for plain, group in by_plain.items():
        table[group] = kept.index(words[chosen[plain]])
    merged = [group for group in by_plain.values() if len(group) > 1]
    shown = "; ".join(", ".join(words[code] for code in group) for group in merged[:MOST_SHOWN])
    more = f"; and {len(merged) - MOST_SHOWN} more" if len(merged) > MOST_SHOWN else ""
    note = f"label {name!r}: spellings of one word are one: {shown}{more}"
    return kept, table[np.where(there, codes, len(words)).astype(int)], [note]


def plainly(word: str) -> str:
    """A word without what spellings of it differ in."""
    return " ".join(word.casefold().split())


def _apart(words: Sequence[str], counts: Sequence[int]) -> bool:
    """Whether words of one spelling but for case are several: some have capitals within, and all are common."""
    within = [word for word in words if word not in (word.lower(), word.upper(), word.title(), word.capitalize())]
    spaced = len({" ".join(word.split()) for word in words}) < len(words)
    return bool(within) and not spaced and min(counts) >= AS_COMMON * max(counts)
