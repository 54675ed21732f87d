"""Runs in MLflow, in a folder of its own."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from .runs import go

LINE = "--mode train --task regress --csv a.csv b.csv --context-len 4 --header no --index no --backbone linear"
LINE += " --reference off --no-plots --track mlflow"


@pytest.fixture
def client(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    address = f"file:{tmp_path}/runs"  # a database takes MLflow ten seconds to make
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    values = np.random.default_rng(0).normal(size=(2, 20, 12)).round(3)
    for name, table in zip("ab", values, strict=True):
        np.savetxt(tmp_path / f"{name}.csv", table, delimiter=",", fmt="%.3f")
    return mlflow.MlflowClient(address)


def runs_of(client):
    (experiment,) = [one for one in client.search_experiments() if one.name == "tsrun"]
    return client.search_runs([experiment.experiment_id])


def test_a_run_has_its_settings_epochs_and_result(client, tmp_path):
    done = go(tmp_path, LINE, "--epochs 3 --tag one")
    assert done.code == 0, done.err
    (run,) = runs_of(client)
    summary = json.loads((done.directory / "summary.json").read_text())
    assert run.info.run_name == "one" and run.info.status == "FINISHED"
    assert run.data.params["backbone"] == "linear" and run.data.params["epochs"] == "3"
    assert run.data.metrics["final_mae"] == pytest.approx(summary["mae"])
    assert run.data.tags["directory"] == "artifacts/one"
    assert [one.step for one in client.get_metric_history(run.info.run_id, "train_loss")] == [1, 2, 3]


def test_a_run_that_fails_is_closed_as_one(client, tmp_path):
    done = go(tmp_path, LINE, "--epochs 3 --tag two --lr 1e30 --clip 0")
    assert done.code == 5, done.err
    (run,) = runs_of(client)
    assert run.info.status == "FAILED"


def test_training_goes_on_without_a_tracker_that_is_gone(client, tmp_path, monkeypatch):
    from telling.tracking import Mlflow

    kept = Mlflow.epoch

    def gone(self, line):
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        kept(self, line)

    monkeypatch.setattr(Mlflow, "epoch", gone)
    done = go(tmp_path, LINE, "--epochs 2 --tag three")
    assert done.code == 0 and done.err.count("warning: MLflow takes nothing more") == 1
