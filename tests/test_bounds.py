"""tasks/forecast/bounds.py: which channels are never below 0, and that nothing forecast of them is; on made series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tsrun
from tasks.forecast.bounds import bounded, floors
from tasks.targets import Course

from .runs import go, good, strict


def found(*rows: np.ndarray, lag: int = 7) -> float:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    values = np.concatenate(rows)[None].astype(float)
    seen = np.isfinite(values[0])
    return bounded(Course(values, seen, offsets), lag)[0]


def draw(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


DAYS = np.arange(200)
NEVER_BELOW = {
    "counts": lambda rng: rng.poisson(2.0, 200),
    "mostly 0": lambda rng: rng.poisson(0.1, 200),
    "rain": lambda rng: np.maximum(rng.normal(-1, 2, 200), 0),
    "closed on Sundays": lambda rng: np.where(DAYS % 7 == 6, 0, 100 + rng.normal(0, 5, 200)),
    "watts": lambda rng: rng.gamma(0.5, 20, 200),
    "growth": lambda rng: np.exp(np.cumsum(rng.normal(0.03, 0.05, 200))),
}
CAN_BE = {
    "a level far from 0": lambda rng: 50 + rng.normal(0, 2, 200),
    "below 0": lambda rng: rng.poisson(2.0, 200) - np.where(DAYS == 90, 5, 0),
    "a walk that came near": lambda rng: (walk := np.cumsum(rng.normal(0, 1, 200))) - walk.min() + 0.1,
    "from its own least on": lambda rng: (y := 20 * np.sin(DAYS / 30) + rng.normal(0, 2, 200)) - y.min(),
    "the least of rounded values": lambda rng: (walk := np.cumsum(rng.normal(0, 3, 200)).round()) - walk.min(),
}


@pytest.mark.parametrize("kind", NEVER_BELOW)
def test_what_cannot_be_below_0_is_found_whatever_its_unit(kind):
    for seed in range(10):
        y = NEVER_BELOW[kind](draw(seed)).astype(float)
        assert found(y) == 1 == found(y * 1e-6) == found(y * 1e6), seed


@pytest.mark.parametrize("kind", CAN_BE)
def test_what_has_merely_not_been_below_0_is_not(kind):
    assert sum(found(CAN_BE[kind](draw(seed)).astype(float)) for seed in range(20)) <= 1


def test_series_of_a_channel_are_judged_together_and_gaps_are_no_zeros():
    counts = [draw(seed).poisson(1.0, 12).astype(float) for seed in range(20)]
    assert found(counts[0]) == 0 and found(*counts) == 1
    assert found(*counts, np.array([3.0, -1.0, 2.0])) == 0
    level = 50 + draw(0).normal(0, 2, 200)
    values = np.where(DAYS % 5 == 0, 0.0, level)[None]
    gaps = np.broadcast_to(DAYS % 5 == 0, values.shape)
    course = Course(values, np.ones(200, bool), np.array([0, 200]))
    assert bounded(course, 7) == [1.0]
    assert bounded(Course(values, course.seen, course.offsets, filled=gaps), 7) == [0.0]
    assert bounded(Course(values, ~gaps[0], course.offsets), 7) == [0.0]  # zeros that training does not see


def test_likelihoods_of_changes_are_those_of_normal_ones():
    from scipy import stats

    from tasks.forecast.bounds import _Changes

    y = np.exp(np.cumsum(draw(3).normal(0, 0.3, 60)))
    change, ratio = np.diff(y), np.diff(np.log(y))
    plain = stats.norm.logpdf(change, 0, np.sqrt((change**2).mean())).sum()
    logs = stats.norm.logpdf(ratio, 0, np.sqrt((ratio**2).mean())).sum() - np.log(y[1:]).sum()
    of = _Changes(y, np.ones(60, bool), np.zeros(60, int), 1)
    assert of.likelier_as_logs() == pytest.approx(logs - plain, rel=1e-9)


def test_a_floor_that_is_asked_for_takes_the_place_of_0():
    assert floors(None, [0.0, 0.0]) == () and floors(None, [1.0, 0.0]) == (0.0, -np.inf)
    assert floors(-5.0, [1.0, 0.0]) == (-5.0, -5.0)


def table(factor: float = 1.0, shift: float = 0.0) -> pd.DataFrame:
    rng = draw(5)
    sold, degrees = rng.poisson(0.6 + 0.5 * np.sin(DAYS * 2 * np.pi / 7)), rng.normal(0, 3, 200)
    dates = pd.date_range("2023-01-01", periods=200, freq="D")
    return pd.DataFrame({"sold": sold * factor + shift, "degrees": degrees}, dates).rename_axis("date")


@pytest.mark.parametrize("backbone", ["ets", "dlinear --quantiles 0.1 0.9 --epochs 2"])
def test_nothing_is_forecast_below_0_of_what_cannot_be(backbone, tmp_path):
    table().to_csv(tmp_path / "t.csv")
    command = f"--task forecast --csv t.csv --time-col date --horizon 5 --context-len 21 --backbone {backbone}"
    words = f"--mode train {command} --save-preds --no-plots --reference off"
    done = go(tmp_path, words)
    assert done.code == 0 and "no value of training is below 0, which holds up " in done.out
    content, saved = strict(done.directory / "summary.json"), np.load(done.directory / "preds.npz")
    assert 0 <= saved["low"][:, 0].min() < 1e-6 and saved["pred"][:, 0].min() >= 0 and saved["low"][:, 1].min() < -2
    assert content["floor"]["ends"] == pytest.approx((saved["low"][:, 0] < 1e-6).mean() / 2, abs=0.01)
    model = tsrun.load(done.directory)
    ahead = model.predict(table(), horizon=9)
    numbers = ahead.drop(columns=["date", "channel"])[ahead["channel"] == "sold"].to_numpy()
    assert numbers.min() >= 0
    free = good(tmp_path, words, "--floor -100 --desc free")
    assert np.load(free / "preds.npz")["low"][:, 0].min() < 0
    assert "floor" in strict(free / "summary.json")


def test_data_that_are_below_0_all_the_same_are_not_held(tmp_path):
    table().to_csv(tmp_path / "t.csv")
    words = "--mode train --task forecast --csv t.csv --time-col date --horizon 5 --context-len 21 --backbone ridge"
    run = good(tmp_path, words, "--no-plots --reference off --features S --target sold")
    table(factor=3.0, shift=-4.0).to_csv(tmp_path / "other.csv")
    done = go(tmp_path, f"--mode infer --ckpt {run} --csv other.csv --no-plots --reference off")
    assert "sold: below 0 here, as nothing was in training" in done.err and "holds up" not in done.out
    assert pd.read_csv(done.directory / "forecast.csv")["low"].min() < 0
