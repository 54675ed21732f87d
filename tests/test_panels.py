"""benchmarks/panels.py: the series that it makes, and how it measures; the commands run in seconds and time nothing."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import panels
from readers.long import read_long


@pytest.mark.parametrize("name", panels.SETS)
def test_a_set_is_the_same_each_time_and_can_be_read(name, tmp_path):
    frame, one = panels.table(name, small=True), panels.SETS[name]
    assert frame.equals(panels.table(name, small=True))
    frame.to_csv(tmp_path / "t.csv", index=False)
    series = read_long([tmp_path / "t.csv"], time_col="date", id_col="id")
    assert series.n_rows == panels.FEW and not series.notes
    assert one.lengths[0] <= series.lengths.min() and series.lengths.max() <= one.lengths[1]


def test_squared_errors_count_each_series_by_its_size(tmp_path):
    truth = np.array([1.0, -1.0, 100.0, 50.0]).reshape(4, 1, 1)
    pred = truth * [[[1.1]], [[1.1]], [[1.2]], [[1.2]]]
    np.savez(tmp_path / "preds.npz", truth=truth, pred=pred, row=["a", "a", "b", "b"])
    assert panels.scaled_squares(tmp_path / "preds.npz") == pytest.approx((0.01 * 1 / 31.25 + 0.04) / 2, rel=1e-2)
