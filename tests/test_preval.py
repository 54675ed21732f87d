"""Leave-one-out in closed form against refitting, one window left out at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as Peer

from backbones.fitting import Labelled
from backbones.preval import Ridge, Spectrum, moments, platt, solve
from backbones.sums import Sums


def made(n: int, p: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised features [n, p], and one-hot classes [n, K] that depend on them."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=draw)
    x = (x - x.mean(0)) / x.std(0, correction=0)
    score = x[:, :classes] + torch.randn(n, classes, generator=draw)
    return x, torch.nn.functional.one_hot(score.argmax(1), classes).float()


@pytest.mark.parametrize(("n", "p"), [(40, 7), (25, 60)])
@pytest.mark.parametrize("strength", [0.3, 20.0])
def test_leave_one_out_is_refitting(n, p, strength):
    """With an offset that is fitted again, too."""
    x, y = made(n, p, 3)
    ridge = Ridge.of(Spectrum.of(x), y, "class")
    _, found = ridge.leave_one_out([1.0, strength])
    for i in (0, 5, n - 1):
        rest = [j for j in range(n) if j != i]
        model = Peer(alpha=strength).fit(x[rest].double().numpy(), ridge.y[rest].numpy())
        assert np.abs(found[i].numpy() - model.predict(x[i : i + 1].double().numpy())[0]).max() < 3e-4


@pytest.mark.parametrize(("n", "p"), [(40, 7), (25, 60)])
def test_the_map_is_the_ridge(n, p):
    x, y = made(n, p, 2)
    ridge = Ridge.of(Spectrum.of(x), y, "class")
    wanted = Peer(alpha=2.0, fit_intercept=False).fit(x.double().numpy(), ridge.y.numpy()).coef_.T
    assert np.abs(ridge.weight(2.0).numpy() - wanted).max() < 1e-4


def test_probabilities_are_worth_their_loss():
    """On other windows the log-loss is near that of logistic regression, and leaving one out foretold it."""
    for classes, kind in ((3, "class"), (2, "label")):
        x, y = made(400, 10, classes)
        new, truth = made(2000, 10, classes, seed=1)
        y, truth = (y[:, 1:], truth[:, 1:]) if kind == "label" else (y, truth)
        found = solve(Spectrum.of(x), y, kind)
        logits = new.double() @ found.weight + found.offset
        flat = y[:, 0] if kind == "label" else y.argmax(1)
        model = LogisticRegression().fit(x, flat)
        if kind == "label":
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth.double())
            other = torch.nn.functional.binary_cross_entropy(
                torch.from_numpy(model.predict_proba(new)[:, 1]), truth[:, 0].double()
            )
        else:
            loss = torch.nn.functional.cross_entropy(logits, truth.double())
            other = torch.nn.functional.nll_loss(torch.from_numpy(model.predict_log_proba(new)), truth.argmax(1))
        assert float(loss) < 1.05 * float(other)
        assert found.loss == pytest.approx(float(loss), rel=0.15)


def test_a_perfect_fit_is_not_believed():
    """More features than windows, and labels that are noise: the loss says that nothing is known."""
    x = torch.randn(30, 400, generator=torch.Generator().manual_seed(0))
    y = torch.nn.functional.one_hot(torch.randint(0, 2, (30,), generator=torch.Generator().manual_seed(1)), 2).float()
    found = solve(Spectrum.of(x - x.mean(0)), y, "class")
    assert found.loss > 0.6
    new = torch.randn(200, 400, generator=torch.Generator().manual_seed(2)).double()
    assert float((new @ found.weight + found.offset).softmax(1).max()) < 0.95


def test_a_fit_of_nothing_is_not_turned_round():
    """Labels that nothing explains, two numbers fitted: no confidence, and none the wrong way round."""
    x, _ = made(400, 5, 2)
    y = (torch.rand(400, 1, generator=torch.Generator().manual_seed(5)) < 0.5).float()
    found = solve(Spectrum.of(x), y, "label")
    assert found.loss > 0.67 and float((x.double() @ found.weight).abs().max()) < 1.5


def test_platt_finds_a_known_distortion():
    draw = torch.Generator().manual_seed(0)
    logit = torch.randn(20000, generator=draw, dtype=torch.float64)
    y = (torch.rand(20000, generator=draw, dtype=torch.float64) < (1.7 * logit - 0.8).sigmoid()).float()
    scale, offset, _ = platt(logit, y)
    assert scale == pytest.approx(1.7, abs=0.1) and offset == pytest.approx(-0.8, abs=0.06)


def test_a_constant_column_counts_nothing():
    x = torch.randn(50, 3)
    x[:, 1] = 0.1
    mean, scale = moments(x)
    assert torch.isinf(scale[1]) and bool(((x - mean) / scale)[:, 1].eq(0).all())


@pytest.mark.parametrize("kind", ["label", "class", "value"])
def test_blocks_of_windows_give_what_all_of_them_give(kind, monkeypatch):
    """Sums, leverages and strengths some at a time, of windows whose features are made again for each look."""
    x, y = made(300, 12, 3)
    windows = Labelled(lambda numbers: x[numbers], 3 * y if kind == "value" else y, np.arange(len(x)))
    whole = solve(Spectrum.of(x), windows.y, kind)
    monkeypatch.setattr("backbones.fitting.BLOCK", 500)
    monkeypatch.setattr("backbones.sums.BLOCK", 500)
    monkeypatch.setattr("backbones.preval.HELD", 2000)
    standard = Sums.over(windows, windows.y, lambda x: 5 * x - 7).standard()
    assert (standard.mean + 7).abs().max() < 1e-5 and (standard.scale - 5).abs().max() < 1e-5
    blocks = [standard.of(block) for block in windows.blocks(lambda x: 5 * x - 7)]
    assert [len(block) for block in blocks] == [41] * 7 + [13]
    assert (torch.cat(blocks) - x).abs().max() < 1e-5
    found = solve(Spectrum.of_gram(standard.xx, len(x), lambda: blocks), windows.y, kind, standard.xy)
    assert (found.weight - whole.weight).abs().max() < 1e-5 and found.loss == pytest.approx(whole.loss, rel=1e-5)
    assert (found.left_out - whole.left_out).abs().max() < 1e-4
    maps = [(found.weight, found.offset), (0 * found.weight, found.offset)]
    said, none = standard.said(windows, lambda x: 5 * x - 7, maps)
    assert (said - (x.double() @ found.weight + found.offset)).abs().max() < 1e-4
    assert (none - found.offset).abs().max() < 1e-6
