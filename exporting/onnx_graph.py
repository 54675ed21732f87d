"""A torch module as an ONNX graph, its weights as int8, and ONNX Runtime on one thread.

Needs the packages of requirements-export.txt; importing this without them is an ImportError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxscript import optimizer
from torch import nn
from torch.fx.experimental import _config as symbolic

from exporting.recurrent import can_be_whole, whole_layers

OPSET = 18
FOLDED = 1 << 30  # elements up to which a constant is computed at export: any
MOST = 127  # int8 is used symmetrically, from -127 to 127
QUIET = 3  # ONNX Runtime's severity "error"
# The inputs of a node that hold weights; those of a recurrent one are [directions, gates * hidden, ...].
WEIGHTS = {"MatMul": (0, 1), "Gemm": (1,), "Conv": (1,), "ConvTranspose": (1,), "GRU": (1, 2), "LSTM": (1, 2)}


def graph_of(module: nn.Module, example: Mapping[str, torch.Tensor], output: str) -> bytes:
    """An ONNX model of `module`, called with the tensors of `example` in order; their first dimension may vary.

    References to our source files are removed. Raises whatever the exporter raises.
    """
    batch = torch.export.Dim("batch", min=0)
    shapes = tuple({0: batch} for _ in example)
    module = _traced(module, example, shapes)
    with whole_layers():  # the exporter traces twice more
        program = torch.onnx.export(
            module,
            tuple(example.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(example),
            output_names=[output],
            dynamic_shapes=shapes,
            verbose=False,
            optimize=False,  # below, once and without bounds
        )
    assert program is not None
    model: Any = optimizer.optimize(program.model_proto, input_size_limit=FOLDED, output_size_limit=FOLDED)
    _fold(model.graph)
    _strip(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _fold(graph: Any) -> None:
    """Compute what depends on constants alone, such as weights made of weights: the optimizer stops at a Split."""
    known = {part.name: numpy_helper.to_array(part) for part in graph.initializer}
    nodes = []
    for node in graph.node:
        names = [name for name in node.input if name]
        if not names or not known.keys() >= set(names):
            nodes.append(node)
            continue
        made = ReferenceEvaluator(node, opsets={"": OPSET}).run(None, {name: known[name] for name in names})
        known |= dict(zip(node.output, made, strict=True))
    used = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
    graph.ClearField("initializer")
    graph.ClearField("node")
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in known.items() if name in used)
    graph.node.extend(nodes)


def _traced(module: nn.Module, example: Mapping[str, torch.Tensor], shapes: tuple[Any, ...]) -> Any:
    """A module with recurrent layers as a program of which each is one node, where torch can be told so; else itself,
    which torch.onnx.export traces in the same way, but for its loops over the steps of these layers.
    """
    if not any(isinstance(part, nn.RNNBase) for part in module.modules()) or not can_be_whole():
        return module
    with whole_layers(), symbolic.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]  # batches of 0 and 1
        return torch.export.export(
            module,
            tuple(example.values()),
            dynamic_shapes=shapes,
            prefer_deferred_runtime_asserts_over_guards=True,
        )


def _strip(model: Any) -> None:
    """Remove names of files, lines and classes, and the shapes of intermediate values."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")


def quantised(data: bytes) -> bytes:
    """The model with its weights as int8 before a DequantizeLinear: weight = scale * int8, one scale for each row.

    A row gives one output; in a recurrent layer, one gate of one unit (both directions share the scale).
    Symmetric, so 0 stays 0. Activations, biases and what would not get smaller stay float32.
    """
    model = onnx.load_from_string(data)
    graph = model.graph
    axes = _weight_axes(graph)
    kept, nodes = [], []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.name not in axes or not _gains(values, axes[weight.name]):
            kept.append(weight)
            continue
        name, axis = weight.name, axes[weight.name]
        whole, scale = rounded(values, axis)
        kept += [numpy_helper.from_array(whole, f"{name}.int8"), numpy_helper.from_array(scale, f"{name}.scale")]
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.int8", f"{name}.scale"], [name], axis=axis))
    nodes += graph.node
    graph.ClearField("initializer")
    graph.ClearField("node")
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def rounded(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights as int8 and the scale [n] of each slice along `axis`: the largest of a slice becomes 127."""
    others = tuple(d for d in range(values.ndim) if d != axis)
    scale = np.abs(values).max(axis=others, keepdims=True) / MOST
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(values / scale).clip(-MOST, MOST).astype(np.int8), scale.reshape(-1)


def _gains(values: np.ndarray, axis: int) -> bool:
    """Whether int8, the scales and the node that joins them take fewer bytes."""
    node = 200
    return values.dtype == np.float32 and values.size + 4 * values.shape[axis] + node < values.nbytes


def _weight_axes(graph: Any) -> dict[str, int]:
    """{constant: the axis of its outputs}, of constants that are used only as weights, along one axis."""
    found: dict[str, set[int | None]] = {}
    ranks = {weight.name: len(weight.dims) for weight in graph.initializer}
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in ranks:
                weight = position in WEIGHTS.get(node.op_type, ()) and ranks[name] > 1
                found.setdefault(name, set()).add(_axis(node, position, ranks[name]) if weight else None)
    return {name: axis for name, axes in found.items() if len(axes) == 1 and (axis := next(iter(axes))) is not None}


def _axis(node: Any, position: int, rank: int) -> int:
    if node.op_type == "MatMul":
        return rank - 1 if position == 1 else rank - 2
    if node.op_type == "Gemm":
        return 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
    return 0 if node.op_type == "Conv" else 1


def opened(data: bytes, names: Sequence[str]) -> Callable[..., torch.Tensor]:
    """A function of the model's inputs, in the order of `names`, in ONNX Runtime on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == list(names)

    def run(*seen: torch.Tensor) -> torch.Tensor:
        fed = {name: part.numpy() for name, part in zip(names, seen, strict=True)}
        return torch.from_numpy(session.run(None, fed)[0])

    return run
