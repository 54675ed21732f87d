"""One export: a checkpoint built in a format, compared with itself, described and written."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import checkpoint
import cli
from checkpoint import Checkpoint
from config import core_flags
from errors import UsageError, is_out_of_memory, refused
from exporting.check import CPU, KNOWN, ExportCheck, Run, X, latencies
from exporting.formats import FORMS, Y, onnx_tools, quietly
from metrics import clean_json
from pipeline import open_inference
from sources import things

SCHEMA = 1  # of FILE.json


def export(ckpt: str, form: str, out: str, words: Sequence[str]) -> tuple[dict[str, Any], Path]:
    """Export a checkpoint, check it, write it; returns (the content of its card, its path).

    `words` are flags of inference that name the data (default: the data of the run). Raises UsageError if the backbone
    does not export, or if the result differs from the checkpoint.
    """
    place = checkpoint.find(ckpt)
    path = Path(out) if out else place.with_name(f"model.{FORMS[form].ending}")
    _check_place(path, place)
    if form != "torch":
        onnx_tools()
    check = check_of(place, words)
    data, run = build(form, check)
    card = {"schema": SCHEMA, "format": form, "file": path.name, "bytes": len(data)}
    card |= {"sha256": hashlib.sha256(data).hexdigest(), "checkpoint": _origin(check.inference.start, place)}
    card |= _described(check) | _judged(form, run, check)
    _write(path, data, card)
    return card, path


def check_of(ckpt: Path, words: Sequence[str]) -> ExportCheck:
    """A checkpoint on the data that `words` name, or on the data of its run."""
    start = Checkpoint.load(ckpt)
    config = cli.parse([*_words_of_run(start, words), *words, "--mode", "infer", "--ckpt", str(ckpt)])
    return ExportCheck(open_inference(config, words, CPU))


def build(form: str, check: ExportCheck) -> tuple[bytes, Run]:
    """The bytes of an exported model that passed the check, and the opened model.

    A format that is packed is checked before packing. Raises UsageError if the export fails or differs.
    """
    spec = FORMS[form]
    try:
        with quietly():
            data = spec.make(check.deployed, check.example())
            run = spec.open(data, check.names)
            run(*check.one)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        reason = next(iter(str(error).strip().splitlines()), "")
        what = f"does not export: {type(error).__name__}: {reason}"
        raise UsageError(what, where=f"--backbone {check.inference.config.backbone} --format {form}") from error
    check.difference(run, exact=True)
    if spec.pack is not None:
        data = spec.pack(data)
        run = spec.open(data, check.names)
    return data, run


def _judged(form: str, run: Run, check: ExportCheck) -> dict[str, Any]:
    """The exported model compared with the checkpoint: difference, metric, milliseconds."""
    held = {"split": check.split, "windows": len(check.sample[0])}
    held |= {"largest_difference": check.difference(run, exact=FORMS[form].pack is None)}
    spent = latencies({"exported": lambda: run(*check.one), "torch": lambda: check.deployed(*check.one)})
    return {"check": held, "metric": check.compare(run), "latency_ms": spent}


def _words_of_run(start: Checkpoint, words: Sequence[str]) -> list[str]:
    """The flags of a run's task and data; only of the task if `words` name data."""
    found = [f"--task={start.task}"]
    flags = [flag for flag in core_flags() if flag.group == "Data"]
    given = vars(cli.make_parser().parse_known_args(list(words))[0])
    if any(flag.name in given for flag in flags):
        return found
    for flag in flags:
        value = start.setting(flag.name)
        if isinstance(value, list) and value:
            found += [flag.option, *map(str, value)]
        elif not isinstance(value, list) and value not in (None, "", flag.default):
            found.append(flag.option if value is True else f"{flag.option}={value}")
    return found


def _origin(start: Checkpoint, place: Path) -> dict[str, Any]:
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    return {"run": place.parent.name, "file": place.name, "schema": start.schema, "sha256": digest}


def _described(check: ExportCheck) -> dict[str, Any]:
    """What a program needs to know to feed the model and read its output."""
    inference, task, run_data = check.inference, check.task, check.inference.run_data
    start = inference.start
    schema = task.output_schema(inference.names, inference.calibration)
    rows = schema.pop("rows")
    inputs: list[dict[str, Any]] = [{"name": X, "channels": list(start.scaler.channels)}]
    if start.model.modalities:
        inputs[0]["modalities"] = start.model.modalities
    if start.coding is not None:
        inputs[0] |= {"categories": start.coding["categories"]} | things.card(run_data.series)
    forecast = start.model.forecast
    if forecast is not None and len(check.names) > 1:
        marks = list(run_data.series.clock.marks) if forecast.marks and run_data.series.clock is not None else []
        inputs.append({"name": KNOWN, "channels": [*marks, *run_data.series.known], "calendar": marks})
    for place, part in zip(inputs, check.sample, strict=True):
        place |= {"shape": ["batch", *part.shape[1:]], "type": "float32"}
    outputs = {"name": Y, "rows": rows, "shape": ["batch", len(rows), task.horizon], "type": "float32"}
    return {
        "task": inference.config.task,
        "backbone": inference.config.backbone,
        "parameters": sum(value.numel() for value in check.deployed.parameters()),
        "inputs": inputs,
        "outputs": [outputs],
        "context": inference.config.context_len,
        "horizon": task.horizon,
        "step": start.freq,
        "target": task.setting(inference.config),
        **schema,
    }


# --- files and words -------------------------------------------------------------------------------------------------


def _card_of(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _check_place(path: Path, ckpt: Path) -> None:
    """UsageError, before any work, if FILE cannot be written there."""
    if (path.exists() and not (path.is_file() and _card_of(path).is_file())) or path.resolve() == ckpt.resolve():
        what = "exists and is no exported model: it has no .json beside it"
        raise UsageError(what, where=f"--out {path}", hint="another --out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise refused(error, UsageError, "cannot be written", f"--out {path}") from None


def _write(path: Path, data: bytes, card: Mapping[str, Any]) -> None:
    """Write the model and its card, both complete or neither."""
    text = json.dumps(clean_json(dict(card)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    wanted = {_card_of(path): text.encode("utf-8", "backslashreplace"), path: data}
    parts = {place: place.with_name(f".{place.name}.{os.getpid()}.part") for place in wanted}
    try:
        for place, part in parts.items():
            with part.open("wb") as file:
                file.write(wanted[place])
                file.flush()
                os.fsync(file.fileno())
        for place, part in parts.items():
            part.replace(place)
    except OSError as error:
        raise refused(error, UsageError, "cannot be written", f"--out {path}") from None
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
