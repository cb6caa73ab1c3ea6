"""Makes the folder `sunrgbd37` of SUN RGB-D's official release.

The release is a folder `SUNRGBD` of scene folders (each with one picture in `image/`) and a folder
`SUNRGBDtoolbox` with

- `traintestSUNRGBD/allsplit.mat`, MATLAB 5: cell arrays `alltest` (1 x 5050) and `alltrain` (1 x 5285) of
  scene folders on the authors' machine, `/n/fs/sun3d/data/SUNRGBD/...`;
- `Metadata/SUNRGBD2Dseg.mat`, MATLAB 7.3, that is HDF5: a struct array `SUNRGBD2Dseg` (1 x 10335), whose
  field `seglabel` is in h5py a dataset (10335, 1) of references to arrays of labels, 0 (void) to 37. The
  whole would take tens of gigabytes in memory: one reference is followed at a time. MATLAB stores columns
  first, so h5py shows each array transposed, (width, height).

The struct array is in the order of [alltest, alltrain], as the authors' own scripts make it.

Source: SUNRGBDtoolbox (readme.txt, demo.m; scripts that loop over `[alltest,alltrain]`); how others read it
with h5py: github.com/ankurhanda/sunrgbd-meta-data, issue 9, and ESANet's prepare_dataset.py for SUN RGB-D.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from datasets.base import DatasetError, Pixels, Progress, data_folder, one_line
from datasets.pictures import read_bytes, read_size
from datasets.release import Prepared, convert, load_mat, open_hdf5, png, write_atomically
from datasets.sunrgbd import FOLDER, INFO, TEST_IMAGES, TRAIN_IMAGES, label_number

SCENES, TOOLBOX = "SUNRGBD", "SUNRGBDtoolbox"
SPLIT_FILE = Path("traintestSUNRGBD") / "allsplit.mat"
LABEL_FILE = Path("Metadata") / "SUNRGBD2Dseg.mat"
UNPACK = "unpack the toolbox again"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One image of the release and where it goes: `number` counts from 1 in its split."""

    split: str
    number: int
    folder: Path


def prepare(root: Path | str | None, release: Path | str | None = None, progress: Progress | None = None) -> Prepared:
    """Write `sunrgbd37` under the data root from the release, which lies there too unless it is named.

    Images are copied byte for byte, labels become 8-bit PNGs. A pair that is there already is not made again,
    so that the same command goes on where it was broken off. DatasetError for whatever is missing or damaged.
    """
    base = data_folder(root, INFO.name)
    source = base if release is None else Path(release)
    scenes = _scenes(source)
    target = base / FOLDER
    with _labels(source / TOOLBOX / LABEL_FILE, len(scenes)) as label_of:
        return convert(target, len(scenes), lambda index: _make_pair(scenes[index], index, label_of, target), progress)


def _scenes(source: Path) -> list[Scene]:
    """All scenes in the order of the label file: those of test, then those of train."""
    path = source / TOOLBOX / SPLIT_FILE
    if not (source / SCENES).is_dir() or not path.is_file():
        raise DatasetError(
            f"no official SUN RGB-D release in {source}: it needs {SCENES}/ and {TOOLBOX}/{SPLIT_FILE}; {INFO.by_hand}"
        )
    lists = _split_lists(path)
    for split, most in (("test", TEST_IMAGES), ("train", TRAIN_IMAGES)):
        if len(lists[split]) > most:
            raise DatasetError(
                f"{path}: all{split} lists {len(lists[split])} scenes where the release has {most}: "
                "are train and test swapped?"
            )
    both = set(lists["test"]) & set(lists["train"])
    if both:
        raise DatasetError(f"{path}: {sorted(both)[0]} is in alltest and in alltrain")
    return [
        Scene(split=split, number=number, folder=source / SCENES / place)
        for split in ("test", "train")
        for number, place in enumerate(lists[split], 1)
    ]


def _split_lists(path: Path) -> dict[str, list[str]]:
    """Scene folders below SUNRGBD by split, as `allsplit.mat` has them."""
    cells = zip(("test", "train"), load_mat(path, ("alltest", "alltrain"), UNPACK), strict=True)
    return {split: [_place(cell, path) for cell in found] for split, found in cells}


def _place(cell: Any, path: Path) -> str:
    """A scene's folder below SUNRGBD from one cell, `/n/fs/sun3d/data/SUNRGBD/kv1/NYUdata/NYU0001`."""
    text = "".join(str(part) for part in np.asarray(cell).reshape(-1)[:1])
    _, mark, place = text.partition(f"/{SCENES}/")
    parts = PurePosixPath(place).parts
    if not mark or not parts or ".." in parts:
        raise DatasetError(f"{path}: {text!r} is no scene folder below {SCENES}/")
    return "/".join(parts)


@contextmanager
def _labels(path: Path, count: int) -> Iterator[Callable[[int], Pixels]]:
    """A function from a place in the label file to its label (H, W)."""
    with open_hdf5(path, UNPACK) as file:
        references = _references(file, path, count)

        def label(index: int) -> Pixels:
            try:
                stored = file[references[index].reshape(-1)[0]][()]
            except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
                raise DatasetError(f"{path}: label {index + 1} cannot be read ({one_line(error)}): {UNPACK}") from error
            return _checked(np.asarray(stored), path, index)

        yield label


def _references(file: Any, path: Path, count: int) -> Any:
    """The dataset of references to the labels; DatasetError unless there are `count`."""
    try:
        found = file["SUNRGBD2Dseg"]["seglabel"]
        length = found.shape[0]
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DatasetError(f"{path}: holds no SUNRGBD2Dseg with a field seglabel: {UNPACK}") from error
    if length != count:
        raise DatasetError(
            f"{path}: {length} labels where {SPLIT_FILE.name} lists {count} scenes: the two must be of one release"
        )
    return found


def _checked(stored: np.ndarray[Any, Any], path: Path, index: int) -> Pixels:
    """The label (H, W) of what h5py shows (W, H); DatasetError for all but whole numbers from 0 to 37."""
    if stored.ndim != 2 or stored.dtype.kind not in "uif":
        raise DatasetError(f"{path}: label {index + 1} is no map of numbers ({stored.dtype}, {stored.shape})")
    wrong = ~((stored >= 0) & (stored <= INFO.num_classes) & (stored == np.floor(stored)))
    if wrong.any():
        column, row = (int(v) for v in np.argwhere(wrong)[0])
        raise DatasetError(
            f"{path}: label {index + 1} has the value {stored[column, row]} at row {row}, column {column}; "
            f"classes are 1 to {INFO.num_classes} and void is 0 (seglabelall, of all names, is another field)"
        )
    return np.ascontiguousarray(stored.T.astype(np.uint8))


def _make_pair(scene: Scene, index: int, label_of: Callable[[int], Pixels], target: Path) -> bool:
    """Write image and label of a scene unless they are there; whether it wrote them."""
    image = target / scene.split / f"img-{scene.number:06d}.jpg"
    picture = target / "labels" / f"img-{label_number(scene.split, scene.number):06d}.png"
    if image.exists() and picture.exists():
        return False
    original, label = _picture_of(scene), label_of(index)
    size = read_size(original)
    if label.shape != size:
        raise DatasetError(
            f"{original}: {size[0]} x {size[1]} pixels, but its label (number {index + 1} of "
            f"{LABEL_FILE.name}) has {label.shape[0]} x {label.shape[1]} (height x width): {SPLIT_FILE.name} "
            f"and {LABEL_FILE.name} must be of one release, their splits not swapped"
        )
    # The label comes last: where it is, its image is too.
    for path, data in ((image, read_bytes(original)), (picture, png(label))):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    return True


def _picture_of(scene: Scene) -> Path:
    """The one JPEG in a scene's folder `image`."""
    folder = scene.folder / "image"
    found = sorted(folder.glob("*.jpg"))
    if len(found) != 1:
        what = "missing folder" if not folder.is_dir() else f"{len(found)} .jpg files where one belongs"
        raise DatasetError(f"{folder}: {what}: unpack SUNRGBD.zip again")
    return found[0]
