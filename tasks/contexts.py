"""The context's length of a task of labels along time, where it is not given."""

from __future__ import annotations

import logging

from config import RunConfig
from data import Series
from splits import FEW_WINDOWS

log = logging.getLogger("tsrun")
MOST = 96  # steps: more cost time at each step and seldom help to say what comes next


def chosen_length(series: Series, config: RunConfig, split_mode: str) -> int:
    """The longest context with windows in every part, up to `MOST`; told.

    Parameters
    ----------
    series : its rows' lengths count, and no value.
    config : the sizes of the parts, and how far the label is from the context.
    split_mode : how the rows are split.
    """
    steps = int(series.lengths.min())
    if split_mode != "group":  # the parts are in time, and training's first fold is the shortest
        left = 1 - config.val_ratio - config.test_ratio
        steps = config.split_sizes[0] if config.split_sizes else int(steps * left / config.folds)
    longest = max(steps - config.label_offset - (FEW_WINDOWS if steps > 2 * FEW_WINDOWS else 0), 1)
    length = min(longest, MOST)
    why = "enough for most labels" if length == MOST else "the longest that leaves windows in every part"
    log.info("context: %d steps, %s; --context-len sets another", length, why)
    return length
