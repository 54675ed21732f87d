"""sources/datasets.py against a real server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import re
import shutil
import socket
import threading
from pathlib import Path

import pytest

from errors import DataError, ResourceError, UsageError
from sources import datasets

CONTENT = b"date,OT\n2016-07-01 00:00:00,30.5\n" * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Answers by path: whole, changed, cut short, or not there."""

    def do_GET(self) -> None:
        body = {"/whole": CONTENT, "/changed": CONTENT[:-3] + b"6.5", "/cut": CONTENT[:70_000]}.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(monkeypatch):
    """`http://127.0.0.1:port` of a running server."""
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def publish(monkeypatch, url: str) -> None:
    monkeypatch.setattr(datasets, "FILES", {"etth1": ("ETTh1.csv", url, SHA256)})


def refused(folder: Path, *parts: str) -> None:
    """`fetch` must fail with all `parts` in its message, leaving nothing behind."""
    with pytest.raises(DataError) as caught:
        datasets.fetch("etth1", folder)
    for part in parts:
        assert part in str(caught.value), str(caught.value)
    assert caught.value.exit_code == 3
    assert not list(folder.glob("*"))


def test_a_missing_file_is_downloaded_once(address, monkeypatch, tmp_path):
    publish(monkeypatch, f"{address}/whole")
    path = datasets.fetch("etth1", tmp_path / "data/ett")
    assert path == tmp_path / "data/ett/ETTh1.csv" and path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["ETTh1.csv"]
    publish(monkeypatch, f"{address}/changed")  # now what is there is taken
    assert datasets.fetch("etth1", path.parent) == path


@pytest.mark.parametrize("kind", ["changed", "cut"])
def test_a_damaged_download_leaves_nothing(address, monkeypatch, tmp_path, kind):
    publish(monkeypatch, f"{address}/{kind}")
    refused(tmp_path, f"{address}/{kind}", "damaged", SHA256, str(tmp_path / "ETTh1.csv"))


def test_a_file_that_the_server_does_not_have(address, monkeypatch, tmp_path):
    publish(monkeypatch, f"{address}/none")
    refused(tmp_path, f"{address}/none: cannot be downloaded: HTTP Error 404", str(tmp_path / "ETTh1.csv"), "by hand")


def test_no_network(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as closed:  # bound and not listening: whoever connects is refused
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/ETTh1.csv"
        publish(monkeypatch, url)
        refused(tmp_path, f"{url}: cannot be downloaded", "Connection refused", str(tmp_path / "ETTh1.csv"), "by hand")


def test_another_file_under_the_name(monkeypatch, tmp_path):
    publish(monkeypatch, "http://nowhere.invalid/ETTh1.csv")
    path = tmp_path / "ETTh1.csv"
    path.write_bytes(CONTENT + b"\n")
    with pytest.raises(DataError) as caught:
        datasets.fetch("etth1", tmp_path)
    found = hashlib.sha256(CONTENT + b"\n").hexdigest()
    for part in (f"{path}: is not the published file", found, SHA256, "remove it", "http://nowhere.invalid/ETTh1.csv"):
        assert part in str(caught.value)
    assert path.read_bytes() == CONTENT + b"\n"


def test_a_folder_that_cannot_be_made(address, monkeypatch, tmp_path):
    publish(monkeypatch, f"{address}/whole")
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        datasets.fetch("etth1", tmp_path / "data/ett")


def test_a_full_disk_is_told_as_one(address, monkeypatch, tmp_path):
    publish(monkeypatch, f"{address}/whole")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ResourceError, match="the disk is full"):
        datasets.fetch("etth1", tmp_path)
    assert not list(tmp_path.glob("*"))


def test_unknown_names():
    with pytest.raises(UsageError, match=r"no data set 'ETTh1'(.|\n)*did you mean etth1\?"):
        datasets.fetch("ETTh1")
    with pytest.raises(UsageError, match="one of etth1, etth2, ettm1, ettm2"):
        datasets.fetch("weather")


def test_the_table():
    for name, (file, url, sha256) in datasets.FILES.items():
        assert file == f"ETT{name[3:]}.csv" and url.endswith(f"/ETT-small/{file}")
        assert re.fullmatch(r"https://raw\.githubusercontent\.com/zhouhaoyi/ETDataset/[0-9a-f]{40}/.*", url)
        assert re.fullmatch("[0-9a-f]{64}", sha256)
    assert len({sha256 for _, _, sha256 in datasets.FILES.values()}) == 4


def test_the_real_file_is_the_published_one(shared, tmp_path):
    shutil.copy(shared / "ett/ETTh1.csv", tmp_path)
    assert datasets.fetch("etth1", tmp_path).stat().st_size == 2_589_657
