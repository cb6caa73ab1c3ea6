"""Small folders of NYU Depth v2 in its two layouts, of pictures that tell which one they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from tests.datasets.sun_files import color_of, label_of, write_jpeg, write_png

SIZE = (360, 480)
RAW_SIZE = (480, 640)
# Numbers of the official split: 1, 2, 9, 14 are of test, 19 and 20 of val, the others of train.
TEST, VAL, TRAIN = (1, 2, 9, 14), (19, 20), (3, 4, 5, 6)


def write_extracted(
    root: Path, test: Sequence[int] = TEST, train: Sequence[int] = (*TRAIN, *VAL), size: tuple[int, int] = SIZE
) -> Path:
    """The layout that is read, with images of these numbers; gives its folder."""
    folder = root / "NYUv2"
    for split, numbers in (("test", test), ("train", train)):
        for number in numbers:
            write_jpeg(folder / split / "images" / f"NYU{number:04d}.jpg", number, size)
            write_png(folder / split / "labels37" / f"NYU{number:04d}.png", label_of(number, size))
    return folder


def raw_image(number: int) -> np.ndarray:
    """A picture (480, 640, 3): a white frame, within it the number's color, and a dark upper right corner."""
    image = np.full((*RAW_SIZE, 3), 255, np.uint8)
    image[44:471, 40:601] = color_of(number)
    image[44:144, 501:601] = 0
    return image


def raw_label(number: int) -> np.ndarray:
    """A label (480, 640) of NYU's own values: 21 (wall), 0 in the frame, 5 (chair) in the upper right."""
    label = np.zeros(RAW_SIZE, np.uint16)
    label[44:471, 40:601] = 21
    label[44:144, 501:601] = 5
    label[300 : 310 + number, 60:90] = 894
    return label


def write_release(
    root: Path,
    count: int,
    images: Mapping[int, np.ndarray] | None = None,
    labels: Mapping[int, np.ndarray] | None = None,
) -> Path:
    """The official release with its first `count` images; gives the labeled file.

    Args:
        root: where both files go.
        count: of images; they are numbered from 1.
        images: number -> another picture (480, 640, 3) than `raw_image`'s.
        labels: number -> another label (480, 640) than `raw_label`'s.
    """
    numbers = range(1, count + 1)
    write_labeled(
        root,
        [(images or {}).get(number, raw_image(number)) for number in numbers],
        [(labels or {}).get(number, raw_label(number)) for number in numbers],
    )
    test = [number for number in numbers if number in (*TEST, 15, 16, 17, 18)]
    write_splits(root, test, [number for number in numbers if number not in test])
    return root / "nyu_depth_v2_labeled.mat"


def write_labeled(root: Path, images: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Path:
    """`nyu_depth_v2_labeled.mat` as MATLAB 7.3 has it: HDF5 behind 512 bytes, packed, columns first.

    Pictures (H, W, 3) are stored as (n, 3, W, H), labels (H, W) as (n, W, H).
    """
    root.mkdir(parents=True, exist_ok=True)
    path = root / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        stored = np.stack([image.transpose(2, 1, 0) for image in images])
        made = file.create_dataset("images", data=stored, compression="gzip", compression_opts=1)
        made.attrs["MATLAB_class"] = np.bytes_("uint8")
        flat = np.stack([label.T for label in labels])
        made = file.create_dataset("labels", data=flat, compression="gzip", compression_opts=1)
        made.attrs["MATLAB_class"] = np.bytes_("uint16")
    stamp(path)
    return path


def stamp(path: Path) -> None:
    """MATLAB's words in the first 512 bytes of an HDF5 file."""
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(116) + b"\0" * 8 + b"\x00\x02IM")


def write_splits(root: Path, test: Sequence[float], train: Sequence[float]) -> Path:
    """`splits.mat` as MATLAB 5 has it: columns of doubles."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "splits.mat"
    columns = {"testNdxs": test, "trainNdxs": train}
    savemat(path, {name: np.array(numbers, float).reshape(-1, 1) for name, numbers in columns.items()})
    return path


def read_png(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))
