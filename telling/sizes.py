"""How large the parts of a split are, what is true in them, and what training needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import splits
from dataset import RunData
from splits import Split


def describe_split(split: Split, run_data: RunData, label_means: Mapping[str, list[float]]) -> dict[str, Any]:
    """Windows, rows and label means (for 0/1 labels the prevalence) of each part, and the overlap in target steps."""
    parts = {
        name: {"windows": len(split[name]), "rows": len(np.unique(split[name].row)), "label_mean": label_means[name]}
        for name in splits.NAMES
    }
    total = run_data.series.n_rows if run_data.per_row else int(run_data.series.offsets[-1])
    return {**split.how, **parts, "overlap": splits.overlap(split, total)}


def label_means(truth: Any) -> list[float]:
    """The mean of each of K outputs over windows [n, K, H], or over a Sample; [] where there are no windows."""
    if not isinstance(truth, np.ndarray):
        return list(truth.means())
    return [float(v) for v in truth.mean(axis=(0, 2), dtype=np.float64)] if truth.size else []


def sizes_of(split: Split, run_data: RunData, means: Mapping[str, list[float]], parameters: int) -> dict[str, Any]:
    """Windows, label means and overlap of a split, and what training a model of so many parameters needs."""
    config = run_data.config
    batch = min(config.batch_size, len(split.train))
    return {
        "windows": {name: len(split[name]) for name in splits.NAMES},
        "label_mean": dict(means),
        "overlap": describe_split(split, run_data, means)["overlap"],
        "parameters": parameters,
        "memory": {
            "data_bytes": 2 * run_data.series.values.nbytes,
            "model_and_optimizer_bytes": 4 * 4 * parameters,
            "batch_bytes": 4 * batch * len(run_data.channels) * (config.context_len or 0),
        },
    }
