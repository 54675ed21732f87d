"""CSV text, plain or packed: the reader for every ending that no other reader knows."""

from __future__ import annotations

import io
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from errors import DataError
from readers import load, pcaxis, register
from readers.base import Reader, TableText
from readers.breaks import in_names
from readers.described import HEAD, described
from readers.dialect import Dialect
from readers.elapsed import elapsed
from readers.encodings import encoding_of, recoded, utf16
from readers.factual import factual
from readers.flowing import flowing
from readers.foreign import translated
from readers.glyphs import NOTE, plain_digits
from readers.meter_days import meter_days
from readers.packed import check_text, is_json, unpacked
from readers.refused import check_table
from readers.remarks import hashed
from readers.renamed import values_renamed, without_numbers
from readers.spelled import spelled
from readers.upright import upright

READS = {"endings": [".csv"]}
MOST = 1024  # files that are known to be as they are read

_as_it_is: set[tuple[str, int, int, bytes]] = set()


@register
class TextReader(Reader):
    """The text as it is in the file; flags or guesses say how it is written."""

    named_columns = False

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """The file, unpacked, UTF-16 as UTF-8, JSON and `foreign` text as CSV, and as `spelled`. See `Reader.text`."""
        plain = unpacked(file)
        head = plain.peek(HEAD)
        # Names, guesses and values each open a file, and to find that nothing is to be done takes the longest.
        state = path.stat()
        which = str(path), state.st_size, state.st_mtime_ns, blake2b(head[:HEAD]).digest()
        if which in _as_it_is:
            return TableText(plain)
        found = self._text(plain, head, path)
        if found.text is plain and not found.notes and not found.beside:
            if len(_as_it_is) >= MOST:
                _as_it_is.clear()
            _as_it_is.add(which)
        return found

    def _text(self, plain: io.BufferedReader, head: bytes, path: Path) -> TableText:
        if encoding := utf16(head):
            try:
                return TableText(io.BytesIO(plain.read().decode(encoding).encode()))
            except UnicodeDecodeError as error:
                hint = "save it as UTF-8"
                raise DataError(f"is damaged UTF-16 text: {error.reason}", where=str(path), hint=hint) from None
        check_text(head, path)
        encoding, language = ("", "") if pcaxis.START.match(head) else encoding_of(head[:HEAD])  # which names its own
        if encoding:
            found = self._table(recoded(plain, encoding), path)
            return replace(
                found, notes=(f"read as {language} text, {encoding}; save it as UTF-8 if it is not", *found.notes)
            )
        return self._table(plain, path)

    def _table(self, plain: io.BufferedReader, path: Path) -> TableText:
        """The table in a text in UTF-8 or Latin-1."""
        head = plain.peek(HEAD)
        if is_json(head):
            return load("jsontext").text(plain, path)
        if b"\r" in head[:-1] and b"\n" not in head:  # as spreadsheets wrote on old Macs
            return TableText(io.BytesIO(plain.read().replace(b"\r", b"\n")))
        check_table(head[:HEAD], path)
        table, plain = translated(plain, head, path)
        if table is not None:
            return table
        plain = hashed(plain) or plain
        for reader in (upright, flowing, factual):
            table, plain = reader(plain, HEAD)
            if table is not None:
                return table
        digits = plain_digits(plain, HEAD)
        plain, other = (plain, ()) if digits is None else (digits, (NOTE,))
        whole, broken = in_names(plain)
        plain, restored = values_renamed(plain if whole is None else whole)
        plain, numbered = without_numbers(plain)
        timed, passed = elapsed(plain, plain.peek(HEAD)[:HEAD])
        plain = plain if timed is None else timed
        told = (*other, *filter(None, (broken, restored, numbered, passed)))
        changed, note = spelled(plain)
        if changed is not None:
            return TableText(changed, (*told, note))
        days, plain = meter_days(plain, plain.peek(HEAD)[:HEAD])
        found = days or described(plain) or TableText(plain)
        return replace(found, notes=(*told, *found.notes))

    def dialect(self, asked: Dialect) -> Dialect:
        """As the flags have `asked`: nothing is known about a CSV beyond them."""
        return asked
