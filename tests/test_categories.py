"""readers/categories.py: the columns that are named as categories, and their words as numbers, in every table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from config import RunConfig
from errors import DataError, UsageError
from readers.categories import Asked, Coded, per_row, together
from readers.columns import read_answer
from readers.long import join_files, read_long

SKIES = Asked(("sky",), free=True)
FREE = Asked(free=True)  # no column is named
DAYS = pd.date_range("2024-01-01", periods=60)
SKY = ["fog", "rain", "sun"] * 20


def frame(**more) -> pd.DataFrame:
    """60 days of a load and of the sky."""
    return pd.DataFrame({"date": DAYS, "sky": SKY, "load": np.arange(60) % 7} | more)


def shops(**more) -> pd.DataFrame:
    """12 days of six shops, which differ in name and two by two in region."""
    rows = [(day, f"s{k}", k + 0.5, f"shop {k}", "NNSSEE"[k]) for k in range(6) for day in DAYS[:12]]
    return pd.DataFrame(rows, columns=["date", "id", "sales", "name", "region"]).assign(**more)


def words_of(series, name: str) -> list[str]:
    """The words of a category, "" for none, in the order of the lines."""
    at = series.channels.index(name)
    words = [*series.words[at - series.numeric], ""]
    return [words[int(code)] for code in series.values[at]]


@pytest.fixture(params=["csv", "parquet", "xlsx"])
def wrote(request, tmp_path):
    def write(table: pd.DataFrame):
        path = tmp_path / f"t.{request.param}"
        {"csv": table.to_csv, "parquet": table.to_parquet, "xlsx": table.to_excel}[request.param](path, index=False)
        return path

    return write


@pytest.mark.parametrize(
    "how",
    [
        {"asked": SKIES},
        {"asked": Asked(chosen=("sky", "load"), free=True), "columns": ["sky", "load"]},
        {"asked": Asked(chosen=("sky",), free=True), "known": ["sky"]},
    ],
    ids=["categorical", "columns", "known"],
)
def test_words_that_are_named_are_categories_behind_the_numbers(wrote, how):
    series = read_long([wrote(frame())], time_col="date", **how)
    assert series.channels == ("load", "sky") == series.columns and series.numeric == 1
    assert series.words == (("fog", "rain", "sun"),) and words_of(series, "sky") == SKY
    assert series.notes == ()


def test_an_answer_of_a_database_has_categories_too(tmp_path):
    text = frame().to_csv(index=False).encode()
    file = read_answer([text], tmp_path / "q.sql", "", None, categories=SKIES)
    series = join_files([file], [""], known=(), resample="", tz="", nan="error")
    assert words_of(series, "sky") == SKY


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("note", [f"call {k}" for k in range(60)]),  # comments
        ("site", ["north"] * 60),  # one word says nothing
        ("until", [str(day.date()) for day in DAYS[:30]] * 2),  # times
        ("remark", ["cleaned", "broken", "new"] + [""] * 57),  # each word once
    ],
)
def test_text_that_nobody_names_is_left_out_and_told(wrote, name, cells):
    path = wrote(frame(**{name: cells}))
    series = read_long([path], time_col="date", asked=SKIES)
    assert series.channels == ("load", "sky")
    (note,) = series.notes
    assert "warning: " in note and f"left out, since it holds text: '{name}'" in note
    assert (f"--categorical {name} takes it as categories" in note) == (name not in ("site", "until"))
    (note,) = read_long([path], time_col="date", asked=FREE).notes
    assert "left out, since they hold text: 'sky' ('fog', 'rain', ...)" in note
    assert "; --categorical sky takes it as categories" in note  # which alone has words that recur
    named = read_long([path], time_col="date", asked=Asked(("sky", name), free=True))
    assert named.channels == ("load", "sky", name) and words_of(named, name) == [str(cell) for cell in cells]


def test_one_word_in_each_row_is_static(wrote):
    path = wrote(shops())
    series = read_long([path], time_col="date", id_col="id", asked=Asked(("region",), free=True))
    assert series.channels == ("sales", "region") and series.static == ("sales", "region")
    assert series.words == (("E", "N", "S"),)
    (note,) = (note for note in series.notes if "left out" in note)
    assert "'name' ('shop 0', 'shop 1', ...)" in note
    series = read_long([path], time_col="date", id_col="id", asked=FREE)
    assert series.channels == ("sales",) and any("--categorical region takes it" in note for note in series.notes)


def test_all_columns_whose_words_recur_are_proposed(wrote):
    series = read_long([wrote(frame(note=DAYS.day_name(), **{"the sky": SKY}))], time_col="date", asked=FREE)
    assert series.channels == ("load",)
    assert "--categorical sky note 'the sky' takes them as categories" in series.notes[0]


def test_text_of_the_first_file_that_is_left_out_need_not_be_in_the_others(put):
    paths = [put(frame().to_csv(index=False), "a.csv"), put(frame().drop(columns="sky").to_csv(index=False), "b.csv")]
    assert read_long(paths, time_col="date", asked=FREE).channels == ("load",)


def test_what_settings_name():
    config = RunConfig(categorical=("sky",), columns=("sky=weather", "load"))
    assert Asked.of(config, ["weather", "load"], ["load"]) == Asked(
        ("weather",), ("weather", "load", "load"), free=True
    )
    assert Asked.of(replace(config, mode="infer"), ["weather", "load"], ()) == Asked(("weather",))


def test_a_word_in_the_first_line_of_a_row_holds_for_all_of_it(put):
    table = shops(sales=np.arange(72))
    table["region"] = table["region"].where(table.groupby("id").cumcount() == 0)
    series = read_long([put(table.to_csv(index=False))], time_col="date", id_col="id", asked=Asked(("region",)))
    assert words_of(series, "region") == [word for word in "NNSSEE" for _ in range(12)]
    assert not any("without a category" in note for note in series.notes)


def test_files_with_different_words_share_their_numbers(put):
    for k, words in enumerate((["a", "b"], ["b", "c"], ["d", "d"])):
        put(frame(sky=words * 30).to_csv(index=False), f"{k}.csv")
    folder = put("", "x").parent
    series = read_long([folder / f"{k}.csv" for k in range(3)], time_col="date", asked=SKIES)
    assert series.words == (("a", "b", "c", "d"),)
    assert words_of(series, "sky") == ["a", "b"] * 30 + ["b", "c"] * 30 + ["d"] * 60
    for k in range(3):  # a file is a row: of one word each
        put(frame(sky="xyx"[k]).to_csv(index=False), f"{k}.csv")
    series = read_long([folder / f"{k}.csv" for k in range(3)], time_col="date", asked=SKIES)
    assert series.static == ("sky",) and words_of(series, "sky") == ["x"] * 60 + ["y"] * 60 + ["x"] * 60


def test_numbers_are_categories_where_they_are_named(wrote):
    cells = [3, 1, 2.5, 1] * 15
    series = read_long([wrote(frame(kind=cells))], time_col="date", asked=Asked(("kind", "sky")))
    assert series.channels == ("load", "sky", "kind") and words_of(series, "kind") == ["3", "1", "2.5", "1"] * 15
    chosen = Asked(chosen=("load", "kind", "sky"), free=True)
    plain = read_long([wrote(frame(kind=cells))], time_col="date", columns=chosen.chosen, asked=chosen)
    assert plain.channels == ("load", "kind", "sky") and plain.numeric == 2


def test_truths_are_categories(wrote):
    series = read_long([wrote(frame(holiday=[True, False, False] * 20))], time_col="date", asked=Asked(("holiday",)))
    assert series.channels == ("load", "holiday")
    assert words_of(series, "holiday") == ["True", "False", "False"] * 20


def test_a_missing_word_is_told_and_no_gap(put):
    cells = list(SKY)
    cells[4] = cells[5] = ""
    path = put(frame(sky=cells).to_csv(index=False))
    series = read_long([path], time_col="date", asked=SKIES)
    assert words_of(series, "sky") == cells and not np.isnan(series.values).any()
    assert any("steps without a category, which are zero in all its channels: sky (2)" in n for n in series.notes)
    filled = read_long([path], time_col="date", asked=SKIES, nan="ffill")
    assert words_of(filled, "sky") == [*SKY[:4], SKY[3], SKY[3], *SKY[6:]]


def test_a_word_among_numbers_is_an_error_that_names_the_flag(put):
    path = put(frame(load=["1"] * 59 + ["broken"]).to_csv(index=False))
    with pytest.raises(DataError, match=r"a.csv:61:3: text 'broken'(.|\n)*--categorical load"):
        read_long([path], time_col="date", asked=FREE)
    series = read_long([path], time_col="date", asked=Asked(("sky", "load"), free=True))
    assert series.channels == ("sky", "load") and series.numeric == 0


def test_a_checkpoint_takes_what_it_named_and_no_other_text(put):
    path = put(frame(sky=[1] * 60, load=["off"] * 60).to_csv(index=False))
    named = Asked(("sky",))
    with pytest.raises(DataError, match="text 'off'"):
        read_long([path], time_col="date", columns=["load", "sky"], asked=named)
    with pytest.raises(DataError, match="--categorical sky"):
        read_long([put("date,load\n2024-01-01,3\n")], time_col="date", asked=named)
    with pytest.raises(UsageError, match="--categorical: 'date' is the column of the times"):
        read_long([path], time_col="date", asked=Asked(("date",)))


def test_of_lines_that_are_resampled_the_commonest_word_counts(put):
    hours = pd.date_range("2024-01-01", periods=240, freq="h")
    draw = np.random.default_rng(0)
    words = draw.choice(["a", "b", "c", ""], 240)
    path = put(pd.DataFrame({"t": hours, "x": 1.0 * np.arange(240), "w": words}).to_csv(index=False))
    series = read_long([path], time_col="t", resample="6h", asked=Asked(("w",)))
    each = [[w for w in words[k : k + 6] if w] for k in range(0, 240, 6)]
    # pandas' mode is sorted, so its first is the smallest of equals.
    assert words_of(series, "w") == [pd.Series(w).mode().iloc[0] if w else "" for w in each]
    assert any("of categories the commonest in a step" in note for note in series.notes)


def test_of_two_lines_of_one_time_the_first_word_counts(put):
    table = frame().iloc[[*range(30), 29, *range(30, 60)]].copy()
    table.iloc[30, 1] = "fog"
    series = read_long([put(table.to_csv(index=False))], time_col="date", asked=SKIES)
    assert words_of(series, "sky") == SKY


def test_what_is_known_ahead_ends_a_row_though_its_region_goes_on(put):
    table = shops(promo=["yes", "no", ""] * 24, sales=np.arange(72.0))
    table.loc[table.groupby("id").cumcount() > 9, "sales"] = np.nan
    asked = Asked(("region",), chosen=("promo",))
    series = read_long([put(table.to_csv(index=False))], time_col="date", id_col="id", known=["promo"], asked=asked)
    assert series.lengths.tolist() == [10] * 6
    at = series.channels.index("promo")
    no, yes = (series.words[at - series.numeric].index(word) for word in ("no", "yes"))
    lines = [table["promo"][12 * k + 10 : 12 * k + 12].map({"yes": yes, "no": no, "": -1}).tolist() for k in range(6)]
    assert series.after[0].tolist() == lines


def test_codes_of_several_columns_are_joined_by_their_words():
    one, other = Coded.of(["b", "a", " "], [None, None, np.nan], np.array([0, 1, 2, 0])), Coded(("c",), np.zeros(2))
    assert one.words == ("a", "b") and one.codes[[0, 1, 3]].tolist() == [1, 0, 1] and np.isnan(one.codes[2])
    words, codes = together([one, other])
    assert words == ("a", "b", "c") and codes[1].tolist() == [2, 2]


def test_channels_of_one_value_in_each_row():
    values = np.array(
        [[1, 1, 1, 2, 2], [1, 1, 1, 1, 1], [1, 2, 1, 3, 3], [np.nan, 4, 4, 5, np.nan], [np.nan] * 3 + [1, 1]]
    )
    assert per_row(values, np.array([0, 3, 5])).tolist() == [True, False, False, True, False]
    assert not per_row(values, np.array([0, 5])).any()
