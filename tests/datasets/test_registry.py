"""The public functions, over all datasets."""

import pickle
from pathlib import Path

import pytest

import datasets
from datasets import DatasetError


@pytest.mark.parametrize("name", datasets.names())
def test_info_is_complete(name: str) -> None:
    info = datasets.info(name)
    assert info.name == name
    classes = 11 if name in ("roads", "camvid") else 37
    assert info.num_classes == len(info.classes) == len(info.colors) == classes
    assert len(set(info.classes)) == len(set(info.colors)) == classes
    assert tuple(info.splits) == datasets.SPLITS
    assert all(count > 0 for count in info.splits.values())
    assert pickle.loads(pickle.dumps(info)) == info
    assert isinstance(hash(info), int)


@pytest.mark.parametrize(("one", "other"), [("roads", "camvid"), ("nyuv2", "sunrgbd")])
def test_classes_and_colors_are_shared(one: str, other: str) -> None:
    first, second = datasets.info(one), datasets.info(other)
    assert (first.classes, first.colors) == (second.classes, second.colors)
    assert first.synthetic == (one == "roads") and not second.synthetic


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(DatasetError, match="did you mean camvid"):
        datasets.info("canvid")
    with pytest.raises(DatasetError, match="roads, camvid"):
        datasets.load("imagenet", "train")


def test_a_folder_without_its_prefix_is_told_from_a_mistyped_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d" / "flat").mkdir(parents=True)
    (tmp_path / "CamVid").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"unknown dataset 'd/flat': did you mean folder:d/flat\?"):
        datasets.info("d/flat")
    with pytest.raises(DatasetError, match=r"did you mean camvid or folder:CamVid\?"):
        datasets.info("CamVid")


@pytest.mark.parametrize("name", datasets.names())
def test_unknown_split_is_named(name: str) -> None:
    with pytest.raises(DatasetError, match=r"no split 'training': use train, val, test"):
        datasets.load(name, "training", root=".")


def test_camvid_without_a_root_says_what_to_give() -> None:
    with pytest.raises(DatasetError, match="--data-root"):
        datasets.load("camvid", "train")
