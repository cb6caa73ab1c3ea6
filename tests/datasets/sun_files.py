"""Small folders of SUN RGB-D in its two layouts, of flat pictures that tell which one they are."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

SIZES = ((427, 561), (530, 730), (441, 591))
"""Heights and widths of some of the release's cameras."""
AUTHORS_FOLDER = "/n/fs/sun3d/data/SUNRGBD"


def color_of(number: int) -> tuple[int, int, int]:
    """A flat picture's color, from its number; JPEG keeps it to a unit or two."""
    return (number * 37 % 200 + 20, number * 91 % 200 + 20, number * 53 % 200 + 20)


def label_of(number: int, size: tuple[int, int]) -> np.ndarray:
    """A label (H, W) that no transposition or mirroring leaves as it is: fields of classes, a void corner."""
    rows = np.arange(size[0])[:, None] * 8 // size[0]
    columns = np.arange(size[1])[None, :] * 4 // size[1]
    label = ((rows * 4 + columns + number) % 37 + 1).astype(np.uint8)
    label[: size[0] // 3, : size[1] // 5] = 0
    return label


def write_jpeg(path: Path, number: int, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], color_of(number)).save(path, quality=95)


def write_png(path: Path, label: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(label).save(path, compress_level=1)


def write_extracted(root: Path, test: Sequence[int], train: Sequence[int]) -> Path:
    """The extracted layout with images of these numbers; gives its folder."""
    folder = root / "sunrgbd37"
    for split, numbers, first in (("test", test, 0), ("train", train, 5050)):
        for number in numbers:
            size = SIZES[number % 3]
            write_jpeg(folder / split / f"img-{number:06d}.jpg", first + number, size)
            write_png(folder / "labels" / f"img-{first + number:06d}.png", label_of(first + number, size))
    return folder


def scene(split: str, number: int) -> str:
    """Where a scene lies below SUNRGBD."""
    return f"kv2/kinect2data/{split}{number:06d}_2014-05-26-resize"


def write_release(
    root: Path, test: int, train: int, labels: Mapping[int, np.ndarray] | None = None
) -> tuple[list[str], list[np.ndarray]]:
    """The official layout with so many scenes of each split.

    Args:
        root: where `SUNRGBD` and `SUNRGBDtoolbox` go.
        test: scenes of alltest.
        train: scenes of alltrain.
        labels: place in the label file -> another label than the picture's own.

    Returns:
        The scenes in the order of the label file, and their labels.
    """
    names = [("test", k) for k in range(1, test + 1)] + [("train", k) for k in range(1, train + 1)]
    stored = []
    for place, (split, number) in enumerate(names):
        size = SIZES[place % 3]
        write_jpeg(root / "SUNRGBD" / scene(split, number) / "image" / f"{number:07d}.jpg", place + 1, size)
        stored.append((labels or {}).get(place, label_of(place + 1, size)))
    write_splits(root, [scene(*one) for one in names[:test]], [scene(*one) for one in names[test:]])
    write_labels(root, stored)
    return [scene(*one) for one in names], stored


def write_splits(root: Path, test: Sequence[str], train: Sequence[str]) -> Path:
    """`allsplit.mat` as MATLAB 5 has it: cell arrays (1, n) of strings."""
    path = root / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = {}
    for name, places in (("alltest", test), ("alltrain", train)):
        cell = np.empty((1, len(places)), dtype=object)
        for k, place in enumerate(places):
            cell[0, k] = f"{AUTHORS_FOLDER}/{place}"
        cells[name] = cell
    savemat(path, {**cells, "trainvalsplit": {"train": cells["alltrain"], "val": cells["alltrain"]}})
    return path


def write_labels(root: Path, labels: Sequence[np.ndarray]) -> Path:
    """`SUNRGBD2Dseg.mat` as MATLAB 7.3 has it: HDF5 behind 512 bytes, a struct array's fields as references.

    MATLAB stores columns first: a label (H, W) is a dataset (W, H).
    """
    path = root / "SUNRGBDtoolbox" / "Metadata" / "SUNRGBD2Dseg.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        hidden, struct = file.create_group("#refs#"), file.create_group("SUNRGBD2Dseg")
        struct.attrs["MATLAB_class"] = np.bytes_("struct")
        for field, shift in (("seglabel", 0), ("seglabelall", 100)):
            references = struct.create_dataset(field, (len(labels), 1), dtype=h5py.ref_dtype)
            for k, label in enumerate(labels):
                data = hidden.create_dataset(f"{field}{k}", data=(label + np.asarray(shift, label.dtype)).T)
                data.attrs["MATLAB_class"] = np.bytes_(str(label.dtype))
                references[k, 0] = data.ref
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(116) + b"\0" * 8 + b"\x00\x02IM")
    return path


def growth_kib(name: str, root: Path) -> float:
    """By how much the memory of a process grows that converts an official release."""
    code = (
        "import resource, sys; from datasets.registry import prepare; "
        "import h5py, scipy.io; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "prepare(*sys.argv[1:]); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, name, str(root)], capture_output=True, text=True, check=True)
    return int(done.stdout) / (1 if sys.platform != "darwin" else 1024)
