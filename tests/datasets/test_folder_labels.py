"""Own data: labels and identity, and what is said of labels that are wrong."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import VOID, DatasetError
from datasets.folder import read_folder
from tests.datasets.own_files import (
    BY_SPLIT,
    CLASSES,
    SIZE,
    class_of,
    label,
    picture,
    problems,
    refusal,
    save,
    write_flat,
    write_splits,
)


def one_label(tmp_path: Path, file: Image.Image, toml: str = CLASSES) -> list[int]:
    """The first row that a label file is read as."""
    write_splits(tmp_path, *BY_SPLIT)
    file.save(tmp_path / "train/masks/train0.png")
    save(tmp_path / "train/images/train0.png", picture(77, (file.height, file.width)))
    (tmp_path / "dataset.toml").write_text(toml)
    return class_of(tmp_path)[0]


ROW = np.array([[0, 1, 2, 255]])


@pytest.mark.parametrize("kind", ["L", "P", "I;16", "RGB", "1"])
def test_modes_of_labels(tmp_path: Path, kind: str) -> None:
    file = Image.fromarray(ROW.astype(np.uint8))
    expected = [0, 1, 2, VOID]
    if kind == "P":
        file.putpalette([9, 9, 9] * 256)
        assert file.mode == "P"
    elif kind == "I;16":
        file = Image.fromarray(ROW.astype(np.uint16))
    elif kind == "RGB":
        file = file.convert("RGB")
    elif kind == "1":
        file, expected = Image.fromarray(np.array([[False, True]])), [0, 1]
    assert one_label(tmp_path, file) == expected


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (CLASSES, [0, 1, 2, VOID]),
        (CLASSES + "ignore = [1, 255]", [0, VOID, 2, VOID]),
        (CLASSES + "mapping = { 255 = 1 }", [0, 1, 2, 1]),
        (CLASSES + 'mapping = { 2 = 0, 1 = "ignore" }', [0, VOID, 0, VOID]),
        (CLASSES + 'ignore = "unmapped"\nmapping = { 2 = 0 }', [VOID, VOID, 0, VOID]),
        (CLASSES + 'zero = "ignore"', [VOID, 0, 1, VOID]),
    ],
)
def test_values_become_classes(tmp_path: Path, toml: str, expected: list[int]) -> None:
    assert one_label(tmp_path, Image.fromarray(ROW.astype(np.uint8)), toml) == expected


def test_values_beyond_the_classes_are_named_with_what_to_write(tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "dataset.toml").write_text('classes = ["sky", "road"]')
    found = problems(tmp_path)["labels"]
    assert len(found) == 10
    assert (
        "p00.png: label value 2 (48 pixels), but classes are 0 to 1: name it in classes, or write mapping" in found[0]
    )


def test_masks_of_0_and_255_say_both_lines(tmp_path: Path) -> None:
    write_flat(tmp_path, values=(0, 255))
    for toml in ("", 'classes = ["no", "yes"]'):
        (tmp_path / "dataset.toml").write_text(toml)
        message = refusal(tmp_path)
        assert "`mapping = { 255 = 1 }`" in message and "`ignore = 255`" in message
    (tmp_path / "dataset.toml").write_text('classes = ["no", "yes"]\nmapping = { 255 = 1 }')
    assert set(np.unique(class_of(tmp_path))) == {0, 1}


def test_gray_levels_taken_for_classes_are_refused(tmp_path: Path) -> None:
    assert "`mapping = { 0 = 0, 38 = 1, 75 = 2 }`" in refusal(write_flat(tmp_path, values=(0, 38, 75)))


def test_a_stray_value_is_named_with_its_label(tmp_path: Path) -> None:
    write_flat(tmp_path, values=(0, 1, 2))
    mask = label(4, values=(0, 1, 2))
    mask[0, 0] = 77
    save(tmp_path / "masks" / "p04.png", mask)
    (line,) = problems(tmp_path)["labels"]
    assert "masks/p04.png: label value 77, which is in 1 of 10 labels" in line and "are 0 to 2" in line
    for toml, classes in (("ignore = [77, 255]", 3), ("mapping = { 77 = 3 }", 4)):
        assert f"`{toml}`" in line
        (tmp_path / "dataset.toml").write_text(toml)
        found = read_folder(tmp_path)
        assert not found.problems and found.info.num_classes == classes


def test_masks_of_0_and_255_that_were_scaled_are_told_from_classes(tmp_path: Path) -> None:
    write_flat(tmp_path, values=(0, 255))
    mask = label(4, values=(0, 255))
    mask[0, :3] = 1, 128, 254
    save(tmp_path / "masks" / "p04.png", mask)
    (line,) = problems(tmp_path)["labels"]
    assert "254 is in 1 of 10 labels, first in " in line and "p04.png: scaled with interpolation" in line
    assert "`mapping = { 255 = 1 }`" in line and "`ignore = 255`" in line


def test_more_values_than_classes_may_be_are_told_with_a_label(tmp_path: Path) -> None:
    write_flat(tmp_path)
    save(tmp_path / "images" / "p04.png", picture(4, (16, 17)))
    save(tmp_path / "masks" / "p04.png", np.arange(16 * 17).reshape(16, 17).astype(np.uint16))
    (line,) = problems(tmp_path)["labels"]
    assert (
        "255 classes" in line and "271 is in 1 of 10 labels, first in" in line and "scaling with interpolation" in line
    )


def test_cityscapes_own_numbers_are_refused_with_the_lines_to_write(tmp_path: Path) -> None:
    write_flat(tmp_path, values=(0, 7, 8, 33))
    for path in list((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(f"{path.stem}_gtFine_labelIds.png"))
    (line,) = problems(tmp_path)["labels"]
    assert "of which 19 are classes" in line and "31 = 16, 32 = 17, 33 = 18 }" in line
    lines = re.search(r'(ignore = "unmapped") and (mapping = \{.*\});', line)
    assert lines is not None
    (tmp_path / "dataset.toml").write_text("\n".join(lines.groups()))
    assert not problems(tmp_path)
    assert set(np.unique(class_of(tmp_path))) == {0, 1, 18, VOID}


@pytest.mark.parametrize(
    ("toml", "noted"),
    [("", True), (CLASSES, False), ('zero = "ignore"', False), ("ignore = [2, 255]", False)],
)
def test_unnamed_classes_are_noted_with_the_lines_for_void(tmp_path: Path, toml: str, noted: bool) -> None:
    write_flat(tmp_path)
    (tmp_path / "dataset.toml").write_text(toml)
    said = [note for note in read_folder(tmp_path).notes if "no classes are named" in note]
    assert bool(said) == noted
    assert not said or ('`zero = "ignore"`' in said[0] and "`ignore = [2, 255]`" in said[0])


def test_a_mapping_beyond_the_classes_is_told_once(tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "dataset.toml").write_text(CLASSES + "mapping = { 2 = 5 }")
    assert "dataset.toml: mapping: 2 = 5, but there are 3 classes, 0 to 2" in refusal(tmp_path)


def test_a_value_between_classes_is_no_class_beside_a_mapping(tmp_path: Path) -> None:
    write_flat(tmp_path)
    for number in range(10):
        mask = np.where(label(number, values=(0, 1)) == 0, 0, 255).astype(np.uint8)
        mask[0, 0] = 37 if number == 3 else mask[0, 0]
        save(tmp_path / "masks" / f"p{number:02d}.png", mask)
    (tmp_path / "dataset.toml").write_text("mapping = { 255 = 1 }\nignore = []\n")
    (line,) = problems(tmp_path)["labels"]
    assert "p03.png: label value 37 (1 pixels), but classes are 0 to 1" in line


def test_colors_are_numbered_as_the_classes_are_named(tmp_path: Path) -> None:
    colors = np.array([(0, 0, 0), (255, 0, 0)], np.uint8)
    write_flat(tmp_path)
    for number in range(10):
        save(tmp_path / "masks" / f"p{number:02d}.png", colors[label(number, values=(0, 1))])
    table = "[label_colors]\nbackground = [0, 0, 0]\nCat = [255, 0, 0]\n"
    (tmp_path / "dataset.toml").write_text('classes = ["cat", "background"]\n' + table)
    found = datasets.load(f"folder:{tmp_path}", "train")
    assert found.info.classes == ("cat", "background") and found.info.colors == ((255, 0, 0), (0, 0, 0))
    number = int(found.image_ids[0][1:])
    assert np.array_equal(found[0][1], 1 - label(number, values=(0, 1)))
    (tmp_path / "dataset.toml").write_text('classes = ["dog", "background"]\n' + table)
    assert "are not those of the classes" in refusal(tmp_path)
    (tmp_path / "dataset.toml").write_text('zero = "ignore"\n' + table)
    assert "zero is of labels that hold numbers" in refusal(tmp_path)


def test_a_palette_that_contradicts_the_table_of_colors_is_refused(tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\ncat:255,0,0::\n")
    for swapped in (False, True):
        for number in range(10):
            image = Image.fromarray(label(number, values=(0, 1)), mode="P")
            image.putpalette([255, 0, 0, 0, 0, 0] if swapped else [0, 0, 0, 255, 0, 0])
            image.save(tmp_path / "masks" / f"p{number:02d}.png")
        if not swapped:
            assert datasets.load(f"folder:{tmp_path}", "train").info.classes == ("background", "cat")
    said = refusal(tmp_path)
    assert (
        "index 0 has the color (255, 0, 0) in the palette" in said and "is cat, where the index says background" in said
    )


def test_a_label_of_very_many_values_is_refused(tmp_path: Path) -> None:
    write_flat(tmp_path)
    depths = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
    save(tmp_path / "images" / "p00.png", np.zeros((40, 60, 3), np.uint8))
    Image.fromarray(depths).save(tmp_path / "masks" / "p00.png")
    assert any("holds 2,400 values" in line for line in problems(tmp_path)["files"])


def test_an_image_that_was_taken_for_a_label_and_back(tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "dataset.toml").write_text(CLASSES + 'images = "masks"\nlabels = "images"\n')
    assert read_folder(tmp_path).problems
    (tmp_path / "dataset.toml").write_text(CLASSES)
    assert not read_folder(tmp_path).problems


def test_jpeg_labels_and_labels_with_alpha_are_refused(tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "masks" / "p00.png").unlink()
    Image.fromarray(label(0)).save(tmp_path / "masks" / "p00.jpg")
    Image.fromarray(label(1)).convert("RGBA").save(tmp_path / "masks" / "p01.png")
    found = "\n".join(problems(tmp_path)["files"])
    assert "p00.jpg: a label as JPEG" in found and "p01.png: the label is RGBA" in found


def test_colors_without_a_table_are_refused_with_what_to_write(tmp_path: Path) -> None:
    write_flat(tmp_path)
    save(tmp_path / "masks" / "p00.png", picture(0))
    assert "label_colors = { name = [r, g, b] }" in refusal(tmp_path)


def test_polygons_are_named(tmp_path: Path) -> None:
    save(tmp_path / "images" / "train" / "a.png", picture(0))
    path = tmp_path / "labels" / "train" / "a.txt"
    path.parent.mkdir(parents=True)
    path.write_text("0 0.1 0.1 0.2 0.2 0.3 0.1")
    assert "polygons" in refusal(tmp_path)


@pytest.mark.parametrize(("way", "shape"), [("apply", (16, 12)), ("stored", (12, 16))])
def test_turned_pictures(tmp_path: Path, way: str, shape: tuple[int, int]) -> None:
    write_flat(tmp_path, count=3, sizes=[shape])
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(3):
        Image.fromarray(picture(number, SIZE)).save(tmp_path / "images" / f"p{number:02d}.png", exif=exif)
    found = problems(tmp_path)["turned"]
    assert len(found) == 3 and 'orientation = "apply"' in found[0] and 'orientation = "stored"' in found[0]
    (tmp_path / "dataset.toml").write_text(f'{CLASSES}orientation = "{way}"')
    image, _ = datasets.load(f"folder:{tmp_path}", "train")[0]
    assert image.shape[:2] == shape


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_images_of_other_modes_are_read_as_rgb(tmp_path: Path, mode: str) -> None:
    write_flat(tmp_path, count=3)
    for number in range(3):
        (tmp_path / "images" / f"p{number:02d}.png").unlink()
        kind = "jpg" if mode == "CMYK" else "png"
        Image.fromarray(picture(number)).convert(mode).save(tmp_path / "images" / f"p{number:02d}.{kind}")
    assert datasets.load(f"folder:{tmp_path}", "train")[0][0].shape == (*SIZE, 3)


# -- the whole ----------------------------------------------------------------------------------------------


def test_description(tmp_path: Path) -> None:
    write_flat(tmp_path / "My Pets!", count=3, sizes=[(720, 960), (720, 960), (36, 48)])
    info = datasets.info(f"folder:{tmp_path / 'My Pets!'}")
    assert info.name == "folder-my-pets" and info.title == "My Pets!" and info.own and not info.synthetic
    assert info.classes == ("class 0", "class 1", "class 2")
    assert info.size == (360, 480)  # the median, reduced
    assert dict(info.splits) == {"train": 1, "val": 1, "test": 1}
    assert datasets.resolve(f"folder:{tmp_path / 'My Pets!'}") == ("folder-my-pets", str(tmp_path / "My Pets!"))
    assert datasets.load("folder-my-pets", "val", tmp_path / "My Pets!").info == info


def test_names_of_other_scripts_are_told_apart(tmp_path: Path) -> None:
    found = [datasets.info(f"folder:{write_flat(tmp_path / name, count=3)}") for name in ("猫", "犬", "猫 1", "犬 1")]
    assert [info.title for info in found] == ["猫", "犬", "猫 1", "犬 1"]
    assert len({info.name for info in found}) == 4
    assert all(re.fullmatch(r"folder-(data|1)-[0-9a-f]{6}", info.name) for info in found)


def test_254_classes(tmp_path: Path) -> None:
    write_flat(tmp_path, count=3, values=tuple(range(254)), sizes=[(20, 20)])
    info = datasets.info(f"folder:{tmp_path}")
    assert info.num_classes == len(set(info.colors)) == 254 and (0, 0, 0) not in info.colors


def test_identity_follows_content_order_and_reading_and_not_the_place(tmp_path: Path) -> None:
    folder = write_flat(tmp_path / "one")
    (folder / "dataset.toml").write_text('name = "x"\n' + CLASSES)
    first = datasets.content_hash(f"folder:{folder}")
    shutil.copytree(folder, tmp_path / "two")
    assert datasets.content_hash(f"folder:{tmp_path / 'two'}") == first
    seen = {first[1]}
    (folder / "dataset.toml").write_text('name = "x"\nmapping = { 2 = 1 }\n' + CLASSES)
    seen.add(datasets.content_hash(f"folder:{folder}")[1])
    lines = (folder / "splits" / "train.txt").read_text().splitlines()
    (folder / "splits" / "train.txt").write_text("\n".join(reversed(lines)))
    seen.add(datasets.content_hash(f"folder:{folder}")[1])
    save(folder / "masks" / "p00.png", label(0)[::-1])
    seen.add(datasets.content_hash(f"folder:{folder}")[1])
    assert len(seen) == 4


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_flat(tmp_path / "data")
    assert len(datasets.load("folder:~/data", "train")) == 6
    with pytest.raises(DatasetError, match=str(tmp_path)):
        datasets.load("camvid", "train", "~/nothing")


def test_an_index_that_is_damaged_or_out_of_date_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = write_flat(tmp_path / "data")
    first = datasets.content_hash(f"folder:{folder}")
    (index,) = (tmp_path / "cache").rglob("*.json")
    for damage in (b"", b"[]", b'{"format": 1, "files": {"x": 3}}', index.read_bytes().replace(b"[", b"{")):
        index.write_bytes(damage)
        assert datasets.content_hash(f"folder:{folder}") == first
    save(folder / "masks" / "p00.png", label(50))
    assert datasets.content_hash(f"folder:{folder}") != first
