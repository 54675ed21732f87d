"""Reading, and what is held: long tables, panels of short series, meters, checkpoints."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.growing import row


def written(path: Path, lines: int, columns: int, freq: str = "min") -> Path:
    """A long CSV of normal noise with four decimals."""
    import pandas

    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(lines, columns)).round(4)).add_prefix("c")
    frame.insert(0, "time", pandas.date_range("2020-01-01", periods=lines, freq=freq))
    frame.to_csv(path, index=False)
    return path


@contextlib.contextmanager
def caching(folder: str) -> Iterator[None]:
    """With the cache in a folder, or off, whatever the age of files."""
    with mock.patch.dict(os.environ, TSRUN_CACHE=folder), mock.patch("readers.cache.RACY_NS", 0):
        yield


def read(path: Path, cache: str = "off") -> None:
    """Read a long table."""
    from readers.long import read_long

    with caching(cache):
        read_long([path], time_col="time")


def command(words: str, folder: Path, reference: str = "off") -> Callable[[], object]:
    """A run without its pictures, and mostly without references, nothing of which is cached."""
    import run

    kept = [] if reference == "on" else ["--reference", reference]
    argv = [*words.split(), "--no-plots", "--quiet", "--overwrite", *kept, "--out", str(folder / "out")]

    def work() -> None:
        with caching("off"):
            assert run.main(argv) == 0

    return work


@row("long", "lines", sizes=(100_000, 1_000_000), large=(10_000_000,), least=200)
def long(folder: Path, size: int) -> Callable[[], object]:
    """A long CSV of eight columns."""
    path = written(folder / "long.csv", size, 8)
    return lambda: read(path)


@row("long again", "lines", sizes=(100_000, 1_000_000), large=(10_000_000,), least=200)
def again(folder: Path, size: int) -> Callable[[], object]:
    """The same from the cache."""
    path = written(folder / "long.csv", size, 8)
    read(path, str(folder / "cache"))
    return lambda: read(path, str(folder / "cache"))


@row("long, many columns", "columns", sizes=(400, 1600), large=(6400,), least=8)
def columns(folder: Path, size: int) -> Callable[[], object]:
    """A long CSV of 2,000 lines."""
    path = written(folder / "wide.csv", 2000, size)
    return lambda: read(path)


@row("training", "steps", sizes=(100_000, 1_000_000), large=(10_000_000,), least=1000)
def training(folder: Path, size: int) -> Callable[[], object]:
    """DLinear on eight channels, for an epoch of at most 20,000 windows: what is held grows with the data alone."""
    path, stride = written(folder / "long.csv", size, 8), max(size // 20_000, 1)
    words = f"--mode train --task forecast --csv {path} --time-col time --backbone dlinear --epochs 1 --stride {stride}"
    return command(f"{words} --context-len 96 --horizon 24", folder)


@row("series", "series", sizes=(1000, 10_000), large=(100_000,), least=20, at_100000=14.4)
def series(folder: Path, size: int) -> Callable[[], object]:
    """Short monthly series, forecast with a ridge."""
    random, months = np.random.default_rng(0), np.arange("2020-01", "2022-07", dtype="datetime64[M]").astype("M8[D]")
    with (folder / "series.csv").open("w", encoding="utf-8") as file:
        file.write("id,time,y\n")
        for number, first in enumerate(random.integers(0, 6, size)):
            values = 100 + 10 * np.sin(np.arange(24) / 12 * 2 * np.pi) + random.normal(0, 3, 24)
            times = months[first : first + 24]
            file.writelines(f"s{number},{time},{value:.2f}\n" for time, value in zip(times, values, strict=True))
    words = f"--mode train --task forecast --csv {folder / 'series.csv'} --time-col time --id-col id --backbone ridge"
    return command(f"{words} --context-len 12 --horizon 3", folder)


@row("timeline", "steps", sizes=(100_000, 1_000_000), large=(10_000_000,), least=700)
def timeline(folder: Path, size: int) -> Callable[[], object]:
    """The lines of timeline.csv for a meter with three devices."""
    from rundir import texts, write_columns

    random = np.random.default_rng(0)
    watts = (50 * random.integers(0, 40, (3, size))).astype(np.float64)
    score = random.random((3, size), np.float32)

    def work() -> None:
        parts = (slice(begin, begin + (1 << 16)) for begin in range(0, size, 1 << 16))
        blocks = ([texts(one[part]) for one in (*score, *watts)] for part in parts)
        write_columns(folder / "timeline.csv", ["p1", "p2", "p3", "W1", "W2", "W3"], blocks)

    return work


@row("checkpoint", "MB", sizes=(16, 64), large=(256,), least=1)
def saved(folder: Path, size: int) -> Callable[[], object]:
    """Weights of so many MB, saved."""
    import torch

    import checkpoint

    state = {f"w{k}": torch.zeros(size * 1_000_000 // 32) for k in range(8)}
    return lambda: checkpoint.save(folder / "model.pt", {"state": state})
