"""Sensors of several kinds: the encoder, training in stages, a changed sensor, classes of which one holds."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import yaml

import checkpoint
import finetune
from backbones import ModelSpec
from backbones.model import build_model
from readers.npz import read_npz

from . import forkserver
from .conftest import ROOT
from .runs import go, good, preds, strict

SIZES = {"visual": 14, "audio": 17, "pose": 51, "spatial": 7, "time": 10}
SMALL = "--model-args width=8 heads=2 context=12 hidden=6 dropout=0"
TRAIN = f"--mode train --task classify --npz raw.npz --backbone fusion_gru {SMALL} --epochs 3 --batch-size 16 --lr 0.01"
QUIET = "--no-plots --reference off --test-ratio 0.2"
RUN = "train_classify_ctx6_ch5_alpha0.50_pwglobal_fusion_gru"


def recordings(n=60, steps=6, light=3, seed=0) -> dict[str, np.ndarray]:
    """Which of three things happened in a recording: light says 0 or not, sound says 1 or 2 while it is light."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, n)
    seen = np.where(kind == 0, 0.0, 1.0)[:, None, None] * [1.0, 0.5, 0.2][:light]
    heard = np.where(kind == 1, 1.0, -1.0)[:, None, None] * [1.0, 0.3]
    return {
        "light": seen + random.normal(0, 0.1, (n, steps, light)),
        "sound": heard + random.normal(0, 0.1, (n, steps, 2)),
        "light_names": np.array(["window", "door", "lamp"][:light]),
        "sound_names": np.array(["low", "high"]),
        "labels": np.eye(3)[kind],
        "labels_names": np.array(["dark", "talk", "quiet"]),
    }


@pytest.fixture
def home(tmp_path):
    np.savez(tmp_path / "raw.npz", **recordings())
    return tmp_path


def weights(folder, name="model.pt.best"):
    return checkpoint.read(folder / name)["state"]


# ---- the model


def fusion(**more):
    torch.manual_seed(0)
    args = more.pop("args", {})
    return build_model(
        ModelSpec(
            backbone="fusion_gru",
            channels=99,
            length=30,
            outputs=7,
            horizon=1,
            head="pool",
            args=args,
            modalities=SIZES,
            **more,
        )
    )


def test_the_parts_have_the_sizes_that_are_asked_for():
    found = finetune.modules_of(fusion())
    # 99 columns and 5 biases of 80; a token; a norm; q, k, v; out; join. Three gates with 2 biases each. Norm, head.
    encoder = 99 * 80 + 5 * 80 + 80 + 2 * 80 + 3 * 80 * 80 + (80 * 80 + 80) + (80 * 160 + 160)
    gru, head = 3 * 64 * (160 + 64 + 2), 2 * 64 + 64 * 7 + 7
    assert {name: row["parameters"] for name, row in found.items()} == {"encoder": encoder, "gru": gru, "head": head}
    assert (encoder, gru, head) == (47_200, 43_392, 583)
    assert found["gru"]["bytes"] == 4 * gru


def test_a_context_is_attention_across_the_modalities_of_its_own_step():
    """Against a loop over steps and heads in plain tensors."""
    encoder = fusion(args={"width": 8, "heads": 2, "context": 5}).backbone.encoder.eval()
    x = torch.randn(2, 99, 4, generator=torch.Generator().manual_seed(3))
    said = encoder(x)
    q_k_v, gelu = encoder.qkv.weight.chunk(3), torch.nn.functional.gelu
    for b in range(2):
        for t in range(4):
            parts = x[b, :, t].split(list(SIZES.values()))
            tokens = [
                layer.weight @ part + layer.bias for layer, part in zip(encoder.project.values(), parts, strict=True)
            ]
            tokens = torch.stack([*tokens, encoder.token])
            centred = tokens - tokens.mean(1, keepdim=True)
            normal = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
            q, k, v = (normal @ part.T for part in q_k_v)
            heads = []
            for h in (slice(0, 4), slice(4, 8)):
                heads.append(torch.softmax(q[:, h] @ k[:, h].T / 4**0.5, dim=1) @ v[:, h])
            tokens = tokens + torch.cat(heads, dim=1) @ encoder.out.weight.T + encoder.out.bias
            context = gelu(encoder.join(gelu(tokens).mean(dim=0)))
            torch.testing.assert_close(said[b, :, t], context, atol=1e-5, rtol=1e-4)


def test_modalities_may_bear_any_name():
    names = {"values": 1, "type": 1, "training": 1, "2": 1}
    model = build_model(
        ModelSpec(
            backbone="fusion_gru", channels=4, length=3, outputs=1, horizon=1, head="pool", args={}, modalities=names
        )
    )
    assert len(model.backbone.encoder.project) == 4
    for name in names:
        assert model.backbone.get_submodule(model.backbone.module_of(name)).weight.shape == (80, 1)


# ---- stages


def test_both_stages_in_one_run(home):
    folder = good(home, TRAIN, QUIET)
    assert folder.name == f"{RUN}_all_seed777_splitgroup"
    inner = folder / "encoder"
    for file in ("model.pt.best", "history.csv", "attention_encoder.pt", "metrics.json", "manifest.json"):
        assert (inner / file).is_file(), file
    encoder, rest, whole = weights(inner, "attention_encoder.pt"), weights(folder, "gru_model.pt"), weights(folder)
    assert {f"backbone.encoder.{key}" for key in encoder} | rest.keys() == whole.keys()
    for key, value in encoder.items():  # frozen in the second stage, and kept as the first left it
        assert torch.equal(value, whole[f"backbone.encoder.{key}"])
        assert torch.equal(value, weights(inner)[f"backbone.encoder.{key}"])
    manifest = strict(folder / "manifest.json")["model"]
    assert all(name.startswith("backbone.encoder.") for name in manifest["frozen"]) and manifest["frozen"]
    assert not [name for name in manifest["trained"] if "encoder" in name]
    assert manifest["modules"]["encoder"]["parameters"] == sum(value.numel() for value in encoder.values())
    assert (folder / "history.csv").read_text() != (inner / "history.csv").read_text()
    torch.load(inner / "attention_encoder.pt", weights_only=True)


def test_contexts_made_once_are_what_the_whole_model_sees(home):
    """The second stage never ran the encoder in training; inference does, and says the same."""
    folder = good(home, TRAIN, QUIET)
    again = good(
        home, f"--mode infer --npz raw.npz --ckpt {folder} --eval-split test", QUIET.replace("--test-ratio 0.2", "")
    )
    said, before = ([float(line["p talk"]) for line in preds(place)] for place in (again, folder))
    np.testing.assert_allclose(said, before, atol=1e-6)
    history = (folder / "history.csv").read_text().splitlines()
    columns = dict(
        zip(history[0].split(","), zip(*(line.split(",") for line in history[1:]), strict=True), strict=True)
    )
    best = strict(folder / "metrics.json")
    # The monitor of the best epoch was worked out on contexts, validation at the end on the recordings themselves.
    assert float(columns["val_macro_f1"][best["best_epoch"] - 1]) == pytest.approx(
        best["validation"]["macro_f1"], abs=1e-12
    )


def test_stages_one_by_one_are_both_at_once(home, alone):
    one = alone
    two = good(home, TRAIN, QUIET, f"--stage gru --encoder {one}")
    both = good(home, TRAIN, QUIET, "--stage all")
    assert one.name.endswith("fusion_gru_encoder_seed777_splitgroup") and two.name.endswith(
        "gru_gru_seed777_splitgroup"
    )
    for key, value in weights(both).items():
        assert torch.equal(value, weights(two)[key]), key
    third = good(home, TRAIN, QUIET, f"--stage gru --encoder {both} --desc same")
    assert all(torch.equal(value, weights(third)[key]) for key, value in weights(two).items())
    # The first stage's own run infers too, and a run's own settings may say what to infer with.
    assert good(home, f"--config {both}/config.yaml --mode infer --ckpt {both} --no-plots").name.startswith("infer_")
    assert len(preds(good(home, f"--mode infer --npz raw.npz --ckpt {one} --no-plots"))) == 60


def test_the_scale_of_the_second_stage_is_the_encoders(home, alone):
    held = recordings(seed=4)
    np.savez(home / "bright.npz", **{**held, "light": 7 * held["light"] + 3})
    two = good(home, TRAIN.replace("raw", "bright"), QUIET, f"--stage gru --encoder {alone}")
    assert checkpoint.read(two / "model.pt.best")["scaler"] == checkpoint.read(alone / "model.pt.best")["scaler"]


def test_a_missing_encoder_names_the_command_that_makes_it(home):
    done = go(home, TRAIN, QUIET, "--stage gru")
    assert done.code == 4 and "--stage gru requires --encoder DIR" in done.err
    command = done.err.partition("this makes one: python run.py ")[2].strip()
    assert command.endswith("--stage encoder") and "--stage gru" not in command
    made = good(home, command)
    assert go(home, TRAIN, QUIET, f"--stage gru --encoder {made}").code == 0
    done = go(home, TRAIN, QUIET, "--stage gru --encoder nowhere")
    assert done.code == 4 and "--encoder nowhere: no attention_encoder.pt there" in done.err
    assert "--encoder nowhere" not in done.err.partition("this makes one")[2]


@pytest.mark.parametrize(
    ("flags", "data", "text"),
    [
        (SMALL.replace("width=8", "width=10"), {}, "has other dimensions: {'width': 8, 'heads': 2"),
        (SMALL, {"light": 2}, "was trained on other channels: light 3, sound 2; these data have light 2, sound 2"),
        (f"{SMALL} --seed 5", {}, "was trained on another split of these files, and may have seen this run's test"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(home, alone, flags, data, text):
    if data:
        np.savez(home / "raw.npz", **recordings(**data))
    done = go(home, TRAIN.replace(SMALL, flags), QUIET, f"--stage gru --encoder {alone}")
    assert done.code == 4 and text in done.err, done.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (TRAIN.replace(f"fusion_gru {SMALL}", "gru") + " --stage encoder", "gru has no stages; fusion_gru has"),
        (f"{TRAIN} --encoder x", "--encoder belongs to --mode train --stage gru"),
        (f"{TRAIN} --stage coder", "did you mean encoder?"),
        (f"{TRAIN} --adapt-modality light", "--adapt-modality belongs to --mode finetune"),
        (
            "--mode train --task forecast --demo --context-len 8 --backbone fusion_gru --stage all",
            "no step can be encoded by itself",
        ),
        ("--mode finetune --npz raw.npz --task classify --ckpt x --stage encoder", "cannot read a retrained encoder"),
    ],
)
def test_stages_that_make_no_sense_are_told(home, words, text):
    done = go(home, words)
    assert done.code == 2 and text in done.err, done.err


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
def test_a_killed_run_goes_on_in_its_stage(home, stage):
    """Killed by SIGTERM in either stage, `--resume` ends with the weights of a run that was never stopped."""
    words = [*f"{TRAIN} {QUIET}".replace("--epochs 3", "--epochs 60").split(), "--patience", "0"]
    straight = good(home, " ".join(words), "--desc straight")
    words += ["--desc", "stopped"]
    partial = home / "artifacts" / f".{RUN}_all_seed777_splitgroup_stopped.partial"
    child = forkserver.Popen([sys.executable, str(ROOT / "run.py"), *words], cwd=home, stderr=subprocess.DEVNULL,
                             env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    wanted = (partial / "encoder" / "model.pt") if stage == 1 else (partial / "model.pt")
    while not wanted.is_file() and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 143, "it was over before it could be stopped"
    done = go(home, " ".join(words), "--resume")
    assert done.code == 0 and "resuming in epoch" in done.err
    assert all(torch.equal(value, weights(done.directory)[key]) for key, value in weights(straight).items())


# ---- a sensor changes


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of both stages on the recordings of `home`; nothing writes to it."""
    place = tmp_path_factory.mktemp("trained")
    np.savez(place / "raw.npz", **recordings())
    return good(place, TRAIN.replace("--epochs 3", "--epochs 12"), QUIET)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run of stage `encoder` on the same."""
    place = tmp_path_factory.mktemp("alone")
    np.savez(place / "raw.npz", **recordings())
    return good(place, TRAIN, QUIET, "--stage encoder")


def adapt(home, trained, *words):
    return go(
        home, f"--mode finetune --task classify --ckpt {trained} --epochs 2 --batch-size 16 --lr 0.01", QUIET, *words
    )


def test_only_the_changed_sensors_projection_is_new(home, trained):
    held = recordings(seed=9)
    changed = np.concatenate([held["light"][:, :, [2, 0]], 5 + held["light"][:, :, :1]], axis=2)
    np.savez(home / "new.npz", **{**held, "light": changed, "light_names": np.array(["lamp", "window", "roof"])})
    done = adapt(home, trained, "--npz new.npz --adapt-modality light --lr 1e-12")
    assert done.code == 0, done.err
    assert "kept: light.lamp, light.window; new: light.roof; gone: light.door" in done.err
    assert (
        "trained: backbone.encoder.project.light.weight, backbone.encoder.project.light.bias; frozen: all the rest"
        in done.err
    )
    old, new = (checkpoint.read(place / "model.pt.best") for place in (trained, done.directory))
    key = "backbone.encoder.project.light.weight"
    for column, before in ((0, 2), (1, 0)):
        torch.testing.assert_close(new["state"][key][:, column], old["state"][key][:, before], atol=1e-8, rtol=0)
    assert new["state"][key][:, 2].abs().max() < 1e-8  # a new feature says nothing until it has learned to
    assert all(torch.equal(value, new["state"][k]) for k, value in old["state"].items() if "project.light" not in k)
    at = {name: k for k, name in enumerate(old["scaler"]["channels"])}
    for k, name in enumerate(new["scaler"]["channels"]):
        if name != "light.roof":
            assert new["scaler"]["mean"][k] == old["scaler"]["mean"][at[name]]
    rows = strict(done.directory / "manifest.json")["split"]["rows"]["train"]
    assert new["scaler"]["mean"][2] == pytest.approx(changed[rows, :, 2].mean(), rel=1e-5)  # training alone
    model = strict(done.directory / "manifest.json")["model"]
    assert model["trained"] == [key, key.replace("weight", "bias")] and len(model["frozen"]) == len(old["state"]) - 2
    assert model["adapted"]["light"]["gone"] == ["light.door"]
    assert "adapt-light" in done.directory.name


def test_a_lost_sensor_is_learned_around_and_infers(home, trained):
    np.savez(home / "less.npz", **recordings(n=90, light=2, seed=9))
    done = adapt(home, trained, "--npz less.npz --adapt-modality light --epochs 10")
    assert done.code == 0, done.err
    assert strict(done.directory / "metrics.json")["accuracy"] > 0.9
    again = good(home, f"--mode infer --npz less.npz --ckpt {done.directory} --no-plots")
    assert strict(again / "metrics.json")["accuracy"] > 0.9
    # A second change starts from the first.
    back = adapt(home, done.directory, "--npz raw.npz --adapt-modality light")
    assert back.code == 0 and "kept: light.window, light.door; new: light.lamp" in back.err


def test_features_without_names_are_matched_by_place_with_a_warning(home):
    held = recordings()
    bare = {key: value for key, value in held.items() if key != "light_names"}
    np.savez(home / "raw.npz", **bare)
    first = good(home, TRAIN, QUIET)
    np.savez(home / "less.npz", **{**bare, "light": held["light"][:, :, :2]})
    done = adapt(home, first, "--npz less.npz --adapt-modality light")
    assert "warning: the features of light have no names" in done.err and "kept: light.0, light.1; " in done.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--npz raw.npz --adapt-modality ligth", "there is no modality 'ligth'\n  hint: did you mean light?"),
        ("--npz raw.npz --adapt-modality light --freeze head", "leave --freeze out"),
        ("--npz raw.npz --train-only backbone.encoder", "freezes the gru, which could not read"),
        (
            "--npz raw.npz --freeze backbone.gru --reinit backbone.encoder",
            "freezes the gru, which could not read",
        ),
    ],
)
def test_changes_that_would_break_the_model_are_refused(home, trained, words, text):
    done = adapt(home, trained, words)
    assert done.code == 2 and text in done.err, done.err


def test_other_freezing_goes_on_working(home, trained):
    for flags in ("--train-only 'backbone.encoder.project.*'", "--freeze backbone", "--train-only backbone.gru head"):
        assert adapt(home, trained, f"--npz raw.npz {flags} --desc x --overwrite").code == 0


def test_plain_channels_have_no_modality_to_adapt(tmp_path):
    demo = "--task classify --demo --context-len 5 --stride 20 --no-plots --reference off --epochs 1 --quiet"
    folder = good(tmp_path, f"--mode train {demo} --backbone linear")
    done = go(tmp_path, f"--mode finetune {demo} --ckpt {folder} --adapt-modality light")
    assert done.code == 2 and "was trained on plain channels, by linear: it has no modalities" in done.err


# ---- a stage with settings of its own


def test_each_stage_may_have_its_own_epochs_batches_and_rate(home):
    words = "--stage all encoder.epochs=2 gru.epochs=4 encoder.batch=8 gru.learning_rate=0.02"
    folder = good(home, TRAIN, QUIET, words)
    lines = {part: preds_of(folder / part / "history.csv") for part in ("encoder", ".")}
    assert [len(lines[part]) for part in lines] == [2, 4]
    found = {part: checkpoint.read(folder / part / "model.pt")["config"] for part in lines}
    assert [(found[p]["epochs"], found[p]["batch_size"], found[p]["lr"]) for p in lines] == [
        (2, 8, 0.01),
        (4, 16, 0.02),
    ]
    again = good(home, TRAIN, QUIET, words, "--resume")  # finished: nothing differs from what it was
    assert again == folder and len(preds_of(folder / "history.csv")) == 4
    with (folder / "config.yaml").open() as file:
        kept = yaml.safe_load(file)
    wanted = {"encoder.epochs": 2, "gru.epochs": 4, "encoder.batch_size": 8, "gru.lr": 0.02}
    assert kept["stage_args"] == wanted and kept["stage"] == "all"
    same = good(home, f"--config {folder / 'config.yaml'} --overwrite --out again")
    assert len(preds_of(same / "encoder" / "history.csv")) == 2


def preds_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--stage all encodr.epochs=3", "did you mean encoder.epochs?"),
        ("--stage all encoder.width=3", "--stage-args encoder.width: --stage all takes encoder.epochs"),
        ("--stage encoder gru.epochs=3", "--stage-args gru.epochs: --stage encoder takes encoder.epochs"),
        ("--stage end2end encoder.epochs=3", "--stage-args encoder.epochs"),
        ("--stage-args gru.epochs=0", "--stage-args gru.epochs must be 1 or more, got 0"),
        ("--backbone gru --model-args hidden=4 --stage-args gru.epochs=2", "gru has no stages"),
        ("--stage all encoder", "--stage takes one value"),
    ],
)
def test_what_a_stage_may_not_have(home, words, text):
    done = go(home, TRAIN.replace(SMALL, "") if "--backbone gru" in words else TRAIN, QUIET, words)
    assert done.code == 2 and text in done.err


def test_a_run_interrupted_between_its_stages_goes_on_with_their_settings(home, monkeypatch):
    from fusion.stages import EncoderLearner
    from learner import Learner

    words = f"{TRAIN} {QUIET} --stage all encoder.epochs=2 gru.epochs=3"
    run = Learner.run

    def stop(self, *args):
        if not isinstance(self, EncoderLearner):
            raise KeyboardInterrupt
        return run(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "run", stop)
        assert go(home, words).code == 130
    folder = good(home, words, "--resume")
    assert [len(preds_of(folder / part / "history.csv")) for part in ("encoder", ".")] == [2, 3]


# ---- the parts as checkpoints


def test_the_files_of_the_stages_are_taken_where_a_checkpoint_is(home):
    folder = good(home, TRAIN, QUIET)
    found = {}
    for name in ("gru_model.pt", "model.pt.best", "encoder/attention_encoder.pt", "encoder/model.pt.best"):
        again = good(home, f"--mode infer --npz raw.npz --ckpt {folder / name} --no-plots --overwrite")
        found[name] = strict(again / "metrics.json")["accuracy"]
    assert found["gru_model.pt"] == found["model.pt.best"]
    assert found["encoder/attention_encoder.pt"] == found["encoder/model.pt.best"]
    tuned = good(home, f"--mode finetune --npz raw.npz --ckpt {folder / 'gru_model.pt'} {QUIET} --epochs 1")
    assert (tuned / "model.pt.best").is_file()
    (home / "alone").mkdir()
    (home / "alone" / "gru_model.pt").write_bytes((folder / "gru_model.pt").read_bytes())
    done = go(home, "--mode infer --task classify --npz raw.npz --ckpt alone/gru_model.pt")
    assert done.code == 4 and "holds a part of a model" in done.err and "model.pt.best" in done.err


# ---- a sensor with another number of features


@pytest.mark.parametrize("light", [2, 4])
@pytest.mark.parametrize("mode", ["infer", "finetune"])
@pytest.mark.parametrize("named", [True, False])
def test_another_number_of_features_is_an_error_that_names_adapt_modality(home, trained_once, light, mode, named):
    made = recordings(light=3)
    if light == 4:
        made["light"] = np.concatenate([made["light"], made["light"][..., :1]], axis=2)
        made["light_names"] = np.array(["window", "door", "lamp", "candle"])
    else:
        made["light"], made["light_names"] = made["light"][..., :2], made["light_names"][:2]
    if not named:
        del made["light_names"]
    np.savez(home / "other.npz", **made)
    more = QUIET + " --epochs 1" if mode == "finetune" else ""
    done = go(home, f"--mode {mode} --npz other.npz --ckpt {trained_once[named]} {more}")
    assert done.code == 3 and "--adapt-modality light" in done.err and f"has {light} features" in done.err


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """A run on features with names, and one on features without: {named: its folder}."""
    folder, found = tmp_path_factory.mktemp("trained"), {}
    for named in (True, False):
        made = recordings()
        np.savez(folder / "raw.npz", **(made if named else {k: v for k, v in made.items() if k != "light_names"}))
        found[named] = good(folder, TRAIN.replace("--epochs 3", "--epochs 1"), QUIET, f"--desc {named}")
    return found


def test_features_that_training_left_out_by_columns_stay_left_out(home):
    words = TRAIN.replace("fusion_gru " + SMALL, "gru --model-args hidden=4")
    folder = good(home, words, QUIET, "--columns light.lamp sound.low sound.high")
    again = good(home, f"--mode infer --npz raw.npz --ckpt {folder} --no-plots")
    assert strict(again / "metrics.json")["channels"] == 3


# ---- classes


def test_one_label_of_each_row_is_a_class(home):
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

    folder = good(home, TRAIN.replace("--epochs 3", "--epochs 10"), QUIET.replace("--reference off", ""))
    found, lines = strict(folder / "metrics.json"), preds(folder)
    true, said = ([line[key] for line in lines] for key in ("y_true", "y_pred"))
    names = ["dark", "talk", "quiet"]
    assert found["accuracy"] == accuracy_score(true, said) and found["macro_f1"] == pytest.approx(
        f1_score(true, said, average="macro")
    )
    assert found["confusion"] == confusion_matrix(true, said, labels=names).tolist() and found["classes"] == names
    shares = np.array([[float(line[f"p {name}"]) for name in names] for line in lines])
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert [names[k] for k in shares.argmax(axis=1)] == said
    assert list(found["headline"])[:2] == ["accuracy", "macro_f1"]
    # The majority class of training; logistic regressions as scikit-learn fits them on the same windows.
    rows = strict(folder / "manifest.json")["split"]["rows"]
    truth = recordings()["labels"].argmax(axis=1)
    majority = np.bincount(truth[rows["train"]]).argmax()
    assert found["references"]["majority"]["accuracy"] == (truth[rows["test"]] == majority).mean()
    assert found["references"]["logistic_last"]["accuracy"] == 1 and "logistic_window" in found["references"]
    assert checkpoint.read(folder / "model.pt.best")["fitted"]["exclusive"] is True
    again = good(home, f"--mode infer --npz raw.npz --ckpt {folder} --eval-split test --no-plots")
    assert strict(again / "metrics.json")["accuracy"] == found["accuracy"]


def test_labels_that_may_hold_together_stay_independent(home):
    held = recordings()
    held["labels"][0] = 1
    np.savez(home / "raw.npz", **held)
    done = go(home, TRAIN, QUIET)
    if done.code:  # the row fell into validation or test: training has classes, and that is told
        assert done.code == 3 and "3 labels are true in row" in done.err
    for seed in range(5):
        done = go(home, TRAIN, QUIET, f"--seed {seed} --epochs 1")
        if done.code == 0:
            found = strict(done.directory / "metrics.json")
            assert "confusion" not in found and found["headline"]["accuracy"] == found["accuracy"]
            return
    raise AssertionError("no seed put the row into training")


def test_the_shared_rooms_by_block(shared, tmp_path):
    """Real recordings whose windows overlap: whole blocks are held out, and the groups are an array of the file."""
    file = shared / "room_occupancy_multimodal" / "raw_features.npz"
    found = read_npz(file, groups="block", nan="error")
    assert found.modalities == (("temp", 4), ("light", 4), ("sound", 4), ("co2", 2), ("pir", 2), ("time", 5))
    flags = f"--npz {file} --groups block --val-groups 1 --test-groups 2 --dry-run --json --quiet"
    done = go(tmp_path, f"--mode train --task classify --backbone fusion_gru {flags}")
    assert json.loads(done.out)["windows"] == {"train": 914, "val": 10, "test": 71}
