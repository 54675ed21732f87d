"""Synthetic data by name: `python tools/synth.py sensors --out data/raw_features.npz`; see sources/sensors.py.

    python tools/synth.py sensors --samples-per-scenario 200 --noise 0.1
    python tools/synth.py sensors --objects 20 --seed 8 --out data/new_camera.npz

Recordings of a home robot in ten scenarios. The same seed writes the same numbers. `--objects 20` is a camera that
recognises six more kinds of objects, for `--adapt-modality visual`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/synth.py` finds our modules

from cli import Parser, numeric
from errors import ResourceError
from run import guarded
from sources import sensors


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file and print what is in it. Returns 0, 2 for a bad argument, 6 for a disk that fails."""
    return guarded(lambda: _write(_parser().parse_args(argv)))


def _write(args: argparse.Namespace) -> None:
    arrays = sensors.recordings(args.samples_per_scenario, args.noise, args.seed, args.objects)
    try:
        sensors.write(Path(args.out), arrays)
    except OSError as error:
        raise ResourceError(f"cannot be written: {error.strerror}", where=f"--out {args.out}") from None
    shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items() if values.ndim == 3)
    labels = arrays["labels"]
    print(f"wrote {args.out}: {shapes}")
    print(
        f"labels {labels.shape}: {labels.sum(axis=1).mean():.2f} of {labels.shape[1]} zones need cleaning, on average"
    )


def _parser() -> Parser:
    parser = Parser(prog="python tools/synth.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", choices=["sensors"], help="what to generate")
    parser.add_argument("--out", default="data/raw_features.npz", metavar="FILE", help="file to write (%(default)s)")
    least, most = len(sensors.OBJECTS), len(sensors.OBJECTS) + len(sensors.MORE_OBJECTS)
    numbers = (
        ("--samples-per-scenario", "N", numeric(int, "[1,)"), 200, "recordings per scenario"),
        ("--noise", "X", numeric(float, "[0,)"), 0.1, "noise of every sensor, on a scale of 1"),
        ("--objects", "N", numeric(int, f"[1,{most}]"), least, "kinds of objects the camera recognises"),
        ("--seed", "N", numeric(int, "[0,)"), 7, "the same seed gives the same numbers"),
    )
    for option, metavar, kind, default, text in numbers:
        parser.add_argument(option, metavar=metavar, type=kind, default=default, help=f"{text} (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
