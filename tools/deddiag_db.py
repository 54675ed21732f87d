"""DEDDIAG's tables in a PostgreSQL: made, and filled from a dump of tab-separated files.

    python tools/deddiag_db.py load DUMP_DIR --db embedded:data/deddiag_pg
    python tools/deddiag_db.py load house_08 --db postgresql://ann@localhost/deddiag --schema deddiag

DUMP_DIR is a folder `house_08` of the dump, or one that holds several. Everything happens in one transaction: all
tables are complete, or there are none. `measurements` has no key, as published, but gets an index on (item_id, time),
which both of our readers need to be fast. `get_measurements` returns what the published function returns.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest is imported: there is nothing to clean up yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import gzip
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/deddiag_db.py` runs

from tqdm import tqdm

from cli import Parser
from errors import DataError
from run import guarded
from sources.postgres import connect

if TYPE_CHECKING:
    import psycopg

BLOCK = 1 << 18  # bytes sent at a time
FILES = (  # in the order in which they refer to each other: table, its files in a house's folder
    ("houses", "house.tsv"),
    ("items", "items.tsv"),
    ("annotation_labels", "item_*_annotation_labels.tsv"),
    ("annotations", "item_*_annotations.tsv"),
    ("measurements", "item_*_data.tsv"),
)
TABLES = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {houses} (id integer PRIMARY KEY, persons json);
CREATE TABLE {items} (
    id integer PRIMARY KEY, name text NOT NULL, category text, house integer NOT NULL REFERENCES {houses}
);
CREATE TABLE {measurements} (item_id integer NOT NULL, time timestamp NOT NULL, value double precision);
CREATE TABLE {annotation_labels} (
    id integer PRIMARY KEY, item_id integer NOT NULL REFERENCES {items}, text text NOT NULL, description text
);
CREATE TABLE {annotations} (
    id integer PRIMARY KEY, item_id integer NOT NULL REFERENCES {items},
    label_id integer NOT NULL REFERENCES {annotation_labels},
    start_date timestamp NOT NULL, stop_date timestamp NOT NULL
);
"""
# One row per second, both ends included, in no order. As the published function: nothing outside of the readings, none
# of 4000 W and more, a value held through any gap, and as many rows for a second as it has readings, all of them (and
# those until the next reading) with the value of the first.
FUNCTION = """
CREATE FUNCTION {get_measurements}(item_id integer, from_time timestamp, to_time timestamp)
RETURNS SETOF {measurements} LANGUAGE sql STABLE AS $$
    WITH known AS (
        SELECT round(date_part('epoch', m.time))::bigint AS second, (array_agg(m.value ORDER BY m.time))[1] AS value,
            count(*) AS readings
        FROM {measurements} AS m
        WHERE m.item_id = $1 AND m.value < 4000
            AND m.time >= (SELECT max(b.time) FROM {measurements} AS b WHERE b.item_id = $1 AND b.time <= $2)
            AND m.time <= (SELECT min(a.time) FROM {measurements} AS a WHERE a.item_id = $1 AND a.time >= $3)
        GROUP BY 1
    ), held AS (
        SELECT second, value, readings, lead(second, 1, second + 1) OVER (ORDER BY second) AS following FROM known
    ), ticks AS (
        SELECT timestamp 'epoch' + tick * interval '1 second' AS time, value,
            CASE WHEN tick = second THEN readings ELSE 1 END AS copies
        FROM held, generate_series(second, following - 1) AS tick
    )
    SELECT $1, time, value FROM ticks, generate_series(1, copies) WHERE time BETWEEN $2 AND $3
$$;
"""
INDEX = "CREATE INDEX ON {measurements} (item_id, time); ANALYZE {measurements};"
DROP = "DROP FUNCTION IF EXISTS {get_measurements}(integer, timestamp, timestamp);" + "".join(
    f"DROP TABLE IF EXISTS {{{table}}};"
    for table in ("annotations", "annotation_labels", "measurements", "items", "houses")
)


def load(dump: Path, db: str, *, schema: str = "public", replace: bool = False) -> dict[str, int]:
    """Create the tables and fill them from a dump; returns row counts. DataError if they exist, unless `replace`."""
    files = find_files(dump)
    with connect(db, timeout=0, write=True) as connection:
        there = _there(connection, schema)
        if there and not replace:
            what = f"schema {schema!r} already has {', '.join(there)}"
            raise DataError(what, where=f"--db {db}", hint="--replace drops them, --schema chooses another schema")
        if there:
            _run(connection, DROP, schema)
        _run(connection, TABLES + FUNCTION, schema)
        rows = dict.fromkeys((table for table, _ in FILES), 0)
        with tqdm(total=sum(path.stat().st_size for _, path in files), unit="B", unit_scale=True, disable=None) as bar:
            for table, path in files:
                bar.set_description(path.name)
                rows[table] += _copy(connection, schema, table, path, bar)
        _run(connection, INDEX, schema)
    return rows


def find_files(dump: Path) -> list[tuple[str, Path]]:
    """(table, file) of all houses of a dump, table by table. DataError if it is no dump."""
    folders = [dump] if (dump / "house.tsv").is_file() else sorted(path.parent for path in dump.glob("*/house.tsv"))
    if not folders:
        raise DataError("no house.tsv in this folder or in its folders", where=str(dump))
    found = []
    for table, pattern in FILES:
        for folder in folders:
            paths = sorted({*folder.glob(pattern), *folder.glob(pattern + ".gz")})
            if not paths and table in ("items", "measurements"):
                raise DataError(f"no {pattern} in this folder", where=str(folder))
            found += [(table, path) for path in paths]
    return found


def _there(connection: psycopg.Connection, schema: str) -> list[str]:
    """The tables of DEDDIAG that the schema already has."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename = ANY(%s) ORDER BY 1"
    return [row[0] for row in connection.execute(query, (schema, [table for table, _ in FILES]))]


def _run(connection: psycopg.Connection, statements: str, schema: str) -> None:
    from psycopg import sql

    names = {name: sql.Identifier(schema, name) for name in ("get_measurements", *(table for table, _ in FILES))}
    text = sql.SQL(statements).format(schema=sql.Identifier(schema), **names)
    connection.execute(text)


def _copy(connection: psycopg.Connection, schema: str, table: str, path: Path, bar: tqdm) -> int:
    """Copy a file into its table, by the names in its header; returns the number of rows."""
    from psycopg import sql

    with _opened(path) as (raw, file):
        columns = file.readline().decode().rstrip("\r\n").split("\t")
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, DELIMITER E'\\t')").format(
            sql.Identifier(schema, table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                sent = 0
                while block := file.read(BLOCK):
                    copy.write(block)
                    bar.update(raw.tell() - sent)
                    sent = raw.tell()
            return cursor.rowcount


@contextmanager
def _opened(path: Path) -> Iterator[tuple[io.BufferedReader, io.BufferedIOBase]]:
    """A file, plain or gzip: the raw file and its decompressed content. DataError if it is damaged."""
    try:
        with path.open("rb") as raw:
            yield raw, gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError):
        raise DataError("the file is damaged", where=str(path)) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = Parser(prog="python tools/deddiag_db.py", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("load", help="create the tables and fill them from a dump")
    command.add_argument("dump", type=Path, metavar="DUMP_DIR", help="folder of one house of the dump, or of several")
    command.add_argument("--db", required=True, metavar="URL", help="postgresql://USER@HOST/NAME, or embedded:DIR")
    command.add_argument("--schema", default="public", help="created if it does not exist (%(default)s)")
    command.add_argument("--replace", action="store_true", help="drop existing tables first")

    def body() -> None:
        args = parser.parse_args(argv)
        rows = load(args.dump, args.db, schema=args.schema, replace=args.replace)
        print(", ".join(f"{table} {count:,}" for table, count in rows.items()))

    return guarded(body)


if __name__ == "__main__":
    sys.exit(main())
