"""SegNet-Basic and its two variants: decoders that unpool with the encoder's max-pooling indices.

Paper: Badrinarayanan, Kendall, Cipolla: "SegNet", PAMI 2017 (arXiv 1511.00561v3), section 3.2 and Table 1.
Official definition: SegNet-Tutorial bb68b64, Models/segnet_basic_train.prototxt; the variants have none.
As defined: four times unpooling, 7x7 convolution of 64 maps with bias, batch norm, no ReLU; then a 1x1
convolution to the K scores. EncoderAddition adds to each decoder's output the pooled encoder maps of its
size (at full size there are none). SingleChannelDecoder convolves each map by itself alone.
Differences: where EncoderAddition adds, after batch norm or before, the paper does not say; here after.
Parameters: 1,416,587 (SegNet-Basic, EncoderAddition).
Parameters: 626,315 (SingleChannelDecoder).
"""

from __future__ import annotations

from torch import Tensor

from architectures.encoders.basic import STAGES, WIDTH, BasicNetwork, Decoder, Kept, classifier
from architectures.layers import block, conv_bn
from architectures.pooling import max_unpool


class UnpoolingDecoder(Decoder):
    """Unpooling, convolution, batch norm, four times.

    groups     64 where each map is convolved by itself, else 1
    additions  whether pooled encoder maps are added
    """

    uses_indices = True

    def __init__(self, num_classes: int, *, groups: int = 1, additions: bool = False) -> None:
        super().__init__()
        self.additions = additions
        self.stage4, self.stage3, self.stage2, self.stage1 = (
            block(conv_bn(f"conv_decode{stage}", WIDTH, WIDTH, 7, padding=3, groups=groups))
            for stage in range(STAGES, 0, -1)
        )
        self.conv_classifier = classifier(num_classes)

    def keep(self, stage: int, pooled: Tensor) -> Tensor | None:
        return pooled if self.additions and stage < STAGES else None

    def forward(self, x: Tensor, kept: list[Kept]) -> Tensor:
        for stage in (self.stage4, self.stage3, self.stage2, self.stage1):
            size, indices, _ = kept.pop()
            assert indices is not None, "uses_indices"
            x = max_unpool(x, indices, size)
            for layer in stage:
                x = layer(x)
            if kept and kept[-1].maps is not None:
                x = x + kept[-1].maps
        scores: Tensor = self.conv_classifier(x)
        return scores


class SegNetBasic(BasicNetwork):
    """(N, 3, H, W) -> logits (N, K, H, W)."""

    def build_decoder(self, num_classes: int) -> Decoder:
        return UnpoolingDecoder(num_classes)


class EncoderAddition(BasicNetwork):
    """(N, 3, H, W) -> logits (N, K, H, W); pooled encoder maps are added in the decoder."""

    def build_decoder(self, num_classes: int) -> Decoder:
        return UnpoolingDecoder(num_classes, additions=True)


class SingleChannelDecoder(BasicNetwork):
    """(N, 3, H, W) -> logits (N, K, H, W); the decoder convolves each map by itself."""

    def build_decoder(self, num_classes: int) -> Decoder:
        return UnpoolingDecoder(num_classes, groups=WIDTH)
