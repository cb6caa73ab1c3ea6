"""Start an architecture's encoder from VGG16 weights trained on ImageNet.

Files are .safetensors or .pth with the names of torchvision's VGG16 (features.N, classifier.0, classifier.3).
They may hold any part of the network: what is there is loaded, and the names of the layers are returned.
Values of a smaller type, such as float16, become float32 exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from architectures.architecture_info import EncoderMismatch, WeightsError
from architectures.base import Architecture
from architectures.encoders.weights_files import (
    Channels,
    check_tensor,
    first_line,
    read_shapes,
    read_tensors,
)

__all__ = ["Channels", "WeightsError", "check_encoder_file", "imagenet_vgg16", "load_encoder_weights"]

# torchvision trains on (RGB / 255 - mean) / (0.229, 0.224, 0.225)
TORCHVISION_STD: Channels = (255 * 0.229, 255 * 0.224, 255 * 0.225)
_PREFIXES = {
    "conv1_1": "features.0",
    "conv1_2": "features.2",
    "conv2_1": "features.5",
    "conv2_2": "features.7",
    "conv3_1": "features.10",
    "conv3_2": "features.12",
    "conv3_3": "features.14",
    "conv4_1": "features.17",
    "conv4_2": "features.19",
    "conv4_3": "features.21",
    "conv5_1": "features.24",
    "conv5_2": "features.26",
    "conv5_3": "features.28",
    "fc6": "classifier.0",
    "fc7": "classifier.3",
}
# VGG16's fully connected layers as convolutions: (out, in, height, width)
_FULLY_CONNECTED = {"fc6": (4096, 512, 7, 7), "fc7": (4096, 4096, 1, 1)}


def load_encoder_weights(
    model: Architecture, path: Path | str, input_std: Channels = (58.0, 58.0, 58.0)
) -> tuple[str, ...]:
    """Copy VGG16's weights and biases into `model.encoder_layers()`; names of the layers set, in order.

    input_std  what the images given to `model` are divided by, in gray levels of 0..255, after the mean has
               been subtracted. The file declares its own: safetensors metadata "input" = "RGB 0-255 minus
               mean ..." for 1; without that entry, and in .pth files, torchvision's
               255 * (0.229, 0.224, 0.225).

    fc6 and fc7 are taken from the classifier where the model has them, whole for FCN-8s, decimated for
    DeepLab-LargeFOV. Layers that the file does not hold keep their values; on an error all do.
    Raises WeightsError for a missing or unreadable file, pickled code, no known name, a wrong shape, a weight
    without its bias, values that are not finite, or an unknown declaration of the input.
    """
    path = Path(path)
    layers = model.encoder_layers()
    keys = {f"{_PREFIXES[name]}.{kind}" for name in layers for kind in ("weight", "bias")}
    tensors, metadata = read_tensors(path, keys)
    weights_std = _weights_std(path, metadata)
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for name, layer in layers.items():
        pair = _layer_tensors(path, name, tensors)
        if pair is not None:
            found[name] = _fitted(path, name, pair, layer)
    if not found:
        raise _mismatch(path, model.info.name)
    factors = _channel_factors(input_std, weights_std)
    with torch.no_grad():
        for name, (weight, bias) in found.items():
            layers[name].weight.copy_(weight * factors.to(weight.dtype) if name == "conv1_1" else weight)
            layer_bias = layers[name].bias
            if layer_bias is not None:
                layer_bias.copy_(bias)
    return tuple(found)


def check_encoder_file(path: Path | str, architecture: str) -> None:
    """Refuse a file without a single layer of VGG16 by torchvision's names, as a file of another encoder.

    architecture  name of one whose encoder is VGG16's, for the message

    Raises EncoderMismatch for such a file, WeightsError for one that is missing or unreadable.
    """
    path = Path(path)
    known = {f"{prefix}.{kind}" for prefix in _PREFIXES.values() for kind in ("weight", "bias")}
    if not known & read_shapes(path).keys():
        raise _mismatch(path, architecture)


def imagenet_vgg16(path: Path | str | None = None) -> Path:
    """Path of torchvision's VGG16 weights (IMAGENET1K_V1, 528 MB), downloaded into torch.hub's cache.

    path  a file to use instead; it only has to exist.

    Raises WeightsError if `path` does not exist, or if the download fails: then with the file to fetch and
    the folder to put it into.
    """
    if path is not None:
        if not Path(path).is_file():
            raise WeightsError(f"{path}: no such weights file")
        return Path(path)
    from torchvision.models import VGG16_Weights  # late: importing torchvision takes seconds

    url: str = VGG16_Weights.IMAGENET1K_V1.url
    name = url.rpartition("/")[2]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    target = folder / name
    if not target.is_file():
        # torchvision ends file names with the beginning of their SHA-256
        sha256_start = name.removesuffix(".pth").rpartition("-")[2]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(target), hash_prefix=sha256_start)
        except (OSError, RuntimeError) as error:
            reason = first_line(error)
            raise WeightsError(
                f"cannot download VGG16's weights ({reason}): fetch {url} and put it into {folder}"
            ) from error
    return target


def decimate(weight: Tensor, shape: torch.Size) -> Tensor:
    """Every n-th value along each dimension, so that `shape` results (n = size / wanted size, rounded up).

    fc6, 4096 maps of 7x7 to 1024 of 3x3: every 4th output, rows and columns 0, 3, 6. fc7: every 4th output
    and every 4th input, which are the outputs kept of fc6.
    After DeepLab: "spatially subsampling (by simple decimation) the first FC layer" (arXiv 1412.7062,
    "Controlling the receptive field size and accelerating dense computation"), which does not say at which
    positions. The author of SSD, who followed DeepLab (github.com/weiliu89/caffe/issues/258), says of fc6 and
    fc7: "I sampled the parameters in grids (not random)" (issue 308 there).
    """
    for dimension, (size, wanted) in enumerate(zip(weight.shape, shape, strict=True)):
        if size != wanted:
            weight = weight.index_select(dimension, torch.arange(0, size, math.ceil(size / wanted)))
    return weight


def _channel_factors(input_std: Channels, weights_std: Channels) -> Tensor:
    """(1, 3, 1, 1) factors for conv1_1's input channels.

    The weights were trained on (v - mean) / weights_std and are given (v - mean) / input_std, so that channel
    c needs the factor r_c = input_std_c / weights_std_c. A factor common to all channels has no effect on the
    output, since batch norm follows; dividing by the mean factor therefore keeps the published scale of the
    weights, which with batch norm sets the effective learning rate. The means of torchvision and of Caffe
    differ by less than a gray level: a constant shift, which batch norm removes everywhere but at the border.
    """
    if len(input_std) != 3 or not all(math.isfinite(std) and std > 0 for std in input_std):
        raise WeightsError(f"input_std is {input_std}, but must be three positive numbers")
    ratio = torch.tensor(input_std, dtype=torch.float64) / torch.tensor(weights_std, dtype=torch.float64)
    return (ratio / ratio.mean()).reshape(1, 3, 1, 1)


def _mismatch(path: Path, architecture: str) -> EncoderMismatch:
    return EncoderMismatch(
        f"{path}: holds no encoder layer of {architecture}, which needs VGG16's by torchvision's names, such "
        "as features.0.weight"
    )


def _weights_std(path: Path, metadata: Mapping[str, str]) -> Channels:
    """What the input that the weights were trained on had been divided by, in gray levels."""
    declared = metadata.get("input")
    if declared is None:
        return TORCHVISION_STD
    if declared.startswith("RGB 0-255 minus mean"):
        return (1.0, 1.0, 1.0)
    raise WeightsError(
        f"{path}: metadata 'input' is {declared!r}, but must begin with 'RGB 0-255 minus mean' or be absent"
    )


def _layer_tensors(path: Path, name: str, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
    """Weight and bias of a layer, None if the file has neither."""
    prefix = _PREFIXES[name]
    weight, bias = tensors.get(f"{prefix}.weight"), tensors.get(f"{prefix}.bias")
    if weight is None and bias is None:
        return None
    if weight is None or bias is None:
        missing = f"{prefix}.weight" if weight is None else f"{prefix}.bias"
        raise WeightsError(f"{path}: {missing} is missing")
    return weight, bias


def _fitted(path: Path, name: str, pair: tuple[Tensor, Tensor], layer: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight and bias in the layer's shape: as they are, or decimated if they are of VGG16's classifier."""
    weight, bias = pair
    source = _FULLY_CONNECTED.get(name, tuple(layer.weight.shape))
    stored = (source[0], math.prod(source[1:])) if name in _FULLY_CONNECTED else source
    for kind, tensor, expected in (("weight", weight, stored), ("bias", bias, (source[0],))):
        check_tensor(path, f"{_PREFIXES[name]}.{kind}", tensor, expected, name)
    shape = layer.weight.shape
    fitted = decimate(weight.reshape(source), shape)
    if fitted.shape != shape:
        raise WeightsError(f"{path}: {_PREFIXES[name]}.weight cannot be decimated to {name} {tuple(shape)}")
    # converted before anything is multiplied: a float16 file's values are then kept to the bit
    dtype = layer.weight.dtype
    return fitted.to(dtype), decimate(bias, shape[:1]).to(dtype)
