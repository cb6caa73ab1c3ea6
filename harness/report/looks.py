"""A color and a marker for each network, the same in every plot of reports and site. Importing it draws nothing."""

import colorsys
import hashlib
from collections.abc import Mapping

# By name and for good, so that a network looks the same in every plot of every suite.
_LOOKS: Mapping[str, tuple[str, str]] = {
    "segnet": ("#0173b2", "o"),
    "fcn8s": ("#d55e00", "s"),
    "fcn8s-bilinear": ("#e0a008", "D"),
    "deeplab-largefov": ("#029e73", "^"),
    "deeplab-largefov+dense-crf@1": ("#7a9a01", "v"),
    "deconvnet": ("#b8509c", "P"),
    "bilinear-interpolation": ("#6e6e6e", "X"),
    "segnet-basic": ("#2b50aa", "o"),
    "segnet-basic-encoder-addition": ("#4fa3e0", "p"),
    "segnet-basic-single-channel-decoder": ("#20b2aa", "h"),
    "fcn-basic": ("#a63603", "s"),
    "fcn-basic-no-addition": ("#e6750b", "<"),
    "fcn-basic-no-dim-reduction": ("#c8102e", "D"),
    "fcn-basic-no-addition-no-dim-reduction": ("#c98bdb", ">"),
    "smp:Unet/mobilenet_v2": ("#e69fcf", "<"),
    "smp:Unet/resnet34": ("#cc2255", ">"),
    "smp:FPN/resnet34": ("#8c564b", "v"),
    "smp:DeepLabV3Plus/resnet34": ("#66a61e", "P"),
    "smp:UPerNet/tu-convnext_tiny": ("#e6750b", "D"),
    "smp:Segformer/mit_b0": ("#4fa3e0", "p"),
    "smp:Segformer/mit_b2": ("#3b3b98", "h"),
    "torchvision:fcn_resnet50": ("#a63603", "s"),
    "torchvision:deeplabv3_mobilenet_v3_large": ("#1b7837", "X"),
    "torchvision:lraspp_mobilenet_v3_large": ("#7b3fa0", "*"),
    "position-prior": ("#8a8a8a", "X"),
    "pixel-mlp": ("#8c6d31", "d"),
}
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h", "d")


def look(network: str) -> tuple[str, str]:
    """Color and marker of a network; of one that is not listed they follow from its name alone."""
    if network in _LOOKS:
        return _LOOKS[network]
    digest = hashlib.sha256(network.partition("#")[0].encode()).digest()  # a plugin's source may change
    red, green, blue = colorsys.hls_to_rgb(digest[0] / 256, 0.36 + 0.2 * digest[1] / 256, 0.65)
    color = "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue))
    return color, _MARKERS[digest[2] % len(_MARKERS)]
