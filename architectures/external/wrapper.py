"""Networks from elsewhere behind the contract: of segmentation_models.pytorch, of torchvision, of a plugin.

Differences to the library's own network: images are padded at the right and below, with zeros (the mean,
once images are normalized), to the multiple that the network needs, and its logits cropped; the padding's
cost is in every time and memory that is measured. Of several outputs the main one is taken. Images are
converted first where a file's weights want another input than the protocol's (`convert_input`). Nothing else
is changed: parameters, initialization and layers are the library's, those that take no part included.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._guards import active_fake_mode
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

from architectures.architecture_info import ArchitectureError, ArchitectureInfo
from architectures.base import Architecture
from architectures.encoders.weights_files import Channels
from architectures.external import plugins
from architectures.external.libraries import TIMM_PREFIX, nearest

TORCHVISION_WEIGHTS = "IMAGENET1K_V1"
# of torchvision's ImageNet weights: input is (RGB - mean) / std, in gray levels of 0..255
IMAGENET_MEAN: Channels = (255 * 0.485, 255 * 0.456, 255 * 0.406)
IMAGENET_STD: Channels = (255 * 0.229, 255 * 0.224, 255 * 0.225)
_OUTPUTS = ("out", "logits")  # names of the main output among several: torchvision's, transformers'
Made = TypeVar("Made")
# What loading a library's weights raises: hub and file errors, a name or tag that there is not
_WEIGHTS_ERRORS = (OSError, RuntimeError, ValueError, LookupError)


class ForeignNetwork(Architecture):
    """(N, 3, H, W) -> logits (N, K, ceil(H/s), ceil(W/s)) of a network that is built elsewhere.

    network      it
    divisor      images are padded to multiples of it
    layers_set   layers of the encoder that ImageNet weights have set, by name; empty without `own_weights`
    weights_input  (mean, std) in gray levels of what those weights were trained on; none without them
    """

    def __init__(
        self,
        info: ArchitectureInfo,
        num_classes: int,
        image_size: tuple[int, int],
        own_weights: bool = False,
    ) -> None:
        super().__init__(info, num_classes, image_size)
        self.network = _outside_fake_mode(lambda: self._made(own_weights))
        self.divisor = self._divisor()
        # buffers, so that saved weights hold what they want done to the images; absent unless it is set
        self.input_scale: Tensor | None
        self.input_shift: Tensor | None
        self.register_buffer("input_scale", None)
        self.register_buffer("input_shift", None)
        self.layers_set: tuple[str, ...] = ()
        self.weights_input: tuple[Channels, Channels] | None = None
        if own_weights:
            self.layers_set = layer_names(self.encoder_module())
            self.weights_input = self._weights_input()

    @staticmethod
    @abstractmethod
    def verify(info: ArchitectureInfo) -> None:
        """Raise ArchitectureError if there is no such network."""

    @abstractmethod
    def _made(self, own_weights: bool) -> nn.Module:
        """The library's network."""

    def _divisor(self) -> int:
        return 1

    def encoder_module(self) -> nn.Module:
        """The part that ImageNet weights set; without such a part the whole network."""
        return self.network

    def _weights_input(self) -> tuple[Channels, Channels]:
        return IMAGENET_MEAN, IMAGENET_STD

    def encoder_layers(self) -> Mapping[str, nn.Conv2d]:
        return {}  # none that VGG16's weights would fit

    def convert_input(self, given: tuple[Channels, Channels], wanted: tuple[Channels, Channels]) -> None:
        """Have images (RGB - mean) / std of one mean and std turned into those of another, before all else.

        (given mean, std), (wanted mean, std), in gray levels of 0..255. Done as image * scale + shift: scale
        and shift, (3, 1, 1), become part of the state dict.
        """
        (mean, std), (wanted_mean, wanted_std) = (
            tuple(torch.tensor(values, dtype=torch.float64) for values in pair) for pair in (given, wanted)
        )
        parameter = next(self.parameters())
        self.input_scale = (std / wanted_std).to(parameter)[:, None, None]
        self.input_shift = ((mean - wanted_mean) / wanted_std).to(parameter)[:, None, None]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """Take the conversion of the input from weights that have one."""
        for name in ("input_scale", "input_shift"):
            if getattr(self, name) is None and f"{prefix}{name}" in state_dict:
                setattr(self, name, torch.empty_like(state_dict[f"{prefix}{name}"]))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def logits(self, images: Tensor) -> Tensor:
        if self.input_scale is not None and self.input_shift is not None:
            images = images * self.input_scale + self.input_shift
        height, width = images.shape[-2:]
        below, right = -height % self.divisor, -width % self.divisor
        # sizes that an export leaves open are no int: to ask whether they need padding would settle it for all
        pads = bool(not isinstance(below, int) or not isinstance(right, int) or below or right)
        if pads:
            images = F.pad(images, (0, right, 0, below))
        logits = self._fitting(_main_output(self.network(images), self.info.name), images)
        rows, columns = self.output_size(height, width)
        return logits[..., :rows, :columns] if pads else logits

    def _fitting(self, logits: Tensor, images: Tensor) -> Tensor:
        """The logits, if they are those declared for these images."""
        height, width = images.shape[-2:]
        expected = (images.shape[0], self.num_classes, *self.output_size(height, width))
        if not logits.is_floating_point():
            raise ArchitectureError(f"{self.info.name}: logits are {logits.dtype}, but must be floating-point numbers")
        if tuple(logits.shape) == expected:
            return logits
        name, stride = self.info.name, self.info.output_stride
        got = f"{name}: logits are {tuple(logits.shape)} for images {height}x{width}"
        if logits.ndim != 4 or logits.shape[1] != self.num_classes:
            raise ArchitectureError(f"{got}, but {self.num_classes} classes ask for {expected}")
        raise ArchitectureError(
            f"{got}, but output stride {stride} asks for {expected[2]}x{expected[3]}: declare the "
            "output_stride that it has, or interpolate them"
        )


class SmpNetwork(ForeignNetwork):
    """Of segmentation_models.pytorch; `info.wraps` is "DECODER/ENCODER"."""

    @staticmethod
    def verify(info: ArchitectureInfo) -> None:
        import segmentation_models_pytorch as smp  # late: it takes seconds
        import timm

        encoder = info.wraps.partition("/")[2]
        if info.timm_encoder:
            if not timm.is_model(info.timm_encoder):
                hint = nearest(encoder, [f"{TIMM_PREFIX}{name}" for name in timm.list_models()])
                raise ArchitectureError(f"{info.name}: timm has no network {info.timm_encoder!r}{hint}")
        elif encoder not in smp.encoders.encoders:
            known = list(smp.encoders.encoders)
            raise ArchitectureError(
                f"{info.name}: segmentation_models.pytorch has no encoder {encoder!r}"
                f"{nearest(encoder, known)} (timm's are named tu-NAME)"
            )

    @staticmethod
    def pretrained_release(info: ArchitectureInfo) -> str:
        """The hub's repository and revision; of timm's encoders its tag, which stands for one file."""
        import segmentation_models_pytorch as smp
        import timm

        if info.timm_encoder:
            found = timm.get_pretrained_cfg(info.timm_encoder)
            return f"timm/{info.timm_encoder}.{found.tag}" if found is not None and found.tag else ""
        encoder = smp.encoders.encoders[info.wraps.partition("/")[2]]
        settings = encoder["pretrained_settings"].get("imagenet") or {}
        return "@".join(str(settings[key]) for key in ("repo_id", "revision") if key in settings)

    def _made(self, own_weights: bool) -> nn.Module:
        import segmentation_models_pytorch as smp

        self.verify(self.info)
        decoder, _, encoder = self.info.wraps.partition("/")
        settings = {"encoder_name": encoder, "in_channels": 3, "classes": self.num_classes}

        def make(weights: str | None) -> nn.Module:
            network: nn.Module = getattr(smp, decoder)(**settings, encoder_weights=weights)
            return network

        if own_weights:
            return _downloaded(self.info.name, lambda: make("imagenet"))
        try:
            return make(None)
        except (LookupError, TypeError, ValueError) as error:  # not every decoder takes every encoder
            raise ArchitectureError(f"{self.info.name}: {_line(error)}") from error

    def _divisor(self) -> int:
        return int(self.encoder_module().output_stride)  # type: ignore[arg-type]

    def encoder_module(self) -> nn.Module:
        return self.network.get_submodule("encoder")

    def _weights_input(self) -> tuple[Channels, Channels]:
        from segmentation_models_pytorch.encoders import get_preprocessing_params

        encoder = self.info.wraps.partition("/")[2]
        found = _downloaded(self.info.name, lambda: get_preprocessing_params(encoder))
        scale = 255 / float(found["input_range"][1])
        mean, std = ([scale * float(value) for value in found[key]] for key in ("mean", "std"))
        return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


class TorchvisionNetwork(ForeignNetwork):
    """Of torchvision.models.segmentation, without the auxiliary classifier; `info.wraps` is its name."""

    @staticmethod
    def verify(info: ArchitectureInfo) -> None:
        from torchvision import models  # late: it takes seconds

        if info.wraps not in models.list_models(module=models.segmentation):
            raise ArchitectureError(f"{info.name}: this version of torchvision has no {info.wraps!r}")

    @staticmethod
    def pretrained_release(info: ArchitectureInfo) -> str:
        """torchvision's name of the backbone's weights."""
        return f"torchvision/{info.wraps} backbone {TORCHVISION_WEIGHTS}"

    def _made(self, own_weights: bool) -> nn.Module:
        from torchvision import models

        self.verify(self.info)

        def make(backbone: str | None) -> nn.Module:
            network: nn.Module = models.get_model(
                self.info.wraps, weights=None, weights_backbone=backbone, num_classes=self.num_classes
            )
            return network

        if own_weights:
            return _downloaded(self.info.name, lambda: make(TORCHVISION_WEIGHTS))
        return make(None)

    def encoder_module(self) -> nn.Module:
        return self.network.get_submodule("backbone")


class PluginNetwork(ForeignNetwork):
    """Of a plugin; `info.wraps` is its "module:function"."""

    @staticmethod
    def verify(info: ArchitectureInfo) -> None:
        plugins.load(info.wraps)

    def _made(self, own_weights: bool) -> nn.Module:
        function = plugins.load(self.info.wraps)
        given = (self.num_classes, self.image_size) if self.info.fixed_size else (self.num_classes,)
        network = function(*given)
        if not isinstance(network, nn.Module):
            raise ArchitectureError(
                f"plugin {self.info.wraps}: gives {type(network).__name__}, but must give a torch.nn.Module"
            )
        return network

    def _divisor(self) -> int:
        return plugins.declaration_of(plugins.load(self.info.wraps)).divisor


def _main_output(output: Any, name: str) -> Tensor:
    """The logits among what a network returns: it, its "out" or "logits", or the first of several."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    for key in _OUTPUTS:
        if isinstance(output, Mapping) and key in output:
            output = output[key]
        elif not isinstance(output, Tensor):
            output = getattr(output, key, output)
    if not isinstance(output, Tensor):
        held = f" of {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        raise ArchitectureError(
            f"{name}: returns {type(output).__name__}{held}, but must return a tensor of logits, one named "
            f"{' or '.join(_OUTPUTS)}, or a sequence that begins with it"
        )
    return output


def layer_names(encoder: nn.Module) -> tuple[str, ...]:
    """Names of the layers with a weight that is no vector: convolutions and matrices."""
    return tuple(
        name
        for name, module in encoder.named_modules()
        if isinstance(weight := getattr(module, "weight", None), Tensor) and weight.ndim > 1
    )


def _downloaded(name: str, make: Callable[[], Made]) -> Made:
    """What `make` gives; where it needs weights that can't be had, one line."""
    try:
        return make()
    except _WEIGHTS_ERRORS as error:
        raise ArchitectureError(
            f"{name}: its library's ImageNet weights can't be had ({_line(error)}); start it from none"
        ) from error


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def _outside_fake_mode(make: Callable[[], nn.Module]) -> nn.Module:
    """The network; under FakeTensorMode it is made with real numbers first, and then faked.

    Libraries read numbers while they build (rates of stochastic depth), which a fake tensor does not have.
    """
    mode = active_fake_mode()
    if mode is None:
        return make()
    with unset_fake_temporarily():
        network = make()
    _fake(network, mode)
    return network


def _fake(network: nn.Module, mode: FakeTensorMode) -> None:
    """Replace every parameter and buffer by a fake one in place; shared ones stay shared."""
    made: dict[int, Tensor] = {}

    def fake(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            twin = mode.from_tensor(tensor).detach()
            is_parameter = isinstance(tensor, nn.Parameter)
            made[id(tensor)] = nn.Parameter(twin, tensor.requires_grad) if is_parameter else twin
        return made[id(tensor)]

    real = [*network.parameters(), *network.buffers()]  # held, so that no other tensor gets the id of one
    for module in network.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    held[name] = fake(tensor)  # type: ignore[assignment]
    del real
