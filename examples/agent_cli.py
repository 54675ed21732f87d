"""A search by an agent through the JSON command line, with a seeded random proposer in place of a language model.

python examples/agent_cli.py --config base.py --runs 5
"""

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def ask(study: str, *words: str, given: Any = None) -> dict[str, Any]:
    """One command of nas_agent, its JSON answer; an error is {"error": {"message": ...}}."""
    argv = [sys.executable, "-m", "nas_agent", *words, "--study", study, "--json"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, input=json.dumps(given), stdout=subprocess.PIPE, text=True, env=env)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def propose(seen: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A change of the base. A model would read seen["recent"] and seen["best"]; this one picks suggestions."""
    model, learning = seen["space"]["model"], seen["space"]["training"]["optimizer_params"]
    keys = rng.sample([key for key in model if "suggest" in model[key]], 2)
    changes = {key: rng.choice(model[key]["suggest"]) for key in keys}
    sizes = {**seen["base"]["model"], **changes}
    if sizes.get("d_model", 512) % sizes.get("n_heads", 8):  # such a model cannot be built, and would be refused
        changes.pop("n_heads", None)
    rate = rng.choice(learning["lr"]["suggest"])
    return {"model": changes, "training": {"optimizer_params": {"lr": rate}}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--study", default="runs")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    print(json.dumps(ask(args.study, "init", "--config", args.config, "--max-runs", str(args.runs))))
    while "stop" in (seen := ask(args.study, "next")) and seen["stop"] is None:
        answer = ask(args.study, "run", "--proposal", "-", given=propose(seen, rng))
        print(json.dumps(answer), flush=True)
    print(json.dumps(ask(args.study, "finalize")))


if __name__ == "__main__":
    main()
