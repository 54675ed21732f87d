"""Synthetic data by name, for `--npz`; see sources/sensors.py and sources/pulses.py.

    python tools/synth.py sensors --samples-per-scenario 200 --noise 0.1
    python tools/synth.py sensors --visual 20 --audio 32 --pose 33 --spatial 4 --time 10 --seed 8 --out data/new.npz
    python tools/synth.py appliances --samples 1000 --steps 480 --seed 7

`sensors`: recordings of a home robot in ten scenarios. `--visual 20` is a camera that recognises six more kinds of
objects, for `--adapt-modality visual`; every modality's number of features can be set. `appliances`: windows of a
meter and one appliance in it, as an .npz and as a CSV of the same name. The same seed writes the same numbers.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest is imported: there is nothing to clean up yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/synth.py` finds our modules

from cli import Parser, numeric
from errors import UsageError, refused
from run import guarded
from sources import pulses, sensors

PLACES = {"sensors": "data/raw_features.npz", "appliances": "data/appliances.npz"}
OF_SENSORS = ("samples_per_scenario", "noise", *sensors.SIZES)
OF_APPLIANCES = ("samples", "steps")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file and print what is in it. Returns 0, 2 for a bad argument, 6 for a disk that is full."""
    return guarded(lambda: _write(_parser().parse_args(argv)))


def _write(args: argparse.Namespace) -> None:
    strange = OF_APPLIANCES if args.kind == "sensors" else OF_SENSORS
    wrong = [f"--{name.replace('_', '-')}" for name in strange if vars(args)[name] is not None]
    if wrong:
        other = "appliances" if args.kind == "sensors" else "sensors"
        raise UsageError(f"{', '.join(wrong)} {'belongs' if len(wrong) == 1 else 'belong'} to {other}")
    out = Path(args.out or PLACES[args.kind])
    try:
        (_sensors if args.kind == "sensors" else _appliances)(args, out)
    except OSError as error:
        raise refused(error, UsageError, "cannot be written", f"--out {out}") from None


def _sensors(args: argparse.Namespace, out: Path) -> None:
    sizes = {name: vars(args)[name] or size for name, size in sensors.SIZES.items()}
    noise = 0.1 if args.noise is None else args.noise
    arrays = sensors.recordings(args.samples_per_scenario or 200, noise, args.seed, sizes)
    sensors.write(out, arrays)
    shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items() if values.ndim == 3)
    labels = arrays["labels"]
    print(f"wrote {out}: {shapes}")
    print(
        f"labels {labels.shape}: {labels.sum(axis=1).mean():.2f} of {labels.shape[1]} zones need cleaning, on average"
    )


def _appliances(args: argparse.Namespace, out: Path) -> None:
    arrays = pulses.windows(args.samples or 1000, args.steps or 480, args.seed)
    sensors.write(out, arrays)
    table = out.with_suffix(".csv")
    pulses.write_csv(table, arrays)
    shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
    print(f"wrote {out} and {table}: {shapes}")


def _parser() -> Parser:
    parser = Parser(prog="python tools/synth.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", choices=list(PLACES), help="what to generate")
    places = ", ".join(PLACES.values())
    parser.add_argument("--out", metavar="FILE", help=f"file to write ({places})")
    parser.add_argument(
        "--seed", metavar="N", type=numeric(int, "[0,)"), default=7, help="the same seed gives the same numbers (7)"
    )
    count, features = numeric(int, "[1,)"), numeric(int, "[1,10000]")
    numbers = (
        ("--samples-per-scenario", "sensors: recordings per scenario (200)", count),
        ("--noise", "sensors: noise of every sensor, on a scale of 1 (0.1)", numeric(float, "[0,)")),
        ("--visual", "--objects", "sensors: objects that the camera recognises (14)", features),
        ("--audio", "sensors: sounds that are told apart (17)", features),
        ("--pose", "sensors: coordinates of joints (51)", features),
        ("--spatial", "sensors: zones of the position (7)", features),
        ("--time", "sensors: features of the clock (10)", features),
        ("--samples", "appliances: windows (1000)", count),
        ("--steps", "appliances: steps of a window (480)", numeric(int, "[8,)")),
    )
    for *options, text, kind in numbers:
        parser.add_argument(*map(str, options), metavar="N", type=kind, help=str(text))
    return parser


if __name__ == "__main__":
    sys.exit(main())
