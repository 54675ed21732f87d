"""sources/label_column.py and tasks/label_choice.py: the label by a column's name, of numbers or words, and one row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest

from errors import DataError
from readers.wide import read_wide
from sources import label_column
from tasks import label_choice

from .runs import go, good, preds, strict

STEPS, K = 120, 3
QUICK = "--backbone ridge --reference off --no-plots --overwrite"
TRAIN = f"--mode train --task classify --csv a.csv --context-len 6 {QUICK}"
WORDS = np.array(["low", "mid", "high"])


def table(seed: int = 1, steps: int = STEPS) -> pandas.DataFrame:
    random = np.random.default_rng(seed)
    wave = np.sin(np.arange(steps) / 4) + 0.2 * random.normal(size=steps)
    code = np.digitize(wave, [-0.5, 0.5])
    times = pandas.date_range("2024-01-01", periods=steps, freq="h")
    return pandas.DataFrame({"time": times, "state": WORDS[code], "load": wave.round(3), "code": code})


def lay(box: Path, frame: pandas.DataFrame, name: str = "a.csv") -> None:
    frame.to_csv(box / name, index=False)


@pytest.fixture
def box(tmp_path) -> Path:
    lay(tmp_path, table().drop(columns="code"))
    return tmp_path


def told(box: Path, line: str) -> str:
    done = go(box, line)
    assert done.code == 0, done.err
    return done.out + done.err


def check_truth(lines: list[dict[str, str]], wanted: pandas.Series) -> None:
    known = [line for line in lines if line["y_true"]]
    assert len(known) > 10 and all(line["y_true"] == str(wanted[int(line["time"])]) for line in known)


def test_words_of_a_column_are_classes_along_time(box):
    folder = good(box, f"{TRAIN} --label-src-ch state")
    found = strict(folder / "metrics.json")
    assert found["classes"] == sorted(WORDS) and found["accuracy"] > 0.5
    frame = table()
    lines = preds(folder)
    check_truth(lines, frame["state"])
    assert all(line["date"] == str(frame["time"][int(line["time"])]) for line in lines)
    share = [line["y_pred"] == line["y_true"] for line in lines if line["y_true"]]
    assert np.mean(share) == pytest.approx(found["accuracy"])

    lay(box, table(2)[["load", "state", "time"]].assign(state=lambda f: f["state"].str.upper() + " "), "b.csv")
    again = good(box, f"--mode infer --ckpt {folder} --csv b.csv --reference off --no-plots")
    check_truth(preds(again), table(2)["state"])
    lay(box, table(2).assign(state="odd"), "c.csv")
    done = go(box, f"--mode infer --ckpt {folder} --csv c.csv --reference off --no-plots")
    assert done.code == 4 and "odd" in done.err and "high, low, mid" in done.err


@pytest.mark.parametrize(
    ("values", "true"),
    [
        (["no", "yes", "yes"], "yes"),
        (["False", "True", "True"], "True"),
        ([-1, 1, 1], "1"),
        ([1, 2, 2], "2"),
        ([1.0, 2.0, 2.0], "2"),
        (["ok", "fault", "Fault "], "fault"),
        (["nein", "ja", "ja"], "ja"),
        (["-", "+", "+"], "+"),
        (["Não", "Sim", "Sim"], "Sim"),
        (["No Failure", "Heat", "Heat"], "Heat"),
    ],
)
def test_the_larger_of_two_codes_or_the_word_that_is_no_word_for_no_is_true(box, values, true):
    frame = table()
    lay(box, frame.assign(state=[values[code] for code in frame["code"]]).drop(columns="code"))
    said = told(box, f"{TRAIN} --label-src-ch state")
    assert f"label 'state' is true where it is {true}, and" in said
    check_truth(preds(good(box, f"{TRAIN} --label-src-ch state")), (frame["code"] > 0).astype(int))


def test_codes_with_a_0_are_true_or_false_unless_classes_are_asked_for(box):
    lay(box, table().drop(columns="state"))
    said = told(box, f"{TRAIN} --label-src-ch code")
    assert "label 'code' holds 0, 1, 2 and is true where it is not 0; --bin-rule classes" in said
    folder = good(box, f"{TRAIN} --label-src-ch code --bin-rule classes")
    assert strict(folder / "metrics.json")["classes"] == ["0", "1", "2"]
    check_truth(preds(folder), table()["code"])
    again = good(box, f"--mode infer --ckpt {folder} --csv a.csv --reference off --no-plots")
    check_truth(preds(again), table()["code"])


def test_the_only_column_of_codes_is_the_label_of_a_dated_table(box):
    lay(box, table().drop(columns="state")[["time", "load", "code"]])
    said = told(box, f"{TRAIN} --dry-run")
    assert "label: 'code', the only column of codes; --label-src-ch names another" in said
    assert "one row: its end is for validation and test (--split-mode holdout)" in said
    lay(box, table().assign(other=lambda f: f["code"]).drop(columns="state"))
    said = go(box, f"{TRAIN} --dry-run").err
    assert "the only column" not in said
    assert "columns of codes, of which one may be the label: code, other; --label-src-ch code takes it" in said
    lay(box, table().assign(anomaly=lambda f: f["code"]).drop(columns="state"))
    assert "label: 'anomaly', the only column of codes that is named as a label" in told(box, f"{TRAIN} --dry-run")


def test_the_only_column_of_words_is_the_label_where_no_number_could_be_one(box):
    frame = table().drop(columns="code").assign(load=lambda f: f["load"] + 99, note=[f"n{k}" for k in range(STEPS)])
    lay(box, frame)
    assert "label: 'state', the only column of text; --label-src-ch names another" in told(box, TRAIN)
    folder = good(box, TRAIN)
    check_truth(preds(folder), frame["state"])
    lay(box, frame.assign(note=frame["state"].iloc[::-1].to_numpy()))
    assert "the only column" not in go(box, f"{TRAIN} --dry-run").err  # two could be
    lay(box, table().drop(columns="code"))
    assert "the only column" not in go(box, f"{TRAIN} --bin-rule quantile --bin-thr 0.8 --dry-run").err


def test_a_column_of_words_that_a_flag_names_is_read_at_once(box, monkeypatch):
    reads, read = [], label_column.read
    monkeypatch.setattr(label_column, "read", lambda *given: reads.append(given) or read(*given))
    good(box, f"{TRAIN} --label-src-ch state --dry-run")
    assert len(reads) == 1


def test_a_made_up_word_is_never_scored(box):
    frame = table()
    gone = np.random.default_rng(3).random(STEPS) < 0.2
    lay(box, frame.assign(state=frame["state"].mask(gone & (frame.index > 0))).drop(columns="code"))
    done = go(box, f"{TRAIN} --label-src-ch state --nan error")
    assert done.code == 3 and "--nan ffill" in done.err
    for policy in ("auto", "ffill"):
        lines = preds(good(box, f"{TRAIN} --label-src-ch state --nan {policy} --overwrite"))
        check_truth(lines, frame["state"])
        assert lines and not any(line["y_true"] for line in lines if gone[int(line["time"])])


def test_one_word_in_each_series_is_learned_of_whole_series(box):
    parts = [table(k, 20).assign(site=f"{k:02d}", kind=WORDS[k % K], load=k % K + 0.0) for k in range(24)]
    lay(box, pandas.concat(parts)[["time", "site", "load", "kind"]])
    line = f"--mode train --task classify --csv a.csv --time-col time --id-col site --label-src-ch kind {QUICK}"
    assert "label 'kind' has one value in each series: learned of whole series" in told(box, line)
    folder = good(box, line)
    assert strict(folder / "metrics.json")["classes"] == sorted(WORDS)
    assert all(each["y_true"] == WORDS[int(each["row"]) % K] for each in preds(folder))
    lay(box, pandas.concat(parts)[["time", "site", "load"]], "b.csv")
    again = good(box, f"--mode infer --ckpt {folder} --csv b.csv --reference off --no-plots")
    assert not any(each["y_true"] for each in preds(again)) and len(preds(again)) == 24


def test_a_name_that_no_column_has_lists_those_that_there_are(box):
    done = go(box, f"{TRAIN} --label-src-ch stat")
    assert done.code == 3 and "--label-src-ch stat: no column 'stat'" in done.err and "time, state, load" in done.err


def test_finetuning_one_row_splits_it_in_time(box):
    folder = good(box, f"{TRAIN} --label-src-ch state --tag first")
    again = good(box, f"--mode finetune --ckpt {folder} --csv a.csv --reference off --no-plots")
    check_truth(preds(again), table()["state"])


# ---- wide tables


def wide(box: Path, name: str, *, header: bool = True, at: int = 6, words: bool = True, rows: int = 24) -> np.ndarray:
    """A table of six steps and a column of labels; the labels."""
    code = np.arange(rows) % K
    values = np.random.default_rng(5).normal(size=(rows, 6)).round(3) + code[:, None] + 0.001
    frame = pandas.DataFrame(values.round(3), columns=[f"t{step}" for step in range(6)])
    labels = WORDS[code] if words else code + 1
    frame.insert(at, "kind", labels)
    frame.to_csv(box / name, index=False, header=header)
    return labels.astype(str)


def labels_of(lines: list[dict[str, str]]) -> list[str]:
    return [line["y_true"] for line in sorted(lines, key=lambda line: int(line["row"]))]


@pytest.mark.parametrize(
    ("how", "flag"),
    [
        ({}, ""),
        ({"at": 0}, ""),
        ({"words": False}, ""),
        ({"at": 2}, "--label-src-ch kind"),
        ({"header": False}, ""),
        ({"header": False, "words": False}, "--label-src-ch last"),
        ({"header": False, "words": False, "at": 0}, "--label-src-ch first"),
    ],
)
def test_a_column_of_a_wide_table_holds_the_labels(tmp_path, how, flag):
    labels = wide(tmp_path, "a.csv", **how)
    line = f"--mode train --task classify --csv a.csv {flag} {QUICK}"
    folder = good(tmp_path, line)
    assert strict(folder / "metrics.json")["classes"] == sorted(set(labels))
    again = good(tmp_path, f"--mode infer --ckpt {folder} --csv a.csv --reference off --no-plots")
    assert labels_of(preds(again)) == labels.tolist()
    frame = pandas.read_csv(tmp_path / "a.csv", header=0 if how.get("header", True) else None)
    frame.drop(columns=frame.columns[how.get("at", 6)]).to_csv(
        tmp_path / "b.csv", index=False, header=how.get("header", True)
    )
    bare = preds(good(tmp_path, f"--mode infer --ckpt {folder} --csv b.csv --reference off --no-plots"))
    assert labels_of(bare) == [""] * 24
    assert [line["y_pred"] for line in bare] == [line["y_pred"] for line in preds(again)]


@pytest.mark.parametrize("at", [0, 2, 6])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_labels_in_quotes_may_hold_what_separates_cells(tmp_path, monkeypatch, at, encoding):
    monkeypatch.setitem(
        globals(), "WORDS", np.array(["on, full", 'of 6" width', "\N{LATIN SMALL LETTER E WITH ACUTE}teint"])
    )
    labels = wide(tmp_path, "a.csv", at=at)
    (tmp_path / "a.csv").write_bytes((tmp_path / "a.csv").read_text().encode(encoding))
    folder = good(tmp_path, f"--mode train --task classify --csv a.csv --label-src-ch kind {QUICK}")
    again = good(tmp_path, f"--mode infer --ckpt {folder} --csv a.csv --reference off --no-plots")
    assert labels_of(preds(again)) == labels.tolist()


@pytest.mark.parametrize(("at", "place"), [(0, "first"), (6, "last")])
def test_codes_without_a_name_are_asked_about_with_the_flag_that_reads_them(tmp_path, at, place):
    wide(tmp_path, "a.csv", header=False, words=False, at=at)
    done = go(tmp_path, f"--mode train --task classify --csv a.csv {QUICK}")
    assert done.code == 3 and f"--task classify --label-src-ch {place} if these are classes" in done.err
    assert go(tmp_path, f"--mode train --task regress --csv a.csv --index no --context-len 3 {QUICK}").code == 0


def test_numbers_between_several_spaces_are_a_table(tmp_path):
    labels = wide(tmp_path, "a.csv", header=False, words=False, at=0)
    lines = (tmp_path / "a.csv").read_text().split()
    text = "".join("  " + "  ".join(f"{float(cell):.7e}" for cell in line.split(",")) + "\n" for line in lines)
    (tmp_path / "a.txt").write_text(text)
    done = go(tmp_path, f"--mode train --task classify --csv a.txt {QUICK}")
    assert done.code == 3 and "--label-src-ch first" in done.err
    folder = good(tmp_path, f"--mode train --task classify --csv a.txt --label-src-ch first {QUICK}")
    again = good(tmp_path, f"--mode infer --ckpt {folder} --csv a.txt --reference off --no-plots")
    assert labels_of(preds(again)) == labels.tolist()


def test_a_table_called_as_those_of_the_ucr_archive_has_its_classes_first(tmp_path):
    random = np.random.default_rng(0)
    labels = np.repeat([1, 2, 4], 20)
    rows = np.column_stack([labels, random.normal(size=(60, 12)) + labels[:, None]])
    (tmp_path / "Beats_TRAIN.tsv").write_text(
        "".join("\t".join([f"{row[0]:.0f}", *(f"{value:.5f}" for value in row[1:])]) + "\n" for row in rows.tolist())
    )
    done = go(tmp_path, f"--mode train --task classify --csv Beats_TRAIN.tsv {QUICK} --dry-run")
    assert done.code == 0, done.err
    assert "the first column of Beats_TRAIN.tsv, as in the UCR archive" in done.err
    assert "holds 3 classes: 1, 2, 4" in done.err and "60 rows of 12 steps" in done.err


def test_a_validation_of_one_class_says_which_share_has_both(box):
    state = np.repeat(["low", "high", "low"], [STEPS // 3, STEPS // 3, STEPS - 2 * (STEPS // 3)])
    lay(box, table().assign(state=state).drop(columns="code"))
    done = go(box, f"{TRAIN} --label-src-ch state")
    assert done.code == 3 and "the val split has one class only of state" in done.err
    share = done.err.split("--val-ratio ")[1].split()[0]
    good(box, f"{TRAIN} --label-src-ch state --val-ratio {share}")


def test_a_training_part_of_one_class_says_which_share_leaves_it_some_of_the_other(box):
    """A fault that shows itself late, twice: the hint was another seed, which changes no cut in time."""
    state = np.where((np.arange(STEPS) > 0.84 * STEPS) & (np.arange(STEPS) % 9 < 5), "broken", "good")
    lay(box, table().assign(state=state).drop(columns="code"))
    done = go(box, f"{TRAIN} --label-src-ch state")
    assert done.code == 3 and "the train split has one class only of state" in done.err and "--seed" not in done.err
    share = done.err.split("--val-ratio ")[1].split()[0]
    good(box, f"{TRAIN} --label-src-ch state --val-ratio {share}")


def test_a_first_column_of_classes_in_words_is_no_row_id(put):
    """Before, the classes were taken as ids, and something else was learned."""
    rows = [f"{'AB'[k // 15]},{k}.5,{k + 1}.25,{k % 3}.75,{k}.125" for k in range(30)]
    path = put("\n".join(["classe,x0,x1,x2,x3", *rows]))
    with pytest.raises(DataError, match="the first column, 'classe', holds words that come again") as caught:
        read_wide([path])
    assert "--label-src-ch first if these are classes; --index yes if they are row ids" in str(caught.value)
    assert read_wide([path], index="yes").rows[:2] == ("A", "A")
    assert read_wide([put("\n".join(["site,x0,x1,x2,x3", *rows]), "b.csv")]).rows[-1] == "B"


def classes_at(box: Path, place: int, padded: int, n: int = 150) -> np.ndarray:
    """Series of decimals, maybe with zeros behind their ends, with their classes at an end, sorted as those of
    heartbeats come; returns the classes."""
    random, of = np.random.default_rng(0), np.repeat([0, 1, 2], n // 3)
    values = random.normal(size=(n, 24)) + of[:, None]
    values[:, 24 - padded :] = 0
    np.savetxt(box / "a.csv", np.insert(values, 0 if place == 0 else 24, of, axis=1), delimiter=",")
    return of


@pytest.mark.parametrize("padded", [0, 9])
@pytest.mark.parametrize(("place", "at"), [("first", 0), ("last", -1)])
def test_sorted_classes_at_an_end_are_asked_for(tmp_path, place, at, padded):
    of = classes_at(tmp_path, at, padded)
    done = go(tmp_path, f"--mode train --task classify --csv a.csv {QUICK}")
    assert done.code == 3 and f"the {place} column alone holds whole numbers, 3 in 150 rows (0, 1, 2)" in done.err
    assert f"--label-src-ch {place} if these are classes" in done.err
    folder = good(tmp_path, f"--mode train --task classify --csv a.csv --label-src-ch {place} {QUICK}")
    assert all(line["y_true"] == str(of[int(line["row"])]) for line in preds(folder))
    assert go(tmp_path, "--mode train --task regress --csv a.csv --index no --dry-run").code == 0


def test_the_last_column_of_a_long_table_without_names(tmp_path):
    wave = np.sin(np.arange(STEPS) / 4)
    code = 1 + np.digitize(wave, [-0.5, 0.5])
    np.savetxt(tmp_path / "a.csv", np.stack([wave, -wave + 0.1, code], axis=1), delimiter=",", fmt=["%g", "%g", "%d"])
    folder = good(tmp_path, f"{TRAIN} --time-col line --label-src-ch last")
    check_truth(preds(folder), pandas.Series(code))
    assert go(tmp_path, f"--mode infer --ckpt {folder} --csv a.csv --no-plots").code == 0


def test_a_part_of_the_ids_is_a_label_of_whole_series(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        (fault, run, k, fault + random.normal() / 9) for fault in (1, 2, 3) for run in range(1, 5) for k in range(1, 31)
    ]
    pandas.DataFrame(rows, columns=["fault", "run", "sample", "level"]).to_csv(tmp_path / "a.csv", index=False)
    line = f"--mode train --task classify --csv a.csv --time-col sample --id-col fault+run --label-src-ch fault {QUICK}"
    folder = good(tmp_path, line)
    lines = preds(folder)
    assert lines and all(line["y_true"] == line["row"].split("/")[0] for line in lines)
    again = good(tmp_path, f"--mode infer --ckpt {folder} --csv a.csv --no-plots")
    assert len(preds(again)) == 12 and all(line["y_true"] == line["row"].split("/")[0] for line in preds(again))


def test_the_only_words_are_the_label_beside_codes_of_users(tmp_path):
    frame = table().assign(user_id=np.repeat([3, 5], STEPS // 2)).drop(columns=["code", "time"])
    lay(tmp_path, frame)
    done = go(tmp_path, f"{TRAIN} --time-col line --dry-run")
    assert "label: 'state', the only column of text" in done.out + done.err


def test_a_column_of_words_that_is_named_as_labels_are_is_the_label_beside_channels_with_zeros(tmp_path):
    frame = table().drop(columns=["code", "time"]).rename(columns={"state": "activity"})
    frame.loc[5, frame.select_dtypes("number").columns[0]] = 0.0
    lay(tmp_path, frame)
    done = go(tmp_path, f"{TRAIN} --time-col line --dry-run")
    assert "label: 'activity', the only column of text" in done.out + done.err


@pytest.mark.parametrize(
    ("task", "names", "said"),
    [
        ("regress", "a,b,c", "label: a, 1 step after the context; --label-src-ch names another"),
        ("regress", "a,b,RUL", "label: 'RUL', by its name; --label-src-ch names another"),
        (
            "classify",
            "a,b,c",
            "label: whether a is other than 0, 1 step after the context; --label-src-ch names another",
        ),
    ],
)
def test_what_is_learned_is_told_where_no_flag_says_it(tmp_path, task, names, said):
    values = np.random.default_rng(0).normal(size=(90, 3)).round(3)
    values[::3, 0] = 0
    lay(tmp_path, pandas.DataFrame(values, columns=names.split(",")))
    done = go(tmp_path, f"--task {task} --csv a.csv --time-col line --context-len 6 --backbone ridge --dry-run")
    assert said in done.out + done.err


def test_a_model_of_lines_takes_no_column_of_new_files_for_times(tmp_path):
    """Milliseconds since a device was switched on: a channel to a model that was trained with lines as steps."""
    frame = table().drop(columns=["code", "time"]).assign(timestamp=4 * 10**13 + 50 * np.arange(STEPS))
    lay(tmp_path, frame)
    folder = good(tmp_path, f"{TRAIN} --time-col line --label-src-ch state --drop-label-from-x")
    lay(tmp_path, frame.drop(columns="state"), "new.csv")
    again = good(tmp_path, f"--mode infer --ckpt {folder} --csv new.csv --no-plots")
    assert [line["time"] for line in preds(again)] == [*map(str, range(6, STEPS + 1))]  # each with 6 before it


def test_a_number_that_is_the_name_of_a_column_means_that_column(tmp_path):
    """Without a line of names columns are called 1, 2, 3: the third is no channel of the number 3, of which there is
    none, and the second no channel 2, which is the third column."""
    random = np.random.default_rng(0)
    rows = [f"{random.normal():.3f},{k // 7 % 2},{random.normal():.3f}" for k in range(200)]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    line = "--task classify --csv a.csv --time-col line --context-len 4 --backbone linear --epochs 1"
    done = go(tmp_path, line, "--label-src-ch 2 --no-plots")
    assert done.code == 0 and "label: the column called 2, not the channel of that number" in done.err, done.err
    table = preds(done.directory)
    want = [int(row["time"]) // 7 % 2 for row in table]  # the label's step, counted from 0
    assert [float(row["y_true"]) for row in table] == want and len({*want}) == 2
    assert go(tmp_path, line, "--label-src-ch 0 --bin-rule gt --dry-run").code == 0  # which no column is called


def test_classes_that_come_once_in_time_are_told_the_way_that_works(tmp_path):
    """Meat that spoils: each class is one stretch, so that no cut in time leaves validation two."""
    rng = np.random.default_rng(3)
    states = ["fresh"] * 60 + ["good"] * 60 + ["spoiled"] * 280
    lines = [f"{k},{rng.normal():.3f},{rng.normal():.3f},{state}" for k, state in enumerate(states, 1)]
    (tmp_path / "a.csv").write_text("minute,gas,heat,class\n" + "\n".join(lines) + "\n")
    words = "--mode train --task classify --csv a.csv --label-src-ch class --backbone logistic --no-plots"
    done = go(tmp_path, words, "--test-ratio 0.2")
    assert done.code == 3 and "labels: the val split has one class only" in done.err
    assert "--bin-thr" not in done.err and "hint: --header yes takes each line" in done.err
    assert go(tmp_path, words, "--test-ratio 0.2 --header yes --reference off").code == 0


@pytest.mark.parametrize("words", [True, False], ids=["words", "numbers"])
def test_a_recording_of_each_class_is_cut_in_time_and_does_not_see_its_label(box, words):
    """Three files whose column `kind` is one word or number all along: too few to learn of whole ones."""
    kinds = WORDS[:3] if words else ["1", "2", "4"]
    for k, kind in enumerate(kinds):
        swing = (k + 1) * np.random.default_rng(k).normal(0, 1, 400).round(3)
        lay(box, pandas.DataFrame({"acc_x": swing, "acc_y": swing[::-1], "kind": kind}), f"{k}.csv")
    line = "--mode train --task classify --csv 0.csv 1.csv 2.csv --label-src-ch kind --context-len 20 --test-ratio 0.2"
    line = f"{line} --backbone ridge --no-plots"
    said = told(box, line)
    assert "few series of each class: all are learned from, and their ends are for validation and test" in said
    assert "gap: 20 steps before validation" in said and "2 channels" not in said
    folder = good(box, line)
    made, lines = strict(folder / "metrics.json"), preds(folder)
    counts = {kind: sum(each["y_true"] == kind for each in lines) for kind in kinds}
    assert counts == dict.fromkeys(kinds, 80) and made["classes"] == sorted(kinds)  # a fifth of 400 each
    assert "persistence" not in made["references"] and made["macro_f1"] < 0.99
    alone = good(box, f"--mode infer --ckpt {folder} --csv 2.csv --no-plots")
    assert {each["y_true"] for each in preds(alone)} - {""} == {kinds[2]}


def test_more_validation_is_proposed_only_where_training_keeps_several_classes():
    steps = np.r_[np.zeros(150), np.ones(60), np.zeros(20), np.ones(70)]  # the last 60 are validation's

    def proposed(labels, cut):
        truth = {"train": labels[:cut, None, None], "val": labels[cut:, None, None]}
        return label_choice.larger_val(truth)

    share = proposed(steps, 240)
    assert (
        share is not None
        and len({*steps[: round(300 * (1 - share))]}) == 2
        and len({*steps[round(300 * (1 - share)) :]}) == 2
    )
    assert proposed(np.r_[np.zeros(150), np.ones(100)], 200) is None  # what is left is of one class
