"""readers/restarts.py: recordings of one file, one behind another, are series of their own."""

from __future__ import annotations

import numpy as np
import pytest

from data import Series
from readers.dialect import AUTO
from readers.long import read_long
from readers.restarts import beginnings, file_of, parted

from .runs import go, preds

SIZES = (40, 55, 30)


def lines_of(clock: str, step: float = 1.0, blank: bool = False) -> str:
    """Three walks one behind another, each of which ends far from where the next begins."""
    draw = np.random.default_rng(1)
    out = [",".join(filter(None, [clock, "volts", "amps"]))]
    for size in SIZES:
        walk = np.cumsum(draw.normal(size=(size, 2)), axis=0) + draw.normal(0, 50, 2)
        jitter = np.cumsum(step * (1 + 0.2 * draw.random(size))) if step % 1 else step * np.arange(1, size + 1)
        times = [f"{time:g}" for time in jitter]
        out += [
            ",".join(filter(None, [time * bool(clock), f"{x:.3f}", f"{y:.3f}"]))
            for time, (x, y) in zip(times, walk, strict=True)
        ]
        out += [""] * blank
    return "\n".join(out) + "\n"


def read(path) -> Series:
    return read_long([path], time_col="line", sep=AUTO, decimal=AUTO)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (lines_of("cycle"), "'cycle' begins again and again"),
        (lines_of("Sample_index"), "'Sample_index' begins again and again"),
        (lines_of("Time (s)", 9.5), "'Time (s)' begins again and again"),
        (lines_of("", blank=True), "blank lines part the others"),
    ],
    ids=["cycle", "index", "uneven", "blank"],
)
def test_each_recording_is_a_series(put, text, why):
    path = put(text)
    done = go(path.parent, f"--task regress --csv {path.name} --context-len 5 --label-src-ch volts --dry-run")
    assert done.code == 0, done.err
    assert f"{why}: 3 recordings one behind another, and each is a series of its own" in done.err
    assert "read: 3 rows of 30 to 55 steps (125 in all); 2 channels (volts, amps)" in done.err
    series = read(path)
    assert series.rows == tuple(f"{path.stem} #{number}" for number in (1, 2, 3))
    cells = [line.split(",")[-2:] for line in text.splitlines()[1:] if line]
    assert np.allclose(series.values, np.array(cells, float).T) and np.diff(series.offsets).tolist() == [*SIZES]


@pytest.mark.parametrize(
    "text",
    [
        lines_of(""),  # nothing says that there are several
        lines_of("hour"),  # begins again each day
        lines_of("", blank=True).replace("\n\n", "\n", 2),  # one blank line may stand anywhere
        "volts,amps\n" + "".join(f"{k % 7}.5,{k * k % 11}.25\n\n" for k in range(60)),  # a blank line behind each
    ],
    ids=["none", "hours", "one blank", "every other"],
)
def test_what_does_not_begin_again_is_one_series(put, text):
    series = read(put(text))
    assert series.n_rows == 1 and not any("recordings" in note for note in series.notes)


def test_where_numbers_begin_again():
    assert beginnings(np.r_[0:9, 0:7, 1:12].astype(float)).tolist() == [9, 16]
    assert beginnings(np.r_[0:9, 0:7, 1:3].astype(float)).tolist() == [9, 16]  # the last one was cut off
    assert not len(beginnings(np.r_[0:9, 7:20].astype(float)))  # a line that is late
    assert not len(beginnings(np.arange(20.0))) and not len(beginnings(np.r_[0:60, 0:2].astype(float)))
    assert parted(
        np.array([2, 4, 6, 8, 10, 14, 16, 18, 20, 22, 26, 28]),
        [3, 5, 7, 9, 11, 12, 13, *range(15, 22, 2), 23, 24, 25, 27],
    ).tolist() == [5, 10]


def test_files_of_gestures_are_labelled_by_their_names(tmp_path):
    for name, scale in (("punch", 1), ("flex", 6)):
        draw = np.random.default_rng(scale)
        blocks = [draw.normal(0, scale, (20, 3)).round(3) for _ in range(8)]
        text = "\n\n".join("\n".join(",".join(map(str, line)) for line in block.tolist()) for block in blocks)
        (tmp_path / f"{name}.csv").write_text(f"aX,aY,aZ\n{text}\n")
    words = "--task classify --csv punch.csv flex.csv --backbone ridge --reference off --no-plots --test-ratio 0.25"
    done = go(tmp_path, words)
    assert done.code == 0 and "label: the word in the name of each file (flex, punch)" in done.err
    assert "read: 16 rows of 20 steps" in done.err
    found = preds(done.directory)
    assert len(found) == 4 and all(each["y_true"] == str(int(each["row"].startswith("punch #"))) for each in found)
    assert file_of("punch #3", {"punch": 0}) == "punch" and file_of("a #3", {"a #3": 0}) == "a #3"
