"""hardware.py: devices, precisions, and what happens when memory or a compiler fails."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hardware
from errors import UsageError
from hardware import Precision, largest_batch, pick_device, untouched

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cud a"])
def test_a_device_that_does_not_exist(name):
    with pytest.raises(UsageError, match="is not a device"):
        pick_device(name)


def test_a_device_that_is_not_here():
    with pytest.raises(UsageError, match=r"this machine has \w+ cuda device") as caught:
        pick_device("cuda:99")
    assert caught.value.exit_code == 2
    assert pick_device("auto").type in ("cpu", "cuda")


@pytest.mark.parametrize(("bf16", "name", "warns"), [(True, "bfloat16", False), (False, "float32", True)])
def test_amp_on_a_cpu_is_bfloat16_only_where_it_is_faster(monkeypatch, bf16, name, warns):
    monkeypatch.setattr(hardware, "_cpu_has_bf16", lambda: bf16)
    precision = Precision.choose(True, CPU)
    assert (precision.name, bool(precision.warning), precision.scaler()) == (name, warns, None)
    with precision.autocast():
        assert (nn.Linear(4, 4)(torch.rand(2, 4)).dtype is torch.bfloat16) == bf16
    assert Precision.choose(False, CPU).name == "float32"


@pytest.mark.parametrize(("capability", "name"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_amp_on_cuda_is_float16_on_older_cards(monkeypatch, capability, name):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert Precision.choose(True, torch.device("cuda")).name == name


def test_the_largest_batch_that_fits_is_found_by_halving():
    def try_out(size):
        if size > 9:
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert largest_batch(64, try_out) == 8

    def never(size):
        raise MemoryError

    assert largest_batch(64, never) == 0

    def broken(size):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        largest_batch(64, broken)


def test_trying_out_leaves_no_trace():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 1))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    with untouched(model):
        model(torch.rand(8, 3)).sum().backward()
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state()) and all(p.grad is None for p in model.parameters())
