"""The scalers of a fold: fitted to what training sees, or those of the checkpoint that it starts from."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from checkpoint import Checkpoint
from dataset import RunData
from scaler import Scaler, far_warning
from sources import things

log = logging.getLogger("tsrun")


@dataclass(frozen=True)
class Scalers:
    """Of the model's input and of the channels known ahead (None without any); `warning` is told already."""

    seen: Scaler
    known: Scaler | None
    warning: str = ""


def scalers(run_data: RunData, seen: np.ndarray, start: Checkpoint | None) -> Scalers:
    """The scalers of a fold.

    Parameters
    ----------
    run_data : the run's data.
    seen : mask [total] of the steps that training sees.
    start : whose scalers are kept, unless --refit-scaler is given; None for a new model.
    """
    fresh = Scaler.fit(run_data.columns(), seen, run_data.channels)
    if fresh.constant:
        log.warning("warning: constant in training, so without information: %s", ", ".join(fresh.constant))
    if start is not None and not run_data.config.refit_scaler:
        far = start.scaler.far(fresh, run_data.series.ones)
        cure = " --refit-scaler fits the scaler to these"
        if run_data.series.things is not None:  # whose columns stay on the scales of the checkpoint
            far, cure = things.far(run_data.series), ""
        warning = far_warning(far, cure) if far else ""
        if far:
            log.warning("warning: %s", warning)
        return Scalers(start.scaler, start.known_scaler, warning)
    names = run_data.series.known
    known = Scaler.fit(run_data.series.values[run_data.covariates], seen, names) if names else None
    return Scalers(fresh, known)
