"""Picture files that are not what they should be."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from datasets.base import VOID, DatasetError
from datasets.pictures import PHOTO_FORMATS, read_image, read_label, read_photo, read_size, read_values


def save(path: Path, picture: Image.Image, kind: str | None = None) -> Path:
    picture.save(path, format=kind)
    return path


def png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    """A PNG file from its parts, for what Pillow would not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [*((".png", mode) for mode in ("L", "P", "RGBA", "I;16", "1", "LA")), (".jpg", "CMYK"), (".jpg", "L")],
)
def test_images_must_be_rgb(tmp_path: Path, suffix: str, mode: str) -> None:
    path = save(tmp_path / f"a{suffix}", Image.new(mode, (4, 3)))
    with pytest.raises(DatasetError, match=rf"a\{suffix}: the image is .*{mode}, not 8-bit RGB: save it as"):
        read_image(path)


@pytest.mark.parametrize("mode", ["RGB", "I;16", "1", "RGBA", "LA"])
def test_labels_must_be_grey_or_palette(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path / "a.png", Image.new(mode, (4, 3)))
    with pytest.raises(DatasetError, match=r"a\.png: the label is .*save one class index a pixel"):
        read_label(path, 11, 11)


def test_palette_labels_give_indices(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = Image.fromarray(values).convert("P")
    picture.putdata(values.reshape(-1).tolist())
    picture.putpalette([value for k in range(256) for value in (k, 255 - k, 7)])
    label = read_label(save(tmp_path / "a.png", picture), 11, 11)
    assert np.array_equal(label, np.where(values == 11, VOID, values))


def test_label_value_out_of_range_is_placed(tmp_path: Path) -> None:
    values = np.zeros((3, 4), np.uint8)
    values[2, 1] = 37
    path = save(tmp_path / "a.png", Image.fromarray(values))
    with pytest.raises(DatasetError, match=r"a\.png: label value 37 at row 2, column 1; classes are 0 to 10"):
        read_label(path, 11, 11)


def test_label_must_be_a_png(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no readable PNG file"):
        read_label(save(tmp_path / "a.png", Image.new("L", (4, 3)), "JPEG"), 11, 11)


@pytest.mark.parametrize("side", [6001, 12000, 60000])
def test_absurd_sizes_are_refused_from_the_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, 8, 2, b""))
    with pytest.raises(DatasetError, match=r"bomb\.png: refused") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.png: cannot be read: No such file"):
        read_image(tmp_path / "none.png")
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"empty\.png: no readable PNG or JPEG file \(0 bytes; "):
        read_size(tmp_path / "empty.png")


def test_classes_of_a_file_that_begin_at_1(tmp_path: Path) -> None:
    path = tmp_path / "label.png"
    Image.fromarray(np.array([[0, 1, 37]], np.uint8)).save(path)
    assert read_label(path, 37, void=0, first=1).tolist() == [[VOID, 0, 36]]
    Image.fromarray(np.array([[0, 38, 1]], np.uint8)).save(path)
    with pytest.raises(DatasetError, match=r"value 38 at row 0, column 1; classes are 1 to 37 and void is 0"):
        read_label(path, 37, void=0, first=1)
    Image.fromarray(np.array([[0]], np.uint8)).save(path)
    with pytest.raises(DatasetError, match=r"value 0 at row 0, column 0"):
        read_label(path, 37, void=255, first=1)


@pytest.mark.parametrize(("depth", "kind"), [(2, 0), (4, 0), (8, 0), (2, 3), (4, 3), (8, 3)])
def test_labels_of_few_bits_keep_their_values(tmp_path: Path, depth: int, kind: int) -> None:
    """Gray (kind 0) and palette (kind 3): Pillow multiplies the former by 85 or 17, and leaves the latter."""
    values = [0, 1, 2, 3]
    packed = 0
    for value in values:
        packed = packed << depth | value
    rows = b"\0" + packed.to_bytes(depth * len(values) // 8, "big")
    path = tmp_path / "label.png"
    data = png(4, 1, depth, kind, rows)
    if kind == 3:
        colors = bytes(range(12))
        palette = struct.pack(">I", 12) + b"PLTE" + colors + struct.pack(">I", zlib.crc32(b"PLTE" + colors))
        start = data.index(b"IDAT") - 4
        data = data[:start] + palette + data[start:]
    path.write_bytes(data)
    assert read_label(path, num_classes=4, void=255).tolist() == [values]


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_pictures_that_are_to_be_shown_turned_are_refused(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.new("RGB", (4, 4)).save(path, exif=exif)
    with pytest.raises(DatasetError, match=rf"turned or mirrored \(EXIF orientation {orientation}\)"):
        read_image(path)
    with pytest.raises(DatasetError, match="save it as it is to be seen"):
        read_size(path)
    Image.new("L", (4, 4)).save(tmp_path / "label.png", exif=exif)
    with pytest.raises(DatasetError, match=f"EXIF orientation {orientation}"):
        read_label(tmp_path / "label.png", num_classes=4, void=255)
    exif[0x0112] = 1
    Image.new("RGB", (4, 4)).save(path, exif=exif)
    assert read_image(path).shape == (4, 4, 3)


@pytest.mark.parametrize("kind", ["png", "tif", "lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_as_it_is_stored_and_as_it_is_shown(tmp_path: Path, orientation: int, kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / ("a.png" if kind == "png" else "a.tif")
    Image.fromarray(pixels).save(path, exif=exif, **({"compression": "tiff_lzw"} if kind == "lzw" else {}))
    turns = [np.array, np.fliplr, lambda a: np.rot90(a, 2), np.flipud]
    turns += [lambda a: a.transpose(1, 0, 2), lambda a: np.rot90(a, -1)]
    turns += [lambda a: np.rot90(a, 2).transpose(1, 0, 2), np.rot90]
    shown = turns[orientation - 1](pixels)
    for way, expected in (("stored", pixels), ("apply", shown)):
        assert np.array_equal(read_photo(path, way), expected)  # type: ignore[arg-type]
        assert read_size(path, PHOTO_FORMATS, way) == expected.shape[:2]  # type: ignore[arg-type]


def test_a_png_with_too_much_text_is_refused_with_the_reason(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("note", "x" * 2_000_000, zip=True)
    path = tmp_path / "wordy.png"
    Image.new("RGB", (4, 4)).save(path, pnginfo=info)
    with pytest.raises(DatasetError, match=r"(?i)text.*save it anew without metadata"):
        read_image(path)


def tiff(bits: int, row: bytes, width: int, *, photometric: int = 1, samples: int = 1) -> bytes:
    """A TIFF of one row; photometric: 0 has 0 as white, 1 as black, 2 is RGB."""
    depths = struct.pack("<" + "H" * samples, *[bits] * samples) if samples > 1 else b""
    start = 8 + 2 + 12 * 9 + 4
    tags = {256: width, 257: 1, 258: start if depths else bits, 259: 1, 262: photometric}
    tags |= {273: start + len(depths), 277: samples, 278: 1, 279: len(row)}
    entries = b"".join(
        struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, samples if tag == 258 else 1, value)
        for tag, value in tags.items()
    )
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + depths + row


@pytest.mark.parametrize(
    "data",
    [
        png(4, 1, 2, 0, b"\0\x1b"),
        png(4, 1, 4, 0, b"\0\x01\x23"),
        png(4, 1, 16, 0, b"\0" + bytes([0, 0, 0, 1, 0, 2, 0, 3])),
        tiff(2, b"\x1b", 4),
        tiff(4, b"\x01\x23", 4),
        tiff(8, bytes(range(4)), 4),
        tiff(8, bytes([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]), 4, photometric=2, samples=3),
    ],
)
def test_values_of_labels_of_any_depth_are_those_stored(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    values = read_values(tmp_path / "a.png")
    assert (values[..., 0] if values.ndim == 3 else values).tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("read", "data", "says"),
    [
        (read_image, png(1, 1, 16, 2, b"\0" + bytes(6)), "the image is 16-bit RGB, not 8-bit RGB"),
        (read_values, png(1, 1, 16, 2, b"\0" + bytes(6)), "16-bit RGB"),
        (read_values, tiff(16, bytes(6), 1, photometric=2, samples=3), "16-bit RGB"),
        (read_values, tiff(8, bytes(range(4)), 4, photometric=0), "0 is white"),
        (read_values, tiff(1, b"\x55", 8, photometric=0), "0 is white"),
        (read_photo, png(1, 1, 16, 0, b"\0\1\0"), "16-bit I;16, not 8-bit: save it as 8-bit RGB or gray"),
        (read_photo, png(1, 1, 16, 2, b"\0" + bytes(6)), "16-bit RGB, not 8-bit: save it as 8-bit RGB or gray"),
        (read_photo, png(1, 1, 16, 6, b"\0" + bytes(8)), "16-bit RGBA, not 8-bit"),
        (read_photo, tiff(16, bytes(6), 1, photometric=2, samples=3), "16-bit RGB, not 8-bit"),
    ],
)
def test_pictures_whose_values_would_be_others_are_refused(
    read: Callable[[Path], object], data: bytes, says: str, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DatasetError, match=says):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("data", [png(1, 1, 4, 0, b"\0\x10"), tiff(1, b"\x80", 1, photometric=0)])
def test_photos_of_few_bits_are_read(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    assert len(set(read_photo(tmp_path / "a.png")[0, 0].tolist())) == 1
