"""`data check` of own data: all that is wrong in one pass, what a sound folder holds, overlays."""

from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import VOID
from datasets.folder.check import blended, check_folder
from tests.datasets.own_files import (
    BY_SPLIT,
    CLASSES,
    SIZE,
    label,
    problems,
    refusal,
    save,
    write_flat,
    write_splits,
)


def test_check_finds_all_that_is_wrong_in_one_pass(tmp_path: Path) -> None:
    folder = write_flat(tmp_path / "data", count=30)
    (folder / "dataset.toml").write_text(CLASSES)
    (folder / "images" / "p01.png").write_bytes((folder / "images" / "p01.png").read_bytes()[:300])
    save(folder / "masks" / "p02.png", label(2, (6, 8)))
    save(folder / "masks" / "p03.png", np.full(SIZE, 9, np.uint8))
    (folder / "masks" / "p04.png").unlink()
    report = check_folder(folder, tmp_path / "look")
    found = {kind: len(lines) for kind, lines in report.folder.problems.items()}
    assert found == {"pairs": 1, "files": 1, "sizes": 1, "labels": 1}
    assert not (folder / "splits").exists()  # nothing is drawn for good before all is mended
    assert report.content_hash == ""
    assert all(path.is_file() for path in report.overlays) and len(report.overlays) >= 7


def test_check_of_a_sound_folder(tmp_path: Path) -> None:
    folder = write_flat(tmp_path / "data", values=(0, 0, 1, 255))
    steps: list[tuple[int, int]] = []
    report = check_folder(folder, tmp_path / "look", lambda done, total: steps.append((done, total)))
    assert not report.folder.problems and len(report.overlays) == 8 and steps[-1] == (10, 10)
    assert report.values == "0, 1, 255"
    train, val, test = report.splits
    assert (train.images, val.images, test.images) == (6, 2, 2)
    assert train.pixels == (6 * 96, 6 * 48, 6 * 48) and train.sizes == "12 x 16"
    assert report.weights == pytest.approx([0.75, 1.5])  # frequencies 1/2 and 1/4, their median 3/8


def test_check_counts_the_images_that_are_stretched(tmp_path: Path) -> None:
    folder = write_flat(tmp_path / "data", count=12, sizes=((40, 80), (40, 80), (80, 40), (41, 80)))
    (folder / "dataset.toml").write_text(CLASSES)
    report = check_folder(folder, None)
    assert report.folder.info.size == (40, 80)
    assert report.stretched == (3, pytest.approx(4.0))  # 41 rows are 1.025, which is let pass
    same = write_flat(tmp_path / "same", count=10, sizes=((40, 80),))
    assert check_folder(same, None).stretched == (0, 1.0)


def test_a_split_without_a_labeled_pixel_is_refused(tmp_path: Path) -> None:
    write_splits(tmp_path, *BY_SPLIT)
    for number in range(2):
        save(tmp_path / "val/masks" / f"val{number}.png", np.full(SIZE, 255, np.uint8))
    assert "val: no pixel of its 2 images has a class" in refusal(tmp_path)


def test_overlays_blend_by_hand(tmp_path: Path) -> None:
    info = datasets.info(f"folder:{write_flat(tmp_path)}")
    image = np.full((1, 2, 3), 100, np.uint8)
    pixels = blended(image, np.array([[0, VOID]], np.uint8), info)
    assert pixels.tolist() == [[[(100 + c) // 2 for c in info.colors[0]], [100, 100, 100]]]


def test_where_no_label_can_be_read_nothing_is_said_of_their_classes(tmp_path: Path) -> None:
    write_flat(tmp_path)
    for path in (tmp_path / "masks").iterdir():
        path.write_bytes(b"no picture")
    found = problems(tmp_path)
    assert [*found] == ["files"] and len(found["files"]) == 10
