"""Doors for what other programs hand over: agents, homes of a federation, addresses, and files of other formats."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

import cli
import data
import errors
import run
from errors import UsageError
from experiments import config_file
from federation import updates
from nas_agent import __main__ as agent
from nas_agent import commands, runner
from settings.addresses import host_and_port, is_loopback
from studies import spaces
from tools import report

from ..test_agent_commands import lay_table
from . import rubbish
from .targets import target

# --- agents ----------------------------------------------------------------------------------------------------------

KEYS = ["model", "training", "data", "seed", "backbone", "members", "d_model", "n_heads", "batch_size", "max_epochs"]
KEYS += ["patience", "optimizer_class", "optimizer_params", "scheduler_class", "scheduler_params", "criterion_class"]
KEYS += ["lr", "weight_decay", "dropout", "csv", "target", "features", "T_max"]
WORDS = ["informer", "ensemble", "gru", "../outside", "/etc", "~", "~nouser/x", "runs/../..", "optim.Adam", "optim.SGD"]
WORDS += [
    "nn.MSELoss",
    "optim.lr_scheduler.CosineAnnealingLR",
    "torch.load",
    "nn.Module",
    "\ud800",
    "\0",
    "=1",
    "a" * 9999,
]
leaves = st.one_of(st.none(), rubbish.numbers, st.sampled_from(WORDS), st.text(max_size=8))
keys = st.one_of(st.sampled_from(KEYS), st.text(max_size=5))


def _tables(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3))


anything = st.recursive(leaves, _tables, max_leaves=8)
section = st.dictionaries(keys, st.one_of(leaves, st.dictionaries(keys, leaves, max_size=3)), max_size=3)
proposals = st.dictionaries(st.sampled_from(["model", "training", "data"]), section, max_size=3)
GOOD = '{"model": {"d_model": 16}, "training": {"optimizer_params": {"lr": 0.01}}, "data": {"batch_size": 8}}'
texts = st.one_of(
    proposals.map(json.dumps),
    anything.map(json.dumps),
    rubbish.spoiled_text(GOOD),
    rubbish.from_words([*rubbish.JSON, *"{}[]"]),
)


def _study(folder: Path) -> Path:
    """A study of the folder, begun once."""
    if not (folder / "runs").exists():
        lay_table(folder)
        commands.init(folder / "runs", folder / "base.py", max_runs=10**6)
    return folder / "runs"


def _as_checked(text: str) -> str:
    """The dry run without its process: what is asked for is checked, and comes back as it was."""
    made = config_file.parse_text(text, "proposal.py")
    assert config_file.parse_text(config_file.to_text(made.plain()), "again.py").plain() == made.plain()
    return ""


@contextlib.contextmanager
def _instead(owner: Any, name: str, new: Any) -> Any:
    before = getattr(owner, name)
    setattr(owner, name, new)
    try:
        yield
    finally:
        setattr(owner, name, before)


@target(texts)
def agents(text: str, folder: Path) -> bool:
    """A proposal on stdin: one JSON object out, and no path beyond the study in what is taken."""
    _study(folder)
    out = io.StringIO()
    unlike = _instead(sys, "stdin", io.StringIO(text)), _instead(runner, "dry_run", _as_checked)
    with unlike[0], unlike[1], contextlib.redirect_stdout(out):
        code = agent.main(["claim", "--proposal", "-", "--json"])
    assert code in (0, 2, 3, 6), code
    answer = json.loads(out.getvalue())
    if code == 0:
        assert not {"../outside", "/etc"} & set(json.loads(text).get("model", {}).values())
    assert code == 0 or answer["error"]["exit_code"] == code
    return code == 0


calls = st.one_of(
    st.tuples(st.just("claim"), anything),
    st.tuples(st.just("report"), st.fixed_dictionaries({"run_id": anything, "metrics": anything, "attempt": leaves})),
    st.tuples(st.just("curve"), anything),
    st.tuples(st.just("run"), st.one_of(leaves.filter(lambda value: value is not None), anything.filter(bool))),
)


@target(calls)
def agents_calls(given: tuple[str, Any], folder: Path) -> None:
    """The arguments of an MCP client, which are any JSON."""
    study, (name, argument) = _study(folder), given
    with _instead(runner, "dry_run", _as_checked):
        if name == "report":
            commands.report(study, argument.pop("run_id"), **argument)
        elif name == "run":
            commands.run(study, run_id=argument)
        else:
            getattr(commands, name)(study, argument)


# --- federation ------------------------------------------------------------------------------------------------------

CURRENT = {"backbone.w": np.arange(6, dtype=np.float32).reshape(2, 3), "backbone.n": np.array(3)}


def _array(value: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, value, allow_pickle=False)
    return file.getvalue()


def _npy(header: str, body: bytes, version: int) -> bytes:
    text = header.encode("latin-1", "replace")
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(4 if version == 2 else 2, "little") + text + body


arrays = st.one_of(
    rubbish.spoiled(_array(CURRENT["backbone.w"])),
    st.builds(
        _npy, st.one_of(rubbish.headers, st.text(max_size=60)), st.binary(max_size=48), st.sampled_from([1, 2, 3])
    ),
    st.lists(st.floats(width=32), min_size=6, max_size=6).map(
        lambda row: _array(np.array(row, np.float32).reshape(2, 3))
    ),
    rubbish.archives,
)
names = st.one_of(
    st.just(json.dumps(list(CURRENT))), anything.map(json.dumps), rubbish.from_words(rubbish.JSON), st.none()
)


@target(st.tuples(st.lists(arrays, max_size=3), names, rubbish.numbers))
def federation_updates(given: tuple[list[bytes], Any, Any], folder: Path) -> bool:
    tensors, told, examples = given
    try:
        weights = updates.only_finite(updates.weights_of([*tensors, _array(CURRENT["backbone.n"])], told, CURRENT))
        count = updates.examples_of(examples, 14)
    except ValueError:
        return False
    assert 1 <= count <= 14 and weights.keys() == CURRENT.keys()
    assert all(value.shape == CURRENT[name].shape for name, value in weights.items())
    assert np.isfinite(updates.norm(weights, CURRENT)) and updates.finite(weights)
    return True


schema = st.fixed_dictionaries(dict.fromkeys(sorted(updates.LISTED), anything))
joining = st.fixed_dictionaries({"home": st.one_of(st.just("attic"), leaves), "schema": schema, "windows": leaves})
sums = st.fixed_dictionaries(
    {name: st.one_of(st.lists(rubbish.numbers, max_size=3), anything) for name in ("count", "sum")}
)
answers = st.one_of(
    joining.map(json.dumps), sums.map(json.dumps), anything.map(json.dumps), rubbish.from_words(rubbish.JSON)
)


@target(answers)
def federation_answers(text: str, folder: Path) -> bool:
    accepted = False
    for read in (updates.home_of, lambda answer: updates.sums_of(answer, ("count", "sum"), 2)):
        with contextlib.suppress(ValueError):
            found = read(updates.answer_of({"answer": text}))
            accepted = True
            if isinstance(found, dict):
                table = np.array([found["count"]]), np.array([found["sum"]])
                middle = updates.centre(*table)
                updates.strangers(*table, np.abs(table[1]), middle)
    return accepted


# --- addresses -------------------------------------------------------------------------------------------------------

SECRET = "Sekr3t"
SCHEMES = ["postgresql", "postgres", "mysql", "http", "https", "s3", "mqtt", "mqtts", "tcp", "ftp", "redis", "amqp"]
after = st.text("abcXYZ019!$%^&*()_+-=.,;~[]{}|", max_size=8)
hosts = st.sampled_from(["", "host", "127.0.0.1:1", "[::1]:9", "a,b", "*:5", "x y", "host:99999"])
rests = st.one_of(st.sampled_from(["", "/", "/name", "/a?x=1", "?sslmode=require", "#x", "/a,b"]), st.text(max_size=6))
addresses = st.builds(
    lambda scheme, user, more, host, rest: f"{scheme}://{user}:{SECRET}{more}@{host}{rest}",
    st.sampled_from(SCHEMES),
    st.text("abc%.-_", max_size=5),
    after,
    hosts,
    rests,
)
keyed = st.builds(
    lambda scheme, name, host: f"{scheme}://{host}/x?{name}={SECRET}",
    st.sampled_from(SCHEMES),
    st.sampled_from(["password", "token", "api_key", "X-Amz-Signature", "sslpassword", "secret"]),
    hosts,
)
FLAGS = ["--csv", "--npz", "--ckpt", "--db-query", "--labels", "--groups", "--config", "--pretrained-dir", "--tag"]


@target(st.tuples(st.sampled_from(FLAGS), st.one_of(addresses, keyed)))
def passwords(given: tuple[str, str], folder: Path) -> bool:
    """An address with a password in any flag: refused without the password in what is said."""
    flag, address = given
    words = ["--mode", "train", "--task", "regress", "--context-len", "4", "--backbone", "linear", "--epochs", "1"]
    if flag != "--csv":
        (folder / "t.csv").write_text("1,2,3,4,5,6\n" * 9)
        words += ["--csv", "t.csv"]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = run.main([*words, "--dry-run", f"{flag}={address}"])
    assert code in (0, 2, 3, 4), code
    assert SECRET not in said.getvalue(), said.getvalue()
    return code == 0


places = st.one_of(
    rubbish.from_words([*":[]0123456789*.-_ ", "127.0.0.1", "::1", "localhost", "0.0.0.0", "9092", "９"]),
    st.builds("{}:{}".format, hosts, st.integers(-1, 70_000)),
)


@target(places)
def server_addresses(text: str, folder: Path) -> None:
    host, port = host_and_port(text, "--serve")
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert host_and_port(shown, "--serve") == (host, port) and 0 < port < 1 << 16
    is_loopback(host)


@target(
    st.one_of(addresses, keyed, rubbish.from_words([*"@:/?#%= '\"", "postgresql://", "password=", "host=", SECRET]))
)
def hidden_addresses(text: str, folder: Path) -> bool:
    """`without_password` ends, is the same when it is asked again, and of an address hides the password."""
    shown = errors.without_password(text)
    assert errors.without_password(shown) == shown
    str(UsageError(text, where=text, hint=text))
    return errors.is_address(text)


# --- files of other formats ------------------------------------------------------------------------------------------


@functools.cache
def tables() -> dict[str, bytes]:
    """A good table in each format."""
    import pandas

    frame = pandas.DataFrame({"time": pandas.date_range("2024-01-01", periods=6, freq="h"), "load": np.arange(6.0)})
    made: dict[str, bytes] = {"csv.gz": gzip.compress(frame.to_csv(index=False).encode())}
    for ending, write in (("parquet", frame.to_parquet), ("xlsx", frame.to_excel)):
        file = io.BytesIO()
        write(file, index=False)
        made[ending] = file.getvalue()
    return made


_SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{}<sheetData>{}</sheetData></worksheet>'
FAR = (
    '<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>2</v></c></row><row r="1048576"><c r="A1048576"><v>3</v></c></row>'
)


def workbook(rows: str, before: str = "") -> bytes:
    """A workbook whose first sheet has these rows, as XML."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(tables()["xlsx"])) as good,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for name in good.namelist():
            content = good.read(name)
            other.writestr(name, _SHEET.format(before, rows) if name == "xl/worksheets/sheet1.xml" else content)
    return made.getvalue()


def _table(ending: str) -> Callable[[bytes, Path], bool]:
    def read(content: bytes, folder: Path) -> bool:
        (folder / f"t.{ending}").write_bytes(content)
        config = cli.parse(f"--mode train --task regress --csv=t.{ending} --context-len=2 --time-col=time".split())
        first, again = data.read(config), data.read(config)
        np.testing.assert_array_equal(first.values, again.values)
        return bool(np.isfinite(first.values).all())

    read.__name__ = ending.partition(".")[2] or ending
    return read


for _ending in ("csv.gz", "parquet", "xlsx"):
    target(st.deferred(lambda ending=_ending: rubbish.spoiled(tables()[ending])))(_table(_ending))

SPACE = "lr: {low: 1e-4, high: 0.1, log: true}\nbatch_size: [8, 16]\nmodel_args.hidden: {low: 4, high: 64}\n"
spaced = st.one_of(
    rubbish.spoiled_text(SPACE),
    rubbish.from_words([*rubbish.YAML, "low: ", "high: ", "log: true", "lr: ", "model_args.hidden: "]),
    st.dictionaries(st.one_of(st.sampled_from(["lr", "batch_size", "seed", "csv"]), st.text(max_size=4)), anything).map(
        json.dumps
    ),
)


@target(spaced)
def search_spaces(text: str, folder: Path) -> None:
    (folder / "s.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    config = cli.parse("--mode train --task regress --csv=t.csv --context-len=2 --backbone gru".split())
    for dimension in spaces.space_of(config, False, str(folder / "s.yaml")).values():
        assert dimension is not None


@target(st.one_of(rubbish.tables, rubbish.from_words(rubbish.CELLS).map(lambda text: text.encode())))
def sidecars(content: bytes, folder: Path) -> bool:
    (folder / "a.csv").write_text("1,2,3\n4,5,6\n7,8,9\n")
    (folder / "l.csv").write_bytes(content)
    found = 0
    for flag in ("--labels", "--groups"):
        with contextlib.suppress(errors.TsrunError):
            words = ["--mode", "train", "--task", "classify", "--csv=a.csv", "--context-len=2", f"{flag}=l.csv"]
            series = data.read(cli.parse(words))
            assert series.labels is None or np.isfinite(series.labels).all()
            found += 1
    return bool(found)


METRICS = '{"task": "classify", "val": {"f1": 0.5}, "test": {"f1": 0.25, "accuracy": 0.75}}'
reported = st.one_of(
    rubbish.spoiled_text(METRICS), anything.map(json.dumps), rubbish.from_words([*rubbish.JSON, '"test": ', "{"])
)


@target(st.tuples(reported, reported))
def reports(given: tuple[str, str], folder: Path) -> None:
    """The folder of somebody's run, in a report."""
    place = folder / "runs" / "one"
    place.mkdir(parents=True, exist_ok=True)
    for name, text in zip(("metrics.json", "manifest.json"), given, strict=True):
        (place / name).write_text(text, encoding="utf-8", errors="surrogatepass")
    assert report.main([str(folder / "runs")]) in (0, 2, 3)
