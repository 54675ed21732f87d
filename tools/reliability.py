"""RELIABILITY.md: what goes wrong, what happens then, and the test that proves it.

    python tools/reliability.py            # exit code 2 where the file is out of date
    python tools/reliability.py --write    # bring it up to date

The rows are the tests' own: `@pytest.mark.fault("what goes wrong", "what happens")` on a test, or as the mark of one of
its parameters. A further test of the same fault leaves out what happens. The files are read and not imported.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # so that `python tools/reliability.py` finds our modules

import cli
from errors import UsageError
from run import guarded

ROOT = Path(__file__).resolve().parent.parent
PAGE = "RELIABILITY.md"
COMMAND = "python tools/reliability.py --write"
HEAD = f"""# Reliability

What goes wrong, what happens then, and the test that proves it. Written by `{COMMAND}` from the tests' markers.
`make fuzz` repeats the kills fifty times and feeds each reader 10,000 pieces of rubbish.

| fault | what happens | proved by |
|---|---|---|"""
# The faults that must be proved, in the order of the page; those that tests add come after them.
ROWS = """SIGKILL while files are read
SIGKILL while a model is trained
SIGKILL while a checkpoint is written
SIGKILL while artifacts are written
SIGKILL while the cache is written
SIGTERM and SIGINT while a command imports
SIGTERM and SIGINT while files are read
SIGTERM and SIGINT while a model is trained
SIGTERM and SIGINT while predictions are judged
SIGTERM and SIGINT while plots are drawn
SIGTERM and SIGINT in a search
SIGTERM and SIGINT in an agent's run
SIGTERM and SIGINT in a stream
SIGTERM and SIGINT in a federation
a full disk
a limit of file sizes
a quota
a limit of memory
no further thread
too few file descriptors
CUDA out of memory
a loss that is NaN
a loss that is infinite
a loss or weights that grow without end
a checkpoint that is cut off
a checkpoint with flipped bits
a checkpoint of another schema
a checkpoint with wrong types
a malicious checkpoint
a database that goes away in the middle
a database that is slow
a database's rows out of order
two jobs with one name
a cache that several jobs share
a search's worker that is killed
a writer of an agent's state that is killed
a home of a federation that is gone
a home of a federation that is late
a hostile home of a federation
a stream's peer that is gone
a message of a stream that is lost
messages of a stream out of order
a message of a stream that is repeated
an output that is read-only
an output that is a symbolic link
an output that vanishes
a closed stdout
a clock that is set back
a path with spaces
a path with quotes
a path in Korean
a name of 255 characters
LANG=C
no HOME
no terminal
hostile modules in the working folder
script in names
a formula in names
a password in a URL""".splitlines()


@dataclass(frozen=True)
class Mark:
    """One marker: a fault, what happens (empty where another marker says it), and the test that proves it."""

    fault: str
    happens: str
    test: str


def marks(text: str, file: str) -> Iterator[Mark]:
    """The fault markers of a test file."""
    for node in ast.parse(text).body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for part in (part for decorator in node.decorator_list for part in ast.walk(decorator)):
            if isinstance(part, ast.Call) and ast.unparse(part.func) == "pytest.mark.fault":
                words = [ast.literal_eval(word) for word in part.args]
                yield Mark(words[0], words[1] if len(words) > 1 else "", f"{file}::{node.name}")


def found(root: Path) -> list[Mark]:
    """The fault markers of all tests, by file."""
    files = sorted((root / "tests").rglob("test_*.py"))
    return [mark for path in files for mark in marks(path.read_text("utf-8"), path.relative_to(root).as_posix())]


def page(all_marks: Sequence[Mark]) -> str:
    """RELIABILITY.md.

    Raises
    ------
    UsageError
        Where no test, or more than one, says what happens.
    """
    more = sorted({mark.fault for mark in all_marks} - set(ROWS))
    return "\n".join([HEAD, *(_row(fault, all_marks) for fault in [*ROWS, *more])]) + "\n"


def _row(fault: str, all_marks: Sequence[Mark]) -> str:
    same = [mark for mark in all_marks if mark.fault == fault]
    happens = [mark.happens for mark in same if mark.happens]
    if len(set(happens)) != 1:
        said = f"{len(set(happens))} tests say what happens" if same else "no test proves it"
        raise UsageError(f"{fault}: {said}", where=PAGE, hint='one @pytest.mark.fault("fault", "what happens") a fault')
    tests = ", ".join(f"`{test}`" for test in dict.fromkeys(mark.test for mark in same))
    return f"| {fault} | {happens[0]} | {tests} |"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = cli.Parser(
        prog="python tools/reliability.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE}")

    def body() -> None:
        written = parser.parse_args(argv).write
        path, text = ROOT / PAGE, page(found(ROOT))
        if written:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise UsageError("is out of date", where=PAGE, hint=COMMAND)

    return guarded(body)


if __name__ == "__main__":
    sys.exit(main())
