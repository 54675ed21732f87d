"""tools/stream.py over several sensors: alignment against a plain loop, answers against the batch run, real sockets."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import checkpoint
import restore
from backbones import ModelSpec
from backbones.model import build_model
from checkpoint import Checkpoint
from errors import CheckpointError
from scaler import Scaler
from streaming.sensors import SensorModel, Sensors, sensors_of
from streaming.steps import Aligner, Reading, parse, seconds
from streaming.tally import Tally
from tools import stream

from . import forkserver
from .conftest import ROOT

SENSORS = {"visual": 3, "audio": 2}
LENGTH, PERIOD, START = 4, 30.0, 1_700_000_010.0  # the start is the begin of a step: 30 divides it
SCRIPT = ROOT / "tools" / "stream.py"


def made(
    task: str = "classify", backbone: str = "fusion_gru", outputs: int = 2, exclusive: bool = False
) -> dict[str, Any]:
    """A checkpoint as training on an .npz writes it, but for its random weights."""
    channels = [f"{name}.{k}" for name, size in SENSORS.items() for k in range(size)]
    small = {"fusion_gru": {"width": 8, "heads": 2, "context": 12, "hidden": 6}, "gru": {"hidden": 6}}
    modalities = SENSORS if backbone == "fusion_gru" else None
    spec = ModelSpec(
        backbone=backbone,
        channels=5,
        length=LENGTH,
        outputs=outputs,
        horizon=1,
        head="pool",
        args=small[backbone],
        modalities=modalities,
    )
    torch.manual_seed(3)
    model = build_model(spec)
    torch.nn.init.normal_(model.head.weight, std=2)
    torch.nn.init.zeros_(model.head.bias)
    names = [f"zone{k}" for k in range(outputs)]
    constants = {"threshold": [0.0] * outputs, "base_rate": [0.3] * outputs, "pos_weight": [1.0] * outputs}
    constants = (
        constants | {"exclusive": exclusive}
        if task == "classify"
        else {name: [value] * outputs for name, value in (("mean", 20.0), ("std", 2.0), ("median", 20.0))}
    )
    stored = {
        "config": {"task": task, "npz": "raw.npz", "context_len": spec.length},
        "model": spec.plain(),
        "state": model.state_dict(),
        "scaler": Scaler(np.arange(5) / 10, np.arange(1, 6) / 2, tuple(channels)).plain(),
        "clock": None,
        "input_channels": channels,
        "outputs": names,
        "per_row": True,
        "fitted": constants,
        "calibration": {},
        "references": {},
    }
    tau = np.median(batch(stored, recording(200, seed=9)), axis=0).tolist()  # about half of the answers are true
    return stored | ({"calibration": {"tau": tau}} if task == "classify" else {})


def batch(stored: dict[str, Any], values: np.ndarray) -> np.ndarray:
    """What the whole model says of every window of the steps `values` [C, T]: [T - L + 1, K], in the task's units."""
    model = restore.model_of(Checkpoint.of(stored, "here")).eval()
    x = torch.from_numpy(Scaler.of(stored["scaler"]).apply(values)).unfold(1, LENGTH, 1).transpose(0, 1)
    with torch.inference_mode():
        out = model(x)[:, :, 0].numpy().astype(np.float64)
    if "mean" in stored["fitted"]:
        return out * stored["fitted"]["std"] + stored["fitted"]["mean"]
    if stored["fitted"]["exclusive"]:
        return np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)
    return 1 / (1 + np.exp(-out))


def recording(steps: int, seed: int = 0) -> np.ndarray:
    """Values [C, steps], float32."""
    return np.random.default_rng(seed).normal(size=(5, steps)).astype(np.float32)


def messages(values: np.ndarray, leave_out: set[tuple[str, int]] = frozenset()) -> list[dict[str, Any]]:  # type: ignore[assignment]
    """What the sensors send: one message a step each, at times of their own within it."""
    sent = []
    for t in range(values.shape[1]):
        rows = 0
        for k, (name, size) in enumerate(SENSORS.items()):
            if (name, t) not in leave_out:
                moment = START + t * PERIOD + 5 + 11 * k
                sent.append({"sensor": name, "time": moment, "values": values[rows : rows + size, t].tolist()})
            rows += size
    return sent


def listening(stored: dict[str, Any], wait: float = 3.0, hold: int = 2) -> Sensors:
    return Sensors(SensorModel(Checkpoint.of(stored, "here"), "here"), Tally("message"), PERIOD, wait, hold)


def told(ear: Sensors, sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answers = [answer for message in sent for answer in ear.take(json.dumps(message).encode())]
    return answers + ear.end()


def agree(stored: dict[str, Any], values: np.ndarray, answers: list[dict[str, Any]]) -> None:
    """From step L on the answers are the batch's to 1e-5, and before it there are none."""
    assert [answer["time"] for answer in answers] == [START + t * PERIOD for t in range(values.shape[1])]
    assert [answer["steps"] for answer in answers[:LENGTH]] == list(range(1, LENGTH + 1))
    assert all(answer["labels"] is None for answer in answers[: LENGTH - 1])
    key = "value" if "mean" in stored["fitted"] else "p"
    said = [[label[key] for label in answer["labels"].values()] for answer in answers[LENGTH - 1 :]]
    np.testing.assert_allclose(said, batch(stored, values), rtol=1e-5, atol=1e-5)


# ---- messages


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (1700000010, 1700000010.0),
        (12.5, 12.5),
        (1700000010500, 1700000010.5),
        ("2023-11-14T22:13:30Z", 1700000010.0),
        ("2023-11-14 22:13:30", 1700000010.0),
        ("2023-11-14T23:13:30.250+01:00", 1700000010.25),
    ],
)
def test_times(given: Any, found: float) -> None:
    assert seconds(given) == found
    if isinstance(given, str):
        assert (
            pd.Timestamp(given).tz_localize(None if pd.Timestamp(given).tz else "UTC").timestamp() == found
            if not pd.Timestamp(given).tz
            else pd.Timestamp(given).timestamp() == found
        )


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"visual 1 2 3", 'is not {"sensor": .*Expecting value'),
        (b"\xff\xfe\x00", "utf-"),
        (b"[1]", "is not {"),
        (b'{"a":' * 100_000, "nested"),
        (b'{"sensor": "visual", "time": 1}', "is not {"),
        (b'{"sensor": "visul", "time": 1, "values": [1, 2, 3]}', "no sensor 'visul': visual, audio"),
        (b'{"sensor": ["visual"], "time": 1, "values": [1, 2, 3]}', "no sensor"),
        (b'{"sensor": "visual", "time": 1, "values": [1, 2]}', "visual has 3 values, these are 2"),
        (b'{"sensor": "visual", "time": 1, "values": 7}', "these are no list"),
        (b'{"sensor": "audio", "time": 1, "values": [1, null]}', r"values\[1\] of audio is not a number"),
        (b'{"sensor": "audio", "time": 1, "values": [true, 1]}', r"values\[0\] of audio is not a number"),
        (b'{"sensor": "audio", "time": 1, "values": [1, NaN]}', r"values\[1\] of audio is not finite"),
        (b'{"sensor": "audio", "time": 1, "values": [1e39, 1]}', r"values\[0\] of audio is not finite"),
        (b'{"sensor": "audio", "time": 1, "values": [1' + b"0" * 400 + b", 1]}", "too large"),
        (b'{"sensor": "audio", "time": null, "values": [1, 1]}', '"time" is neither'),
        (b'{"sensor": "audio", "time": NaN, "values": [1, 1]}', '"time" is neither'),
        (b'{"sensor": "audio", "time": 1e300, "values": [1, 1]}', '"time" is neither'),
        (
            b'{"sensor": "audio", "time": "noon", "values": [1, 1]}',
            "'noon' is not a time: seconds since 1970, or ISO 8601",
        ),
    ],
)
def test_messages_that_are_none(message: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(message, SENSORS)


# ---- steps


def closed(aligner: Aligner, readings: list[tuple[str, float, float]]) -> list[tuple[int, dict[str, float]]]:
    steps = [s for name, time, value in readings for s in aligner.take(Reading(name, time, np.array([value])))]
    return [(step.number, {name: float(v[0]) for name, v in step.values.items()}) for step in steps + aligner.end()]


def test_steps_are_those_of_a_plain_loop() -> None:
    """Random messages with delays that `wait` covers: sorted, grouped by step, of each sensor the last."""
    rng = np.random.default_rng(4)
    times = np.sort(rng.uniform(0, 600, 150))
    readings = [(rng.choice(["a", "b", "c"]), time, float(k)) for k, time in enumerate(times)]
    arrival = np.argsort(times + rng.uniform(0, 8, 150), kind="stable")
    aligner = Aligner(3, 10.0, 8.0, hold=5)
    found = closed(aligner, [readings[k] for k in arrival])
    wanted: dict[int, dict[str, float]] = {k: {} for k in range(int(times[0] // 10), int(times[-1] // 10) + 1)}
    for name, time, value in readings:
        wanted[math.floor(time / 10)][name] = value
    assert found == list(wanted.items()) and aligner.late == 0


@pytest.mark.fault(
    "messages of a stream out of order",
    "put in order as long as their step is open, else counted and left out",
)
def test_what_comes_too_late_is_counted_and_left_out() -> None:
    aligner = Aligner(2, 10.0, 2.0, hold=0)
    found = closed(aligner, [("a", 1, 1), ("a", 11.9, 2), ("b", 9, 3), ("a", 12.0, 4), ("b", 9.5, 5), ("b", 13, 6)])
    assert found == [(0, {"a": 1.0, "b": 3.0}), (1, {"a": 4.0, "b": 6.0})] and aligner.late == 1


def test_a_step_of_a_tenth_begins_where_it_should() -> None:
    aligner = Aligner(1, 0.1, 0.0, hold=0)
    numbers = [aligner.number_of(k / 10) for k in range(2000)]
    assert numbers == list(range(2000))


def test_silence_is_answered_for_a_while_and_then_passed_over() -> None:
    aligner = Aligner(1, 10.0, 0.0, hold=2)
    found = closed(aligner, [("a", 5, 1), ("a", 15, 2), ("a", 85, 3), ("a", 95, 4)])
    assert found == [(0, {"a": 1.0}), (1, {"a": 2.0}), (2, {}), (3, {}), (8, {"a": 3.0}), (9, {"a": 4.0})]


def plain(count: int, begin: int = 0) -> list[tuple[str, float, float]]:
    """Two sensors, a message each a step of ten seconds; the value says which."""
    return [(name, 10.0 * t + k + 1, 2.0 * t + k) for t in range(begin, begin + count) for k, name in enumerate("ab")]


def looped(readings: list[tuple[str, float, float]]) -> list[tuple[int, dict[str, float]]]:
    """The steps of readings without a gap."""
    wanted: dict[int, dict[str, float]] = {}
    for name, time, value in readings:
        wanted.setdefault(math.floor(time / 10), {})[name] = value
    return list(wanted.items())


@pytest.mark.parametrize("place", [0, 1, 7, 8, 19, 20])
@pytest.mark.parametrize("off", [86400.0, 500.0, 60.0, -60.0, -3600.0, -86400.0])
@pytest.mark.parametrize("instead", [False, True])
def test_one_wrong_clock_costs_one_message_wherever_it_comes(place: int, off: float, instead: bool) -> None:
    readings = plain(10)
    name, time, value = readings[min(place, 19)]
    wrong = (name, time + off, -1.0)
    aligner = Aligner(2, 10.0, 1.0, hold=3)
    given = [*readings[:place], wrong, *readings[place + instead :]]
    assert closed(aligner, given) == looped(readings[:place] + readings[place + instead :])
    assert aligner.late + aligner.ahead == 1
    (told,) = aligner.told
    assert told.startswith(f"{name} at {wrong[1]:.15g} s is ") and told.endswith("; left out")


@pytest.mark.fault("a clock of sensors that is set", "a new window begins, which is told; no message is lost")
@pytest.mark.parametrize("by", [-3600.0, -86400.0, 3600.0, 1000.0])
def test_the_clocks_may_be_set_and_no_message_is_lost(by: float) -> None:
    before, after = plain(8), [(name, time + by, value) for name, time, value in plain(8, begin=8)]
    aligner = Aligner(2, 10.0, 1.0, hold=0)
    assert closed(aligner, before + after) == looped(before) + looped(after)
    (told,) = aligner.told
    steps = int(abs(by)) // 10
    how = f"{steps + 1} steps ahead" if by > 0 else f"set back by {steps} steps"
    assert told == f"the clocks of the sensors are {how}: a new window begins"
    assert aligner.late == aligner.ahead == 0


def test_one_of_two_clocks_that_stays_wrong_is_told_message_by_message() -> None:
    aligner = Aligner(2, 10.0, 1.0, hold=3)
    wrong = [(name, time + 3600 * (name == "b"), value) for name, time, value in plain(5, begin=5)]
    found = closed(aligner, plain(5) + wrong)
    assert found == looped(plain(5)) + [(step, {"a": value["a"]}) for step, value in looped(plain(5, begin=5))]
    assert aligner.ahead == 5 == len(aligner.told)


@pytest.mark.fault("messages of a stream out of order")
def test_messages_of_the_start_may_come_in_another_order() -> None:
    readings = plain(6)
    readings[0:3] = [readings[2], readings[1], readings[0]]
    aligner = Aligner(2, 10.0, 15.0, hold=0)
    assert dict(closed(aligner, readings)) == dict(looped(plain(6))) and not aligner.told


def test_the_few_messages_of_a_short_stream_are_answered() -> None:
    for given in ([("a", 5, 1)], [("a", 5, 1), ("b", 6, 2)], [("a", 9e5, 0), ("a", 5, 1), ("b", 6, 2)]):
        aligner = Aligner(2, 10.0, 1.0, hold=3)
        assert closed(aligner, given) == [(0, {name: value for name, time, value in given if time < 9e5})]


@pytest.mark.fault("a message of a stream that is repeated", "it counts once")
def test_the_same_message_may_come_twice() -> None:
    readings = [reading for reading in plain(6) for _ in range(2)]
    aligner = Aligner(2, 10.0, 1.0, hold=3)
    assert closed(aligner, readings) == looped(plain(6)) and not aligner.told


def test_warnings_are_told_at_once_and_then_at_every_doubling(capfd: pytest.CaptureFixture[str]) -> None:
    tally = Tally("message")
    said = []
    for number in range(1, 45):
        tally.note(f"a at {number} s is late; left out")
        said += [number] * bool(capfd.readouterr().err)
    assert said == [1, 2, 3, 4, 5, 10, 20, 40]


# ---- answers


@pytest.mark.parametrize(
    ("task", "backbone", "outputs", "exclusive"),
    [
        ("classify", "fusion_gru", 2, False),
        ("classify", "fusion_gru", 3, True),
        ("classify", "gru", 1, False),
        ("regress", "fusion_gru", 1, False),
    ],
)
def test_a_stream_says_what_the_batch_says(task: str, backbone: str, outputs: int, exclusive: bool) -> None:
    stored, values = made(task, backbone, outputs, exclusive), recording(40)
    answers = told(listening(stored), messages(values))
    agree(stored, values, answers)
    assert not any(answer["held"] or answer["missing"] for answer in answers)
    if task == "classify":
        on = np.array([[label["on"] for label in a["labels"].values()] for a in answers[LENGTH - 1 :]])
        score = batch(stored, values)
        wanted = score == score.max(axis=1, keepdims=True) if exclusive else score >= stored["calibration"]["tau"]
        np.testing.assert_array_equal(on, wanted)
        assert 0.2 < on.mean() < 0.8


def test_a_new_step_is_encoded_once() -> None:
    model = SensorModel(Checkpoint.of(made(), "here"), "here")
    seen: list[torch.Size] = []
    model.encoder.register_forward_hook(lambda _, given, __: seen.append(given[0].shape))
    for column in recording(9).T:
        model.add(column)
    assert seen == [torch.Size([1, 5, 1])] * 9


@pytest.mark.fault(
    "a message of a stream that is lost",
    "the last value stands in for a while, and the answer names the sensor; then it is missing",
)
def test_a_silent_sensor_is_held_and_named_then_missing() -> None:
    stored, values = made(), recording(16)
    silent = {("audio", t) for t in (6, 7, 10, 11, 12)}  # two in a row are held, the third is missing
    ear = listening(stored, hold=2)
    answers = told(ear, messages(values, silent))
    assert [t for t, answer in enumerate(answers) if answer["held"]] == [6, 7, 10, 11]
    assert [t for t, answer in enumerate(answers) if answer["missing"]] == [12]
    assert answers[12]["labels"] is None and answers[12]["steps"] == 0 and answers[12]["missing"] == ["audio"]
    assert [answer["steps"] for answer in answers[13:]] == [1, 2, 3]
    filled = values.copy()
    filled[3:, [6, 7, 10, 11]] = values[3:, [5, 5, 9, 9]]
    said = [[label["p"] for label in a["labels"].values()] for a in answers[LENGTH - 1 : 12]]
    np.testing.assert_allclose(said, batch(stored, filled)[: 12 - LENGTH + 1], rtol=1e-5, atol=1e-5)
    assert str(ear.tally).startswith(
        "0 messages, 0 of them late; 16 steps, 9 answered, 4 with a sensor held, 1 with one missing"
    )


def test_after_a_long_silence_a_new_window_begins() -> None:
    stored, values = made(), recording(12)
    sent = messages(values)
    for message in sent[12:]:  # six steps, then nothing for ten, then six
        message["time"] += 10 * PERIOD
    answers = told(listening(stored, hold=2), sent)
    assert [answer["steps"] for answer in answers] == [1, 2, 3, 4, 4, 4, 4, 4, 1, 2, 3, 4, 4, 4]
    assert [answer["held"] for answer in answers[6:8]] == [["visual", "audio"]] * 2
    said = [[label["p"] for label in a["labels"].values()] for a in answers[-3:]]
    np.testing.assert_allclose(said, batch(stored, values[:, 6:]), rtol=1e-5, atol=1e-5)


def test_sensors_are_read_off_a_checkpoint() -> None:
    assert sensors_of(Checkpoint.of(made(), "")) == SENSORS == sensors_of(Checkpoint.of(made(backbone="gru"), ""))
    plain = made(backbone="gru")
    plain["config"]["npz"] = ""
    assert sensors_of(Checkpoint.of(plain, "")) == {}
    with pytest.raises(CheckpointError, match="of task classify, and its input is not of sensors"):
        SensorModel(Checkpoint.of(plain, "here"), "here")


# ---- the command, as a real process


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sensors") / "model.pt"
    checkpoint.save(path, made())
    return path


def call(*words: object, text: bytes = b"") -> tuple[int, list[bytes], str]:
    done = forkserver.run(SCRIPT, *words, input=text, text=False)
    return done.returncode, done.stdout.splitlines(), done.stderr.decode()


@contextmanager
def streaming(*words: object) -> Iterator[subprocess.Popen[bytes]]:
    pipe: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = forkserver.Popen([sys.executable, str(SCRIPT), *map(str, words)], **pipe)
    try:
        line = process.stderr.readline()
        assert line.startswith(
            b"ready: zone0, zone1; a step every 30 s, 4 of them a window, of visual (3), audio (2)"
        ), line + process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_standard_input_with_lines_that_are_none(ckpt: Path) -> None:
    stored, values = checkpoint.read(ckpt), recording(30)
    lines = [json.dumps(message).encode() for message in messages(values)]
    lines[7:7] = [b"{", b'{"sensor": "smell", "time": 1, "values": [1]}', b""]
    lines.insert(40, json.dumps(messages(values)[2]).encode())  # late by far
    status, answers, said = call("--ckpt", ckpt, "--step", "30s", text=b"\n".join(lines))
    assert status == 0, said
    agree(stored, values, [json.loads(answer) for answer in answers])
    assert 'line 8: is not {"sensor": ' in said and "Expecting" in said and "line 9: there is no sensor 'smell'" in said
    summary = said.splitlines()[-1]
    assert summary.startswith("61 messages, 1 of them late; 30 steps, 27 answered, 0 with a sensor held, 0 with one")
    assert "; 2 malformed lines; " in summary and "ms a message in the median" in summary


def test_mistakes_are_told(ckpt: Path, capfd: pytest.CaptureFixture[str]) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for words, reason in (
            ("", "--step: is needed"),
            ("--step soon", "--step: 'soon' is not a duration"),
            ("--step 0s", "--step: must be longer than 0"),
            ("--step 1s --wait -1s", "--wait: must be longer than 0"),
            ("--step 1s --hold -1", "--hold: must be 0 or more, got -1"),
        ):
            assert stream.main(["--ckpt", str(ckpt), *words.replace("--wait -", "--wait=-").split()]) == 2
            assert reason in capfd.readouterr().err
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.mark.slow
def test_pushed_messages_of_two_senders_are_answered(ckpt: Path) -> None:
    zmq = pytest.importorskip("zmq")
    stored, values = checkpoint.read(ckpt), recording(60)
    there, here = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    with zmq.Context() as context, context.socket(zmq.PULL) as sink:
        sink.rcvtimeo = 30_000
        sink.bind(here)
        with streaming(
            "--ckpt", ckpt, "--step", "30s", "--wait", "1000000s", "--input", there, "--output", here
        ) as process:
            # Each sensor pushes by its own; nothing orders the two, so that --wait must cover all of their distance.
            with context.socket(zmq.PUSH) as visual, context.socket(zmq.PUSH) as audio:
                sources = dict(zip(SENSORS, (visual, audio), strict=True))
                for source in sources.values():
                    source.linger = 0
                    source.connect(there)
                for name, source in sources.items():
                    for message in messages(values):
                        if message["sensor"] == name:
                            source.send_json(message)
                while not sink.poll(100):  # in the end both clocks are far ahead: time has gone on, and a new window
                    for name, source in sources.items():
                        source.send_json({"sensor": name, "time": START + 2e6, "values": [0] * SENSORS[name]})
                answers = [json.loads(sink.recv()) for _ in range(60)]
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 143 and " 0 of them late; " in said and "steps ahead: a new window" in said
    agree(stored, values, answers)


@pytest.mark.slow
@pytest.mark.parametrize("fed_by", ["socket", "pipe"])
def test_a_late_subscriber_loses_nothing_after_its_handshake(ckpt: Path, fed_by: str) -> None:
    """Answers flow already, to nobody or to others, when a subscriber joins: from its greeting on it misses none."""
    zmq = pytest.importorskip("zmq")
    stored, values = checkpoint.read(ckpt), recording(600)
    sent = messages(values)
    there, here = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    source_of = ["--input", there] if fed_by == "socket" else []
    with zmq.Context() as context, context.socket(zmq.XPUB) as source, context.socket(zmq.SUB) as sink:
        source.linger, source.rcvtimeo, sink.rcvtimeo = 0, 30_000, 30_000
        source.set_hwm(0)  # a publisher drops what its queue does not hold
        source.bind(there)
        with streaming("--ckpt", ckpt, "--step", "30s", *source_of, "--output", here, "--pattern", "sub") as process:

            def feed(message: dict[str, Any]) -> None:
                if fed_by == "socket":
                    source.send_json(message)
                else:
                    process.stdin.write(json.dumps(message).encode() + b"\n")
                    process.stdin.flush()

            if fed_by == "socket":
                assert source.recv() == b"\x01"  # the stream has subscribed: what is sent now arrives
            for message in sent[:400]:
                feed(message)
            sink.connect(here)
            sink.subscribe(b"")
            sink.subscribe(b"hello.late")
            while (parts := sink.recv_multipart())[0] != b"hello.late":
                pass  # answers that came before the greeting
            assert "zone0, zone1" in json.loads(parts[1])["ready"]
            answered = threading.Thread(target=lambda: [feed(message) for message in sent[400:]])
            answered.start()
            answers = []
            while not answers or answers[-1]["time"] < START + 598 * PERIOD:  # the last step stays open
                answers.append(json.loads(sink.recv()))
            answered.join()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
    assert process.returncode == 130
    first = round((answers[0]["time"] - START) / PERIOD)
    assert first <= 200  # sent after the handshake: all from message 400, of step 200, on
    assert [answer["time"] for answer in answers] == [START + t * PERIOD for t in range(first, 599)]
    assert not any(answer["held"] or answer["missing"] for answer in answers)
    begin = max(first, LENGTH - 1)
    said = [[label["p"] for label in answer["labels"].values()] for answer in answers[begin - first :]]
    np.testing.assert_allclose(said, batch(stored, values)[begin - LENGTH + 1 : -1], rtol=1e-5, atol=1e-5)
