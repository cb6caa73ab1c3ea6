"""Takes the CamVid folder out of a zip archive that is not trusted."""

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from datasets.base import SPLITS, DatasetError, one_line

MAX_MEMBERS = 20_000
MAX_FILE_BYTES = 64 << 20
MAX_TOTAL_BYTES = 1 << 30
MAX_RATIO = 100
"""How many times larger than its packed form a file may be; PNG and JPEG hardly shrink."""

_CHUNK_BYTES = 1 << 20


def unpack(archive: Path, target: Path, folder: str) -> None:
    """Unpack the split folders and list files of `folder`, at the archive's top or one level down.

    The new folder `target` becomes `folder`. DatasetError, before anything is written, if a name leaves the
    archive (absolute, `..`, backslash), a member of the folder is a link or encrypted, or the sizes are
    absurd; and if the archive is damaged or holds no such folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            wanted = _wanted(opened.infolist(), folder)
            _require_places(wanted, archive.stat().st_size)
            target.mkdir()
            left = MAX_TOTAL_BYTES
            for path, member in wanted.items():
                left -= _write(opened, member, target / path, left)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DatasetError(f"{archive.name}: no sound zip archive: {one_line(error)}") from error


def _wanted(members: list[zipfile.ZipInfo], folder: str) -> dict[str, zipfile.ZipInfo]:
    """The members to unpack by their path below the folder."""
    if len(members) > MAX_MEMBERS:
        raise DatasetError(f"the archive holds {len(members)} members, refused")
    wanted: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        path = _inside(member.filename, folder)
        if path is None or member.is_dir():
            continue
        if path in wanted:
            raise DatasetError(f"the archive holds {path} twice, refused")
        _require_harmless(member)
        wanted[path] = member
    if not wanted:
        raise DatasetError(f"the archive holds no folder {folder}")
    if sum(member.file_size for member in wanted.values()) > MAX_TOTAL_BYTES:
        raise DatasetError(f"the archive's {folder} is larger than {MAX_TOTAL_BYTES >> 20} MiB, refused")
    return wanted


def _require_places(wanted: dict[str, zipfile.ZipInfo], size: int) -> None:
    """DatasetError if a member lies outside the archive's `size` bytes, where zipfile would look for it."""
    for member in wanted.values():
        if not 0 <= member.header_offset < size:
            raise DatasetError(f"the archive's {member.filename} lies outside of it, refused: fetch it again")


def _inside(name: str, folder: str) -> str | None:
    """A member's path below the folder if it is one of a dataset's files, else None; hostile names raise."""
    path = PurePosixPath(name)
    # zipfile has already turned the system's own separator into a slash: a backslash is part of no file here.
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise DatasetError(f"the archive holds the name {name!r}, which leads out of it, refused")
    for level in (0, 1):
        if path.parts[level : level + 1] == (folder,):
            parts = path.parts[level + 1 :]
            lists = len(parts) == 1 and parts[0] in {f"{split}.txt" for split in SPLITS}
            files = len(parts) == 2 and parts[0].removesuffix("annot") in SPLITS
            return "/".join(parts) if lists or files else None
    return None


def _require_harmless(member: zipfile.ZipInfo) -> None:
    """DatasetError if a member is a link, encrypted or absurdly large."""
    mode = member.external_attr >> 16
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        raise DatasetError(f"the archive's {member.filename} is no plain file, refused")
    if member.flag_bits & 1:
        raise DatasetError(f"the archive's {member.filename} is encrypted, refused")
    if member.file_size > MAX_FILE_BYTES or member.file_size > MAX_RATIO * max(member.compress_size, 1) + 65536:
        raise DatasetError(f"the archive's {member.filename} would unpack to {member.file_size} bytes, refused")


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, left: int) -> int:
    """Unpack one member; its size. zipfile itself checks the size and the checksum that it declares."""
    path.parent.mkdir(exist_ok=True)
    size = 0
    with opened.open(member) as source, path.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > min(left, MAX_FILE_BYTES):
                raise DatasetError(f"the archive's {member.filename} unpacks to more than it declares, refused")
            file.write(chunk)
    return size
