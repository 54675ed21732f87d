"""readers/spelled.py and text.py: reports of weather services, widths below the names, line ends of old Macs."""

from __future__ import annotations

import numpy as np
import pytest

from errors import DataError
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from readers.wide import read_wide

MONTHS = [(1948 + k // 12, 1 + k % 12) for k in range(30)]


def report(note="", end="\n"):
    above = ["Station (London)", "Location 507800E 176700N, 25m amsl", "Missing data, if any, is marked by ---."]
    names = ["   yyyy  mm   tmax    rain     sun", "              degC      mm   hours"]
    rows = [f"   {year}  {month:2d}   {k / 10:4.1f}    {k}.5    {k}.0{note}" for k, (year, month) in enumerate(MONTHS)]
    rows[4] = "   1948   5   0.4*   ---     4.0#"
    return end.join([*above, *names, *rows]) + end


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("note", ["", "  Provisional"])
def test_a_report_in_columns(put, end, note):
    path = put(report(note, end))
    assert dated(path, Dialect(AUTO, AUTO)).time == "yyyy+mm"
    series = read_long([path], time_col="yyyy+mm", sep=AUTO, decimal=AUTO, nan="drop")
    assert series.channels == ("tmax", "rain", "sun") and series.clock.freq == "MS"
    numbers = np.arange(30)
    want = np.array([numbers / 10, np.where(numbers == 4, np.nan, numbers + 0.5), numbers])
    np.testing.assert_allclose(series.values, want, rtol=1e-6)
    with pytest.raises(DataError, match=r"\.csv:10:4: missing value"):
        read_long([path], time_col="yyyy+mm", sep=AUTO, decimal=AUTO)


def test_the_widths_of_columns_are_no_line(put):
    lines = ["# a river, feet", "agency\tdatetime\t60_va\t60_cd", "5s\t20d\t14n\t10s"]
    lines += [f"USGS\t2024-01-{day:02d}\t{day}\tA" for day in range(1, 21)]
    path = put("\n".join(lines))
    assert dated(path, Dialect(AUTO, AUTO)).time == "datetime"
    series = read_long([path], time_col="datetime", sep=AUTO, decimal=AUTO)
    assert series.values.tolist() == [list(range(1, 21))]


def test_names_behind_a_hash_sign(put):
    lines = [
        "# taken at De Bilt, free to use",
        "# ",
        "# STN,YYYYMMDD,   TG",
        *(f"  260,202401{d:02d},  {d}" for d in range(1, 31)),
    ]
    path = put("\n".join(lines))
    assert dated(path, Dialect(AUTO, AUTO)).time == "YYYYMMDD"
    assert read_long([path], time_col="YYYYMMDD").values[1].tolist() == list(range(1, 31))


def test_line_ends_of_old_macs(put):
    assert read_wide([put("1,2\r3,4\r5,6\r")]).values.tolist() == [[1, 2, 3, 4, 5, 6]]


def buoy(k: int) -> str:
    return f"2024 03 {1 + k // 24:02d} {k % 24:02d} 50 {100 + k:3d}  {k / 10:4.1f}  {'MM' if k % 5 else 7.5}  MM\n"


def test_names_of_a_buoy_stand_behind_a_hash_sign_with_their_units(put):
    """As NDBC writes: they were lost, the minutes a channel, and a table with MM refused."""
    names = "#YY  MM DD hh mm WDIR  WSPD  WVHT TIDE\n#yr  mo dy hr mn degT   m/s     m   ft\n"
    path = put(names + "".join(map(buoy, range(60))), "b.txt")
    assert dated(path, Dialect(AUTO, AUTO)).time == "YY+MM+DD+hh+mm"
    series = read_long([path], time_col="YY+MM+DD+hh+mm", sep=AUTO, decimal=AUTO, nan="drop")
    assert series.channels == ("WDIR", "WSPD", "WVHT") and series.clock.freq == "h"
    assert series.clock.show(series.time[:1]) == ["2024-03-01 00:50:00"]
    np.testing.assert_allclose(series.values[:2, 7], [107, 0.7], rtol=1e-6)
    assert np.flatnonzero(~np.isnan(series.values[2])).tolist() == list(range(0, 60, 5))


@pytest.mark.parametrize("above", [3, 40])
def test_a_remark_with_fewer_words_than_cells_names_none(put, above):
    """As the carbon dioxide of Mauna Loa is published: the year was the name of a series, the month of another."""
    remarks = (
        "# use of these data\n" * above + "#            decimal   monthly\n#             date     average   of days\n"
    )
    lines = [
        f"{1958 + k // 12}  {k % 12 + 1:2d}  {1958 + (k + 0.5) / 12:.4f}  {315 + k / 8:.2f}  -1\n" for k in range(60)
    ]
    path = put(remarks + "".join(lines), "co2.txt")
    assert dated(path, Dialect(AUTO, AUTO)).time == "1+2"
    series = read_long([path], time_col="1+2", sep=AUTO, decimal=AUTO)
    assert (
        series.rows == ("co2.txt",)
        and series.clock.freq == "MS"
        and series.clock.show(series.time[-1:]) == ["1962-12-01"]
    )
    assert series.values[1, 8] == 316.0


def test_facts_of_one_number_above_names_of_a_basin(put):
    """As CAMELS writes: refused, since its first line has one number."""
    lines = [f"2024 02 {d:02d} 12\t31000.0\t{d}.50\n" for d in range(1, 30)]
    path = put("  44.82\n 133.00\n 587675987\nYear Mnth Day Hr dayl(s) prcp(mm/day)\n" + "".join(lines), "basin.txt")
    assert dated(path, Dialect(AUTO, AUTO)).time == "Year+Mnth+Day+Hr"
    series = read_long([path], time_col="Year+Mnth+Day+Hr", sep=AUTO, decimal=AUTO)
    assert series.channels == ("dayl(s)", "prcp(mm/day)") and series.values[1].tolist() == [
        d + 0.5 for d in range(1, 30)
    ]
    assert series.clock.show(series.time[-1:]) == ["2024-02-29 12:00:00"]


def test_units_of_fluxes_below_the_parts_of_a_year(put):
    """As REddyProc reads: a dash for no unit, and hours with a fraction. The names were lost."""
    names = "Year\tDoY\tHour\tNEE\tTair\n-\t-\t-\tumolm-2s-1\tdegC\n"
    lines = [f"1998\t{1 + k // 48}\t{(k % 48 + 1) / 2:g}\t{-k}.25\t{k}\n" for k in range(100)]
    path = put(names + "".join(lines), "flux.txt")
    assert dated(path, Dialect(AUTO, AUTO)).time == "Year+DoY+Hour"
    series = read_long([path], time_col="Year+DoY+Hour", sep=AUTO, decimal=AUTO)
    assert series.channels == ("NEE", "Tair") and series.clock.freq == "30min"
    assert series.clock.show(series.time[[0, 47]]) == ["1998-01-01 00:30:00", "1998-01-02 00:00:00"]
    assert series.values[0, 47] == np.float32(-47.25)


def test_units_in_brackets_below_names_of_lines_that_are_steps(put):
    """As simulations of moorings write: the units were no number."""
    waves = np.sin(np.arange(80) / 5)
    lines = [f"  {w:9.5f}  {w / 2:9.5f}  {-w:9.5f}\n" for w in waves]
    path = put("  FairA  FairB  AnchA\n    (N)    (N)    (N)\n" + "".join(lines), "m.out")
    assert dated(path, Dialect(AUTO, AUTO)).time == "line"
    series = read_long([path], time_col="line", sep=AUTO, decimal=AUTO)
    assert series.channels == ("FairA", "FairB", "AnchA") and series.values.shape == (3, 80)


def test_units_behind_a_hash_sign_name_no_column(put):
    """Above numbers in even steps, they were names, and the steps a channel."""
    lines = [f" {k / 10:.2f}   {k * 5 % 7 + 0.25:.4f}  {-k - 1}.5\n" for k in range(40)]
    path = put(
        "# surge\n#\n#  time period   Amplitude   Phase delay\n# (s)   (m)   (radians)\n" + "".join(lines), "r.dat"
    )
    assert dated(path, Dialect(AUTO, AUTO)).time == "1"
    series = read_long([path], time_col="1", sep=AUTO, decimal=AUTO)
    assert series.channels == ("2", "3") and series.values[1, 3] == -4.5


def test_a_word_between_numbers_below_notes_cuts_no_column_off(put):
    """As the Sun's days are listed: what stood behind the class of its rays was left out."""
    lines = [f"2009 01 {d:02d}  {60 + d}  {d % 4}  A{d % 3}.5   {d % 5}  {d}\n" for d in range(1, 32)]
    path = put(":Product: Daily\n:Issued: 2010\n#  Radio  SESC  X-Ray  C  M\n#----\n" + "".join(lines), "d.txt")
    assert dated(path, Dialect(AUTO, AUTO)).time == "1+2+3"
    series = read_long([path], time_col="1+2+3", sep=AUTO, decimal=AUTO)
    assert series.channels == ("4", "5", "7", "8") and series.values[:, 1].tolist() == [62, 2, 2, 2]


def test_a_missing_value_in_the_first_lines_of_a_report_is_no_remark(tmp_path):
    """Berkeley Earth's yearly means are NaN in the first months: their columns were taken for words behind the last."""
    lines = [f"  {1950 + k // 12}  {k % 12 + 1:3d}  {k / 100:8.3f}  {'NaN' if k < 8 else k:>6}" for k in range(60)]
    (tmp_path / "x.txt").write_text("% made\n% Year, Month, Anomaly, Mean\n\n" + "\n".join(lines) + "\n")
    series = read_long([tmp_path / "x.txt"], time_col="1+2", sep=AUTO, decimal=AUTO, nan="drop")
    assert series.values.shape == (2, 60) or series.values.shape == (2, 52)
    assert np.allclose(series.values[1][-5:], np.arange(55, 60))


def test_two_tabs_are_one_where_lines_are_else_of_other_widths(put):
    """As UCI's seeds are written; where all lines are as wide, two tabs have an empty cell between them."""
    table = np.round(np.random.default_rng(0).random((30, 5)) + 1, 4)
    lines = ["\t".join(map(str, row)) for row in table.tolist()]
    ragged = [line.replace("\t", "\t\t", 2) if number % 7 == 3 else line for number, line in enumerate(lines)]
    series = read_wide([put("\n".join(ragged) + "\n")], sep=AUTO, decimal=AUTO)
    np.testing.assert_allclose(series.values.reshape(30, 5), table, rtol=1e-6)
    assert "runs of tabs between cells are read as one separator" in "".join(series.notes)
    gaps = ["\t".join("" if k == 2 else str(cell) for k, cell in enumerate(row)) for row in table.tolist()]
    assert np.isnan(read_wide([put("\n".join(gaps) + "\n")], sep=AUTO, decimal=AUTO, nan="drop").values).sum() == 30
