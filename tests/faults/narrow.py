"""Commands, one after the other, with a disk of this process's own: `python narrow.py FOLDER KIND`.

FOLDER becomes a disk that is "full", has "no name" left for a further file, or is "read-only"; it is gone with this
process. Standard input is JSON, [[module, [word, ...]], ...]; standard output too, [[exit code, what was printed],
...]. The exit code is 99 where the system lets no user mount a disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import json
import os
import sys
import traceback
from pathlib import Path

NEW_USERS, NEW_MOUNTS, READ_ONLY, REMOUNT = 0x10000000, 0x00020000, 1, 32


def mount(folder: Path, kind: str) -> None:
    """Mount the disk. OSError where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *given: object) -> None:
        if getattr(libc, name)(*given):
            raise OSError(ctypes.get_errno(), name)

    user, group = os.getuid(), os.getgid()
    call("unshare", NEW_USERS | NEW_MOUNTS)
    for file, text in {"setgroups": "deny", "uid_map": f"0 {user} 1", "gid_map": f"0 {group} 1"}.items():
        Path("/proc/self", file).write_text(text)
    options = "size=1m,nr_inodes=1" if kind == "no name" else "size=4k"
    call("mount", b"none", os.fsencode(folder), b"tmpfs", 0, options.encode())
    if kind == "full":
        (folder / "rest").write_bytes(bytes(4096))
    if kind == "read-only":
        call("mount", b"none", os.fsencode(folder), b"tmpfs", REMOUNT | READ_ONLY, b"")


def run(module: str, words: list[str]) -> tuple[int, str]:
    """(exit code, what was printed) of a command; -1 for a traceback."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            return int(importlib.import_module(module).main(words)), told.getvalue()
        except Exception:
            return -1, told.getvalue() + traceback.format_exc()


def main(folder: str, kind: str) -> int:
    """Returns 0, or 99."""
    try:
        mount(Path(folder), kind)
    except OSError:
        return 99
    print(json.dumps([run(module, words) for module, words in json.loads(sys.stdin.read())]))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
