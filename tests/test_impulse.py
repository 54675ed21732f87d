"""backbones/impulse.py: the effect of what is known ahead."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbones import calendar_inputs, impulse

LENGTH, HORIZON = 48, 12


def drawn(kind: str, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(what goes on by itself [n], what is known ahead [2, n])."""
    draw = np.random.default_rng(seed)
    noise = 0.3 * draw.normal(size=n)
    rest = {"white": noise, "walk": noise.cumsum(), "cycle": noise + 2 * np.sin(2 * np.pi * np.arange(n) / 12)}[kind]
    return rest, np.stack([draw.random(n) < 0.15, draw.normal(size=n)]).astype(float)


def chosen(y: np.ndarray, known: np.ndarray, lags: int = 4) -> np.ndarray:
    n = y.shape[1]
    cut, start = int(0.75 * n), int(0.75 * n) - LENGTH
    train, val = ([part[:, :cut]] for part in (y, known)), ([part[:, start:]] for part in (y, known))
    return impulse.chosen_impulse(tuple(train), tuple(val), lags, LENGTH, HORIZON, 12)


def test_effects_are_a_plain_loop():
    draw = np.random.default_rng(0)
    known, responses = draw.normal(size=(2, 9)), draw.normal(size=(3, 2, 4))
    expected = np.zeros((3, 9))
    for k in range(3):
        for t in range(9):
            for f in range(2):
                for j in range(4):
                    expected[k, t] += responses[k, f, j] * known[f, max(t - j, 0)]
    np.testing.assert_allclose(impulse.effects(known, responses), expected, atol=1e-12)
    y = draw.normal(size=(3, 9))
    np.testing.assert_allclose(impulse.without([y], [known], responses)[0], y - expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["white", "walk", "cycle"])
def test_responses_are_found_whatever_goes_on_beside_them(kind):
    rest, known = drawn(kind, 800)
    true = np.array([[1.5, 0.7, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    y = rest + impulse.effects(known, true[None])[0]
    quiet = drawn(kind, 800, seed=5)[0]
    found = chosen(np.stack([y, quiet]), known)
    np.testing.assert_allclose(found[0], true, atol=0.2)
    assert not found[1].any()  # a target on which nothing acts


@pytest.mark.parametrize("kind", ["white", "walk", "cycle"])
def test_what_has_no_effect_gets_none(kind):
    for seed in range(3):
        rest, known = drawn(kind, 150, seed)
        assert not chosen(rest[None], known).any()


def test_a_constant_has_no_effect():
    rest, known = drawn("walk", 300)
    assert not chosen(rest[None], np.ones_like(known)).any()


def test_in_the_end_responses_are_found_from_all_that_is_given():
    """Of two targets one responds, 1.5 where it is chosen and 2.5 in what is fitted at last: there it has 2.5."""
    parts = {}
    for name, effect, seed in (("train", 1.5, 1), ("val", 1.5, 2), ("both", 2.5, 3)):
        rest, known = drawn("white", 600, seed)
        quiet = drawn("white", 600, seed + 10)[0]
        parts[name] = [np.stack([rest + effect * known[0], quiet])], [known]
    found = impulse.chosen_impulse(parts["train"], parts["val"], 4, LENGTH, HORIZON, 12, parts["both"])
    np.testing.assert_allclose(found[0, :, 0], [2.5, 0], atol=0.2)
    assert not found[1].any()


def test_room_for_lags():
    assert impulse.lags_of(1, 500) == impulse.LAGS + 1 and impulse.lags_of(1, 6) == 6
    assert impulse.lags_of(64, 500) == 4 and impulse.lags_of(5000, 500) == 1


def test_many_steps_are_seen_in_parts_of_every_time(monkeypatch, caplog):
    """A tenth of 20,000 steps, from everywhere; the responses found from them are those of the whole, nearly."""
    draw = np.random.default_rng(2)
    known = draw.normal(size=(1, 20_000))
    y = 1.5 * known + 0.1 * draw.normal(size=known.shape)
    whole = chosen(y, known, lags=1)
    monkeypatch.setattr(impulse, "MOST_SEEN", 2000)
    monkeypatch.setattr(impulse, "PART", 1)
    (pieces, seen), size = impulse._some(([y], [known]), least=100), 100
    starts = [int(np.flatnonzero(y[0] == piece[0, 0])[0]) for piece in pieces]
    assert starts[0] == 0 and starts[-1] == 20_000 - size and np.ptp(np.diff(starts)) <= 1 and len(starts) == 20
    assert all((one == known[:, at : at + size]).all() for one, at in zip(seen, starts, strict=True))
    with caplog.at_level("INFO", logger="tsrun"):
        found = chosen(y, known, lags=1)
    np.testing.assert_allclose(found, whole, atol=0.01)
    assert abs(whole[0, 0, 0] - 1.5) < 0.01 and "of 15,000 steps" in caplog.text


def test_effects_of_the_calendar_are_made_in_blocks(monkeypatch):
    draw = np.random.default_rng(1)
    marks = torch.from_numpy(draw.uniform(-0.5, 0.5, (4, 50)))
    days, responses = calendar_inputs.Days(marks), draw.normal(size=(2, calendar_inputs.width(4), 3))
    whole = impulse.effects(days[:, 0:50], responses)
    monkeypatch.setattr(impulse, "BLOCK", 7)
    np.testing.assert_allclose(impulse.effects(days, responses), whole, atol=1e-12)
    assert days.shape == (55, 50) and len(days) == 55
