"""`tsrun.load`: a finished run that predicts from frames and arrays.

The toolkit's modules have plain names, `config`, `data`, `metrics`, and so may those of the program that calls it. They
are imported apart: while the toolkit works, its own modules stand under these names, and otherwise the caller's.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tsrun import ROOT

if TYPE_CHECKING:
    import pandas as pd

_lock = threading.RLock()
_ours: dict[str, ModuleType] = {}  # the toolkit's modules, while the caller's stand in sys.modules


def load(path: str | Path, device: str = "auto") -> Model:
    """A finished run, to predict with.

    Parameters
    ----------
    path : its directory, or a checkpoint file.
    device : auto, cpu, cuda, cuda:1, mps.

    Raises
    ------
    tsrun.TsrunError : there is no such run, it is damaged, or the device is not there.
    """
    with _house():
        return Model(import_module("serving.loaded").Loaded.of(str(path), device))


class Model:
    """A finished run: `task`, `channels` in their order, `outputs`, `context` and `horizon` in steps, `refit`."""

    task: str
    channels: list[str]
    outputs: list[str]
    context: int
    horizon: int
    refit: bool

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded
        vars(self).update(loaded.facts)

    def predict(self, data: Any, *, start: str = "", **flags: Any) -> pd.DataFrame:
        """Predictions, as `--mode infer` writes them into forecast.csv, preds.csv or timeline.csv.

        Parameters
        ----------
        data : a frame, a line a step and a column a channel, with times in its index or in the column that training
            had; or an array [C, T] or [N, C, T], channels in the order of `channels`.
        start : time of an array's first step, for a model of dated steps.
        flags : more of the command line, such as horizon=48 or nan="ffill".

        Returns
        -------
        forecast: the steps after the last. classify, regress: a line a window. nilm: a line a step.

        Raises
        ------
        tsrun.TsrunError : data that do not fit the model; its text says what, where, and a hint.
        """
        with _house():
            found: pd.DataFrame = self._loaded.predict(data, start, **flags)
            return found

    def __repr__(self) -> str:
        return f"<tsrun {self.task}: {self.context} steps of {', '.join(self.channels[:4])}>"


@contextlib.contextmanager
def _house() -> Iterator[None]:
    """The toolkit's modules under their plain names; afterwards the caller's own again."""
    with _lock:
        if _is_ours(sys.modules.get("errors")):  # a call within a call, or the toolkit itself calls
            yield
            return
        names = _names()
        theirs = _taken(names)
        sys.modules.update(_ours)
        sys.path.insert(0, ROOT)
        try:
            yield
        finally:
            sys.path.remove(ROOT)
            _ours.update(_taken(names))
            sys.modules.update(theirs)


def error_class() -> type[Exception]:
    """The class of all errors that a user can meet."""
    with _house():
        found: type[Exception] = import_module("errors").TsrunError
        return found


def _names() -> frozenset[str]:
    """The top-level names of the toolkit's modules."""
    root = Path(ROOT)
    files = {path.stem for path in root.glob("*.py")}
    return frozenset(files | {path.parent.name for path in root.glob("*/__init__.py")} - {"tsrun"})


def _taken(names: frozenset[str]) -> dict[str, ModuleType]:
    """Take the modules of these names, and what is below them, out of sys.modules."""
    found = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}


def _is_ours(module: ModuleType | None) -> bool:
    return module is not None and str(vars(module).get("__file__", "")).startswith(ROOT)
