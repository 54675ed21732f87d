"""readers/precision.py, and what stands on it: values of any level are learned from and predicted as without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from errors import DataError
from readers.precision import check_distinct, loses, narrowed, rows_to_see
from scaler import Scaler

from .runs import go, good, strict

NOISE = np.random.default_rng(0).normal(size=(3, 400))
ONE_ROW = np.array([0, 400])


@pytest.mark.parametrize(
    ("values", "lost"),
    [
        (NOISE, False),
        (NOISE + 273.15, False),
        (NOISE * 1e-6 + 1e-3, False),
        (np.round(NOISE * 100) + 1_500_000, False),  # float32 holds these exactly
        (np.round(NOISE * 100) + 1_500_000_000, True),
        (NOISE + 1e9, True),
        (NOISE * 1e-2 + 10, False),
        (NOISE * 1e-6 + 10, True),
        (np.full((1, 400), 0.1), False),  # constant: nothing to lose
        (np.full((1, 400), 1e9 + 1), False),
        (np.where(NOISE > 3, np.nan, NOISE + 1e9), True),
        (np.full((1, 400), np.nan), False),
        (10.0 ** np.arange(-3, 5).repeat(50)[None], False),  # many sizes: none is lost beside the others
    ],
)
def test_values_stay_float64_where_rounding_shows(values, lost):
    found = narrowed(values, ONE_ROW)
    assert found.dtype == (np.float64 if lost else np.float32)
    np.testing.assert_array_equal(found, values if lost else values.astype(np.float32))


def test_a_row_of_another_level_is_seen_among_many():
    rows = np.concatenate([NOISE[0], NOISE[1] + 1e9, NOISE[2] * 1e6])
    assert loses(rows, np.array([0, 400, 800, 1200]))
    assert not loses(rows, np.array([0, 1200]))  # as one row it is a step of 1e9, and noise


def test_the_deviation_of_a_large_level_is_that_of_its_values():
    found = Scaler.fit(NOISE + 1e9, np.ones(400, bool), ["a", "b", "c"])
    assert found.std == pytest.approx(NOISE.std(axis=1), rel=1e-6) and found.constant == ()
    scaled = found.apply(NOISE + 1e9)
    plain = Scaler.fit(NOISE, np.ones(400, bool), ["a", "b", "c"]).apply(NOISE)
    assert scaled == pytest.approx(plain, abs=1e-6)
    flat = Scaler.fit(np.full((1, 400), 1e9 + 0.1), np.ones(400, bool), ["a"])
    assert flat.constant == ("a",) and flat.std[0] == 1


def fitted(values: np.ndarray) -> Scaler:
    return Scaler.fit(values, np.ones(values.shape[1], bool), ["a"])


def test_what_cannot_be_told_apart_is_refused_with_the_reason():
    values = np.array([[1e16, 1e16 + 2, 1e16 + 4, 1e16 + 2]])
    with pytest.raises(DataError, match=r"a varies by 4 around 1e[+]16, less than numbers of 16 digits hold"):
        check_distinct(values, fitted(values), np.array([0, 4]), ["a"], ["r"])
    values = np.concatenate([NOISE[0], NOISE[1] + 1e9])[None]
    with pytest.raises(DataError, match=r"covers 1e[+]09 over all rows, and beside that the values of r, s"):
        check_distinct(values, fitted(values), np.array([0, 400, 800]), ["a"], ["r", "s"])
    for fine in (NOISE[:1] + 1e9, np.concatenate([NOISE[0], NOISE[1] + 1e4])[None], np.full((1, 400), 7.0)):
        check_distinct(fine, fitted(fine), np.array([0, 400, *[800] * (fine.size > 400)]), ["a"], ["r", "s"])


def test_rows_that_cannot_be_seen_are_left_out_where_they_are_few():
    """Percents and dollars of three lands: of two indicators, half of the rows; of three, no rows can be chosen."""
    small, large = NOISE[0] + 3, 1e12 + 1e11 * NOISE[1]
    rows = [small, large, small, large]
    values, offsets = np.concatenate(rows)[None].astype(np.float32), np.arange(5) * 400
    kept, told = rows_to_see(values, offsets, ["x"], list("abcd"))
    assert kept.tolist() == [1, 3] and "2 of 4 cannot be told apart: left out are a, c" in told
    check_distinct(values[:, 400:800], fitted(values[:, 400:800]), np.array([0, 400]), ["x"], ["b"])
    assert rows_to_see(values[:, :1200], offsets[:4], ["x"], list("abc")) is None  # most are hidden: refused later
    assert rows_to_see(values[:, 400:800], np.array([0, 200, 400]), ["x"], list("ab")) is None


def test_counters_of_far_apart_levels_would_rise_in_jumps():
    """Their range is 30 steps of float32 beside the other's level, the change of an hour a tenth of one."""
    rising = np.concatenate([1.5e9 + 5 * np.arange(400), 3.1e9 + 5 * np.arange(400)])[None]
    with pytest.raises(DataError, match="beside that the values of r, s cannot be told apart"):
        check_distinct(rising, fitted(rising), np.array([0, 400, 800]), ["a"], ["r", "s"])
    near = np.concatenate([1.5e9 + 5 * np.arange(400), 1.5e9 + 1e4 + 5 * np.arange(400)])[None]
    check_distinct(near, fitted(near), np.array([0, 400, 800]), ["a"], ["r", "s"])


# ---- through the command line: an offset changes no error

STEPS = 240
QUICK = "--no-plots --quiet --overwrite"


def laid(folder: Path, offset: float, form: str) -> str:
    """Two series of load and temperature, as files of a form; the flags that read them."""
    random, hours = np.random.default_rng(3), np.arange(STEPS)
    load = np.round(100 * np.sin(hours / 4) + random.normal(0, 20, (2, STEPS)), 2)
    level = load + offset
    if form == "wide":
        np.savetxt(folder / "x.csv", level, delimiter=",", fmt="%.2f")
        return "--csv x.csv"
    if form == "npz":
        np.savez(folder / "x.npz", load=level[:, :, None])
        return "--npz x.npz"
    times = np.datetime64("2024-01-01T00") + hours.astype("timedelta64[h]")
    lines = [
        f"{time},{name},{value:.2f}" for n, name in enumerate("ab") for time, value in zip(times, level[n], strict=True)
    ]
    (folder / "x.csv").write_text("\n".join(["time,id,load", *lines]) + "\n")
    return "--csv x.csv --time-col time --id-col id"


@pytest.mark.parametrize("form", ["wide", "long", "npz"])
@pytest.mark.parametrize(
    "words",
    [
        "--task forecast --context-len 24 --horizon 6 --backbone ridge",
        "--task regress --context-len 12 --backbone linear --epochs 2 --split-mode holdout --reference off",
    ],
    ids=["forecast", "regress"],
)
def test_a_level_of_1e9_changes_no_error(tmp_path, form, words):
    found = []
    for offset in (0, 1e9):
        read = laid(tmp_path, offset, form)
        folder = good(tmp_path, f"--mode train {words} {read} {QUICK} --desc at{offset:g}")
        inferred = good(tmp_path, f"--mode infer {words.split(' --')[0]} {read} {QUICK} --ckpt {folder}")
        found.append([strict(each / "summary.json")["mae"] for each in (folder, inferred)])
    assert found[1] == pytest.approx(found[0], rel=2e-3)  # rounding sends a few windows to another leaf of a tree


def test_labels_of_a_large_level_keep_their_differences(tmp_path):
    read, found = laid(tmp_path, 0, "wide"), []
    np.savetxt(tmp_path / "x.csv", NOISE.repeat(20, axis=0)[:, :20] + np.arange(60)[:, None], delimiter=",", fmt="%.3f")
    for offset in (0, 1e9):
        (tmp_path / "y.csv").write_text("\n".join(f"{offset + k / 4:.2f}" for k in range(60)) + "\n")
        words = f"--mode train --task regress {read} --labels y.csv --backbone linear --epochs 5 {QUICK}"
        summary = strict(good(tmp_path, words) / "summary.json")
        found.append([summary["mae"], *(one["mae"] for one in summary["references"].values())])
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def test_series_of_far_apart_levels_are_refused(tmp_path):
    level = np.round(NOISE[:2, :STEPS] * 20, 2) + np.array([[0], [1e9]])
    np.savetxt(tmp_path / "x.csv", level, delimiter=",", fmt="%.2f")
    done = go(tmp_path, f"--mode train --task forecast --csv x.csv --context-len 24 --horizon 6 {QUICK}")
    assert done.code == 3 and "cannot be told apart" in done.err and "a run for rows of like level" in done.err


def test_channels_judged_together_are_kept_as_one_by_one():
    """Noise of six sizes on levels from 0 to 1e12, in rows of unequal length, some empty, with what is missing."""
    random = np.random.default_rng(0)
    exact = 0
    for _ in range(200):
        offsets = np.concatenate([[0], np.cumsum(random.integers(0, 30, random.integers(1, 5)))])
        levels = random.choice([0, 1e3, 1e6, 1e9, 1e12], 3)[:, None]
        values = random.normal(size=(3, offsets[-1])) * 10.0 ** random.integers(-3, 4) + levels
        values[random.random(values.shape) < 0.1] = random.choice([np.nan, np.inf, 1e300])
        kept = narrowed(values, offsets).dtype == np.float64
        assert kept == (offsets[-1] > 0 and any(loses(channel, offsets) for channel in values))
        exact += kept
    assert 20 < exact < 180
