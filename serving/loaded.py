"""`load(DIR).predict(data)`: what `--mode infer` writes into its table, as a frame.

The data go the way of files: the same columns by name, the same checks, the same steps, the same errors.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import cli
import pipeline
import restore
from checkpoint import Checkpoint
from errors import DataError, UsageError
from hardware import pick_device
from serving.tables import written

if TYPE_CHECKING:
    import pandas as pd

DATES = ("date", "time")  # columns of results that hold them, where they are no numbers


@dataclass(frozen=True)
class Loaded:
    """A finished run.

    path : its directory, or a checkpoint file.
    model : the checkpoint.
    device : where the model runs.
    """

    path: str
    model: Checkpoint
    device: torch.device

    @classmethod
    def of(cls, path: str, device: str = "auto") -> Loaded:
        """The run of a directory, or of a checkpoint file. CheckpointError, UsageError: as for `--ckpt`, `--device`."""
        return cls(path, restore.open_checkpoint(path), pick_device(device, 0))

    @property
    def facts(self) -> dict[str, Any]:
        """Plain facts: task, channels, outputs, context, horizon."""
        model, spec = self.model, self.model.model
        return {
            "task": model.task,
            "channels": list(model.input_channels),
            "outputs": list(model.outputs),
            "context": spec.length,
            "horizon": spec.horizon,
            "refit": model.refit is not None,
        }

    def predict(self, data: Any, start: str = "", **flags: Any) -> pd.DataFrame:
        """The table that inference writes.

        Parameters
        ----------
        data, start : as in `tables.written`.
        flags : of the command line, such as horizon=48 or nan="ffill".

        Returns
        -------
        forecast: the steps after the last (row, date or step, channel, value, low, high); classify and regress: a line
        a window (row, time, date, y_true, y_pred ...); nilm: a line a step (time, watts and state of each device).

        Raises
        ------
        UsageError, DataError : as `--mode infer` does.
        """
        with tempfile.TemporaryDirectory(prefix="tsrun-") as place, _uncached():
            folder = Path(place)
            words = ["--mode", "infer", "--task", self.model.task, "--ckpt", self.path, "--reference", "off"]
            words += [*written(self.model, data, start, folder), *_words(flags)]
            inference = pipeline.open_inference(cli.parse(words), words, self.device)
            result = folder / inference.task.opens[0]
            inference.predict(folder)
            if not result.is_file():
                hint = "what is known ahead must be given for the steps after the last"
                raise DataError("nothing can be predicted from these data", where="predict", hint=hint)
            return _frame(result)


def _words(flags: dict[str, Any]) -> list[str]:
    """Keyword arguments as flags: horizon=48, known_future=["a", "b"], sort=True."""
    words: list[str] = []
    for name, value in flags.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        elif isinstance(value, str | int | float):
            words += [option, str(value)]
        elif isinstance(value, list | tuple):
            words += [option, *map(str, value)]
        else:
            raise UsageError(f"{value!r} is no value of a flag", where=f"predict({name}=...)")
    return words


def _frame(path: Path) -> pd.DataFrame:
    """A CSV of ours; dates become times, in the zone that they are written with."""
    import pandas as pd

    frame = pd.read_csv(path, dtype={"row": str})
    for name in DATES:
        if name in frame.columns and not pd.api.types.is_numeric_dtype(frame[name]):
            aware = frame[name].str.contains(r"[+-]\d\d:\d\d$|Z$").any()
            frame[name] = pd.to_datetime(frame[name], format="ISO8601", utc=bool(aware))
    return frame


@contextlib.contextmanager
def _uncached() -> Iterator[None]:
    """Nothing of the files of a moment is kept in the cache of files."""
    before = os.environ.get("TSRUN_CACHE")
    os.environ["TSRUN_CACHE"] = "off"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TSRUN_CACHE"]
        else:
            os.environ["TSRUN_CACHE"] = before
