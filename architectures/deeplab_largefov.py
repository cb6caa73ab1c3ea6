"""DeepLab-LargeFOV, without its CRF.

Paper: Chen, Papandreou, Kokkinos, Murphy, Yuille: "Semantic Image Segmentation with Deep Convolutional Nets
and Fully Connected CRFs", ICLR 2015 (arXiv 1412.7062), the variant with a large field of view.
Official definition: DeepLab-LargeFOV train.prototxt as first committed in DeepLab-Context bd4aac5.
As defined: pool1 to pool3 3x3 stride 2, pool4 and pool5 3x3 stride 1, average pool5a 3x3 stride 1 that
counts its padding, dilation 2 in conv5, dilation 12 in fc6 (3x3, 1024 maps), fc7 1x1, fc8 gaussian 0.01.
Differences:
- Batch norm after every convolution, fc6 and fc7 included, not after fc8; dropout 0.5 after pool3, pool4
  and pool5 besides fc6 and fc7 (SegNet paper, section 4). Behind pool5 it stands before the average pool5a:
  pool5 is the max-pooling that the other architectures drop at.
- Pooling rounds down, so that h, w = ceil(H/8), ceil(W/8): with 3x3 windows and padding 1, Caffe's rounding
  up gives 46x61 for 360x480, where the SegNet paper says 45x60 (both give 41x41 for the definition's
  321x321).
- "Pool3 with stride 1" (SegNet paper, section 4) gives 45x60 only if counted on a VGG16 with pool4 at
  stride 2; on this definition it would give 91x121. Built for 45x60.
- fc6 and fc7 start from He where VGG16's classifier is not loaded; the definition gives them no filler.
- Logits at 1/8; the enlarging to the label's size belongs to the protocol, as in the definition.
Parameters: 20,507,723 with 11 classes.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from architectures.architecture_info import ArchitectureInfo
from architectures.base import Architecture
from architectures.encoders.vgg16 import DROPPED_BLOCKS, VGG16
from architectures.layers import block, conv_bn_relu, convolutions, dropout, gaussian_
from architectures.padded import PaddedConv2d


class DeepLabLargeFOV(Architecture):
    """(N, 3, H, W) -> logits (N, K, ceil(H/8), ceil(W/8))."""

    def __init__(self, info: ArchitectureInfo, num_classes: int, image_size: tuple[int, int]) -> None:
        super().__init__(info, num_classes, image_size)
        self.encoder = VGG16(block5_dilation=2)
        self.pools = nn.ModuleList(nn.MaxPool2d(3, stride, padding=1) for stride in (2, 2, 2, 1, 1))
        self.pool5a = nn.AvgPool2d(3, 1, padding=1, count_include_pad=True)
        self.fully_connected = block(
            conv_bn_relu("fc6", 512, 1024, 3, padding=12, dilation=12),
            dropout("drop6"),
            conv_bn_relu("fc7", 1024, 1024, 1, padding=0),
            dropout("drop7"),
        )
        self.fc8 = PaddedConv2d(1024, num_classes, 1)
        gaussian_(self.fc8)

    def logits(self, images: Tensor) -> Tensor:
        x: Tensor = images
        for number, (stage, pool) in enumerate(zip(self.encoder.blocks(), self.pools, strict=True), start=1):
            for layer in stage:
                x = layer(x)
            x = pool(x)
            if number in DROPPED_BLOCKS:
                x = self.encoder.dropout(x)
        x = self.pool5a(x)
        for layer in self.fully_connected:
            x = layer(x)
        x = self.fc8(x)
        return x

    def encoder_layers(self) -> Mapping[str, nn.Conv2d]:
        return {**self.encoder.convolutions(), **convolutions(self.fully_connected)}
