"""What `--encoder-weights` names: `none`, `imagenet`, or a file."""

import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import architectures
from harness.errors import UserError
from harness.protocol import Protocol
from harness.spec import InitialWeights, RunSpec

HE = InitialWeights(kind="none", title="He et al.")
IMAGENET = InitialWeights(kind="imagenet", title="VGG16 ImageNet (torchvision IMAGENET1K_V1)")
# of a network of another library: that one's weights for its encoder
OWN_IMAGENET = InitialWeights(kind="imagenet", title="ImageNet (its library's own)")

Channels = tuple[float, float, float]  # R, G, B
# How far a protocol's input may be from that of the weights: gray levels of the mean, share of the deviation
MEAN_TOLERANCE, STD_TOLERANCE = 1.0, 0.02


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


def fitted(info: architectures.ArchitectureInfo, weights: InitialWeights) -> InitialWeights:
    """What was asked for as this architecture can have it, with a title that says so.

    Raises:
        UserError: weights that it can't start from.
    """
    if weights.kind == "none":
        return weights.model_copy(update={"title": info.initialization})
    if info.imagenet == "vgg16":
        return weights
    if takes_own(info, weights):
        return OWN_IMAGENET
    others = "imagenet (its library's own) or none" if info.imagenet == "own" else "none"
    raise UserError(
        f"{info.name} can't start from {weights.title}: give --encoder-weights {others}, or leave it out"
    )


def takes_own(info: architectures.ArchitectureInfo, weights: InitialWeights) -> bool:
    """Whether the encoder starts from the ImageNet weights of the library that it comes from."""
    return weights.kind == "imagenet" and info.imagenet == "own"


def check_input(name: str, protocol: Protocol, mean: Channels, std: Channels) -> None:
    """Refuse a protocol whose input is not what a library's weights were trained on.

    Args:
        name: of the architecture.
        protocol: that it is trained with.
        mean: what the weights want subtracted, in gray levels of 0..255.
        std: what they want it divided by.

    Raises:
        UserError: the input is another.
    """
    far = any(abs(a - b) > MEAN_TOLERANCE for a, b in zip(protocol.input_mean, mean, strict=True))
    far |= any(abs(a / b - 1) > STD_TOLERANCE for a, b in zip(protocol.input_std, std, strict=True))
    if far or protocol.standardize or protocol.local_response_norm:
        wanted = [", ".join(f"{value:.4g}" for value in values) for values in (mean, std)]
        raise UserError(
            f"{name}: its library's ImageNet weights want input (RGB - ({wanted[0]})) / ({wanted[1]}), which "
            f"protocol {protocol.title} does not give; choose another protocol, or --encoder-weights none"
        )


def locate_for(specs: Sequence[RunSpec], text: str) -> Path | None:
    """The file that some of these runs load, none where no run loads one; see `locate`."""
    loading = (one for one in specs if architectures.info(one.architecture).imagenet == "vgg16")
    first = next(loading, None)
    return locate(first.initial_weights, text) if first else None


def locate(weights: InitialWeights, text: str) -> Path | None:
    """The file to load, downloading torchvision's if that is meant; none for He initialization.

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
