"""index.html of a run, from the files that the run wrote: figures first, then what they are of.

The page knows no task: `shown`, `headline`, `monitor` and `references` of the summary say what to show.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pages import html
from pages.frames import Frame, Line, Plot, packed
from pages.html import data_tag, document, number, pairs, picture, shown, table

PAGE = "index.html"
SUMMARIES = ("metrics.json", "summary.json")
LARGEST = 300_000  # bytes of a page
LONGEST = 1500  # letters of a value in a table
COLUMNS = 9  # of a table of parts
SERIES = '<script type="application/json" id="series">'
ORDER = ("forecast", "over_time", "window", "energy", "summary", "timelines", "scatter", "pr_curve", "roc_curve")

Row = dict[str, Any]


def write_run(folder: Path, frames: Sequence[Frame] | None = None) -> None:
    """Write the page of the run in `folder`, whose other files are there.

    Parameters
    ----------
    folder : of the run.
    frames : what the interactive view shows; None keeps what the page that is there shows.
    """
    html.write(folder / PAGE, page(folder, frames))


def complete(folder: Path) -> bool:
    """Whether all files of a run, or of a fold or stage of one, are in `folder`: these two are written last."""
    return all((folder / name).is_file() for name in ("manifest.json", PAGE))


def page(
    folder: Path, frames: Sequence[Frame] | None = None, beside: str = ".", kept: Sequence[str] | None = None
) -> str:
    """The page as text, at most about LARGEST bytes: pictures that find no room are named in its list of files.

    Parameters
    ----------
    folder, frames : as in `write_run`.
    beside : the folder of the run, as seen from where the page will be.
    kept : the files that the folder will have, where others of it are going to leave.
    """
    summary, manifest = read(folder, SUMMARIES), read(folder, ("manifest.json",))
    name = str(summary.get("run") or folder.resolve().name)
    series = _kept(folder) if frames is None else _series(folder, frames)
    parts = [
        _top(name, summary, manifest),
        _cards(summary),
        _told(summary, manifest),
        _scores(summary),
        _view(series),
        "",  # the pictures, as many as find room
        _parts(summary),
        _about(folder, summary, manifest, beside, kept),
    ]
    room = LARGEST - sum(len(part.encode()) for part in parts) - len(document(name, "", SCRIPTS).encode())
    parts[5] = _pictures(folder, room)
    return document(name, "\n".join(parts), SCRIPTS)


SCRIPTS = ("view.js",)


def read(folder: Path, names: Sequence[str]) -> Row:
    """The content of the first of the JSON files that is there; {} where it is none, or damaged."""
    for name in names:
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else {}
    return {}


def section(content: Mapping[str, Any], key: str) -> Row:
    """The mapping at `key`, empty where it is absent or something else."""
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def columns_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """{title, with the unit: where a set of metrics has the value, with dots} of what comes first in tables."""
    told = {str(title): str(path) for title, path in section(summary, "shown").items()}
    return told or {name: name for name in section(summary, "headline")}


def at_path(metrics: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, such as original.mae; None where there is none."""
    value: Any = metrics
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _series(folder: Path, frames: Sequence[Frame]) -> str:
    """The data of the view: series over time, and the epochs of training."""
    epochs = history_frame(folder)
    every = packed(frames) + ([] if epochs is None else packed([epochs]))
    return data_tag("series", every) if every else ""


def _kept(folder: Path) -> str:
    """The data of the view in the page that is there."""
    try:
        text = (folder / PAGE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    _, found, rest = text.partition(SERIES)
    return found + rest.partition("</script>")[0] + "</script>" if found else ""


# --- figures ---------------------------------------------------------------------------------------------------------


def _top(name: str, summary: Row, manifest: Row) -> str:
    said = [f"{key} {summary[key]}" for key in ("task", "mode", "backbone", "seed") if summary.get(key) is not None]
    split = f"scored on {summary.get('split')} ({summary.get('selection')})" if summary.get("split") else ""
    version = section(manifest, "versions").get("tsrun")
    line = [*said, *([split] if split else []), *([f"tsrun {version}"] if version else [])]
    return f'<h1>{shown(name)}</h1>\n<p class="dim">{" · ".join(map(shown, line))}</p>'


def _monitor(summary: Row) -> tuple[str, bool]:
    """The monitored metric, and whether higher is better."""
    monitor = section(summary, "monitor")
    return str(monitor.get("name", "")), monitor.get("direction") != "min"


def _references(summary: Row) -> list[tuple[str, Row]]:
    """The reference predictors that have the monitored metric, best first."""
    name, higher = _monitor(summary)
    known = [(key, row) for key, row in section(summary, "references").items() if isinstance(row, dict)]
    known = [pair for pair in known if number(pair[1].get(name)) is not None]
    return sorted(known, key=lambda pair: pair[1][name], reverse=higher)


def _mine(summary: Row) -> Row:
    """The metrics of the model; files of old versions have some under `headline` alone."""
    return {**section(summary, "headline"), **summary}


def _cards(summary: Row) -> str:
    best = next(iter(_references(summary)), None)
    cards = []
    for title, path in columns_of(summary).items():
        beside = "" if best is None else f"{best[0]}: {html.cell(at_path(best[1], path))}"
        rows = f"<span>{shown(title)}</span><b>{shown(html.cell(at_path(_mine(summary), path)))}</b>"
        cards.append(f'<div class="card">{rows}<span>{shown(beside)}</span></div>')
    return f'<div class="cards">{"".join(cards)}</div>' if cards else ""


def _told(summary: Row, manifest: Row) -> str:
    """What a reader must know before believing the figures."""
    lines = [str(text) for text in manifest.get("warnings") or []]
    lines += [text for text in section(manifest, "data").get("notes") or [] if str(text).startswith("warning")]
    better = section(summary, "better")
    if better:
        lines.append(f"{better.get('reference')} is better than {summary.get('backbone')} here")
    if summary.get("unscored"):
        lines.append(f"not scored: {summary['unscored']}")
    for what, left in section(summary, "left_out").items():
        if isinstance(left, dict):
            lines.append(f"{left.get('rows')} rows are {what}: {left.get('why')}")
    if not lines:
        return ""
    items = "".join(f"<li>{shown(line)}</li>" for line in lines)
    return f'<div class="tell"><b>Warnings</b><ul>{items}</ul></div>'


def _scores(summary: Row) -> str:
    """The model and its references on the scored windows; apart from that, validation, where choices were made."""
    columns = columns_of(summary)
    if not columns or "unscored" in summary:
        return ""
    monitor, higher = _monitor(summary)
    rows = [(str(summary.get("backbone", "model")), _mine(summary), True)]
    rows += [(name, row, False) for name, row in _references(summary)]
    values = {label: number(row.get(monitor)) for label, row, _ in rows}
    known = [value for value in values.values() if value is not None]
    best = (max if higher else min)(known) if known else None
    head = "".join(f'<th class="n">{shown(title)}</th>' for title in columns)
    lines = []
    for label, row, model in rows:
        mark = ' class="best"' if best is not None and values[label] == best else ""
        cells = "".join(f'<td class="n">{shown(html.cell(at_path(row, path)))}</td>' for path in columns.values())
        lines.append(f"<tr{mark}><th>{shown(label)}{'' if model else ' (reference)'}</th>{cells}</tr>")
    n = summary.get("n")
    count = f"{n:,} windows" if isinstance(n, int) else ""
    caption = f"On {summary.get('split')}, {count} ({summary.get('selection')}); the best {monitor} is marked."
    body = f'<div class="wide"><table><tr><th></th>{head}</tr>{"".join(lines)}</table></div>'
    found = [f'<h2>Scores</h2><p class="dim">{shown(caption)}</p>{body}']
    found += [f"<p>{shown(part['in_words'])}</p>" for part in summary.values() if _words(part)]
    validation = section(summary, "validation")
    if validation:
        seen = {title: at_path(validation, path) for title, path in columns.items()}
        text = "On validation, where choices were made: not to be compared with the figures above."
        found.append(f'<p class="dim">{text}</p>{table(list(seen), [list(seen.values())])}')
    folds = {name: fold for name, fold in section(summary, "folds").items() if isinstance(fold, dict)}
    if folds:
        rows_of = [[name, fold.get("mean"), fold.get("std")] for name, fold in folds.items()]
        found.append(f"<h3>Over the folds</h3>{table(['', 'mean', 'sd'], rows_of)}")
    return "".join(found)


def _words(part: Any) -> bool:
    return isinstance(part, dict) and bool(part.get("in_words"))


def _view(series: str) -> str:
    if not series:
        return ""
    note = "<noscript><p>This view needs JavaScript; the pictures below do not.</p></noscript>"
    return f'<h2>Over time</h2>\n<div id="view" class="view">{note}</div>\n{series}'


def _pictures(folder: Path, room: int) -> str:
    def place(path: Path) -> tuple[int, str]:
        return (ORDER.index(path.stem) if path.stem in ORDER else len(ORDER), path.name)

    parts = []
    for path in sorted(folder.glob("[!.]*.png"), key=place):
        try:
            made = picture(path)
        except (ValueError, OSError):
            continue
        if len(made) <= room:
            parts.append(made)
            room -= len(made)
    return f"<h2>Pictures</h2>\n{''.join(parts)}" if parts else ""


def _parts(summary: Row) -> str:
    """Tables of what the summary has a set of figures for each of: devices, labels, channels."""
    found = []
    for title, group in _groups(summary):
        columns = list(dict.fromkeys(key for row in group.values() for key, v in row.items() if number(v) is not None))
        rows = [[name, *(row.get(key) for key in columns[:COLUMNS])] for name, row in group.items()]
        found.append(f"<h3>{shown(title)}</h3>{table(['', *columns[:COLUMNS]], rows[:100])}")
    return f"<h2>In parts</h2>{''.join(found)}" if found else ""


def _groups(summary: Row) -> Iterator[tuple[str, Row]]:
    for key, value in summary.items():
        if key in ("references", "folds", "validation", "left_out", "calibration") or not isinstance(value, dict):
            continue
        for title, group in ((key, value), *((f"{key}: {below}", each) for below, each in value.items())):
            rows = list(group.values()) if isinstance(group, dict) else []
            if rows and all(isinstance(row, dict) and any(number(v) is not None for v in row.values()) for row in rows):
                yield title.replace("_", " "), group


# --- what the figures are of ------------------------------------------------------------------------------------------


def _about(folder: Path, summary: Row, manifest: Row, beside: str, kept: Sequence[str] | None) -> str:
    data, split = section(manifest, "data"), section(manifest, "split")
    files = [file for file in data.get("files") or [] if isinstance(file, dict)]
    told: Row = {key: data[key] for key in ("rows", "steps") if key in data}
    told["channels"] = _cut(data.get("channels"))
    notes = "".join(f"<li>{shown(note)}</li>" for note in data.get("notes") or [])
    keys = list(dict.fromkeys(key for file in files for key in file))
    listed = table(keys, [[_cut(file.get(key)) for key in keys] for file in files[:200]]) if files else ""
    parts = [
        "<h2>Data</h2>",
        pairs(told) if data else "",
        f"<ul>{notes}</ul>" if notes else "",
        f"<details><summary>{len(files)} files</summary>{listed}</details>" if files else "",
        _split(split),
        "<h2>Settings</h2>",
        f"<p><code>{shown(manifest.get('command', ''))}</code></p>",
        _settings(folder),
        _machine(summary, manifest),
        _files(folder, beside, kept),
    ]
    return "\n".join(part for part in parts if part)


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        value = ", ".join(map(str, value[:200]))
    return value[:LONGEST] + "…" if isinstance(value, str) and len(value) > LONGEST else value


def _split(split: Row) -> str:
    if not split:
        return ""
    parts = {name: part for name, part in split.items() if isinstance(part, dict) and "windows" in part}
    keys = list(dict.fromkeys(key for part in parts.values() for key in part))
    rows = [[name, *(_means(part.get(key)) for key in keys)] for name, part in parts.items()]
    how = {
        key: value if isinstance(value, dict) else _cut(str(value)) for key, value in split.items() if key not in parts
    }
    return "<h2>Split</h2>" + (table(["", *keys], rows) if rows else "") + pairs(how)


def _means(value: Any) -> Any:
    return ", ".join(html.cell(each) for each in value[:12]) if isinstance(value, list) else value


def _settings(folder: Path) -> str:
    try:
        import yaml  # as every run does, which writes its settings with it

        text = (folder / "config.yaml").read_text(encoding="utf-8")
        found = yaml.load(text, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return ""
    if not isinstance(found, dict):
        return ""
    return f"<details><summary>all settings</summary>{pairs({k: _cut(str(v)) for k, v in found.items()})}</details>"


def _machine(summary: Row, manifest: Row) -> str:
    told: Row = {key: manifest[key] for key in ("device", "precision", "compile") if key in manifest}
    told |= section(manifest, "versions")
    told |= {f"seconds to {name}": value for name, value in section(manifest, "timings").items()}
    told |= {key: summary[key] for key in ("parameters", "best_epoch", "epochs") if summary.get(key) is not None}
    return f"<details><summary>machine, versions, time</summary>{pairs(told)}</details>" if told else ""


def _files(folder: Path, beside: str, kept: Sequence[str] | None) -> str:
    there = [path.name for path in folder.iterdir() if path.name[0] != "."] if kept is None else kept
    names = sorted(name for name in there if name != PAGE)
    # a folder in front: a name with a colon is no address
    items = "".join(f'<li><a href="{shown(_quoted(f"{beside}/{name}"))}">{shown(name)}</a></li>' for name in names)
    return f'<h2>Files</h2><ul class="files">{items}</ul>' if items else ""


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, errors="surrogateescape")


def history_frame(folder: Path) -> Frame | None:
    """The losses epoch by epoch, from history.csv; None where there is none."""
    try:
        with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except (OSError, ValueError):
        return None
    if len(lines) < 2:
        return None

    def column(name: str) -> np.ndarray:
        return np.array([_real(line.get(name)) for line in lines])

    known = [name for name in lines[0] if name not in ("epoch", "train_loss", "val_loss", "lr", "seconds")]
    losses = Plot(
        "loss", (Line("truth", "training", column("train_loss")), Line("prediction", "validation", column("val_loss")))
    )
    others = [Plot(name, (Line("prediction", name, column(name)),)) for name in known]
    return Frame("epochs of training", column("epoch"), False, (losses, *others), "epoch")


def _real(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
