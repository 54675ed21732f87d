"""Whole commands of each task on more and more data: what should follow its windows, channels, files and classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.growing import row
from benchmarks.growing.models import hourly
from benchmarks.growing.reading import caching, command

LONG = "--time-col time --epochs 1"


def table(path: Path, values: np.ndarray, names: list[str], freq: str = "h", decimals: int = 3) -> Path:
    """A long CSV of channels [C, n]."""
    import pandas

    frame = pandas.DataFrame(values.T.round(decimals), columns=names)
    frame.insert(0, "time", pandas.date_range("2000-01-01", periods=len(frame), freq=freq))
    frame.to_csv(path, index=False)
    return path


def wide(folder: Path, rows: int, steps: int, channels: int) -> str:
    """Wide CSVs of noisy steps whose last channel is now and then above the others; their names."""
    random, names = np.random.default_rng(0), []
    for channel in range(channels):
        values = random.normal(size=(rows, steps)).cumsum(axis=1) * 0.3 + random.normal(size=(rows, steps))
        values = (values > 2).astype(float) if channel == 0 else values
        names.append(str(folder / f"c{channel}.csv"))
        np.savetxt(names[-1], values, fmt="%.3f", delimiter=",")
    return " ".join(names)


@row("nilm", "steps", sizes=(100_000, 1_000_000), large=(10_000_000,), least=20_000)
def nilm(folder: Path, size: int) -> Callable[[], object]:
    """A meter with three devices, a small network for an epoch of about 500 windows: what stands around training."""
    random = np.random.default_rng(0)
    watts = np.zeros((4, size), np.float32)
    for device in watts[1:]:
        for begin in range(0, size, 7200):
            device[begin + random.integers(0, 3600) :][: random.integers(600, 3600)] = random.uniform(100, 2000)
        watts[0] += device
    watts[0] += 60 + random.normal(0, 2, size)
    path = table(folder / "house.csv", watts, ["mains", "a", "b", "c"], "s", 1)
    words = f"--mode train --task nilm --csv {path} {LONG} --resample 1s --stride {max(size // 500, 600)}"
    return command(f"{words} --backbone gru --model-args hidden=8 --seeds 1", folder)


@row("forecasts", "windows", sizes=(1000, 10_000), large=(50_000,), least=300)
def forecasts(folder: Path, size: int) -> Callable[[], object]:
    """Windows of eight channels that are forecast 192 steps ahead and scored, with references and intervals."""
    path = table(folder / "t.csv", hourly(900 + 500 + size + 191, 8), [f"x{k}" for k in range(8)])
    words = f"--mode train --task forecast --csv {path} {LONG} --backbone dlinear --context-len 96 --horizon 192"
    return command(f"{words} --split-sizes 900 500 {size + 191} --batch-size 512", folder, "on")


@row("labels", "rows", sizes=(300, 3000), large=(30_000,), least=40)
def labels(folder: Path, size: int) -> Callable[[], object]:
    """Rows of 40 steps, classified step by step, with the references."""
    words = (
        f"--mode train --task classify --csv {wide(folder, size, 40, 4)} --context-len 31 --backbone linear --epochs 1"
    )
    return command(words, folder, "on")


@row("values", "rows", sizes=(300, 3000), large=(30_000,), least=40)
def values(folder: Path, size: int) -> Callable[[], object]:
    """Rows of 40 steps, whose next value is regressed, with the references."""
    words = f"--mode train --task regress --csv {wide(folder, size, 40, 4)} --label-src-ch 1 --context-len 31"
    return command(f"{words} --backbone linear --epochs 1", folder, "on")


@row("channels", "channels", sizes=(100, 1000), large=(10_000,), least=4)
def channels(folder: Path, size: int) -> Callable[[], object]:
    """A forecast of many channels of 300 steps."""
    path = table(folder / "t.csv", hourly(300, size), [f"x{k}" for k in range(size)])
    words = f"--mode train --task forecast --csv {path} {LONG} --backbone ridge --context-len 24 --horizon 6"
    return command(words, folder)


@row("files", "files", sizes=(100, 1000), large=(10_000,), least=4)
def files(folder: Path, size: int) -> Callable[[], object]:
    """A forecast of many small files, each a series."""
    for number, series in enumerate(hourly(60, size)):
        table(folder / f"s{number}.csv", series[None], ["y"])
    words = f"--mode train --task forecast --csv {folder}/s*.csv {LONG} --backbone ridge --context-len 12 --horizon 3"
    return command(words, folder)


@row("classes", "classes", sizes=(10, 40), large=(100, 300), least=3)
def classes(folder: Path, size: int) -> Callable[[], object]:
    """Twenty labelled rows of each class."""
    random, of = np.random.default_rng(0), np.repeat(np.arange(size), 20)
    rows = np.sin(np.arange(50) * (0.1 + 0.9 * of[:, None] / size)) + random.normal(0, 0.3, (len(of), 50))
    np.savetxt(folder / "x.csv", rows, fmt="%.3f", delimiter=",")
    (folder / "y.csv").write_text("\n".join(["label", *(f"k{each}" for each in of)]))
    words = f"--mode train --task classify --csv {folder}/x.csv --labels {folder}/y.csv --backbone linear --epochs 1"
    return command(words, folder, "on")


@row("groups", "groups", sizes=(100, 1000), large=(10_000,), least=6)
def groups(folder: Path, size: int) -> Callable[[], object]:
    """Rows of as many groups, three each, which are split by them."""
    (folder / "g.csv").write_text("\n".join(["group", *(f"g{number // 3}" for number in range(3 * size))]))
    words = f"--mode train --task classify --csv {wide(folder, 3 * size, 20, 2)} --groups {folder}/g.csv"
    return command(f"{words} --context-len 15 --backbone linear --epochs 1", folder)


@row("gaps", "gaps", sizes=(1000, 10_000), large=(100_000,), least=10)
def gaps(folder: Path, size: int) -> Callable[[], object]:
    """A series in which one step in fifty is missing."""
    series = hourly(50 * size, 2)
    series[0, np.random.default_rng(0).choice(50 * size, size, replace=False)] = np.nan
    path = table(folder / "t.csv", series, ["x", "y"], "min")
    words = (
        f"--mode train --task forecast --csv {path} {LONG} --nan drop --backbone dlinear --context-len 12 --horizon 3"
    )
    return command(f"{words} --stride {max(size // 1000, 1) * 10}", folder)


@row("devices", "devices", sizes=(3, 10), large=(30,), least=2)
def devices(folder: Path, size: int) -> Callable[[], object]:
    """A meter of 100,000 steps with many devices."""
    random = np.random.default_rng(0)
    on = np.repeat(random.random((size, 500)) < 0.3, 200, axis=1)
    watts = on * random.uniform(50, 2000, (size, 1))
    path = table(
        folder / "h.csv",
        np.concatenate([watts.sum(axis=0)[None] + 60, watts]),
        ["mains", *(f"d{k}" for k in range(size))],
        "s",
        1,
    )
    words = f"--mode train --task nilm --csv {path} {LONG} --resample 1s --stride 600 --backbone gru"
    return command(f"{words} --model-args hidden=8 --seeds 1", folder)


@row("times", "lines", sizes=(100_000, 500_000), large=(5_000_000,), least=200)
def times(folder: Path, size: int) -> Callable[[], object]:
    """Long CSVs whose times are ISO, seconds since 1970, and as people write them."""
    import pandas

    from readers.long import read_long

    when, paths = pandas.date_range("2020-01-15", periods=size, freq="min"), []
    for number, time in enumerate((when, when.astype("datetime64[s]").astype(int), when.strftime("%d.%m.%Y %H:%M"))):
        paths.append(folder / f"{number}.csv")
        pandas.DataFrame({"time": time, "y": np.arange(size) % 97 / 10}).to_csv(paths[-1], index=False)

    def work() -> None:
        with caching("off"):
            for path in paths:
                read_long([path], time_col="time")

    return work
