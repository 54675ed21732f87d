"""Cases of reading tables."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from readers.long import read_long

from ..runs import strict


def test_text_nobody_asked_for_is_left_out_and_columns_exists(case):
    weather = case("t-22")
    for number in range(3):
        done = weather.go(number, "--no-plots --overwrite" + " --split-mode holdout" * (number == 2))
        assert done.code == 0, done.err
        assert ("left out, since it holds text: 'sky'" in done.err) == (number != 1)
        assert strict(done.directory / "manifest.json")["data"]["channels"] == ["tmax", "rain"]


def test_many_columns_take_as_long_as_pandas_takes(case):
    wide = case("n-10")
    path = wide.folder / "wide.csv"
    started = time.process_time()
    values = read_long([path], time_col="time").values
    middle = time.process_time()
    frame = pd.read_csv(path)
    assert middle - started < 10 * (time.process_time() - middle)  # 600 times where it was read column by column
    np.testing.assert_allclose(values, frame.to_numpy()[:, 1:].T.astype(float), rtol=1e-6)
    assert wide.go(0).code == 0
