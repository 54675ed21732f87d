"""viz.py: what is drawn is what was given, nothing is squashed in silence, and every picture is a sane PNG."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tasks.forecast import viz
from tasks.forecast.viz import Panel
from viz import save

RNG = np.random.default_rng(0)
ROOT = Path(__file__).resolve().parent.parent
START = np.datetime64("2018-02-03T05:00", "ns")


def panel(length: int, ahead: int, dates: bool = True, **other: Any) -> Panel:
    series = 10 + 3 * np.sin(np.arange(length + ahead) / 4) + RNG.normal(size=length + ahead) * 0.3
    prediction = series[length:] + RNG.normal(size=ahead) * 0.5
    times = START + np.arange(length + ahead) * np.timedelta64(1, "h") if dates else None
    made = Panel("OT", series[:length], prediction, series[length:], prediction - 1, prediction + 2, times, "window 7")
    return replace(made, **other)


def line(ax: Axes, label: str) -> Line2D:
    found = [each for each in ax.lines if str(each.get_label()).startswith(label)]
    assert len(found) == 1, [each.get_label() for each in ax.lines]
    return found[0]


def data(ax: Axes, label: str) -> np.ndarray:
    return np.asarray(line(ax, label).get_xydata())


def legend(figure: Figure) -> list[str]:
    """The texts of the figure's only legend."""
    (box,) = figure.legends
    assert all(ax.get_legend() is None for ax in figure.axes)
    return [text.get_text() for text in box.get_texts()]


def words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


X = np.arange(1, 49)
MODEL = 0.25 + 0.15 * np.sqrt(X / 48)
CURVES = {
    "gru": MODEL,
    "ridge": MODEL * 1.05,
    "seasonal naive (24)": MODEL * 1.4,
    "mean": np.full(48, 0.7),
    "last value": 0.3 + 0.05 * X,
    "drift": np.full(48, 90.0),
}
GROUPS = ["96 ahead", "192 ahead", "336 ahead", "720 ahead"]
ROWS = {f"model {k}": [0.37 + 0.002 * k, 0.41 - 0.001 * k, np.nan if k == 4 else 0.43, 0.45] for k in range(10)}
ROWS |= {"last value": [1.26, 1.39, 1.46, 1.53], "mean of the context": [0.703, 0.779, 0.817, 0.855]}
MARKS = {
    "model 2": [0.370, 0.413, 0.422, 0.447],
    "last value": [1.3, 1.4, 1.5, 1.6],
    "elsewhere": [0.36, np.nan, 0.4, 0.44],
}
EMPTY = panel(24, 8, context=np.full(24, np.nan), prediction=np.full(8, np.nan), truth=None, low=None, high=None)
DRAWN: dict[str, Callable[[], Figure]] = {
    "six windows": lambda: viz.forecast_figure([panel(336, 48) for _ in range(6)], "90 % interval"),
    "five windows, no dates": lambda: viz.forecast_figure([panel(336, 24, False) for _ in range(5)]),
    "one step": lambda: viz.forecast_figure([panel(24, 1)], "90 % interval"),
    "context of 4": lambda: viz.forecast_figure([panel(4, 12), panel(1, 1, False)]),
    "nothing finite": lambda: viz.forecast_figure([EMPTY]),
    "long names": lambda: viz.forecast_figure([panel(24, 9, channel="a_$x{" * 30, title="t " * 200)], "$x$ " * 30),
    "curves": lambda: viz.error_by_step_figure(CURVES, "MSE", "ETTh1", "1 h"),
    "curve alone": lambda: viz.error_by_step_figure({"gru": np.zeros(8)}, "MSE ($)", "t" * 200),
    "curves of one step": lambda: viz.error_by_step_figure({k: v[:1] for k, v in CURVES.items()}, "MSE"),
    "curve unknown": lambda: viz.error_by_step_figure({"a$": np.full(9, np.nan), "b": [np.inf] * 9}, "MSE"),
    "table": lambda: viz.table_bars_figure(ROWS, GROUPS, "test MSE", "ETTh1", MARKS),
    "table of one": lambda: viz.table_bars_figure({"$m$": [0.4]}, ["$g"], "MSE"),
    "table, nothing known": lambda: viz.table_bars_figure({"a": [np.nan], "b": [np.nan]}, ["g"], "MSE"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_every_picture_is_a_png_of_sane_size_with_something_on_it(name: str, sane_png: Callable[..., None]) -> None:
    sane_png(lambda path: save(DRAWN[name](), path), height=(200, 1000), width=(700, 1300), below=300_000)


def test_a_window_shows_the_end_of_its_context_and_all_of_its_horizon() -> None:
    given = panel(100, 8, dates=False)
    figure = viz.forecast_figure([given], "90 % interval")
    (ax,) = figure.axes
    steps = np.arange(8)
    assert given.truth is not None
    assert np.array_equal(data(ax, "context"), np.column_stack([np.arange(-24, 0), given.context[-24:]]))
    assert np.array_equal(data(ax, "prediction"), np.column_stack([steps, given.prediction]))
    # the truth continues the context: its line starts there, its markers do not
    assert np.array_equal(data(ax, "truth")[1:], np.column_stack([steps, given.truth]))
    assert np.array_equal(data(ax, "truth")[0], data(ax, "context")[-1])
    assert np.asarray(line(ax, "truth").get_markevery()).tolist() == [False] + 8 * [True]
    (band,) = ax.collections
    corners = {*map(tuple, np.asarray(band.get_paths()[0].vertices))}
    assert {*zip(steps, given.prediction - 1, strict=True), *zip(steps, given.prediction + 2, strict=True)} <= corners
    (start,) = [each for each in ax.lines if str(each.get_label()).startswith("_")]
    assert list(np.asarray(start.get_xdata(), float)) == [-0.5, -0.5]
    assert ax.get_xlim()[0] < -24 and ax.get_xlim()[1] > 7
    assert legend(figure) == ["context", "truth", "prediction", "90 % interval"]
    assert ax.get_ylabel() == "OT" and ax.get_title(loc="left") == "window 7"
    assert ax.get_xlabel() == "step (0: the first ahead)"


def test_a_short_context_is_shown_whole_and_dates_are_few_and_right() -> None:
    given = panel(4, 12)
    figure = viz.forecast_figure([given, panel(500, 96)])
    left, right = figure.axes
    assert given.times is not None
    shown = np.concatenate([data(left, "context"), data(left, "prediction")])
    assert np.allclose(shown[:, 0], date2num(given.times)) and np.allclose(shown[:4, 1], given.context)
    figure.draw_without_rendering()
    for ax in (left, right):
        texts = [text.get_text() for text in ax.get_xticklabels()]
        assert 2 <= len(texts) <= 7 and max(len(line) for text in texts for line in text.split("\n")) <= 11
        assert next(filter(None, texts)).endswith("Feb 2018" if ax is left else "Feb\n2018")
    (start,) = [each for each in left.lines if str(each.get_label()).startswith("_")]
    assert np.allclose(date2num(np.asarray(start.get_xdata())), date2num(START + np.timedelta64(210, "m")))
    assert len(data(right, "context")) == 288


def test_one_step_ahead_is_a_point_with_a_bar() -> None:
    given = panel(24, 1, dates=False)
    (ax,) = viz.forecast_figure([given], "90 % interval").axes
    for label, marker in (("prediction", "D"), ("truth", "o")):
        assert line(ax, label).get_marker() == marker and np.asarray(line(ax, label).get_markevery())[-1]
    (bar,) = ax.collections
    low, high = given.prediction[0] - 1, given.prediction[0] + 2
    assert np.allclose(bar.get_segments()[0], [[0, low], [0, high]])  # type: ignore[attr-defined]
    assert len(data(ax, "context")) == 12  # three horizons would say little


def test_points_between_gaps_are_marked_and_long_lines_are_not() -> None:
    truth = np.arange(24.0)
    truth[[3, 5, 10, 11, 13]] = np.nan  # leaves 4 and 12 alone
    (ax,) = viz.forecast_figure([panel(72, 24, truth=truth)]).axes
    assert np.flatnonzero(np.asarray(line(ax, "truth").get_markevery())).tolist() == [1 + 4, 1 + 12]
    assert line(ax, "truth").get_marker() == "o" and line(ax, "prediction").get_marker() == ""
    assert np.array_equal(np.isnan(data(ax, "truth")[1:, 1]), np.isnan(truth))


def test_without_truth_and_interval_the_legend_has_neither() -> None:
    bare = panel(24, 8, truth=None, low=None, high=None)
    assert legend(viz.forecast_figure([bare])) == ["context", "prediction"]
    assert sorted(legend(viz.forecast_figure([bare, panel(24, 8)]))) == [
        "context",
        "interval",
        "prediction",
        "truth",
    ]


def test_a_constant_is_drawn_with_air_not_with_its_rounding_errors() -> None:
    flat: dict[str, Any] = {"context": np.full(24, 5.0), "prediction": np.full(8, 5 + 1e-9), "truth": np.full(8, 5.0)}
    (ax,) = viz.forecast_figure([panel(24, 8, low=None, high=None, **flat)]).axes
    low, high = ax.get_ylim()
    assert low < 4.8 and high > 5.2
    small: dict[str, Any] = {"context": np.full(24, 1e-9), "prediction": np.full(8, 2e-9), "truth": np.full(8, 1e-9)}
    (ax,) = viz.forecast_figure([panel(24, 8, low=None, high=None, **small)]).axes
    assert np.ptp(ax.get_ylim()) < 2e-9  # small is not constant


def test_only_the_lowest_axes_of_a_column_name_the_time() -> None:
    figure = viz.forecast_figure([panel(24, 8) for _ in range(3)])
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "time", "time"]
    mixed = viz.forecast_figure([panel(24, 8), panel(24, 8), panel(24, 8, dates=False)])
    assert [ax.get_xlabel() for ax in mixed.axes] == ["time", "time", "step (0: the first ahead)"]
    assert [ax.get_ylabel() for ax in mixed.axes] == ["OT"] * 3


def test_unknown_ends_are_a_part_of_the_window() -> None:
    context = np.concatenate([np.full(20, np.nan), np.arange(4.0)])
    (ax,) = viz.forecast_figure([panel(24, 8, dates=False, context=context)]).axes
    assert ax.get_xlim()[0] < -24


def test_a_window_of_nothing_says_so() -> None:
    (ax,) = viz.forecast_figure([EMPTY]).axes
    assert words(ax) == ["no finite context or prediction"]


def test_curves_are_drawn_as_given_with_their_means_in_the_legend() -> None:
    curves = {name: CURVES[name] for name in ("gru", "ridge", "seasonal naive (24)")}
    figure = viz.error_by_step_figure(curves, "MSE", "ETTh1", "1 h")
    (ax,) = figure.axes
    for name, values in curves.items():
        assert np.array_equal(data(ax, name), np.column_stack([X, values]))
    assert legend(figure) == [f"{name}, mean {sum(values) / 48:.3f}" for name, values in curves.items()]
    assert ax.get_ylim()[0] == 0 and ax.get_ylim()[1] > MODEL.max() * 1.4
    assert ax.get_xlabel() == "steps ahead (1 h each)" and ax.get_ylabel() == "MSE"
    assert figure.legends[0].get_title().get_text() == "ETTh1"
    assert viz.error_by_step_figure(curves, "MSE").axes[0].get_xlabel() == "steps ahead"


def test_the_model_is_thick_and_whole_and_no_two_references_look_alike() -> None:
    lines = viz.error_by_step_figure(CURVES, "MSE").axes[0].lines
    assert len(lines) == 6 and not lines[0].is_dashed() and all(each.is_dashed() for each in lines[1:])
    assert lines[0].get_linewidth() > 1.5 * max(each.get_linewidth() for each in lines[1:])
    assert len({each.get_color() for each in lines}) == 6
    for part in range(3):
        assert len({look[part] for look in viz.REFERENCES}) == len(viz.REFERENCES) == 5


def test_a_reference_far_above_leaves_the_axis_and_the_legend_says_so() -> None:
    figure = viz.error_by_step_figure(CURVES, "MSE")
    low, high = figure.axes[0].get_ylim()
    assert low == 0 and 2.2 * MODEL.max() < high < 2.7 * MODEL.max()
    assert [text.split(", ")[2:] for text in legend(figure)] == [
        [],
        [],
        [],
        [],
        ["partly beyond the axis"],
        ["beyond the axis"],
    ]
    assert np.array_equal(data(figure.axes[0], "drift")[:, 1], CURVES["drift"])  # clipped by the axis, not changed
    far = viz.error_by_step_figure({"gru": MODEL, "drift": CURVES["drift"]}, "MSE")
    assert far.axes[0].get_ylim()[1] < 1.2 * MODEL.max()  # no empty room for a line that is not there


def test_a_perfect_or_unknown_model_does_not_hide_its_references() -> None:
    for model in (np.zeros(8), np.full(8, np.nan)):
        figure = viz.error_by_step_figure({"gru": model, "ridge": np.full(8, 3.0)}, "MSE")
        assert 3 < figure.axes[0].get_ylim()[1] < 4
        assert legend(figure)[1] == "ridge, mean 3.00"


def test_few_steps_have_markers_and_many_have_none() -> None:
    for ahead, marker in ((8, "o"), (48, "")):
        (ax,) = viz.error_by_step_figure({"gru": MODEL[:ahead]}, "MSE").axes
        assert line(ax, "gru").get_marker() == marker


def test_errors_of_one_step_are_dots_in_named_rows() -> None:
    curves = {"gru": [0.2], "ridge": [0.3], "last value": [0.25], "drift": [40.0]}
    (ax,) = viz.error_by_step_figure(curves, "MSE", "stocks", "1 d").axes
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["gru, 0.200", "ridge, 0.300", "last value, 0.250", "drift, 40.0"]
    model, references, arrow = ax.lines
    assert np.array_equal(np.asarray(model.get_xydata()), [[0.2, 0]])
    assert np.array_equal(np.asarray(references.get_xydata()), [[0.3, 1], [0.25, 2]])
    assert model.get_marker() != references.get_marker()
    assert list(np.asarray(arrow.get_ydata())) == [3] and words(ax) == ["beyond the axis"]
    assert ax.get_xlim()[0] == 0 and 0.3 < ax.get_xlim()[1] < 0.5
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the model on top
    assert ax.get_xlabel() == "MSE, one step ahead (1 d)" and ax.get_title(loc="left") == "stocks"


def test_the_table_has_a_dot_a_figure_a_diamond_for_the_best_and_rings_for_the_published() -> None:
    figure = viz.table_bars_figure(ROWS, GROUPS, "test MSE", "ETTh1", MARKS)
    names = [*ROWS, "elsewhere"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == names
    bottom, top_edge = figure.axes[-1].get_ylim()
    assert bottom > len(names) - 1 and top_edge < 0  # every row is in sight, the first on top
    for k, (ax, best) in enumerate(zip(figure.axes, ([0], [9], [0, 1, 2, 3, 5, 6, 7, 8, 9], range(10)), strict=True)):
        near = {(row[k], names.index(name)) for name, row in ROWS.items() if row[k] < 0.6}
        top = {pair for pair in near if pair[1] in best}
        assert {*map(tuple, data(ax, "best measured"))} == top
        assert {*map(tuple, data(ax, "measured"))} == near - top
        rings = {(row[k], names.index(name)) for name, row in MARKS.items() if row[k] < 0.6}
        assert {*map(tuple, data(ax, "published"))} == rings
        assert line(ax, "published").get_fillstyle() == "none"
        assert ax.get_title(loc="left") == GROUPS[k]
    assert figure.get_supxlabel() == "test MSE"
    assert legend(figure) == ["measured", "best measured", "published"]
    assert figure.legends[0].get_title().get_text() == "ETTh1"
    assert "published" not in legend(viz.table_bars_figure(ROWS, GROUPS, "test MSE"))


def test_the_table_writes_figures_far_from_the_rest_as_numbers() -> None:
    figure = viz.table_bars_figure(ROWS, GROUPS, "test MSE", marks=MARKS)
    assert words(figure.axes[0]) == ["1.26   ○ 1.30", "0.703"]
    assert [text.get_position()[1] for text in figure.axes[0].texts] == [10, 11]
    for ax, largest in zip(figure.axes, (0.388, 0.413, 0.43, 0.45), strict=True):
        low, high = ax.get_xlim()
        assert low > 0.35 and largest < high < 0.47  # the rest has the room
    (ax,) = viz.table_bars_figure({"a": [1.0], "b": [1.2]}, ["g"], "MSE").axes
    assert words(ax) == [] and ax.get_xlim()[1] > 1.2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.3629, "0.363"),
        (0.4, "0.400"),
        (36.27, "36.3"),
        (1290.4, "1,290"),
        (0.000512, "0.000512"),
        (3.2e-7, "3.20e-07"),
        (4.56e9, "4.56e+09"),
        (0.0, "0"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert viz._three(value) == text


def test_no_pyplot_and_nothing_of_ours_but_viz() -> None:
    tree = ast.parse((ROOT / "tasks" / "forecast" / "viz.py").read_text(encoding="utf-8"))
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not any("pyplot" in name for name in modules)
    ours = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert {name.split(".")[0] for name in modules} & ours == {"viz", "tasks"}
