"""tasks/nilm/meters.py: the mains, the devices and their units by the columns' names; energies of each line."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest

import tasks
from cli import parse
from errors import UsageError
from tasks.nilm.meters import files_of, house_of, id_col_of, meters_of

from .runs import go


@pytest.mark.parametrize(
    ("names", "mains", "devices"),
    [
        ("Aggregate fridge kettle", "Aggregate", "fridge kettle"),
        ("WHE FGE CWE", "WHE", "FGE CWE"),
        ("Unix Aggregate Appliance1 Appliance2 Issues", "Aggregate", "Appliance1 Appliance2"),
        ("L1 L2 L3 fridge", "L1+L2+L3", "fridge"),
        ("main_1 main_2 oven voltage", "main_1+main_2", "oven"),
        ("dataid grid solar air1", "grid", "air1"),
        ("total_power_kW fridge_kW", "total_power_kW", "fridge_kW"),
        ("sensor.house_power sensor.fridge", "sensor.house_power", "sensor.fridge"),
        ("totalPower total_dishwasher", "totalPower", "total_dishwasher"),
        ("1:mains 2:mains 3:oven 4:lighting", "1:mains+2:mains", "3:oven 4:lighting"),
        ("use[kW] 02:Dryer[kW] 02:Dryer*[kVA] 03:Oven[kW] temperature", "use[kW]", "02:Dryer[kW] 03:Oven[kW]"),
        ("total[W] fridge kettle", "total[W]", "fridge kettle"),
        ("Global_active_power Global_intensity Voltage Sub_metering_1", "Global_active_power", "Sub_metering_1"),
        ("mains pressure_cooker lights light T1 RH_1 T_out Windspeed", "mains", "pressure_cooker lights light"),
        ("HouseLights kettle", "", ""),
        ("fridge kettle", "", ""),
        ("total mains fridge", "", ""),
    ],
)
def test_mains_and_devices_by_their_names(names, mains, devices):
    assert house_of(names.split()) == (mains, devices.split())


def lay(box: Path, **columns: np.ndarray) -> Path:
    steps = len(next(iter(columns.values())))
    times = pandas.date_range("2024-01-01", periods=steps, freq="15min")
    pandas.DataFrame({"time": times, **columns}).to_csv(box / "home.csv", index=False)
    return box / "home.csv"


def read(path: Path, words: str = ""):
    return read_apart([str(path)], words, "time")


def test_columns_that_are_the_same_but_for_the_sign_are_one_meter(tmp_path, caplog):
    kilo = {"grid [kW]": -MAINS / 1000, "use [kW]": MAINS / 1000, "kettle [kW]": KETTLE / 1000}
    path = lay(tmp_path, **kilo, **{"kettle* [kVA]": KETTLE / 900, "fan [kW]": KETTLE / 2000, "humidity": MAINS / 9})
    with caplog.at_level("INFO", "tsrun"):
        series = read(path)
    assert series.channels == ("mains", "kettle", "fan")
    np.testing.assert_allclose(series.values[:2], [MAINS, KETTLE], rtol=1e-6)
    with pytest.raises(UsageError, match=r"grid \[kW\] and use \[kW\] may be the mains"):
        read(lay(tmp_path, **kilo | {"use [kW]": MAINS / 999}))
    with pytest.raises(UsageError, match=r"devices are in W and in kW.*\n.*--device-cols 'kettle \[W\]' names"):
        read(lay(tmp_path, **{"use [kW]": MAINS / 1000, "kettle [W]": KETTLE, "fan [kW]": KETTLE / 2000}))


KETTLE = np.tile([0.0, 0, 1200, 0], 24)
MAINS = 200 + KETTLE + np.arange(96) % 5


def test_a_sum_of_phases_and_all_other_columns(tmp_path, caplog):
    path = lay(tmp_path, L1=MAINS - 60, L2=MAINS * 0 + 40, L3=MAINS * 0 + 20, kettle=KETTLE, voltage=MAINS * 0 + 230)
    with caplog.at_level("INFO", "tsrun"):
        series = read(path)
    assert series.channels == ("mains", "kettle")
    np.testing.assert_allclose(series.values, [MAINS, KETTLE])
    summed = read(path, "--mains-col L1+L2 --device-cols kettle")
    np.testing.assert_allclose(summed.values[0], MAINS - 20)


@pytest.mark.parametrize(("unit", "factor"), [("W", 1), ("kW", 1000), ("Wh", 4), ("kWh", 4000)])
def test_the_unit_of_the_names_and_energies_of_each_line(tmp_path, unit, factor):
    path = lay(tmp_path, **{f"mains [{unit}]": MAINS / factor, f"kettle [{unit}]": KETTLE / factor})
    np.testing.assert_allclose(read(path).values, [MAINS, KETTLE], rtol=1e-5)


def test_a_register_is_still_what_it_rises_by(tmp_path):
    path = lay(tmp_path, **{"mains_kWh": np.cumsum(MAINS) / 4000, "kettle_kWh": np.cumsum(KETTLE) / 4000})
    np.testing.assert_allclose(read(path).values, [MAINS[1:], KETTLE[1:]], rtol=1e-4, atol=1e-2)


def test_what_is_taken_is_told_and_kept_for_inference(tmp_path):
    lay(tmp_path, **{"Total (W)": MAINS, "kettle (W)": KETTLE, "Issues": KETTLE * 0})
    line = "--seeds 1 --epochs 1 --window 8 --model-args filters=4 --no-plots --reference off --on-w 500"
    done = go(tmp_path, f"--task nilm --csv home.csv {line}")
    assert done.code == 0, done.err
    assert "mains: 'Total (W)', by its name" in done.err and "devices: kettle (W), all other columns" in done.err
    assert "left out: Issues" in done.err
    lines = pandas.read_csv(done.directory / "timeline.csv")
    assert "kettle true watts" in lines and not any("(W)" in name for name in lines)
    again = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv home.csv --no-plots --reference off")
    assert again.code == 0, again.err
    lay(tmp_path, **{"mains_kWh": MAINS / 4000, "Kettle_kWh": KETTLE / 4000})
    other = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv home.csv --no-plots --reference off --tag other")
    assert other.code == 0 and "units by the columns' names: kWh" in other.err, other.err
    shown = pandas.read_csv(other.directory / "timeline.csv")
    np.testing.assert_allclose(shown["mains"], MAINS[: len(shown)], rtol=1e-5)
    np.testing.assert_allclose(shown["kettle true watts"], KETTLE[: len(shown)], rtol=1e-5)
    lay(tmp_path, fridge=MAINS, kettle=KETTLE)
    lost = go(tmp_path, f"--task nilm --csv home.csv {line}")
    assert lost.code == 2 and "--mains-col fridge if" in lost.err and "fridge, kettle" in lost.err


def lay_apart(folder: Path, start: str = "2024-01-01", **meters: np.ndarray) -> list[str]:
    """A file for each meter, the devices' lines five seconds after those of the mains."""
    folder.mkdir()
    for name, values in meters.items():
        times = pandas.date_range(start, periods=len(values), freq="60s") + pandas.Timedelta(
            seconds=5 * (name != "mains")
        )
        pandas.DataFrame({"when": times, "power_W": values}).to_csv(folder / f"{name}.csv", index=False)
    return [str(folder / f"{name}.csv") for name in meters]


def read_apart(paths: list[str], words: str = "", time: str = "when"):
    config = parse(f"--task nilm --mode train --csv {' '.join(paths)} --time-col {time} {words}".split())
    return tasks.build("nilm", config.options).read(config, None)


def test_a_file_for_each_meter_of_a_house(tmp_path, caplog):
    paths = lay_apart(tmp_path / "villa", kettle=KETTLE, mains=MAINS, fridge=KETTLE[::-1] / 10)
    with caplog.at_level("INFO", "tsrun"):
        series = read_apart(paths)
    assert series.rows == ("villa",) and series.channels == ("mains", "kettle", "fridge")
    np.testing.assert_allclose(series.values, [MAINS, KETTLE, KETTLE[::-1] / 10], rtol=1e-6)
    assert "devices: kettle, fridge, all other files" in caplog.text
    assert read_apart(paths, "--device-cols boiler=kettle").channels == ("mains", "boiler")


def test_a_folder_is_a_house_of_which_some_lack_a_device(tmp_path, caplog):
    one = lay_apart(tmp_path / "one", mains=MAINS, kettle=KETTLE, fridge=KETTLE / 10)
    two = lay_apart(tmp_path / "two", "2024-02-01", mains=MAINS + 7, kettle=KETTLE)
    series = read_apart([*one, *two])
    assert series.rows == ("one", "two") and series.channels == ("mains", "kettle")
    np.testing.assert_allclose(series.values[0], np.concatenate([MAINS, MAINS + 7]))
    assert not meters_named(tmp_path, "main1", "main2")  # two houses, for all that their names say


def meters_named(folder: Path, *names: str):
    paths = lay_apart(folder / "three", **dict.fromkeys(names, MAINS))
    return files_of(parse(f"--task nilm --mode infer --ckpt x --csv {' '.join(paths)} --time-col when".split()))


def test_energies_of_each_line_count_by_the_lines_of_their_own_file(tmp_path):
    paths = lay_apart(tmp_path / "villa", mains=MAINS, kettle=KETTLE)
    times = pandas.date_range("2024-01-01", periods=48, freq="120s")  # the mains have a line a minute
    energy = np.tile([0.0, 20.0], 24)
    pandas.DataFrame({"when": times, "used_Wh": energy}).to_csv(tmp_path / "villa" / "oven.csv", index=False)
    series = read_apart([*paths, str(tmp_path / "villa" / "oven.csv")])
    oven = series.values[series.channels.index("oven")]
    assert np.nanmax(oven) == pytest.approx(20 * 3600 / 120) and not np.isnan(oven[1:-2]).any()


def test_of_several_measures_of_each_meter_its_power_is_read(tmp_path, caplog):
    folder = tmp_path / "villa"
    folder.mkdir()
    times = 1333263600 + 60 * np.arange(96)
    for name, values in {"WHE": MAINS, "CWE": KETTLE}.items():
        table = pandas.DataFrame(
            {"unix_ts": times, "V": values * 0 + 120, "I": values / 120, "P": values, "S": values + 9}
        )
        table.to_csv(folder / f"Electricity_{name}.csv", index=False)
    paths = [str(folder / f"Electricity_{name}.csv") for name in ("WHE", "CWE")]
    with caplog.at_level("INFO", "tsrun"):
        series = read_apart(paths, time="unix_ts")
    assert series.channels == ("mains", "CWE") and "all other files (of each, 'P' is read)" in caplog.text
    np.testing.assert_allclose(series.values, [MAINS, KETTLE], rtol=1e-6)


def test_the_power_of_plugs_is_read_whatever_else_they_measure(tmp_path, caplog):
    """As Shelly's plugs write them: each file was taken for a house, with its energy for the mains of its power."""
    folder = tmp_path / "home"
    folder.mkdir()
    times = pandas.date_range("2024-01-01", periods=96, freq="60s")
    for name, values in {"mains": MAINS, "kettle": KETTLE}.items():
        table = {"Timestamp": times, "Total Energy Wh": values / 60, "Min Voltage V": 229.5, "Power W": values}
        pandas.DataFrame(table).to_csv(folder / f"{name}.csv", index=False)
    paths = [str(folder / f"{name}.csv") for name in ("mains", "kettle")]
    with caplog.at_level("INFO", "tsrun"):
        series = read_apart(paths, time="Timestamp")
    assert series.channels == ("mains", "kettle") and "(of each, 'Power W' is read)" in caplog.text
    np.testing.assert_allclose(series.values, [MAINS, KETTLE], rtol=1e-6)


def test_the_tables_of_two_houses_are_no_meters_of_one(tmp_path):
    paths = [tmp_path / "main house.csv", tmp_path / "cottage.csv"]
    times = pandas.date_range("2024-01-01", periods=96, freq="60s")
    for path in paths:
        pandas.DataFrame({"time": times, "power": MAINS, "kettle": KETTLE}).to_csv(path, index=False)
    words = ["--task", "nilm", "--mode", "train", "--time-col", "time", "--csv", *map(str, paths)]
    assert not files_of(parse(words))
    series = tasks.build("nilm", parse(words).options).read(parse(words), None)
    assert series.rows == ("main house", "cottage") and series.channels == ("mains", "kettle")


def test_several_houses_in_one_file(tmp_path):
    times = pandas.date_range("2024-01-01", periods=96, freq="60s")
    houses = [
        pandas.DataFrame({"dataid": one, "time": times, "grid": MAINS + one, "oven": KETTLE, "air": np.nan})
        for one in (26, 59)
    ]
    pandas.concat(houses).sort_values("time").to_csv(tmp_path / "all.csv", index=False)
    series = read(tmp_path / "all.csv", "--id-col dataid")
    assert series.rows == ("26", "59") and series.channels == ("mains", "oven")
    np.testing.assert_allclose(series.values[0], np.concatenate([MAINS + 26, MAINS + 59]))


def history(path: Path, **meters: np.ndarray) -> Path:
    """Lines of several meters, each at its changes alone, some seconds late, as home automation keeps them."""
    lines = ["entity,state,time"]
    for late, (name, values) in enumerate(meters.items(), 1):
        for k in np.flatnonzero(np.diff(values, prepend=np.nan) != 0):
            lines.append(f"sensor.{name},{values[k]},2024-01-01T{k // 60:02}:{k % 60:02}:{late:02}Z")
        lines.append(f"sensor.{name},unavailable,2024-01-02T00:00:00Z")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_meters_that_report_their_changes_in_one_file(tmp_path, caplog):
    path = history(tmp_path / "history.csv", kettle=KETTLE, house_power=MAINS)
    with caplog.at_level("INFO", "tsrun"):
        series = read(path, "--id-col entity")
    assert series.rows == ("history",) and series.channels == ("mains", "sensor.kettle")
    assert any("meters report changes" in note for note in series.notes) and "all other meters" in caplog.text
    late = (KETTLE[1:] * 59 + KETTLE[:-1]) / 60  # a change counts from its second on
    np.testing.assert_allclose(series.values[1], late, atol=1)


def test_a_house_alone_is_read_without_the_column_of_the_houses(tmp_path):
    kept = "--task nilm --mode infer --ckpt x --time-col time --csv"
    alone = lay(tmp_path, mains=MAINS, kettle=KETTLE)
    config = replace(parse(f"{kept} {alone}".split()), id_col="dataid")
    assert id_col_of(config) == ""
    asked = parse(f"{kept} {alone} --id-col dataid".split())
    assert id_col_of(asked) == "dataid"  # and then that is an error


def uci(minutes: int) -> tuple[pandas.DataFrame, np.ndarray]:
    """The house of the UCI archive in lines of so many minutes, and the watts of one of its devices."""
    times = pandas.date_range("2006-12-16 17:24", periods=400, freq=f"{minutes}min")
    watts = np.where(np.arange(400) % 40 < 4, 1800.0, 0.0)
    columns = {"Global_active_power": (watts + 240) / 1000, "Voltage": 230.0, "Sub_metering_1": watts / 60}
    return pandas.DataFrame({"Date": times.strftime("%d/%m/%Y"), "Time": times.strftime("%H:%M:%S"), **columns}), watts


def test_the_house_of_uci_is_in_kilowatts_and_watt_hours_of_each_minute(tmp_path):
    """Taken as watts both, the kettle drew ten times the house."""
    table, watts = uci(1)
    table.to_csv(tmp_path / "home.csv", index=False, sep=";")
    series = read(tmp_path / "home.csv", "--time-col Date+Time --sep ;")
    np.testing.assert_allclose(series.values[0], watts + 240, rtol=1e-5)
    np.testing.assert_allclose(series.values[1], watts, rtol=1e-5)


@pytest.mark.parametrize("added", [False, True])
def test_the_house_of_uci_in_other_steps_is_brought_to_one_unit_by_the_hint(tmp_path, added):
    """`--mains-unit kW` was proposed, which holds for the house alone: its devices drew more than it, unsaid."""
    table, watts = uci(15)  # means of the quarters of an hour; or what minutes add up to
    columns = ["Global_active_power", "Sub_metering_1"]
    table[columns] *= 15 * 60 if added else 1  # of 15 hours, so that the sums are those of days
    table.to_csv(tmp_path / "home.csv", index=False)
    done = go(tmp_path, "--task nilm --csv home.csv --dry-run")
    assert done.code == 3 and "in other steps than minutes" in done.err, done.err
    command, _, rest = done.err.partition("hint: ")[2].partition(" brings both to ")
    subprocess.run([sys.executable, *shlex.split(command)[1:]], cwd=tmp_path, check=True)
    found = pandas.read_csv(tmp_path / "same_unit.csv")
    kilo = (watts + 240) / 1000, watts / 1000
    for name, expected in zip(columns, kilo, strict=True):
        np.testing.assert_allclose(found[name], expected * (15 if added else 1), rtol=1e-5)
    again = go(tmp_path, f"--task nilm {rest.partition(': ')[2]} --dry-run")
    assert again.code == 0, again.err


def test_readings_that_no_house_has_are_kilowatts(tmp_path):
    """As Dataport's, whose columns say no unit: all devices were below their thresholds, and nothing was learned."""
    plain = read(lay(tmp_path, mains=MAINS, kettle=KETTLE))
    path = lay(tmp_path, use=MAINS / 1000, kettle=KETTLE / 1000)
    np.testing.assert_allclose(read(path).values, plain.values, rtol=1e-5)
    np.testing.assert_allclose(read(path, "--mains-unit W").values, plain.values / 1000, rtol=1e-4)


def test_files_of_meters_whose_mains_a_flag_names(tmp_path):
    names = lay_apart(tmp_path / "house", **{"1": MAINS, "3": KETTLE})
    done = go(tmp_path, f"--task nilm --csv {' '.join(names)} --dry-run")
    assert done.code == 2 and "--mains-col 1 if that is the whole house's, or 1+3 for a sum" in done.err, done.err
    series = read_apart(names, "--mains-col 1")
    assert series.channels[1:] == ("3",) and np.nanmax(series.values[0]) == np.nanmax(MAINS)


@pytest.mark.parametrize(
    "name",
    ["sensor.smart_meter_power", "Stromzaehler_Leistung [W]", "Electricity Meter", "Stromzähler", "Zähler Gesamt (kW)"],
)
def test_more_names_of_mains(name):
    assert house_of([name, "kettle", "fridge"]) == (name, ["kettle", "fridge"])


def test_a_house_without_a_line_of_names(tmp_path):
    """The mains' first reading was taken for its name, and with the flag that the hint gave the line was lost."""
    named = lay(tmp_path, mains=MAINS, kettle=KETTLE)
    lines = named.read_text().splitlines()[1:]
    (tmp_path / "bare.csv").write_text("\n".join(lines) + "\n")
    done = go(tmp_path, "--task nilm --csv bare.csv --dry-run")
    assert done.code == 2 and "--mains-col 2 if it is the whole house's" in done.err and "are 2, 3" in done.err
    bare, plain = read(tmp_path / "bare.csv", "--time-col 1 --mains-col 2"), read(named)
    np.testing.assert_array_equal(bare.values, plain.values)
    assert bare.channels[1:] == ("3",)


def test_a_meter_of_several_measures_alone_is_the_mains_by_its_power(tmp_path):
    """In training the file's name says that it is the mains; in inference it stands alone, and its apparent power, the
    largest measure, was hinted at."""
    times = pandas.date_range("2024-01-01", periods=96, freq="60s")
    table = {"when": times, "Current": MAINS / 230, "Apparent (W)": MAINS * 1.5 + 30, "Active (W)": MAINS}
    pandas.DataFrame(table).to_csv(tmp_path / "main.csv", index=False)
    words = [
        "--task",
        "nilm",
        "--mode",
        "infer",
        "--ckpt",
        "x",
        "--time-col",
        "when",
        "--csv",
        str(tmp_path / "main.csv"),
    ]
    config = parse(words)
    options = tasks.build("nilm", config.options).options
    found = meters_of(options, config, ["kettle"])
    assert found.settings["mains_col"] == "Active (W)"
    assert "mains: 'Active (W)', the only column of power; --mains-col names another" in found.notes
    with pytest.raises(UsageError, match="no column is the mains"):  # without another column no device can be learned
        meters_of(options, config, None)
