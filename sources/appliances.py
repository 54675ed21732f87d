"""When a household appliance counts as on: the field's thresholds and shortest runs, by any of an appliance's names.

Kettle to microwave are those of Kelly and Knottenbelt 2015 (arXiv 1507.06594; their washing machine has 160 s between
runs, at six-second steps 156). The coffee maker's durations, and those of an appliance not listed, are NILM
Metadata's (Kelly and Knottenbelt 2014, arXiv 1403.5946, central metadata); the 10 W are NILMTK's threshold where none
is given (Batra et al. 2014, arXiv 1404.3878).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """On at `on_w` watts; runs shorter than `min_on` and breaks shorter than `min_off` seconds do not count."""

    on_w: float
    min_on: float
    min_off: float


RULES = {
    "kettle": Rule(2000, 12, 0),
    "fridge": Rule(50, 60, 12),
    "washing machine": Rule(20, 1800, 156),
    "microwave": Rule(200, 12, 30),
    "dishwasher": Rule(10, 1800, 1800),
    "coffee maker": Rule(10, 60, 600),
}
ANY = Rule(10, 20, 20)
_ALIASES = {  # without spaces; a name that holds one goes by the longest it holds
    "kettle": ("kettle",),
    "fridge": ("fridge", "refrigerator", "freezer"),
    "washing machine": ("washingmachine", "clotheswasher", "washerdryer", "waschmaschine"),
    "microwave": ("microwave",),
    "dishwasher": ("dishwasher", "dishwaser"),
    "coffee maker": ("coffeemaker", "coffeemachine"),
}


def appliance(name: str) -> str:
    """The appliance that a name is of, as `RULES` has it, such as fridge for `Refrigerator 2`; "" for any other."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    found = [(len(alias), kind) for kind, aliases in _ALIASES.items() for alias in aliases if alias in letters]
    return max(found)[1] if found else ""


def rule(name: str) -> Rule:
    """The rule of an appliance by any of its names; `ANY` for one that is not listed."""
    return RULES.get(appliance(name), ANY)
