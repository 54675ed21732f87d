"""The closed form under a net of whole series: against its parts, each solved by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbones import InputSpec, ModelSpec, backbone_class
from backbones.base import Hyper
from backbones.fitted import loss_of
from backbones.fitting import Fitting, Labelled
from backbones.model import build_model
from backbones.shapes import PRIOR, Shapes, suits
from backbones.specs import TargetSpec

from .runs import good, strict

CLASS = TargetSpec("class", 3, whole=True)


def series(n: int, seed: int, channels: int = 2, length: int = 24, classes: int = 3) -> Labelled:
    """Noise with a step of one of three sizes."""
    x = torch.randn(n, channels, length, generator=torch.Generator().manual_seed(seed))
    kind = torch.arange(n) % classes
    x[:, 0, 10:] += 2.0 * kind[:, None]
    return Labelled(lambda i: x[i], torch.nn.functional.one_hot(kind, 3).float(), np.arange(n))


def fitted(train: Labelled, target: TargetSpec = CLASS, channels: int = 2, length: int = 24) -> tuple[Shapes, dict]:
    made = Shapes(target, channels, length)
    _, told = made.fit(Fitting(train, train, 3), target, [0.0] * target.outputs)
    return made, told


def test_it_is_the_weighted_mean_of_maps_of_its_parts():
    train, other = series(24, 0), series(30, 1)
    shapes, told = fitted(train)
    assert list(told["of"]) == list(PRIOR) and sum(told["of"].values()) == pytest.approx(1, abs=1e-3)
    x = other.read(torch.arange(30))
    said = torch.zeros(30, 3)
    for name, features in (("convolutions", "hydra+minirocket"), ("intervals", "intervals")):
        alone = backbone_class("rocket")(
            InputSpec(channels=2, length=24, target=CLASS), Hyper("rocket", {"features": features})
        )
        alone.fit_windows(Fitting(train, train, 3))
        said += told["of"][name] * alone.answer(x)
    rest = shapes.outputs_of(x) - said
    steps = shapes.banks["steps"](x)
    theirs = shapes.weight[:, -steps.shape[1] :]
    offset = rest - steps @ theirs.T
    assert (offset - offset[0]).abs().max() < 0.01  # what is left is the map of the steps and its offset
    assert loss_of(shapes.outputs_of(x), other.y, "class", "") < 0.6


def test_copies_of_a_series_in_its_group_do_not_speak_for_a_map():
    """Labels drawn for groups of copies: left out alone a series is known by its like, without its group by nothing."""
    draw = torch.Generator().manual_seed(4)
    group = np.repeat(np.arange(20), 5)
    x = torch.randn(20, 1, 30, generator=draw)[group] + 0.01 * torch.randn(100, 1, 30, generator=draw)
    y = (torch.rand(20, 1, generator=draw) < 0.5).float()[group]
    target, losses = TargetSpec("label", 1, whole=True), []
    for groups in (np.arange(100), group):
        shapes = Shapes(target, 1, 30)
        _, told = shapes.fit(Fitting(*[Labelled(lambda i: x[i], y, groups)] * 2, 3), target, [0.0])
        losses.append(told["loo_loss"])
        assert torch.isfinite(shapes.outputs_of(x)).all()
    assert losses[0] < 0.1 and losses[1] > 0.6
    assert shapes.outputs_of(x).abs().max() < 3  # and is not sure of what it has seen


def test_the_checkpoint_builds_it_again():
    spec = ModelSpec(
        backbone="gru",
        channels=2,
        length=24,
        outputs=3,
        horizon=1,
        head="pool",
        wide=CLASS,
        shapes=True,
    )
    model = build_model(spec).eval()
    train = series(12, 0)
    model.wide.fit(Fitting(train, train, 0), CLASS, [0.0] * 3)
    again = build_model(ModelSpec.of(model.spec.plain())).eval()
    again.load_state_dict(model.state_dict())
    x = series(5, 2).read(torch.arange(5))
    assert torch.equal(again(x), model(x)) and not torch.equal(model(x), model(x, torch.zeros(5, 3, 1)))
    assert not any(name.startswith("wide") for name, _ in model.named_parameters())


@pytest.mark.parametrize(("channels", "length", "kinds"), [(1, 5, 3), (1, 1, 3), (2, 60, 2)])
def test_series_of_any_length_have_one(monkeypatch, channels, length, kinds):
    monkeypatch.setattr("backbones.shapes.WIDEST", 500)
    x = torch.randn(10, channels, length, generator=torch.Generator().manual_seed(0))
    x[:, -1] = 0.5  # a channel that is constant
    y = torch.nn.functional.one_hot(torch.tensor([0, 1] * 4 + [0, 0]), 3).float()  # the third class has no series
    shapes, _ = fitted(Labelled(lambda i: x[i], y, np.arange(10)), CLASS, channels, length)
    assert len(shapes.banks) == kinds and torch.isfinite(shapes.outputs_of(x * 1e6)).all()
    assert (shapes.outputs_of(x).argmax(1) != 2).all()


def test_labels_of_whole_series_have_one_and_values_and_windows_do_not():
    assert suits(CLASS) and suits(TargetSpec("label", 2, whole=True))
    for other in (
        None,
        TargetSpec("value", 1, whole=True),
        TargetSpec("label", 1),
        TargetSpec("class", 1000, whole=True),
    ):
        assert not suits(other)


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_run_describes_validation_once_for_its_shares_and_once_for_each_of_its_weights(tmp_path, monkeypatch, epochs):
    """And scores what the run that asks anew each time scores: the checkpoint, in a process that knows nothing."""
    draw = np.random.default_rng(2)
    kind = draw.integers(0, 2, 60)
    np.savetxt(
        tmp_path / "x.txt", draw.normal(0, 1, (60, 20)) + 0.8 * kind[:, None] * (np.arange(20) > 12), "%.4f", ","
    )
    np.savetxt(tmp_path / "y.txt", kind, "%d")
    described, whole = [], Shapes.describe
    monkeypatch.setattr(Shapes, "describe", lambda self, x: (described.append(len(x)), whole(self, x))[1])
    line = "--task classify --csv x.txt --labels y.txt --no-plots --quiet"
    run = good(tmp_path, "--mode train", line, f"--backbone gru --epochs {epochs} --reference off --tag run")
    told = strict(run / "metrics.json")
    assert told["split"] == "val" and "shares" in told["wide"]
    assert sum(described) <= told["n"] * (2 if epochs == 1 else 3)
    words = f"--mode infer {line} --ckpt {run} --eval-split val --tag again"
    assert strict(good(tmp_path, words) / "metrics.json")["headline"] == pytest.approx(told["headline"], rel=1e-6)


def test_rounding_is_no_feature_of_series_that_were_standardised_one_by_one():
    """Their means are 0 but for rounding, which was blown up to a deviation of 1: an exported model, which scales by
    itself, was refused, and so said something else."""
    plain = series(60, 0, channels=1).read(torch.arange(60)).double()
    x = ((plain - plain.mean(2, keepdim=True)) / plain.std(2, keepdim=True, correction=0)).float()
    y = torch.nn.functional.one_hot(torch.arange(60) % 3, 3).float()
    shapes, _ = fitted(Labelled(lambda i: x[i], y, np.arange(60)), channels=1)
    with torch.no_grad():
        said, again = shapes.outputs_of(x), shapes.outputs_of(x * (1 + 2e-7) + 3e-8)
    assert float((said - again).abs().max()) < 2e-4 * float(said.abs().max())
