"""readers/empatica.py: wristbands, whose first two lines are no values."""

from __future__ import annotations

import numpy as np
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

BEGIN = 1544027337  # 2018-12-05 16:28:57 UTC, by `date -u -d @1544027337`


@pytest.mark.parametrize(("rate", "name", "channels"), [(1, "HR.csv", 1), (32, "ACC.csv", 3), (4, "TEMP.csv", 1)])
def test_a_recording_begins_where_its_first_line_says(put, rate, name, channels):
    values = np.arange(120 * channels).reshape(120, channels) % 47
    head = [", ".join([f"{number:.6f}"] * channels) for number in (BEGIN, rate)]
    path = put("\n".join([*head, *(",".join(map(str, row)) for row in values.tolist())]), name)
    assert dated(path, Dialect(AUTO, AUTO)).time == "time"
    series = read_long([path], time_col="time")
    assert series.values.tolist() == values.T.tolist()
    assert series.channels == (("acc_x", "acc_y", "acc_z") if channels == 3 else (name[:-4].lower(),))
    assert series.time.tolist() == [BEGIN * 10**9 + k * 10**9 // rate for k in range(120)]
    assert series.clock.show(series.time[:1])[0].startswith("2018-12-05 16:28:57")


def test_other_numbers_are_values(put):
    """A counter that begins so high, without a rate of whole numbers below it."""
    path = put("\n".join(f"{BEGIN + k}.500000" for k in range(60)))
    assert dated(path, Dialect(AUTO, AUTO)).time == "line"
