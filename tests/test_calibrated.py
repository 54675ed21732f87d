"""Calibration against known distortions, and what runs make of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from checkpoint import BEST, LAST, Checkpoint
from tasks import calibrated

from .runs import built, go, good, lay, preds, strict


def drawn(n: int, k: int = 1, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Calibrated logits [n, K] and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1.5, (n, k))
    return torch.from_numpy(logits), (rng.random((n, k)) < 1 / (1 + np.exp(-logits))).astype(np.float32)


def test_a_weight_is_undone_exactly_where_rows_are_few():
    """q = w p / (w p + 1 - p) is what a loss with weight w says; p comes back."""
    p = torch.tensor([[0.01], [0.3], [0.9]], dtype=torch.float64)
    q = 5 * p / (5 * p + 1 - p)
    found = calibrated.fitted(q.logit(), np.array([[0.0], [1.0], [1.0]]), 3, [np.log(5.0)], exclusive=False)
    assert torch.allclose(calibrated.applied(q.logit()[:, :, None], found)[:, :, 0].sigmoid(), p)
    assert "undone" in found["probabilities"] and "3 rows" in found["probabilities"]


def test_a_known_distortion_is_recovered():
    logits, y = drawn(40_000, 2)
    bent = logits * torch.tensor([2.0, 0.5]) + torch.tensor([1.0, -0.5])
    found = calibrated.fitted(bent, y, 80, [0.7, 0.7], exclusive=False)
    assert found["scale"] == pytest.approx([0.5, 2.0], rel=0.05)
    assert found["shift"] == pytest.approx([-0.5, 1.0], abs=0.06)
    rare = np.concatenate([y[:, :1], np.zeros_like(y[:, :1])], axis=1)
    some = calibrated.fitted(bent, rare, 80, [0.0, 0.7], exclusive=False)
    assert (
        some["scale"][1] == 1 and some["shift"][1] == pytest.approx(-0.7) and "1 of 2 labels" in some["probabilities"]
    )


def test_classes_get_one_scale():
    rng = np.random.default_rng(1)
    logits = torch.from_numpy(rng.normal(0, 2, (20_000, 3)))
    p = logits.softmax(1).numpy()
    y = np.eye(3)[(p.cumsum(1) > rng.random((len(p), 1))).argmax(1)]
    found = calibrated.fitted(3 * logits, y, 60, [0.0] * 3, exclusive=True)
    assert found["scale"] == pytest.approx([1 / 3] * 3, rel=0.03) and found["shift"] == [0.0] * 3
    few = calibrated.fitted(3 * logits, y, 49, [0.0] * 3, exclusive=True)
    assert few["scale"] == pytest.approx([0.35] * 3) and few["shift"] == [0.0] * 3
    assert "towards each other" in few["probabilities"]


def test_few_rows_make_a_label_less_sure_and_never_surer():
    """What is left is a share of the distance to the base rate, that of least log-loss: by a plain loop."""
    logits, y = drawn(400)
    base = float(np.log(y.mean() / (1 - y.mean())))
    far = base + 2 * (logits - base) + 0.5  # a loss that leans by .5
    found = calibrated.fitted(far, y, 1, [0.5], exclusive=False)

    def loss(a: float) -> float:
        p = 1 / (1 + np.exp(-(base + a * (far[:, 0].numpy() - 0.5 - base))))
        return float(-np.mean(y[:, 0] * np.log(p) + (1 - y[:, 0]) * np.log(1 - p)))

    best = min(np.arange(1, 21) / 20, key=loss)
    assert 0.3 < best < 0.8
    assert found["scale"] == pytest.approx([best]) and found["shift"] == pytest.approx([(1 - best) * base - 0.5 * best])
    assert calibrated.fitted(0.5 * logits, y, 1, [0.0], exclusive=False)["scale"] == [1.0]
    rare = np.zeros_like(y)
    rare[:9] = 1
    assert calibrated.fitted(far, rare, 1, [0.0], exclusive=False)["scale"] == [1.0]
    assert calibrated.fitted(far[:49], y[:49], 1, [0.0], exclusive=False)["scale"] == [1.0]


def test_a_scale_that_would_turn_the_ranking_round_is_not_taken():
    logits, y = drawn(2000)
    found = calibrated.fitted(-logits, y, 80, [0.0], exclusive=False)
    assert found["scale"] == [1.0] and found["shift"] == [0.0]


def test_windows_that_are_all_right_do_not_make_certain():
    """Where a plain fit has no end, the summed loss pays for the scale: its least by a scan over scales and offsets."""
    rng = np.random.default_rng(5)
    y = (np.arange(120) % 3 == 0).astype(np.float32)
    logit = np.where(y, 1, -1) * (0.3 + rng.random(120)) + 0.1
    found = calibrated.fitted(torch.from_numpy(logit)[:, None], y[:, None], 120, [0.0], exclusive=False)

    def loss(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        z = (a[..., None] * logit + b[..., None]) * np.where(y, 1, -1)
        return np.logaddexp(0, -z).sum(-1) + np.log(a) ** 2

    grid = np.meshgrid(np.exp(np.linspace(0, 4, 161)), np.linspace(-5, 5, 101))
    losses = loss(*grid)
    best = np.unravel_index(losses.argmin(), losses.shape)
    assert found["scale"][0] == pytest.approx(grid[0][best], rel=0.03) and 2 < found["scale"][0] < 20
    assert found["shift"][0] == pytest.approx(grid[1][best], abs=0.1)
    assert loss(np.array(found["scale"]), np.array(found["shift"]))[0] <= losses.min()

    both = torch.from_numpy(np.stack([-logit, logit], 1)) / 2
    classes = calibrated.fitted(both, np.stack([1 - y, y], 1), 120, [0.0] * 2, exclusive=True)
    scales = np.exp(np.linspace(0, 4, 4001))
    assert classes["scale"][0] == pytest.approx(scales[loss(scales, 0 * scales).argmin()], rel=0.01)


def test_a_task_without_such_numbers_says_what_it_said():
    task = built("classify")
    outputs = torch.randn(3, 1, 1)
    assert torch.equal(task.units(outputs), outputs.sigmoid())
    task.use({"scale": [2.0], "shift": [1.0]})
    assert torch.allclose(task.units(outputs), (2 * outputs + 1).sigmoid())


# ---- runs

ROWS, STEPS = 130, 20
LINE = "--mode train --task classify --csv data/a.csv --context-len 9 --bin-rule gt --bin-thr 1 --val-ratio 0.4 --quiet"
NET = "--backbone linear --epochs 2 --batch-size 64 --reference off --test-ratio 0.1"


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """A rare label that depends on the window."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(ROWS, STEPS))
    values[:, 1:] += values[:, :-1]
    return lay(tmp_path_factory.mktemp("calibrated"), a=values)


@pytest.fixture(scope="module")
def done(box):
    return go(box, LINE.replace("--quiet", ""), NET, "--tag run")


@pytest.fixture(scope="module")
def run(done):
    return done.directory


def test_what_was_done_to_probabilities_is_said_once(done):
    assert (done.out + done.err).count("probabilities: ") == 1


def test_a_run_speaks_of_calibrated_probabilities(box, run):
    plain = good(box, LINE, NET, "--calibration off --no-plots --tag plain")
    one, other = strict(run / "metrics.json"), strict(plain / "metrics.json")
    assert one["brier"] < other["brier"] and one["ece"] < other["ece"] and one["prevalence"] < 0.3
    assert (one["pr_auc"], one["roc_auc"]) == pytest.approx((other["pr_auc"], other["roc_auc"]), abs=1e-6)
    assert one["f1_at_tau"] == pytest.approx(other["f1_at_tau"], abs=1e-6)
    assert "scale" not in other["calibration"] and "52 rows" in one["calibration"]["probabilities"]
    said = np.array([float(line["y_score"]) for line in preds(run)])
    true = np.array([float(line["y_true"]) for line in preds(run)])
    assert np.mean((said - true) ** 2) == pytest.approx(one["brier"], abs=1e-6)
    assert (run / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert all({"scale", "shift"} <= Checkpoint.load(run / file).calibration.keys() for file in (BEST, LAST))


def test_inference_and_finetuning_use_the_kept_numbers(box, run):
    again = good(box, f"--mode infer --ckpt {run} --csv data/a.csv --eval-split test --no-plots --quiet --tag again")
    assert strict(again / "metrics.json")["brier"] == pytest.approx(strict(run / "metrics.json")["brier"], rel=1e-6)
    assert strict(again / "metrics.json")["calibration"] == strict(run / "metrics.json")["calibration"]
    tuned = good(
        box, LINE.replace("train", "finetune"), f"--ckpt {run} --epochs 1 --no-plots --reference off --tag tuned"
    )
    assert "scale" in strict(tuned / "metrics.json")["calibration"]


def test_nothing_fitted_sees_the_labels_of_test(box, tmp_path):
    """With other values where only the targets of test are, the checkpoint is the same, byte for byte."""
    names = [f"row{i}" for i in range(ROWS)]
    values = np.loadtxt(box / "data/a.csv", delimiter=",")
    labels = (values[:, -1] > 1).astype(int)
    found = []
    for labelling in (labels, np.concatenate([labels[:-30], np.random.default_rng(5).permutation(labels[-30:])])):
        lay(tmp_path, a=values)
        (tmp_path / "labels.csv").write_text("label\n" + "\n".join(map(str, labelling)) + "\n")
        (tmp_path / "groups.csv").write_text("group\n" + "\n".join([*names[:-30], *["test"] * 30]) + "\n")
        line = (
            "--mode train --task classify --csv data/a.csv --labels labels.csv --groups groups.csv --test-groups test"
        )
        made = good(tmp_path, line, "--backbone linear --epochs 2 --no-plots --quiet --val-ratio 0.5 --overwrite")
        one = Checkpoint.load(made / BEST)
        assert one.calibration["scale"] != [1.0]
        found.append([one.state, one.calibration, one.fitted, one.references])
    (state, *rest), (other, *again) = found
    assert rest == again and all(torch.equal(value, other[name]) for name, value in state.items())
