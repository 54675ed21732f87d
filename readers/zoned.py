"""The zone of long tables: that of their offsets, of --tz, or of the nights in which their clocks are changed."""

from __future__ import annotations

from dataclasses import replace

from errors import DataError
from readers.paths import abridge
from readers.rows import Rows, line_steps, usual_step
from times.stamps import to_utc
from times.summertime import zone_of, zone_with


def set_zone(rows: Rows, tz: str, *, found: bool = False) -> tuple[Rows, list[str]]:
    """Set the zone of the times; where it is known they become UTC.

    Parameters
    ----------
    rows : as `join` returns them.
    tz : the zone of times without an offset, in which all are shown; "" where that is unknown.
    found : a zone that is unknown is looked for in the nights in which clocks are changed.

    Returns
    -------
    The rows, and notes on a zone that was found, and on times of several offsets.

    Raises
    ------
    DataError : only some files give offsets, or a time does not exist in `tz` or occurs twice.
    """
    files = list(dict.fromkeys(rows.of))
    naive = [file for file in files if not file.stamps.zones]
    aware = [file for file in files if file.stamps.zones]
    if naive and aware:
        what = f"times have no offset from UTC, where those of {aware[0].path} have one"
        raise DataError(what, where=str(naive[0].path), hint="give all times an offset, or none and --tz")
    notes: list[str] = []
    if (
        naive
        and found
        and not tz
        and (tz := zone_of(rows.times, rows.offsets, usual_step(line_steps(rows)), rows.locate))
    ):
        notes = [f"times taken as those of {tz}, whose clocks are changed where an hour is left out or comes twice"]
        notes[0] += "; --tz names another zone, --strict takes none"
    if naive:
        return replace(rows, times=to_utc(rows.times, tz, rows.offsets, rows.locate), tz=tz), notes
    zones = sorted(set[str]().union(*(file.stamps.zones for file in aware)))
    if tz or len(zones) == 1:
        return replace(rows, tz=tz or zones[0]), []
    theirs = zone_with(zones, rows.times) if found else ""
    note = f"times have several offsets ({abridge(zones)}) and are shown in UTC; --tz names their zone"
    if theirs:
        note = f"times have several offsets ({abridge(zones)}), those of {theirs}; --tz names another zone"
    return replace(rows, tz=theirs or "UTC"), [note]
