"""readers/lvm.py: LabVIEW's measurement files."""

from __future__ import annotations

import datetime

import pytest

from errors import DataError

from .test_strangers import taken

FIRST = (
    "LabVIEW Measurement\t\nSeparator\tTab\nDecimal_Separator\t,\nX_Columns\t{}\nDate\t2016/08/11\n"
    "***End_of_Header***\t\n\n"
)
SECOND = (
    "Channels\t2\nDate\t2024/01/31\t2024/01/31\nTime\t23:59:58,5\t23:59:58,5\nDelta_X\t{0}\t{0}\n***End_of_Header***\n"
)


def test_seconds_since_a_start_are_dates(put):
    body = [f"{2 * k},000000\t{k},25\t{-k},5\t{'cold' * (k == 3)}" for k in range(60)]
    text = FIRST.format("One") + SECOND.format("2,0") + "\n".join(["X_Value\tload\tforce\tComment", *body])
    series = taken(put(text, "x.lvm"))
    assert series.channels == ("load", "force")
    assert series.values.tolist() == [[k + 0.25 for k in range(60)], [0.5, *(-k - 0.5 for k in range(1, 60))]]
    start = datetime.datetime(2024, 1, 31, 23, 59, 58, 500_000)
    times = [start + datetime.timedelta(seconds=2 * k) for k in range(60)]
    assert series.times(0).tolist() == [round((t - datetime.datetime(1970, 1, 1)).total_seconds() * 1e9) for t in times]


def test_without_times_the_step_counts(put):
    body = [f"\t{k},25\t{-k},5" for k in range(60)]
    text = FIRST.format("No") + SECOND.format("3,906250E-5") + "\n".join(["X_Value\tload\tforce\tComment", *body])
    series = taken(put(text, "x.lvm"))
    assert series.channels == ("load", "force") and series.time is None
    assert series.values[0].tolist() == [k + 0.25 for k in range(60)]


def test_times_of_each_channel_are_one_where_they_are_alike(put):
    lines = ["X_Value\ta\tX_Value\tb\tComment", *(f"{k}\t{k},5\t{k}\t{-k}" for k in range(60))]
    head = FIRST.format("Multi") + SECOND.format("1")
    assert taken(put(head + "\n".join(lines), "x.lvm")).channels == ("a", "b")
    with pytest.raises(DataError, match="channels have times of their own"):
        taken(put(head + "\n".join([*lines, "60\t1\t60,5\t1"]), "x.lvm"))


def test_several_segments_are_refused(put):
    segment = SECOND.format("1") + "X_Value\ta\n" + "\n".join(f"{k}\t{k}" for k in range(9))
    with pytest.raises(DataError, match="with 3 heads"):
        taken(put(FIRST.format("One") + segment + "\n\n" + segment, "x.lvm"))
