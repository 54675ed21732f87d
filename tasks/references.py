"""Reference predictors that are fitted to the training windows in seconds: what a model must beat.

They see every window, unless that would take more than a tenth of what the run takes, or about ten seconds: then a
sample, or coarser steps, which is said in one line and stands beside their figures.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from backbones import Hyper, ModelSpec, TargetSpec
from backbones.features import ageing
from backbones.fitted import outputs_on
from backbones.fitting import Fitting
from backbones.forests import seconds_of
from backbones.intervals import size_of
from backbones.model import build_model
from readers.scaled import Scaled
from tasks.predictions import EvalContext
from windows import Index

SECONDS, LEAST = 10.0, 1.2  # that boosting may take at most, and that it always may
SHARE, FEW = 0.1, 10_000  # of the run; and windows that it always sees
# CPU-seconds of a window: read, judged and written; in a step of a net; and there for a parameter and a step of time.
PER_WINDOW, PER_STEP, PER_PARAMETER = 35e-6, 5e-6, 3e-11
PER_SHAPED = 6e-6  # of a number of a whole series, in all passes: what stands on its shapes describes it again in each
# CPU-seconds of histogram boosting: a number of the table for a level of an iteration's tree, and a column for a leaf.
PER_NUMBER, PER_COLUMN = 1.35e-9, 2e-6
LEAVES = 20  # in the windows of a tree, at least: on a few windows it would else be a constant
MOST_NUMBERS = 4_000_000  # that a logistic regression or a forest is fitted on
MOST_WINDOWS, MOST_GROWN = 20_000, 5_000  # of a logistic regression, and of a forest
FEW_TREES, SECONDS_GROWN = 50, 3.0  # of a forest, at least, and that it always may take
CHUNK = 1 << 17  # numbers of flattened windows made at once: trees are three times as fast where these stay in a cache

log = logging.getLogger("tsrun")


@dataclass(frozen=True)
class Reference:
    """A fitted predictor: `predict` gives [n, K, H] for an index; it saw `windows` of the `of` there are.

    coarse : neighbouring steps that it sees as their mean, at most.
    columns : of a table of things, how many it sees, and of how many; () for all.
    """

    predict: Callable[[Index], np.ndarray]
    windows: int
    of: int
    coarse: int = 1
    columns: tuple[int, ...] = ()

    def __call__(self, index: Index) -> np.ndarray:
        return self.predict(index)

    @property
    def told(self) -> dict[str, int]:
        """What stands beside its figures where it did not see everything."""
        found = {"windows": self.windows, "of": self.of} if self.windows < self.of else {}
        found |= dict(zip(("columns", "of_columns"), self.columns, strict=False))
        return found | ({"steps_averaged": self.coarse} if self.coarse > 1 else {})


@dataclass(frozen=True)
class Boosting:
    """How windows are boosted.

    Parameters
    ----------
    estimator : the unfitted model of a seed.
    predict_with : (fitted model, flattened windows [n, F]) -> predictions [n].
    ages : whether older steps may be averaged rather than windows left out.
    """

    estimator: Callable[[int], Any]
    predict_with: Callable[[Any, np.ndarray], np.ndarray]
    ages: bool = False


def gradient_boosting(eval_context: EvalContext, train: Index, truth: np.ndarray, how: Boosting) -> Reference:
    """Histogram gradient boosting of flattened windows, one model an output; `truth [n, K, 1]` of training."""
    inputs, outputs = eval_context.scaled, truth.shape[1]
    model = how.estimator(eval_context.seed)
    pace = Pace(model.max_iter, model.max_leaf_nodes, eval_context.seconds)
    windows, widths = affordable(len(train), inputs.shape[0], train.length, outputs, pace, ages=how.ages)
    chosen = _sample(len(train), windows, eval_context.seed)
    columns: tuple[int, ...] = ()
    if eval_context.series.things is not None and len(widths) < train.length:  # its columns are no neighbours
        columns, widths = (len(widths), train.length), np.ones(train.length, np.int64)
    x, y = flatten(inputs, train.starts()[chosen], train.length, widths), truth[chosen]
    kept = strongest(x, y[:, :, 0], columns[0]) if columns else slice(None)
    x, models = x[:, kept], []
    for k in range(outputs):
        model = how.estimator(eval_context.seed)
        model.set_params(min_samples_leaf=min(model.min_samples_leaf, max(2, windows // LEAVES)))
        models.append(model.fit(x, y[:, k, 0]) if len(np.unique(y[:, k, 0])) > 1 else None)

    def made(index: Index) -> np.ndarray:
        starts = index.starts()
        out = np.empty((len(starts), outputs, 1), np.promote_types(y.dtype, np.float32))
        step = max(CHUNK // (inputs.shape[0] * index.length), 1)
        for begin in range(0, len(starts), step):
            part = flatten(inputs, starts[begin : begin + step], index.length, widths)[:, kept]
            for k, model in enumerate(models):
                out[begin : begin + step, k, 0] = y[0, k, 0] if model is None else how.predict_with(model, part)
        return out

    return _tell("gradient_boosting", Reference(_once(made), windows, len(train), int(widths.max()), columns))


def strongest(x: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """The numbers of the `count` columns of x [n, F] that go most with an output of y [n, K], in order: by the greatest
    square of a correlation."""
    off = x - x.mean(axis=0, dtype=np.float64)
    truth = y - y.mean(axis=0, dtype=np.float64)
    size = np.sqrt((off**2).sum(axis=0)[:, None] * (truth**2).sum(axis=0))
    shared = np.divide(off.T @ truth, size, out=np.zeros(size.shape), where=size > 0)
    return np.sort(np.argsort(-np.abs(shared).max(axis=1), kind="stable")[:count])


def _once(made: Callable[[Index], np.ndarray]) -> Callable[[Index], np.ndarray]:
    """The same, but that what was asked last is not made again: tau is chosen where the score is, without a test."""
    last: list[tuple[Index, np.ndarray]] = []

    def predict(index: Index) -> np.ndarray:
        if not last or last[0][0] is not index:
            last[:] = [(index, made(index))]
        said = last[0][1]
        return np.copy(said)

    return predict


def seconds_beside(train: Index | None, epochs: int, parameters: int, shaped: int = 0) -> float:
    """CPU-seconds that a fitted reference may take beside a run: from its sizes, so that a seed repeats.

    Parameters
    ----------
    train : the windows of training; None where none is fitted.
    epochs, parameters : that the net was trained, and has; no epochs for what is solved.
    shaped : channels of whole series, of which two references are fitted that take long; 0 for windows of steps.
    """
    if train is None:
        return 0.0
    step = PER_STEP + PER_PARAMETER * parameters * train.length
    run = len(train) * (PER_WINDOW + PER_SHAPED * shaped * train.length + epochs * step)
    return min(max(SHARE * run / (2 if shaped else 1), LEAST), SECONDS)


@dataclass(frozen=True)
class Pace:
    """What boosting costs: its iterations, the leaves of their trees, and the CPU-seconds that it may take."""

    iterations: int
    leaves: int
    seconds: float = SECONDS

    def column(self, windows: int) -> float:
        """CPU-seconds of a column, whatever its length; few windows have fewer leaves."""
        leaves = min(windows / max(2, min(20, windows // LEAVES)), self.leaves)
        return PER_COLUMN * self.iterations * leaves

    @property
    def number(self) -> float:
        """CPU-seconds of a number of the table."""
        return PER_NUMBER * self.iterations * math.log2(self.leaves)


def affordable(
    windows: int, channels: int, length: int, outputs: int, pace: Pace, *, ages: bool = False
) -> tuple[int, np.ndarray]:
    """How many windows boosting takes in its time, and of how many steps each column has the mean, oldest first.

    The cost of columns does not shrink with the windows: half of ten seconds is theirs at most. With `ages`, older
    steps are averaged before windows are left out.
    """
    column = pace.column(windows) * outputs
    coarse = min(math.ceil(channels * length * column / (SECONDS / 2)), length)
    widths = np.full(math.ceil(length / coarse), coarse)
    widths[0] -= widths.sum() - length

    def fit(widths: np.ndarray) -> int:
        columns = channels * len(widths)
        within, most = (
            int(max(seconds - columns * column, seconds / 2) / (pace.number * outputs * columns))
            for seconds in (pace.seconds, SECONDS)
        )
        return min(windows, max(within, min(FEW, most), LEAVES))

    if ages and (fit(widths) < windows or coarse > 1):
        widths = min(np.array(ageing(length)), widths, key=len)
    return fit(widths), widths


def logistic(
    eval_context: EvalContext, train: Index, truth: np.ndarray, name: str, frames: int, *, exclusive: bool
) -> Reference:
    """Logistic regression on the last `frames` steps of a window: of classes one multinomial model, else one a label.

    `truth [n, K, 1]` are the training windows' labels.
    """
    from sklearn.linear_model import LogisticRegression

    inputs = eval_context.scaled
    n = min(len(train), MOST_WINDOWS, max(MOST_NUMBERS // (inputs.shape[0] * frames), 1))
    chosen = _sample(len(train), n, eval_context.seed)
    x, y = flatten(inputs, train.starts()[chosen] + train.length - frames, frames), truth[chosen, :, 0]
    columns = [y.argmax(axis=1)] if exclusive else list(y.T)
    models = [LogisticRegression(max_iter=300).fit(x, t) if len(np.unique(t)) > 1 else None for t in columns]

    def predict(index: Index) -> np.ndarray:
        out = np.zeros((len(index), y.shape[1], 1), np.float32)
        part = flatten(inputs, index.starts() + index.length - frames, frames)
        for k, model in enumerate(models):
            if exclusive and model is not None:
                out[:, model.classes_.astype(int), 0] = model.predict_proba(part)
            else:
                out[:, k, 0] = y[0, k] if model is None else model.predict_proba(part)[:, 1]
        return out

    return _tell(name, Reference(predict, n, len(train)))


def interval_trees(
    eval_context: EvalContext, train: Index, target: TargetSpec, decode: Callable[[Any], np.ndarray]
) -> Reference:
    """Extremely randomised trees on the quantiles of intervals, for whole series: the backbone `quant` by itself.

    `decode` brings outputs [n, K, 1] into the task's units.
    """
    channels, outputs = eval_context.scaled.shape[0], target.outputs
    n, trees = growable(len(train), size_of(channels, train.length), eval_context.seconds)
    spec = ModelSpec(
        backbone="quant",
        channels=channels,
        length=train.length,
        outputs=outputs,
        horizon=1,
        head="pool",
        target=replace(target, whole=True),
        args={"trees": trees},
    )
    windows = eval_context.labelled(train).part(_sample(len(train), n, eval_context.seed))
    forest = build_model(spec).eval().to(windows.device)
    forest.backbone.fit_windows(Fitting(windows, windows.part(np.arange(1)), eval_context.seed))

    def predict(index: Index) -> np.ndarray:
        return decode(outputs_on(eval_context.labelled(index), forest))

    return _tell("interval_trees", Reference(predict, n, len(train)))


def growable(windows: int, features: int, seconds: float) -> tuple[int, int]:
    """(windows, trees) of a forest in the time: fewer trees are grown before windows are left out."""
    windows, usual = min(windows, MOST_GROWN), Hyper("quant", {})
    most = max(seconds, SECONDS_GROWN) / seconds_of(windows, usual.share * features)
    trees = min(max(int(most), FEW_TREES), usual.trees)
    return min(windows, max(int(windows * most / trees), LEAVES)), trees


def flatten(
    inputs: np.ndarray | Scaled, starts: np.ndarray, length: int, widths: np.ndarray | None = None
) -> np.ndarray:
    """The windows of `inputs` [C, total] at `starts` [n], flattened: [n, C * L], or as means of `widths` steps."""
    if isinstance(inputs, Scaled):
        windows = inputs.read(torch.from_numpy(starts), length).numpy()
    else:
        windows = np.lib.stride_tricks.sliding_window_view(inputs, length, axis=1)[:, starts].transpose(1, 0, 2)
    if widths is not None and len(widths) < length:
        cuts = np.cumsum([0, *widths[:-1]])
        windows = (np.add.reduceat(windows, cuts, axis=2) / widths).astype(np.float32)
    table: np.ndarray = windows.reshape(len(starts), -1)
    return table


def _sample(count: int, most: int, seed: int) -> np.ndarray:
    """The numbers of all windows, or of a random sample of `most`, in order."""
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _tell(name: str, reference: Reference) -> Reference:
    """Say in one line what a reference did not see."""
    if reference.windows < reference.of:
        log.info("%s: fitted to a sample of %s of %s windows", name, f"{reference.windows:,}", f"{reference.of:,}")
    if reference.coarse > 1:
        log.info("%s: sees the means of up to %d neighbouring steps", name, reference.coarse)
    if reference.columns:
        log.info(
            "%s: sees the %s of %s columns that go most with the label in training",
            name,
            *map("{:,}".format, reference.columns),
        )
    return reference
