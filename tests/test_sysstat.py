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


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("every", [20, 500])
def test_a_report_of_vmstat_whose_names_come_again(timed, every, tmp_path):
    """With times behind each line it took half a minute to be refused; the names of each screen were cells."""
    head = ["procs ---memory-- -----timestamp-----", " r  b   free                 UTC"]
    times = pd.date_range("2024-03-05 10:00:00", periods=120, freq="s")
    lines = []
    for k, time in enumerate(times):
        lines += [line if timed else line[:16] for line in head] if k % every == 0 else []
        lines.append(f" {k % 3}  {k % 2} {1000000 + k:7d}" + f" {time}" * timed)
    (tmp_path / "x.txt").write_text("\n".join(lines) + "\n")
    found = dated(tmp_path / "x.txt", Dialect(AUTO, AUTO))
    assert found is not None and found.time == ("time" if timed else "line")
    series = read_long([tmp_path / "x.txt"], time_col=found.time, sep=AUTO, decimal=AUTO)
    assert series.channels == ("r", "b", "free") and series.values.shape == (3, 120)
    assert series.values[:, 5].tolist() == [2, 1, 1000005]
    assert not timed or series.clock.show(series.time[[0, -1]]) == ["2024-03-05 10:00:00", "2024-03-05 10:01:59"]
