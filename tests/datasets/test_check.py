"""What `check` reports."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import VOID, camvid
from datasets import check as check_module
from datasets.check import check

MakeCamVid = Callable[..., Path]


@pytest.fixture
def sound(make_camvid: MakeCamVid, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small CamVid that `check` takes for the distribution."""
    folder = make_camvid()
    digest = camvid.files_hash(folder)
    monkeypatch.setattr(camvid, "KNOWN_VARIANTS", {digest: "camvid"})
    splits = {split: len(datasets.load("camvid", split, folder)) for split in datasets.SPLITS}
    monkeypatch.setattr(camvid, "INFO", replace(camvid.INFO, size=(9, 12), splits=splits))
    pixels = {}
    for split in datasets.SPLITS:
        labels = np.concatenate([label.reshape(-1) for _, label in datasets.load("camvid", split, folder)])
        pixels[split] = tuple(int((labels == c).sum()) for c in (*range(11), VOID))
    monkeypatch.setattr(check_module, "EXPECTED_PIXELS", {"camvid": pixels})
    return folder


def test_a_sound_folder(sound: Path) -> None:
    steps: list[tuple[int, int]] = []
    report = check("camvid", sound.parent, lambda done, total: steps.append((done, total)))
    assert report.problems == ()
    assert report.sound
    assert report.variant == "camvid"
    assert report.folder == sound
    assert [s.images for s in report.splits] == [4, 2, 3]
    assert [s.expected_images for s in report.splits] == [4, 2, 3]
    assert all(s.sizes == ((9, 12),) for s in report.splits)
    assert all(s.pixels == s.expected_pixels for s in report.splits)
    assert sum(report.splits[0].pixels) == 4 * 9 * 12
    assert steps[0] == (1, 9)
    assert steps[-1] == (9, 9)


def test_all_problems_are_reported(sound: Path) -> None:
    (sound / "train" / "train_0.png").write_bytes(b"junk")
    Image.new("RGB", (5, 5)).save(sound / "train" / "train_1.png")
    values = np.full((9, 12), 200, np.uint8)
    Image.fromarray(values).save(sound / "testannot" / "test_2.png")
    (sound / "valannot" / "val_1.png").unlink()
    (sound / "test.txt").write_text("")
    report = check("camvid", sound)
    text = "\n".join(report.problems)
    for part in (
        "train_0.png: no readable PNG or JPEG file",
        "train_1.png: 5 x 5 pixels",
        "val_1.png: image without label",
        "val: 1 images with labels, expected 2",
        "test.txt: does not list test_0",
        "test: 0 images with labels, expected 3",
    ):
        assert part in text
    assert not report.sound
    assert report.content_hash is None
    assert report.variant is None
    assert report.splits[0].sizes == ((5, 5), (9, 12))


def test_wrong_label_values_and_shares(sound: Path) -> None:
    path = sound / "testannot" / "test_2.png"
    Image.fromarray(np.full((9, 12), 200, np.uint8)).save(path)
    report = check("camvid", sound)
    assert any("test_2.png: label value 200 at row 0, column 0" in p for p in report.problems)
    Image.fromarray(np.zeros((9, 12), np.uint8)).save(path)
    report = check("camvid", sound)
    assert any(p.startswith("test: ") and "pixels of Sky, expected" in p for p in report.problems)
    assert any("of no known edition" in p for p in report.problems)
    assert report.variant == "camvid-unknown"


def test_the_real_sizes_are_expected(make_camvid: MakeCamVid) -> None:
    report = check("camvid", make_camvid())
    assert any("9 x 12 pixels where the split has 360 x 480" in p for p in report.problems)
    assert any("train: 4 images with labels, expected 367" in p for p in report.problems)


def test_expected_pixels_fit_the_counts() -> None:
    info = datasets.info("camvid")
    for split, pixels in check_module.EXPECTED_PIXELS["camvid"].items():
        assert len(pixels) == 12
        assert sum(pixels) == info.splits[split] * 360 * 480


@pytest.mark.slow
def test_the_real_camvid(camvid_root: Path) -> None:
    report = check("camvid", camvid_root)
    assert report.problems == ()
    assert report.variant == "camvid"


@pytest.mark.slow
def test_roads() -> None:
    report = check("roads")
    assert report.problems == ()
    assert report.variant == "roads"
    assert report.folder is None
    assert [s.images for s in report.splits] == [160, 40, 60]
    assert all(s.sizes == ((180, 240),) for s in report.splits)
    assert all(s.expected_pixels is None for s in report.splits)
