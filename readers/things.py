"""Tables of things: a line is a patient, a machine, a flat, and a column is another quantity, not another step of time.

Their columns of words become numbers, one for each word, behind the columns of numbers; once training is known, they
are channels of zeros and ones (sources/things.py). What only names a thing is left out, told.
"""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from readers.categories import MOST_TRIED, as_word
from readers.dialect import Dialect, line_of, width_error
from readers.files import decode, first_lines
from readers.guess import LINE, has_names, is_id_word, is_person, rises, steps_named
from readers.missing import is_mark, is_sign
from readers.tidying import numbered
from readers.units import accounted, odd_number, split_mark
from times.growing import stamps_of
from times.words import is_time, is_time_word

LEAST = 3  # columns beside the labels, from more of which names alone show that they are things
SAMPLE = 40  # lines by which a column of labels is looked for
FEW = 20  # different cells of a column in which whole numbers and words are mixed: of more it is no category
MIXED = 0.05  # of the cells of a column: more of them are text where it is no column of numbers with a slip
COVERED = 0.25  # of the cells, which the commonest words hold where a column has categories, and no names
LEAST_NUMBERED = 10  # lines whose different numbers are their ids, and not chance
SHOWN = 4  # columns that a hint lists

BACK = 0.2  # of the first times go back where lines are in no order
WORDS, TEXT, TIMES, IDS, EMPTY = "words", "text", "times", "ids", "empty"  # what a column is that is none of numbers
HELD = 1 << 30  # bytes of a file that are looked at before what its columns hold is said
NUMERIC = b'0123456789+-.,;eE \t\r\n"|'  # of which numbers alone are made
LETTER = "column A"  # the first of a table without names
UNKNOWN = "?"  # in place of a number, in tables of things
NONE = "-1"  # the number of a cell without a word


@dataclass
class Columns:
    """The columns of a table with labels that are none of numbers, as it is read.

    words : of those that are categories, by name, the number of each word.
    left_out : of those that are left out, by name, what they hold.
    people : the cells of the one that says of whom a line is, its name first; [] for none.
    places : of the columns that are kept, in their order, where they are in the lines; () where they are all of them.
    of_things : whether columns are things, by their names.
    lettered : whether the file has no line of names, so that its columns are called by letters.
    index : whether the first column that is kept holds ids of the lines, as `Dialect` says it.
    named, again : the names as the file has them, and the new ones of those that come twice.
    marks : of the columns of numbers with a unit, by place, that unit; "" for brackets around those below zero.
    """

    words: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)
    places: tuple[int, ...] = ()
    of_things: bool = False
    lettered: bool = False
    index: str = "auto"
    named: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    marks: dict[int, str] = field(default_factory=dict)
    _person: int = -1

    def coded(self, blocks: Iterator[bytes], dialect: Dialect, path: Path) -> Iterator[bytes]:
        """Blocks of whole lines, that of names first and without the labels, with numbers for words, which come last,
        and without what is left out.

        Raises
        ------
        DataError : a line that is too short or too long.
        """
        names: list[str] = []
        line = 1
        start = b"\n".join(itertools.islice(blocks, 2))  # two, since the last line of a file is a block of its own
        held: list[bytes] = []
        for block in itertools.chain([start], held, blocks):
            if names and not self.places:
                yield block
                continue
            lines = dialect.split(decode(block).split("\n"), path)
            first = not names
            if first:
                if letters := letters_for(lines, dialect):
                    lines, line, self.lettered = [letters, *lines], 0, True
                    dialect = replace(dialect, header="auto")
                self.named = [name.strip() for name in lines[0]]
                lines[0] = names = numbered(self.named) if _are_things(self.named, dialect) else self.named
                kinds = kinds_among(lines, dialect)
                things = bool(kinds) or _are_things(names, dialect)
                if things:
                    held += _some(blocks)
                    kinds = _with_later(kinds, lines, held, dialect, path)
                self._take(names, kinds, _marked(kinds, lines, dialect))
                self.of_things = things and (bool(self.words) or len(names) > LEAST)
                self.index = _index_of(lines, self.places, dialect)
            if not self.places:
                yield block  # which has names, or no words
                continue
            for number, cells in enumerate(lines, start=line):
                if len(cells) != len(names) and not (len(cells) == len(names) + 1 and not cells[-1].strip()):
                    beside = bool(dialect.apart)
                    raise width_error(path, number, found=len(cells) + beside, expected=len(names) + beside)
            line += len(lines)
            made = [[cells[at] for at in self.places] for cells in lines[:first]]
            made += [self._coded(cells, dialect) for cells in lines[first:]]
            self.people += [cells[self._person].strip() for cells in lines if self._person >= 0]
            yield "\n".join([line_of(cells, dialect.sep) for cells in made]).encode()

    def _take(self, names: Sequence[str], kinds: Mapping[int, str], marks: Mapping[int, str]) -> None:
        """Learn what the columns are, from {place: kind} of those that are none of numbers, and {place: unit} of those
        of numbers with one."""
        worded = [at for at, kind in kinds.items() if kind == WORDS]
        self.words = {names[at]: {} for at in worded}
        self.left_out = {names[at]: kind for at, kind in kinds.items() if kind != WORDS}
        people = [at for at, kind in kinds.items() if kind == TEXT and is_person(names[at])]
        self._person = next(iter(people or [at for at, kind in kinds.items() if kind == IDS]), -1)
        changed = kinds or marks or self.lettered or [*names] != self.named
        self.places = (*(at for at in range(len(names)) if at not in kinds), *worded) if changed else ()
        self.marks, self.again = dict(marks), [one for one, was in zip(names, self.named, strict=True) if one != was]

    def _coded(self, cells: Sequence[str], dialect: Dialect) -> list[str]:
        """The cells of a line that are kept, with numbers for words."""
        first = len(self.places) - len(self.words)
        codes = [
            _code(cells[at], known, dialect) for at, known in zip(self.places[first:], self.words.values(), strict=True)
        ]
        return [_bare(cells[at]) if at in self.marks else cells[at] for at in self.places[:first]] + codes

    @property
    def told(self) -> list[str]:
        """Notes on what is left out."""
        text, times, ids = ([name for name, kind in self.left_out.items() if kind == one] for one in (TEXT, TIMES, IDS))
        found = [f"no line of names: columns are called {LETTER} and so on"] * self.lettered
        found += [f"names that come twice are numbered: {', '.join(self.again)}"] * bool(self.again)
        units = [f"{self.named[at]} in {mark}" for at, mark in self.marks.items() if mark]
        found += [f"units beside the numbers left out: {', '.join(units)}"] * bool(units)
        below = [self.named[at] for at, mark in self.marks.items() if not mark]
        found += [f"numbers in brackets or before a minus are taken as below zero: {', '.join(below)}"] * bool(below)
        if text:
            shown = ", ".join(map(repr, text))
            takes = f"; --categorical {shlex.quote(text[0])} takes {'one' if len(text) > 1 else 'it'} as categories"
            found.append(
                f"warning: left out, since {'they hold' if len(text) > 1 else 'it holds'} text: {shown}{takes}"
            )
        if times:
            shown = ", ".join(map(repr, times))
            found.append(f"warning: left out, since {'they hold' if len(times) > 1 else 'it holds'} times: {shown}")
        if ids:
            shown = ", ".join(map(repr, ids))
            found.append(f"left out, since {'they number' if len(ids) > 1 else 'it numbers'} the lines: {shown}")
        return found


def letters_for(lines: Sequence[Sequence[str]], dialect: Dialect) -> list[str]:
    """Names for the columns of a table with words among them, or marks of what is not known, that has none, as UCI's.

    Its first line holds numbers where others do, which are no steps, and mostly words that come again.

    Parameters
    ----------
    lines : the cells of some lines, without the column of labels.

    Returns
    -------
    [] for another table.
    """
    first, *below = ([cell.strip() for cell in line] for line in lines)
    made = [f"column {_letters(at)}" for at in range(len(first))]
    if any(map(is_letter, dialect.categories)) and not {*dialect.categories} & {*first}:
        return made  # as a model knows them
    if dialect.header == "yes" or len(below) <= LEAST or any(len(line) != len(first) for line in below[:SAMPLE]):
        return []
    kinds = kinds_among([made, *below], replace(dialect, header="auto"))
    numbers = [cell for at, cell in enumerate(first) if at not in kinds]
    marked = any(UNKNOWN in line for line in below)  # of a step of a series nobody writes so
    if not (kinds or marked) or any(cell and dialect.is_text(cell) and not is_sign(cell) for cell in numbers):
        return []
    words = [at for at, kind in kinds.items() if kind == WORDS]
    again = sum(any(line[at] == first[at] for line in below if at < len(line)) for at in words)
    values = [value for cell in numbers if (value := dialect.number(cell)) is not None and value == value]
    plain = bool(values) and not rises(values)
    return made if (2 * again > len(words) if words else plain) else []


def is_letter(name: str) -> bool:
    """Whether a name is that of a column without one."""
    word, _, letters = name.partition(" ")
    return word == "column" and letters.isascii() and letters.isalpha() and letters.isupper()


def _letters(at: int) -> str:
    """The letters by which a sheet calls its columns: A, B, ..., Z, AA, ..."""
    return (_letters(at // 26 - 1) if at >= 26 else "") + chr(ord("A") + at % 26)


def _some(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks up to so many bytes, which are looked at before what columns are is said."""
    room = HELD
    while room > 0 and (block := next(blocks, None)) is not None:
        room -= len(block)
        yield block


def _with_later(
    kinds: dict[int, str], start: Sequence[list[str]], blocks: Sequence[bytes], dialect: Dialect, path: Path
) -> dict[int, str]:
    """The kinds of columns, those of numbers or of nothing in their first lines judged anew where text comes later.

    Parameters
    ----------
    kinds : by the lines of `start`, the names first; {} where all are numbers.
    blocks : what follows.
    """
    names = [name.strip() for name in start[0]]
    first = any(map(dialect.is_text, (line[0] for line in start[1:])))  # names of the lines, which are no column
    plain = [at for at in range(first, len(names)) if at not in kinds]
    late = {at for block in blocks if block.translate(None, NUMERIC) for at in _texts(block, plain, dialect, path)}
    cells = {at: [line[at] for line in start[1:] if at < len(line)] for at in sorted(late)}
    for block in blocks if late else ():
        for line in _cells(block, dialect, path):
            for at in cells:
                if at < len(line):
                    cells[at].append(line[at])
    kinds |= {at: kind for at in cells if (kind := _kind(names[at], cells[at], dialect))}
    return dict(sorted(kinds.items()))


def _texts(block: bytes, columns: Sequence[int], dialect: Dialect, path: Path) -> Iterator[int]:
    """Which of the columns hold text in a block of lines."""
    found = list(zip(*_cells(block, dialect, path), strict=False))
    for at in columns:
        if at < len(found) and any(not _is_plain(cell) and dialect.is_text(cell) for cell in {*found[at]}):
            yield at


def _cells(block: bytes, dialect: Dialect, path: Path) -> list[list[str]]:
    return dialect.split(decode(block).split("\n"), path)


def _is_plain(cell: str) -> bool:
    """Whether a cell is a number in the usual spelling, which is cheaper to see than any other."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def kinds_among(lines: Sequence[Sequence[str]], dialect: Dialect) -> dict[int, str]:
    """{place: WORDS, TEXT, TIMES, IDS or EMPTY} of a table of things, its columns that are none of numbers; else {}.

    One at the beginning whose words are different names the rows, and is none of them.

    Parameters
    ----------
    lines : the cells of some lines, the names first, without the column of labels.
    dialect : what a number is, and which columns are categories whatever they hold.
    """
    names, *rows = lines
    plain = [name.strip() for name in names]
    if not rows or dialect.header == "no" or not has_names(plain, dialect):
        return {}
    columns = list(zip(*rows, strict=False))
    found = {at: kind for at, cells in enumerate(columns[: len(plain)]) if (kind := _kind(plain[at], cells, dialect))}
    if not _are_things(plain, dialect) and 2 * sum(kind == WORDS for kind in found.values()) <= len(plain):
        return {}  # steps of series hold numbers
    again = found.get(0) == WORDS and plain[0] not in dialect.categories and is_id_word(plain[0], things=False)
    names_rows = found.get(0) in (TEXT, IDS) or (found.get(0) == TIMES and not _in_disorder(columns[0]))
    if dialect.index != "no" and (again or (names_rows and not is_person(plain[0]))):
        del found[0]
    elif 0 not in found and dialect.index == "auto" and not is_id_word(plain[0]) and _counts(columns[0], dialect):
        found[0] = IDS
    numbers = [name for at, name in enumerate(plain) if at not in found]
    if len(numbers) > 2 and steps_named(numbers[1:], dialect):  # series, with words beside them
        found = {
            at: TEXT if kind == WORDS and plain[at] not in dialect.categories else kind for at, kind in found.items()
        }
    left = [at for at in range(len(plain)) if found.get(at, WORDS) == WORDS]
    return found if left and left != [0] else {}


def _are_things(names: Sequence[str], dialect: Dialect) -> bool:
    """Whether columns are named as things are, and not as the steps of series."""
    return dialect.header != "no" and has_names(names, dialect) and not steps_named(names[1:], dialect)


def _kind(name: str, cells: Sequence[str], dialect: Dialect) -> str:
    """What a column is: WORDS, TEXT, TIMES, IDS, EMPTY, or "" for numbers and what may be such."""
    if name in dialect.categories:
        return WORDS
    counts = Counter(cell.strip() for cell in cells)
    numbers = {cell for cell in counts if dialect.is_number(cell)}
    texts = [cell for cell in counts if cell not in numbers and dialect.is_text(cell)]
    if not texts and not numbers and not name:
        return EMPTY
    if not texts:
        return IDS if _number_lines(name, cells, numbers, counts, dialect) else ""
    plain = [cell for cell in texts if not (odd_number(cell, dialect) if numbers else is_sign(cell))]
    if not plain:
        return ""
    filled = sum(counts[cell] for cell in {*numbers, *plain})
    if _mark_of(plain, numbers, dialect) is not None:
        return ""  # numbers with a unit, or with brackets around those below zero
    if numbers:
        share = sum(counts[cell] for cell in plain) / filled
        few = len(numbers) + len(plain) <= FEW and min(counts[cell] for cell in plain) > 1
        if share <= MIXED and not few:
            return ""  # a slip among numbers, which is refused
    if is_person(name):
        return TEXT
    if all(map(is_time, plain[:MOST_TRIED])):
        return TIMES
    kinds = sorted((counts[cell] for cell in {*numbers, *plain}), reverse=True)
    return WORDS if 2 * len(kinds) <= filled and sum(kinds[:FEW]) >= COVERED * filled else TEXT


def _marked(kinds: Mapping[int, str], lines: Sequence[Sequence[str]], dialect: Dialect) -> dict[int, str]:
    """{place: unit} of the columns of numbers that have one, in a table of things."""
    found: dict[int, str] = {}
    if not _are_things(lines[0], dialect):
        return found
    for at, cells in enumerate(zip(*lines[1:], strict=False)):
        texts = {cell.strip() for cell in cells if dialect.is_text(cell) and not is_sign(cell) and not is_mark(cell)}
        if at not in kinds and at < len(lines[0]) and texts:
            mark = _mark_of(sorted(texts), {cell for cell in cells if dialect.is_number(cell)}, dialect)
            found |= {} if mark is None else {at: mark}
    return found


def _index_of(lines: Sequence[Sequence[str]], places: Sequence[int], dialect: Dialect) -> str:
    """Whether the first column that is kept of a table of things holds ids of its lines: `auto` where it is looked at,
    as words at the beginning are, or mostly different numbers under the name of ids; a number is no time there."""
    at = places[0] if places else 0
    cells = [line[at].strip() for line in lines[1:] if at < len(line)]
    if dialect.index != "auto" or (at == 0 and any(map(dialect.is_text, cells))):
        return dialect.index
    ids = is_id_word(lines[0][at]) and 2 * len({*cells}) > len(cells)
    return "auto" if at == 0 and ids else "no"


def _mark_of(texts: Sequence[str], numbers: Collection[str], dialect: Dialect) -> str | None:
    """The unit that all of some cells have, beside numbers that are 0; "" where these are in brackets; else None."""
    texts = [cell for cell in texts if not is_mark(cell)]
    if not texts or any(dialect.number(_bare(cell)) is None for cell in texts):
        return None
    marks = {"" if found is None else found[1] for found in map(split_mark, texts)}
    if len(marks) > 1 or (marks != {""} and any(dialect.number(cell.strip()) for cell in numbers)):
        return None
    return marks.pop()


def _bare(cell: str) -> str:
    """A number without its unit, or with its sign in place of brackets; other text as it is."""
    found = split_mark(cell)
    return accounted(cell) if found is None else found[0]


def _in_disorder(cells: Sequence[str]) -> bool:
    """Whether times go back again and again, as those of lines in no order do."""
    stamps = stamps_of([cell.strip() for cell in cells[:SAMPLE] if cell.strip()])
    return sum(b < a for a, b in itertools.pairwise(stamps)) > BACK * len(stamps)


def _counts(cells: Sequence[str], dialect: Dialect) -> bool:
    """Whether cells count the lines from 0 or 1."""
    numbers = [dialect.number(cell.strip()) for cell in cells]
    first = numbers[0] if numbers[0] in (0, 1) and len(cells) >= LEAST_NUMBERED else None
    return first is not None and numbers == [first + k for k in range(len(cells))]


def _number_lines(
    name: str, cells: Sequence[str], numbers: Collection[str], counts: Mapping[str, int], dialect: Dialect
) -> bool:
    """Whether a column of numbers is that of ids: whole ones, mostly different from line to line, under such a name."""
    if len(cells) < LEAST_NUMBERED or len(counts) != len(numbers) or 2 * len(numbers) <= len(cells):
        return False
    return is_id_word(name, things=False) and all(
        (value := dialect.number(cell)) and value % 1 == 0 for cell in numbers
    )


def _code(cell: str, known: dict[str, int], dialect: Dialect) -> str:
    """The number of a cell's word, the next one for a new word."""
    word = _word(cell, dialect)
    return NONE if not word else str(known.setdefault(word, len(known)))


@lru_cache(maxsize=4096)
def _word(cell: str, dialect: Dialect) -> str:
    """A cell as a word, "" for none; of a number its plainest spelling."""
    return "" if is_sign(cell) else as_word(cell, dialect.number(cell))


def learns(task: str, label: str, called: str) -> str:
    """The flags that make a table one of things whose label is that column, for a hint; `called` so in words."""
    return f"--task {task} --label-src-ch {shlex.quote(label)} if each line is an example, and {called} what to learn"


def label_hint(path: Path, dialect: Dialect) -> str:
    """The flags with which a table with words among its columns is one of things, its last column the label; "" for
    other tables, and where a flag names the label.

    Parameters
    ----------
    path, dialect : the table, and how it is written.
    """
    if dialect.labelled or dialect.strict:
        return ""
    lines = [line for line in dialect.split(first_lines(path)[0], path) if line]
    letters = letters_for(lines, dialect)
    lines = [letters, *lines] if letters else lines
    kinds = kinds_among(lines, replace(dialect, header="auto") if letters else dialect)
    if WORDS not in kinds.values():
        return ""
    if not lines[0][-1].strip() and len(lines[0]) > 1:  # names that end in a separator
        lines = [lines[0][:-1], *(line[: len(lines[0]) - 1] for line in lines[1:])]
    name = "last" if letters else lines[0][-1].strip() or "last"
    cells = [line[-1] for line in lines[1:]]
    columns = zip(map(str.strip, lines[0]), zip(*lines[1:], strict=False), strict=False)
    time = next((name for name, cells in columns if is_time_word(name) and all(map(is_time, cells))), LINE)
    task = "classify" if kinds.get(len(lines[0]) - 1) == WORDS or len({*cells}) <= FEW else "regress"
    learned = "the last column" if letters or not lines[0][-1].strip() else repr(name)
    return f"{learns(task, name, learned)}; --time-col {shlex.quote(time)} if each line is a step of time"
