"""A learning curve in words, for a reader without plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from errors import DataError

Point = tuple[Any, float]  # epoch, MSE


def build_history_summary(history: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """Epochs, best epoch, and how the training and validation MSE went, in words.

    `history` is what history.json holds, `{best_epoch, epochs: [{epoch, train_mse, val_mse, lr}]}`, or its list of
    epochs alone. A metric of an epoch may be missing, None or NaN. DataError for anything else.
    """
    rows, best = _rows(history)
    if not rows:
        return "0 epochs."
    val = _points(rows, "val_mse")
    if best is None and val:
        best = _lowest(val)[0]
    head = f"{len(rows)} epoch{'s' * (len(rows) != 1)}" + ("" if best is None else f", best_epoch={best}")
    train = _points(rows, "train_mse")
    return " ".join([f"{head}.", _of_train(train) + _gaps(train, rows), _of_val(val) + _gaps(val, rows)])


def _rows(history: Any) -> tuple[list[Mapping[str, Any]], Any]:
    epochs = history.get("epochs") if isinstance(history, Mapping) else history
    best = history.get("best_epoch") if isinstance(history, Mapping) else None
    rows = list(epochs) if isinstance(epochs, Sequence) and not isinstance(epochs, str) else None
    if rows is None or not all(isinstance(row, Mapping) for row in rows):
        raise DataError("not a history", hint="{best_epoch, epochs: [{epoch, train_mse, val_mse, lr}]}")
    return rows, best


def _points(rows: Sequence[Mapping[str, Any]], key: str) -> list[Point]:
    found = [(row.get("epoch", place), row.get(key)) for place, row in enumerate(rows)]
    points = [(epoch, _number(value, f"{key} of epoch {epoch}")) for epoch, value in found if value is not None]
    return [(epoch, value) for epoch, value in points if math.isfinite(value)]


def _number(value: Any, where: str) -> float:
    """A number of any library, as Python's; text is none, since "1,5" could be two things."""
    try:
        if isinstance(value, (str, bytes, bool)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{value!r} is not a number", where=where, hint="a number, None or NaN") from None


def _lowest(points: Sequence[Point]) -> Point:
    return min(points, key=lambda point: point[1])


def _of_train(points: Sequence[Point]) -> str:
    if not points:
        return "train_mse is missing."
    first, last = _figure(points[0][1]), _figure(points[-1][1])
    if len(points) == 1:
        return f"train_mse was {first}."
    if first == last:
        return f"train_mse stayed at {first}."
    return f"train_mse {'decreased' if points[-1][1] < points[0][1] else 'increased'} from {first} to {last}."


def _of_val(points: Sequence[Point]) -> str:
    if not points:
        return "val_mse is missing."
    if len(points) == 1:
        return f"val_mse was {_figure(points[0][1])}."
    epoch, lowest = _lowest(points)
    reached = f"reached minimum of {_figure(lowest)} at epoch {epoch}"
    return f"val_mse started at {_figure(points[0][1])}, {reached}, ended at {_figure(points[-1][1])}."


def _gaps(points: Sequence[Point], rows: Sequence[Any]) -> str:
    missing = len(rows) - len(points)
    return f" ({missing} of {len(rows)} epochs without a value.)" if points and missing else ""


def _figure(value: float) -> str:
    """Two decimals, or three digits where these would say too little."""
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3g}"
