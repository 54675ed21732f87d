"""Strategies that make rubbish of every kind: files, settings, messages."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
from hypothesis import strategies as st

import cli

MOST = 100_000  # characters of what is repeated
# --- by any means ----------------------------------------------------------------------------------------------------


def spoiled(whole: bytes) -> st.SearchStrategy[bytes]:
    """A good file with bytes flipped, put in, taken out, or cut off."""
    at = st.integers(0, max(len(whole) - 1, 0))
    edit = st.tuples(at, st.integers(0, 9), st.binary(max_size=6))

    def edited(edits: list[tuple[int, int, bytes]], end: int | None) -> bytes:
        made = bytearray(whole)
        for place, gone, new in edits:
            made[place : place + gone] = new
        return bytes(made[:end])

    return st.builds(edited, st.lists(edit, min_size=1, max_size=4), st.one_of(st.none(), at))


def spoiled_text(whole: str) -> st.SearchStrategy[str]:
    """`spoiled` for a text."""
    return spoiled(whole.encode()).map(lambda made: made.decode("utf-8", "replace"))


def from_words(words: list[str], most: int = 40) -> st.SearchStrategy[str]:
    """Texts made of the words of a language, with anything between, some of them repeated a thousand times."""
    word = st.one_of(st.sampled_from(words), st.sampled_from(words), st.text(max_size=5))
    many = st.builds(
        lambda text, count: text * min(count, MOST // len(text)),
        st.sampled_from(words),
        st.sampled_from([60, 1200, 5000]),
    )
    few = st.lists(word, max_size=most).map("".join)
    return st.one_of(few, few, few, st.tuples(few, many, few).map("".join))


LARGE = [0, -1, 2**31, 2**63, 10**400, -(10**30)]
numbers = st.one_of(st.integers(), st.sampled_from(LARGE), st.floats(), st.booleans())
plain = st.recursive(
    st.one_of(st.none(), numbers, st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=8,
)

# --- tables ----------------------------------------------------------------------------------------------------------

CELLS = [*',;"x #\0', "\n", "\r\n", "1", "-2.5", "1e400", "nan", "2024-01-01", "12:00", "\ufeff"]
LONG = b"time,site,load\n2024-01-01 00:00,a,1\n2024-01-01 01:00,a,2\n2024-01-01 02:00,a,3\n2024-01-01 03:00,a,4\n"
WIDE = b"id,t0,t1,t2\na,1,2,3\nb,4,5,6.5\nc,7,8,9\n"
texts = from_words(CELLS).map(lambda text: text.encode())
tables = st.one_of(st.binary(max_size=80), spoiled(LONG), spoiled(WIDE), texts)
braces = from_words([*"{},a1~/*?[]\0", "..", "{1..3}", "{a,b}", "~nouser", "9" * 20])

# --- settings --------------------------------------------------------------------------------------------------------

YAML = [": ", "\n", "- ", "&a ", "!!float ", "!!timestamp ", "!!binary ", "? ", "9" * 5000, "<<: ", "---\n", "\t", "\0"]
YAML += ["\x07", "\\ud800", "%YAML 1.1\n", "task: regress\n", "lr: ", "model_args: ", "csv: ", "seed", "2020-13-45"]
YAML += ["1e400", "0o9", "0x", *"a[]{}*|>'\"~#_=!@`"]
NOT_TRIED = {"out", "ckpt", "tensorboard", "compile", "mode", "task", "epochs"}  # places; and what takes long
TABLE = cli.all_flags()
FLAGS = sorted({flag.name for owners in TABLE.values() for flag in owners.values()} - NOT_TRIED)
VALUES = ["0", "1", "-1", "0.5", "1e400", "nan", "yes", "null", "x", "2020-13-45", "!!float x", "9" * 5000, "1e-300"]
VALUES += ["1" + "0" * 30, "[1, 2, 3]", "[a, [b]]", "{a: 1}", "{a: {b: [c]}}", "~", "~nouser", "'\0'", '"\\ud800"', "*"]
VALUES += ["D", "2d", "ms", "all", "t.csv", "/", "..", "a" * 300, "{1..99999999}", "Europe/Berlin", "adam", "SGD", "1h"]
VALUES += ["load", "linear", "gru", "ridge", "=cmd", "", "StepLR"]
NUMBERS = ["0", "1", "2", "3", "7", "-1", "0.5", "1e-300", "1e300", "1e19", "4294967296", "1" + "0" * 30, "999999"]
NUMBERS += ["18446744073709551616", "0,0,0", "8 4 4"]
RUN = "task: regress\ncsv: [t.csv]\ntime_col: time\nid_col: site\ncontext_len: 2\n"
written = st.tuples(st.sampled_from(FLAGS), st.sampled_from(VALUES))
lines = st.lists(written, min_size=1, max_size=3, unique_by=lambda pair: pair[0])
settings = st.one_of(
    from_words(YAML), spoiled_text(RUN), lines.map(lambda pairs: "".join(f"{name}: {value}\n" for name, value in pairs))
)
BASE = {
    "regress": "--id-col site",
    "classify": "--id-col site",
    "forecast": "--id-col site --horizon 2",
    "nilm": "--mains-col load",
}


def _value(task: str) -> st.SearchStrategy[tuple[str, str]]:
    own = [flag for owners in TABLE.values() for name, flag in owners.items() if name in ("", task)]
    return st.sampled_from([flag for flag in own if flag.name in FLAGS and flag.kind is not bool]).flatmap(
        lambda flag: st.tuples(
            st.just(flag.option),
            st.sampled_from([*(NUMBERS if flag.kind in (int, float) else VALUES), *flag.choices]),
        )
    )


runs = st.sampled_from(sorted(BASE)).flatmap(
    lambda task: st.tuples(st.just(task), st.lists(_value(task), min_size=1, max_size=2))
)

EXPERIMENT = """import torch.nn as nn
import torch.optim as optim

seed = 1
data = {"csv": "t.csv", "target": "load", "features": "S", "seq_len": 8, "label_len": 4, "pred_len": 2}
model = {"backbone": "linear"}
training = {"optimizer_class": optim.Adam, "optimizer_params": {"lr": 1e-4}, "criterion_class": nn.MSELoss,
            "max_epochs": 2, "patience": 5}
"""
PYTHON = ["seed", " = ", "1", "\n", '"', "'", "optim", ".", "Adam", "-", "import ", "as ", "9" * 5000, "1e400"]
PYTHON += ["not ", "f'{x}'", ":=", "None", "__import__('os')", "data", "model", "r'\\d'", "lambda:0", *"{}[]()\\\0#*,"]
experiments = st.one_of(from_words(PYTHON), spoiled_text(EXPERIMENT))
EXPERIMENT_YAML = """seed: 1
data: {csv: t.csv, target: load, features: S, seq_len: 8, label_len: 4, pred_len: 2}
model: {backbone: linear}
training: {optimizer_class: optim.Adam, criterion_class: nn.MSELoss, max_epochs: 2, patience: 5}
"""
experiments_yaml = st.one_of(
    from_words([*YAML, "data: ", "training: ", "model: "]), spoiled_text(EXPERIMENT_YAML), plain.map(json.dumps)
)

# --- arrays ----------------------------------------------------------------------------------------------------------


def archive(packed: bool = False) -> bytes:
    """A good .npz."""
    file = io.BytesIO()
    x, groups = np.arange(24.0, dtype=np.float32).reshape(4, 3, 2), np.array(list("aabb"))
    (np.savez_compressed if packed else np.savez)(file, x=x, labels=np.eye(4, 2), groups=groups)
    return file.getvalue()


def headed(header: str, body: bytes, method: int) -> bytes:
    """An archive of one array with a header of any text."""
    text = header.encode("latin-1", "replace")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        made.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body)
    return file.getvalue()


def marked(whole: bytes, place: int, bits: int) -> bytes:
    """An archive whose directory says something else of its first file."""
    made = bytearray(whole)
    made[made.find(b"PK\1\2") + place] ^= bits
    return bytes(made)


FLAG, METHOD = 8, 10  # places in an entry of the zip's directory: marks such as "encrypted", the way of packing
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
KINDS = ["<f4", ">f8", "|b1", "<i8", "|O", "<U3", "|S4", "<c16", "<M8[s]", "<f16", "|V5", "x", "<U0"]


def _header(kind: str, shape: tuple[int, ...], order: object) -> str:
    return f"{{'descr': {kind!r}, 'fortran_order': {order}, 'shape': {shape!r}, }}\n"


shapes = st.lists(st.sampled_from([0, 1, 2, 3, -1, 10**6, 10**12]), max_size=4).map(tuple)
headers = st.builds(_header, st.sampled_from(KINDS), shapes, st.sampled_from([True, False, 1, "x"]))
crafted = st.builds(headed, st.one_of(headers, st.text(max_size=60)), st.binary(max_size=96), st.sampled_from(METHODS))
places = st.one_of(st.integers(4, 50), st.sampled_from([FLAG, METHOD]))
archives = st.one_of(
    spoiled(archive()),
    spoiled(archive(packed=True)),
    crafted,
    st.builds(marked, st.just(archive()), places, st.integers(1, 255)),
)

# --- messages --------------------------------------------------------------------------------------------------------

JSON = ["[", "{", "1", ",", ":", '"', "NaN", "-Infinity", "9" * 5000]
MESSAGE = b'{"sensor": "visual", "time": 1.5, "values": [1.0, 2.0]}'
fields: dict[str, st.SearchStrategy[Any]] = {
    "sensor": st.sampled_from(["visual", "audio", "x"]),
    "time": st.one_of(numbers, st.text(max_size=9), plain),
    "values": st.one_of(st.lists(numbers, min_size=2, max_size=3), plain),
}
messages = st.one_of(
    spoiled(MESSAGE),
    st.fixed_dictionaries(fields).map(lambda made: json.dumps(made).encode()),
    from_words(JSON).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
samples = st.one_of(messages, spoiled(b"2024-01-01 00:00:00,12.5"), st.binary(max_size=40))
