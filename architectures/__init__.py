"""The networks under comparison. Knows nothing of training, data or measuring.

`names`, `info`, `verify`, `build`, `file_name` and `pretrained_release` are the public interface, and
`declare`, by which a plugin tells what its network needs; importing this package does not import torch, which
is loaded by the first `build`. Encoder weights are loaded by `architectures.encoders.weights`.
"""

from architectures.architecture_info import ArchitectureError, ArchitectureInfo
from architectures.catalog import names
from architectures.external.plugins import declare
from architectures.registry import build, file_name, info, pretrained_release, verify

__all__ = [
    "ArchitectureError",
    "ArchitectureInfo",
    "build",
    "declare",
    "file_name",
    "info",
    "names",
    "pretrained_release",
    "verify",
]
