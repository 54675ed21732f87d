"""What users and machines get wrong, from the command line: one message, the right exit code, nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import viz
from sources.synthetic import demand

from . import forkserver
from .conftest import ROOT
from .runs import go, good, lay, numbers, preds, strict

CONTEXT = "--context-len 8"
MODEL = "--backbone gru --model-args hidden=4 --epochs 1 --batch-size 256 --reference off"
ONE = f"--mode train --task classify --csv data/a.csv {CONTEXT} {MODEL} --no-wide"
NAME = "train_classify_ctx8_ch1_alpha0.50_pwglobal_gru_nowide_seed777_splitgroup"
ROWS, COLUMNS = 40, 30
TABLE = demand(ROWS, COLUMNS, 3, seed=3)


def refused(folder: Path, code: int, *words: object) -> str:
    """The message of a run that ends with `code`, says it in one message on stderr and leaves nothing behind."""
    before = {path for path in folder.rglob("*") if path != folder / "artifacts"}
    done = go(folder, *words)
    assert done.code == code, done.err
    assert done.out == "" and done.err.count("error: ") == 1 and "Traceback" not in done.err
    assert {path for path in folder.rglob("*") if path != folder / "artifacts"} == before  # hidden ones too
    return done.err


def cells(table: np.ndarray) -> list[list[str]]:
    return [[f"{value:g}" for value in row] for row in table]


def text(rows: list[list[str]], sep: str = ",", newline: str = "\n") -> str:
    return "".join(sep.join(row) + newline for row in rows)


def with_cell(row: int, column: int, cell: str) -> str:
    """A sound file but for one cell, counted from 1."""
    rows = cells(TABLE[0])
    rows[row - 1][column - 1] = cell
    return text(rows)


def with_row(number: int, change: Callable[[list[str]], list[str]]) -> str:
    rows = cells(TABLE[0])
    rows[number - 1] = change(rows[number - 1])
    return text(rows)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A folder with three sound files, data/a.csv, b.csv and c.csv."""
    return lay(tmp_path, a=TABLE[0], b=TABLE[1], c=TABLE[2])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a GRU on the three files."""
    folder = lay(tmp_path_factory.mktemp("trained"), a=TABLE[0], b=TABLE[1], c=TABLE[2])
    return good(folder, ONE.replace("a.csv", "a.csv data/b.csv data/c.csv"))


# ---- files


@pytest.mark.parametrize(
    ("content", "told", "hint"),
    [
        pytest.param("", ["data/a.csv: the file is empty"], "", id="empty"),
        pytest.param("\n\n", ["data/a.csv: the file is empty"], "", id="blank"),
        pytest.param("week1,week2,week3\n", ["data/a.csv: has a header and no rows"], "", id="header only"),
        pytest.param(
            with_cell(5, 7, "n.a.?"), ["data/a.csv:5:7: text 'n.a.?'"], "marks a missing value", id="text cell"
        ),
        pytest.param(with_cell(1, 30, "abc"), ["data/a.csv:1:30: text 'abc'"], "--header", id="text in row 1"),
        pytest.param(
            with_row(9, lambda row: row[:-1]),
            ["data/a.csv:9: row has 29 fields, expected 30"],
            "",
            id="short row",
        ),
        pytest.param(
            with_row(9, lambda row: [*row, "1"]), ["data/a.csv:9: row has 31 fields, expected 30"], "", id="long row"
        ),
        pytest.param(text(cells(TABLE[0]), sep=";"), ["data/a.csv"], "--sep ';'", id="semicolons"),
        pytest.param(
            text(cells(TABLE[0] + 0.5), sep=";").replace(".", ","),
            ["data/a.csv"],
            "--sep ';' --decimal ','",
            id="decimal comma",
        ),
        pytest.param(with_cell(4, 11, "nan"), ["data/a.csv:4:11: missing value", "1 missing"], "--nan", id="NaN"),
        pytest.param(with_cell(4, 11, ""), ["data/a.csv:4:11: missing value", "1 missing"], "--nan", id="empty cell"),
        pytest.param(with_cell(40, 1, "inf"), ["data/a.csv:40:1: infinite value"], "--nan", id="Inf"),
        pytest.param(
            text(cells(TABLE[0][:6].T)),
            ["rows have 6 steps, a window needs 8 + 1 = 9", "30 rows"],
            "transposed",
            id="transposed",
        ),
        pytest.param(
            text(cells(TABLE[0][:5, :8])),
            ["--context-len: rows have 8 steps, a window needs 8 + 1 = 9"],
            "--context-len 3",
            id="short series",
        ),
        pytest.param("\0\1\2", ["data/a.csv: is not a text file"], "", id="binary"),
    ],
)
def test_a_bad_file_is_told_with_its_place(box, content, told, hint):
    (box / "data/a.csv").write_text(content, encoding="utf-8")
    message = refused(box, 3, ONE, "--strict")
    for part in told:
        assert part in message
    assert hint in message.partition("hint: ")[2]
    if "30 rows" not in told:
        assert "transposed" not in message


def test_a_folder_is_not_a_file(box):
    assert "is a folder, not a file" in refused(box, 3, ONE.replace("data/a.csv", "data"))
    (box / "house_1").mkdir()
    (box / "house_1" / "labels.dat").write_text("1 mains\n")
    assert "--dataset redd (or ukdale)" in refused(box, 3, ONE.replace("data/a.csv", "house_1"))


@pytest.mark.parametrize("names", ["data/a.csv data/x1.csv data/b1.csv nowhere/c.csv", "data/{a,x1,b1}.csv 'no*.csv'"])
def test_all_missing_files_are_named(box, names):
    message = refused(box, 3, ONE.replace("data/a.csv", names))
    assert "3 of 4 files not found" in message
    for name in ("data/x1.csv", "data/b1.csv", "nowhere/c.csv" if "nowhere" in names else "no*.csv"):
        assert f"\n  {name}" in message
    assert "\n  data/a.csv" not in message
    assert "did you mean b.csv?" in message


@pytest.mark.parametrize("flag", ["labels", "groups"])
def test_a_missing_sidecar_is_named(box, flag):
    assert "side.csv: no such file" in refused(box, 3, ONE, f"--{flag} side.csv")


def test_files_of_different_shape_are_shown_as_a_table(box):
    lay(box, b=TABLE[1][:, :-1])
    lay(box, c=TABLE[2][1:])
    message = refused(box, 3, ONE.replace("a.csv", "a.csv data/b.csv data/c.csv"))
    shapes = re.findall(r"^ *(\d+) x (\d+) +(\S+)$", message, re.MULTILINE)
    assert sorted(shapes) == [("39", "30", "data/c.csv"), ("40", "29", "data/b.csv"), ("40", "30", "data/a.csv")]


def test_the_same_file_twice_is_a_warning(box):
    done = go(box, ONE.replace("a.csv", "a.csv ./data/a.csv"), "--quiet")
    assert done.code == 0 and "warning: given more than once" in done.err and "data/a.csv" in done.err
    assert "_ch2_" in done.directory.name
    notes = strict(done.directory / "manifest.json")["data"]["notes"]
    assert any("given more than once" in note for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "flags"),
    [
        pytest.param("\ufeff" + text(cells(TABLE[0]), newline="\r\n"), "", id="BOM and CRLF"),
        pytest.param(text(cells(TABLE[0]), sep=";"), "--sep ';'", id="semicolons"),
        pytest.param(text(cells(TABLE[0]), sep="\t"), "--sep '\\t'", id="tabs"),
        pytest.param(text(cells(TABLE[0])).rstrip("\n"), "", id="no last newline"),
    ],
)
def test_other_spellings_of_the_same_file_give_the_same_run(box, trained, content, flags):
    (box / "data/a.csv").write_bytes(content.encode())
    files = "a.csv" if flags else "a.csv data/b.csv data/c.csv"
    plain = trained if not flags else good(lay(box / "plain", a=TABLE[0]), ONE)
    folder = good(box, ONE.replace("a.csv", files), flags)
    assert (folder / "preds.csv").read_bytes() == (plain / "preds.csv").read_bytes()


def test_a_decimal_comma_is_read_when_told(box):
    (box / "data/a.csv").write_text(text(cells(TABLE[0] * 1.5), sep=";").replace(".", ","))
    folder = good(box, ONE.replace("classify", "regress"), "--sep ';' --decimal ','")
    lined = preds(folder)
    row, when = (numbers(lined, name).astype(int) for name in ("row", "time"))
    assert np.array_equal(numbers(lined, "y_true"), 1.5 * TABLE[0][row, when])


# ---- splits and labels


@pytest.mark.parametrize(
    ("table", "flags", "told"),
    [
        pytest.param(TABLE[0][:1], "--split-mode group", ["group: 1 row(s) cannot be split"], id="one row"),
        pytest.param(
            TABLE[0][:2], "--test-ratio 0.2", ["2 row(s) cannot be split into train, val and test"], id="2 rows"
        ),
        pytest.param(
            TABLE[0],
            "--split-mode rolling --folds 5 --val-ratio 0.2",
            ["the train and val split of fold 0 has no window (windows: train 0, val 0, test 0)"],
            id="too many folds",
        ),
        pytest.param(
            TABLE[0],
            "--split-mode holdout --gap 16",
            ["the train split has no window (windows: train 0, val 240, test 0)"],
            id="wide gap",
        ),
        pytest.param(
            TABLE[0] * (np.arange(30) >= 24),
            "--split-mode holdout",
            ["the train split has one class only of a", "train: 640 windows, prevalence 0\n", "val: 240 windows, "],
            id="train without positives",
        ),
        pytest.param(
            TABLE[0] * (np.arange(30) < 24),
            "--split-mode holdout",
            ["the val split has one class only of a", "train: 640 windows, ", "val: 240 windows, prevalence 0\n"],
            id="val without positives",
        ),
        pytest.param(
            TABLE[0] * 0,
            "--pos-weight global",
            ["the train split has one class only", "train: 704 windows, prevalence 0", "val: 176 windows"],
            id="no positives, global weight",
        ),
        pytest.param(TABLE[0] * 0 + 1, "--pos-weight none", ["train: 704 windows, prevalence 1"], id="positives alone"),
        pytest.param(
            TABLE[0], "--bin-rule gt --bin-thr 1e6", ["--bin-rule gt --bin-thr 1e+06", "prevalence 0"], id="threshold"
        ),
    ],
)
def test_a_split_that_nothing_can_be_learned_from(box, table, flags, told):
    lay(box, a=table)
    message = refused(box, 3, ONE, flags)
    for part in told:
        assert part in message
    assert "hint: " in message


def test_the_prevalence_told_is_that_of_the_file(box):
    table = TABLE[0] * (np.arange(30) < 24)
    lay(box, a=table)
    message = refused(box, 3, ONE, "--split-mode holdout")
    told = float(re.search(r"train: 640 windows, prevalence (\S+)", message)[1])
    assert told == pytest.approx((table[:, 8:24] > 0).mean(), abs=1e-4)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--drop-label-from-x", "--drop-label-from-x: drops the only channel"),
        ("--label-src-ch 1", "--label-src-ch: there is no channel 1: 1 given"),
        ("--backbone grru --model-args x=1", "did you mean gru?"),
        ("--device cuda:99", "--device cuda:99: this machine has"),
        ("--device gpu", "'gpu' is not a device"),
        ("--bin-rule quantile --bin-thr 1", "--bin-thr: a quantile is in (0, 1)"),
        ("--desc ../../x", "--desc: '../../x' cannot be part of a directory's name"),
        ("--desc " + "x" * 300, "bytes long, at most"),
        ("--desc " + "수" * 300, "bytes long, at most"),
        ("--split-mode group --gap 1", "--gap belongs to --split-mode rolling or holdout"),
        ("--val-ratio nan", "--val-ratio takes a finite number"),
        ("--csv 'data/{1..1000000}.csv'", "the limit is 10,000"),
        ("--sep ';;'", "--sep: ';;' cannot separate cells"),
        ("--out data/a.csv", "--out data/a.csv: cannot be written"),
        ("--out data/a.csv/below", "--out data/a.csv/below: cannot be written"),
    ],
)
def test_a_flag_that_cannot_be_followed(box, flags, told):
    assert told in refused(box, 2, ONE, flags)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_where_there_is_none(box):
    message = refused(box, 2, ONE, "--device cuda")
    assert "--device cuda: this machine has no cuda device" in message and "--device auto" in message


def test_a_korean_description_is_a_name(box):
    desc = unicodedata.normalize("NFD", "수요예측")  # as a Mac types it
    with warnings.catch_warnings(record=True) as noise:
        warnings.simplefilter("always", UserWarning)
        folder = good(box, ONE, "--desc", desc)
    assert [str(warning.message) for warning in noise if "Glyph" in str(warning.message)] == []
    assert folder.name == f"{NAME}_수요예측" and (folder / "model.pt.best").is_file()
    assert [path.name for path in (box / "artifacts").iterdir()] == [folder.name]
    assert good(box, f"--config {folder}/config.yaml --desc 다시").name == f"{NAME}_다시"


# ---- checkpoints


@pytest.mark.parametrize("mode", ["infer", "finetune"])
@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--task regress", "is of task classify, not regress"),
        ("--csv data/a.csv data/b.csv", "was trained on 3 input channel(s), the data have 2"),
        ("--csv data/a.csv data/b.csv data/c.csv data/a.csv", "was trained on 3 input channel(s), the data have 4"),
        ("--backbone llm_ts", "--backbone llm_ts (the checkpoint has gru)"),
        ("--model-args hidden=5", "--model-args {'hidden': 5} (the checkpoint has {'hidden': 4})"),
        ("--context-len 9", "--context-len 9 (the checkpoint has 8)"),
        ("--label-offset 2", "--label-offset 2 (the checkpoint has 1)"),
        ("--bin-rule gt", "--bin-rule gt (the checkpoint has auto)"),
    ],
)
def test_a_checkpoint_of_another_kind(box, trained, mode, flags, told):
    words = f"--mode {mode} --task classify --csv data/a.csv data/b.csv data/c.csv --backbone gru --ckpt {trained}"
    message = refused(box, 4, words, flags)
    assert str(trained) in message and told in message


@pytest.mark.parametrize("mode", ["infer", "finetune"])
def test_fewer_channels_than_the_label_channels_number(box, mode):
    folder = good(box, ONE.replace("a.csv", "a.csv data/b.csv data/c.csv"), "--label-src-ch 2")
    message = refused(box, 4, f"--mode {mode} --task classify --csv data/a.csv data/b.csv --ckpt {folder}")
    assert "was trained on 3 input channel(s), the data have 2" in message


def test_a_checkpoint_that_is_not_there(box, trained):
    words = "--mode infer --task classify --csv data/a.csv --ckpt"
    assert "no such file or directory" in refused(box, 4, words, "runs/none")
    message = refused(box, 4, words, trained.with_name("train_other"))
    assert trained.name in message  # what the folder does hold
    assert "no model.pt.best or model.pt in this directory" in refused(box, 4, words, "data")
    (trained.parent / ".train_x.partial").mkdir()
    (trained.parent / ".train_x.partial" / "model.pt").touch()  # a run that goes on, which no --ckpt names
    for mode in ("infer", "finetune"):  # what to learn would follow from it, and is not asked for
        message = refused(box, 4, f"--mode {mode} --csv data/a.csv --ckpt", trained.with_name("train_other"))
        assert "no such file or directory" in message and "--task" not in message and ".train_x" not in message


def sealed(content: object) -> bytes:
    """What `checkpoint.save` would write for this content, were it to write it: the checksum is right."""
    import io

    buffer = io.BytesIO()
    torch.save(content, buffer)
    body = buffer.getvalue()[:-2] + struct.pack("<H", len(b"tsrun sha256 ") + 64)
    return body + b"tsrun sha256 " + hashlib.sha256(body).hexdigest().encode()


class Evil:
    """Unpickled by a careless loader, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.path}",)


def plain_torch(content: object) -> bytes:
    import io

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


DAMAGE: dict[str, Callable[[bytes, Path], bytes]] = {
    "empty": lambda _, __: b"",
    "text": lambda _, __: b"not a model\n",
    "cut in half": lambda whole, _: whole[: len(whole) // 2],
    "cut by one byte": lambda whole, _: whole[:-1],
    **{
        f"bit flipped at {share:.0%}": lambda whole, _, share=share: flipped(whole, int(share * (len(whole) - 1)))
        for share in (0, 0.01, 0.3, 0.6, 0.9, 1)
    },
    "one byte more": lambda whole, _: whole + b"\0",
    "another torch file": lambda _, __: plain_torch({"state": torch.zeros(3)}),
    "code": lambda _, marker: plain_torch(Evil(marker)),
    "code, sealed": lambda _, marker: sealed({"schema": 1, "config": Evil(marker)}),
    "plain, sealed, without content": lambda _, __: sealed({"schema": 1}),
    "a list, sealed": lambda _, __: sealed([1, 2]),
    "a later schema": lambda _, __: sealed({"schema": 999}),
}


def flipped(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


@pytest.mark.fault("a checkpoint that is cut off")
@pytest.mark.fault("a checkpoint with flipped bits")
@pytest.mark.fault("a malicious checkpoint")
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("mode", ["infer", "finetune"])
def test_a_damaged_or_malicious_checkpoint_is_refused_unread(box, trained, mode, damage):
    folder, marker = box / "run", box / "executed"
    folder.mkdir()
    whole = (trained / "model.pt.best").read_bytes()
    (folder / "model.pt.best").write_bytes(DAMAGE[damage](whole, marker))
    message = refused(box, 4, f"--mode {mode} --task classify --csv data/a.csv data/b.csv data/c.csv --ckpt {folder}")
    assert f"{folder / 'model.pt.best'}" in message
    assert not marker.exists()


def test_the_seal_of_these_tests_is_the_toolkits(box, trained):
    """Else the sealed ones above would be refused for their seal."""
    content = torch.load(trained / "model.pt.best", weights_only=True)
    (box / "again.pt").write_bytes(sealed(content))
    good(box, "--mode infer --task classify --csv data/a.csv data/b.csv data/c.csv --ckpt again.pt")


def test_a_checkpoint_whose_weights_do_not_fit_its_model(box, trained):
    content = torch.load(trained / "model.pt.best", weights_only=True)
    content["state"]["head.weight"] = torch.zeros(1, 5)
    (box / "odd.pt").write_bytes(sealed(content))
    words = "--mode infer --task classify --csv data/a.csv data/b.csv data/c.csv --ckpt odd.pt"
    assert "weights and model do not fit" in refused(box, 4, words)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--freeze no.such", "--freeze: 'no.such' matches no parameter"),
        ("--reinit 'hed*'", "--reinit: 'hed*' matches no parameter"),
        ("--freeze '*'", "nothing is left to train"),
    ],
)
def test_globs_that_choose_nothing(box, trained, flags, told):
    words = f"--mode finetune --task classify --csv data/a.csv data/b.csv data/c.csv --ckpt {trained} --epochs 1"
    assert told in refused(box, 2, words, flags)


def test_inference_asked_for_a_split_that_training_did_not_have(box, trained):
    words = f"--mode infer --task classify --csv data/a.csv data/b.csv data/c.csv --ckpt {trained}"
    assert "no test split" in refused(box, 2, words, "--eval-split test")
    assert "no test split" in refused(box, 2, words, "--plot-split test")


# ---- the machine


@pytest.mark.fault("a limit of memory", "exit 6 with a batch size that was tried and fits")
@pytest.mark.slow
def test_out_of_memory_names_a_batch_size_that_fits(box):
    """For real: the process may take 400 MB more than it has before the run. What is proposed is then tried.

    The same run takes some tens of MB of addresses more or less each time: the second has a quarter more.
    """
    lay(box, big=demand(100, 800, 1, seed=1)[0])
    script = f"""
import resource, sys
sys.path.insert(0, {str(ROOT)!r})
import torch, run, pipeline, tasks.classify, backbones.gru, sklearn.metrics, scipy.optimize, matplotlib.figure
import PIL.Image, pages.run_page, tasks.label_viz, matplotlib.backends.backend_agg
torch.set_num_threads(1)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (int(sys.argv.pop(1)) << 20), resource.RLIM_INFINITY))
sys.exit(run.main(sys.argv[1:]))
"""
    words = ONE.replace("a.csv", "big.csv").replace("hidden=4", "hidden=64").split()

    def attempt(batch_size: int, room: int) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", script, str(room), *words, "--batch-size", str(batch_size)]
        # Each arena of malloc reserves 64 MB for its thread, and how many there are is a matter of luck.
        own = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        return subprocess.run(argv, cwd=box, env=os.environ | own, capture_output=True, text=True)

    done = attempt(100_000, 400)
    assert done.returncode == 6, done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    told = re.search(r"error: --batch-size \d+: out of memory.*\n  hint: --batch-size (\d+) fits", done.stderr)
    assert told, done.stderr
    assert list((box / "artifacts").iterdir()) == []
    again = attempt(int(told[1]), 500)
    assert again.returncode == 0, again.stderr


@pytest.mark.fault("two jobs with one name", "the second says so and ends with exit 2; the first is not disturbed")
@pytest.mark.slow
def test_two_jobs_with_one_name(box):
    words = ONE.replace("--epochs 1", "--epochs 100000 --patience 0")
    other = forkserver.Popen(
        [sys.executable, str(ROOT / "run.py"), *words.split()],
        cwd=box,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    partial = box / "artifacts" / f".{NAME}.partial"
    try:
        for _ in range(600):
            if (partial / "model.pt").exists() or other.poll() is not None:
                break
            time.sleep(0.1)
        done = go(box, ONE)
        assert done.code == 2 and "another job is writing this run" in done.err and NAME in done.err
        assert other.poll() is None and (partial / "model.pt").exists()  # the first is not disturbed
        other.send_signal(signal.SIGTERM)
        _, told = other.communicate(timeout=60)
    finally:
        other.kill()
        other.wait()
    assert other.returncode == 143, told
    assert "Traceback" not in told and "--resume continues this run" in told
    assert [path.name for path in (box / "artifacts").iterdir()] == [partial.name]  # no lock is left
    done = go(box, ONE)
    assert done.code == 2 and "an interrupted run with this name exists" in done.err
    assert good(box, ONE, "--overwrite").name == NAME and not partial.exists()


@pytest.mark.parametrize("stands", ["a run", "a folder of the user's"])
def test_what_stands_under_the_name_moves_aside(box, stands):
    place = box / "artifacts" / NAME
    if stands == "a run":
        good(box, ONE)
    else:
        place.parent.mkdir()
    place.mkdir(exist_ok=True)
    (place / "mine.txt").write_text("mine")
    good(box, ONE)
    assert (place.with_name(f"{NAME}.1") / "mine.txt").read_text() == "mine"
    assert (place / "metrics.json").is_file()


@pytest.mark.fault("a full disk")
def test_a_full_disk_at_the_first_checkpoint(box, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    done = go(box, ONE)
    assert done.code == 6 and "error: " in done.err and "the disk is full" in done.err
    assert "artifacts" in done.err.partition("error: ")[2]  # which disk
    assert list((box / "artifacts").iterdir()) == []


@pytest.mark.fault("a full disk")
@pytest.mark.slow
def test_a_full_disk_after_training_loses_no_training(box, monkeypatch):
    """The run waits, hidden, and goes on when there is room."""

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(viz, "confusion_figure", full)
        done = go(box, ONE)
    assert done.code == 6 and "the disk is full" in done.err
    assert [path.name for path in (box / "artifacts").iterdir()] == [f".{NAME}.partial"]
    again = go(box, ONE, "--resume")
    assert again.code == 0 and "epoch 1/1" not in again.err  # nothing is trained twice
    assert [path.name for path in (box / "artifacts").iterdir()] == [NAME]
    fresh = good(box, ONE, "--desc fresh")
    assert strict(again.directory / "metrics.json")["pr_auc"] == strict(fresh / "metrics.json")["pr_auc"]


def in_a_small_disk(box: Path, size: str, *words: str) -> subprocess.CompletedProcess[str]:
    """run.py with `artifacts` on a disk of `size` of its own, which is gone afterwards; stdout ends with its files."""
    (box / "artifacts").mkdir(exist_ok=True)
    script = f'mount -t tmpfs -o size={size} none artifacts || exit 99; "$@"; code=$?; find artifacts; exit $code'
    argv = ["unshare", "-rm", "sh", "-c", script, "sh", sys.executable, str(ROOT / "run.py"), *words]
    done = subprocess.run(argv, cwd=box, capture_output=True, text=True)
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("this machine does not let a user mount a disk")
    return done


@pytest.mark.fault(
    "a full disk",
    "exit 6, and which disk; a model that is trained waits, and `--resume` goes on when there is room",
)
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("unshare"), reason="no unshare on this machine")
@pytest.mark.parametrize(
    ("size", "left"),
    [
        pytest.param("8k", set(), id="no room for the model"),
        pytest.param(
            "100k",
            {f"artifacts/.{NAME}.partial"},
            id="no room for the plots",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_disk_that_is_really_full(box, size, left):
    done = in_a_small_disk(box, size, *ONE.split())  # without trees, which would take more room than plots
    assert done.returncode == 6, done.stderr
    assert "the disk is full" in done.stderr and "Traceback" not in done.stderr
    found = set(done.stdout.split())
    assert {name for name in found if name.count("/") == 1} == left
    assert not {name for name in found if name.endswith(".part")}


@pytest.mark.fault("a loss that is NaN")
def test_a_run_that_diverges_keeps_its_best_and_says_where(box):
    """Loss and exit code of a NaN: whoever sees 5 finds the best checkpoint under the name that the message gives."""
    done = go(box, ONE, "--lr 1e30 --clip 0 --optimizer sgd --epochs 5")
    assert done.code == 5, done.err
    folders = list((box / "artifacts").iterdir())
    assert [path.name for path in folders] == [f"{NAME}.diverged"]
    assert str(folders[0].relative_to(box)) in done.err


def test_json_has_the_error_when_a_run_fails(box):
    (box / "data/a.csv").write_text("")
    done = go(box, ONE, "--json")
    told = json.loads(done.out)["error"]
    assert done.code == told["exit_code"] == 3 and told["what"] == "the file is empty"
    with contextlib.suppress(ValueError):
        json.loads(done.err)
        pytest.fail("for people it is text")


@pytest.mark.parametrize("flags", ["--label-src-ch y", "--time-col date", "--time-col date --label-src-ch last"])
@pytest.mark.parametrize("text", ["", "\n\n", " \n"])
def test_an_empty_file_is_said_to_be_empty_whatever_is_asked_of_it(tmp_path, flags, text):
    """Where a label was named, its columns were looked for in a first line that was not there."""
    (tmp_path / "a.csv").write_text(text)
    done = go(tmp_path, f"--task classify --csv a.csv {flags}")
    assert done.code == 3 and "a.csv: the file is empty" in done.err
