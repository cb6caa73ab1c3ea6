"""Pictures, folders, videos and webcams through a model, and the files that come of them.

Of a picture `a.jpg`: `a.png` (class indices), `a_color.png`, `a_overlay.png`; of a video `a.mp4`: a folder `a` with an
index PNG a frame, `a_color.mp4` and `a_overlay.mp4`; of all together `classes.csv`, the share of each class.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from architectures import ArchitectureError
from architectures.base import Architecture
from harness.deploy.predict import (
    Pixels,
    Predictor,
    UnreadablePicture,
    class_shares,
    colored,
    overlay,
    read_picture,
)
from harness.deploy.weights import ModelConfig
from harness.system.corruption import UNREADABLE, is_out_of_memory
from harness.system.errors import UserError, printable
from harness.system.files import LONGEST_NAME, replacing, replacing_folder, write_atomically
from harness.training.evaluator import label_png

TABLE = "classes.csv"
_VIDEOS = frozenset((".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"))
_PICTURES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"))
_ADVICE = "choose another --output"
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


@dataclass(kw_only=True)
class Outcome:
    """What became of the pictures: how many are done, and a line on each that could not be used."""

    done: int = 0
    failed: list[str] = field(default_factory=list)


def collect(paths: Sequence[str], output: Path, force: bool) -> list[Item]:
    """What to predict, in order; of a folder all pictures and videos in it, in its subfolders too.

    Args:
        paths: files, folders, or webcams such as <video0>.
        output: the folder to write to; what lies in it is not taken for input.
        force: allow what is there already to be replaced.

    Raises:
        UserError: nothing to predict, no such file, or a file that would be written twice, over another, or over
            one to be predicted, which no option allows.
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
        raise UserError(f"{over} {verb} a picture to be predicted, and would be written over; {_ADVICE}")
    there = next((target for target in (*counts, output / TABLE) if target.exists()), None)
    if there is not None and not force:
        raise UserError(f"{there} is there already; {_ADVICE}, or --force to replace what is there")
    for folder in sorted(folders):  # replaced as a whole
        if strange := next((path for path in _entries(folder) if not _FRAME.fullmatch(path.name)), None):
            raise UserError(f"{strange} is no frame of a video, and the folder would be replaced; {_ADVICE}")
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


def predict_items(
    predictor: Predictor,
    items: Sequence[Item],
    output: Path,
    *,
    batch: int = 1,
    native: bool = False,
    on_pictures: Callable[[int], None] = lambda pictures: None,
) -> Outcome:
    """Predict all and write the files; pictures that can't be used are left out and named.

    Args:
        predictor: the model.
        items: from `collect`.
        output: folder to write to.
        batch: pictures or frames a forward pass.
        native: run the model at each picture's own size.
        on_pictures: called with the number of pictures or frames done.

    Raises:
        UserError: a folder that can't be written, or videos where the extra for them is missing.
    """
    outcome, rows = Outcome(), list[list[str]]()
    outcome.failed += [f"{item.source}: {item.unusable}" for item in items if item.unusable]
    usable = [item for item in items if not item.unusable]

    def row(name: str, labels: Pixels) -> list[str]:
        on_pictures(1)
        shares = class_shares(labels, predictor.config.num_classes)
        return [name, str(labels.shape[1]), str(labels.shape[0]), *(f"{share:.6f}" for share in shares)]

    try:
        stills = (item for item in usable if not item.video)
        pictures = _read(stills, outcome, predictor.model if native else None)
        for item, picture, labels in _predicted(predictor, pictures, batch, native):
            with _left_out(item, outcome):
                _write(item.targets(output), picture, _there(labels), predictor.config)
                rows.append(row(item.source, _there(labels)))
        for item in usable:
            if item.video:
                with _left_out(item, outcome):
                    rows += _predict_video(predictor, item, output, batch, native, row)
    finally:
        write_atomically(output / TABLE, _table(rows, predictor.config.classes))
    outcome.done = len(rows)
    return outcome


@contextmanager
def _left_out(item: Item, outcome: Outcome) -> Iterator[None]:
    """Notes what can't be used, or needs more memory than there is, so that the others go on."""
    try:
        yield
    except UnreadablePicture as error:
        outcome.failed.append(str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        outcome.failed.append(f"{item.source}: needs more memory than there is; make it smaller")


def _there(labels: Pixels | None) -> Pixels:
    if labels is None:
        raise MemoryError
    return labels


def _write(targets: Sequence[Path], picture: Pixels, labels: Pixels, config: ModelConfig) -> None:
    """Make all files of a picture, and only then write them."""
    contents = label_png(labels), _png(colored(labels, config)), _png(overlay(picture, labels, config))
    for target, data in zip(targets, contents, strict=True):
        write_atomically(target, data)


def _read(items: Iterable[Item], outcome: Outcome, native: Architecture | None) -> Iterator[tuple[Item, Pixels]]:
    """native: the model that is to run at the pictures' own sizes."""
    for item in items:
        try:
            picture = read_picture(Path(item.source))
            if native is not None:
                _check_size(native, item.source, picture.shape[0], picture.shape[1])
        except UnreadablePicture as error:
            outcome.failed.append(str(error))
        else:
            yield item, picture


def _check_size(model: Architecture, source: str, height: int, width: int) -> None:
    try:
        model.check_images(height, width)
    except ArchitectureError as error:
        raise UnreadablePicture(f"{source}: {error}; leave --native out") from error


def _predicted(
    predictor: Predictor, pictures: Iterable[tuple[Any, Pixels]], batch: int, native: bool
) -> Iterator[tuple[Any, Pixels, Pixels | None]]:
    """Each picture with its key and its label map; none for which there is no memory.

    Batches hold neighbors, in native size only those of one size.
    """
    waiting: list[tuple[Any, Pixels]] = []

    def flush() -> Iterator[tuple[Any, Pixels, Pixels | None]]:
        maps = _maps(predictor, [picture for _, picture in waiting], native) if waiting else []
        yield from ((key, picture, labels) for (key, picture), labels in zip(waiting, maps, strict=True))
        waiting.clear()

    for key, picture in pictures:
        if len(waiting) >= batch or (native and waiting and waiting[0][1].shape != picture.shape):
            yield from flush()
        waiting.append((key, picture))
    yield from flush()


def _maps(predictor: Predictor, pictures: Sequence[Pixels], native: bool) -> Sequence[Pixels | None]:
    """Label maps; where there is no memory for all at once, each is tried by itself."""
    try:
        return predictor.labels(pictures, native)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    if len(pictures) == 1:  # behind the handler, in which the error would hold on to the memory
        return [None]
    return [labels for one in pictures for labels in _maps(predictor, [one], native)]


def _predict_video(
    predictor: Predictor,
    item: Item,
    output: Path,
    batch: int,
    native: bool,
    row: Callable[[str, Pixels], list[str]],
) -> list[list[str]]:
    """Predict frame by frame, for a row each; Ctrl-C ends a webcam, and what is done until then is kept."""
    reader = _opened(item.source)
    fps = float(reader.get_meta_data().get("fps") or 25.0)
    folder, colors, mixed = item.targets(output)
    rows: list[list[str]] = []
    with ExitStack() as stack:
        stack.callback(reader.close)
        if native:
            width, height = reader.get_meta_data()["size"]
            _check_size(predictor.model, item.source, height, width)
        staging = stack.enter_context(replacing_folder(folder, _ADVICE))
        color_video, overlay_video = (stack.enter_context(_video_writer(path, fps)) for path in (colors, mixed))
        try:
            for n, frame, found in _predicted(predictor, _frames(item.source, reader), batch, native):
                labels = _there(found)
                write_atomically(staging / f"{n:06d}.png", label_png(labels))
                color_video.append_data(_even(colored(labels, predictor.config)))
                overlay_video.append_data(_even(overlay(frame, labels, predictor.config)))
                rows.append(row(f"{item.source}#{n}", labels))
        except KeyboardInterrupt:
            if not item.source.startswith("<"):
                raise
        if not rows:
            raise UnreadablePicture(f"{item.source}: no readable video: it has no frames")
    return rows


def _frames(source: str, reader: Any) -> Iterator[tuple[int, Pixels]]:
    """Frames (H, W, 3) with their numbers."""
    with _reading(source):
        for n, frame in enumerate(reader):
            yield n, np.ascontiguousarray(frame[..., :3])


@contextmanager
def _reading(source: str) -> Iterator[None]:
    """What ffmpeg says of a damaged video, in its last line, as UnreadablePicture."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, IndexError) as error:
        *_, last = ["", *str(error).strip().splitlines()]
        raise UnreadablePicture(f"{source}: no readable video: {printable(last)}") from error


def _opened(source: str) -> Any:
    try:
        import imageio_ffmpeg  # type: ignore[import-untyped]  # noqa: F401
        from imageio.v3 import imopen
    except ImportError as error:
        raise UserError(f"{source}: videos need the extra video: pip install '.[video]' ({error})") from None
    # the plugin refuses files by their names, such as .m4v and .gif, which ffmpeg reads
    named = {} if source.startswith("<") else {"extension": ".mp4"}
    with _reading(source):
        return imopen(source, "r", plugin="FFMPEG", legacy_mode=True, **named).legacy_get_reader()


@contextmanager
def _video_writer(path: Path, fps: float) -> Iterator[Any]:
    """Writes frames (H, W, 3) of even height and width to an MP4 file, which is put in place when complete."""
    import imageio.v2 as imageio

    with replacing(path, _ADVICE, "video") as temporary:
        unfinished = temporary.with_suffix(".mp4")  # the library tells the format by it
        writer = imageio.get_writer(unfinished, fps=fps, macro_block_size=1)
        try:
            yield writer
            writer.close()
            unfinished.replace(temporary)
        finally:
            writer.close()
            unfinished.unlink(missing_ok=True)


def _even(frame: Pixels) -> Pixels:
    """The frame with its last row or column repeated where that makes their number even, as the codec wants it."""
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def _png(pixels: Pixels) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, format="PNG")
    return target.getvalue()


def _table(rows: Sequence[Sequence[str]], classes: Sequence[str]) -> bytes:
    """classes.csv: shares of 0..1, a row a picture."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["picture", "width", "height", *classes])
    writer.writerows(rows)
    return target.getvalue().encode("utf-8", "backslashreplace")  # of names that are no UTF-8
