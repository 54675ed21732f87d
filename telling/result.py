"""The result of a run as text: a small table, or the sizes of a dry run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

MOST_LISTED = 8  # numbers of a list that a dry run shows


def table(content: Mapping[str, Any], directory: Path, opens: Sequence[str]) -> str:
    """The result as a small table: the model first, then its references, best first; then where the files are.

    Parameters
    ----------
    content : of the summary.
    directory : the run's; the last line.
    opens : names of files to look at first, of which those that are there are told.
    """
    monitor, shown = content["monitor"]["name"], content.get("shown") or {name: name for name in content["headline"]}
    rows: list[tuple[str, Mapping[str, Any]]] = [(content["backbone"], content)]
    scored = [(name, r) for name, r in content["references"].items() if r.get(monitor) is not None]
    scored.sort(key=lambda row: row[1][monitor], reverse=content["monitor"]["direction"] == "max")
    rows += [(_beside(name, row, content, shown.values()), row) for name, row in scored]
    rows = [(label, row) for label, row in rows if label]
    lines = [_caption(content)]
    if "unscored" not in content:
        wide = {title: max(12, len(title) + 2) for title in shown}
        room = max(20, *(len(label) + 2 for label, _ in rows))
        lines.append(" " * room + "".join(f"{title:>{width}}" for title, width in wide.items()))
        lines += [
            f"{label:<{room}}" + "".join(f"{_cell(row, shown[title]):>{width}}" for title, width in wide.items())
            for label, row in rows
        ]
    parts = (part for part in content.values() if isinstance(part, dict))
    lines += [part["in_words"] for part in parts if part.get("in_words")]
    for name, fold in content.get("folds", {}).items():
        lines.append(f"{name} over {len(fold['values'])} folds: {_number(fold['mean'])} ± {_number(fold['std'])}")
    lines += [*_verdict(content), *content.get("first", [])]
    files = [name for name in opens if (directory / name).is_file()]
    lines += [f"to look at, in the folder below: {', '.join(files)}"] * bool(files)
    return "\n".join([*lines, str(directory)])


def _beside(name: str, row: Mapping[str, Any], model: Mapping[str, Any], paths: Iterable[str]) -> str:
    """What a reference is called beside the model; "" for the model itself once more."""
    if name != model["backbone"]:
        return name
    return "" if all(_cell(row, path) == _cell(model, path) for path in paths) else f"{name} (reference)"


def _cell(row: Mapping[str, Any], path: str) -> str:
    """The value at a dotted path, such as original.mae; nothing where a reference has no such thing."""
    value: Any = row
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return ""
        value = value[name]
    return _number(value)


def _verdict(content: Mapping[str, Any]) -> list[str]:
    """A line that says so where a reference beats the model, and what to take."""
    if "better" not in content:
        return []
    reference, take = content["better"]["reference"], content["better"]["take"]
    name, monitor = content["backbone"], content["monitor"]["name"]
    mine, best = (_number(value) for value in (content[monitor], content["references"][reference][monitor]))
    advice = f": --backbone {take}" if take != name else ""
    advice = advice if take else ": it sees the label, which the model does not"
    return [f"{reference} is better than {name} here ({monitor} {best} against {mine}){advice}"]


def _caption(content: Mapping[str, Any]) -> str:
    if "unscored" in content:
        return f"predicted, not scored: {content['unscored']}"
    positive = content.get("prevalence")
    rate = f", {100 * positive:.1f} % positive" if positive is not None else ""
    took = f"{content['parameters']:,} parameters, {content['seconds']:.1f} s"
    return f"{content['split']}: {content['n']:,} windows{rate} ({content['selection']}; {took})"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def outline(content: Mapping[str, Any], indent: str = "") -> str:
    """Nested numbers as indented lines: what `--dry-run` prints."""
    lines = []
    for key, value in content.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}", outline(value, indent + "  ")]
        else:
            readable = f"{value / 2**20:,.1f} MiB" if key.endswith("_bytes") else _readable(value)
            lines.append(f"{indent}{key.removesuffix('_bytes').replace('_', ' '):<22}{readable}")
    return "\n".join(lines)


def _readable(value: Any) -> str:
    """A number or text as it is; of many numbers their count and range."""
    if not isinstance(value, list) or len(value) <= MOST_LISTED:
        return str(value)
    return f"{len(value):,} of {min(value):.4g} to {max(value):.4g}"
