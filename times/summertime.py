"""Whose clocks local times follow, where summer time begins or ends in them and no zone is named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from errors import DataError
from settings.zones import CHANGING, changed_at
from times.clock import DAY, Clock, offset_text
from times.stamps import Locate, to_utc

HOUR = DAY // 24
MOST_TRIED = 64  # odd steps that are looked up in the zones: clocks are changed twice a year
_CHANGES = (3, 4, 9, 10, 11)  # months in which clocks are changed


def in_such_a_night(wall: np.ndarray) -> np.ndarray:
    """Which local times [n] in ns are in the first hours of a day in a month in which clocks are changed: bool [n]."""
    month = wall.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    return np.isin(month, _CHANGES) & (wall % DAY < 4 * HOUR)


def zone_of(wall: np.ndarray, offsets: np.ndarray, usual: int, locate: Locate) -> str:
    """The zone in which steps that are an hour too long or too short are as long as all others.

    Parameters
    ----------
    wall : local times in ns, int64 [n], of N series one after the other.
    offsets : int64 [N + 1], where each series begins and ends.
    usual : the most common step, ns.
    locate : as for `to_utc`.

    Returns
    -------
    The first of `CHANGING` that fits all times, several of which may, as their clocks are changed at the same hours;
    "" where most such steps speak for none, or times speak against it: an hour that it skips is there, or is only half
    twice.
    """
    steps = np.diff(wall)
    odd = (np.abs(steps - usual) == HOUR) | (steps == 0)  # none between: pairs of lines, one for each of two hours
    odd[offsets[1:-1] - 1] = False
    at = np.flatnonzero(odd)
    at = at[in_such_a_night(wall[at])]
    missed = np.minimum(wall[at] + usual, wall[at + 1]).tolist()[:MOST_TRIED]
    for zone in CHANGING:
        if not any(changed_at(zone, time) for time in missed):
            continue
        try:
            apart = np.diff(to_utc(wall, zone, offsets, locate))[at]
        except DataError:
            continue
        # Of the hours that are missing in such nights most are those that the zone skips: one may be by chance.
        if 2 * ((apart == usual) | ((steps[at] == 0) & (apart == HOUR))).sum() > len(at):
            return zone
    return ""


def zone_with(offsets: Sequence[str], times: np.ndarray) -> str:
    """The zone that has these offsets at these times, and no others; "" for none.

    Parameters
    ----------
    offsets : such as +01:00.
    times : stamps in ns, int64 [n].
    """
    for zone in CHANGING:
        shifts = np.unique(Clock("h", zone).wall(times) - times).tolist()
        if {offset_text(shift) for shift in shifts} == {*offsets}:
            return zone
    return ""
