"""DEDDIAG: the power of a house's mains and devices, second by second, from its PostgreSQL (Wenninger et al. 2021).

`measurements(item_id, time, value)` has a reading where the value changed, at least one per hour, in UTC and at
fractions of a second; a reading counts from the second that it rounds to (a half to the even one), the later of two in
one second wins, and it holds until the next. Where the next is more than GAP seconds away the meter was out: the value
holds for GAP seconds and is missing (NaN) from then until the next reading. It is missing before an item's first
reading and from GAP seconds after its last one.

Two readers give a value per second. `raw` takes the readings and expands them here. `function` has the database expand
them by `get_measurements` and corrects what that does wrong: it returns nothing at all when asked for more than there
is, holds a value through every gap, and of two readings in a second keeps the earlier. One thing cannot be corrected:
it returns the value before in place of 4000 W and more.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from data import Series
from errors import DataError, UsageError, nearest
from readers.missing import is_known
from sources import grids
from sources.postgres import Answer, Server, connect, server_of
from times.clock import Clock
from times.stamps import check_zone

if TYPE_CHECKING:
    import psycopg

GAP = 3605  # seconds that a value holds at most: readings come every hour, and a little later
LOST = 4000  # W and more, for which `get_measurements` returns the value before
NS = 10**9
READERS = ("raw", "function")
_HINTS = {  # by SQLSTATE
    "3F000": "--db-schema names the schema",
    "42P01": "--db-schema names the schema of the tables; tools/deddiag_db.py load makes them",
    "42883": "--db-reader raw needs no function; tools/deddiag_db.py load makes one",
}
LISTED = 40  # items that a hint names
_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER = len(_SIGNATURE) + 8  # bytes before the first row: flags and the length of an extension follow
_CELL = np.dtype([("bytes", ">i4"), ("cell", "V8")])  # of an array
_BORN = 946_684_800  # 2000-01-01 in seconds since 1970: where PostgreSQL counts from


@dataclass(frozen=True)
class Item:
    """A meter of a house; `channel` is its name in the series."""

    id: int
    name: str
    channel: str

    def __str__(self) -> str:
        return f"item {self.id} ({self.name})"


@dataclass(frozen=True)
class Readings:
    """Readings of an item: the seconds since 1970, int64 [m] in order, and their values, float32 [m]."""

    seconds: np.ndarray
    values: np.ndarray
    bytes: int


@dataclass(frozen=True)
class Expanded:
    """An item's value at every second of a range, float32 [n], and the rows and bytes that were read for it."""

    values: np.ndarray
    rows: int
    bytes: int


def read_house(
    db: str,
    *,
    house: int,
    mains: str,
    devices: Sequence[str],
    schema: str = "public",
    start: str = "",
    end: str = "",
    reader: str = "raw",
    timeout: float = 300,
    alone: bool = False,
    tz: str = "UTC",
    gap: int = GAP,
) -> Series:
    """One row, "house H": the mains, then the devices, in W at every second of a range.

    Missing values (see above) are NaN, with a note. Readings at no finite time, such as `infinity`, are left out.

    Parameters
    ----------
    db : the address, or embedded:DIR. schema : that of the tables.
    house : its number.
    mains, devices : items by id or name; `fridge=35` names the channel fridge instead of by the item's name.
    start, end : the range, end excluded; in `tz` unless they have an offset. "" for the mains' first and last reading.
    reader : raw or function. timeout : seconds that a statement may take.
    alone : of a house that has none of the devices, the mains alone are read.
    tz : the zone in which times are shown.
    gap : seconds that a value holds at most.

    Raises
    ------
    UsageError : an option that does not exist, an item given twice, an empty range.
    DataError : a house or an item that does not exist, or that has no reading in the range.
    """
    if reader not in READERS:
        raise UsageError(f"{reader!r} is not one of {', '.join(READERS)}", where="--db-reader")
    check_zone(tz)
    with connect(db, timeout=timeout, hints=_HINTS) as connection:
        tables = Tables(connection, schema, tz, gap)
        items = _choose(tables, house, mains, devices, alone)
        begin, n = _span(tables, items[0], start, end)
        values = np.empty((len(items), n), np.float32)
        sources, notes = [], []
        for channel, item in zip(values, items, strict=True):
            found = _BY[reader](tables, item, begin, n)
            channel[:] = found.values
            notes += _endless(tables, item) + _missing(tables, item, begin, channel)
            sources.append(_source(tables, item, found, server_of(connection, db)))
    return Series(
        values=values,
        offsets=np.array([0, n], np.int64),
        channels=tuple(item.channel for item in items),
        rows=(f"house {house}",),
        sources=tuple(sources),
        notes=(*notes, *_lossy(reader, items[0])),
        time=(begin + np.arange(n, dtype=np.int64)) * NS,
        clock=Clock("s", tz),
    )


# ---- tables


class Tables:
    """The tables of one schema, and how their readings are taken: the zone that shows them, and how long they hold.

    Names are composed as identifiers, so that any name works.
    """

    def __init__(self, connection: psycopg.Connection, schema: str, tz: str = "UTC", gap: int = GAP) -> None:
        from psycopg import sql

        self.connection, self.schema, self.tz, self.gap = connection, schema, tz, gap
        names = ("houses", "items", "measurements", "get_measurements")
        quoted = schema.replace("%", "%%")  # psycopg looks for its placeholders in identifiers too
        self._names = {name: sql.Identifier(quoted, name) for name in names}
        self._sql = sql.SQL

    def ask(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query in which tables are written as {items} and values as %(house)s."""
        return self.connection.execute(self._composed(query), values).fetchall()

    def copy(self, query: str, **values: Any) -> Readings:
        """The readings (time timestamp, value float8, neither NULL) of a query, in order of time, by binary COPY.

        A row of it is a day as two arrays: a row per reading takes five times as long, most of it here.
        """
        days = f"SELECT array_agg(time), array_agg(value) FROM ({query}) AS readings GROUP BY date_trunc('day', time)"
        statement = self._composed(f"COPY ({days}) TO STDOUT (FORMAT binary)")
        times, found, size = [np.empty(0, np.int64)], [np.empty(0, np.float32)], 0
        with self.connection.cursor() as cursor, cursor.copy(statement, values) as copy:
            for message in copy:
                size += len(message)
                for day in _rows(bytes(message)):
                    times.append(day[0].view(">i8").astype(np.int64))
                    found.append(_finite(day[1].view(">f8")))
        micros, power = np.concatenate(times), np.concatenate(found)
        if (np.diff(micros) < 0).any():
            order = np.argsort(micros, kind="stable")
            micros, power = micros[order], power[order]
        return Readings(np.rint(micros / 10**6).astype(np.int64) + _BORN, power, size)

    def show(self, second: float) -> str:
        """A second since 1970 as text."""
        return Clock("s", self.tz).show(np.array([int(second) * NS]))[0]

    def _composed(self, query: str) -> Any:
        return self._sql(query).format(**self._names)


def _finite(values: np.ndarray) -> np.ndarray:
    """Values as float32, NaN where they are infinite or beyond what that holds."""
    with np.errstate(over="ignore"):
        narrow: np.ndarray = values.astype(np.float32)
    narrow[~is_known(narrow)] = np.nan
    return narrow


def _rows(message: bytes) -> Iterator[list[np.ndarray]]:
    """The rows in a message of binary COPY, always complete: of each column an array of 8-byte cells."""
    at = _HEADER if message.startswith(_SIGNATURE) else 0
    while at < len(message) and (columns := struct.unpack_from(">h", message, at)[0]) > 0:  # -1 ends it
        at, row = at + 2, []
        for _ in range(columns):
            n = struct.unpack_from(">iiiiii", message, at)[4]  # bytes, dimensions, NULLs, type, length, first index
            row.append(np.frombuffer(message, _CELL, n, at + 24)["cell"])
            at += 24 + n * _CELL.itemsize
        yield row


def _choose(tables: Tables, house: int, mains: str, devices: Sequence[str], alone: bool) -> list[Item]:
    """The items asked for, each with its own channel name; `alone`: the mains where there is no device."""
    houses = [whole(row[0]) for row in tables.ask("SELECT id FROM {houses} ORDER BY id")]
    if house not in houses:
        listed = ", ".join(map(str, houses)) or "none"
        raise DataError(f"there is no house {house}", where="--house", hint=f"there are {listed}")
    found = tables.ask("SELECT id, name FROM {items} WHERE house = %(house)s ORDER BY id", house=house)
    names = {whole(number): name for number, name in found}
    asked = [str(word).rpartition("=")[2] for word in devices]
    if alone and not any(_means(word, number, name) for word in asked for number, name in names.items()):
        devices = ()
    chosen: list[Item] = []
    for word in (mains, *devices):
        number, channel = _pick(str(word), names, house)
        if any(item.id == number for item in chosen):
            raise UsageError(f"item {number} is given twice", where="--mains / --devices")
        taken = any(item.channel == channel for item in chosen)
        chosen.append(Item(number, names[number], f"{channel} ({number})" if taken else channel))
    return chosen


def _means(word: str, number: int, name: str) -> bool:
    """Whether a word is an item's name, or its id, as in the files: item_0035_data.tsv is of item 35."""
    return word == name or (word.isdecimal() and int(word) == number)


def whole(number: Any) -> int:
    """An id as the whole number that it is, of whatever type its column: numeric gives 59.00. DataError for another."""
    try:
        if int(number) == number:
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise DataError(f"{number!r} is no id: DEDDIAG's are whole numbers", where="--db")


def _pick(word: str, names: Mapping[int, str], house: int) -> tuple[int, str]:
    """The id of the item that a word names, and the name of its channel: `35`, `Refrigerator`, `fridge=35`."""
    alias, _, rest = word.rpartition("=")
    for wanted, channel in ((word, ""), (rest, alias)) if alias else ((word, ""),):
        found = [number for number, name in names.items() if _means(wanted, number, name)]
        if len(found) > 1:
            what = f"{len(found)} items are called {wanted!r}: {', '.join(map(str, found))}"
            raise DataError(what, where="--mains / --devices", hint="give its id")
        if found:
            return found[0], channel or names[found[0]]
    listed = ", ".join(f"{number} ({name})" for number, name in itertools.islice(names.items(), LISTED))
    hint = " ".join(filter(None, [nearest(rest, [*names.values(), *map(str, names)]), f"it has {listed or 'none'}"]))
    raise DataError(f"house {house} has no item {rest!r}", where="--mains / --devices", hint=hint)


# ---- time


def _span(tables: Tables, mains: Item, start: str, end: str) -> tuple[int, int]:
    """The first second since 1970 and the number of seconds."""
    first, last = _range(tables, mains) if not (start and end) else (0, 0)
    begin = second(start, "--start", tables.tz) if start else int(first)
    finish = second(end, "--end", tables.tz) if end else int(last) + 1
    if finish <= begin:
        what = f"the range from {tables.show(begin)} to before {tables.show(finish)} is empty"
        raise UsageError(what, where="--start / --end")
    return begin, finish - begin


def second(text: str, flag: str, tz: str = "UTC") -> int:
    """A time as the first whole second since 1970 at or after it; in `tz` unless it has an offset."""
    return -(-grids.moment(text, tz, flag) // NS)


def _range(tables: Tables, item: Item) -> tuple[float, float]:
    """Seconds since 1970 of an item's first and last reading. DataError where it has none."""
    first, last = tables.ask(
        "SELECT date_part('epoch', min(time)), date_part('epoch', max(time)) FROM {measurements} "
        "WHERE item_id = %(item)s AND isfinite(time)", item=item.id
    )[0]  # fmt: skip
    if first is None:
        raise DataError(f"{item} has no reading at all", where="--mains / --devices")
    return first, last


def _lossy(reader: str, mains: Item) -> list[str]:
    """A note where the database's own function is called."""
    what = f"get_measurements returns the value before in place of {LOST} W and more"
    told = f"warning: {what}: {mains} loses its peaks, which --db-reader raw keeps"
    return [told] if reader == "function" else []


def _endless(tables: Tables, item: Item) -> list[str]:
    """A note on the readings that are at no time, as schedulers write `until further notice`."""
    query = "SELECT count(*) FROM {measurements} WHERE item_id = %(item)s AND time IN ('infinity', '-infinity')"
    count = tables.ask(query, item=item.id)[0][0]
    return [f"warning: {item} has {count:,} readings at time infinity, which are left out"] if count else []


def moment(second: int) -> datetime:
    """A second as the database has it: naive, in UTC."""
    return datetime(1970, 1, 1) + timedelta(seconds=second)


# ---- readers

_STRETCH = (  # readings from the last one at or before the begin on, with time and value as they are to be sent
    "SELECT time::timestamp AS time, coalesce(value, 'NaN')::float8 AS value FROM {measurements} "
    "WHERE item_id = %(item)s AND time < %(finish)s AND isfinite(time) AND time >= coalesce("
    "(SELECT max(time) FROM {measurements} WHERE item_id = %(item)s AND time <= %(begin)s AND isfinite(time)), "
    "%(begin)s)"
)


def by_readings(tables: Tables, item: Item, begin: int, n: int) -> Expanded:
    """The n seconds from `begin` on, expanded from readings here."""
    found = tables.copy(_STRETCH, item=item.id, begin=moment(begin), finish=moment(begin + n))
    values = expand(found.seconds, found.values, begin, n, tables.gap)
    return Expanded(values, len(found.seconds), found.bytes)


def by_function(tables: Tables, item: Item, begin: int, n: int) -> Expanded:
    """The same by `get_measurements`, corrected where the readings show that it is wrong."""
    low, high = answered(tables, item, begin, n)
    if low > high:
        return Expanded(np.full(n, np.nan, np.float32), 0, 0)
    found = tables.copy(
        "SELECT time::timestamp AS time, coalesce(value, 'NaN')::float8 AS value "
        "FROM {get_measurements}(%(item)s, %(low)s::timestamp, %(high)s::timestamp)",
        item=item.id, low=moment(low), high=moment(high),
    )  # fmt: skip
    values = expand(found.seconds, found.values, begin, n, tables.gap)
    odd = tables.ask(_ODD, item=item.id, begin=moment(begin), finish=moment(begin + n), gap=tables.gap)
    for second, following, value in odd:
        until = begin + n if following is None else int(following)
        values[max(int(second) - begin, 0) : max(until - begin, 0)] = value
        values[max(int(second) + tables.gap + 1 - begin, 0) : max(until - begin, 0)] = np.nan
    return Expanded(values, len(found.seconds), found.bytes)


def answered(tables: Tables, item: Item, begin: int, n: int) -> tuple[int, int]:
    """The first and the last of the seconds from `begin` on for which `get_measurements` returns anything."""
    first, last = _range(tables, item)
    return max(begin, math.ceil(first)), min(begin + n - 1, math.floor(last))


# The first reading, the last of a second with several, and the last before a gap: its second, that of the next, and its
# value.
_ODD = f"""
SELECT second, following, value FROM (
    SELECT second, value, lag(second) OVER w AS before, lead(second) OVER w AS following
    FROM (SELECT round(date_part('epoch', time)) AS second, time, value FROM ({_STRETCH}) AS stretch) AS readings
    WINDOW w AS (ORDER BY time)
) AS neighbours
WHERE before IS NULL OR following IS NULL OR following - second > %(gap)s OR (second = before AND following > second)
ORDER BY second
"""
_BY: dict[str, Callable[[Tables, Item, int, int], Expanded]] = {"raw": by_readings, "function": by_function}


def expand(seconds: np.ndarray, values: np.ndarray, begin: int, n: int, gap: int = GAP) -> np.ndarray:
    """Readings at `seconds` int64 [m], in order, expanded to values float32 [n] of the seconds from `begin` on.

    A reading holds until the next, and at most `gap` seconds; the later of one second wins; before the first is NaN.
    """
    grid = np.full(n, np.nan, np.float32)
    edges = np.clip(np.append(seconds, begin + n) - begin, 0, n)
    grid[edges[0] :] = np.repeat(values, np.diff(edges))
    for at in np.flatnonzero(np.diff(np.append(seconds, begin + n)) > gap):
        grid[max(seconds[at] + gap + 1 - begin, 0) : edges[at + 1]] = np.nan
    return grid


def _missing(tables: Tables, item: Item, begin: int, values: np.ndarray) -> list[str]:
    """A note on the seconds that are missing. DataError where all are."""
    missing = np.isnan(values)
    if not missing.any():
        return []
    first, last = _range(tables, item)
    real = f"its readings go from {tables.show(first)} to {tables.show(last)}"
    if missing.all():
        what = f"{item} has no reading from {tables.show(begin)} to before {tables.show(begin + len(values))}"
        raise DataError(what, where="--start / --end", hint=real)
    holes = int(missing[0]) + int((np.diff(missing.astype(np.int8)) == 1).sum())
    spans = f"{holes} span{'s' * (holes > 1)}"
    return [f"{item} misses {missing.sum():,} of {len(values):,} seconds, in {spans}; {real}"]


def _source(tables: Tables, item: Item, found: Expanded, server: Server) -> Answer:
    query = hashlib.sha256(_STRETCH.encode()).hexdigest()
    content = hashlib.sha256(found.values.tobytes()).hexdigest()
    return Answer(f"{tables.schema}.measurements, {item}", content, found.bytes, (found.rows, 2), query, server)
