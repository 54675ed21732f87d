"""tools/stream.py: what a stream says against the batch run of the same model; and the command as a real process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import checkpoint
import cli
import restore
import tasks
from backbones import ModelSpec
from backbones.model import build_model
from checkpoint import Checkpoint
from data import Series
from errors import CheckpointError, UsageError
from scaler import Scaler
from sources.synthetic import appliance_series
from streaming import sockets
from tools import stream
from tools.stream import Sample, Streamer

from . import forkserver
from .conftest import command

SCRIPT = Path(stream.__file__)
STEPS = 600
GAPS = (0, 40, 41, 300)  # steps without a reading


def metered(steps: int = STEPS, gaps: Sequence[int] = GAPS) -> Series:
    """Some hours of a synthetic house, its mains missing at `gaps`."""
    series = appliance_series(days=1, seed=3, step_seconds=30)
    values = series.values[:, :steps].copy()
    values[0, [gap for gap in gaps if gap < steps]] = np.nan
    assert series.time is not None
    return replace(series, values=values, time=series.time[:steps], offsets=np.array([0, steps]))


def made(
    target: str = "both", features: str = "none", backbone: str = "gru", copies: int = 1, **args: Any
) -> dict[str, Any]:
    """A checkpoint as training writes it, but for its random weights; each tau splits the scores in halves."""
    words = f"--mode train --task nilm --demo --backbone {backbone} --nilm-target {target} --nilm-features {features}"
    config = cli.parse([*words.split(), "--window", "120"])
    task = tasks.build("nilm", config.options)
    series = metered(gaps=())
    targets, views, whole = task.targets(series, config), task.derived_features(series), np.ones(STEPS, bool)
    spec = ModelSpec(
        backbone=backbone,
        channels=len(views.channels),
        length=120,
        outputs=task.outputs(targets.names),
        horizon=120,
        head="step",
        args=args,
        copies=copies,
    )
    task.fit(targets.during(np.ones(STEPS, bool)), targets.names)
    torch.manual_seed(5)
    model = build_model(spec)
    for member in getattr(model, "members", [model]):
        torch.nn.init.uniform_(member.head.bias, 0.5, 1)  # above 0, where no power is cut off
    stored = {
        "config": config.flat(),
        "model": spec.plain(),
        "state": model.state_dict(),
        "scaler": Scaler.fit(views.columns(), whole, views.channels).plain(),
        "clock": series.clock.plain(),
        "input_channels": list(series.channels),
        "outputs": list(targets.names),
        "per_row": False,
        "fitted": task.fitted
        | {"on_mean": [90.0, 2250.0, 500.0, 1250.0], "never_on": [0, 0, 0, 0], "off_w": [1.5, 0.0, 7.0, 0.0]},
        "calibration": {"tau": [0.5] * len(targets.names)},
        "references": {},
    }
    score = np.split(batch(stored, metered(gaps=())), 2)[0]
    return stored | {"calibration": {"tau": np.median(score, axis=1).tolist()}}


def batch(stored: dict[str, Any], series: Series) -> np.ndarray:
    """The model's run over all readings at once, as one window: probabilities, then watts before the gate [2K, n]."""
    task = tasks.build("nilm", {flag.name: stored["config"][flag.name] for flag in tasks.flags("nilm")})
    scaler, views = Scaler.of(stored["scaler"]), task.derived_features(series)
    assert scaler.channels == views.channels
    x = np.stack(list(views.columns()))
    x = torch.from_numpy(scaler.apply(x[:, ~np.isnan(series.values[0])]))
    model = restore.model_of(Checkpoint.of(stored, "here")).eval()
    for member in getattr(model, "members", [model]):
        member.horizon = x.shape[1]
    with torch.inference_mode():
        task.load_fitted(stored["fitted"])
        return task.decode(model(x[None]))[0]


def agree(stored: dict[str, Any], series: Series, answers: list[dict[str, Any]]) -> None:
    """The answers to the readings are the batch's, to 1e-5 of a probability and of a device's power when on."""
    there = ~np.isnan(series.values[0])
    assert [answer["devices"] is not None for answer in answers] == there.tolist()
    assert [answer["mains"] is not None for answer in answers] == there.tolist()
    known = [answer for answer in answers if answer["devices"]]
    np.testing.assert_array_equal(np.float32([answer["mains"] for answer in known]), series.values[0, there])
    score, watts = np.split(batch(stored, series), 2)
    tau, mean, rest = stored["calibration"]["tau"], stored["fitted"]["on_mean"], stored["fitted"]["off_w"]
    on = np.array([[answer["devices"][name]["on"] for answer in known] for name in stored["outputs"]])
    drawn = np.where(on, watts, np.array(rest)[:, None])
    drawn = np.minimum(drawn, np.maximum(series.values[0, there], 0))
    drawn *= np.minimum(1, series.values[0, there] / np.maximum(drawn.sum(axis=0), 1e-9))
    for k, name in enumerate(stored["outputs"]):
        said = [answer["devices"][name] for answer in known]
        p, on = np.array([s["p"] for s in said]), np.array([s["on"] for s in said])
        np.testing.assert_allclose(p, score[k], rtol=0, atol=1e-5)
        clear = np.abs(score[k] - tau[k]) > 1e-5
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(on[clear], (score[k] >= tau[k])[clear])
        np.testing.assert_allclose([s["watts"] for s in said], drawn[k], rtol=1e-5, atol=1e-5 * mean[k])


def samples(series: Series) -> list[Sample]:
    assert series.clock is not None and series.time is not None
    return [Sample(*pair) for pair in zip(series.clock.show(series.time), series.values[0].tolist(), strict=True)]


@pytest.mark.parametrize(
    ("target", "features", "backbone", "args"),
    [
        ("both", "none", "gru", {"hidden": 16}),
        ("state", "hour", "gru", {"hidden": 8, "layers": 3, "dropout": 0.5}),
        ("power", "log", "lstm", {"hidden": 8}),
        ("both", "none", "gru", {"hidden": 8, "copies": 3}),
    ],
)
def test_a_stream_says_what_the_batch_says(target: str, features: str, backbone: str, args: dict[str, Any]) -> None:
    stored, series = made(target, features, backbone, **args), metered()
    streamer = Streamer(Checkpoint.of(stored, "here"), "here")
    answers = [streamer.step(sample) for sample in samples(series)]
    agree(stored, series, answers)
    on = np.array([[device["on"] for device in a["devices"].values()] for a in answers if a["devices"]])
    assert (np.abs(on.mean(axis=0) - 0.5) < 0.1).all()


@pytest.mark.parametrize(
    ("line", "time", "watts"),
    [
        (b"230.5\n", None, 230.5),
        (b" 1e3 \r\n", None, 1000.0),
        (b"-4", None, -4.0),
        (b"2016-07-01 00:00:00, 7\n", "2016-07-01 00:00:00", 7.0),
        (b"1467331200,7", "1467331200", 7.0),
        (b",7", None, 7.0),
        (b"12:00,", "12:00", None),
        (b"nan", None, None),
        (b"t,NaN", "t", None),
        (b'{"time": 1467331200.5, "mains": 12, "more": [1]}', 1467331200.5, 12.0),
        (b'{"mains": "12.5"}', None, 12.5),
        (b'{"time": "t", "mains": null}', "t", None),
        (b'{"mains": NaN}', None, None),
        (b"\xef\xbb\xbf5\n", None, 5.0),
    ],
)
def test_lines_that_are_samples(line: bytes, time: Any, watts: float | None) -> None:
    sample = stream.parse(line)
    assert sample.time == time and type(sample.time) is type(time)
    np.testing.assert_equal(sample.watts, np.nan if watts is None else watts)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"abc", "'abc' is not a number"),
        (b"time,watts", "'watts' is not a number"),
        (b"1,2,3", "more than"),
        (b"inf", "not the power"),
        (b"1e13", "not the power"),
        (b"\xff\xfe", "utf-8"),
        (b"{", "Expecting"),
        (b'{"a":' * 100_000, "nested"),
        (b'{"power": 3}', "mains"),
        (b'{"mains": true}', "not a number"),
        (b'{"mains": [3]}', "not a number"),
        (b'{"mains": 1' + b"0" * 400 + b"}", "not a number"),
        (b'{"mains": 3, "time": NaN}', "time"),
        (b'{"mains": 3, "time": {}}', "time"),
    ],
)
def test_lines_that_are_none(line: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        stream.parse(line)


@pytest.mark.parametrize("tz", ["", "UTC", "+01:00", "Europe/Berlin"])
def test_times_on_the_wall_are_those_of_pandas(tz: str) -> None:
    moment = pandas.Timestamp("2024-10-27 00:30:00.25", tz="UTC")  # half an hour before clocks go back in Berlin
    there = {"+01:00": "01:30", "Europe/Berlin": "02:30"}.get(tz, "00:30")
    shown = pandas.Timestamp(f"2024-10-27 {there}:00.25").to_pydatetime()
    seconds = moment.timestamp()
    given = [seconds, str(seconds), seconds * 1000, moment.isoformat(), moment.isoformat().replace("+00:00", "Z")]
    given += ["2024-10-27T04:30:00.250000+04:00", shown.isoformat()]
    assert [stream.on_the_wall(one, tz) for one in given] == [shown] * len(given)
    assert [stream.on_the_wall(one, tz) for one in (None, "", "noon", 17, 10**400, "1e999")] == [None] * 6


def test_a_model_of_the_hour_needs_the_time() -> None:
    streamer = Streamer(Checkpoint.of(made(features="hour", hidden=8), "here"), "here")
    with pytest.raises(ValueError, match="hour"):
        streamer.step(Sample(None, 100.0))
    assert streamer.states == [None] and streamer.count == 0
    assert streamer.step(Sample("2016-07-01T00:00:00", 100.0))["devices"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bidirectional": True, "hidden": 8}, "also reads backwards"),
        ({"backbone": "tcn"}, "whole windows"),
        ({"features": "above"}, "mains above minimum.*looks ahead"),
        ({"task": "classify"}, "of task classify"),
    ],
)
def test_models_that_cannot_stream_are_refused(change: dict[str, Any], reason: str) -> None:
    task = change.pop("task", "nilm")
    stored = made(**change)
    stored["config"]["task"] = task
    with pytest.raises(CheckpointError, match=reason) as caught:
        Streamer(Checkpoint.of(stored, "here"), "here")
    assert "--task nilm --backbone gru --nilm-features none" in caught.value.hint


def test_another_step_than_that_of_training_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    pace = stream.Pace(Streamer(Checkpoint.of(made(hidden=8), "here"), "here").clock)
    for second in (0, 8, 16, 24):
        pace.see(f"2016-07-01 00:00:{second:02d}")
    assert (
        capfd.readouterr().err == "warning: the first samples are 8 s apart; the model was trained on steps of 30 s\n"
    )
    pace = stream.Pace(pace.clock)
    for moment in (None, 1467331200, 1467331230):
        pace.see(moment)
    assert capfd.readouterr().err == ""


def test_addresses_and_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="neither - nor tcp"), stream.connected("-", "udp://a:1", "pull"):
        pass
    monkeypatch.setitem(sys.modules, "zmq", None)
    with pytest.raises(UsageError, match="needs pyzmq") as caught, stream.connected("tcp://*:5555", "-", "pull"):
        pass
    assert "requirements-stream.txt" in caught.value.hint


@pytest.mark.parametrize(
    ("given", "bound", "told"),
    [
        ("tcp://:5555", "tcp://127.0.0.1:5555", ""),
        ("tcp://*:5555", "tcp://127.0.0.1:5555", "tcp://0.0.0.0:5555 to whoever reaches it"),
        ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555", ""),
        ("tcp://[::1]:5555", "tcp://[::1]:5555", ""),
        ("tcp://0.0.0.0:5555", "tcp://0.0.0.0:5555", "warning: --input tcp://0.0.0.0:5555: whoever reaches it"),
        ("tcp://eth0:5555", "tcp://eth0:5555", "warning: --input tcp://eth0:5555: whoever reaches it"),
    ],
)
def test_a_stream_listens_to_this_machine_unless_told_otherwise(
    given: str, bound: str, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert sockets._listening(given, "--input") == bound
    said = capfd.readouterr().err
    assert told in said and bool(told) == bool(said)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GRU after one epoch of the demo."""
    folder = tmp_path_factory.mktemp("trained")
    words = "--mode train --task nilm --demo --backbone gru --model-args hidden=8 --nilm-features none --window 120"
    done = command(
        *words.split(), *"--epochs 1 --seeds 1 --reference off --no-plots --quiet --out out".split(), cwd=folder
    )
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "out").iterdir()
    return run


@contextmanager
def streaming(*words: object) -> Iterator[subprocess.Popen[bytes]]:
    """The command with pipes, once it is ready."""
    pipe: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = forkserver.Popen([sys.executable, str(SCRIPT), *map(str, words)], **pipe)
    try:
        assert process.stderr.readline().startswith(b"ready: fridge"), process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def call(*words: object, text: bytes = b"") -> tuple[int, list[bytes], str]:
    done = forkserver.run(SCRIPT, *words, input=text, text=False)
    return done.returncode, done.stdout.splitlines(), done.stderr.decode()


@pytest.mark.slow
def test_standard_input_to_standard_output(trained: Path) -> None:
    stored, series = checkpoint.read(checkpoint.find(str(trained))), metered()
    score = np.split(batch(stored, series), 2)[0]
    stored["calibration"]["tau"] = np.median(score, axis=1).tolist()  # so that states change after one epoch
    changed = trained.parent / "changed.pt"
    checkpoint.save(changed, stored)
    lines, times = [], []
    for i, (moment, watts) in enumerate((sample.time, sample.watts) for sample in samples(series)):
        missing = np.isnan(watts)
        kinds = [f"{moment}," + ("" if missing else repr(watts)), json.dumps({"mains": None if missing else watts})]
        lines.append([*kinds, f"{watts!r}"][i % 3])
        times.append(moment if i % 3 == 0 else i + 1)
        lines += ["", "23O"] if i % 75 == 7 else []  # a letter for a digit
    status, answers, told = call("--ckpt", changed, text="\n".join(lines).encode())
    assert status == 0, told
    found = [json.loads(answer) for answer in answers]
    agree(stored, series, found)
    assert [answer["time"] for answer in found] == times
    assert len({tuple(d["on"] for d in answer["devices"].values()) for answer in found if answer["devices"]}) > 1
    assert told.count("'23O' is not a number") == stream.MOST_REPORTED and "line 10: '23O'" in told
    summary = told.splitlines()[-1]
    assert summary.startswith("600 samples, 4 of them missing; 8 malformed lines; ") and "ms at 99 %" in summary


@pytest.mark.fault(
    "SIGTERM and SIGINT in a stream",
    "exit 143 and 130 after the summary; every sample before it has its answer",
)
@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_every_answer_comes_at_once_and_a_signal_ends_with_the_summary(trained: Path, signum: int, status: int) -> None:
    with streaming("--ckpt", trained) as process:
        for count in (1, 2):
            process.stdin.write(b"100\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["time"] == count  # while the next sample is not yet there
        process.send_signal(signum)
        rest, told = process.communicate(timeout=60)
    assert process.returncode == status and rest == b""
    summary, error = told.decode().splitlines()
    assert summary.startswith("2 samples, 0 of them missing; 0 malformed lines; ")
    assert error == f"error: stopped by {'SIGTERM' if signum == signal.SIGTERM else 'Ctrl-C'}"


@pytest.mark.fault("a stream's peer that is gone", "exit 0 with the summary; one that stalls holds up no signal")
@pytest.mark.slow
def test_a_reader_that_leaves_ends_it_quietly_and_one_that_stalls_holds_up_no_signal(trained: Path) -> None:
    with streaming("--ckpt", trained) as process:
        process.stdin.write(b"100\n" * 3)
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        for _ in range(3):
            try:
                process.stdin.write(b"100\n")
                process.stdin.flush()
            except BrokenPipeError:
                break
        assert process.wait(timeout=60) == 0
        (summary,) = process.stderr.read().decode().splitlines()
        assert " samples, 0 of them missing; " in summary
    with streaming("--ckpt", trained) as process:
        os.set_blocking(process.stdin.fileno(), False)
        process.stdin.raw.write(b"100\n" * 5000)  # their answers are more than a pipe takes
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143


@pytest.mark.slow
def test_mistakes_have_exit_codes(trained: Path, tmp_path: Path) -> None:
    backwards = tmp_path / "model.pt"
    checkpoint.save(backwards, made(hidden=8, bidirectional=True))
    status, answers, told = call("--ckpt", backwards, text=b"100\n")
    assert (status, answers) == (4, []) and "cannot go from sample to sample" in told and "hint: python run.py" in told
    status, _, told = call("--ckpt", trained, "--input", "udp://a:1")
    assert status == 2 and "neither - nor tcp://HOST:PORT" in told
    with Path("/dev/full").open("wb") as full:
        done = forkserver.run(SCRIPT, "--ckpt", trained, input=b"100\n", stdout=full, text=False)
    assert done.returncode == 6 and b"--output -: cannot be written: No space left" in done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_pushed_messages_are_answered_one_by_one(trained: Path) -> None:
    zmq = pytest.importorskip("zmq")
    stored, series = checkpoint.read(checkpoint.find(str(trained))), metered(steps=200)
    there, here = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    with zmq.Context() as context, context.socket(zmq.PUSH) as source, context.socket(zmq.PULL) as sink:
        source.linger, sink.rcvtimeo = 0, 30_000
        source.connect(there)  # before anybody is there
        sink.bind(here)
        source.send(b"no sample")
        for sample in samples(series):
            source.send(f"{sample.time},{sample.watts!r}".encode())
        with streaming("--ckpt", trained, "--input", there, "--output", here) as process:
            agree(stored, series, [json.loads(sink.recv()) for _ in range(200)])
            process.send_signal(signal.SIGTERM)
            told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 143
    assert "message 1: 'no sample' is not a number" in told and "; 1 malformed messages; " in told


@pytest.mark.slow
def test_a_late_subscriber_gets_all_that_follows_its_handshake(trained: Path) -> None:
    zmq = pytest.importorskip("zmq")
    stored, series = checkpoint.read(checkpoint.find(str(trained))), metered(steps=200, gaps=[100])
    there, here = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    with zmq.Context() as context, context.socket(zmq.XPUB) as source, context.socket(zmq.SUB) as sink:
        source.linger, source.rcvtimeo, sink.rcvtimeo = 0, 30_000, 30_000
        source.bind(there)
        with streaming("--ckpt", trained, "--input", there, "--output", here, "--pattern", "sub") as process:
            assert source.recv() == b"\x01"  # the stream has subscribed
            sink.connect(here)
            sink.subscribe(b"")
            source.send_multipart([b"topic", b"nan"])
            while not sink.poll(100):
                source.send(
                    b"nan"
                )  # answers to these are lost until the sink has joined; they leave the model as it is
            for sample in samples(series):
                source.send(f"{sample.time},{sample.watts!r}".encode())
            answers = [json.loads(sink.recv())]
            while len(answers) < 200 or answers[-1]["time"] != samples(series)[-1].time:
                answers.append(json.loads(sink.recv()))
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
    assert process.returncode == 130
    agree(stored, series, answers[-200:])
