"""HOST:PORT as it is typed for a server, and whether anyone beyond this machine reaches it."""

from __future__ import annotations

import ipaddress
import re

from errors import UsageError

LOOPBACK = "127.0.0.1"
_PLACE = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*):)?(?P<port>\d{1,5})")


def host_and_port(text: str, flag: str) -> tuple[str, int]:
    """(host, port) of HOST:PORT, :PORT or PORT, which are this machine alone; an IPv6 host stands in [].

    UsageError for anything else; `flag` is where it was typed.
    """
    found = _PLACE.fullmatch(text)
    if not found or not 0 < int(found["port"]) < 1 << 16:
        hint = f"{flag} {LOOPBACK}:9092, or 0.0.0.0:9092 for every network of this machine"
        raise UsageError(f"{text[:80]!r} is not HOST:PORT", where=flag, hint=hint)
    return (found["host"] or LOOPBACK).strip("[]"), int(found["port"])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host; a name other than localhost may be any machine's."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
