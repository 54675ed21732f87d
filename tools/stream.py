"""Answers of a model to a stream: to the samples of a meter, or to the messages of several sensors.

    meter | python tools/stream.py --ckpt artifacts/RUN
    python tools/stream.py --ckpt artifacts/RUN --step 30s --input tcp://:5555 --output tcp://sink:5556

A meter (a run of task nilm): a sample is a line, `watts`, or `time,watts`, or {"time": ..., "mains": ...}. The answer
is a line, too: {"time" (as given, else the number of the sample), "mains", "devices": {name: {"p", "on", "watts"}}}.
Samples come at the step that the model was trained on. A step without a reading is a line with empty or `nan` watts:
the answer is null, the model keeps its state, and the change of power starts at 0 again.

Sensors (a run on an --npz): a message is {"sensor": "visual", "time": ..., "values": [...]}; the answer to a step of
`--step` is {"time" (start of the step, in seconds), "labels": {name: {"p", "on"}} or null, "held": [sensors held at
their last values], "missing": [...], "steps": how many steps of the window are there}.

A malformed line is reported on stderr and skipped. With `pip install -r requirements-stream.txt` lines and answers can
also travel by ZeroMQ, one per message: `--pattern pull` binds PULL for senders and connects PUSH to a collector; `sub`
connects SUB to a publisher and binds XPUB; streaming/sockets.py describes the handshake of a late subscriber.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest is imported: there is nothing to clean up yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/stream.py` finds our modules

import pandas as pd
import torch

import checkpoint
from checkpoint import Checkpoint
from cli import Parser, numeric
from errors import TsrunError, UsageError
from run import guarded
from streaming.meter import Meter, Pace, Sample, Streamer, on_the_wall, parse
from streaming.sensors import SensorModel, Sensors, sensors_of
from streaming.sockets import connected
from streaming.tally import MOST_REPORTED, Tally, report

__all__ = ["MOST_REPORTED", "Pace", "Sample", "Streamer", "connected", "main", "on_the_wall", "parse"]

HOLD = 3  # steps for which a silent sensor keeps its last value
WAIT = 0.1  # of a step: for messages that come late


class Listener(Protocol):
    """What turns lines into answers."""

    ready: str
    tally: Tally

    def take(self, line: bytes) -> list[dict[str, Any]]: ...
    def end(self) -> list[dict[str, Any]]: ...


def listener(start: Checkpoint, where: str, args: argparse.Namespace) -> Listener:
    """The listener for a checkpoint; CheckpointError for one that cannot be streamed."""
    unit = "line" if args.input == "-" else "message"
    if not sensors_of(start):
        for flag, value in (("--step", args.step), ("--wait", args.wait), ("--hold", args.hold)):
            if value is not None:
                raise UsageError("needs a checkpoint of several sensors", where=flag)
        return Meter(Streamer(start, where), Tally(unit))
    model = SensorModel(start, where)
    if args.step is None:
        raise UsageError("is needed: the length of a step, as in training", where="--step", hint="--step 30s")
    period = _seconds(args.step, "--step")
    wait = WAIT * period if args.wait is None else _seconds(args.wait, "--wait")
    if period <= 0 or wait < 0:
        raise UsageError("must be longer than 0", where="--step" if period <= 0 else "--wait")
    hold = HOLD if args.hold is None else args.hold
    return Sensors(model, Tally(unit, "message"), period, wait, hold)


def _seconds(text: str, flag: str) -> float:
    try:
        found = float(pd.Timedelta(text).total_seconds())
    except ValueError:
        found = math.nan
    if math.isnan(found):
        raise UsageError(f"{text!r} is not a duration", where=flag, hint="30s, 500ms, 1min")
    return found


def serve(listening: Listener, lines: Iterator[bytes], send: Callable[[bytes], None]) -> None:
    """Answer each line until there are no more; blank lines are skipped."""
    tally = listening.tally
    for number, line in enumerate(lines, start=1):
        began = time.perf_counter()
        if not line.strip():
            continue
        try:
            answers = listening.take(line)
        except ValueError as reason:
            tally.refuse(number, reason)
            continue
        tally.taken += 1
        for answer in answers:
            send(json.dumps(answer).encode())
        tally.spent.append(time.perf_counter() - began)
    for answer in listening.end():
        send(json.dumps(answer).encode())


def stream(args: argparse.Namespace) -> None:
    """Load the checkpoint, stream, and print the summary at the end, also after an error or a signal."""
    path = checkpoint.find(args.ckpt)
    listening = listener(Checkpoint.load(path), str(path), args)
    with connected(args.input, args.output, args.pattern, listening.ready) as (lines, send):
        report(f"ready: {listening.ready}")
        try:
            serve(listening, lines, send)
        finally:
            report(str(listening.tally))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; the exit code (0 end of input or of readers, 2 usage, 3 data, 4 checkpoint, 6, 130/143)."""

    def body() -> None:
        args = _parse(argv)
        torch.set_num_threads(1)  # a sample is too small to share
        with contextlib.suppress(BrokenPipeError):  # nobody reads any more, as behind `head`
            stream(args)

    return guarded(body, show=_show)


def _show(error: TsrunError) -> int:
    report(f"error: {error}")
    return error.exit_code


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="python tools/stream.py", description="Answers of a model to a meter or to sensors.")
    parser.add_argument(
        "--ckpt", required=True, metavar="DIR", help="run of task nilm with a recurrent backbone, or run on --npz"
    )
    parser.add_argument(
        "--input",
        default="-",
        metavar="PLACE",
        help="- (standard input) or tcp://HOST:PORT; tcp://:PORT is of this machine alone",
    )
    parser.add_argument("--output", default="-", metavar="PLACE", help="- (standard output) or tcp://HOST:PORT")
    parser.add_argument(
        "--pattern",
        default="pull",
        choices=("pull", "sub"),
        help="sockets of tcp://: PULL in and PUSH out, or SUB in and PUB out",
    )
    parser.add_argument("--step", metavar="TIME", help="sensors: length of a step, such as 30s")
    parser.add_argument(
        "--wait", metavar="TIME", help="sensors: how long to wait for late messages after a step (default: step / 10)"
    )
    parser.add_argument(
        "--hold",
        type=numeric(int, "[0,)"),
        metavar="INT",
        help=f"sensors: steps for which a silent sensor keeps its last value (default: {HOLD})",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
