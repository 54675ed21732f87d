"""What a home sends, checked before it counts: a home may be broken, or somebody else.

Everything here takes what came over the wire as it is, and raises ValueError with the reason for which the home is left
out. Only the federation's own schema and weights are believed.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]
NAME = re.compile(r"[\w+=,-][\w.+=,-]{0,199}")  # of a home: it becomes a folder, and is printed
MOST_TEXT = 1 << 24  # characters of an answer
MOST_DIMENSIONS = 8
MOST_TIMES = 1000  # what one home may say of itself, in medians of what all say: windows, spread of a channel
MOST_LOSS = 1e9
LISTED = {"task", "backbone", "model_args", "channels", "modalities", "context", "labels", "one label a row", "weights"}


# ---- answers


def answer_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object of an answer to a question."""
    text = properties.get("answer")
    if not isinstance(text, str) or len(text) > MOST_TEXT:
        raise ValueError("its answer is no text, or too long")
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise ValueError("its answer is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("its answer is not a JSON object")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def home_of(answer: Mapping[str, Any]) -> tuple[str, dict[str, Any], int]:
    """(name, schema, number of training windows) that a home tells when it joins."""
    name, schema, windows = answer.get("home"), answer.get("schema"), answer.get("windows")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError("its name is none")
    if not isinstance(schema, dict) or set(schema) != LISTED:
        raise ValueError("it sent no schema")
    named = isinstance(schema["channels"], list) and all(isinstance(name, str) for name in schema["channels"])
    if not named or not isinstance(schema["weights"], dict) or not all(map(_is_shape, schema["weights"].values())):
        raise ValueError("it sent no schema")
    if type(windows) is not int or windows < 1:
        raise ValueError("it did not say how many windows it has")
    return name, schema, windows


def _is_shape(value: Any) -> bool:
    sizes = isinstance(value, list) and len(value) <= MOST_DIMENSIONS
    return sizes and all(type(size) is int and 0 <= size < 1 << 40 for size in value)


def too_many(windows: int, others: Sequence[int]) -> str:
    """Why a number of windows is not believed next to those of the other homes; empty where it is."""
    usual = float(np.median([float(count) for count in others])) if others else math.inf
    return f"it says that it has {windows:,} windows, the others {usual:,.0f}" if windows > MOST_TIMES * usual else ""


def sums_of(answer: Mapping[str, Any], fields: Sequence[str], channels: int) -> dict[str, list[float]]:
    """`fields` of an answer, each of `channels` finite numbers; counts and squares are not negative."""
    found: dict[str, list[float]] = {}
    for field in fields:
        values = answer.get(field)
        if not isinstance(values, list) or len(values) != channels or not all(map(_is_finite, values)):
            raise ValueError("its sums for the common scaler are not finite numbers, one for each channel")
        if field != "sum" and min(values, default=0) < 0:
            raise ValueError("its sums for the common scaler are negative")
        found[field] = [float(value) for value in values]
    return found


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def centre(count: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The median of the homes' means of each channel [C], from counts and sums [N, C]; 0 where no home has a step."""
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    found, known = np.zeros(count.shape[1]), (count > 0).any(axis=0)
    found[known] = np.nanmedian(means[:, known], axis=0)
    return found


def strangers(count: np.ndarray, total: np.ndarray, square: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Which of N homes say something of their steps that cannot be, or is far from what the others say [N].

    Parameters
    ----------
    count, total : how many steps each home has of each channel, and their sums [N, C].
    square : the sums of squared differences from the middle [N, C].
    middle : the `centre` of the channels [C].

    The mean of squares is at least the square of the mean, and at most MOST_TIMES^2 the median of those that vary;
    steps are at most MOST_TIMES the median.
    """
    known = np.maximum(count, 1)
    away, spread = total / known - middle * (count > 0), np.sqrt(square / known)
    usual = np.array([np.median(column[column > 0]) if (column > 0).any() else 0.0 for column in spread.T])
    scale = np.abs(middle) + usual
    lies = np.abs(away) > spread * (1 + 1e-6) + 1e-6 * scale
    many = count > MOST_TIMES * np.maximum(np.median(count, axis=0), 1)
    return np.asarray((lies | many | (spread > MOST_TIMES * usual)).any(axis=1))


# ---- weights


def array_of(data: bytes, shape: Sequence[int], dtype: np.dtype[Any] | None) -> np.ndarray:
    """One array as numpy writes it, of this shape and type; of any type of numbers where `dtype` is None.

    The header is read first, and nothing is taken up that is larger than what was expected.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[version[0]]
        found_shape, fortran, found = read(stream)
    except Exception:  # bytes that lie can lead numpy's parser anywhere
        raise ValueError("its weights cannot be read") from None
    right = found == dtype if dtype is not None else found.kind in "fiub" and found.itemsize <= np.dtype("f8").itemsize
    if found.hasobject or not right or list(found_shape) != list(shape):
        raise ValueError("it sent weights of other shapes or types than asked for")
    if len(data) - stream.tell() != math.prod(shape) * found.itemsize:
        raise ValueError("its weights cannot be read")
    return np.frombuffer(data, found, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")


def first_weights(tensors: Sequence[bytes], shapes: Mapping[str, Sequence[int]]) -> Weights:
    """The weights from which all may start: of these names and shapes, any type of numbers, and finite."""
    if len(tensors) != len(shapes):
        raise ValueError("it sent other weights than asked for")
    pairs = zip(shapes.items(), tensors, strict=True)
    return only_finite({name: array_of(data, shape, None) for (name, shape), data in pairs})


def weights_of(tensors: Sequence[bytes], names: Any, current: Weights) -> Weights:
    """The weights that came back: of the names, shapes and types of `current`. `names` is JSON."""
    try:
        told = json.loads(names) if isinstance(names, str) and len(names) <= MOST_TEXT else None
    except (ValueError, RecursionError):
        told = None
    if told != list(current) or len(tensors) != len(current):
        raise ValueError("it sent other weights than asked for")
    pairs = zip(current.items(), tensors, strict=True)
    return {name: array_of(data, value.shape, value.dtype) for (name, value), data in pairs}


def only_finite(weights: Weights) -> Weights:
    """The weights themselves; ValueError where one is not finite."""
    if not finite(weights):
        raise ValueError("its weights are not finite")
    return weights


def finite(weights: Mapping[str, np.ndarray]) -> bool:
    """Whether every weight is a finite number."""
    return all(bool(np.isfinite(value).all()) for value in weights.values())


def norm(weights: Weights, before: Weights | None = None) -> float:
    """The L2 norm of all weights that are not counters, or of their change since `before`."""
    total = 0.0
    for name, value in weights.items():
        if value.dtype.kind == "f":
            total += float(np.square(value.astype(np.float64) - (0.0 if before is None else before[name])).sum())
    return math.sqrt(total)


def too_long(norms: Sequence[float], scale: float, factor: float) -> list[bool]:
    """Which changes have a norm of more than `factor` medians.

    `scale`, the norm of the average that all started from, is one more of the norms: so a lone other home does not
    decide, and of two homes one can be told from the other.
    """
    usual = float(np.median([*norms, scale]))
    return [value > factor * usual for value in norms]


def examples_of(count: Any, said: int) -> int:
    """A number of windows, which is at least 1 and at most what the home said when it joined."""
    if type(count) is not int or not 1 <= count <= said:
        raise ValueError(f"it claims {count} windows; it had {said} when it joined")
    return count


def loss_of(loss: Any) -> float:
    """A validation loss."""
    if type(loss) not in (int, float) or not math.isfinite(loss):
        raise ValueError("its validation loss is not finite")
    if not 0 <= loss < MOST_LOSS:
        raise ValueError(f"its validation loss is {loss:.4g}")
    return float(loss)
