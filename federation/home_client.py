"""The client of a home, on Flower: it answers the server's questions and orders, and keeps its files and heads."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from flwr.client import Client
from flwr.common import (
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    GetParametersIns,
    GetParametersRes,
    GetPropertiesIns,
    GetPropertiesRes,
)

from errors import CheckpointError, DivergedError, ResourceError, UsageError
from federation import trust, updates
from federation.flower import MOST_MESSAGE, OK, pack
from federation.home_model import SHARED, HomeModel
from federation.homes import Home, first_sums, second_sums
from scaler import Scaler
from settings.addresses import host_and_port


class HomeClient(Client):
    """Answers the server for one home. Its files, and so its heads, stay in `directory`/MODE/NAME.

    `token` is the server's, which must prove that it has it; empty for none.
    """

    def __init__(self, home: Home, directory: Path, token: bytes = b"") -> None:
        self.home, self.directory, self.token = home, directory, token
        self.models: dict[str, HomeModel] = {}
        self.refusal = ""
        self.nonce = trust.nonce()
        self.met = False  # whether a server has asked anything
        self.known = not token  # whether it has proved that it has the token
        self.alone = HomeModel(home, "local", self.folder("local"))

    def folder(self, mode: str) -> Path:
        """The directory of this home's files of one way of learning."""
        return self.directory / mode / self.home.name

    def _model(self, config: Mapping[str, Any]) -> HomeModel:
        mode = str(config["mode"])
        if not self.known or SHARED.get(mode) is None:  # a mode is a folder, too
            raise ValueError("no way of learning")
        if mode not in self.models:
            scaler = Scaler.of(json.loads(str(config["scaler"])))
            self.models[mode] = HomeModel(self.home, mode, self.folder(mode), scaler)
        return self.models[mode]

    def _averaged(self, ins: FitIns | EvaluateIns) -> HomeModel:
        """The model with the average that the server sent."""
        model = self._model(ins.config)
        weights = updates.weights_of(ins.parameters.tensors, ins.config.get("names"), model.weights())
        if not updates.finite(weights):
            raise DivergedError("the average that the server sent is not finite", where="--join")
        model.load(weights)
        return model

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        """The answer to a question of the server: who we are, sums for the scaler; or note that it refuses."""
        answer: dict[str, Any] = {}
        with _orders():
            if ins.config["ask"] == "greet":
                self.met = True
                answer = {"nonce": self.nonce}
            elif ins.config["ask"] == "schema":
                answer = self._introduce(ins.config)
            elif ins.config["ask"] == "leave":
                self.refusal = str(ins.config["reason"])[:1000]
            elif not self.known:
                raise ValueError("the server has not proved itself")
            elif ins.config["ask"] == "sums":
                answer = first_sums(self.home)
            else:
                answer = second_sums(self.home, json.loads(str(ins.config["mean"])))
        return GetPropertiesRes(OK, {"answer": json.dumps(answer)})

    def _introduce(self, question: Mapping[str, Any]) -> dict[str, Any]:
        theirs = str(question["nonce"])
        if self.token and not trust.is_proof(
            question.get("proof"), trust.proof(self.token, "server", self.nonce, theirs)
        ):
            raise UsageError("the server does not have this token", where="--token-file")
        self.known = True
        mine = trust.proof(self.token, f"home {self.home.name}", self.nonce, theirs)
        return {
            "home": self.home.name,
            "schema": self.alone.schema(),
            "windows": self.alone.windows,
            "proof": mine,
        }

    def get_parameters(self, ins: GetParametersIns) -> GetParametersRes:
        """The shared weights of this home."""
        with _orders():
            return GetParametersRes(OK, pack(self._model(ins.config).weights())[0])

    def fit(self, ins: FitIns) -> FitRes:
        """Train one round from the average; returns the shared weights."""
        with _orders():
            model, order = self._averaged(ins), ins.config
            number, rounds, epochs = (int(order[name]) for name in ("round", "rounds", "epochs"))
        model.fit_round(number, rounds, epochs)
        parameters, names = pack(model.weights())
        return FitRes(OK, parameters, model.windows, names)

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        """The validation loss of the average."""
        with _orders():
            model, number = self._averaged(ins), int(ins.config["round"])
        return EvaluateRes(OK, model.validate(number), model.windows, {})


@contextmanager
def _orders() -> Iterator[None]:
    """CheckpointError where a server sends what no server of ours does."""
    try:
        yield
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"the server's order cannot be followed: {error}", where="--join") from None


def join(address: str, client: HomeClient, wait: float, root_certificates: bytes | None = None) -> None:
    """Take part until the server ends the federation.

    Parameters
    ----------
    address : HOST:PORT of the server.
    client : answers for the home.
    wait : seconds to wait for the server.
    root_certificates : of the CA that signed the server's certificate; None for a connection without TLS.

    Raises
    ------
    CheckpointError : the server refuses this home's schema.
    ResourceError : the server does not answer, or is gone.
    UsageError : an address that is none, or a server without this home's token.
    """
    from flwr.client import start_client  # a second of imports that the server does not need

    host, port = host_and_port(address, "--join")
    _await(host, port, address, wait)
    if root_certificates is not None:
        _check_tls(host, port, address, root_certificates)
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        start_client(
            server_address=shown,
            client=client,
            root_certificates=root_certificates,
            grpc_max_message_length=MOST_MESSAGE,
        )
    except grpc.RpcError:
        hint = "" if client.met or root_certificates else "a server with TLS is joined with --root-certificates FILE"
        raise ResourceError("the server is gone", where=f"--join {address}", hint=hint) from None
    if client.refusal:
        what = f"home {client.home.name!r} was refused: {client.refusal}"
        raise CheckpointError(what, where=f"--join {address}")


def _await(host: str, port: int, address: str, wait: float) -> None:
    """Until something listens there; ResourceError after `wait` seconds."""
    until = time.monotonic() + wait
    while True:
        try:
            return socket.create_connection((host, port), timeout=max(wait, 1.0)).close()
        except OSError as error:
            if time.monotonic() > until:
                what = f"no server answers: {error.strerror or error}"
                raise ResourceError(what, where=f"--join {address}") from None
        time.sleep(0.1)


def _check_tls(host: str, port: int, address: str, root_certificates: bytes) -> None:
    """UsageError unless the server's certificate is signed by the CA and names this host: gRPC would only be silent."""
    try:
        context = ssl.create_default_context(cadata=root_certificates.decode("ascii", "replace"))
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host, port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = error.reason if isinstance(error, ssl.SSLError) else str(error)
        reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else reason
        raise UsageError(f"no TLS with {address}: {reason}", where="--root-certificates") from None
