"""The parts of a page: the document, tables, pictures, data for our scripts. All text is escaped here."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from errors import printable

PNG = b"\x89PNG\r\n\x1a\n"
HERE = Path(__file__).parent


@cache
def asset(name: str) -> str:
    """A file of ours that every page carries."""
    return (HERE / name).read_text(encoding="utf-8")


def shown(text: Any) -> str:
    """Text as it may stand between tags and in quoted attributes."""
    return escape(printable(str(text)))


def number(value: Any) -> float | None:
    """`value` if it is a finite number, else None."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return value if real and math.isfinite(value) else None


def cell(value: Any) -> str:
    """A value of a table as text: four digits of a fraction, - where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")
    return printable(str(value))


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, raw: bool = False) -> str:
    """A table that scrolls by itself where it is wider than the screen; with `raw` the cells are HTML already."""
    titles = "".join(f"<th>{text if raw else shown(text)}</th>" for text in head)
    lines = []
    for row in rows:
        texts = [str(value) if raw else shown(cell(value)) for value in row]
        kinds = ["" if raw or number(value) is None else ' class="n"' for value in row]
        lines.append("<tr>" + "".join(f"<td{k}>{t}</td>" for k, t in zip(kinds, texts, strict=True)) + "</tr>")
    return f'<div class="wide"><table><tr>{titles}</tr>{"".join(lines)}</table></div>'


def pairs(values: Mapping[str, Any]) -> str:
    """A table of names and values; a list or a mapping is written in one cell."""

    def flat(value: Any) -> Any:
        if isinstance(value, Mapping):
            return ", ".join(f"{key} {flat(each)}" for key, each in value.items()) or "-"
        if isinstance(value, list | tuple):
            return ", ".join(str(flat(each)) for each in value) or "-"
        return cell(value)

    rows = "".join(f"<tr><th>{shown(key)}</th><td>{shown(flat(value))}</td></tr>" for key, value in values.items())
    return f'<div class="wide"><table class="pairs">{rows}</table></div>'


def picture(path: Path) -> str:
    """The PNG at `path` as a figure that carries its own bytes; a ValueError or OSError where it is none."""
    data = path.read_bytes()
    if not data.startswith(PNG):
        raise ValueError("not a PNG")
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    source = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
    size = f'width="{width}" height="{height}"'
    name = shown(path.stem.replace("_", " "))
    image = f'<img alt="{name}" {size} style="max-width:min(100%,{width}px)" src="{source}">'
    return f"<figure>{image}<figcaption>{name}</figcaption></figure>"


def data_tag(name: str, content: Any) -> str:
    """Plain values for our scripts; no text in them can end the tag."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return f'<script type="application/json" id="{name}">{text.replace("<", chr(92) + "u003c")}</script>'


def document(title: str, body: str, scripts: Sequence[str]) -> str:
    """A whole page; `scripts` are files of ours. No other script runs, and nothing is fetched."""
    code = [asset(name) for name in scripts]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes) or "'none'"
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{shown(title)}</title>
<link rel="icon" href="data:,">
<style>{asset("page.css")}</style>
</head>
<body>
{body}
{"".join(f"<script>{text}</script>" for text in code)}
</body>
</html>
"""


def write(path: Path, text: str) -> None:
    """Write `text` at `path`, complete or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="replace")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
