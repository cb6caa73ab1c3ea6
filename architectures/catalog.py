"""The networks of this package, in the order in which reports list them. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from architectures.architecture_info import ArchitectureError, ArchitectureInfo

_SEGNET = "Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561); SegNet-Tutorial bb68b64"
_TABLE_1 = "Badrinarayanan, Kendall, Cipolla, PAMI 2017 (arXiv 1511.00561), Table 1"


def _decoder_variant(
    name: str, title: str, target: str, summary: str, *, revision: int = 1, reference: str = _TABLE_1
) -> ArchitectureInfo:
    """A network of the paper's Table 1: four poolings, and an encoder that nobody has weights for."""
    return ArchitectureInfo(
        name=name,
        title=title,
        target=f"architectures.{target}",
        revision=revision,
        min_size=16,
        reference=reference,
        summary=summary,
        imagenet="none",
    )


_BUILT_IN = (
    ArchitectureInfo(
        name="segnet",
        title="SegNet",
        target="architectures.segnet:SegNet",
        revision=1,
        min_size=32,
        reference=_SEGNET,
        summary="VGG16 encoder, mirrored decoder that unpools with the encoder's max-pooling indices",
    ),
    ArchitectureInfo(
        name="fcn8s",
        title="FCN (learnt deconv)",
        target="architectures.fcn8s:FCN8s",
        revision=1,
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
        fixed_size=True,
        min_size=32,
        reference="Noh, Hong, Han, ICCV 2015 (arXiv 1505.04366); DeconvNet 87dd133",
        summary="VGG16 encoder, fully connected middle of 1024 features, unpooling and deconvolution decoder",
        fully_connected=("fc6", "fc7"),
    ),
    _decoder_variant(
        "bilinear-interpolation",
        "Bilinear-Interpolation",
        "bilinear_interpolation:BilinearInterpolation",
        "4-stage encoder, scores of its last maps interpolated to full size",
    ),
    _decoder_variant(
        "segnet-basic",
        "SegNet-Basic",
        "segnet_basic:SegNetBasic",
        "4-stage encoder, decoder that unpools with its max-pooling indices",
        reference=_SEGNET,
    ),
    _decoder_variant(
        "segnet-basic-encoder-addition",
        "SegNet-Basic-EncoderAddition",
        "segnet_basic:EncoderAddition",
        "SegNet-Basic with the pooled encoder maps added in its decoder",
    ),
    _decoder_variant(
        "segnet-basic-single-channel-decoder",
        "SegNet-Basic-SingleChannelDecoder",
        "segnet_basic:SingleChannelDecoder",
        "SegNet-Basic whose decoder convolves each map by itself",
    ),
    _decoder_variant(
        "fcn-basic",
        "FCN-Basic",
        "fcn_basic:FCNBasic",
        "4-stage encoder, maps reduced to K, learnt deconvolution, encoder maps added",
        revision=2,
    ),
    _decoder_variant(
        "fcn-basic-no-addition",
        "FCN-Basic-NoAddition",
        "fcn_basic:NoAddition",
        "FCN-Basic without the added encoder maps",
        revision=2,
    ),
    _decoder_variant(
        "fcn-basic-no-dim-reduction",
        "FCN-Basic-NoDimReduction",
        "fcn_basic:NoDimReduction",
        "FCN-Basic with 64 maps up to the last layer",
        revision=2,
    ),
    _decoder_variant(
        "fcn-basic-no-addition-no-dim-reduction",
        "FCN-Basic-NoAddition-NoDimReduction",
        "fcn_basic:NoAdditionNoDimReduction",
        "FCN-Basic with 64 maps and without the added encoder maps",
        revision=2,
    ),
    ArchitectureInfo(
        name="position-prior",
        title="Position prior",
        target="architectures.pixel_mlp:PositionPrior",
        revision=1,
        min_size=1,
        reference="none; ours",
        summary="baseline: three 1x1 convolutions of a pixel's position, blind to the image",
        imagenet="none",
        context="position",
    ),
    ArchitectureInfo(
        name="pixel-mlp",
        title="Pixel MLP",
        target="architectures.pixel_mlp:PixelMLP",
        revision=1,
        min_size=1,
        reference="none; ours",
        summary="baseline: three 1x1 convolutions of a pixel's color and position",
        imagenet="none",
        context="pixel",
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


TABLE = make_table(_BUILT_IN)


def names(*, baselines: bool = True) -> list[str]:
    """Names of all architectures of this package, in the order in which reports list them.

    baselines  with those that see no context, which are not the paper's
    """
    return [name for name, info in TABLE.items() if baselines or info.context == "image"]
