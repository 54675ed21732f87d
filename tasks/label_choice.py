"""What a task of labels along time takes where no flag says it, or one says it by name: the channel, and the split."""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from config import RunConfig
from data import Series
from errors import many, printable
from readers.guess import is_class_word, is_person
from readers.mapped import is_mapped
from readers.named_labels import named_as_labels
from readers.paths import abridge
from readers.runs import MOST_CODES
from sources import label_column, path_labels
from times.words import last_word

log = logging.getLogger("tsrun")
LOOKED_AT = 100_000  # steps
TARGETS = ("target", "label", "rul", "soh")  # as the last word of a name: what is to be predicted
ENOUGH = 1.2  # times the windows back to the first of another class: it takes some of them


def chosen(series: Series, config: RunConfig, label: int | str, *, of_classes: bool) -> dict[str, Any]:
    """{setting: value} of the label's channel as a number, and of how one row is split; what is taken is told.

    Parameters
    ----------
    series : its channels have names, and the label is one of them.
    config : the settings so far.
    label : a channel's number, or its name.
    of_classes : whether the task's label has classes: then the only column of codes is taken, where none is named.
    """
    found: dict[str, Any] = {}
    if isinstance(label, str):
        found["label_src_ch"] = series.channels.index(label)
        if config.labels or label in path_labels.PLACES or _is_of_rows(series, label):
            found |= _beside(series, config, label)
    elif of_classes and config.time_col and not {"label_src_ch", "bin_rule", "bin_thr"} & config.given:
        coded = [c for c in range(series.numeric) if _may_be_label(series, c)]
        found |= _coded(series, coded, label)
    elif not of_classes and "label_src_ch" not in config.given and config.time_col:
        found |= _target(series)
    if not {"label_src_ch", "ckpt"} & config.given and "label_src_ch" not in found and isinstance(label, int):
        _tell_first(series, config, label, of_classes=of_classes)
    return found | one_row(series, config)


def _target(series: Series) -> dict[str, Any]:
    """{"label_src_ch": the channel} of the only column that is named as targets are, told; {} for none."""
    named = [c for c in range(series.numeric) if last_word(series.channels[c]) in TARGETS]
    if len(named) != 1 or series.n_channels == 1:
        return {}
    log.info("label: %r, by its name; --label-src-ch names another", series.channels[named[0]])
    return {"label_src_ch": named[0]}


def _tell_first(series: Series, config: RunConfig, label: int, *, of_classes: bool) -> None:
    """What is learned where nothing says it: the first channel, which may be any."""
    name, ahead = printable(series.channels[label]), f"{many(config.label_offset, 'step')} after the context"
    other = "--label-src-ch names another" if series.n_channels > 1 else "--labels FILE names those of rows"
    if of_classes and not {"bin_rule", "bin_thr"} & config.given:
        name, other = f"whether {name} is other than 0", f"{other}, --bin-rule names another rule"
    log.info("label: %s, %s; %s", name, ahead, other)


def _may_be_label(series: Series, channel: int) -> bool:
    """Whether a channel holds codes of classes, and none that are the same all along each of several rows: those say
    whose a row is."""
    values = series.values[channel]
    if not codes(values) or is_person(series.channels[channel]):
        return False
    least, most = (extreme.reduceat(values, series.offsets[:-1]) for extreme in (np.fmin, np.fmax))
    return series.n_rows == 1 or bool((least < most).any())


def _coded(series: Series, coded: Sequence[int], label: int | str) -> dict[str, Any]:
    """{"label_src_ch": the channel} of the only column of codes, or the only one of them that is named as labels are,
    told; where neither is, they are told, and the first column stays the label."""
    named = [series.channels.index(name) for name in named_as_labels([series.channels[c] for c in coded])]
    only = coded if len(coded) == 1 else named
    if len(only) == 1 and list(only) != [label]:
        which = "" if len(coded) == 1 else " that is named as a label"
        log.info("label: %r, the only column of codes%s; --label-src-ch names another", series.channels[only[0]], which)
        return {"label_src_ch": only[0]}
    if len(only) != 1 and coded and label not in coded:
        names = [series.channels[c] for c in coded]
        told = "warning: columns of codes, of which one may be the label: %s; --label-src-ch %s takes it, not the first"
        log.warning(told, abridge(names), shlex.quote(names[0]))
    return {}


def _beside(series: Series, config: RunConfig, label: str) -> dict[str, Any]:
    """The settings of a label along time that comes from beside the table: it is no input, and one that is the same
    all along each row is told apart at each row's end."""
    found: dict[str, Any] = {} if "drop_label_from_x" in config.given else {"drop_label_from_x": True}
    few = label in path_labels.PLACES or _is_of_rows(series, label)
    if few and series.n_rows > 1 and not {"split_mode", "val_groups", "test_groups"} & config.given:
        what = "files" if label in path_labels.PLACES else "series"
        log.info("few %s of each class: all are learned from, and their ends are for validation and test", what)
        found["split_mode"] = "holdout"
    return found


def _is_of_rows(series: Series, label: str) -> bool:
    """Whether the channel of that name is the same all along each of several rows, and not in all of them."""
    return label_column.is_of_rows(series.values[series.channels.index(label)], series.offsets)


def apart(series: Series, config: RunConfig, found: Mapping[str, Any]) -> dict[str, Any]:
    """{setting: value} with which no window of validation or test shares steps with training, told; {} for others.

    It matters where the label is the same all along each row: half of a window tells of it.

    Parameters
    ----------
    series : its rows' lengths count.
    config : the settings so far.
    found : those that are chosen, with the split, the label and maybe the context's length.
    """
    label = series.channels[found["label_src_ch"]] if "label_src_ch" in found else ""
    if not label or not _is_of_rows(series, label) or found.get("split_mode") != "holdout" or "gap" in config.given:
        return {}
    most, length = int(series.lengths.min() * config.val_ratio) // 2, found.get("context_len", config.context_len)
    if "context_len" not in config.given and most > 1:
        length = min(length, most)
    if length > most:
        log.warning("warning: windows of validation and test begin in training: rows are short for --gap %d", length)
        return {}
    told = (
        "gap: %d steps before validation and before test, so that no window of these begins in training; --gap sets it"
    )
    log.info(told, length)
    return {"gap": length, "context_len": length}


def only_words(series: Series, config: RunConfig) -> str:
    """The only column of text of a dated table, where no flag names a label and no number could be one, told; or "".

    Parameters
    ----------
    series : read with the first channel as the label, and without text.
    config : the settings.
    """
    asked = {"label_src_ch", "bin_rule", "bin_thr", "labels", "categorical", "columns"} & config.given
    if asked or config.strict or not (config.time_col or config.db) or len(series.text) != 1:
        return ""
    numbers = [c for c in range(series.numeric) if not is_person(series.channels[c])]
    zeros = not series.values[numbers[:1]].all() and not is_class_word(series.text[0])
    if zeros or any(_may_be_label(series, c) for c in numbers):
        return ""
    log.info("label: %r, the only column of text; --label-src-ch names another", series.text[0])
    return series.text[0]


def larger_val(truth: Mapping[str, np.ndarray]) -> float | None:
    """The share of all windows, in twentieths, with which validation would hold both classes of a label if it began
    earlier; None where that leaves training less than half of what it has, or one class.

    Parameters
    ----------
    truth : {split: [n, K, 1]}, in the order of time; the labels of validation are all the same.
    """
    train, val = truth["train"], truth["val"]
    other = np.flatnonzero((train[:, :, 0] != val[-1:, :, 0]).any(axis=1)) if len(val) else np.arange(0)
    if not len(other):
        return None
    total = sum(map(len, truth.values()))
    more = (len(train) - int(other[-1])) * ENOUGH
    share = math.ceil((len(val) + more) / total * 20) / 20
    left = train[: max(len(train) + len(val) - math.ceil(share * total), 0), :, 0]
    both = (
        len({row.tobytes() for row in left}) > 1
    )  # of a class that stands alone before them, nothing can be told apart
    return share if more < len(train) / 2 and both else None


def smaller_val(truth: Mapping[str, np.ndarray]) -> float | None:
    """The share of all windows with which validation would begin in the middle of the class that training lacks, so
    that both have both; None where validation would hold that class alone.

    Parameters
    ----------
    truth : {split: [n, K, 1]}, in the order of time; the labels of training are all the same.
    """
    train, val = truth["train"], truth["val"]
    other = np.flatnonzero((val[:, :, 0] != train[:1, :, 0]).any(axis=1)) if len(train) and len(val) else np.arange(0)
    later = len(val) - int(other[len(other) // 2]) if len(other) > 1 else 0
    both = len({row.tobytes() for row in val[len(val) - later :, :, 0]}) > 1
    return later / sum(map(len, truth.values())) if both else None


def one_row(series: Series, config: RunConfig) -> dict[str, Any]:
    """{"split_mode": "holdout"} for a single row where no flag says how it is split, told: it has no other parts."""
    if series.n_rows > 1 or series.groups is not None or {"split_mode", "val_groups", "test_groups"} & config.given:
        return {}
    if config.split_mode != "group" or series.labels is not None:
        return {}
    log.info("one row: its end is for validation and test (--split-mode holdout), since there are no other rows")
    return {"split_mode": "holdout"}


def codes(values: np.ndarray) -> list[float]:
    """The numbers of a channel [total] where they look like codes of classes: two to twenty whole ones; else []."""
    some = values[:LOOKED_AT]
    kinds = np.unique(some[~np.isnan(some)])
    if not 2 <= len(kinds) <= MOST_CODES or (kinds % 1).any() or is_mapped(values):
        return []
    return [float(kind) for kind in kinds]
