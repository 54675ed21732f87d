"""A classifier's outputs as calibrated probabilities: two numbers a label, which the checkpoint keeps.

A loss that weighs the true class w times says q where the probability is p = q / (q + w (1 - q)): as a logit, log w
too much. That is undone exactly. What else the loss did (soft F1, too many epochs) is measured on validation: the scale
and shift of the logits that make log-loss least (Platt 1999), of classes the scale alone (Guo et al. 2017). The summed
loss pays for the square of the scale's logarithm: of windows that are all right a larger one looks better without end,
and the first that is wrong elsewhere would cost it all. On few series these two numbers do more harm than good. There
logits are at most drawn towards the base rate (of classes, towards each other), by one number: a net that is kept for
its ranking is too sure as a rule, and less is never far wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from backbones.fitted import loss_of
from backbones.fitting import SURE, SURE_OF_EACH
from backbones.preval import near_one, platt, scale_of

ROWS = 50  # series of validation from which two numbers are fitted
OF_EACH = SURE_OF_EACH  # windows of validation on either side of a label
SOFTER = tuple(np.linspace(1, 0.05, 20))  # shares of the distance to the base rate that may be left


def fitted(
    outputs: torch.Tensor, truth: np.ndarray, rows: int, lean: Sequence[float], *, exclusive: bool
) -> dict[str, Any]:
    """The scale and shift of the outputs of each label.

    Parameters
    ----------
    outputs : [n, K] of the windows of validation.
    truth : [n, K], 0 or 1.
    rows : how many series, or groups of them, these windows come from.
    lean : what the loss adds to each of the K outputs of a calibrated model.
    exclusive : the labels are classes, of which one is true.

    Returns
    -------
    {"scale", "shift": a number for each label, "probabilities": in words}.
    """
    logits = outputs.double().cpu() - torch.tensor(lean, dtype=torch.float64)
    y = torch.from_numpy(truth).double()
    scale, shift, sure = [1.0] * len(lean), [0.0] * len(lean), []
    if rows >= ROWS and exclusive:
        scale, sure = [scale_of(logits, y)] * len(lean), list(range(len(lean)))
    elif rows >= ROWS:
        true = y.sum(0)
        sure = [k for k in range(len(lean)) if min(true[k], len(y) - true[k]) >= OF_EACH]
        for k in sure:
            turned = platt(logits[:, k], y[:, k])[0] <= 0
            scale[k], shift[k] = (1.0, 0.0) if turned else near_one(logits[:, k], y[:, k])
    else:
        scale, shift = softer(logits, y, exclusive=exclusive)
    softened = rows < ROWS and min(scale) < 1
    shift = [b - a * part for a, b, part in zip(scale, shift, lean, strict=True)]
    told = _in_words(lean, rows, len(sure), exclusive=exclusive, softened=softened)
    return {"scale": scale, "shift": shift, "probabilities": told}


def softer(logits: torch.Tensor, y: torch.Tensor, *, exclusive: bool) -> tuple[list[float], list[float]]:
    """Scale (at most 1) and shift of calibrated logits [n, K] that draw them towards the base rate of y [n, K], of
    classes towards each other, so that the likeliest stays the likeliest.

    They make log-loss least; where windows are few, or those on one side of a label, they change nothing.
    """
    count = y.sum(0) if exclusive else torch.minimum(y.sum(0), (1 - y).sum(0))
    base = torch.zeros(y.shape[1], dtype=torch.float64) if exclusive else y.mean(0).logit()
    parts = [list(range(len(base)))] if exclusive else [[k] for k in range(len(base))]
    scale = [1.0] * len(base)
    for part in parts:
        if len(y) >= SURE and float(count[part].min()) >= OF_EACH:
            away, kind = logits[:, part] - base[part], "class" if exclusive else "label"
            losses = [loss_of(a * away + base[part], y[:, part], kind, "") for a in SOFTER]
            for k in part:
                scale[k] = float(SOFTER[int(np.argmin(losses))])
    return scale, [(1 - a) * float(b) if a < 1 else 0.0 for a, b in zip(scale, base, strict=True)]


def _in_words(lean: Sequence[float], rows: int, sure: int, *, exclusive: bool, softened: bool) -> str:
    parts = ["the weight of the true class is undone"] if any(lean) else []
    towards = "each other" if exclusive else "the base rate of validation"
    parts += [f"logits are drawn towards {towards}"] * softened
    if sure:
        what = "scaled" if exclusive else "scaled and shifted"
        some = "" if sure == len(lean) else f" for {sure} of {len(lean)} labels"
        parts.append(f"logits are {what} by {rows:,} rows of validation{some}")
    elif rows < ROWS:
        more = " otherwise" * softened
        parts.append(f"not{more} fitted to validation, which has {rows} rows, fewer than {ROWS}")
    else:
        parts.append(f"not fitted to validation, which has fewer than {OF_EACH} windows of a class")
    return "; ".join(parts)


def applied(outputs: torch.Tensor, calibration: Mapping[str, Any]) -> torch.Tensor:
    """Outputs [n, K, H], each label's scaled and shifted; as they are where a checkpoint keeps no such numbers."""
    if "scale" not in calibration:
        return outputs
    scale, shift = (
        torch.tensor(calibration[name], dtype=outputs.dtype, device=outputs.device)[:, None]
        for name in ("scale", "shift")
    )
    return outputs * scale + shift
