"""nas_agent/models.py: a model from a configuration, and a finished run that predicts, as a script would use them."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

import checkpoint
from errors import CheckpointError, UsageError
from nas_agent import build_model, load_run

from .runs import good, standing_in
from .test_experiments import LINEAR, SMALL, changed, finished, lay, metrics_of, table

__all__ = ["finished", "table"]  # fixtures


def test_the_model_of_a_file_is_the_one_that_its_run_trains(finished):
    with standing_in(finished):
        model = build_model("config.py")
        assert sum(value.numel() for value in model.parameters()) == metrics_of(finished)["n_params"]
    state = checkpoint.read(finished / "runs/run_0000/best_model.pth")["state"]
    assert {key: value.shape for key, value in model.state_dict().items()} == {k: v.shape for k, v in state.items()}
    assert model.eval()(torch.zeros(5, 1, 24), torch.zeros(5, 4, 28)).shape == (5, 1, 4)


def test_the_model_of_a_mapping(tmp_path, table):
    lay(tmp_path, table, LINEAR)
    with standing_in(tmp_path):
        assert build_model({**LINEAR, "data": {**LINEAR["data"], "features": "M"}})(torch.zeros(2, 7, 24)).shape == (
            2,
            7,
            4,
        )
        with pytest.raises(UsageError, match="does not split into 2 heads"):
            build_model(changed("model", "d_model", 9))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.py", "ett.csv"]


def test_a_loaded_run_predicts_what_inference_writes(finished):
    with standing_in(finished):
        run = load_run("runs/run_0000")
        assert not run.model.training and run.checkpoint.outputs == ["OT"]
        found = run.predict("ett.csv")
    folder = good(finished, "--mode infer --ckpt runs/run_0000 --csv ett.csv --no-plots --out loaded --overwrite")
    with (folder / "forecast.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert found["date"] == [line["date"] for line in lines]
    np.testing.assert_allclose(found["OT"], [float(line["value"]) for line in lines], rtol=1e-5)
    assert SMALL["data"]["pred_len"] == len(found["OT"])


def test_what_is_no_run(tmp_path):
    with pytest.raises(CheckpointError):
        load_run(tmp_path)
