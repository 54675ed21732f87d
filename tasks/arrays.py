"""An .npz whose arrays are written some windows at a time: byte for byte what `numpy.savez_compressed` writes."""

from __future__ import annotations

import shutil
import zipfile
from io import BufferedRandom
from pathlib import Path
from types import TracebackType

import numpy as np

from tasks.blocks import unnamed


class Arrays:
    """A context manager that writes the file `path`, which is complete or absent.

    Parameters
    ----------
    path : the file.
    n : the length of the arrays that `add` writes.
    """

    def __init__(self, path: Path, n: int) -> None:
        self._path, self._part, self._n = path, path.with_name(f"{path.stem}.part{path.suffix}"), n
        self._parts: dict[str, tuple[BufferedRandom, np.ndarray]] = {}

    def __enter__(self) -> Arrays:
        self._zip = zipfile.ZipFile(self._part, "w", zipfile.ZIP_DEFLATED)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._flush()
        self._zip.close()
        if kind is None:
            self._part.replace(self._path)

    def add(self, name: str, block: np.ndarray) -> None:
        """The next elements of an array."""
        if name not in self._parts:
            self._parts[name] = unnamed(self._path.parent), block[:0]
        self._parts[name][0].write(np.ascontiguousarray(block).data.cast("B"))

    def whole(self, name: str, array: np.ndarray) -> None:
        """An array at once, after those that were added."""
        self._flush()
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, array, allow_pickle=False)

    def _flush(self) -> None:
        for name, (file, like) in self._parts.items():
            shape = (self._n, *like.shape[1:])
            described = {"descr": np.lib.format.dtype_to_descr(like.dtype), "fortran_order": False, "shape": shape}
            file.seek(0)
            with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, described)
                shutil.copyfileobj(file, member, 1 << 20)
        self._parts = {}
