"""A label for each step from a file of its own."""

import numpy as np
import pytest

from .runs import go


def machine(folder, steps: int = 400) -> np.ndarray:
    """Four channels, of which two rise while the label is 1, and the label of each step in a file of its own."""
    draw = np.random.default_rng(2)
    label = (np.arange(steps) // 20) % 4 == 3
    table = np.cumsum(draw.normal(0, 0.1, (steps, 4)), 0) + 3 * label[:, None] * [1, 1, 0, 0]
    np.savetxt(folder / "machine.txt", table, "%.4f", ",")
    np.savetxt(folder / "y.txt", label, "%d")
    return label


def test_labels_of_steps_are_learned_and_not_seen(tmp_path) -> None:
    label = machine(tmp_path)
    words = "--task classify --csv machine.txt --labels y.txt --context-len 5 --test-ratio 0.2 --backbone ridge"
    done = go(tmp_path, f"{words} --reference off")
    assert done.code == 0 and "a label for each of 400 steps" in done.err
    lines = [line.split(",") for line in (done.directory / "preds.csv").read_text().splitlines()[1:]]
    assert [int(float(line[2])) for line in lines] == [int(label[int(line[1])]) for line in lines]
    assert "4 inputs" not in done.err and "drop_label_from_x: true" in (done.directory / "config.yaml").read_text()
    new = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv machine.txt")
    assert new.code == 0 and "predictions only" in new.err
    assert len((new.directory / "preds.csv").read_text().splitlines()) == 1 + 395 + 1  # and the step after the last
    scored = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv machine.txt --labels y.txt")
    assert scored.code == 0 and "395 scored" in scored.err


@pytest.mark.parametrize("words", [("ok", "fault"), ("2", "5")])
def test_labels_of_steps_are_words_or_codes_below_a_name(tmp_path, words) -> None:
    label = machine(tmp_path)
    (tmp_path / "y.csv").write_text("state\n" + "".join(f"{words[int(one)]}\n" for one in label))
    words_ = "--task classify --csv machine.txt --labels y.csv --context-len 5 --backbone ridge --dry-run"
    done = go(tmp_path, words_)
    assert done.code == 0 and f"label 'state' is true where it is {words[1]}" in done.err


def test_labels_that_fit_neither_rows_nor_steps_are_refused(tmp_path) -> None:
    machine(tmp_path)
    (tmp_path / "y.txt").write_text("0\n1\n" * 100)
    done = go(tmp_path, "--task classify --csv machine.txt --time-col line --labels y.txt --dry-run")
    assert done.code == 3 and "200 lines for 1 row" in done.err
