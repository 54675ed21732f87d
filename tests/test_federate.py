"""tools/federate.py: sums and averages by other means; then real processes, real connections, real deaths."""

from __future__ import annotations

import csv
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import checkpoint
import cli
from errors import CheckpointError, DataError, DivergedError, ResourceError, UsageError
from federation import homes
from federation.homes import HomeSplit, read_homes
from scaler import Scaler
from sources.synthetic import write_wide
from tools import federate

from . import forkserver
from .conftest import ROOT
from .runs import good, preds, strict

pytest.importorskip("flwr", reason="Flower is not installed")
from flwr.common import EvaluateRes, FitIns, FitRes

from federation import flower, home_client, home_model

SCRIPT = ROOT / "tools" / "federate.py"
HOMES = ("attic", "barn", "cellar")
ROWS, STEPS, CHANNELS = 24, 6, 2  # rows a home


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three homes of rows whose class is the sign of a slope, which each home sees at its own offset."""
    folder = tmp_path_factory.mktemp("homes")
    rng = np.random.default_rng(0)
    values, classes, groups = [], [], []
    for k, home in enumerate(HOMES):
        slope = rng.choice([-1.0, 1.0], ROWS)
        ramp = slope[:, None] * np.arange(STEPS) + 10 * k + rng.normal(0, 0.3, (ROWS, STEPS))
        values.append(np.stack([ramp, rng.normal(50 * k, 1 + k, (ROWS, STEPS))]))
        classes += (slope > 0).tolist()
        groups += [home] * ROWS
    write_wide(np.concatenate(values, axis=1), [folder / f"ch{c}.csv" for c in range(CHANNELS)])
    (folder / "labels.csv").write_text("down,up\n" + "\n".join(f"{int(not up)},{int(up)}" for up in classes) + "\n")
    (folder / "homes.csv").write_text("home\n" + "\n".join(groups) + "\n")
    return folder


def words(data: Path, *more: object, channels: int = CHANNELS) -> list[str]:
    files = [data / f"ch{c}.csv" for c in range(channels)]
    given = ["--task", "classify", "--csv", *files, "--labels", data / "labels.csv", "--groups", data / "homes.csv"]
    given += "--backbone gru --model-args hidden=8 --lr 0.01 --batch-size 8".split()
    return [str(word) for word in (*given, *more)]


def homes_of(data: Path, parting: HomeSplit = HomeSplit(), *more: object) -> dict[str, homes.Home]:  # noqa: B008
    return read_homes(cli.parse(["--mode", "train", *words(data, *more)]), parting)


# ---- what a home's data become


def test_rows_that_overlap_never_stand_on_both_sides(data: Path) -> None:
    homes = homes_of(data, HomeSplit(blocks=2, gap=1))
    assert list(homes) == list(HOMES)
    for k, home in enumerate(homes.values()):
        parts = home.split.how["rows"]
        owner = {row: part for part, rows in parts.items() for row in rows}
        assert len(owner) == sum(map(len, parts.values())) and all(parts.values())
        assert set(owner) <= set(range(k * ROWS, (k + 1) * ROWS))
        for row, part in owner.items():  # neighbours are of one part, or not there
            assert owner.get(row + 1, part) == part
        # 12 rows a block: 2 to test, 2 to validation (a fifth, rounded); one gap before each, one between the blocks
        assert [len(parts[part]) for part in ("train", "val", "test")] == [6 + 5, 4, 4]


def test_a_home_that_is_too_small_is_named(data: Path) -> None:
    with pytest.raises(DataError, match="home 'attic' has 24 rows, and no window for train"):
        homes_of(data, HomeSplit(blocks=6, gap=1))


def test_homes_agree_on_the_scaler_of_all_their_training_steps(data: Path) -> None:
    found_homes = list(homes_of(data).values())
    first = [homes.first_sums(home) for home in found_homes]
    mean = homes.common_mean(first)
    second = [homes.second_sums(home, mean.tolist()) for home in found_homes]
    found = homes.common_scaler(mean, first, second, found_homes[0].run_data.channels)
    values = found_homes[0].run_data.values()
    together = np.isin(
        np.repeat(np.arange(3 * ROWS), STEPS), [row for home in found_homes for row in home.split.how["rows"]["train"]]
    )
    wanted = Scaler.fit(values, together, found_homes[0].run_data.channels)
    np.testing.assert_allclose(found.mean, wanted.mean, rtol=1e-12)
    np.testing.assert_allclose(found.std, wanted.std, rtol=1e-12)
    assert found.channels == wanted.channels


def test_averages_are_weighted_by_windows() -> None:
    parts = [({"w": np.array([[k, 2.0 * k]], np.float32), "n": np.array(k)}, count) for k, count in ((1, 30), (4, 10))]
    found = flower.average(parts)
    np.testing.assert_allclose(found["w"], [[(30 * 1 + 10 * 4) / 40, (30 * 2 + 10 * 8) / 40]])
    assert found["w"].dtype == np.float32 and found["n"].dtype == np.int64


def sent(value: float, windows: int) -> Any:
    """What a home sends after a round: one weight."""
    parameters, names = flower.pack({"backbone.w": np.array([value], np.float32)})
    return FitRes(flower.OK, parameters, windows, names)


def scored(loss: float, windows: int) -> Any:
    return EvaluateRes(flower.OK, loss, windows, {})


def test_what_is_not_finite_is_left_out_of_the_round_and_the_best_is_on_disk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One NaN would make the average NaN for every home (flwrlabs/flower 1060)."""
    exchange = flower.Exchange(["fedper"], 4, 1, 3, 1.0, tmp_path)
    exchange.members.names = {home: home for home in HOMES}
    exchange.members.windows = {"attic": 30, "barn": 10, "cellar": 60}
    exchange.scaler = Scaler(np.zeros(1), np.ones(1), ("a",))
    exchange.current = {"backbone.w": np.zeros(1, np.float32)}
    attic, barn, cellar = (SimpleNamespace(cid=home) for home in HOMES)

    exchange.aggregate_fit(1, [(attic, sent(1.0, 30)), (barn, sent(5.0, 10)), (cellar, sent(np.nan, 60))], [])
    assert exchange.current["backbone.w"] == [(30 * 1 + 10 * 5) / 40]
    exchange.aggregate_evaluate(
        1, [(attic, scored(1.0, 30)), (barn, scored(2.0, 10)), (cellar, scored(np.nan, 60))], []
    )
    told = strict(tmp_path / "server.json")
    assert told["history"] == [{"mode": "fedper", "round": 1, "homes": 2, "val_loss": (30 * 1 + 10 * 2) / 40}]
    assert [(line["home"], line["round"]) for line in told["left_out"]] == [("cellar", 1)] * 2
    assert "fedper round 1: cellar is left out: its weights are not finite" in capfd.readouterr().err
    assert home_model.SharedBase.load(tmp_path / "fedper.shared.pt").state["backbone.w"] == 2.0

    exchange.aggregate_fit(2, [(attic, sent(np.inf, 30)), (barn, sent(-np.inf, 10))], [])
    assert exchange.current["backbone.w"] == 2.0  # nothing is left to average
    exchange.aggregate_fit(3, [(attic, sent(4.0, 30)), (barn, sent(9.0, 0))], [])
    assert exchange.current["backbone.w"] == 4.0
    exchange.aggregate_evaluate(3, [(attic, scored(9.0, 30))], [])
    assert exchange.aggregate_evaluate(4, [(attic, scored(np.nan, 30))], []) == (None, {})
    assert home_model.SharedBase.load(tmp_path / "fedper.shared.pt").state["backbone.w"] == 2.0
    assert strict(tmp_path / "server.json")["best"] == {"fedper": 1.25}


def test_everyone_starts_from_the_first_weights_that_are_finite(tmp_path: Path) -> None:
    exchange = flower.Exchange(["fedper"], 4, 1, 3, 1.0, tmp_path)
    exchange.schema = {"weights": {"backbone.w": [1], "head.w": [1]}}
    present = []
    for home, value in (("attic", np.nan), ("barn", 3.0)):
        given = SimpleNamespace(parameters=sent(value, 1).parameters)
        present.append((home, SimpleNamespace(get_parameters=lambda *_, given=given, **__: given)))
    assert exchange._first_weights("fedper", present, 1) == {"backbone.w": np.array([3.0], np.float32)}
    with pytest.raises(ResourceError, match="no home has weights for fedper"):
        exchange._first_weights("fedper", present[:1], 1)


def test_a_home_refuses_an_average_that_is_not_finite(data: Path, tmp_path: Path) -> None:
    client = home_client.HomeClient(homes_of(data)["barn"], tmp_path)
    order = asked()
    weights = {name: np.full_like(value, np.nan) for name, value in client._model(order).weights().items()}
    parameters, names = flower.pack(weights)
    with pytest.raises(DivergedError, match="the average that the server sent is not finite"):
        client.fit(FitIns(parameters, order | names))


def asked() -> dict[str, Any]:
    scaler = Scaler(np.zeros(CHANNELS), np.ones(CHANNELS), ("ch0", "ch1"))
    return {"mode": "fedper", "round": 1, "rounds": 2, "epochs": 1, "scaler": json.dumps(scaler.plain())}


def test_accuracy_of_classes_and_of_labels() -> None:
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)[:, :, None]
    pred = np.array([[0.2, 0.1, 0.0], [0.9, 0.8, 0.0], [0.0, 0.0, 0.9]], np.float32)[:, :, None]
    assert home_model.accuracy(truth, pred, [0.5] * 3, True) == pytest.approx(
        2 / 3
    )  # the second is taken for the first
    two = np.array([[1, 1], [0, 1]], np.float32)[:, :, None]
    said = np.array([[0.6, 0.2], [0.4, 0.6]], np.float32)[:, :, None]
    assert home_model.accuracy(two, said, [0.5, 0.5], False) == 0.5  # all labels of a window at once
    assert home_model.accuracy(two, said, [0.5, 0.1], False) == 1.0


def test_schemas_differ_in_words() -> None:
    one = {"backbone": "gru", "channels": ["a", "b"], "weights": {"w": [1, 2]}}
    assert homes.difference(one, dict(one)) == ""
    other = one | {"channels": ["a"], "backbone": "lstm"}
    told = homes.difference(other, one)
    assert told == "backbone lstm, where the federation has gru; channels 1 (a), where the federation has 2 (a, b)"
    assert "weights" in homes.difference(one | {"weights": {"w": [1, 3]}}, one)
    assert flower.usual([other, one, one]) == one and flower.usual([other, one]) == other


def test_a_shared_base_shares_nothing_of_the_head(data: Path, tmp_path: Path) -> None:
    home = next(iter(homes_of(data).values()))
    names = {mode: set(home_model.HomeModel(home, mode, tmp_path).weights()) for mode in federate.MODES}
    gru = {f"backbone.rnn.{kind}_{side}_l0" for kind in ("weight", "bias") for side in ("ih", "hh")}
    assert names == {"local": set(), "fedper": gru, "shared": gru | {"head.weight", "head.bias"}}


@pytest.mark.parametrize(
    ("line", "error", "reason"),
    [
        ("--rounds 0 -- X", UsageError, "must be 1 or more"),
        ("--rounds 2", UsageError, "no flags of run.py"),
        ("--round 2 -- X", UsageError, "unrecognized"),
        ("--serve 127.0.0.1:1", UsageError, "the number of homes: 2 or more"),
        ("--serve 127.0.0.1:1 --home a", UsageError, "exclude each other"),
        ("--join 127.0.0.1:1 -- X", UsageError, "--home: is needed with --join"),
        ("--clients 1 -- X", UsageError, "a federation needs 2 homes or more, got 1"),
        ("--clients 9 -- X", UsageError, "there are 3 homes, not 9"),
        ("--clients atic barn -- X", UsageError, "no home 'atic'"),
        ("--homes-by files -- X", UsageError, "is a channel, not a home"),
        ("-- X --mode infer --ckpt a", UsageError, "a federation trains"),
        ("-- X --task regress", UsageError, "compared by accuracy"),
        ("-- X --epochs 3", UsageError, "give both before the --"),
        ("-- X --patience=3", UsageError, "a home trains every round"),
        ("-- X --groups=", UsageError, "the data have no groups"),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    data: Path, line: str, error: type, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    argv: list[str] = []
    for word in line.split():
        argv += words(data) if word == "X" else [word]
    assert federate.main(argv) == error.exit_code
    assert reason in capfd.readouterr().err


# ---- real processes


@contextmanager
def part(*argv: object, script: Path = SCRIPT, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A part of a federation as its own process, killed at the end if it is still there."""
    command = [sys.executable, str(script), *map(str, argv)]
    process = forkserver.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def await_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"it ended without saying {text!r}")


def family(parent: int) -> dict[int, str]:
    """{pid: command line} of a process' children."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.split(None, 2) for line in listed.splitlines()]
    return {int(pid): args for pid, ppid, args in lines if int(ppid) == parent}


def alive(pids: Sequence[int]) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    states = dict(line.split(None, 1) for line in listed.splitlines())
    return [pid for pid in pids if not states.get(str(pid), "Z").startswith("Z")]


@pytest.mark.slow
@pytest.mark.paints
def test_three_ways_are_compared_and_every_home_gets_a_model(data: Path, tmp_path: Path) -> None:
    argv = ["--rounds", 6, "--epochs", 3, "--", *words(data, "--out", "out")]
    done = forkserver.run(SCRIPT, *argv, cwd=tmp_path, nested=True)
    assert done.returncode == 0, done.stderr
    place = tmp_path / done.stdout.splitlines()[-1]
    assert place == tmp_path / "out" / "federate_classify_homes3_rounds6x3_gru_seed777"
    made = {"base", "config.yaml", "metrics.json", "per_home.csv", "per_home.png", *federate.MODES}
    assert {file.name for file in place.iterdir()} == made and (place / "per_home.png").stat().st_size > 5000
    assert sorted(p.name for p in place.parent.iterdir()) == [place.name]  # nothing partial, no lock

    # its config.yaml says what the homes did, which took the federation's own defaults
    whole, of_a_home = (cli.parse(["--config", str(place / folder / "config.yaml")]) for folder in ("", "shared/barn"))
    assert whole == of_a_home and (whole.test_ratio, whole.split_mode, whole.epochs) == (0.2, "group", 18)

    content = strict(place / "metrics.json")
    assert content["homes_compared"] == list(HOMES) and not content["refused"] and not content["lost"]
    assert [(line["mode"], line["round"]) for line in content["history"]] == [
        (mode, k) for mode in ("shared", "fedper") for k in range(1, 7)
    ]
    with (place / "per_home.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    for mode in federate.MODES:
        mean = np.mean([float(row[mode]) for row in table])
        assert content["mean_accuracy"][mode] == pytest.approx(mean) and mean > 0.75, mode

    # run.py reads a home's checkpoint, and says the same of the same windows
    home = place / "fedper" / "barn"
    directory = good(
        tmp_path,
        "--mode infer --task classify",
        *words(data)[2:9],
        "--ckpt",
        home,
        "--eval-split test --no-plots --reference off",
    )
    said = preds(directory)
    assert len(said) == 5 == content["homes"]["barn"]["fedper"]["windows"]["test"]
    right = np.mean([row["y_true"] == row["y_pred"] for row in said])
    assert right == pytest.approx(content["homes"]["barn"]["fedper"]["accuracy"])

    # each has its own head, but all the scaler that they agreed on; alone each has its own
    stored = {
        (mode, name): checkpoint.read(place / mode / name / "model.pt.best")
        for mode in made & set(federate.MODES)
        for name in HOMES
    }
    heads = [stored["fedper", name]["state"]["head.weight"] for name in HOMES]
    assert not torch.equal(heads[0], heads[1]) and not torch.equal(heads[1], heads[2])
    assert len({json.dumps(stored["fedper", name]["scaler"]) for name in HOMES}) == 1
    assert len({json.dumps(stored["local", name]["scaler"]) for name in HOMES}) == 3

    # the base has nobody's head and constants, and a new home starts from it
    base = checkpoint.read(place / "base" / "model.pt.best")
    assert base["fitted"]["pos_weight"] == [1.0, 1.0] and base["fitted"]["exclusive"]
    assert not base["sources"] and not base["config"]["csv"]
    assert all(not torch.equal(base["state"]["head.weight"], head) for head in heads)
    tuned = good(
        tmp_path,
        "--mode finetune",
        *words(data)[:9],
        "--ckpt",
        place / "base",
        "--train-only head --epochs 2 --reference off --no-plots",
    )
    after = checkpoint.read(tuned / "model.pt.best")["state"]
    assert torch.equal(after["backbone.rnn.weight_hh_l0"], base["state"]["backbone.rnn.weight_hh_l0"])


@contextmanager
def listening(target: str) -> Iterator[tuple[str, list[bytes], list[bytes]]]:
    """A gRPC proxy before the server at `target`: (its address, all messages to the server, all from it)."""
    import grpc

    up: list[bytes] = []
    down: list[bytes] = []
    channel = grpc.insecure_channel(target)

    class Through(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            def pipe(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
                def noted() -> Iterator[bytes]:
                    for message in requests:
                        up.append(message)
                        yield message

                for message in channel.stream_stream(details.method)(noted()):
                    down.append(message)
                    yield message

            return grpc.stream_stream_rpc_method_handler(pipe)

    server = grpc.server(ThreadPoolExecutor(16), handlers=[Through()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", up, down
    finally:
        server.stop(None)
        channel.close()


def shapes_sent(messages: Sequence[bytes]) -> list[tuple[int, list[str] | None, list[tuple[int, ...]]]]:
    """(message, names where told, shapes) of all weights that homes send; nothing else of theirs holds any."""
    from flwr.common import Parameters, parameters_to_ndarrays
    from flwr.proto.transport_pb2 import ClientMessage

    found = []
    for number, raw in enumerate(messages):
        message = ClientMessage.FromString(raw)
        kind = message.WhichOneof("msg")
        body = getattr(message, kind)
        if kind in ("fit_res", "get_parameters_res"):
            arrays = parameters_to_ndarrays(Parameters(list(body.parameters.tensors), body.parameters.tensor_type))
            names = json.loads(body.metrics["names"].string) if kind == "fit_res" else None
            found.append((number, names, [array.shape for array in arrays]))
        else:
            assert kind in ("get_properties_res", "evaluate_res", "disconnect_res"), kind
    return found


@pytest.mark.slow
def test_no_head_is_on_the_wire_and_another_schema_is_refused(data: Path, tmp_path: Path) -> None:
    """Heads are looked for in every message; where they are shared, the same look at the same wire finds them.

    A third home has one channel less: it is refused, and the others go on.
    """
    rounds, port = 2, federate._free_port()
    shared = ["--rounds", rounds, "--modes", "fedper", "shared", "--place", tmp_path]
    server = part("--serve", f"127.0.0.1:{port}", "--clients", 3, *shared)
    with server as serving, listening(f"127.0.0.1:{port}") as (address, up, down):
        until = time.monotonic() + 30
        while time.monotonic() < until:  # the proxy answers from the start, and must have somebody to pass it on to
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
        joined = [part("--home", name, "--join", address, *shared, "--", *words(data)) for name in HOMES[:2]]
        other = part("--home", HOMES[2], "--join", address, *shared, "--", *words(data, channels=1))
        with joined[0] as one, joined[1] as two, other as odd:
            told = odd.communicate(timeout=60)[1]
            assert odd.returncode == 4
            assert "home 'cellar' was refused: channels 1 (ch0), where the federation has 2 (ch0, ch1)" in told
            for process in (one, two, serving):
                told = process.communicate(timeout=60)[1]
                assert process.returncode == 0, told
    content = strict(tmp_path / "server.json")
    assert content["homes"] == list(HOMES[:2]) and list(content["refused"]) == ["cellar"] and not content["lost"]
    sent = shapes_sent(up)
    count = 2 + 2 * rounds  # where to start from, and each home after each round
    assert len(sent) == 2 * count
    border = sent[count][0]
    wires = {"fedper": up[:border] + [m for m in down if b"fedper" in m], "shared": up[border:] + down}
    for mode, told in (("fedper", sent[:count]), ("shared", sent[count:])):
        states = [checkpoint.read(tmp_path / mode / name / "model.pt.best")["state"] for name in HOMES[:2]]
        base = {name: tuple(v.shape) for name, v in states[0].items() if name.startswith("backbone.")}
        heads = [v.numpy().tobytes() for state in states for k, v in state.items() if k.startswith("head.")]
        averaged = states[0]["backbone.rnn.weight_hh_l0"].numpy().tobytes()
        assert any(averaged in message for message in wires[mode])
        if mode == "fedper":
            assert all(names in (None, list(base)) and shapes == list(base.values()) for _, names, shapes in told)
            assert not any(head in message for head in heads for message in wires[mode])
        else:
            assert all(len(shapes) == len(base) + 2 for *_, shapes in told)
            assert all(any(head in message for message in wires[mode]) for head in heads)


@pytest.mark.fault(
    "a home of a federation that is gone",
    "the round goes on with those that remain; the home and its end are reported",
)
@pytest.mark.slow
def test_a_home_that_dies_and_one_of_another_schema_do_not_stop_the_others(data: Path, tmp_path: Path) -> None:
    # Its names are loaded when they are asked for: on a busy machine `join` would take longer than all rounds.
    assert importlib.import_module("flwr.client").start_client
    client = home_client.HomeClient(homes_of(data, HomeSplit(), "--model-args", "hidden=4")["attic"], tmp_path)
    with part("--rounds", 100, "--modes", "fedper", "--", *words(data, "--out", tmp_path / "out")) as process:
        await_line(process, "fedper round 2/100")
        children = family(process.pid)
        (address,) = [c.split("--serve ")[1].split()[0] for c in children.values() if "--serve" in c]
        (victim,) = [pid for pid, command in children.items() if "--home barn" in command]
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(CheckpointError, match=r"home 'attic' was refused: model_args .* 4}, where"):
            home_client.join(address, client, wait=5)
        out, told = process.communicate(timeout=60)
        assert process.returncode == 0 and "attic: refused: model_args" in told
        assert "barn: ended by SIGKILL" in told and "fedper round 100/100: 2 homes" in told
    content = strict(Path(out.splitlines()[-1]) / "metrics.json")
    assert content["homes_compared"] == ["attic", "cellar"] and content["homes"]["barn"] == {"end": "SIGKILL"}
    assert list(content["lost"]) == ["barn"] and list(content["refused"]) == ["attic"]


@pytest.mark.slow
def test_too_few_homes_end_it_with_a_reason(data: Path, tmp_path: Path) -> None:
    address = f"127.0.0.1:{federate._free_port()}"
    client = home_client.HomeClient(homes_of(data)["barn"], tmp_path)
    with pytest.raises(ResourceError, match="no server answers: Connection refused"):
        home_client.join(address, client, wait=0.1)
    with part("--serve", address, "--clients", 2, "--wait", 2, "--place", tmp_path) as server:
        with pytest.raises(ResourceError, match="the server is gone"):
            home_client.join(address, client, wait=30)
        told = server.communicate(timeout=60)[1]
        assert server.returncode == 6 and "1 home(s) joined within 2 s, a federation needs 2" in told


@pytest.mark.fault("SIGTERM and SIGINT in a federation", "exit 143 and 130; no process and no half run is left")
@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_nothing_is_left_running(data: Path, tmp_path: Path, signum: int, status: int) -> None:
    with part("--rounds", 1000, "--clients", 2, "--", *words(data, "--out", tmp_path / "out")) as process:
        if signum != signal.SIGKILL:
            await_line(process, "shared round 2/1000")
        until = time.monotonic() + 30
        while len(children := family(process.pid)) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(children) == 3 and all("federate.py" in command for command in children.values())
        process.send_signal(signum)
        assert process.wait(timeout=120) == status
        until = time.monotonic() + 60
        while (left := alive(list(children))) and time.monotonic() < until:
            time.sleep(0.1)
        assert not left
    if signum != signal.SIGKILL:
        assert not list((tmp_path / "out").iterdir())
