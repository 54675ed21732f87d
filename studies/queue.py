"""A study in a database: its trials, the processes that run them, and the trials still to run.

Optuna keeps the trials. This adds what it lacks, under a lock that all processes of a study share: a study of N trials
starts N, however many processes share it, and a trial whose process was lost is run again, a limited number of times.
The state is read from the database each time, so a process may be killed between any two statements.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from errors import UsageError
from studies.spaces import Dimension, Space
from studies.stores import Store, answering
from studies.trials import Failure

if TYPE_CHECKING:
    import optuna

FACTS = (
    "number",
    "state",
    "value",
    "trained_epochs",
    "seconds",
    "retry_of",
    "error",
)  # of a trial, beside its parameters
STARTUP = 10  # random trials before the sampler uses their results
UNPRUNED = 5  # first trials, which the median never prunes
FEWEST = 5  # completed trials that importances need
FRESH = 0.5  # seconds that what was read of a study holds, where this process has changed nothing since
NOTED = "facts"  # the attribute of a trial that has what is noted at its end: one transaction, whatever it is


def open_study(
    store: Store, name: str, asked: Mapping[str, Any], *, direction: str, pruner: str, epochs: int, grace: int
) -> optuna.Study:
    """The study `name`, created if there is none. UsageError if it was created with other settings than `asked`."""
    import optuna

    pruners = {
        "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=1),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(1, max(epochs, 2), 3),
        "none": optuna.pruners.NopPruner,
    }
    with answering(store), store.exclusive(name):
        study = optuna.create_study(
            storage=store.open(grace),
            study_name=name,
            direction="minimize" if direction == "min" else "maximize",
            pruner=pruners[pruner](),
            load_if_exists=True,
        )
        begun, asked = study.user_attrs.get("asked"), json.loads(json.dumps(asked))
        if begun is None:
            study.set_user_attr("asked", asked)
        elif changed := _changed(begun, asked):
            hint = "another name for another search; the same command line, space and data continue this one"
            raise UsageError(f"the study was begun with other settings: {changed}", where=f"--study {name}", hint=hint)
    return study


def _changed(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The names of what differs from the settings that the study was begun with; empty if nothing does.

    Settings that an older version noted and that no longer count are ignored.
    """
    parts = [key for key in ("space", "data") if begun.get(key) != asked.get(key)]
    before, after = (each.get("settings", {}) for each in (begun, asked))
    return ", ".join(parts + [key for key, value in after.items() if before.get(key) != value])


class Queue:
    """The trials that this process takes from a study, and what it reports about them."""

    def __init__(self, study: optuna.Study, store: Store, *, trials: int, retries: int, seed: int) -> None:
        self.study, self.store, self.trials, self.retries, self.seed = study, store, trials, retries, seed
        self._storage: Any = study._storage
        self.direction = "min" if study.direction.name == "MINIMIZE" else "max"
        self._read: tuple[float, list[optuna.trial.FrozenTrial]] | None = None  # when, and what
        self._references: dict[str, float] = {}
        self._others = True  # whether other trials ran when the latest was taken
        self._reported: dict[int, float] = {}  # {number: the latest value of a trial that runs here}

    def take(self) -> optuna.Trial | None:
        """A trial to run: a lost one, or a new one while fewer than wanted have started; else None."""
        import optuna

        self._read = None
        with self.store.exclusive(self.study.study_name):
            trials = self._revived()
            self._read = time.monotonic(), trials
            self._others = any(trial.state == optuna.trial.TrialState.RUNNING for trial in trials)
            waiting = any(trial.state == optuna.trial.TrialState.WAITING for trial in trials)
            if not waiting and slots_used(trials, self.trials) >= self.trials:
                return None
            trial = self.study.ask()
            self.beat(trial)
            trial.set_user_attr("worker", f"{platform.node()}:{os.getpid()}")
        return trial

    def _revived(self) -> list[optuna.trial.FrozenTrial]:
        """Put lost trials back, under the lock so that none is put back twice; returns all trials.

        They are read again only where that changed any: reading takes as long as the rest.
        """
        import optuna

        trials = self.study.get_trials(deepcopy=False)
        if any(trial.state == optuna.trial.TrialState.RUNNING for trial in trials):
            optuna.storages.fail_stale_trials(self.study)
            trials = self.study.get_trials(deepcopy=False)
        # A process names itself on the trial before it leaves the lock: without a name, it died inside.
        running = [trial for trial in trials if trial.state == optuna.trial.TrialState.RUNNING]
        nameless = [trial for trial in running if "worker" not in trial.user_attrs]
        for trial in nameless:
            self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
        trials = self.study.get_trials(deepcopy=False) if nameless else trials
        gone = lost(trials, self.retries)
        for trial in gone:
            history = [*trial.system_attrs.get("retry_history", []), trial.number]
            kept = {key: value for key, value in trial.system_attrs.items() if key == "fixed_params"}
            marks = {"failed_trial": history[0], "retry_history": history}  # as Optuna's own retries have them
            again = optuna.trial.create_trial(
                state=optuna.trial.TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                system_attrs=kept | marks,
            )
            self.study.add_trial(again)
        return self.study.get_trials(deepcopy=False) if gone else trials

    def suggest(self, trial: optuna.Trial, space: Space) -> dict[str, Any]:
        """The values of a trial. The random state follows from seed and number: no two processes draw the same."""
        import optuna

        source = int.from_bytes(hashlib.sha256(f"{self.seed} {trial.number}".encode()).digest()[:4], "big")
        # Of running trials the sampler reads the study anew for each value; where there are none it need not.
        self.study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP, constant_liar=self._others, seed=source
        )
        chosen: dict[str, Any] = {}
        for dimension in space.values():
            if dimension.asked(chosen):
                chosen[dimension.name] = _suggested(trial, dimension)
        self._read = None
        return chosen

    def beat(self, trial: optuna.Trial) -> None:
        """A sign of life."""
        self._storage.record_heartbeat(trial._trial_id)

    def report(self, trial: optuna.Trial, epoch: int, value: float) -> bool:
        """Note the monitor after an epoch; returns whether to stop the trial, since others were better by then."""
        trial.report(value, epoch)
        self._reported[trial.number] = value
        return trial.should_prune()

    def done(self, trial: optuna.Trial, value: float, **facts: Any) -> None:
        """The trial's value, a number, is the best of the monitor on validation."""
        import optuna

        self._end(trial, optuna.trial.TrialState.COMPLETE, facts, value)

    def pruned(self, trial: optuna.Trial, **facts: Any) -> None:
        """The trial was stopped for its values, or its combination refused (`error`): the sampler avoids it."""
        import optuna

        self._end(trial, optuna.trial.TrialState.PRUNED, facts, self._reported.get(trial.number))

    def failed(self, trial: optuna.Trial, *, again: bool, **facts: Any) -> None:
        """The trial failed; `again` if the configuration may not be to blame, so that it is worth another try."""
        import optuna

        self._end(trial, optuna.trial.TrialState.FAIL, facts | {"again": again})

    def _end(
        self,
        trial: optuna.Trial,
        state: optuna.trial.TrialState,
        facts: Mapping[str, Any],
        value: float | None = None,
    ) -> None:
        """Note the facts, then the state and value. `Study.tell` reads the trial twice more to check the same."""
        self._read = None
        self._reported.pop(trial.number, None)
        trial.set_user_attr(NOTED, dict(facts))
        self._storage.set_trial_state_values(trial._trial_id, state, None if value is None else [float(value)])

    def _trials(self) -> list[optuna.trial.FrozenTrial]:
        """All trials, by number: read again where this process has changed one since, or after `FRESH` seconds."""
        if self._read is None or time.monotonic() - self._read[0] > FRESH:
            self._read = time.monotonic(), self.study.get_trials(deepcopy=False)
        return self._read[1]

    def keep_references(self, found: Mapping[str, float]) -> None:
        """Note the monitor of each reference on validation, once for the study."""
        if found:
            self.study.set_user_attr("references", dict(found))

    def references(self) -> dict[str, float]:
        """The references as noted; empty until a trial has computed them."""
        self._references = self._references or self.study.user_attrs.get("references", {})
        return self._references

    def finished(self) -> bool:
        """Whether no process has anything left to do."""
        trials = self._trials()
        ended = all(trial.state.is_finished() for trial in trials)
        return ended and not lost(trials, self.retries) and slots_used(trials, self.trials) >= self.trials

    def table(self) -> list[dict[str, Any]]:
        """One row per trial: the FACTS, then its parameters."""
        trials = self._trials()
        again = retried(trials)
        return [_line(trial, again) for trial in trials]

    def last_failure(self) -> Failure | None:
        """The error of the latest trial that failed or was refused."""
        said = [facts for facts in map(facts_of, self._trials()) if "code" in facts]
        return Failure(said[-1]["error"], said[-1]["code"]) if said else None

    def importances(self) -> dict[str, float]:
        """The share of each dimension in the spread of the trials' ranks, largest first; empty for too few trials.

        By functional ANOVA (Hutter, Hoos, Leyton-Brown 2014). Of ranks, since a single outlier would dominate the
        values. Conditional dimensions are left out.
        """
        import optuna

        done = [trial for trial in self._trials() if trial.state == optuna.trial.TrialState.COMPLETE]
        if len(done) < FEWEST:
            return {}
        ordered = sorted(trial.value or 0.0 for trial in done)
        forest = optuna.importance.FanovaImportanceEvaluator(seed=0)

        def rank(trial: optuna.trial.FrozenTrial) -> float:
            return float(bisect_left(ordered, trial.value or 0.0))

        try:
            return optuna.importance.get_param_importances(self.study, evaluator=forest, target=rank)
        except (RuntimeError, ValueError):  # all of one value
            return {}

    def leftover(self) -> list[int]:
        """Numbers of finished trials other than the best: their weights are not needed."""
        trials = self._trials()
        best = self._best_of(trials)
        ended = [trial.number for trial in trials if trial.state.is_finished()]
        return [number for number in ended if best is None or number != best.number]

    def best(self) -> optuna.trial.FrozenTrial | None:
        """The first complete trial with the best value; None if there is none."""
        return self._best_of(self._trials())

    def _best_of(self, trials: Sequence[optuna.trial.FrozenTrial]) -> optuna.trial.FrozenTrial | None:
        import optuna

        done = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
        sign = 1 if self.direction == "min" else -1
        return min(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)


def _suggested(trial: optuna.Trial, dimension: Dimension) -> Any:
    if dimension.choices:
        return trial.suggest_categorical(dimension.name, dimension.choices)
    if dimension.whole:
        return trial.suggest_int(dimension.name, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(dimension.name, dimension.low, dimension.high, log=dimension.log)


# --- the state of trials ---------------------------------------------------------------------------------------------


def facts_of(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """What was noted of a trial. Older versions noted each fact as an attribute of its own."""
    noted: dict[str, Any] = trial.user_attrs.get(NOTED, {})
    return trial.user_attrs | noted


def retried(trials: Sequence[optuna.trial.FrozenTrial]) -> set[int]:
    """Numbers of the trials that another one repeats."""
    return {number for trial in trials for number in trial.system_attrs.get("retry_history", [])}


def lost(trials: Sequence[optuna.trial.FrozenTrial], retries: int) -> list[optuna.trial.FrozenTrial]:
    """Failed trials to run again: not repeated yet, and failed at most `retries` times.

    A failed trial without a note lost its process. An interrupted trial does not count as failed.
    """
    again, by_number = retried(trials), {trial.number: trial for trial in trials}

    def failures(trial: optuna.trial.FrozenTrial) -> int:
        chain = [by_number[number] for number in trial.system_attrs.get("retry_history", [])] + [trial]
        return sum(not facts_of(link).get("interrupted", False) for link in chain)

    return [
        trial
        for trial in trials
        if trial.state.name == "FAIL"
        and trial.number not in again
        and facts_of(trial).get("again", True)
        and failures(trial) <= retries
    ]


def slots_used(trials: Sequence[optuna.trial.FrozenTrial], wanted: int) -> int:
    """How many of the `wanted` trials have started, without repeats and (up to `wanted`) refused combinations."""
    first = [trial for trial in trials if not trial.system_attrs.get("retry_history")]
    refused = sum(bool(facts_of(trial).get("invalid")) for trial in trials)
    return len(first) - min(refused, wanted)


def state_of(trial: optuna.trial.FrozenTrial, again: set[int]) -> str:
    """done, pruned, invalid, failed, interrupted, retried, running or waiting."""
    if trial.state.name == "FAIL" and trial.number in again:
        return "retried"
    for word in ("invalid", "interrupted"):
        if facts_of(trial).get(word):
            return word
    return {"COMPLETE": "done", "FAIL": "failed"}.get(trial.state.name, trial.state.name.lower())


def _line(trial: optuna.trial.FrozenTrial, again: set[int]) -> dict[str, Any]:
    facts, history = facts_of(trial), trial.system_attrs.get("retry_history", [])
    error = facts.get("error", "")
    if trial.state.name == "FAIL" and not error:
        error = "its process was lost"
    value = trial.value if trial.state.name in ("COMPLETE", "PRUNED") else None
    shown = (
        value,
        facts.get("trained_epochs", trial.last_step),
        facts.get("seconds"),
        history[-1] if history else None,
        error,
    )
    return dict(zip(FACTS, (trial.number, state_of(trial, again), *shown), strict=True)) | trial.params
