"""tasks/nilm/taus.py and rules.py: where a device's threshold comes from, and by which rules it counts as on."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as skm

from errors import UsageError
from tasks.nilm.decisions import decisions, told
from tasks.nilm.rules import Rules
from tasks.nilm.taus import Taus, sources_of
from tasks.nilm.timeline import Timeline

NAMES = ("fridge", "kettle", "oven")


def timeline(runs=(14, 4, 0), steps=400, seed=0) -> Timeline:
    """Three devices with so many runs of five steps, and probabilities that tell them apart at about 0.3."""
    random = np.random.default_rng(seed)
    on = np.zeros((3, steps))
    for k, count in enumerate(runs):
        for begin in np.linspace(10, steps - 20, count).astype(int):
            on[k, begin : begin + 5] = 1
    score = np.clip(0.1 + 0.35 * on + random.normal(0, 0.1, on.shape), 0.01, 0.99).astype(np.float32)
    at = np.arange(steps)
    return Timeline(at, np.zeros(steps, np.int64), score, score * 100, on, on * 100)


def optimum(line: Timeline, k: int) -> float:
    """The highest F1 that any threshold reaches, by trying all."""
    return max(skm.f1_score(line.on[k], line.score[k] >= cut) for cut in np.unique(line.score[k]))


def f1_at(line: Timeline, k: int, tau: float) -> float:
    return skm.f1_score(line.on[k], line.score[k] >= tau)


def test_without_the_flag_tau_is_chosen_where_validation_has_twelve_runs():
    line = timeline()
    found = Taus({}).choose(line, NAMES)
    assert f1_at(line, 0, found["tau"][0]) == pytest.approx(optimum(line, 0)) and found["tau"][1:] == [0.5, 0.5]
    assert found["tau_from"][0] == "best F1 on validation"
    assert found["tau_from"][1] == "default: validation holds 4 activations, fewer than 12"
    assert set(found["not_chosen"]) == {"kettle", "oven"} and found["best"][2] is None


def test_best_is_the_optimum_whenever_it_is_asked_for():
    line = timeline()
    for given in ({"": "best"}, {"kettle": "best"}):
        found = Taus(given).choose(line, NAMES)
        assert f1_at(line, 1, found["tau"][1]) == pytest.approx(optimum(line, 1))
        assert optimum(line, 1) > f1_at(line, 1, 0.5)
        assert found["tau_from"][1] == "best F1 on validation"
    assert found["tau_from"][2] == "default: validation holds 0 activations, fewer than 12"


def test_a_number_is_taken_as_it_is_for_all_or_one():
    found = Taus({"": ".5", "fridge": "0.25"}).choose(timeline(), NAMES)
    assert found["tau"] == [0.25, 0.5, 0.5] and found["tau_from"] == ["given"] * 3 and found["not_chosen"] == {}
    assert Taus({"": 0.3}).choose(None, NAMES)["tau"] == [0.3] * 3
    assert Taus({}).choose(None, NAMES)["tau_from"][0] == "default: there is no validation part to choose it on"


def test_watts_alone_have_half_unless_best_is_asked_for():
    found = Taus({"fridge": "best"}).choose(timeline(), NAMES, "half of the way to --on-w")
    assert found["tau_from"] == ["best F1 on validation", *["half of the way to --on-w"] * 2]
    assert found["not_chosen"] == {}


@pytest.mark.parametrize("given", [{"": "bst"}, {"fridge": "1.5"}, {"fridge": "-0.1"}, {"fridge": "nan"}])
def test_other_words_are_refused(given):
    with pytest.raises(UsageError, match="takes best or a number from 0 to 1"):
        Taus(given)


def test_a_device_that_is_not_there():
    with pytest.raises(UsageError, match="there is no device 'frdge'") as caught:
        Taus({"frdge": "0.4"}).choose(None, NAMES)
    assert "did you mean fridge?" in caught.value.hint


def test_a_checkpoint_is_taken_with_what_the_flag_now_says():
    kept = Taus({}).choose(timeline(), NAMES)
    assert Taus({}).again(kept, NAMES) == kept
    best = Taus({"": "best"}).again(kept, NAMES)
    assert best["tau"][:2] == kept["best"][:2] and best["tau"][2] == 0.5
    assert best["tau_from"][2] == "default: the checkpoint has none that was chosen on validation"
    assert Taus({"kettle": "0.2"}).again(kept, NAMES)["tau"] == [kept["tau"][0], 0.2, 0.5]
    old = {"tau": [0.31, 0.5, 0.5], "chosen_on": "val", "not_chosen": {"kettle": "few", "oven": "few"}}
    assert sources_of(old, NAMES) == ["best F1 on validation", "default: few", "default: few"]
    assert Taus({"": "best"}).again(old, NAMES)["tau"] == [0.31, 0.5, 0.5]


def applied(names, given=None, runs=(14, 4, 0)):
    """What applies to three devices, and the thresholds it comes from."""
    chosen = Taus({}).choose(timeline(runs), names)
    return decisions(Rules(given or {}), chosen, names, {}), chosen


def test_what_applies_is_one_line_with_why_no_tau_was_chosen():
    found, chosen = applied(("fridge", "coffee machine", "oven"))
    line = told(found, chosen)
    assert line.count("\n") == 0
    assert "coffee machine on from 10 W, runs of 60 s, breaks of 600 s (usual for a coffee maker), tau 0.5 (" in line
    assert "validation holds 4 activations" in line and "oven on from 10 W (no rule for this name), tau 0.5" in line
    assert line.endswith("; --tau 'coffee machine=best' takes the tau of the best F1")


def test_kpis_and_table_have_what_applies_under_the_same_names():
    plain = applied(NAMES, {"on_w": {"": "50"}})[0]["fridge"].plain()
    assert plain["on_w"] == 50 and plain["rule_from"] == "usual for a fridge, --on-w"
    assert plain.keys() >= {"tau", "tau_from", "on_w", "min_on", "min_off", "rule_from"}


def test_rules_are_the_usual_ones_unless_they_are_given():
    usual = Rules({"on_w": {}, "min_on": {}, "min_off": {}})
    given = Rules({"on_w": {"": "25", "fridge": "40"}, "min_on": {"": 60}, "min_off": {}})
    assert given.of("fridge", NAMES).values == (40, 60, usual.of("fridge", NAMES).min_off)
    assert given.of("oven", NAMES).on_w == 25
    with pytest.raises(UsageError, match="takes a number of 0 or more"):
        Rules({"on_w": {"": "much"}})


def test_a_device_without_a_name_of_the_table_has_no_rule_of_duration():
    found = Rules({}).of("heat pump", ("heat pump",))
    assert found.values == (10, 0, 0) and found.rule_from == "no rule for this name"


def test_names_are_taken_as_files_and_people_write_them():
    rules = Rules({"on_w": {"Heat-Pump": "200", "Kühlschrank": "30", "K1": "900"}}, {"kettle": "K1"})
    names = ("heat pump", "Kühlschrank", "kettle")
    assert [rules.of(name, names).on_w for name in names] == [200, 30, 900]
    with pytest.raises(UsageError, match="there is no device 'pump'"):
        Rules({"on_w": {"pump": "1"}}).of("heat pump", names)
    with pytest.raises(UsageError, match="kettle is given twice"):
        Rules({"on_w": {"K1": "1", "kettle": "2"}}, {"kettle": "K1"}).of("kettle", names)


class Kept:
    """A checkpoint's rules."""

    outputs = ("fridge", "Wasserkocher")

    def __init__(self):
        self.fitted = {"on_w": [50.0, 10.0]}

    def setting(self, name, default):
        return {"min_on": {"fridge": "90"}}.get(name, default)


def test_a_checkpoint_keeps_its_rules_until_a_flag_says_another():
    rules = Rules({"on_w": {"fridge": 80}})
    rules.begin(8, Kept())
    fridge, kettle = (rules.of(name, Kept.outputs) for name in Kept.outputs)
    assert kettle.on_w == 10 and kettle.rule_from == "the checkpoint" and kettle.least_w == 0
    assert fridge.min_on == 90 and fridge.least_w == fridge.on_w == 80  # raised: watts must reach it too


def test_a_step_longer_than_a_run_has_a_lower_threshold():
    rules = Rules({})
    rules.begin(900, None)
    assert rules.of("kettle", ("kettle",)).on_w == round(2000 * 150 / 900)
    assert rules.of("fridge", ("fridge",)).on_w == 50 and rules.of("oven", ("oven",)).on_w == 10
