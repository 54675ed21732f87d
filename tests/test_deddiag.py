"""sources/deddiag.py and tools/deddiag_db.py against a real server, and what a second holds against a plain loop."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta

import numpy as np
import pytest

from errors import DataError, UsageError
from sources import deddiag
from sources.deddiag import GAP, read_house
from sources.postgres import connect
from tools import deddiag_db

from .pooler import pooled

pytestmark = pytest.mark.slow  # a server
psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
SCHEMA = 'we"ird; DROP TABLE {items}; --%s'
DAY = datetime(2017, 3, 26)  # a night in which clocks change in Germany, and nothing changes in UTC
H = 3600
ODD_NAME = "Fri\"dge'; DROP TABLE items; --"
ITEMS = {59: "Meter Total", 35: ODD_NAME, 27: "Kettle", 28: "Kettle", 40: "Frühstück", 41: "Empty", 42: "a=b"}


def readings() -> dict[int, list[tuple[float, float]]]:
    """What each item read: (seconds after DAY, W)."""
    random = np.random.default_rng(3)
    times = np.sort(random.choice(8 * H * 10, 4000, replace=False)) / 10  # many share a second, many end in .5
    mains = [(float(t), float(v)) for t, v in zip(times, random.integers(1, 3000, 4000), strict=True)]
    return {
        59: [(-0.3, 80.0), *mains, (8 * H + 0.2, 90.0), (9 * H, 91.0)],
        # hourly; then one exactly as late as may be, one two seconds later still, and five hours of nothing
        35: [(0.0, 60.0), (H, 0.0), (H + GAP, 61.0), (H + 2 * GAP + 2, 62.0), (H + 2 * GAP + 2 + 5 * H, 63.0)],
        # 4000 W and more; two in a second, the second of them the higher; a value of none
        27: [(10, 1.0), (20, 3999.0), (30, 4000.0), (40, 5200.5), (50, 2.0), (60.1, 7.0), (60.4, 8.0), (70, 9.0)],
        28: [(100.2, 5.0), (200.7, 6.0)],
        40: [(0.5, 1.0), (1.5, 2.0), (2.5, 3.0), (5.0, float("nan")), (8.0, 4.0), (20.0, 5.0)],
        42: [(0.0, 1.0)],
    }


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    """A folder with two houses in the layout of the published dump."""
    folder = tmp_path_factory.mktemp("dump")
    for house in (8, 9):
        (folder / f"house_{house:02d}").mkdir()
    home = folder / "house_08"
    persons = json.dumps([{"age": "25-50"}]).replace('"', '""')
    (home / "house.tsv").write_text(f'id\tpersons\n8\t"{persons}"\n')
    quoted = [f'{number}\t"{name.replace(chr(34), 2 * chr(34))}"\tOther\t8\n' for number, name in ITEMS.items()]
    (home / "items.tsv").write_text("id\tname\tcategory\thouse\n" + "".join(quoted))
    for number, found in readings().items():
        lines = [f"{number}\t{DAY + timedelta(seconds=second)}\t{value}\n" for second, value in found]
        lines = lines[::-1] if number == 59 else lines  # in no order
        (home / f"item_{number:04d}_data.tsv").write_text("item_id\ttime\tvalue\n" + "".join(lines))
    (home / "item_0035_annotation_labels.tsv").write_text("id\titem_id\ttext\tdescription\n1\t35\tcompressor\t\n")
    marks = f"1\t35\t1\t{DAY}\t{DAY + timedelta(minutes=5)}\n"
    (home / "item_0035_annotations.tsv").write_text("id\titem_id\tlabel_id\tstart_date\tstop_date\n" + marks)
    (folder / "house_09" / "house.tsv").write_text("id\tpersons\n9\t\n")
    (folder / "house_09" / "items.tsv").write_text("id\tname\tcategory\thouse\n90\tOven\tOven\t9\n")
    (folder / "house_09" / "item_0090_data.tsv").write_text(f"item_id\ttime\tvalue\n90\t{DAY}\t1\n")
    return folder


@pytest.fixture(scope="module")
def rows(dump, postgres):
    """What the tool says that it loaded, into a schema whose name is no plain word."""
    return deddiag_db.load(dump, postgres, schema=SCHEMA, replace=True)  # may be there: other modules run in between


@pytest.fixture
def read(postgres, rows):
    """read(devices, mains, ...) -> the Series of house 8 from DAY on for eight hours, or as the options say."""

    def do(devices=(), mains="59", **options):
        span = {"start": str(DAY), "end": str(DAY + timedelta(hours=8))}
        return read_house(postgres, house=8, mains=mains, devices=devices, schema=SCHEMA, **(span | options))

    return do


def named(query: str, name: str):
    """A query with {} as a table or function of the schema; psycopg looks for placeholders in identifiers too."""
    return psycopg.sql.SQL(query).format(psycopg.sql.Identifier(SCHEMA.replace("%", "%%"), name))


def by_loop(found: list[tuple[float, float]], n: int, begin: int = 0) -> np.ndarray:
    """The rule, second by second: the last reading that rounds to it or before, unless that is over GAP ago."""
    exact = [(DAY + timedelta(seconds=second), value) for second, value in found]
    whole = [(round((time - DAY).total_seconds()), value) for time, value in sorted(exact, key=lambda pair: pair[0])]
    values = np.full(n, np.nan, np.float32)
    for step in range(n):
        while len(whole) > 1 and whole[1][0] <= begin + step:
            whole.pop(0)
        if whole and 0 <= begin + step - whole[0][0] <= GAP:
            values[step] = whole[0][1]
    return values


def asked(postgres, item, low: str | None, high: str | None) -> list[tuple[float, float]]:
    """What get_measurements gives: (seconds after DAY, value), sorted."""
    with connect(postgres) as connection:
        query = named("SELECT * FROM {}(%s, %s::timestamp, %s::timestamp)", "get_measurements")
        found = connection.execute(query, (item, low, high)).fetchall()
    assert all(row[0] == item for row in found)
    return sorted(((row[1] - DAY).total_seconds(), row[2]) for row in found)


def at(second: float) -> str:
    return str(DAY + timedelta(seconds=second))


# ---- loading


def test_the_dump_is_loaded_whole(rows, postgres):
    lines = sum(len(found) for found in readings().values()) + 1
    assert rows == {"houses": 2, "items": 8, "annotation_labels": 1, "annotations": 1, "measurements": lines}
    with connect(postgres) as connection:
        query = named("SELECT time, value FROM {} WHERE item_id = %s ORDER BY time", "measurements")
        found = connection.execute(query, (27,)).fetchall()
        assert [((time - DAY).total_seconds(), value) for time, value in found] == readings()[27]
        indexes = "SELECT indexdef FROM pg_indexes WHERE tablename = 'measurements' AND schemaname = %s"
        index = connection.execute(indexes, (SCHEMA,)).fetchall()  # other modules load the same tables beside it
        assert '(item_id, "time")' in index[0][0] and len(index) == 1
        keys = "SELECT count(*) FROM information_schema.table_constraints WHERE table_name = 'measurements' AND table_schema = %s AND constraint_type = 'PRIMARY KEY'"  # fmt: skip  # noqa: E501
        assert connection.execute(keys, (SCHEMA,)).fetchone() == (0,)


def test_nothing_is_overwritten_unless_asked(rows, dump, postgres, capsys):
    words = ["load", str(dump), "--db", postgres, "--schema", SCHEMA]
    assert deddiag_db.main(words) == 3
    assert "houses" in (told := capsys.readouterr().err) and "--replace" in told
    assert deddiag_db.main([*words, "--replace"]) == 0
    assert "houses 2, items 8" in capsys.readouterr().out


def test_a_load_that_fails_leaves_what_was_there(rows, dump, postgres, tmp_path):
    broken = tmp_path / "house_08"
    broken.mkdir()
    for path in (dump / "house_08").iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "item_0028_data.tsv").write_text(f"item_id\ttime\tvalue\n28\t{DAY}\tbroken\n")
    with pytest.raises(DataError, match='invalid input syntax for type double precision: "broken"'):
        deddiag_db.load(broken, postgres, schema=SCHEMA, replace=True)
    (broken / "item_0028_data.tsv").unlink()
    (broken / "item_0028_data.tsv.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="the file is damaged"):
        deddiag_db.load(broken, postgres, schema=SCHEMA, replace=True)
    assert read_house(postgres, house=8, mains="59", devices=["28"], schema=SCHEMA).n_channels == 2


def test_a_folder_that_is_no_dump(tmp_path, postgres):
    with pytest.raises(DataError, match=r"no house\.tsv"):
        deddiag_db.load(tmp_path, postgres)
    (tmp_path / "house.tsv").write_text("id\tpersons\n1\t\n")
    with pytest.raises(DataError, match=r"no items\.tsv"):
        deddiag_db.load(tmp_path, postgres)


# ---- the function has the ways of the published one, which the reader is there to put right


def test_the_function_gives_a_row_a_second_with_both_ends(rows, postgres):
    assert asked(postgres, 27, at(12), at(20)) == [(second, 1.0) for second in range(12, 20)] + [(20, 3999.0)]


def test_the_function_gives_nothing_for_more_than_there_is(rows, postgres):
    assert len(asked(postgres, 27, at(10), at(70))) == 62  # 61 seconds, one of them twice
    assert asked(postgres, 27, at(9), at(70)) == asked(postgres, 27, at(10), at(71)) == []
    assert asked(postgres, 999, at(10), at(70)) == asked(postgres, 27, None, at(70)) == []


def test_the_function_replaces_4000_w_and_more(rows, postgres):
    assert {value for second, value in asked(postgres, 27, at(20), at(49))} == {3999.0}


def test_the_function_gives_a_second_twice_and_keeps_the_earlier_value(rows, postgres):
    assert asked(postgres, 27, at(59), at(62)) == [(59, 2.0), (60, 7.0), (60, 7.0), (61, 7.0), (62, 7.0)]


def test_the_function_fills_an_outage(rows, postgres):
    start = H + 2 * GAP + 2
    assert {value for _, value in asked(postgres, 35, at(start), at(start + 5 * H - 1))} == {62.0}


# ---- what is read


@pytest.mark.parametrize("reader", deddiag.READERS)
def test_every_second_is_what_the_rule_says(reader, read):
    found = read(["35"], reader=reader)
    assert found.values.dtype == np.float32 and found.values.shape == (2, 8 * H) and found.rows == ("house 8",)
    np.testing.assert_array_equal(found.values[0], by_loop(readings()[59], 8 * H))
    np.testing.assert_array_equal(found.values[1], by_loop(readings()[35], 8 * H))
    assert found.time is not None and found.clock is not None and found.clock.freq == "s"
    assert np.array_equal(np.diff(found.time), np.full(8 * H - 1, 10**9))
    assert found.clock.show(found.time[:1]) == ["2017-03-26 00:00:00+00:00"]


@pytest.mark.parametrize("reader", deddiag.READERS)
@pytest.mark.parametrize("begin", [0, 3, 61, 3605, 7212, 14000])
def test_a_range_may_begin_anywhere(reader, begin, read):
    found = read(["35"], reader=reader, start=at(begin), end=at(begin + 900))
    for values, item in zip(found.values, (59, 35), strict=True):
        np.testing.assert_array_equal(values, by_loop(readings()[item], 900, begin))


def test_halves_round_to_the_even_second_and_a_value_of_none_is_missing(read):
    found = read(["40"], end=at(22))
    np.testing.assert_array_equal(found.values[1, :10], by_loop(readings()[40], 10))
    assert found.values[1, :9].tolist()[:5] == [1, 1, 3, 3, 3] and np.isnan(found.values[1, 5:8]).all()


def test_a_gap_is_missing_from_its_tolerance_on(read):
    values = read(["35"]).values[1]
    late, gone = H + GAP, H + 2 * GAP + 2
    assert values[late - 1] == 0 and values[late] == 61  # GAP after the one before: no gap
    assert values[gone - 2] == 61 and np.isnan(values[gone - 1]) and values[gone] == 62  # two more leave one out
    assert values[gone + GAP] == 62 and np.isnan(values[gone + GAP + 1 : 8 * H]).all()
    back = read(["35"], start=at(gone + 4 * H), end=at(gone + 6 * H)).values[1]
    assert np.isnan(back[:H]).all() and (back[H:] == 63).all()


def test_raw_keeps_the_peaks_and_the_later_of_two(read):
    values = read(["27"], start=at(10), end=at(80)).values[1]
    assert values[20] == 4000 and values[30] == np.float32(5200.5) and values[50] == 8
    np.testing.assert_array_equal(values, by_loop(readings()[27], 70, 10))


def test_the_function_loses_the_peaks_and_says_so(read):
    found = read(["27"], reader="function", start=at(15), end=at(80))
    truth = by_loop(readings()[27], 65, 15)
    lost = truth >= 4000
    np.testing.assert_array_equal(found.values[1, ~lost], truth[~lost])
    assert lost.sum() == 20 and (found.values[1, lost] == 3999).all()
    assert any(note.startswith("warning:") and "item 59" in note and "4000 W" in note for note in found.notes)
    assert not any(note.startswith("warning:") for note in read(["27"], start=at(15), end=at(80)).notes)


@pytest.mark.parametrize("reader", deddiag.READERS)
def test_a_device_that_begins_late_or_ends_early_leaves_gaps(reader, read):
    found = read(["28"], reader=reader)
    assert not np.isnan(found.values[0]).any()
    np.testing.assert_array_equal(found.values[1], by_loop(readings()[28], 8 * H))
    missing = int(np.isnan(found.values[1]).sum())
    note = next(note for note in found.notes if "item 28" in note)
    assert f"{missing:,} of 28,800 seconds" in note and "2017-03-26 00:01:40" in note and "2 spans" in note


def test_without_a_range_it_is_that_of_the_mains(read):
    found = read(["35"], start="", end="")
    times = found.clock.show(found.time[[0, -1]])
    assert times == ["2017-03-25 23:59:59+00:00", "2017-03-26 09:00:00+00:00"]


def test_bounds_are_utc_unless_they_carry_an_offset(read):
    one = read(start="2017-03-26 01:00", end="2017-03-26T02:00:00Z")
    other = read(start="2017-03-26T03:00:00+02:00", end="2017-03-26 02:00")
    assert np.array_equal(one.time, other.time) and np.array_equal(one.values, other.values) and one.values.size == H
    assert read(start="2017-03-26 01:00:00.25", end="2017-03-26 02:00").values.size == H - 1  # from the next second on


def test_many_days_come_in_several_messages(read, postgres, rows):
    n = 4 * 24 * H
    with psycopg.connect(postgres) as connection:
        insert = "INSERT INTO {} SELECT 42, %s + g * interval '40 min', g FROM generate_series(1, 200) AS g"
        connection.execute(named(insert, "measurements"), (DAY,))
    try:
        found = read(["42"], end=at(n), start=at(1)).values[1]
        np.testing.assert_array_equal(found[2399 : n - 1], np.repeat(np.arange(1, 144), 2400)[: n - 2400])
    finally:
        with psycopg.connect(postgres) as connection:
            connection.execute(named("DELETE FROM {} WHERE item_id = 42 AND time > %s", "measurements"), (DAY,))


def test_the_series_says_where_it_comes_from(read, postgres):
    found = read(["35"], reader="function")
    told = found.sources[1].plain()
    assert "item 35" in told["path"] and told["server"]["database"] == "postgres" and json.dumps(told)
    assert [source.sha256 for source in found.sources] == [source.sha256 for source in read(["35"]).sources]


# ---- readings and ids of other kinds


@pytest.mark.parametrize("reader", deddiag.READERS)
def test_readings_at_no_finite_time_are_left_out_and_told(reader, read, postgres):
    plain = read(["35"], reader=reader, start="", end="")
    lines = [(59, "infinity", 0.0), (59, "-infinity", 5.0), (35, "infinity", 9.0)]
    with psycopg.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.executemany(named("INSERT INTO {} VALUES (%s, %s::timestamp, %s)", "measurements"), lines)
    try:
        for span in ({"start": "", "end": ""}, {"start": at(0), "end": ""}, {"start": "", "end": at(900)}):
            found = read(["35"], reader=reader, **span)
            assert any(
                note.startswith("warning: item 59") and "2 readings at time infinity" in note for note in found.notes
            )
        found = read(["35"], reader=reader, start="", end="")
        np.testing.assert_array_equal(found.values, plain.values)
        np.testing.assert_array_equal(found.time, plain.time)
    finally:
        with psycopg.connect(postgres) as connection:
            connection.execute(named("DELETE FROM {} WHERE NOT isfinite(time)", "measurements"), ())


def test_an_infinite_value_is_missing(read, postgres):
    with psycopg.connect(postgres) as connection:
        insert = "INSERT INTO {} VALUES (28, %s, 'infinity'), (28, %s, 1e300), (28, %s, 7)"
        connection.execute(named(insert, "measurements"), (DAY + timedelta(hours=9), DAY + timedelta(hours=9, minutes=1), DAY + timedelta(hours=9, minutes=2)))  # fmt: skip  # noqa: E501
    try:
        values = read(["28"], start=at(9 * H), end=at(9 * H + 180)).values[1]
        assert np.isnan(values[:120]).all() and (values[120:] == 7).all()
    finally:
        with psycopg.connect(postgres) as connection:
            connection.execute(named("DELETE FROM {} WHERE item_id = 28 AND time > %s", "measurements"), (DAY + timedelta(hours=8),))  # fmt: skip  # noqa: E501


def test_ids_may_be_of_any_numeric_type(dump, postgres):
    deddiag_db.load(dump, postgres, schema="ids", replace=True)
    options = {"house": 8, "mains": "59", "devices": ["35", "kettle=27"], "schema": "ids"}
    span = {"start": str(DAY), "end": str(DAY + timedelta(hours=1))}
    plain = read_house(postgres, **options, **span)
    with psycopg.connect(postgres) as connection:
        for table, column in (("houses", "id"), ("items", "id"), ("items", "house"), ("measurements", "item_id")):
            drop = "ALTER TABLE ids.{} ALTER COLUMN {} TYPE numeric(10, 2)"
            connection.execute("ALTER TABLE ids.items DROP CONSTRAINT IF EXISTS items_house_fkey")
            connection.execute("DROP TABLE IF EXISTS ids.annotations, ids.annotation_labels")
            connection.execute("DROP FUNCTION IF EXISTS ids.get_measurements")
            connection.execute(drop.format(table, column))
    found = read_house(postgres, **options, **span)
    assert found.channels == plain.channels and found.sources[0].path == plain.sources[0].path
    np.testing.assert_array_equal(found.values, plain.values)


def test_a_range_and_the_times_lie_in_the_zone_that_is_asked_for(read):
    berlin = read(["35"], start="2017-03-26 03:00", end="2017-03-26 04:00", tz="Europe/Berlin")  # an hour after UTC + 1
    utc = read(["35"], start="2017-03-26 01:00", end="2017-03-26 02:00")
    np.testing.assert_array_equal(berlin.values, utc.values)
    assert berlin.clock.show(berlin.time[:1]) == ["2017-03-26 03:00:00+02:00"]
    with pytest.raises(UsageError, match="--tz"):
        read(tz="Europe/Berlim")


@pytest.mark.parametrize("reader", deddiag.READERS)
def test_how_long_a_value_holds_can_be_chosen(reader, read):
    values = read(["28"], reader=reader, start=at(0), end=at(400), gap=50).values[1]
    want = np.full(400, np.nan, np.float32)
    want[100:151], want[201:252] = 5, 6
    np.testing.assert_array_equal(values, want)


@pytest.mark.parametrize("reader", deddiag.READERS)
def test_a_pooler_serves_it_any_number_of_times(reader, read, postgres, rows):
    """The server's session outlives a connection: a statement prepared in one would be there in the next."""
    items = ["35", "27", "28", "40"]
    with pooled(postgres) as address:
        for _ in range(3):
            span = {"start": at(0.5), "end": at(300)}
            found = read_house(address, house=8, mains="59", devices=items, schema=SCHEMA, reader=reader, **span)
            assert found.n_channels == 5


# ---- names


def test_items_go_by_id_or_name_and_may_be_called_otherwise(read):
    found = read([ODD_NAME, "kettle=27", "28", "a=b", "x=y=40"], start=at(0), end=at(300))
    assert found.channels == ("Meter Total", ODD_NAME, "kettle", "Kettle", "a=b", "x=y")
    assert read(["27", "28"]).channels[1:] == ("Kettle", "Kettle (28)")
    assert read(["0027", "x=035"]).channels[1:] == ("Kettle", "x")  # as in item_0027_data.tsv


@pytest.mark.parametrize(
    ("devices", "parts"),
    [
        (["Fruhstück"], ["house 8 has no item 'Fruhstück'", "did you mean Frühstück?", "27 (Kettle)"]),
        (["90"], ["house 8 has no item '90'"]),  # which is another house's
        (["fridge=99"], ["house 8 has no item '99'"]),
        (["Kettle"], ["2 items are called 'Kettle': 27, 28", "give its id"]),
        (["27", "x=27"], ["item 27 is given twice"]),
        (["41"], ["item 41 (Empty) has no reading at all"]),
        (["x'; DROP TABLE items; --"], ["has no item"]),
    ],
)
def test_items_that_are_not_there_or_not_one(devices, parts, read):
    with pytest.raises((DataError, UsageError)) as caught:
        read(devices)
    for part in parts:
        assert part in str(caught.value)


def test_what_is_not_there_is_named_with_what_is(postgres, rows):
    def refused(*parts, **options):
        with pytest.raises((DataError, UsageError)) as caught:
            read_house(postgres, **({"house": 8, "mains": "59", "devices": ["35"], "schema": SCHEMA} | options))
        for part in parts:
            assert part in str(caught.value), str(caught.value)

    refused("there is no house 7", "there are 8, 9", house=7)
    refused('relation "none.houses" does not exist', "--db-schema", schema="none")
    refused("'fast' is not one of raw, function", reader="fast")
    refused("'soon' is not a date", "--start", start="soon")
    refused("the range from", start="2017-03-26", end="2017-03-26")


@pytest.mark.parametrize("reader", deddiag.READERS)
@pytest.mark.parametrize(("begin", "end"), [(-9 * H, -8 * H), (30 * H, 31 * H), (4 * H + 300, 8 * H)])
def test_a_range_without_a_reading_names_the_real_one(reader, begin, end, read):
    """Before the first, after the last, and within the five hours' outage."""
    with pytest.raises(DataError) as caught:
        read(["59"], mains="35", reader=reader, start=at(begin), end=at(end))
    text = str(caught.value)
    assert "item 35" in text and "no reading from" in text
    assert "2017-03-26 00:00:00+00:00 to 2017-03-26 08:00:12+00:00" in text


def test_a_schema_without_the_function(postgres, rows, read):
    with psycopg.connect(postgres) as connection:
        connection.execute(named("ALTER FUNCTION {} RENAME TO gone", "get_measurements"), ())
    try:
        with pytest.raises(DataError, match="does not exist") as caught:
            read(["35"], reader="function")
        assert "--db-reader raw" in caught.value.hint
        assert read(["35"]).n_channels == 2
    finally:
        with psycopg.connect(postgres) as connection:
            connection.execute(named("ALTER FUNCTION {} RENAME TO get_measurements", "gone"), ())


# ---- a million rows


@pytest.mark.slow
def test_the_dump_of_a_house(shared, postgres):
    folder = shared / "deddiag_layout"
    rows = deddiag_db.load(folder, postgres, schema="house 08")
    assert rows["measurements"] == 1_013_978 and rows["annotations"] == 87
    options = {"house": 8, "mains": "59", "devices": ["35", "27"], "schema": "house 08"}
    span = {"start": "2012-01-15 01:00", "end": "2012-01-17 23:00"}
    raw, function = (read_house(postgres, reader=reader, **options, **span) for reader in deddiag.READERS)
    differ = (raw.values != function.values) & ~(np.isnan(raw.values) & np.isnan(function.values))
    assert raw.values.shape == (3, 70 * H) and (raw.values[differ] >= 4000).all()
    import gzip

    with gzip.open(folder / "house_08" / "item_0035_data.tsv.gz", "rt") as file:
        lines = [line.split("\t") for line in itertools.islice(file, 1, None)]
    last = {round(datetime.fromisoformat(time + "+00:00").timestamp()): float(value) for _, time, value in lines}
    begin = int(raw.time[0] // 10**9)
    known = [(second - begin, value) for second, value in last.items() if begin <= second < begin + 70 * H]
    np.testing.assert_array_equal(raw.values[1, [step for step, _ in known]], [value for _, value in known])
