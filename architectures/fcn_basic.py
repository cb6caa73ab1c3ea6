"""FCN-Basic and its three variants: decoders that upsample by learnt deconvolution, without indices.

Paper: Badrinarayanan, Kendall, Cipolla: "SegNet", PAMI 2017 (arXiv 1511.00561v3), section 3.2 and Table 1.
Official definition: none was published; this one reproduces the sizes in Table 1.
FCN-Basic: 1x1 convolutions reduce the pooled maps of every stage to K; four deconvolutions of stride 2, each
followed by batch norm without ReLU, double the size, and the reduced maps of that size are added (at full
size there are none). NoAddition reduces the last stage alone and adds nothing. NoDimReduction keeps 64 maps
all the way and reduces them to K scores at the end.
The deconvolutions are dense, without bias, 8x8, but 7x8 for the deepest one, which makes 45x60 of 23x30 at
360x480. They start as bilinear interpolation of each map by itself, scaled so that a constant stays what it
is: the usual taps of an 8x8 kernel at stride 2 would quadruple it.
Differences: batch norm after every deconvolution is a choice. The paper has it "after each convolutional layer
in both the encoder and decoder network" of SegNet-Basic, and says nothing of FCN-Basic. By its recipe (SGD at a
rate of 0.1, batch 12) at 90x120 no variant diverged in 40 iterations; without it (revision 1) all did within
15, NoAddition only without balanced classes. The sizes in Table 1, 4 bytes a parameter rounded to 0.1 MB, allow
for it: scales and shifts add 88 parameters where maps are reduced to 11, 512 where there are 64, and leave
2.6 MB (FCN-Basic, NoAddition) and 6.5 MB (the other two), as without. As in SegNet-Basic, the 1x1 convolutions
that reduce maps or give scores have none, and encoder maps are added behind it. In FCN-Basic and NoAddition the
last deconvolution gives the scores, which are normalized so; in all other variants of Table 1 they are not.
At sizes where one more row or column would come out than the encoder had, it is cut off at the
far end, behind batch norm; where one is lacking (the 7 of the deepest kernel before an even height) it is
computed too.
Parameters: 645,244 (FCN-Basic; 2.581 MB).
Parameters: 643,099 (NoAddition; 2.572 MB).
Parameters: 1,629,323 (NoDimReduction, NoAddition-NoDimReduction; 6.517 MB).
"""

from __future__ import annotations

from torch import Tensor, nn

from architectures.encoders.basic import STAGES, WIDTH, BasicNetwork, Decoder, Kept, classifier
from architectures.layers import BatchNorm2d, NamedLayers, bilinear_, block, crop
from architectures.padded import PaddedConvTranspose2d


class DeconvolutionDecoder(Decoder):
    """Deconvolution, batch norm, addition of encoder maps, four times.

    additions  whether pooled encoder maps are added
    reduced    whether the maps are reduced to K first, rather than last
    """

    def __init__(self, num_classes: int, *, additions: bool, reduced: bool) -> None:
        super().__init__()
        self.additions = additions
        self.reduced = reduced
        width = num_classes if reduced else WIDTH
        reductions = () if not reduced else range(1, STAGES + 1) if additions else (STAGES,)
        self.reductions = nn.ModuleDict({f"reduce{stage}": classifier(num_classes) for stage in reductions})
        self.stage4, self.stage3, self.stage2, self.stage1 = (
            block(_doubling(f"deconv{stage}", width, (7, 8) if stage == STAGES else (8, 8)))
            for stage in range(STAGES, 0, -1)
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
        for stage in (self.stage4, self.stage3, self.stage2, self.stage1):
            size = kept.pop().size
            for layer in stage:
                x = layer(x)
            x = crop(x, size)
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


def _doubling(name: str, width: int, kernel: tuple[int, int]) -> NamedLayers:
    """Deconvolution `name`, (N, C, h, w) -> twice the size, then `name`_bn.

    Padded by 3, output rows 2i and 2i + 1 of a side of 8 lie around row i of the input, as its pooling window
    does; those of a side of 7 begin on row i, half a row of the output off. A side of 7 would give one row less,
    that of an odd height: `output_padding` adds the row that an even one has.
    """
    padding = (kernel[0] % 2, kernel[1] % 2)
    layer = PaddedConvTranspose2d(width, width, kernel, stride=2, padding=3, output_padding=padding, bias=False)
    bilinear_(layer)
    return [(name, layer), (f"{name}_bn", BatchNorm2d(width))]
