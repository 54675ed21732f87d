"""An exported model compared with its checkpoint: on the same windows, in results and in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

import restore
from backbones.model import Forecaster
from dataset import DeviceData
from errors import UsageError
from evaler import predict
from hardware import Precision
from predictor import Inference
from scaler import Scaler
from sources import things
from tasks.base import Task
from tasks.predictions import Predictions

Run = Callable[..., torch.Tensor]  # x [B, C, L] (and known [B, M, L + H]) -> y [B, rows, H]
CPU = torch.device("cpu")
X, KNOWN = "x", "known"  # names of the inputs
CHECKED = 256  # windows on which an export is compared with its checkpoint
TOLERANCE = 1e-5  # of the model's outputs: absolute, or relative to a row's largest where that is above 1
ROUNDING = 4 * float(np.finfo(np.float32).eps)
PATTERNS = 10  # of signs: a softmax depends on the differences between outputs
ROUNDS, MOST_SECONDS, WARM = 300, 5.0, 10  # of timing


class Shift(nn.Module):
    """(v - mean) / std by channel of [B, C, T], or by step, in float32 as exact as in float64.

    A mean may be large beside its deviation, so it is subtracted in two parts: rounded to float32, and the rest.

    Parameters
    ----------
    mean, std : float64 [C, 1], or [T].
    """

    high: torch.Tensor
    low: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: np.ndarray, std: np.ndarray) -> None:
        super().__init__()
        whole = torch.from_numpy(mean)
        self.register_buffer("high", whole.float())
        self.register_buffer("low", (whole - whole.float().double()).float())
        self.register_buffer("std", torch.from_numpy(std).float())

    @classmethod
    def of(cls, scaler: Scaler) -> Shift:
        """By the channels of a scaler."""
        return cls(scaler.mean[:, None], scaler.std[:, None])

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        return ((v - self.high) - self.low) / self.std


class Deployed(nn.Module):
    """A checkpoint's model between the scaler and the task's decoding: inputs and outputs in the units of the data."""

    def __init__(self, inference: Inference) -> None:
        super().__init__()
        self.model = restore.model_of(inference.start).eval()
        self.scale = Shift.of(inference.start.scaler)
        steps = things.scale_of(inference.start.coding)
        self.scale_steps = None if steps is None else Shift(*steps)
        known = inference.start.known_scaler
        self.scale_known = None if known is None else Shift.of(known)
        self.task = inference.task

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        given = [x] if known is None else [x, known]
        missing = sum((part * 0).sum(dim=(1, 2), keepdim=True) for part in given)  # NaN where an input is no number
        # Runtimes fail on an empty batch (ONNX Runtime's GRU ends the process): it gets a window that is cut off again.
        spare = torch.sym_max(1 - x.shape[0], 0)
        answers = self._answers(*(nn.functional.pad(part, (0, 0, 0, 0, 0, spare)) for part in given))
        return answers[: x.shape[0]] + missing

    def _answers(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        seen = [self.scale(x if self.scale_steps is None else self.scale_steps(x))]
        if known is not None:
            assert isinstance(self.model, Forecaster)
            marks = self.model.forecast.marks
            if self.scale_known is not None:
                known = torch.cat([known[:, :marks], self.scale_known(known[:, marks:])], dim=1)
            seen.append(known)
        return delivered(self.task, self.model(*seen))


def delivered(task: Task, outputs: torch.Tensor) -> torch.Tensor:
    """A model's outputs [B, K, H], decoded into the units of the data."""
    return task.inverse_transform(task.units(outputs))


class ExportCheck:
    """The windows of a checkpoint, scaled as the model sees them and in the units of the data."""

    def __init__(self, inference: Inference) -> None:
        self.inference, self.task = inference, inference.task
        self.deployed = Deployed(inference).eval()
        if self.deployed.model.by_history is not None:
            what = "forecasts from whole series, and an exported model sees the look-back alone"
            hint = "export a run of --backbone ridge_ensemble"
            raise UsageError(what, where=f"--backbone {inference.start.model.backbone}", hint=hint)
        self.split = self._split()
        self.index = inference.index_of(self.split)
        self.labelled = inference.run_data.targets is not None and len(self.index) > 0
        if not len(self.index):
            self.index, self.split = inference.run_data.ahead, "last contexts"
        self.device_data = inference.device_data()
        self.raw = self._raw_data()
        self.batch = inference.config.batch_size
        raw = self.raw.windows(self.index)
        chosen = torch.linspace(0, len(self.index) - 1, min(CHECKED, len(self.index))).long()
        self.sample = raw.seen(raw.locate(chosen))  # what an exported model sees
        self.one = [part[:1].contiguous() for part in self.sample]
        scaled = self.device_data.windows(self.index)
        self.scaled = scaled.seen(scaled.locate(chosen))  # what the checkpoint's model sees
        self.names = [X, KNOWN][: len(self.sample)]

    def _split(self) -> str:
        """The split that the run was scored on, if these are the files of training; else all."""
        made = self.inference.made
        if self.inference.config.eval_split or made is None:
            return self.inference.config.eval_split or "all"
        return "test" if len(made.test) else "val"

    def _raw_data(self) -> DeviceData:
        """The same data with scalers that change nothing."""
        start, run_data = self.inference.start, things.in_units(self.inference.run_data)

        def identity(channels: Sequence[str]) -> Scaler:
            return Scaler(np.zeros(len(channels)), np.ones(len(channels)), tuple(channels))

        known = None if start.known_scaler is None else identity(run_data.series.known)
        return DeviceData(run_data, self.task, identity(run_data.channels), CPU, start.model.forecast, known)

    def example(self) -> dict[str, torch.Tensor]:
        """Two windows of zeros: an exporter would make a batch of one a constant."""
        return {name: torch.zeros((2, *part.shape[1:])) for name, part in zip(self.names, self.sample, strict=True)}

    def difference(self, run: Run, *, exact: bool) -> float:
        """The largest difference to the checkpoint over the sample.

        Parameters
        ----------
        run : the exported model, of inputs and outputs in the units of the data.
        exact : whether the outputs must agree to 1e-5 (relative to the largest of a row, if that is above 1), carried
            through the decoding, and rounding of float32; else they need only be finite.

        Raises
        ------
        UsageError : they do not.
        """
        with torch.no_grad():
            outputs = self.deployed.model(*self.scaled).double()
            exported = run(*self.sample).double()
        true = self._delivered(outputs)
        errors = (exported - true).abs()
        bad = errors > self._allowed(outputs, true) if exact else ~torch.isfinite(exported)
        bad |= errors.isnan()
        if bad.any():
            what = f"the exported model is not the checkpoint's: up to {float(errors.max()):.3g} apart"
            where = f"--backbone {self.inference.config.backbone}"
            raise UsageError(f"{what}, in {int(bad.sum())} of {bad.numel()} outputs", where=where)
        return float(errors.max())

    def _allowed(self, outputs: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """How much an error of TOLERANCE in every output, of either sign, may change the result; [n, rows, H]."""
        slack = TOLERANCE * outputs.abs().amax(dim=(0, 2), keepdim=True).clamp(min=1)
        generator = torch.Generator().manual_seed(0)
        patterns = torch.randint(0, 2, (PATTERNS, outputs.shape[1], 1), generator=generator) * 2 - 1
        patterns[0], patterns[1] = 1, -1
        allowed = torch.stack([(self._delivered(outputs + slack * sign) - true).abs() for sign in patterns]).amax(0)
        one, none = (self._delivered(torch.full_like(outputs[:1, :, :1], level)) for level in (1.0, 0.0))
        size = torch.maximum(true.abs().amax(dim=(0, 2), keepdim=True), (one - none).abs())
        return allowed + ROUNDING * size

    def _delivered(self, outputs: torch.Tensor) -> torch.Tensor:
        return delivered(self.task, outputs)

    def compare(self, run: Run) -> dict[str, Any] | None:
        """The monitor of both models on the whole scored split; None where no label is known."""
        if not self.labelled:
            return None
        before = self._metric(self.deployed.model, self.device_data, decoded=False)
        after = self._metric(run, self.raw, decoded=True)
        drop = None
        if before is not None and after is not None:
            drop = before - after if self.task.direction == "max" else after - before
        found = {"name": self.task.monitor, "windows": len(self.index), "checkpoint": before, "exported": after}
        return found | {"drop": drop}

    def _metric(self, run: Run, device_data: DeviceData, *, decoded: bool) -> float | None:
        """The monitor of a model on windows of `device_data`; `decoded`: its outputs are in the units of the data."""
        outputs = predict(run, device_data.windows(self.index), Precision(CPU), self.batch)
        pred = self._in_task_units(outputs) if decoded else self.task.decode(outputs)
        run_data = self.inference.run_data
        scored = Predictions(self.index, pred, run_data.truth(self.task, self.index))
        found = self.task.evaluate(
            scored, self.inference.calibration, self.device_data.eval_context(self.inference.names)
        )
        value: float | None = found[self.task.monitor]
        return value

    def _in_task_units(self, exported: torch.Tensor) -> np.ndarray:
        """Outputs in the units of the data, back in those of the task: the map between them is affine."""
        rows = torch.zeros((1, exported.shape[1], 1), dtype=torch.float64)
        offset = self.task.inverse_transform(rows)
        factor = self.task.inverse_transform(rows + 1) - offset
        back: np.ndarray = ((exported.double() - offset) / factor).numpy()
        return back.astype(np.float32) if factor.ne(1).any() else back


def latencies(calls: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Median milliseconds of each call on one thread, the calls in turn."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    spent: dict[str, list[float]] = {name: [] for name in calls}
    began = time.perf_counter()
    try:
        with torch.inference_mode():
            for n in range(ROUNDS + WARM):
                for name, call in calls.items():
                    start = time.perf_counter()
                    call()
                    spent[name].append(time.perf_counter() - start)
                if n > WARM and time.perf_counter() - began > MOST_SECONDS:
                    break
    finally:
        torch.set_num_threads(threads)
    return {name: 1e3 * float(np.median(seconds[WARM:])) for name, seconds in spent.items()}
