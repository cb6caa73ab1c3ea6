"""What `--encoder-weights` names: `none`, `imagenet`, or files, one for each kind of encoder."""

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import architectures
from architectures.architecture_info import EncoderMismatch
from harness.config.protocol import Protocol
from harness.config.run_spec import InitialWeights, RunSpec
from harness.system.errors import UserError

HE = InitialWeights(kind="none", title="He et al.")
IMAGENET = InitialWeights(
    kind="imagenet",
    release="torchvision/vgg16-397923af",  # ends with the beginning of the file's SHA-256
    title="VGG16 ImageNet (torchvision IMAGENET1K_V1)",
)
# of a network of another library: that one's weights for its encoder
OWN_IMAGENET = InitialWeights(kind="imagenet", title="ImageNet (its library's own)")

Channels = tuple[float, float, float]  # R, G, B
# How far a protocol's input may be from that of the weights: gray levels of the mean, share of the deviation
MEAN_TOLERANCE, STD_TOLERANCE = 1.0, 0.02


@dataclass(frozen=True, kw_only=True)
class GivenWeights:
    """One value of `--encoder-weights`, and the file that it names."""

    weights: InitialWeights
    file: Path | None = None


def resolve(texts: Sequence[str]) -> tuple[GivenWeights, ...]:
    """The initial weights that command-line values mean, without loading them.

    A file is known by its SHA-256, so that the same weights under another name are the same run.

    Raises:
        UserError: no such file, or one that can't be read.
    """
    return tuple(_resolved(text) for text in texts)


def _resolved(text: str) -> GivenWeights:
    if text in ("none", "imagenet"):
        return GivenWeights(weights=HE if text == "none" else IMAGENET)
    path = Path(text)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(
            f"encoder weights {text!r}: {error.strerror}; give none, imagenet or a .safetensors or .pth file"
        ) from None
    weights = InitialWeights(kind="file", sha256=digest, title=_title(path))
    return GivenWeights(weights=weights, file=path.resolve())


def fitted(info: architectures.ArchitectureInfo, given: Sequence[GivenWeights]) -> InitialWeights:
    """The first of the values that this architecture's encoder can start from, with a title that says so.

    Raises:
        UserError: it can start from none of them.
        architectures.ArchitectureError: a file that can't be read.
    """
    reasons = []
    for one in given:
        try:
            return _fitted(info, one)
        except (EncoderMismatch, UserError) as error:
            reasons.append(str(error))
    raise UserError("; ".join(reasons))


def _fitted(info: architectures.ArchitectureInfo, given: GivenWeights) -> InitialWeights:
    weights = given.weights
    if weights.kind == "none":
        return weights.model_copy(update={"title": info.initialization})
    if takes_own(info, weights):
        release = architectures.pretrained_release(info.name)
        return OWN_IMAGENET.model_copy(update={"release": release})
    if info.imagenet == "vgg16":
        if given.file is not None:
            from architectures.encoders.weights import check_encoder_file

            check_encoder_file(given.file, info.name)
        return weights
    if info.timm_encoder and given.file is not None:
        from architectures.encoders.timm_weights import check_timm_file

        check_timm_file(given.file, info)
        return weights
    named, others = weights.title, "imagenet (its library's own) or none"
    if given.file is not None and info.imagenet == "own":
        named = f"{given.file}, which takes an encoder of timm (smp:DECODER/tu-NAME)"
    elif given.file is not None:
        named = str(given.file)
    if info.imagenet == "none":
        others = "none"
    raise UserError(f"{info.name} can't start from {named}: give --encoder-weights {others}")


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


def check_convertible(name: str, protocol: Protocol) -> None:
    """Refuse a protocol whose input no scale and shift turn into what weights by timm's names want.

    Args:
        name: of the architecture.
        protocol: that it is trained with.

    Raises:
        UserError: the protocol normalizes each image by itself, or locally.
    """
    if protocol.standardize or protocol.local_response_norm:
        raise UserError(
            f"{name}: weights by timm's names want input (RGB - mean) / std, which that of protocol "
            f"{protocol.title} can't be turned into; choose another protocol, or --encoder-weights none"
        )


def locate(specs: Sequence[RunSpec], given: Sequence[GivenWeights]) -> dict[str, Path]:
    """The files that these runs load, by `InitialWeights.key`; torchvision's is downloaded if one needs it.

    Raises:
        architectures.ArchitectureError: torchvision's weights can't be downloaded.
    """
    wanted = {spec.initial_weights.key for spec in specs}
    found = {one.weights.key: one.file for one in given if one.file is not None and one.weights.key in wanted}
    if any(_loads_torchvision(spec) for spec in specs):
        from architectures.encoders.weights import imagenet_vgg16

        found[IMAGENET.key] = imagenet_vgg16()
    return found


def _loads_torchvision(spec: RunSpec) -> bool:
    info = architectures.info(spec.architecture)
    return spec.initial_weights.kind == "imagenet" and info.imagenet == "vgg16"


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
