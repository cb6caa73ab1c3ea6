"""Own data: layouts, splits, pairs, and what is said of those that are wrong."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import VOID
from datasets.folder import read_folder
from tests.datasets.own_files import (
    BY_SPLIT,
    CLASSES,
    label,
    picture,
    problems,
    refusal,
    save,
    write_flat,
    write_splits,
)

LAYOUTS = {
    "segnet": ("{split}/{name}.png", "{split}annot/{name}.png"),
    "ultralytics": ("images/{split}/{name}.png", "masks/{split}/{name}.png"),
    "mmsegmentation": ("img_dir/{split}/{name}.png", "ann_dir/{split}/{name}.png"),
    "by split": BY_SPLIT,
    "cityscapes": (
        "leftImg8bit/{split}/ulm/{name}_leftImg8bit.png",
        "gtFine/{split}/ulm/{name}_gtFine_labelTrainIds.png",
    ),
}


# -- layouts and splits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_found(tmp_path: Path, layout: str) -> None:
    write_splits(tmp_path, *LAYOUTS[layout])
    for place, split in enumerate(datasets.SPLITS):
        found = datasets.load(f"folder:{tmp_path}", split)
        assert len(found) == 2
        for number in range(2):
            image, classes = found[number]
            assert np.array_equal(image, picture(10 * place + number))
            assert np.array_equal(classes, label(10 * place + number))  # 255 is void in both


def test_training_and_validation_are_train_and_val(tmp_path: Path) -> None:
    write_splits(tmp_path, "images/{split}/{name}.png", "annotations/{split}/{name}.png")
    for folder in ("images", "annotations"):
        (tmp_path / folder / "train").rename(tmp_path / folder / "training")
        (tmp_path / folder / "val").rename(tmp_path / folder / "validation")
    assert datasets.load(f"folder:{tmp_path}", "val").image_ids == ("val0", "val1")


def test_voc_with_lists_and_a_table_of_colors(tmp_path: Path) -> None:
    colors = np.array([(10, 20, 30), (200, 0, 0), (0, 0, 0)], np.uint8)
    for number in range(4):
        save(tmp_path / "JPEGImages" / f"2007.{number}.png", picture(number))
        save(tmp_path / "SegmentationClass" / f"2007.{number}.png", colors[label(number, values=(0, 1, 2))])
    (tmp_path / "labelmap.txt").write_text("# label:color\nroad:10,20,30::\ncar:200,0,0::\nvoid:0,0,0::\n")
    for split, names in (("train", "2007.2\n2007.0"), ("val", "2007.1"), ("test", "2007.3")):
        path = tmp_path / "ImageSets" / "Segmentation" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(names)
    train = datasets.load(f"folder:{tmp_path}", "train")
    assert train.image_ids == ("2007.2", "2007.0")  # the list's order; stems may hold dots
    assert train.info.classes == ("road", "car") and train.info.colors == ((10, 20, 30), (200, 0, 0))
    expected = label(2, values=(0, 1, 2))
    assert np.array_equal(train[0][1], np.where(expected == 2, VOID, expected))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("class_dict.csv", "name,r,g,b\nroad,10,20,30\ncar,200,0,0\n"),
        ("label_colors.txt", "10 20 30\troad\n200 0 0\tcar\n"),
        ("dataset.toml", "[label_colors]\nroad = [10, 20, 30]\ncar = [200, 0, 0]\n"),
    ],
)
def test_tables_of_colors(tmp_path: Path, name: str, text: str) -> None:
    write_flat(tmp_path)
    for number in range(10):
        colors = np.array([(10, 20, 30), (200, 0, 0)], np.uint8)
        save(tmp_path / "masks" / f"p{number:02d}.png", colors[label(number, values=(0, 1))])
    (tmp_path / name).write_text(text)
    found = read_folder(tmp_path)
    assert not found.problems
    assert found.info.classes == ("road", "car")
    pixels = np.array([found.pixels(pair) for pair in found.pairs["train"]])
    assert (pixels == [[96, 96, 0]]).all()
    Image.new("RGB", (16, 12), (200, 0, 1)).save(tmp_path / "masks" / "p03.png")
    assert "p03.png: the color (200, 0, 1) (192 pixels" in refusal(tmp_path)


def test_data_yaml(tmp_path: Path) -> None:
    write_splits(tmp_path, "images/{split}/{name}.png", "segmentation_maps/{split}/{name}.png")
    (tmp_path / "data.yaml").write_text(
        "path: /content/elsewhere\ntrain: images/train\nval: images/val\ntest: images/test\n"
        "masks_dir: segmentation_maps\nnames: {0: sky, 1: other}\nlabel_mapping: {2: 1}\n"
    )
    found = read_folder(tmp_path)
    assert not found.problems and found.info.classes == ("sky", "other")
    assert found.pixels(found.pairs["val"][0]) == [48, 96, 48]


@pytest.mark.parametrize("place", ["../{split}/images", "../own/{split}/images", "./{split}/images"])
def test_data_yaml_with_places_above_it(tmp_path: Path, place: str) -> None:
    folder = write_splits(tmp_path / "own", *BY_SPLIT)
    (folder / "test" / "images").rename(folder / "held")  # the file alone says where they lie
    (folder / "test" / "masks").rename(folder / "masks")
    lines = [f"{split}: {place.format(split=split)}" for split in ("train", "val")]
    (folder / "data.yaml").write_text("\n".join([*lines, "test: ../held", "names: [sky, road, car]"]))
    found = read_folder(folder)
    assert not found.problems
    assert {split: [pair.stem for pair in pairs] for split, pairs in found.pairs.items()} == {
        split: [f"{split}0", f"{split}1"] for split in datasets.SPLITS
    }


@pytest.mark.parametrize("train", ["images/train", "all.txt"])
def test_data_yaml_without_test_holds_it_out_of_train_once(tmp_path: Path, train: str) -> None:
    write_splits(tmp_path, "images/{split}/{name}.png", "masks/{split}/{name}.png")
    for folder in ("images", "masks"):
        shutil.rmtree(tmp_path / folder / "test")
    for number in range(30, 38):
        save(tmp_path / "images" / "train" / f"more{number}.png", picture(number))
        save(tmp_path / "masks" / "train" / f"more{number}.png", label(number))
    names = sorted(f"images/train/{path.name}" for path in (tmp_path / "images" / "train").iterdir())
    (tmp_path / "all.txt").write_text("\n".join(names))
    (tmp_path / "data.yaml").write_text(f"train: {train}\nval: images/val\nnames: [sky, road, car]\n")
    first, second = read_folder(tmp_path), read_folder(tmp_path)
    assert not first.problems and not second.problems
    assert {split: len(pairs) for split, pairs in second.pairs.items()} == {"train": 8, "val": 2, "test": 2}
    assert second.content_hash() == first.content_hash()


def test_own_names_of_folders(tmp_path: Path) -> None:
    write_splits(tmp_path, "photo/{split}/{name}.png", "truth/{split}/{name}.png")
    assert "name both folders" in refusal(tmp_path)
    (tmp_path / "dataset.toml").write_text(CLASSES + 'images = "photo/{split}"\nlabels = "truth/{split}"\n')
    assert len(datasets.load(f"folder:{tmp_path}", "test")) == 2


def test_images_and_labels_side_by_side(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"a{number}.png", picture(number))
        save(tmp_path / f"a{number}_mask.png", label(number))
    assert sorted(sum((datasets.load(f"folder:{tmp_path}", s).image_ids for s in datasets.SPLITS), ())) == [
        "a0", "a1", "a2", "a3",
    ]  # fmt: skip


def test_a_drawn_split_is_written_down_and_stays(tmp_path: Path) -> None:
    write_flat(tmp_path, count=20)
    first = {split: datasets.load(f"folder:{tmp_path}", split).image_ids for split in datasets.SPLITS}
    assert [len(first[split]) for split in datasets.SPLITS] == [14, 3, 3]
    assert sorted(sum(first.values(), ())) == [f"p{n:02d}" for n in range(20)]
    lines = (tmp_path / "splits" / "val.txt").read_text().splitlines()
    assert lines == [f"images/{name}.png masks/{name}.png" for name in first["val"]]
    save(tmp_path / "images" / "late.png", picture(99))
    save(tmp_path / "masks" / "late.png", label(99))
    assert {split: datasets.load(f"folder:{tmp_path}", split).image_ids for split in datasets.SPLITS} == first
    assert any("1 images with labels are in no list" in note for note in read_folder(tmp_path).notes)


def test_the_drawn_split_follows_from_the_names_alone(tmp_path: Path) -> None:
    one, other = (write_flat(tmp_path / name, count=9) for name in ("one", "other"))
    ids = [datasets.load(f"folder:{folder}", "test").image_ids for folder in (one, other)]
    assert ids[0] == ids[1]


def test_three_images_are_enough_and_two_are_not(tmp_path: Path) -> None:
    write_flat(tmp_path / "three", count=3)
    assert [len(datasets.load(f"folder:{tmp_path / 'three'}", split)) for split in datasets.SPLITS] == [1, 1, 1]
    assert "must be 3 with labels at least" in refusal(write_flat(tmp_path / "two", count=2))


def test_a_missing_split_is_held_out_of_train(tmp_path: Path) -> None:
    write_splits(tmp_path, *BY_SPLIT, count=20)
    shutil.rmtree(tmp_path / "val")
    found = {split: datasets.load(f"folder:{tmp_path}", split).image_ids for split in datasets.SPLITS}
    assert [len(found[split]) for split in datasets.SPLITS] == [17, 3, 20]
    assert not set(found["train"]) & set(found["val"])
    again = {split: datasets.load(f"folder:{tmp_path}", split).image_ids for split in datasets.SPLITS}
    assert again == found


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    write_flat(tmp_path).chmod(0o500)
    assert len(datasets.load(f"folder:{tmp_path}", "train")) == 6
    assert any("can't be written" in note for note in read_folder(tmp_path).notes)


# -- pairs --------------------------------------------------------------------------------------------------


def test_every_orphan_is_named(tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "masks" / "p01.png").unlink()
    (tmp_path / "images" / "p02.png").unlink()
    (tmp_path / "images" / "p03.png").unlink()
    found = problems(tmp_path)["pairs"]
    assert [line.rpartition("/")[2] for line in found] == [
        "p01.png: image without label: add it, or remove the image",
        "p02.png: label without image: add it, or remove the label",
        "p03.png: label without image: add it, or remove the label",
    ]
    assert "(and 2 more: `python -m harness data check" in refusal(tmp_path)


@pytest.mark.parametrize("end", ["_mask", "_L", "_P", "_gtFine_labelIds"])
def test_ends_of_label_names(tmp_path: Path, end: str) -> None:
    write_flat(tmp_path)
    for path in list((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(f"{path.stem}{end}.png"))
    assert not problems(tmp_path)


def test_an_end_that_images_have_too_stays(tmp_path: Path) -> None:
    write_flat(tmp_path)
    for folder in ("images", "masks"):
        (tmp_path / folder / "p01.png").rename(tmp_path / folder / "p00_L.png")
    assert not problems(tmp_path)


def test_lists_pair_as_they_say(tmp_path: Path) -> None:
    write_flat(tmp_path)
    lists = {"train": "images/p00.png masks/p05.png\nimages/p01.png masks/p01.png", "val": "p02", "test": "p03.png"}
    for split, text in lists.items():
        (tmp_path / f"{split}.txt").write_text(text)
    train = datasets.load(f"folder:{tmp_path}", "train")
    assert np.array_equal(train[0][0], picture(0)) and np.array_equal(train[0][1], label(5))


@pytest.mark.parametrize("name", ["two  blanks", "a.b.c", " ä comma, here", "10.5 m"])
def test_odd_names_in_lists(tmp_path: Path, name: str) -> None:
    write_flat(tmp_path)
    for folder in ("images", "masks"):
        (tmp_path / folder / "p00.png").rename(tmp_path / folder / f"{name}.png")
    for split, stem in (("train", name), ("val", "p02"), ("test", "p03")):
        (tmp_path / f"{split}.txt").write_text(f"/x y/images/{stem}.png   /x y/masks/{stem}.png\n", "utf-8")
    assert datasets.load(f"folder:{tmp_path}", "train").image_ids == (name,)
    (tmp_path / "train.txt").write_text(f"{name}\n", "utf-8")
    assert datasets.load(f"folder:{tmp_path}", "train").image_ids == (name,)


@pytest.mark.skipif(os.name == "nt", reason="no part of a name there")
@pytest.mark.parametrize("name", ["p\\00", "\\p00", "p00\\"])
def test_names_with_a_backslash_are_found_in_the_lists_that_were_drawn(tmp_path: Path, name: str) -> None:
    write_flat(tmp_path)
    for folder in ("images", "masks"):
        (tmp_path / folder / "p00.png").rename(tmp_path / folder / f"{name}.png")
    drawn = read_folder(tmp_path)
    again = read_folder(tmp_path)
    assert not again.problems and again.content_hash() == drawn.content_hash()


@pytest.mark.parametrize("name", ["p00 (1)", "p00 2", "p00 copy", "p00 p01"])
def test_a_name_that_begins_as_another_is_not_taken_for_it(tmp_path: Path, name: str) -> None:
    write_flat(tmp_path)
    for folder in ("images", "masks"):
        (tmp_path / folder / "p05.png").rename(tmp_path / folder / f"{name}.png")
    whole = f"folder:{tmp_path}"
    ids = [one for split in datasets.SPLITS for one in datasets.load(whole, split).image_ids]  # draws its own lists
    again = [one for split in datasets.SPLITS for one in datasets.load(whole, split).image_ids]
    assert ids == again and sorted(ids) == sorted(path.stem for path in (tmp_path / "images").iterdir())
    shutil.rmtree(tmp_path / "splits")
    for split, line in (("val", "p02"), ("test", "p03")):
        (tmp_path / f"{split}.txt").write_text(line)
    for line in (f"images/{name}.png masks/{name}.png", name):
        (tmp_path / "train.txt").write_text(line)
        found = datasets.load(whole, "train")
        assert found.image_ids == (name,)
        assert np.array_equal(found[0][0], picture(5)) and np.array_equal(found[0][1], label(5))


def test_a_list_names_what_is_not_there(tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "train.txt").write_text("ghost.png ghost.png\nimages/p00.png masks/ghost.png\np01\np01\n")
    found = problems(tmp_path)["lists"]
    assert [line.partition("train.txt: ")[2] for line in found] == [
        "lists ghost, but there is no such image (line 1)",
        "lists the label ghost, but there is no such label (line 2)",
        "lists p01 twice (line 4)",
    ]


def write_towns(folder: Path) -> Path:
    """Images and labels of three towns, in folders of their own, whose numbers begin anew; lists of val and test."""
    for place, town in enumerate(("a", "b", "c")):
        for number in range(2):
            save(folder / "images" / town / f"000{number}.png", picture(2 * place + number))
            save(folder / "masks" / town / f"000{number}.png", label(2 * place + number))
    for split, line in (("val", "c/0000.png"), ("test", "c/0001")):
        (folder / f"{split}.txt").write_text(line)
    return folder


@pytest.mark.parametrize(
    "line", ["b/0001.png", "b/0001", "images/b/0001.jpg", "D:\\x\\images\\b\\0001.png", "../images/b/0001.png"]
)
def test_a_line_means_the_file_in_the_folder_that_it_names(tmp_path: Path, line: str) -> None:
    write_towns(tmp_path)
    for text in (line, f"{line} /old/place/masks/a/0000.png"):
        (tmp_path / "train.txt").write_text(text)
        image, classes = datasets.load(f"folder:{tmp_path}", "train")[0]
        assert np.array_equal(image, picture(3)) and np.array_equal(classes, label(3 if text == line else 0))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("d/0000.png", "lists d/0000.png, but there is no such file, only {0}/images/a/0000.png: correct the folder"),
        ("x/images/d/0001", "lists x/images/d/0001, but there is no such file, only {0}/images/a/0001.png"),
        ("photos/b/0001.png", "lists photos/b/0001.png, but there is no such file, only"),
        ("b/0001.png masks/d/0001.png", "lists masks/d/0001.png, but there is no such file, only {0}/masks/a/0001.png"),
        ("0001", "lists 0001, but {0}/images/a/0001.png and {0}/images/b/0001.png both have that name: write the"),
        ("b/0001.png 0001.png", "lists 0001.png, but {0}/masks/a/0001.png and {0}/masks/b/0001.png both have that"),
    ],
)
def test_a_line_whose_folder_is_not_there_or_not_said_is_refused(tmp_path: Path, line: str, says: str) -> None:
    (write_towns(tmp_path) / "train.txt").write_text(f"a/0000\n{line}\n")
    (found,) = problems(tmp_path)["lists"]
    assert says.format(tmp_path) in found and found.endswith("(line 2)")


def test_a_name_alone_means_the_file_right_in_the_folder(tmp_path: Path) -> None:
    write_towns(tmp_path)
    save(tmp_path / "images" / "0001.png", picture(20))
    save(tmp_path / "masks" / "0001.png", label(20))
    for line in ("0001", "images/0001.png masks/0001.png"):
        (tmp_path / "train.txt").write_text(line)
        assert np.array_equal(datasets.load(f"folder:{tmp_path}", "train")[0][0], picture(20))


@pytest.mark.parametrize("layout", ["segnet", "ultralytics", "by split"])
def test_a_drawn_list_of_a_split_that_has_a_folder_now_is_named(tmp_path: Path, layout: str) -> None:
    image, mask = LAYOUTS[layout]
    for split, count in (("train", 10), ("val", 2)):
        for number in range(count):
            words = {"split": split, "name": f"{number:03d}"}
            save(tmp_path / image.format(**words), picture(number + 50 * (split == "val")))
            save(tmp_path / mask.format(**words), label(number))
    drawn = read_folder(tmp_path)
    assert not drawn.problems and read_folder(tmp_path).content_hash() == drawn.content_hash()
    for number in range(10):
        words = {"split": "test", "name": f"{number:03d}"}
        save(tmp_path / image.format(**words), picture(100 + number))
        save(tmp_path / mask.format(**words), label(100 + number))
    found = read_folder(tmp_path)
    (line,) = found.problems["lists"]
    assert "splits/test.txt: names files of" in line and "remove the list, or that folder" in line
    assert [*found.problems] == ["lists"]
    (tmp_path / "splits" / "test.txt").unlink()
    assert len(datasets.load(f"folder:{tmp_path}", "test")) == 10
    assert len(datasets.load(f"folder:{tmp_path}", "train")) == 8  # still without those that were held out


def test_names_in_another_unicode_form_are_paired_and_never_taken_for_each_other(tmp_path: Path) -> None:
    write_flat(tmp_path)
    composed, split_up = "caf\u00e9", "cafe\u0301"
    (tmp_path / "images" / "p00.png").rename(tmp_path / "images" / f"{composed}.png")
    (tmp_path / "masks" / "p00.png").rename(tmp_path / "masks" / f"{split_up}.png")
    assert not problems(tmp_path)
    save(tmp_path / "images" / f"{split_up}.png", picture(50))
    assert "the same text in another Unicode form" in problems(tmp_path)["names"][0]


def test_one_image_in_two_splits_is_found_by_its_content(tmp_path: Path) -> None:
    write_splits(tmp_path, *BY_SPLIT)
    shutil.copy(tmp_path / "train/images/train1.png", tmp_path / "test/images/test0.png")
    (line,) = problems(tmp_path)["splits"]
    assert "test0.png (in test) is the same picture as" in line and "train1.png (in train)" in line


def test_two_files_of_one_name_in_two_folders_keep_apart(tmp_path: Path) -> None:
    for number, town in enumerate(("ulm", "bonn", "kiel")):
        save(tmp_path / "images" / town / "one.png", picture(number))
        save(tmp_path / "masks" / town / "one.png", label(number))
    found = read_folder(tmp_path)
    assert not found.problems
    train = datasets.load(f"folder:{tmp_path}", "train")
    assert len(train) == 1 and all("/" not in name for name in train.image_ids)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a" * 150, "a" * 150),
        ("a" * 151, "a" * 120 + "-5416d58d"),
        ("ж" * 113, "ж" * 113),
        ("a" + "ж" * 119, "a" + "ж" * 59 + "-44dc113b"),
    ],
)
def test_ids_of_long_names_fit_into_names_of_files(tmp_path: Path, name: str, expected: str) -> None:
    write_flat(tmp_path)
    for folder in ("images", "masks"):
        (tmp_path / folder / "p00.png").rename(tmp_path / folder / f"{name}.png")
    for _ in range(2):  # drawn, and by the lists then
        ids = [one for split in datasets.SPLITS for one in datasets.load(f"folder:{tmp_path}", split).image_ids]
        assert expected in ids
        assert all(len(f".prediction-{one}.png.4194304.tmp".encode()) <= 255 for one in ids)
