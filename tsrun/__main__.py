"""The command `tsrun`: `python run.py` and the scripts beside it, from any folder.

tsrun --task forecast --csv load.csv --time-col date
tsrun search --trials 20 -- --task forecast ...
tsrun report artifacts --out report
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from tsrun import ROOT


def main() -> int:
    """Run the command line of this process; its exit code."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # while the rest is imported there is nothing to clean up
    working = ("", str(Path.cwd()))  # on the path by `python -m tsrun`; its files are data
    sys.path[:] = [ROOT, *(place for place in sys.path if place not in working)]
    from errors import COMMANDS

    words = sys.argv[1:]
    script = COMMANDS.get(words[0]) if words and words[0] else None
    if script is None:
        return int(import_module("run").main(words))
    module = script.removeprefix("-m ").removesuffix(".py").replace("/", ".")
    if module == "nas_agent":
        module = "nas_agent.__main__"
    return int(import_module(module).main(words[1:]))


if __name__ == "__main__":
    sys.exit(main())
