"""Texts in the encodings of their country, Windows' and older ones, as UTF-8: their bytes say which it is."""

from __future__ import annotations

import codecs
import io
import itertools
import re
from collections.abc import Iterator

from readers.pieces import BLOCK, Pieces

LETTERS = 32  # bytes, of which in UTF-16 each second one is 0: names of columns are hardly ever in another script
MOST = 1 << 13  # bytes beside ASCII that are looked at
SHARE = 0.9  # of the pairs of bytes that must be common characters of a language
UTF16 = (b"\xff\xfe", b"\xfe\xff")
_HIGH, _WORD = re.compile(rb"[\x80-\xff]+"), re.compile(rb"[A-Za-z\x80-\xff]+")
# Two bytes for a character: the first bytes of those that a language uses most, and all the second ones there are.
_PAIRS = {
    "cp932": ("Japanese", rb"[\x81-\x84\x88-\x97]", rb"[\x40-\x7e\x80-\xfc]", r"[ぁ-んァ-ヶ一-龥]"),
    "euc_jp": ("Japanese", rb"[\xa1-\xa5\xb0-\xcf]", rb"[\xa1-\xfe]", r"[ぁ-んァ-ヶ]"),
    "cp949": ("Korean", rb"[\xa1-\xa3\xb0-\xc8]", rb"[\xa1-\xfe]", r"[가-힣]"),
    "gb18030": ("Chinese", rb"[\xa1-\xa3\xb0-\xd7]", rb"[\x80-\xfe]", r"[一-龥]"),
    "big5": ("Chinese", rb"[\xa1\xa4-\xc6]", rb"[\x40-\x7e\xa1-\xfe]", r"[一-龥]"),
}
# One byte: the letters that the language uses most, of so many.
_SINGLES = {
    "cp1251": ("Russian", "оеаинтсрвлкмдпуяы", 33),
    "koi8-r": ("Russian", "оеаинтсрвлкмдпуяы", 33),
    "cp866": ("Russian", "оеаинтсрвлкмдпуяы", 33),
    "cp1253": ("Greek", "αοιετσνηυρπκμλςίό", 31),
    "cp1255": ("Hebrew", "יוהלאתרבמשנדםע", 27),
    "cp1256": ("Arabic", "ايلمونرتبةعدسفهح", 36),
}
# Of cp1250, as cp1252 shows its letters: what no Western language has in one text, or within a word.
_POLISH = re.compile(r"[A-Za-z][³¹Ÿ¿][A-Za-z]")
_CZECH = ("øØìÌùè", "ýÝšŠžŽ"), ("øØìÌù", "íÍ"), ("øØ", "èÈìÌù")  # letters of both
_HUNGARIAN, _PORTUGUESE = re.compile(r"[A-Za-z]õ(?!e)|[A-Za-z]û"), "ãç"
LEAST = 0.15  # by which the share of the letters that a language uses most is above what chance gives
CASED = 0.9  # of the letters behind a small one, those that are small too
LEAST_WORD = 3  # letters of a word that are all beside ASCII: of Western words hardly ever are


def utf16(head: bytes) -> str:
    """The encoding of UTF-16 text, by its mark or the zeros beside its first letters; "" of another text.

    Parameters
    ----------
    head : the first bytes of a file.
    """
    if head.startswith(UTF16):
        return "utf-16"
    even, odd = head[:LETTERS:2], head[1:LETTERS:2]
    for name, zeros, letters in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros and not any(zeros) and letters.isascii() and "".join(letters.decode().split()).isprintable():
            return name
    return ""


def encoding_of(head: bytes) -> tuple[str, str]:
    """The encoding and the language of a text that is neither ASCII, UTF-8 nor Western ("" and "" of these).

    Parameters
    ----------
    head : the first bytes of a file.
    """
    lines = head.rpartition(b"\n")[0] or head
    if lines.isascii() or _decodes(lines, "utf-8"):
        return "", ""
    sample = b"\n".join(line for line in lines.split(b"\n") if not line.isascii())[:MOST].rpartition(b"\n")[0]
    sample = sample or lines[:MOST]
    paired = [(name, _pairs(sample, name)) for name in _PAIRS if _decodes(sample, name)]
    name, share = max(paired, key=lambda found: found[1], default=("", 0.0))
    if share >= SHARE:
        return name, _PAIRS[name][0]
    if not _is_worded(sample):
        return ("cp1250", "Central European") if _is_central(sample) else ("", "")
    scores = {name: _single(sample, name) for name in _SINGLES}
    name = max(scores, key=lambda each: scores[each])
    return (name, _SINGLES[name][0]) if scores[name] >= LEAST else ("", "")


def recoded(text: io.BufferedReader, encoding: str) -> io.BufferedReader:
    """A text of an encoding as UTF-8.

    Parameters
    ----------
    text : at its start. encoding : its name. What is none of its characters becomes a mark of replacement.
    """
    decoder = codecs.getincrementaldecoder(encoding)("replace")

    def parts() -> Iterator[bytes]:
        while piece := text.read(BLOCK):
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()

    return io.BufferedReader(Pieces(filter(None, parts())), BLOCK)


def _decodes(text: bytes, encoding: str) -> bool:
    try:
        text.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _pairs(text: bytes, encoding: str) -> float:
    """The share of the bytes beside ASCII, and of those paired with them, that are common characters of two bytes; 0
    where none is a letter of the language, or no two stand side by side."""
    _, first, second, letters = _PAIRS[encoding]
    runs = re.compile(rb"(?:" + first + second + rb")+")
    if not re.search(letters, text.decode(encoding)) or not any(len(run) > 2 for run in runs.findall(text)):
        return 0.0
    common = sum(map(len, runs.findall(text)))
    rest = runs.sub(b"", text)
    return common / (common + sum(map(len, _HIGH.findall(rest))))


def _is_central(text: bytes) -> bool:
    """Whether a text is Czech, Polish or Hungarian, whose letters Western Windows takes for others: Hõmérséklet."""
    shown = text.decode("cp1252", "replace")
    letters = {*shown}
    czech = any(letters & {*some} and letters & {*others} for some, others in _CZECH)
    hungarian = _HUNGARIAN.search(shown) and letters & {*"áé"} and not letters & {*_PORTUGUESE, *"àâêîèëïô"}
    return bool(czech or _POLISH.search(shown) or hungarian)


def _is_worded(text: bytes) -> bool:
    """Whether most words with a letter beside ASCII have no ASCII letter, and some are longer than marks of units."""
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    own = [word for word in words if _HIGH.fullmatch(word)]
    return 2 * len(own) > len(words) and any(len(word) >= LEAST_WORD for word in own)


def _single(text: bytes, encoding: str) -> float:
    """By how much the letters beside ASCII are rather those that the language uses most than any; -1 where large ones
    stand within words, or signs do."""
    _, most, count = _SINGLES[encoding]
    found = text.decode(encoding, "replace")
    words = re.findall(r"[^\W\d_]+", found)
    letters = [letter for letter in "".join(words).lower() if not letter.isascii()]
    pairs = [b for word in words for a, b in itertools.pairwise(word) if a.islower()]
    other = sum(not letter.isascii() and not letter.isalpha() for letter in found)
    if sum(map(str.isupper, pairs)) > (1 - CASED) * len(pairs) or other > (1 - CASED) * len(letters) + 3:
        return -1
    return sum(letter in most for letter in letters) / max(len(letters), 1) - len(most) / count
