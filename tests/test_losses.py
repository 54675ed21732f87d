"""losses.py against plain loops, torch and scikit-learn, and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import f1_score, mean_pinball_loss

from losses import bce_soft_f1, cross_entropy, pinball, regression_loss


def batch(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=draw, dtype=dtype)
    return logits, (torch.rand(shape, generator=draw) < 0.3).to(dtype)


def by_loops(logits: torch.Tensor, y: torch.Tensor, alpha: float, weight: list[float]) -> float:
    """The definition, sample by sample."""
    bce, f1 = 0.0, 0.0
    for k in range(logits.shape[1]):
        tp = fp = fn = 0.0
        for logit, truth in zip(logits[:, k].flatten().tolist(), y[:, k].flatten().tolist(), strict=True):
            p = 1 / (1 + math.exp(-logit))
            bce -= weight[k] * truth * math.log(p) + (1 - truth) * math.log(1 - p)
            tp, fp, fn = tp + p * truth, fp + p * (1 - truth), fn + (1 - p) * truth
        f1 += 2 * tp / (2 * tp + fp + fn) / logits.shape[1]
    return alpha * bce / logits.numel() + (1 - alpha) * (1 - f1)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("weight", [None, [2.0, 0.5, 7.0]])
def test_matches_the_definition(alpha: float, weight: list[float] | None) -> None:
    logits, y = batch(8, 3, 5)
    got = bce_soft_f1(logits, y, alpha, None if weight is None else torch.tensor(weight))
    assert got.shape == ()
    assert got.item() == pytest.approx(by_loops(logits, y, alpha, weight or [1.0] * 3), rel=1e-6)


def test_sure_predictions_give_the_hard_f1() -> None:
    logits, y = batch(200, 1, 1)
    hard = f1_score(y.flatten(), (logits > 0).flatten())
    assert 1 - bce_soft_f1(logits.sign() * 60, y, 0.0).item() == pytest.approx(hard, abs=1e-7)


def test_perfect_prediction_costs_nothing_even_with_an_absent_label() -> None:
    _, y = batch(16, 3, 4)
    y[:, 1] = 0
    assert bce_soft_f1((2 * y - 1) * 60, y, 0.5, torch.full((3,), 9.0)).item() == pytest.approx(0, abs=1e-9)
    assert bce_soft_f1((1 - 2 * y) * 60, y, 0.0).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("logit", [-200.0, -20.0, 0.0, 200.0])
def test_a_batch_without_positives_is_finite_with_a_bounded_gradient(logit: float) -> None:
    logits = torch.full((4, 2, 3), logit, requires_grad=True)
    loss = bce_soft_f1(logits, torch.zeros(4, 2, 3), 0.5)
    loss.backward()
    assert torch.isfinite(loss) and logits.grad is not None
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().sum() <= 0.5 + 0.125


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_gradient_by_finite_differences(alpha: float) -> None:
    logits, y = batch(4, 2, 3)
    weight = torch.tensor([3.0, 0.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: bce_soft_f1(z, y, alpha, weight), logits.requires_grad_())


def test_each_label_weighs_the_same() -> None:
    logits, y = batch(50, 2, 1)
    each = [bce_soft_f1(logits[:, k : k + 1], y[:, k : k + 1], 0.0) for k in range(2)]
    assert bce_soft_f1(logits, y, 0.0).item() == pytest.approx(sum(each).item() / 2)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_summed_in_float32(half: torch.dtype) -> None:
    logits, y = batch(4096, 1, 8, dtype=torch.float32)
    logits = (logits - 6).to(half)  # a rare class: half-precision sums stop growing long before 32,768 terms
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = bce_soft_f1(logits, y, 0.5)
        pointwise = regression_loss("huber")(logits, y)
    assert got.dtype == pointwise.dtype == torch.float32
    assert got.item() == pytest.approx(bce_soft_f1(logits.double(), y.double(), 0.5).item(), rel=1e-5)


def test_bool_targets_and_shapes() -> None:
    logits, y = batch(5, 2, 3)
    assert torch.equal(bce_soft_f1(logits, y.bool(), 0.5), bce_soft_f1(logits, y, 0.5))
    with pytest.raises(ValueError, match="size"):
        bce_soft_f1(logits, y[:, :, 0], 0.5)


def test_one_graph_without_a_look_at_the_data() -> None:
    logits, y = batch(6, 2, 3, dtype=torch.float32)
    weight = torch.tensor([2.0, 3.0])
    compiled = torch.compile(bce_soft_f1, fullgraph=True, backend="eager")  # fullgraph: a graph break is an error
    assert compiled(logits, y, 0.5, weight).item() == pytest.approx(bce_soft_f1(logits, y, 0.5, weight).item())
    on_meta = bce_soft_f1(logits.to("meta"), y.to("meta"), 0.5, weight.to("meta"))  # meta tensors have no values
    assert on_meta.shape == ()


@pytest.mark.parametrize(
    ("name", "pointwise"),
    [
        ("l1", abs),
        ("mse", lambda e: e * e),
        ("huber", lambda e: 0.5 * e * e if abs(e) <= 1 else abs(e) - 0.5),
    ],
)
def test_regression_losses_are_means_of_their_pointwise_forms(name: str, pointwise) -> None:
    pred, y = batch(6, 2, 4)
    pred = 3 * pred
    errors = (pred - y).flatten().tolist()
    loss = regression_loss(name)
    assert loss(pred, y).item() == pytest.approx(sum(map(pointwise, errors)) / len(errors))
    assert loss(y, y).item() == 0
    assert torch.autograd.gradcheck(lambda p: loss(p, y), pred.requires_grad_())


def test_regression_loss_refuses_to_broadcast_and_unknown_names() -> None:
    with pytest.raises(ValueError, match=r"\(4, 1, 1\).*\(4,\)"):
        regression_loss("mse")(torch.zeros(4, 1, 1), torch.zeros(4))
    with pytest.raises(ValueError, match="huber, l1, mse"):
        regression_loss("hubert")


def test_pinball_is_scikit_learns_target_by_target() -> None:
    draw = torch.Generator().manual_seed(1)
    y = torch.randn(6, 2, 4, generator=draw)
    outputs = torch.randn(6, 6, 4, generator=draw)  # three levels of the first target, then of the second
    levels = (0.1, 0.5, 0.8)
    expected = [
        mean_pinball_loss(y[:, k].flatten(), outputs[:, 3 * k + q].flatten(), alpha=level)
        for k in range(2)
        for q, level in enumerate(levels)
    ]
    assert pinball(outputs, y, torch.tensor(levels)).item() == pytest.approx(sum(expected) / 6, rel=1e-5)


def test_cross_entropy_is_minus_the_log_share_of_the_true_class():
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]])[:, :, None]
    y = torch.eye(3)[[1, 0]][:, :, None]
    want = [-math.log(math.exp(row[k]) / sum(map(math.exp, row))) for row, k in (([1, 2, 0.5], 1), ([0, 0, 3], 0))]
    assert cross_entropy(logits, y).item() == pytest.approx(sum(want) / 2, rel=1e-6)
    assert cross_entropy(logits.bfloat16(), y).dtype == torch.float32
    with pytest.raises(ValueError, match="differ in shape"):
        cross_entropy(logits, y[:, :2])
