"""Pictures, folders, videos and webcams through a model, and the files that come of them.

Of a picture `a.jpg`: `a.png` (class indices), `a_color.png`, `a_overlay.png`; of a video `a.mp4`: a folder `a` with an
index PNG a frame, `a_color.mp4` and `a_overlay.mp4`; of all together `classes.csv`, the share of each class.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
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
from harness.system.errors import UserError
from harness.system.files import replacing, write_atomically
from harness.training.evaluator import label_png

TABLE = "classes.csv"
_VIDEOS = frozenset((".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"))
_PICTURES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"))
_ADVICE = "choose another --output"


@dataclass(frozen=True, kw_only=True)
class Item:
    """A picture or a video. source: its file, or a webcam such as <video0>. name: of its outputs, without suffix."""

    source: str
    name: str
    video: bool

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
    counts = Counter(target for item in items for target in item.targets(output))
    if twice := next((target for target, count in counts.items() if count > 1), None):
        raise UserError(f"{twice} would be written twice; rename one of the pictures, or predict them one by one")
    sources = {Path(item.source).resolve() for item in items}
    if over := next((target for target in counts if target.resolve() in sources), None):
        raise UserError(f"{over} is a picture to be predicted, and would be written over; {_ADVICE}")
    there = next((target for target in (*counts, output / TABLE) if target.exists()), None)
    if there is not None and not force:
        raise UserError(f"{there} is there already; {_ADVICE}, or --force to replace what is there")
    return items


def _items(path: str, output: Path) -> Iterator[Item]:
    if path.startswith("<") and path.endswith(">"):
        yield Item(source=path, name=path.strip("<>"), video=True)
        return
    found = Path(path)
    if not found.is_dir():
        if not found.exists():
            raise UserError(f"{path}: no such picture, video or folder")
        yield Item(source=path, name=found.stem, video=found.suffix.lower() in _VIDEOS)
        return
    target, inside = output.resolve(), found.resolve() in output.resolve().parents
    for file in sorted(found.rglob("*")):
        own = inside and target in file.resolve().parents
        hidden = any(part.startswith(".") for part in file.relative_to(found).parts)
        if file.suffix.lower() in _PICTURES | _VIDEOS and file.is_file() and not (own or hidden):
            name = file.relative_to(found).with_suffix("").as_posix()
            yield Item(source=str(file), name=name, video=file.suffix.lower() in _VIDEOS)


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

    def note(name: str, labels: Pixels) -> None:
        shares = class_shares(labels, predictor.config.num_classes)
        rows.append([name, str(labels.shape[1]), str(labels.shape[0]), *(f"{share:.6f}" for share in shares)])
        outcome.done += 1
        on_pictures(1)

    try:
        stills = (item for item in items if not item.video)
        pictures = _read(stills, outcome, predictor.model if native else None)
        for item, picture, labels in _predicted(predictor, pictures, batch, native):
            index, colors, mixed = item.targets(output)
            write_atomically(index, label_png(labels))
            write_atomically(colors, _png(colored(labels, predictor.config)))
            write_atomically(mixed, _png(overlay(picture, labels, predictor.config)))
            note(item.source, labels)
        for item in items:
            if item.video:
                try:
                    _predict_video(predictor, item, output, batch, native, note)
                except UnreadablePicture as error:
                    outcome.failed.append(str(error))
    finally:
        write_atomically(output / TABLE, _table(rows, predictor.config.classes))
    return outcome


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
) -> Iterator[tuple[Any, Pixels, Pixels]]:
    """Each picture with its key and its label map; batches hold neighbors, in native size only those of one size."""
    waiting: list[tuple[Any, Pixels]] = []

    def flush() -> Iterator[tuple[Any, Pixels, Pixels]]:
        maps = predictor.labels([picture for _, picture in waiting], native) if waiting else []
        yield from ((key, picture, labels) for (key, picture), labels in zip(waiting, maps, strict=True))
        waiting.clear()

    for key, picture in pictures:
        if len(waiting) >= batch or (native and waiting and waiting[0][1].shape != picture.shape):
            yield from flush()
        waiting.append((key, picture))
    yield from flush()


def _predict_video(
    predictor: Predictor,
    item: Item,
    output: Path,
    batch: int,
    native: bool,
    note: Callable[[str, Pixels], None],
) -> None:
    """Predict frame by frame; Ctrl-C ends a webcam, and what is done until then is kept."""
    reader = _opened(item.source)
    fps = float(reader.get_meta_data().get("fps") or 25.0)
    folder, colors, mixed = item.targets(output)
    frames = ((n, np.ascontiguousarray(frame[..., :3])) for n, frame in enumerate(reader))
    with ExitStack() as stack:
        stack.callback(reader.close)
        if native:
            width, height = reader.get_meta_data()["size"]
            _check_size(predictor.model, item.source, height, width)
        color_video, overlay_video = (stack.enter_context(_video_writer(path, fps)) for path in (colors, mixed))
        try:
            for n, frame, labels in _predicted(predictor, frames, batch, native):
                write_atomically(folder / f"{n:06d}.png", label_png(labels))
                color_video.append_data(_even(colored(labels, predictor.config)))
                overlay_video.append_data(_even(overlay(frame, labels, predictor.config)))
                note(f"{item.source}#{n}", labels)
        except KeyboardInterrupt:
            if not item.source.startswith("<"):
                raise


def _opened(source: str) -> Any:
    try:
        import imageio.v2 as imageio
        import imageio_ffmpeg  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise UserError(f"{source}: videos need the extra video: pip install '.[video]' ({error})") from None
    try:
        return imageio.get_reader(source, "ffmpeg")
    except (OSError, RuntimeError, ValueError, IndexError) as error:
        raise UnreadablePicture(f"{source}: no readable video: {' '.join(str(error).split())[:200]}") from error


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
