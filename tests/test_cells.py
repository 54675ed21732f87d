"""readers/cells.py and longtext.py: columns of numbers and of text, --columns in every task, and many columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import readers.longtext
from errors import DataError
from readers.long import read_long

from .runs import go, good, strict

DAYS = [str(day.date()) for day in pd.date_range("2024-01-01", periods=60)]
SKY = ["fog", "rain", "sun"] * 20
SMALL = "--context-len 5 --split-mode holdout --no-plots --reference off"


def weather(**more) -> pd.DataFrame:
    """60 days: temperature, sky in words, rain."""
    random = np.random.default_rng(4)
    columns = {"date": DAYS, "tmax": random.normal(10, 3, 60).round(1), "sky": SKY, "rain": random.gamma(1, 2, 60)}
    return pd.DataFrame(columns | more)


@pytest.fixture
def station(tmp_path):
    """Write `weather` as a file in tmp_path."""

    def write(name: str = "weather.csv", **more):
        frame = weather(**more)
        path = tmp_path / name
        frame.to_parquet(path, index=False) if name.endswith("parquet") else frame.to_csv(path, index=False)
        return path

    return write


# ---- text


@pytest.mark.parametrize("name", ["weather.csv", "weather.parquet"])
def test_text_that_nobody_asked_for_is_left_out_and_told(station, name):
    long = read_long([station(name)], time_col="date")
    assert long.channels == ("tmax", "rain")
    np.testing.assert_allclose(long.values, weather()[["tmax", "rain"]].to_numpy().T, rtol=1e-6)
    (note,) = long.notes
    assert note.endswith(
        f"{name}: left out, since it holds text: 'sky' ('fog', 'rain', ...); the channels are 0 tmax, 1 rain"
    )
    assert note.startswith("warning: ")


def test_text_that_is_asked_for_is_an_error(station):
    with pytest.raises(DataError, match=r"weather.csv:2:3: text 'fog' .* column 'sky'\n.*--na fog"):
        read_long([station()], time_col="date", columns=["tmax", "sky"])


def test_a_word_among_numbers_is_an_error(station):
    cells = [str(k) for k in range(60)]
    cells[7] = "broken"
    with pytest.raises(DataError, match=r"weather.csv:9:4: text 'broken' .*\n.*--columns tmax leaves the column out"):
        read_long([station(rain=cells)], time_col="date")


def test_columns_that_measure_nothing_are_not_proposed(station):
    """The number of a station, a count of the lines and one number in all of them are no data to read alone."""
    cells = [str(k) for k in range(60)]
    cells[7] = "broken"
    with pytest.raises(DataError, match=r"text 'broken'") as caught:
        read_long([station(tmax=cells, rain=["5"] * 60)], time_col="date")
    assert "--na broken" in caught.value.hint and "leaves the column out" not in caught.value.hint


def test_numbers_that_only_another_mark_explains_are_not_left_out(station):
    with pytest.raises(DataError, match=r"text '1,5'"):
        read_long([station(rain=["1,5"] * 60)], time_col="date")


def test_only_text(station):
    path = station(tmax=SKY, rain=SKY)
    with pytest.raises(DataError, match=r"weather.csv:2:2: text 'fog' .* column 'tmax'"):
        read_long([path], time_col="date")


def test_spaces_around_cells(put):
    lines = [f"{day} , {k} ,  {k}.5,\t" for k, day in enumerate(DAYS[:5])]
    lines[2] = f"{DAYS[2]}, ,NA ,x"
    lines[3] = f"{DAYS[3]}, nan,7,x"
    long = read_long([put("\n".join(["date, x, y, z", *lines]))], time_col="date", nan="drop")
    np.testing.assert_array_equal(long.values, [[0, 1, np.nan, np.nan, 4], [0.5, 1.5, np.nan, 7, 4.5]])
    assert long.channels == ("x", "y")


# ---- --columns


@pytest.mark.parametrize("task", ["forecast --horizon 2", "regress", "classify --bin-rule gt --bin-thr 5"])
def test_columns_names_the_channels_of_every_task(station, tmp_path, task):
    station()
    words = f"--mode train --task {task} --csv weather.csv --time-col date {SMALL} --backbone linear --epochs 1"
    run = good(tmp_path, f"{words} --columns rain tmax --tag a")
    assert strict(run / "manifest.json")["data"]["channels"] == ["rain", "tmax"]
    assert not any("left out" in note for note in strict(run / "manifest.json")["data"]["notes"])
    # A checkpoint takes its channels by name, and another choice contradicts it.
    station("more.csv", tmin=range(60))
    infer = f"--mode infer --csv more.csv --ckpt {run} --no-plots"
    assert strict(good(tmp_path, f"{infer} --tag b") / "manifest.json")["data"]["channels"] == ["rain", "tmax"]
    assert go(tmp_path, f"{infer} --columns tmax rain --tag c").code == 0
    done = go(tmp_path, f"{infer} --columns tmax tmin --tag d")
    assert done.code == 4 and "--columns tmax tmin, but it was trained on rain, tmax" in done.err


def test_columns_of_a_target_alone(station, tmp_path):
    station()
    words = f"--mode train --task forecast --horizon 2 --csv weather.csv --time-col date {SMALL} --features S"
    run = good(tmp_path, f"{words} --columns rain tmax --target tmax")
    assert "_ch1_h2_S_tmax_" in run.name
    assert strict(run / "manifest.json")["data"]["channels"] == ["tmax"]
    done = go(tmp_path, f"{words} --columns rain --target tmax --tag b")
    assert done.code == 2 and "--target: 'tmax' is not among --columns" in done.err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--csv a.csv", "--columns belongs to --csv with --time-col"),
        ("--demo", "--columns belongs to"),
        ("--csv weather.csv --time-col date", "no column 'tmim'; did you mean tmin?"),
    ],
)
def test_columns_that_cannot_be_chosen(station, tmp_path, words, part):
    station(tmin=range(60))
    done = go(tmp_path, f"--mode train --task regress --context-len 5 {words} --columns tmim")
    assert done.code in (2, 3) and part in done.err


def test_columns_of_an_npz(tmp_path):
    random = np.random.default_rng(0)
    arrays = {"a": random.normal(size=(40, 6, 3)), "b": random.normal(size=(40, 6, 2)), "labels": np.arange(40) % 2}
    np.savez(tmp_path / "a.npz", **arrays)
    words = "--mode train --task classify --npz a.npz --backbone linear --epochs 1 --no-plots --reference off"
    run = good(tmp_path, f"{words} --columns b.1 a.0 a.2")
    assert strict(run / "manifest.json")["data"]["channels"] == ["b.1", "a.0", "a.2"]
    done = go(tmp_path, f"{words} --columns c.0")
    assert done.code == 3 and "lacks c, which --columns names" in done.err


def test_columns_in_nilm_names_the_flags_that_do_it(tmp_path):
    (tmp_path / "a.csv").write_text("t,mains,b\n2024-01-01,1,1\n")
    done = go(tmp_path, "--mode train --task nilm --csv a.csv --time-col t --device-cols b --columns b")
    assert done.code == 2 and "--mains-col and --device-cols name what nilm reads" in done.err


# ---- many columns


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """300 lines of 1,600 columns, and their numbers."""
    numbers = np.random.default_rng(0).normal(size=(300, 1600)).round(4)
    frame = pd.DataFrame(numbers, columns=[f"c{k}" for k in range(1600)])
    frame.insert(0, "time", pd.date_range("2020", periods=300, freq="h"))
    path = tmp_path_factory.mktemp("wide") / "wide.csv"
    frame.to_csv(path, index=False)
    return path, numbers


def test_many_columns_of_odd_cells_are_not_read_one_by_one(wide, tmp_path, monkeypatch):
    path, numbers = wide
    lines = path.read_text().splitlines()
    lines[5] = ",".join([f" {cell}" if "." in cell else cell for cell in lines[5].split(",")[:-1]]) + ", NA "
    other = tmp_path / "odd.csv"
    other.write_text("\n".join(lines))
    counts = []
    frame = readers.longtext.LongText.frame
    monkeypatch.setattr(readers.longtext.LongText, "frame", lambda *a, **k: counts.append(1) or frame(*a, **k))
    values = read_long([other], time_col="time", nan="drop").values
    expected = numbers.T.copy()
    expected[-1, 4] = np.nan
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert len(counts) <= 4


@pytest.mark.parametrize(
    ("odd", "value", "way"),
    [
        ("-", None, "taken as missing"),
        ("'-", None, "taken as missing"),  # a dash that a spreadsheet shall take for text
        ("...", None, "taken as missing"),
        ("#DIV/0!", None, "taken as missing"),
        ("no data", None, "taken as missing"),
        ("<40", 40.0, "taken as the limit itself"),
        ("> 100.5", 100.5, "taken as the limit itself"),
        ("12.3*", 12.3, "taken without the note"),
        ("12.3 (p)", 12.3, "taken without the note"),
    ],
)
def test_what_stands_among_numbers_is_taken_and_told(put, odd, value, way):
    cells = [odd if k in (7, 30) else str(k) for k in range(40)]
    path = put("\n".join(["t,x", *(f"{day},{cell}" for day, cell in zip(DAYS, cells, strict=False))]))
    options = {"time_col": "t", "nan": "drop"} if value is None else {"time_col": "t"}
    series = read_long([path], **options)
    expected = [float(cell) if cell.isdecimal() else np.nan if value is None else value for cell in cells]
    np.testing.assert_allclose(series.values[0], expected)
    assert any(f"{odd!r} in 2 lines {way}" in note for note in series.notes)
    with pytest.raises(DataError, match="where a number is expected"):
        read_long([path], **options, strict=True)


def test_marks_among_words_stay_words(put):
    path = put("\n".join(["t,x,word", *(f"2024-01-{1 + k:02d},{k},{'-' if k % 3 else 'on'}" for k in range(20))]))
    assert read_long([path], time_col="t").channels == ("x",)


@pytest.mark.parametrize("columns", [64, 640])
def test_prices_of_three_decimals_are_not_read_a_column_at_a_time(tmp_path, monkeypatch, columns):
    """100.123 may be a mark of thousands; the first lines, of which some end in zeros, say that it is none."""
    values = 100 + np.random.default_rng(5).normal(size=(60, columns)).round(3)
    values[20:25] = 100.0  # whole ones beside them
    frame = pd.DataFrame(values, columns=[f"p{c}x" for c in range(columns)])
    frame.insert(0, "date", DAYS)
    frame.to_csv(tmp_path / "p.csv", index=False)
    reads, read = [], readers.longtext.LongText.frame
    monkeypatch.setattr(readers.longtext.LongText, "frame", lambda *a, **k: reads.append(1) or read(*a, **k))
    found = read_long([tmp_path / "p.csv"], time_col="date")
    np.testing.assert_allclose(found.values, values.T, rtol=1e-7)
    assert len(reads) <= 2
