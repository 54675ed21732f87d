"""exporting/recurrent.py: tracers take a recurrent layer whole."""

from __future__ import annotations

import pytest
import torch

from exporting import recurrent
from exporting.onnx_graph import _traced
from exporting.recurrent import KEYS, can_be_whole, whole_layers

OPERATORS = {"GRU": torch.ops.aten.gru.input, "LSTM": torch.ops.aten.lstm.input}


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("settings", [{}, {"bidirectional": True, "num_layers": 2}], ids=["plain", "both ways"])
def test_no_step_of_a_layer_is_traced_and_the_program_says_what_the_layer_says(kind, settings, monkeypatch):
    def step(*_):
        raise AssertionError("taken apart")

    monkeypatch.setattr("torch._decomp.decompositions._rnn_helper", step)
    layer = getattr(torch.nn, kind)(3, 4, batch_first=True, **settings).eval()
    operator = OPERATORS[kind]
    before = [operator.py_kernels[key] for key in KEYS]
    with whole_layers():
        program = torch.export.export(layer, (torch.zeros(2, 7, 3),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    assert [operator.py_kernels[key] for key in KEYS] == before
    assert [node.target for node in program.graph.nodes].count(operator) == 1
    x = torch.randn(5, 7, 3)
    with torch.no_grad():
        (said, state), (true, last) = program.module()(x), layer(x)
    assert torch.equal(said, true)
    both = zip(state, last, strict=True) if kind == "LSTM" else [(state, last)]
    assert all(torch.equal(one, other) for one, other in both)


def test_where_torch_traces_in_another_way_layers_are_taken_apart_as_it_does(monkeypatch):
    monkeypatch.setattr(recurrent, "decomposition_table", {})
    before = [dict(operator.py_kernels) for operator in OPERATORS.values()]
    with whole_layers():
        assert [dict(operator.py_kernels) for operator in OPERATORS.values()] == before
    layer = torch.nn.GRU(3, 4, batch_first=True).eval()
    assert not can_be_whole() and _traced(layer, {"x": torch.zeros(2, 3, 3)}, ()) is layer
