"""A checkpoint as one file that runs without this toolkit: ONNX, ONNX with int8 weights, or a torch program.

    python tools/export.py --ckpt artifacts/RUN --format onnx
    python tools/export.py --ckpt artifacts/RUN --format onnx-int8 --out edge/model.onnx --csv newer.csv

The model takes windows in the units of the data and returns what the task returns: scaler and decoding are part of it.
Before it is written it is compared with the checkpoint, on the files of the run or on those that flags of
`run.py --mode infer` name. FILE.json beside it describes it; see docs/export.md.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest is imported: there is nothing to clean up yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/export.py` finds our modules

from cli import Parser
from errors import UsageError, log_handler, nearest
from exporting.export import export
from exporting.formats import FORMS
from run import SMALLER, guarded

log = logging.getLogger("tsrun")


def summary(card: Mapping[str, Any], path: Path) -> str:
    """The lines that are printed about an export."""
    check, metric, spent = card["check"], card["metric"], card["latency_ms"]
    shapes = [f"{place['name']} {_shape(place)}" for place in (*card["inputs"], *card["outputs"])]
    runtime = FORMS[card["format"]].runtime
    lines = [
        f"{card['format']}: {card['bytes']:,} bytes, {card['parameters']:,} parameters; "
        f"{', '.join(shapes[:-1])} -> {shapes[-1]}",
        f"{check['windows']} windows of {check['split']}: up to {check['largest_difference']:.3g} off the checkpoint",
        f"one window, one thread: {spent['exported']:.3f} ms in {runtime}, {spent['torch']:.3f} ms in torch (median)",
    ]
    if metric is None:
        lines.append("no label is known for these windows: no metric to compare")
    elif metric["drop"] is None:
        lines.append(f"{metric['name']} is undefined on {check['split']}")
    else:
        lines.append(
            f"{metric['name']} on {check['split']} ({metric['windows']:,} windows): {metric['checkpoint']:.4g}, "
            f"exported {metric['exported']:.4g}, a drop of {metric['drop']:.2g}"
        )
    return "\n".join([*lines, str(path)])


def _shape(place: Mapping[str, Any]) -> str:
    return "[" + ", ".join(map(str, place["shape"])) + "]"


def _parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    parser = Parser(
        prog="python tools/export.py",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ckpt", required=True, metavar="PATH", help="run directory, or a checkpoint")
    parser.add_argument("--format", required=True, metavar="FORMAT", help=", ".join(FORMS))
    parser.add_argument(
        "--out", default="", metavar="FILE", help="output file (default: model.ENDING beside the checkpoint)"
    )
    given, words = parser.parse_known_args(argv)
    if given.format not in FORMS:
        what = f"--format {given.format!r} is not one of {', '.join(FORMS)}"
        raise UsageError(" ".join(filter(None, [what, nearest(given.format, FORMS)])))
    return given, words


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code, as run.py's."""
    log.handlers, log.propagate = [log_handler()], False
    log.setLevel(logging.WARNING)

    def body() -> None:
        given, words = _parse(argv)
        print(summary(*export(given.ckpt, given.format, given.out, words)))

    return guarded(body, out_of_memory=SMALLER)


if __name__ == "__main__":
    sys.exit(main())
