"""tools/report.py on run directories made by hand, once through a real process."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

import viz
from errors import DataError
from tools import report, report_site

from .pictures import BLANK
from .runs import standing_in
from .test_pages import Page

pytestmark = pytest.mark.paints

SCRIPT = Path(report.__file__)


def make_run(folder: Path, file: str = "metrics.json", plots: int = 1, **changes: Any) -> Path:
    """A finished run at `folder`; a change of None removes the key."""
    metrics: dict[str, Any] = {
        "run": folder.name,
        "task": "classify",
        "mode": "train",
        "split": "test",
        "selection": "val-selected",
        "pr_auc": 0.41,
        "monitor": {"name": "pr_auc", "direction": "max"},
        "headline": {"pr_auc": 0.41, "f1@tau": 0.45},
        "references": {"base_rate": {"pr_auc": 0.365}, "boosting": {"pr_auc": 0.4, "brier": 0.2}, "silent": {"n": 3}},
        "context": 31,
        "backbone": "gru",
        "seed": 777,
        "seconds": 12.3,
        "parameters": 12345,
    } | changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text("{}")
    kept = {key: value for key, value in metrics.items() if value is not None}
    (folder / file).write_text(json.dumps(kept), encoding="utf-8")
    for k in range(plots):
        figure = viz.new_figure(1, 1)
        viz.save(figure, folder / f"plot{k}.png")
    return folder


REGRESS: dict[str, Any] = {
    "file": "summary.json",
    "task": "regress",
    "monitor": {"name": "mae", "direction": "min"},
    "headline": {"mae": 14.1},
    "references": {"mean": {"mae": 37.0}, "persistence": {"mae": 22.0}},
}


def call(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`report.py WORDS` in this process, standing in `cwd`; its streams refuse what those of a process refuse."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
    with standing_in(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = report.main([*map(str, words)])
        except SystemExit as end:
            code = int(end.code or 0)
    for stream in (out, err):
        stream.seek(0)
    return subprocess.CompletedProcess(words, code, out.read(), err.read())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.slow
def test_two_tasks_from_a_parent_folder(tmp_path: Path) -> None:
    runs = tmp_path / "artifacts"
    make_run(runs / "a_classify", plots=2)
    make_run(runs / "deep" / "b_regress", **REGRESS)
    make_run(runs / ".partial")
    make_run(runs / "a_classify" / "fold_0")
    done = call("artifacts", "--out", "out/all", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path / "out/all/report.csv")
    assert [row["run"] for row in rows] == ["a_classify", "b_regress"]
    first, second = rows
    assert (first["pr_auc"], first["f1@tau"], first["mae"]) == ("0.41", "0.45", "")
    assert (first["best reference"], first["reference value"]) == ("boosting", "0.4")
    assert (second["mae"], second["best reference"], second["reference value"]) == ("14.1", "persistence", "22.0")
    expected = {"task": "classify", "backbone": "gru", "context": "31", "seed": "777", "split": "test"}
    expected |= {"selection": "val-selected", "monitor": "pr_auc", "seconds": "12.3", "parameters": "12345"}
    assert expected.items() <= first.items()
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and lines[0].split()[:2] == ["run", "task"]
    assert "0.4100" in lines[1] and "14.10" in lines[2]
    made = ["index.html", "report.csv", "report.png", "runs"]
    assert sorted(path.name for path in (tmp_path / "out/all").iterdir()) == made
    assert len(list((tmp_path / "out/all/runs").iterdir())) == 2


@pytest.mark.slow
def test_the_site_is_whole_and_needs_no_network(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r", plots=2)
    subprocess.run([sys.executable, str(SCRIPT), "r"], cwd=tmp_path, check=True)  # as it starts for a user
    text = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    (link,) = re.findall(r'<td class="run"[^>]*><a href="(runs/[^"]*)"', text)
    other = (tmp_path / "report" / link).read_text(encoding="utf-8")
    for page, pictures in ((text, [tmp_path / "report/report.png"]), (other, [run / "plot0.png", run / "plot1.png"])):
        sources = re.findall(r'<img[^>]*src="data:image/png;base64,([^"]*)"', page)
        assert [base64.b64decode(each) for each in sources] == [path.read_bytes() for path in pictures]
        assert "http:" not in page and "https:" not in page and Page(page).text
    assert '<a href="../../r/metrics.json">' in other and len(other) < 300_000


def test_only_columns_that_apply_the_best_marked_and_what_cannot_be_compared_apart(tmp_path: Path) -> None:
    for name, value in (("run2", 0.4), ("run10", 0.5), ("run1", 0.3)):
        make_run(tmp_path / name, plots=0, pr_auc=value, headline={"pr_auc": value}, shown={"pr_auc [x]": "pr_auc"})
    make_run(tmp_path / "chosen", plots=0, split="val", selection="val-selected", pr_auc=0.9, headline={"pr_auc": 0.9})
    make_run(tmp_path / "zz", plots=0, **REGRESS)
    runs = report.gather([tmp_path])
    links = {id(run): f"runs/{k}.html" for k, run in enumerate(runs)}
    (tmp_path / "p.png").write_bytes(BLANK)
    text = report_site.index(runs, links, tmp_path / "p.png")
    sections = text.split("<section>")[1:]
    assert len(sections) == 2 and "<h2>classify</h2>" in sections[0] and "<h2>regress</h2>" in sections[1]
    assert sections[0].count("<table") == 2 and "mae" not in sections[0] and "pr_auc" not in sections[1]
    tested = next(part for part in sections[0].split("<h3>")[1:] if part.startswith("test"))
    assert re.findall(r'<td class="run" data-by="([^"]*)"', tested) == ["run1", "run2", "run10"]
    best = re.findall(r"<tr class=best>.*?</tr>", tested)
    assert len(best) == 1 and "run10" in best[0] and "chosen" not in tested
    assert "pr_auc [x]" in tested and "best reference</span>" in tested
    panels = [ax.get_xlabel() for ax in report.figure_of(runs).axes]
    assert len(panels) == 3 and len(set(panels)) == 3


def test_names_in_the_dot_plot_are_what_differs() -> None:
    labels = ["train_classify_ctx31_gru_seed1", "train_classify_ctx31_tcn_seed1", "train_classify_ctx31_gru_seed2"]
    assert report.differing(labels) == ["gru_seed1", "tcn_seed1", "gru_seed2"]
    assert report.differing(labels[:1]) == labels[:1] and report.differing(["a", "a_b"]) == ["a", "b"]


@pytest.mark.fault("script in names", "text in every page, and no code for a terminal")
@pytest.mark.slow
def test_names_are_text_and_never_markup_or_terminal_codes(tmp_path: Path) -> None:
    evil = "<script>alert('1')</script> & $\\frac \x1b[31m\n\ud800"
    make_run(tmp_path / "r", run=evil, backbone='"><img src=x>', references={evil: {"pr_auc": 0.1}})
    done = call("r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "report/index.html", *(tmp_path / "report/runs").iterdir()):
        page = Page(path.read_text(encoding="utf-8"))
        assert len(page.scripts) == 1 and "alert" not in page.scripts[0]
        assert sum(key == "src" for _, key, _ in page.attributes) == 1
        assert "<script>alert('1')</script> & $\\frac ?[31m??" in page.text
    assert "\x1b" not in done.stdout and len(done.stdout.splitlines()) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "damaged"),
        ("[1]", "not an object"),
        ("[" * 100_000, "damaged"),
        ("\ud800", "damaged"),
        (None, "did the run finish"),
    ],
)
def test_a_damaged_run_is_named_and_left_out(text: str | None, reason: str, tmp_path: Path) -> None:
    make_run(tmp_path / "all/good")
    bad = make_run(tmp_path / "all/bad")
    if text is None:
        (bad / "metrics.json").unlink()
    else:
        (bad / "metrics.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    done = call("all", cwd=tmp_path)
    assert done.returncode == 0
    assert "all/bad: " in done.stderr and reason in done.stderr and "Traceback" not in done.stderr
    assert [row["run"] for row in table(tmp_path / "report/report.csv")] == ["good"]


def test_nothing_to_report_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = call("empty", "absent", cwd=tmp_path)
    assert done.returncode == 3 and done.stdout == ""
    assert "empty: no run here or below" in done.stderr and "absent: no such directory" in done.stderr
    assert "error: empty absent: no run to report\n  hint:" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    with pytest.raises(DataError):
        report.gather([tmp_path / "empty"])


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("x", "--bogus"), ("--out",)])
def test_bad_flags_are_a_usage_error(words: tuple[str, ...], tmp_path: Path) -> None:
    done = call(*words, cwd=tmp_path)
    assert done.returncode == 2 and "python tools/report.py --help" in done.stderr


def test_a_place_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    make_run(tmp_path / "r")
    (tmp_path / "file").write_text("")
    done = call("r", "--out", "file/report", cwd=tmp_path)
    assert done.returncode == 2 and "--out file/report: cannot be written" in done.stderr


@pytest.mark.slow
def test_missing_pieces_leave_empty_cells(tmp_path: Path) -> None:
    make_run(tmp_path / "full")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/metrics.json").write_text('{"seed": 1, "headline": "?", "references": [], "seconds": NaN}')
    (tmp_path / "full/broken.png").write_bytes(b"not a picture")
    done = call(".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    bare = table(tmp_path / "report/report.csv")[0]
    assert bare["run"] == "bare" and bare["seed"] == "1"
    assert bare["pr_auc"] == bare["best reference"] == bare["backbone"] == ""
    text = next((tmp_path / "report/runs").glob("*full*")).read_text(encoding="utf-8")
    assert "broken.png" in text and "not a picture" not in text


def test_runs_of_one_name_are_told_apart_and_counted_once(tmp_path: Path) -> None:
    make_run(tmp_path / "a/r")
    make_run(tmp_path / "a/r.1", run="r")
    runs = report.gather([tmp_path / "a", tmp_path / "a/../a/r"])
    assert [run.label for run in runs] == [str(tmp_path / "a/r"), str(tmp_path / "a/r.1")]


@pytest.mark.paints
def test_names_that_read_alike_are_numbered_and_long_ones_keep_their_end(tmp_path: Path) -> None:
    make_run(tmp_path / "a", run="r\x01")
    make_run(tmp_path / "b", run="r\x02")
    long = "train_classify_ctx31_ch31_alpha0.50_pwglobal_llm_ts_seed777_splitgroup_" + "x" * 60
    for end in ("one", "two"):
        make_run(tmp_path / end, run=f"{long}_{end}")
    runs = report.gather([tmp_path])
    assert [run.label for run in runs][:2] == ["r?", "r? (2)"]
    shown = [label.get_text().replace("\n", "") for label in report.figure_of(runs).axes[0].get_yticklabels()]
    assert len(set(shown)) == 4 and any(label.endswith("_one") for label in shown)


def test_precision_recall_and_accuracy_are_columns_of_new_and_old_files(tmp_path: Path) -> None:
    make_run(tmp_path / "new", precision=0.5, recall=0.25, f1=1 / 3, accuracy=0.9, best_tau=0.3)
    make_run(tmp_path / "old", best_tau={"threshold": 0.3, "precision": 0.6, "recall": 0.2, "accuracy": 0.8})
    make_run(tmp_path / "zz", **REGRESS)
    rows = report.table_of(report.gather([tmp_path]))
    assert [[row[name] for name in report.BESIDE] for row in rows] == [[0.5, 0.25, 0.9], [0.6, 0.2, 0.8], [None] * 3]
    only = report.table_of(report.gather([tmp_path / "zz"]))
    assert not set(report.BESIDE) & only[0].keys()


def test_folds_as_a_run_writes_them(tmp_path: Path) -> None:
    make_run(tmp_path / "r", folds={"pr_auc": {"mean": 0.4, "std": 0.1, "values": [0.3, None, 0.5]}})
    (row,) = report.table_of(report.gather([tmp_path]))
    assert row["pr_auc fold mean"] == pytest.approx(0.4)


@pytest.mark.parametrize("as_mapping", [False, True])
def test_folds_show_their_mean_and_spread(as_mapping: bool, tmp_path: Path) -> None:
    values = [0.38, 0.41, 0.47]
    folds: Any = [{"headline": {"pr_auc": values[0]}}, {"pr_auc": values[1]}, {"pr_auc": values[2], "n": 3}]
    make_run(tmp_path / "r", folds=dict(enumerate(folds)) if as_mapping else folds)
    make_run(tmp_path / "s")
    runs = report.gather([tmp_path])
    folded, plain = report.table_of(runs)
    assert folded["pr_auc fold mean"] == pytest.approx(np.mean(values))
    assert folded["pr_auc fold sd"] == pytest.approx(np.std(values, ddof=1))
    assert plain["pr_auc fold mean"] is None and "f1@tau fold mean" not in folded
    bars = [each for each in report.figure_of(runs).axes[0].lines if each.get_linewidth() == 4]
    (bar,) = bars
    mean, spread = np.mean(values), np.std(values, ddof=1)
    assert np.allclose(np.asarray(bar.get_xdata()), [mean - spread, mean + spread])


def test_references_are_ordered_by_the_monitors_direction(tmp_path: Path) -> None:
    up, down = report.gather([make_run(tmp_path / "c"), make_run(tmp_path / "r", **REGRESS)])
    assert list(up.references.items()) == [("boosting", 0.4), ("base_rate", 0.365)]
    assert list(down.references.items()) == [("persistence", 22.0), ("mean", 37.0)]
    assert (up.value, down.value) == (0.41, 14.1)


@pytest.mark.paints
def test_the_dot_plot_ranks_runs_and_draws_every_reference(tmp_path: Path) -> None:
    for k, value in enumerate([0.3, 0.5, 0.4]):
        make_run(tmp_path / f"run{k}", pr_auc=value)
    make_run(tmp_path / "zz", **REGRESS)
    make_run(tmp_path / "unmeasured", pr_auc=None, headline={})
    classify, regress = report.figure_of(report.gather([tmp_path])).axes
    lines = {each.get_label(): np.asarray(each.get_xydata()) for each in classify.lines}
    assert np.allclose(lines["run"], [[0.5, 0], [0.4, 1], [0.3, 2]])
    assert np.allclose(lines["boosting"][:, 0], 0.4) and np.allclose(lines["base_rate"][:, 0], 0.365)
    assert [label.get_text() for label in classify.get_yticklabels()] == ["run1", "run2", "run0"]
    assert (
        classify.get_xlabel() == "classify, test, val-selected: pr_auc (higher is better)"
        and "lower" in regress.get_xlabel()
    )
    markers = [each.get_marker() for each in classify.lines]
    assert len(set(markers)) == len(markers)


@pytest.mark.slow
def test_a_hundred_runs_or_none_with_a_value_still_make_a_picture(tmp_path: Path) -> None:
    run = report.gather([make_run(tmp_path / "r")])[0]
    many = report.figure_of([run] * 100)
    assert "best 50 of 100 runs" in many.axes[0].get_xlabel() and len(many.axes[0].get_yticks()) == 50
    viz.save(many, tmp_path / "many.png")
    assert matplotlib.image.imread(tmp_path / "many.png").shape[0] < 3000
    empty = report.figure_of([report.Run(tmp_path, "x", {})])
    assert "no run has a value" in empty.axes[0].texts[0].get_text()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.41, "0.4100"), (3311.67, "3311.7"), (float("nan"), "-"), (12345678, "12345678"), (True, "True")],
)
def test_cells(value: Any, text: str) -> None:
    assert report.cell(value) == text
