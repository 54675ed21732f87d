"""Trees under nets, and on lags, that are few: to grow as many as a user has was a quarter of all small runs' time."""

from __future__ import annotations

import os
from typing import Any

from backbones import grown
from backbones.boosted_known import HYPER as KNOWN
from backbones.boosted_known import BoostedKnown
from backbones.boosted_lags import HYPER, BoostedLags
from backbones.grown import FOLDS, Grown
from backbones.grown_boosting import Boosted

FEW, FEW_BOOSTED, FEW_FOLDS = 4, 5, 2  # trees of a forest, iterations of boosting, and folds that trees are judged on
SETTING = "TSRUN_TESTS_FEW_TREES"  # "yes": forks of the fork server grow a few
AFFORDABLE, SETTINGS, OF_LAGS = Grown._affordable, Boosted._settings, BoostedLags._settings
OF_KNOWN = BoostedKnown._settings
USUAL, KNOWN_USUAL = HYPER["trees"]["default"], KNOWN["trees"]["default"]


def few(*, wanted: bool) -> None:
    """Whether this process, and the forks that it asks for, grow a few trees from here on."""
    os.environ[SETTING] = "yes" if wanted else "no"
    grown.FOLDS = FEW_FOLDS if wanted else FOLDS
    Grown._affordable = _few if wanted else AFFORDABLE  # type: ignore[method-assign]
    Boosted._settings = _few_iterations if wanted else SETTINGS  # type: ignore[method-assign]
    BoostedLags._settings = _few_of_lags if wanted else OF_LAGS  # type: ignore[method-assign]
    BoostedKnown._settings = _few_of_known if wanted else OF_KNOWN  # type: ignore[method-assign]


def _few(self: Grown, windows: int) -> int:
    return min(AFFORDABLE(self, windows), FEW)


def _few_iterations(self: Boosted, windows: int, seed: int) -> dict[str, Any]:
    settings = SETTINGS(self, windows, seed)
    return {**settings, "max_iter": min(settings["max_iter"], FEW_BOOSTED)}


def _few_of_lags(self: BoostedLags, rows: int, seed: int) -> dict[str, Any]:
    settings = OF_LAGS(self, rows, seed)
    return {**settings, "max_iter": FEW_BOOSTED} if settings["max_iter"] == USUAL else settings


def _few_of_known(self: BoostedKnown, rows: int, trees: int) -> dict[str, Any]:
    settings = OF_KNOWN(self, rows, trees)
    return {**settings, "max_iter": FEW_BOOSTED} if trees == KNOWN_USUAL else settings
