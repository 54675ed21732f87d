"""tasks/axes.py: every tick says its own date, and lines break where steps are missing."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from matplotlib.dates import num2date

import viz
from tasks.axes import after_gaps, date_axis, opened
from tasks.forecast.viz import Panel, forecast_figure

pytestmark = pytest.mark.paints  # elsewhere axes share their ticks


def ticks(ax) -> list[tuple[datetime, str]]:
    ax.figure.draw_without_rendering()
    labels = [text.get_text() for text in ax.get_xticklabels()]
    return [(num2date(at), text) for at, text in zip(ax.get_xticks(), labels, strict=True)]


@pytest.mark.parametrize(
    ("step", "count", "form"),
    [
        (timedelta(hours=1), 30, "%H:%M"),
        (timedelta(hours=1), 24 * 20, "{d} %b"),
        (timedelta(days=1), 400, "%b"),
        (timedelta(days=30), 200, "%Y"),
        (timedelta(seconds=1), 40, "%H:%M:%S"),
    ],
)
def test_each_tick_says_its_own_date(step, count, form):
    """A window that ends in the last days of April: the ticks beyond it say nothing of May."""
    end = datetime(2024, 4, 30, 20)
    times = np.array([end - step * k for k in range(count)][::-1], "datetime64[ms]")
    figure = viz.new_figure()
    ax = figure.subplots()
    ax.plot(times, np.arange(count))
    date_axis(ax, 3, 6)
    seen = [(date, text) for date, text in ticks(ax) if text]
    assert 2 <= len(seen) <= 7
    for date, text in seen:
        assert text.split("\n")[0] == date.strftime(form.replace("{d}", str(date.day)))
        assert date.replace(tzinfo=None) <= end + (end - times[0].item()) / 10
    assert form == "%Y" or "2" in seen[0][1].split("\n")[1]  # the first names the year
    assert ax.xaxis.get_offset_text().get_text() == ""


@pytest.mark.parametrize(("least", "most"), [(3, 4), (3, 6), (4, 9)])
def test_no_length_of_time_is_without_ticks(least, most, recwarn):
    """Of 30 to 36 months matplotlib's own choice of ticks says that it finds none, to whoever draws."""
    for days in (1 / 480, 0.5, 2, 7, 40, 100, 600, 915, 1000, 1090, 3000, 30000):
        ax = viz.new_figure().subplots()
        date_axis(ax, least, most)
        begin = datetime(2020, 5, 1)
        assert len(ax.xaxis.get_major_locator().tick_values(begin, begin + timedelta(days=days)))
    assert not [each for each in recwarn if "appropriate interval" in str(each.message)]


def test_a_forecast_in_april_does_not_read_may():
    times = np.arange("2016-04-24", "2016-05-01", dtype="datetime64[h]")[:160].astype("datetime64[ns]")
    panel = Panel("OT", np.zeros(136), np.ones(24), times=times)
    figure = forecast_figure([panel])
    texts = " ".join(text for _, text in ticks(figure.axes[0]))
    assert "Apr" in texts and "May" not in texts


def test_lines_open_where_steps_are_missing():
    times = np.array(["2024-01-01T00:00", "2024-01-01T00:10", "2024-01-01T00:20", "2024-01-02T00:00"], "datetime64[m]")
    assert after_gaps(times).tolist() == [3]
    assert opened(times)[3] == np.datetime64("2024-01-01T00:30") and len(opened(times)) == 5
    assert after_gaps(times[:2]).tolist() == [] and opened(times[:3]).tolist() == times[:3].tolist()
