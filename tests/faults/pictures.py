"""PNG files that Pillow would not write."""

import struct
import zlib


def deep_picture(size: tuple[int, int]) -> bytes:
    """A black RGB picture of this (height, width) with 16 bits a channel."""
    height, width = size
    return _png(width, height, depth=16, rows=bytes((1 + 6 * width) * height))


def big_picture(side: int) -> bytes:
    """A picture that says it has side x side pixels, in a few bytes."""
    return _png(side, side, depth=8, rows=b"")


def _png(width: int, height: int, *, depth: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
