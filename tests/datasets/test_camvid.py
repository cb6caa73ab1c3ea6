"""CamVid folders: order, pairs, content hash, and one clear line for whatever is wrong with one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import VOID, camvid
from tests.datasets.own_files import line_of

MakeCamVid = Callable[..., Path]


def one_line_error(root: Path, split: str = "train") -> str:
    """The message of the DatasetError that reading a split ends with."""
    return line_of(lambda: list(datasets.load("camvid", split, root)))


def test_reads_a_split(make_camvid: MakeCamVid) -> None:
    folder = make_camvid()
    train = datasets.load("camvid", "train", folder.parent)
    assert len(train) == 4
    assert train.image_ids == ("train_3", "train_2", "train_1", "train_0")  # the list's order
    image, label = train[0]
    raw_image = np.asarray(Image.open(folder / "train" / "train_3.png"))
    raw_label = np.asarray(Image.open(folder / "trainannot" / "train_3.png"))
    assert image.dtype == label.dtype == np.uint8
    assert np.array_equal(image, raw_image)
    assert np.array_equal(label, np.where(raw_label == 11, VOID, raw_label))
    assert (label == VOID).any()
    assert train.info.size == (9, 12)
    assert train.info.splits["train"] == 4
    assert train.variant == "camvid-unknown"
    with pytest.raises(IndexError):
        train[4]


def test_without_lists_the_stems_are_sorted(make_camvid: MakeCamVid) -> None:
    root = make_camvid(lists=False).parent
    assert datasets.load("camvid", "val", root).image_ids == ("val_0", "val_1")


def test_the_root_may_be_the_folder_itself(make_camvid: MakeCamVid) -> None:
    folder = make_camvid()
    inside, outside = (datasets.load("camvid", "test", root) for root in (folder, folder.parent))
    assert inside.image_ids == outside.image_ids
    assert inside.content_hash == outside.content_hash


@pytest.mark.parametrize("stem", ["{split} of rain {k}", "straße_Ω_{split}_{k}", "{split}.{k}.a"])
def test_odd_file_names(make_camvid: MakeCamVid, stem: str) -> None:
    root = make_camvid(stem=stem).parent
    train = datasets.load("camvid", "train", root)
    assert train.image_ids[0] == stem.format(split="train", k=3)
    assert len(list(train)) == 4
    assert len(train.content_hash) == 64


def test_jpeg_images_are_read(make_camvid: MakeCamVid) -> None:
    train = datasets.load("camvid", "train", make_camvid(image_suffix=".jpg").parent)
    assert train[0][0].shape == (9, 12, 3)


def test_a_list_of_images_alone(make_camvid: MakeCamVid) -> None:
    folder = make_camvid()
    (folder / "val.txt").write_text("val/val_1.png\n\nx\\val\\val_0.png\r\n", "utf-8")
    assert datasets.load("camvid", "val", folder).image_ids == ("val_1", "val_0")


def test_content_hash_follows_content_alone(make_camvid: MakeCamVid, tmp_path: Path) -> None:
    folder = make_camvid()
    first = datasets.content_hash("camvid", folder)
    (folder / "val.txt").unlink()
    (folder / "train" / "notes.md").write_text("not a picture")
    (folder / "train" / ".hidden.png").write_bytes(b"")
    moved = folder.rename(tmp_path / "elsewhere")
    assert datasets.content_hash("camvid", moved) == first
    path = moved / "testannot" / "test_1.png"
    Image.fromarray(np.zeros((9, 12), np.uint8)).save(path)
    assert datasets.content_hash("camvid", moved)[1] != first[1]


def test_content_hash_follows_the_order_of_the_training_list_and_the_edition_does_not(make_camvid: MakeCamVid) -> None:
    folder = make_camvid()
    variant, first = datasets.content_hash("camvid", folder)
    lines = (folder / "train.txt").read_text("utf-8").splitlines()
    (folder / "train.txt").write_text("\n".join(reversed(lines)), "utf-8")
    turned = datasets.content_hash("camvid", folder)
    assert turned[0] == variant and turned[1] != first
    (folder / "train.txt").write_text("\n".join(lines), "utf-8")
    assert datasets.content_hash("camvid", folder) == (variant, first)


def test_content_hash_of_a_known_edition(make_camvid: MakeCamVid, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_camvid()
    digest = datasets.content_hash("camvid", folder)[1]
    monkeypatch.setattr(camvid, "KNOWN_VARIANTS", {camvid.files_hash(folder): "camvid"})
    assert datasets.content_hash("camvid", folder) == ("camvid", digest)
    assert datasets.load("camvid", "val", folder).variant == "camvid"


def test_swapped_stems_change_the_content_hash(make_camvid: MakeCamVid) -> None:
    folder = make_camvid(lists=False)
    before = datasets.content_hash("camvid", folder)[1]
    for kind in ("val", "valannot"):
        a, b, c = (folder / kind / f"{name}.png" for name in ("val_0", "val_1", "swap"))
        a.rename(c), b.rename(a), c.rename(b)
    assert datasets.content_hash("camvid", folder)[1] != before


def test_missing_folder_says_how_to_get_it(tmp_path: Path) -> None:
    message = one_line_error(tmp_path)
    assert f"data fetch camvid --data-root {tmp_path}" in message
    assert str(tmp_path / "CamVid") in message


def test_missing_split_folder(make_camvid: MakeCamVid) -> None:
    folder = make_camvid()
    for path in (folder / "valannot").iterdir():
        path.unlink()
    assert "valannot: holds no .png file" in one_line_error(folder, "val")
    (folder / "valannot").rmdir()
    assert "valannot: missing folder" in one_line_error(folder, "val")


def test_unpaired_files(make_camvid: MakeCamVid) -> None:
    folder = make_camvid(lists=False)
    (folder / "trainannot" / "train_2.png").unlink()
    assert "train_2.png: image without label" in one_line_error(folder)
    (folder / "train" / "train_2.png").unlink()
    (folder / "train" / "train_1.png").unlink()
    assert "train_1.png: label without image" in one_line_error(folder)


def test_list_and_folder_disagree(make_camvid: MakeCamVid) -> None:
    folder = make_camvid()
    listing = folder / "train.txt"
    lines = listing.read_text().splitlines()
    listing.write_text("\n".join(lines[1:]))
    assert "train.txt: does not list train_3" in one_line_error(folder)
    listing.write_text("\n".join([*lines, "/x/train/ghost.png /x/trainannot/ghost.png"]))
    assert "lists ghost, but there is no such image" in one_line_error(folder)
    listing.write_text("\n".join([*lines, lines[0]]))
    assert "lists train_3 twice" in one_line_error(folder)
    listing.write_bytes(b"\xff\xfe\x00")
    assert "not a UTF-8 text" in one_line_error(folder)


def test_several_problems_are_counted(make_camvid: MakeCamVid) -> None:
    folder = make_camvid(lists=False)
    for k in (0, 1, 2):
        (folder / "trainannot" / f"train_{k}.png").unlink()
    assert "(and 2 more:" in one_line_error(folder)


def test_two_images_of_one_stem(make_camvid: MakeCamVid) -> None:
    folder = make_camvid()
    Image.new("RGB", (12, 9)).save(folder / "train" / "train_1.jpg")
    assert "second file of the same stem" in one_line_error(folder)


@pytest.mark.parametrize("kind", ["train", "trainannot"])
def test_sizes_must_agree(make_camvid: MakeCamVid, kind: str) -> None:
    folder = make_camvid()
    Image.new("RGB" if kind == "train" else "L", (12, 8)).save(folder / kind / "train_1.png")
    message = one_line_error(folder)
    assert f"{kind}/train_1.png: 8 x 12 pixels where the split has 9 x 12" in message


def test_the_real_camvid(camvid_root: Path) -> None:
    assert datasets.content_hash("camvid", camvid_root)[0] == "camvid"
    for split, count in datasets.info("camvid").splits.items():
        dataset = datasets.load("camvid", split, camvid_root)
        assert len(dataset) == count
        image, label = dataset[count - 1]
        assert image.shape == (360, 480, 3)
        assert label.shape == (360, 480)
        assert set(np.unique(label)) <= {*range(11), VOID}
    assert datasets.load("camvid", "train", camvid_root).image_ids[0] == "0001TP_006690"
