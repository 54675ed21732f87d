"""What the interactive view of a page shows: series over time, thinned and packed into a few bytes a value."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

MOST_FRAMES, MOST_PLOTS = 8, 16  # rows of the data, and channels, labels or devices of each
VALUES = 26_000  # of a page in all: 2.7 bytes each
LEAST_STEPS, MOST_STEPS = 200, 3000  # of a frame
UNKNOWN = 65535  # stands for NaN
FINEST = 65534


@dataclass(frozen=True)
class Line:
    """One series of a plot.

    look : "truth", "prediction", "low" and "high" (the ends of one band), "beside" (what is not scored); "on" and
        "said" are states, drawn as strips.
    values : [n], NaN where unknown.
    """

    look: str
    name: str
    values: np.ndarray


@dataclass(frozen=True)
class Plot:
    """What is drawn in one axes. `level` is a value to mark, such as a threshold, and `mark` its name."""

    name: str
    lines: tuple[Line, ...]
    unit: str = ""
    level: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Frame:
    """Plots over one axis: a row of the data, or its end.

    title : says which row and which windows.
    at : [n], rising: ms since 1970 of a wall clock where `dated`, else numbers of steps.
    plots : at least one; every line has n values.
    joined : whether neighbours are joined by a line; rows are no neighbours.
    detail : the steps to show one by one where all of them are too many; None: the last ones.
    """

    title: str
    at: np.ndarray
    dated: bool
    plots: tuple[Plot, ...]
    label: str = "step"
    detail: slice | None = None
    joined: bool = True


def spread(count: int, most: int = MOST_FRAMES) -> list[int]:
    """At most `most` of 0..count-1, evenly spread, ends included."""
    return sorted({int(k) for k in np.linspace(0, count - 1, min(count, most))}) if count else []


def broken(frame: Frame, factor: float = 1.6) -> Frame:
    """The frame with an unknown value wherever time jumps by more than `factor` steps: no line crosses a gap."""
    gaps = np.diff(frame.at)
    if len(gaps) < 2 or not frame.joined:
        return frame
    after = np.flatnonzero(gaps > factor * np.median(gaps)) + 1
    if not len(after):
        return frame

    def split(line: Line) -> Line:
        return replace(line, values=np.insert(np.asarray(line.values, np.float64), after, np.nan))

    plots = tuple(replace(plot, lines=tuple(map(split, plot.lines))) for plot in frame.plots)
    at, detail = np.insert(frame.at, after, frame.at[after - 1] + 1), frame.detail
    if detail is not None:
        detail = slice(*(int(end + (after <= end).sum()) for end in (detail.start, detail.stop)))
    return replace(frame, at=at, plots=plots, detail=detail)


def packed(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """The frames as plain values for JSON, of about VALUES values in all."""
    frames = [replace(frame, plots=frame.plots[:MOST_PLOTS]) for frame in frames[:MOST_FRAMES]]
    lines = sum(len(plot.lines) for frame in frames for plot in frame.plots)
    steps = int(np.clip(VALUES // max(lines, 1), LEAST_STEPS, MOST_STEPS))
    return [_packed(broken(frame), steps) for frame in frames]


def _packed(frame: Frame, steps: int) -> dict[str, Any]:
    pieces = _pieces(len(frame.at), frame.detail, steps)
    made: dict[int, int] = {}  # a line that several plots share is packed once
    values: list[dict[str, Any]] = []
    plots: list[dict[str, Any]] = []
    for plot in frame.plots:
        for line in plot.lines:
            if id(line) not in made:
                made[id(line)] = len(values)
                values.append({"look": line.look, "name": line.name} | _numbers(_thinned(line, pieces)))
        drawn = {"name": plot.name, "unit": plot.unit, "lines": [made[id(line)] for line in plot.lines]}
        plots.append(drawn | ({} if plot.level is None else {"level": float(plot.level), "mark": plot.mark}))
    at = np.concatenate([_places(frame.at, *piece) for piece in pieces]) if pieces else np.zeros(0)
    thinned = next(((begin, stop) for begin, stop, size in pieces if size == 1), None)
    zoom = [float(frame.at[thinned[0]]), float(frame.at[thinned[1] - 1])] if thinned and len(pieces) > 1 else None
    return {
        "title": frame.title,
        "dated": frame.dated,
        "label": frame.label,
        "joined": frame.joined,
        "at": _text(at.astype("<f8")),
        "detail": zoom,
        "lines": values,
        "plots": plots,
    }


def _pieces(n: int, detail: slice | None, steps: int) -> list[tuple[int, int, int]]:
    """(begin, stop, steps of a bucket): every step of the detail, and of the others a minimum and a maximum each."""
    if n <= steps:
        return [(0, n, 1)] if n else []
    stop = n if detail is None else min(detail.stop, n)
    begin = max(stop - steps // 2, 0 if detail is None else detail.start)
    size = -(-2 * (n - (stop - begin)) // (steps - (stop - begin)))
    pieces = ((0, begin, size), (begin, stop, 1), (stop, n, size))
    return [piece for piece in pieces if piece[1] > piece[0]]


def _places(at: np.ndarray, begin: int, stop: int, size: int) -> np.ndarray:
    if size == 1:
        return at[begin:stop].astype(np.float64)
    edges = np.arange(begin, stop, size)
    middle = np.minimum(edges + size // 2, stop - 1)
    return np.stack([at[edges], at[middle]], axis=1).ravel().astype(np.float64)


def _thinned(line: Line, pieces: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Of each bucket the least and the largest value, in the order in which they come; of a band its far end twice."""
    found = []
    for begin, stop, size in pieces:
        part = np.asarray(line.values[begin:stop], np.float64)
        if size > 1:
            table = np.pad(part, (0, -len(part) % size), constant_values=np.nan).reshape(-1, size)
            low = np.where(np.isnan(table), np.inf, table)
            high = np.where(np.isnan(table), -np.inf, table)
            least, most = low.min(axis=1), high.max(axis=1)
            first = np.where(low.argmin(axis=1) <= high.argmax(axis=1), least, most)
            second = np.where(first == least, most, least)
            if line.look in ("low", "high"):
                first = second = least if line.look == "low" else most
            part = np.stack([first, second], axis=1).ravel()
        found.append(part)
    return np.concatenate(found) if found else np.zeros(0)


def _numbers(values: np.ndarray) -> dict[str, Any]:
    """Values [n] as 16 bits each, between the least and the largest."""
    known = np.isfinite(values)
    low, high = (float(values[known].min()), float(values[known].max())) if known.any() else (0.0, 0.0)
    unit = (high - low) / FINEST or 1.0
    code = np.full(len(values), UNKNOWN, "<u2")
    code[known] = np.rint((values[known] - low) / unit)
    return {"low": low, "unit": unit, "values": _text(code)}


def _text(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
