"""readers/jsontext.py: the shapes in which JSON holds a table, each against the frame that it was made from."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from errors import DataError
from readers.long import read_long

from .runs import go

N = 40
FRAME = pd.DataFrame(
    {
        "date": pd.date_range("2024-01-01", periods=N, freq="D").strftime("%Y-%m-%d"),
        "load": np.arange(N) / 7,
        "temp": [None if k == 5 else float(k) for k in range(N)],
    }
)
RECORDS = FRAME.astype(object).where(FRAME.notna(), None).to_dict("records")


def shapes():
    nested = [{"date": each["date"], "main": {"load": each["load"], "temp": each["temp"]}} for each in RECORDS]
    columns = {name: [each[name] for each in RECORDS] for name in FRAME}
    return {
        "records": json.dumps(RECORDS),
        "lines": "\n".join(map(json.dumps, RECORDS)) + "\n",
        "columns": json.dumps(columns),
        "within": json.dumps({"latitude": 52.5, "units": {"load": "MW"}, "hourly": columns}),
        "page": json.dumps({"status": "ok", "count": N, "result": {"data": RECORDS}}),
        "pandas": FRAME.to_json(),
        "split": FRAME.to_json(orient="split"),
        "nested": json.dumps(nested),
    }


@pytest.mark.parametrize("shape", shapes())
def test_a_table_in_json_is_read_as_one(tmp_path, shape):
    path = tmp_path / "t.jsonl"
    path.write_text(shapes()[shape])
    series = read_long([path], time_col="date", nan="drop", columns=None)
    named = {name.removeprefix("main."): values for name, values in zip(series.channels, series.values, strict=True)}
    np.testing.assert_allclose(named["load"], FRAME["load"], rtol=1e-6)
    np.testing.assert_array_equal(named["temp"], FRAME["temp"])
    assert series.clock.freq == "D"


@pytest.mark.parametrize(("text", "said"), [('{"a": 1}', "holds no table"), ('{"a": [1, 2', "cannot be read as JSON")])
def test_what_holds_no_table_is_one_error(tmp_path, text, said):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(DataError, match=said):
        read_long([tmp_path / "t.json"], time_col="date")


def test_a_run_reads_json_in_the_obvious_command(tmp_path):
    (tmp_path / "t.json").write_text(shapes()["within"])
    run = "--mode train --task forecast --csv t.json --horizon 2 --context-len 5 --backbone ridge --dry-run"
    done = go(tmp_path, run)
    assert done.code == 0 and "2 channels (load, temp)" in done.err, done.err


def test_tables_of_several_series_in_a_list_are_read_one_below_the_other(tmp_path):
    """As water services answer: a list of stations, each with its facts and, deep in these, its readings."""
    held = [
        {
            "site": {"name": name, "facts": [{"value": "ST", "kind": "type"}] * 9},
            "values": [{"method": [{"id": 1}], "value": [{"value": str(k + more), "time": day} for k, day in days]}],
        }
        for name, more in (("Elbe", 0), ("Oder", 100))
        for days in [list(enumerate(FRAME["date"]))]
    ]
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"answer": {"query": {"note": [{"text": "x"}]}, "series": held}}))
    series = read_long([path], time_col="time", id_col="series")
    assert series.rows == ("Elbe", "Oder") and series.channels == ("value",)
    assert series.values[0].tolist() == [*range(N), *range(100, 100 + N)]


def test_facts_in_objects_of_other_names_are_no_table(tmp_path):
    """Settings before the values, an object for each group of them: none has the names of another."""
    facts = {"place": {"lat": 45.0, "lon": 8.0}, "model": {"name": "x", "from": 2005, "to": 2020, "flat": True}}
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"inputs": facts, "outputs": {"hourly": RECORDS[:3]}}))
    assert read_long([path], time_col="date", nan="drop").channels == ("load", "temp")


def test_a_time_and_a_value_in_lists_of_several_series(tmp_path):
    """As Prometheus answers: the lines had one cell more than the first."""
    result = [
        {
            "metric": {"__name__": "up", "instance": at},
            "values": [[1704067200 + 60 * k, str(k + add)] for k in range(30)],
        }
        for at, add in (("a:9090", 0.5), ("b:9100", 50.5))
    ]
    (tmp_path / "p.json").write_text(json.dumps({"status": "success", "data": {"result": result}}))
    series = read_long([tmp_path / "p.json"], time_col="time", id_col="series")
    assert series.rows == ("a:9090", "b:9100") and series.channels == ("value",) and series.clock.freq == "min"
    assert series.clock.show(series.time[:1]) == ["2024-01-01 00:00:00+00:00"]
    assert series.values[0, [0, 29, 30, 59]].tolist() == [0.5, 29.5, 50.5, 79.5]
