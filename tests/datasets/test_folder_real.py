"""CamVid and NYU Depth v2 given as own data, in the layouts that people have: the pictures of the built-in datasets."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import SPLITS

A_SPLIT = 5  # images
CAMVID = datasets.info("camvid")
NAMES = f"classes = {json.dumps(CAMVID.classes)}\n"


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.symlink(source, target)


def some_of(camvid: Path) -> list[tuple[str, str, Path, Path]]:
    """(split, name, image, label), their void being 11."""
    return [
        (split, path.stem, path, camvid / f"{split}annot" / path.name)
        for split in SPLITS
        for path in sorted((camvid / split).iterdir())[:: 40 // A_SPLIT][:A_SPLIT]
    ]


def segnet(camvid: Path, to: Path) -> None:
    for split, name, image, label in some_of(camvid):
        link(image, to / split / f"{name}.png")
        link(label, to / f"{split}annot" / f"{name}.png")
    (to / "dataset.toml").write_text(NAMES + "ignore = 11\n")


def voc(camvid: Path, to: Path) -> None:
    colors = np.array([*CAMVID.colors, (0, 0, 0)], np.uint8)
    for split, name, image, label in some_of(camvid):
        link(image, to / "JPEGImages" / f"{name}.png")
        (to / "SegmentationClass").mkdir(exist_ok=True)
        Image.fromarray(colors[np.asarray(Image.open(label))]).save(to / "SegmentationClass" / f"{name}.png")
        lists = to / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True, exist_ok=True)
        with (lists / f"{split}.txt").open("a") as listing:
            listing.write(f"{name}\n")
    table = [f"{name}:{','.join(map(str, color))}::" for name, color in zip(CAMVID.classes, CAMVID.colors, strict=True)]
    (to / "labelmap.txt").write_text("\n".join([*table, "void:0,0,0::"]))


def smp(camvid: Path, to: Path) -> None:
    for split, name, image, label in some_of(camvid):
        link(image, to / split / f"{name}.png")
        link(label, to / f"{split}annot" / f"{name}.png")
        with (to / f"{split}.txt").open("a") as listing:  # with the path that it has on its authors' machine
            listing.write(f"/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png\n")
    (to / "dataset.toml").write_text(NAMES + "ignore = 11\n")


def cityscapes(camvid: Path, to: Path) -> None:
    for split, name, image, label in some_of(camvid):
        town = name.partition("_")[0]
        link(image, to / "leftImg8bit" / split / town / f"{name}_leftImg8bit.png")
        link(label, to / "gtFine" / split / town / f"{name}_gtFine_labelTrainIds.png")
    (to / "dataset.toml").write_text(NAMES + "ignore = [11, 255]\n")


def ultralytics(camvid: Path, to: Path) -> None:
    for split, name, image, label in some_of(camvid):
        link(image, to / "images" / split / f"{name}.png")
        link(label, to / "masks" / split / f"{name}.png")
    places = "".join(f"{split}: images/{split}\n" for split in SPLITS)
    names = json.dumps(dict(enumerate(CAMVID.classes)))
    (to / "data.yaml").write_text(f"path: .\n{places}names: {names}\nlabel_mapping: {{11: 255}}\n")


def flat(camvid: Path, to: Path) -> None:
    for _, name, image, label in some_of(camvid):
        link(image, to / "images" / f"{name}.png")
        link(label, to / "masks" / f"{name}.png")
    (to / "dataset.toml").write_text(NAMES + "ignore = 11\n")


@pytest.mark.parametrize("layout", [segnet, voc, smp, cityscapes, ultralytics, flat])
def test_camvid_as_own_data(layout: Callable[[Path, Path], None], camvid_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    layout(camvid_root / "CamVid", folder)
    expected, splits = {}, {}
    for split in SPLITS:
        built_in = datasets.load("camvid", split, camvid_root)
        for index, stem in enumerate(built_in.image_ids):
            splits[stem] = split
            expected[stem] = built_in, index
    seen = 0
    for split in SPLITS:
        own = datasets.load(f"folder:{folder}", split)
        assert own.info.classes == CAMVID.classes
        for name, (image, label) in zip(own.image_ids, own, strict=True):
            stem = Path(name).name.removesuffix("_leftImg8bit")
            built_in, index = expected[stem]
            assert layout is flat or splits[stem] == split  # that one's splits are drawn
            assert np.array_equal(image, built_in[index][0]) and np.array_equal(label, built_in[index][1])
            seen += 1
    assert seen == 3 * A_SPLIT


def test_nyuv2_as_it_lies(shared: Path, tmp_path: Path) -> None:
    root, folder = shared / "data" / "NYUv2", tmp_path / "own"
    if not root.is_dir():
        pytest.skip("no NYUv2")
    for split in ("train", "test"):
        for path in sorted((root / split / "images").iterdir())[:12]:
            link(path, folder / split / "images" / path.name)
            link(root / split / "labels37" / f"{path.stem}.png", folder / split / "labels37" / f"{path.stem}.png")
    names = json.dumps(datasets.info("nyuv2").classes)
    (folder / "dataset.toml").write_text(f'classes = {names}\nzero = "ignore"\n')
    expected = {}
    for split in SPLITS:
        built_in = datasets.load("nyuv2", split, root)
        expected |= {stem: (built_in, index) for index, stem in enumerate(built_in.image_ids)}
    for split in SPLITS:  # val is held out of train
        own = datasets.load(f"folder:{folder}", split)
        for name, (image, label) in zip(own.image_ids, own, strict=True):
            built_in, index = expected[Path(name).name]
            assert np.array_equal(image, built_in[index][0]) and np.array_equal(label, built_in[index][1])
