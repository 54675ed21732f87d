"""python -m nas_agent serve: the SDK's own client over real stdin and stdout."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys

import pytest

pytest.importorskip("mcp.server.mcpserver", reason="mcp is not installed")

from mcp import Client, StdioServerParameters, stdio_client

from . import forkserver
from .conftest import ROOT
from .test_agent_commands import SECRET, ask, claimed, lay_table, study  # noqa: F401

ENV = os.environ | {"PYTHONPATH": str(ROOT)}


def calls(folder, *wanted):
    """The answers (is it an error, its content) of the server in `folder` to these calls, and its tools' names.

    All that it writes on stdout is kept in protocol.log.
    """
    server = f"{shlex.quote(sys.executable)} -m nas_agent serve | tee protocol.log"
    parameters = StdioServerParameters(command="sh", args=["-c", server], env=ENV, cwd=folder)

    async def converse():
        async with Client(stdio_client(parameters)) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            answers = [await client.call_tool(name, words) for name, words in wanted]
            told = [a.content[0].text if a.is_error else a.structured_content for a in answers]
            return tools, [(answer.is_error, text) for answer, text in zip(answers, told, strict=True)]

    return asyncio.run(asyncio.wait_for(converse(), 120))


@pytest.mark.slow
def test_an_agent_reads_proposes_and_is_told_what_is_wrong(study):  # noqa: F811
    made = claimed(study)
    ask(study, "report", "--run-id", made.run_id, "--metrics", "-", given={"val_mse": 0.5, "test_mse": SECRET})
    tools, answers = calls(
        study,
        ("read_study", {"recent": 1}),
        ("propose", {"model": {"d_mdel": 8}}),
        ("propose", {"data": {"pred_len": 1}}),
        ("propose", {"training": 3}),
        ("run", {"run_id": "run_0009"}),
        ("run", {"run_id": made.run_id}),
        ("learning_curve", {"run_id": made.run_id}),
        ("learning_curve", {"run_id": "../../etc"}),
    )
    assert tools == ["read_study", "propose", "run", "learning_curve"]
    assert [wrong for wrong, _ in answers] == [False] + [True] * 7
    seen = answers[0][1]
    assert seen["left"]["runs"] == 4 and seen["best"]["run_id"] == "run_0000" and "d_model" in seen["space"]["model"]
    assert "test_mse" not in json.dumps(seen) and str(SECRET) not in json.dumps(answers)
    said = [text for _, text in answers[1:]]
    assert "model has no key 'd_mdel' (did you mean d_model?)" in said[0]
    assert "data['pred_len'] cannot be changed by a proposal" in said[1] and "only batch_size" in said[1]
    assert "training" in said[2]
    assert "no run run_0009 is claimed" in said[3] and "run_0000 is complete" in said[4]
    assert "no such file" in said[5] and "is not a run id" in said[6]
    for line in (study / "protocol.log").read_text().splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0", "stdout carries the protocol alone"


@pytest.mark.slow
def test_a_server_without_a_study(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "nas_agent", "serve"], cwd=tmp_path, env=ENV, capture_output=True, text=True, input=""
    )
    assert done.returncode == 2 and done.stdout == "" and "there is no study" in done.stderr


@pytest.mark.slow
def test_the_example_searches_through_mcp(tmp_path):
    lay_table(tmp_path)
    ask(tmp_path, "init", "--config", "base.py", "--max-runs", 1)
    done = forkserver.run(ROOT / "examples" / "agent_mcp.py", cwd=tmp_path, nested=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "complete" and answer["accepted"] is True and "test_mse" not in done.stdout
    history = json.loads((tmp_path / "runs" / "run_0000" / "history.json").read_text())
    assert answer["curve"]["epochs"] == history["epochs"] and answer["curve"]["summary"] == answer["history_summary"]
    assert json.loads((tmp_path / "runs" / "agent_state.json").read_text())["best_run_id"] == "run_0000"
