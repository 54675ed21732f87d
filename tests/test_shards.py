"""Shards: every N-th series read and predicted alone, the same bytes again, and joined to what one run writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import data
from errors import DataError, UsageError
from readers import files
from readers.columns import read_answer
from readers.long import read_long
from readers.sieve import Sieve
from settings.shards import Part, Shard, parse_shard
from sources.synthetic import write_wide
from tools import report, shards

from .conftest import ROOT
from .runs import go, good, strict

SHARDS = [f"{number}/3" for number in (1, 2, 3)]


def test_a_shard_is_named_from_one():
    assert [parse_shard("3/8"), parse_shard("")] == [Shard(3, 8), None]
    assert list(Part(Shard(3, 8), 20).numbers) == [2, 10, 18]
    for text in ("0/8", "9/8", "1", "1/0", "a/b", "-1/3", "1/8/2"):
        with pytest.raises(ValueError, match=r"1/|I/N"):
            parse_shard(text)


def panel(rows: int = 11, *, shuffled: bool = True) -> pd.DataFrame:
    """Hourly series of two channels; one is too short for a window. Their lines are mixed."""
    random = np.random.default_rng(4)
    parts = []
    for row in range(rows):
        steps = 14 if row == 4 else 40 + row
        x = np.sin(np.arange(steps) / 4 + row) + random.normal(0, 0.1, steps)
        times = pd.date_range("2024-01-01", periods=steps, freq="h")
        parts.append(pd.DataFrame({"id": f"site {row}", "t": times, "x": x, "y": random.normal(0, 1, steps)}))
    table = pd.concat(parts).round({"x": 4, "y": 4})
    return table.sort_values("t", kind="stable") if shuffled else table


def alike(found: data.Series, expected: data.Series) -> None:
    for name in ("values", "offsets", "time", "labels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.rows, found.channels, found.part) == (expected.rows, expected.channels, expected.part)
    assert found.hashes == expected.hashes


# --- reading ---------------------------------------------------------------------------------------------------------


def odd(text: str) -> str:
    """The table with what readers put up with: lines above it, comments, quotes, cells over two lines, Windows ends."""
    head, *lines = text.splitlines()
    lines = [f'{line},"said\nso"' if number % 5 == 0 else f'{line},"a, b"' for number, line in enumerate(lines)]
    lines.insert(30, "# a comment")
    return "\r\n".join(["made by a device", f"{head},words", *lines]) + "\r\n\r\n"


@pytest.mark.parametrize("block", [700, 1 << 20])
@pytest.mark.parametrize("written", [str, odd])
def test_a_shard_reads_its_own_lines(tmp_path, monkeypatch, block, written):
    monkeypatch.setattr(files, "BLOCK", block)
    table = panel()
    half = table["id"].isin([f"site {row}" for row in range(5)])
    for name, part in (("a.csv", table[half]), ("b.csv", table[~half])):
        (tmp_path / name).write_text(written(part.to_csv(index=False)), newline="")
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\n" + "".join(f"site {row},{row}\n" for row in reversed(range(11))))
    how = {"time_col": "t", "id_col": "id", "columns": ["y", "x"], "labels": labels}
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    whole = read_long(paths, **how)
    for text in SHARDS:
        shard = parse_shard(text)
        found = read_long(paths, shard=shard, **how)
        alike(found, data.own(whole, shard))
        assert found.labels[:, 0].tolist() == [row for row in range(11) if shard.has(row)]


def test_messages_name_the_line_of_the_file(tmp_path):
    table = panel(3)
    at = np.flatnonzero(table["id"] == "site 1")[20]
    table.iloc[at, 2] = np.inf
    (tmp_path / "a.csv").write_text(table.to_csv(index=False))
    with pytest.raises(DataError) as caught:
        read_long([tmp_path / "a.csv"], time_col="t", id_col="id", shard=Shard(2, 3))
    assert caught.value.where.startswith(f"{tmp_path / 'a.csv'}:{at + 2}")
    read_long([tmp_path / "a.csv"], time_col="t", id_col="id", shard=Shard(1, 3))  # not one of its own


@pytest.mark.parametrize("line", ["site 0,2024-02-01,1\nsite 0,2024-02-02,1,2", "site 0,2024-02-01,1,2,3", '"site 0'])
def test_a_broken_line_is_refused(tmp_path, line):
    (tmp_path / "a.csv").write_text(panel(3).to_csv(index=False) + line + "\n")
    refusals = []
    for shard in (None, Shard(1, 3), Shard(2, 3), Shard(3, 3)):
        try:
            read_long([tmp_path / "a.csv"], time_col="t", id_col="id", shard=shard)
        except DataError as error:
            refusals.append((shard, error.where))
    assert refusals and refusals[0][0] is None and len(refusals) > 1, refusals


@pytest.mark.parametrize(
    ("line", "refused"), [(",2024-02-01,1,2", "the id is missing"), ("site 0,2024-02-01,1", "3 fields")]
)
def test_a_line_without_an_id_or_its_end_is_refused_where_tables_are_read_in_parts(tmp_path, line, refused):
    """One process leaves it out and tells; a part does not know of how many lines it is one."""
    (tmp_path / "a.csv").write_text(panel(3).to_csv(index=False) + line + "\n")
    assert "left out" in "".join(read_long([tmp_path / "a.csv"], time_col="t", id_col="id").notes)
    with pytest.raises(DataError, match=refused):
        for number in (1, 2, 3):
            read_long([tmp_path / "a.csv"], time_col="t", id_col="id", shard=Shard(number, 3))


def test_an_id_in_two_files_is_refused(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(panel(4).to_csv(index=False))
    with pytest.raises(DataError, match=r"is also in .*a\.csv"):
        read_long([tmp_path / "a.csv", tmp_path / "b.csv"], time_col="t", id_col="id", shard=Shard(1, 2))


def test_files_that_are_series_are_shared_out(tmp_path):
    paths = []
    for name, part in panel(5).groupby("id"):
        paths.append(tmp_path / f"{name[-1]}.csv")
        part.drop(columns="id").to_csv(paths[-1], index=False)
    whole = read_long(paths, time_col="t")
    for shard in map(parse_shard, SHARDS):
        alike(read_long(paths, time_col="t", columns=["x", "y"], shard=shard), data.own(whole, shard))


def test_parquet_in_blocks_is_what_its_csv_is(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    from readers import parquet

    monkeypatch.setattr(parquet, "CELLS", 200)
    table = panel()
    table.to_parquet(tmp_path / "a.parquet", index=False)
    table.to_csv(tmp_path / "a.csv", index=False)
    for shard in (None, Shard(2, 3)):
        read = [read_long([tmp_path / name], time_col="t", id_col="id", shard=shard) for name in ("a.csv", "a.parquet")]
        np.testing.assert_array_equal(read[0].values, read[1].values)
        assert read[0].rows == read[1].rows and read[0].part == read[1].part


def test_the_answer_to_a_query_is_sifted_as_it_comes():
    text = panel().set_index("t").to_csv().encode()
    pieces = [text[at : at + 1000] for at in range(0, len(text), 1000)]
    whole = read_answer([text], Path("q.sql"), "id", None)
    sieve = Sieve(Shard(3, 3))
    found = read_answer(iter(pieces), Path("q.sql"), "id", None, sieve=sieve)
    mine = np.isin(whole.ids, ["site 2", "site 5", "site 8"])
    np.testing.assert_array_equal(found.values, whole.values[:, mine])
    assert found.source.sha256 == whole.source.sha256 and sieve.part == Part(Shard(3, 3), 11)
    assert found.locate(1) == f"q.sql, row {np.flatnonzero(mine)[1] + 1}"
    with pytest.raises(DataError, match="no row"):
        read_answer([b"t,id,x\n"], Path("q.sql"), "id", None, sieve=Sieve(Shard(1, 2)))


# --- the command -----------------------------------------------------------------------------------------------------

LONG = "--csv all.csv --time-col t --id-col id"
QUIET = "--reference off --no-plots"
KINDS = {
    "forecast": ("forecast --context-len 12 --horizon 4 --backbone gru --epochs 1", LONG, "--save-preds"),
    "regress": ("regress --context-len 9 --backbone ridge", LONG, ""),
    "classify": ("classify --context-len 5 --backbone logistic", "--csv a.csv b.csv", ""),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    panel().to_csv(folder / "all.csv", index=False)
    random = np.random.default_rng(2)
    write_wide((random.random((2, 11, 20)) < 0.5).astype(float), [folder / "a.csv", folder / "b.csv"])
    return folder


@pytest.fixture(scope="module", params=KINDS)
def made(request, place) -> tuple[Path, Path, list[Path], str]:
    """(folder, the run over all series, its shards, the command without --shard)."""
    learn, source, more = KINDS[request.param]
    model = good(place, f"--mode train --task {learn} {source} {QUIET}")
    command = f"--mode infer --ckpt {model} {source} {QUIET} {more}"
    whole = good(place, f"{command} --tag {request.param}_whole")
    return place, whole, [good(place, f"{command} --tag {request.param} --shard {text}") for text in SHARDS], command


def test_joined_shards_are_the_run_over_all_series(made):
    folder, whole, parts, command = made
    out = folder / f"joined_{whole.name}"
    assert report.main([*map(str, parts), "--join", "--out", str(out)]) == 0
    names = {path.name for path in whole.iterdir() if path.suffix in (".csv", ".npz")}
    assert names and names <= {"preds.csv", "forecast.csv", "preds.npz"}
    for name in names:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert strict(out / "manifest.json")["data"]["rows"] == 11
    again = good(folder, f"{command} --tag again_{whole.name} --shard 2/3")
    for name in names:
        assert (again / name).read_bytes() == (parts[1] / name).read_bytes(), name


def test_joined_houses_are_the_run_over_all_of_them(tmp_path):
    """A house is a row: the timeline is joined; what is not of one house each stays in the shards, and that is said."""
    random = np.random.default_rng(6)
    for house in range(3):
        steps = 220 + 10 * house
        on = 50.0 * (random.random(steps) < 0.5)
        times = pd.date_range("2024-01-01", periods=steps, freq="8s")
        pd.DataFrame({"time": times, "mains": on + 20, "tv": on}).to_csv(tmp_path / f"h{house}.csv", index=False)
    source = "--csv h0.csv h1.csv h2.csv --time-col time --device-cols tv"
    learn = f"--mode train --task nilm {source} --window 9 --stride 3 --backbone linear --epochs 1 --seeds 1"
    model = good(tmp_path, f"{learn} --val-ratio .34 --test-ratio 0 {QUIET}")
    command = f"--mode infer --ckpt {model} {source} {QUIET}"
    whole = good(tmp_path, f"{command} --tag whole")
    parts = [good(tmp_path, f"{command} --tag part --shard {text}") for text in SHARDS]
    told = shards.join(parts, tmp_path / "joined")
    assert "3 shards of 3 series joined: timeline.csv (" in told
    assert (tmp_path / "joined" / "timeline.csv").read_bytes() == (whole / "timeline.csv").read_bytes()
    assert "not of one series each, so left in the shards: energy.csv, per_device_metrics.csv" in told


def test_shards_that_do_not_belong_together_are_refused(made):
    _, _, parts, _ = made
    found = shards.gathered(parts)
    with pytest.raises(DataError, match="1 of 3 shards are missing: 2/3"):
        shards.check([found[0], found[2]])
    with pytest.raises(DataError, match="there twice"):
        shards.check([*found, found[0]])
    other = shards.ShardRun(parts[1], found[1].manifest | {"data": {"files": []}})
    with pytest.raises(DataError, match=r"other files than .*: --ckpt, data"):
        shards.check([found[0], other, found[2]])
    of = shards.ShardRun(parts[1], found[1].manifest | {"shard": found[1].manifest["shard"] | {"of": 4}})
    with pytest.raises(DataError, match="2/4 of 11 series, where"):
        shards.check([found[0], of, found[2]])


def test_other_settings_and_lost_lines_are_refused(made, tmp_path):
    _, whole, parts, _ = made
    copies = [Path(shutil.copytree(part, tmp_path / part.name)) for part in parts]
    config = yaml.safe_load((copies[2] / "config.yaml").read_text())
    (copies[2] / "config.yaml").write_text(yaml.safe_dump(config | {"batch_size": 7}))
    with pytest.raises(DataError, match=r"other settings than .*: --batch-size"):
        shards.join([tmp_path], None)
    (copies[2] / "config.yaml").write_text(yaml.safe_dump(config))
    file = next(path for path in copies[0].iterdir() if path.suffix == ".csv")
    lines = file.read_bytes().splitlines(keepends=True)
    for changed in (lines[:-1], [*lines, lines[-1]]):
        file.write_bytes(b"".join(changed))
        with pytest.raises(DataError, match="another number of lines"):
            shards.join([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / whole.name).exists()


def test_what_is_no_shard_is_said(place, tmp_path, capsys):
    with pytest.raises(UsageError, match=r"no run of --shard"):
        shards.gathered([tmp_path])
    for name in ("one_shard1of2", "two_shard1of2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text('{"shard": {"number": 1, "of": 2, "series": 5}}')
    with pytest.raises(UsageError, match="shards of 2 runs: one, two"):
        shards.gathered([tmp_path])
    done = go(place, f"--mode train --task forecast {LONG} --shard 1/2")
    assert done.code == 2 and "--shard belongs to --mode infer" in done.err
    done = go(place, f"--mode infer --task forecast --ckpt x {LONG} --shard 3/2")
    assert done.code == 2 and "3/2 is none: the first of 2 is 1/2, the last 2/2" in done.err


def test_more_shards_than_series(made):
    folder, _, _, command = made
    done = go(folder, f"{command} --shard 12/12")
    assert done.code == 3 and "the data have 11 series, too few for 12 shards" in done.err
    assert "--shard 11/11" in done.err


# --- the examples ----------------------------------------------------------------------------------------------------

STUB = """#!/bin/sh
printf '%s\\n' "$@" >>"$ARGS"
printf -- '--\\n' >>"$ARGS"
"""
PARALLEL = """#!/bin/sh
while [ "$1" != ::: ]; do command="$command '$1'"; shift; done
shift
for each; do eval "$(echo "$command" | sed "s/{}/$each/")"; done
"""


@pytest.fixture
def typed(tmp_path):
    """Runs a shell's words in a folder where `python` notes its arguments; returns those of each call."""
    for name, text in (("python", STUB), ("parallel", PARALLEL)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    args = tmp_path / "args"

    def run(*words: str, **env: str) -> list[list[str]]:
        args.write_text("")
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        subprocess.run(words, check=True, cwd=tmp_path, env=os.environ | env | {"PATH": path, "ARGS": str(args)})
        return [call.splitlines() for call in args.read_text().split("--\n")[:-1] if call]

    return run


@pytest.mark.parametrize("kind", ["parallel", "slurm", "kubernetes"])
def test_the_examples_run_every_shard(kind, typed, place, tmp_path):
    example = ROOT / "examples" / f"shards_{kind}"
    if kind == "parallel":
        calls = typed("sh", str(example.with_suffix(".sh")), "artifacts/RUN", "sales.csv")
        assert calls.pop()[:2] == ["tools/report.py", "--join"]
    elif kind == "slurm":
        index = [{"SLURM_ARRAY_TASK_ID": str(k), "SLURM_ARRAY_TASK_COUNT": "8"} for k in range(1, 9)]
        words = ("bash", str(example.with_suffix(".sh")), "artifacts/RUN", "sales.csv")
        calls = [call for env in index for call in typed(*words, SLURM_CPUS_PER_TASK="1", **env)]
    else:
        job = yaml.safe_load(example.with_suffix(".yaml").read_text())["spec"]
        container = job["template"]["spec"]["containers"][0]
        words = (*container["command"], *container["args"])
        calls = [call for k in range(job["completions"]) for call in typed(*words, JOB_COMPLETION_INDEX=str(k))]
    assert [call[call.index("--shard") + 1] for call in calls] == [f"{k}/8" for k in range(1, 9)]
    model = good(place, f"--mode train --task forecast {LONG} --context-len 12 --horizon 4 --backbone ridge {QUIET}")
    panel().rename(columns={"t": "date"}).to_csv(tmp_path / "sales.csv", index=False)
    mine = {"--ckpt": str(model), "--csv": str(tmp_path / "sales.csv"), "--out": str(tmp_path / "parts")}
    call = calls[2][1:]
    done = go(tmp_path, *(mine.get(before, word) for before, word in zip(["", *call], call, strict=False)))
    assert done.code == 0, done.err
    assert (tmp_path / "parts" / "forecast_shard3of8" / "forecast.csv").is_file()
