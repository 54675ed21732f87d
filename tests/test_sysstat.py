"""Reports of sar and what rrdtool fetches: readers/sysstat.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long

TIMES = pd.date_range("2024-01-15 00:10", periods=200, freq="10min")  # into the next day
NAMES = "        CPU     %user     %idle"


def report(form, day, comma=False):
    lines = [f"Linux 5.15.0-91-generic (web01) \t{day} \t_x86_64_\t(4 CPU)", ""]
    for at, time in enumerate(TIMES):
        if at % 50 == 0:
            lines += [""] * bool(at) + [f"{(time - pd.Timedelta('10min')).strftime(form)}{NAMES}"]
        line = f"{time.strftime(form)}        all {at / 4:9.2f} {100 - at / 4:9.2f}"
        lines.append(line.replace(".", ",") if comma else line)
    lines += ["Average:        all     25.00     75.00", "12:00:00     LINUX RESTART      (4 CPU)", ""]
    return "\n".join([*lines, "00:00:01        kbmemfree kbavail", "00:10:01        123 456"])


@pytest.mark.parametrize(
    ("form", "day", "comma"),
    [("%H:%M:%S", "01/15/2024", False), ("%I:%M:%S %p", "2024-01-15", False), ("%H:%M:%S", "15.01.2024", True)],
)
def test_a_report_of_sar_is_a_table(form, day, comma, tmp_path):
    (tmp_path / "sar.txt").write_text(report(form, day, comma))
    found = dated(tmp_path / "sar.txt", Dialect(AUTO, AUTO))
    assert found is not None and found.time == "time"
    series = read_long([tmp_path / "sar.txt"], time_col="time")
    assert series.channels == ("%user", "%idle") and np.allclose(series.values[0], np.arange(200) / 4)
    assert np.array_equal(series.times(0), TIMES.as_unit("ns").asi8)
    assert any("a report of sar, of 2024-01-15" in note for note in series.notes)
    assert any("1 line of other reports left out" in note for note in series.notes)


def test_what_rrdtool_fetches_is_a_table(tmp_path):
    lines = [f"{1700000100 + 300 * k}: {k / 4:.10e} {k % 7:.10e}" for k in range(60)] + ["1700018100: -nan -nan"]
    (tmp_path / "x.txt").write_text("\n".join(["                           in                 out", "", *lines]) + "\n")
    found = dated(tmp_path / "x.txt", Dialect(AUTO, AUTO))
    assert found is not None and found.time == "timestamp"
    series = read_long([tmp_path / "x.txt"], time_col="timestamp", nan="drop")
    assert series.channels == ("in", "out") and np.allclose(series.values[0], np.arange(60) / 4)
    assert series.clock.freq == "5min" and series.times(0)[0] == 1700000100 * 10**9
