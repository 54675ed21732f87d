"""Columns that say the label in other words are told, with the flag that leaves them out."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from .runs import go

TRAIN = "--mode train --out out --dry-run --csv t.csv --val-ratio 0.2"


def table(folder: Path, columns: dict[str, list]) -> None:
    lines = [",".join(columns), *(",".join(map(str, cells)) for cells in zip(*columns.values(), strict=True))]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")


def things(n: int, seed: int = 3) -> dict[str, list]:
    rng = np.random.default_rng(seed)
    return {"speed": rng.normal(size=n).round(3).tolist(), "side": rng.choice(["left", "right"], n).tolist()}


def told(folder: Path, words: str) -> list[str]:
    done = go(folder, TRAIN, words)
    assert done.code == 0, done.err
    return [line for line in done.err.splitlines() if "known only with the label?" in line]


@pytest.mark.parametrize(
    ("count", "wanted"),
    [(100, True), (10, False)],  # of 8 in training, 4 and 4, chance repeats (2 / 2**4) ** 2: one table in 64
)
def test_a_column_of_words_that_is_the_label_is_told_where_chance_is_no_reason(tmp_path, count, wanted):
    fails = [k % 2 for k in range(count)]
    table(tmp_path, things(count) | {"broken": ["yes" if one else "no" for one in fails], "fails": fails})
    lines = told(tmp_path, "--task classify --label-src-ch fails")
    assert len(lines) == wanted
    if wanted:
        assert "from 'broken' alone 'fails' follows in each case of training" in lines[0]
        flag = lines[0].split("and ")[-1].split(" learns")[0]
        assert shlex.split(flag) == ["--drop-columns", "broken"]
        assert told(tmp_path, f"--task classify --label-src-ch fails {flag}") == []


def test_one_exception_is_no_repetition(tmp_path):
    fails = [k % 2 for k in range(100)]
    for row in range(100):  # whichever row is in training, one in five is not
        fails[row] = 1 - fails[row] if row % 5 == 0 else fails[row]
    table(tmp_path, things(100) | {"broken": [k % 2 for k in range(100)], "fails": fails})
    assert told(tmp_path, "--task classify --label-src-ch fails") == []


def test_a_number_beyond_which_a_class_begins_and_codes_of_classes_are_told(tmp_path):
    rng = np.random.default_rng(1)
    level = rng.permutation(90)
    kind = [["low", "middle", "high"][min(value // 30, 2)] for value in level]
    code = [{"low": 7, "middle": 2, "high": 4}[word] for word in kind]
    table(tmp_path, things(90) | {"level": level.tolist(), "code": code, "kind": kind})
    (line,) = told(tmp_path, "--task classify --label-src-ch kind")
    assert "from 'level', 'code' alone 'kind' follows" in line and "--drop-columns level code learns" in line


def test_numbers_that_only_differ_from_row_to_row_say_nothing(tmp_path):
    rng = np.random.default_rng(5)
    table(tmp_path, things(200) | {"weight": rng.permutation(200).tolist(), "fails": [k % 2 for k in range(200)]})
    assert told(tmp_path, "--task classify --label-src-ch fails") == []


@pytest.mark.parametrize(
    ("of", "wanted"),
    [
        (lambda a, b: 2.54 * a, "'cm' is 2.54 times 'a' in each case"),
        (lambda a, b: a + b, "'cm' is 'a' + 'b' in each case"),
        (lambda a, b: 1.8 * b + 32, "'cm' is 1.8 times 'b' + 32 in each case"),
        (lambda a, b: np.log(b).round(6), "from 'b' alone 'cm' follows in each case"),
        (lambda a, b: -(b**3), "from 'b' alone 'cm' follows in each case"),
        (lambda a, b: a * b, ""),
        (lambda a, b: a + b + 0.01 * np.sin(np.arange(len(a))), ""),
    ],
)
def test_a_quantity_that_other_columns_add_up_to(tmp_path, of, wanted):
    rng = np.random.default_rng(2)
    a, b = rng.uniform(1, 9, 120).round(2), rng.uniform(20, 60, 120).round(2)
    c = rng.normal(size=120).round(2)
    table(tmp_path, things(120) | {"a": a.tolist(), "b": b.tolist(), "c": c.tolist(), "cm": of(a, b).tolist()})
    lines = told(tmp_path, "--task regress --label-src-ch cm")
    assert [wanted in line for line in lines] == [True] * bool(wanted), lines


def test_a_channel_beside_a_label_whose_past_is_no_input(tmp_path):
    rng = np.random.default_rng(4)
    state = np.repeat(rng.integers(0, 3, 60), 5)
    lines = [
        f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00,{rng.normal():.3f},{s},{'abc'[s]}" for k, s in enumerate(state)
    ]
    (tmp_path / "t.csv").write_text("time,x,code,state\n" + "\n".join(lines) + "\n")
    words = "--task classify --time-col time --label-src-ch state --context-len 5 --drop-label-from-x"
    (line,) = told(tmp_path, words)
    assert "from 'code' alone 'state' follows" in line and "--columns x state learns without" in line
    assert told(tmp_path, f"{words} --columns x state") == []


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--drop-columns brokn", "its inputs: the channels are speed, broken, side"),
        ("--drop-columns speed broken side", "no column is left to learn from"),
    ],
)
def test_columns_that_cannot_be_left_out(tmp_path, words, wanted):
    table(tmp_path, things(20) | {"broken": [0, 1] * 10, "fails": [0, 1] * 10})
    done = go(tmp_path, TRAIN, "--task classify --label-src-ch fails", words)
    assert done.code == 2 and wanted in done.err and "--drop-columns" in done.err


def test_steps_of_series_have_no_names_to_leave_out(tmp_path):
    (tmp_path / "t.csv").write_text("\n".join(",".join(str((k * j) % 7) for j in range(9)) for k in range(9)) + "\n")
    done = go(tmp_path, TRAIN, "--task forecast --context-len 3 --horizon 1 --drop-columns a")
    assert done.code == 2 and "for tables of things, whose columns have names" in done.err


def test_rows_without_a_label_are_told_once(tmp_path):
    fails = ["" if k in (4, 11) else k % 2 for k in range(60)]
    table(tmp_path, things(60) | {"fails": fails})
    err = go(tmp_path, TRAIN, "--task classify --label-src-ch fails").err
    assert [line for line in err.splitlines() if "label" in line and line.startswith("warning")] == [
        "warning: 2 of 60 rows are not labelled: 4, 11; without a label they are not learned from, and not scored"
    ]
    assert "missing value" not in err
