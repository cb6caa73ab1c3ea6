"""What is to be predicted: pictures, folders, own data, videos and webcams, and where predictions of them go.

Of a picture `a.jpg`: `a.png` (class indices), `a_color.png`, `a_overlay.png`; of a video `a.mp4`: a folder `a` with an
index PNG a frame, `a_color.mp4` and `a_overlay.mp4`; of all together `classes.csv`, the share of each class.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from datasets.folder import PREFIX, place_of, read_folder
from harness.system.corruption import UNREADABLE
from harness.system.errors import UserError
from harness.system.files import LONGEST_NAME

TABLE = "classes.csv"
ADVICE = "choose another --output"
_VIDEOS = frozenset((".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"))
_PICTURES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"))
_FRAME = re.compile(r"\d{6,}\.png|\..*")  # what the folder of a video may hold, beside what is hidden


@dataclass(frozen=True, kw_only=True)
class Item:
    """A picture or a video.

    source: its file, or a webcam such as <video0>.
    name: of its outputs, without suffix.
    unusable: why it is left out, where that can be told beforehand.
    """

    source: str
    name: str
    video: bool
    unusable: str = ""

    def targets(self, output: Path) -> tuple[Path, ...]:
        """What is written of it: indices, colors, overlay."""
        base, suffix = output / self.name, ".mp4" if self.video else ".png"
        colors, mixed = (base.with_name(f"{base.name}_{what}{suffix}") for what in ("color", "overlay"))
        return base if self.video else base.with_name(f"{base.name}.png"), colors, mixed


def collect(paths: Sequence[str], output: Path, force: bool) -> list[Item]:
    """What to predict, in order; of a folder all pictures and videos in it, in its subfolders too.

    Args:
        paths: files, folders, webcams such as <video0>, or `folder:PATH`, own data, whose images are taken without
            their labels and called by their splits and names.
        output: the folder to write to; what lies in it is not taken for input.
        force: allow what is there already to be replaced.

    Raises:
        UserError: nothing to predict, no such file, or a file that would be written twice, over another, or over
            one to be predicted, which no option allows; datasets.DatasetError: own data that is not sound.
    """
    items = [item for path in paths for item in _items(path, output)]
    if not items:
        raise UserError(f"no pictures or videos in {', '.join(paths)} (known are {', '.join(sorted(_PICTURES))})")
    items = [_with_a_short_name(item, output) for item in items]
    usable = [item for item in items if not item.unusable]
    counts = Counter(target for item in usable for target in item.targets(output))
    folders = {item.targets(output)[0] for item in usable if item.video}
    beneath = (target for target in counts if not folders.isdisjoint(target.parents))
    if twice := next((target for target, count in counts.items() if count > 1), next(beneath, None)):
        raise UserError(f"{twice} would be written twice; rename one of the pictures, or predict them one by one")
    sources = {Path(item.source).resolve() for item in usable}
    holding = {parent for source in sources for parent in source.parents}
    if over := next((target for target in counts if target.resolve() in sources | holding), None):
        verb = "is" if over.resolve() in sources else "holds"
        raise UserError(f"{over} {verb} a picture to be predicted, and would be written over; {ADVICE}")
    there = next((target for target in (*counts, output / TABLE) if target.exists()), None)
    if there is not None and not force:
        raise UserError(f"{there} is there already; {ADVICE}, or --force to replace what is there")
    for folder in sorted(folders):  # replaced as a whole
        if strange := next((path for path in _entries(folder) if not _FRAME.fullmatch(path.name)), None):
            raise UserError(f"{strange} is no frame of a video, and the folder would be replaced; {ADVICE}")
    return items


def _with_a_short_name(item: Item, output: Path) -> Item:
    """The item, unusable where file systems would not take its outputs' names."""
    if item.unusable:
        return item
    longest = max(len(os.fsencode(target.name)) for target in item.targets(output))
    if longest <= LONGEST_NAME:
        return item
    return replace(item, unusable=f"its name is {longest - LONGEST_NAME} bytes too long to write predictions under it")


def _items(path: str, output: Path) -> Iterator[Item]:
    if path.startswith("<") and path.endswith(">"):
        yield Item(source=path, name=path.strip("<>"), video=True)
        return
    if path.startswith(PREFIX):
        yield from _of_own_data(path)
        return
    found = Path(path)
    if not found.is_dir():
        if not found.exists():
            raise UserError(f"{path}: no such picture, video or folder")
        yield Item(source=path, name=found.stem, video=_is_video(found))
        return
    target, top = output.resolve(), found.resolve()
    for file in _files(found):
        if os.path.isdir(file) or not os.path.exists(file):
            yield Item(source=str(file), name="", video=False, unusable="can't be read, or is a link to nothing")
            continue
        own = target in file.resolve().parents and target not in (top, *top.parents)
        if file.suffix.lower() in _PICTURES | _VIDEOS and file.is_file() and not own:
            name = file.relative_to(found).with_suffix("").as_posix()
            yield Item(source=str(file), name=name, video=_is_video(file))


def _of_own_data(name: str) -> Iterator[Item]:
    """The images of all splits, each called `<split>/<name>`."""
    found = read_folder(place_of(name.removeprefix(PREFIX)))
    found.require_sound()
    for split, pairs in found.pairs.items():
        for pair in pairs:
            yield Item(source=str(pair.image), name=f"{split}/{pair.stem}", video=False)


def _files(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """What lies in a folder and its subfolders, by name, without what is hidden; folders that can't be read.

    Links are followed, but not back to a folder that they lie in.
    """
    above |= {folder.resolve()}
    try:
        paths = _entries(folder)
    except OSError:
        yield folder
        return
    for path in paths:
        if path.name.startswith("."):
            continue
        if not os.path.isdir(path):  # as Path.is_dir, but false where the system does not say
            yield path
        elif path.resolve() not in above:
            yield from _files(path, above)


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name; nothing where there is none."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_video(path: Path) -> bool:
    """By its name; a GIF is one if it has several frames."""
    if path.suffix.lower() != ".gif":
        return path.suffix.lower() in _VIDEOS
    try:
        with Image.open(path) as image:
            return bool(getattr(image, "is_animated", False))
    except (*UNREADABLE, Image.DecompressionBombError):
        return False
