"""Recordings by modality: what an .npz may hold, and what each mistake in one is told."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from errors import DataError, UsageError
from readers.npz import read_npz

from .runs import go, good, preds, strict

N, T = 12, 6


def arrays(**more: np.ndarray) -> dict[str, np.ndarray]:
    """Two modalities whose values say where they stand: modality, recording, step, feature."""
    n, t = np.arange(N)[:, None, None], np.arange(T)[None, :, None]
    made = {
        "visual": 1000 * n + 10 * t + np.arange(3),
        "audio": -(1000.0 * n + 10 * t + np.arange(2)),
        "labels": np.stack([np.arange(N) % 2, np.arange(N) // 3 % 2], axis=1),
        "groups": np.arange(N) // 4,
    }
    return made | more


@pytest.fixture
def file(tmp_path):
    def write(name="raw.npz", **more):
        held = {key: value for key, value in arrays(**more).items() if value is not None}
        np.savez_compressed(tmp_path / name, **held)
        return tmp_path / name

    return write


def read(path, **options):
    return read_npz(path, **({"nan": "error"} | options))


def refused(path, **options) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_values_lie_by_channel_recording_and_step(file):
    found = read(file(visual_names=np.array(["cup", "pan", "book"]), labels_names=np.array(["sink", "desk"])))
    assert found.modalities == (("visual", 3), ("audio", 2)) and found.view().shape == (N, 5, T)
    assert found.channels == ("visual.cup", "visual.pan", "visual.book", "audio.0", "audio.1")
    made = arrays()
    for c, (name, feature) in enumerate([("visual", 0), ("visual", 1), ("visual", 2), ("audio", 0), ("audio", 1)]):
        for n in range(N):
            for t in range(T):
                assert found.values[c, n * T + t] == made[name][n, t, feature]
    assert found.values.dtype == np.float32 and found.label_names == ("sink", "desk")
    assert (found.labels == made["labels"]).all() and list(found.groups) == [str(n // 4) for n in range(N)]


def test_what_is_no_modality_is_left_alone_with_a_note(file):
    found = read(file(start=np.arange(N), room=np.array(["a"] * N)))
    assert found.notes[0].endswith("arrays ignored: start, room")
    assert read(file(labels=None, groups=None)).labels is None


def test_groups_may_be_any_array_with_a_value_a_recording(file):
    found = read(file(block=np.array(list("aabbccddeeff"))), groups="block")
    assert "".join(found.groups) == "aabbccddeeff"
    assert "did you mean block?" in refused(file(block=np.arange(N)), groups="blok")
    assert "has shape (3,) for 12 recordings" in refused(file(block=np.arange(3)), groups="block")


def test_a_checkpoint_finds_its_channels_by_name_in_any_order(file):
    path = file(visual_names=np.array(["cup", "pan", "book"]))
    found = read(path, columns=["audio.1", "visual.book", "visual.cup"], partly=True)
    assert found.channels == ("audio.1", "visual.book", "visual.cup") and found.modalities == (
        ("audio", 1),
        ("visual", 2),
    )
    made = arrays()
    assert (found.values[1].reshape(N, T) == made["visual"][:, :, 2]).all()
    assert (found.values[0].reshape(N, T) == made["audio"][:, :, 1]).all()


def test_a_modality_that_the_model_wants_and_the_file_lacks(file):
    text = refused(file(), columns=["visual.0", "visal.0"])
    assert "lacks visal, which the model was trained on" in text and "did you mean visual?" in text
    text = refused(file(), columns=["visual.0", "visual.cup"])
    assert "has 3 features and lacks cup" in text and "--adapt-modality visual" in text
    near = refused(file(visual_names=np.array(["cups", "pan", "book"])), columns=["visual.cup"])
    assert "did you mean cups?" in near and "--adapt-modality visual" in near
    assert read(file(), columns=["visual.cup"], free=["visual"]).channels == ("visual.0", "visual.1", "visual.2")


def test_features_that_the_model_does_not_know_are_told_and_never_cut_off(file):
    names = np.array(["cup", "pan", "book"])
    text = refused(file(visual_names=names), columns=["visual.pan"])
    assert "has 3 features, and the model was trained on 1: it does not know visual.cup, visual.book" in text
    assert "--adapt-modality visual" in text
    chosen = read(file(visual_names=names), columns=["visual.pan"], partly=True)
    (note,) = [note for note in chosen.notes if "left out" in note]
    assert note.startswith("warning:") and note.endswith("audio.0, audio.1, visual.cup and 1 more")
    text = refused(file(), columns=["visual.0", "visual.1"])
    assert "has 3 features without names, and the model was trained on 2" in text and "--adapt-modality visual" in text


def test_labels_may_be_words_or_codes_with_names(file):
    found = read(file(labels=np.array(["b", "a", "c"] * 4)))
    assert found.labels[:3, 0].tolist() == [1, 0, 2] and found.label_words == (("a", "b", "c"),)
    found = read(file(labels=np.array([1, 0, 2] * 4), labels_names=np.array(["sit", "run", "lie"])))
    assert found.labels[:3, 0].tolist() == [1, 0, 2] and found.label_words == (("sit", "run", "lie"),)
    assert found.label_names == ("label",)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"audio": np.zeros((N, T + 1, 2))}, "the modalities differ in recordings or steps"),
        ({"audio": np.zeros((N - 1, T, 2))}, "audio            (11, 6, 2)"),
        ({"audio": np.zeros((N, T + 1))}, "an array (N, T) is one channel, with the N and T of the others"),
        ({"audio": np.zeros((N, T, 0))}, "it is empty"),
        ({"audio": np.full((N, T, 1), "loud")}, "holds <U4, not numbers"),
        ({"a.b": np.zeros((N, T, 1))}, "a modality's name must not contain a dot"),
        ({"labels": np.zeros((N + 2, 2))}, "has shape (14, 2) for 12 recordings"),
        ({"labels": np.where(np.arange(N) == 5, np.nan, 0.0)}, "labels[5]: a label is not a finite number"),
        ({"labels_names": np.array(["a"])}, "it should be 2 names, as labels has"),
        ({"visual_names": np.array(["cup", "cup", "pan"])}, "names must differ: cup"),
        ({"visual": None, "audio": None}, "holds no array of shape (N, T, d)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(file, more, text):
    assert text in refused(file(**more))


def test_python_objects_are_refused_unread(file, tmp_path):
    class Trap:
        def __reduce__(self):
            return exec, ("raise SystemExit('the pickle was run')",)

    for place in ("visual", "extra"):
        text = refused(file(**{place: np.array([Trap()] * N, object)}))
        assert "only running a pickle would read: refused" in text
    (tmp_path / "p.npz").write_bytes(pickle.dumps(Trap()))
    assert "is not an .npz archive" in refused(tmp_path / "p.npz")


def test_what_is_no_archive_is_told(file, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "t.npz").write_text("hello")
    (tmp_path / "e.npz").write_bytes(b"")
    for name in ("a.npy", "t.npz", "e.npz"):
        assert "is not an .npz archive" in refused(tmp_path / name)
    whole = file().read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    assert "is not an .npz archive" in refused(tmp_path / "cut.npz")
    assert "did you mean raw.npz?" in refused(tmp_path / "rww.npz")


def test_missing_values_of_one_sensor_obey_nan(file):
    held = arrays()["visual"].astype(float)
    held[0, 0, 1] = held[3, 4, 1] = np.nan
    held[3, 5, 1] = np.inf
    path = file(visual=held)
    text = refused(path)
    assert f"{path}:visual[0], step 0: missing value" in text and "2 missing and 1 infinite values in visual.1" in text
    dropped = read(path, nan="drop")
    assert np.isnan(dropped.values[1]).sum() == 3 and not np.isnan(dropped.values[[0, 2, 3, 4]]).any()
    filled = read(path, nan="ffill").values[1].reshape(N, T)
    assert np.isnan(filled[0, 0]) and filled[3, 4] == filled[3, 5] == held[3, 3, 1]
    made_up = read(path, nan="ffill").filled
    assert made_up.sum() == 2 and made_up[1].reshape(N, T)[3, 4:6].all() and dropped.filled is None
    assert read(path, nan="zero").values[1].reshape(N, T)[3, 5] == 0
    assert read(path, nan="ffill").notes == (
        "2 missing and 1 infinite values in visual: filled with the value before in the row; "
        "1 at the start of a row left as gaps",
    )
    with pytest.raises(UsageError):
        read(path, nan="mend")


# ---- through the command line

TRAIN = "--mode train --task classify --npz raw.npz --backbone linear --epochs 1 --no-plots --quiet"


def test_a_run_takes_its_labels_and_groups_from_the_file(file, tmp_path):
    file(day=np.array(["mon", "tue", "wed"] * 4))
    folder = good(tmp_path, TRAIN, "--groups day --val-groups tue --test-groups wed")
    held = strict(folder / "manifest.json")
    assert held["split"]["rows"]["val"] == [1, 4, 7, 10] and held["split"]["rows"]["test"] == [2, 5, 8, 11]
    assert held["split"]["overlap"] == 0 and held["data"]["channels"][0] == "visual.0"
    lines = preds(folder)
    assert {line["row"] for line in lines} == {"2", "5", "8", "11"} and {line["label"] for line in lines} == {
        "label0",
        "label1",
    }
    # The same file in another order of its arrays gives the same predictions.
    made = arrays(day=np.array(["mon", "tue", "wed"] * 4))
    np.savez(tmp_path / "other.npz", **{name: made[name] for name in reversed(made)})
    again = good(tmp_path, f"--mode infer --npz other.npz --ckpt {folder} --no-plots --quiet")
    said = {(line["row"], line["label"]): line["y_score"] for line in preds(again)}
    assert all(said[line["row"], line["label"]] == line["y_score"] for line in lines)


def test_groups_of_a_file_beside_it(file, tmp_path):
    file(groups=None)
    (tmp_path / "days.csv").write_text("\n".join(["x", "y", "z"] * 4) + "\n")
    folder = good(tmp_path, TRAIN, "--groups days.csv --val-groups z")
    assert strict(folder / "manifest.json")["split"]["rows"]["val"] == [2, 5, 8, 11]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("--csv a.csv", 2, "--npz holds all of the data"),
        ("--labels y.csv", 2, "--labels belongs to --csv"),
        ("--demo", 2, "leave --npz out"),
        ("--val-groups 9", 2, "--val-groups: there is no group '9'\n  hint: the groups are 0, 1, 2"),
        ("--val-groups 1 --split-mode rolling --context-len 3", 2, "--val-groups belongs to --split-mode group"),
        ("--groups nothing", 3, "--groups: there is no array or file 'nothing'"),
        ("--context-len 7", 3, "rows have 6 steps, a window needs 7"),
    ],
)
def test_flags_that_do_not_go_together(file, tmp_path, words, code, text):
    file()
    done = go(tmp_path, TRAIN, words)
    assert done.code == code and text in done.err, done.err


def test_inference_names_the_modality_that_is_not_there(file, tmp_path):
    file()
    folder = good(tmp_path, TRAIN)
    file("less.npz", audio=None)
    done = go(tmp_path, f"--mode infer --npz less.npz --ckpt {folder}")
    assert done.code == 3 and "lacks audio, which the model was trained on" in done.err
    file("short.npz", visual=np.zeros((N, 3, 3)), audio=np.zeros((N, 3, 2)))
    done = go(tmp_path, f"--mode infer --npz short.npz --ckpt {folder}")
    assert done.code == 3 and "rows have 3 steps, a window needs 6" in done.err
    file("blind.npz", labels=None)
    assert good(tmp_path, f"--mode infer --npz blind.npz --ckpt {folder} --no-plots --quiet")


def test_labels_of_another_usual_name_and_an_array_of_one_channel(tmp_path):
    values = np.arange(12.0).reshape(3, 4)
    np.savez(tmp_path / "a.npz", X=values, y=np.array(["b", "a", "b"]))
    series = read_npz(tmp_path / "a.npz")
    assert series.channels == ("X.0",) and series.label_words == (("a", "b"),)
    assert series.labels is not None and series.labels[:, 0].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(series.values[0], values.ravel())
    assert not series.notes


def test_arrays_of_two_dimensions_are_one_channel_each(file):
    flat = np.arange(N * T, dtype=float).reshape(N, T)
    found = read(file(audio=flat, pulse=-flat))
    assert found.channels == ("visual.0", "visual.1", "visual.2", "audio.0", "pulse.0")
    assert (found.view()[:, 3] == flat).all() and (found.view()[:, 4] == -flat).all()


PARTS = [("X_train", "y_train", "X_test", "y_test"), ("train_X", "train_y", "test_X", "test_y")]


@pytest.mark.parametrize("names", [*PARTS, ("Xtrain", "ytrain", "Xtest", "ytest")])
def test_of_parts_training_is_learned_from_and_test_predicted(tmp_path, names):
    x, y = np.random.default_rng(0).normal(size=(30, 8)), np.arange(30) % 3
    np.savez(tmp_path / "a.npz", **dict(zip(names, (x[:20], y[:20], x[20:], y[20:]), strict=True)))
    train, test = read(tmp_path / "a.npz"), read(tmp_path / "a.npz", infer=True)
    assert train.channels == test.channels == ("X.0",)
    assert np.allclose(train.values[0], x[:20].ravel()) and np.allclose(test.values[0], x[20:].ravel())
    assert train.labels[:, 0].tolist() == y[:20].tolist() and test.labels[:, 0].tolist() == y[20:].tolist()
    assert any(f"{names[2]}, {names[3]} left out; --mode infer" in note for note in train.notes)


def test_a_validation_part_is_read_with_training(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(30, 8, 2)), np.arange(30) % 3
    parts = {"x_val": x[20:25], "y_val": y[20:25], "x_train": x[:20], "y_train": y[:20], "x_test": x[25:]}
    np.savez(tmp_path / "a.npz", **parts)
    found = read(tmp_path / "a.npz")
    assert found.view().shape == (25, 2, 8) and np.allclose(found.view(), x[:25].transpose(0, 2, 1))
    assert found.labels[:, 0].tolist() == y[:25].tolist()
    assert any("x_train and x_val are read as one, x" in note for note in found.notes)
    np.savez(tmp_path / "b.npz", **(parts | {"x_val": x[20:25, :7]}))
    assert "differ in more than their number of recordings: (20, 8, 2), (5, 7, 2)" in refused(tmp_path / "b.npz")


def test_names_that_only_look_like_parts_stay(tmp_path):
    x = np.zeros((5, 4, 1))
    np.savez(tmp_path / "a.npz", test_rig=x, strain=x)
    assert read(tmp_path / "a.npz").channels == ("test_rig.0", "strain.0")
    np.savez(tmp_path / "b.npz", X=x, X_train=x)
    assert read(tmp_path / "b.npz").channels == ("X.0", "X_train.0")


def test_arrays_without_names_and_single_ones(tmp_path):
    np.savez(tmp_path / "a.npz", np.zeros((5, 4)), np.arange(5) % 2)
    found = read(tmp_path / "a.npz")
    assert found.labels[:, 0].tolist() == [0, 1, 0, 1, 0] and any("arr_1 taken as the labels" in n for n in found.notes)
    np.save(tmp_path / "x.npy", np.zeros((5, 4)))
    assert "np.savez('x.npz', X=np.load(" in refused(tmp_path / "x.npy")
    assert "--npz reads recordings" in go(tmp_path, "--mode train --task classify --csv x.npy").err
