"""The official release of SUN RGB-D, written small in its real formats and converted."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import VOID, DatasetError
from datasets.registry import prepare
from tests.datasets.own_files import line_of
from tests.datasets.sun_files import SIZES, growth_kib, label_of, scene, write_labels, write_release, write_splits


def one_line_error(root: Path) -> str:
    return line_of(lambda: prepare("sunrgbd", root))


def labels_file(root: Path) -> Path:
    return root / "SUNRGBDtoolbox" / "Metadata" / "SUNRGBD2Dseg.mat"


def test_pictures_and_labels_land_where_they_belong(tmp_path: Path) -> None:
    names, labels = write_release(tmp_path, test=2, train=3)
    steps: list[tuple[int, int]] = []
    made = prepare("sunrgbd", tmp_path, progress=lambda done, total: steps.append((done, total)))
    assert (made.made, made.before) == (5, 0)
    assert steps == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    folder = tmp_path / "sunrgbd37"
    assert made.folder == folder
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == [
        *(f"labels/img-{n:06d}.png" for n in (1, 2, 5051, 5052, 5053)),
        *(f"test/img-{n:06d}.jpg" for n in (1, 2)),
        *(f"train/img-{n:06d}.jpg" for n in (1, 2, 3)),
    ]
    for place, (number, split) in enumerate([(1, "test"), (2, "test"), (1, "train"), (2, "train"), (3, "train")]):
        (original,) = (tmp_path / "SUNRGBD" / names[place] / "image").iterdir()
        assert (folder / split / f"img-{number:06d}.jpg").read_bytes() == original.read_bytes()
        label = np.asarray(Image.open(folder / "labels" / f"img-{number + 5050 * (split == 'train'):06d}.png"))
        assert label.dtype == np.uint8 and np.array_equal(label, labels[place])


def test_a_label_is_not_left_transposed(tmp_path: Path) -> None:
    """By hand: one class in the upper right corner, in a file that h5py shows as (width, height)."""
    label = np.zeros((427, 561), np.uint8)
    label[:20, 500:] = 37
    write_release(tmp_path, test=1, train=1, labels={0: label})
    with h5py.File(labels_file(tmp_path)) as file:
        assert file[file["SUNRGBD2Dseg"]["seglabel"][0, 0]].shape == (561, 427)
    prepare("sunrgbd", tmp_path)
    _, read = datasets.load("sunrgbd", "test", tmp_path)[0]
    assert read.shape == (360, 480)
    assert read[0, 479] == 36 and read[0, 0] == VOID and read[359, 479] == VOID


def test_labels_stored_as_double(tmp_path: Path) -> None:
    _, labels = write_release(tmp_path, test=1, train=1)
    write_labels(tmp_path, [label.astype(np.float64) for label in labels])
    prepare("sunrgbd", tmp_path)
    made = np.asarray(Image.open(tmp_path / "sunrgbd37" / "labels" / "img-000001.png"))
    assert np.array_equal(made, labels[0])


def test_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    names, _ = write_release(tmp_path, test=2, train=2)
    (hidden,) = (tmp_path / "SUNRGBD" / names[2] / "image").iterdir()
    hidden.rename(tmp_path / "hidden.jpg")
    assert "0 .jpg files where one belongs" in one_line_error(tmp_path)
    folder = tmp_path / "sunrgbd37"
    assert sorted(path.name for path in (folder / "labels").iterdir()) == ["img-000001.png", "img-000002.png"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    (folder / "labels" / ".img-005051.png.part").write_bytes(b"half")
    (tmp_path / "hidden.jpg").rename(hidden)
    made = prepare("sunrgbd", tmp_path)
    assert (made.made, made.before) == (2, 2)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(folder.rglob("*.part"))


def test_values_above_37(tmp_path: Path) -> None:
    wrong = label_of(2, SIZES[1])
    wrong[7, 300] = 45
    write_release(tmp_path, test=2, train=1, labels={1: wrong})
    message = one_line_error(tmp_path)
    assert "label 2 has the value 45 at row 7, column 300" in message
    assert "seglabelall" in message


def test_broken_values(tmp_path: Path) -> None:
    write_release(tmp_path, test=1, train=1)
    write_labels(tmp_path, [np.full(SIZES[0], np.nan), label_of(2, SIZES[1])])
    assert "label 1 has the value nan at row 0, column 0" in one_line_error(tmp_path)


def test_splits_swapped_in_the_list(tmp_path: Path) -> None:
    names, _ = write_release(tmp_path, test=2, train=2)
    write_splits(tmp_path, names[2:], names[:2])
    # The labels are in the old order: sizes of the pictures give it away.
    assert "must be of one release, their splits not swapped" in one_line_error(tmp_path)


def test_splits_of_swapped_lengths(tmp_path: Path) -> None:
    write_release(tmp_path, test=1, train=1)
    write_splits(tmp_path, [scene("test", k) for k in range(5285)], [scene("train", k) for k in range(5050)])
    message = one_line_error(tmp_path)
    assert "alltest lists 5285 scenes where the release has 5050" in message
    assert "swapped?" in message


def test_a_scene_in_both_splits(tmp_path: Path) -> None:
    names, _ = write_release(tmp_path, test=2, train=2)
    write_splits(tmp_path, names[:2], [names[0], names[3]])
    assert f"{names[0]} is in alltest and in alltrain" in one_line_error(tmp_path)


def test_another_number_of_labels(tmp_path: Path) -> None:
    _, labels = write_release(tmp_path, test=2, train=2)
    write_labels(tmp_path, labels[:3])
    assert "3 labels where allsplit.mat lists 4 scenes" in one_line_error(tmp_path)


def test_a_path_that_leads_out(tmp_path: Path) -> None:
    names, _ = write_release(tmp_path, test=2, train=1)
    write_splits(tmp_path, [names[0], "kv2/../../secret"], names[2:])
    assert "is no scene folder below SUNRGBD/" in one_line_error(tmp_path)


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    assert "no official SUN RGB-D release" in one_line_error(tmp_path)
    write_release(tmp_path, test=1, train=1)
    labels = labels_file(tmp_path)
    data = labels.read_bytes()
    labels.write_bytes(data[: len(data) // 2])
    assert "unpack the toolbox again" in one_line_error(tmp_path)
    with h5py.File(labels, "w") as file:
        file.create_group("other")
    assert "holds no SUNRGBD2Dseg with a field seglabel" in one_line_error(tmp_path)
    labels.unlink()
    assert str(labels) in one_line_error(tmp_path)
    split = tmp_path / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    split.write_bytes(b"MATLAB 5.0 MAT-file, cut off")
    assert "no readable list of alltest and alltrain" in one_line_error(tmp_path)


def test_datasets_that_need_no_preparing(tmp_path: Path) -> None:
    for name in ("camvid", "roads"):
        with pytest.raises(DatasetError, match="needs no preparing"):
            prepare(name, tmp_path)
    with pytest.raises(DatasetError, match="did you mean sunrgbd"):
        prepare("sunrgb", tmp_path)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """400 labels of 8 bytes a pixel are 1 GB: converting them takes a small part of that."""
    write_release(tmp_path, test=1, train=399)
    size = SIZES[0]
    one = label_of(1, size).astype(np.float64)
    for folder in (tmp_path / "SUNRGBD").rglob("image"):
        (picture,) = folder.iterdir()
        Image.new("RGB", size[::-1]).save(picture)
    write_labels(tmp_path, [one] * 400)
    assert growth_kib("sunrgbd", tmp_path) < 200_000
