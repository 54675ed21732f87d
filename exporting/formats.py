"""The formats that a checkpoint is exported to: how their bytes are made, packed and opened."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from errors import UsageError
from exporting.check import Run
from exporting.recurrent import whole_layers

Y = "y"  # what the output is called


@dataclass(frozen=True)
class Form:
    """One `--format`: how to make its bytes from a module and example inputs, and how to open them. `pack` makes them
    smaller and the model less exact."""

    ending: str
    make: Callable[[nn.Module, Mapping[str, torch.Tensor]], bytes]
    open: Callable[[bytes, Sequence[str]], Run]
    runtime: str
    pack: Callable[[bytes], bytes] | None = None


def onnx_tools() -> Any:
    try:
        from exporting import onnx_graph
    except ImportError as error:
        what = f"ONNX needs {(error.name or 'a package').partition('.')[0]}"
        raise UsageError(what, where="--format", hint="pip install -r requirements-export.txt") from None
    return onnx_graph


def _onnx(module: nn.Module, example: Mapping[str, torch.Tensor]) -> bytes:
    made: bytes = onnx_tools().graph_of(module, example, Y)
    return made


def _int8(data: bytes) -> bytes:
    made: bytes = onnx_tools().quantised(data)
    return made


def _open_onnx(data: bytes, names: Sequence[str]) -> Run:
    run: Run = onnx_tools().opened(data, names)
    return run


def _program(module: nn.Module, example: Mapping[str, torch.Tensor]) -> bytes:
    """A `torch.export` program, without the paths of our source files."""
    batch = torch.export.Dim.DYNAMIC  # a named dimension is refused where torch cannot prove what holds for every size
    shapes = tuple({0: batch} for _ in example)
    with whole_layers():
        program = torch.export.export(module, tuple(example.values()), dynamic_shapes=shapes)
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
