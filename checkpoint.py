"""A model as one self-contained, versioned file, written whole or not at all.

Plain dicts, lists, strings, numbers and tensors only, so that `torch.load(path, weights_only=True)` reads it. The
zip archive that torch writes gets a SHA-256 of everything before it as archive comment, which zip readers
ignore: a truncated or changed file is refused before a byte of it is interpreted.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

import backbones
from backbones import ModelSpec
from backbones.specs import fits
from config import VERSION, Flag, check_all, table_flags
from errors import CheckpointError, is_out_of_memory, refused
from scaler import Scaler
from settings.zones import is_zone

SCHEMA = 1
_MARK = b"tsrun sha256 "
_COMMENT = len(_MARK) + 64
_HEAD = 2  # bytes by which a zip archive is known
_SLICE = 1 << 20  # bytes
# What each field of a Checkpoint is, see `backbones.specs.fits`.
KINDS = {
    "config": "table", "model": "table", "state": "table", "scaler": "table", "known_scaler": "table?",
    "clock": "table?", "input_channels": "words", "outputs": "words", "per_row": "flag", "fitted": "table",
    "calibration": "table", "references": "table", "split": "table?", "sources": "words?", "beside": "table?",
    "training": "table?", "adapted": "table?", "coding": "table?", "learned": "words?",
}  # fmt: skip
_SELDOM = ("adapted", "refit", "coding", "learned")  # left out of a file where they are None
BEST, LAST = "model.pt.best", "model.pt"
EXPERIMENT = "best_model.pth"  # the checkpoint that an experiment leaves
ENCODER = "attention_encoder.pt"  # the first part of a backbone, trained by itself
REST = "gru_model.pt"  # what follows it
PARTS = (ENCODER, REST)


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and all that is needed to use it: one object in memory, one file on disk.

    Parameters
    ----------
    config : every setting of the run, under its flag's name.
    model : backbone, head and sizes, from which the model is built again.
    state : the weights, by name, on the CPU.
    scaler : of the model's input [C].
    clock : {"freq", "tz"} of the steps of training; None for data without times.
    input_channels : names of the channels that the files gave.
    outputs : names of the K outputs.
    per_row : whether a target belongs to a whole row, not to a step.
    fitted : the task's constants, see `Task.fitted`.
    calibration : thresholds or margins chosen on validation; empty for a run that was stopped before it chose.
    references : the same for the reference predictors, by name.
    known_scaler : of the F channels known ahead; None where there are none.
    split : how training was split from validation and test.
    sources : sha256 of each file of training.
    beside : {flag: sha256 of each file} of the other files that training read, such as labels; None in older files.
    training : optimizer, schedule, random states and position, to resume from; None in the best checkpoint.
    adapted : what became of each feature of a modality that was adapted, None where none was.
    refit : the windows and epochs that it was trained on once more, all there were; None for other models.
    coding : levels of categories, and the columns with one value a row, see sources/levels.py; None where none are.
    learned : the parts of the split that it was fitted to, where these are more than training; None for other models.
    schema : version of the file's layout; the version of the toolkit stands beside it, in `tsrun`.
    """

    config: dict[str, Any]
    model: ModelSpec
    state: dict[str, torch.Tensor]
    scaler: Scaler
    input_channels: list[str]
    outputs: list[str]
    per_row: bool
    fitted: dict[str, Any]
    calibration: dict[str, Any]
    references: dict[str, Any]
    known_scaler: Scaler | None = None
    clock: dict[str, str] | None = None
    split: dict[str, Any] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    beside: dict[str, list[str]] | None = None
    training: dict[str, Any] | None = None
    adapted: dict[str, Any] | None = None
    refit: dict[str, Any] | None = None
    coding: dict[str, Any] | None = None
    learned: list[str] | None = None
    schema: int = SCHEMA

    @property
    def task(self) -> str:
        """The task's name."""
        name: str = self.config["task"]
        return name

    @property
    def freq(self) -> str | None:
        """The step of training, as pandas writes it; None without times."""
        return None if self.clock is None else self.clock["freq"]

    def setting(self, name: str, default: Any = None) -> Any:
        """The run's value of a setting.

        Parameters
        ----------
        name : the flag's name, with underscores.
        default : the value for a checkpoint that is older than the flag.
        """
        return self.config.get(name, default)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Parameters
        ----------
        path : the file; its directory must exist.

        Raises
        ------
        OSError : the disk is full, or the directory cannot be written.
        """
        content = {name: part for name, part in vars(self).items() if name not in ("schema", *_SELDOM)}
        content |= {"model": self.model.plain(), "scaler": self.scaler.plain(), "state": dict(self.state)}
        content["known_scaler"] = None if self.known_scaler is None else self.known_scaler.plain()
        content["sources"] = list(self.sources)
        save(path, content | {name: part for name in _SELDOM if (part := vars(self)[name]) is not None})

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read and verify a file; tensors come to the CPU.

        Parameters
        ----------
        path : the file, see `find`.

        Raises
        ------
        CheckpointError : for a file that is missing, damaged, newer than this toolkit, or no checkpoint of a model.
        """
        return cls.of(read(path), str(path))

    @classmethod
    def left(cls, path: Path) -> Checkpoint | None:
        """What an interrupted or finished run left there to go on from; None where there is nothing."""
        return cls.load(path) if path.is_file() else None

    @classmethod
    def of(cls, content: Mapping[str, Any], where: str) -> Checkpoint:
        """The checkpoint in the content of a file, as `read` returns it.

        Parameters
        ----------
        content : plain values and tensors by the names of the fields.
        where : the file's path, for the error.

        Raises
        ------
        CheckpointError : where a part is missing.
        """
        known = _fields_in(content, cls, "not a checkpoint of this toolkit", where)
        if problem := next(_problems(known), ""):
            raise CheckpointError(f"the file is damaged: {problem}", where=where)
        try:
            made: dict[str, Any] = {"model": ModelSpec.of(content["model"]), "scaler": Scaler.of(content["scaler"])}
            if known.get("known_scaler") is not None:
                made["known_scaler"] = Scaler.of(content["known_scaler"])
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
            raise CheckpointError(f"the file is damaged: its model cannot be read: {error!r}", where=where) from None
        made |= {"split": dict(content.get("split") or {}), "sources": tuple(content.get("sources") or ())}
        return cls(**known | made)


# --- the kinds of what a file holds ----------------------------------------------------------------------------------


def _problems(content: Mapping[str, Any]) -> Iterator[str]:
    """What is not of its kind in the fields of a checkpoint: a right checksum says nothing of who wrote it."""
    wrong = [name for name, kind in KINDS.items() if name in content and not fits(content[name], kind)]
    if wrong:
        yield f"{wrong[0]} is not what it should be"
        return
    config, model = content["config"], content["model"]
    yield from _problems_of_model(model)
    if config.get("backbone", model.get("backbone")) not in backbones.names():
        yield "its settings name no backbone"
    lengths = config.get("context_len"), model.get("length")
    if not all(fits(length, "size") for length in lengths) or lengths[0] != lengths[1]:
        yield "the context is not the length of the model's windows"
    clock = content.get("clock")
    if clock is not None and not all(isinstance(clock.get(name), str) for name in ("freq", "tz")):
        yield "its clock has no step"
    elif not all(isinstance(tz, str) and is_zone(tz) for tz in (config.get("tz", ""), (clock or {}).get("tz", ""))):
        yield "its time zone is none"
    if (coding := content.get("coding")) is not None and not is_coding(coding):
        yield "its categories are none"
    for name, tensor in content["state"].items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            yield "its weights are no tensors"
            return
        if tensor.is_floating_point() and bool(torch.isnan(tensor).any()):
            yield f"the weights {name} are not numbers"


def is_coding(coding: Mapping[str, Any]) -> bool:
    """Whether a table is what sources/levels.py keeps: {"categories": {name: {"levels", "rare"}}, "static"}, and maybe
    {"things"}."""
    rows = coding.get("categories")
    if rows is None or not fits(rows, "table") or not all(isinstance(row, dict) for row in rows.values()):
        return False
    lists = [row.get(part) for row in rows.values() for part in ("levels", "rare")]
    named = all(fits(words, "words") for words in (*lists, coding.get("static")))
    things = coding.get("things")
    return named and (things is None or (fits(things, "table") and _is_of_things(things)))


def _is_of_things(columns: Mapping[str, Any]) -> bool:
    """Whether a table is what sources/things.py keeps of columns."""
    if not is_coding({"categories": columns.get("words"), "static": columns.get("numbers")}):
        return False
    lists = (columns.get(name) for name in ("usual", "mean", "scale"))
    numbers = all(fits(each, "K", len(columns["numbers"])) for each in lists)
    return numbers and all(fits(row.get("plain"), "words") for row in columns["words"].values())


def _problems_of_model(model: Mapping[str, Any]) -> Iterator[str]:
    name = model.get("backbone")
    if name not in backbones.names():
        yield f"there is no backbone {str(name)[:40]!r}"
        return
    hyper = table_flags(backbones.hyper(name), group=name)
    args = model["args"] if fits(model.get("args"), "table") else {"": "nothing"}
    yield from problems_of_settings(hyper, args)
    unknown = args.keys() - {flag.name for flag in hyper}
    if unknown:
        yield f"{name} has no argument {sorted(map(str, unknown))[0]!r}"


def problems_of_settings(flags: Sequence[Flag], given: Mapping[str, Any]) -> Iterator[str]:
    """What is not of its kind among settings: they lie in a checkpoint as they were converted, numbers as numbers.

    Parameters
    ----------
    flags : what the settings should be.
    given : {name: value}; a setting that is newer than the file is not there.
    """
    for flag in flags:
        value = given.get(flag.name, flag.default)
        single = {int: int, float: int | float, bool: bool, dict: dict, str: str}.get(flag.kind, list)
        whole = list | tuple if flag.many is not None and flag.kind is not dict else single
        if value is None and flag.default is None:
            continue
        if type(value) is tuple and not value:  # the default of a list
            continue
        other = (flag.number_too and isinstance(value, int | float)) or (flag.name_too and isinstance(value, str))
        if not isinstance(value, whole) and not other:
            yield f"its setting {flag.option} is not what it should be"
        elif isinstance(value, dict) and not flag.name.endswith("_args") and not all(map(_single, value.values())):
            yield f"its setting {flag.option} has values that are none"
        elif isinstance(value, list | tuple) and not all(_is_item(flag, item) for item in value):
            yield f"its setting {flag.option} has items of another kind"
    yield from check_all(flags, given)[1]


def _is_item(flag: Flag, item: Any) -> bool:
    """Whether an item of a setting of many is of the flag's kind."""
    kind = {int: int, float: int | float, bool: bool}.get(flag.kind, str)
    return isinstance(item, kind) and isinstance(item, bool) <= (flag.kind is bool)


def _single(value: Any) -> bool:
    return isinstance(value, str | int | float)


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of this kind, whole or not at all: a temporary file, flushed to disk, then renamed.

    Parameters
    ----------
    path : the file.
    content : plain values and tensors by name; the versions of the schema and of the toolkit are added.

    Raises
    ------
    OSError : the disk is full, or the directory cannot be written.
    """
    part = path.with_name(path.name + ".part")
    with part.open("w+b") as file:  # never whole in memory, where it would be a copy of the weights
        writer = _Writer(file)
        try:
            torch.save({"schema": SCHEMA, "tsrun": VERSION, **content}, cast("BinaryIO", writer))
        except RuntimeError as error:
            raise writer.error or error from None
        file.seek(-2, os.SEEK_END)
        assert file.read() == b"\0\0", "torch wrote an archive that has a comment already"
        file.seek(-2, os.SEEK_END)
        file.write(struct.pack("<H", _COMMENT))
        checksum = _checksum(file, file.tell())
        file.seek(0, os.SEEK_END)
        file.write(_MARK + checksum)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


class _Writer(io.RawIOBase):
    """Hands bytes on to a file, and keeps the OSError of a full disk, of which torch makes another error."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write `data`; returns its length."""
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise


def _checksum(file: BinaryIO, size: int) -> bytes:
    """SHA-256 of the first `size` bytes of a file, in hexadecimal, read in slices."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (block := file.read(min(size, _SLICE))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest().encode()


def find(path: str) -> Path:
    """The file that `--ckpt PATH` means.

    Parameters
    ----------
    path : a file, or a directory, of which it is the first of model.pt.best, model.pt and best_model.pth. A file that
        holds a part of a model stands for the whole model of its run, which lies beside it.

    Raises
    ------
    CheckpointError : there is no such file or directory, or the directory has no checkpoint.
    """
    given = Path(path)
    if given.name in PARTS and given.is_file():
        for name in (BEST, LAST):
            if (given.parent / name).is_file():
                return given.parent / name
        hint = f"keep {BEST} of that run beside it" + " (--encoder takes it alone)" * (given.name == ENCODER)
        raise CheckpointError("holds a part of a model, and the whole one is not beside it", where=path, hint=hint)
    if given.is_dir():
        for name in (BEST, LAST, EXPERIMENT):
            if (given / name).is_file():
                return given / name
        raise CheckpointError(f"no {BEST} or {LAST} in this directory", where=f"--ckpt {path}")
    if not given.is_file():
        raise CheckpointError("no such file or directory", where=f"--ckpt {path}", hint=_siblings(given))
    return given


def _siblings(missing: Path) -> str:
    """A hint beside a missing path: the runs in its directory."""
    directory = missing.parent
    if not directory.is_dir():
        return f"{directory} does not exist either"
    runs = sorted(p.name for p in directory.glob("[!.]*") if (p / BEST).is_file() or (p / LAST).is_file())  # whole ones
    return f"{directory} has {', '.join(runs[:5])}" if runs else f"{directory} has no runs"


def read(path: Path) -> dict[str, Any]:
    """The verified content of a file that `save` wrote; tensors come to the CPU.

    Raises
    ------
    CheckpointError : a file that cannot be read, is damaged, is newer than this toolkit, or was not written by `save`.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            _verify(file, where)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except OSError as error:
        raise refused(error, CheckpointError, "cannot be read", where) from None
    except Exception as error:
        if is_out_of_memory(error):
            raise
        text = f"contains something other than plain data; it was not executed: {str(error).splitlines()[0]}"
        raise CheckpointError(text, where=where) from None
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        raise CheckpointError("not a checkpoint of this toolkit", where=where)
    if content["schema"] > SCHEMA:
        raise CheckpointError(
            f"schema {content['schema']} is newer than this toolkit's {SCHEMA}", where=where, hint="update the toolkit"
        )
    return content


def _verify(file: BinaryIO, where: str) -> None:
    """Leave a file at its beginning. CheckpointError unless it is whole and as `save` wrote it."""
    size = file.seek(0, os.SEEK_END) - _COMMENT
    file.seek(max(size, 0))
    comment = file.read()
    file.seek(0)
    head = file.read(_HEAD)
    if not head.startswith(b"PK") or not comment.startswith(_MARK):
        raise CheckpointError("not a whole checkpoint of this toolkit", where=where, hint=_damaged(head))
    if _checksum(file, size) != comment[len(_MARK) :]:
        raise CheckpointError("the file was damaged: its checksum does not match", where=where)
    file.seek(0)


def read_fields(path: Path, kind: type) -> dict[str, Any]:
    """The fields of a dataclass in a file that `save` wrote, by name.

    Parameters
    ----------
    path : the file.
    kind : the dataclass.

    Raises
    ------
    CheckpointError : as `read`, and where a field is missing.
    """
    return _fields_in(read(path), kind, "is not a file of this kind", str(path))


def _fields_in(content: Mapping[str, Any], kind: type, otherwise: str, where: str) -> dict[str, Any]:
    """The fields of a dataclass in `content`. CheckpointError `otherwise` where one without a default is missing."""
    required = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    lacking = [name for name in required if name not in content]
    if lacking:
        raise CheckpointError(f"{otherwise}: it has no {', '.join(lacking)}", where=where)
    return {f.name: content[f.name] for f in fields(kind) if f.name in content}


def _damaged(data: bytes) -> str:
    if not data:
        return "the file is empty"
    return "the file may be cut short" if data.startswith(b"PK") else "it is not a file that torch wrote"
