"""Tables of things with a column that is named as labels are, and words among their numbers: readers/apart.py and
readers/named_labels.py."""

from __future__ import annotations

import numpy as np
import pytest

from checkpoint import Checkpoint
from readers.dialect import Dialect
from readers.named_labels import label_among
from readers.things import WORDS, kinds_among
from readers.wide import read_wide

from .runs import go, good, strict

DRAW = np.random.default_rng(0)
NUMBERS = np.round(DRAW.normal(size=(120, 4)), 3)
FAILS = (NUMBERS[:, 1] > 0.3).astype(int)
KINDS = [("L", "M", "H")[k] for k in DRAW.integers(0, 3, 120)]
NAMES = "UDI,Product ID,Type,Air temperature [K],Speed [rpm],Torque [Nm],Tool wear [min],Machine failure"


def machines(rows=range(120), *, labels: bool = True) -> str:
    lines = [f"{k + 1},{KINDS[k]}{14860 + k},{KINDS[k]},{','.join(map(str, NUMBERS[k]))},{FAILS[k]}" for k in rows]
    cells = [line.split(",") for line in [NAMES, *lines]]
    return "\n".join(",".join(row if labels else row[:-1]) for row in cells) + "\n"


def test_a_table_of_machines_is_read_without_a_flag(put, tmp_path):
    """The first column counts, two hold words, the last is the label; the model sees four numbers of each machine."""
    put(machines(range(90)), "old.csv")
    done = go(tmp_path, "--task classify --csv old.csv --backbone logistic --reference off --tag m --no-plots")
    assert done.code == 0 and "label: column 'Machine failure' of old.csv, by its name" in done.err
    assert "left out, since it holds text: 'Product ID'" in done.err and "Type (H, L, M)" in done.err
    for labels in (True, False):
        put(machines(range(90, 120), labels=labels), "new.csv")
        good(tmp_path, "--mode infer --ckpt artifacts/m --csv new.csv --tag i --no-plots")
        lines = (tmp_path / "artifacts/i/preds.csv").read_text().splitlines()
        cells = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
        assert [int(row["row"]) for row in cells] == list(range(91, 121))  # by the numbers in the first column
        said = np.array([float(row["y_score"]) for row in cells])
        assert np.corrcoef(said, NUMBERS[90:, 1])[0, 1] > 0.8  # the column that says it, and no other


def test_values_and_labels_are_those_of_the_file(put):
    series = read_wide([put(machines())], label="Machine failure")
    table, things = series.values.reshape(120, 5), series.things
    assert table[:, :4] == pytest.approx(NUMBERS) and series.rows[:2] == ("1", "2")
    assert things.numbers == tuple(NAMES.split(",")[3:7]) and list(things.words) == ["Type"]
    assert [things.words["Type"][int(code)] for code in table[:, 4]] == KINDS
    assert series.labels is not None and series.labels[:, 0].tolist() == FAILS.tolist()


def test_rows_of_a_person_who_is_named_in_words_stay_together(put, tmp_path):
    lines = [f"{k / 9:.2f},p{k % 12:02d},{k % 7}.5,{k % 5}.25,{FAILS[k]}" for k in range(120)]
    put("\n".join(["age,patient,dose,weight,diagnosis", *lines]) + "\n")
    done = go(tmp_path, "--task classify --csv a.csv --backbone logistic --reference off --no-plots")
    assert done.code == 0 and "rows of one patient stay in one part, of 12" in done.err, done.err
    rows = strict(done.directory / "manifest.json")["split"]["rows"]
    parts = [{row % 12 for row in rows[name]} for name in ("train", "val")]
    assert parts[0] and parts[1] and not parts[0] & parts[1]


@pytest.mark.parametrize(
    ("names", "row", "out"),
    [
        (["t0", "t1", "t2"], ["1", "x", "3"], []),  # steps
        (["name", "speed", "load"], ["{k}a", "1", "2"], []),  # names of rows
        (["sex", "speed", "load"], ["m", "1", "2"], ["sex"]),
        (["site", "speed", "load"], ["m", "1", "2"], ["site"]),  # which comes again
        (["car name", "speed", "load"], ["m", "1", "2"], []),
        (["speed", "note", "load"], ["1", "5 kW", "2"], []),  # numbers with a unit
        (["speed", "day", "load"], ["1", "2024-01-0{k}", "2"], []),
        (["speed", "note", "load"], ["1", "", "2"], []),
        (["a", "b", "c"], ["x", "y", "z"], ["a", "b", "c"]),  # words alone
        (["speed", "title", "load"], ["1", "{k}a", "2"], []),  # of each thing another
        (["t0", "kind", "t1", "t2"], ["1", "m", "2", "3"], []),  # words beside the steps of a series
        (["speed", "parts", "load"], ["{k}.5", "3+", "2"], ["parts"]),
    ],
)
def test_which_columns_are_words(names, row, out):
    rows = [[cell.format(k=k) for cell in row] for k in range(1, 8)]
    kinds = kinds_among([names, *rows], Dialect())
    assert [names[at] for at, kind in kinds.items() if kind == WORDS] == out


def test_labels_in_no_order_among_names_of_things():
    names, mixed = ["speed", "load", "Outcome"], [str(k) for k in DRAW.integers(0, 2, 100)]
    rows = [[f"{k}", f"{k % 7}", label] for k, label in enumerate(mixed)]
    assert label_among(names, rows) == "Outcome"
    runs = [[*row[:2], str(k // 25 % 2)] for k, row in enumerate(rows)]
    assert label_among(names, runs) == ""  # of a recording
    assert label_among(names, [[*row[:2], "0"] for row in rows]) == ""
    assert label_among(["speed", "target", "Outcome"], rows) == ""  # one of two


def test_patients_without_words_are_series_and_a_recording_is_one(put, tmp_path):
    line = "--task classify --csv a.csv --backbone logistic --dry-run"
    lines = [f"{','.join(map(str, row))},{label}" for row, label in zip(NUMBERS, FAILS, strict=True)]
    put("\n".join(["Glucose,Pressure,Insulin,BMI,HeartDisease", *lines]) + "\n")
    done = go(tmp_path, line)
    assert "label: column 'HeartDisease' of a.csv, by its name" in done.err and "120 rows of 4 columns" in done.err, (
        done.err
    )
    lines = [f"{','.join(map(str, row))},{k // 20 % 2}" for k, row in enumerate(NUMBERS)]
    put("\n".join(["Glucose,Pressure,Insulin,BMI,Outcome", *lines]) + "\n")
    assert "1 row of 120 steps" in go(tmp_path, line).err


def test_what_is_missing_of_a_thing_is_the_median_of_its_column(put):
    """A neighbour is another thing: pressure was filled with glucose, and a row without an age was stretched."""
    rows = [[120, 80, 30, 33], [140, None, 20, None], [100, 70, None, 50], [None, 90, 40, 21]] * 3
    cells = [",".join("" if cell is None else str(cell) for cell in row) + f",{k % 2}" for k, row in enumerate(rows)]
    path = put("\n".join(["Glucose,Pressure,Insulin,Age,Outcome", *cells]) + "\n")
    series = read_wide([path], label="Outcome", nan="auto")
    assert series.things.lacking[:4].tolist() == [[cell is None for cell in row] for row in rows[:4]]
    table = series.values.reshape(12, 4)
    assert series.lengths.tolist() == [4] * 12 and "filled with the median of the column" in " ".join(series.notes)
    assert table[:4].tolist() == [[120, 80, 30, 33], [140, 80, 20, 33], [100, 70, 30, 50], [120, 90, 40, 21]]
    drop = read_wide([path], label="Outcome", nan="drop")
    assert np.isnan(drop.values).sum() > 0
    steps = put("\n".join(["t0,t1,t2,t3,label", *cells]) + "\n", "b.csv")
    assert "median" not in " ".join(read_wide([steps], label="label", nan="auto").notes)


def test_medians_are_those_of_training_and_a_checkpoint_keeps_them(put, tmp_path):
    """Rows that are held out lie far above those of training; a new row is filled as training was, labels or none."""
    names, missing = "Glucose,Pressure,Insulin,Age", np.arange(120) % 5 == 0
    path = put("placeholder")

    def written(rows, numbers, labels):
        cells = [[f"{cell:.3f}" for cell in row] for row in numbers]
        for cell in cells:
            cell[3] = "" if float(cell[3]) < 0 else cell[3]
        lines = [",".join(row + ([str(FAILS[k])] if labels else [])) for k, row in zip(rows, cells, strict=True)]
        return put("\n".join([names + ",Outcome" * labels, *lines]) + "\n", path.name)

    numbers = np.abs(NUMBERS) + 1
    line = "--task classify --csv a.csv --label-src-ch Outcome --backbone logistic --reference off --no-plots --quiet"
    written(range(120), numbers, labels=True)
    train = Checkpoint.load(good(tmp_path, f"--mode train {line} --tag look") / "model.pt").split["rows"]["train"]
    numbers[np.setdiff1d(np.arange(120), train)] += 100
    written(range(120), np.where(missing[:, None] & (np.arange(4) == 3), -1, numbers), labels=True)
    kept = Checkpoint.load(good(tmp_path, f"--mode train {line} --tag m") / "model.pt")
    assert kept.split["rows"]["train"] == train
    known = [k for k in train if not missing[k]]
    wanted = [*np.median(np.round(numbers[train, :3], 3), axis=0), np.median(np.round(numbers[known, 3], 3))]
    assert kept.coding["things"]["usual"] == pytest.approx(wanted, rel=1e-6)

    said = []
    for age, labels in ((-1, True), (-1, False), (wanted[3], True)):
        written([0], [[*numbers[0, :3], age]], labels)
        good(tmp_path, "--mode infer --ckpt artifacts/m --csv a.csv --tag i --no-plots --overwrite")
        cells = [row.split(",") for row in (tmp_path / "artifacts/i/preds.csv").read_text().splitlines()]
        said.append(dict(zip(*cells, strict=True))["y_score"])
    assert said[0] == said[1] == said[2]


def test_a_table_without_names_is_told_how_its_last_column_is_the_label(put, tmp_path):
    """As UCI's thyroid: whole numbers stand first, too, so that nothing shows where the classes are."""
    lines = [f"{90 + k % 40},{NUMBERS[k, 0]},{NUMBERS[k, 1] + FAILS[k]},{1 + FAILS[k]}" for k in range(120)]
    put("\n".join(lines) + "\n")
    done = go(tmp_path, "--task classify --csv a.csv --backbone logistic --dry-run")
    assert done.code == 3 and "--label-src-ch last (or first, or a name)" in done.err, done.err
    done = go(tmp_path, "--task classify --csv a.csv --backbone logistic --dry-run --label-src-ch last")
    assert done.code == 0 and "120 rows of 3 steps" in done.err, done.err
