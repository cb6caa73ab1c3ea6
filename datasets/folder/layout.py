"""Finds images, labels and splits in a folder of own data, whichever of the usual layouts it has.

| layout | who |
|---|---|
| {split}/ + {split}annot/ | SegNet |
| images/{split} + masks/{split}, with many names for both | Ultralytics, mmsegmentation, ADE20K, Cityscapes |
| {split}/images + {split}/masks | many |
| one folder of images and one of labels, with {split}.txt or without | VOC, everybody's first try |
| images and labels side by side, labels as NAME_mask.png | many |
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from datasets.base import SPLITS, DatasetError
from datasets.folder.pairs import DRAWN, LABEL_ENDS, LABEL_SUFFIXES
from datasets.folder.settings import Settings

IMAGE_FOLDERS = (
    "images", "image", "imgs", "img", "img_dir", "JPEGImages", "leftImg8bit", "rgb", "photos", "pictures",
)  # fmt: skip
LABEL_FOLDERS = (
    "masks", "mask", "labels", "label", "annotations", "ann_dir", "SegmentationClass", "SegmentationClassRaw", "gtFine",
    "annots", "annot", "gt", "labels37", "targets", "segmentation",
)  # fmt: skip
ALIASES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
LISTS = (DRAWN, "", "ImageSets/Segmentation", "ImageSets", "lists")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the files of a split lie, and the list that names them, if there is one."""

    images: Path
    labels: Path
    listing: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What was found: where each split lies; `whole`: where all lie together, for lists or a drawn split."""

    title: str
    places: Mapping[str, Place] = field(default_factory=dict)
    whole: Place | None = None


def find_layout(folder: Path, settings: Settings) -> Layout:
    """Where the splits lie; DatasetError that says what there is and what to write where there is nothing."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder: write folder:PATH with the path of your images and labels")
    for find in (_as_told, _by_split, _beside_each_other, _inside_splits, _together):
        if (layout := find(folder, settings)) is not None:
            return _with_lists(folder, layout)
    inside = sorted(path.name for path in _entries(folder))
    raise DatasetError(
        f"{folder}: no images with labels found (it holds {', '.join(inside[:8]) or 'nothing'}): name both folders in "
        f'{folder / "dataset.toml"}, such as images = "images" and labels = "masks", or images = "images/{{split}}"'
    )


def _with_lists(folder: Path, layout: Layout) -> Layout:
    """A split without a folder of its own, but with a list, lies among the training images."""
    train = layout.places.get("train")
    if train is None:
        return layout
    lists = {split: _listing(folder, split) for split in SPLITS if split not in layout.places}
    more = {split: replace(train, listing=path) for split, path in lists.items() if path is not None}
    return replace(layout, places={**layout.places, **more})


def _as_told(folder: Path, settings: Settings) -> Layout | None:
    """As dataset.toml or data.yaml says."""
    if settings.by_split:
        places = {split: _of_yaml(folder, settings, split, Path(value)) for split, value in settings.by_split.items()}
        return Layout(title=f"as {settings.origin.name} says", places=places)
    if not (settings.images and settings.labels):
        if settings.images and settings.origin.name == "dataset.toml":
            raise DatasetError(f'{settings.origin}: images without labels: write labels = "masks" too')
        return None
    title = f"as {settings.origin.name} says"
    if "{split}" in settings.images:
        places = {}
        for split, aliases in ALIASES.items():
            for name in aliases:
                images, labels = (folder / text.replace("{split}", name) for text in (settings.images, settings.labels))
                if images.is_dir():
                    places[split] = Place(images=images, labels=labels, listing=_listing(folder, split))
                    break
        if places:
            return Layout(title=title, places=places)
    return _flat(folder, folder / settings.images, folder / settings.labels, title)


def _of_yaml(folder: Path, settings: Settings, split: str, value: Path) -> Place:
    """A split of data.yaml: a folder of images, or a list of them; what was drawn from it is in a list of ours."""
    listing = value if value.suffix == ".txt" else None
    drawn = folder / DRAWN / f"{split}.txt"
    if listing is not None:
        images = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), folder)
    else:
        images = value
    if not images.is_dir():
        raise DatasetError(f"{settings.origin}: {images}: no such folder: correct it there")
    listing = drawn if drawn.is_file() else listing
    return Place(images=images, labels=_labels_of(images, settings), listing=listing)


def _labels_of(images: Path, settings: Settings) -> Path:
    """The folder of labels that mirrors one of images: another name for the part that says images."""
    names = [settings.labels, *LABEL_FOLDERS] if settings.labels else [*LABEL_FOLDERS]
    parts = images.parts
    tried = []
    for place in range(len(parts) - 1, 0, -1):
        if parts[place] in IMAGE_FOLDERS:
            for name in names:
                tried.append(Path(*parts[:place], name, *parts[place + 1 :]))
                if tried[-1].is_dir():
                    return tried[-1]
    for name in names:  # {split}/images is named by its parent
        tried.append(images.parent / name)
        if tried[-1].is_dir():
            return tried[-1]
    raise DatasetError(f"{settings.origin}: {images}: no folder of labels beside it: {tried[0]} is missing")


def _by_split(folder: Path, settings: Settings) -> Layout | None:
    """SegNet's: {split} + {split}annot."""
    places = {}
    for split, name in _split_folders(folder):
        labels = folder / f"{name}annot"
        if labels.is_dir():
            places[split] = Place(images=folder / name, labels=labels, listing=_listing(folder, split))
    return Layout(title="{split} + {split}annot", places=places) if places else None


def _beside_each_other(folder: Path, settings: Settings) -> Layout | None:
    """images/{split} + masks/{split}, or all images in one folder and all labels in another."""
    images, labels = _first(folder, IMAGE_FOLDERS), _first(folder, LABEL_FOLDERS)
    if images is None or labels is None:
        return None
    places = {}
    for split, name in _split_folders(images):
        for other in (name, *ALIASES[split]):
            if (labels / other).is_dir():
                listing = _listing(folder, split)
                places[split] = Place(images=images / name, labels=labels / other, listing=listing)
                break
    if places:
        return Layout(title=f"{images.name}/{{split}} + {labels.name}/{{split}}", places=places)
    return _flat(folder, images, labels, f"{images.name} + {labels.name}")


def _inside_splits(folder: Path, settings: Settings) -> Layout | None:
    """{split}/images + {split}/masks."""
    places = {}
    title = ""
    for split, name in _split_folders(folder):
        images, labels = _first(folder / name, IMAGE_FOLDERS), _first(folder / name, LABEL_FOLDERS)
        if images is not None and labels is not None:
            places[split] = Place(images=images, labels=labels, listing=_listing(folder, split))
            title = f"{{split}}/{images.name} + {{split}}/{labels.name}"
    return Layout(title=title, places=places) if places else None


def _together(folder: Path, settings: Settings) -> Layout | None:
    """Images and labels side by side: a.jpg and a_mask.png."""
    files = [path for path in _entries(folder) if path.is_file()]
    marked = [path for path in files if path.suffix.lower() in LABEL_SUFFIXES and path.stem.endswith(LABEL_ENDS)]
    return _flat(folder, folder, folder, "images and labels side by side") if marked else None


def _flat(folder: Path, images: Path, labels: Path, title: str) -> Layout:
    listed = {split: path for split in SPLITS if (path := _listing(folder, split)) is not None}
    places = {split: Place(images=images, labels=labels, listing=path) for split, path in listed.items()}
    if places:
        where = next(iter(listed.values())).relative_to(folder).parent / "{split}.txt"
        return Layout(title=f"{title}, lists {where.as_posix()}", places=places)
    return Layout(title=f"{title}, no split", whole=Place(images=images, labels=labels))


def _split_folders(folder: Path) -> Iterator[tuple[str, str]]:
    """(split, name of its folder)."""
    for split, aliases in ALIASES.items():
        name = next((name for name in aliases if (folder / name).is_dir()), None)
        if name is not None:
            yield split, name


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _listing(folder: Path, split: str) -> Path | None:
    places = (folder / place / f"{name}.txt" for place in LISTS for name in ALIASES[split])
    return next((path for path in places if path.is_file()), None)


def _entries(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed: {error.strerror}") from error
