"""What --features says of a run's channels, what does not listen to it, and options that contradict each other."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import losses
from backbones import backbone_class
from errors import UsageError, nearest
from registry import Namespace

log = logging.getLogger("tsrun")
MIXING = ("ridge_ensemble", "itransformer", "informer")  # the backbones to name that forecast a channel from all
MOST_TOLD = 8


def check_target(features: str, target: Sequence[str], asked: bool) -> None:
    """UsageError for targets that --features M would not look at; a warning where M was `asked` for."""
    if features != "M" or not target:
        return
    what = "does nothing with --features M, which forecasts all channels"
    hint = "--features S forecasts the targets from themselves, --features MS from all channels"
    if not asked:
        raise UsageError(what, where="--target", hint=hint)
    log.warning("warning: --target %s: %s", what, hint)


def tell_unused(backbone: str, others: Sequence[str]) -> None:
    """Warn where a backbone does not learn from the channels that --features MS gives it and does not forecast."""
    if not backbone_class(backbone).separate:
        return
    names = f"{', '.join(others[:MOST_TOLD])}{', ...' if len(others) > MOST_TOLD else ''}"
    log.warning(
        "warning: --features MS: --backbone %s forecasts a channel from itself alone, without %s; %s learn from all "
        "channels, as the reference ridge does",
        *(backbone, names, " and ".join(f"--backbone {name}" for name in MIXING)),
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
