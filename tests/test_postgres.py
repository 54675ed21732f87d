"""sources/postgres.py, query.py and reading.py against a real server; what a query gives, against the same as CSV."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import cli
from errors import DataError, UsageError, is_address, without_password
from sources import reading
from sources.postgres import connect

from .conftest import ROOT
from .runs import go, good, strict

pytestmark = pytest.mark.slow  # a server
psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
SECRET = "hush:9f-Zq"
CODED = "hush%3A9f-Zq"


@pytest.fixture(scope="session")
def admin(postgres):
    """A connection that may do anything, one statement a transaction."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")  # a worker may come back to this module, and a role is made once
def ann(postgres, admin) -> str:
    """The address, without a password, of a user who needs one and may read the table `plant`."""
    folder = Path(admin.execute("SHOW data_directory").fetchone()[0])
    rules = folder / "pg_hba.conf"
    rules.write_text("local all ann scram-sha-256\n" + rules.read_text())
    admin.execute(f"CREATE ROLE ann LOGIN PASSWORD '{SECRET}'")
    fill(admin, "plant", plant(), {"t": "timestamp"})
    admin.execute("GRANT SELECT ON plant TO ann")
    admin.execute("SELECT pg_reload_conf()")
    address = postgres.replace("postgres:@", "ann@")
    for _ in range(500):  # the server reads its rules when it gets to it
        if not trusted(address):
            return address
        time.sleep(0.02)
    raise AssertionError("the server trusts ann")


def trusted(address: str) -> bool:
    try:
        psycopg.connect(address, passfile="/no/such").close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def ask(tmp_path, postgres):
    """ask(SQL, flags...) -> the Series; the query lies in tmp_path/q.sql."""

    def read(query: str, *words: str, db: str = postgres):
        (tmp_path / "q.sql").write_text(query)
        return reading.read(configured("--db", db, "--db-query", str(tmp_path / "q.sql"), *words))

    return read


@pytest.fixture
def refused(ask):
    """The message of a query that must fail with a DataError (or another), which must hold all parts."""

    def check(query: str, *parts: str, error: type = DataError, words=(), **more) -> str:
        with pytest.raises(error) as caught:
            ask(query, *words, **more)
        for part in parts:
            assert part in str(caught.value), str(caught.value)
        return str(caught.value)

    return check


def configured(*words: str):
    return cli.parse(["--mode", "train", "--task", "regress", "--context-len", "3", *words])


def with_password(address: str, word: str) -> str:
    return address.replace("ann@", f"ann:{word}@")


def plant(n: int = 240) -> pd.DataFrame:
    random = np.random.default_rng(5)
    load = 10 + 5 * np.sin(np.arange(n) / 4) + random.normal(0, 0.5, n)
    times = pd.date_range("2024-03-01", periods=n, freq="h")
    return pd.DataFrame({"t": times, "load": load.round(3), "wind": random.normal(0, 1, n).round(3)})


def fill(admin, table: str, frame: pd.DataFrame, types: dict[str, str]) -> None:
    """The table anew, with the frame's lines in their order; columns are double precision unless `types` say."""
    columns = ", ".join(f'"{name}" {types.get(name, "double precision")}' for name in frame.columns)
    admin.execute(f"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({columns})")
    with admin.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv)") as copy:
        copy.write(frame.to_csv(index=False, header=False))


def same(one, other) -> None:
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.offsets, other.offsets)
    np.testing.assert_array_equal(one.time, other.time)
    assert (one.channels, one.clock) == (other.channels, other.clock)


# ---- a query's answer is what the same lines are as a long CSV

ZONED = [f"2024-10-27 0{hour}:00:00{zone}" for hour, zone in [(1, "+02"), (2, "+02"), (2, "+01"), (3, "+01")]]
FORMS = {
    "timestamp": ("timestamp", [str(time) for time in pd.date_range("2024-01-01", periods=6, freq="15min")], ()),
    "timestamptz": ("timestamptz", ZONED, ("--tz", "Europe/Berlin")),
    "a wall's clock in autumn": ("timestamp", [time[:19] for time in ZONED], ("--tz", "Europe/Berlin")),
    "text of several offsets": ("text", ZONED, ()),
    "date": ("date", [str(time)[:10] for time in pd.date_range("2024-01-01", periods=5, freq="MS")], ()),
    "seconds since 1970": ("bigint", [str(1_700_000_000 + 60 * k) for k in range(5)], ()),
    "resampled": ("timestamp", ["2024-01-01 00:01", "2024-01-01 00:50", "2024-01-01 03:00"], ("--resample", "1h")),
}


@pytest.mark.parametrize("form", FORMS)
def test_times_are_read_as_those_of_a_file(form, ask, admin, tmp_path):
    kind, times, words = FORMS[form]
    frame = pd.DataFrame({"t": times, "x": [1.5, -2e-7, 3e30, 0.1, 5, 6][: len(times)], "y": range(len(times))})
    fill(admin, "times", frame, {"t": kind, "y": "smallint"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    words = (*words, "--nan", "drop")
    of_file = reading.read(configured("--csv", str(tmp_path / "a.csv"), "--time-col", "t", *words))
    order = "ctid"  # the lines as they were put in: a wall's clock goes back in autumn
    same(ask(f"SELECT t, x, y FROM times ORDER BY {order};", *words), of_file)


def test_several_series_in_one_answer(ask, admin, tmp_path):
    times = [str(time) for time in pd.date_range("2024-01-01", periods=4, freq="D")]
    frame = pd.DataFrame(
        {"t": np.repeat(times, 2), "site": ["b, north", "a"] * 4, "x": range(8), "y": [0.5, None] + [1.0] * 6}
    )
    fill(admin, "sites", frame, {"site": "text"} | {"t": "date"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    words = ("--id-col", "site", "--nan", "zero")
    found = ask("SELECT * FROM sites ORDER BY t, site DESC", *words)
    same(found, reading.read(configured("--csv", str(tmp_path / "a.csv"), "--time-col", "t", *words)))
    assert found.rows == ("b, north", "a") and found.values[1].tolist() == [0.5, 1, 1, 1, 0, 1, 1, 1]


def test_a_checkpoint_takes_its_channels_by_name(postgres, admin, tmp_path):
    fill(admin, "plant2", plant(10), {"t": "timestamp"})
    (tmp_path / "q.sql").write_text("SELECT t, wind, 'note' AS note, load FROM plant2 ORDER BY t")
    config = configured("--db", postgres, "--db-query", str(tmp_path / "q.sql"))
    found = reading.read(config, ["load", "wind"])
    assert found.channels == ("load", "wind")
    np.testing.assert_allclose(found.values[0], plant(10)["load"], rtol=1e-6)


def test_the_source_says_what_was_asked_and_of_whom(ask, postgres, tmp_path):
    found = ask("SELECT now() + g * interval '1 s' AS t, g FROM generate_series(1, 5) AS g; -- five\n").sources[0]
    told = found.plain()
    query = (tmp_path / "q.sql").read_text().partition(";")[0]
    assert told["query_sha256"] == hashlib.sha256(query.encode()).hexdigest()
    assert told["shape"] == [5, 2] and told["server"]["database"] == "postgres"
    assert told["server"]["version"][0].isdigit() and told["server"]["host"] in postgres
    assert json.loads(json.dumps(told)) == told


# ---- mistakes in the answer


@pytest.mark.fault(
    "a database's rows out of order",
    "times that come twice: exit 3 with the row; those that go back are sorted, and that is told",
)
@pytest.mark.parametrize(
    ("times", "parts"),
    [
        (["01:00", "02:00", "02:00", "03:00"], ["q.sql, row 3", "occurs twice"]),
        (["01:00", "03:00", "02:00", "02:00"], ["q.sql, row 3", "times go back"]),
        (["01:00", "02:00", "03:00", "05:00"], ["q.sql, row 4", "a step of 2h", "--resample 1h"]),
        (["01:00", "02:00", "", "04:00"], ["q.sql, row 3", "the time is missing"]),
        (["01:00", "02:00"], ["2 steps, fewer than 3"]),
    ],
)
def test_times_out_of_order_are_named_by_row(times, parts, refused, admin):
    frame = pd.DataFrame({"t": [time and f"2024-01-01 {time}" for time in times], "x": np.arange(len(times)) / 2})
    fill(admin, "odd", frame, {"t": "timestamp"})
    refused("SELECT t, x FROM odd", *parts, words=("--nan", "error"))


@pytest.mark.parametrize(
    ("values", "kind", "parts"),
    [
        (["1", "", "3"], "double precision", ["q.sql, row 2", "missing value", "--nan drop", "'x'"]),
        (["1", "Infinity", "3"], "double precision", ["q.sql, row 2", "infinite value"]),
        (["1", "2", "NaN"], "numeric", ["q.sql, row 3", "missing value"]),
        (["1", "broken", "3"], "text", ["q.sql, row 2:2", "'broken'"]),
    ],
)
def test_values_that_are_none_are_named_by_row(values, kind, parts, refused, admin):
    frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=3), "x": values})
    fill(admin, "odd", frame, {"t": "timestamp", "x": kind})
    refused("SELECT t, x FROM odd", *parts, words=("--nan", "error"))


def test_columns_that_are_not_there_or_not_one(refused):
    rows = "FROM generate_series(1, 4) AS g"
    refused(f"SELECT now() AS t, g AS a, g AS a {rows}", "2 columns are named 'a'")
    refused(f"SELECT now() AS t {rows}", "no column besides the time")
    refused(f"SELECT now() AS t, g AS a {rows}", "no column 'site'", words=("--id-col", "site"))
    refused(f"SELECT now() AS t, g AS a {rows}", "is the time", words=("--id-col", "t"), error=UsageError)
    refused("SELECT now() AS t, 1 AS x WHERE false", "the query returns no row")


# ---- mistakes in the query


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("SELECT t, x\nFROM no_such_table", ["q.sql:2", 'relation "no_such_table" does not exist']),
        ("SELECT no_such_function(1), 2", ["q.sql:1", "no_such_function(integer) does not exist"]),
        ("SELECT t, x\n\nFORM odd", ["q.sql:3", "syntax error", "one SELECT: the time first"]),
        ("SELECT 1, 2; DROP TABLE plant", ["q.sql:1", "syntax error"]),
        ("DROP TABLE plant", ["q.sql:1", "syntax error"]),
        ("SELECT now(), write_it()", ["read-only transaction", "reads and changes nothing"]),
        ("SELECT now(), 1 / 0", ["division by zero"]),
    ],
)
def test_a_query_that_fails_is_named_by_line(query, parts, refused, admin):
    admin.execute("CREATE TABLE IF NOT EXISTS log (at timestamptz)")
    admin.execute(
        "CREATE OR REPLACE FUNCTION write_it() RETURNS integer LANGUAGE plpgsql "
        "AS 'BEGIN INSERT INTO log VALUES (now()); RETURN 1; END'"
    )
    refused(query, *parts)
    assert admin.execute("SELECT count(*) FROM log").fetchone() == (0,)


def test_the_query_file(refused, ask, tmp_path, postgres):
    refused("  \n", "the file is empty", error=UsageError)
    with pytest.raises(UsageError, match="cannot read the query"):
        reading.read(configured("--db", postgres, "--db-query", str(tmp_path / "none.sql")))
    with pytest.raises(UsageError, match="requires --db-query"):
        reading.read(configured("--db", postgres))
    (tmp_path / "q.sql").write_bytes(b"SELECT '\xff'")
    with pytest.raises(UsageError, match="not UTF-8"):
        reading.read(configured("--db", postgres, "--db-query", str(tmp_path / "q.sql")))
    text = "SELECT '2024-01-0' || g AS t, g AS \"größe; %s\" FROM generate_series(1, 4) g ;\n-- x\n"
    assert ask("-- a comment; with a mark\n" + text).channels == ("größe; %s",)


@pytest.mark.fault(
    "a database that is slow",
    "the query is stopped after `--db-timeout` seconds: exit 3 with the flag to raise",
)
def test_a_statement_that_takes_too_long_is_stopped(refused):
    began = time.perf_counter()
    query = "SELECT now() AS t, 1 AS x FROM pg_sleep(30)"
    refused(query, "longer than 0.2 s", "--db-timeout", words=("--db-timeout", "0.2"))
    assert time.perf_counter() - began < 10


@pytest.mark.fault("a database that goes away in the middle", "exit 3 with what the database said; no run is left")
def test_a_connection_that_is_cut(refused, admin):
    def cut():
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%pg_sleep(29)%'"
        while not admin.execute(query).fetchall():
            time.sleep(0.05)

    thread = threading.Thread(target=cut)
    thread.start()
    refused("SELECT now() AS t, 1 AS x FROM pg_sleep(29)", "--db postgresql://", "terminating connection")
    thread.join()


# ---- connections and passwords


def test_a_database_that_is_not_there(refused, tmp_path, postgres):
    refused("SELECT 1", "no connection", "is the server running", db=f"postgresql://ann@/x?host={tmp_path}")
    refused("SELECT 1", "no connection", "is the server running", db="postgresql://ann@127.0.0.1:9/x")
    refused("SELECT 1", 'database "nope" does not exist', db=postgres.replace("/postgres?", "/nope?"))
    refused("SELECT 1", "no database in this folder", "deddiag_db.py load", db=f"embedded:{tmp_path}")


@pytest.mark.parametrize("given", ["address", "environment", "file", "argument"])
def test_the_password_comes_from_where_libpq_has_it(given, ann, ask, monkeypatch, tmp_path):
    address = ann
    if given == "address":
        address = with_password(ann, CODED)
    elif given == "argument":
        address = f"{ann}&password={CODED}"
    elif given == "environment":
        monkeypatch.setenv("PGPASSWORD", SECRET)
    else:
        (tmp_path / "pass").write_text("*:*:*:ann:" + SECRET.replace(":", "\\:") + "\n")
        (tmp_path / "pass").chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
    assert ask("SELECT * FROM plant ORDER BY t", db=address).channels == ("load", "wind")


def test_a_wrong_password_is_said_and_not_shown(ann, refused, monkeypatch):
    for address in (with_password(ann, "wrong-one"), f"{ann}&password=wrong-one"):
        text = refused("SELECT 1", "password authentication failed", "PGPASSWORD", db=address)
        assert "wrong-one" not in text
    monkeypatch.setenv("PGPASSFILE", "/no/such")
    assert "PGPASSWORD" in refused("SELECT 1", "no password", db=ann)


def test_another_users_table(ann, refused, admin, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", SECRET)
    admin.execute("CREATE TABLE IF NOT EXISTS private (t timestamp, x real)")
    refused("SELECT * FROM private", "permission denied", "right to SELECT", db=ann)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://ann:pw@host:5432/db", "postgresql://ann@host:5432/db"),
        ("postgres://ann:p:w@h1:1,h2:2/db?sslmode=require", "postgres://ann@h1:1,h2:2/db?sslmode=require"),
        ("postgresql://ann@host/db?password=pw&sslmode=require", "postgresql://ann@host/db?sslmode=require"),
        ("postgresql://ann@/db?host=/tmp/x&sslpassword=pw", "postgresql://ann@/db?host=/tmp/x"),
        ("postgresql://ann:@[::1]:5432/db", "postgresql://ann@[::1]:5432/db"),
        ("postgresql:///db", "postgresql:///db"),
        ("postgresql://ann:p@w@host/db", "postgresql://..."),
        ("postgresql://ann:p/w@host/db", "postgresql://..."),
        ("postgresql://ann:p?w@host/db", "postgresql://..."),
        ("postgresql://ann:p w@host/db", "postgresql://..."),
        ("postgresql://ann:pw", "postgresql://..."),
        ("postgresql://ann@host/db?pass%77ord=pw", "postgresql://..."),
    ],
)
def test_an_address_is_shown_without_its_password(address, shown):
    assert without_password(address) == shown
    assert is_address(address) == ("..." not in shown)
    assert "pw" not in without_password(f"'--db={address}' and more")
    if "..." not in shown:  # what is shown leads to the same place
        one, other = (psycopg.conninfo.conninfo_to_dict(text) for text in (address, shown))
        assert {k: v for k, v in one.items() if "password" not in k} == other


def test_a_bad_escape_is_no_address():
    assert not is_address("postgresql://ann:p%zz@host/db") and not is_address("postgresql://ann:p%00@host/db")


@pytest.mark.fault("a password in a URL")
@pytest.mark.parametrize(
    "words",
    [
        f"--db postgresql://ann:{SECRET}/x@h/d",
        f"--dbb postgresql://ann:{SECRET}@h/d",
        f"--db x --csv y postgresql://ann:{SECRET}@h/d",
        f"--csv postgresql://ann:{SECRET}@h/d",
        f"--db postgresql://ann:{CODED}@127.0.0.1:9/d --db-query postgresql://ann:{SECRET}@h/d",
        f"--db host=h,password={SECRET}",
    ],
)
def test_a_mistaken_command_line_shows_no_password(words, tmp_path):
    done = go(tmp_path, "--mode train --task regress --context-len 3", words)
    assert done.code in (2, 3) and "hush" not in done.out + done.err


def test_the_flags_go_together():
    cases = {
        ("--db", "postgresql://h/d", "--csv", "a"): "--csv and --db",
        ("--db", "postgresql://h/d", "--demo"): "leave --db out",
        ("--db", "mysql://h/d"): "--db takes postgresql://",
        ("--db", "postgresql://h/d", "--time-col", "t"): "--time-col belongs to --csv",
        ("--csv", "a", "--db-query", "q.sql"): "--db-query needs --db",
    }
    for words, part in cases.items():
        with pytest.raises(UsageError) as caught:
            configured(*words)
        assert part in str(caught.value)


def test_without_psycopg_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match=r"requirements-postgres\.txt"), connect("postgresql://h/d"):
        pass


# ---- whole runs

TASKS = {
    "classify": "--bin-rule gt --bin-thr 10 --context-len 12 --backbone linear",
    "regress": "--context-len 12 --backbone linear",
    "forecast": "--context-len 24 --horizon 6 --backbone dlinear --features MS --target load",
}
COMMON = "--split-mode holdout --test-ratio 0.2 --epochs 1 --no-plots --reference off"


@pytest.mark.fault("a password in a URL")
@pytest.mark.parametrize("task", TASKS)
def test_a_run_on_a_query_is_the_run_on_its_csv(task, ann, tmp_path):
    plant().to_csv(tmp_path / "plant.csv", index=False)
    (tmp_path / "q.sql").write_text("SELECT t, load, wind FROM plant ORDER BY t;")
    address = with_password(ann, CODED)
    train = f"--mode train --task {task} {TASKS[task]} {COMMON}"
    of_file = good(tmp_path, train, "--csv plant.csv --time-col t --desc csv")
    of_db = good(tmp_path, train, f"--db '{address}' --db-query q.sql --desc db")
    summary = "metrics.json" if task == "classify" else "summary.json"
    for part in ("headline", "calibration", "n", "channels"):
        assert strict(of_db / summary)[part] == strict(of_file / summary)[part], part
    told = strict(of_db / "manifest.json")
    assert told["data"]["files"][0]["server"]["database"] == "postgres" and "ann@" in told["command"]
    infer = f"--mode infer --task {task} {COMMON} --ckpt {of_file} --eval-split all"
    one = good(tmp_path, infer, "--csv plant.csv --desc csv")
    other = good(tmp_path, infer, f"--db={address} --db-query q.sql --desc db")
    for name in ("preds.csv", "forecast.csv"):
        if (one / name).exists():
            assert (one / name).read_text().replace("plant,", "") == (other / name).read_text().replace("q.sql,", "")
    for path in (*of_db.rglob("*"), *other.rglob("*")):
        if path.is_file():
            text = path.read_bytes()
            assert SECRET.encode() not in text and CODED.encode() not in text, path
    assert yaml.safe_load((of_db / "config.yaml").read_text())["db"] == ann


def test_a_run_that_fails_shows_no_password(ann, tmp_path):
    (tmp_path / "q.sql").write_text("SELECT t, load FROM nothing")
    words = f"--mode train --task regress --context-len 3 --db '{with_password(ann, CODED)}' --db-query q.sql"
    done = go(tmp_path, words)
    assert done.code == 3 and 'q.sql:1: relation "nothing" does not exist' in done.err
    assert "hush" not in done.out + done.err


# ---- a server in a folder

PROBE = """
import sys, time
from sources.postgres import connect
with connect(sys.argv[1], write=True) as connection:
    print(connection.execute("SELECT 40 + 2").fetchone()[0], flush=True)
    time.sleep(float(sys.argv[2]))
"""


def probe(folder: Path, seconds: float) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PROBE, f"embedded:{folder}", str(seconds)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_another_process_in_the_folder_of_a_running_server(admin):
    folder = Path(admin.execute("SHOW data_directory").fetchone()[0])
    process = probe(folder, 0)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip(), err) == (0, "42", "")
    assert admin.execute("SELECT 1").fetchone() == (1,)  # it did not stop what others use


@pytest.mark.slow
def test_two_processes_in_one_folder_and_the_last_one_stops_the_server(postgres):
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "deep" / "pg"
        both = [probe(folder, 1.5), probe(folder, 0)]
        for process in both:
            out, err = process.communicate(timeout=60)
            assert (process.returncode, out.strip(), err) == (0, "42", "")
        assert (folder / "PG_VERSION").is_file() and not (folder / "postmaster.pid").exists()


def test_a_server_that_cannot_start_is_an_error(tmp_path, postgres):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match="the server does not start"),
        connect(f"embedded:{tmp_path}/file/pg", write=True),
    ):
        pass


def test_a_first_column_that_is_no_time_gets_a_hint_for_a_query(refused):
    """--time-col is a flag of files."""
    text = refused(
        "SELECT k * interval '1 second' AS t, k AS x FROM generate_series(0, 99) k", "is not a date and time"
    )
    assert "to_timestamp(t)" in text and "--time-col" not in text
