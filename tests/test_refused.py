"""readers/refused.py: texts that are no table are refused with the reason, and the hint works as it is typed."""

from __future__ import annotations

import shlex
import subprocess
import sys

import numpy as np
import pytest

from .runs import go

DRAW = np.random.default_rng(0)
SPARSE = "".join(f"{(1, -1)[k % 2]} 1:{k % 7}.5 3:{k % 5} 4:{k % 3}.25\n" for k in range(60))
PAIRS = "".join(
    f" {year} {' '.join(f'{v:6.3f}' for v in DRAW.normal(size=13))}\n {year} {' '.join(map(str, range(12)))}\n"
    for year in range(1850, 1900)
)
IOSTAT = "Linux 5.15.0-91-generic (host) \t03/05/2024 \t_x86_64_\t(8 CPU)\n\n" + "".join(
    "avg-cpu:  %user   %nice %system %iowait  %steal   %idle\n"
    "           1.50    0.00    1.00    0.10    0.00   97.40\n\n"
    f"Device             tps    kB_read/s    kB_wrtn/s\nsda               {k % 9}.25        12.50        {k}.00\n"
    f"sdb               7.00        1.00        2.00\n\n"
    for k in range(60)
)
MIXTURE = "Time (seconds), CO conc (ppm), Ethylene conc (ppm), sensor readings (16 channels)\n" + "".join(
    f"{k / 100:.2f}   0.00   {12.5 * (k > 30):.2f}   {1500 + k % 7}.25  {1400 + k % 5}.5\n" for k in range(60)
)
KINDS = {
    "mixture": ("forecast", MIXTURE, "names 4 columns between commas, and those below it hold 5 numbers", ""),
    "libsvm": ("classify", SPARSE, "sparse rows of index:value", "60 rows of 4 steps"),
    "pairs": ("forecast", PAIRS, "lines of 14 and of 13 numbers take turns", ""),
    "iostat": ("forecast", IOSTAT, "a report of iostat", "1 row of 60 steps; 3 channels (tps, kB_read/s, kB_wrtn/s)"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_reason_and_a_hint_that_works(kind, tmp_path):
    task, text, why, read = KINDS[kind]
    (tmp_path / "x.txt").write_text(text)
    done = go(tmp_path, f"--task {task} --csv x.txt --dry-run")
    assert done.code == 3 and why in done.err and "x.txt" in done.err, done.err
    command, _, flags = done.err.partition("hint: ")[2].strip().partition(" writes ")
    command = command.replace("python -c", f"{shlex.quote(sys.executable)} -c")
    subprocess.run(command, cwd=tmp_path, check=True, shell=True)
    if read:
        flags = flags.partition(": ")[2]
        again = go(tmp_path, f"--task {task} {flags} --backbone gru --dry-run")
        assert again.code == 0 and read in again.err, again.err
    elif kind == "mixture":
        assert (tmp_path / "values.txt").read_text() == text.partition("\n")[2]
    else:
        lines = (tmp_path / "first.txt").read_text().splitlines()
        assert [line.split()[0] for line in lines] == list(map(str, range(1850, 1900)))


def test_the_values_of_the_sparse_rows_are_those_of_the_table(tmp_path):
    test_the_reason_and_a_hint_that_works("libsvm", tmp_path)
    dense = np.loadtxt(tmp_path / "dense.csv", delimiter=",")
    assert dense[1].tolist() == [1.5, 0, 1, 1.25, -1]  # -1 1:1.5 3:1 4:1.25
