"""Digits of other scripts (１２３, ١٢٣) and the apostrophes of word processors between thousands (1’234) as the parser
knows them.
"""

from __future__ import annotations

import io
import re

NOTE = "digits of other scripts, or apostrophes between thousands, are read as 0 to 9 and '"
_ZEROS = (0x0660, 0x06F0, 0x0966, 0x09E6, 0xFF10)  # of Arabic, Persian, Devanagari, Bengali, and full width
_DIGITS = {zero + digit: str(digit) for zero in _ZEROS for digit in range(10)}
_MARKS = {0x066B: ".", 0x066C: ",", 0xFF0E: ".", 0xFF0D: "-", 0xFF0F: "/", 0xFF1A: ":"}  # of decimals, thousands, dates
_TABLE = {**_DIGITS, **_MARKS}
_OTHER = re.compile(f"[{''.join(map(chr, _DIGITS))}]")
_GROUPS = re.compile(r"(?<=\d)[\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}](?=\d{3}(?!\d))")


def plain_digits(text: io.BufferedReader, head: int) -> io.BufferedReader | None:
    """A file's text with such digits and marks replaced; None where its first bytes have none.

    Parameters
    ----------
    text : at its start. head : how many bytes are looked at.
    """
    start = text.peek(head)[:head]
    if start.isascii():
        return None
    found = start.decode("utf-8", "ignore")
    if not _OTHER.search(found) and not _GROUPS.search(found):
        return None
    from readers.spelled import changed  # which reads with the readers that are loaded here

    return changed(text, _replaced)


def _replaced(lines: bytes) -> bytes:
    """Some whole lines; those that are no UTF-8 as they are."""
    try:
        text = lines.decode()
    except UnicodeDecodeError:
        return lines
    return _GROUPS.sub("'", text.translate(_TABLE) if _OTHER.search(text) else text).encode()
