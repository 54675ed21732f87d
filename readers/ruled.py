"""Tables drawn with rules, as psql, MySQL, Markdown and printed frames have them: bars between the cells, and a line of
dashes below the names.
"""

from __future__ import annotations

import re

MOST = 50  # lines among which the names are
NOTE = "bars and rules around the cells, and the lines above and below the table, are left out"
_RULE = re.compile(rb"\s*[|+:]?[\s:=-]*-{2,}[\s:=|+-]*")


def ruled(head: bytes) -> Ruled | None:
    """The table that is drawn in a text; None where its first lines have no names with bars between them, above a rule
    of as many parts.

    Parameters
    ----------
    head : the first bytes of a file.
    """
    lines = [line.rstrip(b"\r") for line in head.removeprefix(b"\xef\xbb\xbf").split(b"\n")[:MOST]]
    for at in range(1, len(lines) - 1):
        rule, names = lines[at], lines[at - 1]
        if b"|" in names and b"|" in lines[at + 1] and _RULE.fullmatch(rule):
            marks = rule.strip().strip(b"|+").replace(b"+", b"|").count(b"|")
            framed = names.lstrip().startswith(b"|")
            if marks == _bare(names, framed).count(b"|") == _bare(lines[at + 1], framed).count(b"|"):
                return Ruled(at - 1, framed)
    return None


def _bare(line: bytes, framed: bool) -> bytes:
    """A line without the bars around it; where there are none, the last cell may be empty."""
    return line.strip().removeprefix(b"|").removesuffix(b"|") if framed else line


class Ruled:
    """Lines of such a text with nothing but a bar between cells; blank above the table, below it and for its rules.

    Parameters
    ----------
    names : the number of the line of names, from 0. framed : whether bars stand around the lines, too.
    """

    def __init__(self, names: int, framed: bool) -> None:
        self.names, self.framed, self.seen, self.ended = names, framed, 0, False

    def change(self, lines: bytes) -> bytes:
        """Some whole lines, which follow those of the call before: as many, so messages count those of the file."""
        return b"\n".join(map(self._line, lines.split(b"\n")))

    def _line(self, line: bytes) -> bytes:
        at, self.seen = self.seen, self.seen + 1
        if at < self.names or self.ended or _RULE.fullmatch(line.rstrip(b"\r")):
            return b""
        self.ended = b"|" not in line
        return b"|".join(map(bytes.strip, _bare(line, self.framed).split(b"|"))) if not self.ended else b""
