"""Start an architecture's encoder from VGG16 weights trained on ImageNet.

Files are .safetensors or .pth with the names of torchvision's VGG16 (features.N, classifier.0, classifier.3).
They may hold any part of the network: what is there is loaded, and the names of the layers are returned.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from architectures.base import Architecture
from architectures.registry import ArchitectureError

Channels = tuple[float, float, float]  # R, G, B

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
# What torch's unpickler raises for damaged files and for pickled code
_UNREADABLE = (
    pickle.UnpicklingError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class WeightsError(ArchitectureError):
    """A weights file is missing, cannot be read or does not fit: one line that says which, and what to do."""


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
    tensors, weights_std = _read(path, keys)
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for name, layer in layers.items():
        pair = _layer_tensors(path, name, tensors)
        if pair is not None:
            found[name] = _fitted(path, name, pair, layer)
    if not found:
        raise WeightsError(
            f"{path}: holds no encoder layer of {model.info.name}; "
            "expected torchvision's names, such as features.0.weight"
        )
    factors = _channel_factors(input_std, weights_std)
    with torch.no_grad():
        for name, (weight, bias) in found.items():
            layers[name].weight.copy_(weight * factors.to(weight.dtype) if name == "conv1_1" else weight)
            layer_bias = layers[name].bias
            if layer_bias is not None:
                layer_bias.copy_(bias)
    return tuple(found)


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
            reason = _first_line(error)
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


def _read(path: Path, keys: Collection[str]) -> tuple[dict[str, Tensor], Channels]:
    """Those of the tensors under `keys` that the file holds, and the std of the input it was trained on."""
    if path.suffix not in (".safetensors", ".pth"):
        raise WeightsError(f"{path}: weights must be a .safetensors or .pth file")
    try:
        return _read_safetensors(path, keys) if path.suffix == ".safetensors" else _read_pth(path, keys)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such weights file") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({_first_line(error)})") from error


def _read_safetensors(path: Path, keys: Collection[str]) -> tuple[dict[str, Tensor], Channels]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys() if key in keys}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(f"{path}: is no safetensors file ({_first_line(error)})") from error
    declared = metadata.get("input")
    if declared is None:
        return tensors, TORCHVISION_STD
    if declared.startswith("RGB 0-255 minus mean"):
        return tensors, (1.0, 1.0, 1.0)
    raise WeightsError(
        f"{path}: metadata 'input' is {declared!r}, but must begin with 'RGB 0-255 minus mean' or be absent"
    )


def _read_pth(path: Path, keys: Collection[str]) -> tuple[dict[str, Tensor], Channels]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise WeightsError(
            f"{path}: is damaged or holds pickled code, which is not run; expected a state dict of tensors"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: is not a state dict (name -> tensor)")
    return {key: value for key, value in state.items() if key in keys}, TORCHVISION_STD


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
        key = f"{_PREFIXES[name]}.{kind}"
        if tuple(tensor.shape) != expected or not tensor.is_floating_point():
            raise WeightsError(
                f"{path}: {key} is {tensor.dtype} {tuple(tensor.shape)}, but {name} needs floats {expected}"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{path}: {key} holds values that are not finite")
    shape = layer.weight.shape
    fitted = decimate(weight.reshape(source), shape)
    if fitted.shape != shape:
        raise WeightsError(f"{path}: {_PREFIXES[name]}.weight cannot be decimated to {name} {tuple(shape)}")
    return fitted, decimate(bias, shape[:1])


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
