"""readers/late.py: a column that begins late costs the windows before it, which is told with what keeps them."""

from __future__ import annotations

from readers.long import read_long

from .runs import go


def lines(late, *, n=100, end=100):
    rows = [
        f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00,{k},{k % 7},{k * 2 if late <= k < end else ''}" for k in range(n)
    ]
    return "time,load,wind,new meter\n" + "\n".join(rows) + "\n"


def told(series):
    return [note for note in series.notes if "before a column's first value" in note]


def test_a_column_that_begins_late_or_ends_early_is_named_with_its_steps(put):
    assert told(read_long([put(lines(60))], time_col="time", nan="auto")) == [
        "warning: of 100 steps, so many lie before a column's first value or after its last: new meter 60; "
        "windows there are left out, and --columns load wind keeps them"
    ]
    assert "new meter 45" in told(read_long([put(lines(15, end=70))], time_col="time", nan="drop"))[0]
    assert told(read_long([put(lines(5))], time_col="time", nan="auto")) == []
    assert told(read_long([put(lines(60))], time_col="time", nan="zero")) == []


def test_one_column_alone_and_a_series_without_it_say_nothing(put):
    one = "\n".join(",".join(line.split(",")[::3]) for line in lines(60).splitlines())
    assert told(read_long([put(one)], time_col="time", nan="drop")) == []


def test_the_command_of_the_hint_reads_all_steps(tmp_path):
    (tmp_path / "a.csv").write_text(lines(60))
    run = "--mode train --task forecast --csv a.csv --horizon 2 --context-len 4 --backbone ridge --dry-run"
    first, then = go(tmp_path, run), go(tmp_path, f"{run} --columns load wind")
    assert "--columns load wind keeps them" in first.err and "keeps them" not in then.err
    assert "2 channels (load, wind)" in then.err and then.code == 0


def test_where_a_late_column_leaves_no_window_the_hint_names_all_others(tmp_path):
    """Ten columns, so that the warning does not list them; 20 steps with all of them are too few for 24 and 2."""
    names = [f"c{k}" for k in range(10)]
    rows = [[f"{(t * (k + 3)) % 11}" for k in range(10)] + [f"{t}" if t >= 80 else ""] for t in range(100)]
    days = [f"2024-{1 + t // 28:02d}-{1 + t % 28:02d}" for t in range(100)]
    table = [",".join([day, *row]) for day, row in zip(days, rows, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join([",".join(["day", *names, "new"]), *table]) + "\n")
    run = "--task forecast --csv a.csv --time-col line --horizon 2 --backbone ridge --dry-run --context-len 24"
    failed = go(tmp_path, run)
    hint = "--columns " + " ".join(names)
    assert failed.code == 3 and failed.err.rstrip().endswith(f"hint: {hint}")
    assert go(tmp_path, f"{run} {hint}").code == 0
