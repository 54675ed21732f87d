"""readers/prefixes.py: numbers of one quantity in several units, against the same numbers written out."""

from __future__ import annotations

import numpy as np
import pytest

from errors import DataError
from readers.dialect import Dialect
from readers.long import read_long
from readers.prefixes import in_one_unit, is_in_units

from .runs import go


def taken(*kinds):
    return in_one_unit(kinds, np.arange(len(kinds)), Dialect())


@pytest.mark.parametrize(
    ("kinds", "values", "how"),
    [
        (("1.79M", "950.5K", "2B"), (1.79e6, 950500, 2e9), "taken with K as 1,000, M as 1,000,000, B as 1,000,000,000"),
        (("1.2K", "950"), (1200, 950), "taken with K as 1,000"),
        (("2.10 kB/s", "950 B/s", "1.5 MB/s", "0"), (2100, 950, 1.5e6, 0), "taken in B/s"),
        (("40 ms", "1.3 s", "2 min"), (0.04, 1.3, 120), "taken in s"),
        (("1 KiB", "2 MiB", "3 B"), (1024, 2 * 1024**2, 3), "taken in B"),
        (("900 W", "-1.25kW"), (900, -1250), "taken in W"),
    ],
)
def test_units_of_one_quantity_are_one(kinds, values, how):
    found, told = taken(*kinds)
    assert found == pytest.approx(values) and told.endswith(how)
    assert all(is_in_units(kind) for kind in kinds if not kind[-1].isdigit())


def test_a_mark_of_a_missing_value_stays_one():
    found, told = taken("1.79M", "-", "950.5K")
    assert (
        np.isnan(found[1])
        and found[::2] == pytest.approx([1.79e6, 950500])
        and "'-' in 1 line taken as missing" in told
    )


@pytest.mark.parametrize(
    "kinds",
    [
        ("37F", "12A", "4B"),  # codes
        ("1K", "2M", "3B"),  # whole numbers, which may be codes
        ("1.5K", "20000"),  # what has no multiple is larger than what has
        ("900 W", "2.5 kWh"),  # two quantities
        ("900 W", "5", "1.2 kW"),  # one without a unit
        ("12 kW", "13 kW"),  # one unit, which is left out elsewhere
    ],
)
def test_others_are_left_to_what_reads_them_otherwise(kinds):
    assert taken(*kinds) == ([], "")


def test_a_table_of_prices_is_read_with_its_volumes(put, tmp_path):
    lines = [f'"2024-01-{k:02d}","1,0{k:02d}.50","{k}.25M","0.5%"' for k in range(1, 29)]
    lines[4] = '"2024-01-05","1,005.50","950.50K","0.5%"'
    path = put("\n".join(['"Date","Price","Vol.","Change %"', *lines]) + "\n")
    done = go(tmp_path, f"--task forecast --csv {path} --horizon 2 --dry-run")
    assert done.code == 0 and "3 channels (Price, Vol., Change %)" in done.err
    series = read_long([path], time_col="Date", thousands=",")
    assert series.values[1, 3:6].tolist() == pytest.approx([4.25e6, 950500, 6.25e6])
    with pytest.raises(DataError):
        read_long([path], time_col="Date", thousands=",", strict=True)
