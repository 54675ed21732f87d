"""studies/storage.py: transactions that hold together, and reads that stand still, of a real SQLite file."""

from __future__ import annotations

import sqlite3

import pytest

optuna = pytest.importorskip("optuna", reason="optuna is not installed")

from sqlalchemy import event  # noqa: E402

from studies import queue as studies  # noqa: E402
from studies import stores  # noqa: E402
from studies.spaces import Dimension  # noqa: E402

SPACE = {"lr": Dimension("lr", (), 1e-4, 1e-1, True), "k": Dimension("k", (1, 2, 3))}


def queue_at(path, pruner="none", trials=30) -> studies.Queue:
    store = stores.store_at(str(path))
    study = studies.open_study(store, "s", {}, direction="min", pruner=pruner, epochs=3, grace=60)
    return studies.Queue(study, store, trials=trials, retries=1, seed=7)


def rows(path, table: str) -> int:
    with sqlite3.connect(path) as database:
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_what_is_written_together_is_there_whole_or_not_at_all(tmp_path):
    queue = queue_at(tmp_path / "s.db")
    trial, storage = queue.take(), queue.study._storage
    with storage.together():
        trial.set_user_attr("one", 1)
        trial.suggest_float("lr", 0.1, 0.2)
        assert rows(tmp_path / "s.db", "trial_user_attributes") == 1  # the name of its process
    assert rows(tmp_path / "s.db", "trial_user_attributes") == 2 and rows(tmp_path / "s.db", "trial_params") == 1
    with pytest.raises(KeyboardInterrupt), storage.together():
        trial.set_user_attr("two", 2)
        raise KeyboardInterrupt
    assert set(storage.get_trial(trial._trial_id).user_attrs) == {"worker", "one"}
    trial.set_user_attr("three", 3)  # the next transaction is one of its own
    assert rows(tmp_path / "s.db", "trial_user_attributes") == 3


def test_a_process_killed_within_take_or_suggest_leaves_nothing_half(tmp_path, monkeypatch):
    queue = queue_at(tmp_path / "s.db")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(studies.platform, "node", killed)
        queue.take()
    assert rows(tmp_path / "s.db", "trials") == 0
    trial = queue.take()
    assert trial.number == 0
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(optuna.trial.Trial, "suggest_categorical", killed)
        queue.suggest(trial, SPACE)
    assert rows(tmp_path / "s.db", "trial_params") == 0


def test_an_error_that_optuna_takes_back_by_itself_is_told(tmp_path):
    queue = queue_at(tmp_path / "s.db")
    trial, storage = queue.take(), queue.study._storage
    session = storage._backend.scoped_session
    with pytest.raises(optuna.exceptions.StorageInternalError, match="taken back"), storage.together():
        trial.set_user_attr("one", 1)
        session().rollback()
        trial.set_user_attr("two", 2)
    assert set(storage.get_trial(trial._trial_id).user_attrs) == {"worker"}


def test_still_trials_are_those_of_the_last_reading(tmp_path):
    here, there = queue_at(tmp_path / "s.db"), queue_at(tmp_path / "s.db")
    first = here.take()
    here.study.get_trials()
    there.done(there.take(), 1.0, seconds=0.0)
    with here.study._storage.still():
        assert [trial.number for trial in here.study.get_trials()] == [first.number]
    assert [trial.state.name for trial in here.study.get_trials()] == ["RUNNING", "COMPLETE"]


def test_the_median_knows_what_others_have_finished(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "FRESH", 0.0)
    here, there = (queue_at(tmp_path / "s.db", "median") for _ in range(2))
    mine = here.take()
    for _ in range(studies.UNPRUNED):
        other = there.take()
        assert not any(there.report(other, epoch, 1.0) for epoch in (1, 2, 3))
        there.done(other, 1.0, seconds=0.0)
    assert here.report(mine, 1, 2.0)  # by the best of its values: that of the others is 1


def test_a_trial_is_few_statements_and_fewer_transactions(tmp_path):
    queue = queue_at(tmp_path / "s.db")

    def whole():
        trial = queue.take()
        queue.suggest(trial, SPACE)
        queue.report(trial, 1, 0.5)
        queue.done(trial, 0.5, seconds=1.0)
        return queue.leftover()

    whole()
    said, commits = [], []
    engine = queue.study._storage._backend.engine
    event.listen(engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    event.listen(engine, "commit", commits.append)
    whole()
    writing = {"INSERT": 0, "UPDATE": 0}
    for text in said:
        writing[text.split()[0]] = writing.get(text.split()[0], 0) + 1
    # The trial, its heartbeat, worker, two values, report, facts and value; the number, and the state.
    assert writing["INSERT"] == 8 and writing["UPDATE"] == 2
    assert len(said) < 45 and len(commits) < 8
