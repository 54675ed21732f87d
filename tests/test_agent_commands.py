"""python -m nas_agent: one JSON object out, refusals that help, budgets, and no test figure too early."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import backbones
from errors import UsageError
from experiments import config_file
from nas_agent import (
    RunInfo,
    add_run,
    claims,
    commands,
    get_run_dir,
    load_agent_state,
    proposals,
    runner,
    save_agent_state,
    save_history,
    save_metrics,
)
from nas_agent import __main__ as command_line
from nas_agent.files import write_durably
from nas_agent.study import view_of

from . import forkserver
from .conftest import ROOT
from .runs import standing_in
from .test_agent_state import finish, script

BASE = """
import torch.optim as optim
import torch.nn as nn

seed = 42
data = {"csv": "t.csv", "target": "OT", "features": "S", "seq_len": 12, "label_len": 6, "pred_len": 3, "batch_size": 64}
model = {"d_model": 8, "n_heads": 2, "e_layers": 1, "d_layers": 1, "d_ff": 16, "dropout": 0.1, "factor": 3}
training = {
    "optimizer_class": optim.Adam,
    "optimizer_params": {"lr": 0.001, "weight_decay": 0.0001},
    "criterion_class": nn.MSELoss,
    "scheduler_class": optim.lr_scheduler.CosineAnnealingLR,
    "scheduler_params": {"T_max": 10},
    "max_epochs": 2,
    "patience": 5,
}
"""
SECRET = 0.987654321  # a test figure that no answer may hold


def lay_table(folder: Path) -> None:
    """A day's wave over 300 hours, with a ripple that is not noise (the file is the same everywhere)."""
    values = [(k % 24 - 11.5) / 7 + (k * k % 17) / 20 for k in range(300)]
    lines = [f"2020-01-{1 + k // 24:02d} {k % 24:02d}:00:00,{value:.4f}" for k, value in enumerate(values)]
    (folder / "t.csv").write_text("\n".join(["date,OT", *lines]) + "\n")
    (folder / "base.py").write_text(BASE)


def ask(folder: Path, *words: object, given: object = None, code: int = 0) -> dict:
    """`python -m nas_agent WORDS --json` in this process, standing in `folder`; its one line."""
    out, stdin = io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(json.dumps(given))
    try:
        with standing_in(folder), contextlib.redirect_stdout(out):
            found = command_line.main([*map(str, words), "--json"])
    finally:
        sys.stdin = stdin
    assert found == code, out.getvalue()
    assert out.getvalue().count("\n") == 1
    return json.loads(out.getvalue())


@pytest.fixture
def study(tmp_path):
    """A folder with a study in `runs`, of five runs."""
    lay_table(tmp_path)
    ask(tmp_path, "init", "--config", "base.py", "--max-runs", 5, "--max-failures", 3)
    return tmp_path


def claimed(folder: Path, proposal: dict | None = None) -> claims.Claim:
    """A claim without the dry run."""
    runs = folder / "runs"
    text = config_file.to_text(proposals.merged(commands.study_in(runs).settings["base"], proposal or {}))

    def prepare(run_id: str) -> None:
        (runs / "configs").mkdir(exist_ok=True)
        write_durably(commands.config_of(runs, run_id), text.encode())

    return claims.claim(view_of(runs), proposal or {}, prepare=prepare)


# --- a study begins --------------------------------------------------------------------------------------------------


def test_a_study_begins(study):
    state = json.loads((study / "runs" / "agent_state.json").read_text())
    assert state == {"max_runs": 5, "best_run_id": None, "runs": []}
    answer = ask(study, "status")
    assert answer["left"] == {"runs": 5, "seconds": None, "failures": 3} and answer["stop"] is None
    assert answer["counts"] == {"running": 0, "complete": 0, "pruned": 0, "failed": 0}
    plain = config_file.parse(study / "runs" / "base.py").plain()
    assert plain["data"]["csv"] == str(study / "t.csv") and plain["model"]["d_model"] == 8
    refused = ask(study, "init", "--config", "base.py", "--max-runs", 9, code=2)
    assert refused["error"]["what"] == "there is a study already" and refused["error"]["exit_code"] == 2


@pytest.mark.parametrize("words", [["status"], ["next"], ["claim"], ["run"], ["report", "--run-id", "a"], ["finalize"]])
def test_where_no_study_stands(tmp_path, words):
    error = ask(tmp_path, *words, code=2)["error"]
    assert error["what"] == "there is no study" and "nas_agent init" in error["hint"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE + "\nimport os\nos.system('true')\n", "base.py:18: import of 'os'"),
        (BASE.replace("optim.Adam,", "optim.Adamm,"), "did you mean Adam"),
        (BASE.replace('"criterion_class": nn.MSELoss,', ""), "training['criterion_class'] is missing"),
        (BASE.replace("t.csv", "none.csv"), "there is no table 'none.csv'"),
    ],
)
def test_a_base_that_is_none(tmp_path, text, said):
    lay_table(tmp_path)
    (tmp_path / "base.py").write_text(text)
    assert said in ask(tmp_path, "init", "--config", "base.py", "--max-runs", 3, code=2)["error"]["message"]
    assert not (tmp_path / "runs").exists()


def test_a_study_has_a_hundred_runs_unless_it_is_said(tmp_path):
    lay_table(tmp_path)
    assert ask(tmp_path, "init", "--config", "base.py")["max_runs"] == 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-runs", "0"], "max_runs"),
        (["--max-runs", "x"], "invalid int value"),
        (["--max-runs", "3", "--max-seconds", "nan"], "--max-seconds: takes a finite number"),
        (["--max-runs", "3", "--run-seconds", "0"], "--run-seconds: must be above 0"),
    ],
)
def test_bounds_that_are_none(tmp_path, words, said):
    lay_table(tmp_path)
    assert said in ask(tmp_path, "init", "--config", "base.py", *words, code=2)["error"]["message"]


def test_a_command_that_is_none(tmp_path):
    assert "invalid choice" in ask(tmp_path, "statsu", code=2)["error"]["what"]


def test_a_config_py_in_the_working_directory_is_not_executed(study):
    """`python -m` would find it before our module of that name."""
    (study / "config.py").write_text("raise SystemExit(99)\n")
    done = subprocess.run(
        [sys.executable, "-m", "nas_agent", "next", "--json"],
        cwd=study,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and json.loads(done.stdout)["left"]["runs"] == 5, done.stderr


def test_without_json_the_same_is_told_as_text(study, capsys):
    with standing_in(study):
        assert command_line.main(["status"]) == 0
        told = yaml.safe_load(capsys.readouterr().out)
        assert command_line.main(["claim"]) == 2
        out, err = capsys.readouterr()
    assert told == ask(study, "status")
    assert out == "" and err == "error: proposal: there is no lost run to retry\n  hint: give a proposal\n"


# --- proposals -------------------------------------------------------------------------------------------------------


def plain_base(**training):
    made = config_file.parse_text(BASE).plain()
    made["training"] |= training
    return made


@pytest.mark.parametrize(
    ("proposal", "said"),
    [
        ([], "a proposal is a JSON object"),
        (None, "a proposal is a JSON object"),
        ({"seed": 1}, "seed cannot be changed by a proposal"),
        ({"evaluation": {}}, "evaluation cannot be changed by a proposal"),
        ({"data": {"csv": "mine.csv"}}, r"data\['csv'\] cannot be changed by a proposal"),
        ({"data": {"split": [0.8, 0.1, 0.1]}}, r"data\['split'\] cannot be changed by a proposal"),
        ({"data": {"pred_len": 1}}, r"data\['pred_len'\] cannot be changed by a proposal"),
        ({"data": {"batchsize": 1}}, r"no data\['batchsize'\]"),
        ({"modle": {}}, "a proposal has no 'modle'\n  hint: did you mean model"),
        ({"model": 3}, "model is a JSON object, not 3"),
    ],
)
def test_what_is_not_an_agents_to_change(proposal, said):
    with pytest.raises(UsageError) as caught:
        proposals.merged(plain_base(), proposal)
    assert re.search(said, str(caught.value))


def test_no_path_of_a_proposal_leads_out_of_the_study(tmp_path, monkeypatch):
    """And the answer does not tell whether anything is there."""
    monkeypatch.setattr(proposals.runner, "dry_run", lambda text: "")
    study, outside = tmp_path / "study", tmp_path / "outside"
    (study / "runs" / "run_0000").mkdir(parents=True)
    (outside / "run").mkdir(parents=True)
    (study / "runs" / "link").symlink_to(outside)
    monkeypatch.chdir(study)
    told = set()
    for path in ("../outside/run", "../outside/nope", "runs/link/run", str(outside), "~", "runs/run_0000,../outside"):
        with pytest.raises(UsageError) as caught:
            proposals.checked(plain_base(), {"model": {"backbone": "ensemble", "members": path}}, study)
        told.add(str(caught.value))
    assert len(told) == 1 and "members leads out of the study" in told.pop()
    for path in ("runs/run_0000", str(study / "runs" / "run_0000"), "runs/run_0000, runs/run_0001"):
        proposals.checked(plain_base(), {"model": {"backbone": "ensemble", "members": path}}, study)


def test_what_a_proposal_makes_of_the_base():
    base = plain_base()
    assert proposals.merged(base, {}) == base
    made = proposals.merged(base, {"model": {"d_ff": 32, "factor": None}, "data": {"batch_size": 16}})
    assert made["model"]["d_ff"] == 32 and "factor" not in made["model"] and made["model"]["d_model"] == 8
    assert made["data"] == base["data"] | {"batch_size": 16} and made["seed"] == 42
    other = {"backbone": "gru", "hidden": 8}
    assert proposals.merged(base, {"model": other})["model"] == other

    def training(**given):
        return proposals.merged(base, {"training": given})["training"]

    assert training(optimizer_params={"lr": 0.1})["optimizer_params"] == {"lr": 0.1, "weight_decay": 0.0001}
    assert training(optimizer_params={"weight_decay": None})["optimizer_params"] == {"lr": 0.001}
    changed = training(optimizer_class="optim.SGD", optimizer_params={"momentum": 0.9})
    assert changed["optimizer_params"] == {"lr": 0.001, "weight_decay": 0.0001, "momentum": 0.9}
    changed = training(scheduler_class="optim.lr_scheduler.StepLR", scheduler_params={"step_size": 2})
    assert changed["scheduler_params"] == {"step_size": 2}, "T_max was the other class's"
    assert "scheduler_params" not in training(scheduler_class=None)
    assert training(scheduler_params={"T_max": 3})["scheduler_params"] == {"T_max": 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("proposal", "said"),
    [
        ({"model": {"n_heads": 3}}, "d_model 8 does not split into 3 heads"),
        ({"training": {"optimizer_class": "os.system"}}, "takes a class of torch.optim"),
    ],
)
def test_a_refused_proposal_says_what_to_change(study, proposal, said):
    error = ask(study, "claim", "--proposal", "-", given=proposal, code=2)["error"]
    assert said in error["message"] and error["where"] == "proposal" and str(study) not in error["message"]
    assert ask(study, "status")["left"]["runs"] == 5


def test_epochs_are_the_studys(study):
    error = ask(study, "claim", "--proposal", "-", given={"training": {"max_epochs": 3}}, code=2)["error"]
    assert error["message"] == "proposal: training['max_epochs'] 3 is more than the 2 of the study\n  hint: 1 to 2"


def test_every_suggestion_is_within_its_range(study):
    space = ask(study, "next")["space"]
    assert set(space["model"]) == {"backbone", *backbones.hyper("informer")} - {"label_len"}
    assert "seed" not in str(space) and set(space["data"]) == {"batch_size"}
    leaves = [leaf for key, leaf in space["model"].items() if key != "backbone"]
    leaves += [
        *space["training"]["optimizer_params"].values(),
        space["training"]["max_epochs"],
        space["data"]["batch_size"],
    ]
    for leaf in leaves:
        assert leaf["base"] in leaf["suggest"] and len(leaf["suggest"]) == len(set(leaf["suggest"]))
        for value in leaf["suggest"]:
            assert type(value).__name__ == leaf["type"]
            assert leaf.get("min", value) <= value <= leaf.get("max", value)
    searched = backbones.space("informer")
    assert space["model"]["d_model"]["suggest"] == [8, *searched["model_args.d_model"]]  # the base, and search.py's
    assert space["training"]["max_epochs"]["suggest"] == [1, 2]  # those of search.py are more than the base's
    assert space["training"]["optimizer_params"]["lr"]["suggest"] == pytest.approx([1e-5, 1e-4, 1e-3])
    schedulers, schedule = (space["training"][key] for key in ("scheduler_class", "scheduler_params"))
    assert None in schedulers["suggest"] and "optim.lr_scheduler.StepLR" in schedulers["suggest"]
    assert schedule["step_size"]["when"] == {"scheduler_class": ["optim.lr_scheduler.StepLR"]}
    assert set(schedule) == {"step_size", "gamma", "T_max"}


def test_suggestions_for_a_backbone_without_a_space_are_near_the_base():
    base = {"data": {}, "model": {"backbone": "patchtst"}, "training": {"max_epochs": 4, "patience": 2}}
    space = proposals.space(base)
    assert space["training"]["max_epochs"]["suggest"] == [2, 4] and "scheduler_params" not in space["training"]
    assert all(leaf["base"] in leaf["suggest"] for key, leaf in space["model"].items() if key != "backbone")


def test_a_proposal_that_is_no_json(study, put):
    put("{", "p.json")
    for words in (["--proposal", study / "p.json"], ["--proposal", study / "none.json"]):
        assert "--proposal" in ask(study, "claim", *words, code=2)["error"]["where"]


# --- reports, and what is not told -----------------------------------------------------------------------------------


def test_no_answer_holds_a_test_figure_before_the_end(study):
    first, second = claimed(study), claimed(study, {"model": {"d_ff": 32}})
    metrics = {"val_mse": 0.5, "test_mse": SECRET, "history_summary": "fine"}
    answers = [ask(study, "report", "--run-id", first.run_id, "--attempt", 1, "--metrics", "-", given=metrics)]
    assert answers[0]["val_mse"] == 0.5 and answers[0]["accepted"] is True and answers[0]["best_run_id"] == "run_0000"
    place = get_run_dir(second.run_id, study / "runs")
    save_metrics({"val_mse": 0.4, "test_mse": SECRET, "train_mse": 0.3}, place)
    rows = [{"epoch": k, "train_mse": 0.5, "val_mse": 0.5 - k / 20, "lr": 0.1} for k in (1, 2)]
    save_history({"best_epoch": 2, "epochs": rows}, place)
    answers += [ask(study, "report", "--run-id", second.run_id)]
    assert answers[1]["history_summary"].startswith("2 epochs, best_epoch=2. train_mse stayed at 0.50.")
    answers += [ask(study, word) for word in ("status", "next")]
    answers += [commands.curve(study / "runs", second.run_id)]
    assert str(SECRET) not in json.dumps(answers) and "test_mse" not in json.dumps(answers)
    assert [run.test_mse for run in load_agent_state(study / "runs").runs] == [SECRET, SECRET], "it is kept"
    assert answers[3]["best"]["run_id"] == second.run_id and answers[3]["best"]["proposal"] == {"model": {"d_ff": 32}}
    assert [run["run_id"] for run in ask(study, "next", "--recent", 1)["recent"]] == [second.run_id]


def test_reports_that_are_none(study):
    made = claimed(study)

    def refused(*words, given=None, code=2):
        return ask(study, "report", *words, given=given, code=code)["error"]["message"]

    assert "no such file" in refused("--run-id", made.run_id, code=3)
    assert "not the metrics of a run" in refused("--run-id", made.run_id, "--metrics", "-", given={"mse": 1})
    assert "not the metrics of a run" in refused("--run-id", made.run_id, "--metrics", "-", given=[1])
    assert "val_mse that is a number" in refused("--run-id", made.run_id, "--metrics", "-", given={"val_mse": None})
    assert "no run run_0007" in refused("--run-id", "run_0007", "--status", "failed")
    assert "claimed again, attempt 1" in refused("--run-id", made.run_id, "--attempt", 2, "--alive")
    assert ask(study, "report", "--run-id", made.run_id, "--alive")["status"] == "running"
    failed = ask(study, "report", "--run-id", made.run_id, "--status", "failed", "--reason", "no memory")
    assert (failed["status"], failed["val_mse"], failed["reason"]) == ("failed", None, "no memory")


def test_budgets_end_a_study(study):
    for _ in range(3):
        ask(study, "report", "--run-id", claimed(study).run_id, "--status", "failed")
    error = ask(study, "claim", "--proposal", "-", given={"model": {"d_model": 4}}, code=6)["error"]
    assert error["what"] == "3 runs in a row failed" == ask(study, "next")["stop"]


def test_a_full_disk_is_told(study):
    made = claimed(study)
    before = {path.name: path.read_bytes() for path in (study / "runs").glob("*.json*")}
    code = """
        import resource, sys
        from nas_agent.__main__ import main
        most = int(sys.argv.pop(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        sys.exit(main(sys.argv[1:]))
        """
    words = ["report", "--run-id", made.run_id, "--status", "failed", "--json"]
    out, _ = finish(script(code, len(before["runs.jsonl"]) + 20, *words, cwd=study), code=6)
    assert json.loads(out)["error"]["kind"] == "ResourceError" and "the disk is full" in out
    assert {path.name: path.read_bytes() for path in (study / "runs").glob("*.json*")} == before


# --- runs ------------------------------------------------------------------------------------------------------------


def children(parent: int) -> list[int]:
    """The processes that `parent` has started and that are still there."""
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def wait_for(what, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_run_in_a_budget_of_time(study):
    """It is stopped, has failed, and is not tried again: it would take as long."""
    made = claimed(study)
    answer = ask(study, "run", "--run-id", made.run_id, "--timeout", 0.2)
    assert answer["status"] == "failed" and answer["reason"] == "stopped after its budget of 0.2 s"
    assert answer["val_mse"] is None and ask(study, "next")["retry"] == []
    assert not (study / "runs" / made.run_id).exists()
    assert "run_0000 is failed" in ask(study, "run", "--run-id", made.run_id, code=2)["error"]["what"]


@pytest.mark.slow
def test_a_run_that_fails_says_why(study):
    made = claimed(study)
    (study / "t.csv").unlink()
    answer = ask(study, "run", "--run-id", made.run_id)
    assert answer["status"] == "failed" and "t.csv" in answer["reason"] and "(exit code 3)" in answer["reason"]
    assert load_agent_state(study / "runs").runs[0].val_mse is None


RUN = """
    import sys
    import nas_agent.runner as runner
    from nas_agent.__main__ import main
    runner.LEASE = 0.5
    sys.exit(main(["run", "--run-id", sys.argv[1], "--json"]))
"""


@pytest.mark.fault(
    "SIGTERM and SIGINT in an agent's run",
    "exit 143 and 130; the training ends with it, and `claim` gives the run to the next",
)
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a child that dies with its parent is Linux's")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_runner_leaves_no_process_and_its_run_is_taken_up(study, number):
    made = claimed(study)
    process = script(RUN, made.run_id, cwd=study)
    child = wait_for(lambda: children(process.pid))[0]
    os.kill(process.pid, number)
    out, _ = process.communicate(timeout=30)
    wait_for(lambda: not alive(child))
    stopped = {signal.SIGTERM: (143, "stopped by SIGTERM"), signal.SIGINT: (130, "stopped by Ctrl-C")}
    if number in stopped:
        assert (process.returncode, json.loads(out)["error"]["what"]) == stopped[number]
    else:
        assert process.returncode == -9 and out == ""
        time.sleep(0.6)
    assert ask(study, "next")["retry"] == [made.run_id]
    answer = ask(study, "claim")
    assert (answer["run_id"], answer["attempt"]) == (made.run_id, 2)


@pytest.mark.slow
def test_the_example_searches_through_the_command_line(tmp_path):
    """The loop in examples/: two runs, then three seeds of the better one, then the test set."""
    lay_table(tmp_path)
    words = [ROOT / "examples" / "agent_cli.py", "--config", "base.py", "--runs", "2"]
    done = forkserver.run(*words, cwd=tmp_path, nested=True)
    assert done.returncode == 0, done.stderr
    begun, *runs, final = map(json.loads, done.stdout.splitlines())
    assert begun["max_runs"] == 2 and [run["run_id"] for run in runs] == ["run_0000", "run_0001"]
    assert all(run["status"] == "complete" for run in runs) and "test_mse" not in json.dumps(runs)
    best = min(runs, key=lambda run: run["val_mse"])
    assert final["best_run_id"] == best["run_id"] == runs[1]["best_run_id"]
    figures = [json.loads((tmp_path / "runs" / f"final_{k}" / "metrics.json").read_text()) for k in range(3)]
    for name in ("val_mse", "test_mse"):
        values = [each[name] for each in figures]
        mean = sum(values) / 3
        assert final[name]["mean"] == pytest.approx(mean)
        assert final[name]["sd"] == pytest.approx((sum((v - mean) ** 2 for v in values) / 2) ** 0.5)
        assert len(set(values)) == 3, "three seeds"
    assert final["references"] == figures[0]["references"] and set(final["references"]) == {"repeat_last", "ridge"}
    assert statistics.fmean(run["seed"] for run in final["runs"]) == 43
    first = json.loads((tmp_path / "runs" / best["run_id"] / "metrics.json").read_text())
    assert first["val_mse"] == best["val_mse"] == figures[0]["val_mse"], "the base's seed is the first of the three"
    assert ask(tmp_path, "finalize") == final, "once more is only told"
    assert "closed" in ask(tmp_path, "next")["stop"]
    assert "closed" in ask(tmp_path, "claim", "--proposal", "-", given={}, code=6)["error"]["what"]


def test_a_state_of_the_library_is_told_too(tmp_path):
    state = load_agent_state(tmp_path / "runs")
    save_agent_state(add_run(state, RunInfo("run_0000", 0.5, SECRET)))
    answer = ask(tmp_path, "status")
    assert answer["best"]["run_id"] == "run_0000" and "test_mse" not in answer["best"]
    assert "has no base configuration" in ask(tmp_path, "next", code=2)["error"]["what"]
    lay_table(tmp_path)
    ask(tmp_path, "init", "--config", "base.py", "--max-runs", 5)
    assert ask(tmp_path, "next")["left"]["runs"] == 4
    assert "its configuration is unknown" in ask(tmp_path, "finalize", code=2)["error"]["what"]
    assert ask(tmp_path, "status")["stop"] is None, "and the study is open"


def test_nothing_to_confirm(study):
    assert "no run is complete" in ask(study, "finalize", code=2)["error"]["what"]
    assert ask(study, "status")["stop"] is None


def test_a_final_run_that_fails_leaves_the_study_closed(study):
    made = claimed(study)
    ask(study, "report", "--run-id", made.run_id, "--metrics", "-", given={"val_mse": 0.5})
    error = ask(study, "finalize", "--timeout", 0.1, code=6)["error"]
    assert error["where"] == "final_0" and "repeat finalize" in error["hint"]
    assert ask(study, "next")["stop"] == f"the study is closed: finalize confirms {made.run_id}"
    assert "final" not in ask(study, "status")


def test_the_reason_of_a_failure_is_one_line():
    said = runner._reason(3, "a warning\nerror: t.csv:3: not a number\n  hint: look there\n")
    assert said == "t.csv:3: not a number; hint: look there (exit code 3)"
    assert runner._reason(-9, "") == "signal 9"
    assert runner._reason(1, "Traceback\nKeyError: 'x'\n") == "KeyError: 'x' (exit code 1)"
