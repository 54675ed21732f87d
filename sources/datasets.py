"""Public data sets by name: downloaded once, and verified by their sha256.

The Electricity Transformer Temperature data (Zhou et al. 2021, arXiv 2012.07436, CC BY-ND 4.0): two years of load and
oil temperature of two transformers, each by the hour (17,420 lines) and by the quarter of an hour (69,680). The
addresses name one commit of the authors' repository, so that the files cannot change.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from errors import DataError, UsageError, nearest, refused
from readers.files import sha256_of

_ETT = (
    "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small/ETT{}.csv"
)
FILES = {  # file name, address, sha256
    "etth1": ("ETTh1.csv", _ETT.format("h1"), "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
    "etth2": ("ETTh2.csv", _ETT.format("h2"), "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b"),
    "ettm1": ("ETTm1.csv", _ETT.format("m1"), "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e"),
    "ettm2": ("ETTm2.csv", _ETT.format("m2"), "db973ca252c6410a30d0469b13d696cf919648d0f3fd588c60f03fdbdbadd1fd"),
}
BLOCK = 1 << 16  # bytes
TIMEOUT = 30  # seconds without a byte


def fetch(name: str, folder: Path = Path("data/ett")) -> Path:
    """The file of a data set in `folder`, downloaded if it is missing. A file appears when it is complete.

    UsageError for an unknown name, DataError where the file is another one or cannot be downloaded.
    """
    if name not in FILES:
        hint = nearest(name.lower(), FILES) or f"one of {', '.join(FILES)}"
        raise UsageError(f"no data set {name!r}", hint=hint)
    file, url, sha256 = FILES[name]
    path = folder / file
    if not path.exists():
        _download(url, path, sha256)
    elif (found := sha256_of(path)) != sha256:
        what = f"is not the published file: its sha256 is {found}, not {sha256}"
        raise DataError(what, where=str(path), hint=f"remove it to download it again from {url}")
    return path


def _download(url: str, path: Path, sha256: str) -> None:
    """Download `url` to `path` if it has this hash; otherwise nothing is left behind."""
    part = path.with_name(path.name + ".part")
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                for block in _blocks(url, path):
                    digest.update(block)
                    file.write(block)
            if digest.hexdigest() != sha256:
                what = f"the download is damaged: its sha256 is {digest.hexdigest()}, not {sha256}"
                raise DataError(what, where=url, hint=f"try again, or put the file at {path} by hand")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise refused(error, DataError, "cannot be written", str(error.filename or path)) from None


def _blocks(url: str, path: Path) -> Iterator[bytes]:
    """The content of `url`, block by block, with a progress bar. DataError where it cannot be downloaded."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as reply:
            total = int(reply.headers.get("Content-Length") or 0) or None
            with tqdm(total=total, desc=path.name, unit="B", unit_scale=True, disable=None) as bar:
                while block := reply.read(BLOCK):
                    bar.update(len(block))
                    yield block
    except (OSError, http.client.HTTPException) as error:
        refused = isinstance(error, urllib.error.HTTPError)  # its text has the status, too
        reason = error.reason if isinstance(error, urllib.error.URLError) and not refused else error
        hint = f"put the file at {path} by hand"
        raise DataError(f"cannot be downloaded: {reason}", where=url, hint=hint) from None
