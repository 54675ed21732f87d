"""Real processes under limits and on streams that nobody reads: the exit code says what became of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .. import forkserver
from ..conftest import ROOT

RUN = "--mode train --task classify --csv a.csv --context-len 8 --backbone linear --no-wide --epochs 1 --no-plots"
RUN += " --reference off"
NAME = "train_classify_ctx8_ch1_alpha0.50_pwglobal_linear_nowide_seed777_splitgroup"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A folder with a small table."""
    table = np.random.default_rng(0).poisson(1.0, (20, 30))
    (tmp_path / "a.csv").write_text("\n".join(",".join(map(str, row)) for row in table))
    return tmp_path


def in_a_shell(box: Path, script: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`sh -c SCRIPT` in the box, with the command line of a run as its arguments."""
    argv = ["bash", "-c", script, "bash", sys.executable, str(ROOT / "run.py"), *RUN.split(), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | settings
    return subprocess.run(argv, cwd=box, env=environment, capture_output=True, text=True, errors="replace")


@pytest.mark.fault("a closed stdout", "exit 0, and the run is in place")
@pytest.mark.parametrize(
    "script",
    ['"$@" >&-', '"$@" >/dev/full', 'set -o pipefail; "$@" | true', '"$@" >&- 2>&-'],
    ids=["closed", "full", "pipe", "both closed"],
)
def test_a_result_that_cannot_be_printed_is_no_lost_run(box, script):
    done = in_a_shell(box, script)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert (box / "artifacts" / NAME / "metrics.json").is_file()


@pytest.mark.fault("a path with spaces", "taken as it is")
@pytest.mark.fault("a path with quotes", "taken as it is")
@pytest.mark.fault("a path in Korean", "taken as it is")
@pytest.mark.fault(
    "LANG=C",
    "exit 0; letters that the terminal does not have are escaped on it, and whole in the files",
)
def test_an_ascii_terminal_and_korean_paths(box):
    (box / "a.csv").rename(box / "수요 '예측'.csv")
    words = ["--csv", "수요 '예측'.csv", "--out", "결과"]
    done = in_a_shell(box, '"$@"', *words, LANG="C", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert (box / "결과" / NAME / "metrics.json").is_file()


@pytest.mark.fault("a name that is no text", "taken as it is")
def test_names_that_are_no_text(box):
    """A file system takes any bytes."""
    name = os.fsdecode(b"\xff\xfe.csv")
    (box / "a.csv").rename(box / name)
    done = in_a_shell(box, '"$@"', "--csv", name)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


@pytest.mark.fault("a limit of file sizes", "exit 6 with the limit to raise")
@pytest.mark.fault("too few file descriptors", "six are enough, or exit 6 with the limit to raise")
@pytest.mark.parametrize(("limit", "text"), [("-f 2", "largest size"), ("-n 6", "files are open")])
def test_a_limit_of_the_shell_is_exit_6(box, limit, text):
    done = in_a_shell(box, f'ulimit {limit}; "$@"')
    assert done.returncode in ((6,) if "-f" in limit else (0, 6)) and "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0 or text in done.stderr


@pytest.mark.fault("no HOME", "exit 0; nothing is kept between runs")
@pytest.mark.fault("no terminal", "exit 0")
def test_no_home_and_no_terminal(box):
    done = in_a_shell(box, 'unset HOME TSRUN_CACHE; "$@" </dev/null')
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


TOOLS = ("deddiag_db", "export", "federate", "report", "stream", "synth")


ENTRIES = ["run.py", "search.py", "nas_agent", *(f"tools/{name}.py" for name in TOOLS)]


@pytest.mark.fault("SIGTERM and SIGINT while a command imports", "exit 143 and 130, and not a word of Python's")
@pytest.mark.parametrize(
    ("entry", "number"), [*((entry, signal.SIGINT) for entry in ENTRIES), ("run.py", signal.SIGTERM)]
)
def test_a_signal_while_a_command_imports_is_130_or_143(entry, number, tmp_path):
    """It comes when the first module of ours is asked for; before its first lines it is Python alone that starts.

    SIGTERM ends the process as it ends any; a shell calls that 143.
    """
    code = f"""
import os, runpy, signal, sys
class Hook:
    def find_spec(self, name, *rest):
        if name in ("errors", "nas_agent.claims"):
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Hook())
sys.path.insert(0, {str(ROOT)!r})
sys.argv = ["-m"]
entry = {entry!r}
runpy.run_path(os.path.join({str(ROOT)!r}, entry), run_name="__main__") if "." in entry else __import__(entry)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130 if number == signal.SIGINT else -number, "")


@pytest.mark.fault("an output that vanishes", "exit 3 with what the system says")
def test_a_folder_that_vanishes_is_told(box):
    """The output is taken away while the run is under way."""
    script = "import shutil, sys, pipeline, run\nstart = pipeline._learn_fold\n"
    script += "def lose(*given):\n    found = start(*given)\n    shutil.rmtree('artifacts')\n    return found\n"
    script += "pipeline._learn_fold = lose\nsys.exit(run.main(sys.argv[1:]))"
    done = forkserver.run("-c", script, *RUN.split(), cwd=box, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr


SHARE = """
import hashlib, sys
import cli, data
from readers import cache
cache.LEAST_BYTES = cache.RACY_NS = 0
parsed = []
store = cache.store
cache.store = lambda *given: parsed.append(1) or store(*given)
series = data.read(cli.parse(["--mode=train", "--task=regress", "--csv=a.csv", "--context-len=2"]))
print(hashlib.sha256(series.values).hexdigest(), len(parsed), *series.notes)
"""


@pytest.mark.fault(
    "a cache that several jobs share",
    "each reads the same numbers, whoever wrote them; one entry is left, and it is whole",
)
def test_eight_jobs_at_once_on_one_cache(box):
    settings = os.environ | {"PYTHONPATH": str(ROOT), "TSRUN_CACHE": "cache", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", SHARE]
    pipe = subprocess.PIPE
    jobs = [forkserver.Popen(words, cwd=box, env=settings, stdout=pipe, stderr=pipe, text=True) for _ in range(8)]
    said = [job.communicate(timeout=120) for job in jobs]
    assert [job.returncode for job in jobs] == [0] * 8, said
    numbers, wrote = ({out.split()[k] for out, _ in said} for k in range(2))
    assert len(numbers) == 1 and "1" in wrote and "no cache" not in str(said)
    assert [path.suffix for path in (box / "cache").iterdir()] == [".table"]
    again = forkserver.run("-c", SHARE, cwd=box, env=settings)
    assert again.stdout.split()[:2] == [*numbers, "0"], again.stderr  # from the cache
