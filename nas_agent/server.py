"""A study for an agent that speaks the Model Context Protocol, over stdin and stdout: the commands as tools.

A refusal is an answer that says what to change. No answer has scores on the test set; `finalize` is for a person, on
the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from errors import TsrunError, UsageError
from metrics import clean_json
from nas_agent import commands

INSTRUCTIONS = """Search for a configuration with a lower validation MSE. read_study says what was tried, what is left
and what may be changed; propose reserves a run for a change of the base configuration; run trains it and answers with
its validation MSE; learning_curve shows how it learned. Stop when read_study says so ("stop" is not null)."""


def serve(folder: Path) -> None:
    """Answer until stdin ends. UsageError if there is no study, or the extra is not installed."""
    try:
        from mcp.server.mcpserver import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
    except ImportError:
        raise UsageError("mcp 2 is not installed", hint="pip install -r requirements-agent.txt") from None
    commands.study_in(folder)
    server = MCPServer("nas_agent", instructions=INSTRUCTIONS, log_level="WARNING")

    def answering(tool: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        @wraps(tool)
        def answer(*args: Any, **words: Any) -> dict[str, Any]:
            try:
                content: dict[str, Any] = clean_json(tool(*args, **words))
                return content
            except TsrunError as error:
                raise ToolError(str(error)) from None

        return answer

    @server.tool()
    @answering
    def read_study(recent: int = commands.RECENT) -> dict[str, Any]:
        """What to read before proposing: the last runs, the best, what is left of each budget, runs to retry, the
        base configuration, and what may be changed in it (type, range, values to start with)."""
        return commands.look(folder, recent)

    @server.tool()
    @answering
    def propose(
        model: dict[str, Any] | None = None, training: dict[str, Any] | None = None, data: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Check a change of the base configuration and reserve a run for it; answers its run_id. `data` may hold
        batch_size alone; classes are text, as "optim.Adam"; null removes a key of the base."""
        sections = {"model": model, "training": training, "data": data}
        return commands.claim(folder, {name: section for name, section in sections.items() if section is not None})

    @server.tool()
    @answering
    def run(run_id: str, timeout_seconds: float | None = None) -> dict[str, Any]:
        """Train a proposed run, or retry one that was lost; answers its validation MSE. It is stopped after
        `timeout_seconds`, or when the study's budgets say so, and has then failed."""
        return commands.run(folder, run_id=run_id, timeout=timeout_seconds)

    @server.tool()
    @answering
    def learning_curve(run_id: str) -> dict[str, Any]:
        """How a run learned: training and validation MSE and learning rate of every epoch, and in words."""
        return commands.curve(folder, run_id)

    server.run("stdio")
