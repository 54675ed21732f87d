"""pages/: what a page shows is what the run wrote, nothing in it is markup, and it stays small."""

from __future__ import annotations

import base64
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tasks
from pages import run_page
from pages.frames import Frame, Line, Plot, broken, packed, spread
from pages.html import document

from .pictures import BLANK
from .runs import good, sampled

EVIL = "<script>alert('1')</script><img src=x onerror=alert(2)> & \" ' </title> \u2028"


class Page(HTMLParser):
    """What a browser would see: tags that balance, scripts, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif "style" not in self.open:
            self.text += data


def unpacked(line: dict[str, Any]) -> np.ndarray:
    """The values of a packed line, as view.js reads them."""
    code = np.frombuffer(base64.b64decode(line["values"]), "<u2")
    return np.where(code == 65535, np.nan, line["low"] + code * line["unit"])


def places(frame: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(frame["at"]), "<f8")


def series_of(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "index.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="series">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def frame_of(values: np.ndarray, look: str = "truth", **more: Any) -> Frame:
    return Frame("a", np.arange(len(values)), False, (Plot("x", (Line(look, look, values),)),), **more)


def test_short_lines_are_packed_to_a_few_millionths_of_their_range() -> None:
    values = np.array([1.0, np.nan, -3.5, 1e6, 7.25])
    (frame,) = packed([frame_of(values)])
    assert np.allclose(unpacked(frame["lines"][0]), values, atol=1e6 / 65534, equal_nan=True)
    assert places(frame).tolist() == [0, 1, 2, 3, 4] and frame["detail"] is None


def test_a_constant_and_an_unknown_line_can_be_packed() -> None:
    for values in (np.full(4, 0.1), np.full(4, np.nan)):
        assert np.allclose(unpacked(packed([frame_of(values)])[0]["lines"][0]), values, equal_nan=True)


def test_thinning_keeps_the_least_and_the_largest_value_of_every_stretch_and_the_detail_whole() -> None:
    values = np.random.default_rng(1).normal(size=50_001)
    values[7], values[31_000] = 40, -40
    (frame,) = packed([frame_of(values, detail=slice(20_000, 21_000))])
    at, seen = places(frame), unpacked(frame["lines"][0])
    inside = (at >= 20_000) & (at < 21_000)
    assert np.array_equal(at[inside], np.arange(20_000, 21_000)) and frame["detail"] == [20_000, 20_999]
    assert np.allclose(seen[inside], values[20_000:21_000], atol=0.01)
    edges = at[~inside][::2].astype(int).tolist()
    for begin, end in zip(edges, [*edges[1:], len(values)], strict=True):
        if begin < 20_000 < end or begin == edges[-1]:
            continue  # the stretch beside the detail
        part, two = values[begin:end], seen[np.searchsorted(at, [begin])[0] :][:2]
        assert np.allclose(sorted(two), [part.min(), part.max()], atol=0.01)
    assert (np.diff(at) >= 0).all() and len(at) <= 3001


def test_a_band_never_shrinks_when_it_is_thinned() -> None:
    values = np.random.default_rng(2).normal(size=30_000)
    for look, end in (("low", np.min), ("high", np.max)):
        (frame,) = packed([frame_of(values, look)])
        at, seen = places(frame), unpacked(frame["lines"][0])
        assert seen[0] == seen[1] == pytest.approx(end(values[: int(at[2])]), abs=0.01)


def test_a_gap_breaks_the_line() -> None:
    frame = frame_of(np.arange(6.0))
    gappy = broken(Frame("a", np.array([0, 10, 20, 70, 80, 90]), True, frame.plots, detail=slice(3, 6)))
    assert gappy.at.tolist() == [0, 10, 20, 21, 70, 80, 90]
    assert np.array_equal(gappy.plots[0].lines[0].values, [0, 1, 2, np.nan, 3, 4, 5], equal_nan=True)
    assert gappy.detail == slice(4, 7)
    months = np.array([31, 59, 90, 120])
    assert broken(Frame("a", months, True, frame_of(np.arange(4.0)).plots)).at.tolist() == months.tolist()


def test_spread_takes_ends_and_no_more_than_asked() -> None:
    assert spread(3) == [0, 1, 2] and spread(0) == [] and spread(100, 3) == [0, 49, 99]


def made(folder: Path, **summary: Any) -> Path:
    """The files of a run, with the names of an enemy."""
    folder.mkdir(exist_ok=True)
    content = {
        "run": EVIL,
        "task": "classify",
        "split": "test",
        "selection": EVIL,
        "monitor": {"name": "f1", "direction": "max"},
        "headline": {"f1": 0.5},
        "shown": {f"f1 {EVIL}": "f1"},
        "references": {EVIL: {"f1": 0.7}, "low": {"f1": 0.1}},
        "n": 1200,
        "backbone": EVIL,
        "per_label": {EVIL: {"f1": 0.25}},
        "validation": {"f1": 0.9},
    } | summary
    (folder / "metrics.json").write_text(json.dumps(content))
    data = {"rows": 2, "channels": [EVIL], "files": [{"path": EVIL, "sha256": "00"}], "notes": [EVIL]}
    manifest = {"command": EVIL, "warnings": [EVIL], "data": data, "split": {"mode": "group", "val": {"windows": 3}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "config.yaml").write_text(json.dumps({"desc": EVIL}))
    (folder / "roc_curve.png").write_bytes(BLANK)
    return folder


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    folder = made(tmp_path / "r")
    (folder / "a'b\"<i>.csv").write_text("")
    frame = frame_of(np.arange(3.0))
    run_page.write_run(folder, [Frame(EVIL, frame.at, False, (Plot(EVIL, frame.plots[0].lines, EVIL, 1.0, EVIL),))])
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not any(key.startswith("on") for _, key, _ in page.attributes)
    assert [tag for tag, key, _ in page.attributes if key == "src"] == ["img"]
    assert len(page.scripts) == 2 and "alert" not in page.scripts[1]
    assert json.loads(page.scripts[0])[0]["title"] == EVIL and "</" not in page.scripts[0]
    assert page.text.count("<script>alert('1')</script>") >= 10
    policy = next(value for tag, key, value in page.attributes if value.startswith("default-src"))
    assert "script-src 'sha256-" in policy and "unsafe-inline" not in policy.split("script-src")[1]
    assert "http" not in re.sub(r'http-equiv="', "", text)


def test_the_best_reference_is_marked_and_beats_are_told(tmp_path: Path) -> None:
    made(tmp_path / "r", run="r", backbone="gru", better={"reference": "trees", "take": "auto"})
    text = run_page.page(tmp_path / "r")
    rows = re.findall(r'<tr class="best"><th>(.*?)</th>', text)
    assert len(rows) == 1 and rows[0].endswith("(reference)")  # 0.7 of the reference, 0.5 of the model
    seen = Page(text).text
    assert "trees is better than gru here" in seen and "not to be compared" in seen and "On test, 1,200 windows" in seen


def test_a_page_is_written_again_with_the_series_that_it_had(tmp_path: Path) -> None:
    folder = made(tmp_path / "r")
    run_page.write_run(folder, [frame_of(np.arange(3.0))])
    before = series_of(folder)
    made(folder, headline={"f1": 0.123})
    run_page.write_run(folder)
    assert series_of(folder) == before and "0.1230" in (folder / "index.html").read_text()


def test_pictures_beyond_the_size_of_a_page_stay_files(tmp_path: Path) -> None:
    folder = made(tmp_path / "r")
    (folder / "timelines.png").write_bytes(BLANK + bytes(400_000))
    (folder / "broken.png").write_bytes(b"no picture")
    run_page.write_run(folder, [])
    text = (folder / "index.html").read_text()
    assert len(text) < run_page.LARGEST and text.count("data:image/png") == 1
    assert './timelines.png"' in text


def test_a_folder_without_figures_still_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"split": {}, "data": []}')
    (tmp_path / "metrics.json").write_text("[" * 100_000)
    assert "<h1>" in run_page.page(tmp_path)
    assert Page(document("t", "", ())).text.strip() == "t"


# --- real runs -------------------------------------------------------------------------------------------------------


def test_the_series_of_a_forecast_are_its_predictions(tmp_path: Path) -> None:
    words = "--mode train --task forecast --demo --backbone ridge --context-len 24 --horizon 6 --reference off"
    folder = good(tmp_path, words, "--no-plots --save-preds")
    (frame, *_) = series_of(folder)
    saved = np.load(folder / "preds.npz")
    first = saved["time"].min()
    time, chosen = saved["time"], []
    for n in np.argsort(time):  # forecasts one after the other
        if not chosen or time[n] >= time[chosen[-1]] + 6 * 3600 * 10**9:
            chosen.append(n)
    at = places(frame)
    assert frame["dated"] and at[48] == first / 1e6 and np.array_equal(np.diff(at[:60]), np.full(59, 3.6e6))
    names = [plot["name"] for plot in frame["plots"]]
    assert names == saved["channel"].tolist()
    for k, plot in enumerate(frame["plots"]):
        lines = {frame["lines"][j]["look"]: unpacked(frame["lines"][j]) for j in plot["lines"]}
        for look, key in (("truth", "truth"), ("prediction", "pred"), ("low", "low"), ("high", "high")):
            expected = saved[key][chosen, k].ravel()
            step = np.ptp(expected) / 1000
            assert np.allclose(lines[look][48:][: len(expected)], expected, atol=step), (plot["name"], look)


@pytest.mark.parametrize("task", [name for name in tasks.names() if name != "forecast"])
def test_the_series_of_the_other_tasks_are_those_of_their_tables(task: str, tmp_path: Path) -> None:
    words = f"--mode train --task {task} --backbone gru --epochs 1 --reference off --no-plots"
    folder = good(tmp_path, words, *sampled(task, tmp_path))
    (frame, *_) = series_of(folder)
    lines = {line["name"]: unpacked(line) for line in frame["lines"]}
    name = "timeline.csv" if (folder / "timeline.csv").is_file() else "preds.csv"
    with (folder / name).open(newline="") as file:
        table = [row for row in csv.DictReader(file) if row.get("row", frame["title"]) == frame["title"]]
    columns = {"preds.csv": {"truth": "y_true", "prediction": "y_pred"}, "timeline.csv": {"probability": "tv p"}}[name]
    for line, column in columns.items():
        key = "y_score" if "y_score" in table[0] and column == "y_pred" else column
        expected = np.array([float(row[key]) for row in table])
        assert np.allclose(lines[line], expected, atol=np.ptp(expected) / 1000 + 1e-9), line
    assert places(frame).size == len(table)
    assert not list(folder.glob("*.png"))
