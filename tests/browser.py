"""A headless Chromium, driven as a person drives one: real clicks, over the pipe of its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-extensions
    --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars --mute-audio
    --force-color-profile=srgb --font-render-hinting=none --remote-debugging-pipe""".split()
# The protocol is spoken on descriptors 3 and 4.
START = "import os,sys;r,w=map(int,sys.argv[1:3]);os.dup2(r,3);os.dup2(w,4);os.execv(sys.argv[3],sys.argv[3:])"


def found() -> str:
    """The path of a Chromium; "" where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), "")


class Tab:
    """One page. `errors` holds what its console and its policy complained about."""

    def __init__(self, sent: Any, answers: Any) -> None:
        self._sent, self._answers, self._number = sent, answers, 0
        self._session = ""
        self.errors: list[str] = []
        self._events: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        self._sent.write(json.dumps(message).encode() + b"\0")
        self._sent.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._answers.read(1)) not in (b"\0", b""):
            text += byte
        assert text, "the browser has ended"
        answer: dict[str, Any] = json.loads(text)
        method, params = answer.get("method", ""), answer.get("params", {})
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not params["request"]["url"].startswith(("file:", "data:")):
            self.errors.append(f"asked the network for {params['request']['url']}")
        return answer

    def open(self, path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file on a screen of this size, and wait until it is whole."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self._events:
            self._read()
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def ask(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def centre(self, selector: str) -> tuple[float, float]:
        """Where an element is, once it is scrolled into view."""
        one = f"document.querySelector({json.dumps(selector)})"
        box = (
            f"(() => {{ const e = {one}; e.scrollIntoView({{block: 'center'}}); return e.getBoundingClientRect(); }})()"
        )
        place = self.ask(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({box})")
        return place[0], place[1]

    def click(self, selector: str) -> None:
        """A click of the left button on the middle of an element."""
        self.drag([self.centre(selector)])

    def drag(self, points: list[tuple[float, float]]) -> None:
        """Press at the first point, move over all, let go at the last."""
        kinds = ["mouseMoved", "mousePressed", *["mouseMoved"] * (len(points) - 1), "mouseReleased"]
        places = [points[0], *points, points[-1]]
        for kind, (x, y) in zip(kinds, places, strict=True):
            pressed = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=int(kind != "mouseReleased"), **pressed)

    def wide(self) -> int:
        """By how many pixels the page is wider than the screen."""
        return int(self.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def picture(self, path: Path, height: int | None = None) -> None:
        """A PNG of the page, or of its first `height` pixels, in few colours."""
        from PIL import Image

        whole = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": whole["width"], "height": min(whole["height"], height or 1e9), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))
        Image.open(path).convert("RGB").quantize(96, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)


@contextlib.contextmanager
def tab() -> Iterator[Tab]:
    """A tab of a browser of its own, which ends with the block."""
    (to_read, sent), (answers, to_write) = os.pipe(), os.pipe()
    theirs = [fcntl.fcntl(each, fcntl.F_DUPFD, 20) for each in (to_read, to_write)]
    with tempfile.TemporaryDirectory(prefix="tsrun-browser-", ignore_cleanup_errors=True) as folder:
        words = [sys.executable, "-c", START, *map(str, theirs), found(), *FLAGS, f"--user-data-dir={folder}"]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(words, pass_fds=theirs, stdin=quiet, stdout=quiet, stderr=quiet)
        for each in (to_read, to_write, *theirs):
            os.close(each)
        try:
            with os.fdopen(sent, "wb") as out, os.fdopen(answers, "rb") as back:
                made = Tab(out, back)
                yield made
                made._session = ""
                made.call("Browser.close")
        finally:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
