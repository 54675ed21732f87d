"""The picture of a search: what is drawn where, and that nothing to draw is said."""

from __future__ import annotations

import numpy as np
import pytest

from studies import viz
from viz import save


def trial(number: int, state: str, value: float | None, **values: object) -> dict[str, object]:
    return {"number": number, "state": state, "value": value, **values}


def figure(trials, importances=None, direction="min", beside=None):
    names = sorted({name for one in trials for name in one} - {"number", "state", "value"})
    return viz.study_figure(trials, names, importances or {}, "mse", direction, beside or {})


def line(ax, label):
    return next(one for one in ax.get_lines() if one.get_label() == label)


@pytest.mark.parametrize(("direction", "best"), [("min", [3, 2, 2]), ("max", [3, 3, 4])])
def test_history_shows_the_best_so_far_and_the_references(direction, best):
    trials = [trial(0, "done", 3.0), trial(1, "done", 2.0), trial(2, "pruned", 9.0), trial(4, "done", 4.0)]
    ax = figure(trials, direction=direction, beside={"ridge": 1.5}).axes[0]
    assert line(ax, "best so far").get_ydata().tolist() == best
    assert line(ax, "best so far").get_xdata().tolist() == [0, 1, 4]
    assert line(ax, "pruned, when stopped").get_ydata().tolist() == [9]
    assert set(line(ax, "ridge").get_ydata()) == {1.5}
    assert ax.get_ylabel() == "mse on validation" and ax.get_yscale() == "linear"


def test_values_far_apart_are_drawn_on_a_log_scale():
    assert figure([trial(0, "done", 0.03), trial(1, "done", 3.0)]).axes[0].get_yscale() == "log"
    assert figure([trial(0, "done", -1.0), trial(1, "done", 30.0)]).axes[0].get_yscale() == "linear"


def test_the_most_important_come_first_and_conditional_values_may_be_missing():
    trials = [trial(n, "done", 1.0 + n, lr=10.0**-n, kind="ab"[n % 2], rest=n if n < 3 else None) for n in range(6)]
    drawn = figure(trials, {"kind": 0.7, "lr": 0.3}, beside={})
    bars, parallel = drawn.axes[1], drawn.axes[2]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["lr", "kind"]  # upwards
    assert [text.get_text() for text in parallel.get_xticklabels()][:3] == ["kind", "lr", "rest"]
    best = line(parallel, "best: trial 0, 1")
    assert best.get_ydata().tolist() == pytest.approx(
        [0, 1, 0, 0]
    )  # a; the largest rate; 0 of 0..2; the smallest value
    worst = next(one for one in parallel.get_lines() if one.get_ydata()[-1] == 1)
    assert np.isnan(worst.get_ydata()[2])


@pytest.mark.parametrize("trials", [[trial(0, "failed", None, lr=0.1)], [trial(0, "invalid", None, lr=0.1)], []])
def test_without_values_the_picture_says_so(trials, tmp_path):
    drawn = figure(trials)
    texts = [text.get_text() for ax in drawn.axes for text in ax.texts]
    assert texts == ["no trial has a value yet", "too few trials for importances", "no trial is complete yet"]
    save(drawn, tmp_path / "x.png")


def test_one_trial_with_one_value_can_be_drawn(tmp_path):
    save(figure([trial(0, "done", 1.0, lr=0.1, flag=True, name="a_$b$")]), tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
