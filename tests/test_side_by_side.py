"""Labels of the columns of a long table: the hint turns it, and works as it stands."""

from __future__ import annotations

import datetime
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from .runs import go

KINDS = ["office", "school"] * 6
LOADS = np.random.default_rng(0).normal(size=(48, 12)).round(2) + np.arange(12)
HOURS = [datetime.datetime(2018, 1, 1) + datetime.timedelta(hours=k) for k in range(48)]
COLUMNS = [f"b{k:02d}" for k in range(12)]


@pytest.mark.parametrize("sep", [",", ";"])
@pytest.mark.parametrize("across", [False, True])
def test_the_hint_turns_columns_into_rows(tmp_path, sep, across):
    mark = "," if sep == ";" else "."
    lines = [
        sep.join([str(hour), *(f"{v:.2f}".replace(".", mark) for v in row)])
        for hour, row in zip(HOURS, LOADS, strict=True)
    ]
    (tmp_path / "loads.csv").write_text("\n".join([sep.join(["time", *COLUMNS]), *lines]) + "\n")
    of = [["building", *COLUMNS], ["kind", *KINDS]]
    of = of if across else list(map(list, zip(*of, strict=True)))
    (tmp_path / "kinds.csv").write_text("\n".join(map(",".join, of)) + "\n")
    line = "--task classify --backbone gru --dry-run --csv {} --labels {}"
    done = go(tmp_path, line.format("loads.csv", "kinds.csv"))
    assert done.code == 3 and "holds labels of the columns of loads.csv (b00, b01" in done.err, done.err
    hint = done.err.partition("hint: ")[2]
    for command in hint.partition(" turns them")[0].split(" && "):
        words = shlex.split(command)
        assert words[:2] == ["python", "-c"]
        subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, check=True)
    files = re.search(r"--csv (\S+) --labels (\S+)", hint)
    assert files and files[2] == ("labels.csv" if across else "kinds.csv")
    again = go(tmp_path, line.format(*files.groups()))
    assert again.code == 0 and "12 rows of 48 steps" in again.err and "a step is 1 h" in again.err, again.err
    assert "true where it is school, and false where it is office" in again.err


def test_labels_of_rows_are_no_such(tmp_path):
    lines = [f"{hour},{','.join(map(str, row[:3]))}" for hour, row in zip(HOURS, LOADS, strict=True)]
    (tmp_path / "loads.csv").write_text("\n".join(["time,a,b,c", *lines]) + "\n")
    (tmp_path / "kinds.csv").write_text("row,kind\nx,office\ny,school\n")
    done = go(tmp_path, "--task classify --csv loads.csv --labels kinds.csv --dry-run")
    assert done.code == 3 and "of the columns of" not in done.err
