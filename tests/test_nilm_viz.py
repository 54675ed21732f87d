"""viz.py: what is drawn is what was given, and every picture is a sane PNG."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from tasks.nilm import busy, metrics, plots, viz
from tasks.nilm.timeline import Decided, Timeline
from viz import save

RNG = np.random.default_rng(0)
STEPS = 2400
NAMES = ["fridge", "washing_machine_with_a_$long$_name", "kettle"]
ON = np.repeat(RNG.random((3, STEPS // 40)) < [[0.4], [0.1], [0.0]], 40, axis=1).astype(np.float32)
SCORE = np.clip(RNG.normal(0.25 + 0.5 * ON, 0.15), 0, 1)
WATTS = ON * np.array([[90], [500], [2000]])
ESTIMATE = WATTS * 0.8 + RNG.random(WATTS.shape) * 5
MAINS = WATTS.sum(axis=0) + 100
TIMES = np.datetime64("2015-01-04T06:00", "ns") + np.arange(STEPS) * np.timedelta64(8, "s")
TAU = [0.5, 0.62, 0.5]
KPIS = metrics.nilm_kpis(NAMES, 8, on=ON, score=SCORE, tau=TAU, watts=WATTS, estimate=ESTIMATE)["devices"]
GRID = np.linspace(0, 1, 51)
CURVES = {name: (GRID, metrics.f1_curve(ON[k], SCORE[k], GRID)) for k, name in enumerate(NAMES)}
DAYS = np.datetime64("2015-01-04") + np.arange(14)
KWH = RNG.random((3, 14))


def trace(k: int, **other: Any) -> viz.Trace:
    given: dict[str, Any] = {"on": ON[k], "score": SCORE[k], "predicted": SCORE[k] >= TAU[k], "tau": TAU[k]}
    return viz.Trace(NAMES[k], **given | {"watts": WATTS[k], "estimate": ESTIMATE[k]} | other)


def gappy(values: np.ndarray) -> np.ndarray:
    return np.where((np.arange(STEPS) > 500) & (np.arange(STEPS) < 700), np.nan, values)


def state_only(k: int) -> viz.Trace:
    return trace(k, watts=None, estimate=None)


UNKNOWN = trace(0, on=None, watts=None)
DRAWN: dict[str, Callable[[], Figure]] = {
    "summary": lambda: viz.summary_figure(KPIS, CURVES, "test part of house 2"),
    "summary of one": lambda: viz.summary_figure({"$kettle": KPIS["kettle"]}, {}),
    "summary of eight": lambda: viz.summary_figure({f"device {k}": KPIS["fridge"] for k in range(8)}, CURVES),
    "timelines": lambda: viz.timelines_figure(TIMES, MAINS, [trace(k) for k in range(3)], "UTC", "$t$ " * 90),
    "states alone": lambda: viz.timelines_figure(TIMES, MAINS, [state_only(k) for k in range(3)]),
    "no truth": lambda: viz.timelines_figure(TIMES, MAINS, [UNKNOWN]),
    "gaps": lambda: viz.timelines_figure(
        TIMES, gappy(MAINS), [trace(0, on=gappy(ON[0]), score=gappy(SCORE[0]), watts=gappy(WATTS[0]))]
    ),
    "energy": lambda: viz.energy_figure(DAYS, KWH, NAMES, KWH * 1.1, "test part"),
    "energy of one day, no truth": lambda: viz.energy_figure(DAYS[:1], KWH[:, :1], NAMES),
    "energy of a season": lambda: viz.energy_figure(
        np.datetime64("2015-01-04") + np.arange(140), np.tile(KWH, 10), NAMES, np.tile(KWH, 10) * 0
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.filterwarnings("error")
def test_every_picture_is_a_png_of_sane_size_with_something_on_it(name: str, sane_png: Callable[..., None]) -> None:
    sane_png(lambda path: save(DRAWN[name](), path), height=(300, 1900), width=(1000, 1300), below=500_000)


def line(ax: Axes, label: str) -> np.ndarray:
    (found,) = [each for each in ax.lines if each.get_label() == label]
    return np.asarray(found.get_xydata())


def words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def spans(ax: Axes, label: str) -> list[tuple[float, float]]:
    """Begin and end of each stretch of a strip."""
    (found,) = [each for each in ax.collections if each.get_label() == label]
    return [(float(path.vertices[:, 0].min()), float(path.vertices[:, 0].max())) for path in found.get_paths()]


def legend(figure: Figure) -> list[str]:
    (box,) = figure.legends
    return [text.get_text() for text in box.get_texts()]


def test_the_summary_shows_counts_ratios_and_the_curve_of_each_device() -> None:
    figure = viz.summary_figure(KPIS, CURVES)
    rows = np.reshape(np.array(figure.axes, object), (3, 3))
    for k, (name, row) in enumerate(zip(NAMES, rows, strict=True)):
        found = KPIS[name]
        counts = [int(text.split("\n")[0].replace(",", "")) for text in words(row[0])[:4]]
        assert counts == [found["tn"], found["fp"], found["fn"], found["tp"]]
        assert words(row[0])[4].replace("\n", "") == name
        if k < 2:
            assert [bar.get_width() for bar in row[1].patches] == [found[key] for key in ("precision", "recall", "f1")]
            np.testing.assert_array_equal(np.asarray(row[2].lines[0].get_xydata()), np.column_stack(CURVES[name]))
            assert words(row[2]) == [f"τ = {TAU[k]:g}"]
    assert [text for text in words(rows[2, 1]) if text.startswith("null")] == ["null: the device is never on"] * 2
    assert words(rows[2, 2]) == ["the device is never on"]
    hatches = [bar.get_hatch() for bar in rows[0, 1].patches]
    assert len({(bar.get_facecolor(), hatch) for bar, hatch in zip(rows[0, 1].patches, hatches, strict=True)}) == 3
    assert [ax.get_xlabel() for ax in rows[2]] == ["predicted", "share", "threshold τ"]


def test_timelines_show_truth_score_and_prediction_over_one_time() -> None:
    figure = viz.timelines_figure(TIMES, MAINS, [trace(0), state_only(1)], "Europe/London")
    mains, states, watts, other = figure.axes
    at = date2num(TIMES)
    np.testing.assert_allclose(np.asarray(mains.lines[0].get_xydata()), np.column_stack([at, MAINS]))
    np.testing.assert_allclose(line(states, "probability"), np.column_stack([at, SCORE[0]]))
    np.testing.assert_allclose(line(watts, "estimated power"), np.column_stack([at, ESTIMATE[0]]))
    for label, on in (("truly on", ON[0]), ("predicted on", SCORE[0] >= TAU[0])):
        strips, step = spans(states, label), at[1] - at[0]
        within = [any(begin - step / 9 <= time < end - step / 9 for begin, end in strips) for time in at]
        np.testing.assert_array_equal(within, on == 1)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["", NAMES[0], "", NAMES[1]]
    assert [ax.get_ylabel() for ax in figure.axes] == ["mains (W)", "probability", "power (W)", "probability"]
    assert other.get_xlabel() == "time (Europe/London)"
    assert legend(figure) == [
        *("probability", "threshold τ", "truly on", "predicted on", "true power", "estimated power")
    ]


def test_without_truth_nothing_is_called_true() -> None:
    assert legend(viz.timelines_figure(TIMES, MAINS, [UNKNOWN])) == [
        *("probability", "threshold τ", "predicted on", "estimated power")
    ]
    figure = viz.energy_figure(DAYS, KWH, NAMES)
    assert legend(figure) == ["estimated"]
    assert figure.axes[0].get_title(loc="left") == f"fridge: estimated {KWH[0].sum():.3g} kWh"


def test_energy_bars_are_the_days_kwh_beside_each_other() -> None:
    figure = viz.energy_figure(DAYS, KWH, NAMES, KWH * 2)
    for k, ax in enumerate(figure.axes):
        true, said = (np.array([bar.get_height() for bar in ax.patches[half]]) for half in (slice(14), slice(14, 28)))
        np.testing.assert_allclose(true, KWH[k] * 2)
        np.testing.assert_allclose(said, KWH[k])
        edges = np.array([(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches])
        np.testing.assert_allclose(edges[:14, 1], edges[14:, 0])  # side by side, within their day
        days = date2num(DAYS)
        assert (edges[:14, 0] > days).all() and (edges[14:, 1] < days + 1).all()
        assert ax.get_ylabel() == "kWh per day" and ax.get_title(loc="left").endswith("(-50 %)")
    lines = viz.energy_figure(DAYS.repeat(3) + np.tile(np.arange(3) * 14, 14), np.tile(KWH, 3), NAMES)
    assert len(lines.axes[0].lines) == 1 and not lines.axes[0].patches


def test_the_busy_stretch_has_most_devices_running() -> None:
    on = np.zeros((3, 1000), np.float32)
    on[0] = 1  # a fridge that never rests says nothing
    on[1, 100:400] = 1
    on[1, 700:730] = on[2, 740:760] = 1
    on[2, :50] = np.nan
    found = busy.busy_stretch(on, 160)
    assert found.stop - found.start == 160 and found.start <= 700 and found.stop >= 760
    assert busy.busy_stretch(on, 5000) == slice(0, 1000)


def test_a_window_has_mains_truth_and_prediction_in_one_axes() -> None:
    times = np.datetime64("2024-01-01T00:00:00", "ns") + np.arange(50) * np.timedelta64(8, "s")
    mains, truth = np.linspace(100, 900, 50), np.where(np.arange(50) > 20, 800.0, 0.0)
    figure = viz.window_figure(times, mains, "kettle", truth, truth * 0.9, "run (test)")
    (ax,) = figure.axes
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in ax.lines}
    assert list(lines) == ["mains", "kettle, truth", "kettle, prediction"]
    assert np.array_equal(lines["kettle, truth"], truth) and np.array_equal(lines["mains"], mains)
    assert ax.get_title(loc="left") == "run (test)" and ax.get_ylabel() == "W"
    assert len(viz.window_figure(times, mains, "kettle", None, truth).axes[0].lines) == 2


def test_stretches_stand_side_by_side_and_no_line_crosses_a_gap() -> None:
    times = np.concatenate([TIMES[:600], TIMES[600:1200] + np.timedelta64(3, "h")])
    one = trace(0)
    cut = viz.Trace(NAMES[0], *(part[:1200] for part in (one.on, one.score, one.predicted)), 0.5)
    parts = {"first": slice(0, 600), "second": slice(600, 1200)}
    apart = viz.timelines_figure(times, MAINS[:1200], [cut], "UTC", "run (test)", parts)
    assert [ax.get_title(loc="left") for ax in apart.axes][:2] == ["first", "second"]
    assert np.array_equal(np.asarray(apart.axes[1].lines[0].get_ydata()), MAINS[600:1200])
    (whole, states) = viz.timelines_figure(times, MAINS[:1200], [cut]).axes
    drawn = np.asarray(whole.lines[0].get_ydata())
    assert len(drawn) == 1201 and np.isnan(drawn[600]) and np.array_equal(np.delete(drawn, 600), MAINS[:1200])
    begin, end = date2num(times[599]), date2num(times[600])
    assert not any(first < (begin + end) / 2 < last for first, last in spans(states, "truly on"))


def test_days_of_which_a_part_was_read_are_marked() -> None:
    share = np.array([0.5, *[1.0] * 12, 23 / 24])
    figure = viz.energy_figure(DAYS, KWH, NAMES, KWH, "run (test)", share)
    figure.draw_without_rendering()
    last = figure.axes[-1]
    labels = [text.get_text() for text in last.get_xticklabels()]
    assert labels[0].split("\n") == ["4 Jan*", "12 h", "2015"] and labels[1] == "6 Jan"
    assert np.allclose(last.get_xticks(), date2num(DAYS[::2]) + 0.5)
    assert [bar.get_alpha() is not None for bar in last.patches[:14]] == [True] + 13 * [False]  # 23 h: the clock
    assert last.get_xlabel() == "day (* a part of it)" and legend(figure) == ["true", "estimated"]


def test_the_curve_meets_the_bar_at_tau_with_the_duration_rules() -> None:
    at = np.arange(STEPS)
    line = Timeline(at, np.zeros(STEPS, int), SCORE, ESTIMATE, ON.astype(float), WATTS)
    least = [(5, 5), (9, 2), (1, 1)]
    states = line.states([TAU], least)[0]
    decided = Decided(line, TAU, states, ESTIMATE, ESTIMATE, [], np.zeros(STEPS, bool))
    found = plots.curves(NAMES, decided, lambda cuts: line.states([[cut] * 3 for cut in cuts], least))
    for k, name in enumerate(NAMES[:2]):
        taus, f1 = found[name]
        bar = metrics.state_metrics(ON[k], states[k], 8, 60)["f1"]
        assert f1[np.searchsorted(taus, TAU[k])] == pytest.approx(bar)
        assert bar != pytest.approx(metrics.f1_curve(ON[k], SCORE[k], [TAU[k]])[0])
    assert np.isnan(found[NAMES[2]][1]).all()
