"""The exchange of weights on Flower: a server that averages. Homes join by members.py and answer by home_client.py.

Server and clients use Flower's gRPC channel (`start_server`, `start_client`): a process and a connection per home for
the whole federation, no Ray. Flower deprecates these two in favour of SuperLink and SuperNode, which (flwr 1.41) start
a process for each message to a home and poll for the next one every three seconds; a round of a small model takes a
tenth of a second. Only these three files use Flower.

A home sends its name, its schema (names and shapes) and its number of windows; once, per channel, the count and sum of
its training steps and the sum of their squared differences from a centre; in each round its shared weights, how many
windows it trained on, and its validation loss. With a shared base (`fedper`) it never sends a weight of its head.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read at import; without it Flower reports runs to its makers

from flwr.common import (
    Code,
    EvaluateIns,
    FitIns,
    FitRes,
    GetParametersIns,
    Parameters,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from flwr.server import Server, ServerConfig, SimpleClientManager, start_server
from flwr.server.strategy import FedAvg, FedMedian, FedTrimmedAvg, Strategy

from errors import ResourceError, UsageError
from federation import trust, updates
from federation.home_model import SHARED, SharedBase
from federation.homes import common_mean, common_scaler, recentred
from federation.members import Members, report
from federation.updates import Weights
from rundir import write_json
from scaler import Scaler

logging.getLogger("flwr").setLevel(logging.CRITICAL)  # our messages replace its progress and tracebacks
LEAST = 2  # homes of a federation
BEST = "shared.pt"  # the averaged weights of the best round, one file for each way of learning
FIRST = 3  # homes of which one gives the weights that all start from
MOST_MESSAGE = 1 << 29  # bytes
GOODBYE = 10.0  # seconds for homes to say that they leave
OK = Status(code=Code.OK, message="")
STRATEGIES: dict[str, Callable[[], FedAvg]] = {
    "fedavg": lambda: FedAvg(inplace=False),
    "fedmedian": lambda: FedMedian(inplace=False),
    "fedtrimmedavg": FedTrimmedAvg,
}


def pack(weights: Mapping[str, np.ndarray]) -> tuple[Parameters, dict[str, Any]]:
    """Named arrays as Flower's unnamed ones, and their names as a config entry: (parameters, {"names": JSON})."""
    return ndarrays_to_parameters(list(weights.values())), {"names": json.dumps(list(weights))}


def average(parts: Sequence[tuple[Weights, int]], strategy: str = "fedavg") -> Weights:
    """One of Flower's averages over weights and numbers of windows, computed in float64, each array in its type."""
    first = parts[0][0]
    sent: Any = [
        (None, FitRes(OK, ndarrays_to_parameters([value.astype(np.float64) for value in weights.values()]), count, {}))
        for weights, count in parts
    ]
    found, _ = STRATEGIES[strategy]().aggregate_fit(1, sent, [])
    assert found is not None
    pairs = zip(first.items(), parameters_to_ndarrays(found), strict=True)
    return {name: np.asarray(mean).astype(value.dtype) for (name, value), mean in pairs}


class Exchange(Strategy):
    """Rounds of each way of learning in `modes`, one after the other, over the homes that are connected.

    The server waits for `wanted` homes, `wait` seconds at most. The schema is that of most homes; a home with another
    one is refused. What a home sends is checked (updates.py); what is not right is left out of the round and reported,
    and the round goes on with the others. After every round, `directory` has the best weights so far and server.json.

    Parameters
    ----------
    modes, rounds, epochs : of the federation.
    wanted, wait : how many homes to wait for, and seconds.
    directory : of the server's files.
    token : that homes must have; empty for none.
    strategy : a key of STRATEGIES.
    norm_factor : a change of weights longer than so many medians is left out.
    """

    def __init__(
        self,
        modes: Sequence[str],
        rounds: int,
        epochs: int,
        wanted: int,
        wait: float,
        directory: Path,
        *,
        token: bytes = b"",
        strategy: str = "fedavg",
        norm_factor: float = 10.0,
    ) -> None:
        self.modes, self.rounds, self.epochs, self.wanted = modes, rounds, epochs, wanted
        self.directory, self.strategy, self.norm_factor = directory, strategy, norm_factor
        self.members = Members(wait, token)
        self.left_out: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, float] = {}
        self.schema: dict[str, Any] = {}
        self.scaler = Scaler(np.zeros(0), np.zeros(0), ())
        self.current: Weights = {}
        self.asked: dict[str, Any] = {}  # {id: client} of those that have the order of a round

    def initialize_parameters(self, client_manager: Any) -> Parameters:
        """Round 0: admit the homes of one schema, and compute the common scaler."""
        come = self.members.first_come(client_manager, self.wanted)
        if come:
            self.schema = usual([schema for _, (_, schema, _) in sorted(come.values(), key=lambda pair: pair[1][0])])
        windows = [told[2] for _, told in come.values()]
        present = {
            cid: client
            for cid, (client, told) in come.items()
            if self.members.admit(cid, client, told, self.schema, windows)
        }
        if len(present) < LEAST:
            what = f"{len(present)} home(s) joined within {self.members.wait:g} s, a federation needs {LEAST}"
            raise ResourceError(what, where="--clients", hint="--wait waits longer")
        self._agree_on_scaler(present)
        return Parameters(tensors=[], tensor_type="numpy.ndarray")

    def _leave_out(self, cid: str, mode: str, number: int, reason: str) -> None:
        """Report a home whose part does not count in a round; it goes on with the others."""
        home = self.members.names.get(cid, "a home that has left")
        self.left_out.append({"home": home, "mode": mode, "round": number, "reason": reason})
        at = f"{mode} round {number}: " if mode else ""
        report(f"{at}{home} is left out: {reason}")

    # ---- the common scaler

    def _agree_on_scaler(self, clients: Mapping[str, Any]) -> None:
        """The scaler of all homes' steps, from which homes are left out that cannot be right."""
        first = self._sums(clients, {"ask": "sums"}, ("count", "sum"))
        if len(first) < LEAST:
            raise ResourceError("no two homes have sums for the common scaler", where="--clients")
        centre = updates.centre(*_tables(first.values(), "count", "sum"))
        rest = {cid: client for cid, client in clients.items() if cid in first}
        second = self._sums(rest, {"ask": "squares", "mean": json.dumps(centre.tolist())}, ("square",))
        both = [cid for cid in first if cid in second]
        if len(both) < LEAST:
            raise ResourceError("the homes left before the first round", where="--clients")
        count, total, square = _tables([first[cid] | second[cid] for cid in both], "count", "sum", "square")
        for cid, strange in zip(list(both), updates.strangers(count, total, square, centre), strict=True):
            if strange:
                self._leave_out(cid, "", 0, "its sums for the common scaler are far from those of the others")
                both.remove(cid)
        if not both:
            raise ResourceError("the homes' sums for the common scaler do not go together", where="--clients")
        firsts, mean = [first[cid] for cid in both], common_mean([first[cid] for cid in both])
        seconds = [recentred(first[cid], second[cid], centre, mean) for cid in both]
        self.scaler = common_scaler(mean, firsts, seconds, self.schema["channels"])

    def _sums(self, clients: Mapping[str, Any], question: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
        """{id: sums}; a home whose sums are not finite is left out of the common scaler."""
        found, channels = {}, len(self.schema["channels"])
        for cid, answer in self.members.ask(clients, dict.fromkeys(clients, question)).items():
            try:
                if isinstance(answer, ValueError):
                    raise answer
                found[cid] = updates.sums_of(answer, fields, channels)
            except ValueError as reason:
                self._leave_out(cid, "", 0, str(reason))
        return found

    # ---- rounds. The parameters that Flower passes are ignored: the weights are in `current`.

    def _at(self, server_round: int) -> tuple[str, int]:
        """The way of learning of a round of the server, and the number of the round within it, from 1."""
        phase, number = divmod(server_round - 1, self.rounds)
        return self.modes[phase], number + 1

    def _order(self, mode: str, number: int) -> tuple[Parameters, dict[str, Any]]:
        parameters, names = pack(self.current)
        settings = {"mode": mode, "round": number, "rounds": self.rounds, "epochs": self.epochs}
        return parameters, {**settings, **names, "scaler": json.dumps(self.scaler.plain())}

    def configure_fit(
        self,
        server_round: int,
        parameters: Parameters,  # noqa: ARG002
        client_manager: Any,
    ) -> list[tuple[Any, FitIns]]:
        """The order of a round for every home that takes part."""
        mode, number = self._at(server_round)
        present = self.members.present(client_manager, self.schema, f"round {number}")
        if number == 1:
            self.current = self._first_weights(mode, present, server_round)
        self.asked = dict(present)
        return [(client, FitIns(*self._order(mode, number))) for _, client in present]

    def _first_weights(self, mode: str, present: Sequence[tuple[str, Any]], server_round: int) -> Weights:
        """Those that all start from: of the first homes with weights that can be used, the ones of the middle norm."""
        prefix = SHARED[mode] or ""
        shapes = {name: shape for name, shape in self.schema["weights"].items() if name.startswith(prefix)}
        ask = GetParametersIns({"mode": mode, "scaler": json.dumps(self.scaler.plain())})
        found: list[Weights] = []
        for cid, client in present:
            try:
                given = client.get_parameters(ask, timeout=self.members.wait, group_id=server_round)
                found.append(updates.first_weights(given.parameters.tensors, shapes))
            except Exception as error:  # whatever a broken connection raises, or the reason why they cannot be used
                reason = str(error) if type(error) is ValueError else f"did not answer ({type(error).__name__})"
                self._leave_out(cid, mode, 1, f"its first weights: {reason}")
            if len(found) == FIRST:
                break
        if not found:
            raise ResourceError(f"no home has weights for {mode} that can be used", where="--clients")
        return sorted(found, key=updates.norm)[(len(found) - 1) // 2]

    def aggregate_fit(self, server_round: int, results: Any, failures: Any) -> tuple[None, dict[str, Any]]:
        """The average of the weights that came back and can be used; the others are left out and reported."""
        mode, number = self._at(server_round)
        parts: dict[str, tuple[Weights, int]] = {}
        for client, result in sorted(results, key=lambda pair: str(self.members.names.get(pair[0].cid))):
            try:
                said = self.members.windows.get(client.cid, 0)
                weights = updates.weights_of(result.parameters.tensors, result.metrics.get("names"), self.current)
                parts[client.cid] = updates.only_finite(weights), updates.examples_of(result.num_examples, said)
            except ValueError as reason:
                self._leave_out(client.cid, mode, number, str(reason))
        self._report_silent(results, failures, mode, number)
        lengths = [updates.norm(weights, self.current) for weights, _ in parts.values()]
        for cid, far in zip(
            list(parts), updates.too_long(lengths, updates.norm(self.current), self.norm_factor), strict=True
        ):
            if far:
                self._leave_out(cid, mode, number, f"its change of weights is over {self.norm_factor:g} medians long")
                del parts[cid]
        if parts:
            self.current = average(list(parts.values()), self.strategy)
        return None, {}

    def _report_silent(self, results: Any, failures: Any, mode: str, number: int) -> None:
        """Those that had the order of a round and sent nothing that Flower can read, or that they failed."""
        said = {failed[0].cid for failed in failures if isinstance(failed, tuple)}
        silent = self.asked.keys() - {client.cid for client, _ in results}
        for cid in sorted(silent, key=lambda cid: str(self.members.names.get(cid))):
            reason = "it failed" if cid in said else "it sent no answer that can be read"
            self._leave_out(cid, mode, number, reason)

    def configure_evaluate(
        self,
        server_round: int,
        parameters: Parameters,  # noqa: ARG002
        client_manager: Any,
    ) -> list[tuple[Any, EvaluateIns]]:
        """The average for every home, to be scored on the home's validation windows."""
        mode, number = self._at(server_round)
        present = self.members.present(client_manager, self.schema, f"the end of round {number}")
        self.asked = dict(present)
        return [(client, EvaluateIns(*self._order(mode, number))) for _, client in present]

    def aggregate_evaluate(self, server_round: int, results: Any, failures: Any) -> tuple[float | None, dict[str, Any]]:
        """The mean validation loss, weighted by training windows; the average of the best round is kept."""
        mode, number = self._at(server_round)
        scored = []
        for client, result in results:
            try:
                windows = updates.examples_of(result.num_examples, self.members.windows.get(client.cid, 0))
                scored.append((updates.loss_of(result.loss), windows))
            except ValueError as reason:
                self._leave_out(client.cid, mode, number, str(reason))
        self._report_silent(results, failures, mode, number)
        if not scored:
            self.write()
            return None, {}
        loss = sum(loss * count for loss, count in scored) / sum(count for _, count in scored)
        self.history.append({"mode": mode, "round": number, "homes": len(scored), "val_loss": loss})
        if mode not in self.best or loss < self.best[mode]:
            self.best[mode] = loss
            state = {name: torch.from_numpy(np.array(value)) for name, value in self.current.items()}
            SharedBase(state, self.scaler, loss).save(self.directory / f"{mode}.{BEST}")
        report(f"{mode} round {number}/{self.rounds}: {len(scored)} homes, validation loss {loss:.4f}")
        self.write()
        return loss, {}

    def write(self) -> None:
        """Write server.json: the homes, the rounds so far, and what was left out of them."""
        homes = {
            "homes": sorted(filter(None, self.members.names.values())),
            "refused": self.members.refused,
            "lost": self.members.lost,
        }
        rounds = {"left_out": self.left_out, "best": self.best, "history": self.history}
        write_json(self.directory / "server.json", {**homes, **rounds, "scaler": self.scaler.plain()})

    def evaluate(self, server_round: int, parameters: Parameters) -> None:
        """The server has no data."""


def _tables(sums: Iterable[Mapping[str, Sequence[float]]], *fields: str) -> list[np.ndarray]:
    """For each field an array [homes, channels]."""
    every = list(sums)
    return [np.array([one[field] for one in every]) for field in fields]


def usual(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The schema that most homes have; on a tie the first one."""
    texts = [json.dumps(schema, sort_keys=True) for schema in schemas]
    return schemas[texts.index(Counter(texts).most_common(1)[0][0])]


class _Server(Server):
    def disconnect_all_clients(self, timeout: float | None) -> None:
        """A home that does not say goodbye is not waited for as for a round."""
        super().disconnect_all_clients(min(timeout or GOODBYE, GOODBYE))


def serve(where: trust.Listening, exchange: Exchange, timeout: float) -> None:
    """Run the rounds, which write `MODE.shared.pt` for each way of learning and server.json.

    Parameters
    ----------
    where : the address to listen at, and TLS.
    exchange : the rounds.
    timeout : seconds that a home may take for a round.

    Raises
    ------
    UsageError : an address that cannot be listened at.
    ResourceError : too few homes.
    """
    config = ServerConfig(num_rounds=exchange.rounds * len(exchange.modes), round_timeout=timeout)
    try:
        start_server(
            server_address=where.address,
            server=_Server(client_manager=SimpleClientManager(), strategy=exchange),
            config=config,
            grpc_max_message_length=MOST_MESSAGE,
            certificates=where.certificates,
        )
    except SystemExit as error:  # Flower's, for a port that was taken since we looked
        raise UsageError(str(error), where=f"--serve {where.address}") from None
    exchange.write()
