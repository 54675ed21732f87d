"""The doors by which a stranger's rubbish comes in.

A target takes rubbish of one kind and hands it to the code that reads it. It may be accepted or refused with an error
of errors.py; anything else that is raised, and two seconds of CPU, is a fault.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

import checkpoint
import cli
import data
import run
from errors import TsrunError
from experiments import config_file
from readers.npz import read_npz
from readers.paths import expand_paths
from streaming import meter, steps

from ..conftest import ROOT
from . import checkpoints, rubbish

MOST_SECONDS = 2.0  # of CPU for one try, whatever else the machine does
SECONDS = {"whole_runs": 20.0, "checkpoint_types": 20.0}  # with imports, and a training
Door = Callable[[Any, Path], object]
TARGETS: dict[str, tuple[st.SearchStrategy[Any], Door]] = {}


class Hung(AssertionError):
    """A try took longer than MOST_SECONDS."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Hung where the block takes longer, by the clock of this process alone."""

    def stop(*_: object) -> None:
        raise Hung(f"more than {seconds:g} s of CPU")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def attempt(name: str, thing: Any, folder: Path) -> bool:
    """Hand rubbish to a target; whether it was accepted. What is raised here is a fault."""
    here = Path.cwd()
    os.chdir(folder)
    silence = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    try:
        with silence[0], silence[1], limited(SECONDS.get(name, MOST_SECONDS)):
            return TARGETS[name][1](thing, folder) is not False
    except TsrunError as error:
        assert str(error) and error.exit_code in (2, 3, 4, 5, 6)
        return False
    finally:
        os.chdir(here)


def target(strategy: st.SearchStrategy[Any]) -> Callable[[Door], Door]:
    """Make a function a target under its own name; it returns False where it refused what it was given."""

    def kept(function: Door) -> Door:
        TARGETS[function.__name__] = strategy, function
        return function

    return kept


# --- files -----------------------------------------------------------------------------------------------------------


def _read(content: bytes, folder: Path, *words: str) -> None:
    """What is accepted comes back the same the second time, and without a number that is none."""
    (folder / "t.csv").write_bytes(content)
    config = cli.parse(["--mode", "train", "--task", "regress", "--nan=error", "--csv=t.csv", *words])
    first, again = data.read(config), data.read(config)
    np.testing.assert_array_equal(first.values, again.values)
    assert np.isfinite(first.values).all()


@target(rubbish.tables)
def wide_csv(content: bytes, folder: Path) -> None:
    _read(content, folder, "--context-len=2")


@target(rubbish.tables)
def long_csv(content: bytes, folder: Path) -> None:
    _read(content, folder, "--context-len=2", "--time-col=time")


@target(rubbish.braces)
def braces(pattern: str, folder: Path) -> None:
    with contextlib.suppress(UnicodeEncodeError):  # no shell hands such text over
        pattern.encode()
        expand_paths([pattern])


@target(rubbish.archives)
def npz(content: bytes, folder: Path) -> None:
    (folder / "a.npz").write_bytes(content)
    series = read_npz(folder / "a.npz", nan="drop")
    json.dumps([series.channels, series.rows, series.label_names, series.label_words], ensure_ascii=False).encode()


# --- settings --------------------------------------------------------------------------------------------------------


@target(rubbish.settings)
def yaml_flags(text: str, folder: Path) -> None:
    (folder / "c.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    cli.parse(["--mode", "train", "--task", "regress", "--csv", "t.csv", "--context-len", "4", "--config", "c.yaml"])


@target(rubbish.experiments)
def python_config(text: str, folder: Path) -> None:
    made = config_file.parse_text(text, "c.py")
    assert config_file.parse_text(config_file.to_text(made.plain()), "c.py").plain() == made.plain()


@target(rubbish.experiments_yaml)
def yaml_config(text: str, folder: Path) -> None:
    config_file.parse_text(text, "c.yaml")


@target(rubbish.runs)
def whole_runs(given: tuple[str, list[tuple[str, str]]], folder: Path) -> bool:
    """Any value of any flag, in a short run."""
    task, values = given
    lines = [f"2024-01-01 {k:02d}:00,a,{k % 5},{k % 3}\n" for k in range(24)]
    (folder / "t.csv").write_text("time,site,load,wind\n" + "".join(lines))
    base = "--csv t.csv --time-col time --context-len 4 --split-mode holdout --backbone linear --epochs 1 --no-plots"
    words = f"--mode train --task {task} {rubbish.BASE[task]} {base} --quiet --overwrite".split()
    code = run.main([*words, *(f"{option}={value}" for option, value in values)])
    assert code in range(7), code
    return code == 0


# --- messages --------------------------------------------------------------------------------------------------------

SIZES = {"visual": 2, "audio": 3}


@target(st.lists(rubbish.messages, max_size=6))
def sensor_messages(given: list[bytes], folder: Path) -> bool:
    aligner, taken = steps.Aligner(2, 1.0, 0.1, 3), 0
    for message in given:
        with contextlib.suppress(ValueError):  # counted and told by the tally
            reading = steps.parse(message, SIZES)
            assert np.isfinite(reading.values).all() and np.isfinite(reading.time)
            assert len(aligner.take(reading)) < 100
            taken += 1
    assert len(aligner.end()) < 100
    return taken > 0


@target(rubbish.samples)
def meter_lines(line: bytes, folder: Path) -> bool:
    try:
        sample = meter.parse(line)
        meter.on_the_wall(sample.time, "Europe/Berlin")
    except ValueError:
        return False
    assert not abs(sample.watts) > meter.MOST_WATTS
    return True


# --- checkpoints -----------------------------------------------------------------------------------------------------

FIXTURES = ROOT / "tests" / "fixtures"
STORED = {task: checkpoint.read(FIXTURES / f"schema1_{task}.pt") for task in ("classify", "regress", "nilm")}


@target(rubbish.spoiled((FIXTURES / "schema1_regress.pt").read_bytes()))
def checkpoint_bytes(content: bytes, folder: Path) -> None:
    (folder / "model.pt").write_bytes(content)
    checkpoint.Checkpoint.load(folder / "model.pt")


@functools.cache
def of_forecast() -> dict[str, Any]:
    """The content of a checkpoint of a forecast, fresh from training."""
    with tempfile.TemporaryDirectory() as folder:
        table = "".join(f"2024-01-01 {k:02d}:00,{k % 5},{k % 3}\n" for k in range(24))
        (Path(folder) / "t.csv").write_text("time,load,wind\n" + table)
        words = f"--mode train --task forecast --csv {folder}/t.csv --time-col time --context-len 4 --horizon 2 --tag f"
        more = (
            f"--split-mode holdout --backbone linear --epochs 1 --no-plots --quiet --reference off --out {folder}/out"
        )
        with contextlib.redirect_stdout(io.StringIO()):
            assert run.main(f"{words} {more}".split()) == 0
        return checkpoint.read(Path(folder) / "out" / "f" / "model.pt.best")


@functools.cache
def of_labels() -> dict[str, Any]:
    """The content of a checkpoint of labels with a closed form under its net, fresh from training."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [",".join(str((k * n + k // 7) % 3) for k in range(60)) for n in range(1, 31)]
        (Path(folder) / "a.csv").write_text("\n".join(rows) + "\n")
        words = f"--mode train --task classify --csv {folder}/a.csv --context-len 4 --backbone gru --epochs 1 --tag f"
        with contextlib.redirect_stdout(io.StringIO()):
            assert run.main(f"{words} --no-plots --quiet --reference off --out {folder}/out".split()) == 0
        return checkpoint.read(Path(folder) / "out" / "f" / "model.pt.best")


FRESH = {"forecast": of_forecast, "labels": of_labels}


def _spoiled(name: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    content = FRESH[name]() if name in FRESH else STORED[name]
    return st.tuples(st.just("classify" if name == "labels" else name), checkpoints.spoiled(content))


contents = st.sampled_from([*sorted(STORED), *FRESH]).flatmap(_spoiled)


@target(contents)
def checkpoint_types(given: tuple[str, dict[str, Any]], folder: Path) -> bool:
    """A right checksum and wrong types: refused, or predictions that are numbers."""
    task, content = given
    checkpoint.save(folder / "model.pt", content)
    (folder / "a.csv").write_text("1,0,2,3,0,1,4,2,0\n2,0,1,0,3,1,1,0,5\n")
    lines = [f"2024-01-01 00:0{k // 6}:{k % 6}0,{k % 5 * 400},{k % 3 * 900}\n" for k in range(30)]
    (folder / "house.csv").write_text("time,mains,kettle\n" + "".join(lines))
    hours = "".join(f"2024-01-01 {k:02d}:00,{k % 5},{k % 3}\n" for k in range(24))
    (folder / "t.csv").write_text("time,load,wind\n" + hours)
    files = {"nilm": "house.csv --time-col time", "forecast": "t.csv --time-col time"}
    words = f"--mode infer --task {task} --csv {files.get(task, 'a.csv')} --ckpt model.pt --no-plots --quiet"
    code = run.main([*words.split(), "--reference", "off", "--overwrite"])
    assert code in (0, 2, 3, 4, 6), code
    return code == 0
