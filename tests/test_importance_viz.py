"""What a model looks at: shuffled inputs, against what is known of how the data were made."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from explaining import importance

from .runs import go

N = 700


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """y, and what it was made of: y[t] = 2 a[t-1] + b[t-3] + noise; c says nothing."""
    place, random = tmp_path_factory.mktemp("explain"), np.random.default_rng(5)
    a, b, c, noise = random.normal(size=(4, 1, N + 3))
    y = 2 * a[:, 2:-1] + b[:, :-3] + 0.1 * noise[:, 3:]
    for name, values in {"y": y, "a": a[:, 3:], "b": b[:, 3:], "c": c[:, 3:]}.items():
        np.savetxt(place / f"{name}.csv", values, delimiter=",", fmt="%.6g")
    return place


FILES = "--csv y.csv a.csv b.csv c.csv --header no --index no"
DATA = f"{FILES} --split-mode holdout --test-ratio 0.2 --drop-label-from-x"
LINE = f"--mode train --task regress {DATA} --context-len 4 --backbone ridge --reference off --no-plots"


def table(directory):
    with (directory / "explain.csv").open() as file:
        return {(row["kind"], row["part"]): float(row["mae_worse_by"]) for row in csv.DictReader(file)}


def test_the_parts_that_made_the_label_count_as_much_as_they_made_of_it(folder):
    done = go(folder, LINE, "--explain --tag a")
    assert done.code == 0, done.err
    found = table(done.directory)
    # The residual of a shuffled part with weight w is w (u - u'), a normal of deviation w sqrt(2); the mean absolute
    # value of a normal is sqrt(2 / pi) of its deviation.
    for name, weight in {"a": 2, "b": 1}.items():
        assert found["channel", name] == pytest.approx(2 * weight / np.sqrt(np.pi), rel=0.2), name
    assert abs(found["channel", "c"]) < 0.05 and ("channel", "y") not in found
    assert found["lags", "1"] == pytest.approx(found["channel", "a"], rel=0.2)
    assert found["lags", "3"] == pytest.approx(found["channel", "b"], rel=0.2)
    assert abs(found["lags", "2"]) < 0.05 and abs(found["lags", "4"]) < 0.05
    assert "explain: mae is 0.0" in done.err and "worse by: a 2." in done.err
    summary = json.loads((done.directory / "summary.json").read_text())
    assert summary["explain"]["channels"]["a"] == pytest.approx(found["channel", "a"], rel=1e-3)
    assert summary["explain"]["value"] == pytest.approx(summary["mae"], rel=1e-6)


def test_a_checkpoint_is_explained_too_and_predicts_the_same(folder):
    assert go(folder, LINE, "--tag b").code == 0
    files = {}
    for more in ("", "--explain"):
        done = go(folder, f"--mode infer {FILES} --ckpt artifacts/b --no-plots --reference off --overwrite", more)
        assert done.code == 0, done.err
        files[more] = (done.directory / "preds.csv").read_text()
    assert files[""] == files["--explain"] and table(done.directory)["channel", "a"] > 1.5


def test_a_model_of_whole_histories_says_that_nothing_is_explained(folder):
    line = "--mode train --task forecast --demo --backbone seasonal_naive --context-len 48 --horizon 4 --reference off"
    done = go(folder, line, "--no-plots --explain --tag c")
    assert done.code == 0 and not (done.directory / "explain.csv").exists()
    assert "seasonal_naive reads the whole past, not windows; --backbone ridge_ensemble does" in done.err


def test_what_is_known_ahead_and_the_calendar_are_parts(folder):
    dates = np.datetime_as_string(np.datetime64("2024-03-01T00", "h") + np.arange(400))
    table = np.random.default_rng(1).normal(size=(400, 3)).round(3)
    lines = [f"{date},{','.join(map(str, row))}" for date, row in zip(dates, table.tolist(), strict=True)]
    (folder / "t.csv").write_text("\n".join(["date,north,south,west", *lines]) + "\n")
    line = "--mode train --task forecast --csv t.csv --time-col date --backbone ridge --context-len 48 --horizon 4"
    done = go(
        folder, line, "--reference off --features MS --target north --known-future west --explain --tag d --no-plots"
    )
    assert done.code == 0, done.err
    with (done.directory / "explain.csv").open() as file:
        names = {row["part"] for row in csv.DictReader(file) if row["kind"] == "channel"}
    assert {"north", "south", "west (known ahead)"} <= names


def test_in_an_order_no_window_keeps_its_place():
    for n in (2, 3, 50):
        order = importance._order(n, 1)
        assert sorted(order) == list(range(n)) and (order != np.arange(n)).all()


def test_the_picture(sane_png):
    from explaining.picture import bars

    found = [importance.Importance("channel", f"channel {i} $x$", 0.1 * i, 0.01) for i in range(30)]
    found += [importance.Importance("lags", f"{i}", 0.2, 0.0) for i in range(8)]
    sane_png(
        lambda path: bars(found, path, "mae", 0.1, "a_run (test)"), height=(300, 1100), width=(900, 1300), below=120_000
    )
