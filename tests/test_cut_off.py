"""readers/cut_off.py: a last line that ends early is left out of a wide table, told; any other such line is refused."""

from __future__ import annotations

import numpy as np
import pytest

from errors import DataError
from readers.wide import read_wide

from .runs import go

ROWS = 6


def lines(sep=",", head=True):
    named = [sep.join(["id", *(f"t{k}" for k in range(10))])]
    return named * head + [sep.join([f"s{row}"] * head + [f"{row}.{k}" for k in range(10)]) for row in range(ROWS + 1)]


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("lost", [4, 12, 30])
def test_what_is_whole_is_read(tmp_path, head, lost):
    """Row r holds r.0 to r.9; seven rows, of which the last lacks its last characters."""
    (tmp_path / "x.csv").write_text("\n".join(lines(head=head))[:-lost])
    series = read_wide([tmp_path / "x.csv"], index="yes" if head else "no")
    assert series.n_rows == ROWS and (series.lengths == 10).all()
    wanted = [[row + k / 10 for k in range(10)] for row in range(ROWS)]
    assert np.allclose(series.view()[:, 0], wanted)
    (note,) = [note for note in series.notes if "ends early" in note]
    assert f"warning: {tmp_path}/x.csv: the last line, {ROWS + 1 + head}, ends early and is left out: " in note


def test_a_quote_that_is_open_ends_early_too(tmp_path):
    rows = ["id,t0,t1,t2", *(f'"a, {row}",1,2,{row}' for row in range(ROWS)), '"a, 6']
    (tmp_path / "x.csv").write_text("\n".join(rows))
    series = read_wide([tmp_path / "x.csv"], index="yes")
    assert series.rows == tuple(f"a, {row}" for row in range(ROWS))


@pytest.mark.parametrize(
    ("text", "strict", "line"),
    [
        ("\n".join([*lines()[:3], lines()[3][:-8], *lines()[4:]]), False, 4),  # amid
        ("\n".join(lines()[:4])[:-8], False, 4),  # of few lines
        ("\n".join(lines())[:-8], True, ROWS + 2),
    ],
)
def test_others_are_refused(tmp_path, text, strict, line):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match="fields, expected 11") as caught:
        read_wide([tmp_path / "x.csv"], index="yes", strict=strict)
    assert caught.value.where.endswith(f"x.csv:{line}")


def test_a_table_of_things_that_was_cut_off_is_learned_from(tmp_path):
    made = [f"{'ab'[k % 2]},{k * 37 % 53},{k * 17 % 41},{k * k % 11},{int(k * 37 % 53 > 30)}" for k in range(60)]
    (tmp_path / "x.csv").write_text("\n".join(["kind,age,size,rank,class", *made])[:-4])
    run = go(tmp_path, "--mode train --task classify --csv x.csv --backbone ridge --no-plots --dry-run")
    assert run.code == 0, run.err
    assert "label: column 'class' of x.csv" in run.err and "read: 59 rows" in run.err


def test_names_that_end_in_a_separator_make_no_last_line_short(tmp_path):
    """As of a table of tumours: its last line was left out, and an empty name offered for the label."""
    made = [f"{k},{'MB'[k % 3 > 0]},{k * 37 % 53}.5,{k * 17 % 41}.25" for k in range(60)]
    (tmp_path / "x.csv").write_text("\n".join(["id,diagnosis,radius,texture,", *made]))
    run = go(tmp_path, "--mode train --task classify --csv x.csv --label-src-ch diagnosis --dry-run")
    assert run.code == 0 and "read: 60 rows of 2 columns" in run.err and "ends early" not in run.err, run.err
    look = go(tmp_path, "--csv x.csv")
    assert "--label-src-ch texture" in look.out and "''" not in look.out
