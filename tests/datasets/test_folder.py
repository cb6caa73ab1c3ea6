"""Own data: layouts and splits, and what is said of those that are wrong."""

import os
import shutil
import subprocess
import sys
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
    ids,
    label,
    picture,
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
    "without regard to case": ("Images/{split}/{name}.png", "MASKS/{split}/{name}.png"),
    "coco": ("images/{split}2017/{name}.png", "annotations/{split}2017/{name}.png"),
    "joined": ("{split}_images/{name}.png", "{split}_masks/{name}.png"),
    "joined the other way": ("images-{split}/{name}.png", "labels-{split}/{name}.png"),
}


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


@pytest.mark.parametrize("name", ["dev", "Valid", "val2017"])
def test_other_names_of_val(tmp_path: Path, name: str) -> None:
    write_splits(tmp_path, "images/{split}/{name}.png", "masks/{split}/{name}.png")
    for folder in ("images", "masks"):
        (tmp_path / folder / "val").rename(tmp_path / folder / name)
    assert ids(tmp_path)["val"] == ("val0", "val1")
    assert not (tmp_path / "splits").exists()


def test_lists_may_bear_a_year(tmp_path: Path) -> None:
    write_flat(tmp_path)
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, names in (("train", "p00\np01"), ("val", "p02"), ("test", "p03")):
        (lists / f"{split}2017.txt").write_text(names)
    assert ids(tmp_path) == {"train": ("p00", "p01"), "val": ("p02",), "test": ("p03",)}


def test_two_folders_that_may_be_one_split_are_refused(tmp_path: Path) -> None:
    write_splits(tmp_path, "images/{split}2014/{name}.png", "masks/{split}2014/{name}.png")
    shutil.copytree(tmp_path / "images" / "val2014", tmp_path / "images" / "val2017")
    assert "images/val2014 and val2017: both may be val" in refusal(tmp_path)
    (tmp_path / "images" / "val2017").rename(tmp_path / "images" / "val")
    found = read_folder(tmp_path)
    assert {pair.image.parent.name for pair in found.pairs["val"]} == {"val"}  # the plain name counts
    assert any("images/val2014: is no split" in note for note in found.notes)


@pytest.mark.parametrize(("layout", "labels"), [("ultralytics", "masks/test"), ("segnet", "testannot")])
def test_a_split_without_labels_is_named_and_drawn(tmp_path: Path, layout: str, labels: str) -> None:
    write_splits(tmp_path, *LAYOUTS[layout], count=4)
    shutil.rmtree(tmp_path / labels)
    found = read_folder(tmp_path)
    assert (
        "there is no folder of labels for it: its pictures are not used" in found.notes[0] and "test" in found.notes[0]
    )
    assert {split: len(pairs) for split, pairs in found.pairs.items()} == {"train": 3, "val": 4, "test": 1}
    assert found.pairs["test"][0].stem.startswith("train")


def test_folders_and_lists_that_are_not_used_are_named(tmp_path: Path) -> None:
    write_splits(tmp_path, "images/{split}/{name}.png", "masks/{split}/{name}.png")
    shutil.copytree(tmp_path / "images" / "test", tmp_path / "images" / "holdout")
    assert any("images/holdout: is no split" in note for note in read_folder(tmp_path).notes)
    write_flat(tmp_path / "cvat")
    (tmp_path / "cvat" / "ImageSets").mkdir()
    (tmp_path / "cvat" / "ImageSets" / "default.txt").write_text("p00")
    assert any("default.txt: is no list of train" in note for note in read_folder(tmp_path / "cvat").notes)


def test_a_dataset_one_folder_deeper_is_named(tmp_path: Path) -> None:
    write_flat(tmp_path / "mine")
    assert f"write folder:{tmp_path / 'mine'}, which has some" in refusal(tmp_path)


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
    line = "label_colors: void = [200, 0, 1]" if name == "dataset.toml" else "void:200,0,1::"
    said = refusal(tmp_path)
    assert "p03.png: the color (200, 0, 1) (192 pixels" in said
    assert f"is in no line of {tmp_path / name}: add it there, `{line}`" in said


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


def test_own_names_hold_splits_in_any_of_their_spellings(tmp_path: Path) -> None:
    """As everywhere else: without regard to case, with a year; labels may spell it otherwise."""
    write_splits(tmp_path, "photo/cam_{split}_left/{name}.png", "truth/{split}/{name}.png")
    (tmp_path / "photo" / "cam_train_left").rename(tmp_path / "photo" / "cam_Train2017_left")
    (tmp_path / "photo" / "cam_other_left").mkdir()
    (tmp_path / "truth" / "val").rename(tmp_path / "truth" / "Validation")
    lines = 'images = "photo/cam_{split}_left"\nlabels = "truth/{split}"\n'
    (tmp_path / "dataset.toml").write_text(CLASSES + lines)
    assert ids(tmp_path) == {split: (f"{split}0", f"{split}1") for split in datasets.SPLITS}


def test_images_and_labels_side_by_side(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"a{number}.png", picture(number))
        save(tmp_path / f"a{number}_mask.png", label(number))
    assert sorted(sum(ids(tmp_path).values(), ())) == ["a0", "a1", "a2", "a3"]


def test_a_drawn_split_is_written_down_and_stays(tmp_path: Path) -> None:
    write_flat(tmp_path, count=20)
    first = ids(tmp_path)
    assert [len(first[split]) for split in datasets.SPLITS] == [14, 3, 3]
    assert sorted(sum(first.values(), ())) == [f"p{n:02d}" for n in range(20)]
    lines = (tmp_path / "splits" / "val.txt").read_text().splitlines()
    assert lines == [f"images/{name}.png masks/{name}.png" for name in first["val"]]
    save(tmp_path / "images" / "late.png", picture(99))
    save(tmp_path / "masks" / "late.png", label(99))
    assert ids(tmp_path) == first
    assert any("1 images with labels are in no list" in note for note in read_folder(tmp_path).notes)


def test_the_drawn_split_follows_from_the_names_alone(tmp_path: Path) -> None:
    one, other = (write_flat(tmp_path / name, count=9) for name in ("one", "other"))
    assert ids(one) == ids(other)


def test_three_images_are_enough_and_two_are_not(tmp_path: Path) -> None:
    write_flat(tmp_path / "three", count=3)
    assert [len(found) for found in ids(tmp_path / "three").values()] == [1, 1, 1]
    assert "must be 3 with labels at least" in refusal(write_flat(tmp_path / "two", count=2))


def test_a_missing_split_is_held_out_of_train(tmp_path: Path) -> None:
    write_splits(tmp_path, *BY_SPLIT, count=20)
    shutil.rmtree(tmp_path / "val")
    found = ids(tmp_path)
    assert [len(found[split]) for split in datasets.SPLITS] == [17, 3, 20]
    assert not set(found["train"]) & set(found["val"])
    assert ids(tmp_path) == found


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    write_flat(tmp_path).chmod(0o500)
    assert len(datasets.load(f"folder:{tmp_path}", "train")) == 6
    assert any("can't be written" in note for note in read_folder(tmp_path).notes)


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


@pytest.mark.slow
def test_the_largest_pictures_take_little_memory(tmp_path: Path) -> None:
    colors = np.zeros((6000, 6000, 3), np.uint8)
    colors[:3000, :, 0] = 255
    for number in range(10):
        colors[number, 0] = (0, 0, 0)
        for kind in ("images", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(colors).save(tmp_path / kind / f"{number}.png", compress_level=1)
    (tmp_path / "dataset.toml").write_text("label_colors = { a = [0, 0, 0], b = [255, 0, 0] }")
    code = (
        "import os, resource, sys; os.cpu_count = lambda: 64; from pathlib import Path; "
        "from datasets.folder import read_folder; found = read_folder(Path(sys.argv[1]), whole_images=True); "
        "print(len(found.problems), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    problems, kibibytes = map(int, done.stdout.split())
    # of 64 cores; each of four threads holds 0.4 GiB, and up to 0.3 more that the allocator has not given back
    assert problems == 0 and kibibytes < 3 * 2**20
