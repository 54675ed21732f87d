"""sources/layouts.py, grids.py and appliances.py: small houses written in each layout, and the real files."""

from __future__ import annotations

import gzip
import math
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from errors import DataError, UsageError
from sources import appliances
from sources.grids import Grid, on_grid, readings
from sources.layouts import read_layout
from times.clock import Clock

T0 = 1_381_323_984 // 8 * 8  # a multiple of eight seconds in October 2013
NAN = math.nan


def refit(folder: Path, house: int = 2, steps: int = 100, issues: bool = False) -> Path:
    """A REFIT file of nine appliances, number k of k watts; mains 1000 W and what the step is."""
    path = folder / f"CLEAN_House{house}.csv"
    head = ["Time", "Unix", "Aggregate", *(f"Appliance{k}" for k in range(1, 10)), *(["Issues"] * issues)]
    lines = [",".join(head)]
    for step in range(steps):
        at = T0 + 8 * step
        stamp = pd.Timestamp(at, unit="s").strftime("%Y-%m-%d %H:%M:%S")
        lines.append(",".join(map(str, [stamp, at, 1000 + step, *range(1, 10), *([0] * issues)])))
    path.write_text("\n".join(lines) + "\n")
    return path


def channels(folder: Path, labels: list[str], streams: dict[int, list[tuple[float, float]]], name="house_1") -> Path:
    """A UK-DALE or REDD house: labels from channel 1 on, and (seconds after T0, watts) of each channel."""
    house = folder / name
    house.mkdir()
    (house / "labels.dat").write_text("".join(f"{k} {label}\n" for k, label in enumerate(labels, 1)))
    for channel, lines in streams.items():
        text = "".join(f"{T0 + at} {watts}\n" for at, watts in lines)
        (house / f"channel_{channel}.dat").write_text(text)
    return house


TORN = "1381323984 5\n13813239\n1381323996 5\n", 2
ITEMS = [
    (35, "Refrigerator", "Refrigerator"),
    (59, "Modbus Smart Meter Total", "Smart Meter Total"),
    (201, "WaterKettle D330A3", "Other"),
]


def deddiag(folder: Path, streams: dict[int, list[tuple[float, float]]], items=ITEMS) -> Path:
    """A DEDDIAG dump: items, and (seconds after T0, value) of each, gzipped."""
    house = folder / "house_08"
    house.mkdir()
    lines = ["id\tname\tcategory\thouse", *("\t".join(map(str, (*item, 8))) for item in items)]
    (house / "items.tsv").write_text("\n".join(lines) + "\n")
    for item, readings_of in streams.items():
        rows = ["item_id\ttime\tvalue"]
        for at, value in readings_of:
            time = pd.Timestamp(round((T0 + at) * 1e6), unit="us").strftime("%Y-%m-%d %H:%M:%S.%f")
            rows.append(f"{item}\t{time}\t{value}")
        with gzip.open(house / f"item_{item:04d}_data.tsv.gz", "wt") as file:
            file.write("\n".join(rows) + "\n")
    return house


def fails(kind, what, *parts, **options):
    with pytest.raises(kind) as caught:
        read_layout(what, **options)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


# ---- REFIT


@pytest.mark.parametrize("issues", [False, True])
def test_refit_names_the_appliances_of_each_house(tmp_path, issues):
    series = read_layout("refit", [refit(tmp_path, issues=issues)], sample=8)
    assert series.channels[:4] == ("mains", "fridge freezer", "washing machine", "dishwasher")
    assert series.rows == ("house_2",) and series.clock == Clock("8s", "UTC") and series.notes == ()
    assert series.values[0].tolist() == list(range(1000, 1100)) and (series.values[9] == 9).all()
    assert series.time[0] == T0 * 10**9
    (source,) = series.sources
    assert source.shape == (100, 12 + issues) and source.bytes == (tmp_path / "CLEAN_House2.csv").stat().st_size


def test_devices_go_by_name_by_column_and_by_another_name(tmp_path):
    path = refit(tmp_path)
    series = read_layout("refit", [path], devices=["Appliance3", "Washing-Machine", "fridge", "kettle"])
    assert series.channels == ("mains", "Appliance3", "Washing-Machine", "fridge", "kettle")
    assert series.values[1:, 0].tolist() == [3, 2, 1, 8]
    series = read_layout("refit", [path], devices={"cold": "fridge freezer", "hot": "appliance8"})
    assert series.channels == ("mains", "cold", "hot") and series.values[1:, 0].tolist() == [1, 8]


def test_an_unknown_device_is_told_the_nearest_and_all(tmp_path):
    path = refit(tmp_path)
    known = ("no device 'dishwahser'", "did you mean dishwasher?", "kettle (Appliance8)", "CLEAN_House2.csv")
    fails(DataError, "refit", *known, paths=[path], devices=["dishwahser"])
    both = refit(tmp_path, house=7)
    fails(DataError, "refit", "could be", "freezer 1 (Appliance2)", paths=[both], devices=["freezer"])
    assert read_layout("refit", [both], devices=["fridge", "freezer 2"]).values[1:, 0].tolist() == [1, 3]


def test_houses_are_rows_and_share_what_both_have(tmp_path):
    paths = [refit(tmp_path, house=2, steps=50), refit(tmp_path, house=9, steps=70)]
    series = read_layout("refit", paths)
    names = ("fridge freezer", "washing machine", "dishwasher", "television", "microwave", "hi-fi", "kettle")
    assert series.channels == ("mains", *names) and series.rows == ("house_2", "house_9")
    assert series.lengths.tolist() == [50, 70]
    kettle = series.channels.index("kettle")
    assert series.values[kettle, [0, 50]].tolist() == [8, 7]  # Appliance8 of house 2, Appliance7 of house 9
    assert "left out, not in every house: electric heater" in series.notes[0]
    fails(DataError, "refit", "the same house", paths=[paths[0], paths[0]])


def test_the_mains_may_stand_alone_and_no_device_takes_their_name(tmp_path):
    alone = read_layout("refit", [refit(tmp_path)], devices=[])
    assert alone.channels == ("mains",) and alone.values[0].tolist() == list(range(1000, 1100))


def test_a_refit_file_that_is_none(tmp_path):
    path = tmp_path / "CLEAN_House1.csv"
    path.write_text("time,mains,fridge\n1,2,3\n")
    fails(DataError, "refit", "no column Appliance1 to Appliance9", "time, mains, fridge", paths=[path])
    path.write_text("Time,Unix,Agregate,Appliance1\nx,1381323984,5,3\nx,1381323992,5,3\n")
    fails(DataError, "refit", "no column 'Aggregate'", "did you mean Agregate?", paths=[path])
    path.write_text("Time,Unix,Aggregate,Appliance1\nx,1381323984,5,3\nx,1381323992,5,hot\n")
    fails(DataError, "refit", "text 'hot'", "CLEAN_House1.csv:3:4", paths=[path])
    fails(DataError, "refit", "no such file", paths=[tmp_path / "CLEAN_House3.csv"])
    fails(UsageError, "refitt", "no data set 'refitt'", "did you mean refit?", paths=[path])
    fails(UsageError, "refit", "no file or folder", paths=[])


# ---- UK-DALE and REDD


def test_ukdale_samples_become_means_of_steps_and_short_gaps_are_filled(tmp_path):
    mains = [(0, 100), (6, 200), (13, 300), (19, 400), (25, 500), (31, 600)]
    kettle = [(1, 0), (7, 2000), (31, 10)]
    house = channels(tmp_path, ["aggregate", "kettle"], {1: mains, 2: kettle})
    series = read_layout("ukdale", [house], sample=8, max_fill=24)
    np.testing.assert_array_equal(series.values, [[150, 300, 400, 550], [1000, 2000, 2000, 10]])
    series = read_layout("ukdale", [house], sample=8, max_fill=23)
    np.testing.assert_array_equal(series.values[1], [1000, NAN, NAN, 10])
    assert "house_1: kettle has gaps in 2 of 4 steps" in series.notes[0]
    assert "the longest, 16 s, begins 2013-10-09 13:06:32+00:00" in series.notes[0]
    assert [(Path(source.path).name, source.shape) for source in series.sources] == [
        ("channel_1.dat", (6, 2)),
        ("channel_2.dat", (3, 2)),
    ]


def test_redd_sums_its_two_mains_where_both_are_known(tmp_path):
    first = [(at, 100) for at in range(-3, 120)]
    second = [(at, 50.5) for at in range(0, 8)] + [(at, 60) for at in range(100, 120)]
    labels = ["mains", "mains", "lighting", "lighting", "washer_dryer"]
    streams = {1: first, 2: second, 3: [(0, 7)], 4: [(0, 9)], 5: [(0, 1)]}
    house = channels(tmp_path, labels, streams, name="house_6")
    series = read_layout("redd", [house], devices=["lighting 2", "channel_3", "washer_dryer"], sample=8)
    assert series.rows == ("house_6",) and series.channels == ("mains", "lighting 2", "channel_3", "washer_dryer")
    # Both are there from 0 to 119 s: 15 steps, of which 1 to 11 lie in a gap of the second.
    np.testing.assert_array_equal(series.values[0], [150.5, *[NAN] * 11, 160, 160, 160])
    assert series.values[1:, 0].tolist() == [9, 7, 1]


def test_lines_out_of_order_and_twice_are_put_right(tmp_path):
    mains = [(8, 5), (0, 1), (8, 7), (16, 9)]
    house = channels(tmp_path, ["aggregate", "tv"], {1: mains, 2: [(0, 1), (16, 2)]})
    assert read_layout("ukdale", [house], sample=8).values.tolist() == [[1, 6, 9], [1, 1, 2]]


def test_a_folder_that_is_no_house(tmp_path):
    house = channels(tmp_path, ["kettle", "tv"], {1: [(0, 1)], 2: [(0, 2)]})
    fails(DataError, "ukdale", "neither channel 1 nor 2 is named aggregate", paths=[house])
    fails(DataError, "redd", "no labels.dat", "name its houses: house_1", paths=[tmp_path])
    fails(DataError, "redd", "no labels.dat", "such as house_1", paths=[tmp_path / "house_7"])
    (house / "labels.dat").write_text("1 aggregate\nkettle\n")
    fails(DataError, "ukdale", "'kettle' is not a channel and its name", "labels.dat:2", paths=[house])
    (house / "labels.dat").write_text("1 aggregate\n2 tv\n9 radio\n")
    fails(DataError, "ukdale", "no such file", "channel_9.dat", paths=[house], devices=["radio"])
    for text, line in (("1381323984 5\n1381323990 x\n", 2), ("1381323984 5 6\n", 1), ("5\n", 1), ("12 5\n", 1), TORN):
        (house / "channel_1.dat").write_text(text)
        fails(DataError, "ukdale", "a time in Unix seconds", f"channel_1.dat:{line}", paths=[house], devices=["tv"])
    (house / "channel_1.dat").write_text("")
    fails(DataError, "ukdale", "house_1 has no reading of the mains", paths=[house], devices=["tv"])


# ---- DEDDIAG


def test_deddiag_values_hold_until_the_next_and_a_silence_over_the_hour_is_missing(tmp_path):
    mains = [(at, 200 + at % 7) for at in range(0, 12_000, 60)]
    fridge = [(0.3, 80), (3.6, 90), (3.7, 95), (4.5, 95), (3609, 0), (7300, 60), (11_000, 70)]
    house = deddiag(tmp_path, {35: fridge, 59: mains, 201: [(0, 0), (3600, 0), (7200, 0), (10_800, 0)]})
    series = read_layout("deddiag-tsv", [house], sample=1)
    assert series.channels == ("mains", "Refrigerator", "WaterKettle D330A3") and series.clock == Clock("s", "UTC")
    wanted = np.full(11_941, 70.0)
    wanted[0:4] = 80
    wanted[4:3609] = 95  # 3.6, 3.7 and 4.5 s all round to the fourth second: the last counts
    wanted[3609:7215] = 0  # for an hour and five seconds
    wanted[7215:7300] = NAN
    wanted[7300:10_906] = 60
    wanted[10_906:11_000] = NAN
    np.testing.assert_array_equal(series.values[1], wanted)
    assert not np.isnan(series.values[2]).any()
    patient = read_layout("deddiag-tsv", [house], devices=["fridge"], sample=1, max_fill=3691)
    np.testing.assert_array_equal(patient.values[1, 3609:7300], 0)
    coarse = read_layout("deddiag-tsv", [house], devices=["35", "kettle"], sample=16)
    np.testing.assert_allclose(coarse.values[1, 0], (4 * 80 + 12 * 95) / 16)
    assert coarse.channels == ("mains", "35", "kettle")


def test_deddiag_without_a_total_sums_its_phases(tmp_path):
    items = [(51, "Phase 1", "Smart Meter Phase"), (52, "Phase 2", "Smart Meter Phase"), (35, "Fridge", "Refrigerator")]
    streams = {51: [(0, 10), (16, 30)], 52: [(0, 1), (16, 1)], 35: [(0, 5), (16, 5)]}
    series = read_layout("deddiag-tsv", [deddiag(tmp_path, streams, [*items, (36, "TV", "TV")])], sample=8)
    assert series.channels == ("mains", "Fridge")  # no dump of the TV
    assert series.values[0].tolist() == [11, 11, 31]


def test_a_folder_that_is_no_dump(tmp_path):
    fails(DataError, "deddiag-tsv", "no such file", "items.tsv", paths=[tmp_path])
    (tmp_path / "items.tsv").write_text("id\tname\n1\tx\n")
    fails(DataError, "deddiag-tsv", "not id, name and category", "items.tsv:1", paths=[tmp_path])
    (tmp_path / "items.tsv").write_text("id\tname\tcategory\thouse\nx\tTV\tTV\t8\n")
    fails(DataError, "deddiag-tsv", "'x TV TV 8' is not an item", "items.tsv:2", paths=[tmp_path])
    house = deddiag(tmp_path, {35: [(0, 5)]})
    fails(DataError, "deddiag-tsv", "no item of category 'Smart Meter Total'", paths=[house])


def test_the_real_dump_is_the_1_hz_traces_that_it_was_made_of(shared):
    names = {"fridge": "refrigerator", "coffee maker": "coffeemaker"}
    series = read_layout("deddiag-tsv", [shared / "deddiag_layout" / "house_08"], devices=list(names), sample=1)
    traces = pd.read_csv(shared / "tracebase_1hz" / "tracebase_8days_1hz.csv.gz", nrows=259_200)
    assert series.values.shape == (3, 259_200)
    assert series.clock.show(series.time[:1]) == ["2012-01-15 00:00:00+00:00"]
    for name, column in names.items():
        found, known = series.values[series.channels.index(name)], slice(10, None)  # its first reading is late
        assert (found[known] == traces[column].to_numpy(np.float32)[known]).mean() > 0.9999
    assert np.nanmax(np.abs(series.values[0] - traces["mains"].to_numpy(np.float32))) <= 1  # dumps hold whole watts


# ---- range


def test_start_and_end_cut_whole_steps_and_the_end_is_not_in(tmp_path):
    path = refit(tmp_path)
    cut = read_layout("refit", [path], start="2013-10-09 13:06:30", end="2013-10-09T15:07:04+02:00", sample=8)
    assert cut.clock.show(cut.time[[0, -1]]) == ["2013-10-09 13:06:32+00:00", "2013-10-09 13:06:56+00:00"]
    assert cut.values[0].tolist() == [1001, 1002, 1003, 1004]
    local = read_layout("refit", [path], start="2013-10-09 14:06:32", tz="Europe/London")
    assert local.clock.show(local.time[:1]) == ["2013-10-09 14:06:32+01:00"] and len(local.time) == 99


def test_what_lies_before_the_cut_is_still_what_a_device_said_last(tmp_path):
    house = deddiag(tmp_path, {59: [(at, 300) for at in range(0, 999, 9)], 35: [(0, 80), (900, 0)]})
    series = read_layout("deddiag-tsv", [house], start="2013-10-09 13:16:30", end="2013-10-09 13:16:34", sample=1)
    assert series.values[1].tolist() == [80, 80, 80, 80]


def test_a_range_without_data_says_what_there_is(tmp_path):
    path = refit(tmp_path)
    there = "house_2 has mains from 2013-10-09 13:06:24+00:00 to 2013-10-09 13:19:36+00:00"
    fails(DataError, "refit", there, "--start 2015-01-01 00:00:00+00:00", paths=[path], start="2015-01-01")
    late = refit(tmp_path, house=9)
    late.write_text(late.read_text().replace(f",{T0 // 100_000}", f",{T0 // 100_000 + 50}"))
    series = read_layout("refit", [path, late], end="2013-10-10", devices=["kettle"])
    assert series.rows == ("house_2",) and series.notes[-1].startswith("warning: left out, with no data")
    for text in ("yesterday-ish", "NaT", "2015-13-01", "99999-01-01"):
        fails(UsageError, "refit", f"{text!r} is not a date", paths=[path], start=text)
    fails(UsageError, "refit", "is not after --start", paths=[path], start="2014-01-01", end="2014-01-01")
    fails(UsageError, "refit", "1.5 s is not a whole number", paths=[path], sample=1.5)
    fails(UsageError, "refit", "no time zone 'Europe/Lodnon'", "Europe/London", paths=[path], tz="Europe/Lodnon")


# ---- one meter


@pytest.mark.parametrize("seed", range(6))
def test_samples_and_held_values_are_those_of_a_loop_over_steps(seed):
    random = np.random.default_rng(seed)
    seconds = np.cumsum(random.choice([1, 2, 5, 9, 40], 60)) + 1000
    watts = random.integers(0, 100, 60).astype(np.float32)
    step, longest, first, steps = 4, 30, 996, 110
    sampled, held = [], []
    end = first + step * steps
    nexts = [*seconds[1:], max(end, seconds[-1])]
    for begin in range(first, end, step):
        inside = [w for s, w in zip(seconds, watts, strict=True) if begin <= s < begin + step]
        spread = []  # a value or NaN for each second of the step
        for at in range(begin, begin + step):
            before = [k for k, s in enumerate(seconds) if s <= at]
            spread.append(watts[before[-1]] if before and at - seconds[before[-1]] <= longest else NAN)
            short = before and nexts[before[-1]] - seconds[before[-1]] <= longest
            filled = watts[before[-1]] if short else NAN
        known = [value for value in spread if not math.isnan(value)]
        sampled.append(np.mean(inside) if inside else filled)
        held.append(np.mean(known) if known else NAN)
    grid = Grid(first * 10**9, step * 10**9, steps)
    for kind, wanted in ((False, sampled), (True, held)):
        found = on_grid(readings(seconds * 10**9, watts, kind), grid, longest * 10**9)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert np.isnan(held).any() and np.isnan(sampled).any()


# ---- appliances


def test_thresholds_of_the_field_by_any_name():
    given = {
        ("fridge", "Refrigerator 2", "fridge_freezer", "Freezer(garage)", "refrigerator"): (50, 60, 12),
        ("kettle", "WaterKettle D330A3"): (2000, 12, 0),
        ("washing machine", "washing_machine", "washer_dryer", "WashingMachine1"): (20, 1800, 156),
        ("microwave", "Microwave oven"): (200, 12, 30),
        ("dishwasher", "dish_washer", "Dish Washer"): (10, 1800, 1800),
        ("coffeemaker", "Coffee Machine"): (10, 60, 600),
        ("Kühlschrank", "Kuehl-Gefrierkombi", "frigorífico", "Réfrigérateur", "김치냉장고"): (50, 60, 12),
        ("Wasserkocher", "hervidor de agua", "bouilloire", "전기포트"): (2000, 12, 0),
        ("Waschmaschine", "lavadora", "Lave-linge", "machine a laver", "세탁기"): (20, 1800, 156),
        ("Mikrowelle", "Microondas", "Four à micro-ondes", "전자레인지"): (200, 12, 30),
        ("Geschirrspüler", "SPUELMASCHINE", "Lavavajillas", "machine à laver la vaisselle", "식기세척기"): (
            10,
            1800,
            1800,
        ),
        ("Kaffeemaschine", "cafetera", "cafetière", "커피머신"): (10, 60, 600),
        ("television", "", "Trockner", "heat pump", "pressure washer", "Four", "냉온풍기"): (10, 0, 0),
    }
    for names, (on_w, min_on, min_off) in given.items():
        for name in names:
            rule = appliances.rule(name)
            assert (rule.on_w, rule.min_on, rule.min_off) == (on_w, min_on, min_off), name
    assert appliances.appliance("Dish washer") == "dishwasher" and appliances.appliance("television") == ""


def test_a_channel_of_watts_alone_is_given_times_by_the_hint(tmp_path):
    house = channels(
        tmp_path, ["mains", "mains", "fridge"], {k: [(3 * s, 100.0 + s) for s in range(60)] for k in (1, 2, 3)}
    )
    for k in (1, 2, 3):
        (house / f"channel_{k}.dat").write_text("".join(f"{100 * k + s}.5\n" for s in range(60)))
    for k in (1, 2, 3):
        with pytest.raises(DataError, match="is not a time in Unix seconds and a number of watts") as caught:
            read_layout("redd", [house], devices=["fridge"], sample=3)
        assert caught.value.where == f"{house}/channel_{k}.dat:1"
        command = caught.value.hint.partition("every 3 s, ")[2].removesuffix(" writes times")
        subprocess.run(f"{command} && mv timed {house}/channel_{k}.dat", shell=True, check=True, cwd=tmp_path)
    series = read_layout("redd", [house], devices=["fridge"], sample=3)
    np.testing.assert_allclose(series.values[0], [300 + 1 + 2 * s for s in range(60)])
    np.testing.assert_allclose(series.values[1], [300.5 + s for s in range(60)])
