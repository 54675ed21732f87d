"""What applied to each device when its probabilities and watts became states and energy: said in one form everywhere.

kpis.json, per_device_metrics.csv and the log take it from here; what is decided in another way is one more field.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tasks.nilm.rules import Rules
from tasks.nilm.taus import DEFAULT, sources_of

STEPS = "step by step"


@dataclass(frozen=True)
class Decision:
    """What applied to a device.

    tau : the probability from which on it is predicted on; `tau_from` says where it comes from, or why none was chosen.
    on_w : W from which on it counts as on; least_w : W that a predicted run needs beside its probability.
    decided : whether step by step, or as whole runs.
    min_on, min_off : seconds; shorter runs and breaks do not count. rule_from : where these and `on_w` come from.
    """

    tau: float
    tau_from: str
    on_w: float
    min_on: float
    min_off: float
    rule_from: str
    least_w: float = 0.0
    decided: str = STEPS

    def plain(self) -> dict[str, Any]:
        """The fields by name, as files hold them."""
        return asdict(self)

    def told(self) -> str:
        """On one line, without the device's name."""
        runs = [f"{what} of {value:g} s" for what, value in (("runs", self.min_on), ("breaks", self.min_off)) if value]
        least = f" and at {self.least_w:g} W" if self.least_w else ""
        rule = f"on from {self.on_w:g} W{''.join(f', {run}' for run in runs)} ({self.rule_from})"
        whole = "" if self.decided == STEPS else f", {self.decided}"
        return f"{rule}, tau {self.tau:.4g}{least} ({self.tau_from.removeprefix(DEFAULT)}){whole}"


def decisions(
    rules: Rules, calibration: Mapping[str, Any], names: Sequence[str], whole: Mapping[int, str]
) -> dict[str, Decision]:
    """{device: what applies to it}, from the rules, what was chosen on validation, and how whole runs are decided."""
    found = {}
    for k, (name, tau, how) in enumerate(zip(names, calibration["tau"], sources_of(calibration, names), strict=True)):
        decided = whole.get(k, STEPS)
        own = rules.of(name, names)
        found[name] = Decision(float(tau), how, *own.values, own.rule_from, own.least_w, decided)
    return found


def told(found: Mapping[str, Decision], calibration: Mapping[str, Any]) -> str:
    """One line on all devices, with what has a tau chosen that was not."""
    lines = [f"{name} {decision.told()}" for name, decision in found.items()]
    best = calibration.get("best", [None] * len(found))
    could = [
        shlex.quote(f"{name}=best")
        for (name, one), known in zip(found.items(), best, strict=True)
        if one.tau_from.startswith(DEFAULT) and one.decided == STEPS and known is not None
    ]
    hint = f"; --tau {' '.join(could)} takes the tau of the best F1" if could else ""
    return f"decided by: {'; '.join(lines)}{hint}"
