"""Cases of meters: lines of one time, clocks that are set back."""

from __future__ import annotations

import csv

import pytest

from ..runs import strict


def test_lines_of_one_time_are_averaged_in_nilm_too(case):
    done = case("n-03").go(0)
    assert done.code == 0, done.err
    assert "log: 21,600 lines of the same time as the line before averaged with it" in done.err
    # A step is the mean of its lines: 2000 W for 50 s of every tenth minute.
    heater = strict(done.directory / "summary.json")["devices"]["heater"]
    assert heater["energy_kwh"] == pytest.approx(63 * 2000 * 50 / 3.6e6) and heater["tp"] + heater["fn"] == 63


def timeline(folder) -> list[tuple[str, float, float]]:
    with (folder / "timeline.csv").open() as file:
        return [(line["time"], float(line["mains"]), float(line["heater true watts"])) for line in csv.DictReader(file)]


def test_the_hour_that_comes_twice_is_told_and_right_whatever_comes_first(case):
    house = case("n-04")
    done = house.go(0)
    assert done.code == 0 and "times taken as those of Europe/Berlin, whose clocks are changed" in done.err
    done = house.go(0, "--strict")
    assert done.code == 3 and "--tz Europe/Berlin" in done.err
    oldest, newest = (house.go(number) for number in (1, 2))
    assert oldest.code == newest.code == 0, oldest.err + newest.err
    found = timeline(oldest.directory)
    assert found == timeline(newest.directory)
    night = [line for line in found if " 02:00" in line[0] and line[0].startswith("2024-10-27")]
    assert night == [("2024-10-27 02:00:00+02:00", 2302, 2000), ("2024-10-27 02:00:00+01:00", 302, 0)]
