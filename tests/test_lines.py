"""The command line from end to end: the issue's lines A to H as they stand, and every mode on small files.

What a run says of itself is held against numpy and scikit-learn on the files themselves.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

import viz
from sources.synthetic import demand

from .conftest import command
from .runs import Done, go, good, lay, numbers, preds, standing_in, strict

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("solved_once")]

LINE_A = (
    "--mode train --task classify --csv ./data/LP0a.csv --context-len 31 --epochs 30 --batch-size 4096 --alpha 0.5 "
    "--pos-weight global --bin-rule nonzero --bin-thr 0.0 --thresh-default 0.5 --split-mode group --val-ratio 0.2 "
    "--eval-split val --plot-split val --amp --compile reduce-overhead"
)
LINES = {
    "A": LINE_A,
    "B": LINE_A.replace("./data/LP0a.csv", "./data/LP0a.csv ./data/LP1a.csv ./data/LP2a.csv"),
    "C": LINE_A.replace("./data/LP0a.csv", "./data/LP{1..31}a.csv"),
    "D": "--mode train --task regress --csv ./data/x_main.csv --context-len 31 --epochs 20 --batch-size 2048 "
    "--split-mode group --val-ratio 0.2 --eval-split val --plot-split val --amp --compile reduce-overhead",
    "E": LINE_A.replace("--mode train", "--mode finetune")
    .replace("./data/LP0a.csv", "./data/LP{001..031}a.csv")
    .replace("--epochs 30", "--epochs 10")
    + " --ckpt ./artifacts/train_classify_ctx31_ch31_alpha0.50_pwglobal_llm_ts_seed777_splitgroup",
    "F": "--mode infer --task classify --csv ./data/LP0a.csv --context-len 31 "
    "--ckpt ./artifacts/train_classify_ctx31_ch1_alpha0.50_pwglobal_llm_ts_seed777_splitgroup "
    "--eval-split val --plot-split val",
    "G": "--mode infer --task classify --csv ./data/LP{1..31}a.csv --context-len 31 "
    "--ckpt ./artifacts/train_classify_ctx31_ch31_alpha0.50_pwglobal_llm_ts_seed777_splitgroup "
    "--eval-split val --plot-split val",
    "H": LINE_A.replace("./data/LP0a.csv", "./data/A.csv ./data/B.csv --label-src-ch 1 --drop-label-from-x")
    .replace("--bin-rule nonzero", "--bin-rule gt")
    .replace("--split-mode group", "--split-mode rolling"),
}
NAMES = {
    "A": "train_classify_ctx31_ch1_alpha0.50_pwglobal_llm_ts_seed777_splitgroup",
    "B": "train_classify_ctx31_ch3_alpha0.50_pwglobal_llm_ts_seed777_splitgroup",
    "C": "train_classify_ctx31_ch31_alpha0.50_pwglobal_llm_ts_seed777_splitgroup",
    "D": "train_regress_ctx31_ch1_llm_ts_seed777_splitgroup",
    "E": "finetune_classify_ctx31_ch31_alpha0.50_pwglobal_llm_ts_seed777_splitgroup",
    "F": "infer_classify_ctx31_ch1_alpha0.50_pwglobal_llm_ts_seed777_splitgroup",
    "G": "infer_classify_ctx31_ch31_alpha0.50_pwglobal_llm_ts_seed777_splitgroup",
    "H": "train_classify_ctx31_ch2_alpha0.50_pwglobal_llm_ts_seed777_splitrolling",
}
TRAINED = {
    "model.pt", "model.pt.best", "preds.csv", "learning_curve.png", "config.yaml", "manifest.json", "history.csv",
    "index.html",
}  # fmt: skip
JUDGED = {
    "over_time.png",
    "metrics.json",
    "roc_curve.png",
    "pr_curve.png",
    "hist_score.png",
    "confusion.png",
    "reliability.png",
}
ARTIFACTS = {
    **dict.fromkeys("ABCEH", TRAINED | JUDGED),
    "D": TRAINED | {"summary.json", "residuals.png", "scatter.png", "over_time.png"},
    **dict.fromkeys("FG", JUDGED | {"preds.csv", "config.yaml", "manifest.json", "index.html"}),
}
ROWS, COLUMNS = 40, 45

# Everything but the lines: a GRU of 4 on one channel or three of 40 rows x 30 steps, three fifths of the rows for
# training. On three it stands on its closed form and trees, on one alone.
WIDE, CONTEXT = 30, 8
SMALL = "--context-len 8 --backbone gru --model-args hidden=4 --epochs 1 --batch-size 256 --reference off"
ONE = f"--mode train --task classify --csv data/a.csv {SMALL} --no-wide"
THREE = f"--mode train --task classify --csv data/a.csv data/b.csv data/c.csv {SMALL} --test-ratio 0.2"
NAME_ONE = "train_classify_ctx8_ch1_alpha0.50_pwglobal_gru_nowide_seed777_splitgroup"
NAME_THREE = "train_classify_ctx8_ch3_alpha0.50_pwglobal_gru_seed777_splitgroup"


def scored(folder: Path) -> list[dict[str, str]]:
    """The lines of preds.csv whose label is known."""
    return [line for line in preds(folder) if line["y_true"] != ""]


def checkpoint(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def same_tensors(one: dict, two: dict) -> set[str]:
    """The names under which both hold the same numbers."""
    assert one.keys() == two.keys()
    return {name for name in one if torch.equal(one[name], two[name])}


def summary_of(task: str) -> str:
    return {"classify": "metrics.json", "regress": "summary.json"}[task]


def tree(folder: Path) -> dict[str, float]:
    """Every file under a folder and when it was last written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def without_clock(summary: dict) -> dict:
    return {key: value for key, value in summary.items() if key != "seconds"}


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    """[3, 40, 30]: what data/a.csv, b.csv and c.csv hold."""
    return demand(ROWS, WIDE, 3, seed=3)


@pytest.fixture
def box(tmp_path: Path, values: np.ndarray) -> Path:
    """A folder of its own with the three files."""
    return lay(tmp_path, a=values[0], b=values[1], c=values[2])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> Path:
    """A folder with the three files and a finished run on them, THREE: to be read, not written to."""
    folder = lay(tmp_path_factory.mktemp("base"), a=values[0], b=values[1], c=values[2])
    assert good(folder, THREE).name == NAME_THREE
    return folder


# ---- the lines A to H


TINY, QUICK = "--model-args size=tiny layers=1 --epochs 1", "--epochs 1 --reference off"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """All eight lines in one folder, each as a user would type it, with a model of one layer and one epoch.

    The code generator is left out of torch.compile: it takes some ten seconds a graph.
    """
    folder = tmp_path_factory.mktemp("lines")
    table = demand(ROWS, COLUMNS, 32, seed=5)
    lay(folder, **{f"LP{k}a": table[k] for k in range(32)})
    lay(folder, **{f"LP{k:03d}a": np.roll(table[k], 7, axis=0) for k in range(1, 32)})
    lay(folder, x_main=table[0], A=table[1], B=table[0])
    extra = {"A": TINY, "D": TINY, "E": QUICK, "F": "", "G": ""}
    compiled = torch.compile
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", lambda model, mode, **more: compiled(model, backend="eager", **more))
        return {key: go(folder, line, extra.get(key, f"{TINY} --reference off")) for key, line in LINES.items()}


@pytest.mark.paints
def test_the_first_line_goes_through_the_code_generator(tmp_path):
    lay(tmp_path, LP0a=demand(ROWS, COLUMNS, 1, seed=5)[0])
    done = go(tmp_path, LINES["A"], TINY, "--reference off")
    assert done.code == 0, done.err
    assert done.directory.name == NAMES["A"] and {path.name for path in done.directory.iterdir()} == ARTIFACTS["A"]
    manifest = strict(done.directory / "manifest.json")
    assert manifest["compile"] == "reduce-overhead"
    assert not [text for text in manifest["warnings"] if not text.startswith("--amp")]
    check_scores(strict(done.directory / "metrics.json"), scored(done.directory))


@pytest.mark.parametrize("key", LINES)
def test_a_line_ends_well_under_the_name_it_implies(lines, key):
    assert lines[key].code == 0, lines[key].err
    assert lines[key].out.splitlines()[-1] == f"artifacts/{NAMES[key]}"
    found = {path.name for path in (lines[key].folder / "artifacts").iterdir()}
    assert found == set(NAMES.values())  # each once, no partial directory, no lock


@pytest.mark.parametrize("key", LINES)
def test_a_line_leaves_every_artifact_and_nothing_else(lines, key):
    folder = lines[key].directory
    assert {path.name for path in folder.iterdir()} == ARTIFACTS[key]
    for path in folder.iterdir():
        assert path.stat().st_size
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
        if path.suffix == ".json":
            strict(path)


@pytest.mark.parametrize("key", "ABCDEH")
def test_a_line_is_compiled(lines, key):
    manifest = strict(lines[key].directory / "manifest.json")
    assert manifest["compile"] == "reduce-overhead"
    assert not [text for text in manifest["warnings"] if not text.startswith("--amp")]


@pytest.mark.parametrize("key", "ABCEFGH")
def test_predictions_stand_beside_the_truth_of_the_files(lines, key):
    """The label of each scored window, and which windows there are, worked out from the CSV."""
    folder = lines[key].folder
    source = {"A": "LP0a", "B": "LP0a", "C": "LP1a", "E": "LP001a", "F": "LP0a", "G": "LP1a", "H": "B"}[key]
    table = np.loadtxt(folder / "data" / f"{source}.csv", delimiter=",")
    lined = scored(lines[key].directory)
    row, time = (numbers(lined, name).astype(int) for name in ("row", "time"))
    assert np.array_equal(numbers(lined, "y_true"), table[row, time] > 0)
    if key == "H":  # the last fifth of every row
        assert {*zip(row, time, strict=True)} == {(r, t) for r in range(ROWS) for t in range(COLUMNS - 9, COLUMNS)}
    else:  # a fifth of the rows, each window of theirs once
        assert len(set(row)) == ROWS // 5
        assert {*zip(row, time, strict=True)} == {(r, t) for r in set(row) for t in range(31, COLUMNS)}
    assert len(lined) == len({*zip(row, time, strict=True)})


def rescore(lined: list[dict[str, str]], default: float = 0.5) -> dict[str, float]:
    """The metrics of a label by scikit-learn, from the text of preds.csv."""
    y, score, marked = (numbers(lined, name) for name in ("y_true", "y_score", "y_pred@tau"))
    return {
        "pr_auc": sk.average_precision_score(y, score),
        "roc_auc": sk.roc_auc_score(y, score),
        "brier": np.mean((y - score) ** 2),
        "f1_at_tau": sk.f1_score(y, marked),
        "f1_at_default": sk.f1_score(y, score >= default),
        "precision": sk.precision_score(y, marked, zero_division=np.nan),
        "recall": sk.recall_score(y, marked),
        "accuracy": sk.accuracy_score(y, marked),
        "prevalence": y.mean(),
        "n": len(y),
    }


def check_scores(summary: dict, lined: list[dict[str, str]]) -> None:
    for name, value in rescore(lined).items():
        assert summary[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize("key", "ABCEFGH")
def test_scikit_learn_finds_the_same_metrics_in_the_predictions(lines, key):
    summary = strict(lines[key].directory / "metrics.json")
    lined = scored(lines[key].directory)
    check_scores(summary, lined)
    assert summary["split"] == "val" and summary["selection"] == "val-selected"
    # val is what tau was chosen on: no other threshold has a higher F1 there
    y, score = numbers(lined, "y_true"), numbers(lined, "y_score")
    precision, recall, _ = sk.precision_recall_curve(y, score)
    best = max(2 * p * r / (p + r) if p + r else 0.0 for p, r in zip(precision, recall, strict=True))
    assert summary["f1_at_tau"] == pytest.approx(best, abs=1e-6)


def test_the_scores_at_tau_stand_at_the_top_level(lines):
    summary = strict(lines["A"].directory / "metrics.json")
    assert summary["best_tau"] == summary["at_tau"]["threshold"] == summary["calibration"]["tau"][0]
    for name in ("precision", "recall", "f1", "accuracy"):
        assert summary[name] == summary["at_tau"][name]
    assert summary["f1"] == summary["f1_at_tau"]


def test_rolling_with_one_fold_says_that_it_is_a_holdout(lines):
    assert "rolling with one fold is the split of --split-mode holdout" in lines["H"].err
    assert "rolling with one fold" not in lines["A"].err


def test_scikit_learn_finds_the_same_errors_in_the_regression(lines):
    summary, lined = strict(lines["D"].directory / "summary.json"), preds(lines["D"].directory)
    y, pred = numbers(lined, "y_true"), numbers(lined, "y_pred")
    table = np.loadtxt(lines["D"].folder / "data/x_main.csv", delimiter=",")
    assert np.array_equal(y, table[numbers(lined, "row").astype(int), numbers(lined, "time").astype(int)])
    assert summary["mae"] == pytest.approx(sk.mean_absolute_error(y, pred), abs=1e-6)
    assert summary["mse"] == pytest.approx(sk.mean_squared_error(y, pred), rel=1e-6)
    assert summary["rmse"] == pytest.approx(math.sqrt(sk.mean_squared_error(y, pred)), rel=1e-6)
    assert summary["r2"] == pytest.approx(sk.r2_score(y, pred), abs=1e-6)


def test_references_stand_beside_the_model(lines):
    summary = strict(lines["A"].directory / "metrics.json")
    assert set(summary["references"]) == {"base_rate", "majority", "persistence", "gradient_boosting"}
    lined = scored(lines["A"].directory)
    table = np.loadtxt(lines["A"].folder / "data/LP0a.csv", delimiter=",") > 0
    row, time = (numbers(lined, name).astype(int) for name in ("row", "time"))
    before = sk.average_precision_score(table[row, time], table[row, time - 1])
    assert summary["references"]["persistence"]["pr_auc"] == pytest.approx(before, abs=1e-6)
    assert summary["references"]["base_rate"]["pr_auc"] == pytest.approx(table[row, time].mean(), abs=1e-6)
    for name in summary["references"]:
        assert name in lines["A"].out

    summary, lined = strict(lines["D"].directory / "summary.json"), preds(lines["D"].directory)
    assert set(summary["references"]) == {"mean", "median", "persistence", "gradient_boosting"}
    row, time = (numbers(lined, name).astype(int) for name in ("row", "time"))
    values = np.loadtxt(lines["D"].folder / "data/x_main.csv", delimiter=",")
    train = np.delete(values, np.unique(row), axis=0)[:, 31:]
    truth = values[row, time]
    expected = {
        "mean": np.abs(truth - train.mean()).mean(),
        "median": np.abs(truth - np.median(train)).mean(),
        "persistence": np.abs(truth - values[row, time - 1]).mean(),
    }
    for name, mae in expected.items():
        assert summary["references"][name]["mae"] == pytest.approx(mae, rel=1e-5), name


@pytest.mark.parametrize(("trained", "inferred"), ["AF", "CG"])
def test_inference_on_val_finds_what_training_found(lines, trained, inferred):
    one, two = (strict(lines[key].directory / "metrics.json") for key in (trained, inferred))
    for name in ("pr_auc", "roc_auc", "f1_at_tau", "f1_at_default", "brier", "ece", "prevalence"):
        assert two[name] == pytest.approx(one[name], abs=1e-6), name
    assert two["calibration"] == one["calibration"]
    assert two["selection"] == "val-selected"
    for mine, theirs in zip(scored(lines[trained].directory), scored(lines[inferred].directory), strict=True):
        assert (mine["row"], mine["time"], mine["y_true"]) == (theirs["row"], theirs["time"], theirs["y_true"])
        assert float(mine["y_score"]) == pytest.approx(float(theirs["y_score"]), abs=1e-5)


@pytest.mark.parametrize("key", LINES)
def test_the_manifest_says_how_the_run_came_about(lines, key):
    done = lines[key]
    manifest = strict(done.directory / "manifest.json")
    assert shlex.split(manifest["command"])[:2] == ["python", "run.py"]
    assert shlex.join(shlex.split(LINES[key])) in manifest["command"]
    assert {"python", "torch", "numpy"} <= set(manifest["versions"]) and manifest["device"]
    assert manifest["timings"] and all(seconds >= 0 for seconds in manifest["timings"].values())
    channels = {"A": 1, "B": 3, "C": 31, "D": 1, "E": 31, "F": 1, "G": 31, "H": 2}[key]
    files = manifest["data"]["files"]
    for file in files:
        content = (done.folder / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest() and file["bytes"] == len(content)
    assert [file["shape"] for file in files[:channels]] == [[ROWS, COLUMNS]] * channels
    assert [Path(file["path"]).name for file in files[channels:]] == ["model.pt.best"] * (key in "EFG")
    if key in "ABCDEH":
        assert manifest["split"]["overlap"] == 0
        assert manifest["model"]["parameters"] == sum(
            tensor.numel()
            for name, tensor in checkpoint(done.directory / "model.pt.best")["state"].items()
            if not name.startswith("wide.")  # solved, not trained
        )


@pytest.mark.parametrize("key", "ABCDEH")
def test_the_learning_curve_has_a_line_an_epoch(lines, key):
    with (lines[key].directory / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    assert [line["epoch"] for line in history] == ["1"]
    assert all(math.isfinite(float(value)) for value in history[0].values())


def test_line_e_starts_from_line_c(lines):
    c, e = (checkpoint(lines[key].directory / file) for key, file in (("C", "model.pt.best"), ("E", "model.pt")))
    assert e["scaler"]["mean"] == c["scaler"]["mean"] and e["scaler"]["std"] == c["scaler"]["std"]
    moved = [(e["state"][n] - c["state"][n]).abs().max() for n in c["state"]]
    assert 0 < max(moved) < 0.1  # a fresh model would be further away


def test_line_h_sees_the_other_channel_only(lines):
    stored = checkpoint(lines["H"].directory / "model.pt.best")
    assert stored["scaler"]["channels"] == ["A"] and stored["outputs"] == ["B"]
    assert stored["input_channels"] == ["A", "B"]


@pytest.mark.parametrize("braces", ["./data/LP{1..31}a.csv", "./data/LP{001..031}a.csv", "./data/LP{0,3,1}a.csv"])
def test_braces_mean_the_same_from_a_shell_and_quoted(lines, braces):
    folder = lines["A"].folder
    words = subprocess.run(["bash", "-c", f"echo {braces}"], capture_output=True, text=True, check=True).stdout
    tries = [go(folder, SMALL, f"--mode train --task classify --dry-run --csv {w}") for w in (words, f"'{braces}'")]
    assert [done.code for done in tries] == [0, 0]
    assert tries[0].out == tries[1].out
    expanded = words.split()
    assert f"_ch{len(expanded)}_" in tries[0].out
    with standing_in(folder):
        from readers.paths import expand_paths

        assert [f"./{path}" for path in expand_paths([braces])] == expanded


# ---- a run again from its own config.yaml


@pytest.mark.usefixtures("solved_anew")
@pytest.mark.parametrize("mode", ["train", "finetune", "infer"])
def test_a_run_can_be_repeated_from_its_config(base, tmp_path, mode):
    lay(tmp_path, **{name: np.loadtxt(base / f"data/{name}.csv", delimiter=",") for name in "abc"})
    words = f"--task classify --csv data/a.csv data/b.csv data/c.csv --ckpt {base / 'artifacts' / NAME_THREE}"
    more = "--mode finetune --epochs 1 --reference off" if mode == "finetune" else "--mode infer --eval-split test"
    first = good(tmp_path, THREE if mode == "train" else f"{words} {more}")
    again = good(tmp_path, "--config", first / "config.yaml", "--out again")
    assert again.name == first.name and again.parent.name == "again"
    one, two = (without_clock(strict(folder / "metrics.json")) for folder in (first, again))
    assert one == two
    assert (first / "preds.csv").read_bytes() == (again / "preds.csv").read_bytes()
    flags_win = go(tmp_path, "--config", first / "config.yaml", "--desc other --dry-run")
    assert flags_win.code == 0 and f"{first.name}_other" in flags_win.out


# ---- what is printed


@pytest.mark.parametrize("mode", ["train", "infer", "dry run"])
def test_json_prints_one_object_and_everything_else_goes_to_stderr(base, tmp_path, mode):
    files = [base / f"data/{name}.csv" for name in "abc"]
    words = {
        "train": f"--mode train --task classify {SMALL}",
        "dry run": f"--mode train --task classify {SMALL} --dry-run",
        "infer": f"--mode infer --task classify --ckpt {base / 'artifacts' / NAME_THREE}",
    }[mode]
    done = go(tmp_path, words, "--json --csv", *files)
    assert done.code == 0 and done.out.count("\n") == 1
    content = json.loads(done.out)
    if mode == "dry run":
        assert content["dry_run"] == NAME_THREE and list(tmp_path.iterdir()) == []
    else:
        written = strict(tmp_path / content["directory"] / "metrics.json")
        assert {key: content[key] for key in written} == written
    assert ("epoch 1/1" in done.err) == (mode == "train")


def test_quiet_says_nothing_but_the_result(box):
    loud, quiet = go(box, ONE, "--desc loud"), go(box, ONE, "--desc quiet --quiet")
    assert "epoch 1/1" in loud.err and quiet.err == ""
    assert quiet.out.splitlines()[1:-1] == loud.out.splitlines()[1:-1]
    assert quiet.directory.name == f"{NAME_ONE}_quiet"


@pytest.mark.parametrize("mode", ["train", "finetune", "infer"])
def test_a_dry_run_tells_the_sizes_and_writes_nothing(base, mode):
    words = f"--csv data/a.csv data/b.csv data/c.csv --task classify --ckpt artifacts/{NAME_THREE} --mode {mode}"
    before = tree(base)
    done = go(base, THREE if mode == "train" else words, "--dry-run --json")
    assert done.code == 0 and tree(base) == before
    content = json.loads(done.out)
    per_row = WIDE - CONTEXT  # windows of a row, the target one step after the context
    train, held = 24 * per_row, 8 * per_row  # two fifths of 40 rows are held out; finetuning makes its own split
    sizes = {
        "train": {"train": train, "val": held, "test": held},
        "finetune": {"train": train + held, "val": held, "test": 0},
        "infer": {"all": ROWS * per_row, "next step": ROWS},
    }
    assert content["windows"] == sizes[mode]
    assert content["memory"]["data_bytes"] == 2 * 4 * 3 * ROWS * WIDE
    if mode != "infer":
        assert content["overlap"] == 0
        gru, head = 3 * 4 * (3 + 4 + 2), 4 + 1
        assert content["parameters"] == gru + head


def test_a_dry_run_is_readable_without_json(box):
    done = go(box, ONE, "--dry-run")
    assert done.code == 0 and NAME_ONE in done.out and "MiB" in done.out


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_demo_needs_no_file(tmp_path, task):
    model = "--backbone gru --model-args hidden=4 --epochs 1 --reference off"
    folder = good(tmp_path, f"--mode train --task {task} --demo --stride 60 {model}")
    weight = "_alpha0.50_pwglobal" if task == "classify" else ""
    data = strict(folder / "manifest.json")["data"]
    assert folder.name == f"train_{task}_ctx31_ch{len(data['channels'])}{weight}_gru_seed777_splitgroup"
    columns = data["steps"] // data["rows"]
    assert strict(folder / summary_of(task))["n"] == round(data["rows"] / 5) * math.ceil((columns - 31) / 60)
    inferred = good(tmp_path, f"--mode infer --task {task} --demo --ckpt {folder} --eval-split val")
    one, two = (strict(made / summary_of(task)) for made in (folder, inferred))
    assert two["headline"] == pytest.approx(one["headline"], abs=1e-6)
    assert two["selection"] == "val-selected"  # the same made-up data: they were part of training


def test_a_real_process_prints_its_json_on_stdout_alone(box):
    done = command(*ONE.split(), "--json", cwd=box)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["run"] == NAME_ONE and (box / content["directory"] / "model.pt.best").is_file()
    assert "epoch 1/1" in done.stderr


# ---- splits


def test_three_rolling_folds_and_their_mean(box):
    folder = good(box, ONE, "--split-mode rolling --folds 3 --val-ratio 0.1 --epochs 2")
    assert folder.name == NAME_ONE.replace("splitgroup", "splitrolling")
    folds = [folder / f"fold_{k}" for k in range(3)]
    for fold in folds:
        assert {path.name for path in fold.iterdir()} == TRAINED | JUDGED
    summaries = [strict(fold / "metrics.json") for fold in folds]
    joined = strict(folder / "metrics.json")
    for name in ("pr_auc", "roc_auc", "f1_at_tau", "brier"):
        told = [summary[name] for summary in summaries]
        assert joined["folds"][name]["mean"] == pytest.approx(np.mean(told))
        assert joined["folds"][name]["std"] == pytest.approx(np.std(told))
    # the folds walk on: each validates on three steps of every row, the last one on the last three
    for k, fold in enumerate(folds):
        lined = scored(fold)
        check_scores(summaries[k], lined)
        assert sorted({int(line["time"]) for line in lined}) == [21 + 3 * k, 22 + 3 * k, 23 + 3 * k]
    assert {path.name for path in folder.iterdir()} == TRAINED | JUDGED | {fold.name for fold in folds}
    for name in ("model.pt", "model.pt.best", "preds.csv"):
        assert (folder / name).read_bytes() == (folds[2] / name).read_bytes()
    assert joined["pr_auc"] == summaries[2]["pr_auc"]


def test_inference_after_folds_scores_the_last_fold(box):
    trained = good(box, ONE, "--split-mode rolling --folds 2 --val-ratio 0.1")
    inferred = good(box, f"--mode infer --task classify --csv data/a.csv --ckpt {trained} --eval-split val")
    one, two = (strict(folder / "metrics.json") for folder in (trained, inferred))
    assert two["headline"] == pytest.approx(one["headline"], abs=1e-6)
    assert inferred.name.endswith("_splitrolling")


def test_holdout_tests_on_the_end_of_every_row(box):
    folder = good(box, ONE, "--split-mode holdout --test-ratio 0.2 --val-ratio 0.2 --gap 2")
    summary, lined = strict(folder / "metrics.json"), scored(folder)
    check_scores(summary, lined)
    assert summary["split"] == "test" and summary["selection"] == "chosen on val, test scored once"
    assert sorted({int(line["time"]) for line in lined}) == [24, 25, 26, 27, 28, 29]
    split = strict(folder / "manifest.json")["split"]
    windows = {name: split[name]["windows"] for name in ("train", "val", "test")}
    assert windows == {"train": ROWS * 8, "val": ROWS * 4, "test": ROWS * 6}  # targets 8..15, 18..21, 24..29


def test_rows_of_a_group_stay_together(box):
    groups = [f"plant {row % 5}" for row in range(ROWS)]
    (box / "groups.csv").write_text("\n".join(groups) + "\n")
    split = strict(good(box, ONE, "--groups groups.csv --test-ratio 0.2") / "manifest.json")["split"]
    parts = [{groups[row] for row in split["rows"][name]} for name in ("train", "val", "test")]
    assert sorted(len(part) for part in parts) == [1, 1, 3] and len(set.union(*parts)) == 5


@pytest.mark.parametrize("split", ["train", "val", "test", "all"])
def test_any_split_can_be_scored_and_another_drawn(base, tmp_path, monkeypatch, split):
    drawn, figure = [], viz.pr_figure

    def draw(y, score, title, **more):
        drawn.append((len(y), title))
        return figure(y, score, title, **more)

    monkeypatch.setattr(viz, "pr_figure", draw)
    files = " ".join(str(base / f"data/{name}.csv") for name in "abc")
    ckpt = base / "artifacts" / NAME_THREE
    folder = good(tmp_path, f"--mode infer --task classify --csv {files} --ckpt {ckpt} --eval-split {split}")
    other = {"train": "val", "val": "test", "test": "all", "all": "train"}[split]
    good(tmp_path, THREE.replace("data/", f"{base}/data/"), f"--eval-split {split} --plot-split {other}")
    sizes = {"train": 24 * 22, "val": 8 * 22, "test": 8 * 22, "all": 40 * 22}
    summary = strict(folder / "metrics.json")
    assert summary["split"] == split and summary["n"] == sizes[split] == len(scored(folder))
    assert [length for length, _ in drawn] == [sizes[split], sizes[other]]
    assert f" ({split}), " in drawn[0][1] and f" ({other}), " in drawn[1][1]
    told = {
        "train": "training windows",
        "val": "val-selected",
        "test": "chosen on val, test scored once",
        "all": "includes training windows",
    }
    assert summary["selection"] == told[split]


@pytest.mark.parametrize("flag", ["--eval-split", "--plot-split"])
def test_a_test_split_that_is_not_there_is_told_before_training(box, flag):
    done = go(box, ONE, flag, "test")
    assert done.code == 2 and "there is no test split" in done.err
    assert "epoch 1/1" not in done.err
    assert not any((box / "artifacts").glob("*")) and not any((box / "artifacts").glob(".*"))


# ---- labels


@pytest.mark.parametrize("task", ["classify", "regress"])
@pytest.mark.parametrize("names", [["late"], ["late", "lost", "sold"]])
def test_labels_of_whole_rows(box, values, task, names):
    given = np.stack([values[k].sum(axis=1) for k in range(len(names))], axis=1)
    given = given > np.median(given, axis=0) if task == "classify" else given
    rows = [",".join(str(float(v)) for v in line) for line in given]
    (box / "labels.csv").write_text("\n".join([",".join(names), *rows]) + "\n")
    words = f"--mode train --task {task} --csv data/a.csv data/b.csv data/c.csv --labels labels.csv"
    words += " --backbone gru --model-args hidden=4 --epochs 1 --reference off --val-ratio 0.3"
    folder = good(box, words)
    assert f"_ctx{WIDE}_ch3_" in folder.name  # the whole row, unless a context length is given
    summary, lined = strict(folder / summary_of(task)), preds(folder)
    assert len(lined) == 12 * len(names)
    for k, name in enumerate(names):
        mine = [line for line in lined if line.get("label", name) == name]
        rows = numbers(mine, "row").astype(int)
        assert len(set(rows)) == 12 and np.allclose(numbers(mine, "y_true"), given[rows, k])
        told = summary if len(names) == 1 else summary["per_label"][name]
        if task == "classify":
            check_scores(told, mine)
        else:
            assert told["mae"] == pytest.approx(
                sk.mean_absolute_error(numbers(mine, "y_true"), numbers(mine, "y_pred")), rel=1e-5
            )
    if len(names) > 1:
        key = "pr_auc" if task == "classify" else "mae"
        assert summary[key] == pytest.approx(np.mean([summary["per_label"][name][key] for name in names]))
    # without the labels the same model predicts every row, and scores none
    inferred = good(box, f"--mode infer --task {task} --csv data/a.csv data/b.csv data/c.csv --ckpt {folder}")
    assert [line["y_true"] for line in preds(inferred)] == [""] * ROWS * len(names)
    again = good(
        box,
        f"--mode infer --task {task} --csv data/a.csv data/b.csv data/c.csv --labels labels.csv --ckpt {folder}",
        "--eval-split val --overwrite",
    )
    assert strict(again / summary_of(task))["headline"] == pytest.approx(summary["headline"], abs=1e-5)


@pytest.mark.parametrize(
    ("rule", "threshold", "make"),
    [
        ("nonzero", 0.0, lambda y, _: y != 0),
        ("gt", 2.0, lambda y, _: y > 2),
        ("lt", 1.5, lambda y, _: y < 1.5),
        ("quantile", 0.8, lambda y, train: y > np.quantile(train, 0.8)),
    ],
)
def test_a_label_rule_is_what_numpy_makes_of_it(box, values, rule, threshold, make):
    table = values[0] + np.random.default_rng(0).uniform(0, 0.5, values[0].shape) * (values[0] > 0)
    lay(box, a=table.astype(np.float32))
    folder = good(box, ONE, f"--bin-rule {rule} --bin-thr {threshold}")
    rows = strict(folder / "manifest.json")["split"]["rows"]
    train = table.astype(np.float32)[rows["train"], CONTEXT:]
    fitted = checkpoint(folder / "model.pt.best")["fitted"]
    if rule == "quantile":
        assert fitted["threshold"] == [pytest.approx(np.quantile(train, 0.8))]
        for leak in (table, table[rows["train"]], table[:, CONTEXT:]):
            assert fitted["threshold"] != [pytest.approx(np.quantile(leak, 0.8))]
    rate = make(train, train).mean()
    assert fitted["base_rate"] == [pytest.approx(rate)]
    assert fitted["pos_weight"] == [pytest.approx((1 - rate) / rate)]
    lined = scored(folder)
    truth = table[numbers(lined, "row").astype(int), numbers(lined, "time").astype(int)]
    assert np.array_equal(numbers(lined, "y_true"), make(truth, train))


def test_a_quantile_is_not_fitted_again_on_new_files(box, values):
    trained = good(box, ONE, "--bin-rule quantile --bin-thr 0.8")
    lay(box, a=values[0] * 3)
    inferred = good(box, f"--mode infer --task classify --csv data/a.csv --ckpt {trained} --eval-split all")
    threshold = checkpoint(trained / "model.pt.best")["fitted"]["threshold"][0]
    lined = scored(inferred)
    truth = 3 * values[0][numbers(lined, "row").astype(int), numbers(lined, "time").astype(int)]
    assert np.array_equal(numbers(lined, "y_true"), truth > threshold)


def test_an_offset_of_three_steps_and_a_stride(box, values):
    folder = good(box, ONE, "--label-offset 3 --stride 4")
    lined = scored(folder)
    row, time = (numbers(lined, name).astype(int) for name in ("row", "time"))
    assert sorted(set(time)) == [10, 14, 18, 22, 26]  # contexts 0..7, 4..11, ...; the target three steps later
    assert np.array_equal(numbers(lined, "y_true"), values[0][row, time] > 0)


def test_regression_clips_label_and_prediction(box, values):
    folder = good(box, ONE.replace("classify", "regress").replace("--batch-size", "--target-clip 0 2 --batch-size"))
    lined = preds(folder)
    truth = values[0][numbers(lined, "row").astype(int), numbers(lined, "time").astype(int)]
    assert np.array_equal(numbers(lined, "y_true"), np.clip(truth, 0, 2))
    assert numbers(lined, "y_pred").min() >= 0 and numbers(lined, "y_pred").max() <= 2


# ---- missing values


@pytest.mark.parametrize("policy", ["drop", "ffill", "zero"])
def test_missing_values_are_counted_and_their_windows_are_those_of_numpy(tmp_path, values, policy):
    table = values[0].astype(float)
    table[3, 10], table[5, 0], table[7, 20] = np.nan, np.nan, np.inf
    lay(tmp_path, a=table)
    done = go(tmp_path, ONE, f"--nan {policy} --eval-split all")
    assert done.code == 0, done.err
    assert "2 missing and 1 infinite values in data/a.csv" in done.err
    manifest = strict(done.directory / "manifest.json")
    assert any("2 missing and 1 infinite values" in note for note in manifest["data"]["notes"])
    gaps = {"drop": {(3, 10), (5, 0), (7, 20)}, "ffill": {(5, 0)}, "zero": set()}[policy]
    whole = {
        (r, t)
        for r in range(ROWS)
        for t in range(CONTEXT, WIDE)
        if not any(r == row and t - CONTEXT <= step <= t for row, step in gaps)
    }
    whole -= {(3, 10), (7, 20)}  # a label that is made up is not scored; it may be input
    lined = scored(done.directory)
    assert {(int(line["row"]), int(line["time"])) for line in lined} == whole and len(lined) == len(whole)
    if policy != "drop":
        assert {(3, 11), (7, 21)} <= whole


# ---- inference


def infer(folder: Path, ckpt: Path, files: str, *words: object) -> Path:
    return good(folder, f"--mode infer --task classify --csv {files} --ckpt {ckpt}", *words)


def test_new_files_are_scored_whole(base, tmp_path):
    fresh = demand(25, 18, 3, seed=99)
    lay(tmp_path, x=fresh[0], y=fresh[1], z=fresh[2])
    folder = infer(tmp_path, base / "artifacts" / NAME_THREE, "data/x.csv data/y.csv data/z.csv", "--eval-split all")
    summary, lined = strict(folder / "metrics.json"), scored(folder)
    assert summary["selection"] == "files that were no part of training"
    check_scores(summary, lined)
    assert {(int(r["row"]), int(r["time"])) for r in lined} == {(r, t) for r in range(25) for t in range(8, 18)}
    row, time = (numbers(lined, name).astype(int) for name in ("row", "time"))
    assert np.array_equal(numbers(lined, "y_true"), fresh[0][row, time] > 0)
    stored = checkpoint(base / "artifacts" / NAME_THREE / "model.pt.best")
    assert summary["calibration"]["tau"] == stored["calibration"]["tau"]  # chosen in training, not here


def test_files_of_training_in_another_order_are_no_new_files(base, tmp_path):
    files = " ".join(str(base / f"data/{name}.csv") for name in "acb")
    folder = infer(tmp_path, base / "artifacts" / NAME_THREE, files, "--eval-split all")
    assert "no part of training" not in strict(folder / "metrics.json")["selection"]


def test_inference_refits_nothing(base, tmp_path, values):
    """A few of the rows alone get the scores that they get among all."""
    ckpt = base / "artifacts" / NAME_THREE
    lay(tmp_path, x=values[0][5:9], y=values[1][5:9], z=values[2][5:9])
    few = preds(infer(tmp_path, ckpt, "data/x.csv data/y.csv data/z.csv"))
    files = " ".join(str(base / f"data/{name}.csv") for name in "abc")
    everything = {(line["row"], line["time"]): line for line in preds(infer(tmp_path, ckpt, files, "--desc all"))}
    assert len(few) == 4 * 23
    for line in few:
        among_all = everything[str(int(line["row"]) + 5), line["time"]]
        assert float(line["y_score"]) == pytest.approx(float(among_all["y_score"]), abs=1e-6)


def test_the_step_after_the_last_column_is_predicted(base, tmp_path, values):
    """It is what the model says of that step once the step is there, and is not scored."""
    ckpt = base / "artifacts" / NAME_THREE
    lay(tmp_path, x=values[0][:, :-1], y=values[1][:, :-1], z=values[2][:, :-1])
    ahead = [line for line in preds(infer(tmp_path, ckpt, "data/x.csv data/y.csv data/z.csv")) if line["y_true"] == ""]
    assert [(line["row"], line["time"]) for line in ahead] == [(str(r), str(WIDE - 1)) for r in range(ROWS)]
    files = " ".join(str(base / f"data/{name}.csv") for name in "abc")
    there = [line for line in scored(infer(tmp_path, ckpt, files, "--desc all")) if line["time"] == str(WIDE - 1)]
    assert np.allclose(numbers(ahead, "y_score"), numbers(there, "y_score"), atol=1e-6)


def test_rows_just_as_long_as_the_context(base, tmp_path, values):
    lay(tmp_path, x=values[0][:, :8], y=values[1][:, :8], z=values[2][:, :8])
    folder = infer(tmp_path, base / "artifacts" / NAME_THREE, "data/x.csv data/y.csv data/z.csv")
    assert [(line["row"], line["time"], line["y_true"]) for line in preds(folder)] == [
        (str(r), "8", "") for r in range(ROWS)
    ]
    summary = strict(folder / "metrics.json")
    assert summary["unscored"] and summary["headline"]["pr_auc"] is None
    made = {"metrics.json", "preds.csv", "config.yaml", "manifest.json", "index.html"}
    assert {path.name for path in folder.iterdir()} == made


def test_files_without_the_label_channel_are_predicted_and_not_scored(box, values):
    words = "--label-src-ch 1 --drop-label-from-x --csv data/b.csv data/a.csv data/c.csv"
    trained = good(box, ONE, words, "--eval-split all")
    blind = infer(box, trained, "data/b.csv data/c.csv", "--desc blind")
    lined = preds(blind)
    assert [(line["row"], line["time"], line["y_true"]) for line in lined] == [
        (str(r), str(WIDE), "") for r in range(ROWS)
    ]
    assert "unscored" in strict(blind / "metrics.json")
    seeing = preds(infer(box, trained, "data/b.csv data/a.csv data/c.csv"))
    ahead = [line for line in seeing if line["y_true"] == ""]
    assert np.array_equal(numbers(ahead, "y_score"), numbers(lined, "y_score"))  # the label is not looked at
    lay(box, a=values[0][::-1])
    other = preds(infer(box, trained, "data/b.csv data/a.csv data/c.csv", "--desc other"))
    assert [line["y_score"] for line in other] == [line["y_score"] for line in seeing]


def test_where_only_one_class_occurs_the_metrics_say_why_they_are_undefined(base, tmp_path, values):
    lay(tmp_path, x=np.zeros_like(values[0]), y=values[1], z=values[2])
    done = go(
        tmp_path,
        "--mode infer --task classify --csv data/x.csv data/y.csv data/z.csv --eval-split all",
        f"--ckpt {base / 'artifacts' / NAME_THREE}",
    )
    assert done.code == 0, done.err
    summary = strict(done.directory / "metrics.json")
    assert summary["pr_auc"] is None and summary["roc_auc"] is None and summary["prevalence"] == 0
    assert "one class" in summary["undefined"]["pr_auc"]
    assert "undefined" in done.out


def test_row_ids_of_the_files_stand_in_the_predictions(tmp_path, values):
    names = [f"part-{row}" for row in range(ROWS)]
    (tmp_path / "ids.csv").write_text(
        "\n".join(f"{name},{','.join(str(v) for v in row)}" for name, row in zip(names, values[0], strict=True))
    )
    folder = good(tmp_path, ONE.replace("data/a.csv", "ids.csv"), "--eval-split all")
    assert list(dict.fromkeys(line["row"] for line in preds(folder))) == names


# ---- finetuning


def finetune(folder: Path, ckpt: Path, *words: object) -> tuple[dict, dict]:
    """The checkpoint before and the last one after an epoch on the same files at a high learning rate."""
    base = "--mode finetune --task classify --csv data/a.csv data/b.csv data/c.csv --epochs 1 --lr 0.05"
    made = good(folder, f"{base} --reference off --ckpt {ckpt}", *words)
    return checkpoint(ckpt / "model.pt.best"), checkpoint(made / "model.pt")


@pytest.mark.parametrize(
    ("words", "stays"),
    [
        ("", set()),
        ("--freeze 'backbone*'", {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}),
        ("--freeze backbone", {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}),
        ("--freeze '*weight_ih*' head.bias", {"weight_ih_l0", "bias"}),
        ("--train-only 'head*'", {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}),
    ],
)
def test_frozen_weights_stay_and_the_others_move(base, box, words, stays):
    before, after = finetune(box, base / "artifacts" / NAME_THREE, words)
    same = same_tensors(before["state"], after["state"])
    assert {name.rpartition(".")[2] for name in same if not name.startswith("wide.")} == stays
    assert {name for name in before["state"] if name.startswith("wide.")} <= same  # what the net stands on
    assert after["scaler"] == before["scaler"]


def test_running_means_of_a_frozen_backbone_stay_too(box):
    words = THREE.replace("--backbone gru --model-args hidden=4", "--backbone inception --model-args filters=2 depth=3")
    before, after = finetune(box, good(box, words), "--freeze backbone")
    same = same_tensors(before["state"], after["state"])
    assert {name for name in before["state"] if name.startswith(("backbone", "wide"))} == same


def test_weights_that_start_anew_are_those_of_a_fresh_model(base, box):
    ckpt = base / "artifacts" / NAME_THREE
    before, after = finetune(box, ckpt, "--reinit 'head*' --freeze '*'.weight '*_l0'")  # what is frozen shows its start
    other = good(box, THREE, "--seed 778 --desc fresh")
    assert not torch.equal(after["state"]["head.weight"], before["state"]["head.weight"])
    assert torch.equal(after["state"]["backbone.rnn.weight_hh_l0"], before["state"]["backbone.rnn.weight_hh_l0"])
    assert not torch.equal(checkpoint(other / "model.pt")["state"]["head.weight"], after["state"]["head.weight"])
    manifest = strict(next((box / "artifacts").glob("finetune*")) / "manifest.json")
    assert manifest["model"]["reinit"] == ["head.weight", "head.bias"] and manifest["model"]["trained"] == ["head.bias"]


def test_the_scaler_is_fitted_again_when_asked_to(base, tmp_path, values):
    lay(tmp_path, a=10 * values[0], b=values[1], c=values[2])
    ckpt = base / "artifacts" / NAME_THREE
    before, kept = finetune(tmp_path, ckpt)
    _, refitted = finetune(tmp_path, ckpt, "--refit-scaler --desc refit")
    rows = strict(next((tmp_path / "artifacts").glob("*refit")) / "manifest.json")["split"]["rows"]["train"]
    seen = 10 * values[0].astype(float)[rows, :-1]  # the last column is a target only
    assert kept["scaler"] == before["scaler"]
    assert refitted["scaler"]["mean"][0] == pytest.approx(seen.mean())
    assert refitted["scaler"]["std"][0] == pytest.approx(seen.std())


# ---- runs of one name


def test_a_rerun_moves_the_old_run_aside(box):
    first = good(box, ONE)
    (first / "note.txt").write_text("first")
    assert good(box, ONE) == first and good(box, ONE) == first
    assert {path.name for path in (box / "artifacts").iterdir()} == {NAME_ONE, f"{NAME_ONE}.1", f"{NAME_ONE}.2"}
    assert (box / "artifacts" / f"{NAME_ONE}.1" / "note.txt").read_text() == "first"
    assert not (first / "note.txt").exists()


def test_overwrite_replaces_the_old_run(box):
    first = good(box, ONE)
    (first / "note.txt").write_text("first")
    assert good(box, ONE, "--overwrite") == first
    assert [path.name for path in (box / "artifacts").iterdir()] == [NAME_ONE]
    assert not (first / "note.txt").exists()


def test_resuming_a_finished_run_says_so_and_changes_nothing(box):
    good(box, ONE)
    before = tree(box / "artifacts")
    done = go(box, ONE, "--resume")
    assert done.code == 0 and "nothing to resume" in done.err
    assert tree(box / "artifacts") == before
    assert done.directory.name == NAME_ONE


def test_resume_without_an_earlier_run_trains(box):
    assert (good(box, ONE, "--resume") / "model.pt.best").is_file()


def test_tensorboard_files_when_asked_for(box):
    pytest.importorskip("tensorboard")
    folder = good(box, ONE, "--tensorboard --epochs 2")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    with (folder / "history.csv").open(newline="") as file:
        history = [float(line["train_loss"]) for line in csv.DictReader(file)]
    assert [event.step for event in events.Scalars("train_loss")] == [1, 2]
    assert [event.value for event in events.Scalars("train_loss")] == pytest.approx(history, rel=1e-6)


@pytest.mark.usefixtures("solved_anew")
@pytest.mark.grows
def test_the_same_seed_gives_the_same_run_and_another_seed_another(box):
    one, two = (checkpoint(good(box, THREE, f"--desc {name}") / "model.pt") for name in ("one", "two"))
    other = checkpoint((run := good(box, THREE, "--seed 1")) / "model.pt")
    assert same_tensors(one["state"], two["state"]) == set(one["state"])
    alike = {"wide.trees.forest.seen"}  # how many windows there are
    if strict(run / "metrics.json")["wide"]["net"] == 0:  # validation wants nothing of the net's head
        alike |= {"head.weight", "head.bias"}
    assert same_tensors(one["state"], other["state"]) <= alike


# ---- no leaks


ALONE = "--no-wide"  # a closed form under the net is as strong as validation likes it


def fitted_of(folder: Path) -> tuple[dict, dict, dict]:
    stored = checkpoint(folder / "model.pt")
    return stored["state"], stored["fitted"], stored["scaler"]


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_values_of_held_out_rows_change_nothing_that_is_fitted(box, values, task):
    rule = "--bin-rule quantile --bin-thr 0.7 --pos-weight global" if task == "classify" else ""
    words = THREE.replace("--task classify", f"--task {task} {rule} {ALONE}")
    first = good(box, words)
    rows = strict(first / "manifest.json")["split"]["rows"]
    held_out = [*rows["val"], *rows["test"]]
    assert len(held_out) == 16
    changed = values.astype(float)
    changed[:, held_out] = 100 * changed[:, held_out] ** 2
    lay(box, a=changed[0], b=changed[1], c=changed[2])
    second = good(box, words, "--desc second")
    assert strict(second / "manifest.json")["split"]["rows"] == rows
    (state, fitted, scaler), (other, *constants) = fitted_of(first), fitted_of(second)
    assert [fitted, scaler] == constants
    assert same_tensors(state, other) == set(state)
    assert (first / "preds.csv").read_bytes() != (second / "preds.csv").read_bytes()  # the change was seen there


@pytest.mark.parametrize("mode", ["holdout", "rolling"])
@pytest.mark.parametrize("task", ["classify", "regress"])
def test_values_after_the_cut_change_nothing_that_is_fitted(box, values, task, mode):
    rule = "--bin-rule quantile --bin-thr 0.7 --pos-weight global" if task == "classify" else ""
    words = THREE.replace("--task classify", f"--task {task} {rule} --split-mode {mode} {ALONE}")
    first = good(box, words)
    changed = values.astype(float)
    cut = 18  # 30 steps, a fifth of them for validation and a fifth for test
    assert strict(first / "manifest.json")["split"]["cuts"]["val_from"] == cut
    changed[:, :, cut:] = 100 * changed[:, :, cut:] ** 2
    lay(box, a=changed[0], b=changed[1], c=changed[2])
    (state, fitted, scaler), (other, *constants) = fitted_of(first), fitted_of(good(box, words, "--desc second"))
    assert [fitted, scaler] == constants
    assert same_tensors(state, other) == set(state)


def test_values_of_training_do_change_what_is_fitted(box, values):
    """The tests above would pass on a toolkit that fits nothing."""
    first = good(box, THREE)
    row = strict(first / "manifest.json")["split"]["rows"]["train"][0]
    changed = values.astype(float)
    changed[:, row] += 50
    lay(box, a=changed[0], b=changed[1], c=changed[2])
    (state, fitted, scaler), (other, *constants) = fitted_of(first), fitted_of(good(box, THREE, "--desc second"))
    assert fitted != constants[0] and scaler != constants[1]
    assert same_tensors(state, other) != set(state)
