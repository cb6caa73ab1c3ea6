"""Reads image and label files, and turns whatever is wrong with one into a DatasetError that names it."""

import io
import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from datasets.base import VOID, DatasetError, Pixels, Size, one_line

MAX_PIXELS = 6000 * 6000
"""Larger pictures are refused from their header, before they are unpacked."""

# What Pillow raises for damaged files: besides OSError (UnidentifiedImageError is one) whatever its
# decoders meet. A broken PNG chunk is a SyntaxError, a truncated header a struct.error.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error, zlib.error)

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # tags of TIFF
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_BIT_DEPTH_AT = 24
# By what Pillow multiplies the values of gray PNGs of few bits, so that the largest becomes 255
_GRAY_SCALE = {2: 85, 4: 17}
_ORIENTATION, _UPRIGHT = 0x0112, 1  # EXIF's tag, and its value for a picture that is to be shown as stored
_ON_ITS_SIDE = (5, 6, 7, 8)
# From how a picture is to be shown to how it is stored, by the tag's value.
_BACK: Mapping[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_JPEG_MAGIC = b"\xff\xd8\xff"

PHOTO_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
LABEL_FORMATS = ("PNG", "BMP", "TIFF")
Orientation = Literal["refuse", "apply", "stored"]
"""What is done with a picture that EXIF says is to be shown turned or mirrored."""


class TurnedPicture(DatasetError):
    """A picture that is to be shown otherwise than it is stored."""


def read_image(path: Path) -> Pixels:
    """An image file (PNG or JPEG, 8-bit RGB) as (H, W, 3); DatasetError otherwise."""
    data = read_bytes(path)
    image = _open(path, data, ("PNG", "JPEG"))
    deep = data.startswith(_PNG_MAGIC) and data[_PNG_BIT_DEPTH_AT] != 8
    if image.mode != "RGB" or deep:
        depth = f"{data[_PNG_BIT_DEPTH_AT]}-bit " if deep else ""
        raise DatasetError(f"{path}: the image is {depth}{image.mode}, not 8-bit RGB: save it as 8-bit RGB")
    pixels: Pixels = _decode(path, image)
    return pixels


def read_label(path: Path, num_classes: int, void: int, first: int = 0) -> Pixels:
    """A label file (PNG, one value a pixel) as (H, W), where the files' `void` has become VOID.

    Where the files' classes begin at `first`, they are moved down to begin at 0.

    DatasetError if it is no such file or holds a value that is neither a class nor void.
    """
    data = read_bytes(path)
    image = _open(path, data, ("PNG",))
    if image.mode not in ("L", "P"):
        raise DatasetError(
            f"{path}: the label is {image.mode}, not 8-bit gray or palette: save one class index a pixel, not colors"
        )
    label: Pixels = _decode(path, image)
    if image.mode == "L":
        label //= np.uint8(_GRAY_SCALE.get(data[_PNG_BIT_DEPTH_AT], 1))
    wrong = ((label < first) | (label >= first + num_classes)) & (label != void)
    if wrong.any():
        row, column = (int(v) for v in np.argwhere(wrong)[0])
        raise DatasetError(
            f"{path}: label value {label[row, column]} at row {row}, column {column}; "
            f"classes are {first} to {first + num_classes - 1} and void is {void}"
        )
    empty = label == void
    label -= np.uint8(first)
    label[empty] = VOID
    return label


def read_photo(path: Path, orientation: Orientation = "refuse") -> Pixels:
    """An image file of most kinds as 8-bit RGB (H, W, 3): gray is repeated, alpha dropped; DatasetError otherwise."""
    data = read_bytes(path)
    image = _open(path, data, PHOTO_FORMATS, orientation)
    bits = bits_a_channel(image, data)
    if bits > 8 or image.mode not in ("RGB", "L", "P", "RGBA", "LA", "1", "CMYK", "YCbCr"):
        depth = f"{bits}-bit " if bits > 8 else ""
        raise DatasetError(f"{path}: the image is {depth}{image.mode}, not 8-bit: save it as 8-bit RGB or gray")
    pixels: Pixels = _decode(path, image, "RGB", orientation)
    return pixels


def read_values(path: Path, orientation: Orientation = "refuse") -> NDArray[np.uint16] | Pixels:
    """A label file as it is: one value a pixel (H, W) uint16, or a picture in colors (H, W, 3) uint8.

    Of a palette the index counts, never its color; gray of any number of bits keeps its values; three equal
    channels count as one. DatasetError for other kinds, and for JPEG, which changes values.
    """
    data = read_bytes(path)
    if data.startswith(_JPEG_MAGIC):
        raise DatasetError(f"{path}: a label as JPEG, whose compression changes values: save labels as PNG")
    image = _open(path, data, LABEL_FORMATS, orientation)
    bits = _stored_bits(path, image, data)
    if image.mode == "RGB":
        if bits > 8:
            raise DatasetError(f"{path}: the label is {bits}-bit RGB: save one class index a pixel, or 8-bit colors")
        colors: Pixels = _decode(path, image, orientation=orientation)
        return colors
    if image.mode not in ("L", "P", "1", "I;16", "I;16B", "I;16L", "I"):
        raise DatasetError(
            f"{path}: the label is {image.mode}: save one class index a pixel (8-bit gray), or colors without alpha"
        )
    kind = np.int32 if image.mode == "I" else np.uint16  # of 32 bits values may be negative
    values: NDArray[np.integer[Any]] = _decode(path, image, orientation=orientation, kind=kind)
    if image.mode == "L":
        values //= _GRAY_SCALE.get(bits, 1)
    if values.size and not 0 <= int(values.min()) <= int(values.max()) <= 65535:
        raise DatasetError(f"{path}: label values {values.min()} to {values.max()}: they must be 0 to 65535")
    return values.astype(np.uint16, copy=False)


def palette_colors(path: Path) -> list[tuple[int, int, int]] | None:
    """Index -> color of a label with a palette; none of any other."""
    image = _open(path, read_bytes(path), LABEL_FORMATS, "stored")
    if image.mode != "P":
        return None
    flat = image.getpalette("RGB") or []
    return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))


def _stored_bits(path: Path, image: Image.Image, data: bytes) -> int:
    """Bits of a label's value; DatasetError for a TIFF whose 0 is white, which Pillow turns into its negative."""
    if isinstance(image, TiffImageFile) and image.mode in ("1", "L") and image.tag_v2.get(_PHOTOMETRIC) == 0:
        raise DatasetError(f"{path}: a TIFF in which 0 is white: its values are turned round; save labels as PNG")
    return bits_a_channel(image, data)


def bits_a_channel(image: Image.Image, data: bytes) -> int:
    """Bits of a stored value: Pillow scales gray of 2 and 4 to 8 of them, and cuts colors of 16 down."""
    if data.startswith(_PNG_MAGIC):
        return data[_PNG_BIT_DEPTH_AT]
    return int(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))[0]) if isinstance(image, TiffImageFile) else 8


def read_size(path: Path, formats: tuple[str, ...] = ("PNG", "JPEG"), orientation: Orientation = "refuse") -> Size:
    """(height, width) from a picture's header."""
    image = _open(path, read_bytes(path), formats, orientation)
    width, height = image.size
    # Pillow opens a TIFF with the size that it is to be shown at
    turned = (orientation == "apply") != isinstance(image, TiffImageFile) and _orientation(image) in _ON_ITS_SIDE
    return (width, height) if turned else (height, width)


def read_bytes(path: Path) -> bytes:
    """A file's content; DatasetError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or one_line(error)}") from error


def _open(path: Path, data: bytes, formats: tuple[str, ...], orientation: Orientation = "refuse") -> Image.Image:
    """The picture with its header read, of a format, a size and an orientation that are allowed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError as error:
        raise DatasetError(f"{path}: refused: {one_line(error)}") from error
    except _BROKEN as error:
        raise DatasetError(
            f"{path}: no readable {' or '.join(formats)} file ({len(data)} bytes; {_reason(error)}): "
            "fetch it again, or save it anew without metadata"
        ) from error
    if image.width * image.height > MAX_PIXELS:
        raise DatasetError(
            f"{path}: refused: {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}: make it smaller, or "
            "cut it into tiles, its pair alike"
        )
    turned = _orientation(image)
    if turned != _UPRIGHT and orientation == "refuse":
        raise TurnedPicture(
            f"{path}: its metadata says that it is to be shown turned or mirrored (EXIF orientation {turned}), "
            "and its pair may not be: save it as it is to be seen, without that entry"
        )
    return image


def _orientation(image: Image.Image) -> object:
    """How a picture is to be turned, by its metadata; upright where that can't be read."""
    try:
        return image.getexif().get(_ORIENTATION, _UPRIGHT)
    except _BROKEN:
        return _UPRIGHT


def _reason(error: Exception) -> str:
    """What Pillow says, without the name of the buffer that it read from."""
    return one_line(error).partition(" <_io")[0] or type(error).__name__


def _decode(
    path: Path,
    image: Image.Image,
    mode: str | None = None,
    orientation: Orientation = "refuse",
    kind: type[np.integer[Any]] = np.uint8,
) -> Any:
    """The pixels of an opened picture as a writable array."""
    try:
        if orientation == "apply":
            image = ImageOps.exif_transpose(image)
        elif isinstance(image, TiffImageFile) and (back := _BACK.get(_orientation(image))) is not None:
            image.load()  # Pillow turns it then, unasked
            image = image.transpose(back)
        return np.array(image if mode in (None, image.mode) else image.convert(mode), dtype=kind)
    except _BROKEN as error:
        raise DatasetError(f"{path}: damaged or cut off ({one_line(error)}): fetch it again") from error
