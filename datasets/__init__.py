"""What the architectures are compared on: images with a class for every pixel. Knows nothing of networks.

names()                          the datasets there are
info(name)                       classes, colors, size, splits, source
load(name, split, root)          a split: a sequence of (image, label)
content_hash(name, root)         (variant, SHA-256) of what the files hold
"""

from datasets.base import SPLITS, VOID, Dataset, DatasetError, DatasetInfo
from datasets.registry import content_hash, info, load, names

__all__ = [
    "SPLITS",
    "VOID",
    "Dataset",
    "DatasetError",
    "DatasetInfo",
    "content_hash",
    "info",
    "load",
    "names",
]
