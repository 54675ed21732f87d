"""What followed a label's last state: against a loop over windows, and where it is weighed beside other learners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from backbones import InputSpec
from backbones.fitted import outputs_on
from backbones.fitting import Fitting, Labelled
from backbones.pools import blank, pool_of
from backbones.specs import ModelSpec, TargetSpec
from backbones.transitions import Transitions
from backbones.wide import Wide
from checkpoint import BEST, Checkpoint

from .runs import go, good, strict

LABEL = TargetSpec("label", 1, seen=1, cuts=(0.5,))
CLASS = TargetSpec("class", 3, seen=1, cuts=(0.5, 1.5))


def windows(target: TargetSpec, n: int = 300, seed: int = 0, stays: float = 0.9) -> Labelled:
    """Channel 1 shows the state, which mostly stays; channel 0 is noise."""
    draw, states = np.random.default_rng(seed), len(target.cuts) + 1
    state = np.zeros(n + 4, np.int64)
    for t in range(1, n + 4):
        state[t] = state[t - 1] if draw.random() < stays else draw.integers(states)
    x = np.stack([draw.normal(size=n + 4), state]).astype(np.float32)
    seen = torch.from_numpy(x).unfold(1, 4, 1).transpose(0, 1)[:n].contiguous()
    y = torch.from_numpy(np.eye(states, dtype=np.float32)[state[4:]])
    return Labelled(lambda i: seen[i], y if target.kind == "class" else y[:, 1:], np.zeros(n, np.int64))


@pytest.mark.parametrize("target", [LABEL, CLASS])
def test_it_says_the_share_of_training_that_followed(target):
    train, made = windows(target), Transitions(target)
    said, power = made.grow(train, Fitting(train, train, 0))
    last = train.read(torch.arange(300))[:, 1, -1].long().tolist()
    y, rate = train.y.double(), train.y.double().mean(0)
    for i in (0, 17, 299):
        for others, found in ((False, made.answer(train.read(torch.tensor([i])))[0]), (True, said[i])):
            same = [k for k in range(300) if last[k] == last[i] and not (others and k == i)]
            share = (sum(y[k] for k in same) + rate) / (len(same) + 1)
            expected = share.log() if target.kind == "class" else (share / (1 - share)).log()
            assert torch.allclose(found.double(), expected, atol=1e-5)
    assert power == 1 and torch.equal(made(train.read(torch.arange(3))), torch.zeros(3, target.outputs))


def test_windows_are_read_in_batches():
    """All at once they would be many times the data."""
    train, sizes = windows(LABEL, 9000), []

    def read(numbers: torch.Tensor) -> torch.Tensor:
        sizes.append(len(numbers))
        return train.read(numbers)

    Transitions(LABEL).grow(replace(train, read=read), Fitting(train, train, 0))
    assert sum(sizes) == 9000 and max(sizes) <= 4096


@pytest.mark.parametrize("target", [LABEL, CLASS])
def test_it_stands_under_a_net_and_has_the_weight_that_it_earns(target):
    """Where nothing but the last state tells, and the noise has moved elsewhere since."""
    train, val = windows(target, stays=0.97), windows(target, 200, 1, stays=0.97)
    wide = Wide(target, 2, 4)
    stood, told = wide.fit(Fitting(train, val, 0), target, [0.0] * target.outputs)
    assert wide.persistence is not None
    shares = told["of"]
    assert list(shares) == ["map", "persistence"] and shares["persistence"] > 0.4
    assert float(wide.persistence.weight) == pytest.approx(shares["persistence"], abs=1e-4)
    rest = outputs_on(val, wide.outputs_of) - outputs_on(val, wide.persistence)
    assert torch.allclose(rest, outputs_on(val, wide._map_of), atol=1e-5)
    assert stood.shape == (300, target.outputs, 1)


def test_the_blend_of_learners_has_it_last_and_fits_it_too():
    pool = pool_of("", LABEL, 2, 4)
    assert [name for name, _, _ in pool][-1] == "persistence" and "persistence" not in pool_of(
        "", TargetSpec("label", 1), 2, 4
    )[-1]
    train, member = windows(LABEL), blank(pool[-1], InputSpec(channels=2, length=4, target=LABEL))
    member.fit_windows(Fitting(train, train, 0))
    alone = Transitions(LABEL)
    alone.grow(train, Fitting(train, train, 0))
    x = train.read(torch.arange(40))
    assert torch.equal(member.answer(x), alone.answer(x)) and len(member.answer(x).unique()) == 2


def test_a_checkpoint_keeps_where_the_label_changes():
    made = ModelSpec(backbone="gru", channels=2, length=4, outputs=3, horizon=1, head="pool", wide=CLASS)
    assert ModelSpec.of(made.plain()).wide == CLASS
    with pytest.raises(ValueError, match="a channel that is none"):
        ModelSpec.of({**made.plain(), "channels": 1})


def states(n: int = 700) -> pd.DataFrame:
    """A machine that is in one of three states for hours, and a sensor that drifts away from what it was."""
    draw, state = np.random.default_rng(3), np.zeros(n, np.int64)
    for t in range(1, n):
        state[t] = state[t - 1] if draw.random() < 0.95 else draw.integers(3)
    time = pd.date_range("2024-01-01", periods=n, freq="h")
    drift = np.linspace(0, 1, n) ** 4
    return pd.DataFrame(
        {"time": time, "mode": state, "load": 3 * state * (1 - drift) + 20 * drift + draw.normal(size=n)}
    )


TRAIN = "--mode train --task classify --csv t.csv --backbone gru --epochs 1 --context-len 12 --no-plots --quiet"


@pytest.mark.parametrize("backbone", ["gru", "auto"])
def test_a_state_that_stays_is_told_by_itself_whatever_else_changes(tmp_path, backbone):
    states().to_csv(tmp_path / "t.csv", index=False)
    folder = good(tmp_path, TRAIN.replace("gru", backbone), "--label-src-ch mode --bin-rule classes --test-ratio 0.2")
    found = strict(folder / "metrics.json")
    stays = found["references"]["persistence"]
    assert found["accuracy"] >= stays["accuracy"] - 0.02 and found["macro_f1"] >= stays["macro_f1"] - 0.03


def states_of(folder, flags: str, table: pd.DataFrame) -> list[int]:
    """The number of the state in which the model sees each value of the channel `mode`, in their order."""
    table.to_csv(folder / "t.csv", index=False)
    run = good(folder, TRAIN, flags, "--overwrite")
    kept = Checkpoint.load(run / BEST)
    wide = kept.model.wide
    assert wide is not None and wide.seen is not None
    words = kept.fitted.get("label_words")
    values = np.unique(table["mode"]) if words is None else np.arange(len(words))
    scaled = (values - kept.scaler.mean[wide.seen]) / kept.scaler.std[wide.seen]
    return (scaled[:, None].astype(np.float32) > np.float32(wide.cuts)).sum(1).tolist()


def test_the_states_of_a_channel_are_those_of_its_label(tmp_path):
    table = states()
    assert states_of(tmp_path, "--label-src-ch mode --bin-rule classes", table) == [0, 1, 2]
    assert states_of(tmp_path, "--label-src-ch mode --bin-rule gt --bin-thr 1", table) == [0, 0, 1]
    assert states_of(tmp_path, "--label-src-ch mode --bin-rule lt --bin-thr 1", table) == [0, 1, 1]
    assert states_of(tmp_path, "--label-src-ch mode --bin-rule quantile --bin-thr 0.2", table) == [0, 1, 1]
    signed = table.assign(mode=table["mode"] * 2 - 2)  # -2, 0 and 2, of which 0 alone is false
    assert states_of(tmp_path, "--label-src-ch mode", signed) == [0, 1, 2]
    words = table.assign(mode=np.array(["idle", "busy", "clean"])[table["mode"]])
    assert states_of(tmp_path, "--label-src-ch mode", words) == [0, 1, 2]
    both = table.assign(mode=np.array(["off", "on", "on"])[table["mode"]])
    assert states_of(tmp_path, "--label-src-ch mode", both) == [0, 1]


def test_a_class_that_training_lacks_is_told_and_the_others_are_learned(tmp_path):
    """One word that comes late was the end of the run."""
    table = states()
    table["mode"] = np.array(["idle", "busy", "clean"])[table["mode"]]
    table.loc[690:693, "mode"] = "broken"
    table.to_csv(tmp_path / "t.csv", index=False)
    done = go(tmp_path, TRAIN, "--label-src-ch mode --test-ratio 0.2")
    assert done.code == 0, done.err
    assert "warning: class broken is never true in training, and will hardly be predicted" in done.err
    found = strict(done.directory / "metrics.json")
    assert found["classes"] == ["broken", "busy", "clean", "idle"] and found["accuracy"] > 0.8
    table.loc[600:, "mode"] = "broken"  # of training's one is left
    table.loc[:599, "mode"] = "idle"
    table.to_csv(tmp_path / "t.csv", index=False)
    done = go(tmp_path, TRAIN, "--label-src-ch mode --test-ratio 0.2 --bin-rule classes")
    assert done.code == 3 and "the train split has one class only" in done.err
