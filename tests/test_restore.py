"""restore.py: what a checkpoint fixes, what it is turned back into, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas
import pytest
import torch

import cli
import restore
from backbones import ForecastSpec, ModelSpec
from backbones.model import build_model
from checkpoint import Checkpoint
from config import RunConfig
from data import Series
from errors import CheckpointError
from scaler import Scaler
from times.clock import Clock

from .runs import go, good, numbers, preds, strict

WORDS = "--mode train --task classify --csv a.csv b.csv --context-len 4 --backbone linear --bin-thr 2"


def made(**changed) -> Checkpoint:
    """A linear classifier of two channels on four steps."""
    torch.manual_seed(1)
    spec = ModelSpec(backbone="linear", channels=2, length=4, outputs=1, horizon=1, head="pool")
    return replace(
        Checkpoint(
            config=cli.parse(WORDS.split()).flat(),
            model=spec,
            state=build_model(spec).state_dict(),
            scaler=Scaler(np.zeros(2), np.ones(2), ("a", "b")),
            input_channels=["a", "b"],
            outputs=["a"],
            per_row=False,
            fitted={"threshold": [2.0], "base_rate": [0.5], "pos_weight": [1.0], "exclusive": False},
            calibration={"tau": [0.3]},
            references={},
        ),
        **changed,
    )


def series(channels=("a", "b"), clock=None, **more) -> Series:
    count = 12
    time = None if clock is None else np.arange(count) * clock.step
    values = np.zeros((len(channels), count), np.float32)
    return Series(values, np.array([0, count]), tuple(channels), ("r",), time=time, clock=clock, **more)


# --- settings


def test_what_was_not_given_comes_from_the_checkpoint():
    config = RunConfig(task="classify", mode="finetune", options={"bin_thr": 0.0, "alpha": 0.5}, given=frozenset())
    taken = restore.settings_of(made(), config)
    assert (taken["context_len"], taken["backbone"]) == (4, "linear")
    assert taken["options"] == {"bin_thr": 2.0, "alpha": 0.5}  # alpha says how to learn, not what the model means
    assert "csv" not in taken and "seed" not in taken


def test_inference_takes_the_split_too():
    config = RunConfig(task="classify", mode="infer", options={"bin_thr": 0.0, "alpha": 0.9})
    taken = restore.settings_of(made(), config)
    assert (taken["seed"], taken["split_mode"], taken["options"]["alpha"]) == (777, "group", 0.5)


def test_a_given_flag_that_contradicts_is_an_error_that_lists_them_all():
    given = frozenset({"backbone", "context_len"})
    config = RunConfig(task="classify", mode="infer", ckpt="runs/x", backbone="gru", context_len=9, given=given)
    with pytest.raises(CheckpointError) as caught:
        restore.settings_of(made(), config)
    assert caught.value.where == "runs/x" and caught.value.exit_code == 4
    assert "--backbone gru (the checkpoint has linear)" in caught.value.what
    assert "--context-len 9 (the checkpoint has 4)" in caught.value.what


def test_the_name_of_the_label_s_channel_may_be_said_again():
    """Training keeps its number, so that the same flag was a contradiction in inference."""
    kept = made()
    for number, name in enumerate(kept.input_channels):
        model = replace(kept, config={**kept.config, "label_src_ch": number})
        given = {"task": "classify", "mode": "infer", "given": frozenset({"label_src_ch"})}
        for words in (name, {0: "first"}.get(number, name), {1: "last"}.get(number, name)):
            config = RunConfig(label_src_ch=words, **given)
            assert restore.settings_of(model, config)["label_src_ch"] == number
        with pytest.raises(CheckpointError, match="--label-src-ch other"):
            restore.settings_of(model, RunConfig(label_src_ch="other", **given))


def test_another_task_is_refused():
    with pytest.raises(CheckpointError, match="is of task classify, not regress"):
        restore.settings_of(made(), RunConfig(task="regress", mode="infer"))


# --- task and model


def test_a_task_comes_back_fitted_with_the_options_of_its_run():
    task = restore.task_of(made())
    assert task.options.bin_thr == 2.0 and task.fitted["threshold"] == [2.0]
    assert restore.calibration_of(made(), task) == {"tau": [0.3]}
    assert restore.calibration_of(made(calibration={}), task) == {"tau": [0.5], "chosen_on": "default"}


def test_an_option_that_is_younger_than_the_checkpoint_has_its_default():
    config = {name: value for name, value in made().config.items() if name != "thresh_default"}
    assert restore.task_of(made(config=config)).options.thresh_default == 0.5


def test_a_model_comes_back_with_its_weights():
    model, x = restore.model_of(made()), torch.arange(8.0).view(1, 2, 4)
    weight, bias = made().state["head.weight"], made().state["head.bias"]
    assert torch.allclose(model(x).flatten(), x.flatten() @ weight.flatten() + bias)


def test_weights_of_another_shape_are_refused():
    state = made().state | {"head.bias": torch.zeros(3)}
    with pytest.raises(CheckpointError, match="weights and model do not fit"):
        restore.model_of(made(state=state))


# --- against new data


def test_another_number_of_channels_is_refused_with_their_names():
    config = RunConfig(ckpt="runs/x")
    with pytest.raises(CheckpointError, match=r"trained on 2 input channel\(s\), the data have 1") as caught:
        restore.check_series(made(), config, series(["a"]))
    assert caught.value.hint == "the channels were a, b"
    restore.check_series(made(), config, series(["a"]), lacking=1)
    restore.check_series(made(), config, series(["a"]), derived=["b"])


@pytest.mark.parametrize(
    ("have", "order"),
    [
        (["a", "b"], ["a", "b"]),
        (["b", "a"], ["a", "b"]),
        (["x", "y"], ["x", "y"]),  # other recordings of the same channels
        (["a", "x"], ["a", "x"]),  # a is in its place
        (["a"], ["a"]),
    ],
)
def test_wide_files_are_put_in_the_order_of_the_checkpoint(have, order):
    given = series(have)
    found = restore.in_order(made(), RunConfig(), given)
    assert list(found.channels) == order
    assert all((found.values[order.index(name)] == given.values[have.index(name)]).all() for name in have)


@pytest.mark.parametrize("have", [["x", "a"], ["b", "x"]])
def test_a_file_of_training_in_another_place_is_refused(have):
    with pytest.raises(CheckpointError, match=rf"the checkpoint has a, b\n  these data have {', '.join(have)}"):
        restore.in_order(made(), RunConfig(), series(have))


def test_a_checkpoint_without_times_takes_columns_that_are_dated(caplog):
    given = series(clock=Clock("D"))
    with caplog.at_level("INFO", "tsrun"):
        found = restore.timed(made(), RunConfig(csv=("a.csv", "b.csv")), given)
    assert found.clock is None and found.time is None and "dates of the columns are not used" in caplog.text
    assert restore.timed(made(), RunConfig(csv=("a.csv",), time_col="date"), given).clock is not None
    assert restore.timed(made(clock=Clock("D").plain()), RunConfig(csv=("a.csv",)), given).clock == Clock("D")


def test_columns_without_dates_are_refused_by_a_checkpoint_that_forecasts_dated_ones():
    labels = made(clock=Clock("D").plain())
    restore.check_series(labels, RunConfig(csv=("a.csv", "b.csv")), series())  # which no date concerns
    model = replace(labels, model=replace(labels.model, head="forecast", forecast=ForecastSpec(3, (0,), 1)))
    with pytest.raises(CheckpointError, match="these data have steps without times") as caught:
        restore.check_series(model, RunConfig(csv=("a.csv", "b.csv")), series())
    assert caught.value.hint == "name the columns by their dates, as those of training are"


@pytest.mark.parametrize(
    ("then", "now", "text"),
    [
        ("h", None, "was trained on steps of 1 h, these data have steps without times"),
        (None, "h", "was trained on steps without times, these data have steps of 1 h"),
        ("h", "D", "was trained on steps of 1 h, these data have steps of 1 day"),
        ("ME", "MS", r"was trained on steps of 1 month \(ME\), these data have steps of 1 month \(MS\)"),
    ],
)
def test_steps_of_another_length_are_refused(then, now, text):
    clock = None if then is None else Clock(then).plain()
    with pytest.raises(CheckpointError, match=text):
        restore.check_series(made(clock=clock), RunConfig(), series(clock=None if now is None else Clock(now)))


@pytest.mark.parametrize(
    ("per_row", "labels", "known"), [(True, True, True), (True, False, False), (False, False, True)]
)
def test_whether_a_label_is_known_follows_from_the_files(per_row, labels, known):
    more = {"labels": np.zeros((1, 1), np.float32), "label_names": ("y",)} if labels else {}
    assert restore.label_known(made(per_row=per_row), series(**more), lacking=0) is known


def test_one_label_a_row_is_no_target_of_a_model_of_steps():
    more = {"labels": np.zeros((1, 1), np.float32), "label_names": ("y",)}
    with pytest.raises(CheckpointError, match="predicts a channel's next value"):
        restore.label_known(made(), series(**more), lacking=0)


def lay(folder, name, *channels):
    hours = np.arange(200)
    times = (np.datetime64("2024-01-01") + hours.astype("timedelta64[h]")).astype(str)
    values = [np.round(10 + 3 * np.sin(hours / 4 + k), 4) for k in range(len(channels))]
    lines = [",".join(map(str, line)) for line in zip(times, *values, strict=True)]
    (folder / name).write_text(",".join(["time", *channels]) + "\n" + "\n".join(lines) + "\n")


def test_channels_bind_by_name_and_other_files_may_have_them_in_other_columns(tmp_path):
    lay(tmp_path, "a.csv", "load", "wind")
    lay(tmp_path, "b.csv", "power", "wind")
    line = "--task forecast --time-col time --no-plots --reference off"
    train = (
        "--mode train --csv a.csv --context-len 24 --horizon 6 --features MS --target load --backbone gru --epochs 1"
    )
    run = good(tmp_path, train, line, "--backbone gru").relative_to(tmp_path)
    same = good(tmp_path, f"--mode infer --ckpt {run} --csv a.csv --desc a", line)
    other = good(tmp_path, f"--mode infer --ckpt {run} --csv b.csv --columns load=power --desc b", line)
    assert strict(same / "summary.json")["mse"] == strict(other / "summary.json")["mse"]
    mine, others = (preds(folder, "forecast.csv") for folder in (same, other))
    np.testing.assert_array_equal(numbers(mine, "value"), numbers(others, "value"))
    for end in ("low", "high"):  # margins follow what was measured before: in another file all of it
        np.testing.assert_allclose(numbers(mine, end), numbers(others, end), rtol=0.02)
    stray = go(tmp_path, f"--mode infer --ckpt {run} --csv b.csv --columns lod=power", line)
    assert stray.code == 4 and "trained on load, wind" in stray.err
    tuned = f"--mode finetune --ckpt {run} --csv b.csv --columns load=power wind --epochs 1 --desc tuned"
    assert Checkpoint.load(good(tmp_path, tuned, line) / "model.pt").input_channels == ["load", "wind"]


def test_marks_of_missing_values_are_those_of_training(tmp_path):
    """Without --na in inference -200 was scored as what a sensor measured."""
    draw = np.random.default_rng(0)
    for name, begin in (("old", 0), ("new", 300)):
        times = pandas.date_range("2024-01-01", periods=600, freq="h")[begin : begin + 300]
        values = 20 + draw.normal(0, 1, 300).round(2)
        values[40::50] = -200
        pandas.DataFrame({"time": times, "co": values}).to_csv(tmp_path / f"{name}.csv", index=False)
    line = "--task regress --csv old.csv --na -200 --context-len 6 --backbone ridge --reference off --tag m --no-plots"
    good(tmp_path, line)
    done = go(tmp_path, "--mode infer --ckpt artifacts/m --csv new.csv --tag i --no-plots")
    assert done.code == 0 and "6 missing and 0 infinite values" in done.err, done.err
    truth = pandas.read_csv(tmp_path / "artifacts/i/preds.csv")["y_true"].dropna()
    assert truth.min() > 0 and len(truth) == 300 - 6 - 6
    plain = go(tmp_path, "--mode infer --ckpt artifacts/m --csv new.csv --tag j --no-plots --na none")
    assert plain.code == 0 and pandas.read_csv(tmp_path / "artifacts/j/preds.csv")["y_true"].min() == -200
