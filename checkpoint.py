"""One self-contained, versioned, atomically written file a model.

Plain dicts, lists, strings, numbers and tensors only, so that `torch.load(path, weights_only=True)` reads it. The
zip archive that torch writes carries a SHA-256 of everything before it as its archive comment, which zip readers
pass over: a truncated or changed file is refused before a byte of it is interpreted.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from errors import CheckpointError

SCHEMA = 1
_MARK = b"tsrun sha256 "
_COMMENT = len(_MARK) + 64
BEST, LAST = "model.pt.best", "model.pt"
EXPERIMENT = "best_model.pth"  # the one that an experiment leaves


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` under its schema version: a temporary file beside it, flushed to disk, then renamed."""
    buffer = io.BytesIO()
    torch.save({"schema": SCHEMA, **content}, buffer)
    archive = buffer.getvalue()
    assert archive[-2:] == b"\0\0", "torch wrote an archive with a comment of its own"
    body = archive[:-2] + struct.pack("<H", _COMMENT)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(body + _MARK + hashlib.sha256(body).hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def find(path: str) -> Path:
    """The file that `--ckpt PATH` means: a directory's model.pt.best, model.pt, best_model.pth; a file is that file."""
    place = Path(path)
    if place.is_dir():
        for name in (BEST, LAST, EXPERIMENT):
            if (place / name).is_file():
                return place / name
        raise CheckpointError(f"no {BEST} or {LAST} in this directory", where=f"--ckpt {path}")
    if not place.is_file():
        raise CheckpointError("no such file or directory", where=f"--ckpt {path}", hint=_siblings(place))
    return place


def _siblings(place: Path) -> str:
    if not place.parent.is_dir():
        return f"{place.parent} is not there either"
    runs = sorted(p.name for p in place.parent.iterdir() if (p / BEST).is_file() or (p / LAST).is_file())
    return f"{place.parent} has {', '.join(runs[:5])}" if runs else f"{place.parent} holds no run"


def load(path: Path) -> dict[str, Any]:
    """Read and verify a checkpoint; its tensors come to the CPU. CheckpointError for anything but a whole one."""
    where = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror}", where=where) from None
    body, comment = data[:-_COMMENT], data[-_COMMENT:]
    if not data.startswith(b"PK") or not comment.startswith(_MARK):
        raise CheckpointError("not a whole checkpoint of this toolkit", where=where, hint=_damaged(data))
    if hashlib.sha256(body).hexdigest().encode() != comment[len(_MARK) :]:
        raise CheckpointError("the file was damaged: its checksum does not match", where=where)
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        text = f"holds something that is not plain data, and was not run: {str(error).splitlines()[0]}"
        raise CheckpointError(text, where=where) from None
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        raise CheckpointError("not a checkpoint of this toolkit", where=where)
    if content["schema"] > SCHEMA:
        raise CheckpointError(
            f"schema {content['schema']} is newer than this toolkit's {SCHEMA}", where=where, hint="update the toolkit"
        )
    return content


def _damaged(data: bytes) -> str:
    if not data:
        return "the file is empty"
    return "the file may be cut short" if data.startswith(b"PK") else "it is not a file that torch wrote"
