"""Long tables from the cache, or else read and added to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data import Source
from readers import cache
from readers.columns import LongFile, Wanted, located
from readers.dialect import Dialect
from readers.files import dialect_of
from readers.longtext import Numbering
from readers.mapped import is_mapped
from readers.streamed import read_streamed
from times.stamps import Stamps


def read_kept(path: Path, wanted: Wanted, dialect: Dialect, *, large: bool = False) -> LongFile:
    """As `readers.streamed.read_streamed`; large values are mapped from their entry, unless some of them are missing.

    Parameters
    ----------
    path, wanted, dialect, large : as there.
    """
    if cache.key(path, {}) is None:
        return read_streamed(path, wanted, dialect, large=large)
    taken = dialect_of(path, dialect)
    options = asdict(taken) | {"long": repr(wanted)}
    key = cache.key(path, options)
    if key and large:
        key = replace(key, entry=key.entry.with_suffix(cache.MAPPED))
    if key and (kept := cache.mapped(key) if large else cache.load(key)):
        return _unpacked(*kept, path, wanted, taken)
    file = read_streamed(path, wanted, dialect, large=large)
    if large and not (is_mapped(file.values) and all(np.isfinite(channel).all() for channel in file.values)):
        return file  # was read whole, or is going to be filled
    note = cache.keep(path, options, key, *_packed(file)) if key else ""
    return replace(file, notes=(*file.notes, note)) if note else file


def _packed(file: LongFile) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What a file holds as plain facts and arrays."""
    arrays, names = [file.values, file.stamps.times], []
    if file.ids is not None:
        import pandas

        codes, kinds = pandas.factorize(file.ids)
        arrays, names = [*arrays, codes.astype(np.int64)], kinds.tolist()
    stamps = {"zones": sorted(file.stamps.zones), "note": file.stamps.note, "counted": file.stamps.counted}
    plain = {name: getattr(file, name) for name in ("columns", "at", "notes", "words", "text")}
    lines = None if file.numbering is None else asdict(file.numbering)
    return {**plain, "stamps": stamps, "names": names, "lines": lines, "source": file.source.plain()}, arrays


def _unpacked(
    facts: dict[str, Any], arrays: Sequence[np.ndarray], path: Path, wanted: Wanted, dialect: Dialect
) -> LongFile:
    """The inverse of `_packed`."""
    values, times, *codes = arrays
    lines, stamps, source = facts["lines"], facts["stamps"], facts["source"]
    numbering = None if lines is None else Numbering(lines["first"], tuple(lines["out"]))
    return LongFile(
        path=path,
        columns=tuple(facts["columns"]),
        at=tuple(facts["at"]),
        values=values,
        stamps=Stamps(times, frozenset(stamps["zones"]), stamps["note"], stamps["counted"]),
        ids=np.array(facts["names"], object)[codes[0]] if codes else None,
        locate=partial(located, path, dialect, wanted.keys, numbering),
        source=Source(str(path), source["sha256"], source["bytes"], tuple(source["shape"])),
        notes=tuple(facts["notes"]),
        words=tuple(map(tuple, facts["words"])),
        text=tuple(facts["text"]),
        numbering=numbering,
    )
