"""Learn in many homes without gathering their data: what a shared base with own heads gains.

    python tools/federate.py --rounds 20 --clients 5 -- --task classify --csv 'data/ch*.csv' --labels labels.csv \\
        --groups homes.csv --backbone gru

starts a server and one process per home on this machine, and compares three ways of learning on the test of each home:
`local` (each home alone), `shared` (all weights averaged: FedAvg, McMahan et al. 2017) and `fedper` (the backbone
averaged, each home its own head: Arivazhagan et al. 2019). After `--` come flags of run.py; of those, --out,
--desc and --overwrite name the directory of the results:

    metrics.json  per_home.csv  per_home.png  base/  {local,shared,fedper}/HOME/{model.pt.best,config.yaml,metrics.json}

On several machines, do the same with `--serve HOST:PORT` on one, and on each other `--join HOST:PORT --home NAME`.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest is imported: there is nothing to clean up yet
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import importlib.util
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that `python tools/federate.py` finds our modules

import cli
from config import RunConfig
from errors import ResourceError, UsageError
from run import SMALLER, guarded

MODES = ("local", "shared", "fedper")
SCRIPT = Path(__file__).resolve()
POLL_SECONDS = 0.05
NOT_THEIRS = {  # flags of run.py that do nothing in a federation, and why
    "--epochs": "a home trains --rounds times --epochs: give both before the --",
    "--patience": "a home trains every round, and keeps its best one",
    "--amp": "homes train in float32",
    "--compile": "homes train without the compiler",
}


def make_parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="python tools/federate.py",
        usage="%(prog)s [flags] -- --task TASK --csv FILE ... [flags of run.py]",
        description=__doc__.partition("\n")[0],
        allow_abbrev=False,
    )
    whole, seconds = partial(cli.numeric, int), partial(cli.numeric, float)
    parser.add_argument("--rounds", type=whole("[1,)"), default=20, help="rounds of averaging (default: 20)")
    parser.add_argument("--epochs", type=whole("[1,)"), default=1, help="epochs of a home within a round (default: 1)")
    parser.add_argument(
        "--clients", nargs="+", default=[], metavar="HOME", help="homes that take part, or how many (default: all)"
    )
    parser.add_argument(
        "--homes-by",
        default="groups",
        choices=("groups", "files"),
        help="a home is a group of rows, or a file (default: groups)",
    )
    parser.add_argument(
        "--blocks", type=whole("[1,)"), default=1, help="blocks of rows to split each group into (default: 1)"
    )
    parser.add_argument(
        "--gap-rows", type=whole("[0,)"), default=0, help="rows of a group to leave out between its blocks (default: 0)"
    )
    parser.add_argument(
        "--modes", nargs="+", default=list(MODES), choices=MODES, help="ways of learning (default: all)"
    )
    parser.add_argument("--wait", type=seconds("[0,)"), default=60.0, help="seconds to wait for homes (default: 60)")
    parser.add_argument(
        "--round-timeout",
        type=seconds("(0,)"),
        default=600.0,
        help="seconds a home may take for a round (default: 600)",
    )
    parser.add_argument(
        "--strategy",
        default="fedavg",
        choices=("fedavg", "fedmedian", "fedtrimmedavg"),
        help="Flower's average of weights; the last two bear homes that send plausible rubbish (default: fedavg)",
    )
    parser.add_argument(
        "--norm-factor",
        type=seconds("(1,)"),
        default=10.0,
        help="leave a home out of a round whose change of weights is so many medians long (default: 10)",
    )
    _add_roles(parser)
    parser.add_argument("--leashed", action="store_true", help=argparse.SUPPRESS)  # end when standard input does
    return parser


def _add_roles(parser: argparse.ArgumentParser) -> None:
    """The flags of one part alone."""
    roles = parser.add_argument_group("one part alone, for several machines")
    roles.add_argument(
        "--serve",
        default="",
        metavar="HOST:PORT",
        help="only the server (PORT alone: this machine); --clients is the number of homes",
    )
    roles.add_argument("--home", default="", help="only this home (without --join it learns alone)")
    roles.add_argument("--join", default="", metavar="HOST:PORT", help="the server that the home joins")
    roles.add_argument(
        "--token-file",
        default="",
        metavar="FILE",
        help="a text of 16 characters or more that server and homes share; --serve needs it for other machines",
    )
    roles.add_argument("--ssl-ca-certfile", default="", metavar="FILE", help="TLS of the server: the CA's certificate")
    roles.add_argument("--ssl-certfile", default="", metavar="FILE", help="TLS of the server: its certificate")
    roles.add_argument("--ssl-keyfile", default="", metavar="FILE", help="TLS of the server: its private key")
    roles.add_argument(
        "--root-certificates",
        default="",
        metavar="FILE",
        help="TLS of a home: the CA's certificate by which it knows the server",
    )
    roles.add_argument("--place", default="federated", metavar="DIR", help="folder of the server's or home's files")


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, RunConfig | None, list[str]]:
    """(our flags, the configuration of run.py, its words); a server alone has no configuration."""
    words = list(argv)
    cut = words.index("--") if "--" in words else len(words)
    args, theirs = make_parser().parse_args(words[:cut]), words[cut + 1 :]
    _check_roles(args)
    if args.serve and args.home:
        raise UsageError("exclude each other", where="--serve and --home")
    if args.serve:
        if len(args.clients) != 1 or not args.clients[0].isdigit() or int(args.clients[0]) < 2:
            raise UsageError("with --serve, the number of homes: 2 or more", where="--clients")
        return args, None, theirs
    if args.join and not args.home:
        raise UsageError("is needed with --join", where="--home")
    if not theirs:
        raise UsageError("no flags of run.py after --", hint="... -- --task classify --csv FILE ...")
    config = cli.parse(["--mode", "train", *theirs])
    if config.mode != "train":
        raise UsageError("a federation trains", where=f"--mode {config.mode}")
    for word in theirs:
        if word.partition("=")[0] in NOT_THEIRS:
            raise UsageError(NOT_THEIRS[word.partition("=")[0]], where=f"-- ... {word}")
    return args, replace(config, epochs=args.rounds * args.epochs, patience=0, amp=False, compile="off"), theirs


def _check_roles(args: argparse.Namespace) -> None:
    """UsageError for a flag of TLS without the part that it is for."""
    for flag in ("ssl_ca_certfile", "ssl_certfile", "ssl_keyfile", "root_certificates"):
        part = "join" if flag == "root_certificates" else "serve"
        if vars(args)[flag] and not vars(args)[part]:
            raise UsageError(f"needs --{part}", where=f"--{flag.replace('_', '-')}")


# ---- server and homes, each a process


def serve(args: argparse.Namespace) -> None:
    """The server's process."""
    from federation import trust

    tls = args.ssl_ca_certfile, args.ssl_certfile, args.ssl_keyfile
    where, flower = trust.listening(args.serve, args.token_file, *tls), _flower()
    modes = [mode for mode in args.modes if mode != "local"]
    directory = Path(args.place)
    directory.mkdir(parents=True, exist_ok=True)
    exchange = flower.Exchange(
        modes,
        args.rounds,
        args.epochs,
        int(args.clients[0]),
        args.wait,
        directory,
        token=where.token,
        strategy=args.strategy,
        norm_factor=args.norm_factor,
    )
    flower.serve(where, exchange, args.round_timeout)


def take_part(args: argparse.Namespace, config: RunConfig) -> None:
    """The process of a home: the rounds with the others, then alone, then tests and files."""
    from federation import trust

    token, root = trust.read_token(args.token_file), trust.root_certificates(args.root_certificates)
    client_of = _home_client()
    if args.leashed:  # the process that started this one has printed the warnings about the data
        logging.getLogger("tsrun").setLevel(logging.ERROR)
    client = client_of.HomeClient(_homes(args, config, [args.home])[args.home], Path(args.place), token)
    if args.join:
        client_of.join(args.join, client, args.wait, root)
    models = dict(client.models)
    if "local" in args.modes:
        client.alone.fit_alone(args.rounds * args.epochs)
        models["local"] = client.alone
    for mode in args.modes:
        if mode in models:
            models[mode].finish()


def _check_flower() -> None:
    if importlib.util.find_spec("flwr") is None:
        raise UsageError("Flower is not installed", hint="pip install -r requirements-federate.txt")


def _flower() -> Any:
    _check_flower()
    from federation import flower

    return flower


def _home_client() -> Any:
    _check_flower()
    from federation import home_client

    return home_client


def _leash() -> None:
    """End this process when the one that started it ends, in whatever way: their pipe closes then."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# ---- all of them on this machine


def federate(args: argparse.Namespace, config: RunConfig, words: Sequence[str]) -> None:
    """Server and homes as processes; their results in one directory."""
    _check_flower()
    from federation import comparison
    from rundir import RunDir

    homes = _homes(args, config, args.clients)
    if len(homes) < 2:
        raise UsageError(f"a federation needs 2 homes or more, got {len(homes)}", where="--clients")
    logging.getLogger("tsrun").setLevel(logging.ERROR)
    name = comparison.name_of(config, homes=len(homes), rounds=args.rounds, epochs=args.epochs)
    with RunDir(config.out, name, overwrite=config.overwrite) as directory:
        try:
            ends = _run_all(args, words, list(homes), directory.path)
            content = comparison.gather(directory.path, list(homes), args.modes, ends)
        except ResourceError as error:
            if any(directory.path.glob("*.shared.pt")):
                error.hint = f"the average of the best round so far is in {directory.set_aside('failed')}"
            raise
        comparison.write(directory.path, content, replace(next(iter(homes.values())).config, csv=config.csv))
        directory.commit()
    print(comparison.table(content), directory.final, sep="\n")


def _homes(args: argparse.Namespace, config: RunConfig, wanted: Sequence[str]) -> Any:
    from federation.homes import HomeSplit, read_homes

    return read_homes(config, HomeSplit(args.homes_by, args.blocks, args.gap_rows), wanted)


def _run_all(args: argparse.Namespace, words: Sequence[str], homes: Sequence[str], directory: Path) -> dict[str, int]:
    """Start server and homes and wait for them: {home: exit code}, negative for a signal."""
    shared = ["--rounds", args.rounds, "--epochs", args.epochs, "--wait", args.wait, "--modes", *args.modes]
    shared += ["--token-file", args.token_file] if args.token_file else []
    split = ["--homes-by", args.homes_by, "--blocks", args.blocks, "--gap-rows", args.gap_rows, "--place", directory]
    with _crew() as start:
        server, joining = None, []
        if set(args.modes) - {"local"}:
            address = f"127.0.0.1:{_free_port()}"
            timeout = ["--round-timeout", args.round_timeout, "--place", directory]
            averaging = ["--strategy", args.strategy, "--norm-factor", args.norm_factor]
            server = start("--serve", address, "--clients", len(homes), *shared, *timeout, *averaging)
            joining = ["--join", address]
        parts = {home: start("--home", home, *joining, *shared, *split, "--", *words) for home in homes}
        return _wait(server, parts)


def _wait(server: subprocess.Popen[bytes] | None, parts: Mapping[str, subprocess.Popen[bytes]]) -> dict[str, int]:
    reported: set[str] = set()
    while True:
        codes = {home: part.poll() for home, part in parts.items()}
        for home in [home for home, code in codes.items() if code and home not in reported]:
            reported.add(home)
            print(f"{home}: {_ending(codes[home] or 0)}", file=sys.stderr, flush=True)
        if server is not None and server.poll():
            raise ResourceError("the server failed, see its message above")
        if None not in codes.values():
            if not any(code == 0 for code in codes.values()):
                raise ResourceError("no home finished, see their messages above")
            return {home: code or 0 for home, code in codes.items()}
        time.sleep(POLL_SECONDS)


def _ending(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


@contextmanager
def _crew() -> Iterator[Any]:
    """A function that starts processes; all of them have ended after the block, however it is left.

    They are killed: all that they write is in the directory of an unfinished run, which is deleted.
    """
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(SCRIPT), "--leashed", *map(str, words)]
        environment = {"OMP_NUM_THREADS": "1"} | os.environ  # many processes share the cores
        # In another session Ctrl-C does not reach it: this process ends it.
        part = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, env=environment)
        started.append(part)
        return part

    try:
        yield start
    finally:
        for part in started:
            part.kill()
        for part in started:
            part.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; the exit code (0, 2 usage, 3 data, 4 another schema, 5 diverged, 6 too few homes, 130/143)."""

    def body() -> None:
        args, config, words = parse(sys.argv[1:] if argv is None else argv)
        if args.leashed:
            _leash()
        if config is None:
            serve(args)
        elif args.home:
            take_part(args, config)
        else:
            federate(args, config, words)

    return guarded(body, out_of_memory=SMALLER)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # threads of a server whose homes hang would keep the interpreter from ending
