"""Closed forms under nets, solved once for the trials of a search: the same as when each solves its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbones.fitting import Fitting, Labelled
from backbones.recalled import MOST, Recalled
from backbones.specs import TargetSpec
from backbones.wide import Wide

pytestmark = pytest.mark.grows

LABEL = TargetSpec("label", 1)


def windows(n: int, seed: int) -> Labelled:
    """The label is whether the last steps of two channels have one sign."""
    x = torch.randn(n, 2, 8, generator=torch.Generator().manual_seed(seed))
    return Labelled(lambda i: x[i], (x[:, :, -1].prod(1, keepdim=True) > 0).float(), np.arange(n))


def data(seed: int = 3) -> Fitting:
    return Fitting(windows(300, 0), windows(120, 1), seed)


def counted(monkeypatch) -> list[int]:
    """Grows by one with every map that is solved."""
    times: list[int] = []
    solve = Wide.fit
    monkeypatch.setattr(Wide, "fit", lambda *given: times.append(1) or solve(*given))
    return times


def test_the_same_data_are_solved_once_and_a_later_net_stands_on_the_same(monkeypatch):
    times, x = counted(monkeypatch), windows(50, 2).read(torch.arange(50))
    alone = Wide(LABEL, 2, 8, trees=True)
    stood, told = alone.fit(data(), LABEL, [0.1])
    recalled, before = Recalled(), torch.get_rng_state()
    recalled.start()
    for _ in range(3):
        again = Wide(LABEL, 2, 8, trees=True)
        found, said = recalled.fit(again, data(), LABEL, [0.1])
        assert torch.equal(found, stood) and said == told and torch.equal(again.outputs_of(x), alone.outputs_of(x))
        found.zero_()  # what one trial does to it, no other sees
        said.clear()
        again.take(0.5, [0.0])
    assert len(times) == 2 and torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("other", ["seed", "lean", "loss", "settled", "labels", "windows", "groups"])
def test_other_data_or_settings_are_solved_anew(other, monkeypatch):
    times, recalled, given = counted(monkeypatch), Recalled(), data()
    recalled.start()
    recalled.fit(Wide(LABEL, 2, 8), given, LABEL, [0.0])
    train, wide = given.train, Wide(LABEL, 2, 8)
    if other == "settled":
        wide.settled = {"map": 1.0, "trees": 0.0}
    changed = {
        "labels": Labelled(train.read, train.y.flip(0), train.groups),
        "windows": Labelled(lambda i: train.read(i) + 1e-6, train.y, train.groups),
        "groups": Labelled(train.read, train.y, train.groups // 2),
    }.get(other, train)
    later = Fitting(changed, given.val, 4 if other == "seed" else 3, "l1" if other == "loss" else "")
    recalled.fit(wide, later, LABEL, [0.5 if other == "lean" else 0.0])
    assert len(times) == 2


def test_only_the_last_are_kept_and_a_run_alone_keeps_nothing():
    recalled = Recalled()
    recalled.fit(Wide(LABEL, 2, 8), data(), LABEL, [0.0])
    assert recalled.kept is None
    recalled.start()
    for seed in range(MOST + 2):
        recalled.fit(Wide(LABEL, 2, 8), data(seed), LABEL, [0.0])
    assert recalled.kept is not None and len(recalled.kept) == MOST
