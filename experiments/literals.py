"""Settings written in Python's syntax or in YAML's, parsed and never executed: plain values, each with its line.

A Python file may hold imports of torch's modules, a docstring, and assignments `name = value` of numbers, text, True,
False, None, lists, tuples, dicts with text as keys, and dotted names such as `optim.Adam`. A YAML file holds the same
as a mapping, without anchors and tags. Anything else is a UsageError with FILE:LINE.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from errors import UsageError, nearest

MOST_BYTES = 1 << 20  # of a file of settings
MOST_DEPTH = 40  # of lists in lists; parsers are recursive, and some take the square of it in time
MOST_NODES = 100_000  # of a YAML file with its aliases written out, which a few lines can make billions

MODULES = ("torch", "torch.nn", "torch.optim", "torch.optim.lr_scheduler")  # what may be imported, by any name
REFUSED = "(refused)"  # what a refused import binds: it has been reported, its uses are not
HINT = "this file is parsed, never executed: imports of torch, torch.nn and torch.optim, and NAME = plain values"
KINDS = {
    ast.Call: "a call",
    ast.BinOp: "arithmetic",
    ast.BoolOp: "logic",
    ast.Compare: "a comparison",
    ast.Lambda: "a function",
    ast.FunctionDef: "a function",
    ast.AsyncFunctionDef: "a function",
    ast.ClassDef: "a class",
    ast.If: "a condition",
    ast.IfExp: "a condition",
    ast.For: "a loop",
    ast.While: "a loop",
    ast.ListComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.JoinedStr: "an f-string",
    ast.Subscript: "an index",
    ast.Starred: "an unpacking",
    ast.Set: "a set",
}


class Dotted(str):
    """A dotted name, by its full path below torch: `optim.Adam`."""


class Broken:
    """In the place of a value that cannot be read; a problem says why."""


@dataclass(frozen=True)
class Node:
    """A value and its line: a scalar, a Dotted, a Broken, a list or tuple of Nodes, or a dict of them."""

    value: Any
    line: int
    written: str = (
        ""  # a number or a yes or no of YAML as it stands in the file: where text is wanted, 7 and NO are names
    )

    @property
    def broken(self) -> bool:
        """Whether the value could not be read, which has been reported."""
        return isinstance(self.value, Broken)

    @property
    def unsound(self) -> bool:
        """Whether any part of the value is broken."""
        parts = self.value.values() if isinstance(self.value, dict) else self.value
        inside = isinstance(self.value, dict | list | tuple) and any(part.unsound for part in parts)
        return self.broken or inside

    def text(self) -> Node:
        """The value where text is wanted: what is written, also in the items of a list."""
        if isinstance(self.value, list):
            return Node([item.text() for item in self.value], self.line)
        return Node(self.written, self.line) if self.written else self

    def plain(self) -> Any:
        """The value without its lines; dotted names are text."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, (list, tuple)):
            return type(self.value)(node.plain() for node in self.value)
        return str(self.value) if isinstance(self.value, Dotted) else self.value


def text_of(path: str | Path, *, where: str, what: str = "the config file") -> str:
    """The text of a file of settings, UTF-8 with or without a byte order mark.

    Parameters
    ----------
    path : the file.
    where, what : name it in messages.

    Raises
    ------
    UsageError : a file that cannot be read, is no text, or is far larger than settings are.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {what}: {error.strerror}", where=where) from None
    except ValueError as error:  # no UTF-8; a path with a zero byte
        raise UsageError(f"is not UTF-8 text: {error}", where=where) from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"is larger than {MOST_BYTES >> 20} MiB, which no settings are", where=where)
    return text


def from_python(text: str, file: str, problems: list[UsageError]) -> Node:
    """The assignments of a Python file: a Node with a dict of Nodes. What is not allowed goes to `problems`."""
    reader = _Python(file, problems)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of spellings in the file
            return reader.read(ast.parse(text))
    except SyntaxError as error:
        raise UsageError(f"not Python: {error.msg}", where=f"{file}:{error.lineno or 1}") from None
    except (RecursionError, MemoryError, ValueError) as error:  # nested without end; a zero byte
        raise UsageError(f"cannot be parsed: {error}", where=file) from None


WORDS = {"null": "~|null|Null|NULL|", "merge": "<<"}  # what YAML may take for something else than text
VALUES = WORDS | {
    "bool": "(?i:yes|no|true|false|on|off)",
    "int": "[-+]?(?:0|[1-9][0-9]*)",  # 010 would be 8 in YAML 1.1
    "float": r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?i:inf)|\.(?i:nan)",
}


class NotYaml(Exception):
    """A text that is not YAML, or more than settings need; the message tells why, `line` where, 0 if unknown."""

    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {what}" if line else what)
        self.what, self.line = what, line


class _Document:
    """The nodes of a YAML text: the one place where YAML is parsed. NotYaml for whatever its library cannot read.

    Everything is text, except for the unquoted scalars that match a pattern of {type: pattern}. Tags are refused, but
    for those that say what a node is anyway.
    """

    def __init__(self, text: str, resolved: Mapping[str, str]) -> None:
        _check_nesting(text)
        self.resolved = resolved
        try:
            self.loader = _loader(text, resolved)
            self.root = self.loader.get_single_node()
            self._check(self.root, {}, set())
        except Exception as error:  # yaml's own, and what its recursion and its conversions raise
            raise _not_yaml(error) from None

    def value(self, node: Any) -> Any:
        """The plain value of a node. NotYaml where it cannot be made."""
        try:
            return self.loader.construct_document(node)
        except Exception as error:
            raise _not_yaml(error) from None

    def _check(self, node: Any, sizes: dict[int, int], within: set[int]) -> int:
        """How many nodes there are with every alias written out. NotYaml for too many, or a tag that is not allowed."""
        if node is None or id(node) in sizes:
            return sizes.get(id(node), 0)
        line = node.start_mark.line + 1
        if id(node) in within:
            raise NotYaml("holds itself", line)
        allowed = {"map", "seq"} if node.id != "scalar" else {"str", *self.resolved}
        if node.tag.removeprefix("tag:yaml.org,2002:") not in allowed:
            raise NotYaml(f"the tag {node.tag} is not allowed here: plain values", line)
        within.add(id(node))
        below = [] if node.id == "scalar" else node.value
        parts = [part for item in below for part in (item if isinstance(item, tuple) else (item,))]
        sizes[id(node)] = 1 + sum(self._check(part, sizes, within) for part in parts)
        within.discard(id(node))
        if sizes[id(node)] > MOST_NODES:
            raise NotYaml(f"more than {MOST_NODES:,} values", line)
        return sizes[id(node)]


def _check_nesting(text: str) -> None:
    """NotYaml for lists in lists without end, before a parser sees them."""
    depth = 0
    for found in re.finditer(r"[\[\]{}]", text):
        depth = depth + 1 if found[0] in "[{" else max(depth - 1, 0)
        if depth > MOST_DEPTH:
            raise NotYaml(f"more than {MOST_DEPTH} lists in lists", text.count("\n", 0, found.start()) + 1)
    if run := re.search(rf"^ *(?:[-?:] +){{{MOST_DEPTH + 1}}}", text, re.MULTILINE):
        raise NotYaml(f"more than {MOST_DEPTH} lists in lists", text.count("\n", 0, run.start()) + 1)


def _not_yaml(error: Exception) -> NotYaml:
    if isinstance(error, NotYaml):
        return error
    import yaml

    marked = error if isinstance(error, yaml.MarkedYAMLError) else None
    mark = marked and marked.problem_mark
    text = (marked and marked.problem) or str(error) or type(error).__name__
    return NotYaml("not plain YAML: " + " ".join(text.split())[:200], mark.line + 1 if mark else 0)


def _loader(text: str, resolved: Mapping[str, str]) -> Any:
    """A YAML loader that resolves {type: pattern}; libyaml's parser, which is many times faster, where it is there."""
    import yaml

    base = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

    class Loader(base):  # type: ignore[misc, valid-type]  # yaml has no types
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key in (key.value for key, _ in node.value if key.id == "scalar" and key.value != "<<"):
                if key in seen:
                    raise NotYaml(f"the key {key!r} is there twice", node.start_mark.line + 1)
                seen.add(key)
            return super().construct_mapping(node, deep)

    for kind, pattern in resolved.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), None)
    return Loader(text)


def words_of(text: str) -> Any:
    """The content of a YAML file with every scalar as text, as on a command line: 007 and off stay what they are.

    Only an unquoted `null`, `~` or nothing is None. Raises NotYaml.
    """
    document = _Document(text, WORDS)
    return None if document.root is None else document.value(document.root)


def from_yaml(text: str, file: str) -> Node:
    """The mapping of a YAML file, as `from_python` gives it."""
    try:
        document = _Document(text, VALUES)
        made = _Yaml(file, document).node(document.root) if document.root is not None else Node({}, 1)
    except NotYaml as error:
        raise UsageError(error.what, where=f"{file}:{error.line or 1}") from None
    if not isinstance(made.value, dict):
        raise UsageError("not a mapping of names to values", where=f"{file}:{made.line}")
    return made


class _Python:
    """Reads one file; `names` are what its imports bind. A value that it refuses is Broken, and the rest is read."""

    def __init__(self, file: str, problems: list[UsageError]) -> None:
        self.file, self.problems = file, problems
        self.names: dict[str, str] = {}
        self.found: dict[str, Node] = {}

    def error(self, node: ast.AST, text: str, hint: str = HINT) -> UsageError:
        line = node.lineno if isinstance(node, (ast.stmt, ast.expr, ast.keyword, ast.alias)) else 1
        return UsageError(text, where=f"{self.file}:{line}", hint=hint)

    def refusal(self, node: ast.AST) -> UsageError:
        source = ast.unparse(node).splitlines()[0]
        shown = source if len(source) <= 60 else source[:57] + "..."
        return self.error(node, f"{KINDS.get(type(node), 'more than a plain value')}, {shown!r}, is not allowed here")

    def read(self, tree: ast.Module) -> Node:
        for statement in tree.body:
            try:
                self.statement(statement)
            except UsageError as error:
                self.problems.append(error)
        return Node(self.found, 1)

    def statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            self.bind(statement)
        elif isinstance(statement, ast.Assign) and all(isinstance(t, ast.Name) for t in statement.targets):
            self.assign(statement)
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            raise self.refusal(statement.value if isinstance(statement, ast.Expr) else statement)

    def assign(self, statement: ast.Assign) -> None:
        for target in statement.targets:
            assert isinstance(target, ast.Name)
            if target.id in self.found:
                raise self.error(statement, f"{target.id} is set twice", hint="")
            self.found[target.id] = Node(self.read_node(statement.value).value, statement.lineno)

    def read_node(self, node: ast.expr) -> Node:
        """`node`, with Broken for what is refused."""
        try:
            return self.node(node)
        except UsageError as error:
            self.problems.append(error)
            return Node(Broken(), node.lineno)

    def bind(self, statement: ast.Import | ast.ImportFrom) -> None:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                self.names[alias.asname or alias.name.partition(".")[0]] = REFUSED  # until it is allowed
                self.allow(statement, alias.name)
                self.names[alias.asname or "torch"] = alias.name if alias.asname else "torch"
            return
        self.names |= {alias.asname or alias.name: REFUSED for alias in statement.names}
        self.allow(statement, "." * statement.level + (statement.module or ""))
        for alias in statement.names:
            if alias.name == "*":
                raise self.refusal(statement)
            self.names[alias.asname or alias.name] = f"{statement.module}.{alias.name}"

    def allow(self, statement: ast.stmt, module: str) -> None:
        if module not in MODULES:
            raise self.error(statement, f"import of {module!r}: only {', '.join(MODULES)} may be imported")

    def node(self, node: ast.expr) -> Node:
        """The value of an expression."""
        if isinstance(node, ast.Constant):
            return Node(self.constant(node), node.lineno)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            return Node(self.signed(node), node.lineno)
        if isinstance(node, (ast.List, ast.Tuple)):
            items = [self.read_node(item) for item in node.elts]
            return Node(items if isinstance(node, ast.List) else tuple(items), node.lineno)
        if isinstance(node, ast.Dict):
            return Node(self.table(node), node.lineno)
        if isinstance(node, (ast.Name, ast.Attribute)):
            name = self.dotted(node)
            return Node(Broken() if name.startswith(REFUSED) else name, node.lineno)
        raise self.refusal(node)

    def constant(self, node: ast.Constant) -> Any:
        if node.value is not None and not isinstance(node.value, (bool, int, float, str)):
            raise self.refusal(node)
        if isinstance(node.value, float) and not math.isfinite(node.value):
            raise self.error(node, "this number is too large", hint="")
        return node.value

    def signed(self, node: ast.UnaryOp) -> int | float:
        inner = self.constant(node.operand) if isinstance(node.operand, ast.Constant) else None
        if isinstance(inner, bool) or not isinstance(inner, (int, float)):
            raise self.refusal(node)
        return -inner if isinstance(node.op, ast.USub) else inner

    def table(self, node: ast.Dict) -> dict[str, Node]:
        made: dict[str, Node] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                what = f"a key of a dict must be text, got {ast.unparse(key) if key else '**'}"
                self.problems.append(self.error(key or node, what, hint=""))
                continue
            if key.value in made:
                self.problems.append(self.error(key, f"the key {key.value!r} is there twice", hint=""))
            made[key.value] = Node(self.read_node(value).value, key.lineno)
        return made

    def dotted(self, node: ast.expr) -> Dotted:
        parts: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            parts.insert(0, inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            raise self.refusal(node)
        if inner.id not in self.names:
            known = nearest(inner.id, [*self.names, "True", "False", "None"])
            raise self.error(node, f"the name {inner.id!r} is not known: no import binds it", hint=known or HINT)
        full = ".".join([self.names[inner.id], *parts])
        return Dotted(full.removeprefix("torch."))


class _Yaml:
    """Reads the nodes of one YAML document."""

    def __init__(self, file: str, document: _Document) -> None:
        self.file, self.document = file, document
        self.seen: set[int] = set()

    def error(self, line: int, text: str) -> UsageError:
        return UsageError(text, where=f"{self.file}:{line}")

    def node(self, node: Any) -> Node:
        """The value of a YAML node."""
        line = node.start_mark.line + 1
        if id(node) in self.seen:
            raise self.error(line, "an alias (*name) is not allowed here: write the value out")
        self.seen.add(id(node))
        if node.id == "mapping":
            return Node(self.table(node), line)
        if node.id == "sequence":
            return Node([self.node(item) for item in node.value], line)
        value = self.document.value(node)
        if value is not None and not isinstance(value, (bool, int, float, str)):
            raise self.error(line, f"takes plain values, got {node.value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error(line, f"takes finite numbers, got {node.value!r}")
        return Node(value, line, node.value if isinstance(value, (bool, int, float)) else "")

    def table(self, node: Any) -> dict[str, Node]:
        made: dict[str, Node] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, self.node(key).value
            if not isinstance(name, str):
                raise self.error(line, f"a key must be text, got {name!r}")
            if name in made:
                raise self.error(line, f"the key {name!r} is there twice")
            made[name] = replace(self.node(value), line=line)
        return made
