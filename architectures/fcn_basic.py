"""FCN-Basic and its three variants: decoders that upsample by learnt deconvolution, without indices.

Paper: Badrinarayanan, Kendall, Cipolla: "SegNet", PAMI 2017 (arXiv 1511.00561v3), section 3.2 and Table 1.
Official definition: none was published; this one reproduces the sizes in Table 1.
FCN-Basic: 1x1 convolutions reduce the pooled maps of every stage to K; four deconvolutions of stride 2
double the size, and the reduced maps of that size are added (at full size there are none). NoAddition
reduces the last stage alone and adds nothing. NoDimReduction keeps 64 maps all the way and reduces them to
K scores at the end.
The deconvolutions are dense, without bias, 8x8, but 7x8 for the deepest one, which makes 45x60 of 23x30 at
360x480. They start as bilinear interpolation of each map by itself, scaled so that a constant stays what it
is: the usual taps of an 8x8 kernel at stride 2 would quadruple it.
Trained by SGD at the paper's rate of 0.1 on CamVid at 120x160, batch 4, all but NoAddition with balanced
classes diverged within 12 iterations; FCN-Basic and NoDimReduction, tried at batch 12 too, within 15. With
batch norm after every deconvolution these two did not in 40 iterations of batch 4, and the sizes in Table 1
would allow for that: the paper's networks may have had it. Here they are as documented.
Differences: at sizes where one more row or column would come out than the encoder had, it is cut off at the
far end; where one is lacking (the 7 of the deepest kernel before an even height) it is computed too.
Parameters: 645,156 (FCN-Basic).
Parameters: 643,011 (NoAddition).
Parameters: 1,628,811 (NoDimReduction, NoAddition-NoDimReduction).
"""

from __future__ import annotations

from torch import Tensor, nn

from architectures.basic import STAGES, WIDTH, BasicNetwork, Decoder, Kept, classifier
from architectures.layers import bilinear_, crop


class DeconvolutionDecoder(Decoder):
    """Deconvolution, addition of encoder maps, four times.

    additions  whether pooled encoder maps are added
    reduced    whether the maps are reduced to K first, rather than last
    """

    def __init__(self, num_classes: int, *, additions: bool, reduced: bool) -> None:
        super().__init__()
        self.additions = additions
        self.reduced = reduced
        width = num_classes if reduced else WIDTH
        stages = range(1, STAGES + 1)
        reductions = () if not reduced else stages if additions else (STAGES,)
        self.reductions = nn.ModuleDict({f"reduce{stage}": classifier(num_classes) for stage in reductions})
        self.deconvolutions = nn.ModuleDict(
            {f"deconv{stage}": _doubling(width, (7, 8) if stage == STAGES else (8, 8)) for stage in stages}
        )
        self.conv_classifier = None if reduced else classifier(num_classes)

    def keep(self, stage: int, pooled: Tensor) -> Tensor | None:
        if not self.additions or stage == STAGES:
            return None
        maps: Tensor = self.reductions[f"reduce{stage}"](pooled) if self.reduced else pooled
        return maps

    def forward(self, x: Tensor, kept: list[Kept]) -> Tensor:
        if self.reduced:
            x = self.reductions[f"reduce{STAGES}"](x)
        for stage in range(STAGES, 0, -1):
            size = kept.pop().size
            x = crop(self.deconvolutions[f"deconv{stage}"](x), size)
            if kept and kept[-1].maps is not None:
                x = x + kept[-1].maps
        return x if self.conv_classifier is None else self.conv_classifier(x)


class FCNBasic(BasicNetwork):
    """(N, 3, H, W) -> logits (N, K, H, W)."""

    def build_decoder(self, num_classes: int) -> Decoder:
        return DeconvolutionDecoder(num_classes, additions=True, reduced=True)


class NoAddition(BasicNetwork):
    """(N, 3, H, W) -> logits (N, K, H, W); no encoder maps are added."""

    def build_decoder(self, num_classes: int) -> Decoder:
        return DeconvolutionDecoder(num_classes, additions=False, reduced=True)


class NoDimReduction(BasicNetwork):
    """(N, 3, H, W) -> logits (N, K, H, W); encoder maps are added whole."""

    def build_decoder(self, num_classes: int) -> Decoder:
        return DeconvolutionDecoder(num_classes, additions=True, reduced=False)


class NoAdditionNoDimReduction(BasicNetwork):
    """(N, 3, H, W) -> logits (N, K, H, W); 64 maps, to which no encoder maps are added."""

    def build_decoder(self, num_classes: int) -> Decoder:
        return DeconvolutionDecoder(num_classes, additions=False, reduced=False)


def _doubling(width: int, kernel: tuple[int, int]) -> nn.ConvTranspose2d:
    """(N, C, h, w) -> twice the size.

    Padded by 3, output rows 2i and 2i + 1 lie around row i of the input, as its pooling window does. A side
    of 7 would give one row less, that of an odd height: `output_padding` adds the row that an even one has.
    """
    padding = (kernel[0] % 2, kernel[1] % 2)
    layer = nn.ConvTranspose2d(width, width, kernel, stride=2, padding=3, output_padding=padding, bias=False)
    bilinear_(layer)
    return layer
