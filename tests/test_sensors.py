"""The synthetic home robot: what the file holds, that its seed says it all, that its labels follow from its script."""

from __future__ import annotations

import numpy as np
import pytest

from readers.npz import read_npz
from sources import sensors
from tools import synth


@pytest.fixture(scope="module")
def made():
    return sensors.recordings(samples_per_scenario=30, noise=0.1, seed=3)


def test_the_shapes_that_are_asked_for(made):
    n = 30 * 10
    shapes = {"visual": 14, "audio": 17, "pose": 51, "spatial": 7, "time": 10}
    assert {name: made[name].shape for name in shapes} == {name: (n, 30, d) for name, d in shapes.items()}
    assert all(made[name].dtype == np.float32 and np.isfinite(made[name]).all() for name in shapes)
    assert made["labels"].shape == (n, 7) and set(np.unique(made["labels"])) == {0, 1}
    assert all(len(set(made[f"{name}_names"])) == d for name, d in {**shapes, "labels": 7}.items())
    assert (np.unique(made["scenario"], return_counts=True)[1] == 30).all()
    for name in ("visual", "audio", "spatial"):
        assert made[name].min() >= 0 and made[name].max() <= 1
    assert (made["labels"].mean(axis=0) > 0.02).all() and (made["labels"].mean(axis=0) < 0.6).all()


def test_a_seed_says_it_all(made):
    again, other = (sensors.recordings(30, 0.1, seed=seed) for seed in (3, 4))
    assert all(np.array_equal(again[name], values) for name, values in made.items())
    assert not np.array_equal(other["visual"], made["visual"])


def test_labels_are_what_the_script_soiled_and_did_not_clean():
    """Against a walk over every step, which knows nothing of segments."""
    kinds = list(sensors.ACTIVITIES.values())
    activity, zone, soiled = sensors._scripts(np.random.default_rng(1), np.repeat(np.arange(10), 20))
    for n in range(len(activity)):
        state = dict.fromkeys(range(7), False)
        for what, where in zip(activity[n], zone[n], strict=True):
            effect = kinds[what][0]
            state[where] = {1: True, -1: False, 0: state[where]}[effect]
        assert [state[z] for z in range(7)] == soiled[n].tolist()


def test_a_camera_that_knows_more_keeps_its_names(made):
    more = sensors.recordings(5, 0.1, seed=3, sizes={"visual": 20})
    assert more["visual"].shape == (50, 30, 20)
    assert list(more["visual_names"][:14]) == list(made["visual_names"])


def test_without_noise_the_position_names_the_zone():
    quiet = sensors.recordings(5, noise=0.0, seed=2)
    assert set(np.unique(quiet["spatial"])) == {0, 1} and (quiet["spatial"].sum(axis=2) == 1).all()


def test_the_command_writes_a_file_that_a_run_reads(tmp_path, capsys):
    out = tmp_path / "deep" / "raw.npz"
    assert synth.main(["sensors", "--out", str(out), "--samples-per-scenario", "2", "--seed", "5"]) == 0
    assert "visual (20, 30, 14)" in capsys.readouterr().out
    found = read_npz(out, groups="scenario", nan="error")
    assert len(found.channels) == 99 and found.channels[0] == "visual.pan" and found.label_names[0] == "kitchen"
    want = sensors.recordings(2, 0.1, seed=5)
    assert np.array_equal(found.values[:14].reshape(14, 20, 30).transpose(1, 2, 0), want["visual"])


def test_every_modality_has_the_size_that_is_asked_for(tmp_path):
    """Fewer features are the first ones, and more are noise."""
    sizes = {"visual": 23, "audio": 5, "pose": 60, "spatial": 7, "time": 2}
    other = sensors.recordings(5, 0.1, seed=3, sizes=sizes)
    assert {name: other[name].shape for name in sizes} == {name: (50, 30, size) for name, size in sizes.items()}
    assert all(len(other[f"{name}_names"]) == size for name, size in sizes.items())
    assert list(other["visual_names"][19:]) == ["shoe", "noise0", "noise1", "noise2"]
    usual = sensors.recordings(5, 0.1, seed=3)
    smaller = sensors.recordings(5, 0.1, seed=3, sizes={"audio": 5, "time": 2, "spatial": 9})
    assert np.array_equal(smaller["time"], usual["time"][..., :2]) and np.array_equal(smaller["pose"], usual["pose"])
    assert np.array_equal(smaller["spatial"][..., :7], usual["spatial"])
    noise = other["pose"][..., 51:]
    assert abs(noise.std() - 0.1) < 0.01 and abs(noise.mean()) < 0.01
    out = tmp_path / "raw.npz"
    words = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    assert synth.main(["sensors", "--out", str(out), "--samples-per-scenario", "2", *words]) == 0
    assert dict(read_npz(out, nan="error").modalities) == sizes


@pytest.mark.parametrize("words", [["senors"], ["sensors", "--objects", "0"], ["sensors", "--noise", "-1"]])
def test_bad_words_exit_with_2(words, capsys):
    assert synth.main(words) == 2 and "error: argument" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_exits_with_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    words = ["sensors", "--samples-per-scenario", "1", "--out", str(tmp_path / "file" / "raw.npz")]
    assert synth.main(words) == 2 and "error: --out" in capsys.readouterr().err
