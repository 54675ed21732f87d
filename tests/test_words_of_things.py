"""Columns of words in tables of things: readers/things.py and sources/things.py, from the file to what is predicted."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import tsrun
from backbones import ModelSpec, backbone_class, names
from backbones.model import build_model
from backbones.pools import pool_of
from backbones.specs import TargetSpec
from backbones.wide import Wide, asked_of_map
from checkpoint import Checkpoint
from errors import DataError
from readers import cache, files
from readers.wide import read_wide
from tasks.label_task import LabelTask
from tools import export

from .runs import go, good, numbers, preds, strict

DRAW = np.random.default_rng(1)
COUNT = 240
KINDS = np.array(["low", "mid", "high"])[DRAW.integers(0, 3, COUNT)]
SIDES = np.array(["left", "right"])[(DRAW.random(COUNT) < 0.3).astype(int)]
LOADS = np.round(DRAW.normal(50, 9, COUNT), 2)
SPEEDS = np.round(DRAW.normal(3e7, 1e7, COUNT))  # beside which zeros and ones are small
FAILS = np.where(KINDS == "high", SIDES == "right", LOADS > 55).astype(int)
FLAGS = "--task classify --csv a.csv --label-src-ch fails --backbone boosting --reference off --no-plots --quiet"


def table(rows=range(COUNT), names="kind,load,speed,side,fails", **other) -> str:
    """The lines of a file with these columns, some of them with `other` cells."""
    columns = {"kind": KINDS, "load": LOADS, "speed": SPEEDS, "side": SIDES, "fails": FAILS} | other
    lines = [",".join(str(columns[name][k]) for name in names.split(",")) for k in rows]
    return "\n".join([names, *lines]) + "\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with a run on a table of things."""
    folder = tmp_path_factory.mktemp("things")
    (folder / "a.csv").write_text(table())
    good(folder, f"--mode train {FLAGS} --tag m")
    return folder


def said(folder, text: str, *words) -> np.ndarray:
    (folder / "new.csv").write_text(text)
    found = good(folder, "--mode infer --ckpt artifacts/m --csv new.csv --tag i --no-plots --overwrite", *words)
    return numbers(preds(found), "y_score")


def test_a_model_learns_of_words_what_they_say(run):
    """Whether a thing fails depends on its kind, and on its side or its load by that."""
    lines = preds(run / "artifacts/m")
    assert np.mean((numbers(lines, "y_score") > 0.5) == numbers(lines, "y_true")) > 0.9


def test_a_checkpoint_keeps_the_words_and_the_medians_of_training(run):
    kept = Checkpoint.load(run / "artifacts/m/model.pt")
    things, train = kept.coding["things"], kept.split["rows"]["train"]
    assert things["numbers"] == ["load", "speed"]
    assert things["usual"] == pytest.approx([np.median(LOADS[train]), np.median(SPEEDS[train])])
    assert things["mean"] == pytest.approx([LOADS[train].mean(), SPEEDS[train].mean()])
    assert things["scale"] == pytest.approx([LOADS[train].std(), SPEEDS[train].std()])
    assert things["words"]["kind"] == {"levels": ["high", "low", "mid"], "rare": [], "plain": []}
    assert things["words"]["side"] == {"levels": ["right"], "rare": [], "plain": ["left"]}  # of two the rarer
    assert kept.config["context_len"] == 6 and kept.config["categorical"] == ["kind", "side"]


def test_columns_are_found_by_name_in_any_order(run):
    whole = said(run, table())
    assert np.array_equal(said(run, table(names="side,fails,speed,load,kind")), whole)
    assert np.array_equal(said(run, table(names="speed,kind,side,load")), whole)  # without labels
    assert np.array_equal(said(run, table(names="more,speed,kind,side,load", more=LOADS)), whole)


@pytest.mark.parametrize("names", ["kind,load,speed,side,fails", "load,speed,kind,side", "speed,side,load,kind"])
def test_a_line_alone_is_told_as_among_others(run, names):
    whole = said(run, table())
    for row in (0, 7, 100):
        assert said(run, table([row], names)) == pytest.approx([whole[row]], abs=0)
    some = sorted(range(12), key=lambda row: SPEEDS[row])  # whose first cells rise as row ids do
    assert said(run, table(some, names)) == pytest.approx(whole[some], abs=0)


def test_words_that_training_does_not_have_and_cells_without_one_are_zero_and_told(run):
    """Of the three kinds each has an input, so that none of them is another one's."""
    for words, told in (
        (["vast"] * 2, "words that training does not have: kind 'vast' (2 lines) is zero in all its inputs"),
        ([""] * 2, "cells without a word, which are zero in all inputs of their column: kind (2)"),
        (["?", "?"], "cells without a word, which are zero in all inputs of their column: kind (2)"),
    ):
        text = table(range(2), kind=words)
        (run / "new.csv").write_text(text)
        done = go(run, "--mode infer --ckpt artifacts/m --csv new.csv --tag i --no-plots --overwrite")
        assert done.code == 0 and done.err.count(told) == 1, done.err
        scores = numbers(preds(done.directory), "y_score")
        assert scores == pytest.approx(said(run, table(range(2), kind=["none of these"] * 2)), abs=0)


def test_an_empty_column_of_labels_is_as_none(run):
    """As the test parts of competitions have it; before, the run was refused."""
    wanted = said(run, table(range(40), names="kind,load,speed,side"))
    assert np.array_equal(wanted, said(run, table(range(40), fails=np.full(COUNT, ""))))
    done = go(run, "--mode infer --ckpt artifacts/m --csv new.csv --tag i --no-plots --overwrite")
    assert "column 'fails', the label, is empty: predictions only" in done.err, done.err


@pytest.mark.parametrize(
    ("rows", "times", "told"),
    [
        (range(60, 120), 2.2046, "load is"),  # pounds; before, all columns were looked at as one, called a
        (range(60, 61), 2.2046, ""),  # of one thing less is sure
        (range(60, 61), 1000, "load is"),
        (range(60, 120), 1, ""),
    ],
)
def test_a_column_in_other_units_is_told_by_its_name(run, rows, times, told):
    (run / "units.csv").write_text(table(rows, load=LOADS * times))
    done = go(run, "--mode infer --ckpt artifacts/m --csv units.csv --tag u --no-plots --overwrite")
    assert done.code == 0 and ("are the units the same" in done.err) == bool(told) and told in done.err
    grown = go(
        run, "--mode finetune --ckpt artifacts/m --csv units.csv --tag units --no-plots --overwrite --reference off"
    )
    assert len(rows) == 1 or (told in grown.err and "--refit-scaler" not in grown.err), grown.err


def test_words_in_another_spelling_are_those_of_training(run):
    whole = said(run, table(range(12)))
    other = table(range(12), kind=np.char.upper(KINDS), side=np.char.capitalize(SIDES))
    assert np.array_equal(said(run, other), whole)


def test_truth_values_are_the_same_in_every_format(tmp_path):
    """Whether a side is the right one, as CSV, R and JSON write it, and as 0 and 1: of a model that learned from words
    the outputs are the same for all of them, and of one that learned from numbers too."""
    right = SIDES == "right"
    forms = {"csv": np.where(right, "True", "False"), "r": np.where(right, "TRUE", "FALSE"), "n": right.astype(int)}
    for name, cells in forms.items():
        (tmp_path / f"{name}.csv").write_text(table(side=cells))
    columns = {"kind": KINDS, "load": LOADS, "speed": SPEEDS, "fails": FAILS, "side": right}
    rows = [{name: cells[k].item() for name, cells in columns.items()} for k in range(COUNT)]
    (tmp_path / "j.json").write_text(json.dumps(rows))
    for trained in ("csv.csv", "j.json"):
        words = FLAGS.replace("a.csv", trained).replace("--quiet", "")
        done = go(tmp_path, f"--mode train {words} --tag {trained[0]}")
        assert done.code == 0 and done.err.count("label 'fails'") <= 1, done.err
        outputs = []
        for new in ("csv.csv", "r.csv", "n.csv", "j.json"):
            found = good(
                tmp_path, f"--mode infer --ckpt artifacts/{trained[0]} --csv {new} --tag i --no-plots --overwrite"
            )
            outputs.append(numbers(preds(found), "y_score"))
        assert all(np.array_equal(outputs[0], each) for each in outputs[1:]), trained


def test_what_is_true_is_told_once(put, tmp_path):
    put(table(fails=np.where(FAILS == 1, "yes", "no")), "a.csv")
    done = go(tmp_path, f"--mode train {FLAGS} --dry-run".replace("--quiet", ""))
    assert done.code == 0 and done.err.count("label 'fails' is true where it is yes") == 1, done.err


def test_a_new_files_missing_numbers_are_training_s_medians(run):
    """Training lacked none; a column without a value, or with others, is filled as training says all the same."""
    usual = Checkpoint.load(run / "artifacts/m/model.pt").coding["things"]["usual"]
    wanted = said(run, table(range(3), load=[usual[0]] * 3))
    assert np.array_equal(said(run, table(range(3), load=[""] * 3)), wanted)
    mixed = said(run, table(range(3), load=["", 900, 950]))
    assert mixed[0] == wanted[0]


def test_a_column_of_training_that_is_not_there_is_an_error(run):
    (run / "new.csv").write_text(table(names="load,speed,side"))
    done = go(run, "--mode infer --ckpt artifacts/m --csv new.csv --tag i --no-plots")
    assert done.code == 4 and "do not have: 'kind'" in done.err and "they have 'load', 'speed', 'side'" in done.err


def test_finetuning_goes_on_with_the_words_of_the_checkpoint(run):
    kinds = np.where(KINDS == "low", "new", KINDS)
    (run / "b.csv").write_text(table(kind=kinds))
    line = (
        "--mode finetune --task classify --csv b.csv --label-src-ch fails --reference off --no-plots --ckpt artifacts/m"
    )
    done = go(run, line, "--tag f")
    assert done.code == 0 and "kind 'new'" in done.err
    one, two = (Checkpoint.load(run / f"artifacts/{name}/model.pt").coding for name in "mf")
    assert one == two


def test_a_frame_has_a_line_for_each_thing(run):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"side": SIDES, "kind": KINDS, "load": LOADS, "speed": SPEEDS})[:9]
    found = tsrun.load(run / "artifacts/m").predict(frame)
    assert found["y_score"].to_numpy() == pytest.approx(said(run, table(range(9))), abs=1e-6)


def test_an_importance_is_that_of_a_column(run):
    found = go(run, "--mode infer --ckpt artifacts/m --csv a.csv --tag e --no-plots --explain")
    assert found.code == 0, found.err
    lines = preds(found.directory, "explain.csv")
    assert [line["part"] for line in lines] == ["load", "speed", "kind", "side"]
    worse = dict(zip([line["part"] for line in lines], numbers(lines, "pr_auc_worse_by"), strict=True))
    assert worse["kind"] > worse["speed"] and worse["side"] > worse["speed"]


def test_levels_are_those_of_training_alone(put, tmp_path):
    """A word that stands in rows that are held out alone has no input, whatever it would say."""
    put(table())
    train = Checkpoint.load(good(tmp_path, f"--mode train {FLAGS} --tag look") / "model.pt").split["rows"]["train"]
    kinds = KINDS.astype("U9")
    kinds[np.setdiff1d(np.arange(COUNT), train)] = "held out"
    put(table(kind=kinds))
    done = go(tmp_path, f"--mode train {FLAGS} --tag m")
    kept = Checkpoint.load(done.directory / "model.pt")
    assert kept.split["rows"]["train"] == train
    assert kept.coding["things"]["words"]["kind"]["levels"] == ["high", "low", "mid"]
    assert f"kind 'held out' ({COUNT - len(train)} lines) is zero in all its inputs" in done.err


def test_rare_words_share_an_input_and_the_commonest_have_their_own(put, tmp_path):
    kinds = [f"k{k % 30:02d}" if k % 3 == 0 else "usual" for k in range(COUNT)]
    put(table(kind=kinds))
    good(tmp_path, f"--mode train {FLAGS} --tag m --max-levels 4")
    things = Checkpoint.load(tmp_path / "artifacts/m/model.pt").coding["things"]
    words = things["words"]["kind"]
    assert len(words["levels"]) == 4 and "usual" in words["levels"] and len(words["rare"]) == 7
    whole = said(tmp_path, table(range(2), kind=["k99"] * 2))  # another one is rare, too
    assert np.array_equal(whole, said(tmp_path, table(range(2), kind=words["rare"][:2])))


def test_a_table_of_words_alone(put, tmp_path):
    sizes = np.array(["s", "m", "l"])[DRAW.integers(0, 3, COUNT)]
    label = np.where((KINDS == "high") == (sizes == "s"), "edible", "poisonous")
    put(table(names="kind,side,size,class", size=sizes, **{"class": label}))
    line = "--task classify --csv a.csv --label-src-ch class --backbone boosting --reference off --no-plots"
    done = go(tmp_path, f"--mode train {line} --tag m")
    assert done.code == 0, done.err
    lines = preds(done.directory)
    assert np.mean((numbers(lines, "y_score") > 0.5) == numbers(lines, "y_true")) > 0.95


def test_a_value_is_learned_of_words(put, tmp_path):
    price = np.round(LOADS + 30 * (KINDS == "mid") - 20 * (SIDES == "left"), 2)
    put(table(names="kind,side,load,price", price=price))
    line = "--mode train --task regress --csv a.csv --label-src-ch price --backbone ridge --reference off --no-plots"
    lines = preds(good(tmp_path, line))
    assert np.abs(numbers(lines, "y_pred") - numbers(lines, "y_true")).max() < 1  # a sum of these parts


@pytest.mark.parametrize(
    ("name", "cells", "told"),
    [
        ("note", [f"text {k}" for k in range(COUNT)], "it holds text: 'note'; --categorical note takes it"),
        ("day", [f"2024-01-{1 + k % 28:02d}" for k in range(COUNT)], "it holds times: 'day'"),
        ("part no", [9000 + 7 * k for k in range(COUNT)], "it numbers the lines: 'part no'"),
    ],
)
def test_what_only_names_a_thing_is_left_out(put, name, cells, told):
    series = read_wide([put(table(names=f"load,{name},kind,speed,fails", **{name: cells}))], label="fails")
    assert series.things.columns == ("load", "speed", "kind") and told in " ".join(series.notes)


def test_what_comes_late_is_judged_with_all_else(put, monkeypatch):
    """Blocks of 1 kB: `late` is empty but for the last 40 lines, `mixed` holds numbers but for the last 60."""
    monkeypatch.setattr(files, "BLOCK", 1000)
    late = np.where(np.arange(COUNT) >= COUNT - 40, SIDES, "")
    mixed = np.where(np.arange(COUNT) >= COUNT - 60, KINDS, (np.arange(COUNT) % 3).astype(str))
    path = put(table(names="load,late,mixed,speed,fails", late=late, mixed=mixed))
    assert path.stat().st_size > 3 * files.BLOCK
    series = read_wide([path], label="fails")
    assert series.things.columns == ("load", "speed", "late", "mixed")
    found = series.values[0].reshape(COUNT, 4)[:, 2:].astype(int).T
    for name, codes, cells in zip(("late", "mixed"), found, (late, mixed), strict=True):
        words = np.array([*series.things.words[name], ""])
        assert np.array_equal(words[codes], cells)


def test_a_late_slip_is_refused_where_it_is(put, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 1000)
    loads = [*map(str, LOADS)]
    loads[-3] = "x9"
    with pytest.raises(DataError, match="text 'x9'") as caught:
        read_wide([put(table(load=loads))], label="fails")
    assert f":{COUNT - 1}:" in caught.value.where  # the names are line 1


def test_a_count_before_other_columns_is_left_out(put):
    series = read_wide([put(table(names="loan,load,kind,speed,fails", loan=np.arange(COUNT)))], label="fails")
    assert series.things.columns == ("load", "speed", "kind") and "it numbers the lines: 'loan'" in " ".join(
        series.notes
    )


def test_first_times_in_no_order_are_left_out(put):
    """As of rides, which are things and no steps; times that go on are those of steps."""
    days = np.datetime64("2024-01-01T00:00:00") + np.random.default_rng(0).permutation(COUNT) * 7919
    named = {"names": "pickup,load,kind,speed,fails", "pickup": days}
    series = read_wide([put(table(**named))], label="fails")
    assert series.things.columns == ("load", "speed", "kind") and "it holds times: 'pickup'" in " ".join(series.notes)
    with pytest.raises(DataError, match="the first column holds times"):
        read_wide([put(table(**named | {"pickup": np.sort(days)}))], label="fails")


def test_ids_that_come_twice_keep_their_lines_in_one_part(put):
    """Of 240 lines, two have each of 20 ids, and 200 one of their own: 220 ids."""
    ids = 1_000_000 + 37 * np.arange(COUNT)
    ids[200:220] = ids[220:]
    series = read_wide([put(table(names="load,ID,kind,speed,fails", ID=ids))], label="fails")
    assert series.things.columns == ("load", "speed", "kind") and "it numbers the lines: 'ID'" in " ".join(series.notes)
    assert series.groups.tolist() == [*map(str, ids)] and len({*series.groups}) == 220


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("number", np.arange(COUNT) % 4 + 1),  # of planets, behind a column of words
        ("date", np.arange(COUNT) * 5 % 7),  # codes of months
        ("year", np.sort(2000 + np.arange(COUNT) % 15)[::-1]),  # of used cars, sorted
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_numbers_that_are_called_as_ids_or_times_are_numbers(put, name, cells, first):
    """The first column of numbers was taken as row ids, or as times for which a flag had to be given."""
    names = f"{name},load,kind,fails" if first else f"kind,{name},load,fails"
    series = read_wide([put(table(names=names, **{name: cells}))], label="fails")
    assert series.things.columns == (name, "load", "kind")
    assert np.array_equal(series.values[0].reshape(COUNT, 3)[:, 0], cells)


def test_columns_of_words_whose_names_count_are_things(put):
    """As R's V1, V2, ...; numbers in such columns are the steps of series."""
    votes = {f"V{k}": np.where(DRAW.random(COUNT) < 0.5, "y", "n") for k in range(1, 6)}
    series = read_wide([put(table(names=",".join([*votes, "fails"]), **votes))], label="fails")
    assert [*series.things.words] == [*votes] and series.things.numbers == ()
    values = {name: np.round(DRAW.normal(size=COUNT), 3) for name in votes}
    series = read_wide([put(table(names=",".join([*values, "fails"]), **values))], label="fails")
    assert series.things is None and (series.lengths == 5).all()


def test_the_hint_for_a_word_among_numbers_names_its_column(put, tmp_path):
    loads = [*map(str, LOADS)]
    loads[50] = "rotary"
    with pytest.raises(DataError, match="text 'rotary'") as caught:
        read_wide([put(table(load=loads))], label="fails")
    assert "--categorical load takes the column as categories" in caught.value.hint
    put(table(load=loads), "a.csv")
    assert go(tmp_path, f"--mode train {FLAGS} --dry-run --categorical load").code == 0


def test_a_column_that_a_flag_names_is_taken_as_categories(put, tmp_path):
    codes = 10 * (KINDS == "mid") + 5
    put(table(names="load,code,speed,fails", code=codes))
    good(tmp_path, f"--mode train {FLAGS} --tag m --categorical code")
    words = Checkpoint.load(tmp_path / "artifacts/m/model.pt").coding["things"]["words"]
    assert words == {"code": {"levels": ["15"], "rare": [], "plain": ["5"]}}
    done = go(tmp_path, f"--mode train {FLAGS} --categorical kode")
    assert done.code == 2 and "--categorical kode" in done.err and "did you mean code" in done.err


def test_a_few_numbers_among_words_are_words(put):
    """Three and more children: 3+."""
    series = read_wide(
        [put(table(names="load,children,speed,fails", children=["0", "1", "2", "3+"] * 60))], label="fails"
    )
    assert set(series.things.words["children"]) == {"0", "1", "2", "3+"}


def test_a_slip_among_numbers_is_refused_where_it_is(put, tmp_path):
    put(table(names="kind,load,speed,fails", load=[*LOADS[:50], "fifty", *LOADS[51:]]))
    done = go(tmp_path, f"--mode train {FLAGS}")
    assert done.code == 3 and "text 'fifty'" in done.err and "a.csv:52:2:" in done.err


def test_a_line_that_is_too_short_is_refused(put, tmp_path):
    lines = table().splitlines()
    put("\n".join([*lines[:30], "low,50.1", *lines[30:]]) + "\n")
    done = go(tmp_path, f"--mode train {FLAGS}")
    assert done.code == 3 and "a.csv:31" in done.err


def test_stretches_of_a_line_do_without_words(put, tmp_path):
    put(table(names="kind,load,speed,more,fails", more=LOADS[::-1]))
    done = go(tmp_path, f"--mode train {FLAGS} --context-len 2")
    assert done.code == 0 and "words are left out: 'kind'" in done.err


def test_what_learns_of_things_sees_their_columns_as_they_are(run, tmp_path):
    """No shapes of a row, whatever its length: the map has a feature for each input, and trees try them one by one."""
    wide = TargetSpec(kind="label", outputs=1, whole=True, things=True)
    for length in (6, 60):
        asked = asked_of_map("llm_ts", wide, 1, length)
        assert not asked["shapes"] and asked["rows"] and asked["boosted"]
        assert Wide(wide, 1, length).features.size == length
    assert not asked_of_map("llm_ts", replace(wide, things=False), 1, 60)["rows"]
    assert {name for name, _, _ in pool_of("", wide, 1, 60)} == {"logistic", "rocket", "extra_trees", "boosting"}
    kept = Checkpoint.load(run / "artifacts/m/model.pt").model.target
    assert kept.things and kept.whole


def test_what_is_kept_of_a_file_says_the_same(put, tmp_path, monkeypatch):
    """The second time the table comes from the cache."""
    monkeypatch.setenv("TSRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "LEAST_BYTES", 0)
    monkeypatch.setattr(cache, "RACY_NS", 0)
    path = put(table(range(60), note=[f"n{k}" for k in range(60)], names="kind,load,note,speed,side,fails"))
    first, second = (read_wide([path], label="fails", nan="auto") for _ in range(2))
    assert list((tmp_path / "cache").iterdir())
    assert first.things.words == second.things.words and first.things.numbers == second.things.numbers
    assert np.array_equal(first.values, second.values) and first.notes == second.notes


def test_an_exported_model_takes_the_columns_in_their_own_units(run, monkeypatch, capsys):
    """The steps that its card names: numbers as they are, and zeros and ones for words."""
    monkeypatch.chdir(run)
    assert export.main(["--ckpt", "artifacts/m", "--format", "torch"]) == 0
    path = run / capsys.readouterr().out.splitlines()[-1]
    (card,) = strict(path.with_name(path.name + ".json"))["inputs"]
    assert card["steps"] == ["load", "speed", "kind=high", "kind=low", "kind=mid", "side=right"]
    ones = [KINDS == "high", KINDS == "low", KINDS == "mid", SIDES == "right"]
    x = np.stack([LOADS, SPEEDS, *ones], axis=1).astype(np.float32)[:, None]
    with torch.inference_mode():
        found = torch.export.load(path).module()(torch.from_numpy(x)).numpy()
    assert found[:, 0, 0] == pytest.approx(said(run, table()), abs=1e-5)


def test_a_flag_of_categories_leaves_the_label_to_its_name(put, tmp_path):
    codes = 10 * (KINDS == "mid") + 5
    label = FAILS[DRAW.permutation(COUNT)]
    put(table(names="kind,load,code,speed,Outcome", code=codes, Outcome=label))
    done = go(tmp_path, "--task classify --csv a.csv --backbone boosting --categorical code --dry-run")
    assert done.code == 0 and "label: column 'Outcome'" in done.err and "code (15)" in done.err, done.err


def test_a_table_whose_label_nothing_names_is_told_the_flag_that_does(put, tmp_path):
    put(table(names="kind,load,speed,side,price", price=np.round(LOADS * 3, 1)))
    done = go(tmp_path, "--task regress --csv a.csv --dry-run")
    assert done.code == 3 and "hint: --task regress --label-src-ch price if each line is an example" in done.err
    assert go(tmp_path, "--task regress --csv a.csv --dry-run --label-src-ch price").code == 0
    put(table(names="load,speed,kind,side"))
    done = go(tmp_path, "--task classify --csv a.csv --dry-run")
    assert done.code == 3 and "hint: --task classify --label-src-ch side if each line is an example" in done.err
    rows = [f"{k},{'abcd'[k % 4]}x,w{k},{k % 3}.5" for k in range(30)]  # of last columns without names
    (tmp_path / "g.csv").write_text("\n".join(["id,kind,,", *rows]) + "\n")
    done = go(tmp_path, "--mode train --task forecast --csv g.csv --horizon 2")
    assert done.code == 3 and "--label-src-ch last if each line is an example, and the last column what" in done.err
    good = np.where(LOADS.mean() < LOADS, "Yes", "No")
    put(table(names="kind,load,Good day?,price", price=np.round(LOADS * 3, 1), **{"Good day?": good}))
    done = go(tmp_path, "--task regress --csv a.csv --dry-run")
    assert "--time-col line if each line is a step of time" in done.err  # that column is called as times are, and none


NETS = [
    name
    for name in names()
    if "pool" in (kind := backbone_class(name)).heads and not (kind.answers or kind.stages or kind.blends_runs)
]


@pytest.mark.parametrize("name", NETS)
def test_a_net_sees_the_columns_of_a_thing_as_channels_of_one_step(name):
    """As steps each costs a token: 8,124 mushrooms with 108 inputs took minutes, and their order is made up."""
    target = TargetSpec(kind="label", outputs=1, whole=True, things=True)
    spec = ModelSpec(backbone=name, channels=1, length=40, outputs=1, horizon=1, head="pool", wide=target)
    torch.manual_seed(0)
    model = build_model(spec).eval()
    torch.manual_seed(0)
    plain = build_model(replace(spec, channels=40, length=1, wide=None)).eval()
    x = torch.randn(3, 1, 40)
    with torch.no_grad():
        assert torch.equal(model(x), plain(x.transpose(1, 2)))  # the map says nothing yet
    again = build_model(ModelSpec.of(model.spec.plain()))
    again.load_state_dict(model.state_dict())
    assert (again.spec.channels, again.spec.length) == (1, 40)


@pytest.mark.parametrize("ids", [True, False])
def test_labels_of_another_file_leave_words_inputs(tmp_path, ids):
    """A table with labels in a column, and in a file beside it that is matched by ids in another order, or by lines."""
    names = "part,kind,load,speed,side" if ids else "kind,load,speed,side"
    parts = np.array([f"p{k}" for k in range(COUNT)])
    (tmp_path / "a.csv").write_text(table(names=names, part=parts))
    order = range(COUNT)[::-1] if ids else range(COUNT)
    (tmp_path / "y.csv").write_text(table(order, "part,fails" if ids else "fails", part=parts))
    flags = FLAGS.replace("--label-src-ch fails", "--labels y.csv")
    found = good(tmp_path, f"--mode train {flags} --tag m")
    kept = Checkpoint.load(found / "model.pt")
    assert [*kept.coding["things"]["words"]] == ["kind", "side"]
    new = good(tmp_path, "--mode infer --ckpt artifacts/m --csv a.csv --tag i --no-plots")
    (tmp_path / "b.csv").write_text(table())
    plain = good(tmp_path, "--mode train " + FLAGS.replace("a.csv", "b.csv") + " --tag b")
    again = good(tmp_path, "--mode infer --ckpt artifacts/b --csv b.csv --tag j --no-plots")
    assert Checkpoint.load(plain / "model.pt").coding["things"] == kept.coding["things"]
    assert numbers(preds(new), "y_score") == pytest.approx(numbers(preds(again), "y_score"))


def test_what_is_printed_speaks_of_columns_and_has_no_times(run, tmp_path):
    (run / "new.csv").write_text(table(range(5)))
    words = "--mode infer --ckpt artifacts/m --csv new.csv --tag printed --no-plots --overwrite"
    done = go(run, words)
    assert "read: 5 rows of 4 columns (load, speed, kind, side) as 6 inputs; windows: 5 scored (all)" in done.err
    printed = done.out.split("the first of preds.csv:\n")[1].split("\n")[:2]
    assert printed[0].split() == ["row", "y_true", "y_score", "y_pred@tau"] and printed[1].split()[0] == "0"
    assert "time" in preds(run / "artifacts/printed")[0]  # the file's columns stay


def test_of_many_classes_the_likeliest_is_printed_and_all_are_in_the_file(tmp_path):
    states = [f"state{k % 7}" for k in range(COUNT)]
    (tmp_path / "a.csv").write_text(table(names="kind,load,speed,side,fails", fails=states))
    flags = "--task classify --label-src-ch fails --backbone logistic --reference off --no-plots"
    good(tmp_path, f"--mode train --csv a.csv {flags} --tag m")
    out = go(tmp_path, "--mode infer --ckpt artifacts/m --csv a.csv --tag i --no-plots").out
    printed = out.split("the first of preds.csv:\n")[1].split("\n")[:2]
    assert printed[0].split() == ["row", "y_true", "y_pred", "its", "p"]
    first = preds(tmp_path / "artifacts/i")[0]
    shares = {name: float(first[f"p {name}"]) for name in sorted({*states})}
    assert first["y_pred"] == max(shares, key=shares.get) == printed[1].split()[2]
    assert float(printed[1].split()[3]) == pytest.approx(max(shares.values()), rel=1e-4)


@pytest.mark.parametrize(("name", "hint"), [("Fails", "did you mean fails?"), ("fales", "did you mean fails?")])
def test_a_label_in_another_spelling_is_proposed(tmp_path, name, hint):
    (tmp_path / "a.csv").write_text(table())
    done = go(tmp_path, f"--mode train --task classify --csv a.csv --label-src-ch {name} --dry-run")
    assert done.code == 3 and hint in done.err
    spaces = go(tmp_path, "--mode train --task classify --csv a.csv --label-src-ch ' fails ' --dry-run")
    assert spaces.code == 0, spaces.err  # as pandas lists names of columns with spaces around


def test_the_flags_of_a_better_reference_give_its_figures(tmp_path):
    """The logistic regression of windows sees their steps alone, as `--backbone logistic` by itself does not."""
    (tmp_path / "a.csv").write_text(table())
    words = "--mode train --task classify --csv a.csv --label-src-ch fails --test-ratio 0.3 --no-plots --backbone"
    flags = LabelTask.learners["logistic_window"]
    found = strict(good(tmp_path, words, flags, "--tag it") / "metrics.json")
    other = found["references"]["logistic_window"]
    assert found["roc_auc"] == pytest.approx(other["roc_auc"], abs=0.005)
    assert found["brier"] == pytest.approx(other["brier"], abs=0.005)  # without the flag 0.011 off
