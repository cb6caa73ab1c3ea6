"""SegNet.

Paper: Badrinarayanan, Kendall, Cipolla: "SegNet: A Deep Convolutional Encoder-Decoder Architecture for
Image Segmentation", PAMI 2017 (arXiv 1511.00561v3), section 3.
Official definition: SegNet-Tutorial bb68b64, Models/segnet_train.prototxt (CamVid) and the SUN RGB-D
definition.
As defined: the number of maps drops in the last convolution of a decoder block; the last convolution, 3x3,
gives the K scores without batch norm or ReLU; He initialization throughout; batch norm shift 0.001
(CamVid).
Differences: dropout 0.5 after pool3, pool4, pool5 and after decoder blocks 5, 4, 3, where the SUN
definition has it and the CamVid one has none: the paper (section 4) trains every model with dropout at the
end of the deeper blocks. Dropout leaves the pooling indices as they are.
Parameters: 29,449,355 with 11 classes.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from architectures.architecture_info import ArchitectureInfo
from architectures.base import Architecture
from architectures.encoders.vgg16 import IndexEncoder
from architectures.layers import block, conv_bn_relu, dropout, he_normal_
from architectures.padded import PaddedConv2d
from architectures.pooling import Pooled, max_unpool


class SegNet(Architecture):
    """(N, 3, H, W) -> logits (N, K, H, W)."""

    def __init__(self, info: ArchitectureInfo, num_classes: int, image_size: tuple[int, int]) -> None:
        super().__init__(info, num_classes, image_size)
        self.encoder = IndexEncoder()
        self.decoder5 = block(
            conv_bn_relu("conv5_3_D", 512, 512),
            conv_bn_relu("conv5_2_D", 512, 512),
            conv_bn_relu("conv5_1_D", 512, 512),
            dropout("drop5_D"),
        )
        self.decoder4 = block(
            conv_bn_relu("conv4_3_D", 512, 512),
            conv_bn_relu("conv4_2_D", 512, 512),
            conv_bn_relu("conv4_1_D", 512, 256),
            dropout("drop4_D"),
        )
        self.decoder3 = block(
            conv_bn_relu("conv3_3_D", 256, 256),
            conv_bn_relu("conv3_2_D", 256, 256),
            conv_bn_relu("conv3_1_D", 256, 128),
            dropout("drop3_D"),
        )
        self.decoder2 = block(conv_bn_relu("conv2_2_D", 128, 128), conv_bn_relu("conv2_1_D", 128, 64))
        score = PaddedConv2d(64, num_classes, 3, padding=1)
        he_normal_(score)
        self.decoder1 = block(conv_bn_relu("conv1_2_D", 64, 64), [("conv1_1_D", score)])

    def logits(self, images: Tensor) -> Tensor:
        x: Tensor
        x, pools = self.encoder(images)
        for decoder in (self.decoder5, self.decoder4, self.decoder3, self.decoder2, self.decoder1):
            x = max_unpool(x, *pools.pop())
            for layer in decoder:
                x = layer(x)
        return x

    def kept_for_decoder(self, images: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        return self.kept_of(self.encoder(images))

    def kept_of(self, encoded: tuple[Tensor, list[Pooled]]) -> tuple[tuple[Tensor, ...], ...]:
        _, pools = encoded
        return tuple((pooled.indices,) for pooled in pools)

    def encoder_layers(self) -> Mapping[str, nn.Conv2d]:
        return self.encoder.convolutions()
