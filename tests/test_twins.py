"""readers/twins.py: series of one name that a second column tells apart."""

from __future__ import annotations

import pandas as pd
import pytest

from errors import DataError
from readers.long import read_long

MONTHS = [f"{month:%Y-%m-%d}" for month in pd.date_range("2000-01-01", periods=24, freq="MS")]
TOWNS = [("Rome", "Italy"), ("York", "Britain"), ("London", "Britain"), ("London", "Canada"), ("Lima", "Peru")]
LINES = [
    f"{month},{town},{land},{k},{10 * at + k % 9}"
    for at, (town, land) in enumerate(TOWNS)
    for k, month in enumerate(MONTHS)
]


@pytest.mark.parametrize("by_time", [False, True])
def test_the_second_column_is_named_and_works(put, by_time):
    path = put("\n".join(["month,town,land,note,x", *(sorted(LINES) if by_time else LINES)]))
    with pytest.raises(DataError) as caught:
        read_long([path], time_col="month", id_col="town")
    assert caught.value.hint == "--id-col town+land tells the lines of one time apart"
    series = read_long([path], time_col="month", id_col="town+land", columns=["x"])
    rows = dict(zip(series.rows, series.values.reshape(5, 24).tolist(), strict=True))
    assert rows == {f"{one}/{two}": [10 * at + k % 9 for k in range(24)] for at, (one, two) in enumerate(TOWNS)}


def test_numbers_of_things_name_them_too(put):
    lines = [f"{month},a,{store},{k % 9}" for store in (3, 17) for k, month in enumerate(MONTHS)]
    with pytest.raises(DataError, match="times go back") as caught:
        read_long([put("\n".join(["month,item,store,x", *lines]))], time_col="month", id_col="item")
    assert caught.value.hint.startswith("--id-col item+store")


def test_where_none_does_the_lines_are_averaged(put):
    path = put("\n".join(["month,town,land,note,x", *sorted(LINES)]).replace("Canada", "Britain"))
    with pytest.raises(DataError) as caught:
        read_long([path], time_col="month", id_col="town")
    assert caught.value.hint == "--resample MS averages such lines"
