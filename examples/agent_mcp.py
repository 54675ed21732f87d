"""The search of agent_cli.py through the Model Context Protocol, in a study that `nas_agent init` started.

python examples/agent_mcp.py --study runs
"""

import argparse
import asyncio
import json
import os
import random
import sys
from typing import Any

from agent_cli import ROOT, propose
from mcp import Client, StdioServerParameters, stdio_client


async def search(study: str, rng: random.Random) -> None:
    """Propose and run until the study says stop."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    server = StdioServerParameters(command=sys.executable, args=["-m", "nas_agent", "serve", "--study", study], env=env)
    async with Client(stdio_client(server)) as client:

        async def ask(tool: str, **words: Any) -> dict[str, Any]:
            answer = await client.call_tool(tool, words)
            if answer.is_error:  # says what to change
                return {"error": " ".join(part.text for part in answer.content if part.type == "text")}
            return answer.structured_content or {}

        while "stop" in (seen := await ask("read_study")) and seen["stop"] is None:
            claim = await ask("propose", **propose(seen, rng))
            if "run_id" in claim:
                claim = await ask("run", run_id=claim["run_id"], timeout_seconds=600)
                claim["curve"] = await ask("learning_curve", run_id=claim["run_id"])
            print(json.dumps(claim), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="runs")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(search(given.study, random.Random(given.seed)))
