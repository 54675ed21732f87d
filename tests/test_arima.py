"""ARIMA in closed form and smoothing at several steps: against plain loops, known statistics and known processes."""

from __future__ import annotations

import numpy as np
import pytest

from backbones.arima import AR, INSIDE, LONG, MA, ORDERS, RIDGE, Lines, _differences, _inside, _kpss, arima, arma
from backbones.histories import Stack
from backbones.mapa import aggregated, blocks
from backbones.smoothing import smoothed

from .test_histories import fitted, histories


def alone(z: np.ndarray, more: int = 0) -> Lines:
    """Series [n, T], NaN before the first step of each; from the last `more` steps nothing is estimated."""
    return Lines(z, z.shape[1] - more, np.arange(len(z)), np.full(len(z), more))


def plain_arma(x: np.ndarray, horizon: int, more: tuple[float, ...] = ()) -> np.ndarray:
    """Order by order and step by step, with roots from their polynomial; `more` steps are seen after the estimate."""
    n, mean = len(x), x.mean()
    w = (np.array([*x, *more]) - mean) / x.std()
    seen = len(w)
    order = min(max(int(np.log(n) ** 1.5), 4), n // 3, LONG)
    lags = np.array([[w[t - k] for k in range(1, order + 1)] for t in range(order, n)])
    long = np.linalg.solve(lags.T @ lags + RIDGE * np.eye(order), lags.T @ w[order:n])
    e = np.concatenate([np.zeros(order), w[order:n] - lags @ long])
    begin = order + (MA if n - order - MA > 8 else 0)
    criteria, forecasts = [], []
    for p, q in ORDERS:
        columns = [[w[t - k] for k in range(1, p + 1)] + [e[t - k] for k in range(1, q + 1)] for t in range(begin, n)]
        a = np.array(columns).reshape(n - begin, p + q)
        found = np.linalg.solve(a.T @ a + RIDGE * np.eye(p + q), a.T @ w[begin:n])
        ar, ma = found[:p], found[p:]
        if any(np.abs(np.roots([1, *part])).max(initial=0) >= INSIDE for part in (-ar, ma)):
            continue
        r, y = [0.0] * seen, list(w)
        for t in range(seen):
            known = sum(ar[k] * w[t - 1 - k] for k in range(p) if t > k) + sum(
                ma[k] * r[t - 1 - k] for k in range(q) if t > k
            )
            r[t] = w[t] - known
        for t in range(seen, seen + horizon):
            y.append(sum(ar[k] * y[t - 1 - k] for k in range(p)) + sum(ma[k] * r[t - 1 - k] for k in range(q)))
            r.append(0.0)
        size, numbers = n - begin, p + q + 2
        loss = np.mean(np.square(r[begin:n])) + 1e-12
        criteria.append(size * np.log(loss) + 2 * numbers + 2 * numbers * (numbers + 1) / max(size - numbers - 1, 0.5))
        forecasts.append(y[seen:])
    weight = np.exp(-0.5 * (np.array(criteria) - min(criteria)))
    return mean + x.std() * (weight / weight.sum()) @ np.array(forecasts)


def process(n: int, seed: int, ar: float = 0.8, ma: float = 0.4) -> np.ndarray:
    e = np.random.default_rng(seed).normal(size=n + 50)
    y = np.zeros(n + 50)
    for t in range(1, n + 50):
        y[t] = ar * y[t - 1] + e[t] + ma * e[t - 1]
    return 5 + y[50:]


@pytest.mark.parametrize("steps", [12, 30, 90])
def test_arma_equals_a_plain_loop_whatever_stands_beside_it(steps):
    x = process(steps, 1)
    together = np.stack([process(100, 2), np.concatenate([np.full(100 - steps, np.nan), x])])
    np.testing.assert_allclose(arma(alone(together), 7)[1], plain_arma(x, 7), rtol=1e-7)
    longer = np.concatenate([together, [[1.0, 9.0, 4.0], [7.0, 2.0, 5.0]]], axis=1)
    np.testing.assert_allclose(arma(alone(longer, 3), 7)[1], plain_arma(x, 7, (7.0, 2.0, 5.0)), rtol=1e-7)


def test_orders_that_are_not_invertible_have_no_say_however_far_their_errors_grow():
    """A few bursts at the end of hundreds of quiet steps: the errors of some orders pass the largest number."""
    x = 1e-3 * np.random.default_rng(6).standard_normal(300)
    x[[279, 282, 289, 292, 296]] += [0.1, 11.1, 6.3, 840.8, 0.2]
    with np.errstate(all="raise", under="ignore"):
        made = arma(alone(x[None]), 3)
    np.testing.assert_allclose(made[0], plain_arma(x, 3), rtol=1e-6, atol=1e-6)


def test_a_process_is_forecast_as_one_who_knows_it_does():
    ours, known, last = [], [], []
    for seed in range(40):
        y = process(206, seed, ar=0.7, ma=0.0)
        past, truth = y[:200], y[200:]
        ours.append((arma(alone(past[None]), 6)[0] - truth) ** 2)
        known.append((5 + (past[-1] - 5) * 0.7 ** np.arange(1, 7) - truth) ** 2)
        last.append((past[-1] - truth) ** 2)
    assert np.mean(ours) < 1.1 * np.mean(known) < 0.9 * np.mean(last)


def test_differences_are_those_that_the_statistic_asks_for():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(20, 120))
    assert (_differences(noise) == 0).mean() >= 0.85
    assert (_differences(noise.cumsum(1)) == 1).mean() >= 0.8
    assert (_differences(noise.cumsum(1).cumsum(1)) == 2).mean() >= 0.7
    x = noise[0]
    off, n = x - x.mean(), len(x)
    lags = int(3 * np.sqrt(n) / 13)
    by_hand = off @ off / n + sum(2 * (1 - k / (lags + 1)) * off[k:] @ off[:-k] / n for k in range(1, lags + 1))
    np.testing.assert_allclose(_kpss(x[None]), (np.cumsum(off) ** 2).sum() / n**2 / by_hand)


def test_roots_are_told_as_their_polynomial_does():
    some = np.random.default_rng(0).normal(size=(300, AR))
    roots = [np.abs(np.roots([1, *-one])).max() for one in some]
    assert (_inside(some) == (np.array(roots) < INSIDE)).all() and 0.05 < np.mean(_inside(some)) < 0.95


def test_what_is_too_short_or_does_not_change_is_repeated():
    flat, short = np.full(40, 3.0), np.concatenate([np.full(35, np.nan), np.arange(5.0)])
    np.testing.assert_array_equal(arima(alone(np.stack([flat, short])), 4), [[3.0] * 4, [4.0] * 4])
    line = arima(alone(np.arange(60.0)[None]), 5)[0]
    np.testing.assert_allclose(line, np.arange(60, 65), rtol=1e-6)


def test_blocks_are_the_parts_of_a_season_or_a_few_steps():
    assert blocks(12) == (2, 3, 4, 6, 12) and blocks(24) == (2, 3, 4, 6, 8, 12) and blocks(1) == blocks(7) == (2, 3, 4)


def test_several_steps_are_smoothed_by_themselves_and_joined():
    y, horizon = process(31, 3).cumsum(), 5
    both = Stack(np.stack([np.append(y, np.zeros(9)), process(40, 4)]), np.array([0, 1]), np.array([31, 40]))
    expected = []
    for size in (2, 3):  # of 4 steps there are not eight blocks
        count = 31 // size
        means = y[31 - count * size :].reshape(count, size).mean(1)
        ahead = smoothed(Stack(means[None], np.zeros(1, np.int64), np.array([count])), 1, 4)[0]
        middles = np.arange(4) * size + (size + 1) / 2
        line = np.interp(np.arange(1, horizon + 1), middles, ahead)
        early = np.arange(1, horizon + 1) < middles[0]
        line[early] = (ahead[0] - (middles[0] - np.arange(1, horizon + 1)) * (ahead[1] - ahead[0]) / size)[early]
        expected.append(line)
    np.testing.assert_allclose(aggregated(both, (2, 3, 4), horizon)[0], np.mean(expected, axis=0))


@pytest.mark.parametrize("name", ["arima", "mapa"])
def test_a_trend_with_a_season_goes_on(name):
    rng, t = np.random.default_rng(0), np.arange(96)
    y = 100 + t + 10 * np.sin(2 * np.pi * t / 12) + rng.normal(size=96)
    past = histories([y[None]], least=84, step=3, periods=(12,))
    made = fitted(name, past).from_histories(past).numpy()[:, 0] + 20
    assert np.abs(made - np.array([y[origin : origin + 6] for origin in past.origin])).mean() < 2.5


@pytest.mark.parametrize("name", ["arima", "mapa", "harmonic"])
def test_origins_of_one_estimate_are_forecast_alone_as_together_and_see_nothing_later(name):
    """In a history of 500 steps, of which up to 8 share an estimate."""
    t = np.arange(520)
    y = 100 + 10 * np.sin(2 * np.pi * t / 7) + process(520, 5)
    past = histories([y[None]], least=495, step=1, periods=(7,))
    model = fitted(name, past)
    together = model.from_histories(past).numpy()
    for i in range(0, len(past), 3):
        np.testing.assert_allclose(model.from_histories(past.part(np.array([i]))).numpy()[0], together[i], rtol=1e-6)
    other = y.copy()
    other[past.origin[3] :] = 7.0
    again = histories([other[None]], least=495, step=1, periods=(7,)).part(np.arange(4))
    np.testing.assert_allclose(model.from_histories(again).numpy(), together[:4], rtol=1e-6)
    came = np.array([y[origin : origin + 6] for origin in past.origin])
    assert np.abs(together[:, 0] + 20 - came).mean() < 0.9 * np.abs(y[past.origin - 1][:, None] - came).mean()
