"""Who may take part: a token that server and homes share, and TLS with the files that Flower takes.

The token itself is never sent. Each side sends a number used once, and proves by an HMAC over both numbers that it has
the token (RFC 2104; challenge and response in both directions, as in ISO 9798-4): a home also learns that the server
has it. Against whoever can change messages on their way, only TLS helps.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from errors import DataError, UsageError
from settings.addresses import host_and_port, is_loopback

LEAST = 16  # characters of a token
MOST = 4096  # bytes of its file
MAKE = "python -c 'import secrets; print(secrets.token_urlsafe(32))' > token"


def read_token(file: str) -> bytes:
    """The token in a file, without the white space around it; empty for no file.

    DataError for a file that cannot be read, UsageError for a token that could be guessed.
    """
    if not file:
        return b""
    token = _bytes(file, "--token-file")[: MOST + 1].strip()
    if not LEAST <= len(token) <= MOST:
        what = f"holds {len(token)} characters; a token has at least {LEAST}"
        raise UsageError(what, where=f"--token-file {file}", hint=MAKE)
    return token


def nonce() -> str:
    """A number used once."""
    return secrets.token_hex(16)


def proof(token: bytes, who: str, theirs: str, ours: str) -> str:
    """That `who` ("server", or "home" and its name) has the token, for these two numbers used once; empty without."""
    return hmac.new(token, "\0".join((who, theirs, ours)).encode(), hashlib.sha256).hexdigest() if token else ""


def is_proof(given: object, expected: str) -> bool:
    """Whether a proof is the expected one."""
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


@dataclass(frozen=True)
class Listening:
    """Where a server listens, and to whom.

    address : HOST:PORT.
    token : that homes must have; empty for anyone on this machine.
    certificates : of the CA, of the server, and the server's private key, each PEM; None without TLS.
    """

    address: str
    token: bytes = b""
    certificates: tuple[bytes, bytes, bytes] | None = None


def listening(text: str, token_file: str, ca: str, certificate: str, key: str) -> Listening:
    """The settings of a server from its flags.

    UsageError for an address that is none, one that others reach without a token, and TLS in part.
    """
    host, port = host_and_port(text, "--serve")
    token = read_token(token_file)
    if not token and not is_loopback(host):
        what = "whoever reaches it could take part: a server for other machines needs a token"
        raise UsageError(what, where=f"--serve {text}", hint=f"--token-file token, made by {MAKE}")
    files = {"--ssl-ca-certfile": ca, "--ssl-certfile": certificate, "--ssl-keyfile": key}
    absent = [flag for flag, file in files.items() if not file]
    if absent and len(absent) < len(files):
        raise UsageError("is needed with the other two of TLS", where=absent[0])
    certificates = None
    if not absent:
        first, second, third = (_bytes(file, flag) for flag, file in files.items())
        certificates = (first, second, third)
        _check_pair(certificate, key)
    _check_free(host, port)
    return Listening(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", token, certificates)


def _check_pair(certificate: str, key: str) -> None:
    """UsageError unless a private key is that of a certificate; gRPC would listen, and no home could join."""
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = error.reason if isinstance(error, ssl.SSLError) else error
        what = f"not a certificate and its private key in PEM: {why}"
        raise UsageError(what, where="--ssl-certfile and --ssl-keyfile") from None


def _check_free(host: str, port: int) -> None:
    """UsageError where a port cannot be listened at; Flower would end the process."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise UsageError(f"cannot listen there: {error.strerror or error}", where=f"--serve {host}:{port}") from None


def root_certificates(file: str) -> bytes | None:
    """The CA's certificate by which a home knows the server; None without TLS."""
    return _bytes(file, "--root-certificates") if file else None


def _bytes(file: str, flag: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"cannot be read: {reason}", where=f"{flag} {file}") from None
