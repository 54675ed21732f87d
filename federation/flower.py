"""The exchange of weights on Flower: a server that averages, and the client of a home.

Server and clients use Flower's gRPC channel (`start_server`, `start_client`): a process and a connection per home for
the whole federation, no Ray. Flower deprecates these two in favour of SuperLink and SuperNode, which (flwr 1.41) start
a process for each message to a home and poll for the next one every three seconds; a round of a small model takes a
tenth of a second. Only this file uses Flower.

A home sends its name and schema (names and shapes); once, per channel, the count and sum of its training steps and the
sum of their squared differences from the common mean; in each round its shared weights, how many windows it trained
on, and its validation loss. With a shared base (`fedper`) it never sends a weight of its head.
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

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read at import; without it Flower reports runs to its makers

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

from errors import CheckpointError, DivergedError, ResourceError
from federation.home_model import SHARED, HomeModel, SharedBase
from federation.homes import Home, common_mean, common_scaler, difference, first_sums, second_sums
from rundir import write_json
from scaler import Scaler

logging.getLogger("flwr").setLevel(logging.CRITICAL)  # our messages replace its progress and tracebacks
LEAST = 2  # homes of a federation
BEST = "shared.pt"  # the averaged weights of the best round, one file for each way of learning
OK = Status(code=Code.OK, message="")
Weights = dict[str, np.ndarray]


def report(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr, flush=True)


def pack(weights: Mapping[str, np.ndarray]) -> tuple[Parameters, dict[str, Any]]:
    """Named arrays as Flower's unnamed ones, and their names as a config entry: (parameters, {"names": JSON})."""
    return ndarrays_to_parameters(list(weights.values())), {"names": json.dumps(list(weights))}


def unpack(parameters: Parameters, config: Mapping[str, Any]) -> Weights:
    """The inverse of `pack`."""
    names = json.loads(config["names"])
    return dict(zip(names, parameters_to_ndarrays(parameters), strict=True))


def finite(weights: Mapping[str, np.ndarray]) -> bool:
    """Whether every weight is a finite number."""
    return all(bool(np.isfinite(value).all()) for value in weights.values())


def average(parts: Sequence[tuple[Weights, int]]) -> Weights:
    """The mean weighted by numbers of windows, computed in float64, each array in its type."""
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
    """Rounds of each way of learning in `modes`, one after the other, over the homes that are connected.

    The server waits for `wanted` homes, `wait` seconds at most. The schema is that of most homes; a home with another
    one is refused. What a home sends that is not finite is left out and reported; one such home would make the average
    NaN for all. After every round, `directory` has the best weights so far and server.json.
    """

    def __init__(
        self, modes: Sequence[str], rounds: int, epochs: int, wanted: int, wait: float, directory: Path
    ) -> None:
        self.modes, self.rounds, self.epochs, self.wanted, self.wait = modes, rounds, epochs, wanted, wait
        self.directory = directory
        self.names: dict[str, str] = {}  # of the connections, by Flower's id
        self.refused: dict[str, str] = {}
        self.lost: dict[str, str] = {}
        self.left_out: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, float] = {}
        self.schema: dict[str, Any] = {}
        self.scaler = Scaler(np.zeros(0), np.zeros(0), ())
        self.current: Weights = {}

    def initialize_parameters(self, client_manager: Any) -> Parameters:
        """Round 0: admit the homes of one schema, and compute the common scaler."""
        client_manager.wait_for(self.wanted, timeout=self.wait)
        asked = self._ask_all(client_manager.all(), {"ask": "schema"})
        if asked:
            self.schema = usual(
                [answer["schema"] for _, answer in sorted(asked.values(), key=lambda pair: pair[1]["home"])]
            )
        present = {cid: client for cid, (client, answer) in asked.items() if self._admit(cid, client, answer)}
        if len(present) < LEAST:
            what = f"{len(present)} home(s) joined within {self.wait:g} s, a federation needs {LEAST}"
            raise ResourceError(what, where="--clients", hint="--wait waits longer")
        self._agree_on_scaler(present)
        return Parameters(tensors=[], tensor_type="numpy.ndarray")

    def _ask_all(self, clients: Mapping[str, Any], question: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """{id: (client, answer)} of the clients that answer."""
        found = {}
        for cid, client in list(clients.items()):
            try:
                answer = client.get_properties(GetPropertiesIns(dict(question)), timeout=self.wait, group_id=None)
            except Exception as error:  # whatever a broken connection raises
                self._lose(cid, f"did not answer ({type(error).__name__})")
                continue
            found[cid] = client, json.loads(answer.properties["answer"])
        return found

    def _admit(self, cid: str, client: Any, answer: Mapping[str, Any]) -> bool:
        """Whether a home may join: it has the schema, and a free name. Any other is refused and disconnected."""
        name, reason = answer["home"], difference(answer["schema"], self.schema)
        if not reason and name in self.names.values():
            reason = "another client has this home's name"
        if not reason:
            self.names[cid] = name
            report(f"{name}: joined")
            return True
        self.refused[name] = reason
        self.names[cid] = ""
        report(f"{name}: refused: {reason}")
        self._ask_all({cid: client}, {"ask": "leave", "reason": reason})
        try:
            client.reconnect(ReconnectIns(seconds=None), timeout=self.wait, group_id=None)
        except Exception as error:  # it may close the connection before its last message is through
            logging.getLogger("tsrun").debug("%s left: %s", name, error)
        return False

    def _agree_on_scaler(self, clients: Mapping[str, Any]) -> None:
        first = self._sums(clients, {"ask": "sums"})
        mean = common_mean(list(first.values()))
        rest = {cid: client for cid, client in clients.items() if cid in first}
        second = self._sums(rest, {"ask": "squares", "mean": json.dumps(mean.tolist())})
        both = [cid for cid in first if cid in second]
        if len(both) < LEAST:
            raise ResourceError("the homes left before the first round", where="--clients")
        self.scaler = common_scaler(
            mean, [first[cid] for cid in both], [second[cid] for cid in both], self.schema["channels"]
        )

    def _sums(self, clients: Mapping[str, Any], question: Mapping[str, Any]) -> dict[str, Any]:
        """{id: sums}; a home whose sums are not finite is left out of the common scaler."""
        answers = {cid: answer for cid, (_, answer) in self._ask_all(clients, question).items()}
        finite = {cid for cid, sums in answers.items() if all(np.isfinite(values).all() for values in sums.values())}
        for cid in answers.keys() - finite:
            self._leave_out(cid, "", 0, "its sums for the common scaler are not finite")
        return {cid: sums for cid, sums in answers.items() if cid in finite}

    def _leave_out(self, cid: str, mode: str, number: int, reason: str) -> None:
        """Report a home whose part does not count in a round; it goes on with the others."""
        home = self.names.get(cid, "a home that has left")
        self.left_out.append({"home": home, "mode": mode, "round": number, "reason": reason})
        at = f"{mode} round {number}: " if mode else ""
        report(f"{at}{home} is left out: {reason}")

    def _lose(self, cid: str, reason: str) -> None:
        if name := self.names.pop(cid, ""):
            self.lost[name] = reason
            report(f"{name}: {reason}; the others continue")

    def _present(self, client_manager: Any, at: str) -> list[tuple[str, Any]]:
        """The homes that take part now: those that left are reported, those that come late are admitted or refused."""
        clients = dict(client_manager.all())
        for cid in [cid for cid in self.names if cid not in clients]:
            self._lose(cid, f"left by {at}")
        late = {cid: client for cid, client in clients.items() if cid not in self.names}
        for cid, (client, answer) in self._ask_all(late, {"ask": "schema"}).items():
            self._admit(cid, client, answer)
        present = [(cid, client) for cid, client in clients.items() if self.names.get(cid)]
        if not present:
            raise ResourceError(f"every home has left by {at}", where="--clients")
        return sorted(present, key=lambda pair: self.names[pair[0]])

    def _at(self, server_round: int) -> tuple[str, int]:
        """The way of learning of a round of the server, and the number of the round within it, from 1."""
        phase, number = divmod(server_round - 1, self.rounds)
        return self.modes[phase], number + 1

    def _shared(self, mode: str) -> list[str]:
        return [name for name in self.schema["weights"] if name.startswith(SHARED[mode] or "")]

    def _order(self, mode: str, number: int) -> tuple[Parameters, dict[str, Any]]:
        parameters, names = pack(self.current)
        settings = {"mode": mode, "round": number, "rounds": self.rounds, "epochs": self.epochs}
        return parameters, {**settings, **names, "scaler": json.dumps(self.scaler.plain())}

    # The parameters that Flower passes are ignored: the weights are in `current`.

    def configure_fit(
        self,
        server_round: int,
        parameters: Parameters,  # noqa: ARG002
        client_manager: Any,
    ) -> list[tuple[Any, FitIns]]:
        """The order of a round for every home that takes part."""
        mode, number = self._at(server_round)
        present = self._present(client_manager, f"round {number}")
        if number == 1:
            self.current = self._first_weights(mode, present, server_round)
        return [(client, FitIns(*self._order(mode, number))) for _, client in present]

    def _first_weights(self, mode: str, present: Sequence[tuple[str, Any]], server_round: int) -> Weights:
        """Those that all start from: the ones of the first home that has finite ones."""
        ask = GetParametersIns({"mode": mode, "scaler": json.dumps(self.scaler.plain())})
        for cid, client in present:
            given = client.get_parameters(ask, timeout=self.wait, group_id=server_round)
            weights = dict(zip(self._shared(mode), parameters_to_ndarrays(given.parameters), strict=True))
            if finite(weights):
                return weights
            self._leave_out(cid, mode, 1, "its first weights are not finite")
        raise ResourceError(f"no home has finite weights for {mode}", where="--clients")

    def aggregate_fit(
        self,
        server_round: int,
        results: Any,
        failures: Any,  # noqa: ARG002
    ) -> tuple[Parameters | None, dict[str, Any]]:
        """The average of the weights that came back; homes that failed are reported in the next round."""
        mode, number = self._at(server_round)
        parts = []
        for client, result in results:
            weights = unpack(result.parameters, result.metrics)
            if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in self.current.items()}:
                self._leave_out(client.cid, mode, number, "it sent other weights than asked for")
            elif not finite(weights):
                self._leave_out(client.cid, mode, number, "its weights are not finite")
            elif result.num_examples < 1:
                self._leave_out(client.cid, mode, number, "it trained on no window")
            else:
                parts.append((weights, result.num_examples))
        if parts:
            self.current = average(parts)
        return None, {}

    def configure_evaluate(
        self,
        server_round: int,
        parameters: Parameters,  # noqa: ARG002
        client_manager: Any,
    ) -> list[tuple[Any, EvaluateIns]]:
        """The average for every home, to be scored on the home's validation windows."""
        mode, number = self._at(server_round)
        present = self._present(client_manager, f"the end of round {number}")
        return [(client, EvaluateIns(*self._order(mode, number))) for _, client in present]

    def aggregate_evaluate(
        self,
        server_round: int,
        results: Any,
        failures: Any,  # noqa: ARG002
    ) -> tuple[float | None, dict[str, Any]]:
        """The mean validation loss, weighted by training windows; the average of the best round is kept."""
        mode, number = self._at(server_round)
        scored = []
        for client, result in results:
            if np.isfinite(result.loss) and result.num_examples > 0:
                scored.append((result.loss, result.num_examples))
            else:
                self._leave_out(client.cid, mode, number, "its validation loss is not finite")
        if not scored:
            return None, {}
        loss = sum(loss * count for loss, count in scored) / sum(count for _, count in scored)
        self.history.append({"mode": mode, "round": number, "homes": len(scored), "val_loss": loss})
        if mode not in self.best or loss < self.best[mode]:
            self.best[mode] = loss
            state = {name: torch.from_numpy(value) for name, value in self.current.items()}
            SharedBase(state, self.scaler, loss).save(self.directory / f"{mode}.{BEST}")
        report(f"{mode} round {number}/{self.rounds}: {len(scored)} homes, validation loss {loss:.4f}")
        self.write()
        return loss, {}

    def write(self) -> None:
        """Write server.json: the homes, the rounds so far, and what was left out of them."""
        homes = {"homes": sorted(filter(None, self.names.values())), "refused": self.refused, "lost": self.lost}
        rounds = {"left_out": self.left_out, "best": self.best, "history": self.history}
        write_json(self.directory / "server.json", {**homes, **rounds, "scaler": self.scaler.plain()})

    def evaluate(self, server_round: int, parameters: Parameters) -> None:
        """The server has no data."""


def usual(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The schema that most homes have; on a tie the first one."""
    texts = [json.dumps(schema, sort_keys=True) for schema in schemas]
    return schemas[texts.index(Counter(texts).most_common(1)[0][0])]


def serve(address: str, exchange: Exchange, timeout: float) -> None:
    """Run the rounds, which write `MODE.shared.pt` for each way of learning and server.json.

    Parameters
    ----------
    address : HOST:PORT to listen at.
    exchange : the rounds.
    timeout : seconds that a home may take for a round.

    Raises
    ------
    ResourceError : too few homes.
    """
    config = ServerConfig(num_rounds=exchange.rounds * len(exchange.modes), round_timeout=timeout)
    start_server(server_address=address, config=config, strategy=exchange, client_manager=SimpleClientManager())
    exchange.write()


# ---- a home


class HomeClient(Client):
    """Answers the server for one home. Its files, and so its heads, stay in `directory`/MODE/NAME."""

    def __init__(self, home: Home, directory: Path) -> None:
        self.home, self.directory = home, directory
        self.models: dict[str, HomeModel] = {}
        self.refusal = ""
        self.alone = HomeModel(home, "local", self.folder("local"))

    def folder(self, mode: str) -> Path:
        """The directory of this home's files of one way of learning."""
        return self.directory / mode / self.home.name

    def _model(self, config: Mapping[str, Any]) -> HomeModel:
        mode = str(config["mode"])
        if mode not in self.models:
            scaler = Scaler.of(json.loads(str(config["scaler"])))
            self.models[mode] = HomeModel(self.home, mode, self.folder(mode), scaler)
        return self.models[mode]

    def _averaged(self, ins: FitIns | EvaluateIns) -> HomeModel:
        """The model with the average that the server sent."""
        model, weights = self._model(ins.config), unpack(ins.parameters, ins.config)
        if not finite(weights):
            raise DivergedError("the average that the server sent is not finite", where="--join")
        model.load(weights)
        return model

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        """The answer to a question of the server: the schema, or sums for the scaler; or note that it refuses."""
        answer: dict[str, Any] = {}
        if ins.config["ask"] == "schema":
            answer = {"home": self.home.name, "schema": self.alone.schema()}
        elif ins.config["ask"] == "sums":
            answer = first_sums(self.home)
        elif ins.config["ask"] == "squares":
            answer = second_sums(self.home, json.loads(str(ins.config["mean"])))
        else:
            self.refusal = str(ins.config["reason"])
        return GetPropertiesRes(OK, {"answer": json.dumps(answer)})

    def get_parameters(self, ins: GetParametersIns) -> GetParametersRes:
        """The shared weights of this home."""
        return GetParametersRes(OK, pack(self._model(ins.config).weights())[0])

    def fit(self, ins: FitIns) -> FitRes:
        """Train one round from the average; returns the shared weights."""
        model, order = self._averaged(ins), ins.config
        model.fit_round(int(order["round"]), int(order["rounds"]), int(order["epochs"]))
        parameters, names = pack(model.weights())
        return FitRes(OK, parameters, model.windows, names)

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        """The validation loss of the average."""
        model = self._averaged(ins)
        return EvaluateRes(OK, model.validate(int(ins.config["round"])), model.windows, {})


def join(address: str, client: HomeClient, wait: float) -> None:
    """Take part until the server ends the federation.

    Parameters
    ----------
    address : HOST:PORT of the server.
    client : answers for the home.
    wait : seconds to wait for the server.

    Raises
    ------
    CheckpointError : the server refuses this home's schema.
    ResourceError : the server does not answer, or is gone.
    """
    from flwr.client import start_client  # a second of imports that the server does not need

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
        raise ResourceError("the server is gone", where=f"--join {address}") from None
    if client.refusal:
        what = f"home {client.home.name!r} was refused: {client.refusal}"
        raise CheckpointError(what, where=f"--join {address}")
