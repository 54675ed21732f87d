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
