"""When a household appliance counts as on: the field's thresholds and shortest runs, by any of an appliance's names.

Kettle to microwave are those of Kelly and Knottenbelt 2015 (arXiv 1507.06594; their washing machine has 160 s between
runs, at six-second steps 156). The coffee maker's durations are NILM Metadata's (Kelly and Knottenbelt 2014, arXiv
1403.5946, central metadata). An appliance that is not listed is on at 10 W, NILMTK's threshold where none is given
(Batra et al. 2014, arXiv 1404.3878), for however long: a rule of duration that suits some zeroes most of what others
draw.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Rule:
    """On at `on_w` watts; runs shorter than `min_on` and breaks shorter than `min_off` seconds do not count.

    `lasts`: seconds of a usual run at this power, 0 where that is not known.
    """

    on_w: float
    min_on: float
    min_off: float
    lasts: float = 0.0

    def watts_at(self, step_seconds: float) -> float:
        """`on_w` of the mean power over a step, of which a usual run fills a part; at least `LEAST_W`."""
        filled = min(self.lasts / step_seconds, 1.0) if self.lasts else 1.0
        return self.on_w if filled == 1 else max(float(round(self.on_w * filled)), LEAST_W)


LEAST_W = 10.0
RULES = {
    "kettle": Rule(2000, 12, 0, 150),
    "fridge": Rule(50, 60, 12, 900),
    "washing machine": Rule(20, 1800, 156, 3600),
    "microwave": Rule(200, 12, 30, 150),
    "dishwasher": Rule(10, 1800, 1800, 3600),
    "coffee maker": Rule(10, 60, 600, 600),
}
ANY = Rule(LEAST_W, 0, 0)
_NAMES = {  # in English, German, Spanish, French and Korean; a name that holds one goes by the longest it holds
    "kettle": "kettle, Wasserkocher, hervidor, tetera, bouilloire, 전기포트, 전기주전자, 커피포트",
    "fridge": "fridge, refrigerator, freezer, Kühlschrank, Gefrierschrank, Gefriertruhe, Kühltruhe, "
    "Gefrierkombi, nevera, frigorífico, refrigerador, heladera, congelador, frigo, réfrigérateur, "
    "congélateur, 냉장고, 냉동고",
    "washing machine": "washing machine, clothes washer, washer dryer, Waschmaschine, Waschtrockner, lavadora, "
    "lavarropas, lave-linge, machine à laver, lavante-séchante, 세탁기",
    "microwave": "microwave, Mikrowelle, microondas, micro-ondes, 전자레인지, 전자렌지",
    "dishwasher": "dishwasher, dishwaser, Geschirrspüler, Geschirrspülmaschine, Spülmaschine, lavavajillas, "
    "lavaplatos, friegaplatos, lave-vaisselle, machine à laver la vaisselle, 식기세척기, 식세기",
    "coffee maker": "coffee maker, coffee machine, Kaffeemaschine, Kaffeevollautomat, cafetera, máquina de café, "
    "cafetière, machine à café, 커피머신, 커피메이커",
}


def spelled(name: str) -> str:
    """A name without what spellings differ in: case, accents, spaces and punctuation."""
    apart = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in apart if letter.isalnum())


@cache
def _aliases() -> tuple[tuple[str, str], ...]:
    """(a name as `spelled`, the appliance); umlauts also written with an e."""
    written = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
    words = ((word.lower(), kind) for kind, names in _NAMES.items() for word in re.split(r",\s*", names))
    return tuple({(spelled(form), kind) for word, kind in words for form in (word, word.translate(written))})


@cache
def appliance(name: str) -> str:
    """The appliance that a name is of, as `RULES` has it, such as fridge for `Refrigerator 2`; "" for any other."""
    plain = spelled(name)
    letters = "".join(letter for letter in plain if not letter.isdigit())
    found = [(len(alias), kind) for alias, kind in _aliases() if alias in letters]
    return max(found)[1] if found else ""


def rule(name: str) -> Rule:
    """The rule of an appliance by any of its names; `ANY` for one that is not listed."""
    return RULES.get(appliance(name), ANY)
