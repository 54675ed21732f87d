"""readers/late.py: a column that begins late costs the windows before it, which is told with what keeps them."""

from __future__ import annotations

import pytest

from readers.late import late, without_partial
from readers.long import read_long

from .runs import go


def lines(late, *, n=100, end=100):
    rows = [
        f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00,{k},{k % 7},{k * 2 if late <= k < end else ''}" for k in range(n)
    ]
    return "time,load,wind,new meter\n" + "\n".join(rows) + "\n"


def read(put, text, nan="auto"):
    return late(read_long([put(text)], time_col="time", nan=nan))


def test_a_column_that_begins_late_or_ends_early_is_named_with_its_steps(put):
    assert read(put, lines(60)) == [
        "warning: of 100 steps, so many lie before a column's first value or after its last: new meter 60; "
        "windows there are left out, and --columns load wind keeps them"
    ]
    assert "new meter 45" in read(put, lines(15, end=70), "drop")[0]
    assert read(put, lines(5)) == [] == read(put, lines(60), "zero")


def test_one_column_alone_and_a_series_without_it_say_nothing(put):
    one = "\n".join(",".join(line.split(",")[::3]) for line in lines(60).splitlines())
    assert read(put, one, "drop") == []


@pytest.mark.parametrize(
    ("begin", "end", "kept"),
    [
        (0, 80, 2),
        (0, 90, 2),
        (0, 91, 3),
        (0, 100, 3),
        (0, 30, 2),
        (49, 100, 3),
        (50, 100, 2),
        (95, 100, 2),
        (60, 80, 2),
    ],
)
def test_a_column_without_a_value_in_the_first_half_or_the_last_tenth_is_left_out(put, begin, end, kept):
    series = read_long([put(lines(begin, end=end))], time_col="time", nan="auto")
    found = without_partial(series, set())
    assert found.channels == ("load", "wind", "new meter")[:kept] and len(found.values) == kept
    word, at = ("until", end - 1) if end < 100 else ("from", begin)
    day = f"2024-01-{1 + at // 24:02d} {at % 24:02d}:00:00"
    note = "warning: left out, since without a value in the first half of the lines, or the last tenth: "
    told = f"{note}new meter ({word} {day}); --columns or --target keeps them"
    if end < 100:
        told += "; --target 'new meter' --known-future load wind forecasts it from the others"
    assert found.notes == (series.notes if kept == 3 else (*series.notes, told))
    assert without_partial(series, {"new meter"}) is series


def test_what_is_to_be_forecast_from_others_that_go_on_is_told_with_the_flags(tmp_path):
    (tmp_path / "a.csv").write_text(lines(0, end=85))
    run = "--task forecast --csv a.csv --horizon 15 --context-len 4 --backbone ridge --dry-run"
    flags = "--target 'new meter' --known-future load wind"
    for first in (go(tmp_path, run), go(tmp_path, f"{run} --target 'new meter'")):
        assert f"; {flags} forecasts it from the others" in first.err
    then = go(tmp_path, f"{run} {flags}")
    assert then.code == 0 and "read: 1 row of 85 steps" in then.err and "forecasts it" not in then.err


def test_of_several_series_a_column_ends_where_it_ends_in_each(put):
    rows = [line.split(",") for line in lines(0, end=60).splitlines()]
    other = [line.split(",") for line in lines(0, end=80).splitlines()[1:]]
    text = "\n".join(",".join(["id" if k == 0 else "a", *row]) for k, row in enumerate(rows))
    text += "\n" + "\n".join(",".join(["b", *row]) for row in other) + "\n"
    series = read_long([put(text)], time_col="time", id_col="id", nan="drop")
    assert without_partial(series, set()).channels == ("load", "wind")
    longer = text.rstrip("\n") + "198\n"  # the last line of b
    series = read_long([put(longer)], time_col="time", id_col="id", nan="drop")
    assert without_partial(series, set()) is series


def test_a_default_run_on_a_table_with_an_ended_column_has_windows_in_each_part(tmp_path):
    (tmp_path / "a.csv").write_text(lines(0, end=60))
    run = go(tmp_path, "--task forecast --csv a.csv --horizon 2 --context-len 4 --backbone ridge --dry-run")
    assert run.code == 0 and "new meter (until 2024-01-03 11:00:00)" in run.err and "2 channels (load, wind)" in run.err
    assert "before a column's first value" not in run.err
    both = go(tmp_path, "--task forecast --csv a.csv --horizon 2 --backbone ridge --dry-run --columns load 'new meter'")
    assert both.code == 3 and "2 channels" not in both.err


def test_the_command_of_the_hint_reads_all_steps(tmp_path):
    (tmp_path / "a.csv").write_text(lines(60))
    (tmp_path / "a.csv").write_text(lines(40))
    run = "--mode train --task forecast --csv a.csv --horizon 2 --context-len 4 --backbone ridge --dry-run"
    first, then = go(tmp_path, run), go(tmp_path, f"{run} --columns load wind")
    assert "--columns load wind keeps them" in first.err and "keeps them" not in then.err
    assert "2 channels (load, wind)" in then.err and then.code == 0


def test_where_a_late_column_leaves_no_window_the_hint_names_all_others(tmp_path):
    """Ten columns, so that the warning does not list them; 22 steps of training with all are too few for 24 and 2."""
    names = [f"c{k}" for k in range(10)]
    rows = [[f"{(t * (k + 3)) % 11}" for k in range(10)] + [f"{t}" if t >= 48 else ""] for t in range(100)]
    days = [f"2024-{1 + t // 28:02d}-{1 + t % 28:02d}" for t in range(100)]
    table = [",".join([day, *row]) for day, row in zip(days, rows, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join([",".join(["day", *names, "new"]), *table]) + "\n")
    run = "--task forecast --csv a.csv --time-col line --horizon 2 --backbone ridge --dry-run --context-len 24"
    failed = go(tmp_path, run)
    hint = "--columns " + " ".join(names)
    assert failed.code == 3 and failed.err.rstrip().endswith(f"hint: {hint}")
    assert go(tmp_path, f"{run} {hint}").code == 0
