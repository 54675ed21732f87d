"""metrics.py against scikit-learn, plain loops and brute force."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
import sklearn.metrics as skm

import metrics
from metrics import (
    best_threshold,
    binary_metrics,
    class_metrics,
    classification_report,
    clean_json,
    log_loss,
    ranking_metrics,
    regression_metrics,
)

RNG = np.random.default_rng(0)


def sample(n: int, ties: bool = False, rate: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    y = (RNG.random(n) < rate).astype(np.int64)
    score = np.clip(RNG.normal(0.4 + 0.2 * y, 0.2), 0, 1)
    return y, np.round(score, 1) if ties else score


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_binary_metrics_against_sklearn(ties: bool, threshold: float) -> None:
    y, score = sample(500, ties)
    hard = score >= threshold
    got = binary_metrics(y, score, threshold)
    tn, fp, fn, tp = skm.confusion_matrix(y, hard, labels=[0, 1]).ravel()
    assert (got["tn"], got["fp"], got["fn"], got["tp"]) == (tn, fp, fn, tp)
    for name in ("precision", "recall", "f1", "accuracy"):
        if name not in got["undefined"]:
            assert got[name] == pytest.approx(getattr(skm, f"{name}_score")(y, hard))
    assert got["threshold"] == threshold


def test_what_is_undefined_is_none_with_a_reason() -> None:
    silent = binary_metrics([0, 1], [0.1, 0.2], 0.5)
    assert silent["precision"] is None and silent["undefined"] == {"precision": "no positive prediction"}
    assert silent["recall"] == 0 and silent["f1"] == 0 and silent["accuracy"] == 0.5
    negative = binary_metrics([0, 0], [0.1, 0.2], 0.5)
    assert set(negative["undefined"]) == {"precision", "recall", "f1"} and negative["accuracy"] == 1
    undefined = {"precision", "recall", "f1", "accuracy", "balanced_accuracy"}
    assert set(binary_metrics([], [], 0.5)["undefined"]) == undefined


def test_threshold_is_compared_in_the_type_of_the_score() -> None:
    score = np.array([0.7], np.float32)  # 0.699999988: below 0.7 in float64, equal to it in float32
    assert binary_metrics([1], score, 0.7)["tp"] == int((score >= 0.7).sum()) == 1
    assert binary_metrics([1], score, np.float64(0.7))["tp"] == 1


@pytest.mark.parametrize("ties", [False, True])
def test_ranking_metrics_against_sklearn(ties: bool) -> None:
    y, score = sample(700, ties)
    got = ranking_metrics(y, score)
    assert got["roc_auc"] == pytest.approx(skm.roc_auc_score(y, score))
    assert got["pr_auc"] == pytest.approx(skm.average_precision_score(y, score))
    assert got["brier"] == pytest.approx(skm.brier_score_loss(y, score))
    assert got["undefined"] == {}


def ece_by_loop(y: np.ndarray, score: np.ndarray, bins: int = 15) -> float:
    total = 0.0
    for k in range(bins):
        last = k == bins - 1
        inside = [i for i, s in enumerate(score) if k / bins <= s and (s < (k + 1) / bins or last)]
        if inside:
            gap = np.mean([y[i] for i in inside]) - np.mean([score[i] for i in inside])
            total += len(inside) / len(y) * abs(gap)
    return total


def test_ece_against_a_loop_and_its_limits() -> None:
    y, score = sample(400)
    score[:2] = 0.0, 1.0
    assert ranking_metrics(y, score)["ece"] == pytest.approx(ece_by_loop(y, score))
    assert ranking_metrics([0, 1] * 50, [0.5] * 100)["ece"] == pytest.approx(0)
    assert ranking_metrics([0, 1], [1.0, 0.0])["ece"] == 1
    assert ranking_metrics([1, 0], [0.95, 1.0])["ece"] == pytest.approx(0.475)  # a score of 1 shares the last bin


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_calibration_but_no_ranking(label: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = ranking_metrics([label] * 3, [0.2, 0.4, 0.6])
    assert got["roc_auc"] is None and got["pr_auc"] is None and got["brier"] is not None and got["ece"] is not None
    assert got["undefined"]["roc_auc"] == f"one class only: every label is {label}"
    assert set(ranking_metrics([], [])["undefined"]) == {"roc_auc", "pr_auc", "brier", "ece"}


def brute_force(y: np.ndarray, score: np.ndarray) -> float:
    """The best F1 over every threshold that tells two scores apart."""
    precision, recall, _ = skm.precision_recall_curve(y, score)
    return max(2 * p * r / (p + r) if p + r else 0.0 for p, r in zip(precision, recall, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 80])
@pytest.mark.parametrize("ties", [False, True])
def test_best_threshold_against_brute_force(dtype: type, n: int, ties: bool) -> None:
    for _ in range(20 if n < 80 else 3):
        y, score = sample(n, ties)
        y[RNG.integers(n)] = 1
        score = score.astype(dtype)
        tau, f1 = best_threshold(y, score)
        assert 0 <= tau <= 1
        assert f1 == pytest.approx(brute_force(y, score))
        assert binary_metrics(y, score, tau)["f1"] == f1


def test_best_threshold_by_hand() -> None:
    assert best_threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]) == (pytest.approx(0.4), 1.0)
    assert best_threshold([1, 1], [0.4, 0.8]) == (pytest.approx(0.2), 1.0)  # 0 stands below the smallest score
    assert best_threshold([1, 0], [0.0, 0.0]) == (0.0, pytest.approx(2 / 3))
    assert best_threshold([0, 0], [0.2, 0.9]) == (0.5, None)
    assert best_threshold([], []) == (0.5, None)


def test_best_threshold_breaks_ties_toward_a_half() -> None:
    # F1 is 2/3 with the top sample alone (tau 0.85) and with the top four (tau 0.45)
    y, score = [1, 0, 0, 1, 0], [0.9, 0.8, 0.7, 0.6, 0.3]
    assert best_threshold(y, score) == (pytest.approx(0.45), pytest.approx(2 / 3))
    # the same tie, with the low cut (tau 0.05) farther from a half than the high one
    assert best_threshold([1, 0, 0, 1], [0.99, 0.6, 0.58, 0.1])[0] == pytest.approx(0.795)


def test_best_threshold_between_neighbouring_floats() -> None:
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1))
    score = np.array([low, high])
    tau, f1 = best_threshold([0, 1], score)
    assert f1 == 1 and ((score >= tau) == [False, True]).all()


def test_best_threshold_is_fast() -> None:
    y, score = sample(1_000_000, rate=0.02)
    tau, f1 = best_threshold(y, score.astype(np.float32))
    assert f1 is not None and 0 < tau < 1


def test_report_holds_both_thresholds_and_adds_up_over_halves() -> None:
    y, score = sample(300)
    whole = classification_report(y, score, 0.5, 0.31)
    halves = [classification_report(y[part], score[part], 0.5, 0.31) for part in (slice(150), slice(150, None))]
    for at in ("default", "at_tau"):
        for count in ("tp", "fp", "fn", "tn"):
            assert whole[at][count] == sum(half[at][count] for half in halves)
    for total in ("n", "positives"):
        assert whole[total] == sum(half[total] for half in halves)
    assert whole["brier"] == pytest.approx(sum(half["brier"] for half in halves) / 2)
    at_tau = binary_metrics(y, score, 0.31)
    assert whole["at_tau"] == at_tau and whole["default"]["threshold"] == 0.5 and whole["best_tau"] == 0.31
    for name in ("precision", "recall", "f1", "accuracy"):
        assert whole[name] == at_tau[name]
    assert whole["prevalence"] == y.mean() and whole["roc_auc"] == ranking_metrics(y, score)["roc_auc"]


def test_an_empty_report_is_valid_json() -> None:
    report = classification_report([], [], 0.5, 0.5)
    assert report["n"] == 0 and report["prevalence"] is None and report["undefined"]["prevalence"] == "no samples"
    assert report["precision"] is None and report["undefined"]["precision"] == "no positive prediction"
    json.dumps(report, allow_nan=False)
    json.dumps(classification_report(*sample(50), 0.5, 0.4), allow_nan=False)


@pytest.mark.parametrize(
    ("y", "score", "message"),
    [
        ([0, 1], [0.1], r"\(2,\).*\(1,\)"),
        ([[0], [1]], [[0.1], [0.2]], r"\[n\]"),
        ([0, 2], [0.1, 0.2], "0 and 1"),
        ([0, 1], [0.1, math.nan], r"\[0, 1\]"),
        ([0, 1], [0.1, 1.5], r"\[0, 1\]"),
    ],
)
def test_input_that_cannot_be_judged_is_refused(y: list, score: list, message: str) -> None:
    for judge in (ranking_metrics, best_threshold, lambda a, b: binary_metrics(a, b, 0.5)):
        with pytest.raises(ValueError, match=message):
            judge(y, score)


def test_regression_metrics_against_sklearn() -> None:
    y, pred = RNG.normal(size=(20, 3, 4)), RNG.normal(size=(20, 3, 4))
    got = regression_metrics(y, pred)
    flat = y.ravel(), pred.ravel()
    assert got["mae"] == pytest.approx(skm.mean_absolute_error(*flat))
    assert got["mse"] == pytest.approx(skm.mean_squared_error(*flat))
    assert got["rmse"] == pytest.approx(math.sqrt(got["mse"]))
    assert got["r2"] == pytest.approx(skm.r2_score(*flat))
    assert got["n"] == 240 and got["undefined"] == {}
    halves = [regression_metrics(y[part], pred[part]) for part in (slice(5), slice(5, None))]
    for name in ("mae", "mse"):
        assert got[name] == pytest.approx(sum(half[name] * half["n"] for half in halves) / 240)


def test_regression_limits() -> None:
    y = RNG.normal(size=9)
    perfect = regression_metrics(y, y)
    assert (perfect["mae"], perfect["mse"], perfect["r2"]) == (0, 0, 1)
    assert regression_metrics(y, np.full(9, y.mean()))["r2"] == pytest.approx(0)
    flat = regression_metrics(np.full(7, 0.1), np.zeros(7))  # the mean of seven 0.1 is not exactly 0.1
    assert flat["r2"] is None and flat["undefined"] == {"r2": "y is constant"} and flat["mae"] == pytest.approx(0.1)
    assert regression_metrics([], [])["undefined"]["mae"] == "no samples"
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite"):
            regression_metrics([1.0], [bad])
    with pytest.raises(ValueError, match="shape"):
        regression_metrics([1.0, 2.0], [[1.0], [2.0]])


def test_float32_errors_are_summed_in_float64() -> None:
    y, pred = RNG.normal(size=(2, 10_000)).astype(np.float32)
    exact = math.fsum((float(p) - float(t)) ** 2 for t, p in zip(y, pred, strict=True)) / 10_000
    assert regression_metrics(y, pred)["mse"] == pytest.approx(exact, rel=1e-12)


def test_clean_json() -> None:
    dirty = {
        "a": np.float32(0.5),
        np.int64(3): (np.int8(1), np.bool_(True), np.nan),
        "c": {"d": np.array([[1.0, np.inf], [-np.inf, 2.0]]), "e": math.inf},
        "f": [None, "text", 7, True, np.longdouble(1.5), np.array(2)],
    }
    clean = clean_json(dirty)
    assert clean == {
        "a": 0.5,
        3: [1, True, None],
        "c": {"d": [[1.0, None], [None, 2.0]], "e": None},
        "f": [None, "text", 7, True, 1.5, 2],
    }
    assert json.loads(json.dumps(clean, allow_nan=False))["3"][1] is True
    assert type(next(iter(clean_json({np.int64(3): 0})))) is int


def test_class_metrics_are_scikit_learns():
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_score, recall_score

    random = np.random.default_rng(0)
    y, pred = random.integers(0, 4, 200), random.integers(0, 4, 200)
    y[y == 3] = 2  # a class that is never true, but predicted
    found = metrics.class_metrics(y, pred, 5)  # and one that is neither
    assert found["accuracy"] == pytest.approx(accuracy_score(y, pred))
    assert found["macro_f1"] == pytest.approx(f1_score(y, pred, average="macro"))
    assert found["confusion"] == confusion_matrix(y, pred, labels=range(5)).tolist()
    assert found["per_class"]["f1"][3] == 0 and found["per_class"]["f1"][4] is None
    for name, score in {"precision": precision_score, "recall": recall_score, "f1": f1_score}.items():
        assert found[name] == pytest.approx(score(y, pred, average="macro", zero_division=0))
        each = score(y, pred, average=None, labels=range(4), zero_division=0)
        assert found["per_class"][name][:4] == pytest.approx(each)
    assert found["macro_f1"] == found["f1"]
    assert metrics.class_metrics([], [], 2)["accuracy"] is None


def test_balanced_accuracy_and_log_loss_are_scikit_learns() -> None:
    draw = np.random.default_rng(0)
    y, p = draw.integers(0, 2, 60), draw.random(60)
    found = binary_metrics(y, p, 0.4)["balanced_accuracy"]
    assert found == pytest.approx(skm.balanced_accuracy_score(y, p >= 0.4))
    assert log_loss(y, p) == pytest.approx(skm.log_loss(y, p))
    assert binary_metrics([0, 0], [0.1, 0.9], 0.5)["balanced_accuracy"] == 0.5 and log_loss([], []) is None
    true, said, shares = draw.integers(0, 3, 80), draw.integers(0, 4, 80), draw.dirichlet([1, 1, 1, 1], 80)
    found = class_metrics(true, said, 4)["balanced_accuracy"]
    recalls = [(said[true == k] == k).mean() for k in range(3)]
    assert found == pytest.approx(np.mean(recalls))
    expected = skm.log_loss(true, shares, labels=range(4))
    assert log_loss(np.eye(4)[true], shares) == pytest.approx(expected)
