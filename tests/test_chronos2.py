"""backbones/chronos2.py: a random directory of the published architecture, against the package's own pipeline."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from backbones import ForecastSpec, ModelSpec
from backbones.chronos2 import _between
from backbones.model import build_model
from checkpoint import Checkpoint
from errors import CheckpointError, UsageError

from .runs import go, good

# Not imported before a test asks for it: that takes each worker two seconds.
pytestmark = pytest.mark.skipif(
    find_spec("chronos") is None, reason="chronos-forecasting is not installed (requirements-chronos.txt)"
)
LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
OWN = {
    "context_length": 128, "output_patch_size": 8, "input_patch_size": 8, "input_patch_stride": 8, "quantiles": LEVELS,
    "use_reg_token": True, "use_arcsinh": True, "max_output_patches": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> str:
    from chronos.chronos2.config import Chronos2CoreConfig
    from chronos.chronos2.model import Chronos2Model

    folder = tmp_path_factory.mktemp("chronos2")
    config = Chronos2CoreConfig(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, initializer_factor=0.3)
    config.chronos_config, config.chronos_pipeline_class = dict(OWN), "Chronos2Pipeline"
    torch.manual_seed(0)
    Chronos2Model(config).save_pretrained(folder)
    return str(folder)


def spec_of(channels: int = 3, length: int = 40, horizon: int = 12, **more) -> ModelSpec:
    forecast = ForecastSpec(horizon, **({"targets": tuple(range(channels))} | more))
    sizes = {"channels": channels, "length": length, "outputs": forecast.outputs, "horizon": horizon}
    return ModelSpec(backbone="chronos2", head="forecast", forecast=forecast, **sizes)


def drawn(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32).cumsum(axis=-1))


def peer(directory: str, tasks: list, horizon: int = 12) -> list[torch.Tensor]:
    """What the package's pipeline forecasts: [targets, levels, H] of each task."""
    from chronos import BaseChronosPipeline

    pipeline = BaseChronosPipeline.from_pretrained(directory, device_map="cpu")
    found, _ = pipeline.predict_quantiles(tasks, prediction_length=horizon, quantile_levels=LEVELS)
    return [one.transpose(1, 2) for one in found]


def test_it_forecasts_as_the_package_does(directory):
    model, x = build_model(spec_of(), directory).eval(), drawn(4, 3, 40)
    with torch.no_grad():
        found = model(x)
    theirs = peer(directory, list(x.numpy()))
    torch.testing.assert_close(found, torch.stack([one[:, 4] for one in theirs]), atol=1e-4, rtol=1e-4)


def test_what_is_known_ahead_and_what_is_not_forecast_are_covariates(directory):
    x, known = drawn(2, 2, 40), drawn(2, 1, 52)
    model = build_model(spec_of(2, targets=(1,), covariates=1, levels=3, quantiles=(0.1, 0.5, 0.9)), directory).eval()
    with torch.no_grad():
        found = model(x, known)
    tasks = [
        {
            "target": x[i, 1].numpy(),
            "past_covariates": {"a": x[i, 0].numpy(), "u": known[i, 0, :40].numpy()},
            "future_covariates": {"u": known[i, 0, 40:].numpy()},
        }
        for i in range(2)
    ]
    theirs = torch.stack([one[0, [0, 4, 8]] for one in peer(directory, tasks)])
    torch.testing.assert_close(found, theirs, atol=1e-4, rtol=1e-4)
    later = known.clone()
    later[:, :, 45] += 5
    with torch.no_grad():
        assert not torch.allclose(model(x, later), found, atol=1e-3)


def test_windows_do_not_see_each_other(directory):
    model, x = build_model(spec_of(), directory).eval(), drawn(100, 3, 40)  # more than go through the model at once
    with torch.no_grad():
        torch.testing.assert_close(model(x)[[0, 99]], model(x[[0, 99]]), atol=1e-4, rtol=1e-4)


def test_levels_between_the_models_own_are_interpolated():
    found = _between([0.1, 0.5, 0.9], (0.05, 0.2, 0.5, 0.95))
    np.testing.assert_allclose(found, [[1, 0, 0], [0.75, 0.25, 0], [0, 1, 0], [0, 0, 1]])


def test_a_checkpoint_rebuilds_it_without_the_directory(directory):
    model = build_model(spec_of(), directory).eval()
    again = build_model(ModelSpec.of(json.loads(json.dumps(model.spec.plain())))).eval()
    again.load_state_dict(model.state_dict())
    x = drawn(2, 3, 40)
    assert torch.equal(model(x), again(x))


def test_what_it_cannot_do_is_told(directory, tmp_path):
    with pytest.raises(UsageError, match="from a directory on this disk"):
        build_model(spec_of())
    with pytest.raises(UsageError, match="33 steps, but the model forecasts at most 32"):
        build_model(spec_of(horizon=33), directory)
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        build_model(spec_of(), str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "t5", "d_model": 32}')
    with pytest.raises(CheckpointError, match="does not describe a Chronos-2 model"):
        build_model(spec_of(), str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"d_model": 32, "chronos_config": {"quantiles": [0.5]}}))
    with pytest.raises(CheckpointError, match="lacks context_length"):
        build_model(spec_of(), str(tmp_path))


@pytest.fixture
def table(tmp_path: Path) -> str:
    t, draw = np.arange(260), np.random.default_rng(0)
    plan = (draw.random(260) < 0.2) * 1.0
    times = pd.date_range("2024-01-01", periods=260, freq="h").map(str)
    frame = pd.DataFrame({"date": times, "plan": plan, "y": np.sin(t / 4) + plan + 0.1 * draw.normal(size=260)})
    frame.loc[256:, "y"] = np.nan
    frame.to_csv(tmp_path / "y.csv", index=False)
    return "--task forecast --csv y.csv --time-col date --known-future plan --context-len 32 --horizon 4 --no-plots"


def test_zero_shot_then_forecasts_past_the_end(table, directory, tmp_path):
    words = [*table.split(), "--backbone", "chronos2", "--reference", "off"]
    run = good(tmp_path, "--mode train", *words, "--pretrained-dir", directory, "--epochs 0")
    state, own = Checkpoint.load(run / "model.pt.best").state, build_model(spec_of(), directory).state_dict()
    assert all(torch.equal(state[key], own[key]) for key in own)
    ahead = good(tmp_path, "--mode infer", *table.split()[2:-1], "--no-plots", "--ckpt", str(run))
    assert len(pd.read_csv(ahead / "forecast.csv")) == 4


def test_inference_needs_no_checkpoint_and_no_epochs(table, directory, tmp_path):
    words = [table, "--backbone chronos2 --reference off --pretrained-dir", directory]
    done = go(tmp_path, "--mode infer", *words)
    assert done.code == 0 and "forecasts as it is" in done.err
    run = good(tmp_path, "--mode train --epochs 0 --desc same", *words)
    ahead = [pd.read_csv(file) for file in sorted((tmp_path / "artifacts").glob("*/forecast.csv"))]
    assert len(ahead) == 2 and ahead[0].equals(ahead[1]) and len(ahead[0]) == 4 and run.is_dir()
    refused = go(tmp_path, "--mode infer", table, "--backbone dlinear --pretrained-dir", directory)
    assert refused.code == 2 and "needs --ckpt" in refused.err


def test_its_quantiles_and_finetuning(table, directory, tmp_path):
    words = [*table.split(), "--backbone", "chronos2", "--reference", "off", "--quantiles 0.1 0.9"]
    run = good(tmp_path, "--mode train", *words, "--pretrained-dir", directory, "--epochs 1")
    state, own = Checkpoint.load(run / "model.pt").state, build_model(spec_of(), directory).state_dict()
    assert any(not torch.equal(state[key], own[key]) for key in own)
    assert "pinball" in json.loads((run / "summary.json").read_text())


def test_no_epochs_are_for_what_is_trained_already(table, tmp_path):
    done = go(tmp_path, "--mode train", table, "--backbone dlinear --epochs 0")
    assert done.code == 2 and "--epochs 0" in done.err and "untrained" in done.err


def test_in_auto_it_is_a_member_with_the_weights_of_its_directory(table, directory, tmp_path):
    words = [table, "--model-args members=theta,ridge --reference off --pretrained-dir", directory]
    run = good(tmp_path, "--mode train", *words)
    told = json.loads((run / "summary.json").read_text())["fit"]["members"]
    assert list(told)[-1] == "chronos2" and told["chronos2"]["error"] > 0
    state, own = Checkpoint.load(run / "model.pt.best").state, build_model(spec_of(1), directory).state_dict()
    place = f"backbone.members.{len(told) - 1}."
    assert all(torch.equal(state[place + key.removeprefix("backbone.")], own[key]) for key in own if ".core." in key)
    ahead = good(tmp_path, "--mode infer --csv y.csv --no-plots --ckpt", run)  # without the directory
    assert len(pd.read_csv(ahead / "forecast.csv")) == 4


def test_alone_it_forecasts_each_series_from_its_whole_history(directory):
    """Two series of 30 and 90 steps, one look-back of 8: as the package does with all of them."""
    from dataclasses import replace

    from backbones import Hyper, InputSpec
    from backbones.chronos2 import ZeroShot, describe
    from backbones.histories import Histories
    from backbones.pretrained_files import load_strict, read_weights

    inputs = InputSpec(channels=1, length=8, forecast=ForecastSpec(12, (0,)))
    member = ZeroShot(replace(inputs, pretrained=describe(directory)), Hyper("chronos2")).eval()
    load_strict(member.core, read_weights(directory), directory)
    values = drawn(1, 120).double().numpy()
    past = Histories(
        values, np.array([0.5]), np.array([[0, 30]]), np.array([30, 120]), 12, (), lambda n: (n,), lambda n: n
    )
    theirs = torch.stack([one[0, 4] for one in peer(directory, [values[:, :30], values[:, 30:]])])
    torch.testing.assert_close(member.from_histories(past)[:, 0], theirs - 0.5, atol=1e-4, rtol=1e-4)


def test_other_tasks_of_auto_take_no_directory(directory, tmp_path):
    done = go(tmp_path, "--mode train --task regress --demo --backbone auto --pretrained-dir", directory)
    assert done.code == 2 and "--backbone mantis, llm_ts or ttm" in done.err
