"""readers/counted.py: recordings that say how far they are, and no date: each line is a step, their time no channel."""

from __future__ import annotations

import numpy as np
import pytest

from readers.counted import even_counter, is_index
from readers.dated import dated
from readers.dialect import AUTO, Dialect

from .runs import go

N = 300
LOAD = np.sin(np.arange(N) / 9) + np.arange(N) / 99
DRY = "--mode train --task forecast --csv t.csv --horizon 4 --context-len 12 --backbone ridge --no-plots"


def read(folder, columns, flags="--dry-run"):
    """What a run says of a file with these columns."""
    text = "\n".join([",".join(columns), *(",".join(map(str, line)) for line in zip(*columns.values(), strict=True))])
    (folder / "t.csv").write_text(text + "\n")
    done = go(folder, DRY, flags)
    assert done.code == 0, done.err
    return done


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("time", range(1, N + 1)),
        ("frame", range(N)),
        ("Time (s)", [f"{k * 0.02:.2f}" for k in range(N)]),
        ("elapsed_ms", [20 * k for k in range(N)]),
        ("t", [k * 0.1 for k in range(N)]),  # 0.30000000000000004 among them
        ("time", [1980 + k / 52 for k in range(N)]),  # weeks, as R writes them
    ],
)
def test_even_times_are_the_time_column(tmp_path, name, times):
    done = read(tmp_path, {name: list(times), "load": LOAD, "speed": LOAD**2})
    assert f"'{name}' taken as the time column" in done.err and "counts steps: there are no dates" in done.err
    assert f"1 row of {N} steps; 2 channels (load, speed)" in done.err


def test_uneven_times_are_told_and_each_line_is_a_step(tmp_path):
    times = np.arange(N) * 0.5 + np.random.default_rng(0).uniform(0, 0.2, N)
    times[200:] += 60
    done = read(tmp_path, {"time_s": times, "load": LOAD, "speed": LOAD**2})
    low, high = np.diff(times).min(), np.diff(times).max()
    assert f"each line is a step: column 'time_s', in steps of {low:.3g} to {high:.3g}, is left out" in done.err
    assert f"1 row of {N} steps; 2 channels (load, speed)" in done.err
    assert "3 channels" in read(tmp_path, {"a": LOAD, "b": LOAD, "c": LOAD}, "--time-col line --dry-run").err


@pytest.mark.parametrize("name", ["", "index", "Unnamed: 0", "rownames"])
@pytest.mark.parametrize("first", [0, 1])
def test_the_index_of_a_frame_is_no_row_id_beside_channels(tmp_path, name, first):
    done = read(tmp_path, {name: range(first, N + first), "acc_x": LOAD, "acc_y": LOAD**2})
    assert f"1 row of {N} steps; 2 channels (acc_x, acc_y)" in done.err
    one = read(tmp_path, {name: range(first, N + first), "value": LOAD})
    assert f"1 row of {N} steps; 1 channel (value)" in one.err


def test_a_run_with_a_counted_time_goes_on_from_newer_lines(tmp_path):
    read(tmp_path, {"time": [k * 0.1 for k in range(N)], "load": LOAD}, "--tag r --split-mode holdout --test-ratio 0.2")
    done = go(tmp_path, "--mode infer --ckpt artifacts/r --csv t.csv --no-plots")
    assert done.code == 0, done.err


def test_an_oscilloscopes_two_channels_are_no_steps():
    """Their names count as those of steps do, and its times begin before zero; lines between are not looked at."""
    at = sorted({*range(100), *(k * 13 % 900 for k in range(100))})
    cells = {"TIME": [f"{(k - 450) * 4e-7:.6e}" for k in at], "CH1": ["0.5"] * len(at), "CH2": ["1"] * len(at)}
    assert even_counter(cells, Dialect()) == "TIME"
    few = {name: some[:20] for name, some in cells.items()}
    assert even_counter(few, Dialect()) == ""


def test_steps_of_a_phone_are_not_even_by_those_of_later_lines():
    """20 ms or so, and a pause after the first: between later lines others may not be looked at."""
    times = [0, 84, *(84 + 20 * k for k in range(1, 99)), *(84 + 20 * k for k in range(107, 1500, 13))]
    cells = {"relative_time": list(map(str, times)), "x": ["0.5"] * len(times)}
    assert even_counter(cells, Dialect()) == ""


@pytest.mark.parametrize(
    "columns",
    [
        {"time": [0, 1, 1, 2, 3, 4, 5], "x": [1] * 7},  # a tie
        {"time": [0, 1, 2, 3.5, 4, 5, 6], "x": [1] * 7},
        {"time": [3, 2, 1, 0, -1, -2, -3], "x": [1] * 7},
        {"time": list(range(7)), "t1": [1] * 7, "t2": [2] * 7},  # series, whose steps are beside
        {"time": list(range(7)), "name": ["a"] * 7},
        {"speed": list(range(7)), "x": [1] * 7},
    ],
)
def test_what_is_no_even_time(columns):
    cells = {name: [str(value) for value in values] for name, values in columns.items()}
    assert even_counter(cells, Dialect()) == ""


def test_an_index_begins_at_0_or_1_and_leaves_none_out():
    assert is_index("", ["0", "1", "2"]) and is_index("id", ["1", "2"])
    assert not is_index("id", ["2", "3"]) and not is_index("", ["0", "2"]) and not is_index("load", ["0", "1"])


def test_a_part_of_a_frame_is_read_as_its_whole_is(put):
    """Without the name of its index, which goes on from where the part begins."""
    wave = np.sin(np.arange(400) / 9).round(4)
    rows = [f"{k},{wave[k]},{wave[-k]},{k % 7}" for k in range(400)]
    found = [dated(put("\n".join([",temp,clouds,traffic", *some])), Dialect(AUTO, AUTO)) for some in (rows, rows[300:])]
    assert [each.time for each in found] == ["line", "line"]
    assert not is_index("id", ["300", "301"]) and is_index("", ["300", "301"]) and not is_index("", ["300", "302"])


def test_one_value_beside_a_label_is_no_table_of_numbered_steps(put):
    rows = [f"{k},{np.sin(k / 5):.4f},{int(k > 80)}" for k in range(100)]
    assert dated(put("\n".join(["timestamp,value-0,is_anomaly", *rows])), Dialect(AUTO, AUTO)).time == "timestamp"


def test_a_column_without_a_name_in_even_steps_from_below_zero_is_an_index():
    assert is_index("", [f"{k - 150}.0" for k in range(40)]) and is_index("", [f"{k / 50:.2f}" for k in range(40)])
    assert not is_index("", [f"{k * k / 50:.2f}" for k in range(40)]) and not is_index("", ["-1.0", "2.0"] * 9)
