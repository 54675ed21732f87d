"""sources/pulses.py and `--task nilm --npz`: synthetic windows of a meter, and how they are read."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from sources import pulses
from tools import synth

from .runs import go, good, strict

SMALL = "--backbone tcn --model-args filters=4 --epochs 1 --no-plots --reference off"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/appliances.npz and .csv: forty windows of sixty-four steps."""
    folder = tmp_path_factory.mktemp("pulses")
    words = [
        "appliances",
        "--samples",
        "40",
        "--steps",
        "64",
        "--seed",
        "3",
        "--out",
        str(folder / "data/appliances.npz"),
    ]
    assert synth.main(words) == 0
    return folder


def test_windows_are_pulses_under_noise_a_trend_and_other_loads() -> None:
    arrays = pulses.windows(400, 200, seed=1)
    mains, watts = arrays["mains"][..., 0], arrays["appliance"][..., 0]
    assert mains.shape == watts.shape == (400, 200) and mains.dtype == np.float32
    on = watts > 0
    assert watts[on].min() >= 500 and watts.max() <= 1500 and on.any(axis=1).all() and not on.all(axis=1).any()
    rest = mains - watts  # the base, its trend, other loads and noise
    assert mains.min() >= 0 and (rest.mean(axis=1) > 50).all()
    inside = (np.diff(watts, axis=1) == 0) & (np.abs(np.diff(rest, axis=1)) < 40 + 3 * 50 * 2**0.5)
    assert np.diff(rest, axis=1)[inside].std() / 2**0.5 == pytest.approx(50, rel=0.15)
    assert np.array_equal(arrays["mains"], pulses.windows(400, 200, seed=1)["mains"])
    assert not np.array_equal(arrays["mains"], pulses.windows(400, 200, seed=2)["mains"])


def test_the_table_holds_the_same_windows_an_hour_apart(made: Path) -> None:
    arrays = np.load(made / "data" / "appliances.npz")
    with (made / "data" / "appliances.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 40 * 64
    for name in ("mains", "appliance"):
        np.testing.assert_allclose([float(line[name]) for line in lines], arrays[name].ravel(), atol=0.051)
    times = np.array([line["time"] for line in lines], "datetime64[s]")
    gaps = np.diff(times).astype(int)
    assert set(gaps) == {8, 8 + 3600} and (gaps == 3608).sum() == 39


def test_each_window_of_an_npz_is_a_row_that_a_model_sees_whole(made: Path) -> None:
    folder = good(made, f"--mode train --task nilm --npz data/appliances.npz --test-ratio 0.2 {SMALL}")
    assert folder.name == "train_nilm_ctx64_ch2_both_tcn_seed777_splitgroup"
    manifest = strict(folder / "manifest.json")
    assert manifest["data"]["rows"] == 40 and manifest["data"]["channels"] == ["mains", "appliance"]
    assert "has no times: a step is 8 s" in manifest["data"]["notes"][-1]
    assert sum(manifest["split"][part]["windows"] for part in ("train", "val", "test")) == 40
    again = good(made, f"--mode infer --npz data/appliances.npz --ckpt {folder} --no-plots --eval-split test")
    one, two = (strict(place / "summary.json") for place in (folder, again))
    assert one["mae"] == pytest.approx(two["mae"]) and two["n"] == manifest["split"]["test"]["windows"]
    scale = strict(folder / "normalizer.json")
    on = np.load(made / "data" / "appliances.npz")["appliance"]
    rows = manifest["split"]["rows"]["train"]
    assert scale["outputs"] == ["appliance"] and scale["output_unit"] == "W"
    assert scale["output_factor"] == [pytest.approx(on[rows][on[rows] > 0].mean(), rel=1e-3)]


def test_the_table_is_read_as_a_house(made: Path) -> None:
    words = (
        "--csv data/appliances.csv --time-col time --mains-col mains --device-cols appliance --window 64 --stride 64"
    )
    done = go(made, f"--mode train --task nilm {words} {SMALL} --dry-run --json")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("arrays", "flags", "text"),
    [
        ({"main": (4, 9, 1), "tv": (4, 9, 1)}, "", "there is no channel 'mains'"),
        ({"mains": (4, 9, 1), "tv": (4, 9, 1)}, "--device-cols tw", "there is no channel 'tw'"),
        ({"mains": (4, 9, 2), "tv": (4, 9, 1)}, "", "mains: a meter has one value a step, (N, T, 1)"),
        ({"mains": (4, 9, 1)}, "", "names no device"),
    ],
)
def test_what_is_no_meter(tmp_path: Path, arrays: dict, flags: str, text: str) -> None:
    np.savez(tmp_path / "a.npz", **{name: np.ones(shape) for name, shape in arrays.items()})
    done = go(tmp_path, f"--mode train --task nilm --npz a.npz {flags} {SMALL}")
    assert done.code in (2, 3) and text in done.err, done.err


def test_flags_of_the_other_kind_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert synth.main(["sensors", "--samples", "3"]) == 2
    assert "--samples belongs to appliances" in capsys.readouterr().err
    assert synth.main(["appliances", "--noise", "3", "--visual", "4"]) == 2
    assert "--noise, --visual belong to sensors" in capsys.readouterr().err
