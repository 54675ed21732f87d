"""Lines of a wide table that are none of it: titles above its names, a line of units, remarks, blank lines, names that
come again, and a total at its end. They are left out, told, and messages count the lines of the file.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from errors import DataError, many
from readers.dialect import Dialect
from readers.files import decode
from readers.units import units_below

MOST_ABOVE, SAMPLE = 20, 60  # lines above the names; lines that show how many cells a line has
MOST_BYTES, LEAST = 100_000, 5  # bytes of these lines, and the fewest
MOSTLY = 0.8  # of these have as many
FEW = 2  # cells of a title, which a table of some more has not
TOTALS = ("total", "totals", "grand total", "sum", "summe", "gesamt", "gesamtsumme")
BLANK, SEPARATED = "blank", b" ,;\t|\r"
SHOWN = 40  # characters of a line that a note shows


@dataclass
class Asides:
    """What is left out of a table's lines as they are read.

    things : whether lines may be things: a line of units, and one of totals at the end, are left out.
    gone : the numbers of the lines that were left out, in order.
    """

    dialect: Dialect
    path: Path
    things: bool
    gone: list[int] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _shown: dict[str, str] = field(default_factory=dict)

    def without(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Blocks of whole lines, `\\n` between lines, without those lines."""
        names, named, above, held, before = b"", False, 0, b"", b""
        for block in blocks:
            lines = 1 + block.count(b"\n")
            if not above:
                block = self._below_titles(block)
                names, *below = block.split(b"\n", (some := self._sample(block)) + 1)
                named = self._are_names(names, below[:some])
            before_it = above + len(self.gone) * (not above)
            kept = self._plain(block, names, before_it, named=named, first=not above)
            above += lines
            if held and kept:
                yield held
                before = held
            held = kept or held
        if held and self.things and (total := self._total(held, before)):
            self._leave(above, total, "of a total")
            held = held[: -len(total)].removesuffix(b"\n")
        if held:
            yield held

    @property
    def told(self) -> list[str]:
        """Notes on what was left out."""
        kinds = [(what, many(count, "blank line" if what == BLANK else "line")) for what, count in self._counts.items()]
        return [f"{lines}{f' {what}' * (what != BLANK)} left out: {self._shown[what]}" for what, lines in kinds]

    def moved(self, error: DataError) -> DataError:
        """An error whose place counts the lines of the file."""
        found = re.fullmatch(rf"({re.escape(str(self.path))}:)(\d+)(.*)", error.where, re.DOTALL)
        if self.gone and found:
            line = int(found[2])
            for gone in self.gone:
                line += gone <= line
            error.where = f"{found[1]}{line}{found[3]}"
        return error

    def _leave(self, number: int, line: bytes, what: str) -> None:
        bisect.insort(self.gone, number)
        self._counts[what] += 1
        text = decode(line).strip()
        self._shown.setdefault(what, f"line {number}" + f", {text[:SHOWN]!r}" * bool(text))

    def _cells(self, line: bytes) -> list[str]:
        try:
            return [cell.strip() for cell in self.dialect.split([decode(line)], self.path)[0]]
        except DataError:  # a quote that is open, told where it is read
            return []

    def _below_titles(self, block: bytes) -> bytes:
        """The first block from its line of names on, without one of units below it."""
        some = MOST_ABOVE + self._sample(block)
        lines = block.split(b"\n", some)
        cells = [self._cells(line) for line in lines[:some]]
        widths = Counter(len(each) for each in cells if any(each))
        width = widths.most_common(1)[0][0] if widths else 0
        at = next((k for k, each in enumerate(cells) if len(each) == width and sum(map(bool, each)) > 1), 0)
        alike = sum(len(each) == width or not any(each) for each in cells[at:])
        titles = all(self._is_title(each) or line[:1] == b"#" for each, line in zip(cells[:at], lines, strict=False))
        if at > MOST_ABOVE or width <= FEW or not titles or alike < MOSTLY * (len(cells) - at):
            return block
        for number, line in enumerate(lines[:at], 1):
            self._leave(number, line, "above the names" if line.strip(SEPARATED) else BLANK)
        rows = [each for each in cells[at:] if len(each) == width]
        if self.things and cells[at + 1 : at + 2] == rows[1:2] and units_below(rows, self.dialect):
            self._leave(at + 2, lines.pop(at + 1), "of units")
        return b"\n".join(lines[at:]) if self.gone else block

    def _sample(self, block: bytes) -> int:
        """How many lines are looked at: few of long ones."""
        return max(min(SAMPLE, MOST_BYTES // max(len(block.partition(b"\n")[0]), 1)), LEAST)

    def _is_title(self, cells: Sequence[str]) -> bool:
        """Whether a line has a word or two, such as the name of a report, or nothing."""
        said = [cell for cell in cells if cell]
        return len(said) <= FEW and not (said and self.dialect.is_number(said[0]))

    def _plain(self, block: bytes, names: bytes, above: int, *, named: bool, first: bool) -> bytes:
        """A block without blank lines, remarks and the names again.

        names, named : the first line, and whether it holds names. above : how many lines of the file there are above
        the block. first : whether it begins with the names.
        """
        odd = any(line[:1] in (b"", b"#") for line in block.split(b"\n"))
        if not odd and (not named or block.count(names[:SHOWN]) <= first):
            return block
        width = len(self._cells(names))
        kept = []
        for number, line in enumerate(block.split(b"\n"), above + 1):
            if first and number == above + 1:
                kept.append(line)
            elif width > 1 and not line.strip():  # of a single column it is a missing value
                self._leave(number, line, BLANK)
            elif line.startswith(b"#") and len(self._cells(line)) != width:
                self._leave(number, line, "behind a hash sign")
            elif line == names and named:
                self._leave(number, line, "of names that come again")
            else:
                kept.append(line)
        return b"\n".join(kept)

    def _are_names(self, line: bytes, below: Sequence[bytes]) -> bool:
        """Whether the cells of a line are several words, none of them twice, and none of their columns' words."""
        cells = self._cells(line)
        plain = 1 < len(cells) == len({*cells}) and all(map(self.dialect.is_text, filter(None, cells)))
        others = [self._cells(other) for other in below if other != line] if plain else []
        return plain and not any(one and one == two for row in others for one, two in zip(cells, row, strict=False))

    def _total(self, block: bytes, before: bytes) -> bytes:
        """The last line of the last block where it begins with a total, which is no word of its column; else b"".

        before : the block above.
        """
        others, _, last = block.rpartition(b"\n")
        word = next(iter(self._cells(last)), "")
        again = (word + self.dialect.sep).encode()
        known = any(text.startswith(again) or b"\n" + again in text for text in (others, before))
        return last if word.casefold().rstrip(":") in TOTALS and not known else b""
