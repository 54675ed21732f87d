"""`python ...` as a real process at the price of a fork: a server that has imported the toolkit forks for each.

What `Popen` and `run` start here has its own pid, folder, environment, streams, signals and exit code, and is a child
of the caller, as with `subprocess`; only the seconds of imports are saved. It does not show what a fresh interpreter
imports, nor the arguments that `ps` lists: for those take `subprocess`. Off Linux these two are `subprocess` as well.

With `nested=True` a process starts its own interpreters (trials, homes, an agent's runs) in the same way.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import functools
import gc
import importlib
import json
import multiprocessing.util
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# What commands import sooner or later. Nothing that starts threads: a fork would not have them.
PRELOAD = """pipeline learner predictor run search torch._dynamo torch.export._trace torch.distributed pandas
    sklearn.ensemble sklearn.linear_model matplotlib.backends.backend_agg tests.pictures tests.saplings tools.report
    tools.export tools.stream nas_agent.__main__"""
PRELOAD_WHERE_INSTALLED = """optuna psycopg zmq onnx.reference onnxscript.optimizer
    torch.onnx._internal.exporter._core federation.home_client mcp.server.mcpserver"""
# These are read when an interpreter starts: with others than the server's, a process is not a fork.
READ_AT_START = ("PYTHON", "LC_", "LANG", "OMP_", "LD_")
PR_SET_CHILD_SUBREAPER = 36
LARGEST = 1 << 20  # bytes of a request

Request = dict[str, Any]
Started = subprocess.Popen  # whatever a test puts in its place


# --- the caller ----------------------------------------------------------------------------------------------------


class Server:
    """The caller's end of a server, which leaves when this end is closed."""

    def __init__(self, connection: socket.socket, environment: Mapping[str, str], *, nested: bool = False) -> None:
        self.connection, self.environment, self.nested = connection, dict(environment), nested
        self.lock = threading.Lock()

    def takes(self, argv: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Whether a fork would be what `argv` is in `environment`."""
        return argv[0] == sys.executable and _at_start(environment) == _at_start(self.environment)

    def start(self, request: Request, fds: Mapping[int, int]) -> int:
        """The pid of a new child of this process; `fds` maps its file descriptors to ours."""
        request = {"nested": self.nested, "session": False} | request | {"fds": list(fds)}
        with self.lock, _adopting():
            socket.send_fds(self.connection, [json.dumps(request).encode()], list(fds.values()))
            return int(self.connection.recv(32))

    def spawn(self, path: bytes, argv: Sequence[Any], fds: Sequence[int]) -> int:
        """What multiprocessing calls to start an interpreter."""
        request = {"argv": [os.fsdecode(word) for word in argv], "cwd": str(Path.cwd())}
        return self.start(request | {"environment": dict(os.environ)}, {fd: fd for fd in (0, 1, 2, *fds)})


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in environment.items() if key.startswith(READ_AT_START)}
    return {key: value for key, value in kept.items() if key != "PYTHONPATH"}


@contextlib.contextmanager
def _adopting() -> Iterator[None]:
    """A process below this one whose parent ends becomes a child of this one."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0)


@functools.cache
def server() -> Server:
    """The server of this process; the first call starts it, which takes as long as one `python run.py`."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # more threads would be lost in a fork
    with theirs:
        process = Started(
            [sys.executable, __file__, str(theirs.fileno())],
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    atexit.register(process.wait)
    atexit.register(mine.close)
    return Server(mine, environment)


class Popen(Started):
    """`subprocess.Popen`, which asks `server()` for a process of this interpreter."""

    def __init__(self, args: Any, *more: Any, nested: bool = False, **settings: Any) -> None:
        self._nested = {"nested": True} if nested else {}
        super().__init__(args, *more, **settings)

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, *rest: Any) -> None:
        _, pass_fds, cwd, env, _, _, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite = rest[:13]
        environment = os.environ | {"OMP_NUM_THREADS": "1"} if env is None else env
        argv = [args] if isinstance(args, (str, Path)) else [str(word) for word in args]
        unlike = executable or preexec_fn or shell or sys.platform != "linux"
        if unlike or not server().takes(argv, environment):
            super()._execute_child(args, executable, preexec_fn, *rest)
            return
        request = self._nested | {"argv": argv, "environment": dict(environment), "session": rest[18]}
        request["cwd"] = os.fspath(cwd or Path.cwd())
        streams = {0: p2cread, 1: c2pwrite, 2: errwrite}
        fds = {own: own if given == -1 else given for own, given in streams.items()}
        self.pid = server().start(request, fds | {fd: fd for fd in pass_fds})
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)


def run(*words: object, timeout: float = 300, nested: bool = False, **settings: Any) -> subprocess.CompletedProcess:
    """`python WORDS` to its end; what it prints is kept, as text unless `text=False`."""
    given = settings.pop("input", None)
    command = [sys.executable, *map(str, words)]
    streams = {"stdin": subprocess.DEVNULL if given is None else subprocess.PIPE}
    streams |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, nested=nested, **{"text": True} | streams | settings) as process:
        try:
            out, err = process.communicate(given, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


# --- the server ----------------------------------------------------------------------------------------------------


def preload() -> None:
    """Import what the commands do."""
    for name in PRELOAD.split():
        importlib.import_module(name)
    for name in PRELOAD_WHERE_INSTALLED.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection of a fork would write to all pages


def serve(connection: socket.socket) -> tuple[Request, list[int]]:
    """Fork for each request; returns in such a fork only, with the request and its file descriptors."""
    while True:
        data, fds, _, _ = socket.recv_fds(connection, LARGEST, 32)
        if not data:
            os._exit(0)
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            between = os.getpid()
            if child := os.fork():
                os.write(writer, str(child).encode())
                os._exit(0)  # the child has lost its parent: the caller adopts it
            connection.close()
            os.close(reader)
            os.close(writer)
            while os.getppid() == between:
                time.sleep(0.0002)
            return json.loads(data), fds
        os.waitpid(between, 0)
        connection.send(os.read(reader, 32))
        for fd in (reader, writer, *fds):
            os.close(fd)


def nest(fds: Sequence[int]) -> socket.socket | None:
    """Give this process a server of its own, a fork of it as it is now: in the fork, its end of the line; else None."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        own = Server(mine, os.environ, nested=True)
        globals()["server"] = lambda: own
        subprocess.Popen = Popen  # type: ignore[misc]
        multiprocessing.util.spawnv_passfds = own.spawn
        return None
    mine.close()
    os.setsid()  # Ctrl-C is for the process alone
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2, *fds):
        os.dup2(nothing, fd)  # a pipe that stays open here would never end
    return theirs


def become(request: Request, fds: Sequence[int]) -> None:
    """Take the session, files, folder, environment and signals of `request`."""
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]  # out of the way of each other
    for fd in fds:
        os.close(fd)
    for own, given in zip(request["fds"], moved, strict=True):
        os.dup2(given, own)
        os.close(given)
    if request["session"]:
        os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if os.environ.get("TSRUN_TESTS_PAINT") == "no":
        importlib.import_module("tests.pictures").paint(wanted=False)
    if os.environ.get("TSRUN_TESTS_FEW_TREES") == "yes":
        importlib.import_module("tests.saplings").few(wanted=True)
    sys.path[1:1] = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.execv = _replace  # type: ignore[assignment]


class Replaced(BaseException):
    """A process executes this interpreter again, with other words."""

    def __init__(self, argv: Sequence[Any]) -> None:
        self.argv = [os.fspath(word) for word in argv]


def _replace(path: Any, argv: Sequence[Any], execv: Any = os.execv) -> None:
    if os.fspath(path) == sys.executable:
        raise Replaced(argv)
    execv(path, argv)


def execute(words: Sequence[str]) -> None:
    """What `python WORDS` does once it has started."""
    while words[0][0] == "-" and words[0] not in ("-c", "-m"):
        words = words[1:]  # they were heeded when the server started, or change nothing that is looked at
    if words[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *words[2:]], ""
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(words[1], "<string>", "exec"), vars(sys.modules["__main__"]))
    elif words[0] == "-m":
        sys.argv, sys.path[0] = list(words[1:]), str(Path.cwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = list(words), str(Path(words[0]).resolve().parent)
        runpy.run_path(words[0], run_name="__main__")


def leave(code: int) -> None:
    """End as an interpreter does, but for taking all modules to pieces, which a fork pays dearly."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        for stream in (sys.stdout, sys.stderr):
            if not stream.closed:
                stream.flush()
        os._exit(code)
    sys.exit(code)  # what it printed went nowhere: the interpreter has its own answer to that


def main(connection: socket.socket | None) -> None:
    """Serve; a fork goes on here as its command, and ends as an interpreter does."""
    sys.path[0] = str(ROOT)
    preload()
    while connection:
        request, fds = serve(connection)
        connection = nest(fds) if request["nested"] else None
    become(request, fds)
    argv, code = request["argv"], 0
    while argv:
        try:
            argv = execute(argv[1:])
        except Replaced as replaced:
            argv = replaced.argv
        except SystemExit as end:
            if not isinstance(end.code or 0, int):
                raise
            argv, code = [], int(end.code or 0)
    leave(code)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
