"""Who takes part in a federation, as the server sees it: homes that join, are refused, come late or leave."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flwr.common import GetPropertiesIns, ReconnectIns

from errors import ResourceError, printable
from federation import trust, updates
from federation.homes import difference

POLL_SECONDS = 0.05
Told = tuple[str, dict[str, Any], int]  # name, schema, number of training windows


def report(text: str) -> None:
    """Print a line on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


class Members:
    """The homes that are connected, each by Flower's id of its connection.

    Parameters
    ----------
    wait : seconds that a home may take for an answer.
    token : that homes must have; empty for none.
    """

    def __init__(self, wait: float, token: bytes = b"") -> None:
        self.wait, self.token = wait, token
        self.names: dict[str, str] = {}  # empty for one that is refused
        self.windows: dict[str, int] = {}  # that each said it has
        self.refused: dict[str, str] = {}
        self.lost: dict[str, str] = {}

    def first_come(self, client_manager: Any, wanted: int) -> dict[str, tuple[Any, Told]]:
        """{id: (client, what it told)} of those that join until `wanted` are there, or the time is over."""
        until, met = time.monotonic() + self.wait, dict[str, Any]()
        told: dict[str, Told] = {}
        while True:
            new = {cid: client for cid, client in dict(client_manager.all()).items() if cid not in met}
            met |= new
            told |= self._meet(new)
            there = client_manager.all()
            if sum(cid in there for cid in told) >= wanted or time.monotonic() > until:
                return {cid: (met[cid], one) for cid, one in told.items()}
            time.sleep(POLL_SECONDS)

    def present(self, client_manager: Any, schema: Mapping[str, Any], at: str) -> list[tuple[str, Any]]:
        """The homes that take part now: those that left are reported, those that come late are admitted or refused.

        ResourceError where none is left; `at` is the moment, in words.
        """
        clients = dict(client_manager.all())
        for cid in [cid for cid in self.names if cid not in clients]:
            self.lose(cid, f"left by {at}")
        late = {cid: client for cid, client in clients.items() if cid not in self.names}
        for cid, told in self._meet(late).items():
            self.admit(cid, late[cid], told, schema)
        present = [(cid, client) for cid, client in clients.items() if self.names.get(cid)]
        if not present:
            raise ResourceError(f"every home has left by {at}", where="--clients")
        return sorted(present, key=lambda pair: self.names[pair[0]])

    def ask(self, clients: Mapping[str, Any], questions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """{id: answer, or ValueError with what is wrong with it} of the clients that answer; all are asked at once."""

        def one(cid: str) -> Any:
            question = GetPropertiesIns(dict(questions[cid]))
            try:
                return clients[cid].get_properties(question, timeout=self.wait, group_id=None)
            except Exception as error:  # whatever a broken connection raises
                return error

        with ThreadPoolExecutor(max(len(questions), 1)) as pool:
            given = dict(zip(questions, pool.map(one, questions), strict=True))
        answers: dict[str, Any] = {}
        for cid, found in given.items():
            if isinstance(found, Exception):
                self.lose(cid, f"did not answer ({type(found).__name__})")
                continue
            try:
                answers[cid] = updates.answer_of(found.properties)
            except ValueError as reason:
                answers[cid] = reason
        return answers

    def _meet(self, clients: Mapping[str, Any]) -> dict[str, Told]:
        """{id: told} of the clients that have the token and say who they are; the others are refused."""
        greeted = self._answers(clients, {cid: {"ask": "greet"} for cid in clients})
        theirs = {cid: str(answer.get("nonce"))[:100] for cid, answer in greeted.items()}
        ours = {cid: trust.nonce() for cid in theirs}
        proofs = {cid: trust.proof(self.token, "server", theirs[cid], ours[cid]) for cid in theirs}
        questions = {cid: {"ask": "schema", "nonce": ours[cid], "proof": proofs[cid]} for cid in theirs}
        found: dict[str, Told] = {}
        for cid, answer in self._answers(clients, questions).items():
            expected = trust.proof(self.token, f"home {answer.get('home')}", theirs[cid], ours[cid])
            try:
                if not trust.is_proof(answer.get("proof", ""), expected):
                    raise ValueError("it does not have the server's token: --token-file")
                found[cid] = updates.home_of(answer)
            except ValueError as reason:
                self._refuse(cid, clients[cid], "", str(reason))
        return found

    def _answers(self, clients: Mapping[str, Any], questions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """As `ask`; a client whose answer is none is refused."""
        answers = self.ask(clients, questions)
        for cid, answer in answers.items():
            if isinstance(answer, ValueError):
                self._refuse(cid, clients[cid], "", str(answer))
        return {cid: answer for cid, answer in answers.items() if not isinstance(answer, ValueError)}

    def admit(
        self, cid: str, client: Any, told: Told, federation: Mapping[str, Any], others: Sequence[int] = ()
    ) -> bool:
        """Whether a home may join: it has the federation's schema, a free name, and a number of windows like `others`.

        Any other is refused and disconnected.
        """
        name, schema, windows = told
        reason = difference(schema, federation) or updates.too_many(windows, others or list(self.windows.values()))
        if not reason and name in self.names.values():
            reason = "another client has this home's name"
        if reason:
            self._refuse(cid, client, name, reason)
            return False
        self.names[cid], self.windows[cid] = name, windows
        report(f"{name}: joined")
        return True

    def _refuse(self, cid: str, client: Any, name: str, reason: str) -> None:
        shown = name or f"a client without a name ({cid[:6]})"
        self.refused[shown] = reason
        self.names[cid] = ""
        report(f"{shown}: refused: {reason}")
        self.ask({cid: client}, {cid: {"ask": "leave", "reason": reason}})
        try:
            client.reconnect(ReconnectIns(seconds=None), timeout=self.wait, group_id=None)
        except Exception as error:  # it may close the connection before its last message is through
            logging.getLogger("tsrun").debug("%s left: %s", shown, error)

    def lose(self, cid: str, reason: str) -> None:
        """Report a home that is no longer there."""
        if name := self.names.pop(cid, ""):
            self.lost[name] = reason
            report(f"{name}: {reason}; the others continue")
