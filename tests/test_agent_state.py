"""nas_agent/state.py, journal.py, study.py: nobody's run is dropped, nothing is half written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

import nas_agent
from errors import DataError, UsageError
from nas_agent import (
    RunInfo,
    add_run,
    claim_run,
    get_best_run,
    get_recent_runs,
    load_agent_state,
    save_agent_state,
)

from .conftest import ROOT


def script(code: str, *words: object, **more) -> subprocess.Popen:
    """A Python process of its own that runs `code`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", textwrap.dedent(code), *map(str, words)]
    return subprocess.Popen(argv, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def finish(process: subprocess.Popen, code: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    return out, err


def shown(folder):
    return json.loads((folder / "agent_state.json").read_text())


def events(folder):
    return [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]


ADD = """
    import sys
    from nas_agent import RunInfo, add_run, load_agent_state, save_agent_state
    folder, who = sys.argv[1], sys.argv[2]
    for k in range(int(sys.argv[3])):
        state = load_agent_state(folder)
        add_run(state, RunInfo(f"p{who}_{k}", val_mse=1 + k / 100))
        save_agent_state(state, folder)
        print(f"p{who}_{k}", flush=True)
"""


def test_a_state_in_the_working_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = {"run_id": "run_0000", "val_mse": 0.5, "test_mse": 0.6, "history_summary": "", "accepted": True}
    old = {"max_runs": None, "best_run_id": "run_0000", "runs": [run]}
    (tmp_path / "agent_state.json").write_text(json.dumps(old))
    state = load_agent_state()
    assert state.max_runs is None and [one.run_id for one in state.runs] == ["run_0000"]
    assert claim_run() == "run_0001" and not (tmp_path / "runs").exists()
    add_run(state, RunInfo("run_0001", 0.4, 0.5))
    save_agent_state(state)
    assert [one["run_id"] for one in shown(tmp_path)["runs"]] == ["run_0000", "run_0001"]


def test_a_study_without_a_budget_stays_without(tmp_path, caplog):
    """One that an older version began has no event with its budget, and its file says null."""
    state = load_agent_state(tmp_path)
    add_run(state, RunInfo("run_0000", 0.5))
    save_agent_state(state)
    journal = tmp_path / "runs.jsonl"
    kept = [line for line in journal.read_text().splitlines() if '"event": "study"' not in line]
    assert len(kept) == 1
    journal.write_text(kept[0] + "\n")
    (tmp_path / "agent_state.json").write_text(json.dumps(shown(tmp_path) | {"max_runs": None}, indent=2) + "\n")
    assert load_agent_state(tmp_path).max_runs is None and not caplog.records


def test_the_five_lines(tmp_path):
    """The script that the issue has in mind, with its own words."""
    path = tmp_path / "agent_state.json"
    state = load_agent_state(path)
    assert state == {"max_runs": 100, "best_run_id": None, "runs": []}
    add_run(state, RunInfo("run_0000", 0.5, 0.6, "3 epochs.", True))
    save_agent_state(state, path)
    run = {"run_id": "run_0000", "val_mse": 0.5, "test_mse": 0.6, "history_summary": "3 epochs.", "accepted": True}
    assert shown(tmp_path) == {"max_runs": 100, "best_run_id": "run_0000", "runs": [run]}
    again = load_agent_state(tmp_path)
    assert again == state and again.runs[0].val_mse == again["runs"][0]["val_mse"] == 0.5
    assert get_best_run(again).run_id == again.best_run_id == "run_0000"
    assert json.loads(json.dumps(again)) == shown(tmp_path)


def test_exactly_the_public_names():
    names = """load_agent_state save_agent_state add_run get_best_run get_recent_runs RunInfo save_metrics load_metrics
        save_history load_history build_history_summary get_run_dir snapshot_config claim_run
        build_model load_run""".split()
    assert sorted(nas_agent.__all__) == sorted(names) and all(hasattr(nas_agent, name) for name in names)


def test_the_library_is_there_at_once():
    code = "import nas_agent, sys; print(sorted({'torch', 'pandas', 'mcp', 'filelock'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_validation_alone_decides(tmp_path):
    state = load_agent_state(tmp_path)
    for k, (val, test) in enumerate([(0.5, 0.1), (0.6, 0.05), (0.4, 0.9), (None, None), (0.4, 0.0), (float("nan"), 0)]):
        add_run(state, RunInfo(k, val, test))
    save_agent_state(state, tmp_path)
    assert [run["accepted"] for run in shown(tmp_path)["runs"]] == [True, False, True, False, False, False]
    assert shown(tmp_path)["best_run_id"] == "run_0002"
    assert shown(tmp_path)["runs"][3]["val_mse"] is shown(tmp_path)["runs"][5]["val_mse"] is None
    assert [run.run_id for run in get_recent_runs(state)] == [f"run_000{k}" for k in range(1, 6)]
    assert [run.run_id for run in get_recent_runs(state, k=2)] == ["run_0004", "run_0005"]
    assert get_recent_runs(state, 0) == [] and get_best_run(load_agent_state(tmp_path / "other")) is None


def test_what_a_script_says_is_kept(tmp_path):
    state = load_agent_state(tmp_path)
    state.max_runs = 7
    add_run(state, RunInfo("run_0000", 0.5, None, "", accepted=False))
    save_agent_state(state)  # where it came from
    state.runs[0]["history_summary"] = "seen by a person"
    save_agent_state(state)
    assert shown(tmp_path)["max_runs"] == 7 and shown(tmp_path)["runs"][0]["accepted"] is False
    assert shown(tmp_path)["runs"][0]["history_summary"] == "seen by a person"
    before = (tmp_path / "runs.jsonl").read_bytes()
    save_agent_state(load_agent_state(tmp_path), tmp_path)
    assert (tmp_path / "runs.jsonl").read_bytes() == before, "nothing changed, nothing written"


def test_one_id_twice_drops_nobody(tmp_path, caplog):
    first, second = load_agent_state(tmp_path), load_agent_state(tmp_path)
    add_run(first, RunInfo("run_0000", 0.5))
    add_run(second, RunInfo("run_0000", 0.3))
    save_agent_state(first)
    save_agent_state(second)
    stored = {run["run_id"]: run["val_mse"] for run in shown(tmp_path)["runs"]}
    assert stored == {"run_0000": 0.5, "run_0001": 0.3}
    assert "there is a run run_0000 already; this one is now run_0001" in caplog.text
    assert [run.run_id for run in second.runs] == ["run_0000", "run_0001"], "a saved state holds what others saved"
    add_run(second, RunInfo("run_0000", 0.2))
    assert second.runs[-1].run_id == "run_0002"


def test_accepted_is_settled_with_the_runs_of_others(tmp_path):
    first, second = load_agent_state(tmp_path), load_agent_state(tmp_path)
    add_run(first, RunInfo("a", 0.3))
    add_run(second, RunInfo("b", 0.4))
    assert second.runs[0].accepted is True, "better than all it knows of"
    save_agent_state(first)
    save_agent_state(second)
    assert {run["run_id"]: run["accepted"] for run in shown(tmp_path)["runs"]} == {"a": True, "b": False}


def test_a_plain_dict_is_a_state_too(tmp_path):
    state = {"max_runs": 3, "best_run_id": None, "runs": []}
    add_run(state, {"run_id": "run_0000", "val_mse": 0.5, "test_mse": None, "history_summary": "", "accepted": True})
    save_agent_state(state, tmp_path / "agent_state.json")
    save_agent_state(state, tmp_path / "agent_state.json")
    assert shown(tmp_path) == state and len(state["runs"]) == 1 and state["best_run_id"] == "run_0000"


def test_a_state_from_before_there_was_a_journal(tmp_path):
    run = {"run_id": "run_0000", "val_mse": 0.5, "test_mse": 0.6, "history_summary": "", "accepted": True}
    old = {"max_runs": 9, "best_run_id": "run_0000", "runs": [run]}
    (tmp_path / "agent_state.json").write_text(json.dumps(old))
    state = load_agent_state(tmp_path / "agent_state.json")
    add_run(state, RunInfo("run_0001", 0.7))
    save_agent_state(state)
    assert shown(tmp_path)["max_runs"] == 9
    assert [run["run_id"] for run in shown(tmp_path)["runs"]] == ["run_0000", "run_0001"]


def test_the_view_is_made_again_from_the_journal(tmp_path):
    state = load_agent_state(tmp_path)
    save_agent_state(add_run(state, RunInfo("run_0000", 0.5)))
    whole = (tmp_path / "agent_state.json").read_bytes()
    for damage in (b"", b'{"max_runs": 1', whole.replace(b"0.5", b"0.1")):
        (tmp_path / "agent_state.json").write_bytes(damage)
        assert load_agent_state(tmp_path).runs[0].val_mse == 0.5
        assert (tmp_path / "agent_state.json").read_bytes() == whole


# --- many processes --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda state: state["runs"].append({"run_id": "run_0009", "val_mse": 0.1}), "left out: run_0009"),
        (lambda state: state["runs"].pop(0), "put back: run_0000"),
        (lambda state: state["runs"][1].update(val_mse=0.01), "as it was: run_0001"),
        (lambda state: state.update(best_run_id="run_0001", max_runs=9), "as it was: max_runs, best_run_id"),
        (lambda state: state.update(note="hello"), "other keys"),
        (lambda state: state.update(runs=3), "it is no state any more"),
    ],
)
def test_an_edit_by_hand_is_told_once_and_does_not_count(tmp_path, caplog, edit, said):
    state = load_agent_state(tmp_path)
    save_agent_state(add_run(add_run(state, RunInfo(0, val_mse=0.5)), RunInfo(1, val_mse=0.7)), tmp_path)
    file = tmp_path / "agent_state.json"
    changed = json.loads(file.read_text())
    edit(changed)
    file.write_text(json.dumps(changed))
    again = load_agent_state(tmp_path)
    assert (
        "agent_state.json was changed by hand, or damaged; runs.jsonl is what counts" in caplog.text
        and said in caplog.text
    )
    assert [(run.run_id, run.val_mse) for run in again.runs] == [("run_0000", 0.5), ("run_0001", 0.7)]
    caplog.clear()
    assert json.loads(file.read_text()) == load_agent_state(tmp_path) and not caplog.text


def test_a_view_that_is_behind_deleted_or_laid_out_otherwise_is_no_edit(tmp_path, caplog):
    file = tmp_path / "agent_state.json"
    state = add_run(load_agent_state(tmp_path), RunInfo(0, val_mse=0.5))
    save_agent_state(state, tmp_path)
    before = file.read_bytes()
    save_agent_state(add_run(state, RunInfo(1, val_mse=0.4)), tmp_path)
    for content in (before, json.dumps(json.loads(before)).encode(), None):  # None: deleted
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        assert len(load_agent_state(tmp_path).runs) == 2
    assert not caplog.text


def test_eight_processes_and_a_reader(tmp_path):
    """8 x 25 runs: 200 of 200, and no reader sees a file that is not whole."""
    other = script(
        """
        import json, sys, time
        from pathlib import Path
        view, reads, before = Path(sys.argv[1]) / "agent_state.json", 0, 0
        while True:
            if view.exists():
                state = json.loads(view.read_text())
                reads, now = reads + 1, len(state["runs"])
                assert now >= before, "runs only ever come"
                before = now
                if now == 200:
                    break
            time.sleep(0.001)
        print(reads)
        """,
        tmp_path,
    )
    processes = [script(ADD, tmp_path, who, 25) for who in range(8)]
    for process in processes:
        finish(process)
    reads = int(finish(other)[0])
    expected = {f"p{who}_{k}" for who in range(8) for k in range(25)}
    runs = shown(tmp_path)["runs"]
    assert len(runs) == 200 and {run["run_id"] for run in runs} == expected
    assert reads > 20
    assert sum(event["event"] == "ended" for event in events(tmp_path)) == 200
    assert sorted(p.name for p in tmp_path.glob("[!.]*")) == ["agent_state.json", "runs.jsonl"]


@pytest.mark.fault(
    "a writer of an agent's state that is killed",
    "what was reported is there; a line that was cut is set aside and told",
)
@pytest.mark.slow
def test_killed_processes_lose_nothing_that_was_reported(tmp_path):
    """Four writers are killed at any moment, twice; what they had reported is there, and the file is whole."""
    reported = set()
    for turn in range(2):
        processes = [script(ADD, tmp_path, f"{turn}{who}", 1000) for who in range(4)]
        told = [process.stdout.readline().strip() for process in processes]  # each is in the middle of its work
        told += [processes[0].stdout.readline().strip() for _ in range(2)]
        for process in processes:
            process.kill()
        for process in processes:
            told += process.communicate()[0].split()
        reported |= set(told)
        present = {run.run_id for run in load_agent_state(tmp_path).runs}
        assert reported <= present, reported - present
    assert len(reported) >= 12
    assert {run["run_id"] for run in shown(tmp_path)["runs"]} == present
    save_agent_state(add_run(load_agent_state(tmp_path), RunInfo("after", 0.1)))
    assert shown(tmp_path)["best_run_id"] == "after" and not list(tmp_path.glob(".*part"))


# --- damage ----------------------------------------------------------------------------------------------------------


def two_runs(folder):
    state = load_agent_state(folder)
    for k in range(2):
        save_agent_state(add_run(state, RunInfo(k, 0.5 - k / 10)))


@pytest.mark.fault("a writer of an agent's state that is killed")
def test_a_torn_last_line_is_repaired_and_reported(tmp_path, caplog):
    two_runs(tmp_path)
    whole = (tmp_path / "runs.jsonl").read_bytes()
    (tmp_path / "runs.jsonl").write_bytes(whole + b'{"event": "ended", "run": {"run_i')
    assert [run.run_id for run in load_agent_state(tmp_path).runs] == ["run_0000", "run_0001"]
    assert "ended in a torn line of 33 bytes; moved to runs.jsonl.torn" in caplog.text
    assert (tmp_path / "runs.jsonl.torn").read_bytes() == b'{"event": "ended", "run": {"run_i\n'
    assert (tmp_path / "runs.jsonl").read_bytes().startswith(whole)
    assert events(tmp_path)[-1]["event"] == "repaired" and events(tmp_path)[-1]["bytes"] == 33
    save_agent_state(add_run(load_agent_state(tmp_path), RunInfo("run_0002", 0.1)))
    assert len(shown(tmp_path)["runs"]) == 3


def test_a_tear_at_any_byte(tmp_path):
    """Wherever the last line ends, the runs before it are there, and the last where it is whole."""
    two_runs(tmp_path)
    whole = (tmp_path / "runs.jsonl").read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for end in range(start, len(whole) + 1, 7):
        (tmp_path / "runs.jsonl").write_bytes(whole[:end])
        assert len(load_agent_state(tmp_path).runs) == 1 + (end >= len(whole) - 1)
    (tmp_path / "runs.jsonl").write_bytes(whole[:-1])
    assert len(load_agent_state(tmp_path).runs) == 2 and (tmp_path / "runs.jsonl").read_bytes() == whole


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    two_runs(tmp_path)
    lines = (tmp_path / "runs.jsonl").read_text().splitlines()
    for bad in ("{", "[]", '{"event": 3}', ""):
        (tmp_path / "runs.jsonl").write_text("\n".join([bad, *lines]) + "\n")
        with pytest.raises(DataError, match="a damaged line") as caught:
            load_agent_state(tmp_path)
        assert caught.value.where.endswith("runs.jsonl:1") and caught.value.exit_code == 3
    (tmp_path / "runs.jsonl").write_text('{"event": "from the future", "time": 1}\n')
    with pytest.raises(DataError, match="unknown event 'from the future'"):
        load_agent_state(tmp_path)


@pytest.mark.fault("a full disk")
@pytest.mark.parametrize("left", [0, 10, 100, 200])
def test_a_full_disk(tmp_path, left):
    """No file may grow beyond what is there now (and a little): ResourceError, and all is as it was."""
    two_runs(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    most = len(before["runs.jsonl"]) + left
    code = """
        import resource, sys
        from errors import ResourceError
        from nas_agent import RunInfo, add_run, load_agent_state, save_agent_state
        state = load_agent_state(sys.argv[1])
        add_run(state, RunInfo("run_0002", 0.1, 0.1, "x" * 2000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
        try:
            save_agent_state(state)
        except ResourceError as error:
            print(error)
            sys.exit(error.exit_code)
        """
    out, _ = finish(script(code, tmp_path, most), code=6)
    assert "the disk is full" in out and "nothing half written" in out
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert len(load_agent_state(tmp_path).runs) == 2


def test_a_disk_that_fills_while_the_journal_grows(tmp_path):
    """The view still fits, the line does not: neither stays."""
    state = load_agent_state(tmp_path)
    for k in range(40):
        add_run(state, RunInfo(k, 0.5))
        state.runs[-1]["accepted"] = False
        save_agent_state(state)
        state.runs[-1]["history_summary"] = "y" * 50
        save_agent_state(state)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert len(before["runs.jsonl"]) > len(before["agent_state.json"]) + 500
    code = """
        import resource, sys
        from nas_agent import RunInfo, add_run, load_agent_state, save_agent_state
        state = load_agent_state(sys.argv[1])
        add_run(state, RunInfo("run_0040", 0.1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
        save_agent_state(state)
        """
    _, err = finish(script(code, tmp_path, len(before["runs.jsonl"]) + 50), code=1)
    assert "ResourceError: " in err and "runs.jsonl" not in [p.name for p in tmp_path.iterdir() if "part" in p.name]
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        load_agent_state(tmp_path / "file" / "agent_state.json")
    with pytest.raises(UsageError, match="state first"):
        save_agent_state(tmp_path, load_agent_state(tmp_path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not a state"),
        ('{"runs": 3}', "not a state"),
        ('{"runs": [{}]}', "a run is a mapping with a run_id"),
        ('{"runs": [{"run_id": "a", "mse": 1}]}', "a run has no mse"),
        ('{"run": []}', "a state has no run"),
    ],
)
def test_a_state_that_is_none(tmp_path, content, said):
    (tmp_path / "agent_state.json").write_text(content)
    with pytest.raises(DataError, match=said):
        load_agent_state(tmp_path)
    assert (tmp_path / "agent_state.json").read_text() == content


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"run_id": "../x"}, "not a run id"),
        ({"run_id": "a", "val_mse": "low"}, "'low' is not a number"),
    ],
)
def test_a_run_that_is_none(words, said):
    with pytest.raises(UsageError, match=said):
        RunInfo(**words)


def test_a_bound_that_is_none(tmp_path):
    state = load_agent_state(tmp_path)
    state["max_runs"] = 0
    with pytest.raises(UsageError, match="not a whole number of at least 1"):
        save_agent_state(state)
    assert claim_run(tmp_path) == "run_0000"
