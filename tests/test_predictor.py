"""predictor.py: which windows are predicted, how they are called, and figures that follow from the predictions."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, r2_score

from checkpoint import BEST, Checkpoint

from .runs import go, good, lay, numbers, preds, strict

ROWS, STEPS, CONTEXT = 15, 20, 4
QUICK = "--backbone linear --epochs 2 --reference off --no-plots --quiet"
TRAIN = (
    f"--mode train --no-wide --patience 9 --csv data/a.csv data/b.csv --context-len {CONTEXT} --test-ratio 0.2 {QUICK}"
)
PER_ROW = STEPS - CONTEXT  # windows with a label


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Two channels, and runs that learned from them: 9 rows to train on, 3 validate, 3 test."""
    folder, rng = tmp_path_factory.mktemp("predictor"), np.random.default_rng(7)
    lay(folder, a=rng.normal(size=(ROWS, STEPS)), b=rng.normal(size=(ROWS, STEPS)), new=rng.normal(size=(ROWS, STEPS)))
    good(folder, TRAIN, "--task regress --tag regress")
    good(folder, TRAIN, "--task regress --drop-label-from-x --tag blind")
    good(folder, TRAIN, "--task classify --bin-rule gt --thresh-default 0.4 --tag classify")
    return folder


def line_of(run: str, *words: object) -> str:
    return f"--mode infer --ckpt artifacts/{run} --no-plots --overwrite {' '.join(map(str, words))}"


def inferred(home: Path, run: str, *words: object) -> Path:
    """The directory of an inference, on the files of training unless `words` name others."""
    files = "" if any("--csv" in str(word) for word in words) else "--csv data/a.csv data/b.csv"
    return good(home, line_of(run, files, *words))


def table(home: Path, name: str) -> np.ndarray:
    return np.loadtxt(home / f"data/{name}.csv", delimiter=",", ndmin=2)


# ---- the figures


def test_predictions_are_those_of_the_weights_and_figures_those_of_the_predictions(home):
    folder = inferred(home, "regress", "--reference auto")
    lines, content = preds(folder), strict(folder / "summary.json")
    found = Checkpoint.load(home / "artifacts/regress" / BEST)
    values = np.stack([table(home, name) for name in "ab"])
    scaled = (values - found.scaler.mean[:, None, None]) / found.scaler.std[:, None, None]
    weight, bias = found.state["head.weight"].numpy().ravel(), found.state["head.bias"].numpy()[0]
    (mean,), (std,) = found.fitted["mean"], found.fitted["std"]
    scored, ahead = lines[: ROWS * PER_ROW], lines[ROWS * PER_ROW :]
    assert [(line["row"], line["time"]) for line in scored] == [
        (str(row), str(t)) for row in range(ROWS) for t in range(CONTEXT, STEPS)
    ]
    assert [(line["row"], line["time"], line["y_true"]) for line in ahead] == [(str(r), "20", "") for r in range(ROWS)]
    for line in lines:
        row, end = int(line["row"]), int(line["time"])
        window = scaled[:, row, end - CONTEXT : end].ravel()
        assert float(line["y_pred"]) == pytest.approx((weight @ window + bias) * std + mean, abs=1e-5)
    y, p = numbers(scored, "y_true"), numbers(scored, "y_pred")
    np.testing.assert_allclose(y, values[0, :, CONTEXT:].ravel(), atol=1e-6)
    assert content["mae"] == pytest.approx(np.abs(y - p).mean(), abs=1e-6)
    assert content["rmse"] == pytest.approx(np.sqrt(np.mean((y - p) ** 2)), abs=1e-6)
    assert content["r2"] == pytest.approx(r2_score(y, p), abs=1e-5)
    assert content["headline"] == {name: content[name] for name in ("mae", "rmse", "r2")}
    still = np.abs(values[0, :, CONTEXT:] - values[0, :, CONTEXT - 1 : -1]).mean()
    assert content["references"]["persistence"]["mae"] == pytest.approx(still, abs=1e-6)
    assert content["references"]["mean"]["mae"] == pytest.approx(np.abs(y - mean).mean(), abs=1e-6)
    assert "needs the training windows" in content["references"]["gradient_boosting"]["skipped"]


def test_labels_are_cut_where_training_chose_to(home):
    folder = inferred(home, "classify", "--csv data/new.csv data/b.csv")
    content, scored = strict(folder / "metrics.json"), preds(folder)[: ROWS * PER_ROW]
    (tau,) = Checkpoint.load(home / "artifacts/classify" / BEST).calibration["tau"]
    y, score = numbers(scored, "y_true"), numbers(scored, "y_score")
    assert y.tolist() == (table(home, "new")[:, CONTEXT:].ravel() > 0).tolist()
    assert numbers(scored, "y_pred@tau").tolist() == (score >= tau).tolist()
    assert content["f1_at_tau"] == pytest.approx(f1_score(y, score >= tau))
    assert content["calibration"]["tau"] == [tau] and content["calibration"]["chosen_on"] == "val"


def test_a_run_that_had_chosen_nothing_yet_uses_the_default(home):
    """As one that was stopped early: also for its references."""
    stopped = home / "artifacts/stopped"
    stopped.mkdir(exist_ok=True)
    whole = Checkpoint.load(home / "artifacts/classify" / BEST)
    assert whole.calibration["tau"] != [0.4]
    replace(whole, calibration={}, references={}).save(stopped / BEST)
    folder = inferred(home, "stopped", "--task classify --reference auto")
    content, scored = strict(folder / "metrics.json"), preds(folder)[: ROWS * PER_ROW]
    y, score = numbers(scored, "y_true"), numbers(scored, "y_score")
    assert content["calibration"] == {"tau": [0.4], "chosen_on": "default"}  # of that run's --thresh-default
    assert content["f1_at_tau"] == content["f1_at_default"] == pytest.approx(f1_score(y, score >= 0.4))
    before = (table(home, "a")[:, CONTEXT - 1 : -1].ravel() > 0).astype(float)
    assert content["references"]["persistence"]["f1_at_tau"] == pytest.approx(f1_score(y, before >= 0.4))


# ---- which windows, and what they are called


@pytest.mark.parametrize(
    ("split", "rows", "seen", "selection"),
    [
        ("train", 9, 9, "training windows"),
        ("val", 3, 0, "val-selected"),
        ("test", 3, 0, "chosen on val, test scored once"),
        ("all", 15, 9, "includes training windows"),
    ],
)
def test_files_of_training_are_split_as_they_were(home, split, rows, seen, selection):
    folder = inferred(home, "regress", f"--eval-split {split}")
    content, said = strict(folder / "summary.json"), strict(folder / "manifest.json")["split"]
    assert (content["split"], content["selection"], content["n"]) == (split, selection, rows * PER_ROW)
    assert said == {
        "scored": split,
        "windows": rows * PER_ROW,
        "files_of_training": True,
        "overlap": seen * PER_ROW,  # targets that training saw
    }
    of_training = Checkpoint.load(home / "artifacts/regress" / BEST).split["rows"]
    expected = range(ROWS) if split == "all" else of_training[split]
    found = [int(line["row"]) for line in preds(folder) if line["y_true"]]
    assert sorted(set(found)) == sorted(expected)


def test_rows_of_training_are_remembered_whatever_the_seed(home):
    folder = inferred(home, "regress", "--eval-split val --seed 5")
    of_training = Checkpoint.load(home / "artifacts/regress" / BEST).split["rows"]["val"]
    assert sorted({int(line["row"]) for line in preds(folder) if line["y_true"]}) == of_training


def test_a_time_split_is_made_again(home):
    good(home, TRAIN, "--task regress --split-mode holdout --tag timed")
    folder = inferred(home, "timed", "--eval-split test")
    assert {int(line["time"]) for line in preds(folder) if line["y_true"]} == {16, 17, 18, 19}
    assert strict(folder / "manifest.json")["split"]["overlap"] == 0
    whole = strict(inferred(home, "timed") / "manifest.json")["split"]
    assert whole["overlap"] == ROWS * (12 - CONTEXT)  # targets 4 to 11: 3/5 of every row


@pytest.mark.parametrize(
    ("files", "selection"),
    [
        ("data/new.csv data/new.csv", "files that were no part of training"),
        ("data/new.csv data/b.csv", "includes files of training"),
    ],
)
def test_other_files_are_called_what_they_are(home, files, selection):
    done = go(home, line_of("regress", f"--csv {files}"))
    content, said = strict(done.directory / "summary.json"), strict(done.directory / "manifest.json")["split"]
    assert (content["selection"], content["n"]) == (selection, ROWS * PER_ROW)
    assert (said["files_of_training"], said["overlap"]) == (False, 0)
    assert "not the files of training" not in done.err


def test_files_of_training_in_another_order_are_put_in_order(home):
    one, two = (inferred(home, "regress", f"--csv data/{a}.csv data/{b}.csv") for a, b in ("ab", "ba"))
    assert preds(one) == preds(two)
    assert strict(two / "manifest.json")["split"]["files_of_training"]


def test_a_split_of_other_files_is_a_warning(home):
    done = go(home, line_of("regress", "--csv data/new.csv data/b.csv --eval-split val"))
    assert "warning: these are not the files of training; --eval-split all scores all their rows" in done.err
    assert strict(done.directory / "summary.json")["n"] == 3 * PER_ROW


def test_made_up_data_are_those_of_training_if_the_seed_is(tmp_path):
    demo = f"--task regress --demo --stride 20 {QUICK} --epochs 1 --batch-size 4096"
    good(tmp_path, "--mode train --tag it", demo)
    selections = []
    for more in ("", "--seed 3"):
        folder = good(tmp_path, "--mode infer --ckpt artifacts/it --overwrite --eval-split all", demo, more)
        selections.append(strict(folder / "summary.json")["selection"])
    assert selections == ["includes training windows", "files that were no part of training"]


def test_a_test_split_that_training_did_not_have_is_an_error(home):
    good(home, TRAIN, "--task regress --test-ratio 0 --tag untested")
    done = go(home, line_of("untested", "--csv data/a.csv data/b.csv --eval-split test"))
    assert done.code == 2 and "the checkpoint's run had no test split" in done.err


def test_a_dry_run_counts_what_would_be_predicted(home):
    words = "--csv data/new.csv data/b.csv --dry-run --json --tag unmade"
    done = go(home, line_of("regress", words))
    said = json.loads(done.out)
    assert said == {
        "dry_run": "unmade",
        "windows": {"all": ROWS * PER_ROW, "next step": ROWS},
        "model": {"backbone": "linear", "channels": 2, "length": CONTEXT},
        "memory": {"data_bytes": 2 * 4 * 2 * ROWS * STEPS},
        "directory": "artifacts/unmade",
    }
    assert not (home / "artifacts/unmade").exists()


# ---- where little or nothing can be predicted


def with_gap(at: int) -> np.ndarray:
    values = np.random.default_rng(1).normal(size=(3, STEPS))
    values[1, at] = np.nan
    return values


def test_without_the_label_the_next_step_of_whole_contexts_is_predicted(home):
    """A gap in the last context of the second row, which nothing else can be asked of."""
    lay(home, gap=with_gap(18), early=with_gap(15))
    folder = inferred(home, "blind", "--csv data/gap.csv --nan drop")
    assert [(line["row"], line["time"], line["y_true"]) for line in preds(folder)] == [("0", "20", ""), ("2", "20", "")]
    content = strict(folder / "summary.json")
    assert content["unscored"] and content["headline"] == {"mae": None, "rmse": None, "r2": None}
    assert content["references"] == {}
    assert len(preds(inferred(home, "blind", "--csv data/early.csv --nan drop"))) == 3


@pytest.mark.parametrize("kind", ["a gap at the end", "too short"])
def test_no_row_with_a_whole_context_is_an_error(home, kind):
    values = np.ones((3, 3)) if kind == "too short" else np.where(np.arange(STEPS) == 18, np.nan, 1.0) * np.ones((3, 1))
    lay(home, bad=values)
    done = go(home, line_of("blind", "--csv data/bad.csv --nan drop"))
    assert done.code == 3
    assert "error: --csv: no row ends with a whole context: 4 steps without a missing value" in done.err


def test_nothing_to_predict_has_its_reason_where_the_label_is_there(home):
    lay(home, short=np.ones((3, 3)), shorter=np.ones((3, 3)))
    done = go(home, line_of("regress", "--csv data/short.csv data/shorter.csv"))
    assert done.code == 3 and "rows have 3 steps, a window needs 4 + 1 = 5" in done.err


def test_labels_of_whole_rows_have_no_next_step(home):
    (home / "y.csv").write_text("\n".join(str(row % 3) for row in range(ROWS)) + "\n")
    good(home, TRAIN, "--task regress --labels y.csv --tag rows")
    done = go(home, line_of("rows", "--csv data/a.csv data/b.csv"))
    content, lines = strict(done.directory / "summary.json"), preds(done.directory)
    assert "warning" not in done.err and content["unscored"]
    assert len(lines) == ROWS * (STEPS - CONTEXT + 1) and {line["y_true"] for line in lines} == {""}
    scored = strict(inferred(home, "rows", "--labels y.csv") / "summary.json")
    assert scored["n"] == len(lines) and scored["mae"] > 0


def test_a_forecast_past_the_end_waits_for_what_is_known_ahead(tmp_path):
    begin, rng = datetime.datetime(2024, 5, 1), np.random.default_rng(0)
    lines = [f"{begin + datetime.timedelta(hours=h)},{rng.normal():.3f},{h % 3}" for h in range(60)]
    (tmp_path / "s.csv").write_text("\n".join(["date,y,sun", *lines]) + "\n")
    ahead = [f"{begin + datetime.timedelta(hours=h)},,{h % 3}" for h in range(60, 62)]
    (tmp_path / "further.csv").write_text("\n".join(["date,y,sun", *lines, *ahead]) + "\n")
    words = "--task forecast --csv s.csv --time-col date --known-future sun --context-len 6 --horizon 2"
    run = good(tmp_path, "--mode train", words, QUICK)
    done = go(tmp_path, f"--mode infer --csv s.csv --no-plots --desc bare --ckpt {run}")
    assert "sun must be given for the 2 steps after it" in done.err
    assert not (done.directory / "forecast.csv").exists() and strict(done.directory / "summary.json")["mse"] > 0
    done = go(tmp_path, f"--mode infer --csv further.csv --no-plots --desc further --ckpt {run}")
    assert "must be given" not in done.err
    assert len((done.directory / "forecast.csv").read_text().splitlines()) == 1 + 2


def test_values_that_no_model_can_take_are_refused_not_scored(home):
    (home / "far").mkdir(exist_ok=True)
    low, far = np.random.default_rng(3).random((2, ROWS, STEPS))
    np.savetxt(home / "far/low.csv", low * 1e-12, delimiter=",")
    np.savetxt(home / "far/far.csv", far * 1e29, delimiter=",")
    good(home, TRAIN.replace("data/a.csv data/b.csv", "far/low.csv"), "--task regress --tag low")
    done = go(home, line_of("low", "--csv far/far.csv"))
    assert done.code == 3 and "the model gives no number for" in done.err and "the units those of training?" in done.err
    np.savetxt(home / "far/huge.csv", np.where(far > 0.9, 3e38, far), delimiter=",")
    done = go(home, line_of("low", "--csv far/huge.csv"))
    assert (
        done.code == 3 and "value 3e+38, which is larger than any measurement, the first of 0 missing and" in done.err
    )


def test_files_that_go_on_from_those_of_training_are_called_so(tmp_path):
    """The same table a week later; and another that only has its names."""
    rng = np.random.default_rng(2)
    hours = [f"2024-{1 + k // 672:02d}-{1 + k // 24 % 28:02d} {k % 24:02d}:00" for k in range(500)]
    values = np.round(10 + rng.normal(size=500), 2)
    for name, first, last in (("a", 0, 400), ("grown", 0, 500), ("later", 300, 500)):
        lines = [f"{hours[k]},{values[k]}" for k in range(first, last)]
        (tmp_path / f"{name}.csv").write_text("time,x\n" + "\n".join(lines) + "\n")
    good(tmp_path, "--mode train --task forecast --csv a.csv --horizon 4 --backbone ridge --reference off --tag it")
    found = {}
    for name in ("a", "grown", "later"):
        words = f"--mode infer --ckpt artifacts/it --csv {name}.csv --reference off --eval-split all --desc {name}"
        folder = good(tmp_path, words)
        said = strict(folder / "manifest.json")["split"]["overlap"]
        found[name] = strict(folder / "summary.json")["selection"], said
    assert found["grown"] == ("files that go on from training's: includes training windows", None)
    assert found["later"] == ("files that were no part of training", 0)
    assert found["a"][0] == "includes training windows" and found["a"][1] > 0
