"""The samples of a meter, one by one: states and watts of the devices from a recurrent model of task nilm.

Watts count where p reaches tau, up to what the meter reads. How sure and how long a run is (--min-on, --min-off) is not
asked, since that looks ahead. The recurrent state is never reset, as if the whole stream were one window.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import torch

import restore
from backbones.copies import Copies
from backbones.recurrent import Recurrent
from checkpoint import Checkpoint
from errors import CheckpointError
from settings.zones import fixed_offset
from streaming.tally import Tally, is_number, report, short
from tasks.nilm.features import ABOVE, CHANGE, FEATURES, HOUR, KNEE, LOG, MAINS
from tasks.nilm.watts import at_rest, capped
from times.clock import Clock

KNOWN = tuple(name for name in FEATURES if ABOVE not in name)  # inputs that need no later sample
TASK = "nilm"  # the task with a prediction for every step
HINT = f"python run.py --mode train --task {TASK} --backbone gru --nilm-features none ... trains one that streams"
MOST_WATTS = 1e12  # no meter reads more, and an overflow of float32 would spoil the state for good

Moment = str | int | float


@dataclass(frozen=True)
class Sample:
    """A line: the time as it was given, or None; the power of the meter in W, NaN where there is no reading."""

    time: Moment | None
    watts: float


def parse(line: bytes) -> Sample:
    """The sample in a line that is not blank. ValueError with the reason for a malformed one."""
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
    if not (moment is None or isinstance(moment, str) or (is_number(moment) and abs(moment) < math.inf)):
        raise ValueError('"time" is neither a text nor a number')
    return Sample(moment, _watts(given["mains"]))


def _watts(value: Any) -> float:
    if value is None or value == "":
        return math.nan
    if not (isinstance(value, str) or is_number(value)):
        raise ValueError("the power is not a number")
    try:
        watts = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{str(value)[:40]!r} is not a number") from None
    if abs(watts) > MOST_WATTS:
        raise ValueError(f"{watts:g} W is not the power of a meter")
    return watts


def on_the_wall(moment: Moment | None, tz: str) -> datetime | None:
    """The local time in zone `tz`; None for what is not a time.

    As in files: ISO 8601, where a text without an offset is local time already; seconds or milliseconds since 1970.
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
    """The model of a checkpoint, run one sample at a time. CheckpointError for a model that cannot be streamed.

    `where` is the path of the checkpoint. The answers equal a run over all samples at once, up to rounding.
    """

    def __init__(self, start: Checkpoint, where: str) -> None:
        check(start, where)
        assert start.clock is not None, "a meter has times"
        self.names, self.scaler, self.clock = start.outputs, start.scaler, Clock.of(start.clock)
        self.task = restore.task_of(start)
        self.tau: list[float] = restore.calibration_of(start, self.task)["tau"]
        self.model = restore.model_of(start).eval()
        backbone = self.model.backbone
        if not isinstance(backbone, Recurrent) or not backbone.causal:
            name = start.model.backbone
            why = "also reads backwards" if isinstance(backbone, Recurrent) else "takes whole windows"
            raise CheckpointError(f"{name} {why}, and cannot go from sample to sample", where=where, hint=HINT)
        self.members = self.model.each() if isinstance(self.model, Copies) else [self.model]
        self.states: list[Any] = [None] * len(self.members)  # of each recurrence; None: zeros
        self.count, self.before = 0, math.nan

    def step(self, sample: Sample) -> dict[str, Any]:
        """The answer to the next sample. ValueError where the model needs a time and the sample has none."""
        x = None if math.isnan(sample.watts) else self._features(sample)
        self.count += 1
        moment = self.count if sample.time is None else sample.time
        self.before = sample.watts
        if x is None:
            return {"time": moment, "mains": None, "devices": None}
        with torch.inference_mode():
            outputs = torch.stack([self._said(i, torch.from_numpy(x)) for i in range(len(self.members))]).mean(dim=0)
            predicted = self.task.decode(outputs.transpose(1, 2))[0, :, 0].tolist()
        chances, drawn = predicted[: len(self.names)], predicted[len(self.names) :]
        on = [p >= tau for p, tau in zip(chances, self.tau, strict=True)]
        rest = at_rest(self.task.fitted, len(self.names))
        watts = np.array([[max(w, 0.0) if state else off] for w, state, off in zip(drawn, on, rest, strict=True)])
        watts = capped(watts, np.array([sample.watts]))[:, 0]
        answers = zip(self.names, chances, on, watts.tolist(), strict=True)
        devices = {name: {"p": short(p), "on": state, "watts": short(watts)} for name, p, state, watts in answers}
        return {"time": moment, "mains": sample.watts, "devices": devices}

    def _said(self, i: int, x: torch.Tensor) -> torch.Tensor:
        """The outputs [1, 1, K] of a member for the next step x [1, 1, C]."""
        member = self.members[i]
        assert isinstance(member.backbone, Recurrent)
        z, self.states[i] = member.backbone.rnn(x, self.states[i])
        outputs: torch.Tensor = member.head(z)
        return outputs

    def _features(self, sample: Sample) -> np.ndarray:
        """The model's inputs, scaled: float32 [1, 1, C]. All in float32, as in training."""
        watts = np.float32(sample.watts)
        change = np.float32(0) if math.isnan(self.before) else watts - np.float32(self.before)
        known: dict[str, Any] = {MAINS: watts, CHANGE: change}
        known |= {LOG + name: np.arcsinh(value / KNEE) for name, value in known.items()}
        if HOUR[0] in self.scaler.channels:
            wall = on_the_wall(sample.time, self.clock.tz)
            if wall is None:
                raise ValueError("the model uses the hour, and the sample has no time such as 2016-07-01 00:00:00")
            angle = 2 * math.pi * (wall - datetime.combine(wall, datetime.min.time())) / timedelta(days=1)
            known |= dict(zip(HOUR, (math.sin(angle), math.cos(angle)), strict=True))
        x = np.array([[known[name]] for name in self.scaler.channels], np.float32)
        scaled: np.ndarray = self.scaler.apply(x).T[None]
        return scaled


def check(start: Checkpoint, where: str) -> None:
    """CheckpointError for a model of another task, or one with an input that looks ahead."""
    if start.task != TASK:
        raise CheckpointError(f"is of task {start.task}; a meter needs a run of task {TASK}", where=where, hint=HINT)
    ahead = [name for name in start.scaler.channels if name not in KNOWN]
    if ahead:
        what = f"has the input {', '.join(ahead)}, which looks ahead: a stream cannot know it in time"
        raise CheckpointError(what, where=where, hint=HINT)


class Pace:
    """Warns once if the first two samples in a row with times are not one step of training apart."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.first: datetime | None = None
        self.known = False

    def see(self, moment: Moment | None) -> None:
        """Note the time of a sample; None where it has none."""
        now = None if self.known else on_the_wall(moment, self.clock.tz)
        if now is None or self.first is None:
            self.first = now
            return
        self.known = True
        apart, step = (now - self.first).total_seconds(), self.clock.step / 1e9
        if not math.isclose(apart, step, rel_tol=0.01):
            report(f"warning: the first samples are {apart:g} s apart; the model was trained on steps of {step:g} s")


class Meter:
    """Lines of samples in, one answer for each out."""

    def __init__(self, streamer: Streamer, tally: Tally) -> None:
        self.streamer, self.tally, self.pace = streamer, tally, Pace(streamer.clock)
        self.missing = 0
        tally.describe = lambda: f"{tally.taken} samples, {self.missing} of them missing"
        self.ready = f"{', '.join(streamer.names)}; a sample every {streamer.clock.freq}"

    def take(self, line: bytes) -> list[dict[str, Any]]:
        """The answer to a line. ValueError with the reason for a malformed one."""
        sample = parse(line)
        answer = self.streamer.step(sample)
        self.missing += answer["mains"] is None
        self.pace.see(sample.time)
        return [answer]

    def end(self) -> list[dict[str, Any]]:
        """Nothing: every sample has been answered."""
        return []
