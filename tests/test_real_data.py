"""What the toolkit reaches on real data, chosen on validation and scored on rows and engines it never saw."""

from __future__ import annotations

import shlex

import pytest

from .runs import good, strict

pytestmark = [pytest.mark.slow, pytest.mark.grows]
SENSORS = ["s2", "s3", "s4", "s7", "s8", "s9", "s11", "s12", "s13", "s14", "s15", "s17", "s20", "s21"]


def test_carparts_nonzero_next_month(shared, tmp_path):
    """Spare parts, 2,509 rows of 51 months: will there be a sale next month? A fifth of the parts is the test.

    The references know nothing of the model: those beside the first are those of the second, on the same windows.
    """
    file = shlex.quote(str(shared / "carparts" / "carparts.csv"))
    line = f"--mode train --task classify --csv {file} --context-len 31 --bin-rule nonzero --test-ratio 0.2"
    alone = "--no-wide --batch-size 128 --reference off"
    runs = (good(tmp_path, line, "--backbone gru --epochs 1", words) for words in ("", alone))
    whole, net = (strict(folder / "metrics.json") for folder in runs)
    beside = {name: row["pr_auc"] for name, row in whole["references"].items()}
    for found in (whole, net):
        assert found["split"] == "test" and found["n"] == 502 * 20  # every window of every test row
        assert beside["base_rate"] == pytest.approx(found["prevalence"])
        assert beside["base_rate"] < beside["persistence"] < found["pr_auc"]
    assert whole["pr_auc"] >= 0.40 and net["pr_auc"] >= 0.37
    assert abs(beside["gradient_boosting"] - 0.41) < 0.02  # the figure known for this set


def test_cmapss_remaining_life_of_engines_never_seen(shared, tmp_path):
    """Turbofans: cycles left, at most 125, from 31 cycles of 14 sensors; 100 engines train, 100 others are scored."""
    here = shared / "cmapss_fd001"
    csvs = {
        part: " ".join(shlex.quote(str(here / f"{part}_{name}.csv")) for name in ["rul", *SENSORS])
        for part in ("train", "test")
    }
    trained = good(
        tmp_path,
        f"--mode train --task regress --csv {csvs['train']} --drop-label-from-x --target-clip 0 125 --context-len 31",
        # rows begin with copies of their first value, of which a linear map of the window says anything
        "--backbone llm_ts --model-args size=tiny --no-wide --loss l1 --epochs 5 --batch-size 256 --reference off",
    )
    infer = good(tmp_path, f"--mode infer --task regress --csv {csvs['test']} --ckpt {trained} --eval-split all")
    found = strict(infer / "summary.json")
    assert found["selection"] == "files that were no part of training" and found["n"] == 100 * (160 - 31)
    assert found["mae"] <= 15 < found["references"]["mean"]["mae"]
