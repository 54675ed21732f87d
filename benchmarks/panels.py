"""Forecasts of many short series: the default beside its members, other backbones and trivial forecasts.

    python benchmarks/panels.py [--sets monthly walks ...] [--backbones auto theta ...] [--small] [--out DIR]

Generated sets of six kinds, of known seeds, and real ones from `../shared/data`, which are left out, and that is said,
where it is absent. A cell is one `run.py` command on one thread, that is not repeated once it is finished; test is
scored once. Errors are relative to seasonal-naive, and to repeat-last for yearly series and walks; squared errors are
scaled series by series. `--small` makes a few series of each kind: for tests, not for figures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
COMMON = "--mode train --task forecast --time-col date --id-col id --no-plots --quiet --json --threads 1 --overwrite"
MEMBERS = ("seasonal_naive", "drift", "theta", "ets", "local", "harmonic", "global_ridge", "boosted_lags", "ridge")
BACKBONES = ("auto", *MEMBERS, "ridge_ensemble", "dlinear", "patchtst")
FEW = 4  # series of a small set
LATEST = "2024-01-01"  # all series end together


@dataclass(frozen=True)
class Panel:
    """A set of N series: how long each is, the step, the horizon, and a function (generator, n, i) -> series [n]."""

    series: int
    lengths: tuple[int, int]
    freq: str
    horizon: int
    make: Callable[[np.random.Generator, int, int], np.ndarray]
    naive: str = "seasonal_naive"


def monthly(rng: np.random.Generator, n: int, i: int) -> np.ndarray:
    """A level, a damped trend, a season that some multiply, and noise that remembers."""
    t = np.arange(n)
    level = np.exp(rng.uniform(3, 8))
    trend = 1 + rng.normal(0, 0.004) * t
    season = _season(rng, 12)[t % 12] * rng.uniform(0.05, 0.25)
    noise = _remembering(rng, n, 0.4) * rng.uniform(0.02, 0.08)
    made: np.ndarray = level * (trend * (1 + season) + noise if i % 2 else trend + season + noise)
    return made


def intermittent(rng: np.random.Generator, n: int, _: int) -> np.ndarray:
    """Counts per day, most of them 0, more at the end of the week."""
    rate = rng.gamma(1.5, 0.3) * np.exp(0.3 * _season(rng, 7))[np.arange(n) % 7]
    return rng.poisson(rate * rng.gamma(1.0, 1.0, n)).astype(float)


def hourly(rng: np.random.Generator, n: int, _: int) -> np.ndarray:
    """A day within a week, on a level that wanders."""
    t = np.arange(n)
    day, week = _season(rng, 24), _season(rng, 7)
    wander = np.cumsum(rng.normal(0, 0.02, n))
    shape = day[t % 24] * (1 + 0.4 * week[t // 24 % 7]) + 0.5 * week[t // 24 % 7]
    made: np.ndarray = np.exp(rng.uniform(1, 6)) * (3 + shape + wander + _remembering(rng, n, 0.6) * 0.3)
    return made


def yearly(rng: np.random.Generator, n: int, _: int) -> np.ndarray:
    """Growth that wanders."""
    growth = rng.normal(0.02, 0.02) + _remembering(rng, n, 0.5) * rng.uniform(0.01, 0.06)
    made: np.ndarray = np.exp(rng.uniform(2, 9) + np.cumsum(growth))
    return made


def weekly(rng: np.random.Generator, n: int, _: int) -> np.ndarray:
    """A year of weeks on a level that wanders."""
    t = np.arange(n)
    year = sum(rng.normal(0, 1 / k) * np.sin(2 * np.pi * k * t / 52 + rng.uniform(0, 6)) for k in (1, 2))
    wander = np.cumsum(rng.normal(0, 0.04, n))
    made: np.ndarray = np.exp(rng.uniform(2, 7)) * (3 + rng.uniform(0.2, 0.6) * year + wander + rng.normal(0, 0.1, n))
    return made


def walk(rng: np.random.Generator, n: int, _: int) -> np.ndarray:
    """A random walk."""
    made: np.ndarray = np.exp(rng.uniform(1, 6)) * (30 + np.cumsum(rng.standard_t(4, n)))
    return made


def _season(rng: np.random.Generator, period: int) -> np.ndarray:
    """A cycle of a few waves, of variance 1."""
    phase = 2 * np.pi * np.arange(period) / period
    waves = sum(rng.normal(0, 1 / k) * np.sin(k * phase + rng.uniform(0, 6)) for k in (1, 2, 3))
    made: np.ndarray = waves / np.std(waves)
    return made


def _remembering(rng: np.random.Generator, n: int, share: float) -> np.ndarray:
    """Noise of variance 1, of which a share lasts to the next step."""
    noise = rng.normal(0, np.sqrt(1 - share**2), n)
    for t in range(1, n):
        noise[t] += share * noise[t - 1]
    return noise


SETS: Mapping[str, Panel] = {
    "monthly": Panel(200, (60, 150), "MS", 12, monthly),
    "intermittent": Panel(100, (200, 400), "D", 14, intermittent),
    "hourly": Panel(30, (700, 1000), "h", 48, hourly),
    "yearly": Panel(200, (20, 40), "YS", 3, yearly, "repeat_last"),
    "weekly": Panel(50, (104, 260), "W-MON", 8, weekly),
    "walks": Panel(100, (120, 250), "B", 10, walk, "repeat_last"),
}


def table(name: str, small: bool) -> pd.DataFrame:
    """A generated set as a long table: date, id, y."""
    one = SETS[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    parts = []
    for i in range(FEW if small else one.series):
        n = int(rng.integers(*one.lengths, endpoint=True))
        dates = pd.date_range(end=LATEST, periods=n, freq=one.freq).strftime("%Y-%m-%d %H:%M")
        parts.append(pd.DataFrame({"date": dates, "id": f"s{i:03d}", "y": one.make(rng, n, i).round(4)}))
    return pd.concat(parts)


def parts() -> pd.DataFrame:
    """Sales of car parts, the first 200, by months."""
    wide = pd.read_csv(DATA / "carparts" / "carparts.csv", header=None, nrows=200)
    values = wide.apply(pd.to_numeric, errors="coerce").dropna(axis=1, how="all").to_numpy()
    dates = pd.date_range(end=LATEST, periods=values.shape[1], freq="MS").strftime("%Y-%m-%d")
    made = [pd.DataFrame({"date": dates, "id": f"p{i}", "y": row}) for i, row in enumerate(values)]
    return pd.concat(made).dropna()


def oil() -> pd.DataFrame:
    """The last 1,000 hours of the seven channels of ETTh1, each a series."""
    wide = pd.read_csv(DATA / "ett" / "ETTh1.csv").iloc[-1000:]
    return wide.melt("date", var_name="id", value_name="y")


def days() -> pd.DataFrame:
    """Daily means of ETTh1's channels."""
    wide = pd.read_csv(DATA / "ett" / "ETTh1.csv")
    means = wide.groupby(wide["date"].str[:10]).mean(numeric_only=True).reset_index()
    return means.melt("date", var_name="id", value_name="y")


REAL: Mapping[str, tuple[Callable[[], pd.DataFrame], str, int, str]] = {
    "parts": (parts, "carparts", 6, "seasonal_naive"),
    "oil_hours": (oil, "ett", 24, "seasonal_naive"),
    "oil_days": (days, "ett", 14, "repeat_last"),
}


def cell(name: str, horizon: int, backbone: str, out: Path) -> dict[str, Any]:
    """{"mase", "mse", "crps", "coverage", "cpu"} of one backbone on one set; kept in a file of `out`."""
    kept = out / f"{name}_{backbone.replace(' ', '+')}.json"
    if kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    words = f"{COMMON} --csv {out / name}.csv --horizon {horizon} --save-preds --out {out} --backbone {backbone}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    call = [sys.executable, str(ROOT / "run.py"), *words.split(), "--desc", name]
    done = subprocess.run(call, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(call)}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    content = json.loads(done.stdout.splitlines()[-1])
    found = {
        "mase": content["mase"],
        "mse": scaled_squares(Path(content["directory"]) / "preds.npz"),
        "crps": content["crps"],
        "coverage": content["interval"]["coverage"],
        "cpu": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
    }
    kept.write_text(json.dumps(found))
    return found


def scaled_squares(file: Path) -> float:
    """The mean over series of their squared error, each over the mean square of its truths (or of most, near 0)."""
    kept = np.load(file)
    of = [kept["row"] == row for row in np.unique(kept["row"])]
    error = np.array([((kept["pred"][own] - kept["truth"][own]) ** 2).mean() for own in of])
    size = np.array([(kept["truth"][own] ** 2).mean() for own in of])
    return float((error / np.maximum(size, 0.01 * np.median(size) + 1e-12)).mean())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=[*SETS, *REAL], choices=[*SETS, *REAL])
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES))
    parser.add_argument("--small", action="store_true", help="a few series of each kind")
    parser.add_argument("--out", type=Path, default=ROOT / "artifacts" / "panels")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    print("| set | backbone | MASE | MSE | CRPS | 90 % cover | CPU-s |\n|---|---|---|---|---|---|---|")
    for name in args.sets:
        file = args.out / f"{name}.csv"
        if name in REAL:
            make, needs, horizon, naive = REAL[name]
            if not (DATA / needs).is_dir():
                print(f"{name}: left out, {DATA / needs} is not there", file=sys.stderr)
                continue
            frame = make()
        else:
            frame, horizon, naive = table(name, args.small), SETS[name].horizon, SETS[name].naive
        frame.to_csv(file, index=False)
        first = "seasonal_naive" if naive == "seasonal_naive" else "seasonal_naive --model-args period=1"
        base = cell(name, horizon, first, args.out)
        rows = {naive: base} | {one: cell(name, horizon, one, args.out) for one in args.backbones if one != first}
        for one, found in rows.items():
            ratios = " | ".join(f"{found[key] / base[key]:.3f}" for key in ("mase", "mse", "crps"))
            print(f"| {name} | {one} | {ratios} | {found['coverage']:.3f} | {found['cpu']} |", flush=True)


if __name__ == "__main__":
    main()
