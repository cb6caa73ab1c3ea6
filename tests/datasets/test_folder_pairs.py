"""Own data: which label belongs to which image, by names and by lists, and what is said of those that are wrong."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets.folder import read_folder
from tests.datasets.own_files import (
    BY_SPLIT,
    ids,
    label,
    picture,
    problems,
    refusal,
    rename_pair,
    save,
    write_flat,
    write_lists,
    write_splits,
)


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


def test_names_that_never_agree_are_one_line(tmp_path: Path) -> None:
    write_flat(tmp_path)
    for path in list((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(f"truth-{path.name}"))
    assert list(problems(tmp_path)) == ["pairs"]
    (line,) = problems(tmp_path)["pairs"]
    assert "no image has the name of a label, such as p00.png and truth-p00.png" in line
    lists = {"train": (0, 1), "val": (2,), "test": (3,)}
    write_lists(tmp_path, **{name: "\n".join(f"p0{n}.png truth-p0{n}.png" for n in of) for name, of in lists.items()})
    assert not problems(tmp_path)


def test_too_few_pairs_to_draw_from_are_looked_at(tmp_path: Path) -> None:
    write_flat(tmp_path, count=2)
    (tmp_path / "dataset.toml").write_text('classes = ["sky", "road"]')
    found = read_folder(tmp_path)
    assert [len(found.problems[kind]) for kind in ("splits", "labels")] == [1, 2]
    assert len(found.pairs["train"]) == 2


def test_a_folder_that_is_told_and_not_there(tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "dataset.toml").write_text('images = "pix"\nlabels = "masks"')
    assert problems(tmp_path) == {
        "folders": (f"{tmp_path / 'pix'}: no such folder: correct its name in dataset.toml, or make it",)
    }


@pytest.mark.parametrize("end", ["_mask", "_L", "_P", "_gtFine_labelIds"])
def test_ends_of_label_names(tmp_path: Path, end: str) -> None:
    write_flat(tmp_path)
    for path in list((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(f"{path.stem}{end}.png"))
    assert not problems(tmp_path)


def test_an_end_that_images_have_too_stays(tmp_path: Path) -> None:
    write_flat(tmp_path)
    rename_pair(tmp_path, "p01", "p00_L")
    assert not problems(tmp_path)


def test_lists_pair_as_they_say(tmp_path: Path) -> None:
    write_flat(tmp_path)
    write_lists(tmp_path, train="images/p00.png masks/p05.png\nimages/p01.png masks/p01.png", val="p02", test="p03.png")
    train = datasets.load(f"folder:{tmp_path}", "train")
    assert np.array_equal(train[0][0], picture(0)) and np.array_equal(train[0][1], label(5))


@pytest.mark.parametrize("name", ["two  blanks", "a.b.c", " ä comma, here", "10.5 m"])
def test_odd_names_in_lists(tmp_path: Path, name: str) -> None:
    write_flat(tmp_path)
    rename_pair(tmp_path, "p00", name)
    line = "/x y/images/{0}.png   /x y/masks/{0}.png\n"
    write_lists(tmp_path, train=line.format(name), val=line.format("p02"), test=line.format("p03"))
    assert datasets.load(f"folder:{tmp_path}", "train").image_ids == (name,)
    (tmp_path / "train.txt").write_text(f"{name}\n", "utf-8")
    assert datasets.load(f"folder:{tmp_path}", "train").image_ids == (name,)


@pytest.mark.skipif(os.name == "nt", reason="no part of a name there")
@pytest.mark.parametrize("name", ["p\\00", "\\p00", "p00\\"])
def test_names_with_a_backslash_are_found_in_the_lists_that_were_drawn(tmp_path: Path, name: str) -> None:
    write_flat(tmp_path)
    rename_pair(tmp_path, "p00", name)
    drawn = read_folder(tmp_path)
    again = read_folder(tmp_path)
    assert not again.problems and again.content_hash() == drawn.content_hash()


@pytest.mark.parametrize("name", ["p00 (1)", "p00 2", "p00 copy", "p00 p01"])
def test_a_name_that_begins_as_another_is_not_taken_for_it(tmp_path: Path, name: str) -> None:
    write_flat(tmp_path)
    rename_pair(tmp_path, "p05", name)
    drawn = ids(tmp_path)  # draws its own lists
    assert drawn == ids(tmp_path)
    assert sorted(sum(drawn.values(), ())) == sorted(path.stem for path in (tmp_path / "images").iterdir())
    shutil.rmtree(tmp_path / "splits")
    write_lists(tmp_path, val="p02", test="p03")
    for line in (f"images/{name}.png masks/{name}.png", name):
        (tmp_path / "train.txt").write_text(line)
        found = datasets.load(f"folder:{tmp_path}", "train")
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
    write_lists(folder, val="c/0000.png", test="c/0001")
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
    rename_pair(tmp_path, "p00", name)
    for _ in range(2):  # drawn, and by the lists then
        found = sum(ids(tmp_path).values(), ())
        assert expected in found
        assert all(len(f".prediction-{one}.png.4194304.tmp".encode()) <= 255 for one in found)
