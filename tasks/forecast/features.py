"""What --features says of a run's channels, and what does not listen to it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from backbones import backbone_class
from errors import UsageError

log = logging.getLogger("tsrun")
MIXING = ("itransformer", "informer")  # the backbones to name that forecast a channel from all
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
    """Tell which parts of a run with --features MS do not learn from the channels that are not forecast."""
    names = f"{', '.join(others[:MOST_TOLD])}{', ...' if len(others) > MOST_TOLD else ''}"
    if not backbone_class(backbone).separate:
        log.info("--features MS: the reference ridge forecasts a channel from itself alone, without %s", names)
        return
    log.warning(
        "warning: --features MS: --backbone %s and the reference ridge forecast a channel from itself alone, without "
        "%s; %s learn from all channels",
        *(backbone, names, " and ".join(f"--backbone {name}" for name in MIXING)),
    )
