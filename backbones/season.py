"""The seasons of series: which periods they have, from the calendar and from what training shows."""

from __future__ import annotations

import numpy as np

from backbones.histories import Histories
from backbones.period import period_of_pieces

LEAST_CYCLES = 2  # of a period, in the median series


def periods_of(train: Histories) -> tuple[int, int]:
    """The period of the season in steps, and that of a second, longer one; 1 where there is none.

    The calendar's, as far as half of the series have two cycles of it; where there are no dates, or the calendar has no
    cycle, what the series show.
    """
    pieces = train.pieces(train.horizon)
    half = float(np.median([piece.shape[1] for piece in pieces])) if pieces else 0.0
    fitting = [period for period in train.periods if LEAST_CYCLES * period <= half]
    if not fitting:
        return period_of_pieces(pieces), 1
    return fitting[0], fitting[1] if len(fitting) > 1 else 1
