"""What all datasets that lie in files share: where they lie, their splits, and the list files that name pairs."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
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


@dataclass(frozen=True)
class FileSource:
    """A dataset that lies in files, by its data root."""

    module: FileModule

    def info(self, root: str | None) -> DatasetInfo:
        """The description; its size and counts are those of the whole dataset."""
        del root
        return self.module.INFO

    def load(self, split: str, root: str | None) -> FileDataset:
        """One split."""
        return FileDataset(self.module, split, root)

    def content_hash(self, root: str | None) -> tuple[str, str]:
        """(variant, SHA-256) of all splits."""
        return self.module.hash_folder(self.module.locate(root))


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


@dataclass(frozen=True, kw_only=True)
class Hit:
    """The stems that an entry of a list may mean, several where it does not say which, and how many signs say so."""

    stems: Sequence[str]
    signs: int


class Names:
    """The files that an entry of a list may mean, by file name and by stem, alone or with folders before it.

    Folders that an entry names must be the file's. Only those above all that list and files have in common may
    be any, since lists come from other machines: of `/SegNet/CamVid/train/a.png`, `train/a` counts.

    Args:
        files: by stem, the path below one folder without suffix.
        listing: the list file.
    """

    def __init__(self, files: Mapping[str, Path], listing: Path) -> None:
        self._files = files
        self._ends: dict[str, list[str]] = {}  # every end of a path
        self._paths: dict[str, list[str]] = {}  # those that begin with the files' folder, above it or right below
        self._whole: dict[str, list[str]] = {}  # all that list and files have not in common
        first = next(iter(files.items()), None)
        above = _below_common(first[1].parents[first[0].count("/")], listing.parent) if first else ()
        for stem, path in files.items():
            folders = [same_text(part) for part in (*above, *stem.split("/")[:-1])]
            for name in dict.fromkeys((same_text(path.name), same_text(path.stem))):
                for start in range(len(folders) + 1):
                    end = "/".join([*folders[start:], name]).strip()
                    self._ends.setdefault(end, []).append(stem)
                    if start <= len(above):
                        self._paths.setdefault(end, [stem])
                    if start == 0:
                        self._whole.setdefault(end, [stem])

    def find(self, entry: str) -> Hit | None:
        """What an entry means: a path of any system, a file's name, or a stem; none where no file fits."""
        for parts in _spellings(entry):
            for start in range(len(parts)):
                end = "/".join(parts[start:]).strip()
                stems = self._whole.get(end) if start else self._paths.get(end) or self._ends.get(end)
                if stems:
                    return Hit(stems=stems, signs=len(end))
        return None

    def elsewhere(self, entry: str) -> Path | None:
        """A file of the entry's name, in whatever folder."""
        names = (parts[-1].strip() for parts in _spellings(entry))
        return next((self._files[self._ends[name][0]] for name in names if name in self._ends), None)

    def unclear(self, entry: str, hit: Hit) -> str:
        """What is wrong where an entry may mean several files; empty where it means one."""
        if len(hit.stems) == 1:
            return ""
        one, other = (self._files[stem] for stem in hit.stems[:2])
        return f"lists {entry}, but {one} and {other} both have that name: write the folder before it"


def _below_common(folder: Path, other: Path) -> tuple[str, ...]:
    """The parts of a folder below what it has in common with another one; its own name at least."""
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(folder.parts, other.parts, strict=False)))
    return folder.parts[shared:] or folder.parts[-1:]


def _spellings(entry: str) -> Iterator[tuple[str, ...]]:
    """The parts of an entry's path, with its suffix and without; a backslash may be part of a name here."""
    text = same_text(entry.strip().strip("\"'"))
    for one in dict.fromkeys((text, text.replace("\\", "/"))):
        parts = PurePosixPath(one).parts
        parts = parts[max((place for place, part in enumerate(parts, 1) if part in ("/", "//", "..")), default=0) :]
        if parts:
            yield parts
            if "." in parts[-1]:
                yield (*parts[:-1], parts[-1].rpartition(".")[0])


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
    known_images, known_labels = Names(images, path), Names(labels, path)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        pair = _read_line(line, known_images, known_labels)
        if isinstance(pair, str):
            problems.append(f"{path}: {pair} (line {number})")
        elif pair.label not in labels and pair.label != pair.image:
            problems.append(f"{path}: lists the label {pair.label}, but there is no such label (line {number})")
        elif pair.image in found:
            problems.append(f"{path}: lists {pair.image} twice (line {number})")
        else:
            found[pair.image] = pair
    return list(found.values())


def _read_line(line: str, images: Names, labels: Names) -> Listed | str:
    """What explains most of the line: of `photo (1).png`, the picture of that name, not `photo.png`.

    Else what is wrong with it.
    """
    halves = [(left, right, image, labels.find(right)) for left, right in _halves(line) if (image := images.find(left))]
    ways = [way for way in halves if way[3]]
    if alone := images.find(line):
        ways.append((line.strip(), "", alone, None))
    if not (ways or halves):
        return _no_image(line, images)
    entry, right, image, label = max(ways or halves, key=lambda way: way[2].signs + (way[3].signs if way[3] else 0))
    stem = image.stems[0]
    if wrong := images.unclear(entry, image) or (labels.unclear(right, label) if label else ""):
        return wrong
    if label or not right:
        return Listed(image=stem, label=label.stems[0] if label else stem)
    if other := labels.elsewhere(right):
        return _astray(right, other)
    name = PurePosixPath(right.replace("\\", "/")).stem
    return Listed(image=stem, label=stem if same_text(name) == same_text(stem) else name)


def _no_image(line: str, images: Names) -> str:
    entries = [*(left for left, _ in _halves(line)), line.strip()]
    astray = next(((entry, other) for entry in entries if (other := images.elsewhere(entry))), None)
    if astray:
        return _astray(*astray)
    name = PurePosixPath(re.split(r"[\s,]+", line.strip())[0].replace("\\", "/")).stem
    return f"lists {name}, but there is no such image"


def _astray(entry: str, other: Path) -> str:
    return f"lists {entry}, but there is no such file, only {other}: correct the folder"


def _halves(line: str) -> Iterator[tuple[str, str]]:
    """All ways to take a line for two names."""
    for gap in re.finditer(r"\s*[,;\t]\s*|\s+", line.strip()):
        yield line.strip()[: gap.start()], line.strip()[gap.end() :]
