"""Recurrent layers as one operator each, while a model is traced.

To know the shapes of what `torch.nn.GRU` and `LSTM` return, torch's tracers run through all of their steps, several
times over: a context of 100 steps took half a minute, though the graph has one node for the layer in the end.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table

OPERATORS = (torch.ops.aten.gru.input, torch.ops.aten.lstm.input)
KEYS = (torch._C.DispatchKey.CompositeImplicitAutograd, torch._C.DispatchKey.Autograd)
Shapes = Callable[..., tuple[Tensor, ...]]


def can_be_whole() -> bool:
    """Whether this version of torch traces as those do that were looked at (2.9 to 2.13); others take their time."""
    settings = inspect.signature(torch.export.export).parameters
    return "prefer_deferred_runtime_asserts_over_guards" in settings and {*OPERATORS} <= decomposition_table.keys()


@contextmanager
def whole_layers() -> Iterator[None]:
    """Within the block, GRUs and LSTMs of traced models are not taken apart, and return shapes without numbers, where
    they `can_be_whole`.
    """
    with ExitStack() as stack:
        for operator, shapes in zip(OPERATORS, (_gru, _lstm), strict=True) if can_be_whole() else ():
            stack.enter_context(_answered(operator, shapes))
        yield


@contextmanager
def _answered(operator: Any, shapes: Shapes) -> Iterator[None]:
    """`operator` is `shapes` to the tracers, as torch.export's own register_gru_while_loop_decomposition does it."""
    kernels, steps = dict(operator.py_kernels), decomposition_table[operator]
    operator.py_kernels.update(dict.fromkeys(KEYS, shapes))
    decomposition_table[operator] = shapes
    operator._dispatch_cache.clear()
    try:
        yield
    finally:
        operator.py_kernels.clear()
        operator.py_kernels.update(kernels)
        decomposition_table[operator] = steps
        operator._dispatch_cache.clear()


def _gru(x: Tensor, state: Tensor, *settings: Any) -> tuple[Tensor, ...]:
    """(outputs [.., .., directions * hidden], last state) of torch's GRU; the last setting but one: both ways."""
    return _outputs(x, state, bidirectional=settings[-2]), torch.empty_like(state)


def _lstm(x: Tensor, states: Any, *settings: Any) -> tuple[Tensor, ...]:
    state, cell = states
    return _outputs(x, state, bidirectional=settings[-2]), torch.empty_like(state), torch.empty_like(cell)


def _outputs(x: Tensor, state: Tensor, *, bidirectional: bool) -> Tensor:
    return x.new_empty((*x.shape[:2], state.shape[-1] * (1 + bidirectional)))
