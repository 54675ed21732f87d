"""Training in stages: a backbone of two parts, the first trained by itself and then frozen under the second.

Stage `encoder` trains the part that encodes each step by itself, under a head that is thrown away. Stage `gru` freezes
it, encodes the whole time axis once into contexts, and trains the rest on windows of them; `all` is both, in one run
directory. The names of the files and stages are those of the first backbone of this kind.
"""

from __future__ import annotations

import hashlib
import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import checkpoint
import ranks
from backbones import ModelSpec, backbone_class, names
from backbones.model import Forecaster, Model
from checkpoint import ENCODER as ENCODER_FILE
from checkpoint import REST as REST_FILE
from checkpoint import Checkpoint
from config import RunConfig
from dataset import RunData
from errors import CheckpointError, UsageError, is_out_of_memory
from evaler import Judge
from finetune import sizes_in_words
from fusion import adapt
from hardware import device_for
from learner import Learner
from pages.run_page import complete
from rundir import Listener
from scaler import Scaler
from splits import Split
from tasks.base import Task
from trainer import Trainer
from training.progress import Progress
from windows import Readable, read

log = logging.getLogger("tsrun")
BLOCK = 1 << 16  # steps encoded at once


def stage_of(config: RunConfig, task: Task, argv: Sequence[str]) -> str:
    """The stage to train: `all` where the backbone has stages, the task takes them and --stage is not given.

    A forecast does not take them: it standardises each window, so the same step differs from window to window.

    Raises
    ------
    UsageError : a stage for a backbone or a task without stages.
    CheckpointError : stage `gru` without an encoder.
    """
    where, end_to_end = f"--stage {config.stage}", config.stage in ("", "end2end")
    if not backbone_class(config.backbone).stages:
        if config.stage_args:
            raise UsageError(
                f"{config.backbone} has no stages", where="--stage-args", hint="--epochs, --batch-size, --lr"
            )
        if not end_to_end:
            able = [name for name in names() if backbone_class(name).stages]
            raise UsageError(f"{config.backbone} has no stages; {' and '.join(able)} has", where=where)
        return config.stage
    forecasts = task.head == "forecast"
    if forecasts and not end_to_end:
        raise UsageError("a forecast standardises each window, so no step can be encoded by itself", where=where)
    if config.stage == "gru":
        _find_encoder(config, argv)
    return config.stage or ("end2end" if forecasts else "all")


def _find_encoder(config: RunConfig, argv: Sequence[str]) -> Path:
    """The file that `--encoder` means: itself, or in a directory of a run of stage `encoder` or `all`."""
    given = Path(config.encoder)
    candidates = [given / ENCODER_FILE, given / "encoder" / ENCODER_FILE] if given.is_dir() else [given]
    for path in candidates if config.encoder else []:
        if path.is_file():
            return path
    words, skip = [], False
    for word in argv:
        if not skip and not word.startswith(("--stage=", "--encoder=")) and word not in ("--stage", "--encoder"):
            words.append(word)
        skip = word in ("--stage", "--encoder")
    command = "python run.py " + shlex.join([*words, "--stage", "encoder"])
    what = f"no {ENCODER_FILE} there" if config.encoder else "--stage gru requires --encoder DIR"
    raise CheckpointError(what, where=f"--encoder {config.encoder}".strip(), hint=f"this makes one: {command}")


def whole(
    run_data: RunData,
    task: Task,
    split: Split,
    device: torch.device,
    start: Checkpoint | None,
    listener: Listener | None = None,
) -> Learner:
    """The learner that trains the whole model at once, from fresh weights or from an (adapted) checkpoint."""
    if start is not None and run_data.config.adapt_modality:
        start = adapt.adapt(start, run_data, task, split)
    return Learner(run_data, task, split, device, start, listener)


def run(
    run_data: RunData,
    task: Task,
    split: Split,
    device: torch.device,
    start: Checkpoint | None,
    listener: Listener | None,
    folder: Path,
    name: str,
    argv: Sequence[str],
) -> tuple[dict[str, Any], Learner]:
    """Train the stage, or both, that the configuration names.

    Parameters
    ----------
    run_data, task, split, device, start : as for `Learner`.
    listener : follows the last stage.
    folder : where the files go.
    name, argv : the name of the run and the command line, for the manifest.

    Returns
    -------
    (the content of the summary, the learner of the last stage).
    """
    stage, path, spent = run_data.config.stage, folder / "encoder" / ENCODER_FILE, 0.0
    first, second = backbone_class(run_data.config.backbone).stages or ("", "")
    learner: Learner
    if start is not None or stage in ("", "end2end"):
        learner = whole(run_data, task, split, device, start, listener)
    elif stage == "encoder":
        learner = EncoderLearner(_for_part(run_data, first), task, split, device, listener)
    else:
        if stage == "gru":
            path = _find_encoder(run_data.config, argv)
        else:
            spent = _first_of_two(_for_part(run_data, first), task, split, device, path, name, argv)
            log.info("stage 2 of 2: %s", second)
        learner = RestLearner(_for_part(run_data, second), task, split, device, path, spent=spent, listener=listener)
    _tell_sizes(learner)
    return learner.run(folder, name, argv), learner


def _tell_sizes(learner: Learner) -> None:
    """Tell how large the parts of a backbone of two parts are."""
    if learner.model.backbone.stages:
        log.info("parameters: %s", sizes_in_words(learner.model))


def _for_part(run_data: RunData, part: str) -> RunData:
    """The same data with the settings of one stage."""
    return replace(run_data, config=run_data.config.for_part(part))


def _first_of_two(
    run_data: RunData, task: Task, split: Split, device: torch.device, path: Path, name: str, argv: Sequence[str]
) -> float:
    """Train the encoder into the folder of `path`, unless an interrupted run has done so; returns its seconds."""
    together = ranks.here()
    if not together.agreed(complete(path.parent)):
        path.parent.mkdir(exist_ok=True)
        log.info("stage 1 of 2: encoder")
        learner = EncoderLearner(run_data, task, split, device)
        learner.compares = False  # the second stage compares
        _tell_sizes(learner)
        learner.run(path.parent, name, argv)
    together.meet()
    return Encoder.load(path).seconds


@dataclass(frozen=True)
class Encoder:
    """The trained first part of a backbone: the content of attention_encoder.pt."""

    model: ModelSpec
    state: dict[str, torch.Tensor]
    scaler: Scaler
    input_channels: list[str]
    split: dict[str, Any]
    sources: tuple[str, ...]
    seconds: float  # of training

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        plain = {"model": self.model.plain(), "scaler": self.scaler.plain(), "sources": list(self.sources)}
        checkpoint.save(path, vars(self) | plain)

    @classmethod
    def load(cls, path: Path) -> Encoder:
        """Read and verify a file. CheckpointError for any other file."""
        found = checkpoint.read_fields(path, cls)
        found |= {"model": ModelSpec.of(found["model"]), "scaler": Scaler.of(found["scaler"])}
        return cls(**found | {"sources": tuple(found["sources"])})


class EncoderLearner(Learner):
    """Trains the first part of a backbone alone, and writes it into a separate file beside the checkpoints."""

    def __init__(
        self, run_data: RunData, task: Task, split: Split, device: torch.device, listener: Listener | None = None
    ) -> None:
        self.part = backbone_class(run_data.config.backbone).stages[0]
        super().__init__(run_data, task, split, device, None, listener)

    def _describe(self, judge: Judge, argv: Sequence[str]) -> None:
        series = self.run_data.series
        encoder = Encoder(
            model=self.model.spec,
            state=_below(self.model, f"backbone.{self.part}."),
            scaler=self.scaler,
            input_channels=list(series.columns),
            split=dict(self.split.how),
            sources=series.hashes,
            seconds=self.progress.seconds,
        )
        encoder.save(self.folder / ENCODER_FILE)
        super()._describe(judge, argv)


class RestLearner(Learner):
    """Trains what follows a frozen first part; `spent` is how many seconds the first part took in this run."""

    def __init__(
        self,
        run_data: RunData,
        task: Task,
        split: Split,
        device: torch.device,
        path: Path,
        *,
        spent: float,
        listener: Listener | None,
    ) -> None:
        self.encoder, self.path, self.spent = Encoder.load(path), path, spent
        self.first = f"backbone.{backbone_class(run_data.config.backbone).stages[0]}"
        self.frozen = (self.first,)
        self._check(run_data, split)
        super().__init__(run_data, task, split, device, None, listener)

    def _check(self, run_data: RunData, split: Split) -> None:
        """CheckpointError for an encoder of other channels, or one that may have seen the test windows of this run."""
        encoder, where = self.encoder, f"--encoder {self.path}"
        if encoder.model.backbone != run_data.config.backbone:
            raise CheckpointError(f"is not an encoder of {run_data.config.backbone}", where=where)
        if encoder.model.modalities != run_data.modalities or encoder.scaler.channels != tuple(run_data.channels):
            had = _listed(encoder.model.modalities, encoder.scaler.channels)
            have = _listed(run_data.modalities, run_data.channels)
            raise CheckpointError(f"was trained on other channels: {had}; these data have {have}", where=where)
        if encoder.sources == run_data.series.hashes and encoder.split != split.how:
            what = "was trained on another split of these files, and may have seen this run's test windows"
            raise CheckpointError(what, where=where, hint="the same split flags for both stages")

    def _scalers(self) -> tuple[Scaler, Scaler | None]:
        return self.encoder.scaler, super()._scalers()[1]

    def new_model(self) -> Model | Forecaster:
        model = super().new_model()
        try:
            model.get_submodule(self.first).load_state_dict(self.encoder.state)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            had, have = (dict(args) or "defaults" for args in (self.encoder.model.args, self.config.model_args))
            hint = "the same --model-args for both stages"
            raise CheckpointError(
                f"has other dimensions: {had}, here {have}", where=f"--encoder {self.path}", hint=hint
            ) from None
        return model

    def train(self) -> Progress:
        raw = self.device_data.inputs
        encoder = self.model.get_submodule(self.first)
        with self.run_data.timed("encode"):
            self.device_data.inputs = _contexts(encoder, raw, self.device)
        self.model.backbone.encoded = True
        try:
            progress = super().train()
        finally:
            self.device_data.inputs, self.model.backbone.encoded = raw, False
        return replace(progress, seconds=progress.seconds + self.spent)

    def _resume(self, trainer: Trainer, last: checkpoint.Checkpoint) -> None:
        super()._resume(trainer, last)
        mine = _below(self.model, f"{self.first}.")
        if any(not torch.equal(value.cpu(), self.encoder.state[key]) for key, value in mine.items()):
            raise CheckpointError("the encoder has changed since the run was interrupted", where="--resume")

    def _describe(self, judge: Judge, argv: Sequence[str]) -> None:
        rest = {key: value for key, value in self.model.state_dict().items() if not key.startswith(f"{self.first}.")}
        kept = {"model": self.model.spec.plain(), "state": rest, "encoder": _digest(self.encoder.state)}
        checkpoint.save(self.folder / REST_FILE, kept)
        super()._describe(judge, argv)


def _contexts(encoder: torch.nn.Module, inputs: torch.Tensor | Readable, device: torch.device) -> torch.Tensor:
    """The contexts of all steps of the flat time axis: [C, total] -> [width, total]."""
    encoder.eval()
    found: torch.Tensor | None = None
    with torch.no_grad():
        for begin in range(0, inputs.shape[1], BLOCK):
            count = min(BLOCK, inputs.shape[1] - begin)
            part = encoder(read(inputs, torch.tensor([begin], device=inputs.device), count).to(device))[0]
            if found is None:
                result_device = device_for(4 * part.shape[0] * inputs.shape[1], device)
                found = torch.empty(part.shape[0], inputs.shape[1], device=result_device)
            found[:, begin : begin + BLOCK] = part
    assert found is not None
    return found


def _below(model: torch.nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """The weights of a submodule without the prefix in their names, on the CPU."""
    return {
        key.removeprefix(prefix): value.detach().cpu().clone()
        for key, value in model.state_dict().items()
        if key.startswith(prefix)
    }


def _digest(state: Mapping[str, torch.Tensor]) -> str:
    """A checksum of weights: it shows on which encoder the rest was trained."""
    digest = hashlib.sha256()
    for key, value in state.items():
        digest.update(key.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _listed(modalities: Mapping[str, int] | None, channels: Sequence[str]) -> str:
    """Channels for a message: by modality, or the first few names."""
    if modalities:
        return ", ".join(f"{name} {count}" for name, count in modalities.items())
    return f"{len(channels)} ({', '.join(channels[:4])}{', ...' if len(channels) > 4 else ''})"
