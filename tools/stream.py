"""A meter's samples in, the state of every device out, sample by sample.

    meter | python tools/stream.py --ckpt artifacts/RUN
    python tools/stream.py --ckpt artifacts/RUN --input tcp://*:5555 --output tcp://sink:5556

A sample is a line: `watts`, or `time,watts`, or {"time": ..., "mains": ...}; the answer is a line, too: {"time" (as
given, else the sample's number), "mains", "devices": {name: {"p", "on", "watts"}}}. Samples come at the step that the
model was trained on. A step without a reading is a line with an empty or `nan` watts: its answer is null, the model
keeps its state, and the change of power starts at 0 again. A line that is no sample is told on stderr and left out.

Watts count where p reaches tau, as in `--mode infer`; the duration rules --min-on and --min-off are not applied, since
they look ahead. The recurrent state is never set back, as if one window held the whole stream.

With `pip install -r requirements-stream.txt` samples and answers also travel by ZeroMQ, one a message: `--pattern pull`
binds PULL for who sends, and connects PUSH to who collects; `sub` connects SUB to who publishes, and binds PUB.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/stream.py` finds our modules

import numpy as np
import torch

import checkpoint
import finetune
import tasks
from backbones._layers import Recurrent
from errors import CheckpointError, DataError, Interrupted, ResourceError, TsrunError, UsageError
from readers.clock import Clock, fixed_offset
from scaling import Scaler
from tasks._meter import ABOVE, CHANGE, FEATURES, HOUR, KNEE, LOG, MAINS

KNOWN = tuple(name for name in FEATURES if ABOVE not in name)  # the inputs that a sample and those before it give
TASK = "nilm"  # the one that speaks of every step
HINT = f"python run.py --mode train --task {TASK} --backbone gru --nilm-features none ... trains one that streams"
MOST_WATTS = 1e12  # beyond it no meter reads, and float32 would overflow into a state that never recovers
TOLD = 5  # malformed lines that are told one by one
TIMED = 100_000  # samples, the last ones, that the summary's times speak of
QUEUE = 100_000  # messages that wait for a slow peer
LINGER_MS = 2000  # for what is still on its way at the end

Moment = str | int | float


@dataclass(frozen=True)
class Sample:
    """A line: the time as given, or None; the meter's watts, NaN where there is no reading."""

    time: Moment | None
    watts: float


def parse(line: bytes) -> Sample:
    """The sample of a line that is not blank. Raises ValueError with the reason where it is none."""
    text = line.decode("utf-8").strip("\ufeff \t\r\n")
    if text.startswith("{"):
        return _of_json(text)
    moment, comma, watts = text.rpartition(",")
    if "," in moment:
        raise ValueError("more than time,watts")
    return Sample(moment.strip() or None if comma else None, _watts(watts.strip()))


def _of_json(text: str) -> Sample:
    try:
        given = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if "mains" not in given:
        raise ValueError('has no "mains"')
    moment = given.get("time")
    if not (moment is None or isinstance(moment, str) or (_is_number(moment) and abs(moment) < math.inf)):
        raise ValueError('"time" is neither a text nor a number')
    return Sample(moment, _watts(given["mains"]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _watts(value: Any) -> float:
    if value is None or value == "":
        return math.nan
    if not (isinstance(value, str) or _is_number(value)):
        raise ValueError("the power is no number")
    try:
        watts = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{str(value)[:40]!r} is no number") from None
    if abs(watts) > MOST_WATTS:
        raise ValueError(f"{watts:g} W is no power of a meter")
    return watts


def on_the_wall(moment: Moment | None, tz: str) -> datetime | None:
    """What a clock on the wall of zone `tz` shows; None for what is no time.

    As in files: ISO 8601, where a text without an offset is on the wall already; seconds or milliseconds since 1970.
    """
    try:
        seconds = float(moment)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return _of_iso(moment, tz) if isinstance(moment, str) else None
    if 1e12 <= seconds < 1e13:
        seconds /= 1000
    if not 1e8 <= seconds < 1e10:
        return None
    return datetime.fromtimestamp(seconds, _zone(tz)).replace(tzinfo=None)


def _of_iso(text: str, tz: str) -> datetime | None:
    try:
        # Python 3.10 knows no Z.
        stamp = datetime.fromisoformat(text.removesuffix("Z") + "+00:00" if text.endswith("Z") else text)
        return (stamp.astimezone(_zone(tz)) if stamp.tzinfo else stamp).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def _zone(tz: str) -> tzinfo:
    shift = fixed_offset(tz)
    return ZoneInfo(tz) if shift is None else timezone(timedelta(microseconds=shift // 1000))


class Streamer:
    """One checkpoint's model, fed a sample at a time; CheckpointError for one that cannot be.

    `stored` is the content of a checkpoint, `where` its path. What it says equals the model's run over all samples at
    once, but for rounding.
    """

    def __init__(self, stored: Mapping[str, Any], where: str) -> None:
        check(stored, where)
        config = stored["config"]
        self.names: list[str] = stored["outputs"]
        self.scaler, self.clock = Scaler.of(stored["scaler"]), Clock.of(stored["clock"])
        options = {flag.name: config.get(flag.name, flag.default) for flag in tasks.flags(TASK)}
        self.task, self.fitted = tasks.build(TASK, options), stored["fitted"]
        self.tau: list[float] = (stored["calibration"] or self.task.calibrate(None, self.names))["tau"]
        self.model = finetune.model_from(stored).eval()
        if not isinstance(self.model.backbone, Recurrent) or not self.model.backbone.causal:
            name = stored["model"]["backbone"]
            why = "reads backwards, too" if isinstance(self.model.backbone, Recurrent) else "takes whole windows"
            raise CheckpointError(f"{name} {why}, and cannot go from sample to sample", where=where, hint=HINT)
        self.state: Any = None  # of the recurrence: None is its zero
        self.count, self.before = 0, math.nan

    def step(self, sample: Sample) -> dict[str, Any]:
        """The answer to the next sample; ValueError where the model needs a time that it does not have."""
        x = None if math.isnan(sample.watts) else self._features(sample)
        self.count += 1
        moment = self.count if sample.time is None else sample.time
        self.before = sample.watts
        if x is None:
            return {"time": moment, "mains": None, "devices": None}
        with torch.inference_mode():
            z, self.state = self.model.backbone.rnn(torch.from_numpy(x), self.state)
            said = self.task.decode(self.model.head(z).transpose(1, 2), self.fitted)[0, :, 0].tolist()
        answers = zip(self.names, said[: len(self.names)], said[len(self.names) :], self.tau, strict=True)
        devices = {
            name: {"p": short(p), "on": p >= tau, "watts": short(max(watts, 0.0)) if p >= tau else 0.0}
            for name, p, watts, tau in answers
        }
        return {"time": moment, "mains": sample.watts, "devices": devices}

    def _features(self, sample: Sample) -> np.ndarray:
        """The model's inputs, scaled: float32 [1, 1, C]. In float32 from the start, as the files of training were."""
        watts = np.float32(sample.watts)
        change = np.float32(0) if math.isnan(self.before) else watts - np.float32(self.before)
        known: dict[str, Any] = {MAINS: watts, CHANGE: change}
        known |= {LOG + name: np.arcsinh(value / KNEE) for name, value in known.items()}
        if HOUR[0] in self.scaler.channels:
            wall = on_the_wall(sample.time, self.clock.tz)
            if wall is None:
                raise ValueError("the model knows the hour, and this has no time such as 2016-07-01 00:00:00")
            angle = 2 * math.pi * (wall - datetime.combine(wall, datetime.min.time())) / timedelta(days=1)
            known |= dict(zip(HOUR, (math.sin(angle), math.cos(angle)), strict=True))
        x = np.array([[known[name]] for name in self.scaler.channels], np.float32)
        return self.scaler.apply(x).T[None]


def check(stored: Mapping[str, Any], where: str) -> None:
    """CheckpointError where the model is of another task, or has an input that looks ahead."""
    if finetune.PARTS - stored.keys():
        raise CheckpointError("not a checkpoint of this toolkit, or of an older one", where=where)
    task = stored["config"]["task"]
    if task != TASK:
        raise CheckpointError(f"is of task {task}; states are streamed of task {TASK}", where=where, hint=HINT)
    ahead = [name for name in stored["scaler"]["channels"] if name not in KNOWN]
    if ahead:
        what = f"has the input {', '.join(ahead)}, which looks ahead: no stream can tell it in time"
        raise CheckpointError(what, where=where, hint=HINT)


def short(value: float) -> float:
    """A float32 without the digits that a float64 adds to it."""
    return float(f"{value:.7g}")


class Pace:
    """Tells, from the first two samples in a row with times, where they do not come at the step of training."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.first: datetime | None = None
        self.known = False

    def see(self, moment: Moment | None) -> None:
        now = None if self.known else on_the_wall(moment, self.clock.tz)
        if now is None or self.first is None:
            self.first = now
            return
        self.known = True
        apart, step = (now - self.first).total_seconds(), self.clock.step / 1e9
        if not math.isclose(apart, step, rel_tol=0.01):
            tell(f"warning: the first samples are {apart:g} s apart; the model was trained on steps of {step:g} s")


@dataclass
class Tally:
    """What a stream came to."""

    unit: str  # line or message
    samples: int = 0
    missing: int = 0
    malformed: int = 0
    spent: deque[float] = field(default_factory=lambda: deque(maxlen=TIMED))  # seconds

    def refuse(self, number: int, reason: ValueError) -> None:
        self.malformed += 1
        if self.malformed <= TOLD:
            text = "".join(mark if mark.isprintable() else "?" for mark in str(reason))
            tell(f"warning: {self.unit} {number}: {text}; left out")
        if self.malformed == TOLD:
            tell(f"warning: further malformed {self.unit}s are counted, not told")

    def __str__(self) -> str:
        text = f"{self.samples} samples, {self.missing} of them missing; {self.malformed} malformed {self.unit}s"
        if not self.spent:
            return text
        half, most = 1e3 * np.quantile(list(self.spent), [0.5, 0.99])
        return f"{text}; {half:.3f} ms a sample in the median, {most:.3f} ms at 99 %"


def tell(text: str) -> None:
    """On stderr; a stream goes on where nobody reads that any more."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode(errors="replace"))


def serve(streamer: Streamer, tally: Tally, lines: Iterator[bytes], send: Callable[[bytes], None], pace: Pace) -> None:
    """Answer each line until there are no more; blank ones are no samples."""
    for number, line in enumerate(lines, start=1):
        began = time.perf_counter()
        if not line.strip():
            continue
        try:
            answer = streamer.step(sample := parse(line))
        except ValueError as reason:
            tally.refuse(number, reason)
            continue
        tally.samples += 1
        tally.missing += answer["mains"] is None
        send(json.dumps(answer).encode())
        tally.spent.append(time.perf_counter() - began)
        pace.see(sample.time)


def from_stdin() -> Iterator[bytes]:
    """The lines of standard input, each as soon as it is whole."""
    try:
        with open(0, "rb", closefd=False) as stream:
            yield from stream
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where="--input -") from None


def to_stdout(answer: bytes) -> None:
    """One line, unbuffered: a signal leaves nothing behind that a full pipe would hold up."""
    rest = answer + b"\n"
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise ResourceError(f"cannot be written: {error.strerror}", where="--output -") from None


@contextmanager
def connected(source: str, target: str, pattern: str) -> Iterator[tuple[Iterator[bytes], Callable[[bytes], None]]]:
    """(lines, send) of `--input` and `--output`; UsageError for what is no address, or without pyzmq."""
    for flag, place in (("--input", source), ("--output", target)):
        if place != "-" and not place.startswith("tcp://"):
            raise UsageError(f"{place!r} is neither - nor tcp://HOST:PORT", where=flag)
    if source == target == "-":
        yield from_stdin(), to_stdout
        return
    try:
        import zmq
    except ImportError:
        raise UsageError("tcp:// needs pyzmq", hint="pip install -r requirements-stream.txt") from None
    context = zmq.Context()
    try:
        reader = None if source == "-" else _socket(context, getattr(zmq, pattern.upper()), source, "--input")
        kind = zmq.PUSH if pattern == "pull" else zmq.PUB
        writer = None if target == "-" else _socket(context, kind, target, "--output")
        yield from_stdin() if reader is None else _received(reader), to_stdout if writer is None else writer.send
    finally:
        context.destroy(linger=LINGER_MS)


def _socket(context: Any, kind: int, address: str, flag: str) -> Any:
    """A socket of a kind at its address: PULL and PUB bind, SUB and PUSH connect."""
    import zmq

    socket = context.socket(kind)
    socket.set_hwm(QUEUE)
    if kind == zmq.SUB:
        socket.subscribe(b"")
    try:
        (socket.bind if kind in (zmq.PULL, zmq.PUB) else socket.connect)(address)
    except zmq.ZMQError as error:
        raise UsageError(f"no socket there: {error.strerror}", where=f"{flag} {address}") from None
    return socket


def _received(socket: Any) -> Iterator[bytes]:
    while True:
        yield socket.recv_multipart()[-1]  # a publisher may put a topic before the sample


def run(args: argparse.Namespace) -> None:
    """Load, stream, and in the end, however it comes, the summary."""
    place = checkpoint.find(args.ckpt)
    streamer = Streamer(checkpoint.load(place), str(place))
    tally = Tally("line" if args.input == "-" else "message")
    with connected(args.input, args.output, args.pattern) as (lines, send):
        tell(f"ready: {', '.join(streamer.names)}; a sample every {streamer.clock.freq}")
        try:
            serve(streamer, tally, lines, send, Pace(streamer.clock))
        finally:
            tell(str(tally))


def _terminate(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise Interrupted(signum, "stopped by SIGTERM")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; the exit code (0 end of input or of readers, 2 usage, 3 data, 4 checkpoint, 6, 130/143)."""
    parser = argparse.ArgumentParser(prog="stream", description="States and watts of devices, sample by sample.")
    parser.add_argument("--ckpt", required=True, metavar="DIR", help="a run of task nilm with a recurrent backbone")
    parser.add_argument("--input", default="-", metavar="PLACE", help="- (standard input) or tcp://HOST:PORT")
    parser.add_argument("--output", default="-", metavar="PLACE", help="- (standard output) or tcp://HOST:PORT")
    parser.add_argument(
        "--pattern", default="pull", choices=("pull", "sub"), help="of tcp://: PULL in and PUSH out, or SUB and PUB"
    )
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
    torch.set_num_threads(1)  # a sample is too small to share
    try:
        run(args)
    except BrokenPipeError:
        return 0  # nobody reads any more, as behind `head`
    except TsrunError as error:
        return _told(error)
    except KeyboardInterrupt:
        return _told(Interrupted(signal.SIGINT, "stopped by Ctrl-C"))
    return 0


def _told(error: TsrunError) -> int:
    tell(f"error: {error}")
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
