"""What `--encoder-weights` names: `none`, `imagenet`, files, one for each kind of encoder, or folders of weights."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

import architectures
from architectures.architecture_info import EncoderMismatch
from harness.config.protocol import Protocol
from harness.config.run_spec import InitialWeights, RunSpec
from harness.system.errors import UserError
from harness.system.surroundings import expanded

HE = InitialWeights(kind="none", title="He et al.")
IMAGENET = InitialWeights(
    kind="imagenet",
    release="torchvision/vgg16-397923af",  # ends with the beginning of the file's SHA-256
    title="VGG16 ImageNet (torchvision IMAGENET1K_V1)",
)
# of a network of another library: that one's weights for its encoder
OWN_IMAGENET = InitialWeights(kind="imagenet", title="ImageNet (its library's own)")

# A folder of weights (harness.deploy.weights) holds a trained model in this file, whose metadata name its input.
TRAINED_FILE, TRAINED_INPUT = "model.safetensors", "segnet_harness_input"
INPUT_FIELDS = ("input_mean", "input_std", "standardize", "local_response_norm")
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
    path = expanded(text)
    if (path / TRAINED_FILE).is_file():
        path = path / TRAINED_FILE
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(
            f"encoder weights {text!r}: {error.strerror}; give none, imagenet, a .safetensors or .pth file, or a "
            "folder that `harness weights` made"
        ) from None
    # the file's own word for what it holds, else its name
    title = " ".join(_metadata(path).get("source", "").split()) or path.name
    return GivenWeights(weights=InitialWeights(kind="file", sha256=digest, title=title), file=path.resolve())


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
    if given.file is not None and trained_input(given.file) is not None:
        from architectures.encoders.trained_weights import check_trained_file

        check_trained_file(given.file, info)
        return weights
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
    named = str(given.file or weights.title)
    if given.file is not None and info.imagenet == "own":
        named += ", which takes an encoder of timm (smp:DECODER/tu-NAME)"
    others = "none" if info.imagenet == "none" else "imagenet (its library's own) or none"
    raise UserError(f"{info.name} can't start from {named}: give --encoder-weights {others}")


def takes_own(info: architectures.ArchitectureInfo, weights: InitialWeights) -> bool:
    """Whether the encoder starts from the ImageNet weights of the library that it comes from."""
    return weights.kind == "imagenet" and info.imagenet == "own"


def check_input(name: str, protocol: Protocol, mean: Channels, std: Channels) -> None:
    """Refuse, by a UserError, a protocol whose input is not what a library's weights were trained on.

    Args:
        name: of the architecture.
        protocol: that it is trained with.
        mean: what the weights want subtracted, in gray levels of 0..255.
        std: what they want it divided by.
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
    """Refuse, by a UserError, a protocol whose input no scale and shift turn into what weights by timm's names want.

    That is one which normalizes each image by itself, or locally.
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
    pretrained = {spec.architecture for spec in specs if spec.initial_weights.kind == "imagenet"}
    if any(architectures.info(name).imagenet == "vgg16" for name in pretrained):
        from architectures.encoders.weights import imagenet_vgg16

        found[IMAGENET.key] = imagenet_vgg16()
    return found


def trained_input(path: Path) -> dict[str, Any] | None:
    """The input settings of the trained model that a file holds; none where it holds something else."""
    try:
        found = json.loads(_metadata(path).get(TRAINED_INPUT, ""))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def check_trained_input(path: Path, protocol: Protocol) -> None:
    """Refuse, by a UserError, weights of a model whose images were normalized otherwise than the protocol's."""
    found = trained_input(path) or {}
    own = protocol.model_dump(mode="json", include=set(INPUT_FIELDS))
    if wrong := [field for field in INPUT_FIELDS if found.get(field) != own[field]]:
        raise UserError(
            f"{path}: its model was trained on images with {wrong[0]} {found.get(wrong[0])}, protocol "
            f"{protocol.title} has {own[wrong[0]]}; choose a protocol with the same input, or other weights"
        )


def _metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty where there are none, or it is no such file."""
    try:
        with safe_open(path, "np") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):
        return {}  # whoever loads it says what is wrong with it
