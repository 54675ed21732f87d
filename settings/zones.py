"""Time zones, as a setting and a checkpoint name them."""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime, timedelta

_OFFSET = re.compile(r"([+-])([01]\d|2[0-3]):([0-5]\d)")
CHANGING = ("Europe/Berlin", "Europe/London", "America/New_York", "Europe/Athens", "Australia/Sydney")  # by their hours
_HOUR, _MINUTE = 3_600_000_000_000, 60_000_000_000  # ns


def fixed_offset(tz: str) -> int | None:
    """The offset of a zone from UTC.

    Parameters
    ----------
    tz : an offset such as +01:00, the name of a zone, or "" for no zone.

    Returns
    -------
    The offset in ns; None where it changes within the year. 0 for no zone.
    """
    if tz in ("", "UTC"):
        return 0
    match = _OFFSET.fullmatch(tz)
    if not match:
        return None
    return (1 if match[1] == "+" else -1) * (int(match[2]) * _HOUR + int(match[3]) * _MINUTE)


def is_zone(tz: str) -> bool:
    """Whether there is such a zone.

    Parameters
    ----------
    tz : as for `fixed_offset`.
    """
    return fixed_offset(tz) is not None or tz in zoneinfo.available_timezones()


def zone_changed_at(wall: int) -> str:
    """The first of `CHANGING` whose clocks leave out or repeat a time; the first for none.

    Parameters
    ----------
    wall : ns since 1970 on the wall clock.
    """
    return next((name for name in CHANGING if changed_at(name, wall)), CHANGING[0])


def changed_at(tz: str, wall: int) -> bool:
    """Whether the clocks of a zone leave out or repeat a time.

    Parameters
    ----------
    tz : a name of `CHANGING`.
    wall : as for `zone_changed_at`.
    """
    time = datetime(1970, 1, 1) + timedelta(microseconds=wall // 1000)
    return len({time.replace(tzinfo=zoneinfo.ZoneInfo(tz), fold=fold).utcoffset() for fold in (0, 1)}) == 2
