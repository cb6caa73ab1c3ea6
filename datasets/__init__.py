"""What the architectures are compared on: images with a class for every pixel. Knows nothing of networks.

names()                          the datasets there are
info(name, root)                 classes, colors, size, splits, source
load(name, split, root)          a split: a sequence of (image, label)
content_hash(name, root)         (variant, SHA-256) of what the files hold
resolve(name, root)              the name that runs know it by, and its data root
declare(classes=...)             marks a plugin's function

Where a name is asked for, `folder:PATH` is a folder of anyone's images and labels.
"""

from datasets.base import SPLITS, VOID, Dataset, DatasetError, DatasetInfo
from datasets.plugins import declare
from datasets.registry import content_hash, info, load, names, resolve

PROJECT = "segnet-harness"  # tells this package from others of its name

__all__ = [
    "SPLITS",
    "VOID",
    "Dataset",
    "DatasetError",
    "DatasetInfo",
    "content_hash",
    "declare",
    "info",
    "load",
    "names",
    "resolve",
]
