"""Pictures and videos through a model, and the files that come of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from architectures import ArchitectureError
from architectures.base import Architecture
from harness.deploy.items import ADVICE, TABLE, Item
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
from harness.system.corruption import is_out_of_memory
from harness.system.errors import UserError, how_to_install, printable
from harness.system.files import replacing, replacing_folder, write_atomically
from harness.training.evaluator import label_png


@dataclass(kw_only=True)
class Outcome:
    """What became of the pictures: how many are done, and a line on each that could not be used."""

    done: int = 0
    failed: list[str] = field(default_factory=list)


def predict_items(
    predictor: Predictor,
    items: Sequence[Item],
    output: Path,
    *,
    batch: int = 1,
    native: bool = False,
    on_pictures: Callable[[int], None] = lambda pictures: None,
) -> Outcome:
    """Predict all that `collect` found and write the files; pictures that can't be used are left out and named.

    batch: pictures or frames a forward pass. native: run the model at each picture's own size. on_pictures is called
    with the number of pictures or frames done.

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
        staging = stack.enter_context(replacing_folder(folder, ADVICE))
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
        raise UserError(f"{source}: videos need the extra video; {how_to_install('video')} ({error})") from None
    # the plugin refuses files by their names, such as .m4v and .gif, which ffmpeg reads
    named = {} if source.startswith("<") else {"extension": ".mp4"}
    with _reading(source):
        return imopen(source, "r", plugin="FFMPEG", legacy_mode=True, **named).legacy_get_reader()


@contextmanager
def _video_writer(path: Path, fps: float) -> Iterator[Any]:
    """Writes frames (H, W, 3) of even height and width to an MP4 file, which is put in place when complete."""
    import imageio.v2 as imageio

    with replacing(path, ADVICE, "video") as temporary:
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
