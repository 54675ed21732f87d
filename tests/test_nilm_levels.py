"""tasks/nilm/levels.py: levels learned by k-medians, their loss and their median, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from backbones.specs import fits
from tasks.nilm.levels import APART, learned_levels, level_loss, mean_power, median_power, split_outputs
from tasks.nilm.loss import loss_of
from tasks.nilm.outputs import decoded

LEVELS = torch.tensor([[0.0, 0.5, 1.0], [0.2, 1.0, 3.0]])


def logits_of(seed: int, *shape: int) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def looped_medians(values: np.ndarray, count: int) -> np.ndarray:
    levels = (np.quantile(values, (np.arange(count) + 0.5) / count) + np.linspace(0, values.max(), count)) / 2
    for _ in range(30):
        nearest = np.array([int(np.argmin([abs(value - level) for level in levels])) for value in values])
        levels = np.sort([np.median(values[nearest == i]) if (nearest == i).any() else levels[i] for i in range(count)])
    return levels + APART * np.arange(count)


def test_levels_are_the_medians_of_what_is_nearest():
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(m, s, 60) for m, s in ((0.1, 0.01), (0.9, 0.05), (2.5, 0.2))]).clip(0)
    found = learned_levels(values.astype(np.float32), 5)
    np.testing.assert_allclose(found, looped_medians(values.astype(np.float32).astype(np.float64), 5), atol=1e-9)
    assert min(abs(np.array(found) - 0.1)) < 0.01 and len(learned_levels(values)) == 12


@pytest.mark.parametrize("drawn", [[], [2.0], [1.0] * 50])
def test_few_or_equal_values_have_levels_that_rise(drawn):
    found = np.array(learned_levels(np.array(drawn, np.float32)))
    assert len(found) == 12 and (np.diff(found) > 0).all() and np.isfinite(found).all()
    assert not drawn or abs(found - drawn[0]).min() < 12 * APART


def test_what_is_said_is_the_median_level_and_what_is_learned_the_mean():
    logits = logits_of(1, 4, 2, 3, 5)
    mean, median = mean_power(logits, LEVELS), median_power(logits, LEVELS)
    for b, k, t in np.ndindex(4, 2, 5):
        share = np.exp(logits[b, k, :, t].double().numpy())
        share /= share.sum()
        levels = LEVELS[k].double().numpy()
        assert float(mean[b, k, t]) == pytest.approx(float(share @ levels), rel=1e-5)
        assert float(median[b, k, t]) == pytest.approx(levels[int(np.argmax(np.cumsum(share) >= 0.5))], rel=1e-5)


def test_the_loss_of_levels_is_that_of_a_plain_loop():
    logits, random = logits_of(2, 3, 2, 3, 6), np.random.default_rng(2)
    watts = torch.tensor(random.uniform(-0.2, 3.4, (3, 2, 6)), dtype=torch.float32)
    on = torch.tensor(random.random((3, 2, 6)) < 0.5, dtype=torch.float32)
    each = []
    for k in range(2):
        levels, losses = LEVELS[k].tolist(), []
        for b, t in np.ndindex(3, 6):
            if on[b, k, t]:
                y = min(max(float(watts[b, k, t]), levels[0]), levels[-1])
                high = next(i for i in (1, 2) if y <= levels[i])
                up = (y - levels[high - 1]) / (levels[high] - levels[high - 1])
                log_share = torch.log_softmax(logits[b, k, :, t].double(), dim=0).tolist()
                losses.append(-up * log_share[high] - (1 - up) * log_share[high - 1])
        each.append(sum(losses) / len(losses))
    assert float(level_loss(logits, LEVELS, watts, on)) == pytest.approx(sum(each) / 2, rel=1e-5)
    assert float(level_loss(logits, LEVELS, watts, 0 * on)) == 0


def test_nothing_is_learned_where_the_truth_is_not_known():
    outputs = logits_of(3, 2, 2 + 2 * 3, 7).requires_grad_()
    y = torch.rand(2, 4, 7, generator=torch.Generator().manual_seed(4)).round()
    y[0, 1] = y[0, 3] = math.nan  # a house without the second device
    loss = loss_of("both", torch.ones(2), LEVELS)(outputs, y)
    loss.backward()
    choice = split_outputs(outputs.grad, 2)
    assert float(loss.detach()) > 0 and choice[0][0, 0].abs().sum() > 0
    assert not choice[0][0, 1].any() and not choice[1][0, 1].any() and choice[1][1, 1].any()


def test_outputs_become_probabilities_and_watts():
    outputs = logits_of(5, 3, 2 + 2 * 3, 4)
    fitted = {"on_mean": [100.0, 2000.0], "on_w": [50.0, 10.0], "levels": LEVELS.tolist()}
    p, watts = decoded("both", outputs, fitted).chunk(2, dim=1)
    torch.testing.assert_close(p, torch.sigmoid(outputs[:, :2]))
    said = median_power(outputs[:, 2:].reshape(3, 2, 3, 4), LEVELS)
    torch.testing.assert_close(watts, said * torch.tensor([100.0, 2000.0])[:, None])
    direct = decoded("both", outputs[:, :4], {**fitted, "levels": None})  # as checkpoints without levels say it
    torch.testing.assert_close(direct[:, 2:], torch.relu(outputs[:, 2:4]) * torch.tensor([100.0, 2000.0])[:, None])


def test_levels_of_a_checkpoint_are_a_grid_of_numbers():
    assert fits(LEVELS.tolist(), "grid?", 2) and fits(None, "grid?", 2)
    for wrong in ([[1.0, 2.0]], [[1.0, 2.0], [1.0]], [[1.0], [2.0]], [[1.0, "x"], [1.0, 2.0]], [1.0, 2.0], "x"):
        assert not fits(wrong, "grid?", 2)
