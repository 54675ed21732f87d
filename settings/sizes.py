"""Sizes of memory: as a setting names them, and what this process may still have."""

from __future__ import annotations

import re
import resource
from pathlib import Path

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_FORM = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)b?", re.IGNORECASE)
GROUP = Path("/sys/fs/cgroup")


def bytes_of(text: str) -> int:
    """The bytes that 4GB, 500M or 2e9 written out means. ValueError for what is no size."""
    match = _FORM.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"takes a size such as 4GB or 500MB, got {text!r}")
    return int(float(match[1]) * UNITS[match[2].lower()])


def free_bytes() -> int:
    """What this process may still allocate: of the machine's memory, of its group's and of its own limit."""
    used = _lines("/proc/self/status")
    limits = ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize"))
    found = ((resource.getrlimit(kind)[0], used.get(name, 0)) for kind, name in limits)
    free = [limit - taken for limit, taken in found if limit != resource.RLIM_INFINITY]
    free += [size for name, size in _lines("/proc/meminfo").items() if name == "MemAvailable"]
    most, taken = (GROUP / name for name in ("memory.max", "memory.current"))
    if most.is_file() and taken.is_file() and most.read_text().strip().isdigit():
        free.append(int(most.read_text()) - int(taken.read_text()))
    return min(free, default=1 << 62)


def _lines(file: str) -> dict[str, int]:
    """{name: bytes} of a file of the kernel's whose lines are `name: 12 kB`; {} where there is no such file."""
    if not Path(file).is_file():
        return {}
    lines = (line.partition(":")[::2] for line in Path(file).read_text().splitlines() if line.endswith(" kB"))
    return {name: 1024 * int(size.split()[0]) for name, size in lines}
