"""What all datasets that lie in files share: where they lie, their splits, and the list files that name pairs."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from datasets.base import Dataset, DatasetError, DatasetInfo, Pair, Pixels, Size, data_folder, require_split
from datasets.pictures import read_bytes

Survey = tuple[tuple[Pair, ...], tuple[str, ...]]
"""The pairs of a split in its order, and a line for all that is wrong with it."""


class FileModule(Protocol):
    """What the module of a dataset that lies in files offers."""

    INFO: DatasetInfo
    UNKNOWN_VARIANT: str

    def locate(self, root: Path | str | None) -> Path:
        """The dataset's folder."""
        ...

    def survey(self, folder: Path, split: str) -> Survey:
        """The pairs of a split, and all that is wrong with it."""
        ...

    def full_size(self, first: Pair) -> Size:
        """(height, width) that all images of a split have, by its first pair."""
        ...

    def read_pair(self, pair: Pair, size: Size) -> tuple[Pixels, Pixels]:
        """Image and label of one pair at this size."""
        ...

    def hash_folder(self, folder: Path) -> tuple[str, str]:
        """(variant, SHA-256) of all splits."""
        ...


class FileDataset(Dataset):
    """One split of a dataset that lies in files. Its size and its count are those of the files found.

    Args:
        source: the dataset's module.
        split: train, val or test.
        root: the data root, or the dataset's folder itself.
    """

    thread_safe = True

    def __init__(self, source: FileModule, split: str, root: Path | str | None) -> None:
        require_split(source.INFO.name, split)
        self._source = source
        self.folder = source.locate(root)
        self.split = split
        self._pairs = sound(*source.survey(self.folder, split), source.INFO.name)
        self.image_ids = tuple(pair.stem for pair in self._pairs)
        splits = {**source.INFO.splits, split: len(self._pairs)}
        self.info = replace(source.INFO, size=source.full_size(self._pairs[0]), splits=splits)

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """Image (H, W, 3) and label (H, W); IndexError past the end, DatasetError naming a damaged file."""
        return self._source.read_pair(self._pairs[index], self.info.size)

    @cached_property
    def _hash(self) -> tuple[str, str]:
        return self._source.hash_folder(self.folder)

    @property
    def variant(self) -> str:
        """The edition, such as "camvid" or "camvid-unknown"; reads all files the first time."""
        return self._hash[0]

    @property
    def content_hash(self) -> str:
        """SHA-256 of the files of all splits; reads them the first time."""
        return self._hash[1]


def find_folder(root: Path | str | None, info: DatasetInfo, name: str, fits: Callable[[Path], bool], how: str) -> Path:
    """The folder `name` under the data root, or the root itself if it is that; else DatasetError.

    Args:
        root: the data root.
        info: of the dataset.
        name: of its folder.
        fits: whether a folder is the dataset's.
        how: to get it; `{base}` and `{place}` stand for the data root and the folder in it.
    """
    base = data_folder(root, info.name)
    for folder in (base / name, base):
        if fits(folder):
            return folder
    raise DatasetError(f"no {info.title} in {base}: {how.format(base=base, place=base / name)}")


def sound(pairs: tuple[Pair, ...], problems: Sequence[str], name: str) -> tuple[Pair, ...]:
    """The pairs of a split as they are; DatasetError with the first problem if there is any."""
    if problems:
        more = f" (and {len(problems) - 1} more: `python -m harness data check {name}`)"
        raise DatasetError(problems[0] + (more if problems[1:] else ""))
    return pairs


def is_plain(name: str) -> bool:
    """Whether a file's name is text of one line: no control signs, and bytes that are UTF-8."""
    return not any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name)


def same_text(stem: str) -> str:
    """One form for all names that look the same: some systems store an accent as a sign of its own."""
    return unicodedata.normalize("NFC", stem)


# -- list files ---------------------------------------------------------------------------------------------


class Names:
    """The files that a line of a list may mean, by file name and by stem, whatever folder it names."""

    def __init__(self, stems: Mapping[str, Path]) -> None:
        self._known: dict[str, str] = {}
        for stem, path in stems.items():
            name = same_text(stem)
            for key in (name, f"{name}{path.suffix}", name.rpartition("/")[2], same_text(path.name)):
                self._known.setdefault(key.strip(), stem)

    def find(self, entry: str) -> tuple[str, int] | None:
        """The stem that an entry means, a path of any system, a file's name, or a stem, and how many signs say so."""
        parts = PurePosixPath(same_text(entry.strip().strip("\"'").replace("\\", "/"))).parts
        tails = ["/".join(parts[start:]).strip() for start in range(len(parts))]
        tails += [tail.rpartition(".")[0] for tail in tails if "." in tail]
        return next(((self._known[tail], len(tail)) for tail in tails if tail in self._known), None)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A line of a list: the stem of an image, and of the label that is paired with it."""

    image: str
    label: str


def read_list(path: Path, images: Mapping[str, Path], labels: Mapping[str, Path], problems: list[str]) -> list[Listed]:
    """The pairs that a list file names, in its order; lines are `image label`, or only `image`.

    Names may hold blanks, single or double: a line is split where both halves are files that there are. An
    image alone is paired with the label of its stem. What can't be read or found adds to `problems`.

    Args:
        path: of the list file.
        images: image files by stem.
        labels: label files by stem.
        problems: one line is added for each thing that is wrong.
    """
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        problems.append(f"{path}: not a UTF-8 text: save it as UTF-8, or remove it (the images are then taken by name)")
        return []
    found: dict[str, Listed] = {}
    known_images, known_labels = Names(images), Names(labels)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        pair = _read_line(line, known_images, known_labels)
        if pair is None:
            name = PurePosixPath(re.split(r"[\s,]+", line.strip())[0].replace("\\", "/")).stem
            problems.append(f"{path}: lists {name}, but there is no such image (line {number})")
        elif pair.label not in labels and pair.label != pair.image:
            problems.append(f"{path}: lists the label {pair.label}, but there is no such label (line {number})")
        elif pair.image in found:
            problems.append(f"{path}: lists {pair.image} twice (line {number})")
        else:
            found[pair.image] = pair
    return list(found.values())


def _read_line(line: str, images: Names, labels: Names) -> Listed | None:
    """What explains most of the line: of `photo (1).png`, the picture of that name, not `photo.png`."""
    found: list[tuple[int, Listed]] = []
    for left, right in _halves(line):
        image, label = images.find(left), labels.find(right)
        if image and label:
            found.append((image[1] + label[1], Listed(image=image[0], label=label[0])))
    if alone := images.find(line):
        found.append((alone[1], Listed(image=alone[0], label=alone[0])))
    if found:
        return max(found, key=lambda one: one[0])[1]
    halves = [(image, right) for left, right in _halves(line) if (image := images.find(left))]
    if not halves:
        return None
    (stem, _), right = max(halves, key=lambda one: one[0][1])  # with a label that is not there
    name = PurePosixPath(right.replace("\\", "/")).stem
    return Listed(image=stem, label=stem if same_text(name) == same_text(stem) else name)


def _halves(line: str) -> Iterator[tuple[str, str]]:
    """All ways to take a line for two names."""
    for gap in re.finditer(r"\s*[,;\t]\s*|\s+", line.strip()):
        yield line.strip()[: gap.start()], line.strip()[gap.end() :]
