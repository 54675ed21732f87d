"""commandline/firstlook.py: an incomplete command is answered with what the files are and with commands that run.

Three newcomers: a data scientist with a dated CSV, an engineer with a batch script, and an energy researcher with a
German export of a smart meter.
"""

from __future__ import annotations

import datetime
import math
import re
from pathlib import Path

import numpy as np
import pytest

from .runs import Done, go

DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=k) for k in range(200)]
HOURS = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=k) for k in range(400)]
PERSONAL = 'Zählpunkt;DE0001\nKunde;"Müller; Anna"\nErzeugt am;01.03.2024\n\n'


def value(k: int) -> float:
    return round(10 + 3 * math.sin(2 * math.pi * k / 7) + 0.01 * k, 3)


def daily(line="{day},{value}", head="date,y", days=DAYS) -> str:
    return "\n".join([head, *(line.format(day=day, value=value(k)) for k, day in enumerate(days))]) + "\n"


def meter() -> str:
    lines = [f"{t:%d.%m.%Y %H:%M};{str(value(k)).replace('.', ',')};gemessen" for k, t in enumerate(HOURS)]
    return PERSONAL + "\n".join(["Zeitstempel;Verbrauch;Status", *lines]) + "\n"


def commands(text: str) -> list[str]:
    """The commands that an answer suggests."""
    return re.findall(r"^  python run\.py (--task .*)$", text, re.M)


def looked_at(folder: Path, *words: object) -> tuple[Done, list[str]]:
    done = go(folder, *words)
    assert done.code == 2 and done.err == "" and "nothing was trained" in done.out, done.err
    assert not (folder / "artifacts").exists()
    return done, commands(done.out)


# ---- the three newcomers


def test_the_data_scientist_has_a_forecast_after_two_commands_and_no_error(put):
    folder = put(daily(), "my.csv").parent
    answer, lines = looked_at(folder, "--csv my.csv")
    for part in ("1 series of 200 steps", "from 2024-01-01 to 2024-07-18 in 'date'", "in steps of 1D", "(y)"):
        assert part in answer.out
    assert lines[0] == "--task forecast --csv my.csv --time-col date --horizon 14" and len(lines) == 3
    done = go(folder, lines[0], "--no-plots --reference off")
    assert done.code == 0, done.err
    assert "look-back: 21 steps, 3 periods of 7 steps; --context-len sets another" in done.err
    assert "mse" in done.out and (done.directory / "forecast.csv").is_file()
    for line in lines[1:]:
        assert go(folder, line, "--dry-run").code == 0


def test_the_engineer_scripts_a_run_whose_mistakes_are_told_at_once(put):
    folder = put(daily(), "my.csv").parent
    line = "--task forecast --csv my.csv --time-col date --context-len 14 --horizon 7 --backbone ridge --tag nightly"
    for words, code, told in (
        (f"{line} --horizn 7", 2, "unknown flag --horizn; did you mean --horizon?"),
        (f"train {line}", 2, "unexpected argument 'train'; did you mean --mode train?"),
        (line.replace("my.csv", "mine.csv"), 3, "mine.csv"),
        (line.replace("date", "dat"), 3, "did you mean date?"),
    ):
        done = go(folder, words)
        assert done.code == code and told in done.err and "Traceback" not in done.err
        assert done.err.count("error:") == 1 and done.out == ""
    done = go(folder, line, "--no-plots --reference off")
    assert done.code == 0 and done.directory == folder / "artifacts/nightly"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_the_energy_researcher_meets_no_error_on_a_german_export(put, encoding):
    folder = put(meter().encode(encoding), "zaehler.csv").parent
    answer, lines = looked_at(folder, "--csv zaehler.csv")
    for part in (
        "1 series of 400 steps, 1 column (Verbrauch)",
        "in steps of 1h",
        "';' between cells, ',' as the decimal mark",
        "lines 1 to 4 above the header left out",
        "day before month",
        "it holds text: 'Status'",
    ):
        assert part in answer.out, part
    assert lines[0] == "--task forecast --csv zaehler.csv --time-col Zeitstempel --horizon 24"
    done = go(folder, lines[0], "--backbone ridge --no-plots --reference off --dry-run")
    assert done.code == 0, done.err


# ---- any other table


def test_a_file_alone_is_looked_at(put):
    folder = put(daily(), "my.csv").parent
    assert looked_at(folder, "my.csv")[1] == looked_at(folder, "--csv my.csv --mode train")[1]


@pytest.mark.parametrize(
    ("text", "flags", "told"),
    [
        (daily("{day},north,{value}\n{day},south,{value}", "date,store,y"), "--id-col store", "2 series"),
        (
            daily(days=[day for k, day in enumerate(DAYS) if k % 9]),
            "",
            "steps without a line counts as missing",
        ),
        (daily("{day:%m/%d/%Y},{value}"), "", "month before day"),
        (daily("{day:%d-%b-%Y},{value}"), "", "in steps of 1D"),
        (daily("{day}\t{value}", "date\ty"), "", "tabs between cells"),
        (daily().replace(f",{value(30)}\n", ",\n"), "", "1 missing"),
        (daily("7,{day},{value}", "Unnamed: 0,date,y"), "", "1 column (y)"),
        (daily("{day};{value};", "date;y;").replace(".", ","), "", "decimal mark"),
        (daily("{day},{value}", "date,y", list(reversed(DAYS))), "", "from 2024-01-01 to 2024-07-18"),
    ],
    ids=["ids", "gaps", "us", "month names", "tabs", "missing", "index", "trailing", "newest first"],
)
def test_the_commands_hold_the_flags_that_the_table_needs(put, text, flags, told):
    folder = put(text, "my.csv").parent
    answer, lines = looked_at(folder, "--csv my.csv")
    assert told in answer.out and f"--time-col date {flags}".strip() in lines[0]
    done = go(folder, lines[0], "--backbone ridge --dry-run")
    assert done.code == 0, done.err


def test_a_wide_table(tmp_path):
    np.savetxt(tmp_path / "w.csv", np.random.default_rng(1).normal(size=(20, 60)), delimiter=",", fmt="%.3f")
    answer, lines = looked_at(tmp_path, "--csv w.csv")
    assert "20 rows (series) of 60 steps" in answer.out and len(lines) == 3
    for line in lines:
        assert go(tmp_path, line, "--dry-run").code == 0


def test_meters_are_offered_to_nilm(put):
    lines = [f"{HOURS[0] + datetime.timedelta(seconds=10 * k)},{100 + k % 50},{k % 50}" for k in range(400)]
    folder = put("\n".join(["time,mains,kettle", *lines]) + "\n", "house.csv").parent
    found = looked_at(folder, "--csv house.csv")[1]
    assert "--task nilm --csv house.csv --time-col time --mains-col mains --device-cols kettle" in found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("hello world\nthis is text\n", "'this is text'"),
        (daily("{day:%m/%d/%Y},{value}", days=DAYS[:12]), "--date-order"),
        (daily("{day.day}. Ionawr {day.year};{value}", "Datum;y"), "--time-col COL"),
        (None, "mine.csv"),
    ],
    ids=["empty", "text", "either order", "other words", "missing"],
)
def test_what_is_not_certain_is_one_refusal(put, tmp_path, text, told):
    if text is not None:
        put(text, "mine.csv")
    done = go(tmp_path, "--csv mine.csv")
    assert done.code == 3 and told in done.err and done.err.count("error:") == 1 and done.out == ""


def test_without_any_data_the_demos_are_offered(tmp_path):
    assert sorted(looked_at(tmp_path, "")[1]) == [
        f"--task {t} --demo" for t in ("classify", "forecast", "nilm", "regress")
    ]
    assert looked_at(tmp_path, "--npz a.npz")[1] == ["--task classify --npz a.npz --test-ratio 0.2"]
    assert "--db-query FILE.sql" in looked_at(tmp_path, "--db postgresql://x@y/z")[1][0]


def test_a_program_that_asked_for_json_gets_an_error(put):
    done = go(put(daily(), "my.csv").parent, "--csv my.csv --json")
    assert done.code == 2 and '"exit_code": 2' in done.out and "--task is required" in done.err


@pytest.mark.parametrize("words", [("no", "yes"), (0, 1)])
def test_a_column_of_a_few_values_is_proposed_as_the_label(tmp_path, words):
    lines = [f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00,{k * 7 % 11}.5,{words[k * 7 % 11 > 5]}" for k in range(120)]
    (tmp_path / "a.csv").write_text("\n".join(["time,load,fault", *lines]) + "\n")
    said = go(tmp_path, "--csv a.csv").out
    (line,) = [each for each in said.splitlines() if "--task classify" in each]
    assert "--label-src-ch fault" in line and ("--drop-label-from-x" in line) == (words[0] == "no")
    done = go(tmp_path, line.split("run.py ")[1] + " --dry-run")
    assert done.code == 0 and "one class" not in done.err, done.err


# ---- tables of which a hint offers kinds


def test_a_column_that_may_hold_classes_is_answered_with_a_command_for_each_kind(put):
    random = np.random.default_rng(0)
    rows = [",".join(f"{x:.3f}" for x in random.normal(k % 2, 1, 6)) for k in range(90)]
    worded = put("".join(f"{row},{'ab'[k % 2]}\n" for k, row in enumerate(rows)), "worded.csv")
    coded = put("".join(f"{row},{k % 2}\n" for k, row in enumerate(rows)), "coded.csv")
    classes = "--task classify --label-src-ch last --csv {} --test-ratio 0.2 --backbone auto"
    lines = classes.replace("classify", "classify --time-col line")
    answer, found = looked_at(worded.parent, f"--csv {worded.name}")
    assert found == [classes.format(worded.name)] and "where a number is expected" in answer.out
    answer, found = looked_at(coded.parent, f"--csv {coded.name}")
    assert found == [classes.format(coded.name), lines.format(coded.name)] and "classes or data" in answer.out
    for line in found:
        assert go(coded.parent, line, "--dry-run").code == 0


@pytest.mark.parametrize(
    ("every", "told"), [(28, "in steps of a month"), (7, "in steps of a week"), (1, "in steps of 1D")]
)
def test_a_step_of_the_calendar_is_called_by_its_name(put, every, told):
    day, days = datetime.date(2020, 1, 1), []
    while len(days) < 60:
        days += [day]
        day += datetime.timedelta(days=every)
        day = (day + datetime.timedelta(days=5)).replace(day=1) if every == 28 else day
    assert told in looked_at(put(daily(days=days), "my.csv").parent, "--csv my.csv")[0].out


@pytest.mark.parametrize(
    ("begins", "told", "year"),
    [
        (lambda day: day.day in (1, 11, 21), "in steps of a part of a month (1st, 11th, 21st)", 36),
        (lambda day: day.timetuple().tm_yday % 16 == 1, "in steps of 16 days from each 1 January", 23),
    ],
)
def test_steps_of_dates_are_no_months_and_a_year_is_proposed(put, begins, told, year):
    days = [day for k in range(3652) if begins(day := datetime.date(2021, 1, 1) + datetime.timedelta(days=k))]
    out = looked_at(put(daily(days=days), "my.csv").parent, "--csv my.csv")[0].out
    assert told in out and f"--horizon {year}" in out


def test_a_label_is_proposed_as_classify_would_take_it(tmp_path):
    """Codes that are named as a label before words; no word that is the same in each line, and nobody who was there."""
    days = [f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00" for k in range(120)]
    lines = [f"{t},{k * 7 % 11}.5,{k % 3},{k % 5 % 2},ab,{'xy'[k % 2]}" for k, t in enumerate(days)]
    (tmp_path / "a.csv").write_text("\n".join(["time,load,user,target,source,sky", *lines]) + "\n")
    said = go(tmp_path, "--csv a.csv").out
    assert "--label-src-ch target" in said and "--categorical sky takes it as categories" in said
    assert "'source' ('ab')" in said
    (tmp_path / "b.csv").write_text("\n".join(["time,load,source", *(f"{t},{k}.5,ab" for k, t in enumerate(days))]))
    said = go(tmp_path, "--csv b.csv").out
    assert "--label-src-ch" not in said and "--categorical" not in said and "holds text: 'source' ('ab')" in said


@pytest.mark.parametrize(
    ("labels", "task"), [("0.5 1.25 7.75", "regress"), ("1 2 3", "classify"), ("a b c", "classify")]
)
def test_labels_of_whole_series_that_are_measured_are_for_regress(tmp_path, labels, task):
    words = labels.split()
    rows = [f"{k},{k * 7 % 5},{k % 3},{k * k % 7}:{words[k % 3]}" for k in range(30)]
    said = ("true", "false") if task == "regress" else ("false", "true a b")
    head = "@problemName toy\n@targetlabel {}\n@classLabel {}\n@data\n".format(*said)
    (tmp_path / "toy.ts").write_text(head + "\n".join(rows) + "\n")
    (line,) = looked_at(tmp_path, "--csv toy.ts")[1]
    assert line.startswith(f"--task {task} --csv toy.ts")


def test_a_table_that_no_hint_makes_readable_is_an_error_and_no_assertion(tmp_path):
    """Counts of lines with gaps, and words that may be ids: lines are steps of one series then."""
    rows = [f"{k + (200 if k > 90 else 0)},{'ab'[k // 100]},{k % 7}.5" for k in range(200)]
    text = "@relation r\n@attribute id numeric\n@attribute class{a,b}\n@attribute x numeric\n@data\n"
    (tmp_path / "a.arff").write_text(text + "\n".join(rows) + "\n")
    done = go(tmp_path, "--csv a.arff")
    assert done.code in (2, 3) and "Traceback" not in done.err


def test_a_house_whose_mains_are_there_twice_is_offered_nilm(tmp_path):
    """As `use [kW]` and `House overall [kW]` of a well-known table, which are the same."""
    lines = ["time,use [kW],House overall [kW],Fridge [kW],Kettle [kW]"]
    for k in range(400):
        fridge, kettle = 0.09 * (k % 40 < 15), 2.1 * (k % 97 < 3)
        total = 0.05 + fridge + kettle + k % 7 / 1000
        lines.append(
            f"{datetime.datetime(2024, 1, 1) + datetime.timedelta(minutes=k)},{total},{total},{fridge},{kettle}"
        )
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    (line,) = [each for each in looked_at(tmp_path, "--csv a.csv")[1] if "nilm" in each]
    assert line.endswith("--mains-col 'use [kW]' --device-cols 'Fridge [kW]' 'Kettle [kW]'")
    assert go(tmp_path, line, "--dry-run").code == 0


@pytest.mark.parametrize(("minutes", "horizon"), [(1, 60), (10, 144), (30, 48)])
def test_a_day_is_asked_for_where_steps_are_parts_of_an_hour(tmp_path, minutes, horizon):
    start = datetime.datetime(2024, 1, 1)
    times = [start + datetime.timedelta(minutes=minutes * k) for k in range(1500)]
    (tmp_path / "a.csv").write_text("time,x\n" + "\n".join(f"{t},{k * k % 37}" for k, t in enumerate(times)) + "\n")
    assert f"--time-col time --horizon {horizon}\n" in go(tmp_path, "--csv a.csv").out
