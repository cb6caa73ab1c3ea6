"""What `--encoder-weights` names: `none`, `imagenet`, or a file."""

import hashlib
import json
import struct
from pathlib import Path

from harness.errors import UserError
from harness.spec import InitialWeights

HE = InitialWeights(kind="none", title="He et al.")
IMAGENET = InitialWeights(kind="imagenet", title="VGG16 ImageNet (torchvision IMAGENET1K_V1)")


def resolve(text: str) -> InitialWeights:
    """The initial weights that a command-line value means, without loading them.

    A file is known by its SHA-256, so that the same weights under another name are the same run.

    Raises:
        UserError: no such file, or one that can't be read.
    """
    if text == "none":
        return HE
    if text == "imagenet":
        return IMAGENET
    path = Path(text)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(
            f"encoder weights {text!r}: {error.strerror}; give none, imagenet or a .safetensors or .pth file"
        ) from None
    return InitialWeights(kind="file", sha256=digest, title=_title(path))


def locate(weights: InitialWeights, text: str) -> Path | None:
    """The file to load, downloading torchvision's if that is meant; none for He initialisation.

    Raises:
        architectures.ArchitectureError: torchvision's weights can't be downloaded.
    """
    if weights.kind == "none":
        return None
    if weights.kind == "imagenet":
        from architectures.weights import imagenet_vgg16

        return imagenet_vgg16()
    return Path(text).resolve()


def _title(path: Path) -> str:
    """The file's own word for what it holds (safetensors metadata `source`), else its name."""
    if path.suffix == ".safetensors":
        try:
            with path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(min(length, 10**6)))
            source = header.get("__metadata__", {}).get("source")
        except (OSError, struct.error, ValueError, AttributeError):
            return path.name  # whoever loads it says what is wrong with it
        if isinstance(source, str) and source.strip():
            return " ".join(source.split())
    return path.name
