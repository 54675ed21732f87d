"""A pooler of transactions before a PostgreSQL, as PgBouncer is: clients come and go, the server's session stays."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.conninfo import conninfo_to_dict

GREETINGS = (80877103, 80877104)  # a client asks for TLS, or for GSSAPI
LEAVE = b"X\0\0\0\4"


def _exactly(one: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = one.recv(count - len(found))
        if not part:
            raise ConnectionError("closed")
        found += part
    return found


def _login(settings: dict[str, str]) -> tuple[socket.socket, bytes]:
    """A session with a server that trusts all, over its socket, and what it answered up to its first `ready`."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{settings['host']}/.s.PGSQL.{settings.get('port', 5432)}")
    pairs = ["user", settings.get("user", "postgres"), "database", settings.get("dbname", "postgres")]
    body = struct.pack(">i", 196608) + b"".join(word.encode() + b"\0" for word in pairs) + b"\0"
    server.sendall(struct.pack(">i", len(body) + 4) + body)
    said = b""
    while True:
        head = _exactly(server, 5)
        rest = _exactly(server, struct.unpack(">i", head[1:])[0] - 4)
        said += head + rest
        if head[:1] == b"Z":
            return server, said


def _serve(client: socket.socket, server: socket.socket, greeting: bytes) -> None:
    """One client, from its first word to its last; the server hears neither."""
    while True:
        length = struct.unpack(">i", _exactly(client, 4))[0]
        body = _exactly(client, length - 4)
        if struct.unpack(">i", body[:4])[0] not in GREETINGS:
            break
        client.sendall(b"N")
    client.sendall(greeting)
    while -1 not in (client.fileno(), server.fileno()):  # closed by the end of a test
        for one in select.select([client, server], [], [])[0]:
            part = one.recv(1 << 16)
            left = one is client and (not part or part.endswith(LEAVE))
            if part and not left:
                (server if one is client else client).sendall(part)
            if left:
                return


@contextmanager
def pooled(address: str) -> Iterator[str]:
    """The address of a pooler on this machine, before the server at `address`; all clients share one session."""
    server, greeting = _login({key: str(value) for key, value in conninfo_to_dict(address).items()})
    door = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            with client:
                _serve(client, server, greeting)

    threading.Thread(target=answer, daemon=True).start()
    try:
        yield f"postgresql://postgres@127.0.0.1:{door.getsockname()[1]}/postgres"
    finally:
        door.close()
        server.close()
