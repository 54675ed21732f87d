"""tasks/given_labels.py: labels of rows as classes or as true and false, and their names in a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .runs import Done, go, good, preds, strict

ROWS = 24
QUICK = "--backbone linear --no-wide --epochs 2 --reference off --no-plots --quiet"
TRAIN = f"--mode train --task classify --csv x.csv --labels y.csv {QUICK} --overwrite"
CODES = np.arange(ROWS) * 7 % 3


@pytest.fixture
def box(tmp_path) -> Path:
    values = (np.random.default_rng(4).normal(size=(ROWS, 6)) + CODES[:, None]).clip(0)
    np.savetxt(tmp_path / "x.csv", values, delimiter=",", fmt="%.3f")
    return tmp_path


def lay(box: Path, *columns: object, names: str = "", file: str = "y.csv") -> None:
    lines = [names] * bool(names) + [",".join(map(str, cells)) for cells in zip(*columns, strict=True)]
    (box / file).write_text("\n".join(lines) + "\n")


def summary(folder: Path) -> dict:
    return strict(folder / "metrics.json")


def refused(done: Done, code: int, *parts: str) -> None:
    assert done.code == code and all(part in done.err for part in parts), done.err


WORDS = np.array(["walk", "run", "sit"])


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (CODES, ["0", "1", "2"]),
        (CODES * 5 - 3, ["-3", "2", "7"]),
        (CODES.astype(float), ["0", "1", "2"]),
        (WORDS[CODES], ["run", "sit", "walk"]),
    ],
    ids=["codes", "any whole numbers", "floats", "words"],
)
@pytest.mark.parametrize("names", ["", "activity"])
def test_one_column_of_several_codes_or_words_is_classes(box, labels, classes, names):
    lay(box, labels, names=names)
    folder = good(box, TRAIN)
    found = summary(folder)
    assert found["classes"] == classes and np.array(found["confusion"]).shape == (3, 3)
    texts = dict(enumerate(f"{label:g}" if isinstance(label, float) else str(label) for label in labels.tolist()))
    assert all(line["y_true"] == texts[int(line["row"])] for line in preds(folder))
    hot = np.array([[text == name for name in classes] for text in texts.values()]).astype(int)
    lay(box, *hot.T, names=",".join(classes))
    again = summary(good(box, TRAIN))
    assert {name: found[name] for name in ("accuracy", "macro_f1", "pr_auc", "roc_auc", "confusion")} == {
        name: again[name] for name in ("accuracy", "macro_f1", "pr_auc", "roc_auc", "confusion")
    }


@pytest.mark.parametrize(
    ("false", "true"),
    [(0, 1), (1, 2), (-1, 1), (0, 5), ("no", "yes"), ("sick", "well"), ("healthy", "faulty"), ("False", "True")],
)
def test_two_values_are_false_and_true(box, false, true):
    truth = CODES == 2
    lay(box, np.where(truth, str(true), str(false)), names="y")
    folder = good(box, TRAIN)
    assert all(line["y_true"] == str(int(truth[int(line["row"])])) for line in preds(folder))
    lay(box, [str(true)] * ROWS, names="y")  # a file with one of the values alone
    inferred = good(box, f"--mode infer --task classify --csv x.csv --labels y.csv --ckpt {folder} --no-plots --quiet")
    assert {line["y_true"] for line in preds(inferred)} == {"1"}
    other = "other" if isinstance(true, str) else "7"
    lay(box, np.where(truth, other, str(false)), names="y")
    done = go(box, f"--mode infer --task classify --csv x.csv --labels y.csv --ckpt {folder} --no-plots")
    refused(done, 4, f"the checkpoint has {false}, {true}", other)


def test_a_rule_that_is_given_makes_numbers_true_and_false(box):
    lay(box, CODES)
    for rule, truth in (("nonzero", CODES != 0), ("gt --bin-thr 1", CODES > 1), ("lt --bin-thr 1", CODES < 1)):
        folder = good(box, TRAIN, f"--bin-rule {rule}")
        assert all(line["y_true"] == str(int(truth[int(line["row"])])) for line in preds(folder))
    lay(box, WORDS[CODES])
    refused(go(box, TRAIN, "--bin-rule gt"), 3, "holds words (run, sit, walk)", "--bin-rule auto")
    refused(go(box, TRAIN.replace("classify", "regress")), 3, "holds words (run, sit, walk)", "--task classify")


def test_a_channel_is_no_class(box):
    folder = good(box, TRAIN.replace("--labels y.csv", "--context-len 3 --bin-rule auto"))
    assert "classes" not in summary(folder)


def test_what_is_too_much_for_classes_is_refused_with_the_flag(box):
    lay(box, np.arange(ROWS) + 100)
    refused(
        go(box, TRAIN), 3, "24 different whole numbers in 24 rows", "--bin-rule gt --bin-thr 111.5", "--task regress"
    )
    lay(box, CODES, np.arange(ROWS) % 2, names="act,late")
    done = go(box, TRAIN)
    refused(done, 3, "'act' holds 0, 1, 2: classes, which have a column to themselves", "--bin-rule nonzero")
    assert good(box, TRAIN, "--bin-rule nonzero")


def test_classes_are_matched_by_name_and_others_are_refused(box):
    lay(box, WORDS[CODES])
    folder = good(box, TRAIN, "--tag a")
    infer = f"--mode infer --task classify --csv x.csv --labels y.csv --ckpt {folder} --no-plots --quiet"
    accuracy = summary(good(box, infer))["accuracy"]
    assert summary(good(box, infer.replace("infer", "finetune", 1), "--epochs 1"))["classes"] == ["run", "sit", "walk"]
    lay(box, *(WORDS[CODES] == WORDS[:, None]).astype(int)[[2, 0, 1]], names="sit,walk,run")
    assert summary(good(box, infer))["accuracy"] == accuracy
    lay(box, np.where(CODES == 1, "run", "walk"))
    assert summary(good(box, infer))["classes"] == ["run", "sit", "walk"]
    lay(box, np.array(["run", "hop", "walk"])[CODES])
    refused(go(box, infer), 4, "the checkpoint has run, sit, walk\n  these data have hop, run, walk")


@pytest.mark.parametrize("task", ["regress", "classify"])
def test_labels_are_matched_by_name_in_any_order(box, task):
    p, q = CODES % 2, CODES // 2 + np.arange(ROWS) % 2 * (task == "regress")
    lay(box, p, q, names="p,q")
    folder = good(box, TRAIN.replace("classify", task))
    infer = f"--mode infer --task {task} --csv x.csv --labels y.csv --ckpt {folder} --no-plots --quiet"
    one = preds(good(box, infer))
    lay(box, q, p, names="q,p")
    assert preds(good(box, infer)) == one
    lay(box, q, p, names="q,r")
    refused(go(box, infer), 4, "the checkpoint has p, q\n  these data have q, r")
    lay(box, p, q)
    done = go(box, infer.replace("--quiet", ""))
    assert done.code == 0 and "labels without names are taken in the checkpoint's order: p, q" in done.err


def test_a_column_of_labels_without_names_goes_by_the_name_that_errors_give_it(box):
    lay(box, CODES, np.arange(len(CODES)) % 4, np.arange(len(CODES)) % 2)
    done = go(box, TRAIN)
    refused(done, 3, "label 'label0' holds", "--labels y.csv:label0")
    folder = good(box, TRAIN.replace("y.csv", "y.csv:label1"))
    assert [line["y_true"] for line in preds(folder)] == [str(int(line["row"]) % 4) for line in preds(folder)]


def test_times_beside_labels_are_none(box):
    times = [f'"{1 + k % 28:02d}/07/2008 11:55:00"' for k in range(len(CODES))]
    lay(box, np.where(CODES == 1, 1, -1), times)
    lines = preds(good(box, TRAIN))
    assert lines and all(line["y_true"] == str(int(CODES[int(line["row"])] == 1)) for line in lines)
