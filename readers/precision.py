"""Which numbers float32 holds: values stay float64 where rounding would hide how they differ."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import numpy as np

from errors import DataError
from readers.mapped import is_mapped
from readers.missing import is_known
from scaler import Scaler

log = logging.getLogger("tsrun")
LOST = 1e-4  # of the spread of a row's values: rounding by more than this shows in a model's error
NEVER = 1e-6  # of their range: so little is lost whatever their spread is
MOST_ROWS = 500  # whose spread is looked at, those that lose most
MOST_STEPS = 4096  # of a row
CHANGED = 0.1  # of the usual change from step to step: with larger steps a counter that rises moves in jumps
BLURRED = 0.05  # of the range of a row's values: with larger steps they are hardly told apart
FEW = 0.1  # of the steps: so many may be blurred with a warning
NEAR = 500  # times a row's range, from which on the range of all may hide it
HALF = 0.5  # of the steps: as many are left out with a warning
AT_ONCE = 1 << 16  # values of which float64 copies stay in the cache
EXACT = 1e-13  # of a channel's level: float64 tells no smaller differences apart that are of use


def narrowed(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Values as float32 where that loses nothing that matters, else as they are.

    Parameters
    ----------
    values : float [C, total], NaN where missing.
    offsets : int64 [N + 1], where each row begins and ends.

    Returns
    -------
    float32 [C, total], or `values`.
    """
    if values.dtype == np.float32 or any(loses(values[channel], offsets) for channel in _doubtful(values, offsets)):
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _doubtful(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The numbers of the channels of which some row loses more than NEVER of its range: one by one takes far longer."""
    rows = offsets[:-1][np.diff(offsets) > 0]
    block = max(AT_ONCE // max(values.shape[1], 1), 1)
    found = np.zeros(len(values), bool)
    for begin in range(0, len(values) if len(rows) else 0, block):
        part = values[begin : begin + block]
        with np.errstate(over="ignore", invalid="ignore"):
            worst = np.fmax.reduceat(np.abs(part - part.astype(np.float32)), rows, axis=1)
            span = np.fmax.reduceat(part, rows, axis=1) - np.fmin.reduceat(part, rows, axis=1)
        kept = (worst <= NEVER * span) & (span < np.inf)  # false for a row without a value, too
        found[begin : begin + block] = ~kept.all(axis=1)
    return np.flatnonzero(found)


def loses(channel: np.ndarray, offsets: np.ndarray) -> bool:
    """Whether float32 would hide how the values of some row, or of the whole channel, differ.

    Parameters
    ----------
    channel : float64 [total], N rows one after the other.
    offsets : int64 [N + 1], where each row begins and ends.
    """
    lost = rounding(channel)
    if not lost.any():
        return False
    rows = offsets[:-1][np.diff(offsets) > 0]
    ends = offsets[1:][np.diff(offsets) > 0]
    known = np.where(is_known(channel), channel, np.nan)
    worst = np.maximum.reduceat(lost, rows)
    span = np.fmax.reduceat(known, rows) - np.fmin.reduceat(known, rows)
    ratio = np.divide(worst, span, out=np.zeros(len(rows)), where=span > 0)  # a constant row has nothing to lose
    doubtful = np.argsort(ratio)[::-1][:MOST_ROWS]
    doubtful = doubtful[ratio[doubtful] > NEVER]
    if any(hides(worst[row], known[rows[row] : ends[row]]) for row in doubtful):
        return True
    return hides(float(lost.max()), known)


def judged(table: np.ndarray) -> tuple[bool, float]:
    """Whether float32 would hide how the values of some row of a table differ, and the most that it changes in one.

    Parameters
    ----------
    table : float64 [n, T], NaN where missing.
    """
    if not table.size:
        return False, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        lost = float(np.fmax.reduce(np.abs(table - table.astype(np.float32)), axis=None))
        span = float((np.fmax.reduce(table, axis=1) - np.fmin.reduce(table, axis=1)).min())
    lost = lost if np.isfinite(lost) else 0.0
    if lost <= NEVER * span < np.inf:  # false where a row has no value
        return False, lost
    return loses(table.reshape(-1), np.arange(len(table) + 1) * table.shape[1]), lost


def hides(lost: float, values: np.ndarray) -> bool:
    """Whether rounding by at most `lost` would hide how values [n] differ, NaN left out."""
    span = float(np.fmax.reduce(values)) - float(np.fmin.reduce(values)) if lost else 0.0
    return lost > NEVER * span > 0 and lost > LOST * spread(values)


def rounding(values: np.ndarray) -> np.ndarray:
    """What float32 changes in each value, float64 of the same shape; 0 where a value is missing or infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        lost = np.abs(values - values.astype(np.float32))
    return np.where(np.isfinite(lost), lost, 0)


def spread(values: np.ndarray) -> float:
    """How far apart values [n] are: the range of their middle half, or else their range; NaN left out."""
    some = values[:: max(len(values) // MOST_STEPS, 1)]
    some = some[~np.isnan(some)]
    if not len(some):
        return 0.0
    low, high = np.percentile(some, [25, 75])
    return float(high - low) or float(np.nanmax(values) - np.nanmin(values))


def usual_change(values: np.ndarray) -> float:
    """The median of the changes from one value [n] to the next that are none of 0 and NaN; infinite without any."""
    changes = np.abs(np.diff(values))
    changes = changes[changes > 0]
    return float(np.median(changes)) if len(changes) else np.inf


def check_distinct(
    values: Iterable[np.ndarray], scaler: Scaler, offsets: np.ndarray, channels: Sequence[str], rows: Sequence[str]
) -> None:
    """Refuse values that the model could not tell apart: in float64, or once they are scaled and float32.

    Parameters
    ----------
    values : C channels [total] in their units, NaN where missing.
    scaler : what the model sees of them.
    offsets : int64 [N + 1], where each row begins and ends.
    channels, rows : C and N names.

    Raises
    ------
    DataError : a channel varies too little for its level, or many rows do for how far they are from the others.
    """
    kept = np.flatnonzero(np.diff(offsets) > 0)
    starts, lengths = offsets[kept], np.diff(offsets)[kept]
    for c, (name, raw) in enumerate(zip(channels, values, strict=True)):
        low, high = np.fmin.reduceat(raw, starts), np.fmax.reduceat(raw, starts)
        if np.isnan(low).all():
            continue
        level, span = float(np.nanmax(np.abs([low, high]))), float(np.nanmax(high) - np.nanmin(low))
        if 0 < span < EXACT * level:
            what = f"{name} varies by {span:.3g} around {level:.9g}, less than numbers of 16 digits hold"
            raise DataError(what, where="--csv", hint="subtract its level before, and write what is left")
        bottom, top = (scaler.apply(end[None], which=[c])[0] for end in (low, high))  # what is scaled keeps its order
        if np.isinf([bottom, top]).any():  # far beyond training: no prediction is made, and that is told
            continue
        blurred = _blurred(raw, (low, high), (bottom, top), starts, lengths)
        if blurred.any():
            _tell_blurred(name, [rows[row] for row in kept[blurred]], lengths[blurred].sum() / lengths.sum(), span)


def _blurred(
    raw: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    scaled: tuple[np.ndarray, np.ndarray],
    starts: np.ndarray,
    lengths: np.ndarray,
) -> np.ndarray:
    """Mask [n] of the rows of a channel [total] whose values float32 hardly tells apart once they are scaled.

    Parameters
    ----------
    ends, scaled : the lowest and the highest value of each row, [n] each, in the data's units and scaled.
    starts, lengths : where each row begins, and its steps, int64 [n].
    """
    (low, high), (bottom, top) = ends, scaled
    span = float(np.nanmax(high) - np.nanmin(low))
    step = np.spacing(np.fmax(np.abs(bottom), np.abs(top)))
    scale = float(np.nanmax(top) - np.nanmin(bottom)) / span if span else 1.0
    blurred: np.ndarray = (high > low) & (step > BLURRED * scale * (high - low))
    for row in np.flatnonzero(~blurred & (high > low) & (step > LOST * scale * (high - low))):
        blurred[row] = step[row] > CHANGED * scale * usual_change(raw[starts[row] : starts[row] + lengths[row]])
    return blurred


def rows_to_see(
    values: np.ndarray, offsets: np.ndarray, channels: Sequence[str], rows: Sequence[str]
) -> tuple[np.ndarray, str] | None:
    """The rows beside which others cannot be told apart, where these are some, but no more than half; and a warning.

    Parameters
    ----------
    values : float [C, total], NaN where missing.
    offsets : int64 [N + 1], where each row begins and ends.
    channels, rows : C and N names.

    Returns
    -------
    (the numbers of the rows to keep, the warning); None where nothing is to be left out.
    """
    lengths = np.diff(offsets)
    if len(lengths) < 2 or not lengths.all() or is_mapped(values):
        return None
    hidden = np.zeros(len(lengths), bool)
    told = ""
    for name, raw in zip(channels, values, strict=True):
        known = np.where(is_known(raw), raw, np.nan).astype(np.float64)
        low, high = np.fmin.reduceat(known, offsets[:-1]), np.fmax.reduceat(known, offsets[:-1])
        if not (np.fmax.reduce(high) - np.fmin.reduce(low) > NEAR * (high - low)[high > low]).any():
            continue
        scaler = Scaler.fit([known], np.ones(len(raw), bool), [name])
        bottom, top = (scaler.apply(end[None])[0] for end in (low, high))
        blurred = _blurred(known, (low, high), (bottom, top), offsets[:-1], lengths)
        told = told or f"{name} covers {np.nanmax(high) - np.nanmin(low):.3g} over all rows" * bool(blurred.any())
        hidden |= blurred
    if not FEW <= lengths[hidden].sum() / lengths.sum() <= HALF:
        return None
    listed = _listed([rows[row] for row in np.flatnonzero(hidden).tolist()])
    what = f"warning: {told}, and beside that the values of {int(hidden.sum()):,} of {len(rows):,} cannot be told apart"
    return np.flatnonzero(~hidden), f"{what}: left out are {listed}; a file of these alone is read"


def _listed(rows: Sequence[str]) -> str:
    return ", ".join(rows[:5]) + (f" and {len(rows) - 5:,} more" if len(rows) > 5 else "")


def _tell_blurred(channel: str, rows: Sequence[str], share: float, span: float) -> None:
    """Warn of rows that vary too little to be seen beside the others of a channel, or refuse many of them."""
    what = (
        f"{channel} covers {span:.3g} over all rows, and beside that the values of {_listed(rows)} cannot be told apart"
    )
    if share >= FEW:
        raise DataError(what, where="--csv", hint="a run for rows of like level, or rows without their level")
    log.warning("warning: %s", what)
