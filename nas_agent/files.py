"""The files of a run: written completely or not at all, found by path or by run id."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from errors import DataError, ResourceError, UsageError, is_disk_full
from metrics import clean_json
from nas_agent.records import as_run_id, run_number

RUNS = "runs"  # default folder of a study
Where = str | int | os.PathLike[str]


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """ResourceError if the disk is full during the block, UsageError for any other failure to write."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            hint = "free some space and repeat the command: nothing half written was left"
            raise ResourceError(f"the disk is full ({error.strerror})", where=str(place), hint=hint) from None
        raise UsageError(f"cannot be written: {error.strerror}", where=str(place)) from None


@contextlib.contextmanager
def replacing(path: Path, *, locked: bool = False) -> Iterator[Path]:
    """A file beside `path` to fill; it replaces `path` if the block succeeds, else it is deleted.

    Under a lock its name is always the same, so that the next writer overwrites what a killed one left.
    """
    part = path.with_name(f".{path.name}.part" if locked else f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """`data` in `path`, completely or not at all; creates the folder. Errors are those of `writing`."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            write_durably(part, data)


def write_durably(path: Path, data: bytes) -> None:
    """`data` in `path`, on the disk when this returns."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def as_json(content: Mapping[str, Any]) -> bytes:
    """Plain JSON, two spaces; null where a number is undefined, never NaN."""
    text = json.dumps(clean_json(dict(content)), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", "backslashreplace")


def read_json(path: Path) -> Any:
    """The content of a JSON file. DataError if there is none or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("there is no such file", where=str(path)) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=str(path)) from None


def get_run_dir(run_id: str | int, runs: str | os.PathLike[str] = RUNS) -> Path:
    """The folder of run `run_0000` or 0, `runs/run_0000`, which is made if it is not there.

    An empty folder does not keep `run.py --tag run_0000` from its name. UsageError if it cannot be made.
    """
    place = run_dir(run_id, runs)
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    return place


def run_dir(run_id: str | int, runs: str | os.PathLike[str] = RUNS) -> Path:
    """`get_run_dir` that makes nothing."""
    return Path(runs) / as_run_id(run_id)


def snapshot_config(config: str | os.PathLike[str], where: Where) -> Path:
    """Copy a run's configuration to `config_used.py` (its own ending) in its directory; the copy's path.

    `where` is the run's directory, a file's path, or a run id (see `save_metrics`).
    """
    source = Path(config)
    target = _file(where, f"config_used{source.suffix or '.py'}")
    if not source.is_file():
        raise UsageError("there is no such configuration", where=str(source))
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as part:
            shutil.copyfile(source, part)
    return target


def save_metrics(metrics: Mapping[str, Any], where: Where) -> Path:
    """Write `metrics.json`, completely or not at all; returns its path.

    `where` is the run's directory (created if missing), the JSON file itself, or a run id: `run_0000` or 0, for
    `runs/run_0000`. Content and path may come in either order.

    Raises
    ------
    ResourceError : the disk is full; the old file is unchanged.
    UsageError : it cannot be written there.
    """
    return _save(metrics, where, "metrics.json")


def load_metrics(where: Where) -> dict[str, Any]:
    """What `save_metrics` or an experiment of run.py wrote. DataError if it is missing or damaged."""
    return _load(where, "metrics.json")


def save_history(history: Mapping[str, Any], where: Where) -> Path:
    """Write `history.json` as `save_metrics` does: `{best_epoch, epochs: [{epoch, train_mse, val_mse, lr}]}`."""
    return _save(history, where, "history.json")


def load_history(where: Where) -> dict[str, Any]:
    """What `save_history` wrote. DataError if it is missing or damaged."""
    return _load(where, "history.json")


def _save(content: Any, where: Any, name: str) -> Path:
    if isinstance(where, Mapping):
        content, where = where, content
    if not isinstance(content, Mapping):
        raise UsageError(f"{name} takes a mapping and a path", hint="save_metrics(metrics, run_dir)")
    path = _file(where, name)
    write_whole(path, as_json(content))
    return path


def _load(where: Where, name: str) -> dict[str, Any]:
    path = _file(where, name)
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError("not a JSON object", where=str(path))
    return content


def _file(where: Where, name: str) -> Path:
    """The file of a run, by the directory, by the path of the file, or by the run id."""
    if isinstance(where, int):
        return run_dir(where) / name
    if isinstance(where, str) and run_number(where) is not None and not Path(where).is_dir():
        return run_dir(where) / name
    path = Path(where)
    return path if re.fullmatch(r"\.(json|py|ya?ml)", path.suffix) and not path.is_dir() else path / name
