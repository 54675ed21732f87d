"""Histories: what comes before an origin, how series are laid side by side, and that nothing looks beyond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import backbones
from backbones import ForecastSpec, Hyper, InputSpec, ModelSpec, backbone_class
from backbones.histories import Histories, HistoryFitting, begins, closed
from backbones.local_forecaster import LocalForecaster
from backbones.model import build_model
from errors import UsageError
from tasks.forecast import references
from times.clock import Clock

from .runs import go, good, strict

NAMES = [name for name in backbones.names() if issubclass(backbone_class(name), LocalForecaster)]
HORIZON = 6
LENGTHS = (40, 70, 31, 70)


def series(seed: int = 3) -> list[np.ndarray]:
    """Two channels of four rows with a trend and a season of 4, above 0."""
    rng = np.random.default_rng(seed)
    rows = []
    for length in LENGTHS:
        t = np.arange(length)
        wave = 2 * np.sin(2 * np.pi * (t + rng.integers(4)) / 4)
        rows.append(20 + rng.normal() + 0.05 * t + wave + 0.5 * rng.normal(size=(2, length)))
    return rows


def histories(rows: list[np.ndarray], least: int = 8, step: int = 1, periods: tuple[int, ...] = (4,)) -> Histories:
    """Every `step`-th origin of rows `[K, T]` that has `least` known steps before it and a horizon after it."""
    offsets = np.concatenate([[0], np.cumsum([row.shape[1] for row in rows])])
    row = np.concatenate([np.full(len(range(least, r.shape[1] - HORIZON + 1, step)), i) for i, r in enumerate(rows)])
    origin = np.concatenate([offsets[i] + np.arange(least, r.shape[1] - HORIZON + 1, step) for i, r in enumerate(rows)])
    values, gaps, first = closed(np.concatenate(rows, axis=1), offsets)
    level = np.full(len(values), 20.0)
    begin = begins(gaps, first, row, origin, least)

    def windows(numbers: torch.Tensor, low: int, high: int) -> torch.Tensor:
        at = origin[numbers.numpy()][:, None] + np.arange(low, high)
        return torch.from_numpy((values[:, at] - level[:, None, None]).transpose(1, 0, 2).astype(np.float32))

    return Histories(
        values,
        level,
        begin,
        origin,
        HORIZON,
        periods,
        seen=lambda numbers: (windows(numbers, -least, 0),),
        labels=lambda numbers: windows(numbers, 0, HORIZON),
    )


def fitted(name: str, train: Histories, **args: object):
    forecast = ForecastSpec(HORIZON, tuple(range(len(train.values))))
    sizes = {"channels": len(train.values), "length": 8, "outputs": forecast.outputs, "horizon": HORIZON}
    spec = ModelSpec(backbone=name, head="forecast", forecast=forecast, args=args, **sizes)
    backbone = build_model(spec).eval().backbone
    stretches = [torch.from_numpy(piece) for piece in train.pieces(HORIZON)]
    backbone.fit_histories(HistoryFitting(train, train, lambda: (stretches, stretches, stretches, None), 0))
    return backbone


# What comes before an origin


def test_gaps_are_closed_by_lines_and_leading_ones_left_out():
    nan = np.nan
    values = np.array([[nan, 1.0, nan, nan, 4.0, 7.0, nan, 2.0, nan, 6.0]])
    filled, (gaps,), first = closed(values, np.array([0, 6, 10]))
    assert filled[0, 1:6].tolist() == [1, 2, 3, 4, 7] and filled[0, 7:].tolist() == [2, 4, 6]
    assert gaps.after.tolist() == [4, 7, 9] and gaps.width.tolist() == [3, 2, 2] and first.tolist() == [[1, 7]]


def test_a_row_without_a_value_has_no_first_step():
    filled, (gaps,), first = closed(np.array([[np.nan, np.nan, 3.0]]), np.array([0, 2, 3]))
    assert np.isfinite(filled).all() and not len(gaps.after) and first.tolist() == [[2, 2]]


def test_a_history_begins_after_a_gap_that_is_longer_than_the_look_back():
    values = np.arange(30.0)[None]
    values[0, [0, 5, 6, 14, 15, 16, 17]] = np.nan
    _, gaps, first = closed(values, np.array([0, 30]))
    origin = np.array([4, 12, 14, 19, 30])
    row = np.zeros(5, np.int64)
    assert begins(gaps, first, row, origin, 3).tolist() == [[1, 1, 1, 18, 18]]
    assert begins(gaps, first, row, origin, 1).tolist() == [[1, 7, 7, 18, 18]]
    assert begins(gaps, first, row, origin, 4).tolist() == [[1, 1, 1, 1, 1]]


@pytest.mark.parametrize("most", [1, 300, 1 << 20])
def test_stacks_hold_every_history_once(most):
    past = histories(series(), step=3)
    seen = np.zeros((2, len(past)), int)
    for which, stack in past.stacks(most):
        for at, s, end in zip(which, stack.series, stack.end, strict=True):
            k, i = divmod(int(at), len(past))
            seen[k, i] += 1
            np.testing.assert_array_equal(stack.y[s, :end], past.values[k, past.begin[k, i] : past.origin[i]])
    assert (seen == 1).all()


def test_the_last_steps_of_a_history():
    past = histories(series(), step=5)
    _, stack = next(past.stacks())
    found = stack.last(30)
    for row, s, end in zip(found, stack.series, stack.end, strict=True):
        kept = min(int(end), 30)
        np.testing.assert_array_equal(row[30 - kept :], stack.y[s, end - kept : end])
        assert np.isnan(row[: 30 - kept]).all()


def test_the_deviation_of_a_history_is_that_of_its_steps():
    rows = [*series(), np.full((2, 30), 4.0)]
    told = histories(rows)
    found = told.deviation()
    spans = [zip(begin, told.origin, strict=True) for begin in told.begin]
    expected = np.array([[told.values[k, begin:origin].std() for begin, origin in spans[k]] for k in range(2)])
    np.testing.assert_allclose(found, np.where(expected > 1e-6, expected, 1), rtol=1e-6)
    assert (found == 1).any()  # of what stands still


def test_a_part_is_of_the_same_origins():
    past, chosen = histories(series()), np.array([9, 2, 30])
    part = past.part(chosen)
    assert torch.equal(part.labels(torch.arange(3)), past.labels(torch.from_numpy(chosen)))
    assert torch.equal(part.seen(torch.arange(3))[0], past.seen(torch.from_numpy(chosen))[0])
    assert part.origin.tolist() == past.origin[chosen].tolist()


@pytest.mark.parametrize(
    "freq, periods",
    [
        ("h", (24, 168)), ("15min", (96, 672)), ("s", (60, 3600)), ("D", (7, 365)), ("B", (5, 261)), ("W-SUN", (52,)),
        ("MS", (12,)), ("ME", (12,)), ("3MS", (4,)), ("QS", (4,)), ("YS", ()), ("12h", (2, 14)), ("7D", (52,)),
        ("5MS", ()), ("36h", ()), ("MS-15", (12,)),
    ],
)  # fmt: skip
def test_the_calendar_has_periods(freq, periods):
    assert Clock(freq).periods == periods


# What all backbones keep that read histories


@pytest.mark.parametrize("name", NAMES)
def test_nothing_at_or_after_an_origin_is_read(name):
    rows = series()
    past = histories(rows, step=7)
    model = fitted(name, past)
    expected = model.from_histories(past)
    assert expected.shape == (len(past), 2, HORIZON) and expected.isfinite().all()
    for i in (0, 3, len(past) - 1):
        values = past.values.copy()
        values[:, past.origin[i] :] = 1e6
        other = past.part(np.array([i]))
        altered = replace(other, values=values)
        torch.testing.assert_close(model.from_histories(altered)[0], expected[i], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("periods", [(4, 12), (26,)])
@pytest.mark.parametrize(
    "name, args",
    [
        ("ets", {"second": True}),
        ("theta", {}),
        ("local", {}),
        ("global_ridge", {"adjusted": True}),
        ("boosted_lags", {}),
    ],
)
def test_nothing_beyond_is_read_with_long_and_with_two_seasons(name, args, periods):
    rng, t = np.random.default_rng(1), np.arange(110)
    y = 50 + 5 * np.sin(2 * np.pi * t / periods[-1]) + 2 * np.sin(2 * np.pi * t / periods[0])
    past = histories(list(y + 0.5 * rng.normal(size=(2, 1, 110))), least=60, step=13, periods=periods)
    model = fitted(name, past, **args)
    assert model.period.tolist() == [periods[0], periods[1] if len(periods) > 1 else 1]
    expected = model.from_histories(past)
    for i in (0, 4):
        values = past.values.copy()
        values[:, past.origin[i] :] = -1e5
        altered = replace(past.part(np.array([i])), values=values)
        torch.testing.assert_close(model.from_histories(altered)[0], expected[i], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_series_does_not_matter(name):
    rows, order = series(), [2, 0, 3, 1]
    mixed = [rows[i] for i in order]
    counts = [len(range(8, r.shape[1] - HORIZON + 1, 7)) for r in rows]
    starts = np.concatenate([[0], np.cumsum(counts)])
    same = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in order])
    one, two = histories(rows, step=7), histories(mixed, step=7)
    first, second = (fitted(name, past).from_histories(past) for past in (one, two))
    torch.testing.assert_close(second, first[same], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_scale_of_series_is_that_of_their_forecasts(name):
    rows = series()
    one, ten = histories(rows, step=7), histories([10 * row for row in rows], step=7)
    first, second = (fitted(name, past).from_histories(past) for past in (one, ten))
    torch.testing.assert_close(second + 20, 10 * (first + 20), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_odd_series_have_finite_forecasts(name):
    """Constant, zero, short, negative, one spike: no NaN, no overflow, and constants go on."""
    t = np.arange(40.0)
    odd = [0 * t, 0 * t + 5, -3 - t, np.where(t == 20, 1e6, 0.0), 1e-9 * np.sin(t), np.exp(0.2 * t), t[:10], (-1) ** t]
    past = histories([np.stack([row, row[::-1]]) for row in odd], least=4, step=2)
    found = fitted(name, past).from_histories(past)
    assert found.isfinite().all()
    row = torch.from_numpy(np.repeat(np.arange(len(odd)), [len(range(4, len(r) - HORIZON + 1, 2)) for r in odd]))
    assert (found[row == 0] + 20).abs().max() < 1e-3 and (found[row == 1] + 15).abs().max() < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_one_step_and_four_are_history_enough(name):
    past = histories([np.array([[3.0, 4.0, 3.5, 5.0] + [0.0] * HORIZON])], least=1)
    found = fitted(name, past).from_histories(past)
    assert found.isfinite().all() and (found + 20).abs().max() < 50


@pytest.mark.parametrize("name", NAMES)
def test_windows_alone_are_short_histories(name):
    rows = series()
    model = fitted(name, histories(rows))
    x = torch.from_numpy(np.stack([row[:, :25] for row in rows]) - 20).float()
    assert model(x).shape == (4, 2, HORIZON)
    ends = histories([row[:, : 25 + HORIZON] for row in rows], least=25)
    torch.testing.assert_close(model(x), model.from_histories(ends), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_what_histories_cannot_give_is_refused(name):
    inputs = {"channels": 1, "length": 8}
    for spec, message in (
        (ForecastSpec(6, (0,), levels=3), "has no quantiles"),
        (ForecastSpec(6, (0,), covariates=1), f"{name} sees the past of the targets alone"),
    ):
        if name == "local" and spec.levels > 1:  # see test_local.py
            continue
        with pytest.raises(UsageError, match=message):
            backbone_class(name).build(InputSpec(**inputs, forecast=spec), Hyper(name))


# Against plain loops


def test_seasonal_naive_equals_a_plain_loop():
    past = histories(series(), least=2, periods=(4, 9))
    for args, period in (({}, 4), ({"period": 7}, 7), ({"second": True}, 9)):
        found = fitted("seasonal_naive", past, **args).from_histories(past) + 20
        for i, origin in enumerate(past.origin):
            y = past.values[1, past.begin[1, i] : origin]
            m = period if len(y) >= period else 1
            expected = [y[len(y) - m + h % m] for h in range(HORIZON)]
            np.testing.assert_allclose(found[i, 1], expected, rtol=1e-5)


def test_drift_equals_a_plain_loop():
    past = histories(series(), least=2)
    found = fitted("drift", past).from_histories(past) + 20
    for i, origin in enumerate(past.origin):
        y = past.values[0, past.begin[0, i] : origin]
        expected = [y[-1] + (h + 1) * (y[-1] - y[0]) / (len(y) - 1) for h in range(HORIZON)]
        np.testing.assert_allclose(found[i, 0], expected, rtol=1e-5)


# Through the command line


def monthly(path, *, altered: bool = False, rows: int = 3, steps: int = 96) -> None:
    rng = np.random.default_rng(0)
    months = np.datetime64("2010-01") + np.arange(steps)
    lines = ["date,name,sales"]
    for r in range(rows):
        y = 50 + 10 * r + 0.3 * np.arange(steps) + 8 * np.sin(np.arange(steps) * np.pi / 6) + rng.normal(size=steps)
        if altered:
            y[-12:] += 100
        lines += [f"{month}-01,{'abc'[r]},{value:.4f}" for month, value in zip(months, y, strict=True)]
    path.write_text("\n".join(lines) + "\n")


DATA = "--task forecast --csv a.csv --time-col date --id-col name --no-plots"
WORDS = f"--mode train {DATA} --context-len 12 --horizon 6 --split-sizes 60,12,24 --save-preds"


@pytest.fixture(scope="module")
def monthly_runs(tmp_path_factory):
    """{name: its run} on three monthly series, and the same with the last year altered."""
    found = {}
    for altered in (False, True):
        folder = tmp_path_factory.mktemp("altered" if altered else "plain")
        monthly(folder / "a.csv", altered=altered)
        for name in NAMES:
            found[name, altered] = good(folder, WORDS, "--backbone", name)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_no_forecast_changes_where_what_follows_is_altered(name, monthly_runs):
    one, two = (np.load(monthly_runs[name, altered] / "preds.npz") for altered in (False, True))
    told = strict(monthly_runs[name, False] / "summary.json")
    assert told["fit"].get("period", 12) == 12
    pred = [part["pred"] for part in (one, two)]
    before = 24 - 12 - HORIZON + 1 + HORIZON  # windows of a row whose origin is before what was altered
    rows = len(pred[0]) // 3
    same = np.arange(len(pred[0])) % rows < before
    np.testing.assert_allclose(pred[0][same], pred[1][same], rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_new_series_are_forecast_from_their_own_history(name, monthly_runs, tmp_path):
    """Inference past the end, of the series of training and of one that training never saw."""
    monthly(tmp_path / "a.csv", rows=1, steps=40)
    again = good(tmp_path, "--mode infer", DATA, "--ckpt", monthly_runs[name, False])
    lines = (again / "forecast.csv").read_text().splitlines()[1:]
    assert len(lines) == HORIZON and lines[0].startswith("2013-05-01,")
    assert all(20 < float(line.split(",")[2]) < 120 for line in lines)


@pytest.mark.parametrize("name", ["seasonal_naive", "theta", "ets"])
def test_a_reference_is_the_backbone_of_its_name(name, monthly_runs):
    """Even where the look-back is too short for the season to be found in it."""
    own, other = (strict(monthly_runs[one, False] / "summary.json") for one in (name, "drift"))
    assert other["references"][name]["mse"] == pytest.approx(own["mse"], rel=1e-5)


def test_the_season_of_references_is_the_calendars_where_the_look_back_hides_it(tmp_path):
    monthly(tmp_path / "a.csv")
    words = WORDS.replace("--context-len 12", "--context-len 5")
    found = strict(good(tmp_path, words, "--backbone", "theta") / "summary.json")["references"]
    assert found["seasonal_naive"]["mse"] < 0.3 * found["repeat_last"]["mse"]


def test_large_tables_have_no_slow_references_and_that_is_told(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(references, "CLASSICAL", {"theta": 10**6, "ets": 100})
    monthly(tmp_path / "a.csv")
    told = go(tmp_path, WORDS, "--backbone", "drift")
    content = strict(told.directory / "summary.json")
    assert set(content["references"]) == {"repeat_last", "seasonal_naive", "theta", "ridge"}
    assert (told.err + told.out).count("references: without ets, too slow for 288 steps") == 1


def test_an_ensemble_refuses_a_run_that_sees_more_than_the_look_back(monthly_runs):
    run = monthly_runs["drift", False]
    told = go(run.parent.parent, WORDS, "--backbone", "ensemble", "--model-args", f"members={run}")
    assert told.code == 4 and "drift forecasts from whole series" in told.err
