"""The floors of the house, read from the imports: `python tools/floors.py` prints them.

A box is a module at the root, or a folder (a room). A box lies one floor above the highest box that it imports; what
nobody imports is started by a person, and lies on the top floor. A registry (the `__init__.py` of its room) is a box of
its own where modules below the room ask it for names.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("tests", "artifacts", "data", "runs", "benchmarks", "examples")  # they may import anything
DOOR = " (registry)"

Graph = dict[str, set[str]]  # a box, and the boxes that it imports


@dataclass(frozen=True)
class House:
    """The boxes of a checkout.

    Parameters
    ----------
    graph : every box and those that it imports.
    about : the first sentence of each box's docstring.
    files : how many files each room has; root modules are left out.
    scripts : the root modules that can be started.
    """

    graph: Graph
    about: dict[str, str]
    files: dict[str, int]
    scripts: set[str]

    def floors(self) -> list[list[str]]:
        """The boxes by floor, from the ground up: a box is higher than all that it imports.

        Raises ValueError when imports go in a circle.
        """
        height: dict[str, int] = {}
        waiting = dict(self.graph)
        while waiting:
            ready = [box for box, below in waiting.items() if below <= height.keys()]
            if not ready:
                raise ValueError(f"imports go in a circle among {', '.join(sorted(waiting))}")
            for box in ready:
                height[box] = 1 + max((height[other] for other in waiting.pop(box)), default=-1)
        top = max(height.values())
        imported = set().union(*self.graph.values())
        height |= {box: top for box in self.graph.keys() - imported if self.graph[box]}
        return [sorted(box for box in height if height[box] == floor) for floor in range(top + 1)]

    def started(self, box: str) -> bool:
        """Whether a person starts it: a root module with a `__main__`, or a room that nobody imports."""
        return box in self.scripts or (box in self.files and box not in set().union(*self.graph.values()))

    def drawn(self) -> Graph:
        """The imports that do not follow from others: of a -> b -> c, a -> c is left out."""
        reach: Graph = {}

        def reached(box: str) -> set[str]:
            if box not in reach:
                reach[box] = set().union(*({other} | reached(other) for other in self.graph[box]))
            return reach[box]

        return {
            box: {other for other in below if not any(other in reached(third) for third in below)}
            for box, below in self.graph.items()
        }


def read(root: Path) -> House:
    """The house at `root`, from its files' imports; those for type checking alone do not count."""
    ours = python_files(root, LEFT_OUT)
    trees = {path: ast.parse((root / path).read_text(encoding="utf-8")) for path in ours}
    boxes = {_room(path) for path in ours}
    doors = {_room(path) for path in ours if _is_face(path) and _opens(trees[path])}
    split: Graph = {box: set() for box in (*boxes, *(room + DOOR for room in doors))}
    for path, tree in trees.items():
        box = _room(path) + DOOR * (_room(path) in doors and path.parts[1:] == ("__init__.py",))
        found = (_box(name, word, doors, root) for name, word in imports(tree))
        split[box] |= {other for other in found if other in split} - {box}
    about = {_room(path): _about(tree) for path, tree in trees.items() if len(path.parts) == 1 or _is_face(path)}
    files = Counter(_room(path) for path in ours if len(path.parts) > 1)
    scripts = {_room(path) for path, tree in trees.items() if len(path.parts) == 1 and _is_script(tree)}
    return House(_without_needless_doors(split), about, files, scripts)


def python_files(root: Path, left_out: Sequence[str]) -> list[Path]:
    """The Python files of a checkout, relative to it and sorted, without hidden folders and those that are left out."""
    tops = [top for top in root.iterdir() if not top.name.startswith(".") and top.name not in left_out]
    files = [path for top in tops for path in (top.rglob("*.py") if top.is_dir() else [top]) if path.suffix == ".py"]
    return sorted(path.relative_to(root) for path in files)


def _room(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def _is_face(path: Path) -> bool:
    return len(path.parts) == 2 and path.name == "__init__.py"


def _about(tree: ast.Module) -> str:
    """The first sentence of a docstring; the next one where the first is a command line."""
    paragraphs = (" ".join(text.split()) for text in (ast.get_docstring(tree) or "").split("\n\n"))
    first, *others = (re.split(r"(?<=[\w`)])\.(?:\s|$)", text)[0] for text in paragraphs)
    return others[0] if others and ": `" in first and " " not in first.partition(":")[0] else first


def _is_script(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body)


def _opens(tree: ast.Module) -> bool:
    """Whether a file makes a registry."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(isinstance(called, ast.Name) and called.id == "Registry" for called in calls)


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name imported from it or an empty string) of every absolute import, wherever it is."""
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


def _box(module: str, name: str, doors: set[str], root: Path) -> str:
    """The box that an import leads to."""
    room, _, inside = module.partition(".")
    within = root / room / name
    if room in doors and not inside and not (name and (within.is_dir() or within.with_suffix(".py").is_file())):
        return room + DOOR
    return room


def _without_needless_doors(split: Graph) -> Graph:
    """Put each door back into its room, unless that would make imports go in a circle."""
    graph = split
    for door in sorted(box for box in split if box.endswith(DOOR)):
        room = door.removesuffix(DOOR)
        merged = {
            box: {room if other == door else other for other in below} - {box}
            for box, below in graph.items()
            if box != door
        }
        merged[room] |= {room if other == door else other for other in graph[door]} - {room}
        if not _in_circle(room, merged):
            graph = merged
    return graph


def _in_circle(start: str, graph: Graph) -> bool:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        box = waiting.pop()
        if box not in seen:
            seen.add(box)
            waiting += graph[box]
    return start in seen


def main() -> int:
    """Print the floors, the top one first."""
    for floor, boxes in reversed(list(enumerate(read(ROOT).floors()))):
        print(f"{floor:>3}  {' '.join(boxes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
