"""Names of files that a shell, a terminal, a page or a spreadsheet would take for something else, in every command."""

from __future__ import annotations

import json
import os
import shlex

import pytest

from exporting import export
from nas_agent import RunInfo, add_run, load_agent_state, save_agent_state
from tools import report

from ..runs import go, standing_in
from .test_processes import RUN, box  # noqa: F401  box is a fixture


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("n" * 251 + ".csv", marks=pytest.mark.fault("a name of 255 characters", "taken as it is")),
        pytest.param("수" * 83 + "ab.csv", marks=pytest.mark.fault("a path in Korean")),
        pytest.param("a 'b\" $x `y` {1,2}*.csv", marks=pytest.mark.fault("a path with quotes")),
        pytest.param("-~a\n\x1b[31m%s.csv", marks=pytest.mark.fault("script in names")),
        pytest.param("=1+1<script>$\\frac{.csv", marks=pytest.mark.fault("a formula in names")),
        pytest.param(os.fsdecode(b"\xff\xfe#: .csv"), marks=pytest.mark.fault("a name that is no text")),
    ],
    ids=["long", "korean", "shell", "terminal", "page", "no text"],
)
def test_every_command_takes_any_name(box, name):  # noqa: F811
    (box / "a.csv").rename(box / name)
    folder = name[:-4]
    file, out = (shlex.quote(f"--{flag}={word}") for flag, word in (("csv", name), ("out", folder)))
    for words in (
        [RUN.replace("--csv a.csv", file), "--tag run"],
        ["--mode infer --task classify --tag infer", file, shlex.quote(f"--ckpt={folder}/run")],
        *[[shlex.quote(f"--config={folder}/run/config.yaml"), "--tag again"]] * name.isprintable(),  # as YAML wants it
    ):
        done = go(box, *words, out)
        assert done.code == 0 and "\x1b" not in done.err, done.err
    found = {path.name for path in (box / folder).iterdir()}
    assert found == {"run", "infer", *["again"] * name.isprintable()}
    with standing_in(box):
        assert report.main([f"./{folder}", "--out=r"]) == 0


def test_what_is_written_beside_a_model_or_a_study_takes_a_name_that_is_no_text(tmp_path):
    name = os.fsdecode(b"\xff")
    export._write(tmp_path / "m.onnx", b"model", {"checkpoint": name})
    state = load_agent_state(tmp_path)
    save_agent_state(add_run(state, RunInfo("one", 0.1, history_summary=name)))
    assert load_agent_state(tmp_path).runs[0]["history_summary"] == name
    card, view = ((tmp_path / file).read_text(encoding="utf-8") for file in ("m.onnx.json", "agent_state.json"))
    assert json.loads(card) == {"checkpoint": name} and json.loads(view)["runs"][0]["history_summary"] == name
