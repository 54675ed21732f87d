"""pipeline.py: the settings that a run ends up with, its folds, its directory, and what it prints."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import cli
import pipeline
from errors import CheckpointError, DataError

from .runs import go, good, lay, strict

pytestmark = pytest.mark.usefixtures("solved_once")

ROWS, STEPS = 10, 24
QUICK = "--backbone linear --epochs 2 --reference off --no-plots"
TWO = "--csv data/a.csv data/b.csv"
TRAIN = f"--mode train --task regress {TWO} --context-len 4 {QUICK}"
NAME = "train_regress_ctx4_ch2_linear_seed777_splitgroup"
CPU = torch.device("cpu")


class Stopped(Exception):
    """What ends a run from outside."""


@pytest.fixture
def box(tmp_path) -> Path:
    rng = np.random.default_rng(2)
    return lay(tmp_path, a=rng.normal(size=(ROWS, STEPS)), b=rng.normal(size=(ROWS, STEPS)))


@pytest.fixture
def inside(box, monkeypatch) -> Path:
    """The same, as the working directory."""
    monkeypatch.chdir(box)
    return box


def opened(*words: object):
    argv = shlex.split(" ".join(map(str, words)))
    config = cli.parse(argv)
    return config, *pipeline.open_data(config, argv)


def differing(one, two) -> set[str]:
    """The settings in which two configurations differ."""
    one, two = one.flat(), two.flat()
    return {key for key in one | two if one.get(key) != two.get(key)}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- the last word on the configuration


def test_the_configuration_is_final_once_the_data_are_open(inside):
    config, run_data, task, start = opened(TRAIN)
    assert run_data.config == config and start is None and not hasattr(task, "fitted")
    with pytest.raises(dataclasses.FrozenInstanceError):
        run_data.config.context_len = 5


def test_the_context_follows_from_whole_rows(inside):
    np.savetxt(inside / "y.csv", np.arange(ROWS) % 3, fmt="%d")
    config, run_data, _, _ = opened("--mode train --task regress", TWO, "--labels y.csv", QUICK)
    assert config.context_len is None and run_data.config.context_len == STEPS
    assert differing(config, run_data.config) == {"context_len"}
    assert run_data.per_row and len(run_data.index) == ROWS


def ragged(folder: Path, lengths: list[int], name: str = "r.csv") -> None:
    """Rows of those lengths, with empty cells after their ends."""
    rng, longest = np.random.default_rng(1), max(lengths)
    cells = [[f"{v:.3f}" for v in rng.normal(size=n)] + [""] * (longest - n) for n in lengths]
    (folder / name).write_text("\n".join(",".join(row) for row in cells) + "\n")


def test_whole_rows_of_unequal_length_have_one_window_each(inside):
    ragged(inside, [9, 12, 30, *[9] * 7])
    np.savetxt(inside / "y.csv", np.arange(ROWS) % 3, fmt="%d")
    _, run_data, _, _ = opened("--mode train --task regress --csv r.csv --labels y.csv", QUICK)
    assert run_data.config.context_len == 9 and (run_data.index.rows() == np.arange(ROWS)).all()
    assert (run_data.index.starts() == run_data.series.offsets[:-1]).all()
    _, run_data, _, _ = opened("--mode train --task regress --csv r.csv --labels y.csv --context-len 10", QUICK)
    assert run_data.index.rows().tolist() == [1] * 3 + [2] * 21


def test_rows_that_are_left_out_are_counted_and_named(box):
    ragged(box, [24, 7, 24, 11, 24])
    words = "--csv r.csv --context-len 8 --horizon 4 --no-plots"
    done = go(box, "--mode train --task forecast --val-ratio 0.2 --test-ratio 0.2", words)
    assert done.code == 0, done.err
    assert "2 of 5 rows are not used: 1 (7 steps), 3 (11 steps); a window takes 12 steps" in done.err
    left = {"rows": 2, "names": ["1 (7 steps)", "3 (11 steps)"], "why": "a window takes 12 steps"}
    for file in ("summary.json", "manifest.json"):
        found = strict(done.directory / file)
        assert (found if file == "summary.json" else found["data"])["left_out"] == {"not used": left}
    again = go(box, "--mode infer --task forecast", words, f"--ckpt {done.directory}")
    found = strict(again.directory / "summary.json")["left_out"]
    assert found["not scored"] == left and found["not predicted past their end"]["names"] == ["1 (7 steps)"]


def test_rows_that_end_before_the_last_part_are_told(box):
    ragged(box, [40, 40, 14])
    words = "--mode train --task forecast --csv r.csv --context-len 8 --horizon 4 --test-ratio 0.1 --val-ratio 0.25"
    done = go(box, words, "--no-plots")
    assert "1 of 3 rows are not learned from: 2 (14 steps); none of their windows has its target" in done.err
    ragged(box, [5, 6, 7])
    done = go(box, words)
    assert done.code == 3 and "rows have 7 steps, a window needs 8 + 4 = 12" in done.err


def test_a_backbone_of_two_stages_trains_both_unless_one_is_named(inside):
    words = TRAIN.replace("--backbone linear", "--backbone fusion_gru")
    for stage, trained in (("", "all"), ("--stage end2end", "end2end"), ("--stage encoder", "encoder")):
        config, run_data, _, _ = opened(words, stage)
        assert run_data.config.stage == trained
        assert differing(config, run_data.config) == ({"stage"} if stage == "" else set())


def test_a_stride_follows_from_the_window_of_a_meter(inside):
    """Half a window, 9 // 2; inference goes on with it."""
    lines = [
        f"2024-01-01 00:{t // 60:02}:{t % 60:02},{20 + 50 * (t // 80 % 2)},{50 * (t // 80 % 2)}"
        for t in range(0, 1600, 8)
    ]
    (inside / "meter.csv").write_text("\n".join(["time,mains,tv", *lines]) + "\n")
    meter = "--task nilm --csv meter.csv --time-col time --device-cols tv --val-ratio 0.3 --test-ratio 0"
    words = f"--mode train {meter} --context-len 9 --backbone tcn --model-args filters=2 --epochs 1"
    config, run_data, task, _ = opened(words)
    assert (config.stride, run_data.config.stride, task.horizon) == (1, 4, 9)
    assert opened(words, "--stride 3")[1].config.stride == 3
    run = good(inside, words, "--reference off --no-plots")
    config, run_data, _, _ = opened(f"--mode infer --csv meter.csv --ckpt {run}")
    assert (run_data.config.stride, run_data.config.context_len, run_data.config.time_col) == (4, 9, "time")


@pytest.fixture
def trained(inside) -> str:
    words = TRAIN.replace("regress", "classify").replace("linear", "gru")
    words += " --model-args hidden=3 --bin-rule gt --bin-thr 0.1 --alpha 0.7 --label-offset 2 --split-mode holdout"
    good(inside, words, "--val-ratio 0.3 --test-ratio 0.1 --stride 2 --seed 5 --lr 0.3 --tag first")
    return "artifacts/first"


FIXED = {
    "context_len": 4,
    "backbone": "gru",
    "model_args": {"hidden": 3},
    "label_offset": 2,
    "bin_rule": "gt",
    "bin_thr": 0.1,
}


def test_finetuning_takes_what_the_model_means_and_nothing_else(inside, trained):
    words = f"--mode finetune {TWO} --ckpt {trained} --epochs 7 --val-ratio 0.4 --alpha 0.2"
    config, run_data, task, start = opened(words)
    assert differing(config, run_data.config) == set(FIXED)
    flat = run_data.config.flat()
    assert {name: flat[name] for name in FIXED} == FIXED
    assert (flat["epochs"], flat["val_ratio"], flat["alpha"], flat["seed"], flat["lr"]) == (7, 0.4, 0.2, 777, 1e-3)
    assert (task.options.bin_thr, task.options.alpha) == (0.1, 0.2)
    assert start.outputs == ["a"] and start.config["lr"] == 0.3


def test_inference_takes_the_split_and_every_option_too(inside, trained):
    config, run_data, task, start = opened(f"--mode infer {TWO} --ckpt {trained} --batch-size 9")
    split = {"split_mode": "holdout", "val_ratio": 0.3, "test_ratio": 0.1, "stride": 2, "seed": 5, "alpha": 0.7}
    assert differing(config, run_data.config) == set(FIXED) | set(split)
    flat = run_data.config.flat()
    assert {name: flat[name] for name in split} == split and (flat["batch_size"], flat["lr"]) == (9, 1e-3)
    assert task.options.alpha == 0.7 and start.config["seed"] == 5
    given = opened(f"--mode infer {TWO} --ckpt {trained} --seed 6 --stride 1")[1].config
    assert (given.seed, given.stride, given.val_ratio) == (6, 1, 0.3)


@pytest.mark.parametrize("mode", ["finetune", "infer"])
def test_a_flag_that_contradicts_the_model_is_an_error(inside, trained, mode):
    with pytest.raises(CheckpointError, match=r"--context-len 5 \(the checkpoint has 4\)"):
        opened(f"--mode {mode} {TWO} --ckpt {trained} --context-len 5")
    with pytest.raises(CheckpointError, match=r"was trained on 2 input channel\(s\), the data have 1"):
        opened(f"--mode {mode} --csv data/a.csv --ckpt {trained}")


def test_data_that_are_too_short_are_an_error_before_a_directory_is_made(inside):
    with pytest.raises(DataError, match="rows have 24 steps"):
        opened(TRAIN.replace("--context-len 4", "--context-len 24"))
    assert go(inside, TRAIN.replace("--context-len 4", "--context-len 24")).code == 3
    assert not (inside / "artifacts").exists()


# ---- folds


def test_folds_are_joined_by_their_mean_and_spread(box):
    """R2 is undefined in the first fold, whose validation has one value: the mean is over the others."""
    a = np.loadtxt(box / "data/a.csv", delimiter=",")
    a[:, 12:16] = 0.5  # each fold validates on a sixth of the row: steps 12, then 16, then 20 on
    lay(box, a=a)
    done = go(box, TRAIN, "--split-mode rolling --folds 3 --val-ratio 0.1667")
    folds = [strict(done.directory / f"fold_{k}/summary.json") for k in range(3)]
    joined = strict(done.directory / "summary.json")
    assert folds[0]["r2"] is None and joined["headline"] == folds[2]["headline"]
    for name in ("mae", "rmse", "r2"):
        values = [fold["headline"][name] for fold in folds]
        known = [value for value in values if value is not None]
        mean = sum(known) / len(known)
        std = (sum((value - mean) ** 2 for value in known) / len(known)) ** 0.5
        assert len(known) == (2 if name == "r2" else 3)
        assert joined["folds"][name] == {"mean": pytest.approx(mean), "std": pytest.approx(std), "values": values}
        assert f"{name} over 3 folds: {mean:.4g} ± {std:.4g}" in done.out.splitlines()
    assert joined["best_val"] == pytest.approx(sum(fold["best_val"] for fold in folds) / 3)
    assert joined["parameters"] == folds[2]["parameters"] and joined["mae"] == folds[2]["mae"]
    for name, content in tree(done.directory / "fold_2").items():
        if name not in ("summary.json", "index.html"):  # they tell of all folds
            assert (done.directory / name).read_bytes() == content
    cuts = [strict(done.directory / f"fold_{k}/manifest.json")["split"]["cuts"]["val_from"] for k in range(3)]
    assert cuts == [12, 16, 20]


def test_a_fold_that_was_complete_is_not_trained_again(inside):
    """Stopped in the second fold: the first stays as it is, and the result is that of a run without a break."""
    words = f"{TRAIN} --split-mode rolling --folds 2 --val-ratio 0.2"
    straight = strict(good(inside, words, "--tag straight") / "summary.json")
    argv = shlex.split(f"{words} --tag broken")
    epochs = []

    def stop(line):
        epochs.append(line["epoch"])
        if len(epochs) == 4:
            raise Stopped

    with pytest.raises(Stopped):
        pipeline.learn(cli.parse(argv), argv, CPU, stop)
    assert epochs == [1, 2, 1, 2] and not (inside / "artifacts/broken").exists()
    first = tree(inside / "artifacts/.broken.partial/fold_0")
    epochs.clear()
    content, final = pipeline.learn(
        cli.parse([*argv, "--resume"]), argv, CPU, lambda line: epochs.append(line["epoch"])
    )
    assert epochs == [2] and final == Path("artifacts/broken")
    assert tree(final / "fold_0") == first
    assert content["folds"] == straight["folds"] and content["best_val"] == straight["best_val"]


def test_a_complete_run_has_nothing_to_resume(box):
    first = go(box, TRAIN)
    before = tree(first.directory)
    again = go(box, TRAIN, "--resume")
    assert again.code == 0 and "this run is complete, there is nothing to resume" in again.err
    assert tree(first.directory) == before and again.out == first.out


LABELLED = f"--mode train --task regress {TWO} --labels y.csv --groups g.csv {QUICK} --tag r"


@pytest.fixture
def labelled(box) -> Path:
    """A finished run on labels and groups, with flags in a file."""
    np.savetxt(box / "y.csv", np.arange(ROWS) % 3, fmt="%d")
    np.savetxt(box / "z.csv", np.arange(ROWS) % 4, fmt="%d")
    np.savetxt(box / "g.csv", np.arange(ROWS) // 2, fmt="%d")
    (box / "c.yaml").write_text("lr: 0.01\npatience: 0\n")
    good(box, LABELLED, "--config c.yaml")
    return box


def test_a_finished_run_is_not_the_answer_to_another_command(labelled):
    before = tree(labelled / "artifacts")
    for words, said in (
        ("--lr 0.05", "the finished run had --lr 0.01 (now 0.05)"),
        ("--epochs 1", "--epochs 2 (now 1)"),
        ("--epochs 3 --seed 3", "--epochs 2 (now 3), --seed 777 (now 3)"),
        ("--labels z.csv", "--labels y.csv (now z.csv); the files have changed since the run was finished: z.csv"),
        ("--groups ''", "--groups g.csv (now '')"),
        ("--eval-split train", "--eval-split '' (now train)"),
        ("--batch-size 7", "--batch-size 4 (now 7)"),
    ):
        done = go(labelled, LABELLED, "--config c.yaml --resume --json", words)
        assert done.code == 4 and said in done.err and said in json.loads(done.out)["error"]["what"], words
        assert "--overwrite starts again" in done.err
    assert tree(labelled / "artifacts") == before
    same = go(labelled, LABELLED, "--config c.yaml --resume --plots --threads 1")
    assert same.code == 0 and "nothing to resume" in same.err


def test_a_finished_run_is_not_that_of_other_files(labelled):
    for name, text in {
        "y.csv": "9\n" * ROWS,
        "g.csv": "0\n1\n" * (ROWS // 2),
        "data/a.csv": None,
        "c.yaml": "lr: 0.02",
    }.items():
        file = labelled / name
        kept = file.read_text()
        file.write_text(kept.replace("1", "2") if text is None else text)
        done = go(labelled, LABELLED, "--config c.yaml --resume")
        said = (
            "the finished run had --lr 0.01 (now 0.02)" if name == "c.yaml" else f"since the run was finished: {name}"
        )
        assert done.code == 4 and said in done.err
        file.write_text(kept)
    assert go(labelled, LABELLED, "--config c.yaml --resume").code == 0


def test_every_file_of_a_run_stands_in_its_manifest(labelled):
    def listed(run: str) -> dict[str, str]:
        files = strict(labelled / "artifacts" / run / "manifest.json")["data"]["files"]
        assert all((labelled / file["path"]).stat().st_size == file["bytes"] for file in files)
        return {file["path"]: file.get("flag", "data") for file in files}

    data = {"data/a.csv": "data", "data/b.csv": "data", "y.csv": "--labels", "g.csv": "--groups"}
    assert listed("r") == data | {"c.yaml": "--config"}
    good(
        labelled,
        LABELLED.replace("--mode train", "--mode finetune").replace("--tag r", "--tag f"),
        "--ckpt artifacts/r",
    )
    assert listed("f") == data | {"artifacts/r/model.pt.best": "--ckpt"}


def test_a_finished_run_goes_on_for_more_epochs(box):
    """Without a schedule, 2 epochs and 2 more are what 4 are; what stood under the name moves aside."""
    words = f"{TRAIN} --scheduler none --patience 0"
    straight = strict(good(box, words, "--epochs 4 --tag straight") / "summary.json")
    good(box, words, "--tag r")
    done = go(box, words, "--tag r --epochs 4 --resume")
    assert done.code == 0 and "begun with --epochs 2 and gone on with" in done.err
    assert re.findall(r"^epoch (\d)/4", done.err, flags=re.MULTILINE) == ["3", "4"]
    summary = strict(done.directory / "summary.json")
    without = {"run", "seconds", "lengthened"}
    assert summary["lengthened"] == [2]
    assert {k: v for k, v in summary.items() if k not in without} == {
        k: v for k, v in straight.items() if k not in without
    }
    assert strict(box / "artifacts/r.1/summary.json")["epochs"] == 2
    assert any("--epochs 2" in text for text in strict(done.directory / "manifest.json")["warnings"])
    assert go(box, words, "--tag r --epochs 4 --resume").code == 0
    assert "--epochs 4 (now 2)" in go(box, words, "--tag r --epochs 2 --resume").err


def test_folds_go_on_for_more_epochs_and_nothing_else(inside):
    words = f"{TRAIN} --split-mode rolling --folds 2 --val-ratio 0.2 --scheduler none --patience 0"
    straight = strict(good(inside, words, "--epochs 3 --tag straight") / "summary.json")
    argv = shlex.split(f"{words} --tag broken")
    epochs = []

    def stop(line):
        epochs.append(line["epoch"])
        if len(epochs) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        pipeline.learn(cli.parse(argv), argv, CPU, stop)
    (inside / "data/c.csv").write_bytes((inside / "data/b.csv").read_bytes())
    for change, said in (("--lr 0.1", "the interrupted run had --lr"), ("--csv data/a.csv data/c.csv", "--csv")):
        done = go(inside, *argv, change, "--resume")
        assert done.code == 4 and said in done.err
    longer = cli.parse([*argv, "--epochs", "3", "--resume"])
    content, _ = pipeline.learn(longer, argv, CPU)
    assert content["folds"] == straight["folds"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--backbone ridge --task forecast --horizon 2", "left no state of training to go on from"),
        ("--epochs 9 --patience 1 --lr 1", "by --patience 1: more epochs change nothing"),
        (
            "--optimizer SGD --scheduler OneCycleLR --scheduler-args max_lr=0.1",
            "had a schedule of 2 epochs (OneCycleLR)",
        ),
    ],
)
def test_what_cannot_go_on_says_why(box, words, said):
    good(box, TRAIN, words, "--tag r")
    before = tree(box / "artifacts")
    done = go(box, TRAIN, words, "--tag r --epochs 12 --resume")
    assert done.code == 4 and said in done.err
    assert tree(box / "artifacts") == before


def test_a_finished_run_without_a_checkpoint_is_not_taken_on_trust(box):
    directory = good(box, TRAIN)
    for name in ("model.pt", "model.pt.best"):
        (directory / name).unlink()
    done = go(box, TRAIN, "--resume")
    assert done.code == 4 and "has no checkpoint left to compare this command with" in done.err


# ---- a run that fails


def test_a_diverged_run_is_set_aside(box):
    words = f"{TRAIN} --lr 1e30 --clip 0 --optimizer sgd --epochs 5 --patience 0"
    for name in (f"{NAME}.diverged", f"{NAME}.diverged.1"):
        done = go(box, words)
        assert (done.code, done.out) == (5, "")
        assert f"the best checkpoint before it is in artifacts/{name}" in done.err
        assert (box / "artifacts" / name).is_dir()
    assert {path.name for path in (box / "artifacts").iterdir()} == {f"{NAME}.diverged", f"{NAME}.diverged.1"}
    assert go(box, TRAIN).code == 0  # the name is free


@pytest.mark.parametrize("words", ["--resume", ""])
def test_an_unfinished_run_without_a_state_leaves_nothing(box, words, monkeypatch):
    def fail(*_):
        raise DataError("in the middle", where="--csv")

    monkeypatch.setattr("trainer.Trainer.run", fail)
    done = go(box, TRAIN, words)
    assert (done.code, done.out) == (3, "") and "in the middle" in done.err
    assert not list((box / "artifacts").iterdir())


# ---- what is printed


def test_json_is_all_that_stdout_gets(box):
    done = go(box, TRAIN, "--json")
    assert done.out.count("\n") == 1
    summary = strict(box / "artifacts" / NAME / "summary.json")
    assert json.loads(done.out) == {**summary, "directory": f"artifacts/{NAME}"}
    assert re.findall(r"^epoch (\d)/2", done.err, flags=re.MULTILINE) == ["0", "1", "2"]
    quiet = go(box, TRAIN, "--json --quiet --overwrite")
    assert quiet.err == "" and json.loads(quiet.out)["mae"] == summary["mae"]


def test_an_undefined_number_is_null(box):
    lay(box, a=np.ones((ROWS, STEPS)))
    done = go(box, TRAIN, "--json")
    assert done.code == 0 and json.loads(done.out, parse_constant=pytest.fail)["headline"]["r2"] is None
    assert re.search(r"^linear +\S+ +\S+ +undefined$", go(box, TRAIN, "--overwrite").out, flags=re.MULTILINE)


def parsed(out: str, columns: int) -> dict[str, list[str]]:
    """{name: its numbers} of the lines of the table, in their order."""
    lines = [line for line in out.splitlines() if " is better than " not in line and not line.startswith("to look at")]
    end = next((at for at, line in enumerate(lines) if line.endswith(":")), len(lines) - 1)  # the first predictions
    rows = [line.split() for line in lines[2:end]]
    assert all(len(row) == 1 + columns for row in rows)
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize(
    ("task", "file", "monitor", "highest_first"),
    [("regress", "summary.json", "mae", False), ("classify", "metrics.json", "pr_auc", True)],
)
def test_references_stand_under_the_model_the_best_first(box, task, file, monitor, highest_first):
    words = TRAIN.replace("regress", task).replace("--reference off", "--reference auto")
    done = go(box, words, "--bin-rule gt" if task == "classify" else "")
    content = strict(done.directory / file)
    headline, found = list(content["headline"]), parsed(done.out, len(content["headline"]))
    assert done.out.splitlines()[1].split() == headline
    scores = {name: report[monitor] for name, report in content["references"].items()}
    assert list(found) == ["linear", *sorted(scores, key=scores.get, reverse=highest_first)] and len(scores) == 4
    for name, row in found.items():
        report = content["headline"] if name == "linear" else content["references"][name]
        told = [None if text == "undefined" else float(text) for text in row]
        assert told == pytest.approx([report[key] for key in headline], rel=1e-3, abs=1e-9)
    positive = f", {100 * content['prevalence']:.1f} % positive" if task == "classify" else ""
    assert done.out.startswith(f"val: {2 * 20} windows{positive} (val-selected; 9 parameters, ")
    assert done.out.splitlines()[-1] == str(done.directory.relative_to(box))


def test_a_reference_that_was_left_out_has_no_line(box):
    run = good(box, TRAIN)
    done = go(box, f"--mode infer {TWO} --no-plots --ckpt {run}")
    content = strict(done.directory / "summary.json")
    assert "skipped" in content["references"]["gradient_boosting"]
    assert set(parsed(done.out, 3)) == {"linear", *content["references"]} - {"gradient_boosting"}
    assert "200 windows (includes training windows; " in done.out


def test_what_cannot_be_scored_is_said_to_be_predicted(box):
    run = good(box, TRAIN, "--drop-label-from-x")
    done = go(box, f"--mode infer --csv data/b.csv --no-plots --ckpt {run}")
    first, *shown, directory = done.out.splitlines()
    assert first == "predicted, not scored: no label is known for these windows"
    assert shown[0] == "after the last step:" and directory == str(done.directory.relative_to(box))


# ---- a dry run


def test_a_dry_run_counts_and_writes_nothing(box):
    """Of 10 rows of 24 steps, 20 windows each, 2 rows validate and 3 test; 2 channels of 4 steps and a bias."""
    values = np.loadtxt(box / "data/a.csv", delimiter=",")
    words = f"{TRAIN} --test-ratio 0.3 --batch-size 1024 --dry-run"
    done, plain = go(box, words, "--json"), go(box, words)
    said = json.loads(done.out)
    means = said.pop("label_mean")
    assert said == {
        "dry_run": NAME,
        "windows": {"train": 100, "val": 40, "test": 60},
        "overlap": 0,
        "parameters": 9,
        "memory": {"data_bytes": 2 * 4 * 480, "model_and_optimizer_bytes": 4 * 4 * 9, "batch_bytes": 4 * 100 * 8},
        "directory": f"artifacts/{NAME}",
    }
    whole = sum(means[name][0] * said["windows"][name] for name in means) / 200
    assert whole == pytest.approx(values[:, 4:].mean(), abs=1e-6)  # every label is in one split
    for line in (
        "parameters            9",
        "  train                 100",
        f"dry run               {NAME}",
        "  data                  0.0 MiB",
    ):
        assert line in plain.out.splitlines()
    assert not (box / "artifacts").exists()


def test_a_dry_run_of_many_channels_shows_the_range_of_their_means(tmp_path):
    values = np.outer(np.arange(60), np.arange(1, 13)) % 7
    names = [f"c{c}" for c in range(12)]
    lines = [",".join(names), *(",".join(map(str, row)) for row in values)]
    text = [f"2024-01-01T{i // 60:02}:{i % 60:02}" for i in range(60)]
    (tmp_path / "many.csv").write_text(
        "\n".join(f"{a},{b}" for a, b in zip(["time", *text], lines, strict=True)) + "\n"
    )
    words = "--mode train --task forecast --csv many.csv --time-col time --context-len 4 --horizon 2 --dry-run"
    shown = next(line for line in go(tmp_path, words).out.splitlines() if line.startswith("  train") and " of " in line)
    means = json.loads(go(tmp_path, words, "--json").out)["label_mean"]["train"]
    assert shown.split(None, 1)[1] == f"12 of {min(means):.4g} to {max(means):.4g}" and len(means) == 12


def test_a_dry_run_of_folds_is_of_the_last(box):
    done = go(box, TRAIN, "--split-mode rolling --folds 2 --val-ratio 0.25 --dry-run --json")
    assert json.loads(done.out)["windows"] == {"train": 10 * (18 - 4), "val": 10 * 6, "test": 0}


@pytest.mark.parametrize(
    "task", ["regress --backbone gru", "classify --backbone gru --bin-rule gt", "forecast --horizon 2"]
)
def test_what_nan_made_up_is_told_in_every_task(tmp_path, task):
    values = np.random.default_rng(0).normal(size=(2, 200)).round(3).astype(str)
    values[0, [20, 21, 90, 180]] = ""
    times = np.datetime64("2024-01-01T00") + np.arange(200)
    lines = [f"{t},{a},{b}" for t, a, b in zip(times, *values, strict=True)]
    (tmp_path / "gaps.csv").write_text("time,a,b\n" + "\n".join(lines) + "\n")
    line = f"--mode train --task {task} --csv gaps.csv --time-col time --nan ffill --context-len 12 --epochs 1"
    done = go(tmp_path, line, "--split-mode holdout --test-ratio 0.2 --reference off --no-plots")
    assert done.code == 0, done.err
    of = 400 if task.startswith("forecast") else 200
    assert f" not scored in full: gaps (4 of {of} values); what --nan ffill made up" in done.err
    manifest = strict(done.directory / "manifest.json")
    assert manifest["data"]["left_out"]["not scored in full"]["rows"] == 1


def test_a_reference_that_is_better_is_said_in_words(tmp_path):
    """A model that has hardly trained against the last value of a walk; a closed form that follows it needs no word."""
    walk = np.random.default_rng(0).normal(size=(20, 40)).cumsum(axis=1)
    lay(tmp_path, a=walk)
    words = "--mode train --task regress --csv data/a.csv --context-len 6 --no-plots --quiet"
    done = go(tmp_path, words, "--backbone linear --epochs 1 --lr 1e-9 --no-wide")
    sentence, _, directory = done.out.splitlines()[-3:]
    found = re.fullmatch(r"(\w+) is better than linear here \(mae [\d.]+ against [\d.]+\): --backbone (\w+)", sentence)
    content = json.loads((tmp_path / directory / "summary.json").read_text())
    best = min(content["references"], key=lambda name: content["references"][name]["mae"])
    assert found and content["better"] == {"reference": best, "take": found[2]} and found[1] == best
    assert found[2] == {"gradient_boosting": "boosting"}.get(best, "auto")
    again = go(tmp_path, words, "--backbone ridge")
    mine = json.loads((tmp_path / again.out.splitlines()[-1] / "summary.json").read_text())
    best = min(row["mae"] for row in mine["references"].values())
    ahead = mine["mae"] - best > 0.01 * mine["mae"]
    assert ("better" in mine) is ahead is ("is better than" in again.out)


def test_a_reference_that_forecasts_better_is_said_with_flags_that_make_it_the_model(tmp_path):
    """Of a walk nothing is better than its last value; the model that repeats it does not lose to itself."""
    lay(tmp_path, a=np.random.default_rng(0).normal(size=(1, 400)).cumsum(axis=1))
    words = "--mode train --task forecast --csv data/a.csv --context-len 24 --horizon 4 --no-plots --quiet"
    done = go(tmp_path, words, "--backbone linear --epochs 1 --lr 1e-9")
    (sentence,) = (line for line in done.out.splitlines() if " is better than " in line)
    reference, flags = re.fullmatch(
        r"(\w+) is better than linear here \(mse [\d.]+ against [\d.]+\): (--backbone .*)", sentence
    ).groups()
    content = json.loads((tmp_path / done.out.splitlines()[-1] / "summary.json").read_text())
    scores = {name: row["mse"] for name, row in content["references"].items()}
    assert reference == min(scores, key=scores.get) and scores[reference] < content["mse"]
    again = go(tmp_path, words, flags)
    mine = json.loads((tmp_path / again.out.splitlines()[-1] / "summary.json").read_text())
    assert again.code == 0 and mine["mse"] == pytest.approx(scores[reference], rel=1e-3)
    assert "better" not in mine and " is better than " not in again.out
    plain = go(tmp_path, words, "--backbone seasonal_naive --model-args period=1")
    mine = json.loads((tmp_path / plain.out.splitlines()[-1] / "summary.json").read_text())
    assert mine["mse"] == pytest.approx(mine["references"]["repeat_last"]["mse"], rel=1e-6)


def test_batch_and_epochs_suit_few_windows_in_tasks_of_labels_alone(tmp_path):
    """Seven training rows of 16 windows: a twentieth of them a step, and a thousand steps or 200 epochs."""
    lay(tmp_path, a=np.random.default_rng(0).normal(size=(9, 20)))
    words = "--csv data/a.csv --context-len 4 --backbone linear --no-plots --reference off"
    done = go(tmp_path, f"--mode train --task regress {words}")
    assert done.code == 0 and "112 training windows: 44 epochs of 23 steps, with 5 windows a step" in done.err, done.err
    kept = yaml.safe_load((done.directory / "config.yaml").read_text())
    assert (kept["batch_size"], kept["epochs"]) == (5, 44)
    again = go(tmp_path, f"--config {done.directory}/config.yaml --overwrite")
    assert again.code == 0 and again.out.splitlines()[2] == done.out.splitlines()[2]
    told = go(tmp_path, f"--mode train --task regress {words} --epochs 1 --batch-size 512 --overwrite")
    assert told.code == 0 and "training windows:" not in told.err
    assert "training windows:" not in go(tmp_path, f"--mode train --task forecast --horizon 2 {words} --epochs 1").err
