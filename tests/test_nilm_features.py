"""tasks/nilm/features.py and targets.py: what is made as windows are read is what was made of the whole before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import cli
import dataset
import tasks
import windows
from data import Series
from scaler import Scaler
from tasks.nilm import features
from tasks.nilm.features import FEATURES, LEAST, Held, MeterFeatures
from tasks.nilm.loads import other_loads
from tasks.nilm.states import UNKNOWN
from tasks.nilm.targets import DeviceTargets, Overlaid
from tasks.nilm.taus import few_runs, tell_few
from times.clock import Clock
from times.frequencies import fixed_freq

SECOND = 10**9


def house(seed: int = 0) -> Series:
    """Two rows of a meter over two devices, with gaps in the power and one at a row's very beginning."""
    random = np.random.default_rng(seed)
    values = random.gamma(1.0, 300, (3, 5000)).astype(np.float32)
    values[0, [700, 701, 2100, 2101, 2102, 3000]] = np.nan
    values[1, 1500:1510] = np.nan
    values[2] *= random.random(5000) < 0.2
    values[2, ::97] = -3
    offsets = np.array([0, 2100, 5000])
    time = np.concatenate([np.arange(2100), 10**6 + np.arange(2900)]) * SECOND
    clock = Clock(fixed_freq(SECOND), "Europe/Berlin")
    return Series(values, offsets, ("total", "a", "b"), ("one", "two"), time=time, clock=clock)


def looped(series: Series) -> dict[str, np.ndarray]:
    """Every input, step by step."""
    found = {name: np.zeros(5000) for name in FEATURES}
    mains = series.values[0].astype(np.float64)
    for begin, end in zip(series.offsets[:-1], series.offsets[1:], strict=True):
        for i in range(begin, end):
            found["mains"][i] = mains[i]
            known = i > begin and not np.isnan(mains[i - 1])
            found["mains change"][i] = mains[i] - mains[i - 1] if known else 0
            gaps = np.flatnonzero(np.isnan(mains[begin:end])) + begin  # a gap ends what is around, as an end does
            since, until = max([begin - 1, *gaps[gaps <= i]]) + 1, min([end, *gaps[gaps >= i]])
            around = mains[max(i - 900, since) : min(i + 900, until)]
            found["mains above minimum"][i] = mains[i] - around.min() if len(around) else np.nan
            hour = (series.time[i] / SECOND + 3600) % 86400 / 86400  # Berlin in January 1970
            found["hour sine"][i], found["hour cosine"][i] = np.sin(2 * np.pi * hour), np.cos(2 * np.pi * hour)
    for name in ("mains", "mains change", "mains above minimum"):
        found["log " + name] = np.arcsinh(found[name] / 20)
    return found


@pytest.mark.parametrize("extra", [(), ("above", "log"), ("hour",), ("above", "log", "hour")])
def test_windows_hold_the_inputs_of_a_plain_loop(extra):
    series = house()
    views = MeterFeatures(series, extra)
    wanted = np.stack([looped(series)[name] for name in views.channels])
    usable = ~np.isnan(series.values[0])
    whole = np.stack(list(views.columns()))
    np.testing.assert_allclose(whole[:, usable], wanted[:, usable], rtol=1e-5, atol=2e-4)
    seen = usable & (np.arange(5000) < 1900)
    scaler = Scaler.fit(views.columns(), seen, views.channels)
    np.testing.assert_allclose(scaler.mean, wanted[:, seen].mean(axis=1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scaler.std, wanted[:, seen].std(axis=1), rtol=1e-4)
    starts = np.array([0, 5, 702, 1500, 2103, 3001, 4900])
    x = views.read(scaler, torch.device("cpu")).read(torch.from_numpy(starts), 60).numpy()
    assert x.shape == (len(starts), len(views.channels), 60)
    scaled = (wanted - scaler.mean[:, None]) / scaler.std[:, None]
    for window, start in zip(x, starts, strict=True):
        np.testing.assert_allclose(window, scaled[:, start : start + 60], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("extra", [("above",), ("above", "log")])
def test_a_minimum_kept_as_runs_reads_as_the_column_does(extra, monkeypatch):
    series, cpu = house(), torch.device("cpu")
    inputs = MeterFeatures(series, extra).channels
    scaler = Scaler(np.zeros(len(inputs)), np.ones(len(inputs)), inputs)
    found = MeterFeatures(series, extra).read(scaler, cpu)
    assert isinstance(found._columns[LEAST], Held)
    monkeypatch.setattr(features, "RUN_BYTES", 1 << 20)
    whole = MeterFeatures(series, extra).read(scaler, cpu)
    assert isinstance(whole._columns[LEAST], torch.Tensor)
    starts, more = torch.tensor([0, 1, 699, 2090, 2100, 4990]), torch.full((6, 10), 3.0)
    for added in (None, more):
        torch.testing.assert_close(
            found.read(starts, 10, added), whole.read(starts, 10, added), rtol=0, atol=0, equal_nan=True
        )


def task_with(constants):
    """A fitted task."""
    task = tasks.build("nilm", {flag.name: flag.default for flag in tasks.flags("nilm")})
    task.load_fitted(constants)
    return task


def targets_of(series: Series, states: np.ndarray) -> DeviceTargets:
    """The targets of two devices, which every house of the series has."""
    absent = np.zeros((2, series.n_rows), bool)
    given = {"states": states, "offsets": series.offsets, "absent": absent, "mains": series.values[0]}
    return DeviceTargets(series.values[1:], ("a", "b"), per_row=False, **given)


def test_targets_are_states_and_watts_in_units_of_the_mean_up_to_the_peak():
    series = house()
    states = (series.values[1:] > 300).astype(np.int8)
    states[1, 40:50] = UNKNOWN
    targets = targets_of(series, states)
    fitted = {"peak": [800.0, 500.0], "on_mean": [200.0, 100.0]}
    y = targets.read(task_with(fitted), torch.device("cpu")).read(torch.tensor([10, 2500]), 25).numpy()
    for window, start in zip(y, (10, 2500), strict=True):
        part = slice(start, start + 25)
        np.testing.assert_array_equal(window[:2], states[:, part])
        for k, (peak, mean) in enumerate(((800, 200), (500, 100))):
            watts = [min(max(w, 0), peak) / mean for w in series.values[1 + k, part]]
            np.testing.assert_allclose(window[2 + k], watts, rtol=1e-6)
    usable = targets.usable()
    assert not usable[40:50].any() and not usable[1500:1510].any() and usable.sum() == 5000 - 20


def test_what_is_learned_of_a_device_is_that_of_its_known_steps():
    series = house()
    states = np.where(np.isnan(series.values[1:]), UNKNOWN, series.values[1:] > 300).astype(np.int8)
    targets = targets_of(series, states)
    steps = np.arange(5000) < 3500
    sample = targets.during(steps)
    for k in range(2):
        watts = series.values[1 + k, :3500].astype(np.float64)
        known = watts[~np.isnan(watts)]
        assert sample.on_rates()[k] == pytest.approx((known > 300).mean())
        np.testing.assert_array_equal(sample.drawn(k), known[known > 300])
        assert sample.means()[2 + k] == pytest.approx(np.maximum(known, 0).mean())
    assert targets.during(np.zeros(5000, bool)).means() == []


def test_validation_and_test_are_judged_by_ten_windows_a_step_at_most():
    words = "--mode train --task nilm --demo --window 100 --stride 1 --nilm-features none"
    config = cli.parse(words.split())
    task = tasks.build("nilm", config.options)
    config = replace(config, **task.finalize_config(config, 100))
    run_data = dataset.open_run_data(config, task, task.demo(0), {})
    (split,) = dataset.make_splits(run_data)
    assert (split.train.stride, split.val.stride, split.test.stride) == (1, 10, 10)
    steps = int(run_data.series.offsets[-1])
    assert len(split.train) == round(steps * 0.7) - 99
    for part, other in ((split.val, split.test), (split.test, split.val)):
        assert part.targeted(steps).sum() > 0.14 * steps and not (part.targeted(steps) & other.targeted(steps)).any()
    inferring = cli.parse(["--mode", "infer", "--ckpt", "x", *words.split()[2:]])
    assert task.finalize_config(inferring, 100) == {"stride": 10}


def test_overlaid_windows_are_those_of_a_plain_loop():
    """A trace is added to the meter and its device, never to one that is on, and the change follows the sum."""
    random = np.random.default_rng(4)
    steps, length, chance = 4000, 50, 0.6
    watts = np.where(random.random((2, steps // 40)).repeat(40, axis=1) < 0.3, 500.0, 0).astype(np.float32)
    mains = watts.sum(axis=0) + random.gamma(2, 50, steps).astype(np.float32)
    offsets, time = np.array([0, steps]), np.arange(steps) * SECOND
    series = Series(
        np.stack([mains, *watts]), offsets, ("m", "a", "b"), ("r",), time=time, clock=Clock(fixed_freq(SECOND))
    )
    targets = targets_of(series, (watts > 0).astype(np.int8))
    views, cpu = MeterFeatures(series, ("above",)), torch.device("cpu")
    scaler = Scaler.fit(views.columns(), np.ones(steps, bool), views.channels)
    targets = targets.read(task_with({"peak": [1000.0, 300.0], "on_mean": [500.0, 250.0]}), cpu)
    index = windows.cover(offsets, np.ones(steps, bool), length=length, stride=10)
    over = Overlaid(views.read(scaler, cpu), targets, index, chance)
    numbers = torch.arange(0, len(index), 7)
    torch.manual_seed(9)
    x, y = over.gather(over.locate(numbers))
    torch.manual_seed(9)
    others, dice = torch.randint(len(index), (len(numbers),)), torch.rand(len(numbers), 2)
    least, laid = looped_least(mains), 0
    for i, number in enumerate(numbers.tolist()):
        start, other = number * 10, int(others[i]) * 10
        own, more = watts[:, start : start + length].copy(), watts[:, other : other + length]
        power = mains[start : start + length].copy()
        before = mains[start - 1] if start else None
        for k in range(2):
            if dice[i, k] < chance and not (own[k].any() and more[k].any()):
                laid += bool(more[k].any())
                own[k] += more[k]
                power += more[k]
                before = None if before is None else before + more[k, 0]
        change = np.diff(power, prepend=power[0] if before is None else before)
        wanted = np.stack([power, change, power - least[start : start + length]])
        wanted = (wanted - scaler.mean[:, None]) / scaler.std[:, None]
        np.testing.assert_allclose(x[i], wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(y[i, :2], own > 0)
        np.testing.assert_allclose(y[i, 2:], np.minimum(own, [[1000], [300]]) / [[500], [250]], rtol=1e-6)
    assert laid > 10


def looped_least(mains: np.ndarray) -> np.ndarray:
    return np.array([mains[max(i - 900, 0) : i + 900].min() for i in range(len(mains))])


def test_another_base_load_moves_the_level_alone():
    """Power moves so that its least is another one; the change and what is above the half-hour minimum stay."""
    random = np.random.default_rng(5)
    mains = random.gamma(2, 50, 3000).astype(np.float32) + 80
    watts = np.zeros((1, 3000), np.float32)
    offsets, time = np.array([0, 3000]), np.arange(3000) * SECOND
    clock = Clock(fixed_freq(SECOND), "UTC")
    series = Series(np.stack([mains, *watts]), offsets, ("m", "a"), ("r",), time=time, clock=clock)
    views, cpu = MeterFeatures(series, ("above",)), torch.device("cpu")
    scaler = Scaler.fit(views.columns(), np.ones(3000, bool), views.channels)
    targets = targets_of(series, watts.astype(np.int8)).read(task_with({"peak": [9.0], "on_mean": [5.0]}), cpu)
    index = windows.cover(offsets, np.ones(3000, bool), length=50, stride=10)
    over = Overlaid(views.read(scaler, cpu), targets, index, 0.0, 0.7)
    positions = over.locate(torch.arange(0, len(index), 9))
    torch.manual_seed(3)
    x, _ = over.gather(positions)
    plain, _ = windows.Windows(over.inputs, targets, index).gather(positions)
    torch.testing.assert_close(x[:, 1:], plain[:, 1:])
    power = x[:, 0].numpy() * scaler.std[0] + scaler.mean[0]
    moved = 0
    for i, start in enumerate(positions[0].tolist()):
        shift = power[i] - mains[start : start + 50]
        assert np.ptp(shift) < 0.05 and -0.1 < power[i].min() < 500.1
        moved += abs(shift.mean()) > 0.1
    assert 0.5 * len(power) < moved < 0.9 * len(power)


def test_runs_of_validation_are_counted_by_stretch():
    states = np.zeros((2, 30), np.int8)
    states[0, [0, 1, 5, 9, 10, 20, 21]] = 1
    states[1, 12] = UNKNOWN
    series = Series(np.zeros((3, 30), np.float32), np.array([0, 20, 30]), ("m", "a", "b"), ("r", "s"))
    steps = np.ones(30, bool)
    steps[[6, 9]] = False
    sample = targets_of(series, states).during(steps)
    assert sample.activations() == [4, 0]  # 0 to 1; 5; 10, after a step that is not seen; 20, in another house
    assert few_runs({"a": 4, "b": 12}) == {"runs": {"a": 4}} and few_runs({"b": 12}) == {}


def test_other_loads_are_on_the_meter_and_on_no_device():
    torch.manual_seed(7)
    drawn = other_loads(4000, 600, 16.0, 0.3).numpy()
    some = drawn.any(axis=1)
    assert 0.2 < some.mean() < 0.3  # some of them end, or have a break, where the window is
    levels = np.array([row[row > 0].mean() for row in drawn[some]])
    assert 45 < levels.min() < 60 and 2500 < levels.max() < 3150 and 330 < np.median(levels) < 450  # sqrt(50 x 3000)
    assert not other_loads(5, 600, 16.0, 0.0).any()
    hourly = other_loads(4000, 48, 3600.0, 1.0).numpy()  # 50 W for 16 s are .2 W in the mean of an hour
    assert (
        hourly.any(axis=1).mean() > 0.5 and 0.1 < hourly[hourly > 0].min() < 0.5 and np.median(hourly[hourly > 0]) < 200
    )


def test_windows_with_other_loads_keep_the_truth():
    mains, watts = np.full(900, 80, np.float32), np.zeros((1, 900), np.float32)
    offsets, clock = np.array([0, 900]), Clock(fixed_freq(8 * SECOND), "UTC")
    series = Series(
        np.stack([mains, *watts]), offsets, ("m", "a"), ("r",), time=8 * np.arange(900) * SECOND, clock=clock
    )
    views, cpu = MeterFeatures(series, ("above",)), torch.device("cpu")
    scaler = Scaler.fit(views.columns(), np.ones(900, bool), views.channels)
    targets = targets_of(series, watts.astype(np.int8)).read(task_with({"peak": [9.0], "on_mean": [5.0]}), cpu)
    index = windows.cover(offsets, np.ones(900, bool), length=100, stride=10)
    over = Overlaid(views.read(scaler, cpu), targets, index, 0, 0, 1.0)
    torch.manual_seed(2)
    x, y = over.gather(over.locate(torch.arange(80)))
    power, change, above = (x * torch.tensor(scaler.std)[:, None] + torch.tensor(scaler.mean)[:, None]).unbind(1)
    added = power - 80
    assert not y.any() and (added > 40).any(dim=1).float().mean() > 0.4
    torch.testing.assert_close(above, added, atol=0.01, rtol=0)
    torch.testing.assert_close(change[:, 1:], torch.diff(added, dim=1), atol=0.01, rtol=0)


def test_devices_that_ran_a_few_times_in_training_are_told(caplog):
    caplog.set_level("INFO", "tsrun")
    tell_few({"kettle": 4, "fridge": 5, "oven": 0})
    assert "training holds few runs (4 of kettle): too little to learn a device from" in caplog.text
