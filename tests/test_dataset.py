"""dataset.py against plain loops: which windows there are, what training sees of them, what a model is given."""

from __future__ import annotations

import datetime
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

import dataset
import tasks
from config import RunConfig
from data import Series
from dataset import DeviceData, RunData
from errors import DataError, UsageError
from scaler import Scaler
from tasks.base import Task
from times.clock import Clock

from .runs import built

CPU = torch.device("cpu")
HOUR = 3600 * 10**9


def series_of(lengths, channels="ab", gaps=(), seed=0, **more) -> Series:
    """Rows of these lengths; `gaps` are (channel, step) pairs without a value."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.random.default_rng(seed).normal(size=(len(channels), offsets[-1])).astype(np.float32)
    for channel, step in gaps:
        values[channel, step] = np.nan
    return Series(values, offsets, tuple(channels), tuple(map(str, range(len(lengths)))), **more)


def opened(name, series, context_len, options=(), label_known=True, per_row=None, **settings) -> tuple[RunData, Task]:
    flags = {flag.name: flag.default for flag in tasks.flags(name)} | dict(options)
    task = tasks.build(name, flags)
    config = RunConfig(mode="train", task=name, context_len=context_len, options=flags, **settings)
    task.finalize_config(config, context_len)
    return dataset.open_run_data(config, task, series, {}, label_known=label_known, per_row=per_row), task


def rows_of(series: Series) -> list[tuple[int, int]]:
    """[begin, end) of each row, on the flat axis."""
    return [(int(series.offsets[r]), int(series.offsets[r + 1])) for r in range(series.n_rows)]


def starts_by_loop(series, look, ask, length, after, horizon=1, stride=1) -> list[int]:
    """Starts whose context has all channels `look` and whose target, `after` steps on, has all channels `ask`."""
    found = []
    for begin, end in rows_of(series):
        for start in range(begin, end, stride):
            target = start + length - 1 + after
            if target + horizon > end or start + length > end:
                continue
            context = [series.values[c, t] for c in look for t in range(start, start + length)]
            asked = [series.values[c, t] for c in ask for t in range(target, target + horizon)]
            if not any(np.isnan(v) for v in context + asked):
                found.append(start)
    return found


GAPS = [(0, 2), (1, 11), (0, 24), (1, 30), (1, 31)]
LENGTHS = [9, 4, 12, 10]  # the second is too short for a window


# ---- which windows there are


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize(("after", "stride"), [(1, 1), (3, 1), (2, 3)])
def test_a_window_is_where_all_that_it_takes_is_known(dropped, after, stride):
    series = series_of(LENGTHS, gaps=GAPS)
    run_data, _ = opened("regress", series, 3, label_offset=after, stride=stride, drop_label_from_x=dropped)
    look = [1] if dropped else [0, 1]
    expected = starts_by_loop(series, look, [0], 3, after, stride=stride)
    assert run_data.index.starts().tolist() == expected and expected
    assert run_data.index.targets().tolist() == [start + 2 + after for start in expected]
    assert run_data.truth_raw(run_data.index)[:, 0, 0].tolist() == [series.values[0, s + 2 + after] for s in expected]
    assert run_data.judged is run_data.index and not run_data.per_row


def test_a_forecast_asks_for_every_step_of_its_targets():
    series = series_of([14, 11], channels="abc", gaps=[(0, 3), (1, 9), (2, 17)])
    for features, look in (("M", [0, 1, 2]), ("MS", [0, 1, 2]), ("S", [1])):
        options = {"horizon": 3, "features": features, "target": () if features == "M" else ("b",)}
        run_data, _ = opened("forecast", series, 4, options)
        expected = starts_by_loop(series, look, look if features == "M" else [1], 4, 1, horizon=3)
        assert run_data.index.starts().tolist() == expected and expected
        assert run_data.target_channels == {"M": (0, 1, 2), "MS": (1,), "S": (0,)}[features]
        assert run_data.channels == tuple("abc"[c] for c in look)


def test_a_forecast_needs_its_covariates_over_context_and_horizon():
    series = series_of([14, 11], channels=("a", "sun", "b"), gaps=[(0, 2), (1, 9)], known=("sun",))
    run_data, _ = opened("forecast", series, 3, {"horizon": 2, "known_future": ("sun",)})
    assert (run_data.channels, run_data.covariates.tolist()) == (("a", "b"), [1])
    expected = starts_by_loop(series, [0, 1, 2], [0, 1, 2], 3, 1, horizon=2)
    assert run_data.index.starts().tolist() == expected and expected


def test_the_last_context_of_each_row_is_kept_where_it_is_whole():
    """Rows: a gap before the last three steps, too short, a gap within them, whole."""
    series = series_of([6, 2, 6, 3], gaps=[(0, 2), (1, 12)])
    run_data, _ = opened("regress", series, 3)
    assert run_data.ahead.rows().tolist() == [0, 3]
    assert run_data.ahead.starts().tolist() == [3, 14]
    assert run_data.ahead.targets().tolist() == [6, 17]  # the step after the row, which nobody has seen


@pytest.mark.parametrize(("steps", "rows"), [(0, []), (1, []), (2, [0, 2]), (3, [0, 2])])
def test_a_forecast_past_the_end_needs_the_covariates_there(steps, rows):
    after = np.ones((1, 3, steps), np.float32)
    after[0, 1, :1] = np.nan
    series = series_of([8, 8, 8], channels=("a", "sun"), known=("sun",), after=after if steps else None)
    run_data, _ = opened("forecast", series, 3, {"horizon": 2, "known_future": ("sun",)})
    assert run_data.ahead.rows().tolist() == rows


def test_a_label_of_a_whole_row_belongs_to_every_window_of_it():
    labels = np.array([[1.0, 0.0], [np.nan, 1.0], [0.0, 3.0]], np.float32)
    series = series_of([5, 6, 7], labels=labels, label_names=("x", "y"), gaps=[(1, 12)])
    run_data, task = opened("regress", series, 4, stride=2)
    # Row 1 lacks a label. Row 2 begins at 11 and its second step has no value.
    assert list(zip(run_data.index.rows(), run_data.index.starts(), strict=True)) == [(0, 0), (2, 13)]
    assert run_data.per_row and not len(run_data.ahead)
    assert run_data.truth_raw(run_data.index)[:, :, 0].tolist() == [[1, 0], [0, 3]]
    assert run_data.sample(task, run_data.index)[:, :, 0].tolist() == [[1, 0], [0, 3]]


def test_without_a_label_only_what_comes_next_is_left():
    series = series_of([6, 6])
    run_data, _ = opened("regress", series, 3, label_known=False, per_row=False)
    assert run_data.targets is None and not len(run_data.index)
    assert run_data.ahead.starts().tolist() == [3, 9]


def test_without_labels_of_rows_every_window_is_predicted():
    series = series_of([6, 5])
    run_data, _ = opened("regress", series, 4, label_known=False, per_row=True)
    assert run_data.index.starts().tolist() == [0, 1, 2, 6, 7]
    assert run_data.per_row and not len(run_data.ahead)


def test_the_label_can_be_kept_from_the_model():
    series = series_of([8], channels="abc", modalities=(("light", 2), ("sound", 1)))
    whole, _ = opened("regress", series, 3, label_src_ch=1)
    assert (whole.keep.tolist(), whole.channels) == ([0, 1, 2], ("a", "b", "c"))
    assert whole.modalities == {"light": 2, "sound": 1} and whole.values() is series.values
    less, _ = opened("regress", series, 3, label_src_ch=1, drop_label_from_x=True)
    assert (less.keep.tolist(), less.channels) == ([0, 2], ("a", "c"))
    assert less.modalities == {"light": 1, "sound": 1}
    assert np.array_equal(less.values(), series.values[[0, 2]])
    assert [column.tolist() for column in less.columns()] == series.values[[0, 2]].tolist()
    assert less.truth_raw(less.index)[0, 0, 0] == series.values[1, 3]
    assert opened("regress", series_of([8]), 3)[0].modalities is None


def test_a_model_that_would_see_nothing_is_refused():
    with pytest.raises(UsageError, match="drops the only channel"):
        opened("regress", series_of([8], channels="a"), 3, drop_label_from_x=True)


@pytest.mark.parametrize(("settings", "length"), [({"context_len": 4}, 4), ({"demo": True}, 31), ({}, 5)])
def test_the_context_may_follow_from_the_data(settings, length):
    assert dataset.window_of(RunConfig(**settings), series_of([7, 5, 9])) == {"context_len": length, "stride": 1}


# ---- nothing to train on


def test_rows_that_are_too_short_are_an_error_with_the_sum():
    run_data, _ = opened("regress", series_of([6, 5]), 5, label_offset=3)
    with pytest.raises(DataError, match=r"rows have 6 steps, a window needs 5 \+ 3 = 8") as caught:
        dataset.check_windows(run_data, built("regress"))
    assert caught.value.where == "--context-len" and "transposed" not in caught.value.hint


def test_a_file_that_lies_on_its_side_is_suspected():
    run_data, _ = opened("regress", series_of([2] * 20), 5)
    with pytest.raises(DataError) as caught:
        dataset.check_windows(run_data, built("regress"))
    assert "the file has 20 rows, is it transposed?" in caught.value.hint


def test_gaps_everywhere_are_an_error_with_the_longest_stretch():
    """Steps 4 and 12 lack the label: 4 known steps before, 7 between, 3 after them; another channel lacks step 1."""
    series = series_of([16], gaps=[(0, 4), (1, 1), (0, 12)])
    dataset.check_windows(opened("regress", series, 6)[0], built("regress"))
    run_data, _ = opened("regress", series, 7, nan="drop")
    with pytest.raises(DataError, match="longest stretch has 7 steps without one, a window 8 ") as caught:
        dataset.check_windows(run_data, built("regress"))
    assert caught.value.where == "--nan drop" and "--nan ffill" in caught.value.hint


def test_a_stretch_without_a_gap_ends_where_its_row_does():
    """Both rows lack their middle: four known steps at the end of the first touch four at the start of the second."""
    run_data, _ = opened("regress", series_of([9, 9], gaps=[(0, 4), (0, 13)]), 4)
    with pytest.raises(DataError, match="longest stretch has 4 steps without one, a window 5 "):
        dataset.check_windows(run_data, built("regress"))


# ---- splits, and what training sees


@pytest.mark.parametrize("mode", ["group", "holdout"])
@pytest.mark.parametrize("name", ["regress", "forecast"])
def test_training_sees_no_target_of_validation_and_test(name, mode):
    """By a loop over every window: contexts are seen, and of a forecast the targets too."""
    series = series_of([12] * 10)
    horizon = 2 if name == "forecast" else 1
    options = {"horizon": 2} if name == "forecast" else {}
    run_data, task = opened(name, series, 4, options, split_mode=mode, val_ratio=0.3, test_ratio=0.2)
    (split,) = dataset.make_splits(run_data)
    expected = np.zeros(120, bool)
    for start in split.train.starts():
        expected[start : start + (4 + horizon if name == "forecast" else 4)] = True
    seen = run_data.seen(task, split.train)
    assert seen.tolist() == expected.tolist() and seen.any()
    for part in (split.val, split.test):
        targets = {int(t) + h for t in part.targets() for h in range(horizon)}
        assert targets and not targets & set(np.flatnonzero(seen))
    assert sum(len(split[part]) for part in ("train", "val", "test")) == len(run_data.index) - (
        0 if mode == "group" else 10 * 2 * (horizon - 1)  # windows over a cut belong to nobody
    )


@pytest.mark.parametrize("stride", [1, 7])
def test_a_forecast_is_fitted_to_each_step_of_its_windows_once(stride):
    """With windows further apart than they are long the steps between them are left out of targets."""
    series = series_of([20, 20])
    run_data, task = opened("forecast", series, 4, {"horizon": 2, "features": "MS", "target": ("b",)}, stride=stride)
    steps = set()
    for begin in (0, 20):
        for start in range(begin, begin + 15, stride):
            steps |= set(range(start + 4, start + 6))
        steps |= set(range(begin, begin + 4 + (14 // stride) * stride))  # from a run's first context to its last
    (found,) = run_data.sample(task, run_data.index).each()
    assert found.tolist() == series.values[1, sorted(steps)].tolist()


def test_windows_that_are_judged_may_be_others_than_those_of_training():
    """nilm at most ten windows over a step: of length 40 every 4 steps, while training takes every 3."""
    lengths = [150, 131]
    base = series_of(lengths, channels=("mains", "tv"), gaps=[(0, 60), (1, 200)])
    time = np.concatenate([np.arange(n) for n in lengths]) * 8 * 10**9
    series = Series(np.abs(base.values), base.offsets, base.channels, base.rows, time=time, clock=Clock("8s"))
    settings = {"split_mode": "holdout", "val_ratio": 0.4}
    run_data, _ = opened("nilm", series, 40, {"nilm_features": ("none",)}, stride=3, **settings)
    (split,) = dataset.make_splits(run_data)

    def expected(stride, low, high):
        """Windows over every stretch without a gap, and one more that ends where it does, within a share of a row."""
        found = set()
        for begin, end in ((0, 60), (61, 150), (150, 200), (201, 281)):
            row_begin, length = (0, 150) if begin < 150 else (150, 131)
            first, last = row_begin + round(low * length), row_begin + round(high * length)
            starts = {*range(begin, end - 39, stride), end - 40}
            found |= {start for start in starts if first <= start and start + 40 <= last}
        return sorted(found)

    assert split.train.starts().tolist() == expected(3, 0, 0.6)
    assert split.val.starts().tolist() == expected(4, 0.6, 1)
    assert split.train.stride == 3 and split.val.stride == split.test.stride == 4
    same, _ = opened("nilm", series, 40, {"nilm_features": ("none",)}, stride=4, **settings)
    assert same.judged is same.index


# ---- what a model is given


def test_inputs_are_scaled_and_windows_read_them():
    series = series_of([9, 8], channels="abc")
    run_data, task = opened("regress", series, 3, label_src_ch=1, drop_label_from_x=True, label_offset=2)
    task.fit(run_data.sample(task, run_data.index), run_data.targets.names)
    scaler = Scaler(np.array([0.5, -1.0]), np.array([2.0, 0.25]), ("a", "c"))
    device_data = DeviceData(run_data, task, scaler, CPU)
    scaled = np.stack([(series.values[0] - 0.5) / 2.0, (series.values[2] + 1.0) / 0.25])
    np.testing.assert_allclose(device_data.inputs, scaled, rtol=1e-5)
    windows = device_data.windows(run_data.index)
    x, y = windows.gather(windows.locate(torch.arange(len(windows))))
    label = [series.values[1, start + 4] for start in run_data.index.starts()]
    mean, std = np.mean(label, dtype=np.float64), np.std(label, dtype=np.float64)
    for n, start in enumerate(run_data.index.starts()):
        np.testing.assert_allclose(x[n], scaled[:, start : start + 3], rtol=1e-5)
        assert float(y[n, 0, 0]) == pytest.approx((label[n] - mean) / std, abs=1e-5)
    seen = device_data.eval_context(["b"])
    assert (seen.names, seen.per_row, seen.scaler["mean"]) == (["b"], False, [0.5, -1.0])
    assert seen.raw(run_data.index)[:, 0, 0].tolist() == label


def test_a_forecast_learns_from_its_own_input():
    series = series_of([12], channels="abc")
    for features, target in (("M", ()), ("MS", ("c",))):
        run_data, task = opened("forecast", series, 3, {"horizon": 2, "features": features, "target": target})
        device_data = DeviceData(run_data, task, Scaler(np.zeros(3), np.ones(3), ("a", "b", "c")), CPU)
        asked = series.values if features == "M" else series.values[2:]
        np.testing.assert_array_equal(device_data.targets, asked)
        assert (device_data.targets is device_data.inputs) is (features == "M")
        windows = device_data.windows(run_data.index)
        y = windows.gather(windows.locate(torch.tensor([1])))[-1]
        np.testing.assert_array_equal(y[0], asked[:, 4:6])


def test_without_a_label_the_windows_can_still_be_seen():
    series = series_of([3, 4])
    run_data, task = opened("regress", series, 2, label_known=False, per_row=True)
    device_data = DeviceData(run_data, task, Scaler(np.zeros(2), np.ones(2), ("a", "b")), CPU)
    windows = device_data.windows(run_data.index)
    (x,) = windows.seen(windows.locate(torch.arange(len(windows))))
    np.testing.assert_array_equal(x, [series.values[:, start : start + 2] for start in (0, 1, 3, 4, 5)])
    assert device_data.known is None and device_data.eval_context(["a"]).targets is None


def test_what_is_known_ahead_follows_each_window_through_its_horizon():
    """Time features, then covariates, of L + H steps; two rows, the second not given as far as the horizon."""
    lengths, length, horizon = [7, 6], 3, 2
    begins = [datetime.datetime(2023, 12, 31, 20), datetime.datetime(2024, 2, 28, 22)]
    stamps = [
        [begin + datetime.timedelta(hours=h) for h in range(n + 2)] for begin, n in zip(begins, lengths, strict=True)
    ]
    epoch = datetime.datetime(1970, 1, 1)
    time = np.array([int((t - epoch).total_seconds()) * 10**9 for row in stamps for t in row[:-2]], np.int64)
    after = np.array([[[10.0, 11.0], [20.0, np.nan]]], np.float32)
    more = {"time": time, "clock": Clock("h"), "known": ("sun",), "after": after}
    series = series_of(lengths, channels=("a", "sun"), **more)
    run_data, task = opened("forecast", series, length, {"horizon": horizon, "known_future": ("sun",)})
    assert series.clock.marks == ("hour", "weekday", "day", "month")
    forecast = task.forecast_spec(run_data.target_channels, 4, 1)
    scaler, known_scaler = Scaler(np.zeros(1), np.ones(1), ("a",)), Scaler(np.full(1, 2.0), np.full(1, 4.0), ("sun",))
    device_data = DeviceData(run_data, task, scaler, CPU, forecast, known_scaler)
    assert device_data.known.shape == (5, 13 + 2 * horizon)

    def expected(row, step):
        t = stamps[row][step]
        begin, end = rows_of(series)[row]
        sun = series.values[1, begin + step] if begin + step < end else after[0, row, step - lengths[row]]
        calendar = [t.hour / 23, t.weekday() / 6, (t.day - 1) / 30, (t.month - 1) / 11]
        return [value - 0.5 for value in calendar] + [(sun - 2) / 4]

    checked = 0
    for index in (run_data.index, run_data.ahead):
        windows = device_data.windows(index)
        known = windows.seen(windows.locate(torch.arange(len(windows))))[1]
        for n, (row, start) in enumerate(zip(index.rows(), index.starts(), strict=True)):
            first = start - rows_of(series)[row][0]
            wanted = np.array([expected(row, first + step) for step in range(length + horizon)]).T
            np.testing.assert_allclose(known[n], wanted, atol=1e-6)
            checked += 1
    assert checked == (7 - 4) + (6 - 4) + 1  # row 1 cannot be forecast past its end
    assert np.isnan(device_data.known[4, -1]) and torch.isfinite(device_data.known[:4]).all()


def test_known_steps_can_be_times_alone_or_covariates_alone():
    time = np.arange(8, dtype=np.int64) * HOUR
    more = {"time": time, "clock": Clock("h"), "known": ("sun",), "after": np.ones((1, 1, 2), np.float32)}
    series = series_of([8], channels=("a", "sun"), **more)
    run_data, task = opened("forecast", series, 3, {"horizon": 2, "known_future": ("sun",)})
    scaler, known_scaler = Scaler(np.zeros(1), np.ones(1), ("a",)), Scaler(np.zeros(1), np.ones(1), ("sun",))
    times = DeviceData(run_data, task, scaler, CPU, task.forecast_spec((0,), 4, 0), None).known
    np.testing.assert_allclose(times[0], np.arange(10) / 23 - 0.5, atol=1e-6)
    covariates = DeviceData(run_data, task, scaler, CPU, task.forecast_spec((0,), 0, 1), known_scaler).known
    np.testing.assert_array_equal(covariates, [[*series.values[1], 1, 1]])
    assert len(times) == 4
    assert DeviceData(run_data, task, scaler, CPU, task.forecast_spec((0,), 0, 0), None).known is None


# ---- reading


def test_what_a_reader_noticed_is_logged_and_the_time_is_taken(monkeypatch):
    series = series_of([5], notes=("warning: two rows have one id", "a header was found"))
    task = tasks.build("regress", {flag.name: flag.default for flag in tasks.flags("regress")})
    asked, records = [], []
    monkeypatch.setattr(task, "read", lambda config, columns: asked.append(columns) or series)
    monkeypatch.setattr(dataset.log, "log", lambda level, text: records.append((level, text)))
    found, timings = dataset.load(RunConfig(), task, ["b", "a"])
    assert found is series and asked == [["b", "a"]] and timings["load"] >= 0
    assert records == [
        (logging.WARNING, "warning: two rows have one id"),
        (logging.INFO, "a header was found"),
    ]
    monkeypatch.setattr(task, "demo", lambda seed: series_of([seed]))
    assert dataset.load(RunConfig(demo=True, seed=12), task)[0].lengths.tolist() == [12]


def test_seconds_of_a_part_add_up(monkeypatch):
    clock = iter([10.0, 12.5, 20.0, 21.0])
    monkeypatch.setattr(dataset, "perf_counter", lambda: next(clock))
    run_data, _ = opened("regress", series_of([8]), 3)
    for _ in range(2):
        with run_data.timed("train"):
            pass
    assert run_data.timings == {"train": 3.5}


def test_a_made_up_label_is_no_target_and_a_made_up_step_of_a_forecast_is_not_scored():
    series = series_of([20, 12])
    filled = np.zeros(series.values.shape, bool)
    filled[0, [6, 7, 25]] = True
    series = replace(series, filled=filled)
    run_data, _ = opened("regress", series, 4, label_src_ch=0, label_offset=1)
    assert run_data.index.targets().tolist() == [t for t in (*range(4, 20), *range(24, 32)) if t not in (6, 7, 25)]
    other, _ = opened("regress", series, 4, label_src_ch=1, label_offset=1)
    assert len(other.index) == 16 + 8
    run_data, task = opened("forecast", series, 4, {"horizon": 3})
    task.fit(run_data.sample(task, run_data.index), run_data.targets.names)
    truth = run_data.truth(task, run_data.index)
    at = run_data.index.targets()[:, None] + np.arange(3)
    assert np.array_equal(np.isnan(truth).transpose(1, 0, 2), filled[:, at])
    assert len(run_data.index) == 14 + 6 and np.isfinite(run_data.truth_raw(run_data.index)).all()
