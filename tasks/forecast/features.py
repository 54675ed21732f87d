"""Which channels a forecast is of, and from: --features, categories, what is known ahead; and what contradicts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import losses
from backbones import backbone_class
from checkpoint import Checkpoint
from config import RunConfig
from data import Series
from errors import DataError, UsageError, listed, nearest
from registry import Namespace
from sources import levels

log = logging.getLogger("tsrun")
MIXING = ("ridge_ensemble", "itransformer", "informer")  # the backbones to name that forecast a channel from all
MOST_TOLD = 8


def free(series: Series) -> list[str]:
    """The channels that can be forecast: numbers that are not known ahead. DataError where there are none."""
    known = {*series.known}
    found = [name for name in series.channels[: series.numeric] if name not in known]
    if not found:
        raise DataError("no column of numbers is left to forecast", where="--csv", hint=listed(series.columns))
    return found


def seen(series: Series, targets: Sequence[str], features: str, backbone: str, *, tells: bool) -> list[str]:
    """The channels whose past the model sees.

    Categories are seen with --features M too, unless the backbone would not learn from them; `tells` says so.
    """
    if features == "S":
        return list(targets)
    every, taken = free(series), {*targets}
    words = [name for name in series.channels[series.numeric :] if name not in series.known]
    others = [name for name in every if name not in taken]
    if others + words and tells:
        tell_unused(backbone, others + words, features)
    return every + ([] if features == "M" and backbone_class(backbone).separate else words)


def with_static(
    series: Series, wanted: Sequence[str], config: RunConfig, steps: int, start: Checkpoint | None
) -> Series:
    """A series whose channels with one value a row are known ahead; without them for a backbone that sees nothing but
    the past of the targets.

    Parameters
    ----------
    series : as it was read.
    wanted : the targets, () for all.
    config : the settings.
    steps : of the future that are asked for.
    start : the checkpoint, which knows the channels.
    """
    kind, notes = backbone_class(config.backbone), series.notes
    if start is not None:
        names: tuple[str, ...] = levels.static(start.coding)
    else:
        names = tuple(name for name in series.static if name not in (*wanted, *series.known))
        if all(name in names for name in free(series)):
            names = ()  # and nothing else is there to forecast
        told, listed_names = "one value in each row, so", ", ".join(names)
        if names and kind.reads_history and kind.separate:
            note = f"{told} neither forecast nor of use to --backbone {config.backbone}: {listed_names}"
            return replace(levels.without(series, names), notes=(*notes, note))
        if names:
            notes = (*notes, f"{told} known ahead and not forecast: {listed_names}")
    return replace(levels.known_ahead(series, names, steps), static=names, notes=notes)


def tell_target(features: str, target: Sequence[str], asked: bool) -> None:
    """Warn of targets that --features M does not look at; say what they are forecast from, where nobody `asked`."""
    if features == "M" and target:
        what = "does nothing with --features M, which forecasts all channels"
        hint = "--features S forecasts the targets from themselves, --features MS from all channels"
        log.warning("warning: --target %s: %s", what, hint)
    elif target and not asked:
        log.info("target: forecast from all channels (--features MS); --features S looks at no other")


def tell_unused(backbone: str, others: Sequence[str], features: str = "MS") -> None:
    """Warn where a backbone does not learn from the channels that it sees and does not forecast."""
    if not backbone_class(backbone).separate:
        return
    names = f"{', '.join(others[:MOST_TOLD])}{', ...' if len(others) > MOST_TOLD else ''}"
    log.warning(
        "warning: --features %s: --backbone %s forecasts a channel from itself alone, without %s; %s learn from all "
        "channels, as the reference ridge does",
        *(features, backbone, names, " and ".join(f"--backbone {name}" for name in MIXING)),
    )


def check_options(options: Namespace) -> None:
    """UsageError for options that contradict each other."""
    levels = list(options.quantiles)
    if levels != sorted(set(levels)):
        raise UsageError(f"takes rising levels, got {' '.join(map(str, levels))}", where="--quantiles")
    try:
        losses.regression_loss(options.loss)
    except ValueError as error:
        known = losses.regression_names()
        hint = "" if options.loss in known else nearest(options.loss, known)
        raise UsageError(str(error), where=f"--loss {options.loss}", hint=hint) from None
    both = set(options.known_future) & set(options.target)
    if both:
        raise UsageError(f"{', '.join(sorted(both))} is a target too", where="--known-future")
