"""Texts in formats of their own, as public bodies write them, under any name: their first bytes say which it is."""

from __future__ import annotations

import io
from pathlib import Path

from readers import dly, empatica, epw, indices, load, lvm, nem12, pcaxis, scopes, sysstat, tsf
from readers.base import TableText


def translated(text: io.BufferedReader, head: bytes, path: Path) -> tuple[TableText | None, io.BufferedReader]:
    """A text of such a format as a table; or None, and the text at its start.

    Parameters
    ----------
    text : at its start. head : its first bytes. path : the file, for errors.

    Raises
    ------
    DataError : it begins as one, and is not in order.
    """
    if nem12.START.match(head):
        return nem12.table(text.read(), path), text
    if head.startswith(lvm.START):
        return lvm.table(text.read(), path), text
    if pcaxis.START.match(head):
        return load("pcaxis").text(text, path), text
    if epw.START.match(head):
        return load("epw").text(text, path), text
    if scopes.START.match(head):
        return scopes.table(text.read(), path), text
    if sysstat.SAR.match(head):
        return sysstat.sar(text.read()), text
    if sysstat.VMSTAT.match(head):
        return sysstat.vmstat(text.read()), text
    if sysstat.RRD.match(head):
        return sysstat.rrd(text.read()), text
    if dly.START.match(head):
        return dly.table(text.read()), text
    if empatica.START.match(head):
        return empatica.table(text.read(), path), text
    if tsf.START.search(head):
        return tsf.table(text.read(), path), text
    if indices.START.match(head):
        whole = text.read()
        return indices.table(whole), io.BufferedReader(io.BytesIO(whole))
    return None, text
