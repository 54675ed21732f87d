"""Windows to be fitted to: when validation is too thin to choose by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbones.fitting import Labelled, thin


@pytest.mark.parametrize(
    ("n", "true", "rate", "wanted"),
    [
        (200, 100, 0.5, None),
        (49, 20, 0.5, True),
        (200, 9, 0.3, True),
        (200, 192, 0.7, True),
        (5000, 6, 0.01, False),  # rare: .5 would find none
        (30, 2, 0.05, True),
    ],
)
def test_validation_is_thin_by_windows_or_by_cases(n, true, rate, wanted):
    val = Labelled(lambda numbers: numbers, (torch.arange(n) < true).float()[:, None], np.arange(n))
    found = thin(val, "label", [rate])
    assert found == ({} if wanted is None else {"windows": n, "default_threshold": wanted})


def test_values_are_thin_by_windows_alone_and_classes_by_the_fewest():
    val = Labelled(lambda numbers: numbers, torch.eye(3).repeat(40, 1), np.arange(120))
    assert thin(val, "class", [1 / 3] * 3) == {} and thin(val, "value", [0.0]) == {}
    assert thin(val.part(np.arange(29)), "value", [0.0]) == {"windows": 29, "default_threshold": False}
    few = val.part(np.flatnonzero((np.arange(120) % 3 < 2) | (np.arange(120) < 12)))
    assert thin(few, "class", [0.4, 0.4, 0.2])["default_threshold"]
