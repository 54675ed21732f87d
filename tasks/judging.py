"""The part of a task's contract that judges and writes: what is chosen on validation, metrics, references, files.

`truth` and `pred` are arrays `[n, K, H]` in the units of the task, as in base.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pages.frames import Frame
from tasks.blocks import Sliced, added
from tasks.predictions import EvalContext, PlotInputs, Predictions, Predictor
from windows import Index


class Judging(ABC):
    """How the predictions of a task are evaluated, compared, drawn and written."""

    headline: tuple[str, ...]  # the metrics of the summary that come first in tables
    opens: tuple[str, ...]  # the files of a run to look at first

    def shown(self, names: Sequence[str], coverage: float | None = None) -> dict[str, str]:
        """The printed table: {header, with the unit where there is one: where `evaluate` has the value, with dots}.

        Parameters
        ----------
        names : the K outputs.
        coverage : of the intervals that the run has; None without any.
        """
        return {name: name for name in self.headline}

    def first_values(
        self, eval_context: EvalContext, calibration: Mapping[str, Any], part: Predictions, *, ahead: bool
    ) -> list[str]:
        """A few lines of what was predicted, for whoever typed the command.

        Parameters
        ----------
        eval_context, calibration : as in `write`.
        part : predictions [n, K, H].
        ahead : whether they are those past the end of every row.
        """
        return []

    # --- evaluation --------------------------------------------------------------------------------------------------

    @abstractmethod
    def val_metrics(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
        """The few metrics to follow over epochs, of truth and pred [n, K, H]; the monitor is one. None: undefined."""

    def val_sums(self, truth: np.ndarray, pred: np.ndarray) -> dict[str, np.ndarray]:
        """What `of_sums` makes `val_metrics` from: those of all windows are the sums of those of some. Asked of a task
        that goes on in blocks; by default the metrics are means over the truths that are known."""
        known = int((~np.isnan(truth)).sum())
        found = self.val_metrics(truth, pred).items()
        return {name: np.zeros(2) if value is None else known * np.array([value, 1]) for name, value in found}

    def of_sums(self, sums: Mapping[str, np.ndarray]) -> dict[str, float | None]:
        """The metrics of `val_metrics` from what `val_sums` gives, added up over windows."""
        return {name: float(total / count) if count else None for name, (total, count) in sums.items()}

    def val_metrics_of(self, scored: Predictions) -> dict[str, float | None]:
        """`val_metrics` of predictions whose truth is known, a block at a time where they are large."""
        if not isinstance(scored.truth, Sliced):
            return self.val_metrics(*scored.judged())
        return self.of_sums(added(self.val_sums(*block.judged()) for _, block in scored.blocks()))

    @abstractmethod
    def choose_thresholds(
        self, val: Predictions | None, names: Sequence[str], eval_context: EvalContext | None = None
    ) -> dict[str, Any]:
        """Choose on validation: thresholds of probabilities, margins of intervals.

        Parameters
        ----------
        val : predictions [n, K, H] with their truth; None for the defaults.
        names : the K outputs. eval_context : the data that `val` belongs to.

        Returns
        -------
        Plain values and tensors by name; lists have one value for each of the K outputs.
        """

    def width(self, calibration: Mapping[str, Any], eval_context: EvalContext, index: Index) -> float:
        """How much is left open at windows by what `choose_thresholds` gave: of several the widest is kept."""
        return 0.0

    def recalibrated(self, calibration: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """What a checkpoint chose for its K outputs `names`, with what this run's flags say otherwise."""
        return dict(calibration)

    @abstractmethod
    def evaluate(
        self, scored: Predictions, calibration: Mapping[str, Any], eval_context: EvalContext
    ) -> dict[str, Any]:
        """Every metric of the summary.

        Parameters
        ----------
        scored : predictions [n, K, H] whose truth is known.
        calibration : what `choose_thresholds` returned.
        eval_context : the data, for times and names.

        Returns
        -------
        Plain values by name, "n", the monitor and all of `headline` among them; None where one is undefined.
        """

    @abstractmethod
    def references(self, eval_context: EvalContext, train: Index | None, val: Index | None) -> dict[str, Predictor]:
        """The reference predictors that a model is compared with, by name.

        Parameters
        ----------
        eval_context : the data that they read.
        train, val : windows to fit on; None in inference, where those of `fitted_references` are left out.

        Returns
        -------
        {name: function from an Index to predictions [n, K, H] in the task's units}.
        """

    # --- files -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def write(
        self,
        folder: Path,
        eval_context: EvalContext,
        calibration: Mapping[str, Any],
        scored: Sequence[Predictions],
        ahead: Predictions | None,
    ) -> dict[str, list[np.ndarray]]:
        """Write the predictions as files.

        Parameters
        ----------
        folder : the run's.
        eval_context : the data, for times and names.
        calibration : what `choose_thresholds` returned.
        scored : predictions [n, K, H] of windows whose target is in the data.
        ahead : predictions of the last context of every row, the target not yet seen; None where there are none.

        Returns
        -------
        {file: [how many lines each row has, int64 [N], for each part of the file that goes through all rows]}, of the
        files whose lines are of one row each: those of shards are joined.
        """

    @abstractmethod
    def plots(self, folder: Path, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> None:
        """Write the task's pictures.

        Parameters
        ----------
        folder : the run's.
        eval_context : the data, for times and names.
        calibration : what `choose_thresholds` returned.
        shown : predictions [n, K, H] to draw, and the figures of the references.
        """

    def course(self, eval_context: EvalContext, calibration: Mapping[str, Any], shown: PlotInputs) -> list[Frame]:
        """Truth and prediction over time, for the page of the run.

        Parameters
        ----------
        eval_context, calibration, shown : as in `plots`.

        Returns
        -------
        Frames: a few rows of the data, or the ends of them; [] where there is nothing over time to see.
        """
        return []
