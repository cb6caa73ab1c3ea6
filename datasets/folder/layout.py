"""Finds images, labels and splits in a folder of own data, whichever of the usual layouts it has.

| layout | who |
|---|---|
| {split}/ + {split}annot/ | SegNet |
| images/{split} + masks/{split}, with many names for both | Ultralytics, mmsegmentation, ADE20K, Cityscapes |
| {split}/images + {split}/masks, {split}_images + {split}_masks | many |
| one folder of images and one of labels, with {split}.txt or without | VOC, everybody's first try |
| images and labels side by side, labels as NAME_mask.png | many |

Names of folders and lists count without regard to case.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from datasets.base import DatasetError
from datasets.folder.pairs import DRAWN, IMAGE_SUFFIXES, LABEL_ENDS, LABEL_SUFFIXES
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
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_YEAR = r"[-_]?\d+"  # that COCO's names end with: train2017
LISTS = (DRAWN, "", "ImageSets/Segmentation", "ImageSets", "lists")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the files of a split lie, and the list that names them, if there is one."""

    images: Path
    labels: Path
    listing: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What was found: where each split lies; `whole`: where all lie together, for lists or a drawn split.

    notes: folders and lists that are not used.
    """

    title: str
    places: Mapping[str, Place] = field(default_factory=dict)
    whole: Place | None = None
    notes: tuple[str, ...] = ()


def find_layout(folder: Path, settings: Settings) -> Layout:
    """Where the splits lie; DatasetError that says what there is and what to write where there is nothing."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder: write folder:PATH with the path of your images and labels")
    if (layout := _as_told(folder, settings) or _found(folder)) is not None:
        return _with_lists(folder, layout)
    inside = sorted(path.name for path in _entries(folder))
    deeper = next((path for path in _folders(folder) if _found(path) is not None), None)
    raise DatasetError(
        f"{folder}: no images with labels found (it holds {', '.join(inside[:8]) or 'nothing'}): "
        + (f"write folder:{deeper}, which has some, or " if deeper else "")
        + f'name both folders in {folder / "dataset.toml"}, such as images = "images" and labels = "masks", or '
        'images = "images/{split}"'
    )


def _found(folder: Path) -> Layout | None:
    """The layout that shows itself."""
    finds = (_by_split, _beside_each_other, _inside_splits, _by_joined_names, _together)
    return next((layout for find in finds if (layout := find(folder)) is not None), None)


def _with_lists(folder: Path, layout: Layout) -> Layout:
    """A split without a folder of its own, but with a list, lies among the training images."""
    train = layout.places.get("train")
    if train is None:
        return layout
    lists = {split: path for split, path in _listings(folder).items() if split not in layout.places}
    more = {split: replace(train, listing=path) for split, path in lists.items()}
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
        lists, labels = _listings(folder), _names(folder, settings.labels)
        places = {
            split: Place(
                images=folder / settings.images.replace("{split}", name),
                labels=folder / settings.labels.replace("{split}", labels.get(split, name)),
                listing=lists.get(split),
            )
            for split, name in _names(folder, settings.images).items()
        }
        if places:
            return Layout(title=title, places=places)
    return _flat(folder, folder / settings.images, folder / settings.labels, title)


def _names(folder: Path, text: str) -> dict[str, str]:
    """Split -> what its folder has in the place of `{split}`, by the first part of the path that has it."""
    parts = Path(text).parts
    at = next((at for at, part in enumerate(parts) if "{split}" in part), None)
    if at is None:
        return {}
    before, after = (re.escape(one) for one in parts[at].split("{split}", 1))
    matches = (re.fullmatch(f"{before}(.+){after}", path.name) for path in _folders(folder.joinpath(*parts[:at])))
    return {split: path.name for split, path in _splits(Path(match[1]) for match in matches if match).items()}


def _of_yaml(folder: Path, settings: Settings, split: str, value: Path) -> Place:
    """A split of data.yaml: a folder of images, or a list of them; what was drawn from it is in a list of ours."""
    listing = value if value.suffix == ".txt" else None
    drawn = folder / DRAWN / f"{split}.txt"
    images = value if listing is None else _first(folder, IMAGE_FOLDERS) or folder
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
        if _is_one_of(parts[place], IMAGE_FOLDERS):
            for name in names:
                tried.append(Path(*parts[:place], name, *parts[place + 1 :]))
                if tried[-1].is_dir():
                    return tried[-1]
    tried.append(images.parent / names[0])  # {split}/images is named by its parent
    if (found := _first(images.parent, names)) is not None:
        return found
    raise DatasetError(f"{settings.origin}: {images}: no folder of labels beside it: {tried[0]} is missing")


def _by_split(folder: Path) -> Layout | None:
    """SegNet's: {split} + {split}annot."""
    folders = {path.name.lower(): path for path in _folders(folder)}
    images = _splits(folders.values())
    labels = {split: folders.get(f"{path.name.lower()}annot") for split, path in images.items()}
    return _of_splits(folder, "{split} + {split}annot", images, labels)


def _beside_each_other(folder: Path) -> Layout | None:
    """images/{split} + masks/{split}, or all images in one folder and all labels in another."""
    images, labels = _first(folder, IMAGE_FOLDERS), _first(folder, LABEL_FOLDERS)
    if images is None or labels is None:
        return None
    splits = _splits(_folders(images))
    same = {split: labels / path.name for split, path in splits.items() if (labels / path.name).is_dir()}
    title = f"{images.name}/{{split}} + {labels.name}/{{split}}"
    found = _of_splits(folder, title, splits, {**_splits(_folders(labels)), **same})
    if found is None:
        return _flat(folder, images, labels, f"{images.name} + {labels.name}")
    others = [path for path in _folders(images) if path not in splits.values() and _holds_pictures(path)]
    notes = (f"{path}: is no split (train, val or test): its pictures are not used" for path in others)
    return replace(found, notes=(*found.notes, *notes))


def _inside_splits(folder: Path) -> Layout | None:
    """{split}/images + {split}/masks."""
    splits = _splits(_folders(folder))
    images = {split: found for split, path in splits.items() if (found := _first(path, IMAGE_FOLDERS)) is not None}
    labels = {split: _first(path, LABEL_FOLDERS) for split, path in splits.items()}
    names = [(images[split].name, path.name) for split, path in labels.items() if path is not None and split in images]
    title = f"{{split}}/{names[-1][0]} + {{split}}/{names[-1][1]}" if names else ""
    return _of_splits(folder, title, images, labels)


def _by_joined_names(folder: Path) -> Layout | None:
    """{split}_images + {split}_masks, or images_{split} + masks_{split}."""
    images, labels = dict[str, Path](), dict[str, Path | None]()
    for path in _folders(folder):
        parts = re.split("[-_]", path.name, maxsplit=1)
        for split, kind in (parts, parts[::-1]) if len(parts) == 2 else ():
            if (known := split_named(split)) and _is_one_of(kind, IMAGE_FOLDERS):
                images.setdefault(known, path)
            elif known and _is_one_of(kind, LABEL_FOLDERS):
                labels.setdefault(known, path)
    return _of_splits(folder, "folders of images and of labels for each split", images, labels)


def _of_splits(
    folder: Path, title: str, images: Mapping[str, Path], labels: Mapping[str, Path | None]
) -> Layout | None:
    """The splits that have both; images of a split without labels are named."""
    both = {split: (path, own) for split, path in images.items() if (own := labels.get(split)) is not None}
    if not both:
        return None
    alone = [path for split, path in images.items() if labels.get(split) is None and _holds_pictures(path)]
    notes = tuple(f"{path}: there is no folder of labels for it: its pictures are not used" for path in alone)
    lists = _listings(folder)
    places = {split: Place(images=path, labels=own, listing=lists.get(split)) for split, (path, own) in both.items()}
    return Layout(title=title, places=places, notes=notes)


def _together(folder: Path) -> Layout | None:
    """Images and labels side by side: a.jpg and a_mask.png."""
    files = [path for path in _entries(folder) if path.is_file()]
    marked = [path for path in files if path.suffix.lower() in LABEL_SUFFIXES and path.stem.endswith(LABEL_ENDS)]
    return _flat(folder, folder, folder, "images and labels side by side") if marked else None


def _flat(folder: Path, images: Path, labels: Path, title: str) -> Layout:
    listed = _listings(folder)
    places = {split: Place(images=images, labels=labels, listing=path) for split, path in listed.items()}
    if places:
        where = next(iter(listed.values())).relative_to(folder).parent / "{split}.txt"
        return Layout(title=f"{title}, lists {where.as_posix()}", places=places)
    lists = [path for place in LISTS[2:] for path in _lists(folder / place)]
    notes = (f"{path}: is no list of train, val or test, by its name: it is not used" for path in lists)
    whole = Place(images=images, labels=labels)
    return Layout(title=f"{title}, no split", whole=whole, notes=tuple(notes))


def split_named(name: str) -> str | None:
    """The split that a folder or a list is of, by its name: train, Training or train2017."""
    bare = re.sub(f"{_YEAR}$", "", name.lower())
    return next((split for split, aliases in ALIASES.items() if bare in aliases), None)


def _splits(paths: Iterable[Path]) -> dict[str, Path]:
    """Split -> the folder or list that bears its name; DatasetError where two may be meant."""
    return {split: _one_of(split, named) for split, named in _by_split_name(paths).items()}


def _by_split_name(paths: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        if (split := split_named(path.name.removesuffix(".txt"))) is not None:
            found.setdefault(split, []).append(path)
    return {split: found[split] for split in ALIASES if split in found}


def _one_of(split: str, paths: Sequence[Path]) -> Path:
    for name in ALIASES[split]:  # its plain name before one with a number
        if plain := next((path for path in paths if path.name.removesuffix(".txt").lower() == name), None):
            return plain
    if len(paths) > 1:
        raise DatasetError(
            f"{paths[0]} and {paths[1].name}: both may be {split}: rename the one that is to be left out"
        )
    return paths[0]


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these names that a folder of it has, without regard to case."""
    folders = {path.name.lower(): path for path in _folders(folder)}
    return next((folders[name.lower()] for name in names if name.lower() in folders), None)


def _is_one_of(name: str, names: Sequence[str]) -> bool:
    return name.lower() in {one.lower() for one in names}


def _listings(folder: Path) -> dict[str, Path]:
    """Split -> the list that names its files, from the first place that has one."""
    found: dict[str, Path] = {}
    for place in LISTS:
        for split, named in _by_split_name(_lists(folder / place)).items():
            if split not in found:
                found[split] = _one_of(split, named)
    return {split: found[split] for split in ALIASES if split in found}


def _lists(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.suffix == ".txt"] if folder.is_dir() else []


def _holds_pictures(folder: Path) -> bool:
    names = (name for _, _, names in os.walk(folder, followlinks=True) for name in names)
    return any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names)


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()] if folder.is_dir() else []


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed: {error.strerror}") from error
