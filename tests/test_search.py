"""Searches as real processes, on SQLite and on a real PostgreSQL; what is lost is run again, and test stays unseen."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import checkpoint
import cli
import pipeline
import search
from errors import DataError, ResourceError, UsageError
from hardware import pick_device
from studies import searcher, verdict
from studies.spaces import space_of

from . import forkserver
from .conftest import ROOT
from .pooler import pooled
from .runs import good, strict
from .work import broken, greedy, killed, named

optuna = pytest.importorskip("optuna", reason="optuna is not installed")

from studies import queue as studies  # noqa: E402
from studies import stores, trials  # noqa: E402

SPACE = "only: true\nlr: {low: 1.0e-4, high: 1.0e-2, log: true}\nmodel_args.kernel: [3, 9, 25]\n"
RUN = "--task forecast --csv load.csv --time-col t --context-len 24 --horizon 6 --backbone dlinear".split()
DONE, PRUNED, FAIL = (optuna.trial.TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL"))


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with three weeks of hourly load and a space."""
    random = np.random.default_rng(3)
    hours = np.arange(500)
    load = 10 + 3 * np.sin(2 * np.pi * hours / 24) + random.normal(0, 0.4, len(hours))
    times = pd.date_range("2024-03-01", periods=len(hours), freq="h")
    pd.DataFrame({"t": times, "load": load.round(4)}).to_csv(tmp_path / "load.csv", index=False)
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path


def begin(place: Path, *flags: object, run: list[str], **more) -> subprocess.Popen:
    """`python search.py FLAGS -- RUN` as its own process, in `place`."""
    words = [sys.executable, str(ROOT / "search.py"), "--space", "space.yaml", *map(str, flags), "--", *run]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return forkserver.Popen(
        words, nested=True, cwd=place, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more
    )


def lines_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "study.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def until(condition, seconds: float = 60):
    """What `condition()` gives once it gives something; an error after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come about in time")


# --- several processes, one study ------------------------------------------------------------------------------------


@pytest.mark.fault(
    "a search's worker that is killed",
    "its trial is repeated with the same values, a bounded number of times; no trial is lost",
)
@pytest.mark.slow
def test_two_processes_share_twenty_trials_and_one_that_is_killed_loses_none(place, postgres):
    """Read from the tables of the database by SQL, not by what the search says of itself."""
    import psycopg

    flags = ["--trials", 20, "--study", "shared", "--storage", postgres, "--grace", 4]
    run = [*RUN, "--epochs", "3"]
    with psycopg.connect(postgres, autocommit=True) as database:

        def ask(query: str):
            return database.execute(
                query.replace("OURS", "study_id = (SELECT study_id FROM studies WHERE study_name = 'shared')")
            ).fetchall()

        named = postgres + ("&" if "?" in postgres else "?") + "application_name=first"
        first = begin(place, *flags, "--storage", named, "--out", "a", run=run)
        second = begin(place, *flags, "--out", "b", "--jobs", 2, run=run)

        def taken() -> list[int]:
            """The trial that the first process is at and has drawn values for, once a few are finished."""
            if not database.execute("SELECT to_regclass('trial_heartbeats')").fetchone()[0]:
                return []
            mine = f"""SELECT t.number FROM trials t JOIN trial_user_attributes a USING (trial_id)
                WHERE t.OURS AND t.state = 'RUNNING' AND a.key = 'worker' AND a.value_json LIKE '%:{first.pid}"'
                AND EXISTS (SELECT 1 FROM trial_params p WHERE p.trial_id = t.trial_id AND p.param_name = 'lr')"""
            finished = ask("SELECT count(*) FROM trials WHERE OURS AND state = 'COMPLETE'")[0][0]
            return [row[0] for row in ask(mine)] if finished >= 3 else []

        until(taken)
        assert ask("SELECT 1 FROM pg_stat_activity WHERE application_name = 'first'")
        first.kill()
        first.wait()
        # the server ends what was sent before the kill, so a trial may still be finished by it
        until(lambda: not ask("SELECT 1 FROM pg_stat_activity WHERE application_name = 'first'"))
        (killed,) = taken() or (None,)
        out, err = second.communicate(timeout=240)
        assert second.returncode == 0, err

        rows = ask("SELECT number, state, trial_id FROM trials WHERE OURS ORDER BY number")
        history = {
            number: json.loads(value)
            for number, value in ask(
                """SELECT t.number, a.value_json FROM trials t JOIN trial_system_attributes a USING (trial_id)
               WHERE t.OURS AND a.key = 'retry_history'"""
            )
        }
        values = ask("""SELECT t.number, p.param_value FROM trials t JOIN trial_params p USING (trial_id)
                        WHERE t.OURS AND p.param_name = 'lr'""")
    assert [number for number, *_ in rows] == list(range(len(rows)))
    originals = [number for number, *_ in rows if number not in history]
    assert len(originals) == 20
    ended = {number for number, state, _ in rows if state in ("COMPLETE", "PRUNED")}
    lost = {number for number, state, _ in rows if state == "FAIL"}
    assert ended | lost == set(range(len(rows)))
    repeats = {number: [again for again, before in history.items() if before[0] == number] for number in originals}
    for number in originals:  # each is finished once: by itself, or by the last of its repeats
        assert len({number, *repeats[number]} & ended) == 1
    rates = dict(values)
    if killed is not None:
        assert killed in lost and len(repeats[killed]) >= 1
        assert rates[killed] == rates[repeats[killed][0]]  # the same configuration
    drawn = [next(rates[which] for which in (number, *repeats[number]) if which in rates) for number in originals]
    assert len(set(drawn)) == 20  # nobody drew what another had drawn
    assert (
        "20" in out
        and strict(place / "b" / "summary.json")["trials"]["done"]
        + strict(place / "b" / "summary.json")["trials"].get("pruned", 0)
        == 20
    )


@pytest.mark.fault(
    "SIGTERM and SIGINT in a search",
    "exit 143 and 130; the same command goes on with the trials that are left",
)
@pytest.mark.slow
def test_a_signal_ends_a_search_and_the_same_command_goes_on(place):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (None, 0)):
        process = begin(place, "--trials", 3, "--out", "s", run=[*RUN, "--epochs", "1", "--reference", "off"])
        try:
            if number:
                while "trial " not in (line := process.stderr.readline()):
                    assert line, "it ended before its first trial did"
                process.send_signal(number)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == code and "Traceback" not in err, err
        assert number is None or (err.count("error: ") == 1 and "continues" in err), err
    assert len([line for line in lines_of(place / "s") if line["state"] == "done"]) == 3


TAKE_ALL = """
import sys
from studies import queue as studies, stores
store = stores.store_at(sys.argv[1])
study = studies.open_study(store, "race", {}, direction="min", pruner="none", epochs=1, grace=60)
queue = studies.Queue(study, store, trials=20, retries=0, seed=0)
got = 0
while (trial := queue.take()) is not None:
    got += 1
    queue.done(trial, float(got), seconds=0.0)
print(got)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_four_processes_take_no_more_trials_than_there_are(kind, request, tmp_path):
    address = request.getfixturevalue("postgres") if kind == "postgres" else str(tmp_path / "s.db")
    words = [sys.executable, "-c", TAKE_ALL, address]
    four = [forkserver.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(4)]
    assert sum(int(process.communicate(timeout=300)[0]) for process in four) == 20


# --- what becomes of trials ------------------------------------------------------------------------------------------


@pytest.fixture
def queue(tmp_path) -> studies.Queue:
    store = stores.store_at(str(tmp_path / "q.db"))
    study = studies.open_study(store, "q", {}, direction="min", pruner="none", epochs=3, grace=2)
    return studies.Queue(study, store, trials=3, retries=1, seed=7)


def chosen(queue: studies.Queue, trial) -> dict:
    from studies.spaces import Dimension

    return queue.suggest(trial, {"lr": Dimension("lr", (), 1e-4, 1e-1, True), "k": Dimension("k", (1, 2, 3))})


@pytest.mark.fault("a search's worker that is killed")
def test_a_crash_is_repeated_with_its_values_a_bounded_number_of_times(queue):
    first = queue.take()
    values = chosen(queue, first)
    queue.failed(first, again=True, error="crash")
    second = queue.take()
    assert second.number == 1 and chosen(queue, second) == values
    queue.failed(second, again=True, error="crash")  # --retries 1: that was it
    third = queue.take()
    assert chosen(queue, third) != values
    assert [line["state"] for line in queue.table()] == ["retried", "failed", "running"]
    assert queue.table()[1]["retry_of"] == 0


def test_what_its_own_values_broke_is_not_repeated(queue):
    queue.failed(queue.take(), again=False, error="out of memory")
    for _ in range(2):
        queue.done(queue.take(), 1.0, seconds=1.0)
    assert queue.take() is None and queue.finished()
    assert [line["state"] for line in queue.table()] == ["failed", "done", "done"]


def test_interruptions_do_not_count_as_failures(queue):
    for _ in range(4):
        queue.failed(queue.take(), again=True, interrupted=True, error="interrupted")
    assert not queue.finished()
    assert queue.take().number == 4


def test_refused_combinations_take_no_trial_away_but_not_without_end(queue):
    for _ in range(3):
        queue.pruned(queue.take(), invalid=True, error="d_model 7 does not split", code=2)
    for _ in range(3):
        queue.done(queue.take(), 1.0, seconds=1.0)
    assert queue.take() is None
    assert [line["state"] for line in queue.table()] == ["invalid"] * 3 + ["done"] * 3


@pytest.mark.slow
def test_a_trial_whose_process_fell_silent_is_taken_by_another(queue):
    lost = queue.take()
    values = chosen(queue, lost)
    time.sleep(3.5)  # the grace is 2 s, and SQLite's clock has whole seconds
    again = queue.take()
    assert again.number == 1 and chosen(queue, again) == values
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):  # the silent one comes back: it is told so
        queue.done(lost, 0.5, seconds=1.0)


def test_a_process_killed_while_it_takes_a_trial_leaves_none_behind(queue):
    """Between Optuna's trial and its first sign of life: no heartbeat would ever miss it."""
    orphan = queue.study.ask()
    taken = queue.take()
    assert (orphan.number, taken.number) == (0, 1)
    assert queue.table()[0]["state"] == "retried"


def test_two_processes_with_one_seed_draw_other_values_and_one_process_the_same_again(queue, tmp_path):
    mine = [chosen(queue, queue.take()) for _ in range(3)]
    assert len({values["lr"] for values in mine}) == 3
    store = stores.store_at(str(tmp_path / "other.db"))
    study = studies.open_study(store, "other", {}, direction="min", pruner="none", epochs=3, grace=60)
    other = studies.Queue(study, store, trials=3, retries=1, seed=7)
    assert [chosen(other, other.take()) for _ in range(3)] == mine


@pytest.mark.slow
def test_what_makes_the_values_is_what_matters(queue):
    """The values follow lr alone; k has no say."""
    queue.trials = 12
    for _ in range(12):
        trial = queue.take()
        queue.done(trial, math.log(chosen(queue, trial)["lr"]), seconds=1.0)
    found = queue.importances()
    assert list(found) == ["lr", "k"] and found["lr"] > 0.6 and sum(found.values()) == pytest.approx(1)


def test_the_best_is_the_first_of_the_best_values(queue):
    for value in (2.0, 1.0, 1.0):
        queue.done(queue.take(), value, seconds=1.0)
    assert queue.best().number == 1
    assert queue.leftover() == [0, 2]


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "hyperband", "none"])
def test_what_is_behind_the_others_is_stopped(pruner, tmp_path):
    store = stores.store_at(str(tmp_path / "p.db"))
    study = studies.open_study(store, "p", {}, direction="max", pruner=pruner, epochs=9, grace=60)
    queue = studies.Queue(study, store, trials=40, retries=0, seed=0)
    stopped = []
    for number in range(12):
        trial = queue.take()
        score = 1.0 if number < 8 else 0.1  # the last four are worse from the first epoch on
        ends = [epoch for epoch in range(1, 10) if queue.report(trial, epoch, score)]
        stopped += [number] * bool(ends)
        if ends:
            queue.pruned(trial, seconds=1.0)
        else:
            queue.done(trial, score, seconds=1.0)
    assert set(stopped) <= {8, 9, 10, 11} and bool(stopped) == (pruner != "none")


def test_a_trial_ends_as_optuna_would_end_it(queue):
    """Of a study in memory that `Study.tell` ends: states, values, and the values that the sampler draws next."""
    queue.trials, twin = 20, optuna.create_study(direction="minimize")
    for number in range(16):
        trial, other = queue.take(), twin.ask()
        source = int.from_bytes(hashlib.sha256(f"7 {number}".encode()).digest()[:4], "big")
        twin.sampler = optuna.samplers.TPESampler(n_startup_trials=studies.STARTUP, constant_liar=True, seed=source)
        drawn = chosen(queue, trial)
        assert drawn == {"lr": other.suggest_float("lr", 1e-4, 1e-1, log=True)} | {
            "k": other.suggest_categorical("k", (1, 2, 3))
        }
        value = math.log(drawn["lr"]) + drawn["k"]
        if number % 5 == 3:
            for epoch in (1, 2):
                queue.report(trial, epoch, value / epoch)
                other.report(value / epoch, epoch)
            queue.pruned(trial, seconds=1.0)
            twin.tell(other, state=PRUNED)
        else:
            queue.done(trial, value, seconds=1.0)
            twin.tell(other, value)
    queue.failed(queue.take(), again=False, error="out of memory")
    twin.tell(twin.ask(), state=FAIL)
    ours, theirs = ([(t.state, t.value, t.params) for t in study.get_trials()] for study in (queue.study, twin))
    assert ours == theirs


def test_a_study_is_about_one_thing(tmp_path):
    store = stores.store_at(str(tmp_path / "s.db"))
    about = {"space": {"lr": [1, 2]}, "settings": {"epochs": 3}}
    more = {"direction": "min", "pruner": "hyperband", "epochs": 9, "grace": 60}
    studies.open_study(store, "s", about, **more)
    studies.open_study(store, "s", about, **more)
    with pytest.raises(Exception, match="begun with other settings: epochs"):
        studies.open_study(store, "s", about | {"settings": {"epochs": 4}}, **more)


# --- workers ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_worker_that_fails_says_how():
    workers = trials.Workers([])
    with pytest.raises(Exception, match="out of memory") as caught:
        workers.call(greedy)
    assert caught.value.exit_code == ResourceError.exit_code
    with pytest.raises(Exception, match=r"signal 9.*memory"):
        workers.call(killed)
    worker = workers.start(broken)
    assert worker.receive(60) == ("epoch", {"epoch": 1})
    kind, failure = worker.receive(60)
    worker.end()
    assert kind == "error" and failure.crashed and "KeyError: 'a bug'" in failure.text and "broken" in failure.trace


def one_trial(words, on_epoch):
    """The trial of `words`, and the process that it ran in, which does more work however slow the machine is."""
    trials.SHARED = math.inf
    return trials.train(words, None, on_epoch) | {"pid": os.getpid()}


@pytest.mark.slow
def test_a_worker_does_more_work_until_it_fails_grows_or_dies():
    workers = trials.Workers([])
    first = workers.call(named, 0)["pid"]
    assert workers.call(named, 0)["pid"] == first
    with pytest.raises(Exception, match="a bug"):
        workers.call(broken)
    second = workers.call(named, 0)["pid"]
    assert second != first and workers.call(named, 2 * trials.GROWTH)["pid"] == second  # it has held too much now
    third = workers.call(named, 0)["pid"]
    assert third != second
    workers.free[0].process.kill()  # as the kernel may, while it has nothing to do
    workers.free[0].process.join()
    fourth = workers.call(named, 0)["pid"]
    assert fourth not in (first, second, third)
    one, two = workers.start(named, 0), workers.start(named, 0)  # at one time, each in its own
    assert {one.receive(60)[1]["pid"], two.receive(60)[1]["pid"]} > {fourth}
    for worker in (one, two):
        assert worker.receive(60)[0] == "done"
        workers.release(worker)
    kept = [worker.process for worker in workers.free]
    workers.close()
    assert len(kept) == 2 and not any(process.is_alive() for process in kept)
    single = trials.Workers([], alone=True)
    assert single.call(named, 0)["pid"] != single.call(named, 0)["pid"]


@pytest.mark.slow
def test_a_trial_is_the_same_in_a_process_of_its_own_and_after_others(place):
    words = ["--mode", "train", *RUN, "--epochs", "1", "--eval-split", "val", "--no-plots", "--quiet", "--overwrite"]
    words[words.index("load.csv")] = str(place / "load.csv")
    shared, single = trials.Workers([]), trials.Workers([], alone=True)
    other = shared.call(one_trial, [*words, "--lr", "0.3", "--seed", "9", "--out", str(place / "other")])
    (after, own) = (each.call(one_trial, [*words, "--out", str(place / "it")]) for each in (shared, single))
    assert after.pop("pid") == other["pid"] != own.pop("pid")
    assert after == own


def test_a_trial_below_the_bar_has_its_figures_and_is_not_judged(place, monkeypatch):
    """At the bar it is judged: of equal trials the first is the best, and the bar may be a later one's."""
    monkeypatch.chdir(place)
    words = ["--mode", "train", *RUN, "--epochs", "2", "--eval-split", "val", "--no-plots", "--reference", "off"]

    def at(bar: trials.Bar | None, folder: str) -> tuple[dict, list[Path]]:
        return trials.train([*words, "--out", folder], bar, lambda line: None), list((place / folder).glob("train_*"))

    whole, kept = at(None, "a")
    assert len(kept) == 1 and strict(kept[0] / "summary.json")["best_val"] == whole["value"]
    for value, folder in ((whole["value"], "b"), (whole["value"] * 1.01, "c")):
        again, kept = at(trials.Bar(value, "min"), folder)
        assert again == whole and len(kept) == 1
    again, kept = at(trials.Bar(whole["value"] * 0.99, "min"), "d")
    assert again == whole and not kept
    assert trials.Bar(0.5, "max").missed(0.4) and not trials.Bar(0.5, "max").missed(0.5)
    assert not any(trials.Bar(0.5, side).missed(value) for side in ("min", "max") for value in (None, math.nan))


@pytest.mark.slow
def test_a_worker_leaves_with_its_search(tmp_path):
    code = (
        "import os, time\nfrom tests.work import gone\nfrom studies.trials import Workers\n"
        "if __name__ == '__main__':\n"
        "    print(Workers([]).start(gone).receive(60)[1]['pid'], flush=True)\n    time.sleep(600)\n"
    )
    (tmp_path / "parent.py").write_text(code)
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, tmp_path / "parent.py"]
    parent = forkserver.Popen(words, nested=True, env=env, stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()

    def ended() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    until(ended, 20)


# --- whole searches --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_search_from_end_to_end(place):
    """Interrupted, gone on with, and its best run used as any other."""
    flags = ["--trials", 5, "--jobs", 2, "--seed", 1, "--out", "out"]
    run = [*RUN, "--epochs", "3"]
    process = begin(place, *flags, run=run)
    until(lambda: " done;" in process.stderr.readline())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command continues" in err
    before = lines_of(place / "out")
    assert {"done"} <= {line["state"] for line in before} <= {"done", "pruned", "interrupted"}

    process = begin(place, *flags, "--json", run=run)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    content = json.loads(out)
    assert content == strict(place / "out" / "summary.json")
    after = lines_of(place / "out")
    finished = [line for line in after if line["state"] in ("done", "pruned")]
    assert len(finished) == 5 and len([line for line in after if not line["retry_of"]]) == 5
    assert [line for line in before if line["state"] == "done"] == [
        line for line in after if line["number"] in {row["number"] for row in before if row["state"] == "done"}
    ]
    best = min((line for line in after if line["state"] == "done"), key=lambda line: float(line["value"]))
    assert content["best"]["trial"] == int(best["number"]) and content["best"]["value"] == float(best["value"])
    assert float(best["lr"]) == content["best"]["params"]["lr"]

    told = strict(place / "out" / "best" / "summary.json")
    assert told["split"] == "test" and told["mse"] == content["best"]["score"]
    assert told["best_val"] == content["best"]["value"]  # the trial's weights, not others
    assert content["best"]["weights"] == "kept"
    assert set(told["references"]) == {"repeat_last", "seasonal_naive", "theta", "ets", "ridge"}
    assert (place / "out" / "study.png").read_bytes().startswith(b"\x89PNG")
    assert not list((place / "out").glob(".best")) and (place / "out" / "best" / "forecast.png").is_file()
    assert yaml.safe_load((place / "out" / "best" / "config.yaml").read_text())["out"] == "out"
    assert checkpoint.read(place / "out" / "best" / "model.pt.best")["config"]["out"] == "out"
    again = good(place, "--mode infer --csv load.csv --time-col t --ckpt out/best --eval-split test")
    assert strict(again / "summary.json")["mse"] == pytest.approx(told["mse"], rel=1e-6)


@pytest.mark.slow
def test_what_cannot_fit_diverges_or_is_refused_is_recorded_and_the_study_goes_on(place):
    (place / "space.yaml").write_text(
        "only: true\nmodel_args.d_model: [16, 18, 4096]\nmodel_args.layers: 16\nlr: [0.001, 1.0e+30]\n"
    )
    run = [*RUN[:-1], "itransformer", "--epochs", "1", "--model-args", "heads=4", "--clip", "0", "--optimizer", "sgd"]
    limit = 3 << 29  # bytes of addresses, twice what a small model takes; 16 layers of width 4096 take three times it

    def bounded() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    process = begin(place, "--trials", 5, "--seed", 1, "--out", "out", run=run, preexec_fn=bounded)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    lines = lines_of(place / "out")
    states = {line["state"] for line in lines}
    assert {"done", "failed", "invalid"} <= states
    for line in lines:
        if line["model_args.d_model"] == "18":
            assert line["state"] == "invalid" and "18 does not split into 4 heads" in line["error"]
        elif line["model_args.d_model"] == "4096":
            assert line["state"] == "failed" and "out of memory" in line["error"]
        elif line["lr"] == "1e+30":
            assert line["state"] == "failed" and "became" in line["error"]
        else:
            assert line["state"] in ("done", "pruned"), line
    assert any("out of memory" in line["error"] for line in lines)


def test_the_test_part_of_the_data_has_no_say(place):
    """Other values there, the same trial."""
    words = ["--mode", "train", *RUN, "--epochs", "1", "--eval-split", "val", "--no-plots", "--quiet"]
    here = Path.cwd()
    os.chdir(place)
    try:
        first = trials.train([*words, "--out", "a"], None, lambda line: None)
        table = pd.read_csv("load.csv")
        table.loc[int(len(table) * 0.8) + 1 :, "load"] = 1000.0
        table.to_csv("load.csv", index=False)
        assert trials.train([*words, "--out", "b"], None, lambda line: None) == first
    finally:
        os.chdir(here)


def test_folds_are_judged_by_their_mean(place, monkeypatch):
    monkeypatch.chdir(place)
    folds = [
        "--split-mode",
        "rolling",
        "--folds",
        "2",
        "--epochs",
        "2",
        "--no-plots",
        "--reference",
        "off",
        "--out",
        "f",
    ]
    config = cli.parse(["--mode", "train", *RUN, *folds])
    content, directory = pipeline.learn(config, [], pick_device("cpu"))
    each = [strict(directory / f"fold_{k}" / "summary.json")["best_val"] for k in range(2)]
    assert each[0] != each[1] and content["best_val"] == pytest.approx(sum(each) / 2)


def test_every_epoch_is_heard_and_what_the_listener_raises_leaves_no_run(place, monkeypatch):
    monkeypatch.chdir(place)
    config = cli.parse(["--mode", "train", *RUN, "--epochs", "3", "--no-plots", "--reference", "off", "--out", "o"])
    heard = []
    _, directory = pipeline.learn(config, [], pick_device("cpu"), lambda line: heard.append(dict(line)))
    with (directory / "history.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [line["epoch"] for line in heard] == [1, 2, 3]
    assert [float(row["val_mse"]) for row in written] == [line["val_mse"] for line in heard]

    class Enough(Exception):
        pass

    def stop(line):
        raise Enough

    config = cli.parse(["--mode", "train", *RUN, "--no-plots", "--reference", "off", "--out", "p"])
    with pytest.raises(Enough):
        pipeline.learn(config, [], pick_device("cpu"), stop)
    assert not list((place / "p").glob("train_*")) and not list((place / "p").glob(".*"))


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--trials 3", 2, "no command line of run.py after --"),
        ("--trials 0 -- RUN", 2, "must be 1 or more"),
        ("--timeout soon -- RUN", 2, "a duration such as 90s"),
        ("--pruner mediun -- RUN", 2, "invalid choice"),
        ("--trails 3 -- RUN", 2, "unrecognized arguments"),
        ("-- RUN --out x", 2, "search.py has --out"),
        ("-- RUN --json", 2, "does not go after --"),
        ("-- RUN --backbon x", 2, "did you mean --backbone?"),
        ("-- --mode infer --task forecast --ckpt x --csv load.csv", 2, "a search trains every trial from scratch"),
        ("--space none.yaml -- RUN", 2, "cannot read the space"),
        ("--storage mysql://u:geheim@h/x -- RUN", 2, "takes a file (SQLite), postgresql://"),
        ("--storage postgresql://u:ge@heim@h/x -- RUN", 2, "takes a file (SQLite), postgresql://"),
        ("--storage load.csv -- RUN", 3, "file is not a database"),
        ("--storage postgresql://u:geheim@127.0.0.1:1/x -- RUN", 3, "no connection"),
        ("--storage postgresql://127.0.0.1:1/x?password=geheim -- RUN", 3, "no connection"),
    ],
)
def test_mistakes_are_told_at_once(place, monkeypatch, capsys, words, code, said):
    monkeypatch.chdir(place)
    given = [part for word in words.split() for part in (RUN if word == "RUN" else [word])]
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert search.main(given) == code
    finally:
        signal.signal(signal.SIGTERM, before)
    out, err = capsys.readouterr()
    assert said in err and "Traceback" not in err and out == ""
    assert "heim" not in err


@pytest.mark.slow
def test_a_study_may_be_kept_behind_a_pooler(postgres):
    """Its server's session outlives a connection; a statement prepared in one would be there in the next."""
    with pooled(postgres) as address:
        for _ in range(2):
            store = stores.store_at(address)
            with stores.answering(store), store.connect() as connection:
                for number in range(8):
                    assert connection.execute("SELECT %s::int + 1", (number,)).fetchone() == (number + 1,)


@pytest.mark.slow
def test_a_wrong_password_is_said_and_not_shown(place, postgres, monkeypatch, capsys):
    """On a server that asks for one."""
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as admin:
        folder = Path(admin.execute("SHOW data_directory").fetchone()[0])
        rules = folder / "pg_hba.conf"
        rules.write_text("local all searcher scram-sha-256\n" + rules.read_text())
        admin.execute("CREATE ROLE searcher LOGIN PASSWORD 'right-one'")
        admin.execute("SELECT pg_reload_conf()")
    address = postgres.replace("postgres:@", "searcher:{}@")

    def refused() -> bool:
        try:
            psycopg.connect(address.format("wrong-one")).close()
        except psycopg.OperationalError:
            return True
        return False

    until(refused, 20)
    monkeypatch.chdir(place)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert search.main(["--storage", address.format("wrong-one"), "--", *RUN]) == 3
    finally:
        signal.signal(signal.SIGTERM, before)
    err = capsys.readouterr().err
    assert "password authentication failed" in err and "searcher@" in err and "wrong-one" not in err
    store = stores.store_at(address.format("right-one"))
    assert "right-one" not in store.shown
    with pytest.raises(DataError, match="permission denied") as caught, stores.answering(store):
        store.open(60)  # may not make tables
    assert "right-one" not in str(caught.value)


@pytest.mark.slow
def test_what_every_trial_would_meet_is_told_before_the_first(place):
    process = begin(place, "--out", "out", run=[*RUN[:2], "--csv", "none.csv", *RUN[4:]])
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3 and "none.csv" in err and "Traceback" not in err


def test_the_same_words_and_space_are_one_study_whatever_their_order(place):
    def name(*run: str) -> str:

        config = cli.parse(["--mode", "train", *run])
        return search.name_of(config, space_of(config, False, str(place / "space.yaml")))

    assert name(*RUN, "--epochs", "3") == name("--epochs", "3", *RUN, "--threads", "2")
    assert name(*RUN, "--epochs", "4") != name(*RUN, "--epochs", "3")


@pytest.mark.parametrize("flags", ["--npz PLACE", "--csv PLACE --labels PLACE", "--db postgresql://PLACE/x"])
def test_a_shared_study_takes_the_same_data_at_another_path(tmp_path, flags):
    """Machines keep their files in different folders: `--study NAME` names what they share."""
    store = stores.store_at(str(tmp_path / "s.db"))
    more = {"direction": "max", "pruner": "none", "epochs": 1, "grace": 60}
    words = ["--mode", "train", "--task", "classify", "--context-len", "9", "--backbone", "gru"]
    for place in ("one", "two"):
        config = cli.parse([*words, *flags.replace("PLACE", place).split()])
        studies.open_study(store, "n", search.asked_of(config, {}), **more)
    config = cli.parse([*words, "--csv", "one", "--stride", "2"])
    with pytest.raises(UsageError, match="begun with other settings: stride"):
        studies.open_study(store, "n", search.asked_of(config, {}), **more)


def test_a_study_that_an_older_version_began_continues(tmp_path):
    """It may have noted settings that no longer count, such as the place of a file."""
    store = stores.store_at(str(tmp_path / "s.db"))
    more = {"direction": "max", "pruner": "none", "epochs": 1, "grace": 60}
    studies.open_study(store, "n", {"space": {}, "settings": {"lr": 0.1, "npz": "one.npz"}}, **more)
    studies.open_study(store, "n", {"space": {}, "settings": {"lr": 0.1}}, **more)


def test_durations_and_cores(monkeypatch):
    assert [search._duration(text) for text in ("90", "90s", "20min", "1.5h", "2d")] == [90, 90, 1200, 5400, 172800]
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [searcher.threads_each(jobs) for jobs in (1, 2, 3, 16)] == [8, 4, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert searcher.threads_each(2) == 2


def test_the_sentence_says_plainly_what_was_beaten():
    found = {"trial": 7, "split": "test", "score": 0.031, "references": {"repeat_last": 0.034, "ridge": 0.026}}
    text = verdict.sentence(found, "mse", "min", 20)
    assert text == (
        "The best of 20 trials, number 7, reads mse 0.031 on test: better than repeat_last (0.034), "
        "not better than ridge (0.026)."
    )
    flipped = verdict.sentence(found, "pr_auc", "max", 20)
    assert "better than ridge (0.026), not better than repeat_last (0.034)" in flipped
    assert "nothing to compare" in verdict.sentence(found | {"references": {}}, "mse", "min", 20)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (
            "--task forecast --csv a.csv --time-col date --context-len 96 --backbone informer --epochs 3",
            "forecast_informer_222f43e6",
        ),
        ("--task classify --npz x.npz --backbone gru --groups g", "classify_gru_ed1365e1"),
    ],
)
def test_a_study_has_the_name_that_it_had_in_release_0_5(words, name):
    """A search that an older release began goes on with the same command."""
    config = cli.parse(["--mode", "train", *words.split()])
    assert search.name_of(config, space_of(config, False, "")) == name
