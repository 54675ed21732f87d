"""`python hostile_homes.py HOST:PORT FOLDER KIND ... -- flags`: clients of a federation that lie, each in its way.

Each speaks Flower's protocol by itself, with the name, schema and weights of a real home, until it lies.
"""

from __future__ import annotations

import dataclasses
import json
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from flwr.common import Code, EvaluateRes, FitRes, Status, parameters_to_ndarrays, serde
from flwr.proto.transport_pb2 import ClientMessage
from flwr.proto.transport_pb2_grpc import FlowerServiceStub

import cli
from federation.flower import OK, pack
from federation.home_client import HomeClient
from federation.homes import HomeSplit, read_homes

Change = Callable[[FitRes], FitRes]


def weights(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """All weights changed."""

    def changed(result: FitRes) -> FitRes:
        names = json.loads(str(result.metrics["names"]))
        pairs = zip(names, parameters_to_ndarrays(result.parameters), strict=True)
        parameters, told = pack({name: change(value) for name, value in pairs})
        return dataclasses.replace(result, parameters=parameters, metrics=told)

    return changed


def tensors(change: Callable[[bytes], bytes]) -> Change:
    """The bytes of all weights changed."""

    def changed(result: FitRes) -> FitRes:
        made = dataclasses.replace(result.parameters, tensors=[change(part) for part in result.parameters.tensors])
        return dataclasses.replace(result, parameters=made)

    return changed


def vast(data: bytes) -> bytes:
    """An array that claims more than any memory."""
    return data.replace(b"'shape': (", b"'shape': (999999999, ", 1)


# {kind: what it does to the result of a round}
LIES: dict[str, Change] = {
    "nan": weights(lambda value: value * np.nan),
    "infinite": weights(lambda value: value * 0 + np.inf),
    "huge": weights(lambda value: value * 1e12),
    "shapes": weights(lambda value: value[:1]),
    "types": weights(lambda value: value.astype(np.complex64)),
    "bytes": tensors(lambda data: data[:-3]),
    "vast": tensors(vast),
    "names": lambda result: dataclasses.replace(result, metrics={"names": "[1"}),
    "nameless": lambda result: dataclasses.replace(result, metrics={}),
    "claims": lambda result: dataclasses.replace(result, num_examples=10**12),
    "negative": lambda result: dataclasses.replace(result, num_examples=-10),
    "failed": lambda result: dataclasses.replace(result, status=Status(Code.FIT_NOT_IMPLEMENTED, "")),
}
# {kind: the text of its answer to a question}
ANSWERS = {"no-json": "{", "deep": "[" * 100_000, "list": "[]", "strange": '{"nonce": 1, "home": "../x", "schema": {}}'}
KINDS = [*LIES, *ANSWERS, "no-answer", "other-message", "silent"]


def reply(kind: str, client: HomeClient, message: Any) -> ClientMessage | None:
    """The answer to a message of the server; None for none at all."""
    asked = message.WhichOneof("msg")
    if asked == "get_properties_ins":
        ins = serde.get_properties_ins_from_proto(message.get_properties_ins)
        given = client.get_properties(ins)
        answer = json.loads(str(given.properties["answer"]))
        if kind in ANSWERS:
            answer = ANSWERS[kind]
        elif ins.config["ask"] == "schema":
            answer = json.dumps(answer | {"home": kind})
        else:  # no part in the scaler: then it is that of the honest homes
            answer = json.dumps(answer if ins.config["ask"] == "greet" else {"count": "x"})
        given = dataclasses.replace(given, properties={} if kind == "no-answer" else {"answer": answer})
        return ClientMessage(get_properties_res=serde.get_properties_res_to_proto(given))
    if asked == "get_parameters_ins":
        first = client.get_parameters(serde.get_parameters_ins_from_proto(message.get_parameters_ins))
        first = dataclasses.replace(first, parameters=dataclasses.replace(first.parameters, tensors=[b"x"]))
        return ClientMessage(get_parameters_res=serde.get_parameters_res_to_proto(first))
    if kind == "silent":
        return None
    if kind == "other-message":
        return ClientMessage(disconnect_res=ClientMessage.DisconnectRes())
    if asked == "evaluate_ins":
        ending = EvaluateRes(OK, -1.0 if kind == "negative" else float("nan"), client.alone.windows, {})
        return ClientMessage(evaluate_res=serde.evaluate_res_to_proto(ending))
    order = serde.fit_ins_from_proto(message.fit_ins)
    learned = FitRes(OK, order.parameters, client.alone.windows, {"names": order.config["names"]})
    return ClientMessage(fit_res=serde.fit_res_to_proto(LIES[kind](learned)))


def lie(kind: str, client: HomeClient, address: str, lock: threading.Lock) -> None:
    """Take part until the server ends it."""
    answers: queue.Queue[ClientMessage | None] = queue.Queue()
    said: Iterator[Any] = iter(answers.get, None)
    with grpc.insecure_channel(address) as channel:
        try:
            for message in FlowerServiceStub(channel).Join(said):
                if message.WhichOneof("msg") == "reconnect_ins":
                    answers.put(ClientMessage(disconnect_res=ClientMessage.DisconnectRes()))
                    return
                with lock:  # they share a model
                    given = reply(kind, client, message)
                if given is not None:
                    answers.put(given)
        except grpc.RpcError:
            return
        finally:
            answers.put(None)


def main(argv: list[str]) -> None:
    """All of them, each a thread with a connection of its own."""
    cut = argv.index("--")
    address, folder, *kinds = argv[:cut]
    homes = read_homes(cli.parse(["--mode", "train", *argv[cut + 1 :]]), HomeSplit())
    client = HomeClient(homes["cellar"], Path(folder))
    lock = threading.Lock()
    for kind in kinds:
        threading.Thread(target=lie, args=(kind, client, address, lock)).start()


if __name__ == "__main__":
    main(sys.argv[1:])
