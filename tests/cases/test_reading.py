"""Cases of reading tables."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from readers.long import read_long

from ..runs import preds, strict
from .conftest import PLAIN


def test_text_that_nobody_asked_for_is_no_error_and_columns_exists(case):
    weather = case("t-22")
    for number in range(3):
        done = weather.go(number, f"--no-plots --overwrite {PLAIN}" + " --split-mode holdout" * (number == 2))
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
    assert middle - started < 60 * (time.process_time() - middle)  # 600 times where it was read column by column
    np.testing.assert_allclose(values, frame.to_numpy()[:, 1:].T.astype(float), rtol=1e-6)
    assert wide.go(0).code == 0


def test_months_on_the_15th_are_months(case):
    bills = case("t-14")
    done = bills.go(0, PLAIN)
    assert done.code == 0, done.err
    frame = pd.read_csv(bills.folder / "bills.csv")
    series = read_long([bills.folder / "bills.csv"], time_col="date")
    assert series.clock is not None and series.clock.freq == "MS-15" and len(series.time) == len(frame) == 60
    assert series.clock.show(series.time)[-1] == frame["date"].iloc[-1]
    # Of more missing months than a few the hint is the step of months, and not of 31 days.
    frame.drop([7, 20]).to_csv(bills.folder / "bills.csv", index=False)
    done = bills.go(0, "--nan error --overwrite")
    assert done.code == 3 and "--resample MS-15 makes the steps regular" in done.err
    done = bills.go(0, f"--overwrite {PLAIN}")
    assert done.code == 0 and "each of 2 steps without a line counts as missing" in done.err


def test_the_hint_for_month_ends_can_be_followed(case):
    sales = case("t-15")
    done = sales.go(0, PLAIN)
    assert done.code == 0 and "a step without a line counts as missing: sales 2019-03-31" in done.err
    done = sales.go(0, "--nan error --overwrite")
    assert done.code == 3 and "hint: --resample MS makes" in done.err
    assert "hint: --resample MS\n" in sales.go(1).err
    words = sales.commands[1].replace("--resample ME", "--resample MS")
    done = sales.go(words, f"--split-mode holdout --no-plots --overwrite {PLAIN}")
    assert done.code == 0, done.err


def test_weeks_are_whole_and_begin_on_monday(case):
    done = case("t-24").go(0)
    assert done.code == 3 and "resampled to 20 steps of W-MON" in done.err and "nothing to learn" in done.err


def test_thousands_are_not_taken_for_decimals(case):
    sales = case("t-16")
    words = "--mode train --task forecast --csv sales.csv --time-col date --sep ';' --context-len 10 --horizon 3"
    assert "hint: --thousands ','\n" in sales.go(words).err
    done = sales.go(words, "--decimal ','")
    assert done.code == 3 and "--thousands ',' if it is, --thousands none if these are decimals" in done.err
    assert sales.go(words, "--thousands ','").code == 0
    frame = pd.read_csv(sales.folder / "sales.csv", sep=";", thousands=",")
    series = read_long([sales.folder / "sales.csv"], time_col="date", sep=";", thousands=",")
    np.testing.assert_array_equal(series.values[0], frame["eur"])


def test_a_mark_of_missing_values_is_told(case):
    station = case("t-28")
    done = station.go(0, PLAIN)
    told = "column temp holds -9999 in 57 lines, and the next value is 3.4: a mark for missing values? --na -9999"
    assert done.code == 0 and told in done.err
    done = station.go(0, f"--na -9999 --nan ffill --overwrite {PLAIN}")
    assert done.code == 0 and "-9999" not in done.err and "57 missing and 0 infinite values" in done.err


def test_a_point_of_thousands_under_a_decimal_comma(case):
    meter = case("n-08")
    words = (
        "--mode train --task nilm --csv meter.csv --time-col time --mains-col mains --device-cols heater --sep ';' "
        "--resample 15min --window 24 --backbone gru --nilm-features none --epochs 1 --reference off --no-plots"
    )
    done = meter.go(words, "--decimal ,")
    assert done.code == 3 and "hint: --thousands .\n" in done.err
    done = meter.go(words, "--decimal , --thousands .")
    assert done.code == 0 and strict(done.directory / "summary.json")["devices"]["heater"]["energy_kwh"] > 1


def test_a_long_file_without_the_label_is_predicted(case):
    machine = case("t-23")
    assert machine.go(0).code == 0
    done = machine.go(1)
    assert done.code == 0, done.err
    assert "there is no column 'vib', the label: predictions only" in done.err
    lines = preds(done.directory)  # every step after the first context, and the one after the last
    line, first = lines[-1], int(lines[0]["time"])
    assert line["y_true"] == "" and line["time"] == "300" and float(line["y_pred"])
    assert [int(one["time"]) for one in lines] == list(range(first, 301)) and first < 200
    # With the label beside it, the same prediction.
    frame = pd.read_csv(machine.folder / "now.csv").assign(vib=1.5)
    frame.to_csv(machine.folder / "now.csv", index=False)
    beside = preds(machine.go(1, "--overwrite").directory)
    assert [one["y_pred"] for one in beside] == [one["y_pred"] for one in lines] and beside[-1] == line
