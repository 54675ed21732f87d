"""The command line as its users meet it: help, config files, and every mistake answered with exit code 2."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

import backbones
import cli
import tasks
from config import VERSION
from errors import UsageError
from tools import flag_tables
from tools.floors import python_files

from .conftest import ROOT

GOOD = ["--mode", "train", "--task", "classify", "--csv", "a.csv", "--context-len", "31"]


def problems(*words):
    with pytest.raises(UsageError) as caught:
        cli.parse([*words])
    return str(caught.value)


def test_a_flag_that_was_promised_stays():
    """A batch script breaks when a flag goes. `python tools/flag_tables.py --write` adds the new ones to the list."""
    promised = set((ROOT / "docs" / "flags.txt").read_text().split())
    assert len(promised) >= 102
    assert promised <= flag_tables.options(), "a flag is gone that batch scripts may use"


def test_help_is_grouped_with_defaults_and_needs_neither_torch_nor_numpy():
    code = (
        "import sys; sys.argv = ['run.py', '--help']\n"
        "try:\n import run; run.main(['--help'])\n"
        "except SystemExit: pass\n"
        "bad = {'torch', 'numpy', 'pandas', 'sklearn', 'yaml'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for part in ("Data:", "Windows:", "Labels:", "Split:", "Training:", "Speed:", "Checkpoint, backbone, names:"):
        assert f"\n{part}\n" in done.stdout
    assert "(default: 777)" in done.stdout and "{group,rolling,holdout}" in done.stdout
    for name in (*tasks.names(), *backbones.names()):
        assert name in done.stdout


def test_a_wrong_flag_is_answered_without_importing_torch():
    code = (
        "import sys, run\n"
        "assert run.main(['--mode', 'train', '--task', 'classify', '--csv', 'x', '--context-len', '0']) == 2\n"
        "assert run.main(['--mode', 'train', '--task', 'classify', '--csv', 'x', '--context-len', '9',\n"
        "                 '--model-args', 'no_such=1']) == 2\n"
        "assert run.main(['--mode', 'train', '--task', 'classify', '--csv', 'not_there', '--context-len', '9']) == 3\n"
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0


def test_all_problems_come_at_once():
    text = problems(
        *GOOD, "--epochs", "none", "--val-ratio", "1.5", "--split-mode", "groupp", "--lr", "nan", "--epocs", "3"
    )
    assert "5 problems" in text
    assert "unknown flag --epocs; did you mean --epochs?" in text and "unexpected argument" not in text
    assert "--epochs takes a whole number, got 'none'" in text
    assert "--val-ratio must be in (0, 1), got 1.5" in text
    assert "did you mean group?" in text
    assert "--lr takes a finite number" in text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "--task is required"),
        (["--ckpt", "x", *GOOD[2:]], "--ckpt wants --mode infer or --mode finetune"),
        (["--mode", "train"], "--task is required"),
        (["--mode", "infer", "--csv", "a"], "--mode infer needs --ckpt"),
        (["train", "forecast", "--csv", "a"], "2 problems"),
        (["train", "forecast", "--csv", "a"], "'train'; did you mean --mode train?"),
        (["train", "forecast", "--csv", "a"], "'forecast'; did you mean --task forecast?"),
        (["--mode", "trian", "--task", "classify", "--csv", "a"], "did you mean train?"),
        ([*GOOD[:2], "--task", "clasify", *GOOD[4:]], "did you mean classify?"),
        ([*GOOD, "--backbone", "llm-ts"], "did you mean llm_ts?"),
        ([*GOOD, "--backbone", "gru", "--model-args", "hiden=3"], "did you mean hidden?"),
        ([*GOOD, "--backbone", "gru", "--model-args", "hidden=big"], "--model-args hidden takes a whole number"),
        ([*GOOD, "--target-clip", "0", "125"], "--target-clip belongs to --task regress"),
        ([*GOOD[:4], *GOOD[6:]], "--csv FILE... (or --npz FILE, --db URL, or --demo) is required"),
        ([*GOOD, "--demo"], "leave --csv out"),
        (["--mode", "infer", *GOOD[2:]], "--mode infer needs --ckpt"),
        (["--mode", "finetune", *GOOD[2:]], "--mode finetune needs --ckpt"),
        ([*GOOD, "--ckpt", "x"], "--ckpt belongs to --mode finetune or infer"),
        ([*GOOD, "--freeze", "x"], "--freeze belongs to --mode finetune"),
        ([*GOOD, "--val-ratio", "0.6", "--test-ratio", "0.4"], "must be below 1"),
        ([*GOOD, "--folds", "3"], "--folds belongs to --split-mode rolling"),
        ([*GOOD, "--gap", "3"], "--gap belongs to --split-mode rolling or holdout"),
        ([*GOOD, "--contex", "3"], "unknown flag --contex"),
        ([*GOOD, "--seed"], "expected one argument"),
        ([*GOOD, "--config", "/no/such.yaml"], "cannot read the config file"),
    ],
)
def test_mistakes_are_named(words, text):
    assert text in problems(*words)


def test_config_file_then_command_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "mode: train\ntask: classify\ncsv: [a.csv, b.csv]\ncontext-len: 31\nlr: 1e-4\namp: yes\nepochs: 3\n"
    )
    config = cli.parse(["--config", str(path), "--epochs", "7", "--no-amp"])
    assert (config.csv, config.context_len, config.lr) == (("a.csv", "b.csv"), 31, 1e-4)
    assert (config.epochs, config.amp) == (7, False)
    assert {"lr", "epochs"} <= config.given and "seed" not in config.given


def test_config_file_mistakes(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("mode: train\ntask: classify\ncsv: a\ncontext_len: .nan\nepoch: 3\nval_ratio: 2\n")
    text = problems("--config", str(path))
    assert "unknown key 'epoch'; did you mean epochs?" in text
    assert "--context-len takes a whole number, got '.nan'" in text and "--val-ratio must be in (0, 1)" in text
    path.write_text("- a\n- b\n")
    assert "a mapping" in problems("--config", str(path))
    path.write_text("a: [1\n")
    assert "not plain YAML" in problems("--config", str(path))
    path.write_text("mode: train\nlr: 1\nlr: 2\n")
    assert "the key 'lr' is there twice" in problems("--config", str(path))
    path.write_text("task: classify\nwindow: 9\ncontext_len: 8\nlabels: [a, b]\nseed: null\n")
    text = problems("--config", str(path))
    assert "the setting 'context_len' is there twice" in text
    assert "--labels takes one value, got ['a', 'b']" in text and "--seed takes a value, got null" in text
    path.write_text("mode: train\ntask: classify\ndata: a.csv\n")
    assert "unknown key 'data'" in problems("--config", str(path))


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("tag: 007", "tag", "007"),
        ("tag: 1e3", "tag", "1e3"),
        ("tag: 2024-01-01", "tag", "2024-01-01"),
        ("tag: ", "tag", ""),
        ("seed: 010", "seed", 10),  # 8 in YAML 1.1
        (
            "test_groups: [1.10, 007, no, 1_0, 12:30, 0x10]",
            "test_groups",
            ("1.10", "007", "no", "1_0", "12:30", "0x10"),
        ),
        ("compile: off", "compile", "off"),
        ("compile: no", "compile", "off"),
        ("compile: false", "compile", "off"),
        ("reference: off", "reference", "off"),
        ("header: off", "header", "no"),
        ("header: on", "header", "yes"),
        ("index: Yes", "index", "yes"),
        ("amp: on", "amp", True),
        ("plots: off", "plots", False),
        ("plots: No", "plots", False),
        ("optimizer_args: {nesterov: no, momentum: 0.9}", "optimizer_args", {"nesterov": False, "momentum": 0.9}),
        ("optimizer_args: {foreach: null}", "optimizer_args", {"foreach": None}),
    ],
)
def test_a_config_file_means_what_it_says(tmp_path, line, name, value):
    path = tmp_path / "c.yaml"
    path.write_text(
        f"mode: train\ntask: classify\ncsv: a.csv\ncontext_len: 31\n{line}\n".replace("context_len: 31\nw", "w")
    )
    got = getattr(cli.parse(["--config", str(path)]), name)
    assert got == value and type(got) is type(value)


def test_a_config_file_takes_the_other_names_of_flags(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("mode: infer\ntask: classify\ncsv: 007.csv\nmodel: runs/007\nwindow: 9\n")
    config = cli.parse(["--config", str(path)])
    assert (config.ckpt, config.context_len, config.csv) == ("runs/007", 9, ("007.csv",))
    assert {"ckpt", "context_len"} <= config.given
    assert cli.parse(["--config", str(path), "--ckpt", "other"]).ckpt == "other"


def test_what_a_run_writes_can_be_read_again():
    first = cli.parse(
        [*GOOD, "--alpha", "0.25", "--pos-weight", "3", "--model-args", "size=tiny", "--backbone", "llm_ts"]
    )
    import yaml

    text = yaml.safe_dump(first.flat())
    values = yaml.safe_load(text)
    again, found = cli.check_all(cli.core_flags(), values)
    assert not found
    assert all(again[key] == getattr(first, key) for key in again if key != "model_args")
    assert values["model_args"] == {"size": "tiny"} and values["pos_weight"] == 3.0


def test_two_flags_have_another_name():
    config = cli.parse(
        ["--mode", "infer", "--task", "classify", "--csv", "a.csv", "--model", "runs/x", "--window", "9"]
    )
    assert (config.ckpt, config.context_len) == ("runs/x", 9)


def test_the_version_is_that_of_the_newest_release(capsys):
    with pytest.raises(SystemExit) as left:
        cli.parse(["--version"])
    assert left.value.code == 0 and capsys.readouterr().out == f"tsrun {VERSION}\n"
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert newest is not None and newest[1] == VERSION


def test_help_shows_the_choices_of_every_task_that_has_the_flag():
    text = " ".join(cli.make_parser().format_help().split())
    for name, owners in cli.all_flags().items():
        for task, flag in owners.items():
            shared = len(owners) > 1
            listed = (
                ", ".join(flag.choices) if shared else ",".join([*flag.choices, *["FLOAT"] * bool(flag.number_too)])
            )
            assert listed in text, f"--{name} of {task}"
    for choice in ("etth1", "refit", "ukdale", "redd", "deddiag-tsv", "huber", "l1"):
        assert choice in text


SOURCES = [ROOT / path for path in python_files(ROOT, ("tests", "artifacts"))]


def options_in(path):
    """The options that a file gives to `add_argument`."""
    listed = re.findall(r'[(]\s*((?:"--[a-z-]+",\s)+)', path.read_text(encoding="utf-8"))
    return {name for names in listed for name in re.findall(r"--[a-z-]+", names)}


def texts_in(path):
    """Every text of a file, with its place."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, f"{path.name}:{node.lineno}"


def test_the_flags_that_messages_name_are_there_and_take_what_is_said():
    """A hint works when typed: no flag that no command has, and no value after a switch."""
    known = {option for action in cli.make_parser()._actions for option in action.option_strings}
    known = known.union(*map(options_in, SOURCES)) | {
        "--line",
        "--standalone",
        "--nproc-per-node",
    }  # of a style sheet, of torchrun
    flags = [flag for owners in cli.all_flags().values() for flag in owners.values()]
    switches = "|".join(flag.option for flag in flags if flag.kind is bool)
    for path in SOURCES:
        for text, where in texts_in(path):
            named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]\b(?!-)", text))
            assert named <= known, f"{where}: {named - known}"
            assert not re.search(rf"({switches}) (on|off|true|false|yes|no|\d+)\b", text), f"{where}: {text}"


def test_the_process_exits_with_2_and_no_traceback(tmp_path):
    line = [sys.executable, str(ROOT / "run.py"), *"--mode train --task classify --csvv x".split()]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "did you mean --csv?" in done.stderr and "Traceback" not in done.stderr and done.stdout == ""
