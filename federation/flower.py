"""The exchange of weights on Flower: a server that averages, and the client of a home.

Server and clients speak over Flower's gRPC channel (`start_server`, `start_client`): one connection a home for the
whole federation, a process each, no Ray. Flower calls these two deprecated in favour of SuperLink and SuperNode, which
(flwr 1.41) start a process for each message to a home, and ask for the next one every three seconds; a small model's
round is a tenth of a second. All that knows Flower is in this file.

What travels from a home: its name and schema (names and shapes); once, per channel, the count and sum of its training
steps and the sum of their squared differences from the common mean; in each round its shared weights, how many windows
it trained on, and its validation loss. With a shared base (`fedper`) no weight of a head is ever among them.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read at import: nobody else is told of a run

import grpc
from flwr.client import Client
from flwr.common import (
    Code,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    GetParametersIns,
    GetParametersRes,
    GetPropertiesIns,
    GetPropertiesRes,
    Parameters,
    ReconnectIns,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from flwr.server import ServerConfig, SimpleClientManager, start_server
from flwr.server.strategy import Strategy

from errors import CheckpointError, ResourceError
from federation.home_model import SHARED, HomeModel, SharedBase
from federation.homes import Home, common_mean, common_scaler, difference, first_sums, second_sums
from rundir import write_json
from scaler import Scaler

logging.getLogger("flwr").setLevel(logging.CRITICAL)  # its progress and its tracebacks; ours say what is needed
LEAST = 2  # homes that make a federation
BEST = "shared.pt"  # the averaged weights of the best round, a file a way of learning
FINE = Status(code=Code.OK, message="")
Weights = dict[str, np.ndarray]


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def pack(weights: Mapping[str, np.ndarray]) -> tuple[Parameters, dict[str, Any]]:
    """Named arrays as Flower's nameless ones, and the names beside them."""
    return ndarrays_to_parameters(list(weights.values())), {"names": json.dumps(list(weights))}


def unpack(parameters: Parameters, beside: Mapping[str, Any]) -> Weights:
    names = json.loads(beside["names"])
    return dict(zip(names, parameters_to_ndarrays(parameters), strict=True))


def average(parts: Sequence[tuple[Weights, int]]) -> Weights:
    """The mean weighted by windows, in float64, each array in its own type."""
    total = sum(count for _, count in parts)
    first = parts[0][0]
    return {
        name: (np.sum([weights[name].astype(np.float64) * count for weights, count in parts], axis=0) / total).astype(
            value.dtype
        )
        for name, value in first.items()
    }


# ---- the server


class Exchange(Strategy):
    """Rounds of each way of learning in `modes`, one after the other, over the homes that are there.

    `wanted` homes are waited for, `wait` seconds at most. The schema is that of most homes; another is refused.
    """

    def __init__(self, modes: Sequence[str], rounds: int, epochs: int, wanted: int, wait: float) -> None:
        self.modes, self.rounds, self.epochs, self.wanted, self.wait = modes, rounds, epochs, wanted, wait
        self.names: dict[str, str] = {}  # of the connections, by Flower's id
        self.refused: dict[str, str] = {}
        self.lost: dict[str, str] = {}
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, tuple[float, Weights]] = {}
        self.schema: dict[str, Any] = {}
        self.scaler = Scaler(np.zeros(0), np.zeros(0), ())
        self.current: Weights = {}

    def initialize_parameters(self, client_manager: Any) -> Parameters:
        """Round 0: who is there, of one schema, and the scaler of all."""
        client_manager.wait_for(self.wanted, timeout=self.wait)
        asked = self._ask_all(client_manager.all(), {"ask": "schema"})
        if asked:
            self.schema = usual(
                [told["schema"] for _, told in sorted(asked.values(), key=lambda pair: pair[1]["home"])]
            )
        there = {cid: client for cid, (client, told) in asked.items() if self._admit(cid, client, told)}
        if len(there) < LEAST:
            what = f"{len(there)} home(s) joined within {self.wait:g} s, {LEAST} make a federation"
            raise ResourceError(what, where="--clients", hint="--wait gives them longer")
        self._agree_on_scaler(there)
        return Parameters(tensors=[], tensor_type="numpy.ndarray")

    def _ask_all(self, clients: Mapping[str, Any], question: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """{id: (client, answer)} of those that answer."""
        found = {}
        for cid, client in list(clients.items()):
            try:
                answer = client.get_properties(GetPropertiesIns(dict(question)), timeout=self.wait, group_id=None)
            except Exception as error:  # whatever a broken connection raises: the home has gone
                self._lose(cid, f"did not answer ({type(error).__name__})")
                continue
            found[cid] = client, json.loads(answer.properties["answer"])
        return found

    def _admit(self, cid: str, client: Any, told: Mapping[str, Any]) -> bool:
        name, reason = told["home"], difference(told["schema"], self.schema)
        if not reason and name in self.names.values():
            reason = "another client has this home's name"
        if not reason:
            self.names[cid] = name
            tell(f"{name}: joined")
            return True
        self.refused[name] = reason
        self.names[cid] = ""
        tell(f"{name}: refused: {reason}")
        self._ask_all({cid: client}, {"ask": "leave", "reason": reason})
        try:
            client.reconnect(ReconnectIns(seconds=None), timeout=self.wait, group_id=None)
        except Exception as error:  # it may close the connection before its farewell is through
            logging.getLogger("tsrun").debug("%s left: %s", name, error)
        return False

    def _agree_on_scaler(self, there: Mapping[str, Any]) -> None:
        first = {cid: told for cid, (_, told) in self._ask_all(there, {"ask": "sums"}).items()}
        mean = common_mean(list(first.values()))
        rest = {cid: client for cid, client in there.items() if cid in first}
        second = {
            cid: told
            for cid, (_, told) in self._ask_all(rest, {"ask": "squares", "mean": json.dumps(mean.tolist())}).items()
        }
        both = [cid for cid in first if cid in second]
        if len(both) < LEAST:
            raise ResourceError("the homes have gone before the first round", where="--clients")
        self.scaler = common_scaler(
            mean, [first[cid] for cid in both], [second[cid] for cid in both], self.schema["channels"]
        )

    def _lose(self, cid: str, reason: str) -> None:
        if name := self.names.pop(cid, ""):
            self.lost[name] = reason
            tell(f"{name}: {reason}; the others go on")

    def _present(self, client_manager: Any, at: str) -> list[tuple[str, Any]]:
        """The homes that take part now: those that have gone are told, those that come late are looked at."""
        clients = dict(client_manager.all())
        for cid in [cid for cid in self.names if cid not in clients]:
            self._lose(cid, f"gone by {at}")
        late = {cid: client for cid, client in clients.items() if cid not in self.names}
        for cid, (client, told) in self._ask_all(late, {"ask": "schema"}).items():
            self._admit(cid, client, told)
        there = [(cid, client) for cid, client in clients.items() if self.names.get(cid)]
        if not there:
            raise ResourceError(f"every home has gone by {at}", where="--clients")
        return sorted(there, key=lambda pair: self.names[pair[0]])

    def _at(self, server_round: int) -> tuple[str, int]:
        """The way of learning and its round, from 1."""
        phase, number = divmod(server_round - 1, self.rounds)
        return self.modes[phase], number + 1

    def _shared(self, mode: str) -> list[str]:
        return [name for name in self.schema["weights"] if name.startswith(SHARED[mode] or "")]

    def _order(self, mode: str, number: int) -> tuple[Parameters, dict[str, Any]]:
        parameters, names = pack(self.current)
        beside = {"mode": mode, "round": number, "rounds": self.rounds, "epochs": self.epochs}
        return parameters, {**beside, **names, "scaler": json.dumps(self.scaler.plain())}

    # What Flower hands over beside is not asked for: the server's own `current` is what stands.

    def configure_fit(
        self,
        server_round: int,
        parameters: Parameters,  # noqa: ARG002
        client_manager: Any,
    ) -> list[tuple[Any, FitIns]]:
        """A round's order to every home that is there."""
        mode, number = self._at(server_round)
        there = self._present(client_manager, f"round {number}")
        if number == 1:  # all start where the first of them stands
            ask = GetParametersIns({"mode": mode, "scaler": json.dumps(self.scaler.plain())})
            given = there[0][1].get_parameters(ask, timeout=self.wait, group_id=server_round)
            self.current = dict(zip(self._shared(mode), parameters_to_ndarrays(given.parameters), strict=True))
        return [(client, FitIns(*self._order(mode, number))) for _, client in there]

    def aggregate_fit(
        self,
        server_round: int,  # noqa: ARG002
        results: Any,
        failures: Any,  # noqa: ARG002
    ) -> tuple[Parameters | None, dict[str, Any]]:
        """The average of what came back; homes that have failed are told in the next round."""
        parts = []
        for client, result in results:
            weights = unpack(result.parameters, result.metrics)
            if {k: v.shape for k, v in weights.items()} == {k: v.shape for k, v in self.current.items()}:
                parts.append((weights, result.num_examples))
            else:
                tell(f"{self.names.get(client.cid)}: sent other weights than asked for; left out of this round")
        if parts:
            self.current = average(parts)
        return None, {}

    def configure_evaluate(
        self,
        server_round: int,
        parameters: Parameters,  # noqa: ARG002
        client_manager: Any,
    ) -> list[tuple[Any, EvaluateIns]]:
        """The average to every home, for its own validation."""
        mode, number = self._at(server_round)
        there = self._present(client_manager, f"the end of round {number}")
        return [(client, EvaluateIns(*self._order(mode, number))) for _, client in there]

    def aggregate_evaluate(
        self,
        server_round: int,
        results: Any,
        failures: Any,  # noqa: ARG002
    ) -> tuple[float | None, dict[str, Any]]:
        """The mean validation loss, weighted by training windows; the average of the best round is kept."""
        mode, number = self._at(server_round)
        if not results:
            return None, {}
        total = sum(result.num_examples for _, result in results)
        loss = sum(result.loss * result.num_examples for _, result in results) / total
        self.history.append({"mode": mode, "round": number, "homes": len(results), "val_loss": loss})
        if mode not in self.best or loss < self.best[mode][0]:
            self.best[mode] = loss, self.current
        tell(f"{mode} round {number}/{self.rounds}: {len(results)} homes, validation loss {loss:.4f}")
        return loss, {}

    def evaluate(self, server_round: int, parameters: Parameters) -> None:
        """The server has no data."""


def usual(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The schema that most homes have; of equally many, that of the first."""
    texts = [json.dumps(schema, sort_keys=True) for schema in schemas]
    return schemas[texts.index(Counter(texts).most_common(1)[0][0])]


def serve(address: str, exchange: Exchange, timeout: float, place: Path) -> None:
    """Run the rounds and leave `shared.MODE.pt` and server.json; ResourceError when homes are too few."""
    config = ServerConfig(num_rounds=exchange.rounds * len(exchange.modes), round_timeout=timeout)
    start_server(server_address=address, config=config, strategy=exchange, client_manager=SimpleClientManager())
    for mode, (loss, weights) in exchange.best.items():
        state = {name: torch.from_numpy(value) for name, value in weights.items()}
        SharedBase(state, exchange.scaler, loss).save(place / f"{mode}.{BEST}")
    told = {"homes": sorted(filter(None, exchange.names.values())), "refused": exchange.refused, "lost": exchange.lost}
    write_json(place / "server.json", {**told, "history": exchange.history, "scaler": exchange.scaler.plain()})


# ---- a home


class HomeClient(Client):
    """Answers the server for one home: its files, and so its heads, lie in `place`/MODE/NAME."""

    def __init__(self, home: Home, place: Path) -> None:
        self.home, self.place = home, place
        self.members: dict[str, HomeModel] = {}
        self.refusal = ""
        self.alone = HomeModel(home, "local", self.folder("local"))

    def folder(self, mode: str) -> Path:
        return self.place / mode / self.home.name

    def _member(self, config: Mapping[str, Any]) -> HomeModel:
        mode = str(config["mode"])
        if mode not in self.members:
            scaler = Scaler.of(json.loads(str(config["scaler"])))
            self.members[mode] = HomeModel(self.home, mode, self.folder(mode), scaler)
        return self.members[mode]

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        answer: dict[str, Any] = {}
        if ins.config["ask"] == "schema":
            answer = {"home": self.home.name, "schema": self.alone.schema()}
        elif ins.config["ask"] == "sums":
            answer = first_sums(self.home)
        elif ins.config["ask"] == "squares":
            answer = second_sums(self.home, json.loads(str(ins.config["mean"])))
        else:
            self.refusal = str(ins.config["reason"])
        return GetPropertiesRes(FINE, {"answer": json.dumps(answer)})

    def get_parameters(self, ins: GetParametersIns) -> GetParametersRes:
        return GetParametersRes(FINE, pack(self._member(ins.config).weights())[0])

    def fit(self, ins: FitIns) -> FitRes:
        member, order = self._member(ins.config), ins.config
        member.load(unpack(ins.parameters, order))
        member.fit_round(int(order["round"]), int(order["rounds"]), int(order["epochs"]))
        parameters, names = pack(member.weights())
        return FitRes(FINE, parameters, member.windows, names)

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        member = self._member(ins.config)
        member.load(unpack(ins.parameters, ins.config))
        return EvaluateRes(FINE, member.validate(int(ins.config["round"])), member.windows, {})


def join(address: str, client: HomeClient, wait: float) -> None:
    """Take part until the server says farewell. CheckpointError when it refuses this home's schema, ResourceError
    when it is not there."""
    from flwr.client import start_client  # a second of imports, which the server is spared

    host, _, port = address.rpartition(":")
    until = time.monotonic() + wait
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=wait).close()
            break
        except OSError as error:
            if time.monotonic() > until:
                what = f"no server answers: {error.strerror or error}"
                raise ResourceError(what, where=f"--join {address}") from None
        time.sleep(0.1)
    try:
        start_client(server_address=address, client=client)
    except grpc.RpcError:
        raise ResourceError("the server has gone", where=f"--join {address}") from None
    if client.refusal:
        what = f"home {client.home.name!r} was refused: {client.refusal}"
        raise CheckpointError(what, where=f"--join {address}")
