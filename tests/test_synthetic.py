"""sources/synthetic.py: same seed, same numbers; learnable and not trivial; files that the reader reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from readers.paths import expand_paths
from readers.wide import read_wide
from sources import synthetic

ROOT = Path(synthetic.__file__).parent.parent


@pytest.mark.parametrize("seed", range(5))
def test_demand_is_intermittent_whole_and_seeded(seed):
    values = synthetic.demand(400, 120, 4, seed)
    assert values.shape == (4, 400, 120) and values.dtype == np.float32
    assert (values >= 0).all() and (values == np.round(values)).all()
    assert 0.25 < (values[0] > 0).mean() < 0.35
    np.testing.assert_array_equal(values, synthetic.demand(400, 120, 4, seed))
    assert (values != synthetic.demand(400, 120, 4, seed + 1)).any()


def test_the_next_step_is_learnable_and_far_from_certain():
    length, values = 31, synthetic.demand(200, 120, 4, seed=7)
    windows = np.lib.stride_tricks.sliding_window_view(values, length, axis=2)[:, :, :-1]
    x = np.log1p(windows.transpose(1, 2, 0, 3).reshape(200, -1, 4 * length))
    y = values[0, :, length:] > 0
    train, test = slice(0, 150), slice(150, 200)
    model = LogisticRegression(max_iter=500).fit(x[train].reshape(-1, 4 * length), y[train].ravel())
    precision = average_precision_score(y[test].ravel(), model.decision_function(x[test].reshape(-1, 4 * length)))
    assert y[test].mean() + 0.1 < precision < 0.8


def test_series_in_memory():
    series = synthetic.demand_series(10, 40, 3, seed=1)
    np.testing.assert_array_equal(series.view().transpose(1, 0, 2), synthetic.demand(10, 40, 3, seed=1))
    assert series.channels == ("LP1a", "LP2a", "LP3a") and series.rows[:2] == ("0", "1")
    assert "seed 1" in series.notes[0]


def test_files_hold_the_values_and_are_read_without_a_doubt(tmp_path, capsys):
    assert synthetic.main(["--out", f"{tmp_path}/new/demo", "--files", "3", "--rows", "20", "--columns", "30"]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {tmp_path}/new/demo/LP1a.csv .. LP3a.csv: 3 files of 20 x 30")
    series = read_wide(expand_paths([f"{tmp_path}/new/demo/LP{{1..3}}a.csv"]))
    np.testing.assert_array_equal(series.view().transpose(1, 0, 2), synthetic.demand(20, 30, 3, seed=7))
    assert series.notes == () and series.channels == ("LP1a", "LP2a", "LP3a")


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--first", "0", "--files", "1"], ["LP0a.csv"]),
        (["--digits", "3", "--first", "9", "--files", "2"], ["LP009a.csv", "LP010a.csv"]),
        (["--name", "x_{}.csv", "--files", "2"], ["x_1.csv", "x_2.csv"]),
    ],
)
def test_names(tmp_path, flags, names):
    synthetic.main(["--out", str(tmp_path), "--rows", "2", "--columns", "3", *flags])
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--files", "0"], "argument --files: '0' is not a whole number of 1 or more"),
        (["--rows", "-3"], "argument --rows"),
        (["--columns", "x"], "argument --columns: 'x' is not a whole number"),
        (["--seed", "1.5"], "argument --seed"),
        (["--name", "same.csv"], "one {} for the number"),
        (["--name", "a/{}.csv"], "argument --name"),
        (["--out", __file__], "is not a folder"),
    ],
)
def test_bad_arguments_exit_with_2(capsys, flags, part):
    with pytest.raises(SystemExit) as caught:
        synthetic.main(flags)
    assert caught.value.code == 2
    assert part in capsys.readouterr().err


def test_a_disk_that_refuses_is_a_plain_message(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert synthetic.main(["--out", f"{tmp_path}/file/below", "--rows", "2", "--columns", "3"]) == 2
    assert "Not a directory" in capsys.readouterr().err


def test_it_runs_as_a_module_without_torch(tmp_path):
    code = "import sys, sources.synthetic; print({'torch', 'pandas', 'sklearn'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told.strip() == "set()"
    command = [sys.executable, "-m", "sources.synthetic", "--out", str(tmp_path), "--rows", "3", "--columns", "4"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "4 files of 3 x 4" in told and len(list(tmp_path.iterdir())) == 4


def test_rooms_obey_their_equation():
    """Outdoor and heating explain the change of the indoor temperature: what is left is the sensor's 0.1 deg C."""
    indoor, outdoor, heating = synthetic.rooms(rows=20, columns=240, seed=3).astype(float)
    for room in range(20):
        change = np.diff(indoor[room])
        causes = np.stack([outdoor[room, :-1] - indoor[room, :-1], heating[room, :-1]], axis=1)
        (loss, gain), *_ = np.linalg.lstsq(causes, change, rcond=None)
        assert 1 / 100 < loss < 1 / 10 and 0.2 < gain < 0.7
        assert np.std(change - causes @ [loss, gain]) == pytest.approx(0.1 * np.sqrt(2), rel=0.25)
    assert 15 < indoor.mean() < 23 and (heating >= 0).all()
    assert np.array_equal(synthetic.rooms(3, 50, 1), synthetic.rooms(3, 50, 1)) and not np.array_equal(
        synthetic.rooms(3, 50, 1), synthetic.rooms(3, 50, 2)
    )


def test_a_household_is_the_sum_of_its_devices_and_what_has_no_meter():
    series = synthetic.appliance_series(10, seed=3)
    assert series.channels == ("mains", "fridge", "kettle", "washing_machine", "microwave")
    assert series.values.shape == (5, 10 * 10_800) and (np.diff(series.time) == 8 * 10**9).all()
    assert series.clock.show(series.time[:1]) == ["2024-01-01 00:00:00+00:00"]
    np.testing.assert_array_equal(series.values, synthetic.appliance_series(10, seed=3).values)
    assert (series.values != synthetic.appliance_series(10, seed=4).values).any()
    assert (series.values >= 0).all() and (series.values == np.round(series.values)).all()
    rest = series.values[0] - series.values[1:].sum(axis=0)
    nights = rest.reshape(10, -1)[:, :2000].mean(axis=1)  # before 4:30, when no lamp is on
    assert 45 < nights[0] < 65 and 15 < nights[-1] - nights[0] < 21  # standby, and its trend of 20 W
    assert rest.max() > 150


def test_the_devices_of_a_household_differ_as_real_ones_do():
    series = synthetic.appliance_series(14, seed=0, step_seconds=16)
    assert series.clock.freq == "16s" and series.values.shape == (5, 14 * 5400)
    watts = dict(zip(series.channels, series.values, strict=True))
    shapes = {name: (watts[name] > least) for name, least in zip(series.channels[1:], (50, 2000, 20, 200), strict=True)}
    shares = {name: on.mean() for name, on in shapes.items()}
    assert 0.28 < shares["fridge"] < 0.37 and 0.03 < shares["washing_machine"] < 0.12
    assert 0.005 < shares["kettle"] < 0.03 and 0.005 < shares["microwave"] < 0.03
    runs = {name: int((np.diff(on.astype(int)) == 1).sum()) for name, on in shapes.items()}
    assert 320 < runs["fridge"] < 390 and runs["kettle"] > 60 and runs["microwave"] > 50 and runs["washing_machine"] > 9
    washing = watts["washing_machine"][shapes["washing_machine"]]
    rises = np.diff(washing)[(washing[1:] > 400) & (washing[1:] < 1700)]
    assert (rises > 0).mean() > 0.5  # its heating comes on in a ramp


def test_a_house_may_have_another_fridge():
    series = synthetic.appliance_series(4, seed=1, fridge=(150.0, 700.0, 1600.0))
    fridge = series.values[1]
    on = np.diff((fridge > 50).astype(int))
    begins, ends = np.flatnonzero(on == 1), np.flatnonzero(on == -1)
    ends = ends[ends > begins[0]]
    assert np.median(fridge[fridge > 50]) == pytest.approx(150, rel=0.02)
    assert np.median(ends - begins[: len(ends)]) * 8 == pytest.approx(700, rel=0.1)
    assert np.median(begins[1 : len(ends)] - ends[: len(begins) - 1][: len(ends) - 1]) * 8 == pytest.approx(
        1600, rel=0.1
    )
