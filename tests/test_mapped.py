"""Data larger than the memory that is allowed: the same series, windows and figures from a file as from memory."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch

from errors import DataError
from readers import cache, files, mapped, missing, scaled, streamed, tables, wide
from readers.long import read_long
from readers.scaled import Scaled
from readers.wide import read_wide
from scaler import Scaler
from settings.sizes import bytes_of, free_bytes
from tasks.references import flatten
from training.fetching import Fetching
from windows import Windows, plan, read

from .runs import go, good, lay

SMALL = "1kB"


def test_sizes_of_memory():
    assert [bytes_of(text) for text in ("4GB", "500 m", "1.5k", "7")] == [4 * 10**9, 5 * 10**8, 1500, 7]
    for text in ("", "0", "-1GB", "4PB", "much"):
        with pytest.raises(ValueError, match="a size such as 4GB"):
            bytes_of(text)
    assert 0 < free_bytes() < 1 << 62


def test_arrays_in_files_are_known_and_cut_as_those_in_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("TSRUN_CACHE", str(tmp_path))
    monkeypatch.setattr(mapped, "AT_ONCE", 3)
    values = np.arange(20, dtype=np.float32).reshape(2, 10)
    kept = mapped.array(values.shape)
    kept[:] = values
    assert mapped.is_mapped(kept) and mapped.is_mapped(kept[:, 2:]) and not mapped.is_mapped(values)
    order = np.array([3, 1, 4, 1, 5, 9, 2])
    for found in (mapped.taken(kept, order), mapped.like(kept, (2, 7))):
        assert mapped.is_mapped(found)
    np.testing.assert_array_equal(mapped.taken(kept, order), values[:, order])
    np.testing.assert_array_equal(mapped.rows(kept, [1]), values[[1]])
    np.testing.assert_array_equal(mapped.side_by_side([kept, values]), np.concatenate([values, values], axis=1))
    assert mapped.rows(kept, [0, 1]) is kept and not list(tmp_path.iterdir())


def table(steps: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(6)
    times = pd.date_range("2024-01-01", periods=steps, freq="h")
    x = np.sin(np.arange(steps) / 4) + random.normal(0, 0.1, steps)
    return pd.DataFrame({"t": times, "x": x.round(4), "y": random.normal(0, 1, steps).round(3)})


def same(found, expected):
    for name in ("values", "offsets", "time"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.rows, found.channels, found.clock, found.hashes) == (
        expected.rows,
        expected.channels,
        expected.clock,
        expected.hashes,
    )


@pytest.mark.parametrize("block", [500, 1 << 20])
def test_a_long_table_in_parts_is_the_table(tmp_path, monkeypatch, block):
    monkeypatch.setattr(streamed, "PART", block)
    whole = table()
    whole["t"] = whole["t"].dt.strftime("%d.%m.%Y %H:%M")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    paths[0].write_text("a device\n" + whole[:250].to_csv(index=False))
    whole[100:].to_csv(paths[1], index=False)
    for some in (paths[:1], paths):
        found = read_long(some, time_col="t", date_order="dmy", memory=SMALL)
        assert mapped.is_mapped(found.values)
        same(found, read_long(some, time_col="t", date_order="dmy"))
    both = pd.concat([table(50).assign(id=name) for name in "ba"]).sort_values("t", kind="stable")
    both.to_csv(tmp_path / "ids.csv", index=False)
    found = read_long([tmp_path / "ids.csv"], time_col="t", id_col="id", memory=SMALL)
    assert mapped.is_mapped(found.values)
    same(found, read_long([tmp_path / "ids.csv"], time_col="t", id_col="id"))


def test_what_a_part_cannot_say_is_read_whole(tmp_path):
    path = tmp_path / "a.csv"
    for change in ({"x": 1.5e9 + np.arange(400) / 7}, {"w": '"a, b"'}, {"x": [*["1"] * 399, "oops"]}):
        table().assign(**change).to_csv(path, index=False)
        try:
            expected = read_long([path], time_col="t")
        except DataError as error:
            with pytest.raises(DataError) as caught:
                read_long([path], time_col="t", memory=SMALL)
            assert (caught.value.what, caught.value.where) == (error.what, error.where)
        else:
            found = read_long([path], time_col="t", memory=SMALL)
            assert not mapped.is_mapped(found.values) and found.values.dtype == expected.values.dtype
            same(found, expected)


def test_wide_files_are_put_into_one_file(tmp_path):
    lay(tmp_path, a=np.arange(60.0).reshape(5, 12), b=np.ones((5, 12)))
    paths = [tmp_path / "data" / f"{name}.csv" for name in "ab"]
    for some in (paths, paths[:1]):
        found, expected = read_wide(some, memory="10"), read_wide(some)
        assert mapped.is_mapped(found.values) and not mapped.is_mapped(expected.values)
        np.testing.assert_array_equal(found.values, expected.values)


@pytest.mark.parametrize("level", [0.0, 3e7])
@pytest.mark.parametrize("policy", ["error", "drop", "ffill", "zero"])
def test_a_wide_file_is_written_as_it_is_parsed(tmp_path, monkeypatch, policy, level):
    """Gaps within rows, rows that end early, values that need float64; text that is longer than it began to be."""
    for module, name in ((missing, "COUNTED"), (missing, "FILL_CELLS"), (files, "BLOCK")):
        monkeypatch.setattr(module, name, 100)
    random = np.random.default_rng(7)
    table = (level + random.normal(size=(90, 33))).round(3)
    text = [[f"{value:.3f}".rstrip("0") for value in row] for row in table]
    if policy != "error":
        text[5][0], text[7][12], text[8][11], text[8][12] = "", "", "", "nan"
        text[80][30:] = ["", "", ""]
    path = tmp_path / "a.csv"
    path.write_text("".join(",".join(row) + "\n" for row in text))
    monkeypatch.setattr(tables, "Rows", few(tables.Rows))
    found, expected = (read_wide([path], nan=policy, memory=memory) for memory in (SMALL, ""))
    assert mapped.is_mapped(found.values) and not mapped.is_mapped(expected.values)
    assert (
        found.values.dtype == (np.float64 if level else np.float32)
        and found.values.tobytes() == expected.values.tobytes()
    )
    assert found.notes == expected.notes and found.offsets.tolist() == expected.offsets.tolist()
    np.testing.assert_array_equal(*(0 if one.filled is None else one.filled for one in (found, expected)))


def few(rows):
    """Rows that expect ten lines, so that more room must be found."""

    def made(number, columns, _, *, large):
        return rows(number, columns, 10, large=large)

    return made


def test_a_large_wide_file_stays_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TSRUN_CACHE", str(tmp_path / "cache"))
    for name in ("LEAST_BYTES", "RACY_NS"):
        monkeypatch.setattr(cache, name, 0)
    lay(tmp_path, a=np.arange(60.0).reshape(5, 12))
    path = tmp_path / "data" / "a.csv"
    first = read_wide([path], memory="10")
    monkeypatch.setattr(wide, "read_table", None)
    again = read_wide([path], memory="10")
    assert mapped.is_mapped(again.values)
    np.testing.assert_array_equal(again.values, first.values)


def test_parquet_in_parts_is_the_table(tmp_path):
    pytest.importorskip("pyarrow")
    table().to_parquet(tmp_path / "a.parquet", index=False)
    found = read_long([tmp_path / "a.parquet"], time_col="t", memory=SMALL)
    assert mapped.is_mapped(found.values)
    same(found, read_long([tmp_path / "a.parquet"], time_col="t"))


@pytest.mark.parametrize("policy", ["drop", "ffill", "zero"])
def test_a_long_table_with_gaps_is_the_same_from_a_file(tmp_path, policy):
    whole = table()
    whole.loc[[5, 6, 300], "x"] = np.nan
    whole.to_csv(tmp_path / "a.csv", index=False)
    found, expected = (read_long([tmp_path / "a.csv"], time_col="t", nan=policy, memory=m) for m in (SMALL, ""))
    assert mapped.is_mapped(found.values)
    same(found, expected)


def test_what_is_read_whole_is_told(tmp_path):
    random = np.random.default_rng(3)
    arrays = {"X": random.normal(size=(30, 3, 20)).astype(np.float32), "y": random.integers(0, 2, 30)}
    np.savez(tmp_path / "a.npz", **arrays)
    done = go(tmp_path, "--mode train --task classify --npz a.npz --backbone logistic --dry-run --memory 1kB")
    assert done.code == 0 and "MB of memory (--memory): an .npz is read whole" in done.err


def test_one_wide_file_is_never_held(tmp_path, monkeypatch):
    """What is taken while one file is read does not grow with it: 8 times the rows, the same peak."""
    monkeypatch.setattr(missing, "COUNTED", 1 << 12)
    monkeypatch.setattr(files, "BLOCK", 1 << 12)
    row, peaks = ",".join(f"{value:.2f}" for value in np.random.default_rng(0).normal(size=500)), []
    for lines in (100, 800):
        path = tmp_path / f"{lines}.csv"
        path.write_text(f"{row}\n" * lines)
        tracemalloc.start()
        read_wide([path], memory=SMALL)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 4 * 500 * 800 / 2 and peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize("which", [[0, 1, 2, 3], [1, 2], [3, 0], [2]])
def test_what_is_scaled_as_it_is_read_is_the_scaled_copy(tmp_path, monkeypatch, which):
    monkeypatch.setenv("TSRUN_CACHE", str(tmp_path))
    random = np.random.default_rng(2)
    values = mapped.array((4, 53))[:, :50]  # of a file that said to be longer
    values[:] = random.normal([[3.0], [-1], [1e6], [0]], [[0.1], [20], [3], [1]], (4, 50))
    scaler = Scaler.fit(values[which], np.ones(50, bool), [f"c{c}" for c in which])
    whole, found = scaler.apply(values[which]), Scaled(values, scaler, which)
    assert mapped.is_mapped(found) and found.shape == whole.shape and found.nbytes == whole.nbytes
    later = np.array([7, 2, 40])
    for part in ((slice(None), slice(3, 9)), (0, slice(4)), (slice(None), later), (len(which) - 1, 5 + later)):
        np.testing.assert_array_equal(found[part], whole[part])
    np.testing.assert_array_equal(np.asarray(found), whole)
    np.testing.assert_array_equal(found.channels([0]), whole[:1])
    starts = torch.from_numpy(later)
    assert torch.equal(found.read(starts, 10), read(torch.from_numpy(whole), starts, 10))
    assert found.on(torch.device("cpu")) is found
    monkeypatch.setattr(scaled, "AT_ONCE", 60)
    elsewhere = found.on(torch.device("meta"))
    assert elsewhere.shape == whole.shape and elsewhere.device.type == "meta"
    np.testing.assert_array_equal(flatten(found, later, 10), flatten(whole, later, 10))


def test_the_next_batch_is_gathered_beside_the_step():
    values = torch.arange(200.0).reshape(2, 100)
    index = plan(np.array([0, 100]), np.ones(100, bool), np.ones(100, bool), length=5, offset=1)
    plain, apart = (Windows(values, values, index, apart=apart) for apart in (False, True))
    expected = [[part.clone() for part in plain.gather(at)] for at in plain.shuffled(16, seed=3)]
    fetching = Fetching(apart, torch.device("cpu"))
    for _ in range(2):
        found = [
            fetching.gather(at, lambda at: at) for at in fetching.in_turn(apart.shuffled(16, seed=3), lambda at: at)
        ]
        assert all(
            torch.equal(a, b) for one, two in zip(found, expected, strict=True) for a, b in zip(one, two, strict=True)
        )
    for at in fetching.in_turn(apart.shuffled(16, seed=3), lambda at: at):
        assert torch.equal(
            fetching.gather(at[:, :4], lambda at: at)[0], plain.gather(at[:, :4])[0]
        )  # others than fetched
        break


RUNS = {
    "forecast": "--csv a.csv --time-col t --context-len 24 --horizon 6 --backbone dlinear --epochs 2 --save-preds",
    "regress": "--csv a.csv --time-col t --context-len 12 --backbone gru --epochs 1 --split-mode holdout",
}


@pytest.mark.parametrize("task", RUNS)
def test_a_run_from_a_file_is_the_run_from_memory(tmp_path, task, monkeypatch):
    plain, made = mapped.array, []
    monkeypatch.setattr(mapped, "array", lambda shape, *kind: made.append(tuple(shape)) or plain(shape, *kind))
    table().to_csv(tmp_path / "a.csv", index=False)
    command = f"--mode train --task {task} {RUNS[task]} --reference off --no-plots"
    whole = good(tmp_path, f"{command} --tag whole")
    done = go(tmp_path, f"{command} --tag file --memory {SMALL}")
    assert done.code == 0 and "MB of memory (--memory): the values are kept in a file" in done.err
    assert [len(shape) for shape in made].count(2) == 1  # the values, and no scaled copy of them
    for name in ("forecast.csv", "preds.npz") if task == "forecast" else ("preds.csv",):
        assert (done.directory / name).read_bytes() == (whole / name).read_bytes()
    one, two = (json.loads((run / "summary.json").read_text()) for run in (whole, done.directory))
    for content in (one, two):
        content.pop("seconds"), content.pop("run")
    assert one == two
    assert go(tmp_path, f"{command} --memory plenty").code == 2
