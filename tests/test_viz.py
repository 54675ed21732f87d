"""viz.py: what is drawn is what scikit-learn and plain numpy compute, and every picture is a sane PNG."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as skm
from matplotlib.figure import Figure

import viz
from tasks import regress_viz

RNG = np.random.default_rng(0)
ROOT = Path(__file__).resolve().parent.parent
COUNTS = {"tp": 7, "fp": 3, "fn": 2, "tn": 8, "threshold": 0.5}


def labelled(n: int, rate: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    y = (RNG.random(n) < rate).astype(np.int64)
    return y, np.clip(RNG.normal(0.4 + 0.2 * y, 0.2), 0, 1)


def history(n: int) -> list[dict[str, Any]]:
    rows = [{"epoch": e, "train_loss": 2 / e, "val_loss": 2 / e + 0.1, "lr": 1e-3} for e in range(1, n + 1)]
    return [row | {"val_pr_auc": 1 - abs(row["epoch"] - 4) / 10} for row in rows]


def line(figure: Figure, label: str, panel: int = 0) -> np.ndarray:
    found = [each for each in figure.axes[panel].lines if str(each.get_label()).startswith(label)]
    assert len(found) == 1, [each.get_label() for each in figure.axes[panel].lines]
    return np.asarray(found[0].get_xydata())


def words(figure: Figure) -> str:
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    legends = [ax.get_legend() for ax in figure.axes]
    return "\n".join(texts + [text.get_text() for each in legends if each for text in each.get_texts()])


Y, SCORE = labelled(400)
ONE = np.zeros(20, np.int64)
NONE = np.zeros(0)
DRAWN: dict[str, Callable[[], Figure]] = {
    "roc": lambda: viz.roc_figure(Y, SCORE, "pump A"),
    "roc of a list": lambda: viz.roc_figure([0, 1, 1], [0.1, 0.9, 0.4], "few"),
    "roc, long title": lambda: viz.roc_figure(Y, SCORE, "a_very-long_title_$with_$ma{th " * 12),
    "roc, one class": lambda: viz.roc_figure(ONE, SCORE[:20], "t"),
    "roc, empty": lambda: viz.roc_figure(NONE, NONE, "t"),
    "pr": lambda: viz.pr_figure(Y, SCORE, "t", tau=0.45),
    "pr, one class": lambda: viz.pr_figure(ONE + 1, SCORE[:20], "t", tau=0.3),
    "hist": lambda: viz.hist_figure(Y, SCORE, {"default": 0.5, "tau": 0.31}),
    "hist, one class": lambda: viz.hist_figure(ONE, SCORE[:20]),
    "hist, empty": lambda: viz.hist_figure(NONE, NONE, {"default": 0.5}),
    "hist, one score": lambda: viz.hist_figure(ONE, np.zeros(20)),
    "confusion": lambda: viz.confusion_figure(COUNTS, COUNTS),
    "confusion of classes": lambda: viz.confusion_classes_figure([[7, 2], [0, 0]], ["none", "one"]),
    "confusion, empty": lambda: viz.confusion_figure(dict.fromkeys(COUNTS, 0), dict.fromkeys(COUNTS, 0)),
    "learning": lambda: viz.learning_figure(history(9), "val_pr_auc"),
    "learning, one epoch": lambda: viz.learning_figure(history(1), "val_pr_auc"),
    "learning, empty": lambda: viz.learning_figure([], "val_pr_auc"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_is_a_png_of_sane_size_with_something_on_it(name: str, sane_png: Callable[..., None]) -> None:
    sane_png(lambda path: viz.save(DRAWN[name](), path), height=(350, 700), width=(650, 1100), below=300_000)


@pytest.mark.parametrize(
    "figure",
    [
        viz.roc_figure(Y, SCORE),
        viz.roc_figure(ONE, SCORE[:20]),
        viz.pr_figure(Y, SCORE),
        viz.hist_figure(Y, SCORE),
        viz.confusion_figure(COUNTS, COUNTS),
    ],
)
def test_every_axis_is_labelled(figure: Figure) -> None:
    for ax in figure.axes:
        assert ax.get_xlabel() and ax.get_ylabel()


def test_roc_draws_what_sklearn_computes() -> None:
    fpr, tpr, _ = skm.roc_curve(Y, SCORE)
    figure = viz.roc_figure(Y, SCORE, "pump A")
    assert np.array_equal(line(figure, "model"), np.column_stack([fpr, tpr]))
    assert f"area {skm.roc_auc_score(Y, SCORE):.3f}" in words(figure)
    assert figure.axes[0].get_title(loc="left") == "pump A"


def test_pr_draws_what_sklearn_computes_with_base_rate_and_tau() -> None:
    precision, recall, _ = skm.precision_recall_curve(Y, SCORE)
    figure = viz.pr_figure(Y, SCORE, "", tau=0.45)
    assert np.array_equal(line(figure, "model"), np.column_stack([recall, precision])[:-1])
    assert np.allclose(line(figure, "base rate")[:, 1], Y.mean())
    hard = SCORE >= 0.45
    assert np.allclose(line(figure, "τ = 0.45"), [[skm.recall_score(Y, hard), skm.precision_score(Y, hard)]])
    assert f"average precision {skm.average_precision_score(Y, SCORE):.3f}" in words(figure)
    assert "no alarm" in words(viz.pr_figure(Y, SCORE * 0.5, "", tau=0.9))
    assert "τ" not in words(viz.pr_figure(Y, SCORE))


def test_a_thinned_curve_is_a_subset_that_stays_close() -> None:
    y, score = labelled(60_000)
    fpr, tpr, _ = skm.roc_curve(y, score)
    drawn = line(viz.roc_figure(y, score), "model")
    assert len(drawn) <= viz.CURVE_POINTS + 2 < len(fpr)
    whole = {*zip(fpr, tpr, strict=True)}
    assert all((x, t) in whole for x, t in drawn)
    assert np.abs(np.interp(fpr, *drawn.T) - tpr).max() < 2e-3
    assert tuple(drawn[0]) == (0, 0) and tuple(drawn[-1]) == (1, 1)


def test_hist_draws_densities_of_each_class_and_the_thresholds() -> None:
    figure = viz.hist_figure(Y, SCORE, {"default": 0.5, "tau": 0.31})
    patches = {patch.get_label(): patch for patch in figure.axes[0].patches}
    for name, label in (("negative", 0), ("positive", 1)):
        patch = patches[f"{name} (n = {np.count_nonzero(label == Y)})"]
        heights, edges, _ = patch.get_data()  # type: ignore[attr-defined]
        assert np.allclose(heights, np.histogram(SCORE[label == Y], edges, density=True)[0])
        assert (heights * np.diff(edges)).sum() == pytest.approx(1)
    assert {patch.get_hatch() for patch in patches.values()} == {"", "////"}  # told apart in grey, too
    assert np.allclose(line(figure, "tau = 0.31")[:, 0], 0.31)


def test_hist_of_a_narrow_score_zooms_in_and_says_what_it_leaves_out() -> None:
    figure = viz.hist_figure(Y, SCORE * 0.05, {"default": 0.5, "tau": 0.04})
    assert figure.axes[0].get_xlim()[1] < 0.1
    assert "default = 0.5 (beyond the axis)" in words(figure) and "tau = 0.04\n" in words(figure) + "\n"


def test_the_title_stands_over_every_picture() -> None:
    title = "train_classify_x (val)"
    for figure in (
        viz.hist_figure(Y, SCORE, None, title),
        viz.confusion_figure(COUNTS, COUNTS, title),
        viz.confusion_classes_figure([[1, 0], [0, 1]], ["a", "b"], title),
    ):
        assert figure.get_suptitle().replace("\n", "") == title
    assert viz.hist_figure(Y, SCORE).get_suptitle() == ""


def test_confusion_of_classes_shows_counts_and_row_shares() -> None:
    figure = viz.confusion_classes_figure([[30, 10, 0], [0, 5, 0], [0, 0, 0]], ["none", "one", "two"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["30\n75.0%", "10\n25.0%", "5\n100.0%"]
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows == ["none\n(n = 40)", "one\n(n = 5)", "two\n(n = 0)"]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("predicted", "true")


def test_confusion_shows_counts_and_row_shares() -> None:
    figure = viz.confusion_figure(COUNTS, {"tp": 0, "fp": 1, "fn": 0, "tn": 99_999})
    left, right = ([text.get_text() for text in ax.texts] for ax in figure.axes)
    assert left == ["8\n72.7%", "3\n27.3%", "2\n22.2%", "7\n77.8%"]
    assert right == ["99,999\n>99.9%", "1\n<0.1%", "0\nno samples", "0\nno samples"]
    assert [ax.get_title() for ax in figure.axes] == ["default threshold = 0.5", "best τ"]


def test_learning_curve_draws_the_history_and_marks_the_best_epoch() -> None:
    rows = history(9)
    figure = viz.learning_figure(rows, "val_pr_auc")
    assert np.array_equal(line(figure, "train"), [(row["epoch"], row["train_loss"]) for row in rows])
    assert np.array_equal(line(figure, "validation"), [(row["epoch"], row["val_loss"]) for row in rows])
    assert np.allclose(line(figure, "best: 1 at epoch 4", 1), [[4, 1]])
    assert np.allclose(line(viz.learning_figure(rows, "val_pr_auc", "min"), "best", 1), [[9, 0.5]])
    assert figure.axes[1].get_ylabel() == "val_pr_auc" and figure.axes[1].get_xlabel() == "epoch"
    assert figure.axes[0].get_yscale() == "linear"


def test_learning_curve_with_gaps_a_wide_range_or_a_loss_as_monitor() -> None:
    rows = [row | {"val_loss": None, "val_pr_auc": None} for row in history(5)]
    rows[0]["train_loss"] = 1e4
    figure = viz.learning_figure(rows, "val_pr_auc")
    assert figure.axes[0].get_yscale() == "log" and "validation" not in words(figure)
    assert "no finite value" in words(figure)
    single = viz.learning_figure(history(5), "val_loss", "min")
    assert len(single.axes) == 1 and np.allclose(line(single, "best"), [[5, 0.5]])
    assert "no epoch" in words(viz.learning_figure([], "val_loss"))


@pytest.mark.parametrize("text", ["one_two-three four/five" * 9, "x" * 300, "short", ""])
def test_wrap_loses_nothing_but_what_it_marks(text: str) -> None:
    lines = viz.wrap(text, 30, 3).split("\n")
    assert len(lines) <= 3 and all(len(each) <= 31 for each in lines)
    together = "".join(lines).replace(" ", "")
    assert text.replace(" ", "").startswith(together.rstrip("…"))
    assert together.endswith("…") == (len(text) > 93)


def test_a_failed_write_leaves_the_old_picture_and_no_rubbish(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "plot.png"
    path.write_bytes(b"old")
    figure = viz.new_figure()

    def half_a_picture(part: Path, content: bytes) -> None:
        with part.open("wb") as file:
            file.write(content[:9])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", half_a_picture)
    with pytest.raises(OSError, match="disk full"):
        viz.save(figure, path)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_no_pyplot() -> None:
    tree = ast.parse((ROOT / "viz.py").read_text(encoding="utf-8"))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in [*modules, *names] if name and "pyplot" in name]
    import matplotlib.pyplot as plt

    viz.roc_figure(Y, SCORE)
    assert plt.get_fignums() == []


@pytest.mark.slow
def test_a_million_samples_take_two_seconds_at_most(tmp_path: Path) -> None:
    y, score = labelled(1_000_000, 0.02)
    truth = RNG.gamma(2, 20, 1_000_000)
    pred = truth + RNG.normal(size=1_000_000)
    plots: list[Callable[[], None]] = [
        lambda: viz.save(viz.roc_figure(y, score, "t"), tmp_path / "a.png"),
        lambda: viz.save(viz.pr_figure(y, score, "t", tau=0.5), tmp_path / "a.png"),
        lambda: viz.save(viz.hist_figure(y, score, {"tau": 0.5}), tmp_path / "a.png"),
        lambda: viz.save(regress_viz.residuals_figure(truth, pred, "kW"), tmp_path / "a.png"),
        lambda: viz.save(regress_viz.scatter_figure(truth, pred, "kW"), tmp_path / "a.png"),
    ]
    for plot in plots:
        start = time.process_time()
        plot()
        assert time.process_time() - start < 2
