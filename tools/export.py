"""A checkpoint as one file that runs without this toolkit: ONNX, ONNX with int8 weights, or a torch program.

    python tools/export.py --ckpt artifacts/RUN --format onnx
    python tools/export.py --ckpt artifacts/RUN --format onnx-int8 --out edge/model.onnx --csv newer.csv

The model takes windows in the units of the data and returns what the task returns: scaler and decoding are part of it.
Before it is written it is compared with the checkpoint, on the files of the run or on those that flags of
`run.py --mode infer` name. FILE.json beside it describes it; see docs/export.md.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/export.py` finds our modules

import torch
from torch import nn

import checkpoint
import cli
from checkpoint import Checkpoint
from config import core_flags
from errors import UsageError, nearest
from exporting.check import CPU, KNOWN, ExportCheck, Run, X, latencies
from metrics import clean_json
from pipeline import open_inference
from run import SMALLER, guarded

log = logging.getLogger("tsrun")
Y = "y"  # what the output is called
SCHEMA = 1  # of FILE.json


# --- formats ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """One `--format`: how to make its bytes from a module and example inputs, and how to open them. `pack` makes them
    smaller and the model less exact."""

    ending: str
    make: Callable[[nn.Module, Mapping[str, torch.Tensor]], bytes]
    open: Callable[[bytes, Sequence[str]], Run]
    runtime: str
    pack: Callable[[bytes], bytes] | None = None


def _onnx_tools() -> Any:
    try:
        from exporting import onnx_graph
    except ImportError as error:
        what = f"ONNX needs {(error.name or 'a package').partition('.')[0]}"
        raise UsageError(what, where="--format", hint="pip install -r requirements-export.txt") from None
    return onnx_graph


def _onnx(module: nn.Module, example: Mapping[str, torch.Tensor]) -> bytes:
    made: bytes = _onnx_tools().graph_of(module, example, Y)
    return made


def _int8(data: bytes) -> bytes:
    made: bytes = _onnx_tools().quantised(data)
    return made


def _open_onnx(data: bytes, names: Sequence[str]) -> Run:
    run: Run = _onnx_tools().opened(data, names)
    return run


def _program(module: nn.Module, example: Mapping[str, torch.Tensor]) -> bytes:
    """A `torch.export` program, without the paths of our source files."""
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(module, tuple(example.values()), dynamic_shapes=tuple({0: batch} for _ in example))
    for node in program.graph.nodes:
        for note in ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node"):
            node.meta.pop(note, None)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _open_program(data: bytes, names: Sequence[str]) -> Run:  # noqa: ARG001 - its inputs have places, not names
    run: Run = torch.export.load(io.BytesIO(data)).module()
    return run


FORMS = {
    "onnx": Form("onnx", _onnx, _open_onnx, "ONNX Runtime"),
    "onnx-int8": Form("int8.onnx", _onnx, _open_onnx, "ONNX Runtime", pack=_int8),
    "torch": Form("pt2", _program, _open_program, "torch.export"),
}


@contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings of the exporters, which are of no use to a person."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


# --- one export ------------------------------------------------------------------------------------------------------


def export(ckpt: str, form: str, out: str, words: Sequence[str]) -> tuple[dict[str, Any], Path]:
    """Export a checkpoint, check it, write it; returns (the content of its card, its path).

    `words` are flags of inference that name the data (default: the data of the run). Raises UsageError if the backbone
    does not export, or if the result differs from the checkpoint.
    """
    place = checkpoint.find(ckpt)
    path = Path(out) if out else place.with_name(f"model.{FORMS[form].ending}")
    _check_place(path, place)
    if form != "torch":
        _onnx_tools()
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
        raise UsageError(f"cannot be written: {error.strerror}", where=f"--out {path}") from None


def _write(path: Path, data: bytes, card: Mapping[str, Any]) -> None:
    """Write the model and its card, both complete or neither."""
    text = json.dumps(clean_json(dict(card)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    wanted = {_card_of(path): text.encode(), path: data}
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
        raise UsageError(f"cannot be written: {error.strerror}", where=f"--out {path}") from None
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def summary(card: Mapping[str, Any], path: Path) -> str:
    """The lines that are printed about an export."""
    check, metric, spent = card["check"], card["metric"], card["latency_ms"]
    shapes = [f"{place['name']} {_shape(place)}" for place in (*card["inputs"], *card["outputs"])]
    runtime = FORMS[card["format"]].runtime
    lines = [
        f"{card['format']}: {card['bytes']:,} bytes, {card['parameters']:,} parameters; "
        f"{', '.join(shapes[:-1])} -> {shapes[-1]}",
        f"{check['windows']} windows of {check['split']}: up to {check['largest_difference']:.3g} off the checkpoint",
        f"one window, one thread: {spent['exported']:.3f} ms in {runtime}, {spent['torch']:.3f} ms in torch (median)",
    ]
    if metric is None:
        lines.append("no label is known for these windows: no metric to compare")
    elif metric["drop"] is None:
        lines.append(f"{metric['name']} is undefined on {check['split']}")
    else:
        lines.append(
            f"{metric['name']} on {check['split']} ({metric['windows']:,} windows): {metric['checkpoint']:.4g}, "
            f"exported {metric['exported']:.4g}, a drop of {metric['drop']:.2g}"
        )
    return "\n".join([*lines, str(path)])


def _shape(place: Mapping[str, Any]) -> str:
    return "[" + ", ".join(map(str, place["shape"])) + "]"


def _parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    parser = cli.Parser(
        prog="python tools/export.py",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ckpt", required=True, metavar="PATH", help="run directory, or a checkpoint")
    parser.add_argument("--format", required=True, metavar="FORMAT", help=", ".join(FORMS))
    parser.add_argument(
        "--out", default="", metavar="FILE", help="output file (default: model.ENDING beside the checkpoint)"
    )
    given, words = parser.parse_known_args(argv)
    if given.format not in FORMS:
        what = f"--format {given.format!r} is not one of {', '.join(FORMS)}"
        raise UsageError(" ".join(filter(None, [what, nearest(given.format, FORMS)])))
    return given, words


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code, as run.py's."""
    log.handlers, log.propagate = [logging.StreamHandler(sys.stderr)], False
    log.setLevel(logging.WARNING)

    def body() -> None:
        given, words = _parse(argv)
        print(summary(*export(given.ckpt, given.format, given.out, words)))

    return guarded(body, out_of_memory=SMALLER)


if __name__ == "__main__":
    sys.exit(main())
