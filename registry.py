"""One registry for tasks, backbones and readers: an entry is a file, or a folder, that holds a literal table.

    FLAGS = {"horizon": {"default": 24, "help": "steps to forecast"}}

    @register
    class Forecast(Task): ...

The file is found by its table, so a helper beside it is no entry; the table is read without importing the file, so
that `--help` needs no torch. An entry that outgrows its file becomes a folder of its name, with the table in
`{main}.py`.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

_Class = TypeVar("_Class", bound=type)


class Registry:
    """The entries of one package.

    Parameters
    ----------
    package : the package's dotted name.
    folder : where its files are.
    table : the literal table that makes a file an entry, such as "FLAGS".
    main : the file of a folder that registers the class, without ending; it, or flags.py beside it, holds the tables.
    """

    def __init__(self, package: str, folder: Path, *, table: str, main: str = "") -> None:
        self.package, self.folder, self.required, self.main = package, folder, table, main
        self._classes: dict[str, type] = {}
        self.names = cache(self._names)
        self.table = cache(self._table)

    def register(self, cls: _Class) -> _Class:
        """Make `cls` the entry of its file or folder; an entry has one class."""
        name = cls.__module__.removeprefix(f"{self.package}.").partition(".")[0]
        known = self._classes.setdefault(name, cls)
        assert known.__qualname__ == cls.__qualname__, f"two classes are registered in {self.package}/{name}"
        self._classes[name] = cls
        return cls

    def load(self, name: str) -> type:
        """The class of an entry; imports its file (and with it, mostly, torch)."""
        importlib.import_module(self.module(name))
        assert name in self._classes, f"{self._file(name)} registers no class"
        return self._classes[name]

    def module(self, name: str) -> str:
        """The module of an entry's file."""
        return ".".join((self.package, *self._file(name).relative_to(self.folder).with_suffix("").parts))

    def _names(self) -> tuple[str, ...]:
        """Every entry's name, sorted."""
        files = {path.stem for path in self.folder.glob("*.py") if self._holds_table(path)}
        mains = self.folder.glob(f"*/{self.main}.py")
        folders = {path.parent.name for path in mains if self._holds_table(self._tables(path))}
        return tuple(sorted(files | folders))

    def _table(self, name: str, which: str) -> dict[str, Any]:
        """The literal table `which` of an entry's file, annotated or not; empty where it has none.

        Raises ValueError for a table that is computed: it could not be read without importing the file.
        """
        path = self._tables(self._file(name))
        text = path.read_text(encoding="utf-8")
        # from its name to the next line that begins a statement: parsing whole files was most of the time of `--help`
        found = re.search(rf"^{which}\b[^=\n]*=(.*?)(?=^[^\s)\]}}])", f"{text}\n.", re.MULTILINE | re.DOTALL)
        if found is None:
            return {}
        try:
            table: dict[str, Any] = ast.literal_eval(found[1].strip())
        except ValueError:
            line = text.count("\n", 0, found.start()) + 1
            raise ValueError(f"{path}:{line}: {which} must be a literal") from None
        return table

    def _file(self, name: str) -> Path:
        path = self.folder / f"{name}.py"
        return path if path.is_file() else self.folder / name / f"{self.main}.py"

    def _tables(self, path: Path) -> Path:
        """The file that holds the tables of an entry's file: flags.py of its own folder, if there is one."""
        beside = path.with_name("flags.py")
        return beside if path.parent != self.folder and beside.is_file() else path

    def _holds_table(self, path: Path) -> bool:
        pattern = rf"^{self.required}\b\s*[:=]"  # a look at the text spares parsing the files that are no entries
        return re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE) is not None


class Namespace:
    """Checked values under their names, such as a task's options or a backbone's hyperparameters: `options.horizon`.

    A name that is not there is an AttributeError that lists those that are: a misspelt one is found when it is read.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"there is no {name!r}, only {', '.join(vars(self)) or 'none'}")
