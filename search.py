"""Search for a configuration: `python search.py --trials 100 -- --task forecast --csv ... --backbone informer`.

After `--` comes a command line of run.py in mode train. The search varies what the space says and compares trials by
the task's monitor on validation. Any number of processes, on any number of machines that share a PostgreSQL, can work
on one study. The same command continues a study that was stopped.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest is imported: there is nothing to clean up yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import hashlib
import json
import logging
import math
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cli
import tasks
from config import VERSION, RunConfig, core_flags
from errors import Interrupted, UsageError, log_handler, report, report_json
from run import SMALLER, guarded
from settings.flags import seconds
from studies.spaces import Space, space_of
from studies.trials import Workers, dry_run

log = logging.getLogger("tsrun.search")
CONTINUES = "the same command continues"
NOT_AFTER = (
    "--out",
    "--json",
    "--quiet",
    "--dry-run",
    "--resume",
    "--overwrite",
    "--desc",
)  # the search sets them itself

# Settings that a trial does not depend on and that the names of studies have: an older search goes on under its name.
NAMED = ("ckpt", "npz", "encoder", "resume", "json", "tag", "dry_run")


# Flags that came after studies were named. At their default they are left out: a study of before them has not changed.
LATER = (
    "strict",
    "floor",
    "refit",
    "columns",
    "na",
    "thousands",
    "date_order",
    "mains_unit",
    "device_unit",
    "wide",
    "calibration",
    "stage_args",
    "tau",
    "nilm.pos_weight",
    "nilm_power",
    "other_base",
    "other_loads",
    "seeds",
    "budget",
    "divergence_check",
    "shard",
    "memory",
    "categorical",
    "max_levels",
    "drop_columns",
)

# Defaults of today that were another word then, {flag: {today: then}}. What they mean of some data shows in the data.
THEN = {"bin_rule": {"auto": "nonzero"}, "sep": {"auto": ","}, "decimal": {"auto": "."}, "nan": {"auto": "error"}}


def main(argv: Sequence[str]) -> int:
    """Run one search; the exit code is that of run.py for the same mistakes."""

    def body() -> None:
        options, words = parse(argv)
        log.handlers = [log_handler()]
        log.setLevel(logging.INFO)
        log.propagate = False
        content = search(options, words)
        text = f"{content['sentence']}\n{content['directory']}"
        print(json.dumps(content, allow_nan=False) if options.json else text)

    own = argv[: list(argv).index("--")] if "--" in argv else argv
    show = report_json if "--json" in own else report
    return guarded(body, show=show, interrupted=CONTINUES, out_of_memory=SMALLER)


def search(options: argparse.Namespace, words: Sequence[str]) -> dict[str, Any]:
    """Run or continue the study; returns the content of its summary."""
    begun = time.monotonic()
    config = cli.parse(words)
    if config.mode != "train":
        raise UsageError("a search trains every trial from scratch", where=f"--mode {config.mode}", hint="--mode train")
    space_of(config, False, options.space)  # reports mistakes before torch is imported
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UsageError("needs optuna", where="search.py", hint="pip install -r requirements-search.txt") from None
    from studies.queue import Queue, open_study
    from studies.searcher import Searcher, progress
    from studies.stores import answering, beats, store_at
    from studies.verdict import Results

    store = store_at(options.storage) if options.storage else None
    compiler = [] if config.compile == "off" else ["torch._dynamo"]
    workers = Workers([tasks.module(config.task), f"backbones.{config.backbone}", *compiler], alone=bool(compiler))
    known = workers.call(dry_run, list(words))
    space = space_of(config, known["closed_form"], options.space)
    name = options.study or name_of(config, space)
    results = Results(Path(options.out or f"artifacts/search_{name}"), name, known["monitor"], known["direction"])
    results.prepare()
    store = store or store_at(str(results.out / "study.db"))
    asked = asked_of(config, space) | {"data": known["data"]}
    log.info("study %s in %s%s", name, store.shown, "" if store.connect else " (SQLite: for one machine)")
    with answering(store):
        study = open_study(
            store,
            name,
            asked,
            direction=results.direction,
            pruner=options.pruner,
            epochs=_longest(config, space),
            grace=options.grace,
        )
        queue = Queue(study, store, trials=options.trials, retries=options.retries, seed=options.seed)
        searcher = Searcher(queue, workers, space, config, words, results.folder, results.monitor)
        try:
            signum = searcher.run(options.jobs, begun + options.timeout, beats(options.grace))
        finally:
            results.draw(queue)
        if signum:
            raise Interrupted(signum, f"stopped: {progress(queue, results.monitor)}", hint=CONTINUES)
        return results.conclude(queue, workers, config, words)


# --- the command line ------------------------------------------------------------------------------------------------


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The flags of the search, and the command line of run.py after --."""
    parser = cli.Parser(
        prog="python search.py",
        usage="python search.py [flags] -- --task TASK --csv FILE ... --backbone NAME [flags of run.py]",
        description=(__doc__ or "").partition("\n\n")[2],
        allow_abbrev=False,
    )
    add, whole = parser.add_argument, partial(cli.numeric, int)
    add("--version", action="version", version=f"tsrun {VERSION}", help="print the version and exit")
    add("--trials", type=whole("[1,)"), default=100, metavar="N", help="trials of the study, over all processes (100)")
    add("--timeout", type=_duration, default=math.inf, metavar="2h", help="stop after 90s, 20min, 2h, 1d (never)")
    add("--jobs", type=whole("[1,)"), default=1, metavar="N", help="trials to run at a time, sharing the cores (1)")
    add("--storage", default="", metavar="PLACE", help="SQLite file, postgresql://..., embedded:DIR (a file in --out)")
    add("--space", default="", metavar="FILE", help="YAML file with what to vary (the space of the backbone)")
    add("--study", default="", metavar="NAME", help="name of the study (made from space and command line)")
    add(
        "--pruner",
        choices=("median", "hyperband", "none"),
        default="median",
        help="how poor trials are stopped early (median)",
    )
    add("--retries", type=whole("[0,)"), default=2, metavar="N", help="retries of a lost or crashed trial (2)")
    add(
        "--grace",
        type=whole("[2,)"),
        default=60,
        metavar="SECONDS",
        help="silence after which a trial counts as lost (60)",
    )
    add("--seed", type=whole("[0,)"), default=0, metavar="N", help="seed of the sampler, TPE (0)")
    add("--out", default="", metavar="DIR", help="folder for the results (artifacts/search_STUDY)")
    add("--json", action="store_true", help="one JSON object on stdout, everything else on stderr")
    own, dashes, rest = (list(argv), [], []) if "--" not in argv else _split(argv)
    options = parser.parse_args(own)
    if not dashes:
        raise UsageError(
            "no command line of run.py after --", hint="python search.py --trials 20 -- --task TASK --csv FILE ..."
        )
    for word in rest:
        if word.partition("=")[0] in NOT_AFTER:
            raise UsageError("does not go after --", where=word, hint="search.py has --out and --json of its own")
    given = any(word.partition("=")[0] == "--mode" for word in rest)
    return options, rest if given else ["--mode", "train", *rest]


def _split(argv: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    at = list(argv).index("--")
    return list(argv[:at]), ["--"], list(argv[at + 1 :])


def _duration(text: str) -> float:
    try:
        found = seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not found:
        raise argparse.ArgumentTypeError("takes a duration above 0")
    return found


def asked_of(config: RunConfig, space: Space) -> dict[str, Any]:
    """What identifies a study: the settings that the value of a trial depends on, and the space."""
    left_out = {flag.name for flag in core_flags() if flag.group == "Speed" or flag.local or not flag.trains}
    flat = config.flat()
    later = [
        flag
        for flag in (*core_flags(), *tasks.flags(config.task))
        if {flag.name, f"{config.task}.{flag.name}"} & {*LATER}
    ]
    left_out |= {flag.name for flag in later if _same(flat[flag.name], flag.default)}
    settings = {key: value for key, value in flat.items() if key not in left_out}
    settings |= {name: words.get(settings[name], settings[name]) for name, words in THEN.items() if name in settings}
    return {"space": {name: dimension.plain() for name, dimension in space.items()}, "settings": settings}


def _same(kept: Any, default: Any) -> bool:
    """Whether a setting of `flat()`, which has lists for tuples, is a flag's default."""
    return bool((tuple(kept) if isinstance(kept, list) else kept) == default)


def name_of(config: RunConfig, space: Space) -> str:
    """The default name of a study: the same for the same command line and space, and in every release."""
    flat, asked = config.flat(), asked_of(config, space)
    asked["settings"] |= {name: flat[name] for name in NAMED}
    paths = [flat[flag.name] for flag in core_flags() if flag.local and flag.name not in NAMED]
    text = json.dumps([asked, paths], sort_keys=True)
    return f"{config.task}_{config.backbone}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _longest(config: RunConfig, space: Space) -> int:
    """The most epochs that a trial may take."""
    epochs = space.get("epochs")
    return config.epochs if epochs is None else int(max((*epochs.choices, epochs.high)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
