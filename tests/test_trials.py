"""backbones/trials.py: members of a forecast blend in order of cost, within a time, and after an interruption."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from backbones import auto_forecast, trials
from backbones.auto_forecast import POOL, _pool, runs_in
from backbones.ridge import Ridge
from checkpoint import BEST, Checkpoint
from errors import UsageError

from .runs import go, good, strict
from .test_histories import fitted, histories

WORDS = "--mode train --task forecast --csv t.csv --time-col date --horizon 6 --reference off --no-plots --threads 1"


@pytest.fixture
def table(tmp_path):
    rng, t = np.random.default_rng(0), np.arange(90)
    dates = pd.date_range("2015-01-01", periods=90, freq="MS").strftime("%Y-%m-%d")
    y = np.round(50 + 0.1 * t + 5 * np.sin(t * np.pi / 6) + rng.normal(size=90), 3)
    pd.DataFrame({"date": dates, "y": y}).to_csv(tmp_path / "t.csv", index=False)
    return tmp_path


def test_the_cheapest_members_come_first():
    names = [name for name, *_ in POOL]
    order = [names[i] for i in trials._cheapest_first([*names, "chronos2", "ensemble"][: len(names)])]
    assert order[-4:] == ["ridge", "ridge_ensemble", "boosted_lags", "boosted_known"] and sorted(order) == sorted(names)
    assert trials._cheapest_first(["chronos2", "boosted_lags", "ensemble", "theta"]) == [3, 2, 1, 0]


def test_a_budget_that_is_spent_leaves_members_out_line_by_line(table):
    done = go(table, WORDS, "--budget 0.00001s")
    fit = strict(done.directory / "summary.json")["fit"]
    assert done.code == 0 and done.err.count("left out, --budget is spent") == len(POOL) - 1 == len(fit["left_out"])
    weights = {name: member["weight"] for name, member in fit["members"].items()}
    assert weights.pop("seasonal_naive period=1") == 1 and not any(weights.values())


def test_with_time_enough_a_budget_changes_no_figure(table):
    few = "--model-args members=ridge,theta"
    plain, done = strict(good(table, WORDS, few) / "summary.json"), go(table, WORDS, few, "--budget 1h --desc b")
    timed = strict(done.directory / "summary.json")
    assert plain["mse"] == timed["mse"] and "left_out" not in timed["fit"]
    assert "auto: 1 of 2, theta: mse " in done.err and "auto: 2 of 2, ridge: mse " in done.err


def test_a_killed_run_goes_on_after_its_finished_members(table, monkeypatch):
    words = [WORDS, "--model-args members=seasonal_naive,ridge,theta"]
    monkeypatch.setattr(trials, "SLOW", -1)  # every member is kept and told
    whole = Checkpoint.load(good(table, *words, "--out whole") / BEST)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ridge, "fit", stop)
        assert go(table, *words).code == 130
    done = go(table, *words, "--resume")
    assert done.code == 0 and done.err.count("as it was") == 2  # ridge costs more, and comes last
    found = Checkpoint.load(done.directory / BEST)
    assert all(torch.equal(value, found.state[name]) for name, value in whole.state.items())


def test_what_a_budget_is_not_for_is_told(table):
    done = go(table, WORDS, "--backbone ridge --budget 1min")
    assert done.code == 0 and "--budget changes nothing here" in done.err


# ---- finished runs as members


def test_a_finished_run_is_a_member_that_stays_as_it_is(table):
    net = good(table, WORDS, "--backbone dlinear --epochs 2 --tag net")
    run = good(table, WORDS, "--model-args members=theta,ets,artifacts/net --tag both")
    fit = strict(run / "summary.json")["fit"]
    name = next(name for name in fit["members"] if name.startswith("1: dlinear on "))
    assert len(fit["members"]) == 3 and fit["members"][name]["error"] > 0
    kept, own = Checkpoint.load(run / BEST).state, Checkpoint.load(net / BEST).state
    assert all(torch.equal(kept[f"backbone.members.2.members.0.{key}"], value) for key, value in own.items())
    alone = strict(good(table, WORDS, "--model-args members=artifacts/net --tag alone") / "summary.json")
    assert alone["mse"] == pytest.approx(strict(net / "summary.json")["mse"], rel=1e-4)
    net.rename(table / "moved")  # the checkpoint holds the run
    assert len(pd.read_csv(good(table, f"--mode infer --csv t.csv --ckpt {run} --no-plots") / "forecast.csv")) == 6


def test_names_of_members_are_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    assert runs_in("theta, +a,ridge") == ["a"] and not runs_in("thetta")
    assert _pool("+a", 1) == POOL == _pool("", 0) and [name for name, *_ in _pool("ets,a", 1)] == ["ets"]
    with pytest.raises(UsageError, match="'thetta' cannot be blended here") as caught:
        _pool("+a,+thetta", 1)
    assert "theta" in str(caught.value.hint)


def test_a_checkpoint_names_its_members_so_that_the_pool_may_change(table, monkeypatch):
    pool = auto_forecast.POOL[1:7]
    monkeypatch.setattr(auto_forecast, "POOL", pool)
    run = good(table, WORDS, "--tag first")
    infer = f"--mode infer --csv t.csv --ckpt {run} --no-plots --reference off --overwrite"
    before = (good(table, infer) / "forecast.csv").read_text()
    monkeypatch.setattr(auto_forecast, "POOL", pool[::-1])
    assert (good(table, infer) / "forecast.csv").read_text() == before
    named = strict(good(table, WORDS, '--model-args "members=ets log=true,theta"', "--tag two") / "summary.json")["fit"]
    assert list(named["members"]) == ["ets log=True", "theta"]
    monkeypatch.setattr(auto_forecast, "POOL", pool[:3])
    done = go(table, infer)
    assert done.code == 4 and "--mode train" in done.err


@pytest.mark.parametrize("shown", [False, True])
def test_backtests_with_fewer_cycles_than_a_member_asks_for_do_not_count(shown):
    """A series of 34 steps whose season has 12: what is tried with 10 to 28 of them known."""
    past = histories([np.random.default_rng(0).normal(size=(1, 34))], least=10, step=3, periods=(12,))
    members = nn.ModuleList([fitted("seasonal_naive", past), fitted("last_cycle", past), fitted("theta", past)])
    members.append(fitted("drift", past))
    for member in members[:3]:
        member.period[0] = 12
    tried = trials.Trials(["?"] * 4, ["?"] * 4, members, lambda i, cut: True, shown=shown)
    found = torch.zeros(4, len(past), 1, past.horizon)
    seen = tried._seen(found, past, np.full(len(past), 34)).isfinite().all(dim=(2, 3))
    for i, least in enumerate([12, 14, 24 if shown else 0, 0]):
        assert seen[i].tolist() == (past.origin >= least).tolist()
    assert tried.untested == [False] * 4
    early = past.part(np.flatnonzero(past.origin < 12))  # of which none shows what the first two will do
    tried._seen(torch.ones_like(found[:, : len(early)]), early, np.full(len(early), 34))
    assert tried.untested == [True, True, shown, False]
