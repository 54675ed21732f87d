"""The flags as README.md and docs/flags.txt list them.

    python tools/flag_tables.py            # exit code 2 where a list is out of date
    python tools/flag_tables.py --write    # bring both up to date

README.md holds the tables between two markers. docs/flags.txt is the promise to batch scripts: a flag that is listed
there stays, and --write only adds to it. To remove a flag, remove its line by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # so that `python tools/flag_tables.py` finds our modules

import cli
from config import GROUPS, Flag
from errors import UsageError
from run import guarded

ROOT = Path(__file__).resolve().parent.parent
README, PROMISED = ROOT / "README.md", ROOT / "docs" / "flags.txt"
BEGIN, END = "<!-- flags: written by tools/flag_tables.py -->\n", "<!-- end of flags -->"
HEAD = "| flag | what | default |\n|---|---|---|"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = cli.Parser(
        prog="python tools/flag_tables.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true", help="write README.md and docs/flags.txt")

    def body() -> None:
        written = parser.parse_args(argv).write
        for path, text in {README: with_tables(README.read_text(encoding="utf-8")), PROMISED: promise()}.items():
            if written:
                path.write_text(text, encoding="utf-8")
            elif path.read_text(encoding="utf-8") != text:
                raise UsageError("is out of date", where=path.name, hint="python tools/flag_tables.py --write")

    return guarded(body)


def with_tables(page: str) -> str:
    """A page with the tables of today between its markers."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{tables()}\n\n{END}{rest.partition(END)[2]}"


def tables() -> str:
    """One table a group of flags, then one a task."""
    sections: dict[str, list[str]] = {title: [] for title in GROUPS}
    for owners in cli.all_flags().values():
        for task, flag in sorted(owners.items()):
            sections.setdefault(f"Only {task}" if task else flag.group, []).append(_row(flag))
    filled = {title: rows for title, rows in sections.items() if rows}
    titles = sorted(filled, key=lambda title: ([*GROUPS, title].index(title), title))
    return "\n\n".join("\n".join([f"**{title}**\n", HEAD, *filled[title]]) for title in titles)


def _row(flag: Flag) -> str:
    names = ", ".join(f"`{name}`" for name in (flag.option, flag.alias) if name)
    text = f"{flag.help}: {', '.join(flag.choices)}" if flag.choices else flag.help
    default = ", ".join(f"{task}: {value}" if task else value for task, value in cli.defaults(flag).items())
    return f"| {names} | {text} | {default} |".replace("|  |", "| |")


def promise() -> str:
    """docs/flags.txt: the flags that it lists, and those of today."""
    listed = set(PROMISED.read_text(encoding="utf-8").split()) if PROMISED.exists() else set()
    return "\n".join(sorted(listed | options())) + "\n"


def options() -> set[str]:
    """Every option of run.py, without the --no- forms of switches."""
    known = {option for action in cli.make_parser()._actions for option in action.option_strings}
    return {option for option in known if option.startswith("--") and not option.startswith("--no-")} - {"--help"}


if __name__ == "__main__":
    sys.exit(main())
