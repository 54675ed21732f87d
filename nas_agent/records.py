"""The objects of a script: a run and the state of a study, JSON objects whose keys are attributes too."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from errors import DataError, UsageError
from metrics import clean_json

MAX_RUNS = 100  # of a study that sets no other number
RUN_KEYS = ("run_id", "val_mse", "test_mse", "history_summary", "accepted")
_RUN_ID = re.compile(r"run_(\d{4,9})")


def run_name(number: int) -> str:
    """`run_0000` for 0."""
    return f"run_{number:04d}"


def run_number(run_id: str) -> int | None:
    """0 for `run_0000`; None for any other name."""
    match = _RUN_ID.fullmatch(run_id)
    return int(match[1]) if match else None


def as_run_id(run_id: str | int) -> str:
    """`run_0000` for 0 and for `run_0000`. UsageError for a path out of the study's folder."""
    if isinstance(run_id, int) and not isinstance(run_id, bool) and 0 <= run_id < 10**9:
        return run_name(run_id)
    if isinstance(run_id, str) and re.fullmatch(r"\w[\w.-]{0,99}", run_id):
        return run_id
    raise UsageError(f"{run_id!r} is not a run id", hint="run_0000, or its number")


class _Record(dict[str, Any]):
    """A JSON object; `record.key` is `record["key"]`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class RunInfo(_Record):
    """One finished run, `{run_id, val_mse, test_mse, history_summary, accepted}`.

    `run_id` is `run_0000` or its number. A metric that is missing, NaN or infinite is None, and a run without `val_mse`
    has failed. By default `accepted` says whether its validation MSE is the best so far.
    """

    run_id: str
    val_mse: float | None
    test_mse: float | None
    history_summary: str
    accepted: bool | None

    def __init__(
        self,
        run_id: str | int,
        val_mse: float | None = None,
        test_mse: float | None = None,
        history_summary: str = "",
        accepted: bool | None = None,
    ) -> None:
        super().__init__(
            run_id=as_run_id(run_id),
            val_mse=_number(val_mse, "val_mse"),
            test_mse=_number(test_mse, "test_mse"),
            history_summary=str(history_summary),
            accepted=None if accepted is None else bool(accepted),
        )

    @classmethod
    def of(cls, content: Any, where: str = "a run") -> RunInfo:
        """From a mapping with these keys. DataError for anything else."""
        if not isinstance(content, Mapping) or "run_id" not in content:
            raise DataError("a run is a mapping with a run_id", where=where, hint=f"keys: {', '.join(RUN_KEYS)}")
        if strange := [str(key) for key in content if key not in RUN_KEYS]:
            raise DataError(f"a run has no {', '.join(strange)}", where=where, hint=f"keys: {', '.join(RUN_KEYS)}")
        return cls(**content)


def _number(value: Any, name: str) -> float | None:
    value = clean_json(value)  # numpy's and torch's numbers become Python's, NaN and infinity None
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UsageError(f"{value!r} is not a number", where=name) from None
    return number if math.isfinite(number) else None


class AgentState(_Record):
    """`{max_runs, best_run_id, runs: [RunInfo]}`: what agent_state.json holds. `max_runs` None: any number."""

    max_runs: int | None
    best_run_id: str | None
    runs: list[RunInfo]

    def __init__(
        self, max_runs: int | None = MAX_RUNS, best_run_id: str | None = None, runs: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        made = [RunInfo.of(run, f"runs[{place}]") for place, run in enumerate(runs)]
        super().__init__(max_runs=check_count(max_runs, "max_runs"), best_run_id=best_run_id, runs=made)

    @classmethod
    def of(cls, content: Any, where: str) -> AgentState:
        """From the JSON object of agent_state.json. DataError if it is none."""
        keys = ("max_runs", "best_run_id", "runs")
        if not isinstance(content, Mapping) or not isinstance(content.get("runs", []), list):
            raise DataError("not a state", where=where, hint="{max_runs, best_run_id, runs: [...]}")
        if strange := [str(key) for key in content if key not in keys]:
            raise DataError(f"a state has no {', '.join(strange)}", where=where, hint=f"keys: {', '.join(keys)}")
        return cls(**content)


def check_count(value: Any, name: str) -> int | None:
    """`value` if it is None or a whole number of at least 1, else UsageError."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise UsageError(f"{value!r} is not a whole number of at least 1", where=name)


def best_of(runs: Iterable[RunInfo]) -> RunInfo | None:
    """The run with the lowest validation MSE (the first of equals); None if no run has one."""
    return min((run for run in runs if run.val_mse is not None), key=lambda run: run["val_mse"], default=None)
