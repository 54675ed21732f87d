"""tasks/nilm/habits.py and runs.py: what devices are used to, and their likeliest runs, by trying every path."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from tasks.nilm.habits import JUMPS, NAMES, Habit, habits_of, kept_or_new, learned, meter_jumps
from tasks.nilm.runs import LEAST_STEPS, MOST_STEPS, Lengths, Whole
from tasks.nilm.timeline import Timeline
from tasks.nilm.wholes import NO_WHOLE_RUNS, WholeRuns

STEP = 10.0


def fridge_days(cycles: int = 40) -> np.ndarray:
    """States of a fridge that is on for 30 to 33 steps and off for 50 to 53."""
    parts = [np.r_[np.zeros(50 + i % 4, np.int8), np.ones(30 + i % 4, np.int8)] for i in range(cycles)]
    return np.concatenate([*parts, np.zeros(20, np.int8)])


def habits(states: np.ndarray, mains: np.ndarray, steps: np.ndarray | None = None) -> Habit:
    seen = np.ones(len(mains), bool) if steps is None else steps
    found = learned(states[None], seen, mains.astype(np.float32), np.array([0, len(mains)]), [80.0], STEP)
    return habits_of({**found, "on_mean": [80.0]})[0]


def meter(states: np.ndarray, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    others = np.repeat(random.uniform(0, 500, 1 + len(states) // 60), 60)[: len(states)]
    watts: np.ndarray = 80.0 * states + others + random.normal(0, 4, len(states))
    return watts


def test_lengths_are_those_of_runs_whose_ends_were_seen_and_jumps_those_of_switches():
    states = fridge_days()
    seen = np.ones(len(states), bool)
    seen[60:70] = False  # within the first run, whose two halves do not count
    habit = habits(states, meter(states), seen)
    assert habit.runs == 39
    assert min(habit.run_seconds) >= 300 and max(habit.run_seconds) <= 330 and np.median(habit.run_seconds) < 325
    assert min(habit.break_seconds) >= 500 and max(habit.break_seconds) <= 530
    rise, fall = (np.asarray(part) for part in (habit.rises, habit.falls))
    centres = np.concatenate([[-9], (JUMPS[1:] + JUMPS[:-1]) / 2, [9]])
    assert centres[rise.argmax()] == pytest.approx(1, abs=0.26) and centres[fall.argmax()] == pytest.approx(
        -1, abs=0.26
    )
    nothing = np.abs(centres) < 0.3
    assert (rise[nothing] < -1).all() and (fall[nothing] < -1).all()


def test_a_jump_spans_the_step_and_the_one_before_it_and_ends_with_the_house():
    mains = np.array([1, 2, 4, 8, 16, 100, 300, 500], np.float32)
    found = meter_jumps(mains, np.arange(8), np.array([0] * 5 + [1] * 3), np.array([0, 5, 8]))
    assert found.tolist() == [2 - 1, 4 - 1, 8 - 1, 16 - 2, 16 - 4, 300 - 100, 500 - 100, 500 - 100]
    habit = Habit(1, [1.0], [1.0], np.arange(26.0), -np.arange(26.0), 80.0)
    rise, fall = habit.evidence(np.array([np.nan, 1000, -1000, 81], np.float32))
    assert rise.tolist() == [0, 25, 0, 17] and fall.tolist() == [0, -25, 0, -17]


def test_nothing_is_known_of_runs_that_rows_or_gaps_cut():
    states = fridge_days()
    cut = np.ones(len(states), bool)
    cut[np.flatnonzero(np.diff(states) == 1)[5:] + 5] = False
    assert habits(states, meter(states), cut).runs == 0
    assert habits(np.zeros(300, np.int8), np.ones(300)).runs == 0
    assert habits_of({"on_mean": [1.0]}) == [] and Whole.of(habits(states, meter(states), cut), STEP, 600) is None


def test_finetuning_keeps_what_its_days_do_not_show():
    new = dict(zip(NAMES, ([0.0, 5.0], [[0.0], [9.0]], [[0.0], [8.0]], [[0.0], [7.0]], [[0.0], [6.0]]), strict=True))
    old = {name: [[1.0], [2.0]] if name != "runs" else [3.0, 4.0] for name in NAMES}
    found = kept_or_new(old, new)
    assert found["runs"] == [3, 5] and found["run_seconds"] == [[1.0], [9.0]] and found["falls"] == [[1.0], [6.0]]
    assert kept_or_new({"on_mean": [1.0]}, new) == new


def test_runs_are_decided_whole_where_they_are_long():
    habit = habits(fridge_days(), meter(fridge_days()))
    whole = Whole.of(habit, STEP, 600)
    assert whole is not None and "39" not in whole.told() and "usually of 5.2" in whole.told()
    assert Whole.of(habit, STEP * 30 / (LEAST_STEPS - 3), 600) is None and Whole.of(habit, 0.0, 600) is None
    run = whole.run
    assert run.log[29:33].min() > run.log[:20].max() + 1 and run.log[29:33].min() > run.log[45:].max() + 1
    never = Lengths.of([0.0] * 24, 1.0, STEP)
    assert np.ptp(never.log) < 1e-9 and never.decay == 0
    hours = Lengths.of([36_000.0] * 24, 50.0, 1.0)  # beyond the table: any length in it is as likely
    assert len(hours.log) == MOST_STEPS and np.ptp(hours.log) < 1e-9 and hours.decay == 0
    assert Whole.of(habit, STEP, 30) is None  # a net that never sees a whole run
    assert Whole.of(habit._replace(run_seconds=np.geomspace(100, 3000, 24)), STEP, 600) is None  # runs of any length


def small(seed: int) -> tuple[Whole, np.ndarray, np.ndarray]:
    """A device with lengths of up to 3 and 4 steps in the table, ten probabilities, and jumps."""
    random = np.random.default_rng(seed)
    tables = [Lengths(random.normal(0, 1, n), random.normal(0, 1, n), 0.3) for n in (4, 3)]
    habit = Habit(5, [30.0], [40.0], random.normal(0, 2, 26), random.normal(0, 2, 26), 1.0)
    return Whole(habit, STEP, 3.0, *tables), random.random(10), random.normal(0, 2, 10)


def score_of(path: tuple[int, ...], whole: Whole, chance: np.ndarray, jumps: np.ndarray, tau: float) -> float:
    """The log-likelihood of a path of states, segment by segment."""
    rise, fall = whole.habit.evidence(jumps)
    total, cuts = 0.0, [0, *(i for i in range(1, len(path)) if path[i] != path[i - 1]), len(path)]
    for begin, end in pairwise(cuts):
        on = path[begin]
        table, length = (whole.run if on else whole.rest), end - begin
        ends = begin == 0 or end == len(path)
        size = len(table.log)
        if length <= size:
            total += (table.cut if ends else table.log)[length - 1]
        else:
            total += table.log[-1] - table.decay * (length - size)
        if on:
            odds = np.log(chance[begin:end] / (1 - chance[begin:end])) - np.log(tau / (1 - tau))
            total += min(1, 2 / whole.steps) * odds.sum()
        if begin:
            total += (rise if on else fall)[begin]
    return total


@pytest.mark.parametrize("seed", range(4))
def test_the_states_are_the_likeliest_of_all_paths(seed, monkeypatch):
    monkeypatch.setattr("tasks.nilm.runs.CROSSED", tuple(np.linspace(0, 1, 9999)))  # a switch anywhere
    whole, chance, jumps = small(seed)
    found = whole.states(chance, [0.3, 0.5], jumps)
    for tau, states in zip((0.3, 0.5), found, strict=True):
        best = max(product((0, 1), repeat=10), key=lambda path: score_of(path, whole, chance, jumps, tau))
        assert states.astype(int).tolist() == list(best)


def test_a_score_that_flickers_becomes_runs_as_long_as_in_training():
    states = fridge_days()
    random = np.random.default_rng(3)
    mains, flicker = meter(states, 5), np.repeat(random.normal(0, 1, 1 + len(states) // 8), 8)[: len(states)]
    score = 1 / (1 + np.exp(-(1.2 * (2.0 * states - 1) + 1.5 * flicker)))
    whole = Whole.of(habits(states, meter(states)), STEP, 600)
    assert whole is not None
    at = np.arange(len(states))
    rows, nobody = np.zeros(len(at), np.int64), np.zeros((1, len(at)), np.float32)
    line = Timeline(at, rows, score[None].astype(np.float32), nobody, None, None)
    jumps = meter_jumps(mains, at, rows, np.array([0, len(at)]))
    known = WholeRuns.everywhere({0: whole}, {}, mains, jumps, rows)
    by_step, by_run = (line.states([[0.5]], [(1, 1)], 0.0, how)[0, 0] for how in (NO_WHOLE_RUNS, known))
    f1 = [2 * (said & (states == 1)).sum() / (said.sum() + states.sum()) for said in (by_step, by_run)]
    switches = [int((np.diff(said.astype(int)) == 1).sum()) for said in (by_step, by_run)]
    assert f1[0] < 0.85 and f1[1] > 0.93 and switches[0] > 80 and 36 <= switches[1] <= 44
    assert not known.mask(0, often=True).any() and known.mask(0).all()  # forty runs are not many


def test_whole_runs_that_are_others_than_the_steps_say_are_not_of_this_house():
    states = fridge_days()
    whole = Whole.of(habits(states, meter(states)), STEP, 600)
    assert whole is not None
    rows = np.repeat([0, 2], 48)  # the second house is as the steps say in every way
    known = WholeRuns.everywhere(dict.fromkeys(range(3), whole), {}, np.zeros(96), np.zeros(96), rows)
    by_step = np.repeat([[True, False] * 8] * 4, 6, axis=1)
    on = by_step.copy()
    on[1, :48] = np.roll(by_step[1, :48], 2)  # 4 of 6 steps in both: F1 .667
    on[2], by_step[2] = False, False  # none at all
    found = known.agreeing(by_step, on)
    assert {k: list(houses) for k, houses in found.devices.items()} == {0: [0, 2], 1: [2], 2: [0, 2]}
    text = whole.told()
    assert found.told() == {0: text, 1: f"{text} in 1 of 2 houses", 2: text}
    assert found.mask(1).tolist() == [False] * 48 + [True] * 48
    on[1, :48] = np.roll(by_step[1, :48], 1)
    assert list(known.agreeing(by_step, on).devices[1]) == [0, 2]


def test_what_speaks_for_a_path_is_what_it_scores_between_its_first_and_last_switch():
    whole, chance, jumps = small(1)
    path = (0, 0, 1, 1, 1, 0, 0, 1, 1, 0)
    meter, net = whole.support(np.array(path, bool), chance, 0.4, jumps)
    rise, fall = whole.habit.evidence(jumps)
    lengths = whole.run.log[3 - 1] + whole.rest.log[2 - 1] + whole.run.log[2 - 1]
    assert meter == pytest.approx(rise[2] + fall[5] + rise[7] + fall[9] + lengths)
    odds = sum(np.log(chance[i] / (1 - chance[i])) - np.log(0.4 / 0.6) for i in range(10) if path[i])
    assert net == pytest.approx(min(1, 2 / whole.steps) * odds)
    assert whole.rest.chance(np.array([1, 6])).tolist() == pytest.approx(
        [whole.rest.log[0], whole.rest.log[-1] - (6 - len(whole.rest.log)) * whole.rest.decay]
    )
