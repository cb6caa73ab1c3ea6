"""The official release of NYU Depth v2, written small in its real formats and converted."""

import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import VOID, DatasetError, nyuv2_official
from datasets.registry import prepare
from tests.datasets.nyu_files import raw_image, raw_label, read_png, stamp, write_labeled, write_release, write_splits
from tests.datasets.own_files import line_of
from tests.datasets.sun_files import color_of, growth_kib

WALL, CHAIR = 0, 4


def one_line_error(root: Path) -> str:
    return line_of(lambda: prepare("nyuv2", root))


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class TestConversion:
    def test_from_beginning_to_end(self, tmp_path: Path) -> None:
        write_release(tmp_path, count=20)
        steps: list[tuple[int, int]] = []
        made = prepare("nyuv2", tmp_path, progress=lambda done, total: steps.append((done, total)))
        assert (made.folder, made.made, made.before) == (tmp_path / "NYUv2", 20, 0)
        assert steps == [(k, 20) for k in range(1, 21)]
        test = (1, 2, 9, 14, 15, 16, 17, 18)
        train = (*range(3, 9), *range(10, 14), 19, 20)
        assert files_of(made.folder) == sorted(
            f"{split}/{folder}/NYU{number:04d}.{suffix}"
            for split, numbers in (("test", test), ("train", train))
            for number in numbers
            for folder, suffix in (("images", "jpg"), ("labels37", "png"))
        )
        image_ids = {split: datasets.load("nyuv2", split, tmp_path).image_ids for split in datasets.SPLITS}
        assert image_ids["val"] == ("NYU0019", "NYU0020")
        assert image_ids["test"][0] == "NYU0001" and len(image_ids["train"]) == 10
        for number, split, index in ((1, "test", 0), (13, "train", 9), (20, "val", 1)):
            image, label = datasets.load("nyuv2", split, tmp_path)[index]
            assert np.abs(image[300:, 200:].astype(int) - color_of(number)).max() <= 3
            # raw rows 300 to 310 + number, whatever lies there, is NYU's label 894: void
            assert (label[:, 30] == VOID).sum() == round((10 + number) * 360 / 427)
        assert nyuv2_official.JPEG_QUALITY == 75

    def test_orientation(self, tmp_path: Path) -> None:
        """By hand, in a file that h5py shows as (3, width, height): the upper right corner stays there."""
        path = write_release(tmp_path, count=1)
        with h5py.File(path) as file:
            assert file["images"].shape == (1, 3, 640, 480) and file["labels"].shape == (1, 640, 480)
        write_splits(tmp_path, [1], [])
        prepare("nyuv2", tmp_path)
        image = np.asarray(Image.open(tmp_path / "NYUv2" / "test" / "images" / "NYU0001.jpg"))
        label = read_png(tmp_path / "NYUv2" / "test" / "labels37" / "NYU0001.png")
        assert image.shape == (360, 480, 3) and label.shape == (360, 480) and label.dtype == np.uint8
        # the corner is 100 of 427 rows high and 100 of 561 columns wide
        rows, columns = 100 * 360 / 427, 480 - 100 * 480 / 561
        corner = np.zeros((360, 480), bool)
        corner[: round(rows), round(columns) :] = True
        assert np.array_equal(label == CHAIR + 1, corner)
        inside, outside = corner.copy(), ~corner
        # JPEG's blocks are 16 wide: within one of the corner's edge its color bleeds
        inside[round(rows) - 16 :], inside[:, : round(columns) + 16] = False, False
        outside[: round(rows) + 16, round(columns) - 16 :] = False
        assert image[inside].max() <= 3
        assert np.abs(image[outside].astype(int) - color_of(1)).max() <= 3

    def test_nothing_is_left_of_the_white_frame(self, tmp_path: Path) -> None:
        """The frame's last row and column on each side are outside, the region's first ones are inside."""
        label = np.full((480, 640), 1, np.uint16)  # a book, which is none of the 37
        label[44:471, 40:601] = 21
        write_release(tmp_path, count=3, labels={3: label})
        prepare("nyuv2", tmp_path)
        assert (read_png(tmp_path / "NYUv2" / "train" / "labels37" / "NYU0003.png") == WALL + 1).all()
        label[44], label[470], label[:, 40], label[:, 600] = 5, 5, 5, 5
        write_release(tmp_path / "edge", count=3, labels={3: label})
        prepare("nyuv2", tmp_path / "edge")
        made = read_png(tmp_path / "edge" / "NYUv2" / "train" / "labels37" / "NYU0003.png")
        for line in (made[0], made[-1], made[:, 0], made[:, -1]):
            assert (line == CHAIR + 1).all()
        image = np.asarray(Image.open(tmp_path / "NYUv2" / "test" / "images" / "NYU0001.jpg")).astype(int)
        for line in (image[0, :300], image[-1], image[:, 0], image[150:, -1]):
            assert np.abs(line - color_of(1)).max() <= 3

    def test_images_are_averaged_and_labels_are_not(self, tmp_path: Path) -> None:
        """Columns of width one, black and white: aliasing would leave them black or white."""
        image = np.zeros((480, 640, 3), np.uint8)
        image[:, ::2] = 255
        label = np.full((480, 640), 21, np.uint16)
        label[:, ::2] = 5
        write_release(tmp_path, count=3, images={3: image}, labels={3: label})
        prepare("nyuv2", tmp_path)
        made = np.asarray(Image.open(tmp_path / "NYUv2" / "train" / "images" / "NYU0003.jpg"))
        assert made.mean() == pytest.approx(127.5, abs=1)
        assert np.percentile(made, 99) < 225 and np.percentile(made, 1) > 30
        labels = np.unique(read_png(tmp_path / "NYUv2" / "train" / "labels37" / "NYU0003.png"))
        assert set(labels) == {WALL + 1, CHAIR + 1}


class TestClasses:
    def test_the_table_by_hand(self) -> None:
        """Some of NYU's names and what becomes of them."""
        table = nyuv2_official.class_table()
        assert table.shape == (895,) and table[0] == 0
        names = datasets.info("nyuv2").classes
        expected = {21: "wall", 11: "floor", 3: "cabinet", 157: "bed", 5: "chair", 83: "sofa"}
        assert {raw: names[table[raw] - 1] for raw in expected} == expected
        assert table[1] == 0 and table[2] == 0  # book and bottle: other props

    def test_each_class_comes_of_one_label(self) -> None:
        values, counts = np.unique(nyuv2_official.class_table(), return_counts=True)
        assert list(values) == list(range(38))
        assert (counts[1:] == 1).all() and counts[0] == 895 - 37

    def test_all_labels_through_a_file(self, tmp_path: Path) -> None:
        raw = np.zeros((480, 640), np.uint16)
        raw[44:471, 40:601] = (np.arange(561) * 895 // 561)[None]
        raw[44:250, 40:601] = 894 - raw[44:250, 40:601]
        write_release(tmp_path, count=3, labels={3: raw})
        prepare("nyuv2", tmp_path)
        made = read_png(tmp_path / "NYUv2" / "train" / "labels37" / "NYU0003.png")
        columns = ((np.arange(480) + 0.5) * 561 / 480).astype(int) + 40
        rows = ((np.arange(360) + 0.5) * 427 / 360).astype(int) + 44
        assert np.array_equal(made, nyuv2_official.class_table()[raw[rows[:, None], columns]])


class TestGoingOn:
    def test_what_is_missing_or_cut_off_is_made_again(self, tmp_path: Path) -> None:
        write_release(tmp_path, count=6)
        prepare("nyuv2", tmp_path)
        train = tmp_path / "NYUv2" / "train"
        whole = {path: path.read_bytes() for path in train.rglob("*.*")}
        (train / "images" / "NYU0003.jpg").unlink()
        (train / "labels37" / "NYU0004.png").unlink()
        cut = train / "labels37" / "NYU0005.png"
        cut.write_bytes(whole[cut][:40])
        (train / "images" / ".NYU0003.jpg.part").write_bytes(b"half")
        made = prepare("nyuv2", tmp_path)
        assert (made.made, made.before) == (3, 3)
        assert {path: path.read_bytes() for path in train.rglob("*.*")} == whole

    def test_goes_on_after_a_failure(self, tmp_path: Path) -> None:
        wrong = raw_label(4)
        wrong[200, 300] = 895
        write_release(tmp_path, count=6, labels={4: wrong})
        message = one_line_error(tmp_path)
        assert "label 4 has the value 895 at row 200, column 300" in message
        assert "NYU's labels are 1 to 894 and void is 0" in message
        assert len(files_of(tmp_path / "NYUv2")) == 6
        write_release(tmp_path, count=6)
        made = prepare("nyuv2", tmp_path)
        assert (made.made, made.before) == (3, 3)

    def test_a_kill_leaves_only_whole_files(self, tmp_path: Path) -> None:
        write_release(tmp_path, count=20)
        code = (
            "import os, signal, sys; from datasets.registry import prepare; "
            "prepare('nyuv2', sys.argv[1], progress=lambda done, total: "
            "os.kill(os.getpid(), signal.SIGKILL) if done == 7 else None)"
        )
        killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        assert killed.returncode == -9
        assert len(files_of(tmp_path / "NYUv2")) == 14
        made = prepare("nyuv2", tmp_path)
        assert (made.made, made.before) == (13, 7)


class TestWhatIsWrong:
    @pytest.mark.parametrize("name", ["nyu_depth_v2_labeled.mat", "splits.mat"])
    def test_missing_files(self, tmp_path: Path, name: str) -> None:
        write_release(tmp_path, count=1)
        (tmp_path / name).unlink()
        message = one_line_error(tmp_path)
        assert f"no official NYU Depth v2 in {tmp_path}: {name} is missing; get http://horatio" in message
        assert "data prepare nyuv2 --data-root" in message
        assert not (tmp_path / "NYUv2").exists()

    def test_cut_off(self, tmp_path: Path) -> None:
        path = write_release(tmp_path, count=3)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        message = one_line_error(tmp_path)
        assert str(path) in message and "no readable HDF5 file" in message and "fetch it again" in message

    def test_damaged_within(self, tmp_path: Path) -> None:
        """Packed data that no longer unpacks: h5py finds it only where it reads."""
        path = write_release(tmp_path, count=1)
        with h5py.File(path, "r") as file:
            # chunks are counted from the end of the 512 bytes of MATLAB's words
            found = file["images"].id.get_chunk_info(0)
        with path.open("r+b") as raw:
            raw.seek(512 + found.byte_offset)
            raw.write(b"\xff" * found.size)
        assert re.search(r"image 1 cannot be read \(.*\): fetch it again", one_line_error(tmp_path))

    def test_other_content(self, tmp_path: Path) -> None:
        path = write_release(tmp_path, count=1)
        with h5py.File(path, "w", userblock_size=512) as file:
            file["images"] = np.zeros((1, 3, 640, 480), np.uint8)
        stamp(path)
        assert "holds no labels: fetch it again" in one_line_error(tmp_path)
        with h5py.File(path, "a") as file:
            file["labels"] = np.zeros((1, 480, 640), np.uint16)
        assert "labels are uint16 (1, 480, 640), not uint16 (1449, 640, 480)" in one_line_error(tmp_path)
        with h5py.File(path, "a") as file:
            del file["labels"]
            file["labels"] = np.zeros((2, 640, 480), np.uint16)
        assert "1 images and 2 labels where the release has 1449" in one_line_error(tmp_path)

    def test_damaged_split_file(self, tmp_path: Path) -> None:
        write_release(tmp_path, count=1)
        (tmp_path / "splits.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut off")
        message = one_line_error(tmp_path)
        assert "splits.mat: no readable list of trainNdxs and testNdxs" in message
        assert "fetch it again" in message

    def test_split_of_another_release(self, tmp_path: Path) -> None:
        write_release(tmp_path, count=3)
        for test, train in (([1, 2], []), ([1, 2], [3, 4]), ([1, 2], [2, 3]), ([0, 1, 2], [3])):
            write_splits(tmp_path, test, train)
            message = one_line_error(tmp_path)
            assert "do not name each of the 3 images of nyu_depth_v2_labeled.mat once" in message

    def test_split_swapped(self, tmp_path: Path) -> None:
        write_release(tmp_path, count=3)
        write_splits(tmp_path, [3], [1, 2])
        message = one_line_error(tmp_path)
        assert "trainNdxs names 1, which the official split has in test: are the two swapped?" in message

    def test_split_of_broken_numbers(self, tmp_path: Path) -> None:
        write_release(tmp_path, count=3)
        write_splits(tmp_path, [1.5, 2], [3])
        assert "trainNdxs and testNdxs must be whole numbers" in one_line_error(tmp_path)

    def test_no_place_to_write(self, tmp_path: Path) -> None:
        write_release(tmp_path, count=1)
        (tmp_path / "NYUv2").write_text("a file")
        assert "NYUv2: cannot be written" in one_line_error(tmp_path)

    @pytest.mark.parametrize("name", ["nyuv2", "sunrgbd"])
    def test_without_h5py(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        from tests.datasets import sun_files

        write_release(tmp_path, count=1)
        sun_files.write_release(tmp_path, test=1, train=1)
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(DatasetError, match=r'needs h5py .*pip install -e "\.\[prepare\]"'):
            prepare(name, tmp_path)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_release(tmp_path: Path) -> None:
    """400 pictures with their labels are 600 MB: converting them takes a small part of that."""
    count = 400
    path = write_labeled(tmp_path, [raw_image(1)], [raw_label(1)])
    # All of them one picture, stored as the release has it: chunks of its own for each.
    with h5py.File(path, "w", userblock_size=512) as file:
        shapes = {"images": ((3, 640, 480), np.uint8), "labels": ((640, 480), np.uint16)}
        for name, (shape, kind) in shapes.items():
            made = file.create_dataset(
                name, (count, *shape), kind, chunks=(1, *shape), compression="gzip", compression_opts=1
            )
            value = raw_image(1).transpose(2, 1, 0) if name == "images" else raw_label(1).T
            for k in range(count):
                made[k] = value
    stamp(path)
    numbers = datasets.nyuv2.split_numbers()
    test = [n for n in numbers["test"] if n <= count]
    write_splits(tmp_path, test, sorted({*range(1, count + 1)} - {*test}))
    assert growth_kib("nyuv2", tmp_path) < 300_000
