"""The cache: what it holds, that it is exact, and that damage, crashes and company do it no harm."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import datasets
from datasets import DatasetError
from datasets.cache import nearest_exact_indices, open_split, reduce_area

MakeCamVid = Callable[..., Path]


def mean_over_area(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Area averaging with exact fractions, straight from its definition."""

    def shares(full: int, reduced: int, cell: int) -> list[Fraction]:
        low, high = Fraction(cell * full, reduced), Fraction((cell + 1) * full, reduced)
        return [max(Fraction(0), min(high, Fraction(p + 1)) - max(low, Fraction(p))) for p in range(full)]

    full_height, full_width = image.shape[:2]
    out = np.zeros((height, width, 3), np.uint8)
    area = Fraction(full_height, height) * Fraction(full_width, width)
    for i in range(height):
        rows = shares(full_height, height, i)
        for j in range(width):
            columns = shares(full_width, width, j)
            for c in range(3):
                total = sum(
                    rows[y] * columns[x] * int(image[y, x, c])
                    for y in range(full_height)
                    if rows[y]
                    for x in range(full_width)
                    if columns[x]
                )
                out[i, j, c] = (total / area + Fraction(1, 2)).__floor__()
    return out


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_reduction_is_the_exact_mean_over_the_area(height: int, width: int, data: st.DataObject) -> None:
    small = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    seed = data.draw(st.integers(0, 1000))
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert np.array_equal(reduce_area(image, small), mean_over_area(image, *small))


def test_reduction_of_whole_factors_and_halves() -> None:
    image = np.array([[[0] * 3, [1] * 3], [[2] * 3, [3] * 3]], np.uint8)
    assert reduce_area(image, (1, 1)).tolist() == [[[2, 2, 2]]]  # 1.5 is rounded up
    assert reduce_area(image, (2, 1)).tolist() == [[[1, 1, 1]], [[3, 3, 3]]]
    white = np.full((360, 480, 3), 255, np.uint8)
    assert (reduce_area(white, (77, 101)) == 255).all()


@given(st.integers(1, 2000), st.data())
def test_indices_are_the_cells_centers(full: int, data: st.DataObject) -> None:
    reduced = data.draw(st.integers(1, full))
    indices = nearest_exact_indices(full, reduced)
    assert indices.dtype == np.int64
    expected = [((Fraction(i) + Fraction(1, 2)) * full / reduced).__floor__() for i in range(reduced)]
    assert indices.tolist() == expected


def test_indices_by_hand() -> None:
    assert nearest_exact_indices(9, 3).tolist() == [1, 4, 7]
    assert nearest_exact_indices(4, 2).tolist() == [1, 3]
    assert nearest_exact_indices(5, 5).tolist() == [0, 1, 2, 3, 4]
    assert nearest_exact_indices(2, 4).tolist() == [0, 0, 1, 1]
    for wrong in (0, -1):
        with pytest.raises(DatasetError, match="out of 5"):
            nearest_exact_indices(5, wrong)


def test_holds_the_split(make_camvid: MakeCamVid, tmp_path: Path) -> None:
    dataset = datasets.load("camvid", "train", make_camvid().parent)
    steps: list[tuple[int, int]] = []
    cached = open_split(dataset, (4, 5), tmp_path / "cache", lambda done, total: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert cached.image_ids == dataset.image_ids
    assert len(cached) == 4
    assert isinstance(cached.images, np.memmap)
    assert cached.images.shape == (4, 4, 5, 3)
    assert cached.labels.shape == (4, 9, 12)
    assert cached.images.dtype == cached.labels.dtype == np.uint8
    for k, (image, label) in enumerate(dataset):
        assert np.array_equal(cached.images[k], reduce_area(image, (4, 5)))
        assert np.array_equal(cached.labels[k], label)
    with pytest.raises(ValueError, match="read-only"):
        cached.images[0] = 0
    open_split(dataset, (4, 5), tmp_path / "cache", lambda *_: pytest.fail("built twice"))


def test_full_size_and_other_splits_lie_apart(make_camvid: MakeCamVid, tmp_path: Path) -> None:
    root = make_camvid().parent
    train, val = (datasets.load("camvid", split, root) for split in ("train", "val"))
    whole = open_split(train, None, tmp_path / "cache")
    assert np.array_equal(whole.images[2], train[2][0])
    assert len(open_split(val, None, tmp_path / "cache")) == 2
    assert len(open_split(train, (3, 4), tmp_path / "cache")) == 4
    entries = sorted(p.name for p in (tmp_path / "cache").glob("camvid-*/*") if p.is_dir())
    assert entries == ["train-3x4", "train-9x12", "val-9x12"]


def test_other_content_gets_another_entry(make_camvid: MakeCamVid, tmp_path: Path) -> None:
    folder = make_camvid()
    first = open_split(datasets.load("camvid", "val", folder), None, tmp_path / "cache")
    (folder / "train" / "train_0.png").write_bytes((folder / "train" / "train_1.png").read_bytes())
    second = open_split(datasets.load("camvid", "val", folder), None, tmp_path / "cache")
    assert np.array_equal(first.images, second.images)
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("size", [(10, 12), (9, 13), (0, 12), (9, -1)])
def test_only_reduces(make_camvid: MakeCamVid, tmp_path: Path, size: tuple[int, int]) -> None:
    dataset = datasets.load("camvid", "val", make_camvid().parent)
    with pytest.raises(DatasetError, match="only ever reduced"):
        open_split(dataset, size, tmp_path / "cache")


def edit_manifest(entry: Path, edit: Callable[[dict[str, object]], object]) -> None:
    manifest = json.loads((entry / "manifest.json").read_text())
    edit(manifest)
    (entry / "manifest.json").write_text(json.dumps(manifest))


# Bytes that are changed or missing are in tests/faults/test_fuzz.py.
DAMAGE: dict[str, Callable[[Path], object]] = {
    "array gone": lambda entry: (entry / "labels.npy").unlink(),
    "manifest gone": lambda entry: (entry / "manifest.json").unlink(),
    "manifest of another kind": lambda entry: (entry / "manifest.json").write_text("[]"),
    "manifest without checksums": lambda entry: edit_manifest(entry, lambda m: m.pop("sha256")),
    "other format": lambda entry: edit_manifest(entry, lambda m: m.update(format=0)),
    "other image_ids": lambda entry: edit_manifest(entry, lambda m: m.update(image_ids=["a", "b"])),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_rebuilt(make_camvid: MakeCamVid, tmp_path: Path, damage: str) -> None:
    dataset = datasets.load("camvid", "val", make_camvid().parent)
    before = np.array(open_split(dataset, (3, 4), tmp_path / "cache").images)
    (entry,) = (tmp_path / "cache").glob("*/val-3x4")
    DAMAGE[damage](entry)
    steps: list[int] = []
    again = open_split(dataset, (3, 4), tmp_path / "cache", lambda done, _: steps.append(done))
    assert steps == [1, 2]
    assert np.array_equal(again.images, before)
    assert sorted(p.name for p in entry.parent.iterdir()) == ["val-3x4", "val-3x4.lock"]


def test_a_damaged_source_leaves_nothing_behind(make_camvid: MakeCamVid, tmp_path: Path) -> None:
    folder = make_camvid()
    os.truncate(folder / "val" / "val_0.png", 100)
    with pytest.raises(DatasetError, match=r"val_0\.png"):
        open_split(datasets.load("camvid", "val", folder), None, tmp_path / "cache")
    assert [p.name for p in (tmp_path / "cache").glob("*/*")] == ["val-9x12.lock"]


BUILDER = """
import hashlib, os, sys, time
from pathlib import Path
import datasets
from datasets import cache
root, folder, mode = sys.argv[1:]
if mode == "no locks":
    def flock(*_): raise OSError("no locks here")
    cache.fcntl.flock = flock
def progress(done, total):
    if mode == "killed" and done == 2:
        os.kill(os.getpid(), 9)
    time.sleep(0.05)
    if done == 1:
        print("builder")
found = cache.open_split(datasets.load("camvid", "train", root), (4, 5), Path(folder), progress)
print(hashlib.sha256(found.images.tobytes() + found.labels.tobytes()).hexdigest())
"""


def start(root: Path, folder: Path, mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILDER, str(root), str(folder), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("mode", ["locks", "no locks"])
def test_several_processes_at_once(make_camvid: MakeCamVid, tmp_path: Path, mode: str) -> None:
    root = make_camvid().parent
    running = [start(root, tmp_path / "cache", mode) for _ in range(4)]
    lines = [process.communicate(timeout=60)[0].split() for process in running]
    assert all(process.returncode == 0 for process in running)
    assert len({line[-1] for line in lines}) == 1
    builders = sum("builder" in line for line in lines)
    assert builders == 1 if mode == "locks" else builders >= 1
    left = sorted(p.name for p in (tmp_path / "cache").glob("*/*"))
    assert left == ["train-4x5", "train-4x5.lock"]


def test_a_killed_builder_leaves_no_entry(make_camvid: MakeCamVid, tmp_path: Path) -> None:
    root = make_camvid().parent
    killed = start(root, tmp_path / "cache", "killed")
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "cache").glob("*/.train-4x5-*"))) == 1
    assert not list((tmp_path / "cache").glob("*/train-4x5"))
    cached = open_split(datasets.load("camvid", "train", root), (4, 5), tmp_path / "cache")
    assert len(cached) == 4
    assert sorted(p.name for p in (tmp_path / "cache").glob("*/*")) == ["train-4x5", "train-4x5.lock"]


def test_a_roads_split_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = datasets.load("roads", "val")
    monkeypatch.setattr(dataset, "image_ids", dataset.image_ids[:2])
    cached = open_split(dataset, (60, 80), tmp_path)
    image, label = dataset[1]
    assert np.array_equal(cached.images[1], reduce_area(image, (60, 80)))
    assert np.array_equal(cached.labels[1], label)
