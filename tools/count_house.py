"""What the code looks like, counted from the code alone.

    python tools/count_house.py               a line a figure
    python tools/count_house.py --places      the same, with the places behind each figure
    python tools/count_house.py --root DIR    another checkout

Tests are left out everywhere but in the figure about them.
"""

from __future__ import annotations

import argparse
import ast
import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # so that `python tools/count_house.py` finds our modules

from tools.floors import python_files

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("tests", "artifacts", "data", "runs")
CHECKPOINT_NAMES = {"stored", "checkpoint", "ckpt", "saved", "theirs"}
CONTRACTS = ("Backbone", "Task", "Series", "Windows", "Checkpoint", "Reader")
SECTION = re.compile(r"^\s*(Parameters|Returns|Yields|Raises)\n\s*-+$", re.MULTILINE)
SHAPE = re.compile(r"\[[^\[\]]*[A-Z0-9][^\[\]]*\]")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file of the toolkit, parsed."""

    path: str  # from the root, with slashes
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree: each figure asks for them, and to walk it takes seconds."""
        return list(ast.walk(self.tree))

    @property
    def room(self) -> str:
        """The folder at the root that the file is in; empty for a root module."""
        return self.path.partition("/")[0] if "/" in self.path else ""

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        return (node for node in self.nodes if isinstance(node, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        """Every class."""
        return (node for node in self.nodes if isinstance(node, ast.ClassDef))


@dataclass(frozen=True)
class Figure:
    """One line of the table; `places` are what was counted, as file:line or file:name."""

    name: str
    value: str
    places: tuple[str, ...] = ()


def read(root: Path) -> list[Source]:
    """Every file of ours under `root`, tests left out."""
    files = python_files(root, LEFT_OUT)
    return [Source(path.as_posix(), (root / path).read_text(encoding="utf-8")) for path in files]


def figures(root: Path) -> list[Figure]:
    """The table for the checkout at `root`."""
    sources = read(root)
    return [
        Figure("files, lines", f"{len(sources)}, {sum(len(s.text.splitlines()) for s in sources):,}"),
        root_modules(sources),
        config_changes(sources),
        checkpoint_keys(sources),
        fitted_signatures(sources),
        probes(sources),
        *repeated_options(sources),
        function_lengths(sources),
        longest_file(sources),
        annotated(sources),
        untested(sources, root),
        *contract_docstrings(sources),
    ]


def root_modules(sources: Sequence[Source]) -> Figure:
    """The files at the root."""
    names = tuple(source.path for source in sources if not source.room)
    return Figure("root modules", str(len(names)), names)


def config_changes(sources: Sequence[Source]) -> Figure:
    """Functions that replace or rebind a configuration that they were given, cli.py and config.py left out."""
    places = tuple(
        f"{source.path}:{function.name}"
        for source in sources
        if source.path not in ("cli.py", "config.py") and source.room not in ("benchmarks", "examples")
        for function in source.functions()
        if _changes_config(function)
    )
    rooms = ("studies", "tools", "federation", "experiments", "streaming", "exporting", "nas_agent")
    beside = [place for place in places if place.startswith(rooms)]
    return Figure("functions that change config", f"{len(places) - len(beside)} ({len(beside)} beside a run)", places)


def _changes_config(function: Function) -> bool:
    """Whether it calls replace(config, ...), or binds the name `config` a second time."""
    bound = int("config" in _parameters(function))
    for node in _own_nodes(function):
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in ("replace", "dataclasses.replace"):
            if ast.unparse(node.args[0]).rpartition(".")[2] == "config":
                return True
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == "config":
            bound += 1
    return bound > 1


def checkpoint_keys(sources: Sequence[Source]) -> Figure:
    """Reads of a checkpoint by a literal key, where it is not made or taken apart."""
    places = tuple(
        f"{source.path}:{node.lineno}"
        for source in sources
        if source.path not in ("checkpoint.py", "restore.py")
        for names in [CHECKPOINT_NAMES | set(_loaded_names(source))]
        for node in source.nodes
        if isinstance(node, ast.expr) and _reads_key(node, names)
    )
    files = len({place.partition(":")[0] for place in places})
    return Figure("checkpoint reads by key", f"{len(places)} in {files} files" if places else "0", places)


def _loaded_names(source: Source) -> Iterator[str]:
    """Names and attributes that are given what `checkpoint.load` or `checkpoint.read` returns."""
    for node in source.nodes:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            owners = target.elts if isinstance(target, ast.Tuple) else [target]
            for owner, value in zip(owners, values, strict=False):
                if isinstance(owner, (ast.Name, ast.Attribute)) and _loads(value):
                    yield _last_name(owner)


def _loads(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("checkpoint.load", "checkpoint.read")


def _reads_key(node: ast.expr, names: set[str]) -> bool:
    """Whether a node is NAME["key"], NAME.get("key") or "key" in NAME, for one of the names or `checkpoint.load()`."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        owner, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        owner, key = node.func.value, node.args[0]
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        owner, key = node.comparators[0], node.left
    else:
        return False
    if isinstance(owner, (ast.Name, ast.Attribute)):
        named = _last_name(owner) in names
    else:
        named = _loads(owner)
    return named and isinstance(key, ast.Constant) and isinstance(key.value, str)


def fitted_signatures(sources: Sequence[Source]) -> Figure:
    """Functions that take `fitted` beside the task it belongs to."""
    places = tuple(
        f"{source.path}:{function.name}"
        for source in sources
        for function in source.functions()
        if "fitted" in _parameters(function)
    )
    return Figure("signatures that carry fitted", str(len(places)), places)


def probes(sources: Sequence[Source]) -> Figure:
    """`getattr` and `hasattr` that ask for an attribute of a backbone, and all of them within backbones/."""
    members = {
        name
        for source in sources
        if source.room == "backbones"
        for cls in source.classes()
        for name in _members(cls)
        if not name.startswith("_")
    } | {"pretrained"}
    outside, inside = [], []
    for source in sources:
        for node in source.nodes:
            if not (isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr")):
                continue
            asked = node.args[1].value if isinstance(node.args[1], ast.Constant) else None
            place = f"{source.path}:{node.lineno}"
            if source.room == "backbones":
                inside.append(place)
            elif asked in members and ast.unparse(node.args[0]).rpartition(".")[2] not in ("config", "flag"):
                outside.append(place)
    value = f"{len(inside) + len(outside)} ({len(inside)} in backbones/)" if inside or outside else "0"
    return Figure("probes of a backbone's attributes", value, (*inside, *outside))


def repeated_options(sources: Sequence[Source]) -> Iterator[Figure]:
    """Keys of a literal table that the constructor of its file names once more."""
    for table, title in (("HYPER", "hyperparameters written twice"), ("FLAGS", "task options written twice")):
        total, places = 0, []
        for source in sources:
            keys = _table_keys(source, table)
            taken = {
                name
                for cls in source.classes()
                if any("register" in ast.unparse(decorator) for decorator in cls.decorator_list)
                for function in cls.body
                if isinstance(function, ast.FunctionDef) and function.name == "__init__"
                for name in _parameters(function)
            }
            total += len(keys)
            places += [f"{source.path}:{key}" for key in keys if key in taken]
        yield Figure(title, f"{len(places)} of {total}", tuple(places))


def function_lengths(sources: Sequence[Source]) -> Figure:
    """Lines of a function: the median, the ninetieth percentile, the longest."""
    sizes = {
        f"{source.path}:{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for source in sources
        for function in source.functions()
    }
    every = [(function.end_lineno or 0) - function.lineno + 1 for source in sources for function in source.functions()]
    longest = sorted(sizes, key=lambda place: -sizes[place])[:5]
    p90 = statistics.quantiles(every, n=10)[-1]
    shown = tuple(f"{place} {sizes[place]}" for place in longest)
    return Figure("lines of a function, p50/p90/max", f"{statistics.median(every):g} / {p90:g} / {max(every)}", shown)


def longest_file(sources: Sequence[Source]) -> Figure:
    """The longest file, and the five behind it."""
    sizes = sorted(((len(source.text.splitlines()), source.path) for source in sources), reverse=True)
    return Figure("longest file", f"{sizes[0][0]} ({sizes[0][1]})", tuple(f"{path} {n}" for n, path in sizes[:6]))


def annotated(sources: Sequence[Source]) -> Figure:
    """The share of functions whose parameters and result all have a type."""
    total, places = 0, []
    for source in sources:
        for function in source.functions():
            total += 1
            words = function.args
            every = [*words.posonlyargs, *words.args, *words.kwonlyargs, words.vararg, words.kwarg]
            bare = [a for a in every if a is not None and a.annotation is None and a.arg not in ("self", "cls")]
            if bare or function.returns is None:
                places.append(f"{source.path}:{function.name}")
    return Figure("functions annotated", f"{100 * (1 - len(places) / total):.1f} % of {total:,}", tuple(places))


def untested(sources: Sequence[Source], root: Path) -> Figure:
    """Root modules without a test file of their name."""
    names = [source.path for source in sources if not source.room]
    places = tuple(name for name in names if not (root / "tests" / f"test_{name}").is_file())
    return Figure("root modules without a test of their name", f"{len(places)} of {len(names)}", places)


def contract_docstrings(sources: Sequence[Source]) -> Iterator[Figure]:
    """How many public members of contract classes, and functions of readers/ and times/, say what goes in and out."""
    members: dict[str, Function] = {}
    functions: dict[str, Function] = {}
    for source in sources:
        for cls in source.classes():
            if cls.name in CONTRACTS:
                members |= {f"{source.path}:{cls.name}.{m.name}": m for m in cls.body if isinstance(m, Function)}
        if source.room in ("readers", "times"):
            functions |= {f"{source.path}:{node.name}": node for node in source.tree.body if isinstance(node, Function)}
    yield _documented("docstrings of the contracts", members)
    yield _documented("docstrings of readers/ and times/", functions)


def _documented(name: str, members: dict[str, Function]) -> Figure:
    """Docstrings of the public members that take something: NumPy sections, or a shape in prose, or neither."""
    texts = {
        place: ast.get_docstring(member) or ""
        for place, member in members.items()
        if not member.name.startswith("_") and _parameters(member) - {"self", "cls"}
    }
    sections = [place for place, text in texts.items() if SECTION.search(text)]
    vague = tuple(place for place, text in texts.items() if place not in sections and not SHAPE.search(text))
    shapes = len(texts) - len(sections) - len(vague)
    return Figure(
        name, f"{len(sections)} with sections, {shapes} with shapes, of {len(texts)} that take arguments", vague
    )


def _parameters(function: Function) -> set[str]:
    words = function.args
    return {argument.arg for argument in (*words.posonlyargs, *words.args, *words.kwonlyargs)}


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """What is in a function, but not in the functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function):
            waiting += ast.iter_child_nodes(node)


def _last_name(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def _members(cls: ast.ClassDef) -> Iterator[str]:
    """Names that a class or its instances have."""
    for node in ast.walk(cls):
        if isinstance(node, Function):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, (ast.Name, ast.Attribute)):
                    yield _last_name(target)


def _table_keys(source: Source, table: str) -> list[str]:
    for node in source.tree.body:
        if isinstance(node, ast.Assign):
            target: ast.expr = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        if isinstance(target, ast.Name) and target.id == table and isinstance(node.value, ast.Dict):
            return [
                key.value for key in node.value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
            ]
    return []


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to count (default: this one)")
    parser.add_argument("--places", action="store_true", help="print the places behind each figure")
    given = parser.parse_args(argv)
    for figure in figures(given.root.resolve()):
        print(f"{figure.name:<56}{figure.value}")
        if given.places:
            print(*(f"    {place}" for place in figure.places), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
