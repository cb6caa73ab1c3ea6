"""The encoder that SegNet-Basic and all decoder variants of Table 1 share, and how a decoder is put to it.

Paper: Badrinarayanan, Kendall, Cipolla: "SegNet", PAMI 2017 (arXiv 1511.00561v3), section 3.2 and Table 1.
Official definition: SegNet-Tutorial bb68b64, Models/segnet_basic_train.prototxt.
As defined: four times a 7x7 convolution of 64 maps, batch norm, ReLU, 2x2 max-pooling that rounds up;
biases on every convolution, though the paper says there are none; He initialization; batch norm shift 0.001.
The definition begins with local response normalization of the image; here the protocol does that.
Parameters: 612,288 (weights and biases 611,776, batch norm 512).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from architectures.architecture_info import ArchitectureInfo
from architectures.base import Architecture
from architectures.layers import block, conv_bn_relu, he_normal_
from architectures.padded import PaddedConv2d
from architectures.pooling import IndexPool

WIDTH = 64
STAGES = 4


class Kept(NamedTuple):
    """What is kept of one encoder stage until the decoder reaches it.

    size     (H, W) before its pooling
    indices  of its pooling, as `architectures.pooling.max_pool` gives them; none where not used
    maps     what the decoder's `keep` made of its pooled maps
    """

    size: tuple[int, int]
    indices: Tensor | None
    maps: Tensor | None


class Decoder(nn.Module, ABC):
    """From the fourth stage's pooled maps to logits: all in which the variants of Table 1 differ.

    uses_indices  whether the encoder's poolings keep their indices
    """

    uses_indices = False

    def keep(self, stage: int, pooled: Tensor) -> Tensor | None:
        """What is kept of the pooled maps (N, 64, h, w) of a stage, 1 to 4; by default nothing."""
        return None

    @abstractmethod
    def forward(self, x: Tensor, kept: list[Kept]) -> Tensor:
        """(N, 64, ceil(H/16), ceil(W/16)) and what was kept of stages 1 to 4 -> logits (N, K, H, W).

        Takes the entries off the list as it goes, so that each can be freed once it is used.
        """


def classifier(num_classes: int) -> nn.Conv2d:
    """1x1 convolution of 64 maps to K scores, He-filled, with bias."""
    layer = PaddedConv2d(WIDTH, num_classes, 1)
    he_normal_(layer)
    return layer


class BasicEncoder(nn.Module):
    """The four stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = block(conv_bn_relu("conv1", 3, WIDTH, 7, padding=3))
        self.stage2 = block(conv_bn_relu("conv2", WIDTH, WIDTH, 7, padding=3))
        self.stage3 = block(conv_bn_relu("conv3", WIDTH, WIDTH, 7, padding=3))
        self.stage4 = block(conv_bn_relu("conv4", WIDTH, WIDTH, 7, padding=3))
        self.pool = IndexPool()

    def forward(self, images: Tensor, decoder: Decoder) -> tuple[Tensor, list[Kept]]:
        """(N, 3, H, W) -> pooled maps of stage 4, and what the decoder keeps of stages 1 to 4."""
        x = images
        kept: list[Kept] = []
        for number, stage in enumerate((self.stage1, self.stage2, self.stage3, self.stage4), start=1):
            for layer in stage:
                x = layer(x)
            height, width = x.shape[-2:]
            indices = None
            if decoder.uses_indices:
                x, pooled = self.pool(x)
                indices = pooled.indices
            else:
                x = functional.max_pool2d(x, 2, 2, ceil_mode=True)
            kept.append(Kept((height, width), indices, decoder.keep(number, x)))
        return x, kept


class BasicNetwork(Architecture):
    """(N, 3, H, W) -> logits (N, K, H, W): the shared encoder with one of the decoders."""

    def __init__(self, info: ArchitectureInfo, num_classes: int, image_size: tuple[int, int]) -> None:
        super().__init__(info, num_classes, image_size)
        self.encoder = BasicEncoder()
        self.decoder = self.build_decoder(num_classes)

    @abstractmethod
    def build_decoder(self, num_classes: int) -> Decoder:
        """The variant's decoder, with freshly drawn parameters."""

    def logits(self, images: Tensor) -> Tensor:
        x: Tensor
        x, kept = self.encoder(images, self.decoder)
        logits: Tensor = self.decoder(x, kept)
        return logits

    def kept_for_decoder(self, images: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        return self.kept_of(self.encoder(images, self.decoder))

    def kept_of(self, encoded: tuple[Tensor, list[Kept]]) -> tuple[tuple[Tensor, ...], ...]:
        _, kept = encoded
        return tuple(tuple(tensor for tensor in (entry.indices, entry.maps) if tensor is not None) for entry in kept)

    def encoder_layers(self) -> Mapping[str, nn.Conv2d]:
        return {}  # none of VGG16's: the paper trains all of them from He initialization
