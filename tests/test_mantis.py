"""backbones/mantis.py, mantis_encoder.py: a small folder laid out as the published ones, and figures of the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from backbones import ModelSpec, TargetSpec, pretrained_files
from backbones.fitting import Fitting
from backbones.mantis_encoder import MantisEncoder, renamed
from backbones.model import Model, build_model
from checkpoint import Checkpoint
from errors import CheckpointError, UsageError
from exporting import export as building

from .published_mantis import CONFIG, weights, write
from .runs import go, good, sampled, strict
from .test_fitted import constant, loss, windows

TIMES = torch.arange(50.0)
SERIES = torch.stack(
    [torch.sin(TIMES / 4), 100 * torch.cos(TIMES / 7) + TIMES, torch.full((50,), 2.0), (TIMES > 20) * 1e-3]
)
# The first numbers of what MantisV1 of mantis-tsfm 1.1.0 (torch 2.13) makes of SERIES, resized to 64, by these weights.
SAID = [
    [-7.5916, -15.5749, 3.2664, 8.2221],
    [-4.3841, -14.5771, -0.8509, 9.4593],
    [-1.2187, -24.1838, 1.1391, 17.8251],
    [-0.5436, -23.5771, -0.0760, 14.2463],
]


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return write(tmp_path / "mantis")


def blank(directory: str | None, kind: str = "class", backbone: str = "mantis", channels: int = 2, **more) -> Model:
    sizes = {"channels": channels, "length": 12, "outputs": 3, "horizon": 1, "head": "pool"} | more
    target = TargetSpec(kind, 3) if backbone == "mantis" else None
    return build_model(ModelSpec(backbone=backbone, target=target, **sizes), directory).eval()


@pytest.mark.parametrize("unit", ["transf_unit", "vit_unit"])
def test_its_vectors_are_those_of_the_package(unit):
    encoder = MantisEncoder(CONFIG).eval()
    encoder.load_state_dict(renamed(weights(CONFIG, unit)))
    with torch.no_grad():
        found = encoder(SERIES[None])
    assert found.shape == (1, 4, 16)
    np.testing.assert_allclose(found[0, :, :4], SAID, atol=2e-4)


def test_a_series_is_described_alone_however_many_there_are():
    encoder = MantisEncoder(CONFIG).eval()
    encoder.load_state_dict(renamed(weights(CONFIG)))
    many = SERIES.repeat(25, 1)[:, None] * torch.arange(1, 101)[:, None, None] / 50  # more than go through at once
    with torch.no_grad():
        whole = encoder(many)
        alone = torch.cat([encoder(one[None]) for one in many])
    torch.testing.assert_close(whole, alone, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("kind", ["value", "label", "class"])
def test_the_map_is_solved_and_the_weights_of_the_directory_stay(directory, kind):
    model = blank(directory, kind)
    train, val, new = (windows(kind, n, seed) for n, seed in ((300, 0), (100, 1), (300, 2)))
    told = model.backbone.fit_windows(Fitting(train, val, 1, "l1" if kind == "value" else ""))
    assert told["features"] == 2 * 16 and told["windows"] == 300
    assert loss(model, new, kind) < 0.9 * constant(new, kind)
    own = renamed(weights(CONFIG))
    kept = model.backbone.body.core.state_dict()
    assert own.keys() == kept.keys() and all(torch.equal(own[key], kept[key]) for key in own)


def test_a_checkpoint_rebuilds_it_without_the_directory(directory):
    model = blank(directory)
    model.backbone.fit_windows(Fitting(windows("class", 60), windows("class", 30, 1), 1))
    again = build_model(ModelSpec.of(json.loads(json.dumps(model.spec.plain())))).eval()
    again.load_state_dict(model.state_dict())
    x = torch.randn(3, 2, 12)
    assert torch.equal(model(x), again(x))


def test_what_it_cannot_do_is_told(directory, tmp_path):
    with pytest.raises(UsageError, match="from a directory on this disk"):
        blank(None)
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        blank(str(tmp_path))
    with pytest.raises(CheckpointError, match=r"missing blocks\.2"):
        blank(write(tmp_path / "deeper", transf_depth=2) and _changed(tmp_path / "deeper", transf_depth=3))
    with pytest.raises(CheckpointError, match="gives transf_depth as 0"):
        blank(_changed(tmp_path / "deeper", transf_depth=0))
    with pytest.raises(CheckpointError, match="64 steps are not 7 patches"):
        blank(_changed(tmp_path / "deeper", transf_depth=2, num_patches=7))
    with pytest.raises(CheckpointError, match=r"'MantisV2' is not one of .*mantis"):
        blank(_changed(tmp_path / "deeper", kernel_size=41))
    other = tmp_path / "gpt2"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "gpt2", "n_layer": 2}')
    with pytest.raises(CheckpointError, match="does not describe Mantis"):
        blank(str(other))
    with pytest.raises(UsageError, match="patch: fixed"):
        blank(directory, backbone="llm_ts", args={"patch": 8})


def _changed(folder: Path, **changed: object) -> str:
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | changed))
    return str(folder)


def test_llm_ts_trains_it_on(directory):
    model = blank(directory, backbone="llm_ts")
    own = renamed(weights(CONFIG))
    assert all(torch.equal(value, own[key]) for key, value in model.backbone.body.core.state_dict().items())
    model.train()
    model(torch.randn(4, 2, 12)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    cut = blank(directory, backbone="llm_ts", args={"layers": 1})
    assert len(cut.backbone.body.core.blocks) == 1


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Series of two channels and 20 to 30 steps, of three classes that differ in their waves."""
    draw, lines, labels = np.random.default_rng(0), ["id,time,a,b"], ["id,kind"]
    for i in range(60):
        steps, kind = np.arange(30), i % 3
        a = np.sin(steps * (0.3 + 0.4 * kind) + draw.normal()) + 0.2 * draw.normal(size=30)
        b = draw.normal(size=30)
        lines += [f"s{i},{k},{x:.4f},{y:.4f}" for k, (x, y) in enumerate(zip(a, b, strict=True))]
        labels.append(f"s{i},{'slow mid fast'.split()[kind]}")
    (tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "y.csv").write_text("\n".join(labels) + "\n")
    return tmp_path


WORDS = "--task classify --csv x.csv --id-col id --time-col time --labels y.csv"


def test_labels_of_series_then_inference_and_export(box, directory, monkeypatch):
    monkeypatch.chdir(box)
    done = go(box, "--mode train --no-plots --backbone mantis --pretrained-dir", directory, WORDS)
    assert done.code == 0 and "validation has" not in done.err  # of classes nothing is chosen there, nor epochs
    run = done.directory
    found = strict(run / "metrics.json")
    assert found["accuracy"] > 0.6 and found["fit"]["features"] == 32
    (box / "mantis" / "model.safetensors").unlink()
    again = good(box, "--mode infer --no-plots --ckpt", run, WORDS, "--eval-split val")
    assert strict(again / "metrics.json")["accuracy"] == pytest.approx(found["accuracy"])
    trial = building.check_of(run / "model.pt.best", [])
    building.build("onnx", trial)  # which checks what comes out
    tuned = good(box, "--mode finetune --no-plots --ckpt", run, WORDS, "--desc tuned")
    kept = Checkpoint.load(tuned / "model.pt.best").state
    own = renamed(weights(CONFIG))
    place = "backbone.banks.banks.0.body.core."
    assert all(torch.equal(kept[place + key], own[key]) for key in own)


@pytest.mark.parametrize("task", ["regress", "nilm", "forecast"])
def test_llm_ts_takes_it_for_every_task(task, directory, tmp_path):
    words = ["--backbone llm_ts --epochs 1 --reference off --no-plots --pretrained-dir", directory]
    run = good(tmp_path, "--mode train --task", task, *sampled(task, tmp_path), *words)
    kept = Checkpoint.load(run / "model.pt.best")
    assert kept.model.pretrained["model_type"] == "mantis"


def test_it_is_not_what_infers_without_a_checkpoint(box, directory):
    done = go(box, "--mode infer --backbone mantis --pretrained-dir", directory, WORDS)
    assert done.code == 2 and "needs --ckpt" in done.err


def test_files_that_are_not_there_are_not_looked_for_elsewhere(box, directory, monkeypatch):
    import socket

    def refuse(*args: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    good(box, "--mode train --no-plots --backbone mantis --reference off --pretrained-dir", directory, WORDS)
    (box / "mantis" / "model.safetensors").unlink()
    done = go(box, "--mode train --no-plots --backbone mantis --pretrained-dir", directory, WORDS, "--desc none")
    assert done.code == 4 and "none of model.safetensors" in done.err
    assert pretrained_files.WEIGHT_FILES[0] == "model.safetensors"


def test_in_auto_it_is_a_member_for_whole_series(box, directory):
    words = [
        WORDS,
        "--backbone auto --no-plots --reference off --model-args members=nearest,quant --pretrained-dir",
        directory,
    ]
    run = good(box, "--mode train", *words)
    found = strict(run / "metrics.json")
    assert list(found["fit"]["members"]) == ["nearest", "quant", "mantis"]
    kept, own = Checkpoint.load(run / "model.pt.best").state, renamed(weights(CONFIG))
    place = "backbone.members.2.banks.banks.0.body.core."
    assert all(torch.equal(kept[place + key], own[key]) for key in own)
    (box / "mantis" / "model.safetensors").unlink()
    again = good(box, "--mode infer --no-plots --ckpt", run, WORDS, "--eval-split val")
    assert strict(again / "metrics.json")["log_loss"] == pytest.approx(found["log_loss"])
    refused = go(box, "--mode train --task regress --demo --backbone auto --pretrained-dir", directory)
    assert refused.code == 2 and "next steps" in refused.err and "--backbone mantis" in refused.err
