"""readers/persons.py: wide tables in which a column says of whom a row is."""

from __future__ import annotations

import numpy as np
import pytest

from readers.wide import read_wide

from .runs import go

PEOPLE, EACH, FEATURES = (1, 3, 5, 7, 8, 11), 12, 60


def rows(people=PEOPLE):
    """Features of windows, of six persons one after the other, as the UCI's phones are published on Kaggle."""
    draw = np.random.default_rng(1)
    return [(draw.normal(k % 3, 0.5, FEATURES).round(4), person, ("SITTING", "WALKING", "LAYING")[k % 3])
            for person in people for k in range(EACH)]  # fmt: skip


def lay(put, people=PEOPLE):
    head = ",".join([*(f'"tBodyAcc-{k}()-X"' for k in range(FEATURES)), '"subject"', '"Activity"'])
    return put("\n".join([head, *(f"{','.join(map(str, x))},{who},{word}" for x, who, word in rows(people))]) + "\n")


def test_the_person_is_no_step_and_groups_the_rows(put):
    series = read_wide([lay(put)], label="Activity")
    np.testing.assert_allclose(series.values.reshape(-1, FEATURES), np.array([x for x, _, _ in rows()]), atol=1e-6)
    assert series.groups is not None and series.groups.tolist() == [str(person) for _, person, _ in rows()]
    assert series.label_words == (("LAYING", "SITTING", "WALKING"),)


def test_two_persons_are_left_out_and_held_in_no_part(put):
    series = read_wide([lay(put, (1, 2))], label="Activity")
    assert series.groups is None and series.lengths.tolist() == [FEATURES] * 2 * EACH


@pytest.mark.parametrize("flag", ["", "--label-src-ch Activity"])
def test_no_person_is_in_two_parts(put, flag):
    path = lay(put)
    done = go(path.parent, f"--task classify --csv {path.name} {flag} --backbone ridge --dry-run")
    assert done.code == 0, done.err
    assert "rows of one subject stay in one part, of 6" in done.err
    assert "72 rows of 60 columns" in done.err and "windows: 60 train, 12 val" in done.err
