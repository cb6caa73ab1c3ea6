"""The public functions, over all datasets."""

import pickle

import pytest

import datasets
from datasets import DatasetError


def test_names() -> None:
    assert datasets.names() == ["roads", "camvid", "sunrgbd", "nyuv2"]


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


def test_roads_and_camvid_share_classes_and_colors() -> None:
    roads, camvid = datasets.info("roads"), datasets.info("camvid")
    assert roads.classes == camvid.classes
    assert roads.colors == camvid.colors
    assert roads.synthetic
    assert not camvid.synthetic


def test_nyuv2_and_sunrgbd_share_classes_and_colors() -> None:
    nyu, sun = datasets.info("nyuv2"), datasets.info("sunrgbd")
    assert nyu.classes == sun.classes
    assert nyu.colors == sun.colors
    assert not nyu.synthetic
    assert not sun.synthetic


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(DatasetError, match="did you mean camvid"):
        datasets.info("canvid")
    with pytest.raises(DatasetError, match="roads, camvid"):
        datasets.load("imagenet", "train")


@pytest.mark.parametrize("name", datasets.names())
def test_unknown_split_is_named(name: str) -> None:
    with pytest.raises(DatasetError, match=r"no split 'training': use train, val, test"):
        datasets.load(name, "training", root=".")


def test_camvid_without_a_root_says_what_to_give() -> None:
    with pytest.raises(DatasetError, match="--data-root"):
        datasets.load("camvid", "train")
