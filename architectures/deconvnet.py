"""DeconvNet, in the size that the SegNet paper compares with.

Paper: Noh, Hong, Han: "Learning Deconvolution Network for Semantic Segmentation", ICCV 2015 (arXiv
1505.04366).
Official definition: DeconvNet 87dd133, stage 1 train.prototxt (224x224, 21 classes, 4096 features).
As defined: convolution, batch norm, ReLU in this order everywhere; fc6 covers the whole of pool5 and gives
one pixel; fc6_deconv spreads it again; unpooling with the encoder's indices; 3x3 deconvolutions; a last
block of two 64-map deconvolutions and a 1x1 score layer; deconvolutions and score gaussian 0.01.
Differences:
- 1024 features in fc6 and fc7 (SegNet paper, section 4), and the whole pool5 map is 12x15 at 360x480
  instead of 7x7. Only with both does the size in the paper's Table 6 follow (877 MB). Hence `fixed_size`.
- fc6 and fc7 start from He: VGG16's classifier has another shape (7x7, 4096) and cannot be loaded.
- Dropout 0.5 after pool3, pool4, pool5 and after decoder blocks 5, 4, 3 (SegNet paper, section 4); the
  definition has none. Dropout leaves the pooling indices as they are.
- Pooling rounds up, which at 224x224 makes no difference.
- With batch 1, fc6 and fc7 hold a single value a map: see `layers.BatchNorm2d`.
Parameters: 219,280,715 with 11 classes at 360x480 (219,282,405 with 37).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from architectures.architecture_info import ArchitectureInfo
from architectures.base import Architecture
from architectures.encoders.vgg16 import IndexEncoder
from architectures.layers import NamedLayers, block, conv_bn_relu, deconv_bn_relu, dropout, gaussian_
from architectures.padded import PaddedConv2d
from architectures.pooling import Pooled, max_unpool
from architectures.windows import WholeMapConv2d, WholeMapConvTranspose2d

FEATURES = 1024


class DeconvNet(Architecture):
    """(N, 3, H, W) -> logits (N, K, H, W) for the one H, W it was built for."""

    def __init__(self, info: ArchitectureInfo, num_classes: int, image_size: tuple[int, int]) -> None:
        super().__init__(info, num_classes, image_size)
        self.encoder = IndexEncoder()
        height, width = (-(-side // 32) for side in self.image_size)
        self.fully_connected = block(
            conv_bn_relu("fc6", 512, FEATURES, (height, width), padding=0, kind=WholeMapConv2d),
            conv_bn_relu("fc7", FEATURES, FEATURES, 1, padding=0),
            deconv_bn_relu("fc6_deconv", FEATURES, 512, (height, width), padding=0, kind=WholeMapConvTranspose2d),
        )
        self.decoder5 = _decoder(5, 512, (512, 512, 512), dropped=True)
        self.decoder4 = _decoder(4, 512, (512, 512, 256), dropped=True)
        self.decoder3 = _decoder(3, 256, (256, 256, 128), dropped=True)
        self.decoder2 = _decoder(2, 128, (128, 64))
        self.decoder1 = _decoder(1, 64, (64, 64))
        self.score = PaddedConv2d(64, num_classes, 1)
        gaussian_(self.score)

    def logits(self, images: Tensor) -> Tensor:
        x: Tensor
        x, pools = self.encoder(images)
        for layer in self.fully_connected:
            x = layer(x)
        for decoder in (self.decoder5, self.decoder4, self.decoder3, self.decoder2, self.decoder1):
            x = max_unpool(x, *pools.pop())
            for layer in decoder:
                x = layer(x)
        x = self.score(x)
        return x

    def kept_for_decoder(self, images: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        return self.kept_of(self.encoder(images))

    def kept_of(self, encoded: tuple[Tensor, list[Pooled]]) -> tuple[tuple[Tensor, ...], ...]:
        _, pools = encoded
        return tuple((pooled.indices,) for pooled in pools)

    def encoder_layers(self) -> Mapping[str, nn.Conv2d]:
        return self.encoder.convolutions()


def _decoder(number: int, in_channels: int, widths: tuple[int, ...], *, dropped: bool = False) -> nn.Sequential:
    """Deconvolutions deconv{number}_1 .. of these widths, then dropout if `dropped`."""
    parts: list[NamedLayers] = []
    for i, width in enumerate(widths, start=1):
        parts.append(deconv_bn_relu(f"deconv{number}_{i}", in_channels, width))
        in_channels = width
    if dropped:
        parts.append(dropout(f"drop{number}_D"))
    return block(*parts)
