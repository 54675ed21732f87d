"""Values in a file of their own where they are too large for memory: the system holds what is being read of them."""

from __future__ import annotations

import contextlib
import logging
import mmap
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from readers import cache
from readers.scaled import Scaled
from settings.sizes import bytes_of, free_bytes

log = logging.getLogger("tsrun")
COPIES = 4  # of a text's bytes that are held at most while it is read and learned from
AT_ONCE = 1 << 22  # values that are copied at once


def too_large(paths: Iterable[Path | str], memory: str, *, whole: str = "") -> bool:
    """Whether files are too large to be read into the memory that --memory allows, or that is free; says so.

    `whole` are those that are read whole all the same.
    """
    size = 0
    for path in paths:
        with contextlib.suppress(OSError):  # whoever reads it says what is wrong
            size += Path(path).stat().st_size
    allowed = bytes_of(memory) if memory else free_bytes()
    if COPIES * size <= allowed:
        return False
    told = f"%s MB of files, %s MB of memory{' (--memory)' if memory else ''}: "
    told += f"{whole} is read whole" if whole else "the values are kept in a file in %s and read as they are needed"
    where = [] if whole else [_folder() or tempfile.gettempdir()]
    log.info(told, *(f"{number / 1e6:,.0f}" for number in (size, allowed)), *where)
    return True


def array(shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
    """An array of zeros in a file without a name, which is gone when nobody holds the array."""
    folder = _folder()
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.asarray(np.memmap(file, dtype, "w+", shape=tuple(shape)))


def like(values: np.ndarray, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
    """An array that is in a file where `values` are, else in memory; it has no values yet."""
    return array(shape, dtype) if is_mapped(values) else np.empty(shape, dtype)


def is_mapped(values: np.ndarray | Scaled) -> bool:
    """Whether an array, or what is read of one, is in a file."""
    base: Any = values.base if isinstance(values, Scaled) else values
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def taken(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The columns `order` of values [C, total], in a file where they are in one."""
    if not is_mapped(values):
        sorted_values: np.ndarray = values[:, order]
        return sorted_values
    made = array((len(values), len(order)), values.dtype)
    for begin in range(0, len(order), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        for c, channel in enumerate(values):
            made[c, part] = channel[order[part]]
    return made


def rows(values: np.ndarray, which: Sequence[int] | np.ndarray) -> np.ndarray:
    """The channels `which` of values [C, total], in a file where they are in one; all of them are no copy."""
    if len(which) == len(values) and list(which) == list(range(len(values))):
        return values
    if not is_mapped(values):
        some: np.ndarray = values[np.asarray(which)]
        return some
    made = array((len(which), values.shape[1]), values.dtype)
    for row, channel in zip(made, which, strict=True):
        row[:] = values[channel]
    return made


def side_by_side(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Values [C, n] of several files as one [C, total], in a file where one of them is."""
    if len(parts) == 1:
        return parts[0]
    if not any(map(is_mapped, parts)):
        return np.concatenate(parts, axis=1)
    made, begin = array((len(parts[0]), sum(part.shape[1] for part in parts))), 0
    for part in parts:
        made[:, begin : begin + part.shape[1]] = part
        begin += part.shape[1]
    return made


def _folder() -> Path | None:
    """That of the cache; None for the system's own."""
    return cache.folder()
