"""Closed forms, trees and rules: fitted to the windows, histories or stretches of a fold in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

import ranks
import restore
from backbones.base import KnownAhead, Stretches
from backbones.fitted import Fitted
from backbones.fitting import Fitting, thin
from backbones.histories import HistoryFitting
from backbones.model import Forecaster, Model
from checkpoint import Checkpoint
from dataset import DeviceData, RunData
from splits import Split
from tasks.histories import before
from tasks.predictions import Tried
from tasks.stretches import Pieces, stretches
from training import resuming

Keep = Callable[[Mapping[str, torch.Tensor]], None]


@dataclass(frozen=True)
class ClosedForm:
    """The data of one fold, as backbones without epochs want them.

    run_data, device_data, split : of the fold.
    folder : of the run, where an interrupted one may have left members of a blend.
    """

    run_data: RunData
    device_data: DeviceData
    split: Split
    folder: Path

    @property
    def _seconds(self) -> float:
        return self.run_data.config.budget or float("inf")

    def windows(self, *, goes_on: bool = False, refit: bool = False) -> Fitting:
        """The windows of training and validation and their targets; the flags are those of `Fitting`."""
        config = self.run_data.config
        train, val = (self.device_data.labelled(index) for index in (self.split.train, self.split.val))
        loss = config.options.get("loss", "")
        return Fitting(train, val, config.seed, loss, goes_on, refit, seconds=self._seconds)

    def fit(self, model: Model | Forecaster, keep: Keep, *, goes_on: bool) -> dict[str, Any]:
        """Fit the backbone of a model to windows, to histories or to stretches, as it wants them.

        Parameters
        ----------
        model : on the device of the data.
        keep : saves what members of a blend that are finished said, [n, K] by name.
        goes_on : it knows something already (finetuning).

        Returns
        -------
        What was chosen, for the summary. "held_out" [n, K, H] are outputs for validation by a model that had not seen
        it; "tried" are backtests.
        """
        backbone, config, split = model.backbone, self.run_data.config, self.split
        refit = len(split.test) > 0 and config.eval_split in ("", "test")
        if backbone.answers and not isinstance(model, Forecaster):
            refit = refit and (self.run_data.per_row or config.split_mode == "group")  # rows are exchangeable
            done = resuming.finished_members(self.folder, self.run_data, model)
            windows = replace(self.windows(goes_on=goes_on, refit=refit), done=done, keep=keep)
            assert isinstance(backbone, Fitted)
            told, kind = backbone.fit_in_time(windows), backbone.target.kind
            if kind != "value":
                told["thin"] = thin(windows.val, kind, windows.train.y.mean(0).tolist(), epochs=False)
            if "held_out" in told:
                told["held_out"] = told["held_out"][:, :, None]
            return told
        if backbone.reads_history:
            data, done = self.histories(refit=refit), resuming.finished_members(self.folder, self.run_data, model)
            told = backbone.fit_histories(replace(data, seconds=self._seconds, done=done, keep=keep))
            if tried := told.pop("tried", ()):
                told["tried"] = Tried(self._before(refit=refit)[0].part(tried[0]), *tried[1:])
            return told
        told = backbone.fit(*self.laid())
        if isinstance(model, Forecaster):
            model.as_fitted()
        return told

    def again(self, model: Model | Forecaster, told: Mapping[str, Any]) -> None:
        """Fit a backbone that has been fitted once more, to all windows there are, with what was chosen then.

        Parameters
        ----------
        model : as the first fit left it.
        told : what that returned.
        """
        backbone, everything = model.backbone, self.run_data.index
        backbone.keep_chosen(told)
        if backbone.answers and not isinstance(model, Forecaster):
            data = self.windows()
            backbone.fit_windows(replace(data, train=self.device_data.labelled(everything), settled=True))
        elif backbone.reads_history:
            later, index = (self.device_data.histories(part) for part in (self.split.val, everything))
            ends = self.run_data.series.offsets[1:]
            whole = before(everything, ends, index, self._laid)
            laid = partial(self._laid, everything.pieces(), self.split.val.pieces())
            seed = self.run_data.config.seed
            backbone.fit_histories(HistoryFitting(index, later, laid, seed, settled=True, before=whole))
        else:
            train, val, _, known = self.laid()
            both, _, _, ahead = self._laid(everything.pieces(), [])
            backbone.fit(train, val, both, known and ahead and known._replace(both=ahead.train))

    def histories(self, *, refit: bool) -> HistoryFitting:
        """The histories of training and validation, and all that comes before the scored part."""
        index, val_from = self._before(refit=refit)
        past, later = map(self.device_data.histories, (self.split.train, self.split.val))
        earlier = before(index, val_from, self.device_data.histories(index), self._laid)
        return HistoryFitting(past, later, self.laid, self.run_data.config.seed, refit, earlier)

    def _before(self, *, refit: bool) -> Any:
        return self.split.before(self.run_data.index, self.run_data.series.offsets, refit)

    def laid(self) -> tuple[Stretches, Stretches, Stretches, KnownAhead | None]:
        """The stretches of training and validation: the arguments of `Backbone.fit`."""
        return self._laid(self.split.train.pieces(), self.split.val.pieces())

    def _laid(self, train: Pieces, val: Pieces) -> tuple[Stretches, Stretches, Stretches, KnownAhead | None]:
        data, offsets = self.device_data, self.run_data.series.offsets
        return stretches(data.inputs, data.known, train, val, offsets, data.task.horizon)


def solved(
    model: Model | Forecaster, fit: Callable[[], dict[str, Any]], snapshot: Callable[[], Checkpoint]
) -> tuple[dict[str, Any], Model | Forecaster]:
    """Fit a closed form with all processes of the run, or by the first of them, which gives it to the others.

    Parameters
    ----------
    model : that `fit` fits.
    fit : what `ClosedForm.fit` returns.
    snapshot : the checkpoint of the model, once it is fitted.

    Returns
    -------
    (what was chosen, the fitted model: another object where it came from the first process).
    """
    together, told = ranks.here(), {}
    if model.backbone.in_step:
        with ranks.in_step():
            told = fit()
    elif together.first:
        told = fit()
    if together.world == 1:
        return told, model
    file = None
    if together.first:
        file = snapshot()
        file = replace(file, state={name: value.cpu() for name, value in file.state.items()})
    told, file = together.agreed((told, file))
    if together.first:
        return told, model
    assert file is not None
    device = next(iter(model.state_dict().values())).device
    return told, restore.model_of(file).to(device)
