"""Run directories: names, locks, the hidden partial directory, JSON and CSV writers.

A run writes into `.NAME.partial` and appears as `NAME` when it is complete. A finished run of that name moves to
`NAME.1`, `NAME.2`, ... A second job with the same name stops with an error.
"""

from __future__ import annotations

import csv
import fcntl
import json
import logging
import os
import re
import shlex
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from config import RunConfig
from errors import UsageError, refused
from metrics import clean_json
from settings.shards import parse_shard

log = logging.getLogger("tsrun")
OnEpoch = Callable[[Mapping[str, Any]], None]  # gets an epoch's line of the history
OnTrained = Callable[[float | None, int, int], None]  # gets the monitor's best, its epoch, and the parameters
ONE_CALL = ("resume", "overwrite", "json", "quiet", "dry_run", "tag")  # flags that concern one call alone
DATE = "{date}"
LEAST_DIGITS, MOST_DIGITS = 8, 17  # of a number in a CSV: those of a float32, those of a float64
FORMULA = "=+-@\t\r"  # text that begins so is run by spreadsheets
LONGEST_NAME = 255 - len(".partial.lock") - len(".1234")  # bytes that most file systems take


def run_name(config: RunConfig, *, channels: int, task_part: Sequence[str]) -> str:
    """`{mode}_{task}_ctx{L}_ch{C}..._{backbone}_seed{S}_split{mode}[_desc]` or the tag, known before the run starts.

    A shard's ends in shardIofN. `{date}` in the tag or the description is the date and time; as the whole tag it
    follows the usual name.
    """
    assert config.context_len is not None
    shard = parse_shard(config.shard)
    own = [] if shard is None else [shard.name]
    if config.tag and config.tag != DATE:
        if config.tag[0] in FORMULA:
            raise UsageError(f"{config.tag[:40]!r} begins as a formula of a spreadsheet does", where="--tag")
        return _short("_".join([_safe(_dated(config.tag), "--tag"), *own]), "--tag")
    parts = [config.mode, config.task, f"ctx{config.context_len}", f"ch{channels}", *task_part, config.backbone]
    parts += [config.stage] if config.stage and config.mode == "train" else []
    parts += [] if config.wide else ["nowide"]
    parts += ["refit"] if config.refit and config.mode != "infer" else []
    parts += [f"adapt-{_safe(name, '--adapt-modality')}" for name in config.adapt_modality]
    parts += [f"seed{config.seed}", f"split{config.split_mode}"]
    if config.desc:
        parts.append(_safe(_dated(config.desc), "--desc"))
    parts += [_dated(config.tag)] if config.tag else []
    parts += own
    return _short("_".join(parts), "--desc")


def _dated(text: str) -> str:
    return text.replace(DATE, time.strftime("%Y%m%d_%H%M%S"))


def _short(name: str, flag: str) -> str:
    if len(name.encode()) > LONGEST_NAME:
        raise UsageError(
            f"the run's name would be {len(name.encode())} bytes long, at most {LONGEST_NAME} are allowed",
            where=flag,
            hint=f"a shorter {flag}",
        )
    return name


def _safe(text: str, flag: str) -> str:
    plain = unicodedata.normalize("NFC", text)
    if not re.fullmatch(r"[\w.+=,-]+", plain) or plain.startswith(".") or ".." in plain:
        raise UsageError(
            f"{text[:40]!r} cannot be part of a directory's name",
            where=flag,
            hint="letters, digits and . _ - + = , are fine",
        )
    return plain


@dataclass(frozen=True)
class Listener:
    """Who follows a training. What they raise ends the run, with the usual cleanup."""

    epoch: OnEpoch | None = None
    trained: OnTrained | None = None  # when its weights are chosen, before they are judged


class RunDir:
    """The directory of a run in progress: `path` is the hidden partial one, `final` the one that it becomes.

    Use it as a context manager: it holds the lock on the name. `commit()` makes the run appear. With `free` the name
    must not be in use, unless the run of that name is overwritten or resumed.
    """

    def __init__(
        self, out: str, name: str, *, overwrite: bool = False, resume: bool = False, free: bool = False
    ) -> None:
        self.out, self.name = Path(out), name
        self.final = self.out / name
        self.path = self.out / f".{name}.partial"
        self._overwrite, self._resume, self._free_name = overwrite, resume, free
        self._lock = -1

    def __enter__(self) -> RunDir:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.out / f".{self.name}.lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
            self._acquire()
        except OSError as error:
            raise refused(error, UsageError, "cannot be written", f"--out {self.out}") from None
        try:
            self._prepare()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.path.is_dir() and not self.resumable():
            shutil.rmtree(self.path, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        (self.out / f".{self.name}.lock").unlink(missing_ok=True)
        os.close(self._lock)

    def _acquire(self) -> None:
        lock = self.out / f".{self.name}.lock"
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise UsageError(
                "another job is writing this run",
                where=str(self.final),
                hint="wait for it, or choose another name",
            ) from None
        if not lock.exists() or os.fstat(self._lock).st_ino != lock.stat().st_ino:
            os.close(self._lock)  # the holder finished and unlinked the file between our open and our lock
            self._lock = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
            self._acquire()

    def _prepare(self) -> None:
        for place in (self.final, self.path):
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                kind = "a link" if place.is_symlink() else "a file"
                hint = f"rm {shlex.quote(str(place))} removes it"
                raise UsageError(f"is {kind}, where the run would be a folder", where=str(place), hint=hint)
        taken = self.final.exists() and not self._is_empty()  # a script may have made the folder beforehand
        if self._free_name and taken and not self._overwrite and not self._resume:
            hint = "another --tag, or --overwrite to replace it"
            raise UsageError("a run with this name already exists", where=str(self.final), hint=hint)
        if self.resumable() and not self._resume and not self._overwrite:
            raise UsageError(
                "an interrupted run with this name exists",
                where=str(self.path),
                hint="--resume continues it, --overwrite drops it",
            )
        if self.path.is_dir() and not (self.resumable() and self._resume):
            shutil.rmtree(self.path)
        self.path.mkdir(exist_ok=True)
        for half in self.path.rglob("*.part*"):  # what a process was writing when it was killed
            half.unlink()

    def resumable(self) -> bool:
        """Whether the partial directory holds a state to resume from."""
        return any(self.path.glob("**/model.pt"))

    def complete(self) -> bool:
        """Whether `--resume` finds the run finished, with nothing left to resume."""
        return self._resume and self.final.is_dir() and not self._is_empty() and not self.resumable()

    def states(self, finished: bool) -> list[Path]:
        """The checkpoints that tell with which settings the parts of the run were trained: folds, and stages."""
        if not finished:
            return sorted(self.path.glob("**/model.pt"))
        found = (self.final / name for name in ("model.pt", "model.pt.best", "best_model.pth"))
        return [path for path in found if path.is_file()][:1]

    def reopen(self, finished: bool) -> None:
        """Let the finished run, or the finished folds of an interrupted one, be trained for longer.

        A finished run stays as it is: it is a copy that goes on.
        """
        for state in (sorted(self.final.glob("fold_*/model.pt")) or [self.final / "model.pt"]) if finished else []:
            place = self.path / state.parent.relative_to(self.final)
            place.mkdir(exist_ok=True)
            for name in ("model.pt.best", "model.pt"):
                shutil.copy2(state.with_name(name), place)
        for manifest in self.path.glob("**/manifest.json"):  # it marks a fold as done
            manifest.unlink()

    def commit(self) -> None:
        """Make the run appear under its name; an older run moves to NAME.1, NAME.2, ... or is deleted (overwrite)."""
        if self.final.exists():
            if self._overwrite or self._is_empty():
                shutil.rmtree(self.final)
            else:
                kept = self._free(self.final)
                self.final.rename(kept)
                log.info("the earlier run of this name is now %s", kept)
        self.path.rename(self.final)

    def _is_empty(self) -> bool:
        return self.final.is_dir() and not any(self.final.iterdir())

    def set_aside(self, ending: str) -> Path:
        """Keep an unfinished run to look at, under NAME.ending; returns the path."""
        path = self._free(self.out / f"{self.name}.{ending}", first=self.out / f"{self.name}.{ending}")
        self.path.rename(path)
        return path

    @staticmethod
    def _free(base: Path, first: Path | None = None) -> Path:
        if first is not None and not first.exists():
            return first
        number = 1
        while (path := base.with_name(f"{base.name}.{number}")).exists():
            number += 1
        return path


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Plain JSON, two spaces; null where a number is undefined, never NaN. The file is complete or absent."""
    text = json.dumps(clean_json(dict(content)), indent=2, ensure_ascii=False, allow_nan=False)
    part = path.with_name(path.name + ".part")
    part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")  # names of files that are no text
    part.replace(path)


def write_config(path: Path, config: RunConfig) -> None:
    """config.yaml: every setting, usable again with `--config`; what concerns this one call is left out."""
    import yaml

    flat = {key: value for key, value in config.flat().items() if key not in ONE_CALL}
    written = partial(yaml.dump, flat, sort_keys=False, allow_unicode=True)
    try:
        text = written(Dumper=yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper)
    except UnicodeEncodeError:  # names of files that are no text, which libyaml refuses
        text = written(Dumper=yaml.SafeDumper)
    path.write_text(text, encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Comma-separated, with a header; floats as Python writes them."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(map(safe_cell, header))
        writer.writerows(map(safe_cell, row) for row in rows)


def write_columns(path: Path, header: Sequence[str], blocks: Iterable[Sequence[Sequence[Any]]]) -> None:
    """As `write_csv`, of many lines: each of the `blocks` has the cells of some of them by column, as they are written.

    Of a text that somebody chose, that is what `safe_cell` makes of it.
    """
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(map(safe_cell, header))
        for columns in blocks:
            writer.writerows(zip(*columns, strict=True))


def safe_cell(value: Any) -> Any:
    """Text that a spreadsheet would run gets a quote in front, which the spreadsheet takes for "this is text"."""
    if not isinstance(value, str) or not value or value[0] not in FORMULA:
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def tensorboard_writer(folder: Path) -> OnEpoch:
    """A function that writes an epoch's numbers as TensorBoard scalars; UsageError when the extra is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "TensorBoard is not installed", where="--tensorboard", hint="pip install -r requirements-tensorboard.txt"
        ) from None
    writer = SummaryWriter(str(folder / "tensorboard"))

    def write(line: Mapping[str, Any]) -> None:
        for name, value in line.items():
            if name != "epoch" and value is not None:
                writer.add_scalar(name, value, line["epoch"])
        writer.flush()

    return write


def shortest(value: Any) -> str:
    """A number as the shortest text that gives it back, whatever its float type: 20.1, 1235166321."""
    return str(value).removesuffix(".0")


def texts(values: np.ndarray) -> list[str]:
    """Numbers [n], each as `shortest` writes it. Those that come again are written once."""
    values = np.ascontiguousarray(values)
    kinds, at = np.unique(values.view(f"u{values.itemsize}"), return_inverse=True)  # by their bits: -0 is not 0
    found: list[str] = np.array(list(map(shortest, kinds.view(values.dtype))), object)[at].tolist()
    return found


def shortened(values: np.ndarray, figures: np.ndarray) -> list[str]:
    """Numbers [n], each as `f"{value:.{figures}g}"` writes it."""
    found = np.empty(len(values), object)
    for count in np.unique(figures).tolist():
        at = np.flatnonzero(figures == count)
        found[at] = (f"%.{count}g " * len(at) % tuple(values[at].tolist())).split()  # half the time of one by one
    texts: list[str] = found.tolist()
    return texts


def digits(values: np.ndarray, deviation: float | np.ndarray) -> np.ndarray:
    """Significant digits that show all that predictions made in float32 carry, for `f"{value:.{n}g}"`: int64 [...].

    Parameters
    ----------
    values : in the unit of the data, [..., n].
    deviation : [...], by which they were divided when the model made them; float32 tells 1e-7 of it apart.
    """
    largest = np.abs(values, where=np.isfinite(values), out=np.zeros(values.shape)).max(axis=-1, initial=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.ceil(np.log10(largest / deviation)) + LEAST_DIGITS
    wanted = np.where((largest > 0) & (np.asarray(deviation) > 0), wanted, LEAST_DIGITS)
    found: np.ndarray = np.clip(wanted, LEAST_DIGITS, MOST_DIGITS).astype(np.int64)
    return found
