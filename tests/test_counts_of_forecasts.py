"""backbones/counts.py, and blends of tables that are mostly zero."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from backbones.auto_forecast import AutoForecast
from backbones.counts import share_left
from backbones.shares import blended

from .runs import good, strict


def test_forecasts_of_counts_are_drawn_to_zero_as_far_as_squared_errors_allow():
    counts = np.random.default_rng(0).poisson(0.5, 4000).astype(float)
    left = share_left(np.full(4000, 0.5), counts)
    squares = {share: ((share * 0.5 - counts) ** 2).mean() for share in (left - 0.05, left)}
    least = ((counts.mean() - counts) ** 2).mean()
    assert squares[left] <= 1.01 * least < squares[left - 0.05]
    assert np.abs(left * 0.5 - counts).mean() < np.abs(0.5 - counts).mean()
    assert share_left(np.full(4000, 9.0), counts) == pytest.approx(0.1)  # far too high
    known = np.where(np.arange(4000) < 2000, counts, np.nan)
    assert share_left(np.full(4000, 0.5), known) < 1


@pytest.mark.parametrize("shift", [1.0, -0.5])
def test_what_is_not_mostly_zero_stays(shift):
    values = np.random.default_rng(0).poisson(0.5, 400) + shift
    assert share_left(np.full(400, 3.0), values) == 1
    assert share_left(np.zeros(9), np.zeros(9)) == 1


def test_a_backtest_is_blended_of_the_members_that_could_be_fitted_there():
    found = torch.tensor([[1.0, 1.0], [3.0, torch.nan], [torch.nan, torch.nan]])[:, :, None, None]
    blend, made = blended(found, torch.tensor([[0.25], [0.25], [0.5]]))
    assert blend.flatten().tolist() == [2.0, 1.0] and made.all()
    _, made = blended(found[1:], torch.tensor([[1.0], [0.0]]))
    assert made.tolist() == [True, False]


def test_a_table_of_counts_says_what_is_left_and_is_nearer_to_them(tmp_path):
    rng = np.random.default_rng(0)
    days = pd.date_range("2023-01-02", periods=70, freq="D").strftime("%Y-%m-%d")
    rows = [pd.DataFrame({"date": days, "id": i, "y": rng.poisson(0.4, 70)}) for i in range(16)]
    pd.concat(rows).to_csv(tmp_path / "t.csv", index=False)
    words = "--mode train --task forecast --csv t.csv --time-col date --id-col id --horizon 4 --quiet --no-plots"
    content = strict(good(tmp_path, words, "--model-args members=theta,ets") / "summary.json")
    assert 0.1 <= content["fit"]["left_of_counts"][0] < 1
    assert content["mase"] < content["references"]["ets"]["mase"]
    assert content["mse"] < 1.05 * content["references"]["ets"]["mse"]


def test_what_is_drawn_towards_0_is_told_in_one_line(caplog):
    """Channels that are 0 in half of their steps, with forecasts far too high, and one that is never 0."""
    truth = torch.tensor([0.0, 1.0]).repeat(3, 1, 10) + torch.tensor([0.0, 0.0, 5.0])[None, :, None]
    blend = torch.full((3, 3, 20), 5.0)
    drawn = SimpleNamespace(level=torch.zeros(3), left=torch.ones(3))
    with caplog.at_level("INFO", "tsrun"):
        AutoForecast._draw(drawn, blend, truth, np.zeros(3))
    assert drawn.left.tolist() == pytest.approx([0.1, 0.1, 1.0])
    assert [r.getMessage().split(",")[0] for r in caplog.records] == [
        "2 of 3 channels are often 0: these forecasts are multiplied by 0.10"
    ]
