"""The trainer's step where no value can be read and no tensor of the CPU goes in: the `meta` device.

What passes here does not wait for a GPU in the middle of an epoch, and does not mix devices. Loading, the closed form
under a net and the judging at the end of an epoch read values, and stay on the CPU.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

import backbones
import cli
import dataset
import pipeline
import tasks
from commandline.together import check_model_args
from dataset import DeviceData
from evaler import predict
from hardware import Precision
from learner import Learner
from trainer import Trainer
from training.progress import OfTask

from .conftest import ROOT
from .runs import built, standing_in
from .test_combinations import KINDS, SMALL

META = torch.device("meta")
KNOWN = "--csv a.csv --time-col t --known-future promo --context-len 12 --horizon 4".split()
# Forecasts with times and a channel that is known ahead: of levels, and of a point by a loss that is not the monitor.
AHEAD = {"quantiles": ["--quantiles", "0.1", "0.9"], "l1": ["--loss", "l1"]}


def trained_in_epochs():
    """(backbone, task) of all that are trained step by step; forecasts with what is known ahead as well."""
    for name, task in itertools.product(backbones.names(), tasks.names()):
        head, chosen = built(task).head, backbones.backbone_class(name)
        fits = head in chosen.heads and not (chosen.answers and KINDS.get(task, chosen.kinds[0]) not in chosen.kinds)
        if fits and not (chosen.closed_form or chosen.needs_pretrained_dir or chosen.blends_runs):
            yield name, task
            yield from ((name, how) for how in AHEAD if task == "forecast")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """{task: (data, task, split)} of each task's own small data set, and of forecasts with what is known ahead."""
    found = {}
    folders = {name: tmp_path_factory.mktemp(name) for name in (*tasks.names(), *AHEAD)}
    words = {name: ["--task", name, *built(name).sample(folders[name])] for name in tasks.names()}
    random = np.random.default_rng(4)
    for name, more in AHEAD.items():
        words[name] = ["--task", "forecast", *KNOWN, *more]
        times = pd.date_range("2024-01-01", periods=160, freq="h")
        table = {
            "t": times,
            "x": random.normal(size=160),
            "y": random.normal(size=160),
            "promo": random.normal(size=160),
        }
        pd.DataFrame(table).to_csv(folders[name] / "a.csv", index=False)
    for name, given in words.items():
        line = [*given, "--backbone", "linear", "--batch-size", "64", "--quiet"]
        with standing_in(folders[name]):
            run_data, task, _ = pipeline.open_data(cli.parse(line), line)
        found[name] = run_data, task, dataset.make_splits(run_data)[-1]
    return found


def trainer_of(run_data, task, split, backbone, folder, **settings):
    """The trainer that a learner makes, its model and data moved to the meta device; the closed form is solved."""
    pairs = dict(pair.split("=") for pair in SMALL.get(backbone, "").split())
    args, problems = check_model_args(backbone, pairs)
    assert not problems
    config = replace(run_data.config, backbone=backbone, model_args=args, **settings)
    learner = Learner(replace(run_data, config=config), task, split, torch.device("cpu"), None)
    learner.open(folder)
    under = [part if part is None else part.to(META) for part in learner.stand()]
    learner.device_data = data = DeviceData(
        learner.run_data, learner.task, learner.scaler, META, learner.forecast, learner.known_scaler, split.train
    )
    learner.model.to(META)
    validation = OfTask(learner.task, lambda: None, META)
    return Trainer(
        learner.model,
        learner.task.for_training(data.windows(split.train, under[0])),
        data.windows(split.val, under[1]),
        learner.standing.judging(validation) if learner.standing else validation,
        config,
        replace(learner.precision, device=META),
        save=lambda *_: None,
        train_metrics=learner.task.train_metrics(META),
    )


@pytest.fixture(autouse=True)
def _fused(monkeypatch):
    """torch's fused optimizer works on `meta`, which torch does not list."""
    module, name = sys.modules["torch.optim.optimizer"], "_get_fused_kernels_supported_devices"
    listed = getattr(module, name)()
    monkeypatch.setattr(module, name, lambda: [*listed, "meta"])


@pytest.mark.parametrize(("backbone", "task"), list(trained_in_epochs()))
def test_a_step_reads_nothing_and_mixes_no_devices(backbone, task, opened, tmp_path):
    trainer = trainer_of(*opened[task], backbone, tmp_path, clip=1.0)
    assert isinstance(trainer.optimizer, torch.optim.AdamW) and trainer.optimizer.defaults["fused"]
    batch = next(trainer.train.shuffled(trainer.batch_size, 3))
    trainer.schedule.before_step(0)
    trainer._step(batch)
    trainer.schedule.after_step()
    assert trainer._total.device == META and len(trainer._total) == 1 + len(trainer.train_metrics)
    assert bool(trainer.train_metrics) == (task == "l1")
    assert (getattr(trainer.model, "wide", None) is not None) == (
        task in ("classify", "regress") and backbone != "fusion_gru"
    )
    trainer.model.eval()
    outputs = predict(trainer.runner, trainer.val, trainer.precision, trainer.batch_size)
    assert outputs.device == META and len(outputs) == len(trainer.val)


class Autocast(TorchFunctionMode):
    """What autocast does on a GPU, which torch does not offer for `meta`: products in half precision."""

    halved = (F.linear, F.conv1d, F.conv2d, F.scaled_dot_product_attention)
    halved += (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.einsum)

    halved_calls = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in self.halved:
            cast = [torch.is_tensor(arg) and arg.dtype == torch.float32 for arg in args]
            self.halved_calls += any(cast)
            args = [arg.half() if to_half else arg for arg, to_half in zip(args, cast, strict=True)]
        return function(*args, **(kwargs or {}))


# Each backbone once, and one with every task.
FIRST = dict(reversed(list(trained_in_epochs())))
HALF = [(backbone, task) for backbone, task in trained_in_epochs() if task == FIRST[backbone] or backbone == "gru"]


@pytest.mark.parametrize(("backbone", "task"), HALF)
def test_a_step_in_half_precision_with_the_scaler(backbone, task, opened, tmp_path, monkeypatch):
    mode = Autocast()
    monkeypatch.setattr(Precision, "autocast", lambda _: mode)
    trainer = trainer_of(*opened[task], backbone, tmp_path, clip=1.0)
    trainer.precision = replace(trainer.precision, dtype=torch.float16)
    trainer.scaler = trainer.precision.scaler()
    assert isinstance(trainer.scaler, torch.amp.GradScaler) and trainer.scaler.is_enabled()
    trainer._step(next(trainer.train.shuffled(trainer.batch_size, 3)))
    assert mode.halved_calls and trainer.scaler._scale.device == META and trainer._total.device == META
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in trainer.model.parameters())


def test_the_script_for_a_gpu_is_a_script():
    """It wants a GPU to run: here its grammar is all that is looked at."""
    subprocess.run(["bash", "-n", ROOT / "tools/gpu_check.sh"], check=True)
