"""What readers raise for damaged files, and what only looks like it."""

import lzma
import pickle
import struct
import zipfile
import zlib

from harness.system.errors import message_of

# An archive's flipped byte may meet any layer: its table, the compressed data, an array's header, a tensor's.
UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_NO_MEMORY = (
    "can't allocate memory",
    "Cannot allocate memory",
    "out of memory",
    "_ALLOC_FAILED",
    "bad_alloc",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device or the host refused memory; torch has one type for that on a GPU, none on a CPU."""
    return isinstance(error, MemoryError) or any(words in message_of(error) for words in _NO_MEMORY)
