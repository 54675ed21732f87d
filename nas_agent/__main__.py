"""`python -m nas_agent`: a study for a program in any language, answered in JSON; `serve` does the same over MCP.

    python -m nas_agent init --config base.py --max-runs 20
    python -m nas_agent next --json
    echo '{"model": {"d_model": 128}}' | python -m nas_agent run --proposal - --json
    python -m nas_agent finalize --json

A run that fails is an answer: `"status": "failed"` and the reason. The exit code is that of the command itself: 0 done,
2 usage (also a proposal that is refused), 3 data, 6 a budget is used up or memory or disk are full, 130/143 signals.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cli import Parser, numeric
from errors import UsageError, report, report_json
from metrics import clean_json
from nas_agent import commands
from nas_agent.claims import LEASE
from nas_agent.files import RUNS
from nas_agent.finalize import finalize
from nas_agent.records import MAX_RUNS
from nas_agent.study import COMPLETE, FAILED, PRUNED
from run import guarded

SECONDS = numeric(float, "(0,)")
PROPOSAL = "JSON file, - for stdin (default: retry a lost run)"


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit code."""

    def body() -> None:
        args = _parser().parse_args(argv)
        if args.command == "serve":
            from nas_agent.server import serve

            serve(args.study)
        else:
            _emit(_answer(args), args.json)

    return guarded(body, show=report_json if "--json" in argv else report)


def _emit(content: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(clean_json(content), ensure_ascii=False, allow_nan=False), flush=True)
    else:
        import yaml

        print(yaml.safe_dump(clean_json(content), sort_keys=False, allow_unicode=True), end="", flush=True)


def _parser() -> argparse.ArgumentParser:
    shared = Parser(add_help=False)
    shared.add_argument(
        "--study", type=Path, default=Path(RUNS), metavar="DIR", help="folder of the study (default: runs)"
    )
    shared.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser = Parser(prog="python -m nas_agent", description="A study that an outside agent searches.")
    add = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return add.add_parser(name, help=text, description=text, parents=[shared])

    init = command("init", "start a study: a base configuration and budgets")
    init.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="base configuration: an experiment, .py or .yaml"
    )
    init.add_argument("--max-runs", type=int, default=MAX_RUNS, metavar="N", help="budget of runs (default: 100)")
    init.add_argument("--max-seconds", type=SECONDS, metavar="S", help="budget of seconds, from the first claim")
    init.add_argument("--max-failures", type=int, metavar="N", help="failed runs in a row that stop the study")
    init.add_argument("--run-seconds", type=SECONDS, metavar="S", help="most seconds for one run")
    command("status", "budgets, counts, the best run, what is running")
    look = command("next", "what to read before a proposal: runs, best, budgets, what may be changed")
    look.add_argument(
        "--recent", type=int, default=commands.RECENT, metavar="K", help="number of recent runs (default: 5)"
    )
    claim = command("claim", "reserve a run id for a proposal that is run elsewhere and reported")
    claim.add_argument("--proposal", metavar="FILE", help=PROPOSAL)
    claim.add_argument(
        "--lease", type=SECONDS, default=LEASE, metavar="S", help="seconds of silence after which it is lost (3600)"
    )
    run = command("run", "run a proposal, or a claimed or lost run, within a time budget")
    either = run.add_mutually_exclusive_group()
    either.add_argument("--proposal", metavar="FILE", help=PROPOSAL)
    either.add_argument("--run-id", metavar="ID", help="claimed or lost run")
    run.add_argument(
        "--timeout", type=SECONDS, metavar="S", help="most seconds; the budgets of the study apply as well"
    )
    report = command("report", "report how a claimed run ended, or that it is alive")
    report.add_argument("--run-id", required=True, metavar="ID", help="claimed run")
    report.add_argument(
        "--attempt", type=int, metavar="N", help="attempt number of the claim, to reject reports of an earlier one"
    )
    report.add_argument(
        "--status", choices=(COMPLETE, PRUNED, FAILED), default=COMPLETE, help="how it ended (default: complete)"
    )
    report.add_argument("--metrics", metavar="FILE", help="JSON {val_mse, test_mse, history_summary}, - for stdin")
    report.add_argument("--reason", default="", metavar="TEXT", help="why it failed or was pruned")
    report.add_argument("--alive", action="store_true", help="it is still running: restart the lease")
    final = command("finalize", "confirm the best configuration over three seeds; close the study; show the test set")
    final.add_argument("--timeout", type=SECONDS, metavar="S", help="most seconds for each of the three")
    command("serve", "answer an agent over stdin and stdout (Model Context Protocol)")
    return parser


def _answer(args: argparse.Namespace) -> dict[str, Any]:
    words = {key: value for key, value in vars(args).items() if key not in ("command", "study", "json", "recent")}
    for name in ("proposal", "metrics"):
        if words.get(name) is not None:
            words[name] = _read(words[name], f"--{name}")
    if args.command == "init":
        return commands.init(args.study, words.pop("config"), **words)
    if args.command == "next":
        return commands.look(args.study, args.recent)
    do: dict[str, Callable[..., dict[str, Any]]] = {
        "status": commands.status,
        "claim": commands.claim,
        "run": commands.run,
        "report": commands.report,
        "finalize": finalize,
    }
    return do[args.command](args.study, **words)


def _read(name: str, flag: str) -> Any:
    """The JSON in a file, or on stdin (`-`)."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=f"{flag} {name}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}", where=f"{flag} {name}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
