"""readers/owned.py: tables without times in which the lines of one person or machine stand together."""

from __future__ import annotations

import numpy as np
import pytest

import cli
from readers.dated import dated
from readers.dialect import AUTO, Dialect
from readers.long import read_long
from readers.owned import is_owner_word, owner_of

from .runs import go

PEOPLE, EACH = 6, 90


def table(owner="user", word=str, label="activity", count="", shuffled=False):
    """A random walk of two channels for each person, with a label of words that comes in runs."""
    draw = np.random.default_rng(2)
    lines = [",".join(filter(None, [count, owner, "acc_x", "acc_y", label]))]
    for person in range(PEOPLE):
        walk = np.cumsum(draw.normal(size=(EACH, 2)), axis=0)
        for step, (x, y) in enumerate(walk.tolist()):
            at = 3 * (person * EACH + step) + 7  # numbers with gaps, as a part of a larger table has them
            who = word(step % PEOPLE if shuffled else person)
            cells = [str(at) * bool(count), who, f"{x:.4f}", f"{y:.4f}", ("sit", "walk")[step // 30 % 2] * bool(label)]
            lines.append(",".join(filter(None, cells)))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("owner", ["user", "subject_id", "machineID", "unit number", "battery"])
def test_the_lines_of_each_are_a_series(put, owner):
    found = dated(put(table(owner)), Dialect(AUTO, AUTO))
    assert (found.time, found.ids) == ("line", (owner,))


def test_words_name_people_beside_a_label_of_words(put):
    found = dated(put(table("subject", lambda k: "abcdef"[k] * 3)), Dialect(AUTO, AUTO))
    assert (found.time, found.ids, found.worded) == ("line", ("subject",), True)


@pytest.mark.parametrize("owner", ["class_id", "state", "level", "fault"])
def test_what_is_rather_a_label_names_no_series(put, owner):
    found = dated(put(table(owner, label="")), Dialect(AUTO, AUTO))
    assert (found.time, found.ids) == ("line", ())


def test_numbers_that_change_with_each_line_name_no_series() -> None:
    assert owner_of({"user": [str(k % PEOPLE) for k in range(200)]}, Dialect()) == ""
    assert not is_owner_word("x") and not is_owner_word("target")


@pytest.mark.parametrize("flag", ["", "--time-col line"])
def test_no_window_holds_two_people_and_no_person_is_in_two_parts(put, flag):
    path = put(table(count="UNIQUE_ID"))
    done = go(path.parent, f"--task classify --csv {path.name} {flag} --context-len 20 --dry-run")
    assert done.code == 0, done.err
    assert "'user' taken as the column that names the series" in done.err
    assert "column 'UNIQUE_ID' numbers the lines and is left out" in done.err
    windows = PEOPLE * (EACH - 20)  # the label is a step after 20 of context, of the same person
    assert (
        f"6 rows of 90 steps (540 in all); 3 channels (acc_x, acc_y, activity); windows: {windows * 5 // 6}" in done.err
    )


def test_a_named_column_of_ids_stays(put):
    path = put(table())
    config = cli.parse(f"--mode train --task classify --csv {path} --time-col line --id-col activity".split())
    assert config.id_col == "activity"


def test_of_files_of_a_person_each_the_number_of_the_person_is_no_label(put):
    """As WISDM writes them, `1600,A,-0.3,...`: the label was the person, of whom validation had another."""
    lines = table(count="", label="activity").splitlines()[1:]
    folder = put("").parent
    for person in range(PEOPLE):
        own = [line.split(",") for line in lines if line.startswith(f"{person},")]
        text = "".join(f"{1600 + person},{'AB'[w == 'walk']},{x},{y}\n" for _, x, y, w in own)
        (folder / f"data_{1600 + person}.txt").write_text(text)
    done = go(folder, "--task classify --csv data_*.txt --context-len 20 --dry-run")
    assert done.code == 0, done.err
    assert "label: '2', the only column of text" in done.err
    assert "column '1', the same all along each series, says whose it is and is left out" in done.err
    assert "6 rows of 90 steps (540 in all); 3 channels (3, 4, 2)" in done.err


def test_lines_of_a_person_that_stand_in_two_places_are_one_series(put):
    lines = table(label="").splitlines()
    path = put("\n".join([lines[0], *lines[51:], *lines[1:51]]) + "\n")
    series = read_long([path], time_col="line", id_col="user")
    own = [[float(cell) for cell in line.split(",")[1:]] for line in (*lines[51 : EACH + 1], *lines[1:51])]
    assert series.lengths.tolist() == [EACH] * PEOPLE and series.rows[0] == "0"
    np.testing.assert_allclose(series.values[:, :EACH].T, own, atol=1e-4)
    assert any("the lines of 0 stand in several places" in note for note in series.notes)
