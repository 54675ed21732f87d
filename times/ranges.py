"""Days from ... to ... whose month is a word, as tables of polls, events and weeks have them: 12-14 Sep 2022,
30 Sep - 2 Oct 2022, Dec 29, 2021 - Jan 2, 2022. The first day stands for all, with a year that only the last one has.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_DAY, _MONTH, _YEAR = r"\d{1,2}(?:\.|st|nd|rd|th)?", r"[^\W\d_]{3,}\.?", r"(?:18|19|20)\d\d"
_TO = r"\s?(?:[-/\N{EN DASH}\N{EM DASH}]|to|bis|au|al)\s?"
_FIRST_DAY = re.compile(
    rf"({_DAY}) ?({_MONTH})?,? ?({_YEAR})?{_TO}{_DAY} ?(?:de )?({_MONTH}),? (?:de )?({_YEAR})", re.IGNORECASE
)
_FIRST_MONTH = re.compile(rf"({_MONTH}) ({_DAY}),? ?({_YEAR})?{_TO}(?:({_MONTH}) )?{_DAY},? ({_YEAR})", re.IGNORECASE)


def first_of(cell: str, month_of: Callable[[str], int]) -> str:
    """The first day of such a range, as `12 Sep 2022`; any other text as it is.

    Parameters
    ----------
    cell : its text. month_of : the number of a month's word in any language; 0 for another word.
    """
    if found := _FIRST_DAY.fullmatch(cell):
        day, month, year, last_month, last_year = found.groups()
    elif found := _FIRST_MONTH.fullmatch(cell):
        month, day, year, last_month, last_year = found.groups()
    else:
        return cell
    first, last = month_of(month or last_month), month_of(last_month or month)
    if not (first and last):
        return cell
    begun = year or str(int(last_year) - (first > last))  # 29 Dec - 2 Jan 2022
    return f"{re.sub(r'[^0-9]', '', day)} {month or last_month} {begun}"
