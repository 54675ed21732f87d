"""readers/ruled.py: tables drawn with bars and rules."""

from __future__ import annotations

import numpy as np
import pytest

from errors import DataError

from .test_strangers import DAYS, VALUES, taken

DRAWN = {
    "psql": (["    day     |    y", "------------+--------"], " {} | {}", ["(40 rows)", "", ""]),
    "mysql": (
        ["+------------+--------+", "| day        | y      |", "+------------+--------+"],
        "| {} | {} |",
        ["+------------+--------+", "40 rows in set (0.01 sec)"],
    ),
    "markdown": (
        ["# A report", "", "Of a *meter*:", "", "| day | y |", "|:---|---:|"],
        "| {} | {} |",
        ["", "Its end."],
    ),
    "markdown without outer bars": (["day | y", "--- | ---"], "{} | {}", []),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_tables_drawn_with_rules(kind, put):
    above, line, below = DRAWN[kind]
    body = [line.format(day, VALUES[k]) for k, day in enumerate(DAYS)]
    series = taken(put("\n".join([*above, *body, *below])))
    assert series.channels == ("y",) and np.allclose(series.values[0], VALUES[:40])
    assert np.array_equal(series.times(0), np.array(DAYS, "datetime64[ns]").astype(np.int64))
    assert any("bars and rules" in note for note in series.notes)


def test_a_message_counts_the_lines_of_the_file(put):
    above, line, below = DRAWN["markdown"]
    body = [line.format(day, "much" if k == 20 else VALUES[k]) for k, day in enumerate(DAYS)]
    with pytest.raises(DataError, match=r":27:2: text 'much'"):  # below six lines and twenty
        taken(put("\n".join([*above, *body, *below])))


def test_lines_between_bars_without_a_rule_are_a_table_as_they_are(put):
    series = taken(put("\n".join(["day|y", *(f"{day}|{VALUES[k]}" for k, day in enumerate(DAYS))])))
    assert np.allclose(series.values[0], VALUES[:40]) and not any("rules" in note for note in series.notes)


def test_an_empty_last_cell_of_psql(put):
    body = [f" {day} | {VALUES[k]} | {'' if k % 3 == 0 else k}" for k, day in enumerate(DAYS)]
    series = taken(
        put("\n".join(["    day     |    y   | z ", "------------+--------+---", *body, "(40 rows)"])), nan="drop"
    )
    assert series.channels == ("y", "z") and np.allclose(series.values[0], VALUES[:40])
    assert np.isnan(series.values[1, ::3]).all() and series.values[1, 1::3].tolist() == list(range(1, 40, 3))
