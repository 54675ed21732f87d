"""readers/midnights.py: midnights that are written with the day that ends, and columns that repeat the time of day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from readers.dated import dated
from readers.dialect import Dialect
from readers.midnights import ending_days
from readers.owners import owners

from .runs import go

DAYS, STEPS = 9, 96


def table(days: int = DAYS, form: str = "%d/%m/%Y %H:%M", *, ends: bool = True) -> pd.DataFrame:
    """Quarters of an hour from 00:15, each named by its end; the last one of a day is at 00:00, of that day or the
    next."""
    times = pd.Timestamp("2018-01-28") + pd.to_timedelta(np.arange(1, days * STEPS + 1) * 15, unit="min")
    midnight = ((times.hour == 0) & (times.minute == 0)).astype(int)
    written = times - pd.to_timedelta(midnight, unit="D") if ends else times
    load = 3 + np.sin(np.arange(len(times)) / STEPS * 2 * np.pi).round(3) + np.arange(len(times)) % 7
    seconds = times.hour * 3600 + times.minute * 60
    return pd.DataFrame({"date": written.strftime(form), "load": load, "NSM": seconds})


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%S"])
@pytest.mark.parametrize("ends", [True, False])
def test_midnights_of_the_day_that_ends_are_a_day_later_told(tmp_path, form, ends):
    """Before, the column of seconds named 96 series of a step a day; without it such lines went to the wrong day."""
    table(form=form, ends=ends).to_csv(tmp_path / "a.csv", index=False)
    found = dated(tmp_path / "a.csv", Dialect())
    assert found is not None and (found.time, found.ids) == ("date", ())
    done = go(tmp_path, "--mode train --task forecast --csv a.csv --horizon 4 --dry-run")
    assert done.code == 0, done.err
    assert "read: 1 row of 864 steps; 2 channels (load, NSM); 2018-01-28 00:15:00 to 2018-02-06 00:00:00" in done.err
    assert ("9 lines at 00:00" in done.err) == ends and "come late" not in done.err


def test_newest_first_they_are_the_same(tmp_path):
    table()[::-1].to_csv(tmp_path / "a.csv", index=False)
    done = go(tmp_path, "--mode train --task forecast --csv a.csv --time-col date --horizon 4 --dry-run")
    assert "2018-01-28 00:15:00 to 2018-02-06 00:00:00" in done.err and "newest first" in done.err


def test_only_lines_that_fit_between_their_neighbours_are_moved():
    hours = np.arange(1, 73) * 3600
    late = hours % 86400 == 0
    written = hours - 86400 * late
    assert ending_days(written).tolist() == late.tolist()
    assert not ending_days(hours).any() and not ending_days(written[:24]).any()  # what comes after it is not known
    odd = written.copy()
    odd[10] -= 7200  # another line goes back, by something else
    assert not ending_days(odd).any()
    again = np.concatenate([np.arange(24), np.arange(24)]) * 3600  # another series of the same day
    assert not ending_days(again).any()


def test_the_time_of_day_in_other_numbers_names_no_series():
    stamps = [86400.0 * day + 900 * k for day in range(20) for k in range(8)]
    quarters = [str(k) for _ in range(20) for k in range(8)]
    rooms = [str(k * k) for _ in range(20) for k in range(8)]  # which are measured one after the other
    columns = {"quarter_no": quarters, "room_no": rooms}
    everything = lambda _: True  # noqa: E731
    assert owners(columns, stamps, Dialect(), everything) == ["room_no"]
