"""Recurrent layers as one operator each, while a model is traced.

To know the shapes of what `torch.nn.GRU` and `LSTM` return, torch's tracers run through all of their steps, several
times over: a context of 100 steps took half a minute, though the graph has one node for the layer in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table

KEYS = (torch._C.DispatchKey.CompositeImplicitAutograd, torch._C.DispatchKey.Autograd)
Shapes = Callable[..., tuple[Tensor, ...]]


@contextmanager
def whole_layers() -> Iterator[None]:
    """Within the block, GRUs and LSTMs of traced models are not taken apart, and return shapes without numbers."""
    with ExitStack() as stack:
        stack.enter_context(_answered(torch.ops.aten.gru.input, _gru))
        stack.enter_context(_answered(torch.ops.aten.lstm.input, _lstm))
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
