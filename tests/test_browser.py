"""The pages in a real browser: they load without a complaint, sort, zoom, and fit a phone.

    TSRUN_SCREENSHOTS=docs .venv/bin/pytest tests/test_browser.py

draws the pictures of the pages that the documentation shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import report

from . import browser
from .runs import go

pytestmark = [
    pytest.mark.slow,
    pytest.mark.paints,
    pytest.mark.skipif(not browser.found(), reason="no Chromium: apt-get install chromium"),
]
PHONE, DESK = 390, 1280
FORECAST = "--mode train --task forecast --demo --context-len 48 --horizon 24 --reference auto"
LINES = (
    f"{FORECAST} --backbone ridge",
    f"{FORECAST} --backbone dlinear --epochs 2 --no-plots --desc 10 --reference off",
    f"{FORECAST} --backbone dlinear --epochs 1 --no-plots --desc 9 --test-ratio 0 --reference off",
    "--mode train --task nilm --demo --backbone tcn --seeds 1 --epochs 1 --stride 300 --reference off",
)
EVIL = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>\"'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs below artifacts/, with pictures, and the site of a report."""
    place = tmp_path_factory.mktemp("browser")
    for line in LINES:
        done = go(place, line)
        assert done.code == 0, done.err
    report.write_report(report.gather([place / "artifacts"]), place / "site")
    return place


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Tab]:
    with browser.tab() as made:
        yield made


def run_of(folder: Path, part: str) -> Path:
    (found,) = folder.glob(f"artifacts/*{part}*/index.html")
    return found


def seen(tab: browser.Tab) -> tuple[float, float]:
    """The stretch that the view shows."""
    return tuple(float(tab.ask(f"document.getElementById('view').dataset.{end}")) for end in ("from", "to"))  # type: ignore


def ink(tab: browser.Tab) -> int:
    """How many pixels of the view are painted."""
    canvas = "document.querySelector('#view canvas')"
    data = f"{canvas}.getContext('2d').getImageData(0, 0, {canvas}.width, {canvas}.height).data"
    return int(tab.ask(f"{data}.filter((v, k) => k % 4 === 3 && v > 0).length"))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("page", ["ridge", "desc", "nilm", "site"])
def test_every_page_loads_without_a_complaint_and_fits(page, width, dark, folder, tab):
    path = folder / "site/index.html" if page == "site" else run_of(folder, {"desc": "_10"}.get(page, page))
    tab.errors.clear()
    tab.open(path, width, dark=dark)
    assert tab.errors == [] and tab.wide() == 0
    assert len(path.read_bytes()) <= 300_000
    paper = tab.ask("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is not dark
    if page != "site":
        assert ink(tab) > 3000


def test_the_view_zooms_and_comes_back(folder, tab):
    tab.open(run_of(folder, "ridge"), DESK)
    whole = seen(tab)
    x, y = tab.centre("#view canvas")
    tab.drag([(x - 100, y), (x, y), (x + 100, y)])
    near = seen(tab)
    assert whole[0] < near[0] < near[1] < whole[1]
    assert (near[1] - near[0]) / (whole[1] - whole[0]) == pytest.approx(200 / 1180, rel=0.05)
    tab.click("#view button[aria-label=later]")
    assert seen(tab)[0] > near[0]
    tab.click("#view button[aria-label='zoom out']")
    assert seen(tab)[1] - seen(tab)[0] == pytest.approx(2 * (near[1] - near[0]))
    tab.click("#view button[aria-label='show all']")
    assert seen(tab) == whole
    said = tab.ask("document.querySelector('#view .read').textContent")
    assert "truth" in said and "prediction" in said and "interval" in said and "2024-" in said


def test_the_view_shows_another_channel_and_the_stretch_in_detail(folder, tab):
    tab.open(run_of(folder, "nilm"), DESK)
    legend = "document.querySelector('#view .legend').textContent"
    assert "mains" in tab.ask(legend)
    choose = "(s => { s.selectedIndex = 2; s.dispatchEvent(new Event('change')); })"
    tab.ask(f"{choose}(document.querySelectorAll('#view select')[1])")
    assert "said on" in tab.ask(legend) and "threshold" in tab.ask(legend)
    before = seen(tab)
    tab.click("#view button:last-child")
    after = seen(tab)
    assert after[1] - after[0] < before[1] - before[0]


def names(tab: browser.Tab) -> list[str]:
    """The backbones in the first table, in order."""
    return tab.ask("[...document.querySelectorAll('table')[0].tBodies[0].rows].map(row => row.cells[0].dataset.by)")


def test_the_report_sorts_by_real_clicks_and_links_to_the_runs(folder, tab):
    tab.open(folder / "site/index.html", DESK)
    first = names(tab)
    column = tab.ask(
        "[...document.querySelectorAll('table')[0].tHead.rows[0].cells].findIndex(c => /mse/.test(c.textContent)) + 1"
    )
    values = f"[...document.querySelectorAll('table')[0].tBodies[0].rows].map(r => +r.cells[{column - 1}].dataset.by)"
    tab.click(f"table th:nth-child({column}) button")
    up = tab.ask(values)
    tab.click(f"table th:nth-child({column}) button")
    assert len(up) == len(first) == 2 and up == sorted(up) and tab.ask(values) == up[::-1]
    assert tab.ask("document.querySelectorAll('tr.best').length") == 3  # of each table, the run of which is best
    tab.click("table th:first-child button")
    assert names(tab) == sorted(first)
    for link in tab.ask("[...document.querySelectorAll('td a')].map(a => a.href)"):
        tab.errors.clear()
        tab.open(Path(link.removeprefix("file://")), PHONE)
        assert tab.errors == [] and tab.wide() == 0 and tab.ask("!!document.querySelector('h1')")


def test_names_that_hold_script_stay_names(folder, tab, tmp_path):
    from .test_pages import made

    run = made(tmp_path / "r", run=EVIL, backbone=EVIL, headline={EVIL: 0.5}, references={EVIL: {"f1": 0.7}})
    report.write_report(report.gather([run]), tmp_path / "site")
    for path in (tmp_path / "site/index.html", *(tmp_path / "site/runs").iterdir()):
        tab.errors.clear()
        tab.open(path, PHONE)
        assert tab.ask("document.title") != "owned" and tab.errors == [] and tab.wide() == 0
        assert EVIL in tab.ask("document.body.textContent")


@pytest.mark.skipif("TSRUN_SCREENSHOTS" not in os.environ, reason="TSRUN_SCREENSHOTS names no folder")
def test_draw_the_pictures_of_the_documentation(folder, tab):
    out = Path(os.environ["TSRUN_SCREENSHOTS"])
    for width in (DESK, PHONE):
        for name, path in (("run_page", run_of(folder, "ridge")), ("report_page", folder / "site/index.html")):
            tab.open(path, width)
            tab.picture(out / f"{name}_{width}.png", 1500)
