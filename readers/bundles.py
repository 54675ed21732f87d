"""Wide tables of several quantities: a column is one of them at one time (gdp_2008, gdp_2009, ..., jobs_2008, ...)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from readers import mapped
from readers.heads import LEAST, plain_dates
from times.written import YEAR

_DATE = rf"{YEAR}(?:[-_.]?(?:0[1-9]|1[0-2])|[-_. ]?[QM]\d{{1,2}})?"
_FORMS = (
    re.compile(rf"(?P<word>.*?[^\s_.:-])[\s_.:-]*(?<!\d)(?P<date>{_DATE})"),
    re.compile(rf"(?P<date>{_DATE})[\s_.:-]+(?P<word>\D.*)"),
)
Bundle = tuple[tuple[str, tuple[int, ...]], ...]  # a quantity's name, and its column at each date, -1 for none


def is_dated(name: str) -> bool:
    """Whether a column's name is a word and a date, such as gdp_2008 or 2008 jobs.

    Parameters
    ----------
    name : the name.
    """
    return any(form.fullmatch(name) for form in _FORMS)


def bundled(names: Sequence[str]) -> tuple[Bundle, tuple[str, ...]]:
    """The quantities of a table by the names of its columns, and the dates that they share.

    Parameters
    ----------
    names : of all columns of values.

    Returns
    -------
    (quantities in the order of the file, dates in the order of time); ((), ()) for another table.
    """
    for form in _FORMS:
        found = [form.fullmatch(name.strip()) for name in names]
        if not found or not all(found):
            continue
        columns: dict[str, dict[str, int]] = {}
        for k, match in enumerate(found):
            assert match is not None
            columns.setdefault(match["word"], {})[match["date"]] = k
        dates = sorted({date for each in columns.values() for date in each})
        whole = sum(map(len, columns.values())) == len(names) and len({*map(len, dates)}) == 1
        many = len(columns) > 1 and all(len(each) >= LEAST for each in columns.values())
        if many and whole and (shared := plain_dates(dates)):
            return tuple((word, tuple(each.get(date, -1) for date in dates)) for word, each in columns.items()), shared
    return (), ()


def unbundled(values: np.ndarray, bundle: Bundle) -> np.ndarray:
    """The values of each quantity [V, N * T], NaN where it has no column, in a file where `values` are.

    Parameters
    ----------
    values : [N, W], of all columns.
    bundle : V quantities of T dates.
    """
    n_rows, length = len(values), len(bundle[0][1])
    made = mapped.like(values, (len(bundle), n_rows * length), values.dtype)
    for quantity, (_, columns) in zip(made.reshape(len(bundle), n_rows, length), bundle, strict=True):
        at = np.array(columns)
        quantity[:, at >= 0] = values[:, at[at >= 0]]
        quantity[:, at < 0] = np.nan
    return made
