"""Boosted trees on the window, the calendar, what is known ahead and the other channels: what no straight line says.

Heat and cold both raise a load, wind drives a turbine only up to a limit, a holiday is another thing on a Monday than
on a Sunday. Features of an origin and a step h: those of `boosted_lags`, from the window; the calendar of the step;
what is known ahead of it, beside it, and less what it was where the forecast starts from; the last values of other
channels; and h. A forecast starts from the last value or the last season's step, whichever training shows to be nearer.
In units of the window's own changes, by squared error, direct. Half of what is added is said by trees alone, half by a
ridge regression on the same features (step_regression.py), which goes on beyond what was seen, and by trees on what
that leaves. Validation chooses the number of trees, which are then grown on all.

The trees are plain tensors (trees.py): a checkpoint in use needs no scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from backbones import ForecastSpec, Hyper, InputSpec, register
from backbones.base import Backbone, KnownAhead, Stretches
from backbones.boosted_lags import STEPS, settings
from backbones.covariates import strongest
from backbones.known_features import OTHERS, KnownFeatures, shown
from backbones.period import period_of_pieces
from backbones.step_regression import StepRegression
from backbones.trees import MARGIN, Forest, Tree
from errors import DataError

if TYPE_CHECKING:
    from backbones.boosted import Grown, Table

HYPER = {
    "trees": {"default": 120, "min": 1, "max": 100000, "help": "iterations, at most; validation chooses how many"},
    "rate": {"default": 0.12, "min": 0.001, "max": 1.0, "help": "learning rate"},
    "leaves": {"default": 15, "min": 2, "max": 1024, "help": "leaves of a tree, at most"},
}

ROWS = 30_000  # pairs of origin and step that are learned from; a quarter as many judge
AT_ONCE = 1 << 16  # pairs of origin and step whose features are made at once


@register
class BoostedKnown(Backbone):
    """`x [B, C, T], known [B, marks + F, T + H] -> start of the step + unit * (line / 2 + base + the trees' leaves)`.

    A window in which nothing changes goes on so.
    """

    forecasts = True
    reads_known = True
    reads_marks = True
    closed_form = True
    heads = ("forecast",)
    forecast: ForecastSpec
    base: torch.Tensor

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__(inputs, hyper)
        self.forecast.refuse_quantiles("boosted_known", "forecasts one value a step")
        self.length = inputs.length
        self.features = KnownFeatures(self.forecast, inputs.channels, inputs.length)
        self.line, self.forest = StepRegression(self.forecast.horizon), Forest(1)
        self.register_buffer("base", torch.zeros(1))

    # --- what is learned ---------------------------------------------------------------------------------------------

    def fit(self, train: Stretches, val: Stretches, both: Stretches, known: KnownAhead | None = None) -> dict[str, Any]:
        """Grow trees on a sample of training, and as many as validation prefers on one of all there is."""
        pieces = [np.asarray(one)[list(self.forecast.targets)].astype(np.float64) for one in train]
        if not any(piece.shape[1] >= self.length + self.forecast.horizon for piece in pieces):
            raise DataError("no window fits into a stretch of the training part", where="boosted_known")
        period = period_of_pieces(pieces, max(self.length // 2, 1), self.forecast.periods)
        ahead, draw = known or KnownAhead((), (), ()), np.random.default_rng(0)
        self._choose_others(pieces, train)
        self._choose_start(train, ahead.train, period, draw)
        first, judged, whole = (
            self._table(*one, draw)
            for one in ((train, ahead.train, ROWS), (val, ahead.val, ROWS // 4), (both, ahead.both, ROWS))
        )
        judged = judged if len(judged.x) else first
        strength = self.line.choose(*_learned(first), *_learned(judged))
        trees: list[Tree] = []
        base, best = np.zeros(1), 0
        for one in (None, strength):
            self.line.fit(*_learned(first), one)
            count = self._grown(self._left(first), self._left(judged), self.hyper.trees).best
            self.line.fit(*_learned(whole), one)
            grown = self._grown(self._left(whole), self._left(whole.part(slice(0, 1))), count)
            trees += [replace(tree, value=tree.value / 2) for tree in grown.planted(count)]
            base, best = base + grown.base / 2, max(best, count)
        self.forest.plant(trees, margin=MARGIN)
        self.base.copy_(torch.from_numpy(base))
        return {"period": period, "rows": len(whole.x), "iterations": best, "strength": strength}

    def keep_chosen(self, told: Mapping[str, Any]) -> None:
        self.hyper = Hyper("boosted_known", vars(self.hyper) | {"trees": told.get("iterations", self.hyper.trees)})

    def _choose_others(self, pieces: Sequence[np.ndarray], train: Stretches) -> None:
        """Of many other channels, those that agree most with the changes of a target."""
        numbers = list(self.features.others)
        if len(numbers) > OTHERS:
            others = [np.asarray(one)[numbers].astype(np.float64) for one in train]
            best = strongest(pieces, others, self.forecast.horizon, OTHERS)
            self.features.chosen.copy_(torch.tensor(numbers)[torch.from_numpy(best)])

    def _choose_start(self, train: Stretches, known: Stretches, period: int, draw: np.random.Generator) -> None:
        """What forecasts start from, the last season's step or the last one: that which is nearer to what comes."""
        off = {}
        for seasonal in (True, False) if period > 1 else (False,):
            self.features.see_season(period, seasonal=seasonal)
            y = self._table(train, known, ROWS // 8, draw).y
            if not len(y):
                raise DataError("nothing changes in the training part", where="boosted_known")
            off[seasonal] = float(y.square().mean())
        self.features.see_season(period, seasonal=min(off, key=lambda one: off[one]))

    def _left(self, table: Table) -> Table:
        """What it leaves, with what it says as one feature more."""
        from backbones.boosted import Table

        said = self.line(torch.from_numpy(table.x))[:, None]
        return Table(np.concatenate([table.x, said.numpy()], axis=1), table.y - said, table.start)

    def _grown(self, train: Table, val: Table, trees: int) -> Grown:
        from backbones.boosted import Booster

        return Booster("value", "mse", self._settings(len(train.x), trees), False).grow(train, val)

    def _settings(self, rows: int, trees: int) -> dict[str, Any]:
        return settings(trees, self.hyper.rate, self.hyper.leaves, rows, seed=0)

    def _table(self, stretches: Stretches, known: Stretches, most: int, draw: np.random.Generator) -> Table:
        """Features and targets of windows in stretches and their steps, all or at most `most` pairs; without windows in
        which nothing changes."""
        from backbones.boosted import Table

        length, horizon, targets = self.length, self.forecast.horizon, list(self.forecast.targets)
        sizes = np.array([max(np.shape(one)[1] - length - horizon + 1, 0) for one in stretches], dtype=np.int64)
        windows, each = np.arange(sizes.sum()), horizon
        if len(windows) * horizon * len(targets) > most:
            each = min(horizon, STEPS)
            count = min(max(most // (each * len(targets)), 1), len(windows))
            windows = np.sort(draw.choice(windows, count, replace=False))
        ends, xs, ys = np.cumsum(sizes), [torch.zeros(0, 1)], [torch.zeros(0)]
        which = np.searchsorted(ends, windows, side="right")
        for i in np.unique(which).tolist():
            begin = windows[which == i] - (ends[i] - sizes[i])
            drawn = np.sort(draw.permuted(np.tile(np.arange(horizon), (len(begin), 1)), axis=1)[:, :each], axis=1)
            steps, seen = torch.from_numpy(drawn), shown(stretches[i], begin, length + horizon)
            about = shown(known[i], begin, length + horizon) if len(known) else None
            x, start, unit = self.features(seen[..., :length], about, steps)
            truth = seen[:, targets].gather(2, (length + steps)[:, None].expand(-1, len(targets), -1)).transpose(0, 1)
            moves = (unit > 0)[..., None].expand_as(start)
            xs.append(x[moves.flatten()])
            ys.append(((truth - start) / unit[..., None])[moves])
        y = torch.cat(ys)[:, None]
        return Table(torch.cat(xs[1:] or xs).numpy(), y, np.zeros((len(y), 1), np.float32))

    # --- forecasts ---------------------------------------------------------------------------------------------------

    def forward(self, x: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        if torch.compiler.is_compiling():  # a graph has no parts
            return self._ahead(x, known)
        size = max(AT_ONCE // (self.forecast.horizon * len(self.forecast.targets)), 1)
        about = [None] * -(-len(x) // size) if known is None else known.split(size)
        return torch.cat([self._ahead(*part) for part in zip(x.split(size), about, strict=True)])

    def _ahead(self, x: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
        steps = torch.arange(self.forecast.horizon, device=x.device).expand(x.shape[0], -1)
        table, start, unit = self.features(x, known, steps)
        straight = self.line(table)
        said = straight / 2 + self.base + self.forest(torch.cat([table, straight[:, None]], dim=1))[:, 0]
        return (start + unit[..., None] * said.view(start.shape)).transpose(0, 1)


def _learned(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, F] and targets [n]."""
    return table.x, table.y[:, 0].double().numpy()
