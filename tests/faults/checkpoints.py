"""Checkpoints with a right checksum and wrong content: any part replaced by something else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from hypothesis import strategies as st

from . import rubbish

INSTEAD: list[Any] = [
    None,
    "",
    "x",
    -1,
    0,
    1e300,
    float("nan"),
    float("inf"),
    True,
    [],
    {},
    [None],
    ["x"],
    {"x": 1},
    10**9,
]
INSTEAD += [torch.zeros(2), torch.full((3,), float("nan"))]


def paths(content: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the parts of a content are; of a long list the first two."""
    if before:
        yield before
    if isinstance(content, dict):
        for name, part in content.items():
            yield from paths(part, (*before, name))
    elif isinstance(content, list):
        for k, part in enumerate(content[:2]):
            yield from paths(part, (*before, k))


def replaced(content: dict[str, Any], changes: list[tuple[tuple[Any, ...], Any]]) -> dict[str, Any]:
    """A copy of a content in which some parts are something else, or are not there (LEFT_OUT)."""
    made = copy.deepcopy(content)
    for path, new in changes:
        inner: Any = made
        try:
            for name in path[:-1]:
                inner = inner[name]
            if new is Ellipsis:
                del inner[path[-1]]
            else:
                inner[path[-1]] = new
        except (LookupError, TypeError):  # another change has taken the place away
            continue
    return made


def spoiled(content: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A content with one or two parts replaced or left out."""
    inside = [path for path in paths(content) if path[0] != "schema"]
    short = [path for path in inside if len(path) < 3 or path[0] != "config"]
    new = st.one_of(st.sampled_from([*INSTEAD, ...]), st.sampled_from([*INSTEAD, ...]), rubbish.plain)
    change = st.tuples(st.sampled_from(short), new)
    return st.lists(change, min_size=1, max_size=2).map(lambda changes: replaced(content, changes))
