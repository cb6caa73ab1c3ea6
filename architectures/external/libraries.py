"""Networks of other libraries by URI: `smp:Unet/resnet34`, `torchvision:fcn_resnet50`. Imports no torch.

What can be known of such a network without its library stands here; whether the library has the encoder that
is named is asked by `architectures.registry.verify`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from architectures.architecture_info import ArchitectureError, ArchitectureInfo

REVISION = 1  # of `architectures.external.wrapper`: raise it when a change there alters results
TIMM_PREFIX = "tu-"  # of timm's encoders in segmentation_models.pytorch
_ENCODER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library whose networks are known by URI.

    scheme: of the URI. title: of the library. target: "module:Class" of the wrapper. example: the part behind
    the scheme. with_encoder: whether that names an encoder too, behind a slash. networks: name -> least
    height and width in pixels. reference: where they are from. initialization: how parameters are drawn.
    """

    scheme: str
    title: str
    target: str
    example: str
    with_encoder: bool
    networks: Mapping[str, int]
    reference: str
    initialization: str

    @property
    def pattern(self) -> str:
        """What a URI looks like: `smp:DECODER/ENCODER`."""
        return f"{self.scheme}:{'DECODER/ENCODER' if self.with_encoder else 'NETWORK'}"


LIBRARIES = (
    Library(
        scheme="smp",
        title="segmentation_models.pytorch",
        target="architectures.external.wrapper:SmpNetwork",
        example="Unet/resnet34",
        with_encoder=True,
        networks=MappingProxyType(
            {
                "Unet": 32,
                "UnetPlusPlus": 32,
                "MAnet": 32,
                "Linknet": 32,
                "FPN": 32,
                "PSPNet": 32,
                "DeepLabV3": 32,
                "DeepLabV3Plus": 32,
                "PAN": 128,  # pools a map at 1/16 three times more
                "UPerNet": 32,
                "Segformer": 32,
            }
        ),
        reference="Iakubovskii, segmentation_models.pytorch (github.com/qubvel-org)",
        initialization="random, as segmentation_models.pytorch draws it",
    ),
    Library(
        scheme="torchvision",
        title="torchvision",
        target="architectures.external.wrapper:TorchvisionNetwork",
        example="fcn_resnet50",
        with_encoder=False,
        networks=MappingProxyType(
            {
                "fcn_resnet50": 32,
                "fcn_resnet101": 32,
                "deeplabv3_resnet50": 32,
                "deeplabv3_resnet101": 32,
                "deeplabv3_mobilenet_v3_large": 32,
                "lraspp_mobilenet_v3_large": 32,
            }
        ),
        reference="torchvision.models.segmentation",
        initialization="random, as torchvision draws it",
    ),
)


def patterns() -> list[str]:
    """What the URIs of each library look like."""
    return [library.pattern for library in LIBRARIES]


def describe(uri: str) -> ArchitectureInfo:
    """The entry of a network by its URI, made without its library.

    Raises ArchitectureError for an unknown library or network, and for an encoder that is missing or one too
    many.
    """
    scheme, _, rest = uri.partition(":")
    library = next((one for one in LIBRARIES if one.scheme == scheme), None)
    if library is None:
        raise ArchitectureError(f"unknown architecture {uri!r}: known are {', '.join(patterns())}")
    network, slash, encoder = rest.partition("/")
    if network not in library.networks:
        hint = nearest(network, library.networks)
        raise ArchitectureError(
            f"unknown architecture {uri!r}{hint} ({library.scheme} has {', '.join(library.networks)})"
        )
    if bool(slash) != library.with_encoder or (slash and not _ENCODER.fullmatch(encoder)):
        raise ArchitectureError(
            f"architecture {uri!r}: write {library.pattern}, such as {library.scheme}:{library.example}"
        )
    return ArchitectureInfo(
        name=uri,
        title=uri,
        target=library.target,
        revision=REVISION,
        min_size=library.networks[network],
        reference=library.reference,
        summary=f"{network}{f' with encoder {encoder}' if encoder else ''} of {library.title}",
        imagenet="own",
        timm_encoder=encoder.removeprefix(TIMM_PREFIX) if encoder.startswith(TIMM_PREFIX) else "",
        initialization=library.initialization,
        wraps=rest,
    )


def nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    """`; did you mean 'Unet'?`, or nothing where no known name is near."""
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[found[0]]!r}?" if found else ""
