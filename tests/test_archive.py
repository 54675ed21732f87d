"""readers/archive.py: labelled series in `.ts` and `.arff` files."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from cli import parse
from data import Series, read
from errors import DataError

from .runs import go

HEAD = "# said\n@problemName toy\n@univariate {one}\n@classLabel true a b\n@data\n"


def series(path, words: str = "") -> Series:
    return read(parse(f"--mode train --task classify --csv {path} {words}".split()))


def test_a_ts_of_several_dimensions_and_lengths(put):
    text = HEAD.format(one="false") + "1,2,3:4,5,6:b\n7,8:9,10:a\n"
    found = series(put(text, "toy.ts"))
    np.testing.assert_array_equal(found.values, [[1, 2, 3, 7, 8], [4, 5, 6, 9, 10]])
    assert found.offsets.tolist() == [0, 3, 5] and found.channels == ("toy.0", "toy.1")
    assert found.labels is not None and found.labels.tolist() == [[1], [0]]
    assert found.label_words == (("a", "b"),) and found.label_names == ("label",)


@pytest.mark.parametrize(
    "text",
    [
        "@relation toy\n@attribute a numeric\n@attribute b numeric\n@attribute target {1,2}\n\n@DATA\n1,2,2\n3,4,1\n",
        "@relation toy\n@attribute x relational\n@data\n'1,2',2\n'3,4',1\n",
    ],
)
def test_an_arff(put, text):
    found = series(put(text, "toy.arff"))
    np.testing.assert_array_equal(found.values, [[1, 2, 3, 4]])
    assert found.labels is not None and found.labels.tolist() == [[2], [1]]


def test_missing_values_follow_the_policy(put):
    path = put(HEAD.format(one="true") + "1,?,3:a\n4,5,6:b\n", "toy.ts")
    with pytest.raises(DataError, match=r"toy\.ts:6: missing value"):
        series(path, "--nan error")
    assert series(path, "--nan ffill").values.tolist() == [[1, 1, 3, 4, 5, 6]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1,2:a\n", "there is no line @data"),
        ("@data\n", "no case below"),
        ("@data\n1,x:a\n", "'x' is not a number"),
        ("@data\n1,2:3,4:a\n1,2:a\n", "1 dimensions, where the first case has 2"),
    ],
)
def test_damaged_files(put, text, wanted):
    with pytest.raises(DataError, match=wanted):
        series(put(text, "toy.ts"))


@pytest.mark.parametrize("end", ["1,2,a\n3,5,b\n", ""])
def test_a_file_without_its_line_data_is_given_one_by_the_hint(put, tmp_path, end):
    path = put("@relation r\n@attribute one numeric\n@attribute two numeric\n@attribute c {a,b}\n\n" + end, "toy.arff")
    with pytest.raises(DataError, match="there is no line @data") as caught:
        series(path)
    if not end:
        assert caught.value.hint.startswith("the file ends above its cases")
        return
    subprocess.run(caught.value.hint.partition(" writes")[0], shell=True, check=True, cwd=tmp_path)
    assert series(tmp_path / "whole.arff").values.tolist() == [[1, 2, 3, 5]]


def test_a_table_that_is_called_arff_is_given_its_name_by_the_hint(put):
    path = put("1,2,3\n4,5,6\n", "toy.arff")
    with pytest.raises(DataError, match="there is no line @data") as caught:
        series(path)
    assert caught.value.hint == f"it has no head: cp {path} toy.csv makes it a table of values alone"


def test_two_files_are_no_channels(put):
    first, second = (put(HEAD.format(one="true") + "1,2:a\n", name) for name in ("one.ts", "two.ts"))
    with pytest.raises(DataError, match="each file holds series of its own"):
        series(f"{first} {second}")


def test_an_arff_of_named_channels_is_a_table_of_steps(put, tmp_path):
    wave = np.sin(np.arange(120)[:, None] / [4, 7, 9]).round(3)
    lines = [",".join(map(str, row)) + f",{int(row[0] > 0)}" for row in wave.tolist()]
    head = [f"@ATTRIBUTE {name} NUMERIC" for name in ("AF3", "'F 7'", "F3")] + ["@attribute eye {0,1}", "@DATA"]
    put("\n".join(["@RELATION eeg", *head, *lines]), "eeg.arff")
    found = go(tmp_path, "--mode train --task classify --csv eeg.arff --dry-run")
    told = found.out + found.err
    assert found.code == 0 and "1 row of 120 steps; 4 channels (AF3, F 7, F3, eye)" in told and "label: 'eye'" in told
