"""The registry of readers: a file per format, see registry.py.

A reader's file holds a literal table `READS`, read without importing the file, and one class under `@register`;
`readers/base.py` says what the class must offer.

    READS = {"endings": [".parquet", ".feather"]}  # of the names of the files that it reads

    @register
    class ArrowReader(Reader): ...
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from registry import Registry

if TYPE_CHECKING:
    from readers.base import Reader

_registry = Registry(__name__, Path(__file__).parent, table="READS")
register, names = _registry.register, _registry.names

DEFAULT = "text"  # reads files of any other ending


@functools.cache
def load(name: str) -> Reader:
    """The reader called `name`, made once; imports its file.

    Raises
    ------
    ModuleNotFoundError : there is no such reader.
    """
    reader: Reader = _registry.load(name)()
    return reader


def reader_of(files: Iterable[Path | str]) -> Reader:
    """The reader for files of these names: the one that their ending calls for.

    Parameters
    ----------
    files : paths or names of files. Files of any other ending, or of different formats, are for the reader of CSV text,
        the default.
    """
    found = {_name_of(str(file)) for file in files}
    return load(found.pop() if len(found) == 1 else DEFAULT)


def stem(file: Path) -> str:
    """A file's name without its folder and the ending of its format (and .gz, .bz2, .xz): what its channel is called.

    Parameters
    ----------
    file : a path, which need not exist.
    """
    name = file.name.removesuffix(".gz").removesuffix(".bz2").removesuffix(".xz")
    ending = next((ending for ending in _endings() if name.endswith(ending)), "")
    return name.removesuffix(ending) or file.name


def _name_of(file: str) -> str:
    """The name of the reader that a file's ending calls for, whatever its case."""
    return next((name for ending, name in _endings().items() if file.lower().endswith(ending)), DEFAULT)


@functools.cache
def _endings() -> dict[str, str]:
    """The reader of each ending."""
    return {ending: name for name in names() for ending in _registry.table(name, "READS")["endings"]}
