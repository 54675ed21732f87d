"""Ridge regression of the next H steps on the last L, one map for all channels (Hoerl and Kennard 1970, eq. 2.1).

`x [B, C, T] -> [B, K, H]`. Each window is first centred on its last value, or on the mean of its last period, which is
added back to the forecast, so a level that drifts between training and use does no harm. `norm=none` leaves this
out; it may be better on validation, which follows training closely, than on later data, so "auto" does not try it.

Fitted on every window of training; look-back, centring and strength are those with the least squared error over every
window, channel and step of validation.

For labels, classes and values of windows the same name is a ridge regression on the window and its summaries
(window_ridge.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, product
from typing import Any

import numpy as np

from backbones import Hyper, InputSpec, register
from backbones.base import Backbone
from backbones.covariates import Own
from backbones.gram import Pieces, count, gram, squares, uncentred
from backbones.linear_forecaster import LinearForecaster
from backbones.period import period_of_pieces
from backbones.window_ridge import WindowRidge
from errors import DataError, UsageError

HYPER = {
    "lookback": {"default": 0, "min": 0, "max": 100000, "help": "inputs used, at most the context; 0: by validation"},
    "strength": {"default": 0.0, "min": 0.0, "max": 1e12, "help": "added to the diagonal of X'X; 0: by validation"},
    "norm": {
        "default": "auto",
        "choices": ["auto", "last", "mean", "none"],
        "help": "centre windows on the last value, the last period's mean, or not; auto: last or mean, by validation",
    },
}

LOOKBACKS = (48, 96, 168, 336, 512, 720)
STRENGTHS = tuple(float(strength) for strength in 10.0 ** np.arange(0, 6.5, 0.5))


@register
class Ridge(LinearForecaster):
    """One matrix for all channels; beside covariates one each."""

    heads = ("forecast", "pool")
    answers = True
    variants = (WindowRidge,)

    @classmethod
    def build(cls, inputs: InputSpec, hyper: Hyper) -> Backbone:
        return WindowRidge(inputs, hyper) if inputs.forecast is None else cls(inputs, hyper)

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper, matrices=1)
        if hyper.lookback > inputs.length:
            raise UsageError(
                f"{hyper.lookback} inputs, but a window has {inputs.length}",
                where="--model-args lookback",
                hint="lengthen --context-len, or lookback=0 to let validation choose",
            )

    def solve(self, train: Pieces, val: Pieces, both: Pieces) -> tuple[dict[str, Any], Own]:
        """Choose and fit. Tells the choice, its MSE on validation (None without any) and the number of candidates."""
        candidates = list(self._candidates(train))
        scored = count(val, self.length + self.forecast.horizon)
        if len(candidates) > 1 and not scored:
            raise DataError(
                f"validation has no window of {self.length} + {self.forecast.horizon} steps to choose on",
                where="ridge",
                hint="enlarge validation, or give lookback, strength and norm",
            )
        error, chosen, weight = self._best(candidates, train, val)
        if self.refits:
            span, centre = chosen["lookback"] + self.forecast.horizon, chosen["centre"]
            sums = squares(gram(both, span), count(both, span), self.forecast.horizon, centre)
            weight = uncentred(sums.fit(np.full(chosen["lookback"], chosen["strength"])), centre)
        self.set_weight(weight[None])
        mse = error / (scored * self.forecast.horizon) if scored else None
        lookback, windows = chosen["lookback"], max(count(train, chosen["lookback"] + self.forecast.horizon), 1)
        own = Own(lookback, chosen["centre"], np.full(lookback, chosen["strength"] / windows))
        return {**chosen, "val_mse": mse, "candidates": len(candidates)}, own

    def _candidates(self, train: Pieces) -> Iterator[dict[str, Any]]:
        """Every setting to try, those of one look-back together."""
        given, every = self.hyper.lookback, {n for n in LOOKBACKS if n < self.length} | {self.length}
        sizes = [given] if given else sorted(every)
        sizes = [n for n in sizes if count(train, n + self.forecast.horizon)]
        if not sizes:
            least = given or min(LOOKBACKS[0], self.length)
            raise DataError(
                f"no window of {least} + {self.forecast.horizon} steps fits into a stretch of the training part",
                where="ridge",
                hint="shorten --horizon or the look-back, or give longer series",
            )
        period = period_of_pieces(train, max(self.length // 2, 1), self.forecast.periods)
        centres = {"last": 1, "mean": period, "none": 0}
        auto = ["last", "mean"] if period > 1 else ["last"]
        norms = auto if self.hyper.norm == "auto" else [self.hyper.norm]
        strengths = [self.hyper.strength] if self.hyper.strength else STRENGTHS
        for lookback, norm, strength in product(sizes, norms, strengths):
            yield {"lookback": lookback, "norm": norm, "centre": min(centres[norm], lookback), "strength": strength}

    def _best(
        self, candidates: list[dict[str, Any]], train: Pieces, val: Pieces
    ) -> tuple[float, dict[str, Any], np.ndarray]:
        """The least squared error on validation, the setting that has it, and its weight `[L, H]` for raw windows."""
        horizon = self.forecast.horizon
        val_gram, scored = gram(val, self.length + horizon), count(val, self.length + horizon)
        best: tuple[float, dict[str, Any], np.ndarray] | None = None
        for lookback, group in groupby(candidates, lambda one: one["lookback"]):
            span = lookback + horizon
            train_gram, n = gram(train, span), count(train, span)
            for centre, alike in groupby(group, lambda one: one["centre"]):
                fitted = squares(train_gram, n, horizon, centre)
                # The newest rows of the widest Gram matrix: every look-back is scored on the same targets.
                judged = squares(val_gram[-span:, -span:], scored, horizon, centre)
                for one in alike:
                    weight = fitted.fit(np.full(lookback, one["strength"]))
                    error = judged.error(weight)
                    if best is None or error < best[0]:
                        best = error, one, uncentred(weight, centre)
        assert best is not None
        return best
