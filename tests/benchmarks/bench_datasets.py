"""What reading costs: a picture out of the cache against decoding its files, and drawing one road scene."""

from itertools import count
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import datasets
from datasets.cache import CachedSplit, open_split, reduce_area

QUICK_SIZE = (120, 160)


@pytest.fixture(scope="module")
def camvid(shared: Path) -> datasets.Dataset:
    """The validation split of the real CamVid."""
    return datasets.load("camvid", "val", shared / "data")


@pytest.fixture(scope="module")
def cached(camvid: datasets.Dataset, tmp_path_factory: pytest.TempPathFactory) -> CachedSplit:
    """The same split in a cache at full size."""
    return open_split(camvid, None, tmp_path_factory.mktemp("cache"))


def test_decode_a_pair(benchmark: BenchmarkFixture, camvid: datasets.Dataset) -> None:
    number = count()
    image, label = benchmark(lambda: camvid[next(number) % len(camvid)])
    assert image.shape[:2] == label.shape == (360, 480)


def test_read_a_pair_from_the_cache(benchmark: BenchmarkFixture, camvid: datasets.Dataset, cached: CachedSplit) -> None:
    number = count()

    def read() -> tuple[np.ndarray, np.ndarray]:
        index = next(number) % len(cached)
        return np.array(cached.images[index]), np.array(cached.labels[index])

    benchmark(read)
    assert np.array_equal(cached.images[5], camvid[5][0])


def test_open_and_verify_an_entry(benchmark: BenchmarkFixture, camvid: datasets.Dataset, tmp_path: Path) -> None:
    open_split(camvid, QUICK_SIZE, tmp_path)
    found = benchmark(open_split, camvid, QUICK_SIZE, tmp_path)
    assert found.images.shape == (101, *QUICK_SIZE, 3)


def test_reduce_an_image(benchmark: BenchmarkFixture, camvid: datasets.Dataset) -> None:
    image = camvid[0][0]
    assert benchmark(reduce_area, image, QUICK_SIZE).shape == (*QUICK_SIZE, 3)


def test_hash_camvid(benchmark: BenchmarkFixture, shared: Path) -> None:
    found = benchmark(datasets.content_hash, "camvid", shared / "data")
    assert found[0] == "camvid"


def test_draw_a_road_scene(benchmark: BenchmarkFixture) -> None:
    roads = datasets.load("roads", "train")
    number = count()
    image, label = benchmark(lambda: roads[next(number) % len(roads)])
    assert image.shape[:2] == label.shape == (180, 240)
