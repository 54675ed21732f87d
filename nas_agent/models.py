"""For a script: the model of a configuration, and a finished run that predicts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from checkpoint import Checkpoint
    from predictor import Inference

TAG = "model"  # a run needs a name, and this one leaves nothing


def build_model(config: str | os.PathLike[str] | Mapping[str, Any]) -> torch.nn.Module:
    """The model of an experiment with fresh weights, `model(x [B, C, L], known [B, M, L + H]) -> [B, K, H]`.

    The table is read for the sizes: C columns are input, K forecast; M calendar features (`known`) go with backbones
    that read them, such as the Informer. Values are standardised.

    Parameters
    ----------
    config : the file of an experiment, or a mapping of its content with classes as text ("optim.Adam").

    Raises
    ------
    UsageError, DataError : what is wrong with the configuration, or with its table.
    """
    import cli
    import pipeline
    from dataset import make_splits
    from experiments import config_file
    from fusion import stages
    from hardware import pick_device

    with tempfile.TemporaryDirectory(prefix="tsrun-model-") as folder:
        path = os.fspath(config) if not isinstance(config, Mapping) else f"{folder}/config.py"
        if isinstance(config, Mapping):
            Path(path).write_text(config_file.to_text(config), encoding="utf-8")
        settings = cli.parse(["--config", path, "--tag", TAG])
    run_data, task, _ = pipeline.open_data(settings, [])
    device = pick_device("cpu", 0)
    return stages.whole(run_data, task, make_splits(run_data)[-1], device, None).model


@dataclass(frozen=True)
class LoadedRun:
    """A finished forecast run: `model` in evaluation mode, and `checkpoint` with scaler and settings."""

    place: str
    checkpoint: Checkpoint
    model: torch.nn.Module = field(repr=False)

    def predict(self, csv: str | os.PathLike[str], *words: str) -> dict[str, Any]:
        """The forecast past the end of a table.

        Parameters
        ----------
        csv : a table with the columns of training.
        words : more flags of `--mode infer`.

        Returns
        -------
        {"date": [H] text (steps where there is no clock), channel: float [H] in its unit, for each forecast channel}.

        Raises
        ------
        UsageError, DataError, CheckpointError : the table does not fit the run.
        """
        import cli
        import pipeline
        from hardware import pick_device

        argv = ["--mode", "infer", "--ckpt", self.place, "--csv", os.fspath(csv), *words]
        config = cli.parse(argv)
        return _ahead(pipeline.open_inference(config, argv, pick_device(config.device, config.threads)))


def load_run(place: str | os.PathLike[str]) -> LoadedRun:
    """A run's folder, or its checkpoint, ready to predict. CheckpointError for anything else."""
    import restore

    start = restore.open_checkpoint(os.fspath(place))
    return LoadedRun(os.fspath(place), start, restore.model_of(start).eval())


def _ahead(inference: Inference) -> dict[str, Any]:
    """What an inference forecasts past the end of its only row."""
    import torch

    import restore
    from errors import DataError, UsageError
    from evaler import predict
    from hardware import Precision

    spec, run_data = inference.start.model, inference.run_data
    if spec.forecast is None:
        raise UsageError(f"is a run of --task {inference.start.task}, not a forecast", where=inference.config.ckpt)
    if len(run_data.ahead) != 1:
        raise DataError(f"{len(run_data.ahead)} rows end with a whole context, and one is predicted", where="--csv")
    model = restore.model_of(inference.start).eval()
    windows = inference.device_data().windows(run_data.ahead)
    outputs = predict(model, windows, Precision.choose(False, torch.device("cpu")), 1)
    units = inference.task.inverse_transform(inference.task.units(outputs))
    values = units[0].double().numpy().reshape(len(inference.names), spec.forecast.levels, -1)[:, spec.forecast.point]
    series, horizon = run_data.series, spec.forecast.horizon
    dates = [str(int(series.lengths[0]) + step) for step in range(horizon)]
    if series.clock is not None and series.time is not None:
        dates = series.clock.show(series.clock.extend(int(series.time[-1]), horizon))
    return {"date": dates, **{name: np.asarray(row) for name, row in zip(inference.names, values, strict=True)}}
