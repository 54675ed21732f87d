"""Cases of wide files and of labels: where rows end, what is a header or an id, what labels are."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest

from ..runs import Done, preds, strict
from .conftest import PLAIN


def went_well(done: Done) -> Done:
    assert done.code == 0, done.err
    return done


def test_no_forecast_is_told_with_the_reason(case):
    run = case("t-06")
    went_well(run.go(0, PLAIN))
    done = went_well(run.go(1))
    assert "not predicted past their end" in done.err and "wind is missing at 2024-03-30 03:00:00" in done.err
    assert strict(done.directory / "manifest.json")["data"]["left_out"]["not predicted past their end"]["rows"] == 1


def test_each_row_of_a_ragged_file_is_forecast_from_its_own_end(case):
    run = case("t-08")
    with (run.folder / "yearly.csv").open(newline="") as file:
        ends = {row[0]: sum(cell != "" for cell in row[1:]) for row in list(csv.reader(file))[1:]}
    went_well(run.go(0, PLAIN))
    with (went_well(run.go(1)).directory / "forecast.csv").open(newline="") as file:
        steps = [(line["row"], int(line["step"])) for line in csv.DictReader(file)]
    assert Counter(row for row, _ in steps) == dict.fromkeys(ends, 4)
    assert {row: min(step for name, step in steps if name == row) for row in ends} == ends


def test_years_are_a_header(case):
    run = case("t-09")
    guessed, told = (strict(went_well(run.go(number)).directory / "summary.json") for number in (0, 1))
    assert guessed["headline"] == told["headline"] and guessed["n"] == 192


def test_numeric_ids_under_a_name_that_ends_in_id(case):
    done = went_well(case("t-10").go(0))
    assert "first column taken as row ids" in done.err and strict(done.directory / "summary.json")["n"] == 240


def test_every_labelled_row_is_predicted_however_long_it_is(case):
    run = case("t-11")
    went_well(run.go(0, "--overwrite"))
    lines = preds(went_well(run.go(1)).directory)
    assert {line["row"] for line in lines} == {f"p{number:03}" for number in range(150)} and len(lines) == 150


def test_a_column_of_codes_is_classes(case):
    found = strict(went_well(case("t-12").go(0)).directory / "metrics.json")
    assert found["classes"] == [str(code) for code in range(6)] and "accuracy" in found["headline"]


def test_codes_and_one_hot_columns_are_the_same_classes(case):
    run = case("n-09")
    codes, hot = (strict(went_well(run.go(number)).directory / "metrics.json") for number in (0, 1))
    assert codes["headline"] == hot["headline"] and codes["classes"] == ["0", "1", "2", "3"]


def test_labels_are_found_by_name_in_any_order(case):
    run = case("e-label")
    run.make()
    done = [
        went_well(run.go(number, "" if "train" in words else "--quiet")) for number, words in enumerate(run.commands)
    ]
    train, same, reverse, finetuned, numbers, other = (d.directory for d in done)
    assert preds(same) == preds(reverse)
    assert strict(finetuned / "metrics.json")["classes"] == strict(train / "metrics.json")["classes"]
    assert strict(other / "summary.json")["mae"] < 2 * strict(numbers / "summary.json")["mae"]


def test_whole_numbers_are_ids_as_text(case):
    done = went_well(case("t-01").go(0))
    assert strict(done.directory / "manifest.json")["data"]["rows"] == 3


def test_a_large_level_changes_no_error(case):
    run = case("t-05")
    big, small, inferred = (went_well(run.go(number, "--reference off")).directory for number in range(3))
    ridge = "--backbone ridge_ensemble --reference off --tag plain"
    plain = [went_well(run.go(number, f"{ridge}{number}")).directory for number in range(2)]
    # a member of the usual blend sees the season as a share of the level
    for (one, other), rel in (((big, small), 1e-2), (plain, 1e-3)):
        errors = []
        for folder in (one, other):
            with np.load(folder / "preds.npz") as saved:
                errors.append(np.abs(saved["pred"] - saved["truth"]).mean())
        assert errors[0] == pytest.approx(errors[1], rel=rel)
        assert strict(one / "summary.json")["mase"] == pytest.approx(strict(other / "summary.json")["mase"], rel=rel)
    with (inferred / "forecast.csv").open(newline="") as file:
        assert len({line["value"] for line in csv.DictReader(file)}) > 20
