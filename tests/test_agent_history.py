"""nas_agent/history.py and files.py: sentences worked out by hand, files whole or not there."""

from __future__ import annotations

import json

import numpy as np
import pytest

from errors import DataError, UsageError
from nas_agent import (
    build_history_summary,
    get_run_dir,
    load_history,
    load_metrics,
    save_history,
    save_metrics,
    snapshot_config,
)


def curve(train, val, best=None, first=1):
    pairs = enumerate(zip(train, val, strict=True), first)
    rows = [{"epoch": epoch, "train_mse": t, "val_mse": v, "lr": 1e-4} for epoch, (t, v) in pairs]
    return {"best_epoch": best, "epochs": rows}


def test_the_sentence_of_the_issue():
    train = [1.02, *[0.5] * 18, 0.24]
    val = [1.05, *[0.6] * 15, 0.32, 0.33, 0.34, 0.35]
    assert build_history_summary(curve(train, val, best=17)) == (
        "20 epochs, best_epoch=17. train_mse decreased from 1.02 to 0.24. "
        "val_mse started at 1.05, reached minimum of 0.32 at epoch 17, ended at 0.35."
    )


def test_one_epoch():
    text = build_history_summary(curve([0.5], [0.7], best=1))
    assert text == "1 epoch, best_epoch=1. train_mse was 0.50. val_mse was 0.70."


def test_a_validation_that_only_rises():
    text = build_history_summary(curve([0.9, 0.8, 0.85], [0.3, 0.4, 0.5], best=1))
    assert text.endswith("val_mse started at 0.30, reached minimum of 0.30 at epoch 1, ended at 0.50.")


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ([0.2, 0.9], "train_mse increased from 0.20 to 0.90."),
        ([0.2, 0.2], "train_mse stayed at 0.20."),
        ([None, None], "train_mse is missing."),
        ([None, 0.4], "train_mse was 0.40. (1 of 2 epochs without a value.)"),
        ([float("nan"), 0.4], "train_mse was 0.40. (1 of 2 epochs without a value.)"),
    ],
)
def test_what_training_did(train, said):
    assert said in build_history_summary(curve(train, [0.5, 0.4], best=2))


def test_values_that_are_missing():
    text = build_history_summary(curve([1.0, 0.9, 0.8], [None, 0.6, float("inf")]))
    assert text == (
        "3 epochs, best_epoch=2. train_mse decreased from 1.00 to 0.80. "
        "val_mse was 0.60. (2 of 3 epochs without a value.)"
    )
    rows = [{"epoch": 1}, {"epoch": 2}]
    assert build_history_summary({"epochs": rows}) == "2 epochs. train_mse is missing. val_mse is missing."
    assert build_history_summary({"best_epoch": None, "epochs": []}) == "0 epochs."


def test_small_figures_keep_three_digits():
    text = build_history_summary(curve([0.05, 0.0312], [0.0412, 0.02649], best=2))
    assert "from 0.05 to 0.0312" in text and "minimum of 0.0265 at epoch 2" in text


def test_epochs_count_as_the_history_counts_them():
    assert "at epoch 0," in build_history_summary(curve([2.0, 1.0], [0.3, 0.4], first=0))
    assert "best_epoch=0" in build_history_summary(curve([2.0, 1.0], [0.3, 0.4], first=0)["epochs"])


@pytest.mark.parametrize("history", [None, 3, "epochs", {"epochs": 3}, {"epochs": [1, 2]}, {}])
def test_what_is_no_history(history):
    with pytest.raises(DataError, match="not a history"):
        build_history_summary(history)


@pytest.mark.parametrize("value", ["0.3", True, [0.3], {}, 10**400])
def test_what_is_no_number(value):
    with pytest.raises(DataError, match=r"val_mse of epoch 2: .* is not a number"):
        build_history_summary(curve([1.0, 1.0], [0.5, value]))


def test_numbers_of_other_libraries_are_numbers():
    assert "at epoch 2" in build_history_summary(curve([1, 1], [np.float32(0.5), np.int64(0)]))


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_run_is_found_by_its_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not (tmp_path / "runs").exists()
    assert str(get_run_dir("run_0007")) == str(get_run_dir(7)) == "runs/run_0007"
    assert (tmp_path / "runs" / "run_0007").is_dir()
    save_metrics({"val_mse": 0.5}, "run_0007")
    assert load_metrics(7) == load_metrics(get_run_dir(7)) == {"val_mse": 0.5}
    assert load_metrics("runs/run_0007") == load_metrics("runs/run_0007/metrics.json")
    assert [p.name for p in (tmp_path / "runs" / "run_0007").iterdir()] == ["metrics.json"]


def test_content_and_place_in_either_order(tmp_path):
    save_metrics(tmp_path, {"val_mse": np.float32(0.25)})
    assert load_metrics(tmp_path) == {"val_mse": 0.25}
    save_history(curve([1.0], [float("nan")], best=1), tmp_path / "h.json")
    assert load_history(tmp_path / "h.json")["epochs"] == [{"epoch": 1, "train_mse": 1.0, "val_mse": None, "lr": 1e-4}]
    with pytest.raises(UsageError, match="takes a mapping and a path"):
        save_metrics("a", tmp_path)


def test_the_configuration_is_copied(tmp_path):
    (tmp_path / "mine.py").write_text("seed = 42\n")
    made = snapshot_config(tmp_path / "mine.py", tmp_path / "run_0000")
    assert made == tmp_path / "run_0000" / "config_used.py" and made.read_text() == "seed = 42\n"
    (tmp_path / "mine.yaml").write_text("seed: 42\n")
    assert snapshot_config(tmp_path / "mine.yaml", tmp_path / "run_0000").name == "config_used.yaml"
    with pytest.raises(UsageError, match="no such configuration"):
        snapshot_config(tmp_path / "none.py", tmp_path)


@pytest.mark.parametrize("run_id", ["../x", "a/b", "", ".hidden", -1, True, None, "x" * 200])
def test_an_id_cannot_leave_its_folder(run_id):
    with pytest.raises(UsageError, match="not a run id"):
        get_run_dir(run_id)


def test_files_that_are_missing_or_damaged(tmp_path):
    with pytest.raises(DataError, match="no such file") as caught:
        load_metrics(tmp_path)
    assert caught.value.exit_code == 3
    (tmp_path / "metrics.json").write_text('{"val_mse": 0.')
    with pytest.raises(DataError, match="not JSON"):
        load_metrics(tmp_path)
    (tmp_path / "metrics.json").write_text("[1]")
    with pytest.raises(DataError, match="not a JSON object"):
        load_metrics(tmp_path)


def test_a_file_that_cannot_be_made_whole_leaves_the_old_one(tmp_path):
    save_metrics({"a": 1}, tmp_path)
    with pytest.raises(TypeError):
        save_metrics({"a": object()}, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]
