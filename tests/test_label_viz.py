"""tasks/label_viz.py: several labels are drawn a panel each."""

from __future__ import annotations

from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest
import sklearn.metrics as skm
from matplotlib.axes import Axes

import viz
from metrics import binary_metrics
from tasks import label_viz

RNG = np.random.default_rng(3)
TRUTH = (RNG.random((300, 3)) < [0.1, 0.5, 0.9]).astype(np.float32)
PRED = np.clip(0.3 * TRUTH + 0.5 * RNG.random((300, 3)), 0, 1).astype(np.float32)
NAMES = ("hall", "kitchen", "bath")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, matplotlib.figure.Figure]:
    found: dict[str, matplotlib.figure.Figure] = {}
    monkeypatch.setattr(viz, "save", lambda figure, path: found.update({Path(path).name: figure}))
    return found


def test_each_label_has_its_own_curves(drawn: dict[str, matplotlib.figure.Figure], tmp_path: Path) -> None:
    marks = [{"default": 0.5, "tau": tau} for tau in (0.3, 0.4, 0.6)]
    label_viz.curves(tmp_path, TRUTH, PRED, NAMES, marks, "run (val)")
    assert set(drawn) == {"roc_curve.png", "pr_curve.png", "hist_score.png"}
    for figure in drawn.values():
        assert [ax.get_title(loc="left") for ax in figure.axes] == list(NAMES)
        assert figure.get_suptitle() == "run (val)"
    for k, ax in enumerate(drawn["roc_curve.png"].axes):
        fpr, tpr, _ = skm.roc_curve(TRUTH[:, k], PRED[:, k])
        assert np.array_equal(ax.lines[0].get_xydata(), np.column_stack([fpr, tpr]))
    for k, ax in enumerate(drawn["pr_curve.png"].axes):
        alarm = PRED[:, k] >= marks[k]["tau"]
        at = (skm.recall_score(TRUTH[:, k], alarm), skm.precision_score(TRUTH[:, k], alarm))
        assert np.allclose(ax.lines[-1].get_xydata(), [at])


def test_each_label_has_its_own_matrix(drawn: dict[str, matplotlib.figure.Figure], tmp_path: Path) -> None:
    counts = [binary_metrics(TRUTH[:, k], PRED[:, k], 0.45) for k in range(3)]
    label_viz.matrices(tmp_path, counts, NAMES, "run (val)")
    axes = drawn["confusion.png"].axes
    assert [ax.get_title(loc="left") for ax in axes] == [f"{name}, τ = 0.45" for name in NAMES]
    for k, ax in enumerate(axes):
        wanted = skm.confusion_matrix(TRUTH[:, k], PRED[:, k] >= 0.45).ravel()
        assert [int(text.get_text().partition("\n")[0]) for text in ax.texts] == wanted.tolist()


def test_the_title_says_how_many_labels_are_left_out() -> None:
    def nothing(ax: Axes, k: int) -> None:
        pass

    figure = label_viz.panels_figure([str(k) for k in range(40)], nothing, "run")
    assert len(figure.axes) == label_viz.MOST and "the first 12 of 40 labels" in figure.get_suptitle().replace(
        "\n", " "
    )
