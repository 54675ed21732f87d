"""Cases of what is kept on disk: config files, resumed runs, searches, homes, agents, streams and exported files."""

from __future__ import annotations

import csv
import json
import math
import re
import signal
import subprocess
import sys

import pytest
import yaml

import cli
from tools import federate

from .. import forkserver
from ..conftest import ROOT
from ..runs import standing_in


def test_integers_with_leading_zeros_stay_text(case):
    place = case("n-15")
    with standing_in(place.folder):
        config = cli.parse(place.commands[0].split())
    assert config.options["devices"] == ("035", "kettle=201")
    assert (config.tag, config.seed, config.context_len) == ("007", 10, 300)


def test_an_agents_edit_of_the_state_is_told(case):
    """And the last line of t.py, an epoch whose MSE is text, is a DataError."""
    place = case("n-19")
    (place.folder / "t.py").write_text((place.folder / "t.py").read_text().replace('"../.."', repr(str(ROOT))))
    done = forkserver.run(place.folder / "t.py", cwd=place.folder)
    assert "agent_state.json was changed by hand, or damaged; runs.jsonl is what counts" in done.stderr
    assert "left out: run_0001" in done.stderr and done.stdout.split("\n")[0] == "run_0000"
    assert "DataError: val_mse of epoch 1: '0.3' is not a number" in done.stderr


def test_one_wrong_clock_costs_one_message_also_the_first(case, capfd):
    place = case("e-stream-first-message-clock")
    place.make()
    directory = place.go(0).directory
    answered = {}
    for name in ("plain", "later", "first", "back"):
        command = ["--ckpt", str(directory), "--step", "10s"]
        with (place.folder / f"{name}.jsonl").open() as lines:
            done = forkserver.run(ROOT / "tools" / "stream.py", *command, cwd=place.folder, stdin=lines)
        answered[name] = sum(json.loads(line)["labels"] is not None for line in done.stdout.splitlines())
        warned = [line for line in done.stderr.splitlines() if line.startswith("warning")]
        assert len(warned) == (name != "plain"), done.stderr
    assert answered == {"plain": 21, "later": 21, "first": 21, "back": 12}


@pytest.mark.slow
def test_the_configuration_of_a_federation_says_what_the_homes_did(case):
    pytest.importorskip("flwr", reason="Flower is not installed")
    place = case("e-federate-config-test-ratio")
    place.make()
    words = place.line("tools/federate.py")
    done = forkserver.run(ROOT / "tools" / "federate.py", *words, cwd=place.folder, nested=True)
    assert done.returncode == 0, done.stderr
    (directory,) = (place.folder / "out").iterdir()
    for folder in (directory, directory / "shared" / "h1"):
        assert yaml.safe_load((folder / "config.yaml").read_text())["test_ratio"] == 0.2
    rows = list(csv.DictReader((directory / "per_home.csv").open()))
    assert [(row["train"], row["val"], row["test"]) for row in rows[:2]] == [("24", "8", "8"), ("72", "24", "24")]


NAMES_OF_OLD = """
import json
from types import SimpleNamespace
from flwr.common import FitRes, parameters_to_ndarrays
from federation import flower, home_client
def unpack(parameters, told): return dict(zip(json.loads(told["names"]), parameters_to_ndarrays(parameters)))
F = SimpleNamespace(HomeClient=home_client.HomeClient, join=home_client.join, pack=flower.pack, OK=flower.OK,
                    FitRes=FitRes, unpack=unpack)
"""


@pytest.mark.slow
def test_a_home_whose_weights_are_nan_is_left_out(case):
    """Homes A and B, whose data are fine, go on to round 4; the server has the best round on disk."""
    pytest.importorskip("flwr", reason="Flower is not installed")
    place = case("n-14")
    place.make()
    rogue = place.folder / "rogue.py"  # it looks for the toolkit two folders up, and for parts under names of old
    text = rogue.read_text().replace('"../.."', repr(str(ROOT))).replace("F.FINE", "F.OK")
    rogue.write_text(text.replace("F=f._flower()", NAMES_OF_OLD))
    address = f"127.0.0.1:{federate._free_port()}"
    lines = (place.folder / "cmd.txt").read_text().replace("127.0.0.1:9555", address).splitlines()
    parts = []
    for line in lines:
        if found := re.match(r"python (tools/federate|rogue)\.py (.*)", line):
            script = rogue if found[1] == "rogue" else ROOT / "tools" / "federate.py"
            command = [sys.executable, str(script), *found[2].split()]
            parts.append(forkserver.Popen(command, cwd=place.folder, stderr=-1, stdout=-1, text=True))
    try:
        told = [part.communicate(timeout=120)[1] for part in parts]
    finally:
        for part in parts:
            part.kill()
    assert [part.returncode for part in parts[:3]] == [0, 0, 0], told
    assert "fedper round 2: C is left out: its weights are not finite" in told[0]
    assert "fedper round 4/4: 3 homes, validation loss 0." in told[0]
    server = json.loads((place.folder / "srv" / "server.json").read_text())
    assert [line["round"] for line in server["left_out"]] == [2, 3, 4]
    assert server["best"]["fedper"] == min(line["val_loss"] for line in server["history"])
    assert (place.folder / "srv" / "fedper.shared.pt").is_file()
    assert (place.folder / "A" / "fedper" / "A" / "model.pt.best").is_file()


@pytest.mark.slow
def test_the_best_of_a_search_is_run_again_where_its_user_looks(case):
    pytest.importorskip("optuna", reason="optuna is not installed")
    place = case("e-search-best-config-out")
    place.make()
    after = (place.folder / "cmd.txt").read_text().split('S="')[1].split('"')[0].split()
    after += ["--no-wide", "--reference", "off"]  # which no two places tell apart
    searched = [forkserver.run(ROOT / "search.py", "--trials", 1, *after, cwd=place.folder, nested=True)]
    made = place.go("--config s/best/config.yaml --no-plots --reference off --tag again")
    assert made.code == 0 and made.directory == place.folder / "s" / "again"
    searched.append(forkserver.run(ROOT / "search.py", "--trials", 6, *after, cwd=place.folder, nested=True))
    assert [done.returncode for done in searched] == [0, 0], searched
    assert made.directory.is_dir() and not list((place.folder / "s").glob(".best"))


@pytest.mark.slow
def test_a_study_is_the_same_wherever_its_files_lie(case):
    pytest.importorskip("optuna", reason="optuna is not installed")
    place = case("e-search-npz-other-path")
    place.make()
    for line in re.findall(r"python search\.py ([^;\n]*)", (place.folder / "cmd.txt").read_text()):
        done = forkserver.run(ROOT / "search.py", *line.split(), "--no-wide", cwd=place.folder, nested=True)
        assert done.returncode == 0, done.stderr
    assert "2 of 2 done" in done.stderr


def test_a_finished_run_is_not_the_answer_to_another_command(case):
    place = case("e-resume-finished-other-settings")
    place.make()
    first, *others = place.commands
    assert place.go(first).code == 0
    for words in others:
        done = place.go(words)
        assert done.code == 4
        assert "the finished run had --" in done.err
        assert "--epochs 2 (now 30), --lr 0.001 (now 0.05)" in done.err
    assert "--labels val.csv (now other.csv)" in done.err
    assert place.go(first, "--resume").code == 0


@pytest.mark.slow
def test_an_interrupted_run_is_not_resumed_with_other_labels_or_groups(case):
    place = case("e-resume-other-labels-or-groups")
    place.make("0", "6")
    words = re.search(r'RUN="python run.py ([^"]*)"', (place.folder / "cmd.txt").read_text())[1]
    command = [sys.executable, str(ROOT / "run.py"), *words.split()]
    running = forkserver.Popen(command, cwd=place.folder, stderr=subprocess.PIPE, text=True)
    assert any("epoch 2/200" in line for line in running.stderr)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    for changed, said in ((("0", "5"), "grp.csv"), (("1000", "6"), "val.csv")):
        place.make(*changed)
        done = place.go(f"{words} --resume")
        assert done.code == 4 and f"the files have changed since the run was interrupted: {said}" in done.err


@pytest.mark.slow
def test_a_window_with_a_missing_value_has_no_answer_in_any_exported_form(case):
    pytest.importorskip("onnxruntime", reason="requirements-export.txt is not installed")
    place = case("e-onnx-nan-becomes-number")
    place.make()
    assert place.go(0, "--no-wide").code == 0  # whose path beside the net test_export.py has
    for form in ("onnx", "torch"):
        words = ["--ckpt", "artifacts/g", "--format", form]
        done = forkserver.run(ROOT / "tools" / "export.py", *words, cwd=place.folder)
        assert done.returncode == 0, done.stderr
    asked = forkserver.run(place.folder / "ask.py", cwd=place.folder).stdout.split("\n")
    answers = [[float(word) for word in re.findall(r"nan|\d\.\d+", line)] for line in asked[:2]]
    assert [math.isnan(value) for value in answers[0]] == [True, False, False]
    assert answers[0][1:] == pytest.approx(answers[1][1:], abs=1e-5) and math.isnan(answers[1][0])
