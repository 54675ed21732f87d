"""--refit: once a model is judged, another is trained on all windows, and takes the first one's place in the run.

What was chosen stays: epochs, hyperparameters, weights of members, scaler, thresholds, margins. No score is claimed for
it: nothing is left that it has not seen.
"""

from __future__ import annotations

import copy
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import checkpoint
import restore
from backbones import backbone_class
from errors import UsageError
from evaler import Case, Judge
from finetune import choose_parameters, trains_in_epochs
from learner import Learner
from rundir import Listener, write_json
from training.states import clone_state

log = logging.getLogger("tsrun")
SCORED = "model.pt.scored"  # the weights that the figures are of


def check(backbone: str) -> None:
    """UsageError for a blend of finished runs: those are what would be trained."""
    if backbone_class(backbone).blends_runs:
        raise UsageError(
            f"{backbone} blends finished runs and trains nothing", where="--refit", hint="--refit for each member"
        )


def refit(learner: Learner, folder: Path) -> dict[str, Any]:
    """Train a model on everything and put it in the place of the best; returns what it adds to the summary.

    Parameters
    ----------
    learner : of the run, or of its last fold: trained and judged.
    folder : of the run's files, which are there already.
    """
    best = folder / checkpoint.BEST
    scored = checkpoint.Checkpoint.load(best)
    learner.model.load_state_dict(scored.state)
    windows, epochs = len(learner.run_data.index), learner.progress.best_epoch
    by_epochs = bool(learner.progress.epoch)
    log.info("once more on all %s windows%s", f"{windows:,}", f", {epochs} epochs" if by_epochs else "")
    with learner.run_data.timed("refit"):
        made = trained(learner)
    told: dict[str, Any] = {"windows": windows, **({"epochs": epochs} if by_epochs else {})}
    if learner.frozen:
        told["as_before"] = list(learner.frozen)
        log.info("%s stays as an earlier training stage left it: it has not seen validation and test", *learner.frozen)
    file = made.snapshot(clone_state(made.model))
    kept = scored.config | {"refit": True}
    part = folder / f"{SCORED}.part"
    shutil.copy2(best, part)
    replace(file, config=kept, calibration=scored.calibration, refit=told).save(best)
    _forecast(learner, made, folder)
    words = f"{checkpoint.BEST} was trained once more on all {windows:,} windows"
    words += f", {epochs} epochs" if by_epochs else ""
    words += "".join(f", all but {part}, which an earlier training stage made" for part in learner.frozen)
    told["in_words"] = f"{words}; the figures are those of {SCORED}, and none are claimed for it"
    _note(learner, folder, told)
    part.rename(folder / SCORED)  # last: where it is, nothing is left to do
    return {"refit": told}


def trained(first: Learner) -> Learner:
    """A learner of everything there is, with the constants and choices of the first; its model is trained so."""
    made, epochs = copy.copy(first), first.progress.best_epoch
    made.final = True
    made.split = replace(first.split, train=first.run_data.index)
    made.config = replace(first.config, epochs=max(epochs, 1), patience=0, resume=False, tensorboard=False)
    made.listener, made.warnings, made.tried, made.held_out, made.said = Listener(), [], None, None, {}
    torch.manual_seed(first.config.seed)
    if not trains_in_epochs(first.model, first.config):
        if first.model.backbone.closed_form:
            made.closed().again(first.model, first.solution)
        return made
    made.model = (first.new_model() if first.start is None else restore.model_of(first.start)).to(first.device)
    choose_parameters(made.model, first.config, first.start, first.frozen)
    if epochs:
        made.train()
    else:
        made.stand()
        made.joined({"best": clone_state(made.model)}, made.progress)
    return made


def _forecast(learner: Learner, made: Learner, folder: Path) -> None:
    """What comes after the last rows, by the model that has seen them."""
    ahead = learner.run_data.ahead
    if learner.task.autoregressive and len(ahead):
        evaluator = made.evaluator()
        case = Case(folder.name, "all", "trained on everything", 0, 0.0)
        judge = Judge(evaluator, learner.names, learner.calibration, folder, case)
        judge.write([], evaluator.score(ahead, label_known=False))


def _note(learner: Learner, folder: Path, told: dict[str, Any]) -> None:
    """Say so in the summary and in the manifest."""
    for name in (learner.task.summary, "manifest.json"):
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        write_json(folder / name, content | {"refit": told})
