"""The lazy table of architectures: name -> what the paper calls it and where to find it. Imports no torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from architectures.base import Architecture


class ArchitectureError(ValueError):
    """An architecture was asked for something it cannot do: one line that says what, and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class ArchitectureInfo:
    """What is known of an architecture without building it.

    name           key of the table, as typed on the command line
    title          what the SegNet paper calls it in its Tables 1, 3 and 6
    target         "module:Class" of the `Architecture`
    revision       raised with every change that alters results, so that old runs are not taken for new ones
    output_stride  s in (N, 3, H, W) -> (N, K, ceil(H/s), ceil(W/s))
    fixed_size     True if it works only for the image size that it was built for
    min_size       least height and width in pixels
    reference      paper and official definition, one line
    summary        what it does, one line
    imagenet       whose ImageNet weights its encoder can start from: VGG16's, its library's own, or nobody's
    timm_encoder   timm's name of its encoder, where a file of timm's weights can start that; else empty
    fully_connected  which of VGG16's fc6 and fc7 it has, in whatever size
    initialization how its parameters are drawn, for tables
    wraps          what makes a network from elsewhere: "Unet/resnet34", "module:function"; empty for ours
    source         SHA-256 of a plugin's target and sources; empty for all others, which have a revision
    """

    name: str
    title: str
    target: str
    revision: int
    output_stride: int
    fixed_size: bool
    min_size: int
    reference: str
    summary: str
    imagenet: Literal["vgg16", "own", "none"] = "vgg16"
    timm_encoder: str = ""
    fully_connected: tuple[str, ...] = ()
    initialization: str = "He et al."
    wraps: str = ""
    source: str = ""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the logits of an image of this size."""
        return -(-height // self.output_stride), -(-width // self.output_stride)


_BUILT_IN = (
    ArchitectureInfo(
        name="segnet",
        title="SegNet",
        target="architectures.segnet:SegNet",
        revision=1,
        output_stride=1,
        fixed_size=False,
        min_size=32,
        reference="Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561); SegNet-Tutorial bb68b64",
        summary="VGG16 encoder, mirrored decoder that unpools with the encoder's max-pooling indices",
    ),
    ArchitectureInfo(
        name="fcn8s",
        title="FCN (learnt deconv)",
        target="architectures.fcn8s:FCN8s",
        revision=1,
        output_stride=1,
        fixed_size=False,
        min_size=32,
        reference="Shelhamer, Long, Darrell, PAMI 2017 (arXiv 1605.06211); fcn.berkeleyvision.org 1305c73",
        summary="VGG16 as a fully convolutional network, scores of pool3 and pool4 added, learnt upsampling",
        fully_connected=("fc6", "fc7"),
    ),
    ArchitectureInfo(
        name="fcn8s-bilinear",
        title="FCN",
        target="architectures.fcn8s:FCN8sBilinear",
        revision=1,
        output_stride=1,
        fixed_size=False,
        min_size=32,
        reference="Shelhamer, Long, Darrell, PAMI 2017 (arXiv 1605.06211); fcn.berkeleyvision.org 1305c73",
        summary="VGG16 as a fully convolutional network, scores of pool3 and pool4 added, fixed upsampling",
        fully_connected=("fc6", "fc7"),
    ),
    ArchitectureInfo(
        name="deeplab-largefov",
        title="DeepLab-LargeFOV",
        target="architectures.deeplab_largefov:DeepLabLargeFOV",
        revision=1,
        output_stride=8,
        fixed_size=False,
        min_size=32,
        reference="Chen, Papandreou, Kokkinos et al., ICLR 2015 (arXiv 1412.7062); DeepLab-Context bd4aac5",
        summary="VGG16 at an eighth of the resolution with dilated convolutions, no decoder",
        fully_connected=("fc6", "fc7"),
    ),
    ArchitectureInfo(
        name="deconvnet",
        title="DeconvNet",
        target="architectures.deconvnet:DeconvNet",
        revision=1,
        output_stride=1,
        fixed_size=True,
        min_size=32,
        reference="Noh, Hong, Han, ICCV 2015 (arXiv 1505.04366); DeconvNet 87dd133",
        summary="VGG16 encoder, fully connected middle of 1024 features, unpooling and deconvolution decoder",
        fully_connected=("fc6", "fc7"),
    ),
    ArchitectureInfo(
        name="bilinear-interpolation",
        title="Bilinear-Interpolation",
        target="architectures.bilinear_interpolation:BilinearInterpolation",
        revision=1,
        output_stride=1,
        fixed_size=False,
        min_size=16,
        reference="Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561), Table 1",
        summary="4-stage encoder, scores of its last maps interpolated to full size",
        imagenet="none",
    ),
    ArchitectureInfo(
        name="segnet-basic",
        title="SegNet-Basic",
        target="architectures.segnet_basic:SegNetBasic",
        revision=1,
        output_stride=1,
        fixed_size=False,
        min_size=16,
        reference="Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561); SegNet-Tutorial bb68b64",
        summary="4-stage encoder, decoder that unpools with its max-pooling indices",
        imagenet="none",
    ),
    ArchitectureInfo(
        name="segnet-basic-encoder-addition",
        title="SegNet-Basic-EncoderAddition",
        target="architectures.segnet_basic:EncoderAddition",
        revision=1,
        output_stride=1,
        fixed_size=False,
        min_size=16,
        reference="Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561), Table 1",
        summary="SegNet-Basic with the pooled encoder maps added in its decoder",
        imagenet="none",
    ),
    ArchitectureInfo(
        name="segnet-basic-single-channel-decoder",
        title="SegNet-Basic-SingleChannelDecoder",
        target="architectures.segnet_basic:SingleChannelDecoder",
        revision=1,
        output_stride=1,
        fixed_size=False,
        min_size=16,
        reference="Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561), Table 1",
        summary="SegNet-Basic whose decoder convolves each map by itself",
        imagenet="none",
    ),
    ArchitectureInfo(
        name="fcn-basic",
        title="FCN-Basic",
        target="architectures.fcn_basic:FCNBasic",
        revision=2,
        output_stride=1,
        fixed_size=False,
        min_size=16,
        reference="Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561), Table 1",
        summary="4-stage encoder, maps reduced to K, learnt deconvolution, encoder maps added",
        imagenet="none",
    ),
    ArchitectureInfo(
        name="fcn-basic-no-addition",
        title="FCN-Basic-NoAddition",
        target="architectures.fcn_basic:NoAddition",
        revision=2,
        output_stride=1,
        fixed_size=False,
        min_size=16,
        reference="Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561), Table 1",
        summary="FCN-Basic without the added encoder maps",
        imagenet="none",
    ),
    ArchitectureInfo(
        name="fcn-basic-no-dim-reduction",
        title="FCN-Basic-NoDimReduction",
        target="architectures.fcn_basic:NoDimReduction",
        revision=2,
        output_stride=1,
        fixed_size=False,
        min_size=16,
        reference="Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561), Table 1",
        summary="FCN-Basic with 64 maps up to the last layer",
        imagenet="none",
    ),
    ArchitectureInfo(
        name="fcn-basic-no-addition-no-dim-reduction",
        title="FCN-Basic-NoAddition-NoDimReduction",
        target="architectures.fcn_basic:NoAdditionNoDimReduction",
        revision=2,
        output_stride=1,
        fixed_size=False,
        min_size=16,
        reference="Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561), Table 1",
        summary="FCN-Basic with 64 maps and without the added encoder maps",
        imagenet="none",
    ),
)


def make_table(entries: Iterable[ArchitectureInfo]) -> Mapping[str, ArchitectureInfo]:
    """Read-only name -> entry, in the order given. Raises ArchitectureError if a name occurs twice."""
    table: dict[str, ArchitectureInfo] = {}
    for entry in entries:
        if entry.name in table:
            first = table[entry.name].target
            raise ArchitectureError(
                f"architecture {entry.name!r} is registered twice: as {first} and as {entry.target}"
            )
        table[entry.name] = entry
    return MappingProxyType(table)


_TABLE = make_table(_BUILT_IN)


def names() -> list[str]:
    """Names of all architectures of this package, in the order in which reports list them."""
    return list(_TABLE)


def info(name: str) -> ArchitectureInfo:
    """The entry of an architecture: of this package, of another library (`smp:...`), or of a plugin.

    Raises ArchitectureError, which suggests the nearest name, if unknown; or says what ails a plugin.
    """
    entry = _TABLE.get(name)
    if entry is not None:
        return entry
    from architectures import libraries, plugins  # late: both need this module's classes

    if ":" in name:
        return libraries.describe(name)
    if (entry := plugins.find(name)) is not None:
        return entry
    known = [*_TABLE, *plugins.targets()]
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    suggestion = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise ArchitectureError(
        f"unknown architecture {name!r}{suggestion} (known are {', '.join([*known, *libraries.patterns()])})"
    )


def build(
    name: str,
    num_classes: int,
    image_size: tuple[int, int] = (360, 480),
    *,
    own_weights: bool = False,
) -> Architecture:
    """Build an architecture with freshly drawn parameters (from torch's global generator).

    num_classes  K, number of output maps (void is not a class)
    image_size   (H, W) in pixels; it shapes only the `fixed_size` architectures. The default is the paper's.
    own_weights  start the encoder from the ImageNet weights of the library that it comes from, which
                 downloads them if need be

    Raises ArchitectureError for an unknown name, fewer than two classes or too small a size, and for weights
    that there are not or that can't be had.
    """
    entry = info(name)
    module, _, attribute = entry.target.partition(":")
    make = getattr(import_module(module), attribute)
    if own_weights and entry.imagenet != "own":
        raise ArchitectureError(f"{name}: no library has ImageNet weights of its own for it")
    further = {"own_weights": True} if own_weights else {}
    architecture: Architecture = make(entry, num_classes, image_size, **further)
    return architecture


def verify(name: str) -> None:
    """Ask another library or a plugin whether it has the network, without building it; imports it.

    Raises ArchitectureError if it does not: one line that suggests the nearest name.
    """
    entry = info(name)
    if entry.wraps:
        module, _, attribute = entry.target.partition(":")
        getattr(import_module(module), attribute).verify(entry)


def pretrained_release(name: str) -> str:
    """Which published ImageNet weights a library's network takes: a name under which they never change.

    Asks the library, which is imported; nothing is downloaded. Empty where there are none.
    """
    entry = info(name)
    if entry.imagenet != "own":
        return ""
    module, _, attribute = entry.target.partition(":")
    return str(getattr(import_module(module), attribute).pretrained_release(entry))


def file_name(name: str) -> str:
    """The name as part of a file's or folder's name: `smp:Unet/resnet34` is `smp-Unet-resnet34`."""
    return name.replace(":", "-").replace("/", "-")
