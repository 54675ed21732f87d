"""readers/short.py and coarser.py: rows of too few lines, and the step to propose for lines that have none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.coarser import in_disorder, proposed
from readers.long import read_long
from times.clock import DAY

DAYS = [f"{day:%Y-%m-%d}" for day in pd.date_range("2024-01-01", periods=30)]


def table(sizes):
    lines = [f"{name},{day},{k}.5" for name, size in sizes.items() for k, day in enumerate(DAYS[:size])]
    return "\n".join(["id,date,x", *lines])


def test_rows_of_too_few_steps_are_left_out(put):
    series = read_long([put(table({"a": 5, "b": 2, "c": 7, "d": 1}))], time_col="date", id_col="id")
    assert series.rows == ("a", "c") and series.lengths.tolist() == [5, 7]
    assert series.values[0].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
    assert "warning: 2 rows of 4 left out, of fewer than 3 steps: b, d" in series.notes


@pytest.mark.parametrize("options", [{"strict": True}, {"labels": "labels.csv"}])
def test_they_are_refused_where_each_row_counts(put, options):
    path = put(table({"a": 5, "b": 2}))
    with pytest.raises(DataError, match="row 'b' has 2 steps, fewer than 3"):
        read_long([path], time_col="date", id_col="id", **options)
    with pytest.raises(DataError, match="row 'a' has 1 step, fewer than 3"):
        read_long([put(table({"a": 1, "b": 2}))], time_col="date", id_col="id")


@pytest.mark.parametrize(
    ("step", "count", "name"),
    [(DAY // 1440, 90, "1min"), (DAY // 24, 90, "1h"), (DAY, 90, "D"), (7 * DAY, 90, "7D"), (DAY // 20, 90, "D"),
     (31 * DAY, 90, "MS"), (92 * DAY, 90, "QS"), (400 * DAY, 9, "YS")],
)  # fmt: skip
def test_the_step_proposed(step, count, name):
    times = np.arange(count) * step
    assert proposed(np.repeat(times, 2)) == name
    gaps = np.where(np.arange(count) % 10 == 5, 20, 1) * step  # most lie a step apart
    assert proposed(np.cumsum(gaps)) == name


def test_events_without_a_usual_gap_take_the_mean():
    times = np.cumsum(np.arange(1, 40)) * DAY // 24  # 1 to 39 hours apart, 20 in the mean
    assert proposed(times[::-1]) == "D" and proposed(times[:1]) == "D"


def test_lines_in_no_order(put):
    times = np.random.default_rng(1).permutation(100)
    assert in_disorder(times) and not in_disorder(np.concatenate([np.arange(50), np.arange(50), np.arange(9)]))


def test_sales_in_no_order_are_averaged_by_their_day(put):
    """The mean of each day's lines, as pandas takes it; without --resample the hint names the step."""
    draw = np.random.default_rng(2)
    frame = pd.DataFrame({"day": draw.choice(DAYS, 400), "x": draw.normal(size=400).round(3)})
    path = put(frame.to_csv(index=False))
    with pytest.raises(DataError, match="times go back") as caught:
        read_long([path], time_col="day")
    assert "--resample D sorts the lines by time" in str(caught.value)
    series = read_long([path], time_col="day", resample="D")
    np.testing.assert_allclose(series.values[0], frame.groupby("day").x.mean(), rtol=1e-6)
    assert any("were sorted" in note for note in series.notes)


def test_series_one_after_the_other_are_not_mixed_by_an_average(put):
    lines = [f"{day},{k}" for k in (1, 100) for day in DAYS]
    with pytest.raises(DataError, match="times go back"):
        read_long([put("\n".join(["date,x", *lines]))], time_col="date", resample="D")


@pytest.mark.parametrize(("twice", "fine"), [(1, True), (2, False)])
def test_lines_in_disorder_of_which_a_few_come_twice_are_sorted(put, twice, fine):
    """As files of a year one after the other, the newest first, of whose 60 lines one comes twice."""
    lines = [f"{day:%Y-%m-%d},{k}" for k, day in enumerate(pd.date_range("2024-01-01", periods=60))]
    body = [*lines[30:], *lines[:30], *(f"2024-01-{10 + k},{9 + k + 2}" for k in range(twice))]
    path = put("\n".join(["date,x", *body]))
    if not fine:
        with pytest.raises(DataError, match="times go back"):
            read_long([path], time_col="date")
        return
    series = read_long([path], time_col="date")
    assert series.values[0].tolist() == [10 if k == 9 else k for k in range(60)]
