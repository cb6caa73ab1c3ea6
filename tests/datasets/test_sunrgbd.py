"""SUN RGB-D as it was extracted: pairs, void, size, the fixed val split, and one line for what is wrong."""

from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import VOID, DatasetError, sunrgbd
from datasets.check import check
from datasets.fetch import fetch
from harness import paper
from tests.datasets.own_files import line_of
from tests.datasets.sun_files import SIZES, color_of, label_of, write_extracted, write_jpeg, write_png

TRAIN, VAL = (1, 2, 3, 190, 201), (191, 200)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a few images of each split; nothing may change it."""
    folder = tmp_path_factory.mktemp("data")
    write_extracted(folder, test=(1, 2, 5050), train=(*TRAIN, *VAL))
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder sunrgbd37 that a test may damage: two images of test, one of train and one of val."""
    return write_extracted(tmp_path, test=(1, 2), train=(1, 191))


def one_line_error(folder: Path, split: str = "train") -> str:
    return line_of(lambda: list(datasets.load("sunrgbd", split, folder)))


def test_info_is_the_papers() -> None:
    info = datasets.info("sunrgbd")
    assert (info.num_classes, info.size) == (37, (360, 480))
    assert info.splits["train"] + info.splits["val"] == sunrgbd.TRAIN_IMAGES == paper.SUN_TRAINING_IMAGES
    assert info.splits["test"] == sunrgbd.TEST_IMAGES == 5050
    assert list(info.classes) == list(paper.sun_class_accuracies())


def test_val_is_fixed_and_in_runs_of_ten() -> None:
    held = sorted(sunrgbd.held_out())
    assert len(held) == 260 == datasets.info("sunrgbd").splits["val"]
    assert held[:11] == [*range(191, 201), 391]
    assert held[-1] <= sunrgbd.TRAIN_IMAGES


def test_splits_by_number(root: Path) -> None:
    image_ids = {split: datasets.load("sunrgbd", split, root).image_ids for split in datasets.SPLITS}
    assert image_ids["train"] == tuple(f"img-{n:06d}" for n in TRAIN)
    assert image_ids["val"] == tuple(f"img-{n:06d}" for n in VAL)
    assert image_ids["test"] == ("img-000001", "img-000002", "img-005050")


@pytest.mark.parametrize(("split", "number", "first"), [("test", 2, 0), ("train", 3, 5050), ("val", 191, 5050)])
def test_an_item_is_the_pair_of_its_number(root: Path, split: str, number: int, first: int) -> None:
    dataset = datasets.load("sunrgbd", split, root)
    image, label = dataset[dataset.image_ids.index(f"img-{number:06d}")]
    assert image.shape == (360, 480, 3) and label.shape == (360, 480)
    assert image.dtype == label.dtype == np.uint8
    assert np.abs(image.astype(int) - color_of(first + number)).max() <= 3
    size = SIZES[number % 3]
    whole = label_of(first + number, size)
    for row, column in ((0, 0), (0, 479), (359, 0), (200, 77), (119, 95), (121, 97)):
        there = whole[int((row + 0.5) * size[0] / 360), int((column + 0.5) * size[1] / 480)]
        assert label[row, column] == (VOID if there == 0 else there - 1)


def test_the_root_may_be_the_folder_itself(root: Path) -> None:
    inside, outside = (datasets.load("sunrgbd", "val", path) for path in (root / "sunrgbd37", root))
    assert inside.content_hash == outside.content_hash
    assert (inside.variant, inside.content_hash) == datasets.content_hash("sunrgbd", root)
    assert inside.variant == "sunrgbd-partial"


def test_content_hash_follows_numbers_and_content(own: Path) -> None:
    before = datasets.content_hash("sunrgbd", own)[1]
    (own / "train" / "notes.txt").write_text("no picture")
    assert datasets.content_hash("sunrgbd", own)[1] == before
    (own / "train" / "img-000001.jpg").rename(own / "train" / "img-000002.jpg")
    (own / "labels" / "img-005051.png").rename(own / "labels" / "img-005052.png")
    assert datasets.content_hash("sunrgbd", own)[1] != before


def test_missing_pairs(own: Path) -> None:
    (own / "labels" / "img-005051.png").unlink()
    assert "train/img-000001.jpg: image without label (labels/img-005051.png)" in one_line_error(own)
    (own / "test" / "img-000002.jpg").unlink()
    assert "labels/img-000002.png: label without image (of test/)" in one_line_error(own, "test")
    write_png(own / "labels" / "img-005250.png", label_of(1, SIZES[0]))
    assert "labels/img-005250.png: label without image (of train/)" in one_line_error(own, "val")
    with pytest.raises(DatasetError, match=r"(image|label) without (label|image)"):
        datasets.content_hash("sunrgbd", own)


def test_swapped_splits_by_number(own: Path) -> None:
    write_jpeg(own / "test" / "img-005285.jpg", 1, SIZES[0])
    message = one_line_error(own, "test")
    assert "test/img-005285.jpg" in message and "numbers here go up to 5050" in message
    assert "are train and test swapped?" in message


def test_swapped_splits_by_size(own: Path) -> None:
    """Of numbers that both have: pictures of train come from other cameras than those of test."""
    write_png(own / "labels" / "img-005051.png", label_of(1, SIZES[2]))
    message = one_line_error(own)
    assert "labels/img-005051.png: 441 x 591 where its image train/img-000001.jpg has 530 x 730" in message
    assert "are the splits swapped?" in message


def test_other_names(own: Path) -> None:
    write_jpeg(own / "train" / "0000103.jpg", 1, SIZES[0])
    assert "train/0000103.jpg: not named img-000001 to img-005285" in one_line_error(own)


def test_too_small_pictures(own: Path) -> None:
    write_jpeg(own / "train" / "img-000001.jpg", 1, (300, 480))
    write_png(own / "labels" / "img-005051.png", label_of(1, (300, 480)))
    assert "300 x 480 is smaller than 360 x 480" in one_line_error(own)


def test_missing_folder_says_how_to_get_it(tmp_path: Path) -> None:
    message = one_line_error(tmp_path)
    assert f"data prepare sunrgbd --data-root {tmp_path}" in message
    with pytest.raises(DatasetError) as caught:
        fetch("sunrgbd", tmp_path)
    assert "http://rgbd.cs.princeton.edu/data/SUNRGBD.zip" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_check_counts_and_names_what_is_wrong(own: Path) -> None:
    label = label_of(2, SIZES[2])
    label[0, 0] = 99
    write_png(own / "labels" / "img-000002.png", label)
    report = check("sunrgbd", own)
    text = "\n".join(report.problems)
    for part in (
        "img-000002.png: label value 99",
        "train: 1 images with labels, expected 5025",
        "val: 1 images with labels, expected 260",
        "test: 2 images with labels, expected 5050",
        "results are marked sunrgbd-partial",
    ):
        assert part in text
    assert [split.images for split in report.splits] == [1, 1, 2]
    assert sum(report.splits[0].pixels) == 360 * 480
    assert report.splits[0].sizes == (SIZES[1],)
