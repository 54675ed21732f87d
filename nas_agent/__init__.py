"""Searching by an outside agent: a state that many processes may share, claims, histories in words.

`python -m nas_agent` offers the same to a program in any language, `python -m nas_agent serve` to an agent that speaks
the Model Context Protocol; see docs/agents.md.
"""

import os
import signal
import sys
from pathlib import Path

if sys.argv[0] == "-m":  # `python -m nas_agent` looks in the working directory first: no errors.py there is ours
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # while the rest is imported

from nas_agent.claims import claim_run
from nas_agent.files import get_run_dir, load_history, load_metrics, save_history, save_metrics, snapshot_config
from nas_agent.history import build_history_summary
from nas_agent.models import build_model, load_run
from nas_agent.records import RunInfo
from nas_agent.state import add_run, get_best_run, get_recent_runs, load_agent_state, save_agent_state

__all__ = [
    "RunInfo",
    "add_run",
    "build_history_summary",
    "build_model",
    "claim_run",
    "get_best_run",
    "get_recent_runs",
    "get_run_dir",
    "load_agent_state",
    "load_history",
    "load_metrics",
    "load_run",
    "save_agent_state",
    "save_history",
    "save_metrics",
    "snapshot_config",
]
