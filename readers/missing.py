"""Missing and infinite values: what `--nan` does with them, and what the notes and errors say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from errors import DataError, UsageError
from readers import mapped
from readers.paths import abridge

POLICIES = ("auto", "error", "drop", "ffill", "zero")
HINT = (
    "--nan auto fills short gaps with the value before, --nan drop leaves out the windows that hold one, "
    "--nan ffill fills all gaps, --nan zero sets 0"
)
MARKS = (-200.0, -32768.0, -32767.0, 32767.0, 65535.0, -2147483648.0, 2147483647.0, 4294967295.0)  # for missing values
LEAST_DIGIT = 6.99  # marks of one digit alone have 7, 8 or 9
SHORT_MARK = 99.0  # is a usual number too: buoys write it for waves and wind that were not measured
HUGE = 1e20  # as netCDF writes for a missing value
LARGEST = 1e30  # no measurement is larger, and float32 ends soon after
_WORDS = frozenset(  # that stand for a missing value among numbers, beside dialect.MISSING
    """n.a.|n. a.|n.d.|n. d.|nd|n/d|n/e|na.|n.v.|k.a.|k. a.|s/d|missing|unknown|unavailable|not available|no data|nodata
    |not measured|void|nil|invalid|error|err|bad""".replace("\n    ", "").split("|")
)
_SIGNS = re.compile(
    r"'?[-.?*:\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}\N{HORIZONTAL ELLIPSIS}]+|#[\w/]+[!?]?|: ?[a-z]{1,2}"
)  # the last as Eurostat writes
LEAST, TWICE = 10, 2  # so many values, of which so many are a mark
FAR = 10  # times the spread of the middle half of the others, beyond which a 99 is no measurement
COUNTED = 1 << 22  # values looked at at once
FILL_CELLS = 1 << 20  # cells forward-filled at a time, so that the index it needs stays small
SHORT, SHARE = 24, 10  # a gap of up to so many steps, and of a tenth of its row, is filled by itself
PAUSE, MOST_PAUSES = 100, 0.01  # steps of a gap that leaves no small pieces by itself; so many of the steps
LONG = 1000  # steps of the pieces that gaps leave, which are enough to learn from
_DONE = {"drop": "left as gaps", "zero": "set to 0", "ffill": "filled with the value before in the row"}


def check_policy(policy: str) -> None:
    """Refuse a policy that does not exist.

    Raises
    ------
    UsageError : `policy` is none of POLICIES.
    """
    if policy not in POLICIES:
        raise UsageError(f"{policy!r} is not one of {', '.join(POLICIES)}", where="--nan")


def is_mark(cell: str) -> bool:
    """Whether text among numbers can only stand for a missing value: a dash, dots, an error of a spreadsheet, a word.

    Parameters
    ----------
    cell : the text.
    """
    text = cell.strip()
    return bool(_SIGNS.fullmatch(text)) or text.casefold() in _WORDS


def is_sign(cell: str) -> bool:
    """Whether a mark of `is_mark` is signs alone, which are missing values however many there are.

    Parameters
    ----------
    cell : the text.
    """
    return bool(_SIGNS.fullmatch(cell.strip()))


def is_known(values: np.ndarray) -> np.ndarray:
    """Mask of the values of an array of any shape that are not missing, and not infinite: LARGEST at most."""
    known: np.ndarray = np.abs(values) <= LARGEST
    return known


def is_allowed(values: np.ndarray, policy: str) -> np.ndarray:
    """Mask of the values of an array of any shape that a policy of `--nan` does not refuse: auto takes missing ones."""
    known = is_known(values)
    return known | np.isnan(values) if policy == "auto" else known


def refuses(policy: str, infinite: int) -> bool:
    """Whether a policy of `--nan` refuses gaps, of which so many are infinite values: these are hardly meant."""
    return policy == "error" or (policy == "auto" and infinite > 0)


def count_gaps(values: np.ndarray) -> tuple[int, int]:
    """How many values of an array of any shape are missing, and how many infinite (above LARGEST).

    Returns
    -------
    (missing, infinite).
    """
    if values.min(initial=0) >= -LARGEST and values.max(initial=0) <= LARGEST:  # NaN is neither; nothing is copied
        return 0, 0
    missing = infinite = 0
    for part in parts_of(values):
        known = is_known(part)
        if not known.all():
            here = int(np.isnan(part).sum())
            missing, infinite = missing + here, infinite + known.size - int(known.sum()) - here
    return missing, infinite


def parts_of(values: np.ndarray) -> Iterator[np.ndarray]:
    """An array some values at a time: a mask of all of a large one would not fit beside it."""
    each = values.size // max(len(values), 1)
    if values.ndim > 1 and each > COUNTED:
        for row in values:
            yield from parts_of(row)
        return
    step = max(COUNTED // max(each, 1), 1)
    for begin in range(0, len(values), step):
        yield values[begin : begin + step]


def counted(missing: int, infinite: int) -> str:
    """The two counts of `count_gaps` as text for a message.

    Parameters
    ----------
    missing, infinite : numbers of values.
    """
    return f"{missing:,} missing and {infinite:,} infinite values"


def suspects(values: np.ndarray, columns: Sequence[str]) -> list[str]:
    """The note of `suspect` on the column of a long table that has one; one for all where several do.

    Parameters
    ----------
    values : [C, n]. columns : their C names.
    """
    ends = np.abs([np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        digit = ends / 10 ** np.floor(np.log10(ends))  # the first, and behind a point the others
    may_be = (digit >= LEAST_DIGIT) | np.isin(ends, np.abs((*MARKS, SHORT_MARK))) | (ends >= HUGE)
    doubtful = np.flatnonzero(may_be.any(axis=0)).tolist()
    found = {columns[c]: mark for c in doubtful if (mark := _mark_of(values[c]))}
    if len(found) < 2:
        return [mark.note(f"column {name}", "lines") for name, mark in found.items()]
    texts = list(dict.fromkeys(mark.text for mark in found.values()))
    held = [f"{text} ({abridge([name for name, mark in found.items() if mark.text == text])})" for text in texts]
    question = f"marks for missing values? --na {' '.join(texts)}"
    return [f"warning: columns hold numbers that are far from their others: {', '.join(held)}: {question}"]


def suspect(values: np.ndarray, where: str, what: str) -> str:
    """The note on a number that is repeated and far from all others, and is one that devices write for a missing value.

    Parameters
    ----------
    values : of any shape. where : what holds them, such as a column. what : what they are, for their count.

    Returns
    -------
    The note; "" where there is no such number.
    """
    mark = _mark_of(values)
    return mark.note(where, what) if mark else ""


class _Mark(NamedTuple):
    """A number that may mark missing values, how often it stands there, and the nearest other value."""

    text: str
    times: int
    near: float

    def note(self, where: str, what: str) -> str:
        held = f"holds {self.text} in {self.times:,} {what}, and the next value is {self.near:.7g}"
        return f"warning: {where} {held}: a mark for missing values? --na {self.text}"


def _mark_of(values: np.ndarray) -> _Mark | None:
    """The number of `suspect`, if there is one."""
    parts = [(part.min(), part.max(), part.size) for part in map(_finite, parts_of(values)) if part.size]
    if sum(size for _, _, size in parts) < LEAST:
        return None
    for mark, end in ((min(low for low, _, _ in parts), np.min), (max(high for _, high, _ in parts), np.max)):
        if not _is_mark(float(mark)) or (count := sum(int((part == mark).sum()) for part in parts_of(values))) < TWICE:
            continue
        others = (known[known != mark] for known in map(_finite, parts_of(values)))
        ends = [end(part) for part in others if part.size]
        if not ends:
            continue
        near, some = float(end(ends)), _finite(_thinned(values))
        low, high = np.quantile(some[some != mark], (0.25, 0.75)) if (some != mark).any() else (0.0, 0.0)
        if abs(near - float(mark)) > (FAR if mark == SHORT_MARK else 1) * (high - low):
            return _Mark(f"{float(mark):.7g}", count, near)
    return None


def _finite(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = values[np.isfinite(values)]
    return found


def _thinned(values: np.ndarray) -> np.ndarray:
    """All values [n] of an array, or COUNTED of them at even steps where there are more."""
    step = -(-values.size // COUNTED)
    return values.reshape(-1) if step <= 1 else np.concatenate([part.reshape(-1)[::step] for part in parts_of(values)])


def _is_mark(value: float) -> bool:
    """Whether devices write a number for a missing value: -999, 9999, -99.9, -200, the ends of integers, 1e20."""
    digits = f"{abs(value):.7g}".replace(".", "")
    nines = len(digits) > (1 if value < 0 else 2) and len(set(digits)) == 1 and digits[0] in "789"
    return nines or value in (*MARKS, SHORT_MARK) or abs(value) >= HUGE


def gap_error(value: np.floating, what: str, where: str) -> DataError:
    """The error for the first missing or infinite value.

    Parameters
    ----------
    value : NaN, an infinity, or a number that is too large.
    what : how many there are and in which file, for the message.
    where : the location of this one.
    """
    if np.isfinite(value):
        large = f"value {value:g}, which is larger than any measurement, the first of {what}"
        return DataError(large, where=where, hint=f"--na {value:g} if it marks a missing value; {HINT}")
    kind = "missing" if np.isnan(value) else "infinite"
    return DataError(f"{kind} value, the first of {what}", where=where, hint=HINT)


def fill(values: np.ndarray, offsets: np.ndarray, policy: str) -> tuple[str, np.ndarray | None]:
    """Treat missing and infinite values as the policy (not `error`) says, in place; infinite ones count as missing.

    Parameters
    ----------
    values : float32 [C, total], N rows one after the other.
    offsets : int64 [N + 1], where each row begins and ends.
    policy : drop (set to NaN), ffill (the value before in the row), zero, or auto (ffill of short gaps, and of all in
        a row that is gaps everywhere).

    Returns
    -------
    What was done, for a note; and the mask [C, total] of the values that are made up, None under `drop`.
    """
    leading, made_up = 0, None if policy == "drop" else mapped.like(values, values.shape, bool)
    for c, channel in enumerate(values):
        filled = None if made_up is None else made_up[c]
        for begin in range(0, len(channel), COUNTED):
            at = slice(begin, begin + COUNTED)
            gaps = ~is_known(channel[at])
            channel[at][gaps] = 0 if policy == "zero" else np.nan
            if filled is not None:
                filled[at] = gaps
        if policy == "ffill":
            leading += fill_forward(channel, offsets)
        elif policy == "auto":
            _fill_short(channel, offsets)
    if policy == "auto":
        _fill_riddled(values, offsets)
    counts = [0, 0]  # made up, left as gaps
    for c, filled in enumerate(() if made_up is None else made_up):
        for begin in range(0, len(filled), COUNTED):
            at = slice(begin, begin + COUNTED)
            left = np.isnan(values[c, at])
            counts = [counts[0] + int((filled[at] & ~left).sum()), counts[1] + int(left.sum())]
            filled[at] &= ~left
    if policy == "auto":
        return _told(*counts), made_up
    return _DONE[policy] + (f"; {leading:,} at the start of a row left as gaps" if policy == "ffill" else ""), made_up


def _told(made: int, left: int) -> str:
    """What `auto` did, for a note."""
    filled = "filled with the value before in the row, which is never scored"
    gaps = "left as gaps, and windows that hold one are left out"
    some = ([f"{made:,} {filled}"] if left else [filled]) if made else []
    return "; ".join([*some, *([f"{left:,} {gaps}" if made else gaps] if left else [])])


def _fill_short(channel: np.ndarray, offsets: np.ndarray) -> None:
    """Give the NaN of short gaps the last value before them in their row, in place.

    Parameters
    ----------
    channel : float [total], N rows one after the other.
    offsets : int64 [N + 1].
    """
    gaps = np.flatnonzero(np.isnan(channel))
    if not len(gaps):
        return
    row = np.searchsorted(offsets, gaps, "right") - 1
    new = np.ones(len(gaps), bool)
    new[1:] = (np.diff(gaps) > 1) | (np.diff(row) > 0)
    run, first = np.cumsum(new) - 1, gaps[new]
    rows = row[new]
    most = np.clip(np.diff(offsets)[rows] // SHARE, 1, SHORT)
    short = (np.bincount(run) <= most) & (first > offsets[rows])
    at = gaps[short[run]]
    channel[at] = channel[first[run[short[run]]] - 1]


def _fill_riddled(values: np.ndarray, offsets: np.ndarray) -> None:
    """Fill all gaps of the rows that they leave in small pieces, in place: hardly a window would be without one.

    Parameters
    ----------
    values : float [C, total], N rows one after the other.
    offsets : int64 [N + 1].
    """
    whole = np.ones(values.shape[1], bool)
    for channel in values:
        whole &= ~np.isnan(channel)
    if whole.all():
        return
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        gaps = np.flatnonzero(~whole[begin:end])
        if not len(gaps):
            continue
        size, part = end - begin, values[:, begin:end]
        starts = [int(np.argmin(missing)) if not missing.all() else size for missing in map(np.isnan, part)]
        pieces = np.sort(np.diff(gaps, prepend=-1, append=size) - 1)
        usual = pieces[np.searchsorted(np.cumsum(pieces), pieces.sum() / 2)]  # in which the median of their steps lies
        runs = np.diff(np.flatnonzero(np.diff(gaps, prepend=-2, append=size + 1) > 1))  # the lengths of gaps
        pauses = int(runs[runs > PAUSE].sum()) if (runs > PAUSE).sum() <= MOST_PAUSES * size else 0
        if pieces[-1] * 2 < size - max(max(starts), pauses) and usual < LONG:  # of the steps at which all have begun
            for channel in part:
                fill_forward(channel, np.array([0, size]))


def fill_forward(channel: np.ndarray, offsets: np.ndarray) -> int:
    """Give each NaN the last value before it in its row, in place.

    Parameters
    ----------
    channel : float32 [total], N rows one after the other.
    offsets : int64 [N + 1], where each row begins and ends.

    Returns
    -------
    How many values had none before them, and stay NaN.
    """
    leading, row, rows = 0, 0, len(offsets) - 1
    while row < rows:
        if offsets[row + 1] - offsets[row] > FILL_CELLS:
            leading += _fill_long(channel[offsets[row] : offsets[row + 1]])
            row += 1
            continue
        stop = max(row + 1, int(np.searchsorted(offsets, offsets[row] + FILL_CELLS, "right")) - 1)
        part = channel[offsets[row] : offsets[stop]]
        starts = np.repeat(offsets[row:stop] - offsets[row], np.diff(offsets[row : stop + 1]))
        last = np.where(np.isnan(part), starts, np.arange(len(part)))
        part[:] = part[np.maximum.accumulate(last)]
        leading += int(np.isnan(part).sum())
        row = stop
    return leading


def _fill_long(line: np.ndarray) -> int:
    """`fill_forward` of one row [n], some values at a time."""
    leading, before = 0, np.nan
    for begin in range(0, len(line), FILL_CELLS):
        part = line[begin : begin + FILL_CELLS]
        if np.isnan(part[0]):
            part[0] = before
        part[:] = part[np.maximum.accumulate(np.where(np.isnan(part), 0, np.arange(len(part))))]
        leading, before = leading + int(np.isnan(part).sum()), part[-1]
    return leading
