"""NYU Depth v2 as it is read: the fixed splits, pairs, void, content hash, and one line for what is wrong."""

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import VOID, DatasetError, numbered, nyuv2
from datasets.base import Pair
from datasets.check import check
from datasets.fetch import fetch
from tests.datasets.nyu_files import SIZE, TEST, TRAIN, VAL, write_extracted
from tests.datasets.own_files import line_of
from tests.datasets.sun_files import color_of, label_of, write_jpeg, write_png


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a few images of each split; nothing may change it."""
    folder = tmp_path_factory.mktemp("data")
    write_extracted(folder)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder NYUv2 that a test may damage: two images of test, one of train and one of val."""
    return write_extracted(tmp_path, test=(1, 2), train=(3, 19))


def one_line_error(folder: Path, split: str = "train") -> str:
    return line_of(lambda: list(datasets.load("nyuv2", split, folder)))


def runs(numbers: list[int]) -> list[list[int]]:
    """Unbroken runs of ascending numbers."""
    found = [[numbers[0]]]
    for one, following in pairwise(numbers):
        if following == one + 1:
            found[-1].append(following)
        else:
            found.append([following])
    return found


class TestSplits:
    def test_each_image_is_in_one_split(self) -> None:
        numbers = nyuv2.split_numbers()
        counts = {split: len(found) for split, found in numbers.items()}
        assert counts == {"train": 716, "val": 79, "test": 654} == dict(nyuv2.INFO.splits)
        assert sorted(n for found in numbers.values() for n in found) == list(range(1, 1450))
        assert all(list(found) == sorted(found) for found in numbers.values())

    def test_the_lists_are_fixed(self) -> None:
        digests = {
            split: hashlib.sha256(",".join(map(str, found)).encode()).hexdigest()[:16]
            for split, found in nyuv2.split_numbers().items()
        }
        assert digests == {"train": "f49f1887903c2243", "val": "5537c4d7a25a68d2", "test": "6e8da89f5e5d8d09"}

    def test_val_is_whole_runs_of_training_images(self) -> None:
        """A room's images are neighbors, and the official split parts no room: so a whole run does not."""
        numbers = nyuv2.split_numbers()
        official = runs(sorted([*numbers["train"], *numbers["val"]]))
        held = [run for run in official if set(run) & set(numbers["val"])]
        assert [n for run in held for n in run] == list(numbers["val"])
        assert len(official) == 123 and len(held) == 13
        # spread evenly over the runs
        assert held == official[2::10]
        assert held[0] == [19, 20]

    @pytest.mark.slow
    def test_the_real_files_have_this_split(self, shared: Path) -> None:
        if not (shared / "data" / "NYUv2").is_dir():
            pytest.skip(f"needs the real NYU Depth v2 in {shared}/data (set SEGNET_SHARED)")
        report = check("nyuv2", shared / "data")
        assert report.problems == ()
        assert report.variant == "nyuv2"
        assert report.content_hash == "871f50319451c35cc8bb1b77e3ab47a2a1ec1f4effc91d686ab355a44a7e4e13"
        for found in report.splits:
            assert found.sizes == ((360, 480),)
            assert min(found.pixels) > 0  # every class occurs in every split
        void = sum(found.pixels[-1] for found in report.splits)
        assert void / (1449 * 360 * 480) == pytest.approx(0.22, abs=0.005)


class TestReading:
    def test_splits_by_number(self, root: Path) -> None:
        for split, numbers in (("train", TRAIN), ("val", VAL), ("test", TEST)):
            assert datasets.load("nyuv2", split, root).image_ids == tuple(f"NYU{n:04d}" for n in numbers)

    @pytest.mark.parametrize(("split", "number"), [("test", 9), ("train", 4), ("val", 20)])
    def test_an_item_is_the_pair_of_its_number(self, root: Path, split: str, number: int) -> None:
        dataset = datasets.load("nyuv2", split, root)
        image, label = dataset[dataset.image_ids.index(f"NYU{number:04d}")]
        assert image.shape == (*SIZE, 3) and label.shape == SIZE
        assert image.dtype == label.dtype == np.uint8
        assert np.abs(image.astype(int) - color_of(number)).max() <= 3
        stored = label_of(number, SIZE)
        assert np.array_equal(label, np.where(stored == 0, VOID, stored - 1))

    def test_the_root_may_be_the_folder_itself(self, root: Path) -> None:
        inside, outside = (datasets.load("nyuv2", "val", path) for path in (root / "NYUv2", root))
        assert inside.content_hash == outside.content_hash
        assert (inside.variant, inside.content_hash) == datasets.content_hash("nyuv2", root)
        assert inside.variant == "nyuv2-partial"


class TestContentHash:
    def test_follows_content_and_numbers(self, own: Path) -> None:
        found = [datasets.content_hash("nyuv2", own)[1]]
        (own / "train" / "images" / "notes.txt").write_text("no picture")
        assert datasets.content_hash("nyuv2", own)[1] == found[0]
        label = label_of(3, SIZE)
        label[0, 0] = 1
        write_png(own / "train" / "labels37" / "NYU0003.png", label)
        found.append(datasets.content_hash("nyuv2", own)[1])
        for folder, suffix in (("images", ".jpg"), ("labels37", ".png")):
            place = own / "train" / folder
            (place / f"NYU0003{suffix}").rename(place / f"NYU0004{suffix}")
        found.append(datasets.content_hash("nyuv2", own)[1])
        assert len(set(found)) == 3

    def test_follows_the_order_of_a_split(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = datasets.content_hash("nyuv2", root)
        numbers = nyuv2.split_numbers()
        other = {**numbers, "train": numbers["train"][::-1]}
        monkeypatch.setattr(nyuv2, "split_numbers", lambda: other)
        after = datasets.content_hash("nyuv2", root)
        assert after[0] == before[0] and after[1] != before[1]

    def test_follows_the_split_that_an_image_is_in(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = datasets.content_hash("nyuv2", root)[1]
        numbers = nyuv2.split_numbers()
        train, val = numbers["train"], numbers["val"]
        other = {**numbers, "train": train[1:], "val": (*val, train[0])}
        monkeypatch.setattr(nyuv2, "split_numbers", lambda: other)
        assert datasets.content_hash("nyuv2", root)[1] != before

    def test_is_made_of_split_kind_stem_and_bytes(self, tmp_path: Path) -> None:
        """By hand."""
        image, label = tmp_path / "image.jpg", tmp_path / "label.png"
        image.write_bytes(b"one")
        label.write_bytes(b"two")
        parts = [hashlib.sha256(data).hexdigest() for data in (b"one", b"two")]
        text = f"val\0image\0NYU0019\0{parts[0]}\nval\0label\0NYU0019\0{parts[1]}\n"
        pair = Pair(stem="NYU0019", image=image, label=label)
        assert numbered.hash_splits({"val": [pair]}) == hashlib.sha256(text.encode()).hexdigest()


class TestWhatIsWrong:
    def test_missing_pairs(self, own: Path) -> None:
        (own / "train" / "labels37" / "NYU0003.png").unlink()
        assert "NYU0003.jpg: image without label (train/labels37/NYU0003.png)" in one_line_error(own)
        (own / "test" / "images" / "NYU0002.jpg").unlink()
        assert "NYU0002.png: label without image (test/images/NYU0002.jpg)" in one_line_error(own, "test")
        with pytest.raises(DatasetError, match=r"(image|label) without (label|image)"):
            datasets.content_hash("nyuv2", own)

    def test_no_image_of_val(self, own: Path) -> None:
        (own / "train" / "images" / "NYU0019.jpg").unlink()
        (own / "train" / "labels37" / "NYU0019.png").unlink()
        assert "holds no image of val" in one_line_error(own, "val")

    def test_swapped_splits(self, own: Path) -> None:
        (own / "train").rename(own / "other")
        (own / "test").rename(own / "train")
        (own / "other").rename(own / "test")
        message = one_line_error(own)
        assert "train/images/NYU0001.jpg: NYU0001 is not of train: are train and test swapped?" in message
        assert "data check nyuv2" in message

    def test_other_names(self, own: Path) -> None:
        write_jpeg(own / "train" / "images" / "0001.jpg", 1, SIZE)
        assert "images/0001.jpg: not named NYU0001 to NYU1449: rename it" in one_line_error(own)
        write_jpeg(own / "train" / "images" / "0001.jpg", 1, SIZE)
        (own / "train" / "images" / "0001.jpg").rename(own / "train" / "images" / "NYU1450.jpg")
        assert "NYU1450.jpg: not named NYU0001 to NYU1449: numbers here go up to 1449" in one_line_error(own)

    @pytest.mark.parametrize("kind", ["images", "labels37"])
    def test_other_sizes(self, own: Path, kind: str) -> None:
        place = own / "train" / kind
        if kind == "images":
            write_jpeg(place / "NYU0003.jpg", 1, (427, 561))
        else:
            write_png(place / "NYU0003.png", label_of(1, (427, 561)))
        message = one_line_error(own)
        assert f"{kind}/NYU0003" in message and "427 x 561 pixels, not 360 x 480" in message
        assert "data prepare nyuv2" in message

    def test_missing_folder_says_how_to_get_it(self, tmp_path: Path) -> None:
        message = one_line_error(tmp_path)
        assert f"no NYU Depth v2 in {tmp_path}" in message
        assert f"data prepare nyuv2 --data-root {tmp_path}" in message
        with pytest.raises(DatasetError) as caught:
            fetch("nyuv2", tmp_path)
        base = "http://horatio.cs.nyu.edu/mit/silberman"
        assert f"{base}/nyu_depth_v2/nyu_depth_v2_labeled.mat" in str(caught.value)
        assert f"{base}/indoor_seg_sup/splits.mat" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_check_counts_and_names_what_is_wrong(self, own: Path) -> None:
        label = label_of(2, SIZE)
        label[0, 0] = 99
        write_png(own / "test" / "labels37" / "NYU0002.png", label)
        report = check("nyuv2", own)
        text = "\n".join(report.problems)
        for part in (
            "NYU0002.png: label value 99",
            "train: 1 images with labels, expected 716",
            "val: 1 images with labels, expected 79",
            "test: 2 images with labels, expected 654",
            "results are marked nyuv2-partial",
        ):
            assert part in text
        assert [split.images for split in report.splits] == [1, 1, 2]
        assert sum(report.splits[0].pixels) == 360 * 480
