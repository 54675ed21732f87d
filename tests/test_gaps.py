"""readers/missing.py: what `--nan auto`, the default, does with gaps, in every reader and by the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers import missing
from readers.long import read_long
from readers.wide import read_wide

from .runs import go


def by_hand(line):
    """One row of one channel as `auto` leaves it, by a plain loop: its values, and which are made up."""
    out, made = list(line), [False] * len(line)
    runs, at = [], 0
    while at < len(line):
        end = at
        while end < len(line) and np.isnan(line[end]):
            end += 1
        runs += [(at, end)] * (end > at)
        at = max(end, at + 1)
    short = max(1, min(24, len(line) // 10))
    left = [(a, b) for a, b in runs if b - a > short or a == 0]
    begin = left[0][1] if left and left[0][0] == 0 else 0
    edges = [0, *(end for _, end in left)], [*(start for start, _ in left), len(line)]
    longest = max(b - a for a, b in zip(*edges, strict=True))
    pauses = [b - a for a, b in left if b - a > 100]
    paused = sum(pauses) if 100 * len(pauses) <= len(line) else 0
    everywhere = 2 * longest < len(line) - max(begin, paused)
    for start, end in runs:
        if start and (everywhere or end - start <= short):
            out[start:end], made[start:end] = [out[start - 1]] * (end - start), [True] * (end - start)
    return out, made


@pytest.mark.parametrize("seed", range(12))
def test_short_gaps_repeat_the_value_before_and_long_ones_stay(seed):
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=size) for size in rng.integers(8, 300, 5)]
    for row in rows:
        for _ in range(rng.integers(0, 5)):
            start = rng.integers(0, len(row))
            row[start : start + rng.choice([1, 2, 20, 24, 25, 60])] = np.nan
    values, offsets = np.concatenate(rows)[None].copy(), np.cumsum([0, *map(len, rows)])
    _, made = missing.fill(values, offsets, "auto")
    expected = [by_hand(row) for row in rows]
    np.testing.assert_array_equal(values[0], np.concatenate([out for out, _ in expected]))
    np.testing.assert_array_equal(made[0], np.concatenate([filled for _, filled in expected]))


def test_a_channel_that_begins_later_leaves_the_steps_before_as_gaps():
    values = np.arange(200.0).reshape(2, 100)
    values[1, :40] = np.nan
    kept = values.copy()
    told, made = missing.fill(values, np.array([0, 100]), "auto")
    np.testing.assert_array_equal(values, kept)
    assert not made.any() and told == "left as gaps, and windows that hold one are left out"


def test_infinite_values_are_refused_all_the_same(tmp_path):
    times = pd.date_range("2024", periods=40, freq="h")
    frame = pd.DataFrame({"t": times, "x": np.arange(40.0), "y": 1.0 + np.arange(40)})
    frame.loc[5, "x"], frame.loc[9, "y"] = np.nan, np.inf
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"t.csv:11:3: infinite value"):
        read_long([tmp_path / "t.csv"], time_col="t", nan="auto")
    np.savetxt(tmp_path / "w.csv", np.where(np.eye(9, 30), np.inf, 1.5), delimiter=",")
    with pytest.raises(DataError, match=r"w.csv:1:1: infinite value"):
        read_wide([tmp_path / "w.csv"], header="no", index="no", nan="auto")


def series(n=600):
    times = pd.date_range("2024-01-01", periods=n, freq="h")
    load = 10 + 3 * np.sin(np.arange(n) * 2 * np.pi / 24) + np.random.default_rng(0).normal(size=n) / 5
    return pd.DataFrame({"time": times.strftime("%Y-%m-%d %H:%M"), "load": load.round(3)})


def test_a_few_missing_cells_need_no_flag_and_are_never_scored(tmp_path):
    run = "--mode train --task forecast --csv t.csv --horizon 4 --context-len 24 --backbone ridge --epochs 1 --no-plots"
    frame = series()
    gone = [70, 71, 300, 560, 575]
    frame.loc[gone, "load"] = np.nan
    frame.loc[200:239, "load"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    done = go(tmp_path, run)
    assert done.code == 0, done.err
    assert "45 missing and 0 infinite values" in done.err and "5 filled with the value before" in done.err
    assert "40 left as gaps" in done.err and "5 of 600 values" in done.err
    strict = go(tmp_path, run, "--strict --time-col time --overwrite")
    assert strict.code == 3 and "missing value" in strict.err and "--nan" in strict.err


def test_a_gap_before_the_end_does_not_keep_a_forecast_from_being_made(tmp_path):
    run = "--mode train --task forecast --csv t.csv --horizon 4 --context-len 24 --backbone ridge --no-plots"
    series().to_csv(tmp_path / "t.csv", index=False)
    done = go(tmp_path, run)
    assert done.code == 0, done.err
    late = series()
    late.loc[[590, 598], "load"] = np.nan
    late.to_csv(tmp_path / "late.csv", index=False)
    inferred = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv late.csv --no-plots")
    assert inferred.code == 0, inferred.err


@pytest.mark.parametrize(("piece", "filled"), [(1500, False), (400, True)])
def test_a_row_is_filled_where_its_pieces_are_small_and_not_where_its_gaps_are_long(piece, filled):
    """Four days of readings in three weeks: the days between were made up, as four in five of what the model saw."""
    gap = np.full(3 * piece, np.nan, np.float32)
    known = [np.arange(piece, dtype=np.float32) + 10 * k for k in range(3)]
    values = np.concatenate([known[0], gap, known[1], gap, known[2]])[None].copy()
    told, made_up = missing.fill(values, np.array([0, values.size]), "auto")
    absent = np.isnan(np.concatenate([known[0], gap, known[1], gap, known[2]]))
    assert np.isnan(values[0]).any() != filled and ("left as gaps" in told) != filled
    assert made_up is not None and made_up[0].tolist() == (absent & filled).tolist()
    if filled:
        assert (values[0, piece : 4 * piece] == known[0][-1]).all()
