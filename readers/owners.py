"""Which column of a dated table says whose its lines are: one that divides them into series with times that grow."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from readers.columns import is_hour_word
from readers.dialect import Dialect
from readers.fitting import MOST_LINES
from readers.guess import is_id_word
from readers.owned import is_owner_word
from times.words import is_time, is_time_word, last_word, words_of

MOSTLY = 0.75  # of their times are different ones, where one series has some lines that come twice
HALF = 0.5  # where no column says whose a line is: of two series each time would come twice
MOST_JOINED = 3  # columns
MOST_TRIED = 6  # columns whose combinations are tried
LEAST_TWICE = 3  # lines of a time that came before, in which a column differs
FEW_OF = 10  # lines for each of the words of a column that tells those of few times that come again apart
TABLE, FIELD = "table", "_field"  # of InfluxDB, which numbers series that its other columns name

DAY, LEAST_OF_DAY, EXACT = 24 * 3600, 5, 1e-6  # seconds; times of day that a column repeats; what rounding leaves
LEAST_EVEN = 20  # steps that are no chance
SEVERAL = 1.5  # times as many lines as steps, from which on a time comes more than once
LEAST_EACH, TURNS = 4, 0.25  # lines of a thing; changes from one to another thing, a line

COORDINATES = ("lat", "latitude", "lon", "long", "lng", "longitude")
SENDERS = ("sensor", "node", "eui", "mac", "imei", "topic")  # which write by turns

Grows = Callable[[Sequence[float]], bool]


def owners(
    columns: Mapping[str, Sequence[str]], stamps: Sequence[float], dialect: Dialect, grows: Grows, asked: str = ""
) -> list[str]:
    """The columns that may say whose a line is, the likeliest first; joined by plus signs where it takes several.

    Parameters
    ----------
    columns : {name: the cells of some lines, the first ones at the beginning}, without the times.
    stamps : something that grows as the lines' times do.
    dialect : what a number is.
    grows : whether the stamps of one series are in order.
    asked : the only column, or several, to look at; "" for any.
    """

    def divide(cells: Sequence[str]) -> bool:
        return divides(cells, stamps, dialect, grows)

    if asked:
        names = [asked] if asked in columns else asked.split("+")
        return [asked] if {*names} <= columns.keys() and divide(_joined(columns, names)) else []
    usual = {name: cells for name, cells in columns.items() if not (is_time_word(name) or is_hour_word(name))}
    usual = {name: cells for name, cells in usual.items() if not _of_the_clock(cells, stamps)}
    if _is_one_series(stamps):  # with kinds of days, or states, in turn; what comes later is told where it is read
        usual = {name: cells for name, cells in usual.items() if len({*cells[:MOST_LINES]}) == 1 or is_id_word(name)}
    one = one_after_another(stamps)
    found = [name for name, cells in usual.items() if divide(cells) and (not one or is_id_word(name))]
    if TABLE in found and FIELD in columns:
        return [_tags(columns)]
    if found:
        return _different(_likely({name: columns[name] for name in found}, dialect) or found, columns)
    if one:
        return takes_turns(columns, stamps, dialect)
    points = {name: _as_words(cells) for name, cells in usual.items() if last_word(name) in COORDINATES}
    usual, columns = usual | points, {**columns, **points}
    some = [
        name for name, cells in usual.items() if any(_may_be_ids(part, dialect) for part in (cells, cells[:MOST_LINES]))
    ]
    for several in range(2, MOST_JOINED + 1):
        for tried in itertools.combinations(some[:MOST_TRIED], several):
            if divide(_joined(columns, tried)):
                return ["+".join(tried)]
    usual = {name: cells for name, cells in usual.items() if name not in points}
    ordered = [name for name in _likely(usual, dialect) if divides(columns[name], stamps, dialect, _not_back)]
    if ordered and not _not_back(stamps):
        return ordered[:1]
    words = [name for name, cells in usual.items() if all(map(dialect.is_text, cells)) and _tells(cells)]
    return _telling_apart({name: columns[name] for name in words}, stamps) if len(words) <= MOST_JOINED else []


def _as_words(cells: Sequence[str]) -> list[str]:
    """Coordinates, which name the points of a grid though they are no whole numbers."""
    return [f"at {cell}" for cell in cells]


def _of_the_clock(cells: Sequence[str], stamps: Sequence[float]) -> bool:
    """Whether cells are the time of day in other numbers: the seconds, hours or quarters since midnight."""
    if not all(map(str.isdecimal, cells)):
        return False
    pairs = sorted({(stamp % DAY, int(cell)) for stamp, cell in zip(stamps, cells, strict=True)})
    (first, low), (last, high) = pairs[0], pairs[-1]
    if len(pairs) < LEAST_OF_DAY or low >= high or first >= last:
        return False
    rate = (high - low) / (last - first)
    return all(abs(low + rate * (time - first) - number) < EXACT for time, number in pairs)


def _is_one_series(stamps: Sequence[float]) -> bool:
    """Whether the first lines go on in even steps, of which each is one line's."""
    steps = [b - a for a, b in itertools.pairwise(stamps[:MOST_LINES])]
    return len(steps) > LEAST_EVEN and len({*steps}) == 1 and steps[0] > 0


def _tags(columns: Mapping[str, Sequence[str]]) -> str:
    """The fewest columns that name the series of InfluxDB as its number of a table does, or that number."""
    tags = [name for name, cells in columns.items() if (name == FIELD or name[:1] != "_") and len({*cells}) > 1]
    names = [name for name in tags if name != TABLE]
    wanted = len({*columns[TABLE]})
    for several in range(1, MOST_JOINED + 1):
        for tried in itertools.combinations(names[:MOST_TRIED], several):
            joined = _joined(columns, tried)
            if len({*joined}) == wanted == len({*zip(joined, columns[TABLE], strict=True)}):
                return "+".join(tried)
    return TABLE


def _tells(cells: Sequence[str]) -> bool:
    """Whether cells differ and are no times."""
    return len({*cells}) > 1 and not all(map(is_time, cells))


def takes_turns(columns: Mapping[str, Sequence[str]], stamps: Sequence[float], dialect: Dialect) -> list[str]:
    """The column of words, called as ids are, of things that write a line each when something happens, so that no time
    comes twice and steps are of any length, or of those that write by turns; [] for none.

    Parameters
    ----------
    columns, stamps, dialect : as in `owners`.
    """
    first = stamps[:MOST_LINES]
    steps = Counter(b - a for a, b in itertools.pairwise(first))
    if len(first) < MOST_LINES // 2:
        return []
    if steps.most_common(1)[0][1] * 2 > len(first):  # in even steps those of devices that are asked one after the other
        senders = [name for name in columns if is_owner_word(name) or last_word(name) in SENDERS]
        return [name for name in senders if _in_rotation(columns[name][: len(first)])][:1]
    for name, cells in columns.items():
        kinds = Counter(cells[: len(first)])
        changes = sum(a != b for a, b in itertools.pairwise(cells[: len(first)]))
        several = len(kinds) > 1 and len(first) >= LEAST_EACH * len(kinds) and changes >= TURNS * len(first)
        if several and is_id_word(name) and all(map(dialect.is_text, kinds)):
            return [name]
    return []


def _in_rotation(cells: Sequence[str]) -> bool:
    """Whether cells are the same few ones again and again in one order."""
    kinds = len({*cells})
    again = all(one == other for one, other in zip(cells, cells[kinds:], strict=False))
    return 1 < kinds <= len(cells) // LEAST_EACH and again


def hidden_owner(
    columns: Mapping[str, Sequence[str]], stamps: Sequence[float], count: int, dialect: Dialect
) -> list[str]:
    """The column of words that says whose a line is where the first lines are all of one series, as in a panel by date
    of which one begins years before the others: one that is called as ids are, or the only one. [] where lines are no
    more than steps.

    Parameters
    ----------
    columns, stamps, dialect : as in `owners`. count : of all lines, about.
    """
    usual = statistics.median_low([b - a for a, b in itertools.pairwise(stamps[:MOST_LINES])] or [0.0])
    if usual <= 0 or count < SEVERAL * ((max(stamps) - min(stamps)) / usual + 1):
        return []
    one = [name for name, cells in columns.items() if len({*cells[:MOST_LINES]}) == 1]
    several = [name for name in one if 1 < len({*columns[name]}) <= len(stamps) / LEAST_EACH]
    words = [name for name in several if all(map(dialect.is_text, columns[name]))]
    return [name for name in words if is_id_word(name)][:1] or (words if len(words) == 1 else [])


def one_after_another(stamps: Sequence[float], mostly: float = MOSTLY) -> bool:
    """Whether times never go back and mostly differ, as those of one series do of which some lines come twice.

    Parameters
    ----------
    stamps : as in `owners`.
    mostly : more than so much of them are different ones.
    """
    first = stamps[:MOST_LINES]
    return len({*first}) > mostly * len(first) and _not_back(stamps)


def _telling_apart(columns: Mapping[str, Sequence[str]], stamps: Sequence[float]) -> list[str]:
    """The fewest of some columns of words in which lines of the same time differ, in whatever order they are; [] where
    hardly any time comes again, or all columns together do not tell such lines apart."""
    if len(stamps) - len({*stamps}) < LEAST_TWICE:
        return []
    most = len(stamps) // (1 if len({*stamps}) * 2 <= len(stamps) else FEW_OF)
    for several in range(1, len(columns) + 1):
        for names in itertools.combinations(columns, several):
            joined = _joined(columns, names)
            if len({*joined}) <= most and len({*zip(joined, stamps, strict=True)}) == len(stamps):
                return ["+".join(names)]
    return []


def _likely(columns: Mapping[str, Sequence[str]], dialect: Dialect) -> list[str]:
    """The columns that are called as ids are, or hold words.

    Parameters
    ----------
    columns, dialect : as in `owners`.
    """
    return [name for name, cells in columns.items() if is_id_word(name) or any(map(dialect.is_text, cells))]


def _not_back(stamps: Sequence[float]) -> bool:
    return all(before <= after for before, after in itertools.pairwise(stamps))


def divides(cells: Sequence[str], stamps: Sequence[float], dialect: Dialect, grows: Grows) -> bool:
    """Whether a column of text or whole numbers divides the lines into series whose times grow.

    Parameters
    ----------
    cells, stamps, dialect, grows : as in `owners`.
    """
    series: dict[str, list[float]] = {}
    for name, stamp in zip(cells, stamps, strict=True):
        series.setdefault(name, []).append(stamp)
    return any(_may_be_ids(part, dialect) for part in (cells, cells[:MOST_LINES])) and all(map(grows, series.values()))


def _joined(columns: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[str]:
    return [" ".join(cells) for cells in zip(*(columns[name] for name in names), strict=True)]


def _may_be_ids(cells: Sequence[str], dialect: Dialect) -> bool:
    """Whether cells are text or whole numbers, of several kinds of which most come again."""
    kinds = len(set(cells))
    return 1 < kinds <= len(cells) // 2 and not any(dialect.is_number(cell) and not cell.isdecimal() for cell in cells)


def _different(ids: Sequence[str], columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Columns of ids without those that only name the series of another one again, as a code beside a country: of such
    two the one that is called a name, or else the first."""
    kept: list[str] = []
    for name in ids:
        pairs = [len({*zip(columns[name], columns[other], strict=True)}) for other in kept]
        kinds = [(len({*columns[name]}), len({*columns[other]})) for other in kept]
        alike = [both == one == two for both, (one, two) in zip(pairs, kinds, strict=True)]
        if True not in alike:
            kept.append(name)
        elif _is_name(name) and not _is_name(kept[alike.index(True)]):
            kept[alike.index(True)] = name
    return kept


def _is_name(name: str) -> bool:
    """Whether a column is called a name: Name, station_name."""
    words = words_of(name)
    return bool(words) and words[-1] == "name"
