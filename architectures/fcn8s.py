"""FCN-8s, with learnt upsampling (`fcn8s`) and with fixed bilinear upsampling (`fcn8s-bilinear`).

Paper: Shelhamer, Long, Darrell: "Fully Convolutional Networks for Semantic Segmentation", PAMI 2017 (arXiv
1605.06211), sections 4.1 to 4.3.
Official definition: fcn.berkeleyvision.org 1305c73, voc-fcn8s/train.prototxt.
As defined: fc6 7x7 and fc7 1x1 of 4096 maps with dropout; score layers start at zero; deconvolutions 4x4
stride 2, 4x4 stride 2 and 16x16 stride 8, dense from K to K maps, without bias, bilinear on the diagonal.
Differences:
- Batch norm after every convolution, fc6 and fc7 included, not after the score layers and deconvolutions;
  dropout 0.5 after pool3, pool4, pool5 besides fc6 and fc7 (SegNet paper, section 4). Caffe drops in place,
  so that score_pool3 and score_pool4 too read what dropout has left; here likewise.
- Trained at once, not 32s -> 16s -> 8s, so that every architecture gets one training. The scale layers of
  the at-once definition (0.01 on pool4, 0.0001 on pool3) are left out: they balance streams of unnormalized
  activations, and batch norm gives all three streams a like scale.
- fc6 is padded by 3 to keep pool5's size, instead of the image by 100, which served to make fc6's valid
  convolution fit any image and makes a 360x480 image cost as much as one of 558x678. The crop offsets 5, 9,
  31 thereby become 1, 1, 4, which are the `padding` of the deconvolutions. The geometry stays: with pooling
  that rounds up, pixel j of a pooled map lies at 2j + 0.5 of the finer one, and its 4x4 kernel, centerd at
  2j + 1.5, is shifted by 1 (stride 8: 8j + 3.5 against 8j + 7.5, shifted by 4). What an odd size has too
  much at the far end is cut off.
- Outside the map the scores are zero (Caffe's pad 100 had scores there). At the border the taps sum to less
  than 1, for upscore8 by the same factor for all classes.
- fc6 and fc7 start from He where VGG16's classifier is not loaded; the definition gives them no filler.
Parameters: 134,373,761 with 11 classes, of which fcn8s-bilinear trains 134,338,913.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from architectures.architecture_info import ArchitectureInfo
from architectures.base import Architecture
from architectures.encoders.vgg16 import PoolingEncoder
from architectures.layers import bilinear_, block, conv_bn_relu, convolutions, crop, dropout
from architectures.padded import PaddedConv2d, PaddedConvTranspose2d
from architectures.windows import SmallMapConv2d

FEATURES = 4096


class FCN8s(Architecture):
    """(N, 3, H, W) -> logits (N, K, H, W); the deconvolutions are learnt."""

    def __init__(self, info: ArchitectureInfo, num_classes: int, image_size: tuple[int, int]) -> None:
        super().__init__(info, num_classes, image_size)
        self.encoder = PoolingEncoder()
        self.fully_connected = block(
            conv_bn_relu("fc6", 512, FEATURES, 7, padding=3, kind=SmallMapConv2d),
            dropout("drop6"),
            conv_bn_relu("fc7", FEATURES, FEATURES, 1, padding=0),
            dropout("drop7"),
        )
        self.score_fr = _score(FEATURES, num_classes)
        self.score_pool4 = _score(512, num_classes)
        self.score_pool3 = _score(256, num_classes)
        self.upscore2 = upsampling(num_classes, stride=2)
        self.upscore_pool4 = upsampling(num_classes, stride=2)
        self.upscore8 = upsampling(num_classes, stride=8)

    def logits(self, images: Tensor) -> Tensor:
        pool3, pool4, x = self.encoder(images)
        for layer in self.fully_connected:
            x = layer(x)
        x = self.score_fr(x)
        x = crop(self.upscore2(x), pool4.shape[-2:]) + self.score_pool4(pool4)
        x = crop(self.upscore_pool4(x), pool3.shape[-2:]) + self.score_pool3(pool3)
        return crop(self.upscore8(x), images.shape[-2:])

    def kept_for_decoder(self, images: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        return self.kept_of(self.encoder(images))

    def kept_of(self, encoded: tuple[Tensor, Tensor, Tensor]) -> tuple[tuple[Tensor, ...], ...]:
        pool3, pool4, _ = encoded
        return (), (), (pool3,), (pool4,), ()

    def encoder_layers(self) -> Mapping[str, nn.Conv2d]:
        return {**self.encoder.convolutions(), **convolutions(self.fully_connected)}


class FCN8sBilinear(FCN8s):
    """(N, 3, H, W) -> logits (N, K, H, W); the deconvolutions stay bilinear interpolation."""

    def __init__(self, info: ArchitectureInfo, num_classes: int, image_size: tuple[int, int]) -> None:
        super().__init__(info, num_classes, image_size)
        for layer in (self.upscore2, self.upscore_pool4, self.upscore8):
            layer.requires_grad_(False)


def _score(in_channels: int, num_classes: int) -> nn.Conv2d:
    layer = PaddedConv2d(in_channels, num_classes, 1)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def upsampling(num_classes: int, *, stride: int) -> nn.ConvTranspose2d:
    """(N, K, h, w) -> (N, K, stride*h, stride*w), aligned with the map that was pooled (see the header)."""
    layer = PaddedConvTranspose2d(num_classes, num_classes, 2 * stride, stride=stride, padding=stride // 2, bias=False)
    bilinear_(layer)
    return layer
