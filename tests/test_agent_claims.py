"""nas_agent/claims.py: an id for one process, a bound for all, and what becomes of runs whose process is gone."""

from __future__ import annotations

import time

import pytest

from errors import ResourceError, UsageError
from nas_agent import RunInfo, add_run, claim_run, load_agent_state, save_agent_state
from nas_agent.claims import beat, claim, reclaim, report
from nas_agent.journal import happened
from nas_agent.study import opened, shown, view_of

from .test_agent_state import events, finish, script
from .test_agent_state import shown as shown_in


def bounded(folder, **bounds):
    """A study with these budgets."""
    view = view_of(folder)
    with opened(view) as (journal, _):
        journal.write([happened("study", **bounds)], shown)
    return view


CLAIM = """
    import sys
    from errors import ResourceError
    from nas_agent import claim_run
    while True:
        try:
            print(claim_run(sys.argv[1]), flush=True)
        except ResourceError as error:
            sys.exit(error.exit_code)
"""


def test_claims_at_once_share_one_bound(tmp_path):
    """Four processes claim as long as they can: 30 ids, none twice."""
    bounded(tmp_path, max_runs=30)
    processes = [script(CLAIM, tmp_path) for _ in range(4)]
    told = [finish(process, code=6)[0].split() for process in processes]
    assert sorted(run_id for ids in told for run_id in ids) == [f"run_{k:04d}" for k in range(30)]


def test_a_claim_is_reported_by_a_plain_script(tmp_path):
    state = load_agent_state(tmp_path)
    state.max_runs = 1
    save_agent_state(state)
    run_id = claim_run(state)
    assert shown_in(tmp_path)["runs"] == [], "what runs has no figures"
    with pytest.raises(ResourceError, match="all 1 run is claimed"):
        claim_run(state)
    save_agent_state(add_run(state, RunInfo(run_id, 0.5)))
    assert [run["run_id"] for run in shown_in(tmp_path)["runs"]] == ["run_0000"]
    assert claim_run_refused(tmp_path) == "all 1 run is claimed"


def claim_run_refused(folder):
    with pytest.raises(ResourceError) as caught:
        claim_run(folder)
    return caught.value.what


@pytest.mark.slow
def test_a_lost_run_fails_and_is_claimed_again(tmp_path):
    """Its process is killed; its metric is null; its id is handed out twice more, then no longer."""
    bounded(tmp_path, max_runs=2)
    for attempt in (1, 2, 3):
        code = "import sys, time; from nas_agent import claim_run; print(claim_run(sys.argv[1], lease=0.3), flush=True)"
        owner = script(f"{code}; time.sleep(60)", tmp_path)
        assert owner.stdout.readline() == "run_0000\n"
        owner.kill()
        owner.communicate()
        assert [event["attempt"] for event in events(tmp_path) if event["event"] == "claimed"] == [1, 2, 3][:attempt]
        time.sleep(0.35)
    assert load_agent_state(tmp_path).runs[0] == {
        "run_id": "run_0000",
        "val_mse": None,
        "test_mse": None,
        "history_summary": "failed: no sign of life for 0.3 s",
        "accepted": False,
    }
    assert claim_run(tmp_path) == "run_0001"
    assert claim_run_refused(tmp_path) == "all 2 runs are claimed"


@pytest.mark.slow
def test_a_beat_keeps_a_claim(tmp_path):
    view = view_of(tmp_path)
    made = claim(view, lease=0.8)
    for _ in range(4):
        time.sleep(0.25)
        beat(view, made.run_id, made.attempt)
    assert reclaim(view) is None, "nothing was lost"
    time.sleep(0.9)
    with pytest.raises(UsageError, match="run_0000 has ended: failed"):
        beat(view, made.run_id)
    assert reclaim(view).attempt == 2


@pytest.mark.fault(
    "a clock that is set back", "a run lost before is found lost; no budget grows; half cache entries are swept"
)
def test_a_clock_that_is_set_back_keeps_no_lost_run_and_adds_nothing_to_a_budget(tmp_path, monkeypatch):
    view, now = bounded(tmp_path, max_seconds=100), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400)
    lost = claim(view, lease=60)
    monkeypatch.setattr(time, "time", lambda: now)
    assert (reclaim(view).run_id, reclaim(view)) == (lost.run_id, None)  # once: the second process is alive
    with opened(view) as (_, study):
        assert study.left(now)["seconds"] == 100


def test_a_late_report_counts_until_the_run_is_claimed_again(tmp_path):
    view = view_of(tmp_path)
    made = claim(view, {"model": {"d_model": 8}}, lease=0.05)
    time.sleep(0.1)
    assert load_agent_state(tmp_path).runs[0].val_mse is None
    again = reclaim(view)
    assert (again.run_id, again.attempt, again.proposal) == (made.run_id, 2, made.proposal)
    with pytest.raises(UsageError, match="claimed again, attempt 2") as caught:
        report(view, RunInfo(made.run_id, 0.1), attempt=made.attempt)
    assert caught.value.exit_code == 2
    other = claim(view, lease=0.05)
    time.sleep(0.1)
    load_agent_state(tmp_path)
    report(view, RunInfo(other.run_id, 0.2), attempt=other.attempt)
    report(view, RunInfo(again.run_id, 0.3), attempt=again.attempt)
    assert {run.run_id: run.val_mse for run in load_agent_state(tmp_path).runs} == {"run_0000": 0.3, "run_0001": 0.2}


def test_a_run_is_begun_once(tmp_path):
    view = view_of(tmp_path)
    made = claim(view)
    assert reclaim(view, made.run_id, begun=True) == made
    with pytest.raises(UsageError, match="run_0000 is running"):
        reclaim(view, made.run_id, begun=True)
    with pytest.raises(UsageError, match="no run run_0001 is claimed"):
        reclaim(view, "run_0001", begun=True)


def test_reports(tmp_path):
    view = view_of(tmp_path)
    ids = [claim(view).run_id for _ in range(4)]
    assert report(view, RunInfo(ids[0], 0.5, 0.9, "one")).accepted is True
    pruned = report(view, RunInfo(ids[1], 0.1, 0.1, "two"), status="pruned")
    assert (pruned.val_mse, pruned.test_mse, pruned.accepted) == (None, None, False)
    failed = report(view, RunInfo(ids[2]), status="failed", reason="out of memory")
    assert (failed.val_mse, failed.history_summary) == (None, "failed: out of memory")
    assert report(view, RunInfo(ids[3], 0.5, 0.0)).accepted is False, "as good is not better"
    assert shown_in(tmp_path)["best_run_id"] == ids[0]
    with pytest.raises(UsageError, match="run_0000 has ended: complete"):
        report(view, RunInfo(ids[0], 0.1))
    with pytest.raises(UsageError, match="needs a val_mse that is a number"):
        report(view, RunInfo(claim(view).run_id, float("nan")))


def test_budgets(tmp_path):
    view = bounded(tmp_path / "failures", max_failures=2)
    for k in range(2):
        report(view, RunInfo(claim(view).run_id), status="failed", reason="broken")
        if k == 0:  # one good run in between and the count begins anew
            report(view, RunInfo(claim(view).run_id, 0.5))
            report(view, RunInfo(claim(view).run_id), status="failed", reason="broken")
    assert claim_run_refused(tmp_path / "failures") == "2 runs in a row failed"
    view = bounded(tmp_path / "clock", max_seconds=0.3)
    time.sleep(0.35)
    claim(view)  # the clock starts with the first claim
    time.sleep(0.35)
    assert claim_run_refused(tmp_path / "clock") == "the 0.3 s of the study are used up"
