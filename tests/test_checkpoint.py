"""checkpoint.py: whole or refused; never code."""

from __future__ import annotations

import csv
import errno
import os
import pickle
import resource

import numpy as np
import pytest
import torch

import checkpoint
from errors import CheckpointError

from .conftest import ROOT
from .runs import good, lay, numbers, preds

CONTENT = {"state": {"w": torch.arange(2000.0)}, "config": {"lr": 1e-3, "csv": ["a"], "tau": None}}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.pt"
    checkpoint.save(path, CONTENT)
    return path


def test_it_comes_back_and_plain_torch_reads_it_too(saved):
    back = checkpoint.read(saved)
    assert back["schema"] == checkpoint.SCHEMA and back["config"] == CONTENT["config"]
    assert torch.equal(back["state"]["w"], CONTENT["state"]["w"])
    assert torch.equal(torch.load(saved, weights_only=True)["state"]["w"], CONTENT["state"]["w"])
    assert sorted(p.name for p in saved.parent.iterdir()) == ["model.pt"]


@pytest.mark.fault("a checkpoint with flipped bits", "exit 4: its checksum is wrong")
@pytest.mark.parametrize("seed", range(40))
def test_any_flipped_bit_is_noticed(saved, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(saved.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    saved.write_bytes(data)
    with pytest.raises(CheckpointError):
        checkpoint.read(saved)


@pytest.mark.fault("a checkpoint that is cut off", "exit 4: it is not whole")
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        checkpoint.read(saved)


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.fault("a malicious checkpoint", "exit 4; none of its code runs, whatever its checksum says")
@pytest.mark.parametrize("signed", [False, True])
def test_code_in_a_checkpoint_never_runs(tmp_path, signed):
    """Neither in a plain pickle, nor in a torch archive that bears a valid checksum."""
    trace, path = tmp_path / "ran", tmp_path / "model.pt"
    if signed:
        checkpoint.save(path, {"state": _Evil(trace)})
    else:
        path.write_bytes(pickle.dumps(_Evil(trace)))
    with pytest.raises(CheckpointError):
        checkpoint.read(path)
    assert not trace.exists()
    if signed:  # the control: torch without weights_only would have run it
        torch.load(path, weights_only=False)
        assert trace.exists()


@pytest.mark.fault(
    "a checkpoint of another schema",
    "older ones load; newer ones are exit 4 with the version that is needed",
)
def test_a_newer_schema_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SCHEMA", checkpoint.SCHEMA + 1)
    checkpoint.save(tmp_path / "model.pt", CONTENT)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="newer than this toolkit's"):
        checkpoint.read(tmp_path / "model.pt")


def test_a_failed_write_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(saved, {"state": {}})
    assert saved.read_bytes() == before


def test_a_directory_means_its_best_then_its_last(tmp_path, saved):
    assert checkpoint.find(str(tmp_path)) == saved
    checkpoint.save(tmp_path / "model.pt.best", CONTENT)
    assert checkpoint.find(str(tmp_path)).name == "model.pt.best"
    assert checkpoint.find(str(saved)) == saved


def test_a_missing_checkpoint_names_its_neighbours(tmp_path, saved):
    run = tmp_path / "train_classify_x"
    run.mkdir()
    saved.rename(run / "model.pt")
    with pytest.raises(CheckpointError, match="no such file") as caught:
        checkpoint.find(str(tmp_path / "train_clasify_x"))
    assert "train_classify_x" in caught.value.hint and caught.value.exit_code == 4
    with pytest.raises(CheckpointError, match=r"no model\.pt\.best or model\.pt"):
        checkpoint.find(str(tmp_path))


@pytest.mark.fault("a checkpoint of another schema")
@pytest.mark.parametrize("task", ["classify", "regress"])
def test_checkpoints_of_schema_1_still_predict(tmp_path, task):
    """A linear model on 4 steps, saved when schema 1 was new: its predictions follow from its numbers by hand."""
    path = ROOT / "tests" / "fixtures" / f"schema1_{task}.pt"
    stored = checkpoint.read(path)
    assert stored["schema"] == 1
    rows = np.round(np.random.default_rng(2).gamma(1.0, size=(3, 9)), 2)
    lay(tmp_path, new=rows.astype(np.float32))
    folder = good(tmp_path, f"--mode infer --task {task} --csv data/new.csv --ckpt {path} --reference off")
    scaler, weights = stored["scaler"], stored["state"]
    x = (rows[:, -4:] - scaler["mean"][0]) / scaler["std"][0]
    output = x @ weights["head.weight"].numpy()[0] + weights["head.bias"].numpy()[0]
    if task == "classify":
        expected, column = 1 / (1 + np.exp(-output)), "y_score"
    else:
        expected, column = output * stored["fitted"]["std"][0] + stored["fitted"]["mean"][0], "y_pred"
    ahead = [line for line in preds(folder) if line["y_true"] == ""]
    assert [line["time"] for line in ahead] == ["9"] * 3
    assert numbers(ahead, column) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("columns", ["mains", "mains,kettle"])
def test_a_meters_checkpoint_of_schema_1_still_predicts(tmp_path, columns):
    """A GRU of two units on 8 steps, saved when a meter's derived inputs were channels: its equations by hand."""
    path = ROOT / "tests" / "fixtures" / "schema1_nilm.pt"
    stored = checkpoint.read(path)
    assert stored["schema"] == 1 and stored["input_channels"] == ["mains", "mains change", "kettle"]
    watts = np.array([90, 91, 2090, 2080, 2085, 95, 92, 90], np.float32)
    lines = [f"2024-01-01 00:00:{10 * i:02d}" if i < 6 else f"2024-01-01 00:01:{10 * i - 60:02d}" for i in range(8)]
    cells = [
        f"{t},{w:g}" + (f",{2000 * (w > 1000)}" if "," in columns else "") for t, w in zip(lines, watts, strict=True)
    ]
    (tmp_path / "new.csv").write_text("\n".join([f"time,{columns}", *cells]) + "\n")
    folder = good(tmp_path, f"--mode infer --csv new.csv --ckpt {path} --task nilm --reference off --no-plots")
    weights = {name: value.numpy().astype(np.float64) for name, value in stored["state"].items()}
    mean, std = (np.array(stored["scaler"][key]) for key in ("mean", "std"))
    state, said = np.zeros(2), []
    for x in (np.stack([watts, np.diff(watts, prepend=watts[:1])], axis=1) - mean) / std:
        inner, outer = (weights[f"backbone.rnn.weight_{k}_l0"] @ v + weights[f"backbone.rnn.bias_{k}_l0"]
                        for k, v in (("ih", x), ("hh", state)))  # fmt: skip
        reset, update = (1 / (1 + np.exp(-(inner[k : k + 2] + outer[k : k + 2]))) for k in (0, 2))
        state = (1 - update) * np.tanh(inner[4:] + reset * outer[4:]) + update * state
        said.append(weights["head.weight"] @ state + weights["head.bias"])
    with (folder / "timeline.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [float(line["kettle p"]) for line in found] == pytest.approx(
        [1 / (1 + np.exp(-y[0])) for y in said], abs=1e-4
    )
    assert ("true on" in " ".join(found[0])) == ("," in columns)


def test_a_disk_that_is_full_while_torch_writes_is_told_as_such(tmp_path):
    """torch makes a RuntimeError of it, which would look like a bug of ours."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError) as error:
            checkpoint.save(tmp_path / "model.pt", {"state": {"weight": torch.ones(1 << 19)}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG and not (tmp_path / "model.pt").exists()


@pytest.mark.parametrize(
    ("config", "clock"), [({"tz": "x"}, None), ({}, {"freq": "s", "tz": "Nowhere"}), ({"tz": 3}, None)]
)
def test_a_time_zone_that_is_none_is_damage(config, clock):
    model = {"backbone": "linear", "args": {}, "length": 4, "channels": 1, "outputs": 1, "horizon": 1, "head": "pool"}
    content = {"config": {"context_len": 4} | config, "model": model, "state": {}, "clock": clock}
    assert "its time zone is none" in list(checkpoint._problems(content))
    good = content | {"config": {"context_len": 4, "tz": "Europe/Berlin"}, "clock": {"freq": "s", "tz": "+01:00"}}
    assert "its time zone is none" not in list(checkpoint._problems(good))
