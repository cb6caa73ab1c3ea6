"""Own data, `folder:PATH`: a folder of images and labels in any of the usual layouts, without code.

`layout.py` finds images, labels and splits, `pairs.py` pairs files and draws splits that are missing,
`settings.py` reads `dataset.toml` and its like, `labels.py` turns values or colors into classes, `values.py` counts
them, `index.py` remembers what was read, and `reading.py` puts it together and says what is wrong. Runs know such a
dataset as `folder-NAME`, with the folder as data root.
"""

from pathlib import Path

from datasets.base import Dataset, DatasetError, DatasetInfo, Pixels, require_split
from datasets.folder.labels import apply_table, class_table, read_raw
from datasets.folder.reading import NAMED, PREFIX, Folder, fitted, name_of, palette, read_folder, sizes_differ
from datasets.folder.settings import read_settings
from datasets.pictures import read_photo

__all__ = [
    "PREFIX",
    "Folder",
    "FolderDataset",
    "content_hash",
    "fitted",
    "info",
    "is_name",
    "known_as",
    "load",
    "palette",
    "place_of",
    "read_folder",
]


class FolderDataset(Dataset):
    """One split of a folder. Images and labels have any sizes, each image that of its label."""

    thread_safe = True

    def __init__(self, folder: Folder, split: str) -> None:
        require_split(folder.info.name, split)
        self.info = folder.info
        self.split = split
        self._pairs = folder.pairs[split]
        self.image_ids = tuple(pair.stem for pair in self._pairs)
        sizes = tuple(folder.facts[pair.label].size for pair in self._pairs)
        self.sizes = None if set(sizes) == {folder.info.size} else sizes
        self._settings = folder.settings
        self._table = class_table(folder.settings, folder.info.num_classes)
        self._hash = folder.content_hash()

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """Image (H, W, 3) and label (H, W); IndexError past the end, DatasetError naming a damaged file."""
        pair = self._pairs[index]
        image = read_photo(pair.image, self._settings.orientation)
        values, classes = read_raw(pair.label, self._settings)
        label = values.astype("uint8") if classes else apply_table(values, self._table, pair.label)
        if image.shape[:2] != label.shape:
            raise DatasetError(sizes_differ(pair, (image.shape[0], image.shape[1]), (label.shape[0], label.shape[1])))
        return image, label

    @property
    def variant(self) -> str:
        """The dataset's name: the content hash tells editions apart."""
        return self.info.name

    @property
    def content_hash(self) -> str:
        """SHA-256 of the files of all splits and of their order."""
        return self._hash


# -- what the registry asks for -----------------------------------------------------------------------------


def is_name(name: str) -> bool:
    """Whether runs know own data by this name."""
    return name.startswith(NAMED)


def place_of(root: Path | str | None) -> Path:
    """The folder; DatasetError if none is named or there is none."""
    if root is None or not str(root).strip():
        raise DatasetError("own data lies in a folder: name it, folder:PATH")
    path = Path(root).expanduser().absolute()
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder: write folder:PATH with the path of your images and labels")
    return path


def known_as(place: Path) -> str:
    """The name under which runs know a folder."""
    return name_of(place, read_settings(place))


def info(root: str | None) -> DatasetInfo:
    """The description of a sound folder, which is read for it the first time; DatasetError otherwise."""
    return _sound(root).info


def load(split: str, root: str | None) -> FolderDataset:
    """One split of a sound folder; DatasetError otherwise."""
    return FolderDataset(_sound(root), split)


def content_hash(root: str | None) -> tuple[str, str]:
    """(variant, SHA-256) of a sound folder; DatasetError otherwise."""
    folder = _sound(root)
    return folder.info.name, folder.content_hash()


def _sound(root: str | None) -> Folder:
    folder = read_folder(place_of(root))
    folder.require_sound()
    return folder
