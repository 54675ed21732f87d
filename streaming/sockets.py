"""Where a stream's lines come from and its answers go: standard input and output, or ZeroMQ.

`pull` binds PULL for who sends and connects PUSH to who collects; `sub` connects SUB to who publishes and binds XPUB,
to which any SUB connects. The handshake of a late subscriber: it subscribes to everything, then to `hello.NAME` with a
NAME that nobody else uses. Subscriptions arrive in order, so when the stream sees the second, the first is in force; it
answers with one message [hello.NAME, {"ready": ...}], to this subscriber alone. Every answer sent after that arrives.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from errors import DataError, ResourceError, UsageError
from settings.addresses import LOOPBACK, is_loopback
from streaming.tally import report

QUEUE = 100_000  # messages that wait for a slow peer
LINGER_MS = 2000  # to send what is still queued at the end
WAKE_MS = 200  # between checks for signals: one just before a wait would else be noticed with the next message only
HELLO = b"hello."
SUBSCRIBED = 1  # the first byte of a subscription
TCP = "tcp://"
CHUNK = 1 << 16  # bytes of standard input read at once


def from_stdin() -> Iterator[bytes]:
    """The lines of standard input, each as soon as it is whole."""
    try:
        with open(0, "rb", closefd=False) as stream:
            yield from stream
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where="--input -") from None


def to_stdout(answer: bytes) -> None:
    """Write one line, unbuffered: after a signal nothing waits for a full pipe."""
    rest = answer + b"\n"
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise ResourceError(f"cannot be written: {error.strerror}", where="--output -") from None


@contextmanager
def connected(
    source: str, target: str, pattern: str, ready: str = ""
) -> Iterator[tuple[Iterator[bytes], Callable[[bytes], None]]]:
    """A context manager that gives (lines, send) for `--input` and `--output`.

    Parameters
    ----------
    source, target : - or tcp://HOST:PORT; without a host this machine alone is listened to.
    pattern : "pull" or "sub".
    ready : the text that answers the handshake of a subscriber.

    Raises
    ------
    UsageError : an address that is none, or tcp:// without pyzmq.
    """
    for flag, address in (("--input", source), ("--output", target)):
        if address != "-" and not address.startswith(TCP):
            raise UsageError(f"{address!r} is neither - nor tcp://HOST:PORT", where=flag)
    if source == target == "-":
        yield from_stdin(), to_stdout
        return
    try:
        import zmq
    except ImportError:
        raise UsageError("tcp:// needs pyzmq", hint="pip install -r requirements-stream.txt") from None
    context = zmq.Context()
    listening = {"pull": zmq.PULL, "sub": zmq.SUB}[pattern]
    try:
        reader = None if source == "-" else _socket(context, listening, source, "--input")
        kind = zmq.PUSH if pattern == "pull" else zmq.XPUB
        writer = None if target == "-" else _socket(context, kind, target, "--output")
        if writer is None or kind == zmq.PUSH:
            yield from_stdin() if reader is None else _received(reader), to_stdout if writer is None else writer.send
        else:
            yield _while_greeting(reader, writer, ready), writer.send
    finally:
        context.destroy(linger=LINGER_MS)


def _socket(context: Any, kind: int, address: str, flag: str) -> Any:
    """A socket at an address: PULL and XPUB bind, SUB and PUSH connect."""
    import zmq

    socket = context.socket(kind)
    socket.set_hwm(QUEUE)
    if kind == zmq.SUB:
        socket.subscribe(b"")
    binds = kind in (zmq.PULL, zmq.XPUB)
    try:
        (socket.bind if binds else socket.connect)(_listening(address, flag) if binds else address)
    except zmq.ZMQError as error:
        raise UsageError(f"no socket there: {error.strerror}", where=f"{flag} {address}") from None
    return socket


def _listening(address: str, flag: str) -> str:
    """Where to bind: without a host, or with *, for this machine alone. Any other host is told of, once."""
    host, _, port = address.removeprefix(TCP).rpartition(":")
    if host in ("", "*"):
        address = f"{TCP}{LOOPBACK}:{port}"
        if host:
            report(f"{flag} {TCP}*:{port} listens to this machine alone; {TCP}0.0.0.0:{port} to whoever reaches it")
    elif not is_loopback(host):
        report(f"warning: {flag} {address}: whoever reaches it takes part, a stream has no authentication")
    return address


def _received(socket: Any) -> Iterator[bytes]:
    while True:
        if socket.poll(WAKE_MS):
            yield socket.recv_multipart()[-1]  # a publisher may put a topic before the sample


def _while_greeting(reader: Any, writer: Any, ready: str) -> Iterator[bytes]:
    """Lines as they come, from a socket or (None) from standard input; subscribers are answered at any time."""
    import zmq

    poller = zmq.Poller()
    poller.register(writer, zmq.POLLIN)
    poller.register(0 if reader is None else reader, zmq.POLLIN)
    rest = b""
    while True:
        there = dict(poller.poll(WAKE_MS))
        if there.pop(writer, 0):
            _greet(writer, ready)
        if not there:
            continue
        if reader is not None:
            yield reader.recv_multipart()[-1]
            continue
        chunk = os.read(0, CHUNK)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if not chunk:
            yield rest
            return


def _greet(writer: Any, ready: str) -> None:
    """Answer every subscription to a hello topic; other subscriptions need no answer."""
    import zmq

    while writer.poll(0, zmq.POLLIN):
        message = writer.recv()
        if message[:1] == bytes([SUBSCRIBED]) and message[1:].startswith(HELLO):
            writer.send_multipart([message[1:], json.dumps({"ready": ready}).encode()])
