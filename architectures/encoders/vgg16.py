"""The encoder of all architectures: the 13 convolutions of VGG16, each with batch norm and ReLU.

Paper: Simonyan, Zisserman: "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015
(arXiv 1409.1556), configuration D.
Differences: batch norm after every convolution (SegNet paper, section 3.1; section 4 adds it to all
rivals); pooling rounds up (Caffe); dropout 0.5 after pool3, pool4 and pool5, where the SegNet SUN
definition has it (encdrop3, encdrop4, encdrop5).
Initialization: He (msra) where no weights are loaded, batch norm scale 1 and shift 0.001.
Parameters: 14,723,136.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from architectures.layers import DROPOUT, block, conv_bn_relu, convolutions
from architectures.pooling import IndexPool, Pooled

DROPPED_BLOCKS = (3, 4, 5)  # dropout follows the pooling of these blocks


class VGG16(nn.Module):
    """The convolutions in five blocks. Pooling differs between architectures and is not part of it.

    block5_dilation  1, or 2 in DeepLab-LargeFOV
    """

    def __init__(self, block5_dilation: int = 1) -> None:
        super().__init__()
        self.block1 = _block(1, 3, 64, depth=2)
        self.block2 = _block(2, 64, 128, depth=2)
        self.block3 = _block(3, 128, 256, depth=3)
        self.block4 = _block(4, 256, 512, depth=3)
        self.block5 = _block(5, 512, 512, depth=3, dilation=block5_dilation)
        self.dropout = nn.Dropout(DROPOUT)

    def blocks(self) -> tuple[nn.Sequential, ...]:
        """Blocks 1 to 5."""
        return self.block1, self.block2, self.block3, self.block4, self.block5

    def convolutions(self) -> dict[str, nn.Conv2d]:
        """conv1_1 .. conv5_3, in order."""
        return {name: layer for part in self.blocks() for name, layer in convolutions(part).items()}


class PoolingEncoder(VGG16):
    """VGG16 with 2x2 max-pooling after each block."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, H, W) -> pool3, pool4, pool5 (ceil(H/8), ceil(H/16), ceil(H/32)), dropout done on each."""
        x = images
        kept: list[Tensor] = []
        for number, stage in enumerate(self.blocks(), start=1):
            for layer in stage:
                x = layer(x)
            x = functional.max_pool2d(x, 2, 2, ceil_mode=True)
            if number in DROPPED_BLOCKS:
                x = self.dropout(x)
                kept.append(x)
        pool3, pool4, pool5 = kept
        return pool3, pool4, pool5


class IndexEncoder(VGG16):
    """VGG16 with 2x2 max-pooling after each block, whose indices are kept for the decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = IndexPool()

    def forward(self, images: Tensor) -> tuple[Tensor, list[Pooled]]:
        """(N, 3, H, W) -> pool5 (N, 512, ceil(H/32), ceil(W/32)) after dropout, and the poolings 1 to 5."""
        x = images
        pools: list[Pooled] = []
        for number, stage in enumerate(self.blocks(), start=1):
            for layer in stage:
                x = layer(x)
            x, pooled = self.pool(x)
            pools.append(pooled)
            if number in DROPPED_BLOCKS:
                x = self.dropout(x)
        return x, pools


def _block(number: int, in_channels: int, out_channels: int, *, depth: int, dilation: int = 1) -> nn.Sequential:
    inputs = [in_channels] + [out_channels] * (depth - 1)
    return block(
        *(
            conv_bn_relu(f"conv{number}_{i}", channels, out_channels, padding=dilation, dilation=dilation)
            for i, channels in enumerate(inputs, start=1)
        )
    )
