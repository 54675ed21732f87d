"""Words of labels in one spelling: `Yes`, `yes ` and `YES` are one word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST_SHOWN = 3  # words that a note lists


def one_spelling(words: Sequence[str], codes: np.ndarray, name: str) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """Words that differ in case and spaces alone as one, in the spelling that is commonest.

    Parameters
    ----------
    words : K words.
    codes : [n] their numbers, NaN for none.
    name : of the label, for the note.

    Returns
    -------
    (the words that are left, sorted; the codes under these, of the same type; a note where some were one).
    """
    known = ~np.isnan(codes)
    counts = np.bincount(codes[known].astype(int), minlength=len(words))
    by_plain: dict[str, list[int]] = {}
    for code, word in enumerate(words):
        by_plain.setdefault(" ".join(word.casefold().split()), []).append(code)
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
    return kept, table[np.where(known, codes, len(words)).astype(int)], [note]
