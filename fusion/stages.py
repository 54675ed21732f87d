"""Training in stages: a backbone of two parts, the first trained apart and then frozen under the second.

Stage `encoder` trains the part that looks at each step by itself, under a head that is thrown away. Stage `gru` keeps
it, makes its contexts once along the whole time axis, and trains the rest on windows of them; `all` is both, in one
run directory. The file names and the stages' names are those of the first backbone of this kind.
"""

from __future__ import annotations

import hashlib
import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import checkpoint
import finetune
from backbones import backbone_class, names
from backbones.model import Forecaster, Model
from config import RunConfig
from dataset import RunData
from errors import CheckpointError, UsageError
from fusion import adapt
from hardware import place
from learner import Learner, OnEpoch
from scaler import Scaler
from splits import Split
from tasks.base import Task
from trainer import Progress, Trainer
from windows import Readable, read

log = logging.getLogger("tsrun")
ENCODER_FILE, REST_FILE = "attention_encoder.pt", "gru_model.pt"
BLOCK = 1 << 16  # steps encoded at once


def settle(config: RunConfig, task: Task, argv: Sequence[str]) -> RunConfig:
    """The configuration with its stage: `all` where the backbone has stages and the task takes them.

    A forecast does not: it sees each window standardised, so that a step has no context of its own. UsageError for a
    stage where there are none; CheckpointError where stage `gru` has no encoder to stand on.
    """
    if config.mode != "train":
        return config
    where = f"--stage {config.stage}"
    if not backbone_class(config.backbone).stages:
        if config.stage not in ("", "end2end"):
            able = [name for name in names() if backbone_class(name).stages]
            raise UsageError(f"{config.backbone} is one piece; {' and '.join(able)} has stages", where=where)
        return config
    if task.head == "forecast" and config.stage not in ("", "end2end"):
        raise UsageError("forecasts see each window standardised: no step has a context of its own", where=where)
    config = replace(config, stage=config.stage or ("end2end" if task.head == "forecast" else "all"))
    if config.stage == "gru":
        _find(config, argv)
    return config


def _find(config: RunConfig, argv: Sequence[str]) -> Path:
    """The file that `--encoder` means: itself, or in a directory of a run of stage `encoder` or `all`."""
    given = Path(config.encoder)
    places = [given / ENCODER_FILE, given / "encoder" / ENCODER_FILE] if given.is_dir() else [given]
    for path in places if config.encoder else []:
        if path.is_file():
            return path
    words, skip = [], False
    for word in argv:
        if not skip and not word.startswith(("--stage=", "--encoder=")) and word not in ("--stage", "--encoder"):
            words.append(word)
        skip = word in ("--stage", "--encoder")
    command = "python run.py " + shlex.join([*words, "--stage", "encoder"])
    what = f"no {ENCODER_FILE} there" if config.encoder else "stage gru stands on an encoder, and none is named"
    raise CheckpointError(what, where=f"--encoder {config.encoder}".strip(), hint=f"this makes one: {command}")


def whole(
    run_data: RunData,
    task: Task,
    split: Split,
    device: torch.device,
    stored: Mapping[str, Any] | None,
    on_epoch: OnEpoch | None = None,
) -> Learner:
    """What trains the model in one go: from the start, or from a checkpoint (fitted to a changed sensor)."""
    if stored is not None and run_data.config.adapt_modality:
        stored = adapt.adapt(stored, run_data, task, split)
    return Learner(run_data, task, split, device, stored, on_epoch)


def run(
    run_data: RunData,
    task: Task,
    split: Split,
    device: torch.device,
    stored: Mapping[str, Any] | None,
    on_epoch: OnEpoch | None,
    folder: Path,
    name: str,
    argv: Sequence[str],
) -> tuple[dict[str, Any], Learner]:
    """Train what the configuration's stage says into `folder`; the content of the summary, and what trained it.

    `on_epoch` hears of the epochs of the last stage.
    """
    stage, path, spent = run_data.config.stage, folder / "encoder" / ENCODER_FILE, 0.0
    learner: Learner
    if stored is not None or stage in ("", "end2end"):
        learner = whole(run_data, task, split, device, stored, on_epoch)
    elif stage == "encoder":
        learner = EncoderLearner(run_data, task, split, device, on_epoch)
    else:
        if stage == "gru":
            path = _find(run_data.config, argv)
        else:
            spent = _first_of_two(run_data, task, split, device, path, name, argv)
            log.info("stage 2 of 2: gru")
        learner = RestLearner(run_data, task, split, device, path, spent=spent, on_epoch=on_epoch)
    return learner.run(folder, name, argv), learner


def _first_of_two(
    run_data: RunData, task: Task, split: Split, device: torch.device, path: Path, name: str, argv: Sequence[str]
) -> float:
    """Train the encoder in the folder of `path`, unless an interrupted run has; the seconds that it took."""
    if not (path.parent / "manifest.json").is_file():  # written last
        path.parent.mkdir(exist_ok=True)
        log.info("stage 1 of 2: encoder")
        alone = replace(run_data, config=replace(run_data.config, reference="off"))  # the second stage compares
        EncoderLearner(alone, task, split, device).run(path.parent, name, argv)
    seconds: float = checkpoint.load(path)["seconds"]
    return seconds


class EncoderLearner(Learner):
    """Trains a backbone's first part alone, and leaves it as a file of its own beside the run's checkpoints."""

    def __init__(
        self, run_data: RunData, task: Task, split: Split, device: torch.device, on_epoch: OnEpoch | None = None
    ) -> None:
        self.part = backbone_class(run_data.config.backbone).stages[0]
        super().__init__(run_data, task, split, device, None, on_epoch)

    def _describe(self, argv: Sequence[str], progress: Progress, content: Mapping[str, Any]) -> None:
        series = self.run_data.series
        kept = {
            "model": self.model.spec.plain(),
            "state": _below(self.model, f"backbone.{self.part}."),
            "scaler": self.scaler.plain(),
            "input_channels": list(series.channels),
            "split": self.split.how,
            "sources": [source.sha256 for source in series.sources],
            "seconds": progress.seconds,
        }
        checkpoint.save(self.folder / ENCODER_FILE, kept)
        super()._describe(argv, progress, content)


class RestLearner(Learner):
    """Trains what stands on a frozen first part; `spent` are the seconds that the first part took in this run."""

    def __init__(
        self,
        run_data: RunData,
        task: Task,
        split: Split,
        device: torch.device,
        path: Path,
        *,
        spent: float,
        on_epoch: OnEpoch | None,
    ) -> None:
        self.encoder, self.path, self.spent = checkpoint.load(path), path, spent
        self.first = f"backbone.{backbone_class(run_data.config.backbone).stages[0]}"
        self._check(run_data, split)
        super().__init__(run_data, task, split, device, None, on_epoch)
        frozen = replace(self.config, freeze=(self.first,))
        self.parameters = finetune.choose_parameters(self.model, frozen, None)

    def _check(self, run_data: RunData, split: Split) -> None:
        """CheckpointError for an encoder of other channels or sizes, or one that may have seen this run's test."""
        theirs, where = self.encoder, f"--encoder {self.path}"
        lacking = {"model", "state", "scaler", "input_channels", "split", "sources", "seconds"} - theirs.keys()
        if lacking or theirs["model"]["backbone"] != run_data.config.backbone:
            raise CheckpointError(f"is no encoder of {run_data.config.backbone}", where=where)
        if theirs["model"].get("modalities") != run_data.modalities or theirs["scaler"]["channels"] != [
            *run_data.channels
        ]:
            had, have = (_shown(*of) for of in ((theirs["model"], theirs["scaler"]["channels"]), _mine(run_data)))
            raise CheckpointError(f"was trained on other channels: {had}; these data have {have}", where=where)
        if theirs["sources"] == [s.sha256 for s in run_data.series.sources] and theirs["split"] != split.how:
            what = "was trained on other parts of these files, and may have seen this run's test"
            raise CheckpointError(what, where=where, hint="the same split flags for both stages")

    def _scalers(self) -> tuple[Scaler, Scaler | None]:
        return Scaler.of(self.encoder["scaler"]), super()._scalers()[1]

    def _fresh_model(self) -> Model | Forecaster:
        model = super()._fresh_model()
        try:
            model.get_submodule(self.first).load_state_dict(self.encoder["state"])
        except RuntimeError:
            had, have = (dict(args) or "defaults" for args in (self.encoder["model"]["args"], self.config.model_args))
            hint = "the same --model-args for both stages"
            raise CheckpointError(
                f"has other dimensions: {had}, here {have}", where=f"--encoder {self.path}", hint=hint
            ) from None
        return model

    def _train(self) -> Progress:
        raw = self.device_data.inputs
        encoder = self.model.get_submodule(self.first)
        with self.run_data.timed("encode"):
            self.device_data.inputs = _contexts(encoder, raw, self.device)
        self.model.backbone.encoded = True
        try:
            progress = super()._train()
        finally:
            self.device_data.inputs, self.model.backbone.encoded = raw, False
        return replace(progress, seconds=progress.seconds + self.spent)

    def _restore(self, trainer: Trainer) -> None:
        super()._restore(trainer)
        mine = _below(self.model, f"{self.first}.")
        if any(not torch.equal(value.cpu(), self.encoder["state"][key]) for key, value in mine.items()):
            raise CheckpointError("the encoder has changed since the run was interrupted", where="--resume")

    def _describe(self, argv: Sequence[str], progress: Progress, content: Mapping[str, Any]) -> None:
        rest = {key: value for key, value in self.model.state_dict().items() if not key.startswith(f"{self.first}.")}
        kept = {"model": self.model.spec.plain(), "state": rest, "encoder": _digest(self.encoder["state"])}
        checkpoint.save(self.folder / REST_FILE, kept)
        super()._describe(argv, progress, content)


def _contexts(encoder: torch.nn.Module, inputs: torch.Tensor | Readable, device: torch.device) -> torch.Tensor:
    """The encoder over the flat time axis: [C, total] -> [width, total]. A step's context is its own alone."""
    encoder.eval()
    found: torch.Tensor | None = None
    with torch.no_grad():
        for begin in range(0, inputs.shape[1], BLOCK):
            count = min(BLOCK, inputs.shape[1] - begin)
            part = encoder(read(inputs, torch.tensor([begin], device=inputs.device), count).to(device))[0]
            if found is None:
                home = place(4 * part.shape[0] * inputs.shape[1], device)
                found = torch.empty(part.shape[0], inputs.shape[1], device=home)
            found[:, begin : begin + BLOCK] = part
    assert found is not None
    return found


def _below(model: torch.nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """The weights of a submodule under its own names, on the CPU."""
    return {
        key.removeprefix(prefix): value.detach().cpu().clone()
        for key, value in model.state_dict().items()
        if key.startswith(prefix)
    }


def _digest(state: Mapping[str, torch.Tensor]) -> str:
    """A checksum of weights, which says what the rest was trained on."""
    digest = hashlib.sha256()
    for key, value in state.items():
        digest.update(key.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _mine(run_data: RunData) -> tuple[Mapping[str, Any], Sequence[str]]:
    return {"modalities": run_data.modalities, "channels": len(run_data.channels)}, run_data.channels


def _shown(spec: Mapping[str, Any], channels: Sequence[str]) -> str:
    """Channels for a message: by modality, or the first few names."""
    if spec.get("modalities"):
        return ", ".join(f"{name} {count}" for name, count in spec["modalities"].items())
    return f"{spec['channels']} ({', '.join(channels[:4])}{', ...' if len(channels) > 4 else ''})"
