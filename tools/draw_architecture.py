"""The floors of the house as a picture and a table, both read from the imports (tools/floors.py).

python tools/draw_architecture.py           writes docs/architecture.png, and the table in docs/architecture.md
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that this runs as a script

from tools.floors import DOOR, ROOT, House, read

PICTURE, PAGE = "docs/architecture.png", "docs/architecture.md"
BEGIN, END = "<!-- floors: written by tools/draw_architecture.py -->", "<!-- end of floors -->"

Node = str | tuple[str, int]  # of the picture: a box, or the lane of lines to a box as they pass a floor
Floors = list[list[Node]]


# --- where the boxes go ----------------------------------------------------------------------------------------------

WIDTH, HEIGHT, STOREY = 1.7, 0.62, 1.06  # of a box, and from floor to floor, in inches
GAP, LANE = 0.16, 0.2  # between boxes; for a line that passes a floor
SWEEPS = 60


@dataclass(frozen=True)
class Plan:
    """Where everything is drawn.

    Parameters
    ----------
    floors : from the ground up, the boxes and the lanes of each floor from left to right. A lane is (target, floor):
        lines to one target share it.
    steps : every line from one floor to the next below, as (upper, lower) of boxes or lanes.
    centre : the horizontal middle of each box and lane, in inches.
    """

    floors: Floors
    steps: list[tuple[Node, Node]]
    centre: dict[Node, float]


def plan(house: House) -> Plan:
    """Lay the boxes out so that few lines cross and most are short."""
    floors: Floors = [list(boxes) for boxes in house.floors()]
    height = {box: floor for floor, boxes in enumerate(floors) for box in boxes}
    steps: dict[tuple[Node, Node], None] = {}
    for box, below in sorted(house.drawn().items()):
        for other in sorted(below):
            last: Node = box
            for floor in range(height[box] - 1, height[other], -1):
                lane = (other, floor)
                if lane not in floors[floor]:
                    floors[floor].append(lane)
                steps[last, lane] = None
                last = lane
            steps[last, other] = None
    near: dict[Node, list[Node]] = {node: [] for floor in floors for node in floor}
    for upper, lower in steps:
        near[upper].append(lower)
        near[lower].append(upper)
    floors = _ordered(floors, list(steps), near)
    return Plan(floors, list(steps), _centred(floors, near))


def _ordered(floors: Floors, steps: list[tuple[Node, Node]], near: dict[Node, list[Node]]) -> Floors:
    """The order with the fewest crossings that sorting by the neighbours' middle finds."""
    best, fewest = floors, sys.maxsize
    for sweep in range(SWEEPS):
        place = {node: i / max(len(floor) - 1, 1) for floor in floors for i, node in enumerate(floor)}
        level = {node: k for k, floor in enumerate(floors) for node in floor}
        side = -1 if sweep % 2 else 1
        turned: Floors = []
        for k in range(len(floors)) if side > 0 else reversed(range(len(floors))):
            middle = {}
            for node in floors[k]:
                seen = [place[other] for other in near[node] if sweep % 3 == 2 or (level[other] - k) * side < 0]
                middle[node] = sum(seen) / len(seen) if seen else place[node]
            row = sorted(floors[k], key=lambda node: (middle[node], place[node]))
            place |= {node: i / max(len(row) - 1, 1) for i, node in enumerate(row)}
            turned.append(row)
        floors = turned if side > 0 else turned[::-1]
        crossed = _crossings(floors, steps)
        if crossed < fewest:
            best, fewest = floors, crossed
    return best


def _crossings(floors: Floors, steps: list[tuple[Node, Node]]) -> int:
    place = {node: (k, i) for k, floor in enumerate(floors) for i, node in enumerate(floor)}
    ends = [(place[upper], place[lower][1]) for upper, lower in steps]
    return sum(a[0] == b[0] and (a[1] - b[1]) * (x - y) < 0 for n, (a, x) in enumerate(ends) for b, y in ends[:n])


def _centred(floors: Floors, near: dict[Node, list[Node]]) -> dict[Node, float]:
    """The middle of each box and lane: close to its neighbours', without overlap."""
    centre: dict[Node, float] = {}
    for floor in floors:
        left = -sum(map(_room_for, floor)) / 2
        for node in floor:
            centre[node] = left + _room_for(node) / 2
            left += _room_for(node)
    for _ in range(SWEEPS):
        for floor in [*floors, *reversed(floors)]:
            wish = [sum(centre[other] for other in near[node]) / len(near[node]) for node in floor]
            centre |= dict(zip(floor, _apart(wish, [_room_for(node) for node in floor]), strict=True))
    left = min(centre[node] - _room_for(node) / 2 for floor in floors for node in floor)
    return {node: x - left for node, x in centre.items()}


def _room_for(node: Node) -> float:
    return WIDTH + GAP if isinstance(node, str) else LANE


def _apart(wish: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The places closest to the wishes that keep the order and do not overlap (isotonic regression)."""
    shift, left = [], 0.0
    for width in widths:
        shift.append(left + width / 2)
        left += width
    blocks: list[tuple[float, int]] = []  # (mean, how many)
    for wanted, by in zip(wish, shift, strict=True):
        mean, count = wanted - by, 1
        while blocks and blocks[-1][0] > mean:
            other, n = blocks.pop()
            mean, count = (mean * count + other * n) / (count + n), count + n
        blocks.append((mean, count))
    return [mean + by for (mean, by) in zip([m for m, n in blocks for _ in range(n)], shift, strict=True)]


# --- the picture and the table ---------------------------------------------------------------------------------------

INK, LINE, TINT, DARK = "#1b2733", "#6f7b87", "#d3e2ef", "#264a6b"
LEGEND = 3.4  # inches
ASKED = "The names of its entries, open to the floors below"


def draw(house: House, file: Path) -> None:
    """Write the picture: white boxes are modules at the root, tinted ones rooms, dark ones what a person starts."""
    from matplotlib.figure import Figure

    made = plan(house)
    level = {node: k for k, floor in enumerate(made.floors) for node in floor}
    wide = max(x + _room_for(node) / 2 for node, x in made.centre.items()) + 0.45
    left, top = _free(made, level, wide)
    wide = max(wide, left + LEGEND + 0.45)
    high = (len(made.floors) + 0.1) * STOREY
    figure = Figure(figsize=(wide, high), dpi=130)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.45, wide - 0.45), ylim=(-0.55 * STOREY, high - 0.55 * STOREY))
    axes.axis("off")
    for floor in range(len(made.floors)):
        if floor % 2 == 0:
            axes.axhspan((floor - 0.5) * STOREY, (floor + 0.5) * STOREY, color="#f3f4f6", zorder=0)
        axes.text(-0.3, floor * STOREY, str(floor), color=LINE, fontsize=11, ha="center", va="center")
    for upper, lower in made.steps:
        _draw_line(axes, (made.centre[upper], level[upper], upper), (made.centre[lower], level[lower], lower))
    for node, x in made.centre.items():
        if isinstance(node, str):
            _draw_box(axes, house, node, (x, level[node] * STOREY), house.started(node))
    _draw_legend(axes, house, left, top * STOREY)
    figure.savefig(file, metadata={"Software": None})


def _free(made: Plan, level: Mapping[Node, int], wide: float) -> tuple[float, int]:
    """Where the legend has room: the left end of it, and its floor, the highest one at whose side two are free below;
    beside all where none is."""
    for top in range(len(made.floors) - 1, 1, -1):
        near = [(x, _room_for(node) / 2) for node, x in made.centre.items() if top - 2 <= level[node] <= top]
        if min(x - half for x, half in near) > LEGEND:
            return 0.05, top
        if max(x + half for x, half in near) < wide - 0.45 - LEGEND:
            return wide - 0.45 - LEGEND, top
    return wide - 0.45, len(made.floors) - 1


def _draw_line(axes: Any, start: tuple[float, int, Any], end: tuple[float, int, Any]) -> None:
    """A curve from the bottom of one box or lane to the top of another on the floor below."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    half = HEIGHT / 2
    x0, y0, x1, y1 = start[0], start[1] * STOREY - half, end[0], end[1] * STOREY + half
    points = [(x0, y0), (x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2), (x1, y1)]
    codes = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
    if not isinstance(end[2], str):
        points.append((x1, y1 - HEIGHT))
        codes.append(Curve.LINETO)
    axes.add_patch(PathPatch(Curve(points, codes), fill=False, edgecolor=LINE, linewidth=1.3, zorder=1))
    if isinstance(end[2], str):
        axes.plot([x1], [y1 + 0.035], marker="v", markersize=5, color=LINE, zorder=2)


def _draw_box(axes: Any, house: House, box: str, centre: tuple[float, float], started: bool) -> None:
    x, y = centre
    color = _draw_outline(axes, centre, (WIDTH, HEIGHT), _kind(house, box, started))
    name = f"{box}/" if box in house.files else box
    axes.text(x, y + 0.15, name, fontsize=11, fontweight="bold", color=color, ha="center", va="center", zorder=4)
    about = ASKED if box.endswith(DOOR) else house.about.get(box, "")
    lines = textwrap.wrap(_short(about), 28, max_lines=2, placeholder=" …")
    axes.text(x, y - 0.12, "\n".join(lines), fontsize=7, color=color, ha="center", va="center", zorder=4)


def _kind(house: House, box: str, started: bool) -> str:
    if box.endswith(DOOR):
        return "registry"
    return ("started " if started else "") + ("room" if box in house.files else "module")


def _draw_outline(axes: Any, centre: tuple[float, float], size: tuple[float, float], kind: str) -> str:
    """A box without its text; returns the color of text on it."""
    from matplotlib.patches import FancyBboxPatch

    dark, plain = kind.startswith("started"), kind == "module"
    face = DARK if dark else "white" if plain else TINT
    style = "square,pad=0" if kind.endswith("module") else "round,pad=0,rounding_size=0.12"
    corner = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
    look: dict[str, Any] = {
        "facecolor": face,
        "edgecolor": INK,
        "linewidth": 1.2,
        "linestyle": "--" if kind == "registry" else "-",
    }
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=style, zorder=3, **look))
    return "white" if dark else INK


def _draw_legend(axes: Any, house: House, left: float, top: float) -> None:
    """What the looks mean."""
    meaning = {
        "module": "a file at the root",
        "room": "a folder",
        "started module": "started from the shell (rounded: a folder)",
        "registry": "a folder's registry, open to the floors below it",
    }
    shown = [kind for kind in meaning if kind != "registry" or any(box.endswith(DOOR) for box in house.graph)]
    for i, kind in enumerate(shown):
        y = top + 0.2 - 0.28 * i
        _draw_outline(axes, (left + 0.18, y), (0.36, 0.18), kind)
        axes.text(left + 0.46, y, meaning[kind], fontsize=9, color=INK, ha="left", va="center")
    note = "a line: the upper box imports the lower one;\nimports that follow from others are not drawn"
    y = top + 0.25 - 0.28 * len(shown)
    axes.text(left, y, note, fontsize=9, color=INK, ha="left", va="top", linespacing=1.4)


def _short(about: str) -> str:
    """What fits into a box: the part before a colon, or after it where a name stands before."""
    head, colon, rest = about.partition(": ")
    text = (rest if colon and " " not in head else head).partition("; ")[0]
    return text[:1].upper() + text[1:]


def table(house: House) -> str:
    """The floors in Markdown, from the top down."""
    lines = ["| floor | file or folder | what |", "|---|---|---|"]
    for floor, boxes in reversed(list(enumerate(house.floors()))):
        for box in boxes:
            room = box in house.files or box.endswith(DOOR)
            path = f"{box.removesuffix(DOOR)}/" if room else f"{box}.py"
            about = ASKED if box.endswith(DOOR) else house.about.get(box, "")
            what = about.replace("|", r"\|")
            lines.append(f"| {floor} | [`{path}`](../{path}) | {what} |")
    return "\n".join(lines)


def with_table(page: str, house: House) -> str:
    """A page's text with the table between its marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(house)}\n{END}{rest.partition(END)[2]}"


def main() -> int:
    """Write the picture and the table."""
    house, page = read(ROOT), ROOT / PAGE
    page.write_text(with_table(page.read_text(encoding="utf-8"), house), encoding="utf-8")
    draw(house, ROOT / PICTURE)
    print(f"{PICTURE}\n{PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
