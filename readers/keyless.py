"""Lines of a long table that lack their time or their id, or whose day no calendar has: a few are left out, told."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from errors import DataError, many
from readers.files import decode
from readers.fitting import NUMERIC
from readers.longtext import LongText, without_lines
from settings.marks import MISSING
from times.parted import WHOLE_YEARS
from times.tongues import MOST_WORDED, is_unreal, of_whole_months
from times.words import is_time

MOST = 0.02  # of the lines
MOST_HEAD = 20  # lines below the names without a time, as a glucose meter says there whose it is
LACKING, LACKED = "without a time or an id", "of a day that the calendar lacks"
WORDED, OF_YEARS = "with words in place of a time", "of whole years beside their parts"
OF_MONTHS = "of whole months or years among days"


def without_keyless(table: LongText, times: Sequence[str], ids: Sequence[str]) -> tuple[LongText, str] | None:
    """The table without the few lines in which one of its keys is empty or 30 February, and the note on them.

    Parameters
    ----------
    table : a long table.
    times, ids : the columns of its keys. An id may be called NA, as Namibia is; a time is none then.

    Returns
    -------
    None where every line has them, many have not, or a cell spans lines.

    Raises
    ------
    DataError : a line of words alone, in several cells, names the columns of another table below it.
    """
    frame = table.cells_of(table.header(), [*times, *ids], dtype=object, na_filter=False)
    if table.dialect.strict or len(frame) != table.text.count(b"\n"):
        return None
    lost, unreal, worded, whole, coarse = np.zeros((5, len(frame)), bool)
    for name in (*times, *ids):
        cells = frame[name].str.strip()
        lost |= cells.isin(MISSING if name in times else [""]).to_numpy()
        if name in times:
            unreal |= cells.isin([cell for cell in cells.unique() if is_unreal(cell)]).to_numpy()
            whole |= len(times) == 2 and cells.isin(WHOLE_YEARS).to_numpy()
            coarse |= False if len(times) > 1 or (alone := of_whole_months(cells)) is None else alone
            begins = cells.str[:1].str.isdigit().to_numpy(bool)
            if not begins.any():  # December 2023
                begins = cells.isin([cell for cell in cells.unique() if is_time(cell)]).to_numpy()
            worded |= ~begins & (2 * begins.sum() > len(begins)) & ~lost
    out, worded = lost | unreal, worded & ~whole
    head = int(np.argmin(np.append(lost, False)))
    few = MOST * len(frame) + head * (head <= MOST_HEAD and 2 * head < len(frame))
    if not (out | worded | whole | coarse).any() or out.sum() > few or worded.sum() > MOST_WORDED * len(frame):
        return None
    _check_names(table, np.flatnonzero(worded))
    kinds = {
        LACKING: lost,
        LACKED: unreal & ~lost,
        WORDED: worded & ~unreal,
        OF_YEARS: whole & ~out,
        OF_MONTHS: coarse & ~out,
    }
    told = "; ".join(_notes(table, kinds, frame[[*times]]))
    out |= worded | whole | coarse
    return without_lines(table, [], [number + 2 for number in np.flatnonzero(out).tolist()]), f"warning: {told}"


def _check_names(table: LongText, worded: np.ndarray) -> None:
    """DataError where one of the lines with these numbers is that of the names of another table."""
    lines = table.text.split(b"\n")[1:]
    for record in worded.tolist():
        cells = [cell.strip() for cell in table.dialect.split([decode(lines[record]).rstrip("\r")], table.path)[0]]
        words = [cell for cell in cells if cell]  # 35,999 of a total may be written as the column's numbers are
        if len(words) > 1 and all(map(table.dialect.is_text, words)) and not any(map(NUMERIC.fullmatch, words)):
            where = table.locate(record)
            what = f"another table begins here, of {', '.join(cells[:3])}"
            above = int(where.rpartition(":")[2]) - 1
            hint = f"head -n {above} {shlex.quote(str(table.path))} > first.csv writes the lines above to a file"
            raise DataError(what, where=where, hint=hint)


def _notes(table: LongText, left: Mapping[str, np.ndarray], times: Any) -> Iterator[str]:
    """What was left out, by its kind."""
    for what, out in left.items():
        at = np.flatnonzero(out).tolist()
        if at:
            which = f" ({' '.join(times.iloc[at[0]])})" if what != LACKING else ""
            yield f"{many(len(at), 'line')} {what} left out: {table.locate(at[0])}{which}{', ...' * (len(at) > 1)}"
