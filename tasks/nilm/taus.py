"""The threshold tau of each device: chosen on validation, given, or a default, and where it comes from."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from errors import UsageError
from metrics import best_threshold
from tasks.nilm.metrics import LEAST_ACTIVATIONS, best_tau
from tasks.nilm.rules import ALL, by_device
from tasks.nilm.timeline import Timeline
from tasks.nilm.watts import certain

log = logging.getLogger("tsrun")
BEST, GIVEN = "best", "given"
HALF = 0.5
LEAST_LEARNED = 5  # runs in training, below which a device is hardly learned
CHOSEN = "best F1 on validation"
DEFAULT = "default: "  # and the reason
WHOLE = "its runs are decided as a whole"
RULE = "a rule without probabilities"


class Taus:
    """What `--tau` asks for: {device: "best" or a number}; nothing for a device whose tau is chosen where that is safe.

    `columns` {device: its column}, by which it may be called too. UsageError for anything but best and a number from 0
    to 1.
    """

    def __init__(self, given: Mapping[str, Any], columns: Mapping[str, str] | None = None) -> None:
        self.given = {name: _asked(name, text) for name, text in given.items()}
        self.columns = dict(columns or {})

    def asked(self, names: Sequence[str]) -> list[float | str | None]:
        """For each device "best", a number, or None. UsageError for what is given for none of `names`."""
        given = by_device(self.given, names, "--tau", self.columns)
        return [given.get(name, given.get(ALL)) for name in names]

    def choose(
        self, line: Timeline | None, names: Sequence[str], usual: str = "", whole: Collection[int] = ()
    ) -> dict[str, Any]:
        """The taus of devices, [K], by the timeline of validation.

        Parameters
        ----------
        line : with the truth; None where there is none to choose on.
        names : of the K devices.
        usual : where a tau of a half comes from unless another is asked for; "" where it is chosen.
        whole : the numbers of devices whose runs are decided as a whole: for them no step's threshold is the best.

        Returns
        -------
        {"tau": [K], "chosen_on", "not_chosen": {device: why}, "best": [K], "tau_from": [K]}. `best` has the tau of the
        best F1, None where validation has no activation.
        """
        asks = enumerate(self.asked(names))
        found = [self._one(line, k, asked, usual or (DEFAULT + WHOLE if k in whole else "")) for k, asked in asks]
        told = zip(names, found, strict=True)
        reasons = {name: how.removeprefix(DEFAULT) for name, (_, how, _) in told if how.startswith(DEFAULT)}
        return {
            "tau": [tau for tau, _, _ in found],
            "chosen_on": "default" if line is None else "val",
            "not_chosen": {} if line is None else reasons,
            "best": [best for _, _, best in found],
            "tau_from": [how for _, how, _ in found],
        }

    def _one(
        self, line: Timeline | None, k: int, asked: float | str | None, usual: str
    ) -> tuple[float, str, float | None]:
        """(tau, where it comes from, the tau of the best F1 or None) of device k."""
        if line is None:
            return *_taken(asked, None, False, usual or DEFAULT + "there is no validation part to choose it on"), None
        assert line.on is not None
        truth, score = line.on[k], line.score[k]
        if certain(score):
            return HALF, RULE, None
        known = ~(np.isnan(truth) | np.isnan(score))
        optimum, f1 = best_threshold(truth[known], score[known])
        best = None if f1 is None else optimum
        why = best_tau(truth, score, rows=line.rows)[2]
        return *_taken(asked, best, not why and not usual, usual or DEFAULT + why), best

    def again(self, kept: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """The taus of a checkpoint, with those that `--tau` now gives."""
        if not self.given or "tau" not in kept:
            return dict(kept)
        taus, how = list(kept["tau"]), list(sources_of(kept, names))
        best = kept.get("best", [None] * len(names))
        for k, asked in enumerate(self.asked(names)):
            if asked is not None:
                known = best[k] is not None or how[k] == CHOSEN
                tau = taus[k] if best[k] is None else best[k]
                why = f"{DEFAULT}the checkpoint has none that was chosen on validation"
                taus[k], how[k] = _taken(asked, tau if known else None, True, why)
        return {**kept, "tau": taus, "tau_from": how}


def tell_few(runs: Mapping[str, int]) -> None:
    """Warn of devices that training has seen run a few times only.

    `runs` : {device: how many in training}, 0 of those that are told elsewhere.
    """
    few = {name: count for name, count in runs.items() if 0 < count < LEAST_LEARNED}
    if few:
        listed = ", ".join(f"{count} of {name}" for name, count in few.items())
        told = "warning: training holds few runs (%s): too little to learn a device from, whatever the figures say"
        log.warning(told, listed)


def few_runs(runs: Mapping[str, int]) -> dict[str, Any]:
    """{"runs": of the devices with too few of them in validation to choose on}, which is told; {} where there is none.

    `runs` : {device: how many}.
    """
    few = {name: count for name, count in runs.items() if count < LEAST_ACTIVATIONS}
    if not few:
        return {}
    listed = ", ".join(f"{count} of {name}" for name, count in few.items())
    log.info("validation holds few runs (%s): the weights of the last third of the epochs are averaged", listed)
    return {"runs": few}


def _taken(asked: float | str | None, best: float | None, safe: bool, otherwise: str) -> tuple[float, str]:
    """(tau, where it comes from)."""
    if isinstance(asked, float):
        return asked, GIVEN
    if best is not None and (safe or asked == BEST):
        return best, CHOSEN
    return HALF, otherwise


def sources_of(calibration: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Where each device's tau comes from, also in checkpoints that are older than this note."""
    if "tau_from" in calibration:
        return list(calibration["tau_from"])
    reasons = calibration.get("not_chosen", {})
    chosen = CHOSEN if calibration.get("chosen_on") == "val" else DEFAULT + "nothing was chosen"
    return [DEFAULT + reasons[name] if name in reasons else chosen for name in names]


def _asked(name: str, text: Any) -> float | str:
    if str(text) == BEST:
        return BEST
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = -1.0
    if not 0 <= value <= 1:
        shown = f"{name}={text}" if name else str(text)
        raise UsageError(f"{shown}: takes best or a number from 0 to 1", where="--tau")
    return value
