"""sources/reading.py: a checkpoint's channels in tables that differ from those of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest

from .runs import go, good, preds

QUICK = "--backbone ridge --reference off --no-plots --overwrite"


def table(steps: int = 60, freq: str = "h") -> pandas.DataFrame:
    values = np.random.default_rng(6).normal(size=(3, steps)).round(3)
    times = pandas.date_range("2024-01-01", periods=steps, freq=freq)
    return pandas.DataFrame({"time": times, "load": values[0], "temp": values[1], "wind": values[2]})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    box = tmp_path_factory.mktemp("trained")
    table().to_csv(box / "a.csv", index=False)
    good(box, f"--task regress --csv a.csv --label-src-ch temp --context-len 6 --tag run {QUICK}")
    return box


def infer(box: Path, frame: pandas.DataFrame, words: str = ""):
    frame.to_csv(box / "b.csv", index=False)
    return go(box, f"--mode infer --ckpt artifacts/run --csv b.csv --no-plots --reference off --overwrite {words}")


def answers(done) -> list[tuple[str, str]]:
    assert done.code == 0, done.err
    return [(line["y_true"], line["y_pred"]) for line in preds(done.directory)]


def test_columns_in_another_order_spelling_or_number_are_the_same(trained):
    wanted = answers(infer(trained, table()))
    assert [true for true, _ in wanted[:-1]] == [f"{value:g}" for value in table()["temp"][6:]]
    assert answers(infer(trained, table()[["wind", "time", "temp", "load"]].assign(more=1.0, note="x"))) == wanted
    done = infer(trained, table().rename(columns={"load": "LOAD", "wind": "Wind "}))
    assert answers(done) == wanted and "in another spelling: load from 'LOAD', wind from 'Wind'" in done.err


def test_a_renamed_column_is_proposed_by_a_flag_that_works(trained):
    frame = table().rename(columns={"temp": "temperature"})
    done = infer(trained, frame)
    assert done.code == 3 and "hint: --columns temp=temperature" in done.err
    assert answers(infer(trained, frame, "--columns temp=temperature")) == answers(infer(trained, table()))


def test_a_missing_column_and_steps_or_lengths_that_do_not_fit(trained):
    done = infer(trained, table().drop(columns="wind"))
    assert done.code == 3 and "--columns load temp learns without" in done.err
    done = infer(trained, table()[["time"]].assign(depth=1.0))
    assert done.code == 3 and "reads load, temp, wind, and none of them is here" in done.err
    assert "hint: --resample 1h" in infer(trained, table(freq="30min")).err
    assert len(answers(infer(trained, table(freq="30min"), "--resample 1h"))) == 25
    assert "a coarser step does not tell" in infer(trained, table(freq="2h")).err
    short = infer(trained, table(5))
    assert short.code == 3 and "the checkpoint's context is fixed" in short.err
    assert [true for true, _ in answers(infer(trained, table(6)))] == [""]
