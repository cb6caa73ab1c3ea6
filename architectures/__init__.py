"""The networks under comparison. Knows nothing of training, data or measuring.

`names`, `info` and `build` are the whole public interface; importing this package does not import torch,
which is loaded by the first `build`. Encoder weights are loaded by `architectures.weights`.
"""

from architectures.registry import ArchitectureError, ArchitectureInfo, build, info, names

__all__ = ["ArchitectureError", "ArchitectureInfo", "build", "info", "names"]
