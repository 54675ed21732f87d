"""Every flag about data, for every kind of data: it changes what is read, or it is refused and says what it is for."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import cli
import tasks
from errors import TsrunError, UsageError
from sources.kinds import KINDS, READS

from .runs import go
from .test_layouts import refit

VALUES = {  # a value that is not the default, for the flags that want one of their own
    "time_col": "time", "id_col": "site", "columns": "x", "resample": "2h", "tz": "Asia/Tokyo", "header": "yes",
    "index": "no", "sep": ";", "decimal": ",", "nan": "zero", "device_cols": "lamp=b", "mains_col": "c",
    "mains_unit": "kW", "device_unit": "kWh", "start": "2024-01-01 03:00", "end": "2024-01-01 05:00",
    "max_ffill": "200", "db_timeout": "7", "house": "3", "devices": "35", "db_schema": "power", "db_reader": "function",
    "known_future": "y", "mains": "59", "labels": "labels.csv", "groups": "groups.csv", "na": "5", "thousands": "'",
    "date_order": "dmy", "categorical": "x", "max_levels": "2",
    "drop_columns": "x",
}  # fmt: skip
INSTEAD = {  # files in which these have something to do
    "sort": {"house.csv": "turned.csv"},
    "date_order": {"long.csv": "days.csv", "house.csv": "days_house.csv"},
    "thousands": {"a.csv": "marked.csv", "long.csv": "marked_long.csv", "house.csv": "marked_house.csv"},
}
# Flags of the group Data that name the data, or say what is learned from any kind of them.
ANYWHERE = {
    "demo", "csv", "npz", "db", "db_query", "label_src_ch", "drop_label_from_x", "features", "target", "dataset",
    "drop_flatlines", "nilm_features", "strict", "shard",
}  # fmt: skip
PLACES = {  # the flags that name each kind of data
    "demo": "--demo", "npz": "--npz a.npz", "query": "--db embedded:x --db-query q.sql",
    "tables": "--db embedded:x --mains 1 --devices 2", "wide": "--csv a.csv b.csv",
    "layout": "--csv CLEAN_House2.csv --dataset refit",
}  # fmt: skip
LONG = {
    "nilm": "--csv house.csv --time-col time --mains-col a --device-cols lamp=c",
    "": "--csv long.csv --time-col time",
}


def words(task: str, kind: str) -> list[str]:
    more = ["--resample", "10s"] if task == "nilm" and kind not in ("demo", "npz") else []
    place = LONG.get(task, LONG[""]) if kind == "long" else PLACES[kind]
    return ["--mode", "train", "--task", task, "--context-len", "4", *place.split(), *more]


def kinds_of(task: str) -> list[str]:
    own = ("demo", "tables", "layout", "long", "npz")
    return [kind for kind in KINDS if (kind in own if task == "nilm" else kind not in ("tables", "layout"))]


def given(flag, kind: str) -> list[str]:
    if kind == "layout" and flag.name == "end":
        return ["--end", "2013-10-09 13:10"]
    return [flag.option] if flag.kind is bool else [flag.option, VALUES[flag.name]]


CASES = [
    (task, kind, flag)
    for task in tasks.names()
    for kind in kinds_of(task)
    for flag in tasks.every_flag(task)
    if (flag.reads or flag.name in READS) and flag.name not in tasks.table(task, "UNUSED")
]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with small data of each kind, in which every flag has something to do."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(1)
    for name in "ab":
        table = [[f"part {row}", *rng.integers(1, 9, 9)] for row in range(6)]
        table[2][4] = ""
        (folder / f"{name}.csv").write_text("\n".join(",".join(map(str, line)) for line in table) + "\n")
    lines = [f"2024-01-01 {hour:02d}:00,s{hour % 3},{rng.integers(9)},{2 * hour}" for hour in range(20)]
    lines[7] = lines[7].rsplit(",", 1)[0] + ","
    (folder / "long.csv").write_text("time,site,x,y\n" + "\n".join(lines) + "\n")
    seconds = np.delete(np.arange(0, 30000, 10), np.arange(900, 912))  # a gap of two minutes
    at = np.datetime64("2024-01-01T00:00:00") + seconds.astype("timedelta64[s]")
    power = [f"{t},{i % 7 + 100},{i % 11},{i % 50}".replace("T", " ") for i, t in enumerate(at)]
    (folder / "house.csv").write_text("time,a,b,c\n" + "\n".join(power) + "\n")
    (folder / "turned.csv").write_text("time,a,b,c\n" + "\n".join([power[5], *power[:5], *power[6:]]) + "\n")
    for name, table in (("", lines), ("_house", power)):
        head = "time,a,b,c\n" if name else "time,site,x,y\n"
        few = [line for line in table if line.startswith("2024-01-01")]
        days = [re.sub(r"2024-01-(\d\d)", r"\1/02/2024", line) for line in few]  # 1 February, or 2 January
        (folder / f"days{name}.csv").write_text(head + "\n".join(days) + "\n")
        marked = [re.sub(r",(\d+)$", r",1'23\1", line) if len(line.rpartition(",")[2]) == 1 else line for line in few]
        (folder / f"marked{name or '_long'}.csv").write_text(head + "\n".join(marked) + "\n")
    told = (folder / "a.csv").read_text()
    (folder / "marked.csv").write_text(re.sub(r",(\d)$", r",1'23\1", told, flags=re.MULTILINE))
    house = refit(folder, steps=100)
    told = house.read_text().splitlines()
    house.write_text("\n".join([*told[:40], *told[55:]]) + "\n")
    (folder / "labels.csv").write_text("\n".join("010101") + "\n")
    (folder / "groups.csv").write_text("\n".join("aabbcc") + "\n")
    return folder


def test_every_flag_about_data_is_listed_with_the_kinds_that_it_is_for():
    for task in tasks.names():
        for flag in tasks.every_flag(task):
            if flag.group == "Data":
                assert bool(flag.reads or flag.name in READS) != (flag.name in ANYWHERE), flag.option
                assert set(flag.reads or READS.get(flag.name, ())) <= set(KINDS)


@pytest.mark.parametrize(("task", "kind", "flag"), CASES, ids=lambda part: part if isinstance(part, str) else part.name)
def test_a_flag_that_does_nothing_is_an_error_that_says_what_it_is_for(task, kind, flag):
    reads = flag.reads or READS[flag.name]
    if kind in ("wide", "layout") and flag.name in ("time_col", "dataset"):
        pytest.skip("names another kind of data")
    try:
        cli.parse([*words(task, kind), *given(flag, kind)])
        refused = ""
    except UsageError as error:
        refused = next((line for line in str(error).splitlines() if "belong" in line and flag.option in line), "")
    assert bool(refused) == (kind not in reads), refused
    if refused:
        assert f"with {KINDS[kind]}" in refused and any(word in refused for word in ("--csv", "--db", "--npz"))


def read(folder: Path, argv: list[str], monkeypatch) -> object:
    """What is read, as comparable values, or the message."""
    monkeypatch.chdir(folder)
    config = cli.parse(argv)
    try:
        series = tasks.build(config.task, config.options).read(config, None)
    except TsrunError as error:
        return str(error)
    parts = (series.values, series.offsets, series.time, series.labels, series.groups)
    found = [None if part is None else np.asarray(part).tobytes() for part in parts]
    return [*found, series.channels, series.rows, series.clock, series.known]


FILES = ("wide", "long", "layout")
TAKEN = [case for case in CASES if case[1] in FILES and case[1] in (case[2].reads or READS[case[2].name])]


@pytest.mark.parametrize(("task", "kind", "flag"), TAKEN, ids=lambda part: part if isinstance(part, str) else part.name)
def test_a_flag_that_is_taken_changes_what_is_read(task, kind, flag, files, monkeypatch):
    if flag.name in ("time_col", "dataset"):
        pytest.skip("names the kind itself")
    if flag.name in ("max_levels", "drop_columns"):
        pytest.skip("says what becomes of what is read, see test_levels.py and test_repeats.py")
    base = words(task, kind)
    base = [INSTEAD.get(flag.name, {}).get(word, word) for word in base]
    if task != "nilm" and flag.name != "nan":
        base += ["--nan", "zero"]
    if flag.name == "thousands":
        base += ["--strict"]  # else these marks are taken, as nothing else fits
    assert read(files, base, monkeypatch) != read(files, [*base, *given(flag, kind)], monkeypatch)


def test_flags_of_one_mistake_are_told_in_one_line():
    with pytest.raises(UsageError) as caught:
        cli.parse("--mode train --task forecast --csv a.csv --context-len 4 --resample 1h --tz UTC".split())
    told = "--resample, --tz belong to --csv with --time-col or --db or --dataset: with --csv without --time-col they "
    assert str(caught.value) == told + "do nothing"


@pytest.mark.parametrize("task", tasks.names())
def test_a_flag_at_its_default_does_no_harm(task):
    """config.yaml of a run lists every flag."""
    usual = tasks.usual(task)
    for kind, flag in itertools.product(kinds_of(task), tasks.every_flag(task)):
        value = usual[flag.name]
        if (flag.reads or flag.name in READS) and flag.kind is not bool and value not in ("", ()):
            cli.parse([*words(task, kind), flag.option, str(value)])


@pytest.mark.parametrize("more", ["--label-src-ch 1", "--drop-label-from-x", "--label-offset 2"])
def test_a_channel_for_the_label_is_none_beside_labels(more):
    line = f"--mode train --task classify --csv a.csv --labels y.csv {more}"
    with pytest.raises(UsageError, match=f"{more.split()[0]} does nothing with --labels"):
        cli.parse(line.split())
    cli.parse([*line.split()[:8], "--label-src-ch", "0", "--label-offset", "1"])


def test_flags_of_training_are_told_where_nothing_is_trained_by_steps(tmp_path):
    line = "--mode train --task forecast --demo --context-len 24 --horizon 6 --dry-run --lr 0.1 --epochs 3"
    told = go(tmp_path, line).err
    assert "warning: --epochs, --lr do nothing: auto is solved at once; --backbone gru is trained" in told
    assert "do nothing" not in go(tmp_path, line, "--backbone dlinear").err


def test_flags_of_training_are_told_in_inference(tmp_path):
    line = "--mode train --task regress --demo --stride 20 --backbone linear --epochs 1 --no-plots --reference off"
    assert go(tmp_path, line, "--tag a").code == 0
    infer = "--mode infer --demo --ckpt artifacts/a --no-plots --reference off"
    done = go(tmp_path, f"{infer} --lr 0.1 --epochs 3 --batch-size 64")
    assert done.code == 0 and "warning: --epochs, --lr do nothing: inference trains nothing" in done.err
    assert "do nothing" not in go(tmp_path, f"{infer} --overwrite").err
