"""Runs in a tracker: settings, the numbers of each epoch as it ends, and the result."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from config import RunConfig
from errors import UsageError, without_password

log = logging.getLogger("tsrun")

LONGEST = 500  # characters of a setting that MLflow takes


class Mlflow:
    """One run of MLflow. Where it goes is MLflow's own to say: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME.

    Parameters
    ----------
    name : of the run.
    config : its settings.

    Raises
    ------
    UsageError : the extra is missing, or the place cannot be used.
    """

    def __init__(self, name: str, config: RunConfig) -> None:
        try:
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
        except ImportError:
            hint = "pip install -r requirements-mlflow.txt"
            raise UsageError("MLflow is not installed", where="--track mlflow", hint=hint) from None
        try:
            self.client = MlflowClient()
            experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "tsrun")
            known = self.client.get_experiment_by_name(experiment)
            place = known.experiment_id if known else self.client.create_experiment(experiment)
            self.id = self.client.create_run(place, run_name=name).info.run_id
        except MlflowException as error:
            what = without_password(str(error).splitlines()[0])
            raise UsageError(what, where="--track mlflow", hint="MLFLOW_TRACKING_URI names the place") from None
        self.lost = False
        with self._told():
            for key, value in config.flat().items():
                self.client.log_param(self.id, key, without_password(str(value))[:LONGEST])

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """The run goes on where the tracker does not: that is told once."""
        try:
            yield
        except Exception as error:  # MLflow and its stores raise of every kind
            if not self.lost:
                text = without_password(str(error).partition("\n")[0])
                log.warning("warning: MLflow takes nothing more, and the run goes on without it: %s", text)
            self.lost = True

    def epoch(self, line: Mapping[str, Any]) -> None:
        """Log an epoch's numbers."""
        self._metrics(line, step=line["epoch"])

    def result(self, content: Mapping[str, Any]) -> None:
        """Log the headline of the summary, `final_mae`, and that of each reference, `final_mae_mean`."""
        with self._told():
            self.client.set_tag(self.id, "split", content["split"])
        self._metrics({f"final_{name}": value for name, value in content["headline"].items()})
        for reference, row in content["references"].items():
            self._metrics({f"final_{name}_{reference}": row.get(name) for name in content["headline"]})

    def end(self, status: str, directory: str = "") -> None:
        """Close the run: FINISHED or FAILED, with the folder that has its files."""
        with self._told():
            if directory:
                self.client.set_tag(self.id, "directory", directory)
            self.client.set_terminated(self.id, status)

    def _metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        for name, value in values.items():
            if self.lost:
                return
            if name != "epoch" and isinstance(value, int | float):
                with self._told():
                    self.client.log_metric(self.id, name, value, step=step)


@contextlib.contextmanager
def tracked(config: RunConfig, name: str, directory: str) -> Iterator[Mlflow | None]:
    """The tracker that --track asks for, closed at the end; None without one."""
    if not config.track:
        yield None
        return
    run = Mlflow(name, config)
    try:
        yield run
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED", directory)
