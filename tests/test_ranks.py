"""Several processes that train one model, as torchrun starts them: real ones, against one process."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import ranks
from backbones import gram, lagged
from benchmarks import ddp
from checkpoint import Checkpoint
from errors import UsageError
from ranks import Place
from ranks.alone import Alone
from ranks.group import Group
from windows import Windows, plan

from . import forkserver
from .conftest import ROOT
from .runs import good, lay, strict

COMMON = "--reference off --no-plots --patience 0 --threads 1 --seed 5"
SHORT = f"--csv data/a.csv data/b.csv data/c.csv --context-len 16 --epochs 2 --batch-size 80 {COMMON}"
METER = f"--csv data/house.csv --time-col t --device-cols kettle --window 24 --stride 3 --epochs 2 {COMMON}"
METER += " --overlay 0 --other-base 0 --other-loads 0 --batch-size 31"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(folder, *words, world=2, code="", **environment):
    """`run.py WORDS` as `world` processes that know of each other by torchrun's variables; `code` goes before it."""
    common = os.environ | {"OMP_NUM_THREADS": "1", "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1"}
    common |= {"MASTER_PORT": str(free_port()), "LOCAL_WORLD_SIZE": str(world)} | environment
    script = ["-c", f"import sys, run\n{code}\nsys.exit(run.main(sys.argv[1:]))"] if code else [str(ROOT / "run.py")]
    argv = [sys.executable, *script, *" ".join(map(str, words)).split()]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": folder}
    return [
        forkserver.Popen(argv, env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, **streams)
        for rank in range(world)
    ]


def ended(processes):
    """[(exit code, stdout, stderr)] of each."""
    try:
        return [(one.returncode, *said) for one in processes for said in [one.communicate(timeout=120)]]
    finally:
        for one in processes:
            with contextlib.suppress(ProcessLookupError):
                one.kill()


def together(folder, *words, world=2, **more):
    """The directory of a run of several processes."""
    said = ended(start(folder, *words, world=world, **more))
    assert [code for code, _, _ in said] == [0] * world, said[0][2]
    assert [(out, err) for _, out, err in said[1:]] == [("", "")] * (world - 1)  # rank 0 alone says anything
    return folder / said[0][1].strip().splitlines()[-1]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 9, 60)).cumsum(axis=2)
    label = (np.roll(x[0] + x[1], 1, axis=1) > 0) * 1.0
    folder = lay(tmp_path_factory.mktemp("ranks"), a=label, b=x[0], c=x[1])
    kettle = np.where(np.arange(900) % 45 < 6, 2000.0, 0) + np.where(np.arange(900) % 30 < 3, 40.0, 0)
    times = np.datetime64("2024-01-01") + np.arange(900) * np.timedelta64(1, "m")
    meter = (kettle + 60 + rng.normal(0, 3, 900)).round(1)
    lines = [f"{t},{m},{k}" for t, m, k in zip(times, meter, kettle, strict=True)]
    (folder / "data" / "house.csv").write_text("\n".join(["t,mains,kettle", *lines]) + "\n")
    return folder


def state_of(directory, name="model.pt"):
    return Checkpoint.load(directory / name).state


def assert_same_weights(one, other, to=1e-4):
    a, b = state_of(one), state_of(other)
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.allclose(value.float(), b[name].float(), atol=to, rtol=to), name


# What a net stands on is grown for `gru`; the others are about steps.
LINES = {
    "gru": "--task classify --backbone gru",
    "llm_ts": "--task regress --backbone llm_ts --model-args dropout=0 size=tiny --no-wide",
    "dlinear": "--task forecast --backbone dlinear --horizon 4",
    "tcn": "--task classify --backbone tcn --model-args dropout=0 filters=6 depth=2 --no-wide",
    "ridge": "--task forecast --backbone ridge --horizon 4",
    "boosting": "--task regress --backbone boosting --model-args trees=20 fixed=10",
    "window ridge": "--task regress --backbone ridge",
    "theta": "--task forecast --backbone theta --horizon 4",
    "fusion_gru": "--task classify --backbone fusion_gru --stage all --model-args dropout=0",
    # Adam would make steps of rounding where BatchNorm leaves a weight no gradient.
    "nilm": "--task nilm --backbone unet --model-args filters=4 dropout=0 --seeds 1 --optimizer sgd --lr 0.01",
}
ALONE = f"{LINES['gru']} --no-wide"
IN_BLOCKS = """
import evaler, tasks.blocks, training.validating
evaler.MOST = tasks.blocks.MOST = training.validating.MOST = 0
"""
SOLVED = ("ridge", "boosting", "window ridge", "theta")
BLOCKS = ("dlinear", "ridge", "nilm")


@pytest.mark.parametrize("backbone", LINES)
def test_two_processes_give_what_one_does(backbone, data):
    """Batches of 77 windows: one process has more of them than the other."""
    source, _, how = (METER if backbone == "nilm" else SHORT).partition("--context-len 16")
    words = ("--mode train", LINES[backbone], source, "--context-len 16" * bool(how), how)
    one = good(data, *words, "--desc one")
    two = together(data, *words, "--desc two", code=IN_BLOCKS if backbone in BLOCKS else "")
    solved = backbone in SOLVED
    assert_same_weights(one, two, 1e-6 if solved else 1e-4)
    assert files_of(one) == files_of(two)
    mine, theirs = (summary_of(path) for path in (one, two))
    assert mine["headline"] == pytest.approx(theirs["headline"], abs=1e-6 if solved else 1e-3)
    if backbone == "dlinear":
        both = (np.genfromtxt(path / "history.csv", delimiter=",", names=True) for path in (one, two))
        for line, other in zip(*both, strict=True):
            assert list(line)[:-1] == pytest.approx(list(other)[:-1], abs=1e-5)  # the last are the seconds
    seen = "--csv data/house.csv --time-col t" if backbone == "nilm" else source
    again = good(
        data, "--mode infer", seen, f"--ckpt {two} --eval-split {theirs['split']} --no-plots --desc {two.name}"
    )
    alike(metrics_of(again), metrics_of(two))


def metrics_of(directory):
    """All figures of the model, not of its references, and not what it cost."""
    apart = ("seconds", "run", "mode", "references", "better", "selection", "calibration", "thin", "tried", "solution")
    return {name: value for name, value in summary_of(directory).items() if name not in apart}


def alike(found, expected, where=""):
    """Equal weights have equal metrics, to 1e-6."""
    if isinstance(expected, dict):
        for name in expected.keys() & found.keys():
            alike(found[name], expected[name], f"{where} {name}")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-6, rel=1e-6), where
    elif not isinstance(expected, str):
        assert found == expected, where


def files_of(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def summary_of(directory):
    return strict(next(directory / name for name in ("summary.json", "metrics.json") if (directory / name).is_file()))


@pytest.mark.parametrize(("world", "size"), [(2, 77), (3, 77), (4, 76)])
def test_an_epoch_has_the_windows_of_one_process(world, size):
    usable = np.ones(700, bool)
    index = plan(np.array([0, 700]), usable, usable, length=6, offset=1)
    values = torch.zeros(1, 700)
    batches = list(Windows(values, values, index).shuffled(size, 3))
    groups = [Group(Place(rank, world, rank, world)) for rank in range(world)]
    for batch in batches:
        shares = [group.share(batch)[0].tolist() for group in groups]
        assert max(map(len, shares)) == groups[0].size(batch.shape[1]) <= min(map(len, shares)) + 1
        assert sorted(number for share in shares for number in share) == sorted(batch[0].tolist())
    slices = [group.slice(101) for group in groups]
    assert [begin for begin, _ in slices[1:]] == [end for _, end in slices[:-1]]
    assert (slices[0][0], slices[-1][1]) == (0, 101)


class Share(Alone):
    """Rank `rank` of `world`, that keeps what it would add to the sum of all."""

    def __init__(self, rank, world):
        self.rank, self.world, self.kept = rank, world, []

    part = Group.part

    def summed(self, sums):
        self.kept.append(sums.copy())
        return sums


@pytest.mark.parametrize("world", [2, 5])
def test_sums_over_windows_are_those_of_the_shares(world, monkeypatch):
    rng = np.random.default_rng(8)
    pieces = [rng.normal(size=(2, n)) for n in (3, 40, 7, 12, 19)]
    others = [rng.normal(size=(3, n)) for n in (3, 40, 7, 12, 19)]
    windows = gram.starts(pieces, 7)
    sums = {
        "gram": lambda: gram.gram(pieces, 7),
        "products": lambda: lagged.products(pieces, others, 7, 4, windows),
        "none": lambda: gram.gram(pieces[:1], 7),
    }
    for name, made in sums.items():
        shares = [Share(rank, world) for rank in range(world)]
        for share in shares:
            monkeypatch.setattr(ranks, "_here", share)
            whole = made()  # each by itself
            assert not share.kept
            with ranks.in_step():
                made()
        assert np.abs(sum(share.kept[0] for share in shares) - whole).max() < 1e-12 * max(np.abs(whole).max(), 1), name


STOP = """
import os, time, trainer
plain = trainer.Trainer._step
def stopping(self, positions):
    plain(self, positions)
    if os.environ["STOP"] == f"{os.environ['RANK']} {self.progress.epoch} {self.progress.step}":
        print(time.time(), file=open("stopped_at", "w"), flush=True)
        if os.environ["SIGNAL"] == "0":
            raise ValueError("something odd")
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))
trainer.Trainer._step = stopping
"""
LONGER = SHORT.replace("--epochs 2", "--epochs 4")


@pytest.mark.fault(
    "SIGTERM to any of several processes", "all exit 143; `--resume` goes on, with as many processes as you like"
)
@pytest.mark.parametrize("backbone", ["gru", "dlinear"])
def test_a_run_goes_on_with_another_number_of_processes(backbone, data):
    words = ("--mode train", LINES[backbone], LONGER)
    whole = good(data, *words, "--desc whole")
    words = (*words, "--desc part --resume")
    said = ended(start(data, *words, code=STOP, STOP="1 1 2", SIGNAL="15"))
    assert [code for code, _, _ in said] == [143, 143]
    assert "stopped at epoch 2, step 3 of " in said[0][2] and not said[1][2]
    ((code, _, err),) = ended(start(data, *words, world=1, code=STOP, STOP="0 2 0", SIGNAL="15"))
    assert code == 143 and "resuming in epoch 2, step 4" in err
    done = together(data, *words)
    assert_same_weights(whole, done)
    assert len((done / "history.csv").read_text().splitlines()) == 5


def test_dropout_goes_on_where_it_was_interrupted(data):
    words = ("--mode train", f"{ALONE} --model-args layers=2 dropout=0.5", SHORT)
    whole = together(data, *words, "--desc dropped")
    stopped = ended(start(data, *words, "--desc again", code=STOP, STOP="0 1 2", SIGNAL="15"))
    assert [code for code, _, _ in stopped] == [143, 143]
    done = together(data, *words, "--desc again --resume")
    for name, value in state_of(whole, "model.pt").items():
        assert torch.equal(value, state_of(done, "model.pt")[name]), name


@pytest.mark.fault("one of several processes is killed", "the others end with exit 6; what the last step left is saved")
def test_a_killed_process_ends_the_others(data):
    words = ("--mode train", ALONE, LONGER, "--desc killed")
    said = ended(start(data, *words, world=3, code=STOP, STOP="1 2 1", SIGNAL="9"))
    assert time.time() - float((data / "stopped_at").read_text()) < 30
    assert [code for code, _, _ in said] == [6, -9, 6]
    assert "error: rank 0 of 3 has lost the others: rank 1 has ended without a word" in said[0][2]
    (state,) = (data / "artifacts").glob(".*killed.partial/model.pt")
    assert Checkpoint.load(state).training["progress"]["epoch"] == 2
    done = together(data, *words, "--resume", world=3)
    assert_same_weights(good(data, *words[:-1], "--desc alone"), done)


def test_the_others_tell_what_one_of_them_said_last(data):
    words = ("--mode train", ALONE, LONGER, "--desc odd")
    said = ended(start(data, *words, world=3, code=STOP, STOP="2 1 2", SIGNAL="0", TORCHELASTIC_ERROR_FILE="odd.json"))
    assert time.time() - float((data / "stopped_at").read_text()) < 30
    assert [code for code, _, _ in said] == [6, 6, 1]
    assert "error: rank 0 of 3 has lost the others: rank 2 has ended: something odd" in said[0][2]
    assert "ValueError: something odd" in said[2][2]


def test_what_is_not_shared_out_is_refused_once(data):
    first, second = start(data, "--mode infer", SHORT.partition("--context")[0], "--task classify --ckpt nowhere")
    _, err = first.communicate(timeout=60)
    assert first.returncode == 2 and "error: --mode infer: is not shared out among processes" in err
    second.terminate()  # as torchrun does
    assert second.communicate(timeout=60) == ("", "")
    assert second.returncode in (2, 128 + signal.SIGTERM, -signal.SIGTERM)  # it may not have come to its error yet


def test_an_error_of_one_process_is_told_with_its_rank(data):
    code = """
import os, ranks, pipeline
ranks.PATIENCE = 0.1
def fail(*_):
    raise pipeline.CheckpointError("torn", where="here")
if os.environ["RANK"] == "1":
    pipeline._fit_size = fail
"""
    code += (
        "os.environ['TORCHELASTIC_ERROR_FILE'] = f'said{os.environ[\"RANK\"]}.json'\n"  # torchrun names one for each
    )
    said = ended(start(data, "--mode train", LINES["gru"], SHORT, "--desc failing", code=code))
    assert [code for code, _, _ in said] == [6, 4]
    assert said[1][2].startswith("rank 1 of 2: error: here: torn")
    assert "here: torn" in strict(data / "said1.json")["message"]["message"]


CACHED = """
import os
from readers import cache, wide
cache.LEAST_BYTES = cache.RACY_NS = 0
plain = wide.read_table
def parsed(path, *more, **how):
    print(path.name, file=open(f"parsed{os.environ['RANK']}", "a"))
    return plain(path, *more, **how)
wide.read_table = parsed
"""


def test_one_process_of_a_machine_reads_the_files(data):
    words = ("--mode train", LINES["dlinear"], SHORT, "--desc cached")
    together(data, *words, code=CACHED, TSRUN_CACHE=str(data / "cache"))
    assert (data / "parsed0").read_text().split() == ["a.csv", "b.csv", "c.csv"]
    assert not (data / "parsed1").exists()


HOLD = """
import os, time, trainer
plain = trainer.Trainer._step
def holding(self, positions):
    open("held", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.05)
    plain(self, positions)
trainer.Trainer._step = holding
"""


def wait_for(path, seconds=120):
    began = time.monotonic()
    while not path.exists():
        assert time.monotonic() - began < seconds, path
        time.sleep(0.05)


@pytest.mark.fault("two runs take one port", "the second ends with exit 6 and a hint; the first goes on")
def test_two_runs_do_not_meet_on_a_port(data):
    words = ("--mode train", ALONE, SHORT)
    port = {"MASTER_PORT": str(free_port())}
    first = start(data, *words, "--desc holding", code=HOLD, **port)
    wait_for(data / "held")
    second = start(data, *words, "--desc second", **port)
    _, err = second[0].communicate(timeout=120)
    second[1].kill()
    second[1].communicate(timeout=60)
    assert second[0].returncode == 6 and "do not meet" in err and "torchrun --standalone finds a free port" in err
    (data / "go").touch()
    assert [code for code, _, _ in ended(first)] == [0, 0]


GOOD = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "host", "MASTER_PORT": "29500"}


def test_the_place_is_what_the_variables_say():
    assert Place.of({}) is None and Place.of({"WORLD_SIZE": "1", "RANK": "0"}) is None
    assert Place.of(GOOD) == Place(1, 4, 1, 4)
    assert Place.of(GOOD | {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}) == Place(1, 4, 0, 2)
    for wrong in ({"RANK": "4"}, {"RANK": "-1"}, {"MASTER_PORT": ""}, {"WORLD_SIZE": "many"}):
        with pytest.raises(UsageError):
            Place.of(GOOD | wrong)


def test_too_small_a_batch_is_refused(data):
    said = ended(
        start(
            data,
            "--mode train",
            ALONE,
            SHORT.replace("--batch-size 80", "--batch-size 1"),
            code="""
import ranks
ranks.PATIENCE = 0.1
""",
        )
    )
    assert [code for code, _, _ in said] == [2, 2]
    assert "--batch-size: a batch of 1 has no window for each of 2 processes" in said[0][2]


@pytest.mark.slow
def test_the_documented_line_runs_under_torchrun(tmp_path):
    section = (ROOT / "docs/scale.md").read_text().partition("## Several processes")[2]
    line = re.search(r"```bash\n(torchrun .*?)\n```", section)[1].replace(" run.py ", f" {ROOT}/run.py ")
    folder = Path(sys.executable).parent
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": f"{folder}:{os.environ['PATH']}"}
    words = [*shlex.split(line), "--reference", "off", "--no-plots"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (directory,) = (tmp_path / "artifacts").iterdir()
    assert done.stdout.strip().splitlines()[-1] == f"artifacts/{directory.name}" and done.stderr.count("epoch 3/3") == 1


@pytest.mark.slow
def test_the_benchmark_is_alive(capsys, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", functools.partial(forkserver.Popen, nested=True))
    assert ddp.main(["--quick"]) == 0 and capsys.readouterr().out == "two processes trained\n"


def test_slurm_and_open_mpi_give_the_same_variables():
    slurm = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1", "SLURM_NTASKS_PER_NODE": "2"}
    mpi = {"RANK": "3", "SIZE": "4", "LOCAL_RANK": "1", "LOCAL_SIZE": "2"}
    for given in (slurm | {"SLURM_JOB_ID": "40017"}, {f"OMPI_COMM_WORLD_{name}": value for name, value in mpi.items()}):
        argv = ["sh", ROOT / "examples/ranks.sh", "env"]
        said = subprocess.run(
            argv, env={"PATH": os.environ["PATH"]} | given, capture_output=True, text=True, check=True
        )
        found = dict(line.split("=", 1) for line in said.stdout.splitlines())
        assert Place.of(found) == Place(3, 4, 1, 2) and found["MASTER_ADDR"] == "127.0.0.1"
        assert int(found["MASTER_PORT"]) == 20017 if given is slurm else 20000 <= int(found["MASTER_PORT"]) < 40000
