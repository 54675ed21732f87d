"""What suits a meter's step where no flag says it: how long a window is, and which inputs tell something."""

from __future__ import annotations

from typing import Any

from config import RunConfig
from data import Series
from sources.own_step import shown
from tasks.nilm.features import seconds_of

DAY = 86_400
SHORTEST, LONGEST = 48, 600  # steps of a window that is a day otherwise
FEWEST = 24  # steps of a window however few data there are
USUAL = 8  # seconds
SHORT_BASE = 600  # seconds: in longer steps the least power around one is that step's own


def suited(series: Series, config: RunConfig) -> tuple[dict[str, Any], list[str]]:
    """Settings that the data of training give, and notes.

    Parameters
    ----------
    series : N houses on one step.
    config : the settings; what was given stays.

    Returns
    -------
    ({setting: value}, notes). A window is a day, of 48 to 600 steps, and half a part of validation at most.
    """
    step = seconds_of(series)
    found: dict[str, Any] = {}
    notes = []
    if "resample" not in config.given and step == round(step) and not config.npz:
        found["resample"] = shown(round(step))
    if "context_len" not in config.given and not config.npz and not config.demo:
        length = _window(series, config, step)
        if step > USUAL or length < LONGEST:
            found["context_len"] = length
            notes.append(f"windows of {length} steps, {length * step / 3600:.3g} h (--window sets another)")
    if "nilm_features" not in config.given and step > SHORT_BASE:
        found["options"] = {**config.options, "nilm_features": ("log", "hour")}
        notes.append(f"inputs log and hour: in steps of {shown(round(step))} power above its minimum says nothing")
    return found, notes


def _window(series: Series, config: RunConfig, step: float) -> int:
    """Steps of a window: a day within limits, of which two fit into validation and into test; in steps of USUAL seconds
    or less the usual number, where one fits."""
    length = min(max(round(DAY / step), SHORTEST), LONGEST)
    parts = [share for share in (config.val_ratio, config.test_ratio) if share]
    if config.split_sizes:
        room = min(size for size in config.split_sizes[1:] if size) if any(config.split_sizes[1:]) else length * 2
    else:
        room = int(series.lengths.max()) if config.split_mode == "group" else int(series.lengths.max() * min(parts))
    return length if step <= USUAL and room >= length else min(length, max(room // 2, FEWEST))
