"""experiments/flag_files.py: flags in a YAML file, also in the sections of an older system, and their mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import cli
from errors import UsageError
from experiments import config_file

METER = """\
data:
  csv: house.csv
  time_col: time
  mains: total
  devices: [kettle, lamp=light]
  window: 60
  stride: 30
model:
  hidden: 16
training:
  batch_size: 8
  lr: 1e-3
  epochs: 2
  patience: 4
  on_w: {kettle: 500, lamp: 30}
"""


@pytest.fixture
def read(put: Callable[..., Path]) -> Callable[..., cli.RunConfig]:
    def parse(text: str, *words: str) -> cli.RunConfig:
        return cli.parse(["--config", str(put(text, "config.yaml")), *words])

    return parse


def problem(read: Callable[..., cli.RunConfig], text: str, *words: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(text, *words)
    return str(caught.value)


def test_sections_say_what_flags_say(read):
    got = read(METER)
    words = """--mode train --task nilm --csv house.csv --time-col time --mains-col total
        --device-cols kettle lamp=light --window 60 --stride 30 --backbone gru --model-args hidden=16 --batch-size 8
        --lr 0.001 --epochs 2 --patience 4 --on-w kettle=500 lamp=30"""
    assert got.flat() == cli.parse(words.split()).flat()
    assert [note.partition("config.yaml: ")[2] for note in got.notes] == [
        "--mode train --task nilm",
        "--backbone gru, which has hidden",
    ]


def test_new_names_and_the_command_line_come_before(read):
    new = METER.replace("window: 60", "context_len: 60").replace("mains: total", "mains_col: total")
    new = new.replace("devices:", "device-cols:").replace("hidden: 16", "backbone: tcn\n  filters: 8")
    got = read(new, "--mode", "train", "--task", "nilm", "--lr", "0.01", "--model-args", "filters=4")
    assert got.backbone == "tcn" and got.lr == 0.01 and got.model_args == {"filters": 4} and got.notes == ()
    assert got.options["mains_col"] == "total" and got.context_len == 60


def test_items_of_a_database_keep_their_names(read):
    text = METER.replace("csv: house.csv", "db: embedded:x").replace("  time_col: time\n", "")
    got = read(text.replace("total", "59").replace("[kettle, lamp=light]", "{kettle: 201, lamp: 35}"))
    assert got.options["mains"] == "59" and got.options["devices"] == ("kettle=201", "lamp=35")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("hidden: 16", "hiden: 16", "config.yaml:9: unknown key 'hiden' in model; did you mean hidden?"),
        ("stride: 30", "strid: 30", "config.yaml:7: unknown key 'strid' in data; did you mean stride?"),
        ("patience: 4", "patienc: 4", "config.yaml:14: unknown key 'patienc' in training; did you mean patience?"),
        ("mains: total", "main: total", "config.yaml:4: unknown key 'main' in data; did you mean mains?"),
        ("model:", "modl: 3\nmodel:", "config.yaml:8: unknown key 'modl'"),
        ("stride: 30", "stride: 30\n  window: 9\n  context_len: 8", "is there twice"),
        ("lr: 1e-3", "lr: fast", "config.yaml:12: --lr takes a number, got 'fast'"),
    ],
)
def test_a_wrong_key_is_named_with_its_line_and_the_nearest(read, old, new, text):
    assert text in problem(read, METER.replace(old, new))


def test_a_flat_file_names_the_line_too(read):
    text = "mode: train\ntask: classify\ncsv: a.csv\ncontext_len: 9\nbatchsize: 4\n"
    assert "config.yaml:5: unknown key 'batchsize'; did you mean batch_size?" in problem(read, text)


@pytest.mark.parametrize(
    ("text", "words", "experiment"),
    [
        (METER, (), False),
        ("data: {csv: a}\ntraining: {max_epochs: 3}\n", (), True),
        ("data: {csv: a}\ntraining: {max_epochs: 3}\n", ("task",), True),  # --task does not go with it, which is said
        ("data: {csv: a}\ntraining: {}\n", (), True),
        ("data: {csv: a}\ntraining: {}\n", ("task",), False),
        ("data: {csv: a}\nmodel: {d_model: 8}\ntraining: {lr: 0.1}\n", (), False),
    ],
)
def test_an_experiment_is_told_from_flags_in_sections(put, text, words, experiment):
    assert config_file.is_one(str(put(text, "a.yaml")), words) == experiment
