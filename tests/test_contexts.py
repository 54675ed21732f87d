"""tasks/contexts.py: a context that was not given leaves windows in every part."""

from __future__ import annotations

import json

import numpy as np
import pytest

from .runs import go


@pytest.mark.parametrize(
    "split", ["--test-ratio 0.2", "--split-mode holdout --test-ratio 0.2", "--split-mode rolling --folds 2"]
)
@pytest.mark.parametrize("steps", [3, 12, 40, 300])
def test_every_part_has_windows(tmp_path, split, steps):
    values = np.random.default_rng(3).normal(size=(12, steps)).round(3)
    np.savetxt(tmp_path / "a.csv", values, delimiter=",", fmt="%g")
    done = go(tmp_path, f"--task regress --csv a.csv --header no --index no --dry-run --json {split} --backbone ridge")
    if steps == 3 and "split-mode" in split:
        assert done.code == 3  # no room for parts in time
        return
    assert done.code == 0, done.err
    assert "--context-len sets another" in done.err
    windows = json.loads(done.out)["windows"]
    assert all(windows[part] for part in ("train", "val", *["test"] * ("test-ratio" in split))), windows
    assert "context: 96 steps" in done.err if steps == 300 and "rolling" not in split else True
